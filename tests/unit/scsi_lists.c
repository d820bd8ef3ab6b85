/* What the audit has of a PERSISTENT RESERVE OUT that names others: both keys, and the octets that
 * say who, behind them and before anything is done. */
#include "tests/unit/reservation_peers.h"
#include "gateway/arbiter/transport_id.h"

#define SAYS_WHO 16 /* behind both keys */

static const uint8_t isid[6] = {0, 0, 0, 0, 0, 1};

/* A list of this action that names one initiator port; its length. */
static size_t list_naming(uint8_t action, const char *name, uint8_t ret[512])
{
	size_t ids = action == PR_REGISTER ? PR_LIST_TRANSPORT_IDS : PR_MOVE_TRANSPORT_ID;
	struct wr w = wr_over(ret + ids, 512 - ids);

	memset(ret, 0, 512);
	put_be(ret + PR_LIST_ACTION_KEY, 8, KEY_A);
	transport_id_write(&w, name, isid);
	assert_false(w.failed);
	put_be(ret + ids - 4, 4, wr_len(&w));
	if (action == PR_REGISTER)
		ret[PR_LIST_FLAGS] = 8; /* SPEC_I_PT */
	return ids + wr_len(&w);
}

static const struct row {
	const char *why;
	uint8_t action;
	const char *name;
} rows[] = {
	{"REGISTER AND MOVE has the port that it moves to on record", PR_REGISTER_AND_MOVE,
	 "iqn.2026-11.net.example:1"},
	{"REGISTER has the ports that it registers on record", PR_REGISTER,
	 "iqn.2026-11.net.example:1"},
	{"a name of many records is there whole", PR_REGISTER_AND_MOVE,
	 "iqn.2026-11.net.example:a-name-that-is-much-longer-than-what-one-record-holds-of-it-and-"
	 "longer-than-two"},
};

static void names_are_recorded(void **state)
{
	const struct row *row = *state;
	uint8_t list[512], found[512] = {0};
	size_t len = list_naming(row->action, row->name, list), got = 0;
	struct rig_command c = pr_out_command(row->action, 0, len);
	struct arbiter_order order;
	struct peer_task t;
	uint64_t before;

	peers_open();
	before = rig->ring.head;
	assert_int_equal(peer_begin(&t, A, &c), SCSI_WANT_DATA);
	assert_int_equal(peer_buffer(&t, list, len), SCSI_RUNNING);
	assert_int_equal(rig->ring.head, before + 2 + (len - SAYS_WHO + 31) / 32);
	for (uint64_t k = before + 2; k < rig->ring.head; k++) {
		const struct audit_record *r = rig_record(k);

		assert_int_equal(r->kind, AUDIT_LIST);
		assert_int_equal(r->lba, SAYS_WHO + got);
		assert_int_equal(r->blocks, 0);
		assert_true(r->cdb_len > 0 && r->cdb_len <= sizeof r->cdb);
		memcpy(found + got, r->cdb, r->cdb_len);
		got += r->cdb_len;
	}
	assert_int_equal(got, len - SAYS_WHO);
	assert_memory_equal(found, list + SAYS_WHO, got);
	rig_audit();
	assert_false(scsi_order_next(&rig->nexus, &order)); /* consumed is not durable */
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	assert_true(scsi_order_next(&rig->nexus, &order));
	(void)peer_end(&t, SCSI_RUNNING);
	peers_close();
}

/* The record of the keys alone is not enough: it waits for room, or is BUSY and nothing is done. */
static void no_room(void **state)
{
	uint8_t list[512];
	size_t len = list_naming(PR_REGISTER_AND_MOVE, rows[2].name, list);
	struct rig_command c = pr_out_command(PR_REGISTER_AND_MOVE, 0, len);
	struct audit_record filler = {.kind = AUDIT_COMMAND};
	struct arbiter_order order;
	struct peer_task t;

	(void)state;
	peers_open();
	assert_int_equal(peer_begin(&t, A, &c), SCSI_WANT_DATA);
	while (audit_ring_free(&rig->ring) > 5)
		assert_int_equal(audit_ring_put(&rig->ring, &filler, rig->nexus.now_ms), 0);
	assert_int_equal(peer_buffer(&t, list, len), SCSI_RUNNING);
	assert_false(scsi_order_next(&rig->nexus, &order));
	assert_int_equal(audit_ring_free(&rig->ring), 5);
	rig_audit_durable(); /* there is room now */
	scsi_audit_moved(&rig->nexus);
	assert_true(audit_ring_free(&rig->ring) < AUDIT_RING_SLOTS - 5);
	(void)peer_end(&t, SCSI_RUNNING);
	peers_close();
}

static void keys_alone(void **state)
{
	struct peer_task t;
	struct pr_list list = {.action_key = KEY_A};
	uint64_t before;

	(void)state;
	peers_open();
	before = rig->ring.head;
	assert_int_equal(pr_out(&t, A, PR_REGISTER, 0, &list), SCSI_GOOD);
	assert_int_equal(rig->ring.head, before + 2);
	peers_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, rows, names_are_recorded);
	tests_add(&t, "P2: without room for all of it nothing is done", no_room, NULL);
	tests_add(&t, "a list that names nobody has the records of its keys alone", keys_alone,
		  NULL);
	return tests_run(&t, "scsi lists");
}

/* RESERVE, RELEASE, PERSISTENT RESERVE IN and OUT as commands: their lists and lengths, the audit
 * before them, the arbiter behind them, and what becomes of other sessions' commands that are on
 * their way meanwhile. Three sessions before a real court. */
#include "tests/unit/reservation_peers.h"
#include "gateway/scsi/sense.h"

/* --- lists that are wrong --- */

enum { LENGTH = 0x1a00, CDB = 0x2400, LIST = 0x2600 };

static const struct {
	const char *why;
	uint8_t action, type;
	struct pr_list list;
	uint16_t code;
	int field; /* of the list, or of the CDB; -1: none is pointed at */
} wrong[] = {
	/* clang-format off */
	{"an empty list", PR_REGISTER, 0, {.len = 1}, LENGTH, -1},
	{"a list of 23 octets", PR_REGISTER, 0, {.len = 23}, LENGTH, -1},
	{"more than 24 octets for RESERVE", PR_RESERVE, 1, {.len = 28}, LENGTH, -1},
	{"more than 24 octets without SPEC_I_PT", PR_REGISTER, 0, {.len = 28}, LENGTH, -1},
	{"SPEC_I_PT, and no length of TransportIDs", PR_REGISTER, 0, {.octets = {[4] = 8}}, LENGTH, -1},
	{"SPEC_I_PT, cut within that length", PR_REGISTER, 0, {.octets = {[4] = 8}, .len = 27}, LENGTH, -1},
	{"more TransportIDs said than there are", PR_REGISTER, 0,
	 {.octets = {[4] = 8, [11] = 5}, .len = 32}, LENGTH, -1},
	{"fewer TransportIDs said than there are", PR_REGISTER, 0,
	 {.octets = {[4] = 8, [11] = 3}, .len = 32}, LENGTH, -1},
	{"a TransportID that is none", PR_REGISTER, 0, {.octets = {[4] = 8, [11] = 4}, .len = 32}, LIST, 28},
	{"SPEC_I_PT with RESERVE", PR_RESERVE, 1, {.octets = {[4] = 8}}, LIST, 20},
	{"SPEC_I_PT with REGISTER AND IGNORE EXISTING KEY", PR_REGISTER_AND_IGNORE, 0,
	 {.octets = {[4] = 8}}, LIST, 20},
	{"a reserved flag", PR_REGISTER, 0, {.octets = {[4] = 2}}, LIST, 20},
	{"a reserved octet", PR_REGISTER, 0, {.octets = {[5] = 1}}, LIST, 21},
	{"MOVE: a reserved octet", PR_REGISTER_AND_MOVE, 0, {.octets = {1}}, LIST, 16},
	{"MOVE: a reserved flag", PR_REGISTER_AND_MOVE, 0, {.octets = {[1] = 4}}, LIST, 17},
	{"MOVE: another length than there is", PR_REGISTER_AND_MOVE, 0, {.octets = {[7] = 1}}, LENGTH, -1},
	{"RESERVE: a scope that there is not", PR_RESERVE, 0x11, {0}, CDB, 2},
	{"RESERVE: a type that there is not", PR_RESERVE, 2, {0}, CDB, 2},
	{"a type for CLEAR means nothing", PR_CLEAR, 0xff, {.octets = {[5] = 1}}, LIST, 21},
	/* clang-format on */
};

static void is_wrong(void **state)
{
	const __typeof__(wrong[0]) *row = *state;
	struct pr_list list = row->list;
	struct peer_task t;

	peers_open();
	list.action_key = KEY_A;
	assert_int_equal(pr_out(&t, A, row->action, row->type, &list), SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&t.task), row->code);
	assert_int_equal(t.task.sense[2], KEY_ILLEGAL_REQUEST);
	if (row->field >= 0) {
		assert_int_equal(t.task.sense[15] & 0xc0, row->code == CDB ? 0xc0 : 0x80);
		assert_int_equal(get_be(t.task.sense + 16, 2), row->field);
	} else {
		assert_int_equal(t.task.sense[15], 0);
	}
	peers_close();
}

static void lengths_of_the_transport(void **state)
{
	struct rig_command c = pr_out_command(PR_REGISTER, 0, 24);
	struct peer_task t;

	(void)state;
	peers_open();
	c.edtl = 23;
	assert_int_equal(peer_run(&t, A, &c, NULL, 0), SCSI_CHECK_CONDITION);
	c.edtl = 24;
	c.write = false;
	assert_int_equal(peer_run(&t, A, &c, NULL, 0), SCSI_CHECK_CONDITION);
	c = pr_out_command(PR_REGISTER, 0, 24);
	put_be(c.cdb + 5, 4, UINT32_MAX);
	c.edtl = UINT32_MAX;
	assert_int_equal(peer_run(&t, A, &c, NULL, 0), SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&t.task), LENGTH);
	peers_close();
}

/* As long as an order carries, which gets to the arbiter; and longer, by up to the 4 octets that
 * REGISTER has more before its TransportIDs. */
static void longest_move(void **state)
{
	static uint8_t list[PR_LIST_TRANSPORT_IDS + ARBITER_OCTETS];
	size_t most = PR_MOVE_TRANSPORT_ID + ARBITER_OCTETS;

	(void)state;
	for (size_t len = most; len <= sizeof list; len++) {
		struct rig_command c = pr_out_command(PR_REGISTER_AND_MOVE, 0, len);
		struct peer_task t;

		peers_open();
		put_be(list + PR_LIST_ACTION_KEY, 8, KEY_A);
		put_be(list + PR_MOVE_TRANSPORT_ID - 4, 4, len - PR_MOVE_TRANSPORT_ID);
		assert_int_equal(peer_run(&t, A, &c, list, len),
				 len == most ? SCSI_RESERVATION_CONFLICT : SCSI_CHECK_CONDITION);
		assert_true(len == most || rig_code(&t.task) == LENGTH);
		peers_close();
	}
}

static void third_parties(void **state)
{
	static const struct rig_command bad[] = {
		{.cdb = {0x16, 0x10}}, {.cdb = {0x16, 0x01}},	 {.cdb = {0x17, 0x02}},
		{.cdb = {0x56, 0x10}}, {.cdb = {0x57, 0, 0, 1}}, {.cdb = {0x56, 0, [8] = 8}},
	};
	static const struct rig_command good[] = {
		{.cdb = {0x16, 0xe0, 0xff}},
		{.cdb = {0x56, 0, 0xff}},
		{.cdb = {0x57, 0, 0xff}},
		{.cdb = {0x17, 0xe0, 0xff}},
	};
	struct peer_task t;

	(void)state;
	peers_open();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(peer_run(&t, A, &bad[i], NULL, 0), SCSI_CHECK_CONDITION);
		assert_int_equal(rig_code(&t.task), CDB);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(peer_run(&t, A, &good[i], NULL, 0), SCSI_GOOD);
	peers_close();
}

/* --- the audit --- */

static void is_recorded_first(void **state)
{
	struct pr_list list = {.action_key = KEY_A};
	struct rig_command c = pr_out_command(PR_REGISTER, 0, 24);
	struct arbiter_order order;
	uint8_t octets[64];
	struct peer_task t;
	uint64_t before;

	(void)state;
	peers_open();
	before = rig->ring.head;
	list.key = KEY_B;
	assert_int_equal(peer_begin(&t, A, &c), SCSI_WANT_DATA);
	assert_int_equal(rig->ring.head, before);
	assert_int_equal(peer_buffer(&t, octets, list_write(&list, octets)), SCSI_RUNNING);
	assert_int_equal(rig->ring.head, before + 2);
	assert_int_equal(rig_record(before)->lba, KEY_B); /* both keys */
	assert_int_equal(rig_record(before + 1)->lba, KEY_A);
	rig_audit();
	assert_false(scsi_order_next(&rig->nexus, &order)); /* consumed is not durable */
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	assert_true(scsi_order_next(&rig->nexus, &order));
	assert_int_equal(order.kind, ORDER_PR_OUT);
	assert_int_equal(order.key, KEY_B);
	assert_int_equal(order.action_key, KEY_A);
	assert_int_equal(peer_end(&t, SCSI_RUNNING), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(rig_last(0)->kind, AUDIT_OUTCOME);
	peers_close();
}

static void reserve_is_recorded_first(void **state)
{
	static const struct rig_command reserve_6 = {.cdb = {0x16}};
	struct arbiter_order order;
	struct peer_task t;

	(void)state;
	peers_open();
	assert_int_equal(peer_begin(&t, A, &reserve_6), SCSI_RUNNING);
	rig_audit();
	assert_false(scsi_order_next(&rig->nexus, &order));
	assert_int_equal(peer_end(&t, SCSI_RUNNING), SCSI_GOOD);
	assert_int_equal(rig->nexus.arbiter->luns[0].state.reservation, RESERVATION_RESERVE_6);
	peers_close();
}

static void is_not_kept(void **state)
{
	struct pr_list list = {.action_key = KEY_A};
	struct peer_task t;

	(void)state;
	peers_open();
	rig->keep_result = -EIO;
	assert_int_equal(pr_out(&t, A, PR_REGISTER, 0, &list), SCSI_BUSY);
	rig->keep_result = 0;
	list.key = KEY_A;
	assert_int_equal(pr_out(&t, A, PR_RESERVE, 1, &list), SCSI_RESERVATION_CONFLICT);
	peers_close();
}

/* --- other sessions' commands --- */

static const struct rig_command write_1 = {
	.cdb = {0x2a, [5] = 8, [8] = 1}, .edtl = RIG_BLOCK, .write = true};

static bool is_written(void)
{
	for (size_t i = 0; i < RIG_BLOCK; i++) {
		if (rig->disk[8 * RIG_BLOCK + i] != 0)
			return true;
	}
	return false;
}

static void preempt_b(struct peer_task *t, uint8_t action)
{
	struct pr_list list = {.key = KEY_A, .action_key = KEY_B};

	assert_int_equal(pr_out(t, A, action, 5, &list), SCSI_GOOD);
}

/* A holds for registrants, B is one. */
static void open_shared(void)
{
	peers_open();
	peer_register(A);
	peer_register(B);
	peer_reserve(A, RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS);
	rig_share();
}

static void delayed_write(void **state)
{
	uint8_t data[RIG_BLOCK];
	struct peer_task late, t;

	(void)state;
	memset(data, 0x5a, sizeof data);
	open_shared();
	assert_int_equal(peer_begin(&late, B, &write_1), SCSI_WANT_DATA);
	assert_non_null(late.task.admission);
	preempt_b(&t, PR_PREEMPT);
	assert_int_equal(peer_end(&late, peer_buffer(&late, data, sizeof data)),
			 SCSI_RESERVATION_CONFLICT);
	assert_false(is_written());
	assert_int_equal(rig_last(0)->kind, AUDIT_OUTCOME);
	assert_int_equal(rig_last(0)->status, SCSI_RESERVATION_CONFLICT);
	peers_close();
}

static void running_write(void **state)
{
	struct pr_list list = {.key = KEY_A, .action_key = KEY_B};
	struct rig_command c = pr_out_command(PR_PREEMPT, 5, 24);
	uint8_t data[RIG_BLOCK], octets[64];
	struct peer_task late, t;

	(void)state;
	memset(data, 0x5a, sizeof data);
	open_shared();
	assert_int_equal(peer_begin(&late, B, &write_1), SCSI_WANT_DATA);
	assert_int_equal(peer_buffer(&late, data, sizeof data), SCSI_RUNNING);
	assert_int_equal(rig->queued, 1);
	assert_int_equal(peer_begin(&t, A, &c), SCSI_WANT_DATA);
	assert_int_equal(peer_buffer(&t, octets, list_write(&list, octets)), SCSI_RUNNING);
	for (unsigned n = 0; n < 3; n++)
		peers_turn();
	assert_int_equal(rig->dones, 0); /* it is in force, and not yet answered */
	assert_int_equal(peers[B].arbiter->luns[0].standing, STANDING_STRANGER);
	rig_reap();
	assert_true(is_written());
	peers_turn();
	assert_int_equal(rig->dones, 2);
	assert_int_equal(t.task.status, SCSI_GOOD);
	assert_int_equal(late.task.status, SCSI_GOOD);
	rig->dones = 0;
	peers_close();
}

static void is_told(void **state)
{
	static const struct rig_command ready = {.cdb = {0}};
	struct peer_task t;

	(void)state;
	open_shared();
	preempt_b(&t, PR_PREEMPT);
	assert_int_equal(peer_run(&t, B, &ready, NULL, 0), SCSI_CHECK_CONDITION);
	assert_int_equal(t.task.sense[2], KEY_UNIT_ATTENTION);
	assert_int_equal(rig_code(&t.task), 0x2a05);
	assert_int_equal(peer_run(&t, B, &ready, NULL, 0), SCSI_GOOD);
	assert_int_equal(peer_run(&t, A, &ready, NULL, 0), SCSI_GOOD);
	assert_int_equal(peer_run(&t, C, &ready, NULL, 0), SCSI_GOOD);
	assert_int_equal(peer_begin(&t, B, &write_1), SCSI_DONE);
	assert_int_equal(t.task.status, SCSI_RESERVATION_CONFLICT);
	peers_close();
}

static void tasks_are_ended(void **state)
{
	struct peer_task late, t;

	(void)state;
	open_shared();
	assert_int_equal(peer_begin(&late, B, &write_1), SCSI_WANT_DATA);
	preempt_b(&t, PR_PREEMPT_AND_ABORT);
	assert_int_equal(rig->seats[B].to_end, 1);
	assert_int_equal(rig->seats[A].to_end | rig->seats[C].to_end, 0);
	assert_true(scsi_cancel(&late.task));
	scsi_tasks_ended(&peers[B], 0);
	assert_false(is_written());
	peers_close();
}

/* P3: it was given the unit for reading. */
static void readers_shut_nobody_out(void **state)
{
	static const struct rig_command reserve_6 = {.cdb = {0x16}}, reserve_10 = {.cdb = {0x56}};
	static const uint8_t actions[] = {PR_RESERVE, PR_CLEAR, PR_PREEMPT, PR_PREEMPT_AND_ABORT,
					  PR_REGISTER_AND_MOVE};
	struct pr_list list = {.key = KEY_A, .action_key = KEY_B};
	struct peer_task t;

	(void)state;
	peers_open();
	rig->nexus.luns[0].writable = false;
	rig->nexus.luns[0].rule_line = 12;
	assert_int_equal(peer_run(&t, A, &reserve_6, NULL, 0), SCSI_CHECK_CONDITION);
	assert_int_equal(peer_run(&t, A, &reserve_10, NULL, 0), SCSI_CHECK_CONDITION);
	peer_register(A);
	peer_register(B);
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		assert_int_equal(pr_out(&t, A, actions[i], 1, &list), SCSI_CHECK_CONDITION);
		assert_int_equal(rig_code(&t.task), SENSE_WRITE_PROTECTED);
		assert_int_equal(rig_last(0)->verdict, VERDICT_DENIED);
		assert_int_equal(rig_last(0)->rule_line, 12);
	}
	peer_reserve(B, 1);
	peers_close();
}

static void who_waits_may_reserve(void **state)
{
	struct pr_list list = {.key = KEY_A};
	struct peer_task t;

	(void)state;
	peers_open();
	rig->nexus.luns[0].writable = false;
	rig->nexus.luns[0].waits = true;
	peer_register(A);
	assert_int_equal(pr_out(&t, A, PR_RESERVE, 1, &list), SCSI_GOOD);
	assert_int_equal(peer_run(&t, A, &write_1, NULL, 0), SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&t.task), SENSE_WRITE_PROTECTED);
	peers_close();
}

static void narrowed_write(void **state)
{
	uint8_t data[RIG_BLOCK] = {0x5a};
	struct peer_task late;

	(void)state;
	open_shared();
	assert_int_equal(peer_begin(&late, B, &write_1), SCSI_WANT_DATA);
	scsi_lun_narrowed(&peers[B], 0, 12);
	assert_int_equal(peer_end(&late, peer_buffer(&late, data, sizeof data)),
			 SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&late.task), SENSE_WRITE_PROTECTED);
	assert_int_equal(scsi_attention(&peers[B], 0), SENSE_MODE_PARAMETERS_CHANGED);
	peers_close();
}

/* --- PERSISTENT RESERVE IN --- */

static struct rig_command pr_in_command(uint8_t action, uint16_t room, uint32_t edtl)
{
	return (struct rig_command){
		.cdb = {0x5e, action, [7] = (uint8_t)(room >> 8), (uint8_t)room},
		.edtl = edtl,
		.read = edtl > 0};
}

static void keys_are_read(void **state)
{
	static const struct {
		uint16_t room;
		uint32_t edtl;
		size_t len, wanted;
	} rows[] = {{4096, 4096, 24, 24}, {24, 24, 24, 24}, {12, 4096, 12, 12},
		    {4096, 5, 5, 24},	  {0, 0, 0, 0},	    {16, 0, 0, 16}};
	uint8_t want[24] = {0, 0, 0, 2, 0, 0, 0, 16};
	struct peer_task t;

	(void)state;
	put_be(want + 8, 8, KEY_A);
	put_be(want + 16, 8, KEY_B);
	peers_open();
	peer_register(A);
	peer_register(B);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig_command c = pr_in_command(PR_READ_KEYS, rows[i].room, rows[i].edtl);

		assert_int_equal(peer_run(&t, C, &c, NULL, 0), SCSI_GOOD);
		assert_int_equal(t.task.data_len, rows[i].len);
		assert_int_equal(t.task.wanted, rows[i].wanted);
		assert_memory_equal(t.buffer, want, rows[i].len);
		for (size_t k = rows[i].len; k < sizeof t.buffer; k++)
			assert_int_equal(t.buffer[k], RIG_POISON);
	}
	peers_close();
}

/* With TransportIDs of 43 others: more than one piece. */
static void register_many(void)
{
	static uint8_t octets[2080];
	size_t ids = 0;
	struct rig_command c;
	struct peer_task t;

	memset(octets, 0, sizeof octets);
	put_be(octets + 8, 8, KEY_C);
	octets[20] = 8;
	for (unsigned n = 0; n < 43; n++, ids += 44) {
		uint8_t *id = octets + 28 + ids;

		put_be(id, 4, 0x45000028);
		(void)snprintf((char *)id + 4, 40, "iqn.2026-11.net.example:%02u,i,0x1", n);
	}
	put_be(octets + 24, 4, ids);
	c = pr_out_command(PR_REGISTER, 0, 28 + ids);
	assert_int_equal(peer_run(&t, C, &c, octets, 28 + ids), SCSI_GOOD);
}

static void long_status_is_whole(void **state)
{
	struct rig_command c = pr_in_command(PR_READ_FULL_STATUS, 4096, 4096);
	struct peer_task t;

	(void)state;
	peers_open();
	register_many();
	assert_int_equal(peer_run(&t, A, &c, NULL, 0), SCSI_GOOD);
	assert_int_equal(get_be(t.buffer + 4, 4) + 8, t.task.data_len);
	assert_true(t.task.data_len > ARBITER_OCTETS);
	for (size_t at = 8; at < t.task.data_len; at += 24 + get_be(t.buffer + at + 20, 4))
		assert_int_equal(get_be(t.buffer + at, 8), KEY_C);
	peers_close();
}

/* Half of it is here when somebody registers: it is not put together of two states. */
static void status_begins_again(void **state)
{
	struct rig_command c = pr_in_command(PR_READ_FULL_STATUS, 4096, 4096);
	struct arbiter_order order;
	struct rig_seat *seat;
	struct peer_task t;

	(void)state;
	peers_open();
	seat = &rig->seats[A];
	register_many();
	assert_int_equal(peer_begin(&t, A, &c), SCSI_WANT_BUFFER);
	assert_int_equal(peer_buffer(&t, NULL, 0), SCSI_RUNNING);
	assert_true(scsi_order_next(&rig->nexus, &order));
	scsi_order_sent(&rig->nexus);
	assert_int_equal(rig_say(seat, ARBITER_ORDER, &order, sizeof order), 0);
	seat->answered = 0;
	scsi_answered(&rig->nexus, &seat->answers[0]);
	assert_int_equal(t.task.progress, ARBITER_OCTETS);
	seat->nexus = NULL; /* it waits while B registers */
	peer_register(B);
	seat->nexus = &rig->nexus;
	assert_int_equal(peer_end(&t, SCSI_RUNNING), SCSI_GOOD);
	assert_int_equal(get_be(t.buffer, 4), 2);
	assert_int_equal(get_be(t.buffer + 4, 4) + 8, t.task.data_len);
	peers_close();
}

/* One order of A's to the arbiter and back, nobody else's. */
static void one_order(void)
{
	struct rig_seat *seat = &rig->seats[A];
	struct arbiter_order order;

	assert_true(scsi_order_next(&rig->nexus, &order));
	scsi_order_sent(&rig->nexus);
	assert_int_equal(rig_say(seat, ARBITER_ORDER, &order, sizeof order), 0);
	seat->answered = 0;
	scsi_answered(&rig->nexus, &seat->answers[0]);
}

static void prevents(void)
{
	static const struct rig_command prevent = {{0x1e, [4] = 1}, .edtl = 0};
	struct peer_task t;

	peers[B].luns[0].removable = true;
	assert_int_equal(peer_run(&t, B, &prevent, NULL, 0), SCSI_GOOD);
}

static void registers_or_not(void)
{
	static bool registered;
	struct pr_list list = {.key = registered ? KEY_B : 0, .action_key = registered ? 0 : KEY_B};
	struct peer_task t;

	assert_int_equal(pr_out(&t, B, PR_REGISTER, 0, &list), SCSI_GOOD);
	registered = !registered;
}

/* The disk changes between any two pieces of two; how many are asked for, and what it ends with. */
static const struct {
	const char *why;
	void (*change)(void);
	unsigned orders;
	uint8_t status;
} changes[] = {
	{"READ FULL STATUS does not begin again when something else changed", prevents, 2,
	 SCSI_GOOD},
	{"P6: READ FULL STATUS of what always changes ends", registers_or_not, 18, SCSI_BUSY},
};

static void status_while(void **state)
{
	const __typeof__(changes[0]) *row = *state;
	struct rig_command c = pr_in_command(PR_READ_FULL_STATUS, 4096, 4096);
	struct peer_task t;
	unsigned orders = 0;

	peers_open();
	register_many();
	assert_int_equal(peer_begin(&t, A, &c), SCSI_WANT_BUFFER);
	assert_int_equal(peer_buffer(&t, NULL, 0), SCSI_RUNNING);
	while (rig->dones == 0 && orders < 100) {
		one_order();
		orders++;
		if (rig->dones != 0)
			break;
		rig->seats[A].nexus = NULL; /* it waits meanwhile */
		row->change();
		rig->seats[A].nexus = &rig->nexus;
	}
	assert_int_equal(rig->dones, 1);
	assert_int_equal(orders, row->orders);
	assert_int_equal(t.task.status, row->status);
	peers_close();
}

/* --- RESERVE and RELEASE --- */

static void reserve_and_release(void **state)
{
	static const struct rig_command reserve = {.cdb = {0x56}}, release = {.cdb = {0x57}};
	struct peer_task t;

	(void)state;
	peers_open();
	assert_int_equal(peer_run(&t, A, &reserve, NULL, 0), SCSI_GOOD);
	assert_int_equal(peer_run(&t, B, &reserve, NULL, 0), SCSI_RESERVATION_CONFLICT);
	assert_int_equal(peer_run(&t, B, &release, NULL, 0), SCSI_GOOD);
	assert_int_equal(peer_begin(&t, B, &write_1), SCSI_DONE);
	assert_int_equal(t.task.status, SCSI_RESERVATION_CONFLICT);
	assert_int_equal(pr_out(&t, A, PR_CLEAR, 0, &(struct pr_list){0}),
			 SCSI_RESERVATION_CONFLICT);
	assert_int_equal(peer_run(&t, A, &release, NULL, 0), SCSI_GOOD);
	assert_int_equal(peer_run(&t, B, &reserve, NULL, 0), SCSI_GOOD);
	peers_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, wrong, is_wrong);
	tests_add(&t, "a list that does not come is not waited for", lengths_of_the_transport,
		  NULL);
	tests_add(&t, "P6: a REGISTER AND MOVE is no longer than an order", longest_move, NULL);
	tests_add(&t, "RESERVE is of the whole unit and for oneself", third_parties, NULL);
	tests_add(&t, "P2: the arbiter is asked after the record, with both keys, is durable",
		  is_recorded_first, NULL);
	tests_add(&t, "P2: RESERVE is asked after its record is durable", reserve_is_recorded_first,
		  NULL);
	tests_add(&t, "P4: what can't be kept is not done, and BUSY", is_not_kept, NULL);
	tests_add(&t, "P4: a write admitted before a preempt never lands after it", delayed_write,
		  NULL);
	tests_add(&t, "P4: PREEMPT is answered when what runs at the backend is over",
		  running_write, NULL);
	tests_add(&t, "who is preempted is told once, then kept out", is_told, NULL);
	tests_add(&t, "PREEMPT AND ABORT ends the tasks of who is preempted", tasks_are_ended,
		  NULL);
	tests_add(&t, "P3: who may only read shuts nobody out", readers_shut_nobody_out, NULL);
	tests_add(&t, "P3: who waits for the writer may reserve, and nothing else",
		  who_waits_may_reserve, NULL);
	tests_add(&t, "P3: a write that was admitted before its unit was narrowed never lands",
		  narrowed_write, NULL);
	tests_add(&t, "READ KEYS in rooms of all sizes", keys_are_read, NULL);
	tests_add(&t, "READ FULL STATUS of many pieces is whole", long_status_is_whole, NULL);
	TESTS_ADD_TABLE(&t, changes, status_while);
	tests_add(&t, "READ FULL STATUS begins again when the state changed", status_begins_again,
		  NULL);
	tests_add(&t, "RESERVE(10) excludes, RELEASE(10) ends it", reserve_and_release, NULL);
	return tests_run(&t, "reservations as commands");
}

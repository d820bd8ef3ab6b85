/* Asymmetric access states: SET and REPORT TARGET PORT GROUPS, what is carried out in which state,
 * and who hears of a change. A comes by group 1 and may set, B by group 2, C by group 1. */
#include "tests/unit/reservation_peers.h"

static struct tests t;

#define TAG_1 0, 1
#define TAG_2 0, 2
#define LIST(...)                       \
	{                               \
		0, 0, 0, 0, __VA_ARGS__ \
	}

enum { CHANGED = 0x2a06, STANDBY_CODE = 0x040b, UNAVAILABLE_CODE = 0x040c };

static uint64_t port_2;

static void by_group_2(unsigned who)
{
	struct scsi_nexus *n = nexus_of(who);
	struct scsi_port_group first = n->groups[0];

	n->portal_group = n->relative_port = 2;
	n->groups[0] = n->groups[1];
	n->groups[1] = first;
}

static void groups_open(void)
{
	peers_open();
	port_2 = arbiter_port_id("iqn.2026-11.net.example.gw:vault", 2);
	for (unsigned who = A; who < PEERS; who++) {
		nexus_of(who)->groups[1] = (struct scsi_port_group){port_2, 2};
		nexus_of(who)->group_count = 2;
	}
	by_group_2(B);
	assert_true(command_set_add(&rig->nexus.rules.allowed, "set-target-port-groups"));
	rig->seats[A].member.groups[0] = (struct member_group){1, rig->seats[A].member.port};
	rig->seats[A].member.groups[1] = (struct member_group){2, port_2};
}

static uint8_t set(struct peer_task *task, unsigned who, const uint8_t *list, size_t len)
{
	struct rig_command c = {.cdb = {0xa4, 0x0a, [8] = (uint8_t)(len >> 8), (uint8_t)len},
				.edtl = (uint32_t)len,
				.write = len > 0};

	return peer_run(task, who, &c, list, len);
}

static void set_group(uint8_t tag, enum access_state state)
{
	uint8_t list[] = LIST((uint8_t)state, 0, 0, tag);
	struct peer_task task;

	assert_int_equal(set(&task, A, list, sizeof list), SCSI_GOOD);
}

static unsigned attention_of(unsigned who)
{
	return scsi_attention(nexus_of(who), 0);
}

static void forget_attentions(void)
{
	for (unsigned who = A; who < PEERS; who++)
		nexus_of(who)->luns[0].attention_count = 0;
}

/* --- the list --- */

static const struct list_row {
	const char *why;
	uint8_t list[64];
	size_t len;
	uint8_t status;
	unsigned code;
	int field;	 /* that the sense points at; -1: none */
	uint64_t states; /* as REPORT TARGET PORT GROUPS then has them: group 1, group 2 */
} lists[] = {
	{"no list: nothing changes", {0}, 0, SCSI_GOOD, 0, -1, 0x0000},
	{"a header alone: nothing changes", {0}, 4, SCSI_GOOD, 0, -1, 0x0000},
	{"one group goes into standby", LIST(2, 0, TAG_2), 8, SCSI_GOOD, 0, -1, 0x0002},
	{"its own group goes into standby", LIST(2, 0, TAG_1), 8, SCSI_GOOD, 0, -1, 0x0200},
	{"each into a state of its own", LIST(1, 0, TAG_1, 3, 0, TAG_2), 12, SCSI_GOOD, 0, -1,
	 0x0103},
	{"a group that is where it shall be", LIST(0, 0, TAG_2), 8, SCSI_GOOD, 0, -1, 0x0000},
	{"a length between two descriptors", LIST(2, 0, TAG_2), 10, SCSI_CHECK_CONDITION, 0x1a00,
	 -1, 0},
	{"more descriptors than there can be groups", {0}, 40, SCSI_CHECK_CONDITION, 0x1a00, -1, 0},
	{"a reserved octet of the header",
	 {0, 0, 1, 0, 2, 0, TAG_2},
	 8,
	 SCSI_CHECK_CONDITION,
	 0x2600,
	 2,
	 0},
	{"a reserved octet of a descriptor", LIST(2, 1, TAG_2), 8, SCSI_CHECK_CONDITION, 0x2600, 5,
	 0},
	{"reserved bits beside the state", LIST(0x82, 0, TAG_2), 8, SCSI_CHECK_CONDITION, 0x2600, 4,
	 0},
	{"the state transitioning can't be asked for", LIST(15, 0, TAG_2), 8, SCSI_CHECK_CONDITION,
	 0x2600, 4, 0},
	{"the state offline is of single ports", LIST(14, 0, TAG_2), 8, SCSI_CHECK_CONDITION,
	 0x2600, 4, 0},
	{"a group that is none", LIST(2, 0, 0, 9), 8, SCSI_CHECK_CONDITION, 0x2600, 6, 0},
	{"group 0", LIST(2, 0, 0, 0), 8, SCSI_CHECK_CONDITION, 0x2600, 6, 0},
	{"a group twice", LIST(2, 0, TAG_2, 0, 0, TAG_2), 12, SCSI_CHECK_CONDITION, 0x2600, 10, 0},
	{"all or none: the second is wrong", LIST(2, 0, TAG_1, 7, 0, TAG_2), 12,
	 SCSI_CHECK_CONDITION, 0x2600, 8, 0},
};

static const uint8_t report_cdb[16] = {0xa3, 0x0a, [9] = 255};

static uint64_t states_now(unsigned who)
{
	struct rig_command c = {.edtl = 255, .read = true};
	struct peer_task task;

	memcpy(c.cdb, report_cdb, sizeof c.cdb);
	forget_attentions();
	assert_int_equal(peer_run(&task, who, &c, NULL, 0), SCSI_GOOD);
	assert_int_equal(task.task.data_len, 4 + 2 * 12);
	assert_int_equal(get_be(task.buffer + 4 + 2, 2), who == B ? 2 : 1);
	assert_int_equal(get_be(task.buffer + 16 + 2, 2), who == B ? 1 : 2);
	if (who == B)
		return (uint64_t)task.buffer[16] << 8 | task.buffer[4];
	return (uint64_t)task.buffer[4] << 8 | task.buffer[16];
}

static void test_list(void **state)
{
	const struct list_row *row = *state;
	struct peer_task task;

	groups_open();
	assert_int_equal(set(&task, A, row->list, row->len), row->status);
	if (row->status == SCSI_CHECK_CONDITION)
		assert_int_equal(rig_code(&task.task), row->code);
	if (row->status == SCSI_CHECK_CONDITION && row->field >= 0) {
		assert_int_equal(task.task.sense[15], 0x80);
		assert_int_equal(get_be(task.task.sense + 16, 2), row->field);
	}
	for (unsigned who = B; who < PEERS; who++)
		assert_int_equal(attention_of(who), row->states != 0 ? CHANGED : 0);
	assert_int_equal(attention_of(A), 0);
	for (unsigned who = A; who < PEERS; who++)
		assert_int_equal(states_now(who), row->states);
	peers_close();
}

/* --- what is carried out --- */

static const struct carried_row {
	const char *why;
	uint8_t cdb[16];
	uint32_t edtl; /* data-in */
	bool standby, unavailable;
} carried[] = {
	{"INQUIRY", {0x12, 0, 0, 0, 96}, 96, true, true},
	{"REPORT LUNS", {0xa0, [9] = 64}, 64, true, true},
	{"REQUEST SENSE", {0x03, 0, 0, 0, 18}, 18, true, true},
	{"REPORT TARGET PORT GROUPS", {0xa3, 0x0a, [9] = 64}, 64, true, true},
	{"SET TARGET PORT GROUPS", {0xa4, 0x0a}, 0, true, true},
	{"MODE SENSE(6)", {0x1a, 8, 0x3f, 0, 64}, 64, true, false},
	{"LOG SENSE", {0x4d, 0, 0x40, [8] = 64}, 64, true, false},
	{"SEND DIAGNOSTIC", {0x1d, 4}, 0, true, false},
	{"PERSISTENT RESERVE IN", {0x5e, 0, [8] = 64}, 64, true, false},
	{"READ CAPACITY(10)", {0x25}, 8, true, false},
	{"REPORT SUPPORTED OPERATION CODES", {0xa3, 0x0c, 1, 0x28, [9] = 64}, 64, true, false},
	{"TEST UNIT READY", {0x00}, 0, false, false},
	{"READ(10)", {0x28, [8] = 1}, 512, false, false},
	{"READ(10) of nothing", {0x28}, 0, false, false},
	{"WRITE(10) of nothing", {0x2a}, 0, false, false},
	{"SYNCHRONIZE CACHE(10)", {0x35}, 0, false, false},
	{"RESERVE(6)", {0x16}, 0, false, false},
};

static void test_one_state(const struct carried_row *row, enum access_state state, bool fine)
{
	struct rig_command c = {.edtl = row->edtl, .read = row->edtl > 0};
	struct peer_task task;

	memcpy(c.cdb, row->cdb, sizeof c.cdb);
	set_group(1, state);
	forget_attentions();
	rig->submitted = rig->ended = 0;
	if (fine) {
		assert_int_equal(peer_run(&task, A, &c, NULL, 0), SCSI_GOOD);
		return;
	}
	assert_int_equal(peer_run(&task, A, &c, NULL, 0), SCSI_CHECK_CONDITION);
	assert_int_equal(task.task.sense[2], 2);
	assert_int_equal(rig_code(&task.task),
			 state == ACCESS_STANDBY ? STANDBY_CODE : UNAVAILABLE_CODE);
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig_last(0)->verdict, VERDICT_REFUSED);
}

static void test_carried(void **state)
{
	const struct carried_row *row = *state;

	groups_open();
	test_one_state(row, ACCESS_NON_OPTIMIZED, true);
	test_one_state(row, ACCESS_STANDBY, row->standby);
	test_one_state(row, ACCESS_UNAVAILABLE, row->unavailable);
	test_one_state(row, ACCESS_OPTIMIZED, true);
	peers_close();
}

/* --- the rest --- */

static const struct rig_command read_one = {{0x28, [8] = 1}, .edtl = 512, .read = true};

static void other_group_goes_on(void **state)
{
	struct peer_task task;

	(void)state;
	groups_open();
	set_group(2, ACCESS_STANDBY);
	forget_attentions();
	assert_int_equal(peer_run(&task, C, &read_one, NULL, 0), SCSI_GOOD);
	assert_int_equal(peer_run(&task, B, &read_one, NULL, 0), SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&task.task), STANDBY_CODE);
	peers_close();
}

static void told_first(void **state)
{
	struct peer_task task;

	(void)state;
	groups_open();
	set_group(2, ACCESS_UNAVAILABLE);
	assert_int_equal(peer_run(&task, B, &read_one, NULL, 0), SCSI_CHECK_CONDITION);
	assert_int_equal(task.task.sense[2], 6);
	assert_int_equal(rig_code(&task.task), CHANGED);
	assert_int_equal(peer_run(&task, B, &read_one, NULL, 0), SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&task.task), UNAVAILABLE_CODE);
	peers_close();
}

static void nothing_new(void **state)
{
	(void)state;
	groups_open();
	set_group(2, ACCESS_STANDBY);
	forget_attentions();
	set_group(2, ACCESS_STANDBY);
	assert_int_equal(attention_of(B), 0);
	peers_close();
}

/* A write that is admitted, and whose data comes after the group's transition. */
static void never_lands(void **state)
{
	static const struct rig_command write_one = {{0x2a, [8] = 1}, .edtl = 512, .write = true};
	uint8_t data[512] = {1};
	struct peer_task late;

	(void)state;
	groups_open();
	assert_int_equal(peer_begin(&late, B, &write_one), SCSI_WANT_DATA);
	set_group(2, ACCESS_STANDBY);
	rig->submitted = rig->ended = 0;
	assert_int_equal(peer_end(&late, peer_buffer(&late, data, sizeof data)),
			 SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&late.task), STANDBY_CODE);
	assert_int_equal(rig->submitted, 0);
	peers_close();
}

static void request_sense(void **state)
{
	static const struct rig_command c = {{0x03, 0, 0, 0, 18}, .edtl = 18, .read = true};
	struct peer_task task;

	(void)state;
	groups_open();
	set_group(1, ACCESS_STANDBY);
	assert_int_equal(peer_run(&task, A, &c, NULL, 0), SCSI_GOOD);
	assert_int_equal(task.buffer[2], 2);
	assert_int_equal(get_be(task.buffer + 12, 2), STANDBY_CODE);
	peers_close();
}

static unsigned inquiry_octet(unsigned who, unsigned at)
{
	static const struct rig_command c = {{0x12, 0, 0, 0, 96}, .edtl = 96, .read = true};
	struct peer_task task;

	assert_int_equal(peer_run(&task, who, &c, NULL, 0), SCSI_GOOD);
	return task.buffer[at];
}

static void inquiry(void **state)
{
	(void)state;
	groups_open();
	assert_int_equal(inquiry_octet(A, 5) & 0x30, 0x30);
	assert_int_equal(inquiry_octet(B, 5) & 0x30, 0x10);
	set_group(2, ACCESS_STANDBY);
	assert_int_equal(inquiry_octet(B, 0), 0x00);
	set_group(2, ACCESS_UNAVAILABLE);
	assert_int_equal(inquiry_octet(B, 0), 0x20);
	assert_int_equal(inquiry_octet(A, 0), 0x00);
	peers_close();
}

static void status_code(void **state)
{
	struct rig_command c = {.edtl = 255, .read = true};
	struct peer_task task;

	(void)state;
	groups_open();
	memcpy(c.cdb, report_cdb, sizeof c.cdb);
	set_group(2, ACCESS_STANDBY);
	set_group(2, ACCESS_OPTIMIZED);
	assert_int_equal(peer_run(&task, A, &c, NULL, 0), SCSI_GOOD);
	assert_int_equal(get_be(task.buffer + 4, 8), 0x000f000100000001);
	assert_int_equal(get_be(task.buffer + 16, 8), 0x000f000200010001);
	peers_close();
}

static void off(void **state)
{
	static const uint8_t list[] = LIST(2, 0, TAG_1);
	struct peer_task task;

	(void)state;
	groups_open();
	assert_int_equal(set(&task, C, list, sizeof list), SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&task.task), 0x2000);
	assert_int_equal(states_now(A), 0);
	peers_close();
}

static void not_believed(void **state)
{
	static const uint8_t list[] = LIST(2, 0, TAG_1);
	struct peer_task task;

	(void)state;
	groups_open();
	assert_true(command_set_add(&peers[C].rules.allowed, "set-target-port-groups"));
	assert_int_equal(set(&task, C, list, sizeof list), SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&task.task), 0x2600);
	assert_int_equal(states_now(A), 0);
	peers_close();
}

static void no_place(void **state)
{
	static const uint8_t list[] = LIST(2, 0, TAG_1);
	struct arbiter_record *record;
	struct peer_task task;

	(void)state;
	groups_open();
	record = court_record(&rig->court, 0);
	assert_non_null(record);
	for (unsigned k = 0; k < ARBITER_GROUPS; k++)
		record->state.access[k] = (struct arbiter_access){100 + k, ACCESS_STANDBY};
	assert_int_equal(set(&task, A, list, sizeof list), SCSI_CHECK_CONDITION);
	assert_int_equal(task.task.sense[2], 4);
	assert_int_equal(rig_code(&task.task), 0x670a);
	record->state.access[3].state = ACCESS_OPTIMIZED;
	assert_int_equal(set(&task, A, list, sizeof list), SCSI_GOOD);
	assert_int_equal(states_now(A), 0x0200);
	peers_close();
}

static void after_a_reset(void **state)
{
	(void)state;
	groups_open();
	set_group(2, ACCESS_STANDBY);
	rig_reset_by(C);
	peers_turn();
	assert_int_equal(states_now(A), 0x0002);
	peers_close();
}

static void durable_first(void **state)
{
	static const uint8_t list[] = LIST(2, 0, TAG_2);
	struct rig_command c = {
		.cdb = {0xa4, 0x0a, [9] = sizeof list}, .edtl = sizeof list, .write = true};
	struct peer_task task;

	(void)state;
	groups_open();
	assert_int_equal(peer_begin(&task, A, &c), SCSI_WANT_DATA);
	assert_int_equal(peer_buffer(&task, list, sizeof list), SCSI_RUNNING);
	assert_int_equal(rig_last(0)->kind, AUDIT_LIST); /* which groups, and what they become */
	assert_int_equal(rig_last(0)->cdb_len, sizeof list - 4);
	assert_memory_equal(rig_last(0)->cdb, list + 4, sizeof list - 4);
	rig_share();
	assert_int_equal(attention_of(B), 0);
	assert_int_equal(peer_end(&task, SCSI_RUNNING), SCSI_GOOD);
	assert_int_equal(attention_of(B), CHANGED);
	peers_close();
}

int main(void)
{
	TESTS_ADD_TABLE(&t, lists, test_list);
	TESTS_ADD_TABLE(&t, carried, test_carried);
	tests_add(&t, "a group in standby keeps nobody up who comes by another",
		  other_group_goes_on, NULL);
	tests_add(&t, "whoever comes by the group is told 2Ah/06h before it is refused", told_first,
		  NULL);
	tests_add(&t, "what changes nothing is told to nobody", nothing_new, NULL);
	tests_add(&t, "a write that was admitted before its group went into standby never lands",
		  never_lands, NULL);
	tests_add(&t, "REQUEST SENSE tells the state", request_sense, NULL);
	tests_add(&t, "INQUIRY: TPGS says who may set, qualifier 001b that the port is unavailable",
		  inquiry, NULL);
	tests_add(&t, "REPORT TARGET PORT GROUPS: status code 1 after a change, back again, too",
		  status_code, NULL);
	tests_add(&t, "P1: who is not allowed to gets 20h/00h, and nothing changes", off, NULL);
	tests_add(&t, "P1: the arbiter believes no session that it may", not_believed, NULL);
	tests_add(&t, "67h/0Ah when the disk has as many groups in states as can be kept", no_place,
		  NULL);
	tests_add(&t, "a reset leaves the states", after_a_reset, NULL);
	tests_add(&t, "P2: others are shut out after the record of it is durable", durable_first,
		  NULL);
	return tests_run(&t, "scsi_port_groups");
}

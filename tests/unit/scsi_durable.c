/* Commands that destroy what nobody sent anything to replace it with, or take something from
 * others: which these are, and that nothing of them reaches the disk or the arbiter before their
 * record is durable. */
#include "tests/unit/scsi_copy_rig.h"
#include "gateway/scsi/commands.h"

static size_t put_nothing(void)
{
	return 0;
}

static size_t put_same(void)
{
	memset(rig->buffer, 7, RIG_BLOCK);
	return RIG_BLOCK;
}

static size_t put_unmap(void)
{
	memset(rig->buffer, 0, 24);
	put_be(rig->buffer, 2, 22);
	put_be(rig->buffer + 2, 2, 16);
	put_be(rig->buffer + 8, 8, 5);
	put_be(rig->buffer + 16, 4, 3);
	return 24;
}

static size_t put_modes(void)
{
	static const uint8_t wce_off[4 + 20] = {[4] = 0x08, 0x12};

	memcpy(rig->buffer, wce_off, sizeof wce_off);
	return sizeof wce_off;
}

static size_t put_modes_10(void)
{
	static const uint8_t wce_off[8 + 20] = {[8] = 0x08, 0x12};

	memcpy(rig->buffer, wce_off, sizeof wce_off);
	return sizeof wce_off;
}

static size_t put_pattern(void)
{
	static const uint8_t list[8] = {1, 0, 0, 4, 1, 2, 3, 4};

	memcpy(rig->buffer, list, sizeof list);
	return sizeof list;
}

static size_t put_key(void)
{
	memset(rig->buffer, 0, 24);
	rig->buffer[15] = 9;
	return 24;
}

static size_t put_copy(void)
{
	static const struct copy_case c = {
		.targets = {{.lun = 0}, {.lun = 1}},
		.segments = {{.from = 0, .to = 1, .blocks = 4, .from_lba = 5, .to_lba = 6}},
		.list_id = 9};

	return copy_put(&c);
}

static size_t put_copy_4(void)
{
	static const struct copy_case c = {
		.targets = {{.lun = 0}, {.lun = 1}},
		.segments = {{.from = 0, .to = 1, .blocks = 4, .from_lba = 5, .to_lba = 6}},
		.list_id = 9,
		.lid4 = true};

	return copy_put(&c);
}

static size_t put_token_of_zeroes(void)
{
	memset(rig->buffer, 0, 552);
	put_be(rig->buffer, 2, 550);
	put_be(rig->buffer + 16, 4, 0xffff0001);
	put_be(rig->buffer + 16 + 6, 2, 0x1f8);
	put_be(rig->buffer + 534, 2, 16);
	put_be(rig->buffer + 536, 8, 5);
	put_be(rig->buffer + 544, 4, 3);
	return 552;
}

static size_t put_groups(void)
{
	static const uint8_t list[8] = {[4] = 2, [7] = 1};

	memcpy(rig->buffer, list, sizeof list);
	return sizeof list;
}

/* clang-format off */
static const struct {
	const char *why;
	uint8_t cdb[16];
	size_t (*put)(void);
	uint8_t length_at, length_width; /* of the list's length in the CDB */
} rows[] = {
	{"P2: FORMAT UNIT waits for its record to be durable", {0x04}, put_nothing, 0, 0},
	{"P2: MODE SELECT(6) waits for its record to be durable", {0x15, 0x10}, put_modes, 4, 1},
	{"P2: MODE SELECT(10) waits for its record to be durable", {0x55, 0x10}, put_modes_10, 7, 2},
	{"P2: RESERVE(6) waits for its record to be durable", {0x16}, put_nothing, 0, 0},
	{"P2: RELEASE(10) waits for its record to be durable", {0x57}, put_nothing, 0, 0},
	{"P2: a stop waits for its record to be durable", {0x1b}, put_nothing, 0, 0},
	{"P2: a stop without a flush waits for its record to be durable", {0x1b, [4] = 4}, put_nothing, 0, 0},
	{"P2: WRITE SAME(10) waits for its record to be durable", {0x41, [5] = 5, [8] = 3}, put_same, 0, 0},
	{"P2: WRITE SAME(16) waits for its record to be durable", {0x93, 8, [9] = 5, [13] = 3}, put_same, 0, 0},
	{"P2: WRITE SAME(16) without data waits for its record to be durable",
	 {0x93, 1, [9] = 5, [13] = 3}, put_nothing, 0, 0},
	{"P2: UNMAP waits for its record to be durable", {0x42}, put_unmap, 7, 2},
	{"P2: SANITIZE OVERWRITE waits for its record to be durable", {0x48, 1}, put_pattern, 7, 2},
	{"P2: SANITIZE BLOCK ERASE waits for its record to be durable", {0x48, 2}, put_nothing, 0, 0},
	{"P2: EXIT FAILURE MODE waits for its record to be durable", {0x48, 0x1f}, put_nothing, 0, 0},
	{"P2: PERSISTENT RESERVE OUT waits for its record to be durable", {0x5f}, put_key, 5, 4},
	{"P2: EXTENDED COPY(LID1) waits for its record to be durable", {0x83}, put_copy, 10, 4},
	{"P2: EXTENDED COPY(LID4) waits for its record to be durable", {0x83, 1}, put_copy_4, 10, 4},
	{"P2: WRITE USING TOKEN waits for its record to be durable", {0x83, 0x11}, put_token_of_zeroes, 10, 4},
	{"P2: SET TARGET PORT GROUPS waits for its record to be durable", {0xa4, 0x0a}, put_groups, 6, 4},
};
/* clang-format on */

static struct scsi_task task;

/* Admitted, with all of its data; nobody but the gate has heard of it. */
static void begin(const __typeof__(rows[0]) *row)
{
	struct rig_command c = {0};
	enum scsi_step step;

	copy_open();
	rig->nexus.luns[0].thin = true;
	assert_true(command_set_add(&rig->nexus.rules.allowed, "sanitize"));
	rig->seats[0].member.groups[0] = (struct member_group){1, rig->seats[0].member.port};
	assert_true(command_set_add(&rig->nexus.rules.allowed, "set-target-port-groups"));
	memcpy(c.cdb, row->cdb, sizeof c.cdb);
	c.edtl = (uint32_t)row->put();
	c.write = c.edtl > 0;
	if (row->length_width != 0)
		put_be(c.cdb + row->length_at, row->length_width, c.edtl);
	rig_prepare(&task, &c);
	step = scsi_begin(&task);
	if (step == SCSI_WANT_DATA) {
		rig_give_buffer(&task);
		step = scsi_data_arrived(&task);
	}
	assert_int_equal(step, SCSI_RUNNING);
	assert_true(rig->ring.head > 0);
}

static bool is_told(void)
{
	struct arbiter_order order;

	return scsi_order_next(&rig->nexus, &order);
}

static void waits(void **state)
{
	const __typeof__(rows[0]) *row = *state;
	uint64_t head;

	begin(row);
	head = rig->ring.head;
	for (unsigned turn = 0; turn < 3; turn++) {
		rig_audit(); /* taken, not durable */
		scsi_audit_moved(&rig->nexus);
		assert_false(is_told());
		rig_share();
		assert_int_equal(rig->submitted, 0);
	}
	assert_int_equal(rig->ring.head, head);
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	assert_true(rig->submitted == 1 || is_told());
	for (unsigned turn = 0; turn < RIG_TURNS && rig->dones == 0; turn++) {
		rig_share();
		rig_reap();
		rig_recorded();
	}
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_GOOD);
	rig_close();
}

static void without_audit(void **state)
{
	begin(*state);
	atomic_store(&rig->page->state, AUDIT_CANNOT_WRITE);
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_BUSY);
	assert_int_equal(rig_last(0)->verdict, VERDICT_NOT_EXECUTED);
	assert_false(is_told());
	assert_int_equal(rig->submitted, 0);
	rig_close();
}

static void aborted(void **state)
{
	begin(*state);
	assert_true(scsi_cancel(&task));
	assert_int_equal(rig_last(0)->verdict, VERDICT_NOT_EXECUTED);
	rig_recorded();
	rig_share();
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig->dones, 0);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
	rig_close();
}

/* Every command of the table: writes that bring their data, reads and questions do not wait. */
static void which(void **state)
{
	static const uint8_t opcodes[] = {0x04, 0x15, 0x16, 0x17, 0x1b, 0x41, 0x42,
					  0x48, 0x55, 0x56, 0x57, 0x5f, 0x93, 0xa4};
	size_t count;
	const struct scsi_command *all = commands(&count);

	(void)state;
	for (size_t k = 0; k < count; k++) {
		bool want = all[k].opcode == 0x83 && (all[k].touches & TOUCHES_WRITE) != 0;

		for (size_t i = 0; i < ARRAY_LEN(opcodes); i++)
			want = want || all[k].opcode == opcodes[i];
		assert_int_equal(all[k].durable_first, want);
		if (all[k].touches & TOUCHES_DISCARD)
			assert_true(all[k].durable_first);
	}
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "what waits is what destroys without data, and what takes from others", which,
		  NULL);
	TESTS_ADD_TABLE(&t, rows, waits);
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		tests_add(&t, "P2: … and it is not carried out without an audit", without_audit,
			  &rows[k]);
		tests_add(&t, "an abort of what waits leaves nothing", aborted, &rows[k]);
	}
	return tests_run(&t, "scsi durable");
}

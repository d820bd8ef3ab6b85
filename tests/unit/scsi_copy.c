/* EXTENDED COPY on the bench: what its list may name, what of it is refused, how blocks move, and
 * what the audit has of it before the first one does. */
#include "tests/unit/scsi_copy_rig.h"

/* From LUN 0 to LUN 1, blocks 10 to 14 onto 100. */
#define SEG(f, t, n, a, b) .from = (f), .to = (t), .blocks = (n), .from_lba = (a), .to_lba = (b)
#define TWO_UNITS	   .targets = {{.lun = 0}, {.lun = 1}}
#define FIVE		   .segments = {{SEG(0, 1, 5, 10, 100)}}

static const struct {
	const char *why;
	struct copy_case c;
	enum sense_key key;
	uint32_t code;
	unsigned field; /* of the parameter list; 0: none */
} refusals[] = {
	{"a target descriptor of another type",
	 .c = {.targets = {{.lun = 0, .type = 0xe0}, {.lun = 1}}, FIVE}, .key = 5, .code = 0x2607},
	{"a name that is longer than its field",
	 .c = {.targets = {{.lun = 0, .name_len = 21}, {.lun = 1}}, FIVE}, .key = 5, .code = 0x2600,
	 .field = 23},
	{"a null target", .c = {.targets = {{.lun = 0, .flags = 0x20}, {.lun = 1}}, FIVE},
	 .key = 10, .code = 0x0804},
	{"a target that is no disk",
	 .c = {.targets = {{.lun = 0, .flags = 0x01}, {.lun = 1}}, FIVE}, .key = 10,
	 .code = 0x0d03},
	{"P1: a name that no LUN of this session has",
	 .c = {.targets = {{.lun = 0, .spoiled = 9}, {.lun = 1}}, FIVE}, .key = 10, .code = 0x0d02},
	{"P1: a destination that no LUN of this session has",
	 .c = {.targets = {{.lun = 0}, {.lun = 1, .spoiled = 9}}, FIVE}, .key = 10, .code = 0x0d02},
	{"a name that is shorter than the unit's",
	 .c = {.targets = {{.lun = 0, .name_len = 7}, {.lun = 1}}, FIVE}, .key = 10,
	 .code = 0x0d02},
	{"a name of another kind", .c = {.targets = {{.lun = 0, .kind = 1}, {.lun = 1}}, FIVE},
	 .key = 10, .code = 0x0d02},
	{"the name of a port", .c = {.targets = {{.lun = 0, .kind = 0x13}, {.lun = 1}}, FIVE},
	 .key = 10, .code = 0x0d02},
	{"a block length that is not the unit's",
	 .c = {.targets = {{.lun = 0, .block = 520}, {.lun = 1}}, FIVE}, .key = 5, .code = 0x2600,
	 .field = 45},
	{"a segment descriptor of another type",
	 .c = {TWO_UNITS, .segments = {{SEG(0, 1, 5, 10, 100), .type = 3}}}, .key = 5,
	 .code = 0x2609},
	{"a segment descriptor of another length",
	 .c = {TWO_UNITS, .segments = {{SEG(0, 1, 5, 10, 100), .len = 0x14}}}, .key = 5,
	 .code = 0x2600, .field = 82},
	{"a source index behind the list", .c = {TWO_UNITS, .segments = {{SEG(2, 1, 5, 10, 100)}}},
	 .key = 10, .code = 0x0804},
	{"a destination index behind the list",
	 .c = {TWO_UNITS, .segments = {{SEG(0, 0xffff, 5, 10, 100)}}}, .key = 10, .code = 0x0804},
	{"a source past the end",
	 .c = {TWO_UNITS, .segments = {{SEG(0, 1, 5, RIG_BLOCKS - 4, 100)}}}, .key = 10, .code = 0},
	{"a destination past the end",
	 .c = {TWO_UNITS, .segments = {{SEG(0, 1, 5, 10, RIG_BLOCKS - 4)}}}, .key = 10, .code = 0},
	{"LBAs of all ones do not wrap",
	 .c = {TWO_UNITS, .segments = {{SEG(0, 1, 5, UINT64_MAX, UINT64_MAX)}}}, .key = 10,
	 .code = 0},
	{"nothing of a list is done whose last segment is bad",
	 .c = {TWO_UNITS, .segments = {{SEG(0, 1, 5, 10, 100)}, {SEG(0, 2, 1, 0, 0)}},
	       .segment_count = 2},
	 .key = 10, .code = 0x0804},
	{"too many target descriptors",
	 .c = {TWO_UNITS, FIVE, .target_count = COPY_TARGETS_MAX + 1}, .key = 5, .code = 0x2606},
	{"too many segment descriptors",
	 .c = {TWO_UNITS, FIVE, .segment_count = COPY_SEGMENTS_MAX + 1}, .key = 5, .code = 0x2608},
	{"a usage of the list identifier that is reserved", .c = {TWO_UNITS, FIVE, .flags = 0x08},
	 .key = 5, .code = 0x2600, .field = 1},
	{"a reserved bit of the header", .c = {TWO_UNITS, FIVE, .flags = 0x40}, .key = 5,
	 .code = 0x2600, .field = 1},
	{"a list identifier where none is used",
	 .c = {TWO_UNITS, FIVE, .list_id = 1, .flags = 0x18}, .key = 5, .code = 0x2600},
};

static void refused(void **state)
{
	const __typeof__(refusals[0]) *row = *state;
	const struct scsi_task *task;

	copy_open();
	task = copy_run(&row->c);
	assert_int_equal(task->status, SCSI_CHECK_CONDITION);
	assert_int_equal(task->sense[2], row->key);
	assert_int_equal(rig_code(task), row->code);
	if (row->field != 0)
		assert_int_equal(get_be(task->sense + 16, 2), row->field);
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig->ring.head, 1);
	assert_int_equal(rig_last(0)->verdict, VERDICT_REFUSED);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
	rig_close();
}

/* P1: somebody else's disk and one that is not there are answered with the same octets. */
static void not_yours(void **state)
{
	static const struct copy_case theirs = {.targets = {{.lun = 2}, {.lun = 1}}, FIVE};
	static const struct copy_case nobodys = {.targets = {{.lun = 0, .spoiled = 77}, {.lun = 1}},
						 FIVE};
	uint8_t sense[SCSI_SENSE_SIZE];

	(void)state;
	copy_open();
	rig_add_lun(2, true);
	rig->nexus.luns[2].present = false; /* the gateway has it, this session has not */
	memcpy(sense, copy_run(&theirs)->sense, sizeof sense);
	assert_memory_equal(copy_run(&nobodys)->sense, sense, sizeof sense);
	assert_int_equal(rig->submitted, 0);
	rig_close();
}

/* --- what is done --- */

static void moves_blocks(void **state)
{
	static const struct copy_case c = {.targets = {{.lun = 0, .flags = 0x40}, {.lun = 1}},
					   FIVE};

	(void)state;
	copy_open();
	assert_int_equal(copy_run(&c)->status, SCSI_GOOD);
	for (uint64_t n = 90; n < 110; n++)
		assert_int_equal(copy_block(rig->second_disk, n),
				 n < 100 || n >= 105 ? 1000000 + n : n - 90);
	for (uint64_t n = 0; n < 200; n++)
		assert_int_equal(copy_block(rig->disk, n), n);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
	rig_close();
}

/* P2: a record for each side, with its LUN and blocks, is in the ring before the first read. */
static void is_audited(void **state)
{
	static const struct copy_case c = {
		TWO_UNITS,
		.segments = {{SEG(0, 1, 5, 10, 100)}, {SEG(1, 0, 0, 0, 0)}, {SEG(1, 0, 2, 7, 8)}},
		.segment_count = 3};
	static const struct {
		uint16_t lun;
		bool source;
		uint64_t lba;
		uint32_t blocks;
	} want[] = {{0, true, 10, 5}, {1, false, 100, 5}, {1, true, 7, 2}, {0, false, 8, 2}};

	(void)state;
	copy_open();
	assert_int_equal(copy_run(&c)->status, SCSI_GOOD);
	assert_int_equal(rig->ring.head, ARRAY_LEN(want));
	assert_int_equal(rig->log[0].records_before, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_int_equal(rig_record(i)->verdict, VERDICT_ADMITTED);
		assert_int_equal(rig_record(i)->lun, want[i].lun);
		assert_int_equal(rig_record(i)->source, want[i].source);
		assert_int_equal(rig_record(i)->lba, want[i].lba);
		assert_int_equal(rig_record(i)->blocks, want[i].blocks);
	}
	rig_close();
}

static void lid4(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
	} wrong[] = {{0, 0}, {1, 0x08}, {3, 0}, {15, 2}, {16, 0xe4}};
	static const struct copy_case c = {TWO_UNITS, FIVE, .list_id = 7, .lid4 = true};
	struct rig_command command, status = {{0x84, 5, 0, 0, 0, 7, [13] = 64}, .edtl = 64};

	(void)state;
	copy_open();
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		command = copy_command(copy_put(&c));
		command.cdb[1] = 1;
		rig->buffer[wrong[i].at] = wrong[i].value;
		assert_int_equal(rig_code(rig_run(&command)), 0x2600);
	}
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(copy_run(&c)->status, SCSI_GOOD);
	assert_int_equal(copy_block(rig->second_disk, 104), 14);
	status.read = true;
	assert_int_equal(rig_run(&status)->data_len, 32);
	assert_int_equal(get_be(rig->buffer, 8), 0x0000001c01010001);
	assert_int_equal(get_be(rig->buffer + 16, 8), 5 * RIG_BLOCK);
	rig_close();
}

static const struct {
	const char *why;
	uint64_t from, to;
	uint16_t blocks;
} overlaps[] = {
	{"onto blocks after it that overlap", 10, 12, 2000},
	{"onto blocks before it that overlap", 12, 10, 2000},
	{"onto itself", 10, 10, 2000},
	{"onto the blocks right after it", 10, 1300, 1290},
};

static void overlap(void **state)
{
	const __typeof__(overlaps[0]) *row = *state;
	struct copy_case c = {.segments = {{SEG(0, 0, row->blocks, row->from, row->to)}}};

	copy_open();
	assert_int_equal(copy_run(&c)->status, SCSI_GOOD);
	for (uint64_t n = 0; n < 4000; n++)
		assert_int_equal(copy_block(rig->disk, n), n < row->to || n >= row->to + row->blocks
								   ? n
								   : n - row->to + row->from);
	rig_close();
}

static void nothing_to_do(void **state)
{
	static const struct copy_case none = {TWO_UNITS,
					      .segments = {{SEG(0, 1, 0, RIG_BLOCKS, RIG_BLOCKS)}}};
	struct rig_command empty = copy_command(0);

	(void)state;
	copy_open();
	assert_int_equal(copy_run(&none)->status, SCSI_GOOD);
	assert_int_equal(rig_run(&empty)->status, SCSI_GOOD);
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig->ring.head, 2);
	rig_close();
}

/* Cut at every octet: never a copy. */
static void truncated(void **state)
{
	static const struct copy_case c = {TWO_UNITS, FIVE};
	size_t whole;

	(void)state;
	copy_open();
	whole = copy_put(&c);
	for (size_t len = 1; len < whole; len++) {
		struct rig_command cut = copy_command(len);
		const struct scsi_task *task = rig_run(&cut);

		assert_int_equal(task->sense[2], KEY_ILLEGAL_REQUEST);
		assert_int_equal(rig_code(task), 0x1a00);
	}
	assert_int_equal(rig->submitted, 0);
	rig_close();
}

/* --- who may --- */

static const struct {
	const char *why;
	bool source_read_only, destination_read_only;
	struct protected_range range;
	uint32_t code; /* 0: it is carried out */
	uint32_t line;
} rules[] = {
	{"P1: a destination that is read-only", false, true, {.lun = 0}, 0x2700, 42},
	{"a source that is read-only", true, false, {.lun = 0}, 0, 0},
	{"P1: a destination that is protected from writes",
	 false,
	 false,
	 {104, 200, 1, false, 7},
	 0x2700,
	 7},
	{"a source that is protected from writes", false, false, {0, 50, 0, false, 7}, 0, 0},
	{"P1: a source that is protected from reads",
	 false,
	 false,
	 {14, 14, 0, true, 7},
	 0x2700,
	 7},
	{"blocks beside what is protected", false, false, {105, 200, -1, true, 7}, 0, 0},
};

static void ruled(void **state)
{
	static const struct copy_case c = {TWO_UNITS, FIVE};
	const __typeof__(rules[0]) *row = *state;
	const struct scsi_task *task;

	copy_open();
	rig->nexus.luns[0].writable = !row->source_read_only;
	rig->nexus.luns[1].writable = !row->destination_read_only;
	rig->nexus.luns[1].rule_line = row->destination_read_only ? 42 : 0;
	rig->nexus.rules.ranges[0] = row->range;
	rig->nexus.rules.range_count = row->range.rule_line != 0;
	task = copy_run(&c);
	assert_int_equal(rig_code(task), row->code);
	if (row->code != 0) {
		assert_int_equal(task->sense[2], KEY_DATA_PROTECT);
		assert_int_equal(rig->submitted, 0);
		assert_int_equal(rig_last(0)->verdict, VERDICT_DENIED);
		assert_int_equal(rig_last(0)->rule_line, row->line);
	} else {
		assert_int_equal(task->status, SCSI_GOOD);
	}
	rig_close();
}

/* Another nexus has reserved the disk of that LUN, as the arbiter publishes it. */
static void reserve(unsigned lun, enum reservation type)
{
	struct arbiter_record *r = court_record(&rig->court, lun);

	r->state.reservation = (uint8_t)type;
	r->state.holder = 4711;
	publish(&rig->court, lun);
}

static const struct {
	const char *why;
	unsigned lun;
	enum reservation type;
	uint8_t status;
} reservations[] = {
	{"the source's others may not read", 2, RESERVATION_EXCLUSIVE_ACCESS, SCSI_CHECK_CONDITION},
	{"the source's others may read", 2, RESERVATION_WRITE_EXCLUSIVE, SCSI_GOOD},
	{"the destination's others may not write", 1, RESERVATION_WRITE_EXCLUSIVE,
	 SCSI_CHECK_CONDITION},
	{"the destination's others may do nothing", 1, RESERVATION_RESERVE_6, SCSI_CHECK_CONDITION},
	{"the unit that is asked", 0, RESERVATION_WRITE_EXCLUSIVE, SCSI_RESERVATION_CONFLICT},
};

static void reserved(void **state)
{
	static const struct copy_case c = {.targets = {{.lun = 2}, {.lun = 1}}, FIVE};
	const __typeof__(reservations[0]) *row = *state;
	const struct scsi_task *task;

	copy_open();
	rig_add_lun(2, true);
	reserve(row->lun, row->type);
	task = copy_run(&c);
	assert_int_equal(task->status, row->status);
	if (row->status == SCSI_CHECK_CONDITION) {
		assert_int_equal(task->sense[2], KEY_COPY_ABORTED);
		assert_int_equal(rig_code(task), 0x0d01);
	}
	assert_int_equal(rig->submitted > 0, row->status == SCSI_GOOD);
	rig_close();
}

/* --- on the way --- */

static enum scsi_step begin(struct scsi_task *task, const struct copy_case *c)
{
	struct rig_command command = copy_command(copy_put(c));
	enum scsi_step step;

	rig_prepare(task, &command);
	assert_int_equal(scsi_begin(task), SCSI_WANT_DATA);
	rig_give_buffer(task);
	step = scsi_data_arrived(task);
	rig_recorded();
	return step;
}

/* 600 KiB: three pieces, of which each is read and written. */
static const struct copy_case long_one = {TWO_UNITS, .segments = {{SEG(0, 1, 1200, 0, 2000)}},
					  .list_id = 9};

/* Somebody else is excluded while a copy runs: its next piece does not land. */
static void preempted(void **state)
{
	struct scsi_task task;

	(void)state;
	copy_open();
	assert_int_equal(begin(&task, &long_one), SCSI_RUNNING);
	rig_reap_one();
	reserve(1, RESERVATION_WRITE_EXCLUSIVE);
	rig_reap();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.sense[2], KEY_COPY_ABORTED);
	assert_int_equal(rig_code(&task), 0x0d01);
	assert_int_equal(rig_last(0)->kind, AUDIT_OUTCOME);
	assert_int_equal(rig_last(0)->verdict, VERDICT_FAILED);
	rig_close();
}

static void cancelled(void **state)
{
	struct scsi_task task;

	(void)state;
	copy_open();
	assert_int_equal(begin(&task, &long_one), SCSI_RUNNING);
	rig_reap_one();
	assert_int_equal(rig->submitted, 2);
	assert_false(scsi_cancel(&task));
	rig_reap();
	assert_int_equal(rig->submitted, 2);
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_TASK_ABORTED);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS - 0);
	rig_close();
}

static void fails(void **state)
{
	struct scsi_task task;

	(void)state;
	copy_open();
	rig->results[1] = -EIO; /* the first write */
	assert_int_equal(begin(&task, &long_one), SCSI_RUNNING);
	rig_reap();
	assert_int_equal(task.sense[2], KEY_COPY_ABORTED);
	assert_int_equal(rig_code(&task), 0x0d01);
	assert_int_equal(rig->failures, 0);
	rig_close();
}

/* A disk that is gone is lost for all commands, and it is the right one. */
static void disk_is_gone(void **state)
{
	struct scsi_task task;

	(void)state;
	copy_open();
	rig->results[1] = -ENODATA;
	assert_int_equal(begin(&task, &long_one), SCSI_RUNNING);
	rig_reap();
	assert_int_equal(rig->failures, 1);
	assert_int_equal(rig->nexus.luns[0].failed, 0);
	assert_int_equal(rig->nexus.luns[1].failed, ENODATA);
	rig->dones = 0;
	assert_int_equal(rig_code(copy_run(&long_one)), 0x0d01);
	rig_close();
}

/* WCE=0 on the destination: each segment is durable, and the audit is before the answer is given.
 */
static void write_through(void **state)
{
	struct scsi_task task;

	(void)state;
	copy_open();
	rig->nexus.luns[1].write_through = true;
	assert_int_equal(begin(&task, &long_one), SCSI_RUNNING);
	rig_reap();
	assert_int_equal(rig->submitted, 7);
	assert_int_equal(rig->log[6].op, IO_FLUSH);
	assert_true(rig->log[6].second);
	assert_int_equal(rig->dones, 0);
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_GOOD);
	rig_close();
}

/* … and what could not be written for want of room is this command's failure alone. */
static void write_through_without_room(void **state)
{
	struct scsi_task task;

	(void)state;
	copy_open();
	rig->nexus.luns[1].write_through = true;
	rig->results[1] = -ENOSPC;
	assert_int_equal(begin(&task, &long_one), SCSI_RUNNING);
	rig_reap();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(rig_code(&task), 0x0d01);
	assert_int_equal(rig->failures, 0);
	assert_int_equal(rig->nexus.luns[1].failed, 0);
	rig_close();
}

static void write_through_fails(void **state)
{
	struct scsi_task task;

	(void)state;
	copy_open();
	rig->nexus.luns[1].write_through = true;
	rig->results[6] = -ENOSPC; /* the flush: what was answered before may be lost */
	assert_int_equal(begin(&task, &long_one), SCSI_RUNNING);
	rig_reap();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig->nexus.luns[1].failed, EIO);
	assert_int_equal(rig->nexus.luns[0].failed, 0);
	rig_close();
}

static void aborted_by_command(void **state)
{
	struct rig_command abort = {.cdb = {0x83, 0x1c, 0, 0, 0, 9}};
	struct scsi_task copy, task;
	uint8_t cdb[16];

	(void)state;
	copy_open();
	assert_int_equal(rig_code(rig_run(&abort)), 0x2400);
	assert_int_equal(begin(&copy, &long_one), SCSI_RUNNING);
	memcpy(cdb, rig->cdb, sizeof cdb);
	copy.cdb = cdb;
	rig_prepare(&task, &abort);
	assert_int_equal(scsi_begin(&task), SCSI_DONE);
	assert_int_equal(task.status, SCSI_GOOD);
	rig_reap();
	assert_int_equal(rig->submitted, 1);
	assert_int_equal(rig->dones, 1);
	assert_int_equal(copy.sense[2], KEY_COPY_ABORTED);
	rig->dones = 0;
	assert_int_equal(rig_code(rig_run(&abort)), 0x2400);
	rig_close();
}

/* Two at once: one after the other, and one that waits can be taken away. */
static void in_turn(void **state)
{
	struct copy_case other = long_one, third = long_one;
	struct scsi_task first, second, last;

	(void)state;
	copy_open();
	other.list_id = 10;
	third.list_id = 11;
	assert_int_equal(begin(&first, &long_one), SCSI_RUNNING);
	assert_int_equal(begin(&second, &other), SCSI_RUNNING);
	assert_int_equal(begin(&last, &third), SCSI_RUNNING);
	assert_int_equal(rig->queued, 1);
	assert_true(scsi_cancel(&second));
	rig_reap();
	rig_recorded();
	rig_reap();
	assert_int_equal(rig->dones, 2);
	assert_int_equal(first.status, SCSI_GOOD);
	assert_int_equal(last.status, SCSI_GOOD);
	assert_int_equal(rig->submitted, 12);
	rig_close();
}

static void same_list_twice(void **state)
{
	struct scsi_task first, second;

	(void)state;
	copy_open();
	assert_int_equal(begin(&first, &long_one), SCSI_RUNNING);
	assert_int_equal(begin(&second, &long_one), SCSI_DONE);
	assert_int_equal(second.sense[2], KEY_ILLEGAL_REQUEST);
	assert_int_equal(rig_code(&second), 0x0016);
	rig_reap();
	assert_int_equal(first.status, SCSI_GOOD);
	rig->dones = 0;
	assert_int_equal(copy_run(&long_one)->status, SCSI_GOOD);
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, refusals, refused);
	tests_add(&t, "P1: what is not yours is answered like what is not there", not_yours, NULL);
	tests_add(&t, "EXTENDED COPY moves the blocks and no others", moves_blocks, NULL);
	tests_add(&t, "P2: source and destination are in the audit before a copy begins",
		  is_audited, NULL);
	TESTS_ADD_TABLE(&t, overlaps, overlap);
	tests_add(&t, "EXTENDED COPY(LID4), its header and its status", lid4, NULL);
	tests_add(&t, "a copy of nothing is GOOD", nothing_to_do, NULL);
	tests_add(&t, "a list that is cut anywhere is refused", truncated, NULL);
	TESTS_ADD_TABLE(&t, rules, ruled);
	TESTS_ADD_TABLE(&t, reservations, reserved);
	tests_add(&t, "a copy whose destination is reserved meanwhile ends", preempted, NULL);
	tests_add(&t, "a copy is aborted between two pieces", cancelled, NULL);
	tests_add(&t, "COPY OPERATION ABORT ends a copy, and nothing else", aborted_by_command,
		  NULL);
	tests_add(&t, "a copy that can't write is aborted", fails, NULL);
	tests_add(&t, "a copy finds that a disk is gone", disk_is_gone, NULL);
	tests_add(&t, "P2: a copy onto a disk with WCE=0 is durable, and so is its audit",
		  write_through, NULL);
	tests_add(&t, "a copy onto a full disk with WCE=0 does not end the disk",
		  write_through_without_room, NULL);
	tests_add(&t, "P4: a copy whose flush fails ends its destination", write_through_fails,
		  NULL);
	tests_add(&t, "copies of a session take turns", in_turn, NULL);
	tests_add(&t, "a list identifier names one copy at a time", same_list_twice, NULL);
	return tests_run(&t, "scsi");
}

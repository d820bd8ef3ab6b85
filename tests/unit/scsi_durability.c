/* What the policy demands of records before their commands are carried out: handed over, written or
 * synced, for each disk; many wait together; and the second record of what ended well. */
#include "tests/unit/scsi_copy_rig.h"
#include "gateway/scsi/gate.h"

#define WRITTEN_TASKS 6

static struct scsi_task task;

static size_t put_block(void)
{
	memset(rig->buffer, 7, RIG_BLOCK);
	return RIG_BLOCK;
}

static size_t put_eight_blocks(void)
{
	memset(rig->buffer, 7, 8 * (size_t)RIG_BLOCK);
	return 8 * (size_t)RIG_BLOCK;
}

static size_t put_two_blocks(void)
{
	memset(rig->buffer, 0, 2 * (size_t)RIG_BLOCK); /* as the disk is: they are equal */
	return 2 * (size_t)RIG_BLOCK;
}

static size_t put_copy(void)
{
	static const struct copy_case c = {
		.targets = {{.lun = 0}, {.lun = 1}},
		.segments = {{.from = 0, .to = 1, .blocks = 4, .from_lba = 5, .to_lba = 6}},
		.list_id = 9};

	return copy_put(&c);
}

/* clang-format off */
static const struct row {
	const char *why;
	uint8_t cdb[16];
	uint32_t in; /* octets of data-in */
	size_t (*put)(void);
	bool no_lun;
} rows[] = {
	{.why = "READ(6)", .cdb = {0x08, [4] = 1}, .in = RIG_BLOCK},
	{.why = "READ(10)", .cdb = {0x28, [8] = 1}, .in = RIG_BLOCK},
	{.why = "READ(16) with FUA", .cdb = {0x88, 8, [13] = 1}, .in = RIG_BLOCK},
	{.why = "READ(10) of nothing", .cdb = {0x28}},
	{.why = "WRITE(10)", .cdb = {0x2a, [8] = 1}, .put = put_block},
	{.why = "WRITE(10) with FUA", .cdb = {0x2a, 8, [8] = 1}, .put = put_block},
	{.why = "WRITE AND VERIFY(10)", .cdb = {0x2e, [8] = 1}, .put = put_block},
	{.why = "COMPARE AND WRITE", .cdb = {0x89, [13] = 1}, .put = put_two_blocks},
	{.why = "ORWRITE(16)", .cdb = {0x8b, [13] = 1}, .put = put_block},
	{.why = "WRITE ATOMIC(16)", .cdb = {0x9c, [13] = 8}, .put = put_eight_blocks},
	{.why = "SYNCHRONIZE CACHE(10)", .cdb = {0x35}},
	{.why = "VERIFY(10)", .cdb = {0x2f, [8] = 1}},
	{.why = "PRE-FETCH(10)", .cdb = {0x34, [8] = 1}},
	{.why = "GET LBA STATUS", .cdb = {0x9e, 0x12, [13] = 24}, .in = 24},
	{.why = "TEST UNIT READY", .cdb = {0x00}},
	{.why = "INQUIRY", .cdb = {0x12, [4] = 96}, .in = 96},
	{.why = "MODE SENSE(6)", .cdb = {0x1a, 0, 0x08, [4] = 96}, .in = 96},
	{.why = "READ CAPACITY(10)", .cdb = {0x25}, .in = 8},
	{.why = "LOG SENSE", .cdb = {0x4d, [8] = 96}, .in = 96},
	{.why = "a self-test", .cdb = {0x1d, 0x04}},
	{.why = "PREVENT MEDIUM REMOVAL", .cdb = {0x1e, [4] = 1}},
	{.why = "PERSISTENT RESERVE IN", .cdb = {0x5e, 0, [8] = 96}, .in = 96},
	{.why = "EXTENDED COPY(LID1)", .cdb = {0x83, [13] = 0}, .put = put_copy},
	{.why = "REPORT LUNS to no LUN", .cdb = {0xa0, [9] = 96}, .in = 96, .no_lun = true},
};
/* clang-format on */

static void demand(enum durability of_luns, enum durability of_none)
{
	memset(rig->nexus.records.luns, (int)of_luns, sizeof rig->nexus.records.luns);
	rig->nexus.records.durability = (uint8_t)of_none;
}

static enum scsi_step begin(const struct row *row)
{
	struct rig_command c = {.edtl = row->in, .read = row->in > 0};
	enum scsi_step step;

	memcpy(c.cdb, row->cdb, sizeof c.cdb);
	if (row->put != NULL) {
		c.edtl = (uint32_t)row->put();
		c.write = true;
	}
	if (row->put == put_copy)
		put_be(c.cdb + 10, 4, c.edtl);
	if (row->no_lun)
		c.lun[1] = 77;
	rig_prepare(&task, &c);
	step = scsi_begin(&task);
	if (step == SCSI_WANT_DATA || step == SCSI_WANT_BUFFER) {
		if (c.read)
			memset(rig->buffer, RIG_POISON, task.bytes);
		rig_give_buffer(&task);
		step = step == SCSI_WANT_DATA ? scsi_data_arrived(&task) : scsi_buffer_ready(&task);
	}
	return step;
}

/* What asks the arbiter for exclusive blocks is no execution yet. */
static bool is_untouched(const struct row *row)
{
	for (size_t k = 0; k < row->in; k++)
		if (rig->buffer[k] != RIG_POISON)
			return false;
	return rig->submitted == 0 && rig->dones == 0 &&
	       rig->nexus.luns[0].self_tests[0].hours == 0 &&
	       rig->nexus.luns[0].self_tests[0].what == 0;
}

static void open_rig(void)
{
	copy_open();
	rig->nexus.luns[0].thin = true;
	rig->nexus.luns[0].removable = true;
}

static void run_to_end(void)
{
	for (unsigned turn = 0; turn < RIG_TURNS && rig->dones == 0; turn++) {
		rig_share();
		rig_reap();
		rig_recorded();
	}
	assert_int_equal(rig->dones, 1);
	assert_true(task.status == SCSI_GOOD || task.status == SCSI_CONDITION_MET);
}

static void three_turns(const struct row *row)
{
	for (unsigned turn = 0; turn < 3; turn++) {
		scsi_audit_moved(&rig->nexus);
		rig_share();
		assert_true(is_untouched(row));
	}
}

static void waits_for_the_file(void **state)
{
	const struct row *row = *state;

	open_rig();
	demand(row->no_lun ? DURABILITY_HANDED_OVER : DURABILITY_WRITTEN,
	       row->no_lun ? DURABILITY_WRITTEN : DURABILITY_HANDED_OVER);
	assert_int_equal(begin(row), SCSI_RUNNING);
	assert_int_equal(rig->ring.head, row->put == put_copy ? 2 : 1);
	three_turns(row);
	if (row->put != put_copy)
		assert_int_equal(atomic_load(&rig->ring.memory->written_wanted), 1);
	run_to_end();
	rig_close();
}

static void waits_for_the_disk(void **state)
{
	const struct row *row = *state;

	open_rig();
	demand(row->no_lun ? DURABILITY_HANDED_OVER : DURABILITY_SYNCED,
	       row->no_lun ? DURABILITY_SYNCED : DURABILITY_HANDED_OVER);
	assert_int_equal(begin(row), SCSI_RUNNING);
	rig_audit(); /* in the file, and not on the disk */
	three_turns(row);
	run_to_end();
	rig_close();
}

static void without_audit(void **state)
{
	const struct row *row = *state;

	open_rig();
	demand(DURABILITY_WRITTEN, DURABILITY_WRITTEN);
	assert_int_equal(begin(row), SCSI_RUNNING);
	rig_share(); /* some ask the arbiter for their blocks first */
	atomic_store(&rig->page->state, AUDIT_CANNOT_WRITE);
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_BUSY);
	assert_int_equal(rig_last(0)->verdict, VERDICT_NOT_EXECUTED);
	assert_int_equal(rig->submitted, 0);
	rig_close();
}

static void aborted(void **state)
{
	const struct row *row = *state;

	open_rig();
	demand(DURABILITY_SYNCED, DURABILITY_SYNCED);
	assert_int_equal(begin(row), SCSI_RUNNING);
	if (scsi_cancel(&task)) { /* or it asked the arbiter for its blocks */
		assert_int_equal(rig_last(0)->verdict, VERDICT_NOT_EXECUTED);
		rig_recorded();
		rig_share();
		assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
	}
	assert_int_equal(rig->submitted, 0);
	rig_close();
}

/* What is handed over runs at once, whatever the auditor does not do. */
static void runs_at_once(void **state)
{
	const struct row *row = *state;
	bool waits = row->put == put_copy; /* it destroys, and takes two turns */
	enum scsi_step step;

	open_rig();
	demand(DURABILITY_HANDED_OVER, DURABILITY_HANDED_OVER);
	step = begin(row);
	rig_share();
	assert_int_equal(!waits, step == SCSI_DONE || rig->submitted > 0 || rig->dones > 0);
	for (unsigned turn = 0; turn < RIG_TURNS && step != SCSI_DONE && rig->dones == 0; turn++) {
		rig_share();
		rig_reap();
		rig_recorded();
	}
	rig_close();
}

/* --- of each disk, and of several --- */

static const struct row read_row = {.cdb = {0x28, [8] = 1}, .in = RIG_BLOCK};
static const struct row copy_row = {.cdb = {0x83, [13] = 0}, .put = put_copy};

static void each_disk(void **state)
{
	(void)state;
	open_rig();
	demand(DURABILITY_HANDED_OVER, DURABILITY_HANDED_OVER);
	rig->nexus.records.luns[1] = DURABILITY_SYNCED;
	assert_int_equal(begin(&read_row), SCSI_RUNNING);
	assert_int_equal(rig->submitted, 1); /* of LUN 0 */
	run_to_end();
	rig_close();
}

/* A disk that demands less than the rest is taken at its word. */
static void less_for_one(void **state)
{
	(void)state;
	open_rig();
	demand(DURABILITY_SYNCED, DURABILITY_SYNCED);
	rig->nexus.records.luns[0] = DURABILITY_HANDED_OVER;
	assert_int_equal(begin(&read_row), SCSI_RUNNING);
	assert_int_equal(rig->submitted, 1);
	run_to_end();
	rig_close();
}

static void copies_wait_for_the_strictest(void **state)
{
	(void)state;
	open_rig();
	demand(DURABILITY_HANDED_OVER, DURABILITY_HANDED_OVER);
	rig->nexus.records.luns[1] = DURABILITY_WRITTEN;
	assert_int_equal(begin(&copy_row), SCSI_RUNNING);
	rig_audit(); /* it destroys: what is in the file is not enough, whatever the disks say */
	three_turns(&copy_row);
	run_to_end();
	rig_close();
}

/* Reads that are not recorded have no record to wait for. */
static void what_is_not_recorded(void **state)
{
	(void)state;
	open_rig();
	demand(DURABILITY_SYNCED, DURABILITY_SYNCED);
	rig->nexus.records.writes_only = true;
	assert_int_equal(begin(&read_row), SCSI_RUNNING);
	assert_int_equal(rig->submitted, 1);
	assert_int_equal(rig->ring.head, 0);
	run_to_end();
	rig_close();
}

static void many_wait_together(void **state)
{
	static struct scsi_task tasks[WRITTEN_TASKS];
	const struct rig_command c = {.cdb = {0x28, [8] = 1}, .edtl = RIG_BLOCK, .read = true};

	(void)state;
	open_rig();
	demand(DURABILITY_SYNCED, DURABILITY_SYNCED);
	for (unsigned k = 0; k < WRITTEN_TASKS; k++) {
		rig_prepare(&tasks[k], &c);
		assert_int_equal(scsi_begin(&tasks[k]), SCSI_WANT_BUFFER);
		rig_give_buffer(&tasks[k]);
		assert_int_equal(scsi_buffer_ready(&tasks[k]), SCSI_RUNNING);
	}
	assert_int_equal(rig->submitted, 0);
	rig_recorded(); /* one answer of the auditor */
	assert_int_equal(rig->submitted, WRITTEN_TASKS);
	rig_reap();
	assert_int_equal(rig->dones, WRITTEN_TASKS);
	rig_close();
}

/* The record of a write is asked for when it is admitted, so that it is there when its data is. */
static void asked_for_before_the_data(void **state)
{
	const struct rig_command c = {.cdb = {0x2a, [8] = 1}, .edtl = RIG_BLOCK, .write = true};

	(void)state;
	open_rig();
	demand(DURABILITY_WRITTEN, DURABILITY_WRITTEN);
	rig_prepare(&task, &c);
	assert_int_equal(scsi_begin(&task), SCSI_WANT_DATA);
	assert_int_equal(atomic_load(&rig->ring.memory->written_wanted), 1);
	rig_audit();
	rig_give_buffer(&task);
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	assert_int_equal(rig->submitted, 1);
	run_to_end();
	rig_close();
}

/* FUA: the record first, then the flush and the audit of all side by side, then the answer. */
static void flush_beside_the_audit(void **state)
{
	const struct rig_command c = {.cdb = {0x35}};

	(void)state;
	open_rig();
	demand(DURABILITY_HANDED_OVER, DURABILITY_HANDED_OVER);
	rig_prepare(&task, &c);
	assert_int_equal(scsi_begin(&task), SCSI_RUNNING);
	assert_int_equal(rig->submitted, 1); /* the flush runs, while … */
	assert_int_equal(rig->log[0].op, IO_FLUSH);
	assert_int_equal(atomic_load(&rig->ring.memory->durable_wanted),
			 1); /* … the auditor does */
	rig_reap();
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 0);
	rig_recorded();
	assert_int_equal(rig->dones, 1);
	rig_close();
}

/* --- outcomes --- */

static void outcome_of_all(void **state)
{
	const struct audit_record *r;

	(void)state;
	open_rig();
	rig->nexus.records.outcomes_all = true;
	rig->nexus.now_us = 1000;
	assert_int_equal(begin(&read_row), SCSI_RUNNING);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS - 1);
	rig->nexus.now_us = 1345;
	run_to_end();
	assert_int_equal(rig->ring.head, 2);
	r = rig_last(0);
	assert_int_equal(r->kind, AUDIT_OUTCOME);
	assert_int_equal(r->verdict, VERDICT_DONE);
	assert_int_equal(r->status, SCSI_GOOD);
	assert_int_equal(r->latency_us, 345);
	assert_int_equal(r->task_tag, rig_last(1)->task_tag);
	assert_int_equal(r->blocks, 1);
	rig_close();
}

static void outcome_of_failures(void **state)
{
	bool all = *state != NULL;

	open_rig();
	rig->nexus.records.outcomes_all = all;
	rig->nexus.now_us = 1000;
	rig->results[0] = -EIO;
	assert_int_equal(begin(&read_row), SCSI_RUNNING);
	rig->nexus.now_us = 1000; /* so quick that the clock has not moved */
	rig_reap();
	assert_int_equal(rig->ring.head, 2);
	assert_int_equal(rig_last(0)->verdict, VERDICT_FAILED);
	assert_int_equal(rig_last(0)->latency_us, 1);
	rig_close();
}

static void good_ones_have_none(void **state)
{
	(void)state;
	open_rig();
	assert_int_equal(begin(&read_row), SCSI_RUNNING);
	run_to_end();
	assert_int_equal(rig->ring.head, 1);
	rig_close();
}

static void no_outcome_without_a_record(void **state)
{
	(void)state;
	open_rig();
	rig->nexus.records.outcomes_all = rig->nexus.records.writes_only = true;
	assert_int_equal(begin(&read_row), SCSI_RUNNING);
	run_to_end();
	assert_int_equal(rig->ring.head, 0);
	rig_close();
}

static void long_ones_do_not_wrap(void **state)
{
	(void)state;
	open_rig();
	rig->nexus.records.outcomes_all = true;
	rig->nexus.now_us = 1;
	assert_int_equal(begin(&read_row), SCSI_RUNNING);
	rig->nexus.now_us = UINT64_C(1) << 40;
	run_to_end();
	assert_int_equal(rig_last(0)->latency_us, UINT32_MAX);
	rig_close();
}

/* However full the ring is: what is admitted has a slot for how it ends. */
static void outcomes_have_their_slots(void **state)
{
	const struct rig_command c = {.cdb = {0x28, [8] = 1}, .edtl = RIG_BLOCK, .read = true};
	struct audit_record filler = {.kind = AUDIT_COMMAND};
	unsigned admitted = 0;

	(void)state;
	open_rig();
	rig->nexus.records.outcomes_all = true;
	while (audit_ring_free(&rig->ring) > 5)
		assert_int_equal(audit_ring_put(&rig->ring, &filler, rig->nexus.now_ms), 0);
	for (unsigned k = 0; k < RIG_ADMISSIONS; k++) {
		static struct scsi_task tasks[RIG_ADMISSIONS];

		rig_prepare(&tasks[k], &c);
		if (scsi_begin(&tasks[k]) != SCSI_WANT_BUFFER) {
			assert_int_equal(tasks[k].status, SCSI_BUSY);
			continue;
		}
		rig_give_buffer(&tasks[k]);
		assert_int_equal(scsi_buffer_ready(&tasks[k]), SCSI_RUNNING);
		admitted++;
	}
	assert_int_equal(admitted, 2);
	rig_reap();
	assert_int_equal(rig->dones, 2);
	assert_int_equal(rig_last(0)->verdict, VERDICT_DONE);
	assert_int_equal(rig_last(1)->verdict, VERDICT_DONE);
	rig_close();
}

static const struct check {
	const char *what;
	void (*run)(void **state);
} checks[] = {
	{"P2: with \"written\" nothing is done before its record is in the file",
	 waits_for_the_file},
	{"P2: with \"synced\" nothing is done before its record is on the disk",
	 waits_for_the_disk},
	{"P4: what waits for its record is BUSY when the audit can't be written", without_audit},
	{"an abort of what waits leaves nothing", aborted},
	{"handed over is enough but for what destroys", runs_at_once},
};

static void add_check(struct tests *t, const struct row *row, const struct check *check)
{
	static char sentences[ARRAY_LEN(rows) * ARRAY_LEN(checks)][128];
	static size_t count;
	char *sentence = sentences[count++];

	(void)snprintf(sentence, sizeof sentences[0], "%s: %s", check->what, row->why);
	tests_add(t, sentence, check->run, row);
}

int main(void)
{
	static struct tests t;
	static bool all = true;

	for (size_t k = 0; k < ARRAY_LEN(rows); k++)
		for (size_t i = 0; i < ARRAY_LEN(checks); i++)
			add_check(&t, &rows[k], &checks[i]);
	tests_add(&t, "P2: each disk has its own durability", each_disk, NULL);
	tests_add(&t, "a disk may demand less than the rest", less_for_one, NULL);
	tests_add(&t, "P2: a copy waits for what the strictest of all demands",
		  copies_wait_for_the_strictest, NULL);
	tests_add(&t, "what is not recorded waits for no record", what_is_not_recorded, NULL);
	tests_add(&t, "one sync is for all that wait", many_wait_together, NULL);
	tests_add(&t, "a write's record is on its way while its data comes",
		  asked_for_before_the_data, NULL);
	tests_add(&t, "P2: flush and audit run side by side, the answer waits for both",
		  flush_beside_the_audit, NULL);
	tests_add(&t, "outcomes: all has a record of what ended well, with its time",
		  outcome_of_all, NULL);
	tests_add(&t, "outcomes: failed has one of what failed, with its time", outcome_of_failures,
		  NULL);
	tests_add(&t, "outcomes: all has one of what failed, too", outcome_of_failures, &all);
	tests_add(&t, "outcomes: failed has none of what ended well", good_ones_have_none, NULL);
	tests_add(&t, "what is not recorded has no outcome that is good",
		  no_outcome_without_a_record, NULL);
	tests_add(&t, "an hour and more is told as the most that there is", long_ones_do_not_wrap,
		  NULL);
	tests_add(&t, "P2: an outcome of what ended well never lacks a slot",
		  outcomes_have_their_slots, NULL);
	return tests_run(&t, "scsi durability");
}

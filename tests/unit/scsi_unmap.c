/* UNMAP on the bench: its list as hostile data, its ranges in the audit, and what a thin disk says
 * of itself. */
#include "tests/unit/scsi_rig.h"

#define THIN         \
	{            \
		0, 3 \
	}
#define OUT(n) .edtl = (n), .write = true

static const struct {
	const char *why;
	struct {
		uint64_t lba;
		uint32_t blocks;
	} ranges[4];
	unsigned count;
	uint16_t data_len, descriptors_len; /* as the list says; 0: as they are */
	uint16_t cdb_len;		    /* 0: as it is */
	size_t requests, records;
	uint32_t code;
} lists[] = {
	{"one range", {{5, 3}}, 1, .requests = 1, .records = 1},
	{"several ranges, each in the audit",
	 {{5, 3}, {100, 1}, {9, 9}},
	 3,
	 .requests = 3,
	 .records = 3},
	{"ranges may overlap", {{5, 3}, {6, 3}, {5, 3}}, 3, .requests = 3, .records = 3},
	{"a range of no blocks does nothing", {{5, 0}, {6, 1}}, 2, .requests = 1, .records = 1},
	{"no ranges at all are GOOD, and in the audit", {{0, 0}}, 0, .records = 1},
	{"no blocks at the end of the disk", {{RIG_BLOCKS, 0}}, 1, .records = 1},
	{"the last block", {{RIG_BLOCKS - 1, 1}}, 1, .requests = 1, .records = 1},
	{"past the end: nothing is unmapped, not even what is well before it",
	 {{5, 1}, {RIG_BLOCKS - 1, 2}},
	 2,
	 .records = 1,
	 .code = 0x2100},
	{"an LBA of all ones does not wrap", {{UINT64_MAX, 2}}, 1, .records = 1, .code = 0x2100},
	{"blocks of all ones do not wrap", {{5, UINT32_MAX}}, 1, .records = 1, .code = 0x2100},
	{"a range that the CDB's length cuts is ignored",
	 {{5, 1}, {6, 1}},
	 2,
	 .cdb_len = 39,
	 .requests = 1,
	 .records = 1},
	{"a list that says it is longer than it is",
	 {{5, 1}},
	 1,
	 .descriptors_len = 0xffff,
	 .requests = 1,
	 .records = 1},
	{"a list that says it is shorter than it is",
	 {{5, 1}, {6, 1}},
	 2,
	 .descriptors_len = 16,
	 .requests = 1,
	 .records = 1},
	{"a length that is no whole descriptor",
	 {{5, 1}, {6, 1}},
	 2,
	 .descriptors_len = 31,
	 .requests = 1,
	 .records = 1},
	{"a list of less than its header", {{5, 1}}, 1, .cdb_len = 7, .records = 1, .code = 0x1a00},
};

static struct rig_command list_make(const __typeof__(lists[0]) *row)
{
	size_t len = 8 + 16 * (size_t)row->count;
	struct rig_command c = {{0x42}, THIN, OUT((uint32_t)len)};
	uint16_t descriptors = row->descriptors_len ? row->descriptors_len : (uint16_t)(len - 8);

	memset(rig->buffer, 0, len);
	put_be(rig->buffer, 2, row->data_len ? row->data_len : len - 2);
	put_be(rig->buffer + 2, 2, descriptors);
	for (unsigned i = 0; i < row->count; i++) {
		put_be(rig->buffer + 8 + 16 * i, 8, row->ranges[i].lba);
		put_be(rig->buffer + 16 + 16 * i, 4, row->ranges[i].blocks);
	}
	put_be(c.cdb + 7, 2, row->cdb_len ? row->cdb_len : len);
	return c;
}

static void thin_open(void)
{
	rig_open(NULL);
	rig_add_lun(3, true);
	rig->nexus.luns[3].thin = true;
	memset(rig->disk, 0xee, (size_t)RIG_BLOCK * RIG_BLOCKS);
}

static bool is_listed(const __typeof__(lists[0]) *row, uint64_t block)
{
	size_t found = 0;

	for (unsigned i = 0; i < row->count && found < row->requests; i++) {
		found += row->ranges[i].blocks > 0;
		if (block >= row->ranges[i].lba &&
		    block - row->ranges[i].lba < row->ranges[i].blocks)
			return true;
	}
	return false;
}

static void list(void **state)
{
	const __typeof__(lists[0]) *row = *state;
	struct rig_command c;
	struct scsi_task *task;

	thin_open();
	c = list_make(row);
	task = rig_run(&c);
	assert_int_equal(task->status, row->code == 0 ? SCSI_GOOD : SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(task), row->code);
	assert_int_equal(rig->submitted, row->requests);
	assert_int_equal(rig->ring.head, row->records);
	for (size_t i = 0; i < rig->submitted; i++) {
		assert_int_equal(rig->log[i].op, IO_DISCARD);
		assert_int_equal(rig->log[i].records_before, row->records); /* P2: all of them */
		assert_int_equal(rig_record(i)->lba * RIG_BLOCK, rig->log[i].offset);
		assert_int_equal(rig_record(i)->blocks * RIG_BLOCK, rig->log[i].length);
		assert_int_equal(rig_record(i)->verdict, VERDICT_ADMITTED);
	}
	for (uint64_t b = 0; b < RIG_BLOCKS; b++) {
		if (rig->disk[b * RIG_BLOCK] != (is_listed(row, b) ? 0 : 0xee))
			fail_msg("block %ju", (uintmax_t)b);
	}
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS); /* nothing is kept */
	rig_close();
}

static const struct {
	const char *why;
	struct rig_command c;
	uint32_t code;
	enum audit_verdict verdict;
} refusals[] = {
	{"where no room can be given back there is no UNMAP",
	 {{0x42, [8] = 24}, OUT(24)},
	 0x2000,
	 VERDICT_REFUSED},
	{"P1: a read-only LUN takes none",
	 {{0x42, [8] = 24}, {0, 4}, OUT(24)},
	 0x2700,
	 VERDICT_DENIED},
	{"ANCHOR is refused", {{0x42, 1, [8] = 24}, THIN, OUT(24)}, 0x2400, VERDICT_REFUSED},
	{"a list that is not sent is refused",
	 {{0x42, [8] = 24}, THIN, .edtl = 0},
	 0x0e03,
	 VERDICT_REFUSED},
	{"a list that comes in part is refused",
	 {{0x42, [8] = 24}, THIN, OUT(23)},
	 0x0e03,
	 VERDICT_REFUSED},
	{"no list at all is GOOD", {{0x42}, THIN, .edtl = 0}, 0, VERDICT_ADMITTED},
};

static void refusal(void **state)
{
	const __typeof__(refusals[0]) *row = *state;

	thin_open();
	rig_add_lun(4, false);
	rig->nexus.luns[4].thin = true;
	(void)rig_run(&row->c);
	assert_int_equal(rig_code(&rig->task), row->code);
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig->ring.head, 1);
	assert_int_equal(rig_record(0)->verdict, row->verdict);
	rig_close();
}

static void too_much(void **state)
{
	static const struct rig_command many = {{0x42, [7] = 0x10, 0x18}, THIN, OUT(0x1018)};
	static const struct rig_command big = {{0x42, [8] = 40}, THIN, OUT(40)};

	(void)state;
	thin_open();
	memset(rig->buffer, 0, 0x1018);
	put_be(rig->buffer + 2, 2, 0x1010); /* 257 of no blocks */
	assert_int_equal(rig_run(&many)->sense[12], 0x26);
	put_be(rig->buffer + 2, 2, 0x1000); /* 256 */
	assert_int_equal(rig_run(&many)->status, SCSI_GOOD);
	rig->nexus.luns[3].blocks = 1u << 30;
	put_be(rig->buffer + 2, 2, 32);
	put_be(rig->buffer + 16, 4, 1u << 20);
	put_be(rig->buffer + 32, 4, 1);
	assert_int_equal(rig_run(&big)->sense[12], 0x26);
	assert_int_equal(rig->submitted, 0);
	rig_close();
}

static const __typeof__(lists[0]) three = {.ranges = {{5, 3}, {100, 1}, {9, 9}}, .count = 3};

static void start(struct scsi_task *task)
{
	struct rig_command c = list_make(&three);

	rig_prepare(task, &c);
	assert_int_equal(scsi_begin(task), SCSI_WANT_DATA);
	rig_give_buffer(task);
}

static void nothing_before_the_list(void **state)
{
	struct scsi_task task;

	(void)state;
	thin_open();
	start(&task);
	assert_int_equal(rig->ring.head, 0);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS - 1); /* its place is kept */
	assert_true(scsi_cancel(&task));
	assert_int_equal(rig->ring.head, 0);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
	rig_close();
}

static void no_room_for_all(void **state)
{
	struct scsi_task task;
	struct audit_record r = {0};

	thin_open();
	start(&task);
	while (audit_ring_free(&rig->ring) > 3) /* of four: three ranges and the outcome */
		assert_int_equal(audit_ring_put(&rig->ring, &r, rig->nexus.now_ms), 0);
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	assert_int_equal(audit_ring_free(&rig->ring), 3);
	assert_int_equal(rig->submitted, 0);
	if (*(const bool *)*state)
		rig_audit_durable();
	else
		atomic_store(&rig->page->state, AUDIT_CANNOT_WRITE);
	scsi_audit_moved(&rig->nexus);
	rig_recorded();
	rig_reap();
	assert_int_equal(task.status, *(const bool *)*state ? SCSI_GOOD : SCSI_BUSY);
	assert_int_equal(rig->submitted, *(const bool *)*state ? 3 : 0);
	assert_null(task.admission);
	rig_close();
}

static void excluded_meanwhile(void **state)
{
	struct scsi_task task;

	(void)state;
	thin_open();
	start(&task);
	atomic_store(&rig->page->state, AUDIT_CANNOT_WRITE);
	assert_int_equal(scsi_data_arrived(&task), SCSI_DONE);
	assert_int_equal(task.status, SCSI_BUSY);
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig->ring.head, 0);
	rig_close();
}

static void fails_in_the_second(void **state)
{
	struct scsi_task task;

	(void)state;
	thin_open();
	start(&task);
	rig->results[1] = -EIO;
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	rig_recorded();
	rig_reap();
	assert_int_equal(rig->submitted, 2);
	assert_int_equal(task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(task.sense[2], 3);
	assert_int_equal(rig_code(&task), 0x0c00);
	assert_int_equal(get_be(task.sense + 3, 4), 100);
	assert_int_equal(rig_last(0)->verdict, VERDICT_FAILED);
	rig_close();
}

static void cancelled_between(void **state)
{
	struct scsi_task task;

	(void)state;
	thin_open();
	start(&task);
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	rig_recorded();
	assert_false(scsi_cancel(&task));
	rig_reap();
	assert_int_equal(rig->submitted, 1);
	assert_int_equal(task.status, SCSI_TASK_ABORTED);
	rig_close();
}

static void says_so(void **state)
{
	static const struct rig_command
		capacity = {{0x9e, 0x10, [13] = 32}, THIN, .edtl = 32, .read = true},
		limits = {{0x12, 1, 0xb0, 0, 64}, THIN, .edtl = 64, .read = true},
		provisioning = {{0x12, 1, 0xb2, 0, 8}, THIN, .edtl = 8, .read = true};

	(void)state;
	thin_open();
	assert_int_equal(rig_run(&capacity)->status, SCSI_GOOD);
	assert_int_equal(rig->buffer[14], 0xc0);
	assert_int_equal(rig_run(&limits)->status, SCSI_GOOD);
	assert_int_equal(get_be(rig->buffer + 20, 4), 1u << 20);
	assert_int_equal(get_be(rig->buffer + 24, 4), 256);
	assert_int_equal(get_be(rig->buffer + 28, 4), 8);
	assert_int_equal(get_be(rig->buffer + 32, 4), 0x80000000);
	assert_int_equal(rig_run(&provisioning)->status, SCSI_GOOD);
	assert_int_equal(get_be(rig->buffer + 4, 4), 0x0be40200);
	rig_close();
}

int main(void)
{
	static const bool taken = true, not_taken = false;
	static struct tests t;

	TESTS_ADD_TABLE(&t, lists, list);
	TESTS_ADD_TABLE(&t, refusals, refusal);
	tests_add(&t, "more ranges or blocks than VPD B0h says is a bad list", too_much, NULL);
	tests_add(&t, "nothing is admitted before the list is there", nothing_before_the_list,
		  NULL);
	tests_add(&t, "P2: UNMAP waits for room for every range's record", no_room_for_all, &taken);
	tests_add(&t, "P2: without room for every range's record nothing runs", no_room_for_all,
		  &not_taken);
	tests_add(&t, "P2: an audit that went away while the list came", excluded_meanwhile, NULL);
	tests_add(&t, "a range that fails has its LBA in the sense data", fails_in_the_second,
		  NULL);
	tests_add(&t, "an abort is heard between two ranges", cancelled_between, NULL);
	tests_add(&t, "a thin disk says what it can", says_so, NULL);
	return tests_run(&t, "scsi unmap");
}

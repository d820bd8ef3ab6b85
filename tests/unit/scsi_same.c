/* WRITE SAME, PRE-FETCH and the commands with short answers on the bench. */
#include "tests/unit/scsi_rig.h"

#define IN(n)  .edtl = (n), .read = true
#define OUT(n) .edtl = (n), .write = true
#define NONE   .edtl = 0

static const struct {
	const char *why;
	struct rig_command c;
	uint32_t first, blocks; /* what is the same afterwards; 0: nothing was written */
	uint8_t octet;		/* of the data-out */
	uint8_t want;		/* on the medium */
	uint32_t code;
} sames[] = {
	{"WRITE SAME(10) repeats the block",
	 {{0x41, 0, 0, 0, 0, 5, 0, 0, 3}, OUT(512)},
	 5,
	 3,
	 0x77,
	 0x77,
	 0},
	{"WRITE SAME(16) repeats the block",
	 {{0x93, 0, [9] = 5, [13] = 3}, OUT(512)},
	 5,
	 3,
	 0x77,
	 0x77,
	 0},
	{"WRITE SAME of more than a request has segments",
	 {{0x41, 0, 0, 0, 0, 5, 0, 2, 7}, OUT(512)},
	 5,
	 519,
	 0x77,
	 0x77,
	 0},
	{"WRITE SAME of zeroes writes zeroes",
	 {{0x41, 0, 0, 0, 0, 5, 0, 2, 7}, OUT(512)},
	 5,
	 519,
	 0,
	 0,
	 0},
	{"WRITE SAME of zeroes reaches the last block",
	 {{0x41, 0, 0, 0, 0, 0, 0, 0x40, 0}, OUT(512)},
	 0,
	 16384,
	 0,
	 0,
	 0},
	{"UNMAP and zeroes give the room back",
	 {{0x93, 0x08, [9] = 5, [13] = 3}, {0, 3}, OUT(512)},
	 5,
	 3,
	 0,
	 0,
	 0},
	{"UNMAP and anything but zeroes writes",
	 {{0x41, 0x08, 0, 0, 0, 5, 0, 0, 3}, {0, 3}, OUT(512)},
	 5,
	 3,
	 0x77,
	 0x77,
	 0},
	{"UNMAP and NDOB", {{0x93, 0x09, [9] = 5, [13] = 3}, {0, 3}, NONE}, 5, 3, 0x77, 0, 0},
	{"NDOB writes zeroes and takes no data",
	 {{0x93, 0x01, [9] = 5, [13] = 3}, NONE},
	 5,
	 3,
	 0x77,
	 0,
	 0},
	{"NDOB takes no data that comes all the same",
	 {{0x93, 0x01, [9] = 5, [13] = 3}, OUT(512)},
	 5,
	 3,
	 0x77,
	 0,
	 0},
	{"WRITE SAME(10) has no NDOB", {{0x41, 0x01, [8] = 1}, NONE}, 0, 0, 0, 0, 0x2400},
	{"ANCHOR is refused", {{0x93, 0x10, [13] = 1}, OUT(512)}, 0, 0, 0, 0, 0x2400},
	{"UNMAP is refused where nothing can be unmapped",
	 {{0x93, 0x08, [13] = 1}, OUT(512)},
	 0,
	 0,
	 0,
	 0,
	 0x2400},
	{"WRPROTECT is refused", {{0x41, 0x20, [8] = 1}, OUT(512)}, 0, 0, 0, 0, 0x2400},
	{"WSNZ=1: no blocks is a bad field", {{0x41}, OUT(512)}, 0, 0, 0, 0, 0x2400},
	{"P1: a read-only LUN says so before it looks for data",
	 {{0x93, 0x08, [13] = 1}, {0, 1}, NONE},
	 0,
	 0,
	 0,
	 0,
	 0x2700},
	{"ANCHOR without UNMAP", {{0x93, 0x10, [13] = 1}, {0, 3}, OUT(512)}, 0, 0, 0, 0, 0x2400},
	{"ANCHOR, which is not offered",
	 {{0x41, 0x18, [8] = 1}, {0, 3}, OUT(512)},
	 0,
	 0,
	 0,
	 0,
	 0x2400},
	{"more than MAXIMUM WRITE SAME LENGTH is a bad field, where the medium has it",
	 {{0x93, 0, [11] = 1, 0, 1}, {0, 2}, OUT(512)},
	 0,
	 0,
	 0,
	 0,
	 0x2400},
	{"past the end is out of range",
	 {{0x41, 0, 0, 0, 0x3f, 0xff, 0, 0, 2}, OUT(512)},
	 0,
	 0,
	 0,
	 0,
	 0x2100},
	{"a length of all ones does not wrap",
	 {{0x93, 0, [9] = 5, [10] = 0xff, 0xff, 0xff, 0xff}, OUT(512)},
	 0,
	 0,
	 0,
	 0,
	 0x2100},
	{"a block that comes in part is refused",
	 {{0x41, 0, [8] = 1}, OUT(511)},
	 0,
	 0,
	 0,
	 0,
	 0x0e03},
	{"more than a block is refused", {{0x41, 0, [8] = 1}, OUT(1024)}, 0, 0, 0, 0, 0x0e03},
	{"without data it is refused", {{0x41, 0, [8] = 1}, NONE}, 0, 0, 0, 0, 0x0e03},
	{"P1: a read-only LUN takes none",
	 {{0x41, 0, [8] = 1}, {0, 1}, OUT(512)},
	 0,
	 0,
	 0,
	 0,
	 0x2700},
};

static void same(void **state)
{
	const __typeof__(sames[0]) *row = *state;
	size_t from = (size_t)row->first * RIG_BLOCK, len = (size_t)row->blocks * RIG_BLOCK;
	struct scsi_task *task;

	rig_open(NULL);
	rig_add_lun(1, false);
	rig_add_lun(2, true);
	rig->nexus.luns[2].blocks = 1u << 30;
	rig_add_lun(3, true);
	rig->nexus.luns[3].thin = true;
	memset(rig->disk, 0xee, RIG_BLOCK * RIG_BLOCKS);
	memset(rig->buffer, row->octet, RIG_BLOCK);
	task = rig_run(&row->c);
	assert_int_equal(task->status, row->code == 0 ? SCSI_GOOD : SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(task), row->code);
	for (size_t i = 0; i < (size_t)RIG_BLOCK * RIG_BLOCKS; i++) {
		uint8_t want = i >= from && i - from < len ? row->want : 0xee;

		if (rig->disk[i] != want) /* cmocka's own comparison is slow */
			fail_msg("octet %zu is %#x", i, rig->disk[i]);
	}
	for (size_t i = 0; i < rig->submitted; i++)
		assert_true(rig->log[i].records_before > 0); /* P2 */
	assert_int_equal(rig->submitted > 0, row->blocks > 0);
	rig_close();
}

static const struct {
	const char *why;
	struct rig_command c;
	uint8_t octet;
	int results[2];
	enum io_op ops[2];
	size_t requests;
	uint32_t code;
} ways[] = {
	{"zeroes are zeroed by a call",
	 {{0x41, 0, 0, 0, 0, 5, 0, 2, 7}, {0, 3}, OUT(512)},
	 0,
	 {0},
	 {IO_ZERO},
	 1,
	 0},
	{"zeroes with UNMAP are discarded",
	 {{0x41, 8, 0, 0, 0, 5, 0, 2, 7}, {0, 3}, OUT(512)},
	 0,
	 {0},
	 {IO_DISCARD},
	 1,
	 0},
	{"where a disk can't zero, zeroes are written",
	 {{0x41, 0, 0, 0, 0, 5, 0, 2, 7}, {0, 3}, OUT(512)},
	 0,
	 {-EOPNOTSUPP},
	 {IO_ZERO, IO_WRITE},
	 2,
	 0},
	{"where a disk can't discard so finely, zeroes are written",
	 {{0x41, 8, 0, 0, 0, 5, 0, 2, 7}, {0, 3}, OUT(512)},
	 0,
	 {-EINVAL},
	 {IO_DISCARD, IO_WRITE},
	 2,
	 0},
	{"a discard that fails is a write error",
	 {{0x41, 8, 0, 0, 0, 5, 0, 2, 7}, {0, 3}, OUT(512)},
	 0,
	 {-EIO},
	 {IO_DISCARD},
	 1,
	 0x0c00},
	{"zeroing without space is 27h/07h",
	 {{0x41, 0, 0, 0, 0, 5, 0, 2, 7}, {0, 3}, OUT(512)},
	 0,
	 {-ENOSPC},
	 {IO_ZERO},
	 1,
	 0x2707},
};

static void way(void **state)
{
	const __typeof__(ways[0]) *row = *state;
	struct scsi_task *task;

	rig_open(NULL);
	rig_add_lun(3, true);
	rig->nexus.luns[3].thin = true;
	memset(rig->buffer, row->octet, RIG_BLOCK);
	memcpy(rig->results, row->results, sizeof row->results);
	task = rig_run(&row->c);
	assert_int_equal(task->status, row->code == 0 ? SCSI_GOOD : SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(task), row->code);
	assert_int_equal(rig->submitted, row->requests);
	for (size_t i = 0; i < row->requests; i++)
		assert_int_equal(rig->log[i].op, row->ops[i]);
	rig_close();
}

static void piece_fails(void **state)
{
	static const struct rig_command c = {{0x41, 0, 0, 0, 0, 5, 0, 2, 7}, OUT(512)};

	rig_open(state);
	memset(rig->buffer, 1, RIG_BLOCK);
	rig->results[1] = -EIO;
	assert_int_equal(rig_run(&c)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&rig->task), 0x0c00);
	assert_int_equal(get_be(rig->task.sense + 3, 4), 5 + rig->log[0].length / RIG_BLOCK);
	assert_int_equal(rig_last(0)->verdict, VERDICT_FAILED);
	rig_close();
}

static void cancelled_between_pieces(void **state)
{
	static const struct rig_command c = {{0x41, 0, 0, 0, 0, 5, 0, 2, 7}, OUT(512)};
	struct scsi_task task;

	rig_open(state);
	memset(rig->buffer, 1, RIG_BLOCK);
	rig_prepare(&task, &c);
	assert_int_equal(scsi_begin(&task), SCSI_WANT_DATA);
	rig_give_buffer(&task);
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	rig_recorded();
	assert_false(scsi_cancel(&task));
	rig_reap();
	assert_int_equal(rig->submitted, 1);
	assert_int_equal(task.status, SCSI_TASK_ABORTED);
	rig_close();
}

static const struct {
	const char *why;
	struct rig_command c;
	uint32_t code;
	uint8_t status;
	uint64_t length; /* read, in octets */
} fetches[] = {
	{"PRE-FETCH(10) reads and says CONDITION MET", {{0x34, 0, [8] = 3}, NONE}, 0, 4, 1536},
	{"PRE-FETCH(16) reads and says CONDITION MET", {{0x90, 0, [13] = 3}, NONE}, 0, 4, 1536},
	{"IMMED changes nothing", {{0x34, 0x02, [8] = 3}, NONE}, 0, 4, 1536},
	{"0 blocks: as much as is fetched at once, which is not all",
	 {{0x34}, NONE},
	 0,
	 0,
	 4u << 20},
	{"0 blocks: all that is left", {{0x34, 0, 0, 0, 0x3f, 0xff}, NONE}, 0, 4, 512},
	{"more than MAXIMUM PREFETCH LENGTH", {{0x90, 0, [12] = 0x20, 1}, NONE}, 0x2400, 2, 0},
	{"past the end", {{0x34, 0, 0, 0, 0x40}, NONE}, 0x2100, 2, 0},
};

static void fetch(void **state)
{
	const __typeof__(fetches[0]) *row = *state;
	struct scsi_task *task;
	uint64_t sum = 0;

	rig_open(NULL);
	task = rig_run(&row->c);
	assert_int_equal(task->status, row->status);
	assert_int_equal(rig_code(task), row->code);
	for (size_t i = 0; i < rig->submitted; i++) {
		assert_int_equal(rig->log[i].op, IO_READ);
		sum += rig->log[i].length;
	}
	assert_int_equal(sum, row->length);
	assert_int_equal(rig->ring.head, 1); /* a success has no outcome */
	rig_close();
}

static const struct {
	const char *why;
	struct rig_command c;
	size_t len;
	uint8_t want[8];
	uint32_t code;
} replies[] = {
	{"READ DEFECT DATA(10): an empty list",
	 {{0x37, 0, 0x1d, [8] = 32}, IN(32)},
	 4,
	 {0, 0x1d},
	 0},
	{"READ DEFECT DATA(12): an empty list", {{0xb7, 0x1d, [9] = 32}, IN(32)}, 8, {0, 0x1d}, 0},
	{"PREVENT ALLOW MEDIUM REMOVAL: prevent", {{0x1e, 0, 0, 0, 1}, NONE}, 0, {0}, 0},
	{"PREVENT ALLOW MEDIUM REMOVAL: a reserved bit",
	 {{0x1e, 0, 0, 0, 4}, NONE},
	 0,
	 {0},
	 0x2400},
};

static void reply(void **state)
{
	const __typeof__(replies[0]) *row = *state;
	struct scsi_task *task;

	rig_open(NULL);
	task = rig_run(&row->c);
	assert_int_equal(rig_code(task), row->code);
	assert_int_equal(task->data_len, row->len);
	assert_memory_equal(rig->buffer, row->want, row->len);
	assert_int_equal(rig->submitted, 0);
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, sames, same);
	TESTS_ADD_TABLE(&t, ways, way);
	TESTS_ADD_TABLE(&t, fetches, fetch);
	TESTS_ADD_TABLE(&t, replies, reply);
	tests_add(&t, "a piece that fails has its LBA in the sense data", piece_fails, NULL);
	tests_add(&t, "an abort is heard between two pieces", cancelled_between_pieces, NULL);
	return tests_run(&t, "scsi write same");
}

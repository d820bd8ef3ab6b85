/* What the disk's failures mean to an initiator, and what is remembered of them. */
#include "tests/unit/scsi_rig.h"

#define READ_ONE                                                          \
	{                                                                 \
		{0x28, 0, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .read = true \
	}
#define WRITE_ONE                                                          \
	{                                                                  \
		{0x2a, 0, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .write = true \
	}
#define WRITE_FUA                                                          \
	{                                                                  \
		{0x2a, 8, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .write = true \
	}
#define READ_FUA                                                          \
	{                                                                 \
		{0x28, 8, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .read = true \
	}
#define SYNC                      \
	{                         \
		{0x35}, .edtl = 0 \
	}
#define STOP                      \
	{                         \
		{0x1b}, .edtl = 0 \
	}
#define READY                  \
	{                      \
		{0}, .edtl = 0 \
	}
#define VERIFY                                            \
	{                                                 \
		{0x2f, 0, 0, 0, 0, 5, 0, 1, 0}, .edtl = 0 \
	}

static const struct {
	const char *why;
	struct rig_command c;
	int results[3];
	uint8_t key;
	uint16_t code;
	int64_t information; /* -1: none */
	int failed;	     /* what the unit is marked with */
} errors[] = {
	{"EIO on a read is an unrecovered read error at its LBA",
	 READ_ONE,
	 {-EIO},
	 3,
	 0x1100,
	 5,
	 0},
	{"EIO on a write is a write error at its LBA", WRITE_ONE, {-EIO}, 3, 0x0c00, 5, 0},
	{"no space is DATA PROTECT 27h/07h", WRITE_ONE, {-ENOSPC}, 7, 0x2707, -1, 0},
	{"no quota is DATA PROTECT 27h/07h", WRITE_ONE, {-EDQUOT}, 7, 0x2707, -1, 0},
	{"a file that may not grow is DATA PROTECT 27h/07h", WRITE_ONE, {-EFBIG}, 7, 0x2707, -1, 0},
	{"a read-only file system is write protected", WRITE_ONE, {-EROFS}, 7, 0x2700, -1, 0},
	{"another error is an internal failure", READ_ONE, {-ENOMEM}, 4, 0x4400, -1, 0},
	{"a disk that ended before the read ends the unit",
	 READ_ONE,
	 {-ENODATA},
	 3,
	 0x1100,
	 5,
	 ENODATA},
	{"a disk that ended before the write ends the unit",
	 WRITE_ONE,
	 {-ENODATA},
	 3,
	 0x0c00,
	 5,
	 ENODATA},
	{"P4: a flush that fails ends the unit", SYNC, {-EIO}, 3, 0x0c00, -1, EIO},
	{"P4: a flush without space ends the unit", SYNC, {-ENOSPC}, 3, 0x0c00, -1, EIO},
	{"P4: a stop whose flush fails ends the unit", STOP, {-EIO}, 3, 0x0c00, -1, EIO},
	{"P4: a FUA write that fails ends the unit", WRITE_FUA, {-EIO}, 3, 0x0c00, 5, EIO},
	{"P4: a FUA read whose flush fails ends the unit", READ_FUA, {-EIO}, 3, 0x0c00, -1, EIO},
	{"a FUA write without space, with and without FUA, has none",
	 WRITE_FUA,
	 {-ENOSPC, -ENOSPC},
	 7,
	 0x2707,
	 -1,
	 0},
	{"P4: a FUA write that has space only without FUA lost older data",
	 WRITE_FUA,
	 {-ENOSPC, 0},
	 3,
	 0x0c00,
	 5,
	 EIO},
	{"VERIFY names the piece that can't be read", VERIFY, {0, -EIO}, 3, 0x1100, 5 + 128, 0},
};

static void error(void **state)
{
	const __typeof__(errors[0]) *row = *state;
	struct scsi_task *task;

	rig_open(NULL);
	memcpy(rig->results, row->results, sizeof row->results);
	task = rig_run(&row->c);
	assert_int_equal(task->status, SCSI_CHECK_CONDITION);
	assert_int_equal(task->data_len, 0);
	assert_int_equal(task->sense[2], row->key);
	assert_int_equal(rig_code(task), row->code);
	assert_int_equal(task->sense[0], row->information < 0 ? 0x70 : 0xf0);
	if (row->information >= 0)
		assert_int_equal(get_be(task->sense + 3, 4), row->information);
	assert_int_equal(rig->nexus.luns[0].failed, row->failed);
	assert_int_equal(rig->failures, row->failed != 0);
	assert_int_equal(rig->failure, row->failed);
	assert_int_equal(rig_last(0)->kind, AUDIT_OUTCOME);
	assert_int_equal(rig_last(0)->verdict, VERDICT_FAILED);
	assert_int_equal(rig_last(0)->asc << 8 | rig_last(0)->ascq, row->code);
	rig_close();
}

static const struct {
	const char *why;
	int failed; /* before */
	int check;  /* what backend_check() says */
	struct rig_command c;
	uint8_t key;
	uint16_t code;
	int failed_after;
} unwell[] = {
	{"a deleted file is NOT READY", 0, -ESTALE, READY, 2, 0x0403, ESTALE},
	{"nothing is written to a deleted file", 0, -ESTALE, WRITE_ONE, 2, 0x0403, ESTALE},
	{"nothing is read from a deleted file", 0, -ESTALE, READ_ONE, 2, 0x0403, ESTALE},
	{"a file that shrank is a medium error", 0, -ENODATA, READY, 3, 0x1100, ENODATA},
	{"a check that fails is an internal failure, and may pass", 0, -EACCES, READY, 4, 0x4400,
	 0},
	{"P4: a unit whose sync failed stays failed", EIO, 0, READY, 3, 0x0c00, EIO},
	{"P4: a unit whose sync failed takes no writes", EIO, 0, WRITE_ONE, 3, 0x0c00, EIO},
	{"P4: a unit whose sync failed answers no flush", EIO, 0, SYNC, 3, 0x0c00, EIO},
	{"P4: a unit whose sync failed answers no verify", EIO, 0, VERIFY, 3, 0x0c00, EIO},
	{"P4: a unit whose sync failed is not started",
	 EIO,
	 0,
	 {{0x1b, 0, 0, 0, 1}, .edtl = 0},
	 3,
	 0x0c00,
	 EIO},
};

static void is_unwell(void **state)
{
	const __typeof__(unwell[0]) *row = *state;
	struct scsi_task *task;

	rig_open(NULL);
	rig->nexus.luns[0].failed = row->failed;
	rig->check_result = row->check;
	for (int i = 0; i < 2; i++) {
		task = rig_run(&row->c);
		assert_int_equal(task->status, SCSI_CHECK_CONDITION);
		assert_int_equal(task->sense[2], row->key);
		assert_int_equal(rig_code(task), row->code);
	}
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig->nexus.luns[0].failed, row->failed_after);
	assert_int_equal(rig->failures, row->failed == 0 && row->failed_after != 0); /* told once */
	assert_int_equal(rig_last(0)->verdict, VERDICT_REFUSED);
	rig_close();
}

static void checked_once_a_second(void **state)
{
	static const struct rig_command ready = READY, read = READ_ONE;

	rig_open(state);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(rig_run(&ready)->status, SCSI_GOOD);
		assert_int_equal(rig_run(&read)->status, SCSI_GOOD);
	}
	assert_int_equal(rig->checks, 1);
	rig->nexus.now_ms += 999;
	assert_int_equal(rig_run(&ready)->status, SCSI_GOOD);
	assert_int_equal(rig->checks, 1);
	rig->nexus.now_ms += 1;
	rig->check_result = -ESTALE;
	assert_int_equal(rig_run(&ready)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig->checks, 2);
	rig_close();
}

static void request_sense_tells(void **state)
{
	static const struct rig_command sense = {{0x03, 0, 0, 0, 252}, .edtl = 252, .read = true};

	rig_open(state);
	rig->nexus.luns[0].failed = ESTALE;
	assert_int_equal(rig_run(&sense)->status, SCSI_GOOD);
	assert_int_equal(rig->task.data_len, 18);
	assert_int_equal(rig->buffer[2], 2);
	assert_int_equal(get_be(rig->buffer + 12, 2), 0x0403);
	rig_close();
}

static void failed_unit_is_still_known(void **state)
{
	static const struct rig_command inquiry = {{0x12, 0, 0, 0, 96}, .edtl = 96, .read = true};

	rig_open(state);
	rig->nexus.luns[0].failed = EIO;
	assert_int_equal(rig_run(&inquiry)->status, SCSI_GOOD);
	assert_int_equal(rig->buffer[0], 0);
	rig_close();
}

static void big_lba_has_no_information(void **state)
{
	static const struct rig_command read = {
		{0x88, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}, .edtl = 512, .read = true};

	rig_open(state);
	rig->nexus.luns[0].blocks = 1ULL << 40;
	rig->results[0] = -EIO;
	assert_int_equal(rig_run(&read)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig->task.sense[0], 0x70); /* 2^32 does not fit in 32 bits */
	assert_int_equal(get_be(rig->task.sense + 3, 4), 0);
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, errors, error);
	TESTS_ADD_TABLE(&t, unwell, is_unwell);
	tests_add(&t, "a disk is looked at once a second at most", checked_once_a_second, NULL);
	tests_add(&t, "REQUEST SENSE tells of a unit that failed", request_sense_tells, NULL);
	tests_add(&t, "a unit that failed still says who it is", failed_unit_is_still_known, NULL);
	tests_add(&t, "INFORMATION is left out when the LBA does not fit",
		  big_lba_has_no_information, NULL);
	return tests_run(&t, "scsi errors");
}

/* FORMAT UNIT: its parameters, what is on the medium afterwards, who keeps it from beginning; and
 * what it has in common with SANITIZE: protected blocks, aborts and failures. */
#include "tests/unit/scsi_medium_rig.h"

/* --- parameters --- */

static const struct medium_parameters parameters[] = {
	{"FORMAT UNIT without parameters", FORMAT, {0}, 0, -1},
	{"FORMAT UNIT with a short header", FORMAT_4, {0}, 0, -1},
	{"FORMAT UNIT with a long header", {{0x04, 0x30}, OUT(8)}, {0}, 0, -1},
	{"FORMAT UNIT: an empty list is a complete one", {{0x04, 0x18}, OUT(4)}, {0}, 0, -1},
	{"FORMAT UNIT: FOV, DPRY, DCRT, STPF change nothing", FORMAT_4, {0, 0xf0}, 0, -1},
	{"FORMAT UNIT: IMMED", FORMAT_4, {0, 0x02}, 0, -1},
	{"FORMAT UNIT: more data than a header is left alone", {{0x04, 0x10}, OUT(12)}, {0}, 0, -1},
	{"FORMAT UNIT: protection is refused", {{0x04, 0x40}, .edtl = 0}, {0}, 0x2400, 1},
	{"FORMAT UNIT: protection is refused in the list", FORMAT_4, {1}, 0x2600, 0},
	{"FORMAT UNIT: a protection interval is refused",
	 {{0x04, 0x30}, OUT(8)},
	 {0, 0, 0, 1},
	 0x2600,
	 3},
	{"FORMAT UNIT: an initialization pattern is refused", FORMAT_4, {0, 0x88}, 0x2600, 1},
	{"FORMAT UNIT: DPRY without FOV is refused", FORMAT_4, {0, 0x40}, 0x2600, 1},
	{"FORMAT UNIT: a vendor's bit is refused", FORMAT_4, {0, 0x01}, 0x2600, 1},
	{"FORMAT UNIT: a list of defects is refused", FORMAT_4, {0, 0, 0, 8}, 0x2600, 2},
	{"FORMAT UNIT: a list of defects is refused, long header",
	 {{0x04, 0x30}, OUT(8)},
	 {0, 0, 0, 0, 0, 0, 0, 8},
	 0x2600,
	 4},
	{"FORMAT UNIT: a format of defects is refused", {{0x04, 0x15}, OUT(4)}, {0}, 0x2400, 1},
	{"FORMAT UNIT: CMPLST without a list is refused",
	 {{0x04, 0x08}, .edtl = 0},
	 {0},
	 0x2400,
	 1},
	{"FORMAT UNIT: LONGLIST without a list is refused",
	 {{0x04, 0x20}, .edtl = 0},
	 {0},
	 0x2400,
	 1},
	{"FORMAT UNIT: a header that does not come", {{0x04, 0x10}, .edtl = 0}, {0}, 0x1a00, -1},
	{"FORMAT UNIT: a header that comes in part", {{0x04, 0x30}, OUT(4)}, {0}, 0x1a00, -1},
};

static void parameter(void **state)
{
	medium_check_parameters(*state);
}

/* --- what is on the medium afterwards --- */

static const struct {
	const char *why;
	bool thin;
	enum io_op op;
} formats[] = {
	{"a thin disk that was formatted reads as zeroes, and takes no room", true, IO_DISCARD},
	{"a disk that is not thin reads as zeroes, and keeps its room", false, IO_ZERO},
};

static void zeroes(void **state)
{
	static const struct rig_command format = FORMAT;
	const __typeof__(formats[0]) *row = *state;

	two_open();
	rig->nexus.luns[0].thin = row->thin;
	memset(rig->disk, 'a', (size_t)RIG_BLOCK * RIG_BLOCKS);
	assert_int_equal(run_on(&rig->nexus, &format)->status, SCSI_GOOD);
	assert_true(medium_is_all(0));
	assert_int_equal(rig->log[0].op, row->op);
	assert_int_equal(rig->log[rig->submitted - 1].op, IO_FLUSH);
	two_close();
}

/* What can neither discard nor zero is written. */
static void zeroes_written(void **state)
{
	static const struct rig_command format = FORMAT;

	(void)state;
	two_open();
	memset(rig->disk, 'a', (size_t)RIG_BLOCK * RIG_BLOCKS);
	rig->results[0] = -EOPNOTSUPP;
	assert_int_equal(run_on(&rig->nexus, &format)->status, SCSI_GOOD);
	assert_true(medium_is_all(0));
	two_close();
}

/* --- beginning --- */

/* Somebody reserves the disk when the command was admitted, and has not begun. */
static void reserved_meanwhile(void **state)
{
	static const struct rig_command format = FORMAT;
	struct scsi_task task;
	struct arbiter_order order = {.id = 1, .kind = ORDER_RESERVE};

	(void)state;
	two_open();
	assert_int_equal(begin_on(&rig->nexus, &task, &format), SCSI_RUNNING);
	assert_int_equal(rig_say(&rig->seats[1], ARBITER_ORDER, &order, sizeof order), 0);
	settle();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_RESERVATION_CONFLICT);
	assert_int_equal(rig->submitted, 0);
	two_close();
}

static void protected_blocks(void **state)
{
	(void)state;
	two_open();
	rig->nexus.rules.ranges[0] = (struct protected_range){.first = 7, .last = 8, .lun = -1};
	rig->nexus.rules.range_count = 1;
	assert_code(&rig->nexus, FORMAT, 0x2700);
	assert_code(&rig->nexus, ERASE, 0x2700);
	assert_int_equal(rig->submitted, 0);
	two_close();
}

/* An arbiter that can't keep it lets nothing begin. */
static void not_kept(void **state)
{
	static const struct rig_command format = FORMAT;

	(void)state;
	two_open();
	rig->keep_result = -EIO;
	assert_int_equal(run_on(&rig->nexus, &format)->status, SCSI_BUSY);
	assert_int_equal(rig->submitted, 0);
	rig->keep_result = 0;
	assert_code(&other, READY, 0);
	two_close();
}

/* --- ending --- */

static const struct {
	const char *why;
	struct rig_command c;
	unsigned code; /* that others are told afterwards */
} aborts[] = {
	{"a FORMAT UNIT that is aborted leaves the medium to be formatted", FORMAT, 0x3100},
	{"SBC-4: a SANITIZE that is aborted goes on", ERASE, 0x041b},
};

static void aborted(void **state)
{
	const __typeof__(aborts[0]) *row = *state;
	struct scsi_task task;

	two_open();
	assert_int_equal(begin_on(&rig->nexus, &task, &row->c), SCSI_RUNNING);
	settle();
	assert_int_equal(rig->queued, 1);
	assert_true(scsi_cancel(&task));
	rig_reap_one();
	settle();
	assert_code(&other, READY, row->code);
	assert_int_equal(rig->dones, 0);
	two_close();
}

/* What is aborted when the arbiter has let it begin, and nobody was told so yet. */
static const struct {
	const char *why;
	struct rig_command c;
	bool failed; /* a format, before */
	unsigned code;
} early_aborts[] = {
	{"a FORMAT UNIT that is aborted before it began leaves the medium as it is", FORMAT, false,
	 0},
	{"a FORMAT UNIT that is aborted before it began mends no other", FORMAT, true, 0x3100},
	{"SBC-4: a SANITIZE that is aborted when it may begin goes on", ERASE, false, 0x041b},
};

static void fail_once(void)
{
	static const struct rig_command format = FORMAT;

	rig->results[0] = -EIO;
	assert_int_equal(run_on(&rig->nexus, &format)->status, SCSI_CHECK_CONDITION);
	rig->results[0] = 0;
	rig->dones = 0;
	rig->submitted = rig->ended = 0;
}

static void aborted_early(void **state)
{
	const __typeof__(early_aborts[0]) *row = *state;
	struct arbiter_order order;
	struct scsi_task task;

	two_open();
	memset(rig->disk, 'a', (size_t)RIG_BLOCK * RIG_BLOCKS);
	if (row->failed)
		fail_once();
	assert_int_equal(begin_on(&rig->nexus, &task, &row->c), SCSI_RUNNING);
	rig_recorded();
	assert_true(scsi_order_next(&rig->nexus, &order));
	scsi_order_sent(&rig->nexus);
	assert_int_equal(rig_say(&rig->seats[0], ARBITER_ORDER, &order, sizeof order), 0);
	assert_true(scsi_cancel(&task));
	settle();
	assert_code(&other, READY, row->code);
	assert_int_equal(rig->dones, 0);
	if (row->code == 0) {
		assert_false(scsi_operates(&rig->nexus));
		assert_int_equal(rig_last(1)->verdict, VERDICT_NOT_EXECUTED);
		assert_true(medium_is_all('a'));
		assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
	}
	two_close();
}

/* The arbiter has let it begin, and is gone with the answer. */
static void aborted_without_arbiter(void **state)
{
	static const struct rig_command format = FORMAT;
	struct arbiter_order order;
	struct scsi_task task;

	(void)state;
	two_open();
	assert_int_equal(begin_on(&rig->nexus, &task, &format), SCSI_RUNNING);
	rig_recorded();
	assert_true(scsi_order_next(&rig->nexus, &order));
	scsi_order_sent(&rig->nexus);
	assert_int_equal(rig_say(&rig->seats[0], ARBITER_ORDER, &order, sizeof order), 0);
	rig->seats[0].answered = 0;
	scsi_arbiter_changed(&rig->nexus);
	assert_true(scsi_cancel(&task));
	settle_all();
	assert_false(scsi_operates(&rig->nexus));
	assert_int_not_equal(code_of(run_on(&other, &(struct rig_command)READY)), 0x0404);
	two_close();
}

/* It waits for its record and for the arbiter; what comes after it is not carried out before. */
static void ordered(void **state)
{
	static const struct rig_command format = FORMAT, write = WRITE_5;
	struct scsi_task first, second;

	(void)state;
	two_open();
	rig_prepare(&first, &format);
	first.attribute = SCSI_ORDERED;
	assert_int_equal(scsi_begin(&first), SCSI_RUNNING);
	rig_prepare(&second, &write);
	assert_int_equal(scsi_begin(&second), SCSI_RUNNING);
	assert_null(scsi_next(&rig->nexus));
	settle();
	assert_int_equal(rig->queued, 1);
	assert_ptr_equal(scsi_next(&rig->nexus), &second);
	assert_int_equal(scsi_start(&second), SCSI_DONE);
	assert_int_equal(rig_code(&second), 0x0404);
	rig_reap_one();
	settle_all();
	assert_int_equal(first.status, SCSI_GOOD);
	two_close();
}

static const struct {
	const char *why;
	struct rig_command c;
	unsigned code;
	unsigned leave; /* what EXIT FAILURE MODE is told */
	bool is_left;	/* … and it ended the failure */
} failures[] = {
	{"a FORMAT UNIT that fails leaves the medium to be formatted", FORMAT, 0x3100, 0, false},
	{"a SANITIZE that fails leaves the medium closed", ERASE, 0x3103, 0x2400, false},
	{"a SANITIZE with AUSE that fails can be left", ERASE_AUSE, 0x3103, 0, true},
};

static void fails(void **state)
{
	const __typeof__(failures[0]) *row = *state;
	static const struct rig_command leave = EXIT;
	struct scsi_task task;

	two_open();
	rig->results[0] = -EIO;
	assert_int_equal(begin_on(&rig->nexus, &task, &row->c), SCSI_RUNNING);
	settle();
	rig_reap_one();
	settle();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(key_of(&task), 3);
	assert_int_equal(rig_code(&task), 0x0c00);
	assert_int_equal(rig_last(0)->kind, AUDIT_OUTCOME);
	assert_int_equal(rig_last(0)->verdict, VERDICT_FAILED);
	assert_code(&other, READY, row->code);
	assert_int_equal(code_of(run_on(&rig->nexus, &leave)), row->leave);
	assert_code(&other, READY, row->is_left ? 0 : row->code);
	two_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, parameters, parameter);
	TESTS_ADD_TABLE(&t, formats, zeroes);
	tests_add(&t, "a disk that can give no room back is written", zeroes_written, NULL);
	tests_add(&t, "a reservation that comes first keeps a format away", reserved_meanwhile,
		  NULL);
	tests_add(&t, "P1: who has protected blocks formats nothing", protected_blocks, NULL);
	tests_add(&t, "P4: what the arbiter can't keep does not begin", not_kept, NULL);
	TESTS_ADD_TABLE(&t, aborts, aborted);
	TESTS_ADD_TABLE(&t, early_aborts, aborted_early);
	tests_add(&t, "P4: a FORMAT UNIT that is aborted while the arbiter is away is ended",
		  aborted_without_arbiter, NULL);
	tests_add(&t, "SAM-5: nothing overtakes an ORDERED FORMAT UNIT until it has begun", ordered,
		  NULL);
	TESTS_ADD_TABLE(&t, failures, fails);
	return tests_run(&t, "scsi");
}

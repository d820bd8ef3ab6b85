/* What everybody is told, command by command, while one session stopped the disk, took its medium
 * out, formats or sanitizes it, or failed to. */
#include "tests/unit/scsi_medium_rig.h"

static const struct rig_command format_4 = FORMAT_4, erase = ERASE, stop = STOP, eject = EJECT,
				insert = INSERT;

static void formatting(void)
{
	struct scsi_task *task = &rig->task;

	memset(rig->buffer, 0, 4);
	rig->buffer[1] = 0x02; /* IMMED */
	assert_int_equal(begin_on(&rig->nexus, task, &format_4), SCSI_RUNNING);
	settle();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task->status, SCSI_GOOD);
}

/* Its session is over, and with it what it was at. */
static void first_dies(void)
{
	rig->seats[0].nexus = NULL;
	court_over(&rig->court, &rig->seats[0].member, rig->nexus.now_ms);
}

static void format_failed(void)
{
	formatting();
	first_dies();
}

static void sanitizing(void)
{
	static struct scsi_task task;

	assert_int_equal(begin_on(&rig->nexus, &task, &erase), SCSI_RUNNING);
	settle();
	assert_int_equal(rig->queued, 1);
}

static void sanitize_failed(void)
{
	sanitizing();
	first_dies();
}

/* A medium that can be taken out is not stopped. */
static void stopped(void)
{
	rig->nexus.luns[0].removable = other.luns[0].removable = false;
	assert_int_equal(run_on(&rig->nexus, &stop)->status, SCSI_GOOD);
}

static void ejected(void)
{
	assert_int_equal(run_on(&rig->nexus, &eject)->status, SCSI_GOOD);
}

#define INQUIRY                                               \
	{                                                     \
		{0x12, 0, 0, 0, 96}, .edtl = 96, .read = true \
	}
#define CAPACITY_10                             \
	{                                       \
		{0x25}, .edtl = 8, .read = true \
	}
#define CAPACITY_16                                               \
	{                                                         \
		{0x9e, 0x10, [13] = 32}, .edtl = 32, .read = true \
	}
#define REPORT_LUNS                                        \
	{                                                  \
		{0xa0, [9] = 64}, .edtl = 64, .read = true \
	}
#define MODE_SENSE                                                 \
	{                                                          \
		{0x1a, 0, 0x3f, 0, 255}, .edtl = 255, .read = true \
	}
#define OPCODES                                                      \
	{                                                            \
		{0xa3, 0x0c, [8] = 8, 0}, .edtl = 2048, .read = true \
	}
#define SYNC                      \
	{                         \
		{0x35}, .edtl = 0 \
	}
#define VERIFY                             \
	{                                  \
		{0x2f, [8] = 1}, .edtl = 0 \
	}
#define UNMAP                                             \
	{                                                 \
		{0x42, [8] = 8}, .edtl = 8, .write = true \
	}
#define SAME                                      \
	{                                         \
		{0x93, 0x01, [13] = 1}, .edtl = 0 \
	}
#define DEFECTS                                          \
	{                                                \
		{0x37, [8] = 4}, .edtl = 4, .read = true \
	}
#define STATUS                                                    \
	{                                                         \
		{0x9e, 0x12, [13] = 24}, .edtl = 24, .read = true \
	}

static const struct {
	const char *why;
	void (*what)(void);
	struct rig_command c;
	unsigned key, code;
} views[] = {
	{"stopped: TEST UNIT READY", stopped, READY, 2, 0x0402},
	{"stopped: READ", stopped, READ_5, 2, 0x0402},
	{"stopped: WRITE", stopped, WRITE_5, 2, 0x0402},
	{"stopped: SYNCHRONIZE CACHE", stopped, SYNC, 2, 0x0402},
	{"stopped: INQUIRY is answered", stopped, INQUIRY, 0, 0},
	{"stopped: MODE SENSE is answered", stopped, MODE_SENSE, 0, 0},
	{"stopped: anybody starts it", stopped, START, 0, 0},
	{"stopped: FORMAT UNIT", stopped, FORMAT, 2, 0x0402},
	{"ejected: TEST UNIT READY", ejected, READY, 2, 0x3a00},
	{"ejected: READ", ejected, READ_5, 2, 0x3a00},
	{"ejected: WRITE", ejected, WRITE_5, 2, 0x3a00},
	{"ejected: READ CAPACITY(10)", ejected, CAPACITY_10, 2, 0x3a00},
	{"ejected: READ CAPACITY(16)", ejected, CAPACITY_16, 2, 0x3a00},
	{"ejected: GET LBA STATUS", ejected, STATUS, 2, 0x3a00},
	{"ejected: UNMAP", ejected, UNMAP, 2, 0x3a00},
	{"ejected: WRITE SAME", ejected, SAME, 2, 0x3a00},
	{"ejected: VERIFY", ejected, VERIFY, 2, 0x3a00},
	{"ejected: READ DEFECT DATA", ejected, DEFECTS, 2, 0x3a00},
	{"ejected: FORMAT UNIT", ejected, FORMAT, 2, 0x3a00},
	{"ejected: SANITIZE", ejected, ERASE, 2, 0x3a00},
	{"ejected: START without LOEJ", ejected, START, 2, 0x3a00},
	{"ejected: anybody loads it", ejected, INSERT, 0, 0},
	{"ejected: once more", ejected, EJECT, 0, 0},
	{"ejected: removal can be prevented", ejected, PREVENT, 0, 0},
	{"formatting: TEST UNIT READY", formatting, READY, 2, 0x0404},
	{"formatting: READ", formatting, READ_5, 2, 0x0404},
	{"formatting: WRITE", formatting, WRITE_5, 2, 0x0404},
	{"formatting: START STOP UNIT", formatting, STOP, 2, 0x0404},
	{"formatting: FORMAT UNIT", formatting, FORMAT, 2, 0x0404},
	{"formatting: SANITIZE", formatting, ERASE, 2, 0x0404},
	{"formatting: READ CAPACITY", formatting, CAPACITY_10, 2, 0x0404},
	{"formatting: INQUIRY is answered", formatting, INQUIRY, 0, 0},
	{"formatting: REPORT LUNS is answered", formatting, REPORT_LUNS, 0, 0},
	{"formatting: REQUEST SENSE is answered", formatting, SENSE, 0, 0},
	{"formatting: what commands there are is answered", formatting, OPCODES, 0, 0},
	{"format failed: TEST UNIT READY", format_failed, READY, 3, 0x3100},
	{"format failed: READ", format_failed, READ_5, 3, 0x3100},
	{"format failed: WRITE", format_failed, WRITE_5, 3, 0x3100},
	{"format failed: MODE SENSE is answered", format_failed, MODE_SENSE, 0, 0},
	{"format failed: FORMAT UNIT mends it", format_failed, FORMAT, 0, 0},
	{"format failed: SANITIZE mends it", format_failed, ERASE, 0, 0},
	{"sanitizing: TEST UNIT READY", sanitizing, READY, 2, 0x041b},
	{"sanitizing: READ", sanitizing, READ_5, 2, 0x041b},
	{"sanitizing: START STOP UNIT", sanitizing, STOP, 2, 0x041b},
	{"sanitizing: SANITIZE", sanitizing, ERASE, 2, 0x041b},
	{"sanitizing: EXIT FAILURE MODE", sanitizing, EXIT, 2, 0x041b},
	{"sanitizing: INQUIRY is answered", sanitizing, INQUIRY, 0, 0},
	{"sanitize failed: TEST UNIT READY", sanitize_failed, READY, 3, 0x3103},
	{"sanitize failed: READ", sanitize_failed, READ_5, 3, 0x3103},
	{"sanitize failed: FORMAT UNIT", sanitize_failed, FORMAT, 3, 0x3103},
	{"sanitize failed: START STOP UNIT", sanitize_failed, STOP, 3, 0x3103},
	{"sanitize failed: INQUIRY is answered", sanitize_failed, INQUIRY, 0, 0},
	{"sanitize failed: SANITIZE mends it", sanitize_failed, ERASE, 0, 0},
	{"sanitize failed: there is no other way out", sanitize_failed, EXIT, 5, 0x2400},
	{"sanitize failed: nor is one to be had later", sanitize_failed, ERASE_AUSE, 5, 0x2400},
};

static void view(void **state)
{
	const __typeof__(views[0]) *row = *state;
	const struct scsi_task *task;

	two_open();
	row->what();
	memset(rig->buffer, 0, 4096);
	task = run_on(&other, &row->c);
	assert_int_equal(key_of(task), row->key);
	assert_int_equal(code_of(task), row->code);
	two_close();
}

/* Who did it is told the same. */
static const struct {
	const char *why;
	void (*what)(void);
	unsigned code;
} own[] = {
	{"stopped: who did it is told the same", stopped, 0x0402},
	{"ejected: who did it is told the same", ejected, 0x3a00},
	{"formatting: who does it is told the same", formatting, 0x0404},
	{"sanitizing: who does it is told the same", sanitizing, 0x041b},
};

static void view_own(void **state)
{
	static const struct rig_command all[] = {READY, READ_5, WRITE_5};
	const __typeof__(own[0]) *row = *state;

	two_open();
	row->what();
	for (size_t k = 0; k < ARRAY_LEN(all); k++)
		assert_int_equal(code_of(run_on(&rig->nexus, &all[k])), row->code);
	assert_code(&rig->nexus, INQUIRY, 0);
	two_close();
}

/* --- what was on the way --- */

static const struct {
	const char *why;
	void (*what)(void);
	unsigned code;
} late[] = {
	{"a write admitted before a stop does not land after it", stopped, 0x0402},
	{"a write admitted before an eject does not land after it", ejected, 0x3a00},
	{"a write admitted before a format does not land in it", formatting, 0x0404},
	{"a write admitted before a sanitize does not land in it", sanitizing, 0x041b},
};

static void late_write(void **state)
{
	static const struct rig_command write = WRITE_5;
	const __typeof__(late[0]) *row = *state;
	struct scsi_task waiting;
	size_t before;

	two_open();
	rig_prepare(&waiting, &write);
	waiting.nexus = &other;
	assert_int_equal(scsi_begin(&waiting), SCSI_WANT_DATA);
	row->what();
	before = rig->submitted;
	rig_give_buffer(&waiting);
	assert_int_equal(scsi_data_arrived(&waiting), SCSI_DONE);
	assert_int_equal(rig_code(&waiting), row->code);
	assert_int_equal(rig->submitted, before);
	two_close();
}

/* P4: what the backend has is waited for before it begins. */
static void format_waits(void **state)
{
	static const struct rig_command write = WRITE_5;
	struct scsi_task writing, task;

	(void)state;
	two_open();
	assert_int_equal(begin_on(&other, &writing, &write), SCSI_RUNNING);
	memset(rig->buffer, 0, 4);
	assert_int_equal(begin_on(&rig->nexus, &task, &format_4), SCSI_RUNNING);
	settle();
	assert_int_equal(rig->submitted, 1);
	rig_reap_one();
	settle();
	assert_int_equal(rig->submitted, 2);
	assert_int_equal(rig->log[1].op, IO_DISCARD);
	two_close();
}

/* --- taking out and putting back --- */

static void attention_on_load(void **state)
{
	(void)state;
	two_open();
	ejected();
	assert_int_equal(run_on(&rig->nexus, &insert)->status, SCSI_GOOD);
	assert_code(&rig->nexus, READY, 0);
	assert_code(&other, READY, 0x2800);
	assert_code(&other, READY, 0);
	two_close();
}

static void no_attention_on_start(void **state)
{
	(void)state;
	two_open();
	stopped();
	assert_code(&other, START, 0);
	assert_code(&other, READY, 0);
	assert_code(&rig->nexus, READY, 0);
	rig->nexus.luns[0].removable = true;
	assert_code(&rig->nexus, INSERT, 0); /* what is in already */
	assert_code(&other, READY, 0);
	two_close();
}

static void prevented(void **state)
{
	(void)state;
	two_open();
	assert_code(&rig->nexus, PREVENT, 0);
	assert_code(&rig->nexus, EJECT, 0x5302);
	assert_code(&other, EJECT, 0x5302);
	assert_code(&other, PREVENT, 0);
	assert_code(&rig->nexus, ALLOW, 0);
	assert_code(&rig->nexus, EJECT, 0x5302); /* the other one still does */
	assert_code(&rig->nexus, STOP, 0);	 /* does not take it out */
	assert_code(&rig->nexus, READY, 0);
	assert_code(&other, ALLOW, 0);
	assert_code(&other, EJECT, 0);
	assert_code(&other, PREVENT, 0);
	assert_code(&rig->nexus, INSERT, 0x5302);
	two_close();
}

/* It says so itself, before its process is over. */
static void prevented_by_who_left(void **state)
{
	struct arbiter_leave leave = {.id = 1};

	(void)state;
	two_open();
	assert_code(&rig->nexus, PREVENT, 0);
	assert_int_equal(rig_say(&rig->seats[0], ARBITER_LEAVE, &leave, sizeof leave), 0);
	assert_int_equal(rig->seats[0].resets_done, 1); /* it is answered */
	assert_code(&other, EJECT, 0);
	two_close();
}

static void reset_starts(void **state)
{
	(void)state;
	two_open();
	stopped();
	rig_reset_by(1);
	rig_share();
	assert_code(&rig->nexus, READY, 0x2903);
	assert_code(&rig->nexus, READY, 0);
	two_close();
}

static void prevented_by_the_dead(void **state)
{
	(void)state;
	two_open();
	assert_code(&rig->nexus, PREVENT, 0);
	first_dies();
	assert_code(&other, EJECT, 0);
	two_close();
}

static void reset_allows(void **state)
{
	(void)state;
	two_open();
	assert_code(&rig->nexus, PREVENT, 0);
	rig_reset_by(1);
	rig_share();
	assert_code(&rig->nexus, READY, 0x2903);
	assert_code(&rig->nexus, READY, 0);
	assert_code(&other, READY, 0x2903);
	assert_code(&other, EJECT, 0);
	two_close();
}

/* By the policy's rule it may only read; a disk that is read-only for all may be taken out by all.
 */
static void reader_stops_nothing(void **state)
{
	(void)state;
	two_open();
	other.luns[0].writable = false;
	other.luns[0].rule_line = 42;
	assert_code(&other, STOP, 0x2700);
	assert_code(&other, EJECT, 0x2700);
	assert_code(&other, START, 0);
	other.luns[0].rule_line = 0; /* … whatever a session that is taken over says */
	rig->seats[1].member.luns[0].writable = false;
	assert_code(&other, EJECT, 0x2700);
	rig->seats[0].member.luns[0].writable = false;
	assert_code(&other, EJECT, 0);
	two_close();
}

static void fixed_medium(void **state)
{
	(void)state;
	two_open();
	rig->nexus.luns[0].removable = false;
	assert_code(&rig->nexus, EJECT, 0x2400);
	assert_code(&rig->nexus, INSERT, 0x2400);
	assert_code(&rig->nexus, PREVENT, 0);
	assert_code(&rig->nexus, STOP, 0);
	two_close();
}

static void stop_flushes_first(void **state)
{
	(void)state;
	two_open();
	rig->results[0] = -EIO;
	assert_code(&rig->nexus, STOP, 0x0c00);
	assert_code(&other, READY, 0x0c00); /* it failed for all, and is not stopped */
	two_close();
}

/* A session that begins later is told as well. */
static void newcomer(void **state)
{
	(void)state;
	rig_open(NULL);
	rig->nexus.luns[0].removable = true;
	memset(&other, 0, sizeof other);
	ejected();
	rig_open_peer(1, &other);
	assert_code(&other, READY, 0x3a00);
	two_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, views, view);
	TESTS_ADD_TABLE(&t, own, view_own);
	TESTS_ADD_TABLE(&t, late, late_write);
	tests_add(&t, "P4: a format waits for what the backend has", format_waits, NULL);
	tests_add(&t, "a medium that was put back is told to everybody else", attention_on_load,
		  NULL);
	tests_add(&t, "a start is told to nobody", no_attention_on_start, NULL);
	tests_add(&t, "each nexus prevents removal for itself", prevented, NULL);
	tests_add(&t, "prevention goes with its nexus", prevented_by_the_dead, NULL);
	tests_add(&t, "prevention goes when its nexus is lost, not when its process is over",
		  prevented_by_who_left, NULL);
	tests_add(&t, "a reset lets the medium go", reset_allows, NULL);
	tests_add(&t, "a reset starts the disk", reset_starts, NULL);
	tests_add(&t, "P3: who may only read takes the disk away from nobody", reader_stops_nothing,
		  NULL);
	tests_add(&t, "a medium that is fixed stays in", fixed_medium, NULL);
	tests_add(&t, "a disk whose flush failed is not stopped", stop_flushes_first, NULL);
	tests_add(&t, "a session that begins later finds no medium, too", newcomer, NULL);
	return tests_run(&t, "scsi");
}

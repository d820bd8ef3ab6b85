/* WRITE AND VERIFY on the bench: a write that is durable, then read back. */
#include "tests/unit/scsi_rig.h"

#define OUT(n) .edtl = (n), .write = true

static const struct {
	const char *why;
	struct rig_command c;
	int results[3];
	uint32_t code; /* of the sense; 0: GOOD */
	size_t requests, offset, length;
} cases[] = {
	{"WRITE AND VERIFY(10) writes and reads",
	 {{0x2e, 0, 0, 0, 0, 5, 0, 0, 2}, OUT(1024)},
	 .requests = 2,
	 .offset = 2560,
	 .length = 1024},
	{"WRITE AND VERIFY(12) writes and reads",
	 {{0xae, 0, 0, 0, 0, 5, 0, 0, 0, 2}, OUT(1024)},
	 .requests = 2,
	 .offset = 2560,
	 .length = 1024},
	{"WRITE AND VERIFY(16) writes and reads",
	 {{0x8e, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2}, OUT(1024)},
	 .requests = 2,
	 .offset = 2560,
	 .length = 1024},
	{"BYTCHK=01b compares what was read",
	 {{0x2e, 0x02, 0, 0, 0, 5, 0, 0, 2}, OUT(1024)},
	 .requests = 2,
	 .offset = 2560,
	 .length = 1024},
	{"BYTCHK=10b is reserved", {{0x2e, 0x04, 0, 0, 0, 5, 0, 0, 1}, OUT(512)}, .code = 0x2400},
	{"BYTCHK=11b is reserved", {{0x2e, 0x06, 0, 0, 0, 5, 0, 0, 1}, OUT(512)}, .code = 0x2400},
	{"WRPROTECT is refused", {{0x8e, 0x20, [13] = 1}, OUT(512)}, .code = 0x2400},
	{"no blocks: GOOD", {{0x2e}, OUT(0)}, .code = 0},
	{"past the end is out of range",
	 {{0x2e, 0, 0, 0, 0x3f, 0xff, 0, 0, 2}, OUT(1024)},
	 .code = 0x2100},
	{"a write that fails is not read back",
	 {{0x2e, 0, 0, 0, 0, 5, 0, 0, 1}, OUT(512)},
	 {-EIO},
	 .code = 0x0c00,
	 .requests = 1,
	 .offset = 2560,
	 .length = 512},
	{"what can't be read back is a medium error",
	 {{0x2e, 0, 0, 0, 0, 5, 0, 0, 1}, OUT(512)},
	 {0, -EIO},
	 .code = 0x1100,
	 .requests = 2,
	 .offset = 2560,
	 .length = 512},
	{"without space it is the write that has none",
	 {{0x2e, 0, 0, 0, 0, 5, 0, 0, 1}, OUT(512)},
	 {-ENOSPC, -ENOSPC},
	 .code = 0x2707,
	 .requests = 2,
	 .offset = 2560,
	 .length = 512},
	{"of two blocks the one that comes is written and verified",
	 {{0x2e, 0x02, 0, 0, 0, 5, 0, 0, 2}, OUT(512)},
	 .requests = 2,
	 .offset = 2560,
	 .length = 512},
};

static void one_case(void **state)
{
	const __typeof__(cases[0]) *row = *state;
	struct scsi_task *task;

	rig_open(NULL);
	memcpy(rig->results, row->results, sizeof row->results);
	task = rig_run(&row->c);
	assert_int_equal(task->status, row->code == 0 ? SCSI_GOOD : SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(task), row->code);
	assert_int_equal(task->data_len, 0);
	assert_int_equal(rig->submitted, row->requests);
	for (size_t i = 0; i < rig->submitted; i++) {
		assert_true(rig->log[i].records_before > 0); /* P2 */
		assert_int_equal(rig->log[i].offset, row->offset);
		assert_int_equal(rig->log[i].length, row->length);
	}
	if (rig->submitted > 0) {
		assert_int_equal(rig->log[0].op, IO_WRITE);
		assert_true(rig->log[0].fua);
	}
	rig_close();
}

static void begin(struct scsi_task *task, const struct rig_command *c)
{
	rig_prepare(task, c);
	assert_int_equal(scsi_begin(task), SCSI_WANT_DATA);
	rig_give_buffer(task);
	assert_int_equal(scsi_data_arrived(task), SCSI_RUNNING);
}

static const struct rig_command compare = {{0x2e, 0x02, 0, 0, 0, 5, 0, 0, 2}, OUT(1024)};

static void difference_is_told(void **state)
{
	struct scsi_task task;

	rig_open(state);
	begin(&task, &compare);
	rig_reap_one();
	rig->disk[5 * RIG_BLOCK + 700] ^= 1; /* the medium lost it */
	rig_reap_one();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(task.sense[2], 0x0e);
	assert_int_equal(rig_code(&task), 0x1d00);
	assert_int_equal(get_be(task.sense + 3, 4), 700);
	rig_close();
}

static void answered_when_durable(void **state)
{
	struct scsi_task task;

	rig_open(state);
	begin(&task, &compare);
	rig_reap();
	assert_int_equal(rig->dones, 0);
	rig_audit();
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 0);
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_GOOD);
	rig_close();
}

static void cancelled_between(void **state)
{
	struct scsi_task task;

	rig_open(state);
	begin(&task, &compare);
	assert_false(scsi_cancel(&task));
	rig_reap();
	assert_int_equal(rig->submitted, 1);
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_TASK_ABORTED);
	assert_null(task.admission);
	rig_close();
}

static void denied_on_read_only(void **state)
{
	static const struct rig_command c = {{0x2e, [8] = 1}, {0, 1}, OUT(512)};

	rig_open(state);
	rig_add_lun(1, false);
	assert_int_equal(rig_run(&c)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&rig->task), 0x2700);
	assert_int_equal(rig_last(0)->verdict, VERDICT_DENIED);
	assert_int_equal(rig->submitted, 0);
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, cases, one_case);
	tests_add(&t, "a difference is told with its place in the data", difference_is_told, NULL);
	tests_add(&t, "P2: it is answered when the audit of the write is durable",
		  answered_when_durable, NULL);
	tests_add(&t, "an abort during the write ends it before the verify", cancelled_between,
		  NULL);
	tests_add(&t, "P1: a read-only LUN takes none", denied_on_read_only, NULL);
	return tests_run(&t, "scsi write and verify");
}

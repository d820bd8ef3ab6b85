/* SEND DIAGNOSTIC and RECEIVE DIAGNOSTIC RESULTS, SPC-5: self-tests, and the one diagnostic
 * page that there is. Runs in the session. A self-test asks whether the disk is
 * what was granted, which takes no time: also in the background it is over with the command.
 * The parameter list is the peer's and 4 octets long. */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/log.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/sense.h"

#define SELFTEST	0x04
#define PAGE_FORMAT	0x10
#define PAGE_FORMAT_BIT 4
#define PCV		0x01
#define PAGE_SUPPORTED	0x00
#define PAGE_LENGTH	4

/* SELF-TEST CODE. ABORT has nothing to abort: no test outlives its command. */
enum {
	TEST_NONE = 0,
	TEST_BACKGROUND_SHORT = 1,
	TEST_BACKGROUND_EXTENDED = 2,
	TEST_SHORT = 5,
	TEST_EXTENDED = 6,
};

bool receive_diagnostic_reply(struct scsi_task *task, struct wr *w)
{
	if ((task->cdb[1] & PCV) != 0 && task->cdb[2] != PAGE_SUPPORTED) {
		sense_cdb_field(task, 2, 7);
		return false;
	}
	wr_be(w, 2, PAGE_SUPPORTED);
	wr_be(w, 2, 1);
	wr_be(w, 1, PAGE_SUPPORTED);
	return true;
}

static bool is_test(unsigned code)
{
	return code == TEST_BACKGROUND_SHORT || code == TEST_BACKGROUND_EXTENDED ||
	       code == TEST_SHORT || code == TEST_EXTENDED;
}

/* A test in the background tells its result in the log alone. */
static enum scsi_step run_test(struct scsi_task *task)
{
	unsigned code = task->cdb[1] >> 5;
	bool passed, told = code != TEST_BACKGROUND_SHORT && code != TEST_BACKGROUND_EXTENDED;

	passed = medium_is_ready(task);
	if (code != TEST_NONE)
		log_self_test(task, code, passed);
	if (passed || !told)
		return task_good(task);
	sense_set(task, KEY_HARDWARE_ERROR, SENSE_FAILED_SELF_TEST);
	return task_fail(task);
}

/* False: the task has its sense. */
static bool check_test(struct scsi_task *task, unsigned code, size_t len)
{
	bool by_default = (task->cdb[1] & SELFTEST) != 0;

	if (by_default ? code != TEST_NONE : code != TEST_NONE && !is_test(code))
		sense_cdb_field(task, 1, 7);
	else if (len != 0 && (by_default || code != TEST_NONE))
		sense_cdb_field(task, 3, 7);
	else
		return true;
	return false;
}

static bool check_list(struct scsi_task *task, size_t len)
{
	if ((task->cdb[1] & PAGE_FORMAT) == 0) /* a vendor's own list */
		sense_cdb_field(task, 1, PAGE_FORMAT_BIT);
	else if (len != PAGE_LENGTH)
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_PARAMETER_LIST_LENGTH_ERROR);
	else if (!task->write || task->edtl < len)
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_COMMAND_IU);
	else
		return true;
	return false;
}

enum scsi_step send_diagnostic_begin(struct scsi_task *task)
{
	unsigned code = task->cdb[1] >> 5;
	size_t len = get_be(task->cdb + 3, 2);

	if (!check_test(task, code, len))
		return task_refuse(task);
	if ((task->cdb[1] & SELFTEST) != 0 || code != TEST_NONE)
		return gate_admit(task) ? gate_when_recorded(task, run_test) : task_fail(task);
	if (len == 0)
		return gate_admit(task) ? task_nothing(task) : task_fail(task);
	if (!check_list(task, len))
		return task_refuse(task);
	if (!gate_admit(task))
		return task_fail(task);
	task->wanted = task->bytes = len;
	return SCSI_WANT_DATA;
}

/* Page 00h, with nothing in it, asks for the list that RECEIVE DIAGNOSTIC RESULTS has anyway. */
enum scsi_step send_diagnostic_start(struct scsi_task *task)
{
	static const struct cdb_field fields[] = {{0, 1}, {1, 1}, {2, 2}}; /* code, -, length */
	uint8_t page[PAGE_LENGTH];

	if (task->buffer_len < task->bytes) {
		sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_fail(task);
	}
	task_gather(task, 0, page, sizeof page);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (get_be(page + fields[i].at, fields[i].width) == 0)
			continue;
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
		sense_parameter_field(task, fields[i].at);
		return task_fail(task);
	}
	return task_nothing(task);
}

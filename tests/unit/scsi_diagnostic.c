/* Diagnostics: self-tests tell the truth, and everything that no test asks for is refused. */
#include "tests/unit/scsi_reply.h"

#define OUT(n) .edtl = (n), .write = true

static const struct reply_row replies[] = {
	{"RECEIVE DIAGNOSTIC RESULTS: the list of pages has itself",
	 {{0x1c, 1, 0, 0, 255}, IN(255)},
	 5,
	 {{0, 5, 0x0000000100}}},
	{"RECEIVE DIAGNOSTIC RESULTS: without PCV the same, there is no other",
	 {{0x1c, 0, 0x40, 0, 255}, IN(255)},
	 5,
	 {{0, 5, 0x0000000100}}},
	{"SEND DIAGNOSTIC: the default self-test passes", {{0x1d, 0x04}, IN(0)}, 0, {{0}}},
	{"SEND DIAGNOSTIC: a test may take the unit offline, and needs not",
	 {{0x1d, 0x07}, IN(0)},
	 0,
	 {{0}}},
	{"SEND DIAGNOSTIC: background short self-test", {{0x1d, 0x20}, IN(0)}, 0, {{0}}},
	{"SEND DIAGNOSTIC: background extended self-test", {{0x1d, 0x40}, IN(0)}, 0, {{0}}},
	{"SEND DIAGNOSTIC: foreground short self-test", {{0x1d, 0xa0}, IN(0)}, 0, {{0}}},
	{"SEND DIAGNOSTIC: foreground extended self-test", {{0x1d, 0xc0}, IN(0)}, 0, {{0}}},
	{"SEND DIAGNOSTIC: nothing to do is done", {{0x1d, 0x10}, IN(0)}, 0, {{0}}},
};

static const struct field_row fields[] = {
	{"RECEIVE DIAGNOSTIC RESULTS: a page that is not there",
	 {{0x1c, 1, 0x40, 0, 255}, IN(255)},
	 0x2400,
	 2,
	 7},
	{"SEND DIAGNOSTIC: the default self-test and a code", {{0x1d, 0x24}, IN(0)}, 0x2400, 1, 7},
	{"SEND DIAGNOSTIC: a reserved code", {{0x1d, 0x60}, IN(0)}, 0x2400, 1, 7},
	{"SEND DIAGNOSTIC: the other reserved code", {{0x1d, 0xe0}, IN(0)}, 0x2400, 1, 7},
	{"SEND DIAGNOSTIC: no background test runs that could be aborted",
	 {{0x1d, 0x80}, IN(0)},
	 0x2400,
	 1,
	 7},
	{"SEND DIAGNOSTIC: a self-test takes no list",
	 {{0x1d, 0x14, 0, 0, 4}, OUT(4)},
	 0x2400,
	 3,
	 7},
	{"SEND DIAGNOSTIC: a background test takes no list",
	 {{0x1d, 0x30, 0, 0, 4}, OUT(4)},
	 0x2400,
	 3,
	 7},
	{"SEND DIAGNOSTIC: a vendor's list", {{0x1d, 0, 0, 0, 4}, OUT(4)}, 0x2400, 1, 4},
	{"SEND DIAGNOSTIC: a list that is no page", {{0x1d, 0x10, 0, 0, 3}, OUT(3)}, 0x1a00, -1, 0},
	{"SEND DIAGNOSTIC: a list longer than the page",
	 {{0x1d, 0x10, 0, 0, 5}, OUT(5)},
	 0x1a00,
	 -1,
	 0},
	{"SEND DIAGNOSTIC: a list that the initiator does not send",
	 {{0x1d, 0x10, 0, 0, 4}, IN(4)},
	 0x0e03,
	 -1,
	 0},
	{"SEND DIAGNOSTIC: a list that the initiator sends in part",
	 {{0x1d, 0x10, 0, 0, 4}, OUT(3)},
	 0x0e03,
	 -1,
	 0},
	{"SEND DIAGNOSTIC: the reserved bit of octet 1", {{0x1d, 0x08}, IN(0)}, 0x2400, 1, 3},
};

static const struct {
	const char *why;
	uint8_t page[4];
	uint16_t code;	/* 0: GOOD */
	uint16_t octet; /* of the list that is pointed at */
} pages[] = {
	{"SEND DIAGNOSTIC: page 00h asks for what is there", {0, 0, 0, 0}, 0, 0},
	{"SEND DIAGNOSTIC: a page that is not there", {0x40, 0, 0, 0}, 0x2600, 0},
	{"SEND DIAGNOSTIC: a reserved octet of the page", {0, 1, 0, 0}, 0x2600, 1},
	{"SEND DIAGNOSTIC: a page that says it is longer than it came", {0, 0, 0, 1}, 0x2600, 2},
};

static void page(void **state)
{
	static const struct rig_command c = {{0x1d, 0x10, 0, 0, 4}, OUT(4)};
	const __typeof__(pages[0]) *row = *state;

	rig_open(NULL);
	memcpy(rig->buffer, row->page, sizeof row->page);
	assert_int_equal(rig_run(&c)->status, row->code == 0 ? SCSI_GOOD : SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&rig->task), row->code);
	if (row->code != 0)
		assert_int_equal(get_be(rig->task.sense + 15, 3), 0x800000 | row->octet);
	rig_close();
}

static const struct {
	const char *why;
	uint8_t octet;	/* 1 of the CDB */
	uint16_t code;	/* 0: GOOD */
	uint8_t in_log; /* the first octet of the newest result */
} failing[] = {
	{"a disk that is gone fails the default self-test", 0x04, 0x3e03, 0},
	{"a disk that is gone fails a foreground self-test", 0xa0, 0x3e03, 0xa4},
	{"a background self-test that fails says so in the log", 0x20, 0, 0x24},
};

static void fails(void **state)
{
	const __typeof__(failing[0]) *row = *state;
	struct rig_command test = {{0x1d, row->octet}, IN(0)},
			   log = {{0x4d, 0, 0x50, [8] = 24}, IN(24)};

	rig_open(NULL);
	rig->check_result = -ESTALE;
	assert_int_equal(rig_run(&test)->status, row->code == 0 ? SCSI_GOOD : SCSI_CHECK_CONDITION);
	if (row->code != 0) {
		assert_int_equal(rig_code(&rig->task), row->code);
		assert_int_equal(rig->task.sense[2], 0x4);
	}
	assert_int_equal(rig->task.sense_len != 0, row->code != 0);
	(void)rig_run(&log);
	assert_int_equal(rig->buffer[8], row->in_log);
	assert_int_equal(rig->submitted, 0);
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, replies, reply_check);
	TESTS_ADD_TABLE(&t, fields, field_check);
	TESTS_ADD_TABLE(&t, pages, page);
	TESTS_ADD_TABLE(&t, failing, fails);
	return tests_run(&t, "scsi diagnostic");
}

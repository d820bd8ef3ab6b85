/* Everything that a CDB can be, in bulk: all opcodes and service actions, all allocation
 * lengths; nothing crashes, nothing is left in the gate, no reply holds an octet that
 * was not written for it. */
#include "tests/unit/scsi_rig.h"
#include "gateway/scsi/commands.h"

static void all_opcodes(void **state)
{
	rig_open(state);
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		for (unsigned action = 0; action < 256; action++) {
			struct rig_command c = {{(uint8_t)opcode, (uint8_t)action, 0, 0, 0, 0, 0, 0,
						 2, 0, 0, 0, 0, 2},
						.edtl = 4096,
						.read = true,
						.write = true};

			rig->submitted = rig->ended = 0;
			(void)rig_run(&c);
			assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
		}
	}
	rig_close();
}

static void all_ones(void **state)
{
	rig_open(state);
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		struct rig_command c = {.edtl = UINT32_MAX, .read = true};

		memset(c.cdb, 0xff, sizeof c.cdb);
		c.cdb[0] = (uint8_t)opcode;
		assert_int_equal(rig_run(&c)->status, SCSI_CHECK_CONDITION);
	}
	rig_close();
}

static const struct {
	const char *why;
	uint8_t cdb[16];
	size_t at, width; /* of the allocation length; width 0: there is none */
} replies[] = {
	{"INQUIRY: no octet that was not written", {0x12}, 3, 2},
	{"VPD 83h: no octet that was not written", {0x12, 1, 0x83}, 3, 2},
	{"VPD B0h: no octet that was not written", {0x12, 1, 0xb0}, 3, 2},
	{"REQUEST SENSE: no octet that was not written", {0x03}, 4, 1},
	{"MODE SENSE(6): no octet that was not written", {0x1a, 0, 0x3f}, 4, 1},
	{"MODE SENSE(10): no octet that was not written", {0x5a, 0x10, 0x3f}, 7, 2},
	{"READ CAPACITY(10): no octet that was not written", {0x25}, 0, 0},
	{"READ CAPACITY(16): no octet that was not written", {0x9e, 0x10}, 10, 4},
	{"REPORT LUNS: no octet that was not written", {0xa0}, 6, 4},
	{"VPD 00h: no octet that was not written", {0x12, 1, 0x00}, 3, 2},
	{"VPD 80h: no octet that was not written", {0x12, 1, 0x80}, 3, 2},
	{"VPD 87h: no octet that was not written", {0x12, 1, 0x87}, 3, 2},
	{"VPD B1h: no octet that was not written", {0x12, 1, 0xb1}, 3, 2},
	{"VPD B2h: no octet that was not written", {0x12, 1, 0xb2}, 3, 2},
	{"LOG SENSE, all pages: no octet that was not written", {0x4d, 0, 0, 0xff}, 7, 2},
	{"LOG SENSE, room: no octet that was not written", {0x4d, 0, 0x0c}, 7, 2},
	{"LOG SENSE, exceptions: no octet that was not written", {0x4d, 0, 0x2f}, 7, 2},
	{"READ DEFECT DATA(12): no octet that was not written", {0xb7}, 6, 4},
	{"one command with its timeouts: no octet that was not written",
	 {0xa3, 0x0c, 0x81, 0x88},
	 6,
	 4},
	{"all commands with their timeouts: no octet that was not written",
	 {0xa3, 0x0c, 0x80},
	 6,
	 4},
	{"VPD 86h: no octet that was not written", {0x12, 1, 0x86}, 3, 2},
	{"VPD 88h: no octet that was not written", {0x12, 1, 0x88}, 3, 2},
	{"LOG SENSE, self-tests: no octet that was not written", {0x4d, 0, 0x10}, 7, 2},
	{"RECEIVE DIAGNOSTIC RESULTS: no octet that was not written", {0x1c, 1}, 3, 2},
	{"REPORT IDENTIFYING INFORMATION: no octet that was not written",
	 {0xa3, 0x05, [10] = 0xfe},
	 6,
	 4},
	{"REPORT TARGET PORT GROUPS: no octet that was not written", {0xa3, 0x2a}, 6, 4},
	{"REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS: no octet that was not written",
	 {0xa3, 0x0d, 0x80},
	 6,
	 4},
	{"REPORT SUPPORTED OPERATION CODES: no octet that was not written", {0xa3, 0x0c}, 6, 4},
};

/* With two poisons: an octet that differs was never set. What is beyond data_len is untouched. */
static void reply_once(const struct rig_command *c, uint8_t poison, uint8_t *ret, size_t *ret_len)
{
	memset(rig->buffer, poison, REPLY_MAX);
	assert_int_equal(rig_run(c)->status, SCSI_GOOD);
	*ret_len = rig->task.data_len;
	for (size_t i = *ret_len; i < REPLY_MAX; i++)
		assert_int_equal(rig->buffer[i], poison);
	memcpy(ret, rig->buffer, *ret_len);
}

#define ROOM 4000u

static void every_length(void **state)
{
	const __typeof__(replies[0]) *row = *state;
	uint8_t a[REPLY_MAX], b[REPLY_MAX], whole[REPLY_MAX];
	size_t a_len, b_len, whole_len;
	struct rig_command c = {.edtl = 0, .read = true};

	rig_open(NULL);
	rig->nexus.luns[0].thin = true;
	memcpy(c.cdb, row->cdb, sizeof c.cdb);
	c.edtl = ROOM;
	if (row->width != 0)
		put_be(c.cdb + row->at, row->width, row->width == 1 ? 255 : ROOM);
	reply_once(&c, 0x00, whole, &whole_len);
	for (uint32_t room = 0; room <= MIN(whole_len + 2, row->width == 1 ? 255 : ROOM); room++) {
		if (row->width != 0)
			put_be(c.cdb + row->at, row->width, room);
		c.edtl = row->width == 0 ? room : ROOM;
		reply_once(&c, 0x55, a, &a_len);
		reply_once(&c, 0xaa, b, &b_len);
		assert_int_equal(a_len, MIN(room, whole_len));
		assert_int_equal(b_len, a_len);
		assert_int_equal(rig->task.wanted, row->width == 0 ? whole_len : a_len);
		assert_memory_equal(a, b, a_len);
		assert_memory_equal(a, whole, a_len);
	}
	rig_close();
}

static void less_room_than_allocation(void **state)
{
	static const struct rig_command c = {{0x12, 0, 0, 0, 96}, .edtl = 36, .read = true},
					none = {{0x12, 0, 0, 0, 96}, .edtl = 36, .write = true};

	rig_open(state);
	(void)rig_run(&c);
	assert_int_equal(rig->task.data_len, 36);
	assert_int_equal(rig->task.wanted, 96);
	(void)rig_run(&none);
	assert_int_equal(rig->task.data_len, 0);
	assert_int_equal(rig->task.status, SCSI_GOOD);
	rig_close();
}

static void all_luns(void **state)
{
	static const struct rig_command c = {{0xa0, [8] = 0x10}, .edtl = 4096, .read = true};

	rig_open(state);
	for (uint16_t i = 0; i < BACKENDS_MAX; i++)
		rig_add_lun(i, true);
	(void)rig_run(&c);
	assert_int_equal(rig->task.data_len, 8 + 8 * BACKENDS_MAX);
	assert_int_equal(get_be(rig->buffer + 8 + 8 * 255, 8), 0x00ff000000000000);
	rig_close();
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "all opcodes with all values of octet 1", all_opcodes, NULL);
	tests_add(&t, "CDBs of all ones are refused", all_ones, NULL);
	TESTS_ADD_TABLE(&t, replies, every_length);
	tests_add(&t, "EDTL below the allocation length cuts the reply, and is told",
		  less_room_than_allocation, NULL);
	tests_add(&t, "256 LUNs fit the reply", all_luns, NULL);
	return tests_run(&t, "scsi sweep");
}

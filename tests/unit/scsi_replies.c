/* What the small commands say: every octet that initiators decide by. */
#include "tests/unit/scsi_reply.h"
#include "gateway/scsi/commands.h"

static const struct reply_row replies[] = {
	{"READ CAPACITY(10)", {{0x25}, IN(8)}, 8, {{0, 8, 0x00003fff00000200}}},
	{"READ CAPACITY(16): 512 octets on 4096",
	 {{0x9e, 0x10, [13] = 32}, IN(32)},
	 32,
	 {{0, 8, 0x3fff}, {8, 8, 0x0000020000030000}, {16, 8, 0}, {24, 8, 0}}},
	{"REPORT LUNS",
	 {{0xa0, [9] = 255}, IN(255)},
	 24,
	 {{0, 8, 0x0000001000000000}, {8, 8, 0}, {16, 8, 0x0005000000000000}}},
	{"REPORT LUNS: all", {{0xa0, 0, 2, [9] = 255}, IN(255)}, 24, {{0, 4, 16}}},
	{"REPORT LUNS: no administrative ones",
	 {{0xa0, 0, 0x10, [9] = 255}, IN(255)},
	 8,
	 {{0, 8, 0}}},
	{"REPORT LUNS: those that are no part of anything",
	 {{0xa0, 0, 0x11, [9] = 255}, IN(255)},
	 24,
	 {{0, 4, 16}, {16, 8, 0x0005000000000000}}},
	{"REPORT LUNS: no well known ones", {{0xa0, 0, 1, [9] = 255}, IN(255)}, 8, {{0, 8, 0}}},
	{"REPORT LUNS is answered by a LUN that is not there",
	 {{0xa0, [9] = 255}, {0, 99}, IN(255)},
	 24,
	 {{0, 4, 16}}},
	{"REQUEST SENSE: nothing to tell, fixed format",
	 {{0x03, 0, 0, 0, 252}, IN(252)},
	 18,
	 {{0, 8, 0x700000000000000a}, {8, 8, 0}}},
	{"REQUEST SENSE: nothing to tell, descriptor format",
	 {{0x03, 1, 0, 0, 252}, IN(252)},
	 8,
	 {{0, 8, 0x7200000000000000}}},
	{"REQUEST SENSE of a LUN that is not there",
	 {{0x03, 0, 0, 0, 252}, {0, 9}, IN(252)},
	 18,
	 {{0, 3, 0x700005}, {12, 2, 0x2500}}},
};

static const struct field_row fields[] = {
	{"NACA=1 is refused", {{0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0x04}, IN(512)}, 0x2400, 9, 2},
	{"NACA=1 in a CDB of 6 octets is refused", {{0x00, 0, 0, 0, 0, 0x04}, IN(0)}, 0x2400, 5, 2},
	{"LINK=1 is refused", {{0x88, [13] = 1, [15] = 0x01}, IN(512)}, 0x2400, 15, 0},
	{"a reserved bit is pointed at", {{0x25, 0, 0, 0, 0, 0, 0, 0, 0x01}, IN(8)}, 0x2400, 8, 0},
	{"a reserved octet: its first bit that is set",
	 {{0x9e, 0x10, [9] = 0x28, [13] = 32}, IN(32)},
	 0x2400,
	 9,
	 5},
	{"RDPROTECT is pointed at as a field", {{0x28, 0x20, [8] = 1}, IN(512)}, 0x2400, 1, 7},
	{"a transfer that is too long is pointed at", {{0xa8, [6] = 1}, IN(512)}, 0x2400, 6, 7},
	{"BYTCHK=10b is pointed at",
	 {{0xaf, 0x04, [9] = 1}, .edtl = 512, .write = true},
	 0x2400,
	 1,
	 2},
	{"REPORT LUNS: subsidiaries of a LUN that has none",
	 {{0xa0, 0, 0x12, [9] = 255}, IN(255)},
	 0x2400,
	 2,
	 7},
	{"REPORT LUNS: administrative ones, asked of another LUN than 0",
	 {{0xa0, 0, 0x10, [9] = 255}, {0, 5}, IN(255)},
	 0x2400,
	 2,
	 7},
	{"REPORT LUNS: a reserved report", {{0xa0, 0, 0x03, [9] = 255}, IN(255)}, 0x2400, 2, 7},
	{"REPORT LUNS: a vendor's report", {{0xa0, 0, 0xf8, [9] = 255}, IN(255)}, 0x2400, 2, 7},
	{"an opcode that is there with another action is a bad field",
	 {{0x9e, 0x12, [13] = 32}, IN(32)},
	 0x2400,
	 1,
	 4},
	{"an opcode that is not there", {{0x42}, IN(0)}, 0x2000, -1, 0},
	{"a vendor's opcode", {{0xe0}, IN(0)}, 0x2000, -1, 0},
	{"TEST UNIT READY of a LUN that is not there", {{0x00}, {0, 9}, IN(0)}, 0x2500, -1, 0},
	{"an unknown opcode of a LUN that is not there", {{0x42}, {0, 9}, IN(0)}, 0x2500, -1, 0},
};

static const struct {
	const char *why;
	uint8_t lun[8];
	int number;
} luns[] = {
	{"peripheral addressing, LUN 0", {0}, 0},
	{"peripheral addressing, LUN 255", {0, 255}, 255},
	{"flat addressing, LUN 7", {0x40, 7}, 7},
	{"flat addressing above 255 is none of ours", {0x41, 0}, -1},
	{"a bus identifier is none of ours", {0x01, 7}, -1},
	{"logical unit addressing is none of ours", {0x80, 7}, -1},
	{"extended addressing is none of ours", {0xc1, 1}, -1},
	{"a second level is none of ours", {0, 7, 0, 1}, -1},
	{"the last octet counts", {0, 7, 0, 0, 0, 0, 0, 1}, -1},
};

static void lun(void **state)
{
	const __typeof__(luns[0]) *row = *state;

	assert_int_equal(scsi_lun_decode(row->lun), row->number);
}

static void big_disk(void **state)
{
	static const struct rig_command small = {{0x25}, IN(8)},
					big = {{0x9e, 0x10, [13] = 32}, IN(32)},
					mode = {{0x1a, 0, 0x08, 0, 12}, IN(12)};

	rig_open(state);
	rig->nexus.luns[0].blocks = (1ULL << 33) + 1;
	rig->nexus.luns[0].block_size = 4096;
	(void)rig_run(&small);
	assert_int_equal(get_be(rig->buffer, 8), 0xffffffff00001000);
	(void)rig_run(&big);
	assert_int_equal(get_be(rig->buffer, 8), 1ULL << 33);
	assert_int_equal(get_be(rig->buffer + 8, 8), 0x0000100000000000);
	(void)rig_run(&mode);
	assert_int_equal(get_be(rig->buffer + 4, 8), 0xffffffff00001000);
	rig->nexus.luns[0].blocks = 1ULL << 32; /* its last LBA fits, but means "ask again" */
	(void)rig_run(&small);
	assert_int_equal(get_be(rig->buffer, 4), 0xffffffff);
	rig_close();
}

/* The two halves of the command table tell the same. */
static void table_has_names(void **state)
{
	size_t count;
	const struct scsi_command *table = commands(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		uint8_t cdb[2] = {table[i].opcode, (uint8_t)MAX(table[i].service_action, 0)};
		const struct command_name *name = command_name_find(cdb, sizeof cdb);

		assert_non_null(name);
		assert_int_equal(name->touches, table[i].touches);
		assert_int_equal(name->service_action, table[i].service_action);
		assert_int_equal(table[i].usage[0], table[i].opcode);
	}
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, replies, reply_check);
	TESTS_ADD_TABLE(&t, fields, field_check);
	TESTS_ADD_TABLE(&t, luns, lun);
	tests_add(&t, "more than 2^32 blocks send the initiator to READ CAPACITY(16)", big_disk,
		  NULL);
	tests_add(&t, "each command has its name, and touches what its name says", table_has_names,
		  NULL);
	return tests_run(&t, "scsi replies");
}

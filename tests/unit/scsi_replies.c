/* What the small commands say: every octet that initiators decide by. */
#include "tests/unit/scsi_rig.h"
#include "gateway/scsi/commands.h"

#define IN(n) .edtl = (n), .read = true

static const struct {
	const char *why;
	struct rig_command c;
	size_t len;
	struct {
		size_t at, width;
		uint64_t value;
	} octets[6];
} replies[] = {
	{"INQUIRY: a disk, SPC-4, tagged queuing",
	 {{0x12, 0, 0, 0, 255}, IN(255)},
	 96,
	 {{0, 1, 0}, {2, 1, 6}, {3, 1, 0x12}, {4, 1, 91}, {6, 2, 0x0002}}},
	{"INQUIRY: versions SAM-5, iSCSI at protocol level 2, SPC-4, SBC-3",
	 {{0x12, 0, 0, 0, 255}, IN(255)},
	 96,
	 {{58, 8, 0x00a00962046004c0}, {66, 8, 0}}},
	{"VPD 00h lists all pages in order",
	 {{0x12, 1, 0, 0, 255}, IN(255)},
	 10,
	 {{0, 4, 6}, {4, 6, 0x008083b0b1b2}}},
	{"VPD 80h is the serial",
	 {{0x12, 1, 0x80, 0, 255}, IN(255)},
	 40,
	 {{0, 4, 0x00800024}, {4, 8, 0x3066356339653463}}},
	{"VPD 83h starts with the NAA",
	 {{0x12, 1, 0x83, 1, 0}, IN(256)},
	 168,
	 {{0, 4, 0x008300a4}, {4, 4, 0x01030008}, {8, 8, 0x3102030405060700}}},
	{"VPD 83h: T10 vendor, target port name with protocol iSCSI",
	 {{0x12, 1, 0x83, 1, 0}, IN(256)},
	 168,
	 {{16, 4, 0x0201002c}, {64, 4, 0x5398002c}, {68, 8, 0x69716e2e32303236}}},
	{"VPD 83h: relative port, port group, device name",
	 {{0x12, 1, 0x83, 1, 0}, IN(256)},
	 168,
	 {{112, 8, 0x5194000400000001}, {120, 8, 0x5195000400000001}, {128, 4, 0x53a80024}}},
	{"VPD B0h: 4 KiB granularity, 4 MiB at most, no UNMAP",
	 {{0x12, 1, 0xb0, 0, 255}, IN(255)},
	 64,
	 {{0, 4, 0x00b0003c},
	  {4, 8, 0x0100000800002000},
	  {12, 8, 0x2000}, /* pre-fetch */
	  {20, 8, 0},
	  {28, 8, 0},
	  {36, 8, 32768}}}, /* WRITE SAME */
	{"VPD B1h: does not rotate",
	 {{0x12, 1, 0xb1, 0, 255}, IN(255)},
	 64,
	 {{0, 6, 0x00b1003c0001}}},
	{"VPD B2h: no provisioning",
	 {{0x12, 1, 0xb2, 0, 255}, IN(255)},
	 8,
	 {{0, 8, 0x00b2000400000000}}},
	{"INQUIRY of a LUN that is not there: 7Fh",
	 {{0x12, 0, 0, 0, 255}, {0, 77}, IN(255)},
	 96,
	 {{0, 1, 0x7f}}},
	{"VPD 00h of a LUN that is not there: itself alone",
	 {{0x12, 1, 0, 0, 255}, {0, 77}, IN(255)},
	 5,
	 {{0, 5, 0x7f00000100}}},
	{"READ CAPACITY(10)", {{0x25}, IN(8)}, 8, {{0, 8, 0x00003fff00000200}}},
	{"READ CAPACITY(16): 512 octets on 4096",
	 {{0x9e, 0x10, [13] = 32}, IN(32)},
	 32,
	 {{0, 8, 0x3fff}, {8, 8, 0x0000020000030000}, {16, 8, 0}, {24, 8, 0}}},
	{"MODE SENSE(6): all pages",
	 {{0x1a, 0, 0x3f, 0, 255}, IN(255)},
	 56,
	 {{0, 4, 0x37001008},
	  {4, 8, 0x0000400000000200},
	  {12, 4, 0x08120400},
	  {32, 4, 0x0a0a2010},
	  {44, 4, 0x1c0a0800}}},
	{"MODE SENSE(6): without block descriptor",
	 {{0x1a, 0x08, 0x08, 0, 255}, IN(255)},
	 24,
	 {{0, 4, 0x17001000}, {4, 4, 0x08120400}}},
	{"MODE SENSE(6): nothing can be changed",
	 {{0x1a, 0x08, 0x48, 0, 255}, IN(255)},
	 24,
	 {{4, 4, 0x08120000}}},
	{"MODE SENSE(6): default values are the current ones",
	 {{0x1a, 0x08, 0x8a, 0, 255}, IN(255)},
	 16,
	 {{4, 4, 0x0a0a2010}}},
	{"MODE SENSE(6): all subpages of a page",
	 {{0x1a, 0x08, 0x0a, 0xff, 255}, IN(255)},
	 16,
	 {{4, 2, 0x0a0a}}},
	{"MODE SENSE(6): WP on a read-only LUN",
	 {{0x1a, 0x08, 0x3f, 0, 255}, {0, 5}, IN(255)},
	 48,
	 {{2, 1, 0x90}}},
	{"MODE SENSE(10): all pages",
	 {{0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255}, IN(255)},
	 60,
	 {{0, 8, 0x003a001000000008}, {8, 8, 0x0000400000000200}, {16, 2, 0x0812}}},
	{"MODE SENSE(10): long LBA descriptor",
	 {{0x5a, 0x10, 0x3f, 0, 0, 0, 0, 0, 255}, IN(255)},
	 68,
	 {{0, 8, 0x0042001001000010}, {8, 8, 0x4000}, {16, 8, 0x200}, {24, 2, 0x0812}}},
	{"REPORT LUNS",
	 {{0xa0, [9] = 255}, IN(255)},
	 24,
	 {{0, 8, 0x0000001000000000}, {8, 8, 0}, {16, 8, 0x0005000000000000}}},
	{"REPORT LUNS: all", {{0xa0, 0, 2, [9] = 255}, IN(255)}, 24, {{0, 4, 16}}},
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
	{"REPORT SUPPORTED OPERATION CODES: one that is there",
	 {{0xa3, 0x0c, 1, 0x28, [9] = 255}, IN(255)},
	 14,
	 {{0, 4, 0x0003000a}, {4, 8, 0x28f8ffffffff00ff}, {12, 2, 0xff00}}},
	{"REPORT SUPPORTED OPERATION CODES: with its timeouts",
	 {{0xa3, 0x0c, 0x81, 0x28, [9] = 255}, IN(255)},
	 26,
	 {{0, 4, 0x0083000a}, {14, 8, 0x000a000000000000}}},
	{"REPORT SUPPORTED OPERATION CODES: one that is not there",
	 {{0xa3, 0x0c, 1, 0x42, [9] = 255}, IN(255)},
	 4,
	 {{0, 4, 0x00010000}}},
	{"REPORT SUPPORTED OPERATION CODES: a service action",
	 {{0xa3, 0x0c, 2, 0x9e, 0, 0x10, [9] = 255}, IN(255)},
	 20,
	 {{0, 4, 0x00030010}, {4, 2, 0x9e10}}},
	{"REPORT SUPPORTED OPERATION CODES: a service action that is not there",
	 {{0xa3, 0x0c, 2, 0x9e, 0, 0x11, [9] = 255}, IN(255)},
	 4,
	 {{0, 4, 0x00010000}}},
	{"REPORT SUPPORTED OPERATION CODES: either form, without action",
	 {{0xa3, 0x0c, 3, 0x28, 0, 0, [9] = 255}, IN(255)},
	 14,
	 {{0, 2, 0x0003}}},
	{"REPORT SUPPORTED OPERATION CODES: either form, an action that can't be",
	 {{0xa3, 0x0c, 3, 0x28, 0, 1, [9] = 255}, IN(255)},
	 4,
	 {{0, 2, 0x0001}}},
	{"REPORT SUPPORTED OPERATION CODES: an action above 255 is not cut",
	 {{0xa3, 0x0c, 2, 0x9e, 1, 0x10, [9] = 255}, IN(255)},
	 4,
	 {{0, 2, 0x0001}}},
};

static void reply(void **state)
{
	const __typeof__(replies[0]) *row = *state;
	struct scsi_task *task;

	rig_open(NULL);
	rig_add_lun(5, false);
	task = rig_run(&row->c);
	assert_int_equal(task->status, SCSI_GOOD);
	assert_int_equal(task->data_len, row->len);
	assert_int_equal(task->wanted, row->len);
	for (size_t i = 0; i < ARRAY_LEN(row->octets) && row->octets[i].width != 0; i++)
		assert_int_equal(get_be(rig->buffer + row->octets[i].at, row->octets[i].width),
				 row->octets[i].value);
	assert_int_equal(rig->submitted, 0);
	rig_close();
}

static const struct {
	const char *why;
	struct rig_command c;
	uint16_t code;
	int octet, bit; /* of the field pointer; -1: none */
} fields[] = {
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
	{"INQUIRY: a page code without EVPD", {{0x12, 0, 0x80, 0, 255}, IN(255)}, 0x2400, 2, 7},
	{"INQUIRY: CMDDT is obsolete", {{0x12, 2, 0x12, 0, 255}, IN(255)}, 0x2400, 1, 1},
	{"INQUIRY: a page that is not there", {{0x12, 1, 0xb3, 0, 255}, IN(255)}, 0x2400, 2, 7},
	{"INQUIRY: no pages of a LUN that is not there",
	 {{0x12, 1, 0x83, 0, 255}, {0, 9}, IN(255)},
	 0x2400,
	 2,
	 7},
	{"MODE SENSE: saved values", {{0x1a, 0, 0xff, 0, 255}, IN(255)}, 0x3900, -1, 0},
	{"MODE SENSE: a page that is not there", {{0x1a, 0, 0x19, 0, 255}, IN(255)}, 0x2400, 2, 5},
	{"MODE SENSE: a subpage that is not there",
	 {{0x5a, 0, 0x0a, 1, [8] = 255}, IN(255)},
	 0x2400,
	 3,
	 7},
	{"REPORT LUNS: administrative ones", {{0xa0, 0, 0x10, [9] = 255}, IN(255)}, 0x2400, 2, 7},
	{"REPORT SUPPORTED OPERATION CODES: option 4",
	 {{0xa3, 0x0c, 4, [9] = 255}, IN(255)},
	 0x2400,
	 2,
	 2},
	{"REPORT SUPPORTED OPERATION CODES: 001b of an opcode with actions",
	 {{0xa3, 0x0c, 1, 0x9e, [9] = 255}, IN(255)},
	 0x2400,
	 2,
	 2},
	{"REPORT SUPPORTED OPERATION CODES: 010b of an opcode without",
	 {{0xa3, 0x0c, 2, 0x28, [9] = 255}, IN(255)},
	 0x2400,
	 2,
	 2},
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

static void field(void **state)
{
	const __typeof__(fields[0]) *row = *state;
	struct scsi_task *task;

	rig_open(NULL);
	task = rig_run(&row->c);
	assert_int_equal(task->status, SCSI_CHECK_CONDITION);
	assert_int_equal(task->sense_len, 18);
	assert_int_equal(task->sense[0], 0x70);
	assert_int_equal(task->sense[2], 5);
	assert_int_equal(task->sense[7], 10);
	assert_int_equal(rig_code(task), row->code);
	if (row->octet < 0) {
		assert_int_equal(get_be(task->sense + 15, 3), 0);
	} else {
		assert_int_equal(task->sense[15], 0xc8 | row->bit);
		assert_int_equal(get_be(task->sense + 16, 2), row->octet);
	}
	assert_int_equal(task->wanted, 0);
	assert_int_equal(task->data_len, 0);
	rig_close();
}

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

static void every_listed_page_exists(void **state)
{
	static const struct rig_command list = {{0x12, 1, 0, 0, 255}, IN(255)};
	uint8_t pages[255];
	size_t count;

	rig_open(state);
	(void)rig_run(&list);
	count = rig->task.data_len - 4;
	memcpy(pages, rig->buffer + 4, count);
	for (size_t i = 0; i < count; i++) {
		struct rig_command c = {{0x12, 1, pages[i], 255, 255}, IN(65535)};

		assert_true(i == 0 || pages[i] > pages[i - 1]);
		assert_int_equal(rig_run(&c)->status, SCSI_GOOD);
		assert_int_equal(rig->buffer[1], pages[i]);
		assert_int_equal(get_be(rig->buffer + 2, 2) + 4, rig->task.data_len);
	}
	rig_close();
}

static void longest_names_fit(void **state)
{
	static const struct rig_command c = {{0x12, 1, 0x83, 255, 255}, IN(65535)};
	size_t at = 4;

	rig_open(state);
	memset(rig->nexus.target, 'x', ISCSI_NAME_MAX);
	rig->nexus.portal_group = 0xffff;
	assert_int_equal(rig_run(&c)->status, SCSI_GOOD);
	while (at < rig->task.data_len)
		at += 4u + rig->buffer[at + 3];
	assert_int_equal(at, rig->task.data_len); /* the descriptors fill the page exactly */
	rig_close();
}

static void opcodes_are_the_table(void **state)
{
	static const struct rig_command c = {{0xa3, 0x0c, 0x80, [8] = 255, 255}, IN(65535)};
	size_t count;
	const struct scsi_command *table = commands(&count);

	rig_open(state);
	rig->nexus.luns[0].thin = true;
	assert_int_equal(rig_run(&c)->status, SCSI_GOOD);
	assert_int_equal(rig->task.data_len, 4 + count * 20);
	assert_int_equal(get_be(rig->buffer, 4), count * 20);
	for (size_t i = 0; i < count; i++) {
		const uint8_t *d = rig->buffer + 4 + i * 20;

		assert_int_equal(d[0], table[i].opcode);
		assert_int_equal(d[5], 2 | (table[i].service_action >= 0));
		assert_int_equal(get_be(d + 6, 2), table[i].cdb_len);
	}
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

	TESTS_ADD_TABLE(&t, replies, reply);
	TESTS_ADD_TABLE(&t, fields, field);
	TESTS_ADD_TABLE(&t, luns, lun);
	tests_add(&t, "more than 2^32 blocks send the initiator to READ CAPACITY(16)", big_disk,
		  NULL);
	tests_add(&t, "every page that VPD 00h lists is there", every_listed_page_exists, NULL);
	tests_add(&t, "the longest target name fits VPD 83h", longest_names_fit, NULL);
	tests_add(&t, "REPORT SUPPORTED OPERATION CODES lists the command table",
		  opcodes_are_the_table, NULL);
	tests_add(&t, "each command has its name, and touches what its name says", table_has_names,
		  NULL);
	return tests_run(&t, "scsi replies");
}

/* INQUIRY: what a disk says that it is, every octet of it, and of a LUN that is not granted. */
#include "tests/unit/scsi_reply.h"

static const struct reply_row replies[] = {
	{"INQUIRY: a disk, SPC-4, implicit ALUA, tagged queuing, nothing that can be taken out",
	 {{0x12, 0, 0, 0, 255}, IN(255)},
	 96,
	 {{0, 4, 0x00000612}, {4, 4, 0x5b180002}}},
	{"INQUIRY: vendor, product and revision",
	 {{0x12, 0, 0, 0, 255}, IN(255)},
	 96,
	 {{8, 8, 0x53414c4c59505254},
	  {16, 8, 0x53414c4c59504f52},
	  {24, 8, 0x54204449534b2020},
	  {32, 4, 0x30303031},
	  {36, 8, 0},
	  {50, 8, 0}}},
	{"INQUIRY: versions SAM-5, iSCSI at protocol level 2, SPC-4 and 5, SBC-3 and 4",
	 {{0x12, 0, 0, 0, 255}, IN(255)},
	 96,
	 {{58, 8, 0x00a00962046005c0}, {66, 4, 0x04c00600}, {70, 8, 0}, {78, 8, 0}, {88, 8, 0}}},
	{"VPD 00h lists all pages in order",
	 {{0x12, 1, 0, 0, 255}, IN(255)},
	 14,
	 {{0, 4, 10}, {4, 8, 0x0080838687888fb0}, {12, 2, 0xb1b2}}},
	{"VPD 8Fh: limits of tokens, in blocks and seconds",
	 {{0x12, 1, 0x8f, 2, 0}, IN(512)},
	 368,
	 {{0, 4, 0x008f016c},
	  {4, 4, 0x00000020},
	  {14, 6, 0x004000000258},
	  {20, 4, 60},
	  {24, 8, 0x80000},
	  {32, 8, 0x20000}}},
	{"VPD 8Fh: the commands that copy, and their limits",
	 {{0x12, 1, 0x8f, 2, 0}, IN(512)},
	 368,
	 {{40, 5, 0x000100100e},
	  {45, 7, 0x8305000110111c},
	  {52, 7, 0x84050003040507},
	  {60, 4, 0x0004001c},
	  {68, 8, 0x0010004000000900},
	  {92, 7, 0x000800040202e4}}},
	{"VPD 8Fh: tokens' features and types, how many copies at once, and how long a segment",
	 {{0x12, 1, 0x8f, 2, 0}, IN(512)},
	 368,
	 {{100, 4, 0x0106005c},
	  {196, 8, 0x0108008400000080},
	  {204, 5, 0x0080000103},
	  {268, 5, 0xffff000102},
	  {332, 8, 0x8001002000000010},
	  {340, 8, 0x0000001004000000}}},
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
	{"VPD 86h: all task attributes, a volatile cache, no protection, how long sense is",
	 {{0x12, 1, 0x86, 0, 255}, IN(255)},
	 64,
	 {{0, 4, 0x0086003c}, {4, 8, 0x0007010000000000}, {12, 2, SCSI_SENSE_SIZE}, {56, 8, 0}}},
	{"VPD 87h: all nexuses share every mode page",
	 {{0x12, 1, 0x87, 0, 255}, IN(255)},
	 8,
	 {{0, 8, 0x008700043fff0000}}},
	{"VPD 88h: the port that this session came in by, with its name",
	 {{0x12, 1, 0x88, 0, 255}, IN(255)},
	 64,
	 {{0, 4, 0x0088003c}, {4, 8, 0x0000000100000000}, {12, 8, 0x000000305398002c}}},
	{"VPD B0h: 4 KiB granularity, 4 MiB at most, no UNMAP",
	 {{0x12, 1, 0xb0, 0, 255}, IN(255)},
	 64,
	 {{0, 4, 0x00b0003c},
	  {6, 6, 0x000800002000},
	  {12, 8, 0x2000}, /* pre-fetch */
	  {20, 8, 0},
	  {28, 8, 0},
	  {36, 8, 32768}}}, /* WRITE SAME */
	{"VPD B0h: WRITE SAME of no blocks is refused; so much may COMPARE AND WRITE",
	 {{0x12, 1, 0xb0, 0, 255}, IN(255)},
	 64,
	 {{4, 1, 1}, {5, 1, 255}}},
	{"VPD B0h: WRITE ATOMIC of whole physical blocks, with or without a boundary",
	 {{0x12, 1, 0xb0, 0, 255}, IN(255)},
	 64,
	 {{44, 4, 2048}, {48, 4, 8}, {52, 4, 8}, {56, 4, 2048}, {60, 4, 2048}}},
	{"VPD B1h: does not rotate, FUA as in SBC-3, VERIFY reads zeroes where nothing is",
	 {{0x12, 1, 0xb1, 0, 255}, IN(255)},
	 64,
	 {{0, 8, 0x00b1003c00010000}, {8, 8, 0x0300000000000000}, {56, 8, 0}}},
	{"VPD B2h: no provisioning",
	 {{0x12, 1, 0xb2, 0, 255}, IN(255)},
	 8,
	 {{0, 8, 0x00b2000400000000}}},
	{"INQUIRY of a LUN that is not there: 7Fh, and nothing that a unit could do",
	 {{0x12, 0, 0, 0, 255}, {0, 77}, IN(255)},
	 96,
	 {{0, 4, 0x7f000612}, {4, 4, 0x5b000002}}},
	{"VPD 00h of a LUN that is not there: itself alone",
	 {{0x12, 1, 0, 0, 255}, {0, 77}, IN(255)},
	 5,
	 {{0, 5, 0x7f00000100}}},
};

static const struct reply_row thin[] = {
	{"VPD B0h of a thin disk: UNMAP and its limits",
	 {{0x12, 1, 0xb0, 0, 255}, IN(255)},
	 64,
	 {{20, 8, 0x0010000000000100}, {28, 8, 0x0000000880000000}}},
	{"VPD B2h of a thin disk: sets of 1 MiB, UNMAP, both WRITE SAMEs, zeroes",
	 {{0x12, 1, 0xb2, 0, 255}, IN(255)},
	 8,
	 {{0, 4, 0x00b20004}, {4, 4, 0x0be40200}}},
};

static const struct field_row fields[] = {
	{"INQUIRY: a page code without EVPD", {{0x12, 0, 0x80, 0, 255}, IN(255)}, 0x2400, 2, 7},
	{"INQUIRY: CMDDT is obsolete", {{0x12, 2, 0x12, 0, 255}, IN(255)}, 0x2400, 1, 1},
	{"INQUIRY: a page that is not there", {{0x12, 1, 0xb3, 0, 255}, IN(255)}, 0x2400, 2, 7},
	{"INQUIRY: no pages of a LUN that is not there",
	 {{0x12, 1, 0x83, 0, 255}, {0, 9}, IN(255)},
	 0x2400,
	 2,
	 7},
};

static size_t run_page(uint8_t page)
{
	struct rig_command c = {{0x12, 1, page, 255, 255}, IN(65535)};

	assert_int_equal(rig_run(&c)->status, SCSI_GOOD);
	assert_int_equal(rig->buffer[1], page);
	assert_int_equal(get_be(rig->buffer + 2, 2) + 4, rig->task.data_len);
	return rig->task.data_len;
}

static void every_listed_page_exists(void **state)
{
	uint8_t pages[255];
	size_t count;

	rig_open(state);
	count = run_page(0) - 4;
	memcpy(pages, rig->buffer + 4, count);
	for (size_t i = 0; i < count; i++) {
		assert_true(i == 0 || pages[i] > pages[i - 1]);
		(void)run_page(pages[i]);
	}
	rig_close();
}

static void every_other_page_does_not(void **state)
{
	uint8_t listed[256] = {0};
	size_t count;

	rig_open(state);
	count = run_page(0);
	for (size_t i = 4; i < count; i++)
		listed[rig->buffer[i]] = 1;
	for (unsigned page = 0; page < 256; page++) {
		struct rig_command c = {{0x12, 1, (uint8_t)page, 255, 255}, IN(65535)};

		assert_int_equal(rig_run(&c)->status,
				 listed[page] ? SCSI_GOOD : SCSI_CHECK_CONDITION);
	}
	rig_close();
}

static void longest_names_fit(void **state)
{
	size_t at = 4, len;

	rig_open(state);
	memset(rig->nexus.target, 'x', ISCSI_NAME_MAX);
	rig->nexus.portal_group = 0xffff;
	len = run_page(0x83);
	while (at < len)
		at += 4u + rig->buffer[at + 3];
	assert_int_equal(at, len); /* the descriptors fill the page exactly */
	len = run_page(0x88);
	assert_int_equal(get_be(rig->buffer + 14, 2), len - 16);
	rig_close();
}

static const struct {
	const char *why;
	struct rig_command c;
	uint16_t code; /* 0: GOOD */
} without_lun_0[] = {
	{"LUN 0 that is not granted answers INQUIRY", {{0x12, 0, 0, 0, 96}, IN(96)}, 0},
	{"LUN 0 that is not granted answers REPORT LUNS", {{0xa0, [9] = 255}, IN(255)}, 0},
	{"LUN 0 that is not granted lists administrative units, of which there are none",
	 {{0xa0, 0, 0x10, [9] = 255}, IN(255)},
	 0},
	{"LUN 0 that is not granted answers REQUEST SENSE", {{0x03, 0, 0, 0, 18}, IN(18)}, 0},
	{"LUN 0 that is not granted is not ready", {{0x00}, IN(0)}, 0x2500},
	{"LUN 0 that is not granted has no capacity", {{0x25}, IN(8)}, 0x2500},
	{"LUN 0 that is not granted lists no commands", {{0xa3, 0x0c, [9] = 255}, IN(255)}, 0x2500},
	{"LUN 0 that is not granted has no ports", {{0xa3, 0x0a, [9] = 255}, IN(255)}, 0x2500},
	{"LUN 0 that is not granted tests nothing", {{0x1d, 0x04}, IN(0)}, 0x2500},
	{"LUN 0 that is not granted has no log", {{0x4d, [8] = 255}, IN(255)}, 0x2500},
};

static void no_lun_0(void **state)
{
	const __typeof__(without_lun_0[0]) *row = *state;
	struct scsi_task *task;

	rig_open(NULL);
	rig->nexus.luns[0] = (struct scsi_lun){0};
	rig_add_lun(5, true);
	task = rig_run(&row->c);
	assert_int_equal(task->status, row->code == 0 ? SCSI_GOOD : SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(task), row->code);
	if (row->c.cdb[0] == 0x12)
		assert_int_equal(rig->buffer[0], 0x7f);
	if (row->c.cdb[0] == 0x03)
		assert_int_equal(get_be(rig->buffer + 12, 2), 0x2500);
	rig_close();
}

static void rotating(void **state)
{
	rig_open(state);
	rig->nexus.luns[0].rotational = true;
	(void)run_page(0xb1);
	assert_int_equal(get_be(rig->buffer + 4, 2), 0);
	rig_close();
}

static void as_the_policy_says(void **state)
{
	static const struct rig_command c = {{0x12, 0, 0, 0, 36}, IN(36)};
	struct scsi_lun *unit;

	rig_open(state);
	unit = &rig->nexus.luns[0];
	(void)string_copy(unit->vendor, sizeof unit->vendor, "ACME");
	(void)string_copy(unit->product, sizeof unit->product, "SIXTEEN OCTETS..");
	unit->removable = true;
	unit->physical_block_size = 512;
	(void)rig_run(&c);
	assert_int_equal(rig->buffer[1], 0x80);
	assert_memory_equal(rig->buffer + 8, "ACME    SIXTEEN OCTETS..0001", 28);
	(void)run_page(0xb0);
	assert_int_equal(get_be(rig->buffer + 6, 2), 1);
	unit->naa_len = 16;
	(void)run_page(0x83);
	assert_int_equal(get_be(rig->buffer + 4, 4), 0x01030010);
	assert_memory_equal(rig->buffer + 28, "ACME    0f5c9e4c", 16);
	rig_close();
}

static void denied(void **state)
{
	struct rig_command c = {{0x12, 0, 0, 0, 36}, IN(36)};

	rig_open(state);
	rig->nexus.luns[0].thin = true;
	assert_true(command_set_add(&rig->nexus.rules.denied, "discard"));
	assert_true(command_set_add(&rig->nexus.rules.denied, "compare-and-write"));
	assert_true(command_set_add(&rig->nexus.rules.denied, "write-atomic-16"));
	assert_true(command_set_add(&rig->nexus.rules.denied, "copy"));
	(void)run_page(0xb0);
	assert_int_equal(rig->buffer[5], 0);
	assert_int_equal(get_be(rig->buffer + 20, 8), 0);
	assert_int_equal(get_be(rig->buffer + 28, 8), 0);
	assert_int_equal(get_be(rig->buffer + 44, 8), 0);
	(void)run_page(0xb2);
	assert_int_equal(get_be(rig->buffer + 4, 4), 0x0b040200);
	(void)rig_run(&c);
	assert_int_equal(rig->buffer[5] & 0x08, 0);
	c.cdb[1] = 1;
	c.cdb[2] = 0x8f;
	(void)rig_run(&c);
	assert_int_equal(rig_code(&rig->task), 0x2400);
	rig_close();
}

static void big_blocks(void **state)
{
	rig_open(state);
	rig->nexus.luns[0].block_size = 4096;
	rig->nexus.luns[0].thin = true;
	(void)run_page(0xb0);
	assert_int_equal(get_be(rig->buffer + 6, 2), 1);
	assert_int_equal(get_be(rig->buffer + 8, 4), SCSI_TRANSFER_MAX / 4096);
	assert_int_equal(get_be(rig->buffer + 28, 4), 1);
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, replies, reply_check);
	TESTS_ADD_TABLE(&t, thin, reply_check_thin);
	TESTS_ADD_TABLE(&t, fields, field_check);
	TESTS_ADD_TABLE(&t, without_lun_0, no_lun_0);
	tests_add(&t, "every page that VPD 00h lists is there", every_listed_page_exists, NULL);
	tests_add(&t, "every page that VPD 00h does not list is refused", every_other_page_does_not,
		  NULL);
	tests_add(&t, "the longest target name fits VPD 83h and 88h", longest_names_fit, NULL);
	tests_add(&t, "VPD B1h: a disk that rotates does not say how fast", rotating, NULL);
	tests_add(&t, "INQUIRY and VPD say what the policy says", as_the_policy_says, NULL);
	tests_add(&t, "P1: VPD and INQUIRY claim nothing that is denied", denied, NULL);
	tests_add(&t, "VPD B0h counts in the disk's own blocks", big_blocks, NULL);
	return tests_run(&t, "scsi vital");
}

/* GET LBA STATUS on the bench: the disk's octets that are not zero have room. */
#include "tests/unit/scsi_rig.h"

#define THIN         \
	{            \
		0, 3 \
	}
#define IN(n) .edtl = (n), .read = true

static const struct {
	const char *why;
	struct rig_command c;
	struct {
		uint32_t from, len; /* octets of the disk that have room */
	} data[2];
	size_t len;	     /* of the data-in */
	uint64_t want[2][2]; /* LBA; blocks and status of the first descriptors */
	uint32_t code;
} cases[] = {
	{"an empty disk is one hole",
	 {{0x9e, 0x12, [12] = 1}, THIN, IN(256)},
	 {{0, 0}},
	 24,
	 {{0, (uint64_t)RIG_BLOCKS << 32 | 1 << 24}},
	 0},
	{"data, then a hole",
	 {{0x9e, 0x12, [12] = 1}, THIN, IN(256)},
	 {{0, 4096}},
	 40,
	 {{0, 8ull << 32}, {8, (RIG_BLOCKS - 8ull) << 32 | 1 << 24}},
	 0},
	{"from within a hole: it begins where it was asked for",
	 {{0x9e, 0x12, [9] = 10, [12] = 1}, THIN, IN(256)},
	 {{0, 4096}, {8192, 4096}},
	 56,
	 {{10, 6ull << 32 | 1 << 24}, {16, 8ull << 32}},
	 0},
	{"a block that has room in part is mapped",
	 {{0x9e, 0x12, [9] = 1, [12] = 1}, THIN, IN(256)},
	 {{700, 2}},
	 40,
	 {{1, 1ull << 32}, {2, (RIG_BLOCKS - 2ull) << 32 | 1 << 24}},
	 0},
	{"room for one descriptor",
	 {{0x9e, 0x12, [13] = 24}, THIN, IN(256)},
	 {{0, 4096}},
	 24,
	 {{0, 8ull << 32}},
	 0},
	{"room for the length alone",
	 {{0x9e, 0x12, [13] = 4}, THIN, IN(256)},
	 {{0, 0}},
	 4,
	 {{0}},
	 0},
	{"no room at all", {{0x9e, 0x12}, THIN, IN(0)}, {{0, 0}}, 0, {{0}}, 0},
	{"the last block",
	 {{0x9e, 0x12, [8] = 0x3f, 0xff, [12] = 1}, THIN, IN(256)},
	 {{0, 0}},
	 24,
	 {{RIG_BLOCKS - 1, 1ull << 32 | 1 << 24}},
	 0},
	{"past the end is out of range",
	 {{0x9e, 0x12, [8] = 0x40, 0, [12] = 1}, THIN, IN(256)},
	 {{0, 0}},
	 0,
	 {{0}},
	 0x2100},
	{"an LBA of all ones is out of range",
	 {{0x9e, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [12] = 1}, THIN, IN(256)},
	 {{0, 0}},
	 0,
	 {{0}},
	 0x2100},
	{"a disk that is not thin has no such service action",
	 {{0x9e, 0x12, [12] = 1}, IN(256)},
	 {{0, 0}},
	 0,
	 {{0}},
	 0x2400},
};

static void one_case(void **state)
{
	const __typeof__(cases[0]) *row = *state;
	struct scsi_task *task;

	rig_open(NULL);
	rig_add_lun(3, true);
	rig->nexus.luns[3].thin = true;
	for (size_t i = 0; i < ARRAY_LEN(row->data); i++)
		memset(rig->disk + row->data[i].from, 1, row->data[i].len);
	task = rig_run(&row->c);
	assert_int_equal(rig_code(task), row->code);
	assert_int_equal(task->data_len, row->len);
	for (size_t i = 0; i < 2 && 24 + 16 * i <= task->data_len; i++) {
		assert_int_equal(get_be(rig->buffer + 8 + 16 * i, 8), row->want[i][0]);
		assert_int_equal(get_be(rig->buffer + 16 + 16 * i, 8), row->want[i][1]);
	}
	if (task->data_len >= 24)
		assert_int_equal(get_be(rig->buffer, 4), task->data_len - 4);
	assert_int_equal(rig->buffer[task->data_len], RIG_POISON); /* nothing behind it */
	rig_close();
}

/* --- blocks that the policy protects --- */

/* clang-format off */
static const struct {
	const char *why;
	uint64_t first, last;
	int lun;
	bool reads;
	uint8_t lba;
	uint64_t told; /* blocks; 0: refused */
} protections[] = {
	{"P1: what is protected from reading ends the list", 20, 29, -1, true, 0, 20},
	{"P1: … of its LUN", 20, 29, 3, true, 19, 1},
	{"P1: from within what is protected nothing is told", 20, 29, -1, true, 20, 0},
	{"P1: … nor from its last block", 20, 29, -1, true, 29, 0},
	{"behind what is protected it is told again", 20, 29, -1, true, 30, RIG_BLOCKS - 30},
	{"what another LUN has is told here", 20, 29, 4, true, 0, RIG_BLOCKS},
	{"what is protected from writing alone is told", 20, 29, -1, false, 0, RIG_BLOCKS},
};
/* clang-format on */

static void protected_blocks(void **state)
{
	const __typeof__(protections[0]) *row = *state;
	struct rig_command c = {{0x9e, 0x12, [9] = row->lba, [12] = 1}, THIN, IN(256)};
	struct scsi_task *task;
	uint64_t told = 0;

	rig_open(NULL);
	rig_add_lun(3, true);
	rig->nexus.luns[3].thin = true;
	memset(rig->disk + 25 * RIG_BLOCK, 1, RIG_BLOCK);
	rig->nexus.rules.ranges[0] = (struct protected_range){
		.first = row->first,
		.last = row->last,
		.lun = row->lun,
		.reads = row->reads,
		.rule_line = 77,
	};
	rig->nexus.rules.range_count = 1;
	task = rig_run(&c);
	for (size_t at = 8; at < task->data_len; at += 16)
		told += get_be(rig->buffer + at + 8, 4);
	assert_int_equal(told, row->told);
	assert_int_equal(rig_code(task), row->told == 0 ? 0x2700 : 0);
	assert_int_equal(rig_last(0)->verdict, row->told == 0 ? VERDICT_DENIED : VERDICT_ADMITTED);
	assert_int_equal(rig_last(0)->rule_line, row->told == 0 ? 77 : 0);
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, protections, protected_blocks);
	TESTS_ADD_TABLE(&t, cases, one_case);
	return tests_run(&t, "scsi LBA status");
}

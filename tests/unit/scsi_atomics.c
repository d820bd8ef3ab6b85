/* COMPARE AND WRITE, ORWRITE and WRITE ATOMIC on the bench: every field of them, where a miscompare
 * is, what a disk that fails makes of them, and blocks of 4096 octets. */
#include "tests/unit/scsi_rig.h"

#define OUT(n) .edtl = (n), .write = true
#define NONE   .edtl = 0
#define LAST   0x3f, 0xff /* LBA */

/* The command at `lba` of n blocks. */
#define CAW(flags, ...)                        \
	{                                      \
		0x89, flags, [8] = __VA_ARGS__ \
	}
#define ORW(flags, ...)                        \
	{                                      \
		0x8b, flags, [8] = __VA_ARGS__ \
	}
#define ATOMIC(flags, ...)                     \
	{                                      \
		0x9c, flags, [8] = __VA_ARGS__ \
	}

struct row {
	const char *why;
	struct rig_command c;
	uint8_t disk, data, second; /* octets: of the medium, the data-out, its second half */
	uint8_t want;		    /* on the medium afterwards */
	uint32_t blocks;	    /* so many of them; 0: nothing is changed */
	uint16_t code;
	int octet, bit; /* of the field pointer; 0: none */
};

/* clang-format off */
static const struct row rows[] = {
	{"COMPARE AND WRITE of what is there writes",
	 {CAW(0, 0, 8, [13] = 1), OUT(1024)}, 7, 7, 9, 9, .blocks = 1},
	{"COMPARE AND WRITE of several blocks",
	 {CAW(0, 0, 8, [13] = 3), OUT(3072)}, 7, 7, 9, 9, .blocks = 3},
	{"COMPARE AND WRITE of as many blocks as there may be, in several reads",
	 {CAW(0, 0, 8, [13] = 255), OUT(255 * 1024)}, 7, 7, 9, 9, .blocks = 255},
	{"COMPARE AND WRITE of the last block",
	 {CAW(0, LAST, [13] = 1), OUT(1024)}, 7, 7, 9, 9, .blocks = 1},
	{"COMPARE AND WRITE of something else is a miscompare",
	 {CAW(0, 0, 8, [13] = 1), OUT(1024)}, 6, 7, 9, 6, .code = 0x1d00},
	{"COMPARE AND WRITE with DPO",
	 {CAW(0x10, 0, 8, [13] = 1), OUT(1024)}, 7, 7, 9, 9, .blocks = 1},
	{"COMPARE AND WRITE with FUA",
	 {CAW(0x08, 0, 8, [13] = 1), OUT(1024)}, 7, 7, 9, 9, .blocks = 1},
	{"COMPARE AND WRITE with FUA_NV, which is obsolete",
	 {CAW(0x02, 0, 8, [13] = 1), OUT(1024)}, 7, 7, 9, 9, .blocks = 1},
	{"COMPARE AND WRITE with GROUP NUMBER",
	 {CAW(0, 0, 8, [13] = 1, 0x3f), OUT(1024)}, 7, 7, 9, 9, .blocks = 1},
	{"COMPARE AND WRITE of no blocks is GOOD", {CAW(0, 0, 8), NONE}, 7, 0, 0, 7, .blocks = 0},
	{"COMPARE AND WRITE of no blocks with data: of 256, perhaps",
	 {CAW(0, 0, 8), OUT(512 * 512)}, 7, 7, 9, 7, .code = 0x2400, .octet = 13, .bit = 7},
	{"COMPARE AND WRITE with WRPROTECT",
	 {CAW(0x20, 0, 8, [13] = 1), OUT(1024)}, 7, 7, 9, 7, .code = 0x2400, .octet = 1, .bit = 7},
	{"COMPARE AND WRITE with a reserved bit",
	 {CAW(0x04, 0, 8, [13] = 1), OUT(1024)}, 7, 7, 9, 7, .code = 0x2400, .octet = 1, .bit = 2},
	{"COMPARE AND WRITE with a reserved octet",
	 {CAW(0, 0, 8, [12] = 1, 1), OUT(1024)}, 7, 7, 9, 7, .code = 0x2400, .octet = 12},
	{"COMPARE AND WRITE with NACA",
	 {CAW(0, 0, 8, [13] = 1, [15] = 4), OUT(1024)}, 7, 7, 9, 7, .code = 0x2400, .octet = 15, .bit = 2},
	{"COMPARE AND WRITE behind the last block",
	 {CAW(0, LAST, [13] = 2), OUT(2048)}, 7, 7, 9, 7, .code = 0x2100},
	{"COMPARE AND WRITE of no blocks behind the last",
	 {CAW(0, 0x40, 0), NONE}, 7, 0, 0, 7, .code = 0x2100},
	{"COMPARE AND WRITE with half of its data",
	 {CAW(0, 0, 8, [13] = 1), OUT(512)}, 7, 7, 9, 7, .code = 0x2400, .octet = 13, .bit = 7},
	{"COMPARE AND WRITE with more than its data",
	 {CAW(0, 0, 8, [13] = 1), OUT(2048)}, 7, 7, 9, 7, .code = 0x2400, .octet = 13, .bit = 7},
	{"COMPARE AND WRITE without data",
	 {CAW(0, 0, 8, [13] = 1), NONE}, 7, 7, 9, 7, .code = 0x2400, .octet = 13, .bit = 7},
	{"COMPARE AND WRITE that says it reads",
	 {CAW(0, 0, 8, [13] = 1), .edtl = 1024, .read = true}, 7, 7, 9, 7, .code = 0x2400, .octet = 13, .bit = 7},
	{"ORWRITE adds bits to what is there",
	 {ORW(0, 0, 8, [13] = 2), OUT(1024)}, 0x81, 0x18, 0x18, 0x99, .blocks = 2},
	{"ORWRITE of more than a read at once",
	 {ORW(0, 0, 8, [12] = 1, 4), OUT(260 * 512)}, 0x81, 0x18, 0x18, 0x99, .blocks = 260},
	{"ORWRITE with DPO and FUA",
	 {ORW(0x18, 0, 8, [13] = 1), OUT(512)}, 0x81, 0x18, 0x18, 0x99, .blocks = 1},
	{"ORWRITE of no blocks is GOOD", {ORW(0, 0, 8), NONE}, 0x81, 0, 0, 0x81, .blocks = 0},
	{"ORWRITE of two blocks of which one comes",
	 {ORW(0, 0, 8, [13] = 2), OUT(512)}, 0x81, 0x18, 0x18, 0x99, .blocks = 1},
	{"ORWRITE with ORPROTECT",
	 {ORW(0x40, 0, 8, [13] = 1), OUT(512)}, 0x81, 0x18, 0x18, 0x81, .code = 0x2400, .octet = 1, .bit = 7},
	{"ORWRITE of more than MAXIMUM TRANSFER LENGTH",
	 {ORW(0, 0, 8, [12] = 0x20, 1), OUT(512)}, 0x81, 0x18, 0x18, 0x81, .code = 0x2400, .octet = 10, .bit = 7},
	{"ORWRITE behind the last block",
	 {ORW(0, LAST, [13] = 2), OUT(1024)}, 0x81, 0x18, 0x18, 0x81, .code = 0x2100},
	{"ORWRITE without data", {ORW(0, 0, 8, [13] = 1), NONE}, 7, 7, 7, 7, .code = 0x0e03},
	{"WRITE ATOMIC writes", {ATOMIC(0, 0, 8, [13] = 8), OUT(4096)}, 7, 9, 9, 9, .blocks = 8},
	{"WRITE ATOMIC of as many blocks as there may be",
	 {ATOMIC(0, 0, 8, [12] = 8, 0), OUT(1 << 20)}, 7, 9, 9, 9, .blocks = 2048},
	{"WRITE ATOMIC with a boundary",
	 {ATOMIC(0, 0, 8, 0, 16, 0, 64), OUT(64 * 512)}, 7, 9, 9, 9, .blocks = 64},
	{"WRITE ATOMIC with DPO and FUA",
	 {ATOMIC(0x18, 0, 8, [13] = 8), OUT(4096)}, 7, 9, 9, 9, .blocks = 8},
	{"WRITE ATOMIC of no blocks is GOOD", {ATOMIC(0, 0, 8), NONE}, 7, 0, 0, 7, .blocks = 0},
	{"WRITE ATOMIC with more data than it takes",
	 {ATOMIC(0, 0, 8, [13] = 8), OUT(8192)}, 7, 9, 9, 9, .blocks = 8},
	{"WRITE ATOMIC with less data than it takes writes nothing",
	 {ATOMIC(0, 0, 8, [13] = 16), OUT(4096)}, 7, 9, 9, 7, .code = 0x0e03},
	{"WRITE ATOMIC with WRPROTECT",
	 {ATOMIC(0x20, 0, 8, [13] = 8), OUT(4096)}, 7, 9, 9, 7, .code = 0x2400, .octet = 1, .bit = 7},
	{"WRITE ATOMIC longer than MAXIMUM ATOMIC TRANSFER LENGTH",
	 {ATOMIC(0, 0, 8, [12] = 8, 8), OUT(512)}, 7, 9, 9, 7, .code = 0x2400, .octet = 12, .bit = 7},
	{"WRITE ATOMIC with a boundary over MAXIMUM ATOMIC BOUNDARY SIZE",
	 {ATOMIC(0, 0, 8, 8, 8, 0, 8), OUT(4096)}, 7, 9, 9, 7, .code = 0x2400, .octet = 10, .bit = 7},
	{"WRITE ATOMIC that is not aligned",
	 {ATOMIC(0, 0, 9, [13] = 8), OUT(4096)}, 7, 9, 9, 7, .code = 0x2400, .octet = 2, .bit = 7},
	{"WRITE ATOMIC with an odd length",
	 {ATOMIC(0, 0, 8, [13] = 9), OUT(9 * 512)}, 7, 9, 9, 7, .code = 0x2400, .octet = 12, .bit = 7},
	{"WRITE ATOMIC with an odd boundary",
	 {ATOMIC(0, 0, 8, 0, 9, 0, 8), OUT(4096)}, 7, 9, 9, 7, .code = 0x2400, .octet = 10, .bit = 7},
	{"WRITE ATOMIC behind the last block, before other limits",
	 {ATOMIC(0, LAST, [12] = 0xff, 0xff), OUT(512)}, 7, 9, 9, 7, .code = 0x2400, .octet = 12, .bit = 7},
	{"WRITE ATOMIC that ends behind the last block",
	 {ATOMIC(0, 0x3f, 0xf8, [13] = 16), OUT(8192)}, 7, 9, 9, 7, .code = 0x2100},
};
/* clang-format on */

static void fill(const struct row *row)
{
	size_t half = row->c.edtl / 2;

	memset(rig->disk, row->disk, (size_t)RIG_BLOCK * RIG_BLOCKS);
	memset(rig->buffer, row->data, half);
	memset(rig->buffer + half, row->second, row->c.edtl - half);
}

static void field(void **state)
{
	const struct row *row = *state;
	uint64_t lba = get_be(row->c.cdb + 2, 8);
	struct scsi_task *task;

	rig_open(NULL);
	fill(row);
	task = rig_run(&row->c);
	assert_int_equal(rig_code(task), row->code);
	assert_int_equal(task->status, row->code == 0 ? SCSI_GOOD : SCSI_CHECK_CONDITION);
	if (row->octet != 0) {
		assert_int_equal(task->sense[15], 0xc8 | row->bit);
		assert_int_equal(get_be(task->sense + 16, 2), row->octet);
	}
	for (size_t at = 0; at < (size_t)RIG_BLOCK * RIG_BLOCKS; at++) {
		uint64_t block = at / RIG_BLOCK;
		bool in = block >= lba && block < lba + row->blocks;

		assert_int_equal(rig->disk[at], in ? row->want : row->disk);
	}
	for (size_t k = 0; k < rig->submitted; k++)
		assert_true(rig->log[k].records_before > 0); /* P2 */
	rig_share();
	assert_int_equal(atomic_load(&rig->shared->disks[0].range_count), 0);
	assert_null(rig->nexus.holders);
	rig_close();
}

/* --- the place of a miscompare --- */

static const struct {
	const char *why;
	size_t at; /* octet of the medium that differs */
	uint8_t blocks;
} places[] = {
	{"a miscompare of the first octet is told at 0", 0, 1},
	{"a miscompare of the last octet", 511, 1},
	{"a miscompare behind a seam of the data", 100, 1},
	{"a miscompare in the second block", 700, 2},
	{"a miscompare behind the first piece that is read", 65536 + 3, 200},
};

static void place(void **state)
{
	const __typeof__(places[0]) *row = *state;
	struct rig_command c = {CAW(0, 0, 8), .write = true};
	struct scsi_task *task;

	rig_open(NULL);
	c.cdb[13] = row->blocks;
	c.edtl = row->blocks * 1024u;
	memset(rig->buffer, 0, c.edtl);
	rig->disk[8 * RIG_BLOCK + row->at] = 1;
	rig->disk[8 * RIG_BLOCK + 511] |= row->at < 511; /* the first is told */
	task = rig_run(&c);
	assert_int_equal(task->status, SCSI_CHECK_CONDITION);
	assert_int_equal(task->sense[0], 0xf0);
	assert_int_equal(task->sense[2], 0x0e);
	assert_int_equal(rig_code(task), 0x1d00);
	assert_int_equal(get_be(task->sense + 3, 4), row->at);
	assert_int_equal(rig_last(0)->verdict, VERDICT_FAILED);
	for (size_t k = 0; k < rig->submitted; k++)
		assert_int_equal(rig->log[k].op, IO_READ);
	rig_close();
}

/* --- failures of the disk --- */

/* clang-format off */
static const struct {
	const char *why;
	struct rig_command c;
	int results[4];
	uint16_t code;
	size_t requests;
	uint8_t want; /* first octet of the blocks; 3 was there, 5 or 7 is written */
	bool fails_unit;
} failures[] = {
	{"what can't be read is not written",
	 {CAW(0, 0, 8, [13] = 1), OUT(1024)}, {-EIO}, 0x1100, 1, 3, false},
	{"a write of COMPARE AND WRITE that fails",
	 {CAW(0, 0, 8, [13] = 1), OUT(1024)}, {0, -EIO}, 0x0c00, 2, 3, false},
	{"without space it is the write that has none",
	 {CAW(8, 0, 8, [13] = 1), OUT(1024)}, {0, -ENOSPC}, 0x2707, 2, 3, false},
	{"P4: a flush of COMPARE AND WRITE that fails ends the unit",
	 {CAW(8, 0, 8, [13] = 1), OUT(1024)}, {0, 0, -EIO}, 0x0c00, 3, 3, true},
	{"a WRITE ATOMIC that fails is undone",
	 {ATOMIC(0, 0, 8, [13] = 8), OUT(4096)}, {0, -EIO}, 0x0c00, 3, 3, false},
	{"a WRITE ATOMIC without space is undone",
	 {ATOMIC(8, 0, 8, [13] = 8), OUT(4096)}, {0, -ENOSPC}, 0x2707, 3, 3, false},
	{"P4: a WRITE ATOMIC that can't be undone ends the unit",
	 {ATOMIC(0, 0, 8, [13] = 8), OUT(4096)}, {0, -ENOSPC, -EIO}, 0x0c00, 3, 3, true},
	{"a WRITE ATOMIC of what can't be read is not begun",
	 {ATOMIC(0, 0, 8, [13] = 8), OUT(4096)}, {-EIO}, 0x1100, 1, 3, false},
};
/* clang-format on */

static void fails(void **state)
{
	const __typeof__(failures[0]) *row = *state;
	struct scsi_task *task;

	rig_open(NULL);
	memcpy(rig->results, row->results, sizeof row->results);
	memset(rig->disk, 3, (size_t)RIG_BLOCK * RIG_BLOCKS);
	memset(rig->buffer, 3, row->c.edtl);
	task = rig_run(&row->c);
	assert_int_equal(task->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(task), row->code);
	assert_int_equal(rig->submitted, row->requests);
	assert_int_equal(rig->disk[8 * RIG_BLOCK], row->want);
	assert_int_equal(rig->failures, row->fails_unit);
	assert_int_equal(rig_last(0)->verdict, VERDICT_FAILED);
	rig_close();
}

static void write_through(void **state)
{
	const struct rig_command *c = *state;

	rig_open(NULL);
	rig->nexus.luns[0].write_through = true;
	memset(rig->buffer, 0, c->edtl);
	assert_int_equal(rig_run(c)->status, SCSI_GOOD);
	assert_int_equal(rig->log[rig->submitted - 1].op, IO_FLUSH);
	rig_close();
}

static void read_only(void **state)
{
	struct rig_command c = *(const struct rig_command *)*state;

	rig_open(NULL);
	rig_add_lun(1, false);
	c.lun[1] = 1;
	assert_int_equal(rig_run(&c)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&rig->task), 0x2700);
	assert_int_equal(rig_last(0)->verdict, VERDICT_DENIED);
	assert_int_equal(rig->submitted, 0);
	rig_close();
}

/* --- blocks of 4096 octets --- */

/* clang-format off */
static const struct row wide[] = {
	{"4096: COMPARE AND WRITE",
	 {CAW(0, 0, 8, [13] = 2), OUT(4 * 4096)}, 7, 7, 9, 9, .blocks = 2},
	{"4096: COMPARE AND WRITE of 255 blocks",
	 {CAW(0, 0, 8, [13] = 255), OUT(510 * 4096)}, 7, 7, 9, 9, .blocks = 255},
	{"4096: ORWRITE", {ORW(0, 0, 8, [13] = 20), OUT(20 * 4096)}, 1, 2, 2, 3, .blocks = 20},
	{"4096: WRITE ATOMIC of one block",
	 {ATOMIC(0, 0, 9, [13] = 1), OUT(4096)}, 7, 9, 9, 9, .blocks = 1},
	{"4096: WRITE ATOMIC of as many as there may be",
	 {ATOMIC(0, 0, 8, [12] = 1, 0), OUT(256 * 4096)}, 7, 9, 9, 9, .blocks = 256},
	{"4096: WRITE ATOMIC of more",
	 {ATOMIC(0, 0, 8, [12] = 1, 1), OUT(257 * 4096)}, 7, 9, 9, 7, .code = 0x2400, .octet = 12, .bit = 7},
	{"4096: behind the last block",
	 {CAW(0, 7, 0xff, [13] = 2), OUT(4 * 4096)}, 7, 7, 9, 7, .code = 0x2100},
};
/* clang-format on */

static void wide_blocks(void **state)
{
	const struct row *row = *state;
	uint64_t lba = get_be(row->c.cdb + 2, 8);
	struct scsi_task *task;

	rig_open(NULL);
	rig->nexus.luns[0].block_size = 4096;
	rig->nexus.luns[0].blocks = RIG_BLOCKS / 8;
	fill(row);
	task = rig_run(&row->c);
	assert_int_equal(rig_code(task), row->code);
	for (size_t at = 0; at < (size_t)RIG_BLOCK * RIG_BLOCKS; at++) {
		bool in = at / 4096 >= lba && at / 4096 < lba + row->blocks;

		assert_int_equal(rig->disk[at], in ? row->want : row->disk);
	}
	rig_close();
}

static const struct {
	const char *through, *locked;
	struct rig_command c;
} each[] = {
	{"COMPARE AND WRITE is durable where WCE=0",
	 "P1: a read-only LUN takes no COMPARE AND WRITE",
	 {CAW(0, 0, 8, [13] = 1), OUT(1024)}},
	{"ORWRITE is durable where WCE=0",
	 "P1: a read-only LUN takes no ORWRITE",
	 {ORW(0, 0, 8, [13] = 1), OUT(512)}},
	{"WRITE ATOMIC is durable where WCE=0",
	 "P1: a read-only LUN takes no WRITE ATOMIC",
	 {ATOMIC(0, 0, 8, [13] = 8), OUT(4096)}},
};

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, rows, field);
	TESTS_ADD_TABLE(&t, places, place);
	TESTS_ADD_TABLE(&t, failures, fails);
	TESTS_ADD_TABLE(&t, wide, wide_blocks);
	for (size_t k = 0; k < ARRAY_LEN(each); k++) {
		tests_add(&t, each[k].through, write_through, &each[k].c);
		tests_add(&t, each[k].locked, read_only, &each[k].c);
	}
	return tests_run(&t, "scsi atomics");
}

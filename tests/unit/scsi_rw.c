/* READ, WRITE, VERIFY, SYNCHRONIZE CACHE and START STOP UNIT on the bench. */
#include "tests/unit/scsi_rig.h"

#define IN(n)  .edtl = (n), .read = true
#define OUT(n) .edtl = (n), .write = true

static const struct {
	const char *why;
	struct rig_command c;
	uint32_t code; /* of the sense; 0: GOOD */
	size_t wanted, data_len;
	size_t requests; /* to the backend */
	uint64_t offset; /* of the first */
	size_t length;	 /* of the first */
} moves[] = {
	{"READ(6) has 21 bits of LBA",
	 {{0x08, 0, 1, 0, 2}, IN(1024)},
	 .code = 0,
	 .wanted = 1024,
	 .data_len = 1024,
	 .requests = 1,
	 .offset = 131072,
	 .length = 1024},
	{"READ(6) ignores SCSI-2's LUN field",
	 {{0x08, 0xe0, 0, 3, 1}, IN(512)},
	 .code = 0,
	 .wanted = 512,
	 .data_len = 512,
	 .requests = 1,
	 .offset = 1536,
	 .length = 512},
	{"READ(6) with length 0 is 256 blocks",
	 {{0x08, 0, 0, 0, 0}, IN(131072)},
	 .code = 0,
	 .wanted = 131072,
	 .data_len = 131072,
	 .requests = 1,
	 .length = 131072},
	{"READ(10)",
	 {{0x28, 0, 0, 0, 0, 5, 0, 0, 3}, IN(1536)},
	 .code = 0,
	 .wanted = 1536,
	 .data_len = 1536,
	 .requests = 1,
	 .offset = 2560,
	 .length = 1536},
	{"READ(12)",
	 {{0xa8, 0, 0, 0, 0, 5, 0, 0, 0, 3}, IN(1536)},
	 .code = 0,
	 .wanted = 1536,
	 .data_len = 1536,
	 .requests = 1,
	 .offset = 2560,
	 .length = 1536},
	{"READ(16)",
	 {{0x88, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 3}, IN(1536)},
	 .code = 0,
	 .wanted = 1536,
	 .data_len = 1536,
	 .requests = 1,
	 .offset = 2560,
	 .length = 1536},
	{"WRITE(6)",
	 {{0x0a, 0, 0, 5, 2}, OUT(1024)},
	 .code = 0,
	 .wanted = 1024,
	 .requests = 1,
	 .offset = 2560,
	 .length = 1024},
	{"WRITE(10)",
	 {{0x2a, 0, 0, 0, 0, 5, 0, 0, 2}, OUT(1024)},
	 .code = 0,
	 .wanted = 1024,
	 .requests = 1,
	 .offset = 2560,
	 .length = 1024},
	{"WRITE(12)",
	 {{0xaa, 0, 0, 0, 0, 5, 0, 0, 0, 2}, OUT(1024)},
	 .code = 0,
	 .wanted = 1024,
	 .requests = 1,
	 .offset = 2560,
	 .length = 1024},
	{"WRITE(16)",
	 {{0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2}, OUT(1024)},
	 .code = 0,
	 .wanted = 1024,
	 .requests = 1,
	 .offset = 2560,
	 .length = 1024},
	{"the last block can be read",
	 {{0x28, 0, 0, 0, 0x3f, 0xff, 0, 0, 1}, IN(512)},
	 .code = 0,
	 .wanted = 512,
	 .data_len = 512,
	 .requests = 1,
	 .offset = 8388096,
	 .length = 512},
	{"4 MiB at once are taken",
	 {{0x28, 0, 0, 0, 0, 0, 0, 0x20, 0}, IN(4u << 20)},
	 .code = 0,
	 .wanted = 4u << 20,
	 .data_len = 4u << 20,
	 .requests = 1,
	 .length = 4u << 20},
	{"more than 4 MiB at once is a bad field",
	 {{0x28, 0, 0, 0, 0, 0, 0, 0x20, 1}, IN(5u << 20)},
	 .code = 0x2400},
	{"a transfer length of all ones does not overflow",
	 {{0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, IN(512)},
	 .code = 0x2400},
	{"one block past the end is out of range",
	 {{0x28, 0, 0, 0, 0x3f, 0xff, 0, 0, 2}, IN(1024)},
	 .code = 0x2100},
	{"LBA of all ones plus length does not wrap",
	 {{0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1}, IN(512)},
	 .code = 0x2100},
	{"no blocks at all is GOOD and moves nothing", {{0x28}, IN(0)}, .code = 0},
	{"no blocks past the end is out of range",
	 {{0x28, 0, 0, 0, 0x40, 0x01}, IN(0)},
	 .code = 0x2100},
	{"no blocks to write is GOOD", {{0x2a}, OUT(0)}, .code = 0},
	{"a read into no room at all reads nothing",
	 {{0x28, 0, 0, 0, 0, 0, 0, 0, 1}, IN(0)},
	 .code = 0,
	 .wanted = 512},
	{"a read into less room is cut to it",
	 {{0x28, 0, 0, 0, 0, 0, 0, 0, 1}, IN(200)},
	 .code = 0,
	 .wanted = 512,
	 .data_len = 200,
	 .requests = 1,
	 .length = 200},
	{"a read into one block of two reads one",
	 {{0x28, 0, 0, 0, 0, 0, 0, 0, 2}, IN(512)},
	 .code = 0,
	 .wanted = 1024,
	 .data_len = 512,
	 .requests = 1,
	 .length = 512},
	{"a read into more room moves what the CDB says",
	 {{0x28, 0, 0, 0, 0, 0, 0, 0, 1}, IN(10000)},
	 .code = 0,
	 .wanted = 512,
	 .data_len = 512,
	 .requests = 1,
	 .length = 512},
	{"a read that is flagged as a write moves nothing",
	 {{0x28, 0, 0, 0, 0, 0, 0, 0, 1}, OUT(512)},
	 .code = 0,
	 .wanted = 512},
	{"a write of one block without data writes nothing",
	 {{0x2a, 0, 0, 0, 0, 0, 0, 0, 1}, OUT(0)},
	 .code = 0,
	 .wanted = 512},
	{"of a block that comes in part nothing is written",
	 {{0x2a, 0, 0, 0, 0, 0, 0, 0, 1}, OUT(200)},
	 .code = 0,
	 .wanted = 512},
	{"of two blocks the one that comes is written",
	 {{0x2a, 0, 0, 0, 0, 0, 0, 0, 2}, OUT(512)},
	 .code = 0,
	 .wanted = 1024,
	 .requests = 1,
	 .length = 512},
	{"of one and a half blocks one is written",
	 {{0x2a, 0, 0, 0, 0, 0, 0, 0, 2}, OUT(700)},
	 .code = 0,
	 .wanted = 1024,
	 .requests = 1,
	 .length = 512},
	{"more data than the CDB says is not written",
	 {{0x2a, 0, 0, 0, 0, 0, 0, 0, 1}, OUT(1024)},
	 .code = 0,
	 .wanted = 512,
	 .requests = 1,
	 .length = 512},
	{"a write that is flagged as a read is refused",
	 {{0x2a, 0, 0, 0, 0, 0, 0, 0, 1}, IN(512)},
	 .code = 0x0e03},
	{"a write that is flagged both ways is refused",
	 {{0x2a, 0, 0, 0, 0, 0, 0, 0, 1}, .edtl = 512, .read = true, .write = true},
	 .code = 0x0e03},
	{"a command without data that is flagged both ways is refused",
	 {{0x00}, .edtl = 512, .read = true, .write = true},
	 .code = 0x0e03},
	{"RDPROTECT is refused", {{0x28, 0x20, 0, 0, 0, 0, 0, 0, 1}, IN(512)}, .code = 0x2400},
	{"WRPROTECT is refused",
	 {{0x8a, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, OUT(512)},
	 .code = 0x2400},
	{"VRPROTECT is refused", {{0x2f, 0x40, 0, 0, 0, 0, 0, 0, 1}, .edtl = 0}, .code = 0x2400},
	{"DPO is taken and means nothing",
	 {{0x28, 0x10, 0, 0, 0, 0, 0, 0, 1}, IN(512)},
	 .code = 0,
	 .wanted = 512,
	 .data_len = 512,
	 .requests = 1,
	 .length = 512},
	{"FUA_NV and a group number are ignored",
	 {{0x28, 0x02, 0, 0, 0, 0, 0x3f, 0, 1}, IN(512)},
	 .code = 0,
	 .wanted = 512,
	 .data_len = 512,
	 .requests = 1,
	 .length = 512},
	{"RELADR is refused", {{0x28, 0x01, 0, 0, 0, 0, 0, 0, 1}, IN(512)}, .code = 0x2400},
	{"VERIFY without data reads the medium",
	 {{0x2f, 0, 0, 0, 0, 4, 0, 0, 2}, .edtl = 0},
	 .code = 0,
	 .requests = 1,
	 .offset = 2048,
	 .length = 1024},
	{"VERIFY(12)",
	 {{0xaf, 0, 0, 0, 0, 4, 0, 0, 0, 2}, .edtl = 0},
	 .code = 0,
	 .requests = 1,
	 .offset = 2048,
	 .length = 1024},
	{"VERIFY(16)",
	 {{0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 2}, .edtl = 0},
	 .code = 0,
	 .requests = 1,
	 .offset = 2048,
	 .length = 1024},
	{"VERIFY of 160 KiB takes three requests",
	 {{0x2f, 0, 0, 0, 0, 0, 0, 1, 0x40}, .edtl = 0},
	 .code = 0,
	 .requests = 3,
	 .length = 65536},
	{"VERIFY without byte check wants no data, whatever comes",
	 {{0x2f, 0, 0, 0, 0, 0, 0, 0, 1}, OUT(512)},
	 .code = 0,
	 .requests = 1,
	 .length = 512},
	{"VERIFY past the end is out of range",
	 {{0x2f, 0, 0, 0, 0x40, 0, 0, 0, 1}, .edtl = 0},
	 .code = 0x2100},
	{"VERIFY of nothing is GOOD", {{0x2f, 0x02}, .edtl = 0}, .code = 0},
	{"BYTCHK=10b is reserved", {{0x2f, 0x04, 0, 0, 0, 0, 0, 0, 1}, OUT(512)}, .code = 0x2400},
	{"VERIFY that compares with nothing is refused",
	 {{0x2f, 0x02, 0, 0, 0, 0, 0, 0, 1}, IN(512)},
	 .code = 0x0e03},
	{"SYNCHRONIZE CACHE(10) flushes", {{0x35}, .edtl = 0}, .code = 0, .requests = 1},
	{"SYNCHRONIZE CACHE(16) flushes", {{0x91}, .edtl = 0}, .code = 0, .requests = 1},
	{"SYNCHRONIZE CACHE answers IMMED when it is done",
	 {{0x35, 0x02}, .edtl = 0},
	 .code = 0,
	 .requests = 1},
	{"SYNCHRONIZE CACHE past the end is out of range",
	 {{0x35, 0, 0, 0, 0x40, 0, 0, 0, 1}, .edtl = 0},
	 .code = 0x2100},
	{"SYNCHRONIZE CACHE may cover more than a transfer",
	 {{0x35, 0, 0, 0, 0, 0, 0, 0x3f, 0xff}, .edtl = 0},
	 .code = 0,
	 .requests = 1},
	{"START STOP UNIT: a stop flushes", {{0x1b}, .edtl = 0}, .code = 0, .requests = 1},
	{"START STOP UNIT: NO_FLUSH does not", {{0x1b, 0, 0, 0, 0x04}, .edtl = 0}, .code = 0},
	{"START STOP UNIT: a start does nothing", {{0x1b, 0, 0, 0, 0x01}, .edtl = 0}, .code = 0},
	{"START STOP UNIT: LOEJ is refused, there is nothing to eject",
	 {{0x1b, 0, 0, 0, 0x02}, .edtl = 0},
	 .code = 0x2400},
	{"START STOP UNIT: a power condition changes nothing",
	 {{0x1b, 0, 0, 0, 0x20}, .edtl = 0},
	 .code = 0},
	{"START STOP UNIT: LOEJ beside a power condition ejects nothing",
	 {{0x1b, 0, 0, 0x03, 0x32}, .edtl = 0},
	 .code = 0},
	{"START STOP UNIT: a modifier without a condition is refused",
	 {{0x1b, 0, 0, 0x01, 0x01}, .edtl = 0},
	 .code = 0x2400},
};

static void move(void **state)
{
	const __typeof__(moves[0]) *row = *state;
	struct scsi_task *task;

	rig_open(NULL);
	task = rig_run(&row->c);
	assert_int_equal(task->status, row->code == 0 ? SCSI_GOOD : SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(task), row->code);
	assert_int_equal(task->wanted, row->wanted);
	assert_int_equal(task->data_len, row->data_len);
	assert_int_equal(rig->submitted, row->requests);
	if (row->requests > 0) {
		assert_int_equal(rig->log[0].length, row->length);
		assert_true(rig->log[0].op == IO_FLUSH || rig->log[0].offset == row->offset);
	}
	for (size_t i = 0; i < rig->submitted; i++) /* P2 */
		assert_true(rig->log[i].records_before > 0);
	rig_close();
}

static void what_is_written_is_read(void **state)
{
	static const struct rig_command write = {{0x2a, 0, 0, 0, 0, 9, 0, 0, 3}, OUT(1536)};
	static const struct rig_command read = {{0x88, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 3},
						IN(1536)};

	rig_open(state);
	for (size_t i = 0; i < 1536; i++)
		rig->buffer[i] = (uint8_t)(i * 7);
	assert_int_equal(rig_run(&write)->status, SCSI_GOOD);
	memset(rig->buffer, RIG_POISON, RIG_BUFFER);
	assert_int_equal(rig_run(&read)->status, SCSI_GOOD);
	for (size_t i = 0; i < 1536; i++)
		assert_int_equal(rig->buffer[i], (uint8_t)(i * 7));
	assert_int_equal(rig->buffer[1536], RIG_POISON);
	rig_close();
}

static const struct {
	const char *why;
	uint8_t bytchk;
	uint32_t blocks;
	uint32_t edtl;
	size_t differs; /* octet of the disk that differs from the data-out; SIZE_MAX: none */
	uint32_t information;
	bool miscompare;
} compares[] = {
	{"BYTCHK=01b: equal data is GOOD", 1, 2, 1024, SIZE_MAX, 0, false},
	{"BYTCHK=01b: the first octet differs", 1, 2, 1024, 0, 0, true},
	{"BYTCHK=01b: the last octet differs", 1, 2, 1024, 1023, 1023, true},
	{"BYTCHK=01b: a difference in the third piece", 1, 300, 153600, 140000, 140000, true},
	{"BYTCHK=01b: what did not come is not compared", 1, 2, 512, 700, 0, false},
	{"BYTCHK=11b: one block is compared with each", 3, 200, 512, SIZE_MAX, 0, false},
	{"BYTCHK=11b: a difference in the last block", 3, 200, 512, 199 * 512 + 3, 3, true},
	{"BYTCHK=11b: a block that came in part is not compared", 3, 2, 100, 5, 0, false},
};

static void compare(void **state)
{
	const __typeof__(compares[0]) *row = *state;
	struct rig_command c = {{0x2f,
				 (uint8_t)(row->bytchk << 1), [7] = (uint8_t)(row->blocks >> 8),
				 (uint8_t)row->blocks},
				OUT(row->edtl)};
	struct scsi_task *task;

	rig_open(NULL);
	for (size_t i = 0; i < (size_t)row->blocks * RIG_BLOCK; i++)
		rig->disk[i] = rig->buffer[i] = (uint8_t)(i % 512);
	if (row->differs != SIZE_MAX)
		rig->disk[row->differs] ^= 0xff;
	task = rig_run(&c);
	assert_int_equal(task->status, row->miscompare ? SCSI_CHECK_CONDITION : SCSI_GOOD);
	if (row->miscompare) {
		assert_int_equal(task->sense[2], 0x0e);
		assert_int_equal(rig_code(task), 0x1d00);
		assert_int_equal(task->sense[0], 0xf0);
		assert_int_equal(get_be(task->sense + 3, 4), row->information);
	}
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, moves, move);
	TESTS_ADD_TABLE(&t, compares, compare);
	tests_add(&t, "what is written is what is read", what_is_written_is_read, NULL);
	return tests_run(&t, "scsi rw");
}

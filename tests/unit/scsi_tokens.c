/* ROD tokens on the bench: what is copied with them, whose they are, which rules bind their use,
 * and the lists of ranges that they are made and used with. */
#include "tests/unit/scsi_token_rig.h"

/* --- copying --- */

static void copies(void **state)
{
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	assert_int_equal(tokens_of_first(), 1);
	assert_int_equal(write_using(MY_OTHER, token, 0, target, 2)->status, SCSI_GOOD);
	for (uint64_t n = 0; n < 708; n++) {
		uint64_t from = n < 5 ? 10 + n : n < 705 ? 600 + n - 5 : 50 + n - 705;

		assert_int_equal(copy_block(rig->second_disk, n < 8 ? 2000 + n : 92 + n), from);
	}
	assert_int_equal(copy_block(rig->second_disk, 2008), 1002008);
	assert_int_equal(receive(MY_OTHER, 1, 6)->status, SCSI_GOOD);
	assert_int_equal(rig->buffer[5], 1);
	assert_int_equal(rig->buffer[15], 0xf1);
	assert_int_equal(get_be(rig->buffer + 16, 8), 708);
	assert_int_equal(get_be(rig->buffer + 32, 4), 0);
	assert_int_equal(receive(MY_OTHER, 1, 6)->status, SCSI_CHECK_CONDITION); /* told once */
	close_all();
}

static void with_offset(void **state)
{
	static const struct range all[] = {{0, 1000}};
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	assert_int_equal(write_using(ME, token, 703, all, 1)->status, SCSI_GOOD);
	assert_int_equal(copy_block(rig->second_disk, 0), 1298);
	assert_int_equal(copy_block(rig->second_disk, 1), 1299);
	assert_int_equal(copy_block(rig->second_disk, 2), 50);
	assert_int_equal(copy_block(rig->second_disk, 4), 52);
	assert_int_equal(copy_block(rig->second_disk, 5), 1000005);
	assert_int_equal(receive(ME, 1, 6)->status, SCSI_GOOD);
	assert_int_equal(rig->buffer[5], 4); /* with a residual */
	assert_int_equal(get_be(rig->buffer + 16, 8), 5);
	assert_int_equal(rig_code(write_using(ME, token, 708, all, 1)), 0x2600);
	close_all();
}

/* P2: source and destination, before the first read. */
static void is_audited(void **state)
{
	static const struct range three[] = {{700, 3}};
	uint8_t token[TOKEN_SIZE];
	uint64_t before;

	(void)state;
	open_all();
	make_token(source, 3, token);
	before = rig->ring.head;
	assert_int_equal(write_using(ME, token, 4, three, 1)->status, SCSI_GOOD);
	assert_int_equal(rig->log[0].records_before, before + 4);
	assert_int_equal(rig_record(before)->source, 1);
	assert_int_equal(rig_record(before)->lun, 0);
	assert_int_equal(rig_record(before)->lba, 14);
	assert_int_equal(rig_record(before + 1)->source, 0);
	assert_int_equal(rig_record(before + 1)->lun, 1);
	assert_int_equal(rig_record(before + 1)->lba, 700);
	assert_int_equal(rig_record(before + 2)->lba, 600);
	assert_int_equal(rig_record(before + 3)->lba, 701);
	assert_int_equal(rig_record(before + 3)->blocks, 2);
	close_all();
}

static void zeroes(void **state)
{
	static const uint8_t zero[TOKEN_SIZE] = {0xff, 0xff, 0, 1, 0, 0, 0x01, 0xf8};

	(void)state;
	open_all();
	assert_int_equal(write_using(ME, zero, 0, target, 2)->status, SCSI_GOOD);
	assert_int_equal(copy_block(rig->second_disk, 2000), 0);
	assert_int_equal(copy_block(rig->second_disk, 799), 0);
	assert_int_equal(copy_block(rig->second_disk, 800), 1000800);
	assert_int_equal(receive(ME, 1, 6)->status, SCSI_GOOD);
	assert_int_equal(get_be(rig->buffer + 16, 8), 708);
	close_all();
}

/* --- whose they are --- */

static struct scsi_task *receive_in(uint8_t action, uint32_t room)
{
	struct rig_command c = {{0x84, action, [5] = 5}, .edtl = room, .read = room > 0};

	put_be(c.cdb + 10, 4, room);
	return run_as(ME, &c);
}

static void differ(void **state)
{
	uint8_t first[TOKEN_SIZE], second[TOKEN_SIZE];
	unsigned same = 0;

	(void)state;
	open_all();
	make_token(source, 1, first);
	make_token(source, 1, second);
	for (size_t i = 64; i < TOKEN_SIZE; i++)
		same += first[i] == second[i];
	assert_true(same < 30);
	close_all();
}

/* Whoever asks with little room first, or for the status alone, still gets it. */
static void cut(void **state)
{
	static const uint32_t rooms[] = {0, 4, 38, 37 + TOKEN_SIZE};
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	assert_int_equal(populate(ME, source, 3)->status, SCSI_GOOD);
	for (size_t k = 0; k < ARRAY_LEN(rooms); k++)
		assert_int_equal(receive_in(7, rooms[k])->status, SCSI_GOOD);
	assert_int_equal(receive_in(5, 1024)->data_len, 32);
	take_token(ME, token);
	assert_int_equal(rig_code(receive_in(7, 1024)), 0x2400);
	assert_int_equal(write_using(ME, token, 0, target, 2)->status, SCSI_GOOD);
	close_all();
}

static void of_another(void **state)
{
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	assert_int_equal(rig_code(write_using(ELSE, token, 0, target, 2)), 0x2304);
	assert_int_equal(receive(ELSE, 0, 5)->status, SCSI_CHECK_CONDITION);
	token[300] ^= 1;
	assert_int_equal(rig_code(write_using(ME, token, 0, target, 2)), 0x2304);
	assert_int_equal(copy_block(rig->second_disk, 2000), 1002000);
	close_all();
}

/* P1: its rules bind when it is used, not only when it is made. */
static void is_protected(void **state)
{
	uint8_t token[TOKEN_SIZE];

	(void)state;
	open_all();
	make_token(source, 3, token);
	nexuses[MY_OTHER].rules.ranges[0] = (struct protected_range){51, 51, 0, true, 9};
	nexuses[MY_OTHER].rules.range_count = 1;
	assert_int_equal(rig_code(write_using(MY_OTHER, token, 0, target, 2)), 0x2700);
	assert_int_equal(rig_last(0)->rule_line, 9);
	nexuses[ELSE].rules = nexuses[MY_OTHER].rules;
	assert_int_equal(rig_code(populate(ELSE, source, 3)), 0x2700);
	close_all();
}

/* --- lists --- */

static const struct {
	const char *why;
	struct range ranges[3];
	unsigned count;
	uint32_t code;
} lists[] = {
	{"a token of no ranges", {{0, 0}}, 0, 0x2600},
	{"a token of no blocks", {{5, 0}}, 1, 0x2600},
	{"a token of blocks behind the end", {{RIG_BLOCKS - 1, 2}}, 1, 0x2100},
	{"a token of an LBA that wraps", {{UINT64_MAX, 2}}, 1, 0x2100},
	{"a token whose ranges overlap", {{5, 10}, {100, 1}, {14, 1}}, 3, 0x2600},
	{"a token of the last block", {{RIG_BLOCKS - 1, 1}}, 1, 0},
	{"a token of the whole disk", {{0, RIG_BLOCKS}}, 1, 0},
};

static void listed(void **state)
{
	const __typeof__(lists[0]) *row = *state;

	open_all();
	assert_int_equal(rig_code(populate(ME, row->ranges, row->count)), row->code);
	assert_int_equal(tokens_of_first(), row->code == 0);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
	close_all();
}

static void truncated(void **state)
{
	uint8_t token[TOKEN_SIZE];
	struct rig_command c;

	(void)state;
	open_all();
	make_token(source, 3, token);
	for (size_t len = 1; len < 568; len++) {
		c = write_command(token, 0, target, 2);
		put_be(c.cdb + 10, 4, len);
		assert_int_equal(rig_code(run_as(ME, &c)), 0x1a00);
	}
	for (size_t len = 1; len < 64; len++) {
		memset(rig->buffer, 0, 16);
		(void)put_ranges(16, source, 3);
		c = command(0x10, 0, 5, len);
		assert_int_equal(rig_code(run_as(ME, &c)), 0x1a00);
	}
	assert_int_equal(tokens_of_first(), 1);
	close_all();
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "a token's blocks are copied in another session of its initiator", copies,
		  NULL);
	tests_add(&t, "an offset into a token; what it has no more of is a residual", with_offset,
		  NULL);
	tests_add(&t, "P2: source and destination are in the audit before a token is used",
		  is_audited, NULL);
	tests_add(&t, "the token of zeroes writes zeroes", zeroes, NULL);
	tests_add(&t, "a token that an allocation length cut off is not forgotten", cut, NULL);
	tests_add(&t, "two tokens of the same blocks are not alike", differ, NULL);
	tests_add(&t, "P1: a token is its initiator's, and every octet counts", of_another, NULL);
	tests_add(&t, "P1: what is protected is not read through a token", is_protected, NULL);
	TESTS_ADD_TABLE(&t, lists, listed);
	tests_add(&t, "token lists that are cut anywhere are refused", truncated, NULL);
	return tests_run(&t, "scsi");
}

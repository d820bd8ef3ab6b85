/* What the trail says of what retention deleted: one text for each, and no other is taken. */
#include "gateway/audit/retention.h"

#include "tests/unit/test.h"

static struct tests t;

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define TEXT                                                                                 \
	"commands-000017.log blocks 120+879 sequences 4711+95102 times 1795388171665305980-" \
	"1795388271665305980 last " HASH

static const struct retention one = {
	.log = LOG_COMMANDS,
	.segment = 17,
	.first_block = 120,
	.blocks = 879,
	.first_sequence = 4711,
	.sequences = 95102,
	.first_ns = 1795388171665305980,
	.last_ns = 1795388271665305980,
	.last_hash = {0,    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa,
		      0xbb, 0xcc, 0xdd, 0xee, 0xff, 0,	  0x11, 0x22, 0x33, 0x44, 0x55,
		      0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff},
};

static const struct row {
	const char *why, *text;
	int want;
} rows[] = {
	{"a segment of commands", TEXT, 0},
	{"one of events, without a record",
	 "events-1000000.log blocks 0+1 sequences 0+0 times 5-5 last " HASH, 0},
	{"a segment that was given up at once",
	 "events-000009.log blocks 7+0 sequences 0+0 times 5-5 last " HASH, 0},
	{"the greatest numbers",
	 "events-18446744073709551615.log blocks 0+18446744073709551615 sequences "
	 "1+18446744073709551614 times 0-18446744073709551615 last " HASH,
	 0},
	{"nothing", "", -EBADMSG},
	{"another log", "secrets-000001.log blocks 0+1 sequences 0+0 times 5-5 last " HASH,
	 -EBADMSG},
	{"segment 0", "events-000000.log blocks 0+1 sequences 0+0 times 5-5 last " HASH, -EBADMSG},
	{"a name with fewer digits", "events-1.log blocks 0+1 sequences 0+0 times 5-5 last " HASH,
	 -EBADMSG},
	{"another ending", "events-000001.old blocks 0+1 sequences 0+0 times 5-5 last " HASH,
	 -EBADMSG},
	{"more blocks than there can be",
	 "events-000001.log blocks 1+18446744073709551615 sequences 0+0 times 5-5 last " HASH,
	 -EBADMSG},
	{"a number with a sign", "events-000001.log blocks 0++1 sequences 0+0 times 5-5 last " HASH,
	 -EBADMSG},
	{"a number with a zero before it",
	 "events-000001.log blocks 0+01 sequences 0+0 times 5-5 last " HASH, -EBADMSG},
	{"a number beyond 64 bits",
	 "events-000001.log blocks 0+18446744073709551616 sequences 0+0 times 5-5 last " HASH,
	 -EBADMSG},
	{"another word", "events-000001.log block 0+1 sequences 0+0 times 5-5 last " HASH,
	 -EBADMSG},
	{"two blanks", "events-000001.log  blocks 0+1 sequences 0+0 times 5-5 last " HASH,
	 -EBADMSG},
	{"a word more", TEXT " more", -EBADMSG},
	{"a word less", "events-000001.log blocks 0+1 sequences 0+0 times 5-5 last", -EBADMSG},
	{"a blank behind it", TEXT " ", -EBADMSG},
	{"a hash in capitals",
	 "events-000001.log blocks 0+1 sequences 0+0 times 5-5 last "
	 "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff",
	 -EBADMSG},
	{"a hash that is too short", "events-000001.log blocks 0+1 sequences 0+0 times 5-5 last 00",
	 -EBADMSG},
};

static void reads(void **state)
{
	const struct row *row = *state;
	char again[AUDIT_DETAIL_SIZE];
	struct retention r;

	assert_int_equal(retention_read(&r, row->text, strlen(row->text)), row->want);
	if (row->want < 0)
		return;
	retention_write(&r, again);
	assert_string_equal(again, row->text);
}

static void writes(void **state)
{
	char text[AUDIT_DETAIL_SIZE];
	struct retention r;

	(void)state;
	retention_write(&one, text);
	assert_string_equal(text, TEXT);
	assert_int_equal(retention_read(&r, text, strlen(text)), 0);
	assert_memory_equal(&r, &one, sizeof r);
	for (size_t cut = 0; cut < strlen(text); cut++)
		assert_int_equal(retention_read(&r, text, cut), -EBADMSG);
	assert_int_equal(retention_read(&r, text, strlen(text) + 1), -EBADMSG); /* its NUL */
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, reads);
	tests_add(&t, "it is written and read again, and no part of it is taken", writes, NULL);
	return tests_run(&t, "audit");
}

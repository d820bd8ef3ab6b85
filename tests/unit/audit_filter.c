/* What a reviewer asks for and which records answer: ranges of blocks, what commands do to them,
 * commands and groups, verdicts, sessions; alone and together. */
#include "tests/unit/test.h"

#include "gateway/audit/filter.h"

#define MOST UINT64_MAX

/* --- ranges ----------------------------------------------------------------------------- */

static const struct parsed {
	const char *why, *text;
	int want;
	struct lba_range range;
} parses[] = {
	{"one block", "7", 0, {7, 7}},
	{"block 0", "0", 0, {0, 0}},
	{"from, to", "7-9", 0, {7, 9}},
	{"from, and how many", "7+3", 0, {7, 9}},
	{"one block as a range", "7-7", 0, {7, 7}},
	{"in hex", "0x10-0x1f", 0, {16, 31}},
	{"the last block that there can be", "18446744073709551615", 0, {MOST, MOST}},
	{"up to the last block", "1-18446744073709551615", 0, {1, MOST}},
	{"the last block, counted", "18446744073709551615+1", 0, {MOST, MOST}},
	{"beyond the last block", "18446744073709551615+2", -ERANGE, {0, 0}},
	{"it ends before it begins", "9-7", -ERANGE, {0, 0}},
	{"no block at all", "7+0", -ERANGE, {0, 0}},
	{"nothing", "", -EINVAL, {0, 0}},
	{"no first", "-9", -EINVAL, {0, 0}},
	{"no last", "9-", -EINVAL, {0, 0}},
	{"no count", "9+", -EINVAL, {0, 0}},
	{"a word", "all", -EINVAL, {0, 0}},
	{"a third number", "1-2-3", -EINVAL, {0, 0}},
	{"more than 64 bits", "18446744073709551616", -EINVAL, {0, 0}},
	{"a number without end", "000000000000000000000000000000000001", -EINVAL, {0, 0}},
};

static void test_parse(void **state)
{
	const struct parsed *p = *state;
	struct lba_range range = {0};

	assert_int_equal(lba_range_parse(p->text, &range), p->want);
	assert_int_equal(range.first, p->range.first);
	assert_int_equal(range.last, p->range.last);
}

static const struct sorted {
	const char *why;
	struct lba_range in[4];
	size_t count;
	struct lba_range want[4];
	size_t left;
} sorts[] = {
	{"none", {{0, 0}}, 0, {{0, 0}}, 0},
	{"out of order", {{9, 9}, {1, 2}}, 2, {{1, 2}, {9, 9}}, 2},
	{"those that overlap are one", {{1, 5}, {3, 8}}, 2, {{1, 8}}, 1},
	{"those that touch are one", {{1, 2}, {3, 4}}, 2, {{1, 4}}, 1},
	{"a block between keeps them apart", {{1, 2}, {4, 5}}, 2, {{1, 2}, {4, 5}}, 2},
	{"one within another", {{1, 9}, {3, 4}, {9, 9}}, 3, {{1, 9}}, 1},
	{"the same twice", {{7, 7}, {7, 7}}, 2, {{7, 7}}, 1},
	{"the end of all takes what follows",
	 {{5, MOST}, {MOST, MOST}, {1, 1}},
	 3,
	 {{1, 1}, {5, MOST}},
	 2},
};

static void test_sort(void **state)
{
	const struct sorted *s = *state;
	struct lba_range ranges[4];

	memcpy(ranges, s->in, sizeof ranges);
	assert_int_equal(lba_ranges_sort(ranges, s->count), s->left);
	for (size_t k = 0; k < s->left; k++) {
		assert_int_equal(ranges[k].first, s->want[k].first);
		assert_int_equal(ranges[k].last, s->want[k].last);
	}
}

static const struct met {
	const char *why;
	uint64_t first, last, want; /* want: the range's first; 0: none */
} meets[] = {
	{"before all", 0, 9, 0},
	{"the first block of one", 5, 10, 10},
	{"the last block of one", 19, 25, 10},
	{"between two", 20, 29, 0},
	{"over two: the first of them", 15, 35, 10},
	{"within one", 31, 31, 30},
	{"behind all", 41, MOST, 0},
	{"all there is", 0, MOST, 10},
};

static void test_meet(void **state)
{
	static const struct lba_range ranges[] = {{10, 19}, {30, 39}, {40, 40}};
	const struct met *m = *state;
	const struct lba_range *found =
		lba_ranges_meet(ranges, ARRAY_LEN(ranges), m->first, m->last);

	assert_int_equal(found ? found->first : 0, m->want);
}

/* --- what a command does to which blocks --------------------------------------------------- */

static const struct reached {
	const char *why;
	struct audit_record record;
	uint32_t deeds;
	bool blocks;
	uint64_t first, last;
} reaches[] = {
	{"READ(16) reads its blocks",
	 {.cdb = {0x88}, .cdb_len = 16, .lba = 10, .blocks = 5},
	 DEED_READ,
	 true,
	 10,
	 14},
	{"WRITE(6) writes its blocks",
	 {.cdb = {0x0a}, .cdb_len = 6, .lba = 10, .blocks = 1},
	 DEED_WRITE,
	 true,
	 10,
	 10},
	{"a write of nothing reaches nothing",
	 {.cdb = {0x8a}, .cdb_len = 16, .lba = 10},
	 DEED_WRITE,
	 false,
	 0,
	 0},
	{"blocks beyond 64 bits end there",
	 {.cdb = {0x88}, .cdb_len = 16, .lba = MOST, .blocks = 9},
	 DEED_READ,
	 true,
	 MOST,
	 MOST},
	{"COMPARE AND WRITE does both",
	 {.cdb = {0x89}, .cdb_len = 16, .lba = 1, .blocks = 1},
	 DEED_READ | DEED_WRITE,
	 true,
	 1,
	 1},
	{"UNMAP's ranges are discarded",
	 {.cdb = {0x42}, .cdb_len = 10, .lba = 8, .blocks = 8},
	 DEED_DISCARD,
	 true,
	 8,
	 15},
	{"UNMAP of an empty list reaches nothing",
	 {.cdb = {0x42}, .cdb_len = 10},
	 DEED_DISCARD,
	 false,
	 0,
	 0},
	{"WRITE SAME writes",
	 {.cdb = {0x93}, .cdb_len = 16, .lba = 8, .blocks = 8},
	 DEED_WRITE,
	 true,
	 8,
	 15},
	{"WRITE SAME with UNMAP discards",
	 {.cdb = {0x93, 0x08}, .cdb_len = 16, .lba = 8, .blocks = 8},
	 DEED_DISCARD,
	 true,
	 8,
	 15},
	{"WRITE SAME(32) with UNMAP discards",
	 {.cdb = {0x7f, [9] = 0x0d, [10] = 0x08}, .cdb_len = 32, .lba = 8, .blocks = 1},
	 DEED_DISCARD,
	 true,
	 8,
	 8},
	{"FORMAT UNIT is for all blocks",
	 {.cdb = {0x04}, .cdb_len = 6},
	 DEED_WRITE | DEED_DISCARD,
	 true,
	 0,
	 MOST},
	{"so is SANITIZE",
	 {.cdb = {0x48, 0x03}, .cdb_len = 10},
	 DEED_WRITE | DEED_DISCARD,
	 true,
	 0,
	 MOST},
	{"but not to leave its failure mode",
	 {.cdb = {0x48, 0x1f}, .cdb_len = 10},
	 DEED_WRITE | DEED_DISCARD,
	 false,
	 0,
	 0},
	{"a copy's source is read",
	 {.cdb = {0x83, 0x01}, .cdb_len = 16, .lba = 3, .blocks = 2, .source = 1},
	 DEED_READ,
	 true,
	 3,
	 4},
	{"a copy's destination is written",
	 {.cdb = {0x83, 0x01}, .cdb_len = 16, .lba = 3, .blocks = 2},
	 DEED_WRITE,
	 true,
	 3,
	 4},
	{"a token's source is read",
	 {.cdb = {0x83, 0x11}, .cdb_len = 16, .lba = 3, .blocks = 2, .source = 1},
	 DEED_READ,
	 true,
	 3,
	 4},
	{"POPULATE TOKEN reads",
	 {.cdb = {0x83, 0x10}, .cdb_len = 16, .lba = 3, .blocks = 2},
	 DEED_READ,
	 true,
	 3,
	 4},
	{"COPY OPERATION ABORT does neither",
	 {.cdb = {0x83, 0x1c}, .cdb_len = 16},
	 DEED_OTHER,
	 false,
	 0,
	 0},
	{"a reservation key is no block",
	 {.cdb = {0x5f}, .cdb_len = 10, .lba = 77, .blocks = 1},
	 DEED_RESERVE,
	 false,
	 0,
	 0},
	{"INQUIRY reaches nothing", {.cdb = {0x12}, .cdb_len = 6}, DEED_OTHER, false, 0, 0},
	{"an unknown command",
	 {.cdb = {0xc1, 0xff}, .cdb_len = 16, .lba = 1, .blocks = 1},
	 DEED_OTHER,
	 false,
	 0,
	 0},
	{"a variable-length command that is cut",
	 {.cdb = {0x7f}, .cdb_len = 9, .blocks = 1},
	 DEED_OTHER,
	 false,
	 0,
	 0},
	{"a service action beyond the table",
	 {.cdb = {0x7f, [8] = 1, [9] = 9}, .cdb_len = 32, .blocks = 1},
	 DEED_OTHER,
	 false,
	 0,
	 0},
	{"a count of BUSY answers is no command",
	 {.kind = AUDIT_OUTCOME, .verdict = VERDICT_BUSY, .blocks = 7},
	 0,
	 false,
	 0,
	 0},
	{"no CDB is no command", {.cdb_len = 0, .blocks = 7}, 0, false, 0, 0},
};

static void test_reach(void **state)
{
	const struct reached *c = *state;
	struct reach reach = audit_reach(&c->record);

	assert_int_equal(reach.deeds, c->deeds);
	assert_int_equal(reach.blocks, c->blocks);
	assert_int_equal(reach.first, c->first);
	assert_int_equal(reach.last, c->last);
}

/* --- filters -------------------------------------------------------------------------------- */

enum sample {
	READ,
	WRITE_DENIED,
	UNMAP_RANGE,
	UNMAP_FAILED,
	FORMAT,
	BUSY,
	REFUSAL,
	OPENED,
	SAMPLES
};
static const struct frame samples[SAMPLES] = {
	[READ] = {.type = FRAME_COMMAND,
		  .connection = 3,
		  .command = {.kind = AUDIT_COMMAND,
			      .verdict = VERDICT_ADMITTED,
			      .cdb = {0x28},
			      .cdb_len = 10,
			      .lba = 100,
			      .blocks = 10,
			      .lun = 1}},
	[WRITE_DENIED] = {.type = FRAME_COMMAND,
			  .connection = 4,
			  .command = {.kind = AUDIT_COMMAND,
				      .verdict = VERDICT_DENIED,
				      .cdb = {0x8a},
				      .cdb_len = 16,
				      .lba = 105,
				      .blocks = 1}},
	[UNMAP_RANGE] = {.type = FRAME_COMMAND,
			 .connection = 3,
			 .command = {.kind = AUDIT_COMMAND,
				     .verdict = VERDICT_ADMITTED,
				     .cdb = {0x42},
				     .cdb_len = 10,
				     .lba = 200,
				     .blocks = 8}},
	[UNMAP_FAILED] = {.type = FRAME_COMMAND,
			  .connection = 3,
			  .command = {.kind = AUDIT_OUTCOME,
				      .verdict = VERDICT_FAILED,
				      .cdb = {0x42},
				      .cdb_len = 10}},
	[FORMAT] = {.type = FRAME_COMMAND,
		    .connection = 3,
		    .command = {.kind = AUDIT_COMMAND,
				.verdict = VERDICT_REFUSED,
				.cdb = {0x04},
				.cdb_len = 6}},
	[BUSY] = {.type = FRAME_COMMAND,
		  .connection = 3,
		  .command = {.kind = AUDIT_OUTCOME,
			      .verdict = VERDICT_BUSY,
			      .blocks = 300,
			      .lun = 0xffff}},
	[REFUSAL] = {.type = FRAME_EVENT, .connection = 4, .event = {.kind = EVENT_REFUSAL}},
	[OPENED] = {.type = FRAME_SESSION, .connection = 3},
};
#define BIT(sample) (1u << (sample))

static const struct filtered {
	const char *why, *ops, *groups, *verdicts;
	struct audit_filter filter;
	const char *lba;
	uint32_t want;
} filters[] = {
	{.why = "nothing asked: all", .want = BIT(SAMPLES) - 1},
	{.why = "a family", .ops = "read", .want = BIT(READ)},
	{.why = "several commands and an event",
	 .ops = "read-10,unmap,refusal",
	 .want = BIT(READ) | BIT(UNMAP_RANGE) | BIT(UNMAP_FAILED) | BIT(REFUSAL)},
	{.why = "all commands, no outcomes",
	 .ops = "command",
	 .want = BIT(READ) | BIT(WRITE_DENIED) | BIT(UNMAP_RANGE) | BIT(FORMAT)},
	{.why = "all outcomes", .ops = "outcome", .want = BIT(UNMAP_FAILED) | BIT(BUSY)},
	{.why = "the opening of sessions", .ops = "session", .want = BIT(OPENED)},
	{.why = "a group: what reads", .groups = "read", .want = BIT(READ)},
	{.why = "a group: what discards",
	 .groups = "discard",
	 .want = BIT(UNMAP_RANGE) | BIT(UNMAP_FAILED) | BIT(FORMAT)},
	{.why = "two groups",
	 .groups = "read,write",
	 .want = BIT(READ) | BIT(WRITE_DENIED) | BIT(FORMAT)},
	{.why = "a verdict", .verdicts = "denied", .want = BIT(WRITE_DENIED)},
	{.why = "two verdicts",
	 .verdicts = "failed,refused",
	 .want = BIT(UNMAP_FAILED) | BIT(FORMAT)},
	{.why = "a session", .filter = {.connection = 4}, .want = BIT(WRITE_DENIED) | BIT(REFUSAL)},
	{.why = "a LUN is of commands alone",
	 .filter = {.has_lun = true, .lun = 1},
	 .want = BIT(READ)},
	{.why = "a block: whoever reaches it, and what is for all blocks",
	 .lba = "105",
	 .want = BIT(READ) | BIT(WRITE_DENIED) | BIT(FORMAT)},
	{.why = "the block before", .lba = "99", .want = BIT(FORMAT)},
	{.why = "the last block of a range", .lba = "207", .want = BIT(UNMAP_RANGE) | BIT(FORMAT)},
	{.why = "the block behind a range", .lba = "208", .want = BIT(FORMAT)},
	{.why = "several ranges",
	 .lba = "109,200-300",
	 .want = BIT(READ) | BIT(UNMAP_RANGE) | BIT(FORMAT)},
	{.why = "all must hold: group, block, session",
	 .groups = "read,write",
	 .lba = "105",
	 .filter = {.connection = 3},
	 .want = BIT(READ) | BIT(FORMAT)},
	{.why = "all must hold: op and verdict",
	 .ops = "format-unit,read",
	 .verdicts = "refused",
	 .want = BIT(FORMAT)},
	{.why = "what no record has", .ops = "refusal", .groups = "read", .want = 0},
};

static void take(struct audit_filter *f, int (*one)(struct audit_filter *f, const char *word),
		 const char *words)
{
	char text[64];
	char *rest = text;
	const char *word;

	if (!words)
		return;
	string_copy(text, sizeof text, words);
	while ((word = strsep(&rest, ",")) != NULL)
		assert_int_equal(one(f, word), 0);
}

static void test_filter(void **state)
{
	const struct filtered *c = *state;
	struct audit_filter f = c->filter;
	struct lba_range ranges[4];
	size_t count = 0;
	char text[64] = "";
	char *rest = text;

	take(&f, audit_filter_op, c->ops);
	take(&f, audit_filter_deed, c->groups);
	take(&f, audit_filter_verdict, c->verdicts);
	string_copy(text, sizeof text, c->lba ? c->lba : "");
	while (c->lba && rest)
		assert_int_equal(lba_range_parse(strsep(&rest, ","), &ranges[count++]), 0);
	f.range_count = lba_ranges_sort(ranges, count);
	f.ranges = ranges;
	for (int s = 0; s < SAMPLES; s++) {
		struct trail_record r = {.frame = samples[s]};

		if (audit_filter_match(&f, &r) != ((c->want >> s & 1) != 0))
			fail_msg("sample %d", s);
	}
}

static void test_unknown(void **state)
{
	struct audit_filter f = {0};

	(void)state;
	assert_int_equal(audit_filter_verdict(&f, "unknown"), -ENOENT);
	assert_int_equal(audit_filter_verdict(&f, ""), -ENOENT);
	assert_int_equal(audit_filter_deed(&f, "writes"), -ENOENT);
	assert_int_equal(audit_filter_deed(&f, ""), -ENOENT);
	assert_int_equal(f.verdicts, 0);
	assert_int_equal(f.deeds, 0);
	assert_false(f.has_op);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, parses, test_parse);
	TESTS_ADD_TABLE(&t, sorts, test_sort);
	TESTS_ADD_TABLE(&t, meets, test_meet);
	TESTS_ADD_TABLE(&t, reaches, test_reach);
	TESTS_ADD_TABLE(&t, filters, test_filter);
	tests_add(&t, "a name that is none is refused", test_unknown, NULL);
	return tests_run(&t, "audit_filter");
}

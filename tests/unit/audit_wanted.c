/* Blocks that are passed over have nothing that the filter takes: with and without passing over,
 * the same records; and of most filters many blocks are not unpacked. */
#include "tests/unit/test.h"

#include "gateway/audit/trail.h"
#include "tests/unit/audit_place.h"

#include "gateway/audit/filter.h"

#define START UINT64_C(1795341600000000000)
#define MS    UINT64_C(1000000)

enum { BLOCKS = 48, RECORDS = 12, SESSIONS = 4 };

static struct place place;

static const struct asked {
	const char *why, *ops, *groups, *verdicts, *address;
	struct audit_filter filter;
	struct lba_range range;
	bool fewer; /* some blocks must be passed over */
} asked[] = {
	{.why = "all"},
	{.why = "a time",
	 .filter = {.since_ns = START + 9 * MS, .until_ns = START + 20 * MS},
	 .fewer = true},
	{.why = "a session", .filter = {.connection = 2}, .fewer = true},
	{.why = "an initiator", .filter = {.initiator = "host-3"}, .fewer = true},
	{.why = "a target that nobody has", .filter = {.target = "none"}, .fewer = true},
	{.why = "an address", .address = "192.0.2.1", .fewer = true},
	{.why = "a LUN", .filter = {.has_lun = true, .lun = 65}, .fewer = true},
	{.why = "blocks", .range = {2000, 2010}, .fewer = true},
	{.why = "blocks that only FORMAT UNIT reaches",
	 .range = {1u << 30, 1u << 30},
	 .fewer = true},
	{.why = "a command", .ops = "unmap", .fewer = true},
	{.why = "a command whose bit others have", .ops = "read-6"},
	{.why = "commands and an event", .ops = "format-unit,login", .fewer = true},
	{.why = "an event", .ops = "refusal", .fewer = true},
	{.why = "the opening of sessions", .ops = "session"},
	{.why = "the ends", .ops = "end", .fewer = true},
	{.why = "outcomes", .ops = "outcome"},
	{.why = "task management", .ops = "task"},
	{.why = "parameter lists", .ops = "list"},
	{.why = "a group", .groups = "discard", .fewer = true},
	{.why = "a group that has unknown commands", .groups = "other"},
	{.why = "a verdict", .verdicts = "failed", .fewer = true},
	{.why = "denied", .filter = {.denied = true}, .fewer = true},
	{.why = "denied, with a verdict that is another",
	 .filter = {.denied = true},
	 .verdicts = "failed",
	 .fewer = true},
	{.why = "much at once",
	 .groups = "write,discard",
	 .ops = "command",
	 .filter = {.initiator = "host-1", .has_lun = true, .lun = 1},
	 .range = {0, 4000},
	 .fewer = true},
};

/* A step of a generator that gives the same numbers everywhere. */
static uint32_t next(void)
{
	static uint32_t state = 2463534242u;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static struct audit_record a_record(unsigned block, uint64_t index)
{
	static const uint8_t opcodes[] = {0x88, 0x8a, 0x28, 0x2a, 0x12, 0xc1};
	struct audit_record r = {.index = index,
				 .wall_ns = START,
				 .kind = AUDIT_COMMAND,
				 .verdict = VERDICT_ADMITTED,
				 .lba = block * 100 + next() % 100,
				 .blocks = 1 + next() % 8,
				 .lun = block % 3 == 0 ? 65 : (uint16_t)(next() % 3),
				 .cdb_len = 16,
				 .cdb = {opcodes[next() % ARRAY_LEN(opcodes)]}};

	if (block % 8 == 3 && next() % 4 == 0)
		r.cdb[0] = 0x42;
	if (block == 30 && next() % 4 == 0) {
		r.cdb[0] = 0x04;
		r.lba = r.blocks = 0;
	}
	if (block % 16 == 5)
		r.verdict = next() % 2 ? VERDICT_DENIED : VERDICT_REFUSED;
	if (block % 16 == 6) {
		r.kind = AUDIT_OUTCOME;
		r.verdict = VERDICT_FAILED;
	}
	if (block % 16 == 8)
		r.kind = AUDIT_LIST;
	if (block % 16 == 7)
		r.kind = AUDIT_TASK;
	return r;
}

static void put_events(void)
{
	static const enum audit_event_kind kinds[] = {EVENT_LOGIN, EVENT_REFUSAL, EVENT_BAN};
	struct audit_event e = {.kind = kinds[next() % ARRAY_LEN(kinds)], .wall_ns = START};

	string_copy(e.initiator, sizeof e.initiator, "iqn.test:host-3");
	(void)writer_put_event(&place.writer, &e);
}

static void make_trail(void)
{
	place_open(&place);
	place_begin(&place, LOG_COMMANDS);
	place_begin(&place, LOG_EVENTS);
	for (uint32_t c = 1; c <= SESSIONS; c++) {
		struct auditor_ring_info info = {.connection = c};

		(void)snprintf(info.initiator, sizeof info.initiator, "iqn.test:host-%u", c);
		string_copy(info.target, sizeof info.target, "iqn.test:vault");
		info.peer.ip = (struct ip){.version = 4, .bytes = {192, 0, 2, (uint8_t)c}};
		place_attach(&place, &info);
	}
	for (unsigned block = 0; block < BLOCKS; block++) {
		uint32_t connection = 1 + block % SESSIONS;

		place_time(&place, START + block * MS, block * MS);
		for (unsigned i = 0; i < RECORDS; i++) {
			struct audit_record r = a_record(block, i);

			(void)writer_put_command(&place.writer, connection, &r);
		}
		if (block % 4 == 0)
			put_events();
		place_block(&place);
	}
	place_writer_close(&place);
}

static void told(void *arg, bool damage, const char *text)
{
	(void)arg;
	if (damage)
		fail_msg("%s", text);
}

static void take(struct audit_filter *f, int (*one)(struct audit_filter *f, const char *word),
		 const char *words)
{
	char text[64] = "";
	char *rest = text;

	string_copy(text, sizeof text, words ? words : "");
	while (words && rest)
		assert_int_equal(one(f, strsep(&rest, ",")), 0);
}

/* The sequences that the filter takes. */
static size_t read_all(const struct audit_filter *f, const struct trail_wanted *wanted,
		       uint64_t *ret, struct trail_effort *ret_effort)
{
	static struct trail_record record;
	struct trail *t;
	size_t count = 0;
	int e;

	assert_int_equal(trail_open(&t, place.fd, wanted, told, NULL), 0);
	while ((e = trail_next(t, &record)) > 0) {
		assert_true(count < BLOCKS * (RECORDS + 2));
		if (audit_filter_match(f, &record))
			ret[count++] = record.frame.stamp.sequence;
	}
	assert_int_equal(e, 0);
	*ret_effort = trail_effort(t);
	trail_close(t);
	return count;
}

static void test_asked(void **state)
{
	static uint64_t all[BLOCKS * (RECORDS + 2)], some[BLOCKS * (RECORDS + 2)];
	const struct asked *a = *state;
	struct audit_filter f = a->filter;
	struct trail_effort whole, effort;
	struct trail_wanted wanted;
	size_t count;

	take(&f, audit_filter_op, a->ops);
	take(&f, audit_filter_deed, a->groups);
	take(&f, audit_filter_verdict, a->verdicts);
	if (a->address)
		assert_int_equal(network_parse(a->address, &f.network), 0);
	f.ranges = &a->range;
	f.range_count = a->range.last ? 1 : 0;
	count = read_all(&f, NULL, all, &whole);
	audit_filter_wanted(&f, &wanted);
	assert_int_equal(read_all(&f, &wanted, some, &effort), count);
	assert_memory_equal(all, some, count * sizeof all[0]);
	assert_true(!a->fewer || effort.unpacked < whole.unpacked);
}

int main(void)
{
	static struct tests t;
	int failed;

	make_trail();
	TESTS_ADD_TABLE(&t, asked, test_asked);
	failed = tests_run(&t, "audit_wanted");
	place_close(&place);
	return failed;
}

/* Statistics over a trail: what is counted, what is compared with the history, and that no flood of
 * names or addresses makes them large. */
#include "tests/unit/test.h"

#include "tests/unit/statistics_story.h"

/* --- counts --- */

static void counts_events(void **state)
{
	struct story y;

	(void)state;
	begin(&y, SUNDAY, SUNDAY + DAY);
	login(&y);
	event_at(&y, EVENT_LOGIN, "joined", "session 1 of target x", "192.0.2.7");
	event_at(&y, EVENT_DISCOVERY, "granted", "", "192.0.2.7");
	event_at(&y, EVENT_LOGOUT, "logged-out", "", "192.0.2.7");
	event_at(&y, EVENT_REFUSAL, "wrong-secret", "", "192.0.2.9");
	event_at(&y, EVENT_REFUSAL, "wrong-secret", "", "192.0.2.9");
	event_at(&y, EVENT_CONNECTION, "banned", "", "192.0.2.9");
	event_at(&y, EVENT_REFUSALS_COUNTED, "too-many-to-list", "", "192.0.2.9");
	event_at(&y, EVENT_BAN, "wrong-secret", "192.0.2.9 for 600 s", "192.0.2.9");
	statistics_end(y.s);
	assert_int_equal(y.s->logins_ok, 2);
	assert_int_equal(y.s->logins_joined, 1);
	assert_int_equal(y.s->discoveries, 1);
	assert_int_equal(y.s->logouts, 1);
	assert_int_equal(y.s->refused, 2);
	assert_int_equal(y.s->refused_connections, 1);
	assert_int_equal(y.s->refused_not_listed, 100);
	assert_int_equal(y.s->bans, 1);
	assert_int_equal(y.s->reasons.count, 3);
	assert_int_equal(y.s->sources.count, 2);
	assert_int_equal(y.s->refusals_at[0], 102);
	end(&y);
}

static void counts_blocks(void **state)
{
	struct story y;
	const struct access_count *a;

	(void)state;
	begin(&y, SUNDAY, SUNDAY + DAY);
	login(&y);
	touch(&y, READ, 0, 8);
	touch(&y, WRITE, BLOCKS - 8, 8);
	y.now += 12 * HOUR;
	touch(&y, UNMAP, 0, 1024);
	touch(&y, 0x12, 0, 0);
	touch(&y, 0x5f, UINT64_C(0x0123456789abcdef), 0); /* a key */
	statistics_end(y.s);
	a = (const void *)y.s->accesses.entries[0];
	assert_int_equal(y.s->accesses.count, 1);
	assert_int_equal(a->amounts[FAMILY_READ].bytes, 4096);
	assert_int_equal(a->amounts[FAMILY_WRITE].blocks, 8);
	assert_int_equal(a->amounts[FAMILY_DISCARD].commands, 1);
	assert_int_equal(a->amounts[FAMILY_OTHER].commands, 1);
	assert_int_equal(a->amounts[FAMILY_RESERVE].commands, 1);
	assert_string_equal(a->on->disk, "vault");
	assert_int_equal(a->on->map->row_blocks, BLOCKS / STATISTICS_ROWS);
	assert_int_equal(a->on->map->cells[0][0][FAMILY_READ], 8);
	assert_int_equal(a->on->map->cells[127][0][FAMILY_WRITE], 8);
	assert_int_equal(a->on->map->cells[0][128][FAMILY_DISCARD], 1024);
	end(&y);
}

static void verdicts(void **state)
{
	static const uint8_t each[] = {VERDICT_DENIED, VERDICT_REFUSED};
	struct story y;

	(void)state;
	begin(&y, SUNDAY, SUNDAY + DAY);
	login(&y);
	for (size_t k = 0; k < ARRAY_LEN(each); k++) {
		struct trail_record r = command(&y, WRITE, 0, 8);

		r.frame.command.verdict = each[k];
		statistics_add(y.s, &r);
	}
	statistics_end(y.s);
	assert_int_equal(y.s->verdicts.denied, 1);
	assert_int_equal(y.s->verdicts.refused, 1);
	assert_int_equal(y.s->amounts[FAMILY_WRITE].bytes, 0);
	end(&y);
}

static void one_command_of_many_records(void **state)
{
	struct story y;

	(void)state;
	begin(&y, SUNDAY, SUNDAY + DAY);
	login(&y);
	for (uint32_t k = 0; k < 5; k++) {
		struct trail_record r = command(&y, UNMAP, 100 * k, 10);

		r.frame.command.task_tag = 9;
		statistics_add(y.s, &r);
	}
	assert_int_equal(y.s->amounts[FAMILY_DISCARD].commands, 1);
	assert_int_equal(y.s->amounts[FAMILY_DISCARD].blocks, 50);
	end(&y);
}

/* An initiator that waits for each answer may use one tag for all. */
static void one_tag_for_all(void **state)
{
	struct story y;

	(void)state;
	begin(&y, SUNDAY, SUNDAY + DAY);
	login(&y);
	for (uint32_t k = 0; k < 5; k++) {
		struct trail_record r = command(&y, READ, 8, 8);

		r.frame.command.task_tag = 9;
		r.frame.command.wall_ns = SUNDAY + k * UINT64_C(100000);
		statistics_add(y.s, &r);
	}
	assert_int_equal(y.s->amounts[FAMILY_READ].commands, 5);
	end(&y);
}

static void a_lun_of_unknown_size(void **state)
{
	struct story y;
	const struct lun_count *on;

	(void)state;
	begin(&y, SUNDAY, SUNDAY + DAY);
	touch(&y, READ, 0, 8);
	touch(&y, READ, UINT64_C(1) << 40, 8);
	on = (const void *)y.s->luns.entries[0];
	assert_int_equal(on->block_bytes, 0);
	assert_true(on->map->row_blocks * STATISTICS_ROWS > UINT64_C(1) << 40);
	assert_int_equal(on->map->cells[0][0][FAMILY_READ], 8);
	assert_int_equal(y.s->amounts[FAMILY_READ].bytes, 2 * 4096);
	touch(&y, READ, UINT64_MAX - 2, 8); /* wraps: counted, not drawn */
	end(&y);
}

static void a_format(void **state)
{
	struct story y;
	const struct lun_count *on;

	(void)state;
	begin(&y, SUNDAY, SUNDAY + DAY);
	login(&y);
	touch(&y, 0x04, 0, 0);
	on = (const void *)y.s->luns.entries[0];
	assert_int_equal(y.s->amounts[FAMILY_DISCARD].blocks, BLOCKS);
	assert_int_equal(on->map->cells[127][0][FAMILY_DISCARD], BLOCKS / STATISTICS_ROWS);
	end(&y);
}

/* --- grants that are not written as the monitor writes them --- */

static const struct {
	const char *why, *detail;
	size_t luns;
} grants[] = {
	{"two LUNs of a login", "lun 0 a 512 10 rw; lun 1 b 4096 20 ro", 2},
	{"what follows the LUNs is none", "lun 0 a 512 10 rw; secret: the one before", 1},
	{"no LUNs", "no LUNs", 0},
	{"a LUN beyond 65535 is none", "lun 70000 a 512 10 rw", 0},
	{"blocks of no size are none", "lun 1 a 0 10 rw", 0},
	{"blocks too large are none", "lun 1 a 999999 10 rw", 0},
	{"a cut one is none", "lun 1 a 512", 0},
	{"something behind it makes it none", "lun 1 a 512 10 rwx", 0},
	{"a name too long is none",
	 "lun 1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
	 "512 1 ro",
	 0},
};

static void takes_grants(void **state)
{
	const __typeof__(grants[0]) *row = *state;
	struct story y;

	begin(&y, SUNDAY, SUNDAY + DAY);
	event_at(&y, EVENT_LOGIN, "granted", row->detail, "192.0.2.7");
	assert_int_equal(y.s->luns.count, row->luns);
	end(&y);
}

/* --- the first time --- */

static void first_seen(void **state)
{
	const struct event_list *list;
	struct story y;

	(void)state;
	begin(&y, SUNDAY, SUNDAY + DAY);
	y.now = SUNDAY - DAY;
	login(&y); /* history */
	y.now = SUNDAY;
	login(&y);
	list = y.s->lists[LIST_FIRST_SEEN];
	assert_int_equal(list->count, 0);
	event_at(&y, EVENT_LOGIN, "granted", "", "192.0.2.8");
	assert_int_equal(list->count, 1);
	assert_string_equal(list->notes[0].reason, "address");
	(void)string_copy(y.session.initiator, sizeof y.session.initiator, APP "-2");
	login(&y);
	assert_int_equal(list->count, 2);
	assert_string_equal(list->notes[1].reason, "initiator");
	login(&y);
	assert_int_equal(list->count, 2);
	assert_int_equal(y.s->history_records, 1);
	end(&y);
}

/* --- floods --- */

static void many_sources(void **state)
{
	const struct source_count *found = NULL;
	uint64_t sum = 0;
	struct story y;
	char peer[40];

	(void)state;
	begin(&y, SUNDAY, SUNDAY + DAY);
	for (unsigned k = 0; k < 5000; k++) {
		(void)snprintf(peer, sizeof peer, "10.%u.%u.%u", k >> 16, k >> 8 & 255, k & 255);
		event_at(&y, EVENT_REFUSAL, "wrong-secret", "", peer);
		if (k % 3 == 0)
			event_at(&y, EVENT_REFUSAL, "wrong-secret", "", "192.0.2.66");
	}
	assert_int_equal(y.s->sources.count, 1024);
	assert_int_equal(y.s->refused, 5000 + 1667);
	for (size_t k = 0; k < y.s->sources.count; k++) {
		const struct source_count *one = (const void *)y.s->sources.entries[k];

		if (one->source.ip.bytes[0] == 192)
			found = one;
		sum += source_sum(one);
		assert_true(one->over < source_sum(one));
	}
	assert_non_null(found);
	assert_true(found->refused > 1600);
	assert_int_equal(sum, y.s->refused); /* none is lost, though whose it was may be */
	end(&y);
}

static void many_reasons_and_names(void **state)
{
	struct story y;
	char text[40];

	(void)state;
	begin(&y, SUNDAY, SUNDAY + DAY);
	for (uint32_t k = 0; k < 3000; k++) {
		(void)snprintf(text, sizeof text, "reason-%u", k);
		event_at(&y, EVENT_REFUSAL, text, "", "192.0.2.7");
		(void)snprintf(y.session.initiator, sizeof y.session.initiator, "iqn:%u", k);
		y.session.connection = k;
		touch(&y, READ, 0, 8);
	}
	assert_int_equal(y.s->reasons.count, 64);
	assert_int_equal(y.s->reasons.left_out, 3000 - 64);
	assert_int_equal(y.s->initiators.count, 256);
	assert_int_equal(y.s->accesses.count, 2048);
	assert_int_equal(y.s->amounts[FAMILY_READ].commands, 3000);
	assert_int_equal(y.s->lists[LIST_FIRST_SEEN]->count, 0);
	end(&y);
}

static void many_luns(void **state)
{
	struct story y;

	(void)state;
	begin(&y, SUNDAY, SUNDAY + DAY);
	for (uint16_t k = 0; k < 100; k++) {
		struct trail_record r = command(&y, WRITE, 0, 8);

		r.frame.command.lun = k;
		statistics_add(y.s, &r);
	}
	assert_int_equal(y.s->maps, STATISTICS_MAPS);
	assert_int_equal(y.s->amounts[FAMILY_WRITE].commands, 100);
	end(&y);
}

static void a_long_list(void **state)
{
	struct story y;

	(void)state;
	begin(&y, SUNDAY, SUNDAY + DAY);
	for (unsigned k = 0; k < STATISTICS_LISTED + 50; k++)
		event_at(&y, EVENT_OPERATOR, "ban", "", NULL);
	assert_int_equal(y.s->lists[LIST_OPERATORS]->count, STATISTICS_LISTED);
	assert_int_equal(y.s->lists[LIST_OPERATORS]->more, 50);
	end(&y);
}

static void nothing_at_all(void **state)
{
	struct story y;

	(void)state;
	begin(&y, 0, SUNDAY);
	statistics_end(y.s);
	assert_int_equal(y.s->records, 0);
	assert_true(y.s->bucket_ns > 0);
	end(&y);
}

static const struct {
	const char *why;
	uint64_t bytes;
	const char *text;
} sizes[] = {
	{"0 octets", 0, "0 B"},	       {"1023 octets", 1023, "1023 B"},
	{"1 KiB", 1024, "1.0 KiB"},    {"1.5 KiB", 1536, "1.5 KiB"},
	{"10 KiB", 10240, "10 KiB"},   {"1023 KiB", 1023 * 1024, "1023 KiB"},
	{"1 MiB", 1 << 20, "1.0 MiB"}, {"the greatest number", UINT64_MAX, "15 EiB"},
};

static void writes_sizes(void **state)
{
	const __typeof__(sizes[0]) *row = *state;
	char text[16];

	assert_string_equal(bytes_text(row->bytes, text), row->text);
}

static struct tests t;

int main(void)
{
	tests_add(&t, "logins, refusals and bans, by reason and source", counts_events, NULL);
	tests_add(&t, "commands, blocks and octets, and the map of a LUN", counts_blocks, NULL);
	tests_add(&t, "what is denied or refused touches no blocks", verdicts, NULL);
	tests_add(&t, "UNMAP of five ranges is one command", one_command_of_many_records, NULL);
	tests_add(&t, "five reads alike with one task tag are five commands", one_tag_for_all,
		  NULL);
	tests_add(&t, "a LUN whose size the trail does not tell", a_lun_of_unknown_size, NULL);
	tests_add(&t, "FORMAT UNIT discards all blocks that the LUN has", a_format, NULL);
	TESTS_ADD_TABLE(&t, grants, takes_grants);
	tests_add(&t, "initiators and addresses that come for the first time", first_seen, NULL);
	tests_add(&t, "P6: of many sources the one with the most is found", many_sources, NULL);
	tests_add(&t, "P6: tables of names are bounded, and say what they left out",
		  many_reasons_and_names, NULL);
	tests_add(&t, "P6: maps of LUNs are bounded", many_luns, NULL);
	tests_add(&t, "a list keeps its first events and counts the others", a_long_list, NULL);
	tests_add(&t, "an empty trail", nothing_at_all, NULL);
	TESTS_ADD_TABLE(&t, sizes, writes_sizes);
	return tests_run(&t, "statistics");
}

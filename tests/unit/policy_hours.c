/* Grants with an end, and hours of the week: the clock on the wall of their time zone decides, also
 * on the days when it is put forward or back. The moments are the test's own. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <time.h>
#include "gateway/base/when.h"
#include "policy/firewall.h"
#include "policy/policy.h"

static struct tests t;

#define TARGET "iqn.2026-11.net.example.gw:vault"
#define ALICE  "iqn.1994-05.com.redhat:alice"
#define NEVER  "never"

static struct policy *policy_of(const char *keys, int expected)
{
	FILE *quiet = fopen("/dev/null", "we");
	struct policy_options options = {.messages = quiet};
	struct policy *p = NULL;
	char text[2048];

	assert_non_null(quiet);
	(void)snprintf(text, sizeof text,
		       "version: 1\n"
		       "portals: {wan: {listen: ['0.0.0.0:3260'], transport: plain,"
		       " accept_risk: true}}\n"
		       "disks: {a: {memory: 1MiB}}\n"
		       "targets:\n"
		       "  " TARGET ":\n"
		       "    portals: [wan]\n"
		       "    luns: {0: a}\n"
		       "    initiators:\n"
		       "      " ALICE ":\n"
		       "        from: [203.0.113.7]\n"
		       "        chap: {user: alice, mutual: gw}\n"
		       "%s",
		       keys);
	assert_int_equal(policy_parse("p.yaml", text, strlen(text), &options, &p), expected);
	(void)fclose(quiet);
	return p;
}

static int64_t moment(const char *text)
{
	uint64_t ns;

	assert_int_equal(when_parse(text, 0, true, &ns), 0);
	return (int64_t)(ns / 1000000000U);
}

struct row {
	const char *why, *keys, *now;
	const char *reason; /* "allowed", or why not */
	const char *next;   /* when that changes */
};

#define WORK  "        hours: Mon-Fri 07:00-19:00 Europe/Berlin\n"
#define NIGHT "        hours: Fri-Sun 22:00-06:00 Europe/Berlin\n"
#define EARLY "        hours: Sun 02:00-03:00 Europe/Berlin\n"
#define HALF  "        hours: Sun 01:00-02:30 Europe/Berlin\n"
#define UNTIL "        until: 2026-12-24T18:00+01:00\n"

static const struct row rows[] = {
	/* clang-format off */
	{"no end, no hours", "", "2026-11-22T10:00Z", "allowed", NEVER},
	{"a second before its end", UNTIL, "2026-12-24T16:59:59Z", "allowed", "2026-12-24T17:00Z"},
	{"at its end", UNTIL, "2026-12-24T17:00Z", "grant-ended", NEVER},
	{"years after it", UNTIL, "2031-01-01T00:00Z", "grant-ended", NEVER},
	{"the clock was put back", UNTIL, "2020-01-01T00:00Z", "allowed", "2026-12-24T17:00Z"},

	{"Monday morning, too early", WORK, "2026-11-23T05:59:59Z", "outside-hours", "2026-11-23T06:00Z"},
	{"Monday morning", WORK, "2026-11-23T06:00Z", "allowed", "2026-11-23T18:00Z"},
	{"Friday evening, the last second", WORK, "2026-11-27T17:59:59Z", "allowed", "2026-11-27T18:00Z"},
	{"the end of the week", WORK, "2026-11-27T18:00Z", "outside-hours", "2026-11-30T06:00Z"},
	{"Sunday", WORK, "2026-11-29T12:34:56Z", "outside-hours", "2026-11-30T06:00Z"},
	{"in summer the same hours are others in UTC", WORK, "2026-07-06T05:00Z", "allowed", "2026-07-06T17:00Z"},
	{"… and an hour before there is none", WORK, "2026-07-06T04:59Z", "outside-hours", "2026-07-06T05:00Z"},
	{"the week-end on which summer begins", WORK, "2026-03-27T18:00Z", "outside-hours", "2026-03-30T05:00Z"},
	{"the week-end on which it ends", WORK, "2026-10-23T17:00Z", "outside-hours", "2026-10-26T06:00Z"},

	{"over midnight: in the evening", NIGHT, "2026-11-27T21:00Z", "allowed", "2026-11-28T05:00Z"},
	{"over midnight: in the morning after", NIGHT, "2026-11-28T04:59:59Z", "allowed", "2026-11-28T05:00Z"},
	{"over midnight, and over the week's end", NIGHT, "2026-11-30T04:00Z", "allowed", "2026-11-30T05:00Z"},
	{"a Friday morning is none of Friday's night", NIGHT, "2026-11-27T04:00Z", "outside-hours", "2026-11-27T21:00Z"},
	{"a night in which an hour is left out is shorter", NIGHT, "2026-03-28T21:00Z", "allowed", "2026-03-29T04:00Z"},
	{"a night in which an hour comes twice is longer", NIGHT, "2026-10-24T20:00Z", "allowed", "2026-10-25T05:00Z"},

	{"an hour that the clock leaves out is none", EARLY, "2026-03-29T00:30Z", "outside-hours", "2026-04-05T00:00Z"},
	{"an hour that it shows twice: the first time", EARLY, "2026-10-25T00:00Z", "allowed", "2026-10-25T02:00Z"},
	{"… the second time", EARLY, "2026-10-25T01:30Z", "allowed", "2026-10-25T02:00Z"},
	{"half of it: the first half is open", HALF, "2026-10-25T00:29:59Z", "allowed", "2026-10-25T00:30Z"},
	{"… then it is closed", HALF, "2026-10-25T00:30Z", "outside-hours", "2026-10-25T01:00Z"},
	{"… and open when the clock is put back", HALF, "2026-10-25T01:00Z", "allowed", "2026-10-25T01:30Z"},

	{"several spans: at noon", "        hours: Mon 07:00-12:00, Mon 13:00-17:00 UTC\n", "2026-11-23T12:00Z", "outside-hours", "2026-11-23T13:00Z"},
	{"spans that touch are one", "        hours: Mon 07:00-12:00, Mon 12:00-17:00 UTC\n", "2026-11-23T08:00Z", "allowed", "2026-11-23T17:00Z"},
	{"days over the week's end", "        hours: Sat-Mon 08:00-09:00 UTC\n", "2026-11-23T08:30Z", "allowed", "2026-11-23T09:00Z"},
	{"whole days", "        hours: Sat-Sun 00:00-24:00 UTC\n", "2026-11-28T00:00Z", "allowed", "2026-11-30T00:00Z"},
	{"the end comes within the hours", WORK UNTIL, "2026-12-24T12:00Z", "allowed", "2026-12-24T17:00Z"},
	{"the end comes outside of them", WORK UNTIL, "2026-12-23T20:00Z", "outside-hours", "2026-12-24T06:00Z"},
	{"after the end, hours open nothing", WORK UNTIL, "2026-12-28T12:00Z", "grant-ended", NEVER},
	{"half an hour's offset", "        hours: Mon 09:00-10:00 Asia/Kolkata\n", "2026-11-23T03:29Z", "outside-hours", "2026-11-23T03:30Z"},
	{"west of UTC, in its summer", "        hours: Mon 09:00-10:00 America/New_York\n", "2026-06-01T13:00Z", "allowed", "2026-06-01T14:00Z"},
	{"far in the future the rules are today's", WORK, "2090-07-03T05:00Z", "allowed", "2090-07-03T17:00Z"},
	/* clang-format on */
};

static void test_row(void **state)
{
	const struct row *row = *state;
	struct policy *p = policy_of(row->keys, row->reason ? 0 : -EINVAL);
	struct claim claim = {.user = "alice", .initiator = ALICE, .target = TARGET, .lun = -1};
	struct decision d;
	OWNED_FREE char *script = NULL;
	bool allowed;

	if (!row->reason)
		return;
	allowed = strcmp(row->reason, "allowed") == 0;
	assert_int_equal(ip_parse("203.0.113.7", &claim.from), 0);
	claim.now_s = moment(row->now);
	policy_decide(p, &claim, &d);
	assert_int_equal(d.allowed, allowed);
	assert_int_equal(d.identity, allowed);
	assert_string_equal(d.verdicts[LAYER_INITIATOR].reason, row->reason);
	assert_string_equal(d.verdicts[LAYER_FIREWALL].reason, row->reason);
	assert_int_equal(policy_opens_portal(p, 0, &claim.from, claim.now_s), allowed);
	assert_true(policy_opens_portal(p, 0, &claim.from, 0));
	assert_int_equal(policy_may_enter(&claim, &p->targets[0], 0), allowed);
	script = firewall_script(p, claim.now_s);
	assert_non_null(script);
	assert_int_equal(strstr(script, "203.0.113.7") != NULL, allowed);
	if (strcmp(row->next, NEVER) == 0)
		assert_true(policy_next_change(p, claim.now_s) == INT64_MAX);
	else
		assert_int_equal(policy_next_change(p, claim.now_s), moment(row->next));
	policy_free(p);
}

/* Every quarter of an hour of a year, by the C library's own clock. */
static void test_year(void **state)
{
	struct policy *p = policy_of(NIGHT, 0);
	const struct policy_initiator *i = &p->targets[0].initiators[0];
	struct claim claim = {.initiator = ALICE, .lun = -1};
	int64_t from = moment("2026-01-01T00:00Z"), change = from;

	(void)state;
	assert_int_equal(ip_parse("203.0.113.7", &claim.from), 0);
	assert_int_equal(setenv("TZ", "Europe/Berlin", 1), 0);
	tzset();
	for (int64_t at = from; at < from + INT64_C(365) * 86400; at += 900) {
		time_t s = (time_t)at;
		struct tm tm;
		struct decision d;
		bool open;

		assert_non_null(localtime_r(&s, &tm));
		open = tm.tm_hour >= 22 ? tm.tm_wday == 5 || tm.tm_wday == 6 || tm.tm_wday == 0
					: tm.tm_hour < 6 && (tm.tm_wday == 6 || tm.tm_wday <= 1);
		claim.now_s = at;
		policy_decide(p, &claim, &d);
		assert_int_equal(d.allowed, open);
		if (at == change)
			change = policy_next_change(p, at);
		assert_true(at < change);
	}
	assert_int_equal(i->hours.span_count, 3);
	policy_free(p);
}

/* The process's own zone is as it was. */
static void test_zone_stays(void **state)
{
	(void)state;
	assert_int_equal(setenv("TZ", "Asia/Tokyo", 1), 0);
	tzset();
	policy_free(policy_of(WORK, 0));
	assert_string_equal(getenv("TZ"), "Asia/Tokyo");
	assert_int_equal(timezone, -9 * 3600);
	assert_int_equal(unsetenv("TZ"), 0);
	policy_free(policy_of(WORK, 0));
	assert_null(getenv("TZ"));
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, test_row);
	tests_add(&t, "P1: a year of nights, by the clock on the wall", test_year, NULL);
	tests_add(&t, "the time zone of the process is as it was", test_zone_stays, NULL);
	return tests_run(&t, "policy_hours");
}

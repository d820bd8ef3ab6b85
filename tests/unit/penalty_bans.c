/* Failures and bans by address block: who is banned, for how long, who never is, and that
 * neither many failures nor many sources cost more than the table. */
#include "auth/penalties.h"
#include "tests/unit/test.h"

#define AFTER	  3
#define WITHIN_MS 60000
#define FOR_MS	  600000
#define START_MS  1000000

static struct penalties p;

static int setup(void **state)
{
	(void)state;
	p = (struct penalties){
		.after = AFTER, .within_s = WITHIN_MS / 1000, .for_s = FOR_MS / 1000};
	return 0;
}

static struct ip ip_of(const char *text)
{
	struct network n;

	assert_int_equal(network_parse(text, &n), 0);
	return n.ip;
}

static bool fails(const char *from, uint64_t now_ms)
{
	const struct penalty *ret = NULL;
	struct ip ip = ip_of(from);
	bool banned = penalty_failure(&p, &ip, "wrong-secret", now_ms, &ret);

	assert_int_equal(banned, ret != NULL);
	return banned;
}

static bool is_banned(const char *from, uint64_t now_ms)
{
	struct ip ip = ip_of(from);

	return penalty_is_banned(&p, &ip, now_ms);
}

/* Failures of `from` at these times after START_MS; is `other` banned right after the last? */
static const struct failures {
	const char *why, *from, *other;
	uint64_t at_ms[6];
	size_t count;
	bool banned;
} failures[] = {
	{"one failure fewer than the policy says bans nobody",
	 "192.0.2.1",
	 "192.0.2.1",
	 {0, 1},
	 2,
	 false},
	{"P6: as many failures as the policy says ban",
	 "192.0.2.1",
	 "192.0.2.1",
	 {0, 1, 2},
	 3,
	 true},
	{"failures at the two ends of the window count together",
	 "192.0.2.1",
	 "192.0.2.1",
	 {0, 1, WITHIN_MS},
	 3,
	 true},
	{"a failure older than the window is forgotten",
	 "192.0.2.1",
	 "192.0.2.1",
	 {0, 1, WITHIN_MS + 1},
	 3,
	 false},
	{"the window slides: the last three count",
	 "192.0.2.1",
	 "192.0.2.1",
	 {0, WITHIN_MS, WITHIN_MS + 1, WITHIN_MS + 2},
	 4,
	 true},
	{"an IPv4 neighbour is not banned along", "192.0.2.1", "192.0.2.2", {0, 1, 2}, 3, false},
	{"P6: an IPv6 /64 is banned as one",
	 "2001:db8:0:7::1",
	 "2001:db8:0:7:ffff::2",
	 {0, 1, 2},
	 3,
	 true},
	{"the next /64 is not", "2001:db8:0:7::1", "2001:db8:0:8::1", {0, 1, 2}, 3, false},
	{"127.0.0.1 is never banned", "127.0.0.1", "127.0.0.1", {0, 1, 2, 3, 4, 5}, 6, false},
	{"nor is the rest of 127.0.0.0/8", "127.9.9.9", "127.9.9.9", {0, 1, 2, 3, 4, 5}, 6, false},
	{"::1 is never banned", "::1", "::1", {0, 1, 2, 3, 4, 5}, 6, false},
};

static void test_failures(void **state)
{
	const struct failures *row = *state;
	uint64_t last = 0;

	setup(NULL);
	for (size_t k = 0; k < row->count; k++) {
		last = START_MS + row->at_ms[k];
		(void)fails(row->from, last);
	}
	assert_int_equal(is_banned(row->other, last), row->banned);
}

static void test_end(void **state)
{
	(void)state;
	setup(NULL);
	assert_false(fails("192.0.2.1", START_MS));
	assert_false(fails("192.0.2.1", START_MS));
	assert_true(fails("192.0.2.1", START_MS));
	assert_true(is_banned("192.0.2.1", START_MS + FOR_MS - 1));
	assert_false(is_banned("192.0.2.1", START_MS + FOR_MS));
	/* A failure meanwhile (a session that was there before) neither adds nor tells it again. */
	assert_false(fails("192.0.2.1", START_MS + FOR_MS - 1));
	assert_false(is_banned("192.0.2.1", START_MS + FOR_MS));
	/* What banned it before does not count again. */
	assert_false(fails("192.0.2.1", START_MS + FOR_MS + 1));
	assert_false(fails("192.0.2.1", START_MS + FOR_MS + 2));
	assert_true(fails("192.0.2.1", START_MS + FOR_MS + 3));
}

static void test_off(void **state)
{
	(void)state;
	setup(NULL);
	p.after = 0;
	for (unsigned k = 0; k < 100; k++)
		assert_false(fails("192.0.2.1", START_MS + k));
	assert_false(is_banned("192.0.2.1", START_MS + 100));
}

/* The policy may say 1000; the table remembers PENALTY_FAILURES_MAX. */
static void test_many(void **state)
{
	unsigned banned = 0;

	(void)state;
	setup(NULL);
	p.after = 1000;
	for (unsigned k = 0; k < PENALTY_FAILURES_MAX && !banned; k++)
		banned = fails("192.0.2.1", START_MS + k) ? k + 1 : 0;
	assert_int_equal(banned, PENALTY_FAILURES_MAX);
	/* Spread over more than the window, no number of them bans. */
	setup(NULL);
	for (unsigned k = 0; k < 200; k++)
		assert_false(fails("192.0.2.1", START_MS + k * (uint64_t)WITHIN_MS));
}

/* P6: who comes from many sources finds a table of one size, and does not get a ban lifted by it.
 */
static void test_flood(void **state)
{
	struct network source = {.prefix = 32};
	const struct penalty *ret;
	struct ip ip = ip_of("10.0.0.0");

	(void)state;
	setup(NULL);
	source.ip = ip_of("192.0.2.1");
	penalty_ban(&p, &source, "kept from before", START_MS + FOR_MS);
	for (unsigned k = 0; k < 3 * PENALTIES_MAX; k++) {
		ip.bytes[1] = (uint8_t)(k >> 16);
		ip.bytes[2] = (uint8_t)(k >> 8);
		ip.bytes[3] = (uint8_t)k;
		assert_false(penalty_failure(&p, &ip, "unknown-user", START_MS + k, &ret));
	}
	assert_true(is_banned("192.0.2.1", START_MS + 3 * PENALTIES_MAX));
	assert_string_equal(p.list[0].reason, "kept from before");
}

static void test_again(void **state)
{
	struct network source = {.prefix = 32};
	size_t used = 0;

	(void)state;
	setup(NULL);
	source.ip = ip_of("192.0.2.1");
	penalty_ban(&p, &source, "a", START_MS + 10);
	penalty_ban(&p, &source, "b", START_MS + 20);
	for (size_t k = 0; k < PENALTIES_MAX; k++)
		used += p.list[k].source.ip.version != 0;
	assert_int_equal(used, 1);
	assert_true(is_banned("192.0.2.1", START_MS + 19));
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, failures, test_failures);
	tests_add(&t, "a ban ends when its time is over, and begins afresh", test_end, NULL);
	tests_add(&t, "`after: 0` bans nobody", test_off, NULL);
	tests_add(&t, "P6: a source's failures are bounded, whatever the policy says", test_many,
		  NULL);
	tests_add(&t, "P6: failures of many sources neither grow the table nor lift a ban",
		  test_flood, NULL);
	tests_add(&t, "banning a source again moves its end", test_again, NULL);
	return tests_run(&t, "penalty");
}

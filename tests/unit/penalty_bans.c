/* Points and bans by address block: who is banned, for how long, who never is, and that neither
 * many failures nor many sources cost more than the tables, or push a ban out. */
#include "auth/auth.h"
#include "auth/penalties.h"
#include "tests/unit/test.h"

#define AFTER	  3
#define WITHIN_MS 60000
#define FOR_MS	  600000
#define CAP_MS	  3000000
#define START_MS  10000000

static struct penalties p;

static int setup(void **state)
{
	(void)state;
	memset(&p, 0, sizeof p);
	p.rules = (struct penalty_rules){.after = AFTER,
					 .within_s = WITHIN_MS / 1000,
					 .for_s = FOR_MS / 1000,
					 .cap_s = CAP_MS / 1000};
	return 0;
}

static struct network network_of(const char *text)
{
	struct network n;

	assert_int_equal(network_parse(text, &n), 0);
	return n;
}

static struct ip ip_of(const char *text)
{
	return network_of(text).ip;
}

static const struct penalty *fails_so(const char *from, const char *reason, bool has_session,
				      uint64_t now_ms)
{
	struct ip ip = ip_of(from);

	return penalty_failure(&p, &ip, reason, has_session, now_ms);
}

static bool fails(const char *from, uint64_t now_ms)
{
	return fails_so(from, "wrong-secret", false, now_ms) != NULL;
}

static enum penalty_kind look(const char *from, uint64_t now_ms)
{
	struct ip ip = ip_of(from);

	return penalty_look(&p, &ip, now_ms);
}

static bool is_banned(const char *from, uint64_t now_ms)
{
	return look(from, now_ms) == PENALTY_BANNED;
}

static bool enters(const char *from, uint64_t now_ms)
{
	struct ip ip = ip_of(from);

	return penalty_enter(&p, &ip, now_ms);
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
	p.rules.after = 0;
	for (unsigned k = 0; k < 100; k++)
		assert_false(fails("192.0.2.1", START_MS + k));
	assert_false(is_banned("192.0.2.1", START_MS + 100));
}

static void test_many(void **state)
{
	(void)state;
	setup(NULL);
	p.rules.after = PENALTY_FAILURES_MAX;
	for (unsigned k = 1; k < PENALTY_FAILURES_MAX; k++)
		assert_false(fails("192.0.2.1", START_MS));
	assert_true(fails("192.0.2.1", START_MS));
	/* Spread over more than the window, no number of them bans. */
	setup(NULL);
	for (unsigned k = 0; k < 200; k++)
		assert_false(fails("192.0.2.1", START_MS + k * (uint64_t)WITHIN_MS));
}

/* --- what costs how much ---------------------------------------------------------------------- */

static const struct cost {
	const char *why, *reasons[4];
	bool banned;
} costs[] = {
	{"a malformed PDU costs two points", {"malformed", "wrong-secret"}, true},
	{"two of them are enough for three", {"malformed", "malformed"}, true},
	{"a crash costs three", {"crashed"}, true},
	{"a login timeout costs one", {"login-timeout", "login-timeout"}, false},
	{"points of different reasons add up", {"login-timeout", "unknown-user", "refused"}, true},
	{"P6: the first touch of a decoy bans", {"decoy"}, true},
	{"a session that breaks its channel bans", {"broke-its-channel"}, true},
	{"what is nobody's fault costs nothing",
	 {"left", "unavailable", "stopped", "failed"},
	 false},
	{"nor does what no table knows", {"", "x", "no-resources", "unknown-target"}, false},
};

static void test_costs(void **state)
{
	const struct cost *row = *state;

	setup(NULL);
	for (size_t k = 0; k < ARRAY_LEN(row->reasons) && row->reasons[k] != NULL; k++)
		(void)fails_so("192.0.2.1", row->reasons[k], false, START_MS);
	assert_int_equal(is_banned("192.0.2.1", START_MS), row->banned);
}

static void test_reasons(void **state)
{
	(void)state;
	for (enum auth_reason r = AUTH_OK + 1; r < AUTH_REASONS; r++)
		assert_in_range(penalty_points(auth_reason_name(r)), 1, AFTER);
	for (size_t k = 0; k < penalty_cost_count; k++) {
		const struct penalty_cost *c = &penalty_costs[k];

		assert_in_range(c->points, 1, PENALTY_AT_ONCE);
		assert_true(strlen(c->reason) < sizeof p.bans[0].reason);
		for (size_t other = 0; other < k; other++)
			assert_string_not_equal(c->reason, penalty_costs[other].reason);
	}
}

/* --- growth ----------------------------------------------------------------------------------- */

static void test_growth(void **state)
{
	static const unsigned times[] = {1, 2, 4, 5, 5};
	uint64_t now = START_MS;
	const struct penalty *e;

	(void)state;
	setup(NULL);
	for (size_t k = 0; k < ARRAY_LEN(times); k++) {
		e = fails_so("192.0.2.1", "decoy", false, now);
		assert_non_null(e);
		assert_int_equal(e->until_ms - (int64_t)now, times[k] * (int64_t)FOR_MS);
		assert_int_equal(e->repeats, k);
		now = (uint64_t)e->until_ms + CAP_MS -
		      1; /* remembered for as long as the longest ban */
	}
	e = fails_so("192.0.2.1", "decoy", false, now + 1);
	assert_non_null(e);
	assert_int_equal(e->repeats, 0);
}

/* --- a live session --------------------------------------------------------------------------- */

static void test_slowed(void **state)
{
	const struct penalty *e;

	(void)state;
	setup(NULL);
	e = fails_so("192.0.2.1", "decoy", true, START_MS);
	assert_int_equal(e->kind, PENALTY_SLOWED);
	assert_false(e->news); /* nothing for the firewall */
	assert_int_equal(look("192.0.2.1", START_MS), PENALTY_SLOWED);
	assert_false(enters("192.0.2.1", START_MS + PENALTY_SLOW_MS - 1));
	assert_true(enters("192.0.2.1", START_MS + PENALTY_SLOW_MS));
	assert_false(enters("192.0.2.1", START_MS + PENALTY_SLOW_MS));
	assert_false(enters("192.0.2.1", START_MS + 2 * PENALTY_SLOW_MS - 1));
	assert_true(enters("192.0.2.1", START_MS + 3 * PENALTY_SLOW_MS));
	assert_true(enters("192.0.2.2", START_MS));
	/* It goes on: slowed for longer; without a session, banned. */
	e = fails_so("192.0.2.1", "decoy", true, START_MS + 1);
	assert_int_equal(e->until_ms, START_MS + 1 + 2 * FOR_MS);
	e = fails_so("192.0.2.1", "decoy", false, START_MS + 2);
	assert_int_equal(e->kind, PENALTY_BANNED);
	assert_true(e->news);
	assert_false(enters("192.0.2.1", START_MS + 3 * PENALTY_SLOW_MS));
	assert_true(enters("192.0.2.1", (uint64_t)e->until_ms));
}

/* --- exempt ----------------------------------------------------------------------------------- */

static const struct exempt {
	const char *why, *network, *from;
	bool banned;
} exempts[] = {
	{"an address in an exempt network is never banned", "192.0.2.0/24", "192.0.2.200", false},
	{"one beside it is", "192.0.2.0/25", "192.0.2.200", true},
	{"an exempt IPv6 network holds its /64s", "2001:db8::/32", "2001:db8:1:2::3", false},
	{"an exempt address exempts its /64, which is banned as one", "2001:db8::7", "2001:db8::8",
	 false},
	{"and no other", "2001:db8::7", "2001:db8:0:1::7", true},
};

static void test_exempt(void **state)
{
	const struct exempt *row = *state;

	setup(NULL);
	p.rules.exempt[p.rules.exempt_count++] = network_of("198.51.100.0/24");
	p.rules.exempt[p.rules.exempt_count++] = network_of(row->network);
	assert_int_equal(fails_so(row->from, "decoy", false, START_MS) != NULL, row->banned);
	assert_int_equal(is_banned(row->from, START_MS), row->banned);
}

/* --- bounds ----------------------------------------------------------------------------------- */

static struct ip numbered(const char *base, unsigned k)
{
	struct ip ip = ip_of(base);
	uint8_t *at = ip.version == 4 ? ip.bytes : ip.bytes + 4;

	at[0] = (uint8_t)(at[0] + (k >> 24));
	at[1] = (uint8_t)(k >> 16);
	at[2] = (uint8_t)(k >> 8);
	at[3] = (uint8_t)k;
	return ip;
}

static size_t bans_of(const char *crowd, uint64_t now_ms)
{
	struct network n = network_of(crowd);
	size_t count = 0;

	for (size_t k = 0; k < PENALTY_BANS_MAX; k++)
		count += penalty_is_active(&p.bans[k], now_ms) &&
			 network_contains(&n, &p.bans[k].source.ip);
	return count;
}

/* A provider's customer has a /48, and so 65536 sources. */
static void test_crowd(void **state)
{
	(void)state;
	setup(NULL);
	assert_non_null(fails_so("192.0.2.1", "decoy", false, START_MS));
	assert_non_null(fails_so("2001:db9::1", "decoy", false, START_MS));
	assert_false(fails("192.0.2.7", START_MS));
	assert_false(fails("192.0.2.7", START_MS));
	for (unsigned k = 0; k < 4 * PENALTY_CROWD_MAX; k++) {
		struct ip ip = ip_of("2001:db8::");

		ip.bytes[6] = (uint8_t)(k >> 8);
		ip.bytes[7] = (uint8_t)k;
		assert_null(penalty_failure(&p, &ip, "malformed", false, START_MS + 1 + k % 9));
		assert_non_null(penalty_failure(&p, &ip, "decoy", false, START_MS + 10 + k % 9));
	}
	assert_int_equal(bans_of("2001:db8::/48", START_MS + 20), PENALTY_CROWD_MAX);
	assert_true(is_banned("192.0.2.1", START_MS + 20));
	assert_true(is_banned("2001:db9::1", START_MS + 20));
	assert_true(fails("192.0.2.7", START_MS + 20)); /* its points were not pushed out either */
}

/* From everywhere. */
static void test_full(void **state)
{
	struct penalty row = {.source = network_of("203.0.113.9"),
			      .kind = PENALTY_BANNED,
			      .by_operator = true,
			      .until_ms = START_MS + 1000};
	size_t banned = 0;

	(void)state;
	setup(NULL);
	assert_non_null(penalty_put(&p, &row, START_MS));
	assert_non_null(fails_so("192.0.2.1", "decoy", false, START_MS));
	for (unsigned k = 0; k < PENALTY_BANS_MAX + 100; k++) {
		struct ip ip = numbered("2000::", k * 65536);

		banned += penalty_failure(&p, &ip, "decoy", false, START_MS + k % 7) != NULL;
	}
	assert_int_equal(banned, PENALTY_BANS_MAX - 2);
	assert_true(p.full);
	assert_true(is_banned("192.0.2.1", START_MS + 10));
	assert_true(is_banned("203.0.113.9", START_MS + 10));
	/* Who finds no room is kept out by its points, for as long as they count. */
	assert_null(fails_so("198.51.100.1", "decoy", false, START_MS + 10));
	assert_true(is_banned("198.51.100.1", START_MS + 10 + WITHIN_MS));
	assert_false(is_banned("198.51.100.1", START_MS + 11 + WITHIN_MS));
	/* … and by no rules that have changed since. */
	p.rules.exempt[p.rules.exempt_count++] = network_of("198.51.100.0/24");
	assert_false(is_banned("198.51.100.1", START_MS + 10));
	p.rules.exempt_count = 0;
	p.rules.after = 0;
	assert_false(is_banned("198.51.100.1", START_MS + 10));
	assert_false(is_banned("198.51.100.1", START_MS + 11 + WITHIN_MS));
	p.rules.after = AFTER;
	/* An operator's finds room; and those that are over make room. */
	row.source = network_of("203.0.113.10");
	assert_non_null(penalty_put(&p, &row, START_MS + 10));
	assert_non_null(fails_so("198.51.100.2", "decoy", false, START_MS + 10 + FOR_MS));
	assert_false(p.full);
	assert_int_equal(bans_of("0.0.0.0/0", START_MS + 10 + FOR_MS), 1);
}

static void test_suspects(void **state)
{
	(void)state;
	setup(NULL);
	for (unsigned k = 0; k < 2 * PENALTY_SUSPECTS_MAX; k++) {
		struct ip ip = numbered("10.0.0.0", k);

		assert_null(penalty_failure(&p, &ip, "wrong-secret", false, START_MS + k));
	}
	assert_int_equal(bans_of("0.0.0.0/0", START_MS), 0);
	assert_false(fails("10.0.0.0", START_MS)); /* the oldest were forgotten */
}

/* --- an operator's ---------------------------------------------------------------------------- */

static void test_operator(void **state)
{
	struct penalty row = {.source = network_of("192.0.2.1"),
			      .kind = PENALTY_BANNED,
			      .by_operator = true,
			      .news = true,
			      .reason = "noise",
			      .until_ms = START_MS + 100};
	struct penalty *e;

	(void)state;
	setup(NULL);
	assert_non_null(penalty_put(&p, &row, START_MS));
	row.until_ms = START_MS + 50;
	e = penalty_put(&p, &row, START_MS);
	assert_true(is_banned("192.0.2.1", START_MS + 49));
	assert_false(is_banned("192.0.2.1", START_MS + 50));
	assert_int_equal(bans_of("0.0.0.0/0", START_MS), 1);
	penalty_told(e);
	assert_true(penalty_lift(&p, &row.source, START_MS + 1));
	assert_false(is_banned("192.0.2.1", START_MS + 1));
	assert_true(e->kind == PENALTY_LIFTED && e->news); /* until the firewall has heard of it */
	assert_false(penalty_lift(&p, &row.source, START_MS + 1));
	penalty_told(e);
	assert_int_equal(e->source.ip.version, 0);
}

static void test_lifted(void **state)
{
	struct network source = network_of("192.0.2.1");

	(void)state;
	setup(NULL);
	(void)fails_so("192.0.2.1", "decoy", false, START_MS);
	assert_true(penalty_lift(&p, &source, START_MS + 1));
	assert_int_equal(fails_so("192.0.2.1", "decoy", false, START_MS + 2)->repeats, 0);
	setup(NULL);
	assert_false(fails("192.0.2.1", START_MS));
	assert_false(fails("192.0.2.1", START_MS));
	assert_false(penalty_lift(&p, &source, START_MS));
	assert_false(fails("192.0.2.1", START_MS));
	assert_false(fails("192.0.2.1", START_MS));
	assert_true(fails("192.0.2.1", START_MS));
}

/* --- against a model -------------------------------------------------------------------------- */

/* The rule again, as simply as it can be said: every failure since the last ban, of six sources. */
#define SOURCES	   6
#define MODEL_MAX  400
#define MODEL_RUNS 30

static struct model {
	uint64_t at_ms[MODEL_MAX], until_ms, login_ms;
	unsigned points[MODEL_MAX], count, repeats;
	bool slowed, ever, by_operator;
} model[SOURCES];

static uint64_t seed;

static unsigned random_below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % n);
}

static void model_failure(struct model *m, unsigned points, bool has_session, uint64_t now)
{
	uint64_t lasts = FOR_MS;
	unsigned sum = 0;

	if (points == 0 || (now < m->until_ms && !m->slowed))
		return;
	m->at_ms[m->count] = now;
	m->points[m->count++] = points;
	for (unsigned k = 0; k < m->count; k++)
		sum += now - m->at_ms[k] <= WITHIN_MS ? m->points[k] : 0;
	if (sum < AFTER)
		return;
	m->repeats = m->ever && now < m->until_ms + CAP_MS ? m->repeats + 1 : 0;
	for (unsigned k = 0; k < m->repeats && lasts < CAP_MS; k++)
		lasts *= 2;
	m->until_ms = now + MIN(lasts, CAP_MS);
	m->login_ms = now;
	m->slowed = has_session;
	m->ever = true;
	m->count = 0;
}

static bool model_enters(struct model *m, uint64_t now)
{
	if (now >= m->until_ms)
		return true;
	if (!m->slowed || now < m->login_ms + PENALTY_SLOW_MS)
		return false;
	m->login_ms = now;
	return true;
}

static void step(unsigned k, uint64_t now)
{
	static const char *const reasons[] = {"wrong-secret", "malformed", "left", "unknown-user",
					      "crashed"};
	static const char *const names[SOURCES] = {"192.0.2.1",	      "192.0.2.2",
						   "198.51.100.77",   "2001:db8::1",
						   "2001:db8:0:1::1", "fe80::1"};
	const char *reason = reasons[random_below(ARRAY_LEN(reasons))];
	bool has_session = random_below(4) == 0;
	struct network source;
	struct ip ip = ip_of(names[k]);

	source = ip_source_block(&ip);
	switch (random_below(12)) {
	case 0:
		assert_int_equal(penalty_lift(&p, &source, now), now < model[k].until_ms);
		model[k] = (struct model){0};
		break;
	case 1:
	case 2:
		assert_int_equal(penalty_enter(&p, &ip, now), model_enters(&model[k], now));
		break;
	default:
		(void)penalty_failure(&p, &ip, reason, has_session, now);
		model_failure(&model[k], penalty_points(reason), has_session, now);
	}
	assert_int_equal(look(names[k], now), now >= model[k].until_ms ? PENALTY_NONE
					      : model[k].slowed	       ? PENALTY_SLOWED
								       : PENALTY_BANNED);
}

static void test_model(void **state)
{
	static const unsigned waits[] = {
		1, 10, 1000, PENALTY_SLOW_MS, WITHIN_MS / 3, WITHIN_MS, FOR_MS, 2 * FOR_MS, CAP_MS};

	(void)state;
	for (unsigned run = 1; run <= MODEL_RUNS; run++) {
		uint64_t now = START_MS;

		seed = run * UINT64_C(0x9e3779b97f4a7c15);
		setup(NULL);
		memset(model, 0, sizeof model);
		for (unsigned k = 0; k < MODEL_MAX; k++) {
			now += random_below(waits[random_below(ARRAY_LEN(waits))] + 1);
			step(random_below(SOURCES), now);
		}
	}
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, failures, test_failures);
	TESTS_ADD_TABLE(&t, costs, test_costs);
	TESTS_ADD_TABLE(&t, exempts, test_exempt);
	tests_add(&t, "a ban ends when its time is over, and begins afresh", test_end, NULL);
	tests_add(&t, "`after: 0` bans nobody", test_off, NULL);
	tests_add(&t, "P6: a source's failures are bounded, and the largest `after` is exact",
		  test_many, NULL);
	tests_add(&t, "every reason of the authenticator's has its cost, and none has two",
		  test_reasons, NULL);
	tests_add(&t, "P6: each ban is twice the one before, to `cap`, until it is forgotten",
		  test_growth, NULL);
	tests_add(&t, "P7: an address with a live session is slowed, not banned", test_slowed,
		  NULL);
	tests_add(&t, "P6: a network full of sources pushes out its own bans alone", test_crowd,
		  NULL);
	tests_add(&t, "P6: a ban is pushed out by no flood of sources from everywhere", test_full,
		  NULL);
	tests_add(&t, "P6: failures of many sources do not grow the table", test_suspects, NULL);
	tests_add(&t, "an operator's ban moves its end, and is lifted", test_operator, NULL);
	tests_add(&t, "lifting a ban forgets points and repeats", test_lifted, NULL);
	tests_add(&t, "any order of failures, logins and lifts is as a simple model says",
		  test_model, NULL);
	return tests_run(&t, "penalty");
}

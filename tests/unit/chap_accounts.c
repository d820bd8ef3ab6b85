/* Accounts: who is usable, who is told about, and that a list is taken whole or not. */
#include "auth/accounts.h"
#include "auth/chap.h"
#include "tests/unit/test.h"

#define BITS (CHAP_ALGORITHM_BIT(CHAP_SHA256) | CHAP_ALGORITHM_BIT(CHAP_SHA3_256))

static struct secret slots[5], dummies[ACCOUNT_DUMMIES];
static struct store store = {.secrets = slots, .room = ARRAY_LEN(slots)};

static void put(const char *name, const char *text)
{
	struct store_entry e = {.created_s = 1, .kind = STORE_SET};
	struct secret s = {.len = (uint8_t)strlen(text)};
	const char *other;

	memcpy(s.octets, text, s.len);
	(void)string_copy(e.name, sizeof e.name, name);
	assert_int_equal(store_put(&store, &e, &s, &other), 0);
}

static int setup(void **state)
{
	(void)state;
	put("alice", "alice's own secret");
	put("gw", "the gateway's own");
	put("bob", "bob's own secret");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_clear(&store);
	return 0;
}

static const struct usable {
	const char *why;
	struct auth_account list[2];
	size_t count, missing;
	const char *says;
	bool first_known;
} usables[] = {
	{"both secrets are there", {{"alice", "gw", BITS}}, 1, 0, "", true},
	{"a user without a secret is named", {{"carl", "gw", BITS}}, 1, 1, "\"carl\"", false},
	{"a user without its mutual secret is named",
	 {{"alice", "none", BITS}},
	 1,
	 1,
	 "\"alice\"",
	 false},
	{"a user that may use no algorithm is named",
	 {{"alice", "gw", 0}},
	 1,
	 1,
	 "no algorithm",
	 false},
	{"one name for both directions is refused",
	 {{"alice", "alice", BITS}},
	 1,
	 1,
	 "both directions",
	 false},
	{"a secret used in both directions by two users is refused to both",
	 {{"alice", "bob", BITS}, {"bob", "gw", BITS}},
	 2,
	 2,
	 "other direction",
	 false},
	{"a user of two targets is one account",
	 {{"alice", "gw", BITS}, {"alice", "gw", BITS}},
	 2,
	 0,
	 "",
	 true},
	{"a user of two targets with two mutual names is none",
	 {{"alice", "gw", BITS}, {"alice", "bob", BITS}},
	 2,
	 1,
	 "two mutual names",
	 false},
	{"a user of two targets may use what both allow",
	 {{"alice", "gw", BITS}, {"alice", "gw", CHAP_ALGORITHM_BIT(CHAP_MD5)}},
	 2,
	 1,
	 "no algorithm",
	 false},
	{"the policy's names are shown escaped",
	 {{"a\nb", "gw", BITS}},
	 1,
	 1,
	 "\"a\\x0ab\"",
	 false},
};

static void run_usable(void **state)
{
	const struct usable *row = *state;
	char why[256] = "";
	struct accounts a;
	struct account who;

	assert_int_equal(setup(NULL), 0);
	accounts_open(&a, dummies, &store);
	assert_int_equal(accounts_set(&a, row->list, row->count, BITS), 0);
	assert_int_equal(accounts_resolve(&a, &store, why, sizeof why), row->missing);
	assert_non_null(strstr(why, row->says));
	accounts_find(&a, row->list[0].user, 1, &who);
	assert_int_equal(who.known, row->first_known);
	for (size_t i = 0; i < ACCOUNT_ROLES; i++) {
		assert_true(who.keys[i].now->len > 0 && who.keys[i].before->len > 0);
		assert_false(who.keys[i].overlap);
	}
	assert_int_equal(who.keys[ACCOUNT_USER].now == &dummies[0], !row->first_known);
	accounts_close(&a);
	(void)teardown(NULL);
}

static void run_refused(void **state)
{
	static struct auth_account list[2] = {{"alice", "gw", BITS}, {"bob", "", BITS}};
	struct auth_account endless = {.algorithms = BITS};
	static struct auth_account unnamed;
	struct accounts a;
	struct account who;
	char why[256];

	(void)state;
	memset(endless.user, 'a', sizeof endless.user);
	accounts_open(&a, dummies, &store);
	accounts_find(&a, list[0].user, 1, &who); /* before any list: nobody */
	assert_false(who.known);
	assert_int_equal(accounts_set(&a, list, 2, BITS), 0);
	assert_int_equal(accounts_set(&a, &endless, 1, BITS), -EINVAL);
	assert_int_equal(accounts_set(&a, &unnamed, 1, BITS), -EINVAL);
	assert_int_equal(accounts_set(&a, list, ACCOUNTS_MAX + 1, BITS), -EINVAL);
	assert_int_equal(accounts_set(&a, list, 2, 1u << 9), -EINVAL);
	assert_int_equal(accounts_resolve(&a, &store, why, sizeof why), 0);
	accounts_find(&a, list[0].user, 1, &who); /* the old list is in use */
	assert_true(who.known);
	assert_int_equal(accounts_set(&a, NULL, 0, 0), 0);
	accounts_find(&a, list[0].user, 1, &who);
	assert_false(who.known);
	accounts_close(&a);
}

/* A store of before this was checked, or of somebody else's making: put() would refuse. */
static void run_twins(void **state)
{
	static const struct auth_account list[] = {
		{"alice", "gw", BITS}, {"bob", "gw", BITS}, {"carl", "gw", BITS}};
	struct accounts a;
	struct account who;
	char why[256] = "";

	(void)state;
	put("carl", "carl's own secret");
	slots[store_list_find(&store.list, "carl")] = slots[store_list_find(&store.list, "alice")];
	accounts_open(&a, dummies, &store);
	assert_int_equal(accounts_set(&a, list, ARRAY_LEN(list), BITS), 0);
	assert_int_equal(accounts_resolve(&a, &store, why, sizeof why), 2);
	assert_non_null(strstr(why, "alice and carl have the same secret"));
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		accounts_find(&a, list[i].user, 1, &who);
		assert_int_equal(who.known, i == 1);
	}
	accounts_close(&a);
}

/* … and so when the one that both had is of before a rotation. */
static void run_twin_before(void **state)
{
	static const struct auth_account list[] = {{"alice", "gw", BITS}, {"bob", "gw", BITS}};
	struct store_entry e = {.name = "alice", .created_s = 5, .kind = STORE_SET};
	struct secret fresh = {17, "alice's next one!"};
	struct accounts a;
	const char *other;
	char why[256] = "";

	(void)state;
	assert_int_equal(store_rotate(&store, &e, &fresh, 100, &other), 0);
	slots[store_list_find(&store.list, "bob")] = slots[1];
	accounts_open(&a, dummies, &store);
	assert_int_equal(accounts_set(&a, list, ARRAY_LEN(list), BITS), 0);
	assert_int_equal(accounts_resolve(&a, &store, why, sizeof why), 2);
	assert_int_equal(store_expire(&store, 100), 1);
	assert_int_equal(accounts_resolve(&a, &store, why, sizeof why), 0);
	accounts_close(&a);
}

static void run_overlap(void **state)
{
	static const struct auth_account list[] = {{"alice", "gw", BITS}};
	struct store_entry e = {.name = "alice", .created_s = 5, .kind = STORE_SET};
	struct secret fresh = {17, "alice's next one!"};
	struct accounts a;
	struct account who;
	const char *other;

	(void)state;
	assert_int_equal(store_rotate(&store, &e, &fresh, 100, &other), 0);
	accounts_open(&a, dummies, &store);
	assert_int_equal(accounts_set(&a, list, 1, BITS), 0);
	assert_int_equal(accounts_resolve(&a, &store, (char[1]){0}, 1), 0);
	accounts_find(&a, list[0].user, 99, &who);
	assert_true(who.keys[ACCOUNT_USER].overlap);
	assert_int_equal(who.keys[ACCOUNT_USER].since_s, 5);
	assert_true(secret_equal(who.keys[ACCOUNT_USER].now, &fresh));
	assert_memory_equal(who.keys[ACCOUNT_USER].before->octets, "alice's own secret", 18);
	assert_false(who.keys[ACCOUNT_MUTUAL].overlap);
	accounts_find(&a, list[0].user, 100, &who);
	assert_false(who.keys[ACCOUNT_USER].overlap);
	accounts_close(&a);
}

/* A clock that was ahead when the secret was rotated, or was set back since. */
static void run_clock_back(void **state)
{
	static struct auth_account list[1] = {{"alice", "gw", BITS}};
	const uint64_t made_s = 1000000, day_s = 86400;
	struct store_entry e = {.name = "alice", .created_s = made_s, .kind = STORE_SET};
	struct secret fresh = {17, "alice's next one!"};
	struct account who;
	struct accounts a;
	const char *other;

	(void)state;
	assert_int_equal(store_rotate(&store, &e, &fresh, made_s + 7 * day_s, &other), 0);
	accounts_open(&a, dummies, &store);
	assert_int_equal(accounts_set(&a, list, 1, BITS), 0);
	assert_int_equal(accounts_resolve(&a, &store, (char[1]){0}, 1), 0);
	accounts_find(&a, list[0].user, made_s - day_s, &who);
	assert_true(who.keys[ACCOUNT_USER].overlap);
	accounts_find(&a, list[0].user, made_s - day_s - 1, &who);
	assert_false(who.keys[ACCOUNT_USER].overlap);
	assert_true(who.known && secret_equal(who.keys[ACCOUNT_USER].now, &fresh));
	accounts_close(&a);
}

static void add(struct tests *t, const char *sentence, CMUnitTestFunction run)
{
	tests_add(t, sentence, run, NULL);
	t->list[t->count - 1].setup_func = setup;
	t->list[t->count - 1].teardown_func = teardown;
}

static void run_many(void **state)
{
	enum { N = 1000 };
	static struct auth_account list[N];
	struct accounts a;
	struct account who;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		list[i] = (struct auth_account){.user = "user-000", .algorithms = BITS};
		for (size_t k = 0, n = i; k < 3; k++, n /= 10)
			list[i].user[7 - k] = (char)('0' + n % 10);
	}
	(void)string_copy(list[N / 2].user, sizeof list[N / 2].user, "alice");
	accounts_open(&a, dummies, &store);
	assert_int_equal(accounts_set(&a, list, N, BITS), 0);
	assert_int_equal(a.count, N);
	assert_int_equal(accounts_resolve(&a, &store, (char[64]){0}, 64), N - 1);
	for (size_t i = 0; i < N; i++) {
		accounts_find(&a, list[i].user, 1, &who);
		assert_int_equal(who.known, i == N / 2);
	}
	accounts_close(&a);
}

int main(void)
{
	static struct tests t;

	assert(sodium_init() >= 0);
	TESTS_ADD_TABLE(&t, usables, run_usable);
	add(&t, "a list is taken whole or not at all", run_refused);
	add(&t, "one among a thousand is found, and nobody else", run_many);
	add(&t, "two names with one secret log in by neither, and are named", run_twins);
	add(&t, "nor where one had it before a rotation, until that is over", run_twin_before);
	add(&t, "a rotated secret is there with the one before, until the overlap is over",
	    run_overlap);
	add(&t, "by a clock of before the rotation the one before is not good, the new one is",
	    run_clock_back);
	return tests_run(&t, "chap_accounts");
}

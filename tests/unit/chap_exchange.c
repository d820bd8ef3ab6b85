/* CHAP as a target, with a scripted attacker: each row is one login, told by what the
 * initiator does differently from an honest one, and what the monitor and the session
 * hear. */
#include "auth/exchange.h"
#include "tests/unit/test.h"

#define ALL                                                               \
	(CHAP_ALGORITHM_BIT(CHAP_MD5) | CHAP_ALGORITHM_BIT(CHAP_SHA256) | \
	 CHAP_ALGORITHM_BIT(CHAP_SHA3_256))
#define STRONG (CHAP_ALGORITHM_BIT(CHAP_SHA256) | CHAP_ALGORITHM_BIT(CHAP_SHA3_256))

static struct secret slots[16], dummies[ACCOUNT_DUMMIES];
static struct store store = {.secrets = slots, .room = ARRAY_LEN(slots)};
static struct accounts accounts;
static struct exchange_common common;

static const struct auth_account policy[] = {
	{"alice", "gw-for-alice", STRONG}, {"bob", "", ALL},	   {"dora", "gw-for-dora", ALL},
	{"nosecret", "gw-for-bob", ALL},   {"nomutual", "x", ALL}, {"cross", "swapped", ALL},
	{"swapped", "gw-for-bob", ALL},
};

static struct secret secret_of(const char *text)
{
	struct secret s = {.len = (uint8_t)strlen(text)};

	memcpy(s.octets, text, s.len);
	return s;
}

static void world_make(void)
{
	static const char *const secrets[][2] = {
		{"alice", "alice's own secret"},    {"gw-for-alice", "gateway to alice"},
		{"bob", "bob's very own secret"},   {"dora", "dora's own secret"},
		{"gw-for-dora", "gateway to dora"}, {"gw-for-bob", "gateway to bob"},
		{"nomutual", "nomutual's secret"},  {"cross", "cross's own secret"},
		{"swapped", "swapped's secret"},
	};
	const char *other;
	char why[256];

	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		struct store_entry e = {.created_s = 1, .kind = STORE_SET};
		struct secret s = secret_of(secrets[i][1]);

		(void)string_copy(e.name, sizeof e.name, secrets[i][0]);
		assert(store_put(&store, &e, &s, &other) == 0);
	}
	accounts_open(&accounts, dummies, &store);
	assert(accounts_set(&accounts, policy, ARRAY_LEN(policy), ALL) == 0);
	assert(accounts_resolve(&accounts, &store, why, sizeof why) == 4);
	exchange_common_open(&common, &accounts);
}

/* What the initiator does. */
enum trick {
	HONEST,
	ONE_WAY,	   /* asks for no proof of ours */
	OWN_CHALLENGE,	   /* sends our challenge back */
	OTHERS_CHALLENGE,  /* sends back one that another connection got */
	OTHERS_RESPONSE,   /* answers the challenge of another connection */
	MIRRORED,	   /* answers with what we would have answered */
	NO_NAME_END,	   /* a name without NUL */
	CHALLENGE_EMPTY,   /* asks for a proof over nothing */
	CHALLENGE_HUGE,	   /* over 1025 octets */
	CHALLENGE_LONGEST, /* over 1024 octets: allowed */
	ID_HUGE,	   /* an identifier of 256 */
	OTHER_ID,	   /* answers with another identifier */
	EMPTY_SECRET,	   /* the digest over no secret at all */
	ALL_ZERO,	   /* a response of zeros */
	FLAG_TWO,	   /* has_challenge is neither 0 nor 1 */
	SHORTER,	   /* a response without its last octet */
	LONGER,		   /* one octet more */
};

static const struct login {
	const char *why, *user, *secret;
	enum chap_algorithm algorithm;
	enum trick trick;
	enum auth_reason reason;
} logins[] = {
	{"the right secret, mutual: logs in", "alice", "alice's own secret", CHAP_SHA256, HONEST,
	 AUTH_OK},
	{"SHA3-256 as well", "alice", "alice's own secret", CHAP_SHA3_256, HONEST, AUTH_OK},
	{"MD5 where the policy names it", "dora", "dora's own secret", CHAP_MD5, HONEST, AUTH_OK},
	{"one-way where the account names no mutual secret", "bob", "bob's very own secret",
	 CHAP_SHA256, ONE_WAY, AUTH_OK},
	{"a challenge of 1024 octets is answered", "alice", "alice's own secret", CHAP_SHA256,
	 CHALLENGE_LONGEST, AUTH_OK},
	{"a wrong secret", "alice", "alice's own secreT", CHAP_SHA256, HONEST, AUTH_WRONG_SECRET},
	{"another user's secret", "alice", "bob's very own secret", CHAP_SHA256, HONEST,
	 AUTH_WRONG_SECRET},
	{"an unknown name", "mallory", "alice's own secret", CHAP_SHA256, HONEST,
	 AUTH_UNKNOWN_USER},
	{"a name with a known one as its start", "alicex", "alice's own secret", CHAP_SHA256,
	 HONEST, AUTH_UNKNOWN_USER},
	{"the start of a known name", "alic", "alice's own secret", CHAP_SHA256, HONEST,
	 AUTH_UNKNOWN_USER},
	{"a known name in other case", "Alice", "alice's own secret", CHAP_SHA256, HONEST,
	 AUTH_UNKNOWN_USER},
	{"a known name and a blank", "alice ", "alice's own secret", CHAP_SHA256, HONEST,
	 AUTH_UNKNOWN_USER},
	{"no name", "", "alice's own secret", CHAP_SHA256, HONEST, AUTH_UNKNOWN_USER},
	{"a name of the store that is no user of the policy", "gw-for-alice", "gateway to alice",
	 CHAP_SHA256, HONEST, AUTH_UNKNOWN_USER},
	{"a user whose secret is missing", "nosecret", "alice's own secret", CHAP_SHA256, HONEST,
	 AUTH_UNKNOWN_USER},
	{"a user whose mutual secret is missing, with the right secret", "nomutual",
	 "nomutual's secret", CHAP_SHA256, HONEST, AUTH_UNKNOWN_USER},
	{"a user whose mutual secret is another user's own", "cross", "cross's own secret",
	 CHAP_SHA256, HONEST, AUTH_UNKNOWN_USER},
	{"a user whose own secret is another user's mutual one", "swapped", "swapped's secret",
	 CHAP_SHA256, HONEST, AUTH_UNKNOWN_USER},
	{"downgrade: MD5, which others may use, with the right secret", "alice",
	 "alice's own secret", CHAP_MD5, HONEST, AUTH_WEAK_ALGORITHM},
	{"downgrade: MD5 and a wrong secret", "alice", "not alice's secret", CHAP_MD5, HONEST,
	 AUTH_WRONG_SECRET},
	{"mutual is required and not asked for", "alice", "alice's own secret", CHAP_SHA256,
	 ONE_WAY, AUTH_NO_MUTUAL},
	{"a proof is asked for where there is none", "bob", "bob's very own secret", CHAP_SHA256,
	 HONEST, AUTH_NO_MUTUAL},
	{"reflection: our challenge back, with the right secret", "alice", "alice's own secret",
	 CHAP_SHA256, OWN_CHALLENGE, AUTH_REFLECTION},
	{"reflection: our challenge back, by a stranger", "mallory", "no secret at all",
	 CHAP_SHA256, OWN_CHALLENGE, AUTH_REFLECTION},
	{"reflection: the challenge of another connection back", "alice", "alice's own secret",
	 CHAP_SHA256, OTHERS_CHALLENGE, AUTH_REFLECTION},
	{"reflection: the response is what we would have answered", "alice", "gateway to alice",
	 CHAP_SHA256, MIRRORED, AUTH_REFLECTION},
	{"the right response to another connection's challenge", "alice", "alice's own secret",
	 CHAP_SHA256, OTHERS_RESPONSE, AUTH_WRONG_SECRET},
	{"the right response under another identifier", "alice", "alice's own secret", CHAP_SHA256,
	 OTHER_ID, AUTH_WRONG_SECRET},
	{"a response computed without a secret", "alice", "alice's own secret", CHAP_SHA256,
	 EMPTY_SECRET, AUTH_WRONG_SECRET},
	{"a response of zeros by a stranger", "mallory", "alice's own secret", CHAP_SHA256,
	 ALL_ZERO, AUTH_UNKNOWN_USER},
	{"a response one octet short", "alice", "alice's own secret", CHAP_SHA256, SHORTER,
	 AUTH_BROKEN},
	{"a response one octet long, by MD5", "dora", "dora's own secret", CHAP_MD5, LONGER,
	 AUTH_BROKEN},
	{"a name without an end", "alice", "alice's own secret", CHAP_SHA256, NO_NAME_END,
	 AUTH_BROKEN},
	{"an empty challenge", "alice", "alice's own secret", CHAP_SHA256, CHALLENGE_EMPTY,
	 AUTH_BROKEN},
	{"a challenge of 1025 octets", "alice", "alice's own secret", CHAP_SHA256, CHALLENGE_HUGE,
	 AUTH_BROKEN},
	{"an identifier of 256", "alice", "alice's own secret", CHAP_SHA256, ID_HUGE, AUTH_BROKEN},
	{"a flag of 2", "alice", "alice's own secret", CHAP_SHA256, FLAG_TWO, AUTH_BROKEN},
};

static void offer_one(struct exchange *e, enum chap_algorithm a, struct exchange_answer *ret)
{
	struct auth_offer offer = {.count = 1, .algorithms = {a}};

	exchange_start(e);
	exchange_take(e, &common, AUTH_OFFER, &offer, ret);
}

/* The initiator's half, written on its own. */
static void respond(const struct login *l, uint32_t id, const uint8_t *challenge, size_t len,
		    struct auth_proof *p)
{
	struct secret s = secret_of(l->secret);
	struct chap_challenge c = {(uint8_t)id, challenge, len};

	assert_int_equal(chap_respond(l->algorithm, &s, &c, p->response), 0);
	p->response_len = (uint32_t)chap_digest_size(l->algorithm);
}

static void proof_make(const struct login *l, const struct auth_challenge *c, struct auth_proof *p)
{
	*p = (struct auth_proof){.has_challenge = 1, .id = 77, .challenge_len = 24};
	(void)string_copy(p->user, sizeof p->user, l->user);
	randombytes_buf(p->challenge, sizeof p->challenge);
	respond(l, c->id, c->challenge, CHAP_CHALLENGE_LEN, p);
}

static void trick_play(const struct login *l, const struct auth_challenge *c,
		       const struct auth_challenge *other, struct auth_proof *p)
{
	const uint8_t *reflected = l->trick == OWN_CHALLENGE ? c->challenge : other->challenge;
	uint8_t empty[1 + CHAP_CHALLENGE_LEN] = {(uint8_t)c->id};

	memcpy(empty + 1, c->challenge, CHAP_CHALLENGE_LEN);
	if (l->trick == OWN_CHALLENGE || l->trick == OTHERS_CHALLENGE) {
		p->challenge_len = CHAP_CHALLENGE_LEN;
		memcpy(p->challenge, reflected, CHAP_CHALLENGE_LEN);
	}
	if (l->trick == OTHERS_RESPONSE)
		respond(l, other->id, other->challenge, CHAP_CHALLENGE_LEN, p);
	if (l->trick == OTHER_ID)
		respond(l, (c->id + 1) & 255, c->challenge, CHAP_CHALLENGE_LEN, p);
	if (l->trick == EMPTY_SECRET)
		(void)crypto_hash_sha256(p->response, empty, sizeof empty);
	if (l->trick == ALL_ZERO)
		memset(p->response, 0, sizeof p->response);
	if (l->trick == NO_NAME_END)
		memset(p->user, 'a', sizeof p->user);
	p->has_challenge = l->trick == ONE_WAY ? 0 : l->trick == FLAG_TWO ? 2 : 1;
	p->id = l->trick == ID_HUGE ? 256 : p->id;
	p->challenge_len = l->trick == CHALLENGE_EMPTY	   ? 0
			   : l->trick == CHALLENGE_LONGEST ? CHAP_CHALLENGE_MAX
			   : l->trick == CHALLENGE_HUGE	   ? CHAP_CHALLENGE_MAX + 1
							   : p->challenge_len;
	p->response_len += l->trick == SHORTER ? UINT32_MAX : l->trick == LONGER ? 1 : 0;
}

static void mutual_check(const struct login *l, const struct auth_proof *p,
			 const struct auth_result *r)
{
	const char *name = strcmp(l->user, "alice") == 0 ? "gw-for-alice" : "gw-for-dora";
	const char *text = strcmp(l->user, "alice") == 0 ? "gateway to alice" : "gateway to dora";
	struct secret s = secret_of(text);
	struct chap_challenge theirs = {(uint8_t)p->id, p->challenge, p->challenge_len};
	uint8_t want[CHAP_DIGEST_MAX];

	assert_int_equal(chap_respond(l->algorithm, &s, &theirs, want), 0);
	assert_int_equal(r->response_len, chap_digest_size(l->algorithm));
	assert_memory_equal(r->response, want, sizeof want);
	assert_string_equal(r->name, name);
}

static void run_login(void **state)
{
	static const struct auth_result refusal;
	const struct login *l = *state;
	struct exchange_answer first, other_first, last;
	struct exchange e, other;
	struct auth_proof p;

	offer_one(&e, l->algorithm, &first);
	offer_one(&other, l->algorithm, &other_first);
	assert_int_equal(first.type, AUTH_CHALLENGE);
	assert_int_equal(first.verdict.reason, AUTH_REASON_INVALID);
	assert_int_equal(first.challenge.algorithm, l->algorithm);
	proof_make(l, &first.challenge, &p);
	trick_play(l, &first.challenge, &other_first.challenge, &p);
	exchange_take(&e, &common, AUTH_PROOF, &p, &last);
	assert_int_equal(last.type, AUTH_RESULT);
	assert_string_equal(auth_reason_name(last.verdict.reason), auth_reason_name(l->reason));
	assert_int_equal(last.verdict.algorithm, l->algorithm);
	if (l->trick != NO_NAME_END)
		assert_string_equal(last.verdict.user, l->user);
	assert_int_equal(last.result.ok, l->reason == AUTH_OK);
	/* every refusal is the same answer, to the octet, and proves nothing of ours */
	if (l->reason != AUTH_OK)
		assert_memory_equal(&last.result, &refusal, sizeof refusal);
	else if (p.has_challenge)
		mutual_check(l, &p, &last.result);
	else
		assert_int_equal(last.result.response_len, 0);
	exchange_take(&e, &common, AUTH_PROOF, &p, &last);
	assert_int_equal(last.type, AUTH_INVALID); /* one answer per challenge */
	assert_int_equal(last.verdict.reason, AUTH_BROKEN);
}

/* --- while a rotation's overlap lasts -------------------------------------------------------- */

#define DAY	     86400
#define ROTATED	     (100 * DAY) /* when rosa's own was */
#define NEVER	     0
#define OVERLAP_OVER (ROTATED + 7 * DAY)

static const struct rotated {
	const char *why;
	uint64_t user_s, mutual_s, now_s; /* when rotated, and when she logs in */
	const char *secret;
	enum auth_reason reason;
	enum auth_secret proved;
	const char *ours; /* what we prove ourselves with */
} rotateds[] = {
	{"the new secret, ours not rotated", ROTATED, NEVER, ROTATED + 1, "rosa's new secret",
	 AUTH_OK, AUTH_SECRET_NEW, "the gateway's old"},
	{"the one before, within the overlap", ROTATED, NEVER, OVERLAP_OVER - 1,
	 "rosa's old secret", AUTH_OK, AUTH_SECRET_OLD, "the gateway's old"},
	{"the one before, in the second when it is over", ROTATED, NEVER, OVERLAP_OVER,
	 "rosa's old secret", AUTH_WRONG_SECRET, 0, NULL},
	{"the new one then", ROTATED, NEVER, OVERLAP_OVER, "rosa's new secret", AUTH_OK,
	 AUTH_SECRET_ONLY, "the gateway's old"},
	{"none was rotated: there is one", NEVER, NEVER, ROTATED, "rosa's old secret", AUTH_OK,
	 AUTH_SECRET_ONLY, "the gateway's old"},
	{"both rotated, and she has the old ones", ROTATED, ROTATED + 60, ROTATED + 90,
	 "rosa's old secret", AUTH_OK, AUTH_SECRET_OLD, "the gateway's old"},
	{"both rotated, and she has the new ones", ROTATED, ROTATED + 60, ROTATED + 90,
	 "rosa's new secret", AUTH_OK, AUTH_SECRET_NEW, "the gateway's new"},
	{"both rotated, ours first", ROTATED, ROTATED - DAY, ROTATED + 90, "rosa's new secret",
	 AUTH_OK, AUTH_SECRET_NEW, "the gateway's new"},
	{"ours rotated two days later: she may have her new and our old one", ROTATED,
	 ROTATED + 2 * DAY, ROTATED + 3 * DAY, "rosa's new secret", AUTH_OK, AUTH_SECRET_NEW,
	 "the gateway's old"},
	{"P7: ours alone rotated: who was not touched can still check us", NEVER, ROTATED,
	 ROTATED + 1, "rosa's old secret", AUTH_OK, AUTH_SECRET_ONLY, "the gateway's old"},
	{"ours alone rotated, and its overlap over", NEVER, ROTATED, OVERLAP_OVER,
	 "rosa's old secret", AUTH_OK, AUTH_SECRET_ONLY, "the gateway's new"},
	{"reflection: our new one as hers", ROTATED, ROTATED, ROTATED + 1, "the gateway's new",
	 AUTH_REFLECTION, 0, NULL},
	{"reflection: our old one as hers", ROTATED, ROTATED, ROTATED + 1, "the gateway's old",
	 AUTH_REFLECTION, 0, NULL},
	{"neither of hers", ROTATED, ROTATED, ROTATED + 1, "rosa's nth secret!", AUTH_WRONG_SECRET,
	 0, NULL},
};

static void name_put(struct store *s, const char *name, uint64_t rotated_s,
		     const char *const texts[2])
{
	struct store_entry e = {.created_s = 1, .kind = STORE_SET};
	struct secret old = secret_of(texts[0]), new = secret_of(texts[1]);
	const char *other;

	(void)string_copy(e.name, sizeof e.name, name);
	assert_int_equal(store_put(s, &e, &old, &other), 0);
	e.created_s = rotated_s;
	if (rotated_s != NEVER)
		assert_int_equal(store_rotate(s, &e, &new, rotated_s + 7 * DAY, &other), 0);
}

static void run_rotated(void **state)
{
	static const char *const hers[] = {"rosa's old secret", "rosa's new secret"},
				 *const ours[] = {"the gateway's old", "the gateway's new"};
	static const struct auth_account list[] = {{"rosa", "gw", ALL}};
	static struct secret room[4], spare[ACCOUNT_DUMMIES];
	const struct rotated *row = *state;
	const struct login l = {.user = "rosa", .secret = row->secret, .algorithm = CHAP_SHA256};
	struct store s = {.secrets = room, .room = ARRAY_LEN(room)};
	struct exchange_common c;
	struct exchange_answer first, last;
	struct accounts a;
	struct exchange e;
	struct auth_proof p;

	name_put(&s, "rosa", row->user_s, hers);
	name_put(&s, "gw", row->mutual_s, ours);
	accounts_open(&a, spare, &s);
	assert_int_equal(accounts_set(&a, list, 1, ALL), 0);
	assert_int_equal(accounts_resolve(&a, &s, (char[1]){0}, 1), 0);
	exchange_common_open(&c, &a);
	c.now_s = row->now_s;
	exchange_start(&e);
	exchange_take(&e, &c, AUTH_OFFER, &(struct auth_offer){1, {CHAP_SHA256}}, &first);
	proof_make(&l, &first.challenge, &p);
	exchange_take(&e, &c, AUTH_PROOF, &p, &last);
	assert_string_equal(auth_reason_name(last.verdict.reason), auth_reason_name(row->reason));
	assert_int_equal(last.verdict.secret, row->proved);
	if (row->ours) {
		const struct chap_challenge theirs = {(uint8_t)p.id, p.challenge, p.challenge_len};
		struct secret want = secret_of(row->ours);
		uint8_t response[CHAP_DIGEST_MAX];

		assert_int_equal(chap_respond(CHAP_SHA256, &want, &theirs, response), 0);
		assert_memory_equal(last.result.response, response, sizeof response);
	}
	accounts_close(&a);
	store_clear(&s);
}

static void run_clock(void **state)
{
	struct exchange_common c;
	struct accounts a = {0};

	(void)state;
	exchange_common_open(&c, &a);
	assert_int_equal(exchange_time(&c, 1000), 1000);
	assert_int_equal(exchange_time(&c, 1001), 1001);
	assert_int_equal(exchange_time(&c, 3), 1001);
	assert_int_equal(c.now_s, 1001);
	assert_int_equal(exchange_time(&c, 1002), 1002);
}

static const struct offers {
	const char *why;
	struct auth_offer offer;
	uint32_t allowed;
	enum chap_algorithm chosen;
	enum auth_reason reason;
} offers[] = {
	{"the initiator's first of those that are allowed", {4, {7, 5, 8, 6}}, ALL, CHAP_SHA256, 0},
	{"8, 7, 6, 5: SHA3-256", {4, {8, 7, 6, 5}}, ALL, CHAP_SHA3_256, 0},
	{"5, 6, 7, 8: MD5, where any account may use it", {4, {5, 6, 7, 8}}, ALL, CHAP_MD5, 0},
	{"5, 6, 7, 8: SHA-256, where no account may use MD5",
	 {4, {5, 6, 7, 8}},
	 STRONG,
	 CHAP_SHA256,
	 0},
	{"6 is SHA-1, and not allowed here", {1, {6}}, ALL, CHAP_NONE, AUTH_NO_ALGORITHM},
	{"unknown numbers are passed over", {5, {0, 9, 255, 0xffffffff, 7}}, ALL, CHAP_SHA256, 0},
	{"none in common", {2, {1, 40}}, ALL, CHAP_NONE, AUTH_NO_ALGORITHM},
	{"no accounts, no algorithm", {4, {8, 7, 6, 5}}, 0, CHAP_NONE, AUTH_NO_ALGORITHM},
	{"sixteen, the last is good", {16, {[15] = 7}}, ALL, CHAP_SHA256, 0},
	{"an empty list has none in common", {0, {7}}, ALL, CHAP_NONE, AUTH_NO_ALGORITHM},
	{"more than there is room for is broken", {17, {7}}, ALL, CHAP_NONE, AUTH_BROKEN},
};

static void run_offer(void **state)
{
	const struct offers *row = *state;
	struct accounts with = {.algorithms = row->allowed};
	const struct accounts *before = common.accounts;
	struct exchange_answer a;
	struct exchange e;

	common.accounts = &with;
	exchange_start(&e);
	exchange_take(&e, &common, AUTH_OFFER, &row->offer, &a);
	common.accounts = before;
	assert_int_equal(a.verdict.reason, row->reason);
	assert_int_equal(a.type, row->reason == AUTH_BROKEN ? AUTH_INVALID : AUTH_CHALLENGE);
	assert_int_equal(a.challenge.algorithm, row->chosen);
	if (row->chosen == CHAP_NONE)
		assert_true(sodium_is_zero(a.challenge.challenge, CHAP_CHALLENGE_LEN));
}

static const struct order {
	const char *why;
	uint32_t messages[3];
} orders[] = {
	{"a proof before a challenge", {AUTH_PROOF}},
	{"a second offer for a challenge", {AUTH_OFFER, AUTH_OFFER}},
	{"a message that is not for us", {AUTH_RESULT}},
	{"a message that only the monitor may send", {AUTH_ACCOUNTS}},
};

static void run_order(void **state)
{
	static const struct auth_offer offer = {.count = 1, .algorithms = {CHAP_SHA256}};
	static const struct auth_proof proof = {.user = "alice"};
	const struct order *row = *state;
	struct exchange_answer a = {0};
	struct exchange e;

	exchange_start(&e);
	for (size_t i = 0; row->messages[i]; i++)
		exchange_take(&e, &common, row->messages[i],
			      row->messages[i] == AUTH_OFFER ? (const void *)&offer : &proof, &a);
	assert_int_equal(a.verdict.reason, AUTH_BROKEN);
	assert_int_equal(a.type, AUTH_INVALID);
	exchange_take(&e, &common, AUTH_PROOF, &proof, &a); /* and it stays over */
	assert_int_equal(a.verdict.reason, AUTH_BROKEN);
}

static void run_challenges(void **state)
{
	enum { N = 256 };
	static uint8_t seen[N][CHAP_CHALLENGE_LEN];
	uint32_t ids[8] = {0}, bits = 0;
	struct exchange_answer a;
	struct exchange e;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		offer_one(&e, CHAP_SHA256, &a);
		memcpy(seen[i], a.challenge.challenge, sizeof seen[i]);
		assert_true(a.challenge.id <= 255);
		ids[a.challenge.id / 32] |= 1u << a.challenge.id % 32;
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(seen[k], seen[i], sizeof seen[i]);
		for (size_t k = 0; k < sizeof seen[i]; k++)
			bits += (uint32_t)__builtin_popcount(seen[i][k]);
	}
	/* 65 536 fair bits: within 8 standard deviations of the half */
	assert_in_range(bits, N * 128 - 1024, N * 128 + 1024);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		assert_int_not_equal(ids[i], 0);
}

static void run_memory(void **state)
{
	static const struct login honest = {.user = "alice",
					    .secret = "alice's own secret",
					    .algorithm = CHAP_SHA256,
					    .trick = OTHERS_CHALLENGE};
	struct exchange_answer old, first, last;
	struct exchange e;
	struct auth_proof p;

	(void)state;
	offer_one(&e, CHAP_SHA256, &old);
	for (size_t i = 0; i < RECENT_MAX - 2; i++)
		offer_one(&e, CHAP_SHA256, &first);
	offer_one(&e, CHAP_SHA256, &first); /* the oldest is still known */
	proof_make(&honest, &first.challenge, &p);
	trick_play(&honest, &first.challenge, &old.challenge, &p);
	exchange_take(&e, &common, AUTH_PROOF, &p, &last);
	assert_int_equal(last.verdict.reason, AUTH_REFLECTION);
}

int main(void)
{
	static struct tests t;

	assert(sodium_init() >= 0 && chap_open() == 0);
	world_make();
	TESTS_ADD_TABLE(&t, logins, run_login);
	TESTS_ADD_TABLE(&t, rotateds, run_rotated);
	TESTS_ADD_TABLE(&t, offers, run_offer);
	TESTS_ADD_TABLE(&t, orders, run_order);
	tests_add(&t, "challenges and identifiers are random, none comes twice", run_challenges,
		  NULL);
	tests_add(&t, "time never goes back, whatever the clock does", run_clock, NULL);
	tests_add(&t, "a challenge is known as ours 8191 connections later", run_memory, NULL);
	return tests_run(&t, "chap_exchange");
}

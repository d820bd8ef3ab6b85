/* The rules of CHAP as a target, RFC 7143 sections 9.2.1 and 12.1.3, in the
 * authenticator. Everything that comes in is hostile: the session may be taken over,
 * and what it passes on is a stranger's. Known and unknown names, wrong and weak
 * responses cost the same work and get the same answer. */
#include "auth/exchange.h"

#include <sys/random.h>

static struct tag recent_tag(const struct recent *r, const uint8_t challenge[CHAP_CHALLENGE_LEN])
{
	struct tag t;

	(void)crypto_shorthash_siphashx24((uint8_t *)&t, challenge, CHAP_CHALLENGE_LEN, r->key);
	return t;
}

static void recent_add(struct recent *r, const uint8_t challenge[CHAP_CHALLENGE_LEN])
{
	r->tags[r->count++ % RECENT_MAX] = recent_tag(r, challenge);
}

static bool recent_has(const struct recent *r, const uint8_t *challenge, size_t len)
{
	const size_t count = MIN(r->count, (size_t)RECENT_MAX);
	bool found = false;
	struct tag t;

	if (len != CHAP_CHALLENGE_LEN)
		return false;
	t = recent_tag(r, challenge);
	for (size_t i = 0; i < count; i++)
		found |= r->tags[i].a == t.a && r->tags[i].b == t.b;
	return found;
}

void exchange_common_open(struct exchange_common *common, const struct accounts *accounts)
{
	*common = (struct exchange_common){.accounts = accounts};
	crypto_shorthash_keygen(common->recent.key);
}

uint64_t exchange_time(struct exchange_common *common, uint64_t wall_s)
{
	common->now_s = MAX(common->now_s, wall_s);
	return common->now_s;
}

void exchange_start(struct exchange *e)
{
	*e = (struct exchange){.state = EXCHANGE_NEW};
}

void exchange_end(struct exchange *e, enum auth_reason reason, struct exchange_answer *ret_answer)
{
	e->state = EXCHANGE_OVER;
	ret_answer->verdict.reason = reason;
	ret_answer->verdict.algorithm = e->algorithm;
}

static bool random_fill(void *bytes, size_t len)
{
	ssize_t n;

	do
		n = getrandom(bytes, len, 0);
	while (n < 0 && errno == EINTR);
	return n >= 0 && (size_t)n == len; /* up to 256 octets come whole */
}

/* --- the offer ------------------------------------------------------------------------------- */

/* RFC 7143 section 6.2.1: the first value in the originator's list that we allow. The name is not
 * known yet, and must not matter: a choice that depends on it tells which names exist. */
static enum chap_algorithm algorithm_choose(const struct auth_offer *offer, uint32_t allowed)
{
	for (size_t i = 0; i < offer->count; i++) {
		uint32_t a = offer->algorithms[i];

		if (a < 32 && (allowed & CHAP_ALGORITHM_BIT(a)) && chap_digest_size(a) > 0)
			return (enum chap_algorithm)a;
	}
	return CHAP_NONE;
}

static void take_offer(struct exchange *e, struct exchange_common *common, const void *body,
		       struct exchange_answer *ret)
{
	const struct auth_offer *offer = body;
	bool ready = offer->count <= ARRAY_LEN(offer->algorithms) &&
		     random_fill(e->challenge, sizeof e->challenge) &&
		     random_fill(&e->id, sizeof e->id);

	if (!ready) {
		exchange_end(e, AUTH_BROKEN, ret);
		return;
	}
	ret->type = AUTH_CHALLENGE;
	e->algorithm = algorithm_choose(offer, common->accounts->algorithms);
	if (e->algorithm == CHAP_NONE) {
		exchange_end(e, AUTH_NO_ALGORITHM, ret);
		return;
	}
	recent_add(&common->recent, e->challenge);
	ret->challenge = (struct auth_challenge){.algorithm = e->algorithm, .id = e->id};
	memcpy(ret->challenge.challenge, e->challenge, sizeof e->challenge);
	e->state = EXCHANGE_CHALLENGED;
}

/* --- the proof ------------------------------------------------------------------------------- */

static bool proof_well_formed(const struct exchange *e, const struct auth_proof *p)
{
	bool challenge_fits = p->has_challenge == 1 && p->id <= 255 && p->challenge_len >= 1 &&
			      p->challenge_len <= CHAP_CHALLENGE_MAX;

	return memchr(p->user, '\0', sizeof p->user) != NULL &&
	       p->response_len == chap_digest_size(e->algorithm) &&
	       (p->has_challenge == 0 || challenge_fits);
}

/* RFC 7143 section 9.2.1: our own challenge coming back, of this connection or of another. */
static bool proof_reflects(const struct exchange *e, const struct recent *recent,
			   const struct auth_proof *p)
{
	if (p->has_challenge == 0)
		return false;
	return recent_has(recent, p->challenge, p->challenge_len) ||
	       (p->challenge_len == sizeof e->challenge &&
		memcmp(p->challenge, e->challenge, sizeof e->challenge) == 0);
}

/* Whether the response is one that the key of either time gives. A dummy's is never it. */
struct match {
	bool computed, now, before;
};

static struct match key_match(const struct exchange *e, const struct auth_proof *p,
			      const struct account_key *key)
{
	const struct chap_challenge ours = {e->id, e->challenge, sizeof e->challenge};
	const size_t len = MIN(p->response_len, sizeof p->response);
	uint8_t now[CHAP_DIGEST_MAX] = {0}, before[CHAP_DIGEST_MAX] = {0};
	struct match m;

	m.computed = chap_respond(e->algorithm, key->now, &ours, now) == 0;
	m.computed = chap_respond(e->algorithm, key->before, &ours, before) == 0 && m.computed;
	m.now = chap_response_equal(e->algorithm, now, p->response, len);
	m.before = chap_response_equal(e->algorithm, before, p->response, len);
	m.before = m.before && key->overlap;
	sodium_memzero(now, sizeof now);
	sodium_memzero(before, sizeof before);
	return m;
}

/* The same steps for everybody: all computations, all comparisons, then the first that is wrong.
 * A mutual secret's response to our own challenge is a reflected one (RFC 7143 section 9.2.1). */
static enum auth_reason proof_judge(const struct exchange *e, const struct recent *recent,
				    const struct auth_proof *p, const struct account *who,
				    enum auth_secret *ret_secret)
{
	const bool well_formed = proof_well_formed(e, p), mutual = *who->mutual_name != '\0';
	const struct match right = key_match(e, p, &who->keys[ACCOUNT_USER]);
	const struct match mirror = key_match(e, p, &who->keys[ACCOUNT_MUTUAL]);
	const struct {
		bool so;
		enum auth_reason reason;
	} order[] = {
		{!well_formed || !right.computed || !mirror.computed, AUTH_BROKEN},
		{well_formed && proof_reflects(e, recent, p), AUTH_REFLECTION},
		{mirror.now || mirror.before, AUTH_REFLECTION},
		{!who->known, AUTH_UNKNOWN_USER},
		{!right.now && !right.before, AUTH_WRONG_SECRET},
		{!(who->algorithms & CHAP_ALGORITHM_BIT(e->algorithm)), AUTH_WEAK_ALGORITHM},
		{mutual != (p->has_challenge == 1), AUTH_NO_MUTUAL},
		{true, AUTH_OK},
	};
	size_t i = 0;

	*ret_secret = !who->keys[ACCOUNT_USER].overlap ? AUTH_SECRET_ONLY
		      : right.now		       ? AUTH_SECRET_NEW
						       : AUTH_SECRET_OLD;
	while (!order[i].so)
		i++;
	return order[i].reason;
}

#define TOGETHER_S 86400

/* Which of our own two the initiator can check while both are there. Where both sides were rotated
 * within a day, it was given both new ones at once: what it proved itself with tells. Where ours
 * was rotated alone, nothing tells, and who was not touched goes on (P7): the old one, until its
 * overlap is over. */
static const struct secret *mutual_choose(const struct account *who, enum auth_secret proved)
{
	const struct account_key *user = &who->keys[ACCOUNT_USER],
				 *ours = &who->keys[ACCOUNT_MUTUAL];
	const uint64_t apart = MAX(user->since_s, ours->since_s) -
			       MIN(user->since_s, ours->since_s);

	if (!ours->overlap)
		return ours->now;
	return proved == AUTH_SECRET_NEW && apart <= TOGETHER_S ? ours->now : ours->before;
}

/* Only after the initiator's own response was right, and once: the exchange is over. */
static enum auth_reason mutual_prove(const struct exchange *e, const struct auth_proof *p,
				     const struct secret *ours, const char *name,
				     struct auth_result *ret)
{
	const struct chap_challenge theirs = {(uint8_t)p->id, p->challenge, p->challenge_len};

	if (p->has_challenge == 1) {
		if (chap_respond(e->algorithm, ours, &theirs, ret->response) < 0)
			return AUTH_BROKEN;
		ret->response_len = (uint32_t)chap_digest_size(e->algorithm);
		(void)string_copy(ret->name, sizeof ret->name, name);
	}
	ret->ok = 1;
	return AUTH_OK;
}

static void take_proof(struct exchange *e, struct exchange_common *common, const void *body,
		       struct exchange_answer *ret)
{
	const struct auth_proof *p = body;
	enum auth_secret proved;
	enum auth_reason reason;
	struct account who;

	accounts_find(common->accounts, p->user, common->now_s, &who);
	reason = proof_judge(e, &common->recent, p, &who, &proved);
	ret->type = AUTH_RESULT;
	ret->result = (struct auth_result){0};
	if (reason == AUTH_OK)
		reason = mutual_prove(e, p, mutual_choose(&who, proved), who.mutual_name,
				      &ret->result);
	if (reason == AUTH_OK)
		ret->verdict.secret = proved;
	if (memchr(p->user, '\0', sizeof p->user))
		(void)string_copy(ret->verdict.user, sizeof ret->verdict.user, p->user);
	exchange_end(e, reason, ret);
}

/* --- the machine ----------------------------------------------------------------------------- */

static const struct step {
	enum exchange_state in;
	uint32_t message;
	void (*act)(struct exchange *e, struct exchange_common *common, const void *body,
		    struct exchange_answer *ret);
} steps[] = {
	/* RFC 7143 section 12.1.3: CHAP_A answered by CHAP_A, CHAP_I, CHAP_C */
	{EXCHANGE_NEW, AUTH_OFFER, take_offer},
	/* CHAP_N, CHAP_R (CHAP_I, CHAP_C) answered by CHAP_N, CHAP_R or a refusal */
	{EXCHANGE_CHALLENGED, AUTH_PROOF, take_proof},
};

void exchange_take(struct exchange *e, struct exchange_common *common, uint32_t type,
		   const void *body, struct exchange_answer *ret_answer)
{
	*ret_answer = (struct exchange_answer){0};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		if (steps[i].in == e->state && steps[i].message == type) {
			steps[i].act(e, common, body, ret_answer);
			return;
		}
	exchange_end(e, AUTH_BROKEN, ret_answer);
}

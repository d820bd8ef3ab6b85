/* CHAP's keys, RFC 7143 section 12.1.3, from text to numbers and back. Nothing is
 * computed or compared here: challenge and verdict are the authenticator's. Values
 * are decoded into places of fixed size; what does not fit, or is no value, fails
 * like a wrong secret. Runs in the session process, before anybody is trusted. */
#include "gateway/iscsi/core.h"

#define BIT(key) (1u << (key))

static void take_algorithms(struct login *l, const char *value)
{
	const char *at = value, *item;
	size_t len;

	while (text_list_next(&at, &item, &len)) {
		char one[8];
		uint64_t number;

		if (len == 0 || len >= sizeof one) {
			l->chap_bad = true;
			return;
		}
		memcpy(one, item, len);
		one[len] = '\0';
		if (number_parse_any(one, 0, 255, &number) < 0) {
			l->chap_bad = true;
			return;
		}
		if (l->algorithm_count < ARRAY_LEN(l->algorithms))
			l->algorithms[l->algorithm_count++] = (uint32_t)number;
	}
}

static size_t take_binary(struct login *l, const char *value, uint8_t *bytes, size_t size)
{
	ssize_t len = binary_decode(value, bytes, size);

	if (len <= 0) {
		l->chap_bad = true;
		return 0;
	}
	if (value[1] == 'b' || value[1] == 'B') /* ours follow its encoding */
		l->base64 = true;
	return (size_t)len;
}

static void take_id(struct login *l, const char *value)
{
	uint64_t number = 0;

	if (number_parse_any(value, 0, 255, &number) < 0)
		l->chap_bad = true;
	l->chap.id = (uint8_t)number;
}

static void take_method(struct login *l, const char *value)
{
	if (!text_list_has(value, "CHAP"))
		l->chap_bad = true;
}

static void take_user(struct login *l, const struct text_pair *pair)
{
	if (pair->value_len == 0 || !string_copy(l->chap.name, sizeof l->chap.name, pair->value))
		l->chap_bad = true;
}

void chap_take(struct login *l, const struct key *key, const struct text_pair *pair)
{
	struct iscsi_chap_proof *c = &l->chap;

	l->chap_seen |= BIT(key->id);
	switch (key->id) {
	case KEY_AUTH_METHOD:
		take_method(l, pair->value);
		return;
	case KEY_CHAP_A:
		take_algorithms(l, pair->value);
		return;
	case KEY_CHAP_I:
		take_id(l, pair->value);
		return;
	case KEY_CHAP_N:
		take_user(l, pair);
		return;
	case KEY_CHAP_R:
		c->response_len = take_binary(l, pair->value, c->response, sizeof c->response);
		return;
	default:
		c->challenge_len = take_binary(l, pair->value, c->challenge, sizeof c->challenge);
		c->has_challenge = true;
		return;
	}
}

static enum chap_outcome choose_method(struct iscsi_connection *c)
{
	text_put(&c->login.out, "AuthMethod", "CHAP");
	return CHAP_REPLY;
}

static enum chap_outcome ask_challenge(struct iscsi_connection *c)
{
	struct login *l = &c->login;

	l->ask = ASK_CHALLENGE;
	c->i->ops->chap_offer(c->i->host, l->algorithms, l->algorithm_count);
	return CHAP_ASKED;
}

static enum chap_outcome ask_verdict(struct iscsi_connection *c)
{
	struct login *l = &c->login;

	l->ask = ASK_VERDICT;
	c->i->ops->chap_proof(c->i->host, &l->chap);
	return CHAP_ASKED;
}

#define PROOF  (BIT(KEY_CHAP_N) | BIT(KEY_CHAP_R))
#define MUTUAL (BIT(KEY_CHAP_I) | BIT(KEY_CHAP_C))

/* RFC 7143 section 12.1.3, step by step: the keys of a request, all of them and no others. A
 * request without any leaves the step as it is. */
static const struct chap_row {
	enum chap_step step, next;
	uint32_t keys;
	enum chap_outcome (*act)(struct iscsi_connection *c);
} rows[] = {
	{CHAP_START, CHAP_METHOD, BIT(KEY_AUTH_METHOD), choose_method},
	{CHAP_METHOD, CHAP_CHALLENGED, BIT(KEY_CHAP_A), ask_challenge},
	{CHAP_CHALLENGED, CHAP_CHALLENGED, PROOF, ask_verdict},
	{CHAP_CHALLENGED, CHAP_CHALLENGED, PROOF | MUTUAL, ask_verdict},
};

enum chap_outcome chap_act(struct iscsi_connection *c)
{
	struct login *l = &c->login;
	uint32_t seen = l->chap_seen;

	l->chap_seen = 0;
	if (l->chap_bad)
		return CHAP_REFUSED;
	/* Asking to leave the stage, without having begun, is leaving without authentication. */
	if (seen == 0)
		return l->step == CHAP_START && l->transit ? CHAP_REFUSED : CHAP_REPLY;
	for (size_t n = 0; n < ARRAY_LEN(rows); n++) {
		if (rows[n].step != l->step || rows[n].keys != seen)
			continue;
		l->step = rows[n].next;
		return rows[n].act(c);
	}
	return CHAP_REFUSED;
}

static void put_binary(struct login *l, const char *key, const uint8_t *bytes, size_t len)
{
	char text[2 + 2 * ISCSI_CHAP_BYTES_MAX + 1];
	bool fits = l->base64 ? binary_encode_base64(bytes, len, text, sizeof text)
			      : binary_encode_hex(bytes, len, text, sizeof text);

	if (fits)
		text_put(&l->out, key, text);
	else
		l->out.failed = true;
}

void iscsi_chap_challenge(struct iscsi_connection *c, uint32_t algorithm, uint8_t id,
			  const uint8_t *challenge, size_t len)
{
	struct login *l = &c->login;

	if (c->phase != PHASE_LOGIN || l->ask != ASK_CHALLENGE)
		return;
	l->ask = ASK_NOTHING;
	if (algorithm == 0) {
		login_refuse(c, 0x0201, "no CHAP algorithm in common");
		return;
	}
	text_put_number(&l->out, "CHAP_A", algorithm);
	text_put_number(&l->out, "CHAP_I", id);
	put_binary(l, "CHAP_C", challenge, len);
	login_advance(c);
	rx_run(c->i);
}

void iscsi_chap_accepted(struct iscsi_connection *c, const char *name, const uint8_t *response,
			 size_t len)
{
	struct login *l = &c->login;

	if (c->phase != PHASE_LOGIN || l->ask != ASK_VERDICT)
		return;
	l->ask = ASK_NOTHING;
	l->step = CHAP_PROVEN;
	if (len > 0) {
		l->proof = true;
		text_put(&l->out, "CHAP_N", name);
		put_binary(l, "CHAP_R", response, len);
	}
	explicit_bzero(&l->chap, sizeof l->chap);
	login_advance(c);
	rx_run(c->i);
}

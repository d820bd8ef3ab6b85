/* Text in the full-feature phase, RFC 7143 sections 11.10, 11.11 and Appendix C:
 * SendTargets, new declarations, and answers that take several PDUs. One negotiation
 * at a time; a new one ends the old. Runs in the session process. */
#include "gateway/iscsi/core.h"

#include <stdlib.h>

/* What a negotiation declared counts once it is over in agreement, and not at all if it is broken
 * off: RFC 7143 sections 6.2 and 7.12. */
static void conclude(struct iscsi_connection *c)
{
	c->peer_segment = c->keys.result[KEY_MAX_RECV_SEGMENT];
	data_in_resegment(c);
	text_close(c);
}

void text_close(struct iscsi_connection *c)
{
	c->keys.result[KEY_MAX_RECV_SEGMENT] = c->peer_segment;
	free(c->exchange.out);
	c->exchange = (struct text_exchange){0};
	c->text.len = 0;
	keys_restart(&c->keys);
}

/* RFC 7143 Appendix C: All in discovery sessions only, the empty name in normal ones only. */
static bool targets_allowed(const struct iscsi_connection *c, const char *which)
{
	if (which[0] == '\0')
		return !c->i->discovery;
	return c->i->discovery || strcmp(which, "All") != 0;
}

static int append(struct text_exchange *x, const void *bytes, size_t len)
{
	uint8_t *out;

	if (len == 0)
		return 0;
	if (len > TARGETS_TEXT_MAX || x->out_len > TARGETS_TEXT_MAX - len)
		return -EMSGSIZE;
	out = realloc(x->out, x->out_len + len);
	if (!out)
		return -ENOMEM;
	memcpy(out + x->out_len, bytes, len);
	x->out = out;
	x->out_len += len;
	return 0;
}

static int take_text_key(struct iscsi_connection *c, const struct key *key,
			 const struct text_pair *pair)
{
	const char *text = NULL;
	size_t len;

	if (pair->value_len > TEXT_VALUE_MAX || !targets_allowed(c, pair->value)) {
		keys_reject(&c->keys, key);
		return 0;
	}
	len = c->i->ops->send_targets(c->i->host, pair->value, &text);
	return append(&c->exchange, text, len);
}

static int take_pairs(struct iscsi_connection *c)
{
	struct rd r = rd_over(c->text.bytes, c->text.len);
	struct text_pair pair;
	const struct key *key;
	int more, whose = 0;

	while ((more = text_next(&r, &pair)) > 0) {
		whose = keys_take(&c->keys, STAGE_FULL, &pair, &key);
		if (whose > 0)
			whose = take_text_key(c, key, &pair);
		if (whose < 0)
			return whose;
	}
	return more;
}

/* Takes the whole request and makes the whole answer. */
static int answer(struct iscsi_connection *c)
{
	uint8_t bytes[KEYS_ANSWER_MAX];
	struct wr w = wr_over(bytes, sizeof bytes);
	int r = take_pairs(c);

	if (r < 0)
		return r;
	keys_answer(&c->keys, &w);
	if (w.failed)
		return -EMSGSIZE;
	c->exchange.answering = true;
	return append(&c->exchange, bytes, wr_len(&w));
}

/* The answer is out, but the initiator said with F=0 that it has more to negotiate. */
static void next_round(struct iscsi_connection *c)
{
	struct text_exchange *x = &c->exchange;

	free(TAKE(x->out));
	x->out_len = x->out_sent = 0;
	x->answering = false;
	c->text.len = 0;
}

/* RFC 7143 section 11.11: F=0 with a tag means that the initiator is to ask on; C=1 that the text
 * goes on in the next answer. */
static void respond(struct iscsi_connection *c, const struct pdu *pdu)
{
	struct text_exchange *x = &c->exchange;
	size_t len = MIN(MIN(x->out_len - x->out_sent, c->peer_segment), STAGE_SIZE);
	bool more = x->out_sent + len < x->out_len, done = x->answering && !more && x->final;
	struct misc *m = tx_misc(c, OP_TEXT_RESPONSE, pdu->itt);

	if (!m || !tx_misc_data(c, m, x->out ? x->out + x->out_sent : NULL, len))
		return;
	m->counts = true;
	x->out_sent += len;
	m->bhs[1] = done ? FLAG_FINAL : more ? FLAG_CONTINUE : 0;
	memcpy(m->bhs + BHS_LUN, pdu->bhs + BHS_LUN, 8);
	x->open = !done;
	x->ttt = done ? TAG_NONE : connection_tag(c->i, 0);
	bhs_u32(m->bhs, BHS_TTT, x->ttt);
	tx_queue(c, &m->job);
	if (done)
		conclude(c);
	else if (x->answering && !more)
		next_round(c);
}

static void refuse(struct iscsi_connection *c, const struct pdu *pdu, enum reject_reason reason)
{
	text_close(c);
	reject(c, pdu, reason);
}

/* Is this the continuation of what is open, or a new negotiation? */
static bool begin(struct iscsi_connection *c, const struct pdu *pdu)
{
	struct text_exchange *x = &c->exchange;

	if (pdu_u32(pdu, BHS_TTT) == TAG_NONE) {
		text_close(c);
		x->itt = pdu->itt;
		return true;
	}
	return x->open && pdu_u32(pdu, BHS_TTT) == x->ttt && pdu->itt == x->itt &&
	       !(x->answering && pdu->data_len > 0);
}

void text_run(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok)
{
	bool goes_on = (pdu->flags & FLAG_CONTINUE) != 0;
	int r = 0;

	(void)digest_ok;
	if (pdu->itt == TAG_NONE || (goes_on && pdu->final) || !begin(c, pdu)) {
		refuse(c, pdu, REJECT_PROTOCOL);
		return;
	}
	if (++c->exchange.pdus > TEXT_PDUS_MAX && !c->exchange.answering) {
		refuse(c, pdu, REJECT_RESOURCES);
		return;
	}
	if (!text_append(&c->text, pdu->data, pdu->data_len)) {
		refuse(c, pdu, REJECT_RESOURCES);
		return;
	}
	if (!goes_on && !c->exchange.answering) {
		c->exchange.final = pdu->final;
		r = answer(c);
	}
	if (r < 0)
		refuse(c, pdu, r == -EPROTO ? REJECT_PROTOCOL : REJECT_RESOURCES);
	else
		respond(c, pdu);
}

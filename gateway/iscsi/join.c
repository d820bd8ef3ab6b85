/* A connection that joins a session which has others, or had one: RFC 7143 sections
 * 6.3.4 and 6.3.6. Its login ran in a process of its own; what that process says is
 * checked here as if the network had said it. Runs in both session processes. */
#include "gateway/iscsi/core.h"

#define STATUS_TOO_MANY 0x0206

int iscsi_handover(struct iscsi_connection *c, struct iscsi_handover *ret_state)
{
	const struct login *l = &c->login;

	if (c->phase != PHASE_LOGIN || l->ask != ASK_GRANT || l->out.failed ||
	    wr_len(&l->out) > ISCSI_HANDOVER_TEXT || c->rx.stage_at != c->rx.stage_end ||
	    c->tx.first || c->tx.frame_count > 0)
		return -EPROTO;
	*ret_state = (struct iscsi_handover){
		.tsih = l->tsih,
		.cid = l->cid,
		.text_len = (uint16_t)wr_len(&l->out),
		.itt = l->itt,
		.statsn = c->tx.statsn,
		.peer_segment = c->keys.result[KEY_MAX_RECV_SEGMENT],
		.header_digest = c->keys.result[KEY_HEADER_DIGEST] != 0,
		.data_digest = c->keys.result[KEY_DATA_DIGEST] != 0,
		.csg = l->csg,
	};
	memcpy(ret_state->isid, l->isid, sizeof ret_state->isid);
	memcpy(ret_state->text, l->out_bytes, wr_len(&l->out));
	c->handed_over = true;
	return 0;
}

static bool state_ok(const struct iscsi *i, const struct iscsi_handover *h)
{
	const struct iscsi_limits *l = &i->limits;

	return i->tsih != 0 && !i->lost && !i->discovery && h->tsih == i->tsih &&
	       memcmp(h->isid, i->isid, sizeof h->isid) == 0 &&
	       h->text_len <= ISCSI_HANDOVER_TEXT && h->peer_segment >= 512 &&
	       h->peer_segment < 1u << 24 && h->header_digest <= l->header_digest &&
	       h->data_digest <= l->data_digest && h->csg <= 1 &&
	       (!l->digests_required || (h->header_digest && h->data_digest));
}

static unsigned count_others(const struct iscsi *i, uint16_t cid)
{
	unsigned count = 0;

	EACH_CONNECTION(i, c)
	count += connection_lives(c) && c->cid != cid;
	return count;
}

/* RFC 7143 section 6.3.4: the login stands for the logout of the connection that it replaces. */
static void replace(struct iscsi *i, uint16_t cid)
{
	struct iscsi_connection *old = connection_by_cid(i, cid);

	if (!old || old->phase == PHASE_LOST)
		return;
	connection_end(old, ISCSI_END_REPLACED, "connection %u was opened again", cid);
	connection_detach(old);
}

static void take_state(struct iscsi_connection *c, const struct iscsi_handover *h)
{
	struct login *l = &c->login;

	l->started = true;
	l->step = CHAP_PROVEN;
	memcpy(l->isid, h->isid, sizeof l->isid);
	l->tsih = h->tsih;
	l->cid = h->cid;
	l->itt = h->itt;
	l->csg = h->csg;
	l->nsg = 3;
	l->transit = true;
	l->out = wr_over(l->out_bytes, sizeof l->out_bytes);
	wr_bytes(&l->out, h->text, h->text_len);
	c->tx.statsn = c->tx.acked = h->statsn;
	c->keys.result[KEY_MAX_RECV_SEGMENT] = h->peer_segment;
	c->keys.result[KEY_HEADER_DIGEST] = h->header_digest;
	c->keys.result[KEY_DATA_DIGEST] = h->data_digest;
}

int iscsi_adopt(struct iscsi *i, const struct iscsi_handover *state,
		struct iscsi_connection **ret_connection)
{
	struct iscsi_connection *c;

	if (!state_ok(i, state))
		return -EINVAL;
	session_make_place(i);
	c = connection_new(i);
	if (!c)
		return -EMFILE;
	take_state(c, state);
	*ret_connection = c;
	if (count_others(i, state->cid) >= i->max_connections) {
		login_refuse(c, STATUS_TOO_MANY, "the session has as many connections as it may");
		return 0;
	}
	replace(i, state->cid);
	login_reply(c);
	if (c->phase == PHASE_LOGIN)
		ffp_start(c);
	return 0;
}

/* The full-feature phase: which opcode is whose, from a table. Runs in the session
 * process on PDUs of an initiator that has logged in, which is no reason to believe
 * any of their fields. */
#include "gateway/iscsi/core.h"

/* clang-format off */
static const struct rule rules[] = {
	/* opcode          in discovery  numbered  where its data goes  handler       RFC 7143 */
	{ OP_NOP_OUT,      true,         true,     NULL,                nop_run       }, /* 11.18 */
	{ OP_SCSI_COMMAND, false,        false,    command_route,       command_run   }, /* 11.3 */
	{ OP_TMF,          false,        true,     NULL,                tmf_run       }, /* 11.5 */
	{ OP_TEXT,         true,         true,     NULL,                text_run      }, /* 11.10 */
	{ OP_DATA_OUT,     false,        false,    data_out_route,      data_out_run  }, /* 11.7 */
	{ OP_LOGOUT,       true,         true,     NULL,                logout_run    }, /* 11.14 */
	{ OP_SNACK,        false,        false,    snack_route,         snack_run     }, /* 11.16 */
};
static const struct rule unsupported = { OP_REJECT, true, false, NULL, unsupported_run };
/* clang-format on */

static const struct rule *rule_of(const struct iscsi_connection *c, const struct pdu *pdu)
{
	for (size_t n = 0; n < ARRAY_LEN(rules); n++)
		if (rules[n].opcode == pdu->opcode)
			return c->i->discovery && !rules[n].in_discovery ? &unsupported : &rules[n];
	return &unsupported;
}

/* What the first connection agreed on, for all of the session. */
static void session_start(struct iscsi_connection *c)
{
	const uint32_t *result = c->keys.result;
	struct iscsi *i = c->i;

	i->tsih = c->login.tsih;
	memcpy(i->isid, c->login.isid, sizeof i->isid);
	i->max_burst = result[KEY_MAX_BURST];
	i->first_burst = MIN(keys_first_burst(&c->keys), ISCSI_CHUNK_SIZE);
	i->max_r2t = MIN(result[KEY_MAX_R2T], R2T_MAX);
	i->initial_r2t = result[KEY_INITIAL_R2T] != 0;
	i->immediate_data = result[KEY_IMMEDIATE_DATA] != 0;
	i->response_fence = result[KEY_TASK_REPORTING] != REPORTING_RFC3720;
	i->fast_abort = result[KEY_TASK_REPORTING] == REPORTING_FAST_ABORT;
	i->protocol_level = (uint8_t)result[KEY_PROTOCOL_LEVEL];
	i->level = i->discovery ? 0 : result[KEY_ERROR_RECOVERY];
	i->max_connections = result[KEY_MAX_CONNECTIONS];
	i->time2wait = result[KEY_TIME2WAIT];
	i->time2retain = result[KEY_TIME2RETAIN];
}

void ffp_start(struct iscsi_connection *c)
{
	const uint32_t *result = c->keys.result;

	if (c->i->tsih == 0)
		session_start(c);
	c->phase = PHASE_FULL;
	c->was_full = true;
	c->cid = c->login.cid;
	c->peer_segment = result[KEY_MAX_RECV_SEGMENT];
	c->rx.header_digest = result[KEY_HEADER_DIGEST] != 0;
	c->rx.data_digest = result[KEY_DATA_DIGEST] != 0;
	c->rx.last_ms = c->i->now_ms;
	keys_restart(&c->keys);
	c->text.len = 0;
	tx_start(c);
}

/* A segment longer than we declared can't be taken, and what follows it can't be found: RFC 7143
 * section 7.7 lets a format error end the connection. */
enum route ffp_route(struct iscsi_connection *c, struct pdu *pdu)
{
	struct rx *rx = &c->rx;

	if (pdu->data_len > c->i->limits.max_recv_segment) {
		connection_end(c, ISCSI_END_MALFORMED,
			       "a data segment of %zu octets came, %u were declared", pdu->data_len,
			       c->i->limits.max_recv_segment);
		return ROUTE_END;
	}
	kept_acknowledge(c, pdu);
	rx->rule = rule_of(c, pdu);
	return rx->rule->route ? rx->rule->route(c, pdu) : ROUTE_GO;
}

/* A rejected PDU's CmdSN does not count as received: RFC 7143 section 7.3. */
static void run_in_turn(struct iscsi_connection *c, const struct rule *rule, struct pdu *pdu)
{
	uint32_t next = c->i->expcmdsn;

	if (!pdu->immediate)
		c->i->expcmdsn++;
	c->rejected = false;
	rule->run(c, pdu, true);
	if (c->rejected)
		c->i->expcmdsn = next;
	else
		abort_set_moved(c->i);
}

/* Keeps a PDU that came before its turn, with its data in the slot's own chunk. */
static void hold(struct iscsi_connection *c, const struct pdu *pdu)
{
	size_t room;
	struct slot *s;

	if (pdu->data_len > ISCSI_CHUNK_SIZE || !(s = slot_new(c, SLOT_HELD_PDU, pdu))) {
		reject(c, pdu, REJECT_RESOURCES);
		return;
	}
	if (pdu->data_len > 0)
		memcpy(slot_at(c->i, s, 0, &room), pdu->data, pdu->data_len);
	s->state = SLOT_HELD;
	c->i->held_count++;
}

void ffp_done(struct iscsi_connection *c, struct pdu *pdu, bool digest_ok)
{
	const struct rule *rule = c->rx.rule;

	if (!rule->numbered) {
		rule->run(c, pdu, digest_ok);
		return;
	}
	if (!digest_ok) {
		reject(c, pdu, REJECT_DATA_DIGEST);
		return;
	}
	if (pdu->ahs_len > 0) {
		reject(c, pdu, REJECT_INVALID_FIELD);
		return;
	}
	switch (window_order(c->i, pdu)) {
	case ORDER_NOW:
		run_in_turn(c, rule, pdu);
		return;
	case ORDER_LATER:
		hold(c, pdu);
		return;
	default: /* RFC 7143 section 4.2.2.1: in silence */
		return;
	}
}

/* The turn of a PDU that was held; ExpCmdSN has just passed it. */
void ffp_turn(struct slot *s)
{
	struct iscsi_connection *c = s->conn;
	struct pdu pdu = s->pdu;
	size_t room;

	pdu.data = slot_at(c->i, s, 0, &room);
	c->i->expcmdsn--;
	c->i->in_turn = s;
	run_in_turn(c, rule_of(c, &pdu), &pdu);
	if (c->i->in_turn) /* the handler did not keep it */
		slot_free(c->i, TAKE(c->i->in_turn));
}

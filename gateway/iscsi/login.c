/* The login phase, RFC 7143 sections 6.3, 11.12 and 11.13: stages, statuses, names.
 * Everything here comes from a stranger: one PDU of at most 8192 octets at a time, 64
 * KiB of text and 128 PDUs in all. CHAP is required, in discovery sessions too; the
 * last response waits for the grant. Runs in the session process. */
#include "gateway/iscsi/core.h"

#define FLAG_TRANSIT 0x80

enum { CSG_SECURITY = 0, CSG_OPERATIONAL = 1, CSG_FULL = 3 };

enum login_status {
	LOGIN_SUCCESS = 0x0000,
	LOGIN_INITIATOR_ERROR = 0x0200,
	LOGIN_AUTHENTICATION = 0x0201,
	LOGIN_VERSION = 0x0205,
	LOGIN_MISSING = 0x0207,
	LOGIN_CANNOT_INCLUDE = 0x0208,
	LOGIN_SESSION_TYPE = 0x0209,
	LOGIN_INVALID_REQUEST = 0x020b,
	LOGIN_RESOURCES = 0x0302,
};

/* RFC 7143 section 6.3: where T may lead to, from each stage that a request may be in. */
static const bool transitions[][4] = {
	[CSG_SECURITY] = {[CSG_OPERATIONAL] = true, [CSG_FULL] = true},
	[CSG_OPERATIONAL] = {[CSG_FULL] = true},
};

/* Before anything is kept of the PDU. A stranger that sends no Login gets no answer. */
bool login_check_header(struct iscsi_connection *c, const struct pdu *pdu)
{
	if (pdu->data_len > LOGIN_SEGMENT_MAX || pdu->ahs_len > 0) {
		connection_end(c, ISCSI_END_MALFORMED,
			       "a PDU in the login phase claims %zu octets of data and %zu of "
			       "additional headers",
			       pdu->data_len, pdu->ahs_len);
		return false;
	}
	if (pdu->opcode == OP_LOGIN)
		return true;
	if (c->login.started)
		login_refuse(c, LOGIN_INVALID_REQUEST, "another PDU than Login came");
	else
		connection_end(c, ISCSI_END_MALFORMED,
			       "the first PDU has opcode %02xh and is no Login", pdu->opcode);
	return false;
}

/* --- answering ------------------------------------------------------------------------------ */

static struct misc *response(struct iscsi_connection *c, uint16_t status)
{
	struct login *l = &c->login;
	struct misc *m = tx_misc(c, OP_LOGIN_RESPONSE, l->itt);

	if (!m)
		return NULL;
	m->plain = true;
	m->counts = true;
	m->bhs[1] = (uint8_t)(l->csg << 2);
	memcpy(m->bhs + BHS_ISID, l->isid, sizeof l->isid);
	put_be(m->bhs + BHS_TSIH, 2, l->tsih);
	put_be(m->bhs + BHS_LOGIN_STATUS, 2, status);
	return m;
}

/* RFC 7143 section 11.13.5: a redirection says where to. */
static bool put_moved_to(struct iscsi_connection *c, struct misc *m)
{
	struct login *l = &c->login;

	if (l->moved_to[0] == '\0')
		return true;
	l->out = wr_over(l->out_bytes, sizeof l->out_bytes);
	text_put(&l->out, "TargetAddress", l->moved_to);
	return !l->out.failed && tx_misc_data(c, m, l->out_bytes, wr_len(&l->out));
}

void login_refuse(struct iscsi_connection *c, uint16_t status, const char *why)
{
	struct misc *m = response(c, status);

	if (m && put_moved_to(c, m))
		tx_queue(c, &m->job);
	connection_end(c, ISCSI_END_REFUSED, "login refused with status %04xh: %s", status, why);
}

void login_reply(struct iscsi_connection *c)
{
	struct login *l = &c->login;
	struct misc *m;

	if (l->refusal) {
		login_refuse(c, l->refusal, "the gateway does not allow it");
		return;
	}
	m = l->out.failed ? NULL : response(c, LOGIN_SUCCESS);
	if (!m || !tx_misc_data(c, m, l->out_bytes, wr_len(&l->out))) {
		login_refuse(c, LOGIN_RESOURCES, "the answer does not fit");
		return;
	}
	if (l->transit) {
		m->bhs[1] |= FLAG_TRANSIT | l->nsg;
		l->csg = l->nsg;
	}
	if (l->proof)
		m->effect = EFFECT_PROOF_SENT;
	tx_queue(c, &m->job);
}

/* The initiator has nothing more to negotiate: what we insist on is there, or we offer it, since
 * either side may (RFC 7143 section 6.2), or there is no session. */
static bool has_what_we_insist_on(struct iscsi_connection *c)
{
	struct login *l = &c->login;

	if (keys_insisted(&c->keys))
		return true;
	if (l->csg == CSG_OPERATIONAL && keys_insist(&c->keys, &l->out)) {
		l->transit = false;
		login_reply(c);
	} else {
		login_refuse(c, LOGIN_INITIATOR_ERROR,
			     "it does not agree to CRC32C digests, which are required");
	}
	return false;
}

/* T is agreed to, but not out of the security stage before CHAP is done: RFC 7143 section 6.3. */
void login_advance(struct iscsi_connection *c)
{
	struct login *l = &c->login;

	if (l->csg == CSG_SECURITY && l->step != CHAP_PROVEN)
		l->transit = false;
	if (!l->transit || l->nsg != CSG_FULL || l->refusal) {
		login_reply(c);
		return;
	}
	if (!has_what_we_insist_on(c))
		return;
	l->ask = ASK_GRANT;
	c->i->ops->enter(c->i->host);
}

void iscsi_login_granted(struct iscsi_connection *c, const struct iscsi_grant *grant)
{
	struct login *l = &c->login;

	if (c->phase != PHASE_LOGIN || l->ask != ASK_GRANT)
		return;
	l->ask = ASK_NOTHING;
	l->tsih = grant->tsih;
	c->i->queue_depth = MIN(MAX(grant->queue_depth, 1u), c->i->limits.queue_depth);
	if (grant->target_alias && !c->i->discovery)
		text_put(&l->out, "TargetAlias", grant->target_alias);
	login_reply(c);
	if (c->phase == PHASE_LOGIN)
		ffp_start(c);
	rx_run(c->i);
}

void iscsi_login_refuse(struct iscsi_connection *c, uint16_t status)
{
	struct login *l = &c->login;

	if (c->phase != PHASE_LOGIN)
		return;
	l->refusal = status;
	if (l->ask == ASK_NOTHING) /* the next answer will be this */
		return;
	l->ask = ASK_NOTHING;
	login_reply(c);
}

void iscsi_login_redirect(struct iscsi_connection *c, uint16_t status, const char *address)
{
	(void)string_copy(c->login.moved_to, sizeof c->login.moved_to, address);
	iscsi_login_refuse(c, status);
}

/* --- requests ------------------------------------------------------------------------------- */

static void start(struct iscsi_connection *c, const struct pdu *pdu)
{
	struct login *l = &c->login;

	l->started = true;
	memcpy(l->isid, pdu->bhs + BHS_ISID, sizeof l->isid);
	l->tsih = pdu_u16(pdu, BHS_TSIH);
	l->cid = pdu_u16(pdu, BHS_CID);
	l->itt = pdu->itt;
	l->csg = pdu->flags >> 2 & 3;
	c->keys.joins = l->tsih != 0;
	c->i->expcmdsn = pdu->cmdsn;
	c->i->maxcmdsn = pdu->cmdsn - 1; /* shut until the session is there */
}

static bool other_version(const struct login *l, const struct pdu *pdu)
{
	(void)l;
	return pdu->bhs[3] > 0; /* Version-min */
}

static bool other_login(const struct login *l, const struct pdu *pdu)
{
	return memcmp(l->isid, pdu->bhs + BHS_ISID, sizeof l->isid) != 0 ||
	       pdu_u16(pdu, BHS_CID) != l->cid || pdu_u16(pdu, BHS_TSIH) != l->tsih ||
	       pdu->itt != l->itt;
}

static bool other_stage(const struct login *l, const struct pdu *pdu)
{
	return (pdu->flags >> 2 & 3) != l->csg || l->csg >= ARRAY_LEN(transitions);
}

static bool both_bits(const struct login *l, const struct pdu *pdu)
{
	(void)l;
	return (pdu->flags & FLAG_TRANSIT) && (pdu->flags & FLAG_CONTINUE);
}

static bool no_transition(const struct login *l, const struct pdu *pdu)
{
	return (pdu->flags & FLAG_TRANSIT) && !transitions[l->csg][pdu->flags & 3];
}

/* What is wrong with the fixed part of a request; the first row that applies. */
static const struct header_rule {
	bool (*broken)(const struct login *l, const struct pdu *pdu);
	enum login_status status;
	const char *why;
} header_rules[] = {
	/* clang-format off */
	{ other_version, LOGIN_VERSION,         "another version than 0 is asked for" },        /* 11.12.4 */
	{ other_login,   LOGIN_INITIATOR_ERROR, "ISID, TSIH, CID or task tag changed" },        /* 11.12.5 to 7 */
	{ other_stage,   LOGIN_INITIATOR_ERROR, "the stage is not the one that was agreed on" }, /* 11.12.3 */
	{ both_bits,     LOGIN_INITIATOR_ERROR, "T and C are both set" },                       /* 11.12.2 */
	{ no_transition, LOGIN_INITIATOR_ERROR, "no such transition of stages" },               /* 6.3 */
	/* clang-format on */
};

static enum login_status header_status(const struct login *l, const struct pdu *pdu,
				       const char **ret_why)
{
	for (size_t n = 0; n < ARRAY_LEN(header_rules); n++) {
		if (!header_rules[n].broken(l, pdu))
			continue;
		*ret_why = header_rules[n].why;
		return header_rules[n].status;
	}
	return LOGIN_SUCCESS;
}

/* A name is taken whole or not at all: a part of it would be another one's name. */
static enum login_status take_name(struct login *l, char name[ISCSI_NAME_SIZE],
				   const struct text_pair *pair)
{
	if (pair->value_len == 0 || pair->value_len > ISCSI_NAME_MAX)
		return LOGIN_INITIATOR_ERROR;
	if (l->names_told || name[0] != '\0')
		return strcmp(name, pair->value) == 0 ? LOGIN_SUCCESS : LOGIN_INITIATOR_ERROR;
	memcpy(name, pair->value, pair->value_len + 1);
	return LOGIN_SUCCESS;
}

static enum login_status take_session_type(struct login *l, const char *value)
{
	bool discovery = strcmp(value, "Discovery") == 0;

	if (!discovery && strcmp(value, "Normal") != 0)
		return LOGIN_SESSION_TYPE;
	if (discovery && l->tsih != 0) /* RFC 7143 section 13.21: it has one connection */
		return LOGIN_CANNOT_INCLUDE;
	if (l->names_told && discovery != l->names.discovery)
		return LOGIN_INITIATOR_ERROR;
	l->names.discovery = discovery;
	return LOGIN_SUCCESS;
}

static enum login_status take_text_key(struct login *l, const struct key *key,
				       const struct text_pair *pair)
{
	switch (key->id) {
	case KEY_INITIATOR_NAME:
		return take_name(l, l->names.initiator, pair);
	case KEY_TARGET_NAME:
		return take_name(l, l->names.target, pair);
	case KEY_SESSION_TYPE:
		return take_session_type(l, pair->value);
	default:
		chap_take(l, key, pair);
		return LOGIN_SUCCESS;
	}
}

static enum login_status take_pairs(struct iscsi_connection *c)
{
	struct login *l = &c->login;
	struct rd r = rd_over(c->text.bytes, c->text.len);
	enum key_stage stage = l->csg == CSG_SECURITY ? STAGE_SECURITY : STAGE_OPERATIONAL;
	enum login_status status = LOGIN_SUCCESS;
	struct text_pair pair;
	const struct key *key;
	int more;

	while ((more = text_next(&r, &pair)) > 0 && status == LOGIN_SUCCESS) {
		int whose = keys_take(&c->keys, stage, &pair, &key);

		if (whose < 0)
			return LOGIN_INITIATOR_ERROR;
		if (whose > 0)
			status = take_text_key(l, key, &pair);
	}
	c->text.len = 0;
	return more < 0 ? LOGIN_INITIATOR_ERROR : status;
}

/* The names are known from the first request on, or there is no login. */
static enum login_status tell_names(struct iscsi_connection *c)
{
	struct login *l = &c->login;

	if (l->names_told)
		return LOGIN_SUCCESS;
	if (l->names.initiator[0] == '\0' || (!l->names.discovery && l->names.target[0] == '\0'))
		return LOGIN_MISSING;
	l->names_told = true;
	c->i->discovery = c->keys.discovery = l->names.discovery;
	l->names.cid = l->cid;
	l->names.tsih = l->tsih;
	memcpy(l->names.isid, l->isid, sizeof l->isid);
	c->i->ops->names(c->i->host, &l->names);
	return LOGIN_SUCCESS;
}

static void declare(struct iscsi_connection *c)
{
	struct login *l = &c->login;

	/* RFC 7143 section 6.3.1: first of all, in sessions of either type */
	if (!l->tag_told)
		text_put_number(&l->out, "TargetPortalGroupTag", c->i->portal_group);
	l->tag_told = true;
	keys_answer(&c->keys, &l->out);
	if (l->csg == CSG_OPERATIONAL && !l->declared) {
		l->declared = true;
		text_put_number(&l->out, "MaxRecvDataSegmentLength", c->i->limits.max_recv_segment);
	}
}

/* A request is whole. */
static void act(struct iscsi_connection *c)
{
	struct login *l = &c->login;
	enum login_status status = take_pairs(c);

	if (status == LOGIN_SUCCESS)
		status = tell_names(c);
	if (status != LOGIN_SUCCESS) {
		login_refuse(c, (uint16_t)status, "its text is not acceptable");
		return;
	}
	/* The stage is left with a proof only, so who is here without one skipped it. */
	if (l->csg == CSG_OPERATIONAL && l->step != CHAP_PROVEN) {
		login_refuse(c, LOGIN_AUTHENTICATION, "it starts without authentication");
		return;
	}
	l->out = wr_over(l->out_bytes, sizeof l->out_bytes);
	l->proof = false;
	declare(c);
	if (l->csg == CSG_OPERATIONAL) {
		login_advance(c);
		return;
	}
	switch (chap_act(c)) {
	case CHAP_REPLY:
		login_advance(c);
		return;
	case CHAP_ASKED:
		return;
	default:
		login_refuse(c, LOGIN_AUTHENTICATION, "CHAP was not offered or not kept to");
		return;
	}
}

void login_run(struct iscsi_connection *c, struct pdu *pdu)
{
	struct login *l = &c->login;
	enum login_status status;
	const char *why;

	if (!l->started)
		start(c, pdu);
	status = header_status(l, pdu, &why);
	if (status == LOGIN_SUCCESS && ++l->pdus > LOGIN_PDUS_MAX) {
		why = "it takes too many PDUs";
		status = LOGIN_INITIATOR_ERROR;
	}
	if (status == LOGIN_SUCCESS && !text_append(&c->text, pdu->data, pdu->data_len)) {
		why = "its text is too long";
		status = LOGIN_INITIATOR_ERROR;
	}
	if (status != LOGIN_SUCCESS) {
		login_refuse(c, (uint16_t)status, why);
		return;
	}
	l->transit = (pdu->flags & FLAG_TRANSIT) != 0;
	l->nsg = pdu->flags & 3;
	if (l->refusal) {
		login_reply(c);
		return;
	}
	if (pdu->flags & FLAG_CONTINUE) { /* RFC 7143 section 6.2: answered with nothing */
		l->out = wr_over(l->out_bytes, sizeof l->out_bytes);
		l->proof = false;
		login_reply(c);
		return;
	}
	act(c);
}

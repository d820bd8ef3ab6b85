/* The login, seen from the session: it carries names and proofs to those who judge
 * them, and their verdicts back to the core. It decides nothing itself. */
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/session/session.h"

#define STATUS_MOVED	       0x0101
#define STATUS_INITIATOR_ERROR 0x0200
#define STATUS_UNAVAILABLE     0x0301

/* --- what the core asks --- */

void host_names(void *host, const struct iscsi_names *names)
{
	struct session *s = host;
	struct session_claim claim = {
		.discovery = names->discovery, .cid = names->cid, .tsih = names->tsih};

	memcpy(claim.isid, names->isid, sizeof claim.isid);
	(void)string_copy(claim.initiator, sizeof claim.initiator, names->initiator);
	(void)string_copy(claim.target, sizeof claim.target, names->target);
	s->discovery = names->discovery;
	s->joins = names->tsih != 0;
	session_tell(s, SESSION_CLAIM, &claim, sizeof claim);
}

static void refuse_unavailable(struct session *s)
{
	s->unavailable = true;
	iscsi_login_refuse(s->leading, STATUS_UNAVAILABLE);
}

static void ask_authenticator(struct session *s, uint32_t type, const void *body, size_t size)
{
	if (s->auth.fd < 0 || channel_send(&s->auth, type, body, size, NULL, 0) < 0)
		refuse_unavailable(s);
	else
		s->asked = true;
}

void host_chap_offer(void *host, const uint32_t *algorithms, size_t count)
{
	struct auth_offer offer = {0};

	offer.count = (uint32_t)MIN(count, ARRAY_LEN(offer.algorithms));
	memcpy(offer.algorithms, algorithms, offer.count * sizeof offer.algorithms[0]);
	ask_authenticator(host, AUTH_OFFER, &offer, sizeof offer);
}

void host_chap_proof(void *host, const struct iscsi_chap_proof *proof)
{
	struct auth_proof body = {
		/* A response of a length that no digest has is wrong; its octets don't matter. */
		.response_len = (uint32_t)proof->response_len,
		.has_challenge = proof->has_challenge,
		.id = proof->id,
		.challenge_len = (uint32_t)proof->challenge_len,
	};

	(void)string_copy(body.user, sizeof body.user, proof->name);
	memcpy(body.response, proof->response, MIN(proof->response_len, sizeof body.response));
	memcpy(body.challenge, proof->challenge, MIN(proof->challenge_len, sizeof body.challenge));
	ask_authenticator(host, AUTH_PROOF, &body, sizeof body);
}

/* The last answer is another process's: that of the session which this login joins. */
static void hand_over(struct session *s)
{
	struct iscsi_handover state;
	struct session_join body;

	_Static_assert(sizeof body.state == sizeof state, "all of it");
	if (iscsi_handover(s->leading, &state) < 0)
		return iscsi_login_refuse(s->leading, STATUS_INITIATOR_ERROR);
	memcpy(body.state, &state, sizeof state);
	session_tell(s, SESSION_JOIN, &body, sizeof body);
}

void host_enter(void *host)
{
	struct session *s = host;

	/* From here on the monitor bounds the time: it may wait for an older session's I/O. */
	loop_timer_clear(s->loop, &s->login_timer);
	if (s->joins)
		hand_over(s);
	else
		session_tell(s, SESSION_ENTER, NULL, 0);
}

/* --- the authenticator's answers --- */

static void accept_if_agreed(struct session *s)
{
	if (s->have_result && s->result.ok == 1 && s->permitted)
		iscsi_chap_accepted(s->leading, s->result.name, s->result.response,
				    MIN(s->result.response_len, sizeof s->result.response));
}

static void on_challenge(struct session *s, const struct message *m)
{
	struct auth_challenge challenge;

	memcpy(&challenge, m->body, sizeof challenge);
	s->asked = false;
	if (challenge.algorithm == CHAP_NONE)
		s->have_result = true; /* the monitor has it, too, and refuses */
	else
		iscsi_chap_challenge(s->leading, challenge.algorithm, (uint8_t)challenge.id,
				     challenge.challenge, sizeof challenge.challenge);
}

static void on_result(struct session *s, const struct message *m)
{
	memcpy(&s->result, m->body, sizeof s->result);
	s->asked = false;
	s->result.name[sizeof s->result.name - 1] = '\0';
	s->have_result = true;
	accept_if_agreed(s);
}

static void on_auth(struct watch *w, uint32_t ready)
{
	struct session *s = CONTAINER_OF(w, struct session, auth_watch);
	struct message m;
	int r;

	(void)ready;
	while ((r = channel_receive(&s->auth, &m)) > 0) {
		/* its connection has closed meanwhile, or its handshake waits no more */
		if (!s->leading || m.type == AUTH_SIGNATURE)
			continue;
		if (m.type == AUTH_CHALLENGE)
			on_challenge(s, &m);
		else
			on_result(s, &m);
	}
	if (r == 0)
		return;
	loop_unwatch(s->loop, &s->auth_watch);
	channel_close(&s->auth);
	if (!s->have_result && s->leading && !iscsi_is_full_feature(s->iscsi))
		refuse_unavailable(s);
}

/* --- the monitor's words --- */

static void on_start(struct session *s, struct message *m)
{
	if (s->started)
		return;
	memcpy(&s->start, m->body, sizeof s->start);
	s->started = true;
	if (!(s->start.flags & SESSION_START_TLS))
		loop_stop(s->loop); /* session_main() goes on with it */
}

static void on_tls(struct session *s, struct message *m)
{
	if (s->tls_ops)
		s->tls_ops->take(s, m);
	else
		loop_stop(s->loop); /* the wrong program was started: session_main() says so */
}

static void on_permit(struct session *s, struct message *m)
{
	struct session_permit body;
	struct iscsi_limits *l = &s->limits;

	memcpy(&body, m->body, sizeof body);
	l->digests_required = body.flags & SESSION_DIGESTS_REQUIRED;
	l->initial_r2t = body.flags & SESSION_INITIAL_R2T;
	l->immediate_data = body.flags & SESSION_IMMEDIATE_DATA;
	l->first_burst = body.first_burst;
	l->max_burst = body.max_burst;
	l->max_r2t = body.max_r2t;
	l->queue_depth = body.queue_depth;
	l->max_connections = s->tls ? 1 : body.max_connections;
	l->error_recovery = body.error_recovery;
	l->ping_every_ms = body.ping_every_ms;
	l->ping_misses = body.ping_misses;
	if (iscsi_set_limits(s->iscsi, l) < 0)
		return session_end(s, SESSION_END_FAILED, "the limits can't be kept to");
	s->permitted = true;
	accept_if_agreed(s);
}

static void on_refuse(struct session *s, struct message *m)
{
	struct session_verdict verdict;

	memcpy(&verdict, m->body, sizeof verdict);
	s->refusal_known = true;
	if (!s->leading) /* it has left */
		return;
	if (verdict.status == STATUS_MOVED)
		iscsi_login_redirect(s->leading, STATUS_MOVED, verdict.redirect);
	else
		iscsi_login_refuse(s->leading, (uint16_t)verdict.status);
}

static void on_audit_socket(struct watch *w, uint32_t ready)
{
	struct session *s = CONTAINER_OF(w, struct session, audit_watch);

	(void)ready;
	s->nexus.now_ms = loop_now_ms(s->loop);
	s->nexus.now_us = clock_us();
	if (audit_ring_woken(&s->ring) < 0) {
		loop_unwatch(s->loop, &s->audit_watch);
		s->audit_watch.fd = -1;
		audit_ring_rewake(&s->ring, -1);
	}
	host_audit_moved(s);
}

static void audit_socket_take(struct session *s, struct message *m)
{
	int fd = m->fds[0];

	m->fds[0] = -1;
	if (s->audit_watch.fd >= 0)
		loop_unwatch(s->loop, &s->audit_watch);
	audit_ring_rewake(&s->ring, fd);
	s->audit_watch = (struct watch){.fd = fd, .events = EPOLLIN, .run = on_audit_socket};
	if (loop_watch(s->loop, &s->audit_watch) < 0)
		session_end(s, SESSION_END_FAILED, "epoll");
}

static void groups_take(struct scsi_nexus *n, const struct session_grant *body)
{
	_Static_assert(SESSION_GROUPS_MAX == ARBITER_GROUPS, "all of them");
	n->group_count = 0;
	for (unsigned k = 0; k < SESSION_GROUPS_MAX && body->groups[k].tag != 0; k++)
		n->groups[n->group_count++] =
			(struct scsi_port_group){body->groups[k].port, body->groups[k].tag};
}

static void on_grant(struct session *s, struct message *m)
{
	struct session_grant body;
	struct iscsi_grant grant = {0};

	memcpy(&body, m->body, sizeof body);
	/* without its rules, everything would be allowed; and nothing would wait for its record */
	if (!body.discovery && (!s->ruled || s->nexus.records.durability == DURABILITY_INVALID))
		return session_end(s, SESSION_END_FAILED, "it was not told what is denied");
	(void)string_copy(s->nexus.target, sizeof s->nexus.target, body.target);
	(void)string_copy(s->nexus.initiator, sizeof s->nexus.initiator, body.initiator);
	s->nexus.portal_group = (uint16_t)s->start.portal_group;
	s->nexus.relative_port = body.relative_port;
	groups_take(&s->nexus, &body);
	s->arbiter.nexus = body.nexus;
	scsi_nexus_began(&s->nexus, body.attention);
	grant.tsih = body.tsih;
	grant.queue_depth = body.queue_depth;
	grant.target_alias = body.alias[0] ? body.alias : NULL;
	s->granted = true;
	s->connections = 1;
	iscsi_login_granted(s->leading, &grant);
	s->nexus.protocol_level = iscsi_protocol_level(s->iscsi);
}

static void on_adopt(struct session *s, struct message *m)
{
	struct iscsi_handover state;
	struct iscsi_connection *c;
	int r;

	memcpy(&state, m->body, sizeof state);
	if (!s->ending)
		iscsi_tick(s->iscsi, loop_now_ms(s->loop)); /* it may take another's place */
	r = s->ending ? -ESHUTDOWN : s->tls ? -EPERM : iscsi_adopt(s->iscsi, &state, &c);
	if (r < 0)
		return log_warning("a connection can't join this session: %s", strerror(-r));
	if (transport_open(s, fd_take(&m->fds[0]), c) < 0)
		session_end(s, SESSION_END_FAILED, "a joined connection can't be watched");
}

/* Who was asked to log out and has not: it is told, and the session ends. */
static void on_grace_over(struct timer *t)
{
	struct session *s = CONTAINER_OF(t, struct session, grace_timer);

	iscsi_say_dropped(s->iscsi);
	session_end(s, SESSION_END_TOLD, "");
}

static void on_logout(struct session *s, struct message *m)
{
	struct session_logout body;

	memcpy(&body, m->body, sizeof body);
	if (!iscsi_is_full_feature(s->iscsi))
		return session_end(s, SESSION_END_TOLD, "");
	iscsi_ask_logout(s->iscsi, (uint16_t)body.seconds);
	s->grace_timer.run = on_grace_over;
	loop_timer_set(s->loop, &s->grace_timer, clock_ms() + 1000ull * body.seconds);
}

static void (*const handlers[])(struct session *s, struct message *m) = {
	[SESSION_START] = on_start,
	[SESSION_PERMIT] = on_permit,
	[SESSION_REFUSE] = on_refuse,
	[SESSION_TARGETS] = host_targets_take,
	[SESSION_LUN] = host_lun_take,
	[SESSION_RULES] = host_rules_take,
	[SESSION_RECORDS] = host_records_take,
	[SESSION_GRANT] = on_grant,
	[SESSION_AUDIT] = audit_socket_take,
	[SESSION_ARBITER] = host_arbiter_take,
	[SESSION_ADOPT] = on_adopt,
	[SESSION_LOGOUT] = on_logout,
	[SESSION_SETTINGS] = host_settings_take,
	[SESSION_LIMITS] = host_limits_take,
	[SESSION_TLS] = on_tls,
	[SESSION_PROXY_TAKEN] = first_taken,
};

/* A login whose connection has closed hears no verdict any more. */
static bool is_timely(const struct session *s, uint32_t type)
{
	bool of_login = type == SESSION_PERMIT || type == SESSION_REFUSE || type == SESSION_GRANT;

	return type == SESSION_START || (s->started && (s->leading || !of_login));
}

static uint32_t last_before_sandbox(const struct session *s)
{
	return s->start.flags & SESSION_START_TLS ? SESSION_TLS : SESSION_START;
}

static void on_monitor(struct watch *w, uint32_t ready)
{
	struct session *s = CONTAINER_OF(w, struct session, monitor_watch);
	struct message m;
	int r;

	(void)ready;
	while ((r = channel_receive(&s->monitor, &m)) > 0) {
		if (is_timely(s, m.type))
			handlers[m.type](s, &m);
		message_close_fds(&m);
		/* What follows it waits until there is a connection. */
		if (!s->iscsi && m.type == last_before_sandbox(s))
			return;
	}
	if (r < 0)
		_exit(0); /* the monitor is gone, and with it everything */
}

int host_watch(struct session *s)
{
	channel_open(&s->monitor, SESSION_FD_MONITOR, session_inbox, session_inbox_len);
	channel_open(&s->auth, SESSION_FD_AUTH, auth_session_outbox, auth_session_outbox_len);
	s->audit_watch.fd = s->arbiter_channel.fd = -1;
	s->monitor_watch = (struct watch){s->monitor.fd, EPOLLIN, on_monitor};
	s->auth_watch = (struct watch){s->auth.fd, EPOLLIN, on_auth};
	return loop_watch(s->loop, &s->monitor_watch);
}

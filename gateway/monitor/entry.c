/* Who enters: the authenticator's word and the policy decide, never the session's. A
 * login that may enter waits for the lifeline of the session that it replaces and for
 * its own audit event to be durable; then its disks are opened afresh and granted. */
#include <stdio.h>
#include <string.h>
#include "auth/auth.h"
#include "gateway/arbiter/record.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/bans.h"
#include "policy/iscsi_name.h"

/* RFC 7143 section 11.13.5 */
enum login_status {
	STATUS_ITS_OWN = 0,    /* the session has its answer, and waits for its record */
	STATUS_MOVED = 0x0101, /* temporarily */
	STATUS_AUTH_FAILED = 0x0201,
	STATUS_NOT_FOUND = 0x0203,
	STATUS_NO_SESSION = 0x020a,
	STATUS_UNAVAILABLE = 0x0301,
	STATUS_NO_RESOURCES = 0x0302,
};

#define REFUSED_WAIT_MS 3000 /* for the session to answer and to end */

static void on_refused_too_long(struct timer *t)
{
	connection_kill(CONTAINER_OF(t, struct connection, timer), "refused-and-stayed");
}

/* When the event is durable (P2); but the answer that the audit is away does not wait for it, nor
 * does one that is only counted. */
static void refusal_answer(struct connection *c)
{
	if (c->refusal_id > c->m->trail.written && trail_well(c->m))
		return;
	c->refusal_waits = false;
	connection_timer(c, REFUSED_WAIT_MS, on_refused_too_long);
	connection_send(c, SESSION_REFUSE, &c->refusal, sizeof c->refusal, -1);
}

void entry_refuse(struct connection *c, uint16_t status, const char *reason, const char *detail)
{
	c->refused = c->refusal_waits = true;
	c->refusal = (struct session_verdict){.status = status};
	if (status == STATUS_MOVED)
		(void)string_copy(c->refusal.redirect, sizeof c->refusal.redirect,
				  c->target->redirect);
	c->refusal_id = trail_refusal(c->m, c, c->decoy ? "decoy" : reason, detail);
	if ((status == STATUS_AUTH_FAILED || status == STATUS_ITS_OWN) && !c->decoy)
		(void)bans_failure(c->m, c, reason);
	connection_timer(c, REFUSED_WAIT_MS, on_refused_too_long);
	refusal_answer(c);
}

/* --- after CHAP --- */

void entry_claim(const struct connection *c, struct claim *ret_claim)
{
	*ret_claim = (struct claim){
		.from = c->peer.ip,
		.proxy = c->behind.proxy.ip,
		.portal = c->portal,
		.user = c->user,
		.initiator = c->initiator_name,
		.target = c->claim.discovery ? NULL : c->target_name,
		.certificate = connection_tls_claim(c),
		.lun = -1,
		.now_s = clock_wall_s(),
	};
}

/* The names as the policy has them. A name that is none can't be in the policy either. */
static bool names_normalise(struct connection *c)
{
	const char *why;

	if (iscsi_name_normalise(c->claim.initiator, c->initiator_name, &why) < 0) {
		c->initiator_name[0] = '\0';
		entry_refuse(c, STATUS_AUTH_FAILED, "bad-initiator-name", why);
		return false;
	}
	if (!c->claim.discovery &&
	    iscsi_name_normalise(c->claim.target, c->target_name, &why) < 0) {
		c->target_name[0] = '\0';
		entry_refuse(c, STATUS_NOT_FOUND, "bad-target-name", why);
		return false;
	}
	return true;
}

static bool is_moved(const struct connection *c)
{
	return c->target != NULL && c->target->redirect[0] != '\0';
}

static void permit(struct connection *c)
{
	const struct policy *p = c->m->policy;
	const struct policy_limits *l = c->target ? &c->target->limits : &p->discovery;
	struct session_permit body = {
		/* Who goes elsewhere has no data here to protect. */
		.flags = (l->digests_required && !is_moved(c) ? SESSION_DIGESTS_REQUIRED : 0) |
			 (l->initial_r2t ? SESSION_INITIAL_R2T : 0) |
			 (l->immediate_data ? SESSION_IMMEDIATE_DATA : 0),
		.first_burst = l->first_burst,
		.max_burst = l->max_burst,
		.max_r2t = l->max_r2t,
		.queue_depth = l->queue_depth,
		.max_connections = c->tls != NULL ? 1 : l->max_connections,
		.error_recovery = l->error_recovery,
		.ping_every_ms = p->ping_every_ms,
		.ping_misses = p->ping_misses,
	};

	connection_become(c, CONN_PERMITTED);
	connection_send(c, SESSION_PERMIT, &body, sizeof body, -1);
}

static const char *reason_of(const struct auth_verdict *verdict)
{
	return verdict->reason < AUTH_REASONS ? auth_reason_name(verdict->reason) : "broken";
}

static void judged_late(struct connection *c, const struct auth_verdict *verdict)
{
	if (verdict->reason == AUTH_OK || c->decoy)
		return;
	(void)trail_refusal(c->m, c, reason_of(verdict), "");
	(void)bans_failure(c->m, c, reason_of(verdict));
}

void entry_verdict(struct connection *c, const struct auth_verdict *verdict)
{
	struct decision decision;
	char detail[256];
	struct claim claim;

	connection_drain(c); /* the claim was sent before the proof, on another channel */
	if (c->state != CONN_LOGIN || c->judged)
		return;
	c->judged = true;
	(void)string_copy(c->user, sizeof c->user, verdict->user);
	if (verdict->reason >= AUTH_JOIN_CLOSED && verdict->reason <= AUTH_JOIN_FAILED) {
		(void)string_copy(c->initiator_name, sizeof c->initiator_name, c->user);
		c->user[0] = '\0';
	}
	c->algorithm = (uint8_t)verdict->algorithm;
	c->secret = (uint8_t)verdict->secret;
	if (c->refused) /* without waiting for it: a guess counts all the same */
		return judged_late(c, verdict);
	if (verdict->reason != AUTH_OK)
		return entry_refuse(c, STATUS_AUTH_FAILED, reason_of(verdict), "");
	if (!c->claimed)
		return entry_refuse(c, STATUS_AUTH_FAILED, "no-names", "");
	if (!names_normalise(c))
		return;
	/* It knows the secret, and may be made to say so in a way that can be guessed from. */
	if (algorithm_is_weaker(c, detail, sizeof detail))
		return entry_refuse(c, STATUS_AUTH_FAILED, "weaker-than-before", detail);
	entry_claim(c, &claim);
	policy_decide(c->m->policy, &claim, &decision);
	if (!decision.allowed) {
		const struct verdict *v = &decision.verdicts[decision.layer];
		uint16_t status = decision.identity ? STATUS_NOT_FOUND : STATUS_AUTH_FAILED;

		c->target_name[0] = '\0';
		return entry_refuse(c, status, v->reason, v->text);
	}
	/* It was under way when its source was banned: a guess that is right is one guess more. */
	if (bans_refuse(c->m, &c->peer.ip))
		return entry_refuse(c, STATUS_AUTH_FAILED, "banned", "");
	c->target = decision.target;
	c->initiator = decision.initiator;
	if (c->claim.tsih != 0 && join_session(c) == NULL)
		return entry_refuse(c, STATUS_NO_SESSION, "no-such-session", "");
	permit(c);
}

/* --- session reinstatement, RFC 7143 section 6.3.5 --- */

bool entry_same_nexus(const struct connection *a, const struct connection *b)
{
	return a != b && strcmp(a->target_name, b->target_name) == 0 &&
	       a->portal_tag == b->portal_tag &&
	       memcmp(a->claim.isid, b->claim.isid, sizeof a->claim.isid) == 0 &&
	       strcmp(a->initiator_name, b->initiator_name) == 0 && !b->claim.discovery;
}

/* Ends the session that this login replaces; true while its I/O is not over. */
static bool older_lives(struct connection *c)
{
	bool lives = false;

	for (uint32_t k = 0; k < c->m->connection_max && !c->claim.discovery && !c->join; k++) {
		struct connection *old = &c->m->connections[k];

		if ((old->state != CONN_GRANTED && old->state != CONN_ENDING) ||
		    !entry_same_nexus(c, old) || (old->pid == 0 && old->lifeline.fd < 0))
			continue;
		lives = true;
		if (old->pid != 0)
			connection_kill(old, "replaced-by-a-new-login");
	}
	return lives;
}

static void on_reinstate_too_long(struct timer *t)
{
	struct connection *c = CONTAINER_OF(t, struct connection, timer);

	/* It has an event once the older session's I/O was over. */
	entry_refuse(c, STATUS_UNAVAILABLE,
		     c->event_id == 0			? "older-session-still-has-io"
		     : c->seat == SEAT_TAKEN || c->join ? "audit-away"
							: "arbiter-away",
		     "");
}

/* --- how many --- */

/* Those that are here, and those that are about to be. The one that this login replaces makes
 * room. */
static bool has_room(struct connection *c, char *ret_detail, size_t size)
{
	uint32_t most = c->initiator != NULL ? c->initiator->sessions : 0, count = 0;

	for (uint32_t k = 0; k < c->m->connection_max && most > 0; k++) {
		const struct connection *other = &c->m->connections[k];

		if (other == c || other->claim.discovery || other->join != NULL || other->refused ||
		    entry_same_nexus(c, other) ||
		    (other->state != CONN_GRANTED &&
		     (other->state != CONN_ENTERING || other->event_id == 0)))
			continue;
		count += strcmp(other->target_name, c->target_name) == 0 &&
			 strcmp(other->initiator_name, c->initiator_name) == 0;
	}
	(void)snprintf(ret_detail, size, "it has %u, and may have %u", count, most);
	return most == 0 || count < most;
}

/* --- the grant --- */

static void groups_put(const struct connection *c, struct session_grant *body)
{
	for (size_t k = 0; k < SESSION_GROUPS_MAX && c->groups[k] != 0; k++) {
		body->groups[k].tag = c->groups[k];
		body->groups[k].port = arbiter_port_id(c->target_name, c->groups[k]);
	}
}

static void grant(struct connection *c)
{
	struct session_grant body = {
		.discovery = c->claim.discovery,
		.queue_depth = c->target ? c->target->limits.queue_depth
					 : c->m->policy->discovery.queue_depth,
		.relative_port = c->portal_tag, /* a SCSI port is a portal group */
	};
	uint64_t port = arbiter_port_id(c->target_name, body.relative_port);
	int count = 0;

	body.nexus = arbiter_nexus_id(c->initiator_name, c->claim.isid, port);
	body.attention = c->claim.discovery ? 0 : nexus_begins(&c->m->nexuses, body.nexus);
	c->tsih = body.tsih = tsih_take(c);
	(void)string_copy(body.target, sizeof body.target, c->target_name);
	(void)string_copy(body.initiator, sizeof body.initiator, c->initiator_name);
	if (c->target != NULL && c->target->alias != NULL)
		(void)string_copy(body.alias, sizeof body.alias, c->target->alias);
	if (!c->claim.discovery) {
		groups_put(c, &body);
		rules_send(c);
		records_send(c);
		count = grants_send(c);
	}
	if (count < 0 || c->tsih == 0 || targets_send(c) < 0)
		return entry_refuse(c, STATUS_NO_RESOURCES, "no-resources", "");
	body.lun_count = (uint32_t)count;
	loop_timer_clear(c->m->loop, &c->timer);
	fd_close(&c->kept_fd);
	c->connections = 1;
	connection_become(c, CONN_GRANTED);
	limits_share(c);
	connection_send(c, SESSION_GRANT, &body, sizeof body, -1);
	listen_admit(c->m);
}

static void say_login(const struct connection *c)
{
	const char *kind = c->claim.discovery ? "discovery" : c->join ? "connection" : "login";
	char peer[ADDRESS_TEXT], proxy[PROXIED_TEXT] = "";

	proxied_tell(c, proxy, sizeof proxy);
	log_notice("%s: %s as user %s from %s (%s)%s%s%s%s", kind, c->initiator_name, c->user,
		   endpoint_show(&c->peer, peer), chap_algorithm_name(c->algorithm),
		   c->claim.discovery ? "" : " into ", c->claim.discovery ? "" : c->target_name,
		   proxy[0] ? ", " : "", proxy);
}

/* While a rotation's overlap lasts: who still has the old secret is to be given the new one. */
static const char *const secrets_used[] = {
	[AUTH_SECRET_ONLY] = "",
	[AUTH_SECRET_NEW] = "; secret: the one of the last rotation",
	[AUTH_SECRET_OLD] = "; secret: the one before the last rotation",
};

#define SECRET_USED_SIZE 64

static const char *secret_used(const struct connection *c)
{
	return c->secret < ARRAY_LEN(secrets_used) ? secrets_used[c->secret] : "";
}

/* The event comes first: the login is durable in the audit before its effect. The auditor has the
 * ring by then, since it takes its messages in order. */
static void put_event(struct connection *c, const struct connection *joined)
{
	char tls[CONNECTION_TLS_TEXT];
	struct audit_event e;
	size_t luns = 0;

	event_from_connection(&e, c->claim.discovery ? EVENT_DISCOVERY : EVENT_LOGIN, c);
	(void)string_copy(e.reason, sizeof e.reason, joined != NULL ? "joined" : "granted");
	if (c->initiator != NULL)
		e.policy_line = c->initiator->line;
	(void)connection_tls_text(c, tls);
	if (joined != NULL)
		(void)snprintf(e.detail, sizeof e.detail, "session %u of target %s%s", joined->id,
			       c->target->name, secret_used(c));
	else if (c->target != NULL && c->initiator != NULL)
		luns = grants_text(c, 0, e.detail,
				   sizeof e.detail - SECRET_USED_SIZE - strlen(tls) - PROXIED_TEXT);
	else if (c->secret != AUTH_SECRET_ONLY || tls[0] != '\0')
		(void)snprintf(e.detail, sizeof e.detail, "discovery%s%s", secret_used(c), tls);
	if (c->target != NULL && joined == NULL) {
		size_t used = strlen(e.detail);

		(void)snprintf(e.detail + used, sizeof e.detail - used, "%s%s%s",
			       used ? "" : "no LUNs", secret_used(c), tls);
		grants_tell(c, luns);
	}
	proxied_tell(c, e.detail, sizeof e.detail);
	c->event_id = trail_put(c->m, &e);
	seen_note(c->m, c->initiator_name);
	say_login(c);
}

static void go_on(struct connection *c)
{
	struct connection *joined;
	char detail[64];

	/* Who is being ended has gone as far as it will: its socket may have been passed on. */
	if (c->refused || c->pid == 0 || c->ended[0] != '\0')
		return;
	/* First: while nobody can be granted, the older session is not ended for nothing. */
	if (c->event_id == 0 && !trail_well(c->m))
		return entry_refuse(c, STATUS_UNAVAILABLE, "audit-away", "");
	if (c->event_id == 0 && c->m->trail.told.room >= ROOM_REFUSE)
		return entry_refuse(c, STATUS_UNAVAILABLE, "audit-no-room", "");
	if (c->event_id == 0 && !c->m->helpers[HELPER_ARBITER].ready)
		return entry_refuse(c, STATUS_UNAVAILABLE, "arbiter-away", "");
	if (c->event_id == 0 && !c->claim.discovery && !c->join &&
	    !has_room(c, detail, sizeof detail))
		return entry_refuse(c, STATUS_NO_RESOURCES, "too-many-sessions", detail);
	if (older_lives(c))
		return;
	joined = c->join ? join_session(c) : NULL;
	if (c->join && joined == NULL)
		return entry_refuse(c, STATUS_NO_SESSION, "no-such-session", "");
	if (c->event_id == 0) {
		if (!c->claim.discovery && !c->join && ring_attach(c) < 0)
			return entry_refuse(c, STATUS_UNAVAILABLE, "audit-away", "");
		if (!c->claim.discovery && !c->join && (grants_decide(c) < 0 || seat_take(c) < 0))
			return entry_refuse(c, STATUS_UNAVAILABLE, "arbiter-away", "");
		if (algorithm_remember(c) < 0)
			return entry_refuse(c, STATUS_UNAVAILABLE, "algorithm-not-remembered", "");
		connection_timer(c, REINSTATE_WAIT_MS, on_reinstate_too_long);
		put_event(c, joined);
		if (c->event_id == 0)
			return entry_refuse(c, STATUS_UNAVAILABLE, "audit-away", "");
	}
	if (c->m->trail.written < c->event_id)
		return;
	if (joined != NULL)
		join_pass(c, joined);
	else if (c->claim.discovery || c->seat == SEAT_TAKEN)
		grant(c);
}

/* A redirect comes at the end of the login: by then the initiator has our proof, and sends its next
 * login where the right gateway says, and nobody else. RFC 7143 section 11.13.5. */
void entry_enter(struct connection *c)
{
	const char *closed;
	uint32_t line;

	if (c->outdated)
		return entry_refuse(c, STATUS_UNAVAILABLE, "policy-changed", "");
	if ((closed = hours_closed(c, &line)) != NULL)
		return entry_refuse(c, STATUS_AUTH_FAILED, closed, "");
	if (is_moved(c))
		return entry_refuse(c, STATUS_MOVED, "redirected", c->target->redirect);
	connection_timer(c, REINSTATE_WAIT_MS, on_reinstate_too_long);
	go_on(c);
}

void entries_go_on(struct monitor *m)
{
	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];

		if (c->refusal_waits)
			refusal_answer(c);
		else if (c->state == CONN_ENTERING)
			go_on(c);
	}
}

/* What becomes of each connection when another policy is in force. Who is here and stays allowed as
 * he is does not notice; who gets more gets it now; rules bind at once; whose descriptors are more
 * than he may have is asked to log out, and ended after the policy's grace. Logins that were
 * judged by the policy before are judged again. Runs in the monitor; what a policy does to a
 * session, policy/diff.h says. */
#include <stdio.h>
#include "gateway/base/log.h"
#include "gateway/monitor/reload.h"

#define STATUS_UNAVAILABLE 0x0301 /* RFC 7143 section 11.13.5 */
#define POLICY_CHANGED	   "policy-changed"

/* --- where it came in --- */

static void portal_find(struct connection *c)
{
	const struct policy *p = c->m->policy;

	c->portal = NO_PORTAL;
	for (size_t k = 0; k < p->portal_count; k++) {
		if (strcmp(p->portals[k].name, c->portal_name) == 0)
			c->portal = k;
	}
}

static bool portal_is_another(const struct connection *c)
{
	return c->portal == NO_PORTAL || c->m->portal_tags[c->portal] != c->portal_tag;
}

static void entry_find(struct connection *c)
{
	struct decision decision;
	struct claim claim;

	c->target = NULL;
	c->initiator = NULL;
	entry_claim(c, &claim);
	claim.now_s = 0; /* hours.c ends who has no grant now, and says why */
	policy_decide(c->m->policy, &claim, &decision);
	if (!decision.allowed)
		return;
	c->target = decision.target;
	c->initiator = decision.initiator;
}

/* --- logins --- */

/* What was answered already is what the new policy would have answered. */
static bool is_as_permitted(const struct connection *c, const struct policy_target *was,
			    const struct policy *before)
{
	const struct policy *now = c->m->policy;
	const struct policy_limits *old = was ? &was->limits : &before->discovery;
	const struct policy_limits *is = c->target ? &c->target->limits : &now->discovery;

	if (c->initiator == NULL || (c->target == NULL) != (was == NULL))
		return false;
	if (was != NULL && strcmp(was->redirect, c->target->redirect) != 0)
		return false;
	return old->digests_required == is->digests_required &&
	       old->initial_r2t == is->initial_r2t && old->immediate_data == is->immediate_data &&
	       old->first_burst == is->first_burst && old->max_burst == is->max_burst &&
	       old->max_r2t == is->max_r2t && old->queue_depth == is->queue_depth &&
	       old->max_connections == is->max_connections &&
	       old->error_recovery == is->error_recovery &&
	       before->ping_every_ms == now->ping_every_ms &&
	       before->ping_misses == now->ping_misses;
}

/* The arbiter has heard of these LUNs, if of any; of the groups that it may set it hears again. */
static bool grants_are_same(struct connection *c)
{
	struct granted_lun *was = c->luns;
	size_t count = c->lun_count;
	bool same, set_groups = c->sets_groups;

	if (was == NULL)
		return true;
	c->luns = NULL;
	same = grants_decide(c) == 0 && c->lun_count == count;
	for (size_t k = 0; same && k < count; k++)
		same = was[k].lun == c->luns[k].lun && was[k].row == c->luns[k].row &&
		       was[k].may == c->luns[k].may;
	if (same) {
		free(was);
		c->seat_more = c->seat_more || c->sets_groups != set_groups;
		return true;
	}
	free(c->luns);
	c->luns = was;
	c->lun_count = count;
	return false;
}

static void effect_find(const struct connection *c, const struct policy *before,
			struct effect_result *ret)
{
	struct effect_lun luns[POLICY_LUNS_MAX];
	struct effect_session s = {
		.portal = c->portal_name,
		.local = c->local,
		.from = c->peer.ip,
		.proxy = c->behind.proxy.ip,
		.user = c->user,
		.algorithm = c->algorithm,
		.initiator = c->initiator_name,
		.certificate = connection_tls_claim(c),
		.target = c->claim.discovery ? NULL : c->target_name,
		.luns = luns,
	};

	for (size_t k = 0; k < c->lun_count; k++) {
		if (c->luns[k].told || c->luns[k].is_new)
			luns[s.lun_count++] = (struct effect_lun){c->luns[k].lun, c->luns[k].may};
	}
	policy_effect(before, c->m->policy, &s, ret);
}

/* What it has proved, it proved for the policy before: a session that began with it would have to
 * log in again. Who is sent elsewhere gets nothing here. */
static bool proof_holds(const struct connection *c, const struct policy *before)
{
	struct effect_result r;

	if (c->target != NULL && c->target->redirect[0] != '\0')
		return true;
	effect_find(c, before, &r);
	return r.effect != EFFECT_AGAIN && r.effect != EFFECT_ENDS;
}

/* An answer to it is due when it enters: in the midst of its negotiation none can be given. */
static void login_swap(struct connection *c, const struct policy *before)
{
	const struct policy_target *was = c->target;

	entry_find(c);
	if (c->refused || (!portal_is_another(c) && is_as_permitted(c, was, before) &&
			   proof_holds(c, before) && grants_are_same(c)))
		return;
	c->outdated = true;
	if (c->state == CONN_ENTERING)
		entry_refuse(c, STATUS_UNAVAILABLE, POLICY_CHANGED, "");
}

/* --- sessions --- */

/* On its way out, with a time at which it is ended: rules bind it until then, if it has an entry.
 */
static void session_leaves(struct connection *c)
{
	entry_find(c);
	if (c->initiator != NULL && !c->claim.discovery)
		rules_send(c);
	c->target = NULL;
	c->initiator = NULL;
}

/* Whose certificate is good no more ends at once: its session looks at what it is given, and says
 * the same word. That it would not is what the grace is for. */
static bool ends_itself(const char *reason)
{
	static const char *const words[] = {"tls-revoked", "tls-unknown-ca", "tls-crl"};

	for (size_t k = 0; k < ARRAY_LEN(words); k++)
		if (strcmp(words[k], reason) == 0)
			return true;
	return false;
}

static void session_end(struct connection *c, const char *reason, const char *text)
{
	char why[sizeof c->ended];
	bool itself = ends_itself(reason);

	(void)snprintf(why, sizeof why, "%s%s", itself ? "" : "policy-", reason);
	log_notice("session %u of %s %s %u s: %s", c->id, c->initiator_name,
		   itself ? "ends, within" : "is asked to log out, and ends in",
		   c->m->policy->grace_ms / 1000, text);
	connection_ask_out(c, why);
	session_leaves(c);
}

/* More than it has, in what the new policy gives. */
static void session_say(const struct connection *c, const struct effect_result *r)
{
	log_notice("session %u of %s: %s", c->id, c->initiator_name, r->text);
	trail_say(c->m, EVENT_POLICY, effect_name(r->effect), "session %u of %s into %s: %.200s",
		  c->id, c->initiator_name, c->target_name, r->text);
}

static void settings_send(struct connection *c, const struct policy *before)
{
	const struct policy *p = c->m->policy;
	struct session_settings body = {
		.ping_every_ms = p->ping_every_ms,
		.ping_misses = p->ping_misses,
	};

	if (p->ping_every_ms != before->ping_every_ms || p->ping_misses != before->ping_misses)
		connection_send(c, SESSION_SETTINGS, &body, sizeof body, -1);
}

/* What of its rows the policies alone can't tell: a file that was put in the place of another. */
static void session_keep(struct connection *c, const struct policy *before,
			 const struct effect_result *r, struct swapped *ret)
{
	entry_find(c);
	if (portal_is_another(c) || c->initiator == NULL) {
		ret->ended++;
		return session_end(c, "portal-changed", "its portal is another now");
	}
	if (!c->claim.discovery && grants_widen(c) < 0) {
		ret->ended++;
		return session_end(c, "disk-replaced", "a disk of it is another now");
	}
	settings_send(c, before);
	if (!c->claim.discovery)
		limits_tell(c);
	if (targets_renew(c) < 0)
		log_warning("session %u is told of its targets as they were before", c->id);
	if (r->effect == EFFECT_NONE) {
		ret->kept++;
		return;
	}
	ret->changed++;
	session_say(c, r);
	if (r->effect == EFFECT_WIDENED)
		grants_tell(c, 0);
}

static void session_swap(struct connection *c, const struct policy *before, struct swapped *ret)
{
	struct effect_result r;

	if (connection_leaves(c))
		return session_leaves(c);
	effect_find(c, before, &r);
	if (r.effect != EFFECT_AGAIN && r.effect != EFFECT_ENDS)
		return session_keep(c, before, &r, ret);
	ret->ended++;
	session_end(c, r.reason, r.text);
}

/* --- all of them --- */

static void waiting_swap(struct connection *c)
{
	if (portal_is_another(c))
		connection_free(c);
}

static void connection_swap(struct connection *c, const struct policy *before, struct swapped *ret)
{
	switch (c->state) {
	case CONN_WAITING:
	case CONN_ASKING:
		return waiting_swap(c);
	case CONN_LOGIN: /* judged by this policy, when its proof comes; or refused */
		c->target = NULL;
		c->initiator = NULL;
		if (portal_is_another(c))
			connection_kill(c, POLICY_CHANGED);
		return;
	case CONN_PERMITTED:
	case CONN_ENTERING:
		return login_swap(c, before);
	case CONN_GRANTED:
		return session_swap(c, before, ret);
	default:
		c->target = NULL;
		c->initiator = NULL;
	}
}

/* All of them first: one that is freed gives its place to another, wherever that one stands. */
static void connection_place_again(struct connection *c)
{
	portal_find(c);
	proxied_place(c);
}

void connections_swap(struct monitor *m, const struct policy *before, struct swapped *ret)
{
	*ret = (struct swapped){0};
	for (uint32_t k = 0; k < m->connection_max; k++) {
		if (m->connections[k].state != CONN_FREE)
			connection_place_again(&m->connections[k]);
	}
	for (uint32_t k = 0; k < m->connection_max; k++) {
		if (m->connections[k].state != CONN_FREE)
			connection_swap(&m->connections[k], before, ret);
	}
	for (uint32_t k = 0; k < m->connection_max; k++) {
		if (m->connections[k].state != CONN_FREE && m->connections[k].pid != 0)
			connection_tls_tell(&m->connections[k]);
	}
}

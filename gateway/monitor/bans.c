/* Bans: decided by auth/penalties, put into the firewall (new connections only), and kept at accept
 * and at the end of each login in any case. Whoever is under way when its source is banned gets no
 * further; a session that is there goes on. */
#include <stdio.h>
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/monitor/bans.h"
#include "policy/firewall.h"

void bans_rules(struct monitor *m)
{
	const struct policy *p = m->policy;
	struct penalty_rules *r = &m->penalties.rules;

	*r = (struct penalty_rules){.after = p->ban_after,
				    .within_s = p->ban_within_s,
				    .for_s = p->ban_for_s,
				    .cap_s = p->ban_cap_s};
	r->exempt_count = MIN(p->ban_exempt_count, (size_t)PENALTY_EXEMPT_MAX);
	for (size_t k = 0; k < r->exempt_count; k++)
		r->exempt[k] = p->ban_exempt[k];
}

/* --- the firewall ----------------------------------------------------------------------------- */

static int tell(struct monitor *m, const struct penalty *p)
{
	uint64_t now = clock_ms();
	struct firewall_ban ban = {.source = p->source};
	struct helper *h = &m->helpers[HELPER_FIREWALL];

	if (!m->firewall_loaded) /* bans_to_firewall() comes when it is */
		return 0;
	if (p->kind == PENALTY_LIFTED)
		return helper_send(h, FIREWALL_UNBAN, &ban, sizeof ban, -1);
	if (p->kind != PENALTY_BANNED || !penalty_is_active(p, now))
		return 0;
	ban.seconds = (uint32_t)(((uint64_t)p->until_ms - now + 999) / 1000);
	return helper_send(h, FIREWALL_BAN, &ban, sizeof ban, -1);
}

/* From the first that the firewall process had no room for. */
void bans_go_on(struct monitor *m)
{
	for (size_t k = 0; k < m->penalties.bans_end; k++) {
		struct penalty *p = &m->penalties.bans[k];

		if (!p->news)
			continue;
		/* The event first (P2): nobody is let in meanwhile, bans_refuse() sees to that. */
		if (m->bans_event_id > m->trail.written && trail_well(m))
			return;
		if (tell(m, p) < 0)
			return;
		penalty_told(p);
	}
}

/* A process that was started again is told all of them. One that it has already does not hurt. */
void bans_to_firewall(struct monitor *m)
{
	for (size_t k = 0; k < m->penalties.bans_end; k++) {
		struct penalty *p = &m->penalties.bans[k];

		p->news = p->news || penalty_is_active(p, clock_ms());
	}
	bans_go_on(m);
}

/* Ids only rise; 0, the queue is full, is lost like any other event, and told as such. */
static void put_decided(struct monitor *m, const struct audit_event *e)
{
	uint64_t id = trail_put(m, e);

	m->bans_event_id = MAX(m->bans_event_id, id);
}

/* --- failures --------------------------------------------------------------------------------- */

unsigned bans_sessions(const struct monitor *m, const struct network *source)
{
	unsigned count = 0;

	for (uint32_t k = 0; k < m->connection_max; k++) {
		const struct connection *c = &m->connections[k];

		count += c->state == CONN_GRANTED && !c->claim.discovery &&
			 network_contains(source, &c->peer.ip);
	}
	return count;
}

bool bans_failure(struct monitor *m, const struct connection *c, const char *reason)
{
	struct network source = ip_source_block(&c->peer.ip);
	bool was_full = m->penalties.full;
	struct audit_event e;
	const struct penalty *p;
	char text[ADDRESS_TEXT];
	unsigned seconds;

	p = penalty_failure(&m->penalties, &c->peer.ip, reason, bans_sessions(m, &source) > 0,
			    clock_ms());
	if (m->penalties.full && !was_full)
		log_error("there is no room for more than %u bans: further ones hold for as long "
			  "as their points count, and at accept alone",
			  PENALTY_BANS_MAX);
	if (p == NULL)
		return false;
	seconds = (unsigned)((p->until_ms - p->since_ms) / 1000);
	event_from_connection(&e, EVENT_BAN, c);
	(void)string_copy(e.reason, sizeof e.reason, reason);
	(void)snprintf(e.detail, sizeof e.detail, "%s for %u s%s", network_format(&source, text),
		       seconds, p->kind == PENALTY_SLOWED ? ", slowed: it has a session" : "");
	proxied_tell(c, e.detail, sizeof e.detail);
	put_decided(m, &e);
	log_notice("%s %s for %u s, the last reason: %s",
		   p->kind == PENALTY_SLOWED ? "one login in 10 s from" : "banned", text, seconds,
		   reason);
	m->bans_unsaved = true;
	bans_go_on(m);
	return true;
}

/* Said of each that bans, however noisy its source was before; of others (exempt, loopback) as
 * refusals are. The name was in no proof. */
void bans_decoy(struct connection *c, const char *name)
{
	struct monitor *m = c->m;
	char peer[ADDRESS_TEXT], safe[256];
	struct audit_event e;

	c->decoy = true;
	m->decoy.touched++;
	m->decoy.at_ms = clock_ms();
	(void)text_escape(name, strlen(name), safe, sizeof safe);
	(void)snprintf(m->decoy.text, sizeof m->decoy.text, "%.200s asked for by %s", safe,
		       endpoint_show(&c->peer, peer));
	if (bans_failure(m, c, "decoy") || trail_lists(m, &c->peer.ip)) {
		log_warning("DECOY %s: whoever it is has the name from somewhere", m->decoy.text);
		event_from_connection(&e, EVENT_DECOY, c);
		(void)string_copy(e.reason, sizeof e.reason, "decoy");
		(void)string_copy(e.detail, sizeof e.detail, m->decoy.text);
		proxied_tell(c, e.detail, sizeof e.detail);
		(void)trail_put(m, &e);
	}
}

/* --- who may come ----------------------------------------------------------------------------- */

bool bans_refuse(const struct monitor *m, const struct ip *ip)
{
	return penalty_look(&m->penalties, ip, clock_ms()) == PENALTY_BANNED;
}

const char *bans_enter(struct connection *c)
{
	struct penalties *p = &c->m->penalties;
	uint64_t now = clock_ms();

	if (penalty_enter(p, &c->peer.ip, now))
		return NULL;
	return penalty_look(p, &c->peer.ip, now) == PENALTY_BANNED ? "banned" : "slowed";
}

/* --- lifted ----------------------------------------------------------------------------------- */

bool bans_lift(struct monitor *m, const struct network *source, const char *reason)
{
	struct firewall_ban ban = {.source = *source};
	bool lifted = penalty_lift(&m->penalties, source, clock_ms());
	struct audit_event e = {.kind = EVENT_UNBAN, .peer.ip = source->ip};
	char text[ADDRESS_TEXT];

	network_format(source, text);
	/* One that only the firewall knows: a gateway that was killed left it there. */
	if (!lifted && m->firewall_loaded)
		IGNORE_RESULT(helper_send(&m->helpers[HELPER_FIREWALL], FIREWALL_UNBAN, &ban,
					  sizeof ban, -1));
	m->bans_unsaved = true;
	if (!lifted)
		return false;
	(void)string_copy(e.reason, sizeof e.reason, reason);
	(void)string_copy(e.detail, sizeof e.detail, text);
	put_decided(m, &e);
	bans_go_on(m);
	log_notice("the ban of %s is lifted: %s", text, reason);
	return true;
}

/* New numbers are for new bans; who is exempt now was never banned. */
void bans_reload(struct monitor *m)
{
	bans_rules(m);
	for (size_t k = 0; k < m->penalties.bans_end; k++) {
		struct penalty *p = &m->penalties.bans[k];
		struct network source = p->source;

		if (!p->by_operator && penalty_is_active(p, clock_ms()) &&
		    penalty_is_exempt(&m->penalties, &source))
			(void)bans_lift(m, &source, "exempt");
	}
}

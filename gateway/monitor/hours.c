/* Grants that end and hours of the week, while the gateway runs: at each such moment the sessions
 * that have no grant any more are asked to log out, and the firewall lets in who has one now. The
 * wall clock may be set by hand: it is read every second, and one that went back or jumped is
 * looked at as a whole. Runs in the monitor; the policy decides (policy/hours.h). */
#include "policy/hours.h"
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/monitor/reload.h"

#define JUMP_S		   10	  /* between two seconds: somebody set the clock */
#define STATUS_AUTH_FAILED 0x0201 /* RFC 7143 section 11.13.5 */

const char *hours_closed(const struct connection *c, uint32_t *ret_line)
{
	struct decision decision;
	struct claim claim;
	const struct verdict *v;

	if (c->claim.discovery || c->initiator == NULL) {
		entry_claim(c, &claim);
		policy_decide(c->m->policy, &claim, &decision);
		v = &decision.verdicts[LAYER_INITIATOR];
		*ret_line = v->line;
		return decision.allowed || v->allowed	       ? NULL
		       : strcmp(v->reason, "grant-ended") == 0 ? "grant-ended"
							       : "outside-hours";
	}
	return grant_closed(c->initiator, clock_wall_s(), ret_line);
}

/* --- sessions --- */

static void session_look(struct connection *c)
{
	uint32_t line = 0;
	const char *reason;

	bool enters = c->state == CONN_ENTERING && !c->refused;

	if ((c->state != CONN_GRANTED && !enters) || connection_leaves(c))
		return;
	reason = hours_closed(c, &line);
	if (enters && reason != NULL)
		entry_refuse(c, STATUS_AUTH_FAILED, reason, "");
	if (enters)
		return;
	if (reason == NULL) { /* it may be told of fewer targets, or of more */
		if (targets_renew(c) < 0)
			log_warning("session %u is told of its targets as they were before", c->id);
		return;
	}
	log_notice("session %u of %s is asked to log out, and ends in %u s: %s (line %u of the "
		   "policy)",
		   c->id, c->initiator_name, c->m->policy->grace_ms / 1000, reason, line);
	connection_ask_out(c, reason);
}

/* --- the firewall --- */

static void on_script(struct monitor *m, bool ok, const char *why)
{
	if (ok)
		return;
	m->hours.firewall_due = m->firewall_loaded;
	log_error("the firewall lets in who could enter before, and not who may now: %s; logins "
		  "are decided by the policy all the same",
		  why);
}

static void firewall_look(struct monitor *m)
{
	if (!m->hours.firewall_due || !m->policy->manage_firewall || reload_is_under_way())
		return;
	if (!m->firewall_loaded || firewall_is_current(m)) {
		m->hours.firewall_due = false;
		return;
	}
	if (firewall_load(m, m->policy, on_script) == NULL)
		m->hours.firewall_due = false;
}

/* --- the clock --- */

void hours_reload(struct monitor *m)
{
	m->hours.next_s = 0;
}

void hours_tick(struct monitor *m)
{
	int64_t now = clock_wall_s(), before = m->hours.now_s;

	m->hours.now_s = now;
	if (!m->serving)
		return;
	if (now >= m->hours.next_s || now < before || now > before + JUMP_S) {
		m->hours.next_s = policy_next_change(m->policy, now);
		m->hours.firewall_due = true;
		for (uint32_t k = 0; k < m->connection_max; k++)
			session_look(&m->connections[k]);
	}
	firewall_look(m);
}

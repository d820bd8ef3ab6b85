/* Connections to IPsec portals: before a session process gets one, the firewall process asks the
 * kernel whether it is within IPsec. One that is not is never challenged, so that nobody on its way
 * can record a proof and guess the secret: RFC 7143 section 9.2.1. Nor is one while nobody can
 * tell (P4). Its session answers 0301h to whatever comes, as when the authenticator is away. */
#include <signal.h>
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

#define ANSWER_TAKES_MS \
	5000 /* at most: loading a script keeps the firewall process from answering */

bool coverage_is_needed(const struct policy *p)
{
	for (size_t k = 0; k < p->portal_count; k++)
		if (p->portals[k].transport == PORTAL_IPSEC)
			return true;
	return false;
}

static bool needs_ipsec(const struct connection *c)
{
	return c->portal == NO_PORTAL || c->m->policy->portals[c->portal].transport == PORTAL_IPSEC;
}

bool coverage_permits(const struct connection *c)
{
	return c->covered || !needs_ipsec(c);
}

static void begin(struct connection *c)
{
	int r;

	loop_timer_clear(c->m->loop, &c->timer);
	r = connection_begin(c);
	if (r < 0) {
		log_error("no session process for connection %u: %s", c->id, strerror(-r));
		connection_free(c);
	}
}

/* What it is refused for is recorded when its session ends: it may have told a name by then. */
static void begin_uncovered(struct connection *c, const char *reason, const char *why)
{
	(void)string_copy(c->ended, sizeof c->ended, reason);
	(void)string_copy(c->detail, sizeof c->detail, why);
	begin(c);
}

static void on_no_answer(struct timer *t)
{
	begin_uncovered(CONTAINER_OF(t, struct connection, timer), "firewall-away",
			"the firewall process does not say whether it is within IPsec");
}

/* 0 when it was sent, or can't be; -EAGAIN: later. */
static int question_send(struct connection *c)
{
	struct firewall_connection body = {.local = c->local, .peer = c->peer, .connection = c->id};
	int r = helper_send(&c->m->helpers[HELPER_FIREWALL], FIREWALL_COVERED, &body, sizeof body,
			    -1);

	if (r == -EAGAIN)
		return r;
	c->asked = true;
	if (r < 0)
		begin_uncovered(c, "firewall-away", "the firewall process is not running");
	return 0;
}

void coverage_ask(struct connection *c)
{
	if (!needs_ipsec(c))
		return begin(c);
	connection_become(c, CONN_ASKING);
	connection_timer(c, ANSWER_TAKES_MS, on_no_answer);
	loop_unwatch(c->m->loop, &c->socket); /* its session sees whether it leaves */
	(void)question_send(c);
}

void coverage_go_on(struct monitor *m)
{
	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];

		if (c->state == CONN_ASKING && !c->asked && question_send(c) < 0)
			return;
	}
}

void coverage_told(struct monitor *m, const struct firewall_coverage *word)
{
	struct connection *c = connection_find(m, word->connection);

	if (c == NULL || c->state != CONN_ASKING || !c->asked)
		return; /* it did not wait */
	c->covered = word->cover == COVER_WHOLE;
	if (c->covered)
		begin(c);
	else
		begin_uncovered(c,
				word->cover == COVER_NONE ? "not-through-ipsec" : "ipsec-unknown",
				word->why);
}

void coverage_away(struct monitor *m)
{
	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];

		if (c->state == CONN_ASKING)
			begin_uncovered(c, "firewall-away", "the firewall process died");
	}
}

/* One that was started for a policy without IPsec portals has no socket for the question. Its
 * tables stay while another is started, and loads the rules of the policy in force. */
void coverage_reload(struct monitor *m)
{
	const struct helper *h = &m->helpers[HELPER_FIREWALL];

	if (!coverage_is_needed(m->policy) || m->firewall_asks || h->pid == 0)
		return;
	log_notice("the policy has IPsec portals now: the firewall process is started anew, so "
		   "that it can ask the kernel about them");
	(void)kill(h->pid, SIGKILL);
}

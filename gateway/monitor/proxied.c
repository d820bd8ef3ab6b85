/* Connections behind a proxy: what the packet filter and accept do for others by the address of
 * their packets is done here by the one that the proxy names: bans, who may come at all, how many
 * and how often from one source (P6). What the session says is hostile: it is taken once, as its
 * first word, and only where a proxy of the portal connected. */
#include "gateway/monitor/proxied.h"

#include <stdio.h>
#include "gateway/base/clock.h"
#include "gateway/monitor/bans.h"

#define OUT_OF_TURN "proxied-out-of-turn"
#define HEARD_FIRST 2 /* after the report of its sandbox */

/* As the packet filter limits those that it sees: policy/firewall_script.c. */
#define A_MINUTE     120
#define BURST	     64
#define MS_EACH	     (60000 / A_MINUTE)
#define SOURCES_KEPT 1024

/* Each connection moves `until` on by MS_EACH, from now at least; a full burst ahead is too fast.
 */
static struct source {
	struct network source;
	uint64_t until_ms;
} sources[SOURCES_KEPT];

/* Its own; or the one that has been quiet for longest. */
static struct source *source_find(const struct network *source)
{
	struct source *oldest = &sources[0];

	for (size_t k = 0; k < ARRAY_LEN(sources); k++) {
		if (sources[k].source.prefix == source->prefix &&
		    ip_equal(&sources[k].source.ip, &source->ip))
			return &sources[k];
		if (sources[k].until_ms < oldest->until_ms)
			oldest = &sources[k];
	}
	*oldest = (struct source){.source = *source};
	return oldest;
}

static bool comes_too_fast(const struct ip *ip)
{
	struct network block = ip_source_block(ip);
	uint64_t now = clock_ms();
	struct source *s;

	if (ip_is_loopback(ip))
		return false;
	s = source_find(&block);
	if (s->until_ms > now + (uint64_t)BURST * MS_EACH)
		return true;
	s->until_ms = MAX(s->until_ms, now) + MS_EACH;
	return false;
}

static bool is_named(const struct connection *c)
{
	return ip_is_loopback(&c->peer.ip) || policy_names_address(c->m->policy, &c->peer.ip);
}

void proxied_place(struct connection *c)
{
	const struct policy *p = c->m->policy;

	if (c->state == CONN_WAITING || c->state == CONN_ASKING)
		c->behind.due = c->portal < p->portal_count &&
				policy_is_proxy(&p->portals[c->portal], &c->peer.ip);
	c->named = !c->behind.due && is_named(c);
}

void proxied_tell(const struct connection *c, char *text, size_t size)
{
	char proxy[ADDRESS_TEXT];
	size_t used = strlen(text);

	if (c->behind.proxy.port != 0)
		(void)snprintf(text + used, size - used, "%sthrough the proxy %s", used ? "; " : "",
			       endpoint_show(&c->behind.proxy, proxy));
}

bool proxied_only_looked(const struct connection *c)
{
	return (c->behind.own || c->behind.due) && !c->claimed &&
	       (c->ended[0] == '\0' || strcmp(c->ended, "left") == 0);
}

/* A loopback address is this machine's: what comes from another is not from here. */
static bool is_right(const struct connection *c, const struct session_proxied *said)
{
	if (said->local)
		return true;
	return ip_is_host(&said->source.ip) && said->source.port != 0 &&
	       (!ip_is_loopback(&said->source.ip) || ip_is_loopback(&c->peer.ip));
}

/* It has taken one, before anybody knew who it is. */
static bool has_no_slot(const struct connection *c)
{
	return !is_named(c) && c->m->logins > MAX(c->m->policy->logins_at_once / 2, 1);
}

/* NULL: it goes on, as one who came directly would. A proxy's own connection only looks whether we
 * are well, every second perhaps: that is no refusal, even where the policy lets no initiator in
 * from the proxy's address. One that logs in is judged then. */
static const char *refused(struct connection *c, bool local)
{
	const struct policy *p = c->m->policy;
	const char *why = bans_enter(c);

	if (why != NULL)
		return why;
	if (c->portal >= p->portal_count ||
	    !policy_is_proxy(&p->portals[c->portal], &c->behind.proxy.ip))
		return "wrong-address";
	if (local)
		return has_no_slot(c) ? "no-login-slot" : NULL;
	if (!policy_opens_portal(p, c->portal, &c->peer.ip, clock_wall_s()))
		return "wrong-address";
	if (listen_source_is_full(c->m, &c->peer.ip))
		return "too-many-from-source";
	if (comes_too_fast(&c->peer.ip))
		return "too-many-a-minute";
	return has_no_slot(c) ? "no-login-slot" : NULL;
}

void proxied_take(struct connection *c, const struct message *msg)
{
	struct session_proxied said;
	const char *why;

	memcpy(&said, msg->body, sizeof said);
	if (!c->behind.due || c->state != CONN_LOGIN || c->heard != HEARD_FIRST)
		return connection_kill(c, OUT_OF_TURN);
	if (c->refused) /* its time was over first */
		return;
	if (!is_right(c, &said)) {
		(void)string_copy(c->detail, sizeof c->detail, "its source can't be there");
		return connection_kill(c, "proxy-header-malformed");
	}
	c->behind.proxy = c->peer;
	c->behind.own = said.local != 0;
	if (!said.local)
		c->peer = said.source;
	if (!said.local && ip_is_host(&said.dest.ip))
		c->behind.reached = said.dest;
	why = refused(c, said.local != 0);
	c->behind.due = false;
	proxied_place(c);
	if (why == NULL)
		return connection_send(c, SESSION_PROXY_TAKEN, NULL, 0, -1);
	c->refused = true;
	(void)trail_refusal(c->m, c, why, "");
	connection_kill(c, why);
}

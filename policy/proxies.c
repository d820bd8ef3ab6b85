/* The proxies of a portal: who may tell, before a connection's own octets, whose it is. What they
 * say of an address counts as that address, so nobody is one unasked. Runs in the monitor and the
 * command line; what is compiled, the schema has checked. */
#include "policy/compile.h"
#include "policy/hours.h"

static void wide_warn(struct compiler *c, const struct node *n, const struct network *proxy)
{
	if (proxy->prefix != 0)
		return;
	diagnose_warning(c->d, n->at, "%s is every address: whoever connects may claim any other",
			 n->text);
	diagnose_hint(c->d, "name the proxies, one by one");
}

void compile_proxies(struct compiler *c, struct policy_portal *p, const struct node *portal)
{
	const struct node *list = node_list(portal, "proxy_from"),
			  *key = node_get(portal, "proxy_from");
	const struct node *transport = node_get(portal, "transport");

	if (!list || !transport || transport->bad)
		return;
	if (p->transport != PORTAL_PLAIN && p->transport != PORTAL_TLS) {
		diagnose_error(c->d, key->key->at, "\"proxy_from\" is for plain and tls portals");
		diagnose_hint(c->d, "take it out: what a tunnel brings comes from its initiator");
		return;
	}
	p->proxies_line = node_place(key).line;
	p->proxies = compile_alloc(c, node_count(list), sizeof *p->proxies);
	for (const struct node *n = node_first(list); n && p->proxies; n = n->next) {
		struct network *to = &p->proxies[p->proxy_count];

		if (!network_compile(c, n, to))
			continue;
		p->proxy_count++;
		wide_warn(c, n, to);
	}
}

bool policy_is_proxy(const struct policy_portal *p, const struct ip *ip)
{
	for (size_t k = 0; k < p->proxy_count; k++)
		if (network_contains(&p->proxies[k], ip))
			return true;
	return false;
}

bool policy_comes_right(const struct policy_portal *p, const struct claim *claim)
{
	if (claim->any_proxy)
		return true;
	if (p->proxy_count == 0)
		return claim->proxy.version == 0;
	return policy_is_proxy(p, &claim->proxy);
}

static bool target_is_open(const struct policy_target *t, size_t portal, int64_t now_s)
{
	bool open = false, serves = false;
	uint32_t line;

	for (size_t k = 0; k < t->portal_count; k++)
		serves = serves || t->portals[k] == portal;
	for (size_t k = 0; k < t->initiator_count; k++)
		open = open || !grant_closed(&t->initiators[k], now_s, &line);
	return serves && open;
}

bool policy_takes_packets(const struct policy *p, size_t portal, const struct ip *from,
			  int64_t now_s)
{
	const struct policy_portal *to = &p->portals[portal];
	bool open = false;

	if (to->proxy_count == 0)
		return policy_opens_portal(p, portal, from, now_s);
	for (size_t t = 0; t < p->target_count; t++)
		open = open || target_is_open(&p->targets[t], portal, now_s);
	return open && policy_is_proxy(to, from);
}

/* What protects a portal's connections: nothing (plain), TLS, IPsec, or the interface of a tunnel.
 * Runs in the monitor and the command line, on a tree that the schema has checked. A tunnel has one
 * end here, and the portal listens on it: so its addresses are named, and are no loopback
 * addresses. */
#include "policy/compile.h"

#include <net/if.h>
#include <stdio.h>

const char *policy_transport_text(const struct policy_portal *p, char ret[TRANSPORT_TEXT])
{
	static const char *const names[] = {
		[PORTAL_INVALID] = "",
		[PORTAL_PLAIN] = "plain",
		[PORTAL_TLS] = "tls",
		[PORTAL_IPSEC] = "ipsec",
	};

	if (p->transport == PORTAL_INTERFACE)
		(void)snprintf(ret, TRANSPORT_TEXT, "interface %s", p->through);
	else
		(void)string_copy(ret, TRANSPORT_TEXT, names[p->transport]);
	return ret;
}

static void interface_compile(struct compiler *c, struct policy_portal *p, const struct node *n)
{
	p->transport = PORTAL_INTERFACE;
	if (!n || n->bad)
		return;
	if (strcmp(n->text, "lo") == 0) {
		diagnose_error(c->d, n->at, "lo is no tunnel: it is this machine");
		diagnose_hint(c->d, "write transport: plain, on 127.0.0.1 or ::1");
	} else if (!interface_name_ok(n->text)) {
		diagnose_error(c->d, n->at, "\"%s\" names no interface", shown_text(n->text).text);
		diagnose_hint(c->d, "write its name, as `ip link` says it: wg0; numbers change");
	} else {
		(void)string_copy(p->through, sizeof p->through, n->text);
		if (if_nametoindex(p->through) > 0)
			return;
		diagnose_warning(c->d, n->at, "this machine has no interface %s", p->through);
		diagnose_hint(c->d, "the gateway does not start before it is there");
	}
}

void compile_transport(struct compiler *c, struct policy_portal *p, const struct node *portal)
{
	const struct node *n = node_get(portal, "transport"), *risk;

	p->transport = PORTAL_PLAIN;
	if (n && n->kind == NODE_MAP)
		interface_compile(c, p, node_get(n, "interface"));
	else if (n && !n->bad && n->value == schema_choice(POLICY_TRANSPORTS, "ipsec"))
		p->transport = PORTAL_IPSEC;
	else if (n && !n->bad && n->value == schema_choice(POLICY_TRANSPORTS, "tls"))
		p->transport = PORTAL_TLS;
	compile_tls(c, p, portal);
	risk = node_get(portal, "accept_risk");
	if (p->transport == PORTAL_PLAIN || !risk || risk->bad || !n || n->bad)
		return;
	diagnose_error(c->d, risk->key->at, "\"accept_risk\" is for plain portals");
	diagnose_hint(c->d, "take it out: %s protects this one",
		      p->transport == PORTAL_TLS ? "TLS" : "the tunnel");
}

bool compile_tunnel_end(struct compiler *c, const struct policy_portal *p, const struct node *at,
			const struct ip *ip, const char *interface)
{
	if (p->transport != PORTAL_IPSEC && p->transport != PORTAL_INTERFACE)
		return true;
	if (ip_is_loopback(ip)) {
		diagnose_error(c->d, at->at, "%s is a loopback address: no tunnel ends there",
			       shown_text(at->text).text);
	} else if (ip_is_any(ip)) {
		diagnose_error(c->d, at->at, "%s is every address: a tunnel ends at one",
			       shown_text(at->text).text);
	} else if (interface[0] && p->transport == PORTAL_IPSEC) {
		diagnose_error(c->d, at->at, "%s is on one link: IPsec is told of addresses alone",
			       shown_text(at->text).text);
	} else if (interface[0] && p->through[0] && strcmp(interface, p->through) != 0) {
		diagnose_error(c->d, at->at, "%s is not on %s, where connections have to come in",
			       shown_text(at->text).text, p->through);
	} else {
		return true;
	}
	diagnose_hint(c->d, "listen on the address that initiators reach through the tunnel");
	return false;
}

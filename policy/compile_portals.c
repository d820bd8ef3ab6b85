/* The portals of a policy: where they listen, and that nothing plain listens on a network
 * unasked. Runs in the monitor and the command line, on a tree that the schema has checked. */
#include "policy/compile.h"
#include "policy/firewall.h"

struct listen_row {
	const struct endpoint *endpoint;
	const char *interface;
	const struct node *node;
};

/* 0; -EINVAL: no address with a port; -EADDRNOTAVAIL: a link-local one, which many links have;
 * -ENXIO: what follows it is no interface's name. */
static int endpoint_read(const struct node *n, struct endpoint *ret,
			 char ret_interface[INTERFACE_NAME_SIZE])
{
	int r = n->bad ? -EINVAL : endpoint_parse_on(n->text, ret, ret_interface);

	if (r < 0)
		return r;
	return ip_is_link_local(&ret->ip) && !ret_interface[0] ? -EADDRNOTAVAIL : 0;
}

static void endpoint_tell(struct compiler *c, const struct node *n, int error)
{
	if (error == -EADDRNOTAVAIL) {
		diagnose_error(c->d, n->at, "%s is on every link: which one?", n->text);
		diagnose_hint(c->d, "name the interface: \"[fe80::1%%eth0]:3260\"");
	} else if (error == -ENXIO) {
		diagnose_error(c->d, n->at, "\"%s\" names no interface", shown_text(n->text).text);
		diagnose_hint(c->d, "write its name, as `ip link` says it: "
				    "\"[fe80::1%%eth0]:3260\"; numbers change");
	} else {
		diagnose_error(c->d, n->at, "\"%s\" is no address with a port",
			       shown_text(n->text).text);
		diagnose_hint(c->d, "write it like \"192.0.2.1:3260\" or \"[2001:db8::1]:3260\"");
	}
}

static bool endpoint_compile(struct compiler *c, const struct node *n, struct endpoint *ret,
			     char ret_interface[INTERFACE_NAME_SIZE])
{
	int r = endpoint_read(n, ret, ret_interface);

	if (r < 0 && !n->bad)
		endpoint_tell(c, n, r);
	if (r == 0 && ret_interface[0] && ret->ip.scope == 0) {
		diagnose_warning(c->d, n->at, "this machine has no interface %s", ret_interface);
		diagnose_hint(c->d, "the gateway does not start before it is there");
	}
	return r == 0;
}

/* Whoever is on the way of a plain portal reads and changes everything. */
static void risk_check(struct compiler *c, const struct node *n, const struct policy_portal *p,
		       const struct node *outside)
{
	const struct node *transport = node_get(n, "transport");

	if (!outside || !transport || transport->bad)
		return;
	if (p->accept_risk) {
		diagnose_warning(c->d, node_place(node_get(n, "accept_risk")),
				 "the portal \"%s\" is plain on a network: whoever is on the way "
				 "reads and changes every block",
				 p->name);
		diagnose_hint(c->d, "keep it to a network where nobody else is");
		return;
	}
	diagnose_error(c->d, outside->at,
		       "the portal \"%s\" is plain, and %s is no loopback address", p->name,
		       shown_text(outside->text).text);
	diagnose_hint(c->d, "listen on 127.0.0.1 or ::1, or, where nobody else is on the network, "
			    "add accept_risk: true");
}

static void portal_compile(struct compiler *c, const struct node *n, struct name_row *row)
{
	struct policy_portal *p = &c->policy->portals[row->index];
	const struct node *listen = node_list(n, "listen"), *outside = NULL;

	name_check(c, n, "portal", p->name);
	p->line = node_place(n).line;
	compile_group(c, p, n);
	compile_advertise(c, p, n);
	compile_transport(c, p, n);
	compile_advertise_near(p, n);
	compile_proxies(c, p, n);
	p->loopback = true;
	row->bad = !listen;
	if (row->bad)
		return;
	p->accept_risk = schema_value(SECTION_PORTAL, n, "accept_risk");
	p->listen = compile_alloc(c, node_count(listen), sizeof *p->listen);
	p->interfaces = compile_alloc(c, node_count(listen), sizeof *p->interfaces);
	if (!p->listen || !p->interfaces)
		return;
	for (const struct node *e = listen->first; e; e = e->next) {
		struct endpoint *to = &p->listen[p->listen_count];

		char *on = p->interfaces[p->listen_count];

		if (!endpoint_compile(c, e, to, on)) {
			row->bad = true;
			continue;
		}
		if (!compile_tunnel_end(c, p, e, &to->ip, on))
			row->bad = true;
		p->listen_count++;
		if (!ip_is_loopback(&to->ip) && !outside)
			outside = e;
	}
	p->loopback = !outside;
	if (p->transport == PORTAL_PLAIN)
		risk_check(c, n, p, outside);
}

/* By port, then address: the one that stands for all addresses comes first. */
static int listen_compare(const void *a, const void *b)
{
	const struct listen_row *x = a, *y = b;
	int r = endpoint_compare(x->endpoint, y->endpoint);

	if (r != 0)
		return r;
	if ((r = strcmp(x->interface, y->interface)) != 0)
		return r;
	return place_compare(x->node->at, y->node->at);
}

static void listen_rows_check(struct compiler *c, const struct listen_row *rows, size_t count)
{
	const struct listen_row *all = NULL; /* who listens on every address of this port */

	for (size_t i = 0; i < count; i++) {
		const struct listen_row *row = &rows[i], *other = i > 0 ? &rows[i - 1] : row;
		const struct endpoint *e = row->endpoint, *f = other->endpoint;

		if (e->port != f->port || e->ip.version != f->ip.version)
			all = NULL;
		if (i > 0 && e->port == f->port && ip_equal(&e->ip, &f->ip) &&
		    strcmp(row->interface, other->interface) == 0) {
			diagnose_error(c->d, row->node->at,
				       "%s is here twice; the other is at line %u", row->node->text,
				       other->node->at.line);
			diagnose_hint(c->d, "take one of them out, or give it another port");
		} else if (all) {
			diagnose_error(c->d, row->node->at,
				       "%s is among the addresses of %s at line %u already",
				       row->node->text, all->node->text, all->node->at.line);
			diagnose_hint(c->d, "take one of them out, or give it another port");
		}
		if (!all && ip_is_any(&e->ip))
			all = row;
	}
}

static void listen_check(struct compiler *c, const struct node *portals)
{
	OWNED_FREE struct listen_row *rows = NULL;
	size_t count = 0, space = 0, index = 0;

	for (size_t i = 0; i < c->policy->portal_count; i++)
		space += c->policy->portals[i].listen_count;
	rows = compile_alloc(c, space, sizeof *rows);
	if (!rows)
		return;
	for (const struct node *n = portals->first; n; n = n->next, index++) {
		const struct policy_portal *p = &c->policy->portals[index];
		const struct node *listen = node_list(n, "listen");
		size_t at = 0;

		for (const struct node *e = node_first(listen); e && p->interfaces; e = e->next) {
			char name[INTERFACE_NAME_SIZE];
			struct endpoint unused;

			if (endpoint_read(e, &unused, name) < 0)
				continue;
			rows[count++] = (struct listen_row){&p->listen[at], p->interfaces[at], e};
			at++;
		}
	}
	if (count > FIREWALL_PORTS_MAX) {
		diagnose_error(c->d, node_place(portals),
			       "the portals listen %zu times; %d is the most", count,
			       FIREWALL_PORTS_MAX);
		diagnose_hint(c->d, "listen on 0.0.0.0 and [::] instead of many addresses");
	}
	if (count > 0)
		qsort(rows, count, sizeof *rows, listen_compare);
	listen_rows_check(c, rows, count);
}

void compile_portals(struct compiler *c)
{
	const struct node *portals = node_map(c->root, "portals");
	size_t count = node_count(portals);

	c->policy->portals = compile_alloc(c, count, sizeof *c->policy->portals);
	if (!c->policy->portals || !names_make(c, &c->portals, count))
		return;
	if (portals && count == 0) {
		diagnose_error(c->d, portals->at,
			       "the policy names no portal: nobody could reach it");
		diagnose_hint(c->d,
			      "add one: here: {listen: [\"127.0.0.1:3260\"], transport: plain}");
	}
	for (const struct node *n = node_first(portals); n; n = n->next) {
		struct name_row *row = &c->portals.rows[c->portals.count];

		*row = (struct name_row){n->key->text, n, c->portals.count++, false, false};
		c->policy->portal_count++;
		portal_compile(c, n, row);
	}
	if (portals) {
		listen_check(c, portals);
		compile_advertised(c, portals);
	}
	names_sort(&c->portals);
}

/* What portals are to initiators: their groups, and the addresses that discovery names. Runs in the
 * monitor and the command line, on a tree that the schema has checked. */
#include "policy/compile.h"
#include "policy/types.h"

/* A portal group's tag has 16 bits (RFC 7143 section 13.9); 0 is no one's here. */
static void group_number(struct compiler *c, struct policy_portal *p, const struct node *n)
{
	uint64_t tag;

	if (whole_number_parse(n->text, &tag) == 0 && tag > 0 && tag <= UINT16_MAX) {
		p->group_tag = (uint16_t)tag;
		return;
	}
	diagnose_error(c->d, n->at, "%s is no tag of a portal group", n->text);
	diagnose_hint(c->d, "a tag is a number of 1 to %d", UINT16_MAX);
}

/* Left out: a group of its own. So what is added to a portal's group later takes nothing from it:
 * its group is known by its name already. */
void compile_group(struct compiler *c, struct policy_portal *p, const struct node *portal)
{
	const struct node *n = node_get(portal, "group");

	(void)string_copy(p->group, sizeof p->group, p->name);
	if (!n || n->bad || n->kind != NODE_TEXT)
		return;
	(void)string_copy(p->group, sizeof p->group, n->text);
	if (n->text[strspn(n->text, "0123456789")] == '\0') {
		group_number(c, p, n);
	} else if (!name_ok(n->text)) {
		diagnose_error(c->d, n->at, "\"%s\" is no name for a portal group",
			       shown_text(n->text).text);
		diagnose_hint(c->d, "a name has lower-case letters, digits and '-'; or give the "
				    "group's tag, a number");
	}
}

/* --- advertise ---------------------------------------------------------------------------- */

/* Why initiators can't be told this address; NULL: they can. */
static const char *advertise_refused(const struct endpoint *e)
{
	if (ip_is_any(&e->ip))
		return "stands for every address of this machine, and is none to connect to";
	if (ip_is_link_local(&e->ip))
		return "means something on its own link only";
	return NULL;
}

static bool advertise_read(const struct node *n, struct endpoint *ret)
{
	char interface[INTERFACE_NAME_SIZE];

	return !n->bad && endpoint_parse_on(n->text, ret, interface) == 0 &&
	       !advertise_refused(ret);
}

static void advertise_tell(struct compiler *c, const struct node *n)
{
	char interface[INTERFACE_NAME_SIZE];
	struct endpoint e;

	if (endpoint_parse_on(n->text, &e, interface) == 0) {
		diagnose_error(c->d, n->at, "%s %s", shown_text(n->text).text,
			       advertise_refused(&e));
		diagnose_hint(c->d, "name the address that initiators connect to; without "
				    "advertise, they are told the one that they reached");
		return;
	}
	diagnose_error(c->d, n->at, "\"%s\" is no address with a port", shown_text(n->text).text);
	diagnose_hint(c->d, "write it like \"192.0.2.1:3260\" or \"[2001:db8::1]:3260\"");
}

void compile_advertise(struct compiler *c, struct policy_portal *p, const struct node *portal)
{
	const struct node *list = node_list(portal, "advertise");

	p->advertise = compile_alloc(c, node_count(list), sizeof *p->advertise);
	for (const struct node *n = node_first(list); n && p->advertise; n = n->next) {
		if (advertise_read(n, &p->advertise[p->advertise_count]))
			p->advertise_count++;
		else if (!n->bad)
			advertise_tell(c, n);
	}
}

/* Who comes by TLS comes through the near end of its tunnel, and discovery leads it there again:
 * never to us past the tunnel. One address, whatever family the tunnel itself came by: two would be
 * two paths to who asks. */
void compile_advertise_near(struct policy_portal *p, const struct node *portal)
{
	if (p->transport != PORTAL_TLS || node_get(portal, "advertise") || !p->advertise)
		return;
	p->advertise[0] = (struct endpoint){.ip = {.version = 4, .bytes = {127, 0, 0, 1}},
					    .port = TUNNEL_NEAR_PORT};
	p->advertise_count = 1;
	p->advertise_near = true;
}

struct advertise_row {
	const struct endpoint *endpoint;
	const struct node *node;
};

static int advertise_compare(const void *a, const void *b)
{
	const struct advertise_row *x = a, *y = b;
	int r = endpoint_compare(x->endpoint, y->endpoint);

	return r != 0 ? r : place_compare(x->node->at, y->node->at);
}

static void advertise_duplicates(struct compiler *c, const struct advertise_row *rows, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		const struct endpoint *e = rows[i].endpoint, *f = rows[i - 1].endpoint;

		if (e->port != f->port || !ip_equal(&e->ip, &f->ip))
			continue;
		diagnose_error(c->d, rows[i].node->at,
			       "%s is advertised twice; the other is at line %u",
			       rows[i].node->text, rows[i - 1].node->at.line);
		diagnose_hint(c->d, "an address leads to one portal: take one of them out");
	}
}

void compile_advertised(struct compiler *c, const struct node *portals)
{
	OWNED_FREE struct advertise_row *rows = NULL;
	size_t count = 0, space = 0, index = 0;

	for (size_t i = 0; i < c->policy->portal_count; i++)
		space += c->policy->portals[i].advertise_count;
	rows = compile_alloc(c, space, sizeof *rows);
	for (const struct node *n = portals->first; n && rows; n = n->next, index++) {
		const struct policy_portal *p = &c->policy->portals[index];
		const struct node *e = node_first(node_list(n, "advertise"));
		size_t at = 0;

		for (; e && at < p->advertise_count; e = e->next) {
			struct endpoint unused;

			if (advertise_read(e, &unused))
				rows[count++] = (struct advertise_row){&p->advertise[at++], e};
		}
	}
	if (count > 0)
		qsort(rows, count, sizeof *rows, advertise_compare);
	advertise_duplicates(c, rows, count);
}

/* What a target negotiates with those who enter it, and whether it sends them elsewhere. Runs in
 * the monitor and the command line, on a tree that the schema has checked; defaults are the
 * schema's. */
#include "policy/compile.h"
#include "policy/types.h"

#define DIGESTS_REQUIRED 2 /* of the schema's choices */

static uint32_t value_of(const struct node *target, const char *key)
{
	return (uint32_t)schema_value(SECTION_TARGET, target, key);
}

/* RFC 7143 section 13.14: FirstBurstLength MUST NOT exceed MaxBurstLength. A default gives way. */
static void bursts_check(struct compiler *c, const struct node *target, struct policy_limits *l)
{
	const struct node *first = node_get(target, "first_burst");
	char a[QUANTITY_TEXT], b[QUANTITY_TEXT];

	if (l->first_burst <= l->max_burst)
		return;
	if (first && !first->bad) {
		diagnose_error(c->d, first->at, "first_burst (%s) is more than max_burst (%s)",
			       size_format(l->first_burst, a), size_format(l->max_burst, b));
		diagnose_hint(c->d, "the first burst is a burst: lower it, or raise max_burst");
	}
	l->first_burst = l->max_burst;
}

void compile_limits(struct compiler *c, const struct node *target, struct policy_limits *ret)
{
	*ret = (struct policy_limits){
		.digests_required = value_of(target, "digests") == DIGESTS_REQUIRED,
		.initial_r2t = value_of(target, "initial_r2t"),
		.immediate_data = value_of(target, "immediate_data"),
		.first_burst = value_of(target, "first_burst"),
		.max_burst = value_of(target, "max_burst"),
		.max_r2t = value_of(target, "max_r2t"),
		.queue_depth = value_of(target, "queue_depth"),
		.max_connections = value_of(target, "max_connections"),
		.error_recovery = value_of(target, "error_recovery"),
	};
	bursts_check(c, target, ret);
}

/* --- redirect ----------------------------------------------------------------------------- */

static bool is_among(const struct endpoint *list, size_t count, const struct endpoint *to)
{
	for (size_t k = 0; k < count; k++)
		if (list[k].port == to->port && ip_equal(&list[k].ip, &to->ip))
			return true;
	return false;
}

/* Is it this very gateway, as far as the policy says? */
static bool is_ours(const struct policy *p, const struct endpoint *to)
{
	for (size_t i = 0; i < p->portal_count; i++) {
		const struct policy_portal *portal = &p->portals[i];

		if (is_among(portal->listen, portal->listen_count, to) ||
		    is_among(portal->advertise, portal->advertise_count, to))
			return true;
	}
	return false;
}

/* An address and no name: what the policy says is what the initiator gets, whoever answers for
 * names on its way. */
void compile_redirect(struct compiler *c, struct policy_target *t, const struct node *target)
{
	const char *text = node_text(target, "redirect");
	const struct node *n = node_get(target, "redirect");
	struct endpoint to;

	if (!text)
		return;
	if (endpoint_parse(text, &to) < 0) {
		diagnose_error(c->d, n->at, "\"%s\" is no address with a port",
			       shown_text(text).text);
		diagnose_hint(c->d, "write it like \"192.0.2.1:3260\" or \"[2001:db8::1]:3260\"");
	} else if (ip_is_any(&to.ip) || ip_is_link_local(&to.ip)) {
		diagnose_error(c->d, n->at, "%s leads an initiator nowhere", text);
		diagnose_hint(c->d, "write the address that it reaches the other gateway by");
	} else if (is_ours(c->policy, &to)) {
		diagnose_error(c->d, n->at, "%s is this gateway: an initiator would go in circles",
			       text);
		diagnose_hint(c->d, "write the address of the other gateway");
	} else {
		(void)endpoint_format(&to, t->redirect);
	}
}

/* What a policy says of bans: whom they never reach, how they grow, and the names that nobody
 * should ask for. Runs in the monitor and the command line, on a tree that the schema has checked.
 */
#include <strings.h>
#include "policy/compile.h"
#include "policy/iscsi_name.h"
#include "policy/types.h"

#define CAP_DEFAULT_MS UINT64_C(86400000)

/* The network that a text with bits beyond its prefix means. */
static bool network_right(const char *text, char ret[ADDRESS_TEXT])
{
	char copy[ADDRESS_TEXT];
	struct network n;
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : 0;
	uint64_t prefix;

	if (!slash || len >= sizeof copy || whole_number_parse(slash + 1, &prefix) < 0)
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (ip_parse(copy, &n.ip) < 0 || prefix > (n.ip.version == 4 ? 32U : 128U))
		return false;
	n.prefix = (uint8_t)prefix;
	for (size_t bit = n.prefix; bit < (n.ip.version == 4 ? 32U : 128U); bit++)
		n.ip.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	(void)network_format(&n, ret);
	return true;
}

bool network_compile(struct compiler *c, const struct node *n, struct network *ret)
{
	char right[ADDRESS_TEXT];
	int r;

	if (n->bad)
		return false;
	r = network_parse(n->text, ret);
	if (r == 0)
		return true;
	if (r == -EDOM && network_right(n->text, right)) {
		diagnose_error(c->d, n->at, "%s has bits beyond its prefix",
			       shown_text(n->text).text);
		diagnose_hint(c->d, "the network is %s; one address has no prefix", right);
	} else if (strchr(n->text, '%')) {
		/* Where an address comes in, the portal says: two places would disagree. */
		diagnose_error(c->d, n->at, "\"%s\" names an interface", shown_text(n->text).text);
		diagnose_hint(c->d, "name it in the portal's listen:, and the address alone here");
	} else {
		diagnose_error(c->d, n->at, "\"%s\" is no address and no network",
			       shown_text(n->text).text);
		diagnose_hint(c->d, "write it like 203.0.113.7, 203.0.113.0/24 or "
				    "\"2001:db8:7::/64\"");
	}
	return false;
}

static void exempt_compile(struct compiler *c, const struct node *list)
{
	struct policy *p = c->policy;

	p->ban_exempt = compile_alloc(c, node_count(list), sizeof *p->ban_exempt);
	for (const struct node *n = node_first(list); n && p->ban_exempt; n = n->next) {
		struct network *to = &p->ban_exempt[p->ban_exempt_count];

		if (!network_compile(c, n, to))
			continue;
		p->ban_exempt_count++;
		if (to->prefix == 0) {
			diagnose_warning(c->d, n->at, "%s is every address: nobody is banned",
					 n->text);
			diagnose_hint(c->d, "name the networks that may guess at secrets for ever");
		}
	}
}

void compile_bans(struct compiler *c)
{
	const struct node *bans = node_map(node_map(c->root, "auth"), "bans");
	const struct node *cap = node_get(bans, "cap"), *first = node_get(bans, "for");
	uint64_t for_ms = schema_value(SECTION_BANS, bans, "for");
	uint64_t cap_ms = cap && !cap->bad ? cap->value : MAX(for_ms, CAP_DEFAULT_MS);
	char longest[QUANTITY_TEXT], shortest[QUANTITY_TEXT];
	struct policy *p = c->policy;

	p->ban_after = (uint32_t)schema_value(SECTION_BANS, bans, "after");
	p->ban_within_s = (uint32_t)(schema_value(SECTION_BANS, bans, "within") / 1000);
	p->ban_for_s = (uint32_t)(for_ms / 1000);
	p->ban_cap_s = (uint32_t)(cap_ms / 1000);
	exempt_compile(c, node_list(bans, "exempt"));
	if (cap_ms >= for_ms || (first && first->bad))
		return;
	diagnose_error(c->d, cap->at, "the longest ban (%s) is shorter than the first (%s)",
		       duration_format(cap_ms, longest), duration_format(for_ms, shortest));
	diagnose_hint(c->d, "for: is the first ban, each is twice the one before, up to cap:");
}

/* --- decoys ----------------------------------------------------------------------------------- */

static bool name_is_used(const struct policy *p, const char *name)
{
	for (size_t t = 0; t < p->target_count; t++) {
		const struct policy_target *target = &p->targets[t];

		if (strcmp(target->name, name) == 0)
			return true;
		for (size_t k = 0; k < target->initiator_count; k++) {
			if (strcmp(target->initiators[k].name, name) == 0)
				return true;
		}
	}
	return false;
}

static void decoy_compile(struct compiler *c, const struct node *n)
{
	struct policy *p = c->policy;
	char name[ISCSI_NAME_SIZE];
	const char *why;

	if (n->bad)
		return;
	if (iscsi_name_normalise(n->text, name, &why) < 0) {
		diagnose_error(c->d, n->at, "\"%s\" is no iSCSI name: %s", shown_text(n->text).text,
			       why);
		diagnose_hint(c->d, "write it like the names beside it, so that it is believed");
	} else if (name_is_used(p, name)) {
		diagnose_error(c->d, n->at,
			       "%s is in use: whoever is right to ask for it would be "
			       "banned",
			       name);
		diagnose_hint(c->d, "a decoy is a name that nothing and nobody has");
	} else if (policy_is_decoy(p, name)) {
		diagnose_error(c->d, n->at, "%s is here twice", name);
		diagnose_hint(c->d, "take one of them out");
	} else {
		p->decoys[p->decoy_count++] = compile_copy(c, name);
	}
}

void compile_decoys(struct compiler *c)
{
	const struct node *list = node_list(node_map(c->root, "gateway"), "decoys");

	c->policy->decoys = compile_alloc(c, node_count(list), sizeof(char *));
	for (const struct node *n = node_first(list); n && c->policy->decoys; n = n->next)
		decoy_compile(c, n);
}

/* The name is a stranger's, before any proof: it gets no more than a comparison. */
bool policy_is_decoy(const struct policy *p, const char *name)
{
	for (size_t k = 0; k < p->decoy_count; k++) {
		if (p->decoys[k] && strcasecmp(p->decoys[k], name) == 0)
			return true;
	}
	return false;
}

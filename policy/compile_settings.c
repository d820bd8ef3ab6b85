/* The policy's settings: auth, firewall, audit, gateway. Runs in the monitor and the command line,
 * on a tree that the schema has checked; defaults are the schema's. */
#include "policy/compile.h"

#define CHAP_NUMBER_FIRST 5 /* md5; the registry goes on with sha1, sha256, sha3-256 */

uint32_t compile_algorithms(struct compiler *c, const struct node *list, uint32_t otherwise)
{
	uint32_t bits = 0;

	for (const struct node *n = node_first(list); n; n = n->next) {
		uint32_t bit = n->bad ? 0 : 1U << (n->value - 1 + CHAP_NUMBER_FIRST);

		if (bit & bits) {
			diagnose_error(c->d, n->at, "\"%s\" is here twice", n->text);
			diagnose_hint(c->d, "take one of them out");
		} else if (bit && n->value <= 2) {
			diagnose_warning(c->d, n->at,
					 "%s is weak: a recorded login is guessed faster", n->text);
			diagnose_hint(c->d, "name it only for initiators that know no sha256");
		}
		bits |= bit;
	}
	return bits ? bits : otherwise;
}

static uint32_t algorithms_default(void)
{
	const struct schema_key *k = schema_find(SECTION_AUTH, "algorithms");
	uint32_t bits = 0;

	for (const char *word = k->value; *word;) {
		char name[16];
		size_t len = strcspn(word, " ");

		assert(len < sizeof name);
		memcpy(name, word, len);
		name[len] = '\0';
		bits |= 1U << (schema_choice(k->choices, name) - 1 + CHAP_NUMBER_FIRST);
		word += len + (word[len] == ' ');
	}
	return bits;
}

static void compile_auth(struct compiler *c)
{
	const struct node *auth = node_map(c->root, "auth");
	struct policy *p = c->policy;

	p->algorithms = compile_algorithms(c, node_list(auth, "algorithms"), algorithms_default());
	compile_bans(c);
}

/* --- gateway: disk_roots, operators ------------------------------------------------------- */

static void root_add(struct compiler *c, const char *path)
{
	struct policy *p = c->policy;
	char resolved[PATH_MAX];

	if (path_resolve(path, resolved) == 0)
		p->disk_roots[p->disk_root_count++] = compile_copy(c, resolved);
}

static void compile_roots(struct compiler *c, const struct node *list)
{
	char path[PATH_MAX];

	c->policy->disk_roots = compile_alloc(c, MAX(node_count(list), (size_t)3), sizeof(char *));
	if (!c->policy->disk_roots)
		return;
	for (const struct node *n = node_first(list); n; n = n->next) {
		if (n->bad)
			continue;
		if (path_absolute(c->folder, n->text, path) == 0) {
			root_add(c, path);
			continue;
		}
		diagnose_error(c->d, n->at, "\"%s\" is no folder for disks",
			       shown_text(n->text).text);
		diagnose_hint(c->d, "write the path without \"..\"");
	}
	if (list)
		return;
	root_add(c, "/srv");
	root_add(c, "/dev");
	if (strcmp(c->folder, "/") != 0)
		root_add(c, c->folder);
}

static bool user_name_valid(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-.";
	size_t len = strlen(name);

	return len <= 32 && strspn(name, letters) == len && !strchr("0123456789-.", name[0]);
}

static void compile_operators(struct compiler *c, const struct node *list)
{
	struct policy *p = c->policy;

	p->operators = compile_alloc(c, node_count(list), sizeof(char *));
	for (const struct node *n = node_first(list); n && p->operators; n = n->next) {
		if (n->bad)
			continue;
		if (user_name_valid(n->text)) {
			p->operators[p->operator_count++] = compile_copy(c, n->text);
			continue;
		}
		diagnose_error(c->d, n->at, "\"%s\" is no user name", shown_text(n->text).text);
		diagnose_hint(c->d, "name a user of this machine, as in /etc/passwd");
	}
}

static void compile_gateway(struct compiler *c)
{
	const struct node *gateway = node_map(c->root, "gateway"), *logins;
	const struct node *ping = node_map(gateway, "ping");
	struct policy *p = c->policy;

	compile_roots(c, node_list(gateway, "disk_roots"));
	compile_operators(c, node_list(gateway, "operators"));
	p->login_timeout_ms = (uint32_t)schema_value(SECTION_GATEWAY, gateway, "login_timeout");
	p->logins_at_once = (uint32_t)schema_value(SECTION_GATEWAY, gateway, "logins_at_once");
	p->connections = (uint32_t)schema_value(SECTION_GATEWAY, gateway, "connections");
	p->io = (enum policy_io)schema_value(SECTION_GATEWAY, gateway, "io");
	p->grace_ms = (uint32_t)schema_value(SECTION_GATEWAY, gateway, "grace");
	p->ping_every_ms = (uint32_t)schema_value(SECTION_PING, ping, "every");
	p->ping_misses = (uint32_t)schema_value(SECTION_PING, ping, "misses");
	compile_limits(c, NULL, &p->discovery);
	if (p->logins_at_once <= p->connections)
		return;
	logins = node_get(gateway, "logins_at_once");
	diagnose_error(c->d, (logins ? logins : node_get(gateway, "connections"))->at,
		       "logins_at_once (%u) is more than connections (%u)", p->logins_at_once,
		       p->connections);
	diagnose_hint(c->d, "every login is a connection: raise one or lower the other");
}

static void compile_firewall(struct compiler *c)
{
	const struct node *firewall = node_map(c->root, "firewall");
	const struct policy *p = c->policy;
	bool network = false;

	c->policy->manage_firewall = schema_value(SECTION_FIREWALL, firewall, "manage");
	c->policy->restore_firewall = schema_value(SECTION_FIREWALL, firewall, "on_drift") == 1;
	if (!p->manage_firewall && node_get(firewall, "on_drift")) {
		diagnose_warning(c->d, node_place(node_get(firewall, "on_drift")),
				 "on_drift does nothing: the firewall is not managed");
		diagnose_hint(c->d, "leave it out, or write manage: true");
	}
	for (size_t i = 0; i < p->portal_count; i++)
		network = network || (p->portals[i].listen_count && !p->portals[i].loopback);
	if (p->manage_firewall || !network)
		return;
	diagnose_warning(c->d, node_place(node_get(firewall, "manage")),
			 "the firewall is not managed: strangers reach the portals");
	diagnose_hint(c->d, "write manage: true, or load what \"sallyport plan --firewall\" prints "
			    "yourself");
}

/* The choices stand in the order of the enum. */
_Static_assert(DURABILITY_HANDED_OVER == 1 && DURABILITY_SYNCED == 3, "schema_keys.c");

static void compile_audit(struct compiler *c)
{
	const struct node *audit = node_map(c->root, "audit");

	c->policy->audit_writes_only = schema_value(SECTION_AUDIT, audit, "commands") == 2;
	c->policy->outcomes_all = schema_value(SECTION_AUDIT, audit, "outcomes") == 2;
	c->policy->durability = (enum durability)schema_value(SECTION_AUDIT, audit, "durability");
}

void compile_settings(struct compiler *c)
{
	compile_auth(c);
	compile_gateway(c);
	compile_firewall(c);
	compile_audit(c);
	compile_trail(c);
}

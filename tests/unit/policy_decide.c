/* The decision on a login and on a command: everything must fit, in one entry of the policy. */
#include "tests/unit/test.h"

#include <stdio.h>
#include "policy/policy.h"

static struct tests t;
static struct policy *policy;

#define VAULT  "iqn.2026-11.net.example.gw:vault"
#define STORE  "iqn.2026-11.net.example.gw:store"
#define LOCAL  "iqn.2026-11.net.example.gw:local"
#define ALICE  "iqn.1994-05.com.redhat:alice"
#define BOB    "iqn.1994-05.com.redhat:bob"
#define NOBODY "iqn.1994-05.com.redhat:nobody"

/* Alice enters the vault by "wan" and the store by "site", from different networks. */
static const char text[] =
	"version: 1\n"								     /* 1 */
	"portals:\n"								     /* 2 */
	"  wan: {listen: ['0.0.0.0:3261'], transport: plain, accept_risk: true}\n"   /* 3 */
	"  site: {listen: ['10.8.0.1:3260'], transport: plain, accept_risk: true}\n" /* 4 */
	"  here: {listen: ['127.0.0.1:3260', '[::1]:3260'], transport: plain}\n"     /* 5 */
	"disks: {a: {memory: 1MiB}, b: {memory: 1MiB, read_only: true}}\n"	     /* 6 */
	"targets:\n"								     /* 7 */
	"  " VAULT ":\n"							     /* 8 */
	"    portals: [wan]\n"							     /* 9 */
	"    luns: {0: a, 1: b}\n"						     /* 10 */
	"    initiators:\n"							     /* 11 */
	"      " ALICE ":\n"							     /* 12 */
	"        from: [203.0.113.7, '2001:db8:7::/64']\n"			     /* 13 */
	"        chap: {user: alice, mutual: gw-a}\n"				     /* 14 */
	"  " STORE ":\n"							     /* 15 */
	"    portals: [site]\n"							     /* 16 */
	"    luns: {0: a, 1: b}\n"						     /* 17 */
	"    initiators:\n"							     /* 18 */
	"      " ALICE ":\n"							     /* 19 */
	"        from: [10.8.0.0/24]\n"						     /* 20 */
	"        chap: {user: alice, mutual: gw-a}\n"				     /* 21 */
	"        luns: {0: read-only}\n"					     /* 22 */
	"      " BOB ":\n"							     /* 23 */
	"        from: [10.8.0.9]\n"						     /* 24 */
	"        chap: {user: bob, mutual: gw-b}\n"				     /* 25 */
	"  " LOCAL ":\n"							     /* 26 */
	"    portals: [here]\n"							     /* 27 */
	"    luns: {0: a}\n"							     /* 28 */
	"    initiators:\n"							     /* 29 */
	"      " BOB ": {chap: {user: bob, mutual: gw-b}}\n";			     /* 30 */

enum { WAN, SITE, HERE, NO_PORTAL, ANY = -1 };

static void open_policy(void)
{
	struct policy_options options = {.messages = stderr};
	FILE *quiet = fopen("/dev/null", "we");

	options.messages = quiet;
	if (!quiet || policy_parse("p.yaml", text, strlen(text), &options, &policy) < 0)
		abort();
	(void)fclose(quiet);
}

static struct ip ip_of(const char *from)
{
	struct ip ip;

	assert_int_equal(ip_parse(from, &ip), 0);
	return ip;
}

struct row {
	const char *why, *from;
	int portal;
	const char *user, *initiator, *target;
	int lun;
	bool write;
	/* what comes out */
	enum layer layer; /* LAYER_NONE: allowed */
	bool identity;
	uint32_t line; /* of the verdict that decides; when allowed, of the LUN or the target */
	const char *reason;
};

#define ALICE_IN_VAULT "203.0.113.7", WAN, "alice", ALICE, VAULT

static const struct row rows[] = {
	/* clang-format off */
	{"P1: everything fits: allowed", ALICE_IN_VAULT, -1, false,
	 LAYER_NONE, true, 12, "allowed"},
	{"P1: an address of a network fits", "2001:db8:7::99", WAN, "alice", ALICE, VAULT, -1, false,
	 LAYER_NONE, true, 12, "allowed"},
	{"P1: the initiator's name alone is wrong: refused", "203.0.113.7", WAN, "alice", NOBODY, VAULT,
	 -1, false, LAYER_INITIATOR, false, 0, "unknown-initiator"},
	{"P1: another initiator's name with one's own user: refused", "10.8.0.9", SITE, "alice", BOB,
	 STORE, -1, false, LAYER_INITIATOR, false, 14, "wrong-initiator"},
	{"P1: the user alone is wrong: refused", "203.0.113.7", WAN, "bob", ALICE, VAULT, -1, false,
	 LAYER_INITIATOR, false, 25, "wrong-initiator"},
	{"P1: a user that the policy does not know: refused", "203.0.113.7", WAN, "mallory", ALICE,
	 VAULT, -1, false, LAYER_CHAP, false, 14, "wrong-user"},
	{"P1: a user's prefix is no user", "203.0.113.7", WAN, "alic", ALICE, VAULT, -1, false,
	 LAYER_CHAP, false, 14, "wrong-user"},
	{"P1: an empty user is no user", "203.0.113.7", WAN, "", ALICE, VAULT, -1, false,
	 LAYER_CHAP, false, 14, "wrong-user"},
	{"P1: the address alone is wrong: refused", "203.0.113.8", WAN, "alice", ALICE, VAULT, -1, false,
	 LAYER_FIREWALL, false, 3, "wrong-address"},
	{"P1: the neighbour network is another network", "2001:db8:8::1", WAN, "alice", ALICE, VAULT, -1,
	 false, LAYER_FIREWALL, false, 3, "wrong-address"},
	{"P1: another initiator's address on the same portal: refused", "10.8.0.77", SITE, "bob", BOB,
	 STORE, -1, false, LAYER_ADDRESS, false, 24, "wrong-address"},
	{"P1: the portal alone is wrong: refused", "10.8.0.9", SITE, "alice", ALICE, VAULT, -1, false,
	 LAYER_PORTAL, true, 8, "wrong-portal"},
	{"P1: one's own target, from the other target's address: refused", "10.8.0.9", WAN, "alice", ALICE,
	 VAULT, -1, false, LAYER_FIREWALL, false, 3, "wrong-address"},
	{"P1: a portal that is not there: refused", "203.0.113.7", NO_PORTAL, "alice", ALICE, VAULT, -1,
	 false, LAYER_PORTAL, false, 0, "wrong-portal"},
	{"P1: the target alone is wrong: refused, the identity fits", "203.0.113.7", WAN, "alice", ALICE,
	 "iqn.2026-11.net.example.gw:none", -1, false, LAYER_TARGET, true, 0, "unknown-target"},
	{"P1: a target of others: refused", "127.0.0.1", HERE, "alice", ALICE, LOCAL, -1, false,
	 LAYER_ADDRESS, false, 13, "wrong-address"},
	{"P1: a target that does not name the initiator", "10.8.0.9", SITE, "bob", BOB, VAULT, -1, false,
	 LAYER_PORTAL, true, 8, "wrong-portal"},
	{"P1: a LUN of the target is the initiator's", ALICE_IN_VAULT, 0, true,
	 LAYER_NONE, true, 10, "allowed"},
	{"P1: the LUN alone is wrong: refused", ALICE_IN_VAULT, 2, false,
	 LAYER_LUN, true, 12, "unknown-lun"},
	{"P1: a LUN that the entry leaves out: refused", "10.8.0.9", SITE, "alice", ALICE, STORE, 1, false,
	 LAYER_LUN, true, 19, "unknown-lun"},
	{"P1: a write to a read-only disk: refused", ALICE_IN_VAULT, 1, true,
	 LAYER_COMMAND, true, 6, "read-only"},
	{"P1: a read of a read-only disk", ALICE_IN_VAULT, 1, false, LAYER_NONE, true, 10, "allowed"},
	{"P1: a write with a read-only grant: refused", "10.8.0.9", SITE, "alice", ALICE, STORE, 0, true,
	 LAYER_COMMAND, true, 22, "read-only"},
	{"P1: left out, a grant is all and read-write", "10.8.0.9", SITE, "bob", BOB, STORE, 0, true,
	 LAYER_NONE, true, 17, "allowed"},
	{"P1: left out, a grant of a read-only disk is read-only", "10.8.0.9", SITE, "bob", BOB, STORE, 1,
	 true, LAYER_COMMAND, true, 6, "read-only"},
	{"P1: a loopback portal needs no address", "127.0.0.1", HERE, "bob", BOB, LOCAL, -1, false,
	 LAYER_NONE, true, 30, "allowed"},
	{"P1: a loopback portal takes loopback addresses only", "10.8.0.9", HERE, "bob", BOB, LOCAL, -1,
	 false, LAYER_FIREWALL, false, 5, "wrong-address"},
	{"P1: a discovery of a known initiator", "203.0.113.7", WAN, "alice", ALICE, NULL, -1, false,
	 LAYER_NONE, true, 12, "allowed"},
	{"P1: a discovery from a wrong address: refused", "203.0.113.8", WAN, "alice", ALICE, NULL, -1,
	 false, LAYER_FIREWALL, false, 3, "wrong-address"},
	{"P1: a discovery by a portal without targets for it: refused", "10.8.0.9", WAN, "bob", BOB, NULL,
	 -1, false, LAYER_FIREWALL, false, 3, "wrong-address"},
	{"P1: a discovery with another's name: refused", "10.8.0.9", SITE, "bob", ALICE, NULL, -1, false,
	 LAYER_INITIATOR, false, 25, "wrong-initiator"},
	{"explain asks for no user", "203.0.113.7", WAN, NULL, ALICE, VAULT, -1, false,
	 LAYER_NONE, true, 12, "allowed"},
	{"without a portal: any that allows", "10.8.0.9", ANY, NULL, ALICE, STORE, -1, false,
	 LAYER_NONE, true, 19, "allowed"},
	{"without a portal: none allows", "192.0.2.1", ANY, NULL, ALICE, STORE, -1, false,
	 LAYER_FIREWALL, false, 3, "wrong-address"},
	/* clang-format on */
};

static struct claim claim_of(const struct row *row)
{
	return (struct claim){.from = ip_of(row->from),
			      .portal = row->portal == ANY ? SIZE_MAX : (size_t)row->portal,
			      .user = row->user,
			      .initiator = row->initiator,
			      .target = row->target,
			      .lun = row->lun,
			      .write = row->write};
}

static void test_row(void **state)
{
	const struct row *row = *state;
	struct claim claim = claim_of(row);
	struct decision d;
	enum layer at = row->layer;

	policy_decide(policy, &claim, &d);
	assert_string_equal(layer_name(d.layer), layer_name(row->layer));
	assert_int_equal(d.allowed, row->layer == LAYER_NONE);
	assert_int_equal(d.identity, row->identity);
	if (at == LAYER_NONE)
		at = row->lun >= 0 ? LAYER_LUN : row->target ? LAYER_TARGET : LAYER_INITIATOR;
	assert_string_equal(d.verdicts[at].reason, row->reason);
	assert_int_equal(d.verdicts[at].line, row->line);
	assert_true(strlen(d.verdicts[at].text) > 10);
	if (claim.portal < policy->portal_count)
		assert_int_equal(policy_opens_portal(policy, claim.portal, &claim.from, 0),
				 d.verdicts[LAYER_FIREWALL].allowed);
}

/* --- discovery lists what a login would be allowed to enter ------------------------------- */

struct seen {
	char names[512];
};

static void note(void *arg, const struct policy_target *target)
{
	struct seen *seen = arg;
	size_t used = strlen(seen->names);

	(void)snprintf(seen->names + used, sizeof seen->names - used, "%s ", target->name);
}

static void test_discovery(void **state)
{
	static const char *const froms[] = {"203.0.113.7", "10.8.0.9", "10.8.0.77",
					    "127.0.0.1",   "::1",      "192.0.2.1"};
	static const char *const who[][2] = {{"alice", ALICE}, {"bob", BOB}, {"alice", BOB}};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(froms) * ARRAY_LEN(who) * 3; k++) {
		const char *const *w = who[k % 3];
		struct claim claim = {.from = ip_of(froms[k / 9]),
				      .portal = k / 3 % 3,
				      .user = w[0],
				      .initiator = w[1],
				      .lun = -1};
		struct seen listed = {""}, entered = {""};
		struct decision d;

		policy_each_target(policy, &claim, note, &listed);
		for (size_t i = 0; i < policy->target_count; i++) {
			claim.target = policy->targets[i].name;
			policy_decide(policy, &claim, &d);
			if (d.allowed)
				note(&entered, &policy->targets[i]);
		}
		assert_string_equal(listed.names, entered.names);
		claim.target = NULL;
		policy_decide(policy, &claim, &d);
		assert_int_equal(d.allowed, listed.names[0] != '\0');
	}
}

static void test_addresses(void **state)
{
	static const struct {
		const char *ip;
		bool named;
	} cases[] = {{"203.0.113.7", true},	{"203.0.113.6", false},
		     {"203.0.113.8", false},	{"10.8.0.0", true},
		     {"10.8.0.255", true},	{"10.8.1.0", false},
		     {"2001:db8:7::", true},	{"2001:db8:7:0:ffff::", true},
		     {"2001:db8:7:1::", false}, {"127.0.0.1", false},
		     {"0.0.0.0", false},	{"::", false},
		     {"10.7.255.255", false},	{"203.0.113.77", false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ip ip = ip_of(cases[i].ip);

		if (policy_names_address(policy, &ip) != cases[i].named)
			fail_msg("%s", cases[i].ip);
	}
}

int main(void)
{
	int failed;

	open_policy();
	TESTS_ADD_TABLE(&t, rows, test_row);
	tests_add(&t, "P1: discovery lists exactly the targets that a login may enter",
		  test_discovery, NULL);
	tests_add(&t, "the addresses that a policy names", test_addresses, NULL);
	failed = tests_run(&t, "policy_decide");
	policy_free(policy);
	return failed;
}

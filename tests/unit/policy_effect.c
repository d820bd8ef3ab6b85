/* What another policy does to one session: each change alone has exactly this effect. P7: what the
 * new policy still allows as it is, does not notice. */
#include "tests/unit/test.h"

#include "policy/diff.h"
#include "tests/unit/policy_diff.h"

static struct tests t;

/* Sessions of the base: as they logged in, with what they were granted. */
static const struct effect_lun alice_luns[] = {{0, true}, {1, false}};
static const struct effect_lun bob_luns[] = {{0, true}, {1, true}, {2, true}};
static const struct effect_lun bob_without[] = {{0, true}, {1, true}};
static const struct effect_lun carol_luns[] = {{0, true}};

struct who {
	const char *portal, *local, *from, *user, *initiator, *target;
	const struct effect_lun *luns;
	size_t lun_count;
	uint32_t algorithm;
};
static const struct who alice = {
	"lan", "192.0.2.1:3260", "198.51.100.200", "alice", ALICE, VAULT, alice_luns, 2, 7};
static const struct who alice_here = {"here", NULL,	  "127.0.0.1", "alice", ALICE,
				      VAULT,  alice_luns, 2,	       7};
static const struct who bob = {
	"lan", "192.0.2.1:3260", "203.0.113.9", "bob", BOB, VAULT, bob_luns, 3, 8};
/* The disk of LUN 2 was not well when it logged in. */
static const struct who bob_less = {
	"lan", "192.0.2.1:3260", "203.0.113.9", "bob", BOB, VAULT, bob_without, 2, 8};
static const struct who carol = {"here", "127.0.0.1:3261", "127.0.0.1", "carol", CAROL,
				 OTHER,	 carol_luns,	   1,		5};
static const struct who finder = {"lan", "192.0.2.1:3260", "203.0.113.9", "bob", BOB, NULL, NULL, 0,
				  8};

/* clang-format off */
static const struct same_row {
	const char *why;
	const struct who *who;
	const char *edits[8];
} same_rows[] = {
	{"nothing changes", &alice, {NULL}},
	{"other lines are no change", &bob, {"disks:\n", "# a comment\ndisks:\n"}},
	{"the order of disks and of LUNs is no change", &bob,
	 {"  a: {memory: 1MiB}\n  b: {memory: 2MiB}\n",
	 "  b: {memory: 2MiB}\n  a: {memory: 1MiB}\n", "{0: a, 1: b, 2: c}",
	 "{2: c, 1: b, 0: a}"}},
	{"another initiator's end is none of its own", &alice,
	 {"      " BOB ":\n        from: [203.0.113.9]\n        chap: {user: bob, mutual: gw-b}\n        deny: [unmap]\n        protect: [{blocks: 0-7}]\n",
	 ""}},
	{"another target's disk is none of its own", &alice, {"c: {memory: 4MiB}",
	 "c: {memory: 8MiB}"}},
	{"what is negotiated holds from its next login on", &carol, {"    luns: {0: c}\n",
	 "    luns: {0: c}\n    alias: O\n    max_r2t: 2\n    queue_depth: 1\n    initial_r2t: true\n    max_connections: 2\n"}},
	{"the gateway's settings are none of its own", &alice, {"gateway: {grace: 30s,",
	 "auth: {bans: {after: 1}}\ngateway: {grace: 3s, io: threads,"}},
	{"its network grows", &alice, {"198.51.100.0/24", "198.51.0.0/16"}},
	{"its network shrinks, and it is within it still", &alice, {"198.51.100.0/24",
	 "198.51.100.128/25"}},
	{"another address of its portal goes", &alice, {", '[2001:db8::1]:3260'", ""}},
	{"its portal listens on every address now", &alice, {"'192.0.2.1:3260'",
	 "'0.0.0.0:3260'"}},
	{"what its portal advertises is for discovery", &alice_here, {"['127.0.0.1:3261'], ",
	 "['127.0.0.1:3261'], advertise: ['198.51.100.1:1'], "}},
	{"another mutual name is for its next login", &alice, {"gw-a", "gw-z"}},
	{"algorithms, and what it used is among them", &alice, {"gateway:",
	 "auth: {algorithms: [sha256]}\ngateway:"}},
	{"weaker algorithms are allowed it", &alice, {"mutual: gw-a", "mutual: gw-a, algorithms: [md5]"}},
	{"what it used is stronger than what is named now", &bob, {"gateway:",
	 "auth: {algorithms: [sha256]}\ngateway:"}},
	{"a LUN that it has not got is another disk", &alice, {"2: c}", "2: a}"}},
	{"a LUN that it had not got, its disk being not well, is no news", &bob_less, {"  lan:",
	 "\n  lan:"}},
	{"what records of a disk that it has not got wait for", &alice, {"c: {memory: 4MiB",
	 "c: {memory: 4MiB, durability: synced"}},
	{"a disk says what holds anyway", &alice, {"b: {memory: 2MiB",
	 "b: {memory: 2MiB, durability: handed-over"}},
	{"the rules of another are not its own", &alice, {"deny: [unmap]",
	 "deny: [unmap, read-16]"}},
	{"a discovery session, and another LUN", &finder, {"{0: a, 1: b,", "{0: b, 1: b,"}},
};

static const struct row {
	const char *why;
	const struct who *who;
	const char *edits[8];
	enum effect want;
	const char *reason, *text;
	uint32_t line, before_line;
	const char *widened; /* "2 rw" */
	bool rules;
} rows[] = {
	{"a rule more", &bob, {"deny: [unmap]", "deny: [unmap, read-16]"}, EFFECT_RULES, "deny",
	 "what it may do changes at once: deny", 22, 0, "", true},
	{"a rule less", &bob, {"        deny: [unmap]\n", ""}, EFFECT_RULES, "deny",
	 "what it may do changes at once: deny", 19, 0, "", true},
	{"a command that is allowed", &alice, {"        luns: {0: read-write, 1",
	 "        allow: [sanitize]\n        luns: {0: read-write, 1"}, EFFECT_RULES, "allow",
	 "what it may do changes at once: allow", 18, 0, "", true},
	{"blocks that are protected", &bob, {"blocks: 0-7", "blocks: 0-8"}, EFFECT_RULES,
	 "protect", "what it may do changes at once: protect", 23, 0, "", true},
	{"limits", &bob, {"        deny: [unmap]\n",
	 "        deny: [unmap]\n        limits: {iops: 10}\n"}, EFFECT_RULES, "limits",
	 "what it may do changes at once: limits", 23, 0, "", true},
	{"limits of one LUN", &alice, {"1: read-only}",
	 "1: {access: read-only, limits: {iops: 10}}}"}, EFFECT_RULES, "limits",
	 "what it may do changes at once: limits", 15, 0, "", true},
	{"what is recorded of it", &alice, {"gateway:", "audit: {commands: writes}\ngateway:"},
	 EFFECT_RULES, "audit.commands", "which of its commands are recorded changes at once", 0,
	 0, "", true},
	{"second records of what it does", &alice, {"gateway:", "audit: {outcomes: all}\ngateway:"},
	 EFFECT_RULES, "audit.outcomes",
	 "which of its commands get a second record changes at once", 0, 0, "", true},
	{"what its records wait for", &alice, {"gateway:", "audit: {durability: synced}\ngateway:"},
	 EFFECT_RULES, "audit.durability", "what its commands wait for changes at once", 0, 0, "",
	 true},
	{"what records of a disk of it wait for", &alice, {"b: {memory: 2MiB",
	 "b: {memory: 2MiB, durability: written"}, EFFECT_RULES, "audit.durability",
	 "what its commands wait for changes at once", 0, 0, "", true},
	{"a LUN more", &alice, {"1: read-only}", "1: read-only, 2: read-only}"}, EFFECT_WIDENED,
	 "lun-added", "it gets LUN 2", 18, 0, "2 ro ", false},
	{"LUNs more, of the target", &bob, {"2: c}", "2: c, 7: a, 255: b}"}, EFFECT_WIDENED,
	 "lun-added", "it gets LUN 7, and 1 more", 13, 0, "7 rw 255 rw ", false},
	{"read-only becomes read-write", &alice, {"1: read-only}", "1: read-write}"},
	 EFFECT_WIDENED, "lun-writable", "it may write LUN 1 from now on", 18, 0, "1 rw ", false},
	{"more LUNs, and other rules", &bob, {"2: c}", "2: c, 3: a}", "deny: [unmap]",
	 "deny: [write-16]"}, EFFECT_WIDENED, "lun-added", "it gets LUN 3", 13, 0, "3 rw ", true},
	{"a LUN less", &alice, {"{0: read-write, 1: read-only}", "{0: read-write}"}, EFFECT_AGAIN,
	 "lun-removed", "LUN 1 is taken from it", 15, 18, "", false},
	{"read-write becomes read-only", &alice, {"{0: read-write,", "{0: read-only,"},
	 EFFECT_AGAIN, "lun-read-only", "LUN 0 is read-only for it now", 18, 0, "", false},
	{"its disk may not be written any more", &carol, {"c: {memory: 4MiB}",
	 "c: {memory: 4MiB, read_only: true}"}, EFFECT_AGAIN, "lun-read-only",
	 "LUN 0 is read-only for it now", 26, 0, "", false},
	{"its LUN is another disk", &alice, {"{0: a, 1: b,", "{0: b, 1: b,"}, EFFECT_AGAIN,
	 "disk-replaced", "LUN 0 is the disk b now, and was a", 8, 0, "", false},
	{"its disk is on something else", &alice, {"b: {memory: 2MiB}",
	 "b: {file: /srv/none/b.img, size: 2MiB}"}, EFFECT_AGAIN, "disk-changed",
	 "the disk b of LUN 1 has another backend", 8, 0, "", false},
	{"its disk has another identity", &alice, {"b: {memory: 2MiB}",
	 "b: {memory: 2MiB, identity: {serial: '7'}}"}, EFFECT_AGAIN, "disk-changed",
	 "the disk b of LUN 1 has another identity.serial", 8, 0, "", false},
	{"its disk's writes must be durable now", &alice, {"a: {memory: 1MiB}",
	 "a: {memory: 1MiB, write_cache: false}"}, EFFECT_AGAIN, "disk-changed",
	 "the disk a of LUN 0 has another write_cache", 7, 0, "", false},
	{"its disk has another name", &alice, {"  b: {memory: 2MiB}",
	 "  z: {memory: 2MiB, formerly: [b]}", " 1: b,", " 1: z,"}, EFFECT_AGAIN, "disk-replaced",
	 "LUN 1 is the disk z now, and was b", 8, 0, "", false},
	{"a LUN less counts more than a LUN more", &alice, {"{0: read-write, 1: read-only}",
	 "{0: read-write, 2: read-write}"}, EFFECT_AGAIN, "lun-removed", "LUN 1 is taken from it",
	 15, 18, "", false},
	{"what it logged in with is too weak now", &alice, {"gateway:",
	 "auth: {algorithms: [sha3-256]}\ngateway:"}, EFFECT_AGAIN, "weak-algorithm",
	 "it logged in with a CHAP algorithm that is too weak now", 17, 0, "", false},
	{"the floor of one initiator rises", &carol, {"algorithms: [md5]", "algorithms: [sha256]"},
	 EFFECT_AGAIN, "weak-algorithm",
	 "it logged in with a CHAP algorithm that is too weak now", 29, 0, "", false},
	{"digests are required", &carol, {"    luns: {0: c}\n",
	 "    luns: {0: c}\n    digests: required\n"}, EFFECT_AGAIN, "digests-required",
	 "digests are required now, and it may have none", 24, 0, "", false},
	{"the target moved", &carol, {"    luns: {0: c}\n",
	 "    luns: {0: c}\n    redirect: '192.0.2.77:3260'\n"}, EFFECT_AGAIN, "redirected",
	 "the target moved: its next login is sent to 192.0.2.77:3260", 24, 0, "", false},
	{"its portal is in another group", &carol, {"['127.0.0.1:3261'], ",
	 "['127.0.0.1:3261'], group: 7, "}, EFFECT_AGAIN, "portal-group-changed",
	 "the portal here is in the portal group 7 now, and was in here", 5, 0, "", false},
	{"its portal has another name", &carol, {"  here:", "  home:", "[lan, here]",
	 "[lan, home]", "[here]", "[home]"}, EFFECT_AGAIN, "portal-changed",
	 "where it came in is the portal home now, and was here", 5, 0, "", false},
	{"P1: its portal is gone", &carol,
	 {"  here: {listen: ['127.0.0.1:3261'], transport: plain}\n", "", "[lan, here]", "[lan]",
	 "[here]", "[lan]", "        chap: {user: carol",
	 "        from: [127.0.0.1]\n        chap: {user: carol"}, EFFECT_ENDS, "portal-removed",
	 "the portal here is no more", 0, 5, "", false},
	{"P1: its portal is gone, and where it came in is not known", &alice_here,
	 {"  here: {listen: ['127.0.0.1:3261'], transport: plain}\n", "", "[lan, here]", "[lan]",
	 "[here]", "[lan]", "        chap: {user: carol",
	 "        from: [127.0.0.1]\n        chap: {user: carol"}, EFFECT_ENDS, "portal-removed",
	 "the portal here is no more", 0, 5, "", false},
	{"P1: its portal left the address that it reached", &alice, {"'192.0.2.1:3260'",
	 "'192.0.2.2:3260'"}, EFFECT_ENDS, "portal-removed",
	 "the portal lan does not listen on 192.0.2.1:3260 any more", 3, 3, "", false},
	{"P1: its target is not on its portal any more", &alice, {"[lan, here]", "[here]"},
	 EFFECT_ENDS, "wrong-address", NULL, 3, 0, "", false},
	{"P1: its address is not its own any more", &alice, {"198.51.100.0/24", "198.51.100.0/25"},
	 EFFECT_ENDS, "wrong-address", NULL, 3, 0, "", false},
	{"P1: its address is another's, and not its own any more", &alice, {"198.51.100.0/24",
	 "198.51.100.0/25", "[203.0.113.9]", "[203.0.113.9, 198.51.100.128/25]"}, EFFECT_ENDS,
	 "wrong-address", "198.51.100.200 is not among the initiator's addresses", 16, 0, "",
	 false},
	{"P1: its user is another", &bob, {"user: bob", "user: rob"}, EFFECT_ENDS, "wrong-user",
	 "its user is rob, and it proved another", 21, 0, "", false},
	{"P1: the policy does not name it any more", &carol,
	 {"      " CAROL ":\n        chap: {user: carol, mutual: gw-c, algorithms: [md5]}\n",
	 "      " CAROL "2:\n        chap: {user: carol2, mutual: gw-c}\n"}, EFFECT_ENDS,
	 "unknown-initiator", "no target names this initiator", 0, 28, "", false},
	{"P1: its target does not name it any more, another does", &carol,
	 {"      " CAROL ":\n        chap: {user: carol, mutual: gw-c, algorithms: [md5]}\n",
	 "      " CAROL "2:\n        chap: {user: carol2, mutual: gw-c}\n", "      " ALICE ":\n",
	 "      " CAROL ":\n        from: [127.0.0.1]\n        chap: {user: carol, mutual: gw-c, algorithms: [md5]}\n      " ALICE ":\n"},
	 EFFECT_ENDS, "not-for-initiator", "the target does not name this initiator", 27, 0, "",
	 false},
	{"P1: its target is gone", &carol, {"  " OTHER ":\n", "  " OTHER "2:\n"}, EFFECT_ENDS,
	 "unknown-target", "the policy has no such target", 0, 24, "", false},
	{"P1: a discovery session of somebody who may come no more", &finder, {"[203.0.113.9]",
	 "[203.0.113.8]"}, EFFECT_ENDS, "wrong-address", NULL, 3, 0, "", false},
};
/* clang-format on */

static struct effect_session session_of(const struct who *who)
{
	struct effect_session s = {
		.portal = who->portal,
		.user = who->user,
		.algorithm = who->algorithm,
		.initiator = who->initiator,
		.target = who->target,
		.luns = who->luns,
		.lun_count = who->lun_count,
	};

	assert_int_equal(ip_parse(who->from, &s.from), 0);
	if (who->local)
		assert_int_equal(endpoint_parse(who->local, &s.local), 0);
	return s;
}

static void does(void **state)
{
	const struct row *row = *state;
	struct policy *before = policy_base(), *after = policy_edited(row->edits);
	struct effect_session s = session_of(row->who);
	struct effect_result r;
	char widened[64] = "";

	policy_effect(before, after, &s, &r);
	for (size_t k = 0; k < r.widened_count; k++)
		(void)snprintf(widened + strlen(widened), sizeof widened - strlen(widened),
			       "%u %s ", r.widened[k].lun, r.widened[k].writable ? "rw" : "ro");
	assert_string_equal(effect_name(r.effect), effect_name(row->want));
	assert_string_equal(r.reason, row->reason);
	if (row->text)
		assert_string_equal(r.text, row->text);
	assert_int_equal(r.line, row->line);
	assert_int_equal(r.before_line, row->before_line);
	assert_string_equal(widened, row->widened);
	assert_int_equal(r.rules, row->rules);
	policy_free(before);
	policy_free(after);
}

static void does_not(void **state)
{
	const struct same_row *same = *state;
	struct row row = {.why = same->why,
			  .who = same->who,
			  .want = EFFECT_NONE,
			  .reason = "unchanged",
			  .text = "",
			  .widened = ""};
	void *as_row = &row;

	memcpy(row.edits, same->edits, sizeof row.edits);
	does(&as_row);
}

/* What a reload granted is what counts, whatever the policy before it said: going back takes it. */
static void granted_counts(void **state)
{
	static const char *const edits[8] = {"1: read-only}", "1: read-only, 2: read-write}"};
	static const struct effect_lun luns[] = {{0, true}, {1, false}, {2, true}};
	struct policy *before = policy_edited(edits), *after = policy_base();
	struct effect_session s = session_of(&alice);
	struct effect_result r;

	(void)state;
	s.luns = luns;
	s.lun_count = ARRAY_LEN(luns);
	policy_effect(before, after, &s, &r);
	assert_string_equal(r.reason, "lun-removed");
	s.lun_count = 2; /* it did not get it */
	policy_effect(before, after, &s, &r);
	assert_string_equal(r.reason, "unchanged");
	policy_free(before);
	policy_free(after);
}

/* Who logged in one-way never heard our proof; who heard it loses nothing without. */
static void proof_is_required(void **state)
{
	static const char *const edits[8] = {"mutual: gw-c, alg", "mutual: none, alg"};
	struct policy *one_way = policy_edited(edits), *both = policy_base();
	struct effect_session s = session_of(&carol);
	struct effect_result r;

	(void)state;
	policy_effect(one_way, both, &s, &r);
	assert_string_equal(effect_name(r.effect), "log-in-again");
	assert_string_equal(r.reason, "mutual-required");
	assert_string_equal(r.text, "we prove who we are now, and it did not ask for it");
	assert_int_equal(r.line, 29);
	policy_effect(both, one_way, &s, &r);
	assert_string_equal(r.reason, "unchanged");
	policy_free(one_way);
	policy_free(both);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, same_rows, does_not);
	TESTS_ADD_TABLE(&t, rows, does);
	tests_add(&t, "who logged in one-way does so again when mutual proof is required",
		  proof_is_required, NULL);
	tests_add(&t, "going back takes what a reload gave", granted_counts, NULL);
	return tests_run(&t, "policy");
}

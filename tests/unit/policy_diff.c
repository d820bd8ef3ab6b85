/* What two policies differ in: each change alone is exactly what is told of it. */
#include "tests/unit/test.h"

#include "policy/diff.h"
#include "policy/facts.h"
#include "policy/schema.h"
#include "tests/unit/policy_diff.h"

static struct tests t;

/* One line for each: "~ portal lan listen: 192.0.2.1:3260 -> 192.0.2.2:3260 (3, 3)". */
static char *told(const struct differences *d)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	for (size_t k = 0; k < d->count; k++) {
		const struct difference *x = &d->list[k];

		fprintf(f, "%c %s", "?+-~"[x->kind], difference_of_name(x->of));
		if (x->of >= OF_LUN && x->target)
			fprintf(f, " %s", strrchr(x->target, ':') + 1);
		if (x->of > OF_INITIATOR)
			fprintf(f, " %s", strrchr(x->initiator, ':') + 1);
		if (x->lun >= 0)
			fprintf(f, " %d", x->lun);
		if (x->name)
			fprintf(f, " %s",
				strchr(x->name, ':') ? strrchr(x->name, ':') + 1 : x->name);
		fprintf(f, "%s%s: %s -> %s (%u, %u)\n", x->key ? " " : "", x->key ? x->key : "",
			x->before ? x->before : "none", x->after ? x->after : "none",
			x->before_line, x->after_line);
	}
	assert_int_equal(fclose(f), 0);
	return text;
}

static const struct row {
	const char *why;
	const char *edits[8];
	const char *want;
} rows[] = {
	{"one policy differs in nothing from itself", {NULL}, ""},
	{"comments and empty lines are no difference",
	 {"disks:\n", "\n# a comment\n\ndisks: # of all\n", "  a:", "# more\n  a:"},
	 ""},
	{"the order of things is no difference",
	 {"  a: {memory: 1MiB}\n  b: {memory: 2MiB}\n  c: {memory: 4MiB}\n",
	  "  c: {memory: 4MiB}\n  b: {memory: 2MiB}\n  a: {memory: 1MiB}\n", "portals: [lan, here]",
	  "portals: [here, lan]", "{0: a, 1: b, 2: c}", "{2: c, 0: a, 1: b}"},
	 ""},
	{"the order of addresses is no difference",
	 {"'192.0.2.1:3260', '[2001:db8::1]:3260'", "'[2001:db8::1]:3260', '192.0.2.1:3260'",
	  "198.51.100.0/24, 127.0.0.1", "127.0.0.1, 198.51.100.0/24"},
	 ""},
	{"what is said that is the default is no difference",
	 {"gateway: {grace: 30s,", "audit: {commands: all}\ngateway: {io: auto, grace: 30s,"},
	 ""},
	{"a portal's addresses",
	 {"'192.0.2.1:3260', ", "'192.0.2.2:3260', "},
	 "~ portal lan listen: 192.0.2.1:3260, [2001:db8::1]:3260 -> "
	 "192.0.2.2:3260, [2001:db8::1]:3260 (3, 3)\n"},
	{"a portal that is new",
	 {"  here:", "  two: {listen: ['127.0.0.2:3260'], transport: plain}\n  here:"},
	 "+ portal two: none -> 127.0.0.2:3260, plain (0, 5)\n"},
	{"a portal that is gone",
	 {"  lan: {listen: ['192.0.2.1:3260', '[2001:db8::1]:3260'], transport: plain,\n"
	  "        accept_risk: true}\n",
	  "", "[lan, here]", "[here]"},
	 "- portal lan: 192.0.2.1:3260, [2001:db8::1]:3260, plain -> none (3, 0)\n"
	 "~ target vault portals: here, lan -> here (11, 9)\n"},
	{"a portal's group",
	 {"['127.0.0.1:3261'], ", "['127.0.0.1:3261'], group: 7, "},
	 "~ portal here group: here -> 7 (5, 5)\n"},
	{"what a portal advertises",
	 {"['127.0.0.1:3261'], ", "['127.0.0.1:3261'], advertise: ['198.51.100.1:1'], "},
	 "~ portal here advertise: none -> 198.51.100.1:1 (5, 5)\n"},
	{"a disk on something else",
	 {"a: {memory: 1MiB}", "a: {file: /srv/none/a.img, size: 1MiB}"},
	 "~ disk a backend: memory 1MiB -> file /srv/none/a.img (7, 7)\n"
	 "~ disk a size: none -> 1MiB (7, 7)\n"},
	{"a disk that may not be written takes it from its initiators",
	 {"c: {memory: 4MiB}", "c: {memory: 4MiB, read_only: true}"},
	 "~ disk c read_only: false -> true (9, 9)\n"
	 "~ access other carol 0 access: read-write -> read-only (26, 26)\n"
	 "~ access vault bob 2 access: read-write -> read-only (13, 13)\n"},
	{"what a disk says that it is",
	 {"a: {memory: 1MiB}",
	  "a: {memory: 1MiB, identity: {naa: 6001405123456789abcdef0123456789, serial: s, "
	  "vendor: v, product: p}, thin: false, rotational: true, removable: true, "
	  "write_cache: false, physical_block_size: 512, durability: synced}"},
	 "~ disk a physical_block_size: 4096 -> 512 (7, 7)\n"
	 "~ disk a identity.naa: none -> 6001405123456789abcdef0123456789 (7, 7)\n"
	 "~ disk a identity.serial: none -> s (7, 7)\n"
	 "~ disk a identity.vendor: none -> v (7, 7)\n"
	 "~ disk a identity.product: none -> p (7, 7)\n"
	 "~ disk a thin: none -> false (7, 7)\n"
	 "~ disk a write_cache: true -> false (7, 7)\n"
	 "~ disk a rotational: none -> true (7, 7)\n"
	 "~ disk a removable: false -> true (7, 7)\n"
	 "~ disk a durability: none -> synced (7, 7)\n"},
	{"a disk around the page cache",
	 {"a: {memory: 1MiB}", "a: {file: /srv/none/a.img, size: 1MiB, cache: none}"},
	 "~ disk a backend: memory 1MiB -> file /srv/none/a.img (7, 7)\n"
	 "~ disk a size: none -> 1MiB (7, 7)\n"
	 "~ disk a cache: page -> none (7, 7)\n"},
	{"a disk with another name is the same disk",
	 {"  a: {memory: 1MiB}", "  z: {memory: 1MiB, formerly: [a]}", "{0: a,", "{0: z,"},
	 "~ disk z name: a -> z (7, 7)\n"
	 "~ disk z formerly: none -> a (7, 7)\n"
	 "~ lun vault 0 disk: a -> z (13, 13)\n"},
	{"an initiator that is new",
	 {"      " BOB ":\n",
	  "      iqn.2026-11.a:dave:\n        from: [192.0.2.7, 192.0.2.6]\n"
	  "        chap: {user: dave, mutual: gw-d}\n        luns: {2: read-only}\n"
	  "        deny: [unmap]\n      " BOB ":\n"},
	 "+ initiator vault dave: none -> 192.0.2.6, 192.0.2.7, dave (0, 19)\n"
	 "+ rule vault dave deny: none -> unmap (0, 23)\n"
	 "+ access vault dave 2: none -> read-only (0, 22)\n"},
	{"limits",
	 {"        deny: [unmap]\n",
	  "        deny: [unmap]\n        limits: {outstanding: 8, iops: 500}\n"
	  "        luns: {0: {limits: {bandwidth: 10MiB}}, 1: read-write, 2: read-write}\n"},
	 "+ rule vault bob limits: none -> iops 500, outstanding 8; LUN 0: bandwidth 10MiB "
	 "(19, 23)\n"},
	{"an initiator that is gone",
	 {"      " CAROL ":\n        chap: {user: carol, mutual: gw-c, algorithms: [md5]}\n", "",
	  "    luns: {0: c}\n    initiators:\n", "    luns: {0: c}\n"},
	 "- initiator other carol: carol -> none (28, 0)\n"
	 "- access other carol 0: read-write -> none (26, 0)\n"},
	{"a target that is gone, with all that is in it",
	 {"  " OTHER ":\n    portals: [here]\n    luns: {0: c}\n    initiators:\n      " CAROL
	  ":\n        chap: {user: carol, mutual: gw-c, algorithms: [md5]}\n",
	  ""},
	 "- target other: here -> none (24, 0)\n"
	 "- lun other 0: c -> none (26, 0)\n"
	 "- initiator other carol: carol -> none (28, 0)\n"
	 "- access other carol 0: read-write -> none (26, 0)\n"},
	{"an initiator's addresses",
	 {"198.51.100.0/24, 127.0.0.1", "198.51.100.0/25, 127.0.0.1"},
	 "~ initiator vault alice from: 127.0.0.1, 198.51.100.0/24 -> "
	 "127.0.0.1, 198.51.100.0/25 (16, 16)\n"},
	{"an initiator's users",
	 {"{user: bob, mutual: gw-b}", "{user: rob, mutual: gw-r}"},
	 "~ initiator vault bob chap.user: bob -> rob (21, 21)\n"
	 "~ initiator vault bob chap.mutual: gw-b -> gw-r (21, 21)\n"},
	{"when an initiator may enter, and how often",
	 {"        deny: [unmap]\n",
	  "        deny: [unmap]\n        until: 2026-12-24T18:00+01:00\n        sessions: 2\n"
	  "        hours: Mon-Fri 07:00-19:00 Europe/Berlin\n"},
	 "~ initiator vault bob until: none -> 2026-12-24T17:00:00.000Z (19, 23)\n"
	 "~ initiator vault bob hours: none -> Mon-Fri 07:00-19:00 Europe/Berlin (19, 25)\n"
	 "~ initiator vault bob sessions: none -> 2 (19, 24)\n"},
	{"the algorithms of one initiator",
	 {"algorithms: [md5]", "algorithms: [sha256, md5]"},
	 "~ initiator other carol chap.algorithms: md5 -> md5, sha256 (29, 29)\n"},
	{"the algorithms of all: told once",
	 {"gateway:", "auth: {algorithms: [sha3-256]}\ngateway:"},
	 "~ setting auth.algorithms: sha256, sha3-256 -> sha3-256 (0, 0)\n"},
	{"an initiator's access",
	 {"1: read-only}", "1: read-write, 2: read-only}"},
	 "~ access vault alice 1 access: read-only -> read-write (18, 18)\n"
	 "+ access vault alice 2: none -> read-only (0, 18)\n"},
	{"the disk of a LUN",
	 {"luns: {0: c}", "luns: {0: b}"},
	 "~ lun other 0 disk: c -> b (26, 26)\n"},
	{"a LUN that is new, for those who may use all",
	 {"2: c}", "2: c, 3: a}"},
	 "+ lun vault 3: none -> a (0, 13)\n"
	 "+ access vault bob 3: none -> read-write (0, 13)\n"},
	{"rules: more, others, and none",
	 {"deny: [unmap]", "deny: [unmap, read-16]", "blocks: 0-7", "blocks: 0-8",
	  "        protect:", "        allow: [sanitize-overwrite]\n        protect:"},
	 "~ rule vault bob deny: unmap -> read-16, unmap (22, 22)\n"
	 "+ rule vault bob allow: none -> sanitize-overwrite (19, 23)\n"
	 "~ rule vault bob protect: blocks 0-7 from writes -> blocks 0-8 from writes (23, 24)\n"},
	{"rules that are taken away",
	 {"        deny: [unmap]\n", ""},
	 "- rule vault bob deny: unmap -> none (22, 19)\n"},
	{"what a target negotiates, and where it sends to",
	 {"    luns: {0: c}\n",
	  "    luns: {0: c}\n    alias: Other\n    digests: required\n    first_burst: 4KiB\n"
	  "    max_burst: 8KiB\n    max_r2t: 2\n    immediate_data: false\n    initial_r2t: true\n"
	  "    queue_depth: 9\n    max_connections: 3\n    error_recovery: 2\n"
	  "    redirect: '192.0.2.77:3260'\n"},
	 "~ target other alias: none -> Other (24, 24)\n"
	 "~ target other digests: offered -> required (24, 24)\n"
	 "~ target other first_burst: 256KiB -> 4KiB (24, 24)\n"
	 "~ target other max_burst: 4MiB -> 8KiB (24, 24)\n"
	 "~ target other max_r2t: 16 -> 2 (24, 24)\n"
	 "~ target other immediate_data: true -> false (24, 24)\n"
	 "~ target other initial_r2t: false -> true (24, 24)\n"
	 "~ target other queue_depth: 64 -> 9 (24, 24)\n"
	 "~ target other max_connections: 1 -> 3 (24, 24)\n"
	 "~ target other error_recovery: 0 -> 2 (24, 24)\n"
	 "~ target other redirect: none -> 192.0.2.77:3260 (24, 24)\n"},
	{"the settings",
	 {"gateway: {grace: 30s, disk_roots: [/srv]}\n",
	  "gateway: {grace: 20s, disk_roots: [/srv, /dev], operators: [zoe, adam], login_timeout: "
	  "9s,\n"
	  "          logins_at_once: 7, connections: 77, io: threads, ping: {every: 9s, misses: "
	  "2},\n"
	  "          decoys: [iqn.2026-11.net.example.gw:bait]}\n"
	  "auth: {bans: {after: 2, within: 2m, for: 3m, cap: 2d, exempt: [198.51.100.0/24, "
	  "192.0.2.9]}}\n"
	  "firewall: {manage: false}\n"
	  "audit: {commands: writes, durability: written, outcomes: all, keep: {for: 30d, at_most: "
	  "2GiB}, space: {warn: 30%, refuse: "
	  "1GiB,\n"
	  "  stop: 4%, reserve: 1MiB}, checkpoints: {file: /a, command: [/b, c d], syslog: "
	  "'unix:/e'}}\n"},
	 "~ setting auth.bans.after: 5 -> 2 (0, 0)\n"
	 "~ setting auth.bans.within: 10m -> 2m (0, 0)\n"
	 "~ setting auth.bans.for: 10m -> 3m (0, 0)\n"
	 "~ setting auth.bans.cap: 1d -> 2d (0, 0)\n"
	 "~ setting auth.bans.exempt: none -> 192.0.2.9, 198.51.100.0/24 (0, 0)\n"
	 "~ setting firewall.manage: true -> false (0, 0)\n"
	 "~ setting audit.commands: all -> writes (0, 0)\n"
	 "~ setting audit.durability: handed-over -> written (0, 0)\n"
	 "~ setting audit.outcomes: failed -> all (0, 0)\n"
	 "~ setting audit.keep.for: none -> 30d (0, 0)\n"
	 "~ setting audit.keep.at_most: none -> 2GiB (0, 0)\n"
	 "~ setting audit.space.warn: 20%, at most 4GiB -> 30% (0, 0)\n"
	 "~ setting audit.space.refuse: 10%, at most 2GiB -> 1GiB (0, 0)\n"
	 "~ setting audit.space.stop: 5%, at most 1GiB -> 4% (0, 0)\n"
	 "~ setting audit.space.reserve: 64MiB -> 1MiB (0, 0)\n"
	 "~ setting audit.checkpoints.file: none -> /a (0, 0)\n"
	 "~ setting audit.checkpoints.command: none -> \"/b\" \"c d\" (0, 0)\n"
	 "~ setting audit.checkpoints.syslog: none -> unix:/e (0, 0)\n"
	 "~ setting gateway.disk_roots: /srv -> /dev, /srv (0, 0)\n"
	 "~ setting gateway.operators: none -> adam, zoe (0, 0)\n"
	 "~ setting gateway.decoys: none -> iqn.2026-11.net.example.gw:bait (0, 0)\n"
	 "~ setting gateway.login_timeout: 10s -> 9s (0, 0)\n"
	 "~ setting gateway.logins_at_once: 64 -> 7 (0, 0)\n"
	 "~ setting gateway.connections: 2048 -> 77 (0, 0)\n"
	 "~ setting gateway.ping.every: 15s -> 9s (0, 0)\n"
	 "~ setting gateway.ping.misses: 3 -> 2 (0, 0)\n"
	 "~ setting gateway.grace: 30s -> 20s (0, 0)\n"
	 "~ setting gateway.io: auto -> threads (0, 0)\n"},
};

static void differs(void **state)
{
	const struct row *row = *state;
	struct policy *before = policy_base(), *after = policy_edited(row->edits);
	struct differences d = {0};
	char *text;

	assert_int_equal(policy_differences(before, after, &d), 0);
	text = told(&d);
	assert_string_equal(text, row->want);
	free(text);
	differences_free(&d);
	policy_free(before);
	policy_free(after);
}

/* Told backwards, each difference is there as well: + as -, and the other way round. */
static void differs_backwards(void **state)
{
	const struct row *row = *state;
	struct policy *before = policy_base(), *after = policy_edited(row->edits);
	struct differences d = {0}, back = {0};

	assert_int_equal(policy_differences(before, after, &d), 0);
	assert_int_equal(policy_differences(after, before, &back), 0);
	assert_int_equal(d.count, back.count);
	differences_free(&d);
	differences_free(&back);
	policy_free(before);
	policy_free(after);
}

static void all_is_new(void **state)
{
	struct policy *p = policy_base();
	struct differences d = {0};
	size_t things = 0;

	(void)state;
	assert_int_equal(policy_differences(NULL, p, &d), 0);
	for (size_t k = 0; k < d.count; k++) {
		assert_int_equal(d.list[k].kind, DIFFERENCE_ADDED);
		things += d.list[k].of != OF_RULE && d.list[k].of != OF_ACCESS;
	}
	assert_int_equal(things, 2 + 3 + 2 + 4 + 3); /* portals, disks, targets, LUNs, initiators */
	differences_free(&d);
	policy_free(p);
}

/* --- no key is forgotten --- */

/* Keys that are a fact by another name, or none of a compiled policy. */
static const struct {
	enum section section;
	const char *key;
} elsewhere[] = {
	{SECTION_POLICY, "version"},	  {SECTION_DISK, "file"},
	{SECTION_DISK, "device"},	  {SECTION_DISK, "memory"},
	{SECTION_TARGET, "luns"},	  {SECTION_INITIATOR, "luns"},
	{SECTION_INITIATOR, "like"},	  {SECTION_PROTECT, "blocks"},
	{SECTION_PROTECT, "from"},	  {SECTION_PROTECT, "lun"},
	{SECTION_TRANSPORT, "interface"}, {SECTION_LIMITS, "iops"},
	{SECTION_LIMITS, "bandwidth"},	  {SECTION_LIMITS, "outstanding"},
};

static bool is_elsewhere(const struct schema_key *k)
{
	for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++)
		if (elsewhere[i].section == k->section && strcmp(elsewhere[i].key, k->key) == 0)
			return true;
	return false;
}

/* "gateway.ping.every" is the key "every". */
static bool is_compared(const struct schema_key *k)
{
	for (size_t i = 0; i < fact_count; i++) {
		const char *dot = strrchr(facts[i].key, '.');

		if (strcmp(dot ? dot + 1 : facts[i].key, k->key) == 0)
			return true;
	}
	return false;
}

static void all_keys_are_compared(void **state)
{
	bool all = true;

	(void)state;
	for (size_t i = 0; i < schema_key_count; i++) {
		const struct schema_key *k = &schema_keys[i];

		if (k->type == TYPE_MAP || strcmp(k->key, "*") == 0 || is_elsewhere(k) ||
		    is_compared(k))
			continue;
		print_message("policy/facts.c has no row for the key %s\n", k->key);
		all = false;
	}
	assert_true(all);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, differs);
	for (size_t k = 0; k < ARRAY_LEN(rows); k++)
		tests_add(&t, "it is as many differences backwards", differs_backwards, &rows[k]);
	tests_add(&t, "without an old policy all is new", all_is_new, NULL);
	tests_add(&t, "P5: every key that a policy may have is compared", all_keys_are_compared,
		  NULL);
	return tests_run(&t, "policy");
}

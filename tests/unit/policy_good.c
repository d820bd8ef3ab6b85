/* What a right policy becomes: every key, every default, paths and files as they are found, and
 * sizes that a large site has. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include "gateway/base/fd.h"
#include "policy/firewall.h"
#include "policy/types.h"

static struct tests t;

#define TARGET "iqn.2026-11.net.example.gw:vault"
#define CLIENT "iqn.1994-05.com.redhat:client"
#define HERE   "portals: {here: {listen: ['127.0.0.1:3260'], transport: plain}}\n"
#define CHAP   "chap: {user: alice, mutual: gw-a}"
#define ENTRY  "initiators: {" CLIENT ": {" CHAP "}}"

/* Compiles; *ret_said is what was said. */
static int parse(const char *text, struct policy **ret_policy, char **ret_said)
{
	size_t len = 0;
	FILE *f = open_memstream(ret_said, &len);
	struct policy_options options = {.messages = f};
	int r;

	*ret_policy = NULL;
	r = policy_parse("policy.yaml", text, strlen(text), &options, ret_policy);
	assert_int_equal(fclose(f), 0);
	return r;
}

static struct policy *taken(const char *text)
{
	char *said = NULL;
	struct policy *p;

	if (parse(text, &p, &said) < 0)
		fail_msg("%s", said);
	free(said);
	return p;
}

static const struct policy_limits default_limits = {false, false, true, 262144, 4194304,
						    16,	   64,	  1,	0};

static void limits_are(const struct policy_limits *l, const struct policy_limits *want)
{
	assert_int_equal(l->digests_required, want->digests_required);
	assert_int_equal(l->initial_r2t, want->initial_r2t);
	assert_int_equal(l->immediate_data, want->immediate_data);
	assert_int_equal(l->first_burst, want->first_burst);
	assert_int_equal(l->max_burst, want->max_burst);
	assert_int_equal(l->max_r2t, want->max_r2t);
	assert_int_equal(l->queue_depth, want->queue_depth);
	assert_int_equal(l->max_connections, want->max_connections);
	assert_int_equal(l->error_recovery, want->error_recovery);
}

static void audit_arrived(const struct policy *p)
{
	const struct policy_trail *trail = &p->trail;

	assert_true(p->audit_writes_only && p->outcomes_all);
	assert_int_equal(p->durability, DURABILITY_WRITTEN);
	assert_int_equal(p->disks[2].durability, DURABILITY_SYNCED);
	assert_true(trail->keep_ms == UINT64_C(90) * 86400000 && trail->at_most == UINT64_C(50)
											   << 30);
	assert_true(trail->warn.percent == 30 && trail->warn.octets == 0 &&
		    trail->refuse.percent == 0 && trail->refuse.octets == UINT64_C(3) << 30);
	assert_true(trail->stop.octets == UINT64_C(2) << 30 && trail->reserve == 128 << 20);
	assert_true(trail->file[0] == '/' && strstr(trail->file, "/seals/file"));
	assert_true(trail->command_count == 2 && !trail->command[2]);
	assert_string_equal(trail->command[1], "-u");
	assert_string_equal(trail->syslog, "/dev/log");
}

static void test_everything(void **state)
{
	struct policy *p =
		taken("version: 1\n"
		      "portals:\n"
		      "  wan: {listen: ['0.0.0.0:3261', '[::]:3261'], transport: plain, "
		      "accept_risk: true}\n"
		      "  here: {listen: [127.0.0.1:3260], transport: plain}\n"
		      "disks:\n"
		      "  vault: {file: disks/vault.img, size: 20GiB}\n"
		      "  archive: {device: /dev/vg0/no-such-archive, read_only: true}\n"
		      "  scratch: {memory: 256MiB, durability: synced}\n"
		      "targets:\n"
		      "  IQN.2026-11.net.example.GW:vault:\n"
		      "    alias: Vault\n"
		      "    portals: [here, wan]\n"
		      "    luns: {1: archive, 0: vault, 2: scratch}\n"
		      "    digests: required\n"
		      "    first_burst: 512B\n"
		      "    max_burst: 4MiB\n"
		      "    max_r2t: 16\n"
		      "    immediate_data: false\n"
		      "    initial_r2t: true\n"
		      "    queue_depth: 128\n"
		      "    max_connections: 8\n"
		      "    error_recovery: 2\n"
		      "    redirect: '[2001:DB8::0:1]:860'\n"
		      "    initiators:\n"
		      "      " CLIENT ":\n"
		      "        from: [203.0.113.7, '2001:db8:7::/64']\n"
		      "        chap: {user: alice, mutual: gw-a, algorithms: [md5]}\n"
		      "        luns: {1: read-only, 0: read-write}\n"
		      "auth: {algorithms: [sha256], bans: {after: 3, within: 1m, for: 2h,\n"
		      "  exempt: [198.51.100.0/24, '2001:db8::9'], cap: 7d}}\n"
		      "firewall: {manage: false}\n"
		      "audit: {commands: writes, durability: written, outcomes: all,\n"
		      "  keep: {for: 90d, at_most: 50GiB},\n"
		      "  space: {warn: 30%, refuse: 3GiB, stop: 2GiB, reserve: 128MiB},\n"
		      "  checkpoints: {file: seals/file, command: [/bin/cat, -u],\n"
		      "    syslog: 'unix:/dev/log'}}\n"
		      "gateway: {disk_roots: [disks, /dev], operators: [bob], login_timeout: 5s,\n"
		      "  logins_at_once: 8, connections: 100, io: threads, grace: 5m,\n"
		      "  decoys: [iqn.2026-11.net.example.gw:Backup],\n"
		      "  ping: {every: 1500ms, misses: 16}}\n");
	const struct policy_target *v = &p->targets[0];
	const struct policy_initiator *i = &v->initiators[0];

	(void)state;
	assert_int_equal(p->portal_count, 2);
	assert_string_equal(p->portals[0].name, "wan");
	assert_int_equal(p->portals[0].listen_count, 2);
	assert_true(p->portals[0].accept_risk && !p->portals[0].loopback);
	assert_true(p->portals[1].loopback);
	assert_int_equal(p->disks[0].kind, POLICY_FILE);
	assert_int_equal(p->disks[0].size_bytes, UINT64_C(20) << 30);
	assert_int_equal(p->disks[0].path[0], '/');
	assert_non_null(strstr(p->disks[0].path, "/disks/vault.img"));
	assert_true(p->disks[1].read_only);
	assert_int_equal(p->disks[2].size_bytes, 256 << 20);
	assert_string_equal(v->name, TARGET);
	assert_string_equal(v->alias, "Vault");
	assert_int_equal(v->portals[0], 1);
	assert_int_equal(v->luns[1].lun, 1);
	assert_int_equal(v->luns[1].disk, 1);
	assert_int_equal(i->from_count, 2);
	assert_true(i->line == 25 && i->from_line == 26 && i->chap_line == 27);
	assert_int_equal(i->algorithms, 1U << 5);
	assert_int_equal(i->access_count, 2);
	assert_true(i->access[0].lun == 0 && i->access[0].writable);
	assert_true(i->access[1].lun == 1 && !i->access[1].writable);
	assert_int_equal(p->algorithms, 1U << 7);
	assert_true(p->ban_after == 3 && p->ban_within_s == 60 && p->ban_for_s == 7200);
	assert_true(!p->manage_firewall);
	audit_arrived(p);
	assert_int_equal(p->disk_root_count, 2);
	assert_string_equal(p->operators[0], "bob");
	assert_int_equal(p->login_timeout_ms, 5000);
	assert_int_equal(p->logins_at_once, 8);
	assert_int_equal(p->connections, 100);
	assert_int_equal(p->io, POLICY_IO_THREADS);
	assert_int_equal(p->grace_ms, 300000);
	assert_int_equal(p->ping_every_ms, 1500);
	assert_int_equal(p->ping_misses, 16);
	limits_are(&v->limits,
		   &(struct policy_limits){true, true, false, 512, 4 << 20, 16, 128, 8, 2});
	assert_string_equal(v->redirect, "[2001:db8::1]:860");
	limits_are(&p->discovery, &default_limits); /* no target's */
	assert_int_equal(p->warnings, 3);	    /* plain on a network, md5, no firewall */
	policy_free(p);
}

/* What follows the portal's `transport: plain` in each row. */
static const struct portal_row {
	const char *why, *keys, *group;
	uint16_t tag;
	size_t advertised;
	const char *first;
} portal_rows[] = {
	{"a portal is its own group", "", "here", 0, 0, NULL},
	{"a group by name", ", group: main-2", "main-2", 0, 0, NULL},
	{"a group by its tag", ", group: 65535", "65535", 65535, 0, NULL},
	{"a group by its tag, quoted", ", group: '7'", "7", 7, 0, NULL},
	{"an address to advertise", ", advertise: ['203.0.113.1:860']", "here", 0, 1,
	 "203.0.113.1:860"},
	{"IPv4 in IPv6 is advertised as IPv4", ", advertise: ['[::ffff:203.0.113.1]:3260']", "here",
	 0, 1, "203.0.113.1:3260"},
	{"several, of both families, and of this machine's loopback, for tunnels",
	 ", advertise: ['[2001:db8::1]:3260', '203.0.113.1:3260', '127.0.0.1:3333']", "here", 0, 3,
	 "[2001:db8::1]:3260"},
};

static void test_portal(void **state)
{
	const struct portal_row *r = *state;
	char text[1000], first[ADDRESS_TEXT];
	struct policy *p;

	(void)snprintf(text, sizeof text,
		       "version: 1\nportals: {here: {listen: ['127.0.0.1:3260'], "
		       "transport: plain%s}}\n",
		       r->keys);
	p = taken(text);
	assert_string_equal(p->portals[0].group, r->group);
	assert_int_equal(p->portals[0].group_tag, r->tag);
	assert_int_equal(p->portals[0].advertise_count, r->advertised);
	if (r->first)
		assert_string_equal(endpoint_format(&p->portals[0].advertise[0], first), r->first);
	policy_free(p);
}

/* The loopback interface is one that every machine has. */
static void test_scope(void **state)
{
	struct policy *p = taken("version: 1\nportals: {link: {listen: ['[fe80::1%lo]:3260', "
				 "'[fe80::1%lo]:3261', '[fe80::1%no-such-0.1]:3260'], "
				 "transport: plain, accept_risk: true}}\n");
	OWNED_FREE char *script = firewall_script(p, 0);

	(void)state;
	assert_int_equal(p->portals[0].listen[0].ip.scope, 1);
	assert_string_equal(p->portals[0].interfaces[0], "lo");
	assert_int_equal(p->portals[0].listen[2].ip.scope, 0);
	assert_string_equal(p->portals[0].interfaces[2], "no-such-0.1");
	assert_non_null(script);
	assert_non_null(strstr(script, "iifname { \"lo\", \"no-such-0.1\" } ip6 daddr fe80::1 "
				       "tcp dport 3260 goto portal_link"));
	policy_free(p);
}

static void test_defaults(void **state)
{
	struct policy *p = taken("version: 1\n" HERE "disks: {a: {memory: 1MiB, read_only: true}}\n"
				 "targets: {" TARGET ": {portals: [here], luns: {0: a}, " ENTRY
				 "}}\n");
	const struct policy_initiator *i = &p->targets[0].initiators[0];

	(void)state;
	assert_int_equal(p->algorithms, 1U << 7 | 1U << 8);
	assert_int_equal(i->algorithms, p->algorithms);
	assert_int_equal(p->ban_after, 5);
	assert_int_equal(p->ban_within_s, 600);
	assert_int_equal(p->ban_for_s, 600);
	assert_true(p->manage_firewall && !p->audit_writes_only && !p->outcomes_all);
	assert_int_equal(p->durability, DURABILITY_HANDED_OVER);
	assert_int_equal(p->disks[0].durability, DURABILITY_INVALID);
	assert_true(p->trail.keep_ms == 0 && p->trail.at_most == 0);
	assert_true(p->trail.stop.percent == 5 && p->trail.stop.octets == UINT64_C(1) << 30);
	assert_true(p->trail.reserve == UINT64_C(64) << 20);
	assert_true(!p->trail.file && !p->trail.command && !p->trail.syslog);
	assert_int_equal(p->login_timeout_ms, 10000);
	assert_int_equal(p->logins_at_once, 64);
	assert_int_equal(p->connections, 2048);
	assert_int_equal(p->io, POLICY_IO_AUTO);
	assert_int_equal(p->disk_root_count, 3);
	assert_string_equal(p->disk_roots[1], "/dev");
	assert_int_equal(p->grace_ms, 3000);
	assert_int_equal(p->ping_every_ms, 15000);
	assert_int_equal(p->ping_misses, 3);
	limits_are(&p->targets[0].limits, &default_limits);
	limits_are(&p->discovery, &default_limits);
	assert_string_equal(p->targets[0].redirect, "");
	assert_true(i->access_count == 1 && !i->access[0].writable);
	assert_int_equal(p->warnings, 0);
	policy_free(p);
}

/* A target with these keys: what it is sent to, and the bursts. */
static const struct target_row {
	const char *why, *keys, *redirect;
	uint32_t first_burst, max_burst;
} target_rows[] = {
	{"a smaller max_burst alone takes first_burst with it", "max_burst: 8KiB", "", 8192, 8192},
	{"the first burst may be all of the burst", "max_burst: 512B, first_burst: 512B", "", 512,
	 512},
	{"a redirect to IPv4", "redirect: '192.0.2.1:3260'", "192.0.2.1:3260", 262144, 4194304},
	{"a redirect to another port of this machine", "redirect: '127.0.0.1:3261'",
	 "127.0.0.1:3261", 262144, 4194304},
};

static void test_target(void **state)
{
	const struct target_row *row = *state;
	struct policy *p;
	char text[512];

	(void)snprintf(text, sizeof text,
		       "version: 1\n" HERE "disks: {a: {memory: 1MiB}}\n"
		       "targets: {" TARGET ": {portals: [here], luns: {0: a}, %s, " ENTRY "}}\n",
		       row->keys);
	p = taken(text);
	assert_string_equal(p->targets[0].redirect, row->redirect);
	assert_int_equal(p->targets[0].limits.first_burst, row->first_burst);
	assert_int_equal(p->targets[0].limits.max_burst, row->max_burst);
	policy_free(p);
}

static void test_hash(void **state)
{
	static const char text[] = "version: 1\n" HERE;
	struct policy *p = taken(text), *q = taken("version: 1 \n" HERE);
	/* sha256sum of the text */
	static const uint8_t first[4] = {0x6b, 0xa1, 0x1f, 0xb4};

	(void)state;
	assert_memory_not_equal(p->hash, q->hash, sizeof p->hash);
	assert_memory_equal(p->hash, first, sizeof first);
	policy_free(p);
	policy_free(q);
}

/* --- files -------------------------------------------------------------------------------- */

static void file_make(const char *path, off_t size)
{
	OWNED_FD fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
}

static void links_make(void)
{
	static const char *const links[][2] = {{"a.img", "soft.img"},
					       {"folder", "way"},
					       {"/etc/sallyport-none.img", "out.img"},
					       {"/etc", "away"}};

	assert_true(mkdir("folder", 0700) == 0 || errno == EEXIST);
	assert_true(link("a.img", "hard.img") == 0 || errno == EEXIST);
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		assert_true(symlink(links[i][0], links[i][1]) == 0 || errno == EEXIST);
}

static const struct file_row {
	const char *why, *disks, *says; /* NULL: nothing */
} file_rows[] = {
	{"a file that is there needs no size", "a: {file: a.img}", NULL},
	{"a file with the size that it has", "a: {file: a.img, size: 1MiB}", NULL},
	{"a file that is to grow", "a: {file: a.img, size: 2MiB}",
	 "warning: \"a.img\" has 1MiB, and grows to 2MiB"},
	{"a file that would be cut", "a: {file: a.img, size: 512KiB}",
	 "\"a.img\" has 1MiB, and not the size 512KiB"},
	{"a folder is no disk", "a: {file: folder}", "\"folder\" is no regular file"},
	{"a file is no device", "a: {device: a.img}", "\"a.img\" is no block device"},
	{"two names of one file", "a: {file: a.img}, b: {file: hard.img}",
	 "the disks \"b\" and \"a\" (line 3) are one file"},
	{"a link to the file of another disk", "a: {file: a.img}, b: {file: soft.img}",
	 "the disks \"b\" and \"a\" (line 3) are one file"},
	{"a link to a folder, and a file that is not there yet",
	 "a: {file: folder/new.img, size: 1MiB}, b: {file: way/new.img, size: 1MiB}",
	 "the disks \"b\" and \"a\" (line 3) are one file"},
	{"P3: a link that leads out of the roots", "a: {file: out.img, size: 1MiB}",
	 "\"out.img\" is no path for a disk"},
	{"P3: a folder that leads out of the roots", "a: {file: away/x.img, size: 1MiB}",
	 "\"away/x.img\" lies outside the folders for disks"},
	{"a name that begins like a root is not below it", "a: {file: /srvx/x.img, size: 1MiB}",
	 "\"/srvx/x.img\" lies outside the folders for disks"},
};

static void test_file(void **state)
{
	const struct file_row *row = *state;
	char text[512], *said = NULL;
	struct policy *p;
	int r;

	file_make("a.img", 1 << 20);
	links_make();
	(void)snprintf(text, sizeof text, "version: 1\n" HERE "disks: {%s}\n", row->disks);
	r = parse(text, &p, &said);
	assert_int_equal(r, row->says && strncmp(row->says, "warning", 7) != 0 ? -EINVAL : 0);
	if (row->says && !strstr(said, row->says))
		fail_msg("%s", said);
	free(said);
	policy_free(p);
}

static void test_unreadable(void **state)
{
	char *said = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&said, &len);
	struct policy_options options = {.messages = f};
	struct policy *p = NULL;

	(void)state;
	file_make("large.yaml", (8 << 20) + 1);
	assert_int_equal(policy_load("none.yaml", &options, &p), -ENOENT);
	assert_int_equal(policy_load("large.yaml", &options, &p), -EFBIG);
	assert_true(policy_load("/", &options, &p) < 0);
	assert_null(p);
	assert_int_equal(fclose(f), 0);
	assert_non_null(strstr(said, "none.yaml: error: the policy can't be read: No such file"));
	assert_non_null(strstr(said, "larger than 8 MiB"));
	free(said);
}

static void test_json(void **state)
{
	static const char text[] = "version: 1\n" HERE "auth: {bans: {after: 0, password: pw1}}\n";
	char *said = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&said, &len);
	struct policy_options options = {.messages = f, .json = true};
	struct policy *p = NULL;
	json_t *all, *first;

	(void)state;
	assert_int_equal(policy_parse("p.yaml", text, strlen(text), &options, &p), -EINVAL);
	assert_int_equal(fclose(f), 0);
	all = json_loads(said, 0, NULL);
	assert_int_equal(json_array_size(all), 2);
	first = json_array_get(all, 0);
	assert_string_equal(json_string_value(json_object_get(first, "severity")), "error");
	assert_string_equal(json_string_value(json_object_get(first, "file")), "p.yaml");
	assert_int_equal(json_integer_value(json_object_get(first, "line")), 3);
	assert_int_equal(json_integer_value(json_object_get(first, "column")), 22);
	assert_int_equal(json_integer_value(json_object_get(first, "end_column")), 23);
	assert_non_null(strstr(json_string_value(json_object_get(first, "message")), "\"after\""));
	assert_string_equal(json_string_value(json_object_get(first, "hint")), "write after: 5");
	assert_null(strstr(said, "pw1"));
	json_decref(all);
	free(said);
}

/* --- quantities --------------------------------------------------------------------------- */

static void test_quantities(void **state)
{
	static const struct {
		const char *text;
		int size, duration; /* the results */
		uint64_t value;
	} cases[] = {
		{"1B", 0, -EDOM, 1},
		{"0B", 0, -EDOM, 0},
		{"64TiB", 0, -EDOM, UINT64_C(64) << 40},
		{"10m", -EDOM, 0, 600000},
		{"1500ms", -EDOM, 0, 1500},
		{"2d", -EDOM, 0, 172800000},
		{"10", -EDOM, -EDOM, 0},
		{"", -EINVAL, -EINVAL, 0},
		{"m", -EINVAL, -EINVAL, 0},
		{"010B", -EINVAL, -EINVAL, 0},
		{"+1B", -EINVAL, -EINVAL, 0},
		{" 1B", -EINVAL, -EINVAL, 0},
		{"1 B", -EDOM, -EDOM, 0},
		{"0x10", -EDOM, -EDOM, 0},
		{"1mib", -EDOM, -EDOM, 0},
		{"16777216TiB", -ERANGE, -EDOM, 0},
		{"18446744073709551616B", -ERANGE, -ERANGE, 0},
		{"99999999999999999999999999B", -ERANGE, -ERANGE, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t value = 0;

		if (size_parse(cases[i].text, &value) != cases[i].size ||
		    duration_parse(cases[i].text, &value) != cases[i].duration ||
		    value != cases[i].value)
			fail_msg("%s", cases[i].text);
	}
}

/* --- a large site ------------------------------------------------------------------------- */

static char *large_text(size_t initiators)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	fputs("version: 1\n"
	      "portals: {w: {listen: ['0.0.0.0:3260'], transport: plain, accept_risk: true}}\n"
	      "disks: {a: {memory: 1MiB}}\n"
	      "targets:\n " TARGET ":\n  portals: [w]\n  luns: {0: a}\n  initiators:\n",
	      f);
	for (size_t i = 0; i < initiators; i++)
		fprintf(f,
			"   iqn.2026-11.e:%zu: {from: [10.%zu.%zu.1], "
			"chap: {user: u%zu, mutual: m%zu}}\n",
			i, i / 256, i % 256, i, i);
	(void)fclose(f);
	return text;
}

static void test_large(void **state)
{
	char *text = large_text(10000), *script;
	struct policy *p = taken(text);
	const char *at;

	(void)state;
	at = script = firewall_script(p, 0);
	assert_int_equal(p->targets[0].initiator_count, 10000);
	for (size_t i = 0; i < 10000; i++) { /* in the order of addresses, so one pass finds all */
		char address[32];

		(void)snprintf(address, sizeof address, "10.%zu.%zu.1", i / 256, i % 256);
		at = strstr(at, address);
		assert_non_null(at);
	}
	free(script);
	free(text);
	policy_free(p);
}

/* As many as there is room for in what the arbiter shares. */
static void test_many_disks(void **state)
{
	static const char head[] = "version: 1\n" HERE "disks:\n";
	char *said = NULL, *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct policy *p;

	(void)state;
	fputs(head, f);
	for (size_t i = 0; i < POLICY_DISKS_MAX; i++)
		fprintf(f, "  d%zu: {memory: 1MiB}\n", i);
	assert_int_equal(fflush(f), 0);
	p = taken(text);
	assert_int_equal(p->disk_count, POLICY_DISKS_MAX);
	policy_free(p);
	fputs("  more: {memory: 1MiB}\n", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(parse(text, &p, &said), -EINVAL);
	assert_non_null(strstr(said, "the policy has 4097 disks; it can have 4096"));
	free(said);
	free(text);
}

static void test_long_line(void **state)
{
	char *text = NULL, *said = NULL;
	struct policy *p;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	fputs("{version: 1", f);
	for (size_t i = 0; i < 40000; i++)
		fprintf(f, ", secret%zu: hunter2", i);
	fputs("}\n", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(parse(text, &p, &said), -EINVAL);
	assert_null(strstr(said, "hunter2"));
	free(said);
	free(text);
}

/* --- the examples ------------------------------------------------------------------------- */

static const struct example_row {
	const char *why, *file;
	size_t warnings;
} examples[] = {
	{"the example first.yaml is right and safe", "first.yaml", 0},
	{"the example two-hosts.yaml is right", "two-hosts.yaml", 1},
	{"the example old-initiator.yaml is right", "old-initiator.yaml", 1},
};

static void test_example(void **state)
{
	const struct example_row *row = *state;
	const char *build = getenv("SALLYPORT_BUILD");
	struct policy_options options = {.messages = stderr};
	struct policy *p = NULL;
	char path[4096];

	(void)snprintf(path, sizeof path, "%s%sdeploy/examples/%s", build ? build : "",
		       build ? "/../" : "", row->file);
	options.messages = fopen("/dev/null", "we");
	assert_int_equal(policy_load(path, &options, &p), 0);
	assert_int_equal(p->warnings, row->warnings);
	assert_int_equal(fclose(options.messages), 0);
	policy_free(p);
}

int main(void)
{
	tests_add(&t, "every key arrives", test_everything, NULL);
	tests_add(&t, "every default is the safe one", test_defaults, NULL);
	tests_add(&t, "P5: the hash is of the file's octets", test_hash, NULL);
	TESTS_ADD_TABLE(&t, target_rows, test_target);
	TESTS_ADD_TABLE(&t, portal_rows, test_portal);
	tests_add(&t, "P1: a link-local address is its interface's, here or not", test_scope, NULL);
	TESTS_ADD_TABLE(&t, examples, test_example);
	TESTS_ADD_TABLE(&t, file_rows, test_file);
	tests_add(&t, "a file that can't be read is told", test_unreadable, NULL);
	tests_add(&t, "mistakes as JSON, without secrets", test_json, NULL);
	tests_add(&t, "sizes and durations", test_quantities, NULL);
	tests_add(&t, "P6: ten thousand initiators are taken, and the script names each",
		  test_large, NULL);
	tests_add(&t, "4096 disks are taken, and one more is told of", test_many_disks, NULL);
	tests_add(&t, "P6: forty thousand secrets on one line are all masked in what is said",
		  test_long_line, NULL);
	return tests_run(&t, "policy_good");
}

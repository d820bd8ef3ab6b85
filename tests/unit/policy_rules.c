/* What a disk says of itself and what an initiator may not do with it, from the policy to the
 * compiled policy, and to the answer of the one decision. */
#include "tests/unit/test.h"

#include <stdio.h>
#include "policy/policy.h"

static struct tests t;

#define TARGET "iqn.2026-11.net.example.gw:vault"
#define CLIENT "iqn.1994-05.com.redhat:client"

/* The disk has these keys beside `memory`, the initiator those beside `chap`. */
static struct policy *taken(const char *disk, const char *entry)
{
	char text[2000], *said = NULL;
	size_t said_len = 0;
	FILE *f = open_memstream(&said, &said_len);
	struct policy_options options = {.messages = f};
	struct policy *p = NULL;
	int len = snprintf(text, sizeof text,
			   "version: 1\n"
			   "portals: {here: {listen: ['127.0.0.1:3260'], transport: plain}}\n"
			   "disks: {a: {memory: 1MiB%s}, b: {memory: 1MiB}}\n"
			   "targets:\n"
			   "  " TARGET ":\n"
			   "    portals: [here]\n"
			   "    luns: {0: a, 1: b}\n"
			   "    initiators:\n"
			   "      " CLIENT ":\n"
			   "        chap: {user: alice, mutual: gw-a}\n"
			   "%s",
			   disk, entry);

	assert_true(len > 0 && (size_t)len < sizeof text);
	if (policy_parse("policy.yaml", text, (size_t)len, &options, &p) < 0) {
		(void)fclose(f);
		fail_msg("%s", said);
	}
	assert_int_equal(fclose(f), 0);
	free(said);
	return p;
}

/* --- disks --- */

static const struct disk_row {
	const char *why, *keys;
	struct policy_disk want;
} disk_rows[] = {
	{"a disk says what is usual",
	 "",
	 {.write_cache = true, .block_size = 512, .physical_block_size = 4096}},
	{"blocks of 4096 octets",
	 ", block_size: 4096",
	 {.write_cache = true, .block_size = 4096, .physical_block_size = 4096}},
	{"physical blocks",
	 ", block_size: '512', physical_block_size: 65536",
	 {.write_cache = true, .block_size = 512, .physical_block_size = 65536}},
	{"what it is found to be can be overruled: yes",
	 ", thin: true, rotational: true",
	 {.write_cache = true,
	  .thin = POLICY_YES,
	  .rotational = POLICY_YES,
	  .block_size = 512,
	  .physical_block_size = 4096}},
	{"what it is found to be can be overruled: no",
	 ", thin: false, rotational: false",
	 {.write_cache = true,
	  .thin = POLICY_NO,
	  .rotational = POLICY_NO,
	  .block_size = 512,
	  .physical_block_size = 4096}},
	{"no write cache, and a medium that can be ejected",
	 ", write_cache: false, removable: true",
	 {.removable = true, .block_size = 512, .physical_block_size = 4096}},
	{"the page cache, which is usual",
	 ", cache: page",
	 {.write_cache = true, .block_size = 512, .physical_block_size = 4096}},
	{"an identity of 16 octets",
	 ", identity: {naa: 600140512345678901234567890ABCDE, serial: '1 2', vendor: LIO-ORG, "
	 "product: vault of old}",
	 {.write_cache = true,
	  .block_size = 512,
	  .physical_block_size = 4096,
	  .identity = {{0x60, 1, 0x40, 0x51, 0x23, 0x45, 0x67, 0x89, 1, 0x23, 0x45, 0x67, 0x89,
			0x0a, 0xbc, 0xde},
		       16,
		       "1 2",
		       "LIO-ORG",
		       "vault of old"}}},
	{"an identity of 8 octets",
	 ", identity: {naa: 5000c50012345678}",
	 {.write_cache = true,
	  .block_size = 512,
	  .physical_block_size = 4096,
	  .identity = {{0x50, 0, 0xc5, 0, 0x12, 0x34, 0x56, 0x78}, 8, "", "", ""}}},
};

static void test_disk(void **state)
{
	const struct disk_row *row = *state;
	struct policy *p = taken(row->keys, "");
	const struct policy_disk *d = &p->disks[0], *w = &row->want;

	assert_int_equal(d->write_cache, w->write_cache);
	assert_int_equal(d->removable, w->removable);
	assert_int_equal(d->direct, w->direct);
	assert_int_equal(d->thin, w->thin);
	assert_int_equal(d->rotational, w->rotational);
	assert_int_equal(d->block_size, w->block_size);
	assert_int_equal(d->physical_block_size, w->physical_block_size);
	assert_memory_equal(&d->identity, &w->identity, sizeof w->identity);
	assert_int_equal(d->formerly_count, 0);
	policy_free(p);
}

static void test_formerly(void **state)
{
	struct policy *p = taken(", formerly: [old, older]", "");

	(void)state;
	assert_int_equal(p->disks[0].formerly_count, 2);
	assert_string_equal(p->disks[0].formerly[0], "old");
	assert_string_equal(p->disks[0].formerly[1], "older");
	policy_free(p);
}

/* --- ranges --- */

static void test_ranges(void **state)
{
	struct policy *p = taken("", "        protect:\n"
				     "          - {blocks: 0-2047}\n"
				     "          - {blocks: 7, from: read, lun: 1}\n"
				     "          - {blocks: 9-18446744073709551615, from: write}\n");
	const struct policy_initiator *i = &p->targets[0].initiators[0];
	static const struct policy_range want[] = {
		{0, 2047, -1, false, 12}, {7, 7, 1, true, 13}, {9, UINT64_MAX, -1, false, 14}};

	(void)state;
	assert_int_equal(i->range_count, ARRAY_LEN(want));
	for (size_t k = 0; k < ARRAY_LEN(want); k++) {
		assert_int_equal(i->ranges[k].first, want[k].first);
		assert_int_equal(i->ranges[k].last, want[k].last);
		assert_int_equal(i->ranges[k].lun, want[k].lun);
		assert_int_equal(i->ranges[k].reads, want[k].reads);
		assert_int_equal(i->ranges[k].line, want[k].line);
	}
	policy_free(p);
}

/* --- commands, as explain asks for them --- */

#define DENY  "        deny:\n          - write-same\n          - reservation\n"
#define ALLOW "        allow: [sanitize]\n"

static const struct command_row {
	const char *why, *entry, *command;
	bool allowed;
	uint32_t line;
	const char *reason;
} command_rows[] = {
	{"what is not denied is allowed", DENY, "unmap", true, 7, "allowed"},
	{"P1: a command of a denied family", DENY, "write-same-16", false, 11, "denied"},
	{"P1: a command of a denied group", DENY, "persistent-reserve-out-preempt", false, 11,
	 "denied"},
	{"P1: what is off is not allowed unless it is named", "", "sanitize-overwrite", false, 9,
	 "not-allowed"},
	{"P1: what is off is not allowed because something else is", ALLOW,
	 "set-target-port-groups", false, 11, "not-allowed"},
	{"what is off can be allowed", ALLOW, "sanitize-block-erase", true, 7, "allowed"},
	{"a range that is protected does not deny the command", "        protect: [{blocks: 0}]\n",
	 "write-10", true, 7, "allowed"},
};

static void test_command(void **state)
{
	const struct command_row *row = *state;
	struct policy *p = taken("", row->entry);
	struct decision d;
	struct claim claim = {
		.portal = 0,
		.user = "alice",
		.initiator = CLIENT,
		.target = TARGET,
		.lun = 0,
		.write = true,
		.command = command_name_by_policy(row->command),
	};

	assert_non_null(claim.command);
	assert_int_equal(ip_parse("127.0.0.1", &claim.from), 0);
	policy_decide(p, &claim, &d);
	assert_int_equal(d.allowed, row->allowed);
	assert_int_equal(d.verdicts[LAYER_COMMAND].line, row->line);
	assert_string_equal(d.verdicts[LAYER_COMMAND].reason, row->reason);
	policy_free(p);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, disk_rows, test_disk);
	tests_add(&t, "names that a disk had, in their order", test_formerly, NULL);
	tests_add(&t, "P1: ranges, with their lines", test_ranges, NULL);
	TESTS_ADD_TABLE(&t, command_rows, test_command);
	return tests_run(&t, "policy_rules");
}

/* Tags of portal groups and UUIDs of disks: kept under their names over restarts and reordering. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include "gateway/base/fd.h"
#include "gateway/monitor/monitor.h"

static struct tests t;

/* A portal: its name, and its group when it has one, as in "wan" or "wan=main". */
static const struct row {
	const char *why;
	const char *before; /* identities.json, or NULL */
	const char *portals[5];
	uint16_t tags[4];  /* none: refused */
	const char *after; /* a part of the file */
} rows[] = {
	{"each portal is a group of its own",
	 NULL,
	 {"wan", "site", "here"},
	 {1, 2, 3},
	 "\"site\": 2"},
	{"portals of one group share its tag",
	 NULL,
	 {"wan=main", "site", "rear=main"},
	 {1, 2, 1},
	 "\"main\": 1"},
	{"another order changes nothing",
	 "{\"portals\": {\"wan\": 1, \"site\": 2}}",
	 {"site", "wan"},
	 {2, 1},
	 NULL},
	{"a new portal takes no tag that another had",
	 "{\"portals\": {\"gone\": 1, \"site\": 3}}",
	 {"new", "site", "more"},
	 {2, 3, 4},
	 "\"gone\": 1"},
	{"a portal that comes back has its tag again",
	 "{\"portals\": {\"gone\": 1, \"site\": 3}}",
	 {"gone"},
	 {1},
	 NULL},
	{"a portal may join another's group, whose tag stays",
	 "{\"portals\": {\"wan\": 5}}",
	 {"wan", "rear=wan"},
	 {5, 5},
	 NULL},
	{"a number is the tag itself", NULL, {"wan=7", "rear=7", "site"}, {7, 7, 1}, NULL},
	{"a number in the policy is nobody's by chance", NULL, {"site", "wan=1"}, {2, 1}, NULL},
	{"a number that another group has is refused",
	 "{\"portals\": {\"site\": 7}}",
	 {"wan=7", "site"},
	 {0},
	 NULL},
	{"a number that a group had which is gone may be taken",
	 "{\"portals\": {\"gone\": 7}}",
	 {"wan=7"},
	 {7},
	 NULL},
	{"the greatest tag", NULL, {"wan=65535", "site"}, {65535, 1}, NULL},
	{"a tag of 0 is damage", "{\"portals\": {\"wan\": 0}}", {"wan"}, {0}, NULL},
	{"a tag beyond 16 bits is damage", "{\"portals\": {\"wan\": 65536}}", {"wan"}, {0}, NULL},
	{"a tag that is no number is damage",
	 "{\"portals\": {\"wan\": \"1\"}}",
	 {"wan"},
	 {0},
	 NULL},
	{"a disk keeps its UUID",
	 "{\"disks\": {\"a\": \"01234567-89ab-4cde-8f01-23456789abcd\"}}",
	 {"wan"},
	 {1},
	 "\"a\": \"01234567-89ab-4cde-8f01-23456789abcd\""},
	{"a UUID that is too short is damage",
	 "{\"disks\": {\"a\": \"01234567-89ab-4cde\"}}",
	 {"wan"},
	 {0},
	 NULL},
	{"a UUID without digits is damage: two disks would have one name",
	 "{\"disks\": {\"a\": \"------------------------------------\"}}",
	 {"wan"},
	 {0},
	 NULL},
	{"a file that is cut off is damage", "{\"portals\": {\"wan\": 1", {"wan"}, {0}, NULL},
};

static struct policy *policy_of(const char *const *portals)
{
	FILE *quiet = fopen("/dev/null", "we");
	struct policy_options options = {.messages = quiet};
	struct policy *p = NULL;
	char text[1000];
	int len = snprintf(text, sizeof text, "version: 1\nportals:\n");

	for (unsigned k = 0; portals[k]; k++) {
		const char *group = strchr(portals[k], '=');

		len += snprintf(text + len, sizeof text - (size_t)len,
				"  %.*s: {listen: ['127.0.0.%u:3260'], transport: plain%s%s}\n",
				(int)strcspn(portals[k], "="), portals[k], k + 1,
				group ? ", group: " : "", group ? group + 1 : "");
	}
	len += snprintf(text + len, sizeof text - (size_t)len, "disks: {a: {memory: 1MiB}}\n");
	assert_non_null(quiet);
	assert_int_equal(policy_parse("p.yaml", text, (size_t)len, &options, &p), 0);
	(void)fclose(quiet);
	return p;
}

static int setup_of(struct monitor *m, struct setup *s)
{
	s->disks = calloc(s->policy->disk_count + 1, sizeof *s->disks);
	s->portal_tags = calloc(s->policy->portal_count + 1, sizeof *s->portal_tags);
	assert_non_null(s->disks);
	assert_non_null(s->portal_tags);
	return identities_prepare(m, s) < 0 ? -1 : identities_write(m, s);
}

static void setup_over(struct setup *s)
{
	free(s->disks);
	free(s->portal_tags);
	json_decref(s->identities);
	json_decref(s->identities_before);
	policy_free(s->policy);
}

static void test_row(void **state)
{
	const struct row *r = *state;
	char folder[] = "identity-XXXXXX", path[64], *after = NULL;
	static struct monitor m;
	struct setup s = {.policy = policy_of(r->portals)};
	size_t len;

	assert_non_null(mkdtemp(folder));
	m = (struct monitor){.state_path = folder};
	m.state_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(path, sizeof path, "%s/identities.json", folder);
	if (r->before)
		assert_int_equal(file_replace(m.state_fd, "identities.json", r->before,
					      strlen(r->before), 0600),
				 0);
	assert_int_equal(setup_of(&m, &s) == 0, r->tags[0] != 0);
	for (size_t k = 0; r->tags[0] && r->portals[k]; k++)
		assert_int_equal(s.portal_tags[k], r->tags[k]);
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		assert_int_equal(fd_read_all(fd, 4096, &after, &len), 0);
	if (r->after)
		assert_non_null(strstr(after, r->after));
	if (r->before && !r->tags[0])
		assert_string_equal(after, r->before);
	free(after);
	setup_over(&s);
	fd_close(&m.state_fd);
	(void)unlink(path);
	assert_int_equal(rmdir(folder), 0);
}

/* --- disks --- */

#define UUID_A "01234567-89ab-4cde-8f01-23456789abcd"
#define UUID_B "fedcba98-7654-4321-8f01-23456789abcd"

static const struct disk_row {
	const char *why, *before, *disks; /* as in disks: {...}; the first is looked at */
	const char *serial, *naa;	  /* of the first; NULL: refused */
	const char *after;		  /* a part of the file, or NULL */
	const char *gone;		  /* what is no part of it */
} disk_rows[] = {
	{"a disk is known by its UUID", "{\"disks\": {\"a\": \"" UUID_A "\"}}", "a: {memory: 1MiB}",
	 UUID_A, "30123456789abcde", "\"a\": \"" UUID_A "\"", NULL},
	{"a former name's UUID moves to the new one", "{\"disks\": {\"old\": \"" UUID_A "\"}}",
	 "a: {memory: 1MiB, formerly: [old]}", UUID_A, "30123456789abcde", "\"a\": \"" UUID_A "\"",
	 "\"old\""},
	{"of several former names, the first that is known",
	 "{\"disks\": {\"older\": \"" UUID_B "\", \"old\": \"" UUID_A "\"}}",
	 "a: {memory: 1MiB, formerly: [lost, old, older]}", UUID_A, "30123456789abcde",
	 "\"older\": \"" UUID_B "\"", "\"old\""},
	{"a name that is known itself asks no former one",
	 "{\"disks\": {\"a\": \"" UUID_B "\", \"old\": \"" UUID_A "\"}}",
	 "a: {memory: 1MiB, formerly: [old]}", UUID_B, "3fedcba987654321",
	 "\"old\": \"" UUID_A "\"", NULL},
	{"the policy's NAA and serial go before the UUID's", "{\"disks\": {\"a\": \"" UUID_A "\"}}",
	 "a: {memory: 1MiB, identity: {naa: 600140512345678901234567890abcde, serial: X 1}}", "X 1",
	 "600140512345678901234567890abcde", "\"a\": \"" UUID_A "\"", NULL},
	{"one of them alone leaves the other", "{\"disks\": {\"a\": \"" UUID_A "\"}}",
	 "a: {memory: 1MiB, identity: {serial: X}}", "X", "30123456789abcde", NULL, NULL},
	{"an NAA that another disk has from its UUID is refused",
	 "{\"disks\": {\"a\": \"" UUID_A "\"}}",
	 "a: {memory: 1MiB}, b: {memory: 1MiB, identity: {naa: 30123456789ABCDE}}", NULL, NULL,
	 NULL, NULL},
};

static struct policy *policy_with(const char *disks)
{
	struct policy_options options = {.messages = stderr};
	struct policy *p = NULL;
	char text[1000];
	int len = snprintf(text, sizeof text,
			   "version: 1\nportals: {here: {listen: ['127.0.0.1:3260'], transport: "
			   "plain}}\ndisks: {%s}\ntargets: {'iqn.2026-11.net.example:t': {portals: "
			   "[here], luns: {0: a%s}}}\n",
			   disks, strstr(disks, " b:") ? ", 1: b" : "");

	assert_int_equal(policy_parse("p.yaml", text, (size_t)len, &options, &p), 0);
	return p;
}

static void naa_is(const struct policy_identity *told, const char *hex)
{
	char text[33] = "";

	for (size_t k = 0; k < told->naa_len; k++)
		(void)snprintf(text + 2 * k, 3, "%02x", told->naa[k]);
	assert_string_equal(text, hex);
}

static void test_disk(void **state)
{
	const struct disk_row *r = *state;
	char folder[] = "identity-XXXXXX", path[64], *after = NULL;
	static struct monitor m;
	struct setup s = {.policy = policy_with(r->disks)};
	size_t len;

	assert_non_null(mkdtemp(folder));
	m = (struct monitor){.state_path = folder, .policy_path = "p.yaml"};
	m.state_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(path, sizeof path, "%s/identities.json", folder);
	assert_int_equal(
		file_replace(m.state_fd, "identities.json", r->before, strlen(r->before), 0600), 0);
	assert_int_equal(setup_of(&m, &s) == 0, r->serial != NULL);
	if (r->serial) {
		assert_string_equal(s.disks[0].told.serial, r->serial);
		naa_is(&s.disks[0].told, r->naa);
	}
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fd_read_all(fd, 4096, &after, &len), 0);
	if (r->after)
		assert_non_null(strstr(after, r->after));
	if (r->gone)
		assert_null(strstr(after, r->gone));
	free(after);
	setup_over(&s);
	fd_close(&m.state_fd);
	(void)unlink(path);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, disk_rows, test_disk);
	TESTS_ADD_TABLE(&t, rows, test_row);
	return tests_run(&t, "monitor_identity");
}

/* What SendTargets tells, for each initiator, address and portal: only where it may go, by the
 * addresses that the policy names or the one that it reached. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <sys/socket.h>
#include "gateway/base/fd.h"
#include "gateway/monitor/monitor.h"

static struct tests t;
static struct monitor monitor;
static uint16_t tags[] = {7, 9, 9, 65535, 2};

#define VAULT "iqn.2026-11.net.example.gw:vault"
#define STORE "iqn.2026-11.net.example.gw:store"
#define ALICE "iqn.1994-05.com.redhat:alice"
#define BOB   "iqn.1994-05.com.redhat:bob"

enum { WAN, SITE, REAR, HERE, LINK };

/* The rear is in the site's group. Alice may come to the vault by every portal but the site. */
static const char text[] =
	"version: 1\n"
	"portals:\n"
	"  wan: {listen: ['0.0.0.0:3261'], transport: plain, accept_risk: true,\n"
	"        advertise: ['203.0.113.1:3260', '[2001:db8::1]:3260']}\n"
	"  site: {listen: ['10.8.0.1:3260'], transport: plain, accept_risk: true}\n"
	"  rear: {listen: ['10.8.1.1:3260'], transport: plain, accept_risk: true, group: site,\n"
	"         advertise: ['10.8.1.1:3260']}\n"
	"  here: {listen: ['127.0.0.1:3260'], transport: plain}\n"
	"  link: {listen: ['[fe80::1%lo]:3260'], transport: plain, accept_risk: true}\n"
	"disks: {a: {memory: 1MiB}}\n"
	"targets:\n"
	"  " VAULT ":\n"
	"    portals: [here, wan, rear, link]\n"
	"    luns: {0: a}\n"
	"    initiators:\n"
	"      " ALICE ":\n"
	"        from: [198.51.100.7, 127.0.0.1, 'fe80::/64']\n"
	"        chap: {user: alice, mutual: gw-a}\n"
	"  " STORE ":\n"
	"    portals: [site, rear]\n"
	"    luns: {0: a}\n"
	"    initiators:\n"
	"      " ALICE ": {from: [10.8.0.7], chap: {user: alice, mutual: gw-a}}\n"
	"      " BOB ": {from: [10.8.0.0/16, 198.51.100.7], chap: {user: bob, mutual: gw-b}}\n";

static const struct row {
	const char *why, *from, *to;
	size_t portal;
	const char *initiator, *user;
	const char *into; /* NULL: a discovery session */
	const char *want; /* pairs, each with a line's end */
} rows[] = {
	{"a portal that advertises is told by its addresses, not by the one that was reached",
	 "198.51.100.7:1", "192.0.2.1:3261", WAN, ALICE, "alice", NULL,
	 "TargetName=" VAULT "\nTargetAddress=203.0.113.1:3260,7\n"
	 "TargetAddress=[2001:db8::1]:3260,7\nTargetAddress=10.8.1.1:3260,9\n"},
	{"one that does not is told by the address reached, and stands first", "127.0.0.1:1",
	 "127.0.0.1:3260", HERE, ALICE, "alice", NULL,
	 "TargetName=" VAULT "\nTargetAddress=127.0.0.1:3260,65535\n"
	 "TargetAddress=203.0.113.1:3260,7\nTargetAddress=[2001:db8::1]:3260,7\n"
	 "TargetAddress=10.8.1.1:3260,9\n"},
	{"an address reached by a link is told without our name of the link", "[fe80::2%1]:1",
	 "[fe80::1%1]:3260", LINK, ALICE, "alice", VAULT,
	 "TargetName=" VAULT "\nTargetAddress=[fe80::1]:3260,2\n"
	 "TargetAddress=203.0.113.1:3260,7\nTargetAddress=[2001:db8::1]:3260,7\n"
	 "TargetAddress=10.8.1.1:3260,9\n"},
	{"P1: a target of other addresses is not listed", "10.8.0.7:1", "10.8.0.1:3260", SITE,
	 ALICE, "alice", NULL,
	 "TargetName=" STORE "\nTargetAddress=10.8.0.1:3260,9\nTargetAddress=10.8.1.1:3260,9\n"},
	{"P1: a portal that the connection did not come by and that advertises nothing is not told",
	 "10.8.0.7:1", "10.8.1.1:3260", REAR, ALICE, "alice", NULL,
	 "TargetName=" STORE "\nTargetAddress=10.8.1.1:3260,9\n"},
	{"a target that another portal alone leads to is listed with its address", "198.51.100.7:1",
	 "192.0.2.1:3261", WAN, BOB, "bob", NULL,
	 "TargetName=" STORE "\nTargetAddress=10.8.1.1:3260,9\n"},
	{"P1: with another one's proof nothing is listed", "10.8.0.7:1", "10.8.0.1:3260", SITE,
	 ALICE, "bob", NULL, ""},
	{"P1: a target of others is not listed, though its portal is the one reached",
	 "198.51.100.7:1", "192.0.2.1:3261", WAN, "iqn.1994-05.com.redhat:nobody", "alice", NULL,
	 ""},
	{"in a normal session, its own target alone, with every address that it may use",
	 "10.8.0.7:1", "10.8.0.1:3260", SITE, BOB, "bob", STORE,
	 "TargetName=" STORE "\nTargetAddress=10.8.0.1:3260,9\nTargetAddress=10.8.1.1:3260,9\n"},
};

static void policy_open(void)
{
	FILE *quiet = fopen("/dev/null", "we");
	struct policy_options options = {.messages = quiet};

	if (!quiet || policy_parse("p.yaml", text, strlen(text), &options, &monitor.policy) < 0)
		abort();
	(void)fclose(quiet);
	monitor.portal_tags = tags;
}

static const struct policy_target *target_of(const char *name)
{
	for (size_t k = 0; name && k < monitor.policy->target_count; k++)
		if (strcmp(monitor.policy->targets[k].name, name) == 0)
			return &monitor.policy->targets[k];
	return NULL;
}

/* What the session gets, with line ends for NULs. */
static char *told(struct connection *c)
{
	struct channel session;
	struct message m;
	char *got = NULL;
	size_t len;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	channel_open(&c->channel, pair[0], session_outbox, session_outbox_len);
	channel_open(&session, pair[1], session_inbox, session_inbox_len);
	assert_int_equal(targets_send(c), 0);
	assert_int_equal(channel_receive(&session, &m), 1);
	assert_int_equal(m.type, SESSION_TARGETS);
	assert_int_equal(fd_read_all(m.fds[0], SESSION_TARGETS_MAX, &got, &len), 0);
	for (size_t k = 0; k < len; k++)
		got[k] = got[k] ? got[k] : '\n';
	message_close_fds(&m);
	channel_close(&session);
	channel_close(&c->channel);
	return got;
}

static void test_row(void **state)
{
	const struct row *r = *state;
	struct connection c = {.m = &monitor, .portal = r->portal, .portal_tag = tags[r->portal]};
	OWNED_FREE char *got = NULL;

	assert_int_equal(endpoint_parse(r->from, &c.peer), 0);
	assert_int_equal(endpoint_parse(r->to, &c.local), 0);
	(void)string_copy(c.user, sizeof c.user, r->user);
	(void)string_copy(c.initiator_name, sizeof c.initiator_name, r->initiator);
	c.claim.discovery = r->into == NULL;
	c.target = target_of(r->into);
	got = told(&c);
	assert_string_equal(got, r->want);
}

static const struct groups_row {
	const char *why, *from;
	size_t portal;
	const char *initiator, *user, *into;
	uint16_t want[SESSION_GROUPS_MAX];
} groups[] = {
	{"target port groups are those of its portals, its own first, each once",
	 "198.51.100.7:1",
	 REAR,
	 ALICE,
	 "alice",
	 VAULT,
	 {9, 65535, 7, 2}},
	{"the same from another portal",
	 "127.0.0.1:1",
	 HERE,
	 ALICE,
	 "alice",
	 VAULT,
	 {65535, 7, 9, 2}},
	{"a group of two portals is one group", "10.8.0.7:1", SITE, BOB, "bob", STORE, {9}},
};

static void test_groups(void **state)
{
	const struct groups_row *r = *state;
	struct connection c = {.m = &monitor,
			       .portal = r->portal,
			       .portal_tag = tags[r->portal],
			       .target = target_of(r->into)};
	uint16_t got[SESSION_GROUPS_MAX];

	assert_int_equal(endpoint_parse(r->from, &c.peer), 0);
	(void)string_copy(c.user, sizeof c.user, r->user);
	(void)string_copy(c.initiator_name, sizeof c.initiator_name, r->initiator);
	(void)string_copy(c.target_name, sizeof c.target_name, r->into);
	target_groups(&c, got);
	assert_memory_equal(got, r->want, sizeof got);
}

/* 20 000 targets of 100 octets and more. */
static void test_bound(void **state)
{
	struct policy *whole = monitor.policy, many = *whole;
	struct connection c = {.m = &monitor, .portal = SITE, .claim.discovery = true};
	static const char last[] = "\nTargetAddress=10.8.1.1:3260,9\n";
	OWNED_FREE char *got = NULL;
	size_t len;

	(void)state;
	assert_int_equal(endpoint_parse("10.8.0.9:1", &c.peer), 0);
	assert_int_equal(endpoint_parse("10.8.0.1:3260", &c.local), 0);
	(void)string_copy(c.user, sizeof c.user, "bob");
	(void)string_copy(c.initiator_name, sizeof c.initiator_name, BOB);
	many.target_count = 20000;
	many.targets = calloc(many.target_count, sizeof *many.targets);
	assert_non_null(many.targets);
	for (size_t k = 0; k < many.target_count; k++)
		many.targets[k] = *target_of(STORE);
	monitor.policy = &many;
	got = told(&c);
	monitor.policy = whole;
	free(many.targets);
	len = strlen(got);
	assert_in_range(len, SESSION_TARGETS_MAX - 200, SESSION_TARGETS_MAX);
	assert_string_equal(got + len - strlen(last), last);
}

int main(void)
{
	policy_open();
	TESTS_ADD_TABLE(&t, rows, test_row);
	TESTS_ADD_TABLE(&t, groups, test_groups);
	tests_add(&t, "P6: the text is bounded, and ends with a whole target", test_bound, NULL);
	return tests_run(&t, "monitor_targets");
}

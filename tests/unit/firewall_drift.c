/* What became of rules that were loaded: readings of built messages side by side, the pace of
 * mending, and a look at real rules without any news of them. */
#include "tests/unit/test.h"

#include <netinet/in.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>
#include "gateway/base/fd.h"
#include "policy/firewall_nft.h"
#include "policy/firewall_watch.h"

#define THINGS_MAX 8
#define RANGES	   NFT_SET_INTERVAL

/* One message of a dump. */
struct thing {
	char kind; /* table, chain, set, rule, element */
	const char *table, *name;
	uint32_t number;  /* a table's flags, a chain's policy, a set's flags, a rule's verdict, an
			     element's address */
	const char *text; /* a rule's comment; "end": of an element's interval */
};

static uint64_t handle; /* each thing has another, and counters go on */

static void table_build(struct nlmsghdr *h, const struct thing *t)
{
	struct nftnl_table *table = nftnl_table_alloc();

	nftnl_table_set_str(table, NFTNL_TABLE_NAME, t->table);
	nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, t->number);
	nftnl_table_set_u64(table, NFTNL_TABLE_HANDLE, ++handle);
	nftnl_table_nlmsg_build_payload(h, table);
	nftnl_table_free(table);
}

static void chain_build(struct nlmsghdr *h, const struct thing *t)
{
	struct nftnl_chain *c = nftnl_chain_alloc();

	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, t->table);
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, t->name);
	nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, "filter");
	nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, NF_INET_LOCAL_IN);
	nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, -5);
	nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, t->number);
	nftnl_chain_set_u64(c, NFTNL_CHAIN_HANDLE, ++handle);
	nftnl_chain_nlmsg_build_payload(h, c);
	nftnl_chain_free(c);
}

static void set_build(struct nlmsghdr *h, const struct thing *t)
{
	struct nftnl_set *s = nftnl_set_alloc();

	(void)nftnl_set_set_str(s, NFTNL_SET_TABLE, t->table);
	(void)nftnl_set_set_str(s, NFTNL_SET_NAME, t->name);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, t->number);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, 7);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, 4);
	nftnl_set_set_u32(s, NFTNL_SET_ID, (uint32_t)++handle);
	nftnl_set_nlmsg_build_payload(h, s);
	nftnl_set_free(s);
}

static void rule_build(struct nlmsghdr *h, const struct thing *t)
{
	struct nftnl_rule *r = nftnl_rule_alloc();
	struct nftnl_expr *counter = nftnl_expr_alloc("counter");
	struct nftnl_expr *verdict = nftnl_expr_alloc("immediate");
	struct nftnl_udata_buf *comment = nftnl_udata_buf_alloc(256);

	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, t->table);
	nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, t->name);
	nftnl_rule_set_u64(r, NFTNL_RULE_HANDLE, ++handle);
	nftnl_expr_set_u64(counter, NFTNL_EXPR_CTR_PACKETS, handle);
	nftnl_expr_set_u32(verdict, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(verdict, NFTNL_EXPR_IMM_VERDICT, t->number);
	nftnl_rule_add_expr(r, counter);
	nftnl_rule_add_expr(r, verdict);
	if (t->text) {
		assert_true(nftnl_udata_put_strz(comment, NFTNL_UDATA_RULE_COMMENT, t->text));
		(void)nftnl_rule_set_data(r, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(comment),
					  nftnl_udata_buf_len(comment));
	}
	nftnl_rule_nlmsg_build_payload(h, r);
	nftnl_udata_buf_free(comment);
	nftnl_rule_free(r);
}

static void element_build(struct nlmsghdr *h, const struct thing *t)
{
	struct nftnl_set *s = nftnl_set_alloc();
	struct nftnl_set_elem *e = nftnl_set_elem_alloc();
	uint32_t key = htonl(t->number);

	(void)nftnl_set_set_str(s, NFTNL_SET_TABLE, t->table);
	(void)nftnl_set_set_str(s, NFTNL_SET_NAME, t->name);
	(void)nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, &key, sizeof key);
	if (t->text)
		nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	nftnl_set_elem_add(s, e);
	nftnl_set_elems_nlmsg_build_payload(h, s);
	nftnl_set_free(s);
}

static const struct {
	char kind;
	uint16_t type;
	void (*build)(struct nlmsghdr *h, const struct thing *t);
} kinds[] = {
	{'t', NFT_MSG_NEWTABLE, table_build},	  {'c', NFT_MSG_NEWCHAIN, chain_build},
	{'s', NFT_MSG_NEWSET, set_build},	  {'r', NFT_MSG_NEWRULE, rule_build},
	{'e', NFT_MSG_NEWSETELEM, element_build},
};

static void thing_take(struct firewall_reading *r, const struct thing *t, uint16_t family)
{
	_Alignas(struct nlmsghdr) char bytes[4096];

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct nlmsghdr *h;

		if (kinds[i].kind != t->kind)
			continue;
		h = nftnl_nlmsg_build_hdr(bytes, kinds[i].type, family, 0, 1);
		kinds[i].build(h, t);
		assert_int_equal(firewall_reading_take(r, h), 0);
	}
}

static struct firewall_reading *reading_of(const struct thing things[THINGS_MAX])
{
	struct firewall_reading *r = firewall_reading_new();

	assert_non_null(r);
	for (size_t i = 0; i < THINGS_MAX && things[i].kind; i++)
		thing_take(r, &things[i], NFPROTO_INET);
	assert_int_equal(firewall_reading_end(r), 0);
	return r;
}

#define T                                     \
	{                                     \
		't', "sallyport", "", 0, NULL \
	}
#define BANS                                       \
	{                                          \
		't', "sallyport-bans", "", 0, NULL \
	}
#define INPUT                                              \
	{                                                  \
		'c', "sallyport", "input", NF_ACCEPT, NULL \
	}
#define FROM                                           \
	{                                              \
		's', "sallyport", "from", RANGES, NULL \
	}
#define A                                                             \
	{                                                             \
		'r', "sallyport", "input", NF_ACCEPT, "policy line 7" \
	}
#define D                                                \
	{                                                \
		'r', "sallyport", "input", NF_DROP, NULL \
	}
#define ONE                                                \
	{                                                  \
		'e', "sallyport", "from", 0x0a000001, NULL \
	}
#define TWO                                                \
	{                                                  \
		'e', "sallyport", "from", 0x0a000002, NULL \
	}
#define END_2                                               \
	{                                                   \
		'e', "sallyport", "from", 0x0a000002, "end" \
	}
#define END_9                                               \
	{                                                   \
		'e', "sallyport", "from", 0x0a000009, "end" \
	}
#define START                                      \
	{                                          \
		'e', "sallyport", "from", 0, "end" \
	}

static const struct comparison {
	const char *why;
	struct thing was[THINGS_MAX], is[THINGS_MAX];
	const char *words;
	size_t count;
	bool bans;
} comparisons[] = {
	{"the same, with other handles and counters", {T, INPUT, A, D}, {T, INPUT, A, D}, "", 0, 0},
	{"nothing and nothing", {{0}}, {{0}}, "", 0, 0},
	{"a table that is gone takes what is in it along",
	 {T, INPUT, A, FROM, ONE, BANS},
	 {BANS},
	 "table sallyport is gone",
	 1,
	 0},
	{"both tables",
	 {T, BANS},
	 {{0}},
	 "table sallyport is gone; table sallyport-bans is gone",
	 2,
	 1},
	{"a table that sleeps",
	 {T},
	 {{'t', "sallyport", "", 1, NULL}},
	 "table sallyport is changed: flags 1 instead of flags 0",
	 1,
	 0},
	{"other tables of this name's kind", {T}, {T, {'t', "sallyport2", "", 0, NULL}}, "", 0, 0},
	{"a chain that is gone", {T, INPUT, A}, {T}, "chain input of sallyport is gone", 1, 0},
	{"a chain's policy",
	 {T, INPUT},
	 {T, {'c', "sallyport", "input", NF_DROP, NULL}},
	 "chain input of sallyport is changed: filter hook input priority -5 policy drop instead "
	 "of filter hook input priority -5 policy accept",
	 1,
	 0},
	{"a chain that is added, with what is in it",
	 {T},
	 {T, INPUT, A},
	 "chain input of sallyport was added",
	 1,
	 0},
	{"a flushed chain",
	 {T, INPUT, A, D},
	 {T, INPUT},
	 "chain input of sallyport is empty: 2 rules are gone",
	 1,
	 0},
	{"a rule that is gone",
	 {T, INPUT, A, D},
	 {T, INPUT, D},
	 "rule 1 is gone from chain input of sallyport: policy line 7",
	 1,
	 0},
	{"a rule that is added",
	 {T, INPUT, A},
	 {T, INPUT, A, D},
	 "rule 2 was added to chain input of sallyport: [ counter ] [ immediate reg 0 drop ]",
	 1,
	 0},
	{"a rule that is there twice",
	 {T, INPUT, A, D},
	 {T, INPUT, A, D, D},
	 "rule 3 was added to chain input of sallyport: [ counter ] [ immediate reg 0 drop ]",
	 1,
	 0},
	{"rules that stand in another order",
	 {T, INPUT, A, D},
	 {T, INPUT, D, A},
	 "the rules of chain input of sallyport stand in another order",
	 1,
	 0},
	{"a comment that is hostile",
	 {T, INPUT, D},
	 {T, INPUT, D, {'r', "sallyport", "input", NF_ACCEPT, "\x1b[2J"}},
	 "rule 2 was added to chain input of sallyport: [ counter ] [ immediate reg 0 accept ] "
	 "(\\x1b[2J)",
	 1,
	 0},
	{"a name that is hostile",
	 {T},
	 {T, {'c', "sallyport", "\n\x1b", 0, NULL}},
	 "chain \\x0a\\x1b of sallyport was added",
	 1,
	 0},
	{"an address that is added",
	 {T, FROM, START},
	 {T, FROM, START, ONE, END_2},
	 "10.0.0.1 was added to set from of sallyport",
	 1,
	 0},
	{"addresses in another order",
	 {T, FROM, ONE, TWO, END_2, END_9},
	 {T, FROM, END_9, END_2, TWO, ONE},
	 "",
	 0,
	 0},
	{"a range that is longer",
	 {T, FROM, ONE, END_2},
	 {T, FROM, ONE, END_9},
	 "10.0.0.1 is gone from set from of sallyport; 10.0.0.1-10.0.0.8 was added to set from of "
	 "sallyport",
	 2,
	 0},
	{"a range without an end",
	 {T, FROM},
	 {T, FROM, ONE},
	 "10.0.0.1- was added to set from of sallyport",
	 1,
	 0},
	{"a set that is gone, with what was in it",
	 {T, FROM, ONE, END_2},
	 {T},
	 "set from of sallyport is gone",
	 1,
	 0},
	{"a set of another kind",
	 {T, FROM},
	 {T, {'s', "sallyport", "from", 0, NULL}},
	 "set from of sallyport is changed: type 7 of 4 flags 0 instead of type 7 of 4 flags 4",
	 1,
	 0},
	{"what is in a set of timed elements is not looked at",
	 {BANS, {'s', "sallyport-bans", "v4", NFT_SET_TIMEOUT, NULL}},
	 {BANS,
	  {'s', "sallyport-bans", "v4", NFT_SET_TIMEOUT, NULL},
	  {'e', "sallyport-bans", "v4", 1, NULL}},
	 "",
	 0,
	 0},
	{"nor is what is in a dynamic set",
	 {T, {'s', "sallyport", "count", NFT_SET_EVAL, NULL}},
	 {T, {'s', "sallyport", "count", NFT_SET_EVAL, NULL}, {'e', "sallyport", "count", 1, NULL}},
	 "",
	 0,
	 0},
	{"elements of a set that nobody told of", {T}, {T, ONE}, "", 0, 0},
	{"a change of the bans' table is known as that",
	 {BANS},
	 {BANS, {'c', "sallyport-bans", "x", 0, NULL}},
	 "chain x of sallyport-bans was added",
	 1,
	 1},
};

static void test_comparison(void **state)
{
	const struct comparison *c = *state;
	struct firewall_reading *was = reading_of(c->was), *is = reading_of(c->is);
	struct firewall_changes changes;

	assert_int_equal(firewall_reading_same(was, is, &changes), c->count == 0);
	assert_string_equal(changes.words, c->words);
	assert_int_equal(changes.count, c->count);
	assert_int_equal(changes.bans, c->bans);
	firewall_reading_free(was);
	firewall_reading_free(is);
}

static void test_other_family(void **state)
{
	const struct thing ours = T;
	struct firewall_reading *r = firewall_reading_new();

	(void)state;
	thing_take(r, &ours, NFPROTO_IPV4);
	assert_int_equal(firewall_reading_count(r), 0);
	firewall_reading_free(r);
}

static void test_many(void **state)
{
	const struct thing empty[THINGS_MAX] = {T};
	struct firewall_reading *was = reading_of(empty), *is = firewall_reading_new();
	struct firewall_changes changes;
	char name[32];

	(void)state;
	thing_take(is, &empty[0], NFPROTO_INET);
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof name, "chain-%04d-%012d", i, i);
		thing_take(is, &(struct thing){'c', "sallyport", name, 0, NULL}, NFPROTO_INET);
	}
	assert_int_equal(firewall_reading_end(is), 0);
	assert_false(firewall_reading_same(was, is, &changes));
	assert_int_equal(changes.count, 5000);
	assert_non_null(strstr(changes.words, "; and 49"));
	assert_string_equal(changes.words + strlen(changes.words) - 5, " more");
	firewall_reading_free(was);
	firewall_reading_free(is);
}

static void test_pace(void **state)
{
	static const uint64_t waits[] = {0,	1000,  2000,  4000,  8000,
					 16000, 32000, 60000, 60000, 60000};
	struct firewall_pace p = {0};
	uint64_t now = 5;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		assert_int_equal(firewall_pace_next(&p, now), now + waits[i]);
		now += waits[i];
		firewall_pace_count(&p, now);
	}
	for (uint64_t held = 60000; held < 300000; held++)
		assert_int_equal(firewall_pace_next(&p, now + held), now + 60000);
	assert_int_equal(firewall_pace_next(&p, now + 300000), now + 300000);
	firewall_pace_count(&p, now + 300000);
	assert_int_equal(firewall_pace_next(&p, now + 300000), now + 301000);
}

/* --- real rules --- */

static struct firewall_drift told[8];
static size_t told_count;

static void on_told(struct firewall_watch *w, const struct firewall_drift *drift)
{
	(void)w;
	assert_true(told_count < ARRAY_LEN(told));
	told[told_count++] = *drift;
}

static void nft_load(const char *script)
{
	OWNED_FD fd = memfd_sealed("script", script, strlen(script));
	char why[512];

	assert_int_equal(nft_run(nft_find(), fd, why, sizeof why), 0);
}

static const char *unavailable(void)
{
	if (geteuid() != 0)
		return "needs root";
	if (!nft_find())
		return "nft is not installed";
	return unshare(CLONE_NEWNET) < 0 ? "no network namespace may be made here" : NULL;
}

/* No news comes at all; the clock is the test's own. */
static void test_look(void **state)
{
	struct firewall_watch w = {.nft = nft_find(), .tell = on_told};
	const struct firewall_load how = {.restore = 1, .look_ms = 60000};
	const char *script = firewall_bans_script, *why_not = unavailable();
	int fd = memfd_sealed("script", script, strlen(script));
	char why[512];
	uint64_t now;

	(void)state;
	if (why_not) {
		fd_close(&fd);
		print_message("%s\n", why_not);
		skip();
	}
	assert_int_equal(firewall_watch_open(&w), 0);
	firewall_events_close(&w.events);
	assert_int_equal(firewall_watch_next(&w), 0);
	assert_int_equal(firewall_watch_load(&w, &fd, &how, why, sizeof why), 0);
	assert_int_equal(fd, -1);
	now = firewall_watch_next(&w);
	assert_int_equal(now, w.looked_ms + 60000);
	firewall_watch_look(&w, now);
	assert_int_equal(told_count, 0);
	nft_load("flush ruleset\n");
	firewall_watch_look(&w, now += 60000);
	assert_int_equal(told_count, 2);
	assert_int_equal(told[0].state, DRIFT_FOUND);
	assert_string_equal(told[0].changed, "table sallyport-bans is gone");
	assert_int_equal(told[1].state, DRIFT_RESTORED);
	/* Again at once: it is told, and left alone for a second. */
	nft_load("flush ruleset\n");
	firewall_watch_look(&w, now += 10);
	assert_int_equal(told_count, 3);
	assert_int_equal(told[2].wait_s, 1);
	assert_int_equal(firewall_watch_next(&w), now + 990);
	firewall_watch_look(&w, now += 500);
	assert_int_equal(told_count, 3);
	firewall_watch_look(&w, now += 490);
	assert_int_equal(told_count, 4);
	assert_int_equal(told[3].state, DRIFT_RESTORED);
	assert_int_equal(told[3].restored, 2);
	assert_int_equal(firewall_watch_next(&w), now + 60000);
	/* What nft can't load any more is said, too. */
	w.nft = "/nonexistent";
	nft_load("flush ruleset\n");
	firewall_watch_look(&w, now += 300000);
	assert_int_equal(told_count, 6);
	assert_int_equal(told[5].state, DRIFT_FAILED);
	assert_string_equal(told[5].why, "nft could not be started");
	assert_int_equal(told[5].wait_s, 1);
	firewall_watch_close(&w);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, comparisons, test_comparison);
	tests_add(&t, "a table of another family is somebody else's", test_other_family, NULL);
	tests_add(&t, "P6: of many changes, the first are told, and how many more there are",
		  test_many, NULL);
	tests_add(&t, "P6: mending waits ever longer, up to a minute, until it held for 5",
		  test_pace, NULL);
	tests_add(&t, "P5: a look finds drift that no news told of, and mends it", test_look, NULL);
	return tests_run(&t, "firewall: drift");
}

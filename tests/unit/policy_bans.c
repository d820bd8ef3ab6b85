/* What a policy says of bans and decoys, and what it means when it says nothing. */
#include "policy/policy.h"
#include "tests/unit/test.h"

#define HEAD "version: 1\nportals: {here: {listen: [\"127.0.0.1:3260\"], transport: plain}}\n"

static struct policy *taken(const char *text)
{
	struct policy_options options = {.messages = stderr};
	struct policy *p = NULL;

	assert_int_equal(policy_parse("policy.yaml", text, strlen(text), &options, &p), 0);
	return p;
}

static void test_said(void **state)
{
	struct policy *p = taken(HEAD "auth: {bans: {after: 3, within: 1m, for: 2h, cap: 7d,\n"
				      "  exempt: [198.51.100.0/24, '2001:db8::9']}}\n");

	(void)state;
	assert_int_equal(p->ban_after, 3);
	assert_int_equal(p->ban_within_s, 60);
	assert_int_equal(p->ban_for_s, 7200);
	assert_int_equal(p->ban_cap_s, 7 * 86400);
	assert_int_equal(p->ban_exempt_count, 2);
	assert_int_equal(p->ban_exempt[0].prefix, 24);
	assert_int_equal(p->ban_exempt[1].prefix, 128);
	policy_free(p);
}

static void test_unsaid(void **state)
{
	struct policy *p = taken(HEAD);

	(void)state;
	assert_int_equal(p->ban_cap_s, 86400);
	assert_int_equal(p->ban_exempt_count, 0);
	assert_int_equal(p->decoy_count, 0);
	assert_false(policy_is_decoy(p, ""));
	policy_free(p);
	p = taken(HEAD "auth: {bans: {for: 3d}}\n");
	assert_int_equal(p->ban_cap_s, 3 * 86400);
	policy_free(p);
}

/* A stranger's spelling gets no more than a comparison without regard to case. */
static void test_decoys(void **state)
{
	struct policy *p = taken(
		HEAD
		"gateway: {decoys: [iqn.2026-11.net.example.gw:Backup, eui.0123456789ABCDEF]}\n");

	(void)state;
	assert_int_equal(p->decoy_count, 2);
	assert_true(policy_is_decoy(p, "IQN.2026-11.net.example.gw:backup"));
	assert_true(policy_is_decoy(p, "eui.0123456789abcdef"));
	assert_false(policy_is_decoy(p, "iqn.2026-11.net.example.gw:backup2"));
	assert_false(policy_is_decoy(p, "iqn.2026-11.net.example.gw:backu"));
	policy_free(p);
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "bans are as the policy says", test_said, NULL);
	tests_add(&t, "left out, the longest ban is a day, or the first one", test_unsaid, NULL);
	tests_add(&t, "decoys are known in any case", test_decoys, NULL);
	return tests_run(&t, "policy");
}

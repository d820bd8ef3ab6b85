/* What protects a portal's connections, from the policy to the firewall's script. */
#include "tests/unit/test.h"

#include <stdio.h>
#include "policy/firewall.h"
#include "policy/policy.h"

static struct tests t;

static struct policy *taken(const char *text)
{
	struct policy_options options = {.messages = stderr};
	struct policy *p = NULL;

	assert_int_equal(policy_parse("policy.yaml", text, strlen(text), &options, &p), 0);
	return p;
}
/* What stands behind `transport:` in each row, and what of it the firewall hears. */
static const struct transport_row {
	const char *why, *text, *is;
	enum portal_transport transport;
	const char *first, *output; /* of the portal's chain; of the answers' */
} transport_rows[] = {
	{"P1: an IPsec portal takes what came through IPsec, before all else", "ipsec", "ipsec",
	 PORTAL_IPSEC, "chain portal_vpn {\n\t\tmeta ipsec missing drop\n",
	 "ip saddr 10.8.0.1 tcp sport 3260 rt ipsec missing drop comment \"policy line 2\"\n"},
	{"P1: an interface's portal takes what came in there, before all else",
	 "{interface: no-such-0}", "interface no-such-0", PORTAL_INTERFACE,
	 "chain portal_vpn {\n\t\tiifname != \"no-such-0\" drop\n",
	 "ip saddr 10.8.0.1 tcp sport 3260 oifname != \"no-such-0\" drop"},
};

static void test_transport(void **state)
{
	const struct transport_row *r = *state;
	OWNED_FREE char *script = NULL;
	char text[1024], is[TRANSPORT_TEXT];
	struct policy *p;

	(void)snprintf(text, sizeof text,
		       "version: 1\nportals: {vpn: {listen: ['10.8.0.1:3260'], transport: %s}}\n",
		       r->text);
	p = taken(text);
	script = firewall_script(p, 0);
	assert_int_equal(p->portals[0].transport, r->transport);
	assert_string_equal(policy_transport_text(&p->portals[0], is), r->is);
	assert_non_null(strstr(script, r->first));
	assert_non_null(strstr(script, r->output));
	policy_free(p);
}

/* Without a tunnel, what leaves is nobody's business. */
static void test_plain(void **state)
{
	struct policy *p = taken("version: 1\nportals: {here: {listen: ['127.0.0.1:3260'], "
				 "transport: plain}}\n");
	OWNED_FREE char *script = firewall_script(p, 0);
	char is[TRANSPORT_TEXT];

	(void)state;
	assert_string_equal(policy_transport_text(&p->portals[0], is), "plain");
	assert_null(strstr(script, "chain output"));
	assert_null(strstr(script, "ipsec"));
	policy_free(p);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, transport_rows, test_transport);
	tests_add(&t, "a plain portal's answers meet no rule", test_plain, NULL);
	return tests_run(&t, "policy_transport");
}

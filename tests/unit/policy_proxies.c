/* Portals behind proxies: what the firewall lets in, and whose word it is where somebody comes
 * from. */
#include "tests/unit/test.h"

#include "policy/diff.h"
#include "policy/firewall.h"

static struct tests t;

#define TARGET "iqn.2026-11.net.example.gw:vault"
#define ALICE  "iqn.1994-05.com.redhat:alice"

static const char text_of[] =
	"version: 1\n"
	"portals:\n"
	"  lb: {listen: ['192.0.2.1:3260'], transport: plain, accept_risk: true,\n"
	"       proxy_from: [192.0.2.80, '2001:db8:80::/64']}\n"
	"  direct: {listen: ['192.0.2.1:3261'], transport: plain, accept_risk: true}\n"
	"disks: {a: {memory: 1MiB}}\n"
	"targets:\n"
	"  " TARGET ":\n"
	"    portals: [lb, direct]\n"
	"    luns: {0: a}\n"
	"    initiators:\n"
	"      " ALICE ":\n"
	"        from: [198.51.100.7]\n"
	"        until: 2026-12-24T18:00+01:00\n"
	"        chap: {user: alice, mutual: gw-a}\n";

#define NOW  INT64_C(1790000000)
#define OVER INT64_C(1800000000)

static struct policy *policy;

static struct ip ip_of(const char *text)
{
	struct ip ip = {0};

	if (text)
		assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

static struct policy *taken(const char *text)
{
	struct policy_options options = {.messages = stderr};
	struct policy *p = NULL;

	assert_int_equal(policy_parse("policy.yaml", text, strlen(text), &options, &p), 0);
	return p;
}

static const struct packet_row {
	const char *why, *from;
	size_t portal;
	int64_t now_s;
	bool taken;
} packet_rows[] = {
	{"a proxy connects", "192.0.2.80", 0, NOW, true},
	{"a proxy of a network connects", "2001:db8:80::7", 0, NOW, true},
	{"P1: an initiator does not connect past its proxy", "198.51.100.7", 0, NOW, false},
	{"P1: nor does anybody else", "192.0.2.81", 0, NOW, false},
	{"P1: a proxy, while nobody may enter", "192.0.2.80", 0, OVER, false},
	{"a portal without proxies takes initiators", "198.51.100.7", 1, NOW, true},
	{"P1: … and no proxies", "192.0.2.80", 1, NOW, false},
};

static void test_packet(void **state)
{
	const struct packet_row *r = *state;
	struct ip from = ip_of(r->from);

	assert_int_equal(policy_takes_packets(policy, r->portal, &from, r->now_s), r->taken);
}

static const struct decide_row {
	const char *why, *from, *proxy;
	size_t portal;
	bool any, allowed;
	enum layer layer;
} decide_rows[] = {
	{"named by a proxy", "198.51.100.7", "192.0.2.80", 0, false, true, LAYER_NONE},
	{"P1: named by somebody who is no proxy", "198.51.100.7", "192.0.2.81", 0, false, false,
	 LAYER_FIREWALL},
	{"P1: by its own word", "198.51.100.7", NULL, 0, false, false, LAYER_FIREWALL},
	{"P1: another is named", "198.51.100.8", "192.0.2.80", 0, false, false, LAYER_FIREWALL},
	{"P1: named where no proxy is", "198.51.100.7", "192.0.2.80", 1, false, false,
	 LAYER_FIREWALL},
	{"by its own word where no proxy is", "198.51.100.7", NULL, 1, false, true, LAYER_NONE},
	{"for people: behind any proxy", "198.51.100.7", NULL, 0, true, true, LAYER_NONE},
	{"for people: where no proxy is", "198.51.100.7", NULL, 1, true, true, LAYER_NONE},
};

static void test_decide(void **state)
{
	const struct decide_row *r = *state;
	const struct claim claim = {
		.from = ip_of(r->from),
		.proxy = ip_of(r->proxy),
		.any_proxy = r->any,
		.portal = r->portal,
		.user = "alice",
		.initiator = ALICE,
		.target = TARGET,
		.lun = -1,
		.now_s = NOW,
	};
	struct decision d;

	policy_decide(policy, &claim, &d);
	assert_int_equal(d.allowed, r->allowed);
	assert_int_equal(d.layer, r->layer);
	assert_true(r->allowed || !d.identity || d.verdicts[LAYER_FIREWALL].allowed);
	if (!r->allowed)
		assert_string_equal(d.verdicts[LAYER_FIREWALL].reason, "wrong-address");
}

static void test_script(void **state)
{
	OWNED_FREE char *script = firewall_script(policy, NOW);
	OWNED_FREE char *over = firewall_script(policy, OVER);
	char *chain = strstr(script, "chain portal_lb {");

	(void)state;
	assert_non_null(strstr(script, "set from_lb_4 {\n\t\ttype ipv4_addr\n\t\tflags interval\n"
				       "\t\telements = {\n\t\t\t192.0.2.80\n"));
	assert_non_null(chain);
	*strchr(chain, '}') = '\0';
	assert_non_null(strstr(chain, "\t\tip saddr @from_lb_4 accept\n"));
	assert_non_null(strstr(chain, "\t\tip6 saddr @from_lb_6 accept\n"));
	assert_null(strstr(chain, "goto limit_"));
	assert_null(strstr(over, "192.0.2.80"));
}

/* A session that came by one proxy, and what the other policy's are. */
static const struct effect_row {
	const char *why, *proxies, *proxy;
	enum effect effect;
} effect_rows[] = {
	{"P7: its proxy stays", "proxy_from: [192.0.2.80]", "192.0.2.80", EFFECT_NONE},
	{"its proxy is trusted no more", "proxy_from: [192.0.2.81]", "192.0.2.80", EFFECT_ENDS},
	{"the portal has no proxies any more", "group: lb", "192.0.2.80", EFFECT_ENDS},
	{"it came itself, and the portal has proxies now", "proxy_from: [192.0.2.80]", NULL,
	 EFFECT_ENDS},
};

static void test_effect(void **state)
{
	const struct effect_row *r = *state;
	static const char was[] = "proxy_from: [192.0.2.80, '2001:db8:80::/64']";
	const char *at = strstr(text_of, was);
	struct effect_session s = {.portal = "lb",
				   .from = ip_of("198.51.100.7"),
				   .proxy = ip_of(r->proxy),
				   .user = "alice",
				   .initiator = ALICE,
				   .target = TARGET};
	struct effect_result result;
	struct policy *after;
	char text[2000];

	assert_non_null(at);
	(void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - text_of), text_of, r->proxies,
		       at + strlen(was));
	after = taken(text);
	policy_effect(policy, after, &s, &result);
	/* A LUN that it was not told of is news to it, and not its proxy's doing. */
	assert_int_equal(result.effect == EFFECT_ENDS, r->effect == EFFECT_ENDS);
	policy_free(after);
}

int main(void)
{
	int failed;

	policy = taken(text_of);
	TESTS_ADD_TABLE(&t, packet_rows, test_packet);
	TESTS_ADD_TABLE(&t, decide_rows, test_decide);
	TESTS_ADD_TABLE(&t, effect_rows, test_effect);
	tests_add(&t, "P1: the firewall lets in proxies alone, without limits", test_script, NULL);
	failed = tests_run(&t, "policy_proxies");
	policy_free(policy);
	return failed;
}

/* Which connections the kernel's IPsec policies and states cover: judged on messages as the kernel
 * would send them. */
#include "tests/unit/test.h"

#include "policy/xfrm.h"

#include <netinet/in.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>

#define SEQUENCE 7
#define LOCAL	 "10.8.0.1:3260"
#define PEER	 "203.0.113.7:40000"
#define NONE	 "no IPsec policy is about it"
#define NOT_ESP	 "the IPsec policy that counts for it does not ask for ESP"
#define NO_STATE "no IPsec state with encryption is there for it"
#define GCM	 "rfc4106(gcm(aes))"

static struct tests t;

/* What is left out is as a tunnel of IPsec between the two would have it; "" is any. */
struct policy_row {
	char way; /* 'i', 'o', 'f'; 0: there is no more */
	const char *from, *to, *outer_from, *outer_to;
	uint16_t port; /* of the portal */
	uint32_t priority;
	uint8_t action, proto, wrap; /* `wrap`: IPPROTO_AH, …, or CLEAR */
	bool any_port, optional, transport;
	uint32_t mark, if_id;
	bool impossible, labelled; /* a mark of no bits that is 1; for packets with a label */
	int ifindex;
	uint8_t type;
};

struct state_row {
	char way;
	const char *from, *to, *aead, *cipher, *integrity;
	uint32_t reqid;
	uint8_t proto;
	bool transport;
};

#define CLEAR 255
#define IN(...)                         \
	{                               \
		.way = 'i', __VA_ARGS__ \
	}
#define OUT(...)                        \
	{                               \
		.way = 'o', __VA_ARGS__ \
	}
#define STATES IN(.aead = GCM), OUT(.aead = GCM)
#define WIDE   .from = "", .to = "", .any_port = true

static const struct row {
	const char *why;
	struct policy_row policies[5];
	struct state_row states[4];
	const char *lacks; /* NULL: covered */
	const char *local, *peer;
} rows[] = {
	{.why = "both ways in ESP, with states, are covered",
	 .policies = {IN(), OUT()},
	 .states = {STATES}},
	{.why = "P1: no policy at all is no cover", .states = {STATES}, .lacks = NONE},
	{.why = "P1: only what comes in is not enough",
	 .policies = {IN()},
	 .states = {STATES},
	 .lacks = NONE},
	{.why = "P1: only what goes out is not enough",
	 .policies = {OUT()},
	 .states = {STATES},
	 .lacks = NONE},
	{.why = "P1: policies without any state are no cover",
	 .policies = {IN(), OUT()},
	 .lacks = NO_STATE},
	{.why = "P1: a state for one way alone is no cover",
	 .policies = {IN(), OUT()},
	 .states = {IN(.aead = GCM)},
	 .lacks = NO_STATE},
	{.why = "P1: a policy for another port is not about it",
	 .policies = {IN(.port = 3261), OUT()},
	 .states = {STATES},
	 .lacks = NONE},
	{.why = "P1: a policy for another peer is not about it",
	 .policies = {IN(.from = "203.0.113.8/32"), OUT()},
	 .states = {STATES},
	 .lacks = NONE},
	{.why = "P1: a policy for UDP is not about it",
	 .policies = {IN(.proto = IPPROTO_UDP), OUT()},
	 .states = {STATES},
	 .lacks = NONE},
	{.why = "a policy for TCP is",
	 .policies = {IN(.proto = IPPROTO_TCP), OUT()},
	 .states = {STATES}},
	{.why = "a policy for everything is",
	 .policies = {IN(WIDE), OUT(WIDE)},
	 .states = {STATES}},
	{.why = "a network of the peer's is",
	 .policies = {IN(.from = "203.0.113.0/24"), OUT(.to = "203.0.113.0/24")},
	 .states = {STATES}},
	{.why = "P6: a network longer than an address has nobody in it",
	 .policies = {IN(.from = "too long"), OUT()},
	 .states = {STATES},
	 .lacks = NONE},
	{.why = "P1: one for forwarding is not",
	 .policies = {{.way = 'f'}, OUT()},
	 .states = {STATES},
	 .lacks = NONE},
	{.why = "P1: a policy that lets it pass in the clear counts before one in ESP",
	 .policies = {IN(), OUT(), IN(.wrap = CLEAR, .priority = 50)},
	 .states = {STATES},
	 .lacks = NOT_ESP},
	{.why = "P1: in whichever order they come",
	 .policies = {IN(.wrap = CLEAR, .priority = 50), IN(), OUT()},
	 .states = {STATES},
	 .lacks = NOT_ESP},
	{.why = "one that counts less does not matter",
	 .policies = {IN(.wrap = CLEAR, .priority = 150), IN(), OUT(),
		      OUT(.wrap = CLEAR, .priority = 150)},
	 .states = {STATES}},
	{.why = "P1: of two that count alike, the one in the clear is feared",
	 .policies = {IN(.wrap = CLEAR), IN(), OUT()},
	 .states = {STATES},
	 .lacks = NOT_ESP},
	{.why = "P1: of two that count alike, also behind the other",
	 .policies = {IN(), IN(.wrap = CLEAR), OUT()},
	 .states = {STATES},
	 .lacks = NOT_ESP},
	{.why = "P1: AH hides nothing",
	 .policies = {IN(.wrap = IPPROTO_AH), OUT()},
	 .states = {STATES},
	 .lacks = NOT_ESP},
	{.why = "P1: ESP that may be left out is none",
	 .policies = {IN(.optional = true), OUT()},
	 .states = {STATES},
	 .lacks = NOT_ESP},
	{.why = "P1: a policy that blocks it is no cover",
	 .policies = {IN(.action = XFRM_POLICY_BLOCK), OUT()},
	 .states = {STATES},
	 .lacks = NOT_ESP},
	{.why = "one that blocks what no tunnel takes does not matter",
	 .policies = {IN(), OUT(),
		      IN(WIDE, .action = XFRM_POLICY_BLOCK, .wrap = CLEAR, .priority = 900)},
	 .states = {STATES}},
	{.why = "P1: a policy with a mark protects nobody",
	 .policies = {IN(.mark = 1), OUT()},
	 .states = {STATES},
	 .lacks = NONE},
	{.why = "P1: one with a mark that no packet can have protects nobody",
	 .policies = {IN(.impossible = true), OUT()},
	 .states = {STATES},
	 .lacks = NONE},
	{.why = "P1: one for packets with a label protects nobody",
	 .policies = {IN(.labelled = true), OUT()},
	 .states = {STATES},
	 .lacks = NONE},
	{.why = "P1: one for an XFRM interface protects nobody",
	 .policies = {IN(.if_id = 4), OUT()},
	 .states = {STATES},
	 .lacks = NONE},
	{.why = "P1: one for one interface protects nobody",
	 .policies = {IN(.ifindex = 2), OUT()},
	 .states = {STATES},
	 .lacks = NONE},
	{.why = "P1: one of another type protects nobody",
	 .policies = {IN(.type = XFRM_POLICY_TYPE_SUB), OUT()},
	 .states = {STATES},
	 .lacks = NONE},
	{.why = "P1: a policy with a mark that lets it pass may be the one",
	 .policies = {IN(), OUT(), OUT(.mark = 1, .wrap = CLEAR, .priority = 1)},
	 .states = {STATES},
	 .lacks = NOT_ESP},
	{.why = "P1: a state of other ends is not its own",
	 .policies = {IN(), OUT()},
	 .states = {IN(.from = "203.0.113.9", .aead = GCM), OUT(.aead = GCM)},
	 .lacks = NO_STATE},
	{.why = "P1: a state of another policy is not its own",
	 .policies = {IN(), OUT()},
	 .states = {IN(.reqid = 2, .aead = GCM), OUT(.aead = GCM)},
	 .lacks = NO_STATE},
	{.why = "P1: a state of AH is none",
	 .policies = {IN(), OUT()},
	 .states = {IN(.proto = IPPROTO_AH, .aead = GCM), OUT(.aead = GCM)},
	 .lacks = NO_STATE},
	{.why = "P1: a state that is still negotiated is none",
	 .policies = {IN(), OUT()},
	 .states = {IN(), OUT()},
	 .lacks = NO_STATE},
	{.why = "P1: GMAC hides nothing",
	 .policies = {IN(), OUT()},
	 .states = {IN(.aead = "rfc4543(gcm(aes))"), OUT(.aead = GCM)},
	 .lacks = NO_STATE},
	{.why = "P1: the null cipher hides nothing",
	 .policies = {IN(), OUT()},
	 .states = {IN(.cipher = "ecb(cipher_null)", .integrity = "hmac(sha256)"),
		    OUT(.aead = GCM)},
	 .lacks = NO_STATE},
	{.why = "P1: a cipher without integrity is none",
	 .policies = {IN(), OUT()},
	 .states = {IN(.cipher = "cbc(aes)"), OUT(.aead = GCM)},
	 .lacks = NO_STATE},
	{.why = "P1: nor with a null integrity",
	 .policies = {IN(), OUT()},
	 .states = {IN(.cipher = "cbc(aes)", .integrity = "digest_null"), OUT(.aead = GCM)},
	 .lacks = NO_STATE},
	{.why = "a cipher with integrity is one",
	 .policies = {IN(), OUT()},
	 .states = {IN(.cipher = "cbc(aes)", .integrity = "hmac(sha256)"), OUT(.aead = GCM)}},
	{.why = "a tunnel between other addresses covers, too",
	 .policies = {IN(.outer_from = "198.51.100.7", .outer_to = "198.51.100.1"),
		      OUT(.outer_from = "198.51.100.1", .outer_to = "198.51.100.7")},
	 .states = {IN(.from = "198.51.100.7", .to = "198.51.100.1", .aead = GCM),
		    OUT(.from = "198.51.100.1", .to = "198.51.100.7", .aead = GCM)}},
	{.why = "P1: but not by states between the connection's own",
	 .policies = {IN(.outer_from = "198.51.100.7", .outer_to = "198.51.100.1"),
		      OUT(.outer_from = "198.51.100.1", .outer_to = "198.51.100.7")},
	 .states = {STATES},
	 .lacks = NO_STATE},
	{.why = "transport mode has the connection's own ends",
	 .policies = {IN(.transport = true, .outer_from = "", .outer_to = ""),
		      OUT(.transport = true, .outer_from = "", .outer_to = "")},
	 .states = {IN(.transport = true, .aead = GCM), OUT(.transport = true, .aead = GCM)}},
	{.why = "P1: a state in the other mode is not its own",
	 .policies = {IN(), OUT()},
	 .states = {IN(.transport = true, .aead = GCM), OUT(.aead = GCM)},
	 .lacks = NO_STATE},
	{.why = "IPv6 is covered alike",
	 .policies = {IN(.from = "2001:db8:7::/64", .to = "2001:db8:8::1/128",
			 .outer_from = "2001:db8:7::7", .outer_to = "2001:db8:8::1"),
		      OUT(.to = "2001:db8:7::/64", .from = "2001:db8:8::1/128",
			  .outer_to = "2001:db8:7::7", .outer_from = "2001:db8:8::1")},
	 .states = {IN(.from = "2001:db8:7::7", .to = "2001:db8:8::1", .aead = GCM),
		    OUT(.to = "2001:db8:7::7", .from = "2001:db8:8::1", .aead = GCM)},
	 .local = "[2001:db8:8::1]:3260",
	 .peer = "[2001:db8:7::7]:40000"},
	{.why = "P1: an IPv6 connection is not covered by policies of IPv4",
	 .policies = {IN(WIDE), OUT(WIDE)},
	 .states = {STATES},
	 .lacks = NONE,
	 .local = "[2001:db8:8::1]:3260",
	 .peer = "[2001:db8:7::7]:40000"},
	{.why = "P1: what this machine says to itself goes through no tunnel",
	 .policies = {IN(WIDE), OUT(WIDE)},
	 .states = {STATES},
	 .lacks = "it comes from this very machine",
	 .local = LOCAL,
	 .peer = "10.8.0.1:40000"},
};

/* --- the kernel's messages ---------------------------------------------------------------- */

_Alignas(struct nlmsghdr) static uint8_t bytes[32768];
static size_t used;

static struct nlmsghdr *message_begin(uint16_t type, const void *body, size_t size)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes + used);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_MULTI;
	h->nlmsg_seq = SEQUENCE;
	memcpy(mnl_nlmsg_put_extra_header(h, size), body, size);
	return h;
}

static void message_end(const struct nlmsghdr *h)
{
	used += NLMSG_ALIGN(h->nlmsg_len);
}

static uint16_t network_put(const char *text, xfrm_address_t *ret, uint8_t *ret_prefix)
{
	struct network n;

	if (strcmp(text, "too long") == 0) {
		*ret_prefix = 200;
		return AF_INET;
	}
	assert_int_equal(network_parse(text[0] ? text : "0.0.0.0/0", &n), 0);
	memcpy(ret, n.ip.bytes, 16);
	*ret_prefix = n.prefix;
	return n.ip.version == 4 ? AF_INET : AF_INET6;
}

static uint16_t address_put(const char *text, xfrm_address_t *ret)
{
	uint8_t prefix;

	return text[0] ? network_put(text, ret, &prefix) : AF_INET;
}

static const char *or_else(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

static void selector_put(const struct policy_row *r, struct xfrm_selector *s)
{
	const bool out = r->way == 'o';
	uint16_t port = htons(r->port ? r->port : 3260), mask = r->any_port ? 0 : UINT16_MAX;

	s->family = network_put(or_else(r->from, out ? "10.8.0.1/32" : "203.0.113.7/32"), &s->saddr,
				&s->prefixlen_s);
	(void)network_put(or_else(r->to, out ? "203.0.113.7/32" : "10.8.0.1/32"), &s->daddr,
			  &s->prefixlen_d);
	s->proto = r->proto;
	s->ifindex = r->ifindex;
	*(out ? &s->sport : &s->dport) = r->any_port ? 0 : port;
	*(out ? &s->sport_mask : &s->dport_mask) = mask;
}

/* A template for IPComp, which may be left out, and the one that counts. */
static void templates_put(const struct policy_row *r, struct xfrm_user_tmpl tmpl[2])
{
	const bool out = r->way == 'o';

	tmpl[0].id.proto = IPPROTO_COMP;
	tmpl[0].optional = 1;
	tmpl[1].id.proto = r->wrap ? r->wrap : IPPROTO_ESP;
	tmpl[1].optional = r->optional;
	tmpl[1].reqid = 1;
	tmpl[1].mode = r->transport ? XFRM_MODE_TRANSPORT : XFRM_MODE_TUNNEL;
	tmpl[1].family = address_put(or_else(r->outer_from, out ? "10.8.0.1" : "203.0.113.7"),
				     &tmpl[1].saddr);
	(void)address_put(or_else(r->outer_to, out ? "203.0.113.7" : "10.8.0.1"),
			  &tmpl[1].id.daddr);
}

static void policy_put(const struct policy_row *r)
{
	struct xfrm_userpolicy_info p = {.priority = r->priority ? r->priority : 100,
					 .action = r->action};
	struct xfrm_user_tmpl tmpl[2] = {0};
	struct xfrm_userpolicy_type type = {.type = r->type};
	struct xfrm_mark mark = {.v = r->mark, .m = r->mark ? UINT32_MAX : 0};
	struct xfrm_user_sec_ctx context = {.len = sizeof context};
	struct nlmsghdr *h;

	p.dir = r->way == 'i' ? XFRM_POLICY_IN : r->way == 'o' ? XFRM_POLICY_OUT : XFRM_POLICY_FWD;
	selector_put(r, &p.sel);
	templates_put(r, tmpl);
	h = message_begin(XFRM_MSG_NEWPOLICY, &p, sizeof p);
	mnl_attr_put(h, XFRMA_POLICY_TYPE, sizeof type, &type);
	if (r->wrap != CLEAR)
		mnl_attr_put(h, XFRMA_TMPL, sizeof tmpl, tmpl);
	mark.v += r->impossible;
	if (mark.v)
		mnl_attr_put(h, XFRMA_MARK, sizeof mark, &mark);
	if (r->labelled)
		mnl_attr_put(h, XFRMA_SEC_CTX, sizeof context, &context);
	if (r->if_id)
		mnl_attr_put_u32(h, XFRMA_IF_ID, r->if_id);
	message_end(h);
}

static void algorithm_put(struct nlmsghdr *h, uint16_t type, const char *name)
{
	struct {
		char name[64];
		uint32_t bits[2];
		uint8_t key[36];
	} a = {.bits = {288, 128}};

	if (!name)
		return;
	(void)string_copy(a.name, sizeof a.name, name);
	mnl_attr_put(h, type, sizeof a, &a);
}

static void state_put(const struct state_row *r)
{
	const bool out = r->way == 'o';
	struct xfrm_usersa_info s = {.reqid = r->reqid ? r->reqid : 1,
				     .mode = r->transport ? XFRM_MODE_TRANSPORT : XFRM_MODE_TUNNEL};
	struct nlmsghdr *h;

	s.family = address_put(or_else(r->from, out ? "10.8.0.1" : "203.0.113.7"), &s.saddr);
	(void)address_put(or_else(r->to, out ? "203.0.113.7" : "10.8.0.1"), &s.id.daddr);
	s.id.proto = r->proto ? r->proto : IPPROTO_ESP;
	h = message_begin(XFRM_MSG_NEWSA, &s, sizeof s);
	algorithm_put(h, XFRMA_ALG_AEAD, r->aead);
	algorithm_put(h, XFRMA_ALG_CRYPT, r->cipher);
	algorithm_put(h, XFRMA_ALG_AUTH_TRUNC, r->integrity);
	message_end(h);
}

static void done_put(void)
{
	int zero = 0;

	message_end(message_begin(NLMSG_DONE, &zero, sizeof zero));
}

static void coverage_of(const struct row *r, struct xfrm_coverage *ret)
{
	struct endpoint local, peer;

	assert_int_equal(endpoint_parse(r->local ? r->local : LOCAL, &local), 0);
	assert_int_equal(endpoint_parse(r->peer ? r->peer : PEER, &peer), 0);
	xfrm_coverage_begin(ret, &local, &peer);
	used = 0;
	for (size_t i = 0; i < ARRAY_LEN(r->policies) && r->policies[i].way; i++)
		policy_put(&r->policies[i]);
	done_put();
	assert_int_equal(xfrm_policies_take(ret, bytes, used, SEQUENCE), 1);
	used = 0;
	for (size_t i = 0; i < ARRAY_LEN(r->states) && r->states[i].way; i++)
		state_put(&r->states[i]);
	done_put();
	assert_int_equal(xfrm_states_take(ret, bytes, used, SEQUENCE), 1);
}

static void test_row(void **state)
{
	const struct row *r = *state;
	struct xfrm_coverage c;
	const char *lacks;

	coverage_of(r, &c);
	lacks = xfrm_coverage_lacks(&c);
	if (!r->lacks || !lacks)
		assert_ptr_equal(lacks, r->lacks);
	else
		assert_string_equal(lacks, r->lacks);
}

/* --- what else the kernel may say --------------------------------------------------------- */

static void test_errors(void **state)
{
	struct nlmsgerr e = {.error = -EPERM};
	struct xfrm_coverage c;
	struct nlmsghdr *h;

	(void)state;
	coverage_of(&rows[0], &c);
	used = 0;
	message_end(message_begin(NLMSG_ERROR, &e, sizeof e));
	assert_int_equal(xfrm_policies_take(&c, bytes, used, SEQUENCE), -EPERM);
	assert_int_equal(xfrm_policies_take(&c, bytes, used, SEQUENCE + 1),
			 0); /* of another request */
	used = 0;
	message_end(message_begin(NLMSG_ERROR, &e, 2));
	assert_int_equal(xfrm_policies_take(&c, bytes, used, SEQUENCE), -EPROTO);
	used = 0;
	h = message_begin(NLMSG_DONE, &e, sizeof e);
	h->nlmsg_flags |= NLM_F_DUMP_INTR;
	message_end(h);
	assert_int_equal(xfrm_policies_take(&c, bytes, used, SEQUENCE), -EINTR);
}

static void test_length(void **state)
{
	struct xfrm_coverage c;

	(void)state;
	coverage_of(&rows[0], &c);
	memset(bytes, 0x9f, NLMSG_HDRLEN); /* 2.5 GiB, or less than nothing */
	assert_int_equal(xfrm_states_take(&c, bytes, NLMSG_HDRLEN, SEQUENCE), 0);
}

/* Cut off anywhere, a policy or a state is none, or it is whole. */
static void test_short(void **state)
{
	struct xfrm_coverage whole, c;

	(void)state;
	coverage_of(&rows[0], &whole);
	for (size_t len = 0; len < used; len++) {
		c = whole;
		c.ways[0].alive = c.ways[1].alive = false;
		assert_true(xfrm_states_take(&c, bytes, len, SEQUENCE) == 0);
	}
	used = 0;
	policy_put(&rows[0].policies[0]);
	for (size_t len = 0; len < used; len++) {
		xfrm_coverage_begin(&c, &whole.ways[0].to, &whole.ways[0].from);
		assert_int_equal(xfrm_policies_take(&c, bytes, len, SEQUENCE), 0);
		assert_false(c.ways[0].found);
	}
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, test_row);
	tests_add(&t, "what the kernel refuses to tell is no cover", test_errors, NULL);
	tests_add(&t, "P6: a message longer than all memory is left out", test_length, NULL);
	tests_add(&t, "P6: messages that are cut off are left out", test_short, NULL);
	return tests_run(&t, "firewall");
}

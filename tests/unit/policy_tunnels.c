/* Configurations for both ends of tunnels, of IPsec and of WireGuard: what they say, to whom, and
 * that no secret is in them. */
#include "tests/unit/test.h"

#include <stdio.h>
#include "policy/tunnels.h"

static struct tests t;

#define POLICY                                                                        \
	"version: 1\n"                                                                \
	"portals:\n"                                                                  \
	"  site: {listen: ['10.8.0.1:3260', '10.8.0.1:3261', '[2001:db8::1]:3260'], " \
	"transport: ipsec}\n"                                                         \
	"  two: {listen: ['10.8.0.2:3260'], transport: ipsec}\n"                      \
	"  vpn: {listen: ['10.9.0.1:3260'], transport: {interface: no-such-0}}\n"     \
	"  here: {listen: ['127.0.0.1:3260'], transport: plain}\n"                    \
	"disks: {a: {memory: 1MiB}, b: {memory: 1MiB}, c: {memory: 1MiB}}\n"          \
	"targets:\n"                                                                  \
	"  iqn.2026-11.net.example:a:\n"                                              \
	"    portals: [site, here]\n"                                                 \
	"    luns: {0: a}\n"                                                          \
	"    initiators:\n"                                                           \
	"      iqn.2026-11.net.example:bob:\n"                                        \
	"        from: ['203.0.113.0/24', '2001:db8:7::/64']\n"                       \
	"        chap: {user: b.o_b, mutual: gw}\n"                                   \
	"      iqn.2026-11.net.example:alice:\n"                                      \
	"        from: [203.0.113.7]\n"                                               \
	"        chap: {user: alice, mutual: gw}\n"                                   \
	"  iqn.2026-11.net.example:b:\n"                                              \
	"    portals: [two]\n"                                                        \
	"    luns: {0: b}\n"                                                          \
	"    initiators:\n"                                                           \
	"      iqn.2026-11.net.example:alice:\n"                                      \
	"        from: [203.0.113.7, 203.0.113.8]\n"                                  \
	"        chap: {user: alice, mutual: gw}\n"                                   \
	"  iqn.2026-11.net.example:c:\n"                                              \
	"    portals: [vpn]\n"                                                        \
	"    luns: {0: c}\n"                                                          \
	"    initiators:\n"                                                           \
	"      iqn.2026-11.net.example:alice:\n"                                      \
	"        from: [10.9.0.7, '10.9.7.0/24']\n"                                   \
	"        chap: {user: alice, mutual: gw}\n"                                   \
	"      iqn.2026-11.net.example:carol:\n"                                      \
	"        from: [" CAROL "]\n"                                                 \
	"        chap: {user: carol, mutual: gw}\n"

#define CAROL "10.9.0.8"
static const char policy_text[] = POLICY;
#undef CAROL
#define CAROL "10.9.7.9"
static const char policy_overlapping[] = POLICY;

static struct policy *taken(const char *text)
{
	FILE *nowhere = fopen("/dev/null", "w");
	struct policy_options options = {.messages = nowhere};
	struct policy *p = NULL;

	assert_non_null(nowhere);
	assert_int_equal(policy_parse("policy.yaml", text, strlen(text), &options, &p), 0);
	fclose(nowhere);
	return p;
}

enum { SITE, TWO, VPN };

/* The text for a peer, or for the gateway (peer: NULL). */
static char *text_of(const struct policy *p, size_t portal, const char *user, const char *more)
{
	OWNED_BY(tunnels_free) struct tunnels tunnels = {0};
	const bool is_address = more && strcmp(more, "certificates") != 0;
	const struct ipsec_choice ipsec = {.gateway = is_address ? more : NULL,
					   .certificates = more && !is_address};
	const struct wireguard_choice wireguard = {.endpoint = more, .port = 51820};
	const struct tunnel_peer *peer = NULL;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	assert_int_equal(tunnels_find(p, &p->portals[portal], &tunnels), 0);
	for (size_t i = 0; user && i < tunnels.count; i++)
		if (strcmp(tunnels.peers[i].user, user) == 0)
			peer = &tunnels.peers[i];
	assert_true(!user || peer);
	if (portal == VPN)
		wireguard_write(f, &tunnels, peer, &wireguard);
	else
		ipsec_write(f, &tunnels, peer, &ipsec);
	assert_int_equal(fclose(f), 0);
	return text;
}

static const struct row {
	const char *why;
	size_t portal;
	const char *user, *more;
	const char *has[6], *has_not[4];
} rows[] = {
	{.why = "IPsec: one profile, IKEv2 with AES-GCM, ECP-384 and long sequence numbers",
	 .has = {"version = 2\n", "proposals = aes256gcm16-prfsha384-ecp384\n",
		 "esp_proposals = aes256gcm16-ecp384-esn\n", "mode = tunnel\n"},
	 .has_not = {"cbc", "sha1", "version = 0"}},
	{.why = "P1: IPsec: the gateway's selectors are the portal's ports, and the peer's "
		"addresses",
	 .has = {"local_ts = 10.8.0.1/32[6/3260], 10.8.0.1/32[6/3261]\n",
		 "remote_ts = 203.0.113.0/24[6]\n",
		 "remote_ts = 203.0.113.7/32[6], 203.0.113.8/32[6]\n",
		 "local_ts = 2001:db8::1/128[6/3260]\n", "remote_ts = 2001:db8:7::/64[6]\n"},
	 .has_not = {"10.9.0.", "127.0.0.1/32"}},
	{.why = "P1: IPsec: what no tunnel takes is dropped at the gateway",
	 .has = {"mode = drop\n\t\t\t\tlocal_ts = 10.8.0.2/32[6/3260]\n\t\t\t\tremote_ts = "
		 "0.0.0.0/0[6]\n\t\t\t\tstart_action = trap\n",
		 "remote_ts = ::/0[6]\n"}},
	{.why = "P1: IPsec: and at the peer",
	 .user = "alice",
	 .has = {"mode = drop\n\t\t\t\tremote_ts = 10.8.0.1/32[6/3260], 10.8.0.1/32[6/3261]\n"
		 "\t\t\t\tlocal_ts = 0.0.0.0/0[6]\n\t\t\t\tstart_action = trap\n"}},
	{.why = "IPsec: the peer's first packet makes the tunnel",
	 .user = "alice",
	 .has = {"local_addrs = 203.0.113.7, 203.0.113.8\n", "remote_addrs = 10.8.0.1\n",
		 "remote_addrs = 10.8.0.2\n", "start_action = trap\n"},
	 .has_not = {"start_action = none", "bob", "2001:db8"}},
	{.why = "P1: IPsec: a peer is told of its portals alone",
	 .user = "b.o_b",
	 .has = {"remote_ts = 10.8.0.1/32[6/3260]", "remote_ts = 2001:db8::1/128[6/3260]",
		 "local_ts = dynamic[6]\n", "\tb_do__b-1 {\n"},
	 .has_not = {"10.8.0.2", "alice", "203.0.113"}},
	{.why = "IPsec: names belong where secrets do",
	 .user = "alice",
	 .has = {"secret = 0s\x01ipsec.alice\x01\n",
		 "id-0 = \"fqdn:iqn.2026-11.net.example:alice\"\n", "id-1 = \"10.8.0.1\"\n"},
	 .has_not = {"ipsec.b.o_b"}},
	{.why = "IPsec: the gateway has the key of each peer",
	 .has = {"secret = 0s\x01ipsec.alice\x01\n", "secret = 0s\x01ipsec.b.o_b\x01\n"}},
	{.why = "IPsec: certificates instead of keys",
	 .more = "certificates",
	 .has = {"auth = pubkey\n\t\t\tcerts = gateway.pem\n", "certs = alice.pem\n"},
	 .has_not = {"psk", "secrets {", "\x01"}},
	{.why = "IPsec: a gateway that is reached elsewhere",
	 .user = "alice",
	 .more = "gw.example.net",
	 .has = {"remote_addrs = gw.example.net\n", "id = \"10.8.0.1\"\n"},
	 .has_not = {"remote_addrs = 10.8"}},
	{.why = "P1: WireGuard: a peer has the addresses of its entry, and no others",
	 .portal = VPN,
	 .has = {"Address = 10.9.0.1/32\n", "ListenPort = 51820\n",
		 "PublicKey = \x02wireguard.no-such-0.alice\x02\nAllowedIPs = 10.9.0.7/32,",
		 "AllowedIPs = 10.9.0.7/32, 10.9.7.0/24\n", "AllowedIPs = 10.9.0.8/32\n",
		 "PrivateKey = \x01wireguard.no-such-0\x01\n"},
	 .has_not = {"203.0.113", "0.0.0.0/0", "Endpoint"}},
	{.why = "P1: WireGuard: a peer sends the portal's address through it, and nothing else",
	 .portal = VPN,
	 .user = "alice",
	 .more = "198.51.100.1:51820",
	 .has = {"Address = 10.9.0.7/32\n", "# Address = an address of 10.9.7.0/24",
		 "AllowedIPs = 10.9.0.1/32\n", "Endpoint = 198.51.100.1:51820\n",
		 "PrivateKey = \x01wireguard.no-such-0.alice\x01\n",
		 "PublicKey = \x02wireguard.no-such-0\x02\n"},
	 .has_not = {"carol", "ListenPort"}},
	{.why = "WireGuard: where the gateway is reached, may be left open",
	 .portal = VPN,
	 .user = "carol",
	 .has = {"# Endpoint = "}},
};

static void test_row(void **state)
{
	const struct row *r = *state;
	struct policy *p = taken(policy_text);
	OWNED_FREE char *text = text_of(p, r->portal, r->user, r->more);
	OWNED_FREE char *again = text_of(p, r->portal, r->user, r->more);

	assert_string_equal(text, again);
	for (size_t i = 0; i < ARRAY_LEN(r->has) && r->has[i]; i++)
		if (!strstr(text, r->has[i]))
			fail_msg("\"%s\" is missing in:\n%s", r->has[i], text);
	for (size_t i = 0; i < ARRAY_LEN(r->has_not) && r->has_not[i]; i++)
		if (strstr(text, r->has_not[i]))
			fail_msg("\"%s\" is in:\n%s", r->has_not[i], text);
	policy_free(p);
}

static void test_peers(void **state)
{
	struct policy *p = taken(policy_text);
	OWNED_BY(tunnels_free) struct tunnels tunnels = {0};
	const struct tunnel_peer *other = NULL;

	(void)state;
	assert_int_equal(tunnels_find(p, &p->portals[SITE], &tunnels), 0);
	assert_int_equal(tunnels.count, 2);
	assert_string_equal(tunnels.peers[0].user, "alice");
	assert_int_equal(tunnels.peers[0].network_count, 2); /* of two targets, each once */
	assert_true(tunnels_have(&tunnels, TWO, &tunnels.peers[0]));
	assert_false(tunnels_have(&tunnels, TWO, &tunnels.peers[1]));
	assert_false(tunnels_have(&tunnels, VPN, NULL));
	assert_ptr_equal(tunnels_overlap(&tunnels, &other), &tunnels.peers[1]);
	policy_free(p);
}

static void test_overlap(void **state)
{
	const char *const texts[] = {policy_text, policy_overlapping};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct policy *p = taken(texts[i]);
		OWNED_BY(tunnels_free) struct tunnels tunnels = {0};
		const struct tunnel_peer *other = NULL;

		assert_int_equal(tunnels_find(p, &p->portals[VPN], &tunnels), 0);
		assert_true((tunnels_overlap(&tunnels, &other) != NULL) == (i == 1));
		if (i == 1)
			assert_string_equal(other->user, "carol");
		policy_free(p);
	}
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, test_row);
	tests_add(&t, "a peer is one initiator, with all its entries on these portals", test_peers,
		  NULL);
	tests_add(&t, "P1: two peers that share an address are found", test_overlap, NULL);
	return tests_run(&t, "policy_tunnels");
}

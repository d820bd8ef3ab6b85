/* The file and the words of `sallyport connect`: what is taken, and what is a mistake. */
#include <stdio.h>
#include "gateway/connect/config.h"
#include "tests/unit/test.h"

#define HEX32	  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ONE(text) "version: 1\ntunnels:\n  t: {gateway: gw:3261, " text "}\n"

/* --- gateways ----------------------------------------------------------------------------- */

static const struct gateway_case {
	const char *why, *text, *host;
	int want;
	uint16_t port;
	const char *name; /* in the certificate */
} gateways[] = {
	{.why = "a name with a port",
	 .text = "gw.example.net:3261",
	 .host = "gw.example.net",
	 .port = 3261},
	{.why = "an IPv4 address", .text = "192.0.2.1:1", .host = "192.0.2.1", .port = 1},
	{.why = "an IPv6 address, in brackets",
	 .text = "[2001:db8::1]:65535",
	 .host = "2001:db8::1",
	 .port = 65535},
	{.why = "a scope is of the address, not of the certificate",
	 .text = "[fe80::1%1]:3261",
	 .host = "fe80::1%1",
	 .port = 3261,
	 .name = "fe80::1"},
	{.why = "no port is a mistake", .text = "gw.example.net", .want = -EINVAL},
	{.why = "port 0 is a mistake", .text = "gw:0", .want = -EINVAL},
	{.why = "port 65536 is a mistake", .text = "gw:65536", .want = -EINVAL},
	{.why = "an empty host is a mistake", .text = ":3261", .want = -EINVAL},
	{.why = "an IPv6 address without brackets is a mistake",
	 .text = "2001:db8::1:3261",
	 .want = -EINVAL},
	{.why = "an IPv4 address in brackets is a mistake",
	 .text = "[192.0.2.1]:3261",
	 .want = -EINVAL},
	{.why = "digits and dots that are no address are no name",
	 .text = "192.0.2.1.5:3261",
	 .want = -EINVAL},
	{.why = "a name with a blank is a mistake", .text = "gw example:3261", .want = -EINVAL},
	{.why = "a name with two dots in a row is a mistake",
	 .text = "gw..net:3261",
	 .want = -EINVAL},
	{.why = "a URL is a mistake", .text = "https://gw:3261", .want = -EINVAL},
};

static void gateway(void **state)
{
	const struct gateway_case *c = *state;
	struct connect_tunnel t = {0};
	const char *why = NULL;

	assert_int_equal(connect_gateway_parse(c->text, &t, &why), c->want);
	if (c->want < 0) {
		assert_string_equal(t.host, "");
		return;
	}
	assert_string_equal(t.host, c->host);
	assert_string_equal(t.server_name, c->name ? c->name : c->host);
	assert_int_equal(t.port, c->port);
}

/* --- pins --------------------------------------------------------------------------------- */

static const struct pin_case {
	const char *why, *text;
	int want;
} pins[] = {
	{.why = "a fingerprint of 64 digits", .text = "sha256:" HEX32},
	{.why = "with colons between octets",
	 .text = "SHA256:00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:"
		 "18:19:1A:1B:1C:1D:1E:1F"},
	{.why = "without sha256: it is none", .text = HEX32, .want = -EINVAL},
	{.why = "with a digit less it is none", .text = "sha256:00010203", .want = -EINVAL},
	{.why = "with a digit more it is none", .text = "sha256:" HEX32 "0", .want = -EINVAL},
	{.why = "with a colon at the end it is none", .text = "sha256:" HEX32 ":", .want = -EINVAL},
	{.why = "with a letter that is no digit it is none",
	 .text = "sha256:g" HEX32,
	 .want = -EINVAL},
};

static void pin(void **state)
{
	const struct pin_case *c = *state;
	uint8_t got[CONNECT_PIN_SIZE] = {0};

	assert_int_equal(connect_pin_parse(c->text, got), c->want);
	assert_int_equal(got[31], c->want == 0 ? 0x1f : 0);
}

/* --- the file ----------------------------------------------------------------------------- */

static const struct file_case {
	const char *why, *text, *says; /* says: within the messages; NULL: it is right */
} files[] = {
	{.why = "one tunnel with its gateway alone is right", .text = ONE("name: gw")},
	{.why = "all keys are right",
	 .text = ONE("listen: [\"127.0.0.1:1\", \"[::1]:2\"], identity: id, name: a.b, server: "
		     "sha256:" HEX32 ", accept_risk: false")},
	{.why = "an address of a network with accept_risk is right",
	 .text = ONE("listen: \"192.0.2.1:3260\", accept_risk: true")},
	{.why = "P1: an address of a network without it is a mistake",
	 .text = ONE("listen: \"0.0.0.0:3260\""),
	 .says = "loopback"},
	{.why = "P1: in a list, too",
	 .text = ONE("listen: [\"127.0.0.1:1\", \"192.0.2.1:3260\"]"),
	 .says = "accept_risk: true"},
	{.why = "an unknown key is a mistake, with the nearest one",
	 .text = ONE("identiy: x"),
	 .says = "did you mean \"identity\"?"},
	{.why = "an unknown key beside tunnels is a mistake",
	 .text = "version: 1\nlisten: x\ntunnels:\n  t: {gateway: gw:1}\n",
	 .says = "unknown key \"listen\""},
	{.why = "no version is a mistake",
	 .text = "tunnels:\n  t: {gateway: gw:1}\n",
	 .says = "version: 1"},
	{.why = "another version is a mistake",
	 .text = "version: 2\ntunnels:\n  t: {gateway: gw:1}\n",
	 .says = "version: 1"},
	{.why = "no tunnels are a mistake", .text = "version: 1\n", .says = "no tunnels"},
	{.why = "a tunnel without a gateway is a mistake",
	 .text = "version: 1\ntunnels:\n  t: {name: gw}\n",
	 .says = "no gateway"},
	{.why = "a tunnel that is a text is a mistake",
	 .text = "version: 1\ntunnels:\n  t: gw:3261\n",
	 .says = "no gateway"},
	{.why = "two tunnels in one place are a mistake",
	 .text = "version: 1\ntunnels:\n  t: {gateway: gw:1}\n  u: {gateway: gv:1}\n",
	 .says = "listens where \"t\" does"},
	{.why = "two tunnels in two places are right",
	 .text = "version: 1\ntunnels:\n  t: {gateway: gw:1}\n  u: {gateway: gv:1, listen: "
		 "\"127.0.0.1:3262\"}\n"},
	{.why = "a fifth place is a mistake",
	 .text = ONE("listen: [\"127.0.0.1:1\", \"127.0.0.1:2\", \"127.0.0.1:3\", \"127.0.0.1:4\", "
		     "\"127.0.0.1:5\"]"),
	 .says = "4 addresses"},
	{.why = "an empty list of places is a mistake",
	 .text = ONE("listen: []"),
	 .says = "listen takes"},
	{.why = "a map within listen is a mistake",
	 .text = ONE("listen: [{a: b}]"),
	 .says = "no address"},
	{.why = "a list as a gateway is a mistake",
	 .text = "version: 1\ntunnels:\n  t: {gateway: [gw:1]}\n",
	 .says = "takes a text"},
	{.why = "a broken fingerprint is a mistake",
	 .text = ONE("server: sha256:00"),
	 .says = "64 hex digits"},
	{.why = "a risk that is neither true nor false is a mistake",
	 .text = ONE("accept_risk: yes"),
	 .says = "true or false"},
	{.why = "a name that is none is a mistake",
	 .text = ONE("name: \"a b\""),
	 .says = "neither a host's name"},
	{.why = "a text that is no YAML is a mistake", .text = "version: [1\n", .says = "error"},
	{.why = "an empty file is a mistake", .text = "", .says = ""},
};

static struct connect_config config;

static int parse(const char *text, char *ret_said, size_t size)
{
	FILE *f = fmemopen(ret_said, size, "w");
	int r;

	memset(&config, 0, sizeof config);
	r = connect_config_parse("/etc/x/connect.yaml", text, strlen(text), f, &config);
	fclose(f);
	return r;
}

static void file(void **state)
{
	const struct file_case *c = *state;
	char said[8192] = "";
	int r = parse(c->text, said, sizeof said);

	if (c->says && !strstr(said, c->says))
		print_message("it says: %s\n", said);
	assert_int_equal(r, c->says ? -EINVAL : 0);
	assert_true(!c->says || strstr(said, c->says));
	assert_true(c->says || said[0] == '\0');
}

static void defaults(void **state)
{
	const struct connect_tunnel *t = config.tunnels;
	char said[8192] = "";

	(void)state;
	assert_int_equal(parse(ONE("name: gw"), said, sizeof said), 0);
	assert_int_equal(config.count, 1);
	assert_int_equal(t->listen_count, 2);
	assert_true(ip_is_loopback(&t->listen[0].ip) && ip_is_loopback(&t->listen[1].ip));
	assert_int_equal(t->listen[0].port, 3260);
	assert_int_equal(t->listen[1].ip.version, 6);
	assert_true(t->listen_default && !t->pinned && !t->accept_risk);
	assert_string_equal(t->identity, "/etc/x/.");
	assert_string_equal(t->name, "t");
}

static void paths(void **state)
{
	char said[8192] = "";

	(void)state;
	assert_int_equal(parse(ONE("identity: id"), said, sizeof said), 0);
	assert_string_equal(config.tunnels[0].identity, "/etc/x/id");
	assert_int_equal(parse(ONE("identity: /a/b"), said, sizeof said), 0);
	assert_string_equal(config.tunnels[0].identity, "/a/b");
}

static void many(void **state)
{
	char text[8192] = "version: 1\ntunnels:\n", said[8192] = "";
	size_t len = strlen(text);

	(void)state;
	for (int k = 0; k < CONNECT_TUNNELS_MAX; k++)
		len += (size_t)snprintf(text + len, sizeof text - len,
					"  t%d: {gateway: gw:1, listen: \"127.0.0.1:%d\"}\n", k,
					k + 1);
	assert_int_equal(parse(text, said, sizeof said), 0);
	assert_int_equal(config.count, CONNECT_TUNNELS_MAX);
	(void)snprintf(text + len, sizeof text - len,
		       "  u: {gateway: gw:1, listen: \"127.0.0.1:99\"}\n");
	assert_int_equal(parse(text, said, sizeof said), -EINVAL);
	assert_non_null(strstr(said, "16 tunnels at most"));
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, gateways, gateway);
	TESTS_ADD_TABLE(&t, pins, pin);
	TESTS_ADD_TABLE(&t, files, file);
	tests_add(&t, "without more it listens on both loopback addresses, its identity beside it",
		  defaults, NULL);
	tests_add(&t, "an identity's path begins where the file is", paths, NULL);
	tests_add(&t, "there are 16 tunnels, and not one more", many, NULL);
	return tests_run(&t, "connect");
}

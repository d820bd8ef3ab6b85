/* Addresses, endpoints, networks: one way to write each, IPv4 in IPv6 is IPv4. */
#include "tests/unit/test.h"

#include <netinet/in.h>
#include "gateway/base/address.h"

static const struct text_case {
	const char *why, *text;
	int want;
	const char *written; /* as it is formatted again */
} ip_cases[] = {
	{"IPv4", "192.0.2.7", 0, "192.0.2.7"},
	{"IPv6", "2001:db8::1", 0, "2001:db8::1"},
	{"IPv6 in its longest form", "2001:0DB8:0000:0000:0000:0000:0000:0001", 0, "2001:db8::1"},
	{"IPv6 loopback", "::1", 0, "::1"},
	{"IPv4 mapped into IPv6 is IPv4", "::ffff:192.0.2.7", 0, "192.0.2.7"},
	{"IPv4 mapped, in hex", "::ffff:c000:207", 0, "192.0.2.7"},
	{"link-local with a scope", "fe80::1%3", 0, "fe80::1%3"},
	{"link-local with the loopback interface's name", "fe80::1%lo", 0, "fe80::1%1"},
	{"link-local without a scope", "fe80::1", 0, "fe80::1"},
	{"a scope on a global address", "2001:db8::1%1", -EINVAL, NULL},
	{"a scope on IPv4", "192.0.2.7%1", -EINVAL, NULL},
	{"an empty scope", "fe80::1%", -EINVAL, NULL},
	{"scope 0", "fe80::1%0", -EINVAL, NULL},
	{"a scope that no interface has", "fe80::1%nosuchinterface0", -EINVAL, NULL},
	{"three numbers", "192.0.2", -EINVAL, NULL},
	{"five numbers", "192.0.2.7.1", -EINVAL, NULL},
	{"a number above 255", "192.0.2.256", -EINVAL, NULL},
	{"a leading zero, octal elsewhere", "192.0.02.7", -EINVAL, NULL},
	{"hex", "0xc0.0.2.7", -EINVAL, NULL},
	{"a plain number", "3221225991", -EINVAL, NULL},
	{"two double colons", "2001::db8::1", -EINVAL, NULL},
	{"brackets", "[::1]", -EINVAL, NULL},
	{"a name", "localhost", -EINVAL, NULL},
	{"a blank", "192.0.2.7 ", -EINVAL, NULL},
	{"a network", "192.0.2.0/24", -EINVAL, NULL},
	{"empty", "", -EINVAL, NULL},
	{"very long", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff",
	 -EINVAL, NULL},
};

static const struct text_case endpoint_cases[] = {
	{"IPv4 and port", "192.0.2.1:3260", 0, "192.0.2.1:3260"},
	{"IPv6 and port", "[2001:db8::1]:3260", 0, "[2001:db8::1]:3260"},
	{"any IPv6", "[::]:3260", 0, "[::]:3260"},
	{"mapped and port", "[::ffff:192.0.2.1]:3260", 0, "192.0.2.1:3260"},
	{"scoped and port", "[fe80::1%4]:1", 0, "[fe80::1%4]:1"},
	{"the greatest port", "127.0.0.1:65535", 0, "127.0.0.1:65535"},
	{"port 0", "127.0.0.1:0", -EINVAL, NULL},
	{"a port above 65535", "127.0.0.1:65536", -EINVAL, NULL},
	{"a port that is no number", "127.0.0.1:iscsi", -EINVAL, NULL},
	{"a negative port", "127.0.0.1:-1", -EINVAL, NULL},
	{"no port", "127.0.0.1", -EINVAL, NULL},
	{"an empty port", "127.0.0.1:", -EINVAL, NULL},
	{"no address", ":3260", -EINVAL, NULL},
	{"IPv6 without brackets", "2001:db8::1:3260", -EINVAL, NULL},
	{"IPv4 in brackets", "[192.0.2.1]:3260", -EINVAL, NULL},
	{"a bracket that does not close", "[::1:3260", -EINVAL, NULL},
	{"something between bracket and colon", "[::1]x:3260", -EINVAL, NULL},
	{"IPv6 in brackets without port", "[::1]", -EINVAL, NULL},
	{"empty", "", -EINVAL, NULL},
};

static const struct text_case network_cases[] = {
	{"one IPv4 address", "192.0.2.7", 0, "192.0.2.7"},
	{"one IPv4 address, prefix written", "192.0.2.7/32", 0, "192.0.2.7"},
	{"an IPv4 network", "192.0.2.0/24", 0, "192.0.2.0/24"},
	{"a prefix inside an octet", "192.0.2.64/26", 0, "192.0.2.64/26"},
	{"all of IPv4", "0.0.0.0/0", 0, "0.0.0.0/0"},
	{"an IPv6 network", "2001:db8:7::/64", 0, "2001:db8:7::/64"},
	{"one IPv6 address", "2001:db8::1/128", 0, "2001:db8::1"},
	{"all of IPv6", "::/0", 0, "::/0"},
	{"a mapped network is an IPv4 network", "::ffff:192.0.2.0/120", 0, "192.0.2.0/24"},
	{"a mapped address", "::ffff:192.0.2.7", 0, "192.0.2.7"},
	{"a mapped network that is more than IPv4", "::ffff:0.0.0.0/95", -EINVAL, NULL},
	{"bits beyond an IPv4 prefix", "192.0.2.7/24", -EDOM, NULL},
	{"one bit beyond", "192.0.2.96/26", -EDOM, NULL},
	{"bits beyond an IPv6 prefix", "2001:db8::1/64", -EDOM, NULL},
	{"bits beyond a prefix of none", "128.0.0.0/0", -EDOM, NULL},
	{"an IPv4 prefix above 32", "192.0.2.0/33", -EINVAL, NULL},
	{"an IPv6 prefix above 128", "::/129", -EINVAL, NULL},
	{"an empty prefix", "192.0.2.0/", -EINVAL, NULL},
	{"a netmask", "192.0.2.0/255.255.255.0", -EINVAL, NULL},
	{"a scope", "fe80::1%1", -EINVAL, NULL},
	{"empty", "", -EINVAL, NULL},
};

static const struct on_case {
	const char *why, *text;
	int want;
	const char *interface; /* and the scope is that of this machine's lo, or 0 */
	const char *shown;
} on_cases[] = {
	{"an address without a scope", "192.0.2.1:3260", 0, "", "192.0.2.1:3260"},
	{"a link-local one by an interface that is here", "[fe80::1%lo]:3260", 0, "lo",
	 "[fe80::1%lo]:3260"},
	{"… that is not here", "[fe80::1%no-such.0]:3260", 0, "no-such.0", "[fe80::1]:3260"},
	{"a link-local one without a scope", "[fe80::1]:3260", 0, "", "[fe80::1]:3260"},
	{"the longest name of an interface", "[fe80::1%abcdefghijklmno]:1", 0, "abcdefghijklmno",
	 "[fe80::1]:1"},
	{"a name that is too long", "[fe80::1%abcdefghijklmnop]:1", -ENXIO, NULL, NULL},
	{"a number", "[fe80::1%1]:3260", -ENXIO, NULL, NULL},
	{"no name", "[fe80::1%]:3260", -ENXIO, NULL, NULL},
	{"what the firewall's script would take for its own", "[fe80::1%a\"b]:3260", -ENXIO, NULL,
	 NULL},
	{"what stands for many names there", "[fe80::1%eth*]:3260", -ENXIO, NULL, NULL},
	{"a dot", "[fe80::1%.]:3260", -ENXIO, NULL, NULL},
	{"a global address with a scope", "[2001:db8::1%lo]:3260", -EINVAL, NULL, NULL},
	{"no port", "[fe80::1%lo]", -EINVAL, NULL, NULL},
};

static void test_on(void **state)
{
	const struct on_case *c = *state;
	char interface[INTERFACE_NAME_SIZE] = "untouched", text[ADDRESS_TEXT];
	struct endpoint e = {.port = 7};

	assert_int_equal(endpoint_parse_on(c->text, &e, interface), c->want);
	if (c->want < 0) {
		assert_int_equal(e.port, 7);
		assert_string_equal(interface, "untouched");
		return;
	}
	assert_string_equal(interface, c->interface);
	assert_int_equal(e.ip.scope, strcmp(c->interface, "lo") == 0 ? 1 : 0);
	assert_string_equal(endpoint_show(&e, text), c->shown);
}

static void test_ip(void **state)
{
	const struct text_case *c = *state;
	char text[ADDRESS_TEXT];
	struct ip ip = {.version = 99};

	assert_int_equal(ip_parse(c->text, &ip), c->want);
	if (c->want == 0)
		assert_string_equal(ip_format(&ip, text), c->written);
	else
		assert_int_equal(ip.version, 99);
}

static void test_endpoint(void **state)
{
	const struct text_case *c = *state;
	struct sockaddr_storage sa;
	char text[ADDRESS_TEXT];
	struct endpoint e = {.port = 7}, back;

	assert_int_equal(endpoint_parse(c->text, &e), c->want);
	if (c->want < 0) {
		assert_int_equal(e.port, 7);
		return;
	}
	assert_string_equal(endpoint_format(&e, text), c->written);
	assert_true(endpoint_to_sockaddr(&e, &sa) > 0);
	back = endpoint_from_sockaddr(&sa);
	assert_true(ip_equal(&e.ip, &back.ip));
	assert_int_equal(e.port, back.port);
}

static void test_network(void **state)
{
	const struct text_case *c = *state;
	char text[ADDRESS_TEXT];
	struct network n = {.prefix = 99};

	assert_int_equal(network_parse(c->text, &n), c->want);
	if (c->want == 0)
		assert_string_equal(network_format(&n, text), c->written);
	else
		assert_int_equal(n.prefix, 99);
}

static const struct contains_case {
	const char *why, *network, *ip;
	bool want;
} contains_cases[] = {
	{"an address holds itself", "192.0.2.7", "192.0.2.7", true},
	{"an address holds no other", "192.0.2.7", "192.0.2.6", false},
	{"the first of a network", "192.0.2.64/26", "192.0.2.64", true},
	{"the last of a network", "192.0.2.64/26", "192.0.2.127", true},
	{"one before a network", "192.0.2.64/26", "192.0.2.63", false},
	{"one after a network", "192.0.2.64/26", "192.0.2.128", false},
	{"all of IPv4 holds IPv4", "0.0.0.0/0", "255.255.255.255", true},
	{"all of IPv4 holds no IPv6", "0.0.0.0/0", "::1", false},
	{"all of IPv6 holds no IPv4", "::/0", "192.0.2.7", false},
	{"all of IPv6 does not hold a mapped address", "::/0", "::ffff:192.0.2.7", false},
	{"an IPv4 network holds a mapped address", "192.0.2.0/24", "::ffff:192.0.2.7", true},
	{"an IPv6 network by its 64 bits", "2001:db8:7::/64", "2001:db8:7:0:1:2:3:4", true},
	{"an IPv6 network by its 64th bit", "2001:db8:7::/64", "2001:db8:7:1::", false},
	{"a network holds a scoped address", "fe80::/10", "fe80::1%1", true},
	{"the same bytes in the other family", "32.1.13.184/32", "2001:db8::", false},
};

static void test_contains(void **state)
{
	const struct contains_case *c = *state;
	struct network n;
	struct ip ip;

	assert_int_equal(network_parse(c->network, &n), 0);
	assert_int_equal(ip_parse(c->ip, &ip), 0);
	assert_int_equal(network_contains(&n, &ip), c->want);
}

static const struct kind_case {
	const char *why, *ip;
	bool loopback, any;
	const char *block;
} kind_cases[] = {
	{"127.0.0.1", "127.0.0.1", true, false, "127.0.0.1"},
	{"all of 127/8 is loopback", "127.255.1.2", true, false, "127.255.1.2"},
	{"128.0.0.1 is not", "128.0.0.1", false, false, "128.0.0.1"},
	{"::1", "::1", true, false, "::/64"},
	{"::2 is not", "::2", false, false, "::/64"},
	{"a mapped loopback", "::ffff:127.0.0.1", true, false, "127.0.0.1"},
	{"0.0.0.0", "0.0.0.0", false, true, "0.0.0.0"},
	{"::", "::", false, true, "::/64"},
	{"IPv6 counts by its /64", "2001:db8:1:2:3:4:5:6", false, false, "2001:db8:1:2::/64"},
	{"a scope is no part of the block", "fe80::1%1", false, false, "fe80::/64"},
};

static void test_kind(void **state)
{
	const struct kind_case *c = *state;
	char text[ADDRESS_TEXT];
	struct network block;
	struct ip ip;

	assert_int_equal(ip_parse(c->ip, &ip), 0);
	assert_int_equal(ip_is_loopback(&ip), c->loopback);
	assert_int_equal(ip_is_any(&ip), c->any);
	block = ip_source_block(&ip);
	assert_string_equal(network_format(&block, text), c->block);
	assert_true(network_contains(&block, &ip));
}

static const struct host_case {
	const char *why;
	struct ip ip;
	bool want;
} host_cases[] = {
	{"a host", {.version = 4, .bytes = {192, 0, 2, 7}}, true},
	{"this machine is one", {.version = 4, .bytes = {127, 0, 0, 1}}, true},
	{"a host of IPv6", {.version = 6, .bytes = {0x20, 1, [15] = 7}}, true},
	{"this machine by IPv6", {.version = 6, .bytes = {[15] = 1}}, true},
	{"0.0.0.7 is none", {.version = 4, .bytes = {0, 0, 0, 7}}, false},
	{"a group is none", {.version = 4, .bytes = {224, 0, 0, 1}}, false},
	{"what is reserved is none", {.version = 4, .bytes = {255, 255, 255, 255}}, false},
	{"IPv4 with octets behind it", {.version = 4, .bytes = {192, 0, 2, 7, 1}}, false},
	{"IPv4 with a scope", {.version = 4, .bytes = {192, 0, 2, 7}, .scope = 1}, false},
	{"::", {.version = 6}, false},
	{"a group of IPv6", {.version = 6, .bytes = {0xff, 2, [15] = 1}}, false},
	{"a link's own address", {.version = 6, .bytes = {0xfe, 0x80, [15] = 1}}, false},
	{"IPv4 in IPv6", {.version = 6, .bytes = {[10] = 0xff, 0xff, 192, 0, 2, 7}}, false},
	{"no version", {.bytes = {192, 0, 2, 7}}, false},
	{"a version that is none", {.version = 5, .bytes = {192, 0, 2, 7}}, false},
};

static void test_host(void **state)
{
	const struct host_case *c = *state;

	assert_int_equal(ip_is_host(&c->ip), c->want);
}

static void test_no_address(void **state)
{
	struct sockaddr_storage sa = {.ss_family = AF_UNIX};
	struct endpoint e = endpoint_from_sockaddr(&sa);
	struct network all = {.ip = {.version = 0}, .prefix = 0};
	char text[ADDRESS_TEXT];

	(void)state;
	assert_int_equal(e.ip.version, 0);
	assert_int_equal(endpoint_to_sockaddr(&e, &sa), 0);
	assert_false(ip_is_any(&e.ip));
	assert_false(ip_is_loopback(&e.ip));
	assert_false(network_contains(&all, &e.ip));
	assert_string_equal(endpoint_format(&e, text), "?:0");
}

static void test_mapped_socket(void **state)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(3260)};
	struct sockaddr_storage sa = {0};
	char text[ADDRESS_TEXT];
	struct endpoint e;

	(void)state;
	memcpy(in6.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7", 16);
	memcpy(&sa, &in6, sizeof in6);
	e = endpoint_from_sockaddr(&sa);
	assert_string_equal(endpoint_format(&e, text), "192.0.2.7:3260");
}

static void test_scopes_differ(void **state)
{
	struct ip a, b;

	(void)state;
	assert_int_equal(ip_parse("fe80::1%1", &a), 0);
	assert_int_equal(ip_parse("fe80::1%2", &b), 0);
	assert_false(ip_equal(&a, &b));
	b.scope = 1;
	assert_true(ip_equal(&a, &b));
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, ip_cases, test_ip);
	TESTS_ADD_TABLE(&t, endpoint_cases, test_endpoint);
	TESTS_ADD_TABLE(&t, on_cases, test_on);
	TESTS_ADD_TABLE(&t, network_cases, test_network);
	TESTS_ADD_TABLE(&t, contains_cases, test_contains);
	TESTS_ADD_TABLE(&t, kind_cases, test_kind);
	TESTS_ADD_TABLE(&t, host_cases, test_host);
	tests_add(&t, "P1: what is no address is in no network", test_no_address, NULL);
	tests_add(&t, "P1: one link-local address on two links is two", test_scopes_differ, NULL);
	tests_add(&t, "P1: an IPv4 peer of an IPv6 socket is an IPv4 peer", test_mapped_socket,
		  NULL);
	return tests_run(&t, "base: addresses");
}

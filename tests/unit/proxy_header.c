/* A proxy's header: what is taken, what is not, and that nothing behind it is read. */
#include "tests/unit/test.h"

#include "gateway/session/proxy.h"

static struct tests t;

#define SIGNATURE  "\r\n\r\n\0\r\nQUIT\n"
#define PROXY_V4   SIGNATURE "\x21\x11\0\x0c"
#define FROM_V4	   "\xc0\0\2\7"
#define TO_V4	   "\xc0\0\2\1"
#define PORTS	   "\x9c\x40\x0c\xbc"
#define FROM_V6	   "\x20\1\x0d\xb8\0\7\0\0\0\0\0\0\0\0\0\7"
#define TO_V6	   "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
#define MAPPED	   "\0\0\0\0\0\0\0\0\0\0\xff\xff"
#define V4	   PROXY_V4 FROM_V4 TO_V4 PORTS
#define V4_MORE(n) SIGNATURE "\x21\x11\0" n FROM_V4 TO_V4 PORTS
#define V6	   SIGNATURE "\x21\x21\0\x24" FROM_V6 TO_V6 PORTS
#define CRC	   "\3\0\4\xa7\xbd\xda\x41"
#define OCTETS(s)  s, sizeof(s) - 1

static const struct header_row {
	const char *why, *octets;
	size_t len;
	enum proxy_state want;
	const char *source, *dest; /* "": not said */
} header_rows[] = {
	{"TCP over IPv4", OCTETS(V4), PROXY_WHOLE, "192.0.2.7:40000", "192.0.2.1:3260"},
	{"TCP over IPv6", OCTETS(V6), PROXY_WHOLE, "[2001:db8:7::7]:40000", "[2001:db8::1]:3260"},
	{"IPv4 within IPv6 is IPv4",
	 OCTETS(SIGNATURE "\x21\x21\0\x24" MAPPED FROM_V4 MAPPED TO_V4 PORTS), PROXY_WHOLE,
	 "192.0.2.7:40000", "192.0.2.1:3260"},
	{"the proxy's own connection", OCTETS(SIGNATURE "\x20\0\0\0"), PROXY_WHOLE, "", ""},
	{"the proxy's own connection, with addresses that mean nothing",
	 OCTETS(SIGNATURE "\x20\x11\0\x0c" FROM_V4 TO_V4 PORTS), PROXY_WHOLE, "", ""},
	{"the proxy's own connection, of an unknown family", OCTETS(SIGNATURE "\x20\xff\0\3xyz"),
	 PROXY_WHOLE, "", ""},
	{"what follows the addresses is left alone: an authority, a filler",
	 OCTETS(V4_MORE("\x13") "\2\0\1a\4\0\0"), PROXY_WHOLE, "192.0.2.7:40000", "192.0.2.1:3260"},
	{"a checksum that is right", OCTETS(V4_MORE("\x13") CRC), PROXY_WHOLE, "192.0.2.7:40000",
	 "192.0.2.1:3260"},
	{"a destination that is no host is not said", OCTETS(PROXY_V4 FROM_V4 "\0\0\0\0" PORTS),
	 PROXY_WHOLE, "192.0.2.7:40000", ""},
	{"a loopback source: who may say so, the monitor knows",
	 OCTETS(PROXY_V4 "\x7f\0\0\1" TO_V4 PORTS), PROXY_WHOLE, "127.0.0.1:40000",
	 "192.0.2.1:3260"},

	{"a checksum that is wrong", OCTETS(V4_MORE("\x13") "\3\0\4\xa7\xbd\xda\x42"),
	 PROXY_MALFORMED, "", ""},
	{"a checksum of two octets", OCTETS(V4_MORE("\x11") "\3\0\2\xa7\xbd"), PROXY_MALFORMED, "",
	 ""},
	{"a second checksum", OCTETS(V4_MORE("\x1a") CRC CRC), PROXY_MALFORMED, "", ""},
	{"what follows the addresses has no length", OCTETS(V4_MORE("\x0e") "\2\0"),
	 PROXY_MALFORMED, "", ""},
	{"what follows the addresses ends beyond the header", OCTETS(V4_MORE("\x10") "\2\0\2a"),
	 PROXY_MALFORMED, "", ""},
	{"version 1, as text", OCTETS("PROXY TCP4 192.0.2.7 192.0.2.1 40000 3260\r\n"),
	 PROXY_MALFORMED, "", ""},
	{"version 1 in the form of version 2", OCTETS(SIGNATURE "\x11\x11\0\x0c"), PROXY_MALFORMED,
	 "", ""},
	{"version 3", OCTETS(SIGNATURE "\x31\x11\0\x0c"), PROXY_MALFORMED, "", ""},
	{"a command that is none", OCTETS(SIGNATURE "\x22\x11\0\x0c"), PROXY_MALFORMED, "", ""},
	{"UDP over IPv4", OCTETS(SIGNATURE "\x21\x12\0\x0c" FROM_V4 TO_V4 PORTS), PROXY_MALFORMED,
	 "", ""},
	{"UDP over IPv6", OCTETS(SIGNATURE "\x21\x22\0\x24" FROM_V6 TO_V6 PORTS), PROXY_MALFORMED,
	 "", ""},
	{"a Unix socket", OCTETS(SIGNATURE "\x21\x31\0\0"), PROXY_MALFORMED, "", ""},
	{"a client of no family", OCTETS(SIGNATURE "\x21\0\0\0"), PROXY_MALFORMED, "", ""},
	{"addresses of IPv4 that are cut short",
	 OCTETS(SIGNATURE "\x21\x11\0\x0b" FROM_V4 TO_V4 "\x9c\x40\x0c"), PROXY_MALFORMED, "", ""},
	{"IPv6 with the addresses of IPv4", OCTETS(SIGNATURE "\x21\x21\0\x0c" FROM_V4 TO_V4 PORTS),
	 PROXY_MALFORMED, "", ""},
	{"no addresses", OCTETS(SIGNATURE "\x21\x11\0\0"), PROXY_MALFORMED, "", ""},
	{"537 octets", OCTETS(SIGNATURE "\x21\x11\2\x09"), PROXY_MALFORMED, "", ""},
	{"65551 octets", OCTETS(SIGNATURE "\x21\x11\xff\xff"), PROXY_MALFORMED, "", ""},
	{"536 octets may come", OCTETS(SIGNATURE "\x21\x11\2\x08"), PROXY_MORE, "", ""},
	{"from nowhere", OCTETS(PROXY_V4 "\0\0\0\0" TO_V4 PORTS), PROXY_MALFORMED, "", ""},
	{"from a group", OCTETS(PROXY_V4 "\xe0\0\0\1" TO_V4 PORTS), PROXY_MALFORMED, "", ""},
	{"from everybody", OCTETS(PROXY_V4 "\xff\xff\xff\xff" TO_V4 PORTS), PROXY_MALFORMED, "",
	 ""},
	{"from port 0", OCTETS(PROXY_V4 FROM_V4 TO_V4 "\0\0\x0c\xbc"), PROXY_MALFORMED, "", ""},
	{"from a link's own address",
	 OCTETS(SIGNATURE "\x21\x21\0\x24"
			  "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1" TO_V6 PORTS),
	 PROXY_MALFORMED, "", ""},
	{"from a group of IPv6",
	 OCTETS(SIGNATURE "\x21\x21\0\x24"
			  "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1" TO_V6 PORTS),
	 PROXY_MALFORMED, "", ""},

	{"a Login request", OCTETS("\x43\x87\0\0\0\0\0\xff"), PROXY_MISSING, "", ""},
	{"a TLS record", OCTETS("\x16\3\1\2\0\1"), PROXY_MISSING, "", ""},
	{"a signature with one octet wrong", OCTETS("\r\n\r\n\0\r\nQUIT\r"), PROXY_MISSING, "", ""},
	{"\"PROX\" and no more of version 1", OCTETS("PROX"), PROXY_MORE, "", ""},
	{"\"PROW\"", OCTETS("PROW"), PROXY_MISSING, "", ""},
	{"nothing yet", OCTETS(""), PROXY_MORE, "", ""},
};

/* As a socket gives it, at most `step` octets at once; what is left of it at *ret_left. */
static enum proxy_state take(const struct header_row *r, size_t step, struct proxied *ret,
			     size_t *ret_left)
{
	struct proxy_header h = {0};
	enum proxy_state state = PROXY_MORE;
	const char *why = NULL;
	size_t at = 0;

	while (at < r->len && state == PROXY_MORE) {
		uint8_t *to;
		size_t n = MIN(MIN(proxy_space(&h, &to), step), r->len - at);

		memcpy(to, r->octets + at, n);
		at += n;
		state = proxy_took(&h, n, ret, &why);
	}
	assert_true(state == PROXY_MORE || state == PROXY_WHOLE || why != NULL);
	*ret_left = r->len - at;
	return state;
}

static void assert_endpoint(const struct endpoint *is, const char *want)
{
	char text[ADDRESS_TEXT] = "";

	if (is->ip.version)
		(void)endpoint_format(is, text);
	assert_string_equal(text, want);
}

static void test_header(void **state)
{
	const struct header_row *r = *state;
	static const size_t steps[] = {SIZE_MAX, 1, 5, 13};

	for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
		struct proxied is = {0};
		size_t left;

		assert_int_equal(take(r, steps[k], &is, &left), r->want);
		assert_endpoint(&is.source, r->source);
		assert_endpoint(&is.dest, r->dest);
		if (r->want == PROXY_WHOLE)
			assert_int_equal(left, 0);
	}
}

static void test_truncated(void **state)
{
	static const char *const all[] = {V4, V6, V4_MORE("\x13") CRC, SIGNATURE "\x20\0\0\0"};
	static const size_t sizes[] = {28, 52, 35, 16};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(all); k++) {
		struct header_row r = {.octets = all[k]};
		struct proxied is = {0};
		size_t left;

		for (r.len = 0; r.len < sizes[k]; r.len++) {
			assert_int_equal(take(&r, SIZE_MAX, &is, &left), PROXY_MORE);
			assert_int_equal(is.source.ip.version, 0);
		}
		assert_int_equal(take(&r, SIZE_MAX, &is, &left), PROXY_WHOLE);
	}
}

static void test_no_further(void **state)
{
	const struct header_row r = {.octets = V4 "\x43\x87 the login", .len = 28 + 12};
	struct proxied is;
	size_t left;

	(void)state;
	assert_int_equal(take(&r, SIZE_MAX, &is, &left), PROXY_WHOLE);
	assert_int_equal(left, 12);
}

static void test_longest(void **state)
{
	char octets[PROXY_HEADER_MAX] = SIGNATURE "\x21\x11\2\x08" FROM_V4 TO_V4 PORTS "\x30\1\xf9";
	const struct header_row r = {.octets = octets, .len = sizeof octets};
	struct proxied is;
	size_t left;

	(void)state;
	assert_int_equal(take(&r, SIZE_MAX, &is, &left), PROXY_WHOLE);
	assert_endpoint(&is.source, "192.0.2.7:40000");
}

int main(void)
{
	TESTS_ADD_TABLE(&t, header_rows, test_header);
	tests_add(&t, "every header that is cut short waits for its rest", test_truncated, NULL);
	tests_add(&t, "not one octet behind the header is read", test_no_further, NULL);
	tests_add(&t, "one of 536 octets is taken", test_longest, NULL);
	return tests_run(&t, "proxy_header");
}

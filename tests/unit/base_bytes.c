/* Cursors, numbers, and CHAP's binary values (RFC 7143 section 6.1) in hex and base64. */
#include "tests/unit/test.h"

#include "gateway/base/bytes.h"

static const struct binary_case {
	const char *why, *text;
	size_t size; /* of the buffer */
	ssize_t want;
	const char *bytes;
} binary_cases[] = {
	{"hex, lower case", "0x00ff7a", 8, 3, "\x00\xff\x7a"},
	{"hex, upper case", "0x00FF7A", 8, 3, "\x00\xff\x7a"},
	{"hex, prefix in upper case", "0X0102", 8, 2, "\x01\x02"},
	{"hex that fills the buffer", "0x01020304", 4, 4, "\x01\x02\x03\x04"},
	{"hex one octet too long is refused", "0x0102030405", 4, -EMSGSIZE, NULL},
	{"hex with an odd number of digits is refused", "0x123", 8, -EINVAL, NULL},
	{"hex with a single digit is refused", "0x1", 8, -EINVAL, NULL},
	{"hex without digits is refused", "0x", 8, -EINVAL, NULL},
	{"hex with a bad last digit is refused", "0x0g", 8, -EINVAL, NULL},
	{"hex with a bad first digit is refused", "0x-1", 8, -EINVAL, NULL},
	{"hex with a blank is refused", "0x01 02", 8, -EINVAL, NULL},
	{"hex with two prefixes is refused", "0x0x01", 8, -EINVAL, NULL},
	{"a bad digit is refused even when it is too long", "0x0102030405zz", 4, -EINVAL, NULL},
	{"base64 of one octet", "0bAQ==", 8, 1, "\x01"},
	{"base64 of two octets", "0bAQI=", 8, 2, "\x01\x02"},
	{"base64 of three octets", "0bAQID", 8, 3, "\x01\x02\x03"},
	{"base64 of four octets", "0bAQIDBA==", 8, 4, "\x01\x02\x03\x04"},
	{"base64, prefix in upper case", "0BAQID", 8, 3, "\x01\x02\x03"},
	{"base64 with plus and slash", "0b+/+/", 8, 3, "\xfb\xff\xbf"},
	{"base64 that fills the buffer", "0bAQIDBA==", 4, 4, "\x01\x02\x03\x04"},
	{"base64 one octet too long is refused", "0bAQIDBAU=", 4, -EMSGSIZE, NULL},
	{"base64 without digits is refused", "0b", 8, -EINVAL, NULL},
	{"base64 of padding alone is refused", "0b====", 8, -EINVAL, NULL},
	{"base64 with one digit is refused", "0bA===", 8, -EINVAL, NULL},
	{"base64 without its padding is refused", "0bAQ", 8, -EINVAL, NULL},
	{"base64 with too little padding is refused", "0bAQ=", 8, -EINVAL, NULL},
	{"base64 with too much padding is refused", "0bAQID====", 8, -EINVAL, NULL},
	{"base64 with padding in the middle is refused", "0bAQ==AQ==", 8, -EINVAL, NULL},
	{"base64 with bits left over is refused", "0bAR==", 8, -EINVAL, NULL},
	{"base64 with two bits left over is refused", "0bAQJ=", 8, -EINVAL, NULL},
	{"base64 with the letters for URLs is refused", "0b-_-_", 8, -EINVAL, NULL},
	{"base64 with a newline is refused", "0bAQID\nAQID", 8, -EINVAL, NULL},
	{"no prefix is refused", "0102", 8, -EINVAL, NULL},
	{"an empty value is refused", "", 8, -EINVAL, NULL},
	{"a lone zero is refused", "0", 8, -EINVAL, NULL},
	{"an unknown prefix is refused", "0z01", 8, -EINVAL, NULL},
};

static void test_binary(void **state)
{
	const struct binary_case *c = *state;
	uint8_t bytes[16];

	memset(bytes, 0xee, sizeof bytes);
	assert_int_equal(binary_decode(c->text, bytes, c->size), c->want);
	if (c->want > 0)
		assert_memory_equal(bytes, c->bytes, (size_t)c->want);
	for (size_t i = c->size; i < sizeof bytes; i++)
		assert_int_equal(bytes[i], 0xee);
}

static const struct number_case {
	const char *why, *text;
	uint64_t min, max;
	int want, want_any; /* number_parse, number_parse_any */
	uint64_t value;
} number_cases[] = {
	{"zero", "0", 0, 9, 0, 0, 0},
	{"leading zeros are decimal", "010", 0, 99, 0, 0, 10},
	{"the least in the range", "5", 5, 9, 0, 0, 5},
	{"the greatest in the range", "9", 5, 9, 0, 0, 9},
	{"one below the range", "4", 5, 9, -ERANGE, -ERANGE, 0},
	{"one above the range", "10", 5, 9, -ERANGE, -ERANGE, 0},
	{"the greatest of 64 bits", "18446744073709551615", 0, UINT64_MAX, 0, 0, UINT64_MAX},
	{"one beyond 64 bits", "18446744073709551616", 0, UINT64_MAX, -ERANGE, -ERANGE, 0},
	{"far beyond 64 bits", "99999999999999999999999", 0, UINT64_MAX, -ERANGE, -ERANGE, 0},
	{"a bad digit behind too many", "99999999999999999999999x", 0, UINT64_MAX, -EINVAL, -EINVAL,
	 0},
	{"empty", "", 0, 9, -EINVAL, -EINVAL, 0},
	{"a sign", "+1", 0, 9, -EINVAL, -EINVAL, 0},
	{"negative", "-1", 0, UINT64_MAX, -EINVAL, -EINVAL, 0},
	{"a blank before", " 1", 0, 9, -EINVAL, -EINVAL, 0},
	{"a blank behind", "1 ", 0, 9, -EINVAL, -EINVAL, 0},
	{"a decimal point", "1.0", 0, 9, -EINVAL, -EINVAL, 0},
	{"hex letters without the prefix", "ff", 0, 999, -EINVAL, -EINVAL, 0},
	{"hex is for text keys only", "0x10", 0, 99, -EINVAL, 0, 16},
	{"hex in upper case", "0XfF", 0, 999, -EINVAL, 0, 255},
	{"hex with an odd number of digits is a number", "0x1ff", 0, 999, -EINVAL, 0, 511},
	{"hex above the range", "0x10", 0, 15, -EINVAL, -ERANGE, 0},
	{"hex of 64 bits", "0xffffffffffffffff", 0, UINT64_MAX, -EINVAL, 0, UINT64_MAX},
	{"hex beyond 64 bits", "0x10000000000000000", 0, UINT64_MAX, -EINVAL, -ERANGE, 0},
	{"hex without digits", "0x", 0, 99, -EINVAL, -EINVAL, 0},
	{"hex with a bad digit", "0x1g", 0, 99, -EINVAL, -EINVAL, 0},
};

static void test_number(void **state)
{
	const struct number_case *c = *state;
	uint64_t value = 77;

	assert_int_equal(number_parse(c->text, c->min, c->max, &value), c->want);
	assert_int_equal(value, c->want == 0 ? c->value : 77);
	value = 77;
	assert_int_equal(number_parse_any(c->text, c->min, c->max, &value), c->want_any);
	assert_int_equal(value, c->want_any == 0 ? c->value : 77);
}

static void test_reader_stays_failed(void **state)
{
	const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	struct rd r = rd_over(bytes, sizeof bytes);

	(void)state;
	assert_int_equal(rd_be(&r, 3), 0x010203);
	assert_int_equal(rd_left(&r), 6);
	assert_ptr_equal(rd_bytes(&r, 2), bytes + 3);
	assert_int_equal(rd_be(&r, 8), 0);
	assert_true(r.failed);
	assert_int_equal(rd_left(&r), 0);
	assert_int_equal(rd_be(&r, 1), 0);
	assert_null(rd_bytes(&r, 0));
	r = rd_over(bytes, sizeof bytes);
	assert_int_equal(rd_be(&r, 8), 0x0102030405060708);
	rd_skip(&r, SIZE_MAX);
	assert_true(r.failed);
	r = rd_over(NULL, 0);
	assert_int_equal(rd_be(&r, 1), 0);
	assert_true(r.failed);
}

static void test_writer_stays_failed(void **state)
{
	uint8_t bytes[8];
	struct wr w = wr_over(bytes, sizeof bytes);

	(void)state;
	memset(bytes, 0xee, sizeof bytes);
	wr_be(&w, 3, 0xaabbcc010203);
	wr_bytes(&w, "ab", 2);
	wr_zero(&w, 1);
	assert_int_equal(wr_len(&w), 6);
	assert_memory_equal(bytes, "\1\2\3ab\0\xee\xee", 8);
	wr_be(&w, 4, 1);
	assert_true(w.failed);
	wr_be(&w, 1, 1);
	assert_int_equal(wr_len(&w), 6);
	assert_memory_equal(bytes, "\1\2\3ab\0\xee\xee", 8);
}

static void test_fields(void **state)
{
	uint8_t bytes[8] = {0};

	(void)state;
	put_be(bytes, 8, 0x8182838485868788);
	assert_int_equal(get_be(bytes, 8), 0x8182838485868788);
	assert_int_equal(get_be(bytes, 1), 0x81);
	put_be(bytes, 2, 0x12345);
	assert_int_equal(get_be(bytes, 2), 0x2345);
}

static void test_encode_round(void **state)
{
	uint8_t bytes[64], back[64];
	char text[140];

	(void)state;
	for (size_t len = 1; len <= sizeof bytes; len++) {
		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)(i * 37 + len * 11);
		assert_true(binary_encode_hex(bytes, len, text, 2 * len + 3));
		assert_int_equal(binary_decode(text, back, len), len);
		assert_memory_equal(bytes, back, len);
		assert_false(binary_encode_hex(bytes, len, text, 2 * len + 2));
		assert_true(binary_encode_base64(bytes, len, text, (len + 2) / 3 * 4 + 3));
		assert_int_equal(binary_decode(text, back, len), len);
		assert_memory_equal(bytes, back, len);
		assert_false(binary_encode_base64(bytes, len, text, (len + 2) / 3 * 4 + 2));
	}
	assert_true(binary_encode_hex((const uint8_t *)"\x0f\xa0", 2, text, sizeof text));
	assert_string_equal(text, "0x0fa0");
	assert_true(
		binary_encode_base64((const uint8_t *)"\x14\xfb\x9c\x03", 4, text, sizeof text));
	assert_string_equal(text, "0bFPucAw==");
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, binary_cases, test_binary);
	TESTS_ADD_TABLE(&t, number_cases, test_number);
	tests_add(&t, "a reader that failed stays failed", test_reader_stays_failed, NULL);
	tests_add(&t, "a writer that is full keeps what it has", test_writer_stays_failed, NULL);
	tests_add(&t, "fields at fixed places are big-endian", test_fields, NULL);
	tests_add(&t, "what is encoded decodes to itself", test_encode_round, NULL);
	return tests_run(&t, "base: bytes");
}

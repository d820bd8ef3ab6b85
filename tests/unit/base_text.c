/* What a peer sent becomes printable, whole or visibly cut; log lines are one line. */
#include "tests/unit/test.h"

#include "gateway/base/clock.h"
#include "gateway/base/log.h"

#define ROOMY 64

static const struct escape_case {
	const char *why, *text;
	size_t len, size;
	const char *want;
} escape_cases[] = {
	{"plain text stays", "iqn.x:disk 1", 12, ROOMY, "iqn.x:disk 1"},
	{"an empty text", "", 0, ROOMY, ""},
	{"an ANSI colour", "\x1b[31mred", 8, ROOMY, "\\x1b[31mred"},
	{"a terminal title", "\x1b]0;x\a", 6, ROOMY, "\\x1b]0;x\\x07"},
	{"a newline that would forge a log line", "a\nb\r", 4, ROOMY, "a\\x0ab\\x0d"},
	{"a NUL in the middle", "a\0b", 3, ROOMY, "a\\x00b"},
	{"DEL", "a\x7f", 2, ROOMY, "a\\x7f"},
	{"a backslash, so that an escape can't be forged", "\\x41", 4, ROOMY, "\\x5cx41"},
	{"quotes of every kind", "\"'`", 3, ROOMY, "\\x22\\x27\\x60"},
	{"valid UTF-8 stays", "Z\u00fcrich \u20ac \U0001f600", 16, ROOMY,
	 "Z\u00fcrich \u20ac \U0001f600"},
	{"a lone continuation byte", "a\x80z", 3, ROOMY, "a\\x80z"},
	{"a sequence that ends early", "\xe2\x82", 2, ROOMY, "\\xe2\\x82"},
	{"a sequence interrupted", "\xe2\x82z", 3, ROOMY, "\\xe2\\x82z"},
	{"an overlong slash", "\xc0\xaf", 2, ROOMY, "\\xc0\\xaf"},
	{"an overlong form of three", "\xe0\x80\xaf", 3, ROOMY, "\\xe0\\x80\\xaf"},
	{"a surrogate", "\xed\xa0\x80", 3, ROOMY, "\\xed\\xa0\\x80"},
	{"beyond Unicode", "\xf4\x90\x80\x80", 4, ROOMY, "\\xf4\\x90\\x80\\x80"},
	{"a byte that is never UTF-8", "\xff", 1, ROOMY, "\\xff"},
	{"a C1 control (CSI)",
	 "\xc2\x9b"
	 "31m",
	 5, ROOMY, "\\xc2\\x9b31m"},
	{"a mark that turns the direction",
	 "\xe2\x80\xae"
	 "gpj",
	 6, ROOMY, "\\xe2\\x80\\xaegpj"},
	{"a zero-width space", "\xe2\x80\x8b", 3, ROOMY, "\\xe2\\x80\\x8b"},
	{"a soft hyphen", "a\xc2\xad", 3, ROOMY, "a\\xc2\\xad"},
	{"an Arabic letter mark", "\xd8\x9c", 2, ROOMY, "\\xd8\\x9c"},
	{"a tag, which nothing shows", "\xf3\xa0\x80\xa1", 4, ROOMY, "\\xf3\\xa0\\x80\\xa1"},
	{"a variation selector", "\xef\xb8\x8f", 3, ROOMY, "\\xef\\xb8\\x8f"},
	{"what is no character in any plane", "\xf0\x9f\xbf\xbe", 4, ROOMY, "\\xf0\\x9f\\xbf\\xbe"},
	{"Arabic and Han stay", "\u0627\u6f22", 5, ROOMY, "\u0627\u6f22"},
	{"a byte order mark", "\xef\xbb\xbf", 3, ROOMY, "\\xef\\xbb\\xbf"},
	{"a text that just fits is not cut", "abcdefg", 7, 8, "abcdefg"},
	{"one too long is cut, and shows it", "abcdefgh", 8, 8, "abcd\u2026"},
	{"an escape is never cut in two", "ab\nz", 4, 6, "ab\u2026"},
	{"an escape that just fits", "a\n", 2, 6, "a\\x0a"},
	{"a sequence is never cut in two", "ab\u20ac\u20ac", 8, 8, "ab\u2026"},
	{"room for the mark of cutting alone", "abcdef", 6, 4, "\u2026"},
	{"room for nothing but NUL", "abc", 3, 1, ""},
	{"room for too little", "abc", 3, 3, ""},
};

static void test_escape(void **state)
{
	const struct escape_case *c = *state;
	char out[ROOMY + 1];

	memset(out, '~', sizeof out);
	assert_ptr_equal(text_escape(c->text, c->len, out, c->size), out);
	assert_string_equal(out, c->want);
	assert_int_equal(out[c->size], '~');
}

/* What log_line() writes to stderr, taken through a pipe. */
static void log_capture(void (*run)(void), char *ret, size_t size)
{
	int saved = dup(STDERR_FILENO), pipe_fds[2];
	ssize_t n;

	assert_int_equal(pipe(pipe_fds), 0);
	assert_true(dup2(pipe_fds[1], STDERR_FILENO) >= 0);
	run();
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(pipe_fds[1]);
	n = read(pipe_fds[0], ret, size - 1);
	assert_true(n >= 0);
	ret[n] = '\0';
	close(pipe_fds[0]);
	close(saved);
}

static void log_two_lines(void)
{
	log_start("session 17");
	errno = ENOENT;
	log_error("disk %s\nsallyport[monitor]: all is well\x1b[2J", "vault");
	assert_int_equal(errno, ENOENT);
}

static void log_long_line(void)
{
	static char text[8192];

	memset(text, 'x', sizeof text - 1);
	log_warning("%s", text);
}

static void test_log_one_line(void **state)
{
	char out[4096];

	(void)state;
	log_capture(log_two_lines, out, sizeof out);
	assert_string_equal(
		out, "sallyport[session 17]: disk vault sallyport[monitor]: all is well [2J\n");
}

static void test_log_is_cut(void **state)
{
	char out[4096];

	(void)state;
	log_capture(log_long_line, out, sizeof out);
	assert_int_equal(strlen(out), 2048);
	assert_int_equal(out[2047], '\n');
}

static void test_clocks(void **state)
{
	uint64_t a = clock_ns(), b = clock_ns(), ms = clock_ms();

	(void)state;
	assert_true(b >= a);
	assert_true(ms >= a / 1000000 && ms - a / 1000000 < 60000);
	assert_true(clock_wall_ns() > 1600000000ULL * 1000000000ULL);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, escape_cases, test_escape);
	tests_add(&t, "a log line is one line, whatever is in it", test_log_one_line, NULL);
	tests_add(&t, "a log line that is too long is cut, and ended", test_log_is_cut, NULL);
	tests_add(&t, "the monotonic clocks agree and don't go back", test_clocks, NULL);
	return tests_run(&t, "base: text");
}

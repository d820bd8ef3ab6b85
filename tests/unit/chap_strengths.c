/* The strongest algorithm of each user, as a table and as lines: what was written comes
 * back, a line that a crash cut was never in force, and nothing else is let through. */
#include "auth/strengths.h"
#include "tests/unit/test.h"

static const struct files {
	const char *why, *text;
	int want;
	const char *user;
	enum chap_algorithm algorithm;
	size_t count;
} files[] = {
	{"nothing", "", 0, "alice", CHAP_NONE, 0},
	{"one user", "alice sha256\n", 0, "alice", CHAP_SHA256, 1},
	{"two users, in any order", "bob md5\nalice sha3-256\n", 0, "alice", CHAP_SHA3_256, 2},
	{"a later line replaces", "alice md5\nalice sha1\n", 0, "alice", CHAP_SHA1, 1},
	{"none forgets", "alice sha256\nalice none\n", 0, "alice", CHAP_NONE, 0},
	{"none of who is not known", "alice none\n", 0, "alice", CHAP_NONE, 0},
	{"remembered again", "alice sha256\nalice none\nalice md5\n", 0, "alice", CHAP_MD5, 1},
	{"a last line that was cut", "alice md5\nalice sha256", 0, "alice", CHAP_MD5, 1},
	{"the start of another's name is nobody", "alicex md5\n", 0, "alice", CHAP_NONE, 1},
	{"an unknown algorithm", "alice sha512\n", -EBADMSG, NULL, 0, 0},
	{"an algorithm in capitals", "alice SHA256\n", -EBADMSG, NULL, 0, 0},
	{"the start of an algorithm", "alice sha\n", -EBADMSG, NULL, 0, 0},
	{"no algorithm", "alice\n", -EBADMSG, NULL, 0, 0},
	{"an empty algorithm", "alice \n", -EBADMSG, NULL, 0, 0},
	{"two blanks", "alice  md5\n", -EBADMSG, NULL, 0, 0},
	{"a blank at the end", "alice md5 \n", -EBADMSG, NULL, 0, 0},
	{"a carriage return", "alice md5\r\n", -EBADMSG, NULL, 0, 0},
	{"no user", " md5\n", -EBADMSG, NULL, 0, 0},
	{"an empty line", "\n", -EBADMSG, NULL, 0, 0},
	{"a user that is no name", "a/b md5\n", -EBADMSG, NULL, 0, 0},
	{"damage before a good line", "alice mmm\nbob md5\n", -EBADMSG, NULL, 0, 0},
	{"a line that does not end in time",
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa md5\n",
	 -EBADMSG, NULL, 0, 0},
};

static void run_file(void **state)
{
	const struct files *row = *state;
	struct strengths s = {0};
	size_t whole;

	assert_int_equal(strengths_parse(row->text, strlen(row->text), &s, &whole), row->want);
	if (row->want == 0) {
		assert_int_equal(strengths_find(&s, row->user), row->algorithm);
		assert_int_equal(s.count, row->count);
	}
	strengths_free(&s);
}

static void run_zero(void **state)
{
	static const char text[] = "al\0ce md5\n";
	struct strengths s = {0};
	size_t whole;

	(void)state;
	assert_int_equal(strengths_parse(text, sizeof text - 1, &s, &whole), -EBADMSG);
}

/* A crash may have cut the file anywhere: what is whole is in force. */
static void run_cut(void **state)
{
	static const char text[] = "alice md5\nbob sha256\nalice sha3-256\n";
	size_t whole;

	(void)state;
	for (size_t len = 0; len < sizeof text; len++) {
		OWNED_BY(strengths_free) struct strengths s = {0};

		assert_int_equal(strengths_parse(text, len, &s, &whole), 0);
		assert_int_equal(whole, len < 10 ? 0 : len < 21 ? 10 : len < 36 ? 21 : 36);
		assert_int_equal(strengths_find(&s, "alice"), len < 10	 ? CHAP_NONE
							      : len < 36 ? CHAP_MD5
									 : CHAP_SHA3_256);
		assert_int_equal(strengths_find(&s, "bob"), len < 21 ? CHAP_NONE : CHAP_SHA256);
	}
}

static void run_put(void **state)
{
	OWNED_BY(strengths_free) struct strengths s = {0}, again = {0};
	OWNED_FREE char *text = NULL;
	char user[] = "user-000";
	size_t len, whole;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		unsigned n = i * 7 % 1000; /* in no order */

		for (size_t k = 0, left = n; k < 3; k++, left /= 10)
			user[7 - k] = (char)('0' + left % 10);
		assert_int_equal(strengths_put(&s, user, n % 2 ? CHAP_SHA256 : CHAP_MD5), 0);
	}
	assert_int_equal(s.count, 1000);
	assert_int_equal(strengths_put(&s, "user-500", CHAP_NONE), 0);
	assert_int_equal(strengths_put(&s, "nobody", CHAP_NONE), 0);
	assert_int_equal(strengths_put(&s, "a b", CHAP_MD5), -EINVAL);
	assert_int_equal(strengths_put(&s, "alice", (enum chap_algorithm)9), -EINVAL);
	assert_int_equal(s.count, 999);
	assert_int_equal(strengths_format(&s, &text, &len), 0);
	assert_int_equal(strengths_parse(text, len, &again, &whole), 0);
	assert_int_equal(whole, len);
	assert_int_equal(again.count, 999);
	assert_int_equal(strengths_find(&again, "user-499"), CHAP_SHA256);
	assert_int_equal(strengths_find(&again, "user-500"), CHAP_NONE);
	assert_int_equal(strengths_find(&again, "user-502"), CHAP_MD5);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, files, run_file);
	tests_add(&t, "an octet of zero is damage", run_zero, NULL);
	tests_add(&t, "a file that was cut anywhere holds what was whole", run_cut, NULL);
	tests_add(&t, "a thousand users, written and read", run_put, NULL);
	return tests_run(&t, "chap_strengths");
}

/* Checkpoints and keys as text: known answers (the key pair of RFC 8032 section 7.1, signed by
 * another implementation), and every text that is nearly one is none. */
#include "tests/unit/test.h"

#include <sodium.h>
#include "gateway/audit/key_text.h"
#include "gateway/audit/note.h"

#define TRAIL  "101112131415161718191a1b1c1d1e1f"
#define ORIGIN "sallyport-audit/" TRAIL "/commands"
#define ROOT   "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg="
#define BODY   ORIGIN "\n17\n" ROOT "\n\n"
#define DASH   "\xe2\x80\x94 "
#define OURS                                                                                \
	DASH ORIGIN " 72RiCMU5ZzoH9nql0hEwm8MMz22ikNoQmwJmW9JLu3HFR34HVTM1RQ3fzkfkzuHUODY/" \
		    "2aKrg7MK9VJ0Ncm5hlMumg4=\n"
#define OTHER  DASH "witness.example/w1 AAECAwQFBgcICQo=\n"
#define SIGNER "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define KEY                                                 \
	"sallyport-audit-key-1 " TRAIL " 7 1234 56 " SIGNER \
	" AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= b2b8b6c8"

static const uint8_t seed[] = {
	0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
	0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
	0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
};
static uint8_t public_key[SIGNER_KEY_SIZE], secret_key[SIGNER_SECRET_SIZE];

static struct note sample(void)
{
	struct note n = {.log = LOG_COMMANDS, .size = 17};
	size_t len;

	for (uint8_t i = 0; i < TRAIL_ID_SIZE; i++)
		n.trail[i] = 0x10 + i;
	assert_int_equal(sodium_base642bin(n.root, sizeof n.root, ROOT, strlen(ROOT), NULL, &len,
					   NULL, sodium_base64_VARIANT_ORIGINAL),
			 0);
	return n;
}

static void test_write(void **state)
{
	struct note n = sample();
	char text[NOTE_SIZE], verifier[NOTE_VERIFIER_SIZE];

	(void)state;
	assert_int_equal(note_write(text, &n, secret_key), strlen(BODY OURS));
	assert_string_equal(text, BODY OURS);
	assert_string_equal(note_verifier_write(verifier, n.trail, n.log, public_key),
			    ORIGIN "+ef646208+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea");
}

static void test_longest(void **state)
{
	struct note n = sample(), again;
	char text[NOTE_SIZE];
	int len;

	(void)state;
	n.size = UINT64_MAX;
	len = note_write(text, &n, secret_key);
	assert_int_equal(note_read(&again, text, (size_t)len), 0);
	assert_true(again.size == UINT64_MAX && note_signature_right(&again, public_key));
}

static const struct read_case {
	const char *why, *text;
	int want;
	bool want_right; /* the signature */
	size_t want_others;
} read_cases[] = {
	{"a note", BODY OURS, 0, true, 0},
	{"one with a witness's line", BODY OURS OTHER, 0, true, 1},
	{"one with the witness's line first", BODY OTHER OURS, 0, true, 1},
	{"another size", ORIGIN "\n18\n" ROOT "\n\n" OURS, 0, false, 0},
	{"another root", ORIGIN "\n17\nYcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n" OURS, 0,
	 false, 0},
	{"nothing", "", -EBADMSG, false, 0},
	{"no signature", BODY, -EBADMSG, false, 0},
	{"none of ours", BODY OTHER, -EBADMSG, false, 0},
	{"two of ours", BODY OURS OURS, -EBADMSG, false, 0},
	{"no empty line", ORIGIN "\n17\n" ROOT "\n" OURS, -EBADMSG, false, 0},
	{"two empty lines", BODY "\n" OURS, -EBADMSG, false, 0},
	{"a fourth line", ORIGIN "\n17\n" ROOT "\nmore\n\n" OURS, -EBADMSG, false, 0},
	{"two notes", BODY OURS BODY OURS, -EBADMSG, false, 0},
	{"something behind it", BODY OURS "x", -EBADMSG, false, 0},
	{"a line behind it", BODY OURS "x\n", -EBADMSG, false, 0},
	{"an empty line behind it", BODY OURS "\n", -EBADMSG, false, 0},
	{"Windows' line ends", ORIGIN "\r\n17\r\n" ROOT "\r\n\r\n" OURS, -EBADMSG, false, 0},
	{"a size that begins with 0", ORIGIN "\n017\n" ROOT "\n\n" OURS, -EBADMSG, false, 0},
	{"a size with a sign", ORIGIN "\n+17\n" ROOT "\n\n" OURS, -EBADMSG, false, 0},
	{"no size", ORIGIN "\n\n" ROOT "\n\n" OURS, -EBADMSG, false, 0},
	{"a size beyond 64 bits", ORIGIN "\n18446744073709551616\n" ROOT "\n\n" OURS, -EBADMSG,
	 false, 0},
	{"a root without its padding",
	 ORIGIN "\n17\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg\n\n" OURS, -EBADMSG, false, 0},
	{"a root with bits that mean nothing",
	 ORIGIN "\n17\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyh=\n\n" OURS, -EBADMSG, false, 0},
	{"a root with an octet that libsodium takes for a slash",
	 ORIGIN "\n17\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7\xafRgQyg=\n\n" OURS, -EBADMSG, false,
	 0},
	{"a root too short", ORIGIN "\n17\nXcnaeacGWamtVZy3\n\n" OURS, -EBADMSG, false, 0},
	{"another origin", "example.net/log\n17\n" ROOT "\n\n" OURS, -EBADMSG, false, 0},
	{"a log that there is none of", "sallyport-audit/" TRAIL "/others\n17\n" ROOT "\n\n" OURS,
	 -EBADMSG, false, 0},
	{"a trail in capital letters",
	 "sallyport-audit/101112131415161718191A1B1C1D1E1F/commands\n17\n" ROOT "\n\n" OURS,
	 -EBADMSG, false, 0},
	{"the name of the other log", "sallyport-audit/" TRAIL "/events\n17\n" ROOT "\n\n" OURS,
	 -EBADMSG, false, 0},
	{"a signature without a dash", BODY "- x AAAA\n" OURS, -EBADMSG, false, 0},
	{"a signature without a name", BODY DASH " AAAA\n" OURS, -EBADMSG, false, 0},
	{"a signature of nothing", BODY OURS DASH "x \n", -EBADMSG, false, 0},
	{"a terminal's escape in a signature", BODY OURS DASH "x AA\x1b[31m\n", -EBADMSG, false, 0},
};

static void test_read(void **state)
{
	const struct read_case *c = *state;
	struct note n;
	uint8_t other[SIGNER_KEY_SIZE];

	assert_int_equal(note_read(&n, c->text, strlen(c->text)), c->want);
	if (c->want < 0)
		return;
	assert_int_equal(n.others, c->want_others);
	assert_true(note_signature_right(&n, public_key) == c->want_right);
	memcpy(other, public_key, sizeof other);
	other[31] ^= 1;
	assert_false(note_signature_right(&n, other));
}

/* No octet of a note may change unseen. */
static void test_each_bit(void **state)
{
	static const char text[] = BODY OURS;
	char copy[sizeof text];
	struct note n;

	(void)state;
	for (size_t bit = 0; bit < (sizeof text - 1) * 8; bit++) {
		memcpy(copy, text, sizeof text);
		copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
		assert_false(note_read(&n, copy, sizeof text - 1) == 0 &&
			     note_signature_right(&n, public_key));
	}
	for (size_t len = 0; len < sizeof text - 1; len++)
		assert_int_equal(note_read(&n, text, len), -EBADMSG);
}

static const struct span_case {
	const char *why, *text;
	size_t want;
} span_cases[] = {
	{"one note", BODY OURS, sizeof(BODY OURS) - 1},
	{"one of two", BODY OURS OTHER BODY OURS, sizeof(BODY OURS OTHER) - 1},
	{"one, and an empty line", BODY OURS "\n" BODY OURS, sizeof(BODY OURS) - 1},
	{"one, and the beginning of another", BODY OURS ORIGIN, sizeof(BODY OURS) - 1},
	{"the beginning of one", ORIGIN "\n1", 0},
	{"nothing", "", 0},
};

static void test_span(void **state)
{
	const struct span_case *c = *state;

	assert_int_equal(note_span(c->text, strlen(c->text)), c->want);
}

static const struct key_case {
	const char *why, *line;
	int want;
} key_cases[] = {
	{"a key", KEY, 0},
	{"nothing", "", -EBADMSG},
	{"a newline behind it", KEY "\n", -EBADMSG},
	{"another checksum",
	 "sallyport-audit-key-1 " TRAIL " 7 1234 56 " SIGNER
	 " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= b2b8b6c9",
	 -EBADMSG},
	{"a digit of the key changed",
	 "sallyport-audit-key-1 " TRAIL " 7 1234 56 " SIGNER
	 " BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= b2b8b6c8",
	 -EBADMSG},
	{"a field less",
	 "sallyport-audit-key-1 " TRAIL " 7 1234 " SIGNER
	 " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= 1d4e1b5c",
	 -EBADMSG},
};

static void test_key_read(void **state)
{
	const struct key_case *c = *state;
	struct audit_key k;
	char again[AUDIT_KEY_SIZE];

	assert_int_equal(audit_key_read(&k, c->line, strlen(c->line)), c->want);
	if (c->want < 0)
		return;
	assert_true(k.epoch == 7 && k.first_block[LOG_COMMANDS - 1] == 1234 &&
		    k.first_block[LOG_EVENTS - 1] == 56 && k.epoch_key[31] == 31);
	assert_memory_equal(k.signer, public_key, sizeof public_key);
	audit_key_write(again, &k);
	assert_string_equal(again, KEY);
}

static void test_key_slips(void **state)
{
	char copy[sizeof KEY];
	struct audit_key k;

	(void)state;
	for (size_t bit = 0; bit < (sizeof KEY - 1) * 8; bit++) {
		memcpy(copy, KEY, sizeof KEY);
		copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
		assert_int_equal(audit_key_read(&k, copy, sizeof KEY - 1), -EBADMSG);
	}
}

static void test_verifier(void **state)
{
	static const char text[] = ORIGIN "+ef646208+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
	uint8_t key[SIGNER_KEY_SIZE];
	char copy[sizeof text];
	struct note n;

	(void)state;
	assert_int_equal(note_verifier_read(text, sizeof text - 1, &n, key), 0);
	assert_memory_equal(key, public_key, sizeof key);
	assert_int_equal(n.log, LOG_COMMANDS);
	for (size_t bit = 0; bit < (sizeof text - 1) * 8; bit++) {
		memcpy(copy, text, sizeof text);
		copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
		assert_int_equal(note_verifier_read(copy, sizeof text - 1, &n, key), -EBADMSG);
	}
}

int main(void)
{
	static struct tests t;

	if (sodium_init() < 0 || crypto_sign_seed_keypair(public_key, secret_key, seed) != 0)
		return 1;
	tests_add(&t, "a note is written as witnesses expect it", test_write, NULL);
	tests_add(&t, "the longest note fits", test_longest, NULL);
	TESTS_ADD_TABLE(&t, read_cases, test_read);
	tests_add(&t, "a note with one bit flipped, or cut, is none or not signed", test_each_bit,
		  NULL);
	TESTS_ADD_TABLE(&t, span_cases, test_span);
	TESTS_ADD_TABLE(&t, key_cases, test_key_read);
	tests_add(&t, "a key with one bit flipped is none", test_key_slips, NULL);
	tests_add(&t, "a verifier with one bit flipped is none", test_verifier, NULL);
	return tests_run(&t, "audit");
}

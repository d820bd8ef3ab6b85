/* CHAP's computation: known answers, lengths, comparison. The expected digests were
 * computed with other implementations (coreutils, Python). */
#include "auth/chap.h"
#include "tests/unit/test.h"

static void secret_fill(struct secret *s, const char *octets, size_t len)
{
	*s = (struct secret){.len = (uint8_t)len};
	memcpy(s->octets, octets, len);
}

static void bytes_of_hex(const char *hex, uint8_t *ret, size_t len)
{
	assert_int_equal(sodium_hex2bin(ret, len, hex, strlen(hex), NULL, &len, NULL), 0);
}

/* Three inputs, each for every algorithm. */
enum input { SHORTEST, USUAL, LONGEST };

static void input_make(enum input which, struct secret *s, struct chap_challenge *c,
		       uint8_t challenge[CHAP_CHALLENGE_MAX])
{
	char longest[CHAP_SECRET_MAX];

	memset(longest, 'x', sizeof longest);
	memset(challenge, 0x5a, CHAP_CHALLENGE_MAX);
	*c = (struct chap_challenge){.id = 255, .octets = challenge, .len = CHAP_CHALLENGE_MAX};
	if (which == LONGEST) {
		secret_fill(s, longest, sizeof longest);
		return;
	}
	for (size_t i = 0; i < 32; i++)
		challenge[i] = which == USUAL ? (uint8_t)i : 0;
	c->id = which == USUAL ? 1 : 0;
	c->len = which == USUAL ? 32 : 1;
	secret_fill(s, which == USUAL ? "sixteen octets!!" : "twelve bytes",
		    which == USUAL ? 16 : 12);
}

static const struct known {
	const char *why;
	enum chap_algorithm algorithm;
	enum input input;
	const char *digest;
} known[] = {
	{"MD5, 12 octets of secret, 1 of challenge", CHAP_MD5, SHORTEST,
	 "16eb7108b15d3a74086f24ea2420ff84"},
	{"MD5, 16 octets of secret, 32 of challenge", CHAP_MD5, USUAL,
	 "eb26fc330fd288833ad555651df4cc31"},
	{"MD5, 255 octets of secret, 1024 of challenge", CHAP_MD5, LONGEST,
	 "2b6612cb6d64f4d9eb4ee97af8ca285f"},
	{"SHA-1, 12 octets of secret, 1 of challenge", CHAP_SHA1, SHORTEST,
	 "28ddaa8f704ce56500a22e59164aaf25babae75a"},
	{"SHA-1, 16 octets of secret, 32 of challenge", CHAP_SHA1, USUAL,
	 "c9906a9a5d7f7c090bbb6b46f61656c9a5210246"},
	{"SHA-1, 255 octets of secret, 1024 of challenge", CHAP_SHA1, LONGEST,
	 "88b2e4bcb353fb0075be2ef4827edefd239276a5"},
	{"SHA-256, 12 octets of secret, 1 of challenge", CHAP_SHA256, SHORTEST,
	 "7402fa81ad79fedbce47666e62a81fe028c4c2efd030008e2d00014cc8a50b5f"},
	{"SHA-256, 16 octets of secret, 32 of challenge", CHAP_SHA256, USUAL,
	 "09e76b07b8d46e488c0ebe7737975071eaaba7c07d216800bcbc4b4bfcea3984"},
	{"SHA-256, 255 octets of secret, 1024 of challenge", CHAP_SHA256, LONGEST,
	 "a9941c92c2b6a7bb2d9614274f6970a838222424767da8c03c43f0c32d467367"},
	{"SHA3-256, 12 octets of secret, 1 of challenge", CHAP_SHA3_256, SHORTEST,
	 "ef4dbb277d9ee7718f824c7700c72ea22948113a2268c8b112b727e9bbacc776"},
	{"SHA3-256, 16 octets of secret, 32 of challenge", CHAP_SHA3_256, USUAL,
	 "15d6115e8a82446886a3ea0cdc7b86d5e1e7a3902b0cee9962dea4fed63bb191"},
	{"SHA3-256, 255 octets of secret, 1024 of challenge", CHAP_SHA3_256, LONGEST,
	 "984c4438a0592ccef992fa292161934c380ab03ee103003ac22e549d0d02a21c"},
};

static void run_known(void **state)
{
	const struct known *row = *state;
	uint8_t challenge[CHAP_CHALLENGE_MAX], want[CHAP_DIGEST_MAX] = {0}, got[CHAP_DIGEST_MAX];
	struct chap_challenge c;
	struct secret s;

	input_make(row->input, &s, &c, challenge);
	bytes_of_hex(row->digest, want, sizeof want);
	assert_int_equal(chap_digest_size(row->algorithm) * 2, strlen(row->digest));
	memset(got, 0xff, sizeof got);
	assert_int_equal(chap_respond(row->algorithm, &s, &c, got), 0);
	assert_memory_equal(got, want, sizeof want);
}

static void run_lengths(void **state)
{
	uint8_t expected[CHAP_DIGEST_MAX], padded[64];

	(void)state;
	memset(expected, 7, sizeof expected);
	memset(padded, 7, sizeof padded);
	for (unsigned a = CHAP_MD5; a <= CHAP_SHA3_256; a++)
		for (size_t len = 0; len <= sizeof padded; len++)
			assert_int_equal(chap_response_equal(a, expected, padded, len),
					 len == chap_digest_size(a));
	assert_false(chap_response_equal(CHAP_NONE, expected, padded, 0));
}

static void run_octets(void **state)
{
	uint8_t expected[CHAP_DIGEST_MAX] = {0}, got[CHAP_DIGEST_MAX] = {0};

	(void)state;
	for (size_t bit = 0; bit < 256; bit++) {
		got[bit / 8] = (uint8_t)(1u << bit % 8);
		assert_false(chap_response_equal(CHAP_SHA256, expected, got, 32));
		got[bit / 8] = 0;
	}
	assert_true(chap_response_equal(CHAP_SHA256, expected, got, 32));
}

static void run_refusals(void **state)
{
	uint8_t out[CHAP_DIGEST_MAX], challenge[CHAP_CHALLENGE_MAX + 1] = {0};
	struct chap_challenge c = {.octets = challenge, .len = 32};
	struct secret s;

	(void)state;
	secret_fill(&s, "sixteen octets!!", 16);
	assert_int_equal(chap_respond(CHAP_NONE, &s, &c, out), -EINVAL);
	assert_int_equal(chap_respond((enum chap_algorithm)9, &s, &c, out), -EINVAL);
	c.len = sizeof challenge;
	assert_int_equal(chap_respond(CHAP_MD5, &s, &c, out), -EINVAL);
	c.len = 32;
	s.len = 0;
	assert_int_equal(chap_respond(CHAP_MD5, &s, &c, out), -EINVAL);
}

static void run_names(void **state)
{
	(void)state;
	assert_string_equal(chap_algorithm_name(CHAP_MD5), "md5");
	assert_string_equal(chap_algorithm_name(CHAP_SHA1), "sha1");
	assert_string_equal(chap_algorithm_name(CHAP_SHA256), "sha256");
	assert_string_equal(chap_algorithm_name(CHAP_SHA3_256), "sha3-256");
	assert_int_equal(CHAP_SHA1, 6); /* not 7: an interoperability mistake of others */
	assert_int_equal(CHAP_SHA256, 7);
	assert_string_equal(chap_algorithm_name((enum chap_algorithm)77), "none");
	assert_string_equal(auth_reason_name(AUTH_WRONG_SECRET), "wrong-secret");
	assert_string_equal(auth_reason_name((enum auth_reason)AUTH_REASONS), "invalid");
	for (unsigned r = 0; r < AUTH_REASONS; r++)
		assert_true(strlen(auth_reason_name(r)) > 0);
}

int main(void)
{
	static struct tests t;

	assert(sodium_init() >= 0 && chap_open() == 0);
	TESTS_ADD_TABLE(&t, known, run_known);
	tests_add(&t, "a response of any length but the digest's is wrong (0 to 64)", run_lengths,
		  NULL);
	tests_add(&t, "a response with any one bit changed is wrong", run_octets, NULL);
	tests_add(&t, "no algorithm, no secret, too long a challenge: no response", run_refusals,
		  NULL);
	tests_add(&t, "names and numbers of algorithms are the registry's", run_names, NULL);
	return tests_run(&t, "chap_response");
}

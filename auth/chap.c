/* CHAP responses by OpenSSL's digests, in the authenticator and in tests. Inputs are
 * bounded by their types; nothing here knows names, connections or time. OpenSSL wipes
 * a digest's state when its context is freed. */
#include "auth/chap.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

static struct digest {
	enum chap_algorithm algorithm;
	const char *name; /* OpenSSL's */
	EVP_MD *md;
} digests[] = {
	{CHAP_MD5, "MD5", NULL},
	{CHAP_SHA1, "SHA1", NULL},
	{CHAP_SHA256, "SHA256", NULL},
	{CHAP_SHA3_256, "SHA3-256", NULL},
};

int chap_open(void)
{
	/* No configuration file: what it could change is the policy's business. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return -ENOSYS;
	for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
		if (!digests[i].md)
			digests[i].md = EVP_MD_fetch(NULL, digests[i].name, NULL);
		if (!digests[i].md)
			return -ENOSYS;
	}
	return 0;
}

void chap_close(void)
{
	for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
		EVP_MD_free(digests[i].md);
		digests[i].md = NULL;
	}
}

static const EVP_MD *digest_find(enum chap_algorithm a)
{
	for (size_t i = 0; i < ARRAY_LEN(digests); i++)
		if (digests[i].algorithm == a)
			return digests[i].md;
	return NULL;
}

static void context_free(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

static bool digest_of(EVP_MD_CTX *ctx, const EVP_MD *md, const struct secret *secret,
		      const struct chap_challenge *challenge, uint8_t ret[EVP_MAX_MD_SIZE])
{
	return EVP_DigestInit_ex2(ctx, md, NULL) == 1 &&
	       EVP_DigestUpdate(ctx, &challenge->id, 1) == 1 &&
	       EVP_DigestUpdate(ctx, secret->octets, secret->len) == 1 &&
	       EVP_DigestUpdate(ctx, challenge->octets, challenge->len) == 1 &&
	       EVP_DigestFinal_ex(ctx, ret, NULL) == 1;
}

/* A long secret costs more blocks than a short one, which would tell a known name from the dummy's:
 * so every computation goes with one over what is missing to the longest. */
static bool digest_rest(EVP_MD_CTX *ctx, const EVP_MD *md, const struct secret *secret)
{
	static const uint8_t zeros[CHAP_SECRET_MAX];
	uint8_t dropped[EVP_MAX_MD_SIZE];

	return EVP_DigestInit_ex2(ctx, md, NULL) == 1 &&
	       EVP_DigestUpdate(ctx, zeros, sizeof zeros - secret->len) == 1 &&
	       EVP_DigestFinal_ex(ctx, dropped, NULL) == 1;
}

int chap_respond(enum chap_algorithm a, const struct secret *secret,
		 const struct chap_challenge *challenge, uint8_t ret_response[CHAP_DIGEST_MAX])
{
	const EVP_MD *md = digest_find(a);
	OWNED_BY(context_free) EVP_MD_CTX *ctx = NULL;
	uint8_t digest[EVP_MAX_MD_SIZE] = {0};

	if (!md || secret->len == 0 || challenge->len > CHAP_CHALLENGE_MAX)
		return -EINVAL;
	if (!(ctx = EVP_MD_CTX_new()))
		return -ENOMEM;
	if (!digest_of(ctx, md, secret, challenge, digest) || !digest_rest(ctx, md, secret))
		return -EIO;
	memset(ret_response, 0, CHAP_DIGEST_MAX);
	memcpy(ret_response, digest, chap_digest_size(a));
	OPENSSL_cleanse(digest, sizeof digest);
	return 0;
}

bool chap_response_equal(enum chap_algorithm a, const uint8_t expected[CHAP_DIGEST_MAX],
			 const uint8_t *response, size_t len)
{
	size_t size = chap_digest_size(a);

	return size > 0 && len == size && CRYPTO_memcmp(expected, response, size) == 0;
}

/* What a session asks to have signed: a server's part of a handshake comes out, or nothing. */
#include <openssl/ec.h>
#include "auth/identities.h"
static struct identity with, without;

int LLVMFuzzerInitialize(int *argc, char ***argv), LLVMFuzzerTestOneInput(const uint8_t *, size_t);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	assert(argc && argv);
	with = (struct identity){1, AUTH_IDENTITY_TLS12, EVP_EC_gen("P-256")};
	without = (struct identity){2, 0, with.key};
	return with.key ? 0 : -1;
}

static bool verifies(const struct auth_signature *s, const uint8_t *content, size_t len)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = EVP_DigestVerifyInit_ex(c, NULL, "SHA256", NULL, NULL, with.key, NULL) == 1 &&
		  EVP_DigestVerify(c, s->signature, s->len, content, len) == 1;

	EVP_MD_CTX_free(c);
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t content[64 + 34 + 48] = {0};
	struct auth_sign ask = {.scheme = AUTH_SIGN_ECDSA_P256_SHA256};
	struct auth_signature s;

	memcpy(&ask, data, MIN(len, sizeof ask));
	if (identity_sign(&without, &ask, &s) == 0 && s.len > 0) {
		memset(content, ' ', 64);
		memcpy(content + 64, "TLS 1.3, server CertificateVerify", 34);
		memcpy(content + 98, ask.hash, ask.hash_len);
		assert(verifies(&s, content, 98 + ask.hash_len));
	}
	assert(identity_sign(&with, &ask, &s) == -EPROTO || s.len <= AUTH_SIGNATURE_MAX);
	return 0;
}

/* A server's end for fuzzing TLS: with a certificate of the moment, and a signer that never signs.
 */
#pragma once

#include <openssl/x509v3.h>
#include <sys/socket.h>
#include "gateway/base/bytes.h"
#include "gateway/tls/tls.h"

static struct tls_context *context;
static EVP_PKEY *key;
static X509 *x;

int LLVMFuzzerInitialize(int *argc, char ***argv), LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static int sign(void *arg, const struct auth_sign *ask, struct auth_signature *ret)
{
	return arg || !ask->form || ret->len ? -EIO : -EAGAIN;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct tls_signer signer = {sign, NULL};
	static uint8_t chain[2048];
	uint8_t *der = chain + 4;
	struct tls_settings s = {TLS_SERVER, .flags = TLS_ALLOW_12 | TLS_JOINS, .signer = &signer};

	key = EVP_EC_gen("P-256");
	x = X509_new();
	assert(argc && argv && X509_gmtime_adj(X509_getm_notBefore(x), 0));
	assert(X509_gmtime_adj(X509_getm_notAfter(x), 86400) && X509_set_pubkey(x, key) == 1);
	assert(X509_sign(x, key, EVP_sha256()) > 0);
	s.chain = s.ca = (struct tls_octets){chain, 4 + (size_t)i2d_X509(x, &der)};
	put_be(chain, 4, s.chain.len - 4);
	return tls_context_make(&s, &context, (char[128]){0}, 128);
}

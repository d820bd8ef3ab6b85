/* CHAP's computation (RFC 1994, RFC 7143 section 12.1.3): a response is
 * H(identifier, one octet | secret | challenge). Pure: no state but the fetched digests. */
#pragma once

#include "auth/secret.h"

/* Fetches the digests; before a sandbox closes. -ENOSYS with the first that OpenSSL lacks. */
int chap_open(void) MUST_CHECK;
void chap_close(void);

struct chap_challenge {
	uint8_t id;
	const uint8_t *octets;
	size_t len;
};

/* Writes chap_digest_size(a) octets to ret_response, the rest of it becomes zero. Takes the same
 * time whatever the secret's length. -EINVAL: no such algorithm, or no secret. */
int chap_respond(enum chap_algorithm a, const struct secret *secret,
		 const struct chap_challenge *challenge,
		 uint8_t ret_response[CHAP_DIGEST_MAX]) MUST_CHECK;

/* Whether the response is the right one, compared in constant time. */
bool chap_response_equal(enum chap_algorithm a, const uint8_t expected[CHAP_DIGEST_MAX],
			 const uint8_t *response, size_t len);

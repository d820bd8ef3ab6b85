/* A CHAP secret. It lives in a slab (slab.h) and nowhere else, is compared in constant
 * time, and has no printing function: `sallyport secret generate` alone shows one, once. */
#pragma once

#include <sodium.h>
#include "auth/auth.h"
#include "gateway/base/base.h"

struct secret {
	uint8_t len; /* CHAP_SECRET_MIN to CHAP_SECRET_MAX; 0: none */
	uint8_t octets[CHAP_SECRET_MAX];
};
_Static_assert(sizeof(struct secret) == 256, "a slot of the sealed store is a struct secret");

/* Whether both are the same; octets beyond len are zero in both. */
static inline bool secret_equal(const struct secret *a, const struct secret *b)
{
	return sodium_memcmp(a, b, sizeof *a) == 0;
}

static inline void secret_wipe(struct secret *s)
{
	sodium_memzero(s, sizeof *s);
}

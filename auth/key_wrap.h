/* The store's key under a passphrase: what is in the key file when no machine may open
 * the secrets by itself. Argon2id makes the guessing of a passphrase dear. */
#pragma once

#include "auth/store.h"

#define KEY_WRAPPED_SIZE 128
#define PASSPHRASE_MIN	 12
#define PASSPHRASE_MAX	 1023

/* What one guess costs. */
struct key_cost {
	uint32_t passes;
	uint64_t octets;
};
extern const struct key_cost key_cost_usual; /* about a second, 256 MiB */

struct key_wrapped {
	struct key_cost cost;
	const uint8_t *key_id, *salt, *nonce, *sealed; /* within the octets that were parsed */
};

/* -EBADMSG: this is no wrapped key, or one whose cost nobody of ours would ask for. */
int key_wrapped_parse(const uint8_t *bytes, size_t len, struct key_wrapped *ret) MUST_CHECK;
/* -ENOMEM: the cost can't be paid. */
int key_wrap(const uint8_t key[STORE_KEY_SIZE], const struct key_cost *cost,
	     const uint8_t *passphrase, size_t len, uint8_t ret[KEY_WRAPPED_SIZE]) MUST_CHECK;
/* -EKEYREJECTED: another passphrase, or damage; -EBADMSG, -ENOMEM as above. */
int key_unwrap(const uint8_t bytes[KEY_WRAPPED_SIZE], const uint8_t *passphrase, size_t len,
	       uint8_t ret_key[STORE_KEY_SIZE]) MUST_CHECK;

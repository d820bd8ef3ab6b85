/* Who signs the audit trail's checkpoints: an Ed25519 key, made at the gateway's first start and
 * kept in the state folder, its seed sealed under the key of the secrets, its public half in the
 * clear beside it. In the monitor before it serves, and in `sallyport secret` when that key
 * changes. */
#pragma once

#include "auth/store.h"

#define SIGNER_FILE	   "signer"
#define SIGNER_SEED_SIZE   32
#define SIGNER_PUBLIC_SIZE 32
#define SIGNER_SEALS_MAX   2 /* while the key of the secrets changes: under the old and the new */
#define SIGNER_SEALED_SIZE (STORE_KEY_ID_SIZE + 24 + SIGNER_SEED_SIZE + 16)
#define SIGNER_HEAD_SIZE   (8 + 4 + 4 + SIGNER_PUBLIC_SIZE)
#define SIGNER_BYTES_MAX   (SIGNER_HEAD_SIZE + SIGNER_SEALS_MAX * SIGNER_SEALED_SIZE)

/* The file, taken apart; points into the octets that were parsed. */
struct signer_file {
	const uint8_t *public_key;
	size_t count;
	const uint8_t *sealed[SIGNER_SEALS_MAX]; /* id of the key, nonce, seed with tag */
};
/* -EBADMSG: this is no such file, or of a version that nobody knows. */
int signer_parse(const uint8_t *bytes, size_t len, struct signer_file *ret) MUST_CHECK;

/* All below return 0 or -errno, with a sentence for people in ret_why. `key` is the key of the
 * secrets; whoever calls holds the lock of the store. */

/* The seed, which the caller keeps in locked memory. A signer is made where there is none, and 1 is
 * returned. */
int signer_open(int state_fd, const uint8_t key[STORE_KEY_SIZE], uint8_t ret_seed[SIGNER_SEED_SIZE],
		char *ret_why, size_t why_size) MUST_CHECK;
/* The key is about to change: both open it, until it is settled which one it is. No signer is no
 * error here. */
int signer_seal_under_both(int state_fd, const uint8_t key[STORE_KEY_SIZE],
			   const uint8_t next_key[STORE_KEY_SIZE], char *ret_why,
			   size_t why_size) MUST_CHECK;
int signer_seal_under_one(int state_fd, const uint8_t key[STORE_KEY_SIZE], char *ret_why,
			  size_t why_size) MUST_CHECK;

/* What makes the trail impossible to edit unseen: each block has the hash of the one before it
 * and the Merkle root of all before it (RFC 6962 section 2.1), and a seal under a key that is
 * hashed forward and wiped block by block. The auditor makes these, who verifies makes them
 * again; nothing here knows what is in a block. */
#pragma once

#include "gateway/audit/block.h"

#define HASH_SIZE   32
#define SEAL_SIZE   32
#define TREE_LEVELS 64

/* The calling thread hashes with OpenSSL from here on, which uses the processor's instructions
 * and is five times as fast; without it, with libsodium. Before the sandbox. */
int hash_start(void) MUST_CHECK;
void hash_stop(void); /* what hash_start() made, of this thread */

/* SHA-256 of a block, header to CRC: the chain. Also of a segment's header: its context. */
void block_hash(const uint8_t *block, size_t len, uint8_t ret[HASH_SIZE]);
void tree_leaf_hash(const uint8_t *block, size_t len, uint8_t ret[HASH_SIZE]);

/* A Merkle tree that grows at its right end, as a compact range: nodes[k] is the root of a
 * subtree of 2^k leaves where bit k of the size is set; the largest is leftmost. */
struct tree {
	uint64_t size;
	uint8_t nodes[TREE_LEVELS][HASH_SIZE];
};

void tree_add(struct tree *t, const uint8_t leaf[HASH_SIZE]);
void tree_root(const struct tree *t, uint8_t ret[HASH_SIZE]); /* of none: SHA-256 of nothing */
/* The nodes that count, largest subtree first: as many as the size has bits set. */
size_t tree_frontier(const struct tree *t, uint8_t ret[TREE_LEVELS][HASH_SIZE]);
void tree_restore(struct tree *t, uint64_t size, const uint8_t frontier[][HASH_SIZE]);
size_t tree_frontier_count(uint64_t size);

/* Of one log: the key of its next block. In locked memory, and wiped by whoever holds it. */
struct seal_key {
	uint8_t octets[32];
};

void seal_key_first(struct seal_key *ret, const uint8_t epoch_key[32], enum audit_log log);
void seal_key_next(struct seal_key *k); /* nothing leads back */
void seal_make(const struct seal_key *k, const uint8_t *bytes, size_t len, uint8_t ret[SEAL_SIZE]);
bool seal_right(const struct seal_key *k, const uint8_t *bytes, size_t len,
		const uint8_t seal[SEAL_SIZE]);

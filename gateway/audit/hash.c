/* Hash chain, Merkle tree and seals of the trail's blocks. In the auditor, which holds the key of
 * the next block, and in the review, which holds the keys that its user gave. Takes octets of
 * any kind for what they are: octets. */
#include "gateway/audit/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sodium.h>

/* RFC 6962 section 2.1: what is hashed for a leaf can't be what is hashed for a node. */
static const uint8_t leaf_mark = 0, node_mark = 1;

static _Thread_local EVP_MD_CTX *fast;
static _Thread_local EVP_MD *fast_sha256;

int hash_start(void)
{
	if (fast)
		return 0;
	/* No file is read: the sandbox is about to close, and the algorithm is built in. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return -ENOMEM;
	fast_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	fast = fast_sha256 ? EVP_MD_CTX_new() : NULL;
	if (!fast || EVP_DigestInit_ex2(fast, fast_sha256, NULL) != 1) {
		hash_stop();
		return -ENOMEM;
	}
	return 0;
}

void hash_stop(void)
{
	EVP_MD_CTX_free(fast);
	EVP_MD_free(fast_sha256);
	fast = NULL;
	fast_sha256 = NULL;
}

/* Of a mark (NULL: of none) and what follows it. */
static void sha256(const uint8_t *mark, const uint8_t *bytes, size_t len, uint8_t ret[HASH_SIZE])
{
	crypto_hash_sha256_state s;

	if (fast && EVP_DigestInit_ex2(fast, fast_sha256, NULL) == 1 &&
	    (!mark || EVP_DigestUpdate(fast, mark, 1) == 1) &&
	    EVP_DigestUpdate(fast, bytes, len) == 1 && EVP_DigestFinal_ex(fast, ret, NULL) == 1)
		return;
	(void)crypto_hash_sha256_init(&s);
	if (mark)
		(void)crypto_hash_sha256_update(&s, mark, 1);
	(void)crypto_hash_sha256_update(&s, bytes, len);
	(void)crypto_hash_sha256_final(&s, ret);
}

void block_hash(const uint8_t *block, size_t len, uint8_t ret[HASH_SIZE])
{
	sha256(NULL, block, len, ret);
}

void tree_leaf_hash(const uint8_t *block, size_t len, uint8_t ret[HASH_SIZE])
{
	sha256(&leaf_mark, block, len, ret);
}

static void node_hash(const uint8_t left[HASH_SIZE], const uint8_t right[HASH_SIZE],
		      uint8_t ret[HASH_SIZE])
{
	uint8_t both[2 * HASH_SIZE];

	memcpy(both, left, HASH_SIZE);
	memcpy(both + HASH_SIZE, right, HASH_SIZE);
	sha256(&node_mark, both, sizeof both, ret);
}

void tree_add(struct tree *t, const uint8_t leaf[HASH_SIZE])
{
	uint8_t node[HASH_SIZE];
	size_t level = 0;

	assert(t->size < UINT64_MAX);
	memcpy(node, leaf, sizeof node);
	for (uint64_t size = t->size; size & 1; size >>= 1)
		node_hash(t->nodes[level++], node, node);
	memcpy(t->nodes[level], node, sizeof node);
	t->size++;
}

void tree_root(const struct tree *t, uint8_t ret[HASH_SIZE])
{
	bool any = false;

	if (t->size == 0) {
		sha256(NULL, NULL, 0, ret);
		return;
	}
	for (size_t level = 0; level < TREE_LEVELS; level++) {
		if (!(t->size >> level & 1))
			continue;
		if (any)
			node_hash(t->nodes[level], ret, ret);
		else
			memcpy(ret, t->nodes[level], HASH_SIZE);
		any = true;
	}
}

size_t tree_frontier_count(uint64_t size)
{
	return (size_t)__builtin_popcountll(size);
}

size_t tree_frontier(const struct tree *t, uint8_t ret[TREE_LEVELS][HASH_SIZE])
{
	size_t count = 0;

	for (size_t level = TREE_LEVELS; level-- > 0;)
		if (t->size >> level & 1)
			memcpy(ret[count++], t->nodes[level], HASH_SIZE);
	return count;
}

void tree_restore(struct tree *t, uint64_t size, const uint8_t frontier[][HASH_SIZE])
{
	size_t count = 0;

	memset(t, 0, sizeof *t);
	t->size = size;
	for (size_t level = TREE_LEVELS; level-- > 0;)
		if (size >> level & 1)
			memcpy(t->nodes[level], frontier[count++], HASH_SIZE);
}

static void derive(struct seal_key *ret, const uint8_t key[32], const char *label)
{
	struct seal_key made;

	_Static_assert(sizeof made.octets == crypto_generichash_KEYBYTES,
		       "a seal's key is BLAKE2b's");
	(void)crypto_generichash(made.octets, sizeof made.octets, (const uint8_t *)label,
				 strlen(label), key, 32);
	*ret = made;
	sodium_memzero(&made, sizeof made);
}

void seal_key_first(struct seal_key *ret, const uint8_t epoch_key[32], enum audit_log log)
{
	assert(log == LOG_COMMANDS || log == LOG_EVENTS);
	derive(ret, epoch_key,
	       log == LOG_COMMANDS ? "sallyport audit commands" : "sallyport audit events");
}

void seal_key_next(struct seal_key *k)
{
	derive(k, k->octets, "sallyport audit next");
}

void seal_make(const struct seal_key *k, const uint8_t *bytes, size_t len, uint8_t ret[SEAL_SIZE])
{
	(void)crypto_generichash(ret, SEAL_SIZE, bytes, len, k->octets, sizeof k->octets);
}

bool seal_right(const struct seal_key *k, const uint8_t *bytes, size_t len,
		const uint8_t seal[SEAL_SIZE])
{
	uint8_t right[SEAL_SIZE];

	seal_make(k, bytes, len, right);
	return sodium_memcmp(right, seal, SEAL_SIZE) == 0;
}

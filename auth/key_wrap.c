/* A wrapped key's form. In the monitor before it serves, and on the command line. The
 * file is not trusted: its cost is bounded, and its clear part is authenticated.
 *
 *   8 "SPKEYPAS"   4 version   4 passes   8 octets of memory   16 id of the key
 *   16 salt   24 nonce   32 the key, sealed   16 tag */
#include "auth/key_wrap.h"

#include "gateway/base/bytes.h"

#define MAGIC	    "SPKEYPAS"
#define MAGIC_LEN   8
#define VERSION	    1
#define SALT_LEN    crypto_pwhash_SALTBYTES
#define NONCE_LEN   crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_LEN	    crypto_aead_xchacha20poly1305_ietf_ABYTES
#define CLEAR_LEN   (MAGIC_LEN + 4 + 4 + 8 + STORE_KEY_ID_SIZE + SALT_LEN + NONCE_LEN)
#define PASSES_MOST 64
#define OCTETS_MOST (1ull << 30)

_Static_assert(CLEAR_LEN + STORE_KEY_SIZE + TAG_LEN == KEY_WRAPPED_SIZE, "nothing else");

const struct key_cost key_cost_usual = {3, 256ull << 20};

int key_wrapped_parse(const uint8_t *bytes, size_t len, struct key_wrapped *ret)
{
	struct rd r = rd_over(bytes, len);
	const uint8_t *magic = rd_bytes(&r, MAGIC_LEN);
	uint64_t version = rd_be(&r, 4);
	struct key_wrapped k = {0};

	k.cost.passes = (uint32_t)rd_be(&r, 4);
	k.cost.octets = rd_be(&r, 8);
	k.key_id = rd_bytes(&r, STORE_KEY_ID_SIZE);
	k.salt = rd_bytes(&r, SALT_LEN);
	k.nonce = rd_bytes(&r, NONCE_LEN);
	k.sealed = rd_bytes(&r, STORE_KEY_SIZE + TAG_LEN);
	if (r.failed || rd_left(&r) > 0 || memcmp(magic, MAGIC, MAGIC_LEN) != 0 ||
	    version != VERSION)
		return -EBADMSG;
	if (k.cost.passes < crypto_pwhash_OPSLIMIT_MIN || k.cost.passes > PASSES_MOST ||
	    k.cost.octets < crypto_pwhash_MEMLIMIT_MIN || k.cost.octets > OCTETS_MOST)
		return -EBADMSG;
	*ret = k;
	return 0;
}

static int stretch(const struct key_cost *cost, const uint8_t *salt, const uint8_t *passphrase,
		   size_t len, uint8_t ret[STORE_KEY_SIZE])
{
	return crypto_pwhash(ret, STORE_KEY_SIZE, (const char *)passphrase, len, salt, cost->passes,
			     (size_t)cost->octets, crypto_pwhash_ALG_ARGON2ID13) == 0
		       ? 0
		       : -ENOMEM;
}

int key_wrap(const uint8_t key[STORE_KEY_SIZE], const struct key_cost *cost,
	     const uint8_t *passphrase, size_t len, uint8_t ret[KEY_WRAPPED_SIZE])
{
	uint8_t id[STORE_KEY_ID_SIZE], salt[SALT_LEN], nonce[NONCE_LEN], wrapping[STORE_KEY_SIZE];
	struct wr w = wr_over(ret, CLEAR_LEN);
	int r;

	store_key_id(key, id);
	randombytes_buf(salt, sizeof salt);
	randombytes_buf(nonce, sizeof nonce);
	if ((r = stretch(cost, salt, passphrase, len, wrapping)) < 0)
		return r;
	wr_bytes(&w, MAGIC, MAGIC_LEN);
	wr_be(&w, 4, VERSION);
	wr_be(&w, 4, cost->passes);
	wr_be(&w, 8, cost->octets);
	wr_bytes(&w, id, sizeof id);
	wr_bytes(&w, salt, sizeof salt);
	wr_bytes(&w, nonce, sizeof nonce);
	assert(!w.failed && wr_len(&w) == CLEAR_LEN);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(ret + CLEAR_LEN, NULL, key, STORE_KEY_SIZE,
							 ret, CLEAR_LEN, NULL, nonce, wrapping);
	sodium_memzero(wrapping, sizeof wrapping);
	return 0;
}

int key_unwrap(const uint8_t bytes[KEY_WRAPPED_SIZE], const uint8_t *passphrase, size_t len,
	       uint8_t ret_key[STORE_KEY_SIZE])
{
	uint8_t wrapping[STORE_KEY_SIZE];
	struct key_wrapped k;
	int r;

	if ((r = key_wrapped_parse(bytes, KEY_WRAPPED_SIZE, &k)) < 0 ||
	    (r = stretch(&k.cost, k.salt, passphrase, len, wrapping)) < 0)
		return r;
	r = crypto_aead_xchacha20poly1305_ietf_decrypt(ret_key, NULL, NULL, k.sealed,
						       STORE_KEY_SIZE + TAG_LEN, bytes, CLEAR_LEN,
						       k.nonce, wrapping);
	sodium_memzero(wrapping, sizeof wrapping);
	return r == 0 ? 0 : -EKEYREJECTED;
}

/* The file of the trail's signer. In the monitor before it serves, and on the command line. The
 * file is not trusted: its clear part is authenticated with each seal, and the public key must be
 * the seed's.
 *
 *   8 "SPSIGNER"   4 version   4 count, 1 or 2   32 public key
 *   count times: 16 id of the key of the secrets   24 nonce   32 the seed, sealed   16 tag */
#include "auth/signer.h"

#include <fcntl.h>
#include <stdio.h>
#include "auth/why.h"
#include "gateway/base/bytes.h"
#include "gateway/base/fd.h"

#define MAGIC	  "SPSIGNER"
#define MAGIC_LEN 8
#define VERSION	  1
#define NONCE_LEN crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_LEN	  crypto_aead_xchacha20poly1305_ietf_ABYTES
#define CLEAR_LEN (STORE_KEY_ID_SIZE + NONCE_LEN) /* of a seal */

_Static_assert(CLEAR_LEN + SIGNER_SEED_SIZE + TAG_LEN == SIGNER_SEALED_SIZE, "nothing else");
_Static_assert(crypto_sign_SEEDBYTES == SIGNER_SEED_SIZE, "one seed");
_Static_assert(crypto_sign_PUBLICKEYBYTES == SIGNER_PUBLIC_SIZE, "one key");

int signer_parse(const uint8_t *bytes, size_t len, struct signer_file *ret)
{
	struct rd r = rd_over(bytes, len);
	const uint8_t *magic = rd_bytes(&r, MAGIC_LEN);
	uint64_t version = rd_be(&r, 4), count = rd_be(&r, 4);
	struct signer_file f = {.public_key = rd_bytes(&r, SIGNER_PUBLIC_SIZE)};

	if (r.failed || memcmp(magic, MAGIC, MAGIC_LEN) != 0 || version != VERSION || count == 0 ||
	    count > SIGNER_SEALS_MAX)
		return -EBADMSG;
	for (; f.count < count; f.count++)
		f.sealed[f.count] = rd_bytes(&r, SIGNER_SEALED_SIZE);
	if (r.failed || rd_left(&r) > 0)
		return -EBADMSG;
	*ret = f;
	return 0;
}

/* --- seals ----------------------------------------------------------------------------------- */

/* What is authenticated with the seed, however many seals there are. */
#define BOUND_LEN (MAGIC_LEN + 4 + SIGNER_PUBLIC_SIZE)

static void bound_make(const uint8_t *public_key, uint8_t ret[BOUND_LEN])
{
	struct wr w = wr_over(ret, BOUND_LEN);

	wr_bytes(&w, MAGIC, MAGIC_LEN);
	wr_be(&w, 4, VERSION);
	wr_bytes(&w, public_key, SIGNER_PUBLIC_SIZE);
	assert(!w.failed && wr_len(&w) == BOUND_LEN);
}

static void seal_put(struct wr *w, const uint8_t *key, const uint8_t *seed,
		     const uint8_t *public_key)
{
	uint8_t sealed[SIGNER_SEALED_SIZE], bound[BOUND_LEN];

	store_key_id(key, sealed);
	randombytes_buf(sealed + STORE_KEY_ID_SIZE, NONCE_LEN);
	bound_make(public_key, bound);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + CLEAR_LEN, NULL, seed,
							 SIGNER_SEED_SIZE, bound, sizeof bound,
							 NULL, sealed + STORE_KEY_ID_SIZE, key);
	wr_bytes(w, sealed, sizeof sealed);
}

/* -EKEYREJECTED: under other keys only. */
static int seal_open(const struct signer_file *f, const uint8_t *key,
		     uint8_t ret_seed[SIGNER_SEED_SIZE])
{
	uint8_t id[STORE_KEY_ID_SIZE], bound[BOUND_LEN];

	store_key_id(key, id);
	bound_make(f->public_key, bound);
	for (size_t k = 0; k < f->count; k++) {
		const uint8_t *sealed = f->sealed[k];

		if (sodium_memcmp(sealed, id, sizeof id) != 0)
			continue;
		return crypto_aead_xchacha20poly1305_ietf_decrypt(
			       ret_seed, NULL, NULL, sealed + CLEAR_LEN, SIGNER_SEED_SIZE + TAG_LEN,
			       bound, sizeof bound, sealed + STORE_KEY_ID_SIZE, key) == 0
			       ? 0
			       : -EBADMSG;
	}
	return -EKEYREJECTED;
}

static bool is_of_seed(const uint8_t *public_key, const uint8_t *seed)
{
	uint8_t own[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];

	(void)crypto_sign_seed_keypair(own, secret, seed);
	sodium_memzero(secret, sizeof secret);
	return sodium_memcmp(own, public_key, sizeof own) == 0;
}

/* --- the file -------------------------------------------------------------------------------- */

static int seals_write(int state_fd, const uint8_t *const keys[], size_t count, const uint8_t *seed)
{
	uint8_t bytes[SIGNER_BYTES_MAX], secret[crypto_sign_SECRETKEYBYTES];
	uint8_t public_key[SIGNER_PUBLIC_SIZE];
	struct wr w = wr_over(bytes, sizeof bytes);

	(void)crypto_sign_seed_keypair(public_key, secret, seed);
	sodium_memzero(secret, sizeof secret);
	wr_bytes(&w, MAGIC, MAGIC_LEN);
	wr_be(&w, 4, VERSION);
	wr_be(&w, 4, count);
	wr_bytes(&w, public_key, sizeof public_key);
	for (size_t k = 0; k < count; k++)
		seal_put(&w, keys[k], seed, public_key);
	assert(!w.failed);
	return file_replace_with_folder(state_fd, SIGNER_FILE, bytes, wr_len(&w), 0600);
}

/* -ENOENT: there is none. */
static int file_read(int state_fd, uint8_t ret[SIGNER_BYTES_MAX + 1], size_t *ret_len)
{
	OWNED_FD fd = openat(state_fd, SIGNER_FILE,
			     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, ret, SIGNER_BYTES_MAX + 1, 0);

	if (n < 0)
		return -errno;
	*ret_len = (size_t)n;
	return 0;
}

static int seed_read(int state_fd, const uint8_t *key, uint8_t ret_seed[SIGNER_SEED_SIZE],
		     size_t *ret_count)
{
	uint8_t bytes[SIGNER_BYTES_MAX + 1];
	struct signer_file f;
	size_t len = 0;
	int r = file_read(state_fd, bytes, &len);

	if (r == 0)
		r = signer_parse(bytes, len, &f);
	if (r == 0)
		r = seal_open(&f, key, ret_seed);
	if (r == 0 && !is_of_seed(f.public_key, ret_seed))
		r = -EBADMSG;
	if (r == 0)
		*ret_count = f.count;
	return r;
}

static int tell(const struct why *why, int error)
{
	if (error == -EBADMSG)
		return why_say(why, error,
			       "the audit trail's signer (" SIGNER_FILE
			       " in the state folder) is damaged: put a copy back; or remove it, "
			       "and another one signs from now on, whose key has to be handed out "
			       "anew (sallyport audit key --public)");
	if (error == -EKEYREJECTED)
		return why_say(why, error,
			       "the audit trail's signer (" SIGNER_FILE
			       " in the state folder) was sealed under another key than the key "
			       "file holds: put the right key back; or remove the signer, and "
			       "another one signs from now on, whose key has to be handed out anew "
			       "(sallyport audit key --public)");
	return why_say(why, error,
		       "the audit trail's signer (" SIGNER_FILE
		       " in the state folder) can't be read: %s",
		       strerror(-error));
}

static int tell_unwritten(const struct why *why, int error)
{
	return why_say(why, error,
		       "the audit trail's signer (" SIGNER_FILE
		       " in the state folder) can't be written: %s",
		       strerror(-error));
}

int signer_open(int state_fd, const uint8_t key[STORE_KEY_SIZE], uint8_t ret_seed[SIGNER_SEED_SIZE],
		char *ret_why, size_t why_size)
{
	const struct why why = {ret_why, why_size};
	size_t count = 1;
	bool made;
	int r = seed_read(state_fd, key, ret_seed, &count);

	made = r == -ENOENT;
	if (made)
		randombytes_buf(ret_seed, SIGNER_SEED_SIZE);
	else if (r < 0)
		return tell(&why, r);
	/* Of a change of the key that was cut: that is settled, and the other key is gone. */
	if (made || count > 1)
		r = seals_write(state_fd, &key, 1, ret_seed);
	return r < 0 ? tell_unwritten(&why, r) : made;
}

static int seal_again(int state_fd, const uint8_t *const keys[], size_t count,
		      const struct why *why)
{
	uint8_t seed[SIGNER_SEED_SIZE];
	size_t before;
	int r = seed_read(state_fd, keys[0], seed, &before);

	if (r < 0)
		return r == -ENOENT ? 0 : tell(why, r);
	r = seals_write(state_fd, keys, count, seed);
	sodium_memzero(seed, sizeof seed);
	return r < 0 ? tell_unwritten(why, r) : 0;
}

int signer_seal_under_both(int state_fd, const uint8_t key[STORE_KEY_SIZE],
			   const uint8_t next_key[STORE_KEY_SIZE], char *ret_why, size_t why_size)
{
	const uint8_t *const keys[] = {key, next_key};
	const struct why why = {ret_why, why_size};

	return seal_again(state_fd, keys, ARRAY_LEN(keys), &why);
}

int signer_seal_under_one(int state_fd, const uint8_t key[STORE_KEY_SIZE], char *ret_why,
			  size_t why_size)
{
	const struct why why = {ret_why, why_size};

	return seal_again(state_fd, &key, 1, &why);
}

/* Sealed files. Written on the command line; read there, in the monitor's name by the
 * authenticator in its sandbox, and never believed before the seal is open.
 *
 *   8 "SPSEALED"   4 version   4 count, 1 or 2   4 octets in clear   4 octets of the secret
 *   what is in clear
 *   count times: 16 id of the key of the secrets   24 nonce   the secret, sealed   16 tag */
#include "auth/sealed.h"

#include <fcntl.h>
#include "gateway/base/bytes.h"
#include "gateway/base/fd.h"

#define MAGIC	  "SPSEALED"
#define MAGIC_LEN 8
#define VERSION	  1
#define NONCE_LEN crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEAL_HEAD (STORE_KEY_ID_SIZE + NONCE_LEN)
#define KIND_SIZE 32
#define BOUND_MAX (MAGIC_LEN + 4 + KIND_SIZE + 4 + SEALED_CLEAR_MAX)

_Static_assert(NONCE_LEN == 24, "as the format says");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == SEALED_TAG_SIZE, "one tag");

int sealed_parse(const uint8_t *bytes, size_t len, struct sealed_file *ret)
{
	struct rd r = rd_over(bytes, len);
	const uint8_t *magic = rd_bytes(&r, MAGIC_LEN);
	uint64_t version = rd_be(&r, 4), count = rd_be(&r, 4);
	struct sealed_file f = {.clear_len = (size_t)rd_be(&r, 4)};

	f.secret_len = (size_t)rd_be(&r, 4);
	if (r.failed || memcmp(magic, MAGIC, MAGIC_LEN) != 0 || version != VERSION || count == 0 ||
	    count > SEALED_SEALS_MAX || f.clear_len > SEALED_CLEAR_MAX || f.secret_len == 0 ||
	    f.secret_len > SEALED_SECRET_MAX)
		return -EBADMSG;
	f.clear = rd_bytes(&r, f.clear_len);
	for (; f.count < count; f.count++)
		f.seals[f.count] = rd_bytes(&r, SEAL_HEAD + f.secret_len + SEALED_TAG_SIZE);
	if (r.failed || rd_left(&r) > 0)
		return -EBADMSG;
	*ret = f;
	return 0;
}

/* --- seals ----------------------------------------------------------------------------------- */

/* What is authenticated with the secret, however many seals there are. */
static size_t bound_make(const char *kind, const uint8_t *clear, size_t len, uint8_t ret[BOUND_MAX])
{
	char padded[KIND_SIZE] = {0};
	struct wr w = wr_over(ret, BOUND_MAX);

	(void)string_copy(padded, sizeof padded, kind);
	wr_bytes(&w, MAGIC, MAGIC_LEN);
	wr_be(&w, 4, VERSION);
	wr_bytes(&w, padded, sizeof padded);
	wr_be(&w, 4, len);
	wr_bytes(&w, clear, len);
	assert(!w.failed);
	return wr_len(&w);
}

static void seal_put(struct wr *w, const struct sealed *s, const uint8_t *key)
{
	uint8_t seal[SEALED_SEAL_MAX], bound[BOUND_MAX];
	size_t bound_len = bound_make(s->kind, s->clear, s->clear_len, bound);

	store_key_id(key, seal);
	randombytes_buf(seal + STORE_KEY_ID_SIZE, NONCE_LEN);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(seal + SEAL_HEAD, NULL, s->secret,
							 s->secret_len, bound, bound_len, NULL,
							 seal + STORE_KEY_ID_SIZE, key);
	wr_bytes(w, seal, SEAL_HEAD + s->secret_len + SEALED_TAG_SIZE);
}

int sealed_open(const struct sealed_file *f, const char *kind, const uint8_t key[STORE_KEY_SIZE],
		uint8_t *ret_secret, size_t size)
{
	uint8_t id[STORE_KEY_ID_SIZE], bound[BOUND_MAX];
	size_t bound_len = bound_make(kind, f->clear, f->clear_len, bound);

	if (size < f->secret_len)
		return -ENOBUFS;
	store_key_id(key, id);
	for (size_t k = 0; k < f->count; k++) {
		const uint8_t *seal = f->seals[k];

		if (sodium_memcmp(seal, id, sizeof id) != 0)
			continue;
		return crypto_aead_xchacha20poly1305_ietf_decrypt(
			       ret_secret, NULL, NULL, seal + SEAL_HEAD,
			       f->secret_len + SEALED_TAG_SIZE, bound, bound_len,
			       seal + STORE_KEY_ID_SIZE, key) == 0
			       ? 0
			       : -EBADMSG;
	}
	return -EKEYREJECTED;
}

/* --- files ----------------------------------------------------------------------------------- */

int sealed_read(int fd, uint8_t ret_bytes[SEALED_BYTES_MAX + 1], struct sealed_file *ret)
{
	ssize_t n = pread(fd, ret_bytes, SEALED_BYTES_MAX + 1, 0);

	return n < 0 ? -errno : sealed_parse(ret_bytes, (size_t)n, ret);
}

int sealed_write(int folder_fd, const char *name, const struct sealed *s,
		 const struct sealed_keys *keys)
{
	uint8_t bytes[SEALED_BYTES_MAX];
	struct wr w = wr_over(bytes, sizeof bytes);

	assert(keys->count >= 1 && keys->count <= SEALED_SEALS_MAX &&
	       s->clear_len <= SEALED_CLEAR_MAX && s->secret_len >= 1 &&
	       s->secret_len <= SEALED_SECRET_MAX);
	wr_bytes(&w, MAGIC, MAGIC_LEN);
	wr_be(&w, 4, VERSION);
	wr_be(&w, 4, keys->count);
	wr_be(&w, 4, s->clear_len);
	wr_be(&w, 4, s->secret_len);
	wr_bytes(&w, s->clear, s->clear_len);
	for (size_t k = 0; k < keys->count; k++)
		seal_put(&w, s, keys->list[k]);
	assert(!w.failed);
	return file_replace_with_folder(folder_fd, name, bytes, wr_len(&w), 0600);
}

int sealed_again(int folder_fd, const char *name, const char *kind, const struct sealed_keys *keys,
		 uint8_t *memory)
{
	OWNED_FD fd =
		openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	uint8_t bytes[SEALED_BYTES_MAX + 1];
	struct sealed_file f;
	struct sealed s;
	int r = fd < 0 ? -errno : sealed_read(fd, bytes, &f);

	if (r == 0)
		r = sealed_open(&f, kind, keys->list[0], memory, SEALED_SECRET_MAX);
	if (r < 0)
		return r;
	s = (struct sealed){kind, f.clear, memory, f.clear_len, f.secret_len};
	r = sealed_write(folder_fd, name, &s, keys);
	sodium_memzero(memory, SEALED_SECRET_MAX);
	return r;
}

/* The store's form: header, one row of fixed size a name, then the sealed secrets, one
 * slot of fixed size each, so that lengths don't show. Runs in the authenticator and in
 * `sallyport secret`; its clear part also in `check`. The bytes are not trusted: every
 * size is checked before use, and what is sealed must also be well-formed.
 *
 *   8 "SPSECRET"   4 version   4 count   16 key id   24 nonce
 *   count times: 64 name, zero-filled   8 created   1 kind   7 zero
 *   count times 256 (1 length, 255 octets, zero-filled), sealed   16 tag */
#include "auth/store.h"

#include "gateway/base/bytes.h"

#define MAGIC	     "SPSECRET"
#define MAGIC_LEN    8
#define VERSION	     1
#define KEY_ID_LEN   16
#define NONCE_LEN    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_LEN	     crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HEADER_LEN   (MAGIC_LEN + 4 + 4 + KEY_ID_LEN + NONCE_LEN)
#define ROW_LEN	     (STORE_NAME_SIZE + 8 + 1 + 7)
#define SLOT_LEN     sizeof(struct secret)
#define CREATED_MAX  253402300799u /* the end of the year 9999 */
#define CLEAR_LEN(n) (HEADER_LEN + (n)*ROW_LEN)
#define TOTAL_LEN(n) (CLEAR_LEN(n) + (n)*SLOT_LEN + TAG_LEN)

_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == STORE_KEY_SIZE, "one key");
_Static_assert(TOTAL_LEN(STORE_ENTRIES_MAX) <= STORE_BYTES_MAX, "a full store can be read");

const char *store_kind_name(enum store_kind kind)
{
	return kind == STORE_GENERATED ? "generated" : kind == STORE_SET ? "set" : "invalid";
}

bool store_name_valid(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	size_t len = strnlen(name, STORE_NAME_SIZE);

	return len > 0 && len <= STORE_NAME_MAX && strspn(name, letters) == len;
}

/* --- the clear part -------------------------------------------------------------------------- */

struct header {
	uint32_t version, count;
	const uint8_t *key_id, *nonce;
};

static int header_read(struct rd *r, size_t len, struct header *ret_header)
{
	const uint8_t *magic = rd_bytes(r, MAGIC_LEN);
	struct header h = {.version = (uint32_t)rd_be(r, 4), .count = (uint32_t)rd_be(r, 4)};

	h.key_id = rd_bytes(r, KEY_ID_LEN);
	h.nonce = rd_bytes(r, NONCE_LEN);
	if (r->failed || memcmp(magic, MAGIC, MAGIC_LEN) != 0 || h.version != VERSION)
		return -EBADMSG;
	if (h.count > STORE_ENTRIES_MAX || len != TOTAL_LEN(h.count))
		return -EBADMSG;
	*ret_header = h;
	return 0;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return sodium_is_zero(p, len) == 1;
}

static int row_read(struct rd *r, struct store_entry *ret_entry)
{
	struct store_entry e = {0};
	const uint8_t *name = rd_bytes(r, STORE_NAME_SIZE), *zero;
	size_t len;

	e.created_s = rd_be(r, 8);
	e.kind = (enum store_kind)rd_be(r, 1);
	zero = rd_bytes(r, 7);
	if (r->failed || name[STORE_NAME_MAX] != 0 || !is_zero(zero, 7))
		return -EBADMSG;
	len = strlen((const char *)name);
	memcpy(e.name, name, len);
	if (!store_name_valid(e.name) || !is_zero(name + len, STORE_NAME_SIZE - len) ||
	    e.created_s > CREATED_MAX || e.kind == STORE_KIND_INVALID || e.kind >= STORE_KINDS)
		return -EBADMSG;
	*ret_entry = e;
	return 0;
}

static int rows_read(struct rd *r, struct store_list *list, size_t count)
{
	int error;

	for (; list->count < count; list->count++) {
		struct store_entry *e = &list->entries[list->count];

		if ((error = row_read(r, e)) < 0)
			return error;
		if (list->count > 0 && strcmp(e[-1].name, e->name) >= 0)
			return -EBADMSG;
	}
	return 0;
}

int store_list_parse(const uint8_t *bytes, size_t len, struct store_list *ret_list)
{
	OWNED_BY(store_list_free) struct store_list list = {0};
	struct rd r = rd_over(bytes, len);
	struct header h = {0};
	int error;

	if (len > 0 && (error = header_read(&r, len, &h)) < 0)
		return error;
	list.entries = calloc((size_t)h.count + 1, sizeof *list.entries);
	if (!list.entries)
		return -ENOMEM;
	if ((error = rows_read(&r, &list, h.count)) < 0)
		return error;
	*ret_list = list;
	list.entries = NULL;
	return 0;
}

void store_list_free(struct store_list *list)
{
	free(list->entries);
	*list = (struct store_list){0};
}

ssize_t store_list_find(const struct store_list *list, const char *name)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(list->entries[middle].name, name);

		if (order == 0)
			return (ssize_t)middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

bool store_list_knows(void *list, const char *name)
{
	return store_list_find(list, name) >= 0;
}

/* --- unsealing and sealing ------------------------------------------------------------------- */

/* Tells another key from damage, without telling anything about the key. */
static void key_id(const uint8_t key[STORE_KEY_SIZE], uint8_t ret_id[KEY_ID_LEN])
{
	static const char what[] = "sallyport: which key sealed this store";

	int r = crypto_generichash(ret_id, KEY_ID_LEN, (const uint8_t *)what, sizeof what - 1, key,
				   STORE_KEY_SIZE);
	assert(r == 0);
}

static bool secret_well_formed(const struct secret *s)
{
	return s->len >= CHAP_SECRET_MIN &&
	       is_zero(s->octets + s->len, CHAP_SECRET_MAX - (size_t)s->len);
}

static int secrets_unseal(struct store *s, const uint8_t *key, const uint8_t *bytes, size_t len)
{
	struct rd r = rd_over(bytes, len);
	uint8_t id[KEY_ID_LEN];
	size_t clear;
	struct header h;
	int error;

	if ((error = header_read(&r, len, &h)) < 0)
		return error;
	clear = CLEAR_LEN(h.count);
	key_id(key, id);
	if (sodium_memcmp(id, h.key_id, sizeof id) != 0)
		return -EKEYREJECTED;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt((uint8_t *)s->secrets, NULL, NULL,
						       bytes + clear, len - clear, bytes, clear,
						       h.nonce, key) != 0)
		return -EBADMSG;
	for (size_t i = 0; i < h.count; i++)
		if (!secret_well_formed(&s->secrets[i]))
			return -EBADMSG;
	return 0;
}

int store_unseal(struct store *s, const uint8_t key[STORE_KEY_SIZE], const uint8_t *bytes,
		 size_t len)
{
	int r;

	store_clear(s);
	if ((r = store_list_parse(bytes, len, &s->list)) < 0)
		return r;
	r = s->list.count > s->room ? -ENOSPC : 0;
	if (r == 0 && len > 0)
		r = secrets_unseal(s, key, bytes, len);
	if (r < 0)
		store_clear(s);
	return r;
}

void store_clear(struct store *s)
{
	store_list_free(&s->list);
	if (s->room > 0)
		sodium_memzero(s->secrets, s->room * sizeof *s->secrets);
}

int store_seal(const struct store *s, const uint8_t key[STORE_KEY_SIZE], uint8_t **ret_bytes,
	       size_t *ret_len)
{
	const size_t count = s->list.count, clear = CLEAR_LEN(count), len = TOTAL_LEN(count);
	OWNED_FREE uint8_t *bytes = calloc(1, len);
	uint8_t id[KEY_ID_LEN], nonce[NONCE_LEN];
	struct wr w;

	assert(count <= STORE_ENTRIES_MAX);
	if (!bytes)
		return -ENOMEM;
	key_id(key, id);
	randombytes_buf(nonce, sizeof nonce);
	w = wr_over(bytes, clear);
	wr_bytes(&w, MAGIC, MAGIC_LEN);
	wr_be(&w, 4, VERSION);
	wr_be(&w, 4, count);
	wr_bytes(&w, id, sizeof id);
	wr_bytes(&w, nonce, sizeof nonce);
	for (size_t i = 0; i < count; i++) {
		wr_bytes(&w, s->list.entries[i].name, STORE_NAME_SIZE);
		wr_be(&w, 8, s->list.entries[i].created_s);
		wr_be(&w, 1, s->list.entries[i].kind);
		wr_zero(&w, 7);
	}
	assert(!w.failed && wr_len(&w) == clear);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(
		bytes + clear, NULL, (const uint8_t *)s->secrets, count * SLOT_LEN, bytes, clear,
		NULL, nonce, key);
	*ret_bytes = TAKE(bytes);
	*ret_len = len;
	return 0;
}

/* --- changing -------------------------------------------------------------------------------- */

/* All are compared, so that the time tells nothing. */
static ssize_t secret_find(const struct store *s, const struct secret *secret, const char *except)
{
	ssize_t found = -1;

	for (size_t i = 0; i < s->list.count; i++)
		if (secret_equal(&s->secrets[i], secret) &&
		    strcmp(s->list.entries[i].name, except) != 0)
			found = (ssize_t)i;
	return found;
}

/* Makes room for the name at its place in the order; returns the place or -ENOSPC. */
static ssize_t place_make(struct store *s, const char *name)
{
	struct store_list *list = &s->list;
	struct store_entry *more;
	size_t at = 0;

	if (list->count >= MIN(s->room, (size_t)STORE_ENTRIES_MAX))
		return -ENOSPC;
	more = reallocarray(list->entries, list->count + 1, sizeof *more);
	if (!more)
		return -ENOMEM;
	list->entries = more;
	while (at < list->count && strcmp(more[at].name, name) < 0)
		at++;
	memmove(more + at + 1, more + at, (list->count - at) * sizeof *more);
	memmove(s->secrets + at + 1, s->secrets + at, (list->count - at) * sizeof *s->secrets);
	list->count++;
	return (ssize_t)at;
}

int store_put(struct store *s, const struct store_entry *entry, const struct secret *secret,
	      const char **ret_other)
{
	struct store_entry clean = {.created_s = entry->created_s, .kind = entry->kind};
	ssize_t at, other;

	if (!store_name_valid(entry->name) || !secret_well_formed(secret))
		return -EINVAL;
	(void)string_copy(clean.name, sizeof clean.name, entry->name);
	at = store_list_find(&s->list, clean.name);
	if ((other = secret_find(s, secret, clean.name)) >= 0) {
		*ret_other = s->list.entries[other].name;
		return -EEXIST;
	}
	if (at < 0 && (at = place_make(s, clean.name)) < 0)
		return (int)at;
	s->list.entries[at] = clean;
	s->secrets[at] = *secret;
	return 0;
}

int store_remove(struct store *s, const char *name)
{
	ssize_t at = store_list_find(&s->list, name);
	size_t after;

	if (at < 0)
		return -ENOENT;
	after = s->list.count - (size_t)at - 1;
	memmove(s->list.entries + at, s->list.entries + at + 1, after * sizeof *s->list.entries);
	memmove(s->secrets + at, s->secrets + at + 1, after * sizeof *s->secrets);
	s->list.count--;
	secret_wipe(&s->secrets[s->list.count]);
	return 0;
}

/* The store's form: header, one row of fixed size a name, then the sealed secrets, one
 * slot of fixed size each, so that lengths don't show. Runs in the authenticator and in
 * `sallyport secret`; its clear part also in `check`. The bytes are not trusted: every
 * size is checked before use, and what is sealed must also be well-formed.
 *
 *   8 "SPSECRET"   4 version   4 count   16 key id   24 nonce
 *   count times: 64 name, zero-filled   8 created   1 kind   7 until, or zero
 *   count times 256 (1 length, 255 octets, zero-filled), sealed   16 tag */
#include "auth/store.h"

#include "gateway/base/bytes.h"

#define MAGIC	     "SPSECRET"
#define MAGIC_LEN    8
#define VERSION	     2
#define VERSION_OLD  1 /* knew no rotation */
#define KEY_ID_LEN   STORE_KEY_ID_SIZE
#define NONCE_LEN    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_LEN	     crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HEADER_LEN   (MAGIC_LEN + 4 + 4 + KEY_ID_LEN + NONCE_LEN)
#define ROW_LEN	     (STORE_NAME_SIZE + 8 + 1 + 7)
#define SLOT_LEN     sizeof(struct secret)
#define TIME_MAX     253402300799u /* the end of the year 9999 */
#define CLEAR_LEN(n) (HEADER_LEN + (n)*ROW_LEN)
#define TOTAL_LEN(n) (CLEAR_LEN(n) + (n)*SLOT_LEN + TAG_LEN)

_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == STORE_KEY_SIZE, "one key");
_Static_assert(HEADER_LEN == STORE_HEADER_SIZE, "as others read it");
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

static int header_parse(struct rd *r, struct header *ret_header)
{
	const uint8_t *magic = rd_bytes(r, MAGIC_LEN);
	struct header h = {.version = (uint32_t)rd_be(r, 4), .count = (uint32_t)rd_be(r, 4)};

	h.key_id = rd_bytes(r, KEY_ID_LEN);
	h.nonce = rd_bytes(r, NONCE_LEN);
	if (r->failed || memcmp(magic, MAGIC, MAGIC_LEN) != 0 ||
	    (h.version != VERSION && h.version != VERSION_OLD))
		return -EBADMSG;
	if (h.count > STORE_ENTRIES_MAX)
		return -EBADMSG;
	*ret_header = h;
	return 0;
}

static int header_read(struct rd *r, size_t len, struct header *ret_header)
{
	struct header h;
	int error = header_parse(r, &h);

	if (error < 0)
		return error;
	if (len != TOTAL_LEN(h.count))
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
	const uint8_t *name = rd_bytes(r, STORE_NAME_SIZE);
	size_t len;

	e.created_s = rd_be(r, 8);
	e.kind = (enum store_kind)rd_be(r, 1);
	e.until_s = rd_be(r, 7);
	if (r->failed || name[STORE_NAME_MAX] != 0)
		return -EBADMSG;
	len = strlen((const char *)name);
	memcpy(e.name, name, len);
	if (!store_name_valid(e.name) || !is_zero(name + len, STORE_NAME_SIZE - len) ||
	    e.created_s > TIME_MAX || e.until_s > TIME_MAX || e.kind == STORE_KIND_INVALID ||
	    e.kind >= STORE_KINDS)
		return -EBADMSG;
	*ret_entry = e;
	return 0;
}

/* May `e` stand behind `last` (NULL: as the first)? */
static bool row_follows(const struct store_entry *last, const struct store_entry *e)
{
	int order = last ? strcmp(last->name, e->name) : -1;

	return e->until_s == 0 ? order < 0 : order == 0 && last->until_s == 0;
}

static int rows_read(struct rd *r, struct store_list *list, size_t count)
{
	int error;

	for (; list->count < count; list->count++) {
		struct store_entry *e = &list->entries[list->count];

		if ((error = row_read(r, e)) < 0)
			return error;
		if (!row_follows(list->count > 0 ? e - 1 : NULL, e))
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
	for (size_t i = 0; i < list.count; i++)
		if (h.version == VERSION_OLD && list.entries[i].until_s != 0)
			return -EBADMSG;
	*ret_list = list;
	list.entries = NULL;
	return 0;
}

void store_list_free(struct store_list *list)
{
	free(list->entries);
	*list = (struct store_list){0};
}

/* The first place whose name is not before this one. */
static size_t place_of(const struct store_list *list, const char *name)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(list->entries[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

ssize_t store_list_find(const struct store_list *list, const char *name)
{
	size_t at = place_of(list, name);

	return at < list->count && strcmp(list->entries[at].name, name) == 0 ? (ssize_t)at : -1;
}

ssize_t store_list_before(const struct store_list *list, size_t at)
{
	return at + 1 < list->count && list->entries[at + 1].until_s != 0 ? (ssize_t)at + 1 : -1;
}

bool store_list_knows(void *list, const char *name)
{
	return store_list_find(list, name) >= 0;
}

/* --- unsealing and sealing ------------------------------------------------------------------- */

/* Tells another key from damage, too. */
void store_key_id(const uint8_t key[STORE_KEY_SIZE], uint8_t ret_id[STORE_KEY_ID_SIZE])
{
	static const char what[] = "sallyport: which key sealed this store";

	int r = crypto_generichash(ret_id, KEY_ID_LEN, (const uint8_t *)what, sizeof what - 1, key,
				   STORE_KEY_SIZE);
	assert(r == 0);
}

int store_header_key_id(const uint8_t bytes[STORE_HEADER_SIZE], uint8_t ret_id[STORE_KEY_ID_SIZE])
{
	struct rd r = rd_over(bytes, STORE_HEADER_SIZE);
	struct header h;
	int error = header_parse(&r, &h);

	if (error == 0)
		memcpy(ret_id, h.key_id, STORE_KEY_ID_SIZE);
	return error;
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
	store_key_id(key, id);
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
	store_key_id(key, id);
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
		wr_be(&w, 7, s->list.entries[i].until_s);
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

static int place_make(struct store *s, size_t at)
{
	struct store_list *list = &s->list;
	struct store_entry *more;

	if (list->count >= MIN(s->room, (size_t)STORE_ENTRIES_MAX))
		return -ENOSPC;
	more = reallocarray(list->entries, list->count + 1, sizeof *more);
	if (!more)
		return -ENOMEM;
	list->entries = more;
	memmove(more + at + 1, more + at, (list->count - at) * sizeof *more);
	memmove(s->secrets + at + 1, s->secrets + at, (list->count - at) * sizeof *s->secrets);
	list->count++;
	return 0;
}

static void place_wipe(struct store *s, size_t at)
{
	const size_t after = s->list.count - at - 1;

	memmove(s->list.entries + at, s->list.entries + at + 1, after * sizeof *s->list.entries);
	memmove(s->secrets + at, s->secrets + at + 1, after * sizeof *s->secrets);
	s->list.count--;
	secret_wipe(&s->secrets[s->list.count]);
}

/* May this secret be put under this name? `except`: the name that may have it already. */
static int put_check(const struct store *s, const struct store_entry *entry,
		     const struct secret *secret, const char *except, const char **ret_other)
{
	ssize_t other;

	if (!store_name_valid(entry->name) || !secret_well_formed(secret))
		return -EINVAL;
	if ((other = secret_find(s, secret, except)) < 0)
		return 0;
	*ret_other = s->list.entries[other].name;
	return -EEXIST;
}

static void place_fill(struct store *s, size_t at, const struct store_entry *entry,
		       const struct secret *secret)
{
	struct store_entry clean = {.created_s = entry->created_s, .kind = entry->kind};

	(void)string_copy(clean.name, sizeof clean.name, entry->name);
	s->list.entries[at] = clean;
	s->secrets[at] = *secret;
}

int store_put(struct store *s, const struct store_entry *entry, const struct secret *secret,
	      const char **ret_other)
{
	int r = put_check(s, entry, secret, entry->name, ret_other);
	ssize_t found, before;
	size_t at;

	if (r < 0)
		return r;
	at = place_of(&s->list, entry->name);
	found = store_list_find(&s->list, entry->name);
	if (found < 0 && (r = place_make(s, at)) < 0)
		return r;
	if (found >= 0 && (before = store_list_before(&s->list, at)) >= 0)
		place_wipe(s, (size_t)before);
	place_fill(s, at, entry, secret);
	return 0;
}

int store_rotate(struct store *s, const struct store_entry *entry, const struct secret *secret,
		 uint64_t until_s, const char **ret_other)
{
	int r = put_check(s, entry, secret, "", ret_other);
	ssize_t at = store_list_find(&s->list, entry->name);

	if (r < 0)
		return r;
	if (at < 0)
		return -ENOENT;
	if (store_list_before(&s->list, (size_t)at) >= 0)
		return -EALREADY;
	if (until_s == 0 || until_s > TIME_MAX)
		return -EINVAL;
	if ((r = place_make(s, (size_t)at)) < 0)
		return r;
	s->list.entries[at + 1].until_s = until_s;
	place_fill(s, (size_t)at, entry, secret);
	return 0;
}

size_t store_expire(struct store *s, uint64_t now_s)
{
	size_t count = 0;

	for (size_t i = s->list.count; i-- > 0;) {
		if (s->list.entries[i].until_s == 0 || s->list.entries[i].until_s > now_s)
			continue;
		place_wipe(s, i);
		count++;
	}
	return count;
}

int store_overlap_end(struct store *s, const char *name)
{
	ssize_t at = store_list_find(&s->list, name);
	ssize_t before = at < 0 ? -1 : store_list_before(&s->list, (size_t)at);

	if (before < 0)
		return -ENOENT;
	place_wipe(s, (size_t)before);
	return 0;
}

int store_remove(struct store *s, const char *name)
{
	ssize_t at = store_list_find(&s->list, name);

	if (at < 0)
		return -ENOENT;
	IGNORE_RESULT(store_overlap_end(s, name)); /* it may have none */
	place_wipe(s, (size_t)at);
	return 0;
}

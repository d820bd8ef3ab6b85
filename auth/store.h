/* The secret store: names, kinds and times in clear but authenticated, the secrets
 * sealed as a whole by XChaCha20-Poly1305 under the key file. Names can be listed
 * without the key; secrets come out only into a slab. First the store as bytes
 * (store.c), then its files (store_file.c). */
#pragma once

#include "auth/secret.h"

#define STORE_FILE	  "secrets" /* in the state folder */
#define STORE_NAME_MAX	  63	    /* [A-Za-z0-9._-] */
#define STORE_NAME_SIZE	  (STORE_NAME_MAX + 1)
#define STORE_ENTRIES_MAX 12000 /* two stores of it fit into 8 MiB of locked memory */
#define STORE_KEY_SIZE	  32
#define STORE_KEY_ID_SIZE 16
#define STORE_HEADER_SIZE 56
#define STORE_BYTES_MAX	  (1024 + (size_t)STORE_ENTRIES_MAX * (80 + sizeof(struct secret)))

enum store_kind { STORE_KIND_INVALID, STORE_GENERATED, STORE_SET, STORE_KINDS };
const char *store_kind_name(enum store_kind kind);

struct store_entry {
	char name[STORE_NAME_SIZE];
	uint64_t created_s; /* since 1970 */
	uint64_t until_s; /* 0: the name's secret; else the one before its rotation, good until then
			   */
	enum store_kind kind;
};

/* What is in clear: sorted by name, each name once; right behind it, while a rotation's overlap
 * lasts, the one before. */
struct store_list {
	struct store_entry *entries;
	size_t count;
};

bool store_name_valid(const char *name);
/* No octets at all are an empty store. -EBADMSG: this is no store, or of an unknown version. */
int store_list_parse(const uint8_t *bytes, size_t len, struct store_list *ret_list) MUST_CHECK;
void store_list_free(struct store_list *list);
ssize_t store_list_find(const struct store_list *list, const char *name); /* index or -1 */
/* Where the secret is that this name had before its rotation; -1: there is none. */
ssize_t store_list_before(const struct store_list *list, size_t at);
/* A struct store_list as the `secret_known` of policy_options. */
bool store_list_knows(void *list, const char *name);

struct store {
	struct store_list list;
	struct secret *secrets; /* in a slab, the caller's: of list.entries, in their order */
	size_t room;		/* how many fit there */
};

/* Replaces what s holds. -EBADMSG as above or damaged; -EKEYREJECTED: sealed under another key;
 * -ENOSPC: does not fit. After a failure s is empty. */
int store_unseal(struct store *s, const uint8_t key[STORE_KEY_SIZE], const uint8_t *bytes,
		 size_t len) MUST_CHECK;
/* Frees the list and wipes the secrets; secrets and room stay set. */
void store_clear(struct store *s);
/* Puts a new one or replaces, that of before a rotation, too. -EEXIST: another name has this secret
 * already, or had it before a rotation; *ret_other says which (of s, until it changes). -ENOSPC,
 * -EINVAL. */
int store_put(struct store *s, const struct store_entry *entry, const struct secret *secret,
	      const char **ret_other) MUST_CHECK;
/* The new secret of a name that has one; that one stays good until `until_s`. -ENOENT: it has none;
 * -EALREADY: the overlap of an earlier rotation lasts; -EEXIST as above, and when it is its own. */
int store_rotate(struct store *s, const struct store_entry *entry, const struct secret *secret,
		 uint64_t until_s, const char **ret_other) MUST_CHECK;
/* Wipes what was good until now, of all names. Returns how many those were. */
size_t store_expire(struct store *s, uint64_t now_s);
/* Wipes the one before the rotation. -ENOENT: there is none. */
int store_overlap_end(struct store *s, const char *name) MUST_CHECK;
int store_remove(struct store *s, const char *name) MUST_CHECK; /* both; -ENOENT */
/* Seals under a fresh nonce; *ret_bytes is malloc'd. */
int store_seal(const struct store *s, const uint8_t key[STORE_KEY_SIZE], uint8_t **ret_bytes,
	       size_t *ret_len) MUST_CHECK;

/* Tells keys apart, and nothing about a key. */
void store_key_id(const uint8_t key[STORE_KEY_SIZE], uint8_t ret_id[STORE_KEY_ID_SIZE]);
/* That of the key which sealed it. -EBADMSG: this is no store's header. */
int store_header_key_id(const uint8_t bytes[STORE_HEADER_SIZE],
			uint8_t ret_id[STORE_KEY_ID_SIZE]) MUST_CHECK;

/* --- files, for the monitor, `check` and `sallyport secret` --- */

/* All return 0 (or a descriptor) or -errno, with a sentence for people in ret_why. */

/* Makes sure that there is a key file: checks the one there is, or makes it when there is no store
 * either. A store without its key is an error (-ENOKEY), never a new key; a systemd credential is
 * read and never made. Takes the store's lock meanwhile. */
int store_key_ensure(const char *state_path, int state_fd, char *ret_why,
		     size_t why_size) MUST_CHECK;
/* Opens the key file, read-only, after checking its owner, mode and size. */
int store_key_open(const char *state_path, char *ret_why, size_t why_size) MUST_CHECK;
/* Changing the key, under the store's lock: the next one (as it will be in its file) is put beside
 * the key; then the store is sealed under it and written; then settling puts it in its place, or,
 * when the store is still sealed under the old one, takes it away. store_key_ensure() settles what
 * somebody who was killed left. */
int store_key_next(const char *state_path, const uint8_t *bytes, size_t len, char *ret_why,
		   size_t why_size) MUST_CHECK;
int store_key_settle(const char *state_path, int state_fd, char *ret_why,
		     size_t why_size) MUST_CHECK;
struct passphrase {
	const uint8_t *octets;
	size_t len;
};
/* Of an open key file: is the key under a passphrase? And the key by that. */
bool store_key_is_wrapped(int fd);
int store_key_unwrap(int fd, const struct passphrase *passphrase, uint8_t ret_key[STORE_KEY_SIZE],
		     char *ret_why, size_t why_size) MUST_CHECK;
/* The sealed store, read-only; a memfd without a byte when there is none. */
int store_open(int state_fd, char *ret_why, size_t why_size) MUST_CHECK;
/* The names of the store, for `check` (store_list_knows) and `secret list`; no key is needed. */
int store_list_load(int state_fd, struct store_list *ret_list, char *ret_why,
		    size_t why_size) MUST_CHECK;

/* Whether the store has this name; false also when it can't be read. Reads the file each time. */
bool store_has(int state_fd, const char *name);

/* The lock of whoever changes the store; waits for it. Held until the descriptor is closed. */
int store_lock(int state_fd, char *ret_why, size_t why_size) MUST_CHECK;
/* Replaces the file in one step; it belongs to whom the state folder belongs to. */
int store_write(int state_fd, const uint8_t *bytes, size_t len, char *ret_why,
		size_t why_size) MUST_CHECK;

/* From open descriptors: the authenticator may call these in its sandbox. */
int store_key_read(int fd, uint8_t ret_key[STORE_KEY_SIZE]) MUST_CHECK; /* -EINVAL: wrong size */
/* Reads and unseals; what went wrong with which of both is the sentence. */
int store_load(struct store *s, int store_fd, const uint8_t key[STORE_KEY_SIZE], char *ret_why,
	       size_t why_size) MUST_CHECK;

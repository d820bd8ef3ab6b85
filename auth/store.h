/* The secret store as bytes: names, kinds and times in clear but authenticated, the
 * secrets sealed as a whole by XChaCha20-Poly1305 under the key file. Names can be
 * listed without the key; secrets come out only into a slab. Files are store_file.h's. */
#pragma once

#include "auth/secret.h"

#define STORE_NAME_MAX	  63 /* [A-Za-z0-9._-] */
#define STORE_NAME_SIZE	  (STORE_NAME_MAX + 1)
#define STORE_ENTRIES_MAX 10000
#define STORE_KEY_SIZE	  32
#define STORE_BYTES_MAX	  (1024 + (size_t)STORE_ENTRIES_MAX * (80 + sizeof(struct secret)))

enum store_kind { STORE_KIND_INVALID, STORE_GENERATED, STORE_SET, STORE_KINDS };
const char *store_kind_name(enum store_kind kind);

struct store_entry {
	char name[STORE_NAME_SIZE];
	uint64_t created_s; /* since 1970 */
	enum store_kind kind;
};

/* What is in clear: sorted by name, each name once. */
struct store_list {
	struct store_entry *entries;
	size_t count;
};

bool store_name_valid(const char *name);
/* No octets at all are an empty store. -EBADMSG: this is no store, or of an unknown version. */
int store_list_parse(const uint8_t *bytes, size_t len, struct store_list *ret_list) MUST_CHECK;
void store_list_free(struct store_list *list);
ssize_t store_list_find(const struct store_list *list, const char *name); /* index or -1 */
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
/* Puts a new one or replaces. -EEXIST: another name has this secret already; *ret_other says which
 * (of s, until it changes). -ENOSPC, -EINVAL. */
int store_put(struct store *s, const struct store_entry *entry, const struct secret *secret,
	      const char **ret_other) MUST_CHECK;
int store_remove(struct store *s, const char *name) MUST_CHECK; /* -ENOENT */
/* Seals under a fresh nonce; *ret_bytes is malloc'd. */
int store_seal(const struct store *s, const uint8_t key[STORE_KEY_SIZE], uint8_t **ret_bytes,
	       size_t *ret_len) MUST_CHECK;

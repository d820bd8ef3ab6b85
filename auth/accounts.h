/* The users of the policy with their secrets in the store. Finding one takes the same
 * time whether the name is known or not; an unknown one gets a dummy's secrets. */
#pragma once

#include "auth/store.h"

#define ACCOUNTS_MAX 10000

struct tag {
	uint64_t a, b;
};

struct account_secrets {
	int32_t user, mutual; /* indexes in the store; -1: the dummy's */
};

struct accounts {
	struct auth_account *list; /* count, and one more: the dummy */
	struct account_secrets *secrets;
	struct tag *tags;
	size_t count;
	uint32_t algorithms; /* that any account may use */
	const struct store *store;
	const struct secret *dummies; /* two, of the slab */
	uint8_t tag_key[crypto_shorthash_siphashx24_KEYBYTES];
};

/* Whom a proof is about. All of it is there for an unknown name, too. */
struct account {
	bool known;
	uint32_t algorithms;
	const struct secret *secret, *mutual;
	const char *mutual_name; /* "": one-way is enough */
};

/* Fills the two dummies (in a slab) with random octets. */
void accounts_open(struct accounts *a, struct secret dummies[2], const struct store *store);
void accounts_close(struct accounts *a);
/* Replaces all; -EINVAL (a name without an end, too many, unknown algorithms) leaves the old. */
int accounts_set(struct accounts *a, const struct auth_account *list, size_t count,
		 uint32_t algorithms) MUST_CHECK;
/* Looks up all secrets, after either side has changed. Returns how many accounts have none that is
 * usable, with a sentence about the first. An account is usable when its secrets are there, and
 * none of them is used in the other direction. */
size_t accounts_resolve(struct accounts *a, const struct store *store, char *ret_why,
			size_t why_size);
void accounts_find(const struct accounts *a, const char user[CHAP_NAME_SIZE],
		   struct account *ret_account);

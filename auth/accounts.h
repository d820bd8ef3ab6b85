/* The users of the policy with their secrets in the store. Finding one takes the same
 * time whether the name is known or not; an unknown one gets a dummy's secrets. */
#pragma once

#include "auth/store.h"

#define ACCOUNTS_MAX 10000

struct tag {
	uint64_t a, b;
};

enum account_role { ACCOUNT_USER, ACCOUNT_MUTUAL, ACCOUNT_ROLES };

/* Indexes in the store; -1: a dummy. */
struct account_secrets {
	int32_t now[ACCOUNT_ROLES], before[ACCOUNT_ROLES]; /* … its last rotation */
};

#define ACCOUNT_DUMMIES (2 * ACCOUNT_ROLES)

struct accounts {
	struct auth_account *list; /* count, and one more: the dummy */
	struct account_secrets *secrets;
	struct tag *tags;
	size_t count;
	uint32_t algorithms; /* that any account may use */
	const struct store *store;
	const struct secret *dummies; /* of the slab */
	uint8_t tag_key[crypto_shorthash_siphashx24_KEYBYTES];
};

/* Whom a proof is about. All of it is there for an unknown name, too. */
struct account {
	bool known;
	uint32_t algorithms;
	struct account_key {
		const struct secret *now, *before;
		bool overlap;	  /* `before` is a real one, and still good */
		uint64_t since_s; /* when `now` was made */
	} keys[ACCOUNT_ROLES];
	const char *mutual_name; /* "": one-way is enough */
};

/* Fills the dummies (in a slab) with random octets. */
void accounts_open(struct accounts *a, struct secret dummies[ACCOUNT_DUMMIES],
		   const struct store *store);
void accounts_close(struct accounts *a);
/* Replaces all; -EINVAL (a name without an end, too many, unknown algorithms) leaves the old. */
int accounts_set(struct accounts *a, const struct auth_account *list, size_t count,
		 uint32_t algorithms) MUST_CHECK;
/* The same with those of a message AUTH_ACCOUNTS; the descriptor stays the caller's. */
int accounts_take(struct accounts *a, int fd, const struct auth_count *count) MUST_CHECK;
/* Looks up all secrets, after either side has changed. Returns how many accounts have none that is
 * usable, with a sentence about the first. An account is usable when its secrets are there, no
 * other name has one of them, too, and none is used in the other direction. */
size_t accounts_resolve(struct accounts *a, const struct store *store, char *ret_why,
			size_t why_size);
void accounts_find(const struct accounts *a, const char user[CHAP_NAME_SIZE], uint64_t now_s,
		   struct account *ret_account);

/* The private keys of TLS portals, in the authenticator's locked memory, and the one thing that is
 * ever signed with them: a server's part of a handshake, whose octets are built here. Nothing here
 * prints a key, or hands one out. */
#pragma once

#include <openssl/evp.h>
#include "auth/auth.h"
#include "auth/store.h"
#include "auth/why.h"

#define IDENTITIES_MAX 64

struct identity {
	uint32_t number; /* 0: none */
	uint32_t flags;	 /* AUTH_IDENTITY_… */
	EVP_PKEY *key;	 /* in OpenSSL's secure heap */
};

struct identities {
	struct identity list[IDENTITIES_MAX];
	size_t count;
};

/* Locked memory for keys, and what OpenSSL makes once: before the sandbox closes. False: none can
 * be locked, and no key will be taken. */
bool identities_open(void);
void identities_close(void);

/* What a key is read from. */
struct identity_source {
	struct auth_identity info;
	int key_fd, certificate_fd;
	int opens_fd;	    /* the key file of the store, for a sealed one … */
	uint8_t *store_key; /* … and locked memory for it, wiped afterwards */
};
/* Adds one that `from` has already, as it is there: a number is of one key for ever. */
bool identities_keep(struct identities *s, const struct identities *from, uint32_t number);
/* Adds one: 0; or -errno, with why for people. */
int identities_add(struct identities *s, const struct identity_source *source,
		   const struct why *why) MUST_CHECK;
void identities_clear(struct identities *s);
/* A key of its own for one connection; or number 0. */
struct identity identities_take(const struct identities *s, uint32_t number);
void identity_drop(struct identity *i);

/* -EPROTO: no honest session asks that; else *ret_signature, of length 0 when the key is of another
 * kind. */
int identity_sign(const struct identity *i, const struct auth_sign *ask,
		  struct auth_signature *ret_signature) MUST_CHECK;

/* --- identity_sets.c: several times of them ----------------------------------------------- */

struct identity_sets {
	struct identities now, before, next; /* before: for logins that began with them */
	bool staged;			     /* all of next have come */
	char why[256];			     /* "": all that came can be used */
};
/* One of the next; what is wrong with it is in why. */
void identity_sets_add(struct identity_sets *s, const struct identity_source *source);
void identity_sets_end(struct identity_sets *s, uint32_t count); /* so many have come */
void identity_sets_take_up(struct identity_sets *s);		 /* if they have */
void identity_sets_forget(struct identity_sets *s); /* what was not taken up, and why */
/* Its number, also without a key: it is away. */
struct identity identity_sets_find(const struct identity_sets *s, uint32_t number);
void identity_sets_close(struct identity_sets *s);

/* Small files of the state folder that hold a secret under the key of the secrets: what is in
 * clear in them is authenticated with it. Private keys of the gateway's own CA, and its
 * invitations. While the key of the secrets changes, both open them. */
#pragma once

#include "auth/store.h"
#include "auth/why.h"

#define SEALED_SEALS_MAX  2
#define SEALED_CLEAR_MAX  1024
#define SEALED_SECRET_MAX 512
#define SEALED_TAG_SIZE	  16
#define SEALED_SEAL_MAX	  (STORE_KEY_ID_SIZE + 24 + SEALED_SECRET_MAX + SEALED_TAG_SIZE)
#define SEALED_HEAD_SIZE  (8 + 4 + 4 + 4 + 4)
#define SEALED_BYTES_MAX  (SEALED_HEAD_SIZE + SEALED_CLEAR_MAX + SEALED_SEALS_MAX * SEALED_SEAL_MAX)

/* What goes into a file. */
struct sealed {
	const char *kind; /* "ca key": a file of one kind is none of another */
	const uint8_t *clear, *secret;
	size_t clear_len, secret_len;
};

/* Under which it is sealed; the first one opens it. */
struct sealed_keys {
	const uint8_t *list[SEALED_SEALS_MAX]; /* STORE_KEY_SIZE octets each */
	size_t count;
};

/* A file, taken apart; points into the octets that were parsed. */
struct sealed_file {
	const uint8_t *clear;
	size_t clear_len, secret_len, count;
	const uint8_t *seals[SEALED_SEALS_MAX]; /* id of the key, nonce, the secret with its tag */
};
/* -EBADMSG: this is no such file, or of a version that nobody knows. */
int sealed_parse(const uint8_t *bytes, size_t len, struct sealed_file *ret) MUST_CHECK;
/* The secret, into the caller's locked memory. -EKEYREJECTED: under other keys only; -EBADMSG: it
 * is damaged, or of another kind; -ENOBUFS. */
int sealed_open(const struct sealed_file *f, const char *kind, const uint8_t key[STORE_KEY_SIZE],
		uint8_t *ret_secret, size_t size) MUST_CHECK;
/* The whole of an open file, parsed. The octets are in ret_bytes. 0 or -errno. */
int sealed_read(int fd, uint8_t ret_bytes[SEALED_BYTES_MAX + 1],
		struct sealed_file *ret) MUST_CHECK;
/* Writes or replaces the file in one step, sealed under each key. 0 or -errno. */
int sealed_write(int folder_fd, const char *name, const struct sealed *s,
		 const struct sealed_keys *keys) MUST_CHECK;
/* Opened by the first of these keys and sealed under each of them; -ENOENT: it is not there. The
 * secret is in `memory` meanwhile, SEALED_SECRET_MAX octets that are locked. */
int sealed_again(int folder_fd, const char *name, const char *kind, const struct sealed_keys *keys,
		 uint8_t *memory) MUST_CHECK;

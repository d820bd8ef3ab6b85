/* What the verbs of `sallyport secret` work with: the store, opened, locked and unsealed
 * in locked memory, one fresh secret, and the gateway that is to hear of a change. */
#pragma once

#include "auth/slab.h"
#include "auth/store.h"
#include "gateway/cli/cli.h"

#define BENCH_INPUT_SIZE 8192

struct bench {
	const struct cli *cli;
	const char *verb, *name; /* name: NULL where the verb takes none */
	char why[1024];
	int state_fd, lock_fd;
	struct slab input;    /* fresh secret, octets as they came, and at its end the keys */
	struct secret *fresh; /* NULL: not yet there */
	uint8_t *octets;
	struct slab slab; /* the store's secrets */
	uint8_t *key, *next_key;
	struct store store;
	size_t more;  /* fresh ones than one that are to have room */
	bool changed; /* something was put that is not written */
	uint64_t now_s, overlap_s;
};

/* The subcommand has an option --passphrase-fd. */
void bench_open(struct bench *b, const struct cli *cli, const char *verb, const char *name);
void bench_close(struct bench *b); /* wipes */
/* Says b->why; returns EXIT_CANNOT. */
int bench_cannot(struct bench *b);

/* All return 0 or -errno, with a sentence in b->why. */
int bench_state(struct bench *b) MUST_CHECK; /* opens the state folder, makes a key where none is */
int bench_store(struct bench *b) MUST_CHECK; /* that, and the store, with room for one more */
int bench_fresh(struct bench *b) MUST_CHECK; /* memory for the fresh secret */
/* The fresh one; not yet written. With an overlap the name's own stays good for so long. */
int bench_put(struct bench *b, enum store_kind kind, uint64_t overlap_s) MUST_CHECK;
int bench_write(struct bench *b) MUST_CHECK; /* seals and replaces the file, and lets go of it */

/* Opens the store as bench_store() does, seals it under a fresh key, which is kept as it is or,
 * `under_passphrase`, asks for one; and replaces both files. */
int bench_rekey(struct bench *b, bool under_passphrase) MUST_CHECK;

/* Has a running gateway take the store up, and says what came of it on stderr. An exit status. */
int bench_tell(struct bench *b);

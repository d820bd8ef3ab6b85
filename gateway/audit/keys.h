/* The auditor's keys: of each log the one that seals its next block, and the signer's.
 * A key is made from the one before it, which is wiped, so who takes the auditor over can't make
 * again what was sealed before. The current ones are also on a page of the monitor's, never on a
 * disk, so that an auditor that is started again goes on in the same epoch. */
#pragma once

#include <stdatomic.h>
#include "gateway/audit/key_text.h"
#include "gateway/audit/hash.h"
#include "gateway/audit/note.h"

#define KEYS_SEED_SIZE 32 /* of the signer: a memfd of exactly this */

/* What the next auditor needs: of each log the key of a block; those behind it follow from it. */
struct keys_state {
	uint64_t epoch; /* 0: none was begun */
	uint64_t block[AUDIT_LOGS];
	struct seal_key key[AUDIT_LOGS];
};

/* Shared with the monitor, which makes it, zeroed and locked, and never reads it. One of the two is
 * in force, so that who dies in the midst of writing the other leaves this one. */
struct keys_page {
	_Atomic uint32_t active;
	uint32_t reserved;
	struct keys_state states[2];
	/* Of each log, from which block on its last segment was given up, + 1; 0: it was not. */
	_Atomic uint64_t given_up[AUDIT_LOGS];
};

struct keys;

/* Before the sandbox; both descriptors stay the caller's. `page_fd`: the monitor's page;
 * `signer_fd`: the seed of the signer; -1: there is none, and one is made that lives as long as the
 * auditor. Fails when the memory can't be locked. */
int keys_open(int signer_fd, int page_fd, struct keys **ret_keys) MUST_CHECK;
void keys_close(struct keys *k); /* wipes; what is on the monitor's page stays */

/* Once, when the end of the trail was read: the trail goes on with these blocks. `epoch`: the last
 * one of the trail, 0: none. `same_run`: its last blocks were sealed in this very run. A page that
 * knows the run's keys says how to go on; else a new epoch begins. */
int keys_begin(struct keys *k, uint64_t epoch, bool same_run,
	       const uint64_t next_block[AUDIT_LOGS]) MUST_CHECK;
/* A new epoch for the next block of both logs; its key is in *ret_key (all but the trail's id),
 * which the caller shows once and wipes. Every block that was made must be in its file. */
int keys_new_epoch(struct keys *k, struct audit_key *ret_key) MUST_CHECK;
uint64_t keys_epoch(const struct keys *k);

/* Seals block `number`, the next one of its log, and makes the key of the one after it. The seal is
 * put behind the octets that it is over. */
void keys_seal(struct keys *k, enum audit_log log, uint64_t number, uint8_t *block, size_t len);
/* All blocks of this log that were sealed are in its file: nobody needs the keys of before. */
void keys_written(struct keys *k, enum audit_log log);

/* The log's segment can't be written or synced, and from this block on nothing of it is known to be
 * on the disk; and: a new one works. Whoever comes after an auditor that died in between must not
 * sync that file: the pages that a failed sync did not write count as written. */
void keys_given_up(struct keys *k, enum audit_log log, uint64_t block);
void keys_well(struct keys *k, enum audit_log log);
bool keys_was_given_up(const struct keys *k, enum audit_log log);

const uint8_t *keys_signer(const struct keys *k); /* public: SIGNER_KEY_SIZE octets */
/* A checkpoint as text, signed; returns its length. */
int keys_note(const struct keys *k, const struct note *note, char ret_text[NOTE_SIZE]) MUST_CHECK;

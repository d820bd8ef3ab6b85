/* The verification key of an epoch, as the one line that `audit key` prints once, for keeping
 * elsewhere: who has it can tell that blocks from there on were sealed by the gateway that
 * made it. It is a secret: who has it, and the machine, can seal what never happened. */
#pragma once

#include "gateway/audit/note.h"

#define AUDIT_KEY_SIZE 320 /* with NUL */

struct audit_key {
	uint8_t trail[TRAIL_ID_SIZE];
	uint64_t epoch;
	uint64_t first_block[AUDIT_LOGS]; /* the epoch's first in each log: [log - 1] */
	uint8_t signer[SIGNER_KEY_SIZE];  /* its public key */
	uint8_t epoch_key[32];
};

/* No newline. The caller wipes the text. */
void audit_key_write(char ret[AUDIT_KEY_SIZE], const struct audit_key *key);
/* One line without its newline. -EBADMSG: it is none, or was not copied right (its checksum). */
int audit_key_read(struct audit_key *ret, const char *line, size_t len) MUST_CHECK;

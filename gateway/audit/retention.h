/* What retention deletes of the trail is recorded before it is deleted: an event of its own kind,
 * whose detail says, in exactly one form, which segment it was and where the log went on. Who
 * verifies takes what is missing for deleted only by such a record. */
#pragma once

#include "gateway/audit/block.h"
#include "gateway/audit/record.h"

#define RETENTION_REASON "retention"

/* Of a whole segment: its last block is the one before the next segment's first. One that was given
 * up at once may have none: all that was in it stands in the next one. */
struct retention {
	enum audit_log log;
	uint64_t segment; /* its number */
	uint64_t first_block, blocks;
	/* From its first record to its last one, those of the other log in between; both 0: it has
	 * none. */
	uint64_t first_sequence, sequences;
	uint64_t first_ns, last_ns;	    /* wall clock, of its first and last block */
	uint8_t last_hash[BLOCK_HASH_SIZE]; /* SHA-256 of the block before the next segment's */
};

/* The detail of the event. Always fits. */
void retention_write(const struct retention *r, char ret[AUDIT_DETAIL_SIZE]);
/* -EBADMSG: it is none, or not in the form that retention_write() has. */
int retention_read(struct retention *ret, const char *text, size_t len) MUST_CHECK;

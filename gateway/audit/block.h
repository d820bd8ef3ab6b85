/* The blocks of the trail: each log of it, commands and events, is a chain of them. A block has a
 * header of 256 octets, a payload (rows, mostly compressed), a seal and a CRC; it doesn't say
 * where it stands, so that it can be written again, verbatim, in another file. This room knows the
 * header and the CRCs only: payloads are rows.h's, chain, tree and seals hash.h's. */
#pragma once

#include "gateway/base/base.h"

enum audit_log { AUDIT_LOG_INVALID, LOG_COMMANDS, LOG_EVENTS };
#define AUDIT_LOGS 2 /* arrays by log: [log - 1] */

#define BLOCK_HEADER_SIZE  256
#define BLOCK_SEAL_SIZE	   32
#define BLOCK_TRAILER_SIZE (BLOCK_SEAL_SIZE + 4)
#define BLOCK_HASH_SIZE	   32
#define BLOCK_PAYLOAD_MAX  (1u << 20) /* as stored, and unpacked */
#define BLOCK_SIZE_MAX	   (BLOCK_HEADER_SIZE + BLOCK_PAYLOAD_MAX + BLOCK_TRAILER_SIZE)
#define BLOCK_SIZE_MIN	   (BLOCK_HEADER_SIZE + BLOCK_TRAILER_SIZE)

enum block_flag {
	BLOCK_ZSTD = 1,	   /* the payload is compressed */
	BLOCK_CONTEXT = 2, /* `context` is the SHA-256 of the header of a segment that begins */
	BLOCK_DEFINES = 4, /* has names or sessions that later blocks use: never skipped */
	BLOCK_END = 8,	   /* the last of a run: it was stopped as asked */
	BLOCK_FLAGS = 15,
};

/* What is in the block at most: who looks for something else need not unpack it. */
struct block_index {
	uint64_t luns;	      /* bit LUN % 64 */
	uint64_t connections; /* bit connection % 64 */
	uint64_t lba_least;   /* of records with blocks; UINT64_MAX when there is none */
	uint64_t lba_greatest;
	uint64_t ops;	   /* commands: bit opcode % 64; events: bit kind % 64 */
	uint32_t verdicts; /* commands: bit verdict % 32 */
};

struct block_header {
	enum audit_log log;
	uint8_t flags;		 /* of enum block_flag */
	uint32_t stored, raw;	 /* octets of the payload: as it stands there, unpacked */
	uint64_t number;	 /* in its log, from 0, gap-free */
	uint64_t first_sequence; /* of its first record; without records, the next one's */
	uint32_t records;
	uint32_t notes; /* checkpoints of this log that there ever were before it; wraps */
	uint64_t wall_ns, mono_ns;	  /* of its first record */
	uint64_t span_ns;		  /* monotonic, from the first to the last */
	uint8_t before[BLOCK_HASH_SIZE];  /* SHA-256 of the block before it; zeros for block 0 */
	uint8_t root[BLOCK_HASH_SIZE];	  /* Merkle root of all blocks before it */
	uint8_t context[BLOCK_HASH_SIZE]; /* with BLOCK_CONTEXT */
	uint64_t other_synced; /* blocks of the other log that were known to be on the disk */
	uint8_t other[BLOCK_HASH_SIZE]; /* SHA-256 of the last of them; zeros when none */
	uint64_t epoch;
	struct block_index index;
};

const char *audit_log_name(enum audit_log log); /* "commands", "events" */

/* The header with its CRC; salt is the segment's. */
void block_header_write(const struct block_header *h, uint64_t salt,
			uint8_t ret[BLOCK_HEADER_SIZE]);
/* -EBADMSG: no block begins here, or its header is damaged. What is returned is in bounds. */
int block_header_read(const uint8_t bytes[BLOCK_HEADER_SIZE], uint64_t salt,
		      struct block_header *ret_header) MUST_CHECK;
size_t block_size(const struct block_header *h); /* header, payload, seal and CRC */

/* Sets the last four octets of a block that is complete but for them. */
void block_crc_set(uint8_t *block, size_t size, uint64_t salt);
bool block_crc_right(const uint8_t *block, size_t size, uint64_t salt);

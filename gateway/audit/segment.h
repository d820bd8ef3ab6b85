/* The files of the trail: commands-NNNNNN.log and events-NNNNNN.log. Each is a header, then the
 * blocks of one log. The header says where the log stood when the segment was begun (chain,
 * tree, sequence), and has its context: the dictionary and the sessions that were open then, so
 * that each segment can be read by itself. This room knows the header's octets only.
 *
 * A segment ends where the next one of its log begins: blocks that it has at or beyond the next
 * one's first block were not known to be on the disk when that was begun, and stand there again. */
#pragma once

#include "gateway/audit/frame.h"
#include "gateway/audit/hash.h"
#include "gateway/audit/note.h"
#include "gateway/base/bytes.h"

#define SEGMENT_VERSION	    2
#define SEGMENT_NAME_SIZE   48	       /* "commands-000017.log" with NUL */
#define SEGMENT_FIXED_SIZE  184	       /* what is before the frontier */
#define SEGMENT_PREFIX_SIZE 16	       /* of these, what tells the whole size */
#define SEGMENT_CONTEXT_MAX (8u << 20) /* as stored, and unpacked */
#define SEGMENT_HEADER_MAX \
	(SEGMENT_FIXED_SIZE + TREE_LEVELS * HASH_SIZE + 8 + SEGMENT_CONTEXT_MAX + 4)
#define BOOT_ID_SIZE 16

struct segment_header {
	enum audit_log log;
	uint32_t size; /* of the whole header */
	uint8_t trail[TRAIL_ID_SIZE];
	uint64_t run;		 /* random, of the gateway's run */
	uint64_t number;	 /* of the segment, as in its name */
	uint64_t first_block;	 /* number of the first block in it */
	uint64_t first_sequence; /* below it, all records of both logs were on the disk then */
	uint64_t last_event;	 /* id of the run's last event before this segment; 0: none */
	uint64_t start_ns;	 /* wall clock */
	uint64_t mono_ns;
	uint8_t boot[BOOT_ID_SIZE]; /* of the machine; zeros: not known */
	uint64_t salt;		    /* of all its blocks' CRCs */
	uint8_t signer[SIGNER_KEY_SIZE];
	uint64_t epoch;
	uint8_t before[HASH_SIZE]; /* hash of the block before the first one; zeros: none */
	struct tree tree;	   /* of all blocks before the first one */
	uint32_t context_at, context_stored, context_raw; /* packed when they differ */
};

/* Writes the header with its context into `ret` (SEGMENT_HEADER_MAX octets at most), and sets its
 * size and where its context is. */
void segment_header_write(struct segment_header *h, const uint8_t *context, uint32_t stored,
			  uint32_t raw, uint8_t *ret);
/* Of a whole header, by its first SEGMENT_PREFIX_SIZE octets. -EBADMSG: no header of a segment;
 * -EPROTONOSUPPORT: of a version unknown here. */
int segment_header_size(const uint8_t *bytes, size_t *ret_size) MUST_CHECK;
/* Of exactly that size. -EBADMSG: damaged. */
int segment_header_read(const uint8_t *bytes, size_t size,
			struct segment_header *ret_header) MUST_CHECK;

const char *segment_name(enum audit_log log, uint64_t number, char ret[SEGMENT_NAME_SIZE]);
const char *segment_note_name(enum audit_log log, uint64_t number, char ret[SEGMENT_NAME_SIZE]);
/* What a segment is called while it is begun. */
const char *segment_new_name(enum audit_log log, char ret[SEGMENT_NAME_SIZE]);
/* The number in the name of a segment of this log, or 0: no such name. */
uint64_t segment_number(enum audit_log log, const char *name);

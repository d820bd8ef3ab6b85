/* The end of one log, as an auditor finds it when it starts. */
#pragma once

#include "gateway/audit/folder.h"
#include "gateway/audit/reader.h"
#include "gateway/audit/resume.h"

/* Sequences that a block has. */
struct resume_span {
	uint64_t first, behind;
};

#define RESUME_CONTEXTS 32

/* A block with the hash of a segment's header. */
struct resume_context {
	uint8_t hash[HASH_SIZE];
	uint64_t segment; /* where it stands */
	uint32_t notes;	  /* that it counts */
};

struct resume_log {
	struct resume *resume;
	enum audit_log log;
	struct segment_reader reader;
	struct unpacker unpacker;
	struct names names;
	struct rows_reader rows;
	struct frame frame;
	bool any, ended;	 /* it has a segment; its last block is an end */
	bool same_run;		 /* the last segment is of this run */
	uint64_t first_sequence; /* of the last segment */
	uint64_t behind;	 /* the sequence behind its last record */
	uint64_t synced_end;	 /* where the last of these ends in the last segment */
	uint64_t synced;	 /* blocks that are known to have been on the disk, at least */
	struct log_place place;
	struct resume_context contexts[RESUME_CONTEXTS]; /* of the last segments */
	size_t context_count;
	/* Checkpoints: that a block counts, and that are in the files since; the same without those
	 * of the segment that is looked at. */
	uint32_t notes, notes_behind;
	struct resume_span *spans; /* of the blocks that were read, in no order */
	size_t count;
	struct segment_list list; /* of the log's segments */
	size_t at;		  /* those from here on were read */
};

int resume_log_start(struct resume_log *l, struct resume *resume, enum audit_log log) MUST_CHECK;
int resume_log_read(struct resume_log *l) MUST_CHECK;
/* Adds the blocks of earlier segments that may have records from this sequence on. */
int resume_log_before(struct resume_log *l, uint64_t sequence) MUST_CHECK;
void resume_log_free(struct resume_log *l);

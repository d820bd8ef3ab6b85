/* The whole trail, read from the files of an audit folder: the records of both logs in the order of
 * their sequences, each with the session it belongs to, every damaged or missing spot told. Blocks
 * whose index says that they have nothing of what is looked for are passed over. Needs no running
 * gateway; beside one, it can be read on as it grows. Files and their names are hostile. */
#pragma once

#include "gateway/audit/frame.h"
#include "gateway/base/bytes.h"

struct trail;

struct trail_record {
	struct frame frame;
	enum audit_log log;
	uint64_t segment, block; /* number of the file, of the block in its log */
	uint64_t run;
	const uint8_t *trail;			 /* TRAIL_ID_SIZE octets */
	const struct auditor_ring_info *session; /* of frame.connection; NULL: not known */
};

/* What is looked for, so that blocks without any of it need not be unpacked. All conditions that
 * are set must hold. Records that are handed out may still be others: whoever asks looks himself.
 */
struct trail_wanted {
	uint64_t since_ns, until_ns; /* until_ns 0: no end; exclusive */
	/* Of commands and outcomes. */
	bool no_commands;  /* none is wanted */
	uint64_t luns;	   /* bit LUN % 64; 0: any */
	uint64_t opcodes;  /* bit opcode % 64; 0: any */
	uint32_t verdicts; /* bit verdict; 0: any */
	bool has_blocks;   /* only what touches blocks from first_lba to last_lba */
	uint64_t first_lba, last_lba;
	/* Only of sessions for which it says true; NULL: any. */
	bool (*session)(void *arg, const struct auditor_ring_info *session);
	void *arg;
	/* Of events, and the ends of runs. */
	bool no_events;
	uint64_t events; /* bit kind % 64; 0: any, and the ends */
};

/* Told in a sentence with file and offset. `damage`: something is not as it was written. */
typedef void (*trail_report)(void *arg, bool damage, const char *text);

/* Starts with the first segments that may have records of wanted->since_ns or later. `wanted`,
 * NULL: all, is copied. */
int trail_open(struct trail **ret_trail, int folder_fd, const struct trail_wanted *wanted,
	       trail_report report, void *arg) MUST_CHECK;
/* Starts over near the end: at or before *ret_first, the first of the last `records` records. */
int trail_rewind(struct trail *t, uint64_t records, uint64_t *ret_first) MUST_CHECK;
/* Starts over at this record, or the first one after it; a few before it may come, too. */
void trail_seek(struct trail *t, uint64_t sequence);
/* 1: *ret_record is filled, until the next call; 0: no more for now; -errno of reading. */
int trail_next(struct trail *t, struct trail_record *ret_record) MUST_CHECK;
/* After trail_next() returned 0: is the last block incomplete? NULL, or the segment's name. */
const char *trail_torn(const struct trail *t, uint64_t *ret_offset);
void trail_close(struct trail *t);

/* How much was looked at: blocks in all, and those that had to be unpacked. */
struct trail_effort {
	uint64_t blocks, unpacked, records;
};
struct trail_effort trail_effort(const struct trail *t);

/* Writes the trail: records become rows of the block that is open, one for both logs, since
 * the sequences of a block are consecutive; blocks that are cut are sealed and wait in the tail of
 * their log until they are synced. What is read from the files is in the order of its sequences at
 * any moment. Runs in the auditor, and never sleeps but in write() and when a segment begins. */
#pragma once

#include "gateway/audit/log_writer.h"

#define WRITER_ROWS_SIZE (64u << 10)
#define WRITER_RECORDS	 2048u	      /* of a block */
#define WRITER_RESERVE	 (256u << 10) /* of each tail, for what is no command record */

/* Where the trail goes on. */
struct trail_end {
	uint8_t trail[TRAIL_ID_SIZE];
	uint64_t run, next_sequence, last_event, epoch;
	bool same_run; /* the last blocks are of this very run */
	struct {
		uint64_t number; /* of the last segment; 0: there is none */
		uint32_t notes;	 /* checkpoints that there ever were */
		struct log_place place;
		/* Hashes of headers that no block has yet. */
		uint8_t unbound[LOG_UNBOUND][HASH_SIZE];
		size_t unbound_count;
	} logs[AUDIT_LOGS];
};

struct trail_writer {
	int folder_fd;	   /* the caller's */
	struct keys *keys; /* the caller's */
	context_sessions sessions;
	void *arg;
	uint8_t trail[TRAIL_ID_SIZE], boot[BOOT_ID_SIZE];
	uint64_t run, salt;
	uint64_t next_sequence; /* of the next record */
	uint64_t last_event;	/* id of the last event */
	uint64_t wall_ns, mono_ns;
	struct log_writer logs[AUDIT_LOGS];
	struct packer packer;
	/* The open block: of no log, when there is none. */
	enum audit_log open;
	struct rows_writer rows;
	uint8_t *row_octets;
	uint64_t open_sequence;
	uint8_t open_flags;
	uint64_t cuts; /* blocks that were ever cut */
	bool writable; /* the segments may be written */
	int error;     /* of a write, to be told by the next writer_flush() */
};

struct writer_mark {
	struct log_place places[AUDIT_LOGS];
};

int writer_open(struct trail_writer *w, int folder_fd, struct keys *keys, context_sessions sessions,
		void *arg) MUST_CHECK;
void writer_close(struct trail_writer *w);
/* Before the first segment is begun. */
int writer_start(struct trail_writer *w, const struct trail_end *end) MUST_CHECK;

/* Begins a segment of this log, or of both (AUDIT_LOG_INVALID), with all that is not synced; what
 * is in it is on the disk when this returns. On an error nothing may be written until it works. */
int writer_begin(struct trail_writer *w, enum audit_log log) MUST_CHECK;

/* Looks at the clocks: what is put from now on is of this moment. */
void writer_clock(struct trail_writer *w);
/* Records that the tail takes for sure; and is there room for others? */
uint64_t writer_room(const struct trail_writer *w);
bool writer_has_reserve(const struct trail_writer *w);
/* Each returns the record's sequence. */
uint64_t writer_put_command(struct trail_writer *w, uint32_t connection,
			    const struct audit_record *record);
uint64_t writer_put_session(struct trail_writer *w, const struct auditor_ring_info *info);
/* No record: a session whose opening is in the trail already. */
void writer_put_repeated(struct trail_writer *w, const struct auditor_ring_info *info);
uint64_t writer_put_event(struct trail_writer *w, const struct audit_event *event);
void writer_put_end(struct trail_writer *w, enum segment_end end); /* of both logs */

void writer_cut(struct trail_writer *w); /* the open block is over */
/* Writes the tails to the files. After an error the segments must not be written any more. */
int writer_flush(struct trail_writer *w) MUST_CHECK;
/* Is there a record, or a block, that is not known to be on the disk? */
bool writer_unsynced(const struct trail_writer *w);
uint64_t writer_first_unsynced(const struct trail_writer *w); /* or the next one */
/* Below this sequence all records of one log are synced. */
uint64_t writer_synced_below(const struct trail_writer *w, enum audit_log log);
struct writer_mark writer_mark(const struct trail_writer *w);
void writer_synced(struct trail_writer *w, const struct writer_mark *mark);
struct log_writer *writer_log(struct trail_writer *w, enum audit_log log);

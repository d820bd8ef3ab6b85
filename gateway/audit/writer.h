/* Writes segments. Frames are put into a tail in memory, from there into the file in
 * one write(), and leave the tail only when they are synced: a new segment, begun
 * because the old one can't be written or synced any more, takes the whole tail along,
 * so that nothing is lost. Runs in the auditor, and never sleeps but in write(). */
#pragma once

#include "gateway/audit/segment.h"

#define WRITER_TAIL_SIZE    (16u << 20)
#define WRITER_TAIL_RESERVE (1u << 20) /* of the tail, for what is no command record */

/* Puts what every segment is to begin with, one frame a call; false: there is no more. */
typedef bool (*writer_context)(void *arg, size_t i, struct wr *w);

struct segment_writer {
	int folder_fd; /* the caller's */
	writer_context context;
	void *arg;
	int fd; /* -1: there is no segment that can be written */
	struct segment_header header;
	bool folder_synced;	/* the segment's name is on the disk */
	uint64_t next_sequence; /* of the next frame */
	uint64_t last_event;	/* id of the last event in the tail or before it */
	uint64_t tail_offset;	/* where in the file the tail begins */
	uint64_t tail_sequence; /* next_sequence when the tail was empty there */
	uint64_t tail_event;	/* last_event then */
	uint8_t *tail;
	size_t tail_len, written; /* octets of the tail; of these, in the file */
};

/* How far everything is in the file, to be told to writer_synced() when a sync that began now is
 * over. */
struct writer_mark {
	uint64_t offset, sequence, event;
};

int writer_open(struct segment_writer *w, int folder_fd, writer_context context,
		void *arg) MUST_CHECK;
void writer_close(struct segment_writer *w);

/* Begins a segment with the next number, and leaves the one before as it is. `sure`: synced before
 * it counts. On an error the writer is as before, without a file. */
int writer_begin(struct segment_writer *w, bool sure) MUST_CHECK;

size_t writer_room(const struct segment_writer *w); /* octets of the tail that are free */
struct wr writer_cursor(const struct segment_writer *w);
/* What the cursor holds is the tail's now; frames that were given sequences stay. */
void writer_take(struct segment_writer *w, const struct wr *cursor);
struct stamp writer_stamp(struct segment_writer *w, uint64_t now_ns); /* takes a sequence */

/* Writes the tail to the file. After an error the segment must not be written any more. */
int writer_flush(struct segment_writer *w) MUST_CHECK;
bool writer_unsynced(const struct segment_writer *w);
struct writer_mark writer_mark(const struct segment_writer *w);
void writer_synced(struct segment_writer *w, const struct writer_mark *mark);
uint64_t writer_size(const struct segment_writer *w); /* of the file */

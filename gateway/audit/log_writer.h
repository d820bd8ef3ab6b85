/* One log of the trail as the auditor writes it: its finished blocks, chained and sealed,
 * in a tail in memory until they are synced, and the segment they are written to. A segment that
 * can't be written any more is left, and the next one gets the whole tail verbatim: the keys that
 * sealed it are gone. */
#pragma once

#include "gateway/audit/context.h"
#include "gateway/audit/keys.h"
#include "gateway/audit/rows.h"

#define LOG_TAIL_SIZE (8u << 20)

#define LOG_UNBOUND 8

/* Where a log stands: behind its last block. */
struct log_place {
	uint64_t blocks;	   /* as many there are: the number of the next one */
	uint64_t octets;	   /* that ever came into the tail */
	uint64_t event;		   /* id of the last event of the run */
	uint8_t before[HASH_SIZE]; /* SHA-256 of the last block */
	struct tree tree;
};

struct log_writer {
	enum audit_log log;
	int fd; /* -1: there is no segment that can be written */
	struct segment_header header;
	uint64_t file_size;
	struct log_place made, synced; /* behind the tail; before it */
	uint8_t *tail;
	size_t tail_len, written; /* octets of the tail; of these, in the file */
	struct names names;
	/* Hashes of headers of segments that no block has yet. */
	uint8_t unbound[LOG_UNBOUND][HASH_SIZE];
	size_t unbound_count;
	uint32_t notes;			 /* checkpoints that there ever were */
	uint64_t note_blocks;		 /* the last checkpoint is of so many */
	int note_fd;			 /* where it was written; -1: nowhere yet */
	uint64_t note_number, note_size; /* of the segment that it stands beside; octets in it */
};

/* What a block is made of, beside its log. */
struct block_parts {
	const struct rows_writer *rows; /* NULL: a block without records */
	uint8_t flags;
	const uint8_t *context; /* with BLOCK_CONTEXT */
	uint64_t sequence;	/* of its first record, or the next one */
	uint64_t wall_ns, mono_ns, last_ns;
	uint64_t event;		       /* id of the last event in it or before */
	const struct log_place *other; /* the other log's, synced */
};

int log_writer_open(struct log_writer *l, enum audit_log log) MUST_CHECK;
void log_writer_close(struct log_writer *l);
/* Octets of the tail that are free. */
size_t log_writer_room(const struct log_writer *l);

/* Makes a block of the parts, at the end of the tail. There is room for it (asserted). */
void log_writer_seal(struct log_writer *l, const struct block_parts *parts, struct packer *packer,
		     struct keys *keys, uint64_t salt);
/* Writes the tail to the file. After an error the segment must not be written any more. */
int log_writer_flush(struct log_writer *l, struct keys *keys) MUST_CHECK;
/* Begins the segment that *h says, with this header and the tail: synced, then named. On an
 * error the old one is still the log's, and its end may be torn. */
int log_writer_begin(struct log_writer *l, int folder_fd, struct segment_header *h,
		     const uint8_t *header) MUST_CHECK;
/* What the place is behind is on the disk. */
void log_writer_synced(struct log_writer *l, const struct log_place *place);
/* Syncs what is in the files, so that a new segment need not repeat it. */
int log_writer_settle(struct log_writer *l) MUST_CHECK;
/* Sequence of the first record of the tail; 0: the tail is empty. */
uint64_t log_writer_first(const struct log_writer *l);

/* A signed checkpoint of what is synced, into the file beside the segment: 1, its text in ret_text;
 * 0: nothing is synced since the last one; -errno. */
int log_writer_note(struct log_writer *l, int folder_fd, const struct keys *keys,
		    char ret_text[NOTE_SIZE]) MUST_CHECK;

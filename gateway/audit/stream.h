/* One log of the trail, read over all its segments: block by block, the header first, so that what
 * merges the two logs can choose and pass over. */
#pragma once

#include "gateway/audit/folder.h"
#include "gateway/audit/reader.h"
#include "gateway/audit/trail.h"

struct stream {
	enum audit_log log;
	int folder_fd;
	struct segment_list list;
	size_t at; /* of the segment that is read: list.numbers[at] */
	int fd;	   /* -1: none is open */
	struct segment_reader reader;
	struct unpacker *unpacker; /* of who merges, for contexts */
	struct names names;
	struct sessions *sessions; /* of commands; NULL: of events, which has none */
	uint64_t end_block;	   /* the next segment's first; UINT64_MAX: there is none yet */
	uint64_t next_block;	   /* behind the last one that was handed out */
	uint64_t floor; /* the first segment that was read has all records from this sequence on */
	bool begun, started; /* a segment was read; a block was */
	bool fresh;	     /* the context of a segment was just read */
	bool unreadable;     /* this segment, which was told */
	uint64_t torn;	     /* offset of an incomplete last block; 0: none */
	bool have;	     /* head: a block that is neither taken nor skipped */
	struct block_header head;
	trail_report report;
	void *arg;
};

int stream_open(struct stream *s, enum audit_log log, int folder_fd) MUST_CHECK;
void stream_close(struct stream *s);
/* 1: s->head is the next block; 0: no more for now; -errno. */
int stream_peek(struct stream *s) MUST_CHECK;
void stream_skip(struct stream *s);
/* 1: its octets; 0: it is damaged, which was told; -errno. */
int stream_take(struct stream *s, const uint8_t **ret_block) MUST_CHECK;
/* The block that was taken last has no rows that can be read. */
void stream_damaged(struct stream *s);

/* To the last segment that began before this time, or has all records from this sequence on. */
void stream_seek_time(struct stream *s, uint64_t since_ns);
void stream_seek_sequence(struct stream *s, uint64_t sequence);
int stream_seek_end(struct stream *s, uint64_t *ret_behind) MUST_CHECK;
const char *stream_name(const struct stream *s, char ret[SEGMENT_NAME_SIZE]);
PRINTF_LIKE(3, 4) void stream_tell(const struct stream *s, bool damage, const char *fmt, ...);

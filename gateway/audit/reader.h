/* Reads one segment, frame by frame, through a small window. Every octet of the file is
 * taken for hostile: it may be damaged, or made by somebody else. What is damaged is told with
 * its place, and reading goes on at the next frame that is right. */
#pragma once

#include "gateway/audit/segment.h"

#define READER_WINDOW (128u << 10)

enum reader_result {
	READER_END,	/* nothing after the last frame, for now */
	READER_FRAME,	/* *ret_frame is filled */
	READER_TORN,	/* the file ends within a frame: being written, or cut off */
	READER_DAMAGED, /* damage_offset, damage_len; the next call goes on behind it */
};

struct segment_reader {
	int fd; /* the caller's */
	struct segment_header header;
	uint64_t offset; /* of the next frame */
	uint64_t damage_offset, damage_len;
	uint64_t window_offset;
	size_t window_len;
	uint8_t window[READER_WINDOW];
};

/* -ENODATA: shorter than a header; -EBADMSG; -EPROTONOSUPPORT: a newer version; other -errno. */
int reader_open(struct segment_reader *r, int fd) MUST_CHECK;
/* One of enum reader_result, or the -errno of reading. */
int reader_next(struct segment_reader *r, struct frame *ret_frame) MUST_CHECK;

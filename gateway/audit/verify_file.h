/* One segment's octets, through a window: blocks are looked at where they stand, of any size up to
 * the greatest. Files may be damaged, cut, or of anybody's making. */
#pragma once

#include "gateway/audit/block.h"

struct verify_file {
	int fd;		 /* -1: none is open */
	uint64_t size;	 /* of the file, when it was opened */
	uint64_t offset; /* of what is looked at next */
	uint64_t window_offset;
	size_t window_len;
	uint8_t *window;
	uint64_t wasted; /* octets of what has a header that is right, and is no block */
	int error;	 /* -errno of reading, the first one */
	/* Asked before octets are read, or NULL: then a file ends there. A sparse one can be of any
	 * size. */
	bool (*stop)(void *arg);
	void *arg;
};

int verify_file_start(struct verify_file *f) MUST_CHECK; /* memory for the window */
void verify_file_free(struct verify_file *f);
/* -EINVAL: no regular file. A larger one than `size` is read as if it ended there. */
int verify_file_open(struct verify_file *f, int folder_fd, const char *name) MUST_CHECK;
void verify_file_close(struct verify_file *f);

/* `len` octets (at most the largest block) at `offset`, until the next call; NULL: the file ends
 * before, or can't be read. */
const uint8_t *verify_file_at(struct verify_file *f, uint64_t offset, size_t len);
/* The next place from `from` on where a block's header is right; false: there is none. */
bool verify_file_scan(struct verify_file *f, uint64_t from, uint64_t salt, uint64_t *ret_offset,
		      struct block_header *ret_header);
/* Are the octets of `a` from `at` on those that `b` has from `b_at` on? */
bool verify_file_begins(struct verify_file *a, uint64_t at, struct verify_file *b, uint64_t b_at);

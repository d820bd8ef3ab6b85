/* Reads one segment, block by block, through a window. Every octet of the file is taken
 * for hostile: it may be damaged, or made by somebody else. What is damaged is told with its place,
 * and reading goes on at the next block that is right. */
#pragma once

#include "gateway/audit/context.h"

enum reader_result {
	READER_END,	/* nothing after the last block, for now */
	READER_BLOCK,	/* its header was read */
	READER_TORN,	/* the file ends within a block: being written, or cut off */
	READER_DAMAGED, /* damage_offset, damage_len; the next call goes on behind it */
};

struct segment_reader {
	int fd; /* the caller's */
	struct segment_header header;
	uint64_t offset; /* of the next block */
	uint64_t damage_offset, damage_len;
	uint64_t file_size; /* when it was looked at last */
	uint64_t window_offset;
	size_t window_len;
	uint8_t *window;
};

int reader_start(struct segment_reader *r) MUST_CHECK; /* its memory; all zero before */
void reader_free(struct segment_reader *r);

/* -ENODATA: shorter than a header; -EBADMSG; -EPROTONOSUPPORT: a newer version; other -errno. */
int reader_open(struct segment_reader *r, int fd) MUST_CHECK;
/* The header alone. */
int reader_header(int fd, struct segment_header *ret_header) MUST_CHECK;
/* Right behind reader_open(). */
int reader_context(struct segment_reader *r, struct unpacker *unpacker, struct names *names,
		   struct sessions *sessions) MUST_CHECK;

/* What a CONTEXT block has: the hash of the whole header. */
int reader_header_hash(struct segment_reader *r, uint8_t ret[HASH_SIZE]) MUST_CHECK;

/* The header of the block that is next, of this log; one of enum reader_result, or the -errno of
 * reading. After READER_BLOCK, one of the other two is called. */
int reader_peek(struct segment_reader *r, struct block_header *ret_header) MUST_CHECK;
void reader_skip(struct segment_reader *r, const struct block_header *h);
/* READER_BLOCK with its octets, until the next call, READER_DAMAGED, or -errno. */
int reader_take(struct segment_reader *r, const struct block_header *h,
		const uint8_t **ret_block) MUST_CHECK;

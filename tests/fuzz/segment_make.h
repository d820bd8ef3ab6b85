/* Segments of arbitrary octets, for fuzz targets: with right CRCs, mostly right numbers, and
 * payloads of any kind. */
#pragma once

#include <fcntl.h>
#include "gateway/audit/segment.h"
#include "gateway/base/fd.h"

/* 8 octets that say how it differs from what is expected, then a payload. */
static inline size_t block_make(struct rd *r, struct block_header *h, uint8_t *ret)
{
	const uint8_t *p = rd_bytes(r, 8);
	size_t len = p ? MIN(p[0], rd_left(r)) : 0;
	uint8_t *payload = ret + BLOCK_HEADER_SIZE;

	if (!p)
		return 0;
	h->flags = p[1] & BLOCK_FLAGS;
	h->stored = (uint32_t)len;
	h->raw = h->flags & BLOCK_ZSTD ? p[2] * 16u : h->stored;
	h->records = MIN(p[3], h->raw);
	h->number += p[4] > 200 ? p[4] - 200 : 1;
	h->other_synced = p[5] & 7;
	h->epoch = p[6] >> 5;
	h->first_sequence += p[7] > 200 ? p[7] - 200u : 0;
	block_header_write(h, 1, ret);
	memcpy(payload, rd_bytes(r, len), len);
	memset(payload + len, p[6], BLOCK_SEAL_SIZE);
	block_crc_set(ret, block_size(h), 1);
	h->first_sequence += h->records;
	block_hash(ret, block_size(h), h->before);
	return block_size(h);
}

static inline void segment_make(int folder, struct rd *r, enum audit_log log)
{
	static uint8_t bytes[1u << 20];
	struct segment_header s = {.log = log, .number = 1, .first_sequence = 1, .salt = 1};
	struct block_header h = {.log = log, .number = UINT64_MAX, .first_sequence = 1};
	char name[SEGMENT_NAME_SIZE];
	OWNED_FD fd =
		openat(folder, segment_name(log, 1, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	size_t len, size;

	segment_header_write(&s, (const uint8_t *)"", 1, 1, bytes);
	for (len = s.size; len < sizeof bytes / 2 && (size = block_make(r, &h, bytes + len));)
		len += size;
	assert(fd_write_all(fd, bytes, len) == 0 && fd_write_all(fd, r->p, rd_left(r)) == 0);
}

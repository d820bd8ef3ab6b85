/* Headers and CRCs of the trail's blocks, to octets and back. Used by the auditor, which
 * trusts what it writes, and by the review, which trusts no octet that it reads. */
#include "gateway/audit/block.h"

#include <isa-l/crc.h>
#include "gateway/base/bytes.h"

static const char magic[4] = {'S', 'P', 'A', 'B'};

const char *audit_log_name(enum audit_log log)
{
	return log == LOG_COMMANDS ? "commands" : log == LOG_EVENTS ? "events" : "unknown";
}

static uint32_t crc_of(uint64_t salt, const uint8_t *bytes, size_t len)
{
	uint8_t first[8];
	uint32_t crc;

	assert(len <= INT32_MAX);
	put_be(first, sizeof first, salt);
	crc = crc32_iscsi(first, sizeof first, ~0u);
	return crc32_iscsi((unsigned char *)(uintptr_t)bytes, (int)len, crc);
}

static void put_index(struct wr *w, const struct block_index *i)
{
	wr_be(w, 8, i->luns);
	wr_be(w, 8, i->connections);
	wr_be(w, 8, i->lba_least);
	wr_be(w, 8, i->lba_greatest);
	wr_be(w, 8, i->ops);
	wr_be(w, 4, i->verdicts);
}

void block_header_write(const struct block_header *h, uint64_t salt, uint8_t ret[BLOCK_HEADER_SIZE])
{
	struct wr w = wr_over(ret, BLOCK_HEADER_SIZE);

	wr_bytes(&w, magic, sizeof magic);
	wr_be(&w, 1, (uint64_t)h->log);
	wr_be(&w, 1, h->flags);
	wr_zero(&w, 2);
	wr_be(&w, 4, h->stored);
	wr_be(&w, 4, h->raw);
	wr_be(&w, 8, h->number);
	wr_be(&w, 8, h->first_sequence);
	wr_be(&w, 4, h->records);
	wr_be(&w, 4, h->notes);
	wr_be(&w, 8, h->wall_ns);
	wr_be(&w, 8, h->mono_ns);
	wr_be(&w, 8, h->span_ns);
	wr_bytes(&w, h->before, sizeof h->before);
	wr_bytes(&w, h->root, sizeof h->root);
	wr_bytes(&w, h->context, sizeof h->context);
	wr_be(&w, 8, h->other_synced);
	wr_bytes(&w, h->other, sizeof h->other);
	wr_be(&w, 8, h->epoch);
	put_index(&w, &h->index);
	wr_be(&w, 4, crc_of(salt, ret, BLOCK_HEADER_SIZE - 4));
	assert(!w.failed && wr_len(&w) == BLOCK_HEADER_SIZE);
}

static void get_hash(struct rd *r, uint8_t ret[BLOCK_HASH_SIZE])
{
	const uint8_t *p = rd_bytes(r, BLOCK_HASH_SIZE);

	assert(p); /* the header's size is fixed */
	memcpy(ret, p, BLOCK_HASH_SIZE);
}

static void get_index(struct rd *r, struct block_index *ret)
{
	ret->luns = rd_be(r, 8);
	ret->connections = rd_be(r, 8);
	ret->lba_least = rd_be(r, 8);
	ret->lba_greatest = rd_be(r, 8);
	ret->ops = rd_be(r, 8);
	ret->verdicts = (uint32_t)rd_be(r, 4);
}

/* Sizes that nothing may be allocated by, counts that can't be, sequences that overflow. */
static bool in_bounds(const struct block_header *h, uint64_t zeros)
{
	uint64_t after;

	if ((h->log != LOG_COMMANDS && h->log != LOG_EVENTS) || zeros || h->flags & ~BLOCK_FLAGS)
		return false;
	if (h->stored > BLOCK_PAYLOAD_MAX || h->raw > BLOCK_PAYLOAD_MAX || h->records > h->raw)
		return false;
	if (!(h->flags & BLOCK_ZSTD) && h->stored != h->raw)
		return false;
	return h->first_sequence > 0 && ADD_OK(h->first_sequence, (uint64_t)h->records, &after) &&
	       h->number < UINT64_MAX;
}

int block_header_read(const uint8_t bytes[BLOCK_HEADER_SIZE], uint64_t salt,
		      struct block_header *ret_header)
{
	struct rd r = rd_over(bytes + sizeof magic, BLOCK_HEADER_SIZE - sizeof magic);
	struct block_header h;
	uint64_t zeros;

	if (memcmp(bytes, magic, sizeof magic) != 0 ||
	    get_be(bytes + BLOCK_HEADER_SIZE - 4, 4) != crc_of(salt, bytes, BLOCK_HEADER_SIZE - 4))
		return -EBADMSG;
	h.log = (enum audit_log)rd_be(&r, 1);
	h.flags = (uint8_t)rd_be(&r, 1);
	zeros = rd_be(&r, 2);
	h.stored = (uint32_t)rd_be(&r, 4);
	h.raw = (uint32_t)rd_be(&r, 4);
	h.number = rd_be(&r, 8);
	h.first_sequence = rd_be(&r, 8);
	h.records = (uint32_t)rd_be(&r, 4);
	h.notes = (uint32_t)rd_be(&r, 4);
	h.wall_ns = rd_be(&r, 8);
	h.mono_ns = rd_be(&r, 8);
	h.span_ns = rd_be(&r, 8);
	get_hash(&r, h.before);
	get_hash(&r, h.root);
	get_hash(&r, h.context);
	h.other_synced = rd_be(&r, 8);
	get_hash(&r, h.other);
	h.epoch = rd_be(&r, 8);
	get_index(&r, &h.index);
	if (!in_bounds(&h, zeros))
		return -EBADMSG;
	*ret_header = h;
	return 0;
}

size_t block_size(const struct block_header *h)
{
	return BLOCK_HEADER_SIZE + h->stored + BLOCK_TRAILER_SIZE;
}

void block_crc_set(uint8_t *block, size_t size, uint64_t salt)
{
	assert(size >= BLOCK_SIZE_MIN);
	put_be(block + size - 4, 4, crc_of(salt, block, size - 4));
}

bool block_crc_right(const uint8_t *block, size_t size, uint64_t salt)
{
	assert(size >= BLOCK_SIZE_MIN);
	return get_be(block + size - 4, 4) == crc_of(salt, block, size - 4);
}

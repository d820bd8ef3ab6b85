/* Headers and names of the trail's files, to octets and back. Used by the auditor,
 * which trusts what it writes, and by the review, which trusts no octet that it reads:
 * files may be damaged or made by somebody else. */
#include "gateway/audit/segment.h"

#include <isa-l/crc.h>
#include <stdio.h>

static const char magic[8] = "SPAUDIT";

static uint32_t crc_of(const uint8_t *bytes, size_t len)
{
	assert(len <= INT32_MAX);
	return crc32_iscsi((unsigned char *)(uintptr_t)bytes, (int)len, ~0u);
}

void segment_header_write(struct segment_header *h, const uint8_t *context, uint32_t stored,
			  uint32_t raw, uint8_t *ret)
{
	uint8_t frontier[TREE_LEVELS][HASH_SIZE];
	size_t nodes = tree_frontier(&h->tree, frontier);
	struct wr w;

	assert(h->tree.size == h->first_block && stored <= raw && raw <= SEGMENT_CONTEXT_MAX);
	h->context_at = (uint32_t)(SEGMENT_FIXED_SIZE + nodes * HASH_SIZE + 8);
	h->context_stored = stored;
	h->context_raw = raw;
	h->size = h->context_at + stored + 4;
	w = wr_over(ret, h->size);
	wr_bytes(&w, magic, sizeof magic);
	wr_be(&w, 2, SEGMENT_VERSION);
	wr_be(&w, 1, (uint64_t)h->log);
	wr_zero(&w, 1);
	wr_be(&w, 4, h->size);
	wr_bytes(&w, h->trail, sizeof h->trail);
	wr_be(&w, 8, h->run);
	wr_be(&w, 8, h->number);
	wr_be(&w, 8, h->first_block);
	wr_be(&w, 8, h->first_sequence);
	wr_be(&w, 8, h->last_event);
	wr_be(&w, 8, h->start_ns);
	wr_be(&w, 8, h->mono_ns);
	wr_bytes(&w, h->boot, sizeof h->boot);
	wr_be(&w, 8, h->salt);
	wr_bytes(&w, h->signer, sizeof h->signer);
	wr_be(&w, 8, h->epoch);
	wr_bytes(&w, h->before, sizeof h->before);
	wr_bytes(&w, frontier, nodes * HASH_SIZE);
	wr_be(&w, 4, stored);
	wr_be(&w, 4, raw);
	wr_bytes(&w, context, stored);
	wr_be(&w, 4, crc_of(ret, h->size - 4));
	assert(!w.failed && wr_len(&w) == h->size);
}

int segment_header_size(const uint8_t *bytes, size_t *ret_size)
{
	size_t size = (size_t)get_be(bytes + 12, 4);

	if (memcmp(bytes, magic, sizeof magic) != 0)
		return -EBADMSG;
	if (get_be(bytes + 8, 2) != SEGMENT_VERSION)
		return -EPROTONOSUPPORT;
	if (size < SEGMENT_FIXED_SIZE + 8 + 4 || size > SEGMENT_HEADER_MAX)
		return -EBADMSG;
	*ret_size = size;
	return 0;
}

static void get_octets(struct rd *r, uint8_t *ret, size_t len)
{
	const uint8_t *p = rd_bytes(r, len);

	if (p)
		memcpy(ret, p, len);
}

static void get_fixed(struct rd *r, struct segment_header *h)
{
	h->log = (enum audit_log)rd_be(r, 1);
	if ((h->log != LOG_COMMANDS && h->log != LOG_EVENTS) || rd_be(r, 1) != 0)
		r->failed = true;
	h->size = (uint32_t)rd_be(r, 4);
	get_octets(r, h->trail, sizeof h->trail);
	h->run = rd_be(r, 8);
	h->number = rd_be(r, 8);
	h->first_block = rd_be(r, 8);
	h->first_sequence = rd_be(r, 8);
	h->last_event = rd_be(r, 8);
	h->start_ns = rd_be(r, 8);
	h->mono_ns = rd_be(r, 8);
	get_octets(r, h->boot, sizeof h->boot);
	h->salt = rd_be(r, 8);
	get_octets(r, h->signer, sizeof h->signer);
	h->epoch = rd_be(r, 8);
	get_octets(r, h->before, sizeof h->before);
	if (h->first_sequence == 0 || h->first_block == UINT64_MAX)
		r->failed = true;
}

int segment_header_read(const uint8_t *bytes, size_t size, struct segment_header *ret_header)
{
	struct rd r = rd_over(bytes + 10, size - 10 - 4);
	uint8_t frontier[TREE_LEVELS][HASH_SIZE];
	struct segment_header h;
	size_t nodes;

	assert(size >= SEGMENT_FIXED_SIZE + 8 + 4);
	if (get_be(bytes + size - 4, 4) != crc_of(bytes, size - 4))
		return -EBADMSG;
	get_fixed(&r, &h);
	if (r.failed || h.size != size)
		return -EBADMSG;
	nodes = tree_frontier_count(h.first_block);
	for (size_t i = 0; i < nodes; i++)
		get_octets(&r, frontier[i], HASH_SIZE);
	h.context_stored = (uint32_t)rd_be(&r, 4);
	h.context_raw = (uint32_t)rd_be(&r, 4);
	h.context_at = (uint32_t)(SEGMENT_FIXED_SIZE + nodes * HASH_SIZE + 8);
	if (r.failed || rd_left(&r) != h.context_stored || h.context_stored > h.context_raw ||
	    h.context_raw > SEGMENT_CONTEXT_MAX)
		return -EBADMSG;
	tree_restore(&h.tree, h.first_block, frontier);
	*ret_header = h;
	return 0;
}

static const char *name_of(enum audit_log log, uint64_t number, const char *end,
			   char ret[SEGMENT_NAME_SIZE])
{
	(void)snprintf(ret, SEGMENT_NAME_SIZE, "%s-%06llu.%s", audit_log_name(log),
		       (unsigned long long)number, end);
	return ret;
}

const char *segment_name(enum audit_log log, uint64_t number, char ret[SEGMENT_NAME_SIZE])
{
	return name_of(log, number, "log", ret);
}

const char *segment_note_name(enum audit_log log, uint64_t number, char ret[SEGMENT_NAME_SIZE])
{
	return name_of(log, number, "note", ret);
}

const char *segment_new_name(enum audit_log log, char ret[SEGMENT_NAME_SIZE])
{
	(void)snprintf(ret, SEGMENT_NAME_SIZE, "%s.new", audit_log_name(log));
	return ret;
}

uint64_t segment_number(enum audit_log log, const char *name)
{
	char digits[SEGMENT_NAME_SIZE], again[SEGMENT_NAME_SIZE];
	size_t len = strlen(name), first = strlen(audit_log_name(log)) + 1;
	uint64_t number;

	if (len <= first + 4 || len >= sizeof digits)
		return 0;
	(void)string_copy(digits, len - first - 4 + 1, name + first);
	if (number_parse(digits, 1, UINT64_MAX, &number) < 0)
		return 0;
	return strcmp(segment_name(log, number, again), name) == 0 ? number : 0;
}

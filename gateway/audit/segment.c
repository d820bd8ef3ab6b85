/* Frames and headers of the trail's files, to octets and back. Used by the auditor,
 * which trusts what it writes, and by the review, which trusts no octet that it reads:
 * files may be damaged or made by somebody else. */
#include "gateway/audit/segment.h"

#include <isa-l/crc.h>
#include <stdio.h>

static const char magic[8] = "SPAUDIT";

static uint32_t crc_more(uint32_t crc, const uint8_t *bytes, size_t len)
{
	assert(len <= INT32_MAX);
	return crc32_iscsi((unsigned char *)(uintptr_t)bytes, (int)len, crc);
}

void segment_header_write(const struct segment_header *h, uint8_t ret[SEGMENT_HEADER_SIZE])
{
	struct wr w = wr_over(ret, SEGMENT_HEADER_SIZE);

	wr_bytes(&w, magic, sizeof magic);
	wr_be(&w, 2, SEGMENT_VERSION);
	wr_be(&w, 2, SEGMENT_HEADER_SIZE);
	wr_zero(&w, 4);
	wr_be(&w, 8, h->run);
	wr_be(&w, 8, h->number);
	wr_be(&w, 8, h->start_ns);
	wr_be(&w, 8, h->first_sequence);
	wr_be(&w, 8, h->last_event);
	wr_be(&w, 8, h->salt);
	wr_zero(&w, 12);
	wr_be(&w, 4, crc_more(~0u, ret, SEGMENT_HEADER_SIZE - 4));
	assert(!w.failed && wr_len(&w) == SEGMENT_HEADER_SIZE);
}

int segment_header_read(const uint8_t bytes[SEGMENT_HEADER_SIZE], struct segment_header *ret_header)
{
	struct rd r = rd_over(bytes + sizeof magic, SEGMENT_HEADER_SIZE - sizeof magic);
	struct segment_header h;

	if (memcmp(bytes, magic, sizeof magic) != 0)
		return -EBADMSG;
	if (get_be(bytes + SEGMENT_HEADER_SIZE - 4, 4) !=
	    crc_more(~0u, bytes, SEGMENT_HEADER_SIZE - 4))
		return -EBADMSG;
	if (rd_be(&r, 2) != SEGMENT_VERSION || rd_be(&r, 2) != SEGMENT_HEADER_SIZE)
		return -EPROTONOSUPPORT;
	rd_skip(&r, 4);
	h.run = rd_be(&r, 8);
	h.number = rd_be(&r, 8);
	h.start_ns = rd_be(&r, 8);
	h.first_sequence = rd_be(&r, 8);
	h.last_event = rd_be(&r, 8);
	h.salt = rd_be(&r, 8);
	if (h.first_sequence == 0)
		return -EBADMSG;
	*ret_header = h;
	return 0;
}

const char *segment_name(uint64_t number, char ret[SEGMENT_NAME_SIZE])
{
	(void)snprintf(ret, SEGMENT_NAME_SIZE, "audit-%06llu.log", (unsigned long long)number);
	return ret;
}

uint64_t segment_number(const char *name)
{
	char digits[SEGMENT_NAME_SIZE], again[SEGMENT_NAME_SIZE];
	size_t len = strlen(name);
	uint64_t number;

	if (len < 16 || len >= sizeof digits || strncmp(name, "audit-", 6) != 0)
		return 0;
	string_copy(digits, len - 9, name + 6);
	if (number_parse(digits, 1, UINT64_MAX, &number) < 0)
		return 0;
	return strcmp(segment_name(number, again), name) == 0 ? number : 0;
}

static void put_number(struct wr *w, uint64_t value)
{
	while (value >= 0x80) {
		wr_be(w, 1, (value & 0x7f) | 0x80);
		value >>= 7;
	}
	wr_be(w, 1, value);
}

static uint64_t get_number(struct rd *r)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint64_t octet = rd_be(r, 1), bits = octet & 0x7f;

		if (bits << shift >> shift != bits)
			break;
		value |= bits << shift;
		if (octet == bits)
			return value;
	}
	r->failed = true;
	return 0;
}

static uint64_t get_number_below(struct rd *r, uint64_t limit)
{
	uint64_t value = get_number(r);

	if (value > limit)
		r->failed = true;
	return r->failed ? 0 : value;
}

/* Another clock's time, as its distance from the auditor's: mostly microseconds. */
static void put_time(struct wr *w, uint64_t time, uint64_t base)
{
	uint64_t later = time - base, earlier = base - time;

	put_number(w, later <= INT64_MAX ? later << 1 : (earlier - 1) << 1 | 1);
}

static uint64_t get_time(struct rd *r, uint64_t base)
{
	uint64_t value = get_number(r);

	return value & 1 ? base - (value >> 1) - 1 : base + (value >> 1);
}

static void put_text(struct wr *w, const char *text, size_t size)
{
	size_t len = strnlen(text, size - 1);

	put_number(w, len);
	wr_bytes(w, text, len);
}

static void get_text(struct rd *r, char *ret, size_t size)
{
	size_t len = (size_t)get_number_below(r, size - 1);
	const uint8_t *p = rd_bytes(r, len);

	memset(ret, 0, size);
	if (p && len > 0)
		memcpy(ret, p, len);
}

static void put_endpoint(struct wr *w, const struct endpoint *e)
{
	uint8_t version = e->ip.version == 4 || e->ip.version == 6 ? e->ip.version : 0;

	wr_be(w, 1, version);
	if (version == 0)
		return;
	wr_bytes(w, e->ip.bytes, version == 4 ? 4 : 16);
	put_number(w, e->ip.scope);
	wr_be(w, 2, e->port);
}

static void get_endpoint(struct rd *r, struct endpoint *ret)
{
	const uint8_t *p;
	size_t len;

	*ret = (struct endpoint){.ip.version = (uint8_t)rd_be(r, 1)};
	if (ret->ip.version == 0)
		return;
	if (ret->ip.version != 4 && ret->ip.version != 6)
		r->failed = true;
	len = ret->ip.version == 4 ? 4 : 16;
	p = rd_bytes(r, len);
	if (p)
		memcpy(ret->ip.bytes, p, len);
	ret->ip.scope = (uint32_t)get_number_below(r, UINT32_MAX);
	ret->port = (uint16_t)rd_be(r, 2);
}

/* Begins a frame; frame_end() sets the length. */
static uint8_t *frame_begin(struct wr *w, enum frame_type type, struct stamp stamp)
{
	uint8_t *start = w->p;

	wr_be(w, 1, FRAME_MARKER);
	wr_be(w, 1, (uint64_t)type);
	wr_be(w, 2, 0);
	put_number(w, stamp.sequence);
	wr_be(w, 8, stamp.time_ns);
	return start;
}

static void frame_end(struct wr *w, uint8_t *start)
{
	size_t len;

	if (w->failed)
		return;
	len = (size_t)(w->p - start) - FRAME_HEAD;
	assert(len <= FRAME_PAYLOAD_MAX);
	put_be(start + 2, 2, len);
	wr_be(w, 4, 0);
}

#define HAS_SENSE 1u
#define HAS_RULE  2u
#define IS_SOURCE 4u

void frame_put_command(struct wr *w, struct stamp stamp, uint32_t connection,
		       const struct audit_record *r)
{
	uint8_t *start = frame_begin(w, FRAME_COMMAND, stamp);
	bool sense = r->status || r->sense_key || r->asc || r->ascq;
	size_t cdb = MIN((size_t)r->cdb_len, sizeof r->cdb);

	put_number(w, connection);
	put_number(w, r->index);
	put_time(w, r->wall_ns, stamp.time_ns);
	wr_be(w, 1, r->kind);
	wr_be(w, 1, r->verdict);
	wr_be(w, 1,
	      (sense ? HAS_SENSE : 0) | (r->rule_line ? HAS_RULE : 0) |
		      (r->source ? IS_SOURCE : 0));
	put_number(w, r->lun);
	put_number(w, r->lba);
	put_number(w, r->blocks);
	put_number(w, r->task_tag);
	if (r->rule_line)
		put_number(w, r->rule_line);
	if (sense)
		wr_bytes(w, (uint8_t[]){r->status, r->sense_key, r->asc, r->ascq}, 4);
	wr_be(w, 1, r->cdb_len);
	wr_bytes(w, r->cdb, cdb);
	frame_end(w, start);
}

static void get_command(struct rd *r, struct frame *f)
{
	struct audit_record *c = &f->command;
	const uint8_t *p;
	uint8_t flags;

	f->connection = (uint32_t)get_number_below(r, UINT32_MAX);
	c->index = get_number(r);
	c->wall_ns = get_time(r, f->stamp.time_ns);
	c->kind = (uint8_t)rd_be(r, 1);
	c->verdict = (uint8_t)rd_be(r, 1);
	flags = (uint8_t)rd_be(r, 1);
	c->source = (flags & IS_SOURCE) != 0;
	c->lun = (uint16_t)get_number_below(r, UINT16_MAX);
	c->lba = get_number(r);
	c->blocks = (uint32_t)get_number_below(r, UINT32_MAX);
	c->task_tag = (uint32_t)get_number_below(r, UINT32_MAX);
	if (flags & HAS_RULE)
		c->rule_line = (uint32_t)get_number_below(r, UINT32_MAX);
	p = flags & HAS_SENSE ? rd_bytes(r, 4) : NULL;
	if (p) {
		c->status = p[0];
		c->sense_key = p[1];
		c->asc = p[2];
		c->ascq = p[3];
	}
	c->cdb_len = (uint8_t)rd_be(r, 1);
	p = rd_bytes(r, MIN((size_t)c->cdb_len, sizeof c->cdb));
	if (p)
		memcpy(c->cdb, p, MIN((size_t)c->cdb_len, sizeof c->cdb));
}

void frame_put_session(struct wr *w, struct stamp stamp, const struct auditor_ring_info *info)
{
	uint8_t *start = frame_begin(w, FRAME_SESSION, stamp);

	put_number(w, info->connection);
	put_endpoint(w, &info->peer);
	put_text(w, info->initiator, sizeof info->initiator);
	put_text(w, info->target, sizeof info->target);
	frame_end(w, start);
}

static void get_session(struct rd *r, struct frame *f)
{
	struct auditor_ring_info *s = &f->session;

	s->connection = f->connection = (uint32_t)get_number_below(r, UINT32_MAX);
	get_endpoint(r, &s->peer);
	get_text(r, s->initiator, sizeof s->initiator);
	get_text(r, s->target, sizeof s->target);
}

void frame_put_event(struct wr *w, struct stamp stamp, const struct audit_event *e)
{
	uint8_t *start = frame_begin(w, FRAME_EVENT, stamp);

	put_number(w, e->id);
	put_time(w, e->wall_ns, stamp.time_ns);
	put_number(w, e->kind);
	put_number(w, e->count);
	put_number(w, e->connection);
	put_number(w, e->policy_line);
	wr_be(w, 1, e->algorithm);
	put_endpoint(w, &e->peer);
	put_text(w, e->portal, sizeof e->portal);
	put_text(w, e->reason, sizeof e->reason);
	put_text(w, e->user, sizeof e->user);
	put_text(w, e->initiator, sizeof e->initiator);
	put_text(w, e->target, sizeof e->target);
	put_text(w, e->detail, sizeof e->detail);
	frame_end(w, start);
}

static void get_event(struct rd *r, struct frame *f)
{
	struct audit_event *e = &f->event;

	e->id = get_number(r);
	e->wall_ns = get_time(r, f->stamp.time_ns);
	e->kind = (uint32_t)get_number_below(r, UINT32_MAX);
	e->count = get_number(r);
	e->connection = f->connection = (uint32_t)get_number_below(r, UINT32_MAX);
	e->policy_line = (uint32_t)get_number_below(r, UINT32_MAX);
	e->algorithm = (uint8_t)rd_be(r, 1);
	get_endpoint(r, &e->peer);
	get_text(r, e->portal, sizeof e->portal);
	get_text(r, e->reason, sizeof e->reason);
	get_text(r, e->user, sizeof e->user);
	get_text(r, e->initiator, sizeof e->initiator);
	get_text(r, e->target, sizeof e->target);
	get_text(r, e->detail, sizeof e->detail);
}

void frame_put_end(struct wr *w, struct stamp stamp, enum segment_end end)
{
	uint8_t *start = frame_begin(w, FRAME_END, stamp);

	wr_be(w, 1, (uint64_t)end);
	frame_end(w, start);
}

static void get_end(struct rd *r, struct frame *f)
{
	f->end = (enum segment_end)rd_be(r, 1);
	if (f->end != SEGMENT_END_STOP && f->end != SEGMENT_END_ORPHANED)
		r->failed = true;
}

static uint32_t frame_crc(const uint8_t *frame, size_t size, uint64_t offset, uint64_t salt)
{
	uint8_t place[16];

	put_be(place, 8, salt);
	put_be(place + 8, 8, offset);
	return crc_more(crc_more(~0u, place, sizeof place), frame, size - 4);
}

void frames_seal(uint8_t *frames, size_t len, uint64_t offset, uint64_t salt)
{
	while (len > 0) {
		int size = frame_size(frames, len);

		assert(size > 0 && (size_t)size <= len);
		put_be(frames + size - 4, 4, frame_crc(frames, (size_t)size, offset, salt));
		frames += size;
		offset += (uint64_t)size;
		len -= (size_t)size;
	}
}

int frame_size(const uint8_t *bytes, size_t len)
{
	size_t payload;

	if (len > 0 && bytes[0] != FRAME_MARKER)
		return -EBADMSG;
	if (len > 1 && (bytes[1] == FRAME_INVALID || bytes[1] >= FRAME_TYPES))
		return -EBADMSG;
	if (len < FRAME_HEAD)
		return 0;
	payload = (size_t)get_be(bytes + 2, 2);
	if (payload > FRAME_PAYLOAD_MAX || payload + FRAME_OVERHEAD < FRAME_LEAST)
		return -EBADMSG;
	return (int)(payload + FRAME_OVERHEAD);
}

bool frame_crc_right(const uint8_t *frame, size_t size, uint64_t offset, uint64_t salt)
{
	return get_be(frame + size - 4, 4) == frame_crc(frame, size, offset, salt);
}

static void (*const getters[FRAME_TYPES])(struct rd *r, struct frame *f) = {
	[FRAME_COMMAND] = get_command,
	[FRAME_SESSION] = get_session,
	[FRAME_EVENT] = get_event,
	[FRAME_END] = get_end,
};

int frame_decode(const uint8_t *frame, size_t size, struct frame *ret_frame)
{
	struct rd r = rd_over(frame + FRAME_HEAD, size - FRAME_OVERHEAD);

	memset(ret_frame, 0, sizeof *ret_frame);
	ret_frame->type = (enum frame_type)frame[1];
	assert(ret_frame->type > FRAME_INVALID && ret_frame->type < FRAME_TYPES);
	ret_frame->stamp.sequence = get_number(&r);
	ret_frame->stamp.time_ns = rd_be(&r, 8);
	getters[ret_frame->type](&r, ret_frame);
	return r.failed || rd_left(&r) > 0 ? -EBADMSG : 0;
}

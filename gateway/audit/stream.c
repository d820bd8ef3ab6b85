/* Walks over the segments of one log. Where a segment ends is said by the next one
 * (segment.h), so the next one's header is read before a segment is. Used by the review; trusts no
 * octet of the files. */
#include "gateway/audit/stream.h"

#include <stdarg.h>
#include <stdio.h>

/* Clocks are set back now and then: segments are left out by time with so much to spare. */
#define CLOCK_SLACK_NS (UINT64_C(600) * 1000000000)

void stream_tell(const struct stream *s, bool damage, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	s->report(s->arg, damage, text);
}

const char *stream_name(const struct stream *s, char ret[SEGMENT_NAME_SIZE])
{
	return segment_name(s->log, s->list.count ? s->list.numbers[s->at] : 0, ret);
}

/* The header of a segment that may not be there or not be readable: false. */
static bool peek(const struct stream *s, size_t at, struct segment_header *ret)
{
	OWNED_FD fd = segment_open(s->folder_fd, s->log, s->list.numbers[at]);

	return fd >= 0 && reader_header(fd, ret) == 0 && ret->log == s->log;
}

/* The first block of the next segment that says so. */
static uint64_t end_of(const struct stream *s)
{
	struct segment_header h;

	for (size_t i = s->at + 1; i < s->list.count; i++)
		if (peek(s, i, &h))
			return h.first_block;
	return UINT64_MAX;
}

static int list_again(struct stream *s)
{
	uint64_t number = s->list.count ? s->list.numbers[s->at] : 0;
	struct segment_list list;
	int e = segment_list_read(s->folder_fd, s->log, &list);

	if (e < 0)
		return e;
	if (list.count == 0 && s->fd >= 0) /* all were removed under us: this one is read on */
		return 0;
	segment_list_free(&s->list);
	s->list = list;
	for (s->at = 0; s->at + 1 < list.count && list.numbers[s->at] < number;)
		s->at++;
	return 0;
}

int stream_open(struct stream *s, enum audit_log log, int folder_fd)
{
	int e;

	s->log = log;
	s->folder_fd = folder_fd;
	s->fd = -1;
	e = reader_start(&s->reader);
	return e < 0 ? e : list_again(s);
}

static void segment_close(struct stream *s)
{
	fd_close(&s->fd);
	s->torn = 0;
	s->unreadable = false;
	s->have = false;
}

void stream_close(struct stream *s)
{
	if (s->log == AUDIT_LOG_INVALID) /* never opened */
		return;
	segment_close(s);
	segment_list_free(&s->list);
	names_clear(&s->names);
	reader_free(&s->reader);
}

static const char *why_unreadable(int e)
{
	switch (e) {
	case -ENODATA:
		return "it is shorter than a header";
	case -EBADMSG:
		return "its header is damaged, so that nothing in it can be proven";
	case -EPROTONOSUPPORT:
		return "another version of sallyport wrote it; read it with that one";
	default:
		return strerror(-e);
	}
}

static int segment_read(struct stream *s)
{
	int e;

	s->fd = segment_open(s->folder_fd, s->log, s->list.numbers[s->at]);
	e = s->fd < 0 ? s->fd : reader_open(&s->reader, s->fd);
	if (e == 0 && s->reader.header.log != s->log)
		e = -EBADMSG;
	return e < 0 ? e : reader_context(&s->reader, s->unpacker, &s->names, s->sessions);
}

/* Opens list.numbers[at]. 1: open; 0: it can't be read, which was told; -errno. */
static int segment_begin(struct stream *s)
{
	char name[SEGMENT_NAME_SIZE];
	int e = segment_read(s);

	if (e < 0) {
		fd_close(&s->fd);
		s->unreadable = true;
		stream_tell(s, true, "%s can't be read: %s", stream_name(s, name),
			    why_unreadable(e));
		return e == -EACCES || e == -EPERM || e == -ENOMEM ? e : 0;
	}
	if (!s->begun) {
		s->floor = s->reader.header.first_sequence;
		s->next_block = s->reader.header.first_block;
	}
	s->begun = s->fresh = true;
	s->end_block = end_of(s);
	return 1;
}

/* After the last block of a segment: is it the log's last, for now? Then a new one may have been
 * begun meanwhile, and more may have been written to this one before that. 1: go on. */
static int segment_over(struct stream *s)
{
	if (s->at + 1 >= s->list.count) {
		size_t before = s->list.count;
		int e = list_again(s);

		if (e < 0 || s->at + 1 >= s->list.count || s->list.count <= before)
			return e;
		s->end_block = end_of(s);
		return 1;
	}
	segment_close(s);
	s->at++;
	return 1;
}

static void tell_damage(struct stream *s)
{
	char name[SEGMENT_NAME_SIZE];

	stream_tell(s, true, "%s: damaged from octet %llu to octet %llu", stream_name(s, name),
		    (unsigned long long)s->reader.damage_offset,
		    (unsigned long long)(s->reader.damage_offset + s->reader.damage_len - 1));
}

void stream_damaged(struct stream *s)
{
	tell_damage(s);
}

/* 1: a block; 0: this segment has no more; -EAGAIN: try again; -errno. */
static int segment_peek(struct stream *s)
{
	struct block_header h;
	int got = reader_peek(&s->reader, &h);

	s->torn = got == READER_TORN ? s->reader.offset : 0;
	if (got == READER_DAMAGED) {
		/* Before a segment that goes on without a gap, it is what was written there again.
		 */
		if (s->end_block == UINT64_MAX || s->end_block > s->next_block)
			tell_damage(s);
		return -EAGAIN;
	}
	if (got != READER_BLOCK)
		return MIN(got, 0);
	if (h.number >= s->end_block)
		return 0;
	if (h.number < s->next_block) {
		reader_skip(&s->reader, &h);
		return -EAGAIN;
	}
	if (!s->started)
		s->floor = MAX(s->floor, h.first_sequence);
	s->started = true;
	s->head = h;
	s->have = true;
	return 1;
}

/* As segment_peek(); opens the segment that is in turn. */
static int peek_or_open(struct stream *s)
{
	int e;

	if (s->fd >= 0)
		return segment_peek(s);
	if (s->list.count == 0 && (e = list_again(s)) < 0)
		return e;
	if (s->list.count == 0 || s->unreadable)
		return 0;
	e = segment_begin(s);
	return e > 0 ? -EAGAIN : e;
}

int stream_peek(struct stream *s)
{
	int e;

	if (s->have)
		return 1;
	do {
		e = peek_or_open(s);
		if (e == 0 && (e = segment_over(s)) > 0)
			e = -EAGAIN;
	} while (e == -EAGAIN);
	return e;
}

void stream_skip(struct stream *s)
{
	assert(s->have);
	reader_skip(&s->reader, &s->head);
	s->next_block = s->head.number + 1;
	s->have = false;
}

int stream_take(struct stream *s, const uint8_t **ret_block)
{
	int got;

	assert(s->have);
	s->have = false;
	s->next_block = s->head.number + 1;
	got = reader_take(&s->reader, &s->head, ret_block);
	if (got != READER_DAMAGED)
		return got < 0 ? got : 1;
	tell_damage(s);
	return 0;
}

static void start_over(struct stream *s, size_t at)
{
	segment_close(s);
	s->at = at;
	s->begun = s->started = false;
	s->next_block = 0;
}

void stream_seek_time(struct stream *s, uint64_t since_ns)
{
	struct segment_header next;

	while (s->at + 1 < s->list.count && peek(s, s->at + 1, &next) &&
	       next.start_ns < UINT64_MAX - CLOCK_SLACK_NS &&
	       next.start_ns + CLOCK_SLACK_NS < since_ns)
		s->at++;
}

void stream_seek_sequence(struct stream *s, uint64_t sequence)
{
	size_t at = s->list.count ? s->list.count - 1 : 0;
	struct segment_header h;

	while (at > 0 && !(peek(s, at, &h) && h.first_sequence <= sequence))
		at--;
	start_over(s, at);
}

int stream_seek_end(struct stream *s, uint64_t *ret_behind)
{
	int e = list_again(s);

	if (e < 0)
		return e;
	start_over(s, s->list.count ? s->list.count - 1 : 0);
	while ((e = stream_peek(s)) > 0) {
		*ret_behind = MAX(*ret_behind, s->head.first_sequence + s->head.records);
		stream_skip(s);
	}
	return e;
}

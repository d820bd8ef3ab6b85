/* Walks over the segments of an audit folder. Where a segment ends is said by the next
 * one (segment.h), so the next one's header is read before a segment is. Used by the
 * review; trusts no octet of the files. */
#include "gateway/audit/trail.h"

#include <stdarg.h>
#include <stdio.h>
#include "gateway/audit/folder.h"
#include "gateway/audit/sessions.h"

/* Clocks are set back now and then: segments are left out by time with so much to spare. */
#define CLOCK_SLACK_NS (UINT64_C(600) * 1000000000)

struct trail {
	int folder_fd;
	struct segment_list list;
	size_t at; /* of the segment that is read: list.numbers[at] */
	int fd;	   /* -1: none is open */
	struct segment_reader *reader;
	uint64_t end_sequence; /* the next segment's first; 0: there is none yet */
	uint64_t expected;     /* sequence of the next record; 0: any */
	uint64_t told_before;  /* sequences below it were read from earlier segments */
	uint64_t torn;	       /* offset of an incomplete last frame; 0: none */
	bool unreadable;       /* this segment, which was told */
	struct sessions *sessions;
	trail_report report;
	void *arg;
};

PRINTF_LIKE(3, 4)
static void tell(const struct trail *t, bool damage, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	t->report(t->arg, damage, text);
}

static const char *name_at(const struct trail *t, size_t at, char name[SEGMENT_NAME_SIZE])
{
	return segment_name(t->list.numbers[at], name);
}

/* The header of a segment that may not be there or not be readable: false. */
static bool peek(const struct trail *t, size_t at, struct segment_header *ret)
{
	uint8_t bytes[SEGMENT_HEADER_SIZE];
	OWNED_FD fd = segment_open(t->folder_fd, t->list.numbers[at]);

	return fd >= 0 && pread(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes &&
	       segment_header_read(bytes, ret) == 0;
}

/* The first sequence of the next segment that says so. */
static uint64_t end_of(const struct trail *t)
{
	struct segment_header h;

	for (size_t i = t->at + 1; i < t->list.count; i++)
		if (peek(t, i, &h))
			return h.first_sequence;
	return 0;
}

static void skip_by_time(struct trail *t, uint64_t since_ns)
{
	struct segment_header next;

	while (t->at + 1 < t->list.count && peek(t, t->at + 1, &next) &&
	       next.start_ns < UINT64_MAX - CLOCK_SLACK_NS &&
	       next.start_ns + CLOCK_SLACK_NS < since_ns)
		t->at++;
}

static int list_again(struct trail *t)
{
	uint64_t number = t->list.count ? t->list.numbers[t->at] : 0;
	struct segment_list list;
	int e = segment_list_read(t->folder_fd, &list);

	if (e < 0)
		return e;
	if (list.count == 0 && t->fd >= 0) /* all were removed under us: this one is read on */
		return 0;
	segment_list_free(&t->list);
	t->list = list;
	for (t->at = 0; t->at + 1 < list.count && list.numbers[t->at] < number;)
		t->at++;
	return 0;
}

int trail_open(struct trail **ret_trail, int folder_fd, uint64_t since_ns, trail_report report,
	       void *arg)
{
	struct trail *t = calloc(1, sizeof *t);
	int e = -ENOMEM;

	if (!t)
		return -ENOMEM;
	t->folder_fd = folder_fd;
	t->fd = -1;
	t->report = report;
	t->arg = arg;
	t->reader = malloc(sizeof *t->reader);
	t->sessions = sessions_new();
	if (t->reader && t->sessions)
		e = list_again(t);
	if (e < 0) {
		trail_close(t);
		return e;
	}
	skip_by_time(t, since_ns);
	*ret_trail = t;
	return 0;
}

void trail_close(struct trail *t)
{
	if (!t)
		return;
	fd_close(&t->fd);
	segment_list_free(&t->list);
	sessions_free(t->sessions);
	free(t->reader);
	free(t);
}

static void segment_close(struct trail *t)
{
	fd_close(&t->fd);
	t->torn = 0;
	t->unreadable = false;
}

/* Records that no segment has. */
static void check_missing(struct trail *t, uint64_t found, const char *where)
{
	if (t->expected && found > t->expected)
		tell(t, true, "%s: records %llu to %llu are missing before it", where,
		     (unsigned long long)t->expected, (unsigned long long)found - 1);
}

static const char *why_unreadable(int e)
{
	switch (e) {
	case -ENODATA:
		return "it is shorter than a header";
	case -EBADMSG:
		return "its header is damaged, so that nothing in it can be proven";
	case -EPROTONOSUPPORT:
		return "a newer version of sallyport wrote it; read it with that one";
	default:
		return strerror(-e);
	}
}

/* Opens list.numbers[at]. 1: open; 0: it can't be read, which was told; -errno. */
static int segment_begin(struct trail *t)
{
	char name[SEGMENT_NAME_SIZE];
	int e;

	name_at(t, t->at, name);
	t->fd = segment_open(t->folder_fd, t->list.numbers[t->at]);
	e = t->fd < 0 ? t->fd : reader_open(t->reader, t->fd);
	if (e < 0) {
		fd_close(&t->fd);
		t->unreadable = true;
		tell(t, true, "%s can't be read: %s", name, why_unreadable(e));
		return e == -EACCES || e == -EPERM ? e : 0;
	}
	sessions_clear(t->sessions);
	t->end_sequence = end_of(t);
	t->told_before = t->expected;
	check_missing(t, t->reader->header.first_sequence, name);
	t->expected = MAX(t->expected, t->reader->header.first_sequence);
	return 1;
}

/* After the last frame of a segment: is it the trail's last, for now? Then a new one may have been
 * begun meanwhile, and more may have been written to this one before that. 1: go on. */
static int segment_over(struct trail *t)
{
	if (t->at + 1 >= t->list.count) {
		size_t before = t->list.count;
		int e = list_again(t);

		if (e < 0 || t->at + 1 >= t->list.count || t->list.count <= before)
			return e;
		t->end_sequence = end_of(t);
		return 1;
	}
	segment_close(t);
	t->at++;
	return 1;
}

/* Before a segment that goes on without a gap, it is what was written there again. */
static void damaged(struct trail *t)
{
	char name[SEGMENT_NAME_SIZE];
	bool superseded = t->end_sequence && t->end_sequence <= t->expected;

	if (superseded)
		return;
	tell(t, true, "%s: damaged from octet %llu to octet %llu", name_at(t, t->at, name),
	     (unsigned long long)t->reader->damage_offset,
	     (unsigned long long)(t->reader->damage_offset + t->reader->damage_len - 1));
}

/* Is the record one to hand out? Keeps the count of sequences. */
static bool in_turn(struct trail *t, const struct frame *f)
{
	char name[SEGMENT_NAME_SIZE];
	uint64_t sequence = f->stamp.sequence;

	if (f->type == FRAME_SESSION)
		sessions_put(t->sessions, &f->session);
	if (sequence == 0)
		return false;
	if (sequence < t->expected) {
		if (sequence >= t->told_before)
			tell(t, true, "%s: record %llu stands there a second time",
			     name_at(t, t->at, name), (unsigned long long)sequence);
		return false;
	}
	check_missing(t, sequence, name_at(t, t->at, name));
	t->expected = sequence + 1;
	return true;
}

/* 1: a record; 0: this segment has no more; -EAGAIN: try again; -errno. */
static int segment_next(struct trail *t, struct trail_record *ret)
{
	int got = reader_next(t->reader, &ret->frame);

	t->torn = got == READER_TORN ? t->reader->offset : 0;
	if (got == READER_DAMAGED) {
		damaged(t);
		return -EAGAIN;
	}
	if (got != READER_FRAME)
		return MIN(got, 0);
	if (t->end_sequence && ret->frame.stamp.sequence >= t->end_sequence)
		return 0;
	if (!in_turn(t, &ret->frame))
		return -EAGAIN;
	ret->run = t->reader->header.run;
	ret->session = sessions_find(t->sessions, ret->frame.connection);
	return 1;
}

/* As segment_next(); opens the segment that is in turn. */
static int next_or_open(struct trail *t, struct trail_record *ret)
{
	int e;

	if (t->fd >= 0)
		return segment_next(t, ret);
	if (t->list.count == 0 && (e = list_again(t)) < 0)
		return e;
	if (t->list.count == 0 || t->unreadable)
		return 0;
	e = segment_begin(t);
	return e > 0 ? -EAGAIN : e;
}

int trail_next(struct trail *t, struct trail_record *ret_record)
{
	int e;

	do {
		e = next_or_open(t, ret_record);
		if (e == 0 && (e = segment_over(t)) > 0)
			e = -EAGAIN;
	} while (e == -EAGAIN);
	return e;
}

static void quiet(void *arg, bool damage, const char *text)
{
	(void)arg;
	(void)damage;
	(void)text;
}

int trail_rewind(struct trail *t, uint64_t records, uint64_t *ret_first)
{
	trail_report report = t->report;
	struct trail_record *record = malloc(sizeof *record);
	struct segment_header h;
	uint64_t first;
	int e;

	if (!record)
		return -ENOMEM;
	segment_close(t);
	t->at = t->list.count ? t->list.count - 1 : 0;
	t->expected = 0;
	t->report = quiet;
	while ((e = trail_next(t, record)) > 0)
		continue;
	t->report = report;
	free(record);
	first = t->expected > records ? t->expected - records : 1;
	while (t->at > 0 && !(peek(t, t->at, &h) && h.first_sequence <= first))
		t->at--;
	segment_close(t);
	t->expected = 0;
	*ret_first = first;
	return e;
}

const char *trail_torn(const struct trail *t, uint64_t *ret_offset)
{
	static char name[SEGMENT_NAME_SIZE];

	if (t->torn == 0)
		return NULL;
	*ret_offset = t->torn;
	return name_at(t, t->at, name);
}

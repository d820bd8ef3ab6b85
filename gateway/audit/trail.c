/* Merges the two logs of the trail. A block has consecutive sequences, so the next one of the two
 * that begins first is the next one of the trail. Used by the review; trusts no octet of
 * the files. */
#include "gateway/audit/trail.h"

#include "gateway/audit/rows.h"
#include "gateway/audit/stream.h"

struct trail {
	struct stream streams[AUDIT_LOGS];
	struct trail_wanted wanted;
	uint64_t connections; /* bits of the sessions that are wanted */
	struct unpacker unpacker;
	struct sessions *sessions;
	struct stream *current; /* its block is being read; NULL: none */
	struct rows_reader rows;
	uint64_t expected; /* sequence of the next record; 0: any */
	uint64_t from;	   /* blocks that end before this sequence are passed over */
	struct trail_effort effort;
};

static void reports_to(struct trail *t, trail_report report, void *arg)
{
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		t->streams[i].report = report;
		t->streams[i].arg = arg;
	}
}

static void session_wanted(void *arg, const struct auditor_ring_info *session)
{
	struct trail *t = arg;

	if (t->wanted.session && t->wanted.session(t->wanted.arg, session))
		t->connections |= UINT64_C(1) << session->connection % 64;
}

/* Of a row: said for the first time, or repeated. */
static void session_seen(void *arg, const struct auditor_ring_info *session)
{
	struct trail *t = arg;

	sessions_put(t->sessions, session);
	session_wanted(t, session);
}

int trail_open(struct trail **ret_trail, int folder_fd, const struct trail_wanted *wanted,
	       trail_report report, void *arg)
{
	struct trail *t = calloc(1, sizeof *t);
	int e;

	if (!t)
		return -ENOMEM;
	if (wanted)
		t->wanted = *wanted;
	reports_to(t, report, arg);
	t->sessions = sessions_new();
	e = t->sessions ? unpacker_open(&t->unpacker) : -ENOMEM;
	for (size_t i = 0; i < AUDIT_LOGS && e == 0; i++) {
		t->streams[i].unpacker = &t->unpacker;
		e = stream_open(&t->streams[i], (enum audit_log)(i + 1), folder_fd);
		if (e == 0)
			stream_seek_time(&t->streams[i], t->wanted.since_ns);
	}
	if (e < 0) {
		trail_close(t);
		return e;
	}
	t->streams[LOG_COMMANDS - 1].sessions = t->sessions;
	t->rows.repeated = session_seen;
	t->rows.arg = t;
	*ret_trail = t;
	return 0;
}

void trail_close(struct trail *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		stream_close(&t->streams[i]);
	unpacker_close(&t->unpacker);
	sessions_free(t->sessions);
	free(t);
}

/* --- which block is next, and is it wanted? ------------------------------------------------ */

static bool commands_wanted(const struct trail *t, const struct block_header *h)
{
	const struct trail_wanted *w = &t->wanted;
	const struct block_index *i = &h->index;

	if (w->no_commands || (w->luns && !(w->luns & i->luns)) ||
	    (w->opcodes && !(w->opcodes & i->ops)) || (w->verdicts && !(w->verdicts & i->verdicts)))
		return false;
	if (w->has_blocks && (i->lba_greatest < w->first_lba || i->lba_least > w->last_lba))
		return false;
	return !w->session || (t->connections & i->connections) != 0;
}

static bool events_wanted(const struct trail *t, const struct block_header *h)
{
	const struct trail_wanted *w = &t->wanted;

	return !w->no_events && (!w->events || (w->events & h->index.ops));
}

static bool is_wanted(const struct trail *t, const struct block_header *h)
{
	const struct trail_wanted *w = &t->wanted;

	if (h->flags & BLOCK_DEFINES)
		return true;
	if (h->records == 0)
		return false;
	if (h->first_sequence + h->records <= t->from)
		return false;
	if (h->wall_ns + h->span_ns < w->since_ns || (w->until_ns && h->wall_ns >= w->until_ns))
		return false;
	return h->log == LOG_COMMANDS ? commands_wanted(t, h) : events_wanted(t, h);
}

static struct stream *first_of(struct trail *t)
{
	struct stream *a = &t->streams[0], *b = &t->streams[1];

	if (!a->have || !b->have)
		return a->have ? a : b->have ? b : NULL;
	if (a->head.first_sequence == b->head.first_sequence) /* one of the two has no records */
		return a->head.records <= b->head.records ? a : b;
	return a->head.first_sequence < b->head.first_sequence ? a : b;
}

static uint64_t floor_of(const struct trail *t)
{
	return MAX(t->streams[0].floor, t->streams[1].floor);
}

/* 1: *ret_stream has the next block; 0: no more for now; -errno. A block that does not follow may
 * have been written just after the other log was looked at: that is looked at again. What is in the
 * files is in the order of its sequences, so then it is there. */
static int choose(struct trail *t, struct stream **ret_stream)
{
	struct stream *first = NULL;

	for (int look = 0; look < 2; look++) {
		for (size_t i = 0; i < AUDIT_LOGS; i++) {
			int e = stream_peek(&t->streams[i]);

			if (e < 0)
				return e;
		}
		first = first_of(t);
		if (!first || first->head.first_sequence <= MAX(t->expected, floor_of(t)))
			break;
	}
	*ret_stream = first;
	return first != NULL;
}

/* Keeps the count of sequences. False: these stand there a second time. */
static bool in_turn(struct trail *t, const struct stream *s)
{
	uint64_t first = s->head.first_sequence, wanted = MAX(t->expected, floor_of(t));
	char name[SEGMENT_NAME_SIZE];

	if (first < t->expected) {
		stream_tell(s, true, "%s: record %llu stands there a second time",
			    stream_name(s, name), (unsigned long long)first);
		return false;
	}
	if (first > wanted)
		stream_tell(s, true, "%s: records %llu to %llu are missing before it",
			    stream_name(s, name), (unsigned long long)wanted,
			    (unsigned long long)first - 1);
	t->expected = first + s->head.records;
	return true;
}

static int block_open(struct trail *t, struct stream *s)
{
	const uint8_t *block, *payload;
	int e = stream_take(s, &block);

	if (e <= 0)
		return e;
	t->effort.unpacked++;
	if (unpacker_block(&t->unpacker, &s->head, block, &payload) < 0) {
		stream_damaged(s);
		return 0;
	}
	rows_read_begin(&t->rows, &s->head, payload, &s->names);
	t->current = s;
	return 1;
}

/* 1: a block is open; 0: no more for now; -EAGAIN: that one was passed over; -errno. */
static int block_next(struct trail *t)
{
	struct stream *s;
	int e = choose(t, &s);

	if (e <= 0)
		return e;
	if (s->fresh && s->sessions && t->wanted.session) {
		t->connections = 0;
		sessions_each(s->sessions, session_wanted, t);
	}
	s->fresh = false;
	t->effort.blocks++;
	if (!in_turn(t, s) || !is_wanted(t, &s->head)) {
		stream_skip(s);
		return -EAGAIN;
	}
	e = block_open(t, s);
	return e == 0 ? -EAGAIN : e;
}

/* --- records ------------------------------------------------------------------------------- */

/* 1: a record; 0: the block is over. */
static int record_next(struct trail *t, struct trail_record *ret)
{
	struct stream *s = t->current;
	int e = rows_next(&t->rows, &ret->frame);

	if (e <= 0) {
		t->current = NULL;
		if (e < 0)
			stream_damaged(s);
		return 0;
	}
	if (ret->frame.type == FRAME_SESSION)
		session_seen(t, &ret->frame.session);
	ret->log = s->log;
	ret->segment = s->reader.header.number;
	ret->block = s->head.number;
	ret->run = s->reader.header.run;
	ret->trail = s->reader.header.trail;
	ret->session = sessions_find(t->sessions, ret->frame.connection);
	t->effort.records++;
	return 1;
}

int trail_next(struct trail *t, struct trail_record *ret_record)
{
	int e;

	for (;;) {
		if (t->current && record_next(t, ret_record) > 0)
			return 1;
		do
			e = block_next(t);
		while (e == -EAGAIN);
		if (e <= 0)
			return e;
	}
}

static void quiet(void *arg, bool damage, const char *text)
{
	(void)arg;
	(void)damage;
	(void)text;
}

void trail_seek(struct trail *t, uint64_t sequence)
{
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		stream_seek_sequence(&t->streams[i], sequence);
	t->from = sequence;
	t->expected = 0;
	t->current = NULL;
}

int trail_rewind(struct trail *t, uint64_t records, uint64_t *ret_first)
{
	trail_report report = t->streams[0].report;
	void *arg = t->streams[0].arg;
	uint64_t behind = 1;
	int e = 0;

	reports_to(t, quiet, NULL);
	for (size_t i = 0; i < AUDIT_LOGS && e == 0; i++)
		e = stream_seek_end(&t->streams[i], &behind);
	reports_to(t, report, arg);
	*ret_first = behind > records ? behind - records : 1;
	trail_seek(t, *ret_first);
	return e;
}

const char *trail_torn(const struct trail *t, uint64_t *ret_offset)
{
	static char name[SEGMENT_NAME_SIZE];

	for (size_t i = 0; i < AUDIT_LOGS; i++)
		if (t->streams[i].torn) {
			*ret_offset = t->streams[i].torn;
			return stream_name(&t->streams[i], name);
		}
	return NULL;
}

struct trail_effort trail_effort(const struct trail *t)
{
	return t->effort;
}

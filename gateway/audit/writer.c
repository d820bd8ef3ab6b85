/* The two logs of the trail and the block that is open. Runs in the auditor; what it is given of
 * sessions is hostile, and only ever a value in a row. */
#include "gateway/audit/writer.h"

#include <fcntl.h>
#include <sys/random.h>
#include "gateway/base/clock.h"

#define ROW_SHARE                                                                      \
	256 /* octets of the tail that one more record takes at most, with its block's \
	     */

int writer_open(struct trail_writer *w, int folder_fd, struct keys *keys, context_sessions sessions,
		void *arg)
{
	int e;

	memset(w, 0, sizeof *w);
	w->folder_fd = folder_fd;
	w->keys = keys;
	w->sessions = sessions;
	w->arg = arg;
	w->row_octets = malloc(WRITER_ROWS_SIZE + ROW_MAX);
	if (!w->row_octets)
		return -ENOMEM;
	if ((e = packer_open(&w->packer)) < 0 ||
	    (e = log_writer_open(&w->logs[0], LOG_COMMANDS)) < 0)
		return e;
	return log_writer_open(&w->logs[1], LOG_EVENTS);
}

void writer_close(struct trail_writer *w)
{
	if (!w->row_octets) /* never opened */
		return;
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		log_writer_close(&w->logs[i]);
	packer_close(&w->packer);
	free(w->row_octets);
	w->row_octets = NULL;
}

struct log_writer *writer_log(struct trail_writer *w, enum audit_log log)
{
	return &w->logs[log - 1];
}

static struct log_writer *other_of(struct trail_writer *w, enum audit_log log)
{
	return writer_log(w, log == LOG_COMMANDS ? LOG_EVENTS : LOG_COMMANDS);
}

int writer_start(struct trail_writer *w, const struct trail_end *end)
{
	uint64_t next[AUDIT_LOGS];

	if (getrandom(&w->salt, sizeof w->salt, 0) != (ssize_t)sizeof w->salt)
		return -EIO;
	memcpy(w->trail, end->trail, sizeof w->trail);
	w->run = end->run;
	w->next_sequence = end->next_sequence;
	w->last_event = end->last_event;
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		struct log_writer *l = &w->logs[i];

		l->header.number = end->logs[i].number;
		l->made = l->synced = end->logs[i].place;
		l->note_blocks = l->made.blocks;
		l->notes = end->logs[i].notes;
		next[i] = l->made.blocks;
		l->unbound_count = end->logs[i].unbound_count;
		memcpy(l->unbound, end->logs[i].unbound, sizeof l->unbound);
	}
	writer_clock(w);
	return keys_begin(w->keys, end->epoch, end->same_run, next);
}

void writer_clock(struct trail_writer *w)
{
	w->mono_ns = MAX(clock_ns(), w->mono_ns);
	w->wall_ns = clock_wall_ns();
}

uint64_t writer_first_unsynced(const struct trail_writer *w)
{
	uint64_t first = w->open ? w->open_sequence : w->next_sequence;

	for (size_t i = 0; i < AUDIT_LOGS; i++)
		if (w->logs[i].tail_len > 0)
			first = MIN(first, log_writer_first(&w->logs[i]));
	return first;
}

static struct segment_header header_next(const struct trail_writer *w, const struct log_writer *l)
{
	struct segment_header h = {
		.log = l->log,
		.run = w->run,
		.number = l->header.number + 1,
		.first_block = l->synced.blocks,
		.first_sequence = writer_first_unsynced(w),
		.last_event = l->synced.event,
		.start_ns = w->wall_ns,
		.mono_ns = w->mono_ns,
		.salt = w->salt,
		.epoch = keys_epoch(w->keys),
		.tree = l->synced.tree,
	};

	memcpy(h.trail, w->trail, sizeof h.trail);
	memcpy(h.boot, w->boot, sizeof h.boot);
	memcpy(h.signer, keys_signer(w->keys), sizeof h.signer);
	memcpy(h.before, l->synced.before, sizeof h.before);
	return h;
}

/* A block without records. */
static void seal_empty(struct trail_writer *w, struct log_writer *l, uint8_t flags,
		       const uint8_t *context)
{
	const struct block_parts parts = {
		.flags = flags,
		.context = context,
		.sequence = w->next_sequence,
		.wall_ns = w->wall_ns,
		.mono_ns = w->mono_ns,
		.last_ns = w->mono_ns,
		.event = l->made.event,
		.other = &other_of(w, l->log)->synced,
	};

	log_writer_seal(l, &parts, &w->packer, w->keys, w->salt);
}

/* The segment that was just begun, and those that were left before their headers were bound to the
 * chain: the folder could not be synced, or the auditor died. */
static void bind_headers(struct trail_writer *w, struct log_writer *l)
{
	while (l->unbound_count > 0 && log_writer_room(l) >= WRITER_RESERVE / 2)
		seal_empty(w, l, BLOCK_CONTEXT, l->unbound[--l->unbound_count]);
}

static int segment_begin(struct trail_writer *w, struct log_writer *l)
{
	const struct context context = {.names = &l->names,
					.sessions = l->log == LOG_COMMANDS ? w->sessions : NULL,
					.arg = w->arg,
					.packer = &w->packer};
	OWNED_FREE uint8_t *header = NULL;
	struct segment_header h;
	int e;

	bind_headers(w, l); /* no segment is seen before those that it binds are bound */
	h = header_next(w, l);
	e = context_write(&h, &context, &header);
	if (e < 0 || (e = log_writer_begin(l, w->folder_fd, &h, header)) < 0)
		return e;
	/* It can be seen, whatever follows. */
	l->unbound_count = MIN(l->unbound_count + 1, LOG_UNBOUND);
	block_hash(header, h.size, l->unbound[l->unbound_count - 1]);
	if (fsync(w->folder_fd) < 0)
		return -errno;
	keys_written(w->keys, l->log);
	keys_well(w->keys, l->log);
	log_writer_synced(l, &l->made);
	bind_headers(w, l);
	return log_writer_flush(l, w->keys);
}

/* A new segment of a log that can be written repeats nothing, and what is below its first sequence
 * is on the disk in both logs. */
static int settle(struct trail_writer *w)
{
	int e = writer_flush(w);

	for (size_t i = 0; i < AUDIT_LOGS && e == 0; i++)
		e = log_writer_settle(&w->logs[i]);
	return e;
}

int writer_begin(struct trail_writer *w, enum audit_log log)
{
	bool was_writable = w->writable;
	int e;

	writer_clock(w);
	writer_cut(w);
	e = was_writable ? settle(w) : 0;
	w->writable = false;
	/* The events first: what they declare missing is not looked for behind later segments. */
	for (size_t i = AUDIT_LOGS; i-- > 0 && e == 0;)
		if (log == AUDIT_LOG_INVALID || log == w->logs[i].log)
			e = segment_begin(w, &w->logs[i]);
	if (e < 0)
		return e;
	w->writable = was_writable || log == AUDIT_LOG_INVALID;
	w->error = log == AUDIT_LOG_INVALID ? 0 : w->error;
	return 0;
}

/* Octets of the tail that neither it nor the block that is open needs. */
static size_t room_of(const struct trail_writer *w, enum audit_log log)
{
	size_t room = log_writer_room(&w->logs[log - 1]);
	size_t open = w->open == log ? BLOCK_SIZE_MIN + wr_len(&w->rows.out) : 0;

	return room - MIN(room, open);
}

uint64_t writer_room(const struct trail_writer *w)
{
	static const size_t spare = WRITER_RESERVE + BLOCK_SIZE_MIN; /* of a block that begins */
	size_t room = room_of(w, LOG_COMMANDS);

	return room < spare ? 0 : (room - spare) / ROW_SHARE;
}

bool writer_has_reserve(const struct trail_writer *w)
{
	return room_of(w, LOG_COMMANDS) >= WRITER_RESERVE &&
	       room_of(w, LOG_EVENTS) >= WRITER_RESERVE;
}

/* The other log's blocks come first in the files, too. */
static void other_first(struct trail_writer *w, enum audit_log log)
{
	if (w->writable && w->error == 0)
		w->error = log_writer_flush(other_of(w, log), w->keys);
}

/* A block of this log is open, with room for one more row. */
static void block_open(struct trail_writer *w, enum audit_log log)
{
	if (w->open == log && wr_len(&w->rows.out) < WRITER_ROWS_SIZE &&
	    w->rows.records < WRITER_RECORDS)
		return;
	writer_cut(w);
	other_first(w, log);
	w->open = log;
	w->open_sequence = w->next_sequence;
	rows_write_begin(&w->rows, w->row_octets, WRITER_ROWS_SIZE + ROW_MAX,
			 &writer_log(w, log)->names);
}

void writer_cut(struct trail_writer *w)
{
	struct log_writer *l;

	if (w->open == AUDIT_LOG_INVALID)
		return;
	l = writer_log(w, w->open);
	log_writer_seal(l,
			&(struct block_parts){.rows = &w->rows,
					      .flags = w->open_flags,
					      .sequence = w->open_sequence,
					      .wall_ns = w->rows.wall_ns,
					      .mono_ns = w->rows.first_ns,
					      .last_ns = w->rows.rows.mono_ns,
					      .event = w->last_event,
					      .other = &other_of(w, w->open)->synced},
			&w->packer, w->keys, w->salt);
	w->open = AUDIT_LOG_INVALID;
	w->open_flags = 0;
	w->cuts++;
}

uint64_t writer_put_command(struct trail_writer *w, uint32_t connection,
			    const struct audit_record *record)
{
	block_open(w, LOG_COMMANDS);
	rows_put_command(&w->rows, w->wall_ns, w->mono_ns, connection, record);
	return w->next_sequence++;
}

uint64_t writer_put_session(struct trail_writer *w, const struct auditor_ring_info *info)
{
	block_open(w, LOG_COMMANDS);
	rows_put_session(&w->rows, w->wall_ns, w->mono_ns, info);
	return w->next_sequence++;
}

void writer_put_repeated(struct trail_writer *w, const struct auditor_ring_info *info)
{
	block_open(w, LOG_COMMANDS);
	rows_put_repeated(&w->rows, w->wall_ns, w->mono_ns, info);
}

uint64_t writer_put_event(struct trail_writer *w, const struct audit_event *event)
{
	block_open(w, LOG_EVENTS);
	rows_put_event(&w->rows, w->wall_ns, w->mono_ns, event);
	w->last_event = MAX(w->last_event, event->id);
	return w->next_sequence++;
}

void writer_put_end(struct trail_writer *w, enum segment_end end)
{
	writer_cut(w);
	seal_empty(w, &w->logs[LOG_COMMANDS - 1], BLOCK_END, NULL);
	block_open(w, LOG_EVENTS);
	rows_put_end(&w->rows, w->wall_ns, w->mono_ns, end);
	w->next_sequence++;
	w->open_flags = BLOCK_END;
	writer_cut(w);
}

int writer_flush(struct trail_writer *w)
{
	for (size_t i = 0; i < AUDIT_LOGS && w->error == 0; i++)
		w->error = log_writer_flush(&w->logs[i], w->keys);
	return w->error;
}

bool writer_unsynced(const struct trail_writer *w)
{
	return w->open || w->logs[0].tail_len > 0 || w->logs[1].tail_len > 0;
}

uint64_t writer_synced_below(const struct trail_writer *w, enum audit_log log)
{
	uint64_t first = log_writer_first(&w->logs[log - 1]);

	if (first)
		return first;
	return w->open == log ? w->open_sequence : UINT64_MAX;
}

struct writer_mark writer_mark(const struct trail_writer *w)
{
	assert(w->logs[0].written == w->logs[0].tail_len &&
	       w->logs[1].written == w->logs[1].tail_len);
	return (struct writer_mark){{w->logs[0].made, w->logs[1].made}};
}

void writer_synced(struct trail_writer *w, const struct writer_mark *mark)
{
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		log_writer_synced(&w->logs[i], &mark->places[i]);
}

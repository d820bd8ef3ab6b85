/* From the rings into the file, and onto the disk. Runs in the auditor, once a turn of
 * its loop. Whether a record was admitted is not looked at here: what the rings hold is
 * hostile, and is drain.c's business. */
#include "gateway/audit/commit.h"

#include <stdio.h>
#include "gateway/base/clock.h"
#include "gateway/base/log.h"

uint64_t commit_segment_limit = UINT64_C(64) << 20, commit_retry_ms = 1000;

static void set_state(struct commit *c, enum audit_state state)
{
	c->state = state;
	c->state_changed = true;
	drain_set_state(&c->drain, c->held && state == AUDIT_WRITING ? AUDIT_CANNOT_WRITE : state);
}

void commit_hold(struct commit *c, bool held)
{
	c->held = held;
	set_state(c, c->state);
}

/* The segments are given up: neither a write nor a sync is tried on them again. What is not synced
 * is in the writer's tails still, and what is not taken is in the rings. `behind`: how many
 * segments the ones that are meant are behind the last. */
static void cannot_write(struct commit *c, const char *what, int error, uint64_t behind)
{
	char names[AUDIT_LOGS][SEGMENT_NAME_SIZE];

	for (size_t i = 0; i < AUDIT_LOGS; i++)
		(void)segment_name(c->writer.logs[i].log, c->writer.logs[i].header.number + behind,
				   names[i]);
	(void)snprintf(c->why, sizeof c->why, "%s %s or %s: %s", what, names[0], names[1],
		       strerror(-error));
	c->error = error;
	c->writer.writable = false;
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		if (c->writer.logs[i].fd >= 0)
			keys_given_up(c->writer.keys, c->writer.logs[i].log,
				      c->writer.logs[i].synced.blocks);
	loop_timer_set(c->loop, &c->retry, clock_ms() + commit_retry_ms);
	if (c->state == AUDIT_CANNOT_WRITE && c->failed_ms)
		return;
	c->failed_ms = MAX(clock_ms(), 1);
	if (c->goal == GOAL_SYNCING)
		c->goal = GOAL_OPEN;
	log_error("the audit log can't be written: %s; no command runs until it can: make room, or "
		  "repair the disk under the audit folder",
		  c->why);
	set_state(c, AUDIT_CANNOT_WRITE);
}

void commit_note(struct commit *c, uint32_t connection, const char *reason, const char *detail)
{
	struct audit_event event = {
		.wall_ns = clock_wall_ns(), .kind = EVENT_GAP, .connection = connection};

	string_copy(event.reason, sizeof event.reason, reason);
	string_copy(event.detail, sizeof event.detail, detail);
	commit_event(c, &event);
}

void commit_event(struct commit *c, const struct audit_event *event)
{
	/* What the monitor sent was let in by commit_has_room(): the reserve is for that. */
	if (event->id == 0 && !writer_has_reserve(&c->writer))
		return;
	writer_clock(&c->writer);
	(void)writer_put_event(&c->writer, event);
	c->due_ms = 1;
}

void commit_found(struct commit *c, const struct resume *resume)
{
	const struct resume_found *found = &resume->found;
	struct audit_event event = {.wall_ns = clock_wall_ns(), .kind = EVENT_GAP};

	if (found->damage[0])
		commit_note(c, 0, "trail-damaged", found->damage);
	if (found->anew[0])
		commit_note(c, 0, "could-not-write", found->anew);
	if (!found->any || ((resume->end.same_run || found->clean) && found->missing == 0))
		return;
	event.count = found->missing;
	string_copy(event.reason, sizeof event.reason, "unclean-end");
	(void)snprintf(
		event.detail, sizeof event.detail,
		"the gateway before was not stopped; its last records may be missing%s%s%s%s",
		found->lost[0] ? "; missing between others: " : "", found->lost,
		found->cut[0] ? "; " : "", found->cut);
	commit_event(c, &event);
}

void commit_session(struct commit *c, struct drain_ring *ring, bool again)
{
	if (!writer_has_reserve(&c->writer))
		return;
	writer_clock(&c->writer);
	if (again)
		writer_put_repeated(&c->writer, &ring->info);
	else
		ring->last_sequence = writer_put_session(&c->writer, &ring->info);
}

static void ring_corrupt(struct drain *d, const struct drain_ring *ring, const char *what)
{
	struct commit *c = CONTAINER_OF(d, struct commit, drain);
	char detail[AUDIT_DETAIL_SIZE];

	(void)snprintf(detail, sizeof detail,
		       "the session's ring is corrupt: %s (%llu records were taken); nothing of it "
		       "is believed any more",
		       what, (unsigned long long)ring->taken);
	log_error("connection %u: %s", ring->info.connection, detail);
	commit_note(c, ring->info.connection, "ring-corrupt", detail);
}

bool commit_has_room(const struct commit *c)
{
	return writer_has_reserve(&c->writer) && c->flushes_count < COMMIT_FLUSHES;
}

bool commit_flush(struct commit *c, uint64_t id)
{
	if (c->flushes_count == COMMIT_FLUSHES)
		return false;
	c->flushes[c->flushes_count++] = id;
	return true;
}

static void goal_reached(struct commit *c)
{
	drain_answer(&c->drain);
	c->flushes_done = c->flushes_goal;
	c->goal = GOAL_NONE;
}

static void goal_step(struct commit *c)
{
	if (c->goal != GOAL_NONE || c->lacks_rings)
		return;
	if (c->flushes_count == c->flushes_goal && !drain_wanted(&c->drain))
		return;
	drain_goal(&c->drain);
	c->flushes_goal = c->flushes_count;
	c->goal = GOAL_OPEN;
}

static void begin_sync(struct commit *c, bool goal_met)
{
	int fds[SYNCER_FILES], e;

	for (size_t i = 0; i < AUDIT_LOGS; i++)
		fds[i] = c->writer.logs[i].tail_len ? c->writer.logs[i].fd : -1;
	e = syncer_begin(c->syncer, fds);
	if (e < 0) {
		cannot_write(c, "can't start the sync of", e, 0);
		return;
	}
	c->mark = writer_mark(&c->writer);
	c->due_ms = 0;
	if (goal_met)
		c->goal = GOAL_SYNCING;
}

static bool goal_is_met(const struct commit *c)
{
	return c->goal == GOAL_OPEN && drain_goal_met(&c->drain);
}

static void sync_step(struct commit *c, uint64_t now_ms)
{
	bool goal_met = goal_is_met(c);

	if (c->syncer->running)
		return;
	if (!writer_unsynced(&c->writer)) {
		if (goal_met)
			goal_reached(c);
		return;
	}
	if (goal_met || (c->due_ms && now_ms >= c->due_ms))
		begin_sync(c, goal_met);
}

void commit_checkpoint(struct commit *c)
{
	char text[NOTE_SIZE];

	c->noted_ms = clock_ms();
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		struct log_writer *l = &c->writer.logs[i];
		int e = log_writer_note(l, c->writer.folder_fd, c->writer.keys, text);

		if (e < 0)
			log_error("can't write a checkpoint of the %s: %s", audit_log_name(l->log),
				  strerror(-e));
		if (e > 0 && c->checkpoint)
			c->checkpoint(c, l->log, text);
	}
}

static void note_due(struct timer *t)
{
	struct commit *c = CONTAINER_OF(t, struct commit, note);

	if (c->state == AUDIT_WRITING)
		commit_checkpoint(c);
}

static void sync_over(struct watch *w, uint32_t ready)
{
	struct commit *c = CONTAINER_OF(w, struct commit, synced);
	int e = syncer_result(c->syncer);

	(void)ready;
	if (e < 0) {
		cannot_write(c, "can't sync", e, 0);
		return;
	}
	writer_synced(&c->writer, &c->mark);
	if (c->goal == GOAL_SYNCING)
		goal_reached(c);
	loop_timer_set(c->loop, &c->note, MAX(c->noted_ms + COMMIT_NOTE_MS, clock_ms()));
}

static int begin_segment(struct commit *c, enum audit_log log)
{
	int e = writer_begin(&c->writer, log);

	if (e < 0) {
		cannot_write(c, "can't begin", e, 1); /* the ones that were tried */
		return e;
	}
	drain_publish(&c->drain);
	c->due_ms = 1;
	return 0;
}

/* The header is not counted: it may be larger than a segment is to be. */
static bool is_full(const struct commit *c, const struct log_writer *l)
{
	uint64_t octets = l->file_size - l->header.size;

	return octets >= commit_segment_limit || (c->segment_most > 0 && octets >= c->segment_most);
}

static bool is_old(const struct commit *c, const struct log_writer *l, uint64_t now_ns)
{
	return c->segment_age_ns > 0 &&
	       now_ns - MIN(now_ns, l->header.mono_ns) >= c->segment_age_ns;
}

/* It has more than the block that it begins with. */
static bool is_used(const struct log_writer *l)
{
	return l->made.blocks > l->header.first_block + 1;
}

/* A segment that is full, or old, is left when no sync of it runs, and no block is open: it would
 * not be in its file yet. */
static void rotate_step(struct commit *c)
{
	uint64_t now_ns = clock_ns();

	if (c->syncer->running || c->writer.open)
		return;
	for (size_t i = 0; i < AUDIT_LOGS && c->state == AUDIT_WRITING; i++) {
		const struct log_writer *l = &c->writer.logs[i];

		if (is_used(l) && (is_full(c, l) || is_old(c, l, now_ns)))
			(void)!begin_segment(c, l->log);
	}
}

/* Is there more than the sync that runs is about? */
static bool is_beyond(const struct commit *c)
{
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		const struct log_writer *l = &c->writer.logs[i];

		if (l->made.octets !=
		    (c->syncer->running ? c->mark.places[i].octets : l->synced.octets))
			return true;
	}
	return c->writer.open != AUDIT_LOG_INVALID;
}

/* The block that is open goes to the file with this turn: its sync begins, somebody waits for it,
 * or it is old enough. One that was full takes along what little stands behind it. */
static bool cut_is_due(struct commit *c, uint64_t now_ms)
{
	const struct trail_writer *w = &c->writer;
	bool full = c->cuts != w->cuts;

	if (w->open == AUDIT_LOG_INVALID)
		return false;
	if (full || c->goal != GOAL_NONE || drain_written_wanted(&c->drain))
		return true;
	if (c->due_ms && now_ms >= c->due_ms && !c->syncer->running)
		return true;
	return w->mono_ns - w->rows.first_ns >= COMMIT_BLOCK_MS * UINT64_C(1000000);
}

static int write_out(struct commit *c)
{
	int e;

	if (c->state != AUDIT_WRITING)
		return -EAGAIN;
	writer_cut(&c->writer);
	c->cuts = c->writer.cuts;
	e = writer_flush(&c->writer);
	if (e < 0) {
		cannot_write(c, "can't write to", e, 0);
		return e;
	}
	drain_publish(&c->drain);
	return 0;
}

static void write_step(struct commit *c, uint64_t now_ms)
{
	drain_take(&c->drain, now_ms);
	if (c->due_ms == 0 && is_beyond(c))
		c->due_ms = now_ms + COMMIT_DELAY_MS;
	if ((cut_is_due(c, now_ms) || !c->writer.open) && write_out(c) < 0)
		return;
	rotate_step(c);
	if (c->state == AUDIT_WRITING && !c->writer.open)
		sync_step(c, now_ms);
}

static void tick_step(struct commit *c, uint64_t now_ms)
{
	if (c->state == AUDIT_WRITING &&
	    (c->drain.active || writer_unsynced(&c->writer) || c->goal != GOAL_NONE))
		loop_timer_set(c->loop, &c->tick, now_ms + COMMIT_POLL_MS);
	else
		loop_timer_clear(c->loop, &c->tick);
}

void commit_turn(struct commit *c)
{
	uint64_t now_ms = clock_ms();

	if (c->state == AUDIT_WRITING) {
		goal_step(c);
		write_step(c, now_ms);
		drain_forget(&c->drain);
		drain_nap(&c->drain, now_ms);
	}
	tick_step(c, now_ms);
}

static void recovered(struct commit *c)
{
	char detail[AUDIT_DETAIL_SIZE];

	(void)snprintf(detail, sizeof detail,
		       "the log could not be written for %llu ms: %s; no record was lost, commands "
		       "were answered BUSY",
		       (unsigned long long)(clock_ms() - c->failed_ms), c->why);
	log_notice("the audit log is written again: %s", detail);
	c->failed_ms = 0;
	c->why[0] = '\0';
	commit_note(c, 0, "could-not-write", detail);
}

static void retry(struct timer *t)
{
	struct commit *c = CONTAINER_OF(t, struct commit, retry);

	if (c->syncer->running) { /* of the segment that was given up */
		loop_timer_set(c->loop, t, clock_ms() + commit_retry_ms);
		return;
	}
	if (begin_segment(c, AUDIT_LOG_INVALID) < 0)
		return;
	set_state(c, AUDIT_WRITING);
	if (c->failed_ms)
		recovered(c);
}

static void tick(struct timer *t)
{
	(void)t; /* the loop turned */
}

int commit_open(struct commit *c, struct loop *loop, struct syncer *syncer, struct keys *keys,
		const struct resume *resume)
{
	int e;

	*c = (struct commit){.loop = loop, .syncer = syncer, .state = AUDIT_CANNOT_WRITE};
	c->tick.run = tick;
	c->retry.run = retry;
	c->note.run = note_due;
	if ((e = writer_open(&c->writer, resume->folder_fd, keys, drain_session, &c->drain)) < 0 ||
	    (e = writer_start(&c->writer, &resume->end)) < 0 ||
	    (e = drain_open(&c->drain, loop, &c->writer)) < 0)
		return e;
	c->drain.corrupt = ring_corrupt;
	c->synced = (struct watch){.fd = c->syncer->done_fd, .events = EPOLLIN, .run = sync_over};
	return loop_watch(loop, &c->synced);
}

void commit_start(struct commit *c)
{
	retry(&c->retry);
}

void commit_close(struct commit *c)
{
	drain_close(&c->drain);
	writer_close(&c->writer);
}

static int sync_all(struct commit *c)
{
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		if (fdatasync(c->writer.logs[i].fd) < 0)
			return -errno;
	c->mark = writer_mark(&c->writer);
	writer_synced(&c->writer, &c->mark);
	return 0;
}

int commit_epoch(struct commit *c, struct audit_key *ret_key)
{
	int e = write_out(c);

	if (e == 0 && c->syncer->running)
		sync_over(&c->synced, EPOLLIN);
	if (c->state != AUDIT_WRITING)
		return e < 0 ? e : -EAGAIN;
	if ((e = keys_new_epoch(c->writer.keys, ret_key)) < 0 ||
	    (e = begin_segment(c, AUDIT_LOG_INVALID)) < 0)
		return e;
	e = sync_all(c);
	if (e < 0)
		cannot_write(c, "can't sync", e, 0);
	return e;
}

static void notes_sync(struct commit *c)
{
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		if (c->writer.logs[i].note_fd >= 0)
			(void)!fdatasync(c->writer.logs[i].note_fd);
	(void)!fsync(c->writer.folder_fd); /* their names */
}

int commit_end(struct commit *c, enum segment_end end)
{
	int e;

	if (c->syncer->running)
		sync_over(&c->synced, EPOLLIN);
	if (c->state != AUDIT_WRITING)
		retry(&c->retry);
	if (c->state != AUDIT_WRITING)
		return -EIO;
	drain_take(&c->drain, clock_ms());
	notes_sync(c); /* behind an end that survives, no gap is declared for those it counts */
	writer_put_end(&c->writer, end);
	e = write_out(c);
	if (e < 0)
		return e;
	e = sync_all(c);
	if (e < 0) {
		cannot_write(c, "can't write the end of", e, 0);
		return e;
	}
	commit_checkpoint(c);
	notes_sync(c);
	c->flushes_done = c->flushes_count;
	return 0;
}

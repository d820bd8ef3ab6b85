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
	drain_set_state(&c->drain, state);
}

/* The segment is given up: neither a write nor a sync is tried on it again. What is not synced is
 * in the writer's tail still, and what is not taken is in the rings. */
static void cannot_write(struct commit *c, const char *what, int error)
{
	char name[SEGMENT_NAME_SIZE];

	(void)snprintf(c->why, sizeof c->why, "%s %s: %s", what,
		       segment_name(c->writer.header.number, name), strerror(-error));
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
	struct wr w = writer_cursor(&c->writer);

	if (writer_room(&c->writer) < FRAME_MAX) {
		assert(event->id == 0); /* commit_has_room() */
		return;
	}
	frame_put_event(&w, writer_stamp(&c->writer, clock_wall_ns()), event);
	writer_take(&c->writer, &w);
	c->writer.last_event = MAX(c->writer.last_event, event->id);
	c->due_ms = 1;
}

void commit_session(struct commit *c, struct drain_ring *ring, bool again)
{
	struct wr w = writer_cursor(&c->writer);
	struct stamp stamp = {.time_ns = clock_wall_ns()};

	if (writer_room(&c->writer) < FRAME_MAX)
		return;
	if (!again) {
		stamp = writer_stamp(&c->writer, stamp.time_ns);
		ring->last_sequence = stamp.sequence;
	}
	frame_put_session(&w, stamp, &ring->info);
	writer_take(&c->writer, &w);
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
	return writer_room(&c->writer) >= WRITER_TAIL_RESERVE / 2 &&
	       c->flushes_count < COMMIT_FLUSHES;
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
	if (c->goal != GOAL_NONE)
		return;
	if (c->flushes_count == c->flushes_goal && !drain_wanted(&c->drain))
		return;
	drain_goal(&c->drain);
	c->flushes_goal = c->flushes_count;
	c->goal = GOAL_OPEN;
}

static void begin_sync(struct commit *c, bool goal_met)
{
	int folder = c->writer.folder_synced ? -1 : c->writer.folder_fd;
	int e = syncer_begin(c->syncer, c->writer.fd, folder);

	if (e < 0) {
		cannot_write(c, "can't start the sync of", e);
		return;
	}
	c->mark = writer_mark(&c->writer);
	c->due_ms = 0;
	if (goal_met)
		c->goal = GOAL_SYNCING;
}

static void sync_step(struct commit *c, uint64_t now_ms)
{
	bool goal_met = c->goal == GOAL_OPEN && drain_goal_met(&c->drain);

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

static void sync_over(struct watch *w, uint32_t ready)
{
	struct commit *c = CONTAINER_OF(w, struct commit, synced);
	int e = syncer_result(c->syncer);

	(void)ready;
	if (e < 0) {
		cannot_write(c, "can't sync", e);
		return;
	}
	writer_synced(&c->writer, &c->mark);
	c->writer.folder_synced = true;
	if (c->goal == GOAL_SYNCING)
		goal_reached(c);
}

static int begin_segment(struct commit *c, bool sure)
{
	int e = writer_begin(&c->writer, sure);

	if (e < 0) {
		c->writer.header.number++; /* for the message: the one that was tried */
		cannot_write(c, "can't begin", e);
		c->writer.header.number--;
		return e;
	}
	drain_publish(&c->drain);
	return 0;
}

/* A segment that is full is left when no sync of it runs. The new one has what was not synced in
 * it, and is itself synced with its name by the next sync. */
static int rotate_step(struct commit *c)
{
	if (writer_size(&c->writer) < commit_segment_limit || c->syncer->running)
		return 0;
	return begin_segment(c, false);
}

static void write_step(struct commit *c, uint64_t now_ms)
{
	int e;

	drain_take(&c->drain, now_ms);
	e = writer_flush(&c->writer);
	if (e < 0) {
		cannot_write(c, "can't write to", e);
		return;
	}
	drain_publish(&c->drain);
	if (c->due_ms == 0 && writer_unsynced(&c->writer) &&
	    (!c->syncer->running || c->mark.sequence != c->writer.next_sequence))
		c->due_ms = now_ms + COMMIT_DELAY_MS;
	if (rotate_step(c) == 0)
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
	if (begin_segment(c, true) < 0)
		return;
	set_state(c, AUDIT_WRITING);
	if (c->failed_ms)
		recovered(c);
}

static void tick(struct timer *t)
{
	(void)t; /* the loop turned */
}

int commit_open(struct commit *c, struct loop *loop, int folder_fd, struct syncer *syncer,
		const struct resume *resume)
{
	int e;

	*c = (struct commit){.loop = loop, .syncer = syncer, .state = AUDIT_CANNOT_WRITE};
	c->tick.run = tick;
	c->retry.run = retry;
	if ((e = writer_open(&c->writer, folder_fd, drain_context, &c->drain)) < 0 ||
	    (e = drain_open(&c->drain, loop, &c->writer)) < 0)
		return e;
	c->drain.corrupt = ring_corrupt;
	c->writer.header.number = resume->last_number;
	c->writer.next_sequence = c->writer.tail_sequence = resume->next_sequence;
	c->writer.last_event = c->writer.tail_event = resume->last_event;
	c->synced = (struct watch){.fd = c->syncer->done_fd, .events = EPOLLIN, .run = sync_over};
	return loop_watch(loop, &c->synced);
}

void commit_run(struct commit *c, uint64_t run)
{
	c->writer.header.run = run;
	retry(&c->retry);
}

void commit_close(struct commit *c)
{
	drain_close(&c->drain);
	writer_close(&c->writer);
}

int commit_end(struct commit *c, enum segment_end end)
{
	struct wr w;
	int e;

	if (c->syncer->running)
		sync_over(&c->synced, EPOLLIN);
	if (c->state != AUDIT_WRITING)
		retry(&c->retry);
	if (c->state != AUDIT_WRITING)
		return -EIO;
	drain_take(&c->drain, clock_ms());
	w = writer_cursor(&c->writer);
	frame_put_end(&w, writer_stamp(&c->writer, clock_wall_ns()), end);
	writer_take(&c->writer, &w);
	e = writer_flush(&c->writer);
	if (e == 0 && fdatasync(c->writer.fd) < 0)
		e = -errno;
	if (e == 0 && !c->writer.folder_synced && fsync(c->writer.folder_fd) < 0)
		e = -errno;
	if (e < 0) {
		cannot_write(c, "can't write the end of", e);
		return e;
	}
	drain_publish(&c->drain);
	c->mark = writer_mark(&c->writer);
	writer_synced(&c->writer, &c->mark);
	c->flushes_done = c->flushes_count;
	return 0;
}

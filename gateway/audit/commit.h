/* The auditor's heart: once a turn, records go from the rings into the file, and what is
 * in the file is synced in groups. A log that can't be written stops all of it, until a
 * new segment works. */
#pragma once

#include "gateway/audit/drain.h"
#include "gateway/audit/resume.h"
#include "gateway/audit/syncer.h"
#include "gateway/audit/writer.h"

/* A record is looked for every COMMIT_POLL_MS, and the sync of the first one that is not synced
 * begins COMMIT_DELAY_MS later: at most 5 ms in all (P2), as long as the disk is quick enough.
 * While a sync runs, the next one waits for it. */
#define COMMIT_POLL_MS	2u
#define COMMIT_DELAY_MS 3u
#define COMMIT_FLUSHES	64u

/* Octets after which a new segment is begun, and how long it is waited before another one is tried
 * when the last can't be written. Tests make them small. */
extern uint64_t commit_segment_limit, commit_retry_ms;

enum commit_goal {
	GOAL_NONE,
	GOAL_OPEN, /* tickets and heads were taken down; rings are drained to them */
	GOAL_SYNCING,
};

struct commit {
	struct loop *loop;
	struct segment_writer writer;
	struct syncer *syncer; /* the caller's: its thread is older than the sandbox */
	struct drain drain;
	struct watch synced;
	struct timer tick, retry;
	enum audit_state state;
	char why[256];	    /* it can't be written */
	uint64_t failed_ms; /* since when */
	uint64_t due_ms;    /* when the next sync is to begin; 0: nothing waits for one */
	struct writer_mark mark;
	enum commit_goal goal;
	/* AUDITOR_FLUSH: those that are answered, that the goal covers, that wait for one. */
	uint64_t flushes[COMMIT_FLUSHES];
	size_t flushes_done, flushes_goal, flushes_count;
	bool state_changed;
};

/* The trail goes on where `resume` says. A log that can't be written is no error here. */
int commit_open(struct commit *c, struct loop *loop, int folder_fd, struct syncer *syncer,
		const struct resume *resume) MUST_CHECK;
void commit_close(struct commit *c);
void commit_run(struct commit *c, uint64_t run); /* the run's number, before commit_turn() */

void commit_turn(struct commit *c);				      /* once a turn of the loop */
void commit_event(struct commit *c, const struct audit_event *event); /* synced at once */
/* An event of the auditor's own. */
void commit_note(struct commit *c, uint32_t connection, const char *reason, const char *detail);
void commit_session(struct commit *c, struct drain_ring *ring, bool again);
bool commit_flush(struct commit *c, uint64_t id); /* false: too many wait */
/* Room for what the monitor may send next? */
bool commit_has_room(const struct commit *c);
/* Takes all that is in the rings, writes the end, syncs. Nothing may be called but
 * commit_close() afterwards. */
int commit_end(struct commit *c, enum segment_end end) MUST_CHECK;

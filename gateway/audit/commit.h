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
 * While a sync runs, the next one waits for it. A block is cut when its sync begins, when it is
 * full, COMMIT_BLOCK_MS old, or when somebody waits for it. */
#define COMMIT_POLL_MS	2u
#define COMMIT_DELAY_MS 3u
#define COMMIT_BLOCK_MS 4u
#define COMMIT_NOTE_MS	1000u /* between checkpoints */
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
	struct trail_writer writer;
	struct syncer *syncer; /* the caller's: its thread is older than the sandbox */
	struct drain drain;
	struct watch synced;
	struct timer tick, retry, note;
	enum audit_state state;
	char why[256];	    /* it can't be written */
	int error;	    /* … -errno */
	bool held;	    /* no command is to run; all else is recorded */
	bool lacks_rings;   /* not all sessions' rings are attached yet: no goal is set */
	uint64_t failed_ms; /* since when */
	uint64_t due_ms;    /* when the next sync is to begin; 0: nothing waits for one */
	uint64_t noted_ms;  /* of the last checkpoint */
	uint64_t cuts;	    /* of the writer, when it was looked at last */
	struct writer_mark mark;
	enum commit_goal goal;
	/* AUDITOR_FLUSH: those that are answered, that the goal covers, that wait for one. */
	uint64_t flushes[COMMIT_FLUSHES];
	size_t flushes_done, flushes_goal, flushes_count;
	bool state_changed;
	/* A segment is left earlier than by its size. 0: it is not. */
	uint64_t segment_most;	 /* octets */
	uint64_t segment_age_ns; /* with records in it */
	/* A checkpoint was written; its text, with NUL. */
	void (*checkpoint)(struct commit *c, enum audit_log log, const char *text);
};

/* The trail goes on where `resume` says. `boot`: of the machine. A log that can't be written is no
 * error here. */
int commit_open(struct commit *c, struct loop *loop, struct syncer *syncer, struct keys *keys,
		const struct resume *resume) MUST_CHECK;
void commit_close(struct commit *c);
void commit_start(struct commit *c); /* the first segments; before commit_turn() */
/* Begins a new epoch of keys, in segments of its own. When this returns its first blocks are on the
 * disk: no power cut makes another epoch of that number, or has it begin elsewhere, and its key
 * (all but the trail's id) may be shown. */
int commit_epoch(struct commit *c, struct audit_key *ret_key) MUST_CHECK;

void commit_turn(struct commit *c);				      /* once a turn of the loop */
void commit_event(struct commit *c, const struct audit_event *event); /* synced at once */
/* An event of the auditor's own. */
void commit_note(struct commit *c, uint32_t connection, const char *reason, const char *detail);
/* What the end of the trail was found like. Before commit_start(): it is on the disk as soon as
 * anything is that this auditor wrote, so that no crash leaves a gap that nobody declared. */
void commit_found(struct commit *c, const struct resume *resume);
void commit_session(struct commit *c, struct drain_ring *ring, bool again);
bool commit_flush(struct commit *c, uint64_t id); /* false: too many wait */
void commit_checkpoint(struct commit *c);	  /* of what is synced, at once */
/* Sessions answer BUSY, as when the log can't be written, until it is given up again. */
void commit_hold(struct commit *c, bool held);
/* Room for what the monitor may send next? */
bool commit_has_room(const struct commit *c);
/* Takes all that is in the rings, writes the end, syncs. Nothing may be called but
 * commit_close() afterwards. */
int commit_end(struct commit *c, enum segment_end end) MUST_CHECK;

/* The auditor's side of all rings: takes records out of them, copying each before it
 * looks at it, and gives the slots back when the records are in the file. A ring is
 * written by a session and is as hostile as one. Rings in which nothing happens nap: they are
 * not looked at until their session sends an octet. */
#pragma once

#include "gateway/audit/ring.h"
#include "gateway/audit/writer.h"
#include "gateway/base/loop.h"

#define DRAIN_RINGS_MAX	   8192
#define DRAIN_IDLE_MS	   20 /* without a record for so long: nap */
#define DRAIN_RING_AT_ONCE AUDIT_RING_SLOTS

struct drain_ring {
	struct watch wake; /* the socket; fd -1: hung up */
	struct drain *drain;
	struct auditor_ring_info info;
	const struct audit_ring_memory *memory;
	struct audit_ring_page *page;
	size_t place;		/* in drain->rings */
	uint64_t taken;		/* records in the writer's tail */
	uint64_t published;	/* of these, in the file: slots that are given back */
	uint64_t goal;		/* head, when durability was asked for last */
	uint64_t ticket;	/* durable_wanted then */
	uint64_t written_told;	/* the session was told that those below it are in the file */
	uint64_t last_sequence; /* of its newest record in the trail */
	uint64_t busy_ms;	/* when it had a record last */
	bool leaving;		/* the session is over: forget it when all is synced */
	bool opened;		/* page->opened is set */
	bool corrupt;		/* nothing is taken from it any more */
};

struct drain {
	struct loop *loop;
	struct trail_writer *writer;
	struct drain_ring **rings; /* the first `active` are looked at, the others nap */
	size_t count, active, next;
	enum audit_state state;
	uint64_t records; /* ever */
	/* The ring holds what no honest session puts there; it is leaving now. */
	void (*corrupt)(struct drain *d, const struct drain_ring *ring, const char *what);
};

int drain_open(struct drain *d, struct loop *loop, struct trail_writer *writer) MUST_CHECK;
void drain_close(struct drain *d);

/* fds: ring, page, socket; those that are taken over are -1 afterwards. `known`: what the trail
 * has of it already, or 0. -EEXIST, -EMFILE, or what mapping says. */
int drain_attach(struct drain *d, const struct auditor_ring_info *info, int fds[3], uint64_t known,
		 struct drain_ring **ret_ring) MUST_CHECK;
void drain_leave(struct drain *d, uint32_t connection);
void drain_set_state(struct drain *d, enum audit_state state);

/* Takes what the active rings hold, as long as the writer has room. */
void drain_take(struct drain *d, uint64_t now_ms);
/* Those of one session, even if it naps: before an event that is about it. */
void drain_take_of(struct drain *d, uint32_t connection, uint64_t now_ms);
void drain_publish(struct drain *d); /* the writer's tail is in the file */
/* Does a session wait for records that were taken and are not in the file? drain_publish() wakes
 * it. */
bool drain_written_wanted(const struct drain *d);
void drain_nap(struct drain *d, uint64_t now_ms);
void drain_forget(struct drain *d);	/* rings that are leaving, and synced */
bool drain_over(const struct drain *d); /* all sessions are gone, their rings empty */

/* Durability. Tickets are looked at before heads: a ticket that is seen covers no record, of any
 * ring, that is beyond the heads seen after it. */
bool drain_wanted(const struct drain *d);
void drain_goal(struct drain *d);
bool drain_goal_met(const struct drain *d);
void drain_answer(struct drain *d); /* all up to the goal is synced */

/* context_sessions: those that are attached. */
const struct auditor_ring_info *drain_session(void *arg, size_t i);

/* Who is excluded by whom: the arbiter's decisions, as a machine without I/O. Members are
 * the sessions; what they say is hostile, what the monitor says is not. An exclusion
 * publishes a generation of its disks, and is done when no other member has anything in
 * flight under an older one. Exclusions of one disk take their turns, oldest first. */
#pragma once

#include "gateway/arbiter/arbiter.h"

enum exclusion_state { EXCLUSION_NONE, EXCLUSION_QUEUED, EXCLUSION_ACTIVE };

struct exclusion {
	enum exclusion_state state;
	uint32_t id;
	uint64_t luns[ARBITER_LUNS / 64];
	uint64_t deadline_ms;
	struct member *next; /* whose exclusion comes after it */
};

struct member {
	uint32_t connection;
	bool old, hello, condemned;
	unsigned lun_count;
	struct {
		uint16_t lun, disk;
	} luns[ARBITER_LUNS];
	const struct arbiter_own *own; /* hostile: loaded once wherever it is looked at */
	uint32_t owed;		       /* times that it may still say ARBITER_SETTLED */
	struct exclusion exclusion;
	struct member *next_member;
};

/* What the court has to say, told at once; none of these may call back into it. */
struct court_ops {
	void (*changed)(struct member *m);
	void (*done)(struct member *m, uint32_t id);
	void (*kill)(struct member *m, enum arbiter_blame blame); /* once a member */
};

struct court {
	struct arbiter_page *page;
	const struct court_ops *ops;
	uint32_t life;
	bool gone_on; /* ARBITER_GO has come */
	uint64_t attach_deadline_ms;
	struct member *members;
	struct member *queue; /* exclusions, oldest first */
};

/* Sets the page up for `life`: every disk open, under its first generation. */
void court_open(struct court *c, struct arbiter_page *page, uint32_t life,
		const struct court_ops *ops);
/* Fills a zeroed member from `info` and takes it in. -EINVAL: a disk that is none. */
int court_attach(struct court *c, struct member *m, const struct arbiter_attach *info) MUST_CHECK;
void court_over(struct court *c, struct member *m, uint64_t now_ms); /* forgets it */
struct member *court_find(const struct court *c, uint32_t connection);
void court_go(struct court *c, uint64_t now_ms);
/* A message of a session, of the right size. -EPROTO: out of turn, or more than it may. */
int court_hear(struct court *c, struct member *m, const struct message *msg,
	       uint64_t now_ms) MUST_CHECK;
void court_condemn(struct court *c, struct member *m, enum arbiter_blame blame);
/* Whose time is up? */
void court_tick(struct court *c, uint64_t now_ms);
uint64_t court_next_tick(const struct court *c); /* 0: none */

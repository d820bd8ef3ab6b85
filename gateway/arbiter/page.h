/* What sessions share about a disk, as memory. The arbiter's page: a generation for each
 * disk, which the arbiter alone writes. Each session's own page: for each of its LUNs,
 * the generation that it admits under and its commands in flight, which that session alone
 * writes. What a session says there binds an honest one; what it may do is its grant.
 *
 * Memory ordering: a session publishes "in flight", then loads the generation; the arbiter
 * publishes a generation, then loads what is in flight; all four sequentially consistent, so at
 * least one of the two sees the other. */
#pragma once

#include <stdatomic.h>
#include "gateway/base/base.h"

#define ARBITER_DISKS_MAX 4096 /* of one policy */
#define ARBITER_LUNS	  256  /* of one session */

/* A generation: which life of the arbiter, and how often it excluded somebody. 0: no arbiter. */
#define ARBITER_GENERATION_FIRST(life) ((uint64_t)(life) << 40)
#define ARBITER_LIFE(generation)       ((uint32_t)((generation) >> 40))

struct arbiter_disk {
	_Atomic uint64_t generation;
	_Atomic uint32_t by; /* connection that asked for this generation: it ended its own tasks */
	uint32_t reserved;
};

struct arbiter_page {
	_Alignas(64) _Atomic uint64_t changes; /* moves after any generation did */
	_Alignas(64) struct arbiter_disk disks[ARBITER_DISKS_MAX];
};

struct arbiter_own_lun {
	_Atomic uint64_t under;	    /* the generation that it admits under */
	_Atomic uint32_t in_flight; /* commands admitted and not over */
	uint32_t reserved;
};

struct arbiter_own {
	struct arbiter_own_lun luns[ARBITER_LUNS];
};

/* The session's handle. */
struct arbiter_view {
	const struct arbiter_page *page;
	struct arbiter_own *own;
	uint32_t me;	  /* connection */
	bool attached;	  /* an arbiter has our channel */
	uint64_t changes; /* as looked at last */
	struct arbiter_view_lun {
		bool held;
		bool asked;    /* we asked to exclude others from it, and ended its tasks */
		bool draining; /* excluded: its tasks end, none begins, until arbiter_settle() */
		uint16_t disk;
		uint64_t seen; /* we admit under this one */
		uint64_t next; /* while draining: under this one, then */
	} luns[ARBITER_LUNS];
};

enum arbiter_news {
	ARBITER_NEWS_NONE,
	ARBITER_NEWS_OURS,  /* what we asked for is in force */
	ARBITER_NEWS_RESET, /* somebody else's: end all tasks of the LUN, then arbiter_settle() */
};

/* Maps both (page read-only; sizes and seals are checked). The descriptors stay the caller's. */
int arbiter_view_map(struct arbiter_view *v, int page_fd, int own_fd) MUST_CHECK;
void arbiter_view_hold(struct arbiter_view *v, unsigned lun, uint16_t disk); /* granted */
/* A (new) arbiter has our channel: admit under what it says now. Nothing is drained by that. */
void arbiter_view_attach(struct arbiter_view *v);
void arbiter_view_detach(struct arbiter_view *v); /* it is gone: nothing is admitted */

/* What the exclusion that we ask for is of; all zero: there is none any more. A disk may be another
 * LUN of ours, too: of that one, our own exclusion is somebody else's. */
void arbiter_view_ask(struct arbiter_view *v, const uint64_t luns[ARBITER_LUNS / 64]);

/* Publishes one command in flight; false: it was taken back, since the LUN is not open now. */
bool arbiter_enter(struct arbiter_view *v, unsigned lun) MUST_CHECK;
void arbiter_leave(struct arbiter_view *v, unsigned lun); /* after arbiter_enter(): it is over */
/* One load: may what has entered still reach the disk? */
bool arbiter_is_open(const struct arbiter_view *v, unsigned lun);

/* One load: is there something to look at? True once for each change. */
bool arbiter_moved(struct arbiter_view *v);
enum arbiter_news arbiter_look(struct arbiter_view *v, unsigned lun);
/* True when a LUN that drained has nothing in flight any more: it is open again, under the new
 * generation, which the arbiter is to be told. */
bool arbiter_settle(struct arbiter_view *v, unsigned lun);

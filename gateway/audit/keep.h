/* Retention: the oldest segments of the trail are deleted when the policy says so, each recorded
 * before it is deleted. Runs in the auditor, a little at a time. Never the last segment of a
 * log; commands before events, which only their age deletes. */
#pragma once

#include "gateway/audit/commit.h"
#include "gateway/audit/folder.h"
#include "gateway/audit/reader.h"
#include "gateway/audit/retention.h"

enum keep_step {
	KEEP_IDLE,
	KEEP_SCANNING,	/* what is in the segment */
	KEEP_RECORDING, /* its event is on its way to the disk */
};

struct keep_log {
	struct segment_list list;   /* what is in the folder, the current one, too */
	uint64_t current;	    /* its number when the folder was looked at */
	uint64_t closed_octets;	    /* of all others with their notes */
	struct segment_header next; /* of the segment behind the first; number 0: not read */
};

struct keep {
	struct commit *commit;
	int folder_fd; /* the caller's */
	struct loop *loop;
	struct timer soon;
	uint64_t keep_ms, at_most; /* 0: no such limit */
	struct keep_log logs[AUDIT_LOGS];
	uint64_t deleted;  /* segments, ever */
	uint64_t again_ms; /* before it nothing is deleted */
	enum keep_step step;
	struct retention what; /* being deleted */
	struct segment_reader reader;
	uint64_t sequence; /* of its event */
};

int keep_open(struct keep *k, struct commit *commit, struct loop *loop, int folder_fd) MUST_CHECK;
void keep_close(struct keep *k);
void keep_turn(struct keep *k); /* each second */

uint64_t keep_octets(const struct keep *k); /* of the whole trail, as it is now */
/* Of these, what may go when at_most is reached. */
uint64_t keep_yields(const struct keep *k);

/* Who wrote blocks last: the trail is given in windows, newest first, each in order; what was found
 * in it is told from its newest write to its oldest. Memory is bounded by a window. Knows no file
 * and no output; the records are hostile. */
#pragma once

#include "gateway/audit/filter.h"
#include "gateway/audit/statistics_table.h"

/* What became of a write that was admitted. */
enum write_end {
	WRITE_DONE,	   /* no record says otherwise, and one would */
	WRITE_FAILED,	   /* what it was to write may be there in part */
	WRITE_UNEQUAL,	   /* COMPARE AND WRITE: it compared unequal and wrote nothing */
	WRITE_NOT_EXECUTED /* it ended before it reached the disk */
};
const char *write_end_name(enum write_end end); /* "done", "failed", … */

struct write_note {
	struct stamp stamp;
	uint64_t run;
	uint32_t connection;
	uint32_t who; /* 1 + place in writes.whos; 0: not known */
	struct reach reach;
	struct audit_record command;
	enum write_end end;
	uint8_t status, sense_key, asc, ascq; /* when it did not end well */
	size_t before;			      /* 1 + the note of the same command's range before */
};

/* The blocks of `piece` were written by `note`; NULL: by nobody that the trail knows of. */
typedef void (*writes_teller)(void *arg, const struct write_note *note, struct lba_range piece);

#define WRITES_NOTES_MAX 262144

struct writes {
	const struct audit_filter *filter; /* has ranges */
	uint64_t history; /* tell so many writes, whatever later ones wrote; 0: the last ones */
	uint64_t told;
	struct lba_range *open; /* blocks whose writer is not found yet; sorted, apart */
	size_t open_count, open_room;
	struct write_note *notes; /* of this window */
	size_t count;
	bool full;	      /* the window has more than it may: begin it again, smaller */
	struct table tasks;   /* of this window: by run, connection, tag */
	struct table endings; /* outcomes of newer windows whose commands are in older ones */
	struct table fresh;   /* those of this window */
	struct table whos;
	bool unsure; /* there were too many tasks: what failed may be told as done */
};

int writes_open(struct writes *w, const struct audit_filter *filter, uint64_t history) MUST_CHECK;
void writes_close(struct writes *w);
void writes_window(struct writes *w); /* an older one begins, or this one again */
void writes_add(struct writes *w, const struct trail_record *r);
/* 1: no older window is needed; 0: go on; -errno. */
int writes_end_window(struct writes *w, writes_teller tell, void *arg) MUST_CHECK;
/* After the last window: the blocks that nobody wrote. */
void writes_end(struct writes *w, writes_teller tell, void *arg);
const struct auditor_ring_info *writes_who(const struct writes *w, const struct write_note *n);

/* What the arbiter process knows about its disks beside the court: their names, their files in
 * the journal, and what the monitor is told about them for people. */
#pragma once

#include "gateway/arbiter/court.h"
#include "gateway/arbiter/journal.h"

struct keeping {
	struct journal journal;
	struct arbiter_identity *identities; /* of each row; one without a serial is free */
	uint32_t disks;
	uint64_t damaged[ARBITER_DISKS_MAX / 64]; /* their files can't be believed, or read */
	uint64_t news[ARBITER_DISKS_MAX / 64];	  /* the monitor may not know yet */
	struct arbiter_summary *told;		  /* for each: what it knows */
	int error;				  /* of the last change that could not be kept */
};

/* `identities_fd`: sealed, one for each disk; it stays the caller's. */
int keeping_open(struct keeping *k, int folder_fd, const struct arbiter_begin *begin,
		 int identities_fd) MUST_CHECK;
void keeping_close(struct keeping *k);
/* Gives the court the records that there are, before it is opened. -ENOMEM. */
int keeping_load(struct keeping *k, struct court *c, uint64_t wall_s) MUST_CHECK;
/* A disk that came; the court gets its record. -ENOMEM. */
int keeping_take(struct keeping *k, struct court *c, const struct arbiter_row *row,
		 uint64_t wall_s) MUST_CHECK;
void keeping_free(struct keeping *k, unsigned disk); /* … and that went */
int keeping_keep(struct keeping *k, unsigned disk, const struct arbiter_record *r) MUST_CHECK;

void keeping_note(struct keeping *k, unsigned disk); /* there are news */
/* The next of them; false: the monitor knows everything. keeping_told(): it knows this, too. */
bool keeping_news(struct keeping *k, const struct court *c, struct arbiter_summary *ret);
void keeping_told(struct keeping *k, const struct arbiter_summary *summary);

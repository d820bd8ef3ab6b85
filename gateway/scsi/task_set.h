/* Task sets, SAM-5 section 8: which task of a nexus on a logical unit may start now, and
 * which is dormant. One set for each nexus and unit (TST=001b). A machine without
 * I/O: tasks enter and leave, and those that this lets start wait for their turn. */
#pragma once

#include "gateway/base/base.h"

struct scsi_nexus;
struct scsi_task;

enum task_place {
	PLACE_NONE,	/* in no set */
	PLACE_DORMANT,	/* tasks before it are to end first */
	PLACE_RELEASED, /* may start, as soon as its host has time */
	PLACE_ENABLED,	/* started, not ended */
};

struct task_list { /* linked by their `next`, oldest first */
	struct scsi_task *first, *last;
};

/* Of one unit. */
struct task_set {
	unsigned enabled;  /* released ones, too */
	unsigned barriers; /* those of them that are ORDERED or HEAD OF QUEUE */
	struct task_list dormant;
};

/* Of one nexus: over all its sets. */
struct task_turns {
	struct task_list released;
	unsigned waiting; /* dormant or released */
};

/* True: it may start at once. False: it is dormant. Its unit, its command and its attribute (but
 * ACA) are set. */
bool task_set_enter(struct scsi_task *task) MUST_CHECK;
/* It has ended or was cancelled, wherever it was; in no set: nothing. */
void task_set_leave(struct scsi_task *task);
/* The next that was dormant and is to be started now; NULL: none. */
struct scsi_task *task_set_next(struct scsi_nexus *n);

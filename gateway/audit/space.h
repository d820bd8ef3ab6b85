/* Room for the trail, as the policy wants it: warn, let no new session in, stop, each in time; and
 * a reserve on the disk that is given up for what has to be recorded when it is full. Runs in the
 * auditor. */
#pragma once

#include "gateway/audit/auditor.h"
#include "gateway/audit/keep.h"

#define RESERVE_NAME "reserve"

struct space {
	struct commit *commit;
	int folder_fd; /* the caller's */
	struct auditor_settings settings;
	bool known; /* the settings came */
	struct keep keep;
	enum audit_room room;
	uint64_t free_octets;  /* that are left for the trail */
	uint64_t reserve_size; /* of the file that is there; 0: none */
	bool reserve_is_out;   /* it was given up: so much of what is free is not free */
	bool changed;	       /* `room` or what is left, since it was told */
};

int space_open(struct space *s, struct commit *commit, struct loop *loop, int folder_fd) MUST_CHECK;
void space_close(struct space *s);
void space_set(struct space *s, const struct auditor_settings *settings);
void space_turn(struct space *s); /* each second */

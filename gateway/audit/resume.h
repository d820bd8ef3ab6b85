/* What an auditor that starts must know of the trail: where to go on with segments,
 * sequences and events, and what this very run's rings have in it already. */
#pragma once

#include "gateway/audit/segment.h"

struct resume_ring {
	uint32_t connection; /* 0: a free place */
	uint64_t next_index; /* of the ring: below it, all is in the trail */
};

struct resume {
	int folder_fd;
	uint64_t run;
	uint64_t last_number;	/* of a segment; 0: there is none */
	uint64_t next_sequence; /* at least 1 */
	uint64_t last_event;	/* of this run */
	struct resume_ring *rings;
	size_t size, used; /* size: a power of 2 */
	char note[256];	   /* what was found wrong, for the trail; "" */
};

/* The number of this run: random, kept as the offset of the state folder's lock, whose open file
 * description lives as long as the run does. */
uint64_t resume_run(int lock_fd);
int resume_read(struct resume *ret, int folder_fd, uint64_t run) MUST_CHECK;
/* NULL: the trail has nothing of this connection near its end. */
const struct resume_ring *resume_find(const struct resume *r, uint32_t connection);
void resume_free(struct resume *r);

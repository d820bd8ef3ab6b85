/* What an auditor that starts must know of the trail: where both logs go on, and what
 * this very run's rings have in it already. What a death left torn at an end is cut off. */
#pragma once

#include "gateway/audit/writer.h"

struct resume_ring {
	uint32_t connection; /* 0: a free place */
	uint64_t next_index; /* of the ring: below it, all is in the trail */
};

/* What was found at the end of the trail. */
struct resume_found {
	bool any;	  /* there is a trail */
	bool clean;	  /* both logs end as they do when a gateway is stopped */
	uint64_t missing; /* records between others that are there */
	char damage[256]; /* what is not as it was written; "" */
	char cut[256];	  /* what was cut off; "" */
	char lost[128];	  /* which sequences are missing; "" */
	char anew[256];	  /* which files were made again; "" */
};

struct resume {
	int folder_fd;
	uint64_t run;
	const struct keys *keys; /* or NULL */
	struct trail_end end;
	struct resume_found found;
	struct resume_ring *rings;
	size_t size, used; /* size: a power of 2 */
};

/* The number of this run: random, kept as the offset of the state folder's lock, whose open file
 * description lives as long as the run does. */
uint64_t resume_run(int lock_fd);
/* `keys`: of this run, which know what its last auditor gave up; or NULL. */
int resume_read(struct resume *ret, int folder_fd, uint64_t run,
		const struct keys *keys) MUST_CHECK;
/* NULL: the trail has nothing of this connection near its end. */
const struct resume_ring *resume_find(const struct resume *r, uint32_t connection);
/* For who reads the end. */
int resume_ring_put(struct resume *r, uint32_t connection, uint64_t next_index) MUST_CHECK;
void resume_free(struct resume *r);

/* What the files of the statistics share among themselves. */
#pragma once

#include "gateway/audit/filter.h"
#include "gateway/audit/statistics.h"

/* statistics_blocks.c: a command that was admitted, with its place. */
struct touched {
	const struct trail_record *record;
	enum family family;
	bool whole;	      /* FORMAT UNIT, SANITIZE */
	uint64_t lba, blocks; /* of a family of blocks; of all blocks, those that the LUN has */
	bool counts;	      /* in the period, not in the history before it */
	bool again;	      /* another record of the command before */
	struct initiator_count *by;
	struct access_count *access;
};

struct initiator_count *initiator_get(struct statistics *s, const char *name); /* NULL: no room */
void blocks_add(struct statistics *s, const struct trail_record *r, bool counts);
void blocks_close(struct statistics *s);
/* The LUNs in the detail of a login: octets a block, blocks. */
void blocks_granted(struct statistics *s, const struct audit_event *e);

/* statistics_unusual.c */
void unusual_command(struct statistics *s, const struct touched *t);
void unusual_end(struct statistics *s);
void unusual_close(struct lun_watch *w);

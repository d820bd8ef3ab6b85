/* What two periods of a trail differ in, from their statistics: who came and went, who did much
 * more or much less, counted by the hour, since periods may have different lengths. */
#pragma once

#include "gateway/audit/statistics.h"

enum compare_change { CHANGE_NONE, CHANGE_NEW, CHANGE_GONE, CHANGE_MORE, CHANGE_LESS };
const char *compare_change_name(enum compare_change change); /* "new", … */

#define COMPARE_NAME_SIZE (2 * ISCSI_NAME_SIZE + 32)

struct compare_row {
	const char *what;    /* "initiator", "address", "refusal", "access", "gateway" */
	const char *name;    /* raw: a peer's, or "" */
	const char *measure; /* "read_bytes", "logins", … */
	bool bytes;
	uint64_t before, after;
	enum compare_change change;
};

typedef void (*compare_teller)(void *arg, const struct compare_row *row);

/* `all`: rows without a change, too. More and less: twice as much, or half, or beyond. */
void compare(const struct statistics *before, const struct statistics *after, bool all,
	     compare_teller tell, void *arg);

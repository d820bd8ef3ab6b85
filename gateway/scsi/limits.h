/* How much of a disk an initiator may use: commands and octets in a second, as buckets that fill
 * with time, and commands at once. Plain data and plain functions of it, without I/O and
 * clock: `now` is a parameter. Trusts the monitor, which sets the values. */
#pragma once

#include "gateway/base/limit_values.h"

/* What a bucket holds when nobody drew from it: of so much time. */
#define LIMITS_BURST_MS 100

/* In thousandths of a token. Who draws when there is anything takes all that he needs, and the
 * bucket owes it: so a command of any size runs, and those behind it wait until it is paid. */
struct limit_bucket {
	uint64_t rate; /* tokens in a second; 0: no limit */
	int64_t level;
	uint64_t at_ms; /* as of then */
};

struct limits {
	struct limit_values values;
	uint32_t shares; /* sessions that have these limits together: each draws as many times */
	struct limit_bucket commands, octets;
	uint32_t going; /* commands that have drawn, and have not ended */
};

/* What was drawn stays drawn, also when the values are others from now on. */
void limits_set(struct limits *l, const struct limit_values *values, uint32_t shares, uint64_t now);
/* Is there any limit? */
bool limits_are_set(const struct limits *l);
/* May somebody draw now? */
bool limits_allow(struct limits *l, uint64_t now) MUST_CHECK;
void limits_draw(struct limits *l, uint32_t commands, uint64_t octets);
/* Not allowed: when to ask again. */
uint64_t limits_when(const struct limits *l, uint64_t now);
/* As many commands are going as may go at once: none begins before another has ended. */
bool limits_are_full(const struct limits *l);
/* Commands at once, of this session; 0: no limit. Each has one at least. */
uint32_t limits_outstanding(const struct limits *l);

/* The buckets of limits.h. Runs in the session. The numbers are bounded by the policy's ranges and
 * by the gate, which draws for 64 MiB at most, so that 64 bits hold every product. */
#include "gateway/scsi/limits.h"

#define UNIT 1000 /* parts of a token: a token a second is one of them a millisecond */

static int64_t burst_of(const struct limit_bucket *b)
{
	return (int64_t)(b->rate * LIMITS_BURST_MS);
}

static void bucket_fill(struct limit_bucket *b, uint64_t now)
{
	uint64_t elapsed = now > b->at_ms ? now - b->at_ms : 0;

	b->at_ms = now;
	if (b->rate == 0)
		return;
	if (elapsed > (uint64_t)(burst_of(b) - b->level) / b->rate)
		b->level = burst_of(b);
	else
		b->level += (int64_t)(b->rate * elapsed);
}

static void bucket_set(struct limit_bucket *b, uint64_t rate, uint64_t now)
{
	bool fresh = b->rate == 0;

	bucket_fill(b, now);
	b->rate = rate;
	b->level = fresh ? burst_of(b) : MIN(b->level, burst_of(b));
}

static bool bucket_allows(struct limit_bucket *b, uint64_t now)
{
	if (b->rate == 0)
		return true;
	bucket_fill(b, now);
	return b->level > 0;
}

static void bucket_draw(struct limit_bucket *b, uint64_t tokens)
{
	if (b->rate != 0)
		b->level -= (int64_t)(tokens * UNIT);
}

/* When there is something in it. */
static uint64_t bucket_when(const struct limit_bucket *b, uint64_t now)
{
	if (b->rate == 0 || b->level > 0)
		return now;
	return now + (uint64_t)-b->level / b->rate + 1;
}

void limits_set(struct limits *l, const struct limit_values *values, uint32_t shares, uint64_t now)
{
	bucket_set(&l->commands, values->iops, now);
	bucket_set(&l->octets, values->bandwidth, now);
	l->values = *values;
	l->shares = MAX(shares, 1);
}

bool limits_are_set(const struct limits *l)
{
	return l->commands.rate != 0 || l->octets.rate != 0 || l->values.outstanding != 0;
}

uint32_t limits_outstanding(const struct limits *l)
{
	return l->values.outstanding == 0 ? 0 : MAX(l->values.outstanding / l->shares, 1);
}

bool limits_are_full(const struct limits *l)
{
	return l->values.outstanding != 0 && l->going >= limits_outstanding(l);
}

bool limits_allow(struct limits *l, uint64_t now)
{
	/* both: each is to be filled up to now */
	bool commands = bucket_allows(&l->commands, now), octets = bucket_allows(&l->octets, now);

	return commands && octets;
}

void limits_draw(struct limits *l, uint32_t commands, uint64_t octets)
{
	bucket_draw(&l->commands, (uint64_t)commands * l->shares);
	bucket_draw(&l->octets, octets * l->shares);
}

uint64_t limits_when(const struct limits *l, uint64_t now)
{
	return MAX(bucket_when(&l->commands, now), bucket_when(&l->octets, now));
}

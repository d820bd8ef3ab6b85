/* How long commands took: counts in buckets that are log-linear, 32 to each power of two, so that a
 * percentile is told to 3 %. Adding is a shift and an increment. In the benchmarks' load alone;
 * trusts nobody, for it takes numbers only. */
#pragma once
#include <stdint.h>

#define HISTOGRAM_BITS	5u
#define HISTOGRAM_PARTS (1u << HISTOGRAM_BITS)

struct histogram {
	uint64_t count;
	uint32_t buckets[(64 - HISTOGRAM_BITS + 1) * HISTOGRAM_PARTS];
};

static inline void histogram_add(struct histogram *h, uint64_t ns)
{
	unsigned shift = 0;

	if (ns >= 2 * HISTOGRAM_PARTS)
		shift = 63 - HISTOGRAM_BITS - (unsigned)__builtin_clzll(ns);
	h->buckets[shift * HISTOGRAM_PARTS + (ns >> shift)]++;
	h->count++;
}

/* What `thousandths` of a thousand were at most: the upper end of their bucket. 0: there are none.
 */
static inline uint64_t histogram_at(const struct histogram *h, uint64_t thousandths)
{
	uint64_t rank = (h->count * thousandths + 999) / 1000, seen = 0;

	for (unsigned n = 0; n < sizeof h->buckets / sizeof h->buckets[0]; n++) {
		unsigned shift = n < 2 * HISTOGRAM_PARTS ? 0 : n / HISTOGRAM_PARTS - 1;

		seen += h->buckets[n];
		if (seen >= rank && rank > 0)
			return ((uint64_t)(n - shift * HISTOGRAM_PARTS) << shift) +
			       ((UINT64_C(1) << shift) - 1);
	}
	return 0;
}

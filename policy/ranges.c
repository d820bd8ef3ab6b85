/* Sets of addresses as sorted, disjoint ranges. Runs in the monitor and the command line; its
 * input was checked by the compiler. nft 1.0.6 refuses overlapping elements, so merging is ours. */
#include "policy/ranges.h"

#include <stdio.h>

static size_t address_size(uint8_t version)
{
	return version == 4 ? 4 : 16;
}

struct address_range range_of(const struct network *n)
{
	struct address_range r = {.version = n->ip.version};
	size_t bits = 8 * address_size(n->ip.version);

	memcpy(r.first, n->ip.bytes, sizeof r.first);
	memcpy(r.last, n->ip.bytes, sizeof r.last);
	for (size_t bit = n->prefix; bit < bits; bit++)
		r.last[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return r;
}

static int range_compare(const void *a, const void *b)
{
	const struct address_range *x = a, *y = b;

	if (x->version != y->version)
		return x->version < y->version ? -1 : 1;
	return memcmp(x->first, y->first, sizeof x->first);
}

/* The address after this one; false: there is none. */
static bool address_next(uint8_t version, const uint8_t bytes[16], uint8_t ret_next[16])
{
	size_t i = address_size(version);

	memcpy(ret_next, bytes, 16);
	while (i-- > 0)
		if (++ret_next[i] != 0)
			return true;
	return false;
}

/* Does `r` begin within `before`, or right behind it? (sorted) */
static bool range_touches(const struct address_range *before, const struct address_range *r)
{
	uint8_t next[16];

	if (before->version != r->version)
		return false;
	if (!address_next(before->version, before->last, next))
		return true;
	return memcmp(r->first, next, sizeof next) <= 0;
}

size_t ranges_merge(struct address_range *ranges, size_t count)
{
	size_t kept = 0;

	if (count == 0)
		return 0;
	qsort(ranges, count, sizeof *ranges, range_compare);
	for (size_t i = 1; i < count; i++) {
		struct address_range *last = &ranges[kept];

		if (!range_touches(last, &ranges[i]))
			ranges[++kept] = ranges[i];
		else if (memcmp(ranges[i].last, last->last, sizeof last->last) > 0)
			memcpy(last->last, ranges[i].last, sizeof last->last);
	}
	return kept + 1;
}

bool ranges_contain(const struct address_range *ranges, size_t count, const struct ip *ip)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct address_range *r = &ranges[middle];

		if (ip->version < r->version ||
		    (ip->version == r->version && memcmp(ip->bytes, r->first, 16) < 0))
			high = middle;
		else if (ip->version > r->version || memcmp(ip->bytes, r->last, 16) > 0)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

/* The prefix length when the range is one network, or -1. */
static int range_prefix(const struct address_range *r)
{
	int bits = (int)(8 * address_size(r->version)), prefix = 0;

	while (prefix < bits &&
	       !((r->first[prefix / 8] ^ r->last[prefix / 8]) & (0x80 >> prefix % 8)))
		prefix++;
	for (int bit = prefix; bit < bits; bit++)
		if (r->first[bit / 8] & (0x80 >> bit % 8) ||
		    !(r->last[bit / 8] & (0x80 >> bit % 8)))
			return -1;
	return prefix;
}

const char *range_format(const struct address_range *r, char ret[RANGE_TEXT])
{
	struct network n = {.ip.version = r->version};
	char first[ADDRESS_TEXT], last[ADDRESS_TEXT];
	int prefix = range_prefix(r);

	memcpy(n.ip.bytes, r->first, sizeof n.ip.bytes);
	if (prefix >= 0) {
		n.prefix = (uint8_t)prefix;
		(void)network_format(&n, ret);
		return ret;
	}
	(void)ip_format(&n.ip, first);
	memcpy(n.ip.bytes, r->last, sizeof n.ip.bytes);
	(void)snprintf(ret, RANGE_TEXT, "%s-%s", first, ip_format(&n.ip, last));
	return ret;
}

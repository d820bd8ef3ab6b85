/* Sets of addresses as sorted, disjoint ranges: what the firewall's interval sets hold, and what
 * "does the policy name this address?" looks into. */
#pragma once

#include "gateway/base/address.h"

struct address_range {
	uint8_t version;
	uint8_t first[16], last[16]; /* inclusive; IPv4 uses the first 4 */
};

struct address_range range_of(const struct network *n);
/* Sorts, merges what overlaps or touches, and returns the new count. */
size_t ranges_merge(struct address_range *ranges, size_t count);
bool ranges_contain(const struct address_range *ranges, size_t count, const struct ip *ip);
#define RANGE_TEXT (2 * ADDRESS_TEXT)
/* "192.0.2.0/24" when it is one network, else "192.0.2.7-192.0.2.9". */
const char *range_format(const struct address_range *r, char ret[RANGE_TEXT]);

/* Little-endian fields at fixed places in buffers whose size the caller has checked: what PCs write
 * on disks. */
#pragma once

#include "gateway/base/base.h"

static inline uint64_t get_le(const uint8_t *p, size_t width)
{
	uint64_t value = 0;

	assert(width <= sizeof value);
	while (width-- > 0)
		value = value << 8 | p[width];
	return value;
}

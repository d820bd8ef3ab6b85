/* One piece of memory for all secrets of a process: locked (never in swap), in no core
 * dump, in no forked child, wiped when it is closed. */
#pragma once

#include "gateway/base/base.h"

struct slab {
	uint8_t *memory; /* zeroed, page-aligned */
	size_t size;
};

/* Makes a slab of `want` octets, or of half, a quarter, … of it down to `least`, if the limit of
 * locked memory allows no more. -ENOMEM and a sentence for people when not even `least` can be
 * locked: secrets are never kept in memory that may reach the swap. */
int slab_open(struct slab *s, size_t want, size_t least, char *ret_why, size_t why_size) MUST_CHECK;
/* All memory of this process, `most` octets at most. False: the limit of locked memory is less. */
bool slab_lock_all(uint64_t most) MUST_CHECK;
void slab_close(struct slab *s); /* wipes; harmless on a closed one */

/* A table of bounded size: entries of one kind, each beginning with its key, which are found by a
 * keyed hash and listed in the order in which they came. What peers choose are the keys: they can
 * fill it, which is told, and not make it slow or large. */
#pragma once

#include "gateway/base/base.h"

struct table {
	size_t entry_size, key_size; /* an entry's first octets are its key, padding zeroed */
	size_t most;
	size_t count;
	uint64_t left_out; /* keys that came when it was full (or memory was): an upper bound */
	uint8_t **entries;
	uint32_t *slots; /* 1 + index of an entry; 0: free */
	uint8_t hash_key[16];
};

void table_open(struct table *t, size_t entry_size, size_t key_size, size_t most);
void table_close(struct table *t);
/* NULL: it has none. */
void *table_find(const struct table *t, const void *key);
/* Made when it is not there, zeroed behind its key; NULL: there is no room. */
void *table_get(struct table *t, const void *key);
/* The entry at `index` is forgotten for this one, zeroed behind its key. */
void *table_replace(struct table *t, size_t index, const void *key);

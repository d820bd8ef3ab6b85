/* Bounded tables of the statistics: open addressing over an array of entries. Pure but for
 * its random hash key; its keys are hostile. */
#include "gateway/audit/statistics_table.h"

#include <sodium.h>

void table_open(struct table *t, size_t entry_size, size_t key_size, size_t most)
{
	*t = (struct table){.entry_size = entry_size, .key_size = key_size, .most = most};
	randombytes_buf(t->hash_key, sizeof t->hash_key);
}

void table_close(struct table *t)
{
	for (size_t k = 0; k < t->count; k++)
		free(t->entries[k]);
	free(TAKE(t->entries));
	free(TAKE(t->slots));
	t->count = 0;
}

static size_t slot_count(const struct table *t)
{
	return 2 * t->most + 1;
}

/* Of the entry with this key, or the free one where it belongs. */
static uint32_t *slot_of(const struct table *t, const void *key)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t number;
	size_t at;

	crypto_shorthash(hash, key, t->key_size, t->hash_key);
	memcpy(&number, hash, sizeof number);
	at = (size_t)(number % slot_count(t));
	while (t->slots[at] != 0 && memcmp(t->entries[t->slots[at] - 1], key, t->key_size) != 0)
		at = (at + 1) % slot_count(t);
	return &t->slots[at];
}

void *table_find(const struct table *t, const void *key)
{
	uint32_t at = t->slots ? *slot_of(t, key) : 0;

	return at ? t->entries[at - 1] : NULL;
}

static bool has_arrays(struct table *t)
{
	assert(t->slots || t->count == 0); /* nothing comes after it was sorted */
	if (!t->entries)
		t->entries = calloc(t->most, sizeof *t->entries);
	if (!t->slots)
		t->slots = calloc(slot_count(t), sizeof *t->slots);
	return t->entries && t->slots;
}

void *table_get(struct table *t, const void *key)
{
	uint32_t *slot;
	uint8_t *entry;

	if (!has_arrays(t))
		return NULL;
	slot = slot_of(t, key);
	if (*slot)
		return t->entries[*slot - 1];
	if (t->count == t->most || !(entry = calloc(1, t->entry_size))) {
		t->left_out++;
		return NULL;
	}
	memcpy(entry, key, t->key_size);
	t->entries[t->count++] = entry;
	*slot = (uint32_t)t->count;
	return entry;
}

void *table_replace(struct table *t, size_t index, const void *key)
{
	uint8_t *entry = t->entries[index];

	memset(entry, 0, t->entry_size);
	memcpy(entry, key, t->key_size);
	memset(t->slots, 0, slot_count(t) * sizeof *t->slots);
	for (size_t k = 0; k < t->count; k++)
		*slot_of(t, t->entries[k]) = (uint32_t)k + 1;
	return entry;
}

/* The nearest known word to a misspelled one, for hints. */
#pragma once

#include "gateway/base/base.h"

/* The search for one word: offer every known word, then ask. */
struct nearest {
	const char *word, *best;
	size_t distance;
};
struct nearest nearest_to(const char *word);
void nearest_offer(struct nearest *n, const char *known);
/* The one known word within two edits (one, for words of up to three letters), or NULL. */
const char *nearest_found(const struct nearest *n);

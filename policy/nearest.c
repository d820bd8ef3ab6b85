/* The nearest known word to a misspelled one, for hints. Runs where the policy is read; words
 * may be hostile, so long ones are not compared at all. */
#include "policy/nearest.h"

#define WORD_MAX 63

struct nearest nearest_to(const char *word)
{
	size_t len = strnlen(word, WORD_MAX + 1);

	return (struct nearest){.word = word, .distance = len > WORD_MAX ? 0 : len <= 3 ? 2 : 3};
}

/* Levenshtein's distance of two words of at most WORD_MAX letters. */
static size_t word_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[WORD_MAX + 1];

	for (size_t k = 0; k <= b_len; k++)
		row[k] = k;
	for (size_t j = 1; j <= a_len; j++) {
		size_t diagonal = row[0];

		row[0] = j;
		for (size_t k = 1; k <= b_len; k++) {
			size_t change = diagonal + (a[j - 1] != b[k - 1]);

			diagonal = row[k];
			row[k] = MIN(change, MIN(row[k], row[k - 1]) + 1);
		}
	}
	return row[b_len];
}

void nearest_offer(struct nearest *n, const char *known)
{
	size_t len = strnlen(n->word, WORD_MAX + 1), other = strnlen(known, WORD_MAX + 1), distance;

	if (n->distance == 0 || other > WORD_MAX || len > other + 2 || other > len + 2)
		return;
	distance = word_distance(n->word, len, known, other);
	if (distance == n->distance)
		n->best = NULL;
	if (distance < n->distance) {
		n->distance = distance;
		n->best = known;
	}
}

const char *nearest_found(const struct nearest *n)
{
	return n->best;
}

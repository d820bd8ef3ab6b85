/* Ranges of blocks that a review asks about: the reviewer's own words, or a file system's answer,
 * which is hostile and may be any numbers. */
#include "gateway/audit/filter.h"

#include "gateway/base/bytes.h"

#define NUMBER_SIZE 24

/* The number before `end`. */
static int part(const char *text, const char *end, uint64_t *ret)
{
	char number[NUMBER_SIZE];
	size_t len = (size_t)(end - text);

	if (len == 0 || len >= sizeof number)
		return -EINVAL;
	memcpy(number, text, len);
	number[len] = '\0';
	return number_parse_any(number, 0, UINT64_MAX, ret);
}

int lba_range_parse(const char *text, struct lba_range *ret_range)
{
	const char *sign = text + strcspn(text, "-+"), *end = text + strlen(text);
	uint64_t first, more;

	if (part(text, sign, &first) < 0)
		return -EINVAL;
	if (*sign == '\0') {
		*ret_range = (struct lba_range){first, first};
		return 0;
	}
	if (part(sign + 1, end, &more) < 0)
		return -EINVAL;
	if (*sign == '-' ? more < first : more == 0 || more - 1 > UINT64_MAX - first)
		return -ERANGE;
	*ret_range = (struct lba_range){first, *sign == '-' ? more : first + (more - 1)};
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct lba_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

size_t lba_ranges_sort(struct lba_range *ranges, size_t count)
{
	size_t left = 0;

	if (count == 0)
		return 0;
	qsort(ranges, count, sizeof *ranges, compare);
	for (size_t k = 1; k < count; k++) {
		if (ranges[left].last == UINT64_MAX)
			break; /* all that follow are within */
		if (ranges[k].first > ranges[left].last + 1)
			ranges[++left] = ranges[k];
		else
			ranges[left].last = MAX(ranges[left].last, ranges[k].last);
	}
	return left + 1;
}

const struct lba_range *lba_ranges_meet(const struct lba_range *ranges, size_t count,
					uint64_t first, uint64_t last)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges[middle].last < first)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && ranges[low].first <= last ? &ranges[low] : NULL;
}

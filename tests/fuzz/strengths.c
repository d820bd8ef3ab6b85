/* The file of remembered algorithms from arbitrary bytes: what is read is written in a form that
 * reads the same, and what follows the last whole line changes nothing. */
#include "auth/strengths.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void same(const struct strengths *a, const struct strengths *b)
{
	assert(a->count == b->count);
	for (size_t i = 0; i < a->count; i++)
		assert(strcmp(a->list[i].user, b->list[i].user) == 0 &&
		       a->list[i].algorithm == b->list[i].algorithm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	OWNED_BY(strengths_free) struct strengths s = {0}, again = {0}, cut = {0};
	OWNED_FREE char *text = NULL;
	size_t whole, size, same_whole;

	if (strengths_parse((const char *)data, len, &s, &whole) < 0)
		return 0;
	assert(whole <= len && (whole == 0 || data[whole - 1] == '\n'));
	assert(strengths_format(&s, &text, &size) == 0);
	assert(strengths_parse(text, size, &again, &same_whole) == 0 && same_whole == size);
	same(&s, &again);
	assert(strengths_parse((const char *)data, whole, &cut, &same_whole) == 0);
	same(&s, &cut);
	return 0;
}

/* Reading what tools print. Runs in the process that looks for files; trusts nothing:
 * a cursor never leaves its text, and a number that does not fit is none. */
#include "gateway/files/text.h"

#include <stdio.h>
#include <time.h>

struct text text_over(const char *bytes, size_t len)
{
	return (struct text){.p = bytes, .end = len ? bytes + len : bytes};
}

size_t text_left(const struct text *t)
{
	return (size_t)(t->end - t->p);
}

bool text_line(struct text *t, struct text *ret_line)
{
	const char *end;

	if (t->p == t->end)
		return false;
	end = memchr(t->p, '\n', text_left(t));
	*ret_line = (struct text){t->p, end ? end : t->end};
	t->p = end ? end + 1 : t->end;
	return true;
}

bool text_skip(struct text *t, const char *word)
{
	size_t len = strlen(word);

	if (text_left(t) < len || memcmp(t->p, word, len) != 0)
		return false;
	t->p += len;
	return true;
}

bool text_find(struct text *t, const char *word)
{
	const char *at = t->p == t->end ? NULL : memmem(t->p, text_left(t), word, strlen(word));

	if (!at)
		return false;
	t->p = at + strlen(word);
	return true;
}

void text_blanks(struct text *t)
{
	while (t->p < t->end && (*t->p == ' ' || *t->p == '\t'))
		t->p++;
}

static unsigned digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

static bool number(struct text *t, unsigned base, uint64_t *ret_value)
{
	const char *p = t->p;
	uint64_t value = 0;

	for (; p < t->end && digit(*p) < base; p++)
		if (!MUL_OK(value, base, &value) || !ADD_OK(value, digit(*p), &value))
			return false;
	if (p == t->p)
		return false;
	t->p = p;
	*ret_value = value;
	return true;
}

bool text_number(struct text *t, uint64_t *ret_value)
{
	return number(t, 10, ret_value);
}

bool text_hex(struct text *t, uint64_t *ret_value)
{
	return number(t, 16, ret_value);
}

bool text_octal(struct text *t, uint64_t *ret_value)
{
	return number(t, 8, ret_value);
}

bool text_date(struct text *t, int64_t *ret_seconds)
{
	char copy[32];
	struct tm tm = {.tm_isdst = 0};
	size_t len = MIN(text_left(t), sizeof copy - 1);

	memcpy(copy, t->p, len);
	copy[len] = '\0';
	if (!strptime(copy, "%a %b %d %H:%M:%S %Y", &tm))
		return false;
	*ret_seconds = timegm(&tm);
	return true;
}

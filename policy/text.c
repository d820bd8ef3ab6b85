/* Texts that grow, and lists of texts whose order means nothing: what a policy's facts are compared
 * as. Runs in the monitor and the command line, on what the compiler has checked. */
#include <stdarg.h>
#include <stdio.h>
#include "policy/facts.h"

static bool text_room(struct text *t, size_t more)
{
	size_t space = MAX(t->space * 2, t->len + more + 1);
	char *bigger;

	if (t->space > t->len + more)
		return true;
	bigger = realloc(t->text, MAX(space, (size_t)256));
	t->failed = t->failed || !bigger;
	if (!bigger)
		return false;
	t->text = bigger;
	t->space = MAX(space, (size_t)256);
	return true;
}

void text_add(struct text *t, const char *fmt, ...)
{
	va_list args, again;
	int len;

	va_start(args, fmt);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, args);
	if (len < 0)
		t->failed = true;
	else if (text_room(t, (size_t)len))
		t->len += (size_t)vsnprintf(t->text + t->len, t->space - t->len, fmt, again);
	va_end(again);
	va_end(args);
}

void text_clear(struct text *t)
{
	t->len = 0;
	if (t->text)
		t->text[0] = '\0';
}

void text_free(struct text *t)
{
	free(t->text);
	*t = (struct text){0};
}

void text_list_add(struct text_list *l, const char *fmt, ...)
{
	va_list args;
	char *item = NULL;

	if (l->count == l->space) {
		size_t space = l->space * 2 + 4;
		char **bigger = realloc(l->items, space * sizeof *bigger);

		l->failed = l->failed || !bigger;
		if (!bigger)
			return;
		l->items = bigger;
		l->space = space;
	}
	va_start(args, fmt);
	if (vasprintf(&item, fmt, args) < 0)
		l->failed = true;
	else
		l->items[l->count++] = item;
	va_end(args);
}

static int item_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void text_list_join(struct text_list *l, struct text *t)
{
	t->failed = t->failed || l->failed;
	if (l->count > 0)
		qsort(l->items, l->count, sizeof *l->items, item_compare);
	for (size_t i = 0; i < l->count; i++) {
		text_add(t, "%s%s", i > 0 ? ", " : "", l->items[i]);
		free(l->items[i]);
	}
	free(l->items);
	*l = (struct text_list){0};
}

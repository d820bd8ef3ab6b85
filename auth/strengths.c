/* The table of strengths and its lines. In the monitor. The users are the policy's, the
 * file is our own, and read as if it were not: whoever could damage it unseen could take
 * a weaker algorithm for granted. */
#include "auth/strengths.h"

#include <stdio.h>

static const enum chap_algorithm known[] = {CHAP_MD5, CHAP_SHA1, CHAP_SHA256, CHAP_SHA3_256};

void strengths_free(struct strengths *s)
{
	free(s->list);
	*s = (struct strengths){0};
}

/* The first place whose user is not before this one. */
static size_t place_of(const struct strengths *s, const char *user)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(s->list[middle].user, user) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct strengths *s, size_t at, const char *user)
{
	return at < s->count && strcmp(s->list[at].user, user) == 0;
}

enum chap_algorithm strengths_find(const struct strengths *s, const char *user)
{
	size_t at = place_of(s, user);

	return is_at(s, at, user) ? (enum chap_algorithm)s->list[at].algorithm : CHAP_NONE;
}

static int place_make(struct strengths *s, size_t at)
{
	size_t room = s->room ? s->room * 2 : 64;
	struct strength *more;

	if (s->count >= STRENGTHS_MAX)
		return -ENOSPC;
	if (s->count == s->room) {
		more = reallocarray(s->list, room, sizeof *more);
		if (!more)
			return -ENOMEM;
		s->list = more;
		s->room = room;
	}
	memmove(s->list + at + 1, s->list + at, (s->count - at) * sizeof *s->list);
	s->list[at] = (struct strength){0};
	s->count++;
	return 0;
}

int strengths_put(struct strengths *s, const char *user, enum chap_algorithm a)
{
	size_t at = place_of(s, user);
	int r;

	if (!store_name_valid(user) || (a != CHAP_NONE && chap_digest_size(a) == 0))
		return -EINVAL;
	if (a == CHAP_NONE && !is_at(s, at, user))
		return 0;
	if (a == CHAP_NONE) {
		memmove(s->list + at, s->list + at + 1, (s->count - at - 1) * sizeof *s->list);
		s->count--;
		return 0;
	}
	if (!is_at(s, at, user) && (r = place_make(s, at)) < 0)
		return r;
	(void)string_copy(s->list[at].user, sizeof s->list[at].user, user);
	s->list[at].algorithm = (uint8_t)a;
	return 0;
}

/* --- lines ----------------------------------------------------------------------------------- */

size_t strength_line(const char *user, enum chap_algorithm a, char ret[STRENGTH_LINE_MAX])
{
	int n = snprintf(ret, STRENGTH_LINE_MAX, "%s %s\n", user, chap_algorithm_name(a));

	assert(n > 0 && n < STRENGTH_LINE_MAX);
	return (size_t)n;
}

static int algorithm_parse(const char *word, enum chap_algorithm *ret)
{
	if (strcmp(word, chap_algorithm_name(CHAP_NONE)) == 0) {
		*ret = CHAP_NONE;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(word, chap_algorithm_name(known[i])) != 0)
			continue;
		*ret = known[i];
		return 0;
	}
	return -EBADMSG;
}

static int line_parse(struct strengths *s, const char *line, size_t len)
{
	char text[STRENGTH_LINE_MAX], *word;
	enum chap_algorithm a;

	if (len >= sizeof text || memchr(line, '\0', len) != NULL)
		return -EBADMSG;
	memcpy(text, line, len);
	text[len] = '\0';
	word = strchr(text, ' ');
	if (!word)
		return -EBADMSG;
	*word++ = '\0';
	if (!store_name_valid(text) || algorithm_parse(word, &a) < 0)
		return -EBADMSG;
	s->lines++;
	return strengths_put(s, text, a);
}

int strengths_parse(const char *text, size_t len, struct strengths *ret_strengths,
		    size_t *ret_whole)
{
	OWNED_BY(strengths_free) struct strengths s = {0};
	const char *end;
	size_t at = 0;
	int r;

	while ((end = len > at ? memchr(text + at, '\n', len - at) : NULL) != NULL) {
		if ((r = line_parse(&s, text + at, (size_t)(end - text) - at)) < 0)
			return r;
		at = (size_t)(end - text) + 1;
	}
	*ret_whole = at;
	*ret_strengths = s;
	s.list = NULL;
	return 0;
}

int strengths_format(const struct strengths *s, char **ret_text, size_t *ret_len)
{
	char *text = malloc(s->count * STRENGTH_LINE_MAX + 1);
	size_t len = 0;

	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < s->count; i++)
		len += strength_line(s->list[i].user, (enum chap_algorithm)s->list[i].algorithm,
				     text + len);
	*ret_text = text;
	*ret_len = len;
	return 0;
}

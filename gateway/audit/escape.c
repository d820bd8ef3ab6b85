/* The one escaper of the review. Its texts come from peers, by way of files that anybody may have
 * written: hostile twice. */
#include "gateway/audit/escape.h"

#include "gateway/base/log.h"

/* Each octet becomes at most 4 (\xNN). */
#define SAFE_SIZE (4 * ESCAPE_TEXT_MAX + 4)

/* What text_escape() left and a form can't have; it leaves no quote of any kind. */
static const struct {
	enum escape_form form;
	char octet;
	const char *by;
} replacements[] = {
	{ESCAPE_JSON, '\\', "\\\\"},	 {ESCAPE_JSON, '<', "\\u003c"}, /* </script>, <!-- */
	{ESCAPE_JSON, '>', "\\u003e"},	 {ESCAPE_JSON, '&', "\\u0026"},
	{ESCAPE_HTML, '<', "&lt;"},	 {ESCAPE_HTML, '>', "&gt;"},
	{ESCAPE_HTML, '&', "&amp;"},	 {ESCAPE_CEF_HEADER, '\\', "\\\\"},
	{ESCAPE_CEF_HEADER, '|', "\\|"}, {ESCAPE_CEF, '\\', "\\\\"},
	{ESCAPE_CEF, '=', "\\="},	 {ESCAPE_SYSLOG, '\\', "\\\\"},
	{ESCAPE_SYSLOG, ']', "\\]"},
};

static const char *replacement(enum escape_form form, char octet)
{
	for (size_t i = 0; i < ARRAY_LEN(replacements); i++) {
		if (replacements[i].form == form && replacements[i].octet == octet)
			return replacements[i].by;
	}
	return NULL;
}

/* Spreadsheets take a field that begins so for a formula, quoted or not; some leave spaces out
 * before it, and some take the wide forms. A mark that a text has of its own is marked, too, so
 * that one taken off again gives the text. */
static bool is_formula(const char *safe)
{
	static const char *const wide[] = {"\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d",
					   "\xef\xbc\xa0"}; /* = + - @ */

	while (*safe == ' ' || strncmp(safe, "\xc2\xa0", 2) == 0)
		safe += *safe == ' ' ? 1 : 2;
	for (size_t i = 0; i < ARRAY_LEN(wide); i++) {
		if (strncmp(safe, wide[i], strlen(wide[i])) == 0)
			return true;
	}
	return *safe != '\0' && strchr("=+-@|%", *safe) != NULL;
}

static bool needs_quotes(const char *safe)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.:_-/()[]";

	return safe[strspn(safe, plain)] != '\0';
}

/* Where it goes: a stream, or a buffer, of which `used` may grow beyond `size`. */
struct sink {
	FILE *f;
	char *ret;
	size_t used, size;
};

static void put(struct sink *s, const char *bytes, size_t len)
{
	if (s->f != NULL)
		(void)fwrite(bytes, 1, len, s->f);
	else if (s->used < s->size && len < s->size - s->used)
		memcpy(s->ret + s->used, bytes, len);
	s->used += len;
}

static void put_csv(struct sink *s, const char *safe)
{
	bool formula = is_formula(safe), quotes = formula || needs_quotes(safe);

	put(s, "\"'", quotes + (size_t)formula); /* a formula is always quoted */
	put(s, safe, strlen(safe));
	put(s, "\"", quotes);
}

static void escape(struct sink *s, enum escape_form form, const char *text, size_t len)
{
	char safe[SAFE_SIZE];
	const char *from = safe;

	assert(form > ESCAPE_INVALID && form < ESCAPE_FORMS);
	(void)text_escape(text, len, safe, sizeof safe);
	if (form == ESCAPE_CSV)
		return put_csv(s, safe);
	for (const char *c = safe; *c != '\0'; c++) {
		const char *by = replacement(form, *c);

		if (by == NULL)
			continue;
		put(s, from, (size_t)(c - from));
		put(s, by, strlen(by));
		from = c + 1;
	}
	put(s, from, strlen(from));
}

void escape_put_octets(FILE *f, enum escape_form form, const char *text, size_t len)
{
	escape(&(struct sink){.f = f}, form, text, len);
}

void escape_put(FILE *f, enum escape_form form, const char *text)
{
	escape_put_octets(f, form, text, strlen(text));
}

ssize_t escape_copy(enum escape_form form, const char *text, char *ret, size_t size)
{
	struct sink s = {.ret = ret, .size = size};

	assert(size > 0);
	escape(&s, form, text, strlen(text));
	ret[s.used < size ? s.used : 0] = '\0';
	return s.used < size ? (ssize_t)s.used : -ENOSPC;
}

/* The mistakes of one text: gathered while it is read, then printed in order of place, each
 * with the line itself, a caret and what to write instead. Runs in the monitor and the command
 * line. The text is hostile: what is printed of it is escaped and cut; values that may be
 * secrets are masked in our copy of the text, so that no way of printing can show them. */
#include "policy/diagnostic.h"

#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include "gateway/base/log.h"
#include "policy/utf8.h"

#define MISTAKES_MAX 1000
#define SHOWN_BEFORE 60	 /* characters of a long line before the mistake */
#define SHOWN_MAX    120 /* and in all */

struct mistake {
	enum severity severity;
	struct place at;
	size_t order; /* in which they were found, for those at one place */
	char message[512], hint[256];
};

struct diagnostics {
	char *file, *text;
	size_t len;
	size_t *lines; /* where each line begins; one more for the end */
	size_t line_count;
	struct mistake *mistakes;
	size_t count, space;
	struct mistake *last; /* whom a hint is for; NULL: it was only counted */
	size_t errors, warnings;
	size_t masks;
	bool sorted;
};

int place_compare(struct place a, struct place b)
{
	if (a.line != b.line)
		return a.line < b.line ? -1 : 1;
	return a.column < b.column ? -1 : a.column > b.column;
}

static int lines_find(struct diagnostics *d)
{
	size_t n = 1;

	for (size_t i = 0; i < d->len; i++)
		n += d->text[i] == '\n';
	d->lines = calloc(n + 1, sizeof *d->lines);
	if (!d->lines)
		return -ENOMEM;
	for (size_t i = 0; i < d->len; i++)
		if (d->text[i] == '\n')
			d->lines[++d->line_count] = i + 1;
	d->lines[++d->line_count] = d->len + 1;
	return 0;
}

static void diagnostics_free_owned(struct diagnostics **d)
{
	diagnostics_free(*d);
}

int diagnostics_open(const char *file, const char *text, size_t len,
		     struct diagnostics **ret_diagnostics)
{
	OWNED_BY(diagnostics_free_owned) struct diagnostics *d = calloc(1, sizeof *d);
	char escaped[512];

	if (!d)
		return -ENOMEM;
	d->file = strdup(text_escape(file, strlen(file), escaped, sizeof escaped));
	d->text = malloc(len + 1);
	d->len = len;
	if (!d->file || !d->text)
		return -ENOMEM;
	if (len > 0)
		memcpy(d->text, text, len);
	d->text[len] = '\0';
	if (lines_find(d) < 0)
		return -ENOMEM;
	*ret_diagnostics = TAKE(d);
	return 0;
}

void diagnostics_free(struct diagnostics *d)
{
	if (!d)
		return;
	free(d->file);
	free(d->text);
	free(d->lines);
	free(d->mistakes);
	free(d);
}

/* Room for one more; NULL when there are enough, or no memory: then it is only counted. */
static struct mistake *mistake_new(struct diagnostics *d)
{
	if (d->count == MISTAKES_MAX)
		return NULL;
	if (d->count == d->space) {
		size_t space = d->space ? d->space * 4 : 16;
		struct mistake *more = reallocarray(d->mistakes, space, sizeof *more);

		if (!more)
			return NULL;
		d->mistakes = more;
		d->space = space;
	}
	return &d->mistakes[d->count++];
}

PRINTF_LIKE(4, 0)
static void mistake_add(struct diagnostics *d, enum severity severity, struct place at,
			const char *fmt, va_list args)
{
	struct mistake *m = mistake_new(d);

	d->last = m;
	d->sorted = false;
	if (severity == SEVERITY_ERROR)
		d->errors++;
	else
		d->warnings++;
	if (!m)
		return;
	*m = (struct mistake){.severity = severity, .at = at, .order = d->count};
	(void)vsnprintf(m->message, sizeof m->message, fmt, args);
}

void diagnose_error(struct diagnostics *d, struct place at, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	mistake_add(d, SEVERITY_ERROR, at, fmt, args);
	va_end(args);
}

void diagnose_warning(struct diagnostics *d, struct place at, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	mistake_add(d, SEVERITY_WARNING, at, fmt, args);
	va_end(args);
}

void diagnose_hint(struct diagnostics *d, const char *fmt, ...)
{
	va_list args;

	if (!d->last)
		return;
	va_start(args, fmt);
	(void)vsnprintf(d->last->hint, sizeof d->last->hint, fmt, args);
	va_end(args);
}

size_t diagnostics_errors(const struct diagnostics *d)
{
	return d->errors;
}

size_t diagnostics_warnings(const struct diagnostics *d)
{
	return d->warnings;
}

struct shown shown_text(const char *text)
{
	struct shown s;

	(void)text_escape(text, strlen(text), s.text, sizeof s.text);
	return s;
}

/* --- masking ------------------------------------------------------------------------------ */

/* The offset of a place in the text, cut to its end. */
static size_t place_offset(const struct diagnostics *d, uint32_t line, uint32_t column)
{
	size_t at, end;

	if (line == 0 || line > d->line_count)
		return d->len;
	at = d->lines[line - 1];
	end = d->lines[line] - 1;
	for (uint32_t c = 1; c < column && at < end; c++)
		at += utf8_step(d->text + at, end - at);
	return at;
}

static void mask(struct diagnostics *d, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (d->text[i] != '\n')
			d->text[i] = '*';
}

void diagnostics_mask(struct diagnostics *d, struct place place)
{
	if (++d->masks > MISTAKES_MAX) { /* such a file has nothing worth showing */
		if (d->masks == MISTAKES_MAX + 1)
			mask(d, 0, d->len);
		return;
	}
	mask(d, place_offset(d, place.line, place.column),
	     place_offset(d, place.end_line, place.end_column));
}

bool diagnostics_names_secret(const char *word)
{
	static const char *const parts[] = {"secret", "passw", "passphrase", "psk", "privatekey"};
	static const char *const whole[] = {"pass", "pw", "pwd", "key", "token", "pin"};
	char plain[32];
	size_t len = 0;

	for (; *word && len < sizeof plain - 1; word++)
		if (isalnum((unsigned char)*word))
			plain[len++] = (char)tolower((unsigned char)*word);
	plain[len] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (strstr(plain, parts[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(whole); i++)
		if (strcmp(plain, whole[i]) == 0)
			return true;
	return false;
}

/* The word that ends right before text[end], without quotes. */
static void word_before(const char *text, size_t end, char ret_word[64])
{
	size_t start = end, len;

	while (start > 0 && end - start < 63 &&
	       (isalnum((unsigned char)text[start - 1]) || strchr("-_'\" ", text[start - 1])))
		start--;
	len = end - start;
	memcpy(ret_word, text + start, len);
	ret_word[len] = '\0';
}

void diagnostics_mask_secrets(struct diagnostics *d)
{
	char word[64];

	for (size_t line = 0; line < d->line_count; line++) {
		size_t start = d->lines[line], end = d->lines[line + 1] - 1;

		for (size_t i = start; i < end; i++) {
			if (d->text[i] != ':' && d->text[i] != '=')
				continue;
			word_before(d->text + start, i - start, word);
			if (diagnostics_names_secret(word)) {
				mask(d, i + 1, end);
				break;
			}
		}
	}
}

/* --- printing ----------------------------------------------------------------------------- */

static int mistake_compare(const void *a, const void *b)
{
	const struct mistake *x = a, *y = b;

	int r = place_compare(x->at, y->at);

	return r ? r : x->order < y->order ? -1 : x->order > y->order;
}

static bool is_repeat(const struct mistake *x, const struct mistake *y)
{
	return place_compare(x->at, y->at) == 0 && x->severity == y->severity &&
	       strcmp(x->message, y->message) == 0;
}

/* What several entries take over from one place is told there once. */
static void repeats_drop(struct diagnostics *d)
{
	size_t kept = 0;

	for (size_t k = 0; k < d->count; k++) {
		struct mistake *m = &d->mistakes[k];
		size_t at = kept;

		while (at > 0 && place_compare(d->mistakes[at - 1].at, m->at) == 0 &&
		       !is_repeat(&d->mistakes[at - 1], m))
			at--;
		if (m->at.line > 0 && at > 0 && is_repeat(&d->mistakes[at - 1], m)) {
			d->errors -= m->severity == SEVERITY_ERROR;
			d->warnings -= m->severity == SEVERITY_WARNING;
		} else {
			d->mistakes[kept++] = *m;
		}
	}
	d->count = kept;
}

static void mistakes_sort(struct diagnostics *d)
{
	if (!d->sorted && d->count > 0)
		qsort(d->mistakes, d->count, sizeof *d->mistakes, mistake_compare);
	repeats_drop(d);
	d->sorted = true;
	d->last = NULL;
}

/* One character of the line as it is shown; returns the columns that it takes. */
static unsigned character_print(FILE *f, const char *text, size_t len)
{
	if (len == 1 && *text == '\t') {
		if (f)
			fputc(' ', f);
		return 1;
	}
	if (utf8_shown(text, len)) {
		if (f)
			(void)fwrite(text, 1, len, f);
		return 1;
	}
	for (size_t i = 0; f && i < len; i++)
		fprintf(f, "\\x%02x", (unsigned char)text[i]);
	return (unsigned)(4 * len);
}

/* The line of a mistake, and below it the caret; a long line is cut around the mistake. */
static void snippet_print(const struct diagnostics *d, const struct mistake *m, FILE *f)
{
	size_t at = d->lines[m->at.line - 1], end = d->lines[m->at.line] - 1;
	uint32_t column = 1, first = 1, last = m->at.column;
	unsigned before = 0, wide = 0;

	if (end > at && d->text[end - 1] == '\r')
		end--;
	if (m->at.column > SHOWN_MAX - 20)
		first = m->at.column - SHOWN_BEFORE;
	if (m->at.end_line == m->at.line && m->at.end_column > m->at.column)
		last = m->at.end_column - 1;
	fprintf(f, "%5u | %s", m->at.line, first > 1 ? "…" : "");
	before = first > 1;
	for (; at < end && column < first + SHOWN_MAX; column++) {
		size_t step = utf8_step(d->text + at, end - at);
		unsigned taken = 0;

		if (column >= first)
			taken = character_print(f, d->text + at, step);
		if (column < m->at.column)
			before += taken;
		else if (column <= last)
			wide += taken;
		at += step;
	}
	fprintf(f, "%s\n      | %*s^", at < end ? "…" : "", (int)before, "");
	for (unsigned i = 1; i < wide; i++)
		fputc('~', f);
	fputc('\n', f);
}

static void mistake_print(const struct diagnostics *d, const struct mistake *m, FILE *f,
			  bool colour)
{
	bool error = m->severity == SEVERITY_ERROR;
	const char *on = !colour ? "" : error ? "\033[1;31m" : "\033[1;33m";
	const char *off = colour ? "\033[0m" : "";

	if (m->at.line > 0)
		fprintf(f, "%s:%u:%u: ", d->file, m->at.line, m->at.column);
	else
		fprintf(f, "%s: ", d->file);
	fprintf(f, "%s%s:%s %s\n", on, error ? "error" : "warning", off, m->message);
	if (m->at.line > 0 && m->at.line <= d->line_count)
		snippet_print(d, m, f);
	if (m->hint[0])
		fprintf(f, "hint: %s\n", m->hint);
}

static void count_print(FILE *f, size_t n, const char *what, const char *then)
{
	fprintf(f, "%zu %s%s%s", n, what, n == 1 ? "" : "s", then);
}

void diagnostics_print(struct diagnostics *d, FILE *f, bool colour)
{
	mistakes_sort(d);
	for (size_t i = 0; i < d->count; i++)
		mistake_print(d, &d->mistakes[i], f, colour);
	if (d->errors + d->warnings == 0)
		return;
	if (d->errors + d->warnings > d->count)
		fprintf(f, "%s: %zu more are not shown\n", d->file,
			d->errors + d->warnings - d->count);
	fprintf(f, "%s: ", d->file);
	if (d->errors > 0)
		count_print(f, d->errors, "error", d->warnings ? ", " : "\n");
	if (d->warnings > 0)
		count_print(f, d->warnings, "warning", "\n");
}

static json_t *mistake_json(const struct diagnostics *d, const struct mistake *m)
{
	bool one_line = m->at.end_line == m->at.line && m->at.end_column > m->at.column;

	return json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:s}", "severity",
			 m->severity == SEVERITY_ERROR ? "error" : "warning", "file", d->file,
			 "line", (int)m->at.line, "column", (int)m->at.column, "end_column",
			 (int)(one_line ? m->at.end_column : m->at.column + (m->at.line > 0)),
			 "message", m->message, "hint", m->hint);
}

int diagnostics_print_json(struct diagnostics *d, FILE *f)
{
	json_t *all = json_array();
	int r = all ? 0 : -ENOMEM;

	mistakes_sort(d);
	for (size_t i = 0; r == 0 && i < d->count; i++)
		if (json_array_append_new(all, mistake_json(d, &d->mistakes[i])) < 0)
			r = -ENOMEM;
	if (r == 0 && json_dumpf(all, f, JSON_INDENT(2)) < 0)
		r = -EIO;
	fputc('\n', f);
	json_decref(all);
	return r;
}

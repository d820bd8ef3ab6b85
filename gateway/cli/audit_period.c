/* The periods of a review, from the operator's words. */
#include "gateway/cli/audit_period.h"

#include "gateway/base/when.h"

#define HOUR_NS	  (UINT64_C(3600) * 1000000000)
#define DATE_SIZE 11 /* "2026-11-22" with NUL */

/* The words, and the times that they stand for. */
static const struct {
	const char *word, *since, *until;
} words[] = {
	{"today", "today", ""},
	{"yesterday", "yesterday", "today"},
	{"week", "-7d", ""},
	{"all", "", ""},
};

struct period {
	const struct review *r;
	uint64_t now_ns, since_ns, until_ns;
};

static int parse_time(const struct period *p, const char *text, uint64_t *ret_ns)
{
	int e = text[0] ? when_parse(text, p->now_ns, p->r->print.utc, ret_ns) : 0;

	if (e == 0)
		return EXIT_DONE;
	return cli_usage(p->r->cli, "%s: %s; give one of: " WHEN_FORMS, text,
			 e == -ERANGE ? "there is no such time" : "not a time");
}

static int parse_both(struct period *p, const char *since, const char *until)
{
	int status = parse_time(p, since, &p->since_ns);

	return status == EXIT_DONE ? parse_time(p, until, &p->until_ns) : status;
}

/* A date alone: up to the next midnight, which need not be 24 hours later. */
static int parse_day(struct period *p, const char *text)
{
	char next[WHEN_TEXT];
	int status = parse_time(p, text, &p->since_ns);

	if (status != EXIT_DONE)
		return status;
	(void)when_format(p->since_ns + 36 * HOUR_NS, p->r->print.utc, next);
	next[DATE_SIZE - 1] = '\0';
	return parse_time(p, next, &p->until_ns);
}

static bool is_day(const char *text)
{
	return strlen(text) == DATE_SIZE - 1 && strspn(text, "0123456789-") == DATE_SIZE - 1 &&
	       text[0] != '-';
}

static int parse(struct period *p, const char *text)
{
	const char *dots = strstr(text, "..");
	char from[64];

	for (size_t k = 0; k < ARRAY_LEN(words); k++) {
		if (strcmp(words[k].word, text) == 0)
			return parse_both(p, words[k].since, words[k].until);
	}
	if (is_day(text))
		return parse_day(p, text);
	if (!dots || (size_t)(dots - text) >= sizeof from)
		return cli_usage(p->r->cli, "%s: no period; give " PERIOD_FORMS, text);
	memcpy(from, text, (size_t)(dots - text));
	from[dots - text] = '\0';
	return parse_both(p, from, dots + 2);
}

int review_period(const struct review *r, const char *text, uint64_t now_ns, uint64_t *ret_since_ns,
		  uint64_t *ret_until_ns)
{
	struct period p = {.r = r, .now_ns = now_ns, .until_ns = now_ns};
	int status = parse(&p, text);

	if (status == EXIT_DONE && p.since_ns >= p.until_ns)
		return cli_usage(r->cli, "%s has no time in it: it ends before it begins", text);
	*ret_since_ns = p.since_ns;
	*ret_until_ns = p.until_ns;
	return status;
}

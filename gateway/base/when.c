/* Points in time, of the review and of grants: what people type, and ISO 8601. Runs in the command
 * line and the monitor; trusts neither the text nor, in printing, the times that files hold. */
#include "gateway/base/when.h"

#include <stdio.h>
#include <time.h>
#include "gateway/base/bytes.h"

#define NS_PER_S UINT64_C(1000000000)
#define YEAR_MAX 2500

/* Exactly n digits. */
static bool digits(const char **p, size_t n, int *ret)
{
	int value = 0;

	for (; n > 0; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		value = value * 10 + (**p - '0');
	}
	*ret = value;
	return true;
}

static bool skip(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

struct point {
	struct tm tm;
	uint64_t fraction_ns;
	bool utc;
	int offset_s; /* east of UTC; with utc */
};

static bool read_date(const char **p, struct point *t)
{
	if (!digits(p, 4, &t->tm.tm_year) || !skip(p, '-') || !digits(p, 2, &t->tm.tm_mon) ||
	    !skip(p, '-') || !digits(p, 2, &t->tm.tm_mday))
		return false;
	t->tm.tm_year -= 1900;
	t->tm.tm_mon -= 1;
	return true;
}

static bool read_fraction(const char **p, struct point *t)
{
	uint64_t unit = NS_PER_S / 10;

	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; (*p)++, unit /= 10)
		t->fraction_ns += (uint64_t)(**p - '0') * unit;
	return true;
}

static bool read_clock(const char **p, struct point *t)
{
	if (!digits(p, 2, &t->tm.tm_hour) || !skip(p, ':') || !digits(p, 2, &t->tm.tm_min))
		return false;
	if (!skip(p, ':'))
		return true;
	if (!digits(p, 2, &t->tm.tm_sec))
		return false;
	return !skip(p, '.') || read_fraction(p, t);
}

static bool read_zone(const char **p, struct point *t)
{
	int hours, minutes, sign = **p == '-' ? -1 : 1;

	if (**p == '\0')
		return true;
	t->utc = true;
	t->offset_s = 0;
	if (skip(p, 'Z'))
		return true;
	if (!skip(p, '+') && !skip(p, '-'))
		return false;
	if (!digits(p, 2, &hours) || !skip(p, ':') || !digits(p, 2, &minutes))
		return false;
	t->offset_s = sign * (hours * 3600 + minutes * 60);
	return hours <= 14 && minutes < 60;
}

static int to_ns(const struct point *t, uint64_t *ret_ns)
{
	struct tm tm = t->tm;
	time_t s;

	if (tm.tm_year + 1900 > YEAR_MAX || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
		return -ERANGE;
	tm.tm_isdst = -1;
	s = t->utc ? timegm(&tm) - t->offset_s : mktime(&tm);
	/* The 31st of a month that has 30 days comes back as another day. */
	if (tm.tm_mday != t->tm.tm_mday || tm.tm_mon != t->tm.tm_mon || s < 0)
		return -ERANGE;
	*ret_ns = (uint64_t)s * NS_PER_S + t->fraction_ns;
	return 0;
}

static int parse_iso(const char *p, bool utc, uint64_t *ret_ns)
{
	struct point t = {.utc = utc};

	if (!read_date(&p, &t))
		return -EINVAL;
	if (*p != '\0') {
		if (!skip(&p, 'T') && !skip(&p, ' '))
			return -EINVAL;
		if (!read_clock(&p, &t) || !read_zone(&p, &t))
			return -EINVAL;
	}
	return *p == '\0' ? to_ns(&t, ret_ns) : -EINVAL;
}

static int parse_ago(const char *p, uint64_t now_ns, uint64_t *ret_ns)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	size_t len = strlen(p);
	char number[16];
	uint64_t n, ns;

	if (len < 2 || len > sizeof number)
		return -EINVAL;
	string_copy(number, len, p);
	if (number_parse(number, 0, UINT32_MAX, &n) < 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (units[i].unit != p[len - 1])
			continue;
		if (!MUL_OK(n, units[i].seconds * NS_PER_S, &ns) || ns > now_ns)
			return -ERANGE;
		*ret_ns = now_ns - ns;
		return 0;
	}
	return -EINVAL;
}

static int midnight(uint64_t now_ns, bool utc, int days, uint64_t *ret_ns)
{
	time_t now = (time_t)(now_ns / NS_PER_S), s;
	struct tm tm;

	if (!(utc ? gmtime_r(&now, &tm) : localtime_r(&now, &tm)))
		return -ERANGE;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_mday += days;
	tm.tm_isdst = -1;
	s = utc ? timegm(&tm) : mktime(&tm);
	if (s < 0)
		return -ERANGE;
	*ret_ns = (uint64_t)s * NS_PER_S;
	return 0;
}

int when_parse(const char *text, uint64_t now_ns, bool utc, uint64_t *ret_ns)
{
	if (text[0] == '-')
		return parse_ago(text + 1, now_ns, ret_ns);
	if (strcmp(text, "today") == 0)
		return midnight(now_ns, utc, 0, ret_ns);
	if (strcmp(text, "yesterday") == 0)
		return midnight(now_ns, utc, -1, ret_ns);
	if (strcmp(text, "now") == 0) {
		*ret_ns = now_ns;
		return 0;
	}
	return parse_iso(text, utc, ret_ns);
}

const char *when_format(uint64_t ns, bool utc, char ret[WHEN_TEXT])
{
	time_t s = (time_t)(ns / NS_PER_S);
	unsigned ms = (unsigned)(ns % NS_PER_S / 1000000);
	char date[24], zone[8];
	struct tm tm;

	if (!(utc ? gmtime_r(&s, &tm) : localtime_r(&s, &tm)))
		tm = (struct tm){.tm_mday = 1, .tm_year = 70};
	(void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)strftime(zone, sizeof zone, "%z", &tm);
	if (utc)
		(void)snprintf(ret, WHEN_TEXT, "%s.%03uZ", date, ms);
	else
		(void)snprintf(ret, WHEN_TEXT, "%s.%03u%.3s:%.2s", date, ms, zone, zone + 3);
	return ret;
}

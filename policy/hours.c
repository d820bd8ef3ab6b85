/* Hours of the week in a time zone, and the end of a grant. Runs in the monitor and the command
 * line. The texts are a policy's and hostile; the system's files of time zones are trusted, and are
 * read through the C library when a policy is compiled, never at a decision. */
#include "policy/hours.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define ZONES	    "/usr/share/zoneinfo"
#define DAY_S	    INT64_C(86400)
#define WEEK	    (7 * 1440)		/* minutes */
#define ZONE_FIRST  INT64_C(1577836800) /* 2020 */
#define ZONE_LAST   INT64_C(4102444800) /* 2100 */
#define LOOK_WITHIN (15 * DAY_S)	/* nothing changed: look again then */

/* --- time zones --------------------------------------------------------------------------- */

static bool zone_name_ok(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_+-/";

	return name[0] != '\0' && name[0] != '/' && strlen(name) < POLICY_NAME_SIZE &&
	       name[strspn(name, letters)] == '\0';
}

/* The C library takes a name that it does not know for UTC. */
static bool zone_is_there(const char *path)
{
	char magic[4] = "";
	struct stat st;
	FILE *f;
	bool is;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	f = fopen(path, "re");
	is = f && fread(magic, sizeof magic, 1, f) == 1 && memcmp(magic, "TZif", 4) == 0;
	if (f)
		(void)fclose(f);
	return is;
}

static int32_t offset_at(int64_t s)
{
	time_t at = (time_t)s;
	struct tm tm = {0};

	return localtime_r(&at, &tm) ? (int32_t)tm.tm_gmtoff : 0;
}

static int shift_add(struct policy_zone *z, int64_t at, int32_t offset)
{
	struct policy_shift *more = reallocarray(z->shifts, z->shift_count + 1, sizeof *more);

	if (!more)
		return -ENOMEM;
	z->shifts = more;
	z->shifts[z->shift_count++] = (struct policy_shift){at, offset};
	return 0;
}

/* Between the two the offset is another: the first second with it. */
static int64_t shift_find(int64_t before, int64_t after)
{
	int32_t offset = offset_at(before);

	while (after - before > 1) {
		int64_t middle = before + (after - before) / 2;

		if (offset_at(middle) == offset)
			before = middle;
		else
			after = middle;
	}
	return after;
}

/* Day by day: no zone goes to and fro within one. */
static int shifts_gather(struct policy_zone *z)
{
	int32_t offset = offset_at(ZONE_FIRST);
	int r = shift_add(z, INT64_MIN, offset);

	for (int64_t at = ZONE_FIRST; r == 0 && at < ZONE_LAST; at += DAY_S) {
		if (offset_at(at + DAY_S) == offset)
			continue;
		offset = offset_at(at + DAY_S);
		r = shift_add(z, shift_find(at, at + DAY_S), offset);
	}
	return r;
}

/* The C library has one zone for the whole process: it is this one for a moment. */
static int shifts_gather_in(struct policy_zone *z, const char *path)
{
	const char *tz = getenv("TZ");
	OWNED_FREE char *before = tz ? strdup(tz) : NULL;
	char here[sizeof ZONES + POLICY_NAME_SIZE + 2];
	int r;

	(void)snprintf(here, sizeof here, ":%s", path);
	if ((tz && !before) || setenv("TZ", here, 1) < 0)
		return -ENOMEM;
	tzset();
	r = shifts_gather(z);
	if ((before ? setenv("TZ", before, 1) : unsetenv("TZ")) < 0)
		r = -ENOMEM;
	tzset();
	return r;
}

void zone_free(struct policy_zone *z)
{
	if (z)
		free(z->shifts);
	free(z);
}

int zone_load(const char *name, struct policy_zone **ret_zone)
{
	char path[sizeof ZONES + POLICY_NAME_SIZE + 1];
	bool utc = strcmp(name, "UTC") == 0;
	struct policy_zone *z;
	int r;

	if (!zone_name_ok(name))
		return -ENOENT;
	(void)snprintf(path, sizeof path, "%s/%s", ZONES, name);
	if (!utc && !zone_is_there(path))
		return -ENOENT;
	z = calloc(1, sizeof *z);
	if (!z)
		return -ENOMEM;
	(void)string_copy(z->name, sizeof z->name, name);
	r = utc ? shift_add(z, INT64_MIN, 0) : shifts_gather_in(z, path);
	if (r < 0)
		zone_free(z);
	else
		*ret_zone = z;
	return r;
}

/* The last shift that is not after the moment. */
static size_t shift_at(const struct policy_zone *z, int64_t s)
{
	size_t low = 0, high = z->shift_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (z->shifts[middle].at <= s)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* --- the text ----------------------------------------------------------------------------- */

static bool digits2(const char **p, unsigned *ret)
{
	const char *d = *p;

	if (d[0] < '0' || d[0] > '9' || d[1] < '0' || d[1] > '9')
		return false;
	*ret = (unsigned)(d[0] - '0') * 10 + (unsigned)(d[1] - '0');
	*p += 2;
	return true;
}

/* "07:00", and "24:00" where the day ends. */
static bool minute_parse(const char **p, bool end, uint16_t *ret)
{
	unsigned hour, minute;

	if (!digits2(p, &hour) || **p != ':')
		return false;
	(*p)++;
	if (!digits2(p, &minute) || minute > 59 || hour * 60 + minute > (end ? 1440 : 1439))
		return false;
	*ret = (uint16_t)(hour * 60 + minute);
	return true;
}

static bool day_parse(const char **p, unsigned *ret)
{
	static const char days[7][4] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

	for (unsigned k = 0; k < 7; k++) {
		if (strncmp(*p, days[k], 3) != 0)
			continue;
		*ret = k;
		*p += 3;
		return true;
	}
	return false;
}

struct written_span {
	unsigned first, last; /* days */
	uint16_t from, to;    /* minutes of the day */
};

/* "Mon-Fri 07:00-19:00" */
static enum hours_mistake span_parse(const char **p, struct written_span *ret)
{
	if (!day_parse(p, &ret->first))
		return HOURS_NO_DAY;
	ret->last = ret->first;
	if (**p == '-' && ((*p)++, !day_parse(p, &ret->last)))
		return HOURS_NO_DAY;
	if (**p != ' ')
		return HOURS_NO_DAY;
	*p += strspn(*p, " ");
	if (!minute_parse(p, false, &ret->from) || **p != '-')
		return HOURS_NO_TIME;
	(*p)++;
	if (!minute_parse(p, true, &ret->to))
		return HOURS_NO_TIME;
	return ret->from == ret->to ? HOURS_NOTHING : HOURS_RIGHT;
}

/* One for each of its days; over midnight it ends on the day after. */
static void span_put(struct policy_hours *h, const struct written_span *w)
{
	unsigned days = (w->last + 7 - w->first) % 7 + 1;
	unsigned length = (w->to > w->from ? 0u : 1440u) + w->to - w->from;

	for (unsigned k = 0; k < days; k++) {
		unsigned from = (w->first + k) % 7 * 1440 + w->from;

		h->spans[h->span_count++] =
			(struct policy_span){(uint16_t)from, (uint16_t)(from + length)};
	}
}

enum hours_mistake hours_parse(const char *text, struct policy_hours *ret,
			       char ret_zone[POLICY_NAME_SIZE], const char **ret_at)
{
	const char *zone = strrchr(text, ' '), *p = text;
	struct written_span w;
	enum hours_mistake m;

	ret->span_count = 0;
	*ret_at = zone ? zone + 1 : text;
	if (!zone || strchr(zone, ':') || zone[1] == '\0' ||
	    !string_copy(ret_zone, POLICY_NAME_SIZE, zone + 1))
		return HOURS_NO_ZONE;
	for (unsigned k = 0; k < HOURS_SPANS_MAX; k++) {
		p += strspn(p, " ");
		*ret_at = p;
		if ((m = span_parse(&p, &w)) != HOURS_RIGHT)
			return m;
		span_put(ret, &w);
		p += strspn(p, " ");
		if (p == zone + 1)
			return HOURS_RIGHT;
		*ret_at = p;
		if (*p++ != ',')
			return HOURS_NO_TIME;
	}
	return HOURS_TOO_MANY;
}

/* --- now ---------------------------------------------------------------------------------- */

/* Minutes since Monday, 00:00, of the wall's clock. 1970 began on a Thursday. */
static unsigned minute_of_week(int64_t local_s)
{
	int64_t minutes = (local_s >= 0 ? local_s : local_s - 59) / 60 + 3 * INT64_C(1440);

	return (unsigned)((minutes % WEEK + WEEK) % WEEK);
}

static bool hours_open(const struct policy_hours *h, int64_t now_s)
{
	const struct policy_zone *z = h->zone;
	unsigned minute = minute_of_week(now_s + z->shifts[shift_at(z, now_s)].offset_s);

	for (size_t k = 0; k < h->span_count; k++) {
		const struct policy_span *s = &h->spans[k];

		if ((minute >= s->from && minute < s->to) ||
		    (minute + WEEK >= s->from && minute + WEEK < s->to))
			return true;
	}
	return false;
}

/* The next moment at which the wall's clock shows an end or a beginning, or jumps. */
static int64_t hours_next(const struct policy_hours *h, int64_t now_s)
{
	const struct policy_zone *z = h->zone;
	size_t shift = shift_at(z, now_s);
	int64_t local = now_s + z->shifts[shift].offset_s;
	unsigned minute = minute_of_week(local), least = WEEK;
	int64_t next;

	for (size_t k = 0; k < h->span_count; k++) {
		const unsigned edges[] = {h->spans[k].from, h->spans[k].to % WEEK};

		for (size_t e = 0; e < ARRAY_LEN(edges); e++) {
			unsigned wait = (edges[e] + WEEK - minute) % WEEK;

			least = MIN(least, wait == 0 ? WEEK : wait);
		}
	}
	next = now_s - ((local % 60) + 60) % 60 + least * INT64_C(60);
	if (shift + 1 < z->shift_count)
		next = MIN(next, z->shifts[shift + 1].at);
	return next;
}

static int64_t hours_change(const struct policy_hours *h, int64_t now_s)
{
	bool open = hours_open(h, now_s);
	int64_t at = now_s;

	do
		at = hours_next(h, at);
	while (at < now_s + LOOK_WITHIN && hours_open(h, at) == open);
	return at;
}

const char *grant_closed(const struct policy_initiator *i, int64_t now_s, uint32_t *ret_line)
{
	if (now_s != 0 && i->until_s != 0 && now_s >= i->until_s) {
		*ret_line = i->until_line;
		return "grant-ended";
	}
	if (now_s != 0 && i->hours.zone && !hours_open(&i->hours, now_s)) {
		*ret_line = i->hours.line;
		return "outside-hours";
	}
	return NULL;
}

/* After its end an entry is closed for good. */
static int64_t grant_change(const struct policy_initiator *i, int64_t now_s)
{
	int64_t at = i->hours.zone ? hours_change(&i->hours, now_s) : INT64_MAX;

	if (i->until_s == 0)
		return at;
	return now_s >= i->until_s ? INT64_MAX : MIN(at, i->until_s);
}

int64_t policy_next_change(const struct policy *p, int64_t now_s)
{
	int64_t at = INT64_MAX;

	for (size_t t = 0; t < p->target_count; t++)
		for (size_t k = 0; k < p->targets[t].initiator_count; k++)
			at = MIN(at, grant_change(&p->targets[t].initiators[k], now_s));
	return at;
}

/* Statistics of a trail: what is out of the ordinary. Hours and volumes are compared
 * with the initiator's own history, what happens to a LUN's blocks with its size. The thresholds
 * are in sallyport(8), too. Part of the review; the records are hostile: what they cost is
 * bounded. */
#include "gateway/audit/statistics_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define SECOND_NS  UINT64_C(1000000000)
#define MINUTE_NS  (60 * SECOND_NS)
#define QUARTER_NS (15 * MINUTE_NS) /* no zone's midnight is between two of them */
#define DAY_NS	   (24 * 60 * MINUTE_NS)

/* What an initiator never had. */
#define HISTORY_NS    (14 * DAY_NS) /* its history has to be so long … */
#define HISTORY_DAYS  5		    /* … with commands on so many days */
#define HOUR_COMMANDS 100 /* in an hour of the week that was empty, as both beside it were */
#define VOLUME_TIMES  3	  /* its busiest day before, times … */
#define VOLUME_LEAST  (UINT64_C(256) << 20)

/* Most of a LUN overwritten: half of its blocks, all over it, in 10 minutes. */
#define WINDOW_MINUTES 10
#define REGIONS	       1024

/* Read once, then overwritten, at a high rate: in 10 minutes 64 MiB or an eighth of the LUN, 4 MiB
 * at least, and four fifths of all that was written, had been read in the hour before. */
#define GRANULE_BYTES	   4096
#define RECENT		   (1u << 16)
#define RECENT_SECONDS	   3600
#define REWRITE_MOST	   ((UINT64_C(64) << 20) / GRANULE_BYTES)
#define REWRITE_LEAST	   ((UINT64_C(4) << 20) / GRANULE_BYTES)
#define GRANULES_A_COMMAND 1024

/* Most of a LUN read in order: half of its blocks, all over it, four fifths of them where the read
 * before ended, within a day; by who had not done so before the period. */
#define GOES_ON_NS (60 * MINUTE_NS) /* between two of a kind that are told as one */
#define BULK_NS	   DAY_NS
#define BULK_SLACK 8192 /* blocks: reads of a queue overtake each other */

struct lun_watch {
	struct minute {
		uint32_t minute;
		uint64_t blocks;	      /* overwritten */
		uint64_t granules, rewritten; /* … of them read before */
	} minutes[WINDOW_MINUTES];
	uint32_t regions[REGIONS]; /* the minute of the last write */
	struct {
		uint32_t granule, second;
	} recent[RECENT];
};

void unusual_close(struct lun_watch *w)
{
	free(w);
}

static struct unusual_note *note(struct statistics *s, enum unusual_kind kind,
				 const struct trail_record *r)
{
	struct unusual_note *n;

	if (s->unusual_count == STATISTICS_LISTED) {
		s->unusual_more++;
		return NULL;
	}
	n = &s->unusual[s->unusual_count++];
	*n = (struct unusual_note){.kind = kind, .lun = NO_LUN};
	if (r) {
		n->from_ns = n->time_ns = r->frame.stamp.time_ns;
		n->sequence = r->frame.stamp.sequence;
	}
	return n;
}

/* The same going on is the same note. */
static bool note_goes_on(struct statistics *s, enum unusual_kind kind, const struct touched *t,
			 uint64_t value)
{
	uint64_t now = t->record->frame.stamp.time_ns;

	for (size_t k = s->unusual_count; k > 0; k--) {
		struct unusual_note *n = &s->unusual[k - 1];

		if (n->kind != kind || n->lun != t->access->key.lun ||
		    now - n->time_ns >= GOES_ON_NS ||
		    strcmp(n->initiator, t->access->key.initiator) != 0 ||
		    strcmp(n->target, t->access->key.target) != 0)
			continue;
		n->time_ns = now;
		if (!ADD_OK(n->value, value, &n->value))
			n->value = UINT64_MAX;
		return true;
	}
	return false;
}

static void note_access(struct statistics *s, enum unusual_kind kind, const struct touched *t,
			uint64_t value)
{
	struct unusual_note *n = note_goes_on(s, kind, t, value) ? NULL : note(s, kind, t->record);

	if (!n)
		return;
	n->value = value;
	n->usual = t->access->on->blocks;
	n->lun = t->access->key.lun;
	(void)string_copy(n->initiator, sizeof n->initiator, t->access->key.initiator);
	(void)string_copy(n->target, sizeof n->target, t->access->key.target);
}

/* --- hours and volumes --- */

static void calendar_turn(struct statistics *s, uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / SECOND_NS);
	struct tm tm;

	if (time_ns / QUARTER_NS == s->calendar.quarter)
		return;
	if (!(s->utc ? gmtime_r(&seconds, &tm) : localtime_r(&seconds, &tm)))
		return;
	s->calendar.quarter = time_ns / QUARTER_NS;
	s->calendar.hour = (unsigned)(tm.tm_wday * 24 + tm.tm_hour) % 168;
	s->calendar.day = (uint64_t)(tm.tm_year * 366 + tm.tm_yday);
}

bool unusual_compares(const struct statistics *s, const struct initiator_count *by)
{
	return by->before_ns && s->since_ns - by->before_ns >= HISTORY_NS &&
	       by->days >= HISTORY_DAYS;
}

static void volume_judge(struct statistics *s, struct initiator_count *by, size_t which)
{
	uint64_t bytes = by->day_bytes[which], most = by->most[which];
	struct unusual_note *n;

	if (bytes < VOLUME_LEAST || bytes / VOLUME_TIMES < most)
		return;
	n = note(s, which ? UNUSUAL_WRITTEN : UNUSUAL_READ, NULL);
	if (!n)
		return;
	n->from_ns = by->day_ns;
	n->time_ns = by->last_ns;
	n->sequence = by->last_sequence;
	n->value = bytes;
	n->usual = most;
	(void)string_copy(n->initiator, sizeof n->initiator, by->name);
}

/* A day of an initiator is over: one of the period is judged, one before it is history. */
static void day_end(struct statistics *s, struct initiator_count *by)
{
	for (size_t k = 0; k < 2; k++) {
		if (by->day_counts && unusual_compares(s, by))
			volume_judge(s, by, k);
		else if (!by->day_counts)
			by->most[k] = MAX(by->most[k], by->day_bytes[k]);
		by->day_bytes[k] = 0;
	}
	by->days += !by->day_counts && by->day_ns;
}

static void day_add(struct statistics *s, const struct touched *t)
{
	const struct trail_record *r = t->record;
	uint64_t block_bytes = t->access && t->access->on && t->access->on->block_bytes
				       ? t->access->on->block_bytes
				       : 512;
	struct initiator_count *by = t->by;

	if (by->day != s->calendar.day || by->day_counts != t->counts) {
		day_end(s, by);
		by->day = s->calendar.day;
		by->day_counts = t->counts;
		by->day_ns = r->frame.stamp.time_ns;
	}
	by->day_bytes[t->family != FAMILY_READ] += t->blocks * block_bytes;
	by->last_ns = r->frame.stamp.time_ns;
	by->last_sequence = r->frame.stamp.sequence;
}

static void hour_add(struct statistics *s, const struct touched *t)
{
	struct initiator_count *by = t->by;
	unsigned hour = s->calendar.hour;
	uint64_t now = s->calendar.day * 168 + hour;
	struct unusual_note *n;

	if (!t->counts) {
		by->week[hour] += by->week[hour] < UINT32_MAX;
		if (by->before_ns == 0)
			by->before_ns = t->record->frame.stamp.time_ns;
		return;
	}
	if (by->week[hour] || by->week[(hour + 1) % 168] || by->week[(hour + 167) % 168] ||
	    !unusual_compares(s, by))
		return;
	if (by->hour != now) {
		by->hour = now;
		by->hour_commands = 0;
		by->hour_ns = t->record->frame.stamp.time_ns;
	}
	if (++by->hour_commands != HOUR_COMMANDS)
		return;
	n = note(s, UNUSUAL_HOUR, t->record);
	if (!n)
		return;
	n->from_ns = by->hour_ns;
	n->value = HOUR_COMMANDS;
	(void)string_copy(n->initiator, sizeof n->initiator, by->name);
}

/* --- what happens to a LUN's blocks --- */

static struct lun_watch *watch_of(const struct touched *t)
{
	struct lun_count *on = t->access->on;

	if (!on->watch && on->map) /* as many as there are maps */
		on->watch = calloc(1, sizeof *on->watch);
	return on->watch;
}

static uint32_t minute_now(const struct touched *t)
{
	return (uint32_t)(t->record->frame.stamp.time_ns / MINUTE_NS);
}

static struct minute *minute_of(struct lun_watch *w, uint32_t now)
{
	struct minute *m = &w->minutes[now % WINDOW_MINUTES];

	if (m->minute != now)
		*m = (struct minute){.minute = now};
	return m;
}

static struct minute window(const struct lun_watch *w, uint32_t now)
{
	struct minute sum = {0};

	for (size_t k = 0; k < WINDOW_MINUTES; k++) {
		if (now - w->minutes[k].minute >= WINDOW_MINUTES)
			continue;
		sum.blocks += w->minutes[k].blocks;
		sum.granules += w->minutes[k].granules;
		sum.rewritten += w->minutes[k].rewritten;
	}
	return sum;
}

static uint64_t region_blocks(const struct lun_count *on)
{
	return on->blocks / REGIONS + (on->blocks % REGIONS ? 1 : 0);
}

/* The regions that a command touches: false when it lies beyond the LUN. */
static bool regions_of(const struct touched *t, size_t *ret_first, size_t *ret_last)
{
	const struct lun_count *on = t->access->on;

	if (t->blocks == 0 || t->blocks > on->blocks || t->lba > on->blocks - t->blocks)
		return false;
	*ret_first = (size_t)(t->lba / region_blocks(on));
	*ret_last = (size_t)((t->lba + t->blocks - 1) / region_blocks(on));
	return *ret_last < REGIONS;
}

static void overwrite_add(struct statistics *s, const struct touched *t, struct lun_watch *w)
{
	const struct lun_count *on = t->access->on;
	uint64_t regions = (on->blocks + region_blocks(on) - 1) / region_blocks(on), covered = 0;
	uint32_t now = minute_now(t);
	size_t first, last;
	uint64_t blocks;

	if (!regions_of(t, &first, &last))
		return;
	for (size_t k = first; k <= last; k++)
		w->regions[k] = now;
	minute_of(w, now)->blocks += t->blocks;
	blocks = window(w, now).blocks;
	if (blocks < (on->blocks + 1) / 2)
		return;
	for (size_t k = 0; k < regions; k++)
		covered += now - w->regions[k] < WINDOW_MINUTES;
	if (covered < (regions + 1) / 2)
		return;
	note_access(s, UNUSUAL_OVERWRITE, t, blocks);
	memset(w->regions, 0, sizeof w->regions);
	for (size_t k = 0; k < WINDOW_MINUTES; k++)
		w->minutes[k].blocks = 0;
}

static void rewrite_judge(struct statistics *s, const struct touched *t, struct lun_watch *w)
{
	const struct lun_count *on = t->access->on;
	uint64_t all = on->blocks / (GRANULE_BYTES / 512) * (on->block_bytes / 512);
	uint64_t enough = MAX(MIN(REWRITE_MOST, all / 8), REWRITE_LEAST);
	struct minute sum = window(w, minute_now(t));

	if (sum.rewritten < enough || sum.rewritten < sum.granules / 5 * 4)
		return;
	note_access(s, UNUSUAL_REWRITE, t, sum.rewritten * GRANULE_BYTES);
	for (size_t k = 0; k < WINDOW_MINUTES; k++)
		w->minutes[k].granules = w->minutes[k].rewritten = 0;
}

/* What is read is remembered for a while, in a table that forgets by collision; what is written and
 * was read is forgotten, so that it counts once for each time that it was read. */
static void granules_add(struct statistics *s, const struct touched *t, struct lun_watch *w)
{
	uint32_t a_granule = MAX(GRANULE_BYTES / t->access->on->block_bytes, 1);
	uint32_t second = (uint32_t)(t->record->frame.stamp.time_ns / SECOND_NS);
	uint64_t first = t->lba / a_granule, last = (t->lba + t->blocks - 1) / a_granule;
	struct minute *m = minute_of(w, minute_now(t));

	last = MIN(last, first + GRANULES_A_COMMAND - 1);
	for (uint64_t g = first; g <= last; g++) {
		__typeof__(&w->recent[0]) place =
			&w->recent[(g * UINT64_C(0x9e3779b97f4a7c15)) >> 48 & (RECENT - 1)];
		uint32_t name = (uint32_t)g + 1;

		if (t->family == FAMILY_READ) {
			place->granule = name;
			place->second = second;
			continue;
		}
		m->granules++;
		if (place->granule != name || second - place->second >= RECENT_SECONDS)
			continue;
		m->rewritten++;
		place->granule = 0;
	}
	if (t->family != FAMILY_READ)
		rewrite_judge(s, t, w);
}

static void bulk_judge(struct statistics *s, const struct touched *t)
{
	struct access_count *a = t->access;
	const struct lun_count *on = a->on;
	uint64_t regions = (on->blocks + region_blocks(on) - 1) / region_blocks(on), covered = 0;

	if (a->read_blocks < (on->blocks + 1) / 2 || a->in_order < a->read_blocks / 5 * 4)
		return;
	for (size_t k = 0; k < ARRAY_LEN(a->regions); k++)
		covered += (uint64_t)__builtin_popcountll(a->regions[k]);
	if (covered < (regions + 1) / 2)
		return;
	if (!t->counts)
		a->bulk_before = true;
	else if (!a->bulk_before)
		note_access(s, UNUSUAL_BULK_READ, t, a->read_blocks);
	a->since_ns = 0;
}

static void bulk_add(struct statistics *s, const struct touched *t)
{
	struct access_count *a = t->access;
	uint64_t now = t->record->frame.stamp.time_ns;
	size_t first, last;

	if (!regions_of(t, &first, &last))
		return;
	if (a->since_ns == 0 || now - a->since_ns > BULK_NS) {
		memset(a->regions, 0, sizeof a->regions);
		a->since_ns = now;
		a->read_blocks = a->in_order = 0;
	}
	for (size_t k = first; k <= last; k++)
		a->regions[k / 64] |= UINT64_C(1) << k % 64;
	a->read_blocks += t->blocks;
	if (t->lba + BULK_SLACK >= a->next_lba && t->lba <= a->next_lba + BULK_SLACK)
		a->in_order += t->blocks;
	a->next_lba = t->lba + t->blocks;
	bulk_judge(s, t);
}

static void blocks_watch(struct statistics *s, const struct touched *t)
{
	const struct lun_count *on = t->access->on;
	struct lun_watch *w;

	if (t->counts && !t->again && t->whole)
		note_access(s, UNUSUAL_ERASE, t, on->blocks);
	if (on->blocks == 0 || on->block_bytes == 0)
		return;
	if (t->family == FAMILY_READ)
		bulk_add(s, t);
	w = t->counts ? watch_of(t) : NULL;
	if (!w || t->blocks == 0)
		return;
	granules_add(s, t, w);
	if (t->family != FAMILY_READ)
		overwrite_add(s, t, w);
}

void unusual_command(struct statistics *s, const struct touched *t)
{
	if (t->family >= FAMILIES_OF_BLOCKS)
		return;
	calendar_turn(s, t->record->frame.stamp.time_ns);
	if (t->by) {
		day_add(s, t);
		hour_add(s, t);
	}
	if (t->access && t->access->on)
		blocks_watch(s, t);
}

static int by_time(const void *a, const void *b)
{
	const struct unusual_note *x = a, *y = b;

	return (x->from_ns > y->from_ns) - (x->from_ns < y->from_ns);
}

void unusual_end(struct statistics *s)
{
	for (size_t k = 0; k < s->initiators.count; k++)
		day_end(s, (struct initiator_count *)(void *)s->initiators.entries[k]);
	qsort(s->unusual, s->unusual_count, sizeof s->unusual[0], by_time);
}

/* --- in words --- */

static const char *const names[UNUSUAL_KINDS] = {
	[UNUSUAL_HOUR] = "unusual-hour",
	[UNUSUAL_READ] = "unusual-volume-read",
	[UNUSUAL_WRITTEN] = "unusual-volume-written",
	[UNUSUAL_OVERWRITE] = "overwrite-storm",
	[UNUSUAL_REWRITE] = "read-then-overwritten",
	[UNUSUAL_BULK_READ] = "bulk-read",
	[UNUSUAL_ERASE] = "erase",
};

const char *unusual_name(enum unusual_kind kind)
{
	return names[kind];
}

static unsigned percent(const struct unusual_note *n)
{
	return n->usual ? (unsigned)MIN((double)n->value * 100 / (double)n->usual, 9999) : 0;
}

const char *unusual_text(const struct unusual_note *n, char *ret, size_t size)
{
	char value[16], usual[16];

	switch (n->kind) {
	case UNUSUAL_HOUR:
		(void)snprintf(ret, size,
			       "at work in an hour of the week in which it never was before");
		break;
	case UNUSUAL_READ:
	case UNUSUAL_WRITTEN:
		(void)snprintf(ret, size, "%s %s in a day; the most before was %s",
			       n->kind == UNUSUAL_READ ? "read" : "wrote",
			       bytes_text(n->value, value), bytes_text(n->usual, usual));
		break;
	case UNUSUAL_OVERWRITE:
		(void)snprintf(ret, size,
			       "overwrote most of the LUN within 10 minutes (%u %% of its blocks)",
			       percent(n));
		break;
	case UNUSUAL_REWRITE:
		(void)snprintf(ret, size,
			       "overwrote %s fast, each block soon after it was read, as "
			       "ransomware does",
			       bytes_text(n->value, value));
		break;
	case UNUSUAL_BULK_READ:
		(void)snprintf(ret, size,
			       "read most of the LUN in order (%u %% of its blocks), as it had not "
			       "before",
			       percent(n));
		break;
	case UNUSUAL_ERASE:
		(void)snprintf(ret, size, "erased the LUN: FORMAT UNIT or SANITIZE");
		break;
	default:
		ret[0] = '\0';
	}
	return ret;
}

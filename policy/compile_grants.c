/* When an initiator may enter, and how often at once: until, hours, sessions. Runs in the monitor
 * and the command line, on a tree that the schema has checked. */
#include "gateway/base/when.h"
#include "policy/compile.h"
#include "policy/hours.h"

#define NS_PER_S UINT64_C(1000000000)

/* --- until -------------------------------------------------------------------------------- */

/* RFC 3339: with an offset, or the policy would mean another moment on another machine. */
static bool has_offset(const char *text)
{
	const char *clock = strchr(text, 'T');

	return clock && strpbrk(clock, "Z+-") != NULL;
}

static void until_compile(struct compiler *c, struct policy_initiator *i, const struct node *n)
{
	const struct node *until = node_get(n, "until");
	uint64_t ns;

	if (!until || until->bad)
		return;
	if (until->text[0] < '0' || until->text[0] > '9' || !has_offset(until->text) ||
	    when_parse(until->text, 0, true, &ns) < 0 || ns < NS_PER_S) {
		diagnose_error(c->d, until->at, "\"until\" takes a moment, not \"%s\"",
			       shown_text(until->text).text);
		diagnose_hint(c->d, "write the day, the time and the offset from UTC: "
				    "2026-12-24T18:00+01:00, or Z instead of the offset");
		return;
	}
	i->until_s = (int64_t)(ns / NS_PER_S);
	i->until_line = until->at.line;
}

/* --- hours -------------------------------------------------------------------------------- */

/* Each zone is looked up once. */
static int zone_find(struct policy *p, const char *name, const struct policy_zone **ret_zone)
{
	struct policy_zone *z, **more;
	int r;

	for (size_t k = 0; k < p->zone_count; k++) {
		if (strcmp(p->zones[k]->name, name) == 0) {
			*ret_zone = p->zones[k];
			return 0;
		}
	}
	if ((r = zone_load(name, &z)) < 0)
		return r;
	more = reallocarray(p->zones, p->zone_count + 1, sizeof(struct policy_zone *));
	if (!more) {
		zone_free(z);
		return -ENOMEM;
	}
	p->zones = more;
	p->zones[p->zone_count++] = z;
	*ret_zone = z;
	return 0;
}

static void hours_mistake_tell(struct compiler *c, const struct node *hours,
			       enum hours_mistake mistake, const char *at)
{
	static const char *const texts[] = {
		[HOURS_NO_ZONE] = "has no time zone",
		[HOURS_NO_DAY] = "takes days of the week",
		[HOURS_NO_TIME] = "takes times of the day",
		[HOURS_NOTHING] = "ends when it begins",
		[HOURS_TOO_MANY] = "has more spans than the 16 that it can have",
	};

	if (mistake == HOURS_TOO_MANY)
		diagnose_error(c->d, hours->at, "\"hours\" %s", texts[mistake]);
	else
		diagnose_error(c->d, hours->at, "\"hours\" %s, at \"%s\"", texts[mistake],
			       shown_text(at).text);
	if (mistake == HOURS_NOTHING)
		diagnose_hint(c->d, "a whole day is 00:00-24:00");
	else
		diagnose_hint(c->d, "write days, times and a time zone: \"Mon-Fri 07:00-19:00, "
				    "Sat 09:00-13:00 Europe/Berlin\"");
}

static void hours_compile(struct compiler *c, struct policy_initiator *i, const struct node *n)
{
	const struct node *hours = node_get(n, "hours");
	char zone[POLICY_NAME_SIZE];
	enum hours_mistake mistake;
	const char *at;
	int r;

	if (!hours || hours->bad)
		return;
	i->hours.line = hours->at.line;
	i->hours.spans = compile_alloc(c, 7 * HOURS_SPANS_MAX, sizeof *i->hours.spans);
	i->hours.text = compile_copy(c, hours->text);
	if (!i->hours.spans || !i->hours.text)
		return;
	mistake = hours_parse(hours->text, &i->hours, zone, &at);
	if (mistake != HOURS_RIGHT)
		return hours_mistake_tell(c, hours, mistake, at);
	r = zone_find(c->policy, zone, &i->hours.zone);
	if (r == -ENOENT) {
		diagnose_error(c->d, hours->at, "this machine knows no time zone \"%s\"",
			       shown_text(zone).text);
		diagnose_hint(c->d, "names are those below /usr/share/zoneinfo (package tzdata): "
				    "Europe/Berlin, UTC");
	} else if (r < 0) {
		c->no_memory = true;
	}
}

void compile_grants(struct compiler *c, struct policy_initiator *i, const struct node *n)
{
	const struct node *sessions = node_get(n, "sessions");

	until_compile(c, i, n);
	hours_compile(c, i, n);
	if (!sessions || sessions->bad)
		return;
	i->sessions = (uint32_t)sessions->value;
	i->sessions_line = sessions->at.line;
}

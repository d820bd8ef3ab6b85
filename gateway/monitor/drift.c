/* Firewall drift: what the firewall process tells of rules that somebody changed, in the log, the
 * audit and `status`. Its words are escaped already; they are cut here, and trusted for nothing. */
#include <stdio.h>
#include <time.h>
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/monitor/bans.h"
#include "policy/firewall.h"

#define TOLD_MS (24u * 3600 * 1000) /* a drift that was mended stays on `status` */

/* As it is, when it is what it should be: once more escaped, it could not be read. */
static void text_take(char *ret, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);
	json_t *proper = json_stringn(text, len); /* NULL: not UTF-8 */
	bool fine = proper != NULL;

	for (size_t i = 0; i < len; i++)
		fine = fine && (uint8_t)text[i] >= ' ' && text[i] != 0x7f;
	json_decref(proper);
	if (!fine) {
		(void)text_escape(text, len, ret, size);
		return;
	}
	memcpy(ret, text, len);
	ret[len] = '\0';
}

static void drift_begins(struct monitor *m, const struct firewall_drift *d)
{
	struct drift *drift = &m->drift;

	if (!drift->standing) {
		drift->found_s = (int64_t)(clock_wall_ns() / 1000000000u);
		drift->times++;
	}
	drift->standing = true;
	drift->again_ms = d->wait_s ? clock_ms() + d->wait_s * UINT64_C(1000) : 0;
	(void)string_copy(drift->changed, sizeof drift->changed, d->changed);
	(void)string_copy(drift->by, sizeof drift->by, d->by);
	(void)string_copy(drift->why, sizeof drift->why, d->why);
}

/* The bans' table may have been gone with what was in it. */
static void drift_ends(struct monitor *m)
{
	m->drift.blind = false;
	bans_to_firewall(m);
	if (!m->drift.standing)
		return;
	m->drift.standing = false;
	m->drift.mended_ms = clock_ms();
}

static void blind_begins(struct monitor *m, const struct firewall_drift *d)
{
	m->drift.blind = true;
	(void)string_copy(m->drift.why, sizeof m->drift.why, d->why);
}

void drift_message(struct monitor *m, const struct message *msg)
{
	static const char *const reasons[] = {
		[DRIFT_FOUND] = "drift",       [DRIFT_RESTORED] = "drift-restored",
		[DRIFT_OVER] = "drift-over",   [DRIFT_FAILED] = "drift-not-restored",
		[DRIFT_BLIND] = "drift-blind",
	};
	struct firewall_drift raw, d;

	memcpy(&raw, msg->body, sizeof raw);
	d = raw;
	text_take(d.changed, sizeof d.changed, raw.changed);
	text_take(d.by, sizeof d.by, raw.by);
	text_take(d.why, sizeof d.why, raw.why);
	if (d.state == DRIFT_INVALID || d.state >= ARRAY_LEN(reasons) || m->stopping)
		return;
	if (d.state == DRIFT_FOUND || d.state == DRIFT_FAILED)
		drift_begins(m, &d);
	else if (d.state == DRIFT_BLIND)
		blind_begins(m, &d);
	else
		drift_ends(m);
	trail_say(m, EVENT_FIREWALL, reasons[d.state], "%s%s%s%s%s", d.why, d.why[0] ? ": " : "",
		  d.by, d.by[0] ? ": " : "", d.changed);
}

void drift_loaded(struct monitor *m)
{
	m->drift.blind = false;
	if (m->drift.standing)
		m->drift.mended_ms = clock_ms();
	m->drift.standing = false;
}

void drift_forget(struct monitor *m)
{
	m->drift = (struct drift){0};
}

static const char *since_format(const struct drift *drift, char ret[32])
{
	time_t at = (time_t)drift->found_s;
	struct tm tm;

	if (!gmtime_r(&at, &tm) || strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		ret[0] = '\0';
	return ret;
}

bool drift_problem(const struct monitor *m, char *ret, size_t size)
{
	const struct drift *drift = &m->drift;
	uint64_t now = clock_ms();
	char since[32], next[64] = "";

	if (!drift->standing && !drift->blind)
		return false;
	if (!drift->standing) {
		(void)snprintf(ret, size,
			       "the rules can't be read back (%s): a drift would not be seen",
			       drift->why);
		return true;
	}
	if (!m->policy->restore_firewall)
		(void)string_copy(next, sizeof next, "not put back, as on_drift says");
	else if (drift->again_ms > now)
		(void)snprintf(next, sizeof next, "it is put back in %u s",
			       (unsigned)((drift->again_ms - now + 999) / 1000));
	(void)snprintf(ret, size, "drift since %s, by %s: %s%s%s%s%s", since_format(drift, since),
		       drift->by[0] ? drift->by : "somebody", drift->changed, next[0] ? "; " : "",
		       next, drift->why[0] ? "; it could not be put back: " : "", drift->why);
	return true;
}

json_t *drift_json(const struct monitor *m)
{
	const struct drift *drift = &m->drift;
	char since[32];

	if (drift->times == 0 || (!drift->standing && clock_ms() - drift->mended_ms >= TOLD_MS))
		return json_null();
	return json_pack("{s:s,s:s,s:s,s:s,s:i}", "state", drift->standing ? "standing" : "mended",
			 "since", since_format(drift, since), "changed", drift->changed, "by",
			 drift->by, "times", (int)drift->times);
}

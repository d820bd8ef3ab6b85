/* What an operator hears of bans and does to them, through the control socket. Arguments are an
 * operator's; what is done was put into the audit, with who did it, before. */
#include <stdio.h>
#include <time.h>
#include "gateway/base/bytes.h"
#include "gateway/base/clock.h"
#include "gateway/monitor/bans.h"
#include "policy/firewall.h"
#include "policy/firewall_netlink.h"

#define ALERT_MS 86400000u

static json_t *time_json(int64_t at_ms, int64_t now_ms)
{
	time_t at = (time_t)(((int64_t)(clock_wall_ns() / 1000000u) + at_ms - now_ms) / 1000);
	struct tm tm;
	char text[32];

	if (gmtime_r(&at, &tm) == NULL ||
	    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return json_null();
	return json_string(text);
}

static json_t *ban_json(const struct penalty *p, int64_t now)
{
	char source[ADDRESS_TEXT];

	return json_pack("{s:s,s:s,s:s,s:o,s:o,s:I,s:i,s:b}", "source",
			 network_format(&p->source, source), "state",
			 p->kind == PENALTY_SLOWED ? "slowed" : "banned", "reason", p->reason,
			 "since", time_json(p->since_ms, now), "until", time_json(p->until_ms, now),
			 "seconds_left", (json_int_t)((p->until_ms - now + 999) / 1000), "repeats",
			 (int)p->repeats, "by_operator", (int)p->by_operator);
}

static json_t *suspects_json(const struct monitor *m, uint64_t now)
{
	json_t *list = json_array();
	char source[ADDRESS_TEXT];

	for (size_t k = 0; k < m->penalties.suspects_end; k++) {
		const struct penalty_suspect *s = &m->penalties.suspects[k];
		unsigned points = penalty_points_of(&m->penalties, s, now);

		if (points > 0)
			json_array_append_new(list, json_pack("{s:s,s:i}", "source",
							      network_format(&s->source, source),
							      "points", (int)points));
	}
	return list;
}

/* Portals where packets carry other addresses than those that are banned. */
static json_t *proxied_json(const struct policy *p)
{
	json_t *list = json_array();

	for (size_t k = 0; k < p->portal_count; k++)
		if (p->portals[k].proxy_count > 0)
			json_array_append_new(list, json_string(p->portals[k].name));
	return list;
}

json_t *bans_json(const struct monitor *m, bool all)
{
	json_t *list = json_array(), *root;
	uint64_t now = clock_ms();

	for (size_t k = 0; k < m->penalties.bans_end; k++) {
		const struct penalty *p = &m->penalties.bans[k];

		if (penalty_is_active(p, now))
			json_array_append_new(list, ban_json(p, (int64_t)now));
	}
	root = json_pack("{s:o,s:i,s:o}", "bans", list, "after", (int)m->penalties.rules.after,
			 "behind_proxies", proxied_json(m->policy));
	if (all)
		(void)json_object_set_new(root, "suspects", suspects_json(m, now));
	return root;
}

json_t *bans_alerts_json(const struct monitor *m)
{
	json_t *list = json_array();
	int64_t now = (int64_t)clock_ms();

	if (m->decoy.touched > 0 && clock_ms() - m->decoy.at_ms < ALERT_MS)
		json_array_append_new(list, json_pack("{s:s,s:s,s:I,s:o}", "alert", "decoy", "text",
						      m->decoy.text, "count",
						      (json_int_t)m->decoy.touched, "at",
						      time_json((int64_t)m->decoy.at_ms, now)));
	if (m->penalties.full)
		json_array_append_new(list, json_pack("{s:s,s:s}", "alert", "bans", "text",
						      "no room for more: see the log"));
	return list;
}

/* NULL, or why not. One address, or one IPv6 /64. */
static const char *source_read(const char *text, struct network *ret_source)
{
	struct network n;

	if (network_parse(text, &n) < 0)
		return "that is no address: 203.0.113.7, 2001:db8::7 or 2001:db8:0:7::/64";
	if (n.prefix == 128)
		n = ip_source_block(&n.ip);
	*ret_source = n;
	return firewall_ban_refused(&n);
}

static json_t *answer_error(const char *why)
{
	return json_pack("{s:s}", "error", why);
}

json_t *bans_add_json(struct monitor *m, const char *argument)
{
	int64_t now = (int64_t)clock_ms();
	struct penalty p = {.kind = PENALTY_BANNED,
			    .by_operator = true,
			    .news = true,
			    .since_ms = now,
			    .reason = "by an operator"};
	uint64_t seconds = m->penalties.rules.for_s;
	char address[ADDRESS_TEXT], text[ADDRESS_TEXT];
	const char *rest = strchr(argument, ' '), *why;
	size_t len = rest ? (size_t)(rest - argument) : strlen(argument);

	(void)string_copy(address, MIN(len + 1, sizeof address), argument);
	if ((why = source_read(address, &p.source)) != NULL)
		return answer_error(why);
	if (rest != NULL && number_parse(rest + 1, 1, FIREWALL_BAN_SECONDS_MAX, &seconds) < 0)
		return answer_error("a ban is for 1 s to 366 days");
	if (penalty_is_exempt(&m->penalties, &p.source))
		return answer_error("the policy's auth.bans.exempt has it: take it out there");
	p.until_ms = now + (int64_t)seconds * 1000;
	if (penalty_put(&m->penalties, &p, (uint64_t)now) == NULL)
		return answer_error("there is no room for more bans of operators");
	m->bans_unsaved = true;
	trail_say(m, EVENT_BAN, "by-an-operator", "%s for %llu s", network_format(&p.source, text),
		  (unsigned long long)seconds);
	m->bans_event_id = m->trail.next_id - 1;
	bans_go_on(m);
	return json_pack("{s:s,s:I,s:i}", "banned", text, "seconds", (json_int_t)seconds,
			 "sessions", (int)bans_sessions(m, &p.source));
}

json_t *bans_lift_json(struct monitor *m, const char *argument)
{
	struct network source;
	char text[ADDRESS_TEXT];
	const char *why = source_read(argument, &source);
	bool lifted;

	if (why != NULL)
		return answer_error(why);
	lifted = bans_lift(m, &source, "by an operator");
	return json_pack("{s:s,s:b}", "source", network_format(&source, text), "lifted", lifted);
}

/* Failures and bans by address block. The monitor's; decides, and leaves the effect to
 * the firewall and to accept. A linear table: it is looked at once per failure and
 * once per accepted connection, and PENALTIES_MAX entries fit into the cache. */
#include "auth/penalties.h"

static bool same_source(const struct network *a, const struct network *b)
{
	return a->prefix == b->prefix && ip_equal(&a->ip, &b->ip);
}

static struct penalty *penalty_find(struct penalties *p, const struct network *source)
{
	for (size_t k = 0; k < PENALTIES_MAX; k++) {
		if (p->list[k].source.ip.version != 0 && same_source(&p->list[k].source, source))
			return &p->list[k];
	}
	return NULL;
}

static uint64_t last_seen(const struct penalty *e)
{
	uint64_t failure = e->failures > 0 ? e->failures_ms[e->failures - 1] : 0;

	return MAX(failure, e->banned_until_ms);
}

/* A free entry, or the one that was heard of longest ago. */
static struct penalty *penalty_make(struct penalties *p, const struct network *source)
{
	struct penalty *oldest = &p->list[0];

	for (size_t k = 0; k < PENALTIES_MAX && oldest->source.ip.version != 0; k++) {
		if (p->list[k].source.ip.version == 0 || last_seen(&p->list[k]) < last_seen(oldest))
			oldest = &p->list[k];
	}
	*oldest = (struct penalty){.source = *source};
	return oldest;
}

/* Forgets failures older than the window, and the oldest when there is no room. */
static void forget(struct penalty *e, uint64_t before_ms)
{
	unsigned first = e->failures == PENALTY_FAILURES_MAX;

	while (first < e->failures && e->failures_ms[first] < before_ms)
		first++;
	memmove(e->failures_ms, e->failures_ms + first,
		(e->failures - first) * sizeof e->failures_ms[0]);
	e->failures -= first;
}

bool penalty_failure(struct penalties *p, const struct ip *ip, const char *reason, uint64_t now_ms,
		     const struct penalty **ret_penalty)
{
	struct network source = ip_source_block(ip);
	uint64_t window_ms = (uint64_t)p->within_s * 1000;
	struct penalty *e;

	if (p->after == 0 || ip_is_loopback(ip))
		return false;
	e = penalty_find(p, &source);
	if (e == NULL)
		e = penalty_make(p, &source);
	if (e->banned_until_ms > now_ms)
		return false;
	forget(e, now_ms > window_ms ? now_ms - window_ms : 0);
	e->failures_ms[e->failures++] = now_ms;
	if (e->failures < MIN(p->after, PENALTY_FAILURES_MAX))
		return false;
	e->failures = 0;
	e->banned_until_ms = now_ms + (uint64_t)p->for_s * 1000;
	(void)string_copy(e->reason, sizeof e->reason, reason);
	*ret_penalty = e;
	return true;
}

bool penalty_is_banned(const struct penalties *p, const struct ip *ip, uint64_t now_ms)
{
	struct network source = ip_source_block(ip);

	for (size_t k = 0; k < PENALTIES_MAX; k++) {
		if (p->list[k].banned_until_ms > now_ms && same_source(&p->list[k].source, &source))
			return true;
	}
	return false;
}

void penalty_ban(struct penalties *p, const struct network *source, const char *reason,
		 uint64_t until_ms)
{
	struct penalty *e = penalty_find(p, source);

	if (e == NULL)
		e = penalty_make(p, source);
	e->banned_until_ms = until_ms;
	e->failures = 0;
	(void)string_copy(e->reason, sizeof e->reason, reason);
}

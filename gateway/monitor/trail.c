/* The monitor's events on their way to the audit trail: numbered, kept until the
 * auditor says that they are durable, sent again to a new auditor. What one source
 * is refused beyond 20 times a minute is counted, not listed (P6). */
#include <stdarg.h>
#include <stdio.h>
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

#define LISTED_A_MINUTE 20
#define MINUTE_MS	60000

void event_from_connection(struct audit_event *e, enum audit_event_kind kind,
			   const struct connection *c)
{
	*e = (struct audit_event){.kind = kind, .connection = c->id, .peer = c->peer};
	(void)string_copy(e->portal, sizeof e->portal, c->portal_name);
	(void)string_copy(e->user, sizeof e->user, c->user);
	e->algorithm = c->algorithm;
	(void)string_copy(e->initiator, sizeof e->initiator,
			  c->initiator_name[0] ? c->initiator_name : c->claim.initiator);
	(void)string_copy(e->target, sizeof e->target,
			  c->target_name[0] ? c->target_name : c->claim.target);
}

uint64_t trail_put(struct monitor *m, const struct audit_event *e)
{
	struct trail *t = &m->trail;
	struct audit_event *slot;

	if (t->next_id - t->written > EVENTS_QUEUED_MAX) {
		t->lost++;
		return 0;
	}
	slot = &t->queue[t->next_id % EVENTS_QUEUED_MAX];
	*slot = *e;
	slot->id = t->next_id++;
	slot->wall_ns = clock_wall_ns();
	trail_send(m);
	return slot->id;
}

void trail_say(struct monitor *m, enum audit_event_kind kind, const char *reason, const char *fmt,
	       ...)
{
	struct audit_event e = {.kind = kind};
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(e.detail, sizeof e.detail, fmt, args);
	va_end(args);
	(void)string_copy(e.reason, sizeof e.reason, reason);
	(void)trail_put(m, &e);
}

void trail_send(struct monitor *m)
{
	struct trail *t = &m->trail;
	struct helper *auditor = &m->helpers[HELPER_AUDITOR];

	while (auditor->ready && t->sent < t->next_id) {
		struct audit_event *e = &t->queue[t->sent % EVENTS_QUEUED_MAX];

		if (helper_send(auditor, AUDITOR_EVENT, e, sizeof *e, -1) < 0)
			return; /* it is stopped or slow: trail_tick() goes on */
		t->sent++;
	}
}

void trail_resend(struct monitor *m)
{
	m->trail.sent = m->trail.written + 1;
	trail_send(m);
}

bool trail_well(const struct monitor *m)
{
	return m->helpers[HELPER_AUDITOR].ready && m->trail.state == AUDIT_WRITING &&
	       m->trail.next_id - m->trail.written <= EVENTS_QUEUED_MAX / 2;
}

static struct noisy_source *noisy_find(struct trail *t, const struct network *source)
{
	struct noisy_source *oldest = &t->noisy[0];

	for (size_t k = 0; k < NOISY_SOURCES; k++) {
		struct noisy_source *n = &t->noisy[k];

		if (n->source.prefix == source->prefix && ip_equal(&n->source.ip, &source->ip))
			return n;
		if (n->since_ms < oldest->since_ms)
			oldest = n;
	}
	return oldest;
}

static void noisy_report(struct monitor *m, struct noisy_source *n)
{
	struct audit_event e = {.kind = EVENT_REFUSALS_COUNTED, .count = n->counted};
	char text[ADDRESS_TEXT];

	if (n->counted > 0) {
		e.peer.ip = n->source.ip;
		(void)string_copy(e.reason, sizeof e.reason, "too-many-to-list");
		(void)trail_put(m, &e);
		log_notice("refused %u more logins from %s, not listed one by one", n->counted,
			   network_format(&n->source, text));
	}
	*n = (struct noisy_source){0};
}

bool trail_lists(struct monitor *m, const struct ip *ip)
{
	struct network source = ip_source_block(ip);
	struct noisy_source *n = noisy_find(&m->trail, &source);
	uint64_t now = loop_now_ms(m->loop);

	if (n->source.prefix != source.prefix || !ip_equal(&n->source.ip, &source.ip)) {
		noisy_report(m, n);
		*n = (struct noisy_source){.source = source, .since_ms = now};
	}
	if (n->listed < LISTED_A_MINUTE) {
		n->listed++;
		return true;
	}
	n->counted++;
	return false;
}

uint64_t trail_refusal(struct monitor *m, const struct connection *c, const char *reason,
		       const char *detail)
{
	char peer[ADDRESS_TEXT], name[256], safe[256];
	struct audit_event e;

	if (!trail_lists(m, &c->peer.ip))
		return 0;
	event_from_connection(&e, c->state <= CONN_WAITING ? EVENT_CONNECTION : EVENT_REFUSAL, c);
	(void)string_copy(e.reason, sizeof e.reason, reason);
	(void)string_copy(e.detail, sizeof e.detail, detail);
	proxied_tell(c, e.detail, sizeof e.detail);
	if (c->initiator != NULL)
		e.policy_line = c->initiator->line;
	log_notice("refused %s from %s: %s%s%s",
		   e.initiator[0] ? text_escape(e.initiator, strlen(e.initiator), name, sizeof name)
				  : "an initiator without a name",
		   endpoint_show(&c->peer, peer), reason, e.detail[0] ? ": " : "",
		   text_escape(e.detail, strlen(e.detail), safe, sizeof safe));
	return trail_put(m, &e);
}

void trail_tick(struct monitor *m)
{
	uint64_t now = loop_now_ms(m->loop);

	for (size_t k = 0; k < NOISY_SOURCES; k++) {
		struct noisy_source *n = &m->trail.noisy[k];

		if (n->source.prefix != 0 && now - n->since_ms >= MINUTE_MS)
			noisy_report(m, n);
	}
	if (m->trail.lost > 0 && trail_well(m)) {
		trail_say(m, EVENT_GAP, "events-lost", "%llu events were not kept",
			  (unsigned long long)m->trail.lost);
		m->trail.lost = 0;
	}
	trail_send(m);
}

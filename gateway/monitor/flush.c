/* Whoever is about to read the trail's files may ask that all until now is in them. The members of
 * the control socket's group may, so however many ask, one flush is under way at a time, and one
 * more is wanted: a round. Its number is the ticket of those who wait for it. */
#include "gateway/monitor/monitor.h"

static void send_round(struct monitor *m)
{
	struct flush_rounds *f = &m->trail.rounds;
	struct helper *auditor = &m->helpers[HELPER_AUDITOR];
	struct auditor_flush flush = {.id = m->trail.flush_id + 1, .sign = 1};

	f->sent_id = 0;
	if (!auditor->ready || helper_send(auditor, AUDITOR_FLUSH, &flush, sizeof flush, -1) < 0)
		return; /* flush_go_on() tries again */
	m->trail.flush_id = f->sent_id = flush.id;
}

void flush_ask(struct monitor *m)
{
	struct flush_rounds *f = &m->trail.rounds;

	if (f->wanted == f->done) {
		f->wanted++;
		send_round(m);
	} else if (f->sent_id != 0) { /* what is under way may not cover what was put since */
		f->wanted = f->done + 2;
	}
}

void flush_go_on(struct monitor *m)
{
	struct flush_rounds *f = &m->trail.rounds;

	if (f->wanted == f->done)
		return;
	if (f->sent_id != 0 && f->sent_id <= m->trail.flushed) {
		f->done++;
		f->sent_id = 0;
		control_flushed(f->done, &m->trail.durable);
	}
	if (f->wanted > f->done && f->sent_id == 0)
		send_round(m);
}

void flush_auditor_is_new(struct monitor *m)
{
	m->trail.rounds.sent_id = 0;
	flush_go_on(m);
}

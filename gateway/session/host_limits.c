/* Limits of the initiator, as the monitor says them, and the time at which those who wait for them
 * go on. How many commands may be at once of all LUNs together is kept by the window, so that
 * the initiator waits with what it has not sent; all else is the device server's. */
#include "gateway/session/session.h"

void host_limits_take(struct session *s, struct message *m)
{
	struct session_limits body;

	memcpy(&body, m->body, sizeof body);
	if (body.lun >= BACKENDS_MAX || body.lun < -1 || s->iscsi == NULL)
		return;
	s->nexus.now_ms = loop_now_ms(s->loop);
	scsi_limits(&s->nexus, body.lun, &body.values, body.shares);
	if (body.lun < 0)
		iscsi_set_outstanding(s->iscsi, limits_outstanding(&s->nexus.limits));
}

/* The turn that follows does it. */
static void on_wake(struct timer *t)
{
	(void)t;
}

void host_limits_wake(struct session *s)
{
	uint64_t at = scsi_wake_ms(&s->nexus);

	if (at == s->limits_timer.at_ms)
		return;
	s->limits_timer.run = on_wake;
	if (at == 0)
		loop_timer_clear(s->loop, &s->limits_timer);
	else
		loop_timer_set(s->loop, &s->limits_timer, at);
}

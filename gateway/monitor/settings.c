/* What the auditor is told of the policy: how long the trail is kept, and what too little room is.
 * Runs in the monitor. */
#include "gateway/monitor/audit.h"

static struct auditor_room room(const struct policy_room *r)
{
	return (struct auditor_room){.octets = r->octets, .percent = r->percent};
}

void settings_send(struct monitor *m)
{
	const struct policy_trail *t = &m->policy->trail;
	const struct auditor_settings settings = {
		.keep_ms = t->keep_ms,
		.at_most = t->at_most,
		.reserve = t->reserve,
		.warn = room(&t->warn),
		.refuse = room(&t->refuse),
		.stop = room(&t->stop),
	};

	m->trail.settings_unsent = helper_send(&m->helpers[HELPER_AUDITOR], AUDITOR_SETTINGS,
					       &settings, sizeof settings, -1) < 0;
}

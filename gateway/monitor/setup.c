/* A policy that is taken up, at the start or in a run: what can fail is done first (disks found and
 * claimed, identities given and kept) and leaves what is in force alone; then it is in force, or
 * everything is undone. Runs in the monitor; the policy was checked whole before. */
#include <stdarg.h>
#include <stdio.h>
#include "gateway/base/log.h"
#include "gateway/monitor/reload.h"

void setup_say(struct setup *s, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	log_error("%s", text);
	if (s->messages != NULL)
		fprintf(s->messages, "%s\n", text);
}

static void setup_free(struct setup *s)
{
	free(TAKE(s->disks));
	free(TAKE(s->disk_rows));
	free(TAKE(s->portal_tags));
	portals_tls_free(&s->tls);
	json_decref(TAKE(s->identities));
	json_decref(TAKE(s->identities_before));
}

int setup_prepare(struct monitor *m, struct setup *s)
{
	int r;

	s->disks = calloc(s->policy->disk_count + 1, sizeof *s->disks);
	s->disk_rows = calloc(s->policy->disk_count + 1, sizeof *s->disk_rows);
	s->portal_tags = calloc(s->policy->portal_count + 1, sizeof *s->portal_tags);
	if (s->disks == NULL || s->disk_rows == NULL || s->portal_tags == NULL)
		r = -ENOMEM;
	else if ((r = identities_prepare(m, s)) == 0 && (r = disks_prepare(m, s)) == 0)
		r = portals_tls_prepare(m, s);
	if (r == 0)
		r = identities_write(m, s);
	if (r < 0)
		setup_undo(m, s);
	return r;
}

void setup_undo(struct monitor *m, struct setup *s)
{
	listeners_undo(s);
	disks_undo(s);
	identities_undo(m, s);
	setup_free(s);
}

void setup_commit(struct monitor *m, struct setup *s)
{
	m->policy = s->policy;
	if (s->listeners != NULL)
		listeners_commit(m, s);
	disks_commit(m, s);
	disks_undo(s); /* claims that were replaced */
	free(m->portal_tags);
	free(m->disk_rows);
	portals_tls_commit(m, s);
	m->portal_tags = TAKE(s->portal_tags);
	m->disk_rows = TAKE(s->disk_rows);
	if (m->seen != NULL) /* else they are still to be loaded */
		seen_reload(m);
	setup_free(s);
}

/* The firewall process, seen from the monitor: at its start and at a reload it is given the rules
 * that a policy means; it says whether they are loaded, and what it could not ban. Without it the
 * same decisions are taken at accept and login. */
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/bans.h"

bool firewall_is_wanted(const struct policy *p)
{
	return p->manage_firewall || coverage_is_needed(p);
}

bool firewall_is_current(const struct monitor *m)
{
	OWNED_FREE char *script = firewall_script(m->policy, clock_wall_s());

	return script != NULL && octets_hash(script, strlen(script)) == m->script_hash;
}

static int script_send(struct helper *h, const struct policy *p)
{
	const struct firewall_load how = {.restore = p->restore_firewall,
					  .look_ms = FIREWALL_LOOK_MS};
	OWNED_FREE char *script = firewall_script(p, clock_wall_s());
	OWNED_FD fd = -1;

	if (script == NULL)
		return -ENOMEM;
	fd = memfd_sealed("firewall", script, strlen(script));
	if (fd < 0)
		return fd;
	h->m->script_hash = octets_hash(script, strlen(script));
	return helper_send(h, FIREWALL_LOAD, &how, sizeof how, fd);
}

int firewall_begin(struct helper *h)
{
	return h->m->policy->manage_firewall ? script_send(h, h->m->policy) : 0;
}

const char *firewall_load(struct monitor *m, const struct policy *p,
			  void (*done)(struct monitor *m, bool ok, const char *why))
{
	struct helper *h = &m->helpers[HELPER_FIREWALL];

	if (m->firewall_done != NULL)
		return "the firewall's rules are being loaded already: again in a moment";
	if (h->pid == 0 || !h->ready)
		return "the firewall process is not running: it loads them when it is back";
	if (script_send(h, p) < 0)
		return "the firewall process takes no rules now: again in a moment";
	m->firewall_done = done;
	return NULL;
}

static void answered(struct monitor *m, bool ok, const char *why)
{
	void (*done)(struct monitor *, bool, const char *) = m->firewall_done;

	m->firewall_done = NULL;
	if (done != NULL)
		done(m, ok, why);
}

void firewall_away(struct monitor *m)
{
	answered(m, false, "the firewall process ended meanwhile");
	coverage_away(m);
}

/* --- what it says --- */

static void on_none(const char *why)
{
	log_warning("NO FIREWALL: %s. Addresses are checked at accept and login only.", why);
}

/* With or without the firewall, the gateway waits for this before it listens. Rules that are
 * refused leave those that were loaded before. */
static void on_loaded(struct helper *h, const struct firewall_status *status)
{
	struct monitor *m = h->m;
	bool ok = status->ok == 1, stays = m->firewall_loaded && m->firewall_done != NULL;

	h->ready = true;
	if (ok || !stays)
		(void)string_copy(h->why, sizeof h->why, ok ? "" : status->why);
	if (m->stopping) /* unloaded */
		return;
	m->firewall_loaded = ok || stays;
	trail_say(m, EVENT_FIREWALL, ok ? "loaded" : "not-loaded", "%s", status->why);
	if (ok) {
		drift_loaded(m);
		bans_to_firewall(m);
	} else if (!stays) {
		on_none(status->why);
	}
	answered(m, ok, status->why);
	monitor_progress(m);
}

/* It loads nothing, and is asked about IPsec. */
static void on_ready(struct helper *h, const struct firewall_status *status)
{
	if (h->m->policy->manage_firewall)
		return;
	h->ready = true;
	(void)string_copy(h->why, sizeof h->why, status->ok == 1 ? "" : status->why);
	monitor_progress(h->m);
}

/* Of many in a row that are not set, the first is told. */
static void on_banned(struct helper *h, const struct firewall_status *status)
{
	struct monitor *m = h->m;

	if (status->ok != 1 && !m->ban_failed)
		log_warning("a ban is not in the firewall, and holds at accept: %s", status->why);
	m->ban_failed = status->ok != 1;
}

static void on_coverage(struct helper *h, const struct message *msg)
{
	struct firewall_coverage coverage;

	memcpy(&coverage, msg->body, sizeof coverage);
	coverage.why[sizeof coverage.why - 1] = '\0';
	coverage_told(h->m, &coverage);
}

void firewall_message(struct helper *h, const struct message *msg)
{
	static void (*const handlers[])(struct helper * h, const struct firewall_status *status) = {
		[FIREWALL_READY] = on_ready,
		[FIREWALL_LOADED] = on_loaded,
		[FIREWALL_BANNED] = on_banned,
	};
	struct firewall_status status;

	if (msg->type == FIREWALL_COVERAGE)
		return on_coverage(h, msg);
	if (msg->type == FIREWALL_DRIFT)
		return drift_message(h->m, msg);
	memcpy(&status, msg->body, sizeof status);
	status.why[sizeof status.why - 1] = '\0';
	h->layers = status.sandbox_layers;
	if (msg->type < ARRAY_LEN(handlers) && handlers[msg->type] != NULL)
		handlers[msg->type](h, &status);
}

void firewall_room(struct helper *h)
{
	bans_go_on(h->m);
	coverage_go_on(h->m);
}

/* What `status` and `sessions` tell, as JSON: what is up and what is not. */
#include <stdio.h>
#include "auth/auth.h"
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/base/sandbox.h"
#include "gateway/monitor/audit.h"
#include "gateway/monitor/bans.h"

static void add_problem(json_t *problems, const char *what, const char *why)
{
	char text[1200];

	(void)snprintf(text, sizeof text, "%s: %s", what, why);
	json_array_append_new(problems, json_string(text));
}

static bool came_in_at(const struct connection *c, const struct listener *l)
{
	const struct endpoint *at = &l->endpoint;

	return c->portal == l->portal && c->local.port == at->port &&
	       c->local.ip.version == at->ip.version &&
	       (ip_is_any(&at->ip) || ip_equal(&c->local.ip, &at->ip));
}

static json_t *advertised_json(const struct policy_portal *p)
{
	json_t *list = json_array();
	char text[ADDRESS_TEXT];

	for (size_t k = 0; k < p->advertise_count; k++)
		json_array_append_new(list, json_string(endpoint_format(&p->advertise[k], text)));
	return list;
}

static json_t *portals_json(const struct monitor *m, json_t *problems)
{
	json_t *list = json_array();
	char text[ADDRESS_TEXT], transport[TRANSPORT_TEXT];

	for (const struct listener *l = m->listeners; l != NULL; l = l->next) {
		const struct policy_portal *p = &m->policy->portals[l->portal];
		unsigned sessions = 0;

		if (!listener_is_open(l))
			add_problem(problems, p->name, "its interface is gone");
		for (uint32_t c = 0; c < m->connection_max; c++)
			sessions += m->connections[c].state == CONN_GRANTED &&
				    came_in_at(&m->connections[c], l);
		json_array_append_new(
			list,
			json_pack("{s:s,s:s,s:s,s:i,s:s,s:i,s:o,s:o}", "portal", p->name, "listens",
				  endpoint_show(&l->endpoint, text), "transport",
				  policy_transport_text(p, transport), "sessions", (int)sessions,
				  "group", p->group, "tag", (int)m->portal_tags[l->portal],
				  "advertises", advertised_json(p), "tls",
				  portal_tls_json(m, l->portal, problems)));
	}
	return list;
}

static json_t *disks_json(const struct monitor *m, json_t *problems)
{
	json_t *list = json_array();
	const struct monitor_disk *d;
	char state[512];

	EACH_DISK(m, d, row)
	{
		if (d->leaves)
			continue;
		json_array_append_new(
			list,
			json_pack("{s:s,s:s,s:I,s:b,s:i,s:s,s:s}", "disk", d->policy.name, "path",
				  d->disk.path[0] ? d->disk.path : "memory", "size_bytes",
				  (json_int_t)d->disk.size_bytes, "read_only",
				  (int)d->policy.read_only, "writers", (int)d->writers, "serial",
				  d->told.serial, "state", disk_state(d, state, sizeof state)));
		if (d->error != 0 || d->shared.failed != 0)
			add_problem(problems, d->policy.name, state);
	}
	return list;
}

/* On loopback alone there is nothing for a firewall to keep out. */
static bool firewall_is_missed(const struct policy *p)
{
	for (size_t k = 0; k < p->portal_count; k++) {
		if (!p->portals[k].loopback)
			return true;
	}
	return false;
}

static json_t *helpers_json(const struct monitor *m, json_t *problems)
{
	json_t *list = json_array();

	for (enum helper_kind k = 0; k < HELPERS; k++) {
		const struct helper *h = &m->helpers[k];
		bool off = k == HELPER_FIREWALL && !firewall_is_wanted(m->policy);
		const char *state = off ? "off" : h->ready ? "up" : "down";
		char missing[256];

		json_array_append_new(
			list, json_pack("{s:s,s:s,s:i,s:i,s:s,s:s}", "helper", helper_name(k),
					"state", state, "pid", (int)h->pid, "deaths",
					(int)h->deaths, "note", h->why, "missing_layers",
					h->ready ? sandbox_missing((int)h->layers, missing,
								   sizeof missing)
						 : ""));
		if (!off && !h->ready)
			add_problem(problems, helper_name(k),
				    h->why[0]	  ? h->why
				    : h->pid != 0 ? "not ready yet"
						  : "not running");
		else if (!off && h->why[0] != '\0' &&
			 (k != HELPER_FIREWALL || firewall_is_missed(m->policy)))
			add_problem(problems, helper_name(k), h->why);
	}
	return list;
}

static unsigned banned(const struct monitor *m)
{
	uint64_t now = clock_ms();
	unsigned count = 0;

	for (size_t k = 0; k < m->penalties.bans_end; k++)
		count += penalty_is_active(&m->penalties.bans[k], now);
	return count;
}

/* By enum audit_room, which a helper says. */
static const struct {
	const char *name, *problem;
} rooms[] = {
	[ROOM_ENOUGH] = {"enough", NULL},
	[ROOM_WARN] = {"little", NULL},
	[ROOM_REFUSE] = {"refuse", "there is little room for the trail: no new session enters"},
	[ROOM_STOP] = {"stop", "there is too little room for the trail: commands get BUSY"},
};

static json_t *trail_json(const struct monitor *m, json_t *problems)
{
	const struct trail *t = &m->trail;
	size_t room = MIN(t->told.room, ARRAY_LEN(rooms) - 1);

	if (rooms[room].problem != NULL)
		add_problem(problems, "audit", rooms[room].problem);
	return json_pack("{s:s,s:I,s:b,s:I,s:I,s:o}", "room", rooms[room].name, "epoch",
			 (json_int_t)t->told.epoch, "key_shown", (int)epoch_is_shown(m), "octets",
			 (json_int_t)t->told.trail_octets, "free_octets",
			 (json_int_t)t->told.free_octets, "checkpoints",
			 checkpoints_json(m, problems));
}

/* Of many in a row, the first is told of. */
void session_layers_take(struct connection *c, uint32_t layers)
{
	bool was_short = c->m->session_layers & SANDBOX_URING_IS_SHORT;

	c->m->session_layers = layers;
	c->m->session_reported = true;
	c->by_threads = layers & SANDBOX_URING_IS_SHORT;
	if (c->by_threads && !was_short)
		log_warning("session %u does its I/O by threads: there is too little memory for an "
			    "io_uring; raise the limit of locked memory (ulimit -l, LimitMEMLOCK=)",
			    c->id);
}

static void threads_warn(const struct monitor *m, json_t *warnings)
{
	char text[200];
	unsigned count = 0;

	for (uint32_t k = 0; k < m->connection_max; k++)
		count += m->connections[k].state != CONN_FREE && m->connections[k].by_threads;
	(void)snprintf(text, sizeof text,
		       "%u sessions do their I/O by threads: there was too little memory for an "
		       "io_uring; raise the limit of locked memory (ulimit -l, LimitMEMLOCK=)",
		       count);
	if (count > 0)
		json_array_append_new(warnings, json_string(text));
}

json_t *status_json(struct monitor *m)
{
	json_t *problems = json_array(), *portals = portals_json(m, problems);
	json_t *disks = disks_json(m, problems), *helpers = helpers_json(m, problems);
	json_t *trail = trail_json(m, problems);
	json_t *warnings = warnings_json(&m->secrets, m->seen, clock_wall_ns() / 1000000000u);
	char hash[POLICY_HASH_TEXT], missing[256], drift[1024];

	portals_tls_warnings(m, warnings);
	threads_warn(m, warnings);
	policy_hash_text(m->policy, hash);
	if (!m->serving)
		add_problem(problems, "gateway", m->stopping ? "stopping" : "starting");
	if (m->trail.state == AUDIT_CANNOT_WRITE)
		add_problem(problems, "audit", "the log can't be written: commands get BUSY");
	if (!AUDIT_IS_BUILT)
		add_problem(problems, "audit",
			    "THIS BUILD RECORDS NO COMMANDS: it is for measuring");
	if (drift_problem(m, drift, sizeof drift))
		add_problem(problems, "firewall", drift);
	return json_pack("{s:b,s:o,s:s,s:s,s:s,s:s,s:I,s:I,s:i,s:i,s:i,s:s,s:I,s:s,s:o,s:o,s:o,s:o,"
			 "s:o,s:o,s:o}",
			 "well", json_array_size(problems) == 0, "problems", problems, "version",
			 SALLYPORT_VERSION, "policy", m->policy_path, "policy_sha256", hash,
			 "state", m->state_path, "pid", (json_int_t)getpid(), "up_s",
			 (json_int_t)((clock_ms() - m->started_ms) / 1000), "sessions",
			 (int)m->granted, "logins_in_progress", (int)m->logins, "bans",
			 (int)banned(m), "audit", trail_well(m) ? "writing" : "not writing",
			 "audit_segment", (json_int_t)m->trail.segment, "session_missing_layers",
			 m->session_reported
				 ? sandbox_missing((int)m->session_layers, missing, sizeof missing)
				 : "",
			 "portals", portals, "disks", disks, "helpers", helpers, "alerts",
			 bans_alerts_json(m), "drift", drift_json(m), "trail", trail, "warnings",
			 warnings);
}

/* What it holds, which is what another policy is measured by. */
static json_t *luns_json(const struct connection *c)
{
	json_t *list = json_array();

	for (size_t k = 0; k < c->lun_count; k++) {
		if (c->luns[k].told)
			json_array_append_new(list,
					      json_pack("{s:i,s:b}", "lun", (int)c->luns[k].lun,
							"writable", (int)c->luns[k].may));
	}
	return list;
}

static json_t *session_json(const struct connection *c)
{
	static const char *const states[] = {
		[CONN_FREE] = "free",	    [CONN_WAITING] = "waiting", [CONN_LOGIN] = "login",
		[CONN_ASKING] = "login",    [CONN_PERMITTED] = "login", [CONN_ENTERING] = "login",
		[CONN_GRANTED] = "granted", [CONN_ENDING] = "ending",
	};
	char peer[ADDRESS_TEXT], local[ADDRESS_TEXT], proxy[ADDRESS_TEXT] = "", user[256];

	/* The user is what the peer said until it is granted: JSON takes UTF-8 alone. */
	(void)text_escape(c->user, strlen(c->user), user, sizeof user);
	if (c->behind.proxy.port != 0)
		(void)endpoint_show(&c->behind.proxy, proxy);
	return json_pack("{s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:b,s:i,s:I,s:o,s:o,s:o}",
			 "session", (json_int_t)c->id, "state", states[c->state], "initiator",
			 c->initiator_name, "user", user, "peer", endpoint_show(&c->peer, peer),
			 "proxy", proxy, "local", endpoint_show(&c->local, local), "algorithm",
			 c->algorithm ? chap_algorithm_name(c->algorithm) : "", "target",
			 c->claim.discovery ? "(discovery)" : c->target_name, "portal",
			 c->portal_name, "up_s", (json_int_t)((clock_ms() - c->since_ms) / 1000),
			 "discovery", (int)c->claim.discovery, "pid", (int)c->pid, "connections",
			 (json_int_t)(c->state == CONN_GRANTED ? c->connections : 1), "luns",
			 luns_json(c), "limits", limits_json(c), "tls", connection_tls_json(c));
}

json_t *sessions_json(struct monitor *m)
{
	json_t *list = json_array();

	for (uint32_t k = 0; k < m->connection_max; k++) {
		if (m->connections[k].state != CONN_FREE)
			json_array_append_new(list, session_json(&m->connections[k]));
	}
	return list;
}

/* The policy that is in force, as its file was when it was taken up. */
json_t *policy_json(const struct monitor *m)
{
	char hash[POLICY_HASH_TEXT];

	policy_hash_text(m->policy, hash);
	return json_pack("{s:s,s:s,s:s,s:s,s:o}", "policy", m->policy->path, "sha256", hash,
			 "version", SALLYPORT_VERSION, "text", m->policy->text, "tls",
			 portals_tls_hashes(m));
}

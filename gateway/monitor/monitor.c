/* The monitor's life: what it opens before it serves, in which order things become
 * ready, and how it stops. Rooms beside it: listen, connection, entry, helpers, rings,
 * trail, disks, control. */
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "auth/store.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/notify.h"
#include "gateway/base/sandbox.h"
#include "gateway/base/state.h"
#include "gateway/cli/cli.h"
#include "gateway/monitor/audit.h"
#include "gateway/monitor/ca.h"
#include "gateway/monitor/bans.h"
#include "gateway/monitor/reload.h"

#define TICK_MS		1000
#define FDS_PER_SESSION 8
#define FDS_OTHER	256
#define STOP_TAKES_MS	5000 /* at most, after the grace for initiators to log out */
#define LOCK_WAIT_MS	8000 /* for the auditor of a gateway that died to finish */
#define CAP_BIT(cap)	(1ull << (cap))

/* What a root monitor keeps. CAP_NET_ADMIN stays with it so that a firewall process that died can
 * be started again. */
#define MONITOR_CAPS                                                                          \
	(CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID) | CAP_BIT(CAP_KILL) | CAP_BIT(CAP_CHOWN) | \
	 CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_NET_ADMIN))

/* --- before it serves --- */

static int users_find(struct monitor *m)
{
	m->root = geteuid() == 0;
	if (!m->root)
		return 0;
	if (user_find("sallyport", &m->uid, &m->gid) < 0 ||
	    user_find("sallyport-net", &m->net_uid, &m->net_gid) < 0) {
		log_error("started as root, the gateway runs its processes as the users sallyport "
			  "and "
			  "sallyport-net, which do not exist: deploy/install-deps.sh makes them");
		return -ENOENT;
	}
	return 0;
}

static int lock_wait(int state_fd)
{
	uint64_t until = clock_ms() + LOCK_WAIT_MS;
	int fd = state_lock(state_fd);

	while (fd == -EWOULDBLOCK && clock_ms() < until) {
		(void)usleep(50000);
		fd = state_lock(state_fd);
	}
	return fd;
}

/* Writes of a gateway that was killed may still be on their way to a disk. */
static int earlier_io_wait(struct monitor *m)
{
	uint64_t until = clock_ms() + LOCK_WAIT_MS;
	OWNED_FD fd = state_io_lock(m->state_fd, true);

	while (fd == -EWOULDBLOCK && clock_ms() < until) {
		(void)usleep(50000);
		fd = state_io_lock(m->state_fd, true);
	}
	if (fd == -EWOULDBLOCK)
		log_error("the disks of an earlier run in %s still have writes in flight: a disk "
			  "hangs; "
			  "start again when it answers, or after a reboot",
			  m->state_path);
	else if (fd < 0)
		log_error("%s/sessions.lock can't be locked: %s", m->state_path, strerror(-fd));
	return MIN(fd, 0);
}

/* A helper's own. */
static int folder_begin(struct monitor *m, const char *name, int *ret_fd)
{
	OWNED_FD fd = state_subfolder(m->state_fd, name);

	if (fd < 0) {
		log_error("%s/%s can't be opened: %s", m->state_path, name, strerror(-fd));
		return fd;
	}
	if (m->root && fchown(fd, m->uid, m->gid) < 0) {
		log_error("%s/%s can't be given to its helper's user: %m", m->state_path, name);
		return -errno;
	}
	*ret_fd = fd_take(&fd);
	return 0;
}

static int state_begin(struct monitor *m, const struct monitor_options *options)
{
	char why[512];
	int r;

	m->state_fd = state_open(m->state_path, true, why, sizeof why);
	if (m->state_fd < 0) {
		log_error("%s", why);
		return m->state_fd;
	}
	m->lock_fd = lock_wait(m->state_fd);
	if (m->lock_fd < 0) {
		log_error("%s is in use by another gateway (%s)", m->state_path,
			  strerror(-m->lock_fd));
		return m->lock_fd;
	}
	if ((r = earlier_io_wait(m)) < 0)
		return r;
	if ((r = store_key_ensure(m->state_path, m->state_fd, why, sizeof why)) < 0) {
		log_error("%s", why);
		return r;
	}
	if ((r = key_open(m, options)) < 0 || (r = signer_begin(m)) < 0)
		return r;
	r = folder_begin(m, "audit", &m->audit_fd);
	return r < 0 ? r : folder_begin(m, "arbiter", &m->journal_fd);
}

static int policy_begin(struct monitor *m)
{
	OWNED_BY(store_list_free) struct store_list secrets = {0}; /* read once, for all names */
	struct policy_options options = {.messages = stderr,
					 .colour = cli_colour(stderr),
					 .secret_known = store_list_knows,
					 .state = m->state_path,
					 .starts = true,
					 .arg = &secrets};
	struct setup setup = {0};
	char why[512];
	int r = store_list_load(m->state_fd, &secrets, why, sizeof why);

	if (r < 0) {
		log_error("%s", why);
		return r;
	}
	writers_load(m);
	r = policy_load(m->policy_path, &options, &setup.policy);
	m->policy_refused = r == -EINVAL;
	if (r == 0 && (r = setup_prepare(m, &setup)) < 0)
		policy_free(setup.policy);
	else if (r == 0)
		setup_commit(m, &setup);
	return r;
}

/* Descriptors for every session: one that runs out of them in the midst of a grant would harm more
 * than one connection fewer. */
static uint32_t connections_possible(const struct monitor *m)
{
	struct rlimit files;
	rlim_t other = FDS_OTHER + m->policy->disk_count;
	rlim_t want = (rlim_t)m->policy->connections * FDS_PER_SESSION + other;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return m->policy->connections;
	if (m->root && files.rlim_max < want)
		files.rlim_max = want;
	files.rlim_cur = MIN(want, files.rlim_max);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		(void)getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur >= want)
		return m->policy->connections;
	return (uint32_t)((MAX(files.rlim_cur, other + 2 * FDS_PER_SESSION) - other) /
			  FDS_PER_SESSION);
}

static int connections_begin(struct monitor *m)
{
	m->connection_max = connections_possible(m);
	if (m->connection_max < m->policy->connections)
		log_warning("%u connections at once, not the %u of the policy: raise the limit of "
			    "open files (ulimit -n, LimitNOFILE=)",
			    m->connection_max, m->policy->connections);
	m->connections = calloc(m->connection_max, sizeof *m->connections);
	m->trail.next_id = m->trail.sent = 1;
	return m->connections ? 0 : -ENOMEM;
}

/* --- the loop --- */

static void on_tick(struct timer *t)
{
	struct monitor *m = CONTAINER_OF(t, struct monitor, tick);
	char status[128];

	disks_check(m);
	listeners_look(m);
	rings_go_on(m);
	seats_go_on(m);
	arbiter_beat(m);
	trail_tick(m);
	bans_tick(m);
	seen_tick(m);
	ca_tick(m);
	hours_tick(m);
	writers_tick(m);
	checkpoints_tick(m);
	rings_flushed(m);
	(void)snprintf(status, sizeof status, "WATCHDOG=1\nSTATUS=%u sessions, audit %s",
		       m->granted, trail_well(m) ? "well" : "not well");
	notify_send(status);
	loop_timer_set(m->loop, t, clock_ms() + TICK_MS);
}

/* Its mistakes are in the log. */
static void reload_by_signal(struct monitor *m)
{
	const struct reload_request q = {.expect = "", .who = "SIGHUP"};

	json_decref(reload_ask(m, &q));
}

static void on_signal(int signal, void *arg)
{
	if (signal == SIGHUP)
		return reload_by_signal(arg);
	if (signal == SIGTERM || signal == SIGINT)
		monitor_stop(arg, EXIT_DONE);
}

static void serve(struct monitor *m)
{
	struct setup setup = {.policy = m->policy};
	char text[ADDRESS_TEXT];

	if (listeners_prepare(m, &setup) < 0) {
		listeners_undo(&setup);
		monitor_stop(m, EXIT_CANNOT);
		return;
	}
	listeners_commit(m, &setup);
	m->serving = true;
	for (const struct listener *l = m->listeners; l != NULL; l = l->next)
		log_info("portal %s listens on %s", m->policy->portals[l->portal].name,
			 endpoint_format(&l->endpoint, text));
	portals_tls_begin(m);
	log_info("ready");
	notify_send("READY=1");
}

static void say_start(struct monitor *m)
{
	char hash[POLICY_HASH_TEXT];

	policy_hash_text(m->policy, hash);
	trail_say(m, EVENT_START, "start", "sallyport " SALLYPORT_VERSION);
	trail_say(m, EVENT_POLICY, "loaded", "%s sha256 %s", m->policy_path, hash);
	if (m->signer_made)
		trail_say(m, EVENT_START, "signer-made",
			  "checkpoints are signed by a new key from now on");
}

static void stop_progress(struct monitor *m)
{
	if (!m->helpers_told) {
		/* An auditor that died meanwhile is on its way back: it gets the last events. */
		if (!m->left_behind && (m->open > 0 || !m->helpers[HELPER_AUDITOR].ready))
			return;
		m->helpers_told = true;
		trail_say(m, EVENT_STOP, "stop", "%s",
			  m->exit_status ? "it could not serve" : "asked to");
		helpers_stop(m);
	}
	if (helpers_gone(m))
		loop_stop(m->loop);
}

/* Starting: auditor, then everything durable that says so, authenticator, firewall; only then the
 * portals. Stopping: sessions, then the helpers. */
void monitor_progress(struct monitor *m)
{
	struct helper *h = m->helpers;

	if (m->stopping) {
		stop_progress(m);
		return;
	}
	if (m->serving || !h[HELPER_AUDITOR].ready || !h[HELPER_AUTHENTICATOR].ready ||
	    !h[HELPER_ARBITER].ready ||
	    (firewall_is_wanted(m->policy) && !h[HELPER_FIREWALL].ready) ||
	    m->trail.written + 1 < m->trail.next_id)
		return;
	serve(m);
}

/* --- stopping --- */

static void stop_kill_sessions(struct monitor *m)
{
	for (uint32_t k = 0; k < m->connection_max; k++) {
		if (m->connections[k].state != CONN_FREE)
			connection_kill(&m->connections[k], "stopped");
	}
}

/* What hangs in the kernel, or waits for an auditor that does nothing, must not keep us. */
static void stop_leave_sessions(struct monitor *m)
{
	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];

		if (c->state == CONN_FREE)
			continue;
		log_error("stopping without session %u: %s", c->id,
			  c->pid != 0 ? "its process hangs in the kernel"
			  : c->lifeline.fd >= 0
				  ? "its I/O is not over, and may still reach its disks"
				  : "the auditor did not say that its records are durable");
		if (c->attached && c->flush_id == 0)
			ring_detach(c);
	}
	m->left_behind = true;
	monitor_progress(m);
}

static void stop_kill_helpers(struct monitor *m)
{
	helpers_kill(m);
	m->exit_status = EXIT_CANNOT;
}

static void stop_leave_helpers(struct monitor *m)
{
	log_error("stopping without a helper process that hangs in the kernel");
	loop_stop(m->loop);
}

/* After the policy's grace, which begins with the first signal; all is usually over before it. */
static const struct stop_step {
	unsigned at_ms;
	void (*run)(struct monitor *m);
} stop_steps[] = {
	{300, stop_kill_sessions}, /* which have ended by themselves if all is well */
	{800, stop_leave_sessions},
	{1600, stop_kill_helpers},
	{2000, stop_leave_helpers},
};

static void on_stop_step(struct timer *t)
{
	struct monitor *m = CONTAINER_OF(t, struct monitor, stop_timer);
	const struct stop_step *step = &stop_steps[m->stop_step++];

	if (m->stop_step < ARRAY_LEN(stop_steps))
		loop_timer_set(m->loop, t, clock_ms() + step[1].at_ms - step->at_ms);
	step->run(m);
}

void monitor_stop(struct monitor *m, int exit_status)
{
	uint32_t grace_ms = m->policy->grace_ms;
	struct session_logout logout = {.seconds = grace_ms / 1000};
	char told[64];

	if (m->stopping)
		return;
	log_info("stopping: asking %u sessions to log out", m->granted);
	m->stopping = true;
	m->serving = false;
	m->exit_status = exit_status;
	/* systemd's own patience may be shorter than the policy's */
	(void)snprintf(told, sizeof told, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu",
		       (grace_ms + STOP_TAKES_MS) * 1000ull);
	notify_send(told);
	reload_close(m);
	listen_close(m);
	bans_save(m);
	seen_save(m);
	m->stop_timer.run = on_stop_step;
	loop_timer_set(m->loop, &m->stop_timer, clock_ms() + grace_ms + stop_steps[0].at_ms);
	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];

		if (c->state == CONN_GRANTED)
			connection_send(c, SESSION_LOGOUT, &logout, sizeof logout, -1);
		else if (c->state != CONN_FREE && c->state != CONN_ENDING)
			connection_kill(c, "stopped");
	}
	monitor_progress(m);
}

/* --- the process --- */

static int begin(struct monitor *m, const struct monitor_options *options)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0};
	int r;

	if ((r = users_find(m)) < 0 || (r = programs_open(&m->programs)) < 0 ||
	    (r = state_begin(m, options)) < 0 || (r = policy_begin(m)) < 0 ||
	    (r = connections_begin(m)) < 0 || (r = arbiter_open(m)) < 0 ||
	    (r = algorithms_load(m)) < 0)
		return r;
	bans_load(m);
	seen_load(m);
	if (m->root && (r = capabilities_limit(MONITOR_CAPS)) < 0) {
		log_error("capabilities can't be given up: %s", strerror(-r));
		return r;
	}
	if ((r = loop_open(&m->loop)) < 0 ||
	    (r = loop_signals(m->loop, signals, on_signal, m)) < 0 || (r = control_open(m)) < 0) {
		log_error("the event loop or the control socket can't be made: %s", strerror(-r));
		return r;
	}
	say_start(m);
	m->tick.run = on_tick;
	loop_timer_set(m->loop, &m->tick, clock_ms() + TICK_MS);
	checkpoints_reload(m);
	return helpers_start(m);
}

static void end(struct monitor *m)
{
	if (m->control.fd >= 0)
		control_close(m);
	checkpoints_close(m);
	writers_close(m);
	disks_close(m);
	if (m->loop != NULL)
		listen_close(m);
	if (m->loop != NULL)
		loop_close(m->loop);
	fd_close(&m->audit_fd);
	fd_close(&m->journal_fd);
	fd_close(&m->arbiter_page_fd);
	key_close(m);
	signer_end(m);
	algorithms_close(m);
	seen_close(m);
	store_list_free(&m->secrets);
	fd_close(&m->state_fd);
	fd_close(&m->lock_fd);
	free(m->connections);
	free(m->portal_tags);
	portals_tls_free(&m->tls);
	policy_free(m->policy);
}

int monitor_run(const struct monitor_options *options)
{
	static struct monitor m;
	int r;

	m = (struct monitor){.policy_path = options->policy_path,
			     .state_path = options->state_path,
			     .state_fd = -1,
			     .lock_fd = -1,
			     .audit_fd = -1,
			     .journal_fd = -1,
			     .arbiter_page_fd = -1,
			     .algorithms_fd = -1,
			     .key = LOCKED_NONE,
			     .signer = LOCKED_NONE,
			     .keys_page = LOCKED_NONE,
			     .started_ms = clock_ms()};
	m.control.fd = -1;
	if (!AUDIT_IS_BUILT)
		log_error("THIS BUILD RECORDS NO COMMANDS: it is for measuring what the audit "
			  "costs, and not for serving");
	notify_open();
	r = begin(&m, options);
	if (r == 0)
		r = loop_run(m.loop);
	if (r < 0)
		m.exit_status = m.policy_refused ? EXIT_NO : EXIT_CANNOT;
	end(&m);
	return m.exit_status;
}

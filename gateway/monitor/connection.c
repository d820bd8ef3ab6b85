/* One connection and its session process: started when the first byte is there,
 * listened to through a table, over when its process is reaped, its lifeline is
 * closed and the auditor has drained its ring. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "auth/auth.h"
#include "backends/backend.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/state.h"
#include "gateway/monitor/bans.h"
#include "gateway/monitor/ca.h"

#define LOGIN_GRACE_MS 2000 /* the session has the login timer; this one has the session */
#define MESSAGES_MAX   (POLICY_LUNS_MAX + 16) /* of one session: each LUN may fail once */
#define MESSAGES_JOIN  2		      /* more: one that joins comes, and goes */

struct connection *connection_find(struct monitor *m, uint32_t id)
{
	struct connection *c = &m->connections[id % m->connection_max];

	return c->id == id && c->state != CONN_FREE ? c : NULL;
}

void connection_timer(struct connection *c, uint64_t wait_ms, void (*run)(struct timer *t))
{
	c->timer.run = run;
	loop_timer_set(c->m->loop, &c->timer, clock_ms() + wait_ms);
}

static void watch_end(struct connection *c, struct watch *w)
{
	if (w->fd < 0)
		return;
	loop_unwatch(c->m->loop, w);
	fd_close(&w->fd);
}

static bool is_login(const struct connection *c)
{
	return c->state == CONN_ASKING || c->state == CONN_LOGIN || c->state == CONN_PERMITTED ||
	       c->state == CONN_ENTERING;
}

static void count(struct connection *c, uint32_t one)
{
	c->m->queued += c->state == CONN_WAITING && c->readable ? one : 0;
	c->m->logins += is_login(c) ? one : 0;
	c->m->entering += c->state == CONN_ENTERING ? one : 0;
	c->m->granted += c->state == CONN_GRANTED ? one : 0;
}

void connection_become(struct connection *c, enum connection_state state)
{
	count(c, UINT32_MAX); /* one less */
	c->state = state;
	count(c, 1);
}

void connection_free(struct connection *c)
{
	struct monitor *m = c->m;

	loop_timer_clear(m->loop, &c->timer);
	watch_end(c, &c->socket);
	watch_end(c, &c->process);
	watch_end(c, &c->lifeline);
	if (c->messages.fd >= 0) {
		loop_unwatch(m->loop, &c->messages);
		channel_close(&c->channel);
	}
	fd_close(&c->ring_fd);
	fd_close(&c->page_fd);
	fd_close(&c->own_fd);
	fd_close(&c->kept_fd);
	free(TAKE(c->join));
	if (c->tls != NULL)
		free(c->tls->enrol);
	free(TAKE(c->tls));
	free(TAKE(c->luns));
	c->lun_count = 0;
	connection_become(c, CONN_FREE);
	m->open--;
	if (m->disks_leaving > 0)
		seats_go_on(m);
	listen_admit(m);
	monitor_progress(m);
}

/* --- its end --- */

/* What a process does to itself, not what others do to it. */
static bool is_fault(int status)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};

	for (size_t k = 0; k < ARRAY_LEN(faults); k++) {
		if (WIFSIGNALED(status) && WTERMSIG(status) == faults[k])
			return true;
	}
	return false;
}

static void record_end(struct connection *c, int status)
{
	bool login = c->state != CONN_GRANTED && c->event_id == 0;
	bool crashed = is_fault(status) && c->ended[0] == '\0';
	struct audit_event e;

	if (WIFSIGNALED(status) && c->ended[0] == '\0') {
		(void)snprintf(c->ended, sizeof c->ended, "killed-by-signal-%d", WTERMSIG(status));
		log_error("session %u was ended by signal %d%s", c->id, WTERMSIG(status),
			  WTERMSIG(status) == SIGSYS ? ", its system-call filter" : "");
	}
	if (ca_has_joined(c) && !crashed)
		return; /* that is all that it came for */
	if (!login) {
		event_from_connection(&e, EVENT_LOGOUT, c);
		(void)string_copy(e.reason, sizeof e.reason, c->ended[0] ? c->ended : "ended");
		(void)snprintf(e.detail, sizeof e.detail,
			       "commands %llu, octets read %llu, octets written %llu",
			       (unsigned long long)c->commands, (unsigned long long)c->read_bytes,
			       (unsigned long long)c->written_bytes);
		proxied_tell(c, e.detail, sizeof e.detail);
		(void)trail_put(c->m, &e);
	} else if (!c->refused && !proxied_only_looked(c)) {
		(void)trail_refusal(c->m, c, c->ended[0] ? c->ended : "left", c->detail);
	}
	/* What a session says of its end is about a peer that has logged in; what it did to us
	 * counts then, too. */
	if (crashed || (!c->refused && (login || !c->reported)))
		(void)bans_failure(c->m, c, crashed ? "crashed" : c->ended);
}

/* Process reaped, lifeline closed: nothing of it can reach a disk any more. */
static void end_if_over(struct connection *c)
{
	struct monitor *m = c->m;

	if (c->pid != 0 || c->lifeline.fd >= 0)
		return;
	grants_release(c);
	seat_leave(c);
	entries_go_on(m);
	if (c->attached)
		ring_detach(c); /* freed when the auditor has all of it */
	else
		connection_free(c);
}

static void on_process(struct watch *w, uint32_t ready)
{
	struct connection *c = CONTAINER_OF(w, struct connection, process);
	int status = 0;

	(void)ready;
	connection_drain(c); /* its last words */
	/* What it heard from the authenticator, we are told, too: a wrong secret counts even when
	 * who gave it has left. */
	if (c->claimed && !c->judged)
		helper_drain(&c->m->helpers[HELPER_AUTHENTICATOR]);
	(void)waitpid(c->pid, &status, 0);
	c->pid = 0;
	fd_close(&c->kept_fd); /* or the peer would not see the end */
	watch_end(c, &c->process);
	loop_timer_clear(c->m->loop, &c->timer);
	record_end(c, status);
	connection_become(c, CONN_ENDING);
	limits_share(c);
	end_if_over(c);
}

static void on_lifeline(struct watch *w, uint32_t ready)
{
	struct connection *c = CONTAINER_OF(w, struct connection, lifeline);

	if (!(ready & EPOLLHUP))
		return;
	watch_end(c, &c->lifeline);
	end_if_over(c);
}

void connection_kill(struct connection *c, const char *why)
{
	if (c->ended[0] == '\0')
		(void)string_copy(c->ended, sizeof c->ended, why);
	if (c->pid != 0)
		(void)kill(c->pid, SIGKILL);
	else if (c->state == CONN_WAITING || c->state == CONN_ASKING)
		connection_free(c);
}

static void on_grace_over(struct timer *t)
{
	connection_kill(CONTAINER_OF(t, struct connection, timer), "did-not-end");
}

/* It ends by itself when its time is over; by force, if it does not. */
void connection_ask_out(struct connection *c, const char *why)
{
	uint32_t grace_ms = c->m->policy->grace_ms;
	struct session_logout logout = {.seconds = grace_ms / 1000};

	(void)string_copy(c->ended, sizeof c->ended, why);
	connection_send(c, SESSION_LOGOUT, &logout, sizeof logout, -1);
	connection_timer(c, grace_ms + 500, on_grace_over);
}

/* That it is about to end may be its own word: it is not believed before its process is over. */
bool connection_leaves(const struct connection *c)
{
	return c->ended[0] != '\0' && (!c->reported || c->timer.at_ms != 0);
}

static void on_login_too_long(struct timer *t)
{
	connection_kill(CONTAINER_OF(t, struct connection, timer), "login-timeout");
}

/* --- what the session says --- */

static void on_claim(struct connection *c, const struct message *msg)
{
	if (c->state != CONN_LOGIN || c->judged || c->behind.due)
		return connection_kill(c, "claim-out-of-turn");
	memcpy(&c->claim, msg->body, sizeof c->claim);
	c->claim.initiator[sizeof c->claim.initiator - 1] = '\0';
	c->claim.target[sizeof c->claim.target - 1] = '\0';
	c->claimed = true;
	if (policy_is_decoy(c->m->policy, c->claim.initiator))
		bans_decoy(c, c->claim.initiator);
	else if (!c->claim.discovery && policy_is_decoy(c->m->policy, c->claim.target))
		bans_decoy(c, c->claim.target);
}

static void on_enter(struct connection *c, const struct message *msg)
{
	(void)msg;
	if (c->state != CONN_PERMITTED || c->claim.tsih != 0)
		return connection_kill(c, "enter-out-of-turn");
	connection_become(c, CONN_ENTERING);
	entry_enter(c);
}

/* As ENTER; what its core says is for the session that it joins. */
static void on_join(struct connection *c, const struct message *msg)
{
	if (c->state != CONN_PERMITTED || c->claim.tsih == 0)
		return connection_kill(c, "join-out-of-turn");
	c->join = malloc(sizeof *c->join);
	if (c->join == NULL)
		return connection_kill(c, "no-memory");
	memcpy(c->join, msg->body, sizeof *c->join);
	connection_become(c, CONN_ENTERING);
	entry_enter(c);
}

/* How the session says that it ended. In a login, it may count against the source
 * (auth/penalties.c). */
static const char *const ends[SESSION_ENDS] = {
	[SESSION_END_LOGOUT] = "logout",
	[SESSION_END_LEFT] = "left",
	[SESSION_END_LEFT_AFTER_PROOF] = "our-mutual-proof-was-not-accepted",
	[SESSION_END_MALFORMED] = "malformed",
	[SESSION_END_LOGIN_TIMEOUT] = "login-timeout",
	[SESSION_END_REFUSED] = "refused",
	[SESSION_END_DIGEST] = "digest-error",
	[SESSION_END_SILENT] = "silent",
	[SESSION_END_TOLD] = "told-to-end",
	[SESSION_END_FAILED] = "failed",
	[SESSION_END_UNAVAILABLE] = "unavailable",
	[SESSION_END_TLS] = "tls",
	[SESSION_END_PROXY_MISSING] = "proxy-header-missing",
	[SESSION_END_PROXY_MALFORMED] = "proxy-header-malformed",
	[SESSION_END_PROXY_STRANGER] = "proxy-header-from-a-stranger",
};

/* The reason of a TLS connection's end is the first word of what its session says: one of
 * tls_reason_name(), if that is honest; letters, if it is not. */
static bool tls_reason_take(struct connection *c, const char *detail)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t len = strspn(detail, letters);

	if (strncmp(detail, "tls-", 4) != 0 || len >= sizeof c->ended ||
	    (detail[len] != '\0' && detail[len] != ':'))
		return false;
	memcpy(c->ended, detail, len);
	c->ended[len] = '\0';
	detail += len + strspn(detail + len, ": ");
	(void)string_copy(c->detail, sizeof c->detail, detail);
	return true;
}

/* The first is made before the session reads from the network, and says what its sandbox is; the
 * second, what ended it. The effect waits for the end of the process: a verdict may be on its way,
 * and says more. */
static void on_report(struct connection *c, const struct message *msg)
{
	struct session_report report;

	memcpy(&report, msg->body, sizeof report);
	report.detail[sizeof report.detail - 1] = '\0';
	if (c->heard == 1 && report.end == SESSION_END_INVALID)
		session_layers_take(c, report.sandbox_layers);
	if (c->reported || report.end == SESSION_END_INVALID || report.end >= SESSION_ENDS)
		return;
	c->reported = true;
	c->logged_out = report.end == SESSION_END_LOGOUT;
	c->commands = report.commands;
	c->read_bytes = report.read_bytes;
	c->written_bytes = report.written_bytes;
	if (report.end == SESSION_END_TLS && c->ended[0] == '\0' && coverage_permits(c) &&
	    tls_reason_take(c, report.detail))
		return;
	if (coverage_permits(c))
		(void)string_copy(c->detail, sizeof c->detail, report.detail);
	if (c->ended[0] == '\0')
		(void)string_copy(c->ended, sizeof c->ended, ends[report.end]);
}

/* What it makes of a peer counts against that peer, as it does at the end of a process. */
static void on_refusing(struct connection *c, const struct message *msg)
{
	struct session_report report;

	memcpy(&report, msg->body, sizeof report);
	report.detail[sizeof report.detail - 1] = '\0';
	if (!is_login(c) ||
	    (report.end != SESSION_END_REFUSED && report.end != SESSION_END_UNAVAILABLE))
		return connection_kill(c, "refuses-out-of-turn");
	if (!c->refused)
		entry_refuse(c, 0, c->ended[0] ? c->ended : ends[report.end],
			     coverage_permits(c) ? report.detail : c->detail);
}

/* For people: that its disk failed for everybody, the arbiter says. Believed of a LUN alone that
 * the session may write. */
static void on_lun_failed(struct connection *c, const struct message *msg)
{
	struct session_lun_failed failed;
	struct monitor_disk *d;

	memcpy(&failed, msg->body, sizeof failed);
	if (c->state != CONN_GRANTED || c->claim.discovery || failed.error < 1 ||
	    failed.error > ERRNO_MAX)
		return;
	for (size_t k = 0; k < c->lun_count; k++) {
		d = c->m->disks[c->luns[k].row];
		if (c->luns[k].lun != failed.lun || !c->luns[k].counted || d->said == failed.error)
			continue;
		d->said = failed.error;
		log_warning("session %u says that disk %s failed: %s", c->id, d->policy.name,
			    strerror(failed.error));
		trail_say(c->m, EVENT_DISK, "told", "disk %s: %s, told by session %u",
			  d->policy.name, strerror(failed.error), c->id);
	}
}

static void on_connections(struct connection *c, const struct message *msg)
{
	struct session_connections body;

	memcpy(&body, msg->body, sizeof body);
	c->connections = body.count;
}

static void (*const handlers[])(struct connection *c, const struct message *msg) = {
	[SESSION_CLAIM] = on_claim,
	[SESSION_ENTER] = on_enter,
	[SESSION_JOIN] = on_join,
	[SESSION_REPORT] = on_report,
	[SESSION_REFUSING] = on_refusing,
	[SESSION_LUN_FAILED] = on_lun_failed,
	[SESSION_CONNECTIONS] = on_connections,
	[SESSION_CERTIFICATE] = connection_tls_said,
	[SESSION_PROXIED] = proxied_take,
};

static bool says_too_much(const struct connection *c)
{
	return c->heard > MESSAGES_MAX + MESSAGES_JOIN * c->joined;
}

void connection_drain(struct connection *c)
{
	struct message msg;
	int r = 0;

	while (c->messages.fd >= 0 && r >= 0 && (r = channel_receive(&c->channel, &msg)) > 0) {
		c->heard++;
		if (says_too_much(c))
			connection_kill(c, "says-too-much");
		else
			handlers[msg.type](c, &msg);
		message_close_fds(&msg);
		r = says_too_much(c) ? -EPROTO : 0;
	}
	if (r < 0 && c->messages.fd >= 0) {
		if (r == -EPROTO)
			connection_kill(c, "broke-its-channel");
		else if (c->pid != 0) /* over, or deaf: what it did by itself is in its status */
			(void)kill(c->pid, SIGKILL);
		loop_unwatch(c->m->loop, &c->messages);
		channel_close(&c->channel);
		c->messages.fd = -1;
	}
}

static void on_messages(struct watch *w, uint32_t ready)
{
	(void)ready;
	connection_drain(CONTAINER_OF(w, struct connection, messages));
}

void connection_send(struct connection *c, uint32_t type, const void *body, size_t size, int fd)
{
	int r = channel_send(&c->channel, type, body, size, &fd, fd >= 0 ? 1 : 0);

	if (r < 0 && r != -EPIPE)
		connection_kill(c, "does-not-read");
}

/* --- its beginning --- */

/* Both ends of everything that a session has from its start. */
struct beginning {
	int channel[2], auth[2], lifeline[2], page, arbiter;
};

static void beginning_close(struct beginning *b)
{
	int *fds[] = {&b->channel[0],  &b->channel[1],	&b->auth[0], &b->auth[1],
		      &b->lifeline[0], &b->lifeline[1], &b->page,    &b->arbiter};

	for (size_t k = 0; k < ARRAY_LEN(fds); k++)
		fd_close(fds[k]);
}

/* The lifeline: a socket pair whose far end the session's I/O keeps open. On its way to that end,
 * and never received, is a descriptor that holds the lock of all I/O: so the lock lasts as long as
 * the end does, even when nobody of this gateway lives. */
static int lifeline_make(const struct monitor *m, int ret_ends[2])
{
	OWNED_FD lock = state_io_lock(m->state_fd, false);
	char control[CMSG_SPACE(sizeof lock)] = {0}, octet = 0;
	struct iovec iov = {&octet, sizeof octet};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof control};
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);

	if (lock < 0)
		return lock;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_ends) < 0)
		return -errno;
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof lock);
	memcpy(CMSG_DATA(h), &lock, sizeof lock);
	return sendmsg(ret_ends[0], &msg, MSG_NOSIGNAL) == 1 ? 0 : -EIO;
}

static int beginning_make(struct connection *c, struct beginning *b)
{
	struct helper *auth = &c->m->helpers[HELPER_AUTHENTICATOR];
	struct auth_connection known = {.connection = c->id,
					.deadline_ms = c->m->policy->login_timeout_ms};
	int r = connection_tls_make(c);

	if (r < 0)
		return r;
	known.identity = connection_tls_identity(c);
	if ((r = ring_make(c)) < 0 || (r = seat_make(c)) < 0 ||
	    (r = channel_pair(b->channel)) < 0 || (r = channel_pair(b->auth)) < 0)
		return r;
	if ((r = lifeline_make(c->m, b->lifeline)) < 0)
		return r;
	b->page = fd_reopen(c->page_fd, O_RDONLY);
	if (b->page < 0)
		return b->page;
	b->arbiter = fd_reopen(c->m->arbiter_page_fd, O_RDONLY);
	if (b->arbiter < 0)
		return b->arbiter;
	/* Without an authenticator the session sees a closed channel, and answers 0301h. */
	if (auth->ready && coverage_permits(c) &&
	    helper_send(auth, AUTH_CONNECTION, &known, sizeof known, b->auth[1]) < 0)
		log_warning("the authenticator does not take connection %u", c->id);
	return 0;
}

static int session_start(struct connection *c, struct beginning *b)
{
	struct monitor *m = c->m;
	char largest[24];
	struct child child = {
		.role = "session",
		.argument = largest,
		.program = c->tls != NULL ? m->programs.session_tls : m->programs.session,
		.fds = {b->channel[1], c->socket.fd, b->auth[0], b->lifeline[1], c->ring_fd,
			b->page, b->arbiter, c->own_fd},
		.fd_count = SESSION_FDS,
		.uid = m->net_uid,
		.gid = m->net_gid,
		.dies_with_parent = true,
	};

	(void)snprintf(largest, sizeof largest, "%llu", (unsigned long long)m->largest_disk);
	c->pid = child_start(&child, &c->process.fd);
	if (c->pid < 0) {
		int r = c->pid;

		c->pid = 0;
		return r;
	}
	return 0;
}

static int watch_session(struct connection *c, struct beginning *b)
{
	static const struct message_spec *const says = session_outbox;
	int r;

	channel_open(&c->channel, fd_take(&b->channel[0]), says, session_outbox_len);
	c->messages = (struct watch){.fd = c->channel.fd, .events = EPOLLIN, .run = on_messages};
	/* Only its end is told: octets in it prove nothing, and a session may write them. */
	c->lifeline = (struct watch){.fd = fd_take(&b->lifeline[0]), .run = on_lifeline};
	c->process.events = EPOLLIN;
	c->process.run = on_process;
	if ((r = loop_watch(c->m->loop, &c->messages)) < 0 ||
	    (r = loop_watch(c->m->loop, &c->lifeline)) < 0)
		return r;
	return loop_watch(c->m->loop, &c->process);
}

static const enum engine_kind engines[] = {
	[POLICY_IO_AUTO] = ENGINE_AUTO,
	[POLICY_IO_URING] = ENGINE_URING,
	[POLICY_IO_THREADS] = ENGINE_THREADS,
};

int connection_begin(struct connection *c)
{
	struct monitor *m = c->m;
	struct session_start start = {
		.connection = c->id,
		.login_timeout_ms = m->policy->login_timeout_ms,
		.peer = c->peer,
		.local = c->local,
		.portal_group = c->portal_tag,
		.io = engines[m->policy->io],
		.flags = c->behind.due ? SESSION_START_PROXIED : 0,
	};
	struct beginning b = {{-1, -1}, {-1, -1}, {-1, -1}, -1, -1};
	int r;

	loop_unwatch(m->loop, &c->socket);
	r = beginning_make(c, &b);
	if (r == 0)
		r = session_start(c, &b);
	if (r == 0)
		r = watch_session(c, &b);
	beginning_close(&b);
	c->kept_fd = fd_take(&c->socket.fd);
	if (r < 0 && c->pid != 0) { /* it has done nothing yet, and nobody would hear of its end */
		(void)kill(c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
		c->pid = 0;
	}
	if (r < 0)
		return r;
	connection_become(c, CONN_LOGIN);
	connection_timer(c, m->policy->login_timeout_ms + LOGIN_GRACE_MS, on_login_too_long);
	start.flags |= c->tls != NULL ? SESSION_START_TLS : 0;
	connection_send(c, SESSION_START, &start, sizeof start, -1);
	connection_tls_tell(c);
	return 0;
}

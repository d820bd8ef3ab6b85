/* The life of a session process: map the audit ring, make the I/O engine, close the
 * sandbox, and only then read the first octet from the network. It ends when its
 * connection is over and all its I/O with it. */
#include <stdio.h>
#include <sys/socket.h>
#include "gateway/base/bytes.h"
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "gateway/session/session.h"

#define FILES_LIMIT    (2 * BACKENDS_MAX + 32)
#define MEMORY_LIMIT   (512ull << 20)
#define LAST_WORDS_MS  2000 /* for the peer to take what we still have to say */
#define PING_EVERY_MS  15000
#define ENGINE_REAP_MS 2
#define IO_TURNS       16
#define REST_AFTER_MS  5000 /* without a command */
#define PING_MISSES    3

/* Before the monitor has permitted anything: what it permits comes on top. */
static const struct iscsi_limits limits = {
	.max_recv_segment = 262144,
	.max_burst = 4194304,
	.first_burst = ISCSI_CHUNK_SIZE,
	.max_r2t = 16,
	.queue_depth = ISCSI_WINDOW_MAX,
	.initial_r2t = false,
	.immediate_data = true,
	.header_digest = true,
	.data_digest = true,
	.max_connections = 1,
	.time2wait = 2,
	.time2retain = 20,
	.ping_every_ms = PING_EVERY_MS,
	.ping_misses = PING_MISSES,
};

static const struct iscsi_host host_ops = {
	.names = host_names,
	.chap_offer = host_chap_offer,
	.chap_proof = host_chap_proof,
	.enter = host_enter,
	.command = host_command,
	.data_arrived = host_data_arrived,
	.buffer_ready = host_buffer_ready,
	.cancel = host_cancel,
	.finished = host_finished,
	.manage = host_manage,
	.spread = host_spread,
	.lun_exists = host_lun_exists,
	.attention = host_attention,
	.room = host_room,
	.send_targets = host_send_targets,
};

void session_tell(struct session *s, uint32_t type, const void *body, size_t size)
{
	if (channel_send(&s->monitor, type, body, size, NULL, 0) < 0)
		_exit(0); /* the monitor is gone or does not listen: nothing can be granted */
}

/* --- the end --- */

void session_report(struct session *s, uint32_t type, enum session_end end, const char *detail)
{
	struct session_report body = {
		.end = end,
		.sandbox_layers = (uint32_t)s->layers,
		.commands = s->command_count,
		.read_bytes = s->read_bytes,
		.written_bytes = s->written_bytes,
	};

	(void)string_copy(body.detail, sizeof body.detail, detail);
	session_tell(s, type, &body, sizeof body);
}

static void report(struct session *s)
{
	session_report(s, SESSION_REPORT, s->end, s->end_detail);
}

static void on_last_words_over(struct timer *t)
{
	transports_leave(CONTAINER_OF(t, struct session, end_timer));
}

void session_end(struct session *s, enum session_end end, const char *detail)
{
	if (s->ending)
		return;
	s->ending = true;
	s->end = end;
	(void)string_copy(s->end_detail, sizeof s->end_detail, detail);
	loop_timer_clear(s->loop, &s->login_timer);
	s->end_timer.run = on_last_words_over;
	loop_timer_set(s->loop, &s->end_timer, clock_ms() + LAST_WORDS_MS);
}

/* A medium that is being formatted or sanitized is done with first, unless we were told to end: who
 * logs in again in our place tells us so, through the monitor. */
static void stop_operations(struct session *s)
{
	if (s->end == SESSION_END_TOLD || s->end == SESSION_END_FAILED)
		scsi_operations_stop(&s->nexus);
}

/* Everything said, everything over: the loop ends. */
static void stop_if_over(struct session *s)
{
	if (!s->ending && iscsi_is_over(s->iscsi))
		session_end(s, s->last_end, s->last_detail);
	if (!s->ending || transports_open(s))
		return;
	if (!s->cancelled) {
		iscsi_cancel_all(s->iscsi);
		host_manage_drop(s);
		host_arbiter_drop(s);
		stop_operations(s);
	}
	s->cancelled = true;
	if (iscsi_tasks_running(s->iscsi) == 0 && engine_in_flight(s->engine) == 0 &&
	    !scsi_operates(&s->nexus)) {
		host_arbiter_leave(s);
		loop_stop(s->loop);
	}
}

/* For who looks at the list of sessions. The end of all of them is in the report. */
static void tell_connections(struct session *s)
{
	struct session_connections body = {.count = iscsi_connections(s->iscsi)};

	if (!s->granted || s->ending || body.count == s->connections)
		return;
	s->connections = body.count;
	session_tell(s, SESSION_CONNECTIONS, &body, sizeof body);
}

/* --- a turn of the loop --- */

static void on_tick(struct timer *t)
{
	struct session *s = CONTAINER_OF(t, struct session, tick_timer);

	iscsi_tick(s->iscsi, loop_now_ms(s->loop));
}

static void set_tick(struct session *s)
{
	uint64_t at = s->ending ? 0 : iscsi_next_tick(s->iscsi);

	if (at == s->tick_timer.at_ms)
		return;
	if (at == 0)
		loop_timer_clear(s->loop, &s->tick_timer);
	else
		loop_timer_set(s->loop, &s->tick_timer, at);
}

/* It has had no command since the timer was set: what those before it have used is given back. */
static void on_rest(struct timer *t)
{
	struct session *s = CONTAINER_OF(t, struct session, rest_timer);

	if (s->command_count == s->watched_count && iscsi_tasks_running(s->iscsi) == 0) {
		s->rested_count = s->watched_count;
		iscsi_rest(s->iscsi);
	}
}

static void set_rest(struct session *s)
{
	if (s->rest_timer.at_ms != 0 || s->command_count == s->rested_count)
		return;
	s->watched_count = s->command_count;
	loop_timer_set(s->loop, &s->rest_timer, loop_now_ms(s->loop) + REST_AFTER_MS);
}

/* An auditor that only stands still closes nothing and tells nothing: whoever waits for it is
 * looked at again after its patience. */
static void on_audit_patience(struct timer *t)
{
	struct session *s = CONTAINER_OF(t, struct session, audit_timer);

	s->nexus.now_ms = loop_now_ms(s->loop);
	s->nexus.now_us = clock_us();
	host_audit_moved(s);
}

/* False: there is more, and nothing will wake us for it. */
static bool io_turn(struct session *s)
{
	engine_flush(s->engine);
	s->nexus.now_us = clock_us();
	(void)engine_reap(s->engine);
	host_backends_turn(s);
	host_arbiter_turn(s);
	if (!s->ending)
		iscsi_room_changed(s->iscsi);
	do { /* what was sent may have ended tasks, and what starts may be answered at once */
		transports_turn(s);
	} while (host_start_waiting(s) || scsi_buffers_turn(&s->nexus));
	engine_flush(s->engine); /* for who waited for a buffer that was sent */
	return engine_reap(s->engine) == 0;
}

/* A command in many pieces, all of which are there at once, leaves the sockets and timers their
 * turn in between. */
static void io_turns(struct session *s)
{
	for (unsigned n = 0; n < IO_TURNS; n++)
		if (io_turn(s))
			return;
	loop_timer_set(s->loop, &s->engine_timer, loop_now_ms(s->loop));
}

/* A window that the full ring has shut opens when the auditor has taken records, of which nobody
 * else tells us once the last answer is out. What it took while we asked it does not tell. */
static void await_room(struct session *s)
{
	if (host_room(s) > 0 || iscsi_tasks_running(s->iscsi) > 0)
		return;
	(void)audit_ring_ask_written(&s->ring);
	if (host_room(s) > 0)
		loop_timer_set(s->loop, &s->engine_timer, loop_now_ms(s->loop));
}

static void on_turn(void *arg)
{
	struct session *s = arg;

	if (s->iscsi == NULL)
		return;
	s->nexus.now_ms = loop_now_ms(s->loop);
	s->nexus.wall_ns = clock_wall_ns(); /* for what became of commands that ran */
	io_turns(s);
	host_arbiter_say(s);
	set_tick(s);
	set_rest(s);
	host_limits_wake(s);
	if (s->audit_timer.at_ms == 0 &&
	    (iscsi_tasks_running(s->iscsi) > 0 || s->managed_count > 0))
		loop_timer_set(s->loop, &s->audit_timer, loop_now_ms(s->loop) + AUDIT_PATIENCE_MS);
	if (s->engine_timer.at_ms == 0 && engine_is_behind(s->engine))
		loop_timer_set(s->loop, &s->engine_timer, loop_now_ms(s->loop) + ENGINE_REAP_MS);
	stop_if_over(s);
	tell_connections(s);
	await_room(s);
	audit_ring_wake(&s->ring);
}

/* on_turn() reaps. */
static void on_engine(struct watch *w, uint32_t ready)
{
	(void)w;
	(void)ready;
}

static void on_engine_behind(struct timer *t)
{
	(void)t;
}

static void on_login_too_long(struct timer *t)
{
	struct session *s = CONTAINER_OF(t, struct session, login_timer);

	bool ours = s->asked || (s->have_result && !s->permitted);

	if (s->tls)
		s->tls_ops->too_long(s);
	transports_leave(s);
	session_end(s, ours ? SESSION_END_UNAVAILABLE : SESSION_END_LOGIN_TIMEOUT, "");
}

static void on_lun_failed(void *host, const struct scsi_lun *lun, int error, uint64_t lba)
{
	struct session *s = host;
	struct session_lun_failed body = {
		.lun = lun->number, .error = error < 0 ? -error : error, .lba = lba};

	session_tell(s, SESSION_LUN_FAILED, &body, sizeof body);
}

/* --- the beginning --- */

/* All that needs a right which the sandbox takes away. */
static int before_sandbox(struct session *s)
{
	static const struct sandbox box = {.profile = SANDBOX_SESSION, .folder_fd = -1};
	int ring = SESSION_FD_RING, page = SESSION_FD_PAGE, r;
	int shared = SESSION_FD_ARBITER, own = SESSION_FD_OWN;

	if (!process_fds_are(SESSION_FDS))
		return -EBADF;
	r = audit_ring_attach(&s->ring, ring, page, -1);
	if (r == 0)
		r = arbiter_view_map(&s->arbiter, shared, own);
	fd_close(&ring);
	fd_close(&page);
	fd_close(&shared);
	fd_close(&own);
	if (r < 0)
		return r;
	if ((r = loop_open(&s->loop)) < 0 || (r = host_watch(s)) < 0)
		return r;
	r = loop_run(s->loop); /* until SESSION_START has come, and SESSION_TLS if that follows */
	if (r == 0 && (s->start.flags & SESSION_START_TLS) && !s->tls)
		r = -EINVAL;
	/* before the engine's threads are made, which would be outside of it */
	if (r < 0 || (r = sandbox_confine(&box)) < 0)
		return r;
	return engine_open(s->start.io, ISCSI_TASKS_MAX, SESSION_FD_LIFELINE, &s->engine);
}

static int close_sandbox(struct session *s, const char *largest_disk)
{
	struct sandbox box = {
		.profile = SANDBOX_SESSION,
		.folder_fd = -1,
		.memory_limit = MEMORY_LIMIT,
		.files_limit = FILES_LIMIT,
		.file_size_may_rise = true, /* a disk may grow */
	};

	if (number_parse(largest_disk, 0, UINT64_MAX, &box.file_size_limit) < 0)
		return -EINVAL;
	s->layers = sandbox_enter(&box);
	if (s->layers >= 0 && engine_kind(s->engine) == ENGINE_URING)
		s->layers |= SANDBOX_HAS_URING_RESTRICTED;
	if (s->layers >= 0 && engine_short_of(s->engine) != 0)
		s->layers |= SANDBOX_URING_IS_SHORT;
	return s->layers;
}

static int begin(struct session *s)
{
	int r;

	s->nexus.ring = &s->ring;
	s->nexus.arbiter = &s->arbiter;
	s->arbiter.me = s->start.connection;
	s->nexus.host = s;
	s->nexus.lun_failed = on_lun_failed;
	s->nexus.end_tasks = host_end_tasks;
	if ((r = scsi_nexus_open(&s->nexus, ISCSI_TASKS_MAX)) < 0)
		return r;
	s->limits = limits;
	r = iscsi_open(&s->limits, (uint16_t)s->start.portal_group, &host_ops, s, &s->iscsi);
	if (r < 0)
		return r;
	s->leading = iscsi_leading(s->iscsi);
	s->engine_watch = (struct watch){
		.fd = engine_poll_fd(s->engine), .events = EPOLLIN, .run = on_engine};
	s->tick_timer.run = on_tick;
	s->rest_timer.run = on_rest;
	s->audit_timer.run = on_audit_patience;
	s->engine_timer.run = on_engine_behind;
	s->login_timer.run = on_login_too_long;
	loop_timer_set(s->loop, &s->login_timer,
		       clock_ms() +
			       (s->tls ? s->tls_ops->patience_ms(s) : s->start.login_timeout_ms));
	loop_each_turn(s->loop, on_turn, s);
	/* only now: a channel whose other end is gone already refuses the login of s->iscsi */
	if ((r = loop_watch(s->loop, &s->engine_watch)) < 0 ||
	    (r = loop_watch(s->loop, &s->auth_watch)) < 0)
		return r;
	return first_open(s);
}

static int session_main(const char *largest_disk, const struct tls_ops *tls)
{
	static struct session s;
	char role[32];
	int r;

	s.tls_ops = tls;
	if ((r = before_sandbox(&s)) < 0) {
		log_error("a session could not start: %s", strerror(-r));
		return 3;
	}
	(void)snprintf(role, sizeof role, "session %u", s.start.connection);
	log_start(role);
	if ((r = close_sandbox(&s, largest_disk)) < 0) {
		log_error("the sandbox can't be closed: %s; no byte is read without it",
			  strerror(-r));
		return 3;
	}
	report(&s); /* which layers are in force */
	if ((r = begin(&s)) == 0)
		r = loop_run(s.loop);
	if (r == 0) /* nothing runs any more; what was counted is still to be recorded */
		scsi_nexus_close(&s.nexus);
	if (r < 0) {
		log_error("it failed: %s", strerror(-r));
		s.end = SESSION_END_FAILED;
	}
	report(&s);
	return r < 0 ? 3 : 0;
}

int session_program(int argc, char **argv, const struct tls_ops *tls)
{
	if (argc != 4 || strcmp(argv[1], "internal") != 0 || strcmp(argv[2], "session") != 0) {
		fprintf(stderr, "%s is started by `sallyport run`\n", argv[0]);
		return 2;
	}
	log_start("session");
	if (process_harden() < 0)
		return 3;
	return session_main(argv[3], tls);
}

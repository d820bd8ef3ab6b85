/* The auditor process: its channel with the monitor, and its end. Holds the audit
 * folder; no network. Trusts the monitor and nothing else: rings are written by sessions,
 * files may be damaged. It outlives its monitor until what the sessions did is on the disk. */
#include "gateway/audit/auditor.h"

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include "gateway/audit/commit.h"
#include "gateway/audit/keys.h"
#include "gateway/audit/space.h"
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/base/loop.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"

#define CHANNEL_FD PROCESS_FD_FIRST
#define FOLDER_FD  (PROCESS_FD_FIRST + 1)
#define LOCK_FD	   (PROCESS_FD_FIRST + 2)
#define SIGNER_FD  (PROCESS_FD_FIRST + 3)
#define KEYS_FD	   (PROCESS_FD_FIRST + 4)

#define END_PATIENCE_MS 5000u
#define STATUS_MS	1000u
#define STACK_MAX	16384 /* that making a key may have used */
#define MESSAGES_A_TURN 64
#define FILES_MAX	(DRAIN_RINGS_MAX + 64)
#define FILE_SIZE_MAX	(UINT64_C(256) << 20) /* segments are begun at 64 MiB */

struct auditor {
	struct loop *loop;
	struct channel channel;
	struct watch monitor;
	struct timer deadline, status;
	struct syncer syncer;
	struct commit commit;
	struct resume resume;
	struct keys *keys;
	struct space space;
	enum segment_end ending;
	bool ready_told;
	bool hung_up;	       /* the monitor is gone; what it sent may not be read yet */
	uint64_t sign_id;      /* the flush before whose answer checkpoints are made; 0: none */
	uint64_t event_told;   /* the monitor knows that it is durable */
	uint64_t records_told; /* in the last status */
	int layers;
	struct auditor_checkpoint checkpoints[AUDIT_LOGS]; /* len 0: told */
	uint8_t boot[BOOT_ID_SIZE];
};

/* What can't be sent now is tried again the next turn. */
static bool tell(struct auditor *a, uint32_t type, const void *body, size_t size)
{
	return channel_send(&a->channel, type, body, size, NULL, 0) == 0;
}

static struct auditor_status status_now(const struct auditor *a)
{
	struct auditor_status status = {.state = a->commit.state,
					.sandbox_layers = (uint32_t)a->layers,
					.records = a->commit.drain.records,
					.segment = a->commit.writer.logs[0].header.number,
					.epoch = keys_epoch(a->keys)};

	memcpy(status.trail, a->commit.writer.trail, sizeof status.trail);
	memcpy(status.signer, keys_signer(a->keys), sizeof status.signer);
	status.trail_octets = keep_octets(&a->space.keep);
	status.free_octets = a->space.free_octets;
	status.room = a->space.room;
	string_copy(status.why, sizeof status.why, a->commit.why);
	return status;
}

static void tell_status(struct auditor *a)
{
	struct auditor_status status = status_now(a);

	if (!a->ready_told && status.state == AUDIT_WRITING)
		a->ready_told = tell(a, AUDITOR_READY, &status, sizeof status);
	if (tell(a, AUDITOR_STATUS, &status, sizeof status)) {
		a->commit.state_changed = false;
		a->records_told = status.records;
		a->space.changed = false;
	}
}

static void end_begin(struct auditor *a, enum segment_end how)
{
	if (a->ending == SEGMENT_END_INVALID)
		loop_timer_set(a->loop, &a->deadline, clock_ms() + END_PATIENCE_MS);
	a->ending = how;
}

static void handle_attach(struct auditor *a, struct message *m)
{
	const struct auditor_ring_info *info = (const struct auditor_ring_info *)(void *)m->body;
	const struct resume_ring *known = resume_find(&a->resume, info->connection);
	struct drain_ring *ring;
	int e = drain_attach(&a->commit.drain, info, m->fds, known ? known->next_index : 0, &ring);

	if (e < 0)
		log_error("can't attach the ring of connection %u: %s; the session will get no "
			  "command through",
			  info->connection, strerror(-e));
	else
		commit_session(&a->commit, ring, known || ring->opened);
}

static void handle_detach(struct auditor *a, struct message *m)
{
	const struct auditor_ring_info *info = (const struct auditor_ring_info *)(void *)m->body;

	drain_leave(&a->commit.drain, info->connection);
}

static void handle_rings(struct auditor *a, struct message *m)
{
	(void)m;
	a->commit.lacks_rings = false;
}

/* The monitor sends again what was not acknowledged when the last auditor died. */
static void handle_event(struct auditor *a, struct message *m)
{
	const struct audit_event *event = (const struct audit_event *)(void *)m->body;

	if (event->id <= a->commit.writer.last_event) {
		a->event_told = 0;
		return;
	}
	/* A logout stands behind the commands of its session. */
	drain_take_of(&a->commit.drain, event->connection, loop_now_ms(a->loop));
	commit_event(&a->commit, event);
}

static void handle_flush(struct auditor *a, struct message *m)
{
	const struct auditor_flush *flush = (const struct auditor_flush *)(void *)m->body;

	if (!commit_flush(&a->commit, flush->id))
		log_error("flush %llu is one too many at once", (unsigned long long)flush->id);
	else if (flush->sign)
		a->sign_id = flush->id;
}

static void handle_stop(struct auditor *a, struct message *m)
{
	(void)m;
	end_begin(a, SEGMENT_END_STOP);
}

/* The key is on the stack for as long as this takes, and on the memfd, which is the monitor's. */
static int epoch_begin(struct auditor *a, int fd, struct auditor_epoch *ret)
{
	struct audit_key key = {.epoch = 0};
	int e = commit_epoch(&a->commit, &key);

	if (e == 0 &&
	    pwrite(fd, key.epoch_key, sizeof key.epoch_key, 0) != (ssize_t)sizeof key.epoch_key)
		e = -EIO;
	*ret = (struct auditor_epoch){.error = e, .epoch = key.epoch};
	memcpy(ret->trail, a->commit.writer.trail, sizeof ret->trail);
	memcpy(ret->first_block, key.first_block, sizeof ret->first_block);
	memcpy(ret->signer, key.signer, sizeof ret->signer);
	sodium_memzero(&key, sizeof key);
	return e;
}

/* An answer that does not get through: nobody has that key, and the operator asks again. */
static void handle_epoch(struct auditor *a, struct message *m)
{
	const struct auditor_flush *asked = (const struct auditor_flush *)(void *)m->body;
	struct auditor_epoch told;
	int e = epoch_begin(a, m->fds[0], &told);

	told.id = asked->id;
	sodium_stackzero(STACK_MAX);
	if (e < 0)
		log_error("no epoch can begin now: %s", strerror(-e));
	(void)tell(a, AUDITOR_EPOCH_BEGUN, &told, sizeof told);
	tell_status(a);
}

static void handle_settings(struct auditor *a, struct message *m)
{
	space_set(&a->space, (const struct auditor_settings *)(void *)m->body);
}

static void (*const handlers[])(struct auditor *a, struct message *m) = {
	[AUDITOR_ATTACH] = handle_attach,     [AUDITOR_DETACH] = handle_detach,
	[AUDITOR_RINGS] = handle_rings,	      [AUDITOR_EVENT] = handle_event,
	[AUDITOR_FLUSH] = handle_flush,	      [AUDITOR_STOP] = handle_stop,
	[AUDITOR_SETTINGS] = handle_settings, [AUDITOR_EPOCH] = handle_epoch,
};

static void monitor_gone(struct auditor *a)
{
	if (!a->hung_up)
		loop_unwatch(a->loop, &a->monitor);
	channel_close(&a->channel);
	end_begin(a, a->ending ? a->ending : SEGMENT_END_ORPHANED);
}

static void monitor_read(struct auditor *a)
{
	struct message m;
	int got = 1;

	for (int i = 0; i < MESSAGES_A_TURN && commit_has_room(&a->commit); i++) {
		got = channel_receive(&a->channel, &m);
		if (got <= 0)
			break;
		handlers[m.type](a, &m);
		message_close_fds(&m);
	}
	if (got < 0)
		monitor_gone(a);
}

/* A monitor that dies while there is no room for its last messages is told by the hang-up alone;
 * they are read as there is room for them. */
static void monitor_ready(struct watch *w, uint32_t ready)
{
	struct auditor *a = CONTAINER_OF(w, struct auditor, monitor);

	if ((ready & EPOLLHUP) && !a->hung_up) {
		a->hung_up = true;
		loop_unwatch(a->loop, w);
		end_begin(a, a->ending ? a->ending : SEGMENT_END_ORPHANED);
	}
	monitor_read(a);
}

/* The newest of each log is kept until the monitor has it. */
static void checkpoint_keep(struct commit *c, enum audit_log log, const char *text)
{
	struct auditor *a = CONTAINER_OF(c, struct auditor, commit);
	struct auditor_checkpoint *kept = &a->checkpoints[log - 1];

	*kept = (struct auditor_checkpoint){.log = log, .len = (uint32_t)strlen(text)};
	(void)string_copy(kept->text, sizeof kept->text, text);
}

static void tell_checkpoints(struct auditor *a)
{
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		struct auditor_checkpoint *kept = &a->checkpoints[i];

		if (kept->len && tell(a, AUDITOR_CHECKPOINT, kept, sizeof *kept))
			kept->len = 0;
	}
}

static struct auditor_flushed flushed_now(const struct auditor *a, uint64_t id)
{
	const struct trail_writer *w = &a->commit.writer;
	struct auditor_flushed f = {.id = id, .sequence = writer_first_unsynced(w) - 1};

	memcpy(f.trail, w->trail, sizeof f.trail);
	memcpy(f.signer, keys_signer(a->keys), sizeof f.signer);
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		f.blocks[i] = w->logs[i].synced.blocks;
		tree_root(&w->logs[i].synced.tree, f.roots[i]);
	}
	return f;
}

static void tell_flushed(struct auditor *a)
{
	struct commit *c = &a->commit;

	while (c->flushes_done > 0) {
		struct auditor_flushed flushed = flushed_now(a, c->flushes[0]);

		if (a->sign_id != 0 && flushed.id >= a->sign_id) {
			commit_checkpoint(c);
			a->sign_id = 0;
		}
		if (!tell(a, AUDITOR_FLUSHED, &flushed, sizeof flushed))
			return;
		c->flushes_done--;
		c->flushes_goal--;
		c->flushes_count--;
		memmove(c->flushes, c->flushes + 1, c->flushes_count * sizeof c->flushes[0]);
	}
}

static void tell_all(struct auditor *a)
{
	struct auditor_flush durable = {.id = a->commit.writer.logs[LOG_EVENTS - 1].synced.event};

	if (a->channel.fd < 0)
		return;
	if (a->commit.state_changed || (!a->ready_told && a->commit.state == AUDIT_WRITING))
		tell_status(a);
	if (durable.id > a->event_told && tell(a, AUDITOR_WRITTEN, &durable, sizeof durable))
		a->event_told = durable.id;
	tell_flushed(a);
	tell_checkpoints(a);
	if (!a->hung_up)
		(void)!loop_change(a->loop, &a->monitor, commit_has_room(&a->commit) ? EPOLLIN : 0);
}

/* Nothing more comes, or none of it can be written. */
static bool is_over(const struct auditor *a)
{
	return a->ending && drain_over(&a->commit.drain) &&
	       (!a->hung_up || a->channel.fd < 0 || a->commit.state != AUDIT_WRITING);
}

static void turn(void *arg)
{
	struct auditor *a = arg;

	if (a->hung_up && a->channel.fd >= 0)
		monitor_read(a);
	commit_turn(&a->commit);
	tell_all(a);
	if (is_over(a))
		loop_stop(a->loop);
}

static void deadline_over(struct timer *t)
{
	struct auditor *a = CONTAINER_OF(t, struct auditor, deadline);

	log_warning("sessions still hold their rings %u ms after the end; the trail is closed "
		    "without them",
		    END_PATIENCE_MS);
	loop_stop(a->loop);
}

static void status_again(struct timer *t)
{
	struct auditor *a = CONTAINER_OF(t, struct auditor, status);

	space_turn(&a->space);
	if (a->channel.fd >= 0 && (a->records_told != a->commit.drain.records || a->space.changed))
		tell_status(a);
	loop_timer_set(a->loop, t, clock_ms() + STATUS_MS);
}

/* Whoever stops the gateway stops the monitor; what the terminal sends to all is not ours. */
static void signals_ignore(void)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ};

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
}

static const struct sandbox sandbox = {.profile = SANDBOX_AUDITOR,
				       .folder_fd = FOLDER_FD,
				       .file_size_limit = FILE_SIZE_MAX,
				       .files_limit = FILES_MAX};

/* The syncer's thread is made in between: what confines one thread alone comes before. */
static int lock_down(struct syncer *s)
{
	int e;

	if ((e = sandbox_confine(&sandbox)) < 0 || (e = syncer_start(s)) < 0)
		return e;
	return sandbox_enter(&sandbox);
}

static int auditor_open(struct auditor *a, uint64_t run)
{
	int e;

	if ((e = loop_open(&a->loop)) < 0 ||
	    (e = resume_read(&a->resume, FOLDER_FD, run, a->keys)) < 0 ||
	    (e = commit_open(&a->commit, a->loop, &a->syncer, a->keys, &a->resume)) < 0 ||
	    (e = space_open(&a->space, &a->commit, a->loop, FOLDER_FD)) < 0)
		return e;
	a->commit.checkpoint = checkpoint_keep;
	a->commit.lacks_rings = true;
	memcpy(a->commit.writer.boot, a->boot, sizeof a->boot);
	a->deadline.run = deadline_over;
	a->status.run = status_again;
	channel_open(&a->channel, CHANNEL_FD, auditor_inbox, auditor_inbox_len);
	a->monitor = (struct watch){.fd = CHANNEL_FD, .events = EPOLLIN, .run = monitor_ready};
	if ((e = loop_watch(a->loop, &a->monitor)) < 0)
		return e;
	commit_found(&a->commit, &a->resume);
	commit_start(&a->commit);
	loop_each_turn(a->loop, turn, a);
	loop_timer_set(a->loop, &a->status, clock_ms() + STATUS_MS);
	return 0;
}

static int auditor_end(struct auditor *a)
{
	int e = commit_end(&a->commit, a->ending);

	if (e < 0)
		log_error("the end of the trail could not be written: %s", a->commit.why);
	else
		tell_all(a);
	syncer_stop(&a->syncer);
	space_close(&a->space);
	commit_close(&a->commit);
	resume_free(&a->resume);
	keys_close(a->keys);
	channel_close(&a->channel);
	loop_close(a->loop);
	return e < 0 ? 3 : 0;
}

/* Copied into locked memory; the monitor's are closed. */
static int keys_take(struct auditor *a)
{
	int signer = SIGNER_FD, page = KEYS_FD, e = keys_open(signer, page, &a->keys);

	fd_close(&signer);
	fd_close(&page);
	if (e < 0)
		log_error("the keys of the trail can't be kept in locked memory: %s (ulimit -l, "
			  "LimitMEMLOCK=)",
			  strerror(-e));
	return e;
}

/* Tells one start of the machine from another: monotonic times of two can't be compared. */
static void boot_read(uint8_t ret[BOOT_ID_SIZE])
{
	OWNED_FD fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	uint8_t text[64], hash[HASH_SIZE];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);

	if (n <= 0)
		return;
	block_hash(text, (size_t)n, hash);
	memcpy(ret, hash, BOOT_ID_SIZE);
}

int auditor_main(void)
{
	struct auditor a = {0};
	uint64_t run;
	int e;

	log_start("auditor");
	if (!process_fds_are(AUDITOR_FDS) || (e = process_harden()) < 0) {
		log_error("not started as the monitor starts it; it is no command for people");
		return 3;
	}
	signals_ignore();
	run = resume_run(LOCK_FD);
	boot_read(a.boot);
	e = hash_start();
	if (e == 0)
		e = keys_take(&a);
	a.layers = e < 0 ? e : lock_down(&a.syncer);
	if (a.layers < 0) {
		log_error("can't lock itself down: %s; no log is written without that",
			  strerror(-a.layers));
		return 3;
	}
	e = auditor_open(&a, run);
	if (e == 0)
		e = loop_run(a.loop);
	if (e < 0) {
		log_error("can't work: %s", strerror(-e));
		return 3;
	}
	return auditor_end(&a);
}

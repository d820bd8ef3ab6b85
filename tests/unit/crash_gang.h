/* What there is of a gateway around a trail, in one process and with a clock of its own: commit,
 * drain, writer, syncer and keys as the auditor has them, sessions that put and ask, a monitor that
 * sends events and remembers what it was told. All that was promised to anybody is counted. */
#pragma once

#include "tests/unit/crash_cut.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "gateway/audit/commit.h"
#include "gateway/audit/ring.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/loop.h"

#define GANG_RUNS  4
#define GANG_RINGS 3
#define GANG_KEYS  6
#define GANG_NOTES 64
#define GANG_ASKS  64
#define GANG_RUN   1000u

/* Of each run: records of each session, and events, that must be in the trail. */
struct promise {
	uint64_t commands[GANG_RUNS][GANG_RINGS], events[GANG_RUNS];
};

/* What outlives the auditor. */
struct moment {
	struct promise durable;
	struct audit_ring_page pages[GANG_RINGS];
	uint64_t heads[GANG_RINGS], wanted[GANG_RINGS];
	uint64_t sent, told; /* events */
	size_t keys, notes;
	struct keys_page page;
	bool stopping; /* no auditor is started again */
};

struct ask {
	size_t ring;
	uint64_t mark, heads[GANG_RINGS];
};

struct gang_ring {
	struct audit_ring ring;
	struct auditor_ring_info info;
	int ring_fd, page_fd;
};

static struct {
	unsigned run; /* from 0 */
	unsigned steps, faults;
	uint64_t clock_ns;
	struct promise durable;
	struct gang_ring rings[GANG_RINGS];
	struct ask asks[GANG_ASKS];
	size_t ask_count;
	uint64_t sent, told;
	uint64_t flush_id;
	struct audit_key keys[GANG_KEYS];
	struct note notes[GANG_NOTES];
	size_t key_count, note_count;
	int signer_fd, page_fd;
	struct keys_page *page;
	/* the auditor's */
	struct loop *loop;
	struct syncer syncer;
	struct keys *auditor_keys;
	struct resume resume;
	struct commit commit;
	bool alive, stopping, faulty; /* something failed, ever */
} gang;

/* --- time ------------------------------------------------------------------------------------- */

uint64_t clock_ns(void)
{
	return gang.clock_ns;
}

uint64_t clock_us(void)
{
	return gang.clock_ns / 1000;
}

uint64_t clock_ms(void)
{
	return gang.clock_ns / 1000000;
}

uint64_t clock_wall_ns(void)
{
	return gang.clock_ns + UINT64_C(1700000000) * 1000000000;
}

int64_t clock_wall_s(void)
{
	return (int64_t)(clock_wall_ns() / 1000000000);
}

/* Nobody sleeps: time passes. */
int epoll_wait(int fd, struct epoll_event *events, int most, int timeout_ms)
{
	(void)timeout_ms;
	gang.clock_ns += (one_in(40) ? 300 : 1 + below(3)) * UINT64_C(1000000);
	return (int)syscall(SYS_epoll_pwait, fd, events, most, 0, NULL, 8);
}

/* --- promises --------------------------------------------------------------------------------- */

static void promise_events(uint64_t until)
{
	gang.durable.events[gang.run] = MAX(gang.durable.events[gang.run], until);
}

/* All that the sessions and the monitor were told. */
static void promises_look(void)
{
	for (size_t i = 0; i < gang.ask_count; i++) {
		struct ask *ask = &gang.asks[i];

		if (!audit_ring_is_durable(&gang.rings[ask->ring].ring, ask->mark))
			continue;
		for (size_t k = 0; k < GANG_RINGS; k++)
			gang.durable.commands[gang.run][k] =
				MAX(gang.durable.commands[gang.run][k], ask->heads[k]);
		gang.asks[i--] = gang.asks[--gang.ask_count];
	}
}

static struct moment *moment_now(void)
{
	struct moment *m = aligned_alloc(_Alignof(struct moment), sizeof *m);

	assert_non_null(m);
	memset(m, 0, sizeof *m);
	if (gang.alive)
		promises_look();
	m->durable = gang.durable;
	for (size_t i = 0; i < GANG_RINGS && gang.rings[i].ring.page; i++) {
		const struct audit_ring *r = &gang.rings[i].ring;

		memcpy(&m->pages[i], (const void *)r->page, sizeof m->pages[i]);
		m->heads[i] = r->head;
		m->wanted[i] = atomic_load(&r->memory->durable_wanted);
	}
	m->stopping = gang.stopping;
	m->sent = gang.sent;
	m->told = gang.told;
	m->keys = gang.key_count;
	m->notes = gang.note_count;
	if (gang.page)
		memcpy(&m->page, gang.page, sizeof m->page);
	return m;
}

static struct moment *moment_copy(const struct moment *m)
{
	struct moment *copy = aligned_alloc(_Alignof(struct moment), sizeof *copy);

	assert_non_null(copy);
	memcpy(copy, m, sizeof *copy);
	return copy;
}

/* --- sessions --------------------------------------------------------------------------------- */

static struct audit_record record_of(size_t ring, uint64_t index)
{
	return (struct audit_record){.index = index,
				     .lba = gang.run * 1000000 + (ring + 1) * 100000 + index,
				     .blocks = 1,
				     .wall_ns = clock_wall_ns(),
				     .kind = AUDIT_COMMAND,
				     .verdict = VERDICT_ADMITTED,
				     .cdb_len = 10,
				     .cdb = {0x2a, 0, (uint8_t)(index * 37), (uint8_t)ring}};
}

/* Of a run that goes on, `m` says how its memory was; NULL: new. */
static void ring_open(size_t at, const struct moment *m)
{
	struct gang_ring *r = &gang.rings[at];
	void *p;

	r->ring_fd = memfd_shared("ring", sizeof(struct audit_ring_memory));
	r->page_fd = memfd_shared("page", sizeof(struct audit_ring_page));
	r->info = (struct auditor_ring_info){.connection = (uint32_t)at + 1};
	(void)snprintf(r->info.initiator, sizeof r->info.initiator, "iqn.test:client-%u-%zu",
		       gang.run, at);
	string_copy(r->info.target, sizeof r->info.target, "iqn.test:vault");
	assert_int_equal(endpoint_parse("192.0.2.7:4000", &r->info.peer), 0);
	assert_int_equal(
		memfd_map(r->page_fd, sizeof(struct audit_ring_page), PROT_READ | PROT_WRITE, &p),
		0);
	if (m)
		memcpy(p, &m->pages[at], sizeof m->pages[at]);
	(void)munmap(p, sizeof(struct audit_ring_page));
	assert_int_equal(audit_ring_attach(&r->ring, r->ring_fd, r->page_fd, -1), 0);
	if (!m)
		return;
	for (uint64_t i = *(const uint64_t *)&m->pages[at].consumed; i < m->heads[at]; i++)
		r->ring.memory->slots[i % AUDIT_RING_SLOTS] = record_of(at, i);
	r->ring.head = m->heads[at];
	atomic_store(&r->ring.memory->head, m->heads[at]);
	atomic_store(&r->ring.memory->durable_wanted, m->wanted[at]);
}

static void ring_close(size_t at)
{
	struct gang_ring *r = &gang.rings[at];

	audit_ring_detach(&r->ring);
	close(r->ring_fd);
	close(r->page_fd);
}

static void ring_hand_over(size_t at)
{
	struct gang_ring *r = &gang.rings[at];
	const struct resume_ring *known = resume_find(&gang.resume, r->info.connection);
	struct drain_ring *ring;
	int pair[2], fds[3];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	fds[0] = r->ring_fd;
	fds[1] = r->page_fd;
	fds[2] = pair[0];
	audit_ring_rewake(&r->ring, pair[1]);
	assert_int_equal(drain_attach(&gang.commit.drain, &r->info, fds,
				      known ? known->next_index : 0, &ring),
			 0);
	commit_session(&gang.commit, ring, known || ring->opened);
}

static void session_puts(size_t at)
{
	struct audit_ring *r = &gang.rings[at].ring;

	for (size_t n = below(one_in(6) ? 120 : 9); n > 0; n--) {
		struct audit_record record = record_of(at, r->head);

		if (audit_ring_put(r, &record, clock_ms()) < 0)
			break;
	}
}

static void session_asks(size_t at)
{
	struct ask *ask;

	if (gang.ask_count == GANG_ASKS)
		return;
	ask = &gang.asks[gang.ask_count++];
	ask->ring = at;
	for (size_t i = 0; i < GANG_RINGS; i++)
		ask->heads[i] = gang.rings[i].ring.head;
	ask->mark = audit_ring_ask_durable(&gang.rings[at].ring);
}

/* --- the monitor ------------------------------------------------------------------------------ */

static void event_send(uint64_t id)
{
	struct audit_event event = {.id = id,
				    .kind = id % 3 ? EVENT_LOGIN : EVENT_HELPER,
				    .connection = id % 3 ? 1 + (uint32_t)(id % GANG_RINGS) : 0,
				    .wall_ns = clock_wall_ns()};

	if (id <= gang.commit.writer.last_event)
		return;
	string_copy(event.reason, sizeof event.reason, "a-reason");
	(void)snprintf(event.detail, sizeof event.detail, "event %llu", (unsigned long long)id);
	drain_take_of(&gang.commit.drain, event.connection, clock_ms());
	commit_event(&gang.commit, &event);
}

static void checkpoint_take(struct commit *c, enum audit_log log, const char *text)
{
	(void)c;
	(void)log;
	if (gang.note_count < GANG_NOTES)
		assert_int_equal(note_read(&gang.notes[gang.note_count++], text, strlen(text)), 0);
}

static void key_show(void)
{
	struct audit_key *key = &gang.keys[gang.key_count];
	int e;

	if (gang.key_count == GANG_KEYS)
		return;
	gate_set(true);
	gate_settle();
	e = commit_epoch(&gang.commit, key);
	gate_settle();
	gate_set(false);
	if (e < 0)
		return;
	memcpy(key->trail, gang.commit.writer.trail, sizeof key->trail);
	gang.key_count++;
}

static void tell_all(void)
{
	gang.told = MAX(gang.told, gang.commit.writer.logs[LOG_EVENTS - 1].synced.event);
	promise_events(gang.told);
	gang.commit.flushes_count -= gang.commit.flushes_done;
	gang.commit.flushes_goal -= gang.commit.flushes_done;
	gang.commit.flushes_done = 0;
	promises_look();
}

/* --- a run ------------------------------------------------------------------------------------ */

static void something_fails(void)
{
	unsigned *const what[] = {&tape_faults.sync, &tape_faults.sync, &tape_faults.write,
				  &tape_faults.open, &tape_faults.rename};

	if (gang.faults == 0 || !one_in(30))
		return;
	gang.faults--;
	gang.faulty = true;
	*what[below(ARRAY_LEN(what))] = 1 + (unsigned)below(3);
}

static void turn(void *arg)
{
	size_t ring = below(GANG_RINGS);

	(void)arg;
	if (gang.steps-- == 0) {
		loop_stop(gang.loop);
		return;
	}
	something_fails();
	session_puts(ring);
	if (one_in(5))
		session_asks(below(GANG_RINGS));
	if (one_in(8))
		(void)audit_ring_ask_written(&gang.rings[ring].ring);
	audit_ring_wake(&gang.rings[ring].ring);
	if (one_in(6) && commit_has_room(&gang.commit))
		event_send(++gang.sent);
	if (one_in(10) && commit_has_room(&gang.commit))
		(void)commit_flush(&gang.commit, ++gang.flush_id);
	if (one_in(50))
		key_show();
	commit_turn(&gang.commit);
	gate_settle();
	if (one_in(3))
		gate_pass();
	tell_all();
	for (size_t i = 0; i < GANG_RINGS; i++)
		(void)!audit_ring_woken(&gang.rings[i].ring);
}

/* The auditor starts. `m`: what the one before left in memory; NULL: a new run. */
static void gang_start(int folder_fd, const struct moment *m)
{
	void *page;

	gang.ask_count = 0;
	gang.sent = m ? m->sent : 0;
	gang.told = m ? m->told : 0;
	gang.page_fd = memfd_shared("keys", sizeof *gang.page);
	assert_int_equal(memfd_map(gang.page_fd, sizeof *gang.page, PROT_READ | PROT_WRITE, &page),
			 0);
	gang.page = page;
	if (m)
		memcpy(gang.page, &m->page, sizeof m->page);
	for (size_t i = 0; i < GANG_RINGS; i++)
		ring_open(i, m);
	gate.begun = gate.over = gate.passes = 0;
	gate_set(false);
	assert_int_equal(keys_open(gang.signer_fd, gang.page_fd, &gang.auditor_keys), 0);
	assert_int_equal(syncer_start(&gang.syncer), 0);
	gate.job_fd = gang.syncer.job_fd;
	assert_int_equal(loop_open(&gang.loop), 0);
	gang.alive = true;
	assert_int_equal(resume_read(&gang.resume, folder_fd, GANG_RUN + gang.run, NULL), 0);
	assert_int_equal(
		commit_open(&gang.commit, gang.loop, &gang.syncer, gang.auditor_keys, &gang.resume),
		0);
	gang.commit.checkpoint = checkpoint_take;
	commit_found(&gang.commit, &gang.resume);
	commit_start(&gang.commit);
	for (size_t i = 0; i < GANG_RINGS; i++)
		ring_hand_over(i);
	for (uint64_t id = gang.told + 1; id <= gang.sent; id++)
		event_send(id);
}

static void gang_work(unsigned steps, unsigned faults)
{
	gang.steps = steps;
	gang.faults = faults;
	loop_each_turn(gang.loop, turn, NULL);
	assert_int_equal(loop_run(gang.loop), 0);
	tape_faults = (struct tape_faults){0};
}

/* Stopped as it should be, or just gone. */
static void gang_end(bool stop)
{
	gate_set(true);
	gate_settle();
	if (stop) {
		gang.stopping = true;
		assert_int_equal(commit_end(&gang.commit, SEGMENT_END_STOP), 0);
		tell_all();
		for (size_t i = 0; i < GANG_RINGS; i++)
			gang.durable.commands[gang.run][i] = gang.rings[i].ring.head;
		gang.durable.events[gang.run] = gang.sent;
	}
	gang.alive = gang.stopping = false;
	syncer_stop(&gang.syncer);
	commit_close(&gang.commit);
	resume_free(&gang.resume);
	keys_close(gang.auditor_keys);
	loop_close(gang.loop);
	for (size_t i = 0; i < GANG_RINGS; i++)
		ring_close(i);
	(void)munmap(gang.page, sizeof *gang.page);
	gang.page = NULL;
	close(gang.page_fd);
}

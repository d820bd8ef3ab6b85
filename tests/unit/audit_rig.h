/* An auditor in a process of its own, and the test in place of its monitor and of all
 * sessions: rings are put into, the auditor is stopped, killed and started again, and
 * the trail is read from its files. */
#pragma once

#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "gateway/audit/auditor.h"
#include "gateway/audit/commit.h"
#include "gateway/audit/folder.h"
#include "gateway/audit/keys.h"
#include "gateway/audit/ring.h"
#include "gateway/audit/trail.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"

#define RIG_RINGS 8

struct rig_ring {
	struct audit_ring ring;
	int ring_fd, page_fd;
	struct auditor_ring_info info;
	struct audit_ring_page *page;
};

struct rig {
	char folder[64];
	int folder_fd, lock_fd, signer_fd, keys_fd;
	pid_t pid; /* of the auditor; 0: none */
	struct channel channel;
	struct rig_ring rings[RIG_RINGS];
	size_t count;
	uint64_t written; /* the last AUDITOR_WRITTEN */
	struct auditor_status status;
};

static inline void rig_open(struct rig *r)
{
	char lock[80];
	const char *tmp = getenv("TMPDIR");

	*r = (struct rig){.channel.fd = -1};
	(void)snprintf(r->folder, sizeof r->folder, "%s/audit-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(r->folder));
	(void)snprintf(lock, sizeof lock, "%s/lock", r->folder);
	r->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	r->folder_fd = open(r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(r->folder_fd >= 0 && r->lock_fd >= 0);
	r->signer_fd = memfd_sealed("signer", (const uint8_t[KEYS_SEED_SIZE]){7}, KEYS_SEED_SIZE);
	r->keys_fd = memfd_shared("keys", sizeof(struct keys_page));
	assert_true(r->signer_fd >= 0 && r->keys_fd >= 0);
}

static inline NORETURN void rig_child(const struct rig *r, int channel_fd)
{
	int fds[AUDITOR_FDS] = {channel_fd, r->folder_fd, r->lock_fd, r->signer_fd, r->keys_fd};

	for (int i = 0; i < AUDITOR_FDS; i++)
		fds[i] = fcntl(fds[i], F_DUPFD, 64);
	for (int i = 0; i < AUDITOR_FDS; i++)
		(void)dup2(fds[i], 3 + i);
	(void)close_range(3 + AUDITOR_FDS, ~0u, 0);
	(void)signal(SIGALRM, SIG_DFL);
	_exit(auditor_main());
}

/* Hands over a new socket and the ring's memory, as the monitor does. */
static inline void rig_attach(struct rig *r, struct rig_ring *ring)
{
	int pair[2], fds[3];

	assert_int_equal(channel_pair(pair), 0);
	fds[0] = ring->ring_fd;
	fds[1] = ring->page_fd;
	fds[2] = pair[0];
	assert_int_equal(
		channel_send(&r->channel, AUDITOR_ATTACH, &ring->info, sizeof ring->info, fds, 3),
		0);
	close(pair[0]);
	audit_ring_rewake(&ring->ring, pair[1]);
}

static inline struct rig_ring *rig_ring_add(struct rig *r, uint32_t connection)
{
	struct rig_ring *ring = &r->rings[r->count++];
	void *page;

	assert_true(r->count <= RIG_RINGS);
	ring->ring_fd = memfd_shared("ring", sizeof(struct audit_ring_memory));
	ring->page_fd = memfd_shared("page", sizeof(struct audit_ring_page));
	ring->info = (struct auditor_ring_info){.connection = connection};
	(void)snprintf(ring->info.initiator, sizeof ring->info.initiator, "iqn.test:client-%u",
		       connection);
	string_copy(ring->info.target, sizeof ring->info.target, "iqn.test:vault");
	assert_int_equal(endpoint_parse("192.0.2.7:4000", &ring->info.peer), 0);
	assert_int_equal(audit_ring_attach(&ring->ring, ring->ring_fd, ring->page_fd, -1), 0);
	assert_int_equal(memfd_map(ring->page_fd, sizeof *ring->page, PROT_READ, &page), 0);
	ring->page = page;
	if (r->channel.fd >= 0)
		rig_attach(r, ring);
	return ring;
}

/* Without any ring. */
static inline void rig_begin(struct rig *r)
{
	int pair[2];

	assert_int_equal(channel_pair(pair), 0);
	(void)fflush(NULL);
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0) {
		close(pair[0]);
		rig_child(r, pair[1]);
	}
	close(pair[1]);
	channel_open(&r->channel, pair[0], auditor_outbox, auditor_outbox_len);
}

/* It has all rings. */
static inline void rig_all(struct rig *r)
{
	assert_int_equal(channel_send(&r->channel, AUDITOR_RINGS, NULL, 0, NULL, 0), 0);
}

static inline void rig_start(struct rig *r)
{
	rig_begin(r);
	for (size_t i = 0; i < r->count; i++)
		rig_attach(r, &r->rings[i]);
	rig_all(r);
}

/* The next message of this type within 10 s; others are noted and passed over. */
static inline void rig_expect(struct rig *r, uint32_t type, struct message *m)
{
	uint64_t until = clock_ms() + 30000;

	while (clock_ms() < until) {
		struct pollfd fd = {.fd = r->channel.fd, .events = POLLIN};
		int got = channel_receive(&r->channel, m);

		assert_true(got >= 0);
		if (got == 0) {
			(void)poll(&fd, 1, 1000);
			continue;
		}
		if (m->type == AUDITOR_WRITTEN)
			memcpy(&r->written, m->body, sizeof r->written);
		if (m->type == AUDITOR_STATUS || m->type == AUDITOR_READY)
			memcpy(&r->status, m->body, sizeof r->status);
		if (m->type == type)
			return;
	}
	fail_msg("no message %u came", type);
}

static inline void rig_expect_state(struct rig *r, enum audit_state state)
{
	struct message m;

	do
		rig_expect(r, AUDITOR_STATUS, &m);
	while (r->status.state != state);
}

static inline void rig_flush(struct rig *r, uint64_t id)
{
	struct auditor_flush flush = {.id = id};
	struct auditor_flushed flushed;
	struct message m;

	assert_int_equal(CHANNEL_SEND(&r->channel, AUDITOR_FLUSH, &flush), 0);
	rig_expect(r, AUDITOR_FLUSHED, &m);
	memcpy(&flushed, m.body, sizeof flushed);
	assert_int_equal(flushed.id, id);
}

static inline void rig_event(struct rig *r, uint64_t id, enum audit_event_kind kind)
{
	struct audit_event event = {.id = id, .kind = kind, .wall_ns = clock_wall_ns()};

	string_copy(event.reason, sizeof event.reason, "a-reason");
	assert_int_equal(CHANNEL_SEND(&r->channel, AUDITOR_EVENT, &event), 0);
}

static inline int rig_wait(struct rig *r)
{
	int status;

	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	r->pid = 0;
	channel_close(&r->channel);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static inline void rig_kill(struct rig *r)
{
	assert_int_equal(kill(r->pid, SIGKILL), 0);
	assert_int_equal(rig_wait(r), 256 + SIGKILL);
}

static inline void rig_hang_up(struct rig *r)
{
	for (size_t i = 0; i < r->count; i++)
		audit_ring_rewake(&r->rings[i].ring, -1);
}

static inline int rig_stop(struct rig *r)
{
	rig_hang_up(r);
	assert_int_equal(channel_send(&r->channel, AUDITOR_STOP, NULL, 0, NULL, 0), 0);
	return rig_wait(r);
}

/* Puts one record, waiting while the ring is full or the auditor is away. */
static inline void rig_put(struct rig_ring *ring, uint64_t lba)
{
	struct audit_record record = {.lba = lba,
				      .blocks = 1,
				      .wall_ns = clock_wall_ns(),
				      .kind = AUDIT_COMMAND,
				      .verdict = VERDICT_ADMITTED,
				      .cdb_len = 10,
				      .cdb = {0x2a}};
	uint64_t until = clock_ms() + 30000;

	while (audit_ring_put(&ring->ring, &record, clock_ms()) < 0) {
		struct pollfd fd = {.fd = ring->ring.wake_fd, .events = POLLIN};

		assert_true(clock_ms() < until);
		audit_ring_wake(&ring->ring);
		(void)poll(&fd, 1, 1);
	}
}

static inline void rig_empty(const struct rig *r)
{
	DIR *dir = fdopendir(openat(r->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			(void)unlinkat(r->folder_fd, entry->d_name, 0);
	(void)closedir(dir);
}

static inline void rig_close(struct rig *r)
{
	if (r->pid)
		rig_kill(r);
	for (size_t i = 0; i < r->count; i++) {
		audit_ring_detach(&r->rings[i].ring);
		munmap(r->rings[i].page, sizeof *r->rings[i].page);
		close(r->rings[i].ring_fd);
		close(r->rings[i].page_fd);
	}
	rig_empty(r);
	(void)rmdir(r->folder);
	close(r->folder_fd);
	close(r->lock_fd);
	close(r->signer_fd);
	close(r->keys_fd);
}

/* What the trail has, gathered from its files. */
struct rig_trail {
	uint64_t records, events, sessions, gaps, ends; /* gaps: events of that kind */
	uint64_t last_sequence, last_event, damage;
	uint64_t next_index[64];  /* by connection */
	uint64_t sequence_of[64]; /* the last one */
	enum segment_end end;	  /* the last one */
	char damage_text[256];
	struct audit_event gap; /* the last one */
};

static inline void rig_damage(void *arg, bool damage, const char *text)
{
	struct rig_trail *t = arg;

	if (damage)
		t->damage++;
	string_copy(t->damage_text, sizeof t->damage_text, text);
}

static inline void rig_count(struct rig_trail *t, const struct trail_record *r)
{
	const struct frame *f = &r->frame;

	assert_int_equal(f->stamp.sequence, t->last_sequence + 1);
	t->last_sequence = f->stamp.sequence;
	if (f->type == FRAME_COMMAND) {
		assert_true(f->connection < 64);
		assert_int_equal(f->command.index, t->next_index[f->connection]);
		t->next_index[f->connection]++;
		t->sequence_of[f->connection] = f->stamp.sequence;
		t->records++;
		assert_non_null(r->session);
		assert_int_equal(r->session->connection, f->connection);
	} else if (f->type == FRAME_EVENT && f->event.id == 0) {
		assert_int_equal(f->event.kind, EVENT_GAP);
		t->gap = f->event;
		t->gaps++;
	} else if (f->type == FRAME_EVENT) {
		assert_int_equal(f->event.id, t->last_event + 1);
		t->last_event = f->event.id;
		t->events++;
	} else if (f->type == FRAME_SESSION) {
		t->sessions++;
	} else {
		t->end = f->end;
		t->ends++;
	}
}

/* Asserts on the way: sequences from 1 without a gap, ring indexes and events too. */
static inline struct rig_trail rig_read(const struct rig *r)
{
	struct rig_trail got = {0};
	static struct trail_record record;
	struct trail *trail;

	assert_int_equal(trail_open(&trail, r->folder_fd, NULL, rig_damage, &got), 0);
	while (trail_next(trail, &record) > 0)
		rig_count(&got, &record);
	trail_close(trail);
	return got;
}

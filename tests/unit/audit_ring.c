/* The producer's side of a ring: what it refuses, when it wakes whom, and that no
 * record is lost, repeated or torn between two threads. The test plays the auditor. */
#include "tests/unit/test.h"

#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "gateway/audit/ring.h"
#include "gateway/base/fd.h"

struct pair {
	struct audit_ring ring;
	struct audit_ring_page *page; /* the auditor's view */
	struct audit_ring_memory *memory;
	int ring_fd, page_fd, auditor_fd;
};

static void pair_open(struct pair *p, bool wake)
{
	int fds[2];

	p->ring_fd = memfd_shared("ring", sizeof(struct audit_ring_memory));
	p->page_fd = memfd_shared("page", sizeof(struct audit_ring_page));
	assert_true(p->ring_fd >= 0 && p->page_fd >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	p->auditor_fd = fds[0];
	assert_int_equal(audit_ring_attach(&p->ring, p->ring_fd, p->page_fd, -1), 0);
	p->page = mmap(NULL, sizeof *p->page, PROT_READ | PROT_WRITE, MAP_SHARED, p->page_fd, 0);
	p->memory = mmap(NULL, sizeof *p->memory, PROT_READ, MAP_SHARED, p->ring_fd, 0);
	assert_true(p->page != MAP_FAILED && p->memory != MAP_FAILED);
	if (wake)
		audit_ring_rewake(&p->ring, fds[1]);
	else
		close(fds[1]);
}

static void pair_close(struct pair *p)
{
	audit_ring_detach(&p->ring);
	munmap(p->page, sizeof *p->page);
	munmap(p->memory, sizeof *p->memory);
	close(p->ring_fd);
	close(p->page_fd);
	if (p->auditor_fd >= 0)
		close(p->auditor_fd);
}

static bool octet_came(struct pair *p)
{
	char octets[8];

	return recv(p->auditor_fd, octets, sizeof octets, MSG_DONTWAIT) > 0;
}

struct health {
	const char *why;
	bool wake;
	enum audit_state state;
	uint64_t put_ms, now_ms;
	bool consumed, want;
};

static const struct health healths[] = {
	{"P4: without a socket to the auditor nothing is put", false, AUDIT_WRITING, 0, 5, true,
	 false},
	{"P4: a page that the auditor never wrote lets nothing run", true, AUDIT_STATE_INVALID, 0,
	 5, true, false},
	{"P4: a log that can't be written lets nothing run", true, AUDIT_CANNOT_WRITE, 0, 5, true,
	 false},
	{"P4: an auditor that is away lets nothing run", true, AUDIT_AWAY, 0, 5, true, false},
	{"a log that is written lets commands run", true, AUDIT_WRITING, 0, 5, true, true},
	{"a record may wait for less than the patience", true, AUDIT_WRITING, 7,
	 6 + AUDIT_PATIENCE_MS, false, true},
	{"P4: a record that waits for all of the patience means that the auditor is away", true,
	 AUDIT_WRITING, 7, 7 + AUDIT_PATIENCE_MS, false, false},
	{"an idle session is healthy however long ago its last record was", true, AUDIT_WRITING, 7,
	 1000000, true, true},
};

static void check_health(void **state)
{
	const struct health *h = *state;
	struct audit_record record = {0};
	struct pair p;

	pair_open(&p, h->wake);
	atomic_store(&p.page->state, AUDIT_WRITING);
	if (h->put_ms)
		assert_int_equal(audit_ring_put(&p.ring, &record, h->put_ms), 0);
	if (h->put_ms && h->consumed)
		atomic_store(&p.page->consumed, 1);
	atomic_store(&p.page->state, h->state);
	assert_int_equal(audit_ring_healthy(&p.ring, h->now_ms), h->want);
	assert_int_equal(audit_ring_put(&p.ring, &record, h->now_ms), h->want ? 0 : -EBUSY);
	pair_close(&p);
}

static void full_ring_refuses(void **state)
{
	struct audit_record record = {0};
	struct pair p;

	(void)state;
	pair_open(&p, true);
	atomic_store(&p.page->state, AUDIT_WRITING);
	for (uint32_t i = 0; i < AUDIT_RING_SLOTS; i++) {
		assert_int_equal(audit_ring_free(&p.ring), AUDIT_RING_SLOTS - i);
		assert_int_equal(audit_ring_put(&p.ring, &record, 1), 0);
		assert_int_equal(record.index, i);
	}
	assert_int_equal(audit_ring_free(&p.ring), 0);
	assert_int_equal(audit_ring_put(&p.ring, &record, 1), -EBUSY);
	atomic_store(&p.page->consumed, 1);
	assert_int_equal(audit_ring_put(&p.ring, &record, 1), 0);
	assert_int_equal(record.index, AUDIT_RING_SLOTS);
	pair_close(&p);
}

static void wakes_once_a_nap(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, true);
	audit_ring_wake(&p.ring);
	assert_false(octet_came(&p));
	for (uint32_t nap = 1; nap < 7; nap += 2) {
		atomic_store(&p.page->naps, nap);
		audit_ring_wake(&p.ring);
		assert_true(octet_came(&p));
		audit_ring_wake(&p.ring);
		assert_false(octet_came(&p));
	}
	assert_int_equal(audit_ring_ask_durable(&p.ring), 1);
	audit_ring_wake(&p.ring);
	assert_true(octet_came(&p));
	pair_close(&p);
}

static void each_ask_is_a_ticket(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, true);
	assert_int_equal(audit_ring_ask_durable(&p.ring), 1);
	assert_int_equal(audit_ring_ask_durable(&p.ring), 2);
	atomic_store(&p.page->durable, 1);
	assert_true(audit_ring_is_durable(&p.ring, 1));
	assert_false(audit_ring_is_durable(&p.ring, 2));
	pair_close(&p);
}

static void asks_for_the_file(void **state)
{
	struct audit_record record = {0};
	struct pair p;

	(void)state;
	pair_open(&p, true);
	atomic_store(&p.page->state, AUDIT_WRITING);
	assert_int_equal(audit_ring_ask_written(&p.ring), 0);
	audit_ring_wake(&p.ring);
	assert_false(octet_came(&p)); /* nothing was put: nothing to wait for */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(audit_ring_put(&p.ring, &record, 1), 0);
	assert_int_equal(audit_ring_ask_written(&p.ring), 3);
	assert_int_equal(atomic_load(&p.memory->written_wanted), 3);
	audit_ring_wake(&p.ring);
	assert_true(octet_came(&p));
	atomic_store(&p.page->consumed, 2);
	assert_true(audit_ring_is_written(&p.ring, 2));
	assert_false(audit_ring_is_written(&p.ring, 3));
	atomic_store(&p.page->consumed, 3);
	assert_true(audit_ring_is_written(&p.ring, 3));
	pair_close(&p);
}

static void auditor_dies_and_returns(void **state)
{
	struct audit_record record = {0};
	struct pair p;
	int fds[2];

	(void)state;
	pair_open(&p, true);
	atomic_store(&p.page->state, AUDIT_WRITING);
	assert_int_equal(send(p.auditor_fd, "d", 1, 0), 1);
	assert_int_equal(audit_ring_woken(&p.ring), 0);
	assert_int_equal(audit_ring_put(&p.ring, &record, 1), 0);
	close(p.auditor_fd);
	assert_int_equal(audit_ring_woken(&p.ring), -EPIPE);
	assert_int_equal(audit_ring_put(&p.ring, &record, 1), -EBUSY);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	p.auditor_fd = fds[0];
	audit_ring_rewake(&p.ring, fds[1]);
	assert_int_equal(audit_ring_put(&p.ring, &record, 100000), 0);
	assert_int_equal(record.index, 1);
	pair_close(&p);
}

/* make bench-audit has a build in which it puts nothing: no other may be like that. */
static void audit_is_built(void **state)
{
	struct audit_record record = {0};
	struct pair p;

	(void)state;
	assert_true(AUDIT_IS_BUILT);
	pair_open(&p, true);
	atomic_store(&p.page->state, AUDIT_WRITING);
	assert_int_equal(audit_ring_put(&p.ring, &record, 1), 0);
	assert_int_equal(atomic_load(&p.memory->head), 1);
	pair_close(&p);
}

static void refuses_unsealed(void **state)
{
	struct audit_ring r;
	int ring = memfd_shared("ring", sizeof(struct audit_ring_memory));
	int small = memfd_shared("page", sizeof(struct audit_ring_page) - 1);
	int loose = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_true(ring >= 0 && small >= 0 && loose >= 0);
	assert_int_equal(ftruncate(loose, sizeof(struct audit_ring_page)), 0);
	assert_int_equal(audit_ring_attach(&r, ring, small, -1), -EINVAL);
	assert_int_equal(audit_ring_attach(&r, ring, loose, -1), -EINVAL);
	assert_int_equal(audit_ring_attach(&r, 0x7ffffff, ring, -1), -EBADF);
	close(ring);
	close(small);
	close(loose);
}

#define FLOOD 200000u

struct taker {
	struct pair *pair;
	uint64_t taken, wrong, naps;
};

/* Sleeps as the auditor does: odd naps, another look, then the socket. */
static void taker_nap(struct taker *t)
{
	struct pair *p = t->pair;
	struct pollfd fd = {.fd = p->auditor_fd, .events = POLLIN};

	atomic_fetch_add(&p->page->naps, 1);
	if (atomic_load(&p->memory->head) == t->taken) {
		t->naps++;
		if (poll(&fd, 1, 30000) != 1)
			t->wrong++; /* a wake-up was lost */
		(void)octet_came(p);
	}
	atomic_fetch_add(&p->page->naps, 1);
}

static void *taker_run(void *arg)
{
	struct taker *t = arg;
	struct pair *p = t->pair;

	while (t->taken < FLOOD) {
		uint64_t head = atomic_load_explicit(&p->memory->head, memory_order_acquire);

		if (head == t->taken) {
			taker_nap(t);
			continue;
		}
		for (; t->taken < head; t->taken++) {
			struct audit_record copy =
				p->memory->slots[t->taken & (AUDIT_RING_SLOTS - 1)];

			if (copy.index != t->taken || copy.lba != ~t->taken)
				t->wrong++;
		}
		atomic_store_explicit(&p->page->consumed, t->taken, memory_order_release);
	}
	return NULL;
}

static void two_threads(void **state)
{
	struct taker t = {0};
	struct pair p;
	pthread_t thread;

	(void)state;
	pair_open(&p, true);
	atomic_store(&p.page->state, AUDIT_WRITING);
	t.pair = &p;
	assert_int_equal(pthread_create(&thread, NULL, taker_run, &t), 0);
	for (uint64_t i = 0; i < FLOOD;) {
		struct audit_record record = {.lba = ~i};

		if (audit_ring_put(&p.ring, &record, 1) == 0)
			i++;
		if (i % 17 == 0 || i == FLOOD || audit_ring_free(&p.ring) == 0)
			audit_ring_wake(&p.ring);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(t.wrong, 0);
	assert_int_equal(t.taken, FLOOD);
	pair_close(&p);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, healths, check_health);
	tests_add(&t, "P2: a full ring refuses the record, and says so", full_ring_refuses, NULL);
	tests_add(&t, "the auditor is woken once a nap, and for durability", wakes_once_a_nap,
		  NULL);
	tests_add(&t, "P2: each ask for durability is answered by itself", each_ask_is_a_ticket,
		  NULL);
	tests_add(&t, "P2: who waits for the file wakes the auditor, for what is not there yet",
		  asks_for_the_file, NULL);
	tests_add(&t, "P4: a dead auditor means busy, a new one goes on", auditor_dies_and_returns,
		  NULL);
	tests_add(&t, "P2: the build that is tested has its audit", audit_is_built, NULL);
	tests_add(&t, "memory of the wrong size or without seals is refused", refuses_unsealed,
		  NULL);
	tests_add(&t, "P2: no record is lost, repeated or torn between two threads", two_threads,
		  NULL);
	return tests_run(&t, "audit_ring");
}

/* The auditor is killed at any moment and started again: nothing is lost, nothing is
 * written twice, and nobody's command went through unrecorded meanwhile. */
#include "tests/unit/audit_rig.h"

#include <pthread.h>
#include <sys/random.h>

#define KILLS 12

static unsigned random_below(unsigned limit)
{
	unsigned value = 0;

	assert_int_equal(getrandom(&value, sizeof value, 0), sizeof value);
	return value % limit;
}

/* Puts in bursts, as sessions do, until the auditor is killed a random number of microseconds
 * later. Returns how many are put in all. */
static uint64_t put_until_killed(struct rig *r, uint64_t put)
{
	uint64_t until = clock_ns() + random_below(8000) * UINT64_C(1000);

	while (clock_ns() < until) {
		for (size_t i = 0; i < r->count; i++) {
			struct audit_record record = {
				.lba = put, .kind = AUDIT_COMMAND, .wall_ns = 5, .cdb_len = 6};

			if (audit_ring_put(&r->rings[i].ring, &record, clock_ms()) == 0)
				put++;
			if (put % 7 == 0)
				audit_ring_wake(&r->rings[i].ring);
		}
	}
	rig_kill(r);
	for (size_t i = 0; i < r->count; i++) {
		struct audit_record record = {.kind = AUDIT_COMMAND};

		while (audit_ring_woken(&r->rings[i].ring) == 0)
			continue;
		assert_int_equal(audit_ring_put(&r->rings[i].ring, &record, clock_ms()), -EBUSY);
	}
	return put;
}

static void killed_again_and_again(void **state)
{
	uint64_t put = 0, event = 0, limit = commit_segment_limit;
	const uint64_t *segment_limit = *state;
	struct rig_trail got;
	struct rig r;

	commit_segment_limit = *segment_limit;
	rig_open(&r);
	for (uint32_t i = 1; i <= 3; i++)
		rig_ring_add(&r, i);
	for (unsigned round = 0; round < KILLS; round++) {
		rig_start(&r);
		/* as the monitor does: all that was not acknowledged, then a new one */
		for (uint64_t id = r.written + 1; id <= event; id++)
			rig_event(&r, id, EVENT_HELPER);
		rig_event(&r, ++event, EVENT_HELPER);
		if (round % 3 != 0) { /* else it dies while it starts */
			struct message m;

			rig_expect(&r, AUDITOR_READY, &m);
		}
		put = put_until_killed(&r, put);
	}
	rig_start(&r);
	for (uint64_t id = r.written + 1; id <= event; id++)
		rig_event(&r, id, EVENT_HELPER);
	rig_put(&r.rings[0], 0);
	assert_int_equal(rig_stop(&r), 0);
	commit_segment_limit = limit;
	got = rig_read(&r);
	assert_int_equal(got.damage, 0);
	assert_int_equal(got.records, put + 1);
	for (size_t i = 0; i < r.count; i++)
		assert_int_equal(got.next_index[i + 1], r.rings[i].ring.head);
	assert_int_equal(got.events, event);
	assert_int_equal(got.sessions, 3);
	assert_int_equal(got.ends, 1);
	rig_close(&r);
}

static void await_durable(struct rig_ring *ring, uint64_t mark)
{
	while (!audit_ring_is_durable(&ring->ring, mark)) {
		struct pollfd fd = {.fd = ring->ring.wake_fd, .events = POLLIN};

		assert_int_equal(poll(&fd, 1, 30000), 1);
		assert_int_equal(audit_ring_woken(&ring->ring), 0);
	}
}

static void unanswered_ask_is_answered(void **state)
{
	struct rig_ring *ring;
	struct message m;
	struct rig r;
	uint64_t mark;

	(void)state;
	rig_open(&r);
	ring = rig_ring_add(&r, 1);
	rig_start(&r);
	rig_expect(&r, AUDITOR_READY, &m);
	rig_put(ring, 1);
	assert_int_equal(kill(r.pid, SIGSTOP), 0);
	mark = audit_ring_ask_durable(&ring->ring);
	audit_ring_wake(&ring->ring);
	rig_kill(&r);
	assert_false(audit_ring_is_durable(&ring->ring, mark));
	rig_start(&r);
	await_durable(ring, mark);
	assert_int_equal(rig_stop(&r), 0);
	assert_int_equal(rig_read(&r).records, 1);
	rig_close(&r);
}

/* One session's ring comes back before that of another one, whose records its ask is about. */
static void ask_waits_for_all_rings(void **state)
{
	struct rig_ring *asks, *other;
	struct message m;
	struct rig r;
	uint64_t mark;

	(void)state;
	rig_open(&r);
	asks = rig_ring_add(&r, 1);
	other = rig_ring_add(&r, 2);
	rig_start(&r);
	rig_expect(&r, AUDITOR_READY, &m);
	rig_put(asks, 1);
	rig_put(other, 1); /* it has both */
	assert_int_equal(kill(r.pid, SIGSTOP), 0);
	rig_put(other, 2);
	mark = audit_ring_ask_durable(&asks->ring);
	audit_ring_wake(&asks->ring);
	rig_kill(&r);
	rig_begin(&r);
	rig_attach(&r, asks);
	for (uint64_t id = 1; id <= 2; id++) { /* it syncs twice meanwhile */
		rig_event(&r, id, EVENT_HELPER);
		rig_expect(&r, AUDITOR_WRITTEN, &m);
	}
	assert_false(audit_ring_is_durable(&asks->ring, mark));
	rig_attach(&r, other);
	rig_all(&r);
	await_durable(asks, mark);
	assert_int_equal(rig_read(&r).next_index[2], 2);
	assert_int_equal(rig_stop(&r), 0);
	rig_close(&r);
}

/* A session that ended, whose ring the monitor keeps until a flush is answered. */
static void detached_ring_survives(void **state)
{
	struct message m;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_ring_add(&r, 1);
	rig_start(&r);
	rig_expect(&r, AUDITOR_READY, &m);
	assert_int_equal(kill(r.pid, SIGSTOP), 0);
	for (uint64_t i = 0; i < 50; i++) {
		struct audit_record record = {.kind = AUDIT_COMMAND};

		atomic_load(&r.rings[0].page->state);
		if (audit_ring_put(&r.rings[0].ring, &record, 1) < 0)
			break;
	}
	rig_kill(&r);
	rig_start(&r);
	audit_ring_rewake(&r.rings[0].ring, -1);
	assert_int_equal(CHANNEL_SEND(&r.channel, AUDITOR_DETACH, &r.rings[0].info), 0);
	rig_flush(&r, 1);
	assert_int_equal(rig_read(&r).records, r.rings[0].ring.head);
	assert_int_equal(rig_stop(&r), 0);
	rig_close(&r);
}

/* As if the auditor died between the file and the page: what it wrote is not told there. */
static void page_forget(const struct rig_ring *ring)
{
	struct audit_ring_page *page;
	void *map;

	assert_int_equal(memfd_map(ring->page_fd, sizeof *page, PROT_READ | PROT_WRITE, &map), 0);
	page = map;
	atomic_store(&page->consumed, 0);
	atomic_store(&page->opened, 0);
	munmap(map, sizeof *page);
}

static void many_die_before_the_rings_are_back(void **state)
{
	struct rig_trail got;
	struct message m;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_ring_add(&r, 1);
	rig_start(&r);
	rig_expect(&r, AUDITOR_READY, &m);
	for (uint64_t i = 0; i < 40; i++)
		rig_put(&r.rings[0], i);
	rig_flush(&r, 1);
	rig_kill(&r);
	page_forget(&r.rings[0]);
	for (int i = 0; i < 5; i++) {
		rig_begin(&r);
		rig_expect(&r, AUDITOR_READY, &m);
		rig_kill(&r);
	}
	rig_start(&r);
	rig_put(&r.rings[0], 40);
	assert_int_equal(rig_stop(&r), 0);
	got = rig_read(&r);
	assert_int_equal(got.records, 41);
	assert_int_equal(got.sessions, 1);
	rig_close(&r);
}

static void next_run_has_its_own_connections(void **state)
{
	struct rig_trail got;
	struct message m;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_ring_add(&r, 1);
	rig_start(&r);
	rig_put(&r.rings[0], 1);
	rig_event(&r, 1, EVENT_START);
	rig_expect(&r, AUDITOR_WRITTEN, &m);
	rig_flush(&r, 1);
	rig_kill(&r);
	/* another run: another open file description of the lock */
	close(r.lock_fd);
	r.lock_fd = openat(r.folder_fd, "lock", O_RDWR | O_CLOEXEC);
	assert_true(r.lock_fd >= 0);
	audit_ring_detach(&r.rings[0].ring);
	munmap(r.rings[0].page, sizeof *r.rings[0].page);
	close(r.rings[0].ring_fd);
	close(r.rings[0].page_fd);
	r.count = 0;
	rig_ring_add(&r, 1);
	rig_start(&r);
	rig_put(&r.rings[0], 1);
	rig_event(&r, 1, EVENT_START);
	rig_expect(&r, AUDITOR_WRITTEN, &m);
	assert_int_equal(rig_stop(&r), 0);
	got = (struct rig_trail){0};
	{
		static struct trail_record record;
		struct trail *trail;
		unsigned commands = 0, events = 0, unclean = 0;

		assert_int_equal(trail_open(&trail, r.folder_fd, NULL, rig_damage, &got), 0);
		while (trail_next(trail, &record) > 0) {
			commands += record.frame.type == FRAME_COMMAND;
			events += record.frame.type == FRAME_EVENT && record.frame.event.id;
			unclean += record.frame.type == FRAME_EVENT &&
				   strcmp(record.frame.event.reason, "unclean-end") == 0;
		}
		trail_close(trail);
		assert_int_equal(commands, 2);
		assert_int_equal(events, 2);
		assert_int_equal(unclean, 1);
	}
	rig_close(&r);
}

int main(void)
{
	static const uint64_t usual = UINT64_C(64) << 20, small = 3000;
	static struct tests t;

	tests_add(&t, "P2, P4: killed at any moment, it loses and repeats nothing",
		  killed_again_and_again, &usual);
	tests_add(&t, "P2, P4: killed while segments change, it loses and repeats nothing",
		  killed_again_and_again, &small);
	tests_add(&t, "P2: an ask for durability outlives the auditor", unanswered_ask_is_answered,
		  NULL);
	tests_add(&t, "P2: nothing is durable before the rings of all sessions are back",
		  ask_waits_for_all_rings, NULL);
	tests_add(&t, "P2: the records of a session that is over outlive the auditor",
		  detached_ring_survives, NULL);
	tests_add(
		&t,
		"P2: auditors that die in a row before they have the rings lose and repeat nothing",
		many_die_before_the_rings_are_back, NULL);
	tests_add(&t, "another run may use the same numbers of connections and events",
		  next_run_has_its_own_connections, NULL);
	return tests_run(&t, "audit_restart");
}

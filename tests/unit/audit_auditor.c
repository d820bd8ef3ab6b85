/* The auditor at work: what it writes, what it answers, how it ends, and what it makes
 * of a session that puts nonsense into its ring. */
#include "tests/unit/audit_rig.h"

static void everything_is_written(void **state)
{
	struct rig_trail got;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_start(&r);
	rig_ring_add(&r, 1);
	rig_ring_add(&r, 2);
	rig_event(&r, 1, EVENT_START);
	for (uint64_t i = 0; i < 10000; i++) {
		rig_put(&r.rings[i % 2], i);
		if (i % 16 == 0)
			audit_ring_wake(&r.rings[i % 32 / 16].ring);
	}
	rig_event(&r, 2, EVENT_STOP);
	assert_int_equal(rig_stop(&r), 0);
	got = rig_read(&r);
	assert_int_equal(got.records, 10000);
	assert_int_equal(got.next_index[1], 5000);
	assert_int_equal(got.events, 2);
	assert_int_equal(got.sessions, 2);
	assert_int_equal(got.damage, 0);
	assert_int_equal(got.ends, 1);
	assert_int_equal(got.end, SEGMENT_END_STOP);
	rig_close(&r);
}

static void flush_covers_all_rings(void **state)
{
	struct rig_trail got;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_start(&r);
	rig_ring_add(&r, 1);
	rig_ring_add(&r, 2);
	rig_flush(&r, 1);
	rig_put(&r.rings[0], 5);
	rig_put(&r.rings[1], 6); /* nobody is woken: the auditor looks for itself */
	rig_flush(&r, 77);
	got = rig_read(&r);
	assert_int_equal(got.records, 2);
	assert_int_equal(rig_stop(&r), 0);
	rig_close(&r);
}

static void wait_for(struct rig_ring *ring, uint64_t mark,
		     bool (*over)(const struct audit_ring *r, uint64_t mark))
{
	uint64_t until = clock_ms() + 30000;

	while (!over(&ring->ring, mark)) {
		struct pollfd fd = {.fd = ring->ring.wake_fd, .events = POLLIN};

		assert_true(clock_ms() < until);
		assert_int_equal(poll(&fd, 1, 30000), 1); /* one octet says so */
		assert_int_equal(audit_ring_woken(&ring->ring), 0);
	}
}

static void durability_covers_all_rings(void **state)
{
	struct rig_ring *reader, *syncer;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_start(&r);
	syncer = rig_ring_add(&r, 1);
	reader = rig_ring_add(&r, 2);
	for (uint64_t i = 1; i <= 20; i++) {
		struct rig_trail got;
		uint64_t mark;

		rig_put(reader, i);
		rig_put(syncer, i);
		mark = audit_ring_ask_durable(&syncer->ring);
		audit_ring_wake(&syncer->ring);
		wait_for(syncer, mark, audit_ring_is_durable);
		got = rig_read(&r);
		assert_int_equal(got.next_index[1], i);
		assert_int_equal(got.next_index[2], i);
	}
	assert_int_equal(rig_stop(&r), 0);
	rig_close(&r);
}

static void events_are_acknowledged(void **state)
{
	struct message m;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_start(&r);
	for (uint64_t id = 1; id <= 5; id++)
		rig_event(&r, id, EVENT_LOGIN);
	while (r.written < 5) {
		rig_expect(&r, AUDITOR_WRITTEN, &m);
		assert_int_equal(rig_read(&r).last_event >= r.written, 1);
	}
	rig_event(&r, 4, EVENT_LOGIN); /* sent again: not written again, acknowledged again */
	rig_expect(&r, AUDITOR_WRITTEN, &m);
	assert_int_equal(r.written, 5);
	assert_int_equal(rig_stop(&r), 0);
	assert_int_equal(rig_read(&r).events, 5);
	rig_close(&r);
}

static void dead_monitor_loses_nothing(void **state)
{
	struct rig_trail got;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_start(&r);
	rig_ring_add(&r, 1);
	for (uint64_t i = 0; i < 100; i++)
		rig_put(&r.rings[0], i);
	(void)close(fcntl(r.channel.fd, F_DUPFD_CLOEXEC, 0));
	channel_close(&r.channel);
	for (uint64_t i = 100; i < 3000; i++)
		rig_put(&r.rings[0], i); /* the session lives on for a moment */
	audit_ring_rewake(&r.rings[0].ring, -1);
	assert_int_equal(rig_wait(&r), 0);
	got = rig_read(&r);
	assert_int_equal(got.records, 3000);
	assert_int_equal(got.end, SEGMENT_END_ORPHANED);
	rig_close(&r);
}

static void events_follow_their_commands(void **state)
{
	struct audit_event logout = {.id = 1, .kind = EVENT_LOGOUT, .connection = 1};
	struct rig_trail got;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_start(&r);
	rig_ring_add(&r, 1);
	rig_flush(&r, 1);
	for (uint64_t i = 0; i < 10; i++)
		rig_put(&r.rings[0], i); /* nobody is woken */
	assert_int_equal(CHANNEL_SEND(&r.channel, AUDITOR_EVENT, &logout), 0);
	assert_int_equal(rig_stop(&r), 0);
	got = rig_read(&r);
	assert_int_equal(got.records, 10);
	assert_int_equal(got.last_sequence, 1 + 10 + 1 + 1); /* session, commands, logout, end */
	assert_int_equal(got.sequence_of[1], 11);
	rig_close(&r);
}

static void detached_rings_are_drained(void **state)
{
	struct rig_trail got;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_start(&r);
	rig_ring_add(&r, 1);
	for (uint64_t i = 0; i < 100; i++)
		rig_put(&r.rings[0], i);
	audit_ring_rewake(&r.rings[0].ring, -1);
	assert_int_equal(CHANNEL_SEND(&r.channel, AUDITOR_DETACH, &r.rings[0].info), 0);
	rig_flush(&r, 1);
	assert_int_equal(rig_read(&r).records, 100);
	assert_int_equal(rig_stop(&r), 0);
	got = rig_read(&r);
	assert_int_equal(got.records, 100);
	rig_close(&r);
}

/* Who asks a second time must know the first answer, which comes late, from the second. */
static void epochs_answer_their_requests(void **state)
{
	uint8_t keys[2][32] = {0};
	struct auditor_epoch told;
	struct message m;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_start(&r);
	rig_expect(&r, AUDITOR_READY, &m);
	for (uint64_t i = 0; i < 2; i++) {
		const struct auditor_flush request = {.id = 7 + i};
		OWNED_FD fd = memfd_shared("key", sizeof keys[i]);

		assert_int_equal(
			channel_send(&r.channel, AUDITOR_EPOCH, &request, sizeof request, &fd, 1),
			0);
		rig_expect(&r, AUDITOR_EPOCH_BEGUN, &m);
		memcpy(&told, m.body, sizeof told);
		assert_int_equal(told.error, 0);
		assert_int_equal(told.id, 7 + i);
		assert_int_equal(told.epoch, 2 + i);
		assert_int_equal(pread(fd, keys[i], sizeof keys[i], 0), sizeof keys[i]);
	}
	assert_memory_not_equal(keys[0], keys[1], sizeof keys[0]);
	assert_int_equal(rig_stop(&r), 0);
	rig_close(&r);
}

static uint64_t last_segment(const struct rig *r)
{
	struct segment_list list;
	uint64_t last;

	assert_int_equal(segment_list_read(r->folder_fd, LOG_COMMANDS, &list), 0);
	assert_true(list.count > 0);
	last = list.numbers[list.count - 1];
	segment_list_free(&list);
	return last;
}

/* Smaller than what every segment has: one more only when there is something to put there. */
static void segments_are_not_empty(void **state)
{
	uint64_t limit = commit_segment_limit, before;
	struct message m;
	struct rig r;

	(void)state;
	commit_segment_limit = 1;
	rig_open(&r);
	rig_start(&r);
	rig_ring_add(&r, 1);
	rig_put(&r.rings[0], 1);
	rig_flush(&r, 1);
	before = last_segment(&r);
	for (uint64_t id = 2; id < 20; id++)
		rig_flush(&r, id);
	assert_true(last_segment(&r) <= before + 1);
	rig_expect(&r, AUDITOR_STATUS, &m);
	assert_true(last_segment(&r) <= before + 1);
	assert_int_equal(rig_stop(&r), 0);
	commit_segment_limit = limit;
	rig_close(&r);
}

/* Each one alone and the next only when it is over, so an auditor that looks at its rings by the
 * clock, or that tells nobody, does not come to the end of it. */
static void who_waits_is_told(void **state)
{
	struct rig_ring *ring;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_start(&r);
	ring = rig_ring_add(&r, 1);
	(void)rig_ring_add(&r, 2);
	for (uint64_t i = 1; i <= 300; i++) {
		uint64_t mark;

		rig_put(ring, i);
		if (i % 3 == 0)
			rig_put(ring, i);
		mark = audit_ring_ask_written(&ring->ring);
		assert_int_equal(mark, ring->ring.head);
		audit_ring_wake(&ring->ring);
		wait_for(ring, mark, audit_ring_is_written);
		if (i % 100 == 0)
			assert_int_equal(rig_read(&r).next_index[1], mark);
	}
	assert_int_equal(rig_stop(&r), 0);
	rig_close(&r);
}

/* Whatever a session asks for there, the others' records are written and the auditor lives. */
static void asks_for_nonsense(void **state)
{
	static const uint64_t asked[] = {UINT64_MAX, 1, UINT64_C(1) << 63, 0, 4711};
	struct rig_ring *bad, *good;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_start(&r);
	bad = rig_ring_add(&r, 1);
	good = rig_ring_add(&r, 2);
	for (uint64_t i = 0; i < ARRAY_LEN(asked); i++) {
		uint64_t mark;

		rig_put(bad, i);
		atomic_store(&bad->ring.memory->written_wanted, asked[i]);
		bad->ring.asked = true;
		audit_ring_wake(&bad->ring);
		rig_put(good, i);
		mark = audit_ring_ask_written(&good->ring);
		audit_ring_wake(&good->ring);
		wait_for(good, mark, audit_ring_is_written);
	}
	rig_flush(&r, 1);
	assert_int_equal(rig_read(&r).records, 2 * ARRAY_LEN(asked));
	assert_int_equal(rig_stop(&r), 0);
	rig_close(&r);
}

struct hostile {
	const char *why;
	uint64_t head, index; /* what the session writes */
	uint64_t good;	      /* records before that */
};

static const struct hostile hostiles[] = {
	{"a head beyond all slots ends the ring, and nobody else's", AUDIT_RING_SLOTS + 11, 10, 10},
	{"a head that goes back ends the ring", 9, 10, 10},
	{"the largest head ends the ring", UINT64_MAX, 10, 10},
	{"a record with another's number ends the ring", 11, 12, 10},
};

static void hostile_ring(void **state)
{
	const struct hostile *h = *state;
	struct audit_ring_memory *memory;
	struct rig_ring *bad, *good;
	struct rig_trail got;
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	bad = rig_ring_add(&r, 1);
	good = rig_ring_add(&r, 2);
	for (uint64_t i = 0; i < h->good; i++)
		rig_put(bad, i);
	rig_flush(&r, 1);
	memory = bad->ring.memory;
	memory->slots[h->good].index = h->index;
	atomic_store(&memory->head, h->head);
	rig_flush(&r, 2);
	rig_put(good, 1);
	rig_flush(&r, 3);
	assert_int_equal(atomic_load(&bad->page->state), AUDIT_AWAY);
	assert_int_equal(atomic_load(&good->page->state), AUDIT_WRITING);
	assert_int_equal(audit_ring_woken(&bad->ring), -EPIPE);
	assert_int_equal(rig_stop(&r), 0);
	got = rig_read(&r);
	assert_int_equal(got.next_index[1], h->good);
	assert_int_equal(got.next_index[2], 1);
	assert_int_equal(got.gaps, 1);
	assert_string_equal(got.gap.reason, "ring-corrupt");
	assert_int_equal(got.gap.connection, 1);
	rig_close(&r);
}

static void segments_follow_each_other(void **state)
{
	uint64_t limit = commit_segment_limit;
	struct segment_list list;
	struct rig_trail got;
	struct rig r;

	(void)state;
	commit_segment_limit = 3000;
	rig_open(&r);
	rig_start(&r);
	commit_segment_limit = limit;
	rig_ring_add(&r, 1);
	rig_ring_add(&r, 2);
	for (uint64_t i = 0; i < 20000; i++) {
		rig_put(&r.rings[i % 2], i);
		if (i % 2000 == 0)
			rig_flush(&r, i);
	}
	assert_int_equal(rig_stop(&r), 0);
	assert_int_equal(segment_list_read(r.folder_fd, LOG_COMMANDS, &list), 0);
	assert_true(list.count > 3);
	segment_list_free(&list);
	got = rig_read(&r);
	assert_int_equal(got.records, 20000);
	assert_int_equal(got.damage, 0);
	rig_start(&r); /* a second run goes on with the numbers */
	assert_int_equal(rig_stop(&r), 0);
	got = rig_read(&r);
	assert_int_equal(got.records, 20000);
	assert_int_equal(got.ends, 2);
	rig_close(&r);
}

static void idle_session_wakes_it(void **state)
{
	struct rig_ring *ring;
	struct rig r;

	(void)state;
	rig_open(&r);
	rig_start(&r);
	ring = rig_ring_add(&r, 1);
	for (uint64_t i = 1; i <= 5; i++) {
		uint64_t until = clock_ms() + 30000;

		while (atomic_load(&ring->page->naps) % 2 == 0)
			assert_true(clock_ms() < until && usleep(200) == 0);
		rig_put(ring, i);
		audit_ring_wake(&ring->ring);
		while (atomic_load(&ring->page->consumed) < i)
			assert_true(clock_ms() < until && usleep(200) == 0);
	}
	assert_int_equal(rig_stop(&r), 0);
	rig_close(&r);
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "P2: every record of every session is in the trail, in order",
		  everything_is_written, NULL);
	tests_add(&t, "a flush covers what all rings held when it was asked",
		  flush_covers_all_rings, NULL);
	tests_add(&t, "P2: durability covers what other sessions put before",
		  durability_covers_all_rings, NULL);
	tests_add(&t, "P2: a session that waits for the file is told as soon as it is written",
		  who_waits_is_told, NULL);
	tests_add(&t, "P6: who asks for records that do not exist disturbs nobody",
		  asks_for_nonsense, NULL);
	tests_add(&t, "events are acknowledged when they are written, and written once",
		  events_are_acknowledged, NULL);
	tests_add(&t, "P2: what sessions put after the monitor's death is written",
		  dead_monitor_loses_nothing, NULL);
	tests_add(&t, "a logout stands behind the commands of its session",
		  events_follow_their_commands, NULL);
	tests_add(&t, "a ring is drained before it is forgotten", detached_rings_are_drained, NULL);
	TESTS_ADD_TABLE(&t, hostiles, hostile_ring);
	tests_add(&t, "segments go on where the one before ends, in the next run too",
		  segments_follow_each_other, NULL);
	tests_add(&t, "each epoch that is begun says which request it answers",
		  epochs_answer_their_requests, NULL);
	tests_add(&t, "P6: no segment is left for another one before it has something",
		  segments_are_not_empty, NULL);
	tests_add(&t, "a sleeping auditor is woken by the first record", idle_session_wakes_it,
		  NULL);
	return tests_run(&t, "audit_auditor");
}

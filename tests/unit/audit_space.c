/* Room for the trail: what retention deletes is recorded before, and nothing else goes; too little
 * room stops commands and no event; the reserve is there, and as large as the policy wants it. */
#include "tests/unit/audit_rig.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include "gateway/audit/retention.h"
#include "gateway/audit/space.h"

static struct tests t;
static struct rig r;

#define KIB	  UINT64_C(1024)
#define SEGMENT_1 "commands-000001.log"

static _Atomic int64_t *ahead_s; /* of the wall clock, here and in the auditor */

/* libc's, by name. */
int clock_gettime(clockid_t id, struct timespec *ret)
{
	int e = (int)syscall(SYS_clock_gettime, id, ret);

	if (e == 0 && id == CLOCK_REALTIME && ahead_s)
		ret->tv_sec += atomic_load(ahead_s);
	return e;
}

static const struct auditor_room never, always = {.octets = UINT64_MAX / 4};

static void settings(const struct auditor_settings *s)
{
	assert_int_equal(CHANNEL_SEND(&r.channel, AUDITOR_SETTINGS, s), 0);
}

static struct segment_list segments(enum audit_log log)
{
	struct segment_list list;

	assert_int_equal(segment_list_read(r.folder_fd, log, &list), 0);
	return list;
}

static uint64_t first_segment(enum audit_log log)
{
	struct segment_list list = segments(log);
	uint64_t first = list.count ? list.numbers[0] : 0;

	segment_list_free(&list);
	return first;
}

static uint64_t octets(void)
{
	uint64_t sum = 0;
	char name[SEGMENT_NAME_SIZE];
	struct stat st;

	for (enum audit_log log = LOG_COMMANDS; log <= LOG_EVENTS; log++) {
		struct segment_list list = segments(log);

		for (size_t i = 0; i < list.count; i++)
			if (fstatat(r.folder_fd, segment_name(log, list.numbers[i], name), &st,
				    0) == 0)
				sum += (uint64_t)st.st_size;
		segment_list_free(&list);
	}
	return sum;
}

/* Commands that compress badly. */
static void put_many(struct rig_ring *ring, unsigned count)
{
	static uint64_t lba = 1;

	for (unsigned k = 0; k < count; k++) {
		lba = lba * UINT64_C(6364136223846793005) + 1442695040888963407u;
		rig_put(ring, lba >> 16);
	}
}

/* --- retention -------------------------------------------------------------------------------- */

/* What the trail says of retention, against what is there. */
struct told {
	uint64_t segments[AUDIT_LOGS]; /* that were deleted */
	uint64_t next_block[AUDIT_LOGS];
	uint64_t records, first, last;
};

static void damaged(void *arg, bool damage, const char *text)
{
	(void)arg;
	if (damage)
		fail_msg("%s", text);
}

static struct told read_trail(void)
{
	static struct trail_record record;
	struct trail *trail;
	struct told told = {0};
	struct retention what;

	assert_int_equal(trail_open(&trail, r.folder_fd, NULL, damaged, NULL), 0);
	while (trail_next(trail, &record) > 0) {
		const struct audit_event *e = &record.frame.event;

		told.first = told.first ? told.first : record.frame.stamp.sequence;
		told.last = record.frame.stamp.sequence;
		told.records += record.frame.type == FRAME_COMMAND;
		if (record.frame.type != FRAME_EVENT || e->kind != EVENT_RETENTION)
			continue;
		assert_int_equal(retention_read(&what, e->detail, strlen(e->detail)), 0);
		assert_string_equal(e->reason, RETENTION_REASON);
		if (what.segment == told.segments[what.log - 1])
			continue; /* an auditor died before it deleted it: the next one did */
		assert_int_equal(what.segment, told.segments[what.log - 1] + 1);
		assert_int_equal(what.first_block, told.next_block[what.log - 1]);
		assert_true(what.first_sequence + what.sequences <= record.frame.stamp.sequence);
		told.segments[what.log - 1]++;
		told.next_block[what.log - 1] += what.blocks;
	}
	trail_close(trail);
	return told;
}

static unsigned events_of(enum audit_event_kind kind, const char *reason)
{
	static struct trail_record record;
	struct trail *trail;
	unsigned count = 0;

	assert_int_equal(trail_open(&trail, r.folder_fd, NULL, damaged, NULL), 0);
	while (trail_next(trail, &record) > 0)
		count += record.frame.type == FRAME_EVENT && record.frame.event.kind == kind &&
			 strcmp(record.frame.event.reason, reason) == 0;
	trail_close(trail);
	return count;
}

static void wait_for(bool (*condition)(void))
{
	uint64_t until = clock_ms() + 30000;
	struct message m;

	while (!condition()) {
		assert_true(clock_ms() < until);
		while (channel_receive(&r.channel, &m) > 0)
			continue;
		(void)poll(NULL, 0, 5);
	}
}

static struct rig_ring *begin(const struct auditor_settings *s)
{
	struct rig_ring *ring;
	struct message m;

	rig_open(&r);
	ring = rig_ring_add(&r, 1);
	rig_start(&r);
	settings(s);
	rig_expect(&r, AUDITOR_READY, &m);
	return ring;
}

static bool fits(void)
{
	return octets() <= 1024 * KIB && first_segment(LOG_COMMANDS) > 1;
}

static void run_at_most(void **state)
{
	const struct auditor_settings s = {.at_most = 1024 * KIB};
	struct rig_ring *ring = begin(&s);
	struct told told;

	(void)state;
	rig_event(&r, 1, EVENT_START);
	put_many(ring, 150000);
	wait_for(fits);
	rig_flush(&r, 7);
	assert_int_equal(rig_stop(&r), 0);
	told = read_trail();
	assert_int_equal(told.segments[LOG_COMMANDS - 1], first_segment(LOG_COMMANDS) - 1);
	assert_true(told.segments[LOG_COMMANDS - 1] > 0);
	assert_int_equal(told.segments[LOG_EVENTS - 1], 0); /* these go by their age alone */
	assert_int_equal(first_segment(LOG_EVENTS), 1);
	assert_true(told.records > 0 && told.records < 150000);
	rig_close(&r);
}

static bool commands_went(void)
{
	return first_segment(LOG_COMMANDS) > 1;
}

static bool both_went(void)
{
	return first_segment(LOG_COMMANDS) > 1 && first_segment(LOG_EVENTS) > 1;
}

static void run_age(void **state)
{
	const struct auditor_settings s = {.keep_ms = 50};
	struct rig_ring *ring = begin(&s);
	struct told told;
	uint64_t id = 1, until;

	(void)state;
	until = clock_ms() + 30000;
	do {
		put_many(ring, 10);
		rig_event(&r, id, EVENT_POLICY);
		rig_flush(&r, id++);
	} while (!both_went() && clock_ms() < until);
	assert_true(both_went());
	assert_int_equal(rig_stop(&r), 0);
	told = read_trail();
	assert_true(told.segments[LOG_COMMANDS - 1] >= 1);
	assert_int_equal(told.last, told.last);
	rig_close(&r);
}

/* Younger than `for`: at_most takes nothing of it. */
static void run_young(void **state)
{
	const struct auditor_settings s = {.keep_ms = 3600000, .at_most = 256 * KIB};
	const struct auditor_settings bounded = {.at_most = 256 * KIB};
	struct rig_ring *ring = begin(&s);
	struct told told;

	(void)state;
	put_many(ring, 100000);
	rig_flush(&r, 1);
	assert_true(octets() > 256 * KIB);
	settings(&s); /* has it look */
	rig_flush(&r, 2);
	assert_int_equal(first_segment(LOG_COMMANDS), 1);
	settings(&bounded);
	wait_for(commands_went);
	assert_int_equal(rig_stop(&r), 0);
	told = read_trail();
	assert_true(told.segments[LOG_COMMANDS - 1] > 0);
	rig_close(&r);
}

/* Something that can't be deleted, as a file that somebody made immutable. */
static void run_stuck(void **state)
{
	const struct auditor_settings young = {.keep_ms = 3600000, .at_most = 256 * KIB};
	const struct auditor_settings bounded = {.at_most = 256 * KIB};
	struct rig_ring *ring = begin(&young);
	struct message m;

	(void)state;
	put_many(ring, 100000);
	rig_flush(&r, 1);
	assert_int_equal(renameat(r.folder_fd, SEGMENT_1, r.folder_fd, "aside"), 0);
	assert_int_equal(mkdirat(r.folder_fd, SEGMENT_1, 0700), 0);
	settings(&bounded);
	for (unsigned k = 0; k < 2; k++) { /* a second and more */
		put_many(ring, 1);
		audit_ring_wake(&ring->ring);
		rig_expect(&r, AUDITOR_STATUS, &m);
	}
	assert_int_equal(unlinkat(r.folder_fd, SEGMENT_1, AT_REMOVEDIR), 0);
	assert_int_equal(renameat(r.folder_fd, "aside", r.folder_fd, SEGMENT_1), 0);
	rig_flush(&r, 2);
	assert_int_equal(events_of(EVENT_RETENTION, RETENTION_REASON), 1);
	settings(&bounded);
	wait_for(commands_went);
	assert_int_equal(rig_stop(&r), 0);
	rig_close(&r);
}

/* The clock of the machine jumps by ten years. */
static void run_ahead(void **state)
{
	const struct auditor_settings s = {.keep_ms = 3600000, .at_most = 256 * KIB};
	struct rig_ring *ring = begin(&s);
	struct message m;

	(void)state;
	put_many(ring, 30000);
	rig_flush(&r, 1);
	atomic_store(ahead_s, 10 * 365 * 86400);
	for (unsigned k = 0; k < 2; k++) {
		put_many(ring, 1);
		audit_ring_wake(&ring->ring);
		rig_expect(&r, AUDITOR_STATUS, &m);
	}
	assert_int_equal(first_segment(LOG_COMMANDS), 1);
	assert_int_equal(rig_stop(&r), 0);
	atomic_store(ahead_s, 0);
	assert_int_equal(events_of(EVENT_RETENTION, RETENTION_REASON), 0);
	rig_close(&r);
}

/* Killed at any moment: what is gone was recorded. */
static void run_killed(void **state)
{
	const struct auditor_settings s = {.at_most = 256 * KIB};
	struct rig_ring *ring = begin(&s);
	struct message m;
	struct told told;

	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		put_many(ring, 20000);
		rig_kill(&r);
		told = read_trail();
		assert_true(told.segments[LOG_COMMANDS - 1] + 1 >= first_segment(LOG_COMMANDS));
		rig_start(&r);
		settings(&s);
		rig_expect(&r, AUDITOR_READY, &m);
	}
	wait_for(commands_went);
	assert_int_equal(rig_stop(&r), 0);
	rig_close(&r);
}

/* --- room ------------------------------------------------------------------------------------- */

static void expect_room(enum audit_room room)
{
	struct message m;

	do
		rig_expect(&r, AUDITOR_STATUS, &m);
	while (r.status.room != room);
}

static void run_room(void **state)
{
	const struct auditor_settings enough = {.warn = never};
	const struct auditor_settings little = {.warn = always};
	const struct auditor_settings refuse = {.warn = always, .refuse = always};
	const struct auditor_settings stop = {.warn = always, .refuse = always, .stop = always};
	struct rig_ring *ring = begin(&enough);

	(void)state;
	settings(&little);
	expect_room(ROOM_WARN);
	assert_int_equal(ring->page->state, AUDIT_WRITING);
	settings(&refuse);
	expect_room(ROOM_REFUSE);
	assert_int_equal(ring->page->state, AUDIT_WRITING);
	settings(&stop);
	expect_room(ROOM_STOP);
	assert_int_equal(ring->page->state, AUDIT_CANNOT_WRITE); /* P4: BUSY */
	rig_event(&r, 1, EVENT_OPERATOR);
	rig_flush(&r, 1); /* it is on the disk all the same */
	settings(&enough);
	expect_room(ROOM_ENOUGH);
	assert_int_equal(ring->page->state, AUDIT_WRITING);
	put_many(ring, 10);
	assert_int_equal(rig_stop(&r), 0);
	assert_int_equal(events_of(EVENT_SPACE, "warn"), 1);
	assert_int_equal(events_of(EVENT_SPACE, "refuse"), 1);
	assert_int_equal(events_of(EVENT_SPACE, "stop"), 1);
	assert_int_equal(events_of(EVENT_SPACE, "enough"), 1);
	assert_int_equal(events_of(EVENT_OPERATOR, "a-reason"), 1);
	rig_close(&r);
}

/* Outcomes are put while no command runs, and the session's end stands behind them. */
static void run_order(void **state)
{
	const struct auditor_settings stop = {.warn = always, .refuse = always, .stop = always};
	const struct audit_event logout = {.id = 1, .kind = EVENT_LOGOUT, .connection = 1};
	struct rig_ring *ring = begin(&stop);
	static struct trail_record record;
	unsigned commands = 0, before = 0;
	struct trail *trail;

	(void)state;
	expect_room(ROOM_STOP);
	for (unsigned k = 0; k < 10; k++) {
		struct audit_record outcome = {.kind = AUDIT_OUTCOME};

		audit_ring_put_kept(&ring->ring, &outcome, clock_ms()); /* nobody is woken */
	}
	assert_int_equal(CHANNEL_SEND(&r.channel, AUDITOR_EVENT, &logout), 0);
	assert_int_equal(rig_stop(&r), 0);
	assert_int_equal(trail_open(&trail, r.folder_fd, NULL, damaged, NULL), 0);
	while (trail_next(trail, &record) > 0) {
		commands += record.frame.type == FRAME_COMMAND;
		if (record.frame.type == FRAME_EVENT && record.frame.event.kind == EVENT_LOGOUT)
			before = commands;
	}
	trail_close(trail);
	assert_int_equal(before, 10);
	rig_close(&r);
}

/* All that is kept is young: what is left of at_most is the room. */
static void run_bounded(void **state)
{
	const struct auditor_settings s = {
		.keep_ms = 3600000, .at_most = 512 * KIB, .warn = {.octets = 256 * KIB}};
	struct rig_ring *ring = begin(&s);

	(void)state;
	put_many(ring, 60000);
	expect_room(ROOM_WARN);
	assert_true(r.status.trail_octets > 256 * KIB);
	assert_true(r.status.free_octets < 256 * KIB);
	assert_int_equal(first_segment(LOG_COMMANDS), 1);
	assert_int_equal(rig_stop(&r), 0);
	rig_close(&r);
}

/* --- the reserve ------------------------------------------------------------------------------ */

static off_t reserve_octets(void)
{
	struct stat st;

	if (fstatat(r.folder_fd, RESERVE_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(st.st_blocks * 512 >= st.st_size);
	return st.st_size;
}

static void run_reserve(void **state)
{
	struct auditor_settings s = {.reserve = 256 * KIB};

	(void)state;
	(void)begin(&s);
	rig_flush(&r, 1);
	assert_int_equal(reserve_octets(), 256 * KIB);
	s.reserve = 1024 * KIB;
	settings(&s);
	rig_flush(&r, 2);
	assert_int_equal(reserve_octets(), 1024 * KIB);
	s.reserve = 64 * KIB;
	settings(&s);
	rig_flush(&r, 3);
	assert_int_equal(reserve_octets(), 64 * KIB);
	s.reserve = UINT64_C(1) << 50; /* there is not so much: none, and nothing is full for it */
	settings(&s);
	rig_flush(&r, 4);
	rig_event(&r, 1, EVENT_POLICY);
	rig_flush(&r, 5);
	assert_int_equal(rig_stop(&r), 0);
	rig_close(&r);
}

int main(void)
{
	static const struct {
		const char *why;
		void (*run)(void **state);
	} rows[] = {
		{"at_most deletes the oldest commands, each recorded before, and no event",
		 run_at_most},
		{"what is older than `for` goes, events too", run_age},
		{"at_most takes nothing that is younger than `for`", run_young},
		{"what can't be deleted is recorded once, and tried again when the policy is taken "
		 "up again",
		 run_stuck},
		{"a clock that is set ahead makes nothing older than `for`", run_ahead},
		{"P4: an auditor that is killed has recorded what is gone", run_killed},
		{"little room warns, less lets nobody in, too little stops commands, and no event",
		 run_room},
		{"a session's end stands behind its outcomes while commands are stopped, too",
		 run_order},
		{"what is left of at_most is the room when nothing may go", run_bounded},
		{"the reserve is as large as the policy wants it", run_reserve},
	};

	(void)signal(SIGPIPE, SIG_IGN);
	ahead_s = mmap(NULL, sizeof *ahead_s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	assert(ahead_s != MAP_FAILED);
	TESTS_ADD_TABLE(&t, rows, NULL);
	for (size_t k = 0; k < t.count; k++)
		t.list[k].test_func = rows[k].run;
	return tests_run(&t, "audit");
}

/* The arbiter as a process: what hostile sessions can do to it, and to the others. */
#include "tests/unit/arbiter_process_rig.h"

static void drains(void **state)
{
	struct arbiter_view *v = &sessions[2].view;
	struct arbiter_event e;
	int parity;

	open_all(state);
	parity = enter(2);
	reset(1, 41);
	expect(&sessions[2].channel, ARBITER_CHANGED, NULL, 0);
	assert_true(arbiter_moved(v));
	assert_true(arbiter_event_next(v, 0, &e));
	arbiter_leave(v, 0, parity);
	assert_int_equal(v->settled, 1);
	assert_int_equal(channel_send(&sessions[2].channel, ARBITER_SETTLED, NULL, 0, NULL, 0), 0);
	expect(&sessions[1].channel, ARBITER_CHANGED, NULL, 0);
	expect_done(1, 41);
	assert_true(arbiter_event_next(&sessions[1].view, 0, &e));
	close_all(0);
}

static void dies_in_flight(void **state)
{
	open_all(state);
	(void)enter(2);
	channel_close(&sessions[2].channel); /* its process is gone, its I/O is not */
	reset(1, 42);
	expect(&sessions[1].channel, ARBITER_CHANGED, NULL, 0);
	over(2);
	expect_done(1, 42);
	close_all(0);
}

static void send_raw(uint32_t n, uint32_t type, size_t size, int fd)
{
	static const uint8_t body[CHANNEL_BODY_MAX];

	IGNORE_RESULT(channel_send(&sessions[n].channel, type, body, size, &fd, fd >= 0));
}

static void flood_of_requests(void)
{
	struct arbiter_exclude body = {.id = 1, .luns = {1}};

	for (unsigned k = 0; k < 10000; k++) {
		if (CHANNEL_SEND(&sessions[3].channel, ARBITER_EXCLUDE, &body) == -EPIPE)
			return;
	}
}

static void greets_twice(void)
{
	struct arbiter_hello hello = {.life = 1};

	IGNORE_RESULT(CHANNEL_SEND(&sessions[3].channel, ARBITER_HELLO, &hello));
}

static void too_short(void)
{
	send_raw(3, ARBITER_EXCLUDE, sizeof(struct arbiter_exclude) - 1, -1);
}

static void passes_a_descriptor(void)
{
	send_raw(3, ARBITER_SETTLED, 0, 2);
}

static void unknown_type(void)
{
	send_raw(3, 31, 0, -1);
}

static void speaks_as_the_monitor(void)
{
	send_raw(3, ARBITER_OVER, sizeof(struct arbiter_over), -1);
}

static const struct {
	const char *why;
	void (*run)(void);
} attacks[] = {
	{"P6: a session that floods it with requests is ended", flood_of_requests},
	{"P6: a session that greets twice is ended", greets_twice},
	{"P6: a session whose message is too short is ended", too_short},
	{"P6: a session that passes a descriptor is ended", passes_a_descriptor},
	{"P6: a session with an unknown message is ended", unknown_type},
	{"P6: a session that speaks as the monitor is ended", speaks_as_the_monitor},
};

static void attack(void **state)
{
	int parity;

	open_all(NULL);
	/* so that requests wait, and a second one is one too many */
	parity = enter(2);
	((const __typeof__(attacks[0]) *)*state)->run();
	expect_kill(3, ARBITER_BROKE_CHANNEL);
	expect_end(&sessions[3].channel);
	over(3);
	arbiter_leave(&sessions[2].view, 0, parity);
	reset(1, 43); /* the others have an arbiter as before */
	while (true) {
		struct pollfd p = {sessions[1].channel.fd, POLLIN, 0};
		struct message m;

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_int_equal(channel_receive(&sessions[1].channel, &m), 1);
		if (m.type == ARBITER_DONE)
			break;
	}
	close_all(0);
}

static void never_reads(void **state)
{
	struct arbiter_event e;
	open_all(state);
	/* session 3 reads nothing: its channel fills up, and nobody waits for it */
	for (uint32_t k = 0; k < 1000; k++) {
		reset(1, k);
		expect(&sessions[1].channel, ARBITER_CHANGED, NULL, 0);
		expect_done(1, k);
	}
	assert_true(arbiter_moved(&sessions[3].view));
	assert_true(arbiter_event_next(&sessions[3].view, 0, &e));
	close_all(0);
}

/* Its channel is full when it is answered; while it does not read, it is not heard. */
static void answered_later(void **state)
{
	struct arbiter_order order = {.id = 7, .kind = ORDER_FAILED, .at = EIO};
	uint64_t failed = 0;
	struct message m;

	open_all(state);
	for (uint32_t k = 0; k < 1000 || failed == 0; k++) {
		if (k == 1000)
			assert_int_equal(CHANNEL_SEND(&sessions[3].channel, ARBITER_ORDER, &order),
					 0);
		reset(1, k);
		expect(&sessions[1].channel, ARBITER_CHANGED, NULL, 0);
		do
			take_next(&sessions[1].channel, &m);
		while (m.type != ARBITER_DONE);
		assert_true(arbiter_adopt(&sessions[1].view, 0));
		failed = sessions[1].view.luns[0].state.failed;
	}
	reset(3, 8);
	do
		take_next(&sessions[3].channel, &m);
	while (m.type == ARBITER_CHANGED);
	assert_int_equal(m.type, ARBITER_ANSWER);
	assert_int_equal(((const struct arbiter_answer *)(const void *)m.body)->id, 7);
	do
		take_next(&sessions[3].channel, &m);
	while (m.type == ARBITER_CHANGED);
	assert_int_equal(m.type, ARBITER_DONE);
	close_all(0);
}

static void many(void **state)
{
	struct arbiter_attach info = {.connection = 2, .disks = {1}};
	struct arbiter_attached attached;
	int pair[2], fds[2];

	open_all(state);
	assert_int_equal(channel_pair(pair), 0);
	fds[0] = pair[1];
	fds[1] = sessions[2].own_fd;
	assert_int_equal(channel_send(&monitor, ARBITER_ATTACH, &info, sizeof info, fds, 2), 0);
	expect(&monitor, ARBITER_ATTACHED, &attached, sizeof attached);
	assert_int_equal(attached.error, EINVAL); /* a connection a second time */
	info.connection = 4;
	fds[1] = pair[0]; /* no memory at all */
	assert_int_equal(channel_send(&monitor, ARBITER_ATTACH, &info, sizeof info, fds, 2), 0);
	expect(&monitor, ARBITER_ATTACHED, &attached, sizeof attached);
	assert_int_equal(attached.error, EINVAL);
	(void)close(pair[0]);
	(void)close(pair[1]);
	over(17); /* nobody */
	reset(1, 1);
	expect(&sessions[1].channel, ARBITER_CHANGED, NULL, 0);
	expect_done(1, 1);
	close_all(0);
}

static void is_there(void **state)
{
	open_all(state);
	for (unsigned k = 0; k < 3; k++) {
		assert_int_equal(channel_send(&monitor, ARBITER_BEAT, NULL, 0, NULL, 0), 0);
		expect(&monitor, ARBITER_ALIVE, NULL, 0);
	}
	close_all(0);
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "a reset is answered when the others have drained", drains, NULL);
	tests_add(&t, "P4: a session that dies in flight is awaited until it is over",
		  dies_in_flight, NULL);
	TESTS_ADD_TABLE(&t, attacks, attack);
	tests_add(&t, "P6: a session that never reads keeps nobody waiting", never_reads, NULL);
	tests_add(&t, "an answer for which there is no room comes when there is", answered_later,
		  NULL);
	tests_add(&t, "what can't be attached is refused, and nothing else", many, NULL);
	tests_add(&t, "asked whether it is there, it says so", is_there, NULL);
	return tests_run(&t, "arbiter");
}

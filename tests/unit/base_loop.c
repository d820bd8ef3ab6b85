/* The event loop: who is called, in which order, and who is not any more. */
#include <fcntl.h>
#include "gateway/base/clock.h"
#include "gateway/base/loop.h"
#include "tests/unit/test.h"

static struct loop *loop;
static int calls;

static int setup(void **state)
{
	(void)state;
	calls = 0;
	return loop_open(&loop);
}

static int teardown(void **state)
{
	(void)state;
	loop_close(loop);
	return 0;
}

struct ear {
	struct watch w;
	int other_end;
	struct ear *removes; /* on its first call */
};

static void ear_called(struct watch *w, uint32_t ready)
{
	struct ear *e = CONTAINER_OF(w, struct ear, w);

	assert_true(ready & EPOLLIN);
	calls++;
	if (e->removes)
		loop_unwatch(loop, &e->removes->w);
}

static void ear_open(struct ear *e, struct ear *removes)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	*e = (struct ear){.w = {.fd = fds[0], .events = EPOLLIN, .run = ear_called},
			  .other_end = fds[1],
			  .removes = removes};
	assert_int_equal(loop_watch(loop, &e->w), 0);
	assert_int_equal(write(e->other_end, "x", 1), 1);
}

static void ear_close(struct ear *e)
{
	loop_unwatch(loop, &e->w);
	close(e->w.fd);
	close(e->other_end);
}

static void stop_soon(void *arg)
{
	int *turns = arg;

	if ((*turns)-- == 0)
		loop_stop(loop);
}

/* Runs the loop for so many turns; something must be ready in each. */
static void turns_run(int turns)
{
	loop_each_turn(loop, stop_soon, &turns);
	assert_int_equal(loop_run(loop), 0);
}

static void test_remove_each_other(void **state)
{
	struct ear a, b;

	(void)state;
	ear_open(&a, &b);
	ear_open(&b, &a);
	turns_run(1);
	assert_int_equal(calls, 1); /* whichever was first silenced the other */
	ear_close(&a);
	ear_close(&b);
}

static void test_remove_itself(void **state)
{
	struct ear a, keeps_ready;

	(void)state;
	ear_open(&a, &a);
	ear_open(&keeps_ready, NULL);
	turns_run(3);
	assert_int_equal(calls, 1 + 3);
	ear_close(&a);
	ear_close(&keeps_ready);
}

static struct ear switched;

static void switch_off(struct watch *w, uint32_t ready)
{
	(void)ready;
	calls++;
	if (w == &switched.w)
		return;
	assert_int_equal(loop_change(loop, &switched.w, 0), 0);
}

static void test_change_within_batch(void **state)
{
	struct ear a;

	(void)state;
	ear_open(&a, NULL);
	a.w.run = switch_off;
	ear_open(&switched, NULL);
	switched.w.run = switch_off;
	turns_run(1);
	assert_true(calls <= 2); /* the order is the kernel's */
	calls = 0;
	turns_run(1);
	assert_int_equal(calls, 1);
	assert_int_equal(loop_change(loop, &switched.w, EPOLLIN), 0);
	ear_close(&a);
	ear_close(&switched);
}

#define TIMERS 10000

static struct timer timers[TIMERS];
static uint64_t last_at;
static size_t fired;

static void timer_fired(struct timer *t)
{
	assert_int_equal(t->at_ms, 0);
	assert_true(t >= &timers[0] && t < &timers[TIMERS]);
	last_at = (uint64_t)(t - timers);
	fired++;
}

static void stop_now(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

static void test_timer_order(void **state)
{
	static const uint64_t at[] = {5, 1, 3, 3, 2};
	static const size_t order[] = {1, 4, 2, 3, 0};
	struct timer end = {.run = stop_now};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		timers[i] = (struct timer){.run = timer_fired};
		loop_timer_set(loop, &timers[i], at[i]);
	}
	for (fired = 0; fired < ARRAY_LEN(at);) {
		size_t before = fired;

		loop_timer_set(loop, &end, at[order[fired]]); /* behind its equals */
		assert_int_equal(loop_run(loop), 0);
		assert_true(fired > before);
		assert_int_equal(last_at, order[fired - 1]);
	}
}

static void test_timer_many(void **state)
{
	struct timer end = {.run = stop_now};
	uint64_t start = clock_ms();

	(void)state;
	fired = 0;
	for (size_t i = 0; i < TIMERS; i++) {
		timers[i] = (struct timer){.run = timer_fired};
		loop_timer_set(loop, &timers[i], start + 1000000);
	}
	for (size_t i = 0; i < TIMERS; i++)
		loop_timer_set(loop, &timers[i], i % 2 ? 1 : start + 2000000);
	for (size_t i = 0; i < TIMERS; i += 4)
		loop_timer_clear(loop, &timers[i]);
	loop_timer_set(loop, &end, 2);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(fired, TIMERS / 2);
}

static void timer_again(struct timer *t)
{
	calls++;
	loop_timer_set(loop, t, 1); /* long over */
}

static void test_timer_again(void **state)
{
	struct timer t = {.run = timer_again};
	struct ear a;

	(void)state;
	ear_open(&a, NULL);
	loop_timer_set(loop, &t, 1);
	turns_run(2);
	assert_true(calls >= 3); /* the descriptor twice, the timer at least once */
	assert_true(calls <= 4);
	loop_timer_clear(loop, &t);
	loop_timer_clear(loop, &t);
	ear_close(&a);
}

static void test_timer_waits(void **state)
{
	struct timer end = {.run = stop_now};
	uint64_t start = clock_ms();

	(void)state;
	loop_timer_set(loop, &end, start + 30);
	assert_int_equal(loop_run(loop), 0);
	assert_true(clock_ms() >= start + 30);
	assert_true(loop_now_ms(loop) >= start + 30);
}

static void timer_removes(struct timer *t)
{
	(void)t;
	loop_unwatch(loop, &switched.w);
	loop_stop(loop);
}

static void test_timer_removes_ready_watch(void **state)
{
	struct timer t = {.run = timer_removes};

	(void)state;
	ear_open(&switched, NULL);
	loop_timer_set(loop, &t, 1);
	assert_int_equal(loop_run(loop), 0);
	turns_run(0);
	assert_int_equal(calls, 0);
	ear_close(&switched);
}

static void signal_got(int signal, void *arg)
{
	*(int *)arg = signal;
	calls++;
	loop_stop(loop);
}

static void test_signals(void **state)
{
	static const int wanted[] = {SIGUSR1, SIGHUP, 0};
	int got = 0;

	(void)state;
	assert_int_equal(loop_signals(loop, wanted, signal_got, &got), 0);
	assert_int_equal(kill(getpid(), SIGHUP), 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(got, SIGHUP);
	assert_int_equal(calls, 1);
}

static void add(struct tests *t, const char *sentence, CMUnitTestFunction run)
{
	tests_add(t, sentence, run, NULL);
	t->list[t->count - 1].setup_func = setup;
	t->list[t->count - 1].teardown_func = teardown;
}

int main(void)
{
	static struct tests t;

	add(&t, "of two ready handlers that remove each other one runs", test_remove_each_other);
	add(&t, "a handler may remove itself", test_remove_itself);
	add(&t, "what a handler switched off is not told", test_change_within_batch);
	add(&t, "timers run soonest first, equal ones in the order they were set",
	    test_timer_order);
	add(&t, "P6: of 10 000 timers that are set, moved and cleared the right ones run",
	    test_timer_many);
	add(&t, "a timer that is always due does not starve descriptors", test_timer_again);
	add(&t, "a timer is never early", test_timer_waits);
	add(&t, "a timer may remove a handler that is ready", test_timer_removes_ready_watch);
	add(&t, "a signal is handled in the loop", test_signals);
	return tests_run(&t, "loop");
}

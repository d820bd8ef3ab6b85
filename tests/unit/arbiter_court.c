/* The court: resets in their turn, who does not drain, a new arbiter, words out of turn. */
#include "tests/unit/court_bench.h"

/* --- admission --- */

static void costs_nothing(void **state)
{
	int parity;

	(void)state;
	court_begin();
	assert_false(arbiter_moved(view(1)));
	parity = adopt_and_enter(1, 0);
	assert_true(parity >= 0);
	assert_int_equal(in_flight(1, 0), 1);
	assert_true(arbiter_is_current(view(1), 0));
	leave(1, 0, parity);
	assert_int_equal(in_flight(1, 0), 0);
}

static void backs_out(void **state)
{
	(void)state;
	court_begin();
	assert_true(arbiter_adopt(view(2), 0));
	assert_int_equal(reset(1, 1, 5), 0);
	assert_int_equal(enter(2, 0), -EAGAIN);
	assert_int_equal(in_flight(2, 0), 0);
	assert_true(adopt_and_enter(2, 1) >= 0); /* another disk */
	assert_true(adopt_and_enter(3, 7) >= 0);
	assert_true(adopt_and_enter(2, 0) >= 0);
}

static void closed_without_arbiter(void **state)
{
	(void)state;
	court_begin();
	arbiter_view_detach(view(1));
	assert_false(arbiter_adopt(view(1), 0));
	assert_int_equal(enter(1, 0), -EAGAIN);
	arbiter_view_attach(view(1));
	assert_true(adopt_and_enter(1, 0) >= 0);
	/* as the monitor does when the arbiter dies */
	memset(page.generations, 0, sizeof page.generations);
	assert_int_equal(enter(1, 0), -EAGAIN);
	assert_false(arbiter_is_current(view(1), 0));
	assert_false(arbiter_adopt(view(2), 0));
}

/* --- resets --- */

static void done_at_once(void **state)
{
	struct arbiter_event e;

	(void)state;
	court_begin();
	assert_true(adopt_and_enter(3, 7) >= 0);
	assert_int_equal(reset(1, 1, 5), 0);
	assert_int_equal(sessions[1].done, 1);
	assert_int_equal(sessions[1].id, 5);
	assert_int_equal(sessions[2].changed, 1);
	assert_int_equal(sessions[3].changed, 0); /* it does not have the disk */
	assert_true(arbiter_moved(view(1)));
	assert_false(arbiter_moved(view(1)));
	assert_true(arbiter_event_next(view(1), 0, &e));
	assert_int_equal(e.code, 0x2903);
	assert_int_equal(e.flags, EVENT_ABORTS);
	assert_int_equal(e.by, 1);
	assert_int_equal(events(1, 0), 0);
	assert_int_equal(events(2, 0), 1);
	assert_int_equal(events(2, 1), 0);
	assert_true(adopt_and_enter(2, 0) >= 0);
	assert_int_equal(view(2)->luns[0].state.resets, 1);
}

static void waits(void **state)
{
	int first, second, third, ours;

	(void)state;
	court_begin();
	first = adopt_and_enter(2, 1);
	second = enter(2, 1);
	third = adopt_and_enter(3, 7);
	ours = adopt_and_enter(1, 1);
	assert_int_equal(reset(1, 3, 6), 0);
	assert_int_equal(sessions[1].done, 0);
	leave(1, 1, ours);
	leave(2, 1, first);
	leave(2, 1, second);
	assert_int_equal(sessions[1].done, 0);
	assert_true(adopt_and_enter(3, 7) >= 0); /* under the new one: nobody waits for it */
	leave(3, 7, third);
	assert_int_equal(sessions[1].done, 1);
	assert_int_equal(in_flight(3, 7), 1);
}

/* What is in flight under the generation before the last is over before another is published. */
static void takes_turns(void **state)
{
	uint64_t before;
	int parity, later;

	(void)state;
	court_begin();
	parity = adopt_and_enter(3, 7);
	assert_int_equal(reset(1, 2, 1), 0);
	before = page.generations[1];
	later = adopt_and_enter(3, 7);
	assert_int_not_equal(parity, later);
	assert_int_equal(reset(2, 3, 2), 0);
	assert_int_equal(page.generations[1], before); /* the second waits for the first */
	assert_int_equal(page.generations[0], ARBITER_GENERATION_FIRST(1));
	leave(3, 7, parity);
	assert_int_equal(sessions[1].done, 1);
	assert_int_equal(sessions[2].done, 0);
	assert_int_equal(page.generations[1], before + 1);
	leave(3, 7, later);
	assert_int_equal(sessions[2].done, 1);
}

static void asker_is_over(void **state)
{
	int parity, later;

	(void)state;
	court_begin();
	parity = adopt_and_enter(3, 7);
	assert_int_equal(reset(1, 2, 1), 0);
	later = adopt_and_enter(3, 7);
	court_over(&court, &sessions[1].member, now); /* nobody waits for it any more */
	assert_int_equal(reset(2, 2, 2), 0);
	assert_int_equal(page.generations[1], ARBITER_GENERATION_FIRST(1) + 1);
	leave(3, 7, parity);
	assert_int_equal(page.generations[1], ARBITER_GENERATION_FIRST(1) + 2);
	assert_int_equal(sessions[2].done, 0);
	leave(3, 7, later);
	assert_int_equal(sessions[2].done, 1);
}

/* Events fall out of the log of who does not look. */
static void overrun(void **state)
{
	struct arbiter_event e;

	(void)state;
	court_begin();
	for (uint32_t k = 1; k <= ARBITER_EVENTS + 1; k++)
		assert_int_equal(reset(1, 1, k), 0);
	assert_true(arbiter_event_next(view(2), 0, &e));
	assert_int_equal(e.code, 0x2900);
	assert_int_equal(e.flags, EVENT_ABORTS);
	assert_int_equal(events(2, 0), 0);
	assert_int_equal(reset(1, 1, 1000), 0);
	assert_int_equal(events(2, 0), 1);
}

/* --- who leaves --- */

static void gives_up(void **state)
{
	struct arbiter_order reserve = {.id = 1, .lun = 1, .kind = ORDER_RESERVE};
	struct arbiter_leave leave = {.id = 9};

	(void)state;
	court_begin();
	sessions[1].member.luns[1].writable = true;
	assert_int_equal(say(1, ARBITER_ORDER, &reserve, sizeof reserve), 0);
	assert_true(arbiter_adopt(view(2), 1));
	assert_int_equal(view(2)->luns[1].state.reservation, RESERVATION_RESERVE_6);
	assert_int_equal(say(1, ARBITER_LEAVE, &leave, sizeof leave), 0);
	assert_int_equal(sessions[1].done, 1);
	assert_int_equal(sessions[1].id, 9);
	assert_true(arbiter_adopt(view(2), 1));
	assert_int_equal(view(2)->luns[1].state.reservation, RESERVATION_NONE);
	assert_int_equal(events(2, 1), 0);
}

/* At its logout, and once more at its end; beside a reset of its own, and over somebody's slow I/O.
 */
static void leaves_once(void **state)
{
	struct arbiter_order reserve = {.id = 1, .lun = 1, .kind = ORDER_RESERVE};
	struct arbiter_leave leave = {.id = 9};

	(void)state;
	court_begin();
	assert_int_equal(say(1, ARBITER_ORDER, &reserve, sizeof reserve), 0);
	assert_true(adopt_and_enter(3, 7) >= 0);
	assert_int_equal(reset(1, 2, 8), 0);
	assert_int_equal(say(1, ARBITER_LEAVE, &leave, sizeof leave), 0);
	leave.id = 10;
	assert_int_equal(say(1, ARBITER_LEAVE, &leave, sizeof leave), 0);
	assert_int_equal(sessions[1].done, 0);
	court_tick(&court, now += ARBITER_DRAIN_MS); /* nobody hangs at a logout */
	assert_int_equal(sessions[3].killed, 1);
	court_over(&court, &sessions[3].member, now);
	assert_int_equal(sessions[1].done, 2);
	assert_int_equal(sessions[1].id, 10);
	assert_true(arbiter_adopt(view(2), 1));
	assert_int_equal(view(2)->luns[1].state.reservation, RESERVATION_NONE);
}

static void format_goes_on(void **state)
{
	struct arbiter_order reserve = {.id = 1, .lun = 1, .kind = ORDER_RESERVE};
	struct arbiter_order format = {.id = 2,
				       .lun = 1,
				       .kind = ORDER_OPERATION,
				       .action = OPERATION_FORMAT,
				       .flags = ORDER_BEGIN};
	struct arbiter_leave leave = {.id = 9};

	(void)state;
	court_begin();
	assert_int_equal(say(1, ARBITER_ORDER, &reserve, sizeof reserve), 0);
	assert_int_equal(say(1, ARBITER_ORDER, &format, sizeof format), 0);
	assert_int_equal(say(1, ARBITER_LEAVE, &leave, sizeof leave), 0);
	assert_true(arbiter_adopt(view(2), 1));
	assert_int_equal(view(2)->luns[1].state.reservation, RESERVATION_NONE);
	assert_int_equal(view(2)->luns[1].state.operation, OPERATION_FORMAT);
	court_over(&court, &sessions[1].member, now);
	assert_true(arbiter_adopt(view(2), 1));
	assert_int_equal(view(2)->luns[1].state.operation, OPERATION_FORMAT_FAILED);
}

/* --- who does not drain --- */

static void is_killed(void **state)
{
	(void)state;
	court_begin();
	assert_true(adopt_and_enter(2, 0) >= 0);
	assert_int_equal(reset(1, 1, 9), 0);
	assert_int_equal(court_next_tick(&court), NOW + ARBITER_DRAIN_MS);
	court_tick(&court, now += ARBITER_DRAIN_MS - 1);
	assert_int_equal(sessions[2].killed, 0);
	court_tick(&court, ++now);
	assert_int_equal(sessions[2].killed, 1);
	assert_int_equal(sessions[2].blame, ARBITER_NOT_DRAINED);
	assert_int_equal(sessions[1].done, 0); /* its I/O may still be on the way */
	assert_int_equal(sessions[1].killed + sessions[3].killed, 0);
	court_tick(&court, now += ARBITER_DRAIN_MS);
	assert_int_equal(sessions[2].killed, 1);
	court_over(&court, &sessions[2].member, now);
	assert_int_equal(sessions[1].done, 1);
}

/* What it says of itself can delay others until it is killed, and no more. */
static void liar_is_bounded(void **state)
{
	(void)state;
	for (unsigned parity = 0; parity < 2; parity++) {
		court_begin();
		sessions[3].own.luns[7].in_flight[parity] = UINT32_MAX;
		assert_int_equal(reset(1, 1, 1), 0); /* not its disk */
		assert_int_equal(sessions[1].done, 1);
		assert_int_equal(reset(1, 2, 2), 0);
		assert_int_equal(sessions[1].done, 1);
		assert_int_equal(settled(3), 0); /* it is not */
		assert_int_equal(sessions[1].done, 1);
		court_tick(&court, now += ARBITER_DRAIN_MS);
		assert_int_equal(sessions[3].killed, 1);
		court_over(&court, &sessions[3].member, now);
		assert_int_equal(sessions[1].done, 2);
	}
}

static void asker_leaves(void **state)
{
	(void)state;
	court_begin();
	assert_true(adopt_and_enter(2, 0) >= 0);
	assert_int_equal(reset(1, 1, 9), 0);
	court_over(&court, &sessions[1].member, now);
	assert_int_equal(court_next_tick(&court), NOW + ARBITER_DRAIN_MS); /* of court_go() */
	court_tick(&court, now += 2 * ARBITER_DRAIN_MS);
	assert_int_equal(sessions[2].killed, 0);
	assert_int_equal(court_next_tick(&court), 0);
	assert_int_equal(sessions[1].done, 0);
}

/* --- a new arbiter --- */

static void waits_for_old_sessions(void **state)
{
	int parity;

	(void)state;
	court_begin();
	parity = adopt_and_enter(2, 0);
	new_life();
	for (uint32_t n = 1; n <= SESSIONS; n++)
		attach(n, true);
	assert_false(arbiter_is_current(view(2), 0)); /* under another life's generation */
	arbiter_view_attach(view(1));
	assert_int_equal(hello(1, 2), 0);
	assert_true(adopt_and_enter(1, 1) >= 0); /* commands need not wait */
	assert_int_equal(reset(1, 1, 3), 0);
	assert_int_equal(hello(2, 2), 0);
	arbiter_view_attach(view(2));
	assert_int_equal(hello(3, 2), 0);
	assert_int_equal(sessions[1].done, 0);
	assert_int_equal(sessions[2].changed, 0);
	court_go(&court, now); /* only now are all of them known */
	assert_int_equal(sessions[2].changed, 1);
	assert_int_equal(sessions[1].done, 0); /* from the arbiter before: it is waited for, too */
	assert_int_equal(events(2, 0), 1);
	leave(2, 0, parity);
	assert_int_equal(sessions[1].done, 1);
}

static void old_session_stays_away(void **state)
{
	(void)state;
	court_begin();
	new_life();
	attach(1, true);
	attach(2, true);
	court_go(&court, now);
	assert_int_equal(hello(1, 2), 0);
	assert_int_equal(reset(1, 1, 3), 0);
	assert_int_equal(sessions[1].done, 0);
	court_tick(&court, now += ARBITER_DRAIN_MS);
	assert_int_equal(sessions[2].killed, 1);
	assert_int_equal(sessions[2].blame, ARBITER_NOT_ATTACHED);
	assert_int_equal(sessions[1].done, 0);
	court_over(&court, &sessions[2].member, now);
	assert_int_equal(sessions[1].done, 1);
}

/* --- out of turn --- */

static const struct {
	const char *why;
	uint32_t first, type; /* said before, if not 0; said then */
	struct arbiter_exclude body;
} broken[] = {
	{"a greeting of another life", 0, ARBITER_HELLO, {.id = 7}},
	{"a reset of no LUN", 0, ARBITER_EXCLUDE, {1, 0, {0}}},
	{"a reset of a LUN that is not granted", 0, ARBITER_EXCLUDE, {1, 0, {4}}},
	{"a reset of its own LUN and another", 0, ARBITER_EXCLUDE, {1, 0, {5}}},
	{"a reset of the last LUN", 0, ARBITER_EXCLUDE, {1, 0, {0, 0, 0, 1ull << 63}}},
	{"a second reset while the first waits", ARBITER_EXCLUDE, ARBITER_EXCLUDE, {1, 0, {1}}},
	{"the monitor's words", 0, ARBITER_OVER, {0}},
};

static void is_broken(void **state)
{
	const __typeof__(broken[0]) *row = *state;

	court_begin();
	assert_true(adopt_and_enter(2, 0) >= 0); /* so that a reset waits */
	if (row->first != 0)
		assert_int_equal(say(1, row->first, &row->body, sizeof row->body), 0);
	assert_int_equal(say(1, row->type, &row->body, sizeof row->body), -EPROTO);
	court_condemn(&court, &sessions[1].member, ARBITER_BROKE_CHANNEL);
	court_condemn(&court, &sessions[1].member, ARBITER_NOT_DRAINED);
	assert_int_equal(sessions[1].killed, 1);
	assert_int_equal(sessions[1].blame, ARBITER_BROKE_CHANNEL);
	assert_int_equal(reset(1, 2, 1), -EPROTO);
	assert_int_equal(reset(3, 1ull << 7, 1), 0); /* others go on */
	assert_int_equal(sessions[3].done, 1);
}

static const struct {
	const char *why;
	struct arbiter_order body;
} bad_orders[] = {
	{"an order without an id", {.kind = ORDER_TAKE_RANGE, .blocks = 1}},
	{"an order of no kind", {.id = 1}},
	{"an order of a kind that is none", {.id = 1, .kind = ORDER_KINDS}},
	{"an order for a LUN that is not granted", {.id = 1, .kind = ORDER_TAKE_RANGE, .lun = 2}},
	{"an order for a LUN beyond all", {.id = 1, .kind = ORDER_TAKE_RANGE, .lun = ARBITER_LUNS}},
	{"an order with more octets than there are",
	 {.id = 1, .kind = ORDER_TAKE_RANGE, .len = ARBITER_OCTETS + 1}},
};

static void bad_order(void **state)
{
	const __typeof__(bad_orders[0]) *row = *state;

	court_begin();
	assert_int_equal(say(1, ARBITER_ORDER, &row->body, sizeof row->body), -EPROTO);
	assert_int_equal(sessions[1].answers, 0);
}

static void before_greeting(void **state)
{
	(void)state;
	court_begin();
	sessions[1].member.hello = false;
	assert_int_equal(reset(1, 1, 1), -EPROTO);
}

static void bad_disk(void **state)
{
	struct arbiter_attach info = {.connection = 9, .disks = {DISKS + 1}};
	struct member m = {0};

	(void)state;
	court_begin();
	assert_int_equal(court_attach(&court, &m, &info), -EINVAL);
	assert_null(court_find(&court, 9));
	info.disks[0] = DISKS;
	m = (struct member){0};
	assert_int_equal(court_attach(&court, &m, &info), 0);
	assert_ptr_equal(court_find(&court, 9), &m);
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "a command enters and leaves with nobody else involved", costs_nothing, NULL);
	tests_add(&t, "a command that enters after a reset began is backed out", backs_out, NULL);
	tests_add(&t, "P4: without an arbiter nothing is admitted", closed_without_arbiter, NULL);
	tests_add(&t, "a reset with nothing in flight is done at once", done_at_once, NULL);
	tests_add(&t, "a reset is done when all other sessions have drained", waits, NULL);
	tests_add(&t, "resets of one disk take turns", takes_turns, NULL);
	tests_add(&t, "a reset goes on for others when who asked for it is over", asker_is_over,
		  NULL);
	tests_add(&t, "who missed too many events is told of a reset", overrun, NULL);
	tests_add(&t, "what a nexus reserved is free when its leave is answered", gives_up, NULL);
	tests_add(&t, "a nexus leaves once, however often it says so", leaves_once, NULL);
	tests_add(&t, "a format goes on over its nexus's logout", format_goes_on, NULL);
	tests_add(&t, "P4: who does not drain is killed, and its end awaited", is_killed, NULL);
	tests_add(&t, "P6: a session that lies in its page is bounded", liar_is_bounded, NULL);
	tests_add(&t, "who asked and left leaves nothing behind", asker_leaves, NULL);
	tests_add(&t, "P4: a new arbiter acts when every old session has attached",
		  waits_for_old_sessions, NULL);
	tests_add(&t, "P4: an old session that does not attach is killed", old_session_stays_away,
		  NULL);
	TESTS_ADD_TABLE(&t, broken, is_broken);
	TESTS_ADD_TABLE(&t, bad_orders, bad_order);
	tests_add(&t, "a request before the greeting is out of turn", before_greeting, NULL);
	tests_add(&t, "a disk that is none is not attached", bad_disk, NULL);
	return tests_run(&t, "arbiter");
}

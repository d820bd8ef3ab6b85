/* The court and the sessions' side of its pages, without processes: three sessions on two
 * disks. Session 1 has disk 0 as LUN 0 and disk 1 as LUN 1, session 2 the same, session 3
 * disk 1 alone, as LUN 7. What the court says is counted. */
#include "tests/unit/test.h"
#include "gateway/arbiter/court.h"

#define SESSIONS 3
#define NOW	 1000

static struct arbiter_page page;
static struct court court;
static uint64_t now;

static struct session {
	struct member member;
	struct arbiter_own own;
	struct arbiter_view view;
	unsigned changed, done, killed;
	uint32_t id;
	enum arbiter_blame blame;
} sessions[SESSIONS + 1]; /* by connection */

static struct session *of(struct member *m)
{
	return CONTAINER_OF(m, struct session, member);
}

static void on_changed(struct member *m)
{
	of(m)->changed++;
}

static void on_done(struct member *m, uint32_t id)
{
	of(m)->done++;
	of(m)->id = id;
}

static void on_kill(struct member *m, enum arbiter_blame blame)
{
	of(m)->killed++;
	of(m)->blame = blame;
}

static const struct court_ops ops = {on_changed, on_done, on_kill};

static int say(uint32_t connection, uint32_t type, const void *body, size_t size)
{
	struct message m = {.type = type};

	if (size > 0)
		memcpy(m.body, body, size);
	return court_hear(&court, &sessions[connection].member, &m, now);
}

static int hello(uint32_t connection, uint32_t life)
{
	struct arbiter_hello body = {.life = life};

	return say(connection, ARBITER_HELLO, &body, sizeof body);
}

static int reset(uint32_t connection, uint64_t luns, uint32_t id)
{
	struct arbiter_exclude body = {.id = id, .why = ARBITER_RESET, .luns = {luns}};

	if (sessions[connection].view.page != NULL)
		arbiter_view_ask(&sessions[connection].view, body.luns);
	return say(connection, ARBITER_EXCLUDE, &body, sizeof body);
}

static int settled(uint32_t connection)
{
	return say(connection, ARBITER_SETTLED, NULL, 0);
}

static void attach(uint32_t connection, bool old)
{
	struct session *s = &sessions[connection];
	struct arbiter_attach info = {.connection = connection, .old = old};

	if (connection == 3) {
		info.disks[7] = 2;
	} else {
		info.disks[0] = 1;
		info.disks[1] = 2;
	}
	s->member = (struct member){.own = &s->own};
	assert_int_equal(court_attach(&court, &s->member, &info), 0);
}

static void view_open(uint32_t connection)
{
	struct session *s = &sessions[connection];

	s->view = (struct arbiter_view){.page = &page, .own = &s->own, .me = connection};
	arbiter_view_attach(&s->view);
	if (connection == 3) {
		arbiter_view_hold(&s->view, 7, 1);
	} else {
		arbiter_view_hold(&s->view, 0, 0);
		arbiter_view_hold(&s->view, 1, 1);
	}
}

/* All three, attached, greeted, and let go on. */
static void court_begin(void)
{
	now = NOW;
	memset(sessions, 0, sizeof sessions);
	court_open(&court, &page, 1, &ops);
	for (uint32_t n = 1; n <= SESSIONS; n++) {
		attach(n, false);
		view_open(n);
		assert_int_equal(hello(n, 1), 0);
	}
	court_go(&court, now);
}

static struct arbiter_view *view(uint32_t connection)
{
	return &sessions[connection].view;
}

/* --- admission --- */

static void costs_nothing(void **state)
{
	(void)state;
	court_begin();
	assert_false(arbiter_moved(view(1)));
	assert_true(arbiter_enter(view(1), 0));
	assert_int_equal(sessions[1].own.luns[0].in_flight, 1);
	assert_true(arbiter_is_open(view(1), 0));
	arbiter_leave(view(1), 0);
	assert_int_equal(sessions[1].own.luns[0].in_flight, 0);
}

static void backs_out(void **state)
{
	(void)state;
	court_begin();
	assert_int_equal(reset(1, 1, 5), 0);
	assert_false(arbiter_enter(view(2), 0));
	assert_int_equal(sessions[2].own.luns[0].in_flight, 0);
	assert_true(arbiter_enter(view(2), 1)); /* another disk */
	assert_true(arbiter_enter(view(3), 7));
}

static void closed_without_arbiter(void **state)
{
	(void)state;
	court_begin();
	arbiter_view_detach(view(1));
	assert_false(arbiter_enter(view(1), 0));
	arbiter_view_attach(view(1));
	assert_true(arbiter_enter(view(1), 0));
	memset(&page, 0, sizeof page); /* as the monitor does when the arbiter dies */
	assert_false(arbiter_enter(view(2), 0));
	assert_false(arbiter_is_open(view(1), 0));
	arbiter_view_attach(view(2)); /* too early */
	assert_false(arbiter_enter(view(2), 0));
}

/* --- resets --- */

static void done_at_once(void **state)
{
	(void)state;
	court_begin();
	assert_true(arbiter_enter(view(3), 7));
	assert_int_equal(reset(1, 1, 5), 0);
	assert_int_equal(sessions[1].done, 1);
	assert_int_equal(sessions[1].id, 5);
	assert_int_equal(sessions[2].changed, 1);
	assert_int_equal(sessions[3].changed, 0); /* it does not have the disk */
	assert_true(arbiter_moved(view(1)));
	assert_false(arbiter_moved(view(1)));
	assert_int_equal(arbiter_look(view(1), 0), ARBITER_NEWS_OURS);
	assert_int_equal(arbiter_look(view(1), 0), ARBITER_NEWS_NONE);
	assert_true(arbiter_enter(view(1), 0));
	assert_int_equal(arbiter_look(view(2), 0), ARBITER_NEWS_RESET);
	assert_int_equal(arbiter_look(view(2), 0), ARBITER_NEWS_NONE);
	assert_int_equal(arbiter_look(view(2), 1), ARBITER_NEWS_NONE);
	assert_false(arbiter_enter(view(2), 0));
	assert_true(arbiter_settle(view(2), 0));
	assert_false(arbiter_settle(view(2), 0));
	assert_true(arbiter_enter(view(2), 0));
	assert_int_equal(settled(2), 0);
}

static void waits(void **state)
{
	(void)state;
	court_begin();
	assert_true(arbiter_enter(view(2), 1));
	assert_true(arbiter_enter(view(2), 1));
	assert_true(arbiter_enter(view(3), 7));
	assert_true(arbiter_enter(view(1), 1)); /* the asker's own are its own business */
	assert_int_equal(reset(1, 3, 6), 0);
	assert_int_equal(sessions[1].done, 0);
	assert_int_equal(arbiter_look(view(2), 1), ARBITER_NEWS_RESET);
	arbiter_leave(view(2), 1);
	assert_false(arbiter_settle(view(2), 1));
	arbiter_leave(view(2), 1);
	assert_true(arbiter_settle(view(2), 1));
	assert_int_equal(settled(2), 0);
	assert_int_equal(sessions[1].done, 0);
	assert_int_equal(arbiter_look(view(3), 7), ARBITER_NEWS_RESET);
	arbiter_leave(view(3), 7);
	assert_true(arbiter_settle(view(3), 7));
	assert_true(arbiter_enter(view(3), 7)); /* under the new one */
	assert_int_equal(settled(3), 0);
	assert_int_equal(sessions[1].done, 1);
}

static void takes_turns(void **state)
{
	uint64_t before;

	(void)state;
	court_begin();
	assert_true(arbiter_enter(view(3), 7));
	assert_int_equal(reset(1, 2, 1), 0);
	before = page.disks[1].generation;
	assert_int_equal(reset(2, 3, 2), 0);
	assert_int_equal(page.disks[1].generation, before); /* the second waits for the first */
	assert_int_equal(page.disks[0].generation, ARBITER_GENERATION_FIRST(1));
	assert_int_equal(arbiter_look(view(3), 7), ARBITER_NEWS_RESET);
	arbiter_leave(view(3), 7);
	assert_true(arbiter_settle(view(3), 7));
	assert_int_equal(settled(3), 0);
	assert_int_equal(sessions[1].done, 1);
	assert_int_equal(sessions[2].done, 1);
	assert_int_equal(page.disks[1].generation, before + 1);
	assert_int_equal(arbiter_look(view(3), 7), ARBITER_NEWS_RESET);
	assert_int_equal(arbiter_look(view(2), 0), ARBITER_NEWS_OURS);
}

static void changed_while_draining(void **state)
{
	(void)state;
	court_begin();
	assert_true(arbiter_enter(view(3), 7));
	assert_int_equal(reset(1, 2, 1), 0);
	assert_int_equal(arbiter_look(view(3), 7), ARBITER_NEWS_RESET);
	court_over(&court, &sessions[1].member, now); /* nobody waits for it any more */
	assert_int_equal(reset(2, 2, 2), 0);
	assert_int_equal(sessions[2].done, 0);
	assert_int_equal(arbiter_look(view(3), 7), ARBITER_NEWS_RESET);
	arbiter_leave(view(3), 7);
	assert_true(arbiter_settle(view(3), 7));
	assert_int_equal(settled(3), 0);
	assert_int_equal(sessions[2].done, 1);
	assert_true(arbiter_enter(view(3), 7));
}

static void one_disk_twice(void **state)
{
	static const struct arbiter_attach info = {.connection = 1, .disks = {1, [9] = 1}};
	struct session *s = &sessions[1];

	(void)state;
	court_begin();
	court_over(&court, &s->member, now);
	s->member = (struct member){.own = &s->own};
	assert_int_equal(court_attach(&court, &s->member, &info), 0);
	assert_int_equal(hello(1, 1), 0);
	arbiter_view_hold(&s->view, 9, 0);
	assert_true(arbiter_enter(&s->view, 0));
	assert_true(arbiter_enter(&s->view, 9));
	assert_int_equal(reset(1, 1, 4), 0);
	assert_int_equal(s->done,
			 0); /* what it named, it ended; the other LUN of that disk drains */
	assert_int_equal(arbiter_look(&s->view, 0), ARBITER_NEWS_OURS);
	assert_int_equal(arbiter_look(&s->view, 9), ARBITER_NEWS_RESET);
	arbiter_leave(&s->view, 9);
	assert_true(arbiter_settle(&s->view, 9));
	assert_int_equal(settled(1), 0);
	assert_int_equal(s->done, 1);
}

/* --- who does not drain --- */

static void is_killed(void **state)
{
	(void)state;
	court_begin();
	assert_true(arbiter_enter(view(2), 0));
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
	static const uint64_t lies[] = {0, UINT64_MAX, ARBITER_GENERATION_FIRST(2)};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(lies); k++) {
		court_begin();
		memset(&sessions[3].own, 0xff, sizeof sessions[3].own);
		sessions[3].own.luns[7].under = lies[k];
		assert_int_equal(reset(1, 1, 1), 0); /* not its disk */
		assert_int_equal(sessions[1].done, 1);
		assert_int_equal(reset(1, 2, 2), 0);
		assert_int_equal(sessions[1].done, 1);
		assert_int_equal(settled(3), 0);
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
	assert_true(arbiter_enter(view(2), 0));
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
	(void)state;
	court_begin();
	assert_true(arbiter_enter(view(2), 0));
	court_open(&court, &page, 2, &ops);
	for (uint32_t n = 1; n <= SESSIONS; n++)
		attach(n, true);
	assert_false(arbiter_is_open(view(2), 0)); /* under another life's generation */
	assert_int_equal(arbiter_look(view(2), 0), ARBITER_NEWS_NONE);
	arbiter_view_attach(view(1));
	assert_int_equal(hello(1, 2), 0);
	assert_true(arbiter_enter(view(1), 1)); /* commands need not wait */
	arbiter_leave(view(1), 1);
	assert_int_equal(reset(1, 1, 3), 0);
	assert_int_equal(hello(2, 2), 0);
	arbiter_view_attach(view(2));
	assert_int_equal(hello(3, 2), 0);
	assert_int_equal(sessions[1].done, 0);
	assert_int_equal(sessions[2].changed, 0);
	court_go(&court, now); /* only now are all of them known */
	assert_int_equal(sessions[2].changed, 1);
	assert_int_equal(sessions[1].done, 0); /* admitted by the arbiter before: it drains, too */
	assert_int_equal(arbiter_look(view(2), 0), ARBITER_NEWS_RESET);
	arbiter_leave(view(2), 0);
	assert_true(arbiter_settle(view(2), 0));
	assert_int_equal(settled(2), 0);
	assert_int_equal(sessions[1].done, 1);
}

static void old_session_stays_away(void **state)
{
	(void)state;
	court_begin();
	court_open(&court, &page, 2, &ops);
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
	{"a reset of no LUN", 0, ARBITER_EXCLUDE, {1, ARBITER_RESET, {0}}},
	{"a reset of a LUN that is not granted", 0, ARBITER_EXCLUDE, {1, ARBITER_RESET, {4}}},
	{"a reset of its own LUN and another", 0, ARBITER_EXCLUDE, {1, ARBITER_RESET, {5}}},
	{"a reset of the last LUN", 0, ARBITER_EXCLUDE, {1, ARBITER_RESET, {0, 0, 0, 1ull << 63}}},
	{"an exclusion for no reason", 0, ARBITER_EXCLUDE, {1, 0, {1}}},
	{"an exclusion for a reason that is none", 0, ARBITER_EXCLUDE, {1, ARBITER_WHYS, {1}}},
	{"a second reset while the first waits",
	 ARBITER_EXCLUDE,
	 ARBITER_EXCLUDE,
	 {1, ARBITER_RESET, {1}}},
	{"settled, with nothing to settle", 0, ARBITER_SETTLED, {0}},
	{"the monitor's words", 0, ARBITER_OVER, {0}},
};

static void is_broken(void **state)
{
	const __typeof__(broken[0]) *row = *state;

	court_begin();
	assert_true(arbiter_enter(view(2), 0)); /* so that a reset waits */
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

static void before_greeting(void **state)
{
	(void)state;
	court_begin();
	sessions[1].member.hello = false;
	assert_int_equal(reset(1, 1, 1), -EPROTO);
}

static void bad_disk(void **state)
{
	struct arbiter_attach info = {.connection = 9, .disks = {ARBITER_DISKS_MAX + 1}};
	struct member m = {0};

	(void)state;
	court_begin();
	assert_int_equal(court_attach(&court, &m, &info), -EINVAL);
	assert_null(court_find(&court, 9));
	info.disks[0] = ARBITER_DISKS_MAX;
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
	tests_add(&t, "a session that drains takes in a second reset", changed_while_draining,
		  NULL);
	tests_add(&t, "a reset of a disk that is two LUNs ends the tasks of both", one_disk_twice,
		  NULL);
	tests_add(&t, "P4: who does not drain is killed, and its end awaited", is_killed, NULL);
	tests_add(&t, "P6: a session that lies in its page is bounded", liar_is_bounded, NULL);
	tests_add(&t, "who asked and left leaves nothing behind", asker_leaves, NULL);
	tests_add(&t, "P4: a new arbiter acts when every old session has attached",
		  waits_for_old_sessions, NULL);
	tests_add(&t, "P4: an old session that does not attach is killed", old_session_stays_away,
		  NULL);
	TESTS_ADD_TABLE(&t, broken, is_broken);
	tests_add(&t, "a request before the greeting is out of turn", before_greeting, NULL);
	tests_add(&t, "a disk that is none is not attached", bad_disk, NULL);
	return tests_run(&t, "arbiter");
}

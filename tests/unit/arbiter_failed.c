/* Disks that failed for good, before the court: who is believed, who hears of it, what an
 * operator's word does, and what a damaged journal refuses. */
#include "tests/unit/court_bench.h"

#define MAY_HAVE_CHANGED 0x2800
#define POWER_ON	 0x2900

static struct {
	int result; /* of keeping */
	unsigned keeps, durable;
	struct arbiter_record last;
	unsigned clears;
	int cleared;
} kept;

static int keep(unsigned disk, const struct arbiter_record *record, bool durable)
{
	assert_int_equal(disk, 0);
	assert_true(record_is_sound(record));
	if (kept.result < 0)
		return kept.result;
	kept.keeps++;
	kept.durable += durable;
	kept.last = *record;
	return 0;
}

static void cleared(unsigned disk, int error)
{
	assert_int_equal(disk, 0);
	kept.clears++;
	kept.cleared = error;
}

static const struct court_ops keeping = {.changed = on_changed,
					 .done = on_done,
					 .answer = on_answer,
					 .kill = on_kill,
					 .keep = keep,
					 .cleared = cleared};

/* Session 1 may write, session 2 may not. */
static void let_write_one(void)
{
	for (unsigned k = 0; k < sessions[2].member.lun_count; k++)
		sessions[2].member.luns[k].writable = false;
}

static void begin(void)
{
	memset(&kept, 0, sizeof kept);
	court_begin();
	court.ops = &keeping;
	court.wall_s = 1700000000;
	let_write_one();
}

static void order(uint32_t connection, uint32_t id, enum order_kind kind, uint32_t at)
{
	struct arbiter_order body = {.id = id, .kind = (uint8_t)kind, .at = at, .blocks = 1};

	assert_int_equal(say(connection, ARBITER_ORDER, &body, sizeof body), 0);
}

static uint32_t failed_for(uint32_t connection)
{
	assert_true(arbiter_adopt(view(connection), 0));
	return view(connection)->luns[0].state.failed;
}

static uint16_t attention_of(uint32_t connection)
{
	struct arbiter_event e;

	return arbiter_event_next(view(connection), 0, &e) ? e.code : 0;
}

static const struct {
	const char *why;
	uint32_t by, at, want;
	uint8_t status;
} words[] = {
	{"P4: a failed sync is everybody's", 1, EIO, EIO, 0},
	{"a disk that vanished did so for everybody", 1, ESTALE, ESTALE, 0},
	{"a disk that shrank did so for everybody", 1, ENODATA, ENODATA, 0},
	{"P3: a session does not make a journal damaged", 1, EBADMSG, EIO, 0},
	{"P3: an error that is none is a failure", 1, 0, EIO, 0},
	{"P3: an error beyond all is a failure", 1, UINT32_MAX, EIO, 0},
	{"P3: who may not write the disk does not make it fail", 2, EIO, 0, 2},
};

static void believes(void **state)
{
	const __typeof__(words[0]) *row = *state;

	begin();
	order(row->by, 5, ORDER_FAILED, row->at);
	assert_int_equal(sessions[row->by].answers, 1);
	assert_int_equal(sessions[row->by].answer.status, row->status);
	for (uint32_t n = 1; n <= 2; n++)
		assert_int_equal(failed_for(n), row->want);
	assert_int_equal(kept.durable, row->want != 0);
	assert_int_equal(kept.last.failed_since_s, row->want != 0 ? 1700000000 : 0);
}

static void once(void **state)
{
	(void)state;
	begin();
	order(1, 5, ORDER_FAILED, EIO);
	order(1, 6, ORDER_FAILED, ESTALE);
	assert_int_equal(failed_for(2), EIO);
	assert_int_equal(kept.keeps, 1);
}

static void without_room(void **state)
{
	(void)state;
	begin();
	kept.result = -ENOSPC;
	order(1, 5, ORDER_FAILED, EIO);
	assert_int_equal(failed_for(2), EIO);
	assert_int_equal(sessions[1].answer.status, 0);
	assert_int_equal(court_next_tick(&court), now + ARBITER_KEEP_AGAIN_MS);
	court_tick(&court, now += ARBITER_KEEP_AGAIN_MS);
	assert_int_equal(kept.keeps, 0);
	kept.result = 0;
	court_tick(&court, now += ARBITER_KEEP_AGAIN_MS);
	assert_int_equal(kept.last.state.failed, EIO);
	assert_int_equal(kept.durable, 1);
	court_tick(&court, now += ARBITER_KEEP_AGAIN_MS);
	assert_int_equal(kept.keeps, 1);
}

/* --- an operator's word --- */

static void clears(void **state)
{
	(void)state;
	begin();
	order(1, 5, ORDER_FAILED, EIO);
	court_clear(&court, 0, false, now);
	assert_int_equal(kept.clears, 1);
	assert_int_equal(kept.cleared, 0);
	for (uint32_t n = 1; n <= 2; n++) {
		assert_int_equal(failed_for(n), 0);
		assert_int_equal(attention_of(n), MAY_HAVE_CHANGED);
	}
	assert_int_equal(kept.last.state.failed, 0);
	assert_int_equal(kept.durable, 2);
}

static void clears_nothing(void **state)
{
	(void)state;
	begin();
	court_clear(&court, 0, true, now);
	court_clear(&court, 77, true, now); /* no disk of this gateway */
	assert_int_equal(kept.clears, 1);
	assert_int_equal(kept.cleared, 0);
	assert_int_equal(kept.keeps, 0);
	assert_int_equal(attention_of(2), 0);
}

static void clear_can_not_be_kept(void **state)
{
	(void)state;
	begin();
	order(1, 5, ORDER_FAILED, EIO);
	kept.result = -ENOSPC;
	court_clear(&court, 0, false, now);
	assert_int_equal(kept.cleared, -ENOSPC);
	assert_int_equal(failed_for(2), EIO);
}

/* A generation is published when nothing is in flight from before the last. */
static void clear_waits(void **state)
{
	int parity;

	(void)state;
	begin();
	parity = adopt_and_enter(2, 0);
	order(1, 5, ORDER_FAILED, EIO);
	assert_int_equal(sessions[1].answers, 0);
	court_clear(&court, 0, false, now);
	assert_int_equal(kept.clears, 0);
	leave(2, 0, parity);
	assert_int_equal(sessions[1].answers, 1);
	court_tick(&court, now);
	assert_int_equal(kept.clears, 1);
	assert_int_equal(failed_for(2), 0);
}

/* --- a damaged journal --- */

static void damage(void)
{
	begin();
	court_close(&court);
	memset(&court, 0, sizeof court);
	memset(sessions, 0, sizeof sessions);
	memset(&page, 0, sizeof page);
	court_record(&court, 0)->state.failed = EBADMSG;
	assert_int_equal(court_open(&court, &page, 1, DISKS, &keeping), 0);
	for (uint32_t n = 1; n <= 2; n++) {
		attach(n, false);
		view_open(n);
		assert_int_equal(hello(n, 1), 0);
	}
	let_write_one();
	court_go(&court, now);
}

static const struct {
	const char *why;
	enum order_kind kind;
	uint8_t status;
} refused[] = {
	{"P4: of unknown reservations nothing is told", ORDER_PR_IN, 2},
	{"P4: beside unknown reservations nobody registers", ORDER_PR_OUT, 2},
	{"P4: beside unknown reservations nobody reserves", ORDER_RESERVE, 2},
	{"P4: a disk with a damaged journal does not fail in another way", ORDER_FAILED, 2},
	{"ranges have nothing to do with the journal", ORDER_TAKE_RANGE, 0},
};

static void refuses(void **state)
{
	const __typeof__(refused[0]) *row = *state;

	damage();
	assert_int_equal(failed_for(1), EBADMSG);
	order(1, 5, row->kind, 0);
	assert_int_equal(sessions[1].answers, 1);
	assert_int_equal(sessions[1].answer.status, row->status);
	if (row->status != 0) {
		assert_int_equal(sessions[1].answer.key, 2);
		assert_int_equal(sessions[1].answer.code, 0x0403);
	}
	assert_int_equal(kept.keeps, 0);
}

static void forgets(void **state)
{
	(void)state;
	damage();
	court_clear(&court, 0, false, now);
	assert_int_equal(kept.cleared, -EBADMSG);
	assert_int_equal(failed_for(2), EBADMSG);
	assert_int_equal(reset(1, 1, 9), 0); /* which makes it no better */
	assert_int_equal(failed_for(2), EBADMSG);
	assert_int_equal(events(2, 0), 1);
	court_clear(&court, 0, true, now);
	assert_int_equal(kept.cleared, 0);
	assert_int_equal(failed_for(2), 0);
	assert_int_equal(attention_of(2), POWER_ON);
	order(1, 5, ORDER_RESERVE, 0);
	assert_int_equal(sessions[1].answer.status, 0);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, words, believes);
	tests_add(&t, "a disk fails once", once, NULL);
	tests_add(&t, "P4: a failure that can't be kept now is told now and kept later",
		  without_room, NULL);
	tests_add(&t, "cleared, it is well for everybody, who hear of it", clears, NULL);
	tests_add(&t, "a disk that is well has nothing to clear", clears_nothing, NULL);
	tests_add(&t, "P4: what can't be kept is not cleared", clear_can_not_be_kept, NULL);
	tests_add(&t, "it is cleared when what was in flight before is over", clear_waits, NULL);
	TESTS_ADD_TABLE(&t, refused, refuses);
	tests_add(&t, "P4: reservations are forgotten when an operator says so", forgets, NULL);
	return tests_run(&t, "arbiter");
}

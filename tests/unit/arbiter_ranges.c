/* Exclusive ranges: granted in turn, taken back, kept over a new arbiter. */
#include "tests/unit/court_bench.h"

static int take(uint32_t connection, uint16_t lun, uint64_t lba, uint32_t blocks, uint32_t id)
{
	struct arbiter_order body = {
		.id = id, .lun = lun, .kind = ORDER_TAKE_RANGE, .lba = lba, .blocks = blocks};

	return say(connection, ARBITER_ORDER, &body, sizeof body);
}

static int drop(uint32_t connection, uint32_t lun, uint32_t id)
{
	struct arbiter_drop body = {.id = id, .lun = lun};

	return say(connection, ARBITER_DROP, &body, sizeof body);
}

static void ranges_in_turn(void **state)
{
	(void)state;
	court_begin();
	assert_int_equal(take(1, 1, 100, 8, 1), 0);
	assert_int_equal(sessions[1].answers, 1);
	assert_true(arbiter_range_is_taken(view(3), 7, 107, 1, 0));
	assert_false(arbiter_range_is_taken(view(3), 7, 108, 1, 0));
	assert_false(arbiter_range_is_taken(view(3), 7, 92, 8, 0));
	assert_false(arbiter_range_is_taken(view(3), 7, 100, 0, 0));
	assert_false(arbiter_range_is_taken(view(1), 1, 100, 8, 1)); /* our own */
	assert_true(arbiter_range_is_taken(view(1), 1, 100, 8, 2));
	assert_int_equal(take(2, 1, 90, 11, 1), 0);
	assert_int_equal(take(3, 7, 80, 11, 1), 0); /* overlaps what waits: after it */
	assert_int_equal(sessions[2].answers + sessions[3].answers, 0);
	assert_int_equal(reset(2, 1, 9), 0); /* others are not kept up */
	assert_int_equal(sessions[2].done, 1);
	assert_int_equal(drop(1, 1, 2), 0); /* another's id: nothing */
	assert_int_equal(sessions[2].answers, 0);
	assert_int_equal(drop(1, 1, 1), 0);
	assert_int_equal(sessions[2].answers, 1);
	assert_int_equal(sessions[3].answers, 0);
	court_over(&court, &sessions[2].member, now);
	assert_int_equal(sessions[3].answers, 1);
}

/* Ranges of others whom no session of this test is, far away. */
static void others_have(unsigned count)
{
	for (size_t k = 0; k < count; k++) {
		struct arbiter_range_slot *slot = &page.disks[1].ranges[ARBITER_RANGES - 1 - k];

		atomic_store(&slot->lba, 1000000 + k);
		atomic_store(&slot->blocks, 1);
		atomic_store(&slot->owner, (50 + k) << 32 | 1);
	}
	atomic_store(&page.disks[1].range_count, count);
}

static void many_ranges(void **state)
{
	(void)state;
	court_begin();
	others_have(ARBITER_RANGES - 1);
	assert_int_equal(take(1, 1, 0, 8, 1), 0);
	assert_int_equal(take(2, 1, 4096, 1, 1), 0);
	assert_int_equal(sessions[1].answers, 1);
	assert_int_equal(sessions[2].answers, 0);
	assert_int_equal(drop(1, 1, 1), 0);
	assert_int_equal(sessions[2].answers, 1);
}

/* … which does not hold up who waits for the same blocks. */
static void not_all_for_one(void **state)
{
	uint32_t k;

	(void)state;
	court_begin();
	for (k = 0; k < ARBITER_RANGES_EACH; k++)
		assert_int_equal(take(1, 1, k * 8ull, 8, k + 1), 0);
	assert_int_equal(sessions[1].answers, ARBITER_RANGES_EACH);
	for (; k < 2 * ARBITER_RANGES_EACH; k++)
		assert_int_equal(take(1, 1, k * 8ull, 8, k + 1), 0);
	assert_int_equal(take(1, 1, k * 8ull, 8, k + 1), -EPROTO);
	assert_int_equal(sessions[1].answers, ARBITER_RANGES_EACH);
	assert_int_equal(take(2, 1, ARBITER_RANGES_EACH * 8ull, 8, 1), 0);
	assert_int_equal(sessions[2].answers, 1);
	assert_int_equal(drop(1, 1, 1), 0);
	assert_int_equal(sessions[1].answers, ARBITER_RANGES_EACH + 1);
	assert_int_equal(sessions[1].answer.id, ARBITER_RANGES_EACH + 2);
}

static void order_beside_range(void **state)
{
	struct arbiter_order reserve = {.id = 9, .lun = 1, .kind = ORDER_RESERVE};

	(void)state;
	court_begin();
	assert_int_equal(take(1, 1, 100, 8, 1), 0);
	assert_int_equal(take(2, 1, 100, 8, 1), 0);
	assert_int_equal(say(2, ARBITER_ORDER, &reserve, sizeof reserve), 0);
	assert_int_equal(sessions[2].answers, 1);
	assert_int_equal(sessions[2].answer.id, 9);
}

/* --- who keeps one --- */

static void kept_for_ever(void **state)
{
	(void)state;
	court_begin();
	assert_int_equal(take(1, 1, 100, 8, 1), 0);
	now += 2 * ARBITER_RANGE_MS; /* as long as nobody waits for it */
	court_tick(&court, now);
	assert_int_equal(take(2, 1, 100, 8, 1), 0);
	assert_int_equal(court_next_tick(&court), now + ARBITER_RANGE_MS);
	court_tick(&court, now += ARBITER_RANGE_MS - 1);
	assert_int_equal(sessions[1].killed, 0);
	court_tick(&court, ++now);
	assert_int_equal(sessions[1].killed, 1);
	assert_int_equal(sessions[1].blame, ARBITER_KEPT_RANGE);
	assert_int_equal(court_next_tick(&court), 0);
	assert_int_equal(sessions[2].answers, 0); /* its I/O may still be on the way */
	court_over(&court, &sessions[1].member, now);
	assert_int_equal(sessions[2].answers, 1);
	assert_int_equal(sessions[2].killed + sessions[3].killed, 0);
}

/* Each for a while: nobody is late. */
static void kept_in_turn(void **state)
{
	(void)state;
	court_begin();
	assert_int_equal(take(1, 1, 100, 8, 1), 0);
	assert_int_equal(take(2, 1, 100, 8, 1), 0);
	assert_int_equal(take(3, 7, 100, 8, 1), 0);
	court_tick(&court, now += ARBITER_RANGE_MS - 1);
	assert_int_equal(drop(1, 1, 1), 0);
	assert_int_equal(sessions[2].answers, 1);
	court_tick(&court, now += ARBITER_RANGE_MS - 1);
	assert_int_equal(drop(2, 1, 1), 0);
	assert_int_equal(sessions[3].answers, 1);
	assert_int_equal(sessions[1].killed + sessions[2].killed, 0);
}

static void own_way(void **state)
{
	(void)state;
	court_begin();
	assert_int_equal(take(1, 1, 100, 8, 1), 0);
	assert_int_equal(take(1, 1, 100, 8, 2), 0);
	court_tick(&court, now += 2 * ARBITER_RANGE_MS);
	assert_int_equal(sessions[1].killed, 0);
}

static void all_places_kept(void **state)
{
	(void)state;
	court_begin();
	others_have(ARBITER_RANGES - 1);
	assert_int_equal(take(1, 1, 0, 8, 1), 0);
	assert_int_equal(take(2, 1, 4096, 1, 1), 0);
	court_tick(&court, now += ARBITER_RANGE_MS);
	assert_int_equal(sessions[1].killed, 1);
}

/* The page outlives the arbiter, and so does what it grants. */
static void range_outlives(void **state)
{
	(void)state;
	court_begin();
	assert_int_equal(take(1, 1, 100, 8, 7), 0);
	new_life();
	for (uint32_t n = 1; n <= SESSIONS; n++) {
		attach(n, true);
		assert_int_equal(hello(n, 2), 0);
	}
	court_go(&court, now);
	assert_true(arbiter_range_is_taken(view(3), 7, 100, 1, 0));
	assert_int_equal(take(1, 1, 100, 8, 7), 0); /* its answer was lost: asked again */
	assert_int_equal(sessions[1].answers, 2);
	assert_int_equal(drop(1, 1, 7), 0);
	assert_false(arbiter_range_is_taken(view(3), 7, 100, 1, 0));
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "exclusive ranges that overlap are granted in turn", ranges_in_turn, NULL);
	tests_add(&t, "P6: more ranges than there are places wait", many_ranges, NULL);
	tests_add(&t, "P6: one session does not take all places", not_all_for_one, NULL);
	tests_add(&t, "an order does not wait for its session's ranges", order_beside_range, NULL);
	tests_add(&t, "P6: who keeps blocks that others wait for is ended", kept_for_ever, NULL);
	tests_add(&t, "who waits for one after the other ends nobody", kept_in_turn, NULL);
	tests_add(&t, "who is in his own way is not ended", own_way, NULL);
	tests_add(&t, "P6: who keeps the last place is ended", all_places_kept, NULL);
	tests_add(&t, "P4: an exclusive range outlives the arbiter", range_outlives, NULL);
	return tests_run(&t, "arbiter");
}

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

static void many_ranges(void **state)
{
	(void)state;
	court_begin();
	for (uint32_t k = 0; k < ARBITER_RANGES; k++)
		assert_int_equal(take(1, 1, k * 8ull, 8, k + 1), 0);
	assert_int_equal(sessions[1].answers, ARBITER_RANGES);
	assert_int_equal(take(2, 1, 4096, 1, 1), 0);
	assert_int_equal(sessions[2].answers, 0);
	assert_int_equal(drop(1, 1, 5), 0);
	assert_int_equal(sessions[2].answers, 1);
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
	tests_add(&t, "P4: an exclusive range outlives the arbiter", range_outlives, NULL);
	return tests_run(&t, "arbiter");
}

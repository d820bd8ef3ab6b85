/* The benchmarks' histogram of how long commands took: a percentile is the upper end of the bucket
 * that it falls in, no further than 1 part in 32 from the truth. */
#include "tests/unit/test.h"

#include "tests/bench/histogram.h"

static const struct one_case {
	const char *why;
	uint64_t ns;
} one_cases[] = {
	{"nothing at all is told as it is", 0},
	{"the last that has a bucket for itself", 63},
	{"the first that shares one", 64},
	{"a microsecond", 1000},
	{"the first of a power of two", UINT64_C(1) << 20},
	{"the last of one", (UINT64_C(1) << 20) - 1},
	{"a second", UINT64_C(1000000000)},
	{"the longest that a number can tell", UINT64_MAX},
};

static void test_one(void **state)
{
	const struct one_case *c = *state;
	static struct histogram h;
	uint64_t got;

	h = (struct histogram){0};
	histogram_add(&h, c->ns);
	got = histogram_at(&h, 500);
	assert_true(got >= c->ns && got - c->ns <= c->ns / 32);
}

static void test_percentiles(void **state)
{
	static struct histogram h;

	(void)state;
	h = (struct histogram){0};
	assert_int_equal(histogram_at(&h, 500), 0);
	for (uint64_t n = 0; n < 990; n++)
		histogram_add(&h, 10);
	for (uint64_t n = 0; n < 9; n++)
		histogram_add(&h, 40);
	histogram_add(&h, 50);
	assert_int_equal(histogram_at(&h, 500), 10);
	assert_int_equal(histogram_at(&h, 990), 10);
	assert_int_equal(histogram_at(&h, 991), 40);
	assert_int_equal(histogram_at(&h, 999), 40);
	assert_int_equal(histogram_at(&h, 1000), 50);
}

static struct tests t;

int main(void)
{
	TESTS_ADD_TABLE(&t, one_cases, test_one);
	tests_add(&t, "a percentile is the least that so many are not above", test_percentiles,
		  NULL);
	return tests_run(&t, "bench histogram");
}

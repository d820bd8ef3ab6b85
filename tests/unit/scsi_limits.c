/* The buckets, against a clock of the test's own: over any long time nobody gets more than its
 * limit and, while it always has something to do, nobody gets less. */
#include "tests/unit/test.h"
#include "gateway/scsi/limits.h"

#define SECONDS 10
#define KIB	1024u
#define MIB	(1024u * KIB)

/* A client that always has a next command, and looks each `step` milliseconds. */
static const struct load {
	const char *why;
	struct limit_values values;
	uint32_t shares, step;
	uint32_t sizes[3];	   /* octets of its commands, one after another */
	uint64_t commands, octets; /* in a second; 0: not looked at */
} loads[] = {
	{"commands of 4 KiB, by their number", {0, 5000, 0}, 1, 1, {4096}, 5000, 0},
	{"the same, looked at every 7 ms", {0, 5000, 0}, 1, 7, {4096}, 5000, 0},
	{"a few commands a second", {0, 10, 0}, 1, 1, {4096}, 10, 0},
	{"octets, in commands of 64 KiB", {100 * MIB, 0, 0}, 1, 1, {65536}, 0, 100 * MIB},
	{"octets, in commands that are larger than the bucket",
	 {4 * MIB, 0, 0},
	 1,
	 1,
	 {4 * MIB},
	 1,
	 4 * MIB},
	{"octets, in commands of all sizes", {20 * MIB, 0, 0}, 1, 3, {512, MIB, 8192}, 0, 20 * MIB},
	{"both: the octets are less", {10 * MIB, 5000, 0}, 1, 1, {65536}, 160, 10 * MIB},
	{"both: the commands are less", {100 * MIB, 500, 0}, 1, 1, {4096}, 500, 500 * 4096},
	{"one session of three that share", {0, 3000, 0}, 3, 1, {4096}, 1000, 0},
	{"one of two, octets", {100 * MIB, 0, 0}, 2, 2, {65536}, 0, 50 * MIB},
	{"many that share little", {MIB, 10, 0}, 5, 1, {512}, 2, 0},
};

/* Within 5 %; the bucket may owe one command at the end. */
static void within_one(const char *why, uint64_t got, uint64_t wanted, uint64_t one)
{
	uint64_t slack = MAX(wanted / 20, one);

	if (wanted != 0 && (got + slack < wanted || got > wanted + slack))
		fail_msg("%s: %llu, not %llu", why, (unsigned long long)got,
			 (unsigned long long)wanted);
}

static void within(const char *why, uint64_t got, uint64_t wanted)
{
	within_one(why, got, wanted, 0);
}

struct served {
	uint64_t commands, octets;
};

static struct served serve(struct limits *l, const struct load *load, uint64_t from, uint64_t ms)
{
	struct served s = {0};
	unsigned next = 0;

	for (uint64_t now = from; now < from + ms; now += load->step) {
		while (limits_allow(l, now)) {
			limits_draw(l, 1, load->sizes[next]);
			s.commands++;
			s.octets += load->sizes[next];
			next = next < 2 && load->sizes[next + 1] != 0 ? next + 1 : 0;
		}
		assert_true(limits_when(l, now) > now);
	}
	return s;
}

static void rates(void **state)
{
	const struct load *load = *state;
	struct limits l = {0};
	struct served s;

	limits_set(&l, &load->values, load->shares, 5000);
	s = serve(&l, load, 5000, SECONDS * 1000);
	within_one(load->why, s.commands, load->commands * SECONDS, 1);
	within_one(load->why, s.octets, load->octets * SECONDS, load->sizes[0]);
}

static const struct load small = {"", {0, 1000, 0}, 1, 1, {4096}, 0, 0};

static void changed_midway(void **state)
{
	struct limits l = {0};

	(void)state;
	limits_set(&l, &small.values, 1, 0);
	within("before", serve(&l, &small, 0, 5000).commands, 5000);
	limits_set(&l, &(struct limit_values){.iops = 3000}, 1, 5000);
	within("more from now on", serve(&l, &small, 5000, 5000).commands, 15000);
	limits_set(&l, &(struct limit_values){.iops = 3000}, 3, 10000);
	within("two others came", serve(&l, &small, 10000, 5000).commands, 5000);
	limits_set(&l, &(struct limit_values){.iops = 100}, 1, 15000);
	within("less", serve(&l, &small, 15000, 10000).commands, 1000);
	limits_set(&l, &(struct limit_values){0}, 1, 25000);
	limits_draw(&l, 1, 1ull << 40);
	assert_true(limits_allow(&l, 25000) && !limits_are_set(&l));
	limits_set(&l, &small.values, 1, 25001);
	within("again, as new", serve(&l, &small, 25001, 10000).commands, 10000);
}

static void saying_it_again_gives_nothing(void **state)
{
	struct limits l = {0};
	uint64_t commands = 0;

	(void)state;
	limits_set(&l, &small.values, 1, 0);
	for (uint64_t now = 0; now < 10000; now += 10) {
		limits_set(&l, &small.values, 1, now);
		commands += serve(&l, &small, now, 10).commands;
	}
	within("told a hundred times a second", commands, 10000);
}

static void idle_time_is_not_saved(void **state)
{
	struct limits l = {0};

	(void)state;
	limits_set(&l, &small.values, 1, 0);
	assert_int_equal(serve(&l, &small, 3600000, 1).commands, 1000 * LIMITS_BURST_MS / 1000);
}

static void clock_jumps(void **state)
{
	struct limits l = {0};

	(void)state;
	limits_set(&l, &small.values, 1, 1000000);
	(void)serve(&l, &small, 1000000, 1000);
	assert_int_equal(serve(&l, &small, 500, 1).commands, 0); /* back: nothing is given twice */
	within("it goes on from there", serve(&l, &small, 501, 10000).commands, 10000);
	assert_int_equal(serve(&l, &small, UINT64_MAX / 2, 1).commands, 100); /* far on */
}

static void a_large_one_is_paid_for(void **state)
{
	struct limits l = {0};
	uint64_t when;

	(void)state;
	limits_set(&l, &(struct limit_values){.bandwidth = MIB}, 1, 1000);
	assert_true(limits_allow(&l, 1000));
	limits_draw(&l, 1, 4 * MIB);
	assert_false(limits_allow(&l, 1001));
	when = limits_when(&l, 1001);
	assert_in_range(when, 4850, 4910); /* 4 s, less what was saved */
	assert_false(limits_allow(&l, when - 2));
	assert_true(limits_allow(&l, when));
}

static void outstanding(void **state)
{
	struct limits l = {0};

	(void)state;
	assert_false(limits_are_full(&l));
	limits_set(&l, &(struct limit_values){.outstanding = 5}, 1, 0);
	l.going = 4;
	assert_true(limits_are_set(&l) && !limits_are_full(&l));
	l.going = 5;
	assert_true(limits_are_full(&l));
	limits_set(&l, &(struct limit_values){.outstanding = 5}, 2, 0);
	assert_int_equal(limits_outstanding(&l), 2);
	limits_set(&l, &(struct limit_values){.outstanding = 5}, 9, 0);
	assert_int_equal(limits_outstanding(&l), 1); /* nobody waits for ever */
}

/* Whatever the policy may say, and however many share it: no product overflows. */
static void extremes(void **state)
{
	static const struct limit_values all[] = {{1ull << 40, 10000000, 128}, {1 << 20, 10, 1}};

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct limits l = {0};
		uint64_t now = 1ull << 50;

		limits_set(&l, &all[k], 65536, now);
		for (unsigned n = 0; n < 1000; n++) {
			assert_true(limits_allow(&l, now));
			limits_draw(&l, 1, 64 * MIB);
			assert_false(limits_allow(&l, now));
			now = limits_when(&l, now);
		}
	}
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, loads, rates);
	tests_add(&t, "limits that change while it goes on", changed_midway, NULL);
	tests_add(&t, "who is told the same again gets no more", saying_it_again_gives_nothing,
		  NULL);
	tests_add(&t, "what was not used is saved for a tenth of a second", idle_time_is_not_saved,
		  NULL);
	tests_add(&t, "the clock jumps, back and forth", clock_jumps, NULL);
	tests_add(&t, "a command larger than the bucket runs, and those behind it pay",
		  a_large_one_is_paid_for, NULL);
	tests_add(&t, "commands at once, of one session of several", outstanding, NULL);
	tests_add(&t, "the least and the most that a policy can say", extremes, NULL);
	return tests_run(&t, "scsi_limits");
}

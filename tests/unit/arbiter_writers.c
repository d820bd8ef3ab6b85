/* Who may write under a persistent reservation, as the monitor is told: SPC-4 section 5.13. */
#include "tests/unit/test.h"

#include "gateway/arbiter/keeping.h"
#include "gateway/arbiter/reservations.h"

static struct tests t;

enum { NOBODY, ALICE = 11, BOB = 12, CAROL = 13 };

static const struct row {
	const char *why;
	uint8_t type;
	uint64_t holder, writers[3];
} rows[] = {
	{"without a reservation nobody writes by it", RESERVATION_NONE, NOBODY, {NOBODY}},
	{"write exclusive: the holder", RESERVATION_WRITE_EXCLUSIVE, BOB, {BOB}},
	{"exclusive access: the holder", RESERVATION_EXCLUSIVE_ACCESS, ALICE, {ALICE}},
	{"write exclusive, registrants only: who is registered",
	 RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS,
	 BOB,
	 {ALICE, BOB}},
	{"exclusive access, registrants only: who is registered",
	 RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS,
	 ALICE,
	 {ALICE, BOB}},
	{"write exclusive, all registrants", RESERVATION_WRITE_EXCLUSIVE_ALL, NOBODY, {ALICE, BOB}},
	{"exclusive access, all registrants",
	 RESERVATION_EXCLUSIVE_ACCESS_ALL,
	 NOBODY,
	 {ALICE, BOB}},
	{"RESERVE(6) gives nobody more than he has", RESERVATION_RESERVE_6, CAROL, {NOBODY}},
};

static void test_row(void **state)
{
	const struct row *row = *state;
	static struct arbiter_record record;
	static struct court court;
	static struct keeping keeping;
	struct arbiter_summary told[1] = {{0}}, summary;
	static const uint64_t registered[] = {ALICE, BOB};

	record = (struct arbiter_record){0};
	for (size_t k = 0; k < ARRAY_LEN(registered) && row->type != RESERVATION_RESERVE_6; k++) {
		struct registration one = {.nexus = registered[k], .key = 1};

		assert_true(registration_put(&record, &one));
	}
	record.state.reservation = row->type;
	record.state.holder = row->holder;
	court = (struct court){.records[0] = &record};
	keeping = (struct keeping){.disks = 1, .told = told};
	told[0].registrants = 99; /* something else */
	keeping_note(&keeping, 0);
	assert_true(keeping_news(&keeping, &court, &summary));
	for (size_t k = 0; k < ARRAY_LEN(row->writers); k++)
		assert_int_equal(summary.writers[k], row->writers[k]);
	keeping_told(&keeping, &summary);
	keeping_note(&keeping, 0);
	assert_false(keeping_news(&keeping, &court, &summary));
}

/* The number of registrants is the same, and who they are is not. */
static void test_another(void **state)
{
	static struct arbiter_record record;
	static struct court court;
	static struct keeping keeping;
	struct registration alice = {.nexus = ALICE, .key = 1}, bob = {.nexus = BOB, .key = 1};
	struct arbiter_summary told[1] = {{0}}, summary;

	(void)state;
	court = (struct court){.records[0] = &record};
	keeping = (struct keeping){.disks = 1, .told = told};
	assert_true(registration_put(&record, &alice));
	record.state.reservation = RESERVATION_WRITE_EXCLUSIVE_ALL;
	keeping_note(&keeping, 0);
	assert_true(keeping_news(&keeping, &court, &summary));
	keeping_told(&keeping, &summary);
	registration_drop(&record, registration_find(&record, ALICE));
	assert_true(registration_put(&record, &bob));
	keeping_note(&keeping, 0);
	assert_true(keeping_news(&keeping, &court, &summary));
	assert_int_equal(summary.writers[0], BOB);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, test_row);
	tests_add(&t, "the monitor is told when another one may write", test_another, NULL);
	return tests_run(&t, "arbiter_writers");
}

/* The unit attention that a new session begins with, SAM-5. */
#include "tests/unit/test.h"

#include "gateway/monitor/monitor.h"

static struct tests t;

static const struct row {
	const char *why;
	uint64_t others;  /* nexuses that came before … */
	bool before;	  /* … and this one before them */
	uint64_t between; /* others that came after its first */
	uint16_t want;
} rows[] = {
	{"the first session of all is told of the power on", 0, false, 0, 0x2901},
	{"the first of its nexus, too", 100, false, 0, 0x2901},
	{"the last that can be known to be the first", NEXUSES_KNOWN - 1, false, 0, 0x2901},
	{"the second of its nexus is told that the one before is lost", 0, true, 0, 0x2907},
	{"whoever came between", 5, true, NEXUSES_KNOWN - 1, 0x2907},
	{"29h/00h stands for both when nobody can tell", NEXUSES_KNOWN, false, 0, 0x2900},
	{"so it does when the first was forgotten", 0, true, NEXUSES_KNOWN, 0x2900},
	{"and long after", 0, true, 3 * NEXUSES_KNOWN, 0x2900},
};

static void begins(void **state)
{
	const struct row *row = *state;
	struct nexuses *known = calloc(1, sizeof *known);

	assert_non_null(known);
	for (uint64_t n = 0; n < row->others; n++)
		(void)nexus_begins(known, 1000 + n);
	if (row->before)
		(void)nexus_begins(known, 7);
	for (uint64_t n = 0; n < row->between; n++)
		(void)nexus_begins(known, 1000000 + n);
	assert_int_equal(nexus_begins(known, 7), row->want);
	assert_int_equal(nexus_begins(known, 7), 0x2907);
	free(known);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, begins);
	return tests_run(&t, "monitor_nexuses");
}

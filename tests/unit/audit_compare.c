/* Two periods side by side: new, gone, more, less, by the hour and not by the sum. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "gateway/audit/compare.h"

#define HOUR UINT64_C(3600000000000)

static const struct pair {
	const char *why;
	unsigned hours[2]; /* of the periods */
	uint64_t times[2];
	bool all;
	const char *want; /* "before after change" */
} pairs[] = {
	{"neither has it", {1, 1}, {0, 0}, true, ""},
	{"it is new", {1, 1}, {0, 1}, false, "0 1 new"},
	{"it is gone", {1, 1}, {7, 0}, false, "7 0 gone"},
	{"twice as much is more", {1, 1}, {5, 10}, false, "5 10 more"},
	{"almost twice as much is not", {1, 1}, {5, 9}, false, ""},
	{"half is less", {1, 1}, {10, 5}, false, "10 5 less"},
	{"a bit more than half is not", {1, 1}, {10, 6}, false, ""},
	{"all are told when asked for", {1, 1}, {10, 6}, true, "10 6 same"},
	{"twice as much in twice the time is the same", {1, 2}, {5, 10}, false, ""},
	{"as much in half the time is more", {2, 1}, {5, 5}, false, "5 5 more"},
	{"as much in twice the time is less", {1, 2}, {6, 6}, false, "6 6 less"},
	{"as much as there can be",
	 {1, 1},
	 {UINT64_MAX, UINT64_MAX},
	 true,
	 "18446744073709551615 18446744073709551615 same"},
};

static void note(void *arg, const struct compare_row *row)
{
	if (strcmp(row->what, "refusal") == 0 && strcmp(row->name, "wrong-secret") == 0)
		(void)snprintf(arg, 128, "%llu %llu %s", (unsigned long long)row->before,
			       (unsigned long long)row->after, compare_change_name(row->change));
}

static void test_pair(void **state)
{
	static const char reason[64] = "wrong-secret";
	const struct pair *p = *state;
	struct statistics *s[2];
	char text[128] = "";

	for (int k = 0; k < 2; k++) {
		struct reason_count *r;

		s[k] = statistics_open(HOUR, HOUR + p->hours[k] * HOUR, true);
		assert_non_null(s[k]);
		if (p->times[k] == 0)
			continue;
		r = table_get(&s[k]->reasons, reason);
		assert_non_null(r);
		r->count = p->times[k];
	}
	compare(s[0], s[1], p->all, note, text);
	assert_string_equal(text, p->want);
	statistics_close(s[0]);
	statistics_close(s[1]);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, pairs, test_pair);
	return tests_run(&t, "audit_compare");
}

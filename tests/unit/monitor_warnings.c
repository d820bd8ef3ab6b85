/* What `status` warns of, by a clock of its own: old secrets, and initiators that stay away. */
#include "gateway/monitor/monitor.h"
#include "tests/unit/test.h"

#define DAY    86400ull
#define NOW    (20000 * DAY)
#define OLD    (NOW - 365 * DAY)
#define UNSEEN (NOW - 90 * DAY)

static const struct warned {
	const char *why;
	uint64_t created_s, until_s, seen_s;
	const char *says; /* of the one warning; NULL: there is none */
} warneds[] = {
	{"a secret of a year to the second is no warning", OLD, 0, NOW, NULL},
	{"a secret that is older is, with its age and what to do", OLD - 1, 0, NOW,
	 "the secret of alice is 365 days old: sallyport secret rotate alice"},
	{"not so the old one of a rotation", OLD - 1, NOW + DAY, NOW, NULL},
	{"an initiator seen 90 days ago is no warning", NOW, 0, UNSEEN, NULL},
	{"one that was not seen for longer is", NOW, 0, UNSEEN - 1,
	 "initiator iqn.2026-11.net.example:a was not seen for 90 days"},
	{"a clock that went back warns of nothing", NOW + 400 * DAY, 0, NOW + DAY, NULL},
};

static void run_warned(void **state)
{
	const struct warned *row = *state;
	struct store_entry entry = {
		.name = "alice", .created_s = row->created_s, .until_s = row->until_s};
	const struct store_list secrets = {&entry, 1};
	json_t *seen = json_pack("{s:I}", "iqn.2026-11.net.example:a", (json_int_t)row->seen_s);
	json_t *list = warnings_json(&secrets, seen, NOW);

	assert_int_equal(json_array_size(list), row->says != NULL);
	if (row->says)
		assert_non_null(strstr(json_string_value(json_array_get(list, 0)), row->says));
	json_decref(list);
	json_decref(seen);
}

static void run_many(void **state)
{
	static struct store_entry entries[1000];
	const struct store_list secrets = {entries, ARRAY_LEN(entries)};
	json_t *seen = json_object(), *list = warnings_json(&secrets, seen, NOW);

	(void)state;
	assert_int_equal(json_array_size(list), 11);
	assert_non_null(strstr(json_string_value(json_array_get(list, 10)), "990 more"));
	json_decref(list);
	json_decref(seen);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, warneds, run_warned);
	tests_add(&t, "P6: of many the first ten are listed, the others counted", run_many, NULL);
	return tests_run(&t, "monitor_warnings");
}

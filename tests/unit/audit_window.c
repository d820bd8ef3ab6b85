/* The window of a live export: what was acknowledged is behind the position, what was not is sent
 * again; and the items that cross the pipe between the two processes. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include "gateway/cli/export_window.h"

static struct window w;

static void add(const char *text, uint64_t next)
{
	const struct export_item item = {
		.kind = ITEM_RECORDS, .octets = (uint32_t)strlen(text), .after = {.next = next}};

	window_add(&w, &item, (const uint8_t *)text, true);
}

static void expect(const char *text, bool one)
{
	const uint8_t *bytes;
	size_t len = window_next(&w, one, &bytes);

	assert_int_equal(len, strlen(text));
	assert_memory_equal(bytes, text, len);
}

static void fill(void)
{
	memset(&w, 0, sizeof w);
	add("one", 2);
	add("three", 4);
	expect("3 one5 three", false);
	expect("3 one", true);
}

static void nothing_sent(void **state)
{
	(void)state;
	fill();
	window_acknowledged(&w, 0);
	assert_int_equal(w.at.next, 0);
	expect("3 one5 three", false);
}

static void half_acknowledged(void **state)
{
	(void)state;
	fill();
	window_sent(&w, 12);
	window_acknowledged(&w, 5); /* "3 one5 " arrived */
	assert_int_equal(w.at.next, 2);
	assert_int_equal(window_next(&w, false, &(const uint8_t *){NULL}), 0);
	window_again(&w);
	expect("5 three", false);
}

static void all_acknowledged(void **state)
{
	(void)state;
	fill();
	window_sent(&w, 12);
	window_acknowledged(&w, 0);
	assert_int_equal(w.at.next, 4);
	assert_int_equal(w.count, 0);
	assert_int_equal(w.used, 0);
}

static void too_much_outstanding(void **state)
{
	(void)state;
	fill();
	window_sent(&w, 5);
	window_acknowledged(&w, 100); /* of an earlier connection: nothing arrived */
	assert_int_equal(w.at.next, 0);
	assert_int_equal(w.count, 2);
}

static void position_alone(void **state)
{
	(void)state;
	memset(&w, 0, sizeof w);
	add("", 7);
	assert_int_equal(w.at.next, 7);
	fill();
	add("", 9);
	window_sent(&w, 12);
	window_acknowledged(&w, 1);
	assert_int_equal(w.at.next, 2);
	window_acknowledged(&w, 0);
	assert_int_equal(w.at.next, 9);
}

static void bounded(void **state)
{
	static uint8_t text[EXPORT_MESSAGE_MAX];
	const struct export_item item = {.kind = ITEM_RECORDS, .octets = sizeof text};
	size_t n = 0;

	(void)state;
	memset(&w, 0, sizeof w);
	for (; window_has_room(&w); n++)
		window_add(&w, &item, text, true);
	assert_in_range(n, 10, 16);
	memset(&w, 0, sizeof w);
	for (n = 0; window_has_room(&w); n++)
		add("x", n);
	assert_int_equal(n, WINDOW_MESSAGES);
}

/* --- the pipe ------------------------------------------------------------------------------- */

static struct export_pipe p;

static void put_item(struct export_item item, size_t octets)
{
	memset(&p, 0, sizeof p);
	memcpy(p.bytes, &item, sizeof item);
	p.len = sizeof item + octets;
}

static const struct {
	const char *why;
	struct export_item item;
	size_t octets;
	int want;
} items[] = {
	{"a whole item", {.kind = ITEM_RECORDS, .octets = 9}, 9, 1},
	{"the end has no text", {.kind = ITEM_END}, 0, 1},
	{"an item that is not whole yet", {.kind = ITEM_RECORDS, .octets = 9}, 8, 0},
	{"an item that is longer than any",
	 {.kind = ITEM_RECORDS, .octets = EXPORT_ITEM_MAX + 1},
	 9,
	 -EPROTO},
	{"an item of no kind", {.kind = 0, .octets = 1}, 1, -EPROTO},
	{"an item of an unknown kind", {.kind = ITEM_END + 1}, 0, -EPROTO},
};

static void check_item(void **state)
{
	const __typeof__(items[0]) *row = *state;
	struct export_item item;
	const uint8_t *text;

	put_item(row->item, row->octets);
	assert_int_equal(export_pipe_next(&p, &item, &text), row->want);
	if (row->want == 1)
		assert_int_equal(export_pipe_next(&p, &item, &text), 0);
}

static const struct {
	const char *why;
	uint8_t bytes[16];
	size_t len;
	bool want;
} rows[] = {
	{"a row without values", {0}, 0, true},
	{"a number", {FIELD_SEQ, 0, 0, 0, 0, 0, 0, 0, 1}, 9, true},
	{"a number cut off", {FIELD_SEQ, 0, 0, 0, 0, 0, 0, 0}, 8, false},
	{"a text", {FIELD_TIME, 0, 2, 'a', 'b'}, 5, true},
	{"a text longer than the row", {FIELD_TIME, 0, 3, 'a', 'b'}, 5, false},
	{"a field that there is not", {FIELDS, 0, 0}, 3, false},
};

static void check_row(void **state)
{
	const __typeof__(rows[0]) *row = *state;
	struct export_row got;

	assert_int_equal(export_row_get(row->bytes, row->len, &got), row->want);
}

static void row_round_trip(void **state)
{
	struct trail_record r = {.run = 9};
	uint8_t bytes[1024];
	struct wr out = wr_over(bytes, sizeof bytes);
	struct export_row got;

	(void)state;
	r.frame.type = FRAME_EVENT;
	r.frame.stamp.sequence = UINT64_C(1) << 40;
	r.frame.event.kind = EVENT_LOGIN;
	string_copy(r.frame.event.user, sizeof r.frame.event.user, "al'ice\n");
	export_row_put(&out, &r);
	assert_true(export_row_get(bytes, wr_len(&out), &got));
	assert_int_equal(got.number[FIELD_SEQ], UINT64_C(1) << 40);
	assert_int_equal(got.len[FIELD_USER], strlen("al\\x27ice\\x0a"));
	assert_memory_equal(got.text[FIELD_USER], "al\\x27ice\\x0a", got.len[FIELD_USER]);
}

static const struct {
	const char *why, *name;
	bool want;
} names[] = {
	{"a checkpoint's name", "siem-2.daily_x", true},
	{"no name", "", false},
	{"a name that is hidden", ".x", false},
	{"a path", "a/b", false},
	{"a line end", "a\n", false},
	{"a name of 64 characters",
	 "0123456789012345678901234567890123456789012345678901234567890123", true},
	{"a name of 65 characters",
	 "01234567890123456789012345678901234567890123456789012345678901234", false},
};

static void check_name(void **state)
{
	const __typeof__(names[0]) *row = *state;

	assert_int_equal(export_name_ok(row->name), row->want);
}

static struct tests t;

int main(void)
{
	tests_add(&t, "what was not sent is not acknowledged", nothing_sent, NULL);
	tests_add(&t, "a message that arrived in part is sent again, whole", half_acknowledged,
		  NULL);
	tests_add(&t, "what arrived is forgotten, and the position behind it", all_acknowledged,
		  NULL);
	tests_add(&t, "more outstanding than was sent is nothing acknowledged",
		  too_much_outstanding, NULL);
	tests_add(&t, "a position without a message waits for those before it", position_alone,
		  NULL);
	tests_add(&t, "P6: the window is bounded, in octets and messages", bounded, NULL);
	TESTS_ADD_TABLE(&t, items, check_item);
	TESTS_ADD_TABLE(&t, rows, check_row);
	tests_add(&t, "a row crosses the pipe as it is", row_round_trip, NULL);
	TESTS_ADD_TABLE(&t, names, check_name);
	return tests_run(&t, "audit window");
}

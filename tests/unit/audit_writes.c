/* Who wrote a block last: the newest write that ended well, those that failed told apart, ranges of
 * one command together, tags used again, windows from the newest to the oldest. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "gateway/audit/writes.h"

enum what {
	END,
	WRITE,
	WRITE_ELSEWHERE, /* to another LUN */
	READ,
	UNMAP,
	UNMAP_RANGE,
	CAW,
	FORMAT,
	SAME_UNMAP,
	COPY_FROM,
	COPY_TO,
	DENIED,
	FAILS,
	UNEQUAL,
	NOT_RUN,
	ENDS_WELL,
	BUSY,
	WINDOW
};

struct step {
	enum what what;
	uint32_t tag;
	uint64_t lba;
	uint32_t blocks;
};

#define STEPS 12
struct story {
	const char *why;
	struct step steps[STEPS]; /* sequence: 1 + index */
	const char *lba;
	uint64_t history;
	const char *want; /* "first-last@sequence end, …" */
};

static const struct story stories[] = {
	{"nobody", {{END, 0, 0, 0}}, "5", 0, "5-5 nobody"},
	{"a write", {{WRITE, 1, 0, 9}}, "5", 0, "5-5@1 done"},
	{"the last of two", {{WRITE, 1, 0, 9}, {WRITE, 2, 5, 1}}, "5", 0, "5-5@2 done"},
	{"a read is none", {{WRITE, 1, 0, 9}, {READ, 2, 5, 1}}, "5", 0, "5-5@1 done"},
	{"a denied write is none", {{WRITE, 1, 0, 9}, {DENIED, 2, 5, 1}}, "5", 0, "5-5@1 done"},
	{"blocks by different writers",
	 {{WRITE, 1, 0, 9}, {WRITE, 2, 4, 2}},
	 "2-7",
	 0,
	 "4-5@2 done, 2-3@1 done, 6-7@1 done"},
	{"some by nobody", {{WRITE, 1, 4, 2}}, "3-6", 0, "4-5@1 done, 3-3 nobody, 6-6 nobody"},
	{"several ranges",
	 {{WRITE, 1, 0, 4}, {WRITE, 2, 8, 4}},
	 "1,9,11",
	 0,
	 "9-9@2 done, 11-11@2 done, 1-1@1 done"},
	{"an unmap", {{WRITE, 1, 0, 9}, {UNMAP, 2, 5, 1}}, "5", 0, "5-5@2 done"},
	{"a WRITE SAME that unmaps", {{SAME_UNMAP, 2, 5, 1}}, "5", 0, "5-5@1 done"},
	{"a format is for every block",
	 {{WRITE, 1, 0, 9}, {FORMAT, 2, 0, 0}},
	 "5,900",
	 0,
	 "5-5@2 done, 900-900@2 done"},
	{"a copy's destination, not its source",
	 {{WRITE, 1, 0, 9}, {COPY_FROM, 2, 5, 1}, {COPY_TO, 2, 6, 1}},
	 "5-6",
	 0,
	 "6-6@3 done, 5-5@1 done"},
	{"one that failed may have written: it and the one before",
	 {{WRITE, 1, 0, 9}, {WRITE, 2, 5, 1}, {FAILS, 2, 5, 1}},
	 "5",
	 0,
	 "5-5@2 failed, 5-5@1 done"},
	{"one that was never executed wrote nothing",
	 {{WRITE, 1, 0, 9}, {WRITE, 2, 5, 1}, {NOT_RUN, 2, 5, 1}},
	 "5",
	 0,
	 "5-5@1 done"},
	{"a comparison that was unequal wrote nothing",
	 {{WRITE, 1, 0, 9}, {CAW, 2, 5, 1}, {UNEQUAL, 2, 5, 1}},
	 "5",
	 0,
	 "5-5@1 done"},
	{"a comparison that was equal wrote",
	 {{WRITE, 1, 0, 9}, {CAW, 2, 5, 1}},
	 "5",
	 0,
	 "5-5@2 done"},
	{"an outcome that says it ended well",
	 {{WRITE, 1, 5, 1}, {ENDS_WELL, 1, 5, 1}},
	 "5",
	 0,
	 "5-5@1 done"},
	{"a count of BUSY answers is no outcome",
	 {{WRITE, 0, 5, 1}, {BUSY, 0, 5, 1}},
	 "5",
	 0,
	 "5-5@1 done"},
	{"the outcome of another task",
	 {{WRITE, 1, 5, 1}, {WRITE, 2, 50, 1}, {FAILS, 2, 50, 1}},
	 "5",
	 0,
	 "5-5@1 done"},
	{"a tag that is used again by a command that fails",
	 {{WRITE, 1, 5, 1}, {WRITE, 1, 50, 1}, {FAILS, 1, 50, 1}},
	 "5",
	 0,
	 "5-5@1 done"},
	{"the same CDB with the same tag to another LUN, that fails: a mirror's other half",
	 {{WRITE, 1, 5, 1}, {WRITE_ELSEWHERE, 1, 5, 1}, {FAILS, 1, 5, 1}},
	 "5",
	 0,
	 "5-5@1 done"},
	{"… in a newer window",
	 {{WRITE, 1, 5, 1}, {WINDOW, 0, 0, 0}, {WRITE_ELSEWHERE, 1, 5, 1}, {FAILS, 1, 5, 1}},
	 "5",
	 0,
	 "5-5@1 done"},
	{"a tag that is used again, after a failure",
	 {{WRITE, 1, 5, 1}, {FAILS, 1, 5, 1}, {WRITE, 1, 5, 1}},
	 "5",
	 0,
	 "5-5@3 done"},
	{"all ranges of one unmap end together",
	 {{UNMAP, 1, 5, 1}, {UNMAP_RANGE, 1, 8, 1}, {FAILS, 1, 0, 0}},
	 "5,8",
	 1000,
	 "8-8@2 failed, 5-5@1 failed"},
	{"an unmap before it with the same tag ended well",
	 {{UNMAP, 1, 5, 1}, {UNMAP, 1, 5, 1}, {FAILS, 1, 0, 0}},
	 "5",
	 0,
	 "5-5@2 failed, 5-5@1 done"},
	{"… even if the one that failed was of other blocks",
	 {{UNMAP, 1, 5, 1}, {UNMAP, 1, 50, 1}, {FAILS, 1, 0, 0}},
	 "5",
	 0,
	 "5-5@1 done"},
	{"who wrote it before: newest first, whatever became of it",
	 {{WRITE, 1, 5, 1}, {WRITE, 2, 5, 1}, {NOT_RUN, 2, 5, 1}, {WRITE, 3, 0, 9}},
	 "5",
	 9,
	 "0-8@4 done, 5-5@2 not-executed, 5-5@1 done"},
	{"no more of them than asked",
	 {{WRITE, 1, 5, 1}, {WRITE, 2, 5, 1}, {WRITE, 3, 5, 1}},
	 "5",
	 2,
	 "5-5@3 done, 5-5@2 done"},
	{"an older window is asked for what newer ones don't have",
	 {{WRITE, 1, 0, 9}, {WINDOW, 0, 0, 0}, {WRITE, 2, 5, 1}},
	 "5-6",
	 0,
	 "5-5@3 done, 6-6@1 done"},
	{"an outcome in a newer window than its command",
	 {{WRITE, 9, 5, 1}, {WRITE, 1, 5, 1}, {WINDOW, 0, 0, 0}, {FAILS, 1, 5, 1}},
	 "5",
	 0,
	 "5-5@2 failed, 5-5@1 done"},
	{"… with a window between them",
	 {{WRITE, 9, 5, 1},
	  {WRITE, 1, 5, 1},
	  {WINDOW, 0, 0, 0},
	  {READ, 7, 5, 1},
	  {WINDOW, 0, 0, 0},
	  {FAILS, 1, 5, 1}},
	 "5",
	 0,
	 "5-5@2 failed, 5-5@1 done"},
	{"… is not of an older one with the same tag",
	 {{WRITE, 1, 5, 1},
	  {WINDOW, 0, 0, 0},
	  {WRITE, 1, 5, 1},
	  {WINDOW, 0, 0, 0},
	  {FAILS, 1, 5, 1}},
	 "5",
	 0,
	 "5-5@3 failed, 5-5@1 done"},
	{"beyond the last block that there can be",
	 {{WRITE, 1, UINT64_MAX, 9}},
	 "18446744073709551615",
	 0,
	 "18446744073709551615-18446744073709551615@1 done"},
};

static struct audit_record record_of(const struct step *s, uint64_t sequence)
{
	static const uint8_t opcodes[] = {
		[WRITE] = 0x8a,	  [WRITE_ELSEWHERE] = 0x8a, [READ] = 0x88,
		[UNMAP] = 0x42,	  [UNMAP_RANGE] = 0x42,	    [CAW] = 0x89,
		[FORMAT] = 0x04,  [SAME_UNMAP] = 0x93,	    [COPY_FROM] = 0x83,
		[COPY_TO] = 0x83, [DENIED] = 0x8a,	    [BUSY] = 0,
		[WINDOW] = 0};
	struct audit_record r = {.kind = AUDIT_COMMAND,
				 .verdict = s->what == DENIED ? VERDICT_DENIED : VERDICT_ADMITTED,
				 .lba = s->lba,
				 .blocks = s->blocks,
				 .task_tag = s->tag,
				 .wall_ns = sequence * 1000000,
				 .cdb_len = 16,
				 .lun = s->what == WRITE_ELSEWHERE,
				 .source = s->what == COPY_FROM};

	if (s->what < ARRAY_LEN(opcodes))
		r.cdb[0] = opcodes[s->what];
	if (s->what == UNMAP_RANGE)
		r.wall_ns -= 1000000;
	if (s->what == SAME_UNMAP)
		r.cdb[1] = 8;
	if (r.cdb[0] == 0x8a || r.cdb[0] == 0x89)
		r.cdb[9] = (uint8_t)s->lba;
	return r;
}

/* Of the command before it with its tag. */
static struct audit_record outcome_of(const struct story *story, size_t at)
{
	static const uint8_t verdicts[] = {[FAILS] = VERDICT_FAILED,
					   [UNEQUAL] = VERDICT_FAILED,
					   [NOT_RUN] = VERDICT_NOT_EXECUTED,
					   [ENDS_WELL] = VERDICT_DONE};
	const struct step *s = &story->steps[at];
	struct audit_record r = {0};

	for (size_t k = 0; k < at; k++) {
		if (story->steps[k].what < FAILS && story->steps[k].tag == s->tag)
			r = record_of(&story->steps[k], k + 1);
	}
	r.kind = AUDIT_OUTCOME;
	r.verdict = s->what == BUSY ? VERDICT_BUSY : verdicts[s->what];
	r.wall_ns = (at + 1) * 1000000;
	r.sense_key = s->what == UNEQUAL ? 0x0e : 3;
	r.lba = s->lba;
	r.blocks = s->blocks;
	return r;
}

struct told {
	char text[512];
};

static void tell(void *arg, const struct write_note *n, struct lba_range piece)
{
	struct told *t = arg;
	size_t len = strlen(t->text);

	len += (size_t)snprintf(t->text + len, sizeof t->text - len, "%s%llu-%llu", len ? ", " : "",
				(unsigned long long)piece.first, (unsigned long long)piece.last);
	if (n)
		(void)snprintf(t->text + len, sizeof t->text - len, "@%llu %s",
			       (unsigned long long)n->stamp.sequence, write_end_name(n->end));
	else
		(void)snprintf(t->text + len, sizeof t->text - len, " nobody");
}

static void add(struct writes *w, const struct story *story, size_t at)
{
	struct trail_record r = {.run = 1};

	if (story->steps[at].what == END)
		return;
	r.frame.type = FRAME_COMMAND;
	r.frame.connection = 4;
	r.frame.stamp.sequence = at + 1;
	r.frame.command = story->steps[at].what >= FAILS ? outcome_of(story, at)
							 : record_of(&story->steps[at], at + 1);
	writes_add(w, &r);
}

static void test_story(void **state)
{
	const struct story *story = *state;
	struct lba_range ranges[4];
	struct audit_filter f = {.ranges = ranges, .has_lun = true, .lun = 0};
	struct told told = {""};
	size_t end = STEPS;
	struct writes w;
	char text[64];
	char *rest = text;
	int e = 0;

	string_copy(text, sizeof text, story->lba);
	while (rest)
		assert_int_equal(lba_range_parse(strsep(&rest, ","), &ranges[f.range_count++]), 0);
	assert_int_equal(writes_open(&w, &f, story->history), 0);
	while (e == 0 && end > 0) {
		size_t begin = end;

		while (begin > 0 && story->steps[begin - 1].what != WINDOW)
			begin--;
		writes_window(&w);
		for (size_t at = begin; at < end; at++)
			add(&w, story, at);
		e = writes_end_window(&w, tell, &told);
		assert_true(e >= 0);
		end = begin > 0 ? begin - 1 : 0;
	}
	writes_end(&w, tell, &told);
	writes_close(&w);
	assert_string_equal(told.text, story->want);
}

static void window_is_bounded(void **state)
{
	struct lba_range range = {5, 5};
	struct audit_filter f = {.ranges = &range, .range_count = 1};
	struct trail_record r = {.frame = {.type = FRAME_COMMAND}};
	struct told told = {""};
	struct writes w;

	(void)state;
	r.frame.command = record_of(&(struct step){WRITE, 1, 5, 1}, 1);
	assert_int_equal(writes_open(&w, &f, 0), 0);
	for (unsigned k = 0; k < WRITES_NOTES_MAX; k++)
		writes_add(&w, &r);
	assert_false(w.full);
	writes_add(&w, &r);
	assert_true(w.full);
	writes_window(&w);
	assert_false(w.full);
	r.frame.stamp.sequence = 7;
	writes_add(&w, &r);
	assert_int_equal(writes_end_window(&w, tell, &told), 1);
	assert_string_equal(told.text, "5-5@7 done");
	writes_close(&w);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, stories, test_story);
	tests_add(&t, "a window with too much is begun again, smaller", window_is_bounded, NULL);
	return tests_run(&t, "audit_writes");
}

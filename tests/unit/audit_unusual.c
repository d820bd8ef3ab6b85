/* What the statistics of a trail tell as out of the ordinary, and what not: each threshold
 * from both of its sides. */
#include "tests/unit/test.h"

#include "tests/unit/statistics_story.h"

/* --- out of the ordinary --- */

static bool has(const struct story *y, enum unusual_kind kind)
{
	for (size_t k = 0; k < y->s->unusual_count; k++) {
		if (y->s->unusual[k].kind == kind)
			return true;
	}
	return false;
}

/* Every day from 9 to 10 o'clock, 100 reads of 4 KiB. */
static void history(struct story *y, unsigned days)
{
	for (unsigned day = days; day > 0; day--) {
		y->now = SUNDAY - day * DAY + 9 * HOUR;
		if (day == days)
			login(y);
		for (unsigned k = 0; k < 100; k++)
			touch(y, READ, 8 * (k % 10), 8);
	}
	y->now = SUNDAY;
}

static void reads_at(struct story *y, uint64_t hour)
{
	y->now = SUNDAY + hour;
	for (unsigned k = 0; k < 100; k++)
		touch(y, READ, 8 * (k % 10), 8);
}

static void usual_day(struct story *y)
{
	reads_at(y, 9 * HOUR);
}

static void night(struct story *y)
{
	reads_at(y, 3 * HOUR);
}

static void an_hour_beside(struct story *y)
{
	reads_at(y, 10 * HOUR);
}

static void much(struct story *y, uint8_t opcode)
{
	y->now = SUNDAY + 9 * HOUR;
	for (unsigned k = 0; k < 600; k++)
		touch(y, opcode, 0, 1024);
}

static void reads_much(struct story *y)
{
	much(y, READ);
}

static void writes_much(struct story *y)
{
	much(y, WRITE);
}

static void overwrites(struct story *y)
{
	for (uint32_t at = 0; at < BLOCKS; at += 1024, y->now += SECOND)
		touch(y, WRITE, at, 1024);
}

static void overwrites_slowly(struct story *y)
{
	for (uint32_t at = 0; at < BLOCKS; at += 1024, y->now += 60 * SECOND)
		touch(y, WRITE, at, 1024);
}

static void overwrites_a_corner(struct story *y)
{
	for (uint32_t k = 0; k < 200; k++)
		touch(y, WRITE, k % 8 * 1024, 1024);
}

static void discards_all(struct story *y)
{
	for (uint32_t at = 0; at < BLOCKS; at += 8192)
		touch(y, UNMAP, at, 8192);
}

static void encrypts(struct story *y)
{
	for (uint32_t at = 0; at < 40960; at += 512) { /* 20 MiB of 64 */
		touch(y, READ, at, 512);
		y->now += SECOND;
		touch(y, WRITE, at, 512);
	}
}

static void works_on_files(struct story *y)
{
	for (uint32_t at = 0; at < 40960; at += 512) {
		touch(y, READ, at, 512);
		touch(y, WRITE, at, 512);
		touch(y, WRITE, 65536 + at, 512); /* new blocks, as many */
	}
}

static void writes_the_same_again(struct story *y)
{
	touch(y, READ, 0, 512);
	for (unsigned k = 0; k < 400; k++)
		touch(y, WRITE, 0, 512);
}

static void writes_what_it_read_long_ago(struct story *y)
{
	for (uint32_t at = 0; at < 40960; at += 512)
		touch(y, READ, at, 512);
	y->now += 2 * HOUR;
	for (uint32_t at = 0; at < 40960; at += 512)
		touch(y, WRITE, at, 512);
}

static void copies(struct story *y)
{
	for (uint32_t at = 0; at < BLOCKS; at += 512)
		touch(y, READ, at, 512);
}

static void reads_here_and_there(struct story *y)
{
	for (uint32_t k = 0; k < 512; k++)
		touch(y, READ, (k * 77u % 256) * 512, 512);
}

static void copies_half_a_day_each(struct story *y)
{
	for (uint32_t at = 0; at < BLOCKS; at += 512, y->now += HOUR)
		touch(y, READ, at, 512);
}

static void formats(struct story *y)
{
	touch(y, 0x04, 0, 0);
}

static const struct {
	const char *why;
	unsigned days; /* of history */
	void (*happens)(struct story *y);
	enum unusual_kind kind;
	bool want;
} unusual[] = {
	{"a day like the others is not out of the ordinary", 30, usual_day, UNUSUAL_HOUR, false},
	{"work at 3 in the night, where there was none, is", 30, night, UNUSUAL_HOUR, true},
	{"an hour beside the usual ones is not", 30, an_hour_beside, UNUSUAL_HOUR, false},
	{"with 10 days of history no hour is judged", 10, night, UNUSUAL_HOUR, false},
	{"300 MiB read where there were 400 KiB a day", 30, reads_much, UNUSUAL_READ, true},
	{"300 MiB written where there was nothing", 30, writes_much, UNUSUAL_WRITTEN, true},
	{"what was read is not told as written", 30, reads_much, UNUSUAL_WRITTEN, false},
	{"without history no volume is judged", 0, reads_much, UNUSUAL_READ, false},
	{"the whole LUN overwritten in two minutes", 0, overwrites, UNUSUAL_OVERWRITE, true},
	{"the whole LUN overwritten in two hours is ordinary", 0, overwrites_slowly,
	 UNUSUAL_OVERWRITE, false},
	{"the same corner overwritten again and again is ordinary", 0, overwrites_a_corner,
	 UNUSUAL_OVERWRITE, false},
	{"the whole LUN discarded", 0, discards_all, UNUSUAL_OVERWRITE, true},
	{"20 MiB read and overwritten block by block", 0, encrypts, UNUSUAL_REWRITE, true},
	{"as much written anew beside what was read is ordinary", 0, works_on_files,
	 UNUSUAL_REWRITE, false},
	{"one page written again and again is ordinary", 0, writes_the_same_again, UNUSUAL_REWRITE,
	 false},
	{"what was read two hours before is forgotten", 0, writes_what_it_read_long_ago,
	 UNUSUAL_REWRITE, false},
	{"writing without reading is no rewriting", 0, overwrites, UNUSUAL_REWRITE, false},
	{"the whole LUN read in order", 0, copies, UNUSUAL_BULK_READ, true},
	{"as much read here and there is ordinary", 0, reads_here_and_there, UNUSUAL_BULK_READ,
	 false},
	{"the whole LUN read over ten days is ordinary", 0, copies_half_a_day_each,
	 UNUSUAL_BULK_READ, false},
	{"FORMAT UNIT is always told", 0, formats, UNUSUAL_ERASE, true},
};

static void judges(void **state)
{
	const __typeof__(unusual[0]) *row = *state;
	struct story y;

	begin(&y, SUNDAY, SUNDAY + 30 * DAY);
	if (row->days)
		history(&y, row->days);
	else
		login(&y);
	row->happens(&y);
	statistics_end(y.s);
	assert_int_equal(has(&y, row->kind), row->want);
	end(&y);
}

static void a_backup_of_every_night(void **state)
{
	struct story y;

	(void)state;
	begin(&y, SUNDAY, SUNDAY + DAY);
	y.now = SUNDAY - 2 * DAY;
	login(&y);
	copies(&y);
	y.now = SUNDAY;
	copies(&y);
	statistics_end(y.s);
	assert_false(has(&y, UNUSUAL_BULK_READ));
	end(&y);
}

static struct tests t;

int main(void)
{
	TESTS_ADD_TABLE(&t, unusual, judges);
	tests_add(&t, "a backup that reads everything each night is ordinary",
		  a_backup_of_every_night, NULL);
	return tests_run(&t, "unusual");
}

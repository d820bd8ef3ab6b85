/* Disks that come and go before the court, and sessions that get more while they are attached. */
#include "tests/unit/court_bench.h"

static struct tests t;

static void over(uint32_t connection)
{
	court_over(&court, &sessions[connection].member, now);
	court_turn(&court, now);
}

static int order_for(uint32_t connection, uint16_t lun)
{
	struct arbiter_order body = {.id = 1, .lun = lun, .kind = ORDER_RESERVE, .blocks = 1};

	return say(connection, ARBITER_ORDER, &body, sizeof body);
}

static void test_given_back(void **state)
{
	(void)state;
	court_begin();
	assert_int_equal(court_row_free(&court, 0), -EBUSY);
	over(1);
	assert_int_equal(court_row_free(&court, 0), -EBUSY);
	assert_true(arbiter_adopt(view(2), 0));
	over(2);
	assert_int_equal(court_row_free(&court, 0), 0);
	assert_int_equal(page.generations[0], 0);
	assert_false(arbiter_is_current(view(2), 0));
	assert_false(arbiter_adopt(view(2), 0));
	assert_int_equal(court_row_free(&court, DISKS), -EINVAL);
}

/* What the disk before left in the row is not the next one's; but who looks at its log goes on. */
static void test_again(void **state)
{
	uint64_t logged;

	(void)state;
	court_begin();
	assert_int_equal(reset(1, 1, 5), 0);
	logged = page.disks[0].event_count;
	assert_true(logged > 0);
	over(1);
	over(2);
	assert_int_equal(court_row_free(&court, 0), 0);
	court_row_take(&court, 0, now);
	attach(1, false);
	view_open(1);
	assert_int_equal(hello(1, 1), 0);
	assert_true(arbiter_adopt(view(1), 0));
	assert_int_equal(view(1)->luns[0].state.resets, 0);
	assert_int_equal(page.disks[0].event_count, logged);
	assert_int_equal(reset(1, 1, 6), 0);
	assert_int_equal(page.disks[0].event_count, logged + 1);
}

/* The file may be a smaller one than that which grew. */
static void test_size(void **state)
{
	struct arbiter_record *r;

	(void)state;
	court_begin();
	over(1);
	over(2);
	assert_int_equal(court_row_free(&court, 0), 0);
	r = court_record(&court, 0);
	assert_non_null(r);
	r->state.size = 1 << 20;
	r->state.failed = EIO;
	court_row_take(&court, 0, now);
	attach(1, false);
	view_open(1);
	assert_true(arbiter_adopt(view(1), 0));
	assert_int_equal(view(1)->luns[0].state.size, 0);
	assert_int_equal(view(1)->luns[0].state.failed, EIO);
}

static void test_beyond(void **state)
{
	struct arbiter_attach info = {.connection = 9, .disks = {[3] = DISKS + 2}};
	static struct session late;

	(void)state;
	court_begin();
	late = (struct session){.member.own = &late.own};
	assert_int_equal(court_attach(&court, &late.member, &info), -EINVAL);
	court_row_take(&court, DISKS + 1, now);
	late = (struct session){.member.own = &late.own};
	assert_int_equal(court_attach(&court, &late.member, &info), 0);
	assert_true(page.generations[DISKS + 1] != 0);
	court_over(&court, &late.member, now);
}

static void test_more(void **state)
{
	struct arbiter_attach info = {.connection = 3, .disks = {[2] = 1, [7] = 2}};
	struct member *m = &sessions[3].member;

	(void)state;
	court_begin();
	assert_int_equal(order_for(3, 2), -EPROTO);
	court_begin();
	assert_int_equal(member_luns(&court, m, &info), 0);
	assert_int_equal(order_for(3, 2), 0);
	assert_int_equal(m->lun_count, 2);
	assert_int_equal(m->luns[0].lun, 7); /* its place is where it was */
	assert_false(m->luns[0].writable);
	info.writable[0] = 1ull << 7;
	assert_int_equal(member_luns(&court, m, &info), 0);
	assert_int_equal(m->lun_count, 2);
	assert_true(m->luns[0].writable);
	assert_false(m->luns[1].writable);
	info.disks[7] = 1;
	assert_int_equal(member_luns(&court, m, &info), -EINVAL);
	info.disks[7] = DISKS + 1;
	assert_int_equal(member_luns(&court, m, &info), -EINVAL);
}

int main(void)
{
	tests_add(&t, "P1: a row is given back when nobody has it, and nobody admits there",
		  test_given_back, NULL);
	tests_add(&t, "a row that is taken again begins anew, and its log goes on", test_again,
		  NULL);
	tests_add(&t, "P4: what it grew to is forgotten, that it failed is not", test_size, NULL);
	tests_add(&t, "a row beyond those that there were", test_beyond, NULL);
	tests_add(&t, "P3: a session gets a LUN or write access by the monitor's word alone",
		  test_more, NULL);
	return tests_run(&t, "arbiter_rows");
}

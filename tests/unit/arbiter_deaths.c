/* The arbiter as a process, killed and started again: what a new one knows, and what damage and a
 * lack of room do to its journal. */
#include "tests/unit/arbiter_process_rig.h"

static void go(void)
{
	assert_int_equal(channel_send(&monitor, ARBITER_GO, NULL, 0, NULL, 0), 0);
}

/* The arbiter is killed; another begins. */
static void next(uint32_t life, uint8_t run)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(status_of(), 128 + SIGKILL);
	channel_close(&monitor);
	if (life == 1) {
		fd_close(&page_fd);
		page_fd = memfd_shared("page", sizeof(struct arbiter_page));
	}
	start();
	begin(life, run);
}

static struct arbiter_answer answer; /* the last one */

static void give(uint32_t n, const struct arbiter_order *body)
{
	struct message m = {0};

	assert_int_equal(CHANNEL_SEND(&sessions[n].channel, ARBITER_ORDER, body), 0);
	while (m.type != ARBITER_ANSWER) {
		struct pollfd p = {sessions[n].channel.fd, POLLIN, 0};

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_int_equal(channel_receive(&sessions[n].channel, &m), 1);
	}
	memcpy(&answer, m.body, sizeof answer);
	assert_int_equal(answer.id, body->id);
	assert_int_equal(answer.status, 0);
}

static void order(uint32_t n, uint32_t id, enum order_kind kind, uint32_t at)
{
	give(n, &(struct arbiter_order){.id = id, .kind = (uint8_t)kind, .at = at});
}

static void prevent(uint32_t n, uint32_t id, bool on)
{
	give(n, &(struct arbiter_order){.id = id, .kind = ORDER_PREVENT, .action = on});
}

static struct arbiter_state state_of(void)
{
	struct arbiter_state state;
	off_t at = offsetof(struct arbiter_page, disks[0].state);

	assert_int_equal(pread(page_fd, &state, sizeof state, at), sizeof state);
	return state;
}

static uint32_t summarised(void)
{
	struct arbiter_summary summary;

	expect(&monitor, ARBITER_SUMMARY, &summary, sizeof summary);
	assert_int_equal(summary.disk, 0);
	return summary.failed;
}

/* The sessions of the arbiter before. */
static void all_come(void)
{
	for (uint32_t n = 1; n <= SESSIONS; n++) {
		session_close(n);
		attach(n, true);
	}
	go();
}

static void dies_in_a_run(void **state)
{
	open_all(state);
	order(1, 7, ORDER_RESERVE, 0);
	assert_int_equal(state_of().reservation, RESERVATION_RESERVE_6);
	assert_int_equal(summarised(), 0);
	next(2, 1);
	assert_int_equal(state_of().reservation, RESERVATION_RESERVE_6);
	assert_int_equal(summarised(), 0);
	all_come();
	order(1, 7, ORDER_RESERVE, 0); /* whose answer was lost */
	order(1, 8, ORDER_RELEASE, 0);
	assert_int_equal(summarised(), 0);
	next(1, 2);
	assert_int_equal(state_of().reservation, RESERVATION_NONE);
	close_all(0);
}

/* Who prevents its removal still does, and nobody else's word lets it go. */
static void dies_with_medium_in(void **state)
{
	open_all(state);
	prevent(1, 7, true);
	prevent(2, 7, true);
	next(2, 1);
	all_come();
	over(2);
	prevent(3, 7, false);
	assert_true(state_of().prevented);
	prevent(1, 8, false);
	assert_false(state_of().prevented);
	close_all(0);
}

static uint16_t operate(uint32_t n, uint32_t id, enum disk_operation action, uint8_t flags)
{
	give(n,
	     &(struct arbiter_order){
		     .id = id, .kind = ORDER_OPERATION, .action = (uint8_t)action, .flags = flags});
	return answer.field;
}

static void tells_first(void **state)
{
	open_all(state);
	prevent(1, 7, true);
	expect(&monitor, ARBITER_KEEPS, NULL, 0);
	close_all(0);
}

/* Who is told that nothing had failed before would call the medium well when it touched nothing. */
static void dies_with_failed_format(void **state)
{
	open_all(state);
	assert_int_equal(operate(1, 7, OPERATION_FORMAT, ORDER_BEGIN), OPERATION_NONE);
	(void)operate(1, 8, OPERATION_FORMAT_FAILED, 0);
	assert_int_equal(operate(1, 9, OPERATION_FORMAT, ORDER_BEGIN), OPERATION_FORMAT_FAILED);
	next(2, 1);
	all_come();
	assert_int_not_equal(operate(1, 9, OPERATION_FORMAT, ORDER_BEGIN), OPERATION_NONE);
	close_all(0);
}

static void run_ends(void **state)
{
	open_all(state);
	order(1, 7, ORDER_RESERVE, 0);
	assert_int_equal(summarised(), 0);
	order(1, 8, ORDER_FAILED, EIO);
	assert_int_equal(summarised(), EIO);
	next(1, 2);
	assert_int_equal(state_of().reservation, RESERVATION_NONE);
	assert_int_equal(state_of().failed, EIO);
	assert_int_equal(summarised(), EIO);
	close_all(0);
}

static void clear(bool forget, uint32_t want)
{
	struct arbiter_clear body = {.disk = 0, .forget = forget};
	struct arbiter_cleared cleared;

	assert_int_equal(CHANNEL_SEND(&monitor, ARBITER_CLEAR, &body), 0);
	if (want == 0)
		assert_int_equal(summarised(), 0);
	expect(&monitor, ARBITER_CLEARED, &cleared, sizeof cleared);
	assert_int_equal(cleared.error, want);
}

static void journal_damaged(void **state)
{
	int fd;

	open_all(state);
	order(1, 8, ORDER_FAILED, EIO);
	assert_int_equal(summarised(), EIO);
	fd = openat(folder_fd, FIRST_SERIAL ".lasting", O_WRONLY);
	assert_int_equal(pwrite(fd, "damage", 6, 100), 6);
	(void)close(fd);
	for (uint8_t run = 2; run < 4; run++) { /* it does not heal */
		next(1, run);
		assert_int_equal(summarised(), EBADMSG);
		assert_int_equal(state_of().failed, EBADMSG);
		go();
		clear(false, EBADMSG);
	}
	clear(true, 0);
	next(1, 4);
	assert_int_equal(state_of().failed, 0);
	close_all(0);
}

/* What it said is known, and what is asked for goes on. */
static void damaged_meanwhile(void **state)
{
	int fd;

	open_all(state);
	order(1, 8, ORDER_FAILED, EIO);
	assert_int_equal(summarised(), EIO);
	fd = openat(folder_fd, FIRST_SERIAL ".lasting", O_WRONLY);
	assert_int_equal(pwrite(fd, "damage", 6, 100), 6);
	(void)close(fd);
	clear(false, 0);
	order(1, 9, ORDER_FAILED, ESTALE);
	assert_int_equal(summarised(), ESTALE);
	next(1, 2);
	assert_int_equal(state_of().failed, ESTALE);
	close_all(0);
}

static void no_room(void **state)
{
	struct arbiter_trouble trouble;

	open_all(state);
	assert_int_equal(mkdirat(folder_fd, FIRST_SERIAL ".run.new", 0700), 0);
	reset(1, 4);
	expect(&monitor, ARBITER_TROUBLE, &trouble, sizeof trouble);
	assert_true(trouble.error != 0);
	assert_int_equal(unlinkat(folder_fd, FIRST_SERIAL ".run.new", AT_REMOVEDIR), 0);
	expect(&monitor, ARBITER_TROUBLE, &trouble, sizeof trouble); /* it tries again by itself */
	assert_int_equal(trouble.error, 0);
	close_all(0);
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "P4: kill -9 of the arbiter ends no reservation", dies_in_a_run, NULL);
	tests_add(&t, "P4: kill -9 of the arbiter lets no medium go", dies_with_medium_in, NULL);
	tests_add(&t, "P4: who begins a format is told that one failed before",
		  dies_with_failed_format, NULL);
	tests_add(&t, "P4: before it writes its journal it says so", tells_first, NULL);
	tests_add(&t, "P4: a failed disk is failed in the next run", run_ends, NULL);
	tests_add(&t, "P4: a damaged journal refuses its disk until it is told to forget",
		  journal_damaged, NULL);
	tests_add(&t, "P4: a journal that is damaged in a run is written anew", damaged_meanwhile,
		  NULL);
	tests_add(&t, "a journal that can't be written is told of, and tried again", no_room, NULL);
	return tests_run(&t, "arbiter");
}

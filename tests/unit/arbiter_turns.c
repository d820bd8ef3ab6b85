/* The court's turns: what waits for a petition's end, who is late and who is not, what a new
 * arbiter answers that an earlier one decided, and what a session for reading may order. */
#include "tests/unit/court_bench.h"

static int order(uint32_t connection, const struct arbiter_order *body)
{
	return say(connection, ARBITER_ORDER, body, sizeof *body);
}

static int take(uint32_t connection, uint16_t lun, uint64_t lba, uint32_t id)
{
	struct arbiter_order body = {
		.id = id, .lun = lun, .kind = ORDER_TAKE_RANGE, .lba = lba, .blocks = 8};

	return order(connection, &body);
}

static const struct arbiter_order reserve = {.id = 5, .kind = ORDER_RESERVE},
				  reserve_1 = {.id = 5, .lun = 1, .kind = ORDER_RESERVE};

/* Under the first generation of a life, and under the second. */
static void over_lives(void **state)
{
	struct arbiter_record kept;
	int parity;

	(void)state;
	court_begin();
	parity = adopt_and_enter(2, 0);
	assert_int_equal(order(1, &reserve), 0);
	assert_int_equal(sessions[1].answers, 0); /* a write from before it is on its way */
	kept = *court.records[0];
	new_life();
	*court_record(&court, 0) = kept;
	for (uint32_t n = 1; n <= SESSIONS; n++) {
		attach(n, true);
		assert_int_equal(hello(n, 2), 0);
	}
	court_go(&court, now);
	assert_int_equal(order(1, &reserve), 0);
	assert_int_equal(sessions[1].answers, 0);
	leave(2, 0, parity);
	assert_int_equal(sessions[1].answers, 1);
	assert_int_equal(sessions[1].answer.status, 0);
}

static void all_again(const struct arbiter_record *kept)
{
	new_life();
	*court_record(&court, 0) = *kept;
	for (uint32_t n = 1; n <= SESSIONS; n++) {
		attach(n, true);
		assert_int_equal(hello(n, 2), 0);
	}
	court_go(&court, now);
}

static struct arbiter_order register_as(uint32_t id, uint64_t key)
{
	return (struct arbiter_order){
		.id = id,
		.kind = ORDER_PR_OUT,
		.action = PR_REGISTER_AND_IGNORE,
		.action_key = key,
	};
}

/* Its answer could not be sent; somebody else changes the disk; the arbiter dies. */
static void once_for_each(void **state)
{
	struct arbiter_order first = register_as(5, 1), second = register_as(5, 2);
	struct arbiter_record kept;

	(void)state;
	court_begin();
	sessions[1].own.awaits = 5;
	assert_int_equal(order(1, &first), 0);
	assert_int_equal(order(2, &second), 0);
	kept = *court.records[0];
	assert_int_equal(kept.pr_generation, 2);
	all_again(&kept);
	assert_int_equal(order(1, &first), 0);
	assert_int_equal(sessions[1].answers, 2);
	assert_int_equal(sessions[1].answer.status, 0);
	assert_int_equal(court.records[0]->pr_generation, 2);
	second.id = 6;
	assert_int_equal(order(2, &second), 0); /* a new one */
	assert_int_equal(court.records[0]->pr_generation, 3);
}

static void answers_are_bounded(void **state)
{
	struct arbiter_order mine = register_as(5, 1);
	struct arbiter_record *r;

	(void)state;
	court_begin();
	r = court_record(&court, 0);
	for (size_t k = 0; k < ARBITER_ANSWERS; k++)
		r->answers[k] = (struct remembered){.connection = 2, .id = 7};
	sessions[2].own.awaits = 7;
	assert_int_equal(order(1, &mine), 0);
	assert_int_equal(sessions[1].answer.status, 0x08);
	assert_int_equal(court.records[0]->pr_generation, 0);
	sessions[2].own.awaits = 0; /* it has heard */
	assert_int_equal(order(1, &mine), 0);
	assert_int_equal(sessions[1].answer.status, 0);
	sessions[2].own.awaits = 7;
	mine.id = 6; /* it has a place now */
	assert_int_equal(order(1, &mine), 0);
	assert_int_equal(sessions[1].answer.status, 0);
}

static void swept_after(void **state)
{
	int parity;

	(void)state;
	court_begin();
	assert_int_equal(order(1, &reserve_1), 0);
	parity = adopt_and_enter(2, 1);
	assert_int_equal(take(3, 7, 100, 1), 0);
	assert_int_equal(sessions[3].answers, 0); /* waits for session 2 */
	court_over(&court, &sessions[1].member, now);
	assert_int_equal(court.records[1]->state.reservation, RESERVATION_RESERVE_6);
	leave(2, 1, parity);
	assert_int_equal(sessions[3].answers, 1);
	assert_int_equal(court.records[1]->state.reservation, RESERVATION_NONE);
}

/* It waited for something in flight once, and waits for its turn now: what is in flight from before
 * somebody's change, for a moment, is not late for it. */
static void nobody_is_late(void **state)
{
	int before, parity;

	(void)state;
	court_begin();
	assert_int_equal(take(1, 1, 100, 1), 0);
	before = adopt_and_enter(2, 1);
	assert_int_equal(take(1, 1, 200, 2), 0);
	assert_int_equal(take(3, 7, 100, 1), 0);
	assert_int_equal(settled(3), 0);
	leave(2, 1, before);
	assert_int_equal(sessions[1].answers, 2);
	before = adopt_and_enter(2, 1);
	assert_int_equal(take(1, 1, 300, 3), 0);
	assert_int_equal(settled(3), 0); /* now it is clearing: it is the older one */
	leave(2, 1, before);
	assert_int_equal(sessions[1].answers, 3);
	assert_int_equal(sessions[3].answers, 0);
	now += ARBITER_DRAIN_MS;
	parity = adopt_and_enter(2, 1);
	assert_int_equal(take(1, 1, 400, 4), 0);
	court_tick(&court, now);
	assert_int_equal(sessions[2].killed, 0);
	leave(2, 1, parity);
	assert_int_equal(sessions[1].answers, 4);
}

/* It waits for disk 0; a sweep of disk 1 meanwhile begins another time for what is in flight there.
 */
static void swept_while_clearing(void **state)
{
	struct arbiter_order theirs = {.id = 5, .lun = 7, .kind = ORDER_RESERVE};
	int parity, later;

	(void)state;
	court_begin();
	assert_int_equal(order(3, &theirs), 0);
	parity = adopt_and_enter(2, 0);
	assert_int_equal(reset(1, 1, 1), 0);
	court_over(&court, &sessions[1].member, now);
	assert_int_equal(reset(2, 3, 2), 0);
	court_tick(&court, now += ARBITER_DRAIN_MS - 1);
	later = adopt_and_enter(2, 1);
	court_over(&court, &sessions[3].member, now);
	assert_int_equal(court.records[1]->state.reservation, RESERVATION_NONE);
	leave(2, 0, parity);
	court_tick(&court, ++now);
	assert_int_equal(sessions[2].killed, 0);
	leave(2, 1, later);
	assert_int_equal(sessions[2].done, 1);
}

/* One lies until it is killed, the next one only from then on. */
static void liars_in_turn(void **state)
{
	int parity;

	(void)state;
	court_begin();
	parity = adopt_and_enter(2, 1);
	assert_int_equal(reset(1, 2, 1), 0);
	court_tick(&court, now += ARBITER_DRAIN_MS);
	assert_int_equal(sessions[2].killed, 1);
	sessions[3].own.luns[7].in_flight[parity] = 1;
	court_over(&court, &sessions[2].member, now);
	assert_int_equal(sessions[1].done, 0);
	assert_int_equal(court_next_tick(&court), now + ARBITER_DRAIN_MS);
	court_tick(&court, now += ARBITER_DRAIN_MS);
	assert_int_equal(sessions[3].killed, 1);
	court_over(&court, &sessions[3].member, now);
	assert_int_equal(sessions[1].done, 1);
}

static void one_look_a_turn(void **state)
{
	struct arbiter_drop first = {1, 1}, second = {2, 1};
	unsigned before;
	int parity;

	(void)state;
	court_begin();
	assert_int_equal(take(1, 1, 100, 1), 0);
	assert_int_equal(take(1, 1, 200, 2), 0);
	parity = adopt_and_enter(2, 0);
	assert_int_equal(reset(1, 1, 3), 0);
	arbiter_leave(view(2), 0, parity);
	before = sessions[2].changed;
	for (unsigned k = 0; k < 1000; k++)
		assert_int_equal(hear(2, ARBITER_SETTLED, NULL, 0), 0);
	assert_int_equal(hear(1, ARBITER_DROP, &first, sizeof first), 0);
	assert_int_equal(hear(1, ARBITER_DROP, &second, sizeof second), 0);
	assert_int_equal(sessions[1].done, 0);
	assert_int_equal(sessions[2].changed, before);
	court_turn(&court, now);
	assert_int_equal(sessions[1].done, 1);
	assert_int_equal(sessions[2].changed, before + 1);
}

/* --- what is not granted --- */

static const struct {
	const char *why;
	struct arbiter_order order;
	bool writable;
	uint16_t code;
} refused[] = {
	{"P3: who may read keeps nobody from blocks",
	 {.id = 1, .kind = ORDER_TAKE_RANGE, .blocks = 1},
	 false,
	 0x2700},
	{"P3: who may read sets nobody's mode parameters",
	 {.id = 1, .kind = ORDER_MODES, .len = ARBITER_MODES, .octets = {[0] = 8, [8] = 8}},
	 false,
	 0x2700},
	{"P3: who may read voids nobody's tokens",
	 {.id = 1, .kind = ORDER_TOKEN_VOID, .blocks = 1},
	 false,
	 0x2700},
	{"P6: a range is as long as a transfer at most",
	 {.id = 1, .kind = ORDER_TAKE_RANGE, .blocks = ORDER_RANGE_BLOCKS_MAX + 1},
	 true,
	 0x2400},
};

static void is_refused(void **state)
{
	const __typeof__(refused[0]) *row = *state;

	court_begin();
	sessions[1].member.luns[0].writable = row->writable;
	assert_int_equal(order(1, &row->order), 0);
	assert_int_equal(sessions[1].answers, 1);
	assert_int_equal(sessions[1].answer.status, 0x02);
	assert_int_equal(sessions[1].answer.code, row->code);
	assert_int_equal(page.disks[0].range_count, 0);
}

/* --- tokens and ranges --- */

static void make(uint32_t connection, uint16_t lun, uint32_t id, uint64_t lba)
{
	struct order_ranges ranges = {.count = 1, .at = {{lba, 8}}};
	struct arbiter_order body = {.id = id,
				     .lun = lun,
				     .kind = ORDER_TOKEN_MAKE,
				     .at = UINT32_MAX,
				     .len = sizeof ranges};

	memcpy(body.octets, &ranges, sizeof ranges);
	assert_int_equal(order(connection, &body), 0);
}

static uint16_t use(uint32_t connection, uint32_t id, const struct arbiter_answer *made)
{
	struct arbiter_order body = {.id = id, .kind = ORDER_TOKEN_USE, .len = TOKEN_SIZE};

	memcpy(body.octets, made->octets, TOKEN_SIZE);
	assert_int_equal(order(connection, &body), 0);
	return sessions[connection].answer.code;
}

static void token_and_range(void **state)
{
	struct arbiter_answer made;

	(void)state;
	court_begin();
	make(2, 0, 1, 100);
	made = sessions[2].answer;
	assert_int_equal(use(2, 2, &made), 0);
	assert_int_equal(take(1, 0, 100, 1), 0);
	assert_int_equal(use(2, 3, &made), 0x2306); /* void: it will be written */
	make(2, 0, 4, 100);
	assert_int_equal(sessions[2].answers, 3); /* after who is alone there */
	assert_int_equal(
		say(1, ARBITER_DROP, &(struct arbiter_drop){1, 0}, sizeof(struct arbiter_drop)), 0);
	assert_int_equal(sessions[2].answers, 4);
	assert_true(arbiter_has_token(view(1), 0, 100, 1));
}

static void void_at(uint64_t lba, uint32_t id)
{
	struct arbiter_drop body = {id, 0};

	assert_int_equal(take(1, 0, lba, id), 0);
	assert_int_equal(say(1, ARBITER_DROP, &body, sizeof body), 0);
}

/* … and makes room before one that is good. */
static void revoked_is_freed(void **state)
{
	struct arbiter_answer oldest, gone;

	(void)state;
	court_begin();
	make(2, 0, 1, 100);
	oldest = sessions[2].answer;
	make(2, 0, 2, 200);
	gone = sessions[2].answer;
	void_at(200, 1);
	assert_int_equal(use(2, 3, &gone), 0x2306);
	for (uint32_t k = 0; k < 7; k++)
		make(2, 0, 4 + k, 300 + 8 * k);
	assert_int_equal(use(2, 20, &oldest), 0);
	assert_int_equal(use(2, 21, &gone), 0x2304);
}

static void forgotten(void **state)
{
	(void)state;
	court_begin();
	make(2, 0, 1, 100);
	void_at(100, 1);
	assert_int_equal(court_next_tick(&court), now + ARBITER_DRAIN_MS); /* of court_go() */
	court_tick(&court, now += ARBITER_DRAIN_MS);
	assert_int_equal(court_next_tick(&court), NOW + TOKEN_UNUSED_MAX_S * 1000ull);
	assert_non_null(court.tokens);
	court_tick(&court, court_next_tick(&court));
	assert_null(court.tokens);
	make(2, 0, 2, 100);
	court_tick(&court, now += 2 * TOKEN_UNUSED_MAX_S * 1000ull + 1);
	assert_null(court.tokens);
	assert_int_equal(page.disks[0].token_count, 0);
}

static void token_ends(void **state)
{
	struct arbiter_answer made;

	(void)state;
	court_begin();
	make(1, 0, 1, 100);
	made = sessions[1].answer;
	now += TOKEN_UNUSED_MAX_S * 1000ull + 1;
	assert_int_equal(use(1, 2, &made), 0x2307);
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "P4: what an arbiter died over is answered when what was before it is over",
		  over_lives, NULL);
	tests_add(&t, "P4: no change is made twice, whoever made others meanwhile", once_for_each,
		  NULL);
	tests_add(&t, "P6: answers that nobody heard are bounded", answers_are_bounded, NULL);
	tests_add(&t, "what a lost nexus had is over as soon as nobody is waited for", swept_after,
		  NULL);
	tests_add(&t, "P7: nobody is killed for what waits for its turn", nobody_is_late, NULL);
	tests_add(&t, "P7: nobody is late for what somebody else's end changed",
		  swept_while_clearing, NULL);
	tests_add(&t, "P6: each who holds a change up costs it five seconds, and is killed",
		  liars_in_turn, NULL);
	tests_add(&t, "P6: who says much costs one look a turn", one_look_a_turn, NULL);
	TESTS_ADD_TABLE(&t, refused, is_refused);
	tests_add(&t, "a range voids the tokens of its blocks, and none is made meanwhile",
		  token_and_range, NULL);
	tests_add(&t, "P6: a token that is void takes no good one's place", revoked_is_freed, NULL);
	tests_add(&t, "P6: tokens that ended are forgotten", forgotten, NULL);
	tests_add(&t, "P6: a token ends, whatever its maker asked for", token_ends, NULL);
	return tests_run(&t, "arbiter");
}

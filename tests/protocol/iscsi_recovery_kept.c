/* ErrorRecoveryLevel 1, what is kept: RFC 7143 sections 4.2.2, 7.1.4 and 11.16.3. Answers stay
 * until they are acknowledged, also when they must come in other segments, and no initiator makes
 * that grow by never acknowledging, by asking over and over, or by not reading. */
#include "gateway/iscsi/core.h"
#include "tests/protocol/iscsi_join.h"
#include "tests/protocol/iscsi_recovery.h"

#define EIGHT LEVEL_1 "\0MaxRecvDataSegmentLength=512\0MaxBurstLength=2048"

/* --- R-Data --------------------------------------------------------------------------------- */

static void declare_segment(struct peer *p, const char *text, size_t len)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	bhs_start(bhs, OP_TEXT | OPCODE_IMMEDIATE, FLAG_FINAL, ++p->itt);
	bhs_u32(bhs, BHS_TTT, TAG_NONE);
	bhs_u32(bhs, BHS_CMDSN, p->cmdsn);
	assert_true(peer_send(p, bhs, text, len));
}

#define SMALLER "MaxRecvDataSegmentLength=512"

/* The last PDUs are all of the data, in segments of 512 in sequences of 2048, and the response. */
static void expect_resegmented(struct peer *p, const struct reply r[], unsigned count, uint32_t tag)
{
	assert_true(count >= 9);
	for (uint32_t n = 0; n < 8; n++) {
		const struct reply *d = &r[count - 9 + n];

		expect_data(p, d);
		assert_int_equal(d->len, 512);
		assert_int_equal(reply_u32(d, BHS_DATASN), n);
		assert_int_equal(reply_u32(d, BHS_OFFSET), n * 512);
		assert_int_equal(d->flags, n % 4 == 3 ? FLAG_FINAL : 0); /* no status */
	}
	assert_int_equal(r[count - 1].opcode, OP_SCSI_RESPONSE);
	assert_int_equal(reply_u32(&r[count - 1], BHS_SNACK_TAG), tag);
	assert_int_equal(reply_u32(&r[count - 1], BHS_DATASN), 8);
}

static void resegmented(void **state)
{
	struct reply r[SEEN_MAX];
	struct peer p = {0};
	uint32_t statsn, tag;

	(void)state;
	level_up(&p, 1, KEYS(LEVEL_1 "\0MaxRecvDataSegmentLength=1024\0MaxBurstLength=2048"));
	assert_int_equal(read_blocks(&p, 8, r), 4);
	statsn = reply_u32(&r[3], BHS_STATSN);
	tag = p.itt;
	declare_segment(&p, KEYS(SMALLER));
	peer_expect(&p, r, OP_TEXT_RESPONSE);
	send_snack(&p, SNACK_DATA, tag, (struct run){1, 1}); /* too long by now */
	expect_rejected(&p, REJECT_PROTOCOL);
	send_snack(&p, SNACK_STATUS, TAG_NONE, (struct run){statsn, 1});
	peer_expect(&p, r, OP_SCSI_RESPONSE); /* the status alone: its Data-In was too long */
	assert_int_equal(reply_u32(r, BHS_STATSN), statsn);
	for (uint32_t n = 70; n < 73; n++) {
		send_r_data(&p, tag, n);
		assert_int_equal(peer_all(&p, r), 9);
		expect_resegmented(&p, r, 9, n);
		assert_int_equal(reply_u32(&r[8], BHS_STATSN), statsn); /* as it was */
	}
	send_snack(&p, SNACK_STATUS, TAG_NONE, (struct run){statsn, 1});
	peer_expect(&p, r, OP_SCSI_RESPONSE);
	assert_int_equal(reply_u32(r, BHS_SNACK_TAG), 72); /* the last one */
	send_snack(&p, SNACK_DATA, tag, (struct run){6, 0});
	assert_int_equal(peer_all(&p, r), 2);
	peer_close(&p);
}

/* An echo that is longer than the initiator takes by now. */
static void too_long_by_now(void **state)
{
	static const uint8_t data[1024];
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0};
	struct reply r;
	uint32_t statsn;

	(void)state;
	level_up(&p, 1, KEYS(LEVEL_1 "\0MaxRecvDataSegmentLength=1024"));
	nop_bhs(&p, bhs, true);
	assert_true(peer_send(&p, bhs, data, sizeof data));
	peer_expect(&p, &r, OP_NOP_IN);
	statsn = reply_u32(&r, BHS_STATSN);
	declare_segment(&p, KEYS(SMALLER));
	peer_expect(&p, &r, OP_TEXT_RESPONSE);
	send_snack(&p, SNACK_STATUS, TAG_NONE, (struct run){statsn, 1});
	expect_rejected(&p, REJECT_SNACK);
	send_snack(&p, SNACK_STATUS, TAG_NONE, (struct run){statsn + 1, 1});
	peer_expect(&p, &r, OP_TEXT_RESPONSE);
	peer_close(&p);
}

static void r_data_amid_the_answer(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r[SEEN_MAX];
	struct peer p = {0};
	unsigned count;

	(void)state;
	level_up(&p, 1, KEYS(EIGHT));
	rw_bhs(&p, bhs, FLAG_READ | FLAG_FINAL, 4096, 8);
	feed(&p, bhs);
	drain_some(&p, 1000);
	snack_bhs(bhs, SNACK_R_DATA, p.itt, (struct run){0, 0});
	bhs_u32(bhs, BHS_SNACK_TAG, 5);
	feed(&p, bhs);
	peer_drain(&p);
	count = peer_all(&p, r);
	expect_resegmented(&p, r, count, 5);
	acknowledge(&p, reply_u32(&r[count - 1], BHS_STATSN) + 1);
	assert_int_equal(p.i->free_slot_count, ISCSI_TASKS_MAX);
	peer_close(&p);
}

/* At any level: what is still to come is no longer than was declared meanwhile. */
static void smaller_amid_the_answer(void **state)
{
	uint32_t level = *(const uint32_t *)*state, at = 0, burst = 0, small = 0;
	uint8_t bhs[ISCSI_BHS_SIZE], wire[128];
	struct reply r[SEEN_MAX];
	struct peer p = {0};
	unsigned count;
	size_t len;

	level_up(&p, level, KEYS("MaxRecvDataSegmentLength=4096\0MaxBurstLength=10000\0" LEVEL_1));
	rw_bhs(&p, bhs, FLAG_READ | FLAG_FINAL, 262144, 512);
	feed(&p, bhs);
	drain_some(&p, 5000);
	bhs_start(bhs, OP_TEXT | OPCODE_IMMEDIATE, FLAG_FINAL, ++p.itt);
	bhs_u32(bhs, BHS_TTT, TAG_NONE);
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn);
	len = peer_wire(&p, bhs, (struct body){NULL, KEYS(SMALLER)}, wire);
	assert_int_equal(peer_feed(&p, wire, len), len);
	peer_drain(&p);
	count = peer_all(&p, r);
	for (uint32_t n = 0; n < count; n++) {
		if (r[n].opcode == OP_TEXT_RESPONSE)
			continue;
		expect_data(&p, &r[n]);
		assert_int_equal(reply_u32(&r[n], BHS_DATASN), n);
		assert_int_equal(reply_u32(&r[n], BHS_OFFSET), at);
		at += (uint32_t)r[n].len;
		burst += (uint32_t)r[n].len;
		small += r[n].len <= 512;
		assert_true(burst <= 10000);
		assert_int_equal((r[n].flags & FLAG_FINAL) != 0, burst == 10000 || at == 262144);
		if (r[n].flags & FLAG_FINAL)
			burst = 0;
	}
	assert_int_equal(at, 262144);
	assert_true(small > 200);
	peer_close(&p);
}

/* --- bounds --------------------------------------------------------------------------------- */

/* Answers that no task carries are kept while there is room, and the oldest ones go first. */
static void pings_kept(void **state)
{
	static uint8_t data[4096];
	uint8_t bhs[ISCSI_BHS_SIZE];
	uint32_t oldest = 0;
	struct reply r;
	struct peer p = {0};

	(void)state;
	level_up(&p, 1, KEYS(LEVEL_1));
	for (unsigned n = 0; n < 500; n++) {
		nop_bhs(&p, bhs, true);
		data[0] = (uint8_t)n;
		assert_true(peer_send(&p, bhs, data, sizeof data));
		peer_expect(&p, &r, OP_NOP_IN);
		assert_int_equal(r.data[0], (uint8_t)n);
		oldest = n == 0 ? reply_u32(&r, BHS_STATSN) : oldest;
	}
	send_snack(&p, SNACK_STATUS, TAG_NONE, (struct run){oldest + 499, 1});
	peer_expect(&p, &r, OP_NOP_IN);
	assert_int_equal(r.data[0], (uint8_t)499);
	assert_int_equal(r.len, sizeof data);
	send_snack(&p, SNACK_STATUS, TAG_NONE, (struct run){oldest, 1});
	expect_rejected(&p, REJECT_SNACK);
	send_snack(&p, SNACK_STATUS, TAG_NONE, (struct run){0, 0});
	expect_rejected(&p, REJECT_SNACK);
	peer_close(&p);
}

/* Commands whose answers are never acknowledged: as many as there are slots for, then the window is
 * shut; and a NOP-In asks for the acknowledgement. */
static const struct depth_row {
	const char *why;
	uint32_t depth;
} depths[] = {
	{"4.2.2.1 P6: nothing acknowledged at queue depth 1", 1},
	{"4.2.2.1 P6: nothing acknowledged at queue depth 32", 32},
	{"4.2.2.1 P6: nothing acknowledged at queue depth 128", 128},
};

static void never_acknowledged(void **state)
{
	const struct depth_row *row = *state;
	uint32_t max, last = 0, statsn = 0, asked = 0, ttt = TAG_NONE;
	struct peer p = {.limits.queue_depth = row->depth};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	level_up(&p, 1, KEYS(LEVEL_1));
	for (max = p.cmdsn; serial_at_most(p.cmdsn, max);) {
		command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
		assert_true(peer_send(&p, bhs, NULL, 0));
		while (peer_next(&p, &r)) {
			max = reply_u32(&r, BHS_MAXCMDSN);
			assert_false(last != 0 && serial_before(max, last));
			assert_true(max - p.cmdsn + 1 <= row->depth);
			last = max;
			statsn = reply_u32(&r, BHS_STATSN);
			asked += r.opcode == OP_NOP_IN;
			ttt = r.opcode == OP_NOP_IN ? reply_u32(&r, BHS_TTT) : ttt;
		}
	}
	assert_int_equal(p.commands, ISCSI_WINDOW_MAX);
	assert_int_equal(asked, 1);
	assert_int_not_equal(ttt, TAG_NONE);
	acknowledge(&p, statsn + 1);
	peer_expect(&p, &r, OP_NOP_IN); /* the window is open again */
	assert_int_equal(reply_u32(&r, BHS_MAXCMDSN) + 1 - p.cmdsn, row->depth);
	peer_alive(&p);
	peer_close(&p);
}

static void acknowledged_slowly(void **state)
{
	struct peer p = {.limits.queue_depth = 128};
	uint8_t bhs[ISCSI_BHS_SIZE];
	uint32_t statsn[1000];
	struct reply r;

	(void)state;
	level_up(&p, 1, KEYS(LEVEL_1));
	for (unsigned n = 0; n < 1000; n++) {
		command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
		if (n >= 50) /* fifty behind */
			bhs_u32(bhs, BHS_EXPSTATSN, statsn[n - 50] + 1);
		assert_true(peer_send(&p, bhs, NULL, 0));
		peer_expect(&p, &r, OP_SCSI_RESPONSE);
		statsn[n] = reply_u32(&r, BHS_STATSN);
		peer_expect_none(&p);
		assert_true(reply_u32(&r, BHS_MAXCMDSN) + 1 - p.cmdsn >= 128 - 51);
	}
	assert_int_equal(p.commands, 1000);
	peer_close(&p);
}

/* Three reads of 4 MiB; the buffers of two are kept, so the third waits for them. */
static void buffers_kept(void **state)
{
	enum { HELD = (ISCSI_POOL_CHUNKS - ISCSI_TASKS_MAX) / (ISCSI_TASK_CHUNKS - 1) };
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r[SEEN_MAX];
	struct peer p = {0};
	uint32_t statsn;
	unsigned count;

	(void)state;
	level_up(&p, 1, KEYS(LEVEL_1 "\0MaxRecvDataSegmentLength=262144"));
	assert_int_equal(read_blocks(&p, 8192, r), 16);
	statsn = reply_u32(&r[15], BHS_STATSN);
	for (unsigned n = 1; n < HELD; n++)
		assert_int_equal(read_blocks(&p, 8192, r), 16);
	assert_int_equal(p.ready_calls, HELD);
	assert_int_equal(read_blocks(&p, 8192, r), 1);
	assert_int_equal(r[0].opcode, OP_NOP_IN);
	assert_int_not_equal(reply_u32(&r[0], BHS_TTT), TAG_NONE);
	assert_int_equal(reply_u32(&r[0], BHS_STATSN), statsn + HELD); /* of the next */
	bhs_start(bhs, OP_NOP_OUT | OPCODE_IMMEDIATE, FLAG_FINAL, TAG_NONE);
	bhs_u32(bhs, BHS_TTT, reply_u32(&r[0], BHS_TTT));
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn);
	bhs_u32(bhs, BHS_EXPSTATSN, statsn + HELD);
	assert_true(peer_send(&p, bhs, NULL, 0));
	count = peer_all(&p, r);
	assert_int_equal(count, 16);
	expect_data(&p, &r[15]);
	peer_close(&p);
}

/* SNACKs whose answers are never read: the target stops reading, at one run a task. */
static void flood_of_data_snacks(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE], wire[64];
	struct reply r[SEEN_MAX];
	struct peer p = {0};
	unsigned taken = 0;
	size_t n;

	(void)state;
	level_up(&p, 1, KEYS(EIGHT));
	assert_int_equal(read_blocks(&p, 8, r), 8);
	snack_bhs(bhs, SNACK_DATA, p.itt, (struct run){0, 0});
	n = peer_wire(&p, bhs, (struct body){0}, wire);
	while (taken < 20000 && peer_feed(&p, wire, n) == n)
		taken++;
	assert_true(taken < 2000);
	assert_int_equal(iscsi_rx_space(p.c, (struct iovec[4]){{0}}, 4), 0);
	p.deaf = true;
	peer_drain(&p);
	assert_int_not_equal(iscsi_rx_space(p.c, (struct iovec[4]){{0}}, 4), 0);
	peer_close(&p);
}

static void flood_of_status_snacks(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r[SEEN_MAX];
	struct peer p = {0};

	(void)state;
	level_up(&p, 1, KEYS(LEVEL_1));
	for (unsigned n = 0; n < 10; n++)
		command_nothing(&p, r);
	snack_bhs(bhs, SNACK_STATUS, TAG_NONE, (struct run){0, 0});
	for (unsigned n = 0; n < 5000; n++)
		feed(&p, bhs);
	peer_drain(&p);
	assert_int_equal(peer_all(&p, r), 10); /* each once */
	peer_alive(&p);
	peer_close(&p);
}

static void flood_of_refused_snacks(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE], wire[64];
	struct reply r[SEEN_MAX];
	struct peer p = {0};
	unsigned taken = 0;
	size_t n;

	(void)state;
	level_up(&p, 1, KEYS(LEVEL_1));
	snack_bhs(bhs, SNACK_DATA, 4711, (struct run){0, 1});
	n = peer_wire(&p, bhs, (struct body){0}, wire);
	while (taken < 20000 && peer_feed(&p, wire, n) == n)
		taken++;
	assert_true(taken < 2000);
	p.deaf = true;
	peer_drain(&p);
	p.deaf = false;
	assert_int_equal(peer_all(&p, r), 0);
	peer_close(&p);
}

/* What is acknowledged while it is on its way is not freed under the sender. */
static void acknowledged_too_early(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r[SEEN_MAX], again[SEEN_MAX];
	struct peer p = {0};
	unsigned count;

	(void)state;
	level_up(&p, 1, KEYS(EIGHT));
	assert_int_equal(read_blocks(&p, 8, r), 8);
	snack_bhs(bhs, SNACK_DATA, p.itt, (struct run){0, 0});
	feed(&p, bhs);
	drain_some(&p, 600); /* all are made, one has gone */
	bhs_start(bhs, OP_NOP_OUT | OPCODE_IMMEDIATE, FLAG_FINAL, TAG_NONE);
	bhs_u32(bhs, BHS_TTT, TAG_NONE);
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn);
	bhs_u32(bhs, BHS_EXPSTATSN, reply_u32(&r[7], BHS_STATSN) + 1);
	feed(&p, bhs);
	rw_bhs(&p, bhs, FLAG_READ | FLAG_FINAL, 512, 1); /* gets another buffer, not that one */
	feed(&p, bhs);
	peer_drain(&p);
	count = peer_all(&p, again);
	assert_int_equal(count, 9);
	for (unsigned n = 0; n < 8; n++) {
		expect_same(&again[n], &r[n]);
		expect_data(&p, &again[n]);
	}
	acknowledge(&p, reply_u32(&again[8], BHS_STATSN) + 1);
	assert_int_equal(p.i->free_slot_count, ISCSI_TASKS_MAX);
	peer_close(&p);
}

/* --- level 2 -------------------------------------------------------------------------------- */

/* A read of 4096 octets was answered in eight Data-Ins, none of it acknowledged, and the connection
 * lost; the next one takes segments of 8192, in sequences of 2048. */
static const struct moved_row {
	const char *why;
	uint32_t expdatasn, from, count;
} moved_rows[] = {
	{"11.5.6 ExpDataSN 0: all of the data again", 0, 0, 2},
	{"11.5.6 ExpDataSN 1: all but the first", 1, 1, 2},
	{"11.5.6 ExpDataSN 6: the last two", 6, 6, 1},
	{"11.5.6 ExpDataSN 8: the status alone", 8, 8, 0},
	{"11.5.6 an ExpDataSN that was not sent is passed over", 9, 0, 2},
	{"11.5.6 ExpDataSN -1 is passed over", 0xffffffff, 0, 2},
};

static void moved(void **state)
{
	const struct moved_row *row = *state;
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r[SEEN_MAX], again;
	struct peer p = {0}, q;
	uint32_t at = row->from * 512;

	up(&p, KEYS(LEVEL_2 "\0MaxRecvDataSegmentLength=512\0MaxBurstLength=2048"));
	assert_int_equal(read_blocks(&p, 8, r), 8);
	lose(&p);
	join(&p, &q, CID_P);
	tmf_bhs(&q, bhs, TMF_TASK_REASSIGN, p.itt, 0);
	bhs_u32(bhs, BHS_DATASN, row->expdatasn);
	assert_true(peer_send(&q, bhs, NULL, 0));
	peer_expect(&q, r, OP_TMF_RESPONSE);
	assert_int_equal(r[0].bhs[2], COMPLETE);
	for (uint32_t n = 0; n < row->count; n++) {
		peer_expect(&q, r, OP_DATA_IN);
		assert_int_equal(reply_u32(r, BHS_DATASN), row->from + n);
		assert_int_equal(reply_u32(r, BHS_OFFSET), at);
		assert_memory_equal(r[0].data, p.disk + at, r[0].len);
		at += (uint32_t)r[0].len;
	}
	if (row->count == 0) {
		peer_expect(&q, r, OP_SCSI_RESPONSE);
		assert_int_equal(reply_u32(r, BHS_DATASN), 8);
	}
	assert_int_equal(at, 4096);
	assert_int_equal(reply_u32(r, BHS_STATSN), 902); /* behind the task management response */
	peer_expect_none(&q);
	send_snack(&q, SNACK_STATUS, TAG_NONE, (struct run){902, 1});
	peer_expect(&q, &again, r[0].opcode);
	expect_same(&again, r);
	acknowledge(&q, 903);
	assert_int_equal(p.i->free_slot_count, ISCSI_TASKS_MAX);
	leave(&q);
	peer_close(&p);
}

static void snack_from_the_other(void **state)
{
	struct reply r[SEEN_MAX];
	struct peer p = {0}, q;

	(void)state;
	up(&p, KEYS(LEVEL_2));
	join(&p, &q, 1);
	(void)read_blocks(&p, 1, r);
	send_snack(&q, SNACK_DATA, p.itt, (struct run){0, 1});
	expect_rejected(&q, REJECT_PROTOCOL);
	send_snack(&p, SNACK_DATA, p.itt, (struct run){0, 1});
	assert_int_equal(peer_all(&p, r), 1);
	leave(&q);
	peer_close(&p);
}

/* A reset on one connection waits for the other's acknowledgement, which is behind two SNACKs. */
static void snacks_behind_a_fence(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r[SEEN_MAX];
	struct peer p = {0}, q;
	uint32_t statsn;

	(void)state;
	up(&p, KEYS(LEVEL_2 "\0TaskReporting=ResponseFence\0MaxRecvDataSegmentLength=512"));
	join(&p, &q, 1);
	assert_int_equal(read_blocks(&p, 8, r), 8);
	statsn = reply_u32(&r[7], BHS_STATSN);
	q.cmdsn = p.cmdsn;
	tmf_bhs(&q, bhs, TMF_LUN_RESET, 0, 0);
	assert_true(peer_send(&q, bhs, NULL, 0));
	peer_expect_none(&q);
	send_snack(&p, SNACK_DATA, p.itt, (struct run){5, 1});
	send_snack(&p, SNACK_DATA, p.itt, (struct run){3, 1});
	peer_expect(&p, r, OP_NOP_IN); /* please acknowledge */
	peer_expect(&p, r, OP_DATA_IN);
	assert_int_equal(reply_u32(r, BHS_DATASN), 5);
	peer_expect(&p, r, OP_DATA_IN);
	assert_int_equal(reply_u32(r, BHS_DATASN), 3);
	peer_expect_none(&p);
	acknowledge(&p, statsn + 1);
	peer_drain(&q);
	peer_expect(&q, r, OP_TMF_RESPONSE);
	acknowledge(&q, reply_u32(r, BHS_STATSN) + 1);
	peer_drain(&p);
	peer_expect_none(&p); /* what is acknowledged does not come again */
	leave(&q);
	peer_close(&p);
}

static void lost_and_kept(void **state)
{
	struct reply r[SEEN_MAX];
	struct peer p = {0};

	(void)state;
	up(&p, KEYS(LEVEL_2));
	(void)read_blocks(&p, 1, r);
	lose(&p);
	assert_int_equal(p.i->free_slot_count, ISCSI_TASKS_MAX - 1);
	iscsi_tick(p.i, 11000);
	assert_int_equal(p.i->free_slot_count, ISCSI_TASKS_MAX);
	assert_true(iscsi_is_over(p.i));
	peer_close(&p);
}

int main(void)
{
	static const uint32_t zero = 0, one = 1;
	static struct tests t;

	tests_add(&t, "11.16.3 all data in smaller segments", resegmented, NULL);
	tests_add(&t, "13.12 an answer that is too long by now does not come again",
		  too_long_by_now, NULL);
	tests_add(&t, "11.16.3 R-Data while the answer goes out", r_data_amid_the_answer, NULL);
	tests_add(&t, "13.12 level 0: a smaller segment while data goes out",
		  smaller_amid_the_answer, &zero);
	tests_add(&t, "13.12 level 1: a smaller segment while data goes out",
		  smaller_amid_the_answer, &one);
	TESTS_ADD_TABLE(&t, depths, never_acknowledged);
	tests_add(&t, "11.16 P6: answers of no task are kept while there is room", pings_kept,
		  NULL);
	tests_add(&t, "4.2.2.1 acknowledged fifty behind, the window stays open",
		  acknowledged_slowly, NULL);
	tests_add(&t, "7.1.4.2 a NOP-In asks for what frees the buffers", buffers_kept, NULL);
	tests_add(&t, "11.16 P6: Data SNACKs whose data is never read", flood_of_data_snacks, NULL);
	tests_add(&t, "11.16 P6: Status SNACKs over and over", flood_of_status_snacks, NULL);
	tests_add(&t, "11.16 P6: SNACKs whose rejects are never read", flood_of_refused_snacks,
		  NULL);
	tests_add(&t, "11.16 P6: acknowledged while it is being sent again", acknowledged_too_early,
		  NULL);
	TESTS_ADD_TABLE(&t, moved_rows, moved);
	tests_add(&t, "11.16 a SNACK for a task of another connection", snack_from_the_other, NULL);
	tests_add(&t, "P6: 4.2.2.3.3 SNACKs before the acknowledgement that a fence waits for",
		  snacks_behind_a_fence, NULL);
	tests_add(&t, "7.5 what is kept waits for Time2Retain", lost_and_kept, NULL);
	return tests_run(&t, "iscsi kept answers");
}

/* A connection that is full: of immediate commands, of a whole window, of answers that
 * are read slowly. What ends tasks, and what tells the living from the dead, still works. */
#include "tests/protocol/iscsi_peer.h"

static const struct iscsi_limits wide = {.max_recv_segment = 262144,
					 .max_burst = 262144,
					 .first_burst = 65536,
					 .max_r2t = 1,
					 .queue_depth = 128,
					 .ping_every_ms = 1000,
					 .ping_misses = 3};

/* Every command that the window and the immediate places take; each runs, or waits for data. */
static void fill(struct peer *p, bool parked)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	for (unsigned n = 0; n < 136; n++) {
		if (parked)
			command_bhs(p, bhs, FLAG_FINAL, 0, CDB_PARKED);
		else
			rw_bhs(p, bhs, FLAG_FINAL | FLAG_WRITE, 512, 1);
		if (n >= 128) {
			bhs[0] |= OPCODE_IMMEDIATE;
			p->cmdsn--;
		}
		assert_true(peer_send(p, bhs, NULL, 0));
	}
}

/* The next answer; R2Ts and news of the window are none. */
static void answer(struct peer *p, struct reply *r, enum opcode opcode)
{
	do {
		assert_true(peer_next(p, r));
	} while (r->opcode == OP_R2T || r->opcode == OP_NOP_IN);
	assert_int_equal(r->opcode, opcode);
}

static uint8_t verdict(struct peer *p, uint8_t function, uint32_t rtt)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r = {0};

	tmf_bhs(p, bhs, function, rtt, 0);
	assert_true(peer_send(p, bhs, NULL, 0));
	answer(p, &r, OP_TMF_RESPONSE);
	return r.bhs[2];
}

static const struct function {
	const char *why;
	uint8_t function;
	uint32_t rtt;
} functions[] = {
	{"4.2.2.1 ABORT TASK gets through a full connection", TMF_ABORT_TASK, 0},
	{"4.2.2.1 ABORT TASK SET gets through a full connection", TMF_ABORT_TASK_SET, TAG_NONE},
	{"4.2.2.1 LOGICAL UNIT RESET gets through a full connection", TMF_LUN_RESET, TAG_NONE},
	{"4.2.2.1 TARGET WARM RESET gets through a full connection", TMF_TARGET_WARM_RESET,
	 TAG_NONE},
};

static void ends_them(void **state)
{
	const struct function *f = *state;
	struct peer p = {.limits = wide};

	peer_up(&p, KEYS(KEYS_USUAL));
	fill(&p, false);
	assert_int_equal(verdict(&p, f->function, f->rtt ? f->rtt : p.itt), 0);
	peer_alive(&p);
	peer_close(&p);
}

/* Each waits for tasks that can't be stopped at once: two go into the places kept for them. */
static void two_wait(void **state)
{
	struct peer p = {.limits = wide, .refuse_cancel = true};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r = {0};

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	fill(&p, true);
	for (unsigned n = 0; n < 3; n++) {
		tmf_bhs(&p, bhs, TMF_LUN_RESET, TAG_NONE, 0);
		assert_true(peer_send(&p, bhs, NULL, 0));
	}
	answer(&p, &r, OP_REJECT);
	assert_int_equal(r.bhs[2], REJECT_IMMEDIATE);
	while (p.parked_count > 0)
		iscsi_task_end(p.i, p.parked[--p.parked_count]);
	peer_drain(&p);
	for (unsigned n = 0; n < 2; n++)
		answer(&p, &r, OP_TMF_RESPONSE);
	peer_alive(&p);
	peer_close(&p);
}

static void logs_out(void **state)
{
	struct peer p = {.limits = wide};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r = {0};

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	fill(&p, true);
	bhs_start(bhs, OP_LOGOUT, FLAG_FINAL, 5555);
	bhs[0] |= OPCODE_IMMEDIATE;
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn);
	assert_true(peer_send(&p, bhs, NULL, 0));
	answer(&p, &r, OP_LOGOUT_RESPONSE);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_LOGOUT);
	peer_close(&p);
}

/* A read of 256 KiB is on its way when pings of ours become due behind it. */
static void reading(struct peer *p, uint8_t bhs[ISCSI_BHS_SIZE])
{
	uint8_t wire[64];
	size_t len;

	p->limits = wide;
	p->now = 5000;
	peer_up(p, KEYS(KEYS_USUAL));
	rw_bhs(p, bhs, FLAG_FINAL | FLAG_READ, 262144, 512);
	len = peer_wire(p, bhs, (struct body){0}, wire);
	assert_int_equal(peer_feed(p, wire, len), len);
}

static void slow_is_not_silent(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct iovec iov[8];

	(void)state;
	reading(&p, bhs);
	for (unsigned n = 0; n < 20; n++) {
		assert_true(iscsi_tx(p.c, iov, ARRAY_LEN(iov)) > 0);
		iscsi_sent(p.c, 1);
		iscsi_tick(p.i, iscsi_next_tick(p.i));
		assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_NONE);
	}
	peer_close(&p);
}

static void standing_still_is_silent(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct iovec iov[8];

	(void)state;
	reading(&p, bhs);
	assert_true(iscsi_tx(p.c, iov, ARRAY_LEN(iov)) > 0);
	iscsi_sent(p.c, 1);
	for (unsigned n = 0; n < 6 && iscsi_next_tick(p.i) != 0; n++)
		iscsi_tick(p.i, iscsi_next_tick(p.i));
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_SILENT);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, functions, ends_them);
	tests_add(&t, "4.2.2.1 in a full connection two resets wait, the third is Reject 06h",
		  two_wait, NULL);
	tests_add(&t, "4.2.2.1 an immediate Logout gets through a full connection", logs_out, NULL);
	tests_add(&t,
		  "11.19 who takes our answers slowly is not silent, though no ping gets through",
		  slow_is_not_silent, NULL);
	tests_add(&t, "11.19 P6: who takes nothing any more is silent", standing_still_is_silent,
		  NULL);
	return tests_run(&t, "iscsi crowded");
}

/* What happens on one connection of a session while another is in the middle of something: of a
 * PDU, of a Logout, of a response that is fenced; RFC 7143 sections 4.2.2, 4.2.2.3.3, 4.2.3, 6.3.4,
 * 7.5 and 11.14. `p` is the first connection and the host, `q` a second one. */
#include "gateway/iscsi/core.h"
#include "tests/protocol/iscsi_join.h"

/* --- a command that has come by half -------------------------------------------------------- */

static uint8_t half_data[512];

/* A WRITE with its data; the first 100 octets of it are sent. */
static size_t send_half(struct peer *p, uint8_t wire[])
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	size_t n;

	rw_bhs(p, bhs, FLAG_FINAL | FLAG_WRITE, 512, 1);
	n = peer_wire(p, bhs, (struct body){NULL, half_data, sizeof half_data}, wire);
	assert_int_equal(peer_feed(p, wire, 100), 100);
	return n;
}

static void send_rest(struct peer *p, const uint8_t wire[], size_t n)
{
	assert_int_equal(peer_feed(p, wire + 100, n - 100), n - 100);
	peer_drain(p);
	peer_expect_none(p);
}

/* The next command is in its turn. */
static void expect_next(struct peer *p, struct peer *q, unsigned commands)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	q->cmdsn = p->cmdsn;
	command_bhs(q, bhs, FLAG_FINAL, 0, 0);
	assert_true(peer_send(q, bhs, NULL, 0));
	expect_status(q, q->itt, 0);
	assert_int_equal(p->commands, commands);
}

static const struct half_row {
	const char *why;
	uint8_t function;
} half_rows[] = {
	{"4.2.3.3 a reset ends a WRITE whose data is still coming", TMF_TARGET_WARM_RESET},
	{"11.6.1 an abort ends a WRITE whose data is still coming", TMF_ABORT_TASK},
};

static void half_aborted(void **state)
{
	const struct half_row *row = *state;
	uint8_t bhs[ISCSI_BHS_SIZE], wire[700];
	struct peer p = {0}, q;
	struct reply r;
	size_t n;

	up(&p, KEYS(SEVERAL));
	join(&p, &q, 1);
	n = send_half(&p, wire);
	q.cmdsn = p.cmdsn;
	tmf_bhs(&q, bhs, row->function, p.itt, p.cmdsn - 1);
	assert_true(peer_send(&q, bhs, NULL, 0));
	peer_expect(&q, &r, OP_TMF_RESPONSE);
	assert_int_equal(r.bhs[2], COMPLETE);
	send_rest(&p, wire, n);
	assert_int_equal(p.commands, 0);
	expect_next(&p, &q, 1);
	leave(&q);
	peer_close(&p);
}

static void half_overtaken(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE], wire[700];
	struct peer p = {0}, q;
	size_t n;

	(void)state;
	up(&p, KEYS(SEVERAL));
	join(&p, &q, 1);
	n = send_half(&p, wire);
	q.cmdsn = p.cmdsn - 1;
	command_bhs(&q, bhs, FLAG_FINAL, 0, 0);
	assert_true(peer_send(&q, bhs, NULL, 0));
	expect_status(&q, q.itt, 0);
	send_rest(&p, wire, n);
	assert_int_equal(p.commands, 1);
	expect_next(&p, &q, 2);
	leave(&q);
	peer_close(&p);
}

/* While a ping of 256 KiB comes, one that was held is answered: the room for its own answer is not
 * there any more, and is waited for. */
static void half_without_room(void **state)
{
	static uint8_t data[SEGMENT_LIMIT], wire[SEGMENT_LIMIT + 64];
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0}, q;
	struct reply r;
	size_t n;

	(void)state;
	up(&p, KEYS(SEVERAL "\0MaxRecvDataSegmentLength=262144"));
	join(&p, &q, 1);
	nop_bhs(&p, bhs, true);
	n = peer_wire(&p, bhs, (struct body){NULL, data, sizeof data}, wire);
	assert_int_equal(peer_feed(&p, wire, n), n);
	q.cmdsn = p.cmdsn++;
	nop_bhs(&p, bhs, false);
	n = peer_wire(&p, bhs, (struct body){NULL, data, 60000}, wire);
	assert_int_equal(peer_feed(&p, wire, n), n);
	nop_bhs(&p, bhs, true);
	n = peer_wire(&p, bhs, (struct body){NULL, data, sizeof data}, wire);
	assert_int_equal(peer_feed(&p, wire, 5000), 5000);
	command_bhs(&q, bhs, FLAG_FINAL, 0, 0);
	assert_true(peer_send(&q, bhs, NULL, 0));
	assert_int_equal(peer_feed(&p, wire + 5000, n - 5000), n - 5000);
	peer_drain(&p);
	for (unsigned k = 0; k < 3; k++)
		peer_expect(&p, &r, OP_NOP_IN);
	assert_int_equal(r.len, sizeof data);
	leave(&q);
	peer_close(&p);
}

/* --- the end of a connection ---------------------------------------------------------------- */

/* A command is ended for its data, and the host still runs something for it when the connection is
 * lost: there is nobody to be told. */
static void lost_while_it_fails(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {.refuse_cancel = true}, q;

	(void)state;
	up(&p, KEYS(SEVERAL "\0InitialR2T=No"));
	join(&p, &q, 1);
	command_bhs(&q, bhs, FLAG_WRITE, 512, CDB_PARKED);
	assert_true(peer_send(&q, bhs, NULL, 0));
	data_out_bhs(&q, bhs, (struct out_place){true, TAG_NONE, 7, 0});
	assert_true(peer_send(&q, bhs, half_data, 512));
	peer_expect_none(&q);
	assert_int_equal(p.cancels, 1);
	lose(&q);
	iscsi_task_end(p.i, p.parked[0]);
	assert_int_equal(p.i->free_slot_count, ISCSI_TASKS_MAX);
	leave(&q);
	peer_close(&p);
}

static void logout_lost(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {.refuse_cancel = true}, q;

	(void)state;
	up(&p, KEYS(SEVERAL));
	join(&p, &q, 1);
	(void)park(&q);
	bhs_start(bhs, OP_LOGOUT, FLAG_FINAL, ++p.itt);
	bhs[0] |= OPCODE_IMMEDIATE;
	bhs_u32(bhs, BHS_CMDSN, q.cmdsn);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect_none(&p); /* waits for the task */
	lose(&p);
	assert_int_equal(iscsi_ended(q.c, NULL), ISCSI_END_LOGOUT);
	lose(&q);
	assert_true(iscsi_is_over(p.i));
	iscsi_task_end(p.i, p.parked[0]);
	leave(&q);
	peer_close(&p);
}

/* It ended for a reason of ours, and its transport is still there. */
static void over_then_removed(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0}, q;
	uint32_t tag;

	(void)state;
	up(&p, KEYS(LEVEL_2 "\0HeaderDigest=CRC32C"));
	join(&p, &q, 1);
	tag = park(&p);
	p.spoil_header = true;
	nop_bhs(&p, bhs, true);
	(void)peer_send(&p, bhs, NULL, 0);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_DIGEST);
	q.cmdsn = p.cmdsn;
	assert_int_equal(log_out(&q, 2, CID_P), 0);
	manage(&q, TMF_TASK_REASSIGN, tag, COMPLETE);
	lose(&p);
	peer_respond(&p, p.parked[0], 0, 0, 0);
	expect_status(&q, tag, 0);
	leave(&q);
	peer_close(&p);
}

/* What a lost connection still keeps ends with its Logout. */
static void lost_then_logged_out(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0}, q;
	struct reply r;

	(void)state;
	up(&p, KEYS(LEVEL_2));
	join(&p, &q, 1);
	command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_SCSI_RESPONSE); /* not acknowledged */
	lose(&p);
	assert_int_equal(p.i->free_slot_count, ISCSI_TASKS_MAX - 1);
	q.cmdsn = p.cmdsn;
	peer_drain(&q);
	peer_expect(&q, &r, OP_ASYNC);
	assert_int_equal(log_out(&q, 1, CID_P), 0);
	assert_int_equal(p.i->free_slot_count, ISCSI_TASKS_MAX - 1); /* the Logout's own */
	assert_int_equal(log_out(&q, 1, CID_P), 1);
	leave(&q);
	peer_close(&p);
}

/* Connections whose time is over take no place of one that joins. */
static void expired_and_joined(void **state)
{
	struct peer p = {0}, q;

	(void)state;
	up(&p, KEYS(LEVEL_2));
	for (unsigned n = 20; n < 20 + CONNECTION_PLACES - 1; n++) {
		join(&p, &q, (uint16_t)n);
		(void)park(&q);
		p.cmdsn = q.cmdsn;
		lose(&q);
		leave(&q);
	}
	iscsi_tick(p.i, 60000);
	join(&p, &q, 1);
	peer_alive(&q);
	leave(&q);
	peer_close(&p);
}

/* --- a response that is fenced -------------------------------------------------------------- */

#define FENCED SEVERAL "\0TaskReporting=ResponseFence"

/* A reset on `p`, whose response waits for what `q` was sent and has not acknowledged. */
static void fence(struct peer *p)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	tmf_bhs(p, bhs, TMF_LUN_RESET, TAG_NONE, 0);
	assert_true(peer_send(p, bhs, NULL, 0));
	peer_expect_none(p);
}

static void answer_ping(struct peer *p, uint32_t expstatsn)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	peer_drain(p);
	peer_expect(p, &r, OP_NOP_IN);
	assert_int_not_equal(reply_u32(&r, BHS_TTT), TAG_NONE);
	bhs_start(bhs, OP_NOP_OUT | OPCODE_IMMEDIATE, FLAG_FINAL, TAG_NONE);
	bhs_u32(bhs, BHS_TTT, reply_u32(&r, BHS_TTT));
	bhs_u32(bhs, BHS_CMDSN, p->cmdsn);
	bhs_u32(bhs, BHS_EXPSTATSN, expstatsn);
	assert_true(peer_send(p, bhs, NULL, 0));
}

static void expect_unfenced(struct peer *p)
{
	struct reply r;

	peer_drain(p);
	peer_expect(p, &r, OP_TMF_RESPONSE);
	assert_int_equal(r.bhs[2], COMPLETE);
}

/* The status that the fence waits for was lost: it comes again when it is asked for. */
static void fence_and_snack(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r, again;
	struct peer p = {0}, q;

	(void)state;
	up(&p, KEYS(LEVEL_2 "\0TaskReporting=ResponseFence"));
	join(&p, &q, 1);
	command_bhs(&q, bhs, FLAG_FINAL, 0, 0);
	assert_true(peer_send(&q, bhs, NULL, 0));
	peer_expect(&q, &r, OP_SCSI_RESPONSE);
	p.cmdsn = q.cmdsn;
	fence(&p);
	bhs_start(bhs, OP_SNACK, FLAG_FINAL | 1, TAG_NONE);
	bhs_u32(bhs, BHS_SNACK_TAG, TAG_NONE);
	bhs_u32(bhs, BHS_EXPSTATSN, 901);
	bhs_u32(bhs, BHS_BEGRUN, 901);
	bhs_u32(bhs, BHS_RUNLENGTH, 1);
	assert_true(peer_send(&q, bhs, NULL, 0));
	answer_ping(&q, 901); /* the ping went out first */
	peer_expect(&q, &again, OP_SCSI_RESPONSE);
	assert_memory_equal(again.bhs, r.bhs, 28);
	answer_ping(&q, 902); /* so it is asked again */
	expect_unfenced(&p);
	leave(&q);
	peer_close(&p);
}

/* Answers that are no task's go out, so that what acknowledges is read. */
static void fence_and_nops(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0}, q;
	struct reply r;

	(void)state;
	up(&p, KEYS(FENCED));
	join(&p, &q, 1);
	fence(&p);
	for (unsigned n = 0; n < 200; n++) {
		nop_bhs(&q, bhs, true);
		assert_true(peer_send(&q, bhs, NULL, 0));
	}
	answer_ping(&q, 901);
	for (unsigned n = 0; n < 200; n++)
		peer_expect(&q, &r, OP_NOP_IN);
	expect_unfenced(&p);
	leave(&q);
	peer_close(&p);
}

/* Nothing but a response that must wait: nothing is to be sent. */
static void fence_is_quiet(void **state)
{
	struct peer p = {0}, q;

	(void)state;
	up(&p, KEYS(FENCED));
	join(&p, &q, 1);
	(void)park(&q);
	p.cmdsn = q.cmdsn;
	tmf_bhs(&p, (uint8_t[ISCSI_BHS_SIZE]){0}, TMF_LUN_RESET, TAG_NONE, 0);
	peer_respond(&p, p.parked[0], 0, 0, 0);
	peer_drain(&q);
	(void)park(&q);
	q.out_at = q.out_len;
	p.cmdsn = q.cmdsn - 1; /* the last command comes behind the reset */
	fence(&p);
	peer_drain(&q);
	peer_respond(&p, p.parked[1], 0, 0, 0);
	assert_true(p.i->fence.conn == p.c);
	assert_false(iscsi_tx_waiting(q.c));
	q.out_at = q.out_len;
	leave(&q);
	peer_close(&p);
}

/* A ping that was under way before knows nothing of what the fence waits for. */
static void fence_and_old_ping(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {.limits = {0}}, q;
	struct reply r;

	(void)state;
	up(&p, KEYS(FENCED));
	join(&p, &q, 1);
	connection_ping(q.c);
	peer_drain(&q);
	command_bhs(&q, bhs, FLAG_FINAL, 0, 0);
	bhs_u32(bhs, BHS_EXPSTATSN, 901);
	assert_true(peer_send(&q, bhs, NULL, 0));
	connection_ping(q.c);
	p.cmdsn = q.cmdsn;
	fence(&p);
	answer_ping(&q, 901);
	peer_expect(&q, &r, OP_SCSI_RESPONSE);
	answer_ping(&q, 901); /* still the old one */
	answer_ping(&q, 902);
	expect_unfenced(&p);
	leave(&q);
	peer_close(&p);
}

/* A connection that joins in the place of one that was lost owes nothing of what that had. */
static void fence_and_join(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0}, q, lost, late;

	(void)state;
	up(&p, KEYS(FENCED));
	join(&p, &q, 1);
	join(&p, &lost, 2);
	for (unsigned n = 0; n < 50; n++) {
		nop_bhs(&lost, bhs, true);
		assert_true(peer_send(&lost, bhs, NULL, 0));
	}
	fence(&p);
	lose(&lost);
	join(&p, &late, 3);
	peer_alive(&late);
	answer_ping(&q, 901);
	peer_drain(&p);
	p.out_at += ISCSI_BHS_SIZE; /* the message that one was lost */
	expect_unfenced(&p);
	leave(&late);
	leave(&lost);
	leave(&q);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, half_rows, half_aborted);
	tests_add(&t, "4.2.2.1 a CmdSN that came whole while it was coming is not run twice",
		  half_overtaken, NULL);
	tests_add(&t, "11.18 a ping that comes waits for room for its answer", half_without_room,
		  NULL);
	tests_add(&t, "7.5 a command that fails while its connection is lost leaves nothing",
		  lost_while_it_fails, NULL);
	tests_add(&t, "11.14 a session's Logout is done though its connection is lost", logout_lost,
		  NULL);
	tests_add(&t, "11.14 a connection that ended is removed for recovery", over_then_removed,
		  NULL);
	tests_add(&t, "11.14 a lost connection is logged out with all it keeps",
		  lost_then_logged_out, NULL);
	tests_add(&t, "7.5 expired connections give their places back", expired_and_joined, NULL);
	tests_add(&t, "4.2.2.3.3 behind a fence a lost status comes again", fence_and_snack, NULL);
	tests_add(&t, "4.2.2.3.3 behind a fence NOP-Outs are answered", fence_and_nops, NULL);
	tests_add(&t, "4.2.2.3.3 behind a fence a response is not waiting to be sent",
		  fence_is_quiet, NULL);
	tests_add(&t, "4.2.2.3.3 a fence asks again after an old ping", fence_and_old_ping, NULL);
	tests_add(&t, "4.2.2.3.3 a connection joins while a response is fenced", fence_and_join,
		  NULL);
	return tests_run(&t, "iscsi meanwhile");
}

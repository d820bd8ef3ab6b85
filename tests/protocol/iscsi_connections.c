/* Several connections in one session, and connections that are lost: RFC 7143 sections
 * 4.2.2, 6.3.4, 6.3.6, 7.2.2, 7.5, 11.5 and 11.14. `p` is the first connection and the host, `q` a
 * second one. */
#include "tests/protocol/iscsi_peer.h"

enum { COMPLETE, NO_TASK, STILL_ALLEGIANT = 3, NO_REASSIGN = 4 };
#define LEVEL_2 "ErrorRecoveryLevel=2\0DefaultTime2Wait=1\0DefaultTime2Retain=10\0MaxConnections=4"
#define SEVERAL "MaxConnections=4"
#define CID_P	9 /* as login_bhs() has it */

static void up(struct peer *p, const char *keys, size_t len)
{
	p->limits = (struct iscsi_limits){
		.max_recv_segment = 262144,
		.max_burst = 262144,
		.first_burst = 65536,
		.max_r2t = 4,
		.queue_depth = 32,
		.immediate_data = true,
		.header_digest = true,
		.data_digest = true,
		.max_connections = 4,
		.error_recovery = 2,
		.time2wait = 1,
		.time2retain = 20,
	};
	peer_up(p, keys, len);
}

static struct iscsi_handover state_of(const struct peer *p, uint16_t cid)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct iscsi_handover h = {
		.tsih = 0x1234,
		.cid = cid,
		.text_len = sizeof "MaxRecvDataSegmentLength=262144",
		.itt = 77,
		.statsn = 900,
		.peer_segment = 8192,
		.csg = 1,
	};

	login_bhs(p, bhs, 0);
	memcpy(h.isid, bhs + BHS_ISID, sizeof h.isid);
	memcpy(h.text, "MaxRecvDataSegmentLength=262144", h.text_len);
	return h;
}

/* A second connection; its login has been done elsewhere. */
static void join(struct peer *p, struct peer *q, uint16_t cid)
{
	struct iscsi_handover h = state_of(p, cid);
	struct reply r;

	*q = (struct peer){.i = p->i, .itt = 5000 + 1000u * cid, .cmdsn = p->cmdsn};
	assert_int_equal(iscsi_adopt(p->i, &h, &q->c), 0);
	peer_drain(q);
	peer_expect(q, &r, OP_LOGIN_RESPONSE);
	assert_int_equal(get_be(r.bhs + BHS_LOGIN_STATUS, 2), 0);
	assert_int_equal(r.flags, LOGIN_T | STAGES(1, 3));
	assert_int_equal(get_be(r.bhs + BHS_TSIH, 2), 0x1234);
	assert_int_equal(reply_u32(&r, BHS_STATSN), 900);
	assert_int_equal(reply_u32(&r, BHS_ITT), 77);
	assert_string_equal(reply_value(&r, "MaxRecvDataSegmentLength"), "262144");
}

static void leave(struct peer *q)
{
	free(q->out);
}

/* The connection's transport is gone. */
static void lose(struct peer *p)
{
	iscsi_disconnected(p->c);
	p->c = NULL;
}

static uint32_t park(struct peer *p)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	command_bhs(p, bhs, FLAG_FINAL, 0, CDB_PARKED);
	assert_true(peer_send(p, bhs, NULL, 0));
	return p->itt;
}

static void expect_status(struct peer *p, uint32_t itt, uint8_t status)
{
	struct reply r;

	peer_drain(p);
	peer_expect(p, &r, OP_SCSI_RESPONSE);
	assert_int_equal(reply_u32(&r, BHS_ITT), itt);
	assert_int_equal(r.bhs[3], status);
}

static void manage(struct peer *p, uint8_t function, uint32_t rtt, uint8_t verdict)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	tmf_bhs(p, bhs, function, rtt, 0);
	assert_true(peer_send(p, bhs, NULL, 0));
	peer_expect(p, &r, OP_TMF_RESPONSE);
	assert_int_equal(r.bhs[2], verdict);
}

static uint8_t log_out(struct peer *p, uint8_t reason, uint16_t cid)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	bhs_start(bhs, OP_LOGOUT, FLAG_FINAL | reason, ++p->itt);
	bhs[0] |= OPCODE_IMMEDIATE;
	put_be(bhs + BHS_CID, 2, cid);
	bhs_u32(bhs, BHS_CMDSN, p->cmdsn);
	assert_true(peer_send(p, bhs, NULL, 0));
	peer_expect(p, &r, OP_LOGOUT_RESPONSE);
	return r.bhs[2];
}

/* --- joining ------------------------------------------------------------------------------- */

static const struct state_row {
	const char *why;
	uint8_t octet; /* of the ISID */
	uint16_t tsih, text_len;
	uint32_t segment;
	uint8_t digest, csg;
} states[] = {
	{"6.3.6 a login for another ISID does not join", 1, 0, 0, 0, 0, 0},
	{"6.3.6 a login for another TSIH does not join", 0, 1, 0, 0, 0, 0},
	{"P3: a login with too long a text does not join", 0, 0, ISCSI_HANDOVER_TEXT + 1, 0, 0, 0},
	{"P3: a login with a segment of 511 octets does not join", 0, 0, 0, 511, 0, 0},
	{"P3: a login with a segment of 16 MiB does not join", 0, 0, 0, 1u << 24, 0, 0},
	{"P3: a login with a digest that is none does not join", 0, 0, 0, 0, 2, 0},
	{"P3: a login of stage 2 does not join", 0, 0, 0, 0, 0, 2},
};

static void bad_states(void **state)
{
	const struct state_row *row = *state;
	struct iscsi_connection *c = NULL;
	struct iscsi_handover h;
	struct peer p = {0};

	up(&p, KEYS(SEVERAL));
	h = state_of(&p, 1);
	h.isid[3] = (uint8_t)(h.isid[3] ^ row->octet);
	h.tsih = (uint16_t)(h.tsih + row->tsih);
	h.text_len = row->text_len ? row->text_len : h.text_len;
	h.peer_segment = row->segment ? row->segment : h.peer_segment;
	h.header_digest = row->digest;
	h.csg = row->csg ? row->csg : h.csg;
	assert_int_equal(iscsi_adopt(p.i, &h, &c), -EINVAL);
	assert_null(c);
	peer_alive(&p);
	peer_close(&p);
}

static void joins(void **state)
{
	struct peer p = {0}, q;

	(void)state;
	up(&p, KEYS(SEVERAL));
	join(&p, &q, 1);
	peer_alive(&q);
	peer_alive(&p);
	leave(&q);
	peer_close(&p);
}

/* What the joining end gives away is what the session's end takes. */
static void handed_over(void **state)
{
	struct peer p = {.later = true}, q = {0}, leading = {0};
	struct iscsi_handover h;
	struct reply r;
	struct iovec iov;

	(void)state;
	up(&leading, KEYS(SEVERAL));
	peer_open(&p);
	p.later = false;
	p.keeps_out = true;
	peer_authenticate(&p, KEYS(LOGIN_NAMES));
	assert_true(peer_login_text(&p, LOGIN_T | STAGES(1, 3),
				    KEYS("HeaderDigest=CRC32C\0MaxRecvDataSegmentLength=4096")));
	peer_expect_none(&p);
	assert_int_equal(iscsi_handover(p.c, &h), 0);
	assert_int_equal(iscsi_rx_space(p.c, &iov, 1), 0);
	assert_int_equal(h.peer_segment, 4096);
	assert_int_equal(h.header_digest, 1);
	h.tsih = 0x1234;
	h.cid = 9;
	q = (struct peer){.i = leading.i, .cmdsn = leading.cmdsn, .itt = 1};
	assert_int_equal(iscsi_adopt(leading.i, &h, &q.c), 0);
	peer_drain(&q);
	peer_expect(&q, &r, OP_LOGIN_RESPONSE);
	assert_string_equal(reply_value(&r, "HeaderDigest"), "CRC32C");
	assert_string_equal(reply_value(&r, "MaxRecvDataSegmentLength"), "262144");
	q.header_digest = true;
	peer_alive(&q);
	leave(&q);
	peer_close(&leading);
	peer_close(&p);
}

static void octets_behind_the_login(void **state)
{
	struct peer p = {.keeps_out = true};
	struct iscsi_handover h;
	uint8_t bhs[ISCSI_BHS_SIZE];

	(void)state;
	peer_open(&p);
	peer_authenticate(&p, KEYS(LOGIN_NAMES));
	assert_true(peer_login_text(&p, LOGIN_T | STAGES(1, 3), KEYS("ImmediateData=Yes")));
	nop_bhs(&p, bhs, true);
	(void)peer_feed(&p, bhs, 5);
	assert_int_equal(iscsi_handover(p.c, &h), -EPROTO);
	peer_close(&p);
}

static void one_too_many(void **state)
{
	struct peer p = {0}, q[3];
	struct iscsi_connection *c;
	struct iscsi_handover h;
	struct reply r;

	(void)state;
	up(&p, KEYS("MaxConnections=3"));
	join(&p, &q[0], 1);
	join(&p, &q[1], 2);
	h = state_of(&p, 3);
	q[2] = (struct peer){.i = p.i};
	assert_int_equal(iscsi_adopt(p.i, &h, &c), 0);
	q[2].c = c;
	peer_drain(&q[2]);
	peer_expect(&q[2], &r, OP_LOGIN_RESPONSE);
	assert_int_equal(get_be(r.bhs + BHS_LOGIN_STATUS, 2), 0x0206);
	assert_int_equal(iscsi_ended(c, NULL), ISCSI_END_REFUSED);
	iscsi_disconnected(c);
	peer_alive(&p);
	for (unsigned n = 0; n < 3; n++)
		leave(&q[n]);
	peer_close(&p);
}

/* --- allegiance ---------------------------------------------------------------------------- */

static void answers_where_it_came(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0}, q;
	struct reply r;

	(void)state;
	up(&p, KEYS(SEVERAL));
	join(&p, &q, 1);
	rw_bhs(&q, bhs, FLAG_FINAL | FLAG_READ, 512, 1);
	p.cmdsn = q.cmdsn;
	assert_true(peer_send(&q, bhs, NULL, 0));
	peer_expect(&q, &r, OP_DATA_IN);
	peer_drain(&p);
	peer_expect_none(&p);
	rw_bhs(&p, bhs, FLAG_FINAL | FLAG_READ, 512, 1);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_DATA_IN);
	leave(&q);
	peer_close(&p);
}

/* CmdSN is the session's: what comes early on one connection waits for the other. */
static void ordered_over_both(void **state)
{
	uint8_t first[ISCSI_BHS_SIZE], second[ISCSI_BHS_SIZE];
	struct peer p = {0}, q;

	(void)state;
	up(&p, KEYS(SEVERAL));
	join(&p, &q, 1);
	command_bhs(&p, first, FLAG_FINAL, 0, 0);
	q.cmdsn = p.cmdsn;
	command_bhs(&q, second, FLAG_FINAL, 0, 0);
	assert_true(peer_send(&q, second, NULL, 0));
	peer_expect_none(&q);
	assert_true(peer_send(&p, first, NULL, 0));
	expect_status(&p, p.itt, 0);
	expect_status(&q, q.itt, 0);
	assert_int_equal(p.seen_cmdsn[0] + 1, p.seen_cmdsn[1]);
	leave(&q);
	peer_close(&p);
}

static void data_on_the_wrong_one(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE], data[512] = {0};
	struct peer p = {0}, q;
	struct reply r;
	uint32_t ttt;

	(void)state;
	up(&p, KEYS(SEVERAL "\0InitialR2T=Yes\0ImmediateData=No"));
	join(&p, &q, 1);
	rw_bhs(&p, bhs, FLAG_FINAL | FLAG_WRITE, 512, 1);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_R2T);
	ttt = reply_u32(&r, BHS_TTT);
	q.itt = p.itt;
	data_out_bhs(&q, bhs, (struct out_place){true, ttt, 0, 0});
	assert_true(peer_send(&q, bhs, data, sizeof data));
	peer_expect(&q, &r, OP_REJECT);
	assert_int_equal(p.arrived_calls, 0);
	data_out_bhs(&p, bhs, (struct out_place){true, ttt, 0, 0});
	assert_true(peer_send(&p, bhs, data, sizeof data));
	expect_status(&p, p.itt, 0);
	leave(&q);
	peer_close(&p);
}

static void abort_from_the_other(void **state)
{
	struct peer p = {0}, q;
	uint32_t tag;

	(void)state;
	up(&p, KEYS(SEVERAL));
	join(&p, &q, 1);
	tag = park(&p);
	q.cmdsn = p.cmdsn;
	manage(&q, TMF_ABORT_TASK, tag, COMPLETE);
	assert_int_equal(p.parked_count, 0);
	peer_drain(&p);
	peer_expect_none(&p);
	leave(&q);
	peer_close(&p);
}

/* --- logout -------------------------------------------------------------------------------- */

static const struct logout_row {
	const char *why;
	uint8_t reason;
	uint16_t cid; /* 1 is q's; sent on q */
	uint8_t answer;
	bool p_ends, q_ends;
	unsigned left; /* of p's one parked task */
} logouts[] = {
	{"11.14 a Logout of the session ends all its connections", 0, 1, 0, true, true, 0},
	{"11.14 a Logout of its own connection leaves the other one alone", 1, 1, 0, false, true,
	 1},
	{"11.14 a Logout of the other connection ends its tasks", 1, CID_P, 0, true, false, 0},
	{"11.15 a Logout of a connection that is not there", 1, 7, 1, false, false, 1},
	{"11.15 a Logout for recovery is not for levels below 2", 2, CID_P, 2, false, false, 1},
};

static void logs_out(void **state)
{
	const struct logout_row *row = *state;
	struct peer p = {0}, q;

	up(&p, KEYS(SEVERAL));
	join(&p, &q, 1);
	(void)park(&p);
	q.cmdsn = p.cmdsn;
	assert_int_equal(log_out(&q, row->reason, row->cid), row->answer);
	assert_int_equal(p.parked_count, row->left);
	assert_int_equal(iscsi_ended(p.c, NULL) != ISCSI_END_NONE, row->p_ends);
	assert_int_equal(iscsi_ended(q.c, NULL) != ISCSI_END_NONE, row->q_ends);
	if (row->p_ends)
		lose(&p);
	if (row->q_ends)
		lose(&q);
	assert_int_equal(iscsi_is_over(p.i), row->p_ends && row->q_ends);
	if (q.c)
		peer_alive(&q);
	leave(&q);
	peer_close(&p);
}

/* --- loss below level 2 --------------------------------------------------------------------- */

static void lost_at_level_0(void **state)
{
	struct peer p = {0}, q;
	struct reply r;

	(void)state;
	up(&p, KEYS(SEVERAL));
	join(&p, &q, 3);
	(void)park(&q);
	p.cmdsn = q.cmdsn;
	(void)park(&p);
	lose(&q);
	assert_int_equal(p.cancels, 1);
	assert_int_equal(p.parked_count, 1);
	peer_drain(&p);
	peer_expect(&p, &r, OP_ASYNC);
	assert_int_equal(r.bhs[36], 2);
	assert_int_equal(get_be(r.bhs + 38, 2), 3);
	peer_alive(&p);
	lose(&p);
	assert_true(iscsi_is_over(p.i));
	leave(&q);
	peer_close(&p);
}

/* What came early and was not acknowledged may come again, on the other connection. */
static void hole_filled_by_the_other(void **state)
{
	uint8_t early[ISCSI_BHS_SIZE], missing[ISCSI_BHS_SIZE];
	struct peer p = {0}, q;

	(void)state;
	up(&p, KEYS(SEVERAL));
	join(&p, &q, 1);
	command_bhs(&p, missing, FLAG_FINAL, 0, 0);
	q.cmdsn = p.cmdsn;
	command_bhs(&q, early, FLAG_FINAL, 0, 0);
	assert_true(peer_send(&q, early, NULL, 0));
	lose(&q);
	assert_true(peer_send(&p, missing, NULL, 0));
	assert_true(peer_send(&p, early, NULL, 0));
	assert_int_equal(p.commands, 2);
	leave(&q);
	peer_close(&p);
}

static void replaced_at_level_0(void **state)
{
	struct peer p = {0}, q;

	(void)state;
	up(&p, KEYS(SEVERAL));
	(void)park(&p);
	join(&p, &q, CID_P);
	assert_int_equal(p.cancels, 1);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_REPLACED);
	lose(&p);
	assert_false(iscsi_is_over(p.i));
	peer_alive(&q);
	leave(&q);
	peer_close(&p);
}

/* At one connection a session: the second is there to replace the first. */
static void replaced_alone(void **state)
{
	struct peer p = {0}, q;

	(void)state;
	up(&p, KEYS("MaxConnections=1"));
	join(&p, &q, CID_P);
	lose(&p);
	peer_alive(&q);
	leave(&q);
	peer_close(&p);
}

static void lost_while_it_runs(void **state)
{
	struct peer p = {.refuse_cancel = true}, q;

	(void)state;
	up(&p, KEYS(SEVERAL));
	join(&p, &q, 1);
	(void)park(&q);
	lose(&q);
	assert_int_equal(iscsi_tasks_running(p.i), 1);
	iscsi_task_end(p.i, p.parked[0]);
	assert_int_equal(iscsi_tasks_running(p.i), 0);
	iscsi_room_changed(p.i);
	leave(&q);
	peer_close(&p);
}

/* --- level 2 -------------------------------------------------------------------------------- */

static void waits_at_level_2(void **state)
{
	struct peer p = {0};

	(void)state;
	up(&p, KEYS(LEVEL_2));
	(void)park(&p);
	lose(&p);
	assert_false(iscsi_is_over(p.i));
	assert_int_equal(p.cancels, 0);
	assert_int_equal(iscsi_next_tick(p.i), 11000);
	iscsi_tick(p.i, 10999);
	assert_int_equal(p.cancels, 0);
	iscsi_tick(p.i, 11000);
	assert_int_equal(p.cancels, 1);
	assert_true(iscsi_is_over(p.i));
	peer_close(&p);
}

static void reassigned(void **state)
{
	bool answered_meanwhile = *(const bool *)*state;
	struct peer p = {0}, q;
	struct iscsi_task *task;
	uint32_t tag;

	up(&p, KEYS(LEVEL_2));
	tag = park(&p);
	task = p.parked[0];
	lose(&p);
	if (answered_meanwhile)
		peer_respond(&p, task, 0, 0, 0);
	join(&p, &q, CID_P);
	manage(&q, TMF_TASK_REASSIGN, tag, COMPLETE);
	if (!answered_meanwhile)
		peer_respond(&p, task, 0, 0, 0);
	expect_status(&q, tag, 0);
	assert_int_equal(p.cancels, 0);
	leave(&q);
	peer_close(&p);
}

/* A WRITE that waited for data asks for the rest of it on its new connection. */
static void write_reassigned(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	static uint8_t data[4096];
	struct peer p = {0}, q;
	struct reply r;

	(void)state;
	up(&p, KEYS(LEVEL_2 "\0InitialR2T=Yes\0ImmediateData=Yes"));
	memset(data, 0x77, sizeof data);
	rw_bhs(&p, bhs, FLAG_FINAL | FLAG_WRITE, 4096, 8);
	assert_true(peer_send(&p, bhs, data, 512));
	peer_expect(&p, &r, OP_R2T);
	lose(&p);
	join(&p, &q, 1);
	manage(&q, TMF_TASK_REASSIGN, p.itt, COMPLETE);
	peer_drain(&q);
	peer_expect(&q, &r, OP_R2T);
	assert_int_equal(reply_u32(&r, BHS_OFFSET), 512);
	assert_int_equal(reply_u32(&r, BHS_LENGTH), 4096 - 512);
	q.itt = p.itt;
	data_out_bhs(&q, bhs, (struct out_place){true, reply_u32(&r, BHS_TTT), 0, 512});
	assert_true(peer_send(&q, bhs, data, 4096 - 512));
	expect_status(&q, p.itt, 0);
	assert_memory_equal(p.disk, data, sizeof data);
	leave(&q);
	peer_close(&p);
}

static void not_reassigned(void **state)
{
	struct peer p = {0}, q;
	uint32_t tag;

	(void)state;
	up(&p, KEYS(LEVEL_2));
	join(&p, &q, 1);
	tag = park(&p);
	q.cmdsn = p.cmdsn;
	manage(&q, TMF_TASK_REASSIGN, tag, STILL_ALLEGIANT);
	manage(&q, TMF_TASK_REASSIGN, tag + 500, NO_TASK);
	assert_int_equal(p.parked_count, 1);
	leave(&q);
	peer_close(&p);
}

static void removed_for_recovery(void **state)
{
	struct peer p = {0}, q;
	struct iscsi_task *task;
	uint32_t tag;

	(void)state;
	up(&p, KEYS(LEVEL_2));
	join(&p, &q, 1);
	tag = park(&p);
	task = p.parked[0];
	q.cmdsn = p.cmdsn;
	assert_int_equal(log_out(&q, 2, CID_P), 0);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_LOGOUT);
	lose(&p);
	assert_int_equal(p.cancels, 0);
	manage(&q, TMF_TASK_REASSIGN, tag, COMPLETE);
	peer_respond(&p, task, 0, 0, 0);
	expect_status(&q, tag, 0);
	leave(&q);
	peer_close(&p);
}

/* After a Logout that is not for recovery nothing waits. */
static void logged_out_at_level_2(void **state)
{
	struct peer p = {0};

	(void)state;
	up(&p, KEYS(LEVEL_2));
	(void)park(&p);
	assert_int_equal(log_out(&p, 0, 0), 0);
	lose(&p);
	assert_int_equal(p.cancels, 1);
	assert_true(iscsi_is_over(p.i));
	peer_close(&p);
}

static void lost_tasks_aborted(void **state)
{
	struct peer p = {0}, q;
	uint32_t tag;

	(void)state;
	up(&p, KEYS(LEVEL_2));
	tag = park(&p);
	(void)park(&p);
	lose(&p);
	join(&p, &q, 1);
	q.cmdsn = p.cmdsn;
	manage(&q, TMF_ABORT_TASK, tag, COMPLETE);
	manage(&q, TMF_LUN_RESET, 0, COMPLETE);
	assert_int_equal(p.cancels, 2);
	leave(&q);
	peer_close(&p);
}

/* P6: connections that are lost again and again hold no more than their bound. */
static void lost_again_and_again(void **state)
{
	struct peer p = {0}, q;

	(void)state;
	up(&p, KEYS(LEVEL_2));
	for (uint16_t n = CID_P + 1; n < 70; n++) {
		join(&p, &q, n);
		(void)park(&q);
		p.cmdsn = q.cmdsn;
		lose(&q);
		leave(&q);
		p.out_at = p.out_len;
	}
	assert_true(p.parked_count < 20);
	p.out_at = p.out_len;
	peer_drain(&p);
	p.out_at = p.out_len;
	peer_alive(&p);
	peer_close(&p);
}

static void pings_of_each(void **state)
{
	struct peer p = {0}, q;
	struct reply r;

	(void)state;
	up(&p, KEYS(SEVERAL));
	p.limits.ping_every_ms = 1000;
	p.limits.ping_misses = 2;
	assert_int_equal(iscsi_set_limits(p.i, &p.limits), 0);
	join(&p, &q, 1);
	p.now = q.now = 500;
	peer_alive(&p);
	iscsi_tick(p.i, 1000);
	peer_drain(&q);
	peer_expect(&q, &r, OP_NOP_IN);
	peer_drain(&p);
	peer_expect_none(&p);
	iscsi_tick(p.i, 2000);
	iscsi_tick(p.i, 3000);
	assert_int_equal(iscsi_ended(q.c, NULL), ISCSI_END_SILENT);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_NONE);
	leave(&q);
	peer_close(&p);
}

int main(void)
{
	static const bool meanwhile = true, afterwards = false;
	static struct tests t;

	tests_add(&t, "6.3.6 a connection joins the session", joins, NULL);
	tests_add(&t, "6.3.6 what was negotiated goes over to the session", handed_over, NULL);
	tests_add(&t, "6.3 octets behind a login that joins end it", octets_behind_the_login, NULL);
	TESTS_ADD_TABLE(&t, states, bad_states);
	tests_add(&t, "13.2 a connection beyond MaxConnections is refused with 0206h", one_too_many,
		  NULL);
	tests_add(&t, "4.2.2.1 a command is answered on its connection", answers_where_it_came,
		  NULL);
	tests_add(&t, "4.2.2.1 CmdSN orders commands over all connections", ordered_over_both,
		  NULL);
	tests_add(&t, "4.2.2.1 Data-Out on another connection is rejected", data_on_the_wrong_one,
		  NULL);
	tests_add(&t, "11.5 ABORT TASK reaches tasks of other connections", abort_from_the_other,
		  NULL);
	TESTS_ADD_TABLE(&t, logouts, logs_out);
	tests_add(&t, "7.5 below level 2 tasks end with their connection", lost_at_level_0, NULL);
	tests_add(&t, "4.2.2.1 what was not acknowledged comes on another connection",
		  hole_filled_by_the_other, NULL);
	tests_add(&t, "6.3.4 a known CID replaces its connection and ends its tasks",
		  replaced_at_level_0, NULL);
	tests_add(&t, "6.3.4 a known CID replaces the only connection", replaced_alone, NULL);
	tests_add(&t, "7.5 a lost connection's memory stays while its task runs",
		  lost_while_it_runs, NULL);
	tests_add(&t, "7.5 at level 2 tasks wait for Time2Wait and Time2Retain", waits_at_level_2,
		  NULL);
	tests_add(&t, "7.2.2 a task is reassigned and answered later", reassigned,
		  (void *)(uintptr_t)&afterwards);
	tests_add(&t, "7.2.2 a task that ended meanwhile is reassigned and answered", reassigned,
		  (void *)(uintptr_t)&meanwhile);
	tests_add(&t, "7.2.2 a WRITE is reassigned and asks for the rest of its data",
		  write_reassigned, NULL);
	tests_add(&t, "11.6.1 what is still allegiant, or not there, is not reassigned",
		  not_reassigned, NULL);
	tests_add(&t, "11.14 a connection is removed for recovery", removed_for_recovery, NULL);
	tests_add(&t, "11.14 a Logout leaves nothing to be reassigned", logged_out_at_level_2,
		  NULL);
	tests_add(&t, "11.5 tasks of a lost connection can be aborted", lost_tasks_aborted, NULL);
	tests_add(&t, "P6: 11.5 connections lost again and again", lost_again_and_again, NULL);
	tests_add(&t, "11.19 each connection has pings of its own", pings_of_each, NULL);
	return tests_run(&t, "iscsi connections");
}

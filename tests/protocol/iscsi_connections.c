/* Several connections in one session: RFC 7143 sections 4.2.2, 6.3.6, 11.5 and 11.14. `p` is
 * the first connection and the host, `q` a second one. */
#include "tests/protocol/iscsi_join.h"

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
	{"6.3.6 P3: a login with too long a text does not join", 0, 0, ISCSI_HANDOVER_TEXT + 1, 0,
	 0, 0},
	{"6.3.6 P3: a login with a segment of 511 octets does not join", 0, 0, 0, 511, 0, 0},
	{"6.3.6 P3: a login with a segment of 16 MiB does not join", 0, 0, 0, 1u << 24, 0, 0},
	{"6.3.6 P3: a login with a digest that is none does not join", 0, 0, 0, 0, 2, 0},
	{"6.3.6 P3: a login of stage 2 does not join", 0, 0, 0, 0, 0, 2},
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

/* Tasks that another nexus has ended: told on their connection, if that was agreed on. */
static void fast_abort(void **state)
{
	static const uint8_t lun[8] = {0, 1};
	bool agreed = *(const bool *)*state;
	struct peer p = {0}, q;
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	if (agreed)
		up(&p, KEYS(SEVERAL "\0TaskReporting=FastAbort"));
	else
		up(&p, KEYS(SEVERAL "\0TaskReporting=ResponseFence"));
	join(&p, &q, 1);
	command_bhs(&p, bhs, FLAG_FINAL, 0, CDB_PARKED);
	bhs[BHS_LUN + 1] = 1;
	assert_true(peer_send(&p, bhs, NULL, 0));
	iscsi_abort_lun(p.i, lun);
	assert_int_equal(p.cancels, 1);
	peer_drain(&p);
	peer_drain(&q);
	if (agreed) {
		peer_expect(&p, &r, OP_ASYNC);
		assert_int_equal(r.bhs[36], 5);
		assert_memory_equal(r.bhs + BHS_LUN, lun, 8);
		iscsi_abort_lun(p.i, lun); /* nothing is there any more: nothing to tell */
		peer_drain(&p);
	}
	peer_expect_none(&p);
	peer_expect_none(&q);
	leave(&q);
	peer_close(&p);
}

/* Answers the target's ping, and so acknowledges all that came. */
static void acknowledge(struct peer *p)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	peer_drain(p);
	peer_expect(p, &r, OP_NOP_IN);
	assert_int_not_equal(reply_u32(&r, BHS_TTT), TAG_NONE);
	bhs_start(bhs, OP_NOP_OUT, FLAG_FINAL, TAG_NONE);
	bhs[0] |= OPCODE_IMMEDIATE;
	bhs_u32(bhs, BHS_TTT, reply_u32(&r, BHS_TTT));
	bhs_u32(bhs, BHS_CMDSN, p->cmdsn);
	bhs_u32(bhs, BHS_EXPSTATSN, reply_u32(&r, BHS_STATSN));
	assert_true(peer_send(p, bhs, NULL, 0));
}

enum fence_end { FENCE_ACKNOWLEDGED, FENCE_OTHER_LOST, FENCE_OWN_LOST };
static const struct fence_row {
	const char *why;
	enum fence_end how;
} fence_rows[] = {
	{"4.2.2.3.3 a fenced response waits for what others have sent", FENCE_ACKNOWLEDGED},
	{"4.2.2.3.3 a fence does not wait for a connection that is lost", FENCE_OTHER_LOST},
	{"4.2.2.3.3 a fence falls with its own connection", FENCE_OWN_LOST},
};

static void fenced(void **state)
{
	const struct fence_row *row = *state;
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0}, q;
	struct reply r;

	up(&p, KEYS(SEVERAL "\0TaskReporting=ResponseFence"));
	join(&p, &q, 1);
	tmf_bhs(&p, bhs, TMF_LUN_RESET, TAG_NONE, 0);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect_none(&p); /* q has its Login Response, but has not said so */
	if (row->how == FENCE_OTHER_LOST)
		lose(&q);
	else
		acknowledge(&q);
	peer_drain(&p);
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	if (row->how != FENCE_OTHER_LOST) {
		(void)park(&q);
		peer_respond(&p, p.parked[0], 0, 0, 0);
		peer_drain(&q);
		peer_expect_none(&q); /* behind the fence */
	}
	if (row->how == FENCE_ACKNOWLEDGED)
		acknowledge(&p);
	if (row->how == FENCE_OWN_LOST)
		lose(&p);
	if (row->how != FENCE_OTHER_LOST)
		expect_status(&q, q.itt, 0);
	leave(&q);
	peer_close(&p);
}

static void not_fenced(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0}, q;
	struct reply r;

	(void)state;
	up(&p, KEYS(SEVERAL));
	join(&p, &q, 1);
	tmf_bhs(&p, bhs, TMF_LUN_RESET, TAG_NONE, 0);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	leave(&q);
	peer_close(&p);
}

int main(void)
{
	static const bool agreed = true, not_agreed = false;
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
	tests_add(&t, "11.19 each connection has pings of its own", pings_of_each, NULL);
	tests_add(&t, "4.2.3.4 FastAbort: the connection of tasks that others ended hears of it",
		  fast_abort, (void *)(uintptr_t)&agreed);
	tests_add(&t, "4.2.3.4 without FastAbort nobody hears of them", fast_abort,
		  (void *)(uintptr_t)&not_agreed);
	TESTS_ADD_TABLE(&t, fence_rows, fenced);
	tests_add(&t, "4.2.2.3.3 RFC3720 has no fence", not_fenced, NULL);
	return tests_run(&t, "iscsi connections");
}

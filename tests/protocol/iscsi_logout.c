/* Logout, RFC 7143 sections 11.14 and 11.15: of what, when the answer comes, and the
 * message that asks for one. */
#include "tests/protocol/iscsi_manage.h"

static const struct {
	const char *why;
	uint8_t reason, cid;
	int response; /* -1: rejected */
	bool over;
} logouts[] = {
	{"11.14 Logout closes the session", 0, 0, 0, true},
	{"11.14 Logout closes the connection", 1, 9, 0, true},
	{"11.14 Logout of a connection that is not there", 1, 8, 1, false},
	{"11.14 Logout for recovery is not supported", 2, 9, 2, false},
	{"11.14 Logout for another reason is rejected", 3, 9, -1, false},
};

static void logout_reasons(void **state)
{
	const typeof(logouts[0]) *row = *state;
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	peer_up(&p, KEYS(KEYS_USUAL));
	bhs_start(bhs, OP_LOGOUT, FLAG_FINAL | row->reason, 5);
	bhs[0] |= OPCODE_IMMEDIATE;
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn);
	bhs[BHS_CID + 1] = row->cid;
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, row->response < 0 ? OP_REJECT : OP_LOGOUT_RESPONSE);
	if (row->response >= 0)
		assert_int_equal(r.bhs[2], row->response);
	assert_int_equal(iscsi_ended(p.c, NULL), row->over ? ISCSI_END_LOGOUT : ISCSI_END_NONE);
	if (!row->over)
		peer_alive(&p);
	peer_close(&p);
}

/* What the nexus held is given up before it hears that it is logged out. */
static void logout_spreads(void **state)
{
	struct peer p = {.others_busy = true};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	peer_up(&p, KEYS(KEYS_USUAL));
	bhs_start(bhs, OP_LOGOUT, FLAG_FINAL | *(const uint8_t *)*state, 5);
	bhs[BHS_CID + 1] = 9;
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn++);
	assert_true(peer_send(&p, bhs, NULL, 0));
	assert_int_equal(p.spreads, 1);
	assert_int_equal(p.spread[0].function, TMF_NONE);
	peer_expect_none(&p);
	iscsi_tmf_spread_done(p.i, p.spread[0].slot);
	peer_drain(&p);
	peer_expect(&p, &r, OP_LOGOUT_RESPONSE);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_LOGOUT);
	peer_close(&p);
}

static void logout_waits(void **state)
{
	struct peer p = {.refuse_cancel = true};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	(void)park(&p, 0);
	bhs_start(bhs, OP_LOGOUT, FLAG_FINAL, 5);
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn++);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect_none(&p);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_NONE);
	nop_bhs(&p, bhs, true);
	(void)peer_send(&p, bhs, NULL, 0);
	peer_expect_none(&p); /* nothing more is looked at */
	iscsi_task_end(p.i, p.parked[0]);
	peer_drain(&p);
	peer_expect(&p, &r, OP_LOGOUT_RESPONSE);
	peer_expect_none(&p);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_LOGOUT);
	peer_close(&p);
}

static void asked_to_log_out(void **state)
{
	struct peer p = {0};
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	iscsi_ask_logout(p.i, 5);
	peer_drain(&p);
	peer_expect(&p, &r, OP_ASYNC);
	assert_int_equal(r.flags, FLAG_FINAL);
	assert_int_equal(reply_u32(&r, BHS_ITT), TAG_NONE);
	assert_int_equal(r.bhs[36], 1);
	assert_int_equal(get_be(r.bhs + 42, 2), 5);
	peer_alive(&p);
	peer_close(&p);
}

int main(void)
{
	static const uint8_t session = 0, connection = 1;
	static struct tests t;

	tests_add(&t, "11.14 the session's logout waits for what it held to be free",
		  logout_spreads, &session);
	tests_add(&t, "11.14 the last connection's logout waits for what it held to be free",
		  logout_spreads, &connection);
	TESTS_ADD_TABLE(&t, logouts, logout_reasons);
	tests_add(&t, "11.14 the answer to Logout waits for what still runs", logout_waits, NULL);
	tests_add(&t, "11.9 an asynchronous message asks for a Logout", asked_to_log_out, NULL);
	return tests_run(&t, "iscsi logout");
}

/* Task management, RFC 7143 sections 11.5 and 11.6: who is ended, who is not, when the
 * answer comes, and what becomes of data that arrives late. */
#include "tests/protocol/iscsi_manage.h"

/* Three parked commands: two on LUN 0, one on LUN 1. */
static const struct tmf_row {
	const char *why;
	uint8_t function, lun;
	uint8_t verdict;
	unsigned left; /* of the three */
} rows[] = {
	{"11.5 ABORT TASK ends the one task", TMF_ABORT_TASK, 0, COMPLETE, 2},
	{"11.5 ABORT TASK with another LUN: no such task", TMF_ABORT_TASK, 1, NO_TASK, 3},
	{"11.5 ABORT TASK SET ends those of its LUN", TMF_ABORT_TASK_SET, 0, COMPLETE, 1},
	{"11.5 ABORT TASK SET on another LUN", TMF_ABORT_TASK_SET, 1, COMPLETE, 2},
	{"11.5 ABORT TASK SET on a LUN that is not there", TMF_ABORT_TASK_SET, 7, NO_LUN, 3},
	{"11.5 CLEAR ACA is not supported (NormACA=0)", TMF_CLEAR_ACA, 0, NOT_SUPPORTED, 3},
	{"11.5 CLEAR TASK SET ends those of its LUN", TMF_CLEAR_TASK_SET, 0, COMPLETE, 1},
	{"11.5 CLEAR TASK SET on a LUN that is not there", TMF_CLEAR_TASK_SET, 7, NO_LUN, 3},
	{"11.5 LOGICAL UNIT RESET ends those of its LUN", TMF_LUN_RESET, 0, COMPLETE, 1},
	{"11.5 LOGICAL UNIT RESET on a LUN that is not there", TMF_LUN_RESET, 7, NO_LUN, 3},
	{"11.5 TARGET WARM RESET ends all", TMF_TARGET_WARM_RESET, 0, COMPLETE, 0},
	{"11.5 TARGET COLD RESET ends all", TMF_TARGET_COLD_RESET, 0, COMPLETE, 0},
	{"11.5 TASK REASSIGN needs ErrorRecoveryLevel 2", TMF_TASK_REASSIGN, 0, NO_REASSIGN, 3},
	{"11.5 function 0 is none", 0, 0, NOT_SUPPORTED, 3},
	{"11.5 QUERY TASK needs protocol level 2", 9, 0, NOT_SUPPORTED, 3},
	{"11.5 function 127 is none", 127, 0, NOT_SUPPORTED, 3},
};

static void functions(void **state)
{
	const struct tmf_row *row = *state;
	struct peer p = {0};
	uint32_t tag;

	peer_up(&p, KEYS(KEYS_USUAL));
	(void)park(&p, 1);
	tag = park(&p, 0);
	(void)park(&p, 0);
	manage(&p, row->function, row->lun, tag, 0);
	expect_verdict(&p, row->verdict);
	assert_int_equal(p.parked_count, row->left);
	assert_int_equal(p.cancels, 3 - row->left);
	assert_int_equal(iscsi_ended(p.c, NULL), row->function == TMF_TARGET_COLD_RESET
							 ? ISCSI_END_LOGOUT
							 : ISCSI_END_NONE);
	if (row->function != TMF_TARGET_COLD_RESET)
		peer_alive(&p);
	peer_close(&p);
}

/* The same, with something still running for each task: the answer waits for all of it. */
static void functions_wait(void **state)
{
	const struct tmf_row *row = *state;
	struct peer p = {.refuse_cancel = true};
	struct iscsi_task *cancelled[3];
	unsigned count = 0;
	uint32_t tag;

	peer_up(&p, KEYS(KEYS_USUAL));
	(void)park(&p, 1);
	tag = park(&p, 0);
	(void)park(&p, 0);
	for (unsigned n = 0; n < 3; n++) {
		bool of_lun = p.parked[n]->lun[1] == row->lun;

		if (row->function >= TMF_TARGET_WARM_RESET ||
		    (row->function == TMF_ABORT_TASK ? p.parked[n]->itt == tag : of_lun))
			cancelled[count++] = p.parked[n];
	}
	manage(&p, row->function, row->lun, tag, 0);
	assert_int_equal(p.cancels, count);
	while (count > 0) {
		peer_expect_none(&p);
		iscsi_task_end(p.i, cancelled[--count]);
		peer_drain(&p);
	}
	expect_verdict(&p, row->verdict);
	peer_expect_none(&p); /* no response for the tasks themselves */
	p.refuse_cancel = false;
	peer_alive(&p);
	peer_close(&p);
}

static void unknown_task(void **state)
{
	struct peer p = {0};

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	manage(&p, TMF_ABORT_TASK, 0, 0xdead, p.cmdsn - 1);
	expect_verdict(&p, NO_TASK);
	manage(&p, TMF_ABORT_TASK, 0, 0xdead, p.cmdsn + 1000);
	expect_verdict(&p, NO_TASK);
	manage(&p, TMF_ABORT_TASK, 0, 0xdead, p.cmdsn);
	expect_verdict(&p, NO_TASK); /* not before the request's own CmdSN */
	peer_alive(&p);
	peer_close(&p);
}

/* RFC 7143 section 11.6.1: aborting what never came plugs its place. */
static void plugs_a_gap(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	uint32_t lost;
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	lost = p.cmdsn++;
	command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
	assert_true(peer_send(&p, bhs, NULL, 0));
	assert_int_equal(p.commands, 0);
	manage(&p, TMF_ABORT_TASK, 0, 0xdead, lost);
	assert_int_equal(p.commands, 1);
	expect_verdict(&p, COMPLETE);
	peer_expect(&p, &r, OP_SCSI_RESPONSE);
	assert_int_equal(reply_u32(&r, BHS_EXPCMDSN), p.cmdsn);
	p.cmdsn = lost;
	command_bhs(&p, bhs, FLAG_FINAL, 0, 0); /* comes after all: dropped */
	assert_true(peer_send(&p, bhs, NULL, 0));
	assert_int_equal(p.commands, 1);
	peer_close(&p);
}

/* The place of an aborted command that never came stays plugged, also behind another gap. */
static void plug_behind_a_gap(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	uint32_t first, late = 0;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	first = p.cmdsn;
	p.cmdsn += 2;
	manage(&p, TMF_ABORT_TASK, 0, 0xdead, first + 1);
	expect_verdict(&p, COMPLETE);
	manage(&p, TMF_ABORT_TASK, 0, 0xdead, first + 1);
	expect_verdict(&p, NO_TASK); /* it was received, as far as anybody can tell */
	for (unsigned n = 2; n-- > 0;) {
		p.cmdsn = first + n;
		command_bhs(&p, bhs, FLAG_FINAL, 0, CDB_PARKED);
		assert_true(peer_send(&p, bhs, NULL, 0));
		late = n == 1 ? p.itt : late;
	}
	assert_int_equal(p.commands, 1);
	p.cmdsn = first + 2;
	manage(&p, TMF_ABORT_TASK, 0, late, first + 1);
	expect_verdict(&p, NO_TASK); /* dropped, not kept */
	(void)park(&p, 0);
	assert_int_equal(p.commands, 2);
	peer_close(&p);
}

static void eleventh_waits_not(void **state)
{
	struct peer p = {.refuse_cancel = true};
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	(void)park(&p, 0);
	for (unsigned n = 0; n < 10; n++)
		manage(&p, TMF_LUN_RESET, 0, 0, 0);
	peer_expect_none(&p);
	manage(&p, TMF_LUN_RESET, 0, 0, 0);
	peer_expect(&p, &r, OP_REJECT);
	assert_int_equal(r.bhs[2], REJECT_IMMEDIATE);
	iscsi_task_end(p.i, p.parked[0]);
	peer_drain(&p);
	for (unsigned n = 0; n < 10; n++)
		peer_expect(&p, &r, OP_TMF_RESPONSE);
	peer_alive(&p);
	peer_close(&p);
}

/* Every place of the window and every immediate one is taken, and an answer has not left yet: the
 * command that its MaxCmdSN allows has a place. */
static void a_place_for_each_cmdsn(void **state)
{
	struct peer p = {.refuse_cancel = true};
	uint8_t bhs[ISCSI_BHS_SIZE], wire[64];
	struct iovec iov[8];
	size_t len;

	(void)state;
	p.limits = (struct iscsi_limits){.max_recv_segment = 8192,
					 .max_burst = 8192,
					 .first_burst = 8192,
					 .max_r2t = 1,
					 .queue_depth = 128};
	peer_up(&p, KEYS(KEYS_USUAL));
	for (unsigned n = 0; n < 128 + 7; n++) {
		command_bhs(&p, bhs, FLAG_FINAL, 0, CDB_PARKED);
		if (n >= 128) {
			bhs[0] |= OPCODE_IMMEDIATE;
			p.cmdsn--;
		}
		assert_true(peer_send(&p, bhs, NULL, 0));
	}
	manage(&p, TMF_ABORT_TASK, 0, p.itt, 0);
	peer_respond(&p, p.parked[0], 0, 0, 0);
	assert_true(iscsi_tx(p.c, iov, ARRAY_LEN(iov)) > 0); /* made: the window is open by one */
	command_bhs(&p, bhs, FLAG_FINAL, 0, CDB_PARKED);
	len = peer_wire(&p, bhs, (struct body){0}, wire);
	assert_int_equal(peer_feed(&p, wire, len), len);
	assert_int_equal(p.commands, 136);
	iscsi_task_end(p.i, p.parked[134]);
	peer_drain(&p);
	peer_close(&p);
}

/* A request that came before its turn waits in the place that it has then. */
static void held_request(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	p.cmdsn++;
	bhs_start(bhs, OP_TMF, FLAG_FINAL | TMF_LUN_RESET, 4000);
	bhs_u32(bhs, BHS_RTT, TAG_NONE);
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn);
	assert_true(peer_send(&p, bhs, NULL, 0));
	bhs_start(bhs, OP_LOGOUT, FLAG_FINAL, 4001);
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn + 1);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect_none(&p);
	p.cmdsn--;
	(void)park(&p, 0);
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	assert_int_equal(reply_u32(&r, BHS_ITT), 4000);
	peer_expect(&p, &r, OP_LOGOUT_RESPONSE);
	assert_int_equal(reply_u32(&r, BHS_ITT), 4001);
	assert_int_equal(p.cancels, 1);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_LOGOUT);
	peer_close(&p);
}

static void held_task_aborted(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	uint32_t gap;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	gap = p.cmdsn++;
	command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
	assert_true(peer_send(&p, bhs, NULL, 0));
	manage(&p, TMF_ABORT_TASK, 0, p.itt, p.cmdsn - 1);
	expect_verdict(&p, COMPLETE);
	p.cmdsn = gap;
	command_bhs(&p, bhs, FLAG_FINAL, 0, CDB_PARKED);
	assert_true(peer_send(&p, bhs, NULL, 0));
	assert_int_equal(p.commands, 1);
	p.cmdsn = gap + 2; /* the aborted one's place is past */
	(void)park(&p, 0);
	assert_int_equal(p.commands, 2);
	assert_int_equal(p.cancels, 0);
	peer_close(&p);
}

static void later_commands_stay(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	(void)park(&p, 0);
	(void)park(&p, 0);
	tmf_bhs(&p, bhs, TMF_ABORT_TASK_SET, 0, 0);
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn - 1); /* sent between the two */
	assert_true(peer_send(&p, bhs, NULL, 0));
	expect_verdict(&p, COMPLETE);
	assert_int_equal(p.parked_count, 1);
	peer_close(&p);
}

/* A WRITE that waits for data: never carried out, and its late data disturbs nobody. */
static void waiting_write_aborted(void **state)
{
	bool solicited = *state != NULL;
	uint8_t bhs[ISCSI_BHS_SIZE], data[2048] = {0xee};
	struct peer p = {0};
	uint32_t ttt = TAG_NONE, tag;
	struct reply r;

	peer_up(&p, KEYS(KEYS_USUAL));
	rw_bhs(&p, bhs, (uint8_t)(FLAG_WRITE | (solicited ? FLAG_FINAL : 0)), 2048, 4);
	assert_true(peer_send(&p, bhs, NULL, 0));
	tag = p.itt;
	if (solicited) {
		peer_expect(&p, &r, OP_R2T);
		ttt = reply_u32(&r, BHS_TTT);
	}
	manage(&p, TMF_ABORT_TASK, 0, tag, p.cmdsn - 1);
	expect_verdict(&p, COMPLETE);
	assert_int_equal(p.cancels, 1);
	for (unsigned n = 0; n < 3; n++) {
		data_out_bhs(&p, bhs, (struct out_place){n == 2, ttt, n, n * 512});
		bhs_u32(bhs, BHS_ITT, tag);
		assert_true(peer_send(&p, bhs, data, 512));
	}
	peer_expect_none(&p);
	assert_int_equal(p.arrived_calls, 0);
	assert_int_equal(p.disk[0], 0);
	assert_int_equal(p.disk[1], 7);
	peer_alive(&p);
	peer_close(&p);
}

static void responses_come_first(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE], wire[2][64];
	size_t len;
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
	len = peer_wire(&p, bhs, (struct body){NULL, NULL, 0}, wire[0]);
	tmf_bhs(&p, bhs, TMF_TARGET_WARM_RESET, 0, 0);
	(void)peer_wire(&p, bhs, (struct body){NULL, NULL, 0}, wire[1]);
	assert_int_equal(peer_feed(&p, wire[0], len), len);
	assert_int_equal(peer_feed(&p, wire[1], len), len);
	peer_drain(&p);
	peer_expect(&p, &r, OP_SCSI_RESPONSE); /* it was over before the reset came */
	expect_verdict(&p, COMPLETE);
	peer_close(&p);
}

static void two_wait_for_one(void **state)
{
	struct peer p = {.refuse_cancel = true};
	uint32_t tag;
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	tag = park(&p, 0);
	manage(&p, TMF_ABORT_TASK, 0, tag, p.cmdsn - 1);
	manage(&p, TMF_LUN_RESET, 0, 0, 0);
	peer_expect_none(&p);
	assert_int_equal(p.cancels, 1); /* the host is asked once */
	iscsi_task_end(p.i, p.parked[0]);
	peer_drain(&p);
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	peer_alive(&p);
	peer_close(&p);
}

/* The host answers a cancelled task instead of ending it: nothing is sent for it. */
static void cancelled_task_answers(void **state)
{
	struct peer p = {.refuse_cancel = true};
	uint32_t tag;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	tag = park(&p, 0);
	manage(&p, TMF_ABORT_TASK, 0, tag, p.cmdsn - 1);
	peer_respond(&p, p.parked[0], 0, 0, 0);
	peer_drain(&p);
	expect_verdict(&p, COMPLETE);
	peer_expect_none(&p);
	peer_alive(&p);
	peer_close(&p);
}

static void abort_storm(void **state)
{
	struct peer p = {0};

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	for (unsigned n = 0; n < 3000; n++) {
		uint32_t tag = park(&p, 0);

		manage(&p, TMF_ABORT_TASK, 0, tag, p.cmdsn - 1);
		expect_verdict(&p, COMPLETE);
	}
	assert_int_equal(p.parked_count, 0);
	peer_alive(&p);
	peer_close(&p);
}

static void connection_lost(void **state)
{
	struct peer p = {.refuse_cancel = *state != NULL};
	struct iscsi_task *parked[2];

	peer_up(&p, KEYS(KEYS_USUAL));
	(void)park(&p, 0);
	(void)park(&p, 1);
	memcpy(parked, p.parked, sizeof parked);
	iscsi_cancel_all(p.i);
	assert_int_equal(p.cancels, 2);
	assert_int_equal(iscsi_tasks_running(p.i), p.refuse_cancel ? 2 : 0);
	assert_false(iscsi_tx_waiting(p.c));
	assert_int_equal(iscsi_rx_space(p.c, (struct iovec[1]){{0}}, 1), 0);
	if (p.refuse_cancel) {
		iscsi_task_end(p.i, parked[0]);
		peer_respond(&p, parked[1], 0, 0, 0);
	}
	assert_int_equal(iscsi_tasks_running(p.i), 0);
	peer_close(&p);
}

/* Which functions the other sessions hear of, and that the answer waits for them. */
static const struct spread_row {
	const char *why;
	uint8_t function, lun;
	bool spreads;
} spread_rows[] = {
	{"11.5 ABORT TASK SET stays in its session (TST=001b)", TMF_ABORT_TASK_SET, 0, false},
	{"11.5 CLEAR TASK SET stays in its session (TST=001b)", TMF_CLEAR_TASK_SET, 0, false},
	{"11.5 LOGICAL UNIT RESET is told to the other sessions", TMF_LUN_RESET, 0, true},
	{"11.5 LOGICAL UNIT RESET on a LUN that is not there is told nobody", TMF_LUN_RESET, 7,
	 false},
	{"11.5 TARGET WARM RESET is told to the other sessions", TMF_TARGET_WARM_RESET, 0, true},
	{"11.5 TARGET COLD RESET is told to the other sessions", TMF_TARGET_COLD_RESET, 0, true},
};

static void spreads(void **state)
{
	const struct spread_row *row = *state;
	struct peer p = {.others_busy = true};
	struct reply r;

	peer_up(&p, KEYS(KEYS_USUAL));
	manage(&p, row->function, row->lun, TAG_NONE, 0);
	assert_int_equal(p.spreads, row->spreads);
	if (row->spreads) {
		assert_int_equal(p.spread[0].function, row->function);
		peer_expect_none(&p);
		iscsi_tmf_spread_done(p.i, p.spread[0].slot);
		peer_drain(&p);
	}
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	peer_close(&p);
}

/* The session is lost while the others are still at it: its slot stays until they are done. */
static void spread_and_lost(void **state)
{
	struct peer p = {.others_busy = true};

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	manage(&p, TMF_LUN_RESET, 0, TAG_NONE, 0);
	iscsi_cancel_all(p.i);
	assert_int_equal(iscsi_tasks_running(p.i), 1);
	iscsi_tmf_spread_done(p.i, p.spread[0].slot);
	assert_int_equal(iscsi_tasks_running(p.i), 0);
	peer_close(&p);
}

static void reset_by_another(void **state)
{
	static const uint8_t lun[8] = {0, 1};
	struct peer p = {0};

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	(void)park(&p, 0);
	(void)park(&p, 1);
	(void)park(&p, 1);
	iscsi_abort_lun(p.i, lun);
	assert_int_equal(p.cancels, 2);
	assert_int_equal(p.parked_count, 1);
	peer_expect_none(&p);
	peer_alive(&p);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, rows, functions);
	tests_add(&t, "11.6.1 the answer to ABORT TASK waits for what still runs", functions_wait,
		  &rows[0]);
	tests_add(&t, "11.6.1 the answer to ABORT TASK SET waits for all that still run",
		  functions_wait, &rows[2]);
	tests_add(&t, "11.6.1 the answer to LOGICAL UNIT RESET waits for all that still run",
		  functions_wait, &rows[8]);
	tests_add(&t, "11.6.1 the answer to TARGET WARM RESET waits for all that still run",
		  functions_wait, &rows[10]);
	tests_add(&t, "11.6.1 ABORT TASK of an unknown task outside the window", unknown_task,
		  NULL);
	tests_add(&t, "11.6.1 ABORT TASK of a command that never came plugs its place", plugs_a_gap,
		  NULL);
	tests_add(&t, "11.6.1 a plugged place stays plugged behind another gap", plug_behind_a_gap,
		  NULL);
	tests_add(&t, "11.17.1 P6: the eleventh immediate request that would wait is Reject 06h",
		  eleventh_waits_not, NULL);
	tests_add(&t, "4.2.2.1 every CmdSN of the window has its place, however full it is",
		  a_place_for_each_cmdsn, NULL);
	tests_add(&t, "4.2.2.1 a reset and a Logout that came early are answered in their turn",
		  held_request, NULL);
	tests_add(&t, "11.6.1 ABORT TASK of a command that waits for its turn", held_task_aborted,
		  NULL);
	tests_add(&t, "11.5 commands sent after the request are not affected", later_commands_stay,
		  NULL);
	tests_add(&t, "10.7 P2: a write aborted while unsolicited data is due is never carried out",
		  waiting_write_aborted, NULL);
	tests_add(&t, "10.7 P2: a write aborted while an R2T is open is never carried out",
		  waiting_write_aborted, (void *)1);
	tests_add(&t, "11.5.1 responses composed before a reset are sent before its answer",
		  responses_come_first, NULL);
	tests_add(&t, "11.6.1 an abort and a reset may wait for the same task", two_wait_for_one,
		  NULL);
	tests_add(&t, "11.5.1 a cancelled task that ends with a response gets none",
		  cancelled_task_answers, NULL);
	tests_add(&t, "11.5.1 P6: three thousand aborts in a row", abort_storm, NULL);
	tests_add(&t, "7.6 a lost connection cancels every task", connection_lost, NULL);
	tests_add(&t, "7.6 a lost connection waits for what still runs", connection_lost,
		  (void *)1);
	TESTS_ADD_TABLE(&t, spread_rows, spreads);
	tests_add(&t, "7.6 a session that is lost in a reset waits for the others", spread_and_lost,
		  NULL);
	tests_add(&t, "4.2.3 a reset by another nexus ends the tasks of its LUN in silence",
		  reset_by_another, NULL);
	return tests_run(&t, "iscsi tasks");
}

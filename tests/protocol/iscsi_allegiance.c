/* Connections that are lost or replaced, and what becomes of their tasks: RFC 7143 sections
 * 6.3.4, 7.2.2, 7.5 and 11.14. `p` is the first connection and the host, `q` a second
 * one. */
#include "tests/protocol/iscsi_join.h"

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

int main(void)
{
	static const bool meanwhile = true, afterwards = false;
	static struct tests t;

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
	tests_add(&t, "11.5 P6: connections lost again and again", lost_again_and_again, NULL);
	return tests_run(&t, "iscsi allegiance");
}

/* Another nexus ends the tasks of a LUN, and TAS=1: each gets status TASK ABORTED, when it can. */
#include "tests/protocol/iscsi_manage.h"

#define TASK_ABORTED 0x40

static const uint8_t lun_0[8] = {0, 0}, lun_1[8] = {0, 1};

static void expect_aborted(struct peer *p, uint32_t tag)
{
	struct reply r;

	peer_expect(p, &r, OP_SCSI_RESPONSE);
	assert_int_equal(reply_u32(&r, BHS_ITT), tag);
	assert_int_equal(r.bhs[2], 0); /* completed at the target */
	assert_int_equal(r.bhs[3], TASK_ABORTED);
	assert_int_equal(r.len, 0);
}

static void waiting(void **state)
{
	struct peer p = {0};
	uint32_t first, second;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	(void)park(&p, 0);
	first = park(&p, 1);
	second = park(&p, 1);
	iscsi_abort_lun_told(p.i, lun_1);
	peer_drain(&p);
	assert_int_equal(p.cancels, 2);
	assert_int_equal(p.parked_count, 1);
	expect_aborted(&p, first);
	expect_aborted(&p, second);
	peer_expect_none(&p);
	peer_alive(&p);
	peer_close(&p);
}

static void running(void **state)
{
	struct peer p = {.refuse_cancel = true};
	uint32_t tag;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	tag = park(&p, 1);
	iscsi_abort_lun_told(p.i, lun_1);
	iscsi_abort_lun_told(p.i, lun_1); /* by somebody else, too */
	assert_int_equal(p.cancels, 1);
	peer_expect_none(&p);
	iscsi_task_end(p.i, p.parked[0]);
	p.parked_count = 0;
	peer_drain(&p);
	expect_aborted(&p, tag);
	peer_expect_none(&p);
	p.refuse_cancel = false;
	peer_alive(&p);
	peer_close(&p);
}

/* RFC 7143 section 4.2.3.3: the answer comes when the data that was asked for has. */
static void data_owed(void **state)
{
	bool solicited = *state != NULL;
	uint8_t bhs[ISCSI_BHS_SIZE], data[512] = {0xee};
	uint32_t ttt = TAG_NONE, tag;
	struct peer p = {0};
	struct reply r;

	peer_up(&p, KEYS(KEYS_USUAL));
	rw_bhs(&p, bhs, (uint8_t)(FLAG_WRITE | (solicited ? FLAG_FINAL : 0)), 2048, 4);
	assert_true(peer_send(&p, bhs, NULL, 0));
	tag = p.itt;
	if (solicited) {
		peer_expect(&p, &r, OP_R2T);
		ttt = reply_u32(&r, BHS_TTT);
	}
	iscsi_abort_lun_told(p.i, lun_0);
	assert_int_equal(p.cancels, 1);
	for (unsigned n = 0; n < 4; n++) {
		peer_drain(&p);
		peer_expect_none(&p);
		data_out_bhs(&p, bhs, (struct out_place){n == 3, ttt, n, n * 512});
		bhs_u32(bhs, BHS_ITT, tag);
		assert_true(peer_send(&p, bhs, data, 512));
	}
	expect_aborted(&p, tag);
	assert_int_equal(p.arrived_calls, 0);
	assert_int_equal(p.disk[0], 0);
	peer_alive(&p);
	peer_close(&p);
}

/* And a task that is being aborted by its own initiator stays without a word. */
static void aborted_before(void **state)
{
	struct peer p = {.refuse_cancel = true};
	uint32_t tag;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	tag = park(&p, 1);
	manage(&p, TMF_ABORT_TASK, 1, tag, p.cmdsn - 1);
	iscsi_abort_lun_told(p.i, lun_1);
	iscsi_task_end(p.i, p.parked[0]);
	p.parked_count = 0;
	peer_drain(&p);
	expect_verdict(&p, COMPLETE);
	peer_expect_none(&p);
	p.refuse_cancel = false;
	peer_close(&p);
}

static void lost(void **state)
{
	struct peer p = {.refuse_cancel = true};

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	(void)park(&p, 1);
	iscsi_abort_lun_told(p.i, lun_1);
	iscsi_cancel_all(p.i);
	assert_int_equal(iscsi_tasks_running(p.i), 1);
	iscsi_task_end(p.i, p.parked[0]);
	p.parked_count = 0;
	assert_int_equal(iscsi_tasks_running(p.i), 0);
	p.refuse_cancel = false;
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	tests_add(&t,
		  "4.2.3.3 TAS=1: tasks that wait end with TASK ABORTED, those of other LUNs stay",
		  waiting, NULL);
	tests_add(&t, "4.2.3.3 TAS=1: a task that runs ends with TASK ABORTED when it is over",
		  running, NULL);
	tests_add(&t, "4.2.3.3 TAS=1: TASK ABORTED comes behind the unsolicited data", data_owed,
		  NULL);
	tests_add(&t, "4.2.3.3 TAS=1: TASK ABORTED comes behind the data of open R2Ts", data_owed,
		  (void *)1);
	tests_add(&t, "4.2.3.3 TAS=1: what its initiator aborts gets no status", aborted_before,
		  NULL);
	tests_add(&t, "4.2.3.3 TAS=1: a lost session's task is told to nobody", lost, NULL);
	return tests_run(&t, "iscsi task aborted");
}

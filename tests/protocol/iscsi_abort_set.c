/* What ends many tasks at once, RFC 7143 sections 4.2.3.3 and 4.2.3.4: commands before the
 * request that have not come, late data, and FastAbort's word to other connections. */
#include "tests/protocol/iscsi_manage.h"

#define FAST_ABORT "TaskReporting=FastAbort,ResponseFence,RFC3720"

/* A command with this CmdSN; the initiator's own counter stays. Its tag. */
static uint32_t late(struct peer *p, uint32_t cmdsn, uint8_t lun)
{
	uint32_t own = p->cmdsn, tag;

	p->cmdsn = cmdsn;
	tag = park(p, lun);
	p->cmdsn = own;
	return tag;
}

static const struct {
	const char *why;
	uint8_t function, lun;
	bool carried_out;
} missing[] = {
	{"4.2.3.3 P2: ABORT TASK SET: what was sent before it and comes after is not carried out",
	 TMF_ABORT_TASK_SET, 0, false},
	{"4.2.3.3 P2: CLEAR TASK SET: what was sent before it and comes after is not carried out",
	 TMF_CLEAR_TASK_SET, 0, false},
	{"4.2.3.3 P2: LOGICAL UNIT RESET: what was sent before it and comes after is not carried "
	 "out",
	 TMF_LUN_RESET, 0, false},
	{"4.2.3.3 ABORT TASK SET: what is for another LUN is carried out", TMF_ABORT_TASK_SET, 1,
	 true},
	{"4.2.3.3 LOGICAL UNIT RESET: what is for another LUN is carried out", TMF_LUN_RESET, 1,
	 true},
};

static void missing_command(void **state)
{
	const typeof(missing[0]) *row = *state;
	struct peer p = {0};
	uint32_t gap;

	peer_up(&p, KEYS(KEYS_USUAL));
	gap = p.cmdsn++;
	manage(&p, row->function, 0, TAG_NONE, 0);
	peer_expect_none(&p); /* until all commands before it have come */
	p.itt++;
	(void)late(&p, gap, row->lun);
	p.itt--;
	assert_int_equal(p.commands, row->carried_out);
	p.itt--;
	expect_verdict(&p, COMPLETE);
	peer_expect_none(&p); /* and no response for the command that ended */
	p.itt += 10;
	(void)park(&p, 0);
	assert_int_equal(p.commands, 1 + row->carried_out);
	peer_alive(&p);
	peer_close(&p);
}

/* Three are missing; the answer comes with the last of them. */
static void several_missing(void **state)
{
	struct peer p = {0};
	uint32_t first, request;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	first = p.cmdsn;
	p.cmdsn += 3;
	manage(&p, TMF_LUN_RESET, 0, TAG_NONE, 0);
	request = p.itt;
	for (uint32_t n = 3; n-- > 0;) {
		peer_expect_none(&p);
		(void)late(&p, first + n, 0);
	}
	p.itt = request;
	expect_verdict(&p, COMPLETE);
	assert_int_equal(p.commands, 0);
	peer_close(&p);
}

/* What is there ends at once, and what waits for its turn behind the gap. */
static void present_ones_end_at_once(void **state)
{
	struct peer p = {0};
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	(void)park(&p, 0);
	p.cmdsn++;
	(void)park(&p, 0); /* held */
	manage(&p, TMF_ABORT_TASK_SET, 0, TAG_NONE, 0);
	assert_int_equal(p.parked_count, 0);
	peer_expect_none(&p);
	(void)late(&p, p.cmdsn - 2, 1);
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	assert_int_equal(r.bhs[2], COMPLETE);
	assert_int_equal(p.commands, 2);
	peer_close(&p);
}

static void gap_is_plugged(void **state)
{
	struct peer p = {0};
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	p.cmdsn++;
	manage(&p, TMF_LUN_RESET, 0, TAG_NONE, 0);
	peer_expect_none(&p);
	manage(&p, TMF_ABORT_TASK, 0, 0xdead, p.cmdsn - 1);
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	peer_alive(&p);
	peer_close(&p);
}

/* A target's reset does not wait: what has not come counts as received. */
static void target_reset_plugs(void **state)
{
	struct peer p = {0};
	uint32_t first;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	first = p.cmdsn;
	p.cmdsn++;
	(void)park(&p, 0); /* held */
	p.cmdsn++;
	manage(&p, TMF_TARGET_WARM_RESET, 0, TAG_NONE, 0);
	expect_verdict(&p, COMPLETE);
	(void)late(&p, first, 0);
	(void)late(&p, first + 1, 1);
	(void)late(&p, first + 2, 0);
	assert_int_equal(p.commands, 0);
	(void)park(&p, 0);
	assert_int_equal(p.commands, 1);
	peer_close(&p);
}

/* A CmdSN that nobody can have reached stands for the end of the window. */
static void wild_cmdsn(void **state)
{
	uint8_t function = (uint8_t)(uintptr_t)*state;
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	peer_up(&p, KEYS(KEYS_USUAL));
	tmf_bhs(&p, bhs, function, TAG_NONE, 0);
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn + 0x40000000);
	assert_true(peer_send(&p, bhs, NULL, 0));
	for (unsigned n = 0; n < 32; n++) {
		assert_int_equal(peer_next(&p, &r), n == 0 && function == TMF_TARGET_WARM_RESET);
		(void)park(&p, 0);
	}
	assert_int_equal(p.commands, 0);
	if (function == TMF_LUN_RESET) {
		peer_expect(&p, &r, OP_NOP_IN); /* the window was shut, and is open */
		peer_expect(&p, &r, OP_TMF_RESPONSE);
	}
	peer_alive(&p);
	(void)park(&p, 0);
	assert_int_equal(p.commands, 1);
	peer_close(&p);
}

/* A write that ends in its turn; its data is late and disturbs nobody. */
static void late_data(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE], data[1024] = {0xee};
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	p.cmdsn++;
	manage(&p, TMF_ABORT_TASK_SET, 0, TAG_NONE, 0);
	p.cmdsn--;
	rw_bhs(&p, bhs, FLAG_WRITE, 2048, 4);
	assert_true(peer_send(&p, bhs, data, 1024));
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	for (unsigned n = 0; n < 2; n++) {
		data_out_bhs(&p, bhs, (struct out_place){n == 1, TAG_NONE, n, 1024 + n * 512});
		assert_true(peer_send(&p, bhs, data, 512));
	}
	peer_expect_none(&p);
	assert_int_equal(p.commands, 0);
	assert_int_equal(p.disk[1], 7);
	peer_alive(&p);
	peer_close(&p);
}

static void lost_while_waiting(void **state)
{
	struct peer p = {0};

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	p.cmdsn++;
	manage(&p, TMF_LUN_RESET, 0, TAG_NONE, 0);
	iscsi_cancel_all(p.i);
	assert_int_equal(iscsi_tasks_running(p.i), 0);
	peer_close(&p);
}

/* Another session reset a LUN: with FastAbort, and with tasks there, the initiator is told. */
static const struct {
	const char *why;
	const char *keys;
	size_t len;
	uint8_t lun;
	bool told;
} fast[] = {
	{"4.2.3.4 FastAbort: who has tasks of the LUN is told, once", KEYS(FAST_ABORT), 1, true},
	{"4.2.3.4 FastAbort: who has no tasks of the LUN is told nothing", KEYS(FAST_ABORT), 2,
	 false},
	{"11.9.1 without FastAbort nobody is told", KEYS("TaskReporting=ResponseFence,RFC3720"), 1,
	 false},
	{"13.23 TaskReporting that was not offered is RFC3720", KEYS(KEYS_USUAL), 1, false},
};

static void reset_by_another(void **state)
{
	const typeof(fast[0]) *row = *state;
	const uint8_t lun[8] = {0, row->lun};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0};
	struct reply r;

	peer_up(&p, row->keys, row->len);
	(void)park(&p, 0);
	(void)park(&p, 1);
	(void)park(&p, 1);
	iscsi_abort_lun(p.i, lun);
	peer_drain(&p);
	if (row->told) {
		peer_expect(&p, &r, OP_ASYNC);
		assert_int_equal(r.bhs[36], 5);
		assert_memory_equal(r.bhs + BHS_LUN, lun, 8);
		assert_int_equal(reply_u32(&r, BHS_ITT), TAG_NONE);
		nop_bhs(&p, bhs, true); /* its acknowledgment */
		bhs_u32(bhs, BHS_ITT, TAG_NONE);
		memcpy(bhs + BHS_LUN, lun, 8);
		assert_true(peer_send(&p, bhs, NULL, 0));
	}
	peer_expect_none(&p);
	assert_int_equal(p.parked_count, row->lun == 1 ? 1 : 3);
	peer_alive(&p);
	peer_close(&p);
}

static void asker_is_not_told(void **state)
{
	struct peer p = {0};

	(void)state;
	peer_up(&p, KEYS(FAST_ABORT));
	(void)park(&p, 0);
	manage(&p, TMF_LUN_RESET, 0, TAG_NONE, 0);
	expect_verdict(&p, COMPLETE);
	peer_expect_none(&p);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, missing, missing_command);
	tests_add(&t, "4.2.3.3 the answer waits for the last missing command", several_missing,
		  NULL);
	tests_add(&t, "4.2.3.3 tasks that are there end at once, whatever is missing",
		  present_ones_end_at_once, NULL);
	tests_add(&t, "4.2.3.3 aborting the missing command ends the wait", gap_is_plugged, NULL);
	tests_add(&t, "4.2.3.3 TARGET WARM RESET plugs what is missing, and answers at once",
		  target_reset_plugs, NULL);
	tests_add(&t, "4.2.2.1 P6: LOGICAL UNIT RESET with a CmdSN beyond the window", wild_cmdsn,
		  (void *)TMF_LUN_RESET);
	tests_add(&t, "4.2.2.1 P6: TARGET WARM RESET with a CmdSN beyond the window", wild_cmdsn,
		  (void *)TMF_TARGET_WARM_RESET);
	tests_add(&t, "10.7 late data of a write that ended in its turn is dropped in silence",
		  late_data, NULL);
	tests_add(&t, "4.2.3.3 a connection that is lost meanwhile waits for nothing",
		  lost_while_waiting, NULL);
	TESTS_ADD_TABLE(&t, fast, reset_by_another);
	tests_add(&t, "4.2.3.4 FastAbort: the connection that asks is told by the answer alone",
		  asker_is_not_told, NULL);
	return tests_run(&t, "iscsi abort set");
}

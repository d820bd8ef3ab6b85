/* Task management and its record: what is told of each request, and that nothing of it is carried
 * out before the host says that it is on record. */
#include "tests/protocol/iscsi_manage.h"

static const struct row {
	const char *why;
	uint8_t function, lun, response;
	unsigned left; /* of three tasks: two on LUN 0, one on LUN 1 */
	bool spreads;
} rows[] = {
	{"P2: 11.5 ABORT TASK ends nothing before it is recorded", TMF_ABORT_TASK, 0, COMPLETE, 2,
	 false},
	{"P2: 11.5 ABORT TASK SET ends nothing before it is recorded", TMF_ABORT_TASK_SET, 0,
	 COMPLETE, 1, false},
	{"P2: 11.5 CLEAR TASK SET ends nothing before it is recorded", TMF_CLEAR_TASK_SET, 0,
	 COMPLETE, 1, false},
	{"P2: 11.5 LOGICAL UNIT RESET ends nothing, and nobody is told, before it is recorded",
	 TMF_LUN_RESET, 0, COMPLETE, 1, true},
	{"P2: 11.5 TARGET WARM RESET ends nothing, and nobody is told, before it is recorded",
	 TMF_TARGET_WARM_RESET, 0, COMPLETE, 0, true},
	{"P2: 11.5 TARGET COLD RESET ends nothing, and nobody is told, before it is recorded",
	 TMF_TARGET_COLD_RESET, 0, COMPLETE, 0, true},
};

static void up(struct peer *p, uint32_t *ret_tag)
{
	peer_up(p, KEYS(KEYS_USUAL));
	(void)park(p, 1);
	*ret_tag = park(p, 0);
	(void)park(p, 0);
}

static void waits(void **state)
{
	const struct row *row = *state;
	struct peer p = {.manage_result = 1};
	uint32_t tag;

	up(&p, &tag);
	manage(&p, row->function, row->lun, tag, 0);
	assert_int_equal(p.manages, 1);
	assert_int_equal(p.managed.function, row->function);
	assert_int_equal(p.managed.itt, tag);
	assert_int_equal(p.managed.response, 0);
	peer_expect_none(&p);
	assert_int_equal(p.cancels, 0);
	assert_int_equal(p.spreads, 0);
	assert_true(iscsi_tmf_recorded(p.i, p.managed.slot, true));
	peer_drain(&p);
	expect_verdict(&p, COMPLETE);
	assert_int_equal(p.cancels, 3 - row->left);
	assert_int_equal(p.spreads, row->spreads);
	peer_close(&p);
}

static void rejected_at_once(void **state)
{
	const struct row *row = *state;
	struct peer p = {.manage_result = -EBUSY};
	uint32_t tag;

	up(&p, &tag);
	manage(&p, row->function, row->lun, tag, 0);
	expect_verdict(&p, REJECTED);
	assert_int_equal(p.cancels + p.spreads, 0);
	peer_alive(&p);
	peer_close(&p);
}

static void rejected_later(void **state)
{
	const struct row *row = *state;
	struct peer p = {.manage_result = 1};
	uint32_t tag;

	up(&p, &tag);
	manage(&p, row->function, row->lun, tag, 0);
	assert_false(iscsi_tmf_recorded(p.i, p.managed.slot, false));
	peer_drain(&p);
	expect_verdict(&p, REJECTED);
	assert_int_equal(p.cancels + p.spreads, 0);
	peer_alive(&p);
	peer_close(&p);
}

static void lost_meanwhile(void **state)
{
	const struct row *row = *state;
	struct peer p = {.manage_result = 1};
	uint32_t tag;

	up(&p, &tag);
	manage(&p, row->function, row->lun, tag, 0);
	iscsi_cancel_all(p.i);
	assert_int_equal(iscsi_tasks_running(p.i), 1);
	assert_false(iscsi_tmf_recorded(p.i, p.managed.slot, true));
	assert_int_equal(iscsi_tasks_running(p.i), 0);
	assert_int_equal(p.spreads, 0);
	peer_close(&p);
}

/* The place of a task that ended by itself may be another's when the request is carried out. */
static void others_are_spared(void **state)
{
	struct peer p = {.manage_result = 1};
	struct reply r;
	uint32_t tag;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	tag = park(&p, 0);
	manage(&p, TMF_ABORT_TASK, 0, tag, 0);
	peer_respond(&p, p.parked[--p.parked_count], 0, 0, 0);
	peer_drain(&p);
	peer_expect(&p, &r, OP_SCSI_RESPONSE);
	for (unsigned n = 0; n < 3; n++)
		(void)park(&p, 0);
	assert_true(iscsi_tmf_recorded(p.i, p.managed.slot, true));
	peer_drain(&p);
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	assert_int_equal(r.bhs[2], COMPLETE);
	assert_int_equal(p.cancels, 0);
	assert_int_equal(p.parked_count, 3);
	peer_close(&p);
}

/* Commands that come while it waits are none of its own. */
static void later_ones_are_spared(void **state)
{
	struct peer p = {.manage_result = 1};
	struct reply r;
	uint32_t tag;

	(void)state;
	up(&p, &tag);
	manage(&p, TMF_LUN_RESET, 0, TAG_NONE, 0);
	(void)park(&p, 0);
	assert_true(iscsi_tmf_recorded(p.i, p.managed.slot, true));
	peer_drain(&p);
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	assert_int_equal(p.cancels, 2);
	assert_int_equal(p.parked_count, 2);
	peer_close(&p);
}

static const struct refused_row {
	const char *why;
	uint8_t function, lun, response;
} refused_rows[] = {
	{"11.5 a reset of a LUN that is not there is on record, with its response", TMF_LUN_RESET,
	 7, NO_LUN},
	{"11.5 a function that is none is on record", 127, 0, NOT_SUPPORTED},
	{"11.5 an abort of no task is on record", TMF_ABORT_TASK, 1, NO_TASK},
};

static void refused_is_told(void **state)
{
	const struct refused_row *row = *state;
	struct peer p = {.manage_result = 1};
	uint32_t tag;

	up(&p, &tag);
	manage(&p, row->function, row->lun, tag, 0);
	assert_int_equal(p.managed.response, row->response);
	assert_int_equal(p.managed.function, row->function);
	expect_verdict(&p, row->response);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, rows, waits);
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		tests_add(&t, "P4: 11.5 … and is rejected when there can't be a record",
			  rejected_at_once, &rows[k]);
		tests_add(&t, "P4: 11.5 … or when the audit is gone while it waits", rejected_later,
			  &rows[k]);
		tests_add(&t, "11.5 … and is not carried out when the session is lost meanwhile",
			  lost_meanwhile, &rows[k]);
	}
	tests_add(&t, "11.5 a task that ends by itself meanwhile takes nobody with it",
		  others_are_spared, NULL);
	tests_add(&t, "11.5 commands that come while a reset waits are not ended by it",
		  later_ones_are_spared, NULL);
	TESTS_ADD_TABLE(&t, refused_rows, refused_is_told);
	return tests_run(&t, "iscsi recorded");
}

/* A unit that fails for one session fails for all: two sessions, the real court between them. */
#include "gateway/scsi/shared.h"
#include "tests/unit/scsi_rig.h"
#include "gateway/scsi/sense.h"

static const struct rig_command sync_all = {{0x35}, .edtl = 0}, ready = {{0}, .edtl = 0},
				read_one = {
					{0x28, 0, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .read = true};

static struct scsi_nexus other;

static void begin(void **state)
{
	rig_open(state);
	rig_open_peer(1, &other);
	rig_share();
}

static void end(void)
{
	scsi_nexus_close(&other);
	rig_close();
}

static unsigned others_sense(const struct rig_command *c)
{
	struct scsi_task task;

	rig_prepare(&task, c);
	task.nexus = &other;
	rig->dones = 0;
	if (scsi_begin(&task) != SCSI_DONE)
		fail_msg("it is not refused");
	if (task.status == SCSI_GOOD)
		return 0;
	return (unsigned)(task.sense[2] << 16) | rig_code(&task);
}

static void sync_fails(void)
{
	rig->results[rig->ended] = -EIO;
	assert_int_equal(rig_run(&sync_all)->status, SCSI_CHECK_CONDITION);
	rig_share();
}

static void everybody(void **state)
{
	begin(state);
	assert_int_equal(others_sense(&ready), 0);
	sync_fails();
	assert_int_equal(others_sense(&ready), 0x30c00);
	assert_int_equal(others_sense(&read_one), 0x30c00);
	assert_int_equal(rig->failures, 1); /* told of by the one that saw it */
	end();
}

static void who_comes_later(void **state)
{
	rig_open(state);
	sync_fails();
	rig_open_peer(1, &other);
	assert_int_equal(others_sense(&ready), 0x30c00);
	end();
}

static void both_see_it(void **state)
{
	begin(state);
	other.luns[0].failed = EIO;
	assert_int_equal(others_sense(&ready), 0x30c00); /* it is told again, since nobody knows */
	sync_fails();
	assert_int_equal(rig->keeps, 1);
	court_clear(&rig->court, 0, false, rig->nexus.now_ms);
	rig_share();
	assert_int_equal(others_sense(&ready), 0x62800);
	assert_int_equal(others_sense(&ready), 0);
	end();
}

static void cleared(void **state)
{
	begin(state);
	sync_fails();
	assert_int_equal(others_sense(&ready), 0x30c00);
	court_clear(&rig->court, 0, false, rig->nexus.now_ms);
	rig_share();
	assert_int_equal(others_sense(&read_one), 0x62800);
	assert_int_equal(others_sense(&ready), 0);
	assert_int_equal(rig_code(rig_run(&ready)), 0x2800);
	assert_int_equal(rig_run(&read_one)->status, SCSI_GOOD);
	end();
}

static void damaged(void **state)
{
	begin(state);
	court_record(&rig->court, 0)->state.failed = EBADMSG;
	rig_reset_by(1); /* so that it is published */
	rig_share();
	(void)rig_run(&ready); /* the reset's unit attention */
	assert_int_equal(rig_code(rig_run(&ready)), 0x0403);
	assert_int_equal(rig_run(&read_one)->sense[2], KEY_NOT_READY);
	end();
}

static void read_only(void **state)
{
	begin(state);
	rig->nexus.luns[0].writable = false;
	rig->check_result = -ESTALE;
	assert_int_equal(rig_code(rig_run(&ready)), 0x0403);
	rig_share();
	rig->check_result = 0;
	assert_int_equal(others_sense(&ready), 0);
	assert_int_equal(rig->keeps, 0);
	end();
}

/* The order was out when the arbiter died: the next one is told, once it knows nothing of it. */
static void arbiter_dies(void **state)
{
	struct arbiter_order order;

	begin(state);
	rig->results[rig->ended] = -EIO;
	assert_int_equal(rig_run(&sync_all)->status, SCSI_CHECK_CONDITION);
	assert_true(scsi_order_next(&rig->nexus, &order));
	assert_int_equal(order.kind, ORDER_FAILED);
	scsi_order_sent(&rig->nexus);
	assert_false(scsi_order_next(&rig->nexus, &order));
	scsi_arbiter_changed(&rig->nexus);
	rig_share();
	assert_int_equal(rig->keeps, 1);
	assert_int_equal(others_sense(&ready), 0x30c00);
	end();
}

/* A task's order that was not sent is not out because the arbiter is told of a failure. */
static void failure_alone_is_out(void **state)
{
	static const struct rig_command reserve = {.cdb = {0x16}};
	struct scsi_task task;
	struct arbiter_order order;

	begin(state);
	rig->results[rig->ended] = -EIO;
	rig_prepare(&task, &reserve);
	assert_int_equal(scsi_begin(&task), SCSI_RUNNING);
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	shared_tell_failed(&rig->nexus, &rig->nexus.luns[0]);
	assert_true(scsi_order_next(&rig->nexus, &order));
	assert_int_equal(order.kind, ORDER_FAILED);
	scsi_order_sent(&rig->nexus);
	assert_true(task.orders);
	assert_true(scsi_cancel(&task));
	end();
}

static const struct {
	const char *why;
	CMUnitTestFunction run;
} rows[] = {
	{"P4: a failed sync ends the unit for every session at once", everybody},
	{"P4: a failed sync ends the unit for sessions to come", who_comes_later},
	{"two sessions that see it fail tell of one failure", both_see_it},
	{"cleared, both go on, and hear that the medium may have changed", cleared},
	{"a damaged journal is NOT READY, manual intervention required", damaged},
	{"P3: who may only read makes the disk fail for nobody else", read_only},
	{"P4: an arbiter that dies with the order is replaced by one that is told", arbiter_dies},
	{"a task whose order was not sent is over at once, whatever else is out",
	 failure_alone_is_out},
};

int main(void)
{
	static struct tests t;

	for (size_t k = 0; k < ARRAY_LEN(rows); k++)
		tests_add(&t, rows[k].why, rows[k].run, NULL);
	return tests_run(&t, "scsi");
}

/* A unit that others share: what the gate admits while the arbiter excludes somebody or is
 * away, and the unit attention after a reset. The test plays the arbiter. */
#include "tests/unit/scsi_rig.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"

static const struct rig_command
	read_one = {{0x28, 0, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .read = true},
	write_one = {{0x2a, 0, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .write = true},
	ready = {{0}, .edtl = 0}, unknown = {{0xff}, .edtl = 0},
	bad_field = {{0x28, 0x20, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .read = true},
	inquiry = {{0x12, 0, 0, 0, 96}, .edtl = 96, .read = true},
	report_luns = {{0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0}, .edtl = 256, .read = true},
	sense_18 = {{0x03, 0, 0, 0, 18}, .edtl = 18, .read = true},
	sense_0 = {{0x03, 0, 0, 0, 0}, .edtl = 0},
	sense_8 = {{0x03, 1, 0, 0, 18}, .edtl = 18, .read = true};

static void begin(struct scsi_task *task, const struct rig_command *c, enum scsi_step want)
{
	rig_prepare(task, c);
	assert_int_equal(scsi_begin(task), want);
	if (want == SCSI_WANT_DATA || want == SCSI_WANT_BUFFER)
		rig_give_buffer(task);
}

static unsigned in_flight(void)
{
	const struct arbiter_own_lun *own = &rig->seats[0].own.luns[0];

	return atomic_load(&own->in_flight[0]) + atomic_load(&own->in_flight[1]);
}

static struct scsi_nexus other;

/* Somebody else resets the disk of LUN 0. */
static void reset(void)
{
	rig_reset_by(1);
}

static void arbiter_dies(void)
{
	memset(rig->shared->generations, 0, sizeof rig->shared->generations);
}

static void arbiter_left(void)
{
	arbiter_view_detach(&rig->seats[0].view);
}

/* --- in flight --- */

static void counted(void **state)
{
	struct scsi_task task;

	rig_open(state);
	begin(&task, &write_one, SCSI_WANT_DATA);
	assert_int_equal(in_flight(), 0); /* an initiator that sends no data keeps nobody up */
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	assert_int_equal(in_flight(), 1);
	rig_reap();
	rig->dones = 0;
	assert_int_equal(in_flight(), 0);
	begin(&task, &read_one, SCSI_WANT_BUFFER);
	assert_true(scsi_cancel(&task));
	assert_int_equal(in_flight(), 0);
	assert_int_equal(rig_run(&ready)->status, SCSI_GOOD);
	assert_int_equal(rig_run(&bad_field)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig->nexus.luns[0].begun, 0);
	rig_close();
}

static void cancelled_running(void **state)
{
	struct scsi_task task;

	rig_open(state);
	begin(&task, &write_one, SCSI_WANT_DATA);
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	assert_false(scsi_cancel(&task));
	assert_int_equal(in_flight(), 1); /* until its I/O is over */
	rig_reap();
	assert_int_equal(in_flight(), 0);
	rig_close();
}

static const struct {
	const char *why;
	void (*change)(void);
} closings[] = {
	{"P4: nothing is admitted while the arbiter's page is empty", arbiter_dies},
	{"P4: nothing is admitted without an arbiter", arbiter_left},
};

static void closed(void **state)
{
	static const struct rig_command *const all[] = {&read_one, &write_one, &ready, &inquiry};
	const __typeof__(closings[0]) *row = *state;
	struct scsi_task task, waiting;

	rig_open(NULL);
	rig_add_lun(1, true);
	begin(&waiting, &write_one, SCSI_WANT_DATA);
	row->change();
	for (size_t k = 0; k < ARRAY_LEN(all); k++) {
		begin(&task, all[k], SCSI_DONE);
		assert_int_equal(task.status, SCSI_BUSY);
	}
	/* admitted before, and its data comes only now */
	assert_int_equal(scsi_data_arrived(&waiting), SCSI_DONE);
	assert_int_equal(waiting.status, SCSI_BUSY);
	assert_int_equal(rig_last(0)->verdict, VERDICT_NOT_EXECUTED);
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(in_flight(), 0);
	rig_close();
}

static void other_unit(void **state)
{
	struct rig_command c = read_one;

	rig_open(state);
	rig_add_lun(1, true);
	rig_open_peer(1, &other);
	reset();
	c.lun[1] = 1;
	assert_int_equal(rig_run(&c)->status, SCSI_GOOD);
	scsi_nexus_close(&other);
	rig_close();
}

/* The host ends the tasks that somebody's reset found, later in its turn. */
static void closed_by_reset(void **state)
{
	struct scsi_task task, waiting;

	rig_open(state);
	rig_open_peer(1, &other);
	begin(&waiting, &write_one, SCSI_WANT_DATA);
	reset();
	begin(&task, &inquiry, SCSI_DONE);
	assert_int_equal(task.status, SCSI_BUSY);
	assert_int_equal(rig->seats[0].to_end, 1);
	/* SAM-5: the reset ended it, so there is nothing to answer, not even BUSY */
	assert_int_equal(scsi_data_arrived(&waiting), SCSI_RUNNING);
	scsi_shared_turn(&rig->nexus);
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig->dones, 0);
	assert_true(scsi_cancel(&waiting));
	assert_int_equal(rig_last(0)->verdict, VERDICT_NOT_EXECUTED);
	scsi_tasks_ended(&rig->nexus, 0);
	assert_int_equal(rig_run(&ready)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_run(&ready)->status, SCSI_GOOD);
	scsi_nexus_close(&other);
	rig_close();
}

/* Without tasks there is nothing to end. */
static void open_after_reset(void **state)
{
	rig_open(state);
	rig_open_peer(1, &other);
	reset();
	assert_int_equal(rig->seats[1].resets_done, 1);
	assert_int_equal(rig_run(&inquiry)->status, SCSI_GOOD);
	assert_int_equal(rig->seats[0].to_end, 0);
	scsi_nexus_close(&other);
	rig_close();
}

/* P4: a request that is at the backend is waited for. */
static void reset_waits(void **state)
{
	struct scsi_task task;

	rig_open(state);
	rig_open_peer(1, &other);
	begin(&task, &write_one, SCSI_WANT_DATA);
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	reset();
	assert_int_equal(rig->seats[1].resets_done, 0);
	rig_share();
	assert_int_equal(rig->seats[1].resets_done, 0);
	rig_reap();
	rig_share();
	assert_int_equal(rig->seats[1].resets_done, 1);
	scsi_nexus_close(&other);
	rig_close();
}

/* --- exclusive ranges --- */

static enum scsi_step alone(struct scsi_task *task)
{
	task->stage = 7;
	return SCSI_RUNNING;
}

/* A write of somebody else within the range waits until its holder ends; one beside it does not. */
static void range_parks_others(void **state)
{
	struct rig_command beside = write_one;
	struct scsi_task holder, inside;

	rig_open(state);
	rig_open_peer(1, &other);
	rig_prepare(&holder, &write_one);
	holder.nexus = &other;
	assert_int_equal(scsi_begin(&holder), SCSI_WANT_DATA);
	assert_int_equal(range_take(&holder, alone), SCSI_RUNNING);
	rig_share();
	assert_int_equal(holder.stage, 7);
	begin(&inside, &write_one, SCSI_WANT_DATA);
	assert_int_equal(scsi_data_arrived(&inside), SCSI_RUNNING);
	rig_share();
	assert_int_equal(rig->submitted, 0);
	beside.cdb[5] = 6;
	assert_int_equal(rig_run(&beside)->status, SCSI_GOOD);
	assert_int_equal(rig->submitted, 1);
	assert_true(scsi_cancel(&holder));
	rig_share();
	assert_int_equal(rig->submitted, 2);
	rig_reap();
	assert_int_equal(inside.status, SCSI_GOOD);
	scsi_nexus_close(&other);
	rig_close();
}

/* A read that ends within the range's block reaches that block as well. */
static void range_parks_parts(void **state)
{
	static const struct rig_command part = {
		{0x28, 0, 0, 0, 0, 4, 0, 0, 2}, .edtl = 513, .read = true};
	struct rig_command beside = part;
	struct scsi_task holder, inside;
	uint8_t cdb[16];

	rig_open(state);
	rig_open_peer(1, &other);
	rig_prepare(&holder, &write_one);
	memcpy(cdb, write_one.cdb, sizeof cdb);
	holder.cdb = cdb;
	holder.nexus = &other;
	assert_int_equal(scsi_begin(&holder), SCSI_WANT_DATA);
	assert_int_equal(range_take(&holder, alone), SCSI_RUNNING);
	rig_share();
	beside.edtl = 512;
	assert_int_equal(rig_run(&beside)->status, SCSI_GOOD);
	begin(&inside, &part, SCSI_WANT_BUFFER);
	assert_int_equal(scsi_buffer_ready(&inside), SCSI_RUNNING);
	rig_share();
	assert_int_equal(rig->submitted, 1);
	assert_true(scsi_cancel(&holder));
	rig_share();
	assert_int_equal(rig->submitted, 2);
	rig_reap();
	assert_int_equal(inside.data_len, 513);
	scsi_nexus_close(&other);
	rig_close();
}

/* Whoever aborts more than it may have at once, while no order can be sent. */
static void range_never_asked(void **state)
{
	struct scsi_task asked[ARBITER_RANGES_EACH], task;
	struct arbiter_order order;

	rig_open(state);
	for (unsigned k = 0; k < ARBITER_RANGES_EACH; k++) {
		begin(&asked[k], &write_one, SCSI_WANT_DATA);
		assert_int_equal(range_take(&asked[k], alone), SCSI_RUNNING);
		scsi_order_sent(&rig->nexus);
		rig_audit();
	}
	for (unsigned k = 0; k <= SCSI_DROPS_MAX; k++) {
		begin(&task, &write_one, SCSI_WANT_DATA);
		assert_int_equal(range_take(&task, alone), SCSI_RUNNING);
		assert_true(scsi_cancel(&task));
		rig_audit();
	}
	assert_false(scsi_order_next(&rig->nexus, &order));
	assert_int_equal(rig->nexus.drop_count, 0);
	assert_ptr_equal(rig->nexus.holders, &asked[ARBITER_RANGES_EACH - 1]);
	rig_close();
}

static void answer_is_awaited(void **state)
{
	static const struct rig_command reserve = {.cdb = {0x16}};
	struct arbiter_order order;
	struct scsi_task task;

	rig_open(state);
	rig_prepare(&task, &reserve);
	assert_int_equal(scsi_begin(&task), SCSI_RUNNING);
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	assert_true(scsi_order_next(&rig->nexus, &order));
	assert_int_equal(rig->seats[0].own.awaits, order.id);
	rig_share();
	assert_int_equal(task.status, SCSI_GOOD);
	assert_int_equal(rig->seats[0].own.awaits, 0);
	rig_close();
}

/* An order for a range may be waited for long; what its session asks for beside it is not. */
static void order_passes_range(void **state)
{
	static const struct rig_command reserve = {.cdb = {0x16}};
	struct scsi_task holder, waiter;

	rig_open(state);
	rig_open_peer(1, &other);
	rig_prepare(&holder, &write_one);
	holder.nexus = &other;
	assert_int_equal(scsi_begin(&holder), SCSI_WANT_DATA);
	assert_int_equal(range_take(&holder, alone), SCSI_RUNNING);
	rig_share();
	begin(&waiter, &write_one, SCSI_WANT_DATA);
	assert_int_equal(range_take(&waiter, alone), SCSI_RUNNING);
	rig_share();
	assert_true(shared_order_is_out(&waiter));
	assert_int_equal(rig_run(&reserve)->status, SCSI_GOOD);
	assert_int_equal(waiter.stage, 0);
	assert_true(scsi_cancel(&holder));
	rig_share();
	assert_int_equal(waiter.stage, 7);
	assert_true(scsi_cancel(&waiter));
	scsi_nexus_close(&other);
	rig_close();
}

/* The holder's session dies: its range goes with it. */
static void range_of_the_dead(void **state)
{
	struct scsi_task holder, inside;

	rig_open(state);
	rig_open_peer(1, &other);
	rig_prepare(&holder, &write_one);
	holder.nexus = &other;
	assert_int_equal(scsi_begin(&holder), SCSI_WANT_DATA);
	assert_int_equal(range_take(&holder, alone), SCSI_RUNNING);
	rig_share();
	begin(&inside, &write_one, SCSI_WANT_DATA);
	assert_int_equal(scsi_data_arrived(&inside), SCSI_RUNNING);
	rig->seats[1].nexus = NULL;
	court_over(&rig->court, &rig->seats[1].member, 2000);
	rig_share();
	assert_int_equal(rig->submitted, 1);
	rig_reap();
	assert_true(scsi_cancel(&holder));
	scsi_nexus_close(&other);
	rig_close();
}

/* What runs in the range is waited for before it is granted. */
static void range_waits(void **state)
{
	struct scsi_task holder, inside;

	rig_open(state);
	rig_open_peer(1, &other);
	begin(&inside, &write_one, SCSI_WANT_DATA);
	assert_int_equal(scsi_data_arrived(&inside), SCSI_RUNNING);
	rig_prepare(&holder, &write_one);
	holder.nexus = &other;
	assert_int_equal(scsi_begin(&holder), SCSI_WANT_DATA);
	assert_int_equal(range_take(&holder, alone), SCSI_RUNNING);
	rig_share();
	assert_int_equal(holder.stage, 0);
	rig_reap();
	rig_share();
	assert_int_equal(holder.stage, 7);
	assert_true(scsi_cancel(&holder));
	scsi_nexus_close(&other);
	rig_close();
}

/* --- the unit attention --- */

static const struct {
	const char *why;
	const struct rig_command *c;
	bool tells, clears; /* tells: is not carried out; clears: it was told */
} attentions[] = {
	{"TEST UNIT READY tells the reset", &ready, true, true},
	{"a write tells the reset, and writes nothing", &write_one, true, true},
	{"an unknown command tells the reset", &unknown, true, true},
	{"a bad field tells the reset", &bad_field, true, true},
	{"INQUIRY goes before the reset", &inquiry, false, false},
	{"REPORT LUNS goes before the reset", &report_luns, false, false},
	{"REQUEST SENSE tells the reset as data", &sense_18, false, true},
	{"REQUEST SENSE tells the reset as descriptor", &sense_8, false, true},
	{"REQUEST SENSE without room tells nothing", &sense_0, false, false},
};

static void attention(void **state)
{
	const __typeof__(attentions[0]) *row = *state;
	const struct scsi_task *task;

	rig_open(NULL);
	attention_raise(&rig->nexus.luns[0], SENSE_BUS_DEVICE_RESET);
	task = rig_run(row->c);
	assert_int_equal(task->status, row->tells ? SCSI_CHECK_CONDITION : SCSI_GOOD);
	if (row->tells) {
		assert_int_equal(task->sense[2], KEY_UNIT_ATTENTION);
		assert_int_equal(rig_code(task), 0x2903);
		assert_int_equal(rig_last(0)->sense_key, KEY_UNIT_ATTENTION);
		assert_int_equal(rig_last(0)->verdict, VERDICT_REFUSED);
	}
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig_run(&ready)->status, row->clears ? SCSI_GOOD : SCSI_CHECK_CONDITION);
	assert_int_equal(rig_run(&ready)->status, SCSI_GOOD);
	rig_close();
}

static void sense_data(void **state)
{
	rig_open(state);
	attention_raise(&rig->nexus.luns[0], SENSE_BUS_DEVICE_RESET);
	assert_int_equal(rig_run(&sense_18)->data_len, 18);
	assert_int_equal(rig->buffer[2], KEY_UNIT_ATTENTION);
	assert_int_equal(get_be(rig->buffer + 12, 2), 0x2903);
	rig_run(&sense_18);
	assert_int_equal(rig->buffer[2], KEY_NO_SENSE);
	rig_close();
}

static void attention_of_one_unit(void **state)
{
	struct rig_command c = ready;

	rig_open(state);
	rig_add_lun(1, true);
	attention_raise(&rig->nexus.luns[1], SENSE_BUS_DEVICE_RESET);
	assert_int_equal(rig_run(&c)->status, SCSI_GOOD);
	c.lun[1] = 1;
	assert_int_equal(rig_run(&c)->status, SCSI_CHECK_CONDITION);
	rig_close();
}

static void attention_without_a_record(void **state)
{
	rig_open(state);
	attention_raise(&rig->nexus.luns[0], SENSE_BUS_DEVICE_RESET);
	atomic_store(&rig->page->state, AUDIT_CANNOT_WRITE);
	assert_int_equal(rig_run(&ready)->status, SCSI_BUSY);
	atomic_store(&rig->page->state, AUDIT_WRITING);
	assert_int_equal(rig_run(&ready)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_run(&ready)->status, SCSI_GOOD);
	rig_close();
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "a command is in flight while the backend has its request", counted, NULL);
	tests_add(&t, "P4: a cancelled command is in flight until its I/O is over",
		  cancelled_running, NULL);
	TESTS_ADD_TABLE(&t, closings, closed);
	tests_add(&t, "another disk's reset disturbs nobody", other_unit, NULL);
	tests_add(&t, "P4: after another's reset nothing is admitted until the tasks are ended",
		  closed_by_reset, NULL);
	tests_add(&t, "a unit without tasks stays open after another's reset", open_after_reset,
		  NULL);
	tests_add(&t, "P4: a reset waits for what the backend has", reset_waits, NULL);
	tests_add(&t, "an exclusive range keeps who reaches a part of it waiting",
		  range_parks_parts, NULL);
	tests_add(&t, "an exclusive range keeps others waiting, and only there", range_parks_others,
		  NULL);
	tests_add(&t, "P4: an order's answer is awaited before the order goes out",
		  answer_is_awaited, NULL);
	tests_add(&t, "what waits for blocks of somebody else's does not hold up other orders",
		  order_passes_range, NULL);
	tests_add(&t, "P6: ranges that nobody was asked for are not dropped either",
		  range_never_asked, NULL);
	tests_add(&t, "an exclusive range goes with its session", range_of_the_dead, NULL);
	tests_add(&t, "an exclusive range is granted when what runs there is over", range_waits,
		  NULL);
	TESTS_ADD_TABLE(&t, attentions, attention);
	tests_add(&t, "REQUEST SENSE tells a reset once", sense_data, NULL);
	tests_add(&t, "a unit attention is of one unit", attention_of_one_unit, NULL);
	tests_add(&t, "a unit attention that can't be recorded stays", attention_without_a_record,
		  NULL);
	return tests_run(&t, "scsi");
}

/* The gate: what is in the audit ring before, instead of, and after a command. */
#include "tests/unit/scsi_rig.h"

static const struct rig_command
	read_one = {{0x28, 0, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .read = true},
	write_one = {{0x2a, 0, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .write = true},
	write_fua = {{0x2a, 8, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .write = true},
	read_fua = {{0x28, 8, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .read = true},
	stop = {{0x1b}, .edtl = 0}, sync_all = {{0x35}, .edtl = 0},
	verify = {{0x2f, 0, 0, 0, 0, 0, 0, 1, 0x40}, .edtl = 0}, unknown = {{0xff}, .edtl = 0},
	ready = {{0}, .edtl = 0},
	bad_field = {{0x28, 0x20, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .read = true},
	both_ways = {{0x2a, 0, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .read = true, .write = true},
	no_lun = {{0x2a, 0, 0, 0, 0, 5, 0, 0, 1}, {0, 9}, .edtl = 512, .write = true},
	bad_lun = {{0}, {0x80, 9}, .edtl = 0},
	read_only = {{0x2a, 0, 0, 0, 0, 5, 0, 0, 1}, {0, 1}, .edtl = 512, .write = true};

static void begin(struct scsi_task *task, const struct rig_command *c, enum scsi_step want)
{
	rig_prepare(task, c);
	assert_int_equal(scsi_begin(task), want);
	if (want == SCSI_WANT_DATA || want == SCSI_WANT_BUFFER)
		rig_give_buffer(task);
}

static void is_busy_and_untouched(const struct rig_command *c)
{
	struct scsi_task task;
	uint64_t head = rig->ring.head;

	begin(&task, c, SCSI_DONE);
	assert_int_equal(task.status, SCSI_BUSY);
	assert_int_equal(task.sense_len, 0);
	assert_null(task.admission);
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig->ring.head, head);
}

static void record_precedes_backend(void **state)
{
	struct scsi_task task;
	const struct audit_record *r;

	rig_open(state);
	begin(&task, &write_one, SCSI_WANT_DATA);
	assert_int_equal(rig->ring.head, 1);
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	assert_int_equal(rig->submitted, 1);
	assert_int_equal(rig->log[0].records_before, 1);
	r = rig_record(0);
	assert_int_equal(r->kind, AUDIT_COMMAND);
	assert_int_equal(r->verdict, VERDICT_ADMITTED);
	assert_int_equal(r->lba, 5);
	assert_int_equal(r->blocks, 1);
	assert_int_equal(r->lun, 0);
	assert_int_equal(r->task_tag, 7);
	assert_int_equal(r->cdb_len, 16);
	assert_memory_equal(r->cdb, write_one.cdb, 16);
	assert_int_equal(r->wall_ns, rig->nexus.wall_ns);
	rig_reap();
	assert_int_equal(rig->ring.head, 1); /* GOOD needs no second record */
	rig_close();
}

static void nothing_runs_when(void (*break_it)(void))
{
	static const struct rig_command *const all[] = {&read_one,  &write_one, &sync_all,
							&verify,    &ready,	&unknown,
							&bad_field, &no_lun,	&stop};

	rig_open(NULL);
	break_it();
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		is_busy_and_untouched(all[i]);
	rig_close();
}

static void cannot_write(void)
{
	atomic_store(&rig->page->state, AUDIT_CANNOT_WRITE);
}

static void auditor_gone(void)
{
	fd_close(&rig->auditor_fd);
	assert_int_equal(audit_ring_woken(&rig->ring), -EPIPE);
}

static void auditor_slow(void)
{
	struct audit_record r = {0};

	assert_int_equal(audit_ring_put(&rig->ring, &r, rig->nexus.now_ms), 0);
	rig->nexus.now_ms += AUDIT_PATIENCE_MS;
}

static void ring_full(void)
{
	struct audit_record r = {0};

	while (audit_ring_free(&rig->ring) > 1)
		assert_int_equal(audit_ring_put(&rig->ring, &r, rig->nexus.now_ms), 0);
}

static const struct {
	const char *why;
	void (*break_it)(void);
} broken[] = {
	{"P2: nothing reaches the backend while the log can't be written", cannot_write},
	{"P2: nothing reaches the backend while the auditor is away", auditor_gone},
	{"P2: nothing reaches the backend while the auditor does not read", auditor_slow},
	{"P2: nothing reaches the backend without a slot for the outcome as well", ring_full},
};

static void is_broken(void **state)
{
	nothing_runs_when(((const __typeof__(broken[0]) *)*state)->break_it);
}

static void busy_is_counted(void **state)
{
	struct scsi_task task;

	rig_open(state);
	cannot_write();
	is_busy_and_untouched(&read_one);
	is_busy_and_untouched(&write_one);
	is_busy_and_untouched(&unknown);
	atomic_store(&rig->page->state, AUDIT_WRITING);
	begin(&task, &read_one, SCSI_WANT_BUFFER);
	assert_int_equal(rig->ring.head, 2);
	assert_int_equal(rig_record(0)->kind, AUDIT_OUTCOME);
	assert_int_equal(rig_record(0)->verdict, VERDICT_BUSY);
	assert_int_equal(rig_record(0)->blocks, 3);
	assert_int_equal(rig_record(0)->lun, 0xffff);
	assert_int_equal(rig_record(1)->verdict, VERDICT_ADMITTED);
	assert_true(scsi_cancel(&task));
	rig_close();
}

static const struct {
	const char *why;
	const struct rig_command *c;
	enum audit_verdict verdict;
	uint32_t rule_line;
	uint16_t lun;
	uint8_t key;
	uint16_t code;
} refusals[] = {
	{"an unknown command is refused and recorded", &unknown, VERDICT_REFUSED, 0, 0, 5, 0x2000},
	{"a bad field is refused and recorded", &bad_field, VERDICT_REFUSED, 0, 0, 5, 0x2400},
	{"data both ways is refused and recorded", &both_ways, VERDICT_REFUSED, 0, 0, 5, 0x0e03},
	{"a LUN that is not there is refused and recorded", &no_lun, VERDICT_REFUSED, 0, 9, 5,
	 0x2500},
	{"a LUN that can't be written is recorded as none", &bad_lun, VERDICT_REFUSED, 0, 0xffff, 5,
	 0x2500},
	{"P1: a write to a read-only LUN is denied, with the rule's line", &read_only,
	 VERDICT_DENIED, 42, 1, 7, 0x2700},
};

static void refusal(void **state)
{
	const __typeof__(refusals[0]) *row = *state;
	struct scsi_task task;
	const struct audit_record *r;

	rig_open(NULL);
	rig_add_lun(1, false);
	begin(&task, row->c, SCSI_DONE);
	assert_int_equal(task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(task.sense[2], row->key);
	assert_int_equal(rig_code(&task), row->code);
	assert_int_equal(rig->ring.head, 1);
	assert_int_equal(rig->submitted, 0);
	r = rig_record(0);
	assert_int_equal(r->kind, AUDIT_COMMAND);
	assert_int_equal(r->verdict, row->verdict);
	assert_int_equal(r->rule_line, row->rule_line);
	assert_int_equal(r->lun, row->lun);
	assert_int_equal(r->status, SCSI_CHECK_CONDITION);
	assert_int_equal(r->sense_key, row->key);
	assert_int_equal(r->asc << 8 | r->ascq, row->code);
	assert_memory_equal(r->cdb, row->c->cdb, 16);
	rig_close();
}

static void read_only_reads(void **state)
{
	struct rig_command c = read_one;

	rig_open(state);
	rig_add_lun(1, false);
	c.lun[1] = 1;
	assert_int_equal(rig_run(&c)->status, SCSI_GOOD);
	c = sync_all;
	c.lun[1] = 1;
	assert_int_equal(rig_run(&c)->status, SCSI_GOOD);
	rig_close();
}

static void writes_only(void **state)
{
	rig_open(state);
	rig->nexus.records.writes_only = true;
	assert_int_equal(rig_run(&read_one)->status, SCSI_GOOD);
	assert_int_equal(rig_run(&ready)->status, SCSI_GOOD);
	assert_int_equal(rig->ring.head, 0);
	assert_int_equal(rig_run(&write_one)->status, SCSI_GOOD);
	assert_int_equal(rig_run(&sync_all)->status, SCSI_GOOD);
	assert_int_equal(rig->ring.head, 2);
	assert_int_equal(rig_run(&bad_field)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig->ring.head, 3);
	cannot_write();
	rig->submitted = 0;
	is_busy_and_untouched(&read_one);
	rig_close();
}

static const struct {
	const char *why;
	const struct rig_command *c;
	enum scsi_step step;
} unsubmitted[] = {
	{"cancelled while its data is awaited: not executed", &write_one, SCSI_WANT_DATA},
	{"cancelled while its buffer is awaited: not executed", &read_one, SCSI_WANT_BUFFER},
};

static void cancel_early(void **state)
{
	const __typeof__(unsubmitted[0]) *row = *state;
	struct scsi_task task;

	rig_open(NULL);
	begin(&task, row->c, row->step);
	assert_true(scsi_cancel(&task));
	assert_int_equal(rig->ring.head, 2);
	assert_int_equal(rig_record(1)->kind, AUDIT_OUTCOME);
	assert_int_equal(rig_record(1)->verdict, VERDICT_NOT_EXECUTED);
	assert_memory_equal(rig_record(1)->cdb, row->c->cdb, 16);
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig->dones, 0);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
	assert_true(scsi_cancel(&task)); /* nothing more to forget */
	assert_int_equal(rig->ring.head, 2);
	rig_close();
}

static void cancel_while_broken(void **state)
{
	struct scsi_task task;

	rig_open(state);
	begin(&task, &write_one, SCSI_WANT_DATA);
	cannot_write();
	auditor_gone();
	is_busy_and_untouched(&read_one);
	assert_true(scsi_cancel(&task));
	assert_int_equal(rig->ring.head, 2);
	assert_int_equal(rig_record(1)->verdict, VERDICT_NOT_EXECUTED);
	scsi_nexus_close(&rig->nexus);
	assert_int_equal(rig->ring.head, 3);
	assert_int_equal(rig_record(2)->verdict, VERDICT_BUSY);
	rig_close();
}

static void cancel_running(void **state)
{
	struct scsi_task task;

	rig_open(state);
	begin(&task, &verify, SCSI_RUNNING);
	assert_false(scsi_cancel(&task));
	rig_reap();
	assert_int_equal(rig->submitted, 1); /* no further pieces */
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_TASK_ABORTED);
	assert_int_equal(rig_last(0)->verdict, VERDICT_FAILED);
	assert_int_equal(rig_last(0)->status, SCSI_TASK_ABORTED);
	rig_close();
}

static void cancel_queued_verify(void **state)
{
	struct scsi_task first, second, third;

	rig_open(state);
	begin(&first, &verify, SCSI_RUNNING);
	begin(&second, &verify, SCSI_RUNNING);
	begin(&third, &verify, SCSI_RUNNING);
	assert_int_equal(rig->queued, 1); /* one buffer, one request */
	assert_true(scsi_cancel(&second));
	assert_int_equal(rig_last(0)->verdict, VERDICT_NOT_EXECUTED);
	rig_reap();
	assert_int_equal(rig->dones, 2);
	assert_int_equal(first.status, SCSI_GOOD);
	assert_int_equal(third.status, SCSI_GOOD);
	assert_int_equal(rig->submitted, 6);
	rig_close();
}

static const struct {
	const char *why;
	const struct rig_command *c;
	bool with_data;
} promises[] = {
	{"P2: SYNCHRONIZE CACHE is not answered before the audit is durable", &sync_all, false},
	{"P2: a FUA write is not answered before the audit is durable", &write_fua, true},
	{"P2: a FUA read is not answered before the audit is durable", &read_fua, true},
};

/* Begins it, and lets all of its requests end. */
static void promise_kept_so_far(struct scsi_task *task, const __typeof__(promises[0]) *row)
{
	rig_prepare(task, row->c);
	if (row->with_data) {
		enum scsi_step step = scsi_begin(task);

		rig_give_buffer(task);
		step = step == SCSI_WANT_DATA ? scsi_data_arrived(task) : scsi_buffer_ready(task);
		assert_int_equal(step, SCSI_RUNNING);
	} else {
		assert_int_equal(scsi_begin(task), SCSI_RUNNING);
	}
	rig_reap();
	rig_audit(); /* taken, not durable */
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 0);
}

static void promise(void **state)
{
	struct scsi_task task;

	rig_open(NULL);
	promise_kept_so_far(&task, *state);
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_GOOD);
	assert_int_equal(rig->ring.head, 1);
	rig_close();
}

static void promise_busy(void **state)
{
	struct scsi_task task;

	rig_open(NULL);
	promise_kept_so_far(&task, *state);
	auditor_gone();
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_BUSY);
	assert_int_equal(task.data_len, 0);
	rig_close();
}

static void promise_cancelled(void **state)
{
	struct scsi_task task;

	rig_open(NULL);
	promise_kept_so_far(&task, *state);
	assert_true(scsi_cancel(&task));
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 0);
	assert_int_equal(rig_last(0)->verdict, VERDICT_FAILED);
	assert_int_equal(rig_last(0)->status, SCSI_TASK_ABORTED);
	rig_close();
}

static void plain_write_does_not_wait(void **state)
{
	struct scsi_task task;

	rig_open(state);
	begin(&task, &write_one, SCSI_WANT_DATA);
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	assert_false(rig->log[0].fua);
	rig_reap();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_GOOD);
	rig_close();
}

static void outcome_while_broken(void **state)
{
	struct scsi_task task;

	rig_open(state);
	begin(&task, &read_one, SCSI_WANT_BUFFER);
	assert_int_equal(scsi_buffer_ready(&task), SCSI_RUNNING);
	cannot_write();
	rig->results[0] = -EIO;
	rig_reap();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_CHECK_CONDITION); /* the truth, audit or not */
	assert_int_equal(rig->ring.head, 2);
	assert_int_equal(rig_last(0)->verdict, VERDICT_FAILED);
	assert_int_equal(rig_last(0)->sense_key, 3);
	assert_int_equal(rig_last(0)->asc, 0x11);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
	rig_close();
}

static void room_is_bounded(void **state)
{
	struct scsi_task tasks[RIG_ADMISSIONS];
	struct audit_record r = {0};

	rig_open(state);
	for (uint32_t i = 0; i < RIG_ADMISSIONS; i++) {
		assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS - i);
		begin(&tasks[i], &read_one, SCSI_WANT_BUFFER);
	}
	assert_int_equal(scsi_room(&rig->nexus), 0);
	is_busy_and_untouched(&read_one);
	for (uint32_t i = 0; i < RIG_ADMISSIONS; i++)
		assert_true(scsi_cancel(&tasks[i]));
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
	while (audit_ring_free(&rig->ring) > 5)
		assert_int_equal(audit_ring_put(&rig->ring, &r, rig->nexus.now_ms), 0);
	assert_int_equal(scsi_room(&rig->nexus), 2);
	begin(&tasks[0], &read_one, SCSI_WANT_BUFFER);
	assert_int_equal(scsi_room(&rig->nexus), 1);
	assert_true(scsi_cancel(&tasks[0]));
	rig_close();
}

static void engine_full(void **state)
{
	struct scsi_task task;

	rig_open(state);
	begin(&task, &read_one, SCSI_WANT_BUFFER);
	rig->submit_result = -EAGAIN;
	assert_int_equal(scsi_buffer_ready(&task), SCSI_DONE);
	assert_int_equal(task.status, SCSI_BUSY);
	assert_int_equal(rig_last(0)->verdict, VERDICT_NOT_EXECUTED);
	assert_int_equal(rig_last(0)->status, SCSI_BUSY);
	rig_close();
}

static void short_data(void **state)
{
	struct scsi_task task;

	rig_open(state);
	begin(&task, &write_one, SCSI_WANT_DATA);
	task.buffer_len = 511;
	assert_int_equal(scsi_data_arrived(&task), SCSI_DONE);
	assert_int_equal(task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(task.sense[2], 0x0b);
	assert_int_equal(rig->submitted, 0);
	rig_close();
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "P2: a command's record is in the ring before the backend has it",
		  record_precedes_backend, NULL);
	TESTS_ADD_TABLE(&t, broken, is_broken);
	tests_add(&t, "P2: what was not executed is recorded while the auditor is away, too",
		  cancel_while_broken, NULL);
	tests_add(&t, "P4: commands answered BUSY are counted in one record", busy_is_counted,
		  NULL);
	TESTS_ADD_TABLE(&t, refusals, refusal);
	tests_add(&t, "a read-only LUN is read and flushed", read_only_reads, NULL);
	tests_add(&t, "audit.commands: writes leaves reads out, but not refusals, nor the gate",
		  writes_only, NULL);
	TESTS_ADD_TABLE(&t, unsubmitted, cancel_early);
	tests_add(&t, "cancelled while it runs: done() is called, and the outcome is recorded",
		  cancel_running, NULL);
	tests_add(&t, "cancelled while it waits for VERIFY's buffer: not executed",
		  cancel_queued_verify, NULL);
	TESTS_ADD_TABLE(&t, promises, promise);
	tests_add(&t, "P4: a flush whose audit can't become durable is answered BUSY", promise_busy,
		  &promises[0]);
	tests_add(&t, "P4: a FUA write whose audit can't become durable is answered BUSY",
		  promise_busy, &promises[1]);
	tests_add(&t, "a flush that waits for the audit can be cancelled", promise_cancelled,
		  &promises[0]);
	tests_add(&t, "a write without FUA does not wait for durable audit",
		  plain_write_does_not_wait, NULL);
	tests_add(&t, "P4: an outcome is not lost while the auditor is away", outcome_while_broken,
		  NULL);
	tests_add(&t, "room: bounded by admissions and by two slots a command", room_is_bounded,
		  NULL);
	tests_add(&t, "an engine that is full is answered BUSY", engine_full, NULL);
	tests_add(&t, "a write whose data is short writes nothing", short_data, NULL);
	return tests_run(&t, "scsi gate");
}

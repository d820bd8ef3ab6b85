/* SANITIZE: its parameters, what is on the medium afterwards, who keeps it from beginning, and what
 * goes on when the command was answered, aborted or its session died. */
#include "tests/unit/scsi_medium_rig.h"

/* --- parameters --- */

static const struct medium_parameters parameters[] = {
	{"SANITIZE, BLOCK ERASE", ERASE, {0}, 0, -1},
	{"SANITIZE, BLOCK ERASE: a list is refused", {{0x48, 2, [8] = 8}, OUT(8)}, {0}, 0x2400, 7},
	{"SANITIZE, BLOCK ERASE: ZNR is refused", {{0x48, 0x42}, .edtl = 0}, {0}, 0x2400, 1},
	{"SANITIZE, OVERWRITE: a pattern of one octet",
	 {{0x48, 1, [8] = 5}, OUT(5)},
	 {1, 0, 0, 1, 0xaa},
	 0,
	 -1},
	{"SANITIZE, OVERWRITE: no list", {{0x48, 1}, .edtl = 0}, {0}, 0x2400, 7},
	{"SANITIZE, OVERWRITE: a list without a pattern",
	 {{0x48, 1, [8] = 4}, OUT(4)},
	 {1},
	 0x2400,
	 7},
	{"SANITIZE, OVERWRITE: a pattern longer than a block",
	 {{0x48, 1, [7] = 2, 5}, OUT(517)},
	 {1, 0, 2, 1},
	 0x2400,
	 7},
	{"SANITIZE, OVERWRITE: no pass", {{0x48, 1, [8] = 8}, OUT(8)}, {0, 0, 0, 4}, 0x2600, 0},
	{"SANITIZE, OVERWRITE: TEST", {{0x48, 1, [8] = 8}, OUT(8)}, {0x21, 0, 0, 4}, 0x2600, 0},
	{"SANITIZE, OVERWRITE: reserved", {{0x48, 1, [8] = 8}, OUT(8)}, {1, 1, 0, 4}, 0x2600, 1},
	{"SANITIZE, OVERWRITE: a pattern of no octet",
	 {{0x48, 1, [8] = 8}, OUT(8)},
	 {1, 0, 0, 0},
	 0x2600,
	 2},
	{"SANITIZE, OVERWRITE: a pattern that does not come whole",
	 {{0x48, 1, [8] = 8}, OUT(8)},
	 {1, 0, 0, 5},
	 0x2600,
	 2},
	{"SANITIZE, OVERWRITE: less data than its CDB says",
	 {{0x48, 1, [8] = 8}, OUT(4)},
	 {1, 0, 0, 4},
	 0x0e03,
	 -1},
	{"SANITIZE, CRYPTOGRAPHIC ERASE is not offered", {{0x48, 3}, .edtl = 0}, {0}, 0x2400, 1},
	{"SANITIZE, EXIT FAILURE MODE where nothing failed", EXIT, {0}, 0, -1},
	{"SANITIZE, EXIT FAILURE MODE: a list is refused",
	 {{0x48, 0x1f, [8] = 8}, OUT(8)},
	 {0},
	 0x2400,
	 7},
};

static void parameter(void **state)
{
	medium_check_parameters(*state);
}

/* --- what is on the medium afterwards --- */

static const struct {
	const char *why;
	uint8_t passes; /* and INVERT */
	uint8_t first;	/* octet that the first pass writes */
	unsigned flushes;
} overwrites[] = {
	{"OVERWRITE writes its pattern", 0x01, 0x5a, 1},
	{"OVERWRITE: two passes, each flushed", 0x02, 0x5a, 2},
	{"OVERWRITE: inverted passes end with the pattern, of two", 0x82, 0xa5, 2},
	{"OVERWRITE: inverted passes end with the pattern, of three", 0x83, 0x5a, 3},
};

static void overwrite(void **state)
{
	static const struct rig_command c = {{0x48, 1, [8] = 5}, OUT(5)};
	const __typeof__(overwrites[0]) *row = *state;
	unsigned flushes = 0;
	struct scsi_task task;

	two_open();
	memcpy(rig->buffer, (const uint8_t[]){row->passes, 0, 0, 1, 0x5a}, 5);
	assert_int_equal(begin_on(&rig->nexus, &task, &c), SCSI_RUNNING);
	settle();
	rig_reap_one();
	assert_int_equal(rig->disk[0], row->first);
	for (unsigned n = 0; n < RIG_LOG && rig->queued > 0; n++) {
		rig_reap_one();
		settle();
	}
	for (size_t k = 0; k < rig->submitted; k++)
		flushes += rig->log[k].op == IO_FLUSH;
	assert_int_equal(flushes, row->flushes);
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_GOOD);
	assert_true(medium_is_all(0x5a));
	two_close();
}

/* SBC-4: in each block it begins anew. */
static void pattern_of_three(void **state)
{
	static const struct rig_command c = {{0x48, 1, [8] = 7}, OUT(7)};

	(void)state;
	two_open();
	memcpy(rig->buffer, (const uint8_t[]){1, 0, 0, 3, 'a', 'b', 'c'}, 7);
	assert_int_equal(run_on(&rig->nexus, &c)->status, SCSI_GOOD);
	for (size_t at = 0; at < (size_t)RIG_BLOCK * RIG_BLOCKS; at++)
		assert_int_equal(rig->disk[at], "abc"[at % RIG_BLOCK % 3]);
	two_close();
}

/* --- how far it is --- */

static uint64_t told(const struct rig_command *c)
{
	assert_int_equal(key_of(run_on(&other, c)), 2);
	assert_int_equal(rig->task.sense[15], 0x80);
	return get_be(rig->task.sense + 16, 2);
}

/* At once that it moves, then every second. */
static void progress(void **state)
{
	static const struct rig_command c = {{0x48, 1, [8] = 5}, OUT(5)}, ready = READY;
	static const struct rig_command sense = SENSE;
	struct scsi_task task;
	uint64_t half;

	(void)state;
	two_open();
	memcpy(rig->buffer, (const uint8_t[]){4, 0, 0, 1, 0x5a}, 5);
	assert_int_equal(begin_on(&rig->nexus, &task, &c), SCSI_RUNNING);
	settle();
	assert_int_equal(told(&ready), 0);
	rig_reap(); /* the first pass is written */
	settle();
	assert_in_range(told(&ready), 16000, 17000);
	assert_int_equal(rig->queue[0]->op, IO_FLUSH);
	do
		rig_reap_one();
	while (rig->queue[0]->op != IO_FLUSH);
	settle();
	assert_in_range(told(&ready), 16000, 17000);
	rig->nexus.now_ms += 2000;
	rig_reap_one(); /* the second pass is over */
	settle();
	half = told(&ready);
	assert_in_range(half, 32000, 33000);
	assert_int_equal(run_on(&other, &sense)->status, SCSI_GOOD);
	assert_int_equal(rig->buffer[2], 2);
	assert_int_equal(get_be(rig->buffer + 12, 2), 0x041b);
	assert_int_equal(rig->buffer[15], 0x80);
	assert_int_equal(get_be(rig->buffer + 16, 2), half);
	two_close();
}

/* --- beginning --- */

static void nothing_before_its_record(void **state)
{
	static const struct rig_command erase = ERASE;
	struct scsi_task task;

	(void)state;
	two_open();
	assert_int_equal(begin_on(&rig->nexus, &task, &erase), SCSI_RUNNING);
	rig_audit(); /* taken, not durable */
	scsi_audit_moved(&rig->nexus);
	rig_share();
	assert_code(&other, READY, 0);
	assert_int_equal(rig->submitted, 0);
	settle();
	assert_int_equal(rig->submitted, 1);
	two_close();
}

static void cancelled_before_its_record(void **state)
{
	static const struct rig_command erase = ERASE;
	struct scsi_task task;

	(void)state;
	two_open();
	assert_int_equal(begin_on(&rig->nexus, &task, &erase), SCSI_RUNNING);
	assert_true(scsi_cancel(&task));
	assert_false(scsi_operates(&rig->nexus));
	settle_all();
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig_last(0)->verdict, VERDICT_NOT_EXECUTED);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
	assert_code(&other, READY, 0);
	two_close();
}

static void not_allowed(void **state)
{
	(void)state;
	two_open();
	rig->nexus.rules.allowed = (struct command_set){0};
	assert_code(&rig->nexus, ERASE, 0x2000);
	assert_int_equal(rig_last(0)->verdict, VERDICT_DENIED);
	assert_code(&rig->nexus, EXIT, 0x2000);
	two_close();
}

static void not_thin(void **state)
{
	(void)state;
	two_open();
	rig->nexus.luns[0].thin = false;
	assert_code(&rig->nexus, ERASE, 0x2400);
	two_close();
}

/* SAM-5: SANITIZE is head of the queue, and is not waited for: others are told what goes on. */
static void holds_nobody_up(void **state)
{
	static const struct rig_command erase = ERASE;
	struct scsi_task task;

	(void)state;
	two_open();
	assert_int_equal(begin_on(&rig->nexus, &task, &erase), SCSI_RUNNING);
	settle();
	rig->dones = 0;
	assert_code(&rig->nexus, READY, 0x041b);
	two_close();
}

/* --- ending --- */

static void reset_within(void **state)
{
	static const struct rig_command erase = ERASE;
	struct scsi_task task;

	(void)state;
	two_open();
	assert_int_equal(begin_on(&rig->nexus, &task, &erase), SCSI_RUNNING);
	settle();
	rig_reset_by(1);
	settle();
	assert_int_equal(rig->seats[0].to_end, 1);
	assert_true(scsi_cancel(&task));
	scsi_tasks_ended(&rig->nexus, 0);
	rig_reap_one();
	assert_code(&other, READY, 0x2903);
	assert_code(&other, READY, 0x041b);
	settle_all();
	assert_int_equal(rig->seats[1].resets_done, 1);
	assert_code(&other, READY, 0);
	two_close();
}

/* Answered when it has begun; then it goes on. */
static void immediate(void **state)
{
	static const struct rig_command c = {{0x48, 0x82}, .edtl = 0};

	(void)state;
	two_open();
	memset(rig->disk, 'a', (size_t)RIG_BLOCK * RIG_BLOCKS);
	assert_int_equal(run_on(&rig->nexus, &c)->status, SCSI_GOOD);
	assert_true(scsi_operates(&rig->nexus));
	assert_false(medium_is_all(0));
	assert_code(&other, READY, 0x041b);
	settle_all();
	assert_false(scsi_operates(&rig->nexus));
	assert_true(medium_is_all(0));
	assert_code(&other, READY, 0);
	two_close();
}

/* The session is told to end. */
static void told_to_stop(void **state)
{
	static const struct rig_command erase = ERASE;
	struct scsi_task task;

	(void)state;
	two_open();
	assert_int_equal(begin_on(&rig->nexus, &task, &erase), SCSI_RUNNING);
	settle();
	scsi_operations_stop(&rig->nexus);
	settle_all();
	assert_false(scsi_operates(&rig->nexus));
	assert_int_equal(task.status, SCSI_TASK_ABORTED);
	assert_code(&other, READY, 0x3103);
	two_close();
}

/* P4: the arbiter can't keep that it is over: the medium stays closed until it can. */
static void end_not_kept(void **state)
{
	static const struct rig_command erase = ERASE;
	struct scsi_task task;

	(void)state;
	two_open();
	assert_int_equal(begin_on(&rig->nexus, &task, &erase), SCSI_RUNNING);
	settle();
	rig->keep_result = -EIO;
	settle_all();
	assert_int_equal(rig->dones, 0);
	assert_code(&other, READY, 0x041b);
	rig->keep_result = 0;
	settle_all();
	rig->dones = 0;
	assert_code(&other, READY, 0x041b); /* it is not asked all the time */
	rig->nexus.now_ms += 2000;
	settle_all();
	assert_int_equal(task.status, SCSI_GOOD);
	assert_code(&other, READY, 0);
	two_close();
}

/* Between two pieces the arbiter is away: it waits, and is not given up. */
static void arbiter_away(void **state)
{
	static const struct rig_command c = {{0x48, 1, [8] = 5}, OUT(5)};
	uint64_t generation;
	struct scsi_task task;

	(void)state;
	two_open();
	memcpy(rig->buffer, (const uint8_t[]){1, 0, 0, 1, 0x5a}, 5);
	assert_int_equal(begin_on(&rig->nexus, &task, &c), SCSI_RUNNING);
	settle();
	generation = atomic_load(&rig->shared->generations[0]);
	atomic_store(&rig->shared->generations[0], 0);
	rig_reap_one();
	settle();
	assert_int_equal(rig->queued, 0);
	assert_true(scsi_operates(&rig->nexus));
	atomic_store(&rig->shared->generations[0], generation);
	settle_all();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_GOOD);
	two_close();
}

/* All is done but the end. */
static void overwrite_until_audit_is_away(struct scsi_task *task)
{
	static const struct rig_command c = {{0x48, 1, [8] = 5}, OUT(5)};

	two_open();
	memcpy(rig->buffer, (const uint8_t[]){1, 0, 0, 1, 0x5a}, 5);
	assert_int_equal(begin_on(&rig->nexus, task, &c), SCSI_RUNNING);
	settle();
	while (rig->queue[0]->op != IO_FLUSH)
		rig_reap_one();
	atomic_store(&rig->page->state, AUDIT_CANNOT_WRITE);
	rig_reap_one();
}

/* The audit is away when all is done: the end waits for it, and nothing failed. */
static void audit_away(void **state)
{
	struct scsi_task task;

	(void)state;
	overwrite_until_audit_is_away(&task);
	scsi_audit_moved(&rig->nexus);
	rig_share();
	assert_int_equal(rig->dones, 0);
	assert_true(scsi_operates(&rig->nexus));
	atomic_store(&rig->page->state, AUDIT_WRITING);
	settle_all();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_GOOD);
	two_close();
}

/* … but whoever is told to end does not wait. */
static void audit_away_and_stopped(void **state)
{
	struct scsi_task task;

	(void)state;
	overwrite_until_audit_is_away(&task);
	scsi_operations_stop(&rig->nexus);
	scsi_audit_moved(&rig->nexus);
	rig_share();
	assert_int_equal(rig->dones, 1);
	assert_int_not_equal(task.status, SCSI_GOOD);
	assert_false(scsi_operates(&rig->nexus));
	two_close();
}

/* The sessions close while it runs: nothing is left behind, and the record tells. */
static void closed_within(void **state)
{
	static const struct rig_command erase = ERASE;
	struct scsi_task task;

	(void)state;
	two_open();
	assert_int_equal(begin_on(&rig->nexus, &task, &erase), SCSI_RUNNING);
	settle();
	assert_true(scsi_cancel(&task));
	scsi_nexus_close(&rig->nexus);
	assert_int_equal(rig_last(0)->kind, AUDIT_OUTCOME);
	assert_int_equal(scsi_nexus_open(&rig->nexus, RIG_ADMISSIONS), 0);
	two_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, parameters, parameter);
	TESTS_ADD_TABLE(&t, overwrites, overwrite);
	tests_add(&t, "OVERWRITE: the pattern begins anew in each block", pattern_of_three, NULL);
	tests_add(&t, "others are told how far it is", progress, NULL);
	tests_add(&t, "P2: nothing is erased before its record is durable",
		  nothing_before_its_record, NULL);
	tests_add(&t, "a SANITIZE that is aborted in time never begins",
		  cancelled_before_its_record, NULL);
	tests_add(&t, "P1: SANITIZE is unknown to whom the policy does not allow it", not_allowed,
		  NULL);
	tests_add(&t, "BLOCK ERASE is not offered where no room is given back", not_thin, NULL);
	tests_add(&t, "SANITIZE holds nobody up", holds_nobody_up, NULL);
	tests_add(&t, "SBC-4: a SANITIZE goes on after a reset", reset_within, NULL);
	tests_add(&t, "IMMED: it is answered, and goes on", immediate, NULL);
	tests_add(&t, "a session that is told to end leaves the medium closed", told_to_stop, NULL);
	tests_add(&t, "P4: the medium stays closed until its end is kept", end_not_kept, NULL);
	tests_add(&t, "an arbiter that is away is waited for", arbiter_away, NULL);
	tests_add(&t, "P4: an audit that is away at its end is waited for", audit_away, NULL);
	tests_add(&t, "… unless the session is to end", audit_away_and_stopped, NULL);
	tests_add(&t, "a session that closes meanwhile says so in the audit", closed_within, NULL);
	return tests_run(&t, "scsi");
}

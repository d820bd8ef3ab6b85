/* COMPARE AND WRITE, ORWRITE and WRITE ATOMIC with two sessions and a real court: nothing of
 * anybody comes between their read and their write, and however they end, their blocks and the
 * buffer are free afterwards. */
#include "tests/unit/scsi_rig.h"

#define OUT(n) .edtl = (n), .write = true
#define NONE   .edtl = 0
#define LAST   0x3f, 0xff /* LBA */

/* The command at `lba` of n blocks. */
#define CAW(flags, ...)                        \
	{                                      \
		0x89, flags, [8] = __VA_ARGS__ \
	}
#define ORW(flags, ...)                        \
	{                                      \
		0x8b, flags, [8] = __VA_ARGS__ \
	}
#define ATOMIC(flags, ...)                     \
	{                                      \
		0x9c, flags, [8] = __VA_ARGS__ \
	}

/* --- two sessions --- */

static struct scsi_nexus other;

struct act {
	struct scsi_task task;
	struct rig_command c;
	struct iovec iov[2];
	uint8_t data[8192];
};
static struct act first, second;

static void act_begin(struct act *a, struct scsi_nexus *n, const struct rig_command *c)
{
	enum scsi_step step;

	a->c = *c;
	rig_prepare(&a->task, c);
	a->task.nexus = n;
	a->task.cdb = a->c.cdb;
	step = scsi_begin(&a->task);
	a->iov[0] = (struct iovec){a->data, 100};
	a->iov[1] = (struct iovec){a->data + 100, a->task.bytes - 100};
	a->task.iov = a->iov;
	a->task.iov_count = 2;
	a->task.buffer_len = a->task.bytes;
	if (step == SCSI_WANT_DATA)
		step = scsi_data_arrived(&a->task);
	else if (step == SCSI_WANT_BUFFER)
		step = scsi_buffer_ready(&a->task);
	assert_int_equal(step, SCSI_RUNNING);
}

static void open_two(void)
{
	rig_open(NULL);
	rig_open_peer(1, &other);
	memset(first.data, 0, sizeof first.data);
	memset(second.data, 0, sizeof second.data);
}

static void close_two(void)
{
	scsi_nexus_close(&other);
	rig_close();
}

static void settle(void)
{
	for (unsigned turn = 0; turn < RIG_TURNS; turn++) {
		rig_share();
		if (rig->queued > 0)
			rig_reap_one();
	}
	assert_int_equal(rig->queued, 0);
}

static const struct rig_command swap = {CAW(0, 0, 8, [13] = 1), OUT(1024)},
				swap_fua = {CAW(0x08, 0, 8, [13] = 1), OUT(1024)},
				either = {ORW(0, 0, 8, [13] = 1), OUT(512)},
				whole = {ATOMIC(0, 0, 8, [13] = 8), OUT(4096)},
				whole_fua = {ATOMIC(0x08, 0, 8, [13] = 8), OUT(4096)},
				read_one = {{0x28, 0, 0, 0, 0, 8, 0, 0, 1},
					    .edtl = 512,
					    .read = true},
				write_one = {{0x2a, 0, 0, 0, 0, 8, 0, 0, 1}, OUT(512)},
				verify_one = {{0x2f, 0, 0, 0, 0, 8, 0, 0, 1}, NONE},
				beside = {{0x2a, 0, 0, 0, 0, 16, 0, 0, 1}, OUT(512)};

/* Both compare with what is there: one of them wins, the other is told. */
static void one_wins(void **state)
{
	struct scsi_nexus *n = *state;

	open_two();
	memset(first.data + 512, 1, 512);
	memset(second.data + 512, 2, 512);
	act_begin(&first, &rig->nexus, &swap);
	act_begin(&second, n ? n : &rig->nexus, &swap);
	settle();
	assert_int_equal(rig->dones, 2);
	assert_int_equal(first.task.status, SCSI_GOOD);
	assert_int_equal(second.task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&second.task), 0x1d00);
	assert_int_equal(rig->disk[8 * RIG_BLOCK], 1);
	close_two();
}

static const struct {
	const char *why;
	const struct rig_command *c, *meanwhile;
	bool same; /* session */
} betweens[] = {
	{"a read of another session waits for COMPARE AND WRITE", &swap, &read_one, false},
	{"a write of another session waits for COMPARE AND WRITE", &swap, &write_one, false},
	{"a read of the same session waits for COMPARE AND WRITE", &swap, &read_one, true},
	{"a write of the same session waits for COMPARE AND WRITE", &swap, &write_one, true},
	{"VERIFY of the same session waits for COMPARE AND WRITE", &swap, &verify_one, true},
	{"a read of another session waits for ORWRITE", &either, &read_one, false},
	{"a write of the same session waits for ORWRITE", &either, &write_one, true},
	{"a read of another session waits for WRITE ATOMIC", &whole, &read_one, false},
	{"a write of the same session waits for WRITE ATOMIC", &whole, &write_one, true},
	{"VERIFY of another session waits for WRITE ATOMIC", &whole, &verify_one, false},
};

static void waits_between(void **state)
{
	const __typeof__(betweens[0]) *row = *state;

	open_two();
	act_begin(&first, &rig->nexus, row->c);
	rig_share();
	assert_int_equal(rig->submitted, 1); /* its read */
	act_begin(&second, row->same ? &rig->nexus : &other, row->meanwhile);
	rig_share();
	assert_int_equal(rig->submitted, 1);
	rig_reap_one();
	rig_share();
	assert_int_equal(rig->log[1].op, IO_WRITE);
	assert_int_equal(rig->queued, 1);
	rig_reap_one();
	assert_int_equal(first.task.status, SCSI_GOOD);
	assert_int_equal(rig->dones, 1);
	settle();
	assert_int_equal(rig->submitted, 3);
	assert_int_equal(second.task.status, SCSI_GOOD);
	close_two();
}

/* What was at the backend before ends first. */
static void waits_for_before(void **state)
{
	(void)state;
	open_two();
	memset(second.data, 5, 512);
	act_begin(&second, &other, &write_one);
	act_begin(&first, &rig->nexus, &swap);
	rig_share();
	assert_int_equal(rig->submitted, 1);
	settle();
	assert_int_equal(second.task.status, SCSI_GOOD);
	assert_int_equal(first.task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&first.task), 0x1d00);
	close_two();
}

static void elsewhere_goes_on(void **state)
{
	(void)state;
	open_two();
	act_begin(&first, &rig->nexus, &swap);
	rig_share();
	act_begin(&second, &other, &beside);
	assert_int_equal(rig->submitted, 2);
	settle();
	assert_int_equal(second.task.status, SCSI_GOOD);
	close_two();
}

/* The blocks are free again while a flush makes durable what was written. */
static void free_at_flush(void **state)
{
	(void)state;
	open_two();
	act_begin(&first, &rig->nexus, &swap_fua);
	rig_share();
	rig_reap_one();
	rig_reap_one();
	assert_int_equal(rig->log[2].op, IO_FLUSH);
	rig_share();
	act_begin(&second, &other, &read_one);
	assert_int_equal(rig->submitted, 4);
	rig_reap();
	assert_int_equal(second.task.status, SCSI_GOOD);
	assert_int_equal(rig->dones, 1); /* P2: the audit of the write is not durable yet */
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 2);
	assert_int_equal(first.task.status, SCSI_GOOD);
	close_two();
}

/* --- ends in between --- */

/* After so many steps: sharing is one, and the end of a request. */
static void step(unsigned count)
{
	for (unsigned k = 0; k < count; k++) {
		if (k % 2 == 0)
			rig_share();
		else
			rig_reap_one();
	}
}

static const struct {
	const char *why;
	const struct rig_command *c;
	unsigned steps;
	bool at_once; /* nothing of it runs */
	bool written;
} aborts[] = {
	{"an abort before the range is asked for", &swap, 0, true, false},
	{"an abort while it is read", &swap, 1, false, false},
	{"an abort while it is written lets all of it be written", &swap, 2, false, true},
	{"an abort of ORWRITE while it is read", &either, 1, false, false},
	{"an abort of WRITE ATOMIC while it is read", &whole, 1, false, false},
	{"an abort of WRITE ATOMIC while it is written lets all of it be written", &whole, 2, false,
	 true},
	{"an abort while it is flushed", &whole_fua, 4, false, true},
};

static void aborted(void **state)
{
	const __typeof__(aborts[0]) *row = *state;

	open_two();
	memset(first.data + (row->c == &swap ? 512 : 0), 1, 512);
	act_begin(&first, &rig->nexus, row->c);
	step(row->steps);
	assert_int_equal(scsi_cancel(&first.task), row->at_once);
	settle();
	assert_int_equal(rig->dones, row->at_once ? 0 : 1);
	assert_null(first.task.admission);
	assert_int_equal(rig->disk[8 * RIG_BLOCK], row->written);
	act_begin(&second, &other, &write_one);
	settle();
	assert_int_equal(second.task.status, SCSI_GOOD); /* the range is free */
	memset(first.data, 0, sizeof first.data);
	assert_int_equal(atomic_load(&rig->shared->disks[0].range_count), 0);
	act_begin(&first, &rig->nexus, &swap); /* and so is the buffer */
	settle();
	assert_int_equal(first.task.status, SCSI_GOOD);
	close_two();
}

/* An order that is out is answered before its task ends. */
static void aborted_at_the_arbiter(void **state)
{
	struct arbiter_order order;

	(void)state;
	open_two();
	act_begin(&second, &other, &swap);
	rig_share();
	act_begin(&first, &rig->nexus, &swap);
	assert_true(scsi_order_next(&rig->nexus, &order));
	rig_share();
	assert_false(scsi_cancel(&first.task));
	settle();
	assert_int_equal(rig->dones, 2);
	assert_int_equal(second.task.status, SCSI_GOOD);
	assert_int_equal(first.task.status, SCSI_TASK_ABORTED);
	assert_int_equal(atomic_load(&rig->shared->disks[0].range_count), 0);
	close_two();
}

/* A VERIFY that waits for somebody's range has the buffer, and is aborted. */
static void buffer_comes_back(void **state)
{
	(void)state;
	open_two();
	act_begin(&second, &other, &whole);
	rig_share();
	act_begin(&first, &rig->nexus, &verify_one);
	assert_true(scsi_cancel(&first.task));
	act_begin(&first, &rig->nexus, &verify_one);
	settle();
	assert_int_equal(first.task.status, SCSI_GOOD);
	close_two();
}

/* A VERIFY waits for a range; a COMPARE AND WRITE of the session waits for its buffer. */
static void no_circle(void **state)
{
	(void)state;
	open_two();
	act_begin(&second, &other, &whole);
	rig_share();
	act_begin(&first, &rig->nexus, &verify_one);
	rig_prepare(&rig->task, &swap);
	assert_int_equal(scsi_begin(&rig->task), SCSI_WANT_DATA);
	memset(rig->buffer, 0, 1024);
	rig_give_buffer(&rig->task);
	assert_int_equal(scsi_data_arrived(&rig->task), SCSI_RUNNING);
	settle();
	assert_int_equal(rig->dones, 3);
	assert_int_equal(rig->task.status, SCSI_GOOD);
	close_two();
}

static void session_dies(void **state)
{
	const struct rig_command *c = *state;

	open_two();
	act_begin(&first, &other, c);
	rig_share();
	act_begin(&second, &rig->nexus, &write_one);
	rig_share();
	assert_int_equal(rig->submitted, 1);
	rig->queued = 0; /* its request is over, and nobody is told */
	rig->ended++;
	memset(&rig->seats[1].own, 0, sizeof rig->seats[1].own);
	rig->seats[1].nexus = NULL;
	court_over(&rig->court, &rig->seats[1].member, rig->nexus.now_ms);
	settle();
	assert_int_equal(second.task.status, SCSI_GOOD);
	assert_int_equal(rig->disk[8 * RIG_BLOCK], 0);
	close_two();
}

static void no_arbiter(void **state)
{
	const struct rig_command *c = *state;

	rig_open(NULL);
	arbiter_view_detach(&rig->seats[0].view);
	assert_int_equal(rig_run(c)->status, SCSI_BUSY);
	assert_int_equal(rig->submitted, 0);
	rig_close();
}

/* It goes away between the read and the write. */
static void arbiter_goes(void **state)
{
	const struct rig_command *c = *state;

	open_two();
	memset(first.data, 0, sizeof first.data);
	act_begin(&first, &rig->nexus, c);
	rig_share();
	arbiter_view_detach(&rig->seats[0].view);
	rig_reap_one();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(first.task.status, SCSI_BUSY);
	assert_int_equal(rig->submitted, 1);
	close_two();
}

/* Half of it is on the medium when the write fails. */
static void undone(void **state)
{
	(void)state;
	open_two();
	memset(rig->disk, 3, (size_t)RIG_BLOCK * RIG_BLOCKS);
	memset(first.data, 5, sizeof first.data);
	act_begin(&first, &rig->nexus, &whole);
	rig_share();
	rig_reap_one();
	memset(rig->disk + 8 * RIG_BLOCK, 5, 2048);
	rig->results[1] = -ENOSPC;
	settle();
	assert_int_equal(rig_code(&first.task), 0x2707);
	for (size_t at = 0; at < (size_t)RIG_BLOCK * RIG_BLOCKS; at++)
		assert_int_equal(rig->disk[at], 3);
	close_two();
}

static void add_each(struct tests *t)
{
	static const struct {
		const char *dies, *without, *goes;
		const struct rig_command *c;
	} of[] = {
		{"P4: a session that dies within COMPARE AND WRITE keeps nobody waiting",
		 "P4: COMPARE AND WRITE is BUSY without an arbiter",
		 "P4: COMPARE AND WRITE does not write when the arbiter went away", &swap},
		{"P4: a session that dies within ORWRITE keeps nobody waiting",
		 "P4: ORWRITE is BUSY without an arbiter",
		 "P4: ORWRITE does not write when the arbiter went away", &either},
		{"P4: a session that dies within WRITE ATOMIC keeps nobody waiting",
		 "P4: WRITE ATOMIC is BUSY without an arbiter",
		 "P4: WRITE ATOMIC does not write when the arbiter went away", &whole},
	};

	for (size_t k = 0; k < ARRAY_LEN(of); k++) {
		tests_add(t, of[k].dies, session_dies, of[k].c);
		tests_add(t, of[k].without, no_arbiter, of[k].c);
		tests_add(t, of[k].goes, arbiter_goes, of[k].c);
	}
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "of two sessions that compare the same, one wins", one_wins, &other);
	tests_add(&t, "of two commands of a session that compare the same, one wins", one_wins,
		  NULL);
	TESTS_ADD_TABLE(&t, betweens, waits_between);
	tests_add(&t, "what began before ends before COMPARE AND WRITE", waits_for_before, NULL);
	tests_add(&t, "other blocks have nothing to wait for", elsewhere_goes_on, NULL);
	tests_add(&t, "a flush after COMPARE AND WRITE keeps nobody waiting", free_at_flush, NULL);
	TESTS_ADD_TABLE(&t, aborts, aborted);
	tests_add(&t, "an abort while the arbiter is asked", aborted_at_the_arbiter, NULL);
	tests_add(&t, "a VERIFY that is aborted while it waits gives the buffer back",
		  buffer_comes_back, NULL);
	tests_add(&t, "buffer and ranges are no circle", no_circle, NULL);
	add_each(&t);
	tests_add(&t, "of a WRITE ATOMIC that failed half way nothing is left", undone, NULL);
	return tests_run(&t, "scsi alone");
}

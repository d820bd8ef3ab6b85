/* Copies and tokens that wait: for the arbiter, which is changing something, and for the audit,
 * which has no room for all of their records. Neither ends them. */
#include "tests/unit/scsi_token_rig.h"

static struct scsi_task task;

static const struct copy_case long_one = {
	.targets = {{.lun = 0}, {.lun = 1}},
	.segments = {{.from = 0, .to = 1, .blocks = 1200, .from_lba = 0, .to_lba = 2000}},
	.list_id = 9};

static struct rig_command extended_copy(void)
{
	return copy_command(copy_put(&long_one));
}

static struct rig_command populate_token(void)
{
	memset(rig->buffer, 0, 16);
	return command(0x10, 0, 5, put_ranges(16, source, 3));
}

static struct rig_command write_token(void)
{
	uint8_t token[TOKEN_SIZE];

	make_token(source, 3, token);
	return write_command(token, 0, target, 2);
}

static struct rig_command write_zeroes(void)
{
	uint8_t token[TOKEN_SIZE] = {0xff, 0xff, 0, 1, [6] = 0x01, 0xf8};

	return write_command(token, 0, target, 2);
}

static enum scsi_step begin(struct rig_command (*c)(void))
{
	struct rig_command given = c();

	rig_audit_durable();
	rig_prepare(&task, &given);
	assert_int_equal(scsi_begin(&task), SCSI_WANT_DATA);
	rig_give_buffer(&task);
	return SCSI_WANT_DATA;
}

static void ends_with_good(void)
{
	finish(SCSI_RUNNING);
	assert_int_equal(task.status, SCSI_GOOD);
	assert_null(task.admission);
	close_all();
}

/* --- the arbiter --- */

static const struct {
	const char *why;
	struct rig_command (*c)(void);
	bool read; /* a piece of it, before; else it was written, too */
} moving[] = {
	{"a copy goes on after the arbiter changed something within a piece", extended_copy, true},
	{"a copy goes on after the arbiter changed something between two pieces", extended_copy,
	 false},
	{"a token is used up although the arbiter changes something", write_token, true},
	{"zeroes are written although the arbiter changes something", write_zeroes, true},
};

static void moves(void **state)
{
	const __typeof__(moving[0]) *row = *state;
	uint64_t generation[2];
	size_t submitted;

	open_all();
	(void)begin(row->c);
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	rig_share();
	rig_recorded();
	if (!row->read)
		rig_reap_one();
	submitted = rig->submitted;
	assert_int_equal(rig->queued, 1);
	for (size_t k = 0; k < 2; k++) {
		generation[k] = atomic_load(&rig->shared->generations[k]);
		atomic_store(&rig->shared->generations[k], 0);
	}
	rig_reap_one();
	for (unsigned turn = 0; turn < 3; turn++)
		scsi_shared_turn(&rig->nexus);
	assert_int_equal(rig->dones, 0);
	assert_int_equal(rig->submitted, submitted);
	for (size_t k = 0; k < 2; k++)
		atomic_store(&rig->shared->generations[k], generation[k]);
	ends_with_good();
}

static void aborted_while_it_waits(void **state)
{
	(void)state;
	open_all();
	(void)begin(extended_copy);
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	rig_recorded();
	atomic_store(&rig->shared->generations[1], 0);
	rig_reap_one();
	assert_true(scsi_cancel(&task));
	assert_null(task.admission);
	scsi_shared_turn(&rig->nexus);
	assert_int_equal(rig->dones, 0);
	assert_int_equal(rig->queued, 0);
	close_all();
}

/* --- the audit --- */

static const struct {
	const char *waits, *busy;
	struct rig_command (*c)(void);
	unsigned records;
} full[] = {
	{"P2: EXTENDED COPY waits for room for the records of source and destination",
	 "P2: … and is BUSY if the audit does not come back", extended_copy, 2},
	{"P2: POPULATE TOKEN waits for room for every range's record",
	 "P2: … and makes no token if the audit does not come back", populate_token, 3},
	{"P2: WRITE USING TOKEN waits for room for every move's records",
	 "P2: … and uses no token if the audit does not come back", write_token, 8},
	{"P2: zeroes by a token wait for room for every range's record",
	 "P2: … and none are written if the audit does not come back", write_zeroes, 2},
};

static void fill_ring(unsigned left)
{
	struct audit_record r = {0};

	while (audit_ring_free(&rig->ring) > left)
		assert_int_equal(audit_ring_put(&rig->ring, &r, rig->nexus.now_ms), 0);
}

/* One too few: for its records, its outcome, and that of another command. */
static void begin_without_room(const __typeof__(full[0]) *row)
{
	size_t submitted;
	uint64_t head;

	open_all();
	(void)begin(row->c);
	fill_ring(row->records + 1);
	head = rig->ring.head;
	submitted = rig->submitted;
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	rig_share();
	assert_int_equal(rig->dones, 0);
	assert_int_equal(rig->ring.head, head);
	assert_int_equal(rig->submitted, submitted);
}

static void waits_for_room(void **state)
{
	begin_without_room(*state);
	ends_with_good();
}

static void stays_without_room(void **state)
{
	size_t submitted;

	begin_without_room(*state);
	submitted = rig->submitted;
	atomic_store(&rig->page->state, AUDIT_CANNOT_WRITE);
	scsi_audit_moved(&rig->nexus);
	rig_share();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_BUSY);
	assert_null(task.admission);
	assert_int_equal(rig->submitted, submitted);
	close_all();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, moving, moves);
	tests_add(&t, "a copy that waits for the arbiter can be aborted", aborted_while_it_waits,
		  NULL);
	for (size_t k = 0; k < ARRAY_LEN(full); k++) {
		tests_add(&t, full[k].waits, waits_for_room, &full[k]);
		tests_add(&t, full[k].busy, stays_without_room, &full[k]);
	}
	return tests_run(&t, "scsi copy waits");
}

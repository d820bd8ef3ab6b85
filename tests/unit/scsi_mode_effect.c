/* What mode parameters mean is so: WCE, SWP, D_SENSE, TAS. */
#include "tests/unit/scsi_mode_rig.h"
#include "gateway/scsi/sense.h"

#define OUT(n) .edtl = (n), .write = true

static const struct rig_command write_one = {{0x2a, 0, 0, 0, 0, 5, 0, 0, 1}, OUT(512)},
				read_one = {{0x28, 0, 0, 0, 0, 5, 0, 0, 1}, IN(512)},
				bad_field = {{0x28, 0x20, 0, 0, 0, 5, 0, 0, 1}, IN(512)},
				mode_sense = {{0x1a, 8, 0x0a, 0, 255}, IN(255)};

/* --- WCE --- */

static const struct effect {
	const char *why, *protected;
	struct rig_command c;
	bool fua; /* the request itself is durable; else a flush follows */
} writes[] = {
	{"P2: with WCE=0, WRITE(6) is durable",
	 "SWP: WRITE(6) is refused",
	 {{0x0a, 0, 0, 5, 1}, OUT(512)},
	 true},
	{"P2: with WCE=0, WRITE(10) is durable",
	 "SWP: WRITE(10) is refused",
	 {{0x2a, 0, 0, 0, 0, 5, 0, 0, 1}, OUT(512)},
	 true},
	{"P2: with WCE=0, WRITE(12) is durable",
	 "SWP: WRITE(12) is refused",
	 {{0xaa, 0, 0, 0, 0, 5, [9] = 1}, OUT(512)},
	 true},
	{"P2: with WCE=0, WRITE(16) is durable",
	 "SWP: WRITE(16) is refused",
	 {{0x8a, 0, [9] = 5, [13] = 1}, OUT(512)},
	 true},
	{"P2: with WCE=0, WRITE SAME(10) is durable",
	 "SWP: WRITE SAME(10) is refused",
	 {{0x41, 0, 0, 0, 0, 5, 0, 0, 9}, OUT(512)},
	 false},
	{"P2: with WCE=0, WRITE SAME(16) is durable",
	 "SWP: WRITE SAME(16) is refused",
	 {{0x93, 0, [9] = 5, [13] = 9}, OUT(512)},
	 false},
	{"P2: with WCE=0, WRITE SAME(16) of zeroes is durable",
	 "SWP: WRITE SAME(16) of zeroes is refused",
	 {{0x93, 1, [9] = 5, [13] = 9}, .edtl = 0},
	 false},
	{"P2: with WCE=0, UNMAP is durable",
	 "SWP: UNMAP is refused",
	 {{0x42, 0, 0, 0, 0, 0, 0, 0, 24}, OUT(24)},
	 false},
};

static const uint8_t unmap_list[24] = {0, 22, 0, 16, [15] = 8, [19] = 4};

static void fill(const struct rig_command *c)
{
	memset(rig->buffer, 0x11, 512);
	if (c->cdb[0] == 0x42)
		memcpy(rig->buffer, unmap_list, sizeof unmap_list);
}

static void durable(void **state)
{
	const struct effect *row = *state;
	const struct backend_log *last;

	rig_open(NULL);
	rig->nexus.luns[0].thin = true;
	mode_set(&rig->nexus, false, MODE_NO_WRITE_CACHE);
	rig->submitted = 0;
	fill(&row->c);
	assert_int_equal(mode_run(&rig->nexus, &row->c)->status, SCSI_GOOD);
	last = &rig->log[rig->submitted - 1];
	assert_int_equal(rig->submitted, row->fua ? 1 : 2);
	assert_int_equal(last->op, row->fua ? IO_WRITE : IO_FLUSH);
	assert_int_equal(last->fua, row->fua);
	/* the audit of it was asked to be durable when the request was made */
	assert_true(atomic_load(&rig->ring.memory->durable_wanted) >= last->records_before);
	rig_close();
}

/* The answer stays away until the audit is durable, too. */
static void waits_for_audit(void **state)
{
	const struct effect *row = *state;
	struct scsi_task task;
	enum scsi_step step;

	rig_open(NULL);
	rig->nexus.luns[0].thin = true;
	mode_set(&rig->nexus, false, MODE_NO_WRITE_CACHE);
	fill(&row->c);
	rig_prepare(&task, &row->c);
	step = scsi_begin(&task);
	if (step == SCSI_WANT_DATA) {
		rig_give_buffer(&task);
		step = scsi_data_arrived(&task);
	}
	assert_int_equal(step, SCSI_RUNNING);
	if (rig->queued == 0)
		rig_recorded();
	rig_reap();
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 0);
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_GOOD);
	rig_close();
}

static void by_policy(void **state)
{
	rig_open(state);
	rig->nexus.luns[0].write_through = true;
	assert_int_equal(mode_run(&rig->nexus, &write_one)->status, SCSI_GOOD);
	assert_true(rig->log[0].fua);
	rig_close();
}

static void cached(void **state)
{
	rig_open(state);
	assert_int_equal(mode_run(&rig->nexus, &write_one)->status, SCSI_GOOD);
	assert_int_equal(rig->submitted, 1);
	assert_false(rig->log[0].fua);
	rig_close();
}

static void switched_off(void **state)
{
	rig_open(state);
	mode_set(&rig->nexus, false, MODE_NO_WRITE_CACHE);
	assert_int_equal(rig->submitted, 1);
	assert_int_equal(rig->log[0].op, IO_FLUSH);
	mode_set(&rig->nexus, false, 0);
	assert_int_equal(rig->submitted, 1);
	rig_close();
}

static void flush_fails(void **state)
{
	static const uint8_t page[20] = {0x08, 0x12};

	rig_open(state);
	rig->results[0] = -EIO;
	assert_int_equal(mode_select(&rig->nexus, false, page, sizeof page)->status,
			 SCSI_CHECK_CONDITION);
	assert_int_equal(rig->task.sense[2], KEY_MEDIUM_ERROR);
	assert_int_equal(rig->failures, 1);
	rig_close();
}

/* The write was submitted while there was a cache, and ends when there is none. */
static void changed_meanwhile(void **state)
{
	struct scsi_nexus other = {0};
	struct scsi_task task;

	rig_open(state);
	rig_open_peer(1, &other);
	rig_prepare(&task, &(struct rig_command){{0x93, 1, [9] = 5, [13] = 9}, .edtl = 0});
	assert_int_equal(scsi_begin(&task), SCSI_RUNNING);
	rig_recorded();
	rig->seats[1].view.luns[0].state.modes[0] = MODE_NO_WRITE_CACHE;
	rig->seats[0].view.luns[0].state.modes[0] = MODE_NO_WRITE_CACHE;
	rig_reap();
	assert_int_equal(rig->log[rig->submitted - 1].op, IO_FLUSH);
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 1);
	scsi_nexus_close(&other);
	rig_close();
}

/* --- SWP --- */

static void write_protected(void **state)
{
	const struct effect *row = *state;

	rig_open(NULL);
	rig->nexus.luns[0].thin = true;
	mode_set(&rig->nexus, false, MODE_SWP);
	rig->submitted = 0;
	fill(&row->c);
	assert_int_equal(mode_run(&rig->nexus, &row->c)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig->task.sense[2], KEY_DATA_PROTECT);
	assert_int_equal(rig_code(&rig->task), 0x2702);
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig_last(0)->verdict, VERDICT_REFUSED);
	rig_close();
}

static void write_protected_told(void **state)
{
	rig_open(state);
	mode_set(&rig->nexus, false, MODE_SWP);
	assert_int_equal(mode_run(&rig->nexus, &mode_sense)->status, SCSI_GOOD);
	assert_int_equal(rig->buffer[2], 0x90);
	assert_int_equal(mode_run(&rig->nexus, &read_one)->status, SCSI_GOOD);
	mode_set(&rig->nexus, false, 0);
	assert_int_equal(mode_run(&rig->nexus, &write_one)->status, SCSI_GOOD);
	rig_close();
}

/* Admitted, and its data comes only when another nexus has protected the disk. */
static void write_too_late(void **state)
{
	struct scsi_nexus other = {0};
	struct scsi_task task;

	rig_open(state);
	rig_open_peer(1, &other);
	rig_prepare(&task, &write_one);
	assert_int_equal(scsi_begin(&task), SCSI_WANT_DATA);
	mode_set(&other, false, MODE_SWP);
	rig_give_buffer(&task);
	rig->submitted = 0;
	assert_int_equal(scsi_data_arrived(&task), SCSI_DONE);
	assert_int_equal(task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig_code(&task), 0x2702);
	assert_int_equal(rig->submitted, 0);
	scsi_nexus_close(&other);
	rig_close();
}

/* --- D_SENSE --- */

static void descriptors(void **state)
{
	static const uint8_t want[] = {
		0x72, 5, 0x24, 0, 0,	0, 0, 8, /* specific: octet 1, bit 7 */
		2,    6, 0,    0, 0xcf, 0, 1, 0};
	const struct audit_record *record;

	rig_open(state);
	mode_set(&rig->nexus, false, MODE_D_SENSE);
	assert_int_equal(mode_run(&rig->nexus, &bad_field)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig->task.sense_len, sizeof want);
	assert_memory_equal(rig->task.sense, want, sizeof want);
	record = rig_last(0);
	assert_int_equal(record->sense_key, 5);
	assert_int_equal(record->asc, 0x24);
	assert_int_equal(record->ascq, 0);
	mode_set(&rig->nexus, false, 0);
	assert_int_equal(mode_run(&rig->nexus, &bad_field)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig->task.sense[0], 0x70);
	rig_close();
}

static void no_unit(void **state)
{
	static const struct rig_command nowhere = {{0}, {0, 9}, .edtl = 0};

	rig_open(state);
	mode_set(&rig->nexus, false, MODE_D_SENSE);
	assert_int_equal(mode_run(&rig->nexus, &nowhere)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(rig->task.sense[0], 0x70);
	rig_close();
}

/* A unit that failed, asked by REQUEST SENSE: its own bit decides. */
static void request_sense(void **state)
{
	static const struct rig_command fixed = {{0x03, 0, 0, 0, 252}, IN(252)},
					descriptor = {{0x03, 1, 0, 0, 252}, IN(252)};

	rig_open(state);
	mode_set(&rig->nexus, false, MODE_D_SENSE);
	rig->nexus.luns[0].failed = EIO;
	assert_int_equal(mode_run(&rig->nexus, &fixed)->status, SCSI_GOOD);
	assert_int_equal(get_be(rig->buffer, 3), 0x700003);
	assert_int_equal(get_be(rig->buffer + 12, 2), 0x0c00);
	assert_int_equal(mode_run(&rig->nexus, &descriptor)->status, SCSI_GOOD);
	assert_int_equal(get_be(rig->buffer, 8), 0x72030c0000000000);
	rig_close();
}

static struct scsi_task *sense_task(bool d_sense)
{
	rig_open(NULL);
	if (d_sense)
		rig->seats[0].view.luns[0].state.modes[0] = MODE_D_SENSE;
	rig->task = (struct scsi_task){.nexus = &rig->nexus, .unit = &rig->nexus.luns[0]};
	return &rig->task;
}

static const struct {
	const char *why;
	bool d_sense;
	uint64_t information;
	size_t len, at;
	uint64_t want; /* 8 octets at `at` */
} informations[] = {
	{"INFORMATION, fixed", false, 0x12345678, 18, 0, 0xf0000e123456780a},
	{"INFORMATION beyond 32 bits is not in the fixed format", false, 1ull << 32, 18, 0,
	 0x70000e000000000a},
	{"INFORMATION as a descriptor", true, 0x12345678, 20, 12, 0x12345678},
	{"INFORMATION of 64 bits as a descriptor", true, 1ull << 63, 20, 12, 1ull << 63},
	{"INFORMATION's descriptor is valid", true, 7, 20, 4, 0x0000000c000a8000},
};

static void information(void **state)
{
	const __typeof__(informations[0]) *row = *state;
	struct scsi_task *task = sense_task(row->d_sense);
	struct sense s;

	sense_set_information(task, KEY_MISCOMPARE, SENSE_MISCOMPARE_DURING_VERIFY,
			      row->information);
	assert_int_equal(task->sense_len, row->len);
	assert_int_equal(get_be(task->sense + row->at, 8), row->want);
	assert_true(sense_read(task, &s));
	assert_int_equal(s.key, KEY_MISCOMPARE);
	assert_int_equal(s.code, SENSE_MISCOMPARE_DURING_VERIFY);
	assert_int_equal(s.has_information, row->d_sense || row->information <= UINT32_MAX);
	rig_close();
}

static const struct {
	const char *why;
	bool d_sense;
	size_t at;
} specifics[] = {
	{"a progress and a field, fixed", false, 15},
	{"a progress and a field, as a descriptor", true, 12},
};

static void specific(void **state)
{
	const __typeof__(specifics[0]) *row = *state;
	struct scsi_task *task = sense_task(row->d_sense);

	sense_set_progress(task, KEY_NOT_READY, SENSE_NONE, 0xabcd);
	assert_int_equal(get_be(task->sense + row->at, 3), 0x80abcd);
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
	sense_parameter_field(task, 0x123);
	assert_int_equal(get_be(task->sense + row->at, 3), 0x800123);
	sense_list_field(task, 0x45, 6);
	assert_int_equal(get_be(task->sense + row->at, 3), 0x8e0045);
	rig_close();
}

/* --- TAS --- */

static void task_aborted(void **state)
{
	struct scsi_task task;
	bool tas = *state != NULL;

	rig_open(NULL);
	rig_sit(1, &(struct scsi_nexus){0});
	rig->seats[1].nexus = NULL;
	if (tas)
		mode_set(&rig->nexus, false, MODE_TAS);
	rig_prepare(&task, &write_one);
	assert_int_equal(scsi_begin(&task), SCSI_WANT_DATA);
	rig_reset_by(1);
	scsi_shared_turn(&rig->nexus);
	assert_int_equal(rig->seats[0].to_end, 1);
	assert_int_equal(rig->seats[0].to_tell, tas);
	assert_true(scsi_cancel(&task));
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, writes, durable);
	tests_add(&t, "P2: with WCE=0, WRITE's answer waits for the audit", waits_for_audit,
		  &writes[1]);
	tests_add(&t, "P2: with WCE=0, WRITE SAME's answer waits for the audit", waits_for_audit,
		  &writes[5]);
	tests_add(&t, "P2: with WCE=0, UNMAP's answer waits for the audit", waits_for_audit,
		  &writes[7]);
	tests_add(&t, "P2: with write_cache: false, WRITE is durable", by_policy, NULL);
	tests_add(&t, "with WCE=1, WRITE is cached", cached, NULL);
	tests_add(&t, "WCE=0 flushes what is cached, once", switched_off, NULL);
	tests_add(&t, "a flush that fails when WCE goes ends the unit", flush_fails, NULL);
	tests_add(&t, "P2: a write that is under way when WCE goes is durable", changed_meanwhile,
		  NULL);
	for (size_t k = 0; k < ARRAY_LEN(writes); k++)
		tests_add(&t, writes[k].protected, write_protected, &writes[k]);
	tests_add(&t, "SWP: WP tells it, reads go on, and without it writes do",
		  write_protected_told, NULL);
	tests_add(&t, "SWP: what was admitted before it is not written after it", write_too_late,
		  NULL);
	tests_add(&t, "D_SENSE: descriptors, and the audit knows them", descriptors, NULL);
	tests_add(&t, "D_SENSE is not of a LUN that is not there", no_unit, NULL);
	tests_add(&t, "D_SENSE does not bind REQUEST SENSE", request_sense, NULL);
	TESTS_ADD_TABLE(&t, informations, information);
	TESTS_ADD_TABLE(&t, specifics, specific);
	tests_add(&t, "TAS=0: another nexus's reset ends tasks in silence", task_aborted, NULL);
	tests_add(&t, "TAS=1: another nexus's reset ends tasks with TASK ABORTED", task_aborted,
		  &t);
	return tests_run(&t, "scsi mode_effect");
}

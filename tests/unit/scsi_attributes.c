/* Task attributes through the device: a dormant task is neither checked nor recorded nor admitted
 * before its turn, and can be cancelled without a trace; ACA and NACA are refused. */
#include "tests/unit/scsi_rig.h"
#include "gateway/scsi/commands.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"

#define TASKS 6

struct lane {
	struct scsi_task task;
	uint8_t cdb[16];
	struct iovec iov;
	unsigned dones;
};

static struct lane lanes[TASKS];

static void lane_done(struct scsi_task *task)
{
	CONTAINER_OF(task, struct lane, task)->dones++;
}

static enum scsi_step begin(unsigned n, enum scsi_attribute attribute, const uint8_t *cdb)
{
	struct lane *l = &lanes[n];

	*l = (struct lane){.iov = {rig->buffer, RIG_BLOCK}};
	memcpy(l->cdb, cdb, sizeof l->cdb);
	l->task = (struct scsi_task){
		.nexus = &rig->nexus,
		.cdb = l->cdb,
		.cdb_len = 16,
		.tag = n,
		.edtl = RIG_BLOCK,
		.attribute = (uint8_t)attribute,
		.write = cdb[0] == 0x2a,
		.read = cdb[0] != 0x2a,
		.iov = &l->iov,
		.iov_count = 1,
		.buffer_len = RIG_BLOCK,
		.done = lane_done,
	};
	return scsi_begin(&l->task);
}

static const uint8_t write_10[16] = {0x2a, 0, 0, 0, 0, 1, 0, 0, 1};
static const uint8_t read_10[16] = {0x28, 0, 0, 0, 0, 1, 0, 0, 1};
static const uint8_t ready[16] = {0x00};
static const uint8_t inquiry[16] = {0x12, 0, 0, 0, 36};
static const uint8_t unknown[16] = {0xff};

static struct scsi_task *task_of(unsigned n)
{
	return &lanes[n].task;
}

/* What was to wait comes now. */
static void starts_now(unsigned n, enum scsi_step step)
{
	assert_ptr_equal(scsi_next(&rig->nexus), task_of(n));
	assert_int_equal(scsi_start(task_of(n)), step);
}

static void no_more(void)
{
	assert_null(scsi_next(&rig->nexus));
	assert_int_equal(rig->nexus.turns.waiting, 0);
	assert_int_equal(rig->nexus.luns[0].tasks.enabled, 0);
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
}

static void data_comes(unsigned n)
{
	memset(rig->buffer, (int)('a' + n), RIG_BLOCK);
	assert_int_equal(scsi_data_arrived(task_of(n)), SCSI_RUNNING);
	rig_reap();
	assert_int_equal(lanes[n].dones, 1);
	assert_int_equal(task_of(n)->status, SCSI_GOOD);
}

static void in_order(void)
{
	uint64_t records;

	assert_int_equal(begin(0, SCSI_SIMPLE, write_10), SCSI_WANT_DATA);
	records = rig->ring.head;
	assert_int_equal(begin(1, SCSI_ORDERED, write_10), SCSI_RUNNING);
	assert_int_equal(begin(2, SCSI_SIMPLE, read_10), SCSI_RUNNING);
	assert_null(task_of(1)->admission);
	assert_int_equal(rig->ring.head, records);
	assert_null(scsi_next(&rig->nexus));
	data_comes(0);
	starts_now(1, SCSI_WANT_DATA);
	assert_int_equal(rig->ring.head, records + 1);
	assert_null(scsi_next(&rig->nexus));
	data_comes(1);
	starts_now(2, SCSI_WANT_BUFFER);
	assert_int_equal(scsi_buffer_ready(task_of(2)), SCSI_RUNNING);
	rig_reap();
	assert_int_equal(rig->buffer[0], 'b');
	assert_int_equal(lanes[2].dones, 1);
	no_more();
}

static void room(void)
{
	uint32_t before;

	assert_int_equal(begin(0, SCSI_ORDERED, write_10), SCSI_WANT_DATA);
	before = scsi_room(&rig->nexus);
	assert_int_equal(begin(1, SCSI_SIMPLE, ready), SCSI_RUNNING);
	assert_int_equal(begin(2, SCSI_SIMPLE, ready), SCSI_RUNNING);
	assert_int_equal(scsi_room(&rig->nexus), before - 2);
	assert_true(scsi_cancel(task_of(0)));
	assert_int_equal(scsi_room(&rig->nexus), before + 1 - 2);
	starts_now(1, SCSI_DONE);
	starts_now(2, SCSI_DONE);
	no_more();
}

static void cancelled_dormant(void)
{
	uint64_t records;

	assert_int_equal(begin(0, SCSI_SIMPLE, write_10), SCSI_WANT_DATA);
	assert_int_equal(begin(1, SCSI_ORDERED, write_10), SCSI_RUNNING);
	assert_int_equal(begin(2, SCSI_SIMPLE, ready), SCSI_RUNNING);
	records = rig->ring.head;
	assert_true(scsi_cancel(task_of(1)));
	assert_int_equal(rig->ring.head, records);
	assert_int_equal(lanes[1].dones, 0);
	starts_now(2, SCSI_DONE);
	data_comes(0);
	no_more();
}

static void cancelled_all(void)
{
	assert_int_equal(begin(0, SCSI_ORDERED, write_10), SCSI_WANT_DATA);
	assert_int_equal(begin(1, SCSI_ORDERED, write_10), SCSI_RUNNING);
	assert_int_equal(begin(2, SCSI_ORDERED, write_10), SCSI_RUNNING);
	for (unsigned n = 0; n < 3; n++)
		assert_true(scsi_cancel(task_of(n)));
	assert_int_equal(rig->submitted, 0);
	no_more();
}

static void cancelled_running(void)
{
	assert_int_equal(begin(0, SCSI_SIMPLE, write_10), SCSI_WANT_DATA);
	assert_int_equal(scsi_data_arrived(task_of(0)), SCSI_RUNNING);
	assert_int_equal(begin(1, SCSI_ORDERED, ready), SCSI_RUNNING);
	assert_false(scsi_cancel(task_of(0)));
	assert_null(scsi_next(&rig->nexus));
	rig_reap();
	assert_int_equal(task_of(0)->status, SCSI_TASK_ABORTED);
	starts_now(1, SCSI_DONE);
	no_more();
}

static void failed_before(void)
{
	assert_int_equal(begin(0, SCSI_SIMPLE, write_10), SCSI_WANT_DATA);
	assert_int_equal(begin(1, SCSI_ORDERED, write_10), SCSI_RUNNING);
	assert_int_equal(begin(2, SCSI_SIMPLE, ready), SCSI_RUNNING);
	rig->results[0] = -EIO;
	assert_int_equal(scsi_data_arrived(task_of(0)), SCSI_RUNNING);
	rig_reap();
	assert_int_equal(task_of(0)->status, SCSI_CHECK_CONDITION);
	starts_now(1, SCSI_WANT_DATA);
	data_comes(1);
	starts_now(2, SCSI_DONE);
	assert_int_equal(task_of(2)->status, SCSI_GOOD);
	no_more();
}

static void refused_in_turn(void)
{
	assert_int_equal(begin(0, SCSI_ORDERED, write_10), SCSI_WANT_DATA);
	assert_int_equal(begin(1, SCSI_SIMPLE, unknown), SCSI_RUNNING);
	data_comes(0);
	starts_now(1, SCSI_DONE);
	assert_int_equal(rig_code(task_of(1)), SENSE_INVALID_OPCODE);
	no_more();
}

static void attention_in_turn(void)
{
	assert_int_equal(begin(0, SCSI_ORDERED, write_10), SCSI_WANT_DATA);
	assert_int_equal(begin(1, SCSI_SIMPLE, ready), SCSI_RUNNING);
	attention_raise(&rig->nexus.luns[0], SENSE_BUS_DEVICE_RESET);
	assert_int_equal(begin(2, SCSI_HEAD_OF_QUEUE, ready), SCSI_DONE);
	assert_int_equal(rig_code(task_of(2)), SENSE_BUS_DEVICE_RESET);
	data_comes(0);
	starts_now(1, SCSI_DONE);
	assert_int_equal(task_of(1)->status, SCSI_GOOD);
	no_more();
}

static void head_of_queue(void)
{
	assert_int_equal(begin(0, SCSI_ORDERED, write_10), SCSI_WANT_DATA);
	assert_int_equal(begin(1, SCSI_SIMPLE, ready), SCSI_RUNNING);
	assert_int_equal(begin(2, SCSI_HEAD_OF_QUEUE, ready), SCSI_DONE);
	assert_int_equal(begin(3, SCSI_SIMPLE, inquiry), SCSI_WANT_BUFFER);
	assert_int_equal(scsi_buffer_ready(task_of(3)), SCSI_DONE);
	data_comes(0);
	starts_now(1, SCSI_DONE);
	no_more();
}

static void no_unit(void)
{
	static const uint8_t lun_9[8] = {0, 9};
	struct rig_command c = {.edtl = 36, .read = true};

	assert_int_equal(begin(0, SCSI_ORDERED, write_10), SCSI_WANT_DATA);
	memcpy(c.cdb, inquiry, sizeof c.cdb);
	memcpy(c.lun, lun_9, sizeof c.lun);
	assert_int_equal(rig_run(&c)->status, SCSI_GOOD);
	memcpy(c.cdb, ready, sizeof c.cdb);
	assert_int_equal(rig_code(rig_run(&c)), SENSE_LOGICAL_UNIT_NOT_SUPPORTED);
	assert_true(scsi_cancel(task_of(0)));
	no_more();
}

static void aca(void)
{
	attention_raise(&rig->nexus.luns[0], SENSE_BUS_DEVICE_RESET);
	assert_int_equal(begin(0, SCSI_ACA, ready), SCSI_DONE);
	assert_int_equal(task_of(0)->status, SCSI_CHECK_CONDITION);
	assert_int_equal(task_of(0)->sense[2], KEY_ILLEGAL_REQUEST);
	assert_int_equal(rig_code(task_of(0)), SENSE_INVALID_MESSAGE_ERROR);
	assert_int_equal(rig_last(0)->verdict, VERDICT_REFUSED);
	assert_int_equal(begin(0, SCSI_SIMPLE, ready), SCSI_DONE);
	assert_int_equal(rig_code(task_of(0)), SENSE_BUS_DEVICE_RESET);
	assert_int_equal(begin(0, SCSI_ACA, inquiry), SCSI_DONE);
	assert_int_equal(rig_code(task_of(0)), SENSE_INVALID_MESSAGE_ERROR);
	no_more();
}

/* Each bit of CONTROL: NACA, the obsolete FLAG and LINK, the reserved ones, the vendor's. */
static void control_octet(void)
{
	const struct scsi_command *c;
	size_t count;

	c = commands(&count);
	for (size_t i = 0; i < count; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			uint8_t cdb[16] = {c[i].opcode};

			if (c[i].service_action >= 0)
				cdb[1] = (uint8_t)c[i].service_action;
			cdb[c[i].cdb_len - 1] = (uint8_t)(1u << bit);
			assert_int_equal(begin(0, SCSI_SIMPLE, cdb), SCSI_DONE);
			assert_int_equal(task_of(0)->sense[2], KEY_ILLEGAL_REQUEST);
			assert_int_equal(rig_code(task_of(0)), SENSE_INVALID_FIELD_IN_CDB);
			assert_int_equal(task_of(0)->sense[15], 0xc8 | bit);
			assert_int_equal(task_of(0)->sense[17], c[i].cdb_len - 1);
			rig_audit();
		}
	}
	no_more();
}

static const struct scenario {
	const char *why;
	void (*run)(void);
} cases[] = {
	{"P2: an ORDERED task is recorded, and starts, after the one before it ended", in_order},
	{"a place of the window is kept for each task that waits", room},
	{"a dormant task is cancelled without a trace, those behind it go on", cancelled_dormant},
	{"none that is cancelled starts when the one before it is", cancelled_all},
	{"ORDERED waits until the cancelled task before it is off the disk", cancelled_running},
	{"QERR=00b: a failure ends no other task, and lets the next start", failed_before},
	{"an unknown command is refused in its turn", refused_in_turn},
	{"a unit attention is told by the first task that starts", attention_in_turn},
	{"HEAD OF QUEUE and INQUIRY pass what waits", head_of_queue},
	{"a LUN that is not there has no task set", no_unit},
	{"ACA without an ACA condition: 49h/00h, before unit attentions, INQUIRY too", aca},
	{"NACA=1, LINK, FLAG: 24h/00h with the bit of CONTROL, in every command", control_octet},
};

static void run_case(void **state)
{
	const struct scenario *row = *state;

	assert_int_equal(rig_open(state), 0);
	row->run();
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, cases, run_case);
	return tests_run(&t, "scsi_attributes");
}

/* RECEIVE COPY RESULTS on the bench: what is told of copies that run, are over, failed, or never
 * were, and what the copier says that it can do. */
#include "tests/unit/scsi_copy_rig.h"

static const struct copy_case five = {.targets = {{.lun = 0}, {.lun = 1}},
				      .segments = {{.to = 1, .blocks = 5, .to_lba = 100}},
				      .list_id = 9};
static const struct copy_case broken = {.targets = {{.lun = 0}, {.lun = 1, .spoiled = 1}},
					.segments = {{.to = 1, .blocks = 5, .to_lba = 100}},
					.list_id = 9};

static struct scsi_task *results_in(uint8_t action, uint8_t list, uint32_t room)
{
	struct rig_command c = {{0x84, action, list}, .edtl = room, .read = room > 0};

	put_be(c.cdb + 10, 4, room);
	return rig_run(&c);
}

static struct scsi_task *results(uint8_t action, uint8_t list)
{
	return results_in(action, list, 512);
}

static void status_of_done(void **state)
{
	static const uint8_t want[12] = {0, 0, 0, 8, 1, 0, 1, 0, 0, 0, 10, 0};

	(void)state;
	copy_open();
	assert_int_equal(rig_code(results(0, 9)), 0x2400);
	assert_int_equal(copy_run(&five)->status, SCSI_GOOD);
	assert_int_equal(rig_code(results(0, 8)), 0x2400);
	assert_int_equal(results(0, 9)->data_len, 12);
	assert_memory_equal(rig->buffer, want, sizeof want);
	assert_int_equal(rig_code(results(0, 9)), 0x2400); /* it was told */
	rig_close();
}

static void status_of_running(void **state)
{
	struct rig_command command, status = {{0x84, 0, 9, [13] = 12}, .edtl = 12, .read = true};
	struct scsi_task copy, task;
	uint8_t cdb[16];

	(void)state;
	copy_open();
	command = copy_command(copy_put(&five));
	rig_prepare(&copy, &command);
	memcpy(cdb, rig->cdb, sizeof cdb);
	copy.cdb = cdb;
	assert_int_equal(scsi_begin(&copy), SCSI_WANT_DATA);
	rig_give_buffer(&copy);
	assert_int_equal(scsi_data_arrived(&copy), SCSI_RUNNING);
	rig_recorded();
	for (unsigned times = 0; times < 2; times++) {
		rig_prepare(&task, &status);
		assert_int_equal(scsi_begin(&task), SCSI_WANT_BUFFER);
		task.iov = &(struct iovec){rig->buffer + 4096, 12};
		task.iov_count = 1;
		task.buffer_len = 12;
		assert_int_equal(scsi_buffer_ready(&task), SCSI_DONE);
		assert_int_equal(task.status, SCSI_GOOD);
		assert_int_equal(rig->buffer[4096 + 4], 0);
	}
	rig_reap();
	assert_int_equal(rig->dones, 1);
	assert_int_equal(copy.status, SCSI_GOOD);
	rig_close();
}

/* One that was refused before it began is none. */
static void refused(void **state)
{
	(void)state;
	copy_open();
	assert_int_equal(rig_code(copy_run(&broken)), 0x0d02);
	assert_int_equal(rig_code(results(0, 9)), 0x2400);
	assert_int_equal(rig_code(results(4, 9)), 0x2400);
	rig_close();
}

static void failure(void **state)
{
	(void)state;
	copy_open();
	assert_int_equal(copy_run(&five)->status, SCSI_GOOD);
	assert_int_equal(results(4, 9)->data_len, 4);
	assert_int_equal(get_be(rig->buffer, 4), 0);
	rig->results[3] = -EIO;
	assert_int_equal(rig_code(copy_run(&five)), 0x0d01);
	assert_int_equal(results(4, 9)->data_len, 60 + 18);
	assert_int_equal(get_be(rig->buffer, 4), 56 + 18);
	assert_int_equal(rig->buffer[56], 2);
	assert_int_equal(get_be(rig->buffer + 58, 2), 18);
	assert_int_equal(rig->buffer[60 + 2], KEY_COPY_ABORTED);
	assert_int_equal(get_be(rig->buffer + 60 + 12, 2), 0x0d01);
	rig_close();
}

/* Of a copy that is over, everything is told once: what was cut off is asked for again. */
static void cut(void **state)
{
	(void)state;
	copy_open();
	assert_int_equal(copy_run(&five)->status, SCSI_GOOD);
	for (uint32_t room = 0; room < 12; room++)
		assert_int_equal(results_in(0, 9, room)->status, SCSI_GOOD);
	assert_int_equal(results(4, 9)->data_len, 4); /* it did not fail: that is not all */
	assert_int_equal(results(0, 9)->data_len, 12);
	assert_int_equal(rig_code(results(0, 9)), 0x2400);
	rig_close();
}

static void failure_cut(void **state)
{
	(void)state;
	copy_open();
	rig->results[1] = -EIO;
	assert_int_equal(rig_code(copy_run(&five)), 0x0d01);
	assert_int_equal(results(0, 9)->data_len, 12); /* says that it failed, not why */
	assert_int_equal(results_in(4, 9, 60)->data_len, 60);
	assert_int_equal(results(4, 9)->data_len, 60 + 18);
	assert_int_equal(rig_code(results(4, 9)), 0x2400);
	rig_close();
}

/* As many as are kept: the oldest is forgotten first. */
static void many(void **state)
{
	struct copy_case c = five;

	(void)state;
	copy_open();
	for (uint8_t list = 1; list <= COPIES_MAX + 1; list++) {
		c.list_id = list;
		assert_int_equal(copy_run(&c)->status, SCSI_GOOD);
	}
	assert_int_equal(rig_code(results(0, 1)), 0x2400);
	for (uint8_t list = 2; list <= COPIES_MAX + 1; list++)
		assert_int_equal(results(0, list)->status, SCSI_GOOD);
	rig_close();
}

static void without_list(void **state)
{
	struct copy_case c = five;

	(void)state;
	copy_open();
	c.flags = 0x18;
	c.list_id = 0;
	assert_int_equal(copy_run(&c)->status, SCSI_GOOD);
	assert_int_equal(rig_code(results(0, 0)), 0x2400);
	rig_close();
}

static void parameters(void **state)
{
	(void)state;
	copy_open();
	assert_int_equal(results(3, 77)->data_len, 46);
	assert_int_equal(get_be(rig->buffer, 4), 42);
	assert_int_equal(rig->buffer[4], 1);
	assert_int_equal(get_be(rig->buffer + 8, 4), 0x00100040);
	assert_int_equal(get_be(rig->buffer + 12, 4), 2304);
	assert_int_equal(get_be(rig->buffer + 16, 4), 64 << 20);
	assert_int_equal(get_be(rig->buffer + 20, 4), 0);
	assert_int_equal(get_be(rig->buffer + 34, 3), 0x001010);
	assert_int_equal(get_be(rig->buffer + 43, 3), 0x0202e4);
	rig_close();
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "a copy that is over is told once", status_of_done, NULL);
	tests_add(&t, "a copy that runs is told as often as one asks", status_of_running, NULL);
	tests_add(&t, "a copy that was refused leaves nothing to tell", refused, NULL);
	tests_add(&t, "a copy that failed has its sense data kept", failure, NULL);
	tests_add(&t, "what an allocation length cut off is not forgotten", cut, NULL);
	tests_add(&t, "why a copy failed is told after it was told that it did", failure_cut, NULL);
	tests_add(&t, "P6: as many copies are remembered as there are places", many, NULL);
	tests_add(&t, "a copy without a list identifier is not remembered", without_list, NULL);
	tests_add(&t, "RECEIVE COPY OPERATING PARAMETERS tells the limits", parameters, NULL);
	return tests_run(&t, "scsi");
}

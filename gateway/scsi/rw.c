/* READ, WRITE, WRITE AND VERIFY and SYNCHRONIZE CACHE, SBC-3 section 5. Runs in the
 * session. What moves is bounded three times: by the CDB, by EDTL, and by the
 * direction that the transport announced. WCE=1: a write without FUA is answered
 * when the kernel's page cache has it. */
#include "gateway/scsi/medium.h"
#include "gateway/scsi/gate.h"
#include "gateway/scsi/sense.h"

enum stage { STAGE_FIRST, STAGE_PROBE };

enum scsi_step read_begin(struct scsi_task *task)
{
	uint32_t block = task->unit->block_size;

	if (!medium_is_ready(task) || !medium_check_range(task))
		return task_refuse(task);
	task->wanted = medium_octets(task);
	task->bytes = task->read ? MIN(task->wanted, task->edtl) : 0;
	task->blocks = (uint32_t)((task->bytes + block - 1) / block);
	if (!gate_admit(task))
		return task_fail(task);
	return task->bytes == 0 ? task_nothing(task) : SCSI_WANT_BUFFER;
}

static void was_read(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);

	if (!medium_continue(task, result))
		return;
	task->data_len = task->bytes;
	medium_finish(task);
}

static enum scsi_step read_map(struct scsi_task *task)
{
	medium_map(task, 0, task->bytes);
	return medium_run(task, IO_READ, was_read);
}

static void flushed_before_read(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);

	if (medium_continue(task, result) && read_map(task) == SCSI_DONE)
		task->done(task);
}

/* FUA on a read: what it returns is on the medium, so what is cached goes there first. */
enum scsi_step read_start(struct scsi_task *task)
{
	assert(task->buffer_len >= task->bytes);
	if (!medium_has_fua(task))
		return read_map(task);
	medium_promise(task);
	task->io.iov_count = 0;
	task->io.length = 0;
	return medium_run(task, IO_FLUSH, flushed_before_read);
}

/* Whole blocks only: of a block that comes in part, nothing is written. */
enum scsi_step write_begin(struct scsi_task *task)
{
	uint32_t block = task->unit->block_size;

	if (!medium_is_ready(task) || !medium_check_range(task))
		return task_refuse(task);
	if (!task->write && task->blocks != 0) {
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_refuse(task);
	}
	task->wanted = medium_octets(task);
	task->blocks = (uint32_t)(MIN(task->wanted, task->edtl) / block);
	task->bytes = medium_octets(task);
	if (!gate_admit(task))
		return task_fail(task);
	return task->bytes == 0 ? task_nothing(task) : SCSI_WANT_DATA;
}

static bool is_no_space(int result)
{
	return result == -ENOSPC || result == -EDQUOT || result == -EFBIG;
}

/* No space, with FUA: either the write had none, which is this command's failure alone, or the
 * write-back of older, answered data had none, which ends the unit. The same write without FUA
 * tells which. */
static void written(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);

	if (io->fua && is_no_space(result)) {
		task->running = false;
		task->stage = STAGE_PROBE;
		io->fua = false;
		medium_map(task, 0, task->bytes);
		medium_next(task, IO_WRITE, written);
		return;
	}
	if (task->stage == STAGE_PROBE && result == 0) {
		medium_mark_failed(task, EIO);
		result = -EIO;
	}
	if (!medium_continue(task, result))
		return;
	if (!task->command->verifies)
		medium_finish(task);
	else if (verify_start(task) == SCSI_DONE)
		task->done(task);
}

enum scsi_step write_start(struct scsi_task *task)
{
	if (task->buffer_len < task->bytes) {
		sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_fail(task);
	}
	/* SBC-3: WRITE AND VERIFY writes to the medium, and then verifies the medium. */
	task->io.fua = medium_has_fua(task) || task->command->verifies ||
		       medium_is_write_through(task);
	if (task->io.fua)
		medium_promise(task);
	medium_map(task, 0, task->bytes);
	return medium_run(task, IO_WRITE, written);
}

/* The whole unit is flushed, whatever the range; IMMED is not taken up, since its early answer
 * would be worth nothing. Number of blocks 0: to the end. */
enum scsi_step synchronize_begin(struct scsi_task *task)
{
	if (!medium_is_ready(task) || !medium_check_range(task))
		return task_refuse(task);
	if (!gate_admit(task))
		return task_fail(task);
	return medium_flush(task);
}

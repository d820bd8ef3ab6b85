/* Commands that are alone on their blocks, SBC-4: COMPARE AND WRITE, ORWRITE(16) and WRITE
 * ATOMIC(16). Runs in the session; the data-out is the peer's. Each takes its blocks as an
 * exclusive range from the arbiter, so that no request of any session, this one's included, comes
 * between its read and its write. None asks for FUA on its write: a flush afterwards keeps apart
 * what a write and what a write-back without room means. */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"
#include "gateway/scsi/verifier.h"

#define ATOMIC_BOUNDARY_AT 10

static enum scsi_step admit(struct scsi_task *task)
{
	if (!gate_admit(task))
		return task_fail(task);
	return task->bytes == 0 ? task_nothing(task) : SCSI_WANT_DATA;
}

/* First the buffer, then the range: verifier.h says why. */
static enum scsi_step start(struct scsi_task *task,
			    enum scsi_step (*with_buffer)(struct scsi_task *))
{
	if (task->buffer_len >= task->bytes)
		return verifier_take(task, with_buffer);
	sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
	return task_fail(task);
}

/* It is written: the blocks are everybody's again. */
static void finish(struct scsi_task *task)
{
	range_drop(task);
	verifier_leave(task);
	if (!medium_has_fua(task))
		medium_finish(task);
	else if (medium_flush(task) == SCSI_DONE)
		task->done(task);
}

static void written(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);

	if (medium_continue(task, result))
		finish(task);
}

/* --- COMPARE AND WRITE: the blocks to compare with, then those to write --- */

/* 256 blocks, of which the CDB says 0, are a mistake and no success that writes nothing. */
static bool has_both(const struct scsi_task *task)
{
	return task->edtl == task->bytes && (task->write || task->bytes == 0);
}

enum scsi_step compare_write_begin(struct scsi_task *task)
{
	if (!medium_is_ready(task) || !medium_check_range(task))
		return task_refuse(task);
	task->wanted = task->bytes = 2 * medium_octets(task);
	if (task->blocks > COMPARE_AND_WRITE_MAX_BLOCKS || !has_both(task)) {
		sense_cdb_field(task, task->command->blocks.at, 7);
		return task_refuse(task);
	}
	return admit(task);
}

static bool is_equal(struct scsi_task *task, const uint8_t *octets, size_t len)
{
	return verifier_match(task, task->progress, octets, len);
}

static void compared(struct scsi_task *task)
{
	size_t half = medium_octets(task);

	medium_map(task, half, half);
	medium_next(task, IO_WRITE, written);
}

static enum scsi_step compare(struct scsi_task *task)
{
	return verifier_read(task, is_equal, compared);
}

static enum scsi_step compare_alone(struct scsi_task *task)
{
	return range_take(task, compare);
}

enum scsi_step compare_write_start(struct scsi_task *task)
{
	return start(task, compare_alone);
}

/* --- ORWRITE, which begins as a write --- */

/* The medium's octets come into the data-out, which is written then. */
static bool or_into(struct scsi_task *task, const uint8_t *octets, size_t len)
{
	size_t skip = task->progress;

	for (unsigned i = 0; i < task->iov_count && len > 0; i++) {
		uint8_t *base = task->iov[i].iov_base;

		if (skip >= task->iov[i].iov_len) {
			skip -= task->iov[i].iov_len;
			continue;
		}
		for (; skip < task->iov[i].iov_len && len > 0; len--)
			base[skip++] |= *octets++;
		skip = 0;
	}
	assert(len == 0);
	return true;
}

static void combined(struct scsi_task *task)
{
	medium_map(task, 0, task->bytes);
	medium_next(task, IO_WRITE, written);
}

static enum scsi_step combine(struct scsi_task *task)
{
	return verifier_read(task, or_into, combined);
}

static enum scsi_step combine_alone(struct scsi_task *task)
{
	return range_take(task, combine);
}

enum scsi_step orwrite_start(struct scsi_task *task)
{
	return start(task, combine_alone);
}

/* --- WRITE ATOMIC --- */

static bool check_multiple(struct scsi_task *task, uint64_t value, unsigned octet)
{
	if (value % unit_atomic_granularity(task->unit) == 0)
		return true;
	sense_cdb_field(task, octet, 7);
	return false;
}

static bool check_most(struct scsi_task *task, uint64_t value, unsigned octet)
{
	if (value <= unit_atomic_blocks(task->unit))
		return true;
	sense_cdb_field(task, octet, 7);
	return false;
}

/* SBC-4 section 4.29.1. With a boundary it may be several atomic writes: it is one all the same. */
static bool check_limits(struct scsi_task *task)
{
	const struct scsi_command *c = task->command;
	uint64_t boundary = get_be(task->cdb + ATOMIC_BOUNDARY_AT, 2);

	return check_most(task, task->blocks, c->blocks.at) &&
	       check_most(task, boundary, ATOMIC_BOUNDARY_AT) &&
	       check_multiple(task, task->lba, c->lba.at) &&
	       check_multiple(task, task->blocks, c->blocks.at) &&
	       check_multiple(task, boundary, ATOMIC_BOUNDARY_AT);
}

/* Of an atomic write no part is written. */
static bool has_all(struct scsi_task *task)
{
	if (task->bytes == 0 || (task->write && task->edtl >= task->bytes))
		return true;
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_COMMAND_IU);
	return false;
}

enum scsi_step write_atomic_begin(struct scsi_task *task)
{
	task->wanted = task->bytes = medium_octets(task);
	if (!medium_is_ready(task) || !medium_check_range(task) || !check_limits(task) ||
	    !has_all(task))
		return task_refuse(task);
	return admit(task);
}

static void map_kept(struct scsi_task *task)
{
	task->io.length = task->bytes;
	task->io.iov[0] = (struct iovec){verifier_buffer(task), task->bytes};
	task->io.iov_count = 1;
}

static bool is_gone(int result)
{
	return result == -ESTALE || result == -ENODATA;
}

/* The error of the write is told. What can't be put back is torn: neither the old blocks nor the
 * new ones are there, so nothing on the unit is to be believed any more. */
static void undone(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);

	if (result < 0) {
		task->error = is_gone(result) ? result : -EIO;
		medium_mark_failed(task, -task->error);
	}
	if (medium_continue(task, task->error))
		assert(false);
}

/* SBC-4 section 4.29.2: what could not be written as a whole is as it was. */
static void atomic_written(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);

	task->undoes = false;
	if (result < 0) {
		task->running = false;
		task->error = result;
		map_kept(task);
		medium_next(task, IO_WRITE, undone);
	} else if (medium_continue(task, result)) {
		finish(task);
	}
}

static void kept(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);

	if (!medium_continue(task, result))
		return;
	task->undoes = true;
	medium_map(task, 0, task->bytes);
	medium_next(task, IO_WRITE, atomic_written);
}

/* What is there is read first, to be put back if the write fails. */
static enum scsi_step keep(struct scsi_task *task)
{
	map_kept(task);
	return medium_run(task, IO_READ, kept);
}

static enum scsi_step write_alone(struct scsi_task *task)
{
	return range_take(task, keep);
}

enum scsi_step write_atomic_start(struct scsi_task *task)
{
	return start(task, write_alone);
}

/* WRITE SAME(10) and (16), SBC-3 section 5: one block of data-out, or zeroes with NDOB, onto a
 * range. Runs in the session. The range is written in bounded pieces that repeat the block
 * in their list of segments, so that a range of any length takes no memory and an abort
 * is heard between two pieces. */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/zeroes.h"

#define NDOB  0x01
#define UNMAP 0x08

static bool has_no_data(const struct scsi_task *task)
{
	return task->command->cdb_len == 16 && (task->cdb[1] & NDOB) != 0;
}

static bool unmaps(const struct scsi_task *task)
{
	return (task->cdb[1] & UNMAP) != 0;
}

static bool check_unmap(struct scsi_task *task)
{
	if (!unmaps(task) || task->unit->thin)
		return true;
	sense_cdb_field(task, 1, 3);
	return false;
}

/* VPD page B0h says WSNZ=1: "to the end of the medium" is not offered. */
static bool check_length(struct scsi_task *task)
{
	if (task->blocks != 0 && task->blocks <= WRITE_SAME_MAX_BLOCKS)
		return true;
	sense_cdb_field(task, task->command->blocks.at, 7);
	return false;
}

/* One block, no more and no less: of a part nothing can be written, and what is more than a block
 * is a mistake that would not show. */
static bool check_data(struct scsi_task *task)
{
	if (has_no_data(task) || (task->write && task->edtl == task->unit->block_size))
		return true;
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_COMMAND_IU);
	return false;
}

/* That a unit is read-only, which the gate says, goes before what is wrong besides. */
static bool check_fields(struct scsi_task *task)
{
	return !task->unit->writable ||
	       (check_length(task) && check_unmap(task) && check_data(task));
}

enum scsi_step write_same_begin(struct scsi_task *task)
{
	if (!medium_is_ready(task) || !medium_check_range(task) || !check_fields(task))
		return task_refuse(task);
	task->wanted = task->bytes = has_no_data(task) ? 0 : task->unit->block_size;
	if (!gate_admit(task))
		return task_fail(task);
	return task->bytes == 0 ? write_same_start(task) : SCSI_WANT_DATA;
}

static bool is_zero(const struct iovec *v)
{
	const uint8_t *octets = v->iov_base;

	return v->iov_len == 0 ||
	       (octets[0] == 0 && memcmp(octets, octets + 1, v->iov_len - 1) == 0);
}

static bool writes_zeroes(const struct scsi_task *task)
{
	for (unsigned i = 0; task->bytes != 0 && i < task->iov_count; i++) {
		if (!is_zero(&task->iov[i]))
			return false;
	}
	return true;
}

/* The segments of one block after another, as far as they go. */
static void map_block(struct scsi_task *task, uint64_t left)
{
	struct io *io = &task->io;
	uint32_t block = task->unit->block_size;

	for (io->length = 0; io->length < left; io->length += block) {
		size_t rest = block;

		if (io->iov_count + task->iov_count > IO_SEGMENTS_MAX)
			break;
		for (unsigned i = 0; i < task->iov_count && rest > 0; i++) {
			struct iovec v = task->iov[i];

			v.iov_len = MIN(v.iov_len, rest);
			rest -= v.iov_len;
			io->iov[io->iov_count++] = v;
		}
		assert(rest == 0);
	}
	assert(io->length > 0);
}

static void written(struct io *io, int result);

static enum scsi_step write_piece(struct scsi_task *task)
{
	uint64_t left = medium_octets(task) - task->progress;

	task->io.iov_count = 0;
	map_block(task, left);
	return medium_run(task, IO_WRITE, written);
}

static void written(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);
	size_t len = io->length;

	if (!medium_continue(task, result))
		return;
	task->progress += len;
	if (task->progress == medium_octets(task))
		medium_finish(task);
	else if (write_piece(task) == SCSI_DONE)
		task->done(task);
}

enum scsi_step write_same_start(struct scsi_task *task)
{
	if (task->buffer_len < task->bytes) {
		sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_fail(task);
	}
	/* SBC-3: only what reads the same afterwards is unmapped, so nothing but zeroes is */
	if (writes_zeroes(task))
		return zeroes_begin(task, unmaps(task) ? IO_DISCARD : IO_ZERO, medium_finish);
	return write_piece(task);
}

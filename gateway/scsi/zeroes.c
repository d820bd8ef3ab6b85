/* Makes a range of the medium read as zeroes, piece by piece, so that an abort is heard in
 * between. Runs in the session. A disk that can't discard or zero a range says so with its
 * first piece, and the rest of the range is written. */
#include "gateway/scsi/zeroes.h"

#define CHANGE_PIECE (64u << 20) /* of a discard: octets that one call may take its time for */

static const _Alignas(IO_ALIGNED) uint8_t zeroes[16u << 10];

static void map_zeroes(struct scsi_task *task, uint64_t left)
{
	struct io *io = &task->io;

	for (io->length = 0; io->length < left && io->iov_count < IO_SEGMENTS_MAX;) {
		size_t part = MIN(sizeof zeroes, left - io->length);

		/* written from, never to */
		io->iov[io->iov_count++] = (struct iovec){(void *)(uintptr_t)zeroes, part};
		io->length += part;
	}
}

static void zeroed(struct io *io, int result);

static enum scsi_step run_piece(struct scsi_task *task, enum io_op op)
{
	uint64_t left = medium_octets(task) - task->progress;

	task->io.iov_count = 0;
	task->io.length = MIN(left, CHANGE_PIECE);
	if (op == IO_WRITE)
		map_zeroes(task, left);
	return medium_run(task, op, zeroed);
}

static void next_piece(struct scsi_task *task, enum io_op op)
{
	if (run_piece(task, op) == SCSI_DONE)
		task->done(task);
}

static void zeroed(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);
	size_t len = io->length;

	if (io->op != IO_WRITE && !task->cancelled &&
	    (result == -EOPNOTSUPP || result == -EINVAL)) {
		task->running = false;
		next_piece(task, IO_WRITE);
		return;
	}
	if (!medium_continue(task, result))
		return;
	task->progress += len;
	if (task->progress == medium_octets(task))
		task->range_over(task);
	else
		next_piece(task, io->op);
}

enum scsi_step zeroes_begin(struct scsi_task *task, enum io_op op,
			    void (*over)(struct scsi_task *task))
{
	task->range_over = over;
	return run_piece(task, op);
}

/* GET LBA STATUS, SBC-3: which blocks have room of their own, as the disk's file has holes or
 * not. Runs in the session. A hole that keeps its room (zeroed by a call) can't be told from
 * one that does not: both are deallocated here, and both read as zeroes. */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/rules.h"
#include "gateway/scsi/sense.h"

#define LIST_HEADER	8u
#define DESCRIPTOR	16u
#define DESCRIPTORS_MAX 64u

enum { MAPPED = 0, DEALLOCATED = 1 };

static void found(struct io *io, int result);

/* Of blocks that are protected from being read it is not told whether they were written: the list
 * ends before them, which SBC-3 leaves to the device server, and does not begin within. */
static uint64_t octets_told(const struct scsi_task *task)
{
	return rules_readable_end(task->nexus, task->unit, task->lba) * task->unit->block_size;
}

static enum scsi_step find_next(struct scsi_task *task)
{
	task->io.iov_count = 0;
	task->io.length = task->unit->block_size;
	return medium_run(task, IO_EXTENT, found);
}

enum scsi_step lba_status_begin(struct scsi_task *task)
{
	size_t room = command_allocation(task);

	if (!task->unit->thin) {
		sense_cdb_field(task, 1, 4);
		return task_refuse(task);
	}
	if (!medium_is_ready(task) || !medium_check_range(task))
		return task_refuse(task);
	task->wanted = MIN(room, LIST_HEADER + DESCRIPTOR * DESCRIPTORS_MAX);
	task->bytes = task->read ? MIN(task->wanted, task->edtl) : 0;
	if (!gate_admit(task))
		return task_fail(task);
	return task->bytes == 0 ? task_nothing(task) : SCSI_WANT_BUFFER;
}

enum scsi_step lba_status_start(struct scsi_task *task)
{
	assert(task->buffer_len >= task->bytes);
	return find_next(task);
}

/* Into the data-in from `at` on, as far as there is room. */
static void place(struct scsi_task *task, size_t at, const uint8_t *octets, size_t len)
{
	size_t room = task->bytes;

	for (unsigned i = 0; i < task->iov_count && len > 0 && at < room; i++) {
		const struct iovec *v = &task->iov[i];
		size_t part;

		if (at >= v->iov_len) {
			at -= v->iov_len;
			room -= MIN(room, v->iov_len);
			continue;
		}
		part = MIN(MIN(len, v->iov_len - at), room - at);
		memcpy((uint8_t *)v->iov_base + at, octets, part);
		octets += part;
		len -= part;
		room -= MIN(room, v->iov_len);
		at = 0;
	}
}

/* Whole blocks: one that has room in part is mapped. Returns where the blocks of one kind end. */
static uint64_t extent_end(const struct scsi_task *task, bool *ret_mapped)
{
	const struct io *io = &task->io;
	uint64_t block = task->unit->block_size, end = MIN(io->extent_end, octets_told(task));

	*ret_mapped = io->extent_is_data;
	end = io->extent_is_data ? (end + block - 1) / block * block : end / block * block;
	if (end <= io->offset) {
		*ret_mapped = true;
		end = io->offset + block;
	}
	return MIN(end, io->offset + block * UINT32_MAX);
}

static void put_descriptor(struct scsi_task *task)
{
	uint8_t descriptor[DESCRIPTOR] = {0};
	uint32_t block = task->unit->block_size;
	bool mapped;
	uint64_t end = extent_end(task, &mapped);

	put_be(descriptor, 8, task->io.offset / block);
	put_be(descriptor + 8, 4, (end - task->io.offset) / block);
	descriptor[12] = mapped ? MAPPED : DEALLOCATED;
	place(task, LIST_HEADER + DESCRIPTOR * (size_t)task->stage, descriptor, sizeof descriptor);
	task->stage++;
	task->progress = end - task->lba * block;
}

static void finish(struct scsi_task *task)
{
	size_t len = LIST_HEADER + DESCRIPTOR * (size_t)task->stage;
	uint8_t header[LIST_HEADER] = {0};

	put_be(header, 4, len - 4);
	place(task, 0, header, sizeof header);
	task->wanted = MIN(task->wanted, len);
	task->data_len = MIN(task->bytes, len);
	medium_finish(task);
}

static void found(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);

	if (!medium_continue(task, result))
		return;
	put_descriptor(task);
	if (task->lba * task->unit->block_size + task->progress >= octets_told(task) ||
	    LIST_HEADER + DESCRIPTOR * (size_t)(task->stage + 1) > task->bytes)
		finish(task);
	else if (find_next(task) == SCSI_DONE)
		task->done(task);
}

/* UNMAP, SBC-3 section 5: gives the room of ranges back; they read as zeroes afterwards. Runs
 * in the session. The list of ranges is the peer's: it is checked whole, with every
 * length in it, before the gate admits the command and anything is touched (P2: the audit has
 * each range first). */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/zeroes.h"

#define LIST_HEADER 8u
#define DESCRIPTOR  16u

/* Descriptors that are there as a whole: the CDB's length may cut the list, SBC-3. */
static unsigned range_count(const struct scsi_task *task)
{
	uint8_t header[LIST_HEADER];

	task_gather(task, 0, header, sizeof header);
	return (unsigned)(MIN(get_be(header + 2, 2), task->bytes - LIST_HEADER) / DESCRIPTOR);
}

static struct gate_range range_at(const struct scsi_task *task, unsigned i)
{
	uint8_t descriptor[DESCRIPTOR];

	task_gather(task, LIST_HEADER + (size_t)i * DESCRIPTOR, descriptor, sizeof descriptor);
	return (struct gate_range){
		.lba = get_be(descriptor, 8),
		.blocks = (uint32_t)get_be(descriptor + 8, 4),
	};
}

/* The ranges that have blocks, of which there may be none. -1: the task has its sense. Ranges may
 * overlap: a block can be given back twice. */
static int check_list(struct scsi_task *task, struct gate_range ret[UNMAP_MAX_RANGES])
{
	unsigned count = range_count(task);
	uint64_t total = 0;
	int used = 0;

	if (count > UNMAP_MAX_RANGES) {
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
		return -1;
	}
	for (unsigned i = 0; i < count; i++) {
		struct gate_range r = range_at(task, i);

		if (r.lba > task->unit->blocks || r.blocks > task->unit->blocks - r.lba) {
			sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_LBA_OUT_OF_RANGE);
			return -1;
		}
		total += r.blocks;
		if (r.blocks != 0)
			ret[used++] = r;
	}
	if (total <= UNMAP_MAX_BLOCKS)
		return used;
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
	return -1;
}

static bool check_length(struct scsi_task *task, size_t len)
{
	if (len != 0 && len < LIST_HEADER)
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_PARAMETER_LIST_LENGTH_ERROR);
	else if (len != 0 && (!task->write || task->edtl < len))
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_COMMAND_IU);
	else
		return true;
	return false;
}

enum scsi_step unmap_begin(struct scsi_task *task)
{
	size_t len = get_be(task->cdb + 7, 2);

	if (!task->unit->writable) /* which goes before all else: the gate says so */
		return gate_admit(task) ? task_nothing(task) : task_fail(task);
	if (!task->unit->thin) {
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_OPCODE);
		return task_refuse(task);
	}
	if (!medium_is_ready(task) || !check_length(task, len))
		return task_refuse(task);
	task->wanted = task->bytes = len;
	if (len == 0)
		return gate_admit(task) ? task_nothing(task) : task_fail(task);
	return gate_reserve(task) ? SCSI_WANT_DATA : task_fail(task);
}

/* The next range that has blocks becomes the task's. */
static bool take_range(struct scsi_task *task)
{
	unsigned count = range_count(task);

	while (task->next_range < count) {
		struct gate_range r = range_at(task, task->next_range++);

		if (r.blocks == 0)
			continue;
		task->lba = r.lba;
		task->blocks = r.blocks;
		task->progress = 0;
		return true;
	}
	return false;
}

static void range_over(struct scsi_task *task)
{
	if (!take_range(task))
		medium_finish(task);
	else if (zeroes_begin(task, IO_DISCARD, range_over) == SCSI_DONE)
		task->done(task);
}

enum scsi_step unmap_start(struct scsi_task *task)
{
	struct gate_range ranges[UNMAP_MAX_RANGES];
	int used;

	if (task->buffer_len < task->bytes) {
		sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_refuse(task);
	}
	used = check_list(task, ranges);
	if (used < 0)
		return task_refuse(task);
	if (gate_lacks_room(task, (unsigned)used))
		return gate_when_durable(task, unmap_start);
	if (!gate_admit_ranges(task, ranges, (unsigned)used))
		return task_fail(task);
	if (!take_range(task))
		return task_nothing(task);
	return zeroes_begin(task, IO_DISCARD, range_over);
}

/* EXTENDED COPY, SPC-4 section 6.4: blocks go from unit to unit within the gateway. Runs in
 * the session. The whole list is checked, and each source and each destination is admitted and
 * in the audit, before the first block moves (P2); so of a list with a bad segment nothing
 * is carried out. */
#include "gateway/scsi/copy_list.h"
#include "gateway/scsi/gate.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/sense.h"

static bool check_length(struct scsi_task *task, size_t len)
{
	size_t header = copy_list_header(task);

	if (len != 0 && (len < header || len > header + COPY_DESCRIPTORS_MAX))
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_PARAMETER_LIST_LENGTH_ERROR);
	else if (len != 0 && (!task->write || task->edtl < len))
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_COMMAND_IU);
	else
		return true;
	return false;
}

enum scsi_step copy_begin(struct scsi_task *task)
{
	size_t len = get_be(task->cdb + 10, 4);

	if (!medium_is_ready(task) || !check_length(task, len))
		return task_refuse(task);
	task->wanted = task->bytes = len;
	if (len == 0)
		return gate_admit(task) ? task_nothing(task) : task_fail(task);
	return gate_reserve(task) ? SCSI_WANT_DATA : task_fail(task);
}

/* The list was checked; what it names can't go away within a session. */
static bool next_segment(struct scsi_task *task, struct copy_move *ret)
{
	struct copy_list list;

	if (!copy_list_read(task, &list) || task->copy->moves >= list.segments)
		return false;
	return copy_list_move(task, &list, task->copy->moves, ret);
}

static void copied(struct scsi_task *task, int result)
{
	if (result == 0) {
		medium_finish(task);
		return;
	}
	medium_fail(task, result); /* the unit may be lost */
	sense_copy_aborted(task, SENSE_THIRD_PARTY_DEVICE_FAILURE, task->copy->moves);
	task_finish(task, task_fail);
}

static struct gate_range range_of(const struct scsi_lun *unit, uint64_t octet, uint64_t octets)
{
	return (struct gate_range){
		.unit = unit,
		.lba = octet / unit->block_size,
		.blocks = (uint32_t)(octets / unit->block_size),
	};
}

/* Source and destination of each segment that has blocks. -1: the task has its sense. */
static int check_segments(struct scsi_task *task, const struct copy_list *list,
			  struct gate_range ret[2 * COPY_SEGMENTS_MAX])
{
	int count = 0;

	for (unsigned i = 0; i < list->segments; i++) {
		struct copy_move m;

		if (!copy_list_move(task, list, i, &m))
			return -1;
		if (m.octets == 0)
			continue;
		ret[count] = range_of(m.from, m.from_octet, m.octets);
		ret[count++].source = true;
		ret[count++] = range_of(m.to, m.to_octet, m.octets);
	}
	return count;
}

enum scsi_step copy_start(struct scsi_task *task)
{
	struct gate_range ranges[2 * COPY_SEGMENTS_MAX];
	struct copy_list list;
	int count;

	if (task->buffer_len < task->bytes) {
		sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_refuse(task);
	}
	if (!copy_list_read(task, &list) || (count = check_segments(task, &list, ranges)) < 0)
		return task_refuse(task);
	if (gate_lacks_room(task, (unsigned)count))
		return gate_when_durable(task, copy_start);
	if (!copier_begin(task, list.has_list, list.list))
		return task->status == SCSI_BUSY ? task_busy(task) : task_refuse(task);
	if (!gate_admit_ranges(task, ranges, (unsigned)count))
		return task_fail(task);
	return copier_run(task, next_segment, copied);
}

/* While this one waited for its record, the copy may have come to its end. */
static enum scsi_step stop(struct scsi_task *task)
{
	struct copy *copy =
		copier_find(task->nexus, task->unit, (uint32_t)get_be(task->cdb + 2, 4));

	if (copy != NULL && copy->state == COPY_RUNS)
		copy->stopped = true;
	return task_good(task);
}

/* COPY OPERATION ABORT: the copy ends after the piece that is on its way. */
enum scsi_step copy_abort_begin(struct scsi_task *task)
{
	const struct copy *copy =
		copier_find(task->nexus, task->unit, (uint32_t)get_be(task->cdb + 2, 4));

	if (copy == NULL || copy->state != COPY_RUNS) {
		sense_cdb_field(task, 2, 7);
		return task_refuse(task);
	}
	if (!gate_admit(task))
		return task_fail(task);
	return gate_when_recorded(task, stop);
}

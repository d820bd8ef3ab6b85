/* SANITIZE, SBC-4: overwrites the whole medium with a pattern, or erases its blocks (gives their
 * room back), as the policy has to allow by name; cryptographic erase is not offered. Runs in the
 * session. One that failed leaves the medium closed until one succeeds, or until EXIT FAILURE MODE,
 * if it was allowed beforehand (AUSE). */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/operation.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"

/* CDB, octet 1 */
enum { IMMED = 0x80, AUSE = 0x20 };
/* Parameter list of OVERWRITE, octet 0 */
enum { INVERT = 0x80, TEST = 0x60, COUNT = 0x1f };

#define HEADER	  4u
#define LENGTH_AT 7 /* in the CDB */

static size_t list_length(const struct scsi_task *task)
{
	return get_be(task->cdb + LENGTH_AT, 2);
}

static bool check_length(struct scsi_task *task, size_t least, size_t most)
{
	size_t len = list_length(task);

	if (len < least || len > most) {
		sense_cdb_field(task, LENGTH_AT, 7);
		return false;
	}
	if (len == 0 || (task->write && task->edtl >= len))
		return true;
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_COMMAND_IU);
	return false;
}

/* What every kind of it has in its CDB. */
static struct operation_plan plan_of(const struct scsi_task *task)
{
	return (struct operation_plan){
		.sanitizes = true,
		.continues = true,
		.immediate = (task->cdb[1] & IMMED) != 0,
		.free_exit = (task->cdb[1] & AUSE) != 0,
		.passes = 1,
	};
}

/* --- OVERWRITE --- */

enum scsi_step sanitize_overwrite_begin(struct scsi_task *task)
{
	if (!medium_is_ready(task) ||
	    !check_length(task, HEADER + 1, HEADER + task->unit->block_size))
		return task_refuse(task);
	task->wanted = task->bytes = list_length(task);
	return gate_reserve(task) ? SCSI_WANT_DATA : task_fail(task);
}

static bool fail_octet(struct scsi_task *task, unsigned octet)
{
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_PARAMETER_LIST);
	sense_parameter_field(task, octet);
	return false;
}

/* TEST is for whom we do not know; 0 passes are none. */
static bool check_list(struct scsi_task *task, const uint8_t header[HEADER])
{
	size_t pattern = get_be(header + 2, 2);

	if ((header[0] & TEST) != 0 || (header[0] & COUNT) == 0)
		return fail_octet(task, 0);
	if (header[1] != 0)
		return fail_octet(task, 1);
	if (pattern == 0 || pattern > task->bytes - HEADER)
		return fail_octet(task, 2);
	return true;
}

/* In each block the pattern begins anew, and is cut at the block's end. */
static uint8_t *pattern_make(const struct scsi_task *task, size_t len, bool invert)
{
	uint8_t *octets = aligned_alloc(IO_ALIGNED, PATTERN_OCTETS);
	uint32_t block = task->unit->block_size;

	if (octets == NULL)
		return NULL;
	task_gather(task, HEADER, octets, len);
	for (size_t i = 0; i < len && invert; i++)
		octets[i] = (uint8_t)~octets[i];
	for (size_t i = len; i < PATTERN_OCTETS; i++)
		octets[i] = i % block == 0 ? octets[0]
			    : i < block	   ? octets[i - len]
					   : octets[i - block];
	return octets;
}

enum scsi_step sanitize_overwrite_start(struct scsi_task *task)
{
	struct operation_plan plan = plan_of(task);
	uint8_t header[HEADER];

	if (task->buffer_len < task->bytes) {
		sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_refuse(task);
	}
	task_gather(task, 0, header, sizeof header);
	if (!check_list(task, header))
		return task_refuse(task);
	if (!gate_admit_ranges(task, NULL, 0))
		return task_fail(task);
	plan.op = IO_WRITE;
	plan.passes = header[0] & COUNT;
	plan.invert = (header[0] & INVERT) != 0;
	/* the last pass writes the pattern itself */
	plan.pattern =
		pattern_make(task, get_be(header + 2, 2), plan.invert && plan.passes % 2 == 0);
	return plan.pattern == NULL ? task_busy(task) : operation_start(task, &plan);
}

/* --- BLOCK ERASE --- */

enum scsi_step sanitize_erase_begin(struct scsi_task *task)
{
	struct operation_plan plan = plan_of(task);

	if (!task->unit->thin) { /* not offered: REPORT SUPPORTED OPERATION CODES says so */
		sense_cdb_field(task, 1, 4);
		return task_refuse(task);
	}
	if (!medium_is_ready(task) || !check_length(task, 0, 0))
		return task_refuse(task);
	if (!gate_admit(task))
		return task_fail(task);
	plan.op = IO_DISCARD;
	return operation_start(task, &plan);
}

/* --- EXIT FAILURE MODE --- */

static void order_exit(const struct scsi_task *task, struct arbiter_order *ret)
{
	(void)task;
	ret->kind = ORDER_OPERATION;
	ret->flags = ORDER_EXIT;
}

enum scsi_step sanitize_exit_begin(struct scsi_task *task)
{
	if (!check_length(task, 0, 0))
		return task_refuse(task);
	if (!gate_admit(task))
		return task_fail(task);
	return task_order(task, order_exit, task_answered);
}

/* VERIFY, SBC-3: reads the medium, and with BYTCHK compares it with the data-out; PRE-FETCH, which
 * reads it alone. Runs in the session. Commands share one buffer of the nexus, so that a
 * verify of any length takes no memory. */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/verifier.h"

enum byte_check { BYTCHK_MEDIUM = 0, BYTCHK_ALL = 1, BYTCHK_RESERVED = 2, BYTCHK_ONE_BLOCK = 3 };

/* Of PRE-FETCH the bits are others, and nothing is compared. */
static enum byte_check byte_check(const struct scsi_task *task)
{
	if (task->command->begin == pre_fetch_begin)
		return BYTCHK_MEDIUM;
	return (enum byte_check)(task->cdb[1] >> 1 & 3);
}

/* False: the task has its sense. BYTCHK=11b: one block of data-out is for each. */
static bool matches(struct scsi_task *task, const uint8_t *medium, size_t len)
{
	uint32_t block = task->unit->block_size;

	if (byte_check(task) == BYTCHK_MEDIUM)
		return true;
	if (byte_check(task) == BYTCHK_ALL)
		return verifier_match(task, task->progress, medium, len);
	for (size_t at = 0; at < len; at += block) {
		if (!verifier_match(task, 0, medium + at, block))
			return false;
	}
	return true;
}

static enum scsi_step read_medium(struct scsi_task *task)
{
	return verifier_read(task, matches, medium_finish);
}

enum scsi_step verify_start(struct scsi_task *task)
{
	if (byte_check(task) != BYTCHK_MEDIUM && task->buffer_len < task->bytes) {
		sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_fail(task);
	}
	return verifier_take(task, read_medium);
}

/* How much data-out there is to compare with, and how many blocks it speaks for. */
static void plan_compare(struct scsi_task *task)
{
	uint32_t block = task->unit->block_size;

	task->bytes = 0;
	if (byte_check(task) == BYTCHK_ALL) {
		task->wanted = medium_octets(task);
		task->blocks = (uint32_t)(MIN(task->wanted, task->edtl) / block);
		task->bytes = medium_octets(task);
	} else if (byte_check(task) == BYTCHK_ONE_BLOCK && task->blocks != 0) {
		task->wanted = block;
		task->bytes = task->edtl >= block ? block : 0;
		task->blocks = task->bytes == 0 ? 0 : task->blocks;
	}
}

enum scsi_step verify_begin(struct scsi_task *task)
{
	if (!medium_is_ready(task) || !medium_check_range(task))
		return task_refuse(task);
	if (byte_check(task) == BYTCHK_RESERVED) {
		sense_cdb_field(task, 1, 2);
		return task_refuse(task);
	}
	if (byte_check(task) != BYTCHK_MEDIUM && !task->write && task->blocks != 0) {
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_refuse(task);
	}
	plan_compare(task);
	if (!gate_admit(task))
		return task_fail(task);
	if (task->blocks == 0)
		return task_nothing(task);
	return task->bytes == 0 ? verify_start(task) : SCSI_WANT_DATA;
}

/* PRE-FETCH, SBC-3: what VERIFY reads is in the page cache afterwards. CONDITION MET: all of it is.
 * With 0 blocks, which is "to the end", we fetch as much as MAXIMUM PREFETCH LENGTH and say GOOD:
 * not all of it. IMMED is not taken up: an early answer would tell less. */
enum scsi_step pre_fetch_begin(struct scsi_task *task)
{
	uint64_t rest;

	if (!medium_is_ready(task) || !medium_check_range(task))
		return task_refuse(task);
	rest = task->unit->blocks - task->lba;
	task->met_status = SCSI_CONDITION_MET;
	if (task->blocks == 0) {
		task->blocks = (uint32_t)MIN(rest, SCSI_TRANSFER_MAX / task->unit->block_size);
		task->met_status = task->blocks < rest ? SCSI_GOOD : SCSI_CONDITION_MET;
	}
	if (!gate_admit(task))
		return task_fail(task);
	return verify_start(task);
}

/* VERIFY, SBC-3: reads the medium, and with BYTCHK compares it with the data-out. Runs in
 * the session. The pieces share one buffer of the nexus, so that a verify of any
 * length takes no memory; commands that wait for it can be cancelled. */
#include "gateway/scsi/verify.h"
#include "gateway/scsi/gate.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/sense.h"

enum byte_check { BYTCHK_MEDIUM = 0, BYTCHK_ALL = 1, BYTCHK_RESERVED = 2, BYTCHK_ONE_BLOCK = 3 };

struct verifier {
	struct scsi_task *owner, *waiting;
	uint8_t buffer[VERIFY_PIECE];
};

int verifier_open(struct verifier **ret_verifier)
{
	struct verifier *v = calloc(1, sizeof *v);

	if (v == NULL)
		return -ENOMEM;
	*ret_verifier = v;
	return 0;
}

void verifier_close(struct verifier *v)
{
	free(v);
}

/* Of PRE-FETCH the bits are others, and nothing is compared. */
static enum byte_check byte_check(const struct scsi_task *task)
{
	if (task->command->begin == pre_fetch_begin)
		return BYTCHK_MEDIUM;
	return (enum byte_check)(task->cdb[1] >> 1 & 3);
}

void verifier_leave(struct scsi_task *task)
{
	struct scsi_task **at = &task->nexus->verifier->waiting;

	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	task->next = NULL;
	task->waits_for_buffer = false;
}

static void verifier_join(struct scsi_task *task)
{
	struct scsi_task **end = &task->nexus->verifier->waiting;

	while (*end != NULL)
		end = &(*end)->next;
	task->next = NULL;
	task->waits_for_buffer = true;
	*end = task;
}

static size_t piece_length(const struct scsi_task *task)
{
	return MIN(VERIFY_PIECE, medium_octets(task) - task->progress);
}

static void verified(struct io *io, int result);

static enum scsi_step read_piece(struct scsi_task *task)
{
	struct io *io = &task->io;

	io->length = piece_length(task);
	io->iov[0] = (struct iovec){task->nexus->verifier->buffer, io->length};
	io->iov_count = 1;
	return medium_run(task, IO_READ, verified);
}

/* Octets of `bytes` that equal the data-out from `skip` on, until the first that does not. */
static size_t equal_octets(const struct scsi_task *task, size_t skip, const uint8_t *bytes,
			   size_t len)
{
	size_t equal = 0;

	for (unsigned i = 0; i < task->iov_count && equal < len; i++) {
		const uint8_t *base = task->iov[i].iov_base;
		size_t part;

		if (skip >= task->iov[i].iov_len) {
			skip -= task->iov[i].iov_len;
			continue;
		}
		part = MIN(len - equal, task->iov[i].iov_len - skip);
		if (memcmp(base + skip, bytes + equal, part) == 0) {
			equal += part;
			skip = 0;
			continue;
		}
		while (base[skip] == bytes[equal]) {
			skip++;
			equal++;
		}
		return equal;
	}
	return equal;
}

/* False: the task has its sense, with the place in the data-out. */
static bool matches(struct scsi_task *task, size_t len)
{
	const uint8_t *medium = task->nexus->verifier->buffer;
	enum byte_check check = byte_check(task);
	size_t step = check == BYTCHK_ONE_BLOCK ? task->unit->block_size : len;

	for (size_t at = 0; check != BYTCHK_MEDIUM && at < len; at += step) {
		size_t skip = check == BYTCHK_ONE_BLOCK ? 0 : task->progress;
		size_t equal = equal_octets(task, skip, medium + at, step);

		if (equal < step) {
			sense_set_information(task, KEY_MISCOMPARE, SENSE_MISCOMPARE_DURING_VERIFY,
					      skip + equal);
			return false;
		}
	}
	return true;
}

static void start_waiting(struct verifier *v)
{
	while (v->owner == NULL && v->waiting != NULL) {
		struct scsi_task *task = v->waiting;

		verifier_leave(task);
		v->owner = task;
		if (read_piece(task) == SCSI_DONE) {
			v->owner = NULL;
			task->done(task);
		}
	}
}

/* True: the task goes on with another piece; else it was ended and done() was called. */
static bool next_piece(struct scsi_task *task, int result)
{
	size_t len = task->io.length;

	if (!medium_continue(task, result))
		return false;
	if (!matches(task, len)) {
		task_finish(task, task_fail);
		return false;
	}
	task->progress += len;
	if (task->progress == medium_octets(task)) {
		medium_finish(task);
		return false;
	}
	if (read_piece(task) == SCSI_DONE) {
		task->done(task);
		return false;
	}
	return true;
}

static void verified(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);
	struct verifier *v = task->nexus->verifier;

	if (next_piece(task, result))
		return;
	v->owner = NULL;
	start_waiting(v);
}

enum scsi_step verify_start(struct scsi_task *task)
{
	struct verifier *v = task->nexus->verifier;
	enum scsi_step step;

	if (byte_check(task) != BYTCHK_MEDIUM && task->buffer_len < task->bytes) {
		sense_set(task, KEY_ABORTED_COMMAND, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_fail(task);
	}
	if (v->owner != NULL) {
		verifier_join(task);
		return SCSI_RUNNING;
	}
	v->owner = task;
	step = read_piece(task);
	if (step == SCSI_DONE)
		v->owner = NULL;
	return step;
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
		return task_good(task);
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

/* Requests to the medium and what their failures mean. Runs in the session. A failed
 * flush is never retried into success: it ends the unit for good, because the
 * kernel tells of lost write-back once only. What the disk's end says (errno)
 * is trusted, what the CDB says was checked here. */
#include "gateway/scsi/medium.h"
#include "gateway/scsi/gate.h"
#include "gateway/scsi/mode_pages.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"

#define CHECK_EVERY_MS 1000u
#define PROTECT_MASK   0xe0
#define FUA	       0x08

/* errno of a request to sense data. A row with op IO_INVALID is for all. */
static const struct {
	int error;
	enum io_op op;
	enum sense_key key;
	enum sense_code code;
} meanings[] = {
	{EBADMSG, IO_INVALID, KEY_NOT_READY, SENSE_MANUAL_INTERVENTION_REQUIRED}, /* its journal */
	{ESTALE, IO_INVALID, KEY_NOT_READY, SENSE_MANUAL_INTERVENTION_REQUIRED},
	{ENODATA, IO_WRITE, KEY_MEDIUM_ERROR, SENSE_WRITE_ERROR},
	{ENODATA, IO_INVALID, KEY_MEDIUM_ERROR, SENSE_UNRECOVERED_READ_ERROR},
	{EIO, IO_READ, KEY_MEDIUM_ERROR, SENSE_UNRECOVERED_READ_ERROR},
	{EIO, IO_INVALID, KEY_MEDIUM_ERROR, SENSE_WRITE_ERROR},
	{ENOSPC, IO_WRITE, KEY_DATA_PROTECT, SENSE_SPACE_ALLOCATION_FAILED},
	{EDQUOT, IO_WRITE, KEY_DATA_PROTECT, SENSE_SPACE_ALLOCATION_FAILED},
	{EFBIG, IO_WRITE, KEY_DATA_PROTECT, SENSE_SPACE_ALLOCATION_FAILED},
	{EROFS, IO_WRITE, KEY_DATA_PROTECT, SENSE_WRITE_PROTECTED},
	{EPERM, IO_WRITE, KEY_DATA_PROTECT, SENSE_WRITE_PROTECTED},
};

/* A read or write that failed has its LBA in INFORMATION; a unit that failed as a whole has none.
 */
static void sense_of_error(struct scsi_task *task, enum io_op op, int error, bool with_lba)
{
	enum sense_key key = KEY_HARDWARE_ERROR;
	enum sense_code code = SENSE_INTERNAL_TARGET_FAILURE;

	if (op == IO_DISCARD || op == IO_ZERO)
		op = IO_WRITE;
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		if (meanings[i].error == error &&
		    (meanings[i].op == op || meanings[i].op == IO_INVALID)) {
			key = meanings[i].key;
			code = meanings[i].code;
			break;
		}
	}
	if (with_lba && key == KEY_MEDIUM_ERROR)
		sense_set_information(task, key, code,
				      task->io.offset / task_io_unit(task)->block_size);
	else
		sense_set(task, key, code);
}

void medium_mark_failed(struct scsi_task *task, int error)
{
	struct scsi_nexus *n = task->nexus;
	struct scsi_lun *unit = task_io_unit(task);

	if (unit->failed != 0)
		return;
	unit->failed = error;
	shared_tell_failed(n, unit);
	if (n->lun_failed != NULL)
		n->lun_failed(n->host, unit, error, task->lba);
}

bool medium_is_ready(struct scsi_task *task)
{
	struct scsi_lun *unit = task->unit;
	uint64_t now = task->nexus->now_ms;
	int r;

	IGNORE_RESULT(shared_is_open(task->nexus, unit)); /* it may have failed for somebody else */
	if (unit->failed == 0 &&
	    (unit->checked_ms == 0 || now - unit->checked_ms >= CHECK_EVERY_MS)) {
		unit->checked_ms = MAX(now, 1);
		r = backend_check(unit->backend);
		if (r == -ESTALE || r == -ENODATA) {
			medium_mark_failed(task, -r);
		} else if (r < 0) {
			unit->checked_ms = 0;
			sense_of_error(task, IO_INVALID, -r, false);
			return false;
		}
	}
	if (unit->failed == 0)
		return true;
	shared_tell_failed(task->nexus, unit); /* if the arbiter does not know yet */
	sense_of_error(task, IO_INVALID, unit->failed, false);
	return false;
}

uint64_t medium_octets(const struct scsi_task *task)
{
	return (uint64_t)task->blocks * task->unit->block_size;
}

/* Not a flush, nor WRITE SAME: VPD page B0h's MAXIMUM TRANSFER LENGTH is for reads, writes and
 * verifies. */
static bool moves_data(const struct scsi_command *c)
{
	return (c->touches & (TOUCHES_READ | TOUCHES_WRITE)) != 0 &&
	       (c->touches & TOUCHES_DISCARD) == 0;
}

bool medium_check_range(struct scsi_task *task)
{
	const struct scsi_command *c = task->command;

	if (c->cdb_len != 6 && (task->cdb[1] & PROTECT_MASK) != 0 &&
	    (c->usage[1] & PROTECT_MASK) != 0) {
		sense_cdb_field(task, 1, 7);
		return false;
	}
	if (medium_octets(task) > SCSI_TRANSFER_MAX && moves_data(c)) {
		sense_cdb_field(task, c->blocks.at, 7);
		return false;
	}
	if (task->lba >= task->unit->blocks || task->blocks > task->unit->blocks - task->lba) {
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_LBA_OUT_OF_RANGE);
		return false;
	}
	return true;
}

void medium_map(struct scsi_task *task, size_t skip, size_t len)
{
	struct io *io = &task->io;

	io->iov_count = 0;
	io->length = len;
	for (unsigned i = 0; i < task->iov_count && len > 0; i++) {
		const struct iovec *v = &task->iov[i];
		size_t part;

		if (skip >= v->iov_len) {
			skip -= v->iov_len;
			continue;
		}
		part = MIN(len, v->iov_len - skip);
		assert(io->iov_count < IO_SEGMENTS_MAX);
		io->iov[io->iov_count++] = (struct iovec){(char *)v->iov_base + skip, part};
		skip = 0;
		len -= part;
	}
	assert(len == 0);
}

enum scsi_step medium_submit(struct scsi_task *task, enum io_op op,
			     void (*done)(struct io *io, int result))
{
	task->io.op = op;
	task->io.done = done;
	if (gate_submit(task) < 0)
		return task_not_submitted(task);
	return SCSI_RUNNING;
}

enum scsi_step medium_run(struct scsi_task *task, enum io_op op,
			  void (*done)(struct io *io, int result))
{
	task->io.offset = task->lba * task->unit->block_size + task->progress;
	return medium_submit(task, op, done);
}

void medium_next(struct scsi_task *task, enum io_op op, void (*done)(struct io *io, int result))
{
	if (medium_run(task, op, done) == SCSI_DONE)
		task->done(task);
}

/* A promise of durable data that could not be kept ends the unit. */
static bool breaks_a_promise(const struct scsi_task *task)
{
	return task->io.op == IO_FLUSH || (task->io.op == IO_WRITE && task->io.fua);
}

void medium_fail(struct scsi_task *task, int result)
{
	enum io_op op = task->io.op;

	if (result == -ENODATA || result == -ESTALE)
		medium_mark_failed(task, -result);
	else if (breaks_a_promise(task))
		medium_mark_failed(task, EIO);
	sense_of_error(task, op, op == IO_FLUSH ? EIO : -result, op != IO_FLUSH);
}

bool medium_continue(struct scsi_task *task, int result)
{
	task->running = false;
	if (result < 0) {
		medium_fail(task, result);
		task_finish(task, task_fail);
		return false;
	}
	if (task->cancelled) {
		task->status = SCSI_TASK_ABORTED;
		task_finish(task, task_fail);
		return false;
	}
	return true;
}

void medium_promise(struct scsi_task *task)
{
	task->durable_mark = audit_ring_ask_durable(task->nexus->ring);
	task->promises = true;
}

bool medium_has_fua(const struct scsi_task *task)
{
	return task->command->cdb_len != 6 && (task->cdb[1] & FUA) != 0;
}

bool medium_is_write_through(const struct scsi_task *task)
{
	return !mode_write_cache(task->nexus, task_io_unit(task)) &&
	       (task->command->touches & (TOUCHES_WRITE | TOUCHES_DISCARD)) != 0;
}

/* WCE=0: its last request made durable what it wrote, or a flush has to. */
static bool is_unflushed(const struct scsi_task *task)
{
	const struct io *io = &task->io;

	return medium_is_write_through(task) && io->op != IO_FLUSH &&
	       !(io->op == IO_WRITE && io->fua);
}

void medium_finish(struct scsi_task *task)
{
	struct audit_ring *ring = task->nexus->ring;

	if (is_unflushed(task)) {
		if (medium_flush(task) == SCSI_DONE)
			task->done(task);
		return;
	}
	if (!task->promises || audit_ring_is_durable(ring, task->durable_mark))
		task_finish(task, task_good);
	else if (task->operates || audit_ring_healthy(ring, task->nexus->now_ms))
		gate_hold(task);
	else
		task_finish(task, task_busy);
}

static void flushed(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);

	if (medium_continue(task, result))
		medium_finish(task);
}

enum scsi_step medium_flush(struct scsi_task *task)
{
	medium_promise(task);
	task->io.iov_count = 0;
	task->io.length = 0;
	return medium_run(task, IO_FLUSH, flushed);
}

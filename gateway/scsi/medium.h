/* What every command that reaches the medium shares: is the unit well, is the range on
 * it, running one request after the other, and what a failed one means. */
#pragma once

#include "gateway/scsi/commands.h"

/* False: the unit failed, or its disk shrank or vanished; the task has its sense. */
bool medium_is_ready(struct scsi_task *task);
/* Protection field, transfer length, range. False: the task has its sense. */
bool medium_check_range(struct scsi_task *task);

/* Submits task->io, of which the offset is set. SCSI_RUNNING; SCSI_DONE (BUSY) when the engine is
 * full. */
enum scsi_step medium_submit(struct scsi_task *task, enum io_op op,
			     void (*done)(struct io *io, int result));
/* The same for the task's own blocks. */
enum scsi_step medium_run(struct scsi_task *task, enum io_op op,
			  void (*done)(struct io *io, int result));
/* The same from within a done(): tells the host when the engine is full. */
void medium_next(struct scsi_task *task, enum io_op op, void (*done)(struct io *io, int result));
/* A request of the task is over. True: go on. False: it was cancelled, or it failed, and done()
 * was called. */
bool medium_continue(struct scsi_task *task, int result);
/* A request of the task failed: the task has its sense, its unit is marked if nothing on it is to
 * be believed any more. */
void medium_fail(struct scsi_task *task, int result);
/* Durable data was promised: the audit has to be durable as well. Call it before the request. */
void medium_promise(struct scsi_task *task);
bool medium_has_fua(const struct scsi_task *task); /* its CDB has the bit, at octet 1 */
/* WCE=0: what the command writes is durable when it is answered. */
bool medium_is_write_through(const struct scsi_task *task);
/* Ends a task with GOOD, as soon as what was promised is true. */
void medium_finish(struct scsi_task *task);

/* A flush, then GOOD. The task was admitted. */
enum scsi_step medium_flush(struct scsi_task *task);
/* Nothing on this unit is believed any more: `error` is a positive errno. */
void medium_mark_failed(struct scsi_task *task, int error);
/* The next `len` octets of the task's buffer from `skip` as the request's memory. */
void medium_map(struct scsi_task *task, size_t skip, size_t len);
uint64_t medium_octets(const struct scsi_task *task); /* of task->blocks */

/* Zeroes on a range of the medium: by giving its room back, by a call that keeps it, or by
 * writing them where the disk can do neither. For WRITE SAME and UNMAP. */
#pragma once

#include "gateway/scsi/medium.h"

/* task->lba and task->blocks, from task->progress on, in pieces. `op`: IO_DISCARD, IO_ZERO or
 * IO_WRITE. Calls `over` when all of it is done; a failure ends the task. */
enum scsi_step zeroes_begin(struct scsi_task *task, enum io_op op,
			    void (*over)(struct scsi_task *task));

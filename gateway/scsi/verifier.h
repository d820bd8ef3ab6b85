/* A buffer that the commands of a nexus share, so that looking at the medium takes no memory of a
 * command's own: one command at a time has it, others wait in the order in which they came. Who
 * has it may wait for somebody's range; so who wants a range as well takes the buffer first,
 * and who has a range never waits for the buffer. */
#pragma once

#include "gateway/scsi/scsi.h"

#define VERIFY_PIECE (64u << 10)

struct verifier;

int verifier_open(struct verifier **ret_verifier) MUST_CHECK;
void verifier_close(struct verifier *v);

/* Goes on with `then` when the buffer is the task's; what it returns is as of data_arrived(). */
enum scsi_step verifier_take(struct scsi_task *task,
			     enum scsi_step (*then)(struct scsi_task *task));
/* The task neither has the buffer nor waits for it; verifier_turn() gives it to the next. */
void verifier_leave(struct scsi_task *task);
bool verifier_turn(struct scsi_nexus *n); /* true: somebody went on */
/* The task's: room for WRITE_ATOMIC_MAX_OCTETS. */
uint8_t *verifier_buffer(const struct scsi_task *task);

/* Reads the task's blocks into the buffer, which is the task's, piece by piece; `look` is shown
 * each (task->progress: octets before it; false: the task has its sense). Then gives the buffer
 * back and calls `over`, with task->progress 0. */
enum scsi_step verifier_read(struct scsi_task *task,
			     bool (*look)(struct scsi_task *task, const uint8_t *octets,
					  size_t len),
			     void (*over)(struct scsi_task *task));
/* The data-out from `skip` on is `octets`. False: the task has its sense, MISCOMPARE with the place
 * of the first difference in the data-out. */
bool verifier_match(struct scsi_task *task, size_t skip, const uint8_t *octets, size_t len);

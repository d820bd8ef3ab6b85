/* The session's part in what sessions share about a disk: it looks at the arbiter's page,
 * gives orders for commands that change something, and waits its turn for blocks that
 * are somebody else's. */
#pragma once

#include "gateway/arbiter/order.h"
#include "gateway/arbiter/page.h"
#include "gateway/scsi/commands.h"
#include "gateway/scsi/sense.h"

/* What the arbiter published of the task's unit, as adopted last. */
const struct arbiter_state *shared_state(const struct scsi_task *task);
enum standing shared_standing(const struct scsi_task *task);

/* One load while nothing happened; otherwise adopts states, raises unit attentions and tells the
 * host of tasks that are to be ended. */
void shared_look(struct scsi_nexus *n);
/* What is in force for this unit is adopted. False: no arbiter now, or its tasks are being ended.
 */
bool shared_is_open(struct scsi_nexus *n, struct scsi_lun *unit) MUST_CHECK;
/* The same, for who is told elsewhere that it is not open. */
void shared_catch_up(struct scsi_nexus *n, struct scsi_lun *unit);

/* The unit failed: everybody is to know. */
void shared_tell_failed(struct scsi_nexus *n, struct scsi_lun *unit);

void attention_raise(struct scsi_lun *unit, enum sense_code code);
enum sense_code attention_first(const struct scsi_lun *unit); /* SENSE_NONE: none waits */
void attention_drop(struct scsi_lun *unit);		      /* the first was told */

/* For a command that the arbiter decides. `order` fills what the kind wants (the rest is zero; id
 * and LUN are set); it is called when it is the task's turn, more than once if the arbiter dies
 * meanwhile. `answered` goes on: SCSI_RUNNING, or SCSI_DONE with the task ended. Returns
 * SCSI_RUNNING; SCSI_DONE (BUSY) when its record was to be durable first, and there is no audit
 * now. */
enum scsi_step task_order(struct scsi_task *task,
			  void (*order)(const struct scsi_task *task, struct arbiter_order *ret),
			  enum scsi_step (*answered)(struct scsi_task *task,
						     const struct arbiter_answer *answer));
/* An `answered` that ends the task as the arbiter said. */
enum scsi_step task_answered(struct scsi_task *task, const struct arbiter_answer *answer);

/* The blocks task->lba, task->blocks for this task alone, until it ends: nobody else's request, nor
 * another one of this nexus, reaches them meanwhile. Then `then`, of which the result is as of
 * data_arrived(). */
enum scsi_step range_take(struct scsi_task *task, enum scsi_step (*then)(struct scsi_task *task));
/* They are everybody's again, before the task ends. */
void range_drop(struct scsi_task *task);

/* A request of the task waits for somebody else's range: gate_submit() again when it may be over.
 */
void shared_park(struct scsi_task *task);
/* A ROD token may stand for the blocks of task->io, and was not voided for it. */
bool shared_has_token(const struct scsi_task *task);
/* Voids it, then submits the request. */
void shared_void_tokens(struct scsi_task *task);
/* Its order was sent, to this arbiter or the one before, so that an answer will come. */
bool shared_order_is_out(const struct scsi_task *task);
/* The task ends, or goes away unexecuted: its range is dropped, it waits for nothing. */
void shared_leave(struct scsi_task *task);

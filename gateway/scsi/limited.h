/* The gate's third step: tasks that wait for their limits (limits.h), of their LUN and of the whole
 * nexus. What waits here is not admitted yet and no record tells of it: it is later, not denied.
 * First come, first served, but that HEAD OF QUEUE goes first. */
#pragma once

#include "gateway/scsi/scsi.h"

/* A command's turn to begin. False: it waits; scsi_next() gives it back. Without limits, one
 * branch. */
bool limited_begin(struct scsi_task *task) MUST_CHECK;
/* A request of a command that moves more than its CDB says (copies, WRITE SAME): it draws with each
 * of them. False: it waits; gate_submit() is called again. */
bool limited_submit(struct scsi_task *task) MUST_CHECK;
/* The request is at the backend: the next one draws anew. */
void limited_submitted(struct scsi_task *task);
/* Lets go who may: their requests are submitted, the others are for limited_next(). */
void limited_turn(struct scsi_nexus *n);
struct scsi_task *limited_next(struct scsi_nexus *n);
/* The task ends or is forgotten: it waits no longer, and is not outstanding. */
void limited_leave(struct scsi_task *task);

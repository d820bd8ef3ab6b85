/* Who waits for the audit: commands that are not carried out before their records are durable, and
 * answers that promise durable data. Runs in the session. Which commands wait, the command table
 * says (durable_first); that they do, gate_submit() and task_order() see to (P2). */
#include "gateway/scsi/commands.h"
#include "gateway/scsi/gate.h"

void gate_hold(struct scsi_task *task)
{
	struct scsi_task **end = &task->nexus->held;

	while (*end != NULL)
		end = &(*end)->next;
	task->next = NULL;
	task->waits_for_audit = true;
	*end = task;
}

void gate_unhold(struct scsi_task *task)
{
	struct scsi_task **at = &task->nexus->held;

	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	task->next = NULL;
	task->waits_for_audit = false;
}

static int hold_until_durable(struct scsi_task *task,
			      enum scsi_step (*then)(struct scsi_task *task))
{
	struct audit_ring *ring = task->nexus->ring;

	task->durable_mark = audit_ring_ask_durable(ring);
	if (audit_ring_is_durable(ring, task->durable_mark))
		return 1;
	if (!audit_ring_healthy(ring, task->nexus->now_ms))
		return -EAGAIN;
	task->when_durable = then;
	gate_hold(task);
	return 0;
}

static enum scsi_step step_of(struct scsi_task *task, int held,
			      enum scsi_step (*then)(struct scsi_task *task))
{
	if (held > 0)
		return then(task);
	return held == 0 ? SCSI_RUNNING : task_busy(task);
}

enum scsi_step gate_when_durable(struct scsi_task *task,
				 enum scsi_step (*then)(struct scsi_task *task))
{
	return step_of(task, hold_until_durable(task, then), then);
}

/* Before it is admitted there is no record; to tell of an operation's end, when nothing is admitted
 * any more, waits for nothing. */
int gate_hold_until_recorded(struct scsi_task *task, enum scsi_step (*then)(struct scsi_task *task))
{
	if (task->recorded || !task->command->durable_first || !gate_has_admitted(task))
		return 1;
	task->recorded = true;
	return hold_until_durable(task, then);
}

enum scsi_step gate_when_recorded(struct scsi_task *task,
				  enum scsi_step (*then)(struct scsi_task *task))
{
	return step_of(task, gate_hold_until_recorded(task, then), then);
}

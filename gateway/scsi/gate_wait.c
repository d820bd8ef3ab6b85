/* Who waits for the audit: commands that are not carried out before their records are in the file
 * or durable, and answers that promise durable data. Runs in the session. Which commands wait, and
 * for what, the policy says (durability) and the command table (durable_first); that they do,
 * gate_submit() and task_order() see to (P2). Many wait together: one sync is for all of them. */
#include "gateway/scsi/commands.h"
#include "gateway/scsi/gate.h"

static void enqueue(struct scsi_task *task, bool for_record)
{
	struct scsi_task **end = &task->nexus->held;

	while (*end != NULL)
		end = &(*end)->next;
	task->next = NULL;
	task->waits_for_audit = true;
	task->waits_for_record = for_record;
	*end = task;
}

void gate_hold(struct scsi_task *task)
{
	enqueue(task, false);
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

static enum durability demanded(const struct scsi_task *task, const struct scsi_lun *unit)
{
	const struct scsi_records *records = &task->nexus->records;

	if (task->command->durable_first)
		return DURABILITY_SYNCED;
	return (enum durability)(unit != NULL ? records->luns[unit->number] : records->durability);
}

/* Several units, of a copy: as the strictest demands. */
void gate_is_on_record(struct scsi_task *task, const struct scsi_lun *unit)
{
	struct audit_ring *ring = task->nexus->ring;

	if (!task->on_record)
		task->admitted_us = task->nexus->now_us;
	task->on_record = true;
	task->durability = MAX(task->durability, demanded(task, unit));
	if (task->durability == DURABILITY_WRITTEN)
		task->record_mark = audit_ring_ask_written(ring);
	else if (task->durability == DURABILITY_SYNCED)
		task->record_mark = audit_ring_ask_durable(ring);
}

static bool is_kept(const struct scsi_task *task)
{
	const struct audit_ring *ring = task->nexus->ring;

	if (task->durability == DURABILITY_SYNCED)
		return audit_ring_is_durable(ring, task->record_mark);
	return task->durability != DURABILITY_WRITTEN ||
	       audit_ring_is_written(ring, task->record_mark);
}

bool gate_wait_is_over(const struct scsi_task *task)
{
	return task->waits_for_record
		       ? is_kept(task)
		       : audit_ring_is_durable(task->nexus->ring, task->durable_mark);
}

static int hold(struct scsi_task *task, enum scsi_step (*then)(struct scsi_task *task),
		bool for_record)
{
	if (!audit_ring_healthy(task->nexus->ring, task->nexus->now_ms))
		return -EAGAIN;
	task->when_durable = then;
	enqueue(task, for_record);
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
	struct audit_ring *ring = task->nexus->ring;

	task->durable_mark = audit_ring_ask_durable(ring);
	if (audit_ring_is_durable(ring, task->durable_mark))
		return then(task);
	return step_of(task, hold(task, then, false), then);
}

/* Before it is admitted there is no record; to tell of an operation's end, when nothing is admitted
 * any more, waits for nothing. */
int gate_hold_until_recorded(struct scsi_task *task, enum scsi_step (*then)(struct scsi_task *task))
{
	if (task->recorded || !gate_has_admitted(task))
		return 1;
	task->recorded = true;
	if (is_kept(task))
		return 1;
	return hold(task, then, true);
}

enum scsi_step gate_when_recorded(struct scsi_task *task,
				  enum scsi_step (*then)(struct scsi_task *task))
{
	return step_of(task, gate_hold_until_recorded(task, then), then);
}

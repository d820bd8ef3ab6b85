/* What writes blocks that a ROD token stands for has it voided first. Runs in the session. The
 * arbiter's page says within which blocks there are tokens, and the arbiter which these are:
 * its answer holds as long as the generation does, because tokens are made under new ones. */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/shared.h"

bool shared_has_token(const struct scsi_task *task)
{
	const struct scsi_lun *unit = task_io_unit(task);
	const struct arbiter_view *v = task->nexus->arbiter;

	return arbiter_has_token(v, unit->number, task->io.offset / unit->block_size,
				 task->io.length / unit->block_size) &&
	       task->voided != v->luns[unit->number].seen;
}

static void order_void(const struct scsi_task *task, struct arbiter_order *ret)
{
	const struct scsi_lun *unit = task_io_unit(task);

	ret->kind = ORDER_TOKEN_VOID;
	ret->lun = unit->number;
	ret->lba = task->io.offset / unit->block_size;
	ret->blocks = (uint32_t)(task->io.length / unit->block_size);
}

static enum scsi_step voided(struct scsi_task *task, const struct arbiter_answer *answer)
{
	if (answer->status != SCSI_GOOD)
		return task_answered(task, answer);
	memcpy(&task->voided, answer->octets, sizeof task->voided);
	return gate_submit(task) < 0 ? task_not_submitted(task) : SCSI_RUNNING;
}

void shared_void_tokens(struct scsi_task *task)
{
	(void)task_order(task, order_void, voided);
}

/* What writes blocks that a ROD token stands for has it voided first. Runs in the session. The
 * arbiter's page says within which blocks there are tokens, and the arbiter which these are:
 * its answer holds as long as the generation does, because tokens are made under new ones. */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/shared.h"

bool shared_has_token(const struct scsi_task *task)
{
	const struct gate_range reached = gate_io_range(task);
	const struct arbiter_view *v = task->nexus->arbiter;
	uint16_t lun = reached.unit->number;

	return arbiter_has_token(v, lun, reached.lba, reached.blocks) &&
	       task->voided != v->luns[lun].seen;
}

static void order_void(const struct scsi_task *task, struct arbiter_order *ret)
{
	const struct gate_range reached = gate_io_range(task);

	ret->kind = ORDER_TOKEN_VOID;
	ret->lun = reached.unit->number;
	ret->lba = reached.lba;
	ret->blocks = reached.blocks;
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

/* START STOP UNIT, SBC-3 section 5, and PREVENT ALLOW MEDIUM REMOVAL, SPC-4: what one nexus does to
 * the disk of all. Runs in the session; the arbiter decides. Power is not managed
 * here: any power condition is taken, and changes nothing. IMMED is not taken up, since its early
 * answer would tell less. A disk with a removable medium is not stopped, but taken out. */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"

/* Octet 4 */
enum { START = 0x01, LOEJ = 0x02, NO_FLUSH = 0x04, CONDITION_SHIFT = 4 };
#define LOEJ_BIT 1

#define MODIFIER 0x0f /* octet 3 */
#define PREVENT	 0x01 /* PREVENT ALLOW MEDIUM REMOVAL, octet 4 */

/* START and LOEJ mean nothing beside a power condition. */
static bool has_condition(const struct scsi_task *task)
{
	return task->cdb[4] >> CONDITION_SHIFT != 0;
}

static enum order_load action_of(const struct scsi_task *task)
{
	bool start = (task->cdb[4] & START) != 0;

	if (task->cdb[4] & LOEJ)
		return start ? ORDER_LOAD_INSERT : ORDER_LOAD_EJECT;
	return start ? ORDER_LOAD_START : ORDER_LOAD_STOP;
}

/* Who may only read, by the policy, takes the disk away from nobody. */
static bool check_load(struct scsi_task *task)
{
	const struct scsi_lun *unit = task->unit;

	if (task->cdb[3] & MODIFIER) {
		sense_cdb_field(task, 3, 3);
		return false;
	}
	if ((task->cdb[4] & LOEJ) && !unit->removable) {
		sense_cdb_field(task, 4, LOEJ_BIT);
		return false;
	}
	if ((task->cdb[4] & START) || unit->writable || unit->rule_line == 0)
		return true;
	sense_set(task, KEY_DATA_PROTECT, SENSE_WRITE_PROTECTED);
	return false;
}

static void order_load(const struct scsi_task *task, struct arbiter_order *ret)
{
	ret->kind = ORDER_LOAD;
	ret->action = (uint8_t)action_of(task);
}

/* A stop without LOEJ leaves a removable medium as it is: ready, and flushed. */
static enum scsi_step carry_out(struct scsi_task *task)
{
	if (task->unit->removable && action_of(task) == ORDER_LOAD_STOP)
		return task_nothing(task);
	return task_order(task, order_load, task_answered);
}

static void flushed(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);

	if (medium_continue(task, result) && carry_out(task) == SCSI_DONE)
		task->done(task);
}

static bool wants_flush(const struct scsi_task *task)
{
	return (task->cdb[4] & (START | NO_FLUSH)) == 0;
}

enum scsi_step start_stop_begin(struct scsi_task *task)
{
	if (!medium_is_ready(task) || (!has_condition(task) && !check_load(task)))
		return task_refuse(task);
	if (!gate_admit(task))
		return task_fail(task);
	if (has_condition(task))
		return task_nothing(task);
	if (!wants_flush(task))
		return carry_out(task);
	task->io.iov_count = 0;
	task->io.length = 0;
	return medium_run(task, IO_FLUSH, flushed);
}

static void order_prevent(const struct scsi_task *task, struct arbiter_order *ret)
{
	ret->kind = ORDER_PREVENT;
	ret->action = task->cdb[4] & PREVENT;
}

/* A medium that can't be taken out stays in, whether that is prevented or not. */
enum scsi_step prevent_allow_begin(struct scsi_task *task)
{
	if (!gate_admit(task))
		return task_fail(task);
	if (!task->unit->removable)
		return task_nothing(task);
	return task_order(task, order_prevent, task_answered);
}

/* START STOP UNIT, SBC-3 section 5, and PREVENT ALLOW MEDIUM REMOVAL, SPC-4: what one nexus does to
 * the disk of all. Runs in the session; the arbiter decides. Power conditions save nothing here:
 * those that there are are taken, and change nothing that an initiator could see. IMMED is not
 * taken up, since its early answer would tell less. */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"

/* Octet 4 */
enum { START = 0x01, LOEJ = 0x02, NO_FLUSH = 0x04, CONDITION_SHIFT = 4 };
#define LOEJ_BIT 1

#define MODIFIER 0x0f /* octet 3 */
#define PREVENT	 0x01 /* PREVENT ALLOW MEDIUM REMOVAL, octet 4 */

/* POWER CONDITION, and how many modifiers it has. */
static const struct {
	uint8_t condition, modifiers;
} conditions[] = {
	{0x1, 1}, /* ACTIVE */
	{0x2, 3}, /* IDLE: a, b, c */
	{0x3, 2}, /* STANDBY: z, y */
	{0x7, 1}, /* LU_CONTROL */
	{0xa, 3}, /* FORCE_IDLE_0 */
	{0xb, 2}, /* FORCE_STANDBY_0 */
};

static bool check_condition(struct scsi_task *task)
{
	uint8_t condition = task->cdb[4] >> CONDITION_SHIFT, modifier = task->cdb[3] & MODIFIER;

	for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
		if (conditions[i].condition != condition)
			continue;
		if (modifier < conditions[i].modifiers)
			return true;
		sense_cdb_field(task, 3, 3);
		return false;
	}
	sense_cdb_field(task, 4, 7);
	return false;
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

static enum scsi_step give_order(struct scsi_task *task)
{
	return task_order(task, order_load, task_answered);
}

static void flushed(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);

	if (medium_continue(task, result) && gate_when_durable(task, give_order) == SCSI_DONE)
		task->done(task);
}

static bool wants_flush(const struct scsi_task *task)
{
	return (task->cdb[4] & (START | NO_FLUSH)) == 0;
}

enum scsi_step start_stop_begin(struct scsi_task *task)
{
	bool condition = task->cdb[4] >> CONDITION_SHIFT != 0;

	if (!medium_is_ready(task) || (condition ? !check_condition(task) : !check_load(task)))
		return task_refuse(task);
	if (!gate_admit(task))
		return task_fail(task);
	if (condition)
		return task_good(task);
	if (!wants_flush(task))
		return gate_when_durable(task, give_order);
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
		return task_good(task);
	return task_order(task, order_prevent, task_answered);
}

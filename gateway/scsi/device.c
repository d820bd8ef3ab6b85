/* The device server as a machine: CDBs and completions in, steps out (scsi.h). Runs in the
 * session, after the grant. Everything in a task that came from the initiator is
 * hostile; the host's part of it (buffers, order of calls) is ours and asserted. */
#include "gateway/scsi/availability.h"
#include "gateway/scsi/commands.h"
#include "gateway/scsi/copier.h"
#include "gateway/scsi/gate.h"
#include "gateway/scsi/limited.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/operation.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"
#include "gateway/scsi/verifier.h"

int scsi_nexus_open(struct scsi_nexus *n, unsigned admissions)
{
	int r;

	n->gate = NULL;
	n->verifier = NULL;
	n->copier = NULL;
	n->held = NULL;
	if ((r = gate_open(admissions, &n->gate)) < 0)
		return r;
	if ((r = verifier_open(&n->verifier)) < 0 || (r = copier_open(&n->copier)) < 0)
		scsi_nexus_close(n);
	return r;
}

void scsi_nexus_close(struct scsi_nexus *n)
{
	operations_close(n);
	if (n->gate != NULL && n->ring != NULL)
		gate_put_busy_count(n);
	gate_close(TAKE(n->gate));
	verifier_close(TAKE(n->verifier));
	copier_close(TAKE(n->copier));
}

uint32_t scsi_room(const struct scsi_nexus *n)
{
	uint32_t room = gate_room(n), waiting = n->turns.waiting + n->limited.beginning;

	return room > waiting ? room - waiting : 0;
}

/* It is over, or forgotten. */
static void task_leave(struct scsi_task *task)
{
	shared_leave(task);
	copier_leave(task);
	if (task->operation != NULL)
		operation_leave(task);
	verifier_leave(task);
	limited_leave(task);
	if (task->counted)
		task->unit->begun--;
	task->counted = false;
}

bool scsi_buffers_turn(struct scsi_nexus *n)
{
	bool verifies = verifier_turn(n), copies = copier_turn(n);

	return verifies || copies;
}

static enum scsi_step task_end(struct scsi_task *task)
{
	task_leave(task);
	if (task->status != task->met_status) {
		task->data_len = 0;
		task->wanted = 0;
	}
	gate_end(task);
	task_set_leave(task);
	return SCSI_DONE;
}

enum scsi_step task_good(struct scsi_task *task)
{
	task->status = task->met_status;
	task->sense_len = 0;
	return task_end(task);
}

enum scsi_step task_nothing(struct scsi_task *task)
{
	return gate_when_recorded(task, task_good);
}

enum scsi_step task_fail(struct scsi_task *task)
{
	assert(task->status != SCSI_GOOD);
	return task_end(task);
}

enum scsi_step task_busy(struct scsi_task *task)
{
	task->status = SCSI_BUSY;
	task->sense_len = 0;
	return task_end(task);
}

enum scsi_step task_not_submitted(struct scsi_task *task)
{
	return task->status == SCSI_GOOD ? task_busy(task) : task_fail(task);
}

enum scsi_step task_refuse(struct scsi_task *task)
{
	gate_refuse(task);
	return task_end(task);
}

void task_finish(struct scsi_task *task, enum scsi_step (*end)(struct scsi_task *task))
{
	(void)end(task);
	task->done(task);
}

static void task_reset(struct scsi_task *task)
{
	int lun = scsi_lun_decode(task->lun);

	task->status = SCSI_GOOD;
	task->bytes = task->data_len = task->wanted = task->sense_len = task->progress = 0;
	task->lba = task->durable_mark = 0;
	task->durability = DURABILITY_INVALID;
	task->blocks = 0;
	task->stage = 0;
	task->next_range = 0;
	task->met_status = SCSI_GOOD;
	task->waits_for_audit = task->running = task->cancelled = false;
	task->promises = task->waits_for_buffer = task->undoes = false;
	task->recorded = task->had_to_wait = false;
	task->on_record = task->waits_for_record = false;
	task->limited = task->drawn = task->request_drawn = false;
	task->orders = task->parked = task->counted = false;
	task->range = 0;
	task->operates = false;
	task->operation = NULL;
	task->when_durable = NULL;
	task->admission = NULL;
	task->next = NULL;
	task->place = PLACE_NONE;
	task->io.fua = false;
	task->copy = NULL;
	task->voided = 0;
	task->io_unit = NULL;
	memset(task->sense, 0, sizeof task->sense);
	task->unit = NULL;
	if (lun >= 0 && task->nexus->luns[lun].present)
		task->unit = &task->nexus->luns[lun];
	task->command = command_find(task->cdb);
}

static enum scsi_step refuse_unknown(struct scsi_task *task)
{
	/* SPC-4: an opcode that is there, but not with this service action, is a bad field. */
	if (command_has_opcode(task->cdb[0]))
		sense_cdb_field(task, 1, 4);
	else
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_OPCODE);
	return task_refuse(task);
}

uint16_t scsi_attention(const struct scsi_nexus *n, unsigned lun)
{
	return (uint16_t)attention_first(&n->luns[lun]);
}

/* SAM-5, unit attention conditions: INQUIRY, REPORT LUNS and REQUEST SENSE, which are answered for
 * any LUN, go before it; every other command tells it instead of being carried out. */
static bool tells_attention(const struct scsi_task *task)
{
	return task->unit != NULL && task->unit->attention_count != 0 &&
	       (task->command == NULL || !task->command->any_lun);
}

static enum scsi_step tell_attention(struct scsi_task *task)
{
	enum scsi_step step;

	sense_set(task, KEY_UNIT_ATTENTION, attention_first(task->unit));
	step = task_refuse(task);
	if (task->status == SCSI_CHECK_CONDITION) /* and not BUSY, without a record */
		attention_drop(task->unit);
	return step;
}

/* SAM-5 section 8: without an ACA condition such a task enters no task set. */
static enum scsi_step refuse_aca(struct scsi_task *task)
{
	sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_MESSAGE_ERROR);
	return task_refuse(task);
}

struct scsi_task *scsi_next(struct scsi_nexus *n)
{
	struct scsi_task *task = task_set_next(n);

	return task != NULL ? task : limited_next(n);
}

/* Everything else is decided in the task's turn: the tasks before it may have changed it. */
static enum scsi_step start(struct scsi_task *task)
{
	if (task->unit != NULL)
		shared_catch_up(task->nexus, task->unit);
	if (tells_attention(task))
		return tell_attention(task);
	if (task->command == NULL)
		return refuse_unknown(task);
	command_decode(task);
	if (task->read && task->write) { /* no command of the table moves data both ways */
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_FIELD_IN_COMMAND_IU);
		return task_refuse(task);
	}
	if (!command_check_reserved(task) || !medium_is_available(task))
		return task_refuse(task);
	return limited_begin(task) ? task->command->begin(task) : SCSI_RUNNING;
}

enum scsi_step scsi_begin(struct scsi_task *task)
{
	assert(task->cdb_len >= CDB_MAX);
	shared_look(task->nexus);
	task_reset(task);
	if (task->unit != NULL) {
		task->unit->begun++;
		task->counted = true;
	}
	if (task->unit == NULL && (task->command == NULL || !task->command->any_lun)) {
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_LOGICAL_UNIT_NOT_SUPPORTED);
		return task_refuse(task);
	}
	if (task->attribute >= SCSI_ACA)
		return refuse_aca(task);
	if (task->unit != NULL && !task_set_enter(task))
		return SCSI_RUNNING;
	return start(task);
}

enum scsi_step scsi_start(struct scsi_task *task)
{
	shared_look(task->nexus);
	return start(task);
}

enum scsi_step scsi_data_arrived(struct scsi_task *task)
{
	assert(task->admission != NULL && task->command->data_arrived != NULL);
	return task->command->data_arrived(task);
}

enum scsi_step scsi_buffer_ready(struct scsi_task *task)
{
	assert(task->admission != NULL && task->command->buffer_ready != NULL);
	return task->command->buffer_ready(task);
}

bool scsi_cancel(struct scsi_task *task)
{
	task->cancelled = true;
	if (task->running || shared_order_is_out(task))
		return false;
	if (task->waits_for_audit)
		gate_unhold(task);
	task_leave(task);
	gate_abandon(task);
	task_set_leave(task);
	return true;
}

/* An operation has no initiator that would try again: what is erased is not in vain because the
 * audit is away. */
static bool is_patient(const struct scsi_task *task)
{
	return task->operates && !task->cancelled;
}

/* The first held task that can be answered now, taken from the list; NULL: none. */
static struct scsi_task *take_answerable(struct scsi_nexus *n, bool healthy)
{
	for (struct scsi_task *task = n->held; task != NULL; task = task->next) {
		if ((!healthy && !is_patient(task)) || gate_wait_is_over(task)) {
			gate_unhold(task);
			return task;
		}
	}
	return NULL;
}

/* done() may begin and cancel other tasks: the list is looked at afresh after each. */
void scsi_audit_moved(struct scsi_nexus *n)
{
	bool healthy = audit_ring_healthy(n->ring, n->now_ms);
	struct scsi_task *task;

	gate_catch_up(n);
	while ((task = take_answerable(n, healthy)) != NULL) {
		if (!gate_wait_is_over(task))
			task_finish(task, task_busy);
		else if (task->when_durable == NULL)
			task_finish(task, task_good);
		else if (TAKE(task->when_durable)(task) == SCSI_DONE)
			task->done(task);
	}
}

void task_scatter(const struct scsi_task *task, size_t at, const uint8_t *bytes, size_t len)
{
	for (unsigned i = 0; i < task->iov_count && len > 0; i++) {
		const struct iovec *v = &task->iov[i];
		size_t part;

		if (at >= v->iov_len) {
			at -= v->iov_len;
			continue;
		}
		part = MIN(len, v->iov_len - at);
		memcpy((uint8_t *)v->iov_base + at, bytes, part);
		bytes += part;
		len -= part;
		at = 0;
	}
	assert(len == 0);
}

void task_gather(const struct scsi_task *task, size_t at, uint8_t *ret, size_t len)
{
	for (unsigned i = 0; i < task->iov_count && len > 0; i++) {
		const struct iovec *v = &task->iov[i];
		size_t part;

		if (at >= v->iov_len) {
			at -= v->iov_len;
			continue;
		}
		part = MIN(len, v->iov_len - at);
		memcpy(ret, (const uint8_t *)v->iov_base + at, part);
		ret += part;
		len -= part;
		at = 0;
	}
	assert(len == 0);
}

/* The data-in of a small command is made twice: now, for its length and its errors, and when there
 * is room for it. So nothing has to be kept between. */
enum scsi_step reply_begin(struct scsi_task *task)
{
	uint8_t reply[REPLY_MAX] = {0};
	struct wr w = wr_over(reply, sizeof reply);
	size_t room = command_allocation(task);

	if (!task->command->reply(task, &w))
		return task_refuse(task);
	assert(!w.failed);
	if (!gate_admit(task))
		return task_fail(task);
	task->wanted = MIN(wr_len(&w), room);
	task->bytes = task->read ? MIN(task->wanted, task->edtl) : 0;
	return task->bytes == 0 ? task_nothing(task) : SCSI_WANT_BUFFER;
}

static enum scsi_step reply_now(struct scsi_task *task)
{
	uint8_t reply[REPLY_MAX] = {0};
	struct wr w = wr_over(reply, sizeof reply);
	size_t len = MIN(task->bytes, task->buffer_len);

	if (!task->command->reply(task, &w))
		return task_fail(task);
	task->data_len = MIN(len, wr_len(&w));
	task_scatter(task, 0, reply, task->data_len);
	return task_good(task);
}

enum scsi_step reply_fill(struct scsi_task *task)
{
	return gate_when_recorded(task, reply_now);
}

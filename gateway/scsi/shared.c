/* Looks at the arbiter's page, keeps the queue of orders, the list of parked tasks and the
 * ranges that are to be dropped. Runs in the session; trusts the arbiter. Unit attentions
 * queue in the order of their raising (SAM-5 section 5.14); a reset's stands for all. */
#include "gateway/scsi/shared.h"

#include "gateway/scsi/gate.h"
#include "gateway/scsi/limited.h"
#include "gateway/scsi/operation.h"

_Static_assert(SCSI_TRANSFER_MAX / 512 <= ORDER_RANGE_BLOCKS_MAX, "the arbiter grants any range");

#define ATTENTION_RESETS 0x29 /* the ASC of its family */

const struct arbiter_state *shared_state(const struct scsi_task *task)
{
	return &task->nexus->arbiter->luns[task->unit->number].state;
}

enum standing shared_standing(const struct scsi_task *task)
{
	return task->nexus->arbiter->luns[task->unit->number].standing;
}

/* --- unit attentions --- */

/* One that is there already is not raised twice. Without room the reset's stands for what is lost.
 */
void attention_raise(struct scsi_lun *unit, enum sense_code code)
{
	if (code >> 8 == ATTENTION_RESETS)
		unit->attention_count = 0;
	for (unsigned k = 0; k < unit->attention_count; k++) {
		if (unit->attentions[k] == code)
			return;
	}
	if (unit->attention_count == ARRAY_LEN(unit->attentions)) {
		unit->attention_count = 0;
		code = SENSE_POWER_ON_OR_RESET;
	}
	unit->attentions[unit->attention_count++] = (uint16_t)code;
}

enum sense_code attention_first(const struct scsi_lun *unit)
{
	return unit->attention_count == 0 ? SENSE_NONE : (enum sense_code)unit->attentions[0];
}

void attention_drop(struct scsi_lun *unit)
{
	assert(unit->attention_count > 0);
	memmove(unit->attentions, unit->attentions + 1,
		--unit->attention_count * sizeof unit->attentions[0]);
}

void scsi_nexus_began(struct scsi_nexus *n, uint16_t attention)
{
	for (size_t lun = 0; lun < ARRAY_LEN(n->luns) && attention != 0; lun++) {
		if (n->luns[lun].present)
			attention_raise(&n->luns[lun], (enum sense_code)attention);
	}
}

/* --- looking --- */

static void take_event(struct scsi_nexus *n, struct scsi_lun *unit, const struct arbiter_event *e)
{
	bool ours = e->by == n->arbiter->me && n->arbiter->luns[unit->number].asked;

	if (e->code != 0)
		attention_raise(unit, (enum sense_code)e->code);
	if (!(e->flags & EVENT_ABORTS) || ours || unit->begun == 0)
		return;
	unit->ending = true;
	n->end_tasks(n->host, unit, (e->flags & EVENT_TAS) != 0);
}

static void tell_no_more(struct scsi_nexus *n, struct scsi_lun *unit)
{
	if (unit->telling)
		n->telling--;
	unit->telling = false;
}

/* What failed for one failed for all; what an operator cleared is well for all. */
static void take_failure(struct scsi_nexus *n, struct scsi_lun *unit, uint32_t before, uint32_t now)
{
	if (now != 0)
		tell_no_more(n, unit);
	if (now != before) {
		unit->failed = (int)now;
		unit->checked_ms = 0;
	}
}

/* It never shrinks: what was checked against its size before still holds. */
static void take_size(struct scsi_lun *unit, uint64_t octets)
{
	if (octets / unit->block_size <= unit->blocks)
		return;
	unit->blocks = octets / unit->block_size;
	unit->backend->size_bytes = unit->blocks * unit->block_size;
}

static void look_at(struct scsi_nexus *n, struct scsi_lun *unit)
{
	const struct arbiter_state *state = &n->arbiter->luns[unit->number].state;
	uint32_t before = state->failed;
	struct arbiter_event e;

	if (!arbiter_is_current(n->arbiter, unit->number) &&
	    !arbiter_adopt(n->arbiter, unit->number))
		return;
	take_failure(n, unit, before, state->failed);
	take_size(unit, state->size);
	while (arbiter_event_next(n->arbiter, unit->number, &e))
		take_event(n, unit, &e);
}

void shared_look(struct scsi_nexus *n)
{
	if (!arbiter_moved(n->arbiter))
		return;
	for (size_t lun = 0; lun < ARRAY_LEN(n->luns); lun++) {
		if (n->luns[lun].present)
			look_at(n, &n->luns[lun]);
	}
}

bool shared_is_open(struct scsi_nexus *n, struct scsi_lun *unit)
{
	if (!arbiter_is_current(n->arbiter, unit->number))
		look_at(n, unit);
	return !unit->ending && arbiter_is_current(n->arbiter, unit->number);
}

void shared_catch_up(struct scsi_nexus *n, struct scsi_lun *unit)
{
	if (!arbiter_is_current(n->arbiter, unit->number))
		look_at(n, unit);
}

bool scsi_holds(struct scsi_nexus *n, unsigned lun)
{
	const struct arbiter_view_lun *l = &n->arbiter->luns[lun];

	look_at(n, &n->luns[lun]);
	return l->state.prevented ||
	       (l->state.reservation == RESERVATION_RESERVE_6 && l->standing == STANDING_HOLDER);
}

void scsi_tasks_ended(struct scsi_nexus *n, unsigned lun)
{
	n->luns[lun].ending = false;
}

/* --- lists --- */

static void list_put(struct scsi_task **list, struct scsi_task *task)
{
	while (*list != NULL)
		list = &(*list)->next;
	task->next = NULL;
	*list = task;
}

static void list_take(struct scsi_task **list, struct scsi_task *task)
{
	while (*list != task)
		list = &(*list)->next;
	*list = task->next;
	task->next = NULL;
}

/* --- orders --- */

static uint32_t next_id(struct scsi_nexus *n)
{
	n->order_id++;
	return n->order_id == 0 ? ++n->order_id : n->order_id;
}

static enum scsi_step give_order(struct scsi_task *task)
{
	task->order_id = next_id(task->nexus);
	task->orders = true;
	task->order_out = task->order_was_out = false;
	list_put(&task->nexus->ordering, task);
	return SCSI_RUNNING;
}

enum scsi_step task_order(struct scsi_task *task,
			  void (*order)(const struct scsi_task *task, struct arbiter_order *ret),
			  enum scsi_step (*answered)(struct scsi_task *task,
						     const struct arbiter_answer *answer))
{
	task->order = order;
	task->answered = answered;
	return gate_when_recorded(task, give_order);
}

/* No task waits for its answer. One that failed for us alone, since it may not be written, is
 * nobody else's business. */
void shared_tell_failed(struct scsi_nexus *n, struct scsi_lun *unit)
{
	if (unit->telling || !unit->writable || n->arbiter->luns[unit->number].state.failed != 0)
		return;
	unit->telling = true;
	n->telling++;
}

static bool asks_for_range(const struct scsi_task *task)
{
	return task->range != 0 && task->range == task->order_id;
}

/* The first that may be sent; NULL: none. An order for a range may be waited for long: others need
 * not wait for it. */
static struct scsi_task *order_first(const struct scsi_nexus *n)
{
	struct scsi_task *task = n->ordering;

	while (task != NULL &&
	       (task->order_out ||
		(asks_for_range(task) ? n->ranges_out == ARBITER_RANGES_EACH : n->order_is_out)))
		task = task->next;
	return task;
}

/* The arbiter remembers one answer of ours for each disk: what it may have decided is asked first.
 */
static bool failure_is_next(const struct scsi_nexus *n)
{
	const struct scsi_task *task = n->ordering;

	while (task != NULL && (!task->order_was_out || asks_for_range(task)))
		task = task->next;
	return n->telling > 0 && !n->order_is_out && task == NULL;
}

static void failure_fill(struct scsi_nexus *n, struct arbiter_order *ret)
{
	for (n->told = 0; !n->luns[n->told].telling; n->told++)
		;
	n->told_id = next_id(n);
	*ret = (struct arbiter_order){
		.id = n->told_id,
		.lun = n->told,
		.kind = ORDER_FAILED,
		.at = (uint32_t)n->luns[n->told].failed,
	};
}

/* Whatever it answered: that everybody knows, the page says. */
static void failure_answered(struct scsi_nexus *n)
{
	n->told_id = 0;
	arbiter_view_await(n->arbiter, 0);
	tell_no_more(n, &n->luns[n->told]);
}

bool scsi_order_next(struct scsi_nexus *n, struct arbiter_order *ret)
{
	struct scsi_task *task = order_first(n);

	if (failure_is_next(n)) {
		failure_fill(n, ret);
		arbiter_view_await(n->arbiter, ret->id);
		return true;
	}
	if (task == NULL)
		return false;
	if (!asks_for_range(task))
		arbiter_view_await(n->arbiter, task->order_id);
	*ret = (struct arbiter_order){.id = task->order_id, .lun = task->unit->number};
	task->order(task, ret);
	return true;
}

void scsi_order_sent(struct scsi_nexus *n)
{
	struct scsi_task *task = failure_is_next(n) ? NULL : order_first(n);

	if (task != NULL)
		task->order_out = true;
	if (task != NULL && asks_for_range(task))
		n->ranges_out++;
	else
		n->order_is_out = true;
}

static void order_in(struct scsi_task *task)
{
	if (asks_for_range(task))
		task->nexus->ranges_out--;
	else
		task->nexus->order_is_out = false;
	task->order_out = task->order_was_out = false;
}

static struct scsi_task *order_find(const struct scsi_nexus *n, uint32_t id)
{
	struct scsi_task *task = n->ordering;

	while (task != NULL && (!task->order_out || task->order_id != id))
		task = task->next;
	return task;
}

static void task_aborted(struct scsi_task *task)
{
	task->status = SCSI_TASK_ABORTED;
	task->sense_len = 0;
	task_finish(task, task_fail);
}

/* One of an arbiter that is gone was asked again, under its own id. */
void scsi_answered(struct scsi_nexus *n, const struct arbiter_answer *answer)
{
	struct scsi_task *task = order_find(n, answer->id);

	if (n->order_is_out && n->told_id != 0 && answer->id == n->told_id) {
		n->order_is_out = false;
		failure_answered(n);
		shared_look(n);
		return;
	}
	if (task == NULL)
		return;
	if (!asks_for_range(task))
		arbiter_view_await(n->arbiter, 0);
	order_in(task);
	list_take(&n->ordering, task);
	task->orders = false;
	shared_look(n); /* what was answered is in force */
	if (task->cancelled)
		task_aborted(task);
	else if (task->answered(task, answer) == SCSI_DONE)
		task->done(task);
}

enum scsi_step task_answered(struct scsi_task *task, const struct arbiter_answer *answer)
{
	if (answer->status == SCSI_GOOD)
		return task_good(task);
	if (answer->status == SCSI_CHECK_CONDITION)
		sense_set(task, (enum sense_key)answer->key, (enum sense_code)answer->code);
	if (answer->status == SCSI_CHECK_CONDITION && answer->pointed)
		sense_parameter_field(task, answer->field);
	task->status = answer->status;
	return task_fail(task);
}

/* --- exclusive ranges --- */

static void order_range(const struct scsi_task *task, struct arbiter_order *ret)
{
	ret->kind = ORDER_TAKE_RANGE;
	ret->lba = task->lba;
	ret->blocks = task->blocks;
}

static enum scsi_step range_answered(struct scsi_task *task, const struct arbiter_answer *answer)
{
	if (answer->status != SCSI_GOOD)
		return task_answered(task, answer);
	return task->then(task);
}

enum scsi_step range_take(struct scsi_task *task, enum scsi_step (*then)(struct scsi_task *task))
{
	task->then = then;
	task->order = order_range;
	task->answered = range_answered;
	(void)give_order(task); /* nothing is changed by it */
	task->range = task->order_id;
	task->next_holder = task->nexus->holders;
	task->nexus->holders = task;
	return SCSI_RUNNING;
}

static void drop_later(struct scsi_nexus *n, uint32_t id, uint32_t lun)
{
	assert(n->drop_count < ARRAY_LEN(n->drops)); /* each task takes one at most */
	n->drops[n->drop_count++] = (struct arbiter_drop){.id = id, .lun = lun};
}

static void holder_take(struct scsi_task *task)
{
	struct scsi_task **at = &task->nexus->holders;

	while (*at != task)
		at = &(*at)->next_holder;
	*at = task->next_holder;
}

void range_drop(struct scsi_task *task)
{
	holder_take(task);
	drop_later(task->nexus, task->range, task->unit->number);
	task->range = 0;
}

/* Nobody was asked for it yet: an initiator that aborts what waits costs the arbiter nothing. */
static void range_forget(struct scsi_task *task)
{
	holder_take(task);
	task->range = 0;
}

bool scsi_drop_next(struct scsi_nexus *n, struct arbiter_drop *ret)
{
	if (n->drop_count == 0)
		return false;
	*ret = n->drops[0];
	return true;
}

void scsi_drop_sent(struct scsi_nexus *n)
{
	memmove(n->drops, n->drops + 1, --n->drop_count * sizeof n->drops[0]);
}

static bool is_held(const struct scsi_nexus *n, uint32_t id)
{
	const struct scsi_task *task = n->holders;

	while (task != NULL && task->range != id)
		task = task->next_holder;
	return task != NULL;
}

/* What was on the way to the arbiter that is gone is lost: its page tells what it still has of us.
 */
static void drop_lost(struct scsi_nexus *n, const struct scsi_lun *unit)
{
	const struct arbiter_view_lun *l = &n->arbiter->luns[unit->number];
	const struct arbiter_disk *disk = &n->arbiter->page->disks[l->disk];

	for (size_t k = 0; k < ARBITER_RANGES && n->drop_count < ARRAY_LEN(n->drops); k++) {
		uint64_t owner = atomic_load(&disk->ranges[k].owner);

		if (owner >> 32 == n->arbiter->me && owner != 0 && !is_held(n, (uint32_t)owner))
			drop_later(n, (uint32_t)owner, unit->number);
	}
}

void scsi_arbiter_changed(struct scsi_nexus *n)
{
	for (struct scsi_task *task = n->ordering; task != NULL; task = task->next) {
		task->order_was_out = task->order_was_out || task->order_out;
		task->order_out = false;
	}
	n->told_id = 0; /* its failure is told anew, if the page does not know it */
	n->order_is_out = false;
	n->ranges_out = 0;
	n->drop_count = 0;
	for (size_t lun = 0; lun < ARRAY_LEN(n->luns); lun++) {
		if (n->luns[lun].present)
			drop_lost(n, &n->luns[lun]);
	}
}

/* --- parked --- */

void shared_park(struct scsi_task *task)
{
	task->parked = true;
	task->parked_turn = task->nexus->turn;
	list_put(&task->nexus->parked, task);
}

static struct scsi_task *take_untried(struct scsi_nexus *n)
{
	for (struct scsi_task *task = n->parked; task != NULL; task = task->next) {
		if (task->parked_turn == n->turn)
			continue;
		list_take(&n->parked, task);
		task->parked = false;
		return task;
	}
	return NULL;
}

/* Each is tried once, and parked anew if it must go on waiting. done() may begin and cancel others:
 * the list is looked at afresh after each. */
void scsi_shared_turn(struct scsi_nexus *n)
{
	struct scsi_task *task;

	shared_look(n);
	operations_turn(n);
	n->turn++;
	while ((task = take_untried(n)) != NULL) {
		if (gate_submit(task) < 0)
			task_finish(task, task_not_submitted);
	}
	limited_turn(n);
	(void)scsi_buffers_turn(n);
}

/* --- the end of a task --- */

void shared_leave(struct scsi_task *task)
{
	bool asked = !task->orders;

	if (task->parked)
		list_take(&task->nexus->parked, task);
	if (task->orders)
		list_take(&task->nexus->ordering, task);
	if (task->range != 0)
		(asked ? range_drop : range_forget)(task);
	task->parked = task->orders = false;
}

bool shared_order_is_out(const struct scsi_task *task)
{
	return task->orders && (task->order_out || task->order_was_out);
}

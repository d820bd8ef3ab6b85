/* Who waits for limits, in one list of the nexus, in the order of their coming. Runs in the
 * session. A LUN whose own limit is drawn out holds up what is for it alone; the limit of the nexus
 * holds up all that count. What counts is what reaches the medium; FORMAT UNIT and SANITIZE do
 * not, which have the disk for themselves. */
#include "gateway/scsi/limited.h"
#include "gateway/scsi/commands.h"
#include "gateway/scsi/gate.h"

#define TOUCHES_MEDIUM (TOUCHES_READ | TOUCHES_WRITE | TOUCHES_DISCARD)

static bool counts(const struct scsi_command *c)
{
	return c->begin == synchronize_begin ||
	       ((c->touches & TOUCHES_MEDIUM) != 0 && (c->touches & TOUCHES_CONTROL) == 0);
}

/* Of WRITE SAME one block may be thousands, and of some of them nothing moves. */
static bool draws_ahead(const struct scsi_command *c)
{
	return c->blocks.width != 0 && (c->touches & TOUCHES_DISCARD) == 0 &&
	       c->begin != synchronize_begin;
}

static uint64_t octets_ahead(const struct scsi_task *task)
{
	if (!draws_ahead(task->command))
		return 0;
	if (task->command->begin == pre_fetch_begin && task->blocks == 0) /* to the end */
		return SCSI_TRANSFER_MAX;
	return MIN((uint64_t)task->blocks * task->unit->block_size, SCSI_TRANSFER_MAX);
}

/* Its octets, if it has begun: else it is to begin. */
static struct scsi_lun *unit_of(const struct scsi_task *task)
{
	return task->drawn ? task_io_unit(task) : task->unit;
}

static void draw(struct scsi_task *task)
{
	struct limits *own = &unit_of(task)->limits;
	bool begins = !task->drawn;
	uint64_t octets = begins ? octets_ahead(task) : task->io.length;

	limits_draw(own, begins, octets);
	limits_draw(&task->nexus->limits, begins, octets);
	task->request_drawn = !begins;
	if (begins) {
		own->going++;
		task->drawn = true;
	}
}

/* --- waiting --- */

static void list_put(struct scsi_task **list, struct scsi_task *task, bool first)
{
	while (*list != NULL && (!first || (*list)->attribute == SCSI_HEAD_OF_QUEUE))
		list = &(*list)->next;
	task->next = *list;
	*list = task;
}

static void list_take(struct scsi_task **list, struct scsi_task *task)
{
	while (*list != task)
		list = &(*list)->next;
	*list = task->next;
	task->next = NULL;
}

/* What is to begin will want an admission: the window has one less until then. */
static void wait_turn(struct scsi_task *task)
{
	task->limited = true;
	if (!task->drawn)
		task->nexus->limited.beginning++;
	list_put(&task->nexus->limited.first, task, task->attribute == SCSI_HEAD_OF_QUEUE);
}

/* Of those that have begun none does, or it might wait for itself. */
static bool waits_for_an_end(const struct scsi_task *task)
{
	return !task->drawn && limits_are_full(&task->unit->limits);
}

static bool may_go(struct scsi_task *task)
{
	struct scsi_nexus *n = task->nexus;

	return n->limited.first == NULL && !waits_for_an_end(task) &&
	       limits_allow(&n->limits, n->now_ms) &&
	       limits_allow(&unit_of(task)->limits, n->now_ms);
}

/* Who comes while others wait joins them: it may be that it needs not wait for the same. */
static bool go_or_wait(struct scsi_task *task)
{
	if (!may_go(task)) {
		wait_turn(task);
		return false;
	}
	draw(task);
	return true;
}

bool limited_begin(struct scsi_task *task)
{
	if (!task->nexus->limited.on)
		return true;
	return task->drawn || !counts(task->command) || go_or_wait(task);
}

static bool moves_octets(enum io_op op)
{
	return op == IO_READ || op == IO_WRITE || op == IO_ZERO;
}

bool limited_submit(struct scsi_task *task)
{
	if (!task->drawn || task->request_drawn)
		return true;
	return draws_ahead(task->command) || !moves_octets(task->io.op) || go_or_wait(task);
}

void limited_submitted(struct scsi_task *task)
{
	task->request_drawn = false;
}

/* --- their turn --- */

static void wake_at(struct scsi_nexus *n, uint64_t at_ms)
{
	if (n->limited.wake_ms == 0 || at_ms < n->limited.wake_ms)
		n->limited.wake_ms = at_ms;
}

/* Nobody passes who waits for the same tokens. */
static bool unit_allows(struct scsi_nexus *n, struct scsi_task *task)
{
	struct scsi_lun *unit = unit_of(task);

	if (unit->limited_turn == n->limited.turn || waits_for_an_end(task))
		return false;
	if (limits_allow(&unit->limits, n->now_ms))
		return true;
	wake_at(n, limits_when(&unit->limits, n->now_ms));
	unit->limited_turn = n->limited.turn;
	return false;
}

/* The first that may go, or NULL. */
static struct scsi_task *first_allowed(struct scsi_nexus *n)
{
	struct scsi_task *task = n->limited.first;

	n->limited.turn++;
	n->limited.wake_ms = 0;
	if (task != NULL && !limits_allow(&n->limits, n->now_ms)) {
		wake_at(n, limits_when(&n->limits, n->now_ms));
		return NULL;
	}
	while (task != NULL && !unit_allows(n, task))
		task = task->next;
	return task;
}

static void submit(struct scsi_task *task)
{
	if (gate_submit(task) < 0)
		task_finish(task, task_not_submitted);
}

/* done() may begin and cancel others: the list is looked at afresh after each. */
void limited_turn(struct scsi_nexus *n)
{
	struct scsi_task *task;

	n->limited.wake_ms = 0;
	while (n->limited.first != NULL && (task = first_allowed(n)) != NULL) {
		bool begins = !task->drawn;

		list_take(&n->limited.first, task);
		draw(task);
		if (begins) {
			list_put(&n->limited.ready, task, false);
		} else {
			task->limited = false;
			submit(task);
		}
	}
}

struct scsi_task *limited_next(struct scsi_nexus *n)
{
	struct scsi_task *task;

	limited_turn(n);
	task = n->limited.ready;
	if (task == NULL)
		return NULL;
	list_take(&n->limited.ready, task);
	n->limited.beginning--;
	task->limited = false;
	return task;
}

/* In which list it is: what is to begin and has drawn is ready. */
static void wait_no_longer(struct scsi_task *task)
{
	struct scsi_nexus *n = task->nexus;
	struct scsi_task *ready = n->limited.ready;

	while (ready != NULL && ready != task)
		ready = ready->next;
	if (ready != NULL || !task->drawn)
		n->limited.beginning--;
	list_take(ready != NULL ? &n->limited.ready : &n->limited.first, task);
	task->limited = false;
}

void limited_leave(struct scsi_task *task)
{
	if (task->limited)
		wait_no_longer(task);
	if (task->drawn)
		task->unit->limits.going--;
	task->drawn = false;
}

/* --- the monitor's word --- */

void scsi_limits(struct scsi_nexus *n, int lun, const struct limit_values *values, uint32_t shares)
{
	struct limits *l = lun < 0 ? &n->limits : &n->luns[lun].limits;

	limits_set(l, values, shares, n->now_ms);
	n->limited.on = limits_are_set(&n->limits);
	for (size_t k = 0; k < ARRAY_LEN(n->luns); k++)
		n->limited.on = n->limited.on || limits_are_set(&n->luns[k].limits);
}

uint64_t scsi_wake_ms(const struct scsi_nexus *n)
{
	return n->limited.wake_ms;
}

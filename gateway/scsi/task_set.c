/* Task sets, SAM-5 section 8. HEAD OF QUEUE starts at once. SIMPLE waits for every HEAD OF QUEUE
 * and every older ORDERED task to end; ORDERED, for every HEAD OF QUEUE and every older
 * task. So the dormant tasks of a set start from the front of one queue. Runs in the
 * session; attributes are the peer's, and it delays nobody but itself with them. */
#include "gateway/scsi/task_set.h"
#include "gateway/scsi/commands.h"

static void list_add(struct task_list *list, struct scsi_task *task)
{
	task->next = NULL;
	if (list->last == NULL)
		list->first = task;
	else
		list->last->next = task;
	list->last = task;
}

static void list_remove(struct task_list *list, struct scsi_task *task)
{
	struct scsi_task **at = &list->first, *before = NULL;

	while (*at != task) {
		before = *at;
		at = &before->next;
	}
	*at = task->next;
	if (list->last == task)
		list->last = before;
	task->next = NULL;
}

/* SPC and SBC, implicit head of queue: what discovery asks need not wait for a medium that does
 * not answer, and SANITIZE shall not. */
static bool is_head(const struct scsi_task *task)
{
	return task->attribute == SCSI_HEAD_OF_QUEUE ||
	       (task->command != NULL && task->command->head_of_queue);
}

/* Of the task at the front of the dormant ones, or of a new one when there are none. */
static bool may_start(const struct task_set *set, const struct scsi_task *task)
{
	return set->barriers == 0 && (!task->barrier || set->enabled == 0);
}

static void enable(struct task_set *set, struct scsi_task *task, enum task_place place)
{
	task->place = place;
	set->enabled++;
	set->barriers += task->barrier;
}

bool task_set_enter(struct scsi_task *task)
{
	struct task_set *set = &task->unit->tasks;
	bool head = is_head(task);

	assert(task->place == PLACE_NONE && task->attribute < SCSI_ACA);
	task->barrier = head || task->attribute == SCSI_ORDERED;
	if (head || (set->dormant.first == NULL && may_start(set, task))) {
		enable(set, task, PLACE_ENABLED);
		return true;
	}
	task->place = PLACE_DORMANT;
	list_add(&set->dormant, task);
	task->nexus->turns.waiting++;
	return false;
}

static void release(struct task_set *set, struct task_list *released)
{
	struct scsi_task *task;

	while ((task = set->dormant.first) != NULL && may_start(set, task)) {
		list_remove(&set->dormant, task);
		enable(set, task, PLACE_RELEASED);
		list_add(released, task);
	}
}

void task_set_leave(struct scsi_task *task)
{
	struct task_turns *turns;
	struct task_set *set;

	if (task->place == PLACE_NONE)
		return;
	turns = &task->nexus->turns;
	set = &task->unit->tasks;
	if (task->place == PLACE_DORMANT)
		list_remove(&set->dormant, task);
	if (task->place == PLACE_RELEASED)
		list_remove(&turns->released, task);
	if (task->place != PLACE_ENABLED)
		turns->waiting--;
	if (task->place != PLACE_DORMANT) {
		set->enabled--;
		set->barriers -= task->barrier;
	}
	task->place = PLACE_NONE;
	release(set, &turns->released);
}

struct scsi_task *task_set_next(struct scsi_nexus *n)
{
	struct scsi_task *task = n->turns.released.first;

	if (task == NULL)
		return NULL;
	list_remove(&n->turns.released, task);
	n->turns.waiting--;
	task->place = PLACE_ENABLED;
	return task;
}

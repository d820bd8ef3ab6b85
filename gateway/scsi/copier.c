/* The copier of a nexus (copier.h). Runs in the session. What is to be moved was checked by
 * those who ask for it; a piece takes the gate's way like any other request, so what the
 * arbiter changes meanwhile binds the next piece. A copy onto itself goes from the end
 * where that is needed, so that nothing is read after it was written over. */
#include "gateway/scsi/copier.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/mode_pages.h"
#include "gateway/scsi/sense.h"

/* None asks for FUA on its write, so that a write without room and a write-back without room are
 * kept apart: where WCE=0, each move ends with a flush. */
enum stage { STAGE_READ, STAGE_WRITE, STAGE_FLUSH };

struct copier {
	struct scsi_task *owner, *waiting;
	uint64_t age;
	struct copy copies[COPIES_MAX];
	_Alignas(IO_ALIGNED) uint8_t buffer[COPY_PIECE];
};

int copier_open(struct copier **ret_copier)
{
	struct copier *c = aligned_alloc(_Alignof(struct copier), sizeof *c);

	if (c == NULL)
		return -ENOMEM;
	memset(c, 0,
	       offsetof(struct copier, buffer)); /* the rest is the kernel's, until it is used */
	*ret_copier = c;
	return 0;
}

void copier_close(struct copier *c)
{
	free(c);
}

/* --- which there are --- */

struct copy *copier_find(const struct scsi_nexus *n, const struct scsi_lun *unit, uint32_t list)
{
	for (size_t k = 0; k < COPIES_MAX; k++) {
		struct copy *copy = &n->copier->copies[k];

		if (copy->state != COPY_NONE && copy->has_list && copy->list == list &&
		    copy->lun == unit->number)
			return copy;
	}
	return NULL;
}

void copier_forget(struct copy *copy)
{
	assert(copy->state != COPY_RUNS);
	copy->state = COPY_NONE;
}

/* A free place, or that of the oldest which is over; NULL: all are under way. */
static struct copy *place_for_one(struct copier *c)
{
	struct copy *oldest = NULL;

	for (size_t k = 0; k < COPIES_MAX; k++) {
		struct copy *copy = &c->copies[k];

		if (copy->state == COPY_NONE)
			return copy;
		if (copy->state != COPY_RUNS && (oldest == NULL || copy->age < oldest->age))
			oldest = copy;
	}
	return oldest;
}

bool copier_begin(struct scsi_task *task, bool has_list, uint32_t list)
{
	struct copier *c = task->nexus->copier;
	struct copy *copy = has_list ? copier_find(task->nexus, task->unit, list) : NULL;

	if (copy != NULL && copy->state == COPY_RUNS) {
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_OPERATION_IN_PROGRESS);
		return false;
	}
	if (copy == NULL)
		copy = place_for_one(c);
	if (copy == NULL) {
		task->status = SCSI_BUSY;
		return false;
	}
	*copy = (struct copy){
		.state = COPY_RUNS,
		.task = task,
		.lun = task->unit->number,
		.action = (uint8_t)task->command->service_action,
		.has_list = has_list,
		.list = list,
		.age = ++c->age,
	};
	task->copy = copy;
	return true;
}

static enum copy_state how_it_ended(const struct scsi_task *task)
{
	if (task->cancelled)
		return COPY_ENDED;
	if (task->status == SCSI_GOOD)
		return COPY_DONE;
	return task->copy->stopped ? COPY_ENDED : COPY_FAILED;
}

static void remember(struct copy *copy, const struct scsi_task *task)
{
	copy->state = copy->has_list ? how_it_ended(task) : COPY_NONE;
	copy->task = NULL;
	copy->sense_len = task->sense_len;
	memcpy(copy->sense, task->sense, sizeof copy->sense);
}

static void stop_waiting(struct scsi_task *task)
{
	struct scsi_task **at = &task->nexus->copier->waiting;

	while (*at != NULL && *at != task)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = task->next;
	task->next = NULL;
}

void copier_leave(struct scsi_task *task)
{
	struct copier *c = task->nexus->copier;

	if (task->copy == NULL)
		return;
	if (c->owner == task)
		c->owner = NULL;
	else
		stop_waiting(task);
	remember(task->copy, task);
	task->copy = NULL;
}

/* --- the one that moves octets --- */

/* Two LUNs may be one disk. */
static bool is_same_disk(const struct scsi_nexus *n, const struct copy_move *m)
{
	const struct arbiter_view_lun *luns = n->arbiter->luns;

	return luns[m->from->number].disk == luns[m->to->number].disk;
}

static bool goes_backwards(const struct scsi_nexus *n, const struct copy_move *m)
{
	return is_same_disk(n, m) && m->to_octet > m->from_octet &&
	       m->to_octet - m->from_octet < m->octets;
}

static void moved(struct io *io, int result);

/* The next one that has octets becomes the copy's; false: there is none. */
static bool take_move(struct scsi_task *task)
{
	struct copy *copy = task->copy;

	task->progress = 0;
	while (copy->next(task, &copy->move)) {
		if (copy->move.octets != 0)
			return true;
		copy->moves++;
	}
	return false;
}

static enum scsi_step run_piece(struct scsi_task *task, bool writes)
{
	const struct copy_move *m = &task->copy->move;
	struct io *io = &task->io;
	uint64_t left = m->octets - task->progress, at = task->progress;

	io->length = MIN(left, COPY_PIECE);
	if (goes_backwards(task->nexus, m))
		at = left - io->length;
	io->offset = at + (writes ? m->to_octet : m->from_octet);
	io->iov[0] = (struct iovec){task->nexus->copier->buffer, io->length};
	io->iov_count = 1;
	task->io_unit = writes ? m->to : m->from;
	task->stage = writes ? STAGE_WRITE : STAGE_READ;
	return medium_submit(task, writes ? IO_WRITE : IO_READ, moved);
}

static enum scsi_step flush(struct scsi_task *task)
{
	medium_promise(task);
	task->io.offset = task->copy->move.to_octet;
	task->io.length = 0;
	task->io.iov_count = 0;
	task->stage = STAGE_FLUSH;
	return medium_submit(task, IO_FLUSH, moved);
}

/* Of the move: its blocks are where they should be. */
static enum scsi_step move_over(struct scsi_task *task)
{
	struct copy *copy = task->copy;

	copy->moves++;
	if (take_move(task))
		return run_piece(task, false);
	if (task->status != SCSI_GOOD)
		return task_fail(task);
	copy->over(task, 0); /* which calls done() */
	return SCSI_RUNNING;
}

/* A piece was read, or read and written. */
static enum scsi_step go_on(struct scsi_task *task)
{
	struct copy *copy = task->copy;

	if (task->stage == STAGE_READ)
		return run_piece(task, true);
	if (task->stage == STAGE_FLUSH)
		return move_over(task);
	task->progress += task->io.length;
	copy->octets += task->io.length;
	if (task->progress < copy->move.octets)
		return run_piece(task, false);
	return mode_write_cache(task->nexus, copy->move.to) ? move_over(task) : flush(task);
}

static enum scsi_step stopped(struct scsi_task *task)
{
	sense_copy_aborted(task, SENSE_NONE, task->copy->moves);
	return task_fail(task);
}

static void moved(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);
	struct scsi_nexus *n = task->nexus;

	task->running = false;
	if (task->cancelled) {
		task->status = SCSI_TASK_ABORTED;
		task_finish(task, task_fail);
	} else if (result == 0 && task->copy->stopped) {
		task_finish(task, stopped);
	} else if (result < 0) {
		task->copy->over(task, result);
	} else if (go_on(task) == SCSI_DONE) {
		task->done(task);
	}
	(void)copier_turn(n);
}

/* The buffer is the task's. */
static enum scsi_step start(struct scsi_task *task)
{
	task->nexus->copier->owner = task;
	if (task->copy->stopped)
		return stopped(task);
	if (take_move(task))
		return run_piece(task, false);
	return task->status == SCSI_GOOD ? task_good(task) : task_fail(task);
}

enum scsi_step copier_run(struct scsi_task *task,
			  bool (*next)(struct scsi_task *task, struct copy_move *ret),
			  void (*over)(struct scsi_task *task, int result))
{
	struct copier *c = task->nexus->copier;
	struct scsi_task **end = &c->waiting;

	task->copy->next = next;
	task->copy->over = over;
	if (c->owner == NULL && c->waiting == NULL)
		return start(task);
	while (*end != NULL)
		end = &(*end)->next;
	task->next = NULL;
	*end = task;
	return SCSI_RUNNING;
}

bool copier_turn(struct scsi_nexus *n)
{
	struct copier *c = n->copier;
	bool any = false;

	while (c->owner == NULL && c->waiting != NULL) {
		struct scsi_task *task = c->waiting;

		stop_waiting(task);
		any = true;
		if (start(task) == SCSI_DONE)
			task->done(task);
	}
	return any;
}

/* Runs FORMAT UNIT and SANITIZE. The command itself only waits: a task of the operation's own
 * does the I/O in bounded pieces, takes over the command's admission, and gives the arbiter the
 * orders that begin the operation, tell how far it is, and end it. So it outlives its command's
 * answer, abort and connection; but not its session: then the arbiter calls it failed. Runs in
 * the session; what is to be done was checked before. */
#include "gateway/scsi/operation.h"
#include "gateway/scsi/gate.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"
#include "gateway/scsi/zeroes.h"

#define STRETCH_OCTETS (64u << 20) /* after which progress is looked at, and a stop is heard */
#define TELL_EVERY_MS  1000u

struct operation {
	struct scsi_task work;	 /* nobody's command */
	struct scsi_task *asker; /* waits for the end; NULL: answered, or gone */
	struct operation_plan plan;
	uint8_t cdb[CDB_MAX];
	uint64_t at; /* blocks that are done, in this pass */
	unsigned pass;
	uint16_t told;	  /* progress that others know of */
	uint64_t told_ms; /* when they were told last */
	bool begun, stop;
	bool untouched;	 /* it was aborted before anybody was told that it had begun */
	bool tell_again; /* that it is over: the arbiter could not keep it */
	struct operation *next;
};

static struct operation *operation_of(const struct scsi_task *work)
{
	return CONTAINER_OF(work, struct operation, work);
}

static void operation_free(struct operation *o)
{
	struct operation **at = &o->work.nexus->operations;

	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	if (o->asker != NULL)
		o->asker->operation = NULL;
	free(o->plan.pattern);
	free(o);
}

/* --- the end --- */

/* The asker's, if it still waits: it ends as the work did. */
static void asker_finish(struct operation *o)
{
	struct scsi_task *asker = TAKE(o->asker);

	if (asker == NULL)
		return;
	asker->operation = NULL;
	asker->status = o->work.status;
	asker->sense_len = o->work.sense_len;
	memcpy(asker->sense, o->work.sense, sizeof asker->sense);
	task_finish(asker, asker->status == SCSI_GOOD ? task_good : task_fail);
}

static void order_end(const struct scsi_task *work, struct arbiter_order *ret)
{
	const struct operation *o = operation_of(work);
	bool sanitizes = o->plan.sanitizes;

	ret->kind = ORDER_OPERATION;
	ret->action = OPERATION_NONE;
	if (work->status != SCSI_GOOD && !o->untouched)
		ret->action = sanitizes ? OPERATION_SANITIZE_FAILED : OPERATION_FORMAT_FAILED;
}

/* An arbiter that can't keep it now is asked again later: until then the medium stays closed. */
static enum scsi_step ended(struct scsi_task *work, const struct arbiter_answer *answer)
{
	struct operation *o = operation_of(work);

	if (answer->status == SCSI_BUSY) {
		o->tell_again = true;
		o->told_ms = work->nexus->now_ms;
		return SCSI_RUNNING;
	}
	asker_finish(o);
	operation_free(o);
	return SCSI_RUNNING;
}

/* The work's done(): the medium is as it should be, or it failed. */
static void work_over(struct scsi_task *work)
{
	work->cancelled = false; /* it was heard, and the order is not to be */
	(void)task_order(work, order_end, ended);
}

static void work_stop(struct operation *o)
{
	o->work.status = SCSI_TASK_ABORTED;
	o->work.sense_len = 0;
	if (o->untouched)
		gate_abandon(&o->work);
	task_finish(&o->work, task_fail);
}

/* --- on the way --- */

static void go_on(struct operation *o);

static uint16_t progress_of(const struct operation *o)
{
	double part = (double)o->at / (double)MAX(o->work.unit->blocks, 1);

	return (uint16_t)((part + o->pass) / o->plan.passes * UINT16_MAX);
}

static void order_progress(const struct scsi_task *work, struct arbiter_order *ret)
{
	const struct operation *o = operation_of(work);

	ret->kind = ORDER_OPERATION;
	ret->action = o->plan.sanitizes ? OPERATION_SANITIZE : OPERATION_FORMAT;
	ret->at = o->told;
}

static enum scsi_step progress_told(struct scsi_task *work, const struct arbiter_answer *answer)
{
	(void)answer; /* who is told less often loses nothing */
	go_on(operation_of(work));
	return SCSI_RUNNING;
}

/* That it moves is told as soon as it does. */
static bool is_worth_telling(const struct operation *o)
{
	uint16_t progress = progress_of(o);

	if (progress == o->told)
		return false;
	return o->work.nexus->now_ms - o->told_ms >= TELL_EVERY_MS ||
	       (o->told == 0 && progress != UINT16_MAX);
}

static void map_pattern(struct operation *o)
{
	struct io *io = &o->work.io;
	uint64_t left = medium_octets(&o->work) - o->work.progress;

	io->iov_count = 0;
	for (io->length = 0; io->length < left && io->iov_count < IO_SEGMENTS_MAX;) {
		size_t part = MIN(PATTERN_OCTETS, left - io->length);

		io->iov[io->iov_count++] = (struct iovec){o->plan.pattern, part};
		io->length += part;
	}
}

static void stretch_over(struct scsi_task *work)
{
	struct operation *o = operation_of(work);

	o->at += work->blocks;
	go_on(o);
}

static void pattern_written(struct io *io, int result);

static enum scsi_step write_pattern(struct operation *o)
{
	map_pattern(o);
	return medium_run(&o->work, IO_WRITE, pattern_written);
}

static void pattern_written(struct io *io, int result)
{
	struct scsi_task *work = CONTAINER_OF(io, struct scsi_task, io);
	size_t len = io->length;

	if (!medium_continue(work, result))
		return;
	work->progress += len;
	if (work->progress == medium_octets(work))
		stretch_over(work);
	else if (write_pattern(operation_of(work)) == SCSI_DONE)
		work->done(work);
}

static void pass_flushed(struct io *io, int result);

/* What was written reaches the medium before it is written over. */
static enum scsi_step flush_pass(struct operation *o)
{
	o->work.io.iov_count = 0;
	o->work.io.length = 0;
	return medium_run(&o->work, IO_FLUSH, pass_flushed);
}

static void invert(struct operation *o)
{
	for (size_t i = 0; i < PATTERN_OCTETS; i++)
		o->plan.pattern[i] = (uint8_t)~o->plan.pattern[i];
}

static void pass_flushed(struct io *io, int result)
{
	struct scsi_task *work = CONTAINER_OF(io, struct scsi_task, io);
	struct operation *o = operation_of(work);

	if (!medium_continue(work, result))
		return;
	o->pass++;
	o->at = 0;
	if (o->plan.invert)
		invert(o);
	go_on(o);
}

static enum scsi_step next_stretch(struct operation *o)
{
	struct scsi_task *work = &o->work;
	uint64_t left = work->unit->blocks - o->at;

	if (left == 0)
		return o->pass + 1 < o->plan.passes ? flush_pass(o) : medium_flush(work);
	work->lba = o->at;
	work->blocks = (uint32_t)MIN(left, STRETCH_OCTETS / work->unit->block_size);
	work->progress = 0;
	return o->plan.op == IO_WRITE ? write_pattern(o)
				      : zeroes_begin(work, o->plan.op, stretch_over);
}

static void go_on(struct operation *o)
{
	struct scsi_task *work = &o->work;

	if (o->stop) {
		work_stop(o);
	} else if (is_worth_telling(o)) {
		o->told = progress_of(o);
		o->told_ms = work->nexus->now_ms;
		(void)task_order(work, order_progress, progress_told);
	} else if (next_stretch(o) == SCSI_DONE) {
		work->done(work);
	}
}

/* Fails as soon as what runs is over. */
static void stop(struct operation *o)
{
	o->stop = true;
	if (o->work.running || o->work.waits_for_audit)
		o->work.cancelled = true;
}

/* --- the beginning --- */

static void order_begin(const struct scsi_task *work, struct arbiter_order *ret)
{
	const struct operation *o = operation_of(work);

	ret->kind = ORDER_OPERATION;
	ret->action = o->plan.sanitizes ? OPERATION_SANITIZE : OPERATION_FORMAT;
	ret->flags = ORDER_BEGIN | (o->plan.free_exit ? ORDER_FREE_EXIT : 0);
}

/* It never began: nothing was touched. */
static void give_up(struct operation *o, const struct arbiter_answer *answer)
{
	struct scsi_task *asker = TAKE(o->asker);

	if (asker != NULL) {
		asker->operation = NULL;
		asker->admission = TAKE(o->work.admission);
	}
	gate_abandon(&o->work);
	operation_free(o);
	if (asker != NULL && task_answered(asker, answer) == SCSI_DONE)
		asker->done(asker);
}

static enum scsi_step began(struct scsi_task *work, const struct arbiter_answer *answer)
{
	struct operation *o = operation_of(work);

	if (answer->status != SCSI_GOOD) {
		give_up(o, answer);
		return SCSI_RUNNING;
	}
	o->begun = true;
	if (o->asker != NULL) /* SAM-5: who waits for it in the task set is told what goes on */
		task_set_leave(o->asker);
	/* What failed before is not well for that. */
	o->untouched = o->stop && answer->field == OPERATION_NONE;
	if (o->plan.immediate && !o->stop)
		asker_finish(o);
	go_on(o);
	return SCSI_RUNNING;
}

static struct operation *operation_make(struct scsi_task *task, const struct operation_plan *plan)
{
	struct operation *o = calloc(1, sizeof *o);

	if (o == NULL)
		return NULL;
	o->plan = *plan;
	memcpy(o->cdb, task->cdb, sizeof o->cdb);
	o->work = (struct scsi_task){
		.nexus = task->nexus,
		.cdb = o->cdb,
		.cdb_len = sizeof o->cdb,
		.tag = task->tag,
		.done = work_over,
		.command = task->command,
		.unit = task->unit,
		.operates = true,
	};
	memcpy(o->work.lun, task->lun, sizeof o->work.lun);
	o->told_ms = task->nexus->now_ms;
	o->asker = task;
	o->next = task->nexus->operations;
	task->nexus->operations = o;
	return o;
}

static enum scsi_step recorded(struct scsi_task *task)
{
	task->operation->work.admission = TAKE(task->admission);
	task->operation->work.recorded = true;
	(void)task_order(&task->operation->work, order_begin, began);
	return SCSI_RUNNING;
}

enum scsi_step operation_start(struct scsi_task *task, const struct operation_plan *plan)
{
	struct operation *o = operation_make(task, plan);

	if (o == NULL) {
		free(plan->pattern);
		return task_busy(task);
	}
	task->operation = o;
	return gate_when_recorded(task, recorded);
}

/* --- who has it --- */

/* What began can't be taken back: it goes on, or it fails. */
void operation_leave(struct scsi_task *task)
{
	struct operation *o = TAKE(task->operation);

	o->asker = NULL;
	if (!o->begun && !shared_order_is_out(&o->work)) {
		shared_leave(&o->work);
		gate_abandon(&o->work);
		operation_free(o);
	} else if (!o->plan.continues) {
		stop(o);
	}
}

void operations_turn(struct scsi_nexus *n)
{
	for (struct operation *o = n->operations; o != NULL; o = o->next) {
		if (!o->tell_again || n->now_ms - o->told_ms < TELL_EVERY_MS)
			continue;
		o->tell_again = false;
		(void)task_order(&o->work, order_end, ended);
	}
}

bool scsi_operates(const struct scsi_nexus *n)
{
	return n->operations != NULL;
}

void scsi_operations_stop(struct scsi_nexus *n)
{
	for (struct operation *o = n->operations; o != NULL; o = o->next)
		stop(o);
}

/* The arbiter, when it hears that the session is over, calls them failed. */
void operations_close(struct scsi_nexus *n)
{
	while (n->operations != NULL) {
		gate_abandon(&n->operations->work);
		operation_free(n->operations);
	}
}

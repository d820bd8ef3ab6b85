/* The gate. Runs in the session; trusts nothing of the CDB but what the device decoded
 * from it. Its rule (P2): audit_ring_put() has returned 0 for a command's record
 * before there is an admission for it, and backend_submit() takes nothing else.
 * While the ring takes no records, or the arbiter's page says that the unit is not open
 * now, commands are answered BUSY and counted. */
#include "gateway/scsi/gate.h"
#include "gateway/scsi/availability.h"
#include "gateway/scsi/commands.h"
#include "gateway/scsi/limited.h"
#include "gateway/scsi/mode_pages.h"
#include "gateway/scsi/port_groups.h"
#include "gateway/scsi/reservation_rules.h"
#include "gateway/scsi/rules.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"

struct admission {
	struct admission *next; /* in the free list */
	bool reserved; /* a place that is kept: nothing is admitted, no record tells of it */
	bool submitted;
	bool running;	  /* at the backend now: counted in flight under this parity */
	uint32_t version; /* of the policy's rules, by which it was admitted */
	bool stays;	  /* counted although it is not there: what failed is undone first */
	int parity;
};

struct gate {
	struct admission *free;
	uint32_t free_count, admissions;
	uint32_t busy; /* commands answered BUSY that no record tells of yet */
	struct admission all[];
};

int gate_open(unsigned admissions, struct gate **ret_gate)
{
	struct gate *g;
	size_t size;

	if (!MUL_OK((size_t)admissions, sizeof g->all[0], &size) || !ADD_OK(size, sizeof *g, &size))
		return -EOVERFLOW;
	g = calloc(1, size);
	if (g == NULL)
		return -ENOMEM;
	g->admissions = g->free_count = admissions;
	for (unsigned i = 0; i < admissions; i++) {
		g->all[i].next = g->free;
		g->free = &g->all[i];
	}
	*ret_gate = g;
	return 0;
}

void gate_close(struct gate *gate)
{
	free(gate);
}

/* Each command in flight may need one more slot, for its outcome. */
static uint32_t slots_spoken_for(const struct gate *g)
{
	return g->admissions - g->free_count + (g->busy != 0);
}

uint32_t gate_room(const struct scsi_nexus *nexus)
{
	const struct gate *g = nexus->gate;
	uint32_t slots = audit_ring_free(nexus->ring), taken = slots_spoken_for(g);

	return slots <= taken ? 0 : MIN((slots - taken) / 2, g->free_count);
}

static void admission_free(struct scsi_task *task)
{
	struct gate *g = task->nexus->gate;
	struct admission *a = TAKE(task->admission);

	a->next = g->free;
	g->free = a;
	g->free_count++;
}

/* For `count` records of one more command, beside the outcomes that may yet come. */
static bool has_room_for(const struct scsi_nexus *n, uint32_t count)
{
	return audit_ring_free(n->ring) >= slots_spoken_for(n->gate) + count + 1;
}

static bool has_room(const struct scsi_nexus *n)
{
	return has_room_for(n, 1);
}

void gate_put_busy_count(struct scsi_nexus *n)
{
	struct audit_record r = {
		.wall_ns = n->wall_ns,
		.blocks = n->gate->busy,
		.lun = AUDIT_NO_LUN,
		.kind = AUDIT_OUTCOME,
		.verdict = VERDICT_BUSY,
		.status = SCSI_BUSY,
	};

	if (n->gate->busy == 0 || !has_room(n))
		return;
	audit_ring_put_kept(n->ring, &r, n->now_ms);
	n->gate->busy = 0;
}

void gate_catch_up(struct scsi_nexus *nexus)
{
	if (nexus->gate->busy != 0 && audit_ring_healthy(nexus->ring, nexus->now_ms))
		gate_put_busy_count(nexus);
}

static bool answer_busy(struct scsi_task *task)
{
	struct gate *g = task->nexus->gate;

	if (g->busy < UINT32_MAX)
		g->busy++;
	task->status = SCSI_BUSY;
	task->sense_len = 0;
	return false;
}

bool gate_may_record(struct scsi_nexus *n)
{
	gate_catch_up(n);
	return n->gate->busy == 0 && has_room(n);
}

/* A command that ends at the gate: one record, with the reason. */
static void put_final(struct scsi_task *task, enum audit_verdict verdict, uint32_t rule_line)
{
	struct audit_record r = gate_record(task, AUDIT_COMMAND, verdict);

	r.rule_line = rule_line;
	if (!gate_may_record(task->nexus) ||
	    audit_ring_put(task->nexus->ring, &r, task->nexus->now_ms) < 0)
		(void)answer_busy(task);
}

void gate_refuse(struct scsi_task *task)
{
	put_final(task, VERDICT_REFUSED, 0);
}

#define PERSISTENT_RESERVE_OUT 0x5f

/* P3: who was given a unit for reading changes nothing on it, and does not lock out who writes it;
 * who could write it but for another initiator may ask for it by a reservation. */
static bool is_for_writers(const struct scsi_task *task)
{
	const struct scsi_command *c = task->command;

	if (task->unit->waits && c->opcode == PERSISTENT_RESERVE_OUT)
		return false;
	return command_is_for_writers(c->opcode, c->service_action, c->touches);
}

/* What the policy says of this command. True: denied, and the task has its sense. */
static bool denied(struct scsi_task *task)
{
	uint32_t line;

	if (rules_refuse(task, &line)) {
		put_final(task, VERDICT_DENIED, line);
		return true;
	}
	if (!task->unit || task->command->names_units)
		return false;
	if (!task->unit->writable && is_for_writers(task)) {
		sense_set(task, KEY_DATA_PROTECT, SENSE_WRITE_PROTECTED);
		put_final(task, VERDICT_DENIED, task->unit->rule_line);
		return true;
	}
	if (!(task->command->touches & (TOUCHES_WRITE | TOUCHES_DISCARD)) ||
	    !mode_swp(task->nexus, task->unit))
		return false;
	sense_set(task, KEY_DATA_PROTECT, SENSE_SOFTWARE_WRITE_PROTECTED);
	put_final(task, VERDICT_REFUSED, 0);
	return true;
}

static bool is_recorded(const struct scsi_task *task)
{
	if (!AUDIT_IS_BUILT)
		return false;
	return !task->nexus->records.writes_only ||
	       (task->command->touches & ~(uint32_t)(TOUCHES_NOTHING | TOUCHES_READ)) != 0;
}

/* Is the unit open now, by this port, and may this nexus do it under its reservation? False: the
 * task is done. */
static bool is_free(struct scsi_task *task)
{
	if (task->unit == NULL)
		return true;
	if (!shared_is_open(task->nexus, task->unit))
		return answer_busy(task);
	if (!access_refuses(task) && !reservation_conflicts(task))
		return true;
	if (task->status == SCSI_GOOD)
		task->status = SCSI_RESERVATION_CONFLICT;
	put_final(task, VERDICT_REFUSED, 0);
	return false;
}

static void admission_make(struct scsi_task *task, bool reserved)
{
	struct gate *g = task->nexus->gate;
	struct admission *a = g->free;

	g->free = a->next;
	g->free_count--;
	*a = (struct admission){.reserved = reserved, .version = task->nexus->rules.version};
	task->admission = a;
}

static bool put_admitted(struct scsi_task *task)
{
	struct audit_record r = gate_record(task, AUDIT_COMMAND, VERDICT_ADMITTED);

	if (audit_ring_put(task->nexus->ring, &r, task->nexus->now_ms) < 0)
		return false;
	gate_is_on_record(task, task->unit);
	return true;
}

bool gate_admit(struct scsi_task *task)
{
	struct scsi_nexus *n = task->nexus;

	if (denied(task))
		return false;
	if (!gate_may_record(n) || n->gate->free == NULL || !audit_ring_healthy(n->ring, n->now_ms))
		return answer_busy(task);
	if (!is_free(task))
		return false;
	if (is_recorded(task) && !put_admitted(task))
		return answer_busy(task);
	admission_make(task, false);
	return true;
}

bool gate_reserve(struct scsi_task *task)
{
	struct scsi_nexus *n = task->nexus;

	if (denied(task))
		return false;
	if (!gate_may_record(n) || n->gate->free == NULL || !audit_ring_healthy(n->ring, n->now_ms))
		return answer_busy(task);
	if (!is_free(task))
		return false;
	admission_make(task, true);
	return true;
}

bool gate_has_admitted(const struct scsi_task *task)
{
	return task->admission != NULL && !task->admission->reserved;
}

static const struct scsi_lun *range_unit(const struct scsi_task *task, const struct gate_range *r)
{
	return r->unit != NULL ? r->unit : task->unit;
}

static int put_ranges(struct scsi_task *task, const struct gate_range *ranges, unsigned count)
{
	struct scsi_nexus *n = task->nexus;
	int r = 0;

	for (unsigned i = 0; i < MAX(count, 1); i++) {
		struct audit_record record = gate_record(task, AUDIT_COMMAND, VERDICT_ADMITTED);

		if (count > 0) {
			record.lba = ranges[i].lba;
			record.blocks = ranges[i].blocks;
			record.lun = range_unit(task, &ranges[i])->number;
			record.source = ranges[i].source;
		}
		r = audit_ring_put(n->ring, &record, n->now_ms);
		if (r < 0)
			break;
		task->admission->reserved = false; /* from the first record on it has an outcome */
		gate_is_on_record(task, count > 0 ? range_unit(task, &ranges[i]) : task->unit);
	}
	return r;
}

/* True: the task ends, and has its record. */
static bool one_range_denied(struct scsi_task *task, const struct gate_range *r)
{
	const struct scsi_lun *unit = range_unit(task, r);
	struct rules_blocks what = {unit, r->lba, r->blocks, !r->source};
	uint32_t line = unit->rule_line;

	if (rules_refuse_blocks(task, &what, &line)) {
		put_final(task, VERDICT_DENIED, line);
		return true;
	}
	if (r->source || r->unit == NULL || (unit->writable && !mode_swp(task->nexus, unit)))
		return false;
	sense_set(task, KEY_DATA_PROTECT,
		  unit->writable ? SENSE_SOFTWARE_WRITE_PROTECTED : SENSE_WRITE_PROTECTED);
	put_final(task, unit->writable ? VERDICT_REFUSED : VERDICT_DENIED,
		  unit->writable ? 0 : line);
	return true;
}

static bool range_denied(struct scsi_task *task, const struct gate_range *ranges, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (one_range_denied(task, &ranges[i]))
			return true;
	}
	return false;
}

/* Of the other units. SPC-4: what a copy meets there ends it with COPY ABORTED. */
static bool ranges_are_free(struct scsi_task *task, const struct gate_range *ranges, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct scsi_nexus *n = task->nexus;
		const struct scsi_lun *unit = range_unit(task, &ranges[i]);

		if (unit == task->unit)
			continue;
		if (!shared_is_open(n, &n->luns[unit->number]))
			return answer_busy(task);
		if (!reservation_conflicts_on(n, unit, !ranges[i].source))
			continue;
		sense_set(task, KEY_COPY_ABORTED, SENSE_THIRD_PARTY_DEVICE_FAILURE);
		put_final(task, VERDICT_REFUSED, 0);
		return false;
	}
	return true;
}

bool gate_lacks_room(struct scsi_task *task, unsigned count)
{
	bool lacks = !task->had_to_wait && !has_room_for(task->nexus, MAX(count, 1));

	task->had_to_wait = task->had_to_wait || lacks;
	return lacks;
}

/* Its own outcome's slot is spoken for already; what the records take is free beside that. */
bool gate_admit_ranges(struct scsi_task *task, const struct gate_range *ranges, unsigned count)
{
	struct scsi_nexus *n = task->nexus;

	assert(task->admission != NULL && task->admission->reserved);
	if (denied(task) || range_denied(task, ranges, count))
		return false;
	if (!gate_may_record(n) || !has_room_for(n, MAX(count, 1)) ||
	    !audit_ring_healthy(n->ring, n->now_ms))
		return answer_busy(task);
	if (!is_free(task) || !ranges_are_free(task, ranges, count))
		return false;
	return put_ranges(task, ranges, count) == 0 || answer_busy(task);
}

/* --- to the backend --- */

static void io_over(struct io *io, int result)
{
	struct scsi_task *task = CONTAINER_OF(io, struct scsi_task, io);
	struct admission *a = task->admission;

	a->running = false;
	a->stays = result < 0 && task->undoes;
	task->voided = 0;
	if (!a->stays)
		arbiter_leave(task->nexus->arbiter, task_io_unit(task)->number, a->parity);
	task->io_done(io, result);
}

static bool changes_medium(enum io_op op)
{
	return op == IO_WRITE || op == IO_DISCARD || op == IO_ZERO;
}

/* True: the task's status says why. */
static bool request_conflicts(struct scsi_task *task)
{
	if (task->io_unit == NULL || task->io_unit == task->unit) {
		if (access_refuses(task))
			return true;
		if (!reservation_conflicts(task))
			return false;
		task->status = SCSI_RESERVATION_CONFLICT;
		return true;
	}
	if (port_access(task->nexus, task->io_unit) < ACCESS_STANDBY &&
	    !reservation_conflicts_on(task->nexus, task->io_unit, task->io.op != IO_READ))
		return false;
	sense_set(task, KEY_COPY_ABORTED, SENSE_THIRD_PARTY_DEVICE_FAILURE);
	return true;
}

struct gate_range gate_io_range(const struct scsi_task *task)
{
	const struct io *io = &task->io;
	uint32_t block = task_io_unit(task)->block_size;
	uint64_t first = io->offset / block;
	uint64_t end = (io->offset + io->length + block - 1) / block;

	return (struct gate_range){
		.lba = first,
		.blocks = io->length == 0 ? 0 : (uint32_t)(end - first),
		.unit = task_io_unit(task),
	};
}

/* Rules that came after the admission bind what has not been at the backend yet; what was there
 * ends. True: the task has its sense. */
static bool is_denied_now(struct scsi_task *task, const struct gate_range *reached)
{
	struct admission *a = task->admission;
	struct rules_blocks what = {
		.unit = task_io_unit(task),
		.lba = reached->lba,
		.blocks = reached->blocks,
		.write = changes_medium(task->io.op),
	};
	uint32_t line;

	if (a->submitted || a->version == task->nexus->rules.version)
		return false;
	a->version = task->nexus->rules.version;
	return rules_refuse(task, &line) || rules_refuse_blocks(task, &what, &line);
}

/* What the arbiter published since the admission binds this request: it is counted in flight under
 * what is in force, or it never reaches the disk. 1: counted. 0: it is somebody else's turn on
 * these blocks, or the task is about to be ended. 2: a token stands for them. -EAGAIN: not now.
 * -EACCES: the task's status says why. */
static int enter(struct scsi_task *task)
{
	struct arbiter_view *v = task->nexus->arbiter;
	struct scsi_lun *unit = task_io_unit(task);
	struct gate_range reached = gate_io_range(task);
	int parity;

	if (is_denied_now(task, &reached))
		return -EACCES;
	do {
		if (!shared_is_open(task->nexus, unit))
			return unit->ending ? 0 : -EAGAIN;
		if (request_conflicts(task))
			return -EACCES;
		if (changes_medium(task->io.op) &&
		    (!unit->writable || mode_swp(task->nexus, unit))) {
			sense_set(task, KEY_DATA_PROTECT,
				  unit->writable ? SENSE_SOFTWARE_WRITE_PROTECTED
						 : SENSE_WRITE_PROTECTED);
			return -EACCES;
		}
		if (!medium_is_available(task))
			return -EACCES;
		parity = arbiter_enter(v, unit->number);
	} while (parity < 0);
	if (arbiter_range_is_taken(v, unit->number, reached.lba, reached.blocks, task->range)) {
		arbiter_leave(v, unit->number, parity);
		return 0;
	}
	if (changes_medium(task->io.op) && shared_has_token(task)) {
		arbiter_leave(v, unit->number, parity);
		return 2;
	}
	task->admission->parity = parity;
	return 1;
}

/* Nobody tries an operation again; and what a copy has moved so far is not to be in vain. */
static bool goes_on_later(const struct scsi_task *task)
{
	return task->operates || task->copy != NULL;
}

static enum scsi_step submit_again(struct scsi_task *task)
{
	return gate_submit(task) < 0 ? task_not_submitted(task) : SCSI_RUNNING;
}

/* What was admitted may be undone whatever became of the right to do it: nobody is told that
 * something else is in force before that is over, because it is still counted in flight. */
static int undo_not_taken(struct scsi_task *task)
{
	task->running = true; /* who cancels it waits */
	shared_park(task);
	return 0;
}

int gate_submit(struct scsi_task *task)
{
	struct admission *a = task->admission;
	int r;

	assert(a != NULL && !a->reserved && !a->running);
	r = gate_hold_until_recorded(task, submit_again);
	if (r <= 0)
		return r;
	if (!a->stays && !limited_submit(task))
		return 0;
	r = a->stays ? 1 : enter(task);
	if (r == -EAGAIN && goes_on_later(task))
		r = 0;
	if (r == 0)
		shared_park(task);
	if (r == 2)
		shared_void_tokens(task);
	if (r != 1)
		return MIN(r, 0);
	if (task->io.done != io_over)
		task->io_done = task->io.done;
	task->io.done = io_over;
	r = backend_submit(task_io_unit(task)->backend, a, &task->io);
	if (r < 0 && a->stays)
		return undo_not_taken(task);
	if (r < 0) {
		arbiter_leave(task->nexus->arbiter, task_io_unit(task)->number, a->parity);
		return r;
	}
	a->submitted = a->running = task->running = true;
	a->stays = false;
	limited_submitted(task);
	return 0;
}

/* Its slot was kept free since the admission, so the outcome is never lost: not even when the
 * session ends while the auditor is away. */
static void put_outcome(struct scsi_task *task, enum audit_verdict verdict)
{
	struct scsi_nexus *n = task->nexus;
	struct audit_record r = gate_record(task, AUDIT_OUTCOME, verdict);
	uint64_t us = n->now_us > task->admitted_us ? n->now_us - task->admitted_us : 0;

	if (task->on_record) /* 0 says that it is not known */
		r.latency_us = (uint32_t)MIN(MAX(us, 1), UINT32_MAX);
	audit_ring_put_kept(n->ring, &r, n->now_ms);
	admission_free(task);
}

void gate_end(struct scsi_task *task)
{
	if (task->admission == NULL)
		return;
	if (task->admission->reserved)
		admission_free(task);
	else if (task->status == task->met_status && task->on_record &&
		 task->nexus->records.outcomes_all)
		put_outcome(task, VERDICT_DONE);
	else if (task->status == task->met_status)
		admission_free(task);
	else if (task->status == SCSI_BUSY && !task->admission->submitted)
		put_outcome(task, VERDICT_NOT_EXECUTED);
	else
		put_outcome(task, VERDICT_FAILED);
}

void gate_abandon(struct scsi_task *task)
{
	if (task->admission == NULL)
		return;
	if (task->admission->reserved) {
		admission_free(task);
		return;
	}
	task->status = SCSI_TASK_ABORTED;
	task->sense_len = 0;
	put_outcome(task, task->admission->submitted ? VERDICT_FAILED : VERDICT_NOT_EXECUTED);
}

/* The gate: the only way to a backend. It makes admissions, one for each command, after
 * the command's record is in the audit ring; what it does not admit, it records
 * with the reason. A struct admission is known to gate.c alone. */
#pragma once

#include "gateway/scsi/scsi.h"

int gate_open(unsigned admissions, struct gate **ret_gate) MUST_CHECK;
void gate_close(struct gate *gate);

/* True: task->admission is there, its record is in the ring. False: the task is done, with DATA
 * PROTECT (denied) or BUSY (no audit now). */
bool gate_admit(struct scsi_task *task) MUST_CHECK;
/* For a command whose ranges are in its data: a place is kept until they have come. False: as of
 * gate_admit(). */
bool gate_reserve(struct scsi_task *task) MUST_CHECK;
struct gate_range {
	uint64_t lba;
	uint32_t blocks;
	const struct scsi_lun *unit; /* NULL: the task's, which was asked already */
	bool source;		     /* it is read; else written */
};
bool gate_has_admitted(const struct scsi_task *task); /* and its place is not just kept */
/* For the records of so many ranges there is no room in the audit, but there will be when it has
 * taken what it has: wait for that with gate_when_durable(), and then look again. Said once to each
 * task; who still finds none is answered BUSY by gate_admit_ranges(). */
bool gate_lacks_room(struct scsi_task *task, unsigned count) MUST_CHECK;
/* Admits a task that has its place: the audit has a record of each range (of none: one record).
 * Each unit's reservation and rules are asked. */
bool gate_admit_ranges(struct scsi_task *task, const struct gate_range *ranges,
		       unsigned count) MUST_CHECK;
/* Of an admitted task: what its list names beyond ranges, from octet `at` on, as records of their
 * own; gate_list_records() of them. -EBUSY: there is no room. */
#define gate_list_records(octets) (unsigned)(((octets) + 31) / 32)
int gate_put_list(struct scsi_task *task, size_t at) MUST_CHECK;
/* The device refuses the command: the task has its sense. Records it, or answers BUSY. */
void gate_refuse(struct scsi_task *task);
/* The blocks that task->io reaches: of the last one perhaps a part. */
struct gate_range gate_io_range(const struct scsi_task *task);
/* Hands task->io to the backend of task_io_unit(), as soon as nobody else has these blocks for
 * himself: the task may be parked. -EAGAIN, -EACCES: not taken; task->status is GOOD, or says why.
 * When a request of a task that undoes (task->undoes) failed, the next one is always taken.
 */
int gate_submit(struct scsi_task *task) MUST_CHECK;
/* The task has its status: gives the admission back, records an end other than GOOD. */
void gate_end(struct scsi_task *task);
/* The task goes away between admission and end: "not executed" if it was never submitted. */
void gate_abandon(struct scsi_task *task);

uint32_t gate_room(const struct scsi_nexus *nexus);
/* One record for all commands that were answered BUSY since the last: if the auditor is well again,
 * or in any case. */
void gate_catch_up(struct scsi_nexus *nexus);
void gate_put_busy_count(struct scsi_nexus *nexus);

/* Goes on with `then` when the records of what was admitted so far are durable. `then` returns as
 * of data_arrived(). */
enum scsi_step gate_when_durable(struct scsi_task *task,
				 enum scsi_step (*then)(struct scsi_task *task)) MUST_CHECK;
/* The same, once for each task that was admitted, if its row of the command table says so
 * (durable_first). gate_submit() and task_order() see to it: whoever does neither asks for it. */
enum scsi_step gate_when_recorded(struct scsi_task *task,
				  enum scsi_step (*then)(struct scsi_task *task)) MUST_CHECK;
/* 1: go on. 0: the task is held, and `then` is called. -EAGAIN: no audit now. */
int gate_hold_until_recorded(struct scsi_task *task,
			     enum scsi_step (*then)(struct scsi_task *task)) MUST_CHECK;
bool gate_may_record(struct scsi_nexus *n) MUST_CHECK; /* there is room for a record now */
/* gate_record.c: of the task as it is now. */
struct audit_record gate_record(const struct scsi_task *task, enum audit_kind kind,
				enum audit_verdict verdict);
/* The gate has put a record of the task: what is done on this unit (NULL: on none) waits for it to
 * be as durable as the policy, or the command, demands. It is asked for at once: while the data
 * comes, the record is on its way. */
void gate_is_on_record(struct scsi_task *task, const struct scsi_lun *unit);
/* Of a task that is held: what it waits for is so. */
bool gate_wait_is_over(const struct scsi_task *task);
/* Answers that wait for the audit to be durable. */
void gate_hold(struct scsi_task *task);
void gate_unhold(struct scsi_task *task);

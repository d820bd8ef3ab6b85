/* RECEIVE COPY RESULTS, SPC-4 sections 6.21 and on: what became of a copy, and what the copier can
 * do. Runs in the session. A copy is known by the list identifier that its initiator gave it, on
 * the unit that was asked, within this nexus; it is forgotten when it was told that it is over. */
#include "gateway/scsi/copier.h"
#include "gateway/scsi/sense.h"

enum { UNIT_OCTETS = 0, UNIT_MEBIOCTETS = 2 };
enum { STATUS_RUNS = 0x00, STATUS_DONE = 0x01, STATUS_FAILED = 0x02 };

#define SNLID		       0x01 /* copies without a list identifier */
#define PARAMETERS_LENGTH      42
#define FAILURE_RESERVED       52
#define SEGMENT_TYPE_BLOCKS    0x02
#define TARGET_TYPE_IDENTIFIER 0xe4

/* NULL: the task has its sense. */
static struct copy *asked_for(struct scsi_task *task)
{
	struct copy *copy = copier_find(task->nexus, task->unit, task->cdb[2]);

	if (copy == NULL)
		sense_cdb_field(task, 2, 7);
	return copy;
}

enum scsi_step copy_status_begin(struct scsi_task *task)
{
	return reply_begin(task);
}

/* SPC-4: what is over is told once. */
enum scsi_step copy_status_fill(struct scsi_task *task)
{
	struct copy *copy = copier_find(task->nexus, task->unit, task->cdb[2]);
	enum scsi_step step = reply_fill(task);

	if (copy != NULL && copy->state != COPY_RUNS && task->status == SCSI_GOOD)
		copier_forget(copy);
	return step;
}

static uint8_t status_of(const struct copy *copy)
{
	if (copy->state == COPY_RUNS)
		return STATUS_RUNS;
	return copy->state == COPY_DONE ? STATUS_DONE : STATUS_FAILED;
}

bool copy_status_1_reply(struct scsi_task *task, struct wr *w)
{
	const struct copy *copy = asked_for(task);

	if (copy == NULL)
		return false;
	wr_be(w, 4, 8);
	wr_be(w, 1, status_of(copy)); /* HDD=0: no data are held */
	wr_be(w, 2, copy->moves);
	if (copy->octets <= UINT32_MAX) {
		wr_be(w, 1, UNIT_OCTETS);
		wr_be(w, 4, copy->octets);
	} else {
		wr_be(w, 1, UNIT_MEBIOCTETS);
		wr_be(w, 4, copy->octets >> 20);
	}
	return true;
}

/* Of one that did not fail there are none: AVAILABLE DATA is 0. */
bool copy_failure_reply(struct scsi_task *task, struct wr *w)
{
	const struct copy *copy = asked_for(task);

	if (copy == NULL)
		return false;
	if (copy->state == COPY_RUNS || copy->state == COPY_DONE) {
		wr_be(w, 4, 0);
		return true;
	}
	wr_be(w, 4, FAILURE_RESERVED + 4 + copy->sense_len);
	wr_zero(w, FAILURE_RESERVED);
	wr_be(w, 1, STATUS_FAILED);
	wr_zero(w, 1);
	wr_be(w, 2, copy->sense_len);
	wr_bytes(w, copy->sense, copy->sense_len);
	return true;
}

bool copy_parameters_reply(struct scsi_task *task, struct wr *w)
{
	(void)task;
	wr_be(w, 4, PARAMETERS_LENGTH);
	wr_be(w, 1, SNLID);
	wr_zero(w, 3);
	wr_be(w, 2, COPY_TARGETS_MAX);
	wr_be(w, 2, COPY_SEGMENTS_MAX);
	wr_be(w, 4, COPY_DESCRIPTORS_MAX);
	wr_be(w, 4, COPY_SEGMENT_OCTETS_MAX);
	wr_be(w, 4, 0); /* inline data */
	wr_be(w, 4, 0); /* held data */
	wr_be(w, 4, 0); /* stream devices */
	wr_zero(w, 2);
	wr_be(w, 2, COPIES_MAX);
	wr_be(w, 1, COPIES_MAX);
	wr_zero(w, 3); /* granularities: 1 octet */
	wr_zero(w, 3);
	wr_be(w, 1, 2);
	wr_be(w, 1, SEGMENT_TYPE_BLOCKS);
	wr_be(w, 1, TARGET_TYPE_IDENTIFIER);
	return true;
}

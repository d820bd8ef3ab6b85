/* RECEIVE COPY RESULTS, SPC-4 sections 6.21 and on: what became of a copy, and what the copier can
 * do. Runs in the session. A copy is known by the list identifier that its initiator gave it, on
 * the unit that was asked, within this nexus; it is forgotten when all was told of its end. */
#include "gateway/scsi/copier.h"
#include "gateway/scsi/sense.h"

enum { UNIT_OCTETS = 0, UNIT_MEBIOCTETS = 2, UNIT_BLOCKS = 0xf1 };
enum { STATUS_RUNS = 0x00, STATUS_DONE = 0x01, STATUS_FAILED = 0x02 };
enum { STATUS_WITH_RESIDUAL = 0x04, STATUS_IN_FOREGROUND = 0x11, STATUS_TERMINATED = 0x60 };

/* Service actions. */
enum { STATUS_1 = 0x00, FAILURE_DETAILS = 0x04, TOKEN_INFORMATION = 0x07 };

#define STATUS_4_LENGTH 28

#define SNLID		       0x01 /* copies without a list identifier */
#define PARAMETERS_LENGTH      42
#define FAILURE_RESERVED       52
#define SEGMENT_TYPE_BLOCKS    0x02
#define TARGET_TYPE_IDENTIFIER 0xe4

/* LID1's list identifier is an octet, LID4's are four. */
static struct copy *find(const struct scsi_task *task)
{
	bool of_lid1 = task->command->usage[3] == 0;

	return copier_find(task->nexus, task->unit,
			   (uint32_t)get_be(task->cdb + 2, of_lid1 ? 1 : 4));
}

/* NULL: the task has its sense. */
static struct copy *asked_for(struct scsi_task *task)
{
	struct copy *copy = find(task);

	if (copy == NULL)
		sense_cdb_field(task, 2, 7);
	return copy;
}

enum scsi_step copy_status_begin(struct scsi_task *task)
{
	return reply_begin(task);
}

/* There is nothing more to be told of it: a copy that made a token is told of with the token, and
 * one of LID1 that failed with its details, which its status does not have. */
static bool is_last_word(const struct scsi_task *task, const struct copy *copy)
{
	int action = task->command->service_action;

	if (copy->state == COPY_RUNS)
		return false;
	if (copy->state == COPY_DONE)
		return copy->has_token ? action == TOKEN_INFORMATION : action != FAILURE_DETAILS;
	return action != STATUS_1;
}

/* Each of these answers begins with how much follows. */
static bool was_sent_whole(const struct scsi_task *task)
{
	uint8_t available[4];

	if (task->data_len < sizeof available)
		return false;
	task_gather(task, 0, available, sizeof available);
	return task->data_len - sizeof available >= get_be(available, sizeof available);
}

/* SPC-4: what is over is told once; what an allocation length cut off is told again. */
enum scsi_step copy_status_fill(struct scsi_task *task)
{
	struct copy *copy = find(task);
	enum scsi_step step = reply_fill(task);

	if (copy != NULL && task->status == SCSI_GOOD && is_last_word(task, copy) &&
	    was_sent_whole(task))
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

static uint8_t status_4_of(const struct copy *copy)
{
	switch (copy->state) {
	case COPY_RUNS:
		return STATUS_IN_FOREGROUND;
	case COPY_DONE:
		return copy->partly ? STATUS_WITH_RESIDUAL : STATUS_DONE;
	case COPY_ENDED:
		return STATUS_TERMINATED;
	default:
		return STATUS_FAILED;
	}
}

/* What all of LID4 say: as much as `more` octets follow it. */
static void write_status_4(const struct copy *copy, struct wr *w, size_t more)
{
	wr_be(w, 4, STATUS_4_LENGTH + copy->sense_len + more);
	wr_be(w, 1, copy->action);
	wr_be(w, 1, status_4_of(copy));
	wr_be(w, 2, copy->moves); /* OPERATION COUNTER */
	wr_be(w, 4, UINT32_MAX);  /* when to ask again: not told */
	wr_be(w, 1, 0);
	wr_be(w, 1, copy->sense_len); /* of the field, and of what is in it */
	wr_be(w, 1, copy->sense_len);
	wr_be(w, 1, copy->block == 0 ? UNIT_OCTETS : UNIT_BLOCKS);
	wr_be(w, 8, copy->block == 0 ? copy->octets : copy->octets / copy->block);
	wr_be(w, 2, copy->moves);
	wr_zero(w, 6);
	wr_bytes(w, copy->sense, copy->sense_len);
}

bool copy_status_4_reply(struct scsi_task *task, struct wr *w)
{
	const struct copy *copy = asked_for(task);

	if (copy != NULL)
		write_status_4(copy, w, 0);
	return copy != NULL;
}

/* With the token, if it made one. */
bool token_information_reply(struct scsi_task *task, struct wr *w)
{
	const struct copy *copy = asked_for(task);
	size_t len;

	if (copy == NULL)
		return false;
	len = copy->has_token && copy->state == COPY_DONE ? 2 + TOKEN_SIZE : 0;
	write_status_4(copy, w, 4 + len);
	wr_be(w, 4, len);
	if (len == 0)
		return true;
	wr_be(w, 2, 0);
	wr_bytes(w, copy->token, TOKEN_SIZE);
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

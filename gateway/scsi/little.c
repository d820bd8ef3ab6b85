/* Commands with a short, fixed answer that the medium has no part in: READ DEFECT DATA,
 * SBC-3, LOG SENSE and PREVENT ALLOW MEDIUM REMOVAL, SPC-4. Runs in the session. A disk of ours
 * has no list of defects that an initiator could use, and no medium to take out. */
#include "gateway/scsi/commands.h"
#include "gateway/scsi/sense.h"

#define LISTS_AND_FORMAT                                                         \
	0x1f /* REQ_PLIST, REQ_GLIST, DEFECT LIST FORMAT: as they were asked for \
	      */

bool defects_10_reply(struct scsi_task *task, struct wr *w)
{
	wr_be(w, 1, 0);
	wr_be(w, 1, task->cdb[2] & LISTS_AND_FORMAT);
	wr_be(w, 2, 0);
	return true;
}

/* GENERATION CODE 0: it is not kept. */
bool defects_12_reply(struct scsi_task *task, struct wr *w)
{
	wr_be(w, 1, 0);
	wr_be(w, 1, task->cdb[1] & LISTS_AND_FORMAT);
	wr_be(w, 2, 0);
	wr_be(w, 4, 0);
	return true;
}

/* The medium can't be taken out, whether that is prevented or not. */
bool prevent_allow_reply(struct scsi_task *task, struct wr *w)
{
	(void)task;
	(void)w;
	return true;
}

enum { PAGE_SUPPORTED = 0x00, PAGE_EXCEPTIONS = 0x2f, PARAMETER_IS_LIST = 0x03, NOT_KNOWN = 0xff };

static void log_supported(struct wr *w)
{
	wr_be(w, 1, PAGE_SUPPORTED);
	wr_be(w, 1, PAGE_EXCEPTIONS);
}

/* Parameter 0: no exception, no temperature. */
static void log_exceptions(struct wr *w)
{
	wr_be(w, 2, 0);
	wr_be(w, 1, PARAMETER_IS_LIST);
	wr_be(w, 1, 4);
	wr_be(w, 2, SENSE_NONE);
	wr_be(w, 1, NOT_KNOWN);
	wr_zero(w, 1);
}

static const struct {
	uint8_t code;
	void (*write)(struct wr *w);
} logs[] = {{PAGE_SUPPORTED, log_supported}, {PAGE_EXCEPTIONS, log_exceptions}};

/* No subpages, one parameter at most, and no other values than the current ones. */
static bool log_check(struct scsi_task *task)
{
	if (task->cdb[3] != 0)
		sense_cdb_field(task, 3, 7);
	else if (get_be(task->cdb + 5, 2) != 0)
		sense_cdb_field(task, 5, 7);
	else
		return true;
	return false;
}

bool log_sense_reply(struct scsi_task *task, struct wr *w)
{
	uint8_t code = task->cdb[2] & 0x3f;

	if (!log_check(task))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
		if (logs[i].code != code)
			continue;
		wr_be(w, 1, code);
		wr_be(w, 3, 0);
		logs[i].write(w);
		put_be(w->start + 2, 2, wr_len(w) - 4);
		return true;
	}
	sense_cdb_field(task, 2, 5);
	return false;
}

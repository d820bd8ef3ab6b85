/* Commands with a short, fixed answer that the medium has no part in: READ DEFECT DATA,
 * SBC-3, and PREVENT ALLOW MEDIUM REMOVAL, SPC-4. Runs in the session. A disk of ours
 * has no list of defects that an initiator could use, and no medium to take out. */
#include "gateway/scsi/commands.h"

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

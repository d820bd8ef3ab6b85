/* MAINTENANCE IN, SPC-5: what a logical unit says of its task management and the name that it
 * was given; target port groups and REPORT SUPPORTED OPERATION CODES have files of their own.
 * Runs in the session. */
#include "gateway/scsi/commands.h"
#include "gateway/scsi/sense.h"

/* Octets 0 and 1 of REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS. */
enum {
	ABORT_TASK = 0x80,
	ABORT_TASK_SET = 0x40,
	CLEAR_TASK_SET = 0x10,
	LOGICAL_UNIT_RESET = 0x08,
	QUERY_TASK = 0x04,
	QUERY_ASYNCHRONOUS_EVENT = 0x04,
	QUERY_TASK_SET = 0x02,
	NEXUS_RESET = 0x01,
};
#define REPD		 0x80 /* return extended parameter data */
#define EXTENDED_LENGTH	 12
#define TIMEOUTS_COUNT	 0x01 /* TMFTMOV */
#define LONG_TIMEOUT	 300 /* in tenths of a second: a session that does not drain is waited for */
#define LEVEL_OF_QUERIES 2   /* iSCSIProtocolLevel: RFC 7144 brought them */

/* No ACA. Of the timeouts the long one counts for each function. */
bool report_functions_reply(struct scsi_task *task, struct wr *w)
{
	bool queries = task->nexus->protocol_level >= LEVEL_OF_QUERIES;
	bool extended = (task->cdb[2] & REPD) != 0;

	wr_be(w, 1,
	      ABORT_TASK | ABORT_TASK_SET | CLEAR_TASK_SET | LOGICAL_UNIT_RESET |
		      (queries ? QUERY_TASK : 0));
	wr_be(w, 1, queries ? QUERY_ASYNCHRONOUS_EVENT | QUERY_TASK_SET | NEXUS_RESET : 0);
	wr_be(w, 1, 0);
	wr_be(w, 1, extended ? EXTENDED_LENGTH : 0);
	if (!extended)
		return true;
	wr_be(w, 4, TIMEOUTS_COUNT << 24);
	wr_be(w, 4, LONG_TIMEOUT);
	wr_be(w, 4, 0);
	return true;
}

/* INFORMATION TYPE, above a reserved bit. */
enum { INFO_DEVICE = 0x00, INFO_TEXT = 0x02, INFO_SUPPORTED = 0x7f };

/* Nobody can set identifying information, so there is none: its length is 0, and so is the longest
 * that it may be. */
bool report_information_reply(struct scsi_task *task, struct wr *w)
{
	static const uint8_t types[] = {INFO_DEVICE, INFO_TEXT};
	unsigned type = task->cdb[10] >> 1;

	if (type != INFO_DEVICE && type != INFO_TEXT && type != INFO_SUPPORTED) {
		sense_cdb_field(task, 10, 7);
		return false;
	}
	wr_be(w, 4, 0);
	for (size_t i = 0; type == INFO_SUPPORTED && i < ARRAY_LEN(types); i++) {
		wr_be(w, 1, (uint64_t)types[i] << 1);
		wr_be(w, 3, 0);
	}
	put_be(w->start + 2, 2, wr_len(w) - 4);
	return true;
}

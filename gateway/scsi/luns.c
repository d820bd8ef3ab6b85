/* Logical unit numbers and whether their units are well: SAM-5 section 4.7 addresses, REPORT
 * LUNS, TEST UNIT READY, REQUEST SENSE. Runs in the session; a LUN is eight
 * octets of the peer's. */
#include "gateway/scsi/availability.h"
#include "gateway/scsi/commands.h"
#include "gateway/scsi/medium.h"
#include "gateway/scsi/port_groups.h"
#include "gateway/scsi/sense.h"
#include "gateway/scsi/shared.h"

enum { METHOD_PERIPHERAL = 0, METHOD_FLAT = 1 };

#define DESC 0x01

int scsi_lun_decode(const uint8_t lun[8])
{
	static const uint8_t below[6]; /* no second level */
	unsigned first = lun[0] & 0x3f, method = lun[0] >> 6;

	if (memcmp(lun + 2, below, sizeof below) != 0)
		return -1;
	if (first != 0 || (method != METHOD_PERIPHERAL && method != METHOD_FLAT))
		return -1;
	return lun[1];
}

/* SELECT REPORT, SPC-5. There are no well known, no administrative and no subsidiary logical units;
 * 12h, the subsidiaries of an administrative one, is refused by any other. */
static const struct {
	uint8_t select;
	bool units; /* the list has them */
	bool lun_0; /* asked of LUN 0 alone */
} selects[] = {
	{0x00, true, false},  /* with a plain address */
	{0x01, false, false}, /* well known */
	{0x02, true, false},  /* all */
	{0x10, false, true},  /* administrative */
	{0x11, true, true},   /* and those that belong to none of these */
};

static void write_units(const struct scsi_nexus *n, struct wr *w)
{
	for (size_t i = 0; i < ARRAY_LEN(n->luns); i++) {
		if (!n->luns[i].present)
			continue;
		wr_be(w, 2, i); /* peripheral device addressing: LUNs are below 256 */
		wr_zero(w, 6);
	}
}

bool report_luns_reply(struct scsi_task *task, struct wr *w)
{
	for (size_t i = 0; i < ARRAY_LEN(selects); i++) {
		if (selects[i].select != task->cdb[2] ||
		    (selects[i].lun_0 && scsi_lun_decode(task->lun) != 0))
			continue;
		wr_zero(w, 8);
		if (selects[i].units)
			write_units(task->nexus, w);
		put_be(w->start, 4, wr_len(w) - 8);
		return true;
	}
	sense_cdb_field(task, 2, 7);
	return false;
}

bool test_unit_ready_reply(struct scsi_task *task, struct wr *w)
{
	(void)w;
	return medium_is_ready(task);
}

/* Sense data goes with the status that it explains, so there is nothing left to ask for; but for a
 * unit that failed, whose medium is kept from it, or that is not there. */
bool request_sense_reply(struct scsi_task *task, struct wr *w)
{
	struct sense said = {.key = KEY_NO_SENSE};
	uint8_t sense[SCSI_SENSE_SIZE];
	size_t len;

	if (task->unit == NULL) {
		said.key = KEY_ILLEGAL_REQUEST;
		said.code = SENSE_LOGICAL_UNIT_NOT_SUPPORTED;
	} else if (attention_first(task->unit) != SENSE_NONE) {
		said.key = KEY_UNIT_ATTENTION;
		said.code = attention_first(task->unit);
		if (task->admission != NULL) /* this time it is sent */
			attention_drop(task->unit);
	} else if (access_sense(task) != SENSE_NONE) {
		said.key = KEY_NOT_READY;
		said.code = access_sense(task);
	} else if (!medium_is_ready(task) || medium_hindrance(task)) {
		(void)sense_read(task, &said);
	}
	task->status = SCSI_GOOD;
	task->sense_len = 0;
	len = sense_write(sense, (task->cdb[1] & DESC) != 0, &said);
	wr_bytes(w, sense, len);
	return true;
}

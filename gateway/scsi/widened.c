/* A session that gets more than it logged in with, while it goes on: a LUN that was not there, or
 * one that it may write from now on; or one that it may not write while another initiator does. Its
 * initiator hears of it by the unit attentions of SPC-4. Runs in the session; the monitor's word is
 * trusted. */
#include "gateway/scsi/shared.h"

/* SPC-4 section 6.33: the list that REPORT LUNS tells is another, for all logical units. */
void scsi_lun_added(struct scsi_nexus *n)
{
	for (size_t lun = 0; lun < ARRAY_LEN(n->luns); lun++) {
		if (n->luns[lun].present)
			attention_raise(&n->luns[lun], SENSE_REPORTED_LUNS_CHANGED);
	}
}

/* The WP bit of the mode parameter header. What is at the old backend ends there. */
struct backend *scsi_lun_writable(struct scsi_nexus *n, unsigned lun, struct backend *backend,
				  bool thin)
{
	struct scsi_lun *unit = &n->luns[lun];
	struct backend *old = unit->backend;

	assert(unit->present && !unit->writable && backend->writable);
	backend->size_bytes = MAX(backend->size_bytes, old->size_bytes);
	unit->backend = backend;
	unit->writable = true;
	unit->thin = thin;
	unit->rule_line = 0;
	unit->waits = false;
	attention_raise(unit, SENSE_MODE_PARAMETERS_CHANGED);
	return old;
}

/* What it is at the backend with ends there, as what was admitted under earlier rules does. */
void scsi_lun_narrowed(struct scsi_nexus *n, unsigned lun, uint32_t rule_line)
{
	struct scsi_lun *unit = &n->luns[lun];

	unit->writable = false;
	unit->thin = false;
	unit->rule_line = rule_line;
	attention_raise(unit, SENSE_MODE_PARAMETERS_CHANGED);
}

/* The tables of SPC and SBC: which command is allowed in the presence of which reservation, by
 * the column of the table of names. Runs in the session; what the arbiter published is trusted,
 * and of the CDB two bits are looked at. */
#include "gateway/scsi/reservation_rules.h"
#include "gateway/scsi/shared.h"

enum {
	START = 0x01,	/* START STOP UNIT, octet 4 */
	POWER = 0xf0,	/* … POWER CONDITION */
	PREVENT = 0x03, /* PREVENT ALLOW MEDIUM REMOVAL, octet 4 */
};

static bool excludes_reads(enum reservation r)
{
	return r == RESERVATION_EXCLUSIVE_ACCESS || r == RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS ||
	       r == RESERVATION_EXCLUSIVE_ACCESS_ALL || r == RESERVATION_RESERVE_6;
}

/* Somebody else's reservation binds this nexus. */
static bool is_bound(enum reservation r, enum standing standing)
{
	if (r == RESERVATION_NONE || standing == STANDING_HOLDER)
		return false;
	return standing != STANDING_REGISTERED || !reservation_is_of_registrants((uint8_t)r);
}

static bool allowed(const struct command_name *row, enum reservation r, const uint8_t *cdb)
{
	switch (row->allowed) {
	case ALLOWED_ALWAYS:
	case ALLOWED_BY_ARBITER:
		return true;
	case ALLOWED_UNLESS_RESERVED:
		return r != RESERVATION_RESERVE_6;
	case ALLOWED_AS_READ:
		return !excludes_reads(r);
	case ALLOWED_TO_START:
		return (cdb[4] & START) != 0 && (cdb[4] & POWER) == 0;
	case ALLOWED_TO_ALLOW:
		return (cdb[4] & PREVENT) == 0;
	case ALLOWED_AS_WRITE:
	case ALLOWED_INVALID:
		break;
	}
	return false;
}

bool reservation_conflicts(const struct scsi_task *task)
{
	enum reservation r = (enum reservation)shared_state(task)->reservation;
	const struct scsi_command *c = task->command;
	const struct command_name *row;

	if (!is_bound(r, shared_standing(task)))
		return false;
	row = command_name_at(c->opcode, c->service_action);
	return row == NULL || !allowed(row, r, task->cdb);
}

bool reservation_conflicts_on(const struct scsi_nexus *n, const struct scsi_lun *unit, bool write)
{
	const struct arbiter_view_lun *l = &n->arbiter->luns[unit->number];
	enum reservation r = (enum reservation)l->state.reservation;

	return is_bound(r, l->standing) && (write || excludes_reads(r));
}

bool reservation_shuts_out(const struct scsi_command *c)
{
	return command_shuts_out(c->opcode, c->service_action);
}

/* The rule of a reservation, by what a command touches. Runs in the session; what the
 * arbiter published is trusted. */
#include "gateway/scsi/reservation_rules.h"
#include "gateway/scsi/shared.h"

#define TOUCHES_STORED (TOUCHES_WRITE | TOUCHES_DISCARD | TOUCHES_CONTROL)

static bool excludes_reads(enum reservation r)
{
	return r == RESERVATION_EXCLUSIVE_ACCESS || r == RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS ||
	       r == RESERVATION_EXCLUSIVE_ACCESS_ALL || r == RESERVATION_RESERVE_6;
}

static bool admits_registrants(enum reservation r)
{
	return r == RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS ||
	       r == RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS;
}

bool reservation_conflicts(const struct scsi_task *task)
{
	enum reservation r = (enum reservation)shared_state(task)->reservation;
	enum standing standing = shared_standing(task);

	if (r == RESERVATION_NONE || standing == STANDING_HOLDER)
		return false;
	if (admits_registrants(r) && standing == STANDING_REGISTERED)
		return false;
	if (task->command->touches & TOUCHES_STORED)
		return true;
	return (task->command->touches & TOUCHES_READ) != 0 && excludes_reads(r);
}

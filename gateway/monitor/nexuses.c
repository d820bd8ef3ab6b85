/* What a new session's first command is told (SAM-5, unit attention conditions; SPC-4): that the
 * gateway was started, or that an earlier session of the same I_T nexus is lost, and with it
 * RESERVE(6), prevented removals and tasks. Kept by the monitor in bounded memory: of an initiator
 * that is not known any more nobody can tell, and 29h/00h stands for both. The ids are hashes of
 * authenticated names. */
#include "gateway/monitor/monitor.h"

/* ASC and ASCQ. */
enum { POWER_ON_OR_RESET = 0x2900, POWER_ON = 0x2901, NEXUS_LOSS = 0x2907 };

static bool is_known(const struct nexuses *known, uint64_t nexus)
{
	for (uint32_t k = 0; k < known->count; k++) {
		if (known->ids[k] == nexus)
			return true;
	}
	return false;
}

uint16_t nexus_begins(struct nexuses *known, uint64_t nexus)
{
	bool all = known->count < NEXUSES_KNOWN; /* that there were */

	if (is_known(known, nexus))
		return NEXUS_LOSS;
	known->ids[known->next] = nexus;
	known->next = (known->next + 1) % NEXUSES_KNOWN;
	known->count = MIN(known->count + 1, NEXUSES_KNOWN);
	return all ? POWER_ON : POWER_ON_OR_RESET;
}

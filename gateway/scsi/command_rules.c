/* Which rule of a policy refuses a command. Linked into the session, where the gate asks, and into
 * the command line, where `explain` does. The rules are the policy's and trusted. */
#include "gateway/scsi/command_rules.h"

bool rules_permit(const struct scsi_rules *rules, const struct command_name *row,
		  uint32_t *ret_line)
{
	bool denied = command_set_has(&rules->denied, row);

	if (!denied && (!command_is_off(row) || command_set_has(&rules->allowed, row)))
		return true;
	*ret_line = denied ? rules->denied_line : rules->allowed_line;
	return false;
}

static bool overlaps(const struct protected_range *r, const struct rules_wanted *what)
{
	if (what->blocks == 0 || what->lba > r->last)
		return false;
	return what->lba >= r->first || what->blocks > r->first - what->lba;
}

bool rules_protect(const struct scsi_rules *rules, const struct rules_wanted *what,
		   uint32_t *ret_line)
{
	for (unsigned i = 0; i < rules->range_count; i++) {
		const struct protected_range *r = &rules->ranges[i];

		if ((!what->write && !r->reads) || (r->lun >= 0 && r->lun != what->lun) ||
		    !overlaps(r, what))
			continue;
		*ret_line = r->rule_line;
		return true;
	}
	return false;
}

/* Who may read alone registers at most, as exclusive access wants it of readers. */
bool command_shuts_out(uint8_t opcode, int service_action)
{
	switch (opcode) {
	case 0x16: /* RESERVE(6), (10) */
	case 0x56:
		return true;
	case 0x5f: /* PERSISTENT RESERVE OUT: not REGISTER, RELEASE, REGISTER AND IGNORE */
		return service_action != 0x00 && service_action != 0x02 && service_action != 0x06;
	default:
		return false;
	}
}

bool command_is_for_writers(uint8_t opcode, int service_action, uint32_t touches)
{
	return command_writes(touches) || command_shuts_out(opcode, service_action);
}

bool command_names_units(const struct command_name *row)
{
	return row->opcode == 0x83 && (row->service_action == 0x00 || row->service_action == 0x01);
}

bool command_takes_all(const struct command_name *row)
{
	return row->opcode == 0x04 || row->opcode == 0x48;
}

/* `deny:`, `allow:` and `protect:` of the policy, for one nexus. Runs in the session, asked by
 * the gate for each command and by those who tell the initiator what there is. The rules are
 * the monitor's and trusted; of the CDB only what was decoded counts. */
#include "gateway/scsi/rules.h"
#include "gateway/scsi/sense.h"

#define UNMAP	     0x42
#define NO_ACTION    (-1)
#define UNMAP_BIT    0x08 /* of WRITE SAME, octet 1 */
#define UNMAP_BIT_AT 3

/* A command that has no name can't be in a rule: none is in the command table. */
bool rules_offers_code(const struct scsi_nexus *n, uint8_t opcode, int service_action)
{
	const struct command_name *row = command_name_at(opcode, service_action);
	uint32_t line;

	return row == NULL || rules_permit(&n->rules, row, &line);
}

bool rules_offers(const struct scsi_nexus *n, const struct scsi_command *c)
{
	return rules_offers_code(n, c->opcode, c->service_action);
}

/* Is anything left of the opcode? Then what is wrong is its service action. */
static bool offers_any(const struct scsi_nexus *n, uint8_t opcode)
{
	size_t count;
	const struct scsi_command *table = commands(&count);

	for (size_t i = 0; i < count; i++) {
		if (table[i].opcode == opcode && rules_offers(n, &table[i]))
			return true;
	}
	return false;
}

static bool refuse_command(struct scsi_task *task, uint32_t *ret_line)
{
	const struct scsi_command *c = task->command;
	const struct command_name *row = command_name_at(c->opcode, c->service_action);

	if (row == NULL || rules_permit(&task->nexus->rules, row, ret_line))
		return false;
	if (offers_any(task->nexus, c->opcode))
		sense_cdb_field(task, 1, 4);
	else
		sense_set(task, KEY_ILLEGAL_REQUEST, SENSE_INVALID_OPCODE);
	return true;
}

/* WRITE SAME may give room back where UNMAP may. */
static bool refuse_unmap_bit(struct scsi_task *task, uint32_t *ret_line)
{
	const struct scsi_command *c = task->command;

	if ((c->touches & TOUCHES_DISCARD) == 0 || c->lba.width == 0 ||
	    (task->cdb[1] & UNMAP_BIT) == 0 || rules_offers_code(task->nexus, UNMAP, NO_ACTION))
		return false;
	*ret_line = task->nexus->rules.denied_line;
	sense_cdb_field(task, 1, UNMAP_BIT_AT);
	return true;
}

bool rules_refuse_blocks(struct scsi_task *task, const struct rules_blocks *what,
			 uint32_t *ret_line)
{
	const struct rules_wanted wanted = {what->unit->number, what->lba, what->blocks,
					    what->write};

	if (!rules_protect(&task->nexus->rules, &wanted, ret_line))
		return false;
	sense_set(task, KEY_DATA_PROTECT, SENSE_WRITE_PROTECTED);
	return true;
}

uint64_t rules_readable_end(const struct scsi_nexus *n, const struct scsi_lun *unit, uint64_t lba)
{
	uint64_t end = unit->blocks;

	for (unsigned i = 0; i < n->rules.range_count; i++) {
		const struct protected_range *r = &n->rules.ranges[i];

		if (r->reads && (r->lun < 0 || r->lun == unit->number) && r->last >= lba)
			end = MIN(end, MAX(r->first, lba));
	}
	return end;
}

/* FORMAT UNIT, SANITIZE. Commands whose list has the ranges do not control anything. */
static bool is_whole_medium(const struct scsi_command *c)
{
	return (c->touches & TOUCHES_WRITE) != 0 && (c->touches & TOUCHES_CONTROL) != 0 &&
	       c->lba.width == 0;
}

static bool refuse_cdb_blocks(struct scsi_task *task, uint32_t *ret_line)
{
	const struct scsi_command *c = task->command;
	struct rules_blocks what = {
		.unit = task->unit,
		.lba = task->lba,
		.blocks = task->blocks,
		.write = command_writes(c->touches),
	};

	if (is_whole_medium(c)) {
		what.lba = 0;
		what.blocks = task->unit->blocks;
	} else if (c->lba.width != 0 && c->blocks.width == 0) {
		what.blocks = 1; /* GET LBA STATUS: of that one at least it tells */
	} else if (c->lba.width == 0 || (!what.write && (c->touches & TOUCHES_READ) == 0)) {
		return false;
	}
	return rules_refuse_blocks(task, &what, ret_line);
}

bool rules_refuse(struct scsi_task *task, uint32_t *ret_line)
{
	if (refuse_command(task, ret_line) || refuse_unmap_bit(task, ret_line))
		return true;
	return task->unit != NULL && task->nexus->rules.range_count != 0 &&
	       refuse_cdb_blocks(task, ret_line);
}

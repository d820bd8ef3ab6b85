/* The policy's rules for one nexus: commands that it may not use, blocks that it may not
 * touch. What is denied is missing from what the unit says of itself, too. */
#pragma once

#include "gateway/scsi/commands.h"

/* May this nexus use the command at all? Else it is to be named nowhere. */
bool rules_offers(const struct scsi_nexus *n, const struct scsi_command *c);
/* The same for an opcode, with its service action or -1. */
bool rules_offers_code(const struct scsi_nexus *n, uint8_t opcode, int service_action);

/* True: the task has its sense, and *ret_line the policy's line. Looks at the command, at the
 * blocks that the CDB names, and at every block if the command is for the whole medium. */
bool rules_refuse(struct scsi_task *task, uint32_t *ret_line) MUST_CHECK;
/* The same for blocks that a parameter list names, of any LUN of this nexus. */
struct rules_blocks {
	const struct scsi_lun *unit;
	uint64_t lba, blocks;
	bool write;
};
bool rules_refuse_blocks(struct scsi_task *task, const struct rules_blocks *what,
			 uint32_t *ret_line) MUST_CHECK;
/* The first block from `lba` on that is protected from reading, or behind the medium. */
uint64_t rules_readable_end(const struct scsi_nexus *n, const struct scsi_lun *unit, uint64_t lba);

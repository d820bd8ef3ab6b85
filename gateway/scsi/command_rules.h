/* Which rule of a policy refuses a command: one judgement, of the gate in the session and of
 * `explain` for people. Plain data and plain functions, as command_set.h. */
#pragma once

#include "gateway/scsi/command_set.h"

/* Blocks that the policy protects from this initiator, both ends included. */
struct protected_range {
	uint64_t first, last;
	int lun;    /* -1: of every LUN */
	bool reads; /* they are refused as well */
	uint32_t rule_line;
};

/* What the policy says of this initiator's commands. */
#define PROTECTED_RANGES_MAX 16
struct scsi_rules {
	uint32_t version;		    /* another one when they change */
	struct command_set denied, allowed; /* allowed: of those that are off */
	uint32_t denied_line, allowed_line; /* of the policy */
	struct protected_range ranges[PROTECTED_RANGES_MAX];
	unsigned range_count;
};

/* May it be used at all? Else *ret_line is the line that denies it or, of what is off, the line
 * where it could be allowed. */
bool rules_permit(const struct scsi_rules *rules, const struct command_name *row,
		  uint32_t *ret_line) MUST_CHECK;

struct rules_wanted {
	int lun;
	uint64_t lba, blocks;
	bool write;
};
/* Are some of these blocks protected from that? *ret_line: by which line. */
bool rules_protect(const struct scsi_rules *rules, const struct rules_wanted *what,
		   uint32_t *ret_line) MUST_CHECK;

/* It changes the medium, or can shut others out: not for who may only read. */
bool command_is_for_writers(uint8_t opcode, int service_action, uint32_t touches);
bool command_shuts_out(uint8_t opcode, int service_action);
static inline bool command_writes(uint32_t touches)
{
	return (touches & (TOUCHES_WRITE | TOUCHES_DISCARD)) != 0;
}
/* Its list says which units it reads and writes: of each it is decided. */
bool command_names_units(const struct command_name *row);
/* It touches every block of the unit: FORMAT UNIT, SANITIZE. */
bool command_takes_all(const struct command_name *row);

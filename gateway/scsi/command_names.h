/* The plain-data half of the command table: what a CDB is called, for the audit
 * review, the policy and diagnostics. Includes nothing but base. */
#pragma once

#include "gateway/base/base.h"

/* What a command touches: the gate decides by it, `audit.commands: writes` selects by it. */
enum command_touches {
	TOUCHES_NOTHING = 1 << 0, /* identification and discovery: can't be denied */
	TOUCHES_READ = 1 << 1,	  /* medium */
	TOUCHES_WRITE = 1 << 2,	  /* medium */
	TOUCHES_DISCARD = 1 << 3,
	TOUCHES_CONTROL = 1 << 4,
	TOUCHES_RESERVATION = 1 << 5,
};

/* Who may while a disk is reserved by somebody else: the tables of SPC and SBC of the commands that
 * are allowed in the presence of reservations, row by row. */
enum command_allowed {
	ALLOWED_INVALID,
	ALLOWED_ALWAYS,
	ALLOWED_UNLESS_RESERVED, /* always, but not while RESERVE excludes others */
	ALLOWED_AS_READ,	 /* to everybody unless access is exclusive */
	ALLOWED_AS_WRITE,	 /* to holders and, where these share, registrants alone */
	ALLOWED_TO_START,	 /* always, if START=1 and POWER CONDITION is 0; else as a write */
	ALLOWED_TO_ALLOW,	 /* always, if PREVENT is 0; else as a write */
	ALLOWED_BY_ARBITER,	 /* by who is registered, with which key: it decides */
};

struct command_name {
	uint8_t opcode;
	int16_t service_action;	 /* -1: the opcode has none */
	const char *name;	 /* as SPC and SBC write it: "READ(10)" */
	const char *policy_name; /* as `deny:` and `--command` write it: "read-10" */
	uint32_t touches;
	enum command_allowed allowed;
};

/* The row for a CDB of at least 1 octet, or NULL for one that is not in the table. */
const struct command_name *command_name_find(const uint8_t *cdb, size_t len);
/* The row of an opcode with this service action (-1: it has none), or NULL. */
const struct command_name *command_name_at(uint8_t opcode, int action);
/* Is it the row's policy_name, or a family that the row is of? */
bool command_name_fits(const struct command_name *row, const char *policy_name);
/* By policy_name ("unmap") or its family ("read": the first of them), or NULL. */
const struct command_name *command_name_by_policy(const char *policy_name);
const struct command_name *command_names(size_t *ret_count);

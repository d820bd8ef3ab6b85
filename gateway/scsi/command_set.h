/* Sets of commands, by the rows of the table of names: what a policy's `deny:` and `allow:`
 * come to. Plain data: made where the policy is read, looked into by the session. */
#pragma once

#include "gateway/scsi/command_names.h"

/* One bit for each row of command_names(). */
#define COMMAND_SET_WORDS 4
struct command_set {
	uint64_t bits[COMMAND_SET_WORDS];
};

/* Adds a command by its policy name, a family ("sanitize", "read") or a group. False: there is none
 * of this name. */
bool command_set_add(struct command_set *set, const char *name) MUST_CHECK;
bool command_set_has(const struct command_set *set, const struct command_name *row);
bool command_set_is_empty(const struct command_set *set);
/* The first row that is in both, or NULL. */
const struct command_name *command_set_common(const struct command_set *a,
					      const struct command_set *b);

/* "discard", "format", "reservation" and "copy", each with what it is; NULL after the last. */
struct command_group {
	const char *name, *what;
	bool (*has)(const struct command_name *row);
};
const struct command_group *command_groups(void);

/* Identification and discovery need it: it can't be denied. */
bool command_is_needed(const struct command_name *row);
/* Nobody may use it whom the policy does not name for it: the sanitize family, SET TARGET PORT
 * GROUPS. */
bool command_is_off(const struct command_name *row);

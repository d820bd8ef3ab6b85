/* Sets of commands by the rows of the table of names, and the groups that a policy knows.
 * Linked into the monitor, the command line and the session; what comes in is the
 * policy's text, which the policy's compiler judges by what is found here. */
#include "gateway/scsi/command_set.h"

#define SANITIZE	0x48
#define MAINTENANCE_OUT 0xa4
#define SET_PORT_GROUPS 0x0a
#define COPY_OUT	0x83
#define COPY_IN		0x84
#define FORMAT_UNIT	0x04
#define UNMAP		0x42

static bool discards(const struct command_name *row)
{
	return row->opcode == UNMAP;
}

static bool formats(const struct command_name *row)
{
	return row->opcode == FORMAT_UNIT || row->opcode == SANITIZE;
}

static bool reserves(const struct command_name *row)
{
	return (row->touches & TOUCHES_RESERVATION) != 0;
}

static bool copies(const struct command_name *row)
{
	return row->opcode == COPY_OUT || row->opcode == COPY_IN;
}

static const struct command_group groups[] = {
	{"discard", "UNMAP, and the UNMAP bit of WRITE SAME", discards},
	{"format", "FORMAT UNIT and the sanitize family", formats},
	{"reservation", "RESERVE, RELEASE, PERSISTENT RESERVE IN and OUT", reserves},
	{"copy", "EXTENDED COPY, the ROD token commands, RECEIVE COPY RESULTS", copies},
	{NULL, NULL, NULL},
};

const struct command_group *command_groups(void)
{
	return groups;
}

static size_t row_index(const struct command_name *row)
{
	size_t count;
	const struct command_name *rows = command_names(&count);

	assert(row >= rows && row < rows + count && count <= 64 * COMMAND_SET_WORDS);
	return (size_t)(row - rows);
}

bool command_set_has(const struct command_set *set, const struct command_name *row)
{
	size_t i = row_index(row);

	return (set->bits[i / 64] >> (i % 64) & 1) != 0;
}

bool command_set_is_empty(const struct command_set *set)
{
	static const struct command_set empty;

	return memcmp(set, &empty, sizeof empty) == 0;
}

static const struct command_group *group_find(const char *name)
{
	for (size_t i = 0; groups[i].name != NULL; i++) {
		if (strcmp(groups[i].name, name) == 0)
			return &groups[i];
	}
	return NULL;
}

bool command_set_add(struct command_set *set, const char *name)
{
	const struct command_group *group = group_find(name);
	size_t count;
	const struct command_name *rows = command_names(&count);
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		if (group != NULL ? !group->has(&rows[i]) : !command_name_fits(&rows[i], name))
			continue;
		set->bits[i / 64] |= UINT64_C(1) << (i % 64);
		found = true;
	}
	return found;
}

const struct command_name *command_set_common(const struct command_set *a,
					      const struct command_set *b)
{
	size_t count;
	const struct command_name *rows = command_names(&count);

	for (size_t i = 0; i < count; i++) {
		if (command_set_has(a, &rows[i]) && command_set_has(b, &rows[i]))
			return &rows[i];
	}
	return NULL;
}

bool command_is_needed(const struct command_name *row)
{
	return row->touches == TOUCHES_NOTHING;
}

bool command_is_off(const struct command_name *row)
{
	return row->opcode == SANITIZE ||
	       (row->opcode == MAINTENANCE_OUT && row->service_action == SET_PORT_GROUPS);
}

/* The judgement that gate and explain share: what it knows of a command by name is what the command
 * table says. */
#include "tests/unit/test.h"

#include "gateway/scsi/commands.h"

static struct tests t;

static bool is_whole_medium(const struct scsi_command *c)
{
	return (c->touches & TOUCHES_WRITE) != 0 && (c->touches & TOUCHES_CONTROL) != 0 &&
	       c->lba.width == 0;
}

static void names_agree(void **state)
{
	size_t count;
	const struct scsi_command *table = commands(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		const struct command_name *row =
			command_name_at(table[i].opcode, table[i].service_action);

		assert_non_null(row);
		if (row->touches != table[i].touches ||
		    command_names_units(row) != table[i].names_units ||
		    command_takes_all(row) != is_whole_medium(&table[i]))
			fail_msg("%s", row->name);
	}
}

static const struct row {
	const char *why, *policy_name;
	bool for_writers;
} rows[] = {
	{"a write is for writers", "write-10", true},
	{"UNMAP is for writers", "unmap", true},
	{"a read is for everybody", "read-16", false},
	{"RESERVE shuts out", "reserve-6", true},
	{"RELEASE shuts nobody out", "release-6", false},
	{"who may read may register", "persistent-reserve-out-register", false},
	{"who may read may not reserve", "persistent-reserve-out-reserve", true},
	{"who may read may not preempt", "persistent-reserve-out-preempt", true},
	{"who may read may not clear", "persistent-reserve-out-clear", true},
};

static void is_for(void **state)
{
	const struct row *row = *state;
	const struct command_name *c = command_name_by_policy(row->policy_name);

	assert_non_null(c);
	assert_int_equal(command_is_for_writers(c->opcode, c->service_action, c->touches),
			 row->for_writers);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, is_for);
	tests_add(&t, "names and the command table say the same", names_agree, NULL);
	return tests_run(&t, "scsi");
}

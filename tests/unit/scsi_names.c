/* What commands are called: for the audit's readers, the policy and diagnostics. */
#include "tests/unit/test.h"
#include "gateway/scsi/command_names.h"

static const struct {
	const char *why;
	uint8_t cdb[16];
	size_t len;
	const char *name; /* NULL: not in the table */
} finds[] = {
	{"an opcode alone is enough where there are no service actions", {0x28}, 1, "READ(10)"},
	{"opcode 00h is a command too", {0x00}, 6, "TEST UNIT READY"},
	{"no CDB at all has no name", {0}, 0, NULL},
	{"an opcode that nobody defined has no name", {0xff}, 16, NULL},
	{"a service action is looked at", {0x9e, 0x10}, 16, "READ CAPACITY(16)"},
	{"only five bits of octet 1 are the service action", {0x9e, 0xf0}, 16, "READ CAPACITY(16)"},
	{"an unknown service action has no name", {0x9e, 0x1f}, 16, NULL},
	{"a CDB that ends before its service action has no name", {0x9e}, 1, NULL},
	{"PERSISTENT RESERVE OUT is named with its action",
	 {0x5f, 0x05},
	 10,
	 "PERSISTENT RESERVE OUT/PREEMPT AND ABORT"},
	{"service action 0 is one", {0x5e, 0x00}, 10, "PERSISTENT RESERVE IN/READ KEYS"},
	{"a 32-octet command has its action in octets 8 and 9",
	 {0x7f, 0, 0, 0, 0, 0, 0, 24, 0, 0x0b},
	 16,
	 "WRITE(32)"},
	{"a 32-octet command cut before octet 9 has no name",
	 {0x7f, 0, 0, 0, 0, 0, 0, 24, 0},
	 9,
	 NULL},
	{"a command that we do not execute has its name", {0x42}, 10, "UNMAP"},
};

static void find(void **state)
{
	const __typeof__(finds[0]) *row = *state;
	const struct command_name *name = command_name_find(row->cdb, row->len);

	if (row->name == NULL) {
		assert_null(name);
		return;
	}
	assert_non_null(name);
	assert_string_equal(name->name, row->name);
}

static const struct {
	const char *why, *policy_name, *first; /* NULL: none */
} policies[] = {
	{"a policy names one command", "read-10", "READ(10)"},
	{"a family is the name without its size", "read", "READ(6)"},
	{"the family of a command that has one size is not lost", "unmap", "UNMAP"},
	{"a family of service actions", "sanitize", "SANITIZE/OVERWRITE"},
	{"persistent-reserve-out is a family", "persistent-reserve-out",
	 "PERSISTENT RESERVE OUT/REGISTER"},
	{"write is not write-same", "write", "WRITE(6)"},
	{"write-same is a family of its own", "write-same", "WRITE SAME(10)"},
	{"a family ends at a word", "rea", NULL},
	{"a family is not every name that starts like it", "report", NULL},
	{"the empty name is none", "", NULL},
	{"a trailing dash is none", "read-", NULL},
	{"capitals are none", "READ-10", NULL},
};

static void by_policy(void **state)
{
	const __typeof__(policies[0]) *row = *state;
	const struct command_name *name = command_name_by_policy(row->policy_name);

	if (row->first == NULL) {
		assert_null(name);
		return;
	}
	assert_non_null(name);
	assert_string_equal(name->name, row->first);
}

static void every_row_is_found(void **state)
{
	size_t count;
	const struct command_name *names = command_names(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		uint8_t cdb[16] = {names[i].opcode};

		if (names[i].service_action >= 0 && cdb[0] == 0x7f)
			cdb[9] = (uint8_t)names[i].service_action;
		else if (names[i].service_action >= 0)
			cdb[1] = (uint8_t)names[i].service_action;
		assert_ptr_equal(command_name_find(cdb, sizeof cdb), &names[i]);
		assert_ptr_equal(command_name_by_policy(names[i].policy_name), &names[i]);
		assert_int_not_equal(names[i].touches, 0);
	}
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, finds, find);
	TESTS_ADD_TABLE(&t, policies, by_policy);
	tests_add(&t, "every row is found by its CDB and by its policy name", every_row_is_found,
		  NULL);
	return tests_run(&t, "scsi names");
}

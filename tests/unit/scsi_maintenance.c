/* MAINTENANCE IN: ports, task management and identifying information, octet by octet. */
#include "tests/unit/scsi_reply.h"

static const struct reply_row replies[] = {
	{"REPORT TARGET PORT GROUPS: the portal group, active and optimized, with its port",
	 {{0xa3, 0x0a, [9] = 255}, IN(255)},
	 16,
	 {{0, 4, 12}, {4, 8, 0x000f000100000001}, {12, 4, 1}}},
	{"REPORT TARGET PORT GROUPS: the extended header before the same",
	 {{0xa3, 0x2a, [9] = 255}, IN(255)},
	 20,
	 {{0, 8, 0x0000001010000000}, {8, 8, 0x000f000100000001}, {16, 4, 1}}},
	{"REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS: all but ACA",
	 {{0xa3, 0x0d, [9] = 255}, IN(255)},
	 4,
	 {{0, 4, 0xdc070000}}},
	{"REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS: with half a minute for each",
	 {{0xa3, 0x0d, 0x80, [9] = 255}, IN(255)},
	 16,
	 {{0, 4, 0xdc07000c}, {4, 8, 0x010000000000012c}, {12, 4, 0}}},
	{"REPORT IDENTIFYING INFORMATION: of the device, none is set",
	 {{0xa3, 0x05, [9] = 255}, IN(255)},
	 4,
	 {{0, 4, 0}}},
	{"REPORT IDENTIFYING INFORMATION: as text, none is set",
	 {{0xa3, 0x05, [9] = 255, 0x04}, IN(255)},
	 4,
	 {{0, 4, 0}}},
	{"REPORT IDENTIFYING INFORMATION: both types are known, none can be set",
	 {{0xa3, 0x05, [9] = 255, 0xfe}, IN(255)},
	 12,
	 {{0, 4, 8}, {4, 8, 0x0000000004000000}}},
};

static const struct field_row fields[] = {
	{"REPORT TARGET PORT GROUPS: a format that is not there",
	 {{0xa3, 0x4a, [9] = 255}, IN(255)},
	 0x2400,
	 1,
	 7},
	{"REPORT TARGET PORT GROUPS: a reserved octet",
	 {{0xa3, 0x0a, 0, 1, [9] = 255}, IN(255)},
	 0x2400,
	 3,
	 0},
	{"REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS: a reserved bit beside REPD",
	 {{0xa3, 0x0d, 0x40, [9] = 255}, IN(255)},
	 0x2400,
	 2,
	 6},
	{"REPORT IDENTIFYING INFORMATION: a type that is not there",
	 {{0xa3, 0x05, [9] = 255, 0x02}, IN(255)},
	 0x2400,
	 10,
	 7},
	{"REPORT IDENTIFYING INFORMATION: the reserved bit beside the type",
	 {{0xa3, 0x05, [9] = 255, 0x01}, IN(255)},
	 0x2400,
	 10,
	 0},
	{"MAINTENANCE IN: a service action that is not there",
	 {{0xa3, 0x0f, [9] = 255}, IN(255)},
	 0x2400,
	 1,
	 4},
	{"REPORT TARGET PORT GROUPS of a LUN that is not there",
	 {{0xa3, 0x0a, [9] = 255}, {0, 9}, IN(255)},
	 0x2500,
	 -1,
	 0},
};

static void level_1(void **state)
{
	static const struct rig_command c = {{0xa3, 0x0d, [9] = 4}, IN(4)};

	rig_open(state);
	rig->nexus.protocol_level = 1;
	(void)rig_run(&c);
	assert_int_equal(get_be(rig->buffer, 4), 0xd8000000);
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, replies, reply_check);
	TESTS_ADD_TABLE(&t, fields, field_check);
	tests_add(&t, "task management of RFC 7144 is there at protocol level 2 alone", level_1,
		  NULL);
	return tests_run(&t, "scsi maintenance");
}

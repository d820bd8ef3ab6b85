/* REPORT SUPPORTED OPERATION CODES tells the command table, one command or all of them, and
 * how long each may take. */
#include "tests/unit/scsi_reply.h"

static const struct reply_row replies[] = {
	{"REPORT SUPPORTED OPERATION CODES: one that is there",
	 {{0xa3, 0x0c, 1, 0x28, [9] = 255}, IN(255)},
	 14,
	 {{0, 4, 0x0003000a}, {4, 8, 0x28f8ffffffff00ff}, {12, 2, 0xff00}}},
	{"REPORT SUPPORTED OPERATION CODES: with its timeouts",
	 {{0xa3, 0x0c, 0x81, 0x28, [9] = 255}, IN(255)},
	 26,
	 {{0, 4, 0x0083000a}, {14, 8, 0x000a000000000001}, {22, 4, 60}}},
	{"REPORT SUPPORTED OPERATION CODES: a command that asks the medium nothing",
	 {{0xa3, 0x0c, 0x81, 0x12, [9] = 255}, IN(255)},
	 22,
	 {{0, 4, 0x00830006}, {10, 8, 0x000a000000000001}, {18, 4, 30}}},
	{"REPORT SUPPORTED OPERATION CODES: a flush may take its time",
	 {{0xa3, 0x0c, 0x81, 0x35, [9] = 255}, IN(255)},
	 26,
	 {{0, 4, 0x0083000a}, {14, 8, 0x000a000000000005}, {22, 4, 300}}},
	{"REPORT SUPPORTED OPERATION CODES: WRITE SAME of a disk that is not thin has no UNMAP bit",
	 {{0xa3, 0x0c, 1, 0x41, [9] = 255}, IN(255)},
	 14,
	 {{0, 4, 0x0003000a}, {4, 2, 0x41e0}}},
	{"REPORT SUPPORTED OPERATION CODES: one that is not there",
	 {{0xa3, 0x0c, 1, 0x42, [9] = 255}, IN(255)},
	 4,
	 {{0, 4, 0x00010000}}},
	{"REPORT SUPPORTED OPERATION CODES: a service action",
	 {{0xa3, 0x0c, 2, 0x9e, 0, 0x10, [9] = 255}, IN(255)},
	 20,
	 {{0, 4, 0x00030010}, {4, 2, 0x9e10}}},
	{"REPORT SUPPORTED OPERATION CODES: a service action that is not there",
	 {{0xa3, 0x0c, 2, 0x9e, 0, 0x11, [9] = 255}, IN(255)},
	 4,
	 {{0, 4, 0x00010000}}},
	{"REPORT SUPPORTED OPERATION CODES: either form, without action",
	 {{0xa3, 0x0c, 3, 0x28, 0, 0, [9] = 255}, IN(255)},
	 14,
	 {{0, 2, 0x0003}}},
	{"REPORT SUPPORTED OPERATION CODES: either form, an action that can't be",
	 {{0xa3, 0x0c, 3, 0x28, 0, 1, [9] = 255}, IN(255)},
	 4,
	 {{0, 2, 0x0001}}},
	{"REPORT SUPPORTED OPERATION CODES: an action above 255 is not cut",
	 {{0xa3, 0x0c, 2, 0x9e, 1, 0x10, [9] = 255}, IN(255)},
	 4,
	 {{0, 2, 0x0001}}},
};

static const struct reply_row thin[] = {
	{"REPORT SUPPORTED OPERATION CODES: WRITE SAME of a thin disk has its UNMAP bit",
	 {{0xa3, 0x0c, 1, 0x93, [9] = 255}, IN(255)},
	 20,
	 {{0, 4, 0x00030010}, {4, 2, 0x93e9}}},
	{"REPORT SUPPORTED OPERATION CODES: UNMAP is there on a thin disk",
	 {{0xa3, 0x0c, 1, 0x42, [9] = 255}, IN(255)},
	 14,
	 {{0, 4, 0x0003000a}, {4, 2, 0x4200}}},
};

static const struct field_row fields[] = {
	{"REPORT SUPPORTED OPERATION CODES: option 4",
	 {{0xa3, 0x0c, 4, [9] = 255}, IN(255)},
	 0x2400,
	 2,
	 2},
	{"REPORT SUPPORTED OPERATION CODES: 001b of an opcode with actions",
	 {{0xa3, 0x0c, 1, 0x9e, [9] = 255}, IN(255)},
	 0x2400,
	 2,
	 2},
	{"REPORT SUPPORTED OPERATION CODES: 010b of an opcode without",
	 {{0xa3, 0x0c, 2, 0x28, [9] = 255}, IN(255)},
	 0x2400,
	 2,
	 2},
};

static void opcodes_are_the_table(void **state)
{
	static const struct rig_command c = {{0xa3, 0x0c, 0x80, [8] = 255, 255}, IN(65535)};
	size_t count;
	const struct scsi_command *table = commands(&count);

	rig_open(state);
	rig->nexus.luns[0].thin = true;
	assert_true(command_set_add(&rig->nexus.rules.allowed, "sanitize"));
	assert_true(command_set_add(&rig->nexus.rules.allowed, "set-target-port-groups"));
	assert_int_equal(rig_run(&c)->status, SCSI_GOOD);
	assert_int_equal(rig->task.data_len, 4 + count * 20);
	assert_int_equal(get_be(rig->buffer, 4), count * 20);
	for (size_t i = 0; i < count; i++) {
		const uint8_t *d = rig->buffer + 4 + i * 20;

		assert_int_equal(d[0], table[i].opcode);
		assert_int_equal(d[5], 2 | (table[i].service_action >= 0));
		assert_int_equal(get_be(d + 6, 2), table[i].cdb_len);
		assert_int_equal(get_be(d + 8, 4), 0x000a0000);
		assert_true(get_be(d + 12, 4) >= 1 && get_be(d + 16, 4) >= get_be(d + 12, 4));
	}
	rig_close();
}

/* With everything on: what is listed is there, what is not listed is not. */
static void listed_or_unknown(void **state)
{
	static const struct rig_command all = {{0xa3, 0x0c, 0, [8] = 255, 255}, IN(65535)};
	bool listed[256] = {0};

	rig_open(state);
	rig->nexus.luns[0].thin = true;
	assert_true(command_set_add(&rig->nexus.rules.allowed, "sanitize"));
	assert_true(command_set_add(&rig->nexus.rules.allowed, "set-target-port-groups"));
	(void)rig_run(&all);
	for (size_t at = 4; at < rig->task.data_len; at += 8)
		listed[rig->buffer[at]] = true;
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		struct rig_command c = {{(uint8_t)opcode, 0xff, [15] = 0xff}, IN(512)};
		bool unknown;

		rig->submitted = rig->ended = 0;
		(void)rig_run(&c);
		unknown = rig->task.status == SCSI_CHECK_CONDITION &&
			  rig_code(&rig->task) == 0x2000;
		assert_int_equal(unknown, !listed[opcode]);
	}
	rig_close();
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, replies, reply_check);
	TESTS_ADD_TABLE(&t, thin, reply_check_thin);
	TESTS_ADD_TABLE(&t, fields, field_check);
	tests_add(&t, "REPORT SUPPORTED OPERATION CODES lists the command table",
		  opcodes_are_the_table, NULL);
	tests_add(&t, "every opcode that is not listed is unknown, and no other", listed_or_unknown,
		  NULL);
	return tests_run(&t, "scsi opcodes");
}

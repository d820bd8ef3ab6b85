/* What small commands say, octet by octet, and how they refuse a field: rows of tables. The
 * rig has LUN 0, to be written, and LUN 5, which is read-only. */
#pragma once

#include "tests/unit/scsi_rig.h"
#include "gateway/scsi/commands.h"

#define IN(n) .edtl = (n), .read = true

struct reply_row {
	const char *why;
	struct rig_command c;
	size_t len;
	struct {
		size_t at, width;
		uint64_t value;
	} octets[6];
};

struct field_row {
	const char *why;
	struct rig_command c;
	uint16_t code;
	int octet, bit; /* of the field pointer; -1: none */
};

static inline void reply_expect(const struct reply_row *row)
{
	struct scsi_task *task = rig_run(&row->c);

	assert_int_equal(task->status, SCSI_GOOD);
	assert_int_equal(task->data_len, row->len);
	assert_int_equal(task->wanted, row->len);
	for (size_t i = 0; i < ARRAY_LEN(row->octets) && row->octets[i].width != 0; i++)
		assert_int_equal(get_be(rig->buffer + row->octets[i].at, row->octets[i].width),
				 row->octets[i].value);
	assert_int_equal(rig->submitted, 0);
}

static inline void reply_check(void **state)
{
	rig_open(NULL);
	rig_add_lun(5, false);
	reply_expect(*state);
	rig_close();
}

/* The same of a disk that can give room back. */
static inline void reply_check_thin(void **state)
{
	rig_open(NULL);
	rig->nexus.luns[0].thin = true;
	reply_expect(*state);
	rig_close();
}

static inline void field_check(void **state)
{
	const struct field_row *row = *state;
	struct scsi_task *task;

	rig_open(NULL);
	task = rig_run(&row->c);
	assert_int_equal(task->status, SCSI_CHECK_CONDITION);
	assert_int_equal(task->sense_len, 18);
	assert_int_equal(task->sense[0], 0x70);
	assert_int_equal(task->sense[2], 5);
	assert_int_equal(task->sense[7], 10);
	assert_int_equal(rig_code(task), row->code);
	if (row->octet < 0) {
		assert_int_equal(get_be(task->sense + 15, 3), 0);
	} else {
		assert_int_equal(task->sense[15], 0xc8 | row->bit);
		assert_int_equal(get_be(task->sense + 16, 2), row->octet);
	}
	assert_int_equal(task->wanted, 0);
	assert_int_equal(task->data_len, 0);
	rig_close();
}

/* Two sessions on one disk, for what one of them does to its medium: the first one has `rig`'s
 * nexus, the second one is `other`. */
#pragma once

#include "tests/unit/scsi_rig.h"
#include "gateway/scsi/sense.h"

#define OUT(n) .edtl = (n), .write = true

#define READ_5                                                            \
	{                                                                 \
		{0x28, 0, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .read = true \
	}
#define WRITE_5                                                            \
	{                                                                  \
		{0x2a, 0, 0, 0, 0, 5, 0, 0, 1}, .edtl = 512, .write = true \
	}
#define READY                  \
	{                      \
		{0}, .edtl = 0 \
	}
#define SENSE                                                 \
	{                                                     \
		{0x03, 0, 0, 0, 18}, .edtl = 18, .read = true \
	}
#define STOP                      \
	{                         \
		{0x1b}, .edtl = 0 \
	}
#define START                                    \
	{                                        \
		{0x1b, 0, 0, 0, 0x01}, .edtl = 0 \
	}
#define EJECT                                    \
	{                                        \
		{0x1b, 0, 0, 0, 0x02}, .edtl = 0 \
	}
#define INSERT                                   \
	{                                        \
		{0x1b, 0, 0, 0, 0x03}, .edtl = 0 \
	}
#define PREVENT                                  \
	{                                        \
		{0x1e, 0, 0, 0, 0x01}, .edtl = 0 \
	}
#define ALLOW                     \
	{                         \
		{0x1e}, .edtl = 0 \
	}
#define FORMAT                    \
	{                         \
		{0x04}, .edtl = 0 \
	}
#define FORMAT_4                                       \
	{                                              \
		{0x04, 0x10}, .edtl = 4, .write = true \
	} /* with a short header */
#define ERASE                           \
	{                               \
		{0x48, 0x02}, .edtl = 0 \
	}
#define ERASE_AUSE                      \
	{                               \
		{0x48, 0x22}, .edtl = 0 \
	}
#define EXIT                            \
	{                               \
		{0x48, 0x1f}, .edtl = 0 \
	}

static struct scsi_nexus other;

/* Both may sanitize; the medium can be taken out, and room given back. */
static inline void two_open(void)
{
	rig_open(NULL);
	rig->nexus.luns[0].removable = rig->nexus.luns[0].thin = true;
	assert_true(command_set_add(&rig->nexus.rules.allowed, "sanitize"));
	rig_open_peer(1, &other);
}

static inline void two_close(void)
{
	scsi_nexus_close(&other);
	rig_close();
}

static inline enum scsi_step begin_on(struct scsi_nexus *n, struct scsi_task *task,
				      const struct rig_command *c)
{
	enum scsi_step step;

	rig_prepare(task, c);
	task->nexus = n;
	step = scsi_begin(task);
	if (step == SCSI_WANT_DATA || step == SCSI_WANT_BUFFER)
		rig_give_buffer(task);
	if (step == SCSI_WANT_DATA)
		return scsi_data_arrived(task);
	return step == SCSI_WANT_BUFFER ? scsi_buffer_ready(task) : step;
}

/* Messages and the audit go their way; the disk does not. */
static inline void settle(void)
{
	for (unsigned turn = 0; turn < 4; turn++) {
		rig_share();
		rig_audit_durable();
		scsi_audit_moved(&rig->nexus);
		if (other.gate != NULL)
			scsi_audit_moved(&other);
	}
}

/* Until nothing is left to be done. */
static inline void settle_all(void)
{
	for (unsigned turn = 0; turn < RIG_TURNS; turn++) {
		settle();
		rig_reap();
		rig->submitted = rig->ended = 0;
	}
}

static inline struct scsi_task *run_on(struct scsi_nexus *n, const struct rig_command *c)
{
	struct scsi_task *task = &rig->task;

	rig->dones = 0;
	rig->submitted = rig->ended = 0;
	if (begin_on(n, task, c) == SCSI_RUNNING) {
		settle();
		for (unsigned turn = 0; turn < RIG_TURNS && rig->dones == 0; turn++) {
			if (rig->queued > 0)
				rig_reap_one();
			settle();
		}
		assert_int_equal(rig->dones, 1);
	}
	rig_audit();
	return task;
}

static inline unsigned key_of(const struct scsi_task *task)
{
	return task->status == SCSI_GOOD ? 0 : task->sense[2];
}

static inline unsigned code_of(const struct scsi_task *task)
{
	return task->status == SCSI_GOOD ? 0 : rig_code(task);
}

#define assert_code(nexus, command, code)                                \
	do {                                                             \
		static const struct rig_command c_ = command;            \
		assert_int_equal(code_of(run_on((nexus), &c_)), (code)); \
	} while (0)

/* Parameters of a command that works on the whole medium, and what is said to them. */
struct medium_parameters {
	const char *why;
	struct rig_command c;
	uint8_t list[16];
	unsigned code;
	int field; /* octet that is pointed at; -1: none */
};

static inline void medium_check_parameters(const struct medium_parameters *row)
{
	const struct scsi_task *task;

	two_open();
	memset(rig->buffer, 0, 1024);
	memcpy(rig->buffer, row->list, sizeof row->list);
	task = run_on(&rig->nexus, &row->c);
	assert_int_equal(code_of(task), row->code);
	if (row->field >= 0) {
		assert_true(task->sense[15] & 0x80);
		assert_int_equal(get_be(task->sense + 16, 2), row->field);
	}
	settle_all();
	assert_int_equal(scsi_room(&rig->nexus), RIG_ADMISSIONS);
	assert_code(&rig->nexus, READY, 0);
	two_close();
}

static inline bool medium_is_all(uint8_t octet)
{
	size_t len = (size_t)RIG_BLOCK * RIG_BLOCKS;

	return rig->disk[0] == octet && memcmp(rig->disk, rig->disk + 1, len - 1) == 0;
}

/* MODE SELECT on the bench of scsi_rig.h: a parameter list goes out, for any of two nexuses. */
#pragma once

#include "tests/unit/scsi_reply.h"
#include "gateway/scsi/mode_pages.h"

/* Runs a command of `nexus` to its end. */
static inline struct scsi_task *mode_run(struct scsi_nexus *nexus, const struct rig_command *c)
{
	struct scsi_task *task = &rig->task;
	enum scsi_step step;

	rig_prepare(task, c);
	task->nexus = nexus;
	step = scsi_begin(task);
	if (step == SCSI_WANT_DATA || step == SCSI_WANT_BUFFER) {
		rig_give_buffer(task);
		step = step == SCSI_WANT_DATA ? scsi_data_arrived(task) : scsi_buffer_ready(task);
	}
	for (unsigned turn = 0; turn < RIG_TURNS && step == SCSI_RUNNING && !rig->dones; turn++) {
		rig_share();
		rig_reap();
		rig_audit_durable();
		scsi_audit_moved(nexus);
	}
	assert_int_equal(rig->dones, step == SCSI_RUNNING);
	rig->dones = 0;
	assert_null(task->admission);
	rig_audit();
	return task;
}

/* MODE SELECT(6) of one page, with SP or without. */
static inline struct scsi_task *mode_select(struct scsi_nexus *nexus, bool save,
					    const uint8_t *page, size_t len)
{
	struct rig_command c = {.cdb = {0x15, 0x10 | save}, .edtl = (uint32_t)(4 + len)};

	c.write = true;
	c.cdb[4] = (uint8_t)(4 + len);
	memset(rig->buffer, 0, 4);
	memcpy(rig->buffer + 4, page, len);
	return mode_run(nexus, &c);
}

static inline void mode_set(struct scsi_nexus *nexus, bool save, uint8_t bits)
{
	const uint8_t pages[] = {0x08,
				 0x12,
				 bits & MODE_NO_WRITE_CACHE ? 0 : 4,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0x0a,
				 0x0a,
				 bits & MODE_D_SENSE ? 0x26 : 0x22,
				 0x10,
				 bits & MODE_SWP ? 8 : 0,
				 bits & MODE_TAS ? 0x40 : 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0};

	assert_int_equal(mode_select(nexus, save, pages, sizeof pages)->status, SCSI_GOOD);
}

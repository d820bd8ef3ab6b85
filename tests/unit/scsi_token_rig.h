/* For tests of ROD tokens: two sessions of one initiator and one of another, on two disks, with the
 * real arbiter between them, and the commands that make, tell and use tokens. LUN 0 is the first
 * disk, LUN 1 the second. */
#pragma once

#include "tests/unit/scsi_copy_rig.h"

enum who { ME, MY_OTHER, ELSE };

static struct scsi_nexus nexuses[3];

struct range {
	uint64_t lba;
	uint32_t blocks;
};

static inline struct scsi_nexus *nexus_of(enum who who)
{
	return who == ME ? &rig->nexus : &nexuses[who];
}

static inline void open_all(void)
{
	copy_open();
	rig->namesake[MY_OTHER] = 1;
	memset(nexuses, 0, sizeof nexuses);
	rig_open_peer(MY_OTHER, &nexuses[MY_OTHER]);
	rig_open_peer(ELSE, &nexuses[ELSE]);
}

static inline void close_all(void)
{
	scsi_nexus_close(&nexuses[MY_OTHER]);
	scsi_nexus_close(&nexuses[ELSE]);
	rig_close();
}

static inline enum scsi_step go_on(struct scsi_task *task, enum scsi_step step)
{
	if (step != SCSI_WANT_DATA && step != SCSI_WANT_BUFFER)
		return step;
	rig_give_buffer(task);
	return step == SCSI_WANT_DATA ? scsi_data_arrived(task) : scsi_buffer_ready(task);
}

static inline void finish(enum scsi_step step)
{
	for (unsigned turn = 0; step == SCSI_RUNNING && turn < RIG_TURNS && rig->dones == 0;
	     turn++) {
		rig_share();
		rig_reap();
		rig_audit_durable();
		for (enum who who = ME; who <= ELSE; who++)
			scsi_audit_moved(nexus_of(who));
	}
	assert_int_equal(rig->dones, step == SCSI_RUNNING);
	rig->dones = 0;
	rig_audit();
}

static inline struct scsi_task *run_as(enum who who, const struct rig_command *c)
{
	rig_prepare(&rig->task, c);
	rig->task.nexus = nexus_of(who);
	finish(go_on(&rig->task, scsi_begin(&rig->task)));
	rig->submitted = rig->ended = 0;
	return &rig->task;
}

/* --- the commands --- */

static inline size_t put_ranges(size_t header, const struct range *ranges, unsigned count)
{
	memset(rig->buffer + header, 0, count * 16u);
	for (unsigned i = 0; i < count; i++) {
		put_be(rig->buffer + header + i * 16u, 8, ranges[i].lba);
		put_be(rig->buffer + header + i * 16u + 8, 4, ranges[i].blocks);
	}
	put_be(rig->buffer, 2, header - 2 + count * 16u);
	put_be(rig->buffer + header - 2, 2, count * 16u);
	return header + count * 16u;
}

static inline struct rig_command command(uint8_t action, uint8_t lun, uint32_t list, size_t len)
{
	struct rig_command c = {{0x83, action}, {0, lun}, .edtl = (uint32_t)len, .write = true};

	put_be(c.cdb + 6, 4, list);
	put_be(c.cdb + 10, 4, len);
	return c;
}

static inline struct scsi_task *populate(enum who who, const struct range *ranges, unsigned count)
{
	struct rig_command c;

	memset(rig->buffer, 0, 16);
	c = command(0x10, 0, 5, put_ranges(16, ranges, count));
	return run_as(who, &c);
}

/* RECEIVE ROD TOKEN INFORMATION; the answer is in rig->buffer. */
static inline struct scsi_task *receive(enum who who, uint8_t lun, uint32_t list)
{
	struct rig_command c = {{0x84, 7}, {0, lun}, .edtl = 1024, .read = true};

	put_be(c.cdb + 2, 4, list);
	put_be(c.cdb + 10, 4, 1024);
	return run_as(who, &c);
}

static inline void take_token(enum who who, uint8_t ret[TOKEN_SIZE])
{
	assert_int_equal(receive(who, 0, 5)->status, SCSI_GOOD);
	assert_int_equal(rig->task.data_len, 38 + TOKEN_SIZE);
	assert_int_equal(rig->buffer[4], 0x10);
	assert_int_equal(rig->buffer[5], 1);
	assert_int_equal(get_be(rig->buffer + 32, 4), 2 + TOKEN_SIZE);
	memcpy(ret, rig->buffer + 38, TOKEN_SIZE);
}

static inline void make_token(const struct range *ranges, unsigned count, uint8_t ret[TOKEN_SIZE])
{
	assert_int_equal(populate(ME, ranges, count)->status, SCSI_GOOD);
	take_token(ME, ret);
}

static inline struct rig_command write_command(const uint8_t token[TOKEN_SIZE], uint64_t offset,
					       const struct range *ranges, unsigned count)
{
	memset(rig->buffer, 0, 536);
	put_be(rig->buffer + 8, 8, offset);
	memcpy(rig->buffer + 16, token, TOKEN_SIZE);
	return command(0x11, 1, 6, put_ranges(536, ranges, count));
}

static inline struct scsi_task *write_using(enum who who, const uint8_t token[TOKEN_SIZE],
					    uint64_t offset, const struct range *ranges,
					    unsigned count)
{
	struct rig_command c = write_command(token, offset, ranges, count);

	return run_as(who, &c);
}

static inline void write_block(enum who who, uint32_t lba)
{
	struct rig_command c = {{0x2a, 0}, .edtl = 512, .write = true};

	put_be(c.cdb + 2, 4, lba);
	c.cdb[8] = 1;
	memset(rig->buffer, 0x77, 512);
	assert_int_equal(run_as(who, &c)->status, SCSI_GOOD);
}

static inline uint64_t tokens_of_first(void)
{
	return atomic_load(&rig->shared->disks[0].token_count);
}

static const struct range source[] = {{10, 5}, {600, 700}, {50, 3}},
			  target[] = {{2000, 8}, {100, 700}};

/* Three initiators at one disk, each with a session of its own, before a real court: A is the rig's
 * own session, B and C are peers. Commands as each of them, with their lists. */
#pragma once

#include "tests/unit/scsi_rig.h"

enum { A, B, C, PEERS };

#define KEY_A 0xaaaaaaaa00000001u
#define KEY_B 0xbbbbbbbb00000002u
#define KEY_C 0xcccccccc00000003u

static struct scsi_nexus peers[PEERS]; /* B and C */
static const uint64_t keys[PEERS] = {KEY_A, KEY_B, KEY_C};

static inline struct scsi_nexus *nexus_of(unsigned who)
{
	return who == A ? &rig->nexus : &peers[who];
}

static inline void peers_open(void)
{
	rig_open(NULL);
	for (unsigned who = B; who < PEERS; who++) {
		memset(&peers[who], 0, sizeof peers[who]);
		rig_open_peer(who, &peers[who]);
	}
}

static inline void peers_close(void)
{
	for (unsigned who = B; who < PEERS; who++)
		scsi_nexus_close(&peers[who]);
	rig_close();
}

/* A turn of everybody's loop. */
static inline void peers_turn(void)
{
	rig_share();
	rig_audit_durable();
	for (unsigned who = A; who < PEERS; who++)
		scsi_audit_moved(nexus_of(who));
	rig_share();
}

struct pr_list {
	uint64_t key, action_key;
	uint8_t octets[20]; /* of the list from 16 on, zeroed */
	size_t len;	    /* 0: 24 */
};

/* A task of `who` with a buffer in two pieces of its own. */
struct peer_task {
	struct scsi_task task;
	uint8_t cdb[16], buffer[4096];
	struct iovec iov[2];
};

static inline enum scsi_step peer_begin(struct peer_task *t, unsigned who,
					const struct rig_command *c)
{
	rig_prepare(&t->task, c);
	memcpy(t->cdb, c->cdb, sizeof t->cdb);
	t->task.cdb = t->cdb;
	t->task.nexus = nexus_of(who);
	memset(t->buffer, RIG_POISON, sizeof t->buffer);
	return scsi_begin(&t->task);
}

static inline enum scsi_step peer_buffer(struct peer_task *t, const void *data, size_t len)
{
	size_t cut = MIN(t->task.bytes, 21);

	assert_true(t->task.bytes <= sizeof t->buffer);
	if (len > 0)
		memcpy(t->buffer, data, MIN(len, t->task.bytes));
	t->iov[0] = (struct iovec){t->buffer, cut};
	t->iov[1] = (struct iovec){t->buffer + cut, t->task.bytes - cut};
	t->task.iov = t->iov;
	t->task.iov_count = 2;
	t->task.buffer_len = t->task.bytes;
	return data != NULL ? scsi_data_arrived(&t->task) : scsi_buffer_ready(&t->task);
}

/* To its end; the step that was reached stands for "not yet". */
static inline uint8_t peer_end(struct peer_task *t, enum scsi_step step)
{
	for (unsigned turn = 0; step == SCSI_RUNNING && rig->dones == 0 && turn < RIG_TURNS;
	     turn++) {
		rig_reap();
		peers_turn();
	}
	if (step == SCSI_RUNNING) {
		assert_int_equal(rig->dones, 1);
		rig->dones = 0;
	}
	assert_null(t->task.admission);
	rig_audit();
	return t->task.status;
}

static inline uint8_t peer_run(struct peer_task *t, unsigned who, const struct rig_command *c,
			       const void *data, size_t len)
{
	enum scsi_step step = peer_begin(t, who, c);

	if (step == SCSI_WANT_DATA || step == SCSI_WANT_BUFFER)
		step = peer_buffer(t, step == SCSI_WANT_DATA ? data : NULL, len);
	return peer_end(t, step);
}

static inline size_t list_write(const struct pr_list *list, uint8_t ret[64])
{
	size_t len = list->len == 0 ? PR_LIST_BASIC : list->len;

	memset(ret, 0, 64);
	put_be(ret, 8, list->key);
	put_be(ret + 8, 8, list->action_key);
	memcpy(ret + 16, list->octets, sizeof list->octets);
	return len;
}

static inline struct rig_command pr_out_command(uint8_t action, uint8_t scope_type, size_t len)
{
	return (struct rig_command){
		.cdb = {0x5f, action, scope_type, [7] = (uint8_t)(len >> 8), (uint8_t)len},
		.edtl = (uint32_t)len,
		.write = true};
}

static inline uint8_t pr_out(struct peer_task *t, unsigned who, uint8_t action, uint8_t type,
			     const struct pr_list *list)
{
	uint8_t octets[64];
	size_t len = list_write(list, octets);
	struct rig_command c = pr_out_command(action, type, len);

	return peer_run(t, who, &c, octets, len);
}

/* Registered with its own key. */
static inline void peer_register(unsigned who)
{
	struct pr_list list = {.action_key = keys[who]};
	struct peer_task t;

	assert_int_equal(pr_out(&t, who, PR_REGISTER, 0, &list), SCSI_GOOD);
}

static inline void peer_reserve(unsigned who, uint8_t type)
{
	struct pr_list list = {.key = keys[who]};
	struct peer_task t;

	assert_int_equal(pr_out(&t, who, PR_RESERVE, type, &list), SCSI_GOOD);
}

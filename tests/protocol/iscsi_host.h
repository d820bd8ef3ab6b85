/* The host of the tests of the iSCSI core: it serves reads and writes on a small memory
 * disk and answers CHAP, at once or when it is told to, and counts what it is asked. */
#pragma once

#include "tests/unit/test.h"
#include "gateway/iscsi/iscsi.h"
#include "gateway/iscsi/pdu.h"

#define DISK_SIZE (4u << 20)
#define NAME_I	  "iqn.1994-05.com.example:client"
#define NAME_T	  "iqn.2026-11.net.example.gw:vault"

/* CDBs of the fake device; all others answer GOOD. */
#define CDB_READ10  0x28
#define CDB_WRITE10 0x2a
#define CDB_PARKED  0xc0 /* stays with the host until the test answers */
#define CDB_FAILS   0xc1 /* CHECK CONDITION */
#define CDB_PARTIAL 0xc2 /* 100 octets of data, then CHECK CONDITION, or octet 1 as status */
#define CDB_EARLY   0xc3 /* answers GOOD without looking at any data */
#define CDB_HUGE    0xc4 /* wants more than a task can hold */

struct peer {
	struct iscsi *i;
	struct iscsi_connection *c;
	struct iscsi_limits limits;
	uint64_t now;
	/* the initiator's */
	uint32_t cmdsn, itt;
	bool header_digest, data_digest, spoil_header, spoil_data;
	size_t drip; /* octets fed at once; 0: as many as there is room for */
	uint8_t *out;
	size_t out_len, out_at, out_size;
	bool deaf; /* what comes is counted, not kept */
	/* the host's */
	uint8_t *disk;
	bool later;	    /* CHAP, grants: answered by the test */
	bool keeps_out;	    /* the grant never comes */
	bool refuse_cancel; /* something still runs */
	uint16_t refuse_names, refuse_proof, refuse_enter;
	uint32_t room, algorithm;
	const char *targets;
	size_t targets_len;
	const char *alias, *moved_to;
	struct iscsi_names names;
	struct iscsi_chap_proof proof;
	uint32_t offered[16];
	size_t offered_count;
	unsigned names_calls, offer_calls, proof_calls, enter_calls, commands, cancels, finished,
		ready_calls, arrived_calls;
	struct iscsi_task *parked[ISCSI_TASKS_MAX];
	unsigned parked_count;
	struct iscsi_tmf_request managed; /* the last one */
	unsigned manages;
	int manage_result;
	struct iscsi_tmf_request spread[8];
	unsigned spreads;
	bool attention;	  /* a unit attention waits for LUN 0 */
	bool others_busy; /* a reset waits for iscsi_tmf_spread_done() */
	uint32_t seen_cmdsn[4096];
	uint8_t last_cdb[ISCSI_CDB_MAX];
	size_t last_cdb_len;
	int want_error;
};

static const uint8_t peer_challenge[32] = {0x11, 0x22, 0x33, 0xfe};
static const uint8_t peer_proof[16] = {0xaa, 0xbb, 0xcc};

/* --- the host ------------------------------------------------------------------------------- */

static inline void peer_respond(struct peer *p, struct iscsi_task *t, uint8_t status,
				size_t data_len, size_t wanted)
{
	static const uint8_t sense[18] = {0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20};
	struct iscsi_response r = {.status = status, .data_len = data_len, .wanted = wanted};

	if (status == 2) {
		r.sense = sense;
		r.sense_len = sizeof sense;
	}
	iscsi_task_respond(p->i, t, &r);
}

static inline size_t peer_blocks(const struct iscsi_task *t)
{
	return (size_t)get_be(t->cdb + 7, 2) * 512;
}

static inline void peer_copy(struct peer *p, struct iscsi_task *t, bool to_disk)
{
	size_t at = (size_t)get_be(t->cdb + 2, 4) * 512;

	for (unsigned n = 0; n < t->iov_count; n++) {
		assert_true(at + t->iov[n].iov_len <= DISK_SIZE);
		if (to_disk)
			memcpy(p->disk + at, t->iov[n].iov_base, t->iov[n].iov_len);
		else
			memcpy(t->iov[n].iov_base, p->disk + at, t->iov[n].iov_len);
		at += t->iov[n].iov_len;
	}
}

static inline void peer_data_arrived(void *host, struct iscsi_task *t)
{
	struct peer *p = host;

	p->arrived_calls++;
	assert_true(t->buffer_len <= t->edtl);
	peer_copy(p, t, true);
	peer_respond(p, t, 0, 0, peer_blocks(t));
}

static inline void peer_buffer_ready(void *host, struct iscsi_task *t)
{
	struct peer *p = host;

	p->ready_calls++;
	peer_copy(p, t, false);
	peer_respond(p, t, 0, peer_blocks(t), peer_blocks(t));
}

static inline void peer_command(void *host, struct iscsi_task *t)
{
	struct peer *p = host;

	assert_true(t->slot < ISCSI_TASKS_MAX);
	p->seen_cmdsn[p->commands++ % ARRAY_LEN(p->seen_cmdsn)] = t->cmdsn;
	memcpy(p->last_cdb, t->cdb, sizeof p->last_cdb);
	p->last_cdb_len = t->cdb_len;
	switch (t->cdb[0]) {
	case CDB_READ10:
		if (iscsi_task_buffer(p->i, t, peer_blocks(t)) == 0)
			peer_buffer_ready(p, t);
		return;
	case CDB_WRITE10:
		if (iscsi_task_want(p->i, t, peer_blocks(t)) == 0)
			peer_data_arrived(p, t);
		return;
	case CDB_PARKED:
		p->parked[p->parked_count++] = t;
		return;
	case CDB_FAILS:
		peer_respond(p, t, 2, 0, 0);
		return;
	case CDB_PARTIAL:
		assert_int_equal(iscsi_task_buffer(p->i, t, 100), 0);
		memset(t->iov[0].iov_base, 'p', 100);
		peer_respond(p, t, t->cdb[1] ? t->cdb[1] : 2, 100, 100);
		return;
	case CDB_HUGE:
		p->want_error = t->write ? iscsi_task_want(p->i, t, SIZE_MAX)
					 : iscsi_task_buffer(p->i, t, SIZE_MAX);
		peer_respond(p, t, 2, 0, 0);
		return;
	default:
		peer_respond(p, t, 0, 0, 0);
		return;
	}
}

static inline bool peer_cancel(void *host, struct iscsi_task *t)
{
	struct peer *p = host;

	p->cancels++;
	for (unsigned n = 0; n < p->parked_count; n++)
		if (p->parked[n] == t && !p->refuse_cancel)
			p->parked[n] = p->parked[--p->parked_count];
	return !p->refuse_cancel;
}

static inline void peer_finished(void *host, struct iscsi_task *t)
{
	struct peer *p = host;

	(void)t;
	p->finished++;
}

static inline int peer_manage(void *host, const struct iscsi_tmf_request *request)
{
	struct peer *p = host;

	p->manages++;
	p->managed = *request;
	return request->response == 0 || p->manage_result < 0 ? p->manage_result : 0;
}

static inline bool peer_spread(void *host, const struct iscsi_tmf_request *request)
{
	struct peer *p = host;

	p->spread[p->spreads++ % ARRAY_LEN(p->spread)] = *request;
	return !p->others_busy;
}

static inline bool peer_lun_exists(void *host, const uint8_t lun[8])
{
	(void)host;
	return lun[1] < 2;
}

static inline bool peer_attention(void *host, const uint8_t lun[8], uint8_t ret_sense[3])
{
	static const uint8_t nexus_loss[3] = {0x06, 0x29, 0x07};
	const struct peer *p = host;

	memcpy(ret_sense, nexus_loss, sizeof nexus_loss);
	return p->attention && lun[1] == 0;
}

static inline uint32_t peer_room(void *host)
{
	return ((struct peer *)host)->room;
}

static inline size_t peer_send_targets(void *host, const char *which, const char **ret_text)
{
	struct peer *p = host;

	*ret_text = p->targets;
	return strcmp(which, "nobody") == 0 ? 0 : p->targets_len;
}

static inline void peer_names(void *host, const struct iscsi_names *names)
{
	struct peer *p = host;

	p->names_calls++;
	p->names = *names;
	if (p->refuse_names)
		iscsi_login_refuse(p->c, p->refuse_names);
}

static inline void peer_offer(void *host, const uint32_t *algorithms, size_t count)
{
	struct peer *p = host;

	p->offer_calls++;
	p->offered_count = count;
	memcpy(p->offered, algorithms, count * sizeof *algorithms);
	if (!p->later)
		iscsi_chap_challenge(p->c, p->algorithm, 254, peer_challenge,
				     sizeof peer_challenge);
}

static inline void peer_proof_came(void *host, const struct iscsi_chap_proof *proof)
{
	struct peer *p = host;

	p->proof_calls++;
	p->proof = *proof;
	if (p->moved_to)
		iscsi_login_redirect(p->c, 0x0101, p->moved_to);
	else if (p->refuse_proof)
		iscsi_login_refuse(p->c, p->refuse_proof);
	else if (!p->later)
		iscsi_chap_accepted(p->c, "gw", peer_proof,
				    proof->has_challenge ? sizeof peer_proof : 0);
}

static inline void peer_grant(struct peer *p)
{
	struct iscsi_grant g = {
		.tsih = 0x1234, .target_alias = p->alias, .queue_depth = p->limits.queue_depth};

	iscsi_login_granted(p->c, &g);
}

static inline void peer_enter(void *host)
{
	struct peer *p = host;

	p->enter_calls++;
	if (p->refuse_enter)
		iscsi_login_refuse(p->c, p->refuse_enter);
	else if (!p->later && !p->keeps_out)
		peer_grant(p);
}

static const struct iscsi_host peer_ops = {
	.names = peer_names,
	.chap_offer = peer_offer,
	.chap_proof = peer_proof_came,
	.enter = peer_enter,
	.command = peer_command,
	.data_arrived = peer_data_arrived,
	.buffer_ready = peer_buffer_ready,
	.cancel = peer_cancel,
	.finished = peer_finished,
	.manage = peer_manage,
	.spread = peer_spread,
	.lun_exists = peer_lun_exists,
	.attention = peer_attention,
	.room = peer_room,
	.send_targets = peer_send_targets,
};

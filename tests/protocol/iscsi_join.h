/* More than one connection for the tests: a second peer joins the session of the first,
 * which is also the host of both. */
#pragma once

#include "tests/protocol/iscsi_peer.h"

enum { COMPLETE, NO_TASK, STILL_ALLEGIANT = 3, NO_REASSIGN = 4 };
#define LEVEL_2 "ErrorRecoveryLevel=2\0DefaultTime2Wait=1\0DefaultTime2Retain=10\0MaxConnections=4"
#define SEVERAL "MaxConnections=4"
#define CID_P	9 /* as login_bhs() has it */

static inline void up(struct peer *p, const char *keys, size_t len)
{
	p->limits = (struct iscsi_limits){
		.max_recv_segment = 262144,
		.max_burst = 262144,
		.first_burst = 65536,
		.max_r2t = 4,
		.queue_depth = 32,
		.immediate_data = true,
		.header_digest = true,
		.data_digest = true,
		.max_connections = 4,
		.error_recovery = 2,
		.time2wait = 1,
		.time2retain = 20,
	};
	peer_up(p, keys, len);
}

static inline struct iscsi_handover state_of(const struct peer *p, uint16_t cid)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct iscsi_handover h = {
		.tsih = 0x1234,
		.cid = cid,
		.text_len = sizeof "MaxRecvDataSegmentLength=262144",
		.itt = 77,
		.statsn = 900,
		.peer_segment = 8192,
		.csg = 1,
	};

	login_bhs(p, bhs, 0);
	memcpy(h.isid, bhs + BHS_ISID, sizeof h.isid);
	memcpy(h.text, "MaxRecvDataSegmentLength=262144", h.text_len);
	return h;
}

/* A second connection; its login has been done elsewhere. */
static inline void join(struct peer *p, struct peer *q, uint16_t cid)
{
	struct iscsi_handover h = state_of(p, cid);
	struct reply r;

	*q = (struct peer){.i = p->i, .itt = 5000 + 1000u * cid, .cmdsn = p->cmdsn};
	assert_int_equal(iscsi_adopt(p->i, &h, &q->c), 0);
	peer_drain(q);
	peer_expect(q, &r, OP_LOGIN_RESPONSE);
	assert_int_equal(get_be(r.bhs + BHS_LOGIN_STATUS, 2), 0);
	assert_int_equal(r.flags, LOGIN_T | STAGES(1, 3));
	assert_int_equal(get_be(r.bhs + BHS_TSIH, 2), 0x1234);
	assert_int_equal(reply_u32(&r, BHS_STATSN), 900);
	assert_int_equal(reply_u32(&r, BHS_ITT), 77);
	assert_string_equal(reply_value(&r, "MaxRecvDataSegmentLength"), "262144");
}

static inline void leave(struct peer *q)
{
	free(q->out);
}

/* The connection's transport is gone. */
static inline void lose(struct peer *p)
{
	iscsi_disconnected(p->c);
	p->c = NULL;
}

static inline uint32_t park(struct peer *p)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	command_bhs(p, bhs, FLAG_FINAL, 0, CDB_PARKED);
	assert_true(peer_send(p, bhs, NULL, 0));
	return p->itt;
}

static inline void expect_status(struct peer *p, uint32_t itt, uint8_t status)
{
	struct reply r;

	peer_drain(p);
	peer_expect(p, &r, OP_SCSI_RESPONSE);
	assert_int_equal(reply_u32(&r, BHS_ITT), itt);
	assert_int_equal(r.bhs[3], status);
}

static inline void manage(struct peer *p, uint8_t function, uint32_t rtt, uint8_t verdict)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	tmf_bhs(p, bhs, function, rtt, 0);
	assert_true(peer_send(p, bhs, NULL, 0));
	peer_expect(p, &r, OP_TMF_RESPONSE);
	assert_int_equal(r.bhs[2], verdict);
}

static inline uint8_t log_out(struct peer *p, uint8_t reason, uint16_t cid)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	bhs_start(bhs, OP_LOGOUT, FLAG_FINAL | reason, ++p->itt);
	bhs[0] |= OPCODE_IMMEDIATE;
	put_be(bhs + BHS_CID, 2, cid);
	bhs_u32(bhs, BHS_CMDSN, p->cmdsn);
	assert_true(peer_send(p, bhs, NULL, 0));
	peer_expect(p, &r, OP_LOGOUT_RESPONSE);
	return r.bhs[2];
}

/* What the tests of ErrorRecoveryLevel 1 share: a session at that level, SNACKs, and what
 * is the same when it is sent again. */
#pragma once

#include "tests/protocol/iscsi_end.h"

#define LEVEL_1	 "ErrorRecoveryLevel=1"
#define SEEN_MAX 600

enum snack { SNACK_DATA, SNACK_STATUS, SNACK_DATA_ACK, SNACK_R_DATA };

struct run {
	uint32_t from, len;
};

static inline void level_up(struct peer *p, uint32_t level, const char *keys, size_t len)
{
	p->limits = (struct iscsi_limits){
		.max_recv_segment = 262144,
		.max_burst = 1048576,
		.first_burst = 65536,
		.max_r2t = 4,
		.queue_depth = p->limits.queue_depth ? p->limits.queue_depth : 32,
		.immediate_data = true,
		.header_digest = true,
		.data_digest = true,
		.error_recovery = level,
	};
	peer_up(p, keys, len);
}

static inline void snack_bhs(uint8_t bhs[ISCSI_BHS_SIZE], enum snack type, uint32_t itt,
			     struct run run)
{
	bhs_start(bhs, OP_SNACK, (uint8_t)(FLAG_FINAL | type), itt);
	bhs_u32(bhs, BHS_SNACK_TAG, TAG_NONE);
	bhs_u32(bhs, BHS_BEGRUN, run.from);
	bhs_u32(bhs, BHS_RUNLENGTH, run.len);
}

static inline void send_snack(struct peer *p, enum snack type, uint32_t itt, struct run run)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	snack_bhs(bhs, type, itt, run);
	assert_true(peer_send(p, bhs, NULL, 0));
}

static inline void send_r_data(struct peer *p, uint32_t itt, uint32_t tag)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	snack_bhs(bhs, SNACK_R_DATA, itt, (struct run){0, 0});
	bhs_u32(bhs, BHS_SNACK_TAG, tag);
	assert_true(peer_send(p, bhs, NULL, 0));
}

/* A NOP-Out that wants no answer: nothing but its ExpStatSN. */
static inline void acknowledge(struct peer *p, uint32_t expstatsn)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	bhs_start(bhs, OP_NOP_OUT, FLAG_FINAL, TAG_NONE);
	bhs[0] |= OPCODE_IMMEDIATE;
	bhs_u32(bhs, BHS_TTT, TAG_NONE);
	bhs_u32(bhs, BHS_CMDSN, p->cmdsn);
	bhs_u32(bhs, BHS_EXPSTATSN, expstatsn);
	assert_true(peer_send(p, bhs, NULL, 0));
}

/* Everything that is there, at most SEEN_MAX PDUs. */
static inline unsigned peer_all(struct peer *p, struct reply r[])
{
	unsigned n = 0;

	while (peer_next(p, &r[n]))
		assert_true(++n < SEEN_MAX);
	return n;
}

static inline void expect_rejected(struct peer *p, uint8_t reason)
{
	struct reply r;

	peer_expect(p, &r, OP_REJECT);
	assert_int_equal(r.bhs[2], reason);
	peer_expect_none(p);
}

/* RFC 7143 section 11.16: an exact replica, but for ExpCmdSN and MaxCmdSN. */
static inline void expect_same(const struct reply *again, const struct reply *first)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	memcpy(bhs, first->bhs, sizeof bhs);
	memcpy(bhs + BHS_EXPCMDSN, again->bhs + BHS_EXPCMDSN, 8);
	assert_memory_equal(again->bhs, bhs, sizeof bhs);
	assert_int_equal(again->len, first->len);
}

/* Is this Data-In what the disk has there? */
static inline void expect_data(const struct peer *p, const struct reply *r)
{
	assert_int_equal(r->opcode, OP_DATA_IN);
	assert_memory_equal(r->data, p->disk + reply_u32(r, BHS_OFFSET), r->len);
}

static inline unsigned read_blocks(struct peer *p, uint32_t blocks, struct reply r[])
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	rw_bhs(p, bhs, FLAG_READ | FLAG_FINAL, blocks * 512, blocks);
	assert_true(peer_send(p, bhs, NULL, 0));
	return peer_all(p, r);
}

static inline void command_nothing(struct peer *p, struct reply *r)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	command_bhs(p, bhs, FLAG_FINAL, 0, 0);
	assert_true(peer_send(p, bhs, NULL, 0));
	peer_expect(p, r, OP_SCSI_RESPONSE);
}

/* Makes frames, and sends only a part of them. */
static inline void drain_some(struct peer *p, size_t octets)
{
	struct iovec iov[64];
	size_t count = iscsi_tx(p->c, iov, ARRAY_LEN(iov)), sent = 0;

	for (size_t n = 0; n < count && sent < octets; n++) {
		peer_room_for(p, iov[n].iov_len);
		memcpy(p->out + p->out_len, iov[n].iov_base, iov[n].iov_len);
		p->out_len += iov[n].iov_len;
		sent += iov[n].iov_len;
	}
	iscsi_sent(p->c, sent);
}

static inline void feed(struct peer *p, uint8_t bhs[ISCSI_BHS_SIZE])
{
	uint8_t wire[64];
	size_t n = peer_wire(p, bhs, (struct body){0}, wire);

	assert_int_equal(peer_feed(p, wire, n), n);
}

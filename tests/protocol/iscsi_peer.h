/* The other end of the tests of the iSCSI core: an initiator made of octets, its login,
 * its PDUs and its digests. Everything goes through the public interface. */
#pragma once

#include "tests/protocol/iscsi_host.h"

struct reply {
	uint8_t bhs[ISCSI_BHS_SIZE];
	uint8_t opcode, flags;
	const uint8_t *data;
	size_t len;
};

/* --- the wire ------------------------------------------------------------------------------- */

static inline void peer_open(struct peer *p)
{
	if (p->limits.max_recv_segment == 0)
		p->limits = (struct iscsi_limits){
			.max_recv_segment = 262144,
			.max_burst = 1048576,
			.first_burst = 65536,
			.max_r2t = 4,
			.queue_depth = 32,
			.immediate_data = true,
			.header_digest = true,
			.data_digest = true,
			.time2wait = 2,
			.time2retain = 20,
		};
	p->room = 1000;
	p->algorithm = 5;
	p->itt = 100;
	p->cmdsn = 0xfffffff0; /* soon past the end of the circle */
	assert_int_equal(iscsi_open(&p->limits, 1, &peer_ops, p, &p->i), 0);
	p->c = iscsi_leading(p->i);
}

static inline void peer_close(struct peer *p)
{
	p->refuse_cancel = false;
	iscsi_close(p->i);
	free(p->disk);
	free(p->out);
}

static inline void peer_room_for(struct peer *p, size_t len)
{
	if (p->out_len + len <= p->out_size)
		return;
	p->out_size = 2 * (p->out_len + len) + 4096;
	p->out = realloc(p->out, p->out_size);
	assert_non_null(p->out);
}

/* Takes everything that the target has to say. */
static inline void peer_drain(struct peer *p)
{
	struct iovec iov[8];
	size_t count;

	while ((count = iscsi_tx(p->c, iov, ARRAY_LEN(iov))) > 0) {
		size_t sum = 0;

		for (size_t n = 0; n < count; n++) {
			sum += iov[n].iov_len;
			if (p->deaf)
				continue;
			peer_room_for(p, iov[n].iov_len);
			memcpy(p->out + p->out_len, iov[n].iov_base, iov[n].iov_len);
			p->out_len += iov[n].iov_len;
		}
		iscsi_sent(p->c, sum);
	}
}

/* Feeds octets; the number that the target took. Does not read its answers. */
static inline size_t peer_feed(struct peer *p, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	struct iovec iov[8];
	size_t fed = 0;

	while (fed < len) {
		size_t count = iscsi_rx_space(p->c, iov, ARRAY_LEN(iov)), sum = 0,
		       most = p->drip ? MIN(p->drip, len - fed) : len - fed;

		for (size_t n = 0; n < count && sum < most; n++) {
			size_t take = MIN(iov[n].iov_len, most - sum);

			memcpy(iov[n].iov_base, from + fed + sum, take);
			sum += take;
		}
		if (sum == 0)
			break;
		iscsi_received(p->c, sum, p->now);
		fed += sum;
	}
	return fed;
}

/* What follows a header: bhs[4] words of additional headers, and data. */
struct body {
	const void *ahs, *data;
	size_t len;
};

/* Makes one PDU's octets: header, digests, data, padding. */
static inline size_t peer_wire(const struct peer *p, uint8_t bhs[ISCSI_BHS_SIZE], struct body b,
			       uint8_t *to)
{
	const void *ahs = b.ahs, *data = b.data;
	size_t len = b.len, ahs_len = (size_t)bhs[4] * 4, at = ISCSI_BHS_SIZE,
	       pad = pdu_padding(len);

	put_be(bhs + 5, 3, len);
	memcpy(to, bhs, ISCSI_BHS_SIZE);
	if (ahs && ahs_len)
		memcpy(to + at, ahs, ahs_len);
	at += ahs_len;
	if (p->header_digest) {
		crc_wire(crc_feed(CRC_START, to, at), to + at);
		to[at] = (uint8_t)(to[at] ^ p->spoil_header);
		at += 4;
	}
	if (len == 0)
		return at;
	memcpy(to + at, data, len);
	memset(to + at + len, 0, pad);
	at += len + pad;
	if (p->data_digest) {
		crc_wire(crc_feed(CRC_START, to + at - len - pad, len + pad), to + at);
		to[at] = (uint8_t)(to[at] ^ p->spoil_data);
		at += 4;
	}
	return at;
}

/* Sends one PDU with additional headers; true: the target took all of it. Answers are gathered. */
static inline bool peer_send_ahs(struct peer *p, uint8_t bhs[ISCSI_BHS_SIZE], const void *ahs,
				 const void *data, size_t len)
{
	uint8_t *wire = malloc(len + AHS_MAX + 64);
	size_t n;
	bool all;

	assert_non_null(wire);
	n = peer_wire(p, bhs, (struct body){ahs, data, len}, wire);
	all = peer_feed(p, wire, n) == n;
	free(wire);
	peer_drain(p);
	return all;
}

static inline bool peer_send(struct peer *p, uint8_t bhs[ISCSI_BHS_SIZE], const void *data,
			     size_t len)
{
	return peer_send_ahs(p, bhs, NULL, data, len);
}

/* The next PDU of the target's; false: none. */
static inline bool peer_next(struct peer *p, struct reply *r)
{
	const uint8_t *at = p->out + p->out_at;
	size_t left = p->out_len - p->out_at, head = ISCSI_BHS_SIZE + (p->header_digest ? 4u : 0),
	       pad, total;
	uint8_t crc[4];

	if (left == 0)
		return false;
	assert_true(left >= head);
	memcpy(r->bhs, at, ISCSI_BHS_SIZE);
	r->opcode = at[0];
	r->flags = at[1];
	r->len = (size_t)get_be(at + 5, 3);
	r->data = at + head;
	pad = pdu_padding(r->len);
	total = head + r->len + pad + (p->data_digest && r->len ? 4 : 0);
	assert_true(left >= total);
	if (p->header_digest) {
		crc_wire(crc_feed(CRC_START, at, ISCSI_BHS_SIZE), crc);
		assert_memory_equal(crc, at + ISCSI_BHS_SIZE, 4);
	}
	if (p->data_digest && r->len) {
		crc_wire(crc_feed(CRC_START, r->data, r->len + pad), crc);
		assert_memory_equal(crc, r->data + r->len + pad, 4);
	}
	p->out_at += total;
	return true;
}

static inline void peer_expect(struct peer *p, struct reply *r, enum opcode opcode)
{
	assert_true(peer_next(p, r));
	assert_int_equal(r->opcode, opcode);
}

static inline void peer_expect_none(struct peer *p)
{
	assert_int_equal(p->out_at, p->out_len);
}

static inline uint32_t reply_u32(const struct reply *r, enum bhs_place at)
{
	return (uint32_t)get_be(r->bhs + at, 4);
}

/* The value of a key in an answer's text; NULL: not there. */
static inline const char *reply_value(const struct reply *r, const char *key)
{
	size_t len = strlen(key);

	for (size_t at = 0; at < r->len; at += strlen((const char *)r->data + at) + 1) {
		const char *pair = (const char *)r->data + at;

		if (strncmp(pair, key, len) == 0 && pair[len] == '=')
			return pair + len + 1;
	}
	return NULL;
}

/* --- login ---------------------------------------------------------------------------------- */

#define LOGIN_T		 0x80
#define LOGIN_C		 0x40
#define STAGES(csg, nsg) ((csg) << 2 | (nsg))
#define KEYS(text)	 text, sizeof text

static inline void login_bhs(const struct peer *p, uint8_t bhs[ISCSI_BHS_SIZE], uint8_t flags)
{
	bhs_start(bhs, OP_LOGIN, flags, 7);
	bhs[0] |= OPCODE_IMMEDIATE;
	bhs[8] = 0x80; /* ISID: random format */
	bhs[13] = 1;
	put_be(bhs + BHS_CID, 2, 9);
	bhs_u32(bhs, BHS_CMDSN, p->cmdsn);
}

static inline bool peer_login_text(struct peer *p, uint8_t flags, const char *text, size_t len)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	login_bhs(p, bhs, flags);
	return peer_send(p, bhs, text, len);
}

#define LOGIN_NAMES                                                                             \
	"InitiatorName=" NAME_I "\0TargetName=" NAME_T "\0SessionType=Normal\0AuthMethod=CHAP," \
	"None"
#define DISCOVERY_NAMES "InitiatorName=" NAME_I "\0SessionType=Discovery\0AuthMethod=CHAP"
#define CHAP_ANSWER	"CHAP_N=alice\0CHAP_R=0x00112233445566778899aabbccddeeff"
#define CHAP_MUTUAL	CHAP_ANSWER "\0CHAP_I=7\0CHAP_C=0x0102030405060708"

/* Through the security stage; the next request is of the operational one. */
static inline void peer_authenticate(struct peer *p, const char *names, size_t len)
{
	struct reply r;

	assert_true(peer_login_text(p, STAGES(0, 0), names, len));
	peer_expect(p, &r, OP_LOGIN_RESPONSE);
	assert_string_equal(reply_value(&r, "AuthMethod"), "CHAP");
	assert_true(peer_login_text(p, STAGES(0, 0), KEYS("CHAP_A=5")));
	peer_expect(p, &r, OP_LOGIN_RESPONSE);
	assert_true(peer_login_text(p, LOGIN_T | STAGES(0, 1), KEYS(CHAP_MUTUAL)));
	peer_expect(p, &r, OP_LOGIN_RESPONSE);
	assert_int_equal(r.flags, LOGIN_T | STAGES(0, 1));
}

static inline void peer_note_digests(struct peer *p, const struct reply *r)
{
	const char *digest = reply_value(r, "HeaderDigest");

	p->header_digest = digest && strcmp(digest, "CRC32C") == 0;
	digest = reply_value(r, "DataDigest");
	p->data_digest = digest && strcmp(digest, "CRC32C") == 0;
}

/* The operational stage with the keys (octets with NULs), and into the full-feature phase. */
static inline void peer_negotiate(struct peer *p, const char *keys, size_t len, struct reply *r)
{
	assert_true(peer_login_text(p, LOGIN_T | STAGES(1, 3), keys, len));
	peer_expect(p, r, OP_LOGIN_RESPONSE);
	assert_int_equal(get_be(r->bhs + BHS_LOGIN_STATUS, 2), 0);
	assert_int_equal(r->flags, LOGIN_T | STAGES(1, 3));
	assert_true(iscsi_is_full_feature(p->i));
	peer_note_digests(p, r);
}

#define KEYS_USUAL                                                           \
	"MaxRecvDataSegmentLength=65536\0InitialR2T=No\0ImmediateData=Yes\0" \
	"MaxBurstLength=262144\0FirstBurstLength=65536\0MaxOutstandingR2T=1"

static inline void peer_up(struct peer *p, const char *keys, size_t len)
{
	struct reply r;

	peer_open(p);
	p->disk = malloc(DISK_SIZE);
	assert_non_null(p->disk);
	for (size_t n = 0; n < DISK_SIZE; n++)
		p->disk[n] = (uint8_t)(n * 7 + n / 512);
	peer_authenticate(p, KEYS(LOGIN_NAMES));
	peer_negotiate(p, keys, len, &r);
}

/* A discovery session. */
static inline void peer_up_discovery(struct peer *p)
{
	struct reply r;

	peer_open(p);
	peer_authenticate(p, KEYS(DISCOVERY_NAMES));
	peer_negotiate(p, KEYS("MaxRecvDataSegmentLength=32768"), &r);
}

/* --- full feature --------------------------------------------------------------------------- */

static inline void command_bhs(struct peer *p, uint8_t bhs[ISCSI_BHS_SIZE], uint8_t flags,
			       uint32_t edtl, uint8_t opcode)
{
	bhs_start(bhs, OP_SCSI_COMMAND, flags | 1, ++p->itt);
	bhs_u32(bhs, BHS_EDTL, edtl);
	bhs_u32(bhs, BHS_CMDSN, p->cmdsn++);
	bhs[BHS_CDB] = opcode;
}

/* READ(10) or WRITE(10) of blocks of 512 octets. */
static inline void rw_bhs(struct peer *p, uint8_t bhs[ISCSI_BHS_SIZE], uint8_t flags, uint32_t edtl,
			  uint32_t blocks)
{
	command_bhs(p, bhs, flags, edtl, flags & FLAG_READ ? CDB_READ10 : CDB_WRITE10);
	put_be(bhs + BHS_CDB + 7, 2, blocks);
}

struct out_place {
	bool final;
	uint32_t ttt, datasn, offset;
};

static inline void data_out_bhs(const struct peer *p, uint8_t bhs[ISCSI_BHS_SIZE],
				struct out_place at)
{
	bhs_start(bhs, OP_DATA_OUT, at.final ? FLAG_FINAL : 0, p->itt);
	bhs_u32(bhs, BHS_TTT, at.ttt);
	bhs_u32(bhs, BHS_DATASN, at.datasn);
	bhs_u32(bhs, BHS_OFFSET, at.offset);
}

static inline void nop_bhs(struct peer *p, uint8_t bhs[ISCSI_BHS_SIZE], bool immediate)
{
	bhs_start(bhs, OP_NOP_OUT, FLAG_FINAL, ++p->itt);
	if (immediate)
		bhs[0] |= OPCODE_IMMEDIATE;
	bhs_u32(bhs, BHS_TTT, TAG_NONE);
	bhs_u32(bhs, BHS_CMDSN, immediate ? p->cmdsn : p->cmdsn++);
}

static inline void text_bhs(struct peer *p, uint8_t bhs[ISCSI_BHS_SIZE], uint8_t flags,
			    uint32_t ttt)
{
	bhs_start(bhs, OP_TEXT, flags, p->itt);
	bhs_u32(bhs, BHS_TTT, ttt);
	bhs_u32(bhs, BHS_CMDSN, p->cmdsn++);
}

static inline void tmf_bhs(struct peer *p, uint8_t bhs[ISCSI_BHS_SIZE], uint8_t function,
			   uint32_t rtt, uint32_t refcmdsn)
{
	bhs_start(bhs, OP_TMF, FLAG_FINAL | function, ++p->itt);
	bhs[0] |= OPCODE_IMMEDIATE;
	bhs_u32(bhs, BHS_RTT, rtt);
	bhs_u32(bhs, BHS_CMDSN, p->cmdsn);
	bhs_u32(bhs, BHS_REFCMDSN, refcmdsn);
}

/* A ping must still be answered: the connection is alive and in order. */
static inline void peer_alive(struct peer *p)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	nop_bhs(p, bhs, true);
	assert_true(peer_send(p, bhs, "alive", 5));
	peer_expect(p, &r, OP_NOP_IN);
	assert_int_equal(reply_u32(&r, BHS_ITT), p->itt);
	assert_int_equal(r.len, 5);
	assert_memory_equal(r.data, "alive", 5);
	peer_expect_none(p);
}

/* The last answer's status, whatever else came. */
static inline unsigned last_status(struct peer *p)
{
	struct reply r = {0};
	unsigned status = 0xffff;

	while (!iscsi_is_full_feature(p->i) && peer_next(p, &r)) {
		assert_int_equal(r.opcode, OP_LOGIN_RESPONSE);
		status = (unsigned)get_be(r.bhs + BHS_LOGIN_STATUS, 2);
	}
	return status;
}

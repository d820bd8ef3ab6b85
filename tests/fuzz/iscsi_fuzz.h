/* What the fuzz targets of the iSCSI core share: a host that answers everything, keeps
 * some tasks running for a while, and touches every octet that it is given. */
#pragma once

#include "gateway/iscsi/iscsi.h"
#include "gateway/iscsi/core.h"

struct fuzz {
	struct iscsi *i;
	struct iscsi_connection *c;
	struct iscsi_task *kept[ISCSI_TASKS_MAX], *cancelled[ISCSI_TASKS_MAX];
	unsigned kept_count, cancelled_count, spread[4], spread_count, managed[4], managed_count;
};

static void fuzz_touch(struct iscsi_task *t)
{
	for (unsigned n = 0; n < t->iov_count; n++)
		memset(t->iov[n].iov_base, 0x5a, MIN(t->iov[n].iov_len, 64));
}

static void fuzz_answer(struct fuzz *z, struct iscsi_task *t)
{
	struct iscsi_response r = {.status = t->cdb[1] & 2,
				   .data_len = t->buffer_len,
				   .wanted = t->buffer_len,
				   .sense = t->cdb,
				   .sense_len = t->cdb[1] & 2};

	fuzz_touch(t);
	iscsi_task_respond(z->i, t, &r);
}

static void fuzz_ready(void *host, struct iscsi_task *t)
{
	fuzz_answer(host, t);
}

/* The CDB says what the host does: answer, keep, want data, want room. */
static void fuzz_command(void *host, struct iscsi_task *t)
{
	struct fuzz *z = host;
	size_t bytes = (size_t)get_be(t->cdb + 2, 3) & (t->cdb[2] == 0xff ? 0xffffff : 0x7fff);
	int r = 0;

	if (t->cdb[0] % 4 == 0) {
		z->kept[z->kept_count++] = t;
		return;
	}
	if (t->cdb[0] % 4 == 1)
		r = iscsi_task_want(z->i, t, bytes);
	else if (t->cdb[0] % 4 == 2)
		r = iscsi_task_buffer(z->i, t, bytes);
	if (r != -EAGAIN)
		fuzz_answer(z, t);
}

static bool fuzz_cancel(void *host, struct iscsi_task *t)
{
	struct fuzz *z = host;

	for (unsigned n = 0; n < z->kept_count; n++) {
		if (z->kept[n] != t)
			continue;
		z->kept[n] = z->kept[--z->kept_count];
		z->cancelled[z->cancelled_count++] = t;
		return false;
	}
	return true;
}

static void fuzz_finished(void *host, struct iscsi_task *t)
{
	(void)host;
	(void)t;
}

static int fuzz_manage(void *host, const struct iscsi_tmf_request *request)
{
	struct fuzz *z = host;

	if (request->lun[1] & 4)
		return -EBUSY;
	if (!(request->lun[1] & 2) || request->response != 0 ||
	    z->managed_count == ARRAY_LEN(z->managed))
		return 0;
	z->managed[z->managed_count++] = request->slot;
	return 1;
}

static bool fuzz_spread(void *host, const struct iscsi_tmf_request *request)
{
	struct fuzz *z = host;

	if (!(request->lun[1] & 1) || z->spread_count == ARRAY_LEN(z->spread))
		return true;
	z->spread[z->spread_count++] = request->slot;
	return false;
}

static bool fuzz_lun_exists(void *host, const uint8_t lun[8])
{
	(void)host;
	return lun[1] < 4;
}

static bool fuzz_attention(void *host, const uint8_t lun[8], uint8_t ret_sense[3])
{
	(void)host;
	memset(ret_sense, 0xff, 3);
	return lun[1] == 1;
}

static uint32_t fuzz_room(void *host)
{
	return 64 - ((struct fuzz *)host)->kept_count;
}

static size_t fuzz_targets(void *host, const char *which, const char **ret_text)
{
	static const char text[9000] = "TargetName=iqn.2026-11.x:y";

	(void)host;
	*ret_text = text;
	return which[0] == 'A' ? sizeof text : 27;
}

static void fuzz_names(void *host, const struct iscsi_names *names)
{
	(void)host;
	if (strlen(names->initiator) > ISCSI_NAME_MAX || strlen(names->target) > ISCSI_NAME_MAX)
		abort();
}

static void fuzz_offer(void *host, const uint32_t *algorithms, size_t count)
{
	static const uint8_t challenge[32] = {1};

	iscsi_chap_challenge(((struct fuzz *)host)->c, count ? algorithms[0] : 0, 1, challenge, 32);
}

static void fuzz_proof(void *host, const struct iscsi_chap_proof *proof)
{
	if (strcmp(proof->name, "alice") == 0)
		iscsi_chap_accepted(((struct fuzz *)host)->c, "gw", proof->response,
				    proof->has_challenge ? proof->response_len : 0);
	else
		iscsi_login_refuse(((struct fuzz *)host)->c, 0x0201);
}

static void fuzz_enter(void *host)
{
	struct iscsi_grant g = {.tsih = 1, .target_alias = "alias", .queue_depth = 32};

	iscsi_login_granted(((struct fuzz *)host)->c, &g);
}

static const struct iscsi_host fuzz_ops = {
	.names = fuzz_names,
	.chap_offer = fuzz_offer,
	.chap_proof = fuzz_proof,
	.enter = fuzz_enter,
	.command = fuzz_command,
	.data_arrived = fuzz_ready,
	.buffer_ready = fuzz_ready,
	.cancel = fuzz_cancel,
	.finished = fuzz_finished,
	.manage = fuzz_manage,
	.spread = fuzz_spread,
	.lun_exists = fuzz_lun_exists,
	.attention = fuzz_attention,
	.room = fuzz_room,
	.send_targets = fuzz_targets,
};

/* One connection for all inputs: only what the last one used is cleared. */
static void fuzz_open(struct fuzz *z, bool digests)
{
	static struct iscsi *i;
	struct iscsi_limits l = {.max_recv_segment = 262144,
				 .max_burst = 262144,
				 .first_burst = 65536,
				 .max_r2t = 4,
				 .queue_depth = 32,
				 .immediate_data = true,
				 .header_digest = digests,
				 .data_digest = digests,
				 .max_connections = 4,
				 .error_recovery = 2,
				 .time2retain = 1,
				 .ping_every_ms = 100,
				 .ping_misses = 3};

	*z = (struct fuzz){0};
	if (!i && iscsi_open(&l, 1, &fuzz_ops, z, &i) < 0)
		abort();
	i->limits = l;
	i->host = z;
	session_reset(i);
	z->i = i;
	z->c = iscsi_leading(i);
}

static size_t fuzz_feed(struct fuzz *z, const uint8_t *bytes, size_t len)
{
	struct iovec iov[4];
	size_t fed = 0;

	while (fed < len) {
		size_t count = iscsi_rx_space(z->c, iov, ARRAY_LEN(iov)), sum = 0;

		for (size_t n = 0; n < count && fed + sum < len; n++) {
			size_t take = MIN(iov[n].iov_len, len - fed - sum);

			memcpy(iov[n].iov_base, bytes + fed + sum, take);
			sum += take;
		}
		if (sum == 0)
			break;
		iscsi_received(z->c, sum, 1);
		fed += sum;
	}
	return fed;
}

static void fuzz_drain(struct fuzz *z)
{
	struct iovec iov[64];
	size_t count;

	while ((count = iscsi_tx(z->c, iov, ARRAY_LEN(iov))) > 0) {
		size_t sum = 0;

		for (size_t n = 0; n < count; n++)
			sum += iov[n].iov_len;
		iscsi_sent(z->c, sum);
	}
}

#define FUZZ_LEVEL_2 8
#define FUZZ_LEVEL_1 16
#define FUZZ_FENCE   4 /* with level 2 */

/* The login, as a normal session (bit 1 of `how`: discovery); bit 2: with an odd segment. */
static void fuzz_go_through_login(struct fuzz *z, uint32_t cmdsn, uint8_t how)
{
	static const char names[] = "InitiatorName=iqn.a:b\0AuthMethod=CHAP\0TargetName=iqn.c:d",
			  discovery[] = "InitiatorName=iqn.a:b\0AuthMethod=CHAP\0"
					"SessionType=Discovery",
			  offer[] = "CHAP_A=5", proof[] = "CHAP_N=alice\0CHAP_R=0x00",
			  usual[] = "InitialR2T=No\0MaxBurstLength=4096\0FirstBurstLength=2048\0"
				    "iSCSIProtocolLevel=2\0TaskReporting=FastAbort\0"
				    "ErrorRecoveryLevel=1",
			  odd[] = "MaxRecvDataSegmentLength=513\0MaxOutstandingR2T=3\0"
				  "HeaderDigest=CRC32C,None\0DataDigest=CRC32C,None\0"
				  "InitialR2T=No\0ErrorRecoveryLevel=1",
			  level_2[] = "ErrorRecoveryLevel=2\0MaxConnections=4\0InitialR2T=No\0"
				      "DefaultTime2Retain=1",
			  fenced[] = "ErrorRecoveryLevel=2\0MaxConnections=4\0InitialR2T=No\0"
				     "DefaultTime2Retain=1\0TaskReporting=ResponseFence";
	bool second = (how & FUZZ_LEVEL_2) != 0, fence = second && (how & FUZZ_FENCE);
	const struct {
		const char *text;
		size_t len;
		uint8_t flags;
	} steps[] = {
		{how & 2 ? discovery : names, how & 2 ? sizeof discovery : sizeof names, 0},
		{offer, sizeof offer, 0},
		{proof, sizeof proof, 0x81},
		{fence	   ? fenced
		 : second  ? level_2
		 : how & 4 ? odd
			   : usual,
		 fence	   ? sizeof fenced
		 : second  ? sizeof level_2
		 : how & 4 ? sizeof odd
			   : sizeof usual,
		 0x87},
	};

	z->i->limits.error_recovery = second ? 2 : (how & FUZZ_LEVEL_1) != 0;
	keys_limit(&z->c->keys, &z->i->limits);
	for (size_t n = 0; n < ARRAY_LEN(steps); n++) {
		uint8_t pdu[ISCSI_BHS_SIZE + 256] = {0};

		bhs_start(pdu, OP_LOGIN, steps[n].flags, 7);
		pdu[0] |= OPCODE_IMMEDIATE;
		bhs_u32(pdu, BHS_CMDSN, cmdsn);
		bhs_data_len(pdu, steps[n].len);
		memcpy(pdu + ISCSI_BHS_SIZE, steps[n].text, steps[n].len);
		(void)fuzz_feed(z, pdu, ISCSI_BHS_SIZE + steps[n].len + pdu_padding(steps[n].len));
		fuzz_drain(z);
	}
	if (!iscsi_is_full_feature(z->i))
		abort();
}

/* Bit 2: the connection is lost; bits 4 to 7: which of those with a transport is the next. */
static __attribute__((unused)) void fuzz_leave(struct fuzz *z, uint8_t how)
{
	struct iscsi_connection *found = NULL;
	unsigned n = how >> 4;

	if (how & 4)
		iscsi_disconnected(z->c);
	EACH_CONNECTION(z->i, c)
	if (c->attached && (!found || n-- > 0))
		found = c;
	z->c = found;
}

#define FUZZ_SESSION_PART    (offsetof(struct iscsi, memory_size) - offsetof(struct iscsi, now_ms))
#define FUZZ_CONNECTION_PART offsetof(struct iscsi_connection, memory)

/* A login of each kind is gone through once; afterwards its end is put back. */
static __attribute__((unused)) void fuzz_login(struct fuzz *z, uint32_t cmdsn, uint8_t how)
{
	static struct {
		bool known;
		uint8_t session[FUZZ_SESSION_PART], connection[FUZZ_CONNECTION_PART];
	} ends[32], *end;

	end = &ends[how % ARRAY_LEN(ends)];
	if (end->known) {
		memcpy(&z->i->now_ms, end->session, sizeof end->session);
		memcpy(z->c, end->connection, sizeof end->connection);
		return;
	}
	fuzz_go_through_login(z, cmdsn, how);
	memcpy(end->session, &z->i->now_ms, sizeof end->session);
	memcpy(end->connection, z->c, sizeof end->connection);
	end->known = true;
}

static void fuzz_close(struct fuzz *z)
{
	iscsi_cancel_all(z->i);
	while (z->cancelled_count > 0)
		iscsi_task_end(z->i, z->cancelled[--z->cancelled_count]);
	while (z->managed_count > 0)
		(void)iscsi_tmf_recorded(z->i, z->managed[--z->managed_count], false);
	while (z->spread_count > 0)
		iscsi_tmf_spread_done(z->i, z->spread[--z->spread_count]);
	EACH_CONNECTION(z->i, c)
	text_close(c);
	if (iscsi_tasks_running(z->i) > 0 || slot_after(z->i, -1) >= 0 || z->i->window_used > 0 ||
	    z->i->withheld > 0 || z->i->immediate_used > 0)
		abort();
}

static size_t fuzz_crc(bool wanted, uint8_t *from, size_t len)
{
	if (wanted && len > 0)
		crc_wire(crc_feed(CRC_START, from, len), from + len);
	return len + (wanted && len > 0 ? 4 : 0);
}

/* Numbers near those that were given: what is acknowledged, and what is asked for again. */
static void fuzz_snack(struct fuzz *z, uint8_t pdu[ISCSI_BHS_SIZE], const uint8_t *d)
{
	uint32_t statsn = z->c->tx.statsn;

	put_be(pdu + BHS_EXPSTATSN, 4, statsn + 1 - (d[15] & 0x7f));
	if ((d[0] & OPCODE_MASK) != OP_SNACK)
		return;
	pdu[1] |= FLAG_FINAL;
	if (pdu[1] & 1)
		put_be(pdu + BHS_ITT, 4, TAG_NONE);
	if ((pdu[1] & 3) != 3)
		put_be(pdu + BHS_SNACK_TAG, 4, TAG_NONE);
	put_be(pdu + BHS_BEGRUN, 4, pdu[1] & 1 ? statsn - (d[12] & 15) : d[12] & 15);
	put_be(pdu + BHS_RUNLENGTH, 4, d[13] & 7);
	if ((pdu[1] & 3) != 3)
		return;
	put_be(pdu + BHS_ITT, 4, d[6] & 7);
	put_be(pdu + BHS_BEGRUN, 8, d[13] & 1);
}

/* What names another task or a connection, with numbers that there are. */
static void fuzz_names_others(uint8_t pdu[ISCSI_BHS_SIZE], const uint8_t *d)
{
	if ((d[0] & OPCODE_MASK) == OP_TMF && d[8] != 0xff) {
		pdu[1] |= FLAG_FINAL;
		put_be(pdu + BHS_RTT, 4, d[9] & 7);
		put_be(pdu + BHS_REFCMDSN, 4, get_be(pdu + BHS_CMDSN, 4) - (d[11] & 3));
		bhs_data_len(pdu, d[8] == 0xfe);
	} else if ((d[0] & OPCODE_MASK) == OP_LOGOUT && d[8] != 0xff) {
		pdu[1] |= FLAG_FINAL;
		put_be(pdu + BHS_CID, 2, d[9] & 15);
		bhs_data_len(pdu, d[8] == 0xfe);
	}
}

/* A header of 16 octets of input, data behind it, and digests that fit (mostly). */
static __attribute__((unused)) void fuzz_pdu(struct fuzz *z, const uint8_t *d, uint32_t *cmdsn)
{
	static uint8_t pdu[ISCSI_BHS_SIZE + 70000 + 16];
	size_t len = (size_t)get_be(d + 2, 3) % (d[5] == 0xff ? 70000 : d[5] & 1 ? 2500 : 80), at;

	bhs_start(pdu, d[0] & 0x7f, d[1], d[6] & 7);
	bhs_data_len(pdu, len);
	pdu[BHS_LUN + 1] = d[7] & 3;
	put_be(pdu + BHS_TTT, 4, d[8] == 0xff ? TAG_NONE : (uint32_t)d[8] << 8 | d[9]);
	put_be(pdu + BHS_CMDSN, 4, *cmdsn + (d[10] & 0x80 ? d[10] & 3 : 0));
	*cmdsn += !(d[0] & OPCODE_IMMEDIATE);
	memcpy(pdu + BHS_CDB, d + 11, 5);
	put_be(pdu + BHS_DATASN, 4, d[14] & 3);
	put_be(pdu + BHS_OFFSET, 4, get_be(d + 12, 2));
	fuzz_snack(z, pdu, d);
	fuzz_names_others(pdu, d);
	len = (size_t)get_be(pdu + 5, 3);
	at = fuzz_crc(z->c->rx.header_digest, pdu, ISCSI_BHS_SIZE);
	memset(pdu + at, 0, len + 8);
	at += fuzz_crc(z->c->rx.data_digest, pdu + at, len + pdu_padding(len));
	pdu[at - 1] ^= d[5] == 0xfe && len > 0;
	(void)fuzz_feed(z, pdu, at);
}

/* Every slot belongs to a connection that is there. */
static void fuzz_check(const struct fuzz *z)
{
	EACH_SLOT(z->i, n)
	{
		bool there = false;

		EACH_CONNECTION(z->i, c)
		there |= z->i->slots[n].conn == c;
		if (!there)
			abort();
	}
}

static __attribute__((unused)) void fuzz_turn(struct fuzz *z, uint8_t what)
{
	if (what & 1)
		fuzz_drain(z);
	if ((what & 2) && z->kept_count > 0)
		fuzz_answer(z, z->kept[--z->kept_count]);
	if ((what & 4) && z->cancelled_count > 0)
		iscsi_task_end(z->i, z->cancelled[--z->cancelled_count]);
	if ((what & 64) && z->managed_count > 0)
		(void)iscsi_tmf_recorded(z->i, z->managed[--z->managed_count], what & 1);
	if ((what & 32) && z->spread_count > 0)
		iscsi_tmf_spread_done(z->i, z->spread[--z->spread_count]);
	if (what & 8)
		iscsi_tick(z->i, what * 1000u);
	if (what & 16)
		iscsi_room_changed(z->i);
	fuzz_check(z);
}

/* Between PDUs, and still read. */
static bool fuzz_in_step(const struct iscsi_connection *c)
{
	return c->phase != PHASE_FULL || (!c->closing && c->rx.state == RX_HEAD &&
					  c->rx.head_len == 0 && c->rx.stage_at == c->rx.stage_end);
}

static bool fuzz_acknowledge_all(struct fuzz *z)
{
	bool in_step = true;

	EACH_CONNECTION(z->i, c)
	{
		uint8_t pdu[ISCSI_BHS_SIZE + 4];
		size_t len;

		z->c = c;
		if (c->attached)
			fuzz_drain(z);
		if (c->attached && c->phase >= PHASE_OVER) {
			iscsi_disconnected(c); /* with it, others may go */
			return false;
		}
		in_step &= fuzz_in_step(c);
		if (c->phase != PHASE_FULL || !fuzz_in_step(c))
			continue;
		bhs_start(pdu, OP_NOP_OUT, FLAG_FINAL, TAG_NONE);
		pdu[0] |= OPCODE_IMMEDIATE;
		bhs_u32(pdu, BHS_TTT, TAG_NONE);
		bhs_u32(pdu, BHS_EXPSTATSN, c->tx.statsn);
		len = fuzz_crc(c->rx.header_digest, pdu, ISCSI_BHS_SIZE);
		(void)fuzz_feed(z, pdu, len);
	}
	return in_step;
}

static bool fuzz_is_settled(const struct fuzz *z)
{
	EACH_CONNECTION(z->i, c)
	if (c->phase == PHASE_FULL && (c->tx.first || c->tx.kept_first))
		return false;
	return !z->i->fence.conn &&
	       z->kept_count + z->cancelled_count + z->spread_count + z->managed_count == 0;
}

/* An initiator that takes and acknowledges everything waits for nothing but what it is asked for.
 */
static __attribute__((unused)) void fuzz_settle(struct fuzz *z)
{
	for (unsigned n = 0; !fuzz_is_settled(z); n++) {
		bool in_step = fuzz_acknowledge_all(z);

		fuzz_turn(z, 2 | 4 | 32 | 64);
		if (n == 2 * ISCSI_TASKS_MAX && !in_step)
			return;
		if (n > 2 * ISCSI_TASKS_MAX)
			abort();
	}
}

/* Data in both directions, RFC 7143 sections 11.3, 11.4, 11.7, 11.8: what is wrong
 * with it and what becomes of the command, residuals, sizes, digests. Nothing is ever
 * written where it does not belong, and no command with wrong data is carried out. */
#include "tests/protocol/iscsi_peer.h"

#define BOTH_DIGESTS "HeaderDigest=CRC32C\0DataDigest=CRC32C"
#define R2T_ONLY     "InitialR2T=Yes\0ImmediateData=No"

enum sense {
	SENSE_NONE,
	SENSE_UNEXPECTED = 0x0c0c,
	SENSE_AMOUNT = 0x0c0d,
	SENSE_CRC = 0x4705,
	SENSE_BIDIRECTIONAL = 0x0e03
};

static uint8_t junk[300000];

/* The command's end: GOOD, or CHECK CONDITION with that code; nothing was written. */
static void expect_end(struct peer *p, enum sense sense)
{
	struct reply r;

	peer_expect(p, &r, OP_SCSI_RESPONSE);
	assert_int_equal(r.bhs[2], 0);
	assert_int_equal(r.bhs[3], sense == SENSE_NONE ? 0 : 2);
	if (sense == SENSE_NONE)
		return;
	assert_int_equal(get_be(r.data, 2), 18);
	assert_int_equal(r.data[2], 0x70);
	assert_int_equal(get_be(r.data + 2 + 12, 2), sense);
	for (size_t n = 0; n < DISK_SIZE; n += 251)
		assert_int_equal(p->disk[n], (uint8_t)(n * 7 + n / 512));
	assert_int_equal(p->arrived_calls, 0);
}

/* One Data-Out of a script; from R2T when `solicited`. */
struct out {
	bool used, solicited, final;
	uint32_t datasn, offset, len;
};
#define UNSOL(final, sn, at, len)               \
	{                                       \
		true, false, final, sn, at, len \
	}
#define SOL(final, sn, at, len)                \
	{                                      \
		true, true, final, sn, at, len \
	}

static const struct script {
	const char *why, *keys;
	size_t keys_len;
	uint32_t edtl, blocks, immediate;
	bool final; /* the command's F bit */
	struct out outs[6];
	enum sense sense;
} scripts[] = {
	{"immediate data although ImmediateData=No",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 512,
	 true,
	 {{0}},
	 SENSE_UNEXPECTED},
	{"unsolicited data although InitialR2T=Yes",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 0,
	 false,
	 {UNSOL(true, 0, 0, 1024)},
	 SENSE_UNEXPECTED},
	{"immediate data beyond FirstBurstLength",
	 KEYS("FirstBurstLength=512\0InitialR2T=No"),
	 2048,
	 4,
	 1024,
	 true,
	 {{0}},
	 SENSE_UNEXPECTED},
	{"immediate data beyond the expected length",
	 KEYS(KEYS_USUAL),
	 512,
	 4,
	 1024,
	 true,
	 {{0}},
	 SENSE_AMOUNT},
	{"unsolicited data beyond FirstBurstLength",
	 KEYS("FirstBurstLength=1024\0InitialR2T=No"),
	 4096,
	 8,
	 512,
	 false,
	 {UNSOL(true, 0, 512, 1024)},
	 SENSE_UNEXPECTED},
	{"unsolicited data beyond the expected length",
	 KEYS(KEYS_USUAL),
	 1024,
	 2,
	 0,
	 false,
	 {UNSOL(true, 0, 0, 1536)},
	 SENSE_UNEXPECTED},
	{"11.4.7.2 unsolicited data that stops short of FirstBurstLength",
	 KEYS(KEYS_USUAL),
	 131072,
	 256,
	 512,
	 false,
	 {UNSOL(true, 0, 512, 512)},
	 SENSE_AMOUNT},
	{"11.7.5 DataSN 0 twice",
	 KEYS(KEYS_USUAL),
	 1024,
	 2,
	 0,
	 false,
	 {UNSOL(false, 0, 0, 512), UNSOL(true, 0, 512, 512)},
	 SENSE_CRC},
	{"11.7.5 DataSN 27 at the start",
	 KEYS(KEYS_USUAL),
	 512,
	 1,
	 0,
	 false,
	 {UNSOL(true, 27, 0, 512)},
	 SENSE_CRC},
	{"11.7.5 DataSN -1",
	 KEYS(KEYS_USUAL),
	 512,
	 1,
	 0,
	 false,
	 {UNSOL(true, 0xffffffff, 0, 512)},
	 SENSE_CRC},
	{"11.7.5 DataSN 1, then 0",
	 KEYS(KEYS_USUAL),
	 1024,
	 2,
	 0,
	 false,
	 {UNSOL(false, 1, 0, 512), UNSOL(true, 0, 512, 512)},
	 SENSE_CRC},
	{"11.7.5 DataSN 5 within an R2T",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 0,
	 true,
	 {SOL(false, 0, 0, 512), SOL(true, 5, 512, 512)},
	 SENSE_CRC},
	{"11.7.6 a gap between offsets",
	 KEYS(KEYS_USUAL),
	 2048,
	 4,
	 0,
	 false,
	 {UNSOL(false, 0, 0, 512), UNSOL(true, 1, 1024, 1024)},
	 SENSE_CRC},
	{"11.7.6 an offset that goes back",
	 KEYS(KEYS_USUAL),
	 1024,
	 2,
	 512,
	 false,
	 {UNSOL(true, 0, 0, 512)},
	 SENSE_CRC},
	{"11.7.6 an offset outside its R2T",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 0,
	 true,
	 {SOL(true, 0, 4096, 1024)},
	 SENSE_CRC},
	{"11.7.6 an offset of FFFFFFFFh",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 0,
	 true,
	 {SOL(true, 0, 0xffffffff, 1024)},
	 SENSE_CRC},
	{"11.8 more data than the R2T asked for",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 0,
	 true,
	 {SOL(true, 0, 0, 2048)},
	 SENSE_AMOUNT},
	{"11.8 more data than asked for, in a second PDU",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 0,
	 true,
	 {SOL(false, 0, 0, 1024), SOL(true, 1, 1024, 512)},
	 SENSE_AMOUNT},
	{"11.8 less data than the R2T asked for",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 0,
	 true,
	 {SOL(true, 0, 0, 512)},
	 SENSE_AMOUNT},
	{"11.8 an R2T answered with nothing",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 0,
	 true,
	 {SOL(true, 0, 0, 0)},
	 SENSE_AMOUNT},
	{"after a mistake all data until F is thrown away",
	 KEYS(R2T_ONLY),
	 2048,
	 4,
	 0,
	 true,
	 {SOL(false, 3, 0, 512), SOL(false, 1, 512, 512), SOL(false, 9, 0, 70000),
	  SOL(true, 3, 0, 512)},
	 SENSE_CRC},
	{"the last PDU of an R2T may be an empty one with F",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 0,
	 true,
	 {SOL(false, 0, 0, 1024), SOL(true, 1, 1024, 0)},
	 SENSE_NONE},
	{"unsolicited data in two PDUs",
	 KEYS(KEYS_USUAL),
	 1024,
	 2,
	 0,
	 false,
	 {UNSOL(false, 0, 0, 512), UNSOL(true, 1, 512, 512)},
	 SENSE_NONE},
	{"data in PDUs of odd lengths",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 0,
	 true,
	 {SOL(false, 0, 0, 1), SOL(false, 1, 1, 22), SOL(true, 2, 23, 1001)},
	 SENSE_NONE},
};

static void send_script(struct peer *p, const struct script *s)
{
	uint32_t ttt = TAG_NONE;
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	for (size_t n = 0; n < ARRAY_LEN(s->outs) && s->outs[n].used; n++) {
		const struct out *o = &s->outs[n];

		if (o->solicited && ttt == TAG_NONE) {
			peer_expect(p, &r, OP_R2T);
			ttt = reply_u32(&r, BHS_TTT);
		}
		data_out_bhs(p, bhs, o->final, o->solicited ? ttt : TAG_NONE, o->datasn, o->offset);
		peer_expect_none(p);
		assert_true(peer_send(p, bhs, junk, o->len));
	}
}

static void runs_script(void **state)
{
	const struct script *s = *state;
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];

	peer_up(&p, s->keys, s->keys_len);
	rw_bhs(&p, bhs, (uint8_t)(FLAG_WRITE | (s->final ? FLAG_FINAL : 0)), s->edtl, s->blocks);
	assert_true(peer_send(&p, bhs, junk, s->immediate));
	send_script(&p, s);
	expect_end(&p, s->sense);
	peer_alive(&p);
	peer_close(&p);
}

/* Data-Out that belongs to nothing. */
static const struct {
	const char *why;
	bool known_itt;
	uint32_t ttt;
} strays[] = {
	{"P6: Data-Out for a task that is not there is rejected", false, TAG_NONE},
	{"P6: Data-Out for a task and an R2T that are not there is rejected", false, 0x300},
	{"P6: Data-Out with a tag that was never given is rejected", true, 0x77700},
	{"P6: Data-Out with no tag, for a write that has R2Ts, is rejected", true, TAG_NONE},
};

static void stray_data(void **state)
{
	const typeof(strays[0]) *row = *state;
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r, asked;

	peer_up(&p, KEYS(R2T_ONLY));
	rw_bhs(&p, bhs, FLAG_WRITE | FLAG_FINAL, 1024, 2);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &asked, OP_R2T);
	data_out_bhs(&p, bhs, true, row->ttt, 0, 0);
	if (!row->known_itt)
		bhs_u32(bhs, BHS_ITT, 0xabcdef);
	assert_true(peer_send(&p, bhs, junk, 4096));
	peer_expect(&p, &r, OP_REJECT);
	assert_int_equal(r.bhs[2], REJECT_INVALID_FIELD);
	assert_memory_equal(r.data, bhs, ISCSI_BHS_SIZE);
	/* the write itself is not touched by it: RFC 7143 section 7.3 */
	data_out_bhs(&p, bhs, true, reply_u32(&asked, BHS_TTT), 0, 0);
	assert_true(peer_send(&p, bhs, junk, 1024));
	expect_end(&p, SENSE_NONE);
	peer_alive(&p);
	peer_close(&p);
}

/* --- residuals ------------------------------------------------------------------------------- */

static const struct residual_row {
	const char *why;
	uint8_t flags;
	uint32_t edtl, blocks;
	uint8_t want_flag;
	uint32_t want;
} residuals[] = {
	{"11.4.5 a read that fits has no residual", FLAG_READ, 1024, 2, 0, 0},
	{"11.4.5 a read of 1 block where 2 were expected: underflow", FLAG_READ, 1024, 1,
	 FLAG_UNDERFLOW, 512},
	{"11.4.5 a read of 1 block where 10000 octets were expected: underflow", FLAG_READ, 10000,
	 1, FLAG_UNDERFLOW, 9488},
	{"11.4.5 a read of 2 blocks where 1 was expected: overflow", FLAG_READ, 512, 2,
	 FLAG_OVERFLOW, 512},
	{"11.4.5 a read of 1 block where 200 octets were expected: overflow", FLAG_READ, 200, 1,
	 FLAG_OVERFLOW, 312},
	{"11.4.5 a read of 1 block where nothing was expected: overflow", FLAG_READ, 0, 1,
	 FLAG_OVERFLOW, 512},
	{"11.4.5 a read of nothing where 512 were expected: underflow", FLAG_READ, 512, 0,
	 FLAG_UNDERFLOW, 512},
	{"11.4.5 a read where 4 GiB were expected allocates no 4 GiB", FLAG_READ, 0xffffffff, 1,
	 FLAG_UNDERFLOW, 0xffffffff - 512},
	{"11.4.5 a write that fits has no residual", FLAG_WRITE, 1024, 2, 0, 0},
	{"11.4.5 a write of 1 block where 10000 octets were expected: underflow", FLAG_WRITE, 10000,
	 1, FLAG_UNDERFLOW, 9488},
	{"11.4.5 a write of 2 blocks where 1 was expected: overflow", FLAG_WRITE, 512, 2,
	 FLAG_OVERFLOW, 512},
	{"11.4.5 a write of 1 block where 200 octets were expected: overflow", FLAG_WRITE, 200, 1,
	 FLAG_OVERFLOW, 312},
	{"11.4.5 a write of 1 block where nothing was expected: overflow", FLAG_WRITE, 0, 1,
	 FLAG_OVERFLOW, 512},
	{"11.4.5 a write where 4 GiB were expected asks for what it needs", FLAG_WRITE, 0xffffffff,
	 1, FLAG_UNDERFLOW, 0xffffffff - 512},
};

static void residual(const struct residual_row *row, bool immediate)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;
	size_t moved = MIN(row->edtl, row->blocks * 512), got = 0;

	peer_up(&p, immediate ? KEYS_USUAL : R2T_ONLY,
		immediate ? sizeof KEYS_USUAL : sizeof R2T_ONLY);
	rw_bhs(&p, bhs, row->flags | FLAG_FINAL, row->edtl, row->blocks);
	assert_true(peer_send(&p, bhs, junk,
			      row->flags == FLAG_WRITE && immediate ? MIN(row->edtl, 65536) : 0));
	assert_true(peer_next(&p, &r));
	if (r.opcode == OP_R2T) {
		assert_int_equal(reply_u32(&r, BHS_LENGTH), moved);
		data_out_bhs(&p, bhs, true, reply_u32(&r, BHS_TTT), 0, 0);
		assert_true(peer_send(&p, bhs, junk, moved));
		assert_true(peer_next(&p, &r));
	}
	if (r.opcode == OP_DATA_IN)
		got = r.len;
	assert_int_equal(r.bhs[3], 0);
	assert_int_equal(r.flags & (FLAG_OVERFLOW | FLAG_UNDERFLOW), row->want_flag);
	assert_int_equal(reply_u32(&r, BHS_RESIDUAL), row->want);
	assert_int_equal(got, row->flags == FLAG_READ ? moved : 0);
	if (row->flags == FLAG_WRITE)
		assert_memory_equal(p.disk, junk, moved);
	assert_int_equal(p.disk[moved + 4095],
			 (uint8_t)((moved + 4095) * 7 + (moved + 4095) / 512));
	peer_alive(&p);
	peer_close(&p);
}

static void residual_both_ways(void **state)
{
	residual(*state, true);
	residual(*state, false);
}

static void check_condition_with_data(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	command_bhs(&p, bhs, FLAG_READ | FLAG_FINAL, 512, CDB_PARTIAL);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_DATA_IN);
	assert_int_equal(r.flags, FLAG_FINAL);
	assert_int_equal(r.len, 100);
	peer_expect(&p, &r, OP_SCSI_RESPONSE);
	assert_int_equal(r.bhs[3], 2);
	assert_int_equal(r.flags, FLAG_FINAL | FLAG_UNDERFLOW);
	assert_int_equal(reply_u32(&r, BHS_RESIDUAL), 412);
	assert_int_equal(reply_u32(&r, BHS_DATASN), 1); /* ExpDataSN */
	assert_int_equal(get_be(r.data, 2), 18);
	peer_close(&p);
}

static void read_and_write_bits(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	command_bhs(&p, bhs, FLAG_READ | FLAG_WRITE | FLAG_FINAL, 512, CDB_WRITE10);
	assert_true(peer_send(&p, bhs, junk, 512));
	expect_end(&p, SENSE_BIDIRECTIONAL);
	assert_int_equal(p.commands, 0);
	peer_alive(&p);
	peer_close(&p);
}

static void no_write_bit(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	command_bhs(&p, bhs, FLAG_FINAL, 0, CDB_EARLY);
	assert_true(peer_send(&p, bhs, junk, 512));
	expect_end(&p, SENSE_UNEXPECTED);
	assert_int_equal(p.commands, 0);
	peer_alive(&p);
	peer_close(&p);
}

/* The device answers before the data is there: the response waits for the rest. */
static void early_response(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	command_bhs(&p, bhs, FLAG_WRITE, 2048, CDB_EARLY);
	assert_true(peer_send(&p, bhs, junk, 512));
	assert_int_equal(p.finished, 1);
	peer_expect_none(&p);
	data_out_bhs(&p, bhs, false, TAG_NONE, 0, 512);
	assert_true(peer_send(&p, bhs, junk, 512));
	peer_expect_none(&p);
	data_out_bhs(&p, bhs, true, TAG_NONE, 1, 1024);
	assert_true(peer_send(&p, bhs, junk, 1024));
	expect_end(&p, SENSE_NONE);
	peer_alive(&p);
	peer_close(&p);
}

static void too_much_wanted(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	peer_up(&p, KEYS(KEYS_USUAL));
	command_bhs(&p, bhs, (uint8_t)((uintptr_t)*state | FLAG_FINAL), 0xffffffff, CDB_HUGE);
	assert_true(peer_send(&p, bhs, NULL, 0));
	assert_int_equal(p.want_error, -EMSGSIZE);
	peer_expect(&p, &r, OP_SCSI_RESPONSE);
	assert_int_equal(r.bhs[3], 2);
	peer_close(&p);
}

/* Many large commands at once: they wait for chunks, and all come through. */
static void chunks_are_waited_for(void **state)
{
	enum { BLOCKS = 4000, TASKS = 12 };
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE], *wire = malloc(TASKS * 64);
	struct reply r;
	unsigned ended = 0;

	(void)state;
	assert_non_null(wire);
	peer_up(&p, KEYS("MaxBurstLength=16000000\0InitialR2T=Yes\0ImmediateData=No"));
	for (unsigned n = 0; n < TASKS; n++) {
		rw_bhs(&p, bhs, FLAG_WRITE | FLAG_FINAL, BLOCKS * 512, BLOCKS);
		assert_true(peer_send(&p, bhs, NULL, 0));
	}
	for (unsigned n = 0; n < 200 && ended < TASKS && peer_next(&p, &r); n++) {
		uint32_t at = reply_u32(&r, BHS_OFFSET), end = at + reply_u32(&r, BHS_LENGTH),
			 ttt = reply_u32(&r, BHS_TTT), itt = reply_u32(&r, BHS_ITT), sn = 0;

		ended += r.opcode == OP_SCSI_RESPONSE;
		for (; r.opcode == OP_R2T && at < end; sn++) {
			uint32_t len = MIN(end - at, 262144);

			data_out_bhs(&p, bhs, at + len == end, ttt, sn, at);
			bhs_u32(bhs, BHS_ITT, itt);
			assert_true(peer_send(&p, bhs, junk, len));
			at += len;
		}
	}
	assert_int_equal(ended, TASKS);
	assert_int_equal(p.finished, TASKS);
	peer_alive(&p);
	peer_close(&p);
	free(wire);
}

static void reads_wait_for_chunks(void **state)
{
	enum { TASKS = 4 };
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE], wire[TASKS * 64];
	size_t len = 0;

	(void)state;
	peer_up(&p, KEYS("MaxRecvDataSegmentLength=262144"));
	for (unsigned n = 0; n < TASKS; n++) {
		rw_bhs(&p, bhs, FLAG_READ | FLAG_FINAL, 8000 * 512, 8000);
		len += peer_wire(&p, bhs, NULL, NULL, 0, wire + len);
	}
	assert_int_equal(peer_feed(&p, wire, len), len);
	assert_true(p.ready_calls < TASKS); /* not all at once */
	p.deaf = true;
	peer_drain(&p);
	assert_int_equal(p.finished, TASKS);
	assert_int_equal(p.ready_calls, TASKS);
	peer_close(&p);
}

/* --- digests --------------------------------------------------------------------------------- */

static void crc_vectors(void **state)
{
	static const uint8_t zeros[32], want[4] = {0xaa, 0x36, 0x91, 0x8a},
					want_digits[4] = {0x83, 0x92, 0x06, 0xe3};
	uint8_t crc[4];

	(void)state;
	crc_wire(crc_feed(CRC_START, zeros, sizeof zeros), crc);
	assert_memory_equal(crc, want, 4);
	crc_wire(crc_feed(crc_feed(CRC_START, (const uint8_t *)"1234", 4), (const uint8_t *)"56789",
			  5),
		 crc);
	assert_memory_equal(crc, want_digits, 4);
}

static void header_digest_wrong(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];

	(void)state;
	peer_up(&p, KEYS(BOTH_DIGESTS));
	p.spoil_header = true;
	command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
	(void)peer_send(&p, bhs, NULL, 0);
	assert_int_equal(iscsi_ended(p.i, NULL), ISCSI_END_DIGEST);
	assert_int_equal(p.commands, 0);
	peer_expect_none(&p);
	peer_close(&p);
}

static void command_digest_wrong(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(BOTH_DIGESTS "\0" KEYS_USUAL));
	rw_bhs(&p, bhs, FLAG_WRITE | FLAG_FINAL, 1024, 2);
	p.spoil_data = true;
	assert_true(peer_send(&p, bhs, junk, 1024));
	peer_expect(&p, &r, OP_REJECT);
	assert_int_equal(r.bhs[2], REJECT_DATA_DIGEST);
	assert_int_equal(p.commands, 0);
	p.spoil_data = false; /* the same command again fills the gap: RFC 7143 section 7.3 */
	assert_true(peer_send(&p, bhs, junk, 1024));
	expect_end(&p, SENSE_NONE);
	assert_memory_equal(p.disk, junk, 1024);
	peer_close(&p);
}

static void data_out_digest_wrong(void **state)
{
	bool solicited = *state != NULL;
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	uint32_t ttt = TAG_NONE;
	struct reply r;

	peer_up(&p, KEYS(BOTH_DIGESTS "\0" KEYS_USUAL));
	rw_bhs(&p, bhs, (uint8_t)(FLAG_WRITE | (solicited ? FLAG_FINAL : 0)), 1024, 2);
	assert_true(peer_send(&p, bhs, NULL, 0));
	if (solicited) {
		peer_expect(&p, &r, OP_R2T);
		ttt = reply_u32(&r, BHS_TTT);
	}
	data_out_bhs(&p, bhs, false, ttt, 0, 0);
	p.spoil_data = true;
	assert_true(peer_send(&p, bhs, junk, 512));
	p.spoil_data = false;
	peer_expect(&p, &r, OP_REJECT);
	assert_int_equal(r.bhs[2], REJECT_DATA_DIGEST);
	peer_expect_none(&p); /* waits for F: RFC 7143 section 7.8 */
	data_out_bhs(&p, bhs, true, ttt, 1, 512);
	assert_true(peer_send(&p, bhs, junk, 512));
	expect_end(&p, SENSE_CRC);
	peer_alive(&p);
	peer_close(&p);
}

static void ping_digest_wrong(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(BOTH_DIGESTS));
	nop_bhs(&p, bhs, true);
	p.spoil_data = true;
	assert_true(peer_send(&p, bhs, "ping", 4));
	p.spoil_data = false;
	peer_expect(&p, &r, OP_REJECT);
	assert_int_equal(r.bhs[2], REJECT_DATA_DIGEST);
	peer_alive(&p);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	for (size_t n = 0; n < sizeof junk; n++)
		junk[n] = (uint8_t)(n * 31 + 5);
	TESTS_ADD_TABLE(&t, scripts, runs_script);
	TESTS_ADD_TABLE(&t, strays, stray_data);
	TESTS_ADD_TABLE(&t, residuals, residual_both_ways);
	tests_add(&t, "data, then CHECK CONDITION: no phase collapse, a residual, ExpDataSN",
		  check_condition_with_data, NULL);
	tests_add(&t, "R and W together are answered with CHECK CONDITION", read_and_write_bits,
		  NULL);
	tests_add(&t, "data with a command that writes nothing", no_write_bit, NULL);
	tests_add(&t, "a response that comes early waits for the data that is still owed",
		  early_response, NULL);
	tests_add(&t, "P6: a write that is larger than a task can hold", too_much_wanted,
		  (void *)FLAG_WRITE);
	tests_add(&t, "P6: a read that is larger than a task can hold", too_much_wanted,
		  (void *)FLAG_READ);
	tests_add(&t, "P6: large writes wait for chunks, and all come through",
		  chunks_are_waited_for, NULL);
	tests_add(&t, "P6: large reads wait for chunks, and all come through",
		  reads_wait_for_chunks, NULL);
	tests_add(&t, "13.1 CRC32C of 32 zeros and of nine digits, as on the wire", crc_vectors,
		  NULL);
	tests_add(&t, "7.8 a wrong header digest ends the connection", header_digest_wrong, NULL);
	tests_add(&t, "7.8 a command with a wrong data digest is rejected, and may come again",
		  command_digest_wrong, NULL);
	tests_add(&t, "7.8 unsolicited data with a wrong digest ends its command",
		  data_out_digest_wrong, NULL);
	tests_add(&t, "7.8 solicited data with a wrong digest ends its command",
		  data_out_digest_wrong, (void *)1);
	tests_add(&t, "7.8 a ping with a wrong data digest is rejected", ping_digest_wrong, NULL);
	return tests_run(&t, "iscsi data");
}

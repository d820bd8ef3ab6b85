/* How much data: residuals both ways (RFC 7143 section 11.4.5), commands larger than a
 * task can hold, chunks that run out, and digests right and wrong (sections 7.8, 13.1). */
#include "tests/protocol/iscsi_end.h"

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
		data_out_bhs(&p, bhs, (struct out_place){true, reply_u32(&r, BHS_TTT), 0, 0});
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

static void busy_with_data(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	command_bhs(&p, bhs, FLAG_READ | FLAG_FINAL, 100, CDB_PARTIAL);
	bhs[BHS_CDB + 1] = 8;
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_DATA_IN);
	assert_int_equal(r.flags, FLAG_FINAL);
	peer_expect(&p, &r, OP_SCSI_RESPONSE);
	assert_int_equal(r.bhs[3], 8);
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

			data_out_bhs(&p, bhs, (struct out_place){at + len == end, ttt, sn, at});
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
	enum { TASKS = 6 };
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE], wire[TASKS * 64];
	size_t len = 0;

	(void)state;
	peer_up(&p, KEYS("MaxRecvDataSegmentLength=262144"));
	for (unsigned n = 0; n < TASKS; n++) {
		rw_bhs(&p, bhs, FLAG_READ | FLAG_FINAL, 8000 * 512, 8000);
		len += peer_wire(&p, bhs, (struct body){NULL, NULL, 0}, wire + len);
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
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_DIGEST);
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
	data_out_bhs(&p, bhs, (struct out_place){false, ttt, 0, 0});
	p.spoil_data = true;
	assert_true(peer_send(&p, bhs, junk, 512));
	p.spoil_data = false;
	peer_expect(&p, &r, OP_REJECT);
	assert_int_equal(r.bhs[2], REJECT_DATA_DIGEST);
	peer_expect_none(&p); /* waits for F: RFC 7143 section 7.8 */
	data_out_bhs(&p, bhs, (struct out_place){true, ttt, 1, 512});
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

	junk_fill();
	TESTS_ADD_TABLE(&t, residuals, residual_both_ways);
	tests_add(&t, "11.7.3 data, then CHECK CONDITION: no phase collapse, a residual, ExpDataSN",
		  check_condition_with_data, NULL);
	tests_add(&t, "11.7 a status other than GOOD never comes with the data", busy_with_data,
		  NULL);
	tests_add(&t, "11.3.4 P6: a write that is larger than a task can hold", too_much_wanted,
		  (void *)FLAG_WRITE);
	tests_add(&t, "11.3.4 P6: a read that is larger than a task can hold", too_much_wanted,
		  (void *)FLAG_READ);
	tests_add(&t, "11.8 P6: large writes wait for chunks, and all come through",
		  chunks_are_waited_for, NULL);
	tests_add(&t, "11.7 P6: large reads wait for chunks, and all come through",
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
	return tests_run(&t, "iscsi amounts");
}

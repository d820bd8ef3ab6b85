/* Data in both directions, RFC 7143 sections 11.3, 11.7 and 11.8: what is wrong with
 * it, and what becomes of the command. Nothing is ever
 * written where it does not belong, and no command with wrong data is carried out. */
#include <sys/mman.h>
#include "tests/protocol/iscsi_end.h"

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
	{"13.11 immediate data although ImmediateData=No",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 512,
	 true,
	 {{0}},
	 SENSE_UNEXPECTED},
	{"13.10 unsolicited data although InitialR2T=Yes",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 0,
	 false,
	 {UNSOL(true, 0, 0, 1024)},
	 SENSE_UNEXPECTED},
	{"13.14 immediate data beyond FirstBurstLength",
	 KEYS("FirstBurstLength=512\0InitialR2T=No"),
	 2048,
	 4,
	 1024,
	 true,
	 {{0}},
	 SENSE_UNEXPECTED},
	{"11.4.7.2 immediate data beyond the expected length",
	 KEYS(KEYS_USUAL),
	 512,
	 4,
	 1024,
	 true,
	 {{0}},
	 SENSE_AMOUNT},
	{"13.14 unsolicited data beyond FirstBurstLength",
	 KEYS("FirstBurstLength=1024\0InitialR2T=No"),
	 4096,
	 8,
	 512,
	 false,
	 {UNSOL(true, 0, 512, 1024)},
	 SENSE_UNEXPECTED},
	{"11.4.7.2 unsolicited data beyond the expected length",
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
	{"11.8 much more data than asked for never leaves the task's buffer",
	 KEYS(R2T_ONLY),
	 65536,
	 128,
	 0,
	 true,
	 {SOL(true, 0, 0, 200000)},
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
	{"11.4.7.2 after a mistake all data until F is thrown away",
	 KEYS(R2T_ONLY),
	 2048,
	 4,
	 0,
	 true,
	 {SOL(false, 3, 0, 512), SOL(false, 1, 512, 512), SOL(false, 9, 0, 70000),
	  SOL(true, 3, 0, 512)},
	 SENSE_CRC},
	{"11.7.1 the last PDU of an R2T may be an empty one with F",
	 KEYS(R2T_ONLY),
	 1024,
	 2,
	 0,
	 true,
	 {SOL(false, 0, 0, 1024), SOL(true, 1, 1024, 0)},
	 SENSE_NONE},
	{"11.7 unsolicited data in two PDUs",
	 KEYS(KEYS_USUAL),
	 1024,
	 2,
	 0,
	 false,
	 {UNSOL(false, 0, 0, 512), UNSOL(true, 1, 512, 512)},
	 SENSE_NONE},
	{"11.7.7 data in PDUs of odd lengths",
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
		data_out_bhs(p, bhs,
			     (struct out_place){o->final, o->solicited ? ttt : TAG_NONE, o->datasn,
						o->offset});
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
	{"11.17.1 P6: Data-Out for a task that is not there is rejected", false, TAG_NONE},
	{"11.17.1 P6: Data-Out for a task and an R2T that are not there is rejected", false, 0x300},
	{"11.7.4 P6: Data-Out with a tag that was never given is rejected", true, 0x77700},
	{"11.7.4 P6: Data-Out with no tag, for a write that has R2Ts, is rejected", true, TAG_NONE},
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
	data_out_bhs(&p, bhs, (struct out_place){true, row->ttt, 0, 0});
	if (!row->known_itt)
		bhs_u32(bhs, BHS_ITT, 0xabcdef);
	assert_true(peer_send(&p, bhs, junk, 4096));
	peer_expect(&p, &r, OP_REJECT);
	assert_int_equal(r.bhs[2], REJECT_INVALID_FIELD);
	assert_memory_equal(r.data, bhs, ISCSI_BHS_SIZE);
	/* the write itself is not touched by it: RFC 7143 section 7.3 */
	data_out_bhs(&p, bhs, (struct out_place){true, reply_u32(&asked, BHS_TTT), 0, 0});
	assert_true(peer_send(&p, bhs, junk, 1024));
	expect_end(&p, SENSE_NONE);
	peer_alive(&p);
	peer_close(&p);
}

/* Data-Out with the tag that the next R2T will have; the R2T is made while it still comes in. */
static const struct {
	const char *why;
	uint32_t edtl, len;
	bool final;
} guesses[] = {
	{"11.8 P2: data that came before its R2T, of the right length, is not written", 1024, 1024,
	 true},
	{"11.8 P6: data that came before its R2T, of any length, moves nothing", 1024, 200000,
	 false},
};

static void guessed_tag(void **state)
{
	const typeof(guesses[0]) *row = *state;
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE], *wire = malloc(row->len + 64);
	struct reply r, asked;
	size_t n;

	assert_non_null(wire);
	peer_up(&p, KEYS(R2T_ONLY));
	rw_bhs(&p, bhs, FLAG_WRITE | FLAG_FINAL, row->edtl, row->edtl / 512);
	n = peer_wire(&p, bhs, (struct body){0}, wire);
	assert_int_equal(peer_feed(&p, wire, n), n);
	data_out_bhs(&p, bhs, (struct out_place){row->final, 0, 0, 0}); /* the first tag is 0 */
	n = peer_wire(&p, bhs, (struct body){NULL, junk, row->len}, wire);
	assert_int_equal(peer_feed(&p, wire, n - 1), n - 1);
	peer_drain(&p);
	peer_expect(&p, &asked, OP_R2T);
	assert_int_equal(reply_u32(&asked, BHS_TTT), 0);
	assert_int_equal(peer_feed(&p, wire + n - 1, 1), 1);
	peer_drain(&p);
	free(wire);
	peer_expect(&p, &r, OP_REJECT);
	assert_int_equal(r.bhs[2], REJECT_INVALID_FIELD);
	assert_int_equal(p.arrived_calls, 0);
	/* the R2T is as open as before */
	data_out_bhs(&p, bhs, (struct out_place){true, 0, 0, 0});
	assert_true(peer_send(&p, bhs, junk, row->edtl));
	expect_end(&p, SENSE_NONE);
	assert_memory_equal(p.disk, junk, row->edtl);
	peer_alive(&p);
	peer_close(&p);
}

/* DataSequenceInOrder=Yes: R2Ts are answered in their order. */
static void later_r2t_first(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r[2];

	(void)state;
	peer_up(&p, KEYS(R2T_ONLY "\0MaxOutstandingR2T=2\0MaxBurstLength=512"));
	rw_bhs(&p, bhs, FLAG_WRITE | FLAG_FINAL, 1024, 2);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r[0], OP_R2T);
	peer_expect(&p, &r[1], OP_R2T);
	assert_int_equal(reply_u32(&r[1], BHS_OFFSET), 512);
	assert_int_equal(reply_u32(&r[1], BHS_DATASN), 1); /* R2TSN */
	for (unsigned n = 2; n-- > 0;) {
		peer_expect_none(&p);
		data_out_bhs(&p, bhs,
			     (struct out_place){true, reply_u32(&r[n], BHS_TTT), 0, n * 512});
		assert_true(peer_send(&p, bhs, junk, 512));
	}
	expect_end(&p, SENSE_CRC);
	peer_alive(&p);
	peer_close(&p);
}

static void read_and_write_bits(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	command_bhs(&p, bhs, FLAG_READ | FLAG_WRITE, 1024, CDB_PARKED);
	assert_true(peer_send(&p, bhs, junk, 512));
	assert_int_equal(p.commands, 1);
	assert_true(p.parked[0]->read && p.parked[0]->write);
	peer_respond(&p, p.parked[0], 2, 0, 0);
	peer_drain(&p);
	peer_expect_none(&p); /* the data that is still owed comes first */
	data_out_bhs(&p, bhs, (struct out_place){true, TAG_NONE, 0, 512});
	assert_true(peer_send(&p, bhs, junk, 512));
	peer_expect(&p, &r, OP_SCSI_RESPONSE);
	assert_int_equal(r.bhs[3], 2);
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
	data_out_bhs(&p, bhs, (struct out_place){false, TAG_NONE, 0, 512});
	assert_true(peer_send(&p, bhs, junk, 512));
	peer_expect_none(&p);
	data_out_bhs(&p, bhs, (struct out_place){true, TAG_NONE, 1, 1024});
	assert_true(peer_send(&p, bhs, junk, 1024));
	expect_end(&p, SENSE_NONE);
	peer_alive(&p);
	peer_close(&p);
}

static bool is_there(const void *octet)
{
	const size_t page = 4096;
	unsigned char resident = 0;

	assert_int_equal(mincore((void *)((uintptr_t)octet & ~(page - 1)), page, &resident), 0);
	return resident & 1;
}

static void rest(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct iovec iov[2];
	const void *buffer;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	command_bhs(&p, bhs, FLAG_FINAL | FLAG_WRITE, 65536, CDB_WRITE10);
	put_be(bhs + 5, 3, 65536);
	put_be(bhs + BHS_CDB + 7, 2, 128);
	assert_int_equal(peer_feed(&p, bhs, sizeof bhs), sizeof bhs);
	assert_int_equal(peer_feed(&p, junk, 32768), 32768);
	assert_true(iscsi_rx_space(p.c, iov, ARRAY_LEN(iov)) > 0);
	buffer = (const uint8_t *)iov[0].iov_base - 1;
	iscsi_rest(p.i);
	assert_true(is_there(buffer));
	assert_int_equal(peer_feed(&p, junk + 32768, 32768), 32768);
	peer_drain(&p);
	expect_end(&p, SENSE_NONE);
	assert_memory_equal(p.disk, junk, 65536);
	assert_true(is_there(buffer));
	iscsi_rest(p.i);
	assert_false(is_there(buffer));
	peer_alive(&p);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	junk_fill();
	TESTS_ADD_TABLE(&t, scripts, runs_script);
	TESTS_ADD_TABLE(&t, strays, stray_data);
	TESTS_ADD_TABLE(&t, guesses, guessed_tag);
	tests_add(&t, "13.19 a later R2T that is answered first ends the command", later_r2t_first,
		  NULL);
	tests_add(
		&t,
		"11.3.1 P2: a command with R and W is the device's to refuse, and so in the audit",
		read_and_write_bits, NULL);
	tests_add(&t, "11.3.6 data with a command that writes nothing", no_write_bit, NULL);
	tests_add(&t, "11.17.1 a response that comes early waits for the data that is still owed",
		  early_response, NULL);
	tests_add(&t, "11.3 data that has half come stays while unused buffers are given back",
		  rest, NULL);
	return tests_run(&t, "iscsi data");
}

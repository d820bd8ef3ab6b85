/* ErrorRecoveryLevel 1, what the target receives: RFC 7143 sections 7.8, 7.9, 11.8 and 11.16.
 * Data that is lost, by its digest or altogether, is asked for again, and only what
 * came whole and in its place is written. */
#include "tests/protocol/iscsi_recovery.h"

#define PIECE	512u
#define ONE_R2T LEVEL_1 "\0" BOTH_DIGESTS "\0" R2T_ONLY "\0MaxBurstLength=2048"
#define BURSTS	LEVEL_1 "\0" BOTH_DIGESTS "\0" R2T_ONLY "\0MaxBurstLength=1024\0MaxOutstandingR2T=4"
#define SINGLE	LEVEL_1 "\0" BOTH_DIGESTS "\0" R2T_ONLY "\0MaxBurstLength=512"
#define UNASKED                                                                                 \
	LEVEL_1 "\0" BOTH_DIGESTS "\0InitialR2T=No\0ImmediateData=Yes\0FirstBurstLength=2048\0" \
		"MaxBurstLength=2048"
#define AT_LEVEL_0 BOTH_DIGESTS "\0" R2T_ONLY "\0MaxBurstLength=2048"

/* A write in pieces of 512 octets, counted in the order in which they are sent. A bit of `bad`
 * spoils the digest of one, a bit of `lost` drops one. */
static const struct write_row {
	const char *why, *keys;
	size_t keys_len;
	uint32_t octets, immediate;
	bool unasked; /* unsolicited data up to 2048 octets */
	uint32_t bad, lost;
	unsigned r2ts, rejects;
	enum sense sense;
} rows[] = {
	{"11.8 nothing is lost: one R2T", KEYS(ONE_R2T), 2048, 0, false, 0, 0, 1, 0, 0},
	{"7.8 the first PDU is bad", KEYS(ONE_R2T), 2048, 0, false, 1, 0, 2, 1, 0},
	{"7.8 the second PDU is bad", KEYS(ONE_R2T), 2048, 0, false, 2, 0, 2, 1, 0},
	{"7.8 the third PDU is bad", KEYS(ONE_R2T), 2048, 0, false, 4, 0, 2, 1, 0},
	{"7.8 the last PDU, with F, is bad", KEYS(ONE_R2T), 2048, 0, false, 8, 0, 2, 1, 0},
	{"7.8 two PDUs are bad", KEYS(ONE_R2T), 2048, 0, false, 6, 0, 2, 2, 0},
	{"7.8 all PDUs are bad", KEYS(ONE_R2T), 2048, 0, false, 15, 0, 2, 4, 0},
	{"7.8 what is sent again is bad again", KEYS(ONE_R2T), 2048, 0, false, 0x12, 0, 3, 2, 0},
	{"7.9 the first PDU is missing", KEYS(ONE_R2T), 2048, 0, false, 0, 1, 2, 0, 0},
	{"7.9 the second PDU is missing", KEYS(ONE_R2T), 2048, 0, false, 0, 2, 2, 0, 0},
	{"7.9 the third PDU is missing", KEYS(ONE_R2T), 2048, 0, false, 0, 4, 2, 0, 0},
	{"7.9 all but the last PDU are missing", KEYS(ONE_R2T), 2048, 0, false, 0, 7, 2, 0, 0},
	{"7.8 one is bad, another missing", KEYS(ONE_R2T), 2048, 0, false, 4, 1, 2, 1, 0},
	{"11.8 four bursts, nothing is lost", KEYS(BURSTS), 4096, 0, false, 0, 0, 4, 0, 0},
	{"7.8 the begin of the first burst", KEYS(BURSTS), 4096, 0, false, 1, 0, 5, 1, 0},
	{"7.8 the end of the first burst", KEYS(BURSTS), 4096, 0, false, 2, 0, 5, 1, 0},
	{"7.8 the begin of the second burst", KEYS(BURSTS), 4096, 0, false, 4, 0, 5, 1, 0},
	{"7.8 the end of the second burst", KEYS(BURSTS), 4096, 0, false, 8, 0, 5, 1, 0},
	{"7.8 the end of the last burst", KEYS(BURSTS), 4096, 0, false, 0x80, 0, 5, 1, 0},
	{"7.8 the begin of every burst once", KEYS(BURSTS), 4096, 0, false, 0x1111, 0, 8, 4, 0},
	{"7.9 a begin is missing", KEYS(BURSTS), 4096, 0, false, 0, 0x10, 5, 0, 0},
	{"7.8 unsolicited: the first is bad", KEYS(UNASKED), 2048, 0, true, 1, 0, 1, 1, 0},
	{"7.8 unsolicited: the second is bad", KEYS(UNASKED), 2048, 0, true, 2, 0, 1, 1, 0},
	{"7.8 unsolicited: the last is bad", KEYS(UNASKED), 2048, 0, true, 8, 0, 1, 1, 0},
	{"7.9 unsolicited: the first is missing", KEYS(UNASKED), 2048, 0, true, 0, 1, 1, 0, 0},
	{"7.9 unsolicited: the third is missing", KEYS(UNASKED), 2048, 0, true, 0, 4, 1, 0, 0},
	{"7.8 behind immediate data", KEYS(UNASKED), 2048, 512, true, 2, 0, 1, 1, 0},
	{"7.9 behind immediate data", KEYS(UNASKED), 2048, 512, true, 0, 1, 1, 0, 0},
	{"7.8 unsolicited, and more is to come", KEYS(UNASKED), 8192, 512, true, 4, 0, 4, 1, 0},
	{"7.9 unsolicited, and more is to come", KEYS(UNASKED), 8192, 0, true, 0, 2, 4, 0, 0},
	{"7.8 P6: eight times bad in a row", KEYS(SINGLE), 512, 0, false, 0xff, 0, 9, 8, 0},
	{"7.8 P6: nine times bad in a row ends it", KEYS(SINGLE), 512, 0, false, 0x1ff, 0, 9, 9,
	 SENSE_CRC},
	{"7.8 every other one is bad", KEYS(SINGLE), 8192, 0, false, 0x55555555, 0, 32, 16, 0},
	{"7.8 at level 0 the command ends", KEYS(AT_LEVEL_0), 2048, 0, false, 2, 0, 1, 1,
	 SENSE_CRC},
	{"7.9 at level 0 the command ends", KEYS(AT_LEVEL_0), 2048, 0, false, 0, 2, 1, 0,
	 SENSE_CRC},
};

struct writer {
	struct peer *p;
	const struct write_row *row;
	uint32_t have; /* octets that came whole and in their place */
	unsigned sent, r2ts, rejects;
	bool hole; /* in the burst that is being sent */
};

static void send_piece(struct writer *w, uint32_t ttt, uint32_t datasn, uint32_t at, bool final)
{
	bool bad = w->row->bad >> w->sent & 1, lost = w->row->lost >> w->sent & 1;
	uint8_t bhs[ISCSI_BHS_SIZE];

	w->sent++;
	w->hole = w->hole || bad || lost;
	if (!w->hole)
		w->have = at + PIECE;
	if (lost)
		return;
	data_out_bhs(w->p, bhs, (struct out_place){final, ttt, datasn, at});
	w->p->spoil_data = bad;
	assert_true(peer_send(w->p, bhs, junk + at, PIECE));
	w->p->spoil_data = false;
}

static void send_burst(struct writer *w, uint32_t ttt, uint32_t from, uint32_t to)
{
	w->hole = false;
	for (uint32_t at = from, datasn = 0; at < to; at += PIECE)
		send_piece(w, ttt, datasn++, at, at + PIECE == to);
}

/* Answers R2Ts until something else comes. */
static void answer_r2ts(struct writer *w, struct reply *r)
{
	while (peer_next(w->p, r)) {
		uint32_t at = reply_u32(r, BHS_OFFSET);

		if (r->opcode == OP_REJECT) {
			assert_int_equal(r->bhs[2], REJECT_DATA_DIGEST);
			w->rejects++;
			continue;
		}
		if (r->opcode != OP_R2T)
			return;
		assert_int_equal(reply_u32(r, BHS_DATASN), w->r2ts++);
		assert_int_equal(at, w->have);
		send_burst(w, reply_u32(r, BHS_TTT), at, at + reply_u32(r, BHS_LENGTH));
	}
}

static void write_in_pieces(void **state)
{
	const struct write_row *row = *state;
	struct peer p = {0};
	struct writer w = {.p = &p, .row = row, .have = row->immediate};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r = {0};

	level_up(&p, 1, row->keys, row->keys_len);
	rw_bhs(&p, bhs, (uint8_t)(FLAG_WRITE | (row->unasked ? 0 : FLAG_FINAL)), row->octets,
	       row->octets / 512);
	assert_true(peer_send(&p, bhs, junk, row->immediate));
	if (row->unasked)
		send_burst(&w, TAG_NONE, row->immediate, 2048);
	answer_r2ts(&w, &r);
	assert_int_equal(r.opcode, OP_SCSI_RESPONSE);
	assert_int_equal(r.bhs[3], row->sense == SENSE_NONE ? 0 : 2);
	assert_int_equal(w.r2ts, row->r2ts);
	assert_int_equal(w.rejects, row->rejects);
	assert_int_equal(p.arrived_calls, row->sense == SENSE_NONE);
	if (row->sense == SENSE_NONE)
		assert_memory_equal(p.disk, junk, row->octets);
	else
		assert_int_equal(get_be(r.data + 2 + 12, 2), row->sense);
	peer_alive(&p);
	peer_close(&p);
}

static void start_write(struct peer *p, const char *keys, size_t len, struct reply *ret_r2t)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	level_up(p, 1, keys, len);
	rw_bhs(p, bhs, FLAG_WRITE | FLAG_FINAL, 2048, 4);
	assert_true(peer_send(p, bhs, NULL, 0));
	peer_expect(p, ret_r2t, OP_R2T);
	peer_expect_none(p);
}

/* What is no loss but a mistake ends the command at level 1, too. */
static const struct mistake_row {
	const char *why;
	uint32_t offset, len;
	enum sense sense;
} mistakes[] = {
	{"11.4.7.2 more data than the R2T asked for", 0, 2560, SENSE_AMOUNT},
	{"11.4.7.2 less data than the R2T asked for, and F", 0, 1024, SENSE_AMOUNT},
	{"11.8 an R2T answered with nothing", 0, 0, SENSE_AMOUNT},
};

static void mistaken_data(void **state)
{
	const struct mistake_row *row = *state;
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0};
	struct reply r;

	start_write(&p, KEYS(ONE_R2T), &r);
	data_out_bhs(&p, bhs, (struct out_place){true, reply_u32(&r, BHS_TTT), 0, row->offset});
	assert_true(peer_send(&p, bhs, junk, row->len));
	expect_end(&p, row->sense);
	peer_alive(&p);
	peer_close(&p);
}

/* What fits behind the hole is not taken before it has been asked for. */
static void late_for_its_place(void **state)
{
	static const uint8_t wrong[PIECE] = {0xee};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0};
	struct reply r;
	uint32_t ttt;

	(void)state;
	start_write(&p, KEYS(ONE_R2T), &r);
	ttt = reply_u32(&r, BHS_TTT);
	data_out_bhs(&p, bhs, (struct out_place){false, ttt, 1, 512}); /* DataSN 0 is missing */
	assert_true(peer_send(&p, bhs, wrong, PIECE));
	data_out_bhs(&p, bhs, (struct out_place){false, ttt, 0, 0}); /* here it is, too late */
	assert_true(peer_send(&p, bhs, wrong, PIECE));
	peer_expect_none(&p);
	data_out_bhs(&p, bhs, (struct out_place){true, ttt, 2, 1024});
	assert_true(peer_send(&p, bhs, wrong, PIECE));
	peer_expect(&p, &r, OP_R2T);
	assert_int_equal(reply_u32(&r, BHS_OFFSET), 0);
	assert_int_equal(reply_u32(&r, BHS_LENGTH), 2048);
	assert_int_not_equal(reply_u32(&r, BHS_TTT), ttt);
	data_out_bhs(&p, bhs, (struct out_place){true, ttt, 0, 0}); /* the old R2T is over */
	assert_true(peer_send(&p, bhs, wrong, PIECE));
	expect_rejected(&p, REJECT_INVALID_FIELD);
	data_out_bhs(&p, bhs, (struct out_place){true, reply_u32(&r, BHS_TTT), 0, 0});
	assert_true(peer_send(&p, bhs, junk, 2048));
	expect_end(&p, SENSE_NONE);
	assert_memory_equal(p.disk, junk, 2048);
	peer_close(&p);
}

/* Section 7.8: the command is gone with its data, and is sent again with the same CmdSN. */
static void immediate_data_bad(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0};

	(void)state;
	level_up(&p, 1, KEYS(UNASKED));
	rw_bhs(&p, bhs, FLAG_WRITE | FLAG_FINAL, 1024, 2);
	p.spoil_data = true;
	assert_true(peer_send(&p, bhs, junk, 1024));
	p.spoil_data = false;
	expect_rejected(&p, REJECT_DATA_DIGEST);
	assert_int_equal(p.commands, 0);
	assert_true(peer_send(&p, bhs, junk, 1024));
	expect_end(&p, SENSE_NONE);
	assert_memory_equal(p.disk, junk, 1024);
	peer_close(&p);
}

static void aborted_with_a_hole(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0};
	struct reply r;
	uint32_t ttt, itt;

	(void)state;
	start_write(&p, KEYS(ONE_R2T), &r);
	ttt = reply_u32(&r, BHS_TTT);
	itt = p.itt;
	data_out_bhs(&p, bhs, (struct out_place){false, ttt, 1, 512});
	assert_true(peer_send(&p, bhs, junk, PIECE));
	tmf_bhs(&p, bhs, TMF_ABORT_TASK, itt, p.cmdsn - 1);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	assert_int_equal(r.bhs[2], 0);
	p.itt = itt;
	data_out_bhs(&p, bhs, (struct out_place){true, ttt, 2, 1024});
	assert_true(peer_send(&p, bhs, junk, 1024));
	peer_expect_none(&p);
	assert_int_equal(p.arrived_calls, 0);
	peer_close(&p);
}

/* The device answers before the data is there, and the data is bad: nobody needs it. */
static void answered_with_a_hole(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0};

	(void)state;
	level_up(&p, 1, KEYS(UNASKED));
	command_bhs(&p, bhs, FLAG_WRITE, 2048, CDB_EARLY);
	assert_true(peer_send(&p, bhs, NULL, 0));
	data_out_bhs(&p, bhs, (struct out_place){true, TAG_NONE, 0, 0});
	p.spoil_data = true;
	assert_true(peer_send(&p, bhs, junk, 2048));
	p.spoil_data = false;
	{
		struct reply r;

		peer_expect(&p, &r, OP_REJECT);
	}
	expect_end(&p, SENSE_NONE);
	peer_close(&p);
}

/* --- R2Ts again ----------------------------------------------------------------------------- */

static const struct r2t_row {
	const char *why;
	struct run run;
	unsigned count;
	bool rejected;
} r2ts[] = {
	{"11.16 the open R2T comes again", {1, 1}, 1, false},
	{"11.16.7 all R2Ts from it on", {1, 0}, 1, false},
	{"11.16.6 all open R2Ts", {0, 0}, 1, false},
	{"11.16 an R2T whose data has come", {0, 1}, 0, true},
	{"11.16 one that is open, and one that is not", {0, 2}, 0, true},
	{"11.16 an R2T that was not sent", {2, 1}, 0, true},
	{"11.16 all from one on that was not sent", {2, 0}, 0, true},
	{"11.16 R2TSN -1", {0xffffffff, 1}, 0, true},
};

/* The first of two R2Ts was answered; the second is open. */
static void r2t_again(void **state)
{
	const struct r2t_row *row = *state;
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply first, again, between;
	struct peer p = {0};

	start_write(&p, KEYS(BURSTS), &first);
	data_out_bhs(&p, bhs, (struct out_place){true, reply_u32(&first, BHS_TTT), 0, 0});
	assert_true(peer_send(&p, bhs, junk, 1024));
	peer_expect(&p, &first, OP_R2T);
	nop_bhs(&p, bhs, true);
	assert_true(peer_send(&p, bhs, NULL, 0)); /* takes a StatSN */
	peer_expect(&p, &between, OP_NOP_IN);
	send_snack(&p, SNACK_DATA, p.itt - 1, row->run);
	p.itt--;
	if (row->rejected) {
		peer_expect(&p, &again, OP_REJECT);
		assert_int_equal(again.bhs[2], REJECT_PROTOCOL);
		assert_int_equal(reply_u32(&again, BHS_DATASN), 2); /* the R2TSN that is next */
	} else {
		peer_expect(&p, &again, OP_R2T);
		/* section 11.16: with the current StatSN */
		assert_int_equal(reply_u32(&again, BHS_STATSN),
				 reply_u32(&between, BHS_STATSN) + 1);
		bhs_u32(first.bhs, BHS_STATSN, reply_u32(&again, BHS_STATSN));
		expect_same(&again, &first);
	}
	peer_expect_none(&p);
	data_out_bhs(&p, bhs, (struct out_place){true, reply_u32(&first, BHS_TTT), 0, 1024});
	assert_true(peer_send(&p, bhs, junk + 1024, 1024));
	expect_end(&p, SENSE_NONE);
	assert_memory_equal(p.disk, junk, 2048);
	peer_close(&p);
}

/* The R2T is asked for again, and its data comes before that can be sent. */
static void r2t_no_longer_needed(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE], wire[2200];
	struct peer p = {0};
	struct reply r;
	size_t n;

	(void)state;
	start_write(&p, KEYS(ONE_R2T), &r);
	for (unsigned times = 0; times < 100; times++) {
		snack_bhs(bhs, SNACK_DATA, p.itt, (struct run){0, 0});
		n = peer_wire(&p, bhs, (struct body){0}, wire);
		assert_int_equal(peer_feed(&p, wire, n), n);
	}
	data_out_bhs(&p, bhs, (struct out_place){true, reply_u32(&r, BHS_TTT), 0, 0});
	n = peer_wire(&p, bhs, (struct body){NULL, junk, 2048}, wire);
	assert_int_equal(peer_feed(&p, wire, n), n);
	peer_drain(&p);
	expect_end(&p, SENSE_NONE);
	peer_expect_none(&p);
	peer_close(&p);
}

static void one_r2t_at_a_time(void **state)
{
	struct peer p = {0};
	struct reply r;

	(void)state;
	p.limits = (struct iscsi_limits){.max_recv_segment = 8192,
					 .max_burst = 8192,
					 .first_burst = 512,
					 .max_r2t = 4,
					 .queue_depth = 8,
					 .error_recovery = 1};
	peer_open(&p);
	peer_authenticate(&p, KEYS(LOGIN_NAMES));
	peer_negotiate(&p, KEYS("MaxOutstandingR2T=4\0DataSequenceInOrder=No\0" LEVEL_1), &r);
	assert_string_equal(reply_value(&r, "ErrorRecoveryLevel"), "1");
	assert_string_equal(reply_value(&r, "DataSequenceInOrder"), "Yes");
	assert_string_equal(reply_value(&r, "MaxOutstandingR2T"), "1");
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	junk_fill();
	TESTS_ADD_TABLE(&t, rows, write_in_pieces);
	TESTS_ADD_TABLE(&t, mistakes, mistaken_data);
	TESTS_ADD_TABLE(&t, r2ts, r2t_again);
	tests_add(&t, "7.9 data behind a hole is not taken", late_for_its_place, NULL);
	tests_add(&t, "7.8 immediate data is bad: the command comes again", immediate_data_bad,
		  NULL);
	tests_add(&t, "11.5 a write with a hole is aborted", aborted_with_a_hole, NULL);
	tests_add(&t, "7.8 bad data that nobody waits for", answered_with_a_hole, NULL);
	tests_add(&t, "11.16 P6: an R2T again that is not needed any more", r2t_no_longer_needed,
		  NULL);
	tests_add(&t, "13.19 at level 1 there is one R2T at a time", one_r2t_at_a_time, NULL);
	return tests_run(&t, "iscsi recovery of writes");
}

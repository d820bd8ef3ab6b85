/* Numbering and bounds: CmdSN and its window (RFC 7143 section 4.2.2.1), StatSN, immediate
 * commands, pings both ways, floods of what costs an answer. */
#include "tests/protocol/iscsi_peer.h"

/* Sends TEST UNIT READY with this CmdSN. */
static void command_at(struct peer *p, uint32_t cmdsn, uint8_t opcode)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	command_bhs(p, bhs, FLAG_FINAL, 0, opcode);
	p->cmdsn--;
	bhs_u32(bhs, BHS_CMDSN, cmdsn);
	assert_true(peer_send(p, bhs, NULL, 0));
}

static const struct {
	const char *why;
	int32_t from_expected; /* CmdSN minus ExpCmdSN */
	bool answered, held;
} places[] = {
	{"4.2.2.1 the expected CmdSN is carried out", 0, true, false},
	{"4.2.2.1 the CmdSN before is dropped in silence", -1, false, false},
	{"4.2.2.1 a CmdSN far before is dropped in silence", -100000, false, false},
	{"4.2.2.1 MaxCmdSN + 1 is dropped in silence", 32, false, false},
	{"4.2.2.1 a CmdSN half a circle ahead is dropped in silence", INT32_MAX, false, false},
	{"4.2.2.1 a CmdSN half a circle behind is dropped in silence", INT32_MIN, false, false},
	{"4.2.2.1 the next but one waits for its turn", 1, false, true},
	{"4.2.2.1 MaxCmdSN waits for its turn", 31, false, true},
};

static void place_in_window(void **state)
{
	const typeof(places[0]) *row = *state;
	struct peer p = {0};
	uint32_t at;
	struct reply r;

	peer_up(&p, KEYS(KEYS_USUAL));
	at = p.cmdsn + (uint32_t)row->from_expected;
	command_at(&p, at, 0);
	assert_int_equal(peer_next(&p, &r), row->answered);
	assert_int_equal(p.commands, row->answered);
	p.cmdsn += row->answered;
	if (row->held) {
		for (uint32_t sn = p.cmdsn; sn != at; sn++)
			command_at(&p, sn, 0);
		assert_int_equal(p.commands, row->from_expected + 1);
		for (unsigned n = 0; n < p.commands; n++)
			assert_int_equal(p.seen_cmdsn[n], p.cmdsn + n);
		p.cmdsn = at + 1;
		while (peer_next(&p, &r))
			;
	}
	peer_alive(&p);
	peer_close(&p);
}

static void backwards(void **state)
{
	struct peer p = {0};

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	for (uint32_t n = 32; n-- > 1;)
		command_at(&p, p.cmdsn + n, 0);
	command_at(&p, p.cmdsn + 5, 0); /* twice: dropped */
	assert_int_equal(p.commands, 0);
	command_at(&p, p.cmdsn, 0);
	assert_int_equal(p.commands, 32);
	for (unsigned n = 0; n < 32; n++)
		assert_int_equal(p.seen_cmdsn[n], p.cmdsn + n);
	peer_close(&p);
}

static void pings_in_turn(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	p.cmdsn++;
	nop_bhs(&p, bhs, false);
	assert_true(peer_send(&p, bhs, "early", 5));
	peer_expect_none(&p);
	command_at(&p, p.cmdsn - 2, 0);
	peer_expect(&p, &r, OP_SCSI_RESPONSE);
	peer_expect(&p, &r, OP_NOP_IN);
	assert_memory_equal(r.data, "early", 5);
	peer_alive(&p);
	peer_close(&p);
}

static void round_the_circle(void **state)
{
	struct peer p = {0};
	uint32_t statsn = 0, last_max = 0;
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL)); /* CmdSN starts at FFFFFFF0h */
	for (unsigned n = 0; n < 100; n++) {
		command_at(&p, p.cmdsn++, 0);
		peer_expect(&p, &r, OP_SCSI_RESPONSE);
		assert_int_equal(reply_u32(&r, BHS_EXPCMDSN), p.cmdsn);
		assert_int_equal(reply_u32(&r, BHS_MAXCMDSN), p.cmdsn + 31);
		if (n > 0) {
			assert_int_equal(reply_u32(&r, BHS_STATSN), statsn + 1);
			assert_false(serial_before(reply_u32(&r, BHS_MAXCMDSN), last_max));
		}
		statsn = reply_u32(&r, BHS_STATSN);
		last_max = reply_u32(&r, BHS_MAXCMDSN);
	}
	assert_true(p.cmdsn < 1000);
	peer_close(&p);
}

/* Parked commands take the window; it shuts, opens, and never moves back. */
static void window_shuts(void **state)
{
	struct peer p = {0};
	uint32_t first, max = 0;
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	first = p.cmdsn;
	for (unsigned n = 0; n < 32; n++)
		command_at(&p, p.cmdsn++, CDB_PARKED);
	assert_int_equal(p.commands, 32);
	peer_alive(&p); /* immediate, so still read */
	command_at(&p, p.cmdsn, 0);
	assert_int_equal(p.commands, 32); /* outside the window */
	for (unsigned n = 32; n-- > 0;) {
		peer_respond(&p, p.parked[n], 0, 0, 0);
		peer_drain(&p);
		peer_expect(&p, &r, OP_SCSI_RESPONSE);
		assert_int_equal(reply_u32(&r, BHS_EXPCMDSN), first + 32);
		assert_int_equal(reply_u32(&r, BHS_MAXCMDSN), first + 31 + (32 - n));
		if (n < 31)
			assert_true(serial_before(max, reply_u32(&r, BHS_MAXCMDSN)));
		max = reply_u32(&r, BHS_MAXCMDSN);
	}
	peer_expect_none(&p);
	peer_close(&p);
}

static void room_shuts(void **state)
{
	struct peer p = {0};
	uint32_t max;
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	max = p.cmdsn + 31; /* promised with the login */
	p.room = 0;
	for (unsigned n = 0; n < 32; n++) {
		command_at(&p, p.cmdsn++, 0);
		peer_expect(&p, &r, OP_SCSI_RESPONSE);
		assert_int_equal(reply_u32(&r, BHS_MAXCMDSN), max); /* not back */
	}
	peer_expect_none(&p);
	p.room = 5;
	iscsi_room_changed(p.i);
	peer_drain(&p);
	peer_expect(&p, &r, OP_NOP_IN); /* nothing else would tell */
	assert_int_equal(reply_u32(&r, BHS_ITT), TAG_NONE);
	assert_int_equal(reply_u32(&r, BHS_TTT), TAG_NONE);
	assert_int_equal(reply_u32(&r, BHS_MAXCMDSN), p.cmdsn + 4);
	iscsi_room_changed(p.i);
	peer_drain(&p);
	peer_expect_none(&p); /* told once */
	peer_close(&p);
}

static void depth_of_one(void **state)
{
	struct peer p = {0};
	struct reply r;

	(void)state;
	p.limits = (struct iscsi_limits){.max_recv_segment = 8192,
					 .max_burst = 8192,
					 .first_burst = 512,
					 .max_r2t = 1,
					 .queue_depth = 1};
	peer_up(&p, KEYS("MaxBurstLength=512"));
	for (unsigned n = 0; n < 10; n++) {
		command_at(&p, p.cmdsn++, 0);
		peer_expect(&p, &r, OP_SCSI_RESPONSE);
		assert_int_equal(reply_u32(&r, BHS_MAXCMDSN), p.cmdsn);
		peer_expect_none(&p);
	}
	peer_close(&p);
}

/* A full window of 128, eight immediate ones, and pings still answered. */
static void all_slots(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	p.limits = (struct iscsi_limits){.max_recv_segment = 262144,
					 .max_burst = 262144,
					 .first_burst = 65536,
					 .max_r2t = 1,
					 .queue_depth = 128};
	peer_up(&p, KEYS(KEYS_USUAL));
	for (unsigned n = 0; n < 128; n++)
		command_at(&p, p.cmdsn++, CDB_PARKED);
	for (unsigned n = 0; n < 12; n++) {
		command_bhs(&p, bhs, FLAG_FINAL, 0, CDB_PARKED);
		bhs[0] |= OPCODE_IMMEDIATE;
		bhs_u32(bhs, BHS_CMDSN, --p.cmdsn);
		assert_true(peer_send(&p, bhs, NULL, 0));
		if (n < 8)
			continue;
		peer_expect(&p, &r, OP_REJECT);
		assert_int_equal(r.bhs[2], REJECT_IMMEDIATE);
	}
	assert_int_equal(p.parked_count, 136);
	peer_alive(&p);
	while (p.parked_count > 0)
		peer_respond(&p, p.parked[--p.parked_count], 0, 0, 0);
	peer_drain(&p);
	for (unsigned n = 0; n < 136; n++)
		peer_expect(&p, &r, OP_SCSI_RESPONSE);
	peer_alive(&p);
	peer_close(&p);
}

/* More commands, sent on the strength of a window whose answers have not left yet. */
static void slots_not_yet_free(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE], wire[64];
	struct iovec iov[256];
	size_t count, sum = 0, len;

	(void)state;
	p.limits = (struct iscsi_limits){.max_recv_segment = 262144,
					 .max_burst = 262144,
					 .first_burst = 65536,
					 .max_r2t = 1,
					 .queue_depth = 128};
	peer_up(&p, KEYS(KEYS_USUAL));
	for (unsigned n = 0; n < 128; n++)
		command_at(&p, p.cmdsn++, CDB_PARKED);
	for (unsigned n = 0; n < 20; n++)
		peer_respond(&p, p.parked[n], 0, 0, 0);
	count = iscsi_tx(p.c, iov, ARRAY_LEN(iov)); /* made, not sent */
	for (size_t n = 0; n < count; n++)
		sum += iov[n].iov_len;
	for (unsigned n = 0; n < 20; n++) {
		command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
		len = peer_wire(&p, bhs, (struct body){NULL, NULL, 0}, wire);
		assert_int_equal(peer_feed(&p, wire, len), len);
	}
	assert_int_equal(p.commands, 148);
	iscsi_sent(p.c, sum);
	p.deaf = true;
	peer_drain(&p);
	p.deaf = false;
	peer_alive(&p);
	peer_close(&p);
}

/* --- floods ---------------------------------------------------------------------------------- */

/* An initiator that sends and never reads: the target stops reading, and loses nothing. */
static void flood(struct peer *p, uint8_t bhs[ISCSI_BHS_SIZE], const void *data, size_t len)
{
	uint8_t *wire = malloc(len + 64);
	unsigned taken = 0, answers = 0;
	struct reply r;
	size_t n;

	assert_non_null(wire);
	for (;; taken++) {
		n = peer_wire(p, bhs, (struct body){NULL, data, len}, wire);
		if (taken == 20000 || peer_feed(p, wire, n) < n)
			break;
	}
	assert_true(taken < 20000);
	assert_true(taken * (len + 48) < 64 * (65536 + 48) + 600000);
	assert_int_equal(iscsi_rx_space(p->c, (struct iovec[4]){{0}}, 4), 0);
	peer_drain(p);
	while (peer_next(p, &r))
		answers++;
	assert_int_equal(answers, taken);
	free(wire);
}

static void flood_of_pings(void **state)
{
	size_t len = (size_t)(uintptr_t)*state;
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE], *data = calloc(1, len + 1);

	assert_non_null(data);
	peer_up(&p, KEYS(KEYS_USUAL));
	nop_bhs(&p, bhs, true);
	flood(&p, bhs, data, len);
	peer_close(&p);
	free(data);
}

static void flood_of_rejects(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	data_out_bhs(&p, bhs, (struct out_place){true, 0x1234, 0, 0});
	flood(&p, bhs, NULL, 0);
	peer_close(&p);
}

static void flood_of_task_management(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	tmf_bhs(&p, bhs, TMF_ABORT_TASK, 1, 1);
	flood(&p, bhs, NULL, 0);
	peer_close(&p);
}

static void flood_of_commands(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE], wire[64];
	size_t n;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	for (unsigned sent = 0; sent < 20000; sent++) {
		command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
		n = peer_wire(&p, bhs, (struct body){NULL, NULL, 0}, wire);
		assert_int_equal(peer_feed(&p, wire, n), n);
	}
	assert_int_equal(p.commands, 32); /* the window; the rest was dropped in silence */
	peer_close(&p);
}

/* --- pings ------------------------------------------------------------------------------------ */

static const struct {
	const char *why;
	uint32_t itt, ttt;
	uint8_t flags;
	bool immediate;
	int opcode; /* of the answer; -1: none */
} nops[] = {
	{"11.18 a ping is answered", 5, TAG_NONE, FLAG_FINAL, true, OP_NOP_IN},
	{"11.18 a ping in its turn is answered", 5, TAG_NONE, FLAG_FINAL, false, OP_NOP_IN},
	{"11.18 an answer to no ping of ours is passed over", TAG_NONE, 0x12300, FLAG_FINAL, true,
	 -1},
	{"11.18 a NOP-Out without any tag is passed over", TAG_NONE, TAG_NONE, FLAG_FINAL, true,
	 -1},
	{"11.18 a NOP-Out without a task tag must be immediate", TAG_NONE, TAG_NONE, FLAG_FINAL,
	 false, OP_REJECT},
	{"11.18 a NOP-Out with both tags is rejected", 5, 0x12300, FLAG_FINAL, true, OP_REJECT},
	{"11.18 a NOP-Out without F is rejected", 5, TAG_NONE, 0, true, OP_REJECT},
};

static void nop_tags(void **state)
{
	const typeof(nops[0]) *row = *state;
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	peer_up(&p, KEYS(KEYS_USUAL));
	nop_bhs(&p, bhs, row->immediate);
	bhs[1] = row->flags;
	bhs_u32(bhs, BHS_ITT, row->itt);
	bhs_u32(bhs, BHS_TTT, row->ttt);
	assert_true(peer_send(&p, bhs, NULL, 0));
	if (row->opcode >= 0)
		peer_expect(&p, &r, (enum opcode)row->opcode);
	if (row->opcode == OP_REJECT && !row->immediate)
		p.cmdsn--; /* not received: RFC 7143 section 7.3 */
	peer_alive(&p);
	peer_close(&p);
}

static void ping_data_is_cut(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE], *data = malloc(262144);
	struct reply r;

	(void)state;
	assert_non_null(data);
	memset(data, 'd', 262144);
	peer_up(&p, KEYS("MaxRecvDataSegmentLength=512"));
	nop_bhs(&p, bhs, true);
	assert_true(peer_send(&p, bhs, data, 262144));
	peer_expect(&p, &r, OP_NOP_IN);
	assert_int_equal(r.len, 512);
	assert_memory_equal(r.data, data, 512);
	peer_close(&p);
	free(data);
}

static void up_with_pings(struct peer *p)
{
	p->limits = (struct iscsi_limits){.max_recv_segment = 262144,
					  .max_burst = 262144,
					  .first_burst = 65536,
					  .max_r2t = 1,
					  .queue_depth = 8,
					  .ping_every_ms = 1000,
					  .ping_misses = 3};
	p->now = 5000;
	peer_up(p, KEYS(KEYS_USUAL));
}

static void silence_ends(void **state)
{
	struct peer p = {0};
	unsigned pings = 0;
	struct reply r;

	(void)state;
	up_with_pings(&p);
	for (uint64_t due; (due = iscsi_next_tick(p.i)) != 0;) {
		iscsi_tick(p.i, due - 1);
		peer_drain(&p);
		peer_expect_none(&p);
		iscsi_tick(p.i, due);
		peer_drain(&p);
		if (!peer_next(&p, &r))
			continue;
		assert_int_equal(r.opcode, OP_NOP_IN);
		assert_int_equal(reply_u32(&r, BHS_ITT), TAG_NONE);
		assert_int_not_equal(reply_u32(&r, BHS_TTT), TAG_NONE);
		pings++;
	}
	assert_int_equal(pings, 3);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_SILENT);
	peer_close(&p);
}

static void answers_keep_it(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	up_with_pings(&p);
	for (unsigned n = 0; n < 20; n++) {
		p.now = iscsi_next_tick(p.i);
		iscsi_tick(p.i, p.now);
		peer_drain(&p);
		peer_expect(&p, &r, OP_NOP_IN);
		nop_bhs(&p, bhs, true);
		bhs_u32(bhs, BHS_ITT, TAG_NONE);
		bhs_u32(bhs, BHS_TTT, reply_u32(&r, BHS_TTT));
		assert_true(peer_send(&p, bhs, NULL, 0));
		peer_expect_none(&p);
	}
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_NONE);
	peer_close(&p);
}

static void never_read_pings(void **state)
{
	struct peer p = {0};
	struct iovec iov[64];
	size_t count = 0;

	(void)state;
	up_with_pings(&p);
	while (iscsi_next_tick(p.i) != 0)
		iscsi_tick(p.i, iscsi_next_tick(p.i));
	count = iscsi_tx(p.c, iov, ARRAY_LEN(iov));
	assert_int_equal(count, 1); /* one ping, however often it is due */
	peer_close(&p);
}

static void add_floods(struct tests *t)
{
	tests_add(t, "11.18 P6: pings that are never read: the target stops reading",
		  flood_of_pings, (void *)0);
	tests_add(t, "11.18 P6: pings of 4 KiB that are never read", flood_of_pings, (void *)4096);
	tests_add(t, "11.18 P6: pings of 256 KiB that are never read", flood_of_pings,
		  (void *)262144);
	tests_add(t, "11.17 P6: stray data whose rejects are never read", flood_of_rejects, NULL);
	tests_add(t, "11.5 P6: task management whose answers are never read",
		  flood_of_task_management, NULL);
	tests_add(t, "4.2.2.1 P6: commands whose responses are never read", flood_of_commands,
		  NULL);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, places, place_in_window);
	tests_add(&t, "4.2.2.1 a whole window sent backwards runs forwards", backwards, NULL);
	tests_add(&t, "4.2.2.1 a ping that came early is answered in its turn", pings_in_turn,
		  NULL);
	tests_add(&t, "4.2.2.1 CmdSN and StatSN go round the end of the circle", round_the_circle,
		  NULL);
	tests_add(&t,
		  "4.2.2.1 the window shuts when it is full, opens task by task, never moves back",
		  window_shuts, NULL);
	tests_add(&t, "4.2.2.1 the host's room shuts the window; a NOP-In tells when it opens",
		  room_shuts, NULL);
	tests_add(&t, "4.2.2.1 a queue depth of one never stalls", depth_of_one, NULL);
	tests_add(
		&t,
		"4.2.2.1 P6: 128 commands, 8 immediate ones: the ninth is Reject 06h, pings go on",
		all_slots, NULL);
	tests_add(&t,
		  "4.2.2.1 commands that come before the answers that let them have left are taken",
		  slots_not_yet_free, NULL);
	add_floods(&t);
	TESTS_ADD_TABLE(&t, nops, nop_tags);
	tests_add(&t, "11.19 ping data comes back as long as the initiator can take",
		  ping_data_is_cut, NULL);
	tests_add(&t, "11.19 a silent initiator is pinged three times, then the connection ends",
		  silence_ends, NULL);
	tests_add(&t, "11.19 an initiator that answers pings stays", answers_keep_it, NULL);
	tests_add(&t, "11.19 P6: pings of ours that can't leave don't pile up", never_read_pings,
		  NULL);
	return tests_run(&t, "iscsi window");
}

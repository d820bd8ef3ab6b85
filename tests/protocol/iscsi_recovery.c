/* ErrorRecoveryLevel 1, what the target sends: RFC 7143 sections 7 and 11.16. Whatever
 * was lost on the way to the initiator comes again, as it was; whatever can't have
 * been lost is refused; and nothing grows without bound meanwhile. */
#include "gateway/iscsi/core.h"
#include "tests/protocol/iscsi_recovery.h"

#define EIGHT	 LEVEL_1 "\0MaxRecvDataSegmentLength=512\0MaxBurstLength=2048"
#define UNEVEN	 LEVEL_1 "\0MaxRecvDataSegmentLength=513\0MaxBurstLength=1500"
#define DIGESTED EIGHT "\0" BOTH_DIGESTS

/* A read of 4096 octets; the run that is asked for, and what comes of it. */
static const struct data_row {
	const char *why, *keys;
	size_t keys_len;
	struct run run;
	uint32_t from, count, pdus;
	bool rejected;
} data_rows[] = {
	{"11.16 the first Data-In comes again", KEYS(EIGHT), {0, 1}, 0, 1, 8, false},
	{"11.16 one in the middle comes again", KEYS(EIGHT), {3, 1}, 3, 1, 8, false},
	{"11.16 the last comes again, with its status", KEYS(EIGHT), {7, 1}, 7, 1, 8, false},
	{"11.16 a run within a sequence comes again", KEYS(EIGHT), {1, 2}, 1, 2, 8, false},
	{"11.16 a run across sequences comes again", KEYS(EIGHT), {2, 5}, 2, 5, 8, false},
	{"11.16 a run of all comes again", KEYS(EIGHT), {0, 8}, 0, 8, 8, false},
	{"11.16.7 RunLength 0: all from BegRun on", KEYS(EIGHT), {5, 0}, 5, 3, 8, false},
	{"11.16.6 BegRun 0, RunLength 0: all", KEYS(EIGHT), {0, 0}, 0, 8, 8, false},
	{"11.16 with digests, one comes again", KEYS(DIGESTED), {4, 1}, 4, 1, 8, false},
	{"11.16 with digests, all come again", KEYS(DIGESTED), {0, 0}, 0, 8, 8, false},
	{"11.16 of uneven sequences, the short one", KEYS(UNEVEN), {2, 1}, 2, 1, 9, false},
	{"11.16 of uneven sequences, a run", KEYS(UNEVEN), {1, 6}, 1, 6, 9, false},
	{"11.16 of uneven sequences, the last", KEYS(UNEVEN), {8, 0}, 8, 1, 9, false},
	{"11.16 the DataSN behind the last", KEYS(EIGHT), {8, 1}, 0, 0, 8, true},
	{"11.16 all from behind the last", KEYS(EIGHT), {8, 0}, 0, 0, 8, true},
	{"11.16 a run that is longer by one", KEYS(EIGHT), {0, 9}, 0, 0, 8, true},
	{"11.16 a run that ends behind the last", KEYS(EIGHT), {7, 2}, 0, 0, 8, true},
	{"11.16 DataSN -1", KEYS(EIGHT), {0xffffffff, 1}, 0, 0, 8, true},
	{"11.16 a run from -1 over 0", KEYS(EIGHT), {0xffffffff, 3}, 0, 0, 8, true},
	{"11.16 a run of FFFFFFFFh", KEYS(EIGHT), {3, 0xffffffff}, 0, 0, 8, true},
	{"11.16 a run of 80000000h", KEYS(EIGHT), {0, 0x80000000}, 0, 0, 8, true},
	{"11.16 DataSN half a circle away", KEYS(EIGHT), {0x80000000, 0}, 0, 0, 8, true},
};

static void data_runs(void **state)
{
	const struct data_row *row = *state;
	struct reply first[SEEN_MAX], again[SEEN_MAX];
	struct peer p = {0};

	level_up(&p, 1, row->keys, row->keys_len);
	assert_int_equal(read_blocks(&p, 8, first), row->pdus);
	send_snack(&p, SNACK_DATA, p.itt, row->run);
	assert_int_equal(peer_all(&p, again), row->rejected ? 1 : row->count);
	for (uint32_t n = 0; n < row->count; n++) {
		expect_same(&again[n], &first[row->from + n]);
		expect_data(&p, &again[n]);
	}
	if (row->rejected) {
		assert_int_equal(again[0].opcode, OP_REJECT);
		assert_int_equal(again[0].bhs[2], REJECT_PROTOCOL);
		/* section 11.17: the DataSN that would be next */
		assert_int_equal(reply_u32(&again[0], BHS_DATASN), row->pdus);
		assert_int_equal(again[0].data[0], OP_SNACK);
	}
	peer_alive(&p);
	peer_close(&p);
}

/* SNACKs that are none, or of nothing; a read of 512 octets was answered. */
static const struct field_row {
	const char *why;
	uint8_t flags; /* octet 1 */
	bool task;     /* names the task */
	uint32_t tag;
	struct run run;
	size_t data;
	uint8_t reason;
} field_rows[] = {
	{"11.16.1 a type that is reserved", 0x84, true, TAG_NONE, {0, 0}, 0, REJECT_INVALID_FIELD},
	{"11.16.1 the last type that there is", 0x8f, true, 5, {0, 0}, 0, REJECT_INVALID_FIELD},
	{"11.16 without its first bit", 0x00, true, TAG_NONE, {0, 1}, 0, REJECT_INVALID_FIELD},
	{"11.16 with data", 0x80, true, TAG_NONE, {0, 1}, 512, REJECT_INVALID_FIELD},
	{"11.16.4 data of no task", 0x80, false, TAG_NONE, {0, 1}, 0, REJECT_INVALID_FIELD},
	{"11.16.4 status of a task", 0x81, true, TAG_NONE, {5, 1}, 0, REJECT_INVALID_FIELD},
	{"11.16.4 R-Data of no task", 0x83, false, 5, {0, 0}, 0, REJECT_INVALID_FIELD},
	{"11.16.5 a tag with a Data SNACK", 0x80, true, 5, {0, 1}, 0, REJECT_INVALID_FIELD},
	{"11.16.5 a tag with a Status SNACK", 0x81, false, 5, {0, 0}, 0, REJECT_INVALID_FIELD},
	{"11.16.5 R-Data with tag 0", 0x83, true, 0, {0, 0}, 0, REJECT_INVALID_FIELD},
	{"11.16.5 R-Data with no tag", 0x83, true, TAG_NONE, {0, 0}, 0, REJECT_INVALID_FIELD},
	{"11.16.6 R-Data from DataSN 1", 0x83, true, 5, {1, 0}, 0, REJECT_INVALID_FIELD},
	{"11.16.7 R-Data of a run", 0x83, true, 5, {0, 1}, 0, REJECT_INVALID_FIELD},
	{"11.16.2 DataACK, which was not asked for", 0x82, false, 7, {1, 0}, 0, REJECT_DATA_ACK},
};

static void snack_fields(void **state)
{
	const struct field_row *row = *state;
	static const uint8_t data[512];
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r[SEEN_MAX];
	struct peer p = {0};

	level_up(&p, 1, KEYS(EIGHT));
	assert_int_equal(read_blocks(&p, 1, r), 1);
	snack_bhs(bhs, SNACK_DATA, row->task ? p.itt : TAG_NONE, row->run);
	bhs[1] = row->flags;
	bhs_u32(bhs, BHS_SNACK_TAG, row->tag);
	assert_true(peer_send(&p, bhs, data, row->data));
	expect_rejected(&p, row->reason);
	peer_alive(&p);
	peer_close(&p);
}

/* Five answers with StatSN `start` to start + 4; then the initiator acknowledges `acked` of them.
 */
static const struct status_row {
	const char *why;
	uint32_t start, acked;
	struct run run; /* BegRun counts from `start`, but in a run of zeros */
	uint32_t from, count;
	uint8_t reason;
} status_rows[] = {
	{"11.16 a status comes again", 10, 0, {2, 1}, 2, 1, 0},
	{"11.16 the first status comes again", 10, 0, {0, 1}, 0, 1, 0},
	{"11.16 the last status comes again", 10, 0, {4, 1}, 4, 1, 0},
	{"11.16 all of them", 10, 0, {0, 5}, 0, 5, 0},
	{"11.16.7 RunLength 0: all from BegRun on", 10, 0, {3, 0}, 3, 2, 0},
	{"11.16.6 zeros: all that is not acknowledged", 10, 2, {0, 0}, 2, 3, 0},
	{"11.16.6 zeros, and all is acknowledged", 10, 5, {0, 0}, 0, 0, 0},
	{"11.16 what is left after an acknowledgement", 10, 3, {3, 2}, 3, 2, 0},
	{"11.16 over 2^32", 0xfffffffd, 0, {1, 4}, 1, 4, 0},
	{"11.16 over 2^32, without an end", 0xfffffffe, 0, {1, 0}, 1, 4, 0},
	{"11.16 StatSN 0", 0xfffffffe, 0, {2, 1}, 2, 1, 0},
	{"11.16 over 2^32, all that is left", 0xfffffffd, 4, {0, 0}, 4, 1, 0},
	{"11.16 one that was acknowledged", 10, 3, {2, 1}, 0, 0, REJECT_PROTOCOL},
	{"11.16 a run that begins before", 10, 3, {2, 3}, 0, 0, REJECT_PROTOCOL},
	{"11.16 acknowledged, over 2^32", 0xfffffffd, 4, {1, 4}, 0, 0, REJECT_PROTOCOL},
	{"11.16 the StatSN that is next", 10, 0, {5, 1}, 0, 0, REJECT_PROTOCOL},
	{"11.16 a run that ends behind it", 10, 0, {0, 6}, 0, 0, REJECT_PROTOCOL},
	{"11.16 over 2^32, one too many", 0xfffffffd, 0, {1, 5}, 0, 0, REJECT_PROTOCOL},
	{"11.16 a run of FFFFFFFFh", 10, 0, {0, 0xffffffff}, 0, 0, REJECT_PROTOCOL},
	{"11.16 half a circle away", 10, 0, {0x80000000, 0}, 0, 0, REJECT_PROTOCOL},
	{"4.2.2.2 what was not given can't be acknowledged", 10, 6, {0, 5}, 0, 5, 0},
	{"4.2.2.2 an ExpStatSN far ahead is passed over", 10, 0x7fffffff, {0, 5}, 0, 5, 0},
	{"4.2.2.2 an ExpStatSN from behind is passed over", 10, 0xfffffff0, {0, 5}, 0, 5, 0},
};

static void status_runs(void **state)
{
	const struct status_row *row = *state;
	struct reply first[5], again[SEEN_MAX];
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct run run = row->run;
	struct peer p = {0};

	level_up(&p, 1, KEYS(LEVEL_1));
	p.c->tx.statsn = p.c->tx.acked =
		row->start; /* shorter than four thousand million of them */
	for (unsigned n = 0; n < 5; n++) {
		command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
		bhs_u32(bhs, BHS_EXPSTATSN, row->start);
		assert_true(peer_send(&p, bhs, NULL, 0));
		peer_expect(&p, &first[n], OP_SCSI_RESPONSE);
		assert_int_equal(reply_u32(&first[n], BHS_STATSN), row->start + n);
	}
	if (row->acked != 0)
		acknowledge(&p, row->start + row->acked);
	if (run.from != 0 || run.len != 0)
		run.from += row->start;
	snack_bhs(bhs, SNACK_STATUS, TAG_NONE, run);
	bhs_u32(bhs, BHS_EXPSTATSN, row->start);
	assert_true(peer_send(&p, bhs, NULL, 0));
	if (row->reason != 0) {
		expect_rejected(&p, row->reason);
	} else {
		assert_int_equal(peer_all(&p, again), row->count);
		for (unsigned n = 0; n < row->count; n++)
			expect_same(&again[n], &first[row->from + n]);
	}
	peer_alive(&p);
	peer_close(&p);
}

/* Every kind of answer that has a StatSN. */
static const struct kind_row {
	const char *why;
	enum opcode answer;
	uint8_t cdb;
	const char *text;
	size_t text_len;
} kind_rows[] = {
	{"11.4 a SCSI Response comes again", OP_SCSI_RESPONSE, 0, NULL, 0},
	{"11.4 a SCSI Response with sense comes again", OP_SCSI_RESPONSE, CDB_FAILS, NULL, 0},
	{"11.7 Data-In with a status comes again", OP_DATA_IN, CDB_READ10, NULL, 0},
	{"11.6 a task management response comes again", OP_TMF_RESPONSE, 0, NULL, 0},
	{"11.11 a Text Response comes again", OP_TEXT_RESPONSE, 0, KEYS("X-nothing=1")},
	{"11.17 a Reject comes again", OP_REJECT, 0, NULL, 0},
	{"11.19 a NOP-In comes again", OP_NOP_IN, 0, KEYS("ping")},
	{"11.9 an Asynchronous Message comes again", OP_ASYNC, 0, NULL, 0},
};

static void cause(struct peer *p, const struct kind_row *row)
{
	uint8_t bhs[ISCSI_BHS_SIZE];

	if (row->answer == OP_ASYNC) {
		iscsi_ask_logout(p->i, 3);
		peer_drain(p);
		return;
	}
	if (row->answer == OP_TMF_RESPONSE)
		tmf_bhs(p, bhs, TMF_ABORT_TASK, 4711, 0);
	else if (row->answer == OP_TEXT_RESPONSE)
		bhs_start(bhs, OP_TEXT | OPCODE_IMMEDIATE, FLAG_FINAL, ++p->itt);
	else if (row->answer == OP_REJECT)
		data_out_bhs(p, bhs, (struct out_place){true, 0x1234, 0, 0});
	else if (row->answer == OP_NOP_IN)
		nop_bhs(p, bhs, true);
	else
		rw_bhs(p, bhs, FLAG_READ | FLAG_FINAL, 512, 1);
	if (row->answer == OP_TEXT_RESPONSE) {
		bhs_u32(bhs, BHS_TTT, TAG_NONE);
		bhs_u32(bhs, BHS_CMDSN, p->cmdsn);
	}
	if (row->answer == OP_SCSI_RESPONSE)
		bhs[BHS_CDB] = row->cdb;
	assert_true(peer_send(p, bhs, row->text, row->text_len));
}

static void kinds_of_status(void **state)
{
	const struct kind_row *row = *state;
	struct reply first, again;
	uint32_t statsn;
	uint8_t data[512];
	struct peer p = {0};

	level_up(&p, 1, KEYS(LEVEL_1));
	cause(&p, row);
	peer_expect(&p, &first, row->answer);
	memcpy(data, first.data, first.len);
	statsn = reply_u32(&first, BHS_STATSN);
	for (unsigned n = 0; n < 3; n++) {
		send_snack(&p, SNACK_STATUS, TAG_NONE, (struct run){statsn, 1});
		peer_expect(&p, &again, row->answer);
		expect_same(&again, &first);
		assert_memory_equal(again.data, data, again.len);
	}
	acknowledge(&p, statsn + 1);
	send_snack(&p, SNACK_STATUS, TAG_NONE, (struct run){statsn, 1});
	expect_rejected(&p, REJECT_PROTOCOL);
	peer_alive(&p);
	peer_close(&p);
}

/* --- data and acknowledgement --------------------------------------------------------------- */

static void acknowledged_data(void **state)
{
	struct reply r[SEEN_MAX];
	struct peer p = {0};

	(void)state;
	level_up(&p, 1, KEYS(EIGHT));
	assert_int_equal(read_blocks(&p, 8, r), 8);
	acknowledge(&p, reply_u32(&r[7], BHS_STATSN) + 1);
	send_snack(&p, SNACK_DATA, p.itt, (struct run){0, 1});
	expect_rejected(&p, REJECT_PROTOCOL);
	send_r_data(&p, p.itt, 9);
	expect_rejected(&p, REJECT_PROTOCOL);
	peer_close(&p);
}

static void no_such_task(void **state)
{
	struct reply r;
	struct peer p = {0};

	(void)state;
	level_up(&p, 1, KEYS(EIGHT));
	for (unsigned type = SNACK_DATA; type <= SNACK_R_DATA; type += SNACK_R_DATA) {
		uint8_t bhs[ISCSI_BHS_SIZE];

		snack_bhs(bhs, (enum snack)type, 4711, (struct run){0, 0});
		bhs_u32(bhs, BHS_SNACK_TAG, type == SNACK_DATA ? TAG_NONE : 9);
		assert_true(peer_send(&p, bhs, NULL, 0));
		expect_rejected(&p, REJECT_PROTOCOL);
	}
	command_nothing(&p, &r); /* no data, so none was lost */
	send_snack(&p, SNACK_DATA, p.itt, (struct run){0, 1});
	expect_rejected(&p, REJECT_PROTOCOL);
	send_snack(&p, SNACK_DATA, p.itt, (struct run){0, 0});
	peer_expect_none(&p);
	peer_close(&p);
}

static void not_answered_yet(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;
	struct peer p = {0};

	(void)state;
	level_up(&p, 1, KEYS(EIGHT));
	command_bhs(&p, bhs, FLAG_READ | FLAG_FINAL, 512, CDB_PARKED);
	assert_true(peer_send(&p, bhs, NULL, 0));
	send_snack(&p, SNACK_DATA, p.itt, (struct run){0, 1});
	expect_rejected(&p, REJECT_PROTOCOL);
	send_snack(&p, SNACK_DATA, p.itt, (struct run){0, 0});
	send_r_data(&p, p.itt, 77);
	peer_expect_none(&p);
	peer_respond(&p, p.parked[0], 0, 0, 0);
	peer_drain(&p);
	peer_expect(&p, &r, OP_SCSI_RESPONSE);
	assert_int_equal(reply_u32(&r, BHS_SNACK_TAG), 77);
	peer_close(&p);
}

/* The status of a task has come, one before it was lost: its tag is free for the initiator. */
static void tag_used_again(void **state)
{
	struct reply r[SEEN_MAX];
	struct peer p = {0};

	(void)state;
	level_up(&p, 1, KEYS(EIGHT));
	assert_int_equal(read_blocks(&p, 8, r), 8);
	p.itt--;
	assert_int_equal(read_blocks(&p, 8, r), 8);
	assert_int_equal(p.commands, 2);
	p.itt--;
	command_nothing(&p, r);
	assert_int_equal(p.commands, 3);
	peer_close(&p);
}

static void kept_is_no_task(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r[SEEN_MAX];
	struct peer p = {0};
	uint32_t tag;

	(void)state;
	level_up(&p, 1, KEYS(EIGHT));
	assert_int_equal(read_blocks(&p, 8, r), 8);
	tag = p.itt;
	tmf_bhs(&p, bhs, TMF_ABORT_TASK, tag, p.cmdsn - 1);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r[0], OP_TMF_RESPONSE);
	assert_int_equal(r[0].bhs[2], 1); /* it does not exist */
	tmf_bhs(&p, bhs, TMF_LUN_RESET, 0, 0);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r[0], OP_TMF_RESPONSE);
	assert_int_equal(p.cancels, 0);
	send_snack(&p, SNACK_DATA, tag, (struct run){0, 0});
	assert_int_equal(peer_all(&p, r), 8); /* but what was sent can still be had */
	peer_close(&p);
}

static void status_after_data(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r[SEEN_MAX], again[SEEN_MAX];
	struct peer p = {0};

	(void)state;
	level_up(&p, 1, KEYS(EIGHT));
	command_bhs(&p, bhs, FLAG_READ | FLAG_FINAL, 100, CDB_PARTIAL);
	assert_true(peer_send(&p, bhs, NULL, 0));
	assert_int_equal(peer_all(&p, r), 2);
	assert_int_equal(r[1].opcode, OP_SCSI_RESPONSE);
	assert_int_equal(reply_u32(&r[1], BHS_DATASN), 1); /* ExpDataSN */
	send_snack(&p, SNACK_DATA, p.itt, (struct run){0, 0});
	send_snack(&p, SNACK_STATUS, TAG_NONE, (struct run){reply_u32(&r[1], BHS_STATSN), 1});
	assert_int_equal(peer_all(&p, again), 2);
	expect_same(&again[0], &r[0]);
	expect_same(&again[1], &r[1]);
	peer_close(&p);
}

/* --- level 0, and negotiation --------------------------------------------------------------- */

static const struct level_row {
	const char *why;
	uint32_t level;
	const char *keys;
	size_t keys_len;
} level_0[] = {
	{"13.20 not asked for: level 0", 2, KEYS(KEYS_USUAL)},
	{"13.20 asked for, but the target is at level 0", 0, KEYS(LEVEL_1)},
};

static void level_0_is_as_it_was(void **state)
{
	const struct level_row *row = *state;
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0};
	struct reply r;

	level_up(&p, row->level, row->keys, row->keys_len);
	for (unsigned n = 0; n < 300; n++)
		command_nothing(&p, &r); /* nothing is kept */
	assert_int_equal(p.i->free_slot_count, ISCSI_TASKS_MAX);
	assert_int_equal(reply_u32(&r, BHS_MAXCMDSN) + 1 - p.cmdsn, 32);
	for (uint8_t type = 0; type < 16; type++) {
		snack_bhs(bhs, SNACK_DATA, TAG_NONE, (struct run){0, 0});
		bhs[1] |= type;
		assert_true(peer_send(&p, bhs, NULL, 0));
		expect_rejected(&p, REJECT_SNACK);
	}
	peer_alive(&p);
	peer_close(&p);
}

static void logs_out(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r[SEEN_MAX];
	struct peer p = {0};

	(void)state;
	level_up(&p, 1, KEYS(EIGHT));
	assert_int_equal(read_blocks(&p, 8, r), 8);
	bhs_start(bhs, OP_LOGOUT | OPCODE_IMMEDIATE, FLAG_FINAL, ++p.itt);
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, r, OP_LOGOUT_RESPONSE);
	assert_false(iscsi_tx_waiting(p.c));
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_LOGOUT);
	iscsi_disconnected(p.c); /* and nothing keeps it */
	assert_true(iscsi_is_over(p.i));
	peer_close(&p);
}

static void header_digest(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0};

	(void)state;
	level_up(&p, 1, KEYS(DIGESTED));
	p.spoil_header = true;
	nop_bhs(&p, bhs, true);
	(void)peer_send(&p, bhs, NULL, 0);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_DIGEST);
	peer_close(&p);
}

/* Kept answers hold the places of immediate commands: who says nothing is asked. */
static void immediates_kept(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0};
	uint32_t statsn = 0;
	struct reply r;

	(void)state;
	level_up(&p, 1, KEYS(LEVEL_1));
	for (unsigned n = 0; n < ISCSI_IMMEDIATE_MAX; n++) {
		tmf_bhs(&p, bhs, TMF_ABORT_TASK, 4711, 0);
		assert_true(peer_send(&p, bhs, NULL, 0));
		peer_expect(&p, &r, OP_TMF_RESPONSE);
		statsn = reply_u32(&r, BHS_STATSN);
	}
	peer_expect(&p, &r, OP_NOP_IN);
	assert_int_not_equal(reply_u32(&r, BHS_TTT), TAG_NONE);
	acknowledge(&p, statsn + 1);
	command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
	bhs[0] |= OPCODE_IMMEDIATE;
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_SCSI_RESPONSE);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, data_rows, data_runs);
	TESTS_ADD_TABLE(&t, field_rows, snack_fields);
	TESTS_ADD_TABLE(&t, status_rows, status_runs);
	TESTS_ADD_TABLE(&t, kind_rows, kinds_of_status);
	TESTS_ADD_TABLE(&t, level_0, level_0_is_as_it_was);
	tests_add(&t, "11.16 data that was acknowledged", acknowledged_data, NULL);
	tests_add(&t, "11.16 a task that is not there", no_such_task, NULL);
	tests_add(&t, "11.16 a task that was not answered yet", not_answered_yet, NULL);
	tests_add(&t, "11.3.4 a task tag is free when its status has come", tag_used_again, NULL);
	tests_add(&t, "11.5 an answer that is kept is no task", kept_is_no_task, NULL);
	tests_add(&t, "11.16 data and the response behind it", status_after_data, NULL);
	tests_add(&t, "7.1.4.2 a NOP-In asks for what frees immediate commands", immediates_kept,
		  NULL);
	tests_add(&t, "11.14 a Logout leaves nothing kept", logs_out, NULL);
	tests_add(&t, "7.8 a header digest error ends the connection", header_digest, NULL);
	return tests_run(&t, "iscsi recovery");
}

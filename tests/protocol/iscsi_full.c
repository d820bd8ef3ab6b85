/* The full-feature phase apart from data and tasks: Text and SendTargets, what is
 * rejected and why, additional headers, every opcode, every truncation, garbage. */
#include "tests/protocol/iscsi_peer.h"

#include <stdio.h>

/* --- Text and SendTargets --- */

#define ONE_TARGET "TargetName=" NAME_T "\0TargetAddress=192.0.2.1:3260,1"

static const struct text_row {
	const char *why;
	bool discovery;
	const char *text;
	size_t len;
	const char *answer; /* NULL: rejected */
	size_t answer_len;
} texts[] = {
	{"Appendix C SendTargets=All in discovery", true, KEYS("SendTargets=All"),
	 KEYS(ONE_TARGET)},
	{"Appendix C SendTargets of one name in discovery", true, KEYS("SendTargets=" NAME_T),
	 KEYS(ONE_TARGET)},
	{"Appendix C SendTargets of a name that may not be entered", true,
	 KEYS("SendTargets=nobody"), "", 0},
	{"Appendix C SendTargets= needs a normal session", true, KEYS("SendTargets="),
	 KEYS("SendTargets=Reject")},
	{"Appendix C SendTargets= in a normal session", false, KEYS("SendTargets="),
	 KEYS(ONE_TARGET)},
	{"Appendix C SendTargets=All needs discovery", false, KEYS("SendTargets=All"),
	 KEYS("SendTargets=Reject")},
	{"13.12 a new declaration is taken without an answer", false,
	 KEYS("MaxRecvDataSegmentLength=512"), "", 0},
	{"13.7 InitiatorAlias is taken without an answer", false, KEYS("InitiatorAlias=me"), "", 0},
	{"6.2 an unknown key", true, KEYS("Foo=1"), KEYS("Foo=NotUnderstood")},
	{"13.1 digests can't be changed any more", false, KEYS("HeaderDigest=CRC32C"),
	 KEYS("HeaderDigest=Reject")},
	{"11.10 an empty Text Request has an empty answer", true, "", 0, "", 0},
	{"6.2 SendTargets twice is a protocol error", true,
	 KEYS("SendTargets=All\0SendTargets=All"), NULL, 0},
	{"6.1 text without '=' is a protocol error", true, KEYS("SendTargets"), NULL, 0},
	{"6.1 text without NUL is a protocol error", true, "A=1", 3, NULL, 0},
};

static void text_requests(void **state)
{
	const struct text_row *row = *state;
	struct peer p = {.targets = ONE_TARGET, .targets_len = sizeof ONE_TARGET};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	if (row->discovery)
		peer_up_discovery(&p);
	else
		peer_up(&p, KEYS(KEYS_USUAL));
	text_bhs(&p, bhs, FLAG_FINAL, TAG_NONE);
	assert_true(peer_send(&p, bhs, row->text, row->len));
	peer_expect(&p, &r, row->answer ? OP_TEXT_RESPONSE : OP_REJECT);
	if (row->answer) {
		assert_int_equal(r.flags, FLAG_FINAL);
		assert_int_equal(reply_u32(&r, BHS_TTT), TAG_NONE);
		assert_int_equal(r.len, row->answer_len);
		assert_memory_equal(r.data, row->answer, r.len);
	} else {
		assert_int_equal(r.bhs[2], REJECT_PROTOCOL);
		p.cmdsn--;
	}
	peer_alive(&p);
	peer_close(&p);
}

/* A list of targets longer than a segment: C, tags, and every octet once. */
static void many_targets(void **state)
{
	size_t segment = (size_t)(uintptr_t)*state, got = 0, len = 200 * 64;
	char *list = malloc(len), *seen = malloc(len), keys[64];
	struct peer p = {.targets = list, .targets_len = len};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;
	int n;

	assert_non_null(list);
	assert_non_null(seen);
	for (size_t at = 0; at < len; at++)
		list[at] = (char)(at % 64 == 63 ? 0 : 'a' + at % 26);
	peer_open(&p);
	peer_authenticate(&p, KEYS(DISCOVERY_NAMES));
	n = snprintf(keys, sizeof keys, "MaxRecvDataSegmentLength=%zu", segment);
	peer_negotiate(&p, keys, (size_t)n + 1, &r);
	text_bhs(&p, bhs, FLAG_FINAL, TAG_NONE);
	assert_true(peer_send(&p, bhs, KEYS("SendTargets=All")));
	for (;;) {
		peer_expect(&p, &r, OP_TEXT_RESPONSE);
		assert_true(r.len <= segment && got + r.len <= len);
		memcpy(seen + got, r.data, r.len);
		got += r.len;
		if (r.flags == FLAG_FINAL)
			break;
		assert_int_equal(r.flags, FLAG_CONTINUE);
		assert_int_not_equal(reply_u32(&r, BHS_TTT), TAG_NONE);
		text_bhs(&p, bhs, FLAG_FINAL, reply_u32(&r, BHS_TTT));
		assert_true(peer_send(&p, bhs, NULL, 0));
	}
	assert_int_equal(got, len);
	assert_memory_equal(seen, list, len);
	peer_alive(&p);
	peer_close(&p);
	free(list);
	free(seen);
}

/* The request itself split by the C bit, at every octet. */
static void request_continued(void **state)
{
	static const char text[] = "InitiatorAlias=me\0SendTargets=All";

	(void)state;
	for (size_t cut = 0; cut <= sizeof text; cut++) {
		struct peer p = {.targets = ONE_TARGET, .targets_len = sizeof ONE_TARGET};
		uint8_t bhs[ISCSI_BHS_SIZE];
		struct reply r;

		peer_up_discovery(&p);
		text_bhs(&p, bhs, FLAG_CONTINUE, TAG_NONE);
		assert_true(peer_send(&p, bhs, text, cut));
		peer_expect(&p, &r, OP_TEXT_RESPONSE);
		assert_int_equal(r.flags, 0);
		assert_int_equal(r.len, 0);
		assert_int_not_equal(reply_u32(&r, BHS_TTT), TAG_NONE);
		text_bhs(&p, bhs, FLAG_FINAL, reply_u32(&r, BHS_TTT));
		assert_true(peer_send(&p, bhs, text + cut, sizeof text - cut));
		peer_expect(&p, &r, OP_TEXT_RESPONSE);
		assert_int_equal(r.flags, FLAG_FINAL);
		assert_memory_equal(r.data, ONE_TARGET, sizeof ONE_TARGET);
		peer_close(&p);
	}
}

static void more_to_negotiate(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	text_bhs(&p, bhs, 0, TAG_NONE); /* F=0: RFC 7143 section 11.10.1 */
	assert_true(peer_send(&p, bhs, KEYS("Foo=1")));
	peer_expect(&p, &r, OP_TEXT_RESPONSE);
	assert_int_equal(r.flags, 0);
	assert_string_equal((const char *)r.data, "Foo=NotUnderstood");
	text_bhs(&p, bhs, FLAG_FINAL, reply_u32(&r, BHS_TTT));
	assert_true(peer_send(&p, bhs, KEYS("MaxRecvDataSegmentLength=512")));
	peer_expect(&p, &r, OP_TEXT_RESPONSE);
	assert_int_equal(r.flags, FLAG_FINAL);
	assert_int_equal(r.len, 0);
	rw_bhs(&p, bhs, FLAG_READ | FLAG_FINAL, 1024, 2); /* the declaration counts from now on */
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_DATA_IN);
	assert_int_equal(r.len, 512);
	peer_close(&p);
}

static void request_without_end(void **state)
{
	size_t len = (size_t)(uintptr_t)*state;
	static const char junk[65536] = {'A'};
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	uint32_t ttt = TAG_NONE;
	struct reply r = {0};
	unsigned sent = 0;

	peer_up_discovery(&p);
	for (; sent < 1000; sent++) {
		text_bhs(&p, bhs, FLAG_CONTINUE, ttt);
		assert_true(peer_send(&p, bhs, junk, len));
		assert_true(peer_next(&p, &r));
		ttt = reply_u32(&r, BHS_TTT);
		if (r.opcode == OP_REJECT)
			break;
	}
	assert_true(sent < 200);
	p.cmdsn--;
	peer_alive(&p);
	peer_close(&p);
}

static void new_request_ends_the_old(void **state)
{
	struct peer p = {.targets = ONE_TARGET, .targets_len = sizeof ONE_TARGET};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	peer_up_discovery(&p);
	text_bhs(&p, bhs, FLAG_CONTINUE, TAG_NONE);
	assert_true(peer_send(&p, bhs, "Send", 4));
	peer_expect(&p, &r, OP_TEXT_RESPONSE);
	text_bhs(&p, bhs, FLAG_CONTINUE, reply_u32(&r, BHS_TTT) + 0x100); /* a wrong tag */
	assert_true(peer_send(&p, bhs, "SendTargets=A", 13));
	peer_expect(&p, &r, OP_REJECT);
	p.cmdsn--;
	text_bhs(&p, bhs, FLAG_CONTINUE, TAG_NONE);
	assert_true(peer_send(&p, bhs, "Send", 4));
	peer_expect(&p, &r, OP_TEXT_RESPONSE);
	text_bhs(&p, bhs, FLAG_FINAL, TAG_NONE);
	assert_true(peer_send(&p, bhs, KEYS("SendTargets=All")));
	peer_expect(&p, &r, OP_TEXT_RESPONSE);
	assert_memory_equal(r.data, ONE_TARGET, sizeof ONE_TARGET);
	text_bhs(&p, bhs, FLAG_FINAL, 0x100); /* a tag of the old one */
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_REJECT);
	p.cmdsn--;
	peer_alive(&p);
	peer_close(&p);
}

/* --- what is rejected --- */

static const struct opcode_row {
	const char *why;
	uint8_t opcode, flags;
	bool discovery;
	int reason; /* -1: not rejected */
} opcodes[] = {
	{"11.17 a Login after the login is a protocol error", OP_LOGIN, 0x87, false,
	 REJECT_PROTOCOL},
	{"11.16 SNACK is rejected at level 0", OP_SNACK, FLAG_FINAL, false, REJECT_SNACK},
	{"11.17 opcode 07h is not supported", 0x07, FLAG_FINAL, false, REJECT_NOT_SUPPORTED},
	{"11.17 the vendor's opcode 1Ch is not supported", 0x1c, FLAG_FINAL, false,
	 REJECT_NOT_SUPPORTED},
	{"11.17 a target's opcode is not supported", OP_NOP_IN, FLAG_FINAL, false,
	 REJECT_NOT_SUPPORTED},
	{"11.17 a Reject is not supported", OP_REJECT, FLAG_FINAL, false, REJECT_NOT_SUPPORTED},
	{"13.21 P1: SCSI Command in discovery is rejected", OP_SCSI_COMMAND, FLAG_FINAL, true,
	 REJECT_NOT_SUPPORTED},
	{"13.21 P1: task management in discovery is rejected", OP_TMF, FLAG_FINAL | TMF_LUN_RESET,
	 true, REJECT_NOT_SUPPORTED},
	{"13.21 P1: Data-Out in discovery is rejected", OP_DATA_OUT, FLAG_FINAL, true,
	 REJECT_NOT_SUPPORTED},
	{"11.3.1 a command with neither F nor W", OP_SCSI_COMMAND, 0, false, REJECT_PROTOCOL},
	{"11.3.1 a command with task attribute 7", OP_SCSI_COMMAND, FLAG_FINAL | 7, false,
	 REJECT_INVALID_FIELD},
	{"11.5 task management without F", OP_TMF, TMF_LUN_RESET, false, REJECT_INVALID_FIELD},
	{"11.14 Logout without F", OP_LOGOUT, 0, false, REJECT_INVALID_FIELD},
	{"11.10 Text with F and C", OP_TEXT, FLAG_FINAL | FLAG_CONTINUE, false, REJECT_PROTOCOL},
};

static void rejected(void **state)
{
	const struct opcode_row *row = *state;
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	if (row->discovery)
		peer_up_discovery(&p);
	else
		peer_up(&p, KEYS(KEYS_USUAL));
	bhs_start(bhs, row->opcode, row->flags, 5);
	bhs_u32(bhs, BHS_CMDSN, p.cmdsn);
	bhs_u32(bhs, BHS_TTT, row->opcode == OP_TEXT ? TAG_NONE : 0);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_REJECT);
	assert_int_equal(r.bhs[2], row->reason);
	assert_int_equal(reply_u32(&r, BHS_ITT), TAG_NONE);
	assert_int_equal(r.len, ISCSI_BHS_SIZE);
	assert_memory_equal(r.data, bhs, ISCSI_BHS_SIZE);
	assert_int_equal(reply_u32(&r, BHS_EXPCMDSN), p.cmdsn); /* not received: section 7.3 */
	assert_int_equal(p.commands, 0);
	peer_alive(&p);
	peer_close(&p);
}

static void tag_in_use(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	command_bhs(&p, bhs, FLAG_FINAL, 0, CDB_PARKED);
	assert_true(peer_send(&p, bhs, NULL, 0));
	p.itt--;
	command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_REJECT);
	assert_int_equal(r.bhs[2], REJECT_PROTOCOL);
	p.cmdsn--;
	assert_int_equal(p.commands, 1);
	peer_respond(&p, p.parked[0], 0, 0, 0);
	peer_drain(&p);
	peer_expect(&p, &r, OP_SCSI_RESPONSE);
	command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
	bhs_u32(bhs, BHS_ITT, p.itt - 1); /* free again */
	assert_true(peer_send(&p, bhs, NULL, 0));
	peer_expect(&p, &r, OP_SCSI_RESPONSE);
	peer_close(&p);
}

static void segment_too_long(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	const char *detail;

	peer_up(&p, KEYS(KEYS_USUAL));
	nop_bhs(&p, bhs, true);
	bhs[0] = (uint8_t)(uintptr_t)*state | OPCODE_IMMEDIATE;
	put_be(bhs + 5, 3, 262145);
	assert_int_equal(peer_feed(&p, bhs, sizeof bhs), sizeof bhs);
	assert_int_equal(iscsi_ended(p.c, &detail), ISCSI_END_MALFORMED);
	assert_non_null(strstr(detail, "262145"));
	peer_close(&p);
}

/* --- additional headers --- */

static const struct ahs_row {
	const char *why;
	uint8_t opcode;
	uint8_t words;
	uint8_t bytes[16];
	int reason; /* -1: the command is carried out */
	size_t cdb_len;
} headers[] = {
	{"11.2.2 an extended CDB of 20 octets",
	 OP_SCSI_COMMAND,
	 2,
	 {0, 5, 1, 0, 'a', 'b', 'c', 'd'},
	 -1,
	 20},
	{"11.2.2 an extended CDB of 17 octets", OP_SCSI_COMMAND, 2, {0, 2, 1, 0, 'a'}, -1, 17},
	{"11.2.2 a bidirectional length is read over",
	 OP_SCSI_COMMAND,
	 2,
	 {0, 5, 2, 0, 0, 0, 2, 0},
	 -1,
	 16},
	{"11.2.2 both",
	 OP_SCSI_COMMAND,
	 4,
	 {0, 5, 2, 0, 0, 0, 2, 0, 0, 5, 1, 0, 'a', 'b', 'c', 'd'},
	 -1,
	 20},
	{"11.2.2 an extended CDB twice",
	 OP_SCSI_COMMAND,
	 4,
	 {0, 5, 1, 0, 1, 1, 1, 1, 0, 5, 1, 0, 'a', 'b', 'c', 'd'},
	 REJECT_INVALID_FIELD,
	 0},
	{"11.2.2 an additional header that is longer than there is",
	 OP_SCSI_COMMAND,
	 2,
	 {0, 6, 1, 0, 'a', 'b', 'c', 'd'},
	 REJECT_INVALID_FIELD,
	 0},
	{"11.2.2 an additional header of FFFFh octets",
	 OP_SCSI_COMMAND,
	 2,
	 {0xff, 0xff, 1, 0, 'a', 'b', 'c', 'd'},
	 REJECT_INVALID_FIELD,
	 0},
	{"11.2.2 an additional header of no octets",
	 OP_SCSI_COMMAND,
	 1,
	 {0, 0, 1, 0},
	 REJECT_INVALID_FIELD,
	 0},
	{"11.2.2 an additional header of an unknown type",
	 OP_SCSI_COMMAND,
	 2,
	 {0, 5, 9, 0},
	 REJECT_INVALID_FIELD,
	 0},
	{"11.2.2 a bidirectional length of 3 octets",
	 OP_SCSI_COMMAND,
	 2,
	 {0, 4, 2, 0},
	 REJECT_INVALID_FIELD,
	 0},
	{"11.2.2 additional headers on a ping",
	 OP_NOP_OUT,
	 1,
	 {0, 1, 1, 0},
	 REJECT_INVALID_FIELD,
	 0},
};

static void additional_headers(void **state)
{
	const struct ahs_row *row = *state;
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	peer_up(&p, KEYS("HeaderDigest=CRC32C"));
	command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
	bhs[0] = row->opcode;
	bhs[4] = row->words;
	assert_true(peer_send_ahs(&p, bhs, row->bytes, NULL, 0));
	peer_expect(&p, &r, row->reason < 0 ? OP_SCSI_RESPONSE : OP_REJECT);
	if (row->reason >= 0) {
		assert_int_equal(r.bhs[2], row->reason);
		p.cmdsn--;
	} else {
		assert_int_equal(p.last_cdb_len, row->cdb_len);
		if (row->cdb_len > 16)
			assert_int_equal(p.last_cdb[16], 'a');
	}
	peer_alive(&p);
	peer_close(&p);
}

/* Extended CDBs of every length that a header can claim. */
static void every_cdb_length(void **state)
{
	static uint8_t ahs[AHS_MAX];
	struct peer p = {0};
	struct reply r;

	(void)state;
	peer_up(&p, KEYS(KEYS_USUAL));
	for (size_t extra = 1; extra < 1010; extra++) {
		uint8_t bhs[ISCSI_BHS_SIZE];
		bool fits = extra <= ISCSI_CDB_MAX - 16;

		command_bhs(&p, bhs, FLAG_FINAL, 0, 0);
		bhs[4] = (uint8_t)((4 + extra + 3) / 4);
		put_be(ahs, 2, extra + 1);
		ahs[2] = 1;
		assert_true(peer_send_ahs(&p, bhs, ahs, NULL, 0));
		peer_expect(&p, &r, fits ? OP_SCSI_RESPONSE : OP_REJECT);
		if (fits)
			assert_int_equal(p.last_cdb_len, 16 + extra);
		else
			p.cmdsn--;
	}
	peer_close(&p);
}

/* --- garbage --- */

/* Every opcode with every flag octet, in normal and discovery sessions: never a hang, never a
 * command carried out in discovery. */
static void every_opcode(void **state)
{
	bool discovery = *state != NULL;
	struct peer p = {0};
	struct reply r;

	if (discovery)
		peer_up_discovery(&p);
	else
		peer_up(&p, KEYS(KEYS_USUAL));
	for (unsigned n = 0; n < 256 * 64; n++) {
		uint8_t bhs[ISCSI_BHS_SIZE];
		unsigned opcode = n / 256;

		if (opcode == OP_LOGOUT ||
		    (opcode == OP_TMF && (n & 0x7f) == TMF_TARGET_COLD_RESET))
			continue;
		bhs_start(bhs, (enum opcode)opcode, (uint8_t)n, n + 1);
		bhs_u32(bhs, BHS_TTT, n % 3 ? TAG_NONE : n);
		bhs[0] |= OPCODE_IMMEDIATE;
		bhs_u32(bhs, BHS_CMDSN, p.cmdsn);
		assert_true(peer_send(&p, bhs, "A=1", 4));
		while (peer_next(&p, &r))
			;
		p.out_at = p.out_len = 0;
		assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_NONE);
	}
	assert_true(!discovery || p.commands == 0);
	peer_alive(&p);
	peer_close(&p);
}

/* Every PDU type, cut at every octet: nothing happens before it is whole. */
static void every_truncation(void **state)
{
	static const uint8_t types[] = {OP_NOP_OUT,  OP_SCSI_COMMAND, OP_TMF,	OP_TEXT,
					OP_DATA_OUT, OP_LOGOUT,	      OP_SNACK, OP_LOGIN};
	struct peer p = {0};
	uint8_t wire[256];

	(void)state;
	for (size_t n = 0; n < ARRAY_LEN(types); n++) {
		uint8_t bhs[ISCSI_BHS_SIZE];
		size_t len, before;

		p = (struct peer){0};
		peer_up(&p, KEYS("HeaderDigest=CRC32C\0DataDigest=CRC32C"));
		bhs_start(bhs, (enum opcode)types[n], FLAG_FINAL | FLAG_WRITE, 5);
		bhs_u32(bhs, BHS_CMDSN, p.cmdsn);
		bhs_u32(bhs, BHS_TTT, TAG_NONE);
		len = peer_wire(&p, bhs, (struct body){NULL, "abcde", 5}, wire);
		before = p.out_len;
		for (size_t at = 0; at + 1 < len; at++) {
			assert_int_equal(peer_feed(&p, wire + at, 1), 1);
			peer_drain(&p);
			assert_int_equal(p.out_len, before);
			assert_int_equal(p.commands, 0);
		}
		assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_NONE);
		peer_close(&p);
	}
}

/* A conversation fed whole and fed octet by octet gives the same octets back. */
static void same_answers(void **state)
{
	uint8_t bhs[ISCSI_BHS_SIZE], data[2000] = {1, 2, 3};
	struct peer p[2] = {{.targets = ONE_TARGET, .targets_len = sizeof ONE_TARGET},
			    {.targets = ONE_TARGET, .targets_len = sizeof ONE_TARGET, .drip = 1}};

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		peer_up(&p[n], KEYS(KEYS_USUAL "\0HeaderDigest=CRC32C\0DataDigest=CRC32C"));
		rw_bhs(&p[n], bhs, FLAG_WRITE | FLAG_FINAL, 1536, 3);
		assert_true(peer_send(&p[n], bhs, data, 1536));
		text_bhs(&p[n], bhs, FLAG_FINAL, TAG_NONE);
		assert_true(peer_send(&p[n], bhs, KEYS("SendTargets=\0Foo=1")));
		rw_bhs(&p[n], bhs, FLAG_READ | FLAG_FINAL, 70000, 100);
		assert_true(peer_send(&p[n], bhs, NULL, 0));
		data_out_bhs(&p[n], bhs, (struct out_place){true, 5, 0, 0});
		assert_true(peer_send(&p[n], bhs, data, 1999));
		tmf_bhs(&p[n], bhs, TMF_LUN_RESET, 0, 0);
		assert_true(peer_send(&p[n], bhs, NULL, 0));
	}
	assert_int_equal(p[0].out_len, p[1].out_len);
	assert_memory_equal(p[0].out, p[1].out, p[0].out_len);
	peer_close(&p[0]);
	peer_close(&p[1]);
}

static void add_text(struct tests *t)
{
	TESTS_ADD_TABLE(t, texts, text_requests);
	tests_add(t, "Appendix C a list of targets in segments of 512 octets", many_targets,
		  (void *)512);
	tests_add(t, "Appendix C a list of targets in segments of 8191 octets", many_targets,
		  (void *)8191);
	tests_add(t, "Appendix C a list of targets in one segment", many_targets, (void *)65536);
	tests_add(t, "11.10 a Text Request split by the C bit at every octet", request_continued,
		  NULL);
	tests_add(t, "11.11 F=0: the negotiation goes on", more_to_negotiate, NULL);
	tests_add(t, "6.2 P6: a Text Request without end and without data is rejected",
		  request_without_end, (void *)0);
	tests_add(t, "6.1 P6: a Text Request of more than 64 KiB is rejected", request_without_end,
		  (void *)60000);
	tests_add(t, "11.10 a new Text Request ends the old one", new_request_ends_the_old, NULL);
}

int main(void)
{
	static struct tests t;

	add_text(&t);
	TESTS_ADD_TABLE(&t, opcodes, rejected);
	tests_add(&t, "11.2.1.8 a task tag that is in use is rejected, and may be used again later",
		  tag_in_use, NULL);
	tests_add(&t, "13.12 a ping longer than we declared ends the connection", segment_too_long,
		  (void *)OP_NOP_OUT);
	tests_add(&t, "13.12 a command's data longer than we declared ends the connection",
		  segment_too_long, (void *)OP_SCSI_COMMAND);
	tests_add(&t, "13.12 Data-Out longer than we declared ends the connection",
		  segment_too_long, (void *)OP_DATA_OUT);
	TESTS_ADD_TABLE(&t, headers, additional_headers);
	tests_add(&t, "11.2.2 extended CDBs of every length", every_cdb_length, NULL);
	tests_add(&t, "11.2.1.2 every opcode with every flag octet", every_opcode, NULL);
	tests_add(&t, "13.21 P1: every opcode with every flag octet in discovery", every_opcode,
		  (void *)1);
	tests_add(&t, "11.1 every PDU cut at every octet waits for the rest", every_truncation,
		  NULL);
	tests_add(&t, "11.1 fed whole or octet by octet: the same answers", same_answers, NULL);
	return tests_run(&t, "iscsi full feature");
}

/* What strangers send instead of a Login: other PDUs, giants, scans, pieces. No answer
 * tells them what is here. */
#include "tests/protocol/iscsi_peer.h"

#define SEC0 STAGES(0, 0)

static void silent_end(struct peer *p)
{
	const char *detail;

	assert_int_equal(iscsi_ended(p->c, &detail), ISCSI_END_MALFORMED);
	assert_true(strlen(detail) > 10);
	peer_drain(p);
	assert_int_equal(p->out_len, 0);
	assert_int_equal(p->names_calls, 0);
}

static void other_first_opcodes(void **state)
{
	(void)state;
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		struct peer p = {0};
		uint8_t bhs[ISCSI_BHS_SIZE];

		if ((opcode & OPCODE_MASK) == OP_LOGIN)
			continue;
		peer_open(&p);
		login_bhs(&p, bhs, SEC0);
		bhs[0] = (uint8_t)opcode;
		(void)peer_send(&p, bhs, NULL, 0);
		silent_end(&p);
		peer_close(&p);
	}
}

static void other_opcodes_in_login(void **state)
{
	(void)state;
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		struct peer p = {0};
		uint8_t bhs[ISCSI_BHS_SIZE];

		if ((opcode & OPCODE_MASK) == OP_LOGIN)
			continue;
		peer_open(&p);
		assert_true(peer_login_text(&p, SEC0, KEYS(LOGIN_NAMES)));
		login_bhs(&p, bhs, SEC0);
		bhs[0] = (uint8_t)opcode;
		(void)peer_send(&p, bhs, NULL, 0);
		assert_int_equal(last_status(&p), 0x020b);
		assert_int_equal(p.commands, 0);
		peer_close(&p);
	}
}

static const struct {
	const char *why;
	uint32_t data_len;
	uint8_t ahs;
} giants[] = {
	{"6.3 P6: a first PDU with DataSegmentLength FFFFFFh and AHS 255 is closed at once",
	 0xffffff, 255},
	{"6.3 P6: a first PDU with DataSegmentLength 8193 is closed at once", 8193, 0},
	{"6.3 P6: a first PDU with one word of AHS is closed at once", 100, 1},
};

static void giant(void **state)
{
	const typeof(giants[0]) *row = *state;
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];

	peer_open(&p);
	login_bhs(&p, bhs, SEC0);
	put_be(bhs + 5, 3, row->data_len);
	bhs[4] = row->ahs;
	assert_int_equal(peer_feed(&p, bhs, sizeof bhs), sizeof bhs);
	silent_end(&p);
	assert_int_equal(iscsi_rx_space(p.c, (struct iovec[1]){0}, 1), 0);
	peer_close(&p);
}

static void a_full_segment(void **state)
{
	static char text[8192];
	struct peer p = {0};
	struct reply r;

	(void)state;
	memcpy(text, LOGIN_NAMES, sizeof LOGIN_NAMES);
	peer_open(&p);
	assert_true(peer_login_text(&p, SEC0, text, sizeof text));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_string_equal(reply_value(&r, "AuthMethod"), "CHAP");
	peer_close(&p);
}

/* What port scanners send. */
static const struct {
	const char *why, *bytes;
	size_t len;
} scans[] = {
	{"6.3.1 a port scanner's HTTP request is closed without an answer",
	 KEYS("GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\nAccept: */*\r\n\r\n")},
	{"6.3.1 a TLS client hello is closed without an answer",
	 KEYS("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	      "0123456789012345678901234567890123456789")},
	{"6.3.1 48 octets of FFh are closed without an answer",
	 KEYS("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	      "\xff\xff\xff\xff\xff\xff")},
};

static void scanned(void **state)
{
	const typeof(scans[0]) *row = *state;
	struct peer p = {0};

	peer_open(&p);
	(void)peer_feed(&p, row->bytes, row->len);
	silent_end(&p);
	peer_close(&p);
}

/* Less than a header: nothing happens, whatever the length. */
static void truncated(void **state)
{
	(void)state;
	for (size_t len = 0; len < ISCSI_BHS_SIZE + 20; len++) {
		struct peer p = {0};
		uint8_t wire[ISCSI_BHS_SIZE + 20] = {0};

		peer_open(&p);
		login_bhs(&p, wire, SEC0);
		put_be(wire + 5, 3, 20);
		assert_int_equal(peer_feed(&p, wire, len), len);
		peer_drain(&p);
		assert_int_equal(p.out_len, 0);
		assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_NONE);
		peer_close(&p);
	}
}

int main(void)
{
	static struct tests t;

	tests_add(&t, "6.3.1 every other opcode as the first PDU: closed without an answer",
		  other_first_opcodes, NULL);
	tests_add(&t, "11.13.5 every other opcode within the login: 020Bh", other_opcodes_in_login,
		  NULL);
	TESTS_ADD_TABLE(&t, giants, giant);
	tests_add(&t, "13.12 a first PDU with 8192 octets of data is read", a_full_segment, NULL);
	TESTS_ADD_TABLE(&t, scans, scanned);
	tests_add(&t, "11.1 a Login cut at any octet waits for the rest", truncated, NULL);
	return tests_run(&t, "iscsi strangers");
}

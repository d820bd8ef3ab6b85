/* CHAP's values in the login phase, RFC 7143 section 12.1.3: which keys at which step, how
 * they may be written, how long they may be, and where they go. */
#include "tests/protocol/iscsi_peer.h"

#include <stdio.h>

#define SEC0  STAGES(0, 0)
#define TO_OP (LOGIN_T | STAGES(0, 1))

static const struct chap_row {
	const char *why;
	const char *offer;
	const char *proof; /* NULL: the login does not get so far */
	size_t len;
	unsigned status;
} chaps[] = {
	{"12.1.3 CHAP_A=5", "5", KEYS(CHAP_ANSWER), 0},
	{"12.1.3 CHAP_A is a list in the initiator's order", "8,7,6,5", KEYS(CHAP_ANSWER), 0},
	{"12.1.3 CHAP_A in hex", "0x5", KEYS(CHAP_ANSWER), 0},
	{"12.1.3 an empty CHAP_A", "", NULL, 0, 0x0201},
	{"12.1.3 CHAP_A=5,,6", "5,,6", NULL, 0, 0x0201},
	{"12.1.3 CHAP_A that is no number", "MD5", NULL, 0, 0x0201},
	{"12.1.3 CHAP_A above 255", "256", NULL, 0, 0x0201},
	{"12.1.3 one-way CHAP", "5", KEYS(CHAP_ANSWER), 0},
	{"12.1.3 mutual CHAP", "5", KEYS(CHAP_MUTUAL), 0},
	{"12.1.3 CHAP_I=0", "5", KEYS(CHAP_ANSWER "\0CHAP_I=0\0CHAP_C=0x01"), 0},
	{"12.1.3 CHAP_I=255", "5", KEYS(CHAP_ANSWER "\0CHAP_I=255\0CHAP_C=0x01"), 0},
	{"12.1.3 CHAP_I=0xff", "5", KEYS(CHAP_ANSWER "\0CHAP_I=0xff\0CHAP_C=0x01"), 0},
	{"12.1.3 CHAP_I=256", "5", KEYS(CHAP_ANSWER "\0CHAP_I=256\0CHAP_C=0x01"), 0x0201},
	{"12.1.3 CHAP_I=0x100", "5", KEYS(CHAP_ANSWER "\0CHAP_I=0x100\0CHAP_C=0x01"), 0x0201},
	{"12.1.3 CHAP_I=-1", "5", KEYS(CHAP_ANSWER "\0CHAP_I=-1\0CHAP_C=0x01"), 0x0201},
	{"12.1.3 an empty CHAP_I", "5", KEYS(CHAP_ANSWER "\0CHAP_I=\0CHAP_C=0x01"), 0x0201},
	{"12.1.3 CHAP_I without CHAP_C", "5", KEYS(CHAP_ANSWER "\0CHAP_I=1"), 0x0201},
	{"12.1.3 CHAP_C without CHAP_I", "5", KEYS(CHAP_ANSWER "\0CHAP_C=0x01"), 0x0201},
	{"12.1.3 an empty CHAP_C", "5", KEYS(CHAP_ANSWER "\0CHAP_I=1\0CHAP_C="), 0x0201},
	{"12.1.3 CHAP_C=0x", "5", KEYS(CHAP_ANSWER "\0CHAP_I=1\0CHAP_C=0x"), 0x0201},
	{"12.1.3 CHAP_N without CHAP_R", "5", KEYS("CHAP_N=alice"), 0x0201},
	{"12.1.3 CHAP_R without CHAP_N", "5", KEYS("CHAP_R=0x00"), 0x0201},
	{"12.1.3 an empty CHAP_N", "5", KEYS("CHAP_N=\0CHAP_R=0x00"), 0x0201},
	{"12.1.3 an empty CHAP_R", "5", KEYS("CHAP_N=alice\0CHAP_R="), 0x0201},
	{"12.1.3 CHAP_R without a prefix", "5", KEYS("CHAP_N=alice\0CHAP_R=00ff"), 0x0201},
	{"12.1.3 CHAP_R with odd digits", "5", KEYS("CHAP_N=alice\0CHAP_R=0x001"), 0x0201},
	{"12.1.3 CHAP_R with bad digits", "5", KEYS("CHAP_N=alice\0CHAP_R=0x0g"), 0x0201},
	{"12.1.3 CHAP_R in base64", "5", KEYS("CHAP_N=alice\0CHAP_R=0bAAECAwQFBgcICQoLDA0ODw=="),
	 0},
	{"12.1.3 CHAP_R in bad base64", "5", KEYS("CHAP_N=alice\0CHAP_R=0b!!!!"), 0x0201},
	{"12.1.3 CHAP_A again instead of the answer", "5", KEYS("CHAP_A=7"), 0x0200},
	{"12.1.3 CHAP_N twice", "5", KEYS("CHAP_N=a\0CHAP_N=b\0CHAP_R=0x00"), 0x0200},
	{"12.1.3 nothing at all, without T: it waits", "5", "", 0, 0},
};

static void chap_values(void **state)
{
	const struct chap_row *row = *state;
	struct peer p = {0};
	char offer[64];
	int n = snprintf(offer, sizeof offer, "CHAP_A=%s", row->offer);

	peer_open(&p);
	assert_true(peer_login_text(&p, SEC0, KEYS(LOGIN_NAMES)));
	assert_true(peer_login_text(&p, SEC0, offer, (size_t)n + 1));
	if (row->proof)
		assert_true(peer_login_text(&p, SEC0, row->proof, row->len));
	assert_int_equal(last_status(&p), row->status);
	assert_false(iscsi_is_full_feature(p.i));
	if (row->status == 0 && row->len > 0)
		assert_int_equal(p.proof_calls, 1);
	peer_close(&p);
}

/* CHAP_R and CHAP_C of any length, in hex: never more than their places take. */
static void chap_lengths(void **state)
{
	const char *key = *state;
	size_t most = strcmp(key, "CHAP_R") == 0 ? 64 : ISCSI_CHAP_BYTES_MAX;

	for (size_t octets = 1; octets <= 3000; octets += octets < 70 ? 1 : 119) {
		struct peer p = {0};
		char *text = calloc(1, 8192);
		size_t at = 0;

		assert_non_null(text);
		peer_open(&p);
		assert_true(peer_login_text(&p, SEC0, KEYS(LOGIN_NAMES)));
		assert_true(peer_login_text(&p, SEC0, KEYS("CHAP_A=5")));
		at += (size_t)snprintf(text, 100, "CHAP_N=alice") + 1;
		if (most != 64)
			at += (size_t)snprintf(text + at, 100, "CHAP_R=0x00") + 1;
		if (most != 64)
			at += (size_t)snprintf(text + at, 100, "CHAP_I=1") + 1;
		at += (size_t)snprintf(text + at, 100, "%s=0x", key);
		memset(text + at, '7', octets * 2);
		assert_true(peer_login_text(&p, SEC0, text, at + octets * 2 + 1));
		assert_int_equal(last_status(&p), octets > most ? 0x0201 : 0);
		peer_close(&p);
		free(text);
	}
}

static void chap_is_handed_on(void **state)
{
	struct peer p = {.algorithm = 0};
	struct reply r;

	(void)state;
	peer_open(&p);
	p.algorithm = 7;
	assert_true(peer_login_text(&p, SEC0, KEYS(LOGIN_NAMES)));
	assert_true(peer_login_text(&p, SEC0, KEYS("CHAP_A=8,7,5")));
	assert_int_equal(p.offered_count, 3);
	assert_int_equal(p.offered[0], 8);
	assert_int_equal(p.offered[2], 5);
	(void)peer_next(&p, &r);
	assert_string_equal(reply_value(&r, "TargetPortalGroupTag"), "1");
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_string_equal(reply_value(&r, "CHAP_A"), "7");
	assert_string_equal(reply_value(&r, "CHAP_I"), "254");
	assert_memory_equal(reply_value(&r, "CHAP_C"), "0x112233fe0000", 14);
	assert_null(reply_value(&r, "TargetPortalGroupTag"));
	assert_true(peer_login_text(&p, TO_OP, KEYS(CHAP_MUTUAL)));
	assert_string_equal(p.proof.name, "alice");
	assert_int_equal(p.proof.response_len, 16);
	assert_int_equal(p.proof.response[1], 0x11);
	assert_true(p.proof.has_challenge);
	assert_int_equal(p.proof.id, 7);
	assert_int_equal(p.proof.challenge_len, 8);
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_string_equal(reply_value(&r, "CHAP_N"), "gw");
	assert_memory_equal(reply_value(&r, "CHAP_R"), "0xaabbcc00", 10);
	peer_close(&p);
}

static void base64_is_answered_in_base64(void **state)
{
	struct peer p = {0};
	struct reply r;

	(void)state;
	peer_open(&p);
	assert_true(peer_login_text(&p, SEC0, KEYS(LOGIN_NAMES)));
	assert_true(peer_login_text(&p, SEC0, KEYS("CHAP_A=5")));
	assert_true(peer_login_text(&p, TO_OP,
				    KEYS("CHAP_N=alice\0CHAP_R=0x00\0CHAP_I=1\0CHAP_C=0bAAEC")));
	while (peer_next(&p, &r))
		;
	assert_memory_equal(reply_value(&r, "CHAP_R"), "0bqrvM", 6);
	assert_int_equal(p.proof.challenge_len, 3);
	peer_close(&p);
}

static void no_algorithm(void **state)
{
	struct peer p = {0};

	(void)state;
	peer_open(&p);
	p.algorithm = 0;
	assert_true(peer_login_text(&p, SEC0, KEYS(LOGIN_NAMES)));
	assert_true(peer_login_text(&p, SEC0, KEYS("CHAP_A=5")));
	assert_int_equal(last_status(&p), 0x0201);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, chaps, chap_values);
	tests_add(&t, "12.1.3 CHAP_R of 1 to 3000 octets never leaves its place", chap_lengths,
		  "CHAP_R");
	tests_add(&t, "12.1.3 CHAP_C of 1 to 3000 octets never leaves its place", chap_lengths,
		  "CHAP_C");
	tests_add(&t, "12.1.3 CHAP's values reach the host and come back as it says",
		  chap_is_handed_on, NULL);
	tests_add(&t, "12.1.3 a challenge in base64 is answered in base64",
		  base64_is_answered_in_base64, NULL);
	tests_add(&t, "12.1.3 no algorithm in common is 0201h", no_algorithm, NULL);
	return tests_run(&t, "iscsi chap");
}

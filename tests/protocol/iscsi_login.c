/* The login phase, RFC 7143 sections 6.3, 11.12 and 11.13: legal and illegal paths
 * with their statuses, and text in pieces. */
#include "tests/protocol/iscsi_peer.h"

#include <stdio.h>

#define NAMES_ONLY "InitiatorName=" NAME_I "\0TargetName=" NAME_T
#define SEC0	   STAGES(0, 0)
#define TO_OP	   (LOGIN_T | STAGES(0, 1))
#define TO_FULL	   (LOGIN_T | STAGES(1, 3))

/* --- the first request ---------------------------------------------------------------------- */

static const struct first_row {
	const char *why;
	uint8_t flags;
	const char *text;
	size_t len;
	unsigned status; /* of the answer; 0: the login goes on */
} firsts[] = {
	{"6.3 names and AuthMethod=CHAP: it goes on", SEC0, KEYS(LOGIN_NAMES), 0},
	{"6.3 T from the security stage, before CHAP: it goes on, without T", TO_OP,
	 KEYS(LOGIN_NAMES), 0},
	{"6.3 T from security to full feature, before CHAP: it goes on, without T",
	 LOGIN_T | STAGES(0, 3), KEYS(LOGIN_NAMES), 0},
	{"6.3 names alone: it goes on", SEC0, KEYS(NAMES_ONLY), 0},
	{"12.1 P1: AuthMethod=None alone is refused", SEC0, KEYS(NAMES_ONLY "\0AuthMethod=None"),
	 0x0201},
	{"12.1 P1: AuthMethod=KRB5,SRP is refused", SEC0, KEYS(NAMES_ONLY "\0AuthMethod=KRB5,SRP"),
	 0x0201},
	{"12.1 P1: AuthMethod=CHAPS is no CHAP", SEC0, KEYS(NAMES_ONLY "\0AuthMethod=CHAPS"),
	 0x0201},
	{"6.3.1 P1: a login that starts in the operational stage is refused", TO_FULL,
	 KEYS(NAMES_ONLY), 0x0201},
	{"6.3.1 P1: the same without T", STAGES(1, 0), KEYS(NAMES_ONLY), 0x0201},
	{"6.3.1 P1: discovery that starts in the operational stage is refused", TO_FULL,
	 KEYS("InitiatorName=" NAME_I "\0SessionType=Discovery"), 0x0201},
	{"6.3.2 P1: T without any AuthMethod is refused", TO_OP, KEYS(NAMES_ONLY), 0x0201},
	{"12.1.3 CHAP_A before AuthMethod was answered is refused", SEC0,
	 KEYS(LOGIN_NAMES "\0CHAP_A=5"), 0x0201},
	{"12.1.3 CHAP_N and CHAP_R out of the blue are refused", SEC0,
	 KEYS(NAMES_ONLY "\0" CHAP_ANSWER), 0x0201},
	{"6.3 a login without InitiatorName lacks a parameter", SEC0,
	 KEYS("TargetName=" NAME_T "\0AuthMethod=CHAP"), 0x0207},
	{"6.3 a normal login without TargetName lacks a parameter", SEC0,
	 KEYS("InitiatorName=" NAME_I "\0AuthMethod=CHAP"), 0x0207},
	{"6.3 a login without any text lacks a parameter", SEC0, "", 0, 0x0207},
	{"13.21 discovery needs no TargetName", SEC0, KEYS(DISCOVERY_NAMES), 0},
	{"13.21 another SessionType", SEC0, KEYS(NAMES_ONLY "\0SessionType=Boot"), 0x0209},
	{"13.21 an empty SessionType", SEC0, KEYS(NAMES_ONLY "\0SessionType="), 0x0209},
	{"13.5 an empty InitiatorName", SEC0, KEYS("InitiatorName=\0TargetName=" NAME_T), 0x0200},
	{"13.5 two different InitiatorNames", SEC0, KEYS(NAMES_ONLY "\0InitiatorName=iqn.x"),
	 0x0200},
	{"13.5 the same InitiatorName twice", SEC0, KEYS(LOGIN_NAMES "\0InitiatorName=" NAME_I), 0},
	{"13.4 two different TargetNames", SEC0, KEYS(NAMES_ONLY "\0TargetName=iqn.x"), 0x0200},
	{"6.2 AuthMethod offered twice", SEC0, KEYS(LOGIN_NAMES "\0AuthMethod=CHAP"), 0x0200},
	{"6.1 text that does not end with NUL", SEC0, "InitiatorName=x", 15, 0x0200},
	{"6.1 text without '='", SEC0, KEYS("InitiatorName"), 0x0200},
	{"11.12 T and C at once", TO_OP | LOGIN_C, KEYS(LOGIN_NAMES), 0x0200},
	{"11.12 the current stage is 2", STAGES(2, 0), KEYS(LOGIN_NAMES), 0x0200},
	{"11.12 the current stage is full feature", STAGES(3, 0), KEYS(LOGIN_NAMES), 0x0200},
	{"11.12 T to stage 2", LOGIN_T | STAGES(0, 2), KEYS(LOGIN_NAMES), 0x0200},
	{"11.12 T from security to security", LOGIN_T | STAGES(0, 0), KEYS(LOGIN_NAMES), 0x0200},
	{"11.12 T from operational to operational", LOGIN_T | STAGES(1, 1), KEYS(LOGIN_NAMES),
	 0x0200},
	{"11.12 T from operational back to security", LOGIN_T | STAGES(1, 0), KEYS(LOGIN_NAMES),
	 0x0200},
	{"11.12 T from operational to stage 2", LOGIN_T | STAGES(1, 2), KEYS(LOGIN_NAMES), 0x0200},
};

static void first_request(void **state)
{
	const struct first_row *row = *state;
	struct peer p = {0};
	struct reply r;

	peer_open(&p);
	assert_true(peer_login_text(&p, row->flags, row->text, row->len));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_int_equal(get_be(r.bhs + BHS_LOGIN_STATUS, 2), row->status);
	assert_int_equal(reply_u32(&r, BHS_ITT), 7);
	assert_int_equal(r.bhs[8], 0x80);
	assert_int_equal(r.flags & LOGIN_T, 0);
	assert_int_equal(iscsi_ended(p.c, NULL), row->status ? ISCSI_END_REFUSED : ISCSI_END_NONE);
	assert_int_equal(p.commands + p.enter_calls + p.proof_calls, 0);
	peer_expect_none(&p);
	peer_close(&p);
}

/* RFC 7143 section 6.3.1: the first answer names the portal group, and no other does. */
static void portal_group(void **state)
{
	bool discovery = *state != NULL;
	struct peer p = {0};
	struct reply r;

	peer_open(&p);
	assert_true(peer_login_text(&p, SEC0 | LOGIN_C, "", 0));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_int_equal(r.len, 0);
	if (discovery)
		assert_true(peer_login_text(&p, SEC0, KEYS(DISCOVERY_NAMES)));
	else
		assert_true(peer_login_text(&p, SEC0, KEYS(LOGIN_NAMES)));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_string_equal(reply_value(&r, "TargetPortalGroupTag"), "1");
	assert_int_equal(r.bhs[2], 0); /* Version-max and Version-active */
	assert_int_equal(r.bhs[3], 0);
	assert_true(peer_login_text(&p, SEC0, KEYS("CHAP_A=5")));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_null(reply_value(&r, "TargetPortalGroupTag"));
	peer_close(&p);
}

/* A discovery session has one connection, so nothing joins it: RFC 7143 section 13.21. */
static void discovery_joins_nothing(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];

	(void)state;
	peer_open(&p);
	login_bhs(&p, bhs, SEC0);
	bhs[BHS_TSIH] = 0x12;
	assert_true(peer_send(&p, bhs, KEYS(DISCOVERY_NAMES)));
	assert_int_equal(last_status(&p), 0x0208);
	assert_int_equal(p.names_calls, 0);
	peer_close(&p);
}

/* Keys of the session, offered by a connection that is to join it. */
static void joins_with_session_keys(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r = {0};
	static const struct {
		uint8_t flags;
		const char *text;
		size_t len;
	} steps[] = {
		{SEC0, KEYS(LOGIN_NAMES)},
		{SEC0, KEYS("CHAP_A=5")},
		{TO_OP, KEYS(CHAP_MUTUAL)},
		{STAGES(1, 0), KEYS("MaxBurstLength=512\0DataDigest=CRC32C")},
	};

	(void)state;
	peer_open(&p);
	for (size_t n = 0; n < ARRAY_LEN(steps); n++) {
		login_bhs(&p, bhs, steps[n].flags);
		bhs[BHS_TSIH] = 0x12;
		assert_true(peer_send(&p, bhs, steps[n].text, steps[n].len));
		peer_expect(&p, &r, OP_LOGIN_RESPONSE);
		assert_int_equal(get_be(r.bhs + BHS_LOGIN_STATUS, 2), 0);
		assert_int_equal(r.bhs[BHS_TSIH], 0x12); /* 11.13.3 */
	}
	assert_string_equal(reply_value(&r, "MaxBurstLength"), "Irrelevant");
	assert_string_equal(reply_value(&r, "DataDigest"), "CRC32C");
	peer_close(&p);
}

static void long_name(void **state)
{
	struct peer p = {0};
	char text[600] = "TargetName=" NAME_T;
	size_t at = sizeof("TargetName=" NAME_T), len = (size_t)(uintptr_t)*state;

	peer_open(&p);
	at += (size_t)snprintf(text + at, sizeof text - at, "InitiatorName=iqn.");
	memset(text + at, 'x', len - 4);
	assert_true(peer_login_text(&p, SEC0, text, at + len - 4 + 1));
	assert_int_equal(last_status(&p), len > 223 ? 0x0200 : 0);
	assert_int_equal(p.names_calls, len <= 223);
	peer_close(&p);
}

/* Fields of the first header, one changed. */
static const struct {
	const char *why;
	size_t at;
	uint8_t value;
	unsigned status;
} headers[] = {
	{"11.12.4 Version-max above ours is fine", 2, 9, 0},
	{"11.12.4 Version-min above ours is refused", 3, 1, 0x0205},
	{"11.12.4 Version-min FFh is refused", 3, 0xff, 0x0205},
	{"11.12.5 an ISID of the OUI format", 8, 0x00, 0},
	{"11.12.5 an ISID of the enterprise number format", 8, 0x40, 0},
	{"11.12.5 an ISID of the reserved format is a name like any other", 8, 0xc0, 0},
	{"11.12.7 any CID will do", 20, 0xff, 0},
	{"11.12.9 ExpStatSN of the first request means nothing here", 28, 0xff, 0},
	{"6.3.1 a TSIH that is not 0 is looked at after CHAP", 15, 1, 0},
};

static void first_header(void **state)
{
	const typeof(headers[0]) *row = *state;
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];

	peer_open(&p);
	login_bhs(&p, bhs, SEC0);
	bhs[row->at] = row->value;
	assert_true(peer_send(&p, bhs, KEYS(LOGIN_NAMES)));
	assert_int_equal(last_status(&p), row->status);
	peer_close(&p);
}

/* --- the host --- */

/* The host says no, at each of its turns. */
static void host_refuses(void **state)
{
	unsigned at = (unsigned)(uintptr_t)*state;
	struct peer p = {0};

	peer_open(&p);
	p.refuse_names = at == 0 ? 0x0203 : 0;
	p.refuse_proof = at == 1 ? 0x0201 : 0;
	p.refuse_enter = at == 2 ? 0x0301 : 0;
	(void)peer_login_text(&p, SEC0, KEYS(LOGIN_NAMES));
	(void)peer_login_text(&p, SEC0, KEYS("CHAP_A=5"));
	(void)peer_login_text(&p, TO_OP, KEYS(CHAP_MUTUAL));
	(void)peer_login_text(&p, TO_FULL, KEYS("MaxBurstLength=512"));
	assert_int_equal(last_status(&p), at == 0 ? 0x0203 : at == 1 ? 0x0201 : 0x0301);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_REFUSED);
	assert_false(iscsi_is_full_feature(p.i));
	peer_expect_none(&p);
	peer_close(&p);
}

/* Refused while no request is there to answer: the next one is. */
static void host_refuses_between(void **state)
{
	struct peer p = {0};

	(void)state;
	peer_open(&p);
	assert_true(peer_login_text(&p, SEC0, KEYS(LOGIN_NAMES)));
	iscsi_login_refuse(p.c, 0x0203);
	peer_drain(&p);
	assert_int_equal(last_status(&p), 0);
	assert_true(peer_login_text(&p, SEC0, KEYS("CHAP_A=5")));
	assert_int_equal(last_status(&p), 0x0203);
	assert_int_equal(p.offer_calls, 0);
	peer_close(&p);
}

static void host_answers_later(void **state)
{
	struct peer p = {.later = true};
	struct reply r;

	(void)state;
	peer_open(&p);
	assert_true(peer_login_text(&p, SEC0, KEYS(LOGIN_NAMES)));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	(void)peer_login_text(&p, SEC0, KEYS("CHAP_A=5"));
	/* sent ahead of the answer: waits */
	(void)peer_login_text(&p, TO_OP, KEYS(CHAP_MUTUAL));
	peer_expect_none(&p);
	assert_int_equal(p.proof_calls, 0);
	iscsi_chap_challenge(p.c, 5, 1, peer_challenge, 32);
	peer_drain(&p);
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_int_equal(p.proof_calls, 1);
	peer_expect_none(&p);
	assert_false(iscsi_proof_sent(p.c));
	iscsi_chap_accepted(p.c, "gw", peer_proof, sizeof peer_proof);
	assert_false(iscsi_proof_sent(p.c));
	peer_drain(&p);
	assert_true(iscsi_proof_sent(p.c));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	(void)peer_login_text(&p, TO_FULL, KEYS("MaxBurstLength=512"));
	peer_expect_none(&p);
	assert_false(iscsi_is_full_feature(p.i));
	peer_grant(&p);
	peer_drain(&p);
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_int_equal(get_be(r.bhs + BHS_TSIH, 2), 0x1234);
	assert_true(iscsi_is_full_feature(p.i));
	peer_close(&p);
}

/* --- the stages ----------------------------------------------------------------------------- */

static void final_answer(void **state)
{
	struct peer p = {.alias = "Vault"};
	struct reply r;

	(void)state;
	peer_open(&p);
	peer_authenticate(&p, KEYS(LOGIN_NAMES));
	peer_negotiate(&p, KEYS(KEYS_USUAL), &r);
	assert_int_equal(get_be(r.bhs + BHS_TSIH, 2), 0x1234);
	assert_string_equal(reply_value(&r, "TargetAlias"), "Vault");
	assert_string_equal(reply_value(&r, "MaxRecvDataSegmentLength"), "262144");
	assert_int_equal(reply_u32(&r, BHS_EXPCMDSN), p.cmdsn);
	assert_int_equal(reply_u32(&r, BHS_MAXCMDSN), p.cmdsn + 31);
	peer_close(&p);
}

static void security_to_full(void **state)
{
	struct peer p = {0};
	struct reply r;

	(void)state;
	peer_open(&p);
	assert_true(peer_login_text(&p, SEC0, KEYS(LOGIN_NAMES)));
	assert_true(peer_login_text(&p, SEC0, KEYS("CHAP_A=5")));
	assert_true(peer_login_text(&p, LOGIN_T | STAGES(0, 3), KEYS(CHAP_MUTUAL)));
	while (peer_next(&p, &r))
		;
	assert_int_equal(r.flags, LOGIN_T | STAGES(0, 3));
	assert_non_null(reply_value(&r, "CHAP_R"));
	assert_true(iscsi_is_full_feature(p.i));
	peer_alive(&p);
	peer_close(&p);
}

/* As libiscsi does it: T at once, all names again in the operational stage. */
static void names_again(void **state)
{
	struct peer p = {0};
	struct reply r;

	(void)state;
	peer_open(&p);
	peer_authenticate(&p, KEYS(LOGIN_NAMES));
	peer_negotiate(&p,
		       KEYS("InitiatorName=" NAME_I "\0TargetName=" NAME_T
			    "\0SessionType=Normal\0HeaderDigest=None\0IFMarker=No"),
		       &r);
	assert_string_equal(reply_value(&r, "IFMarker"), "No");
	assert_int_equal(p.names_calls, 1);
	peer_close(&p);
}

static void other_name_later(void **state)
{
	struct peer p = {0};

	(void)state;
	peer_open(&p);
	peer_authenticate(&p, KEYS(LOGIN_NAMES));
	assert_true(peer_login_text(&p, TO_FULL, KEYS("InitiatorName=iqn.1994-05.com.example:x")));
	assert_int_equal(last_status(&p), 0x0200);
	peer_close(&p);
}

static void operational_in_steps(void **state)
{
	struct peer p = {0};
	struct reply r;

	(void)state;
	peer_open(&p);
	peer_authenticate(&p, KEYS(LOGIN_NAMES));
	assert_true(peer_login_text(&p, STAGES(1, 0), KEYS("MaxBurstLength=4096")));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_int_equal(r.flags, STAGES(1, 0));
	assert_string_equal(reply_value(&r, "MaxRecvDataSegmentLength"), "262144");
	assert_true(peer_login_text(&p, STAGES(1, 0), KEYS("HeaderDigest=CRC32C")));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_null(reply_value(&r, "MaxRecvDataSegmentLength"));
	assert_true(peer_login_text(&p, TO_FULL, "", 0));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_int_equal(r.flags, TO_FULL);
	p.header_digest = true;
	peer_alive(&p);
	peer_close(&p);
}

/* Fields that may not change from one request to the next. */
static void changed_field(void **state)
{
	size_t at = (size_t)(uintptr_t)*state;
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct peer p = {0};

	peer_open(&p);
	assert_true(peer_login_text(&p, SEC0, KEYS(LOGIN_NAMES)));
	login_bhs(&p, bhs, SEC0);
	bhs[at] = (uint8_t)(bhs[at] ^ 1);
	assert_true(peer_send(&p, bhs, KEYS("CHAP_A=5")));
	assert_int_equal(last_status(&p), 0x0200);
	assert_int_equal(p.offer_calls, 0);
	peer_close(&p);
}

static void stage_jumps(void **state)
{
	struct peer p = {0};

	(void)state;
	peer_open(&p);
	assert_true(peer_login_text(&p, TO_OP, KEYS(LOGIN_NAMES)));
	assert_true(peer_login_text(&p, TO_FULL, KEYS("MaxBurstLength=512")));
	assert_int_equal(last_status(&p), 0x0200);
	assert_int_equal(p.enter_calls, 0);
	peer_close(&p);
}

/* --- text in pieces ------------------------------------------------------------------------- */

/* The first request split in two by the C bit, at every octet. */
static void continued_at_every_octet(void **state)
{
	static const char text[] = LOGIN_NAMES;

	(void)state;
	for (size_t cut = 0; cut <= sizeof text; cut++) {
		struct peer p = {0};
		struct reply r;

		peer_open(&p);
		assert_true(peer_login_text(&p, SEC0 | LOGIN_C, text, cut));
		peer_expect(&p, &r, OP_LOGIN_RESPONSE);
		assert_int_equal(r.len, 0);
		assert_int_equal(r.flags, SEC0);
		assert_int_equal(p.names_calls, 0);
		assert_true(peer_login_text(&p, SEC0, text + cut, sizeof text - cut));
		peer_expect(&p, &r, OP_LOGIN_RESPONSE);
		assert_string_equal(reply_value(&r, "AuthMethod"), "CHAP");
		assert_string_equal(p.names.initiator, NAME_I);
		peer_close(&p);
	}
}

static void drips(void **state)
{
	struct peer p = {.drip = (size_t)(uintptr_t)*state};

	peer_up(&p, KEYS(KEYS_USUAL "\0HeaderDigest=CRC32C"));
	peer_alive(&p);
	peer_close(&p);
}

/* C without end: with zero data, with full PDUs. */
static void continued_without_end(void **state)
{
	size_t len = (size_t)(uintptr_t)*state;
	static const char junk[8192] = {'A'};
	struct peer p = {0};
	unsigned sent = 0;

	peer_open(&p);
	while (iscsi_ended(p.c, NULL) == ISCSI_END_NONE && sent < 1000) {
		(void)peer_login_text(&p, SEC0 | LOGIN_C, junk, len);
		sent++;
	}
	assert_true(sent <= 129);
	assert_int_equal(last_status(&p), 0x0200);
	peer_close(&p);
}

static void empty_requests_without_end(void **state)
{
	struct peer p = {0};
	unsigned sent = 0;

	(void)state;
	peer_open(&p);
	(void)peer_login_text(&p, SEC0, KEYS(NAMES_ONLY));
	while (iscsi_ended(p.c, NULL) == ISCSI_END_NONE && sent < 1000) {
		(void)peer_login_text(&p, SEC0, "", 0);
		sent++;
	}
	assert_true(sent <= 128);
	peer_close(&p);
}

static void add_stages(struct tests *t)
{
	tests_add(t, "11.13.3 the final answer has TSIH, alias, our segment length, the window",
		  final_answer, NULL);
	tests_add(t, "6.3 from the security stage straight to full feature", security_to_full,
		  NULL);
	tests_add(t, "6.3 names may be declared again, the same, in the operational stage",
		  names_again, NULL);
	tests_add(t, "13.5 P1: another InitiatorName after CHAP is refused", other_name_later,
		  NULL);
	tests_add(t, "6.3 the operational stage in several requests", operational_in_steps, NULL);
	tests_add(t, "6.3 P1: nobody jumps over the security stage with T", stage_jumps, NULL);
	tests_add(t, "11.12 another ISID within a login is refused", changed_field, (void *)9);
	tests_add(t, "11.12 another TSIH within a login is refused", changed_field,
		  (void *)BHS_TSIH);
	tests_add(t, "11.12 another task tag within a login is refused", changed_field,
		  (void *)BHS_ITT);
	tests_add(t, "11.12 another CID within a login is refused", changed_field, (void *)BHS_CID);
	tests_add(t, "11.13.5 P1: the host refuses the names", host_refuses, (void *)0);
	tests_add(t, "11.13.5 P1: the host refuses the proof", host_refuses, (void *)1);
	tests_add(t, "11.13.5 P4: the host has no grant: 0301h", host_refuses, (void *)2);
	tests_add(t, "11.13.5 P1: the host refuses between two requests", host_refuses_between,
		  NULL);
	tests_add(t, "6.3.2 P3: nothing is answered before challenge, verdict and grant are there",
		  host_answers_later, NULL);
}

/* Only once CHAP has succeeded does anybody learn where the target has gone. */
static void redirected(void **state)
{
	struct peer p = {0};
	struct reply r;

	(void)state;
	peer_open(&p);
	p.moved_to = "[2001:db8::1]:3260";
	assert_true(peer_login_text(&p, STAGES(0, 0), KEYS(LOGIN_NAMES)));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_true(peer_login_text(&p, STAGES(0, 0), KEYS("CHAP_A=5")));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_null(reply_value(&r, "TargetAddress"));
	assert_true(peer_login_text(&p, LOGIN_T | STAGES(0, 1), KEYS(CHAP_MUTUAL)));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_int_equal(get_be(r.bhs + BHS_LOGIN_STATUS, 2), 0x0101);
	assert_string_equal(reply_value(&r, "TargetAddress"), "[2001:db8::1]:3260");
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_REFUSED);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, firsts, first_request);
	TESTS_ADD_TABLE(&t, headers, first_header);
	tests_add(&t, "6.3.1 the first answer names the portal group", portal_group, NULL);
	tests_add(&t, "6.3.1 in discovery, too", portal_group, (void *)1);
	tests_add(&t, "11.13.5 a discovery session that names a TSIH: 0208h",
		  discovery_joins_nothing, NULL);
	tests_add(&t, "13 a connection that joins can't change what the session agreed on",
		  joins_with_session_keys, NULL);
	tests_add(&t, "13.5 an InitiatorName of 223 octets is taken", long_name, (void *)223);
	tests_add(&t, "13.5 P1: an InitiatorName of 224 octets is refused, not cut", long_name,
		  (void *)224);
	add_stages(&t);
	tests_add(&t, "6.1 text split by the C bit at every octet", continued_at_every_octet, NULL);
	tests_add(&t, "11.1 a login fed octet by octet is the same login", drips, (void *)1);
	tests_add(&t, "11.1 a login fed 47 octets at a time is the same login", drips, (void *)47);
	tests_add(&t, "6.2 P6: C without end and without data is ended", continued_without_end,
		  (void *)0);
	tests_add(&t, "6.2 P6: C without end with full PDUs is ended at 64 KiB",
		  continued_without_end, (void *)8192);
	tests_add(&t, "6.2 P6: empty requests without end are ended", empty_requests_without_end,
		  NULL);
	tests_add(&t, "11.13.5 a redirection names the address, after CHAP", redirected, NULL);
	return tests_run(&t, "iscsi login");
}

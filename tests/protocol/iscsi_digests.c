/* Digests that the target requires, RFC 7143 sections 6.2 and 13.1: what an initiator may offer or
 * answer, when we offer them ourselves, and that nobody enters without. */
#include "tests/protocol/iscsi_peer.h"

#define TO_FULL (LOGIN_T | STAGES(1, 3))
#define STAY	STAGES(1, 0)
#define BOTH	"HeaderDigest=CRC32C\0DataDigest=CRC32C"

/* One request of the operational stage, and its answer. */
struct step {
	uint8_t flags;
	const char *text;
	size_t len;
	unsigned status;
	const char *header, *data; /* NULL: not in the answer */
	bool transit;
};

static const struct row {
	const char *why;
	struct step steps[4];
} rows[] = {
	{"13.1 both offered alone: agreed to",
	 {{TO_FULL, KEYS(BOTH), 0, "CRC32C", "CRC32C", true}}},
	{"13.1 None offered first: CRC32C is what we are allowed to take",
	 {{TO_FULL, KEYS("HeaderDigest=None,CRC32C\0DataDigest=None,CRC32C"), 0, "CRC32C", "CRC32C",
	   true}}},
	{"6.2 the keys came before the stage is to be left",
	 {{STAY, KEYS(BOTH), 0, "CRC32C", "CRC32C", false}, {TO_FULL, "", 0, 0, NULL, NULL, true}}},
	{"6.2 no word of digests: we offer, it answers",
	 {{TO_FULL, KEYS(KEYS_USUAL), 0, "CRC32C", "CRC32C", false},
	  {TO_FULL, KEYS(BOTH), 0, NULL, NULL, true}}},
	{"6.2 no word of digests, and the stage is not to be left: nothing is offered yet",
	 {{STAY, KEYS(KEYS_USUAL), 0, NULL, NULL, false},
	  {TO_FULL, "", 0, 0, "CRC32C", "CRC32C", false},
	  {STAY, KEYS(BOTH), 0, NULL, NULL, false},
	  {TO_FULL, "", 0, 0, NULL, NULL, true}}},
	{"6.2 one of both is missing: that one is offered",
	 {{TO_FULL, KEYS("HeaderDigest=CRC32C"), 0, "CRC32C", "CRC32C", false},
	  {TO_FULL, KEYS("DataDigest=CRC32C"), 0, NULL, NULL, true}}},
	{"13.1 None alone, and on: refused",
	 {{TO_FULL, KEYS("HeaderDigest=None\0DataDigest=None"), 0x0200, NULL, NULL, false}}},
	{"13.1 None alone is Reject, and nobody leaves the stage with that",
	 {{STAY, KEYS("HeaderDigest=None\0DataDigest=None"), 0, "Reject", "Reject", false},
	  {TO_FULL, "", 0, 0x0200, NULL, NULL, false}}},
	{"13.1 digests over headers alone: refused",
	 {{TO_FULL, KEYS("HeaderDigest=CRC32C\0DataDigest=None"), 0x0200, NULL, NULL, false}}},
	{"13.1 digests over data alone: refused",
	 {{TO_FULL, KEYS("HeaderDigest=None\0DataDigest=CRC32C"), 0x0200, NULL, NULL, false}}},
	{"6.2 our offer is answered with None",
	 {{TO_FULL, "", 0, 0, "CRC32C", "CRC32C", false},
	  {TO_FULL, KEYS("HeaderDigest=CRC32C\0DataDigest=None"), 0x0200, NULL, NULL, false}}},
	{"6.2 our offer is answered with Reject",
	 {{TO_FULL, "", 0, 0, "CRC32C", "CRC32C", false},
	  {TO_FULL, KEYS("HeaderDigest=Reject\0DataDigest=CRC32C"), 0x0200, NULL, NULL, false}}},
	{"6.2 our offer is answered with NotUnderstood",
	 {{TO_FULL, "", 0, 0, "CRC32C", "CRC32C", false},
	  {TO_FULL, KEYS("HeaderDigest=NotUnderstood"), 0x0200, NULL, NULL, false}}},
	{"6.2 our offer is answered with a list, which is no answer",
	 {{TO_FULL, "", 0, 0, "CRC32C", "CRC32C", false},
	  {TO_FULL, KEYS("HeaderDigest=CRC32C,None\0DataDigest=CRC32C"), 0x0200, NULL, NULL,
	   false}}},
	{"6.2 our offer is not answered at all",
	 {{TO_FULL, "", 0, 0, "CRC32C", "CRC32C", false},
	  {TO_FULL, "", 0, 0x0200, NULL, NULL, false}}},
	{"6.2 our offer is answered twice",
	 {{TO_FULL, "", 0, 0, "CRC32C", "CRC32C", false},
	  {STAY, KEYS(BOTH), 0, NULL, NULL, false},
	  {TO_FULL, KEYS(BOTH), 0x0200, NULL, NULL, false}}},
};

static void same(const char *a, const char *b)
{
	if (a && b)
		assert_string_equal(a, b);
	assert_int_equal(a == NULL, b == NULL);
}

static void digests_required(void **state)
{
	const struct row *row = *state;
	struct peer p = {0};
	struct reply r;
	unsigned status = 0;

	peer_open(&p);
	p.limits.digests_required = true;
	assert_int_equal(iscsi_set_limits(p.i, &p.limits), 0);
	peer_authenticate(&p, KEYS(LOGIN_NAMES));
	for (const struct step *s = row->steps; s < row->steps + 4 && s->text; s++) {
		assert_true(peer_login_text(&p, s->flags, s->text, s->len));
		peer_expect(&p, &r, OP_LOGIN_RESPONSE);
		status = (unsigned)get_be(r.bhs + BHS_LOGIN_STATUS, 2);
		assert_int_equal(status, s->status);
		same(reply_value(&r, "HeaderDigest"), s->header);
		same(reply_value(&r, "DataDigest"), s->data);
		assert_int_equal((r.flags & LOGIN_T) != 0, s->transit);
	}
	assert_int_equal(p.enter_calls, status == 0);
	assert_int_equal(iscsi_is_full_feature(p.i), status == 0);
	assert_int_equal(iscsi_ended(p.c, NULL), status ? ISCSI_END_REFUSED : ISCSI_END_NONE);
	if (status == 0) {
		p.header_digest = p.data_digest = true;
		peer_alive(&p);
	}
	peer_close(&p);
}

static void past_the_operational_stage(void **state)
{
	struct peer p = {0};
	struct reply r;

	(void)state;
	peer_open(&p);
	p.limits.digests_required = true;
	assert_int_equal(iscsi_set_limits(p.i, &p.limits), 0);
	assert_true(peer_login_text(&p, STAGES(0, 0), KEYS(LOGIN_NAMES)));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_true(peer_login_text(&p, STAGES(0, 0), KEYS("CHAP_A=5")));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_true(peer_login_text(&p, LOGIN_T | STAGES(0, 3), KEYS(CHAP_ANSWER)));
	peer_expect(&p, &r, OP_LOGIN_RESPONSE);
	assert_int_equal(get_be(r.bhs + BHS_LOGIN_STATUS, 2), 0x0200);
	assert_int_equal(p.enter_calls, 0);
	peer_close(&p);
}

/* What was agreed on stays within the limits that came with the proof. */
static void limits_of_the_target(void **state)
{
	struct peer p = {0};
	struct reply r;

	(void)state;
	peer_open(&p);
	p.limits = (struct iscsi_limits){
		.max_recv_segment = 262144,
		.max_burst = 4096,
		.first_burst = 1024,
		.max_r2t = 2,
		.queue_depth = 3,
		.initial_r2t = true,
		.immediate_data = true,
		.max_connections = 4,
		.error_recovery = 2,
		.time2wait = 5,
		.time2retain = 30,
	};
	assert_int_equal(iscsi_set_limits(p.i, &p.limits), 0);
	peer_authenticate(&p, KEYS(LOGIN_NAMES));
	peer_negotiate(&p,
		       KEYS("MaxBurstLength=65536\0FirstBurstLength=65536\0MaxOutstandingR2T=9\0"
			    "InitialR2T=No\0ImmediateData=Yes\0MaxConnections=8\0"
			    "ErrorRecoveryLevel=2\0DefaultTime2Wait=0\0DefaultTime2Retain=60"),
		       &r);
	same(reply_value(&r, "MaxBurstLength"), "4096");
	same(reply_value(&r, "FirstBurstLength"), "1024");
	same(reply_value(&r, "MaxOutstandingR2T"), "1"); /* of level 2: 13.19 */
	same(reply_value(&r, "InitialR2T"), "Yes");
	same(reply_value(&r, "ImmediateData"), "Yes");
	same(reply_value(&r, "MaxConnections"), "4");
	same(reply_value(&r, "ErrorRecoveryLevel"), "2");
	same(reply_value(&r, "DefaultTime2Wait"), "5");
	same(reply_value(&r, "DefaultTime2Retain"), "30");
	assert_int_equal(reply_u32(&r, BHS_MAXCMDSN) - reply_u32(&r, BHS_EXPCMDSN) + 1, 3);
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, rows, digests_required);
	tests_add(&t, "6.3 security to full feature, where no digest can be agreed on: refused",
		  past_the_operational_stage, NULL);
	tests_add(&t, "6.2 limits that come with the proof bound every key", limits_of_the_target,
		  NULL);
	return tests_run(&t, "iscsi digests");
}

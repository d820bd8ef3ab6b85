/* What explain says of a command and of a proof: by the rules that the gate and the authenticator
 * go by. */
#include "tests/unit/test.h"

#include "auth/auth.h"
#include "policy/policy.h"
#include "tests/unit/policy_diff.h"

static struct tests t;

/* Of the base: alice has LUN 0 read-write (line 18) and LUN 1 read-only; bob may not use UNMAP
 * (line 22) nor write the blocks 0 to 7 (line 23). */
static const struct row {
	const char *why, *initiator, *from;
	int lun;
	const char *command;
	uint64_t lba, blocks;
	bool allowed;
	uint32_t line;
	const char *reason;
} rows[] = {
	{"a read", ALICE, "198.51.100.7", 1, "read-10", 0, 0, true, 18, "allowed"},
	{"P1: a write to a LUN that is read-only", ALICE, "198.51.100.7", 1, "write-10", 0, 0,
	 false, 18, "read-only"},
	{"P1: UNMAP is a write", ALICE, "198.51.100.7", 1, "unmap", 0, 0, false, 18, "read-only"},
	{"P3: who may read reserves nothing", ALICE, "198.51.100.7", 1,
	 "persistent-reserve-out-reserve", 0, 0, false, 18, "read-only"},
	{"who may read may register", ALICE, "198.51.100.7", 1, "persistent-reserve-out-register",
	 0, 0, true, 18, "allowed"},
	{"a copy's list says what it writes", ALICE, "198.51.100.7", 1, "extended-copy", 0, 0, true,
	 18, "allowed"},
	{"P1: what is denied", BOB, "203.0.113.9", 0, "unmap", 0, 0, false, 22, "denied"},
	{"P1: what is off", BOB, "203.0.113.9", 0, "sanitize-overwrite", 0, 0, false, 19,
	 "not-allowed"},
	{"a write, of blocks that are not said", BOB, "203.0.113.9", 0, "write-16", 0, 0, true, 13,
	 "allowed"},
	{"P1: a write to protected blocks", BOB, "203.0.113.9", 0, "write-16", 7, 1, false, 23,
	 "protected"},
	{"P1: a write that begins before them", BOB, "203.0.113.9", 0, "write-16", 0, 64, false, 23,
	 "protected"},
	{"a write behind them", BOB, "203.0.113.9", 0, "write-16", 8, 64, true, 13, "allowed"},
	{"a read of them", BOB, "203.0.113.9", 0, "read-16", 0, 8, true, 13, "allowed"},
	{"P1: FORMAT UNIT takes all blocks", BOB, "203.0.113.9", 0, "format-unit", 0, 0, false, 23,
	 "protected"},
	{"INQUIRY names no blocks", BOB, "203.0.113.9", 0, "inquiry", 0, 8, true, 13, "allowed"},
};

static struct decision decided(const struct policy *p, const struct row *row, uint32_t algorithm)
{
	struct claim claim = {
		.portal = SIZE_MAX,
		.initiator = row->initiator,
		.target = VAULT,
		.lun = row->lun,
		.command = row->command ? command_name_by_policy(row->command) : NULL,
		.lba = row->lba,
		.blocks = row->blocks,
		.algorithm = algorithm,
	};
	struct decision d;

	assert_true(!row->command || claim.command);
	assert_int_equal(ip_parse(row->from, &claim.from), 0);
	policy_decide(p, &claim, &d);
	return d;
}

static void judged(void **state)
{
	const struct row *row = *state;
	struct policy *p = policy_base();
	struct decision d = decided(p, row, 0);

	assert_string_equal(d.verdicts[LAYER_COMMAND].reason, row->reason);
	assert_int_equal(d.verdicts[LAYER_COMMAND].line, row->line);
	assert_int_equal(d.allowed, row->allowed);
	policy_free(p);
}

static const struct floor_row {
	const char *why, *algorithms, *others;
	uint32_t algorithm;
	bool allowed;
} floor_rows[] = {
	{"what is named", "[sha256]", "[sha256]", CHAP_SHA256, true},
	{"P1: less than the floor", "[sha256]", "[md5]", CHAP_MD5, false},
	{"more than the floor, named for another", "[md5]", "[sha3-256]", CHAP_SHA3_256, true},
	{"more than the floor, named by auth.algorithms", "[md5]", "[md5]", CHAP_SHA256, true},
	{"between what is named, and named for nobody", "[md5]", "[md5]", CHAP_SHA1, false},
};

static void floored(void **state)
{
	static const struct row alice = {.initiator = ALICE, .from = "198.51.100.7", .lun = -1};
	const struct floor_row *row = *state;
	const char *edits[8] = {"gw-a", NULL, "[md5]", row->others};
	struct policy *p;
	struct decision d;
	char *chap = NULL;

	assert_true(asprintf(&chap, "gw-a, algorithms: %s", row->algorithms) > 0);
	edits[1] = chap;
	p = policy_edited(edits);
	d = decided(p, &alice, row->algorithm);
	assert_int_equal(d.allowed, row->allowed);
	assert_string_equal(d.verdicts[LAYER_CHAP].reason,
			    row->allowed ? "allowed" : "weak-algorithm");
	assert_int_equal(d.verdicts[LAYER_CHAP].line, 17);
	free(chap);
	policy_free(p);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, judged);
	TESTS_ADD_TABLE(&t, floor_rows, floored);
	return tests_run(&t, "policy");
}

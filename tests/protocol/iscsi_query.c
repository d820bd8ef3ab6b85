/* What RFC 7144 adds to task management: questions about tasks and unit attentions, and
 * the reset of a nexus, at iSCSIProtocolLevel 2 alone. */
#include "tests/protocol/iscsi_manage.h"

#define LEVEL_2 "iSCSIProtocolLevel=2"

/* One command runs on LUN 0, nothing on LUN 1, and LUN 7 is not there. */
static const struct row {
	const char *why;
	const char *keys;
	size_t len;
	uint8_t function, lun, verdict;
	bool another_tag;
	uint8_t info[3];
} rows[] = {
	{"RFC 7144 6.3 QUERY TASK at level 1 is not supported",
	 KEYS("iSCSIProtocolLevel=1"),
	 TMF_QUERY_TASK,
	 0,
	 NOT_SUPPORTED,
	 false,
	 {0}},
	{"RFC 7144 6.3 QUERY TASK SET without a level is not supported",
	 KEYS(KEYS_USUAL),
	 TMF_QUERY_TASK_SET,
	 0,
	 NOT_SUPPORTED,
	 false,
	 {0}},
	{"RFC 7144 6.3 I_T NEXUS RESET at level 1 is not supported",
	 KEYS("iSCSIProtocolLevel=1"),
	 TMF_NEXUS_RESET,
	 0,
	 NOT_SUPPORTED,
	 false,
	 {0}},
	{"RFC 7144 6.3 QUERY ASYNCHRONOUS EVENT at level 0 is not supported",
	 KEYS("iSCSIProtocolLevel=0"),
	 TMF_QUERY_EVENT,
	 0,
	 NOT_SUPPORTED,
	 false,
	 {0}},
	{"RFC 7144 6.3 function 13 is nobody's", KEYS(LEVEL_2), 13, 0, NOT_SUPPORTED, false, {0}},
	{"RFC 7144 6.4.2 QUERY TASK of a task that is there",
	 KEYS(LEVEL_2),
	 TMF_QUERY_TASK,
	 0,
	 SUCCEEDED,
	 false,
	 {0}},
	{"RFC 7144 6.4.2 QUERY TASK with another LUN than its own",
	 KEYS(LEVEL_2),
	 TMF_QUERY_TASK,
	 1,
	 COMPLETE,
	 false,
	 {0}},
	{"RFC 7144 6.3.3 QUERY TASK of a task that is over",
	 KEYS(LEVEL_2),
	 TMF_QUERY_TASK,
	 0,
	 NO_TASK,
	 true,
	 {0}},
	{"RFC 7144 6.3.1 QUERY TASK on a LUN that is not there",
	 KEYS(LEVEL_2),
	 TMF_QUERY_TASK,
	 7,
	 NO_LUN,
	 false,
	 {0}},
	{"RFC 7144 6.4.2 QUERY TASK SET with a task",
	 KEYS(LEVEL_2),
	 TMF_QUERY_TASK_SET,
	 0,
	 SUCCEEDED,
	 false,
	 {0}},
	{"RFC 7144 6.4.2 QUERY TASK SET without one",
	 KEYS(LEVEL_2),
	 TMF_QUERY_TASK_SET,
	 1,
	 COMPLETE,
	 false,
	 {0}},
	{"RFC 7144 6.3.1 QUERY TASK SET on a LUN that is not there",
	 KEYS(LEVEL_2),
	 TMF_QUERY_TASK_SET,
	 7,
	 NO_LUN,
	 false,
	 {0}},
	{"RFC 7144 6.4.2 QUERY ASYNCHRONOUS EVENT: a unit attention waits",
	 KEYS(LEVEL_2),
	 TMF_QUERY_EVENT,
	 0,
	 SUCCEEDED,
	 false,
	 {0x06, 0x29, 0x07}},
	{"RFC 7144 6.4.2 QUERY ASYNCHRONOUS EVENT: nothing waits",
	 KEYS(LEVEL_2),
	 TMF_QUERY_EVENT,
	 1,
	 COMPLETE,
	 false,
	 {0}},
	{"RFC 7144 6.3.1 QUERY ASYNCHRONOUS EVENT on a LUN that is not there",
	 KEYS(LEVEL_2),
	 TMF_QUERY_EVENT,
	 7,
	 NO_LUN,
	 false,
	 {0}},
};

static void questions(void **state)
{
	const struct row *row = *state;
	struct peer p = {.attention = true};
	struct reply r;
	uint32_t tag;

	peer_up(&p, row->keys, row->len);
	tag = park(&p, 0);
	manage(&p, row->function, row->lun, row->another_tag ? 0xdead : tag, p.cmdsn - 1);
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	assert_int_equal(r.bhs[2], row->verdict);
	assert_memory_equal(r.bhs + 8, row->info, 3);
	assert_int_equal(p.parked_count, 1); /* questions end nothing */
	peer_alive(&p);
	peer_close(&p);
}

static void held_task_is_there(void **state)
{
	struct peer p = {0};
	uint32_t tag;

	(void)state;
	peer_up(&p, KEYS(LEVEL_2));
	p.cmdsn++;
	tag = park(&p, 0);
	assert_int_equal(p.commands, 0);
	manage(&p, TMF_QUERY_TASK, 0, tag, p.cmdsn - 1);
	expect_verdict(&p, SUCCEEDED);
	manage(&p, TMF_QUERY_TASK_SET, 0, TAG_NONE, 0);
	expect_verdict(&p, SUCCEEDED);
	peer_close(&p);
}

/* A task that never came, in the window: RFC 7143 section 11.6.1 has its place plugged. */
static void missing_task(void **state)
{
	struct peer p = {0};
	uint32_t lost;

	(void)state;
	peer_up(&p, KEYS(LEVEL_2));
	lost = p.cmdsn++;
	manage(&p, TMF_QUERY_TASK, 0, 0xdead, lost);
	expect_verdict(&p, COMPLETE);
	(void)park(&p, 0);
	assert_int_equal(p.commands, 1);
	peer_close(&p);
}

static void names_a_request(void **state)
{
	uint8_t function = (uint8_t)(uintptr_t)*state;
	struct peer p = {.refuse_cancel = true};
	struct reply r;

	peer_up(&p, KEYS(LEVEL_2));
	(void)park(&p, 0);
	manage(&p, TMF_LUN_RESET, 0, TAG_NONE, 0); /* waits for it */
	peer_expect_none(&p);
	manage(&p, function, 0, p.itt, p.cmdsn);
	expect_verdict(&p, REJECTED);
	manage(&p, function, 0, p.itt + 1, p.cmdsn); /* itself */
	expect_verdict(&p, REJECTED);
	iscsi_task_end(p.i, p.parked[0]);
	peer_drain(&p);
	peer_expect(&p, &r, OP_TMF_RESPONSE);
	peer_close(&p);
}

static void nexus_reset(void **state)
{
	struct peer p = {0};

	(void)state;
	peer_up(&p, KEYS(LEVEL_2));
	(void)park(&p, 0);
	(void)park(&p, 1);
	manage(&p, TMF_NEXUS_RESET, 0, TAG_NONE, 0);
	expect_verdict(&p, COMPLETE);
	assert_int_equal(p.cancels, 2);
	assert_int_equal(p.spreads, 0); /* no other session is concerned */
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_LOGOUT);
	peer_close(&p);
}

static void nexus_reset_waits(void **state)
{
	struct peer p = {.refuse_cancel = true};

	(void)state;
	peer_up(&p, KEYS(LEVEL_2));
	(void)park(&p, 0);
	manage(&p, TMF_NEXUS_RESET, 0, TAG_NONE, 0);
	peer_expect_none(&p);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_NONE);
	iscsi_task_end(p.i, p.parked[0]);
	peer_drain(&p);
	expect_verdict(&p, COMPLETE);
	assert_int_equal(iscsi_ended(p.c, NULL), ISCSI_END_LOGOUT);
	peer_close(&p);
}

/* The priority is read over, the status qualifier is zero, at any level. */
static void priority(void **state)
{
	struct peer p = {0};
	uint8_t bhs[ISCSI_BHS_SIZE];
	struct reply r;

	peer_up(&p, *state, strlen(*state) + 1);
	for (unsigned pri = 0; pri < 16; pri++) {
		command_bhs(&p, bhs, FLAG_FINAL, 0, CDB_FAILS);
		bhs[2] = (uint8_t)(pri << 4);
		assert_true(peer_send(&p, bhs, NULL, 0));
		peer_expect(&p, &r, OP_SCSI_RESPONSE);
		assert_int_equal(r.bhs[3], 2);
		assert_int_equal(get_be(r.bhs + 8, 2), 0);
	}
	peer_close(&p);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, rows, questions);
	tests_add(&t, "RFC 7144 6.4.2 a task that waits for its turn is there", held_task_is_there,
		  NULL);
	tests_add(&t, "RFC 7144 6.3.3 QUERY TASK of a command that never came plugs its place",
		  missing_task, NULL);
	tests_add(&t, "RFC 7144 6.3 QUERY TASK of a task management request is rejected",
		  names_a_request, (void *)TMF_QUERY_TASK);
	tests_add(&t, "11.5.1 ABORT TASK of a task management request is rejected", names_a_request,
		  (void *)TMF_ABORT_TASK);
	tests_add(&t, "RFC 7144 6.3 I_T NEXUS RESET ends all tasks, then the session", nexus_reset,
		  NULL);
	tests_add(&t, "RFC 7144 6.3 the answer to I_T NEXUS RESET waits for what still runs",
		  nexus_reset_waits, NULL);
	tests_add(&t, "RFC 7144 5.1.1 a command priority is taken; the status qualifier is 0",
		  priority, LEVEL_2);
	tests_add(&t, "RFC 7144 5.1.1 a command priority at level 1 is passed over", priority,
		  "iSCSIProtocolLevel=1");
	return tests_run(&t, "iscsi query");
}

/* What the policy denies and protects: refused with its sense, recorded with its line, and missing
 * from what the unit says of itself. */
#include "tests/unit/scsi_rig.h"
#include "gateway/scsi/rules.h"

#define DENY_LINE  12
#define ALLOW_LINE 10

static struct tests t;

static void deny(const char *name)
{
	assert_true(command_set_add(&rig->nexus.rules.denied, name));
	rig->nexus.rules.denied_line = DENY_LINE;
	rig->nexus.rules.allowed_line = ALLOW_LINE;
}

static void protect(uint64_t first, uint64_t last, int lun, bool reads)
{
	struct scsi_rules *rules = &rig->nexus.rules;

	rules->ranges[rules->range_count] =
		(struct protected_range){first, last, lun, reads, 100 + rules->range_count};
	rules->range_count++;
}

/* --- deny --- */

#define READ_10                              \
	{                                    \
		0x28, 0, 0, 0, 0, 5, 0, 0, 1 \
	}
#define WRITE_10                             \
	{                                    \
		0x2a, 0, 0, 0, 0, 5, 0, 0, 1 \
	}
#define UNMAP_16                                               \
	{                                                      \
		0x93, 0x08, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1 \
	}
#define SAME_16                                             \
	{                                                   \
		0x93, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1 \
	}
#define UNMAP_10                                \
	{                                       \
		0x41, 0x08, 0, 0, 0, 8, 0, 0, 1 \
	}
#define UNMAP_LIST             \
	{                      \
		0x42, [8] = 24 \
	}
#define CAPACITY_16                   \
	{                             \
		0x9e, 0x10, [13] = 32 \
	}
#define LBA_STATUS                    \
	{                             \
		0x9e, 0x12, [13] = 32 \
	}

static const struct deny_row {
	const char *why, *name; /* NULL: nothing is denied */
	struct rig_command c;
	unsigned code;	     /* 0: it is done */
	unsigned octet, bit; /* with 24h/00h */
} deny_rows[] = {
	{"nothing is denied", NULL, {READ_10, .edtl = 512, .read = true}, 0, 0, 0},
	{"P1: a denied command looks like one that is not there",
	 "read-10",
	 {READ_10, .edtl = 512, .read = true},
	 0x2000,
	 0,
	 0},
	{"P1: a family is denied", "write", {WRITE_10, .edtl = 512, .write = true}, 0x2000, 0, 0},
	{"another command of the family's word is not",
	 "write-same",
	 {WRITE_10, .edtl = 512, .write = true},
	 0,
	 0,
	 0},
	{"a denied read denies no write", "read", {WRITE_10, .edtl = 512, .write = true}, 0, 0, 0},
	{"P1: UNMAP by name", "unmap", {UNMAP_LIST, .edtl = 24, .write = true}, 0x2000, 0, 0},
	{"P1: UNMAP as a discard",
	 "discard",
	 {UNMAP_LIST, .edtl = 24, .write = true},
	 0x2000,
	 0,
	 0},
	{"P1: where UNMAP is denied, WRITE SAME(16)'s UNMAP bit is",
	 "unmap",
	 {UNMAP_16, .edtl = 512, .write = true},
	 0x2400,
	 1,
	 3},
	{"P1: where discarding is denied, WRITE SAME(10)'s UNMAP bit is",
	 "discard",
	 {UNMAP_10, .edtl = 512, .write = true},
	 0x2400,
	 1,
	 3},
	{"WRITE SAME without UNMAP is no discard",
	 "discard",
	 {SAME_16, .edtl = 512, .write = true},
	 0,
	 0,
	 0},
	{"P1: a denied service action is a bad field when others are there",
	 "get-lba-status",
	 {LBA_STATUS, .edtl = 32, .read = true},
	 0x2400,
	 1,
	 4},
	{"the other service actions are there",
	 "get-lba-status",
	 {CAPACITY_16, .edtl = 32, .read = true},
	 0,
	 0,
	 0},
};

static void deny_test(void **state)
{
	const struct deny_row *row = *state;
	const struct audit_record *r;
	struct scsi_task *task;

	rig_open(NULL);
	rig->nexus.luns[0].thin = true;
	if (row->name != NULL)
		deny(row->name);
	task = rig_run(&row->c);
	r = rig_record(0);
	assert_int_equal(r->verdict, row->code == 0 ? VERDICT_ADMITTED : VERDICT_DENIED);
	assert_int_equal(task->status, row->code == 0 ? SCSI_GOOD : SCSI_CHECK_CONDITION);
	if (row->code != 0) {
		assert_int_equal(rig->submitted, 0);
		assert_int_equal(task->sense[2], 5);
		assert_int_equal(rig_code(task), row->code);
		assert_int_equal(r->rule_line, DENY_LINE);
		assert_int_equal(rig->ring.head, 1);
	}
	if (row->code == 0x2400) {
		assert_int_equal(task->sense[15], 0xc8 | row->bit);
		assert_int_equal(get_be(task->sense + 16, 2), row->octet);
	}
	rig_close();
}

/* --- protect --- */

#define AT(op, lba, blocks)                                       \
	{                                                         \
		op, 0, 0, 0, (lba) >> 8, (lba)&0xff, 0, 0, blocks \
	}

static const struct range_row {
	const char *why;
	uint64_t first, last;
	int lun;
	bool reads;
	struct rig_command c;
	bool refused;
} range_rows[] = {
	{"P1: a write to a protected block",
	 5,
	 5,
	 -1,
	 false,
	 {AT(0x2a, 5, 1), .edtl = 512, .write = true},
	 true},
	{"P1: a write that ends in a protected range",
	 5,
	 9,
	 -1,
	 false,
	 {AT(0x2a, 3, 3), .edtl = 1536, .write = true},
	 true},
	{"a write that ends before it",
	 6,
	 9,
	 -1,
	 false,
	 {AT(0x2a, 3, 3), .edtl = 1536, .write = true},
	 false},
	{"P1: a write that begins at its last block",
	 1,
	 3,
	 -1,
	 false,
	 {AT(0x2a, 3, 3), .edtl = 1536, .write = true},
	 true},
	{"a write that begins behind it",
	 1,
	 2,
	 -1,
	 false,
	 {AT(0x2a, 3, 3), .edtl = 1536, .write = true},
	 false},
	{"P1: a write around a protected range",
	 4,
	 4,
	 -1,
	 false,
	 {AT(0x2a, 3, 3), .edtl = 1536, .write = true},
	 true},
	{"P1: the rest of the disk, to a number beyond its end",
	 4,
	 UINT64_MAX,
	 -1,
	 false,
	 {AT(0x2a, 3, 3), .edtl = 1536, .write = true},
	 true},
	{"of a write that sends less, what is written counts",
	 5,
	 5,
	 -1,
	 false,
	 {AT(0x2a, 3, 3), .edtl = 1024, .write = true},
	 false},
	{"a range that is protected from writes is read",
	 5,
	 5,
	 -1,
	 false,
	 {AT(0x28, 5, 1), .edtl = 512, .read = true},
	 false},
	{"P1: one that is protected from reads is not",
	 5,
	 5,
	 -1,
	 true,
	 {AT(0x28, 5, 1), .edtl = 512, .read = true},
	 true},
	{"P1: one that is protected from reads is not written either",
	 5,
	 5,
	 -1,
	 true,
	 {AT(0x2a, 5, 1), .edtl = 512, .write = true},
	 true},
	{"P1: nor verified", 5, 5, -1, true, {AT(0x2f, 5, 1), .edtl = 0}, true},
	{"P1: a range of this LUN",
	 5,
	 5,
	 0,
	 false,
	 {AT(0x2a, 5, 1), .edtl = 512, .write = true},
	 true},
	{"a range of another LUN",
	 5,
	 5,
	 1,
	 false,
	 {AT(0x2a, 5, 1), .edtl = 512, .write = true},
	 false},
	{"P1: the other LUN itself",
	 5,
	 5,
	 1,
	 false,
	 {AT(0x2a, 5, 1), {0, 1}, .edtl = 512, .write = true},
	 true},
	{"a flush touches no block", 0, UINT64_MAX, -1, true, {{0x35}, .edtl = 0}, false},
	{"P1: WRITE SAME within a protected range",
	 0,
	 9,
	 -1,
	 false,
	 {SAME_16, .edtl = 512, .write = true},
	 true},
};

static void is_protected(const struct scsi_task *task, uint32_t line)
{
	assert_int_equal(task->status, SCSI_CHECK_CONDITION);
	assert_int_equal(task->sense[2], 7);
	assert_int_equal(rig_code(task), 0x2700);
	assert_int_equal(rig->submitted, 0);
	assert_int_equal(rig->ring.head, 1);
	assert_int_equal(rig_record(0)->verdict, VERDICT_DENIED);
	assert_int_equal(rig_record(0)->rule_line, line);
}

static void range_test(void **state)
{
	const struct range_row *row = *state;
	struct scsi_task *task;

	rig_open(NULL);
	rig_add_lun(1, true);
	protect(20000, 20001, -1, true); /* another rule: the one that fits gives its line */
	protect(row->first, row->last, row->lun, row->reads);
	task = rig_run(&row->c);
	if (row->refused)
		is_protected(task, 101);
	else
		assert_int_equal(task->status, SCSI_GOOD);
	rig_close();
}

static void unmap_list(void **state)
{
	static const struct rig_command two = {{0x42, [8] = 40}, .edtl = 40, .write = true};
	struct scsi_task task;

	rig_open(state);
	rig->nexus.luns[0].thin = true;
	protect(100, 109, 0, false);
	for (unsigned lba = 90; lba <= 110; lba += 10) {
		bool refused = lba == 100;

		rig->submitted = 0;
		rig->ring.head = 0;
		rig_audit();
		rig_prepare(&task, &two);
		assert_int_equal(scsi_begin(&task), SCSI_WANT_DATA);
		rig_give_buffer(&task);
		memset(rig->buffer, 0, 40);
		put_be(rig->buffer, 2, 38);
		put_be(rig->buffer + 2, 2, 32);
		put_be(rig->buffer + 8, 8, 5);
		put_be(rig->buffer + 16, 4, 1);
		put_be(rig->buffer + 24, 8, lba);
		put_be(rig->buffer + 32, 4, 10);
		assert_int_equal(scsi_data_arrived(&task), refused ? SCSI_DONE : SCSI_RUNNING);
		if (refused)
			is_protected(&task, 100);
		rig_recorded();
		rig_reap();
		assert_int_equal(rig->submitted, refused ? 0 : 2);
	}
	rig_close();
}

/* --- what is told --- */

/* Is the opcode, or its action, in the list of all commands? */
static bool is_listed(uint8_t opcode, uint8_t action)
{
	static const struct rig_command all = {
		{0xa3, 0x0c, [8] = 0x10}, .edtl = 4096, .read = true};
	const struct scsi_task *task = rig_run(&all);

	assert_int_equal(task->status, SCSI_GOOD);
	for (size_t at = 4; at < task->data_len; at += 8) {
		if (rig->buffer[at] == opcode && rig->buffer[at + 3] == action)
			return true;
	}
	return false;
}

/* Is it reported as supported when it is asked for alone? */
static bool is_reported(uint8_t opcode, uint8_t action)
{
	struct rig_command one = {
		{0xa3, 0x0c, 3, opcode, 0, action, [8] = 0x10}, .edtl = 4096, .read = true};

	assert_int_equal(rig_run(&one)->status, SCSI_GOOD);
	return (rig->buffer[1] & 7) == 3;
}

static const struct listed_row {
	const char *why, *name;
	uint8_t opcode, action;
	bool listed;
} listed_rows[] = {
	{"P1: a denied command is not listed", "unmap", 0x42, 0, false},
	{"P1: nor is one of a denied family", "write-same", 0x93, 0, false},
	{"P1: nor is a denied service action", "get-lba-status", 0x9e, 0x12, false},
	{"its neighbour is", "get-lba-status", 0x9e, 0x10, true},
	{"WRITE SAME is listed without its UNMAP bit", "discard", 0x93, 0, true},
	{"what nobody denied is listed", "copy", 0x42, 0, true},
};

static void listed_test(void **state)
{
	const struct listed_row *row = *state;

	rig_open(NULL);
	rig->nexus.luns[0].thin = true;
	deny(row->name);
	assert_int_equal(is_listed(row->opcode, row->action), row->listed);
	assert_int_equal(is_reported(row->opcode, row->action), row->listed);
	rig_close();
}

static const struct page_row {
	const char *why, *name;
	uint8_t ways; /* B2h: LBPU, LBPWS, LBPWS10 */
	bool limits;  /* B0h: of UNMAP */
} page_rows[] = {
	{"a thin disk says so", NULL, 0xe0, true},
	{"P1: where UNMAP is denied, no way to it is told", "unmap", 0, false},
	{"P1: where WRITE SAME(16) is denied, UNMAP and WRITE SAME(10) are told", "write-same-16",
	 0xa0, true},
	{"P1: where WRITE SAME is denied, UNMAP alone is told", "write-same", 0x80, true},
	{"other denials change nothing", "reservation", 0xe0, true},
};

static void page_test(void **state)
{
	static const struct rig_command limits = {{0x12, 1, 0xb0, 1, 0}, .edtl = 256, .read = true},
					provisioning = {
						{0x12, 1, 0xb2, 1, 0}, .edtl = 256, .read = true};
	const struct page_row *row = *state;

	rig_open(NULL);
	rig->nexus.luns[0].thin = true;
	if (row->name != NULL)
		deny(row->name);
	assert_int_equal(rig_run(&limits)->status, SCSI_GOOD);
	assert_int_equal(get_be(rig->buffer + 20, 4) != 0, row->limits);
	assert_int_equal(get_be(rig->buffer + 24, 4) != 0, row->limits);
	assert_int_equal(rig_run(&provisioning)->status, SCSI_GOOD);
	assert_int_equal(rig->buffer[5] & 0xe0, row->ways);
	rig_close();
}

/* --- the write cache that a policy takes --- */

static const struct through_row {
	const char *why;
	struct rig_command c;
	bool flushed; /* a request of its own, or with the write */
} through_rows[] = {
	{"P2: without a write cache, a write is durable",
	 {WRITE_10, .edtl = 512, .write = true},
	 false},
	{"P2: without a write cache, WRITE SAME is durable",
	 {SAME_16, .edtl = 512, .write = true},
	 true},
	{"P2: without a write cache, what is unmapped is durably so",
	 {UNMAP_16, .edtl = 512, .write = true},
	 true},
};

static void through_test(void **state)
{
	const struct through_row *row = *state;
	struct scsi_task task;

	rig_open(NULL);
	rig->nexus.luns[0].thin = rig->nexus.luns[0].write_through = true;
	rig_prepare(&task, &row->c);
	assert_int_equal(scsi_begin(&task), SCSI_WANT_DATA);
	rig_give_buffer(&task);
	memset(rig->buffer, 0, 512);
	assert_int_equal(scsi_data_arrived(&task), SCSI_RUNNING);
	if (rig->queued == 0)
		rig_recorded();
	rig_reap();
	assert_int_equal(rig->submitted, row->flushed ? 2 : 1);
	if (row->flushed)
		assert_int_equal(rig->log[1].op, IO_FLUSH);
	else
		assert_true(rig->log[0].fua);
	assert_int_equal(rig->dones, 0); /* before the audit is durable */
	rig_audit_durable();
	scsi_audit_moved(&rig->nexus);
	assert_int_equal(rig->dones, 1);
	assert_int_equal(task.status, SCSI_GOOD);
	rig_close();
}

static void through_read(void **state)
{
	static const struct rig_command read_one = {READ_10, .edtl = 512, .read = true};

	rig_open(state);
	rig->nexus.luns[0].write_through = true;
	assert_int_equal(rig_run(&read_one)->status, SCSI_GOOD);
	assert_int_equal(rig->submitted, 1);
	rig_close();
}

/* --- what is off --- */

static void off(void **state)
{
	struct scsi_nexus n = {0};

	(void)state;
	assert_false(rules_offers_code(&n, 0x48, 1));
	assert_false(rules_offers_code(&n, 0xa4, 0x0a));
	assert_true(rules_offers_code(&n, 0xa4, 0x06));
	assert_true(rules_offers_code(&n, 0x04, -1));
	assert_true(command_set_add(&n.rules.allowed, "sanitize-overwrite"));
	assert_true(rules_offers_code(&n, 0x48, 1));
	assert_false(rules_offers_code(&n, 0x48, 2));
	assert_true(command_set_add(&n.rules.allowed, "sanitize"));
	assert_true(rules_offers_code(&n, 0x48, 2));
	assert_false(rules_offers_code(&n, 0xa4, 0x0a));
	assert_true(command_set_add(&n.rules.denied, "format"));
	assert_false(rules_offers_code(&n, 0x48, 1));
}

/* --- sets --- */

static const struct set_row {
	const char *why, *name;
	size_t count;	 /* rows; 0: there is none of this name */
	const char *one; /* policy name of a row that is in it */
} set_rows[] = {
	{"a command is one row", "unmap", 1, "unmap"},
	{"a family is all its rows", "read", 5, "read-16"},
	{"so is a family of service actions", "sanitize", 4, "sanitize-exit-failure-mode"},
	{"discarding is UNMAP", "discard", 1, "unmap"},
	{"formatting is FORMAT UNIT and the sanitize family", "format", 5, "format-unit"},
	{"reserving is old and persistent", "reservation", 17, "release-10"},
	{"copying is both directions", "copy", 13, "receive-copy-operating-parameters"},
	{"no name", "", 0, NULL},
	{"a word that is no command", "everything", 0, NULL},
	{"a name ends where a name ends", "unmap-", 0, NULL},
};

static void set_test(void **state)
{
	const struct set_row *row = *state;
	struct command_set set = {0};
	size_t count, in = 0;
	const struct command_name *rows = command_names(&count);
	bool one = row->one == NULL;

	assert_int_equal(command_set_add(&set, row->name), row->count != 0);
	assert_int_equal(command_set_is_empty(&set), row->count == 0);
	for (size_t i = 0; i < count; i++) {
		in += command_set_has(&set, &rows[i]);
		if (row->one != NULL && strcmp(rows[i].policy_name, row->one) == 0)
			one = command_set_has(&set, &rows[i]);
	}
	assert_int_equal(in, row->count);
	assert_true(one);
}

/* No group may take from an initiator what it finds its disks by, and no command may be missing
 * from the table that rules name commands by. */
static void tables_agree(void **state)
{
	size_t count;
	const struct scsi_command *table = commands(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		const struct command_name *row =
			command_name_at(table[i].opcode, table[i].service_action);

		assert_non_null(row);
		assert_int_equal(table[i].touches, row->touches); /* rules go by it */
	}
	for (const struct command_group *g = command_groups(); g->name != NULL; g++) {
		struct command_set set = {0};
		size_t rows;
		const struct command_name *names = command_names(&rows);

		assert_true(command_set_add(&set, g->name));
		for (size_t i = 0; i < rows; i++)
			assert_false(command_set_has(&set, &names[i]) &&
				     command_is_needed(&names[i]));
		assert_null(command_name_by_policy(g->name)); /* a word means one thing */
	}
}

int main(void)
{
	TESTS_ADD_TABLE(&t, deny_rows, deny_test);
	TESTS_ADD_TABLE(&t, range_rows, range_test);
	tests_add(&t, "P1: UNMAP's list is refused whole when one range is protected", unmap_list,
		  NULL);
	TESTS_ADD_TABLE(&t, listed_rows, listed_test);
	TESTS_ADD_TABLE(&t, page_rows, page_test);
	TESTS_ADD_TABLE(&t, through_rows, through_test);
	tests_add(&t, "without a write cache, a read flushes nothing", through_read, NULL);
	tests_add(&t, "P1: sanitize and SET TARGET PORT GROUPS are off unless allowed", off, NULL);
	TESTS_ADD_TABLE(&t, set_rows, set_test);
	tests_add(&t, "every command has a name, and no group has what identification needs",
		  tables_agree, NULL);
	return tests_run(&t, "scsi rules");
}

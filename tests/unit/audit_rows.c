/* Rows of the trail: every record there and back whatever a session put into its ring, how small a
 * random load becomes, and that no octet of a payload is believed. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "gateway/audit/payload.h"
#include "gateway/audit/rows.h"
#include "gateway/base/bytes.h"

#define WALL UINT64_C(1795341600000000000)
#define MONO UINT64_C(5000000000)

static struct rows_writer writer;
static struct rows_reader reader;
static struct names written_names, read_names;
static uint8_t payload[64 << 10];

static struct block_header header_of(const struct rows_writer *w)
{
	return (struct block_header){.raw = (uint32_t)wr_len(&w->out),
				     .first_sequence = 100,
				     .records = w->records,
				     .wall_ns = w->wall_ns,
				     .mono_ns = w->first_ns};
}

static void begin(void)
{
	rows_write_begin(&writer, payload, sizeof payload, &written_names);
}

static void read_begin(void)
{
	struct block_header h = header_of(&writer);

	rows_read_begin(&reader, &h, payload, &read_names);
}

static struct audit_record a_record(uint64_t index)
{
	return (struct audit_record){.index = index,
				     .wall_ns = WALL + index * 7000,
				     .lba = index * 8,
				     .blocks = 8,
				     .task_tag = (uint32_t)index,
				     .kind = AUDIT_COMMAND,
				     .verdict = VERDICT_ADMITTED,
				     .cdb_len = 10,
				     .cdb = {0x28}};
}

static uint64_t seed = 88172645463325252;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* The same record but for what is not kept: nanoseconds, what is behind the CDB. */
static void assert_same(const struct audit_record *a, const struct audit_record *b)
{
	size_t len = MIN((size_t)a->cdb_len, sizeof a->cdb);

	assert_int_equal(a->index, b->index);
	assert_int_equal(a->wall_ns / 1000 * 1000, b->wall_ns);
	assert_int_equal(a->lba, b->lba);
	assert_int_equal(a->blocks, b->blocks);
	assert_int_equal(a->rule_line, b->rule_line);
	assert_int_equal(a->task_tag, b->task_tag);
	assert_int_equal(a->lun, b->lun);
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->verdict, b->verdict);
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->sense_key, b->sense_key);
	assert_int_equal(a->asc, b->asc);
	assert_int_equal(a->ascq, b->ascq);
	assert_int_equal(a->source, b->source);
	assert_int_equal(a->kind == AUDIT_OUTCOME ? a->latency_us : 0, b->latency_us);
	assert_int_equal(a->cdb_len, b->cdb_len);
	assert_memory_equal(a->cdb, b->cdb, len);
	for (size_t i = len; i < sizeof b->cdb; i++)
		assert_int_equal(b->cdb[i], 0);
}

static void assert_next(const struct audit_record *want, uint32_t connection, uint64_t mono_ns)
{
	static struct frame f;

	assert_int_equal(rows_next(&reader, &f), 1);
	assert_int_equal(f.type, FRAME_COMMAND);
	assert_int_equal(f.connection, connection);
	assert_int_equal(f.stamp.mono_ns, mono_ns);
	assert_int_equal(f.stamp.time_ns, WALL + (mono_ns - MONO));
	assert_same(want, &f.command);
}

static void assert_end(void)
{
	static struct frame f;

	assert_int_equal(rows_next(&reader, &f), 0);
}

/* What one session may put there, each field at its edges. */
static const struct {
	const char *why;
	struct audit_record record;
} edges[] = {
	{"a record of zeros", {0}},
	{"the greatest of everything",
	 {.index = UINT64_MAX,
	  .wall_ns = UINT64_MAX,
	  .lba = UINT64_MAX,
	  .blocks = UINT32_MAX,
	  .rule_line = UINT32_MAX,
	  .task_tag = UINT32_MAX,
	  .lun = UINT16_MAX,
	  .kind = 255,
	  .verdict = 255,
	  .cdb_len = 255,
	  .status = 255,
	  .sense_key = 255,
	  .asc = 255,
	  .ascq = 255,
	  .source = 255}},
	{"an outcome with its latency",
	 {.kind = AUDIT_OUTCOME, .verdict = VERDICT_FAILED, .status = 2, .latency_us = UINT32_MAX}},
	{"READ(6) of 256 blocks",
	 {.lba = 0x1fffff, .blocks = 256, .cdb_len = 6, .cdb = {0x08, 0x1f, 0xff, 0xff, 0}}},
	{"READ(6) of another LBA than its record",
	 {.lba = 0x200000, .blocks = 1, .cdb_len = 6, .cdb = {0x08, 0, 0, 0, 1}}},
	{"WRITE(10) with its LBA and length",
	 {.lba = 0x01020304,
	  .blocks = 0x0506,
	  .cdb_len = 10,
	  .cdb = {0x2a, 8, 1, 2, 3, 4, 0, 5, 6, 9}}},
	{"READ(12)",
	 {.lba = 7, .blocks = 9, .cdb_len = 12, .cdb = {0xa8, 0, 0, 0, 0, 7, 0, 0, 0, 9}}},
	{"WRITE(16)",
	 {.lba = UINT64_C(1) << 40,
	  .blocks = 3,
	  .cdb_len = 16,
	  .cdb = {0x8a, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3}}},
	{"a CDB of 32 octets",
	 {.lba = 5, .blocks = 6, .cdb_len = 32, .cdb = {0x7f, 0, 0, 0, 0, 0, 0, 24, 0, 9,	0,
							0,    0, 0, 0, 0, 0, 0, 0,  5, [31] = 6}}},
	{"INQUIRY, whose octets are no LBA", {.cdb_len = 6, .cdb = {0x12, 1, 0x83, 1, 0, 0}}},
	{"octets behind the CDB, and none of it", {.cdb_len = 0, .cdb = {0x2a, 1, 2, 3}}},
	{"octets behind the CDB are left out", {.cdb_len = 6, .cdb = {0, 0, 0, 0, 0, 0, 7, 7}}},
};

static void edge_there_and_back(void **state)
{
	const __typeof__(edges[0]) *row = *state;
	struct audit_record usual = a_record(1);

	begin();
	rows_put_command(&writer, WALL, MONO, 3, &row->record);
	rows_put_command(&writer, WALL, MONO, 3, &usual);
	rows_put_command(&writer, WALL, MONO + 1, 3, &row->record);
	rows_put_command(&writer, WALL, MONO + 2, 3, &row->record);
	read_begin();
	assert_next(&row->record, 3, MONO);
	assert_next(&usual, 3, MONO);
	assert_next(&row->record, 3, MONO + 1);
	assert_next(&row->record, 3, MONO + 2);
	assert_end();
}

/* Fields that are mostly what is usual, now and then anything. */
static struct audit_record any_record(void)
{
	struct audit_record r = a_record(next_random() % 4);
	uint64_t odd = next_random();

	if (odd & 1)
		r.lba = next_random() >> next_random() % 64;
	if (odd & 2)
		r.cdb_len = (uint8_t)next_random();
	if (odd & 4)
		r.kind = (uint8_t)(next_random() % 4);
	if (odd & 8)
		r.lun = (uint16_t)next_random();
	if (odd & 16)
		r.latency_us = (uint32_t)next_random();
	if (odd & 32)
		put_be(r.cdb + 2, 4, r.lba & UINT32_MAX);
	if (odd & 64)
		r.cdb[0] = (uint8_t)next_random();
	if (odd & 128)
		r.verdict = (uint8_t)next_random();
	if (odd & 256)
		r.blocks = (uint32_t)next_random();
	return r;
}

static void many_there_and_back(void **state)
{
	static struct audit_record records[400];
	uint32_t connections[ARRAY_LEN(records)];

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		begin();
		for (size_t i = 0; i < ARRAY_LEN(records); i++) {
			records[i] = any_record();
			connections[i] = (uint32_t)(next_random() % 100);
			rows_put_command(&writer, WALL, MONO + i / 3, connections[i], &records[i]);
		}
		read_begin();
		for (size_t i = 0; i < ARRAY_LEN(records); i++)
			assert_next(&records[i], connections[i], MONO + i / 3);
		assert_end();
	}
}

/* 4 KiB at random places of 100 GiB, reads and writes, at depth 32: tags that come back as answers
 * do, a clock of the session that is read once a turn, blocks of 4 ms at 60 000 commands/s. */
static void random_load_is_small(void **state)
{
	static uint8_t packed[64 << 10];
	size_t stored = 0, records = 0;
	struct packer p;

	(void)state;
	assert_int_equal(packer_open(&p), 0);
	for (unsigned block = 0; block < 50; block++) {
		size_t size;

		begin();
		for (uint64_t i = 0; i < 240; i++) {
			struct audit_record r = a_record(records++);

			r.wall_ns = WALL + records / 4 * 60000 + next_random() % 20000;
			r.lba = next_random() % (UINT64_C(100) << 18) * 8;
			r.cdb[0] = next_random() % 2 ? 0x28 : 0x2a;
			r.task_tag = (uint32_t)(records + next_random() % 4);
			put_be(r.cdb + 2, 4, r.lba);
			put_be(r.cdb + 7, 2, 8);
			rows_put_command(&writer, WALL, MONO + i / 80 * 2000000, 17, &r);
		}
		size = packer_pack(&p, payload, wr_len(&writer.out), packed);
		stored += BLOCK_SIZE_MIN + (size ? size : wr_len(&writer.out));
	}
	packer_close(&p);
	print_message("%zu octets a record of a random load\n", (stored + records / 2) / records);
	assert_true(stored <= records * 16);
}

static void assert_same_peer(const struct endpoint *a, const struct endpoint *b)
{
	assert_int_equal(a->ip.version, b->ip.version);
	assert_memory_equal(a->ip.bytes, b->ip.bytes, sizeof a->ip.bytes);
	assert_int_equal(a->ip.scope, b->ip.scope);
	assert_int_equal(a->port, b->port);
}

static void assert_same_event(const struct audit_event *a, const struct audit_event *b)
{
	assert_int_equal(a->id, b->id);
	assert_int_equal(a->wall_ns, b->wall_ns);
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->connection, b->connection);
	assert_int_equal(a->policy_line, b->policy_line);
	assert_int_equal(a->algorithm, b->algorithm);
	assert_same_peer(&a->peer, &b->peer);
	assert_memory_equal(a->portal, b->portal, sizeof *a - offsetof(struct audit_event, portal));
}

static struct audit_event an_event(enum audit_event_kind kind)
{
	struct audit_event e = {.id = 9,
				.wall_ns = WALL - 5,
				.count = UINT64_MAX,
				.kind = kind,
				.connection = 4,
				.policy_line = 77,
				.algorithm = 7};

	assert_int_equal(endpoint_parse("[2001:db8::7]:99", &e.peer), 0);
	string_copy(e.portal, sizeof e.portal, "wan");
	string_copy(e.reason, sizeof e.reason, "wrong-secret");
	string_copy(e.user, sizeof e.user, "alice");
	memset(e.initiator, 'i', sizeof e.initiator - 1);
	string_copy(e.target, sizeof e.target, "iqn.test:vault");
	memset(e.detail, '\n', sizeof e.detail - 1);
	return e;
}

static void events_there_and_back(void **state)
{
	const struct audit_event login = an_event(EVENT_LOGIN), refusal = an_event(EVENT_REFUSAL);
	static struct frame f;
	size_t first, second;

	(void)state;
	begin();
	rows_put_event(&writer, WALL, MONO, &refusal);
	first = wr_len(&writer.out);
	assert_false(writer.defines);
	rows_put_event(&writer, WALL, MONO + 1, &login);
	assert_true(writer.defines);
	second = wr_len(&writer.out);
	rows_put_event(&writer, WALL, MONO + 2, &login);
	assert_true(wr_len(&writer.out) - second + 200 < second - first);
	rows_put_end(&writer, WALL, MONO + 3, SEGMENT_END_ORPHANED);
	assert_int_equal(writer.index.ops, 1 << EVENT_LOGIN | 1 << EVENT_REFUSAL);
	read_begin();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rows_next(&reader, &f), 1);
		assert_int_equal(f.type, FRAME_EVENT);
		assert_int_equal(f.connection, 4);
		assert_int_equal(f.stamp.sequence, 100 + i);
		assert_same_event(&f.event, i == 0 ? &refusal : &login);
	}
	assert_int_equal(rows_next(&reader, &f), 1);
	assert_int_equal(f.type, FRAME_END);
	assert_int_equal(f.end, SEGMENT_END_ORPHANED);
	assert_int_equal(f.stamp.mono_ns, MONO + 3);
	assert_end();
}

static void sessions_there_and_back(void **state)
{
	struct auditor_ring_info info = {.connection = 65};
	static struct frame f;

	(void)state;
	assert_int_equal(endpoint_parse("192.0.2.7:4000", &info.peer), 0);
	string_copy(info.initiator, sizeof info.initiator, "iqn.test:client");
	string_copy(info.target, sizeof info.target, "iqn.test:vault");
	begin();
	rows_put_session(&writer, WALL, MONO, &info);
	assert_true(writer.defines);
	assert_int_equal(writer.index.connections, 2);
	read_begin();
	assert_int_equal(rows_next(&reader, &f), 1);
	assert_int_equal(f.type, FRAME_SESSION);
	assert_int_equal(f.session.connection, 65);
	assert_same_peer(&f.session.peer, &info.peer);
	assert_string_equal(f.session.initiator, info.initiator);
	assert_string_equal(f.session.target, info.target);
	assert_end();
}

static void index_has_all(void **state)
{
	struct audit_record r = a_record(1), none = a_record(2), last = a_record(3);
	struct block_index again = {.lba_least = UINT64_MAX};
	static struct frame f;

	(void)state;
	r.lun = 66;
	none.blocks = 0;
	none.lba = 1;
	none.verdict = VERDICT_DENIED;
	last.lba = UINT64_MAX - 3;
	last.cdb[0] = 0x8a;
	begin();
	assert_int_equal(writer.index.lba_least, UINT64_MAX);
	rows_put_command(&writer, WALL, MONO, 65, &r);
	rows_put_command(&writer, WALL, MONO, 3, &none);
	assert_int_equal(writer.index.lba_least, 8);
	assert_int_equal(writer.index.lba_greatest, 15);
	rows_put_command(&writer, WALL, MONO, 3, &last);
	assert_int_equal(writer.index.lba_greatest, UINT64_MAX);
	assert_int_equal(writer.index.luns, 1 << 2 | 1);
	assert_int_equal(writer.index.connections, 1 << 1 | 1 << 3);
	assert_int_equal(writer.index.ops, UINT64_C(1) << 0x28 | 1 << (0x8a - 128));
	assert_int_equal(writer.index.verdicts, 1 << VERDICT_ADMITTED | 1 << VERDICT_DENIED);
	read_begin();
	while (rows_next(&reader, &f) == 1)
		rows_index(&again, &f);
	assert_memory_equal(&again, &writer.index, sizeof again);
}

static void index_of_all_blocks(void **state)
{
	static const uint8_t opcodes[] = {0x04, 0x48};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(opcodes); k++) {
		struct audit_record r = {.kind = AUDIT_COMMAND, .cdb_len = 10, .cdb = {opcodes[k]}};

		begin();
		rows_put_command(&writer, WALL, MONO, 1, &r);
		assert_int_equal(writer.index.lba_least, 0);
		assert_int_equal(writer.index.lba_greatest, UINT64_MAX);
	}
}

/* Cut anywhere, and one octet more: never all records and an end. */
static void cuts_are_found(void **state)
{
	static struct frame f;
	struct block_header h;
	int got;

	(void)state;
	begin();
	for (uint64_t i = 0; i < 20; i++) {
		struct audit_record r = any_record();

		rows_put_command(&writer, WALL, MONO, 1, &r);
	}
	h = header_of(&writer);
	for (uint32_t len = 0; len <= wr_len(&writer.out) + 1; len++) {
		h.raw = len;
		rows_read_begin(&reader, &h, payload, &read_names);
		while ((got = rows_next(&reader, &f)) == 1)
			continue;
		assert_int_equal(got, len == wr_len(&writer.out) ? 0 : -EBADMSG);
	}
}

static void dictionary_is_bounded(void **state)
{
	struct audit_event e = an_event(EVENT_LOGIN);
	static struct frame f;

	(void)state;
	for (unsigned i = 0; i < 2 * NAMES_MAX; i++) {
		(void)snprintf(e.user, sizeof e.user, "user-%u", i);
		begin();
		rows_put_event(&writer, WALL, MONO, &e);
		assert_true(written_names.count <= NAMES_MAX);
		read_begin();
		assert_int_equal(rows_next(&reader, &f), 1);
		assert_string_equal(f.event.user, e.user);
	}
	assert_int_equal(written_names.count, NAMES_MAX);
	for (unsigned i = 0; i < NAMES_MAX; i++)
		assert_string_equal(names_text(&written_names, i), names_text(&read_names, i));
}

static const struct {
	const char *why;
	CMUnitTestFunction run;
} cases[] = {
	{"records of many sessions, whatever they hold, are read as they were put",
	 many_there_and_back},
	{"a command record takes at most 16 octets under a random load", random_load_is_small},
	{"events are read as they were put, and names of logins once", events_there_and_back},
	{"a session is read as it was put", sessions_there_and_back},
	{"a block's index has every record in it", index_has_all},
	{"FORMAT UNIT and SANITIZE are for all blocks in it", index_of_all_blocks},
	{"rows that are cut anywhere are refused", cuts_are_found},
	{"the dictionary of names is bounded, and then names stand in the rows",
	 dictionary_is_bounded},
};

static int names_reset(void **state)
{
	(void)state;
	names_clear(&written_names);
	names_clear(&read_names);
	return 0;
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, edges, edge_there_and_back);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		tests_add(&t, cases[i].why, cases[i].run, NULL);
	for (size_t i = 0; i < t.count; i++)
		t.list[i].teardown_func = names_reset;
	return tests_run(&t, "audit_rows");
}

/* The trail over both logs: one order, nothing twice and nothing left out whatever segments do;
 * blocks without anything that is looked for are not unpacked; and the end of a trail as an auditor
 * finds it. */
#include "tests/unit/audit_place.h"

#include "gateway/audit/resume.h"
#include "gateway/audit/trail.h"

#define S UINT64_C(1000000000)

static struct place place;
static char told[256];

static void tell(void *arg, bool damage, const char *text)
{
	(void)arg;
	(void)damage;
	(void)string_copy(told, sizeof told, text);
}

static int setup(void **state)
{
	(void)state;
	told[0] = '\0';
	place_open(&place);
	place_begin(&place, AUDIT_LOG_INVALID);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_writer_close(&place);
	place_close(&place);
	return 0;
}

static void put_command(uint32_t connection, uint64_t lba)
{
	struct audit_record r = {.index = lba,
				 .lba = lba,
				 .blocks = 8,
				 .lun = (uint16_t)connection,
				 .kind = AUDIT_COMMAND,
				 .verdict = connection == 3 ? VERDICT_DENIED : VERDICT_ADMITTED,
				 .cdb_len = 10,
				 .cdb = {connection == 2 ? 0x2a : 0x28}};

	(void)writer_put_command(&place.writer, connection, &r);
}

static void put_event(enum audit_event_kind kind)
{
	struct audit_event e = {.id = place.writer.last_event + 1, .kind = kind};

	(void)writer_put_event(&place.writer, &e);
}

static void attach(uint32_t connection)
{
	struct auditor_ring_info info = {.connection = connection};

	(void)snprintf(info.initiator, sizeof info.initiator, "iqn.test:%u", connection);
	place_attach(&place, &info);
}

/* Ten blocks of each of three sessions, a second apart, with an event behind each. */
static void trail_make(void)
{
	for (uint32_t c = 1; c <= 3; c++)
		attach(c);
	place_block(&place);
	for (uint32_t i = 0; i < 30; i++) {
		place_time(&place, (100 + i) * S, (100 + i) * S);
		for (uint32_t k = 0; k < 5; k++)
			put_command(1 + i % 3, i * 1000 + k * 8);
		put_event(i % 10 ? EVENT_LOGIN : EVENT_REFUSAL);
		place_block(&place);
	}
}

static bool is_second(void *arg, const struct auditor_ring_info *session)
{
	(void)arg;
	return strcmp(session->initiator, "iqn.test:2") == 0;
}

static const struct wanted {
	const char *why;
	struct trail_wanted wanted;
	unsigned blocks; /* unpacked, beside the one that has the sessions */
} wanteds[] = {
	{"everything is unpacked for everything", {.since_ns = 0}, 60},
	{"only what was from then on is unpacked", {.since_ns = 120 * S}, 20},
	{"only what was before is unpacked", {.until_ns = 105 * S}, 10},
	{"only blocks with the LUN are unpacked", {.luns = 1 << 2, .no_events = true}, 10},
	{"only blocks with the command are unpacked",
	 {.opcodes = UINT64_C(1) << 0x2a, .no_events = true},
	 10},
	{"only blocks with the verdict are unpacked",
	 {.verdicts = 1 << VERDICT_DENIED, .no_events = true},
	 10},
	{"only blocks that touch these are unpacked",
	 {.has_blocks = true, .first_lba = 5039, .last_lba = 6000, .no_events = true},
	 2},
	{"blocks beside these are not unpacked",
	 {.has_blocks = true, .first_lba = 5040, .last_lba = 5999, .no_events = true},
	 0},
	{"only blocks of the session are unpacked", {.session = is_second, .no_events = true}, 10},
	{"events alone", {.no_commands = true}, 30},
	{"events of a kind alone", {.no_commands = true, .events = 1 << EVENT_REFUSAL}, 3},
	{"all conditions must hold", {.luns = 1 << 1, .session = is_second, .no_events = true}, 0},
};

static void skips(void **state)
{
	const struct wanted *row = *state;
	static struct trail_record record;
	struct trail_effort effort;
	struct trail *trail;

	trail_make();
	assert_int_equal(trail_open(&trail, place.fd, &row->wanted, tell, NULL), 0);
	while (trail_next(trail, &record) > 0)
		if (record.frame.type == FRAME_COMMAND)
			assert_non_null(record.session);
	effort = trail_effort(trail);
	trail_close(trail);
	assert_string_equal(told, "");
	assert_int_equal(effort.unpacked, row->blocks + 1);
	assert_int_equal(effort.blocks, 60 + 3);
}

/* Sequences from `first` on, without a gap. Returns how many. */
static uint64_t read_all(uint64_t first)
{
	static struct trail_record record;
	struct trail *trail;
	uint64_t next = first;

	assert_int_equal(trail_open(&trail, place.fd, NULL, tell, NULL), 0);
	while (trail_next(trail, &record) > 0)
		assert_int_equal(record.frame.stamp.sequence, next++);
	trail_close(trail);
	return next - first;
}

static void one_order(void **state)
{
	uint64_t put = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		for (unsigned k = 0; k < i % 4; k++, put++)
			put_command(1, put);
		if (i % 3 == 0) {
			put_event(EVENT_LOGIN);
			put++;
		}
		if (i % 7 == 0)
			place_block(&place);
		if (i % 31 == 0)
			place_begin(&place, LOG_COMMANDS);
		if (i % 57 == 0)
			place_begin(&place, LOG_EVENTS);
	}
	place_block(&place);
	assert_int_equal(read_all(1), put);
	assert_string_equal(told, "");
}

/* A reader that stands at the end while both logs grow never tells of a gap. */
static void read_on_while_it_grows(void **state)
{
	static struct trail_record record;
	struct trail *trail;
	uint64_t next = 1;

	(void)state;
	assert_int_equal(trail_open(&trail, place.fd, NULL, tell, NULL), 0);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(trail_next(trail, &record), 0);
		put_command(1, i);
		if (i % 2)
			put_event(EVENT_LOGIN);
		if (i % 10 == 0)
			place_begin(&place, i % 20 ? LOG_EVENTS : AUDIT_LOG_INVALID);
		place_block(&place);
		while (next < place.writer.next_sequence) {
			assert_int_equal(trail_next(trail, &record), 1);
			assert_int_equal(record.frame.stamp.sequence, next++);
		}
	}
	trail_close(trail);
	assert_string_equal(told, "");
}

static void rewinds(void **state)
{
	static struct trail_record record;
	uint64_t first, records = 0;
	struct trail *trail;

	(void)state;
	trail_make();
	assert_int_equal(trail_open(&trail, place.fd, NULL, tell, NULL), 0);
	assert_int_equal(trail_rewind(trail, 10, &first), 0);
	assert_int_equal(first, place.writer.next_sequence - 10);
	while (trail_next(trail, &record) > 0)
		records += record.frame.stamp.sequence >= first;
	assert_int_equal(records, 10);
	assert_true(trail_effort(trail).unpacked < 8);
	assert_int_equal(trail_rewind(trail, 100000, &first), 0);
	assert_int_equal(first, 1);
	trail_close(trail);
	assert_string_equal(told, "");
}

/* What is in the file and was not synced when the segment is given up. */
static void carried_verbatim(void **state)
{
	static uint8_t old[64 << 10], new[64 << 10];
	size_t old_len, new_len, size, at, from;

	(void)state;
	put_command(1, 1);
	place_block(&place);
	for (unsigned i = 0; i < 5; i++) {
		put_command(1, 2 + i);
		writer_cut(&place.writer);
	}
	assert_int_equal(writer_flush(&place.writer), 0);
	old_len = place_read(&place, LOG_COMMANDS, 1, old, sizeof old);
	place.writer.writable = false; /* a sync failed */
	place_begin(&place, AUDIT_LOG_INVALID);
	put_command(1, 7);
	place_block(&place);
	new_len = place_read(&place, LOG_COMMANDS, 2, new, sizeof new);
	at = place_block_at(old, old_len, 2, &size);
	from = place_block_at(new, new_len, 0, &size);
	assert_memory_equal(old + at, new + from, old_len - at);
	assert_int_equal(place_read(&place, LOG_COMMANDS, 1, old, sizeof old), at);
	assert_int_equal(read_all(1), 7);
	assert_string_equal(told, "");
}

static void resumed(struct resume *ret, uint64_t run)
{
	assert_int_equal(resume_read(ret, place.fd, run, NULL), 0);
}

static void assert_goes_on(const struct resume *r)
{
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		const struct log_place *found = &r->end.logs[i].place;
		const struct log_place *made = &place.writer.logs[i].made;
		uint8_t root[HASH_SIZE], again[HASH_SIZE];

		assert_int_equal(found->blocks, made->blocks);
		assert_memory_equal(found->before, made->before, sizeof made->before);
		tree_root(&found->tree, root);
		tree_root(&made->tree, again);
		assert_memory_equal(root, again, sizeof root);
	}
	assert_int_equal(r->end.next_sequence, place.writer.next_sequence);
	assert_int_equal(r->end.last_event, place.writer.last_event);
	assert_memory_equal(r->end.trail, place.writer.trail, sizeof r->end.trail);
}

static void goes_on_in_the_run(void **state)
{
	const struct resume_ring *ring;
	struct resume r;

	(void)state;
	trail_make();
	resumed(&r, 7);
	assert_goes_on(&r);
	assert_true(r.end.same_run);
	assert_false(r.found.clean);
	ring = resume_find(&r, 2);
	assert_non_null(ring);
	assert_int_equal(ring->next_index, 28 * 1000 + 4 * 8 + 1);
	assert_null(resume_find(&r, 4));
	resume_free(&r);
	writer_put_end(&place.writer, SEGMENT_END_STOP);
	place_block(&place);
	resumed(&r, 7);
	assert_true(r.found.clean);
	resume_free(&r);
}

static void torn_end_is_cut(void **state)
{
	static uint8_t bytes[64 << 10];
	struct log_place made;
	uint64_t sequence;
	struct resume r;
	size_t len;

	(void)state;
	put_command(1, 1);
	put_event(EVENT_LOGIN);
	place_block(&place);
	made = place.writer.logs[0].made;
	sequence = place.writer.next_sequence;
	put_command(1, 2);
	place_block(&place);
	len = place_read(&place, LOG_COMMANDS, 1, bytes, sizeof bytes);
	place_write(&place, LOG_COMMANDS, 1, bytes, len - 1);
	resumed(&r, 8);
	place.writer.logs[0].made = made;
	place.writer.next_sequence = sequence;
	place.writer.last_event = 0; /* of another run */
	assert_goes_on(&r);
	assert_non_null(strstr(r.found.cut, "commands-000001.log ended within a block"));
	assert_string_equal(r.found.damage, "");
	assert_int_equal(r.found.missing, 0);
	resume_free(&r);
	resumed(&r, 8);
	assert_string_equal(r.found.cut, "");
	resume_free(&r);
}

/* A power cut may keep one log's last block and not the other's that came before. */
static void lost_between_is_counted(void **state)
{
	static uint8_t bytes[64 << 10];
	struct resume r;
	size_t len, size;

	(void)state;
	put_event(EVENT_LOGIN);
	for (unsigned i = 0; i < 5; i++)
		put_command(1, i);
	put_event(EVENT_LOGIN);
	place_block(&place);
	len = place_read(&place, LOG_COMMANDS, 1, bytes, sizeof bytes);
	place_write(&place, LOG_COMMANDS, 1, bytes, place_block_at(bytes, len, 1, &size));
	resumed(&r, 8);
	assert_int_equal(r.found.missing, 5);
	assert_string_equal(r.found.lost, "2 to 6");
	assert_int_equal(r.end.next_sequence, 8);
	resume_free(&r);
}

static void five_blocks(bool noted)
{
	char text[NOTE_SIZE];

	for (unsigned i = 0; i < 5; i++) {
		put_command(1, i);
		place_block(&place);
	}
	if (noted)
		assert_int_equal(log_writer_note(&place.writer.logs[0], place.fd, place.keys, text),
				 1);
}

/* Damage within is told, and neither its blocks' numbers nor its sequences are used again. */
static void damage_within_is_told(void **state)
{
	static uint8_t bytes[64 << 10];
	struct resume r;
	size_t len, size;

	(void)state;
	five_blocks(true);
	len = place_read(&place, LOG_COMMANDS, 1, bytes, sizeof bytes);
	bytes[place_block_at(bytes, len, 3, &size) + 300 - 1] ^= 1;
	place_write(&place, LOG_COMMANDS, 1, bytes, len);
	resumed(&r, 7);
	assert_non_null(strstr(r.found.damage, "commands-000001.log is damaged from octet "));
	assert_int_equal(r.end.logs[0].place.blocks, place.writer.logs[0].made.blocks);
	assert_int_equal(r.end.next_sequence, place.writer.next_sequence);
	assert_int_equal(place_read(&place, LOG_COMMANDS, 1, bytes, sizeof bytes), len);
	resume_free(&r);
}

/* The same, where no checkpoint says that it was on the disk: what a power cut leaves. */
static void damage_at_the_end_is_cut(void **state)
{
	static uint8_t bytes[64 << 10];
	struct resume r;
	size_t len, size, at;

	(void)state;
	five_blocks(false);
	len = place_read(&place, LOG_COMMANDS, 1, bytes, sizeof bytes);
	at = place_block_at(bytes, len, 3, &size);
	memset(bytes + at, 0, size);
	place_write(&place, LOG_COMMANDS, 1, bytes, len);
	resumed(&r, 8);
	assert_string_equal(r.found.damage, "");
	assert_non_null(strstr(r.found.cut, "were cut off"));
	assert_int_equal(r.end.logs[0].place.blocks, 3);
	assert_int_equal(r.end.next_sequence, 3);
	assert_int_equal(place_read(&place, LOG_COMMANDS, 1, bytes, sizeof bytes), at);
	resume_free(&r);
}

static const struct {
	const char *why;
	CMUnitTestFunction run;
} cases[] = {
	{"both logs are read in one order, over all segments", one_order},
	{"a trail is read on as it grows", read_on_while_it_grows},
	{"the last records are found without reading all", rewinds},
	{"P4: what was not synced stands verbatim in the next segment", carried_verbatim},
	{"P2: an auditor goes on where the files end", goes_on_in_the_run},
	{"an end that is torn is cut off", torn_end_is_cut},
	{"what a power cut took between others is counted", lost_between_is_counted},
	{"damage within the last segment is told, and nothing is cut", damage_within_is_told},
	{"damage of what was never told to be on the disk is an end", damage_at_the_end_is_cut},
};

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, wanteds, skips);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		tests_add(&t, cases[i].why, cases[i].run, NULL);
	for (size_t i = 0; i < t.count; i++) {
		t.list[i].setup_func = setup;
		t.list[i].teardown_func = teardown;
	}
	return tests_run(&t, "audit_trail");
}

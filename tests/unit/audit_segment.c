/* The trail's octets: every kind of frame there and back, every cut and every flipped
 * bit found, and frames that a peer tries to write into its names. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <sys/mman.h>

#include "gateway/audit/reader.h"

#define SALT 0x1122334455667788

struct file {
	uint8_t bytes[64 << 10];
	size_t len, last; /* last: where the last frame starts */
};

static struct file file;
static struct segment_reader reader;

static const struct segment_header header = {
	.run = 7, .number = 3, .start_ns = 1000, .first_sequence = 10, .salt = SALT};

static void file_begin(void)
{
	segment_header_write(&header, file.bytes);
	file.len = file.last = SEGMENT_HEADER_SIZE;
}

static struct wr file_more(void)
{
	return wr_over(file.bytes + file.len, sizeof file.bytes - file.len);
}

static void file_add(struct wr *w)
{
	assert_false(w->failed);
	frames_seal(file.bytes + file.len, wr_len(w), file.len, SALT);
	file.last = file.len;
	file.len += wr_len(w);
}

static int file_fd(const uint8_t *bytes, size_t len)
{
	int fd = memfd_create("segment", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, 0), (ssize_t)len);
	return fd;
}

static struct audit_record a_command(uint64_t index)
{
	struct audit_record r = {.index = index,
				 .wall_ns = 4999,
				 .lba = UINT64_MAX - index,
				 .blocks = UINT32_MAX,
				 .rule_line = 12,
				 .task_tag = 0xdeadbeef,
				 .lun = 0xffff,
				 .kind = AUDIT_COMMAND,
				 .verdict = VERDICT_DENIED,
				 .cdb_len = 16,
				 .cdb = {0x8a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
	return r;
}

static void add_command(uint64_t sequence, uint64_t index)
{
	struct audit_record r = a_command(index);
	struct wr w = file_more();

	frame_put_command(&w, (struct stamp){sequence, 5000}, 17, &r);
	file_add(&w);
}

static struct audit_event an_event(void)
{
	struct audit_event e = {.id = 9,
				.wall_ns = 6000,
				.count = UINT64_MAX,
				.kind = EVENT_REFUSAL,
				.connection = UINT32_MAX,
				.policy_line = 3,
				.algorithm = 7};

	assert_int_equal(endpoint_parse("[2001:db8::7]:40000", &e.peer), 0);
	e.peer.ip.scope = 3;
	string_copy(e.portal, sizeof e.portal, "here");
	string_copy(e.reason, sizeof e.reason, "wrong-secret");
	string_copy(e.user, sizeof e.user, "alice\x1b[2J\n");
	memset(e.initiator, 'i', sizeof e.initiator - 1);
	memset(e.target, 't', sizeof e.target - 1);
	memset(e.detail, 0xa5, sizeof e.detail - 1);
	return e;
}

struct outcome {
	const char *why;
	struct audit_record record;
};

static const struct outcome outcomes[] = {
	{"a command with everything in it",
	 {.index = 1,
	  .lba = 5,
	  .blocks = 6,
	  .lun = 7,
	  .kind = 1,
	  .verdict = 2,
	  .rule_line = 8,
	  .task_tag = 9,
	  .cdb_len = 32,
	  .cdb = {[0] = 0x7f, [31] = 1}}},
	{"a command longer than what is kept of it",
	 {.kind = 1, .cdb_len = 255, .cdb = {[31] = 0xff}}},
	{"an outcome with sense data",
	 {.kind = AUDIT_OUTCOME,
	  .verdict = VERDICT_FAILED,
	  .status = 2,
	  .sense_key = 5,
	  .asc = 0x20,
	  .ascq = 1}},
	{"nothing at all", {.index = 0}},
	{"the largest of everything",
	 {.index = UINT64_MAX,
	  .wall_ns = UINT64_MAX,
	  .lba = UINT64_MAX,
	  .blocks = UINT32_MAX,
	  .rule_line = UINT32_MAX,
	  .task_tag = UINT32_MAX,
	  .lun = UINT16_MAX,
	  .kind = 255,
	  .verdict = 255,
	  .cdb_len = 32,
	  .status = 255,
	  .sense_key = 255,
	  .asc = 255,
	  .ascq = 255}},
};

static void command_round_trip(void **state)
{
	const struct outcome *o = *state;
	struct wr w;
	struct frame f;
	int fd;

	file_begin();
	w = file_more();
	frame_put_command(&w, (struct stamp){77, 5000}, 17, &o->record);
	assert_true(wr_len(&w) <= FRAME_COMMAND_MAX);
	file_add(&w);
	fd = file_fd(file.bytes, file.len);
	assert_int_equal(reader_open(&reader, fd), 0);
	assert_int_equal(reader_next(&reader, &f), READER_FRAME);
	assert_int_equal(f.type, FRAME_COMMAND);
	assert_int_equal(f.stamp.sequence, 77);
	assert_int_equal(f.stamp.time_ns, 5000);
	assert_int_equal(f.connection, 17);
	assert_memory_equal(&f.command, &o->record, sizeof o->record);
	assert_int_equal(reader_next(&reader, &f), READER_END);
	close(fd);
}

static void assert_same_peer(const struct endpoint *a, const struct endpoint *b)
{
	assert_true(ip_equal(&a->ip, &b->ip));
	assert_int_equal(a->port, b->port);
}

static void assert_same_event(const struct audit_event *a, const struct audit_event *b)
{
	assert_same_peer(&a->peer, &b->peer);
	assert_memory_equal(a, b, offsetof(struct audit_event, peer));
	assert_memory_equal(a->portal, b->portal, sizeof *a - offsetof(struct audit_event, portal));
}

static void other_frames_round_trip(void **state)
{
	struct audit_event event = an_event();
	struct auditor_ring_info info = {.connection = 4, .initiator = "iqn.a", .target = "iqn.b"};
	struct wr w;
	struct frame f;
	int fd;

	(void)state;
	assert_int_equal(endpoint_parse("192.0.2.1:1", &info.peer), 0);
	file_begin();
	w = file_more();
	frame_put_session(&w, (struct stamp){0, 1}, &info);
	frame_put_event(&w, (struct stamp){10, 2}, &event);
	frame_put_end(&w, (struct stamp){11, 3}, SEGMENT_END_ORPHANED);
	file_add(&w);
	fd = file_fd(file.bytes, file.len);
	assert_int_equal(reader_open(&reader, fd), 0);
	assert_memory_equal(&reader.header, &header, sizeof header);
	assert_int_equal(reader_next(&reader, &f), READER_FRAME);
	assert_int_equal(f.type, FRAME_SESSION);
	assert_int_equal(f.session.connection, 4);
	assert_same_peer(&f.session.peer, &info.peer);
	assert_string_equal(f.session.initiator, "iqn.a");
	assert_string_equal(f.session.target, "iqn.b");
	assert_int_equal(reader_next(&reader, &f), READER_FRAME);
	assert_int_equal(f.type, FRAME_EVENT);
	assert_same_event(&f.event, &event);
	assert_int_equal(reader_next(&reader, &f), READER_FRAME);
	assert_int_equal(f.type, FRAME_END);
	assert_int_equal(f.end, SEGMENT_END_ORPHANED);
	assert_int_equal(reader_next(&reader, &f), READER_END);
	close(fd);
}

static void short_events_are_short(void **state)
{
	struct audit_event event = {.id = 1, .kind = EVENT_BAN, .wall_ns = 1000};
	struct wr w = file_more();

	(void)state;
	frame_put_event(&w, (struct stamp){10, 1000}, &event);
	assert_true(wr_len(&w) < 40);
}

/* Reads all of it; returns how many frames came before anything was wrong, *ret_last what ended it.
 */
static unsigned read_all(const uint8_t *bytes, size_t len, int *ret_last)
{
	int fd = file_fd(bytes, len), got = reader_open(&reader, fd);
	unsigned n = 0;
	struct frame f;

	while (got >= 0 && (got = reader_next(&reader, &f)) == READER_FRAME)
		n++;
	*ret_last = got;
	close(fd);
	return n;
}

static void every_cut_is_found(void **state)
{
	int last;

	(void)state;
	file_begin();
	add_command(10, 0);
	add_command(11, 1);
	assert_int_equal(read_all(file.bytes, file.len, &last), 2);
	assert_int_equal(last, READER_END);
	for (size_t len = file.last + 1; len < file.len; len++) {
		assert_int_equal(read_all(file.bytes, len, &last), 1);
		assert_int_equal(last, READER_TORN);
	}
	for (size_t len = 0; len < SEGMENT_HEADER_SIZE; len++) {
		assert_int_equal(read_all(file.bytes, len, &last), 0);
		assert_int_equal(last, -ENODATA);
	}
}

static void every_flip_is_found(void **state)
{
	int last;

	(void)state;
	file_begin();
	add_command(10, 0);
	add_command(11, 1);
	for (size_t bit = 0; bit < file.len * 8; bit++) {
		unsigned n;

		file.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		n = read_all(file.bytes, file.len, &last);
		file.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (bit / 8 < SEGMENT_HEADER_SIZE) {
			assert_int_equal(last, -EBADMSG);
			continue;
		}
		assert_int_equal(n, bit / 8 < file.last ? 0 : 1);
		if (bit / 8 < file.last)
			assert_int_equal(last, READER_DAMAGED);
		else
			assert_true(last == READER_DAMAGED || last == READER_TORN);
	}
}

static void goes_on_behind_damage(void **state)
{
	struct frame f;
	size_t second;
	int fd;

	(void)state;
	file_begin();
	add_command(10, 0);
	add_command(11, 1);
	second = file.last;
	add_command(12, 2);
	file.bytes[second + 9] ^= 1;
	fd = file_fd(file.bytes, file.len);
	assert_int_equal(reader_open(&reader, fd), 0);
	assert_int_equal(reader_next(&reader, &f), READER_FRAME);
	assert_int_equal(reader_next(&reader, &f), READER_DAMAGED);
	assert_int_equal(reader.damage_offset, second);
	assert_int_equal(reader.damage_len, file.last - second);
	assert_int_equal(reader_next(&reader, &f), READER_FRAME);
	assert_int_equal(f.stamp.sequence, 12);
	assert_int_equal(reader_next(&reader, &f), READER_END);
	close(fd);
}

/* An initiator that writes a whole frame into a text, and damage before it: still no frame. */
static void text_is_no_frame(void **state)
{
	struct audit_event event = {.kind = EVENT_REFUSAL};
	struct audit_record forged = a_command(5);
	struct wr w = wr_over(event.detail, sizeof event.detail - 1);
	size_t start;
	int last;

	(void)state;
	memset(forged.cdb, 1, sizeof forged.cdb);
	frame_put_command(&w, (struct stamp){11, 1}, 17, &forged);
	frames_seal((uint8_t *)event.detail, wr_len(&w), 200, SALT - 1);
	file_begin();
	w = file_more();
	frame_put_event(&w, (struct stamp){10, 1}, &event);
	start = file.len;
	file_add(&w);
	file.bytes[start] ^= 1;
	assert_int_equal(read_all(file.bytes, file.len, &last), 0);
	assert_int_equal(last, READER_DAMAGED);
	assert_int_equal(reader.damage_len, file.len - start);
}

static void moved_frame_is_found(void **state)
{
	size_t first = SEGMENT_HEADER_SIZE, size;
	int last;

	(void)state;
	file_begin();
	add_command(10, 0);
	add_command(11, 0);
	size = file.last - first;
	assert_int_equal(file.len - file.last, size);
	memcpy(file.bytes + file.last, file.bytes + first, size);
	assert_int_equal(read_all(file.bytes, file.len, &last), 1);
	assert_int_equal(last, READER_DAMAGED);
}

static void newer_version_is_told(void **state)
{
	struct segment_header h;

	(void)state;
	file_begin();
	file.bytes[9] = SEGMENT_VERSION + 1;
	assert_int_equal(segment_header_read(file.bytes, &h), -EBADMSG);
}

static const struct {
	const char *why, *name;
	uint64_t number;
} names[] = {
	{"a segment's name has six digits", "audit-000017.log", 17},
	{"or more when it must", "audit-12345678.log", 12345678},
	{"but not more than it must", "audit-00000017.log", 0},
	{"there is no segment 0", "audit-000000.log", 0},
	{"other names are no segments: too short", "audit-17.log", 0},
	{"other names are no segments: another end", "audit-000017.lol", 0},
	{"other names are no segments: no digits", "audit-00001x.log", 0},
	{"other names are no segments: a number that is none of 64 bits",
	 "audit-99999999999999999999.log", 0},
	{"other names are no segments: very long", "audit-0000000000000000000000000000000001.log",
	 0},
};

static void name_is_read(void **state)
{
	const __typeof__(names[0]) *n = *state;

	assert_int_equal(segment_number(n->name), n->number);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, outcomes, command_round_trip);
	TESTS_ADD_TABLE(&t, names, name_is_read);
	tests_add(&t, "events, sessions and ends come back as they were", other_frames_round_trip,
		  NULL);
	tests_add(&t, "an event takes the room of its texts, no more", short_events_are_short,
		  NULL);
	tests_add(&t, "a file cut anywhere in its last record says so", every_cut_is_found, NULL);
	tests_add(&t, "every flipped bit is found", every_flip_is_found, NULL);
	tests_add(&t, "reading goes on behind damage, and says where it was", goes_on_behind_damage,
		  NULL);
	tests_add(&t, "what a peer wrote can't look like a record", text_is_no_frame, NULL);
	tests_add(&t, "a record in another's place is found", moved_frame_is_found, NULL);
	tests_add(&t, "a header of another version with a wrong CRC is damage",
		  newer_version_is_told, NULL);
	return tests_run(&t, "audit_segment");
}

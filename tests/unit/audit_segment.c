/* Segments: headers with their context there and back, every flipped bit found; blocks that are
 * damaged, cut or torn, and what is read all the same. */
#include "tests/unit/audit_place.h"

#include <sys/mman.h>

#include "gateway/audit/reader.h"

#define BLOCKS 20

static uint8_t bytes[256 << 10], header_bytes[8192];
static size_t len;
static struct segment_reader reader;
static struct unpacker unpacker;

static struct segment_header a_header(uint64_t blocks)
{
	struct segment_header h = {.log = LOG_EVENTS,
				   .trail = {1},
				   .run = 2,
				   .number = 3,
				   .first_block = blocks,
				   .first_sequence = 4,
				   .last_event = 5,
				   .start_ns = 6,
				   .mono_ns = 7,
				   .boot = {8},
				   .salt = 9,
				   .signer = {10},
				   .epoch = 11,
				   .before = {12}};

	for (uint64_t i = 0; i < blocks; i++)
		tree_add(&h.tree, (const uint8_t[HASH_SIZE]){(uint8_t)i});
	return h;
}

static void header_there_and_back(void **state)
{
	const uint64_t *blocks = *state;
	struct segment_header h = a_header(*blocks), back;
	uint8_t root[HASH_SIZE], again[HASH_SIZE];
	size_t size = 0;

	segment_header_write(&h, (const uint8_t *)"context", 7, 7, header_bytes);
	assert_int_equal(segment_header_size(header_bytes, &size), 0);
	assert_int_equal(size, h.size);
	assert_int_equal(segment_header_read(header_bytes, size, &back), 0);
	tree_root(&h.tree, root);
	tree_root(&back.tree, again);
	assert_memory_equal(root, again, sizeof root);
	assert_int_equal(back.tree.size, *blocks);
	assert_int_equal(back.log, LOG_EVENTS);
	assert_int_equal(back.run, 2);
	assert_int_equal(back.number, 3);
	assert_int_equal(back.first_sequence, 4);
	assert_int_equal(back.last_event, 5);
	assert_int_equal(back.start_ns, 6);
	assert_int_equal(back.mono_ns, 7);
	assert_int_equal(back.salt, 9);
	assert_int_equal(back.epoch, 11);
	assert_memory_equal(back.trail, h.trail, sizeof h.trail);
	assert_memory_equal(back.boot, h.boot, sizeof h.boot);
	assert_memory_equal(back.signer, h.signer, sizeof h.signer);
	assert_memory_equal(back.before, h.before, sizeof h.before);
	assert_memory_equal(header_bytes + back.context_at, "context", 7);
}

static void header_flips(void **state)
{
	struct segment_header h = a_header(1000), back;
	size_t size;

	(void)state;
	segment_header_write(&h, (const uint8_t *)"context", 7, 7, header_bytes);
	for (size_t bit = 0; bit < h.size * 8; bit++) {
		header_bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (segment_header_size(header_bytes, &size) == 0 && size == h.size)
			assert_int_equal(segment_header_read(header_bytes, size, &back), -EBADMSG);
		header_bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	header_bytes[9] = 3;
	assert_int_equal(segment_header_size(header_bytes, &size), -EPROTONOSUPPORT);
}

static const struct {
	const char *why, *name;
	enum audit_log log;
	uint64_t number;
} names[] = {
	{"a segment's name has its number", "commands-000017.log", LOG_COMMANDS, 17},
	{"numbers may have more digits", "events-1234567.log", LOG_EVENTS, 1234567},
	{"the other log's is none", "commands-000017.log", LOG_EVENTS, 0},
	{"too few digits are none", "commands-17.log", LOG_COMMANDS, 0},
	{"number 0 is none", "commands-000000.log", LOG_COMMANDS, 0},
	{"a checkpoint's is none", "commands-000017.note", LOG_COMMANDS, 0},
	{"nothing behind it", "commands-000017.log~", LOG_COMMANDS, 0},
	{"an empty number is none", "commands-.log", LOG_COMMANDS, 0},
};

static void name_is_read(void **state)
{
	const __typeof__(names[0]) *row = *state;

	assert_int_equal(segment_number(row->log, row->name), row->number);
}

/* One segment of commands: CONTEXT, then BLOCKS blocks of a record each. */
static void file_make(void)
{
	struct place p;

	place_open(&p);
	place_begin(&p, AUDIT_LOG_INVALID);
	for (uint64_t i = 0; i < BLOCKS; i++) {
		struct audit_record r = {
			.index = i, .lba = i, .blocks = 1, .kind = 1, .verdict = 1, .cdb_len = 10};

		(void)writer_put_command(&p.writer, 17, &r);
		place_block(&p);
	}
	len = place_read(&p, LOG_COMMANDS, 1, bytes, sizeof bytes);
	place_writer_close(&p);
	place_close(&p);
}

struct seen {
	unsigned blocks, damages;
	uint64_t offset, octets; /* of the last damage */
	int end;
};

static struct seen file_read(size_t size)
{
	struct seen seen = {0};
	struct block_header h;
	const uint8_t *block;
	int fd = memfd_create("segment", MFD_CLOEXEC), got;

	assert_int_equal(pwrite(fd, bytes, size, 0), (ssize_t)size);
	assert_int_equal(reader_open(&reader, fd), 0);
	while ((got = reader_peek(&reader, &h)) == READER_BLOCK || got == READER_DAMAGED) {
		if (got == READER_BLOCK)
			got = reader_take(&reader, &h, &block);
		seen.blocks += got == READER_BLOCK;
		if (got != READER_DAMAGED)
			continue;
		seen.damages++;
		seen.offset = reader.damage_offset;
		seen.octets = reader.damage_len;
	}
	seen.end = got;
	close(fd);
	return seen;
}

static void every_flip_is_placed(void **state)
{
	size_t size, at = place_block_at(bytes, len, 7, &size);

	(void)state;
	for (size_t octet = at; octet < at + size; octet++) {
		struct seen seen;

		bytes[octet] ^= 0x10;
		seen = file_read(len);
		bytes[octet] ^= 0x10;
		assert_int_equal(seen.blocks, BLOCKS); /* of BLOCKS + 1 */
		assert_int_equal(seen.damages, 1);
		assert_int_equal(seen.offset, at);
		assert_int_equal(seen.octets, size);
		assert_int_equal(seen.end, READER_END);
	}
}

/* Cut off anywhere in the last block, or in between two. */
static void every_cut_is_torn(void **state)
{
	size_t size, at = place_block_at(bytes, len, BLOCKS, &size);

	(void)state;
	assert_int_equal(at + size, len);
	for (size_t cut = at; cut <= len; cut++) {
		struct seen seen = file_read(cut);

		assert_int_equal(seen.blocks, cut == len ? BLOCKS + 1 : BLOCKS);
		assert_int_equal(seen.damages, 0);
		assert_int_equal(seen.end, cut == at || cut == len ? READER_END : READER_TORN);
	}
}

static void octets_between_are_damage(void **state)
{
	static uint8_t whole[sizeof bytes];
	size_t size, at = place_block_at(bytes, len, 3, &size);
	struct seen seen;

	(void)state;
	memcpy(whole, bytes, len);
	memmove(bytes + at + 100, bytes + at, len - at);
	memcpy(bytes + at, (const uint8_t[]){'S', 'P', 'A', 'B', 'S', 'P', 'A', 'B'}, 8);
	seen = file_read(len + 100);
	memcpy(bytes, whole, len);
	assert_int_equal(seen.blocks, BLOCKS + 1);
	assert_int_equal(seen.damages, 1);
	assert_int_equal(seen.offset, at);
	assert_int_equal(seen.octets, 100);
}

static void context_is_kept(void **state)
{
	struct auditor_ring_info info = {.connection = 17, .target = "iqn.test:vault"};
	struct sessions *sessions = sessions_new();
	static struct names dictionary;
	struct place p;
	int fd;

	(void)state;
	place_open(&p);
	place_begin(&p, AUDIT_LOG_INVALID);
	for (uint32_t i = 0; i < 3; i++) {
		info.connection++;
		(void)snprintf(info.initiator, sizeof info.initiator, "iqn.test:%u", i);
		place_attach(&p, &info);
	}
	place_block(&p);
	place_begin(&p, LOG_COMMANDS);
	fd = segment_open(p.fd, LOG_COMMANDS, 2);
	assert_int_equal(reader_open(&reader, fd), 0);
	assert_int_equal(reader_context(&reader, &unpacker, &dictionary, sessions), 0);
	assert_string_equal(sessions_find(sessions, 19)->initiator, "iqn.test:1");
	assert_string_equal(sessions_find(sessions, 20)->target, "iqn.test:vault");
	assert_int_equal(dictionary.count, 4);
	close(fd);
	names_clear(&dictionary);
	sessions_free(sessions);
	place_writer_close(&p);
	place_close(&p);
}

static const struct {
	const char *why;
	CMUnitTestFunction run;
} cases[] = {
	{"every flipped bit of a segment's header is found, and a newer version", header_flips},
	{"a flipped bit costs its block alone, and is told with its place", every_flip_is_placed},
	{"a file that ends within a block is torn there", every_cut_is_torn},
	{"octets between blocks are told, and all blocks are read", octets_between_are_damage},
	{"a segment has the names and the sessions that were there when it began", context_is_kept},
};

int main(void)
{
	static const uint64_t sizes[] = {0, 1, 255, 256, 1001};
	static struct tests t;

	assert_int_equal(reader_start(&reader), 0);
	assert_int_equal(unpacker_open(&unpacker), 0);
	file_make();
	tests_add(&t, "the header of a log's first segment", header_there_and_back, &sizes[0]);
	tests_add(&t, "the header behind one block", header_there_and_back, &sizes[1]);
	tests_add(&t, "the header behind 255 blocks", header_there_and_back, &sizes[2]);
	tests_add(&t, "the header behind 256 blocks", header_there_and_back, &sizes[3]);
	tests_add(&t, "the header behind 1001 blocks", header_there_and_back, &sizes[4]);
	TESTS_ADD_TABLE(&t, names, name_is_read);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		tests_add(&t, cases[i].why, cases[i].run, NULL);
	return tests_run(&t, "audit_segment");
}

/* The header of the trail's blocks: every field there and back, every flipped bit found,
 * every size that can't be refused before anything is allocated by it. */
#include "tests/unit/test.h"

#include "gateway/audit/block.h"
#include "gateway/base/bytes.h"

#define SALT 0x1122334455667788u

static struct block_header a_header(void)
{
	struct block_header h = {.log = LOG_COMMANDS,
				 .flags = BLOCK_ZSTD | BLOCK_DEFINES,
				 .stored = 500,
				 .raw = 4000,
				 .number = 17,
				 .first_sequence = 1001,
				 .records = 250,
				 .wall_ns = 1,
				 .mono_ns = 2,
				 .span_ns = 3,
				 .other_synced = 4,
				 .epoch = 5,
				 .index = {1, 2, 3, 4, 5, 6}};

	memset(h.before, 0x11, sizeof h.before);
	memset(h.root, 0x22, sizeof h.root);
	memset(h.context, 0x33, sizeof h.context);
	memset(h.other, 0x44, sizeof h.other);
	return h;
}

static void assert_same(const struct block_header *a, const struct block_header *b)
{
	assert_int_equal(a->log, b->log);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->stored, b->stored);
	assert_int_equal(a->raw, b->raw);
	assert_int_equal(a->number, b->number);
	assert_int_equal(a->first_sequence, b->first_sequence);
	assert_int_equal(a->records, b->records);
	assert_int_equal(a->wall_ns, b->wall_ns);
	assert_int_equal(a->mono_ns, b->mono_ns);
	assert_int_equal(a->span_ns, b->span_ns);
	assert_memory_equal(a->before, b->before, sizeof a->before);
	assert_memory_equal(a->root, b->root, sizeof a->root);
	assert_memory_equal(a->context, b->context, sizeof a->context);
	assert_int_equal(a->other_synced, b->other_synced);
	assert_memory_equal(a->other, b->other, sizeof a->other);
	assert_int_equal(a->epoch, b->epoch);
	assert_int_equal(a->index.luns, b->index.luns);
	assert_int_equal(a->index.connections, b->index.connections);
	assert_int_equal(a->index.lba_least, b->index.lba_least);
	assert_int_equal(a->index.lba_greatest, b->index.lba_greatest);
	assert_int_equal(a->index.ops, b->index.ops);
	assert_int_equal(a->index.verdicts, b->index.verdicts);
}

static void header_there_and_back(void **state)
{
	struct block_header h = a_header(), back = {0};
	uint8_t bytes[BLOCK_HEADER_SIZE];

	(void)state;
	block_header_write(&h, SALT, bytes);
	assert_int_equal(block_header_read(bytes, SALT, &back), 0);
	assert_same(&h, &back);
	assert_int_equal(block_size(&back), 256 + 500 + 32 + 4);
}

/* The offsets that the manual has. */
static void header_places(void **state)
{
	struct block_header h = a_header();
	uint8_t bytes[BLOCK_HEADER_SIZE];

	(void)state;
	block_header_write(&h, SALT, bytes);
	assert_memory_equal(bytes, "SPAB\x01\x05\0\0", 8);
	assert_int_equal(get_be(bytes + 8, 4), 500);
	assert_int_equal(get_be(bytes + 12, 4), 4000);
	assert_int_equal(get_be(bytes + 16, 8), 17);
	assert_int_equal(get_be(bytes + 24, 8), 1001);
	assert_int_equal(get_be(bytes + 32, 4), 250);
	assert_int_equal(get_be(bytes + 56, 8), 3);
	assert_int_equal(bytes[64], 0x11);
	assert_int_equal(bytes[96], 0x22);
	assert_int_equal(bytes[128], 0x33);
	assert_int_equal(get_be(bytes + 160, 8), 4);
	assert_int_equal(bytes[168], 0x44);
	assert_int_equal(get_be(bytes + 200, 8), 5);
	assert_int_equal(get_be(bytes + 208, 8), 1);
	assert_int_equal(get_be(bytes + 248, 4), 6);
}

static void header_flips(void **state)
{
	struct block_header h = a_header(), back;
	uint8_t bytes[BLOCK_HEADER_SIZE];

	(void)state;
	block_header_write(&h, SALT, bytes);
	for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(block_header_read(bytes, SALT, &back), -EBADMSG);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(block_header_read(bytes, SALT + 1, &back), -EBADMSG);
}

static void block_flips(void **state)
{
	struct block_header h = a_header();
	uint8_t block[256 + 500 + 36] = {0};

	(void)state;
	block_header_write(&h, SALT, block);
	block_crc_set(block, sizeof block, SALT);
	assert_true(block_crc_right(block, sizeof block, SALT));
	assert_false(block_crc_right(block, sizeof block, SALT + 1));
	for (size_t bit = 0; bit < sizeof block * 8; bit++) {
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(block_crc_right(block, sizeof block, SALT));
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* A header whose CRC is right is refused all the same when `set` makes it impossible. */
struct bound {
	const char *why;
	void (*set)(struct block_header *h);
	int want;
};

static void set_log(struct block_header *h)
{
	h->log = (enum audit_log)3;
}

static void set_flags(struct block_header *h)
{
	h->flags = 16;
}

static void set_stored(struct block_header *h)
{
	h->stored = BLOCK_PAYLOAD_MAX + 1;
}

static void set_raw(struct block_header *h)
{
	h->raw = BLOCK_PAYLOAD_MAX + 1;
}

static void set_most(struct block_header *h)
{
	h->stored = h->raw = BLOCK_PAYLOAD_MAX;
}

static void set_plain(struct block_header *h)
{
	h->flags = 0;
}

static void set_records(struct block_header *h)
{
	h->records = h->raw + 1;
}

static void set_sequence(struct block_header *h)
{
	h->first_sequence = 0;
}

static void set_overflow(struct block_header *h)
{
	h->first_sequence = UINT64_MAX - 248;
}

static void set_number(struct block_header *h)
{
	h->number = UINT64_MAX;
}

static const struct bound bounds[] = {
	{"a block of an unknown log is refused", set_log, -EBADMSG},
	{"a block with an unknown flag is refused", set_flags, -EBADMSG},
	{"a payload of more than 1 MiB is refused", set_stored, -EBADMSG},
	{"a payload that unpacks to more than 1 MiB is refused", set_raw, -EBADMSG},
	{"a payload of 1 MiB is taken", set_most, 0},
	{"a payload that is not compressed has one size", set_plain, -EBADMSG},
	{"more records than octets are refused", set_records, -EBADMSG},
	{"sequence 0 is refused", set_sequence, -EBADMSG},
	{"sequences that overflow are refused", set_overflow, -EBADMSG},
	{"the number after which there is none is refused", set_number, -EBADMSG},
};

static void header_bounds(void **state)
{
	const struct bound *b = *state;
	struct block_header h = a_header(), back;
	uint8_t bytes[BLOCK_HEADER_SIZE];

	b->set(&h);
	block_header_write(&h, SALT, bytes);
	assert_int_equal(block_header_read(bytes, SALT, &back), b->want);
}

static const struct {
	const char *why;
	CMUnitTestFunction run;
} cases[] = {
	{"a block's header is read back as it was written", header_there_and_back},
	{"every field of a block's header stands where the manual says", header_places},
	{"every flipped bit of a block's header is found, and another salt", header_flips},
	{"every flipped bit of a block is found, and another salt", block_flips},
};

int main(void)
{
	static struct tests t;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		tests_add(&t, cases[i].why, cases[i].run, NULL);
	TESTS_ADD_TABLE(&t, bounds, header_bounds);
	return tests_run(&t, "audit_block");
}

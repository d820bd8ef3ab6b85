/* Partition tables and superblocks as PCs write them, and as an initiator could. */
#include <isa-l/crc.h>
#include "gateway/files/little.h"
#include "gateway/files/partitions.h"
#include "gateway/files/volume.h"
#include "tests/unit/test.h"

#define DISK (8u << 20)

struct disk {
	uint8_t *bytes;
	uint32_t block;
};

static void put_le(uint8_t *p, size_t width, uint64_t value)
{
	for (size_t i = 0; i < width; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

static void mbr_entry(struct disk *d, uint64_t block, unsigned slot, uint8_t type,
		      const uint64_t first_and_blocks[2])
{
	uint8_t *sector = d->bytes + block * d->block, *e = sector + 446 + 16 * slot;

	e[4] = type;
	put_le(e + 8, 4, first_and_blocks[0]);
	put_le(e + 12, 4, first_and_blocks[1]);
	put_le(sector + 510, 2, 0xaa55);
}

#define MBR(d, block, slot, type, ...) \
	mbr_entry((d), (block), (slot), (type), (const uint64_t[2]){__VA_ARGS__})

static void gpt_seal(struct disk *d, uint64_t block, uint64_t array)
{
	uint8_t *h = d->bytes + block * d->block;

	memcpy(h, "EFI PART", 8);
	put_le(h + 12, 4, 92);
	put_le(h + 24, 8, block);
	put_le(h + 72, 8, array);
	if (get_le(h + 80, 4) == 0) {
		put_le(h + 80, 4, 128);
		put_le(h + 84, 4, 128);
	}
	put_le(h + 88, 4, crc32_gzip_refl(0, d->bytes + array * d->block, get_le(h + 80, 4) * 128));
	put_le(h + 16, 4, 0);
	put_le(h + 16, 4, crc32_gzip_refl(0, h, 92));
}

static void gpt_entry(struct disk *d, unsigned n, uint64_t first, uint64_t last)
{
	uint8_t *e = d->bytes + 2 * (size_t)d->block + 128 * n;

	memset(e, 0x11, 16);
	put_le(e + 32, 8, first);
	put_le(e + 40, 8, last);
}

static void protective(struct disk *d)
{
	MBR(d, 0, 0, 0xee, 1, UINT32_MAX);
}

static void two_primary(struct disk *d)
{
	MBR(d, 0, 0, 0x83, 8, 100);
	MBR(d, 0, 2, 0x07, 200, 300);
}

static void logical(struct disk *d)
{
	MBR(d, 0, 0, 0x83, 8, 10);
	MBR(d, 0, 1, 0x05, 100, 900);
	MBR(d, 100, 0, 0x83, 8, 50);
	MBR(d, 100, 1, 0x05, 200, 200);
	MBR(d, 300, 0, 0x83, 8, 60);
}

static void circle(struct disk *d)
{
	MBR(d, 0, 0, 0x0f, 100, 900);
	MBR(d, 100, 0, 0x83, 8, 50);
	MBR(d, 100, 1, 0x05, 100, 200);
	MBR(d, 200, 0, 0x83, 8, 50);
	MBR(d, 200, 1, 0x05, 0, 200);
	put_le(d->bytes + 200 * d->block + 446 + 16 + 8, 4, 0);
}

static void beyond(struct disk *d)
{
	MBR(d, 0, 0, 0x83, 8, UINT32_MAX);
	MBR(d, 0, 1, 0x83, 8, 16);
}

static void gpt(struct disk *d)
{
	protective(d);
	gpt_entry(d, 0, 64, 163);
	gpt_entry(d, 4, 200, 299);
	gpt_seal(d, 1, 2);
}

static void gpt_copy(struct disk *d)
{
	gpt(d);
	gpt_seal(d, DISK / d->block - 1, 2);
	d->bytes[d->block + 60] ^= 1;
}

static void gpt_forged(struct disk *d)
{
	gpt(d);
	d->bytes[2 * d->block + 33] ^= 1;
}

static void gpt_many(struct disk *d)
{
	protective(d);
	put_le(d->bytes + d->block + 80, 4, UINT32_MAX);
	put_le(d->bytes + d->block + 84, 4, 128);
	memcpy(d->bytes + d->block, "EFI PART", 8);
	put_le(d->bytes + d->block + 12, 4, 92);
	put_le(d->bytes + d->block + 24, 8, 1);
	put_le(d->bytes + d->block + 16, 4, crc32_gzip_refl(0, d->bytes + d->block, 92));
}

static void gpt_backwards(struct disk *d)
{
	protective(d);
	gpt_entry(d, 0, 300, 200);
	gpt_entry(d, 1, 0, UINT64_MAX);
	gpt_entry(d, 2, 300, 301);
	gpt_seal(d, 1, 2);
}

static void empty(struct disk *d)
{
	(void)d;
}

static const struct table_row {
	const char *why;
	void (*make)(struct disk *d);
	size_t count;
	bool gpt, broken;
	struct {
		unsigned number;
		uint64_t first, blocks;
	} want[3];
} tables[] = {
	{.why = "a disk without a table has no partitions", .make = empty},
	{.why = "primary partitions keep their numbers",
	 .make = two_primary,
	 .count = 2,
	 .want = {{1, 8, 100}, {3, 200, 300}}},
	{.why = "logical partitions are counted from 5, from their own place",
	 .make = logical,
	 .count = 3,
	 .want = {{1, 8, 10}, {5, 108, 50}, {6, 308, 60}}},
	{.why = "a chain of logical partitions that is a circle ends, and is told",
	 .make = circle,
	 .count = 64,
	 .broken = true,
	 .want = {{5, 108, 50}, {6, 208, 50}, {7, 108, 50}}},
	{.why = "a partition that ends behind the disk is left out, and told",
	 .make = beyond,
	 .count = 1,
	 .broken = true,
	 .want = {{2, 8, 16}}},
	{.why = "GPT: both ends are inclusive, and numbers are the places in its array",
	 .make = gpt,
	 .count = 2,
	 .gpt = true,
	 .want = {{1, 64, 100}, {5, 200, 100}}},
	{.why = "GPT: a damaged header has a copy at the end of the disk",
	 .make = gpt_copy,
	 .count = 2,
	 .gpt = true,
	 .want = {{1, 64, 100}, {5, 200, 100}}},
	{.why = "GPT: an array that does not fit its sum is not believed",
	 .make = gpt_forged,
	 .broken = true},
	{.why = "GPT: an array larger than 1 MiB is not even read",
	 .make = gpt_many,
	 .broken = true},
	{.why = "GPT: entries that end before they begin, or without end, are left out",
	 .make = gpt_backwards,
	 .count = 1,
	 .gpt = true,
	 .broken = true,
	 .want = {{3, 300, 2}}},
};

static void read_table(const struct table_row *row, uint32_t block)
{
	struct disk d = {.bytes = calloc(1, DISK), .block = block};
	struct source s = source_over_bytes(d.bytes, DISK);
	struct partitions p;

	row->make(&d);
	partitions_read(&s, block, &p);
	assert_int_equal(p.count, row->count);
	assert_int_equal(p.broken, row->broken);
	assert_int_equal(p.gpt, row->gpt);
	for (size_t i = 0; i < MIN(row->count, ARRAY_LEN(row->want)); i++) {
		assert_int_equal(p.list[i].number, row->want[i].number);
		assert_int_equal(p.list[i].offset, row->want[i].first * block);
		assert_int_equal(p.list[i].size_bytes, row->want[i].blocks * block);
	}
	free(d.bytes);
}

static void a_table(void **state)
{
	read_table(*state, 512);
	read_table(*state, 4096);
}

/* --- superblocks -------------------------------------------------------------------------- */

static void ext4(uint8_t *b)
{
	put_le(b + 1024 + 4, 4, 100);
	put_le(b + 1024 + 24, 4, 2);
	put_le(b + 1024 + 56, 2, 0xef53);
	put_le(b + 1024 + 76, 4, 1);
	put_le(b + 1024 + 88, 2, 256);
	put_le(b + 1024 + 92, 4, 4);
	put_le(b + 1024 + 96, 4, 0x40);
}

static void ext3(uint8_t *b)
{
	ext4(b);
	put_le(b + 1024 + 96, 4, 2);
}

static void ext_large(uint8_t *b)
{
	ext4(b);
	put_le(b + 1024 + 4, 4, UINT32_MAX);
}

static void ext_blocks(uint8_t *b)
{
	ext4(b);
	put_le(b + 1024 + 24, 4, 31);
}

static void ext_inodes(uint8_t *b)
{
	ext4(b);
	put_le(b + 1024 + 88, 2, 77);
}

static void xfs(uint8_t *b)
{
	put_le(b, 4, 0x42534658); /* XFSB */
	b[6] = 0x10;		  /* 4096 */
	b[15] = 100;
	b[63] = 128;
	b[87] = 50;
	b[104] = 2; /* 512 */
	b[123] = 3;
	b[124] = 6;
}

static void xfs_groups(uint8_t *b)
{
	xfs(b);
	b[124] = 5; /* 50 blocks of a group do not fit in 5 bits */
}

static void xfs_no_groups(uint8_t *b)
{
	xfs(b);
	b[87] = 0;
}

static void ntfs(uint8_t *b)
{
	put_le(b + 3, 8, 0x202020205346544e); /* NTFS and four spaces */
	put_le(b + 11, 2, 512);
	b[13] = 8;
	put_le(b + 40, 8, 800);
	b[64] = 0xf6; /* 1024 */
}

static void ntfs_no_cluster(uint8_t *b)
{
	ntfs(b);
	b[13] = 0;
}

static void ntfs_record(uint8_t *b)
{
	ntfs(b);
	b[64] = 0x80;
}

static void nothing(uint8_t *b)
{
	(void)b;
}

static const struct volume_row {
	const char *why;
	void (*make)(uint8_t *b);
	const char *name; /* NULL: none is found */
	uint32_t block;
	uint64_t blocks;
} volumes[] = {
	{"zeroes are no file system", nothing, NULL, 0, 0},
	{"ext4 is known by its extents", ext4, "ext4", 4096, 100},
	{"ext3 is ext2 with a journal", ext3, "ext3", 4096, 100},
	{"ext: more blocks than the partition has: none", ext_large, NULL, 0, 0},
	{"ext: a block of 2 TiB: none", ext_blocks, NULL, 0, 0},
	{"ext: an inode of 77 octets: none", ext_inodes, NULL, 0, 0},
	{"xfs is known", xfs, "xfs", 4096, 100},
	{"xfs: groups larger than their numbers: none", xfs_groups, NULL, 0, 0},
	{"xfs: groups of no blocks: none", xfs_no_groups, NULL, 0, 0},
	{"ntfs is known, and its records' size is a power of two", ntfs, "ntfs", 4096, 100},
	{"ntfs: a cluster of no sectors: none", ntfs_no_cluster, NULL, 0, 0},
	{"ntfs: a record of 2 to the 128: none", ntfs_record, NULL, 0, 0},
};

static void a_volume(void **state)
{
	const struct volume_row *row = *state;
	uint8_t *bytes = calloc(1, DISK);
	struct source s = source_over_bytes(bytes, DISK);
	struct volume v = {.kind = VOLUME_INVALID};

	row->make(bytes + 65536);
	assert_int_equal(volume_probe(&s, 65536, 100 * 4096, &v), row->name != NULL);
	if (row->name) {
		assert_string_equal(v.name, row->name);
		assert_int_equal(v.block_bytes, row->block);
		assert_int_equal(v.blocks, row->blocks);
		assert_int_equal(v.offset, 65536);
	}
	free(bytes);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, tables, a_table);
	TESTS_ADD_TABLE(&t, volumes, a_volume);
	return tests_run(&t, "files_partitions");
}

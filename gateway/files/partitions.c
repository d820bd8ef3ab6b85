/* Partition tables, read without belief: every number is bounded before it is used, a
 * chain of logical partitions has an end, and what does not lie within the disk is left
 * out. UEFI 2.10 section 5. Runs in the process that looks for files. */
#include "gateway/files/partitions.h"

#include <isa-l/crc.h>
#include "gateway/files/little.h"

#define SECTOR		 512 /* of the MBR: its table is in the first 512 octets of any block */
#define MBR_TABLE	 446
#define MBR_ENTRY	 16
#define MBR_ENTRIES	 4
#define MBR_GPT		 0xee
#define LOGICAL_FIRST	 5
#define LOGICAL_MOST	 64
#define GPT_HEADER_LEAST 92
#define GPT_ENTRY_LEAST	 128
#define GPT_ENTRY_MOST	 4096
#define GPT_ARRAY_MOST	 (1u << 20)
#define BLOCK_MOST	 4096

struct table {
	const struct source *source;
	uint32_t block_size;
	struct partitions *found;
};

/* In blocks. */
static void partition_add(struct table *t, unsigned number, uint64_t first, uint64_t blocks)
{
	struct partitions *p = t->found;
	uint64_t offset, size, end;

	if (blocks == 0)
		return;
	if (p->count == PARTITIONS_MAX || first == 0 || !MUL_OK(first, t->block_size, &offset) ||
	    !MUL_OK(blocks, t->block_size, &size) || !ADD_OK(offset, size, &end) ||
	    end > t->source->size_bytes) {
		p->broken = true;
		return;
	}
	p->list[p->count++] =
		(struct partition){.number = number, .offset = offset, .size_bytes = size};
}

/* --- MBR ---------------------------------------------------------------------------------- */

struct mbr_entry {
	uint8_t type;
	uint32_t first, blocks;
};

static bool mbr_read(const struct table *t, uint64_t block, struct mbr_entry ret[MBR_ENTRIES])
{
	uint8_t sector[SECTOR];
	uint64_t offset;

	if (!MUL_OK(block, t->block_size, &offset) ||
	    source_read(t->source, offset, sector, sizeof sector) < 0 ||
	    get_le(sector + SECTOR - 2, 2) != 0xaa55)
		return false;
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		const uint8_t *e = sector + MBR_TABLE + MBR_ENTRY * i;

		ret[i] = (struct mbr_entry){.type = e[4],
					    .first = (uint32_t)get_le(e + 8, 4),
					    .blocks = (uint32_t)get_le(e + 12, 4)};
	}
	return true;
}

static bool is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* Each link of the chain has one partition, counted from the link, and the place of the next link,
 * counted from the first one. */
static void logical_read(struct table *t, uint64_t first)
{
	uint64_t at = first;

	for (unsigned number = LOGICAL_FIRST; number < LOGICAL_FIRST + LOGICAL_MOST; number++) {
		struct mbr_entry e[MBR_ENTRIES];

		if (!mbr_read(t, at, e)) {
			t->found->broken = true;
			return;
		}
		if (e[0].type != 0)
			partition_add(t, number, at + e[0].first, e[0].blocks);
		if (!is_extended(e[1].type) || e[1].blocks == 0)
			return;
		at = first + e[1].first;
	}
	t->found->broken = true;
}

static void mbr_take(struct table *t, const struct mbr_entry e[MBR_ENTRIES])
{
	bool logical = false;

	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		if (e[i].type == 0)
			continue;
		if (!is_extended(e[i].type))
			partition_add(t, i + 1, e[i].first, e[i].blocks);
		else if (!logical && e[i].first > 0)
			logical_read(t, e[i].first);
		logical |= is_extended(e[i].type);
	}
}

/* --- GPT ---------------------------------------------------------------------------------- */

struct gpt_header {
	uint64_t array;
	uint32_t entries, entry_size, array_crc;
};

static bool gpt_header_read(const struct table *t, uint64_t block, struct gpt_header *ret)
{
	uint8_t h[BLOCK_MOST];
	uint64_t offset, size;
	uint32_t crc;

	if (!MUL_OK(block, t->block_size, &offset) ||
	    source_read(t->source, offset, h, t->block_size) < 0 || memcmp(h, "EFI PART", 8) != 0)
		return false;
	size = get_le(h + 12, 4);
	crc = (uint32_t)get_le(h + 16, 4);
	if (size < GPT_HEADER_LEAST || size > t->block_size)
		return false;
	memset(h + 16, 0, 4); /* the CRC is of the header with zeroes in its place */
	if (crc32_gzip_refl(0, h, size) != crc || get_le(h + 24, 8) != block)
		return false;
	*ret = (struct gpt_header){.array = get_le(h + 72, 8),
				   .entries = (uint32_t)get_le(h + 80, 4),
				   .entry_size = (uint32_t)get_le(h + 84, 4),
				   .array_crc = (uint32_t)get_le(h + 88, 4)};
	return ret->entry_size >= GPT_ENTRY_LEAST && ret->entry_size <= GPT_ENTRY_MOST &&
	       ret->entries <= GPT_ARRAY_MOST / ret->entry_size;
}

static void gpt_entry_take(struct table *t, unsigned number, const uint8_t *e)
{
	static const uint8_t unused[16];
	uint64_t first = get_le(e + 32, 8), last = get_le(e + 40, 8);

	if (memcmp(e, unused, sizeof unused) == 0)
		return;
	if (last < first || last == UINT64_MAX)
		t->found->broken = true;
	else
		partition_add(t, number, first, last - first + 1);
}

static bool gpt_take(struct table *t, uint64_t block)
{
	OWNED_FREE uint8_t *array = NULL;
	struct gpt_header h;
	uint64_t offset;
	size_t len;

	if (!gpt_header_read(t, block, &h) || !MUL_OK(h.array, t->block_size, &offset))
		return false;
	len = (size_t)h.entries * h.entry_size;
	array = malloc(len + 1);
	if (!array || source_read(t->source, offset, array, len) < 0 ||
	    crc32_gzip_refl(0, array, len) != h.array_crc)
		return false;
	for (unsigned i = 0; i < h.entries; i++)
		gpt_entry_take(t, i + 1, array + (size_t)i * h.entry_size);
	t->found->gpt = true;
	return true;
}

static bool has_gpt(const struct mbr_entry e[MBR_ENTRIES])
{
	for (unsigned i = 0; i < MBR_ENTRIES; i++)
		if (e[i].type == MBR_GPT)
			return true;
	return false;
}

void partitions_read(const struct source *s, uint32_t block_size, struct partitions *ret_partitions)
{
	struct table t = {.source = s, .block_size = block_size, .found = ret_partitions};
	uint64_t blocks = s->size_bytes / block_size;
	struct mbr_entry e[MBR_ENTRIES];

	assert(block_size >= SECTOR && block_size <= BLOCK_MOST);
	*ret_partitions = (struct partitions){.count = 0};
	if (!mbr_read(&t, 0, e))
		return;
	if (!has_gpt(e))
		mbr_take(&t, e);
	else if (!gpt_take(&t, 1) && (blocks < 2 || !gpt_take(&t, blocks - 1)))
		ret_partitions->broken = true;
}

/* Finds out which file system is there, from its superblock alone: ext2, ext3 and ext4,
 * XFS, NTFS. Everything beyond that is for the file system's own tool. Runs in the
 * process that looks for files; trusts no octet. */
#include "gateway/files/volume.h"

#include "gateway/base/bytes.h"
#include "gateway/files/little.h"

#define BLOCK_LEAST 512u
#define BLOCK_MOST  (2u << 20)

static bool is_power(uint64_t n)
{
	return n > 0 && (n & (n - 1)) == 0;
}

/* The numbers of all kinds: sizes are powers of two, and the blocks lie in the partition, which may
 * be a few octets larger. */
static bool fits(const struct volume *v)
{
	uint64_t size;

	return is_power(v->block_bytes) && v->block_bytes >= BLOCK_LEAST &&
	       v->block_bytes <= BLOCK_MOST && v->blocks > 0 &&
	       MUL_OK(v->blocks, v->block_bytes, &size) && size <= v->size_bytes &&
	       is_power(v->inode_bytes) && v->inode_bytes >= 128 && v->inode_bytes <= 65536;
}

#define EXT_SUPERBLOCK	   1024
#define EXT_HAS_JOURNAL	   0x0004
#define EXT_64BIT	   0x0080
#define EXT_OF_4	   (0x0040 | 0x0080 | 0x0100 | 0x0200 | 0x8000 | 0x10000)
#define EXT_OF_4_READ_ONLY (0x0008 | 0x0010 | 0x0020 | 0x0040 | 0x0200 | 0x0400)
#define EXT_ROOT	   2

static bool ext_probe(const uint8_t *head, struct volume *v)
{
	const uint8_t *s = head + EXT_SUPERBLOCK;
	uint64_t log = get_le(s + 24, 4);
	uint32_t compatible = (uint32_t)get_le(s + 92, 4),
		 incompatible = (uint32_t)get_le(s + 96, 4),
		 read_only = (uint32_t)get_le(s + 100, 4);

	if (get_le(s + 56, 2) != 0xef53 || log > 6)
		return false;
	v->kind = VOLUME_EXT;
	v->name = "ext2";
	if (compatible & EXT_HAS_JOURNAL)
		v->name = "ext3";
	if ((incompatible & EXT_OF_4) || (read_only & EXT_OF_4_READ_ONLY))
		v->name = "ext4";
	v->block_bytes = 1024u << log;
	v->blocks = get_le(s + 4, 4);
	if (incompatible & EXT_64BIT)
		v->blocks |= get_le(s + 336, 4) << 32;
	v->inode_bytes = get_le(s + 76, 4) > 0 ? (uint32_t)get_le(s + 88, 2) : 128;
	v->root = EXT_ROOT;
	return true;
}

static bool xfs_probe(const uint8_t *head, struct volume *v)
{
	if (memcmp(head, "XFSB", 4) != 0)
		return false;
	v->kind = VOLUME_XFS;
	v->name = "xfs";
	v->block_bytes = (uint32_t)get_be(head + 4, 4);
	v->blocks = get_be(head + 8, 8);
	v->root = get_be(head + 56, 8);
	v->group_blocks = (uint32_t)get_be(head + 84, 4);
	v->inode_bytes = (uint32_t)get_be(head + 104, 2);
	v->inode_block_log = head[123];
	v->group_block_log = head[124];
	return v->group_blocks > 0 && v->inode_block_log <= 16 && v->group_block_log <= 32 &&
	       v->group_blocks <= 1ull << v->group_block_log;
}

/* 2 to the power of -raw, as eight bits; 0: too much. */
static uint32_t ntfs_power(uint8_t raw)
{
	return 256u - raw <= 21 ? 1u << (256u - raw) : 0;
}

/* Sectors; beyond 128 as a power of two of them. */
static uint32_t ntfs_cluster(uint8_t raw, uint32_t sector)
{
	uint64_t bytes = (uint64_t)(raw <= 128 ? raw : ntfs_power(raw)) * sector;

	return bytes <= BLOCK_MOST ? (uint32_t)bytes : 0;
}

/* Clusters, or a power of two of octets. */
static uint32_t ntfs_record(uint8_t raw, uint32_t cluster)
{
	uint64_t bytes = raw < 128 ? (uint64_t)raw * cluster : ntfs_power(raw);

	return bytes <= BLOCK_MOST ? (uint32_t)bytes : 0;
}

#define NTFS_ROOT 5

static bool ntfs_probe(const uint8_t *head, struct volume *v)
{
	uint32_t sector = (uint32_t)get_le(head + 11, 2);

	if (memcmp(head + 3, "NTFS    ", 8) != 0 || !is_power(sector) || sector < 256)
		return false;
	v->kind = VOLUME_NTFS;
	v->name = "ntfs";
	v->block_bytes = ntfs_cluster(head[13], sector);
	if (v->block_bytes < sector)
		return false;
	v->blocks = get_le(head + 40, 8) / (v->block_bytes / sector);
	v->inode_bytes = ntfs_record(head[64], v->block_bytes);
	v->root = NTFS_ROOT;
	return true;
}

bool volume_probe(const struct source *s, uint64_t offset, uint64_t size_bytes,
		  struct volume *ret_volume)
{
	static bool (*const probes[])(const uint8_t *head,
				      struct volume *v) = {xfs_probe, ntfs_probe, ext_probe};
	uint8_t head[EXT_SUPERBLOCK + 1024];

	if (size_bytes < sizeof head || source_read(s, offset, head, sizeof head) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
		struct volume v = {.offset = offset, .size_bytes = size_bytes};

		if (probes[i](head, &v) && fits(&v)) {
			*ret_volume = v;
			return true;
		}
	}
	return false;
}

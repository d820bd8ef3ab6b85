/* A file system on a disk or a partition, as its first blocks describe it. An initiator wrote them:
 * the numbers are bounded, and nothing more. */
#pragma once

#include "gateway/files/source.h"

enum volume_kind { VOLUME_INVALID, VOLUME_EXT, VOLUME_XFS, VOLUME_NTFS };

struct volume {
	enum volume_kind kind;
	const char *name;	     /* "ext4" */
	unsigned partition;	     /* 0: the whole disk */
	uint64_t offset, size_bytes; /* of the partition, on the disk */

	uint32_t block_bytes; /* of the file system; NTFS: of a cluster. 512 to 2 MiB */
	uint64_t blocks;
	uint64_t root; /* inode of the root folder */

	/* XFS */
	uint32_t group_blocks;			  /* blocks of an allocation group */
	uint8_t group_block_log, inode_block_log; /* bits of an inode's number below the group */
	/* ext, XFS, NTFS: octets of an inode, of a record of the MFT */
	uint32_t inode_bytes;
};

/* Is there a file system that we know, at these octets of the disk? */
bool volume_probe(const struct source *s, uint64_t offset, uint64_t size_bytes,
		  struct volume *ret_volume);

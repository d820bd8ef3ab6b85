/* Where the partitions of a disk are: MBR with its logical ones, GPT with its copy at the end of
 * the disk. An initiator wrote the tables. */
#pragma once

#include "gateway/files/source.h"

#define PARTITIONS_MAX 128

struct partition {
	unsigned number; /* as Linux counts: logical ones from 5 */
	uint64_t offset, size_bytes;
};

struct partitions {
	struct partition list[PARTITIONS_MAX]; /* whole ones that lie within the disk */
	size_t count;
	bool gpt;
	bool broken; /* some could not be taken: they end behind the disk, or form a circle */
};

/* `block_size`: of the LUN, which is what the tables count in. None when there is no table. */
void partitions_read(const struct source *s, uint32_t block_size,
		     struct partitions *ret_partitions);

/* Tables of partitions and superblocks from any octets: what is found lies within the disk. */
#include "gateway/files/partitions.h"
#include "gateway/files/volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(const struct source *s, uint64_t offset, uint64_t size)
{
	if (offset > s->size_bytes || size > s->size_bytes - offset)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source s = source_over_bytes(data, size);

	for (uint32_t block = 512; block <= 4096; block *= 8) {
		struct partitions p;
		struct volume v;

		partitions_read(&s, block, &p);
		for (size_t i = 0; i < p.count; i++) {
			within(&s, p.list[i].offset, p.list[i].size_bytes);
			if (volume_probe(&s, p.list[i].offset, p.list[i].size_bytes, &v))
				within(&s, v.offset, v.blocks * v.block_bytes);
		}
		if (volume_probe(&s, 0, size, &v) && v.blocks * v.block_bytes > size)
			abort();
	}
	return 0;
}

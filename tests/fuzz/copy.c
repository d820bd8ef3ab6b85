/* A parameter list of EXTENDED COPY on two disks, behind 2 octets (result of the requests, flags):
 * no request leaves a disk, the work is bounded, and nothing stays anywhere. By flag, the header
 * and the descriptors' types are put right, so that segments are reached. */
#include "tests/fuzz/cdb.h"
#include "gateway/scsi/copier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
static void put_right(uint8_t *list, size_t len)
{
	put_be(list + 2, 2, 2 * COPY_TARGET_SIZE);
	put_be(list + 8, 8, (uint64_t)(len - 80) / 28 * 28 << 32);
	for (size_t at = 16; at < 80; at += COPY_TARGET_SIZE) {
		put_be(list + at, 8, 0xe400000001030008);
		put_be(list + at + 8, 8, 0x3100000000000000 | (uint64_t)list[at + 9] << 48);
		put_be(list + at + 29, 3, 0);
	}
	for (size_t at = 80; at + COPY_SEGMENT_SIZE <= len; at += COPY_SEGMENT_SIZE)
		put_be(list + at, 8, 0x0200001800000000 | (get_be(list + at + 4, 4) & 0x10001));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conversation *c = &all[0];

	if (size < 2 || size > 4096)
		return 0;
	devices_open();
	memcpy(buffers[0], data + 2, size - 2);
	if ((data[1] & 1) && size > 82)
		put_right(buffers[0], size - 2);
	c->task = (struct scsi_task){.nexus = &seats[0].nexus, .cdb = c->cdb, .cdb_len = 16};
	c->task.edtl = (uint32_t)size, c->task.write = true, c->task.done = on_done;
	c->cdb[0] = 0x83, c->cdb[1] = data[1] >> 1 & 1, c->state = RUNS;
	put_be(c->cdb + 10, 4, size - 2);
	go_on(c, scsi_begin(&c->task));
	settle(-(data[0] & 7));
	assert(c->state == IS_OVER);
	devices_close();
	return 0;
}

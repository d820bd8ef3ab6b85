/* The reader of a segment's blocks over any octets. With CRCs made right for the headers that are
 * found, so that the sizes behind them are believed. */
#include <isa-l/crc.h>
#include <sys/mman.h>
#include "gateway/audit/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct segment_reader r;
	static uint8_t bytes[16384];
	static int fd = -1;
	struct segment_header h = {.log = LOG_COMMANDS, .first_sequence = 1};
	struct block_header block;
	const uint8_t *octets;
	size_t len;

	if (fd < 0 && ((fd = memfd_create("segment", MFD_CLOEXEC)) < 0 || reader_start(&r) < 0))
		abort();
	segment_header_write(&h, NULL, 0, 0, bytes);
	len = h.size + MIN(size, sizeof bytes - h.size);
	memcpy(bytes + h.size, data, len - h.size);
	for (size_t at = h.size; at + BLOCK_HEADER_SIZE <= len && size % 2; at += 64)
		if (memcmp(bytes + at, "SPAB", 4) == 0) /* salt 0 */
			put_be(bytes + at + 252, 4,
			       crc32_iscsi(bytes + at, 252, crc32_iscsi((uint8_t[8]){0}, 8, ~0u)));
	if (ftruncate(fd, 0) < 0 || pwrite(fd, bytes, len, 0) != (ssize_t)len ||
	    reader_open(&r, fd) < 0)
		abort();
	for (int got = READER_BLOCK; got == READER_BLOCK || got == READER_DAMAGED;) {
		got = reader_peek(&r, &block);
		if (got == READER_BLOCK)
			got = reader_take(&r, &block, &octets);
	}
	return 0;
}

/* The reader of segments over any octets. With CRCs made right for the frame heads that are found,
 * so that the decoders behind them are reached, too. */
#include <sys/mman.h>
#include "gateway/audit/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[SEGMENT_HEADER_SIZE + 8192];
	static struct segment_reader r;
	const struct segment_header h = {.run = 1, .number = 1, .first_sequence = 1, .salt = 5};
	size_t len = SEGMENT_HEADER_SIZE + MIN(size, 8192), at = SEGMENT_HEADER_SIZE;
	struct frame f;
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("segment", MFD_CLOEXEC);
	segment_header_write(&h, bytes);
	memcpy(bytes + at, data, len - at);
	while (size % 2 && at < len) {
		int frame = frame_size(bytes + at, len - at);

		if (frame <= 0 || (size_t)frame > len - at)
			break;
		frames_seal(bytes + at, (size_t)frame, at, h.salt);
		at += (size_t)frame;
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, bytes, len, 0) != (ssize_t)len)
		abort();
	if (reader_open(&r, fd) < 0)
		abort();
	for (int got = READER_FRAME; got == READER_FRAME || got == READER_DAMAGED;)
		got = reader_next(&r, &f);
	(void)!segment_header_read(bytes + len - SEGMENT_HEADER_SIZE, &(struct segment_header){0});
	return 0;
}

/* One segment, read through a window that slides over the file. Used by the review and
 * by an auditor that starts; trusts nothing that it reads. */
#include "gateway/audit/reader.h"

/* Up to `want` octets at offset, or fewer at the end of the file. The file may grow meanwhile. */
static ssize_t window_at(struct segment_reader *r, uint64_t offset, size_t want,
			 const uint8_t **ret_bytes)
{
	uint64_t skip = offset - r->window_offset;
	ssize_t n;

	assert(want <= READER_WINDOW);
	if (offset < r->window_offset || skip > r->window_len || r->window_len - skip < want) {
		do
			n = pread(r->fd, r->window, sizeof r->window, (off_t)offset);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return -errno;
		r->window_offset = offset;
		r->window_len = (size_t)n;
		skip = 0;
	}
	*ret_bytes = r->window + skip;
	return (ssize_t)MIN(want, r->window_len - (size_t)skip);
}

int reader_open(struct segment_reader *r, int fd)
{
	const uint8_t *bytes = NULL;
	ssize_t n;
	int e;

	r->fd = fd;
	r->window_offset = 0;
	r->window_len = 0;
	n = window_at(r, 0, SEGMENT_HEADER_SIZE, &bytes);
	if (n < 0)
		return (int)n;
	if (n < SEGMENT_HEADER_SIZE)
		return -ENODATA;
	e = segment_header_read(bytes, &r->header);
	if (e < 0)
		return e;
	r->offset = SEGMENT_HEADER_SIZE;
	return 0;
}

/* READER_FRAME with its octets, or READER_END, READER_TORN, READER_DAMAGED, -errno. */
static int frame_at(struct segment_reader *r, uint64_t offset, const uint8_t **ret_frame,
		    size_t *ret_size)
{
	ssize_t n = window_at(r, offset, FRAME_MAX, ret_frame);
	int size;

	if (n <= 0)
		return n < 0 ? (int)n : READER_END;
	size = frame_size(*ret_frame, (size_t)n);
	if (size < 0)
		return READER_DAMAGED;
	if (size == 0 || size > n)
		return READER_TORN;
	if (!frame_crc_right(*ret_frame, (size_t)size, offset, r->header.salt))
		return READER_DAMAGED;
	*ret_size = (size_t)size;
	return READER_FRAME;
}

/* Finds the next frame that is right behind r->offset. At the end of the file, what looks like the
 * beginning of a frame is torn, all else is damaged. */
static int resume_behind(struct segment_reader *r, bool torn)
{
	const uint8_t *frame;
	uint64_t at = r->offset;
	size_t size;
	int got;

	do
		got = frame_at(r, ++at, &frame, &size);
	while (got == READER_TORN || got == READER_DAMAGED);
	if (got < 0)
		return got;
	if (got == READER_END && torn)
		return READER_TORN;
	r->damage_offset = r->offset;
	r->damage_len = at - r->offset;
	r->offset = at;
	return READER_DAMAGED;
}

int reader_next(struct segment_reader *r, struct frame *ret_frame)
{
	const uint8_t *frame;
	size_t size;
	int got = frame_at(r, r->offset, &frame, &size);

	if (got == READER_END || got < 0)
		return got;
	if (got != READER_FRAME)
		return resume_behind(r, got == READER_TORN);
	if (frame_decode(frame, size, ret_frame) < 0) {
		r->damage_offset = r->offset;
		r->damage_len = size;
		r->offset += size;
		return READER_DAMAGED;
	}
	r->offset += size;
	return READER_FRAME;
}

/* One segment, read through a window that slides over the file. Used by the review and
 * by an auditor that starts; trusts nothing that it reads. */
#include "gateway/audit/reader.h"

#include <sys/stat.h>

#define WINDOW_SIZE (BLOCK_SIZE_MAX + AT_ONCE)
#define AT_ONCE	    (256u << 10)

static const char magic[] = "SPAB";

int reader_start(struct segment_reader *r)
{
	r->fd = -1;
	r->window = malloc(WINDOW_SIZE);
	return r->window ? 0 : -ENOMEM;
}

void reader_free(struct segment_reader *r)
{
	free(r->window);
	r->window = NULL;
}

static int window_fill(struct segment_reader *r, uint64_t offset, size_t want)
{
	size_t got = 0;

	want = MAX(want, AT_ONCE);
	r->window_len = 0;
	while (got < want) {
		ssize_t n = pread(r->fd, r->window + got, want - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	r->window_offset = offset;
	r->window_len = got;
	return 0;
}

/* Up to `want` octets at offset, or fewer at the end of the file. The file may grow meanwhile. */
static ssize_t window_at(struct segment_reader *r, uint64_t offset, size_t want,
			 const uint8_t **ret_bytes)
{
	uint64_t skip = offset - r->window_offset;
	int e;

	assert(want <= BLOCK_SIZE_MAX);
	if (offset > INT64_MAX)
		return 0;
	if (offset < r->window_offset || skip > r->window_len || r->window_len - skip < want) {
		e = window_fill(r, offset, want);
		if (e < 0)
			return e;
		skip = 0;
	}
	*ret_bytes = r->window + skip;
	return (ssize_t)MIN(want, r->window_len - (size_t)skip);
}

/* A whole header, in memory of its own: contexts may be larger than blocks. */
static int header_load(int fd, uint8_t **ret_bytes, size_t *ret_size)
{
	OWNED_FREE uint8_t *bytes = NULL;
	uint8_t prefix[SEGMENT_PREFIX_SIZE];
	ssize_t n = pread(fd, prefix, sizeof prefix, 0);
	struct stat st;
	size_t size;
	int e;

	if (n < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (n < (ssize_t)sizeof prefix)
		return -ENODATA;
	e = segment_header_size(prefix, &size);
	if (e < 0)
		return e;
	if (st.st_size < 0 || (uint64_t)st.st_size < size)
		return -ENODATA;
	bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	n = pread(fd, bytes, size, 0);
	if (n != (ssize_t)size)
		return n < 0 ? -errno : -ENODATA;
	*ret_bytes = TAKE(bytes);
	*ret_size = size;
	return 0;
}

int reader_header(int fd, struct segment_header *ret_header)
{
	OWNED_FREE uint8_t *bytes = NULL;
	size_t size;
	int e = header_load(fd, &bytes, &size);

	return e < 0 ? e : segment_header_read(bytes, size, ret_header);
}

int reader_open(struct segment_reader *r, int fd)
{
	int e = reader_header(fd, &r->header);

	if (e < 0)
		return e;
	r->fd = fd;
	r->offset = r->header.size;
	r->file_size = 0;
	r->window_offset = 0;
	r->window_len = 0;
	return 0;
}

int reader_context(struct segment_reader *r, struct unpacker *unpacker, struct names *names,
		   struct sessions *sessions)
{
	OWNED_FREE uint8_t *bytes = NULL;
	struct segment_header again;
	size_t size;
	int e = header_load(r->fd, &bytes, &size);

	/* It may be another one by now. */
	if (e < 0 || (e = segment_header_read(bytes, size, &again)) < 0)
		return e;
	return context_read(&again, bytes, unpacker, names, sessions);
}

int reader_header_hash(struct segment_reader *r, uint8_t ret[HASH_SIZE])
{
	OWNED_FREE uint8_t *bytes = NULL;
	size_t size;
	int e = header_load(r->fd, &bytes, &size);

	if (e < 0)
		return e;
	block_hash(bytes, size, ret);
	return 0;
}

static bool in_file(struct segment_reader *r, uint64_t end)
{
	struct stat st;

	if (end > r->file_size && fstat(r->fd, &st) == 0 && st.st_size >= 0)
		r->file_size = (uint64_t)st.st_size;
	return end <= r->file_size;
}

/* READER_BLOCK, or READER_END, READER_TORN, READER_DAMAGED, -errno. */
static int header_at(struct segment_reader *r, uint64_t offset, struct block_header *ret_header)
{
	const uint8_t *bytes = NULL;
	struct block_header h;
	ssize_t n = window_at(r, offset, BLOCK_HEADER_SIZE, &bytes);

	if (n <= 0)
		return n < 0 ? (int)n : READER_END;
	if (memcmp(bytes, magic, MIN((size_t)n, sizeof magic - 1)) != 0)
		return READER_DAMAGED;
	if (n < BLOCK_HEADER_SIZE)
		return READER_TORN;
	if (block_header_read(bytes, r->header.salt, &h) < 0 || h.log != r->header.log)
		return READER_DAMAGED;
	if (!in_file(r, offset + block_size(&h)))
		return READER_TORN;
	*ret_header = h;
	return READER_BLOCK;
}

/* The next place at or behind `at` that looks like a block: *ret_at; 0 when there is none, and then
 * *ret_at is the end of the file. */
static int candidate_find(struct segment_reader *r, uint64_t at, uint64_t *ret_at)
{
	for (;;) {
		const uint8_t *bytes = NULL, *hit;
		ssize_t n = window_at(r, at, AT_ONCE, &bytes);

		if (n < 0)
			return (int)n;
		hit = n ? memmem(bytes, (size_t)n, magic, sizeof magic - 1) : NULL;
		if (hit) {
			*ret_at = at + (uint64_t)(hit - bytes);
			return 1;
		}
		if (n < (ssize_t)AT_ONCE) {
			*ret_at = at + (uint64_t)n;
			return 0;
		}
		at += (uint64_t)n - (sizeof magic - 2);
	}
}

/* Finds the next block that is right behind r->offset. At the end of the file, what looks like the
 * beginning of a block is torn, all else is damaged. */
static int resume_behind(struct segment_reader *r, bool torn)
{
	struct block_header h;
	uint64_t at = r->offset;
	int got;

	do {
		got = candidate_find(r, at + 1, &at);
		if (got > 0)
			got = header_at(r, at, &h);
		else if (got == 0)
			got = READER_END;
	} while (got == READER_TORN || got == READER_DAMAGED);
	if (got < 0)
		return got;
	if (got == READER_END && torn)
		return READER_TORN;
	r->damage_offset = r->offset;
	r->damage_len = at - r->offset;
	r->offset = at;
	return READER_DAMAGED;
}

int reader_peek(struct segment_reader *r, struct block_header *ret_header)
{
	int got = header_at(r, r->offset, ret_header);

	if (got == READER_DAMAGED || got == READER_TORN)
		return resume_behind(r, got == READER_TORN);
	return got;
}

void reader_skip(struct segment_reader *r, const struct block_header *h)
{
	r->offset += block_size(h);
}

int reader_take(struct segment_reader *r, const struct block_header *h, const uint8_t **ret_block)
{
	size_t size = block_size(h);
	const uint8_t *block = NULL;
	ssize_t n = window_at(r, r->offset, size, &block);

	if (n < 0)
		return (int)n;
	r->damage_offset = r->offset;
	r->damage_len = size;
	r->offset += size;
	/* Its header was right a moment ago; the file may be changed under us. */
	if (n < (ssize_t)size || !block_crc_right(block, size, r->header.salt))
		return READER_DAMAGED;
	*ret_block = block;
	return READER_BLOCK;
}

/* The window over one file of the trail, for who verifies it. Takes no size from the file but
 * within the bounds of a block. */
#include "gateway/audit/verify_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#define WINDOW		(2 * (size_t)BLOCK_SIZE_MAX)
#define COMPARE_AT_ONCE (64u << 10)

int verify_file_start(struct verify_file *f)
{
	*f = (struct verify_file){.fd = -1, .window = malloc(WINDOW)};
	return f->window ? 0 : -ENOMEM;
}

void verify_file_free(struct verify_file *f)
{
	if (!f->window)
		return;
	verify_file_close(f);
	free(f->window);
	f->window = NULL;
}

int verify_file_open(struct verify_file *f, int folder_fd, const char *name)
{
	OWNED_FD fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	verify_file_close(f);
	f->fd = fd_take(&fd);
	f->size = (uint64_t)st.st_size;
	f->offset = f->window_offset = 0;
	f->window_len = 0;
	f->wasted = 0;
	f->error = 0;
	return 0;
}

void verify_file_close(struct verify_file *f)
{
	fd_close(&f->fd);
}

/* The window begins at `offset` then. */
static void window_fill(struct verify_file *f, uint64_t offset)
{
	uint64_t most = MIN(WINDOW, f->size - offset);

	f->window_offset = offset;
	f->window_len = 0;
	if (f->stop && f->stop(f->arg)) {
		f->error = -EINTR;
		return;
	}
	while (f->window_len < most) {
		ssize_t got = pread(f->fd, f->window + f->window_len, (size_t)most - f->window_len,
				    (off_t)(offset + f->window_len));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && f->error == 0)
			f->error = -errno;
		if (got <= 0)
			return;
		f->window_len += (size_t)got;
	}
}

static bool in_window(const struct verify_file *f, uint64_t offset, size_t len)
{
	return offset >= f->window_offset && offset - f->window_offset <= f->window_len &&
	       len <= f->window_len - (offset - f->window_offset);
}

const uint8_t *verify_file_at(struct verify_file *f, uint64_t offset, size_t len)
{
	assert(len <= BLOCK_SIZE_MAX);
	if (offset > f->size || len > f->size - offset)
		return NULL;
	if (!in_window(f, offset, len))
		window_fill(f, offset);
	return in_window(f, offset, len) ? f->window + (offset - f->window_offset) : NULL;
}

bool verify_file_scan(struct verify_file *f, uint64_t from, uint64_t salt, uint64_t *ret_offset,
		      struct block_header *ret_header)
{
	while (from < f->size && f->size - from >= BLOCK_SIZE_MIN) {
		size_t len = (size_t)MIN(f->size - from, COMPARE_AT_ONCE);
		const uint8_t *p = verify_file_at(f, from, len);
		const uint8_t *hit = p ? memchr(p, 'S', len - BLOCK_HEADER_SIZE + 1) : NULL;

		if (!p)
			return false;
		if (hit && block_header_read(hit, salt, ret_header) == 0) {
			*ret_offset = from + (uint64_t)(hit - p);
			return true;
		}
		from += hit ? (uint64_t)(hit - p) + 1 : len - BLOCK_HEADER_SIZE + 1;
	}
	return false;
}

bool verify_file_begins(struct verify_file *a, uint64_t at, struct verify_file *b, uint64_t b_at)
{
	while (at < a->size) {
		size_t len = (size_t)MIN(a->size - at, COMPARE_AT_ONCE);
		const uint8_t *p = verify_file_at(a, at, len), *q = verify_file_at(b, b_at, len);

		if (!p || !q || memcmp(p, q, len) != 0)
			return false;
		at += len;
		b_at += len;
	}
	return true;
}

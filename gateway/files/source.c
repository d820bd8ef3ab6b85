/* Reading a disk for those that find out what is on it. Runs in the process that looks
 * for files; trusts nothing but the size that the kernel tells. */
#include "gateway/files/source.h"

static int read_fd(const struct source *s, uint64_t offset, void *bytes, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n =
			pread(s->fd, (uint8_t *)bytes + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

static int read_bytes(const struct source *s, uint64_t offset, void *bytes, size_t len)
{
	memcpy(bytes, (const uint8_t *)s->bytes + offset, len);
	return 0;
}

int source_over_fd(struct source *ret_source, int fd)
{
	/* The end of a device, too, which fstat() does not tell. */
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0)
		return -errno;
	*ret_source = (struct source){.read = read_fd, .fd = fd, .size_bytes = (uint64_t)size};
	return 0;
}

struct source source_over_bytes(const void *bytes, size_t len)
{
	return (struct source){.read = read_bytes, .fd = -1, .bytes = bytes, .size_bytes = len};
}

int source_read(const struct source *s, uint64_t offset, void *bytes, size_t len)
{
	if (offset > s->size_bytes || len > s->size_bytes - offset)
		return -ENODATA;
	return len > 0 ? s->read(s, offset, bytes, len) : 0;
}

/* Requests around the page cache whose memory O_DIRECT can't take as it lies: their octets go
 * through a buffer that it can, piece by piece. Runs on a thread of the pool, whose buffer it
 * is. Trusts its caller, who holds the gate's leave. */
#include <sys/uio.h>
#include "backends/pool.h"

static void gather(const struct io *io, uint8_t *buffer, size_t len)
{
	for (unsigned i = io->first; len > 0; i++) {
		size_t part = MIN(len, io->iov[i].iov_len);

		assert(i < io->iov_count);
		memcpy(buffer, io->iov[i].iov_base, part);
		buffer += part;
		len -= part;
	}
}

static void scatter(const struct io *io, const uint8_t *buffer, size_t len)
{
	for (unsigned i = io->first; len > 0; i++) {
		size_t part = MIN(len, io->iov[i].iov_len);

		assert(i < io->iov_count);
		memcpy(io->iov[i].iov_base, buffer, part);
		buffer += part;
		len -= part;
	}
}

ssize_t bounce_call(struct io *io, uint8_t *buffer)
{
	struct iovec v = {buffer, MIN(io->length - io->progress, BOUNCE_OCTETS)};
	off_t offset = (off_t)(io->offset + io->progress);
	ssize_t n;

	if (io->op == IO_WRITE) {
		gather(io, buffer, v.iov_len);
		return pwritev2(io->backend->fd, &v, 1, offset, io->fua ? RWF_DSYNC : 0);
	}
	n = preadv2(io->backend->fd, &v, 1, offset, 0);
	if (n > 0)
		scatter(io, buffer, (size_t)n);
	return n;
}

/* I/O engines of the session: what is the same for io_uring and for threads. Choosing
 * one, counting what is in flight, and finishing short transfers, so that a request
 * has exactly one result. Trusts its caller; the kernel's results are checked. */
#include "backends/engine.h"

int engine_open(enum engine_kind kind, unsigned depth, int lifeline, struct engine **ret_engine)
{
	int r;

	if (depth == 0 || depth > ENGINE_DEPTH_MAX || lifeline < 0)
		return -EINVAL;
	switch (kind) {
	case ENGINE_URING:
		return uring_open(depth, lifeline, ret_engine);
	case ENGINE_THREADS:
		return threads_open(depth, lifeline, ret_engine);
	case ENGINE_AUTO:
		r = uring_open(depth, lifeline, ret_engine);
		return r < 0 ? threads_open(depth, lifeline, ret_engine) : 0;
	case ENGINE_INVALID:
		break;
	}
	return -EINVAL;
}

enum engine_kind engine_kind(const struct engine *e)
{
	return e->ops->kind;
}

int engine_poll_fd(const struct engine *e)
{
	return e->poll_fd;
}

unsigned engine_in_flight(const struct engine *e)
{
	return e->in_flight;
}

void engine_flush(struct engine *e)
{
	e->ops->flush(e);
}

unsigned engine_reap(struct engine *e)
{
	return e->ops->reap(e, false);
}

void engine_close(struct engine *e)
{
	if (!e)
		return;
	while (e->in_flight > 0)
		(void)e->ops->reap(e, true);
	e->ops->close(e);
}

void engine_end(struct engine *e, struct io *io)
{
	assert(e->in_flight > 0 && io->backend->in_flight > 0);
	e->in_flight--;
	io->backend->in_flight--;
	io->done(io, io->result);
}

/* The next `count` octets of iov[] are done with. */
static void segments_consume(struct io *io, size_t count)
{
	while (count > 0) {
		struct iovec *v = &io->iov[io->first];
		size_t part;

		assert(io->first < io->iov_count);
		part = MIN(count, v->iov_len);
		v->iov_base = (char *)v->iov_base + part;
		v->iov_len -= part;
		count -= part;
		if (v->iov_len == 0)
			io->first++;
	}
}

static bool io_over(struct io *io, int result)
{
	io->result = result;
	return true;
}

bool io_advance(struct io *io, ssize_t returned)
{
	/* A failed sync is final: the kernel forgets the error once it was told, and a second
	 * fsync() would report success for data that is lost. */
	if (io->op == IO_FLUSH)
		return io_over(io, returned < 0 ? (int)returned : 0);
	if ((returned == -EINTR || returned == -EAGAIN) && io->retries++ < IO_RETRIES_MAX)
		return false;
	if (returned < 0 || io->op >= IO_DISCARD)
		return io_over(io, (int)returned);
	assert((size_t)returned <= io->length - io->progress);
	io->progress += (size_t)returned;
	if (io->progress == io->length)
		return io_over(io, 0);
	if (returned == 0)
		return io_over(io, -ENODATA);
	segments_consume(io, (size_t)returned);
	return false;
}

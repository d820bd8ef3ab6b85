/* I/O engines of the session: what is the same for io_uring and for threads. Choosing
 * one, counting what is in flight, and finishing short transfers, so that a request
 * has exactly one result. Trusts its caller; the kernel's results are checked. */
#include "backends/engine.h"

/* What an administrator can give more of: a kernel without io_uring is none of these. */
static bool is_shortage(int error)
{
	return error == -ENOMEM || error == -EAGAIN || error == -EMFILE || error == -ENFILE;
}

/* A ring's memory counts against RLIMIT_MEMLOCK of its user in some kernels: I/O by threads is
 * better than none. */
static int ring_or_threads(enum engine_kind kind, unsigned depth, int lifeline,
			   struct engine **ret_engine)
{
	int no_ring = uring_open(depth, lifeline, ret_engine), r;

	if (no_ring == 0 || (kind == ENGINE_URING && !is_shortage(no_ring)))
		return no_ring;
	r = threads_open(depth, lifeline, ret_engine);
	if (r == 0 && is_shortage(no_ring))
		(*ret_engine)->short_of = no_ring;
	return r;
}

int engine_open(enum engine_kind kind, unsigned depth, int lifeline, struct engine **ret_engine)
{
	if (depth == 0 || depth > ENGINE_DEPTH_MAX || lifeline < 0)
		return -EINVAL;
	switch (kind) {
	case ENGINE_AUTO:
	case ENGINE_URING:
		return ring_or_threads(kind, depth, lifeline, ret_engine);
	case ENGINE_THREADS:
		return threads_open(depth, lifeline, ret_engine);
	case ENGINE_INVALID:
		break;
	}
	return -EINVAL;
}

enum engine_kind engine_kind(const struct engine *e)
{
	return e->ops->kind;
}

int engine_short_of(const struct engine *e)
{
	return e->short_of;
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

bool engine_is_behind(const struct engine *e)
{
	return e->ops->is_behind(e);
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

static bool is_aligned(const struct iovec *v, bool last)
{
	return (uintptr_t)v->iov_base % IO_ALIGNED == 0 && (last || v->iov_len % IO_ALIGNED == 0);
}

bool io_bounces(const struct io *io)
{
	if (!io->backend->direct || (io->op != IO_READ && io->op != IO_WRITE))
		return false;
	for (unsigned i = io->first; i < io->iov_count; i++)
		if (!is_aligned(&io->iov[i], i + 1 == io->iov_count))
			return true;
	return false;
}

static bool io_over(struct io *io, int result)
{
	io->result = result;
	return true;
}

/* O_DIRECT can't go on from where a file ends within a block. */
static bool ended_within_a_block(const struct io *io)
{
	return io->backend->direct && io->op == IO_READ && io->progress > 0;
}

bool io_advance(struct io *io, ssize_t returned)
{
	/* A failed sync is final: the kernel forgets the error once it was told, and a second
	 * fsync() would report success for data that is lost. */
	if (io->op == IO_FLUSH)
		return io_over(io, returned < 0 ? (int)returned : 0);
	if ((returned == -EINTR || returned == -EAGAIN) && io->retries++ < IO_RETRIES_MAX)
		return false;
	if (returned == -EINVAL && ended_within_a_block(io))
		returned = -ENODATA;
	if (returned < 0 || io->op >= IO_DISCARD)
		return io_over(io, (int)returned);
	assert((size_t)returned <= io->length - io->progress);
	io->progress += (size_t)returned;
	if (io->progress == io->length)
		return io_over(io, 0);
	if (returned == 0)
		return io_over(io, -ENODATA);
	segments_consume(io, (size_t)returned);
	io->bounces = io_bounces(io);
	return false;
}

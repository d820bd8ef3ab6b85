/* The io_uring engine of the session. A ring's operations are invisible to a
 * system-call filter, so the ring is made disabled, restricted to vectored reads and
 * writes and fsync on registered files, and only then enabled. The lifeline is among
 * those files and nowhere else: it closes when the ring, and with it the last I/O that
 * outlived a killed process, is gone. Threads (pool.c) do what it may not, or does badly;
 * a read or two that the page cache has are done at once. Trusts its caller, who holds the
 * gate's leave. */
#include <liburing.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include "backends/engine.h"
#include "backends/pool.h"

#define CACHED_HERE 2

struct uring {
	struct engine engine;
	struct io_uring ring;
	/* What a ring may not do, because its modes could not be limited, and what it would give to
	 * threads of the kernel's, with a wake-up each: writes to a file in the page cache. */
	struct pool *changer, *writer;
	/* Through the page cache, and not begun; those that it had, or took. */
	struct io_list cached, hits;
	unsigned cached_count;
};

static const struct io_uring_restriction restrictions[] = {
	{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV},
	{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV},
	{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC},
	{.opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE},
	/* disks are granted after the sandbox is closed */
	{.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_FILES_UPDATE},
};

/* Debian 12's liburing declares the calls for restrictions and does not have them. */
static int ring_register(const struct io_uring *ring, unsigned opcode, const void *arg,
			 unsigned count)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, opcode, arg, count) < 0 ? -errno : 0;
}

static int ring_close_door(const struct io_uring *ring, int lifeline)
{
	int files[URING_SLOTS];
	int r;

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		files[i] = -1;
	files[URING_SLOT_OF_LIFELINE] = lifeline;
	if ((r = ring_register(ring, IORING_REGISTER_FILES, files, ARRAY_LEN(files))) < 0)
		return r;
	if ((r = ring_register(ring, IORING_REGISTER_RESTRICTIONS, restrictions,
			       ARRAY_LEN(restrictions))) < 0)
		return r;
	return ring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int uring_attach(struct backend *b)
{
	struct uring *u = CONTAINER_OF(b->engine, struct uring, engine);
	int r = io_uring_register_files_update(&u->ring, b->slot, &b->fd, 1);

	return r < 0 ? r : 0;
}

static void uring_detach(struct backend *b)
{
	struct uring *u = CONTAINER_OF(b->engine, struct uring, engine);
	int none = -1;
	int r = io_uring_register_files_update(&u->ring, b->slot, &none, 1);

	assert(r == 1); /* the slot is ours, and emptying one needs no memory */
}

/* NULL: the ring. */
static struct pool *pool_for(struct uring *u, const struct io *io)
{
	if (io->op >= IO_DISCARD || io->bounces)
		return u->changer;
	return io->op == IO_WRITE && io->backend->writes == WRITES_WAIT ? u->writer : NULL;
}

static void ring_start(struct uring *u, struct io *io)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	int slot = (int)io->backend->slot;
	unsigned count = io->iov_count - io->first;
	uint64_t offset = io->offset + io->progress;

	assert(sqe); /* one entry a request, and the ring has room for `depth` */
	if (io->op == IO_READ)
		io_uring_prep_readv(sqe, slot, io->iov + io->first, count, offset);
	else if (io->op == IO_WRITE)
		io_uring_prep_writev2(sqe, slot, io->iov + io->first, count, offset,
				      io->fua ? RWF_DSYNC : 0);
	else
		io_uring_prep_fsync(sqe, slot, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, io);
}

static void start_elsewhere(struct uring *u, struct io *io)
{
	struct pool *pool = pool_for(u, io);

	if (pool)
		pool_put(pool, io);
	else
		ring_start(u, io);
}

static bool is_cached(const struct io *io)
{
	const struct backend *b = io->backend;

	if (b->direct || io->bounces)
		return false;
	return io->op == IO_READ || (io->op == IO_WRITE && !io->fua && b->writes != WRITES_WAIT);
}

static void uring_start(struct engine *e, struct io *io)
{
	struct uring *u = CONTAINER_OF(e, struct uring, engine);

	if (is_cached(io)) {
		io_list_append(&u->cached, io);
		u->cached_count++;
	} else {
		start_elsewhere(u, io);
	}
}

/* As much as can be done without waiting for a disk. */
static ssize_t call_at_once(const struct io *io)
{
	struct backend *b = io->backend;
	off_t offset = (off_t)io->offset;
	int flags = b->memory ? 0 : RWF_NOWAIT;
	const struct iovec *v = io->iov;
	ssize_t n;

	if (b->memory && io->iov_count == 1) /* no vector for the kernel to copy and check */
		return io->op == IO_READ ? pread(b->fd, v->iov_base, v->iov_len, offset)
					 : pwrite(b->fd, v->iov_base, v->iov_len, offset);
	if (io->op == IO_READ)
		return preadv2(b->fd, io->iov, (int)io->iov_count, offset, flags);
	n = pwritev2(b->fd, io->iov, (int)io->iov_count, offset, flags);
	if (n < 0 && errno == EOPNOTSUPP)
		b->writes = WRITES_WAIT;
	else if (b->writes == WRITES_UNTRIED && (n > 0 || errno == EAGAIN))
		b->writes = WRITES_AT_ONCE;
	return n;
}

/* A few are run here, without the ring's part in it, and what waits for nothing; many are handed
 * over in one call. The file systems that make each write wait are known by the first. */
static void cached_begin(struct uring *u)
{
	bool few = u->cached_count <= CACHED_HERE;
	struct io *io;

	while ((io = io_list_pop(&u->cached))) {
		bool here = few || io->backend->memory ||
			    (io->op == IO_WRITE && io->backend->writes == WRITES_UNTRIED);
		ssize_t n = here ? call_at_once(io) : -1;

		if (n > 0 && io_advance(io, n))
			io_list_append(&u->hits, io);
		else
			start_elsewhere(u, io);
	}
	u->cached_count = 0;
}

/* The kernel may take less than is there (no memory just now): what is left stays queued, and the
 * next turn's flush or reap hands it over again. */
static void uring_flush(struct engine *e)
{
	struct uring *u = CONTAINER_OF(e, struct uring, engine);

	cached_begin(u);
	pool_flush(u->writer);
	pool_flush(u->changer);
	for (unsigned tries = 0; io_uring_sq_ready(&u->ring) > 0 && tries < IO_RETRIES_MAX;
	     tries++) {
		int r = io_uring_submit(&u->ring);

		assert(r >= 0 || r == -EINTR || r == -EAGAIN || r == -EBUSY || r == -ENOMEM);
		if (r < 0 && r != -EINTR)
			return;
	}
}

static unsigned reap_pool(struct uring *u, struct pool *pool)
{
	struct io *io, *next;
	unsigned ended = 0;

	for (io = pool_take(pool, false); io; io = next, ended++) {
		next = io->next;
		engine_end(&u->engine, io);
	}
	return ended;
}

static unsigned reap_hits(struct uring *u)
{
	unsigned ended = 0;
	struct io *io;

	for (; (io = io_list_pop(&u->hits)); ended++)
		engine_end(&u->engine, io);
	return ended;
}

static unsigned reap_pools(struct uring *u)
{
	return reap_pool(u, u->writer) + reap_pool(u, u->changer);
}

static bool uring_is_behind(const struct engine *e)
{
	const struct uring *u = CONTAINER_OF(e, struct uring, engine);

	return pool_is_behind(u->writer) || pool_is_behind(u->changer);
}

/* The kernel did not take all. */
static bool is_short_of_memory(const struct uring *u)
{
	return io_uring_sq_ready(&u->ring) > 0;
}

static unsigned uring_reap(struct engine *e, bool wait)
{
	struct uring *u = CONTAINER_OF(e, struct uring, engine);
	struct io_uring_cqe *cqe;
	struct epoll_event ready;
	unsigned ended;

	if (wait) {
		uring_flush(e);
		if (!u->hits.first)
			(void)epoll_wait(e->poll_fd, &ready, 1, is_short_of_memory(u) ? 1 : -1);
	}
	ended = reap_hits(u) + reap_pools(u);
	while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		struct io *io = io_uring_cqe_get_data(cqe);
		int returned = cqe->res;

		io_uring_cqe_seen(&u->ring, cqe);
		if (io_advance(io, returned)) {
			ended++;
			engine_end(e, io);
		} else {
			start_elsewhere(u, io);
		}
	}
	uring_flush(e);
	return ended;
}

static void uring_close(struct engine *e)
{
	struct uring *u = CONTAINER_OF(e, struct uring, engine);

	fd_close(&e->poll_fd);
	pool_close(u->writer);
	pool_close(u->changer);
	io_uring_queue_exit(&u->ring);
	free(u);
}

static const struct engine_ops uring_ops = {
	.kind = ENGINE_URING,
	.attach = uring_attach,
	.detach = uring_detach,
	.start = uring_start,
	.flush = uring_flush,
	.is_behind = uring_is_behind,
	.reap = uring_reap,
	.close = uring_close,
};

/* One descriptor that is readable when the ring or a pool has something. */
static int poll_open(const int fds[3])
{
	int fd = epoll_create1(EPOLL_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	for (int i = 0; r == 0 && i < 3; i++) {
		struct epoll_event event = {.events = EPOLLIN};

		if (epoll_ctl(fd, EPOLL_CTL_ADD, fds[i], &event) < 0)
			r = -errno;
	}
	if (r < 0)
		fd_close(&fd);
	return r < 0 ? r : fd;
}

static int helpers_open(struct uring *u)
{
	int r = pool_open(1, &u->writer);

	if (r == 0)
		r = pool_open(1, &u->changer);
	if (r < 0)
		return r;
	r = poll_open((int[]){u->ring.ring_fd, pool_fd(u->writer), pool_fd(u->changer)});
	u->engine.poll_fd = r;
	return MIN(r, 0);
}

int uring_open(unsigned depth, int lifeline, struct engine **ret_engine)
{
	OWNED_FREE struct uring *u = calloc(1, sizeof *u);
	int r;

	if (!u)
		return -ENOMEM;
	/* The completion queue has twice the entries of the submission queue, and a request one
	 * entry at a time: it can't overflow. */
	if ((r = io_uring_queue_init(depth, &u->ring, IORING_SETUP_R_DISABLED)) < 0)
		return r;
	r = ring_close_door(&u->ring, lifeline);
	if (r == 0)
		r = helpers_open(u);
	if (r < 0) {
		pool_close(u->writer);
		pool_close(u->changer);
		io_uring_queue_exit(&u->ring);
		return r;
	}
	u->engine.ops = &uring_ops;
	u->engine.depth = depth;
	fd_close(&lifeline);
	*ret_engine = &TAKE(u)->engine;
	return 0;
}

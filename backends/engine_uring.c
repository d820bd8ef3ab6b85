/* The io_uring engine of the session. A ring's operations are invisible to a
 * system-call filter, so the ring is made disabled, restricted to vectored reads and
 * writes and fsync on registered files, and only then enabled. The lifeline is among
 * those files and nowhere else: it closes when the ring, and with it the last I/O that
 * outlived a killed process, is gone. What a ring may not do, because its modes could not
 * be limited, a thread does (pool.c). Trusts its caller, who holds the gate's leave. */
#include <liburing.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include "backends/engine.h"
#include "backends/pool.h"

struct uring {
	struct engine engine;
	struct io_uring ring;
	struct pool *pool;
	unsigned in_pool; /* requests that the pool has */
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

static bool is_for_pool(const struct io *io)
{
	return io->op >= IO_DISCARD;
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

static void uring_start(struct engine *e, struct io *io)
{
	struct uring *u = CONTAINER_OF(e, struct uring, engine);

	if (is_for_pool(io)) {
		u->in_pool++;
		pool_put(u->pool, io);
	} else {
		ring_start(u, io);
	}
}

/* The kernel may take less than is there (no memory just now): what is left stays queued, and the
 * next turn's flush or reap hands it over again. */
static void uring_flush(struct engine *e)
{
	struct uring *u = CONTAINER_OF(e, struct uring, engine);

	pool_flush(u->pool);
	for (unsigned tries = 0; io_uring_sq_ready(&u->ring) > 0 && tries < IO_RETRIES_MAX;
	     tries++) {
		int r = io_uring_submit(&u->ring);

		assert(r >= 0 || r == -EINTR || r == -EAGAIN || r == -EBUSY || r == -ENOMEM);
		if (r < 0 && r != -EINTR)
			return;
	}
}

static unsigned reap_pool(struct uring *u, bool wait)
{
	struct io *io, *next;
	unsigned ended = 0;

	if (u->in_pool == 0)
		return 0;
	pool_flush(u->pool);
	for (io = pool_take(u->pool, wait); io; io = next, ended++) {
		next = io->next;
		u->in_pool--;
		engine_end(&u->engine, io);
	}
	return ended;
}

static unsigned uring_reap(struct engine *e, bool wait)
{
	struct uring *u = CONTAINER_OF(e, struct uring, engine);
	struct io_uring_cqe *cqe;
	unsigned ended = reap_pool(u, wait);

	if (wait && ended == 0)
		(void)io_uring_submit_and_wait(&u->ring, 1);
	while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		struct io *io = io_uring_cqe_get_data(cqe);
		int returned = cqe->res;

		io_uring_cqe_seen(&u->ring, cqe);
		if (io_advance(io, returned)) {
			ended++;
			engine_end(e, io);
		} else {
			ring_start(u, io);
		}
	}
	uring_flush(e);
	return ended;
}

static void uring_close(struct engine *e)
{
	struct uring *u = CONTAINER_OF(e, struct uring, engine);

	fd_close(&e->poll_fd);
	pool_close(u->pool);
	io_uring_queue_exit(&u->ring);
	free(u);
}

static const struct engine_ops uring_ops = {
	.kind = ENGINE_URING,
	.attach = uring_attach,
	.detach = uring_detach,
	.start = uring_start,
	.flush = uring_flush,
	.reap = uring_reap,
	.close = uring_close,
};

/* One descriptor that is readable when the ring or the pool has something. */
static int poll_open(const int fds[2])
{
	int fd = epoll_create1(EPOLL_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	for (int i = 0; r == 0 && i < 2; i++) {
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
	int r = pool_open(1, &u->pool);

	if (r < 0)
		return r;
	r = poll_open((int[]){u->ring.ring_fd, pool_fd(u->pool)});
	if (r < 0) {
		pool_close(u->pool);
		return r;
	}
	u->engine.poll_fd = r;
	return 0;
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
		io_uring_queue_exit(&u->ring);
		return r;
	}
	u->engine.ops = &uring_ops;
	u->engine.depth = depth;
	fd_close(&lifeline);
	*ret_engine = &TAKE(u)->engine;
	return 0;
}

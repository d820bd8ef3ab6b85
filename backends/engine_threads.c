/* The engine for where io_uring is switched off: a small pool of threads in the
 * session, started before its sandbox closes, runs every request (pool.c). The lifeline
 * stays open in the process: the kernel closes it when the last thread is out of its
 * last system call. */
#include "backends/engine.h"
#include "backends/pool.h"

struct threads {
	struct engine engine;
	struct pool *pool;
	int lifeline;
};

static struct pool *pool_of(struct engine *e)
{
	return CONTAINER_OF(e, struct threads, engine)->pool;
}

static int threads_attach(struct backend *b)
{
	(void)b;
	return 0;
}

static void threads_detach(struct backend *b)
{
	(void)b;
}

static void threads_start(struct engine *e, struct io *io)
{
	pool_put(pool_of(e), io);
}

static void threads_flush(struct engine *e)
{
	pool_flush(pool_of(e));
}

static bool threads_is_behind(const struct engine *e)
{
	return pool_is_behind(CONTAINER_OF(e, struct threads, engine)->pool);
}

static unsigned threads_reap(struct engine *e, bool wait)
{
	struct io *io, *next;
	unsigned n = 0;

	threads_flush(e);
	for (io = pool_take(pool_of(e), wait); io; io = next, n++) {
		next = io->next;
		engine_end(e, io);
	}
	return n;
}

static void threads_close(struct engine *e)
{
	struct threads *t = CONTAINER_OF(e, struct threads, engine);

	pool_close(t->pool);
	fd_close(&t->lifeline);
	free(t);
}

static const struct engine_ops threads_ops = {
	.kind = ENGINE_THREADS,
	.attach = threads_attach,
	.detach = threads_detach,
	.start = threads_start,
	.flush = threads_flush,
	.is_behind = threads_is_behind,
	.reap = threads_reap,
	.close = threads_close,
};

int threads_open(unsigned depth, int lifeline, struct engine **ret_engine)
{
	OWNED_FREE struct threads *t = calloc(1, sizeof *t);
	int r;

	if (!t)
		return -ENOMEM;
	if ((r = pool_open(POOL_THREADS, &t->pool)) < 0)
		return r;
	t->engine.ops = &threads_ops;
	t->engine.depth = depth;
	t->engine.poll_fd = pool_fd(t->pool);
	t->lifeline = lifeline;
	*ret_engine = &TAKE(t)->engine;
	return 0;
}

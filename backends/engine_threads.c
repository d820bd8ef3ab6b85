/* The engine for where io_uring is switched off: a small pool of threads in the
 * session, started before its sandbox closes. A thread takes a request, runs system
 * calls on its granted descriptor until it is over, and puts it on the list of what
 * ended. It decides nothing. The lifeline stays open in the process: the kernel closes
 * it when the last thread is out of its last system call. */
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include "backends/engine.h"

struct io_list {
	struct io *first, *last;
};

struct threads {
	struct engine engine;
	int lifeline;
	struct io_list fresh; /* submitted and not flushed: the session's thread alone */

	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t work, over;
	struct io_list queue, ended;
	bool stop;
	unsigned running;

	pthread_t pool[POOL_THREADS];
	unsigned started;
};

static void list_append(struct io_list *list, struct io *first, struct io *last)
{
	last->next = NULL;
	if (list->last)
		list->last->next = first;
	else
		list->first = first;
	list->last = last;
}

static struct io *list_pop(struct io_list *list)
{
	struct io *io = list->first;

	if (!io)
		return NULL;
	list->first = io->next;
	if (!list->first)
		list->last = NULL;
	return io;
}

/* One system call of the request. */
static ssize_t io_call(const struct io *io)
{
	const struct iovec *iov = io->iov + io->first;
	int count = (int)(io->iov_count - io->first);
	off_t offset = (off_t)(io->offset + io->progress);
	int fd = io->backend->fd;
	ssize_t n;

	if (io->op == IO_READ)
		n = preadv2(fd, iov, count, offset, 0);
	else if (io->op == IO_WRITE)
		n = pwritev2(fd, iov, count, offset, io->fua ? RWF_DSYNC : 0);
	else
		n = fdatasync(fd);
	return n < 0 ? -errno : n;
}

static void *worker(void *arg)
{
	struct threads *t = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&t->lock);
	t->running++;
	pthread_cond_signal(&t->over);
	while (!t->stop) {
		struct io *io = list_pop(&t->queue);

		if (!io) {
			pthread_cond_wait(&t->work, &t->lock);
			continue;
		}
		pthread_mutex_unlock(&t->lock);
		while (!io_advance(io, io_call(io)))
			;
		pthread_mutex_lock(&t->lock);
		list_append(&t->ended, io, io);
		pthread_cond_signal(&t->over);
		(void)!write(t->engine.poll_fd, &one, sizeof one);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
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
	struct threads *t = CONTAINER_OF(e, struct threads, engine);

	list_append(&t->fresh, io, io);
}

static void threads_flush(struct engine *e)
{
	struct threads *t = CONTAINER_OF(e, struct threads, engine);

	if (!t->fresh.first)
		return;
	pthread_mutex_lock(&t->lock);
	list_append(&t->queue, t->fresh.first, t->fresh.last);
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
	t->fresh = (struct io_list){0};
}

static unsigned threads_reap(struct engine *e, bool wait)
{
	struct threads *t = CONTAINER_OF(e, struct threads, engine);
	struct io_list ended;
	struct io *io;
	uint64_t count;
	unsigned n = 0;

	threads_flush(e);
	(void)!read(e->poll_fd, &count, sizeof count);
	pthread_mutex_lock(&t->lock);
	while (wait && !t->ended.first)
		pthread_cond_wait(&t->over, &t->lock);
	ended = t->ended;
	t->ended = (struct io_list){0};
	pthread_mutex_unlock(&t->lock);
	for (; (io = list_pop(&ended)); n++)
		engine_end(e, io);
	return n;
}

static void threads_close(struct engine *e)
{
	struct threads *t = CONTAINER_OF(e, struct threads, engine);

	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
	for (unsigned i = 0; i < t->started; i++)
		(void)pthread_join(t->pool[i], NULL);
	pthread_cond_destroy(&t->work);
	pthread_cond_destroy(&t->over);
	pthread_mutex_destroy(&t->lock);
	fd_close(&t->engine.poll_fd);
	fd_close(&t->lifeline);
	free(t);
}

static const struct engine_ops threads_ops = {
	.kind = ENGINE_THREADS,
	.attach = threads_attach,
	.detach = threads_detach,
	.start = threads_start,
	.flush = threads_flush,
	.reap = threads_reap,
	.close = threads_close,
};

/* Signals are the session's own thread's: the pool has them all blocked. Returns when every thread
 * runs, because what libc calls on its way there is not to be allowed by the sandbox. */
static int pool_start(struct threads *t)
{
	sigset_t all, before;
	int r = 0;

	sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
		return -EINVAL;
	while (r == 0 && t->started < POOL_THREADS) {
		r = pthread_create(&t->pool[t->started], NULL, worker, t);
		t->started += r == 0;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_mutex_lock(&t->lock);
	while (t->running < t->started)
		pthread_cond_wait(&t->over, &t->lock);
	pthread_mutex_unlock(&t->lock);
	return -r;
}

int threads_open(unsigned depth, int lifeline, struct engine **ret_engine)
{
	struct threads *t = calloc(1, sizeof *t);
	int r;

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->work, NULL);
	pthread_cond_init(&t->over, NULL);
	t->lifeline = -1;
	t->engine.ops = &threads_ops;
	t->engine.depth = depth;
	t->engine.poll_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = t->engine.poll_fd < 0 ? -errno : pool_start(t);
	if (r < 0) {
		threads_close(&t->engine);
		return r;
	}
	t->lifeline = lifeline;
	*ret_engine = &t->engine;
	return 0;
}

/* The pool: a thread takes a request, runs system calls on its granted descriptor until it
 * is over, and puts it on the list of what ended. It decides nothing, and has no right
 * that the session's own thread has not. */
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include "backends/engine.h"
#include "backends/pool.h"

#define TOLD_AT_ONCE 16
#define TOLD_OCTETS  (256u << 10)

struct pool {
	int event_fd;
	struct io_list fresh;	      /* put and not flushed: the session's thread alone */
	unsigned fresh_count, inside; /* put and not flushed; put and not taken */

	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t work, over;
	struct io_list queue, ended;
	bool stop, told; /* told: the event is set */
	unsigned untold; /* ended since it was; octets of these */
	size_t untold_octets;
	unsigned running;

	uint8_t *bounce; /* BOUNCE_OCTETS for each thread */
	pthread_t threads[POOL_THREADS];
	unsigned started;
};

void io_list_append(struct io_list *list, struct io *io)
{
	struct io_list one = {io, io};

	io->next = NULL;
	io_list_join(list, &one);
}

void io_list_join(struct io_list *list, struct io_list *more)
{
	if (!more->first)
		return;
	if (list->last)
		list->last->next = more->first;
	else
		list->first = more->first;
	list->last = more->last;
	*more = (struct io_list){0};
}

struct io *io_list_pop(struct io_list *list)
{
	struct io *io = list->first;

	if (!io)
		return NULL;
	list->first = io->next;
	if (!list->first)
		list->last = NULL;
	return io;
}

/* KEEP_SIZE: a disk never grows. The modes are those that the session's filter lets through. */
static ssize_t io_change(const struct io *io, int mode)
{
	return fallocate(io->backend->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)io->offset,
			 (off_t)io->length);
}

/* The descriptor's own offset is nobody's: all other calls bring theirs. */
static ssize_t io_extent(struct io *io)
{
	int fd = io->backend->fd;
	off_t at = (off_t)io->offset, data = lseek(fd, at, SEEK_DATA);

	io->extent_end = io->backend->size_bytes;
	io->extent_is_data = data == at;
	if (data < 0 && errno == EINVAL) /* a device: it does not tell, so it is all there */
		io->extent_is_data = true;
	else if (data < 0)
		return errno == ENXIO ? 0 : -1; /* ENXIO: no data behind here */
	else
		io->extent_end = (uint64_t)(data > at ? data : lseek(fd, at, SEEK_HOLE));
	return (int64_t)io->extent_end < 0 ? -1 : 0;
}

/* One system call of the request. */
static ssize_t io_call(struct io *io, uint8_t *bounce)
{
	const struct iovec *iov = io->iov + io->first;
	int count = (int)(io->iov_count - io->first);
	off_t offset = (off_t)(io->offset + io->progress);
	int fd = io->backend->fd;
	ssize_t n;

	if (io->bounces)
		n = bounce_call(io, bounce);
	else if (io->op == IO_READ)
		n = preadv2(fd, iov, count, offset, 0);
	else if (io->op == IO_WRITE)
		n = pwritev2(fd, iov, count, offset, io->fua ? RWF_DSYNC : 0);
	else if (io->op == IO_DISCARD)
		n = io_change(io, FALLOC_FL_PUNCH_HOLE);
	else if (io->op == IO_ZERO)
		n = io_change(io, FALLOC_FL_ZERO_RANGE);
	else if (io->op == IO_EXTENT)
		n = io_extent(io);
	else
		n = fdatasync(fd);
	return n < 0 ? -errno : n;
}

/* Many at once, while more are there to be run: to be woken for each costs more than a short write.
 * A disk that hangs keeps nothing that ended before to itself: pool_is_behind(). */
static bool is_to_be_told(const struct pool *p)
{
	return !p->told &&
	       (!p->queue.first || p->untold >= TOLD_AT_ONCE || p->untold_octets >= TOLD_OCTETS);
}

static void *worker(void *arg)
{
	struct pool *p = arg;
	const uint64_t one = 1;
	uint8_t *bounce;

	pthread_mutex_lock(&p->lock);
	bounce = p->bounce + (size_t)p->running++ * BOUNCE_OCTETS;
	pthread_cond_signal(&p->over);
	while (!p->stop) {
		struct io *io = io_list_pop(&p->queue);

		if (!io) {
			pthread_cond_wait(&p->work, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		while (!io_advance(io, io_call(io, bounce)))
			;
		pthread_mutex_lock(&p->lock);
		io_list_append(&p->ended, io);
		p->untold++;
		p->untold_octets += io->length;
		if (is_to_be_told(p)) {
			p->told = true;
			pthread_cond_signal(&p->over);
			(void)!write(p->event_fd, &one, sizeof one);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Signals are the session's own thread's: the pool has them all blocked. Returns when every thread
 * runs, because what libc calls on its way there is not to be allowed by the sandbox. */
static int pool_start(struct pool *p, unsigned threads)
{
	sigset_t all, before;
	int r = 0;

	sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
		return -EINVAL;
	while (r == 0 && p->started < threads) {
		r = pthread_create(&p->threads[p->started], NULL, worker, p);
		p->started += r == 0;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_mutex_lock(&p->lock);
	while (p->running < p->started)
		pthread_cond_wait(&p->over, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return -r;
}

int pool_open(unsigned threads, struct pool **ret_pool)
{
	struct pool *p = calloc(1, sizeof *p);
	int r;

	assert(threads > 0 && threads <= POOL_THREADS);
	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->over, NULL);
	p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->bounce = mmap(NULL, POOL_THREADS * BOUNCE_OCTETS, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	r = p->event_fd < 0 || p->bounce == MAP_FAILED ? -errno : pool_start(p, threads);
	if (r < 0) {
		pool_close(p);
		return r;
	}
	*ret_pool = p;
	return 0;
}

int pool_fd(const struct pool *p)
{
	return p->event_fd;
}

void pool_put(struct pool *p, struct io *io)
{
	io_list_append(&p->fresh, io);
	p->fresh_count++;
	p->inside++;
}

void pool_flush(struct pool *p)
{
	if (!p->fresh.first)
		return;
	pthread_mutex_lock(&p->lock);
	io_list_join(&p->queue, &p->fresh);
	for (unsigned i = 0; i < MIN(p->fresh_count, p->started); i++)
		pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
	p->fresh_count = 0;
}

struct io *pool_take(struct pool *p, bool wait)
{
	struct io *ended;
	uint64_t count;

	if (p->inside == 0)
		return NULL;
	pthread_mutex_lock(&p->lock);
	while (wait && !p->told)
		pthread_cond_wait(&p->over, &p->lock);
	ended = p->ended.first;
	if (p->told)
		(void)!read(p->event_fd, &count, sizeof count);
	p->ended = (struct io_list){0};
	p->told = false;
	p->untold = 0;
	p->untold_octets = 0;
	pthread_mutex_unlock(&p->lock);
	for (struct io *io = ended; io; io = io->next)
		p->inside--;
	return ended;
}

bool pool_is_behind(const struct pool *p)
{
	return p->inside > 1;
}

void pool_close(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		(void)pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->over);
	pthread_mutex_destroy(&p->lock);
	fd_close(&p->event_fd);
	if (p->bounce != MAP_FAILED)
		(void)munmap(p->bounce, POOL_THREADS * BOUNCE_OCTETS);
	free(p);
}

/* A disk within the session: a granted descriptor, its size and its access. The last
 * place before the kernel, so it asserts what the gate has decided: a request has an
 * admission, lies within the disk, and writes only where writing was granted. */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include "backends/engine.h"

/* The raw call: glibc's fstat() is newfstatat() in some versions, which takes a path, and a
 * system-call filter can't see that it is empty. */
static int file_stat(int fd, struct stat *ret_stat)
{
	return syscall(SYS_fstat, fd, ret_stat) < 0 ? -errno : 0;
}

static bool is_in_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

/* Slot 0 is the lifeline's. */
static unsigned slot_find(const struct engine *e)
{
	for (unsigned i = URING_SLOT_OF_LIFELINE + 1; i < URING_SLOTS; i++)
		if (!e->slot_used[i])
			return i;
	return 0;
}

/* st_blocks counts 512 octets, whatever the file system does; a device has none. */
static uint64_t used_bytes(const struct stat *st)
{
	return S_ISREG(st->st_mode) ? (uint64_t)st->st_blocks * 512 : BACKEND_USED_UNKNOWN;
}

int backend_open(struct engine *e, int fd, uint64_t size_bytes, bool writable,
		 struct backend **ret_backend)
{
	OWNED_FREE struct backend *b = calloc(1, sizeof *b);
	struct stat st;
	int r, flags = fcntl(fd, F_GETFL);

	if (!b)
		return -ENOMEM;
	if (flags < 0)
		return -errno;
	if (size_bytes > INT64_MAX)
		return -EINVAL;
	if ((r = file_stat(fd, &st)) < 0)
		return r;
	*b = (struct backend){
		.engine = e,
		.fd = fd,
		.slot = slot_find(e),
		.size_bytes = size_bytes,
		.writable = writable,
		.used_bytes = used_bytes(&st),
		.named = S_ISREG(st.st_mode) && st.st_nlink > 0,
		.direct = (flags & O_DIRECT) != 0,
		.memory = is_in_memory(fd),
	};
	if (b->slot == 0)
		return -EMFILE;
	if ((r = e->ops->attach(b)) < 0)
		return r;
	e->slot_used[b->slot] = true;
	*ret_backend = TAKE(b);
	return 0;
}

void backend_close(struct backend *b)
{
	if (!b)
		return;
	while (b->in_flight > 0)
		(void)b->engine->ops->reap(b->engine, true);
	b->engine->ops->detach(b);
	b->engine->slot_used[b->slot] = false;
	fd_close(&b->fd);
	free(b);
}

static size_t segments_length(const struct io *io)
{
	size_t sum = 0;

	for (unsigned i = 0; i < io->iov_count; i++)
		sum += io->iov[i].iov_len;
	return sum;
}

static void io_assert(const struct backend *b, const struct io *io)
{
	assert(io->done && io->iov_count <= IO_SEGMENTS_MAX);
	assert(io->op >= IO_READ && io->op <= IO_EXTENT);
	if (io->op == IO_FLUSH)
		return;
	assert(io->op == IO_READ || io->op == IO_EXTENT || b->writable);
	assert(io->length <= b->size_bytes && io->offset <= b->size_bytes - io->length);
	if (io->op == IO_READ || io->op == IO_WRITE)
		assert(segments_length(io) == io->length);
	else
		assert(io->iov_count == 0 && io->length > 0);
}

int backend_submit(struct backend *b, const struct admission *admission, struct io *io)
{
	struct engine *e = b->engine;

	assert(admission);
	io_assert(b, io);
	if (e->in_flight == e->depth)
		return -EAGAIN;
	io->next = NULL;
	io->backend = b;
	io->progress = 0;
	io->first = 0;
	io->retries = 0;
	io->result = 0;
	io->bounces = io_bounces(io);
	e->in_flight++;
	b->in_flight++;
	e->ops->start(e, io);
	return 0;
}

int backend_check(struct backend *b)
{
	struct stat st;
	int r = file_stat(b->fd, &st);

	if (r < 0)
		return r;
	b->used_bytes = used_bytes(&st);
	if (b->named && st.st_nlink == 0)
		return -ESTALE;
	/* A device has no size here; one that shrank answers requests with errors of its own. */
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < b->size_bytes)
		return -ENODATA;
	return 0;
}

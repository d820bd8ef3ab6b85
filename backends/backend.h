/* The session's side of a disk: completion-based I/O on a granted descriptor.
 * backend_submit() takes the gate's admission: there is no way to a disk without
 * one, because only gateway/scsi/gate.c can make it. Two engines run the I/O behind
 * the same interface: io_uring (restricted) and a small pool of threads. */
#pragma once

#include <sys/uio.h>
#include "gateway/base/base.h"

struct admission; /* made by the gate, one for each command; opaque to everybody else */

#define IO_SEGMENTS_MAX 64
/* Around the page cache (O_DIRECT), memory that begins here, in segments of so many octets (the
 * last may be shorter), is read into and written from as it lies; other memory costs a copy. */
#define IO_ALIGNED 4096u

enum io_op {
	IO_INVALID,
	IO_READ,
	IO_WRITE,
	IO_FLUSH,
	IO_DISCARD, /* reads as zeroes afterwards, and takes no room; no segments */
	IO_ZERO,    /* the same, but keeps its room */
	IO_EXTENT,  /* has the octet at `offset` room, and up to where is that so? no segments */
};

/* One request. The caller keeps it and its memory until done() was called, exactly once, from
 * engine_reap(), never from within backend_submit(). */
struct io {
	enum io_op op;
	bool fua;	 /* IO_WRITE: durable before it is done (RWF_DSYNC) */
	uint64_t offset; /* octets */
	struct iovec iov[IO_SEGMENTS_MAX];
	unsigned iov_count;
	size_t length; /* octets in iov[]; the engine finishes short transfers itself */
	/* result: 0 or -errno; -ENODATA when the disk ended before the request did; -EOPNOTSUPP or
	 * -EINVAL when this disk can't discard or zero that range: write zeroes instead */
	void (*done)(struct io *io, int result);

	/* what IO_EXTENT found; the end may lie behind the disk's */
	bool extent_is_data;
	uint64_t extent_end;

	/* the engine's; iov[] is used up as the transfer goes on */
	struct io *next;
	struct backend *backend;
	size_t progress;
	unsigned first; /* segment of iov[] that is next */
	unsigned retries;
	bool bounces; /* its memory is not as O_DIRECT wants it: through a buffer of the pool */
	int result;
};

enum engine_kind { ENGINE_INVALID, ENGINE_AUTO, ENGINE_URING, ENGINE_THREADS };

struct engine;

/* Before the sandbox closes. `lifeline` is an end of a pipe or socket that must stay open as long
 * as any I/O of this engine can still reach a disk: io_uring keeps it among its registered files,
 * the threads keep the descriptor itself. Taken over on success. `depth`: requests at once.
 * ENGINE_AUTO: io_uring where it is there and can be restricted, else threads. These are what
 * ENGINE_URING has, too, where memory or descriptors for a ring are short.
 *
 * What an engine asks of the kernel afterwards, through everything declared here: close, fstat,
 * fstatfs, fcntl with F_GETFL, and
 *   io_uring: io_uring_enter, io_uring_register with IORING_REGISTER_FILES_UPDATE (6), and
 *             restart_syscall, because completions interrupt poll() and its like;
 *   threads:  fdatasync;
 *   both:     pread64, pwrite64, preadv2, pwritev2, fallocate (PUNCH_HOLE or ZERO_RANGE, with
 *             KEEP_SIZE), lseek, futex, read, write;
 * engine_close() also munmap, madvise, rt_sigprocmask and exit, of its threads. The filter must
 * be put on all threads (TSYNC). */
int engine_open(enum engine_kind kind, unsigned depth, int lifeline,
		struct engine **ret_engine) MUST_CHECK;
enum engine_kind engine_kind(const struct engine *e);
int engine_short_of(const struct engine *e); /* -errno: why it has threads and no ring; or 0 */
/* Hands what was submitted to the kernel, in one call; what the page cache has may be read at once,
 * so engine_reap() is to follow. */
void engine_flush(struct engine *e);
unsigned engine_reap(struct engine *e);	    /* calls done() of what has ended; their number */
int engine_poll_fd(const struct engine *e); /* readable when engine_reap() has work */
/* A thread has more to run, and does not tell of each request that ended: reap every few
 * milliseconds, too. */
bool engine_is_behind(const struct engine *e);
unsigned engine_in_flight(const struct engine *e);
void engine_close(struct engine *e); /* waits for what is in flight; close the backends first */

/* A disk within the session. */
struct backend {
	struct engine *engine;
	int fd;		     /* the grant's descriptor; the backend closes it */
	unsigned slot;	     /* its place in io_uring's table of files */
	uint64_t size_bytes; /* as granted: requests beyond it are our own bug (assert) */
	bool writable;
	bool named;  /* a regular file with a name that may be deleted; a memfd has none */
	bool direct; /* opened with O_DIRECT: nothing of it goes through the page cache */
	bool memory; /* its file system is memory (tmpfs): nothing waits for a disk */
	/* Can a write be told not to wait? Known once one was tried. */
	enum { WRITES_UNTRIED, WRITES_AT_ONCE, WRITES_WAIT } writes;
	unsigned in_flight;
	uint64_t used_bytes; /* room that it took at the last backend_check() */
};
#define BACKEND_USED_UNKNOWN UINT64_MAX /* a device; nobody has looked yet */

#define BACKENDS_MAX 256 /* LUNs of one session */

/* Takes fd over on success. */
int backend_open(struct engine *e, int fd, uint64_t size_bytes, bool writable,
		 struct backend **ret_backend) MUST_CHECK;
void backend_close(struct backend *b); /* waits for what is in flight on it */
/* 0: done() will be called. -EAGAIN: the engine is full (a bug of the caller's bounds). */
int backend_submit(struct backend *b, const struct admission *admission, struct io *io) MUST_CHECK;
/* 0; -ENODATA: smaller than granted; -ESTALE: its file was deleted; other -errno. One fstat(). */
int backend_check(struct backend *b) MUST_CHECK;

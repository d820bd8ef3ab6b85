/* What the tests of backends/ share: an engine with its lifeline, a disk file in the
 * test's own folder, and requests that remember how they ended. */
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include "backends/backend.h"
#include "tests/unit/test.h"

#define RIG_DEPTH 32u
#define DISK_SIZE (1u << 20)

/* The gate makes the real ones; a backend only looks whether there is one. */
static const char rig_leave;
#define LEAVE ((const struct admission *)(const void *)&rig_leave)

struct rig {
	struct engine *engine;
	struct backend *disk;
	int lifeline; /* its read end */
	int fd;	      /* another descriptor of the disk, to look and to spoil */
	char path[64];
};

struct request {
	struct io io;
	unsigned done;
	int result;
};

static void request_done(struct io *io, int result)
{
	struct request *q = CONTAINER_OF(io, struct request, io);

	q->done++;
	q->result = result;
}

static inline struct request request_make(enum io_op op, uint64_t offset, void *bytes, size_t len)
{
	struct request q = {
		.io = {.op = op, .offset = offset, .length = len, .done = request_done}};

	if (len > 0) {
		q.io.iov[0] = (struct iovec){bytes, len};
		q.io.iov_count = 1;
	}
	return q;
}

/* False, with the reason printed: this kernel has no io_uring for us. */
static inline bool rig_engine(struct rig *rig, enum engine_kind kind)
{
	int ends[2], r;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	rig->lifeline = ends[0];
	r = engine_open(kind, RIG_DEPTH, ends[1], &rig->engine);
	if (r < 0 && kind == ENGINE_URING) {
		print_message("io_uring can't be had here: %s\n", strerror(-r));
		close(ends[0]);
		close(ends[1]);
		return false;
	}
	assert_int_equal(r, 0);
	return true;
}

static inline void rig_disk(struct rig *rig, bool writable)
{
	int fd;

	memcpy(rig->path, "backend-test-XXXXXX", sizeof "backend-test-XXXXXX");
	rig->fd = mkostemp(rig->path, O_CLOEXEC);
	assert_true(rig->fd >= 0);
	assert_int_equal(ftruncate(rig->fd, DISK_SIZE), 0);
	fd = open(rig->path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(backend_open(rig->engine, fd, DISK_SIZE, writable, &rig->disk), 0);
}

static inline struct rig rig_open(enum engine_kind kind)
{
	struct rig rig = {.lifeline = -1, .fd = -1};

	if (!rig_engine(&rig, kind))
		skip();
	rig_disk(&rig, true);
	return rig;
}

static inline void rig_close(struct rig *rig)
{
	backend_close(rig->disk);
	engine_close(rig->engine);
	close(rig->fd);
	(void)unlink(rig->path);
	close(rig->lifeline);
}

static inline void rig_submit(struct rig *rig, struct request *q)
{
	assert_int_equal(backend_submit(rig->disk, LEAVE, &q->io), 0);
	assert_int_equal(q->done, 0);
}

/* As the session's loop does it: hand over, sleep on the descriptor, reap. */
static inline void rig_wait(struct rig *rig)
{
	while (engine_in_flight(rig->engine) > 0) {
		struct pollfd p = {.fd = engine_poll_fd(rig->engine), .events = POLLIN};

		engine_flush(rig->engine);
		if (engine_reap(rig->engine) > 0)
			continue;
		if (poll(&p, 1, engine_is_behind(rig->engine) ? 2 : 30000) == 0)
			assert_true(engine_is_behind(rig->engine));
	}
}

static inline int rig_run(struct rig *rig, struct request *q)
{
	rig_submit(rig, q);
	rig_wait(rig);
	assert_int_equal(q->done, 1);
	return q->result;
}

static inline void fill(uint8_t *bytes, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251 + seed);
}

/* What the two engines have in common, and what each of them must do. Nobody but
 * backends/ includes this. An engine is used by one thread: the session's own; the
 * pool of pool.c only runs one system call after another for it. */
#pragma once

#include "backends/backend.h"

#define ENGINE_DEPTH_MAX       4096u
#define POOL_THREADS	       4
#define IO_RETRIES_MAX	       1000u
#define URING_SLOTS	       (2 * BACKENDS_MAX + 1) /* one that is replaced ends its requests */
#define URING_SLOT_OF_LIFELINE 0

struct engine_ops {
	enum engine_kind kind;
	/* The descriptor of b is new, or about to be closed. */
	int (*attach)(struct backend *b);
	void (*detach)(struct backend *b);
	/* Starts what is left of io. Never calls done(). */
	void (*start)(struct engine *e, struct io *io);
	void (*flush)(struct engine *e);
	bool (*is_behind)(const struct engine *e);
	/* Ends what has ended, through engine_end(); with `wait`, at least one request. */
	unsigned (*reap)(struct engine *e, bool wait);
	void (*close)(struct engine *e);
};

struct engine {
	const struct engine_ops *ops;
	unsigned depth, in_flight;
	int poll_fd;
	int short_of; /* -errno: what there was too little of for io_uring; or 0 */
	bool slot_used[URING_SLOTS];
};

int uring_open(unsigned depth, int lifeline, struct engine **ret_engine) MUST_CHECK;
int threads_open(unsigned depth, int lifeline, struct engine **ret_engine) MUST_CHECK;

/* Takes in what one system call returned (>= 0, or -errno). True: the request is over and its
 * result is set. False: the rest of it is to be started. */
bool io_advance(struct io *io, ssize_t returned);
/* Does what is left of io go through a buffer? */
bool io_bounces(const struct io *io);
/* Counts io out and calls done(). */
void engine_end(struct engine *e, struct io *io);

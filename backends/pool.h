/* Threads that run the system calls of requests, one after another, for the session's own
 * thread. Both engines have them: one for all its I/O, io_uring for what it may not do.
 * Nobody but backends/ includes this. */
#pragma once

#include "backends/backend.h"

struct pool;

/* Before the sandbox closes: threads can't be made after it. */
int pool_open(unsigned threads, struct pool **ret_pool) MUST_CHECK;
int pool_fd(const struct pool *p); /* readable when pool_take() has something */
void pool_put(struct pool *p, struct io *io);
void pool_flush(struct pool *p); /* hands over what was put, at once */
/* What is over, linked by `next`; with `wait`, at least one, which must have been handed over. */
struct io *pool_take(struct pool *p, bool wait);
void pool_close(struct pool *p); /* nothing may be in flight */

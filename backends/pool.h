/* Threads that run the system calls of requests, one after another, for the session's own
 * thread. One engine has them for all its I/O, io_uring for what it may not do or does badly.
 * Nobody but backends/ includes this. */
#pragma once

#include "backends/backend.h"

#define BOUNCE_OCTETS (64u << 10) /* of each thread; the kernel's, until a request needs it */

/* Requests, linked by `next`. */
struct io_list {
	struct io *first, *last;
};
void io_list_append(struct io_list *list, struct io *io);
void io_list_join(struct io_list *list, struct io_list *more); /* *more is empty then */
struct io *io_list_pop(struct io_list *list);		       /* NULL: it is empty */

struct pool;

/* Before the sandbox closes: threads can't be made after it. */
int pool_open(unsigned threads, struct pool **ret_pool) MUST_CHECK;
int pool_fd(const struct pool *p); /* readable when pool_take() has something */
void pool_put(struct pool *p, struct io *io);
void pool_flush(struct pool *p); /* hands over what was put, at once */
/* What one of its requests ended with may be untold while another one runs. */
bool pool_is_behind(const struct pool *p);
/* What is over, linked by `next`; with `wait`, at least one, which must have been handed over. */
struct io *pool_take(struct pool *p, bool wait);
/* One read or write of what is left of io, as far as the buffer goes (bounce.c). */
ssize_t bounce_call(struct io *io, uint8_t *buffer);
void pool_close(struct pool *p); /* nothing may be in flight */

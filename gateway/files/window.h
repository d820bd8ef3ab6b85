/* A partition as a file of its own, for programs that know no offsets: a memory file of the
 * partition's size, empty, into which each piece is copied from the disk at the moment when the
 * program reads it. The kernel stops the program in its pread() and tells us (seccomp's user
 * notification). So nothing needs root, a loop device or a copy; the program never holds the disk;
 * and nobody else on the machine sees a block device with an initiator's file system on it. */
#pragma once

#include <sys/socket.h>
#include "gateway/files/source.h"

struct window {
	const struct source *source;
	uint64_t offset, size_bytes; /* the part of the source that shows */
	int fd;			     /* the memory file, ours to fill */
	int reader_fd;		     /* the same, opened for reading alone */
	void *filter;		     /* what stops the program */
};

/* Before the sandbox closes: opens files. */
int window_open(struct window *w, const struct source *s) MUST_CHECK;
/* Which part of the source shows from now on. */
int window_move(struct window *w, uint64_t offset, uint64_t size_bytes) MUST_CHECK;
void window_close(struct window *w);

/* In the program's process, before its exec: from now on its reads wait for us. Returns the
 * descriptor that tells of them, which goes to the parent. */
int window_watch(struct window *w) MUST_CHECK;
/* In the parent, when that descriptor is readable: answers one read. -ENOENT: its end was faster.
 */
int window_serve(struct window *w, int watch_fd) MUST_CHECK;

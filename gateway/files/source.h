/* Octets of a disk that an initiator wrote: read at a place, whole or not at all. What is read is
 * hostile. */
#pragma once

#include "gateway/base/base.h"

struct source {
	/* 0 or -errno; never asked beyond size_bytes */
	int (*read)(const struct source *s, uint64_t offset, void *bytes, size_t len);
	int fd;		   /* source_over_fd()'s */
	const void *bytes; /* source_over_bytes()'s */
	uint64_t size_bytes;
};

/* Neither takes anything over. -errno: its size is not known. */
int source_over_fd(struct source *ret_source, int fd) MUST_CHECK;
struct source source_over_bytes(const void *bytes, size_t len);
/* -ENODATA: it ends before. */
int source_read(const struct source *s, uint64_t offset, void *bytes, size_t len) MUST_CHECK;

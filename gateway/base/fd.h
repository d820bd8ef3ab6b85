/* Small things with file descriptors. All descriptors are close-on-exec. */
#pragma once

#include "gateway/base/base.h"

/* The whole of a descriptor from offset 0, at most limit octets (-EFBIG beyond), NUL after it. */
int fd_read_all(int fd, size_t limit, char **ret_bytes, size_t *ret_len) MUST_CHECK;
int fd_write_all(int fd, const void *bytes, size_t len) MUST_CHECK;

/* A memfd with these bytes, sealed against every change. Returns the descriptor or -errno. */
int memfd_sealed(const char *name, const void *bytes, size_t len) MUST_CHECK;
/* A zeroed memfd whose size can't change (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL). */
int memfd_shared(const char *name, size_t size) MUST_CHECK;
/* Maps a memfd of exactly this size that can neither shrink nor grow; -EINVAL: it is none. The
 * descriptor stays the caller's. */
int memfd_map(int fd, size_t size, int protection, void **ret_memory) MUST_CHECK;
/* Opens what fd refers to afresh, through /proc/self/fd: no shared offset, flags or locks. */
int fd_reopen(int fd, int flags) MUST_CHECK;
/* True when fd is a memfd with the seals that memfd_sealed() sets. */
bool fd_is_sealed(int fd);

/* Replaces the file at path in one step: temporary file beside it, fsync, rename, fsync folder. */
int file_replace(int folder_fd, const char *name, const void *bytes, size_t len,
		 mode_t mode) MUST_CHECK;
/* The same; and when root does it, the file belongs to whom the folder belongs to, from before it
 * is in its place. */
int file_replace_with_folder(int folder_fd, const char *name, const void *bytes, size_t len,
			     mode_t mode) MUST_CHECK;

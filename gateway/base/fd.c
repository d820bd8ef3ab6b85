/* Small things with file descriptors, for every process: whole reads and writes,
 * sealed and shared memory, replacing a file in one step. The kernel is trusted,
 * file contents are not. */
#include "gateway/base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SEALS_FIXED_SIZE (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define SEALS_CONSTANT	 (SEALS_FIXED_SIZE | F_SEAL_WRITE)

/* Files by offset, so that a shared one doesn't matter; pipes as they come. */
static ssize_t read_at(int fd, void *to, size_t len, size_t at)
{
	ssize_t n;

	do {
		n = pread(fd, to, len, (off_t)at);
		if (n < 0 && errno == ESPIPE)
			n = read(fd, to, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Room for one octet beyond the limit shows what is too big; one more for the NUL. */
static int grow(char **bytes, size_t *size, size_t limit)
{
	size_t want = *size ? MIN(*size * 2, limit + 2) : MIN((size_t)4096, limit + 2);
	char *more = realloc(*bytes, want);

	if (!more)
		return -ENOMEM;
	*bytes = more;
	*size = want;
	return 0;
}

int fd_read_all(int fd, size_t limit, char **ret_bytes, size_t *ret_len)
{
	OWNED_FREE char *bytes = NULL;
	size_t size = 0, len = 0;
	ssize_t n;
	int r;

	assert(limit < SIZE_MAX / 4);
	do {
		if (size < len + 2 && (r = grow(&bytes, &size, limit)) < 0)
			return r;
		n = read_at(fd, bytes + len, size - 1 - len, len);
		if (n < 0)
			return (int)n;
		len += (size_t)n;
		if (len > limit)
			return -EFBIG;
	} while (n > 0);
	bytes[len] = '\0';
	*ret_bytes = TAKE(bytes);
	*ret_len = len;
	return 0;
}

int fd_write_all(int fd, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int memfd_sealed(const char *name, const void *bytes, size_t len)
{
	OWNED_FD fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	if ((r = fd_write_all(fd, bytes, len)) < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, SEALS_CONSTANT) < 0)
		return -errno;
	return fd_take(&fd);
}

int memfd_shared(const char *name, size_t size)
{
	OWNED_FD fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, SEALS_FIXED_SIZE) < 0)
		return -errno;
	return fd_take(&fd);
}

/* Mapped memory whose file could shrink is memory that could vanish: SIGBUS. */
int memfd_map(int fd, size_t size, int protection, void **ret_memory)
{
	const int need = F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat st;
	void *memory;
	int seals;

	/* The raw call: glibc's fstat() is newfstatat() in some versions, which takes a path, and a
	 * filter that allows it would allow asking for any path. */
	if (syscall(SYS_fstat, fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size != (off_t)size)
		return -EINVAL;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & need) != need)
		return -EINVAL;
	memory = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	*ret_memory = memory;
	return 0;
}

int fd_reopen(int fd, int flags)
{
	char path[32];
	int fresh;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	fresh = open(path, flags | O_CLOEXEC);
	return fresh < 0 ? -errno : fresh;
}

bool fd_is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & SEALS_CONSTANT) == SEALS_CONSTANT;
}

/* One left by a crash is nobody's. */
static int temporary_open(int folder_fd, const char *name)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(folder_fd, name, flags, 0600);

	if (fd < 0 && errno == EEXIST && unlinkat(folder_fd, name, 0) == 0)
		fd = openat(folder_fd, name, flags, 0600);
	return fd < 0 ? -errno : fd;
}

/* What a replacement consists of; with_folder: it belongs to whom the folder belongs to. */
struct content {
	const void *bytes;
	size_t len;
	mode_t mode;
	bool with_folder;
};

static int owner_follow(int folder_fd, int fd)
{
	struct stat folder, file;

	if (fstat(folder_fd, &folder) < 0 || fstat(fd, &file) < 0)
		return -errno;
	if (folder.st_uid == file.st_uid || geteuid() != 0)
		return 0;
	return fchown(fd, folder.st_uid, folder.st_gid) < 0 ? -errno : 0;
}

static int temporary_fill(int folder_fd, const char *name, const struct content *c)
{
	OWNED_FD fd = temporary_open(folder_fd, name);
	int r;

	if (fd < 0)
		return fd;
	if ((r = fd_write_all(fd, c->bytes, c->len)) < 0 ||
	    (c->with_folder && (r = owner_follow(folder_fd, fd)) < 0))
		return r;
	return fchmod(fd, c->mode) < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int replace(int folder_fd, const char *name, const struct content *c)
{
	char temporary[256];
	int n = snprintf(temporary, sizeof temporary, ".%s.new", name), r;

	if (n < 0 || (size_t)n >= sizeof temporary || strchr(name, '/') || !*name)
		return -EINVAL;
	r = temporary_fill(folder_fd, temporary, c);
	if (r == 0 && renameat(folder_fd, temporary, folder_fd, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(folder_fd, temporary, 0);
		return r;
	}
	return fsync(folder_fd) < 0 ? -errno : 0;
}

int file_replace(int folder_fd, const char *name, const void *bytes, size_t len, mode_t mode)
{
	return replace(folder_fd, name, &(struct content){bytes, len, mode, false});
}

int file_replace_with_folder(int folder_fd, const char *name, const void *bytes, size_t len,
			     mode_t mode)
{
	return replace(folder_fd, name, &(struct content){bytes, len, mode, true});
}

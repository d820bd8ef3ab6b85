/* Disks as the monitor has them: claimed once, opened afresh for every grant. This file
 * chooses by kind; file.c, device.c and memory.c do the work. Runs in the monitor; trusts
 * the policy, not the file system. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include "backends/disk_kinds.h"
#include "gateway/base/fd.h"

static const struct disk_ops *const kinds[] = {
	[DISK_FILE] = &disk_file_ops,
	[DISK_DEVICE] = &disk_device_ops,
	[DISK_MEMORY] = &disk_memory_ops,
};

int disk_say(const struct disk_spec *spec, int error, char *why, size_t why_size, const char *fmt,
	     ...)
{
	int n = snprintf(why, why_size, "disk %s: ", spec->name);
	va_list args;

	if (n < 0 || (size_t)n >= why_size)
		return error;
	va_start(args, fmt);
	(void)vsnprintf(why + n, why_size - (size_t)n, fmt, args);
	va_end(args);
	return error;
}

/* What holds for every kind; the policy has checked most of it already. */
static int spec_check(const struct disk_spec *spec, char *why, size_t why_size)
{
	if (spec->kind == DISK_INVALID || (size_t)spec->kind >= ARRAY_LEN(kinds))
		return disk_say(spec, -EINVAL, why, why_size, "names no file, device or memory");
	if (spec->size_bytes % 512 != 0)
		return disk_say(spec, -EINVAL, why, why_size,
				"size %ju is no multiple of 512 octets: choose one that is",
				(uintmax_t)spec->size_bytes);
	if (spec->size_bytes > INT64_MAX)
		return disk_say(spec, -EFBIG, why, why_size, "size %ju is beyond 8 EiB",
				(uintmax_t)spec->size_bytes);
	if (spec->kind == DISK_MEMORY && spec->direct)
		return disk_say(spec, -EINVAL, why, why_size,
				"is in memory, and has no way around the page cache");
	if (spec->kind != DISK_MEMORY && (!spec->path || spec->path[0] != '/'))
		return disk_say(spec, -EINVAL, why, why_size, "its path must begin with /");
	return 0;
}

int disk_claim(const struct disk_spec *spec, struct disk *ret_disk, char *ret_why, size_t why_size)
{
	struct disk d = {.kind = spec->kind,
			 .claim_fd = -1,
			 .read_only = spec->read_only,
			 .direct = spec->direct};
	int r;

	if ((r = spec_check(spec, ret_why, why_size)) < 0)
		return r;
	assert(kinds[spec->kind]);
	if (spec->path && !string_copy(d.path, sizeof d.path, spec->path))
		return disk_say(spec, -ENAMETOOLONG, ret_why, why_size, "its path is too long");
	if ((r = kinds[spec->kind]->claim(spec, &d, ret_why, why_size)) < 0) {
		disk_release(&d);
		return r;
	}
	*ret_disk = d;
	return 0;
}

int disk_allowed(const struct disk_spec *spec, char *ret_why, size_t why_size)
{
	OWNED_PLACE p = {.fd = -1};
	int r = 0;

	if (spec->kind != DISK_MEMORY)
		r = place_open(spec, &p, ret_why, why_size);
	if (r == -ENOENT)
		return disk_say(spec, r, ret_why, why_size, "%s is not there", spec->path);
	return r;
}

int disk_hold_too(const struct disk_spec *spec, struct disk *d, char *why, size_t why_size)
{
	int fd = fcntl(spec->held->claim_fd, F_DUPFD_CLOEXEC, 0);

	fd_close(&d->claim_fd);
	d->claim_fd = fd;
	if (fd < 0)
		return disk_say(spec, -errno, why, why_size, "can't hold %s once more: %s",
				spec->path, strerror(errno));
	return 0;
}

int disk_grow(const struct disk *d, uint64_t size_bytes)
{
	OWNED_FD fd = disk_open(d, true);

	if (fd < 0)
		return fd;
	if (d->kind != DISK_FILE || size_bytes < d->size_bytes || size_bytes > INT64_MAX)
		return -EINVAL;
	return ftruncate(fd, (off_t)size_bytes) < 0 || fsync(fd) < 0 ? -errno : 0;
}

int disk_open(const struct disk *d, bool writable)
{
	if (writable && d->read_only)
		return -EROFS;
	return kinds[d->kind]->open(d, writable);
}

int disk_check(const struct disk *d)
{
	return kinds[d->kind]->check(d);
}

int disk_size(const struct disk *d, uint64_t *ret_bytes)
{
	uint64_t bytes = d->size_bytes;
	int r = 0;

	if (kinds[d->kind]->size != NULL)
		r = kinds[d->kind]->size(d, &bytes);
	if (r == 0)
		*ret_bytes = bytes - bytes % 512;
	return r;
}

int disk_room(const struct disk *d, uint64_t *ret_total, uint64_t *ret_free)
{
	struct statvfs vfs;

	if (d->kind != DISK_FILE || d->read_only)
		return -ENOTSUP;
	if (fstatvfs(d->claim_fd, &vfs) < 0)
		return -errno;
	*ret_total = (uint64_t)vfs.f_blocks * vfs.f_frsize;
	*ret_free = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return 0;
}

void disk_release(struct disk *d)
{
	fd_close(&d->claim_fd);
}

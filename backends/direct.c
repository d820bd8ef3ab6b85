/* Disks around the page cache (cache: none, O_DIRECT): can it be, and are the disk's blocks
 * what the kernel wants requests to be made of? Asked when the disk is claimed, so that nobody
 * finds out by an error of a read. Runs in the monitor. Trusts what the kernel says of the
 * file system or the device. */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include "backends/backend.h"
#include "backends/disk_kinds.h"
#include "gateway/base/fd.h"

/* In octets: what offsets and lengths, and what addresses in memory are multiples of. */
struct units {
	uint32_t offset, memory;
};

int direct_flag(const struct disk *d)
{
	return d->direct ? O_DIRECT : 0;
}

/* Some of these take O_DIRECT and go through the page cache all the same: they are in it. What
 * a device's own name is on does not matter. */
static bool is_in_memory(const struct disk *d)
{
	struct statfs fs;

	return d->kind == DISK_FILE && fstatfs(d->claim_fd, &fs) == 0 &&
	       (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static int say_unable(const struct disk_spec *spec, const char *real, char *why, size_t why_size)
{
	return disk_say(spec, -EOPNOTSUPP, why, why_size,
			"the file system of %s has no O_DIRECT, which cache: none needs: move it "
			"to another (ext4, XFS), or write cache: page",
			real);
}

/* False: it does not say. */
static bool units_told(int fd, struct units *ret)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) < 0 ||
	    (st.stx_mask & STATX_DIOALIGN) == 0)
		return false;
	*ret = (struct units){st.stx_dio_offset_align, st.stx_dio_mem_align};
	return true;
}

/* Reads the first block: of all that can be wrong with that, only the unit is looked at here. */
static bool block_is_refused(int fd, uint8_t *octets, uint32_t block)
{
	return pread(fd, octets, block, 0) < 0 && errno == EINVAL;
}

static uint32_t unit_found(int fd, uint32_t block)
{
	OWNED_FREE uint8_t *octets = aligned_alloc(IO_ALIGNED, IO_ALIGNED);
	int sector = 0;

	if (ioctl(fd, BLKSSZGET, &sector) == 0 && sector > 0)
		return (uint32_t)sector;
	while (octets && block <= IO_ALIGNED && block_is_refused(fd, octets, block))
		block *= 2;
	return block;
}

static int units_check(const struct disk_spec *spec, const struct units *u, const char *real,
		       char *why, size_t why_size)
{
	if (u->offset == 0)
		return say_unable(spec, real, why, why_size);
	if (u->offset > IO_ALIGNED || u->memory > IO_ALIGNED)
		return disk_say(spec, -EOPNOTSUPP, why, why_size,
				"%s takes O_DIRECT in units of %u octets, in memory of %u, which "
				"is more than a block can have: write cache: page",
				real, u->offset, u->memory);
	if (u->offset <= spec->block_size)
		return 0;
	return disk_say(spec, -EOPNOTSUPP, why, why_size,
			"%s takes O_DIRECT in units of %u octets, and block_size is %u: write "
			"cache: page; or, for a disk that holds nothing yet, block_size: 4096",
			real, u->offset, spec->block_size);
}

int direct_check(const struct disk_spec *spec, const struct disk *d, const char *real, char *why,
		 size_t why_size)
{
	OWNED_FD fd = -1;
	struct units u;

	if (!spec->direct)
		return 0;
	if (is_in_memory(d))
		return disk_say(spec, -EOPNOTSUPP, why, why_size,
				"%s is on a file system in memory, which is nothing but page "
				"cache: move it, or write cache: page",
				real);
	fd = fd_reopen(d->claim_fd, (spec->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_DIRECT);
	if (fd == -EINVAL)
		return say_unable(spec, real, why, why_size);
	if (fd < 0)
		return disk_say(spec, fd, why, why_size, "can't open %s with O_DIRECT: %s", real,
				strerror(-fd));
	if (!units_told(fd, &u))
		u = (struct units){unit_found(fd, spec->block_size), IO_ALIGNED};
	return units_check(spec, &u, real, why, why_size);
}

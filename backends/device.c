/* Disks that are block devices: claimed with O_EXCL, which the kernel refuses while the
 * device is mounted or part of something else, and which keeps others out for as long as
 * the gateway runs. Runs in the monitor. Trusts the policy, not the file system. */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include "backends/disk_kinds.h"
#include "backends/rotational.h"
#include "gateway/base/fd.h"

/* The first character of a property of the device's queue; NUL: the kernel does not say. */
static char queue_property(dev_t dev, const char *name)
{
	/* a partition has no queue of its own: the whole disk above it has */
	static const char *const above[] = {"", "/.."};

	for (size_t i = 0; i < ARRAY_LEN(above); i++) {
		OWNED_FD fd = -1;
		char path[80], answer = 0;

		(void)snprintf(path, sizeof path, "/sys/dev/block/%u:%u%s/queue/%s", major(dev),
			       minor(dev), above[i], name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, &answer, 1) == 1)
			return answer;
	}
	return '\0';
}

bool device_is_rotational(dev_t dev)
{
	return queue_property(dev, "rotational") == '1';
}

/* Without it the kernel refuses to punch: then zeroes are written, and nothing is given back. */
static bool device_can_punch(dev_t dev)
{
	char first = queue_property(dev, "write_zeroes_max_bytes");

	return first >= '1' && first <= '9';
}

static int device_claim_fd(const struct disk_spec *spec, const struct place *p, char *why,
			   size_t why_size)
{
	bool held = spec->held != NULL && spec->held->dev == p->st.st_rdev;
	int fd = fd_reopen(p->fd,
			   (spec->read_only ? O_RDONLY : O_RDWR) | (held ? 0 : O_EXCL) | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (fd == -EBUSY)
		return disk_say(
			spec, fd, why, why_size,
			"%s is in use: mounted, or part of a volume group or RAID, or claimed "
			"by another program: end that use first (lsblk %s shows it)",
			p->real, p->real);
	if (fd == -EACCES || fd == -EPERM)
		return disk_say(spec, fd, why, why_size,
				"%s may not be opened by the gateway's user: add that user to the "
				"group that may (often: disk)",
				p->real);
	if (fd == -EROFS)
		return disk_say(spec, fd, why, why_size,
				"%s can only be read: write read_only: true", p->real);
	return disk_say(spec, fd, why, why_size, "can't open %s: %s", p->real, strerror(-fd));
}

static int device_check_writable(const struct disk_spec *spec, const struct place *p, int fd,
				 char *why, size_t why_size)
{
	int fixed = 0;

	if (spec->read_only || (ioctl(fd, BLKROGET, &fixed) == 0 && !fixed))
		return 0;
	return disk_say(spec, -EROFS, why, why_size, "%s can only be read: write read_only: true",
			p->real);
}

static int device_claim(const struct disk_spec *spec, struct disk *d, char *why, size_t why_size)
{
	OWNED_PLACE p = {.fd = -1};
	int r = place_open(spec, &p, why, why_size);

	if (r == -ENOENT)
		return disk_say(spec, r, why, why_size,
				"%s is not there: is it plugged in, or its volume active?",
				spec->path);
	if (r < 0)
		return r;
	if (!S_ISBLK(p.st.st_mode))
		return disk_say(spec, -ENOTBLK, why, why_size, "%s is no block device%s", p.real,
				S_ISREG(p.st.st_mode) ? ": write file: instead of device:" : "");
	if ((d->claim_fd = device_claim_fd(spec, &p, why, why_size)) < 0)
		return d->claim_fd;
	if ((r = device_check_writable(spec, &p, d->claim_fd, why, why_size)) < 0)
		return r;
	if (ioctl(d->claim_fd, BLKGETSIZE64, &d->size_bytes) < 0)
		return disk_say(spec, -errno, why, why_size, "can't learn the size of %s: %s",
				p.real, strerror(errno));
	if (spec->held != NULL && spec->held->dev == p.st.st_rdev &&
	    (r = disk_hold_too(spec, d, why, why_size)) < 0)
		return r;
	if (d->size_bytes == 0 || d->size_bytes % 512 != 0)
		return disk_say(spec, -ENOMEDIUM, why, why_size,
				"%s has %ju octets: is there a medium in it?", p.real,
				(uintmax_t)d->size_bytes);
	d->dev = p.st.st_rdev;
	d->rotational = device_is_rotational(p.st.st_rdev);
	d->thin = !spec->read_only && device_can_punch(p.st.st_rdev);
	return direct_check(spec, d, p.real, why, why_size);
}

static int device_open(const struct disk *d, bool writable)
{
	OWNED_FD fd = -1;
	int r = place_open_claimed(d, &fd);

	return r < 0 ? r
		     : fd_reopen(fd, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | direct_flag(d));
}

static int device_check(const struct disk *d)
{
	OWNED_FD fd = -1;
	uint64_t size;
	int r = place_open_claimed(d, &fd);

	if (r < 0)
		return r;
	if (ioctl(d->claim_fd, BLKGETSIZE64, &size) < 0)
		return -errno;
	return size < d->size_bytes ? -ENODATA : 0;
}

static int device_size(const struct disk *d, uint64_t *ret_bytes)
{
	return ioctl(d->claim_fd, BLKGETSIZE64, ret_bytes) < 0 ? -errno : 0;
}

const struct disk_ops disk_device_ops = {device_claim, device_open, device_check, device_size};

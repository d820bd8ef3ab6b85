/* Disks that are regular files: made sparse when missing, claimed with flock() so that a
 * second gateway is refused, and never cut or grown. Runs in the monitor. Trusts the
 * policy, not whoever else can write to the file's folder. */
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/file.h>
#include "backends/disk_kinds.h"
#include "backends/rotational.h"
#include "gateway/base/fd.h"

static int open_flags(bool writable)
{
	return (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC;
}

/* Its size, and then its name, survive a power cut. A folder that can't be read can't be synced. */
static int file_fill(int folder, int fd, uint64_t size)
{
	OWNED_FD readable = fd_reopen(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (ftruncate(fd, (off_t)size) < 0 || fsync(fd) < 0)
		return -errno;
	return readable >= 0 && fsync(readable) < 0 ? -errno : 0;
}

static int file_make(const struct disk_spec *spec, char *why, size_t why_size)
{
	OWNED_PLACE folder = {.fd = -1};
	OWNED_FD fd = -1;
	const char *name;
	int r;

	if (spec->size_bytes == 0 || spec->read_only)
		return disk_say(spec, -ENOENT, why, why_size, "%s is not there%s", spec->path,
				spec->read_only
					? ", and a read_only disk is never made: correct its path"
					: ": give it a size, and it is made");
	if ((r = place_open_folder(spec, &folder, &name, why, why_size)) < 0)
		return r;
	fd = openat(folder.fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return disk_say(spec, -EEXIST, why, why_size,
				"%s is a symbolic link to nothing: remove it or correct it",
				spec->path);
	if (fd < 0)
		return disk_say(spec, -errno, why, why_size, "can't make %s: %s", spec->path,
				strerror(errno));
	if ((r = file_fill(folder.fd, fd, spec->size_bytes)) < 0) {
		(void)unlinkat(folder.fd, name, 0);
		return disk_say(spec, r, why, why_size, "can't make %s with %ju octets: %s",
				spec->path, (uintmax_t)spec->size_bytes, strerror(-r));
	}
	return 0;
}

static int file_check_size(const struct disk_spec *spec, const struct stat *st, char *why,
			   size_t why_size)
{
	uintmax_t have = (uintmax_t)st->st_size, want = spec->size_bytes;

	if (want == 0 && (have == 0 || have % 512 != 0))
		return disk_say(
			spec, -EINVAL, why, why_size,
			"%s holds %ju octets, which is no whole number of 512-octet blocks: "
			"grow it with truncate --size",
			spec->path, have);
	if (want == 0 || want == have)
		return 0;
	if (have < want)
		return disk_say(spec, -ENODATA, why, why_size,
				"%s holds %ju octets, its size in the policy is %ju: correct the "
				"policy, or grow the file:  truncate --size=%ju %s",
				spec->path, have, want, want, spec->path);
	return disk_say(spec, -EFBIG, why, why_size,
			"%s holds %ju octets, more than its size in the policy, %ju: correct the "
			"policy (a file is never cut)",
			spec->path, have, want);
}

static bool file_is_held(const struct disk_spec *spec, const struct stat *st)
{
	return spec->held != NULL && spec->held->dev == st->st_dev && spec->held->ino == st->st_ino;
}

/* That of a read-only disk becomes exclusive when it may be written. */
static int file_lock(const struct disk_spec *spec, int fd, char *why, size_t why_size)
{
	if (flock(fd, (spec->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return disk_say(
			spec, -EBUSY, why, why_size,
			"%s is claimed by another program, or is another disk of this policy "
			"too: end that program (fuser %s names it)",
			spec->path, spec->path);
	return disk_say(spec, -errno, why, why_size, "can't lock %s: %s", spec->path,
			strerror(errno));
}

/* Beyond its end, where there is nothing to lose: does the file system know how? */
static bool file_can_punch(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 &&
	       fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, st.st_size, 4096) == 0;
}

static int file_claim(const struct disk_spec *spec, struct disk *d, char *why, size_t why_size)
{
	OWNED_PLACE p = {.fd = -1};
	int r = place_open(spec, &p, why, why_size);

	if (r == -ENOENT) {
		if ((r = file_make(spec, why, why_size)) < 0)
			return r;
		r = place_open(spec, &p, why, why_size);
	}
	if (r == -ENOENT)
		return disk_say(spec, r, why, why_size, "%s vanished while it was made",
				spec->path);
	if (r < 0)
		return r;
	if (!S_ISREG(p.st.st_mode))
		return disk_say(spec, -EINVAL, why, why_size, "%s is no regular file%s", p.real,
				S_ISBLK(p.st.st_mode) ? ": write device: instead of file:" : "");
	d->claim_fd = fd_reopen(p.fd, open_flags(!spec->read_only));
	if (d->claim_fd < 0)
		return disk_say(spec, d->claim_fd, why, why_size,
				"can't open %s %s: %s: give it to the gateway's user", p.real,
				spec->read_only ? "for reading" : "for writing",
				strerror(-d->claim_fd));
	d->thin = !spec->read_only && file_can_punch(d->claim_fd);
	if (file_is_held(spec, &p.st) && (r = disk_hold_too(spec, d, why, why_size)) < 0)
		return r;
	/* while writers of ours may have it, their claim stays as it is */
	if ((!spec->read_only || !file_is_held(spec, &p.st)) &&
	    (r = file_lock(spec, d->claim_fd, why, why_size)) < 0)
		return r;
	if (fstat(d->claim_fd, &p.st) < 0)
		return disk_say(spec, -errno, why, why_size, "can't look at %s: %s", p.real,
				strerror(errno));
	if ((r = file_check_size(spec, &p.st, why, why_size)) < 0)
		return r;
	d->size_bytes = (uint64_t)p.st.st_size;
	d->dev = p.st.st_dev;
	d->ino = p.st.st_ino;
	d->rotational = device_is_rotational(p.st.st_dev);
	return direct_check(spec, d, p.real, why, why_size);
}

static int file_open(const struct disk *d, bool writable)
{
	OWNED_FD fd = -1;
	int r = place_open_claimed(d, &fd);

	return r < 0 ? r : fd_reopen(fd, open_flags(writable) | direct_flag(d));
}

static int file_check(const struct disk *d)
{
	OWNED_FD fd = -1;
	struct stat st;
	int r = place_open_claimed(d, &fd);

	if (r < 0)
		return r;
	if (fstat(d->claim_fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size < d->size_bytes ? -ENODATA : 0;
}

static int file_size(const struct disk *d, uint64_t *ret_bytes)
{
	struct stat st;

	if (fstat(d->claim_fd, &st) < 0)
		return -errno;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

const struct disk_ops disk_file_ops = {file_claim, file_open, file_check, file_size};

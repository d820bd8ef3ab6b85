/* Where a disk is: paths of the policy, opened so that nobody can swap what they name
 * between the check and the use, and held below the roots that the policy allows. Runs
 * in the monitor. Trusts the policy's path, not the folders on the way. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include "backends/disk_kinds.h"
#include "gateway/base/log.h"

void place_close(struct place *p)
{
	fd_close(&p->fd);
}

/* Where the descriptor's file really is: the kernel's own word, whatever the path said. */
static int fd_path(int fd, char *ret_path, size_t size)
{
	char link[32];
	ssize_t n;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, ret_path, size);
	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	ret_path[n] = '\0';
	return 0;
}

static bool path_is_below(const char *path, const char *root)
{
	size_t len = strlen(root);

	if (len == 1 && root[0] == '/')
		return true;
	return strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* A root may be a symbolic link itself; one that is not there holds nothing. */
static bool path_is_allowed(const struct disk_spec *spec, const char *real)
{
	for (size_t i = 0; i < spec->root_count; i++) {
		OWNED_FREE char *root = realpath(spec->roots[i], NULL);

		if (root && path_is_below(real, root))
			return true;
	}
	return false;
}

static int place_fill(const struct disk_spec *spec, struct place *p, char *why, size_t why_size)
{
	char real[PATH_MAX];
	int r;

	if (fstat(p->fd, &p->st) < 0)
		return disk_say(spec, -errno, why, why_size, "can't look at %s: %s", spec->path,
				strerror(errno));
	if ((r = fd_path(p->fd, real, sizeof real)) < 0)
		return disk_say(spec, r, why, why_size,
				"can't find out where %s really is: %s (is /proc mounted?)",
				spec->path, strerror(-r));
	text_escape(real, strlen(real), p->real, sizeof p->real);
	if (!path_is_allowed(spec, real))
		return disk_say(spec, -EACCES, why, why_size,
				"%s is outside disk_roots: move it below one of them, or add its "
				"folder to disk_roots",
				p->real);
	return 0;
}

static int place_take(const struct disk_spec *spec, int fd, struct place *ret_place, char *why,
		      size_t why_size)
{
	OWNED_PLACE p = {.fd = fd};
	int r = place_fill(spec, &p, why, why_size);

	if (r < 0)
		return r;
	*ret_place = p;
	p.fd = -1;
	return 0;
}

int place_open(const struct disk_spec *spec, struct place *ret_place, char *why, size_t why_size)
{
	int fd = open(spec->path, O_PATH | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return disk_say(spec, -errno, why, why_size,
				"can't reach %s: %s: make its folders passable for the gateway's "
				"user",
				spec->path, strerror(errno));
	return place_take(spec, fd, ret_place, why, why_size);
}

int place_open_folder(const struct disk_spec *spec, struct place *ret_place, const char **ret_name,
		      char *why, size_t why_size)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(spec->path, '/');
	size_t len = slash == spec->path ? 1 : (size_t)(slash - spec->path);
	int fd;

	if (slash[1] == '\0' || len >= sizeof folder)
		return disk_say(spec, -EINVAL, why, why_size, "%s names no file", spec->path);
	memcpy(folder, spec->path, len);
	folder[len] = '\0';
	fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return disk_say(spec, -errno, why, why_size,
				"can't make %s: its folder %s: %s: make the folder first",
				spec->path, folder, strerror(errno));
	*ret_name = slash + 1;
	return place_take(spec, fd, ret_place, why, why_size);
}

int place_open_claimed(const struct disk *d, int *ret_fd)
{
	OWNED_FD fd = open(d->path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ESTALE : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (d->kind == DISK_DEVICE ? !S_ISBLK(st.st_mode) || st.st_rdev != d->dev
				   : st.st_dev != d->dev || st.st_ino != d->ino)
		return -ESTALE;
	*ret_fd = fd_take(&fd);
	return 0;
}

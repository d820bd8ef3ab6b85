/* The state folder, for the monitor and the command line: made, checked, locked.
 * Trusts the folder's owner, root and our own user, and nobody else: what others
 * can write is refused, what others can read is closed. */
#include "gateway/base/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "gateway/base/log.h"
#include "gateway/base/process.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

/* The folder may be ours or root's; root takes that of the gateway's own user, too. */
static bool owner_is_trusted(uid_t owner)
{
	uid_t uid;
	gid_t gid;

	if (owner == 0 || owner == geteuid())
		return true;
	return geteuid() == 0 && user_find("sallyport", &uid, &gid) == 0 && owner == uid;
}

/* 0700, or 0710 for the control socket's group, is left as it is. */
static int folder_check(int fd, const char **ret_why)
{
	struct stat st;

	*ret_why = "can't be examined";
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_why = "belongs to another user: chown it, or name another folder";
	if (!owner_is_trusted(st.st_uid))
		return -EPERM;
	*ret_why = "can be written by others, who may have changed what is in it: look at it, "
		   "then chmod 0700";
	if (st.st_mode & 022)
		return -EPERM;
	*ret_why = "can be read by others, and can't be closed to them: chmod 0700";
	if ((st.st_mode & 047) && fchmod(fd, 0700) < 0)
		return -errno;
	return 0;
}

static int state_refuse(const char *path, const char *why, int error, char *ret_why, size_t size)
{
	char shown[256];

	(void)text_escape(path, strlen(path), shown, sizeof shown);
	(void)snprintf(ret_why, size, "the state folder %s %s", shown, why);
	return error;
}

int state_open(const char *path, bool make, char *ret_why, size_t why_size)
{
	OWNED_FD fd = -1;
	const char *why;
	int r;

	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return state_refuse(path,
				    errno == ENOENT
					    ? "can't be made: the folder above it is missing"
					    : "can't be made: no permission in the folder "
					      "above it, or no space",
				    -errno, ret_why, why_size);
	fd = open(path, FOLDER_FLAGS);
	if (fd < 0) {
		r = -errno;
		why = r == -ENOENT    ? "does not exist: name another with --state, or start the "
					"gateway once"
		      : r == -ENOTDIR ? "is no folder"
				      : "can't be opened: become its owner, or root";
		return state_refuse(path, why, r, ret_why, why_size);
	}
	if ((r = folder_check(fd, &why)) < 0)
		return state_refuse(path, why, r, ret_why, why_size);
	return fd_take(&fd);
}

int state_subfolder(int state_fd, const char *name)
{
	OWNED_FD fd = -1;
	const char *why = "can't be made";
	int r = 0;

	if (mkdirat(state_fd, name, 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0) {
		why = "can't be opened";
		fd = openat(state_fd, name, FOLDER_FLAGS | O_NOFOLLOW);
		r = fd < 0 ? -errno : folder_check(fd, &why);
	}
	if (r < 0) {
		log_error("the folder %s in the state folder %s: %s", name, why, strerror(-r));
		return r;
	}
	return fd_take(&fd);
}

int state_lock(int state_fd)
{
	OWNED_FD fd = openat(state_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return fd_take(&fd);
}

int state_io_lock(int state_fd, bool alone)
{
	OWNED_FD fd = openat(state_fd, "sessions.lock", O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
			     0600);

	if (fd < 0)
		return -errno;
	if (flock(fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
		return -errno;
	return fd_take(&fd);
}

/* "/a/b///" is "/a/b"; a last part that names no folder of its own has nothing beside it. */
static int folder_name_length(const char *path, size_t *ret_len)
{
	size_t len = strlen(path), last;

	while (len > 0 && path[len - 1] == '/')
		len--;
	for (last = len; last > 0 && path[last - 1] != '/'; last--)
		;
	if (len == last || (len - last == 1 && path[last] == '.') ||
	    (len - last == 2 && memcmp(path + last, "..", 2) == 0))
		return -EINVAL;
	*ret_len = len;
	return 0;
}

int state_key_path(const char *state_path, char *ret_path, size_t size)
{
	const char *credentials = secure_getenv("CREDENTIALS_DIRECTORY");
	char path[4096];
	size_t len;
	int n, r;

	if ((r = folder_name_length(state_path, &len)) < 0)
		return r;
	if (len >= sizeof path)
		return -ENAMETOOLONG;
	if (credentials && *credentials)
		n = snprintf(path, sizeof path, "%s/sallyport.key", credentials);
	else if (len == strlen(STATE_DEFAULT) && memcmp(state_path, STATE_DEFAULT, len) == 0)
		n = snprintf(path, sizeof path, "/etc/sallyport/key");
	else
		n = snprintf(path, sizeof path, "%.*s.key", (int)len, state_path);
	if (n < 0 || (size_t)n >= sizeof path || (size_t)n >= size)
		return -ENAMETOOLONG;
	memcpy(ret_path, path, (size_t)n + 1);
	return 0;
}

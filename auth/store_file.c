/* Opening, making, locking and replacing the files of the secret store, in the monitor
 * and on the command line; reading them from descriptors also in the authenticator.
 * Trusts the state folder as state_open() checked it. The key file's place need not be
 * ours alone, so that file is checked each time. */
#include "auth/store.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/state.h"

#define READ_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* Where a sentence for people goes. */
struct why {
	char *text;
	size_t size;
};

static int PRINTF_LIKE(3, 4) refuse(const struct why *why, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why->text, why->size, fmt, args);
	va_end(args);
	return error;
}

/* --- the key --------------------------------------------------------------------------------- */

struct key_place {
	char path[4096];
	char shown[512]; /* the path for messages */
	bool credential; /* systemd's: made, owned and opened to us by it */
};

static int key_place_find(const char *state_path, struct key_place *ret_place,
			  const struct why *why)
{
	const char *credentials = secure_getenv("CREDENTIALS_DIRECTORY");
	int r = state_key_path(state_path, ret_place->path, sizeof ret_place->path);

	if (r < 0)
		return refuse(why, r,
			      "where the key of the secrets is can't be told from the name of "
			      "the state folder: give --state as a path that ends in a name");
	ret_place->credential = credentials && *credentials;
	(void)text_escape(ret_place->path, strlen(ret_place->path), ret_place->shown,
			  sizeof ret_place->shown);
	return 0;
}

/* A credential may be readable through an ACL, whose mask shows as the group's bits. */
static int key_check(int fd, const struct key_place *place, const struct why *why)
{
	const mode_t forbidden = place->credential ? 0037 : 0077;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return refuse(why, -errno, "the key file %s can't be examined", place->shown);
	if (!S_ISREG(st.st_mode))
		return refuse(why, -EINVAL, "the key file %s is no regular file", place->shown);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return refuse(why, -EPERM,
			      "the key file %s belongs to user %u, who could read every secret: "
			      "chown it to the gateway's user or to root",
			      place->shown, st.st_uid);
	if (st.st_mode & forbidden)
		return refuse(why, -EPERM,
			      "the key file %s is open to others (mode %04o): chmod 0600, and "
			      "replace the secrets if somebody may have read it",
			      place->shown, st.st_mode & 07777u);
	if (st.st_size != STORE_KEY_SIZE)
		return refuse(why, -EINVAL,
			      "the key file %s has %lld octets instead of %d: put back the right "
			      "one, or remove it together with the store of secrets",
			      place->shown, (long long)st.st_size, STORE_KEY_SIZE);
	return 0;
}

static int key_open_at(const struct key_place *place, const struct why *why)
{
	OWNED_FD fd = open(place->path, READ_FLAGS & ~(place->credential ? O_NOFOLLOW : 0));
	int r;

	if (fd < 0)
		return refuse(why, -errno, "the key file %s can't be opened: %s", place->shown,
			      strerror(errno));
	if ((r = key_check(fd, place, why)) < 0)
		return r;
	return fd_take(&fd);
}

int store_key_open(const char *state_path, char *ret_why, size_t why_size)
{
	const struct why why = {ret_why, why_size};
	struct key_place place;
	int r = key_place_find(state_path, &place, &why);

	return r < 0 ? r : key_open_at(&place, &why);
}

int store_key_read(int fd, uint8_t ret_key[STORE_KEY_SIZE])
{
	uint8_t bytes[STORE_KEY_SIZE + 1];
	ssize_t n = pread(fd, bytes, sizeof bytes, 0);
	int r = n < 0 ? -errno : n == STORE_KEY_SIZE ? 0 : -EINVAL;

	if (r == 0)
		memcpy(ret_key, bytes, STORE_KEY_SIZE);
	sodium_memzero(bytes, sizeof bytes);
	return r;
}

static int key_fill(int fd)
{
	uint8_t key[STORE_KEY_SIZE];
	int r;

	randombytes_buf(key, sizeof key);
	r = fd_write_all(fd, key, sizeof key);
	sodium_memzero(key, sizeof key);
	return r < 0 ? r : fchmod(fd, 0600) < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Opens the folder that the key is in; makes it (one level) when it is missing. It is the policy's
 * folder as well, which a gateway without root reads: so it is open to all, whatever our umask. */
static int key_folder_open(const struct key_place *place)
{
	char folder[sizeof place->path];
	const char *slash = strrchr(place->path, '/');
	size_t len = slash ? (size_t)(slash - place->path) : 0;
	bool made;
	OWNED_FD fd = -1;

	memcpy(folder, place->path, len);
	folder[len] = '\0';
	if (!slash || len == 0)
		(void)string_copy(folder, sizeof folder, slash ? "/" : ".");
	made = mkdir(folder, 0755) == 0;
	if (!made && errno != EEXIST)
		return -errno;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (made && fchmod(fd, 0755) < 0))
		return -errno;
	return fd_take(&fd);
}

/* Under the store's lock. What can't be finished is taken away again. */
static int key_make(const struct key_place *place, const struct why *why)
{
	OWNED_FD
	folder = key_folder_open(place);
	OWNED_FD fd = -1;
	int r = folder;

	if (r >= 0) {
		fd = open(place->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		r = fd < 0 ? -errno : key_fill(fd);
		if (r < 0 && fd >= 0)
			(void)unlink(place->path);
	}
	if (r == 0 && fsync(folder) < 0)
		r = -errno;
	if (r < 0)
		return refuse(why, r, "the key file %s can't be made: %s", place->shown,
			      strerror(-r));
	return 0;
}

static bool store_exists(int state_fd)
{
	struct stat st;

	if (fstatat(state_fd, STORE_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno != ENOENT;
	return st.st_size > 0;
}

int store_key_ensure(const char *state_path, int state_fd, char *ret_why, size_t why_size)
{
	const struct why why = {ret_why, why_size};
	OWNED_FD
	lock = store_lock(state_fd, ret_why, why_size);
	OWNED_FD fd = -1;
	struct key_place place;
	int r;

	if (lock < 0)
		return lock;
	if ((r = key_place_find(state_path, &place, &why)) < 0)
		return r;
	fd = key_open_at(&place, &why);
	if (fd != -ENOENT)
		return MIN(fd, 0);
	if (store_exists(state_fd))
		return refuse(&why, -ENOKEY,
			      "there is a store of secrets, but its key file %s is missing, and "
			      "nothing else can open it: put the key back, or remove the store "
			      "(%s in the state folder) and set all secrets again",
			      place.shown, STORE_FILE);
	if (place.credential)
		return refuse(&why, -ENOKEY,
			      "the credential %s is missing: a systemd unit reads its key and "
			      "never makes one; name it with LoadCredential=sallyport.key:…",
			      place.shown);
	return key_make(&place, &why);
}

/* --- the store ------------------------------------------------------------------------------- */

int store_open(int state_fd, char *ret_why, size_t why_size)
{
	const struct why why = {ret_why, why_size};
	int fd = openat(state_fd, STORE_FILE, READ_FLAGS);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		fd = memfd_create("no secrets", MFD_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		int error = -errno;

		fd_close(&fd);
		return refuse(&why, error, "the store of secrets can't be opened: %s",
			      strerror(-error));
	}
	if (!S_ISREG(st.st_mode)) {
		fd_close(&fd);
		return refuse(&why, -EINVAL, "the store of secrets is no regular file: remove it");
	}
	return fd;
}

static int damaged(const struct why *why, int error)
{
	static const char *const damage =
		"the store of secrets is damaged, or of a version that this program does not "
		"know: put a copy back, or remove it and set all secrets again";
	static const char *const other_key =
		"the store of secrets was sealed under another key than the key file holds: put "
		"the right key back";
	static const char *const too_many =
		"the store of secrets does not fit into the memory that may be locked: raise the "
		"limit (ulimit -l, or LimitMEMLOCK= of the unit)";

	if (error == -EBADMSG || error == -EFBIG)
		return refuse(why, error, "%s", damage);
	if (error == -EKEYREJECTED)
		return refuse(why, error, "%s", other_key);
	if (error == -ENOSPC)
		return refuse(why, error, "%s", too_many);
	return refuse(why, error, "the store of secrets can't be read: %s", strerror(-error));
}

int store_list_load(int state_fd, struct store_list *ret_list, char *ret_why, size_t why_size)
{
	const struct why why = {ret_why, why_size};
	OWNED_FD fd = store_open(state_fd, ret_why, why_size);
	OWNED_FREE char *bytes = NULL;
	size_t len;
	int r;

	if (fd < 0)
		return fd;
	r = fd_read_all(fd, STORE_BYTES_MAX, &bytes, &len);
	if (r == 0)
		r = store_list_parse((const uint8_t *)bytes, len, ret_list);
	return r < 0 ? damaged(&why, r) : 0;
}

bool store_has(int state_fd, const char *name)
{
	OWNED_BY(store_list_free) struct store_list list = {0};
	char why[256];

	return store_list_load(state_fd, &list, why, sizeof why) == 0 &&
	       store_list_find(&list, name) >= 0;
}

int store_load(struct store *s, int store_fd, const uint8_t key[STORE_KEY_SIZE], char *ret_why,
	       size_t why_size)
{
	const struct why why = {ret_why, why_size};
	OWNED_FREE char *bytes = NULL;
	size_t len;
	int r = fd_read_all(store_fd, STORE_BYTES_MAX, &bytes, &len);

	if (r == 0)
		r = store_unseal(s, key, (const uint8_t *)bytes, len);
	return r < 0 ? damaged(&why, r) : 0;
}

int store_lock(int state_fd, char *ret_why, size_t why_size)
{
	const struct why why = {ret_why, why_size};
	OWNED_FD fd = openat(state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return refuse(&why, -errno, "the state folder can't be opened: %s",
			      strerror(errno));
	do
		r = flock(fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return refuse(&why, -errno, "the state folder can't be locked: %s",
			      strerror(errno));
	return fd_take(&fd);
}

/* Root may keep the secrets of a gateway that runs as a user of its own: that user has to read
 * them. By descriptor, and only a file that we just made: its folder is that user's. */
static int owner_follow(int state_fd)
{
	OWNED_FD fd = openat(state_fd, STORE_FILE, READ_FLAGS);
	struct stat folder, file;

	if (fd < 0 || fstat(state_fd, &folder) < 0 || fstat(fd, &file) < 0)
		return -errno;
	if (folder.st_uid == file.st_uid || geteuid() != 0)
		return 0;
	if (!S_ISREG(file.st_mode) || file.st_nlink != 1 || file.st_uid != 0)
		return -EPERM;
	return fchown(fd, folder.st_uid, folder.st_gid) < 0 ? -errno : 0;
}

int store_write(int state_fd, const uint8_t *bytes, size_t len, char *ret_why, size_t why_size)
{
	const struct why why = {ret_why, why_size};
	int r = file_replace(state_fd, STORE_FILE, bytes, len, 0600);

	if (r == 0)
		r = owner_follow(state_fd);
	if (r < 0)
		return refuse(&why, r, "the store of secrets can't be written: %s", strerror(-r));
	return 0;
}

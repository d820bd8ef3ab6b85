/* The key of the secret store: finding, checking, making and changing its file, in the
 * monitor and on the command line; reading it from a descriptor also in the
 * authenticator. Its place need not be ours alone, so the file is checked each time. */
#include "auth/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "auth/key_wrap.h"
#include "auth/why.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/state.h"

#define READ_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

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
		return why_say(why, r,
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
		return why_say(why, -errno, "the key file %s can't be examined", place->shown);
	if (!S_ISREG(st.st_mode))
		return why_say(why, -EINVAL, "the key file %s is no regular file", place->shown);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return why_say(why, -EPERM,
			       "the key file %s belongs to user %u, who could read every secret: "
			       "chown it to the gateway's user or to root",
			       place->shown, st.st_uid);
	if (st.st_mode & forbidden)
		return why_say(why, -EPERM,
			       "the key file %s is open to others (mode %04o): chmod 0600, and "
			       "replace the secrets if somebody may have read it",
			       place->shown, st.st_mode & 07777u);
	if (st.st_size != STORE_KEY_SIZE && st.st_size != KEY_WRAPPED_SIZE)
		return why_say(why, -EINVAL,
			       "the key file %s has %lld octets instead of %d (or %d, under a "
			       "passphrase): put back the right one, or remove it together with "
			       "the store of secrets",
			       place->shown, (long long)st.st_size, STORE_KEY_SIZE,
			       KEY_WRAPPED_SIZE);
	return 0;
}

static int key_open_at(const struct key_place *place, const struct why *why)
{
	OWNED_FD fd = open(place->path, READ_FLAGS & ~(place->credential ? O_NOFOLLOW : 0));
	int r;

	if (fd < 0)
		return why_say(why, -errno, "the key file %s can't be opened: %s", place->shown,
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

bool store_key_is_wrapped(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == KEY_WRAPPED_SIZE;
}

int store_key_unwrap(int fd, const struct passphrase *passphrase, uint8_t ret_key[STORE_KEY_SIZE],
		     char *ret_why, size_t why_size)
{
	const struct why why = {ret_why, why_size};
	uint8_t bytes[KEY_WRAPPED_SIZE];
	int r = pread(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes ? 0 : -EIO;

	if (r == 0)
		r = key_unwrap(bytes, passphrase->octets, passphrase->len, ret_key);
	if (r == -EKEYREJECTED)
		return why_say(&why, r, "this is not the passphrase of the key file");
	if (r == -EBADMSG)
		return why_say(&why, r, "the key file is damaged: put a copy back");
	if (r == -ENOMEM)
		return why_say(&why, r,
			       "there is not enough memory to try the passphrase (%llu MiB)",
			       (unsigned long long)key_cost_usual.octets >> 20);
	return r < 0 ? why_say(&why, r, "the key file can't be read: %s", strerror(-r)) : 0;
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
static int key_write(const struct key_place *place, const uint8_t *bytes, size_t len,
		     const struct why *why)
{
	OWNED_FD
	folder = key_folder_open(place);
	OWNED_FD fd = -1;
	int r = folder;

	if (r >= 0) {
		fd = open(place->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		r = fd < 0 ? -errno : fd_write_all(fd, bytes, len);
		if (r == 0 && (fchmod(fd, 0600) < 0 || fsync(fd) < 0))
			r = -errno;
		if (r < 0 && fd >= 0)
			(void)unlink(place->path);
	}
	if (r == 0 && fsync(folder) < 0)
		r = -errno;
	if (r < 0)
		return why_say(why, r, "the key file %s can't be made: %s", place->shown,
			       strerror(-r));
	return 0;
}

static int key_make(const struct key_place *place, const struct why *why)
{
	uint8_t key[STORE_KEY_SIZE];
	int r;

	randombytes_buf(key, sizeof key);
	r = key_write(place, key, sizeof key, why);
	sodium_memzero(key, sizeof key);
	return r;
}

/* --- another key ----------------------------------------------------------------------------- */

/* Beside the key while the store is sealed anew: which of both is the right one, the store says. */
static int next_place(const struct key_place *place, struct key_place *ret_next,
		      const struct why *why)
{
	*ret_next = *place;
	if (snprintf(ret_next->path, sizeof ret_next->path, "%s.new", place->path) >=
	    (int)sizeof ret_next->path)
		return why_say(why, -ENAMETOOLONG, "the name of the key file %s is too long",
			       place->shown);
	(void)text_escape(ret_next->path, strlen(ret_next->path), ret_next->shown,
			  sizeof ret_next->shown);
	return 0;
}

static int file_key_id(int fd, uint8_t ret_id[STORE_KEY_ID_SIZE])
{
	uint8_t bytes[KEY_WRAPPED_SIZE], key[STORE_KEY_SIZE];
	struct key_wrapped wrapped;
	int r = store_key_read(fd, key);

	if (r == 0)
		store_key_id(key, ret_id);
	sodium_memzero(key, sizeof key);
	if (r != -EINVAL)
		return r;
	if (pread(fd, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return -EINVAL;
	if ((r = key_wrapped_parse(bytes, sizeof bytes, &wrapped)) == 0)
		memcpy(ret_id, wrapped.key_id, STORE_KEY_ID_SIZE);
	return r;
}

static int store_sealed_by(int state_fd, uint8_t ret_id[STORE_KEY_ID_SIZE])
{
	uint8_t bytes[STORE_HEADER_SIZE];
	OWNED_FD fd = openat(state_fd, STORE_FILE, READ_FLAGS);
	ssize_t n = fd < 0 ? -1 : pread(fd, bytes, sizeof bytes, 0);

	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof bytes ? store_header_key_id(bytes, ret_id) : -EBADMSG;
}

static int key_move(const struct key_place *next, const struct key_place *place,
		    const struct why *why)
{
	OWNED_FD
	folder = key_folder_open(place);

	if (folder < 0)
		return why_say(why, folder, "the folder of the key file %s can't be opened: %s",
			       place->shown, strerror(-folder));
	if (rename(next->path, place->path) < 0 || fsync(folder) < 0)
		return why_say(why, -errno, "the key file %s can't be put in its place: %s",
			       next->shown, strerror(errno));
	return 0;
}

static bool key_is_of(const struct key_place *place, const uint8_t sealed_by[STORE_KEY_ID_SIZE])
{
	OWNED_FD fd = open(place->path, READ_FLAGS);
	uint8_t id[STORE_KEY_ID_SIZE];

	return fd >= 0 && file_key_id(fd, id) == 0 && memcmp(sealed_by, id, sizeof id) == 0;
}

/* Whoever changed the key may have been killed: the store is sealed under one of the two. A store
 * that is not there, or says nothing, may come back: until then neither key is taken away. */
static int key_settle(const struct key_place *place, int state_fd, const struct why *why)
{
	uint8_t sealed_by[STORE_KEY_ID_SIZE];
	struct key_place next;
	struct stat st;
	int r;

	if (place->credential)
		return 0;
	if ((r = next_place(place, &next, why)) < 0)
		return r;
	if (lstat(next.path, &st) < 0)
		return errno == ENOENT ? 0
				       : why_say(why, -errno, "the key file %s can't be found: %s",
						 next.shown, strerror(errno));
	r = store_sealed_by(state_fd, sealed_by);
	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	if (r < 0)
		return why_say(why, r,
			       "the store of secrets can't be read (%s), and it alone says which "
			       "is its key, %s or %s",
			       strerror(-r), place->shown, next.shown);
	if (key_is_of(&next, sealed_by))
		return key_move(&next, place, why);
	if (key_is_of(place, sealed_by) && unlink(next.path) < 0)
		return why_say(why, -errno, "the key file %s of an earlier change can't be removed",
			       next.shown);
	return 0;
}

int store_key_next(const char *state_path, const uint8_t *bytes, size_t len, char *ret_why,
		   size_t why_size)
{
	const struct why why = {ret_why, why_size};
	struct key_place place, next;
	int r = key_place_find(state_path, &place, &why);

	if (r < 0)
		return r;
	if (place.credential)
		return why_say(&why, -EROFS,
			       "the key is a systemd credential, which is changed where it comes "
			       "from: run this outside of the unit");
	if ((r = next_place(&place, &next, &why)) < 0)
		return r;
	r = key_write(&next, bytes, len, &why);
	if (r == -EEXIST)
		return why_say(&why, r,
			       "%s is left of a change that was cut, and no store says whether it "
			       "is the right key: put the store back, or remove that file",
			       next.shown);
	return r;
}

int store_key_settle(const char *state_path, int state_fd, char *ret_why, size_t why_size)
{
	const struct why why = {ret_why, why_size};
	struct key_place place;
	int r = key_place_find(state_path, &place, &why);

	return r < 0 ? r : key_settle(&place, state_fd, &why);
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
	if ((r = key_settle(&place, state_fd, &why)) < 0)
		return r;
	fd = key_open_at(&place, &why);
	if (fd != -ENOENT)
		return MIN(fd, 0);
	if (store_exists(state_fd))
		return why_say(&why, -ENOKEY,
			       "there is a store of secrets, but its key file %s is missing, and "
			       "nothing else can open it: put the key back, or remove the store "
			       "(%s in the state folder) and set all secrets again",
			       place.shown, STORE_FILE);
	if (place.credential)
		return why_say(&why, -ENOKEY,
			       "the credential %s is missing: a systemd unit reads its key and "
			       "never makes one; name it with LoadCredential=sallyport.key:…",
			       place.shown);
	return key_make(&place, &why);
}

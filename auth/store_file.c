/* Opening, locking and replacing the file of the secret store, in the monitor and on the
 * command line; reading it from a descriptor also in the authenticator. Trusts the state
 * folder as state_open() checked it. */
#include "auth/store.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "auth/why.h"
#include "gateway/base/fd.h"

#define READ_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

int why_say(const struct why *why, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why->text, why->size, fmt, args);
	va_end(args);
	return error;
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
		return why_say(&why, error, "the store of secrets can't be opened: %s",
			       strerror(-error));
	}
	if (!S_ISREG(st.st_mode)) {
		fd_close(&fd);
		return why_say(&why, -EINVAL, "the store of secrets is no regular file: remove it");
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
		return why_say(why, error, "%s", damage);
	if (error == -EKEYREJECTED)
		return why_say(why, error, "%s", other_key);
	if (error == -ENOSPC)
		return why_say(why, error, "%s", too_many);
	return why_say(why, error, "the store of secrets can't be read: %s", strerror(-error));
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
		return why_say(&why, -errno, "the state folder can't be opened: %s",
			       strerror(errno));
	do
		r = flock(fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return why_say(&why, -errno, "the state folder can't be locked: %s",
			       strerror(errno));
	return fd_take(&fd);
}

/* Root may keep the secrets of a gateway that runs as a user of its own: that user has to read
 * them, also when we are killed at any moment here. */
int store_write(int state_fd, const uint8_t *bytes, size_t len, char *ret_why, size_t why_size)
{
	const struct why why = {ret_why, why_size};
	int r = file_replace_with_folder(state_fd, STORE_FILE, bytes, len, 0600);

	if (r < 0)
		return why_say(&why, r, "the store of secrets can't be written: %s", strerror(-r));
	return 0;
}

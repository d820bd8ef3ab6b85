/* The files of invitations. The state folder is trusted as auth/ca.h has it; the monitor reads the
 * part in clear alone, and never a code or what proves one. */
#include "auth/invitation.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include "auth/ca.h"
#include "gateway/base/bytes.h"
#include "gateway/base/fd.h"

#define READ_FLAGS   (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define USED	     ".used"
#define CLEAR_SIZE   (INVITATION_ID_SIZE + 8 + 8 + ISCSI_NAME_MAX)

int invitation_parse(const struct sealed_file *f, struct invitation *ret)
{
	struct rd r = rd_over(f->clear, f->clear_len);
	const uint8_t *id = rd_bytes(&r, INVITATION_ID_SIZE), *name;
	uint64_t made_s = rd_be(&r, 8), until_s = rd_be(&r, 8);
	size_t len = rd_left(&r);
	struct invitation i = {.made_s = (int64_t)made_s, .until_s = (int64_t)until_s};

	if (r.failed || len == 0 || len > ISCSI_NAME_MAX || f->secret_len != INVITATION_KEY_SIZE ||
	    made_s > INT64_MAX || until_s > INT64_MAX)
		return -EBADMSG;
	name = rd_bytes(&r, len);
	for (size_t k = 0; k < len; k++)
		if (name[k] <= ' ' || name[k] > '~')
			return -EBADMSG;
	memcpy(i.id, id, sizeof i.id);
	memcpy(i.initiator, name, len);
	*ret = i;
	return 0;
}

static void id_text(const uint8_t id[INVITATION_ID_SIZE], char ret[INVITATION_NAME_SIZE])
{
	(void)sodium_bin2hex(ret, INVITATION_NAME_SIZE, id, INVITATION_ID_SIZE);
}

void invitation_name(const struct invitation *i, char ret[INVITATION_NAME_SIZE])
{
	id_text(i->id, ret);
	if (i->used)
		memcpy(ret + 2 * INVITATION_ID_SIZE, USED, sizeof USED);
}

static int folder_open(int ca_fd)
{
	int fd = openat(ca_fd, CA_INVITATIONS, FOLDER_FLAGS);

	return fd < 0 ? -errno : fd;
}

int invitation_put(int ca_fd, const struct invitation *i, const uint8_t key[INVITATION_KEY_SIZE],
		   const struct sealed_keys *keys)
{
	OWNED_FD
	folder = folder_open(ca_fd);
	char name[INVITATION_NAME_SIZE];
	uint8_t clear[CLEAR_SIZE];
	struct wr w = wr_over(clear, sizeof clear);
	struct sealed s = {CA_INVITATION_KIND, clear, key, 0, INVITATION_KEY_SIZE};

	if (folder < 0)
		return folder;
	wr_bytes(&w, i->id, sizeof i->id);
	wr_be(&w, 8, (uint64_t)i->made_s);
	wr_be(&w, 8, (uint64_t)i->until_s);
	wr_bytes(&w, i->initiator, strlen(i->initiator));
	assert(!w.failed);
	s.clear_len = wr_len(&w);
	invitation_name(i, name);
	return sealed_write(folder, name, &s, keys);
}

int invitation_use(int ca_fd, const uint8_t id[INVITATION_ID_SIZE])
{
	OWNED_FD
	folder = folder_open(ca_fd);
	struct invitation i = {0};
	char name[INVITATION_NAME_SIZE], used[INVITATION_NAME_SIZE];

	if (folder < 0)
		return folder;
	memcpy(i.id, id, sizeof i.id);
	invitation_name(&i, name);
	i.used = true;
	invitation_name(&i, used);
	return renameat(folder, name, folder, used) < 0 || fsync(folder) < 0 ? -errno : 0;
}

int invitation_remove(int ca_fd, const struct invitation *i)
{
	OWNED_FD
	folder = folder_open(ca_fd);
	char name[INVITATION_NAME_SIZE];

	if (folder < 0)
		return folder;
	invitation_name(i, name);
	return unlinkat(folder, name, 0) < 0 || fsync(folder) < 0 ? -errno : 0;
}

/* --- all of them ----------------------------------------------------------------------------- */

/* False: it is none, or not the one that its name says. */
static bool invitation_read(int folder_fd, const char *name, struct invitation *ret)
{
	OWNED_FD fd = openat(folder_fd, name, READ_FLAGS);
	uint8_t bytes[SEALED_BYTES_MAX + 1];
	char own[INVITATION_NAME_SIZE];
	struct sealed_file f;

	if (fd < 0 || sealed_read(fd, bytes, &f) < 0 || invitation_parse(&f, ret) < 0)
		return false;
	ret->used = strchr(name, '.') != NULL;
	invitation_name(ret, own);
	return strcmp(own, name) == 0;
}

static int younger_first(const void *a, const void *b)
{
	const struct invitation *x = a, *y = b;

	return x->made_s == y->made_s ? memcmp(x->id, y->id, sizeof x->id)
				      : (x->made_s < y->made_s) - (x->made_s > y->made_s);
}

int invitations_load(int ca_fd, struct invitations *ret)
{
	int folder = folder_open(ca_fd);
	DIR *d = folder >= 0 ? fdopendir(folder) : NULL;
	struct invitations all = {0};
	const struct dirent *e;

	if (!d) {
		fd_close(&folder);
		*ret = all;
		return folder == -ENOENT ? 0 : -EIO;
	}
	all.list = calloc(INVITATIONS_MAX, sizeof *all.list);
	while (all.list && all.count < INVITATIONS_MAX && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' &&
		    invitation_read(dirfd(d), e->d_name, &all.list[all.count]))
			all.count++;
	(void)closedir(d);
	if (!all.list)
		return -ENOMEM;
	qsort(all.list, all.count, sizeof *all.list, younger_first);
	*ret = all;
	return 0;
}

static void file_put(struct wr *w, int folder_fd, const struct invitation *i)
{
	char name[INVITATION_NAME_SIZE];
	uint8_t bytes[SEALED_BYTES_MAX];
	OWNED_FD fd = -1;
	ssize_t n;

	invitation_name(i, name);
	fd = openat(folder_fd, name, READ_FLAGS);
	n = fd < 0 ? -1 : pread(fd, bytes, sizeof bytes, 0);
	if (n < 0)
		return; /* it is not there any more */
	wr_be(w, 1, i->used);
	wr_be(w, 4, (size_t)n);
	wr_bytes(w, bytes, (size_t)n);
}

int invitations_gather(int ca_fd, const struct invitations *all)
{
	OWNED_FD
	folder = folder_open(ca_fd);
	const size_t size = all->count * (5 + (size_t)SEALED_BYTES_MAX) + 1;
	OWNED_FREE uint8_t *bytes = malloc(size);
	struct wr w = wr_over(bytes, size);

	if (folder < 0 || !bytes)
		return folder < 0 ? folder : -ENOMEM;
	for (size_t k = 0; k < all->count; k++)
		file_put(&w, folder, &all->list[k]);
	assert(!w.failed);
	return memfd_sealed("invitations", bytes, wr_len(&w));
}

bool invitation_is_forgotten(const struct invitation *i, size_t younger, int64_t now_s)
{
	return !invitation_is_open(i, now_s) &&
	       (younger >= INVITATIONS_OVER_MAX || i->until_s + INVITATION_KEPT_S < now_s);
}

void invitations_free(struct invitations *i)
{
	free(TAKE(i->list));
	i->count = 0;
}

/* Folders of the gateway's own CA: what was issued, and all that is sealed in them when the key of
 * the secrets changes. On the command line; the state folder is trusted as in ca.c. */
#include <dirent.h>
#include <fcntl.h>
#include "auth/ca.h"
#include "auth/slab.h"
#include "gateway/base/fd.h"

#define READ_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* Calls each() for every file of a folder whose name does not begin with a dot; stops at what is
 * not 0, and returns it. A folder that is not there has none. */
static int folder_each(int fd, const char *name,
		       int (*each)(void *arg, int folder_fd, const char *name), void *arg)
{
	int folder = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r = 0;
	DIR *d = folder >= 0 ? fdopendir(folder) : NULL;
	const struct dirent *e;

	if (!d) {
		r = errno == ENOENT ? 0 : -errno;
		fd_close(&folder);
		return r;
	}
	while (r == 0 && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			r = each(arg, dirfd(d), e->d_name);
	(void)closedir(d);
	return r;
}

/* --- what was issued ------------------------------------------------------------------------- */

struct issued_room {
	struct ca_issued *i;
	size_t room;
};

static int issued_grow(struct issued_room *at)
{
	size_t room = at->room ? 2 * at->room : 64;
	struct ca_row *rows;

	if (at->i->count < at->room)
		return 0;
	if (at->room >= CA_ISSUED_MAX)
		return -E2BIG;
	if ((rows = realloc(at->i->rows, room * sizeof *rows)) == NULL)
		return -ENOMEM;
	at->i->rows = rows;
	at->room = room;
	return 0;
}

static int issued_take(void *arg, int folder_fd, const char *name)
{
	struct issued_room *at = arg;
	OWNED_FD fd = openat(folder_fd, name, READ_FLAGS);
	uint8_t der[CERTIFICATE_DER_MAX + 1];
	ssize_t n = fd < 0 ? -1 : pread(fd, der, sizeof der, 0);
	OWNED_X509 *x = NULL;
	int r = n < 0 ? -errno : certificate_read(der, (size_t)n, &x);

	if (r == 0 && (r = issued_grow(at)) == 0)
		r = certificate_facts(x, &at->i->rows[at->i->count].facts);
	if (r == 0)
		at->i->rows[at->i->count++].certificate = TAKE(x);
	return r;
}

static int older_first(const void *a, const void *b)
{
	const struct ca_row *x = a, *y = b;

	if (x->facts.from_s != y->facts.from_s)
		return x->facts.from_s < y->facts.from_s ? -1 : 1;
	return strcmp(x->facts.serial, y->facts.serial);
}

int ca_issued_load(const struct ca *c, struct ca_issued *ret, const struct why *why)
{
	struct ca_issued i = {0};
	struct issued_room at = {.i = &i};
	int r = folder_each(c->fd, CA_ISSUED, issued_take, &at);

	if (r < 0) {
		ca_issued_free(&i);
		return why_say(why, r,
			       "the certificates that were issued (" CA_FOLDER "/" CA_ISSUED
			       " in the state folder) can't be read: %s",
			       strerror(-r));
	}
	if (i.count > 1)
		qsort(i.rows, i.count, sizeof *i.rows, older_first);
	*ret = i;
	return 0;
}

void ca_issued_free(struct ca_issued *i)
{
	for (size_t k = 0; k < i->count; k++)
		X509_free(i->rows[k].certificate);
	free(TAKE(i->rows));
	i->count = 0;
}

/* --- another key of the secrets -------------------------------------------------------------- */

struct again {
	const struct sealed_keys *keys;
	uint8_t *memory;
	char name[64]; /* that failed */
};

static int seal_file(struct again *a, int folder_fd, const char *name, const char *kind)
{
	int r = sealed_again(folder_fd, name, kind, a->keys, a->memory);

	if (r < 0)
		(void)string_copy(a->name, sizeof a->name, name);
	return r;
}

static int seal_invitation(void *arg, int folder_fd, const char *name)
{
	return strchr(name, '.') ? 0 : seal_file(arg, folder_fd, name, CA_INVITATION_KIND);
}

static int seal_all(int state_fd, struct again *a)
{
	OWNED_FD fd = openat(state_fd, CA_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = seal_file(a, fd, CA_KEY, CA_KEY_KIND);
	if (r == 0 || r == -ENOENT)
		r = seal_file(a, fd, CA_PORTAL_KEY, CA_PORTAL_KEY_KIND);
	if (r == 0 || r == -ENOENT)
		r = folder_each(fd, CA_INVITATIONS, seal_invitation, a);
	return r;
}

static int seal_again(int state_fd, const struct sealed_keys *keys, const struct why *why)
{
	OWNED_BY(slab_close) struct slab slab = {0};
	struct again a = {.keys = keys};
	int r = slab_open(&slab, 4096, 4096, why->text, why->size);

	if (r < 0)
		return r;
	a.memory = slab.memory;
	r = seal_all(state_fd, &a);
	if (r < 0)
		return why_say(why, r,
			       "the file %s of the CA (" CA_FOLDER
			       " in the state folder) can't be sealed again: %s",
			       a.name,
			       r == -EKEYREJECTED ? "it is under another key"
			       : r == -EBADMSG	  ? "it is damaged"
						  : strerror(-r));
	return 0;
}

int ca_seal_under_both(int state_fd, const uint8_t key[STORE_KEY_SIZE],
		       const uint8_t next_key[STORE_KEY_SIZE], char *ret_why, size_t why_size)
{
	const struct sealed_keys keys = {{key, next_key}, 2};
	const struct why why = {ret_why, why_size};

	return seal_again(state_fd, &keys, &why);
}

int ca_seal_under_one(int state_fd, const uint8_t key[STORE_KEY_SIZE], char *ret_why,
		      size_t why_size)
{
	const struct sealed_keys keys = {{key}, 1};
	const struct why why = {ret_why, why_size};

	return seal_again(state_fd, &keys, &why);
}

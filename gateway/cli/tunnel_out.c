/* Configurations of tunnels on their way out. A text has names where its keys belong; the keys go
 * from locked memory to the descriptor, past stdio, whose buffers nobody wipes. Trusts the policy,
 * which was checked, and the state folder. */
#include "gateway/cli/tunnel_out.h"

#include <fcntl.h>
#include <sys/stat.h>
#include "gateway/base/fd.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"

#define KEY_TEXT sodium_base64_ENCODED_LEN(CHAP_SECRET_MAX, sodium_base64_VARIANT_ORIGINAL)

static const char marks[] = {TUNNEL_SECRET, TUNNEL_PUBLIC, '\0'};

/* --- keys --------------------------------------------------------------------------------- */

int tunnel_keys_open(struct tunnel_out *o, size_t count)
{
	struct bench *b = &o->bench;

	if (process_harden() < 0 || sodium_init() < 0)
		return cli_cannot(o->cli, "this process can't be protected from others, so no key "
					  "is read");
	bench_open(b, o->cli, "tunnel", NULL);
	b->more = count;
	return bench_store(b) < 0 ? bench_cannot(b) : 0;
}

int tunnel_key_ensure(struct tunnel_out *o, const char *name, bool clamped)
{
	struct bench *b = &o->bench;
	uint8_t *octets = b->fresh->octets;

	if (!store_name_valid(name))
		return cli_cannot(
			o->cli,
			"\"%s\" is no name of the secret store, which takes %d characters: "
			"give the user a shorter name",
			name, STORE_NAME_MAX);
	if (store_list_find(&b->store.list, name) >= 0)
		return 0;
	secret_wipe(b->fresh);
	b->fresh->len = TUNNEL_KEY_SIZE;
	randombytes_buf(octets, TUNNEL_KEY_SIZE);
	if (clamped) { /* RFC 7748 section 5 */
		octets[0] &= 248;
		octets[31] = (uint8_t)((octets[31] & 127) | 64);
	}
	b->name = name;
	b->changed = true;
	return bench_put(b, STORE_GENERATED, 0) < 0 ? bench_cannot(b) : 0;
}

int tunnel_keys_close(struct tunnel_out *o)
{
	return o->bench.changed && bench_write(&o->bench) < 0 ? bench_cannot(&o->bench) : 0;
}

void tunnel_out_close(struct tunnel_out *o)
{
	if (o->bench.cli)
		bench_close(&o->bench);
}

/* --- texts -------------------------------------------------------------------------------- */

/* In base64, in locked memory. */
static const char *key_text(struct tunnel_out *o, const char *name, char mark, size_t *ret_len)
{
	struct bench *b = &o->bench;
	ssize_t at = store_list_find(&b->store.list, name);
	uint8_t *public = b->octets;
	char *text = (char *)public + crypto_scalarmult_BYTES;
	const struct secret *s = at < 0 ? NULL : &b->store.secrets[at];

	if (!s || (mark == TUNNEL_PUBLIC && s->len != crypto_scalarmult_SCALARBYTES))
		return NULL;
	if (mark == TUNNEL_PUBLIC && crypto_scalarmult_base(public, s->octets) != 0)
		return NULL;
	(void)sodium_bin2base64(text, KEY_TEXT, mark == TUNNEL_PUBLIC ? public : s->octets,
				mark == TUNNEL_PUBLIC ? crypto_scalarmult_BYTES : s->len,
				sodium_base64_VARIANT_ORIGINAL);
	*ret_len = strlen(text);
	return text;
}

static int key_emit(struct tunnel_out *o, int fd, const char *name, char mark)
{
	const char *text;
	size_t len;

	if (mark == TUNNEL_SECRET && !o->secrets)
		return dprintf(fd, "(%s in the secret store: --with-secrets)", name) < 0 ? -errno
											 : 0;
	text = key_text(o, name, mark, &len);
	return text ? fd_write_all(fd, text, len) : -EINVAL;
}

/* `text` is a string of ours, with its marks in pairs. */
static int text_emit(struct tunnel_out *o, int fd, char *text)
{
	int r = 0;

	while (r == 0 && *text) {
		char *mark = text + strcspn(text, marks), *end;
		const char which = *mark;

		r = fd_write_all(fd, text, (size_t)(mark - text));
		if (r < 0 || !which)
			break;
		end = strchr(mark + 1, which);
		assert(end);
		*end = '\0';
		r = key_emit(o, fd, mark + 1, which);
		text = end + 1;
	}
	return r;
}

static char *text_make(const struct tunnel_out *o, const struct tunnel_peer *peer)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	o->write(f, o, peer);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/* --- files -------------------------------------------------------------------------------- */

/* Whoever may write there could put a file of his own in place of ours, with keys that he knows.
 * Where each can remove only what is his own (/tmp), that is kept from what is in it. */
static int folder_check(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return -EPERM;
	return (st.st_mode & 022) && !(st.st_mode & S_ISVTX) ? -EPERM : 0;
}

/* `flags`: O_NOFOLLOW for what is not named by who calls us. */
static int folder_open(int in, const char *name, int flags)
{
	OWNED_FD fd = -1;
	int r;

	if (mkdirat(in, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(in, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	if (fd < 0)
		return -errno;
	r = folder_check(fd);
	return r < 0 ? r : fd_take(&fd);
}

/* Whole, or not at all; nobody else ever could read it. */
static int file_write(struct tunnel_out *o, int folder, char *text)
{
	static const char fresh[] = ".new";
	OWNED_FD fd = -1;
	int r;

	(void)unlinkat(folder, fresh, 0);
	fd = openat(folder, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = text_emit(o, fd, text);
	if (r == 0 && (fsync(fd) < 0 || renameat(folder, fresh, folder, o->file) < 0))
		r = -errno;
	if (r < 0)
		(void)unlinkat(folder, fresh, 0);
	return r;
}

/* "gateway", or "initiators" and the user's name below it. */
static int end_folder(const struct tunnel_out *o, const struct tunnel_peer *peer)
{
	OWNED_FD top = folder_open(AT_FDCWD, o->folder, 0);
	OWNED_FD all = top;

	if (top >= 0)
		all = folder_open(top, peer ? "initiators" : "gateway", O_NOFOLLOW);

	if (all < 0 || !peer)
		return all < 0 ? all : fd_take(&all);
	return folder_open(all, peer->user, O_NOFOLLOW);
}

static int end_write(struct tunnel_out *o, const struct tunnel_peer *peer)
{
	const char *where = peer ? "initiators/" : "gateway", *user = peer ? peer->user : "";
	OWNED_FREE char *text = text_make(o, peer);
	OWNED_FD folder = -1;
	int r = text ? 0 : -ENOMEM;

	if (r == 0 && o->folder && (folder = end_folder(o, peer)) < 0)
		r = folder;
	if (r == 0 && o->folder)
		r = file_write(o, folder, text);
	else if (r == 0 && dprintf(STDOUT_FILENO, "# ==== %s%s/%s\n", where, user, o->file) < 0)
		r = -errno;
	else if (r == 0)
		r = text_emit(o, STDOUT_FILENO, text);
	if (r == -EINVAL)
		return cli_cannot(
			o->cli, "a key in the secret store is none of X25519's: `sallyport secret "
				"list` shows those of the name wireguard.*; remove what was set "
				"by hand");
	if (r == -EPERM && o->folder)
		return cli_cannot(o->cli,
				  "%s/%s%s: others own or may write to a folder on this way, and "
				  "could put keys of theirs there: chown it to yourself, and chmod "
				  "go-w",
				  o->folder, where, user);
	if (r < 0 && o->folder)
		return cli_cannot(o->cli, "%s/%s%s/%s can't be written: %s", o->folder, where, user,
				  o->file, strerror(-r));
	return r < 0 ? cli_cannot(o->cli, "the text can't be written: %s", strerror(-r)) : 0;
}

int tunnel_out_run(struct tunnel_out *o)
{
	int r = end_write(o, NULL);

	for (size_t i = 0; r == 0 && i < o->tunnels->count; i++) {
		const struct tunnel_peer *peer = &o->tunnels->peers[i];

		if (peer->user[0] == '.')
			return cli_cannot(o->cli,
					  "no folder can have the name of the user \"%s\": give "
					  "it one that begins with a letter",
					  peer->user);
		r = end_write(o, peer);
	}
	if (r == 0 && o->folder)
		fprintf(stderr,
			"%s: %s of the gateway, and of %zu initiator%s, each in a folder "
			"of its own.\n",
			o->folder, o->file, o->tunnels->count, o->tunnels->count == 1 ? "" : "s");
	return r;
}

/* The folder that `sallyport join` leaves: key, certificates, CHAP secrets, and what `sallyport
 * connect` reads. What came from the gateway was proven by then. */
#include <fcntl.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/stat.h>
#include "gateway/base/fd.h"
#include "gateway/cli/join.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

static const char *const names[] = {"client.key", "client.pem", "ca.pem", "connect.yaml",
				    "chap.txt"};

static int parents_make(const char *path)
{
	char part[4096];

	if (!string_copy(part, sizeof part, path))
		return -ENAMETOOLONG;
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(part, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int join_folder_open(const struct join *j, const char *path, bool force)
{
	int r = parents_make(path);
	OWNED_FD fd = r < 0 ? -1 : open(path, FOLDER_FLAGS);
	struct stat st = {0};

	if (r == 0 && (fd < 0 || fstat(fd, &st) < 0))
		r = -errno;
	if (r < 0)
		return why_say(&j->why, r, "the folder %s can't be used: %s", path, strerror(-r));
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return why_say(&j->why, -EPERM,
			       "others may change what is in the folder %s: name another one, or "
			       "chmod 0700",
			       path);
	for (size_t k = 0; k < ARRAY_LEN(names) && !force; k++)
		if (fstatat(fd, names[k], &st, AT_SYMLINK_NOFOLLOW) == 0)
			return why_say(&j->why, -EEXIST,
				       "there is %s/%s already: this machine has joined; --force "
				       "writes over it, --to DIR goes beside it",
				       path, names[k]);
	return fd_take(&fd);
}

/* --- files ----------------------------------------------------------------------------------- */

static int bio_write(int folder_fd, const char *name, BIO *bio, mode_t mode)
{
	char *bytes = NULL;
	const long len = bio ? BIO_get_mem_data(bio, &bytes) : 0;

	return len > 0 ? file_replace(folder_fd, name, bytes, (size_t)len, mode) : -EIO;
}

static int certificate_write_pem(int folder_fd, const char *name, X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int r = bio && PEM_write_bio_X509(bio, x) == 1 ? bio_write(folder_fd, name, bio, 0644)
						       : -EIO;

	BIO_free(bio);
	return r;
}

static int key_write_pem(int folder_fd, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	int r = -EIO;

	if (bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
		r = bio_write(folder_fd, "client.key", bio, 0600);
	BIO_free(bio);
	return r;
}

static int connect_write(const struct join *j, int folder_fd)
{
	char text[1024];
	int len = snprintf(text, sizeof text,
			   "# sallyport connect --config reads this; keys and certificates are "
			   "beside it.\nversion: 1\ntunnels:\n  gateway:\n    gateway: \"%s\"\n",
			   j->secrets->code.place);

	if (len < 0 || (size_t)len >= sizeof text)
		return -EMSGSIZE;
	return file_replace(folder_fd, "connect.yaml", text, (size_t)len, 0644);
}

/* A text as it is; what can't be typed, as RFC 7143's hex-constant. */
static void secret_put(BIO *bio, const char *key, const struct secret *s)
{
	bool plain = true;

	for (size_t k = 0; k < s->len; k++)
		plain = plain && s->octets[k] > ' ' && s->octets[k] <= '~';
	(void)BIO_printf(bio, "%s=%s", key, plain ? "" : "0x");
	for (size_t k = 0; k < s->len && !plain; k++)
		(void)BIO_printf(bio, "%02x", s->octets[k]);
	if (plain)
		(void)BIO_write(bio, s->octets, s->len);
	(void)BIO_puts(bio, "\n");
}

/* What the gateway takes of user number `at`, in open-iscsi's words, of its lines "algorithms
 * LIST". open-iscsi by itself offers MD5 only. */
static void algorithms_put(const struct join *j, size_t at, BIO *bio)
{
	static const char word[] = "algorithms ", usual[] = "SHA3-256,SHA256";
	const char *list = usual, *line = j->text;
	size_t len;

	for (; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (strncmp(line, word, sizeof word - 1) == 0 && at-- == 0)
			list = line + sizeof word - 1;
	len = strspn(list, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-,");
	(void)BIO_puts(bio, "node.session.auth.chap_algs=");
	(void)BIO_write(bio, list, (int)len);
	(void)BIO_puts(bio, "\n");
}

/* As open-iscsi names them in its records; others have words of their own for the same. */
static int chap_write(const struct join *j, int folder_fd)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	int r;

	if (!bio)
		return -ENOMEM;
	for (size_t k = 0; k < j->secrets->accounts.count; k++) {
		const struct enrol_account *a = &j->secrets->accounts.list[k];

		(void)BIO_puts(bio, "node.session.auth.authmethod=CHAP\n");
		algorithms_put(j, k, bio);
		(void)BIO_printf(bio, "node.session.auth.username=%s\n", a->user);
		secret_put(bio, "node.session.auth.password", &a->secret);
		if (!a->mutual[0])
			continue;
		(void)BIO_printf(bio, "node.session.auth.username_in=%s\n", a->mutual);
		secret_put(bio, "node.session.auth.password_in", &a->mutual_secret);
	}
	r = bio_write(folder_fd, "chap.txt", bio, 0600);
	BIO_free(bio);
	return r;
}

int join_folder_write(struct join *j, int folder_fd)
{
	int r = key_write_pem(folder_fd, j->key);

	if (r == 0)
		r = certificate_write_pem(folder_fd, "client.pem", j->certificate);
	if (r == 0)
		r = certificate_write_pem(folder_fd, "ca.pem", j->ca);
	if (r == 0)
		r = chap_write(j, folder_fd);
	if (r == 0)
		r = connect_write(j, folder_fd);
	return r < 0 ? why_say(&j->why, r,
			       "the files can't be written: %s; the code is used up, so ask for "
			       "another",
			       strerror(-r))
		     : 0;
}

/* The files of the gateway's own CA. On the command line. The state folder was checked by
 * state_open(); a file that somebody put there instead is refused by its seal, or because
 * it does not belong to the others. */
#include "auth/ca.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include "gateway/base/fd.h"
#include "gateway/base/state.h"

#define READ_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define PEM_MAX	   (16u << 20) /* a list of many that were revoked */

/* --- files ----------------------------------------------------------------------------------- */

/* Root may keep the CA of a gateway that runs as a user of its own. */
static int owner_follow(int state_fd, int fd)
{
	struct stat state, own;

	if (fstat(state_fd, &state) < 0 || fstat(fd, &own) < 0)
		return -errno;
	if (geteuid() != 0 || own.st_uid == state.st_uid)
		return 0;
	return fchown(fd, state.st_uid, state.st_gid) < 0 ? -errno : 0;
}

int ca_folder(int state_fd, const struct why *why)
{
	OWNED_FD fd = state_subfolder(state_fd, CA_FOLDER);
	int r = fd < 0 ? fd : owner_follow(state_fd, fd);

	if (r < 0)
		return why_say(why, r,
			       "the folder " CA_FOLDER " in the state folder can't be used: %s",
			       strerror(-r));
	return fd_take(&fd);
}

bool ca_exists(int state_fd)
{
	struct stat st;

	return fstatat(state_fd, CA_FOLDER "/" CA_CERTIFICATE, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static BIO *pem_open(int folder_fd, const char *name, int *ret_error)
{
	OWNED_FD fd = openat(folder_fd, name, READ_FLAGS);
	OWNED_FREE char *bytes = NULL;
	BIO *bio = NULL;
	size_t len = 0;
	int r = fd < 0 ? -errno : fd_read_all(fd, PEM_MAX, &bytes, &len);

	if (r == 0 && (bio = BIO_new(BIO_s_mem())) != NULL &&
	    BIO_write(bio, bytes, (int)len) != (int)len)
		r = -ENOMEM;
	*ret_error = r;
	return bio;
}

static int certificate_load(int folder_fd, const char *name, X509 **ret)
{
	int r;
	BIO *bio = pem_open(folder_fd, name, &r);

	if (r == 0 && (*ret = PEM_read_bio_X509(bio, NULL, NULL, NULL)) == NULL)
		r = -EBADMSG;
	BIO_free(bio);
	return r;
}

static int crl_load(int folder_fd, const char *name, X509_CRL **ret)
{
	int r;
	BIO *bio = pem_open(folder_fd, name, &r);

	if (r == 0 && (*ret = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) == NULL)
		r = -EBADMSG;
	BIO_free(bio);
	return r;
}

/* One of the two is written. */
static int pem_write(int folder_fd, const char *name, X509 *certificate, X509_CRL *crl)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes = NULL;
	int r = -EIO;
	long len;

	if (bio &&
	    (certificate ? PEM_write_bio_X509(bio, certificate)
			 : PEM_write_bio_X509_CRL(bio, crl)) == 1 &&
	    (len = BIO_get_mem_data(bio, &bytes)) > 0)
		r = file_replace_with_folder(folder_fd, name, bytes, (size_t)len, 0600);
	BIO_free(bio);
	return r;
}

static int key_write(const struct ca *c, const char *name, const char *kind, EVP_PKEY *key)
{
	struct sealed s = {.kind = kind, .secret = c->memory};
	const struct sealed_keys keys = {{c->key}, 1};
	int r = certificate_key_write(key, c->memory, &s.secret_len);

	if (r == 0)
		r = sealed_write(c->fd, name, &s, &keys);
	sodium_memzero(c->memory, SEALED_SECRET_MAX);
	return r;
}

static int key_load(const struct ca *c, const char *name, const char *kind, EVP_PKEY **ret)
{
	OWNED_FD fd = openat(c->fd, name, READ_FLAGS);
	uint8_t bytes[SEALED_BYTES_MAX + 1];
	struct sealed_file f;
	int r = fd < 0 ? -errno : sealed_read(fd, bytes, &f);

	if (r == 0)
		r = sealed_open(&f, kind, c->key, c->memory, SEALED_SECRET_MAX);
	if (r == 0)
		r = certificate_key_read(c->memory, f.secret_len, ret);
	sodium_memzero(c->memory, SEALED_SECRET_MAX);
	return r;
}

/* --- opening --------------------------------------------------------------------------------- */

static int tell(const struct why *why, int error, const char *name)
{
	if (error == -EBADMSG)
		return why_say(why, error,
			       "the file " CA_FOLDER "/%s in the state folder is damaged, or "
			       "belongs to another CA: put a copy back",
			       name);
	if (error == -EKEYREJECTED)
		return why_say(why, error,
			       "the file " CA_FOLDER "/%s in the state folder was sealed under "
			       "another key than the key file holds: put the right key back",
			       name);
	return why_say(why, error, "the file " CA_FOLDER "/%s in the state folder: %s", name,
		       strerror(-error));
}

int ca_look(struct ca *c, int state_fd, const struct why *why)
{
	int r;

	if (!ca_exists(state_fd))
		return why_say(why, -ENOENT, "there is no CA yet: sallyport ca init makes it");
	if ((c->fd = ca_folder(state_fd, why)) < 0)
		return c->fd;
	if ((r = certificate_load(c->fd, CA_CERTIFICATE, &c->by.certificate)) < 0)
		return tell(why, r, CA_CERTIFICATE);
	if ((r = certificate_load(c->fd, CA_PORTAL, &c->portal)) < 0)
		return tell(why, r, CA_PORTAL);
	r = crl_load(c->fd, CA_CRL, &c->crl);
	if (r == 0 && X509_CRL_verify(c->crl, X509_get0_pubkey(c->by.certificate)) != 1)
		r = -EBADMSG;
	return r < 0 ? tell(why, r, CA_CRL) : 0;
}

int ca_open(struct ca *c, int state_fd, const struct why *why)
{
	int r = ca_look(c, state_fd, why);

	if (r < 0)
		return r;
	r = key_load(c, CA_KEY, CA_KEY_KIND, &c->by.key);
	if (r == 0 && X509_check_private_key(c->by.certificate, c->by.key) != 1)
		r = -EBADMSG;
	return r < 0 ? tell(why, r, CA_KEY) : 0;
}

void ca_close(struct ca *c)
{
	X509_free(c->by.certificate);
	EVP_PKEY_free(c->by.key);
	X509_free(c->portal);
	X509_CRL_free(c->crl);
	fd_close(&c->fd);
	*c = CA_NONE;
}

/* --- making ---------------------------------------------------------------------------------- */

static int tell_unmade(const struct why *why, int error)
{
	return why_say(why, error, "the files of the CA in the state folder can't be made: %s",
		       strerror(-error));
}

static int authority_make(struct ca *c, const char *name)
{
	struct certificate_request q = {.kind = CERTIFICATE_CA, .name = name, .now_s = c->now_s};
	const struct certificate_revocation none = {.now_s = c->now_s};
	int r = certificate_key_make(&c->by.key);
	X509 *own = NULL;

	q.key = c->by.key;
	if (r == 0)
		r = certificate_issue(&c->by, &q, &own);
	c->by.certificate = own;
	if (r == 0)
		r = certificate_crl(&c->by, &none, &c->crl);
	return r;
}

static int portal_issue(struct ca *c, EVP_PKEY *key, const struct certificate_hosts *hosts)
{
	struct certificate_request q = {.kind = CERTIFICATE_PORTAL,
					.name = hosts->names[0],
					.hosts = hosts,
					.key = key,
					.now_s = c->now_s};
	X509 *fresh;
	int r = certificate_issue(&c->by, &q, &fresh);

	if (r < 0)
		return r;
	X509_free(c->portal);
	c->portal = fresh;
	return 0;
}

/* The CA's own certificate comes last: before it is there, there is no CA. */
static int files_make(struct ca *c, EVP_PKEY *portal_key)
{
	int r = key_write(c, CA_KEY, CA_KEY_KIND, c->by.key);

	if (r == 0)
		r = key_write(c, CA_PORTAL_KEY, CA_PORTAL_KEY_KIND, portal_key);
	if (r == 0)
		r = pem_write(c->fd, CA_PORTAL, c->portal, NULL);
	if (r == 0)
		r = pem_write(c->fd, CA_CRL, NULL, c->crl);
	return r == 0 ? pem_write(c->fd, CA_CERTIFICATE, c->by.certificate, NULL) : r;
}

static int folder_make(struct ca *c, int state_fd, const char *name)
{
	OWNED_FD fd = state_subfolder(c->fd, name);

	return fd < 0 ? fd : owner_follow(state_fd, fd);
}

int ca_make(struct ca *c, int state_fd, const char *name, const struct certificate_hosts *hosts,
	    const struct why *why)
{
	OWNED_PKEY *portal_key = NULL;
	int r;

	assert(hosts->count > 0);
	if (ca_exists(state_fd))
		return why_say(why, -EEXIST,
			       "there is a CA already, and what it issued counts: sallyport ca "
			       "renew gives the portal another certificate");
	if ((c->fd = ca_folder(state_fd, why)) < 0)
		return c->fd;
	r = authority_make(c, name);
	if (r == 0)
		r = certificate_key_make(&portal_key);
	if (r == 0)
		r = portal_issue(c, portal_key, hosts);
	if (r == 0)
		r = folder_make(c, state_fd, CA_ISSUED);
	if (r == 0)
		r = folder_make(c, state_fd, CA_INVITATIONS);
	if (r == 0)
		r = files_make(c, portal_key);
	return r < 0 ? tell_unmade(why, r) : 0;
}

int ca_renew(struct ca *c, const struct certificate_hosts *hosts, const struct why *why)
{
	OWNED_PKEY *key = NULL;
	int r = key_load(c, CA_PORTAL_KEY, CA_PORTAL_KEY_KIND, &key);

	assert(hosts->count > 0);
	if (r < 0)
		return tell(why, r, CA_PORTAL_KEY);
	if ((r = portal_issue(c, key, hosts)) == 0)
		r = pem_write(c->fd, CA_PORTAL, c->portal, NULL);
	return r < 0 ? tell_unmade(why, r) : 0;
}

int ca_revoke(struct ca *c, X509 *const certificates[], size_t count, const struct why *why)
{
	const struct certificate_revocation q = {c->crl, certificates, count, c->now_s};
	X509_CRL *next;
	int r = certificate_crl(&c->by, &q, &next);

	if (r == 0) {
		X509_CRL_free(c->crl);
		c->crl = next;
		r = pem_write(c->fd, CA_CRL, NULL, c->crl);
	}
	return r < 0 ? tell_unmade(why, r) : 0;
}

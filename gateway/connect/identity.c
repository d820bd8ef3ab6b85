/* An identity's files: client.pem, client.key, ca.pem. The starter reads the certificates,
 * and opens the key without reading it: its octets are for the process `key` alone. What
 * is on its way waits here until `key` has said that the key is the certificate's. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "gateway/base/bytes.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/connect/starter.h"
#include "gateway/tls/tls.h"

#define PEM_MAX (1u << 20)

void identity_forget(struct pending *p)
{
	fd_close(&p->settings_fd);
	fd_close(&p->channel_fd);
}

static int file_open(const char *folder, const char *name)
{
	char path[CONNECT_PATH_SIZE + 32];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0)
		return fd;
	fd = -errno;
	log_error("%s: %s; `sallyport join` writes it, or --identity names another folder", path,
		  strerror(-fd));
	return fd;
}

/* Certificates of a file in DER. `needed`: there must be one. */
static int certificates_read(const char *folder, const char *name, uint8_t **ret_der,
			     size_t *ret_len)
{
	OWNED_FD fd = file_open(folder, name);
	OWNED_FREE char *pem = NULL;
	size_t len;
	int r = fd < 0 ? fd : fd_read_all(fd, PEM_MAX, &pem, &len);

	if (fd < 0)
		return fd;
	if (r == 0)
		r = tls_pem_to_der(pem, len, ret_der, ret_len);
	if (r > 0)
		return 0;
	log_error("%s/%s: %s", folder, name,
		  r == 0 ? "there is no certificate in it, in PEM" : "it can't be read as PEM");
	return r < 0 ? r : -EINVAL;
}

/* Others of the key's group may read it: systemd's credentials look so. Nobody else. */
static int key_open(const char *folder)
{
	OWNED_FD fd = file_open(folder, "client.key");
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (st.st_mode & 027)) {
		log_error("%s/client.key: others may read or write it (mode %04o): chmod 600, and "
			  "if somebody may have read it, a new certificate",
			  folder, (unsigned)(st.st_mode & 07777));
		return -EACCES;
	}
	return fd_take(&fd);
}

struct parts {
	uint8_t *chain, *ca;
	size_t chain_len, ca_len;
};

static void parts_free(struct parts *p)
{
	free(p->chain);
	free(p->ca);
}

/* Chain and CAs one after the other, as tls.h reads them. */
static int settings_make(const struct parts *p, struct pending *ret)
{
	OWNED_FREE uint8_t *both = NULL;
	int fd;

	if (p->chain_len <= 4)
		return -EINVAL;
	both = malloc(p->chain_len + p->ca_len);
	if (!both)
		return -ENOMEM;
	memcpy(both, p->chain, p->chain_len);
	if (p->ca_len > 0)
		memcpy(both + p->chain_len, p->ca, p->ca_len);
	fd = memfd_sealed("identity", both, p->chain_len + p->ca_len);
	if (fd < 0)
		return fd;
	ret->settings_fd = fd;
	ret->lens[0] = (uint32_t)p->chain_len;
	ret->lens[1] = (uint32_t)p->ca_len;
	ret->lens[2] = 0;
	return 0;
}

/* The key, the first certificate of the chain, and where signatures are asked for. */
static int key_send(struct starter *s, uint32_t tunnel, int key_fd, const struct parts *p)
{
	const size_t leaf = (size_t)get_be(p->chain, 4);
	OWNED_FD leaf_fd = memfd_sealed("certificate", p->chain + 4, leaf);
	const struct connect_at at = {tunnel};
	int ends[2], r;

	if (leaf_fd < 0)
		return leaf_fd;
	if ((r = channel_pair(ends)) < 0)
		return r;
	s->pending[tunnel].channel_fd = ends[0];
	r = channel_send(&s->key.channel, CONNECT_KEY, &at, sizeof at,
			 (const int[]){key_fd, leaf_fd, ends[1]}, 3);
	fd_close(&ends[1]);
	return r;
}

int identity_read(struct starter *s, uint32_t tunnel)
{
	const struct connect_tunnel *t = &s->options->config->tunnels[tunnel];
	OWNED_BY(parts_free) struct parts p = {0};
	OWNED_FD key_fd = -1;
	int r;

	s->pending[tunnel].again = s->pending[tunnel].settings_fd >= 0;
	if (s->pending[tunnel].again)
		return 0;
	if ((r = certificates_read(t->identity, "client.pem", &p.chain, &p.chain_len)) < 0)
		return r;
	if (!t->pinned && (r = certificates_read(t->identity, "ca.pem", &p.ca, &p.ca_len)) < 0)
		return r;
	if ((key_fd = key_open(t->identity)) < 0)
		return key_fd;
	r = settings_make(&p, &s->pending[tunnel]);
	if (r == 0)
		r = key_send(s, tunnel, key_fd, &p);
	if (r < 0) {
		identity_forget(&s->pending[tunnel]);
		log_error("%s: its identity can't be handed out: %s", t->name, strerror(-r));
	}
	return r;
}

static void hand_on(struct starter *s, uint32_t tunnel)
{
	struct pending *p = &s->pending[tunnel];
	const struct connect_identity identity = {tunnel, {p->lens[0], p->lens[1], p->lens[2]}};

	if (channel_send(&s->tunnels.channel, CONNECT_IDENTITY, &identity, sizeof identity,
			 (const int[]){p->settings_fd, p->channel_fd}, 2) < 0)
		starter_stop(s, 3);
}

void identity_answered(struct starter *s, const struct connect_taken *taken)
{
	struct pending *p = &s->pending[taken->tunnel];

	if (p->settings_fd < 0)
		return;
	if (taken->taken)
		hand_on(s, taken->tunnel);
	identity_forget(p);
	if (p->again && identity_read(s, taken->tunnel) < 0)
		log_error("%s: it goes on with the identity that it has",
			  s->options->config->tunnels[taken->tunnel].name);
}

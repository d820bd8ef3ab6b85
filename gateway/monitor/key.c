/* The key of the secrets when it is under a passphrase: asked for once, before anything is
 * served, and kept in locked memory that this process can't read afterwards, so that an
 * authenticator that died gets it again. Without a passphrase it is in its file only. */
#include <fcntl.h>
#include <stdio.h>
#include "auth/key_wrap.h"
#include "auth/slab.h"
#include "auth/store.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

/* Takes the memory, in which it may look. */
static int key_ask(struct monitor *m, const struct monitor_options *options, int fd)
{
	OWNED_BY(slab_close) struct slab slab = {0};
	char why[512] = "it can't be kept in locked memory (ulimit -l, LimitMEMLOCK=)";
	ssize_t n = 0;
	int r = slab_open(&slab, 4096, 4096, why, sizeof why);
	struct passphrase passphrase = {.octets = slab.memory};

	if (r == 0) {
		n = options->passphrase(options->arg, slab.memory, why, sizeof why);
		r = n < 0 ? (int)n : 0;
	}
	passphrase.len = (size_t)MAX(n, 0);
	if (r == 0 && (r = locked_open(&m->key, "key", STORE_KEY_SIZE)) == 0)
		r = store_key_unwrap(fd, &passphrase, m->key.memory, why, sizeof why);
	if (r == 0)
		r = locked_hide(&m->key);
	if (r < 0)
		log_error("the key of the secrets can't be opened: %s", why);
	return r;
}

int key_open(struct monitor *m, const struct monitor_options *options)
{
	char why[512];
	OWNED_FD fd = store_key_open(m->state_path, why, sizeof why);

	if (fd < 0) {
		log_error("%s", why);
		return fd;
	}
	return store_key_is_wrapped(fd) ? key_ask(m, options, fd) : 0;
}

int key_get(struct monitor *m, char *ret_why, size_t why_size)
{
	OWNED_FD fd = store_key_open(m->state_path, ret_why, why_size);

	if (fd < 0 || !store_key_is_wrapped(fd))
		return fd_take(&fd);
	if (m->key.fd >= 0)
		return fd_reopen(m->key.fd, O_RDONLY);
	(void)snprintf(ret_why, why_size,
		       "the key of the secrets is under a passphrase, which this gateway was not "
		       "asked for: restart it");
	return -ENOKEY;
}

void key_close(struct monitor *m)
{
	locked_close(&m->key);
}

/* The key of the secrets when it is under a passphrase: asked for once, before anything is
 * served, and kept in locked memory that this process can't read afterwards, so that an
 * authenticator that died gets it again. Without a passphrase it is in its file only. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include "auth/key_wrap.h"
#include "auth/slab.h"
#include "auth/store.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

/* Locked as long as it is mapped, whatever its protection. */
static int memory_open(struct monitor *m)
{
	const int protection = PROT_READ | PROT_WRITE;
	void *memory;

	m->key_fd = memfd_shared("key", STORE_KEY_SIZE);
	if (m->key_fd < 0)
		return m->key_fd;
	memory = mmap(NULL, STORE_KEY_SIZE, protection, MAP_SHARED, m->key_fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	m->key_memory = memory;
	if (mlock(memory, STORE_KEY_SIZE) < 0 || madvise(memory, STORE_KEY_SIZE, MADV_DONTDUMP) < 0)
		return -errno;
	return 0;
}

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
	if (r == 0 && (r = memory_open(m)) == 0)
		r = store_key_unwrap(fd, &passphrase, m->key_memory, why, sizeof why);
	if (r == 0 && mprotect(m->key_memory, STORE_KEY_SIZE, PROT_NONE) < 0)
		r = -errno;
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
	if (m->key_fd >= 0)
		return fd_reopen(m->key_fd, O_RDONLY);
	(void)snprintf(ret_why, why_size,
		       "the key of the secrets is under a passphrase, which this gateway was not "
		       "asked for: restart it");
	return -ENOKEY;
}

void key_close(struct monitor *m)
{
	if (m->key_memory != NULL) {
		if (mprotect(m->key_memory, STORE_KEY_SIZE, PROT_READ | PROT_WRITE) == 0)
			sodium_memzero(m->key_memory, STORE_KEY_SIZE);
		(void)munmap(m->key_memory, STORE_KEY_SIZE);
	}
	m->key_memory = NULL;
	fd_close(&m->key_fd);
}

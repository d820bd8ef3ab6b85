/* Locked memory that helpers get by its descriptor. Runs in the monitor; trusts the kernel. */
#include "gateway/monitor/locked.h"

#include <sodium.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "gateway/base/fd.h"

/* Locked as long as it is mapped, whatever its protection. */
int locked_open(struct locked *l, const char *name, size_t size)
{
	OWNED_FD fd = memfd_shared(name, size);
	void *memory;

	if (fd < 0)
		return fd;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	/* not mlock(), which the sanitizers make do nothing */
	if (syscall(SYS_mlock, memory, size) < 0 || madvise(memory, size, MADV_DONTDUMP) < 0) {
		int error = -errno;

		(void)munmap(memory, size);
		return error;
	}
	*l = (struct locked){.memory = memory, .size = size, .fd = fd_take(&fd)};
	return 0;
}

int locked_hide(struct locked *l)
{
	return mprotect(l->memory, l->size, PROT_NONE) < 0 ? -errno : 0;
}

void locked_close(struct locked *l)
{
	if (l->memory != NULL) {
		if (mprotect(l->memory, l->size, PROT_READ | PROT_WRITE) == 0)
			sodium_memzero(l->memory, l->size);
		(void)munmap(l->memory, l->size);
		fd_close(&l->fd);
	}
	*l = LOCKED_NONE;
}

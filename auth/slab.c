/* The locked slab for secrets, in the authenticator and in `sallyport secret`. Trusts the
 * kernel. sodium_malloc() is not used: where RLIMIT_MEMLOCK is 0 it locks nothing and says
 * nothing. */
#include "auth/slab.h"

#include <sodium.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Everything or nothing: memory that can't be locked, or would be dumped, is given back. */
static bool slab_try(struct slab *s, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return false;
	/* not mlock(), which the sanitizers make do nothing */
	if (syscall(SYS_mlock, p, size) < 0 || madvise(p, size, MADV_DONTDUMP) < 0 ||
	    madvise(p, size, MADV_DONTFORK) < 0) {
		(void)munmap(p, size);
		return false;
	}
	s->memory = p;
	s->size = size;
	return true;
}

int slab_open(struct slab *s, size_t want, size_t least, char *ret_why, size_t why_size)
{
	struct rlimit limit = {0};

	assert(least > 0 && least <= want);
	for (size_t size = want;; size = MAX(size / 2, least)) {
		if (slab_try(s, size))
			return 0;
		if (size == least)
			break;
	}
	(void)getrlimit(RLIMIT_MEMLOCK, &limit);
	(void)snprintf(ret_why, why_size,
		       "%zu KiB of memory for the secrets can't be locked (the limit of locked "
		       "memory is %llu KiB), and unlocked they could reach the swap: raise it "
		       "(ulimit -l, or LimitMEMLOCK= of the unit)",
		       least / 1024, (unsigned long long)limit.rlim_cur / 1024);
	return -ENOMEM;
}

void slab_close(struct slab *s)
{
	if (!s->memory)
		return;
	sodium_memzero(s->memory, s->size);
	(void)munmap(s->memory, s->size);
	*s = (struct slab){0};
}

/* From then on all new memory is locked, too, the stack's as it grows; and what goes beyond the
 * limit ends the process once the sandbox has taken the right to do so. So only where the limit
 * covers all that the process may ever have. */
bool slab_lock_all(uint64_t most)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return false;
	limit.rlim_cur = MAX(limit.rlim_cur, (rlim_t)most);
	limit.rlim_max = MAX(limit.rlim_max, limit.rlim_cur);
	return setrlimit(RLIMIT_MEMLOCK, &limit) == 0 && mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
}

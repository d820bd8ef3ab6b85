/* A disk in memory: a memfd whose size is sealed, kept by the monitor, so that it lives
 * as long as the gateway does. Volatile, and the policy says so. Runs in the monitor. */
#include <fcntl.h>
#include "backends/disk_kinds.h"
#include "gateway/base/fd.h"

static int memory_claim(const struct disk_spec *spec, struct disk *d, char *why, size_t why_size)
{
	struct stat st;

	if (spec->size_bytes == 0)
		return disk_say(spec, -EINVAL, why, why_size, "memory: needs a size, as 256MiB");
	d->claim_fd = memfd_shared("sallyport-disk", spec->size_bytes);
	if (d->claim_fd < 0)
		return disk_say(spec, d->claim_fd, why, why_size,
				"can't have %ju octets of memory: %s", (uintmax_t)spec->size_bytes,
				strerror(-d->claim_fd));
	if (fstat(d->claim_fd, &st) < 0)
		return disk_say(spec, -errno, why, why_size, "can't look at its memory: %s",
				strerror(errno));
	d->size_bytes = spec->size_bytes;
	d->thin = true;
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	return 0;
}

static int memory_open(const struct disk *d, bool writable)
{
	return fd_reopen(d->claim_fd, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
}

/* Sealed: it can't shrink, and nobody can delete it. */
static int memory_check(const struct disk *d)
{
	(void)d;
	return 0;
}

const struct disk_ops disk_memory_ops = {memory_claim, memory_open, memory_check, NULL};

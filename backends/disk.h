/* The monitor's side of a disk: found, claimed, opened afresh for every grant.
 * One file per kind: file.c (regular files), device.c (block devices), memory.c. */
#pragma once

#include "gateway/base/base.h"

enum disk_kind { DISK_INVALID, DISK_FILE, DISK_DEVICE, DISK_MEMORY };

struct disk_spec {
	enum disk_kind kind;
	const char *name;    /* in the policy, for messages */
	const char *path;    /* DISK_FILE, DISK_DEVICE; absolute */
	uint64_t size_bytes; /* DISK_FILE: made sparse with this size when missing, 0: must exist;
			      * DISK_MEMORY: its size */
	bool read_only;
	bool direct;	     /* opened with O_DIRECT for every grant: refused where that can't be */
	uint32_t block_size; /* with direct: requests are whole blocks of this size */
	const struct disk *held;  /* claimed by us already, and maybe the same; or NULL */
	const char *const *roots; /* the path must lie below one of these, after symbolic links */
	size_t root_count;
};

struct disk {
	enum disk_kind kind;
	int claim_fd;	     /* holds the lock (flock, O_EXCL on devices, or the memfd) */
	uint64_t size_bytes; /* a multiple of 512 */
	bool read_only, direct;
	bool rotational;
	bool thin; /* room can be given back: what is discarded reads as zeroes */
	char path[4096];
	dev_t dev;
	ino_t ino;
};

/* Opens and claims. On failure writes a sentence to `ret_why` that says what failed, on what, why
 * and what to do: mounted or claimed by another program, outside disk_roots, wrong type, size that
 * differs from the file's, no space. A file that is made is 0600 and sparse. */
int disk_claim(const struct disk_spec *spec, struct disk *ret_disk, char *ret_why,
	       size_t why_size) MUST_CHECK;
/* May the disk be where it is? As disk_claim() says it, for one that is claimed already. */
int disk_allowed(const struct disk_spec *spec, char *ret_why, size_t why_size) MUST_CHECK;
/* Makes the file larger, sparse; it is not known by this to be. -EROFS: it is read-only. */
int disk_grow(const struct disk *d, uint64_t size_bytes) MUST_CHECK;
/* A fresh open() for one grant: never a duplicate. -ESTALE when the path now names another file. */
int disk_open(const struct disk *d, bool writable) MUST_CHECK;
/* Is it still what was claimed? 0; -ENODATA: shrank; -ESTALE: deleted or replaced. */
int disk_check(const struct disk *d) MUST_CHECK;
/* Its size now, which may be more than what was claimed: in whole blocks of 512 octets. */
int disk_size(const struct disk *d, uint64_t *ret_bytes) MUST_CHECK;
/* Of what lies below a file that takes room as it is written: octets that there are, and that are
 * free. -ENOTSUP: of no other. */
int disk_room(const struct disk *d, uint64_t *ret_total, uint64_t *ret_free) MUST_CHECK;
void disk_release(struct disk *d);

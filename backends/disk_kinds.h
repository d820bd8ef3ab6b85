/* The kinds of disk, as the monitor sees them: one row of functions each. Nobody but
 * backends/ includes this. */
#pragma once

#include <sys/stat.h>
#include "backends/disk.h"

struct disk_ops {
	int (*claim)(const struct disk_spec *spec, struct disk *d, char *why, size_t why_size);
	int (*open)(const struct disk *d, bool writable);
	int (*check)(const struct disk *d);
	int (*size)(const struct disk *d, uint64_t *ret_bytes); /* NULL: it never changes */
};

extern const struct disk_ops disk_file_ops, disk_device_ops, disk_memory_ops;

/* "disk NAME: …" into why; returns `error`, so that a check is one statement. */
int disk_say(const struct disk_spec *spec, int error, char *why, size_t why_size, const char *fmt,
	     ...) PRINTF_LIKE(5, 6);

/* spec->held is the same disk: its claim is d's, too, instead of the one that d has. It ends with
 * the last of both. */
int disk_hold_too(const struct disk_spec *spec, struct disk *d, char *why,
		  size_t why_size) MUST_CHECK;

/* O_DIRECT for those that go around the page cache, or 0. */
int direct_flag(const struct disk *d);
/* spec->direct: can it be, in blocks of that size? `d` has its claim_fd and its size. */
int direct_check(const struct disk_spec *spec, const struct disk *d, const char *real, char *why,
		 size_t why_size) MUST_CHECK;

/* A path that was opened without touching what it names (O_PATH). */
struct place {
	int fd;
	struct stat st;
	char real[4096]; /* after symbolic links; escaped, for messages */
};

/* Opens spec->path and makes sure that what it names lies below one of the roots, after symbolic
 * links. -ENOENT when nothing is there (no sentence yet). */
int place_open(const struct disk_spec *spec, struct place *ret_place, char *why,
	       size_t why_size) MUST_CHECK;
/* The folder that spec->path lies in, and the last part of the path in *ret_name. */
int place_open_folder(const struct disk_spec *spec, struct place *ret_place, const char **ret_name,
		      char *why, size_t why_size) MUST_CHECK;
void place_close(struct place *p);
#define OWNED_PLACE OWNED_BY(place_close) struct place
/* The same file or device as when d was claimed? 0, -ESTALE, or what open() says. */
int place_open_claimed(const struct disk *d, int *ret_fd) MUST_CHECK;

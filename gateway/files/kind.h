/* The kinds of file systems: one row of functions each, and what their tools say taken apart. For
 * gateway/files alone. */
#pragma once

#include "gateway/files/text.h"
#include "gateway/files/tool.h"
#include "gateway/files/volume.h"
#include "gateway/files/wire.h"

/* One file system that is looked at; toolbox's window shows it. */
struct look {
	struct toolbox *box;
	const struct volume *v;
	struct finding *f;
};

/* All return 0 or -errno; the sentence is in box->why, but for -ENOENT of find(). */
struct kind {
	/* The inode of a path that begins with "/". */
	int (*find)(struct look *l, const char *path, uint64_t *ret_inode);
	/* Its ranges, size and times. -EINVAL: it is neither file nor folder. */
	int (*map)(struct look *l, uint64_t inode);
	/* What is at this octet of the volume. */
	int (*at)(struct look *l, uint64_t offset);
};

extern const struct kind kind_ext, kind_xfs, kind_ntfs;

/* One of its ranges, in blocks of the volume. -EUCLEAN: it is not within it. */
int look_range(struct look *l, uint64_t block, uint64_t blocks) MUST_CHECK;
/* "TOOL says nothing of …" into box->why; returns -EUCLEAN. */
int look_unclear(struct look *l, const char *tool, const char *what) MUST_CHECK;
/* Walks a path by `step`, which finds a name in a folder: -ENOENT. */
int look_walk(struct look *l, const char *path,
	      int (*step)(struct look *l, uint64_t folder, const struct text *name,
			  uint64_t *ret_inode),
	      uint64_t *ret_inode) MUST_CHECK;

/* What a tool said, into the finding or where `ret_…` points. Fuzzed. */
int ext_read_stat(struct look *l, struct text t) MUST_CHECK;
bool ext_read_folder(struct text t, const struct text *name, uint64_t *ret_inode);
bool ext_read_owner(struct text t, uint64_t block, uint64_t *ret_inode);
int ext_read_names(struct look *l, struct text t, uint64_t inode) MUST_CHECK;
int xfs_read_inode(struct look *l, struct text t, uint64_t inode) MUST_CHECK;
bool xfs_read_folder(struct text t, const struct text *name, uint64_t *ret_inode);
int xfs_read_use(struct look *l, struct text t) MUST_CHECK;
int ntfs_read_info(struct look *l, struct text t, uint64_t *ret_inode) MUST_CHECK;
int ntfs_read_runs(struct look *l, struct text t, bool *ret_resident) MUST_CHECK;
int ntfs_read_users(struct look *l, struct text t) MUST_CHECK;

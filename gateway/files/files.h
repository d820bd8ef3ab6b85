/* Which blocks a file has, and which file a block belongs to: for ext2, ext3, ext4, XFS and NTFS on
 * a disk that is exported, or on a partition of it (MBR, GPT). The answer is of the file system as
 * it is on the disk at this moment; what an initiator still has in its memory is not in it.
 *
 * An initiator wrote that file system. So another process looks at it: sandboxed, with the disk to
 * read and nothing else, for a bounded time; and what that process answers is checked as a peer's.
 */
#pragma once

#include "gateway/base/base.h"

#define FILES_PATH_MAX	 4096
#define FILES_WHY	 512
#define FILES_RANGES_MAX (1u << 20)
#define FILES_NAMES_MAX	 64
#define FILES_ANY	 UINT32_MAX /* of partition: whichever it is in */

enum files_what {
	FILES_INVALID,
	FILES_FILE,
	FILES_FOLDER,
	FILES_FREE,	/* no file has this block now */
	FILES_JOURNAL,	/* the file system's */
	FILES_METADATA, /* the file system's own; which, is in `note` */
	FILES_OUTSIDE,	/* of every partition, or of every file system that we know */
	FILES_WHATS
};

/* Blocks of the LUN. */
struct files_range {
	uint64_t lba, blocks;
};

struct files_question {
	int disk_fd;	     /* to read; stays the caller's */
	uint32_t block_size; /* of the LUN, octets: 512 or 4096 */
	const char
		*path; /* which blocks has it? from the root of the file system, "/a/b"; or NULL: */
	uint64_t lba;  /* what is here? */
	uint32_t partition; /* its number; 0: the file system is on the whole disk; FILES_ANY */
};

struct files_answer {
	enum files_what what;
	char system[8];	    /* "ext4" */
	uint32_t partition; /* 0: the whole disk */
	uint64_t mapped_ns; /* when this was found out */
	uint64_t inode, size_bytes;
	int64_t modified_s, changed_s; /* of the file, by the initiator's clock: contents; inode */
	bool shared;		       /* its contents lie in a block that other files have, too */
	char note[128];		       /* raw */
	struct files_range *ranges;    /* of a path; ascending, apart */
	size_t range_count;
	char *names[FILES_NAMES_MAX]; /* of a block: the paths of its file; raw, what an initiator
				       * wrote: escape it */
	size_t name_count;
};

/* 0; -ENOENT: no such file; other -errno. What failed and what to do is in ret_why, for people. */
int files_ask(const struct files_question *q, struct files_answer *ret_answer,
	      char ret_why[FILES_WHY]) MUST_CHECK;
void files_answer_free(struct files_answer *a);
#define OWNED_ANSWER OWNED_BY(files_answer_free) struct files_answer

const char *files_what_name(enum files_what what); /* "file", "free", … */

/* `sallyport internal files`. */
int files_main(void);

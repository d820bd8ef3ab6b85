/* File names for the review: which disk of this machine a LUN is, and what gateway/files knows of
 * it. The rows below stand among the options of a verb that takes --file. */
#pragma once

#include "gateway/cli/audit_review.h"
#include "gateway/files/files.h"

#define AUDIT_FILE_OPTIONS                                                          \
	{"--file", "PATH", NULL},                                                   \
		{"--partition", "N", "that reach this file's blocks; where it is"}, \
		AUDIT_DISK_OPTIONS
#define AUDIT_DISK_OPTIONS                                                                   \
	{"--disk", "FILE", NULL}, {"--block-size", "N", "the LUN's disk; its blocks (512)"}, \
	{                                                                                    \
		"--policy", "POLICY", "or: names the disk, when no gateway runs"             \
	}

/* A LUN, found on this machine. */
struct audit_disk {
	int fd;			      /* to read */
	uint32_t block_size;	      /* of the LUN */
	char target[ISCSI_NAME_SIZE]; /* "": not known (--disk) */
	bool has_lun;
	uint16_t lun;
};

/* Takes --target, --lun, --partition, --policy, --disk and --block-size. EXIT_DONE, or an exit
 * status: what is wrong was said. */
int audit_disk_open(const struct cli *cli, struct audit_disk *ret_disk) MUST_CHECK;
/* Tells on stderr which other LUNs are the disk of this one (--target), as far as a gateway runs
 * and says so: what came there is not among what is shown. */
void audit_disk_others(const struct cli *cli, uint16_t lun);
/* Asks one question; block_size, disk_fd and partition are filled in from the options. Likewise. */
int audit_disk_ask(const struct cli *cli, const struct audit_disk *d, struct files_question *q,
		   struct files_answer *ret_answer) MUST_CHECK;
/* Takes --file into the filter: the LUN, its target, the blocks that the file has now; tells on
 * stderr what was found. Before review_open(). Likewise; EXIT_DONE without the option. */
int audit_file_filter(struct review *r) MUST_CHECK;

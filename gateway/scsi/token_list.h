/* Parameter lists of POPULATE TOKEN and WRITE USING TOKEN, SBC-4: blocks of one unit. Hostile. */
#pragma once

#include "gateway/scsi/copier.h"
#include "gateway/scsi/gate.h"

#define POPULATE_HEADER 16u
#define WRITE_HEADER	536u
#define RANGE_SIZE	16u

struct token_list {
	uint64_t blocks; /* of all ranges */
	unsigned count;	 /* of those that have blocks */
	struct gate_range ranges[TOKEN_RANGES_MAX];
};

/* Reads the ranges behind a header of that length, and checks each number in the frame and in them.
 * False: the task has its sense. */
bool token_list_read(struct scsi_task *task, size_t header, struct token_list *ret) MUST_CHECK;

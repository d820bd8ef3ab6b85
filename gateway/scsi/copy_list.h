/* The parameter list of EXTENDED COPY, SPC-4 section 6.4: which units it names, and what goes from
 * where to where. All of it is hostile: nothing is believed before copy_list_read() has checked
 * the frame, and each segment's fields before copy_list_move(). */
#pragma once

#include "gateway/scsi/copier.h"

#define COPY_HEADER_1  16u
#define COPY_HEADER_4  48u
#define COPY_LIST_SIZE (COPY_HEADER_4 + COPY_DESCRIPTORS_MAX)

/* Points into `octets`, of which there are `len`. */
struct copy_list {
	uint8_t octets[COPY_LIST_SIZE];
	size_t len;
	bool has_list;
	uint32_t list;
	unsigned targets, segments;
	size_t targets_at, segments_at;
};

/* Of LID1 or LID4. */
size_t copy_list_header(const struct scsi_task *task);
/* Takes the list out of the data-out and checks lengths, counts and types. False: the task has its
 * sense, and nothing else of `ret` is to be looked at. */
bool copy_list_read(struct scsi_task *task, struct copy_list *ret) MUST_CHECK;
/* Segment i, if its units are this nexus's and the blocks are on them. False: the task has its
 * sense. */
bool copy_list_move(struct scsi_task *task, const struct copy_list *l, unsigned i,
		    struct copy_move *ret) MUST_CHECK;

/* The segments of an audit folder, in the order of their numbers. */
#pragma once

#include "gateway/audit/segment.h"

struct segment_list {
	uint64_t *numbers; /* ascending */
	size_t count;
};

/* What is in the folder now of one log. Names that are no segment's are passed over. */
int segment_list_read(int folder_fd, enum audit_log log, struct segment_list *ret_list) MUST_CHECK;
void segment_list_free(struct segment_list *list);
/* Opens one for reading: a regular file, never through a link. Returns a descriptor or -errno. */
int segment_open(int folder_fd, enum audit_log log, uint64_t number) MUST_CHECK;
/* The same for reading and writing, for the auditor. */
int segment_open_writable(int folder_fd, enum audit_log log, uint64_t number) MUST_CHECK;

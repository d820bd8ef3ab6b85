/* The whole trail, read from the files of an audit folder in order: each record with the
 * session it belongs to, every damaged or missing spot told. Needs no running gateway; beside one,
 * it can be read on as it grows. Files and their names are hostile. */
#pragma once

#include "gateway/audit/reader.h"

struct trail;

struct trail_record {
	struct frame frame;
	uint64_t run;
	const struct auditor_ring_info *session; /* of frame.connection; NULL: not known */
};

/* Told in a sentence with file and offset. `damage`: something is not as it was written. */
typedef void (*trail_report)(void *arg, bool damage, const char *text);

/* Starts with the first segment that may have records of `since_ns` or later. */
int trail_open(struct trail **ret_trail, int folder_fd, uint64_t since_ns, trail_report report,
	       void *arg) MUST_CHECK;
/* Starts over near the end: at or before *ret_first, the first of the last `records` records. */
int trail_rewind(struct trail *t, uint64_t records, uint64_t *ret_first) MUST_CHECK;
/* 1: *ret_record is filled, until the next call; 0: no more for now; -errno of reading. */
int trail_next(struct trail *t, struct trail_record *ret_record) MUST_CHECK;
/* After trail_next() returned 0: is the last frame incomplete? NULL, or the segment's name. */
const char *trail_torn(const struct trail *t, uint64_t *ret_offset);
void trail_close(struct trail *t);

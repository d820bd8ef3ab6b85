/* The context of a segment: the dictionary of its log, and the sessions that were open when it was
 * begun, as they stand in its header. */
#pragma once

#include "gateway/audit/names.h"
#include "gateway/audit/payload.h"
#include "gateway/audit/segment.h"
#include "gateway/audit/sessions.h"

/* The i-th session that is open; NULL: there are no more. */
typedef const struct auditor_ring_info *(*context_sessions)(void *arg, size_t i);

struct context {
	struct names *names;
	context_sessions sessions; /* NULL: none */
	void *arg;
	struct packer *packer;
};

/* A whole header with it, in memory that the caller frees. -ENOMEM; -EFBIG: it has no room. */
int context_write(struct segment_header *h, const struct context *context,
		  uint8_t **ret_header) MUST_CHECK;
/* `bytes`: a whole header that was read into *h. Replaces what the two have. */
int context_read(const struct segment_header *h, const uint8_t *bytes, struct unpacker *unpacker,
		 struct names *names, struct sessions *sessions) MUST_CHECK;

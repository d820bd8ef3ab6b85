/* A record of the trail as the review has it: what was unpacked from a row of a block. */
#pragma once

#include "gateway/audit/auditor.h"

enum frame_type {
	FRAME_INVALID,
	FRAME_COMMAND, /* a slot of a ring */
	FRAME_SESSION, /* a session's ring was attached */
	FRAME_EVENT,   /* from the monitor; id 0: the auditor's own */
	FRAME_END,     /* the last one of a run */
	FRAME_TYPES
};

enum segment_end { SEGMENT_END_INVALID, SEGMENT_END_STOP, SEGMENT_END_ORPHANED };

struct stamp {
	uint64_t sequence;
	uint64_t time_ns; /* the auditor's wall clock */
	uint64_t mono_ns; /* and its monotonic one; 0: not known */
};

struct frame {
	enum frame_type type;
	struct stamp stamp;
	uint32_t connection; /* 0: none */
	union {
		struct audit_record command; /* its wall_ns in whole microseconds */
		struct auditor_ring_info session;
		struct audit_event event;
		enum segment_end end;
	};
};

/* Which records a review is about. All conditions that are set must hold. */
#pragma once

#include "gateway/audit/trail.h"

struct audit_filter {
	uint64_t since_ns, until_ns; /* until_ns 0: no end; exclusive */
	const char *initiator;	     /* the whole name, or what follows its last colon */
	const char *target;	     /* likewise */
	struct network network;	     /* ip.version 0: any */
	bool has_lun;
	uint16_t lun;
	bool denied;	       /* commands denied, logins and connections refused */
	const char *op;	       /* as audit_filter_op() took it */
	enum frame_type frame; /* what op is about; FRAME_INVALID: anything */
	uint32_t event;	       /* with FRAME_EVENT */
	bool numbered;	       /* with FRAME_COMMAND: op is "read" of "read-10", … */
};

/* Whom a record is about; empty strings and version 0 where nothing is known. */
struct audit_subject {
	const char *initiator, *target;
	struct endpoint peer;
};

struct audit_subject audit_subject(const struct trail_record *r);
/* A command's policy name ("unmap"), its family ("read"), or the kind of an event ("login"). `op`
 * stays the caller's. -ENOENT: none of these. */
int audit_filter_op(struct audit_filter *f, const char *op) MUST_CHECK;
bool audit_filter_match(const struct audit_filter *f, const struct trail_record *r);

/* "command", "outcome", "session", "end", or the event's kind. */
const char *audit_record_name(const struct trail_record *r);

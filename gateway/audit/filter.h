/* Which records a review is about. All conditions that are set must hold; of a list, one must. */
#pragma once

#include "gateway/audit/reach.h"
#include "gateway/audit/trail.h"

/* Blocks, both ends inclusive. */
struct lba_range {
	uint64_t first, last;
};
#define LBA_RANGES_MAX 65536

struct audit_filter {
	uint64_t since_ns, until_ns; /* until_ns 0: no end; exclusive */
	const char *initiator;	     /* the whole name, or what follows its last colon */
	const char *target;	     /* likewise */
	struct network network;	     /* ip.version 0: any */
	uint32_t connection;	     /* 0: any */
	bool has_lun;
	uint16_t lun;
	bool denied; /* commands denied, logins and connections refused */
	/* Sorted and apart, see lba_ranges_sort(); the caller's. A record that reaches into one of
	 * them; 0: any. */
	const struct lba_range *ranges;
	size_t range_count;
	uint32_t verdicts; /* bit VERDICT_; 0: any, of no command, too */
	uint32_t deeds;	   /* enum deed; 0: any, of no command, too */
	/* What audit_filter_op() took: records of any of these. */
	bool has_op;
	bool all_commands, all_outcomes, all_tasks, all_lists;
	uint32_t types;	       /* bit FRAME_: all of this type */
	uint32_t events;       /* bit EVENT_ */
	uint32_t opcodes[256]; /* bit: service action; all bits: the opcode has none */
};

/* Whom a record is about; empty strings and version 0 where nothing is known. */
struct audit_subject {
	const char *initiator, *target;
	struct endpoint peer;
};

struct audit_subject audit_subject(const struct trail_record *r);

/* One more of the records that are wanted: a command's policy name ("unmap"), its family ("read"),
 * the kind of an event ("login"), or of a record ("outcome"). -ENOENT: none of these. */
int audit_filter_op(struct audit_filter *f, const char *op) MUST_CHECK;
/* One more verdict ("denied"), one more deed ("discard"). -ENOENT: there is none of this name. */
int audit_filter_verdict(struct audit_filter *f, const char *name) MUST_CHECK;
int audit_filter_deed(struct audit_filter *f, const char *name) MUST_CHECK;

/* "7", "7-9", "7+3" (three blocks), also in hex after 0x. -EINVAL: no such form; -ERANGE: it ends
 * before it begins, or beyond 64 bits. */
int lba_range_parse(const char *text, struct lba_range *ret_range) MUST_CHECK;
/* Sorts, and joins what overlaps or touches; returns how many are left. */
size_t lba_ranges_sort(struct lba_range *ranges, size_t count);
/* Of sorted ones: the first that has a block from `first` to `last`, or NULL. */
const struct lba_range *lba_ranges_meet(const struct lba_range *ranges, size_t count,
					uint64_t first, uint64_t last);

/* The conditions about who and where from alone. */
bool audit_subject_matches(const struct audit_filter *f, const struct trail_record *r);
/* For trail_open(): blocks without a record that the filter takes are passed over. The filter is
 * used as long as the trail is. */
void audit_filter_wanted(const struct audit_filter *f, struct trail_wanted *ret);
/* Commands that do one of these, and all of their outcomes. */
void audit_deeds_wanted(uint32_t deeds, struct trail_wanted *ret);
bool audit_filter_match(const struct audit_filter *f, const struct trail_record *r);

/* "command", "outcome", "session", "end", or the event's kind. */
const char *audit_record_name(const struct trail_record *r);

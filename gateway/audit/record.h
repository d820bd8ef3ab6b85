/* What the audit trail holds: command records, which sessions put into a shared ring
 * slot by slot, and event records, which the monitor sends. Both are plain
 * structs within the running gateway; the form on disk is segment.h's. */
#pragma once

#include "gateway/base/address.h"
#include "gateway/base/base.h"
#include "gateway/base/iscsi_name.h"

enum audit_kind {
	AUDIT_KIND_INVALID,
	AUDIT_COMMAND,
	AUDIT_OUTCOME,
	/* Task management, RFC 7143 section 11.5: cdb[] has the function and the response that
	 * refuses it, if one does; task_tag is that of the task that is meant. */
	AUDIT_TASK,
	/* What a command's parameter list names that has no place in its record (initiator ports,
	 * port groups): cdb[] has octets of the list, from lba on, as many as cdb_len says. It
	 * stands behind the command's record, with its LUN and tag. */
	AUDIT_LIST,
};

enum audit_verdict {
	VERDICT_INVALID,
	VERDICT_ADMITTED,
	VERDICT_DENIED,	      /* by the policy; rule_line says where */
	VERDICT_REFUSED,      /* by the device: unknown command, bad field, no such LUN */
	VERDICT_NOT_EXECUTED, /* outcome: admitted and then never submitted */
	VERDICT_FAILED,	      /* outcome: ended with a status other than GOOD */
	VERDICT_BUSY,	      /* outcome: `blocks` commands were answered BUSY, audit being away */
	VERDICT_DONE,	      /* outcome: it ended well (`outcomes: all`) */
	VERDICTS
};

#define AUDIT_NO_LUN 0xffff

/* One slot of a ring: 96 octets. Written by a session, so hostile to whoever reads it. */
struct audit_record {
	uint64_t index;	  /* position in the session's ring, from 0, gap-free */
	uint64_t wall_ns; /* the session's clock; the auditor stamps its own beside it */
	uint64_t lba;
	uint32_t blocks;
	uint32_t rule_line; /* of policy.yaml; 0: none */
	uint32_t task_tag;
	uint16_t lun;	 /* AUDIT_NO_LUN: none that single-level addressing can write */
	uint8_t kind;	 /* enum audit_kind */
	uint8_t verdict; /* enum audit_verdict */
	uint8_t cdb_len; /* of the command; cdb[] has its first 32 octets */
	uint8_t status;	 /* outcome: SAM status */
	uint8_t sense_key, asc, ascq;
	uint8_t source; /* 1: of blocks that a copy only reads */
	uint8_t reserved[2];
	uint32_t latency_us; /* outcome: from the admission to the end; 0: not measured */
	uint8_t reserved_too[12];
	uint8_t cdb[32];
};
_Static_assert(sizeof(struct audit_record) == 96, "a ring slot is 96 octets");

enum audit_event_kind {
	EVENT_INVALID,
	EVENT_START, /* the gateway: version, policy hash in detail */
	EVENT_STOP,
	EVENT_POLICY,		/* a policy was loaded: its hash */
	EVENT_CONNECTION,	/* refused before a process was given to it (limits, bans) */
	EVENT_LOGIN,		/* authenticated and granted; what, in detail */
	EVENT_REFUSAL,		/* a login refused: reason */
	EVENT_REFUSALS_COUNTED, /* `count` more from this source, beyond 20 a minute */
	EVENT_DISCOVERY,
	EVENT_LOGOUT, /* the session is over: reason, counters in detail */
	EVENT_BAN,
	EVENT_UNBAN,
	EVENT_HELPER,	 /* a helper process died or was restarted */
	EVENT_DISK,	 /* a disk failed, vanished, shrank, has a second writer */
	EVENT_OPERATOR,	 /* a changing command, with the peer's credentials */
	EVENT_FIREWALL,	 /* loaded, missing, drift */
	EVENT_GAP,	 /* the auditor: something was lost or refused meanwhile */
	EVENT_DECOY,	 /* somebody asked for a name that nobody has */
	EVENT_RETENTION, /* the auditor: it is about to delete a segment: gateway/audit/retention.h
			  */
	EVENT_SPACE,	 /* the auditor: room for the trail became less, or more */
	EVENT_KINDS
};

#define AUDIT_DETAIL_SIZE 512

/* Sent by the monitor, fixed size. Texts end with NUL; what a peer wrote in them is raw and is
 * escaped by whoever prints. */
struct audit_event {
	uint64_t id; /* the monitor's count, gap-free from 1: acknowledged by it */
	uint64_t wall_ns;
	uint64_t count;
	uint32_t kind;	     /* enum audit_event_kind */
	uint32_t connection; /* 0: none */
	uint32_t policy_line;
	uint8_t algorithm; /* CHAP's number, 0: none */
	uint8_t reserved[3];
	struct endpoint peer; /* ip.version 0: none */
	char portal[64];
	char reason[64]; /* short and stable: "wrong-secret" */
	char user[64];
	char initiator[ISCSI_NAME_SIZE];
	char target[ISCSI_NAME_SIZE];
	char detail[AUDIT_DETAIL_SIZE];
};

const char *audit_event_name(enum audit_event_kind kind); /* "login", "refusal", … */
const char *audit_task_name(uint8_t function);		  /* "lun-reset", … */
const char *audit_verdict_name(enum audit_verdict verdict);

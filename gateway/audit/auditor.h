/* The auditor process and its channel with the monitor. */
#pragma once

#include "gateway/audit/record.h"
#include "gateway/base/channel.h"

/* Descriptors that the monitor gives to the process: 3 the channel, 4 the audit folder, 5 the lock
 * of the state folder (held until the last record of a dying gateway is on disk). 5 is the
 * monitor's own open file description: its offset, which nothing else uses, holds the number of the
 * run, so that a restarted auditor knows which segments are this run's. */
int auditor_main(void);

enum auditor_message {
	AUDITOR_INVALID,
	/* monitor to auditor */
	AUDITOR_ATTACH, /* struct auditor_ring_info; fds: ring (readable), page, socket */
	/* struct auditor_ring_info: the session is over: drain, then forget. The monitor keeps the
	 * memfds until an AUDITOR_FLUSH that it sent afterwards is answered, and hands them to an
	 * auditor that is restarted before that: attach, then detach. */
	AUDITOR_DETACH,
	AUDITOR_EVENT, /* struct audit_event */
	AUDITOR_FLUSH, /* struct auditor_flush: answer when all put until now is durable */
	AUDITOR_STOP,  /* drain, close the segment, exit 0 */
	/* auditor to monitor */
	AUDITOR_READY,	 /* struct auditor_status: the segment is open */
	AUDITOR_WRITTEN, /* struct auditor_flush: events up to this id are durable */
	AUDITOR_FLUSHED, /* struct auditor_flush */
	AUDITOR_STATUS,	 /* struct auditor_status: writing, or why not */
};

struct auditor_ring_info {
	uint32_t connection;
	uint32_t reserved;
	struct endpoint peer;
	char initiator[ISCSI_NAME_SIZE];
	char target[ISCSI_NAME_SIZE];
};

struct auditor_flush {
	uint64_t id;
};

struct auditor_status {
	uint32_t state; /* enum audit_state */
	uint32_t sandbox_layers;
	uint64_t records;
	uint64_t segment;
	char why[256]; /* when it can't write */
};

extern const struct message_spec auditor_inbox[], auditor_outbox[];
extern const size_t auditor_inbox_len, auditor_outbox_len;

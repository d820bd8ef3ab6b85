/* The auditor process and its channel with the monitor. */
#pragma once

#include "gateway/audit/hash.h"
#include "gateway/audit/note.h"
#include "gateway/audit/record.h"
#include "gateway/base/channel.h"

/* Descriptors that the monitor gives to the process: 3 the channel, 4 the audit folder, 5 the lock
 * of the state folder (held until the last record of a dying gateway is on disk), 6 the seed of the
 * signer, to be read, 7 the page of keys (gateway/audit/keys.h). 5 is the
 * monitor's own open file description: its offset, which nothing else uses, holds the number of the
 * run, so that a restarted auditor knows which segments are this run's. */
#define AUDITOR_FDS 5
int auditor_main(void);

enum auditor_message {
	AUDITOR_INVALID,
	/* monitor to auditor */
	AUDITOR_ATTACH, /* struct auditor_ring_info; fds: ring (readable), page, socket */
	/* struct auditor_ring_info: the session is over: drain, then forget. The monitor keeps the
	 * memfds until an AUDITOR_FLUSH that it sent afterwards is answered, and hands them to an
	 * auditor that is restarted before that: attach, then detach. */
	AUDITOR_DETACH,
	/* The rings of all sessions are attached. An auditor that is started again says of nothing
	 * that it is durable before: what another session's ring holds counts as well. */
	AUDITOR_RINGS,
	AUDITOR_EVENT,	  /* struct audit_event */
	AUDITOR_FLUSH,	  /* struct auditor_flush: answer when all put until now is durable */
	AUDITOR_STOP,	  /* drain, close the segment, exit 0 */
	AUDITOR_SETTINGS, /* struct auditor_settings: at the start, and when the policy changes */
	/* struct auditor_flush: the number of the request; fd: a memfd of 32 octets. A new epoch
	 * begins, its key is written there alone, and AUDITOR_EPOCH_BEGUN answers. */
	AUDITOR_EPOCH,
	/* auditor to monitor */
	AUDITOR_READY,	     /* struct auditor_status: the segment is open */
	AUDITOR_WRITTEN,     /* struct auditor_flush: events up to this id are durable */
	AUDITOR_FLUSHED,     /* struct auditor_flushed */
	AUDITOR_STATUS,	     /* struct auditor_status: writing, or why not */
	AUDITOR_EPOCH_BEGUN, /* struct auditor_epoch */
	AUDITOR_CHECKPOINT,  /* struct auditor_checkpoint: to be sent elsewhere */
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
	/* AUDITOR_FLUSH: whoever asks verifies: checkpoints of it stand in their files before the
	 * answer. Else 0. */
	uint64_t sign;
};

/* The trail as it is on the disk then: what its files must be. */
struct auditor_flushed {
	uint64_t id;
	uint64_t sequence; /* of the newest record that is durable */
	uint8_t trail[TRAIL_ID_SIZE], signer[SIGNER_KEY_SIZE];
	uint64_t blocks[AUDIT_LOGS];
	uint8_t roots[AUDIT_LOGS][HASH_SIZE]; /* of these blocks' trees */
};

/* How much room there is for the trail, as the policy sees it. */
enum audit_room { ROOM_ENOUGH, ROOM_WARN, ROOM_REFUSE, ROOM_STOP };

struct auditor_status {
	uint32_t state; /* enum audit_state */
	uint32_t sandbox_layers;
	uint64_t records;
	uint64_t segment;
	uint8_t trail[TRAIL_ID_SIZE];
	uint64_t epoch;
	uint8_t signer[SIGNER_KEY_SIZE];    /* public */
	uint64_t trail_octets, free_octets; /* that it has, and that are left for it */
	uint32_t room;			    /* enum audit_room */
	uint32_t reserved;
	char why[256]; /* when it can't write */
};

/* Room: less than either is less; both 0: never. */
struct auditor_room {
	uint64_t octets;
	uint32_t percent, reserved;
};

struct auditor_settings {
	uint64_t keep_ms, at_most; /* octets; 0: no such limit */
	uint64_t reserve;	   /* octets */
	struct auditor_room warn, refuse, stop;
};

struct auditor_epoch {
	uint64_t id;   /* of the request */
	int32_t error; /* 0 or -errno: then the rest says nothing */
	uint32_t reserved;
	uint64_t epoch;
	uint64_t first_block[AUDIT_LOGS];
	uint8_t trail[TRAIL_ID_SIZE];
	uint8_t signer[SIGNER_KEY_SIZE]; /* public */
};

struct auditor_checkpoint {
	uint32_t log; /* enum audit_log */
	uint32_t len;
	char text[NOTE_SIZE];
};

extern const struct message_spec auditor_inbox[], auditor_outbox[];
extern const size_t auditor_inbox_len, auditor_outbox_len;

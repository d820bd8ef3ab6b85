/* One iSCSI connection, RFC 7143, as a machine without I/O: bytes and answers go in,
 * bytes and questions come out. It knows no socket, no file, no clock, no secret and
 * no SCSI. Used by the session process; everything received is hostile.
 *
 *	receive:  iscsi_rx_space() says where the next octets go; iscsi_received(n) runs them
 *	send:     iscsi_tx() says which octets to send;         iscsi_sent(n) forgets them
 *	time:     iscsi_tick(now_ms), at iscsi_next_tick()
 */
#pragma once

#include <sys/uio.h>
#include "gateway/base/base.h"
#include "gateway/base/iscsi_name.h"

struct iscsi;		 /* a session */
struct iscsi_connection; /* one of its connections */

#define ISCSI_BHS_SIZE	      48
#define ISCSI_CDB_MAX	      260 /* 16 and what AHS type 1 can add, bounded */
#define ISCSI_SENSE_MAX	      96
#define ISCSI_WINDOW_MAX      128     /* commands at once, in all */
#define ISCSI_IMMEDIATE_MAX   8	      /* immediate commands at once: beyond, Reject 06h */
#define ISCSI_CHUNK_SIZE      262144u /* buffers come in chunks; each task has one of its own */
#define ISCSI_TASK_CHUNKS     16      /* at most, so 4 MiB a command */
#define ISCSI_POOL_CHUNKS     (ISCSI_TASKS_MAX + 4 * ISCSI_TASK_CHUNKS)
#define ISCSI_CHAP_BYTES_MAX  1024
#define ISCSI_CONNECTIONS_MAX 8
/* More of a connection, for immediate task management and Logout alone, so that they can end the
 * others: RFC 7143 section 4.2.2.1. */
#define ISCSI_CONTROL_MAX 2
#define ISCSI_SENDING_MAX 32 /* that give their place back with a last PDU that is on its way */
#define ISCSI_TASKS_MAX                                               \
	(ISCSI_WINDOW_MAX + ISCSI_IMMEDIATE_MAX + ISCSI_SENDING_MAX + \
	 ISCSI_CONTROL_MAX * ISCSI_CONNECTIONS_MAX)
#define ISCSI_ADDRESS_SIZE 272 /* a host name or an address, and a port */

/* What this end offers and declares. */
struct iscsi_limits {
	uint32_t max_recv_segment;	     /* 262144 */
	uint32_t max_burst;		     /* 4194304 */
	uint32_t first_burst;		     /* at most ISCSI_CHUNK_SIZE: 262144 */
	uint32_t max_r2t;		     /* 1 … 16 */
	uint32_t queue_depth;		     /* at most ISCSI_WINDOW_MAX */
	bool initial_r2t, immediate_data;    /* our preference: false, true */
	bool header_digest, data_digest;     /* CRC32C is agreed to when offered */
	bool digests_required;		     /* both, or there is no session */
	uint32_t max_connections;	     /* 1 … ISCSI_CONNECTIONS_MAX; 0 is 1 */
	uint32_t error_recovery;	     /* ErrorRecoveryLevel: 0 … 2 */
	uint32_t time2wait, time2retain;     /* seconds; nothing is retained below level 2 */
	uint32_t ping_every_ms, ping_misses; /* NOP-In when the initiator is silent; 0: none */
};

struct iscsi_names {
	bool discovery;
	uint16_t cid, tsih;
	uint8_t isid[6];
	char initiator[ISCSI_NAME_SIZE], target[ISCSI_NAME_SIZE]; /* as received, cut to fit */
};

struct iscsi_chap_proof {
	char name[256];
	uint8_t response[64];
	size_t response_len;
	bool has_challenge; /* CHAP_I and CHAP_C came: the initiator wants our proof */
	uint8_t id;
	uint8_t challenge[ISCSI_CHAP_BYTES_MAX];
	size_t challenge_len;
};

/* A login that is done but for its last answer, on its way from the process that led it to the
 * session that it joins. Fixed size; the session takes it as hostile. */
#define ISCSI_HANDOVER_TEXT 2048
struct iscsi_handover {
	uint8_t isid[6];
	uint16_t tsih, cid;
	uint16_t text_len;
	uint32_t itt, statsn;
	uint32_t peer_segment; /* the initiator's MaxRecvDataSegmentLength */
	uint8_t header_digest, data_digest;
	uint8_t csg; /* of the request: 0 or 1 */
	uint8_t reserved;
	uint8_t text[ISCSI_HANDOVER_TEXT]; /* of the last Login Response */
};

struct iscsi_grant {
	uint16_t tsih;
	const char *target_alias; /* or NULL */
	uint32_t queue_depth;
};

enum iscsi_task_attribute {
	TASK_UNTAGGED,
	TASK_SIMPLE,
	TASK_ORDERED,
	TASK_HEAD_OF_QUEUE,
	TASK_ACA
};

/* A SCSI command on its way. The core owns it; the host keeps its own state beside it, by slot. */
struct iscsi_task {
	unsigned slot; /* 0 to ISCSI_TASKS_MAX - 1 */
	uint32_t itt, cmdsn;
	uint32_t edtl; /* Expected Data Transfer Length, octets */
	uint8_t lun[8];
	uint8_t attribute; /* enum iscsi_task_attribute */
	bool read, write, immediate;
	uint8_t cdb[ISCSI_CDB_MAX];
	size_t cdb_len; /* 16, or more with an AHS */
	/* its buffer: data-out that arrived, or room for data-in */
	struct iovec iov[ISCSI_TASK_CHUNKS];
	unsigned iov_count;
	size_t buffer_len;
};

struct iscsi_response {
	uint8_t status;	  /* SAM */
	uint8_t response; /* iSCSI: 0 completed at target, 1 target failure */
	size_t data_len;  /* data-in at the start of the task's buffer */
	size_t wanted;	  /* octets that the command would move: the residual comes from it */
	const uint8_t *sense;
	size_t sense_len;
};

enum iscsi_end {
	ISCSI_END_NONE,
	ISCSI_END_LOGOUT,
	ISCSI_END_REFUSED,   /* a login status other than success was sent */
	ISCSI_END_MALFORMED, /* before login: closed without an answer, or after what can't be
				mended */
	ISCSI_END_DIGEST,    /* header digest error */
	ISCSI_END_SILENT,    /* pings without answer */
	ISCSI_END_REPLACED,  /* the initiator opened another connection in its place */
};

enum iscsi_tmf { /* RFC 7143 section 11.5.1 */
		 TMF_NONE,
		 TMF_ABORT_TASK = 1,
		 TMF_ABORT_TASK_SET,
		 TMF_CLEAR_ACA,
		 TMF_CLEAR_TASK_SET,
		 TMF_LUN_RESET,
		 TMF_TARGET_WARM_RESET,
		 TMF_TARGET_COLD_RESET,
		 TMF_TASK_REASSIGN,
		 /* RFC 7144 section 6.3 */
		 TMF_QUERY_TASK,
		 TMF_QUERY_TASK_SET,
		 TMF_NEXUS_RESET,
		 TMF_QUERY_EVENT,
};

struct iscsi_tmf_request {
	unsigned slot; /* names it in iscsi_tmf_spread_done() */
	/* TMF_LUN_RESET, TMF_TARGET_WARM_RESET, TMF_TARGET_COLD_RESET; TMF_NONE: a logout ends the
	 * session, and what the nexus holds is to be given up */
	uint8_t function;
	uint8_t lun[8];
	/* for manage() alone: the task that is meant, and 0 or the response that refuses it */
	uint32_t itt;
	uint8_t response;
};

/* What the core asks of its surroundings. Each may be answered at once, from within the call, or
 * later. `host` is what iscsi_open() was given. */
struct iscsi_host {
	/* login: the names are known (once), CHAP steps, the last response waits for the grant */
	void (*names)(void *host, const struct iscsi_names *names);
	void (*chap_offer)(void *host, const uint32_t *algorithms, size_t count);
	void (*chap_proof)(void *host, const struct iscsi_chap_proof *proof);
	void (*enter)(void *host);

	/* full feature: commands come in the order of CmdSN */
	void (*command)(void *host, struct iscsi_task *task);
	/* the answer to iscsi_task_want() or iscsi_task_buffer() that was not given at once */
	void (*data_arrived)(void *host, struct iscsi_task *task);
	void (*buffer_ready)(void *host, struct iscsi_task *task);
	/* The task is to end without a response (abort, reset, connection lost). True: nothing is
	 * running for it and the host has forgotten it. False: the host calls iscsi_task_end() when
	 * what runs is over; until then its buffer stays. */
	bool (*cancel)(void *host, struct iscsi_task *task);
	/* Its response is composed, its buffer no longer needed by the host: forget it. */
	void (*finished)(void *host, struct iscsi_task *task);
	/* Task management, before anything of it is carried out: for the record. 0: go on. 1: not
	 * before iscsi_tmf_recorded(). Negative: it can't be recorded, and is rejected. */
	int (*manage)(void *host, const struct iscsi_tmf_request *request);
	/* A reset or the session's logout was asked for, and the tasks of this session that it ends
	 * are being ended. True: no other session is concerned. False: iscsi_tmf_spread_done()
	 * follows. I_T NEXUS RESET is not told: it ends the session, as any other loss of the nexus
	 * does. */
	bool (*spread)(void *host, const struct iscsi_tmf_request *request);
	/* Does this LUN exist for this nexus? For task management. */
	bool (*lun_exists)(void *host, const uint8_t lun[8]);
	/* Does a unit attention condition or a deferred error wait for this nexus and LUN? Its
	 * sense key, additional sense code and qualifier. For QUERY ASYNCHRONOUS EVENT. */
	bool (*attention)(void *host, const uint8_t lun[8], uint8_t ret_sense[3]);
	/* How many commands more may the window be open for (ring slots)? */
	uint32_t (*room)(void *host);
	/* The text of SendTargets for this initiator: "TargetName=…\0TargetAddress=…\0…"; `which`
	 * is "All", "" or a target's name. Returns its length; *ret_text stays the host's. */
	size_t (*send_targets)(void *host, const char *which, const char **ret_text);
};

int iscsi_open(const struct iscsi_limits *limits, uint16_t portal_group,
	       const struct iscsi_host *ops, void *host, struct iscsi **ret_iscsi) MUST_CHECK;
/* Cancels every task; those that still run must have ended (iscsi_tasks_running() == 0). */
void iscsi_close(struct iscsi *i);
struct iscsi_connection *iscsi_leading(const struct iscsi *i); /* the first that it has */
void iscsi_cancel_all(struct iscsi *i); /* the session is over: nothing is sent any more */
unsigned iscsi_tasks_running(const struct iscsi *i);

size_t iscsi_rx_space(struct iscsi_connection *c, struct iovec iov[],
		      size_t max); /* entries; 0: not now */
void iscsi_received(struct iscsi_connection *c, size_t len, uint64_t now_ms);
size_t iscsi_tx(struct iscsi_connection *c, struct iovec iov[], size_t max); /* entries */
void iscsi_sent(struct iscsi_connection *c, size_t len);
bool iscsi_tx_waiting(const struct iscsi_connection *c);
void iscsi_tick(struct iscsi *i, uint64_t now_ms);
uint64_t iscsi_next_tick(const struct iscsi *i); /* 0: none */
/* Nothing has come for a while: where nothing is in its buffers, their memory goes back to the
 * system. */
void iscsi_rest(struct iscsi *i);
/* Something that room() depends on has changed: opens the window, sends a NOP-In if it was shut. */
void iscsi_room_changed(struct iscsi *i);

/* Over: send what iscsi_tx() still has, then close. `ret_detail`: a sentence, escaped. */
enum iscsi_end iscsi_ended(const struct iscsi_connection *c, const char **ret_detail);
/* The transport is closed. The connection is gone when this returns; its tasks have ended or wait
 * for another connection (ErrorRecoveryLevel 2). */
void iscsi_disconnected(struct iscsi_connection *c);
/* No connection, and none that could come back. */
bool iscsi_is_over(const struct iscsi *i);
bool iscsi_is_full_feature(const struct iscsi *i);
unsigned iscsi_connections(const struct iscsi *i);   /* in the full-feature phase */
uint8_t iscsi_protocol_level(const struct iscsi *i); /* agreed on: RFC 7144 section 7.1.1 */
/* Our CHAP response was sent: who leaves from here on did not accept it. */
bool iscsi_proof_sent(const struct iscsi_connection *c);

/* Answers to the host's questions in login. */
void iscsi_chap_challenge(struct iscsi_connection *c, uint32_t algorithm, uint8_t id,
			  const uint8_t *challenge, size_t len);
/* What the target of this login offers, instead of what iscsi_open() was given: before the
 * operational stage. */
int iscsi_set_limits(struct iscsi *i, const struct iscsi_limits *limits) MUST_CHECK;
/* In full-feature phase: from its next ping on. */
void iscsi_set_ping(struct iscsi *i, uint32_t every_ms, uint32_t misses);
/* Name and response of ours go out with the next response; response_len 0: one-way. */
void iscsi_chap_accepted(struct iscsi_connection *c, const char *name, const uint8_t *response,
			 size_t len);
void iscsi_login_refuse(struct iscsi_connection *c, uint16_t status); /* 0x0201 … */
/* 0x0101 or 0x0102: the target is at `address` ("192.0.2.1:3260", "[2001:db8::1]:3260"). */
void iscsi_login_redirect(struct iscsi_connection *c, uint16_t status, const char *address);
/* Instead of iscsi_login_granted(), when the login is to join a session (its TSIH is not 0): what
 * that session needs. Nothing more is read. -EPROTO: octets came that belong to no login. */
int iscsi_handover(struct iscsi_connection *c, struct iscsi_handover *ret_state) MUST_CHECK;
/* The other end of it, in the session: a new connection, or one in the place of the same CID; its
 * last Login Response is queued, or a refusal. -EINVAL: that is no login of this session; -EMFILE,
 * -ENOMEM: no place. */
int iscsi_adopt(struct iscsi *i, const struct iscsi_handover *state,
		struct iscsi_connection **ret_connection) MUST_CHECK;
void iscsi_login_granted(struct iscsi_connection *c, const struct iscsi_grant *grant);
/* At any time: the window opens for so many commands at once, at most (0: as many as were granted).
 * It never moves back: what it was open for may still come. */
void iscsi_set_outstanding(struct iscsi *i, uint32_t outstanding);

/* Data-out of `bytes` octets (at most EDTL of it comes): 0 when it is all there already, -EAGAIN:
 * data_arrived() follows. -EMSGSIZE: more than a task can hold. */
int iscsi_task_want(struct iscsi *i, struct iscsi_task *task, size_t bytes) MUST_CHECK;
/* Room for data-in: 0, -EAGAIN: buffer_ready() follows, -EMSGSIZE. Its content is not set. */
int iscsi_task_buffer(struct iscsi *i, struct iscsi_task *task, size_t bytes) MUST_CHECK;
void iscsi_task_respond(struct iscsi *i, struct iscsi_task *task, const struct iscsi_response *r);
void iscsi_task_end(struct iscsi *i, struct iscsi_task *task); /* after cancel() returned false */

/* What manage() said 1 to may be carried out, or (well: false) not any more. False: it was not. */
bool iscsi_tmf_recorded(struct iscsi *i, unsigned slot, bool well);
/* Every other session has done what a spread() asked for. */
void iscsi_tmf_spread_done(struct iscsi *i, unsigned slot);
/* Another nexus has ended the tasks of this LUN: they end without a response. */
void iscsi_abort_lun(struct iscsi *i, const uint8_t lun[8]);
/* The same with TASK ABORTED for each that has no status yet, when the data that is owed to it has
 * come. What waits for its turn (CmdSN) was not there yet. */
void iscsi_abort_lun_told(struct iscsi *i, const uint8_t lun[8]);

/* Asynchronous message 1: please log out within `seconds` (RFC 7143 section 11.9). */
void iscsi_ask_logout(struct iscsi *i, uint16_t seconds);
/* Asynchronous message 3: all connections of this session are being closed. */
void iscsi_say_dropped(struct iscsi *i);

/* The channel between the monitor and one session: what the session claims, what the
 * monitor grants. Everything from the session is hostile to the monitor; everything
 * from the monitor is trusted by the session. */
#pragma once

#include "gateway/base/address.h"
#include "gateway/base/channel.h"
#include "gateway/base/iscsi_name.h"
#include "gateway/scsi/command_set.h"
#include "gateway/base/limit_values.h"

enum session_message {
	SESSION_INVALID,
	/* monitor to session */
	SESSION_START,	 /* struct session_start: the first message */
	SESSION_PERMIT,	 /* struct session_permit: CHAP and the policy agree; finish the login */
	SESSION_REFUSE,	 /* struct session_verdict: answer this status and close */
	SESSION_TARGETS, /* fd: sealed memfd, the text of SendTargets for this initiator */
	SESSION_LUN, /* struct session_lun; fd: the disk. After PERMIT, before GRANT; and later, one
		      * more, or one that it may write from now on, or not any more */
	SESSION_RULES,	  /* struct session_rules: what it may not do with them. Before GRANT; and
			   * later,    in force at once */
	SESSION_AUDIT,	  /* fd: socket to the auditor; before the grant, and when a new one has
			     started */
	SESSION_ARBITER,  /* fd: channel to the arbiter; as SESSION_AUDIT. Its page is set up */
	SESSION_GRANT,	  /* struct session_grant: after PERMIT, TARGETS, AUDIT, ARBITER and LUNs */
	SESSION_ADOPT,	  /* struct session_join; fd: its socket. A connection joins this session */
	SESSION_LOGOUT,	  /* struct session_logout: ask the initiator to log out, then end */
	SESSION_SETTINGS, /* struct session_settings: others than those of its login */
	SESSION_LIMITS,	  /* struct session_limits: of a LUN, or of all together. Before GRANT, and
			     when they change */
	SESSION_RECORDS,  /* struct session_records: as SESSION_RULES */
	SESSION_TLS, /* struct session_tls; fd: sealed memfd of chain, client CAs and CRLs. Right
		      * after START when that says so; and later, when any of it has changed: what
		      * it was shown is checked again */
	SESSION_PROXY_TAKEN, /* what the proxy said counts: go on. Without it, no more is read */
	/* session to monitor */
	SESSION_CLAIM,	    /* struct session_claim, once: the names, before CHAP is answered */
	SESSION_ENTER,	    /* once: CHAP and negotiation are done, the grant is needed */
	SESSION_JOIN,	    /* struct session_join, once, instead of ENTER when its TSIH is not 0 */
	SESSION_REPORT,	    /* struct session_report: what ended a login or the session */
	SESSION_REFUSING,   /* struct session_report, once: a login that the session itself refuses;
			     * its answer waits for SESSION_REFUSE, whatever that says */
	SESSION_LUN_FAILED, /* struct session_lun_failed */
	SESSION_CONNECTIONS, /* struct session_connections: how many it has has changed */
	SESSION_CERTIFICATE, /* struct session_certificate, once, before CLAIM: on a TLS portal */
	SESSION_PROXIED,     /* struct session_proxied, once, before all but the first REPORT: when
			      * START     says that a header comes */
};

/* Descriptors that the monitor gives to the process: 3 its channel, 4 the connection, 5 its channel
 * to the authenticator, 6 the lifeline's end, 7 the audit ring, 8 its page (read-only), 9 the
 * arbiter's page (read-only), 10 its own page for the arbiter; the last four are mapped before the
 * sandbox closes, so that no descriptor can be mapped after it. */
enum session_fd {
	SESSION_FD_MONITOR = 3,
	SESSION_FD_SOCKET,
	SESSION_FD_AUTH,
	SESSION_FD_LIFELINE,
	SESSION_FD_RING,
	SESSION_FD_PAGE,
	SESSION_FD_ARBITER,
	SESSION_FD_OWN,
};
#define SESSION_FDS 8

struct session_start {
	uint32_t connection;
	uint32_t login_timeout_ms;
	struct endpoint peer, local;
	uint32_t portal_group;
	uint32_t io;	/* enum engine_kind */
	uint32_t flags; /* SESSION_START_… */
};

#define SESSION_START_TLS (1u << 0) /* SESSION_TLS follows; nothing is read without it */

#define SESSION_START_PROXIED (1u << 1) /* a proxy's header comes before all else */

#define SESSION_TLS_ALLOW_12 (1u << 0)
#define SESSION_TLS_JOINS    (1u << 1) /* an invitation is open: who has no certificate may join */

/* The memfd: DER, each with its length in 4 octets before it, big-endian; our chain leaf first. */
struct session_tls {
	uint32_t flags;
	uint32_t identity; /* as in struct auth_connection */
	uint32_t chain_len, ca_len, crl_len;
	uint32_t reserved;
};

#define SESSION_TARGETS_MAX 1000000u /* octets of that text: a text answer may hold 1 MiB */

/* What the handshake came to. The session has checked the certificate's chain, time, purpose and
 * that it is not revoked; whose it may be, the monitor decides. */
#define SESSION_CERTIFICATE_NAMES    4
#define SESSION_CERTIFICATE_LINKS    4
#define SESSION_CERTIFICATE_SENDS    (1u << 0) /* the kernel encrypts what is sent */
#define SESSION_CERTIFICATE_RECEIVES (1u << 1)
struct session_certificate {
	uint32_t version;	 /* 0x0304, 0x0303 */
	uint32_t ktls;		 /* bits SESSION_CERTIFICATE_… */
	uint8_t fingerprint[32]; /* SHA-256 of it */
	uint8_t serial_len;	 /* 0 to 20 */
	uint8_t serial[20];
	uint8_t reserved[3];
	int64_t not_after_s;					/* since 1970 */
	uint32_t name_count;					/* URI SANs iscsi:NAME */
	char names[SESSION_CERTIFICATE_NAMES][ISCSI_NAME_SIZE]; /* as they stand there */
	char cipher[48], group[24];
	uint32_t link_count;
	/* Of its chain: marks of who issued each, and of itself, as struct tls_link. */
	uint8_t links[SESSION_CERTIFICATE_LINKS][2][16];
};

/* Who a proxy says that it is. */
struct session_proxied {
	uint32_t local; /* 1: the proxy itself; then there are no addresses */
	struct endpoint source, dest;
};

struct session_claim {
	uint32_t discovery; /* 1: a discovery session, no target */
	uint16_t cid, tsih;
	uint8_t isid[6];
	uint8_t reserved[2];
	char initiator[ISCSI_NAME_SIZE]; /* as the initiator wrote it, cut to fit; not normalised */
	char target[ISCSI_NAME_SIZE];
};

#define SESSION_DIGESTS_REQUIRED (1u << 0)
#define SESSION_INITIAL_R2T	 (1u << 1)
#define SESSION_IMMEDIATE_DATA	 (1u << 2)

/* What is offered in the negotiation: the keys of the target, or defaults for discovery. */
struct session_permit {
	uint32_t flags;
	uint32_t first_burst, max_burst; /* octets */
	uint32_t max_r2t, queue_depth, max_connections, error_recovery;
	uint32_t ping_every_ms, ping_misses;
	uint32_t reserved;
};

struct session_verdict {
	uint32_t status; /* login status class and detail, 0203h as 0x0203 */
	uint32_t reserved;
	char redirect[ADDRESS_TEXT]; /* with 0101h: "ADDRESS:PORT" */
};

/* A login that joins another process's session: opaque to the monitor, which passes it on. */
#define SESSION_JOIN_STATE 2076
struct session_join {
	uint8_t state[SESSION_JOIN_STATE]; /* struct iscsi_handover */
};

#define SESSION_LUN_WRITABLE   (1u << 0)
#define SESSION_LUN_ROTATIONAL (1u << 1)
#define SESSION_LUN_MEMORY     (1u << 2)
#define SESSION_LUN_THIN       (1u << 3)
#define SESSION_LUN_REMOVABLE  (1u << 4)
#define SESSION_LUN_DURABLE    (1u << 5) /* every write is, when it is answered: WCE=0 */
#define SESSION_LUN_WAITS      (1u << 6) /* it may write, but for another initiator that does */

struct session_lun {
	uint16_t lun;
	uint16_t reserved_2;
	uint32_t flags;
	uint32_t block_size, physical_block_size;
	uint32_t rule_line;  /* the policy line that makes it read-only, for the gate's denials */
	uint32_t shared;     /* its row in the arbiter's page */
	uint64_t size_bytes; /* a multiple of block_size */
	uint8_t naa[16];     /* of the disk's UUID (NAA 3h, locally assigned) or the policy's */
	uint8_t naa_len;     /* 8 or 16 */
	char serial[37];     /* the UUID as text, or the policy's */
	char vendor[9], product[17]; /* "": the gateway's own */
	char disk[64];		     /* the policy's name of it */
};

/* What the policy denies to this initiator, and what it allows of what is off. */
#define SESSION_RANGES_MAX 16
struct session_rules {
	struct command_set denied, allowed;
	uint32_t denied_line, allowed_line;
	uint32_t range_count, reserved;
	struct session_range {
		uint64_t first, last; /* blocks, both ends included */
		uint32_t line;
		int16_t lun; /* -1: of all */
		uint16_t reads;
	} ranges[SESSION_RANGES_MAX];
};

/* What the audit has of its commands, and what they wait for: enum durability. */
#define SESSION_RECORDS_LUNS 256
struct session_records {
	uint8_t writes_only;  /* reads are not recorded */
	uint8_t outcomes_all; /* a second record of what ended well, too */
	uint8_t durability;   /* of commands to no LUN */
	uint8_t reserved[5];
	uint8_t luns[SESSION_RECORDS_LUNS];
};

/* Without it there is no limit. A LUN need not have come yet. */
struct session_limits {
	int32_t lun;	 /* -1: of all together */
	uint32_t shares; /* sessions of this initiator that have them together, this one included */
	struct limit_values values;
};

/* A target port group of the target by which this initiator may come: a portal group. */
#define SESSION_GROUPS_MAX 8
struct session_group {
	uint64_t port; /* arbiter_port_id() */
	uint16_t tag;
	uint16_t reserved[3];
};

struct session_grant {
	uint32_t discovery; /* 1: no ring, no LUNs */
	uint16_t tsih, relative_port;
	uint32_t lun_count;
	uint32_t queue_depth;
	uint16_t attention; /* ASC and ASCQ of the unit attention that it begins with; 0: none */
	uint16_t reserved[3];
	uint64_t nexus;					 /* arbiter_nexus_id() */
	struct session_group groups[SESSION_GROUPS_MAX]; /* its own first; tag 0: no more */
	char target[ISCSI_NAME_SIZE];			 /* normalised */
	char initiator[ISCSI_NAME_SIZE];		 /* normalised */
	char alias[256];
};

struct session_settings {
	uint32_t ping_every_ms, ping_misses;
};

struct session_logout {
	uint32_t seconds;
	uint32_t reserved;
};

enum session_end {
	SESSION_END_INVALID,
	SESSION_END_LOGOUT,	      /* asked for by the initiator */
	SESSION_END_LEFT,	      /* the peer closed the connection */
	SESSION_END_LEFT_AFTER_PROOF, /* … in the login, after it saw our CHAP response */
	SESSION_END_MALFORMED,	      /* detail says what */
	SESSION_END_LOGIN_TIMEOUT,
	SESSION_END_REFUSED, /* a login status of ours was answered; detail says which */
	SESSION_END_DIGEST,
	SESSION_END_SILENT,	   /* pings were not answered */
	SESSION_END_TOLD,	   /* the monitor asked */
	SESSION_END_FAILED,	   /* our own failure */
	SESSION_END_UNAVAILABLE,   /* a login that waited for one of our processes in vain */
	SESSION_END_TLS,	   /* detail is the reason's word, then ": " and a sentence */
	SESSION_END_PROXY_MISSING, /* no header came where one was due; as the next: detail says */
	SESSION_END_PROXY_MALFORMED,
	SESSION_END_PROXY_STRANGER, /* one came where none was due */
	SESSION_ENDS
};

struct session_report {
	uint32_t end;		 /* enum session_end */
	uint32_t sandbox_layers; /* with end 0: the first report, when the sandbox is closed */
	uint64_t commands, read_bytes, written_bytes;
	char detail[128]; /* raw peer text may be in it */
};

struct session_lun_failed {
	uint16_t lun;
	uint16_t reserved;
	int32_t error; /* errno, positive */
	uint64_t lba;
};

/* 1 when it is granted. At ErrorRecoveryLevel 2 it may have none for a while. */
struct session_connections {
	uint32_t count;
	uint32_t reserved;
};

extern const struct message_spec session_inbox[], session_outbox[];
extern const size_t session_inbox_len, session_outbox_len;

struct tls_ops;
/* main() of both programs: `PROGRAM internal session SIZE`, where SIZE is the largest disk's in
 * octets, beyond which no file may be written. `tls` NULL: for plain portals. Its exit code. */
int session_program(int argc, char **argv, const struct tls_ops *tls);

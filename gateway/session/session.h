/* The session process: one connection, one thread, one event loop. It wires the iSCSI
 * core to the device server, the transport to the core, and speaks with the monitor,
 * the authenticator and the auditor. It reads the network, so it holds no secret, and
 * before the grant no disk. */
#pragma once

#include "auth/auth.h"
#include "backends/backend.h"
#include "gateway/arbiter/arbiter.h"
#include "gateway/audit/ring.h"
#include "gateway/base/loop.h"
#include "gateway/iscsi/iscsi.h"
#include "gateway/scsi/scsi.h"
#include "gateway/session/messages.h"
#include "gateway/tls/tls.h"
#include "gateway/session/proxy.h"

struct session;

/* A SCSI command: the core's task of the same slot, the device's state of it. */
struct command {
	struct session *s;
	struct iscsi_task *task;
	struct scsi_task scsi;
	bool cancelled;
};

/* Between the arbiter and our LUNs; bits are LUNs. */
struct spreads {
	uint64_t aborts[ARBITER_LUNS / 64];	 /* somebody ended their tasks: still to do */
	uint64_t with_status[ARBITER_LUNS / 64]; /* … and they are told so */
	struct iscsi_tmf_request queue[ISCSI_TASKS_MAX]; /* of ours, for the others; oldest first */
	unsigned count;
	bool asked; /* the first of them */
	uint32_t id;
};

/* Task management that waits for its record. */
struct managed {
	struct iscsi_tmf_request request;
	uint64_t mark;
};

/* One connection and its socket. */
struct transport {
	struct session *s;
	struct iscsi_connection *c; /* NULL: a free place */
	struct watch socket;
	struct timer last_words;
	struct timer again;    /* there is more to read, of which the socket tells nothing */
	struct tls *tls;       /* NULL: plain */
	uint32_t shake_events; /* not 0: the handshake goes on, and waits for these */
	uint8_t looked;	       /* at its first octets: as many are TLS's */
	bool left;	       /* nothing more is read or sent */
};

/* One that is opened again may still be closing. */
#define TRANSPORTS_MAX (2 * ISCSI_CONNECTIONS_MAX)

struct session {
	struct loop *loop;
	struct session_start start;
	struct channel monitor, auth;
	struct watch monitor_watch, auth_watch, engine_watch, audit_watch;
	struct timer login_timer, grace_timer, tick_timer, end_timer, audit_timer, limits_timer;
	struct timer engine_timer, rest_timer;

	struct iscsi *iscsi;
	struct iscsi_limits limits;	  /* as the monitor permits */
	struct iscsi_connection *leading; /* that this process was started for; NULL: closed */
	struct engine *engine;
	struct audit_ring ring;
	struct arbiter_view arbiter;
	struct channel arbiter_channel; /* fd -1: there is no arbiter now */
	struct watch arbiter_watch;
	struct spreads spreads;
	struct managed managed[ISCSI_TASKS_MAX]; /* oldest first */
	unsigned managed_count;
	struct scsi_nexus nexus;
	struct command commands[ISCSI_TASKS_MAX];

	struct watch first; /* until its transport has the socket: first.c */
	struct proxy_header header;

	const struct tls_ops *tls_ops; /* NULL: the program for plain portals */
	int layers;
	bool started, discovery, joins; /* joins: another process has its session */
	bool asked, have_result; /* the authenticator: its answer is due, it said who it is */
	bool permitted;		 /* by the monitor: both are needed to accept CHAP */
	bool unavailable;	 /* one of our processes is away */
	bool refusing;		 /* the monitor was told that we refuse this login */
	bool refusal_known;	 /* its record is durable, or will not be: it may be answered */
	bool ruled;		 /* it knows what the policy denies */
	bool granted;
	unsigned connections; /* as the monitor knows */
	struct auth_result result;
	struct backend *replaced[BACKENDS_MAX]; /* they end what they have */
	unsigned replaced_count;
	/* A TLS portal: what the handshake is made with, and what its certificate is looked at with
	 * since; NULL: plain, the same. */
	struct tls_context *tls, *tls_fresh;
	struct tls_signer signer;
	struct timer certificate_timer;
	int64_t not_after_s; /* of the initiator's certificate; 0: no handshake yet */

	char *targets; /* the text of SendTargets */
	size_t targets_len;

	struct transport transports[TRANSPORTS_MAX];
	enum session_end last_end; /* of the connection that was closed last */
	char last_detail[128];

	bool ending, cancelled;
	enum session_end end;
	char end_detail[128];
	uint64_t command_count, read_bytes, written_bytes;
	/* command_count when the rest timer was set, and when it gave buffers back. */
	uint64_t watched_count, rested_count;
};

/* Something ended this session: what is composed is sent, running I/O ends, a report is made. */
void session_end(struct session *s, enum session_end end, const char *detail);
void session_tell(struct session *s, uint32_t type, const void *body, size_t size);
/* SESSION_REPORT or SESSION_REFUSING */
void session_report(struct session *s, uint32_t type, enum session_end end, const char *detail);

/* host_login.c: the host's side of the login, messages of monitor and authenticator */
void host_names(void *host, const struct iscsi_names *names);
void host_chap_offer(void *host, const uint32_t *algorithms, size_t count);
void host_chap_proof(void *host, const struct iscsi_chap_proof *proof);
void host_enter(void *host);
int host_watch(struct session *s) MUST_CHECK; /* opens both channels, listens to the monitor */

/* host_grants.c: what the monitor grants, at the login and later */
void host_lun_take(struct session *s, struct message *m);
void host_rules_take(struct session *s, struct message *m);
void host_records_take(struct session *s, struct message *m);
void host_settings_take(struct session *s, struct message *m);
void host_targets_take(struct session *s, struct message *m);
void host_backends_turn(struct session *s); /* closes those that were replaced and are idle */

/* host_enrol.c: who joins: its connection is over when this returns */
void host_enrol(struct transport *t);

/* host_tls.c: the handshake's side of the host, and the room gateway/tls. Both are in the program
 * for portals with TLS alone: what a plain portal's session has not, nobody attacks there, and
 * nobody pays for. */
struct tls_ops {
	void (*take)(struct session *s, struct message *m);
	int (*open)(struct transport *t);
	void (*shake)(struct transport *t); /* goes on with the handshake */
	void (*too_long)(struct session *s);
	/* How long the handshake may take, of the time that a login has. */
	uint32_t (*patience_ms)(const struct session *s);
	/* Why it has ended, as a report has it: the reason's word and a sentence. */
	void (*detail)(const struct tls *tls, char *ret, size_t size);
	/* As gateway/tls/tls.h has them. */
	ssize_t (*receive)(struct tls *t, const struct iovec *iov, size_t count);
	ssize_t (*send)(struct tls *t, const struct iovec *iov, size_t count);
	bool (*has_more)(const struct tls *t);
	bool (*unsent)(const struct tls *t);
	int (*flush)(struct tls *t);
	enum tls_reason (*reason)(const struct tls *t);
	int (*close)(struct tls *t);
	void (*free)(struct tls *t);
};
extern const struct tls_ops session_tls_ops;

/* host_limits.c */
void host_limits_take(struct session *s, struct message *m);
void host_limits_wake(struct session *s); /* sets the timer for who waits for a limit */

/* host_commands.c: the host's side of full-feature phase */
void host_command(void *host, struct iscsi_task *task);
void host_data_arrived(void *host, struct iscsi_task *task);
void host_buffer_ready(void *host, struct iscsi_task *task);
bool host_cancel(void *host, struct iscsi_task *task);
void host_finished(void *host, struct iscsi_task *task);
/* Those whose turn has come, SAM-5 section 8; false: there were none. */
bool host_start_waiting(struct session *s);
bool host_lun_exists(void *host, const uint8_t lun[8]);
bool host_attention(void *host, const uint8_t lun[8], uint8_t ret_sense[3]);
uint32_t host_room(void *host);
size_t host_send_targets(void *host, const char *which, const char **ret_text);

/* host_manage.c: task management, and who waits for the audit */
int host_manage(void *host, const struct iscsi_tmf_request *request) MUST_CHECK;
void host_audit_moved(struct session *s); /* the auditor did something, or is gone */
void host_manage_drop(struct session *s); /* the session is lost: what waits is not carried out */

/* host_arbiter.c: what other sessions do to our LUNs, and we to theirs */
void host_arbiter_take(struct session *s, struct message *m); /* a (new) arbiter's channel */
bool host_spread(void *host, const struct iscsi_tmf_request *request);
void host_end_tasks(void *host, const struct scsi_lun *lun, bool with_status);
void host_arbiter_turn(struct session *s);  /* ends tasks, says what the device server has to say */
void host_arbiter_say(struct session *s);   /* the latter alone */
void host_arbiter_leave(struct session *s); /* nothing runs any more, and nothing will */
void host_arbiter_drop(struct session *s);  /* the session is lost: nobody waits for an answer */

/* first.c: what comes before the transport, a proxy's header; then the transport has the socket */
int first_open(struct session *s) MUST_CHECK;
void first_taken(struct session *s, struct message *m); /* the monitor's word: go on */

/* transport.c: the sockets */
/* The descriptor is the transport's from here on, whatever becomes of it. */
int transport_open(struct session *s, int fd, struct iscsi_connection *c) MUST_CHECK;
void transports_turn(struct session *s);       /* sends, reads again when there is room, closes */
bool transports_open(const struct session *s); /* is there any? */
void transports_leave(struct session *s);      /* at once: the next turn closes them */

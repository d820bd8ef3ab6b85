/* The monitor process: accepts connections (and never reads one), starts every other
 * process, opens disks, decides logins by the policy, and grants. It is the only
 * process that knows everything and the one that touches no byte of the network.
 * What sessions say is a claim; who somebody is, the authenticator says. */
#pragma once

#include <jansson.h>
#include "auth/auth.h"
#include "auth/penalties.h"
#include "auth/strengths.h"
#include "backends/disk.h"
#include "gateway/arbiter/arbiter.h"
#include "gateway/audit/auditor.h"
#include "gateway/audit/ring.h"
#include "gateway/base/address.h"
#include "gateway/base/channel.h"
#include "gateway/base/loop.h"
#include "gateway/base/process.h"
#include "gateway/monitor/algorithms.h"
#include "gateway/monitor/grants.h"
#include "gateway/monitor/locked.h"
#include "gateway/monitor/portal_tls.h"
#include "gateway/monitor/proxied.h"
#include "gateway/monitor/shares.h"
#include "gateway/session/messages.h"
#include "policy/diff.h"
#include "policy/firewall.h"
#include "policy/policy.h"

#define PER_SOURCE_MAX	  64	/* connections of one address block (never loopback) */
#define REINSTATE_WAIT_MS 10000 /* for the lifeline of the session that a login replaces */
#define EVENTS_QUEUED_MAX 1024
#define NO_PORTAL	  (SIZE_MAX - 1) /* an index that no policy has; SIZE_MAX is any */
#define ERRNO_MAX	  4095

enum helper_kind { HELPER_AUDITOR, HELPER_AUTHENTICATOR, HELPER_FIREWALL, HELPER_ARBITER, HELPERS };

struct helper {
	struct monitor *m;
	enum helper_kind kind;
	pid_t pid; /* 0: not running */
	struct watch process, messages;
	struct channel channel;
	struct timer restart;
	bool ready, stopping;
	unsigned deaths;
	unsigned silent; /* the arbiter: so many times it was asked whether it is there */
	bool keeps;	 /* … and it said last that it is about to write its journal */
	uint64_t started_ms;
	uint32_t layers;
	char why[512]; /* what is not well with it, "" when nothing */
};

enum connection_state {
	CONN_FREE,
	CONN_WAITING, /* accepted; its first byte has not come, or no login slot is free */
	CONN_ASKING, /* … it is there: the firewall process is asked whether it is within IPsec */
	CONN_LOGIN,  /* a session process has it */
	CONN_PERMITTED, /* CHAP and policy said yes */
	CONN_ENTERING,	/* waits: for an older session's lifeline, for the audit */
	CONN_GRANTED,
	CONN_ENDING, /* its process is over or was told to end; the lifeline may be open */
};

/* Where a session stands with the arbiter. */
enum seat_state {
	SEAT_NONE,
	SEAT_WANTED, /* to be attached, when there is an arbiter and room in its channel */
	SEAT_ASKED,
	SEAT_TAKEN,
	SEAT_LEFT, /* over: the arbiter is to be told */
};

/* A LUN of a session: by value, since a session may outlive the policy that granted it. */
struct granted_lun {
	uint16_t lun, row; /* row: of its disk */
	bool may;	   /* write, by the policy */
	bool writable;	   /* now: it may, and nobody else writes */
	bool told;	   /* the session has its descriptor */
	bool is_new;	   /* … it is to get it: since its login it may have, or write, the LUN */
	bool counted;	   /* among the row's writers */
	uint32_t line;	   /* of the policy */
	struct limit_values rates;
	struct limits_told rates_told;
};

struct connection {
	struct monitor *m;
	uint32_t id;
	enum connection_state state;
	struct endpoint peer, local;
	struct behind behind;
	size_t portal; /* its index in the policy, or NO_PORTAL */
	char portal_name[POLICY_NAME_SIZE];
	uint16_t portal_tag;
	uint64_t since_ms;
	bool readable; /* its first byte is there */
	bool asked;    /* CONN_ASKING: the firewall process has the question */
	bool covered;  /* … and said yes */
	bool named;    /* from loopback, or an address that the policy names */

	struct watch socket; /* CONN_WAITING only; then the session's alone */
	struct watch process, messages, lifeline;
	pid_t pid;
	struct channel channel;
	struct timer timer;
	int ring_fd, page_fd, own_fd;
	int kept_fd;		    /* of its socket, until the grant: a join passes it on */
	struct connection_tls *tls; /* on a portal with TLS; or NULL */
	struct session_join *join;  /* of a login whose TSIH is not 0; or NULL */

	bool claimed, judged, refused, reported;
	bool outdated; /* another policy is in force than the one that permitted it, and differs */
	bool attached; /* an auditor has, or had, its ring */
	bool reattach; /* … and the new one has it not yet */
	enum seat_state seat;
	bool seat_old;	     /* an arbiter that died had it */
	bool seat_more;	     /* it is to hear of more that the session has */
	unsigned seat_asked; /* answers of the arbiter that are to come */
	struct session_claim claim;
	char user[256];
	uint8_t algorithm;
	uint8_t secret;				  /* enum auth_secret */
	const struct policy_target *target;	  /* of the policy; or NULL, also when it is */
	const struct policy_initiator *initiator; /* … being ended, and there is none any more */
	char target_name[ISCSI_NAME_SIZE], initiator_name[ISCSI_NAME_SIZE];
	uint16_t tsih;
	uint64_t event_id; /* the login's event: granted when it is durable */
	uint64_t flush_id; /* its ring is given up when this flush is done; 0: not asked */
	uint64_t commands, read_bytes, written_bytes;
	struct limit_values rates; /* of all its LUNs together */
	struct limits_told rates_told;
	uint32_t shares;	  /* sessions of its initiator, here */
	struct granted_lun *luns; /* in order of LUN; from its seat at the arbiter on */
	size_t lun_count;
	uint16_t groups[SESSION_GROUPS_MAX]; /* its target port groups: target_groups() */
	uint64_t rules_hash, records_hash, targets_hash; /* of what it was told last */
	bool sets_groups;				 /* it may set their access state */
	unsigned heard;					 /* messages of its session */
	unsigned joined;				 /* connections that were passed to it */
	uint32_t connections;				 /* that it has, in its own word */
	char ended[64], detail[128]; /* why, for the audit; the detail is the session's word */
	bool logged_out;	     /* its initiator did */
	bool refusal_waits;	     /* to be told, until its event is durable */
	uint64_t refusal_id;
	struct session_verdict refusal;
	bool decoy;	 /* its names were one that nobody has */
	bool by_threads; /* its I/O is, because a ring could not be had */
};

struct listener {
	struct monitor *m;
	struct watch watch;
	struct endpoint endpoint;
	size_t portal;			   /* index in the policy */
	char through[INTERFACE_NAME_SIZE]; /* the interface that it is bound to, or "" */
	unsigned index;			   /* … and its number then: another has another */
	struct listener *next;
};

/* A disk that is served. Its row is its index in the arbiter's page, for as long as any session
 * has it. */
struct monitor_disk {
	uint16_t row;
	bool leaves; /* the policy has it no more: its row is given back when no session has it */
	bool known;  /* the arbiter has it */
	struct disk disk;
	bool found_thin, found_rotational; /* before the policy's own word */
	struct policy_disk policy;	   /* without what is behind pointers */
	char serial[37];		   /* its UUID, which the state folder keeps */
	struct policy_identity told; /* what initiators hear: the policy's, or from the UUID */
	struct arbiter_summary
		shared;		 /* the arbiter's last word: which disks failed is its to say */
	int error;		 /* 0: well; else what disk_check() or a login said, -errno */
	int said;		 /* errno that a session told of last */
	int checked;		 /* what the first of these said last */
	bool grew;		 /* since the start */
	bool low;		 /* little room is left below it */
	bool has_news, tell_low; /* that the arbiter has not heard yet */
	unsigned writers;
	char writer[ISCSI_NAME_SIZE]; /* who has its write slot; "": nobody */
	uint64_t writer_until_ms;     /* … without a session; 0: it has one */
};

/* A disk of a policy on its way to being served. */
struct disk_plan {
	struct monitor_disk *row;   /* one that is served already; NULL: it is a new one */
	struct monitor_disk *fresh; /* the new one, claimed; its row is kept free */
	char serial[37];
	struct policy_identity told;
};

/* An endpoint of a policy: one of the two is there. */
struct listener_plan {
	struct listener *kept;	/* it is listened on already */
	struct listener *fresh; /* bound, and not accepting */
	size_t portal;
};

/* A policy, and what is made of it before it is in force. All that can fail is done first, and can
 * be undone. */
struct setup {
	struct policy *policy;
	struct disk_plan *disks; /* of each disk of the policy */
	uint16_t *disk_rows;	 /* of each of them */
	uint16_t *portal_tags;	 /* of each portal: its group's */
	struct portals_tls tls;
	struct listener_plan *listeners;
	size_t listener_count;
	json_t *identities; /* the file as it is to be */
	json_t *identities_before;
	const json_t
		*identities_restored; /* of the policy that comes back, the caller's; or NULL */
	bool identities_written;
	bool goes_back; /* it was in force before: a disk that grew meanwhile stays as it is */
	FILE *messages; /* what is wrong, for who asked; NULL: the log alone has it */
};

/* Refusals of one source: beyond 20 a minute they are counted, not listed. */
#define NOISY_SOURCES 256
struct noisy_source {
	struct network source;
	uint64_t since_ms;
	uint32_t listed, counted;
};

/* Who reads the trail's files has them flushed first. Rounds are counted: done, and wanted. */
struct flush_rounds {
	uint64_t done, wanted;
	uint64_t sent_id; /* of the flush that is under way; 0: none is */
};

/* Events on their way to the auditor: kept until it says that they are durable. */
struct trail {
	struct audit_event queue[EVENTS_QUEUED_MAX]; /* by id modulo its length */
	uint64_t next_id, sent, written; /* ids: next to give, next to send, durable up to */
	uint64_t lost;
	uint64_t flush_id, flushed;
	struct auditor_flushed durable; /* the trail at that flush */
	struct flush_rounds rounds;
	uint32_t state; /* enum audit_state */
	uint64_t records, segment;
	struct auditor_status told; /* the auditor's last word of itself */
	bool settings_unsent;	    /* the auditor has not heard of the policy in force */
	bool rings_unsent;	    /* … that it has all rings */
	uint64_t shown;		    /* the epoch whose key somebody was shown last; 0: none */
	struct noisy_source noisy[NOISY_SOURCES];
};

/* I_T nexuses that had a session in this run, in a ring. */
#define NEXUSES_KNOWN 4096
struct nexuses {
	uint64_t ids[NEXUSES_KNOWN]; /* arbiter_nexus_id() */
	uint32_t count;
	uint32_t next; /* where the next is put */
};

/* What became of the firewall's rules since they were loaded. */
struct drift {
	bool standing; /* they are not as they were loaded */
	bool blind;    /* they can't be read */
	uint32_t times;
	int64_t found_s;    /* the last one: since 1970 */
	uint64_t mended_ms; /* … and when it was over */
	uint64_t again_ms;  /* when it is put back; 0: at once, or not */
	char changed[448], by[64], why[192];
};

struct monitor {
	const char *policy_path, *state_path;
	struct policy *policy;
	struct loop *loop;
	struct programs programs;
	int state_fd, lock_fd, audit_fd, journal_fd; /* the last two: folders of helpers */
	bool root;
	uid_t uid, net_uid;
	gid_t gid, net_gid;
	uint64_t started_ms;

	struct locked key;	   /* one that was under a passphrase; none: it is in its file */
	struct locked signer;	   /* the seed of the trail's signer */
	struct locked keys_page;   /* of the trail's epoch: the auditor's */
	bool signer_made;	   /* it is a new one */
	struct store_list secrets; /* names and times, as of the last look */
	struct strengths strengths;
	int algorithms_fd; /* the file with them */
	uint64_t algorithms_size;
	json_t *writers; /* { serial of a disk: initiator }, for the next run */
	bool writers_unsaved;
	json_t *seen; /* { initiator: when } */
	bool seen_unsaved;
	uint64_t seen_saved_ms;
	void (*secrets_done)(struct monitor *m,
			     const struct auth_ready *ready); /* of a take-up that is asked for */
	void (*firewall_done)(struct monitor *m, bool ok, const char *why); /* the same */
	struct helper helpers[HELPERS];
	struct trail trail;
	int arbiter_page_fd;
	uint8_t run[16];       /* random, the arbiter's journal is tagged with it */
	uint32_t arbiter_life; /* how many arbiters there were */
	bool arbiter_told;     /* it has heard of every session that the one before had */
	struct penalties penalties;
	bool bans_unsaved;	/* bans.json is older than the table */
	uint64_t bans_event_id; /* of the last that was decided: the firewall is told when it is
				   durable */
	uint64_t bans_saved_ms;
	struct { /* the names that nobody has, and who asked for one last */
		uint64_t touched, at_ms;
		char text[300];
	} decoy;
	struct drift drift;
	struct {		       /* of grants that end: hours.c */
		int64_t next_s, now_s; /* the wall clock: when to look again; the last look at it */
		bool firewall_due;
	} hours;
	uint64_t script_hash; /* of the firewall's script that was sent last */
	struct nexuses nexuses;
	struct monitor_disk *disks[ARBITER_DISKS_MAX]; /* by row; NULL: a free one */
	size_t disks_leaving;
	size_t disk_end;     /* there are none from this row on */
	uint16_t *disk_rows; /* of each disk of the policy */
	uint64_t largest_disk;
	struct watch raiser; /* a process that raises limits of sessions; fd -1: none */
	pid_t raiser_pid;
	uint64_t raise_to;     /* what it does not know of yet; 0: nothing */
	uint16_t *portal_tags; /* of each portal: its group's */
	struct portals_tls tls;
	uint32_t next_identity;

	struct listener *listeners;
	struct connection *connections; /* connection id is at [id % connection_max] */
	uint32_t connection_max, next_connection;
	uint32_t open, queued, logins, entering, granted; /* queued: for a login slot */
	uint16_t next_tsih;
	uint32_t session_layers; /* as the last session reported them */
	bool session_reported;
	struct timer accept_timer; /* set: accepting is paused */
	uint64_t pause_said_ms;

	struct watch control;
	char asker[64]; /* whose request it is: "uid 0, pid 123" */
	struct timer tick, stop_timer;
	bool firewall_asks; /* its process was started with a socket for questions about IPsec */
	bool serving, stopping, firewall_loaded, ban_failed;
	bool left_behind;  /* stopping: what is still there is not waited for */
	bool helpers_told; /* stopping: to end */
	size_t stop_step;
	bool policy_refused;
	int exit_status;
};

struct monitor_options {
	const char *policy_path, *state_path;
	/* Asks for the key's passphrase: gateway/cli/passphrase.h. */
	ssize_t (*passphrase)(const void *arg, uint8_t *ret, char *ret_why, size_t why_size);
	const void *arg;
};

/* Serves until SIGTERM or SIGINT; returns an exit status. */
int monitor_run(const struct monitor_options *options);
void monitor_progress(struct monitor *m); /* something became ready or ended: go on */
void monitor_stop(struct monitor *m, int exit_status);

/* helpers.c */
int helpers_start(struct monitor *m) MUST_CHECK;
int helper_send(struct helper *h, uint32_t type, const void *body, size_t size, int fd);
/* What channel_send() to it said; when it was full, its row's room() is called later. */
int helper_sent(struct helper *h, int r);
void helper_drain(struct helper *h); /* takes its waiting messages */
void helpers_stop(struct monitor *m);
void helpers_kill(struct monitor *m);
bool helpers_gone(const struct monitor *m);
const char *helper_name(enum helper_kind kind);

/* firewall.c: the firewall process */
bool firewall_is_wanted(const struct policy *p); /* to load rules, or to be asked about IPsec */
int firewall_begin(struct helper *h) MUST_CHECK;
void firewall_message(struct helper *h, const struct message *msg);
void firewall_room(struct helper *h);
void firewall_away(struct monitor *m); /* it died */
/* Has the firewall process load the rules of `p`. NULL: asked, and done() is called
 * once. Otherwise why not; nothing changed. When they are refused, what was loaded before stays. */
bool firewall_is_current(const struct monitor *m); /* what it has is what it would be given now */
const char *firewall_load(struct monitor *m, const struct policy *p,
			  void (*done)(struct monitor *m, bool ok, const char *why)) MUST_CHECK;

/* seen.c: when initiators were here last */
void seen_load(struct monitor *m);
void seen_reload(struct monitor *m); /* m->policy is another one */
void seen_save(struct monitor *m);
void seen_note(struct monitor *m, const char *initiator);
void seen_tick(struct monitor *m);
void seen_close(struct monitor *m);
/* Old secrets and initiators that stay away, as sentences. */
json_t *warnings_json(const struct store_list *secrets, json_t *seen, uint64_t now_s);

/* key.c: a key that somebody opens by a passphrase when the gateway starts */
int key_open(struct monitor *m, const struct monitor_options *options) MUST_CHECK;
int key_get(struct monitor *m, char *ret_why, size_t why_size) MUST_CHECK; /* a descriptor */
void key_close(struct monitor *m);

/* secrets.c: the authenticator, and what it takes up */
int authenticator_begin(struct helper *h) MUST_CHECK;
void authenticator_message(struct helper *h, const struct message *msg);
void authenticator_away(struct monitor *m); /* it died */
/* Has it take up the store as it is now, and the users and the portals' keys of `s` (NULL: of the
 * policy in force): all, or nothing. NULL: asked, and
 * done() is called once, later: ready->taken says whether they are in use (then ready->missing says
 * how many users have no usable secret, and ready->why names the first), or why the old ones still
 * are. Otherwise why not, for people; nothing changed. Logins under way are judged as a whole by
 * the old or by the new. */
const char *secrets_take_up(struct monitor *m, const struct setup *s,
			    void (*done)(struct monitor *m,
					 const struct auth_ready *ready)) MUST_CHECK;

/* trail.c */
void event_from_connection(struct audit_event *e, enum audit_event_kind kind,
			   const struct connection *c);
uint64_t trail_put(struct monitor *m, const struct audit_event *e); /* 0: the queue is full */
void trail_say(struct monitor *m, enum audit_event_kind kind, const char *reason, const char *fmt,
	       ...) PRINTF_LIKE(4, 5);
uint64_t trail_refusal(struct monitor *m, const struct connection *c, const char *reason,
		       const char *detail);
/* Is what this source did now to be listed one by one? Counts it. */
bool trail_lists(struct monitor *m, const struct ip *ip);
void trail_send(struct monitor *m);
void trail_resend(struct monitor *m); /* a new auditor: from the first that is not durable */
void trail_tick(struct monitor *m);
/* Asks the auditor to make durable all until now, for who reads the files (flush.c). The round that
 * covers it is trail.rounds.wanted; control_flushed() tells when it is done. */
void flush_ask(struct monitor *m);
void flush_go_on(struct monitor *m); /* something was flushed, or the auditor has room again */
void flush_auditor_is_new(struct monitor *m);
bool trail_well(const struct monitor *m); /* may logins be granted? */

/* rings.c: the audit rings of sessions, and the auditor that drains them */
int ring_make(struct connection *c) MUST_CHECK;
int ring_attach(struct connection *c) MUST_CHECK;
void ring_detach(struct connection *c);
void rings_away(struct monitor *m); /* the auditor died: every session is told */
void rings_reattach(struct monitor *m);
void rings_go_on(struct monitor *m);
void rings_flushed(struct monitor *m);

/* arbiter.c: the arbiter, its page, and the seats of sessions in it */
int arbiter_open(struct monitor *m) MUST_CHECK;
int arbiter_begin(struct helper *h) MUST_CHECK;
void arbiter_message(struct helper *h, const struct message *msg);
void arbiter_room(struct helper *h);
void arbiter_beat(struct monitor *m); /* every second: one that hangs is ended */
void arbiter_away(struct monitor *m); /* it died: nothing is admitted from now on */
void seats_go_on(struct monitor *m);
int seat_make(struct connection *c) MUST_CHECK; /* its own page */
int seat_take(struct connection *c) MUST_CHECK; /* at the login; its entry goes on when it has it */
void seat_leave(struct connection *c);		/* no I/O of it can reach a disk any more */

/* coverage.c: IPsec portals take connections alone that the kernel has within IPsec */
bool coverage_is_needed(const struct policy *p);
/* May its session speak to the authenticator? Without, every login is answered 0301h. */
bool coverage_permits(const struct connection *c);
void coverage_ask(struct connection *c); /* a session process follows, whatever the answer */
void coverage_told(struct monitor *m, const struct firewall_coverage *word);
void coverage_go_on(struct monitor *m);	 /* there is room in the channel */
void coverage_reload(struct monitor *m); /* m->policy is another one */
void coverage_away(struct monitor *m);	 /* the firewall process died */

/* listen.c */
int listeners_prepare(struct monitor *m, struct setup *s) MUST_CHECK;
void listeners_commit(struct monitor *m, struct setup *s);
void listeners_undo(struct setup *s);
void listeners_look(struct monitor *m);		 /* each second: is an interface back that went? */
bool listener_is_open(const struct listener *l); /* its interface is there, if it has one */
void connection_place(struct connection *c, const struct listener *l); /* it came in there */
void listen_close(struct monitor *m);
void listen_admit(struct monitor *m); /* a login slot became free */
/* accept() failed: for want of what comes back by itself? Then nothing is accepted for a moment, on
 * the control socket, too, and that is said. */
bool listen_is_short(int error);
void listen_pause(struct monitor *m, int error);
bool listen_source_is_full(const struct monitor *m, const struct ip *ip);

/* connection.c */
int connection_begin(struct connection *c) MUST_CHECK; /* gives it a session process */
void connection_become(struct connection *c, enum connection_state state); /* and counts it */
void connection_kill(struct connection *c, const char *why);
/* A session is asked to log out, and ends after the policy's grace; `why`: for the audit. */
void connection_ask_out(struct connection *c, const char *why);
bool connection_leaves(const struct connection *c); /* it was; or it is being killed */
void connection_free(struct connection *c);	    /* closes what is left of it, frees the slot */
void connection_drain(struct connection *c);	    /* takes its waiting messages */
void connection_send(struct connection *c, uint32_t type, const void *body, size_t size, int fd);
void connection_timer(struct connection *c, uint64_t wait_ms, void (*run)(struct timer *t));
struct connection *connection_find(struct monitor *m, uint32_t id);

/* entry.c */
void entry_verdict(struct connection *c, const struct auth_verdict *verdict);
void entry_enter(struct connection *c);
void entries_go_on(struct monitor *m); /* a lifeline closed, an event became durable */
void entry_refuse(struct connection *c, uint16_t status, const char *reason, const char *detail);
/* The same initiator port and target port: RFC 7143 section 6.3.5. */
bool entry_same_nexus(const struct connection *a, const struct connection *b);
void entry_claim(const struct connection *c, struct claim *ret_claim);

/* nexuses.c: the unit attention that a session of this nexus begins with, ASC and ASCQ. Its next
 * one begins with another. */
uint16_t nexus_begins(struct nexuses *known, uint64_t nexus);

/* targets.c: what SendTargets tells */
int targets_send(struct connection *c) MUST_CHECK;
int targets_renew(struct connection *c) MUST_CHECK; /* if it would be told something else */
void target_groups(const struct connection *c, uint16_t ret[SESSION_GROUPS_MAX]);

/* join.c: a connection that joins a session: RFC 7143 section 6.3.6 */
struct connection *join_session(const struct connection *c); /* the one that it names, or NULL */
void join_pass(struct connection *c, struct connection *s);  /* to its process */
uint16_t tsih_take(struct connection *c); /* that no other session of the initiator has; or 0 */

/* disks.c */
int disks_prepare(struct monitor *m, struct setup *s) MUST_CHECK;
void disks_commit(struct monitor *m, struct setup *s);
void disks_undo(struct setup *s);
void disks_check(struct monitor *m);
/* Rows of disks are given back, and told to the arbiter. -EAGAIN: when it has room. */
int disks_go_on(struct monitor *m) MUST_CHECK;
bool disk_waits(const struct monitor *m, const struct monitor_disk *d); /* for one that leaves */
struct monitor_disk *disk_find(const struct monitor *m, const char *name);
/* The next row that is taken, from *row on; NULL: there are no more. */
struct monitor_disk *disk_next(const struct monitor *m, size_t *row);
#define EACH_DISK(m, d, row) for (size_t row = 0; ((d) = disk_next((m), &row)) != NULL; row++)
/* disk_growth.c: disks that grew, and what is below them. */
void disk_look(struct monitor *m, struct monitor_disk *d); /* each second */
void disk_news_go_on(struct monitor *m);
void disk_news_again(struct monitor *m); /* a new arbiter has not heard of it */
/* limits.c: no session may write a file beyond the largest disk; that is now `size`. */
void limits_raise(struct monitor *m, uint64_t size);
bool limits_are_raised(const struct monitor *m);
int raiser_main(void); /* the process that does it, as the user of sessions */
/* What is not well with it now; that it failed for good is the arbiter's to say. */
void disk_failed(struct monitor *m, struct monitor_disk *d, int error, const char *who);
void disk_back(struct monitor *m, struct monitor_disk *d);
void disks_close(struct monitor *m);

/* disk_shared.c: what the arbiter says of disks */
void disk_shared(struct monitor *m, const struct arbiter_summary *summary);
const char *disk_state(const struct monitor_disk *d, char *ret, size_t size); /* "ok", or why not */
json_t *disks_shared_json(const struct monitor *m);
/* NULL: the arbiter was asked, and control_cleared() is called; otherwise why not, for people. */
const char *disk_clear(struct monitor *m, const char *name, bool forget) MUST_CHECK;

/* identity.c: names that stay (UUIDs of disks, tags of portal groups), in the state folder */
int identities_prepare(struct monitor *m, struct setup *s) MUST_CHECK;
int identities_write(struct monitor *m, struct setup *s) MUST_CHECK;
void identities_undo(struct monitor *m, struct setup *s);

/* drift.c: what the firewall process tells of rules that somebody changed */
void drift_message(struct monitor *m, const struct message *msg);
void drift_loaded(struct monitor *m); /* a script was loaded: what was there before is over */
void drift_forget(struct monitor *m); /* a policy was taken live: `status` begins anew */
bool drift_problem(const struct monitor *m, char *ret, size_t size); /* false: there is none */
json_t *drift_json(const struct monitor *m); /* the last one, while it is told; or null */

/* control.c, status.c */
int control_open(struct monitor *m) MUST_CHECK;
void control_close(struct monitor *m);
/* A round of flush_ask() is done: answers those who wait for it. */
void control_flushed(uint64_t round, const struct auditor_flushed *f);
void control_cleared(int error); /* the arbiter's answer: 0 or -errno */
/* To who waits for the answer to this request, if anybody still does. Takes over `answer`. */
void control_go_on(struct monitor *m); /* an event became durable */
void control_answered(const char *request, json_t *answer);
json_t *status_json(struct monitor *m);
void session_layers_take(struct connection *c, uint32_t layers); /* of a session's first report */
json_t *sessions_json(struct monitor *m);
json_t *policy_json(const struct monitor *m);

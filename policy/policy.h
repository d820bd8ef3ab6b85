/* The compiled policy: what policy.yaml says, checked whole, with the line of each
 * fact. Loaded by the monitor and by check, plan, explain. One decision function
 * serves the login and `explain`. */
#pragma once

#include <stdio.h>
#include "gateway/base/address.h"
#include "gateway/base/base.h"
#include "gateway/base/durability.h"
#include "gateway/base/iscsi_name.h"
#include "gateway/base/limit_values.h"
#include "gateway/scsi/command_rules.h"
#include "gateway/tls/certificates.h"

#define POLICY_HASH_SIZE  32
#define POLICY_HASH_TEXT  (2 * POLICY_HASH_SIZE + 1)
#define POLICY_NAME_SIZE  64 /* portals, disks: [a-z0-9-], at most 63 */
#define POLICY_LUNS_MAX	  256
#define POLICY_DISKS_MAX  4096
#define POLICY_USERS_MAX  10000 /* initiators, each in each of its targets */
#define POLICY_RANGES_MAX 16	/* of an initiator */
#define TUNNEL_NEAR_PORT  3260	/* where `connect` listens on the initiator's machine */

enum portal_transport { PORTAL_INVALID, PORTAL_PLAIN, PORTAL_TLS, PORTAL_IPSEC, PORTAL_INTERFACE };

/* Of a portal with TLS. Paths are absolute; NULL: the gateway's own CA has it, in the state folder.
 * What the files held when the policy was read is what is served: they are read once. */
struct policy_tls {
	char *certificate, *key, *client_ca;
	char **crls;
	size_t crl_count;
	bool allow_tls12;
	struct tls_part chain, authorities, revocations;
	bool unread;	  /* a CRL could not be read: who was taken back is not known */
	char closed[256]; /* at a start: what is wrong with its files; else "" */
};

struct policy_portal {
	char name[POLICY_NAME_SIZE];
	enum portal_transport transport;
	char through[INTERFACE_NAME_SIZE]; /* PORTAL_INTERFACE: where connections come in */
	struct endpoint *listen;
	char (*interfaces)[INTERFACE_NAME_SIZE]; /* of each: a link-local address's; else "" */
	size_t listen_count;
	struct endpoint *advertise; /* what discovery says instead of the address reached */
	size_t advertise_count;
	bool advertise_near;	 /* the policy says none: the near end of the initiator's tunnel */
	struct policy_tls *tls;	 /* of PORTAL_TLS; else NULL */
	struct network *proxies; /* who tells whose a connection is, and nobody else connects */
	size_t proxy_count;
	char group[POLICY_NAME_SIZE]; /* its portal group's name; left out: its own */
	uint16_t group_tag;	      /* a group that is given by number; 0: the state has it */
	bool accept_risk;
	bool loopback; /* every endpoint is */
	uint32_t line, proxies_line;
};

/* "plain", "ipsec", "interface wg0". */
#define TRANSPORT_TEXT 32
const char *policy_transport_text(const struct policy_portal *p, char ret[TRANSPORT_TEXT]);

enum policy_disk_kind { POLICY_DISK_INVALID, POLICY_FILE, POLICY_DEVICE, POLICY_MEMORY };

/* What the policy may leave to the disk. */
enum policy_wish { POLICY_AS_FOUND, POLICY_NO, POLICY_YES };

/* What a disk says that it is, where the policy says it; else as the state folder knows it. */
struct policy_identity {
	uint8_t naa[16];
	uint8_t naa_len; /* 8 or 16; 0: not given */
	char serial[37]; /* "": not given, as of the others */
	char vendor[9], product[17];
};

struct policy_disk {
	char name[POLICY_NAME_SIZE];
	enum policy_disk_kind kind;
	char *path;
	uint64_t size_bytes;
	bool read_only, write_cache, removable;
	bool direct;		    /* cache: none */
	bool cluster;		    /* several initiators may write it at once */
	uint32_t writer_lease_ms;   /* of one writer that is lost */
	enum durability durability; /* of its records; invalid: as policy.durability */
	enum policy_wish thin, rotational;
	uint32_t block_size, physical_block_size;
	struct policy_identity identity;
	char (*formerly)[POLICY_NAME_SIZE]; /* names that it had, the last first */
	size_t formerly_count;
	uint32_t line;
};

struct policy_lun {
	uint16_t lun;
	size_t disk; /* index into disks */
	uint32_t line;
};

struct policy_access { /* what one initiator may do with one LUN of its target */
	uint16_t lun;
	bool writable;
	struct limit_values rates; /* of this LUN; 0: no limit of its own */
	uint32_t line;
};

/* Blocks that an initiator may not touch, both ends included. */
struct policy_range {
	uint64_t first, last;
	int lun; /* -1: of every LUN */
	bool reads;
	uint32_t line;
};

/* What the wall's clock of a place is ahead of UTC, from a moment on. */
struct policy_shift {
	int64_t at; /* seconds since 1970; of the first: INT64_MIN */
	int32_t offset_s;
};

struct policy_zone {
	char name[POLICY_NAME_SIZE];
	struct policy_shift *shifts;
	size_t shift_count;
};

struct policy_span { /* minutes of a week that begins on Monday; `to` may lie in the next one */
	uint16_t from, to;
};

struct policy_hours {
	const struct policy_zone *zone; /* NULL: at any time */
	struct policy_span *spans;
	size_t span_count;
	char *text; /* as it is written */
	uint32_t line;
};

/* "iops 5000, bandwidth 100MiB, outstanding 64"; "": none. */
#define LIMITS_TEXT 128
const char *policy_limits_text(const struct limit_values *v, char ret[LIMITS_TEXT]);

struct policy_initiator {
	char name[ISCSI_NAME_SIZE];
	struct network *from; /* none: any address, on loopback portals only */
	size_t from_count;
	char user[256], mutual[256];
	bool pinned; /* its TLS certificate is this one, and no other */
	uint8_t pin[TLS_HASH_SIZE];
	uint32_t algorithms;	      /* bits 1 << CHAP number; the floor of this user */
	struct policy_access *access; /* every LUN it may use, in order of LUN */
	size_t access_count;
	struct command_set denied, allowed; /* allowed: of those that are off */
	uint32_t denied_line, allowed_line; /* allowed_line: where they could be allowed, too */
	struct policy_range *ranges;
	size_t range_count;
	struct limit_values rates; /* of all its LUNs together */
	uint32_t rates_line;
	int64_t until_s; /* since 1970: from then on it may not enter; 0: it always may */
	struct policy_hours hours;
	uint32_t sessions; /* of this target, at once; 0: any number */
	uint32_t line, from_line, chap_line, until_line, sessions_line, pin_line;
};

/* What a session's negotiation may come to. */
struct policy_limits {
	bool digests_required, initial_r2t, immediate_data;
	uint32_t first_burst, max_burst; /* octets */
	uint32_t max_r2t, queue_depth, max_connections, error_recovery;
};

struct policy_target {
	char name[ISCSI_NAME_SIZE];
	char *alias;	 /* or NULL */
	size_t *portals; /* indexes */
	size_t portal_count;
	struct policy_lun *luns;
	size_t lun_count;
	struct policy_initiator *initiators;
	size_t initiator_count;
	struct policy_limits limits;
	char redirect[ADDRESS_TEXT]; /* "ADDRESS:PORT"; "": nowhere */
	uint32_t line;
};

/* Room on the disk of the trail: less than either is less. 0: not said. */
struct policy_room {
	uint64_t octets;
	uint32_t percent; /* of the file system, or of trail.at_most */
};

/* What becomes of the trail: audit.keep, audit.space, audit.checkpoints. */
struct policy_trail {
	uint64_t keep_ms, at_most; /* octets; 0: no such limit */
	struct policy_room warn, refuse, stop;
	uint64_t reserve;
	char *file;	/* absolute; of checkpoints, as the next two; NULL: none */
	char **command; /* argv; NULL-ended */
	size_t command_count;
	char *syslog; /* a path */
};

enum policy_io { POLICY_IO_INVALID, POLICY_IO_AUTO, POLICY_IO_URING, POLICY_IO_THREADS };

struct policy {
	uint8_t hash[POLICY_HASH_SIZE]; /* SHA-256 of the file's octets */
	char *path;			/* of the file, absolute */
	char *text;			/* the file's octets; NUL-ended, and no other NUL in them */
	struct policy_portal *portals;
	size_t portal_count;
	struct policy_disk *disks;
	size_t disk_count;
	struct policy_target *targets;
	size_t target_count;
	struct policy_zone **zones; /* of hours */
	size_t zone_count;

	uint32_t algorithms;					/* auth.algorithms */
	uint32_t ban_after, ban_within_s, ban_for_s, ban_cap_s; /* after so many points */
	struct network *ban_exempt;
	size_t ban_exempt_count;
	bool manage_firewall;
	bool restore_firewall; /* when somebody changed its rules */
	bool audit_writes_only;
	bool outcomes_all; /* of those that end well, too */
	enum durability durability;
	struct policy_trail trail;

	char **disk_roots;
	size_t disk_root_count;
	char **operators;
	size_t operator_count;
	uint32_t login_timeout_ms, logins_at_once, connections;
	enum policy_io io;
	uint32_t ping_every_ms, ping_misses;
	char **decoys; /* names of targets and initiators that nobody has */
	size_t decoy_count;
	uint32_t grace_ms;		/* for a logout that was asked for */
	struct policy_limits discovery; /* of sessions that enter no target */

	size_t warnings;	       /* that its file was given; 0: it is as safe as it can be */
	struct address_range *sources; /* every `from`, sorted and merged: policy/ranges.h */
	size_t source_count;
};

/* Reads and compiles the file. Every mistake is printed to `messages` (or gathered as JSON by
 * policy_load_json()); returns 0, -EINVAL when the policy has an error, another -errno when the
 * file can't be read (also said in `messages`). Warnings alone don't fail. `secret_known` may be
 * NULL: then secrets are not checked against the store. */
struct policy_options {
	FILE *messages;
	bool colour, json;
	bool in_force; /* it was taken up before: what its disks are on is not looked at again */
	/* The state folder, where the gateway's own certificates are; NULL: not known. Of a policy
	 * in force, certificates are read when it is known alone, and not judged. */
	const char *state;
	/* The gateway begins: what is wrong with a TLS portal's files is a warning, and closes that
	 * portal alone. */
	bool starts;
	bool keys; /* private keys are read, too, to see whether they fit: for `check` */
	bool (*secret_known)(void *arg, const char *name);
	void *arg;
};
int policy_load(const char *path, const struct policy_options *options,
		struct policy **ret_policy) MUST_CHECK;
/* The same for bytes at hand; `path` names them in messages. The fuzz target's door. */
int policy_parse(const char *path, const char *text, size_t len,
		 const struct policy_options *options, struct policy **ret_policy) MUST_CHECK;
void policy_free(struct policy *p);
void policy_hash_text(const struct policy *p, char ret[POLICY_HASH_TEXT]); /* in hex */

/* --- deciding ----------------------------------------------------------------------------- */

enum layer {
	LAYER_NONE,
	LAYER_FIREWALL,	 /* may this address reach this portal's port at all? */
	LAYER_PORTAL,	 /* is the target served on this portal? */
	LAYER_INITIATOR, /* does the policy name it, and is it the CHAP user's own name? */
	LAYER_ADDRESS,
	LAYER_CHAP,
	LAYER_CERTIFICATE, /* on TLS portals: its name, or its pin */
	LAYER_TARGET,
	LAYER_LUN,
	LAYER_COMMAND,
	LAYERS
};
const char *layer_name(enum layer layer);

/* A client's certificate, as its session checked it. */
#define CLAIM_NAMES_MAX 4
struct claim_certificate {
	uint8_t fingerprint[TLS_HASH_SIZE];
	uint32_t version; /* of TLS that it came by: 0x0304, 0x0303; 0: not known */
	size_t name_count;
	char names[CLAIM_NAMES_MAX][ISCSI_NAME_SIZE]; /* normalised */
	size_t link_count;			      /* 0: what it rests on is not known */
	struct tls_link links[TLS_LINKS];
};

struct claim {
	struct ip from;
	struct ip proxy;  /* that says so, and whose the packets are; version 0: they are its own */
	bool any_proxy;	  /* … if the portal has some, it is one of these (explain) */
	size_t portal;	  /* index; SIZE_MAX: any portal (explain without one) */
	const char *user; /* as the authenticator says; NULL: not asked (explain) */
	const char *initiator;		    /* normalised */
	const char *target;		    /* normalised; NULL: a discovery session */
	int lun;			    /* -1: not asked */
	bool write;			    /* with a LUN: does the command write? */
	const struct command_name *command; /* … and which is it? NULL: not asked */
	uint64_t lba, blocks;		    /* that it names; blocks 0: not asked */
	uint32_t algorithm;		    /* CHAP's number of it; 0: not asked */
	/* On TLS portals alone. A login (user is there) has to have one there. */
	const struct claim_certificate *certificate;
	int64_t now_s; /* since 1970; 0: not asked */
};

struct verdict {
	bool allowed, asked;
	uint32_t line;	 /* the policy line that decides; 0: none (nothing names it) */
	char reason[64]; /* short and stable, for the audit: "wrong-address" */
	char text[256];	 /* a sentence for people */
};

struct decision {
	bool allowed;
	bool identity;	  /* the tuple initiator, user, address, portal fits: what failed, if
			   * anything, is the target (0203h) and not the identity (0201h) */
	enum layer layer; /* the first that says no */
	struct verdict verdicts[LAYERS];
	const struct policy_target *target;
	const struct policy_initiator *initiator;
};

/* The CHAP algorithms that a user may use of whom these are named: what is named is a floor, and
 * what is stronger, and named for anybody, is taken too. CHAP's numbers stand in order of strength.
 */
uint32_t policy_floor(uint32_t named, uint32_t by_anybody);
uint32_t policy_algorithms(const struct policy *p); /* named for anybody */
/* What the gate of this initiator's sessions decides by. */
void policy_rules(const struct policy_initiator *i, struct scsi_rules *ret_rules);

void policy_decide(const struct policy *p, const struct claim *claim,
		   struct decision *ret_decision);
/* Calls each() for every target that this initiator, from this address, on this portal (SIZE_MAX:
 * on any) may enter. */
void policy_each_target(const struct policy *p, const struct claim *claim,
			void (*each)(void *arg, const struct policy_target *t), void *arg);
/* Is this one of them? For who lists them: the portal of the claim is not looked at. */
bool policy_may_enter(const struct claim *claim, const struct policy_target *t, size_t portal);
/* Is this one of the portal's proxies? */
bool policy_is_proxy(const struct policy_portal *p, const struct ip *ip);
/* Whose word it is where it comes from: on a portal with proxies one of theirs, and elsewhere that
 * of its packets. */
bool policy_comes_right(const struct policy_portal *p, const struct claim *claim);
/* Is any target on this portal open to this address, at that time (0: at some time)? What the
 * firewall lets through then, and no more. */
bool policy_opens_portal(const struct policy *p, size_t portal, const struct ip *from,
			 int64_t now_s);
/* The same of whose the packets are: on a portal with proxies these alone, while it is open to
 * anybody. */
bool policy_takes_packets(const struct policy *p, size_t portal, const struct ip *from,
			  int64_t now_s);
/* No grant ends and none begins before that: INT64_MAX: never. */
int64_t policy_next_change(const struct policy *p, int64_t now_s);
/* Does the policy name this address as a source anywhere? (half of the login slots are theirs) */
bool policy_names_address(const struct policy *p, const struct ip *ip);
/* Is this name, as a stranger wrote it, a decoy? */
bool policy_is_decoy(const struct policy *p, const char *name);

/* The authenticator process: its channels with the monitor and with sessions.
 * It holds the CHAP secrets, in locked memory; nobody else ever sees one.
 * Who somebody is, it tells the monitor itself: sessions are never believed. */
#pragma once

#include "gateway/base/channel.h"

enum chap_algorithm {
	CHAP_NONE = 0,
	CHAP_MD5 = 5,
	CHAP_SHA1 = 6,
	CHAP_SHA256 = 7,
	CHAP_SHA3_256 = 8,
};

#define CHAP_ALGORITHM_BIT(a) (1u << (a))
#define CHAP_DIGEST_MAX	      32
#define CHAP_CHALLENGE_LEN    32   /* of ours */
#define CHAP_CHALLENGE_MAX    1024 /* of theirs */
#define CHAP_NAME_SIZE	      256  /* with NUL */
#define CHAP_SECRET_MIN	      12   /* octets: 96 bits */
#define CHAP_SECRET_MAX	      255

const char *chap_algorithm_name(enum chap_algorithm a); /* "sha3-256" */
size_t chap_digest_size(enum chap_algorithm a);

/* Descriptors that the monitor gives to the process: 3 the channel. */
int authenticator_main(void);

enum auth_message {
	AUTH_INVALID,
	/* monitor to authenticator */
	AUTH_STORE, /* fds: the sealed store (a read-only file, or an empty memfd), the key file */
	/* struct auth_count; fd: sealed memfd of struct auth_account[count]. The store that came
	 * before is taken up with them, at any time: both or, when anything is wrong with either,
	 * neither. */
	AUTH_ACCOUNTS,
	AUTH_CONNECTION, /* struct auth_connection; fd: the session's channel */
	/* authenticator to monitor */
	AUTH_READY,   /* struct auth_ready: after AUTH_ACCOUNTS */
	AUTH_VERDICT, /* struct auth_verdict */
	/* session to authenticator, each once */
	AUTH_OFFER, /* struct auth_offer: the initiator's list */
	AUTH_PROOF, /* struct auth_proof: name, response, and its own challenge */
	/* authenticator to session */
	AUTH_CHALLENGE, /* struct auth_challenge */
	AUTH_RESULT,	/* struct auth_result */
};

struct auth_count {
	uint32_t count;
	uint32_t algorithms; /* bits that any account may use: the choice does not depend on a name
			      */
};

/* A user of the policy. */
struct auth_account {
	char user[CHAP_NAME_SIZE];
	char mutual[CHAP_NAME_SIZE]; /* "": one-way is enough (no policy says so yet) */
	uint32_t algorithms;	     /* the floor: bits that this user may use */
};

struct auth_connection {
	uint32_t connection;
	uint32_t deadline_ms; /* from now */
};

struct auth_ready {
	uint32_t accounts, secrets, missing; /* missing: accounts without a usable secret */
	uint32_t sandbox_layers;
	uint32_t locked; /* 1: the slab with the secrets is locked; 2: all of its memory is */
	uint32_t taken;	 /* 1: what was sent is in use; 0: what was in use before still is */
	char why[256];	 /* when missing > 0 or the store can't be read */
};

enum auth_reason {
	AUTH_REASON_INVALID,
	AUTH_OK,
	AUTH_UNKNOWN_USER,
	AUTH_WRONG_SECRET,
	AUTH_WEAK_ALGORITHM, /* below the user's floor */
	AUTH_NO_MUTUAL,	     /* mutual is required and was not asked for */
	AUTH_REFLECTION,     /* our own challenge or response came back */
	AUTH_NO_ALGORITHM,   /* none in common */
	AUTH_BROKEN,	     /* out of turn or malformed */
	AUTH_EXPIRED,
	AUTH_REASONS
};
const char *auth_reason_name(enum auth_reason reason); /* "wrong-secret" */

/* Which of its secrets an initiator proved itself with. */
enum auth_secret {
	AUTH_SECRET_ONLY, /* there was one */
	AUTH_SECRET_NEW,  /* while a rotation's overlap lasts: the new one */
	AUTH_SECRET_OLD,  /* … the one before */
};

struct auth_verdict {
	uint32_t connection;
	uint32_t reason;    /* enum auth_reason */
	uint32_t algorithm; /* enum chap_algorithm */
	uint32_t secret;    /* enum auth_secret */
	char user[CHAP_NAME_SIZE];
};

struct auth_offer {
	uint32_t count;
	uint32_t algorithms[16]; /* in the initiator's order */
};

struct auth_challenge {
	uint32_t algorithm; /* CHAP_NONE: none in common; the connection is over */
	uint32_t id;	    /* 0 to 255 */
	uint8_t challenge[CHAP_CHALLENGE_LEN];
};

struct auth_proof {
	char user[CHAP_NAME_SIZE];
	uint32_t response_len;
	uint8_t response[CHAP_DIGEST_MAX];
	uint32_t has_challenge; /* 1: the initiator wants our proof */
	uint32_t id;
	uint32_t challenge_len; /* 1 to CHAP_CHALLENGE_MAX */
	uint8_t challenge[CHAP_CHALLENGE_MAX];
};

struct auth_result {
	uint32_t ok;
	uint32_t response_len; /* 0: the initiator did not ask */
	uint8_t response[CHAP_DIGEST_MAX];
	char name[CHAP_NAME_SIZE]; /* ours, for CHAP_N */
};

/* An inbox is what the authenticator receives, an outbox what the other end of it receives. */
extern const struct message_spec auth_inbox[], auth_outbox[]; /* monitor's channel */
extern const size_t auth_inbox_len, auth_outbox_len;
extern const struct message_spec auth_session_inbox[], auth_session_outbox[]; /* session's */
extern const size_t auth_session_inbox_len, auth_session_outbox_len;

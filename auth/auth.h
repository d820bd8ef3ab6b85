/* The authenticator process: its channels with the monitor and with sessions.
 * It holds the CHAP secrets, in locked memory; nobody else ever sees one.
 * Who somebody is, it tells the monitor itself: sessions are never believed. */
#pragma once

#include "gateway/base/channel.h"
#include "gateway/base/iscsi_name.h"

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
	/* struct auth_identity; fds: the key (a file in PEM, or sealed), a sealed memfd of its
	 * certificate in DER, and what opens a sealed one: the key file of the store (of a file in
	 * PEM: the certificate again). Counts with AUTH_IDENTITIES. */
	AUTH_IDENTITY,
	/* struct auth_identities: those that came since the last one belong together. They are
	 * taken up with the accounts that follow: all of it, or nothing. At the first time, a
	 * portal whose key is of no use is alone in that. A connection keeps the one that it was
	 * given. */
	AUTH_IDENTITIES,
	/* struct auth_ca; fds: the CA's key (sealed), the key file, the CA's certificate (PEM), a
	 * sealed memfd of the invitations: 1 (is it used?), 4 (length), its file's octets. What
	 * came before is forgotten. */
	AUTH_CA,
	AUTH_CA_CLOSE, /* nobody joins any more: keys and codes are wiped */
	AUTH_ENROL_GO, /* struct auth_enrol_go: it is recorded, and the invitation is used up */
	AUTH_ENROL_NO, /* struct auth_enrol_no: it is refused, and the invitation is not used up */
	/* authenticator to monitor */
	AUTH_READY,	/* struct auth_ready: after AUTH_ACCOUNTS */
	AUTH_VERDICT,	/* struct auth_verdict */
	AUTH_CA_READY,	/* struct auth_ca_ready: after AUTH_CA */
	AUTH_ENROL_ASK, /* struct auth_enrol_ask: it proved a code; may it have this? */
	/* session to authenticator, each once */
	AUTH_OFFER, /* struct auth_offer: the initiator's list */
	AUTH_PROOF, /* struct auth_proof: name, response, and its own challenge */
	AUTH_SIGN,  /* struct auth_sign: TLS, before both of them */
	/* authenticator to session */
	AUTH_CHALLENGE, /* struct auth_challenge */
	AUTH_RESULT,	/* struct auth_result */
	AUTH_SIGNATURE, /* struct auth_signature */
	/* session to authenticator, once, instead of OFFER and PROOF: it wants to join */
	AUTH_ENROL, /* struct auth_enrol */
	/* authenticator to session */
	AUTH_ENROLLED, /* struct auth_enrolled */
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
	uint32_t identity;    /* of its portal: what it may sign with, once; 0: nothing */
};

enum auth_identity_kind {
	AUTH_IDENTITY_INVALID,
	AUTH_IDENTITY_PEM,    /* the key is a file in PEM */
	AUTH_IDENTITY_SEALED, /* … sealed under the store's key, as the gateway's own CA makes it */
};

/* A certificate's private key. Numbers are never used again: a new key is a new identity. */
struct auth_identity {
	uint32_t identity; /* not 0 */
	uint32_t kind;	   /* enum auth_identity_kind */
	uint32_t flags;	   /* AUTH_IDENTITY_… */
	uint32_t reserved;
};

#define AUTH_IDENTITY_TLS12  (1u << 0) /* its portal takes TLS 1.2: AUTH_SIGN_KEY_EXCHANGE, too */
#define AUTH_IDENTITY_CLIENT (1u << 1) /* a client's: AUTH_SIGN_CLIENT, and nothing else */

struct auth_identities {
	uint32_t count; /* how many have come; 0: none is to be in use any more */
	uint32_t reserved;
};

struct auth_ready {
	uint32_t accounts, secrets, missing; /* missing: accounts without a usable secret */
	uint32_t sandbox_layers;
	uint32_t locked;     /* 1: the slab with the secrets is locked; 2: all of its memory is */
	uint32_t taken;	     /* 1: what was sent is in use; 0: what was in use before still is */
	uint32_t identities; /* in use */
	char why[256];	     /* when missing > 0, or the store or a key can't be read */
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
	/* of who wants to join */
	AUTH_JOIN_CLOSED,  /* no invitation is open */
	AUTH_JOIN_UNKNOWN, /* nobody has that code */
	AUTH_JOIN_USED,
	AUTH_JOIN_OVER,	      /* its time is */
	AUTH_JOIN_UNPROVEN,   /* the code is not known there, or somebody stands between */
	AUTH_JOIN_OTHER_NAME, /* the code is for another initiator */
	AUTH_JOIN_FAILED,     /* no certificate could be made */
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

/* What is signed, and nothing else ever is: the authenticator builds the octets itself. */
enum auth_sign_form {
	AUTH_SIGN_INVALID,
	AUTH_SIGN_SERVER,	/* RFC 8446 section 4.4.3, "TLS 1.3, server CertificateVerify" */
	AUTH_SIGN_KEY_EXCHANGE, /* RFC 8422 section 5.4: a server's ECDHE parameters, TLS 1.2 */
	AUTH_SIGN_CLIENT, /* "TLS 1.3, client CertificateVerify": the client's end asks its own key
			   * process; the authenticator never does this */
};

#define AUTH_SIGN_HASH_MAX  48
#define AUTH_SIGN_POINT_MAX 133
#define AUTH_SIGNATURE_MAX  512

/* TLS SignatureScheme numbers, RFC 8446 section 4.2.3. */
enum auth_sign_scheme {
	AUTH_SIGN_ECDSA_P256_SHA256 = 0x0403,
	AUTH_SIGN_ECDSA_P384_SHA384 = 0x0503,
	AUTH_SIGN_RSA_PSS_RSAE_SHA256 = 0x0804,
	AUTH_SIGN_RSA_PSS_RSAE_SHA384 = 0x0805,
	AUTH_SIGN_ED25519 = 0x0807,
	AUTH_SIGN_RSA_PSS_PSS_SHA256 = 0x0809,
	AUTH_SIGN_RSA_PSS_PSS_SHA384 = 0x080a,
};

struct auth_sign {
	uint32_t form;	   /* enum auth_sign_form */
	uint32_t scheme;   /* enum auth_sign_scheme; it must be one of the identity's key */
	uint32_t hash_len; /* of the transcript: 32 or 48; TLS 1.2: 0 */
	uint8_t hash[AUTH_SIGN_HASH_MAX];
	/* TLS 1.2 alone */
	uint8_t client_random[32], server_random[32];
	uint32_t curve; /* NamedCurve: 23, 24, 29 */
	uint32_t point_len;
	uint8_t point[AUTH_SIGN_POINT_MAX];
	uint8_t reserved[3];
};

struct auth_signature {
	uint32_t len; /* 0: there is none */
	uint8_t signature[AUTH_SIGNATURE_MAX];
};

/* --- joining --- */

struct auth_ca {
	uint32_t count, reserved; /* of the invitations */
};

struct auth_ca_ready {
	uint32_t taken; /* 1: who has a code may join */
	uint32_t open;	/* invitations */
	char why[256];	/* with taken 0 */
};

#define AUTH_ENROL_REQUEST_SIZE 377 /* auth/enrol.h */
struct auth_enrol {
	uint8_t exporter[32]; /* of its TLS connection */
	uint8_t request[AUTH_ENROL_REQUEST_SIZE];
	uint8_t reserved[7];
};

#define AUTH_CERTIFICATE_MAX 2048
struct auth_enrol_ask {
	uint32_t connection;
	uint32_t len;
	uint8_t id[16];				   /* of the invitation */
	char initiator[ISCSI_NAME_SIZE];	   /* that it is for */
	char serial[48];			   /* hex */
	uint8_t certificate[AUTH_CERTIFICATE_MAX]; /* DER */
};

#define AUTH_ENROL_ACCOUNTS_MAX 3
#define AUTH_ENROL_TEXT_SIZE	1024
struct auth_enrol_go {
	uint32_t connection;
	uint32_t count;
	struct {
		char user[CHAP_NAME_SIZE], mutual[CHAP_NAME_SIZE];
	} accounts[AUTH_ENROL_ACCOUNTS_MAX]; /* whose secrets it gets */
	char text[AUTH_ENROL_TEXT_SIZE];     /* what else it is told: lines "WORD VALUE" */
};

struct auth_enrol_no {
	uint32_t connection, reserved;
};

#define AUTH_ENROL_ANSWER_MAX 4000
struct auth_enrolled {
	uint32_t len;
	uint8_t answer[AUTH_ENROL_ANSWER_MAX]; /* as it goes to the client */
};

/* An inbox is what the authenticator receives, an outbox what the other end of it receives. */
extern const struct message_spec auth_inbox[], auth_outbox[]; /* monitor's channel */
extern const size_t auth_inbox_len, auth_outbox_len;
extern const struct message_spec auth_session_inbox[], auth_session_outbox[]; /* session's */
extern const size_t auth_session_inbox_len, auth_session_outbox_len;

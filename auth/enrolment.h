/* Joining, in the authenticator: the CA's key and what proves the open invitations, in its locked
 * memory, for as long as an invitation is open. */
#pragma once

#include "auth/certificate.h"
#include "auth/enrol.h"

#define ENROLMENT_KNOWN_MAX INVITATIONS_MAX
struct enrolment {
	X509 *ca; /* NULL: nobody can join */
	size_t key_len;
	struct known {
		struct invitation invitation;
		uint8_t *key; /* in the locked memory; NULL: it is over */
		bool asked;   /* somebody proved it, and the monitor decides */
	} * list;
	size_t count, open;
	struct enrolment_locked *locked; /* the caller's */
};

/* What is there must be locked. */
struct enrolment_locked {
	uint8_t key[CERTIFICATE_KEY_MAX]; /* of the CA, DER */
	uint8_t proofs[INVITATIONS_OPEN_MAX][INVITATION_KEY_SIZE];
	uint8_t secret[SEALED_SECRET_MAX], bytes[ENROL_ACCOUNTS_BYTES_MAX];
	struct enrol_accounts accounts;
};

/* Before the sandbox closes: OpenSSL opens files when it does some things for the first time.
 * `locked` is the caller's, and locked. */
int enrolment_open(struct enrolment *e, struct enrolment_locked *locked) MUST_CHECK;

/* Of a message AUTH_CA; the descriptors stay the caller's. */
struct enrolment_source {
	int key_fd, certificate_fd, invitations_fd;
	const uint8_t *store_key;
	int64_t now_s;
};
/* Replaces what was there. After a failure nobody can join. */
int enrolment_take(struct enrolment *e, const struct enrolment_source *s,
		   const struct why *why) MUST_CHECK;
void enrolment_close(struct enrolment *e); /* wipes */
/* The same from the descriptors of a message AUTH_CA, and what is answered. `key`: room for the key
 * of the secrets while it is used, locked. */
void enrolment_message(struct enrolment *e, const int fds[4], uint8_t *key, int64_t now_s,
		       struct auth_ca_ready *ret_ready);

/* Who joins, between his request and the answer. */
struct enrolling {
	struct enrol_request request;
	uint8_t exporter[ENROL_EXPORTER_SIZE], proof[INVITATION_KEY_SIZE];
	char initiator[ISCSI_NAME_SIZE];
	uint8_t ca[CERTIFICATE_DER_MAX];
	size_t ca_len;
	bool holds;		   /* the invitation is his, and nobody else's */
	struct auth_enrol_ask ask; /* with the certificate */
};
/* AUTH_OK: *ret is filled, and the invitation is his until enrolment_drop(). Else why not; ret->ask
 * has the initiator's name if the code is known. */
enum auth_reason enrolment_ask(struct enrolment *e, const struct auth_enrol *said, int64_t now_s,
			       struct enrolling *ret);
/* The monitor said no, or he left: the invitation is open again, if it was his. */
void enrolment_drop(struct enrolment *e, const struct enrolling *who);
/* The invitation is used up. Its secrets are in `store`. -ENOKEY: one is not there; -EMSGSIZE. */
int enrolment_answer(struct enrolment *e, const struct enrolling *who,
		     const struct auth_enrol_go *go, const struct store *store,
		     struct auth_enrolled *ret) MUST_CHECK;

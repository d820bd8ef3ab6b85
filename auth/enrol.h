/* Joining: what a client with an invitation sends over TLS, and what it gets. Both ends prove to
 * each other that they know the code, bound to this one TLS connection by its exporter (RFC 8446
 * section 7.5): who stands between two connections proves nothing on either. Read by the
 * authenticator from strangers, and by the client from who claims to be the gateway.
 *
 *   request: 8 "SPJOIN01"   16 id of the invitation   65 point of a new P-256 key
 *            32 X25519 key to seal to   224 its initiator name, or zeros   32 proof
 *   answer:  8 "SPJOINED"   four times 4 length and so many octets: certificate, CA (both DER),
 *            accounts sealed to the client's key, a text of lines "WORD VALUE"   32 proof */
#pragma once

#include "auth/invitation.h"

#define ENROL_POINT_SIZE    65
#define ENROL_BOX_SIZE	    crypto_box_PUBLICKEYBYTES
#define ENROL_PROOF_SIZE    32
#define ENROL_EXPORTER_SIZE 32
#define ENROL_REQUEST_SIZE  (8 + INVITATION_ID_SIZE + ENROL_POINT_SIZE + 32 + ISCSI_NAME_SIZE + 32)
#define ENROL_ANSWER_MAX    4000
#define ENROL_ACCOUNTS_MAX  3
#define ENROL_TEXT_MAX	    1024

struct enrol_request {
	uint8_t id[INVITATION_ID_SIZE];
	uint8_t point[ENROL_POINT_SIZE];
	uint8_t box[ENROL_BOX_SIZE];
	char initiator[ISCSI_NAME_SIZE]; /* "": whatever the code is for */
};

/* What proves the code, here. */
struct enrol_proof {
	const uint8_t *key;	 /* INVITATION_KEY_SIZE */
	const uint8_t *exporter; /* ENROL_EXPORTER_SIZE */
};

void enrol_request_write(const struct enrol_request *q, const struct enrol_proof *by,
			 uint8_t ret[ENROL_REQUEST_SIZE]);
/* -EBADMSG: it is none; the proof is not looked at. */
int enrol_request_parse(const uint8_t bytes[ENROL_REQUEST_SIZE],
			struct enrol_request *ret) MUST_CHECK;
bool enrol_request_proven(const uint8_t bytes[ENROL_REQUEST_SIZE], const struct enrol_proof *by);

struct enrol_part {
	const uint8_t *octets;
	size_t len;
};

struct enrol_answer {
	struct enrol_part certificate, ca, accounts, text; /* accounts: sealed */
};
/* Returns how long it is, or -EMSGSIZE. */
ssize_t enrol_answer_write(const struct enrol_answer *a, const struct enrol_proof *by,
			   uint8_t ret[ENROL_ANSWER_MAX]) MUST_CHECK;
/* Points into the octets. -EBADMSG; the proof is not looked at. */
int enrol_answer_parse(const uint8_t *bytes, size_t len, struct enrol_answer *ret) MUST_CHECK;
bool enrol_answer_proven(const uint8_t *bytes, size_t len, const struct enrol_proof *by);

/* A CHAP user and what proves it, both ways. */
struct enrol_account {
	char user[CHAP_NAME_SIZE], mutual[CHAP_NAME_SIZE];
	struct secret secret, mutual_secret;
};

/* In the caller's locked memory. */
struct enrol_accounts {
	size_t count;
	struct enrol_account list[ENROL_ACCOUNTS_MAX];
};
#define ENROL_ACCOUNTS_BYTES_MAX (1 + ENROL_ACCOUNTS_MAX * 4 * 256)
#define ENROL_SEALED_MAX	 (ENROL_ACCOUNTS_BYTES_MAX + crypto_box_SEALBYTES)
/* Sealed to the client's key; `memory`: ENROL_ACCOUNTS_BYTES_MAX octets that are locked. Returns
 * how long it is. */
size_t enrol_accounts_seal(const struct enrol_accounts *a, const uint8_t box[ENROL_BOX_SIZE],
			   uint8_t *memory, uint8_t ret[ENROL_SEALED_MAX]);
/* -EBADMSG: not for this key, or not what it should be. */
int enrol_accounts_open(const struct enrol_part *sealed, const uint8_t public_key[ENROL_BOX_SIZE],
			const uint8_t secret_key[crypto_box_SECRETKEYBYTES], uint8_t *memory,
			struct enrol_accounts *ret) MUST_CHECK;

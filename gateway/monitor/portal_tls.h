/* TLS portals, within the monitor: what their sessions are given, and what those say of clients'
 * certificates. Keys pass through as descriptors: the monitor reads none. */
#pragma once

#include "gateway/base/base.h"
#include "gateway/session/messages.h"
#include "policy/policy.h"

struct connection;
struct helper;
struct monitor;
struct setup;

/* Of a portal with TLS; of others all is empty. */
struct portal_tls {
	uint32_t identity; /* 0: it has none, and nobody comes in */
	uint32_t kind;	   /* enum auth_identity_kind */
	uint32_t flags;	   /* SESSION_TLS_… */
	int key_fd, certificate_fd, material_fd;
	uint32_t chain_len, ca_len, crl_len;
	uint8_t hash[TLS_HASH_SIZE]; /* of the material and the flags */
	char portal[POLICY_NAME_SIZE];
	/* of its certificate, for people */
	char subject[TLS_SUBJECT_SIZE];
	uint8_t fingerprint[TLS_HASH_SIZE];
	int64_t ends_s;
	char closed[256]; /* why it has no identity, when a start found it so; or "" */
};

struct portals_tls {
	struct portal_tls *list; /* of each portal of the policy */
	size_t count;
};

/* Of a connection on such a portal. */
struct connection_tls {
	bool shown; /* its session told of a certificate */
	struct session_certificate said;
	struct claim_certificate claim;
	uint8_t told[TLS_HASH_SIZE];	/* what its session was given last */
	struct connection_enrol *enrol; /* ca.c: it joins; or NULL */
};

/* All that can fail, of a policy that is to be in force: its files are opened. */
int portals_tls_prepare(struct monitor *m, struct setup *s) MUST_CHECK;
void portals_tls_free(struct portals_tls *t);
/* They are in force; takes them over. Certificates that are others than before are recorded. */
void portals_tls_commit(struct monitor *m, struct setup *s);
/* Who is closed since the start is in the audit. */
void portals_tls_begin(struct monitor *m);
/* To the authenticator: in use with the accounts that follow. */
int portals_tls_send(struct helper *h, const struct portals_tls *t, char *ret_why,
		     size_t size) MUST_CHECK;

/* Before its session starts: 0 too where there is no TLS. */
int connection_tls_make(struct connection *c) MUST_CHECK;
uint32_t connection_tls_identity(const struct connection *c);
/* To its session, if that has not got just this. */
void connection_tls_tell(struct connection *c);
void connection_tls_said(struct connection *c, const struct message *msg);
const struct claim_certificate *connection_tls_claim(const struct connection *c);

#define CONNECTION_TLS_TEXT 176
/* "; TLS 1.3, CIPHER, GROUP, certificate sha256:0123456789abcdef"; "" without TLS. */
const char *connection_tls_text(const struct connection *c, char ret[CONNECTION_TLS_TEXT]);
json_t *connection_tls_json(const struct connection *c); /* or null */
json_t *portal_tls_json(const struct monitor *m, size_t portal, json_t *problems);
json_t *portals_tls_hashes(const struct monitor *m); /* of what is in force, for `plan` */
/* Certificates that end soon, as sentences, added to the list. */
void portals_tls_warnings(const struct monitor *m, json_t *list);

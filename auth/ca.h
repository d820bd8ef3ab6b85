/* The gateway's own CA, for sites that have none: a folder of the state folder. Certificates and
 * the list of what was revoked are in clear; private keys are sealed under the key of the secrets
 * (auth/sealed.h). On the command line; the monitor hands descriptors of these files on, and keeps
 * what was issued. Whoever changes anything here holds the lock of the store. */
#pragma once

#include "auth/certificate.h"
#include "auth/sealed.h"

#define CA_FOLDER      "ca"
#define CA_CERTIFICATE "ca.pem"
#define CA_KEY	       "ca.key"
#define CA_PORTAL      "portal.pem"
#define CA_PORTAL_KEY  "portal.key"
#define CA_CRL	       "crl.pem"
#define CA_ISSUED      "issued"	     /* a folder: SERIAL.der of each */
#define CA_INVITATIONS "invitations" /* a folder: auth/invitation.h */

#define CA_KEY_KIND	   "ca key" /* of sealed files: DER of the private key */
#define CA_PORTAL_KEY_KIND "portal key"
#define CA_INVITATION_KIND "invitation"
#define CA_ISSUED_MAX	   20000

struct ca {
	int fd; /* of its folder */
	struct certificate_issuer by;
	X509 *portal;
	X509_CRL *crl;
	const uint8_t *key; /* of the secrets */
	int64_t now_s;
	uint8_t *memory; /* SEALED_SECRET_MAX octets that are locked, the caller's */
};
#define CA_NONE ((struct ca){.fd = -1})

/* All return 0 or -errno, with a sentence for people in `why`. */

/* The folder below the state folder, made where it is missing, and its owner's. A descriptor. */
int ca_folder(int state_fd, const struct why *why) MUST_CHECK;
bool ca_exists(int state_fd);
/* c->key, c->memory and c->now_s are set. -ENOENT: there is no CA yet. */
int ca_open(struct ca *c, int state_fd, const struct why *why) MUST_CHECK;
void ca_close(struct ca *c); /* harmless on CA_NONE */
/* Makes a CA, its first list, and the portal's key and certificate. -EEXIST: there is one. */
int ca_make(struct ca *c, int state_fd, const char *name, const struct certificate_hosts *hosts,
	    const struct why *why) MUST_CHECK;
/* Another certificate for the portal's key. */
int ca_renew(struct ca *c, const struct certificate_hosts *hosts, const struct why *why) MUST_CHECK;
int ca_revoke(struct ca *c, X509 *const certificates[], size_t count,
	      const struct why *why) MUST_CHECK;

/* What was issued to clients, the oldest first. */
struct ca_issued {
	struct ca_row {
		X509 *certificate;
		struct certificate_facts facts;
	} * rows;
	size_t count;
};
int ca_issued_load(const struct ca *c, struct ca_issued *ret, const struct why *why) MUST_CHECK;
void ca_issued_free(struct ca_issued *i);
/* Without the keys: in clear, for who lists. -ENOENT: there is no CA. */
int ca_look(struct ca *c, int state_fd, const struct why *why) MUST_CHECK;

/* The key of the secrets is about to change, as signer_seal_under_both() has it. Without a CA there
 * is nothing to do. */
int ca_seal_under_both(int state_fd, const uint8_t key[STORE_KEY_SIZE],
		       const uint8_t next_key[STORE_KEY_SIZE], char *ret_why,
		       size_t why_size) MUST_CHECK;
int ca_seal_under_one(int state_fd, const uint8_t key[STORE_KEY_SIZE], char *ret_why,
		      size_t why_size) MUST_CHECK;

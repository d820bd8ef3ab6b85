/* Certificates as they lie in files: PEM in, checked as a whole, DER out, with what people and
 * policies ask about them. In whoever reads a policy. The files are the operator's; what is wrong
 * with one is said in words, and never more than its octets are read. */
#pragma once

#include "gateway/base/base.h"

#define TLS_HASH_SIZE	 32 /* SHA-256 */
#define TLS_SUBJECT_SIZE 128
#define TLS_FILE_MAX	 (4u << 20) /* octets of one file */
#define TLS_PART_MAX	 (4u << 20) /* … of all CRLs of a portal, before the last one */

/* The gateway's own CA, in the state folder. */
#define TLS_OWN_FOLDER	    "ca"
#define TLS_OWN_AUTHORITY   "ca.pem"
#define TLS_OWN_CERTIFICATE "portal.pem"
#define TLS_OWN_KEY	    "portal.key" /* sealed */
#define TLS_OWN_REVOKED	    "crl.pem"

/* Certificates in a few octets: of who issues (its key, so that a CA whose own certificate was
 * renewed is the same), and of what it issued. */
#define TLS_MARK_SIZE 16
#define TLS_LINKS     4 /* of a chain, from a peer's certificate on; the CA's own is the last */
struct tls_link {
	uint8_t issuer[TLS_MARK_SIZE], itself[TLS_MARK_SIZE];
};

/* What one or more files hold of one kind: each DER with its length in 4 octets before it. */
struct tls_part {
	uint8_t *der;
	size_t len;
	uint32_t count;
	uint8_t hash[TLS_HASH_SIZE]; /* of all of it; zeros: nothing was read */
	/* Sorted. Of CAs: themselves as issuers. Of CRLs: their issuers, and whom they take back.
	 */
	uint8_t (*marks)[TLS_MARK_SIZE];
	size_t mark_count;
	/* Of a chain: of its first certificate; of the others: of what ends first. */
	uint8_t fingerprint[TLS_HASH_SIZE]; /* SHA-256 of its DER */
	int64_t begins_s, ends_s;	/* since 1970; ends_s of a CRL: its next update is due */
	char subject[TLS_SUBJECT_SIZE]; /* for people; escaped */
};
void tls_part_free(struct tls_part *p);
bool tls_part_is_same(const struct tls_part *a, const struct tls_part *b);

/* What is wrong, after the file's name; and what to do. */
struct tls_why {
	char text[256];
	const char *hint;
};

/* All return 0, or -EBADMSG with *ret_why, or -ENOMEM. */

/* The gateway's own certificate first, then each one's issuer. */
int tls_chain_read(const char *pem, size_t len, struct tls_part *ret,
		   struct tls_why *ret_why) MUST_CHECK;
/* Those who sign clients' certificates. */
int tls_authorities_read(const char *pem, size_t len, struct tls_part *ret,
			 struct tls_why *ret_why) MUST_CHECK;
/* CRLs, each signed by one of them; added to what *part has. */
int tls_revocations_add(const char *pem, size_t len, const struct tls_part *authorities,
			struct tls_part *part, struct tls_why *ret_why) MUST_CHECK;
/* Is the file's private key that of the chain's first certificate? For `check` alone: the gateway
 * asks its authenticator. */
int tls_key_check(const char *pem, size_t len, const struct tls_part *chain,
		  struct tls_why *ret_why) MUST_CHECK;

/* Why a peer whose chain was found good before is not taken any more: one of the words of
 * tls_reason_name(); NULL: nothing speaks against it here. Time is not asked about. */
const char *tls_links_judge(const struct tls_link *links, size_t count,
			    const struct tls_part *authorities, const struct tls_part *revocations);

/* "sha256:" and 64 hexadecimal digits, colons between them allowed. */
bool tls_fingerprint_parse(const char *text, uint8_t ret[TLS_HASH_SIZE]);
#define TLS_FINGERPRINT_TEXT (7 + 2 * TLS_HASH_SIZE + 1)
const char *tls_fingerprint_text(const uint8_t fingerprint[TLS_HASH_SIZE],
				 char ret[TLS_FINGERPRINT_TEXT]);

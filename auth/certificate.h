/* X.509 as the gateway's own CA makes it: EC P-256 keys, certificates of three kinds, and the list
 * of those that were revoked. On the command line and in the authenticator; no files. All return 0
 * or -errno: -EIO is a failure of the library. */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>
#include "gateway/base/base.h"
#include "gateway/base/iscsi_name.h"

#define CERTIFICATE_SERIAL_SIZE 16
#define CERTIFICATE_DER_MAX	2048 /* of one that is issued to a client */
#define CERTIFICATE_KEY_MAX	256  /* of a private key, DER */
#define CERTIFICATE_POINT_SIZE	65   /* of a public key of P-256, uncompressed */
#define CERTIFICATE_PRINT_SIZE	32   /* SHA-256 */
#define CERTIFICATE_HOST_SIZE	254
#define CERTIFICATE_HOSTS_MAX	32
#define CERTIFICATE_URI_PREFIX	"iscsi:"

#define CERTIFICATE_CA_DAYS   3650
#define CERTIFICATE_LEAF_DAYS 365
#define CERTIFICATE_EARLY_S   300 /* valid from before it was made: clocks differ */

#define OWNED_X509 OWNED_BY(x509_free_owned) X509
#define OWNED_CRL  OWNED_BY(x509_crl_free_owned) X509_CRL
#define OWNED_PKEY OWNED_BY(pkey_free_owned) EVP_PKEY

static inline void x509_free_owned(X509 **p)
{
	X509_free(*p);
}

static inline void x509_crl_free_owned(X509_CRL **p)
{
	X509_CRL_free(*p);
}

static inline void pkey_free_owned(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

/* How clients reach a portal: DNS names and addresses. */
struct certificate_hosts {
	char names[CERTIFICATE_HOSTS_MAX][CERTIFICATE_HOST_SIZE];
	size_t count;
};
/* -EINVAL: neither a DNS name nor an address; -ENOSPC. One that is there already is not added. */
int certificate_host_add(struct certificate_hosts *hosts, const char *name) MUST_CHECK;
/* Those that a certificate has; what is nothing of the two is left out. */
void certificate_hosts(X509 *certificate, struct certificate_hosts *ret_hosts);
bool certificate_has_host(X509 *certificate, const char *name);

enum certificate_kind {
	CERTIFICATE_INVALID,
	CERTIFICATE_CA,	    /* signs the others, and nothing else */
	CERTIFICATE_PORTAL, /* serverAuth, with its hosts */
	CERTIFICATE_CLIENT, /* clientAuth, with the URI iscsi:NAME */
};

struct certificate_request {
	enum certificate_kind kind;
	const char *name; /* for people: the common name */
	const struct certificate_hosts *hosts;
	const char *initiator; /* ASCII: certificate_initiator_ok() */
	EVP_PKEY *key;	       /* its public half */
	int64_t now_s;
};

struct certificate_issuer {
	X509 *certificate; /* NULL: it is the CA's own that is made */
	EVP_PKEY *key;
};

/* Initialises the locked heap in which private keys are. False: it can't be had. */
bool certificate_begin(void);
/* An iSCSI name that can stand in a certificate: ASCII. */
bool certificate_initiator_ok(const char *name);
int certificate_issue(const struct certificate_issuer *by, const struct certificate_request *q,
		      X509 **ret) MUST_CHECK;
struct certificate_revocation {
	X509_CRL *before; /* or NULL: there is none */
	X509 *const *certificates;
	size_t count;
	int64_t now_s;
};
/* The next list of what was revoked: all that the one before has, and these. */
int certificate_crl(const struct certificate_issuer *by, const struct certificate_revocation *q,
		    X509_CRL **ret) MUST_CHECK;
bool certificate_is_revoked(X509_CRL *crl, X509 *certificate, int64_t *ret_since_s);

int certificate_key_make(EVP_PKEY **ret) MUST_CHECK;
/* A public key from its point, which must be on the curve: a peer's word. -EINVAL: it is not. */
int certificate_key_of_point(const uint8_t point[CERTIFICATE_POINT_SIZE],
			     EVP_PKEY **ret) MUST_CHECK;
int certificate_key_point(EVP_PKEY *key, uint8_t ret_point[CERTIFICATE_POINT_SIZE]) MUST_CHECK;
/* A private key as DER, and back. Into, and from, memory that the caller locked. */
int certificate_key_write(EVP_PKEY *key, uint8_t ret_der[CERTIFICATE_KEY_MAX],
			  size_t *ret_len) MUST_CHECK;
int certificate_key_read(const uint8_t *der, size_t len, EVP_PKEY **ret) MUST_CHECK;

int certificate_write(X509 *certificate, uint8_t ret_der[CERTIFICATE_DER_MAX],
		      size_t *ret_len) MUST_CHECK;
int certificate_read(const uint8_t *der, size_t len, X509 **ret) MUST_CHECK;

/* What people and lists tell one by. */
struct certificate_facts {
	char serial[2 * 20 + 1];	 /* hex */
	char initiator[ISCSI_NAME_SIZE]; /* of its first URI; "": it has none */
	uint8_t print[CERTIFICATE_PRINT_SIZE];
	int64_t from_s, until_s;
};
int certificate_facts(X509 *certificate, struct certificate_facts *ret) MUST_CHECK;

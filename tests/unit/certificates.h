/* Keys, certificates and CRLs for tests, made by OpenSSL: no file of them is kept anywhere. */
#pragma once

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include "tests/unit/test.h"

#define DAY_S (24 * 3600L)

struct made {
	X509 *certificate;
	EVP_PKEY *key;
};

/* What a certificate is to say; what is left out is right. */
struct made_spec {
	const char *name;
	const char *key;	   /* "P-256" (also NULL), "P-384", "P-521", "ED25519", "RSA" */
	const struct made *issuer; /* NULL: itself */
	bool ca;
	const char *usage, *san; /* "serverAuth"; "URI:iscsi:iqn…" */
	long begins_s, ends_s;	 /* from now; 0: a day ago, in a year */
	long serial;
};

static inline EVP_PKEY *made_key(const char *kind)
{
	EVP_PKEY *key;

	if (!kind)
		kind = "P-256";
	if (strcmp(kind, "ED25519") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else if (strcmp(kind, "RSA") == 0 || strcmp(kind, "RSA-PSS") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	else if (strcmp(kind, "RSA-1024") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
	else
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
	assert_non_null(key);
	return key;
}

static inline void made_extension(X509 *c, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *e;

	X509V3_set_ctx(&context, issuer, c, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(c, e, -1), 1);
	X509_EXTENSION_free(e);
}

static inline const EVP_MD *made_digest(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
}

static inline struct made made_certificate(const struct made_spec *s)
{
	static long serials = 1;
	struct made m = {X509_new(), made_key(s->key)};
	const struct made *by = s->issuer ? s->issuer : &m;
	X509_NAME *name = X509_get_subject_name(m.certificate);

	assert_int_equal(X509_set_version(m.certificate, X509_VERSION_3), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(m.certificate), s->serial ? s->serial : ++serials);
	X509_gmtime_adj(X509_getm_notBefore(m.certificate), s->begins_s ? s->begins_s : -DAY_S);
	X509_gmtime_adj(X509_getm_notAfter(m.certificate), s->ends_s ? s->ends_s : 365 * DAY_S);
	assert_int_equal(X509_set_pubkey(m.certificate, m.key), 1);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)s->name, -1, -1,
				   0);
	X509_set_issuer_name(m.certificate, X509_get_subject_name(by->certificate));
	made_extension(m.certificate, by->certificate, NID_basic_constraints,
		       s->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (s->ca)
		made_extension(m.certificate, by->certificate, NID_key_usage,
			       "critical,keyCertSign,cRLSign");
	made_extension(m.certificate, by->certificate, NID_subject_key_identifier, "hash");
	if (s->usage)
		made_extension(m.certificate, by->certificate, NID_ext_key_usage, s->usage);
	if (s->san)
		made_extension(m.certificate, by->certificate, NID_subject_alt_name, s->san);
	assert_true(X509_sign(m.certificate, by->key, made_digest(by->key)) > 0);
	return m;
}

static inline void made_free(struct made *m)
{
	X509_free(m->certificate);
	EVP_PKEY_free(m->key);
	*m = (struct made){0};
}

/* A CRL of `by` that takes back the certificate of `revoked` (or nobody's). */
static inline X509_CRL *made_crl(const struct made *by, const struct made *revoked, long next_s)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *next = X509_gmtime_adj(NULL, next_s);

	assert_int_equal(X509_CRL_set_version(crl, X509_CRL_VERSION_2), 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(by->certificate));
	X509_CRL_set1_lastUpdate(crl, now);
	X509_CRL_set1_nextUpdate(crl, next);
	if (revoked) {
		X509_REVOKED *r = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(revoked->certificate));
		X509_REVOKED_set_revocationDate(r, now);
		assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
	}
	X509_CRL_sort(crl);
	assert_true(X509_CRL_sign(crl, by->key, made_digest(by->key)) > 0);
	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
	return crl;
}

static inline FILE *made_file(const char *path, bool more)
{
	FILE *f = fopen(path, more ? "ae" : "we");

	assert_non_null(f);
	return f;
}

static inline void made_write(const struct made *m, const char *path, bool more)
{
	FILE *f = made_file(path, more);

	assert_int_equal(PEM_write_X509(f, m->certificate), 1);
	assert_int_equal(fclose(f), 0);
}

static inline void made_write_key(const struct made *m, const char *path)
{
	FILE *f = made_file(path, false);

	assert_int_equal(fchmod(fileno(f), 0600), 0);
	assert_int_equal(PEM_write_PrivateKey(f, m->key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
}

/* Files of certificates: taken apart and judged by OpenSSL, handed on as DER. In whoever reads a
 * policy: the monitor and the command line. What a file says of dates is the caller's to judge;
 * that it is in order, of keys that we use, and signed by whom it names, is judged here. */
#include "gateway/tls/certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include "gateway/base/bytes.h"
#include "gateway/base/log.h"
#include "gateway/tls/marks.h"

#define CERTIFICATES_MAX 16 /* of one file */
#define RSA_BITS_LEAST	 2048
#define RSA_BITS_MOST	 4096

static void bio_free(BIO **b)
{
	BIO_free(*b);
}

static void certificate_free(X509 **c)
{
	X509_free(*c);
}

static void crl_free(X509_CRL **c)
{
	X509_CRL_free(*c);
}

void tls_part_free(struct tls_part *p)
{
	free(p->der);
	free(p->marks);
	*p = (struct tls_part){0};
}

bool tls_part_is_same(const struct tls_part *a, const struct tls_part *b)
{
	return memcmp(a->hash, b->hash, sizeof a->hash) == 0;
}

PRINTF_LIKE(3, 4)
static int wrong(struct tls_why *why, const char *hint, const char *fmt, ...)
{
	va_list args;

	ERR_clear_error();
	why->hint = hint;
	va_start(args, fmt);
	(void)vsnprintf(why->text, sizeof why->text, fmt, args);
	va_end(args);
	return -EBADMSG;
}

/* --- DER ---------------------------------------------------------------------------------- */

/* Appends; takes over der (or NULL, of OpenSSL without memory). */
static int part_add(struct tls_part *p, unsigned char *der, int len)
{
	size_t more = p->len + 4 + (len > 0 ? (size_t)len : 0);
	uint8_t *bytes = len > 0 ? realloc(p->der, more) : NULL;
	struct wr w;

	if (!bytes) {
		OPENSSL_free(der);
		return -ENOMEM;
	}
	p->der = bytes;
	w = wr_over(bytes + p->len, more - p->len);
	wr_be(&w, 4, (uint64_t)len);
	wr_bytes(&w, der, (size_t)len);
	assert(!w.failed);
	OPENSSL_free(der);
	p->len = more;
	p->count++;
	return 0;
}

static int part_done(struct tls_part *p)
{
	unsigned int size = sizeof p->hash;

	tls_marks_sort(p);
	return EVP_Digest(p->der, p->len, p->hash, &size, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
}

static int64_t seconds_of(const ASN1_TIME *t)
{
	struct tm tm;

	if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm);
}

/* The common name, or all of it. */
static void subject_write(X509_NAME *name, char ret[TLS_SUBJECT_SIZE])
{
	char text[TLS_SUBJECT_SIZE / 2] = "";
	int n = X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof text);

	if (n <= 0)
		(void)X509_NAME_oneline(name, text, sizeof text);
	(void)text_escape(text, strlen(text), ret, TLS_SUBJECT_SIZE);
}

static void certificate_note(X509 *c, struct tls_part *p)
{
	unsigned int size = sizeof p->fingerprint;

	p->begins_s = seconds_of(X509_get0_notBefore(c));
	p->ends_s = seconds_of(X509_get0_notAfter(c));
	subject_write(X509_get_subject_name(c), p->subject);
	(void)X509_digest(c, EVP_sha256(), p->fingerprint, &size);
}

/* --- keys --------------------------------------------------------------------------------- */

static bool key_is_ours(const EVP_PKEY *key)
{
	static const char *const curves[] = {SN_X9_62_prime256v1, SN_secp384r1};
	char curve[64] = "";

	if (EVP_PKEY_is_a(key, "ED25519"))
		return true;
	if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
		return EVP_PKEY_get_bits(key) >= RSA_BITS_LEAST &&
		       EVP_PKEY_get_bits(key) <= RSA_BITS_MOST;
	if (!EVP_PKEY_is_a(key, "EC") ||
	    EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) != 1)
		return false;
	for (size_t k = 0; k < ARRAY_LEN(curves); k++)
		if (strcmp(curves[k], curve) == 0)
			return true;
	return false;
}

static int key_judge(X509 *c, struct tls_why *why)
{
	const EVP_PKEY *key = X509_get0_pubkey(c);

	if (key && key_is_ours(key))
		return 0;
	return wrong(
		why,
		"make it with a key of EC P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits",
		"has a key of a kind that is not used here");
}

/* --- certificates ------------------------------------------------------------------------- */

/* Why there is no next one. */
static bool is_at_end(void)
{
	unsigned long e = ERR_peek_last_error();

	if (ERR_GET_LIB(e) != ERR_LIB_PEM || ERR_GET_REASON(e) != PEM_R_NO_START_LINE)
		return false;
	ERR_clear_error();
	return true;
}

/* 1: *ret; 0: there is no more. */
static int certificate_next(BIO *in, X509 **ret, struct tls_why *why)
{
	*ret = PEM_read_bio_X509(in, NULL, NULL, (char[1]){0});
	if (*ret)
		return 1;
	if (is_at_end())
		return 0;
	return wrong(why, "put the file back as it was issued",
		     "has a certificate that is damaged");
}

static int certificate_add(struct tls_part *p, X509 *c)
{
	unsigned char *der = NULL;
	int len = i2d_X509(c, &der);

	return part_add(p, der, len);
}

/* Each is judged by `each`, which hears of the one before (NULL: the first). */
static int certificates_read(const char *pem, size_t len, struct tls_part *p, struct tls_why *why,
			     int (*each)(struct tls_part *p, X509 *c, X509 *before,
					 struct tls_why *why))
{
	OWNED_BY(bio_free) BIO *in = BIO_new_mem_buf(pem, (int)MIN(len, (size_t)TLS_FILE_MAX));
	OWNED_BY(certificate_free) X509 *before = NULL;
	int r = in ? 1 : -ENOMEM;

	while (r > 0) {
		OWNED_BY(certificate_free) X509 *c = NULL;
		r = certificate_next(in, &c, why);
		if (r > 0 && p->count == CERTIFICATES_MAX)
			r = wrong(why, "leave out what is not needed",
				  "has more than %d certificates", CERTIFICATES_MAX);
		if (r > 0 && (r = each(p, c, before, why)) == 0)
			r = certificate_add(p, c) < 0 ? -ENOMEM : 1;
		X509_free(before);
		before = TAKE(c);
	}
	if (r == 0 && p->count == 0)
		r = wrong(why, "a file begins with -----BEGIN CERTIFICATE-----",
			  "has no certificate (PEM)");
	return r == 0 ? part_done(p) : r;
}

static int finish(int r, struct tls_part *p, struct tls_part *ret)
{
	if (r == 0)
		*ret = *p;
	else
		tls_part_free(p);
	return r;
}

static int chain_each(struct tls_part *p, X509 *c, X509 *before, struct tls_why *why)
{
	if (before && X509_check_issued(c, before) != X509_V_OK)
		return wrong(why, "put the gateway's own first, then each one's issuer",
			     "is out of order: its certificate %u did not sign the one before it",
			     p->count + 1);
	if (before)
		return 0;
	certificate_note(c, p);
	if (X509_check_purpose(c, X509_PURPOSE_SSL_SERVER, 0) != 1)
		return wrong(why, "ask for one with the purpose serverAuth",
			     "begins with a certificate that is not for servers");
	return key_judge(c, why);
}

int tls_chain_read(const char *pem, size_t len, struct tls_part *ret, struct tls_why *ret_why)
{
	struct tls_part p = {0};

	return finish(certificates_read(pem, len, &p, ret_why, chain_each), &p, ret);
}

static int authority_each(struct tls_part *p, X509 *c, X509 *before, struct tls_why *why)
{
	uint8_t mark[TLS_MARK_SIZE];

	(void)before;
	if (X509_check_ca(c) == 0)
		return wrong(why, "name the file of the CA that signs the clients' certificates",
			     "has a certificate that is no CA's: its certificate %u", p->count + 1);
	if (p->count == 0 || seconds_of(X509_get0_notAfter(c)) < p->ends_s)
		certificate_note(c, p);
	return tls_mark_issuer(c, mark) ? tls_mark_add(p, mark) : -ENOMEM;
}

int tls_authorities_read(const char *pem, size_t len, struct tls_part *ret, struct tls_why *ret_why)
{
	struct tls_part p = {0};

	return finish(certificates_read(pem, len, &p, ret_why, authority_each), &p, ret);
}

/* --- CRLs --------------------------------------------------------------------------------- */

/* The DER at *at, which moves behind it. */
static X509 *certificate_at(const struct tls_part *p, size_t *at)
{
	struct rd r = rd_over(p->der + *at, p->len - *at);
	size_t len = (size_t)rd_be(&r, 4);
	const unsigned char *der = rd_bytes(&r, len);

	assert(!r.failed);
	*at += 4 + len;
	return d2i_X509(NULL, &der, (long)len);
}

/* Who signed it; or NULL. */
static X509 *signer_find(X509_CRL *crl, const struct tls_part *authorities)
{
	X509 *found = NULL;

	for (size_t at = 0; at < authorities->len && !found;) {
		OWNED_BY(certificate_free) X509 *ca = certificate_at(authorities, &at);
		EVP_PKEY *key = ca ? X509_get0_pubkey(ca) : NULL;

		if (key &&
		    X509_NAME_cmp(X509_get_subject_name(ca), X509_CRL_get_issuer(crl)) == 0 &&
		    X509_CRL_verify(crl, key) == 1)
			found = TAKE(ca);
	}
	ERR_clear_error();
	return found;
}

static int crl_take(X509_CRL *crl, const struct tls_part *authorities, struct tls_part *p,
		    struct tls_why *why)
{
	OWNED_BY(certificate_free) X509 *signer = signer_find(crl, authorities);
	int64_t next = seconds_of(X509_CRL_get0_nextUpdate(crl));
	unsigned char *der = NULL;
	int len;

	if (authorities->count > 0 && !signer)
		return wrong(why, "name the CRL of a CA of client_ca",
			     "is signed by no CA of client_ca");
	if (p->count == 0 || (next != 0 && (p->ends_s == 0 || next < p->ends_s))) {
		p->begins_s = seconds_of(X509_CRL_get0_lastUpdate(crl));
		p->ends_s = next;
		subject_write(X509_CRL_get_issuer(crl), p->subject);
	}
	if (signer && tls_mark_crl(p, crl, signer) < 0)
		return -ENOMEM;
	len = i2d_X509_CRL(crl, &der);
	return part_add(p, der, len);
}

int tls_revocations_add(const char *pem, size_t len, const struct tls_part *authorities,
			struct tls_part *part, struct tls_why *ret_why)
{
	OWNED_BY(bio_free) BIO *in = BIO_new_mem_buf(pem, (int)MIN(len, (size_t)TLS_FILE_MAX));
	uint32_t before = part->count;
	int r = in ? 0 : -ENOMEM;

	while (r == 0) {
		OWNED_BY(crl_free) X509_CRL *crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL);

		if (!crl) {
			r = is_at_end() ? 0
					: wrong(ret_why, "put the file back as it was issued",
						"has a CRL that is damaged");
			break;
		}
		r = part->len > TLS_PART_MAX
			    ? wrong(ret_why, "leave out what is not needed", "is too large")
			    : crl_take(crl, authorities, part, ret_why);
	}
	ERR_clear_error();
	if (r == 0 && part->count == before)
		r = wrong(ret_why, "a file begins with -----BEGIN X509 CRL-----",
			  "has no CRL (PEM)");
	return r == 0 ? part_done(part) : r;
}

/* --- a private key ------------------------------------------------------------------------ */

int tls_key_check(const char *pem, size_t len, const struct tls_part *chain,
		  struct tls_why *ret_why)
{
	OWNED_BY(bio_free) BIO *in = BIO_new_mem_buf(pem, (int)MIN(len, (size_t)TLS_FILE_MAX));
	OWNED_BY(certificate_free) X509 *leaf = certificate_at(chain, &(size_t){0});
	EVP_PKEY *key;
	bool fits;

	if (!in || !leaf)
		return -ENOMEM;
	/* An empty passphrase: nobody is there to be asked. */
	key = PEM_read_bio_PrivateKey(in, NULL, NULL, (char[1]){0});
	if (!key)
		return wrong(ret_why,
			     "a key begins with -----BEGIN PRIVATE KEY-----, and has no passphrase",
			     "has no private key (PEM) that can be read");
	fits = X509_check_private_key(leaf, key) == 1;
	EVP_PKEY_free(key);
	ERR_clear_error();
	return fits ? 0
		    : wrong(ret_why, "name the key that the certificate was made for",
			    "is not the key of the certificate");
}

/* --- fingerprints ------------------------------------------------------------------------- */

static int digit_of(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)((at - digits) % 16) : -1;
}

bool tls_fingerprint_parse(const char *text, uint8_t ret[TLS_HASH_SIZE])
{
	uint8_t octets[TLS_HASH_SIZE];

	if (strncmp(text, "sha256:", 7) != 0)
		return false;
	text += 7;
	for (size_t k = 0; k < sizeof octets; k++) {
		int high, low;

		if (k > 0 && *text == ':')
			text++;
		high = digit_of(text[0]);
		low = high < 0 ? -1 : digit_of(text[1]);
		if (low < 0)
			return false;
		octets[k] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text)
		return false;
	memcpy(ret, octets, sizeof octets);
	return true;
}

const char *tls_fingerprint_text(const uint8_t fingerprint[TLS_HASH_SIZE],
				 char ret[TLS_FINGERPRINT_TEXT])
{
	(void)string_copy(ret, TLS_FINGERPRINT_TEXT, "sha256:");
	for (size_t k = 0; k < TLS_HASH_SIZE; k++)
		(void)snprintf(ret + 7 + 2 * k, 3, "%02x", fingerprint[k]);
	return ret;
}

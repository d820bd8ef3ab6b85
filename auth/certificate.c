/* Issues certificates. On the command line and, for who joins, in the authenticator's
 * sandbox. Trusts its caller; a client's public key and name were checked by then. */
#include "auth/certificate.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include "gateway/base/address.h"

#define DAY_S	     86400
#define SECURE_HEAP  65536
#define SECURE_LEAST 32

bool certificate_begin(void)
{
	return CRYPTO_secure_malloc_initialized() ||
	       CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_LEAST) != 0;
}

bool certificate_initiator_ok(const char *name)
{
	for (const char *p = name; *p; p++)
		if (*p <= ' ' || *p > '~')
			return false;
	return *name != '\0';
}

/* --- names ----------------------------------------------------------------------------------- */

/* An alternative name, which is given to `names`. */
static int name_push(GENERAL_NAMES *names, int type, const void *bytes, size_t len)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *text = type == GEN_IPADD ? (ASN1_STRING *)ASN1_OCTET_STRING_new()
					      : (ASN1_STRING *)ASN1_IA5STRING_new();

	if (name && text && ASN1_STRING_set(text, bytes, (int)len) == 1) {
		GENERAL_NAME_set0_value(name, type, text);
		text = NULL;
		if (sk_GENERAL_NAME_push(names, name) > 0)
			return 0;
	}
	ASN1_STRING_free(text);
	GENERAL_NAME_free(name);
	return -ENOMEM;
}

static int host_push(GENERAL_NAMES *names, const char *host)
{
	struct ip ip;

	if (ip_parse(host, &ip) == 0)
		return name_push(names, GEN_IPADD, ip.bytes, ip.version == 4 ? 4 : 16);
	return name_push(names, GEN_DNS, host, strlen(host));
}

static int names_push(GENERAL_NAMES *names, const struct certificate_request *q)
{
	char uri[sizeof CERTIFICATE_URI_PREFIX + ISCSI_NAME_SIZE] = CERTIFICATE_URI_PREFIX;
	int r = 0;

	for (size_t k = 0; q->hosts && k < q->hosts->count && r == 0; k++)
		r = host_push(names, q->hosts->names[k]);
	if (r < 0 || !q->initiator)
		return r;
	if (!certificate_initiator_ok(q->initiator) ||
	    !string_copy(uri + strlen(uri), sizeof uri - strlen(uri), q->initiator))
		return -EINVAL;
	return name_push(names, GEN_URI, uri, strlen(uri));
}

static int names_add(X509 *x, const struct certificate_request *q)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	int r = names ? names_push(names, q) : -ENOMEM;

	if (r == 0 && X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) != 1)
		r = -EIO;
	GENERAL_NAMES_free(names);
	return r;
}

/* RFC 1123 section 2.1: letters, digits and hyphens, in labels of at most 63. No wildcards. */
static bool is_dns_name(const char *name)
{
	size_t label = 0, len = strlen(name);

	for (size_t k = 0; k < len; k++) {
		const char c = name[k];

		if (c == '.' ? label == 0 || name[k - 1] == '-' || k + 1 == len
			     : !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				 (c >= '0' && c <= '9') || (c == '-' && label > 0)))
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return len > 0 && len < CERTIFICATE_HOST_SIZE && name[len - 1] != '-';
}

int certificate_host_add(struct certificate_hosts *hosts, const char *name)
{
	char text[ADDRESS_TEXT];
	struct ip ip;

	if (ip_parse(name, &ip) == 0)
		name = ip_format(&ip, text);
	else if (!is_dns_name(name))
		return -EINVAL;
	for (size_t k = 0; k < hosts->count; k++)
		if (strcasecmp(hosts->names[k], name) == 0)
			return 0;
	if (hosts->count == CERTIFICATE_HOSTS_MAX)
		return -ENOSPC;
	(void)string_copy(hosts->names[hosts->count++], CERTIFICATE_HOST_SIZE, name);
	return 0;
}

static bool host_text(const GENERAL_NAME *name, char *ret, size_t size)
{
	int type = 0, len;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
	const uint8_t *octets;
	struct ip ip = {0};

	if (type != GEN_DNS && type != GEN_IPADD)
		return false;
	octets = ASN1_STRING_get0_data(value);
	len = ASN1_STRING_length(value);
	if (type == GEN_IPADD && (len == 4 || len == 16)) {
		char text[ADDRESS_TEXT];

		ip.version = len == 4 ? 4 : 6;
		memcpy(ip.bytes, octets, (size_t)len);
		return string_copy(ret, size, ip_format(&ip, text));
	}
	if (type == GEN_IPADD || len < 0 || (size_t)len >= size || memchr(octets, 0, (size_t)len))
		return false;
	memcpy(ret, octets, (size_t)len);
	ret[len] = '\0';
	return true;
}

void certificate_hosts(X509 *certificate, struct certificate_hosts *ret_hosts)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	char text[CERTIFICATE_HOST_SIZE];

	*ret_hosts = (struct certificate_hosts){0};
	for (int k = 0; k < sk_GENERAL_NAME_num(names); k++)
		if (host_text(sk_GENERAL_NAME_value(names, k), text, sizeof text))
			IGNORE_RESULT(certificate_host_add(ret_hosts, text)); /* told by its lack */
	GENERAL_NAMES_free(names);
}

bool certificate_has_host(X509 *certificate, const char *name)
{
	struct ip ip;

	if (ip_parse(name, &ip) == 0)
		return X509_check_ip(certificate, ip.bytes, ip.version == 4 ? 4 : 16, 0) == 1;
	return X509_check_host(certificate, name, strlen(name), 0, NULL) == 1;
}

/* --- certificates ---------------------------------------------------------------------------- */

static const struct profile {
	const char *constraints, *usage, *purpose; /* NULL: none */
	int days;
} profiles[] = {
	[CERTIFICATE_CA] = {"critical,CA:TRUE,pathlen:0", "critical,keyCertSign,cRLSign", NULL,
			    CERTIFICATE_CA_DAYS},
	[CERTIFICATE_PORTAL] = {"critical,CA:FALSE", "critical,digitalSignature", "serverAuth",
				CERTIFICATE_LEAF_DAYS},
	[CERTIFICATE_CLIENT] = {"critical,CA:FALSE", "critical,digitalSignature", "clientAuth",
				CERTIFICATE_LEAF_DAYS},
};

static int extension_add(X509 *x, X509V3_CTX *context, int nid, const char *value)
{
	X509_EXTENSION *e = value ? X509V3_EXT_conf_nid(NULL, context, nid, value) : NULL;
	int r = !value || (e && X509_add_ext(x, e, -1) == 1) ? 0 : -EIO;

	X509_EXTENSION_free(e);
	return r;
}

static int extensions_add(X509 *x, X509 *issuer, const struct certificate_request *q)
{
	const struct profile *p = &profiles[q->kind];
	const struct {
		int nid;
		const char *value;
	} rows[] = {
		{NID_basic_constraints, p->constraints},
		{NID_key_usage, p->usage},
		{NID_ext_key_usage, p->purpose},
		{NID_subject_key_identifier, "hash"},
		{NID_authority_key_identifier, issuer ? "keyid:always" : NULL},
	};
	X509V3_CTX context;
	int r = 0;

	X509V3_set_ctx(&context, issuer ? issuer : x, x, NULL, NULL, 0);
	for (size_t k = 0; k < ARRAY_LEN(rows) && r == 0; k++)
		r = extension_add(x, &context, rows[k].nid, rows[k].value);
	return r == 0 && q->kind != CERTIFICATE_CA ? names_add(x, q) : r;
}

/* Positive, of 16 octets: RFC 5280 section 4.1.2.2. */
static int serial_set(ASN1_INTEGER *serial)
{
	uint8_t octets[CERTIFICATE_SERIAL_SIZE];
	BIGNUM *n = NULL;
	int r = -EIO;

	if (RAND_bytes(octets, sizeof octets) == 1) {
		octets[0] = (uint8_t)((octets[0] & 0x7f) | 0x40);
		n = BN_bin2bn(octets, sizeof octets, NULL);
	}
	if (n && BN_to_ASN1_INTEGER(n, serial))
		r = 0;
	BN_free(n);
	return r;
}

static int period_set(X509 *x, const struct certificate_request *q)
{
	const int64_t until = q->now_s + (int64_t)profiles[q->kind].days * DAY_S;

	return ASN1_TIME_set(X509_getm_notBefore(x), q->now_s - CERTIFICATE_EARLY_S) &&
			       ASN1_TIME_set(X509_getm_notAfter(x), until)
		       ? 0
		       : -EIO;
}

static int subject_set(X509 *x, const char *name)
{
	char cut[64 + 1]; /* ub-common-name, RFC 5280 appendix A.1 */

	(void)string_copy(cut, sizeof cut, name);
	return X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
					  (const uint8_t *)cut, -1, -1, 0) == 1
		       ? 0
		       : -EINVAL;
}

int certificate_issue(const struct certificate_issuer *by, const struct certificate_request *q,
		      X509 **ret)
{
	OWNED_X509 *x = X509_new();
	X509 *issuer = by->certificate;
	int r;

	if (!x || X509_set_version(x, X509_VERSION_3) != 1 || X509_set_pubkey(x, q->key) != 1)
		return -EIO;
	if ((r = serial_set(X509_get_serialNumber(x))) < 0 || (r = period_set(x, q)) < 0 ||
	    (r = subject_set(x, q->name)) < 0)
		return r;
	if (X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x)) != 1)
		return -EIO;
	if ((r = extensions_add(x, issuer, q)) < 0)
		return r;
	if (X509_sign(x, by->key, EVP_sha256()) <= 0)
		return -EIO;
	*ret = TAKE(x);
	return 0;
}

/* --- the list of what was revoked ------------------------------------------------------------ */

static int entry_push(X509_CRL *crl, const ASN1_INTEGER *serial, const ASN1_TIME *since)
{
	X509_REVOKED *e = X509_REVOKED_new();

	if (e && X509_REVOKED_set_serialNumber(e, (ASN1_INTEGER *)(uintptr_t)serial) == 1 &&
	    X509_REVOKED_set_revocationDate(e, (ASN1_TIME *)(uintptr_t)since) == 1 &&
	    X509_CRL_add0_revoked(crl, e) == 1)
		return 0;
	X509_REVOKED_free(e);
	return -EIO;
}

static int entries_copy(X509_CRL *crl, X509_CRL *before)
{
	STACK_OF(X509_REVOKED) *rows = before ? X509_CRL_get_REVOKED(before) : NULL;
	int r = 0;

	for (int k = 0; k < sk_X509_REVOKED_num(rows) && r == 0; k++) {
		const X509_REVOKED *e = sk_X509_REVOKED_value(rows, k);

		r = entry_push(crl, X509_REVOKED_get0_serialNumber(e),
			       X509_REVOKED_get0_revocationDate(e));
	}
	return r;
}

/* RFC 5280 section 5.2.3: one more than that of the list before. */
static int number_set(X509_CRL *crl, X509_CRL *before)
{
	ASN1_INTEGER *number = before ? X509_CRL_get_ext_d2i(before, NID_crl_number, NULL, NULL)
				      : NULL;
	int64_t n = 0;
	int r = -EIO;

	if (number && ASN1_INTEGER_get_int64(&n, number) != 1)
		n = 0;
	if (!number)
		number = ASN1_INTEGER_new();
	if (number && ASN1_INTEGER_set_int64(number, n + 1) == 1 &&
	    X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) == 1)
		r = 0;
	ASN1_INTEGER_free(number);
	return r;
}

/* Good until the next one is made, so it names the CA's own end: a gateway that nobody touches for
 * months goes on. */
static int crl_begin(X509_CRL *crl, X509 *issuer, const ASN1_TIME *since)
{
	X509V3_CTX context;
	X509_EXTENSION *e;
	int r = -EIO;

	X509V3_set_ctx(&context, issuer, NULL, NULL, crl, 0);
	e = X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid:always");
	if (e && X509_CRL_add_ext(crl, e, -1) == 1 &&
	    X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
	    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) == 1 &&
	    X509_CRL_set1_lastUpdate(crl, since) == 1 &&
	    X509_CRL_set1_nextUpdate(crl, X509_get0_notAfter(issuer)) == 1)
		r = 0;
	X509_EXTENSION_free(e);
	return r;
}

int certificate_crl(const struct certificate_issuer *by, const struct certificate_revocation *q,
		    X509_CRL **ret)
{
	OWNED_CRL *crl = X509_CRL_new();
	ASN1_TIME *now = ASN1_TIME_set(NULL, q->now_s);
	ASN1_TIME *early = ASN1_TIME_set(NULL, q->now_s - CERTIFICATE_EARLY_S);
	int r = crl && now && early ? crl_begin(crl, by->certificate, early) : -ENOMEM;

	if (r == 0)
		r = number_set(crl, q->before);
	if (r == 0)
		r = entries_copy(crl, q->before);
	for (size_t k = 0; k < q->count && r == 0; k++)
		r = entry_push(crl, X509_get0_serialNumber(q->certificates[k]), now);
	ASN1_TIME_free(now);
	ASN1_TIME_free(early);
	if (r == 0 && (X509_CRL_sort(crl) != 1 || X509_CRL_sign(crl, by->key, EVP_sha256()) <= 0))
		r = -EIO;
	if (r == 0)
		*ret = TAKE(crl);
	return r;
}

static int64_t time_s(const ASN1_TIME *t)
{
	struct tm tm = {0};

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

bool certificate_is_revoked(X509_CRL *crl, X509 *certificate, int64_t *ret_since_s)
{
	X509_REVOKED *e = NULL;

	if (X509_CRL_get0_by_cert(crl, &e, certificate) != 1)
		return false;
	*ret_since_s = time_s(X509_REVOKED_get0_revocationDate(e));
	return true;
}

/* --- facts ----------------------------------------------------------------------------------- */

static void initiator_find(X509 *certificate, char ret[ISCSI_NAME_SIZE])
{
	static const size_t prefix = sizeof CERTIFICATE_URI_PREFIX - 1;
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

	for (int k = 0; k < sk_GENERAL_NAME_num(names) && ret[0] == '\0'; k++) {
		int type = 0;
		const ASN1_STRING *value =
			GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, k), &type);
		const uint8_t *octets = type == GEN_URI ? ASN1_STRING_get0_data(value) : NULL;
		size_t len = type == GEN_URI ? (size_t)ASN1_STRING_length(value) : 0;

		if (len <= prefix || len - prefix >= ISCSI_NAME_SIZE ||
		    memcmp(octets, CERTIFICATE_URI_PREFIX, prefix) != 0 || memchr(octets, 0, len))
			continue;
		memcpy(ret, octets + prefix, len - prefix);
		ret[len - prefix] = '\0';
	}
	GENERAL_NAMES_free(names);
}

int certificate_facts(X509 *certificate, struct certificate_facts *ret)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
	struct certificate_facts f = {.from_s = time_s(X509_get0_notBefore(certificate)),
				      .until_s = time_s(X509_get0_notAfter(certificate))};
	const uint8_t *octets = ASN1_STRING_get0_data(serial);
	int len = ASN1_STRING_length(serial);
	unsigned print_len = sizeof f.print;

	if (len < 1 || (size_t)len > (sizeof f.serial - 1) / 2)
		return -EBADMSG;
	for (int k = 0; k < len; k++) {
		static const char digits[] = "0123456789abcdef";

		f.serial[2 * k] = digits[octets[k] >> 4];
		f.serial[2 * k + 1] = digits[octets[k] & 15];
	}
	if (X509_digest(certificate, EVP_sha256(), f.print, &print_len) != 1)
		return -EIO;
	initiator_find(certificate, f.initiator);
	*ret = f;
	return 0;
}

/* Marks: who issued a certificate and which of its it is, in a few octets. A session tells those of
 * the chain that it found good, so that others can say whom new CAs and CRLs end without a peer's
 * certificate being read anywhere but in its session. In sessions and in whoever reads a policy. */
#include "gateway/tls/marks.h"

#include <openssl/x509v3.h>
#include <sodium.h>

/* Not OpenSSL's, which would read its configuration first: a session's door is closed. */
static void mark_make(const uint8_t *octets, size_t len, uint8_t ret[TLS_MARK_SIZE])
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256(hash, octets, len);
	memcpy(ret, hash, TLS_MARK_SIZE);
}

bool tls_mark_issuer(const X509 *issuer, uint8_t ret[TLS_MARK_SIZE])
{
	unsigned char *key = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(issuer), &key);

	if (len > 0)
		mark_make(key, (size_t)len, ret);
	OPENSSL_free(key);
	return len > 0;
}

#define SERIAL_MAX 64 /* RFC 5280 section 4.1.2.2 allows 20 */

bool tls_mark_issued(const uint8_t issuer[TLS_MARK_SIZE], const ASN1_INTEGER *serial,
		     uint8_t ret[TLS_MARK_SIZE])
{
	uint8_t octets[TLS_MARK_SIZE + SERIAL_MAX];
	size_t len = (size_t)ASN1_STRING_length(serial);

	if (len > SERIAL_MAX)
		return false;
	memcpy(octets, issuer, TLS_MARK_SIZE);
	if (len > 0)
		memcpy(octets + TLS_MARK_SIZE, ASN1_STRING_get0_data(serial), len);
	mark_make(octets, TLS_MARK_SIZE + len, ret);
	return true;
}

static bool link_make(const X509 *c, const X509 *issuer, struct tls_link *ret)
{
	return tls_mark_issuer(issuer, ret->issuer) &&
	       tls_mark_issued(ret->issuer, X509_get0_serialNumber(c), ret->itself);
}

size_t tls_links_of(const STACK_OF(X509) * chain, struct tls_link ret[TLS_LINKS])
{
	int count = sk_X509_num(chain);

	if (count < 1 || count > TLS_LINKS)
		return 0;
	for (int k = 0; k < count; k++)
		if (!link_make(sk_X509_value(chain, k), sk_X509_value(chain, MIN(k + 1, count - 1)),
			       &ret[k]))
			return 0;
	return (size_t)count;
}

/* --- of files ----------------------------------------------------------------------------- */

/* The space is a power of two. */
int tls_mark_add(struct tls_part *p, const uint8_t mark[TLS_MARK_SIZE])
{
	if ((p->mark_count & (p->mark_count - 1)) == 0) {
		void *more = reallocarray(p->marks, p->mark_count ? 2 * p->mark_count : 1,
					  TLS_MARK_SIZE);

		if (!more)
			return -ENOMEM;
		p->marks = more;
	}
	memcpy(p->marks[p->mark_count++], mark, TLS_MARK_SIZE);
	return 0;
}

int tls_mark_crl(struct tls_part *p, X509_CRL *crl, const X509 *issuer)
{
	STACK_OF(X509_REVOKED) *all = X509_CRL_get_REVOKED(crl);
	uint8_t by[TLS_MARK_SIZE], mark[TLS_MARK_SIZE];
	int r = tls_mark_issuer(issuer, by) ? tls_mark_add(p, by) : -ENOMEM;

	for (int k = 0; k < sk_X509_REVOKED_num(all) && r == 0; k++) {
		const X509_REVOKED *one = sk_X509_REVOKED_value(all, k);

		if (tls_mark_issued(by, X509_REVOKED_get0_serialNumber(one), mark))
			r = tls_mark_add(p, mark);
	}
	return r;
}

static int mark_order(const void *a, const void *b)
{
	return memcmp(a, b, TLS_MARK_SIZE);
}

void tls_marks_sort(struct tls_part *p)
{
	if (p->mark_count > 1)
		qsort(p->marks, p->mark_count, TLS_MARK_SIZE, mark_order);
}

static bool has_mark(const struct tls_part *p, const uint8_t mark[TLS_MARK_SIZE])
{
	return p->mark_count > 0 &&
	       bsearch(mark, p->marks, p->mark_count, TLS_MARK_SIZE, mark_order) != NULL;
}

/* As the sessions' own check does: with a CRL from anyone, each of a chain needs its issuer's. What
 * only a chain of other certificates could mend is left to that check: nobody is ended too much. */
const char *tls_links_judge(const struct tls_link *links, size_t count,
			    const struct tls_part *authorities, const struct tls_part *revocations)
{
	const char *why = "tls-unknown-ca";

	if (count == 0 || authorities->mark_count == 0)
		return NULL;
	for (size_t k = 0; k < count; k++)
		if (has_mark(authorities, links[k].issuer))
			why = NULL;
	for (size_t k = 0; k < count && !why && revocations->count > 0; k++) {
		if (has_mark(revocations, links[k].itself))
			why = "tls-revoked";
		else if (!has_mark(revocations, links[k].issuer))
			why = "tls-crl";
	}
	return why;
}

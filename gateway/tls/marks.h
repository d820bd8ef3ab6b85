/* Marks of certificates and of their issuers: gateway/tls/certificates.h says what for. Within this
 * folder. */
#pragma once

#include <openssl/x509.h>
#include "gateway/tls/certificates.h"

/* False: OpenSSL has no memory, or a number is none. */
bool tls_mark_issuer(const X509 *issuer, uint8_t ret[TLS_MARK_SIZE]);
bool tls_mark_issued(const uint8_t issuer[TLS_MARK_SIZE], const ASN1_INTEGER *serial,
		     uint8_t ret[TLS_MARK_SIZE]);
/* The links of a chain that was found good, the CA's own last. How many; 0: it is too long. */
size_t tls_links_of(const STACK_OF(X509) * chain, struct tls_link ret[TLS_LINKS]);

int tls_mark_add(struct tls_part *p, const uint8_t mark[TLS_MARK_SIZE]) MUST_CHECK;
int tls_mark_crl(struct tls_part *p, X509_CRL *crl, const X509 *issuer) MUST_CHECK;
void tls_marks_sort(struct tls_part *p);

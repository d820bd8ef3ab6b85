/* The peer's certificate in words, for whoever looks at it: `connect --check`. In the
 * client's end. All of it is hostile: escaped, and cut. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include "gateway/base/log.h"
#include "gateway/tls/parts.h"

static void name_words(const X509_NAME *name, char *ret, size_t size)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *text;
	long len;

	ret[0] = '\0';
	if (b && X509_NAME_print_ex(b, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0 &&
	    (len = BIO_get_mem_data(b, &text)) > 0)
		(void)text_escape(text, (size_t)len, ret, size);
	BIO_free(b);
}

static const char *host_words(const GENERAL_NAME *name, char ret[256])
{
	const ASN1_STRING *value;
	int type, len;

	value = GENERAL_NAME_get0_value(name, &type);
	if (type != GEN_DNS && type != GEN_IPADD)
		return NULL;
	len = ASN1_STRING_length(value);
	if (type == GEN_DNS)
		return text_escape((const char *)ASN1_STRING_get0_data(value), (size_t)len, ret,
				   256);
	if (len != 4 && len != 16)
		return NULL;
	return inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), ret, 256);
}

/* As many as there is room for. */
static void hosts_words(const X509 *leaf, char *ret, size_t size)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	size_t len = 0;

	ret[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		char one[256];
		const char *text = host_words(sk_GENERAL_NAME_value(all, i), one);

		if (!text || len + strlen(text) + 3 > size)
			continue;
		len += (size_t)snprintf(ret + len, size - len, "%s%s", len > 0 ? ", " : "", text);
	}
	GENERAL_NAMES_free(all);
}

void tls_peer_words(struct tls *t, struct tls_words *ret)
{
	const X509 *leaf = SSL_get0_peer_certificate(t->ssl);

	*ret = (struct tls_words){0};
	if (!leaf)
		return;
	name_words(X509_get_subject_name(leaf), ret->subject, sizeof ret->subject);
	name_words(X509_get_issuer_name(leaf), ret->issuer, sizeof ret->issuer);
	hosts_words(leaf, ret->names, sizeof ret->names);
	ERR_clear_error();
}

/* The other end's certificate: is it good, and what does it say? One answer goes to a
 * peer whose certificate is not, whatever is wrong; the reason stays here. In the
 * session and in the client's end. The certificate is hostile. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include "gateway/base/clock.h"
#include "gateway/tls/marks.h"
#include "gateway/tls/parts.h"

#define NAME_PREFIX	"iscsi:"
#define RECHECK_AFTER_S 3600

void tls_fail(struct tls *t, enum tls_reason reason, const char *detail)
{
	t->failed = true;
	if (t->reason != TLS_REASON_NONE)
		return;
	t->reason = reason;
	(void)string_copy(t->detail, sizeof t->detail, detail);
}

/* --- is it good? --- */

static bool is_pinned(const struct tls *t, const X509 *leaf)
{
	uint8_t digest[32];
	unsigned len = sizeof digest;

	return leaf && X509_digest(leaf, EVP_sha256(), digest, &len) == 1 && len == sizeof digest &&
	       CRYPTO_memcmp(digest, t->pin, sizeof digest) == 0;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
	ASN1_TIME *epoch = ASN1_TIME_new();
	int days = 0, seconds = 0;

	if (epoch && ASN1_TIME_set_string(epoch, "19700101000000Z") == 1 &&
	    ASN1_TIME_diff(&days, &seconds, epoch, time) != 1)
		days = seconds = 0;
	ASN1_TIME_free(epoch);
	return (int64_t)days * 86400 + seconds;
}

static void sooner(int64_t *until_s, const ASN1_TIME *end, int64_t now_s)
{
	int64_t end_s = end ? seconds_of(end) : 0;

	if (end_s > now_s && (*until_s == 0 || end_s < *until_s))
		*until_s = end_s;
}

/* What was found good is looked at again when the first of it ends: a certificate of the chain, or
 * a CRL of one who issued there. What is over already was not needed: there is another CRL. */
static int64_t until_of(X509_STORE_CTX *x, int64_t now_s)
{
	const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(x);
	int64_t until_s = 0;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		const X509 *c = sk_X509_value(chain, i);
		STACK_OF(X509_CRL) *crls = X509_STORE_CTX_get1_crls(x, X509_get_issuer_name(c));

		sooner(&until_s, X509_get0_notAfter(c), now_s);
		for (int k = 0; k < sk_X509_CRL_num(crls); k++)
			sooner(&until_s, X509_CRL_get0_nextUpdate(sk_X509_CRL_value(crls, k)),
			       now_s);
		sk_X509_CRL_pop_free(crls, X509_CRL_free);
	}
	return until_s;
}

/* In the place of libssl's: the error that it makes an alert of is always the same. */
static int on_certificate(X509_STORE_CTX *x, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = SSL_get_ex_data(ssl, tls_index);
	const int64_t now_s = clock_wall_s();
	int error;

	(void)arg;
	if (t->flags & TLS_ANY_SERVER && t->role == TLS_CLIENT)
		return 1;
	if (t->pinned) {
		if (is_pinned(t, X509_STORE_CTX_get0_cert(x)))
			return 1;
		tls_fail(t, TLS_WRONG_NAME, "the server's certificate is not the pinned one");
	} else {
		/* One time for both: what ends between them would be looked at never again. */
		X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(x), (time_t)now_s);
		if (X509_verify_cert(x) == 1) {
			t->until_s = until_of(x, now_s);
			t->link_count = tls_links_of(X509_STORE_CTX_get0_chain(x), t->links);
			return 1;
		}
		error = X509_STORE_CTX_get_error(x);
		tls_fail(t, tls_reason_of_certificate(error), X509_verify_cert_error_string(error));
	}
	X509_STORE_CTX_set_error(x, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

void tls_peer_checks(SSL_CTX *ssl)
{
	SSL_CTX_set_cert_verify_callback(ssl, on_certificate, NULL);
}

static bool store_open(X509_STORE_CTX *x, struct tls *t, struct tls_context *c, int64_t now_s)
{
	const char *purpose = t->role == TLS_SERVER ? "ssl_client" : "ssl_server";
	X509 *leaf = SSL_get0_peer_certificate(t->ssl);

	if (!x || !leaf ||
	    X509_STORE_CTX_init(x, c->store, leaf, SSL_get_peer_cert_chain(t->ssl)) != 1 ||
	    X509_STORE_CTX_set_default(x, purpose) != 1)
		return false;
	X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(x), 2);
	X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(x), (time_t)now_s);
	return true;
}

enum tls_reason tls_recheck(struct tls *t, struct tls_context *c, int64_t now_s)
{
	X509_STORE_CTX *x;
	enum tls_reason reason = TLS_FAILED;

	if (t->alpn == TLS_ALPN_IS_JOIN && !SSL_get0_peer_certificate(t->ssl))
		return TLS_REASON_NONE;
	x = X509_STORE_CTX_new_ex(tls_library_context(), NULL);
	if (store_open(x, t, c, now_s)) {
		reason = X509_verify_cert(x) == 1
				 ? TLS_REASON_NONE
				 : tls_reason_of_certificate(X509_STORE_CTX_get_error(x));
		t->until_s = reason == TLS_REASON_NONE ? until_of(x, now_s) : 0;
	}
	X509_STORE_CTX_free(x);
	ERR_clear_error();
	return reason;
}

int64_t tls_until_s(const struct tls *t)
{
	return t->until_s;
}

int64_t tls_recheck_in_ms(const struct tls *t, int64_t now_s)
{
	if (t->until_s == 0)
		return -1;
	return t->until_s > now_s ? MIN(t->until_s - now_s, RECHECK_AFTER_S) * 1000 : 0;
}

/* --- what does it say? --- */

static void name_take(const ASN1_STRING *uri, struct tls_peer *ret)
{
	const unsigned char *text = ASN1_STRING_get0_data(uri);
	size_t len = (size_t)ASN1_STRING_length(uri), prefix = strlen(NAME_PREFIX);

	if (len <= prefix || len - prefix > ISCSI_NAME_MAX || ret->name_count >= TLS_PEER_NAMES ||
	    strncasecmp((const char *)text, NAME_PREFIX, prefix) != 0)
		return;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return;
	memcpy(ret->names[ret->name_count++], text + prefix, len - prefix);
}

static void names_take(const X509 *leaf, struct tls_peer *ret)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

		if (name->type == GEN_URI)
			name_take(name->d.uniformResourceIdentifier, ret);
	}
	GENERAL_NAMES_free(all);
}

static void certificate_take(X509 *leaf, struct tls_peer *ret)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(leaf);
	size_t len = serial ? (size_t)ASN1_STRING_length(serial) : 0;
	unsigned size = sizeof ret->fingerprint;

	ret->have_certificate = X509_digest(leaf, EVP_sha256(), ret->fingerprint, &size) == 1 &&
				size == 32;
	ret->serial_len = (uint8_t)MIN(len, sizeof ret->serial);
	if (ret->serial_len > 0)
		memcpy(ret->serial, ASN1_STRING_get0_data(serial), ret->serial_len);
	ret->not_after_s = seconds_of(X509_get0_notAfter(leaf));
	names_take(leaf, ret);
}

void tls_peer(struct tls *t, struct tls_peer *ret_peer)
{
	struct tls_peer p = {.version = (uint16_t)SSL_version(t->ssl)};
	X509 *leaf = SSL_get0_peer_certificate(t->ssl);
	int group = (int)SSL_get_negotiated_group(t->ssl);
	const char *name = group > 0 ? SSL_group_to_name(t->ssl, group) : NULL;

	if (leaf)
		certificate_take(leaf, &p);
	p.link_count = (uint32_t)t->link_count;
	memcpy(p.links, t->links, sizeof p.links);
	(void)string_copy(p.cipher, sizeof p.cipher, SSL_get_cipher_name(t->ssl));
	(void)string_copy(p.group, sizeof p.group, name ? name : "");
	if (BIO_get_ktls_send(SSL_get_wbio(t->ssl)))
		p.kernel |= TLS_KERNEL_SENDS;
	if (BIO_get_ktls_recv(SSL_get_rbio(t->ssl)))
		p.kernel |= TLS_KERNEL_RECEIVES;
	ERR_clear_error();
	*ret_peer = p;
}

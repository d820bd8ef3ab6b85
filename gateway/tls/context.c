/* From settings to an SSL_CTX: which versions, suites, groups and signatures there are,
 * our certificate and whose key signs for it, who may have issued the peer's. In the
 * session, before its sandbox closes, and in the client's end. Trusts its settings. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>
#include "gateway/base/bytes.h"
#include "gateway/tls/parts.h"

#define SUITES	  "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_12 "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK"
#define GROUPS	  "X25519:P-256:P-384"
#define HYBRID	  "X25519MLKEM768:" GROUPS
#define FROM_PEER                                                      \
	"ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ed25519:"       \
	"rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:" \
	"rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512"
#define FROM_OLD_PEER FROM_PEER ":rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512"
/* Several records a receive: a burst of writes comes at once. */
#define READ_BUFFER 65536

int tls_index = -1;

/* --- lists in DER --- */

/* The next of a list; false: there is none, or the list is broken (r->failed). */
static bool list_next(struct rd *r, const uint8_t **ret_der, long *ret_len)
{
	uint64_t len;

	if (rd_left(r) == 0)
		return false;
	len = rd_be(r, 4);
	*ret_der = rd_bytes(r, len);
	*ret_len = (long)len;
	return *ret_der != NULL;
}

static X509 *certificate_read(const uint8_t *der, long len)
{
	X509 *x = X509_new_ex(tls_library_context(), NULL);
	const uint8_t *end = der;

	if (x && (!d2i_X509(&x, &end, len) || end != der + len)) {
		X509_free(x);
		return NULL;
	}
	return x;
}

static int store_add_ca(X509_STORE *store, const uint8_t *der, long len)
{
	X509 *x = certificate_read(der, len);
	int ok = x && X509_STORE_add_cert(store, x) == 1;

	X509_free(x);
	return ok ? 0 : -EINVAL;
}

static int store_add_crl(X509_STORE *store, const uint8_t *der, long len)
{
	X509_CRL *crl = X509_CRL_new_ex(tls_library_context(), NULL);
	const uint8_t *end = der;
	int ok;

	if (crl && !d2i_X509_CRL(&crl, &end, len))
		crl = NULL;
	ok = crl && end == der + len && X509_STORE_add_crl(store, crl) == 1;
	X509_CRL_free(crl);
	return ok ? 0 : -EINVAL;
}

static int store_add_all(X509_STORE *store, const struct tls_octets *list,
			 int (*add)(X509_STORE *store, const uint8_t *der, long len))
{
	struct rd r = rd_over(list->octets, list->len);
	const uint8_t *der;
	int result = 0;
	long len;

	while (result == 0 && list_next(&r, &der, &len))
		result = add(store, der, len);
	return r.failed ? -EINVAL : result;
}

/* --- our own certificate --- */

/* What it can be signed with, as libssl calls it; NULL: nothing of ours. */
static const char *signatures_of(EVP_PKEY *key)
{
	static const struct {
		const char *type, *curve, *signatures;
	} keys[] = {
		{"EC", "prime256v1", "ecdsa_secp256r1_sha256"},
		{"EC", "secp384r1", "ecdsa_secp384r1_sha384"},
		{"ED25519", "", "ed25519"},
		{"RSA", "", "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384"},
		{"RSA-PSS", "", "rsa_pss_pss_sha256:rsa_pss_pss_sha384"},
	};
	char curve[32] = "";

	if (EVP_PKEY_is_a(key, "EC") &&
	    EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) != 1)
		return NULL;
	if (EVP_PKEY_get_bits(key) > 4096 ||
	    (strncmp(EVP_PKEY_get0_type_name(key), "RSA", 3) == 0 && EVP_PKEY_get_bits(key) < 2048))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (EVP_PKEY_is_a(key, keys[i].type) && strcmp(curve, keys[i].curve) == 0)
			return keys[i].signatures;
	return NULL;
}

static uint32_t forms_of(const struct tls_settings *s)
{
	if (s->role == TLS_CLIENT)
		return 1u << AUTH_SIGN_CLIENT;
	return 1u << AUTH_SIGN_SERVER |
	       (s->flags & TLS_ALLOW_12 ? 1u << AUTH_SIGN_KEY_EXCHANGE : 0);
}

/* libssl keeps two lists: what it offers or picks from as a server, and what clients sign with. */
static bool signatures_set(SSL_CTX *ssl, enum tls_role role, const char *ours, const char *peers)
{
	const char *server = role == TLS_SERVER ? ours : peers;
	const char *client = role == TLS_SERVER ? peers : ours;

	return (!server || SSL_CTX_set1_sigalgs_list(ssl, server) == 1) &&
	       (!client || SSL_CTX_set1_client_sigalgs_list(ssl, client) == 1);
}

static const char *leaf_use(SSL_CTX *ssl, X509 *leaf, const struct tls_settings *s)
{
	EVP_PKEY *public = X509_get0_pubkey(leaf), *key;
	const char *signatures = public ? signatures_of(public) : NULL;
	int ok;

	if (!signatures)
		return "its key is neither EC P-256 or P-384, Ed25519, nor RSA of 2048 to 4096 "
		       "bits";
	key = tls_signing_key(public, s->signer, forms_of(s));
	ok = key && signatures_set(ssl, s->role, signatures, NULL) &&
	     SSL_CTX_use_certificate(ssl, leaf) == 1 && SSL_CTX_use_PrivateKey(ssl, key) == 1;
	EVP_PKEY_free(key);
	return ok ? NULL : "it can't be used";
}

/* NULL, or what is wrong with it. */
static const char *chain_use(SSL_CTX *ssl, const struct tls_settings *s)
{
	struct rd r = rd_over(s->chain.octets, s->chain.len);
	const char *why = NULL;
	const uint8_t *der;
	bool first = true;
	long len;

	while (!why && list_next(&r, &der, &len)) {
		X509 *x = certificate_read(der, len);

		if (!x)
			return "it can't be read";
		if (first)
			why = leaf_use(ssl, x, s);
		else if (SSL_CTX_add1_chain_cert(ssl, x) != 1)
			why = "its chain can't be used";
		X509_free(x);
		first = false;
	}
	return r.failed ? "it is cut" : why;
}

/* --- the context --- */

/* RFC 7301: one of ours, or no connection. Who joins has no certificate yet, and only TLS 1.3
 * proves the server to it. */
static int on_alpn(SSL *ssl, const unsigned char **ret_out, unsigned char *ret_len,
		   const unsigned char *in, unsigned in_len, void *arg)
{
	static const struct {
		const char *name;
		enum tls_alpn alpn;
	} ours[] = {{TLS_ALPN_ISCSI, TLS_ALPN_IS_ISCSI}, {TLS_ALPN_JOIN, TLS_ALPN_IS_JOIN}};
	struct tls *t = SSL_get_ex_data(ssl, tls_index);

	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		struct rd r = rd_over(in, in_len);
		size_t len = strlen(ours[i].name);

		if (ours[i].alpn == TLS_ALPN_IS_JOIN &&
		    (!(t->flags & TLS_JOINS) || SSL_version(ssl) != TLS1_3_VERSION))
			continue;
		while (rd_left(&r) > 0) {
			size_t n = (size_t)rd_be(&r, 1);
			const uint8_t *name = rd_bytes(&r, n);

			if (!name || n != len || memcmp(name, ours[i].name, len) != 0)
				continue;
			*ret_out = name;
			*ret_len = (unsigned char)len;
			t->alpn = ours[i].alpn;
			if (t->alpn == TLS_ALPN_IS_JOIN)
				SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* RFC 8446 section 4.6.3: update_requested. */
static bool asks_for_keys(int type, const uint8_t *octets, size_t len)
{
	return type == SSL3_RT_HANDSHAKE && len == SSL3_HM_HEADER_LENGTH + 1 &&
	       octets[0] == SSL3_MT_KEY_UPDATE && octets[SSL3_HM_HEADER_LENGTH] == 1;
}

/* Handshake messages and alerts that bring no data: a flood of them is noticed. */
static void on_message(int sent, int version, int type, const void *octets, size_t len, SSL *ssl,
		       void *arg)
{
	struct tls *t = SSL_get_ex_data(ssl, tls_index);

	(void)version;
	(void)arg;
	if (!sent && asks_for_keys(type, octets, len))
		t->keys_asked = true;
	if (!sent && (type == SSL3_RT_HANDSHAKE || type == SSL3_RT_ALERT ||
		      type == SSL3_RT_CHANGE_CIPHER_SPEC))
		t->messages++;
}

static bool settings_both(SSL_CTX *ssl, const struct tls_settings *s)
{
	bool old = s->role == TLS_SERVER && (s->flags & TLS_ALLOW_12);

	SSL_CTX_set_security_level(ssl, 2);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
					 SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
#ifdef SSL_OP_ENABLE_KTLS
	SSL_CTX_set_options(ssl, SSL_OP_ENABLE_KTLS);
#endif
	SSL_CTX_clear_options(ssl, SSL_OP_PRIORITIZE_CHACHA | SSL_OP_LEGACY_SERVER_CONNECT);
	(void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	/* One non-data record at a time: a peer that sends nothing else can't keep us in there. */
	(void)SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
	(void)SSL_CTX_set_mode(ssl,
			       SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_default_read_buffer_len(ssl, READ_BUFFER);
	SSL_CTX_set_max_cert_list(ssl, TLS_CHAIN_MAX);
	SSL_CTX_set_msg_callback(ssl, on_message);
	tls_peer_checks(ssl);
	return SSL_CTX_set_min_proto_version(ssl, old ? TLS1_2_VERSION : TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_ciphersuites(ssl, SUITES) == 1 &&
	       SSL_CTX_set_cipher_list(ssl, SUITES_12) == 1 &&
	       (SSL_CTX_set1_groups_list(ssl, HYBRID) == 1 ||
		SSL_CTX_set1_groups_list(ssl, GROUPS) == 1) &&
	       signatures_set(ssl, s->role, NULL, old ? FROM_OLD_PEER : FROM_PEER);
}

static bool settings_server(SSL_CTX *ssl)
{
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_alpn_select_cb(ssl, on_alpn, NULL);
	return SSL_CTX_set_num_tickets(ssl, 0) == 1 && SSL_CTX_set_max_early_data(ssl, 0) == 1;
}

static int settings_client(struct tls_context *c, const struct tls_settings *s)
{
	size_t len = s->alpn ? strlen(s->alpn) : 0;

	c->pinned = s->pin != NULL;
	if (s->pin)
		memcpy(c->pin, s->pin, sizeof c->pin);
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
	if (s->name && !(c->name = strdup(s->name)))
		return -ENOMEM;
	if (len == 0)
		return 0;
	if (len > 255 || !(c->alpn = malloc(1 + len)))
		return -ENOMEM;
	c->alpn[0] = (uint8_t)len;
	memcpy(c->alpn + 1, s->alpn, len);
	c->alpn_len = (unsigned)len + 1;
	return 0;
}

/* Who may have issued the peer's. Certificates and CRLs come from the settings alone. */
static const char *store_fill(struct tls_context *c, const struct tls_settings *s)
{
	c->store = SSL_CTX_get_cert_store(c->ssl);
	if (store_add_all(c->store, &s->ca, store_add_ca) < 0)
		return "a CA's certificate can't be read";
	if (store_add_all(c->store, &s->crl, store_add_crl) < 0)
		return "a CRL can't be read";
	if (s->crl.len > 0 &&
	    X509_STORE_set_flags(c->store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) != 1)
		return "CRLs can't be asked for";
	return NULL;
}

static const char *context_fill(struct tls_context *c, const struct tls_settings *s)
{
	const char *why;

	if (!settings_both(c->ssl, s) || (c->role == TLS_SERVER && !settings_server(c->ssl)))
		return "the library does not have what is needed";
	if (c->role == TLS_CLIENT && settings_client(c, s) < 0)
		return "there is no memory";
	if ((why = store_fill(c, s)))
		return why;
	return s->chain.len > 0 ? chain_use(c->ssl, s) : NULL;
}

int tls_context_make(const struct tls_settings *s, struct tls_context **ret_context, char *ret_why,
		     size_t why_size)
{
	struct tls_context *c = calloc(1, sizeof *c);
	const time_t now = 0;
	struct tm tm;
	const char *why = "there is no memory";

	assert(s->role == TLS_SERVER || s->role == TLS_CLIENT);
	/* The C library looks for a time zone once: now, for behind the door there are no files. */
	(void)gmtime_r(&now, &tm);
	if (tls_index < 0)
		tls_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	if (c && tls_index >= 0 && tls_library_context()) {
		c->role = s->role;
		c->flags = s->flags;
		c->ssl = SSL_CTX_new_ex(tls_library_context(), NULL, TLS_method());
		why = c->ssl ? context_fill(c, s) : "the library can't begin";
	}
	ERR_clear_error();
	if (!why) {
		*ret_context = c;
		return 0;
	}
	(void)string_copy(ret_why, why_size, why);
	tls_context_free(c);
	return -EINVAL;
}

void tls_context_free(struct tls_context *c)
{
	if (!c)
		return;
	SSL_CTX_free(c->ssl);
	free(c->name);
	free(c->alpn);
	free(c);
}

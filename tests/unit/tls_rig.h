/* Both ends of a TLS connection in one process: a CA and certificates that are made at
 * the time, a signer that holds the keys in the place of the authenticator, and socket
 * pairs. The other end is ours, or plain libssl's. */
#pragma once

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "gateway/base/bytes.h"
#include "gateway/tls/tls.h"
#include "tests/unit/test.h"

#define DAY 86400l

struct maker {
	X509 *x;
	EVP_PKEY *key;
};

struct wanted {
	const char *name;    /* CN */
	const char *key;     /* "P-256", "P-384", "ED25519", "RSA", "RSA-PSS"; NULL: P-256 */
	const char *sans;    /* as openssl.cnf has them; NULL: none */
	const char *purpose; /* extendedKeyUsage; NULL: none */
	long from_s, to_s;   /* from now; 0, 0: a day on both sides */
	bool ca;
	int serial;
};

static inline EVP_PKEY *key_make(const char *kind)
{
	if (strncmp(kind, "RSA", 3) == 0) {
		EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
		EVP_PKEY *key = NULL;

		assert_true(c && EVP_PKEY_keygen_init(c) == 1 &&
			    EVP_PKEY_CTX_set_rsa_keygen_bits(c, 2048) == 1 &&
			    EVP_PKEY_generate(c, &key) == 1);
		EVP_PKEY_CTX_free(c);
		return key;
	}
	if (strncmp(kind, "P-", 2) == 0)
		return EVP_EC_gen(kind);
	return EVP_PKEY_Q_keygen(NULL, NULL, kind);
}

static inline void extension_add(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX c;
	X509_EXTENSION *e;

	X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static inline struct maker certificate_make(const struct wanted *w, const struct maker *issuer)
{
	struct maker m = {X509_new(), key_make(w->key ? w->key : "P-256")};
	X509_NAME *name = X509_get_subject_name(m.x);
	const struct maker *by = issuer ? issuer : &m;
	const EVP_MD *md = EVP_PKEY_is_a(by->key, "ED25519") ? NULL : EVP_sha256();

	assert_non_null(m.key);
	assert_int_equal(X509_set_version(m.x, X509_VERSION_3), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(m.x), w->serial ? w->serial : 7);
	X509_gmtime_adj(X509_getm_notBefore(m.x), w->from_s || w->to_s ? w->from_s : -DAY);
	X509_gmtime_adj(X509_getm_notAfter(m.x), w->from_s || w->to_s ? w->to_s : DAY);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)w->name, -1, -1, 0);
	X509_set_issuer_name(m.x, X509_get_subject_name(by->x));
	X509_set_pubkey(m.x, m.key);
	extension_add(m.x, by->x, NID_basic_constraints, w->ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (w->sans)
		extension_add(m.x, by->x, NID_subject_alt_name, w->sans);
	if (w->purpose)
		extension_add(m.x, by->x, NID_ext_key_usage, w->purpose);
	assert_true(X509_sign(m.x, by->key, md) > 0);
	return m;
}

static inline void maker_free(struct maker *m)
{
	X509_free(m->x);
	EVP_PKEY_free(m->key);
	*m = (struct maker){0};
}

/* --- lists in DER --- */

struct list {
	uint8_t octets[65536];
	size_t len;
};

static inline void list_add(struct list *l, uint8_t *der, int len)
{
	assert_true(len > 0 && l->len + 4 + (size_t)len <= sizeof l->octets);
	put_be(l->octets + l->len, 4, (uint64_t)len);
	memcpy(l->octets + l->len + 4, der, (size_t)len);
	l->len += 4 + (size_t)len;
	OPENSSL_free(der);
}

static inline void list_add_certificate(struct list *l, const X509 *x)
{
	uint8_t *der = NULL;
	int len = i2d_X509(x, &der);

	list_add(l, der, len);
}

/* A CRL of `ca` that revokes these serial numbers (0-ended), good from and to so many seconds from
 * now. */
static inline void list_add_crl(struct list *l, const struct maker *ca, const int *serials,
				long from_s, long to_s)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *at = ASN1_TIME_new();
	uint8_t *der = NULL;
	int len;

	assert_int_equal(X509_CRL_set_version(crl, X509_CRL_VERSION_2), 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->x));
	X509_CRL_set1_lastUpdate(crl, X509_gmtime_adj(at, from_s));
	X509_CRL_set1_nextUpdate(crl, X509_gmtime_adj(at, to_s));
	for (; *serials; serials++) {
		X509_REVOKED *r = X509_REVOKED_new();
		ASN1_INTEGER *number = ASN1_INTEGER_new();

		ASN1_INTEGER_set(number, *serials);
		X509_REVOKED_set_serialNumber(r, number);
		X509_REVOKED_set_revocationDate(r, X509_gmtime_adj(at, from_s));
		assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
		ASN1_INTEGER_free(number);
	}
	assert_true(X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0);
	len = i2d_X509_CRL(crl, &der);
	list_add(l, der, len);
	ASN1_TIME_free(at);
	X509_CRL_free(crl);
}

/* --- the signer, in the place of the authenticator --- */

struct signs {
	EVP_PKEY *key;
	unsigned asked;
	struct auth_sign last;
	bool away;
};

static inline size_t content_make(const struct auth_sign *ask, uint8_t *to)
{
	static const char *const contexts[] = {
		[AUTH_SIGN_SERVER] = "server", [AUTH_SIGN_CLIENT] = "client"};

	if (ask->form == AUTH_SIGN_KEY_EXCHANGE) {
		memcpy(to, ask->client_random, 32);
		memcpy(to + 32, ask->server_random, 32);
		to[64] = 3;
		put_be(to + 65, 2, ask->curve);
		to[67] = (uint8_t)ask->point_len;
		memcpy(to + 68, ask->point, ask->point_len);
		return 68 + ask->point_len;
	}
	memset(to, ' ', 64);
	(void)snprintf((char *)to + 64, 34, "TLS 1.3, %s CertificateVerify", contexts[ask->form]);
	memcpy(to + 98, ask->hash, ask->hash_len);
	return 98 + ask->hash_len;
}

static inline int signs_sign(void *arg, const struct auth_sign *ask, struct auth_signature *ret)
{
	struct signs *s = arg;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	EVP_PKEY_CTX *of_key;
	uint8_t content[256];
	size_t len = sizeof ret->signature;
	const EVP_MD *md = ask->scheme == AUTH_SIGN_ED25519 ? NULL
			   : ask->scheme == AUTH_SIGN_ECDSA_P384_SHA384 ||
					   ask->scheme == AUTH_SIGN_RSA_PSS_RSAE_SHA384 ||
					   ask->scheme == AUTH_SIGN_RSA_PSS_PSS_SHA384
				   ? EVP_sha384()
				   : EVP_sha256();

	s->asked++;
	s->last = *ask;
	if (s->away) {
		EVP_MD_CTX_free(c);
		return -ETIMEDOUT;
	}
	assert_int_equal(EVP_DigestSignInit(c, &of_key, md, NULL, s->key), 1);
	if (strncmp(EVP_PKEY_get0_type_name(s->key), "RSA", 3) == 0)
		assert_true(EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PSS_PADDING) == 1 &&
			    EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, RSA_PSS_SALTLEN_DIGEST) == 1);
	assert_int_equal(
		EVP_DigestSign(c, ret->signature, &len, content, content_make(ask, content)), 1);
	ret->len = (uint32_t)len;
	EVP_MD_CTX_free(c);
	return 0;
}

/* --- a place: a CA, a server, what its clients trust --- */

struct rig {
	struct maker ca, server;
	struct list chain, cas, crls;
	struct signs signs;
	struct tls_signer signer;
	struct tls_context *context;
	struct tls *tls; /* the server's end */
	SSL_CTX *peers;
	SSL *peer; /* the other: plain libssl */
	int fds[2];
	char why[256];
};

static inline void rig_open(struct rig *r, const char *key)
{
	static const struct wanted ca = {.name = "the CA", .ca = true, .serial = 1};
	const struct wanted server = {
		.name = "gw", .key = key, .sans = "DNS:gw.example", .purpose = "serverAuth"};

	*r = (struct rig){.fds = {-1, -1}};
	r->ca = certificate_make(&ca, NULL);
	r->server = certificate_make(&server, &r->ca);
	list_add_certificate(&r->chain, r->server.x);
	list_add_certificate(&r->cas, r->ca.x);
	r->signs.key = r->server.key;
	r->signer = (struct tls_signer){signs_sign, &r->signs};
}

static inline void rig_serve(struct rig *r, uint32_t flags)
{
	const struct tls_settings settings = {
		.role = TLS_SERVER,
		.flags = flags,
		.chain = {r->chain.octets, r->chain.len},
		.ca = {r->cas.octets, r->cas.len},
		.crl = {r->crls.octets, r->crls.len},
		.signer = &r->signer,
	};
	int made = tls_context_make(&settings, &r->context, r->why, sizeof r->why);

	if (made < 0)
		print_message("%s\n", r->why);
	assert_int_equal(made, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, r->fds),
			 0);
	assert_int_equal(tls_open(r->context, r->fds[0], &r->tls), 0);
}

/* A client of plain libssl, with this certificate (or none). */
static inline void rig_peer(struct rig *r, const struct maker *m)
{
	r->peers = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_verify(r->peers, SSL_VERIFY_PEER, NULL);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(r->peers), r->ca.x);
	if (m)
		assert_true(SSL_CTX_use_certificate(r->peers, m->x) == 1 &&
			    SSL_CTX_use_PrivateKey(r->peers, m->key) == 1);
	r->peer = SSL_new(r->peers);
	SSL_set_fd(r->peer, r->fds[1]);
	SSL_set_connect_state(r->peer);
}

/* Turns until neither end gets on. What became of the server's end. */
static inline int rig_shake(struct rig *r)
{
	int ours = 0, theirs = 0;
	uint32_t events;

	for (unsigned turn = 0; turn < 64 && (ours == 0 || theirs <= 0); turn++) {
		theirs = SSL_do_handshake(r->peer);
		if (ours == 0)
			ours = tls_handshake(r->tls, &events);
		if (ours < 0)
			break;
	}
	ERR_clear_error();
	return ours;
}

/* The alert that the peer got; 0: none. */
static inline int rig_alert(struct rig *r)
{
	uint8_t octet;
	int got = 0;

	for (unsigned turn = 0; turn < 8 && got == 0; turn++) {
		ERR_clear_error();
		(void)SSL_read(r->peer, &octet, 1);
		got = ERR_GET_REASON(ERR_peek_error());
	}
	ERR_clear_error();
	return got >= SSL_AD_REASON_OFFSET ? got - SSL_AD_REASON_OFFSET : 0;
}

static inline void rig_close(struct rig *r)
{
	tls_free(r->tls);
	tls_context_free(r->context);
	SSL_free(r->peer);
	SSL_CTX_free(r->peers);
	maker_free(&r->server);
	maker_free(&r->ca);
	fd_close(&r->fds[0]);
	fd_close(&r->fds[1]);
}

#define CLIENT_NAME "iqn.1994-05.com.redhat:alice"

static inline struct maker client_make(struct rig *r)
{
	static const struct wanted alice = {
		.name = "alice", .sans = "URI:iscsi:" CLIENT_NAME, .purpose = "clientAuth"};

	return certificate_make(&alice, &r->ca);
}

/* Keys of TLS portals in the authenticator: read in its sandbox, from files that the monitor
 * opened, and kept in OpenSSL's secure heap, which is locked and in no core dump. What a session
 * asks is hostile: the content of a signature is made here, of parts whose sizes are fixed, so
 * that it can be nothing but a handshake's. */
#include "auth/identities.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include "auth/ca.h"
#include "gateway/base/bytes.h"
#include "gateway/base/fd.h"

#define HEAP_WANT	(1u << 20)
#define HEAP_LEAST	(128u << 10)
#define HEAP_PIECE	32
#define KEY_FILE_MAX	(32 << 10)
#define CERTIFICATE_MAX (64u << 10)

static bool is_open;

/* --- the heap ----------------------------------------------------------------------------- */

/* 2: it is there, and could not be locked. */
static bool heap_open(void)
{
	for (size_t size = HEAP_WANT; size >= HEAP_LEAST; size /= 2) {
		if (CRYPTO_secure_malloc_init(size, HEAP_PIECE) == 1)
			return true;
		if (CRYPTO_secure_malloc_initialized())
			(void)CRYPTO_secure_malloc_done();
	}
	return false;
}

/* Algorithms, tables and the random generator are fetched once, while files could be opened. */
static void warm_up(void)
{
	static const char *const kinds[] = {"P-256", "P-384"};
	uint8_t octet;

	for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
		EVP_PKEY_free(EVP_PKEY_Q_keygen(NULL, NULL, "EC", kinds[k]));
	EVP_PKEY_free(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
	(void)RAND_priv_bytes(&octet, 1);
	ERR_clear_error();
}

bool identities_open(void)
{
	is_open = heap_open();
	if (is_open)
		warm_up();
	return is_open;
}

void identities_close(void)
{
	if (is_open)
		(void)CRYPTO_secure_malloc_done();
	is_open = false;
}

/* --- reading ------------------------------------------------------------------------------ */

/* Octets in the secure heap. */
struct secure {
	uint8_t *octets;
	size_t len, used;
};

static void secure_free(struct secure *m)
{
	OPENSSL_secure_clear_free(m->octets, m->len);
}

/* What is as large as there is room is too large. */
static int secure_read(int fd, struct secure *ret)
{
	ssize_t n;

	*ret = (struct secure){OPENSSL_secure_zalloc(KEY_FILE_MAX), KEY_FILE_MAX, 0};
	if (!ret->octets)
		return -ENOMEM;
	n = pread(fd, ret->octets, KEY_FILE_MAX, 0);
	if (n < 0)
		return -errno;
	ret->used = (size_t)n;
	return n == 0 || n == KEY_FILE_MAX ? -EFBIG : 0;
}

/* No passphrase is ever asked for. */
static int no_passphrase(char *buffer, int size, int writes, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writes;
	(void)arg;
	return -1;
}

static EVP_PKEY *key_of_pem(const struct secure *file)
{
	BIO *in = BIO_new_mem_buf(file->octets, (int)file->used);
	unsigned char *der = NULL;
	const unsigned char *at;
	EVP_PKEY *key = NULL;
	long len = 0;

	if (in && PEM_bytes_read_bio_secmem(&der, &len, NULL, PEM_STRING_EVP_PKEY, in,
					    no_passphrase, NULL) == 1) {
		at = der;
		key = d2i_AutoPrivateKey(NULL, &at, len);
		OPENSSL_secure_clear_free(der, (size_t)len);
	}
	BIO_free(in);
	return key;
}

static int key_read_pem(int fd, EVP_PKEY **ret_key)
{
	OWNED_BY(secure_free) struct secure file = {0};
	int r = secure_read(fd, &file);

	if (r < 0)
		return r;
	*ret_key = key_of_pem(&file);
	return *ret_key ? 0 : -EBADMSG;
}

static int key_read_sealed(int fd, const uint8_t *store_key, EVP_PKEY **ret_key)
{
	OWNED_BY(secure_free)
	struct secure secret = {OPENSSL_secure_zalloc(SEALED_SECRET_MAX), SEALED_SECRET_MAX, 0};
	uint8_t bytes[SEALED_BYTES_MAX + 1];
	struct sealed_file f;
	int r = secret.octets ? sealed_read(fd, bytes, &f) : -ENOMEM;

	if (r == 0)
		r = sealed_open(&f, CA_PORTAL_KEY_KIND, store_key, secret.octets, secret.len);
	if (r == 0)
		r = certificate_key_read(secret.octets, f.secret_len, ret_key);
	return r;
}

/* -EKEYREJECTED: it is another's. */
static int certificate_fits(int fd, EVP_PKEY *key)
{
	OWNED_FREE char *bytes = NULL;
	const unsigned char *at;
	size_t len = 0;
	X509 *certificate;
	int r = fd_read_all(fd, CERTIFICATE_MAX, &bytes, &len);

	if (r < 0)
		return r;
	at = (const unsigned char *)bytes;
	certificate = d2i_X509(NULL, &at, (long)len);
	if (!certificate)
		return -EBADMSG;
	r = X509_check_private_key(certificate, key) == 1 ? 0 : -EKEYREJECTED;
	X509_free(certificate);
	return r;
}

static int tell(const struct why *why, int r)
{
	static const struct {
		int error;
		const char *text;
	} texts[] = {
		{-EBADMSG, "it is damaged, has a passphrase, or is no private key in PEM"},
		{-EKEYREJECTED, "it is not the key of the certificate, or was sealed under another "
				"key of the secrets"},
		{-EFBIG, "it is empty, or too large"},
		{-ENOSPC, "there are too many portals with TLS"},
		{-EPERM, "no memory can be locked for it: raise the limit (ulimit -l, or "
			 "LimitMEMLOCK= of the unit)"},
	};

	ERR_clear_error();
	for (size_t k = 0; k < ARRAY_LEN(texts); k++)
		if (texts[k].error == r)
			return why_say(why, r, "the private key can't be used: %s", texts[k].text);
	return why_say(why, r, "the private key can't be used: %s", strerror(-r));
}

int identities_add(struct identities *s, const struct identity_source *source,
		   const struct why *why)
{
	EVP_PKEY *key = NULL;
	int r;

	if (!is_open || s->count == IDENTITIES_MAX)
		return tell(why, is_open ? -ENOSPC : -EPERM);
	if (source->info.kind == AUTH_IDENTITY_SEALED)
		r = key_read_sealed(source->key_fd, source->store_key, &key);
	else
		r = key_read_pem(source->key_fd, &key);
	if (r == 0)
		r = certificate_fits(source->certificate_fd, key);
	if (r < 0) {
		EVP_PKEY_free(key);
		return tell(why, r);
	}
	s->list[s->count++] = (struct identity){source->info.identity, source->info.flags, key};
	return 0;
}

bool identities_keep(struct identities *s, const struct identities *from, uint32_t number)
{
	struct identity kept = s->count < IDENTITIES_MAX ? identities_take(from, number)
							 : (struct identity){0};

	if (kept.number == 0)
		return false;
	s->list[s->count++] = kept;
	return true;
}

void identity_drop(struct identity *i)
{
	EVP_PKEY_free(i->key); /* wiped with its last owner */
	*i = (struct identity){0};
}

void identities_clear(struct identities *s)
{
	while (s->count > 0)
		identity_drop(&s->list[--s->count]);
}

struct identity identities_take(const struct identities *s, uint32_t number)
{
	for (size_t k = 0; k < s->count && number != 0; k++)
		if (s->list[k].number == number && EVP_PKEY_up_ref(s->list[k].key) == 1)
			return s->list[k];
	return (struct identity){0};
}

/* --- signing ------------------------------------------------------------------------------ */

static const struct scheme {
	const char *key, *curve, *digest; /* digest NULL: its own */
	enum auth_sign_scheme scheme;
	bool pss;
} schemes[] = {
	{"EC", SN_X9_62_prime256v1, "SHA256", AUTH_SIGN_ECDSA_P256_SHA256, false},
	{"EC", SN_secp384r1, "SHA384", AUTH_SIGN_ECDSA_P384_SHA384, false},
	{"ED25519", NULL, NULL, AUTH_SIGN_ED25519, false},
	{"RSA", NULL, "SHA256", AUTH_SIGN_RSA_PSS_RSAE_SHA256, true},
	{"RSA", NULL, "SHA384", AUTH_SIGN_RSA_PSS_RSAE_SHA384, true},
	{"RSA-PSS", NULL, "SHA256", AUTH_SIGN_RSA_PSS_PSS_SHA256, true},
	{"RSA-PSS", NULL, "SHA384", AUTH_SIGN_RSA_PSS_PSS_SHA384, true},
};

static const struct scheme *scheme_find(const EVP_PKEY *key, uint32_t number)
{
	char curve[64] = "";

	for (size_t k = 0; k < ARRAY_LEN(schemes); k++) {
		const struct scheme *s = &schemes[k];

		if (s->scheme != number || !EVP_PKEY_is_a(key, s->key))
			continue;
		if (!s->curve)
			return s;
		return EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) == 1 &&
				       strcmp(curve, s->curve) == 0
			       ? s
			       : NULL;
	}
	return NULL;
}

#define CONTENT_MAX (64 + 64 + AUTH_SIGN_HASH_MAX + AUTH_SIGN_POINT_MAX)

#define CONTEXT_SIZE 34 /* with its 0 */
static const char context_server[CONTEXT_SIZE] = "TLS 1.3, server CertificateVerify";
static const char context_client[CONTEXT_SIZE] = "TLS 1.3, client CertificateVerify";

/* RFC 8446 section 4.4.3. */
static bool content_verify(const struct auth_sign *ask, const char *context, struct wr *w)
{
	if (ask->hash_len != 32 && ask->hash_len != 48)
		return false;
	for (size_t k = 0; k < 64; k++)
		wr_be(w, 1, 0x20);
	wr_bytes(w, context, CONTEXT_SIZE);
	wr_bytes(w, ask->hash, ask->hash_len);
	return true;
}

/* RFC 8422 section 5.4: a named curve, with the point of its size. */
static bool content_key_exchange(const struct auth_sign *ask, struct wr *w)
{
	static const struct {
		uint32_t curve, point_len;
	} curves[] = {{23, 65}, {24, 97}, {29, 32}};

	for (size_t k = 0; k < ARRAY_LEN(curves); k++) {
		if (ask->curve != curves[k].curve || ask->point_len != curves[k].point_len)
			continue;
		wr_bytes(w, ask->client_random, sizeof ask->client_random);
		wr_bytes(w, ask->server_random, sizeof ask->server_random);
		wr_be(w, 1, 3);
		wr_be(w, 2, ask->curve);
		wr_be(w, 1, ask->point_len);
		wr_bytes(w, ask->point, ask->point_len);
		return true;
	}
	return false;
}

static bool content_make(const struct identity *i, const struct auth_sign *ask, struct wr *w)
{
	if (i->flags & AUTH_IDENTITY_CLIENT)
		return ask->form == AUTH_SIGN_CLIENT && content_verify(ask, context_client, w);
	if (ask->form == AUTH_SIGN_SERVER)
		return content_verify(ask, context_server, w);
	return ask->form == AUTH_SIGN_KEY_EXCHANGE && (i->flags & AUTH_IDENTITY_TLS12) &&
	       content_key_exchange(ask, w);
}

static bool content_sign(EVP_PKEY *key, const struct scheme *s, const struct wr *w,
			 struct auth_signature *ret)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how = NULL;
	size_t len = sizeof ret->signature;
	bool ok = context &&
		  EVP_DigestSignInit_ex(context, &how, s->digest, NULL, NULL, key, NULL) == 1;

	if (ok && s->pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestSign(context, ret->signature, &len, w->start, wr_len(w)) == 1;
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	ret->len = ok ? (uint32_t)len : 0;
	return ok;
}

int identity_sign(const struct identity *i, const struct auth_sign *ask,
		  struct auth_signature *ret_signature)
{
	uint8_t content[CONTENT_MAX];
	struct wr w = wr_over(content, sizeof content);
	const struct scheme *s;

	*ret_signature = (struct auth_signature){0};
	if (i->number == 0 || !content_make(i, ask, &w))
		return -EPROTO;
	assert(!w.failed);
	s = i->key ? scheme_find(i->key, ask->scheme) : NULL;
	if (s)
		(void)content_sign(i->key, s, &w, ret_signature);
	return 0;
}

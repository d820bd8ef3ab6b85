/* What the files of this folder have in common, and nobody else includes: the library
 * that OpenSSL keeps its things in, a context, a connection. */
#pragma once

#include <openssl/ssl.h>
#include "gateway/tls/tls.h"

/* provider.c: one library for all contexts of a process. It reads no configuration and opens
 * nothing; what is asked for without a name comes from OpenSSL's own provider. */
OSSL_LIB_CTX *tls_library_context(void); /* NULL: it can't be made */
/* A key that is `public` and whose private half is the signer's. NULL: it can't be. */
EVP_PKEY *tls_signing_key(EVP_PKEY *public, const struct tls_signer *signer, uint32_t forms);
/* Whether the last handshake failed because the signer did not sign; forgets it. */
bool tls_signing_failed(void);

/* signing.c: from the octets that are to be signed to the question that may be asked. -EINVAL: they
 * are of none of `forms` (bits 1 << enum auth_sign_form). */
int tls_signing_parse(const uint8_t *octets, size_t len, uint32_t forms,
		      struct auth_sign *ret_ask) MUST_CHECK;
/* The scheme of a key (its type, its curve or "") with a digest ("" for none); 0: none of ours. */
uint32_t tls_signing_scheme(const char *type, const char *curve, const char *digest);

/* reasons.c */
enum tls_reason tls_reason_of_certificate(int error); /* X509_V_ERR_… */
/* Of OpenSSL's error queue, which it empties; fills a sentence. */
enum tls_reason tls_reason_of_queue(char *ret_detail, size_t size);

struct tls_context {
	SSL_CTX *ssl;
	X509_STORE *store; /* the SSL_CTX's own */
	enum tls_role role;
	uint32_t flags;
	char *name; /* clients: the server's, or NULL */
	bool pinned;
	uint8_t pin[32];
	uint8_t *alpn; /* as it stands in the ClientHello: each with its length before it */
	unsigned alpn_len;
	const struct tls_signer *signer;
};

/* The socket as it was at the last read. */
struct tls_in {
	bool dry;  /* since this call: it has nothing more */
	bool over; /* closed by the peer */
};

/* Records that wait for room in the socket. */
struct tls_out {
	uint8_t *octets; /* NULL: libssl writes to the socket itself */
	size_t start, end;
};

struct tls {
	SSL *ssl;
	int fd;
	enum tls_role role;
	uint32_t flags;
	bool looked; /* at the first octets */
	bool done;   /* the handshake is */
	bool pinned;
	uint8_t pin[32];
	bool failed, closed; /* closed: by the peer, in order */
	bool more;
	bool said;	   /* close_notify */
	bool keys_asked;   /* the peer wants ours changed */
	unsigned messages; /* that brought no data, since the last data */
	enum tls_reason reason;
	enum tls_alpn alpn;
	size_t link_count;
	struct tls_link links[TLS_LINKS];
	int64_t until_s; /* of what the peer's certificate rests on; 0: nothing */
	struct tls_in in;
	struct tls_out out;
	char detail[96];
	uint8_t record[TLS_RECORD_MAX];
};

/* peer.c */
void tls_peer_checks(SSL_CTX *ssl); /* certificates are judged by us */
/* Notes why, the first time. */
void tls_fail(struct tls *t, enum tls_reason reason, const char *detail);

/* context.c */
extern int tls_index; /* of a struct tls in its SSL */

/* in.c */
int tls_in_open(struct tls *t) MUST_CHECK; /* after the handshake */

/* out.c */
int tls_out_open(struct tls *t) MUST_CHECK; /* after the handshake: records gather from now on */
void tls_out_close(struct tls *t);
bool tls_out_room(const struct tls *t); /* for a full record, and what may follow it */
int tls_out_flush(struct tls *t) MUST_CHECK;

/* TLS for both ends of a connection: settings to a context, octets to records and back,
 * and what the other end's certificate says. In the session and in the client's end;
 * neither holds a private key: signatures are asked of whoever has it. Everything from
 * the peer is hostile. Opens nothing, so that it works behind a closed door.
 *
 *	tls_context_make()		once, of octets (DER); before the sandbox closes, or after
 *	tls_open(), tls_handshake()	until it returns 1
 *	tls_receive(), tls_send()	as readv() and sendmsg() on a socket that never waits
 *	tls_close()			close_notify; tls_free() after it
 */
#pragma once

#include <sys/uio.h>
#include "auth/auth.h"
#include "gateway/base/base.h"
#include "gateway/base/iscsi_name.h"
#include "gateway/tls/certificates.h"

#define TLS_ALPN_ISCSI	  "iscsi"
#define TLS_ALPN_JOIN	  "sallyport-join/1"
#define TLS_JOIN_LABEL	  "EXPORTER-sallyport-join"
#define TLS_RECORD_MAX	  16384	      /* octets of ours in one record */
#define TLS_CHAIN_MAX	  16384	      /* of a peer's certificates, as they come */
#define TLS_MATERIAL_MAX  (16u << 20) /* of chain, CAs and CRLs, together */
#define TLS_PEER_NAMES	  4
#define TLS_EXPORTER_SIZE 32

/* Why there is no connection, or not any more. The words of tls_reason_name() are stable: the audit
 * has them. */
enum tls_reason {
	TLS_REASON_NONE,
	TLS_PLAIN,     /* tls-plain-on-a-tls-port: iSCSI, or HTTP, without TLS */
	TLS_GARBAGE,   /* tls-garbage: neither TLS nor anything that we know; a broken record */
	TLS_VERSION,   /* tls-version: older than what is taken */
	TLS_NO_CIPHER, /* tls-no-common-cipher */
	TLS_NO_GROUP,  /* tls-no-common-group */
	TLS_NO_CERTIFICATE, /* tls-no-certificate */
	TLS_UNKNOWN_CA,	    /* tls-unknown-ca */
	TLS_EXPIRED,	    /* tls-expired */
	TLS_NOT_YET_VALID,  /* tls-not-yet-valid */
	TLS_REVOKED,	    /* tls-revoked */
	TLS_CRL,	    /* tls-crl: ours is missing, expired or not yet valid: renew it */
	TLS_WRONG_PURPOSE,  /* tls-wrong-purpose: not for clients (servers) */
	TLS_WRONG_NAME,	    /* tls-wrong-name: the server's is another's; clients only */
	TLS_BAD_SIGNATURE,  /* tls-bad-signature: it does not hold the key, or the record is forged
			     */
	TLS_TRUNCATED,	    /* tls-truncated: closed without close_notify */
	TLS_TIMEOUT,	    /* tls-timeout: no handshake within the login timer */
	TLS_ALERT,	    /* tls-alert: the peer's, its number in tls_detail() */
	TLS_ALPN,	    /* tls-alpn: protocols were offered, and none is ours */
	TLS_KEY_AWAY,	    /* tls-key-away: whoever has the key does not sign */
	TLS_FAILED,	    /* tls-failed: anything else, in tls_detail() */
	TLS_ON_PLAIN,	    /* tls-on-a-plain-port: the plain transport's */
	TLS_REASONS
};
const char *tls_reason_name(enum tls_reason reason); /* "tls-unknown-ca"; "" for none */

/* Asks whoever has the key for a signature; may wait for it, bounded. `ask` says which of the
 * forms: the server's handshake, or (a client) its own. 0 or -errno: the handshake fails with
 * TLS_KEY_AWAY. */
struct tls_signer {
	int (*sign)(void *arg, const struct auth_sign *ask, struct auth_signature *ret_signature);
	void *arg;
};

enum tls_role { TLS_INVALID, TLS_SERVER, TLS_CLIENT };

#define TLS_ALLOW_12   (1u << 0) /* else 1.3 alone; clients: always 1.3 alone */
#define TLS_JOINS      (1u << 1) /* servers: TLS_ALPN_JOIN is answered, and asks for no certificate */
#define TLS_ANY_SERVER (1u << 2) /* clients: the caller proves the server by tls_exporter() */

struct tls_octets {
	const uint8_t *octets;
	size_t len;
};

/* Chain, CAs and CRLs: in DER, each with its length in 4 octets before it, big-endian; the chain's
 * leaf first. All is copied. */
struct tls_settings {
	enum tls_role role;
	uint32_t flags;
	struct tls_octets chain;   /* our own; empty: a client without a certificate */
	struct tls_octets ca, crl; /* who may have issued the peer's; no CRLs: none is asked */
	const struct tls_signer *signer; /* with a chain; outlives the context */
	/* clients */
	const char
		*name; /* the server's, in its certificate: a host name or an address; or NULL … */
	const uint8_t *pin; /* … and SHA-256 of its certificate: then no CA is asked; or NULL */
	const char *alpn;   /* what is offered; NULL: nothing */
};

struct tls_context;
struct tls;

/* Reads what memfd_sealed() made of chain ‖ CAs ‖ CRLs, and fills those three; *ret_octets is the
 * memory that they point into, to be freed after tls_context_make(). `lens`: chain, CAs, CRLs. */
int tls_settings_read(int fd, const uint32_t lens[3], struct tls_settings *s,
		      uint8_t **ret_octets) MUST_CHECK;
/* Appends certificates or CRLs of PEM text to the form above. Returns how many there were (0: none)
 * or -EINVAL (one is broken), -EFBIG. *ret_octets is allocated. */
int tls_pem_to_der(const char *pem, size_t len, uint8_t **ret_octets, size_t *ret_len) MUST_CHECK;

/* 0, or -errno and a sentence of what is wrong. Our certificate's key must be EC P-256 or P-384,
 * Ed25519, RSA or RSA-PSS of 2048 to 4096 bits. */
int tls_context_make(const struct tls_settings *s, struct tls_context **ret_context, char *ret_why,
		     size_t why_size) MUST_CHECK;
void tls_context_free(
	struct tls_context *c); /* those that were opened with it keep what they need */

/* One connection. The descriptor stays the caller's, and must be a socket with O_NONBLOCK. */
int tls_open(struct tls_context *c, int fd, struct tls **ret_tls) MUST_CHECK;
void tls_free(struct tls *t); /* says nothing to the peer */

/* 1: done; 0: *ret_events (EPOLLIN, EPOLLOUT) is what it waits for; -errno: failed, the peer has
 * its alert, tls_reason() says why; -ENODATA: it left before its first octet. */
int tls_handshake(struct tls *t, uint32_t *ret_events) MUST_CHECK;

/* Octets that were received, > 0; 0: the peer has closed in order; -EAGAIN: nothing yet;
 * -ECONNRESET: closed without close_notify (TLS_TRUNCATED); -EPROTO: tls_reason() says why. Stops
 * after a bounded number of records: tls_has_more() says whether to go on without waiting for the
 * socket. */
ssize_t tls_receive(struct tls *t, const struct iovec *iov, size_t count) MUST_CHECK;
bool tls_has_more(const struct tls *t);
/* Octets that were taken, > 0; they need not be kept, but some may still be here: tls_unsent().
 * -EAGAIN: none was taken, the socket is full; -EPIPE, -EPROTO: it is over. */
ssize_t tls_send(struct tls *t, const struct iovec *iov, size_t count) MUST_CHECK;
/* What waits here goes to the socket: 0 when nothing waits any more, -EAGAIN, or it is over. */
int tls_flush(struct tls *t) MUST_CHECK;
bool tls_unsent(const struct tls *t);
/* Nothing more is sent: close_notify. 0, -EAGAIN: call again when the socket has room. */
int tls_close(struct tls *t) MUST_CHECK;

enum tls_reason tls_reason(const struct tls *t);
/* A sentence of why, for people: no octet in it is the peer's own. */
const char *tls_detail(const struct tls *t);

enum tls_alpn { TLS_ALPN_NONE, TLS_ALPN_IS_ISCSI, TLS_ALPN_IS_JOIN };
enum tls_alpn tls_alpn(const struct tls *t); /* after the handshake */
/* RFC 8446 section 7.5, no context value. After the handshake. */
int tls_exporter(struct tls *t, const char *label, uint8_t ret_key[TLS_EXPORTER_SIZE]) MUST_CHECK;

#define TLS_KERNEL_SENDS    (1u << 0)
#define TLS_KERNEL_RECEIVES (1u << 1)

/* What the handshake came to, and the other end's certificate. */
struct tls_peer {
	uint16_t version;	 /* 0x0304, 0x0303 */
	bool have_certificate;	 /* the rest but cipher, group and kernel is of it */
	uint8_t fingerprint[32]; /* SHA-256 of it, in DER */
	uint8_t serial_len;
	uint8_t serial[20]; /* big-endian */
	int64_t not_after_s;
	uint32_t name_count; /* of its URI SANs iscsi:NAME; those that are too long or hold anything
				but printable ASCII are left out */
	char names[TLS_PEER_NAMES][ISCSI_NAME_SIZE]; /* without "iscsi:", not normalised */
	uint32_t link_count; /* of the chain that it was found good by; 0: none, or too long */
	struct tls_link links[TLS_LINKS];
	uint32_t kernel;	    /* bits TLS_KERNEL_… */
	char cipher[48], group[24]; /* "TLS_AES_256_GCM_SHA384", "x25519" */
};
void tls_peer(struct tls *t, struct tls_peer *ret_peer);

/* The same certificate for people: escaped, cut; "" where there is nothing. */
struct tls_words {
	char subject[256], issuer[256];
	char names[512]; /* of hosts, commas between */
};
void tls_peer_words(struct tls *t, struct tls_words *ret_words);

/* Looks again at the peer's certificate with what `c` was made of: other CAs, other CRLs, and the
 * time (since 1970). TLS_REASON_NONE: it is still good. */
enum tls_reason tls_recheck(struct tls *t, struct tls_context *c, int64_t now_s);
/* Until when that holds, as the handshake or the last recheck found: then the first of its chain's
 * certificates ends, or of their issuers' CRLs (nextUpdate), and it is to be looked at again. 0:
 * there is none. */
int64_t tls_until_s(const struct tls *t);
/* How long to wait, at that time, before the next recheck: an hour at most, since the clock may be
 * set; 0: it is due; -1: never. */
int64_t tls_recheck_in_ms(const struct tls *t, int64_t now_s);

/* What the first octets are of, when they are not TLS: TLS_PLAIN or TLS_GARBAGE; TLS_REASON_NONE:
 * they may be TLS (or there are too few). */
enum tls_reason tls_first_octets(const uint8_t *octets, size_t len);

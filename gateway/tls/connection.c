/* One TLS connection: its handshake, octets in and out, its end. In the session and in
 * the client's end. The peer is hostile: whatever it sends, a call does a bounded amount
 * of work, and a broken connection stays broken. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "gateway/tls/parts.h"

#define RECORDS_A_CALL 16
#define MESSAGES_MAX   32    /* that bring no data, in a row */
#define HANDSHAKE_MAX  65536 /* octets: hellos, a chain, and room */
#define FIRST_OCTETS   4

/* --- opening --- */

static bool is_address(const char *name)
{
	uint8_t octets[16];

	return inet_pton(AF_INET, name, octets) == 1 || inet_pton(AF_INET6, name, octets) == 1;
}

static bool client_prepare(struct tls *t, const struct tls_context *c)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(t->ssl);

	SSL_set_connect_state(t->ssl);
	if (c->alpn_len > 0 && SSL_set_alpn_protos(t->ssl, c->alpn, c->alpn_len) != 0)
		return false;
	if (!c->name)
		return true;
	if (is_address(c->name))
		return X509_VERIFY_PARAM_set1_ip_asc(p, c->name) == 1;
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(p, c->name, 0) == 1 &&
	       SSL_set_tlsext_host_name(t->ssl, c->name) == 1;
}

int tls_open(struct tls_context *c, int fd, struct tls **ret_tls)
{
	struct tls *t = calloc(1, sizeof *t);

	if (!t)
		return -ENOMEM;
	t->fd = fd;
	t->role = c->role;
	t->flags = c->flags;
	t->pinned = c->pinned;
	memcpy(t->pin, c->pin, sizeof t->pin);
	t->ssl = SSL_new(c->ssl);
	if (!t->ssl || SSL_set_ex_data(t->ssl, tls_index, t) != 1 || SSL_set_fd(t->ssl, fd) != 1 ||
	    (c->role == TLS_CLIENT && !client_prepare(t, c))) {
		ERR_clear_error();
		tls_free(t);
		return -ENOMEM;
	}
	if (c->role == TLS_SERVER)
		SSL_set_accept_state(t->ssl);
	*ret_tls = t;
	return 0;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	tls_out_close(t);
	free(t);
}

/* --- failing --- */

static int fail_errno(const struct tls *t)
{
	return t->reason == TLS_TRUNCATED ? -ECONNRESET : -EPROTO;
}

/* What libssl says about a call that failed for good. */
static int fail_by_library(struct tls *t, int error)
{
	char detail[sizeof t->detail];
	enum tls_reason reason = tls_reason_of_queue(detail, sizeof detail);

	if (tls_signing_failed())
		tls_fail(t, TLS_KEY_AWAY, "the certificate's key does not sign");
	else if (error == SSL_ERROR_SYSCALL || error == SSL_ERROR_ZERO_RETURN)
		tls_fail(t, TLS_TRUNCATED, "the connection was closed in the middle");
	else if (reason == TLS_TRUNCATED)
		tls_fail(t, reason, "the connection was closed without close_notify");
	else
		tls_fail(t, reason, detail);
	return fail_errno(t);
}

static int fail(struct tls *t, enum tls_reason reason, const char *detail)
{
	tls_fail(t, reason, detail);
	return fail_errno(t);
}

/* --- the handshake --- */

/* What speaks no TLS is not handed to libssl. 0: it may be TLS, or nothing has come. */
static int look(struct tls *t)
{
	uint8_t octets[FIRST_OCTETS];
	ssize_t n = recv(t->fd, octets, sizeof octets, MSG_PEEK | MSG_DONTWAIT);
	enum tls_reason reason;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) { /* balancers' checks end with a reset */
		tls_fail(t, TLS_TRUNCATED, "the connection was closed before a handshake");
		return -ENODATA;
	}
	t->looked = true;
	reason = tls_first_octets(octets, (size_t)n);
	if (reason == TLS_PLAIN)
		return fail(t, reason, "the peer does not speak TLS");
	return reason == TLS_REASON_NONE ? 0 : fail(t, reason, "the first octets are not TLS");
}

static int handshake_done(struct tls *t)
{
	t->done = true;
	t->messages = 0;
	if (t->role == TLS_CLIENT) {
		const unsigned char *name;
		unsigned len;

		SSL_get0_alpn_selected(t->ssl, &name, &len);
		if (len == strlen(TLS_ALPN_ISCSI) && memcmp(name, TLS_ALPN_ISCSI, len) == 0)
			t->alpn = TLS_ALPN_IS_ISCSI;
		if (len == strlen(TLS_ALPN_JOIN) && memcmp(name, TLS_ALPN_JOIN, len) == 0)
			t->alpn = TLS_ALPN_IS_JOIN;
	}
	/* libssl asked for it; this is for the day that it does not. */
	if (t->alpn != TLS_ALPN_IS_JOIN && !SSL_get0_peer_certificate(t->ssl))
		return fail(t, TLS_NO_CERTIFICATE, "there is no certificate");
	if (tls_in_open(t) < 0 || tls_out_open(t) < 0)
		return fail(t, TLS_FAILED, "there is no memory");
	return 1;
}

int tls_handshake(struct tls *t, uint32_t *ret_events)
{
	int r, error;

	if (t->failed)
		return fail_errno(t);
	if (t->done)
		return 1;
	if (t->role == TLS_SERVER && !t->looked && (r = look(t)) < 0)
		return r;
	ERR_clear_error();
	r = SSL_do_handshake(t->ssl);
	if (r == 1)
		return handshake_done(t);
	error = SSL_get_error(t->ssl, r);
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		return fail_by_library(t, error);
	if (BIO_number_read(SSL_get_rbio(t->ssl)) > HANDSHAKE_MAX || t->messages > MESSAGES_MAX)
		return fail(t, TLS_GARBAGE, "a handshake is never so long");
	*ret_events = error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT;
	return 0;
}

/* --- octets --- */

struct place {
	const struct iovec *iov;
	size_t count, at; /* at: within the first */
};

static size_t place_left(struct place *p)
{
	while (p->count > 0 && p->at >= p->iov->iov_len) {
		p->iov++;
		p->count--;
		p->at = 0;
	}
	return p->count > 0 ? p->iov->iov_len - p->at : 0;
}

static uint8_t *place_at(const struct place *p)
{
	return (uint8_t *)p->iov->iov_base + p->at;
}

/* Answers to key updates have room of their own beside the data. Who leaves so many unread that it
 * is used up would have us go round and round. */
static ssize_t receive_blocked(struct tls *t)
{
	int r;

	if (!t->out.octets)
		return fail(t, TLS_FAILED, "the kernel has no room for what TLS has to answer");
	r = tls_out_flush(t);
	if (r < 0 && r != -EAGAIN)
		return fail(t, TLS_TRUNCATED, "the connection was lost");
	return tls_out_room(t) ? 0 : fail(t, TLS_GARBAGE, "key updates whose answers are not read");
}

/* libssl changes its own, and what the kernel goes on to send by the old ones nobody could read.
 * Who asks has to connect again. */
static bool keys_are_stuck(const struct tls *t)
{
	return t->keys_asked && !t->out.octets;
}

/* Seldom there is one, and to clear none costs as much as a small record. */
static void errors_forget(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

/* One record at most. > 0: octets; 0: it brought none, but there may be more; -errno. */
static ssize_t receive_once(struct tls *t, uint8_t *to, size_t len)
{
	unsigned before = t->messages;
	int error, r;
	size_t n;

	errors_forget();
	r = SSL_read_ex(t->ssl, to, len, &n);
	if (keys_are_stuck(t))
		return fail(t, TLS_FAILED, "other keys are asked for, and the kernel has ours");
	if (r == 1) {
		t->messages = 0;
		return (ssize_t)n;
	}
	error = SSL_get_error(t->ssl, 0);
	if (error == SSL_ERROR_ZERO_RETURN) {
		t->closed = true;
		return -ENODATA;
	}
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		return fail_by_library(t, error);
	if (t->messages > MESSAGES_MAX)
		return fail(t, TLS_GARBAGE, "messages that bring nothing, again and again");
	if (error == SSL_ERROR_WANT_WRITE)
		return receive_blocked(t);
	return t->messages != before ? 0 : -EAGAIN;
}

ssize_t tls_receive(struct tls *t, const struct iovec *iov, size_t count)
{
	struct place p = {iov, count, 0};
	ssize_t total = 0, n = 0;
	size_t left;

	t->more = t->in.dry = false;
	if (t->failed)
		return fail_errno(t);
	if (t->closed || !t->done)
		return t->closed ? 0 : -EAGAIN;
	for (unsigned k = 0; k < RECORDS_A_CALL && n >= 0 && (left = place_left(&p)) > 0; k++) {
		n = receive_once(t, place_at(&p), left);
		if (n > 0) {
			p.at += (size_t)n;
			total += n;
		}
	}
	/* What libssl has read ahead, epoll does not tell of; nor of an end that comes next. */
	t->more = n >= 0 ? !t->in.dry || SSL_has_pending(t->ssl) == 1 : n != -EAGAIN && total > 0;
	if (total > 0)
		return total;
	if (t->closed)
		return 0;
	return n == 0 ? -EAGAIN : n;
}

bool tls_has_more(const struct tls *t)
{
	return t->more;
}

/* Several, for a peer that asked for shorter ones: RFC 6066 section 4. */
static int write_record(struct tls *t, const uint8_t *octets, size_t len)
{
	size_t written;

	errors_forget();
	for (; len > 0; octets += written, len -= written)
		if (SSL_write_ex(t->ssl, octets, len, &written) != 1)
			return fail_by_library(t, SSL_get_error(t->ssl, 0));
	return 0;
}

/* What the next record is made of: a long piece as it stands, short ones together. */
static const uint8_t *gather(struct tls *t, struct place *p, size_t *ret_len)
{
	size_t left = place_left(p), len = 0;

	if (left >= TLS_RECORD_MAX) {
		p->at += TLS_RECORD_MAX;
		*ret_len = TLS_RECORD_MAX;
		return place_at(p) - TLS_RECORD_MAX;
	}
	for (; left > 0 && len < sizeof t->record; left = place_left(p)) {
		size_t n = MIN(left, sizeof t->record - len);

		memcpy(t->record + len, place_at(p), n);
		len += n;
		p->at += n;
	}
	*ret_len = len;
	return t->record;
}

static ssize_t send_by_kernel(const struct tls *t, const struct iovec *iov, size_t count)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
	ssize_t n;

	do
		n = sendmsg(t->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : -EPIPE;
	return n;
}

ssize_t tls_send(struct tls *t, const struct iovec *iov, size_t count)
{
	struct place p = {iov, count, 0};
	ssize_t total = 0;
	int r;

	if (t->failed || t->said || !t->done)
		return t->failed ? fail_errno(t) : -EPIPE;
	if (!t->out.octets)
		return send_by_kernel(t, iov, count);
	if (!tls_out_room(t) && (r = tls_out_flush(t)) < 0 && (r != -EAGAIN || !tls_out_room(t)))
		return r;
	while (place_left(&p) > 0 && tls_out_room(t)) {
		size_t len;
		const uint8_t *octets = gather(t, &p, &len);

		if ((r = write_record(t, octets, len)) < 0)
			return r;
		total += (ssize_t)len;
	}
	r = tls_out_flush(t);
	if (r < 0 && r != -EAGAIN)
		return r;
	return total;
}

int tls_flush(struct tls *t)
{
	return t->out.octets ? tls_out_flush(t) : 0;
}

bool tls_unsent(const struct tls *t)
{
	return t->out.start < t->out.end;
}

/* --- the end --- */

int tls_close(struct tls *t)
{
	int r;

	if (t->failed || !t->done)
		return 0; /* the alert was all there was to say */
	if (!t->said) {
		ERR_clear_error();
		r = SSL_shutdown(t->ssl);
		if (r < 0 && SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_WRITE)
			return -EAGAIN;
		ERR_clear_error();
		t->said = true;
	}
	return tls_flush(t);
}

/* --- what there is to know --- */

enum tls_reason tls_reason(const struct tls *t)
{
	return t->reason;
}

const char *tls_detail(const struct tls *t)
{
	return t->detail;
}

enum tls_alpn tls_alpn(const struct tls *t)
{
	return t->alpn;
}

int tls_exporter(struct tls *t, const char *label, uint8_t ret_key[TLS_EXPORTER_SIZE])
{
	if (!t->done || t->failed)
		return -EINVAL;
	if (SSL_export_keying_material(t->ssl, ret_key, TLS_EXPORTER_SIZE, label, strlen(label),
				       NULL, 0, 0) == 1)
		return 0;
	ERR_clear_error();
	return -EINVAL;
}

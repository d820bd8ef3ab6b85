/* Who has no certificate and a code, and joins: one request, one answer, and the connection is
 * over. Nothing else is ever done with it: no names, no CHAP. The session passes octets on: the
 * proof is the authenticator's to check, and what the client gets is sealed to the client. */
#include <poll.h>
#include "gateway/base/bytes.h"
#include "gateway/base/clock.h"
#include "gateway/session/session.h"

/* 0; -ETIMEDOUT: the time of a login is over. */
static int wait_for(const struct session *s, int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	const uint64_t now = clock_ms();
	int r;

	if (now >= s->login_timer.at_ms)
		return -ETIMEDOUT;
	r = poll(&p, 1, (int)MIN(s->login_timer.at_ms - now, 60000u));
	return r < 0 && errno != EINTR ? -errno : 0;
}

static int request_read(struct transport *t, uint8_t *octets, size_t len)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < len) {
		struct iovec iov = {octets + at, len - at};
		ssize_t n = tls_receive(t->tls, &iov, 1);

		if (n > 0)
			at += (size_t)n;
		else if (n == -EAGAIN)
			r = wait_for(t->s, t->socket.fd, POLLIN);
		else
			r = -EPIPE;
	}
	return r;
}

static int answer_send(struct transport *t, uint8_t *octets, size_t len)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < len) {
		struct iovec iov = {octets + at, len - at};
		ssize_t n = tls_send(t->tls, &iov, 1);

		if (n > 0)
			at += (size_t)n;
		else if (n == -EAGAIN)
			r = wait_for(t->s, t->socket.fd, POLLOUT);
		else
			r = -EPIPE;
	}
	while (r == 0 && (r = tls_flush(t->tls)) == -EAGAIN)
		r = wait_for(t->s, t->socket.fd, POLLOUT);
	return r;
}

/* Its channel closes without an answer when it is refused: the monitor knows why. */
static int authenticator_ask(struct session *s, const struct auth_enrol *said,
			     struct auth_enrolled *ret)
{
	struct message m = {.type = AUTH_INVALID};
	int r = CHANNEL_SEND(&s->auth, AUTH_ENROL, said);

	while (r == 0 && m.type != AUTH_ENROLLED) {
		r = wait_for(s, s->auth.fd, POLLIN);
		if (r == 0 && (r = channel_receive(&s->auth, &m)) > 0)
			r = 0;
	}
	if (r == 0)
		memcpy(ret, m.body, sizeof *ret);
	return r == 0 && ret->len > sizeof ret->answer ? -EPROTO : r;
}

static int enrol(struct transport *t)
{
	_Static_assert(sizeof((struct auth_enrol){0}.exporter) == TLS_EXPORTER_SIZE, "one value");
	struct auth_enrolled answer;
	struct auth_enrol said = {0};
	uint8_t len[4];
	int r = tls_exporter(t->tls, TLS_JOIN_LABEL, said.exporter);

	if (r == 0)
		r = request_read(t, said.request, sizeof said.request);
	if (r < 0)
		return r == -ETIMEDOUT ? r : -EBADMSG;
	if ((r = authenticator_ask(t->s, &said, &answer)) < 0)
		return r;
	put_be(len, sizeof len, answer.len);
	r = answer_send(t, len, sizeof len);
	return r == 0 ? answer_send(t, answer.answer, answer.len) : r;
}

void host_enrol(struct transport *t)
{
	static const struct {
		int error;
		enum session_end end;
		const char *detail;
	} ends[] = {
		{0, SESSION_END_LOGOUT, "joined"},
		{-EBADMSG, SESSION_END_MALFORMED, "who wanted to join sent less than a request"},
		{-ETIMEDOUT, SESSION_END_LOGIN_TIMEOUT, "joining took too long"},
		{1, SESSION_END_REFUSED, "joining"}, /* any other */
	};
	const int r = enrol(t);
	size_t k = 0;

	while (k + 1 < ARRAY_LEN(ends) && ends[k].error != r)
		k++;
	IGNORE_RESULT(tls_close(t->tls)); /* nobody waits for more */
	session_end(t->s, ends[k].end, ends[k].detail);
	t->left = true;
}

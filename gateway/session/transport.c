/* The transports, plain and TLS: octets between the sockets and the iSCSI core, straight into
 * and out of the core's buffers, one socket for each connection. Reads a bounded number of
 * times a turn, so that one busy peer does not keep completions and timers waiting, and that
 * it has answers to work on while we read more. */
#include <sys/socket.h>
#include <sys/uio.h>
#include "gateway/base/bytes.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/session/session.h"

#define READS_A_TURN	8
#define COMMANDS_A_TURN 8 /* when so many have come, the rest waits for their answers to go out */
#define IOVECS_MAX	64
#define LOOKED		UINT8_MAX /* at its first octets: they are not TLS */
#define LAST_WORDS_MS	2000	  /* for the peer to take what we still have to say */

static bool is_ending(const struct transport *t)
{
	return t->s->ending || iscsi_ended(t->c, NULL) != ISCSI_END_NONE;
}

/* Octets, 0 at the end, -EAGAIN, or another -errno when it is lost. */
static ssize_t octets_receive(struct transport *t, const struct iovec *iov, size_t count)
{
	ssize_t n;

	if (t->tls)
		return t->s->tls_ops->receive(t->tls, iov, count);
	n = readv(t->socket.fd, iov, (int)count);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n;
}

static ssize_t octets_send(struct transport *t, struct iovec *iov, size_t count)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
	ssize_t n;

	if (t->tls)
		return t->s->tls_ops->send(t->tls, iov, count);
	n = sendmsg(t->socket.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n;
}

/* Whoever speaks TLS here is told apart from who sends garbage: RFC 8446 section 5.1. Its first
 * octets may come one by one. */
static bool is_tls_on_plain(struct transport *t, const struct iovec *iov, ssize_t n)
{
	static const uint8_t hello[] = {0x16, 0x03};
	const uint8_t *octets = iov->iov_base;

	if (t->tls)
		return false;
	for (size_t k = 0; k < MIN((size_t)n, iov->iov_len) && t->looked < sizeof hello; k++)
		t->looked = octets[k] == hello[t->looked] ? t->looked + 1 : LOOKED;
	if (t->looked != sizeof hello)
		return false;
	session_end(t->s, SESSION_END_TLS,
		    "tls-on-a-plain-port: the peer speaks TLS, and this portal does not");
	t->left = true;
	return true;
}

static void transport_read(struct transport *t)
{
	struct iovec iov[IOVECS_MAX];
	uint64_t enough = t->s->command_count + COMMANDS_A_TURN;

	for (unsigned k = 0;
	     k < READS_A_TURN && t->s->command_count < enough && !t->left && !is_ending(t); k++) {
		size_t count = iscsi_rx_space(t->c, iov, ARRAY_LEN(iov));
		ssize_t n;

		if (count == 0)
			return;
		n = octets_receive(t, iov, count);
		if (n == -EAGAIN)
			return;
		if (n <= 0)
			t->left = true;
		else if (!is_tls_on_plain(t, iov, n))
			iscsi_received(t->c, (size_t)n, loop_now_ms(t->s->loop));
		/* That was all there is: epoll tells of more; the rest of a PDU's data comes on. */
		if (t->tls ? !t->s->tls_ops->has_more(t->tls)
			   : count == 1 && n < (ssize_t)iov[0].iov_len)
			return;
	}
}

/* A refusal is on record before it is answered (P2): the monitor says when. */
static bool is_held(const struct transport *t)
{
	struct session *s = t->s;
	const char *detail;

	if (t->c != s->leading || s->refusal_known || iscsi_is_full_feature(s->iscsi) ||
	    iscsi_ended(t->c, &detail) != ISCSI_END_REFUSED)
		return false;
	if (!s->refusing)
		session_report(s, SESSION_REFUSING,
			       s->unavailable ? SESSION_END_UNAVAILABLE : SESSION_END_REFUSED,
			       detail);
	s->refusing = true;
	return true;
}

static void transport_write(struct transport *t)
{
	struct iovec iov[IOVECS_MAX];
	size_t count;

	if (t->shake_events || is_held(t))
		return;
	if (t->tls && t->s->tls_ops->unsent(t->tls)) {
		int r = t->s->tls_ops->flush(t->tls);

		t->left |= r < 0 && r != -EAGAIN;
	}
	while (!t->left && (count = iscsi_tx(t->c, iov, ARRAY_LEN(iov))) > 0) {
		ssize_t n = octets_send(t, iov, count);

		if (n == -EAGAIN)
			return;
		if (n < 0)
			t->left = true;
		else
			iscsi_sent(t->c, (size_t)n);
	}
}

static bool has_to_say(const struct transport *t)
{
	return iscsi_tx_waiting(t->c) || (t->tls && t->s->tls_ops->unsent(t->tls));
}

static void clocks_read(struct session *s)
{
	s->nexus.now_ms = loop_now_ms(s->loop);
	s->nexus.wall_ns = clock_wall_ns(); /* for the records of all that is read now */
	s->nexus.now_us = clock_us();
}

static void on_socket(struct watch *w, uint32_t ready)
{
	struct transport *t = CONTAINER_OF(w, struct transport, socket);
	struct iovec iov;

	clocks_read(t->s);
	if (t->shake_events && !is_ending(t)) {
		t->s->tls_ops->shake(t);
		ready |= EPOLLIN; /* what came behind the handshake's last octet has been read */
	}
	if (t->shake_events) { /* the core hears nothing before the handshake is done */
		t->left |= (ready & (EPOLLHUP | EPOLLERR)) && is_ending(t);
		return;
	}
	if (ready & (EPOLLIN | EPOLLHUP | EPOLLERR))
		transport_read(t);
	/* Over in both directions is told at every turn, whether there is room to read or not. */
	if ((ready & (EPOLLHUP | EPOLLERR)) && !t->left && iscsi_rx_space(t->c, &iov, 1) == 0)
		t->left = true;
}

static void on_again(struct timer *timer)
{
	struct transport *t = CONTAINER_OF(timer, struct transport, again);

	clocks_read(t->s);
	transport_read(t);
}

/* --- the end of a connection --- */

static const struct {
	enum iscsi_end from;
	enum session_end to;
} ends[] = {
	{ISCSI_END_LOGOUT, SESSION_END_LOGOUT},	      {ISCSI_END_REFUSED, SESSION_END_REFUSED},
	{ISCSI_END_MALFORMED, SESSION_END_MALFORMED}, {ISCSI_END_DIGEST, SESSION_END_DIGEST},
	{ISCSI_END_SILENT, SESSION_END_SILENT},	      {ISCSI_END_REPLACED, SESSION_END_LEFT},
};

/* A connection that is cut is nothing strange once it is in use: its machine may be gone. */
static bool left_tls_in_login(const struct transport *t)
{
	return !iscsi_is_full_feature(t->s->iscsi) ||
	       t->s->tls_ops->reason(t->tls) != TLS_TRUNCATED;
}

/* What the session reports if this was its last connection. */
static void note_end(const struct transport *t)
{
	struct session *s = t->s;
	const char *detail = "";
	enum iscsi_end end = iscsi_ended(t->c, &detail);

	s->last_end = SESSION_END_LEFT;
	if (!iscsi_is_full_feature(s->iscsi) && iscsi_proof_sent(t->c))
		s->last_end = SESSION_END_LEFT_AFTER_PROOF;
	for (size_t k = 0; k < ARRAY_LEN(ends) && end != ISCSI_END_NONE; k++) {
		if (ends[k].from == end)
			s->last_end = s->unavailable ? SESSION_END_UNAVAILABLE : ends[k].to;
	}
	(void)string_copy(s->last_detail, sizeof s->last_detail, detail);
	if (t->tls && end == ISCSI_END_NONE && s->tls_ops->reason(t->tls) != TLS_REASON_NONE) {
		s->tls_ops->detail(t->tls, s->last_detail, sizeof s->last_detail);
		if (s->last_end == SESSION_END_LEFT && left_tls_in_login(t))
			s->last_end = SESSION_END_TLS;
	}
}

static void transport_close(struct transport *t)
{
	struct session *s = t->s;

	note_end(t);
	loop_timer_clear(s->loop, &t->last_words);
	loop_timer_clear(s->loop, &t->again);
	loop_unwatch(s->loop, &t->socket);
	if (t->tls) {
		(void)s->tls_ops->close(t->tls); /* if there is room for it */
		s->tls_ops->free(TAKE(t->tls));
	}
	(void)shutdown(t->socket.fd, SHUT_RDWR);
	fd_close(&t->socket.fd);
	if (t->c == s->leading)
		s->leading = NULL;
	iscsi_tick(s->iscsi, loop_now_ms(s->loop)); /* what waits for it waits from now on */
	iscsi_disconnected(TAKE(t->c));
}

static void on_last_words_over(struct timer *timer)
{
	CONTAINER_OF(timer, struct transport, last_words)->left = true;
}

/* Whether it was closed. */
static bool transport_flush(struct transport *t)
{
	transport_write(t);
	if (!t->left && (!is_ending(t) || has_to_say(t)))
		return false;
	transport_close(t);
	return true;
}

static uint32_t events_wanted(struct transport *t)
{
	struct iovec iov[IOVECS_MAX];
	bool reads = !is_ending(t) && iscsi_rx_space(t->c, iov, ARRAY_LEN(iov)) > 0;

	if (t->shake_events)
		return is_ending(t) ? 0 : t->shake_events;
	if (reads && t->tls && t->s->tls_ops->has_more(t->tls) && t->again.at_ms == 0)
		loop_timer_set(t->s->loop, &t->again, loop_now_ms(t->s->loop));
	return (reads ? EPOLLIN : 0) | (has_to_say(t) && !is_held(t) ? EPOLLOUT : 0);
}

static void transport_arm(struct transport *t)
{
	struct session *s = t->s;
	uint32_t events = events_wanted(t);

	if (is_ending(t) && !is_held(t) && t->last_words.at_ms == 0)
		loop_timer_set(s->loop, &t->last_words, clock_ms() + LAST_WORDS_MS);
	if (events != t->socket.events && loop_change(s->loop, &t->socket, events) < 0)
		session_end(s, SESSION_END_FAILED, "epoll");
}

/* --- all of them --- */

/* What one has sent, or its end, may give another something to send, or end it; so what each waits
 * for is decided last. */
void transports_turn(struct session *s)
{
	bool closed = true;

	while (closed) {
		closed = false;
		for (unsigned k = 0; k < TRANSPORTS_MAX; k++)
			if (s->transports[k].c && transport_flush(&s->transports[k]))
				closed = true;
	}
	for (unsigned k = 0; k < TRANSPORTS_MAX; k++)
		if (s->transports[k].c)
			transport_arm(&s->transports[k]);
}

bool transports_open(const struct session *s)
{
	for (unsigned k = 0; k < TRANSPORTS_MAX; k++)
		if (s->transports[k].c)
			return true;
	return false;
}

void transports_leave(struct session *s)
{
	for (unsigned k = 0; k < TRANSPORTS_MAX; k++)
		s->transports[k].left = true;
}

int transport_open(struct session *s, int fd, struct iscsi_connection *c)
{
	int r;

	for (unsigned k = 0; k < TRANSPORTS_MAX; k++) {
		struct transport *t = &s->transports[k];

		if (t->c)
			continue;
		*t = (struct transport){.s = s, .c = c};
		t->socket = (struct watch){.fd = fd, .events = EPOLLIN, .run = on_socket};
		t->last_words.run = on_last_words_over;
		t->again.run = on_again;
		t->looked = c != s->leading ? LOOKED : 0; /* what joins has been read from before */
		r = s->tls ? s->tls_ops->open(t) : 0;
		return r < 0 ? r : loop_watch(s->loop, &t->socket);
	}
	fd_close(&fd);
	return -EMFILE;
}

/* The plain transport: octets between the sockets and the iSCSI core, straight into and
 * out of the core's buffers, one socket for each connection. Reads a bounded number of
 * times a turn, so that one busy peer does not keep completions and timers waiting. */
#include <sys/socket.h>
#include <sys/uio.h>
#include "gateway/base/bytes.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/session/session.h"

#define READS_A_TURN  8
#define IOVECS_MAX    64
#define LAST_WORDS_MS 2000 /* for the peer to take what we still have to say */

static bool is_ending(const struct transport *t)
{
	return t->s->ending || iscsi_ended(t->c, NULL) != ISCSI_END_NONE;
}

static void transport_read(struct transport *t)
{
	struct iovec iov[IOVECS_MAX];

	for (unsigned k = 0; k < READS_A_TURN && !t->left && !is_ending(t); k++) {
		size_t count = iscsi_rx_space(t->c, iov, ARRAY_LEN(iov));
		ssize_t n;

		if (count == 0)
			return;
		n = readv(t->socket.fd, iov, (int)count);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			t->left = true;
		else
			iscsi_received(t->c, (size_t)n, loop_now_ms(t->s->loop));
	}
}

static void transport_write(struct transport *t)
{
	struct iovec iov[IOVECS_MAX];
	size_t count;

	while (!t->left && (count = iscsi_tx(t->c, iov, ARRAY_LEN(iov))) > 0) {
		struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
		ssize_t n = sendmsg(t->socket.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			t->left = true;
		else
			iscsi_sent(t->c, (size_t)n);
	}
}

static void on_socket(struct watch *w, uint32_t ready)
{
	struct transport *t = CONTAINER_OF(w, struct transport, socket);
	struct session *s = t->s;
	struct iovec iov;

	s->nexus.now_ms = loop_now_ms(s->loop);
	s->nexus.wall_ns = clock_wall_ns(); /* for the records of all that is read now */
	if (ready & (EPOLLIN | EPOLLHUP | EPOLLERR))
		transport_read(t);
	/* Over in both directions is told at every turn, whether there is room to read or not. */
	if ((ready & (EPOLLHUP | EPOLLERR)) && !t->left && iscsi_rx_space(t->c, &iov, 1) == 0)
		t->left = true;
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
}

static void transport_close(struct transport *t)
{
	struct session *s = t->s;

	note_end(t);
	loop_timer_clear(s->loop, &t->last_words);
	loop_unwatch(s->loop, &t->socket);
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
	if (!t->left && (!is_ending(t) || iscsi_tx_waiting(t->c)))
		return false;
	transport_close(t);
	return true;
}

static void transport_arm(struct transport *t)
{
	struct session *s = t->s;
	struct iovec iov[IOVECS_MAX];
	uint32_t events = 0;

	if (is_ending(t) && t->last_words.at_ms == 0)
		loop_timer_set(s->loop, &t->last_words, clock_ms() + LAST_WORDS_MS);
	if (!is_ending(t) && iscsi_rx_space(t->c, iov, ARRAY_LEN(iov)) > 0)
		events |= EPOLLIN;
	if (iscsi_tx_waiting(t->c))
		events |= EPOLLOUT;
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
	for (unsigned k = 0; k < TRANSPORTS_MAX; k++) {
		struct transport *t = &s->transports[k];

		if (t->c)
			continue;
		*t = (struct transport){.s = s, .c = c};
		t->socket = (struct watch){.fd = fd, .events = EPOLLIN, .run = on_socket};
		t->last_words.run = on_last_words_over;
		return loop_watch(s->loop, &t->socket);
	}
	fd_close(&fd);
	return -EMFILE;
}

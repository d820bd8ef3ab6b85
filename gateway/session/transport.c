/* The plain transport: octets between the socket and the iSCSI core, straight into and
 * out of the core's buffers. Reads a bounded number of times a turn, so that one busy
 * peer does not keep completions and timers waiting. */
#include <sys/socket.h>
#include <sys/uio.h>
#include "gateway/base/clock.h"
#include "gateway/session/session.h"

#define READS_A_TURN 8
#define IOVECS_MAX   64

static void peer_left(struct session *s)
{
	enum session_end end = SESSION_END_LEFT;

	if (!iscsi_is_full_feature(s->iscsi) && iscsi_proof_sent(s->leading))
		end = SESSION_END_LEFT_AFTER_PROOF;
	s->closed = true;
	session_end(s, end, "");
}

static void transport_read(struct session *s)
{
	struct iovec iov[IOVECS_MAX];

	for (unsigned k = 0; k < READS_A_TURN && !s->closed && !s->ending; k++) {
		size_t count = iscsi_rx_space(s->leading, iov, ARRAY_LEN(iov));
		ssize_t n;

		if (count == 0)
			return;
		n = readv(s->socket.fd, iov, (int)count);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			return peer_left(s);
		iscsi_received(s->leading, (size_t)n, loop_now_ms(s->loop));
	}
}

static void transport_write(struct session *s)
{
	struct iovec iov[IOVECS_MAX];
	size_t count;

	while (!s->closed && (count = iscsi_tx(s->leading, iov, ARRAY_LEN(iov))) > 0) {
		struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
		ssize_t n = sendmsg(s->socket.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			return peer_left(s);
		iscsi_sent(s->leading, (size_t)n);
	}
}

static void on_socket(struct watch *w, uint32_t ready)
{
	struct session *s = CONTAINER_OF(w, struct session, socket);
	struct iovec iov;

	s->nexus.now_ms = loop_now_ms(s->loop);
	s->nexus.wall_ns = clock_wall_ns(); /* for the records of all that is read now */
	if (ready & (EPOLLIN | EPOLLHUP | EPOLLERR))
		transport_read(s);
	/* Over in both directions is told at every turn, whether there is room to read or not. */
	if ((ready & (EPOLLHUP | EPOLLERR)) && !s->closed &&
	    iscsi_rx_space(s->leading, &iov, 1) == 0)
		peer_left(s);
}

void transport_turn(struct session *s)
{
	struct iovec iov[IOVECS_MAX];
	uint32_t events = 0;

	if (s->closed)
		return;
	transport_write(s);
	if (!s->closed && !s->ending && iscsi_rx_space(s->leading, iov, ARRAY_LEN(iov)) > 0)
		events |= EPOLLIN;
	if (!s->closed && iscsi_tx_waiting(s->leading))
		events |= EPOLLOUT;
	if (events != s->socket.events && loop_change(s->loop, &s->socket, events) < 0)
		session_end(s, SESSION_END_FAILED, "epoll");
}

int transport_open(struct session *s, int fd)
{
	s->socket = (struct watch){.fd = fd, .events = EPOLLIN, .run = on_socket};
	return loop_watch(s->loop, &s->socket);
}

/* Carrying octets both ways: as much as fits is read, and no more is read than the other
 * end takes, so that a slow end slows the other one and memory stays as it is. Each way is
 * closed by itself. Runs in `tunnels`; the octets are hostile, and none is looked at. */
#include <sys/socket.h>
#include "gateway/connect/tunnels.h"

#define ROUNDS 8 /* then others have their turn */

static size_t held(const struct buffer *b)
{
	return b->end - b->start;
}

static size_t room(const struct buffer *b)
{
	return BUFFER_SIZE - b->end;
}

static void taken(struct buffer *b, size_t count)
{
	b->start += count;
	if (b->start == b->end)
		b->start = b->end = 0;
}

/* What is left moves to the front when it is little, or when nothing else makes room. */
static void tidy(struct buffer *b)
{
	if (b->start == 0 || (room(b) >= BUFFER_SIZE / 4 && held(b) > TLS_RECORD_MAX))
		return;
	memmove(b->octets, b->octets + b->start, held(b));
	b->end -= b->start;
	b->start = 0;
}

static bool again(ssize_t r)
{
	return r == -EAGAIN || r == -EINTR;
}

static ssize_t local_receive(struct link *l)
{
	ssize_t n = recv(l->local.fd, l->up.octets + l->up.end, room(&l->up), 0);

	return n < 0 ? -errno : n;
}

static ssize_t local_send(struct link *l)
{
	ssize_t n = send(l->local.fd, l->down.octets + l->down.start, held(&l->down), MSG_NOSIGNAL);

	return n < 0 ? -errno : n;
}

static ssize_t remote_receive(struct link *l)
{
	const struct iovec iov = {l->down.octets + l->down.end, room(&l->down)};

	return tls_receive(l->tls, &iov, 1);
}

static ssize_t remote_send(struct link *l)
{
	const struct iovec iov = {l->up.octets + l->up.start, held(&l->up)};

	return tls_send(l->tls, &iov, 1);
}

/* From the initiator. 1: something moved; 0: nothing; < 0: the link is over, and was ended. */
static int read_up(struct link *l)
{
	ssize_t n;

	tidy(&l->up);
	if (l->local_over || !l->local_ready || room(&l->up) == 0)
		return 0;
	n = local_receive(l);
	l->local_ready = n == (ssize_t)room(&l->up); /* else it is empty, or epoll tells */
	if (again(n))
		return 0;
	if (n < 0) {
		link_end(l, "the initiator's end broke");
		return -1;
	}
	l->local_over = n == 0;
	l->up.end += (size_t)n;
	return 1;
}

/* The gateway takes no more. What it said last, which may be why, is read before its end is. */
static void unsendable(struct link *l)
{
	taken(&l->up, held(&l->up));
	l->local_over = l->up_closed = l->remote_ready = true;
}

static int write_up(struct link *l)
{
	ssize_t n = 0;
	int r = 0;

	if (held(&l->up) > 0)
		n = remote_send(l);
	if (n > 0) {
		taken(&l->up, (size_t)n);
		l->up_octets += (uint64_t)n;
		return 1;
	}
	if (n == 0 && tls_unsent(l->tls))
		r = tls_flush(l->tls);
	if (n == 0 && r == 0 && l->local_over && !l->up_closed) {
		r = tls_close(l->tls);
		if (r == 0) {
			(void)shutdown(l->remote.fd, SHUT_WR); /* one that is gone is read next */
			l->up_closed = true;
		}
	}
	if ((n < 0 && !again(n)) || (r < 0 && !again(r))) {
		unsendable(l);
		return 1;
	}
	return 0;
}

/* From the gateway. */
static int read_down(struct link *l)
{
	ssize_t n;

	tidy(&l->down);
	if (l->remote_over || !l->remote_ready || room(&l->down) == 0)
		return 0;
	n = remote_receive(l);
	l->remote_ready = tls_has_more(l->tls);
	if (again(n))
		return 0;
	if (n < 0) {
		link_broken(l, (int)n);
		return -1;
	}
	if (n > 0 && l->down_octets == 0)
		l->lane->failures = 0; /* it takes us */
	l->remote_over = n == 0;
	l->down.end += (size_t)n;
	l->down_octets += (uint64_t)n;
	return 1;
}

static int write_down(struct link *l)
{
	ssize_t n = 0;

	if (held(&l->down) > 0)
		n = local_send(l);
	if (n > 0) {
		taken(&l->down, (size_t)n);
		return 1;
	}
	if (n < 0 && !again(n)) {
		link_end(l, "the initiator is gone");
		return -1;
	}
	if (held(&l->down) == 0 && l->remote_over && !l->down_closed) {
		(void)shutdown(l->local.fd, SHUT_WR); /* one that is gone is seen at once */
		l->down_closed = true;
	}
	return 0;
}

/* A reset is told whether there is room to read or not. */
static void events_want(struct link *l)
{
	uint32_t local = l->local_hung ? 0 : EPOLLHUP, remote = l->remote_hung ? 0 : EPOLLHUP;

	if (!l->local_over && room(&l->up) > 0)
		local |= EPOLLIN;
	if (held(&l->down) > 0)
		local |= EPOLLOUT;
	if (!l->remote_over && room(&l->down) > 0)
		remote |= EPOLLIN;
	if (held(&l->up) > 0 || tls_unsent(l->tls) || (l->local_over && !l->up_closed))
		remote |= EPOLLOUT;
	link_watch(l, &l->local, local);
	link_watch(l, &l->remote, remote);
}

/* A way that is closed is waited for as long as the other one moves. */
static void time_want(struct link *l, bool moved)
{
	struct loop *loop = l->lane->tunnels->loop;

	if (!l->local_over && !l->remote_over && !l->remote_hung)
		return;
	if (moved || l->timer.at_ms == 0)
		loop_timer_set(loop, &l->timer, loop_now_ms(loop) + HALF_CLOSED_MS);
}

void link_carry(struct link *l)
{
	static int (*const steps[])(struct link * l) = {read_down, write_down, read_up, write_up};
	struct loop *loop = l->lane->tunnels->loop;
	bool moved = true, any = false;

	for (int round = 0; round < ROUNDS && moved; round++) {
		moved = false;
		for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
			int r = steps[k](l);

			if (r < 0)
				return;
			moved = moved || r > 0;
		}
		any = any || moved;
	}
	if (l->local_broke && !moved) {
		link_end(l, "the initiator's end broke");
		return;
	}
	if (l->up_closed && l->down_closed) {
		link_end(l, "both ends closed");
		return;
	}
	events_want(l);
	time_want(l, any);
	/* What OpenSSL has read already no socket tells of. */
	if (!l->remote_over && room(&l->down) > 0 && tls_has_more(l->tls))
		loop_timer_set(loop, &l->more, loop_now_ms(loop));
}

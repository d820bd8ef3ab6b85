/* Channels between our processes: sending and receiving one message at a time over
 * SOCK_SEQPACKET, checked against the table of what may arrive. Runs in every process.
 * Trusts nothing that arrives: type, size, number of descriptors and repetition are the
 * table's business, and whatever does not fit ends the channel. */
#include "gateway/base/channel.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include "gateway/base/log.h"

/* The alignment that cmsghdr needs, in room for exactly the descriptors that a message may have. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
};
_Static_assert(CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int)) == CMSG_LEN(CHANNEL_FDS_MAX * sizeof(int)),
	       "padding would be room for one descriptor more");

int channel_pair(int ret_fds[2])
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}

void channel_open(struct channel *c, int fd, const struct message_spec *table, size_t table_len)
{
	for (size_t i = 0; i < table_len; i++) {
		assert(table[i].type > 0 && table[i].type < CHANNEL_TYPES_MAX);
		assert(table[i].size <= CHANNEL_BODY_MAX && table[i].fds <= CHANNEL_FDS_MAX);
	}
	*c = (struct channel){.fd = fd, .table = table, .table_len = table_len};
}

void channel_close(struct channel *c)
{
	fd_close(&c->fd);
}

static void control_fill(struct msghdr *msg, union control *control, const int *fds, size_t n)
{
	struct cmsghdr *h;

	if (n == 0)
		return;
	*control = (union control){0};
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(n * sizeof *fds);
	h = CMSG_FIRSTHDR(msg);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(n * sizeof *fds);
	memcpy(CMSG_DATA(h), fds, n * sizeof *fds);
}

int channel_send(struct channel *c, uint32_t type, const void *body, size_t size, const int *fds,
		 size_t n)
{
	struct iovec iov[2] = {{&type, sizeof type}, {(void *)(uintptr_t)body, size}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = size > 0 ? 2 : 1};
	union control control;
	ssize_t sent;

	assert(size <= CHANNEL_BODY_MAX && n <= CHANNEL_FDS_MAX);
	if (c->fd < 0)
		return -EPIPE;
	control_fill(&msg, &control, fds, n);
	do
		sent = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return 0; /* SOCK_SEQPACKET sends all or nothing */
	return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
}

/* Takes every descriptor out of the control data, whoever needs it: none may leak. The room is for
 * CHANNEL_FDS_MAX; the kernel drops what is beyond and sets MSG_CTRUNC. Returns their number. */
static size_t control_take(struct msghdr *msg, struct message *m)
{
	size_t n = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
		size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		assert(n + count <= CHANNEL_FDS_MAX);
		memcpy(m->fds + n, CMSG_DATA(h), count * sizeof(int));
		n += count;
	}
	return n;
}

static const struct message_spec *table_find(const struct channel *c, uint32_t type)
{
	for (size_t i = 0; i < c->table_len; i++)
		if (c->table[i].type == type)
			return &c->table[i];
	return NULL;
}

/* The room for them in the message is enough, whatever was sent: it is the process that has none.
 */
static bool is_without_room(const struct msghdr *msg, size_t fds)
{
	return (msg->msg_flags & MSG_CTRUNC) && fds < CHANNEL_FDS_MAX;
}

/* Whether the table allows the message: 0, -EPROTO, -EMFILE. Logs why not. */
static int message_check(const struct channel *c, const struct msghdr *msg, uint32_t type,
			 size_t size, size_t fds)
{
	const struct message_spec *spec = table_find(c, type);

	if (!spec) {
		log_error("channel: a message of type %u, which may not arrive here; "
			  "the channel is closed",
			  type);
	} else if ((msg->msg_flags & MSG_TRUNC) || size != spec->size) {
		log_error("channel: message %s with %zu octets%s instead of %zu; "
			  "the channel is closed",
			  spec->name, size, (msg->msg_flags & MSG_TRUNC) ? " or more" : "",
			  spec->size);
	} else if (spec->fds > fds && is_without_room(msg, fds)) {
		log_error("channel: message %s without its descriptors: this process may open no "
			  "more (ulimit -n)",
			  spec->name);
		return -EMFILE;
	} else if ((msg->msg_flags & MSG_CTRUNC) || fds != spec->fds) {
		log_error("channel: message %s with descriptors: %zu%s instead of %u; "
			  "the channel is closed",
			  spec->name, fds, (msg->msg_flags & MSG_CTRUNC) ? " or more" : "",
			  spec->fds);
	} else if (spec->once && (c->seen & 1u << type)) {
		log_error("channel: message %s a second time; the channel is closed", spec->name);
	} else {
		return 0;
	}
	return -EPROTO;
}

static int receive_raw(const struct channel *c, struct msghdr *msg)
{
	ssize_t got;

	do
		got = recvmsg(c->fd, msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return (int)got; /* at most the type and CHANNEL_BODY_MAX */
}

int channel_receive(struct channel *c, struct message *ret_message)
{
	struct message *m = ret_message;
	uint32_t type = 0;
	union control control;
	struct iovec iov[2] = {{&type, sizeof type}, {m->body, sizeof m->body}};
	struct msghdr msg = {.msg_iov = iov,
			     .msg_iovlen = 2,
			     .msg_control = &control,
			     .msg_controllen = sizeof control};
	size_t fds;
	int got;

	for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
		m->fds[i] = -1;
	if (c->fd < 0)
		return -EPIPE;
	got = receive_raw(c, &msg);
	if (got < 0)
		return got == -EAGAIN ? 0 : got;
	fds = control_take(&msg, m);
	if (got == 0 && fds == 0) /* the end; an empty packet counts as one */
		return -EPIPE;
	if ((size_t)got < sizeof type)
		type = 0; /* a part of a type is none */
	m->type = type;
	got = message_check(c, &msg, type, (size_t)got - MIN((size_t)got, sizeof type), fds);
	if (got < 0) {
		message_close_fds(m);
		return got;
	}
	c->seen |= 1u << type;
	return 1;
}

void message_close_fds(struct message *m)
{
	for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
		fd_close(&m->fds[i]);
}

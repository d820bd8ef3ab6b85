/* What a channel lets through, and what ends it. The sender here is a raw socket, as
 * a process that was taken over would be. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "gateway/base/channel.h"
#include "tests/unit/test.h"

enum { HELLO = 1, NUMBER, FILES, LARGEST, GREETING_ONCE };

static const struct message_spec table[] = {
	{HELLO, "HELLO", 0, 0, false},		 {NUMBER, "NUMBER", sizeof(uint64_t), 0, false},
	{FILES, "FILES", 4, 2, false},		 {LARGEST, "LARGEST", CHANNEL_BODY_MAX, 0, false},
	{GREETING_ONCE, "GREETING", 0, 0, true},
};

struct pair {
	struct channel c;
	int raw; /* the other end */
};

static void pair_open(struct pair *p)
{
	int fds[2];

	assert_int_equal(channel_pair(fds), 0);
	channel_open(&p->c, fds[0], table, ARRAY_LEN(table));
	p->raw = fds[1];
}

static void pair_close(struct pair *p)
{
	channel_close(&p->c);
	fd_close(&p->raw);
}

/* The lowest free descriptor: the same before and after when none leaked. */
static int fd_lowest(void)
{
	int fd = dup(2);

	close(fd);
	return fd;
}

static void raw_send(int fd, const void *bytes, size_t len, size_t fds)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(16 * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)bytes, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int two = 2;

	if (fds > 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		control.h = (struct cmsghdr){CMSG_LEN(fds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		for (size_t i = 0; i < fds; i++)
			memcpy(CMSG_DATA(&control.h) + i * sizeof two, &two, sizeof two);
	}
	assert_int_equal(sendmsg(fd, &msg, 0), len);
}

static const struct raw {
	const char *why;
	uint32_t type;
	size_t len; /* of the packet, the type included */
	size_t fds;
	int times, want; /* result of the last one */
} raws[] = {
	{"a message of the table arrives", NUMBER, 12, 0, 1, 1},
	{"a message without a body arrives", HELLO, 4, 0, 1, 1},
	{"descriptors arrive where the table expects them", FILES, 8, 2, 1, 1},
	{"the largest body arrives whole", LARGEST, 4 + CHANNEL_BODY_MAX, 0, 1, 1},
	{"a message may come again", NUMBER, 12, 0, 3, 1},
	{"a message that comes once comes", GREETING_ONCE, 4, 0, 1, 1},
	{"a second message where the table says once is a violation", GREETING_ONCE, 4, 0, 2,
	 -EPROTO},
	{"a type that is not in the table is a violation", 9, 4, 0, 1, -EPROTO},
	{"type 0 is a violation", 0, 4, 0, 1, -EPROTO},
	{"a type beyond every table is a violation", 0x80000001u, 4, 0, 1, -EPROTO},
	{"a body one octet short is a violation", NUMBER, 11, 0, 1, -EPROTO},
	{"a body one octet long is a violation", NUMBER, 13, 0, 1, -EPROTO},
	{"a body beyond the buffer is a violation", LARGEST, 5 + CHANNEL_BODY_MAX, 0, 1, -EPROTO},
	{"a packet shorter than a type is a violation", NUMBER, 3, 0, 1, -EPROTO},
	{"one descriptor too few is a violation", FILES, 8, 1, 1, -EPROTO},
	{"no descriptor where two belong is a violation", FILES, 8, 0, 1, -EPROTO},
	{"one descriptor too many is a violation", FILES, 8, 3, 1, -EPROTO},
	{"more descriptors than any message has are a violation", FILES, 8, 9, 1, -EPROTO},
	{"P3: a descriptor where none belongs is a violation", NUMBER, 12, 1, 1, -EPROTO},
	{"a descriptor with an empty packet is a violation", 0, 0, 1, 1, -EPROTO},
	{"an empty packet is the end", 0, 0, 0, 1, -EPIPE},
};

static void test_raw(void **state)
{
	const struct raw *row = *state;
	uint8_t packet[8 + CHANNEL_BODY_MAX] = {0};
	int before = fd_lowest(), got = 0;
	struct message m;
	struct pair p;

	pair_open(&p);
	memcpy(packet, &row->type, sizeof row->type);
	for (int i = 0; i < row->times; i++) {
		raw_send(p.raw, packet, row->len, row->fds);
		got = channel_receive(&p.c, &m);
		if (i + 1 < row->times)
			assert_int_equal(got, 1);
		if (got == 1)
			assert_int_equal(m.type, row->type);
		for (size_t n = 0; n < CHANNEL_FDS_MAX; n++) {
			assert_true(got == 1 && n < row->fds ? m.fds[n] >= 0 : m.fds[n] == -1);
			if (m.fds[n] >= 0)
				assert_true(fcntl(m.fds[n], F_GETFD) & FD_CLOEXEC);
		}
		message_close_fds(&m);
	}
	assert_int_equal(got, row->want);
	pair_close(&p);
	assert_int_equal(fd_lowest(), before);
}

static void test_round_trip(void **state)
{
	const char text[4] = "abc";
	int pipe_fds[2], sent[2];
	struct channel sender;
	struct message m;
	struct pair p;
	char c = 0;

	(void)state;
	pair_open(&p);
	channel_open(&sender, p.raw, NULL, 0);
	assert_int_equal(pipe(pipe_fds), 0);
	sent[0] = pipe_fds[1];
	sent[1] = pipe_fds[0];
	assert_int_equal(channel_send(&sender, FILES, text, sizeof text, sent, 2), 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	assert_int_equal(channel_receive(&p.c, &m), 1);
	assert_memory_equal(m.body, text, sizeof text);
	assert_int_equal(write(m.fds[0], "x", 1), 1);
	assert_int_equal(read(m.fds[1], &c, 1), 1);
	assert_int_equal(c, 'x');
	message_close_fds(&m);
	pair_close(&p);
}

static void test_never_blocks(void **state)
{
	struct channel sender;
	struct message m;
	struct pair p;
	int r = 0, count = 0;

	(void)state;
	pair_open(&p);
	channel_open(&sender, p.raw, NULL, 0);
	assert_int_equal(channel_receive(&p.c, &m), 0);
	while (r == 0 && count++ < 100000)
		r = channel_send(&sender, HELLO, NULL, 0, NULL, 0);
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(channel_receive(&p.c, &m), 1);
	assert_int_equal(channel_send(&sender, HELLO, NULL, 0, NULL, 0), 0);
	pair_close(&p);
}

/* Blocking descriptors are no way around it: every call says "don't wait" itself. */
static void test_blocking_socket(void **state)
{
	struct message m;
	struct pair p;

	(void)state;
	pair_open(&p);
	assert_int_equal(fcntl(p.c.fd, F_SETFL, 0), 0);
	assert_int_equal(channel_receive(&p.c, &m), 0);
	pair_close(&p);
}

static void test_peer_gone(void **state)
{
	struct message m;
	struct pair p;

	(void)state;
	pair_open(&p);
	raw_send(p.raw, &(uint32_t){HELLO}, 4, 0);
	fd_close(&p.raw);
	assert_int_equal(channel_receive(&p.c, &m), 1);
	assert_int_equal(channel_receive(&p.c, &m), -EPIPE);
	assert_int_equal(channel_send(&p.c, HELLO, NULL, 0, NULL, 0), -EPIPE);
	channel_close(&p.c);
	assert_int_equal(channel_receive(&p.c, &m), -EPIPE);
	assert_int_equal(channel_send(&p.c, HELLO, NULL, 0, NULL, 0), -EPIPE);
	pair_close(&p);
}

/* The message is there, and the next one comes: who can do without goes on. */
static void test_no_room(void **state)
{
	struct rlimit before, none;
	struct pair p;
	struct message m;
	int lowest, r;

	(void)state;
	pair_open(&p);
	lowest = fd_lowest();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){(rlim_t)lowest, before.rlim_max};
	raw_send(p.raw, "\3\0\0\0abcd", 8, 2);
	raw_send(p.raw, "\1\0\0\0", 4, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = channel_receive(&p.c, &m);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(r, -EMFILE);
	assert_int_equal(m.type, FILES);
	assert_memory_equal(m.body, "abcd", 4);
	for (size_t k = 0; k < CHANNEL_FDS_MAX; k++)
		assert_int_equal(m.fds[k], -1);
	assert_int_equal(fd_lowest(), lowest);
	assert_int_equal(channel_receive(&p.c, &m), 1);
	assert_int_equal(m.type, HELLO);
	pair_close(&p);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, raws, test_raw);
	tests_add(&t, "what is sent arrives, descriptors too", test_round_trip, NULL);
	tests_add(&t, "descriptors that find no room are lost, and their message is told of",
		  test_no_room, NULL);
	tests_add(&t, "P4: a peer that does not read never blocks the sender", test_never_blocks,
		  NULL);
	tests_add(&t, "receiving never blocks, even when the socket would", test_blocking_socket,
		  NULL);
	tests_add(&t, "what a peer sent before it went arrives, then its end", test_peer_gone,
		  NULL);
	return tests_run(&t, "channel");
}

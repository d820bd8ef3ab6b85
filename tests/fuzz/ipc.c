/* Arbitrary packets with descriptors into a channel: each is a message of its table, a
 * violation or the end, and no descriptor is left behind. */
#include <sys/socket.h>
#include "gateway/base/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const struct message_spec table[] = {
	{1, "empty", 0, 0, false}, {2, "four", 4, 0, true},  {3, "fd", 8, 1, false},
	{4, "fds", 0, 4, false},   {5, "short", 1, 2, true}, {31, "big", CHANNEL_BODY_MAX, 0, 0},
};

static void packet_send(int fd, const uint8_t *bytes, size_t len, size_t fds)
{
	static const int stderrs[8] = {2, 2, 2, 2, 2, 2, 2, 2};
	_Alignas(struct cmsghdr) uint8_t room[CMSG_SPACE(sizeof stderrs)] = {0};
	struct cmsghdr *h = (struct cmsghdr *)(void *)room;
	struct iovec iov = {(void *)(uintptr_t)bytes, len};
	struct msghdr msg = {NULL, 0, &iov, 1, room, CMSG_SPACE(fds * sizeof(int)), 0};

	*h = (struct cmsghdr){CMSG_LEN(fds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(h), stderrs, fds * sizeof(int));

	(void)!sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	int pair[2], lowest = dup(2), r = 1;
	struct message m;
	struct channel c;

	assert(close(lowest) == 0 && channel_pair(pair) == 0);
	channel_open(&c, pair[0], table, ARRAY_LEN(table));
	for (size_t n; size > 2 && r >= 0; bytes += 2 + n, size -= 2 + n) {
		n = MIN((size_t)bytes[0] * 20, size - 2); /* then how many descriptors */
		packet_send(pair[1], bytes + 2, n, bytes[1] % 9);
		while ((r = channel_receive(&c, &m)) > 0)
			message_close_fds(&m);
		assert(r == 0 || r == -EPROTO || r == -EPIPE);
	}
	channel_close(&c);
	assert(close(pair[1]) == 0 && dup(2) == lowest && close(lowest) == 0);
	return 0;
}

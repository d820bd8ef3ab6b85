/* What taken-over session processes say: a message of any type and size, with a
 * descriptor or without. For the programs that session_*.py compile. */
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>
#include "gateway/base/base.h"

static inline void put(int fd, uint32_t type, const void *body, size_t size, int passed)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.h = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov[2] = {{&type, sizeof type}, {(void *)(uintptr_t)body, size}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (passed >= 0) {
		memcpy(CMSG_DATA(&control.h), &passed, sizeof passed);
		msg.msg_control = &control;
		msg.msg_controllen = sizeof control;
	}
	(void)!sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Settings of TCP connections, in the monitor and in the client's end. What can't be set
 * is left: a connection works without. Trusts its callers. */
#include "gateway/base/tcp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* On loopback there is no line whose rate could be found: what paces, as BBR does, only sets timers
 * there. Every kernel has this one, and lets everybody take it. */
#define UNPACED "reno"

void tcp_tune(int fd, const struct ip *peer)
{
	const int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (ip_is_loopback(peer))
		(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, UNPACED, sizeof UNPACED - 1);
}

/* sd_notify's protocol, for the monitor: datagrams of NAME=VALUE lines to the socket
 * that the service manager named in the environment at start. Without one, or when
 * it is gone, nothing happens: nobody waits for the answer. */
#include "gateway/base/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

static int notify_fd = -1;

void notify_open(void)
{
	const char *name = secure_getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = name ? strlen(name) : 0;

	fd_close(&notify_fd);
	if (len < 2 || len >= sizeof to.sun_path || (name[0] != '/' && name[0] != '@'))
		return;
	memcpy(to.sun_path, name, len);
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0'; /* the abstract name space */
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (notify_fd >= 0 &&
	    connect(notify_fd, (struct sockaddr *)&to,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		fd_close(&notify_fd);
}

void notify_send(const char *state)
{
	if (notify_fd >= 0)
		(void)!send(notify_fd, state, strlen(state), MSG_NOSIGNAL);
}

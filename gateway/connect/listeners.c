/* The sockets that `sallyport connect` listens on. In the starter, which hands them to the
 * process that accepts. */
#include <netinet/in.h>
#include "gateway/base/log.h"
#include "gateway/connect/starter.h"

#define BACKLOG 64

static int listener_open(const struct endpoint *at)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(at, &sa);
	OWNED_FD fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    (at->ip.version == 6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) ||
	    bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return fd_take(&fd);
}

/* Of the default two, ::1 may be missing: a machine without IPv6 has none. */
static bool may_be_missing(const struct connect_tunnel *t, size_t place, int error)
{
	return t->listen_default && t->listen[place].ip.version == 6 &&
	       (error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT);
}

int listeners_open(struct starter *s)
{
	const struct connect_config *c = s->options->config;
	char text[ADDRESS_TEXT];

	for (size_t t = 0; t < c->count; t++) {
		for (size_t k = 0; k < c->tunnels[t].listen_count; k++) {
			int fd = listener_open(&c->tunnels[t].listen[k]);

			if (fd < 0 && may_be_missing(&c->tunnels[t], k, fd))
				continue;
			if (fd < 0) {
				log_error("can't listen on %s for %s: %s; another --listen (or "
					  "listen:) takes another place",
					  endpoint_show(&c->tunnels[t].listen[k], text),
					  c->tunnels[t].name, strerror(-fd));
				return fd;
			}
			s->listeners[t][k] = fd;
		}
	}
	return 0;
}

void listeners_close(struct starter *s)
{
	for (size_t t = 0; t < CONNECT_TUNNELS_MAX; t++)
		for (size_t k = 0; k < CONNECT_LISTENS_MAX; k++)
			fd_close(&s->listeners[t][k]);
}

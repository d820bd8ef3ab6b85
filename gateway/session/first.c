/* The first octets of a connection, before its transport reads any: where the monitor says that one
 * comes, a proxy's header, read to its end and no further, and told to the monitor, who takes it or
 * ends us; elsewhere, that none is there. In the session, under its login timer; hostile octets. */
#include <sys/socket.h>
#include "gateway/session/session.h"

#define FIRST_OF_SIGNATURE '\r' /* nothing of iSCSI or TLS begins with it */

static bool is_due(const struct session *s)
{
	return s->start.flags & SESSION_START_PROXIED;
}

static void first_close(struct session *s)
{
	if (s->first.fd < 0)
		return;
	loop_unwatch(s->loop, &s->first);
	s->first.fd = -1;
}

static void end(struct session *s, enum session_end how, const char *detail)
{
	first_close(s);
	session_end(s, how, detail);
}

static void go_on(struct session *s)
{
	first_close(s);
	if (transport_open(s, SESSION_FD_SOCKET, s->leading) < 0)
		session_end(s, SESSION_END_FAILED, "the connection can't be watched");
}

static void tell(struct session *s, const struct proxied *what)
{
	struct session_proxied body = {
		.local = what->local, .source = what->source, .dest = what->dest};

	first_close(s); /* what follows stays in the socket until the monitor has answered */
	session_tell(s, SESSION_PROXIED, &body, sizeof body);
}

void first_taken(struct session *s, struct message *m)
{
	(void)m;
	if (!is_due(s) || s->header.total == 0 || s->ending)
		return;
	go_on(s);
}

/* What came of the header. More: its end may come later. */
static enum proxy_state header_read(struct session *s, struct proxied *ret, const char **ret_why)
{
	enum proxy_state state = PROXY_MORE;

	while (state == PROXY_MORE) {
		uint8_t *to;
		size_t space = proxy_space(&s->header, &to);
		ssize_t n = recv(SESSION_FD_SOCKET, to, space, 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return PROXY_MORE;
		*ret_why = "it ends before its header does";
		if (n <= 0)
			return s->header.len == 0 ? PROXY_MISSING : PROXY_MALFORMED;
		state = proxy_took(&s->header, (size_t)n, ret, ret_why);
	}
	return state;
}

static void due_read(struct session *s)
{
	struct proxied what = {0};
	const char *why = "";

	switch (header_read(s, &what, &why)) {
	case PROXY_WHOLE:
		return tell(s, &what);
	case PROXY_MALFORMED:
		return end(s, SESSION_END_PROXY_MALFORMED, why);
	case PROXY_MISSING:
		return end(s, s->header.len == 0 ? SESSION_END_LEFT : SESSION_END_PROXY_MISSING,
			   s->header.len == 0 ? "" : why);
	case PROXY_MORE:
		return;
	}
}

/* Its octets are nobody's, so they may be read: to the end of the signature. */
static void stranger_read(struct session *s)
{
	bool tls = s->start.flags & SESSION_START_TLS;
	const char *why = "";
	struct proxied what;
	enum proxy_state state = header_read(s, &what, &why);

	if (proxy_is_signed(&s->header))
		end(s, SESSION_END_PROXY_STRANGER, "it comes from no proxy of this portal");
	else if (state != PROXY_MORE)
		end(s, tls ? SESSION_END_TLS : SESSION_END_MALFORMED,
		    tls ? "tls-garbage: it begins as nothing that is known"
			: "it begins as nothing that is known");
}

static void on_first(struct watch *w, uint32_t ready)
{
	struct session *s = CONTAINER_OF(w, struct session, first);
	uint8_t first = 0;

	(void)ready;
	if (s->ending)
		return first_close(s);
	if (is_due(s))
		return due_read(s);
	if (s->header.len > 0)
		return stranger_read(s);
	if (recv(SESSION_FD_SOCKET, &first, 1, MSG_PEEK) < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (first == FIRST_OF_SIGNATURE)
		stranger_read(s);
	else
		go_on(s);
}

int first_open(struct session *s)
{
	uint8_t first = 0;

	s->first = (struct watch){.fd = -1, .events = EPOLLIN, .run = on_first};
	/* It is there: the monitor saw it come. */
	if (!is_due(s) && recv(SESSION_FD_SOCKET, &first, 1, MSG_PEEK) == 1 &&
	    first != FIRST_OF_SIGNATURE)
		return transport_open(s, SESSION_FD_SOCKET, s->leading);
	s->first.fd = SESSION_FD_SOCKET;
	return loop_watch(s->loop, &s->first);
}

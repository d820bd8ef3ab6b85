/* A login that joins a session: its process has done CHAP and the negotiation, and the
 * session's own process answers it. Here is decided whether that is its session; what
 * the one process says of the login is for the other one to check. Runs in the
 * monitor. */
#include <string.h>
#include "gateway/base/fd.h"
#include "gateway/monitor/monitor.h"

/* RFC 7143 section 6.3.1: the same initiator port, target and portal group, and the TSIH; the same
 * user, too, since a session has the rights of the one that it began with. */
struct connection *join_session(const struct connection *c)
{
	for (uint32_t k = 0; k < c->m->connection_max && !c->claim.discovery; k++) {
		struct connection *s = &c->m->connections[k];

		if (s->state == CONN_GRANTED && s->pid != 0 && s->ended[0] == '\0' &&
		    s->tsih == c->claim.tsih && entry_same_nexus(c, s) &&
		    strcmp(s->user, c->user) == 0)
			return s;
	}
	return NULL;
}

/* The process that led the login ends by a signal, so that it does not close what it no longer
 * has. */
int join_pass(struct connection *c)
{
	struct connection *s = join_session(c);

	if (s == NULL)
		return -ENOENT;
	connection_send(s, SESSION_ADOPT, c->join, sizeof *c->join, c->kept_fd);
	fd_close(&c->kept_fd);
	connection_kill(c, "joined-its-session");
	return 0;
}

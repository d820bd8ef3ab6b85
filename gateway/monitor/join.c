/* A login that joins a session: its process has done CHAP and the negotiation, and the
 * session's own process answers it. Here is decided whether that is its session; what
 * the one process says of the login is for the other one to check. Runs in the
 * monitor. */
#include <string.h>
#include "gateway/base/fd.h"
#include "gateway/monitor/monitor.h"

/* RFC 7143 section 6.3.1: the same initiator port, target and portal group, and the TSIH; the same
 * user, too, since a session has the rights of the one that it began with. What TLS has of a
 * connection is its process's, and can't be passed on. */
struct connection *join_session(const struct connection *c)
{
	for (uint32_t k = 0; k < c->m->connection_max && !c->claim.discovery; k++) {
		struct connection *s = &c->m->connections[k];

		if (s->state == CONN_GRANTED && s->pid != 0 && s->ended[0] == '\0' &&
		    s->tls == NULL && c->tls == NULL && s->tsih == c->claim.tsih &&
		    entry_same_nexus(c, s) && strcmp(s->user, c->user) == 0)
			return s;
	}
	return NULL;
}

/* The process that led the login ends by a signal, so that it does not close what it no longer
 * has. */
void join_pass(struct connection *c, struct connection *s)
{
	connection_send(s, SESSION_ADOPT, c->join, sizeof *c->join, c->kept_fd);
	s->joined++;
	fd_close(&c->kept_fd);
	connection_kill(c, "joined-its-session");
}

static bool tsih_is_taken(const struct connection *c, uint16_t tsih)
{
	for (uint32_t k = 0; k < c->m->connection_max; k++) {
		const struct connection *s = &c->m->connections[k];

		if (s->state == CONN_GRANTED && s->tsih == tsih &&
		    strcmp(s->initiator_name, c->initiator_name) == 0)
			return true;
	}
	return false;
}

/* RFC 7143 section 11.12.6: it names a session of one initiator, and is not 0. A long life of the
 * gateway comes round to numbers that sessions of a long life still have. */
uint16_t tsih_take(struct connection *c)
{
	for (unsigned tries = 0; tries < UINT16_MAX; tries++) {
		if (++c->m->next_tsih == 0)
			c->m->next_tsih = 1;
		if (!tsih_is_taken(c, c->m->next_tsih))
			return c->m->next_tsih;
	}
	return 0;
}

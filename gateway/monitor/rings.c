/* The audit rings of sessions: made and sealed here, kept here, so that neither the
 * death of the session nor that of the auditor loses a record (P2). A ring is given
 * up only when the auditor said that all of it is durable. */
#include <fcntl.h>
#include <sys/socket.h>
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

/* What every session sees in its page; the monitor writes it while no auditor can. */
static void page_state(const struct connection *c, enum audit_state state)
{
	uint32_t value = state;
	off_t at = offsetof(struct audit_ring_page, state);

	if (pwrite(c->page_fd, &value, sizeof value, at) != (ssize_t)sizeof value)
		log_error("the audit page of connection %u can't be written: %m", c->id);
}

int ring_make(struct connection *c)
{
	c->ring_fd = memfd_shared("audit-ring", sizeof(struct audit_ring_memory));
	if (c->ring_fd < 0)
		return c->ring_fd;
	c->page_fd = memfd_shared("audit-page", sizeof(struct audit_ring_page));
	if (c->page_fd < 0)
		return c->page_fd;
	page_state(c, AUDIT_AWAY);
	return 0;
}

static void ring_info(const struct connection *c, struct auditor_ring_info *ret_info)
{
	*ret_info = (struct auditor_ring_info){.connection = c->id, .peer = c->peer};
	(void)string_copy(ret_info->initiator, sizeof ret_info->initiator, c->initiator_name);
	(void)string_copy(ret_info->target, sizeof ret_info->target, c->target_name);
}

/* Hands the ring to the auditor, and each its end of a new socket pair. */
int ring_attach(struct connection *c)
{
	struct helper *auditor = &c->m->helpers[HELPER_AUDITOR];
	struct auditor_ring_info info;
	int pair[2], fds[3], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	ring_info(c, &info);
	fds[0] = c->ring_fd;
	fds[1] = c->page_fd;
	fds[2] = pair[1];
	r = -EPIPE;
	if (auditor->ready)
		r = helper_sent(auditor, channel_send(&auditor->channel, AUDITOR_ATTACH, &info,
						      sizeof info, fds, ARRAY_LEN(fds)));
	fd_close(&pair[1]);
	if (r == 0) {
		c->attached = true;
		c->reattach = false;
		connection_send(c, SESSION_AUDIT, NULL, 0, pair[0]);
	}
	fd_close(&pair[0]);
	return r;
}

/* The session is over: the auditor drains what it left, and says so through the flush. */
void ring_detach(struct connection *c)
{
	struct helper *auditor = &c->m->helpers[HELPER_AUDITOR];
	struct auditor_ring_info info;
	struct auditor_flush flush = {.id = ++c->m->trail.flush_id};

	ring_info(c, &info);
	c->flush_id = flush.id;
	if (c->reattach || !auditor->ready ||
	    helper_send(auditor, AUDITOR_DETACH, &info, sizeof info, -1) < 0 ||
	    helper_send(auditor, AUDITOR_FLUSH, &flush, sizeof flush, -1) < 0)
		c->flush_id = UINT64_MAX; /* asked again when an auditor is there */
}

void rings_away(struct monitor *m)
{
	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];

		if (c->state != CONN_FREE && c->attached)
			page_state(c, AUDIT_AWAY);
	}
}

/* A new auditor: every ring that is not given up yet, with a new socket for those that live. */
void rings_reattach(struct monitor *m)
{
	m->trail.rings_unsent = true;
	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];

		c->reattach = c->state != CONN_FREE && c->attached;
		if (c->reattach && c->flush_id != 0)
			c->flush_id = UINT64_MAX; /* the auditor that was asked is gone */
	}
	rings_go_on(m);
}

/* As many as the auditor takes now: there may be more than its channel has room for. Until it has
 * them, their sessions answer BUSY. */
void rings_go_on(struct monitor *m)
{
	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];

		if (c->state == CONN_FREE || !c->reattach)
			continue;
		if (ring_attach(c) < 0)
			return; /* again when it has room, or at the next tick */
		if (c->flush_id != 0)
			ring_detach(c);
	}
	if (m->trail.rings_unsent && m->helpers[HELPER_AUDITOR].ready)
		m->trail.rings_unsent =
			helper_send(&m->helpers[HELPER_AUDITOR], AUDITOR_RINGS, NULL, 0, -1) < 0;
}

void rings_flushed(struct monitor *m)
{
	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];

		if (c->state == CONN_ENDING && c->flush_id != 0 &&
		    c->flush_id <= m->trail.flushed && c->seat == SEAT_NONE) {
			c->attached = false;
			connection_free(c);
		} else if (c->state == CONN_ENDING && c->flush_id == UINT64_MAX) {
			ring_detach(c);
		}
	}
}

/* Listening and accepting. An accepted connection costs a table slot until its first
 * byte is readable (polled, never read); only then, and when a login slot is free, is
 * a process given to it. Half of the login slots are kept for addresses that the
 * policy names. Bounds in all and per source; the oldest silent one makes room (P6). */
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/base/tcp.h"
#include "gateway/monitor/bans.h"
#include "gateway/monitor/reload.h"

#define BACKLOG		 256
#define ACCEPTS_A_TURN	 64
#define RESUME_ACCEPT_MS 100
#define SAY_PAUSE_MS	 60000

static void on_timeout(struct timer *t)
{
	struct connection *c = CONTAINER_OF(t, struct connection, timer);

	if (c->readable)
		(void)trail_refusal(c->m, c, "no-login-slot", "");
	connection_free(c);
}

/* --- a slot ---------------------------------------------------------------------------------- */

static bool gives_way_before(const struct connection *a, const struct connection *b)
{
	return a->named != b->named ? !a->named : a->since_ms < b->since_ms;
}

/* Silent connections of strangers go first; of those, the one that has waited longest. */
static struct connection *oldest_waiting(struct monitor *m)
{
	struct connection *oldest = NULL;

	for (uint32_t k = 0; k < m->connection_max; k++) {
		struct connection *c = &m->connections[k];

		if (c->state == CONN_WAITING && !c->readable &&
		    (oldest == NULL || gives_way_before(c, oldest)))
			oldest = c;
	}
	return oldest;
}

static struct connection *slot_take(struct monitor *m)
{
	struct connection *c;

	if (m->open >= m->connection_max) {
		c = oldest_waiting(m);
		if (c == NULL)
			return NULL;
		connection_free(c);
	}
	do {
		if (++m->next_connection == 0)
			m->next_connection = 1;
		c = &m->connections[m->next_connection % m->connection_max];
	} while (c->state != CONN_FREE);
	*c = (struct connection){.m = m, .id = m->next_connection, .state = CONN_WAITING};
	c->socket.fd = c->process.fd = c->messages.fd = c->lifeline.fd = c->kept_fd = -1;
	c->channel.fd = c->ring_fd = c->page_fd = c->own_fd = -1;
	m->open++;
	return c;
}

/* Those of whom a proxy has not said yet who they are count nowhere. */
bool listen_source_is_full(const struct monitor *m, const struct ip *ip)
{
	struct network source = ip_source_block(ip);
	unsigned count = 0;

	if (ip_is_loopback(ip))
		return false;
	for (uint32_t k = 0; k < m->connection_max; k++) {
		const struct connection *c = &m->connections[k];

		if (c->state != CONN_FREE && !c->behind.due &&
		    network_contains(&source, &c->peer.ip))
			count++;
	}
	return count >= PER_SOURCE_MAX;
}

static bool login_slot_is_free(const struct connection *c)
{
	uint32_t most = c->m->policy->logins_at_once;

	if (!c->named)
		most = MAX(most / 2, 1);
	return c->m->logins < most;
}

/* --- waiting for the first byte --- */

/* Did it leave while it waited for a slot? */
static bool has_left(const struct connection *c)
{
	struct pollfd p = {.fd = c->socket.fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0;
}

static void hand_over(struct connection *c)
{
	const char *why;

	if (has_left(c))
		return connection_free(c);
	if ((why = bans_enter(c)) != NULL) {
		(void)trail_refusal(c->m, c, why, "");
		return connection_free(c);
	}
	coverage_ask(c);
}

static void on_socket(struct watch *w, uint32_t ready)
{
	struct connection *c = CONTAINER_OF(w, struct connection, socket);

	/* Who will send nothing more can't log in: no process for it. */
	if (ready & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
		connection_free(c);
		return;
	}
	c->readable = true;
	c->m->queued++;
	if (login_slot_is_free(c))
		hand_over(c);
	else
		loop_unwatch(c->m->loop, &c->socket); /* listen_admit() comes back to it */
}

void listen_admit(struct monitor *m)
{
	for (uint32_t k = 1; k <= m->connection_max && m->queued > 0 && m->serving; k++) {
		struct connection *c =
			&m->connections[(m->next_connection + k) % m->connection_max];

		if (m->logins >= m->policy->logins_at_once)
			return;
		if (c->state == CONN_WAITING && c->readable && login_slot_is_free(c))
			hand_over(c);
	}
}

/* --- accepting --- */

void connection_place(struct connection *c, const struct listener *l)
{
	c->portal = l->portal;
	c->portal_tag = l->m->portal_tags[l->portal];
	(void)string_copy(c->portal_name, sizeof c->portal_name,
			  l->m->policy->portals[l->portal].name);
}

static void refuse_at_accept(struct listener *l, int fd, const struct endpoint *peer,
			     const char *reason)
{
	struct connection c = {.m = l->m, .peer = *peer};

	connection_place(&c, l);
	(void)trail_refusal(l->m, &c, reason, "");
	fd_close(&fd);
}

static int make_waiting(struct listener *l, int fd, const struct endpoint *peer,
			const struct endpoint *local)
{
	struct connection *c = slot_take(l->m);
	int r;

	if (c == NULL)
		return -EMFILE;
	c->peer = *peer;
	c->local = *local;
	connection_place(c, l);
	c->since_ms = clock_ms();
	proxied_place(c);
	c->socket = (struct watch){.fd = fd, .events = EPOLLIN | EPOLLRDHUP, .run = on_socket};
	connection_timer(c, l->m->policy->login_timeout_ms, on_timeout);
	if ((r = loop_watch(l->m->loop, &c->socket)) < 0) {
		c->socket.fd = -1; /* the caller closes it */
		connection_free(c);
	}
	return r;
}

/* A peer that vanished is found by our pings, which want an answer of its iSCSI layer, or by its
 * TCP: in the same time, also while we have something to send and nothing acknowledges it. */
static void vanished_peer_ends(const struct policy *p, int fd)
{
	int every_s = (int)((p->ping_every_ms + 999) / 1000), misses = (int)p->ping_misses, one = 1;
	unsigned patience_ms = p->ping_every_ms * (p->ping_misses + 1);

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &every_s, sizeof every_s);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &misses, sizeof misses);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
}

/* Did it come in where its portal is? The name may have become another interface's. */
static bool came_by_interface(const struct listener *l, int fd)
{
	char name[INTERFACE_NAME_SIZE] = "";
	socklen_t len = sizeof name;

	return l->through[0] == '\0' ||
	       (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len) == 0 &&
		strncmp(name, l->through, sizeof name) == 0);
}

static void take_one(struct listener *l, int fd, const struct sockaddr_storage *from)
{
	struct sockaddr_storage to = {0};
	socklen_t len = sizeof to;
	struct endpoint peer = endpoint_from_sockaddr(from), local;
	const struct policy_portal *portal = &l->m->policy->portals[l->portal];

	if (getsockname(fd, (struct sockaddr *)&to, &len) < 0 || peer.ip.version == 0) {
		fd_close(&fd);
		return;
	}
	local = endpoint_from_sockaddr(&to);
	tcp_tune(fd, &peer.ip);
	vanished_peer_ends(l->m->policy, fd);
	if (bans_refuse(l->m, &peer.ip))
		refuse_at_accept(l, fd, &peer, "banned");
	else if (!came_by_interface(l, fd))
		refuse_at_accept(l, fd, &peer, "wrong-interface");
	else if (!policy_takes_packets(l->m->policy, l->portal, &peer.ip, clock_wall_s()))
		refuse_at_accept(l, fd, &peer, "wrong-address");
	else if (!policy_is_proxy(portal, &peer.ip) && listen_source_is_full(l->m, &peer.ip))
		refuse_at_accept(l, fd, &peer, "too-many-from-source");
	else if (make_waiting(l, fd, &peer, &local) < 0)
		refuse_at_accept(l, fd, &peer, "too-many-connections");
}

static void listeners_watch(struct monitor *m, uint32_t events)
{
	for (struct listener *l = m->listeners; l != NULL; l = l->next)
		IGNORE_RESULT(loop_change(m->loop, &l->watch, events));
	IGNORE_RESULT(loop_change(m->loop, &m->control, events));
}

static void on_resume(struct timer *t)
{
	listeners_watch(CONTAINER_OF(t, struct monitor, accept_timer), EPOLLIN);
}

bool listen_is_short(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

/* Level-triggered readiness would spin, so look away for a moment. */
void listen_pause(struct monitor *m, int error)
{
	uint64_t now = clock_ms();

	listeners_watch(m, 0);
	m->accept_timer.run = on_resume;
	loop_timer_set(m->loop, &m->accept_timer, now + RESUME_ACCEPT_MS);
	if (m->pause_said_ms != 0 && now - m->pause_said_ms < SAY_PAUSE_MS)
		return;
	m->pause_said_ms = now;
	log_warning("no connection can be accepted (%s): tried again every %d ms", strerror(error),
		    RESUME_ACCEPT_MS);
}

static void on_listener(struct watch *w, uint32_t ready)
{
	struct listener *l = CONTAINER_OF(w, struct listener, watch);

	(void)ready;
	for (unsigned k = 0; k < ACCEPTS_A_TURN; k++) {
		struct sockaddr_storage from = {0};
		socklen_t len = sizeof from;
		int fd = accept4(w->fd, (struct sockaddr *)&from, &len,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			take_one(l, fd, &from);
		} else if (listen_is_short(errno)) {
			listen_pause(l->m, errno);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

/* --- where --- */

static void set_patience(const struct listener *l, const struct policy *p)
{
	int seconds = (int)(p->login_timeout_ms / 1000);

	(void)setsockopt(l->watch.fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
}

/* By its interface alone: what comes by another never reaches this socket, nor any that is accepted
 * from it, and what they say leaves there. */
static int interface_bind(const struct listener *l, int fd)
{
	if (l->through[0] == '\0')
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, l->through,
			  (socklen_t)strlen(l->through)) < 0
		       ? -errno
		       : 0;
}

/* One of ours may be about to go that has the port by another address, as 0.0.0.0 and 127.0.0.1:
 * beside these, and nobody else's, it may be bound. */
static int bind_beside(const struct listener *l, int fd, const struct sockaddr_storage *sa,
		       socklen_t len)
{
	const struct listener *other;
	int r = 0;

	for (int on = 1; on >= 0; on--) {
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
		for (other = l->m->listeners; other != NULL; other = other->next)
			if (other->endpoint.port == l->endpoint.port)
				(void)setsockopt(other->watch.fd, SOL_SOCKET, SO_REUSEPORT, &on,
						 sizeof on);
		if (on &&
		    (bind(fd, (const struct sockaddr *)sa, len) < 0 || listen(fd, BACKLOG) < 0))
			r = -errno;
	}
	return r;
}

static int listen_at(struct listener *l)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&l->endpoint, &sa);
	OWNED_FD fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1, r;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (sa.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if ((r = interface_bind(l, fd)) < 0)
		return r;
	if (bind(fd, (struct sockaddr *)&sa, len) < 0)
		r = errno == EADDRINUSE ? bind_beside(l, fd, &sa, len) : -errno;
	else if (listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r < 0)
		return r;
	l->index = l->through[0] ? if_nametoindex(l->through) : 0;
	l->watch = (struct watch){.fd = fd_take(&fd), .run = on_listener};
	return 0;
}

/* The interface may be another than when the policy was read, under the same name. */
static int endpoint_place(const struct policy_portal *portal, size_t k, struct endpoint *ret)
{
	*ret = portal->listen[k];
	if (portal->interfaces[k][0] == '\0')
		return 0;
	ret->ip.scope = if_nametoindex(portal->interfaces[k]);
	return ret->ip.scope > 0 ? 0 : -errno;
}

static struct listener *listener_find(const struct monitor *m, const struct endpoint *at)
{
	struct listener *l = m->listeners;

	while (l != NULL && !(l->endpoint.port == at->port && ip_equal(&l->endpoint.ip, &at->ip) &&
			      l->endpoint.ip.scope == at->ip.scope))
		l = l->next;
	return l;
}

/* Is it bound to the interface that the portal names now, and that has the name now? */
static bool listener_is_at(const struct listener *l, const struct policy_portal *portal)
{
	return l != NULL && strcmp(l->through, portal->through) == 0 && listener_is_open(l);
}

static int listener_make(struct monitor *m, struct listener_plan *plan, const struct endpoint *at,
			 const char *through)
{
	int r;

	plan->fresh = calloc(1, sizeof *plan->fresh);
	if (plan->fresh == NULL)
		return -ENOMEM;
	*plan->fresh = (struct listener){.m = m, .endpoint = *at, .watch.fd = -1};
	(void)string_copy(plan->fresh->through, sizeof plan->fresh->through, through);
	if ((r = listen_at(plan->fresh)) < 0 || (r = loop_watch(m->loop, &plan->fresh->watch)) < 0)
		fd_close(&plan->fresh->watch.fd);
	return r;
}

/* `wg-quick down`, and up: an interface that comes back under its name is another. The old socket
 * is bound to the one that went; so the new one can be bound beside it. Until the address is there,
 * too, it is tried again. */
static void listener_follow(struct listener *l)
{
	struct listener fresh = *l;
	char text[ADDRESS_TEXT];

	fresh.watch.fd = -1;
	if (listen_at(&fresh) < 0)
		return;
	set_patience(&fresh, l->m->policy);
	loop_unwatch(l->m->loop, &l->watch);
	fd_close(&l->watch.fd);
	l->index = fresh.index;
	l->watch = fresh.watch;
	l->watch.events = l->m->accept_timer.at_ms == 0 ? EPOLLIN : 0;
	if (loop_watch(l->m->loop, &l->watch) < 0)
		fd_close(&l->watch.fd);
	log_notice("%s is back, and %s is listened on there", l->through,
		   endpoint_show(&l->endpoint, text));
}

bool listener_is_open(const struct listener *l)
{
	return l->watch.fd >= 0 &&
	       (l->through[0] == '\0' || l->index == if_nametoindex(l->through));
}

void listeners_look(struct monitor *m)
{
	for (struct listener *l = m->listeners; l != NULL; l = l->next)
		if (!listener_is_open(l) && if_nametoindex(l->through) > 0)
			listener_follow(l);
}

static int endpoint_prepare(struct monitor *m, struct setup *s, size_t portal, size_t k)
{
	const struct policy_portal *p = &s->policy->portals[portal];
	struct listener_plan *plan = &s->listeners[s->listener_count++];
	struct endpoint at;
	struct listener *there = NULL;
	char text[ADDRESS_TEXT];
	int r = endpoint_place(p, k, &at);

	plan->portal = portal;
	if (r == 0)
		there = listener_find(m, &at);
	if (r == 0 && listener_is_at(there, p))
		plan->kept = there;
	else if (r == 0)
		r = listener_make(m, plan, &at, p->through);
	if (r == -EADDRINUSE && there != NULL)
		setup_say(s,
			  "portal %s can't change its interface while the gateway runs: %s is "
			  "listened on; stop it, and start it again",
			  p->name, endpoint_show(&at, text));
	else if (r < 0)
		setup_say(s, "portal %s can't listen on %s: %s", p->name, endpoint_show(&at, text),
			  strerror(-r));
	return r;
}

/* What is new is bound, and accepts nothing yet. */
int listeners_prepare(struct monitor *m, struct setup *s)
{
	size_t count = 0;
	int worst = 0;

	for (size_t p = 0; p < s->policy->portal_count; p++)
		count += s->policy->portals[p].listen_count;
	s->listeners = calloc(count + 1, sizeof *s->listeners);
	if (s->listeners == NULL)
		return -ENOMEM;
	for (size_t p = 0; p < s->policy->portal_count; p++) {
		for (size_t k = 0; k < s->policy->portals[p].listen_count; k++) {
			int r = endpoint_prepare(m, s, p, k);

			worst = r < 0 ? r : worst;
		}
	}
	return worst;
}

static void listener_close(struct listener *l)
{
	if (l == NULL)
		return;
	if (l->watch.fd >= 0)
		loop_unwatch(l->m->loop, &l->watch);
	fd_close(&l->watch.fd);
	free(l);
}

void listeners_undo(struct setup *s)
{
	for (size_t k = 0; k < s->listener_count; k++)
		listener_close(s->listeners[k].fresh);
	free(TAKE(s->listeners));
	s->listener_count = 0;
}

static void listener_take(struct listener **list, struct listener *l)
{
	while (*list != l)
		list = &(*list)->next;
	*list = l->next;
}

/* Who stays is not touched: what waits in its queue is accepted. */
void listeners_commit(struct monitor *m, struct setup *s)
{
	struct listener *listening = NULL, **end = &listening, *next;

	for (size_t k = 0; k < s->listener_count; k++) {
		struct listener_plan *plan = &s->listeners[k];
		struct listener *l = plan->kept != NULL ? plan->kept : TAKE(plan->fresh);

		if (plan->kept != NULL)
			listener_take(&m->listeners, l);
		l->portal = plan->portal;
		l->next = NULL;
		*end = l;
		end = &l->next;
		set_patience(l, s->policy);
	}
	for (struct listener *l = m->listeners; l != NULL; l = next) {
		next = l->next;
		listener_close(l);
	}
	m->listeners = listening;
	if (m->accept_timer.at_ms == 0)
		listeners_watch(m, EPOLLIN);
	free(TAKE(s->listeners));
	s->listener_count = 0;
}

void listen_close(struct monitor *m)
{
	struct setup nothing = {0};

	loop_timer_clear(m->loop, &m->accept_timer);
	listeners_commit(m, &nothing);
}

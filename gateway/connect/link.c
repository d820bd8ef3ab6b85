/* One connection's life: accepted, connected to the gateway (waiting for it, if it is away,
 * as long as an initiator can be made to wait), shaken hands, carried, ended with one line
 * of log. Runs in `tunnels`. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include "gateway/base/log.h"
#include "gateway/base/tcp.h"
#include "gateway/connect/tunnels.h"

static struct loop *loop_of(const struct link *l)
{
	return l->lane->tunnels->loop;
}

void link_watch(struct link *l, struct watch *w, uint32_t events)
{
	int r = 0;

	if (w->fd < 0 || w->events == events)
		return;
	if (events == 0) {
		loop_unwatch(loop_of(l), w);
		w->events = 0;
	} else if (w->events == 0) {
		w->events = events;
		r = loop_watch(loop_of(l), w);
	} else {
		r = loop_change(loop_of(l), w, events);
	}
	if (r < 0)
		log_error("%s: connection %u can't be watched: %s", l->lane->config->name,
			  l->number, strerror(-r));
}

static void watch_close(struct link *l, struct watch *w)
{
	link_watch(l, w, 0);
	fd_close(&w->fd);
}

/* --- its end ------------------------------------------------------------------------------ */

static void end_tell(const struct link *l, const char *how)
{
	char from[ADDRESS_TEXT], to[ADDRESS_TEXT] = "";
	uint64_t ms = loop_now_ms(loop_of(l)) - l->begun_ms;

	if (l->to.ip.version != 0)
		(void)endpoint_format(&l->to, to);
	log_info("%s: connection %u from %s%s%s: %s after %llu.%llu s; %llu octets to the gateway, "
		 "%llu from it%s%s",
		 l->lane->config->name, l->number, endpoint_format(&l->from, from),
		 to[0] ? " to " : "", to, how, (unsigned long long)(ms / 1000),
		 (unsigned long long)(ms / 100 % 10), (unsigned long long)l->up_octets,
		 (unsigned long long)l->down_octets, l->peer.cipher[0] ? "; " : "", l->peer.cipher);
}

/* What was cut off must not look complete: the initiator gets a reset. */
static void reset_local(const struct link *l)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (l->local.fd >= 0 && !l->down_closed)
		(void)setsockopt(l->local.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static void link_free(struct link *l)
{
	struct tunnels *t = l->lane->tunnels;

	if (l->prev)
		l->prev->next = l->next;
	else
		t->links = l->next;
	if (l->next)
		l->next->prev = l->prev;
	t->link_count--;
	loop_timer_clear(t->loop, &l->timer);
	loop_timer_clear(t->loop, &l->more);
	tls_free(l->tls);
	watch_close(l, &l->local);
	watch_close(l, &l->remote);
	free(l->up.octets);
	free(l->down.octets);
	free(l);
	if (t->full)
		tunnels_accept(t, true);
}

void link_end(struct link *l, const char *how)
{
	if (l->check) {
		link_check_over(l, how);
		return;
	}
	if (l->tls && l->state == LINK_CARRIES && !l->up_closed)
		IGNORE_RESULT(tls_close(l->tls)); /* as far as the socket takes it */
	reset_local(l);
	end_tell(l, how);
	link_free(l);
}

/* --- `--check` ---------------------------------------------------------------------------- */

static void words_take(struct tls *tls, struct connect_checked *c)
{
	struct tls_words words;

	tls_peer_words(tls, &words);
	memcpy(c->subject, words.subject, sizeof c->subject);
	memcpy(c->issuer, words.issuer, sizeof c->issuer);
	memcpy(c->names, words.names, sizeof c->names);
}

void link_check_over(struct link *l, const char *why)
{
	const struct tls_peer *p = &l->peer;
	struct connect_checked c = {.tunnel = l->lane->number,
				    .fine = !why,
				    .at = l->to,
				    .has_certificate = p->have_certificate,
				    .not_after_s = p->not_after_s,
				    .ktls = p->kernel};

	if (why)
		(void)string_copy(c.why, sizeof c.why, why);
	if (l->tls)
		words_take(l->tls, &c);
	if (p->version != 0)
		(void)snprintf(c.protocol, sizeof c.protocol, "TLS 1.%u", (p->version & 0xffu) - 1);
	(void)string_copy(c.cipher, sizeof c.cipher, p->cipher);
	(void)string_copy(c.group, sizeof c.group, p->group);
	memcpy(c.fingerprint, p->fingerprint, sizeof c.fingerprint);
	if (CHANNEL_SEND(&l->lane->tunnels->starter, CONNECT_CHECKED, &c) < 0)
		loop_stop(loop_of(l));
	link_free(l);
}

/* A gateway that does not take our certificate says so behind its handshake: what is closed in
 * order was taken. */
static void check_read(struct link *l)
{
	uint8_t octets[4096];
	const struct iovec iov = {octets, sizeof octets};
	ssize_t n = tls_receive(l->tls, &iov, 1);
	char why[CONNECT_WHY_SIZE];

	if (n == -EAGAIN || n > 0)
		return;
	if (n == 0 || tls_reason(l->tls) != TLS_ALERT) {
		link_check_over(l, NULL);
		return;
	}
	(void)snprintf(why, sizeof why,
		       "the gateway does not take this machine's certificate (%.80s): is it "
		       "expired, revoked, or of another CA than the portal's client_ca?",
		       tls_detail(l->tls));
	link_check_over(l, why);
}

/* --- failures ----------------------------------------------------------------------------- */

static void remote_drop(struct link *l)
{
	tls_free(l->tls);
	l->tls = NULL;
	watch_close(l, &l->remote);
}

/* The next attempt of this lane, anybody's, comes later each time. Those that were made at once
 * count once. The gateway may have moved: the starter asks for its addresses. */
static void lane_failed(struct lane *lane, uint64_t most_ms)
{
	uint64_t wait = (uint64_t)BACKOFF_MS << MIN(lane->failures, 10u),
		 now = loop_now_ms(lane->tunnels->loop);
	const struct connect_at at = {lane->number};

	IGNORE_RESULT(CHANNEL_SEND(&lane->tunnels->starter, CONNECT_AWAY, &at)); /* a hint */
	if (now < lane->not_before_ms)
		return;
	lane->failures++;
	lane->not_before_ms = now + MIN(wait, most_ms);
}

/* Trying again at once would not mend it: somebody must do something. */
static bool is_refusal(enum tls_reason reason)
{
	return reason != TLS_REASON_NONE && reason != TLS_TRUNCATED && reason != TLS_TIMEOUT &&
	       reason != TLS_KEY_AWAY;
}

static const char *advice(enum tls_reason reason)
{
	static const struct {
		enum tls_reason reason;
		const char *text;
	} all[] = {
		{TLS_UNKNOWN_CA, "; is ca.pem of the CA that the gateway's certificate is of?"},
		{TLS_EXPIRED, "; renew the gateway's certificate, or set this machine's clock"},
		{TLS_NOT_YET_VALID, "; is this machine's clock right?"},
		{TLS_WRONG_NAME, "; connect to a name that its certificate has, or give name: or "
				 "server: in a file for --config"},
		{TLS_VERSION, "; it must speak TLS 1.3"},
		{TLS_GARBAGE, "; is this a portal with transport: tls?"},
		{TLS_PLAIN, "; is this a portal with transport: tls?"},
		{TLS_ALERT, "; does it take this machine's certificate? The gateway's `sallyport "
			    "audit show` has the reason"},
	};

	for (size_t k = 0; k < ARRAY_LEN(all); k++)
		if (all[k].reason == reason)
			return all[k].text;
	return "";
}

static void refused(struct link *l)
{
	enum tls_reason reason = tls_reason(l->tls);
	char to[ADDRESS_TEXT], why[CONNECT_WHY_SIZE];

	(void)snprintf(why, sizeof why, "%s: %.120s%s", tls_reason_name(reason), tls_detail(l->tls),
		       advice(reason));
	lane_failed(l->lane, REFUSED_MOST_MS);
	l->lane->preferred += l->tried + 1; /* another may have its address now */
	if (l->check) {
		link_check_over(l, why);
		return;
	}
	log_error("%s: no tunnel to %s: %s", l->lane->config->name, endpoint_format(&l->to, to),
		  why);
	link_end(l, "no tunnel");
}

void link_broken(struct link *l, int error)
{
	enum tls_reason reason = tls_reason(l->tls);

	if (l->down_octets == 0 && is_refusal(reason))
		refused(l);
	else if (reason == TLS_TRUNCATED)
		link_end(l, "the gateway's end broke off");
	else
		link_end(l, reason == TLS_REASON_NONE ? strerror(-error) : tls_reason_name(reason));
}

/* This address does not answer: the next one, or all of them again later. */
static void away(struct link *l, const char *why)
{
	struct lane *lane = l->lane;
	char to[ADDRESS_TEXT];

	remote_drop(l);
	if (lane->failures == 0)
		log_warning("%s: %s does not answer: %s; it is tried again", lane->config->name,
			    endpoint_format(&l->to, to), why);
	if (++l->tried < lane->at_count) {
		link_try(l);
		return;
	}
	l->tried = 0;
	lane_failed(lane, BACKOFF_MOST_MS);
	if (l->check)
		link_check_over(l, why);
	else
		link_try(l);
}

/* --- to the gateway ----------------------------------------------------------------------- */

static void socket_tune(int fd, const struct endpoint *to)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{SOL_SOCKET, SO_KEEPALIVE, 1}, /* NAT forgets who is silent */
		{IPPROTO_TCP, TCP_KEEPIDLE, 30},
		{IPPROTO_TCP, TCP_KEEPINTVL, 10},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, 90000},
	};

	tcp_tune(fd, &to->ip);
	for (size_t k = 0; k < ARRAY_LEN(options); k++)
		(void)setsockopt(fd, options[k].level, options[k].name, &options[k].value,
				 sizeof options[k].value);
}

static void shaken(struct link *l)
{
	struct lane *lane = l->lane;

	l->state = LINK_CARRIES;
	l->local_ready = l->remote_ready = true;
	lane->not_before_ms = 0;
	for (uint32_t k = 0; k < lane->at_count; k++)
		if (endpoint_compare(&lane->at[k], &l->to) == 0)
			lane->preferred = k;
	tls_peer(l->tls, &l->peer);
	if (!l->check) {
		loop_timer_clear(loop_of(l), &l->timer);
		link_carry(l);
		return;
	}
	if (tls_close(l->tls) == 0)
		(void)shutdown(l->remote.fd, SHUT_WR);
	link_watch(l, &l->remote, EPOLLIN);
	check_read(l);
}

static void shake(struct link *l)
{
	uint32_t events = 0;
	int r = tls_handshake(l->tls, &events);

	if (r > 0) {
		shaken(l);
	} else if (r == 0) {
		link_watch(l, &l->remote, events);
	} else if (is_refusal(tls_reason(l->tls))) {
		refused(l);
	} else {
		away(l, tls_reason(l->tls) ? tls_detail(l->tls) : strerror(-r));
	}
}

static void connected(struct link *l)
{
	int error = 0, r;
	socklen_t len = sizeof error;

	if (getsockopt(l->remote.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error != 0) {
		away(l, strerror(error));
		return;
	}
	socket_tune(l->remote.fd, &l->to);
	if ((r = tls_open(l->lane->context, l->remote.fd, &l->tls)) < 0) {
		link_end(l, strerror(-r));
		return;
	}
	l->state = LINK_SHAKES;
	loop_timer_set(loop_of(l), &l->timer, loop_now_ms(loop_of(l)) + HANDSHAKE_MS);
	shake(l);
}

static void remote_ready(struct watch *w, uint32_t ready)
{
	struct link *l = CONTAINER_OF(w, struct link, remote);

	l->remote_ready = l->remote_ready || (ready & ~(uint32_t)EPOLLOUT);
	l->remote_hung = l->remote_hung || (ready & EPOLLHUP);
	if (l->state == LINK_CONNECTS)
		connected(l);
	else if (l->state == LINK_SHAKES)
		shake(l);
	else if (l->check)
		check_read(l);
	else
		link_carry(l);
}

static void connect_begin(struct link *l)
{
	struct lane *lane = l->lane;
	struct sockaddr_storage sa;
	socklen_t len;

	l->to = lane->at[(lane->preferred + l->tried) % lane->at_count];
	len = endpoint_to_sockaddr(&l->to, &sa);
	l->state = LINK_CONNECTS;
	l->remote_ready = l->remote_hung = false;
	link_watch(l, &l->local, EPOLLHUP);
	l->remote = (struct watch){.run = remote_ready};
	l->remote.fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->remote.fd < 0 ||
	    (connect(l->remote.fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)) {
		away(l, strerror(errno));
		return;
	}
	loop_timer_set(loop_of(l), &l->timer, loop_now_ms(loop_of(l)) + CONNECT_MS);
	link_watch(l, &l->remote, EPOLLOUT);
}

static bool too_late(const struct link *l)
{
	return loop_now_ms(loop_of(l)) >= l->begun_ms + GIVE_UP_MS;
}

void link_try(struct link *l)
{
	struct lane *lane = l->lane;
	uint64_t now = loop_now_ms(loop_of(l)), end = l->begun_ms + GIVE_UP_MS;
	bool blind = lane->at_count == 0 || !lane->context;

	l->state = LINK_WAITS;
	if (too_late(l)) {
		link_end(l, "the gateway is away");
		return;
	}
	if (!blind && (now >= lane->not_before_ms || l->check || l->tried > 0)) {
		connect_begin(l);
		return;
	}
	link_watch(l, &l->local, blind ? EPOLLHUP : EPOLLRDHUP);
	loop_timer_set(loop_of(l), &l->timer, blind ? end : MIN(lane->not_before_ms, end));
}

void link_restart(struct link *l)
{
	remote_drop(l);
	l->tried = 0;
	link_try(l);
}

static void timer_over(struct timer *t)
{
	struct link *l = CONTAINER_OF(t, struct link, timer);

	if (l->state == LINK_WAITS)
		link_try(l);
	else if (l->state == LINK_CONNECTS)
		away(l, "no answer");
	else if (l->state == LINK_SHAKES)
		away(l, "no handshake in time");
	else if (l->check)
		link_check_over(l, NULL);
	else
		link_end(l, "one end closed, and nothing moved");
}

static void more_over(struct timer *t)
{
	struct link *l = CONTAINER_OF(t, struct link, more);

	l->remote_ready = true;
	link_carry(l);
}

/* --- its beginning ------------------------------------------------------------------------ */

/* Before it is carried, the initiator's octets wait in its socket. One that closes while the
 * gateway is away gave up; while the tunnel is being made it may be one that has no more to say. */
static void local_ready(struct watch *w, uint32_t ready)
{
	struct link *l = CONTAINER_OF(w, struct link, local);

	l->local_ready = l->local_ready || (ready & ~(uint32_t)EPOLLOUT);
	l->local_hung = l->local_hung || (ready & EPOLLHUP);
	l->local_broke = l->local_broke || (ready & EPOLLERR);
	if (l->state == LINK_CARRIES)
		link_carry(l);
	else if (l->state != LINK_WAITS && !l->local_hung)
		link_watch(l, w, EPOLLHUP);
	else if (ready & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		link_end(l, "the initiator gave up waiting");
}

void link_new(struct lane *lane, int fd, const struct endpoint *from)
{
	struct link *l = calloc(1, sizeof *l);

	if (l) {
		l->up.octets = malloc(BUFFER_SIZE);
		l->down.octets = malloc(BUFFER_SIZE);
	}
	if (!l || !l->up.octets || !l->down.octets) {
		log_error("%s: no memory for another connection", lane->config->name);
		fd_close(&fd);
		if (l) {
			free(l->up.octets);
			free(l->down.octets);
		}
		free(l);
		return;
	}
	l->lane = lane;
	l->number = ++lane->tunnels->links_made;
	l->check = fd < 0;
	l->from = *from;
	l->begun_ms = loop_now_ms(loop_of(l));
	l->local = (struct watch){.fd = fd, .run = local_ready};
	l->remote = (struct watch){.fd = -1, .run = remote_ready};
	l->timer.run = timer_over;
	l->more.run = more_over;
	l->next = lane->tunnels->links;
	if (l->next)
		l->next->prev = l;
	lane->tunnels->links = l;
	lane->tunnels->link_count++;
	if (fd >= 0)
		tcp_tune(fd, &from->ip);
	link_try(l);
}

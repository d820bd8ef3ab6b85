/* The process `tunnels`: its channel with the starter, its listeners, and what each tunnel
 * has: a context of OpenSSL, a channel to the key, the gateway's addresses. Trusts the
 * starter. */
#include "gateway/connect/tunnels.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"

#define SIGN_MS	     2000
#define ACCEPTS	     16 /* then others have their turn */
#define AGAIN_MS     100
#define SAY_PAUSE_MS 60000
#define MEMORY_LIMIT (1ull << 30)
#define FILES_KEPT   128
#define FILES_MOST   (2 * LINKS_MAX + FILES_KEPT)

static struct tunnels self;

/* --- signatures --------------------------------------------------------------------------- */

/* The loop waits meanwhile: it takes the process `key` less than a millisecond. What it answers
 * late was to who did not wait any longer. */
static int sign(void *arg, const struct auth_sign *ask, struct auth_signature *ret)
{
	struct lane *lane = arg;
	struct pollfd waits = {.fd = lane->key.fd, .events = POLLIN};
	uint64_t end = clock_ms() + SIGN_MS, now;
	struct message m;
	int r;

	if (lane->key.fd < 0)
		return -ENOENT;
	if ((r = CHANNEL_SEND(&lane->key, AUTH_SIGN, ask)) < 0)
		return r;
	for (lane->unanswered++; lane->unanswered > 0; lane->unanswered -= (uint32_t)r) {
		if ((r = channel_receive(&lane->key, &m)) < 0)
			return r;
		now = clock_ms();
		if (r == 0 && now >= end)
			return -ETIMEDOUT;
		if (r == 0 && poll(&waits, 1, (int)(end - now)) < 0 && errno != EINTR)
			return -errno;
	}
	memcpy(ret, m.body, sizeof *ret);
	return ret->len > 0 && ret->len <= sizeof ret->signature ? 0 : -EACCES;
}

/* --- listeners ---------------------------------------------------------------------------- */

static void accept_again(struct timer *t)
{
	tunnels_accept(CONTAINER_OF(t, struct tunnels, again), true);
}

/* What would be told again and again is told once a minute. */
static bool is_news(uint64_t *said_ms)
{
	uint64_t now = clock_ms();

	if (*said_ms != 0 && now - *said_ms < SAY_PAUSE_MS)
		return false;
	*said_ms = now;
	return true;
}

/* What is missing is the machine's, and may come without one of ours that ends. */
static void accept_later(int error)
{
	tunnels_accept(&self, false);
	self.again.run = accept_again;
	loop_timer_set(self.loop, &self.again, clock_ms() + AGAIN_MS);
	if (is_news(&self.said_none_ms))
		log_warning("no connection can be accepted (%s): tried again every %d ms",
			    strerror(error), AGAIN_MS);
}

static void accept_all(struct watch *w, uint32_t ready)
{
	struct lane *lane = CONTAINER_OF(w, struct listener, watch)->lane;

	(void)ready;
	for (int k = 0; k < ACCEPTS; k++) {
		struct sockaddr_storage sa = {0};
		socklen_t len = sizeof sa;
		struct endpoint from;
		int fd;

		if (self.link_count >= self.links_most) {
			if (is_news(&self.said_full_ms))
				log_warning("%zu connections: others wait", self.links_most);
			tunnels_accept(&self, false);
			return;
		}
		fd = accept4(w->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			    errno == ENOBUFS)
				accept_later(errno);
			return;
		}
		from = endpoint_from_sockaddr(&sa);
		link_new(lane, fd, &from);
	}
}

void tunnels_accept(struct tunnels *t, bool on)
{
	t->full = !on;
	for (size_t k = 0; k < t->config->count; k++)
		for (size_t n = 0; n < CONNECT_LISTENS_MAX; n++) {
			struct watch *w = &t->lanes[k].listeners[n].watch;

			if (w->fd >= 0 && loop_change(t->loop, w, on ? EPOLLIN : 0) < 0)
				log_error("a listener can't be watched");
		}
}

static void take_listener(struct message *m, struct lane *lane)
{
	for (size_t n = 0; n < CONNECT_LISTENS_MAX; n++) {
		struct listener *listener = &lane->listeners[n];

		if (listener->watch.fd >= 0)
			continue;
		listener->lane = lane;
		listener->watch = (struct watch){fd_take(&m->fds[0]), EPOLLIN, accept_all};
		if (loop_watch(self.loop, &listener->watch) < 0)
			log_error("a listener can't be watched");
		return;
	}
}

/* --- what a tunnel has -------------------------------------------------------------------- */

static void lane_wake(struct lane *lane)
{
	struct link *next;

	for (struct link *l = self.links; l; l = next) {
		next = l->next;
		if (l->lane == lane && l->state == LINK_WAITS)
			link_try(l);
	}
}

static int context_make(struct lane *lane, const struct connect_identity *identity, int fd,
			struct connect_taken *answer)
{
	const struct connect_tunnel *c = lane->config;
	struct tls_settings settings = {.role = TLS_CLIENT,
					.signer = &lane->signer,
					.name = c->pinned ? NULL : c->server_name,
					.pin = c->pinned ? c->pin : NULL,
					.alpn = TLS_ALPN_ISCSI};
	struct tls_context *context;
	uint8_t *octets = NULL;
	int r = tls_settings_read(fd, identity->lens, &settings, &octets);

	if (r < 0)
		(void)snprintf(answer->why, sizeof answer->why, "it can't be read: %s",
			       strerror(-r));
	else
		r = tls_context_make(&settings, &context, answer->why, sizeof answer->why);
	free(octets);
	if (r < 0)
		return r;
	tls_context_free(lane->context); /* who has it goes on with it */
	lane->context = context;
	return 0;
}

/* The new key's channel with the new certificate, or both old ones. A handshake that is under way
 * with the old one is begun anew. */
static void take_identity(struct message *m, struct lane *lane)
{
	const struct connect_identity *identity = (const void *)m->body;
	struct connect_taken answer = {.tunnel = lane->number};
	struct link *next;

	if (context_make(lane, identity, m->fds[0], &answer) == 0) {
		answer.taken = 1;
		channel_close(&lane->key);
		channel_open(&lane->key, fd_take(&m->fds[1]), connect_sign_outbox,
			     connect_sign_outbox_len);
		lane->unanswered = lane->failures = 0;
		lane->not_before_ms = 0;
		for (struct link *l = self.links; l; l = next) {
			next = l->next;
			if (l->lane == lane && l->state == LINK_SHAKES)
				link_restart(l);
		}
		lane_wake(lane);
	}
	if (CHANNEL_SEND(&self.starter, CONNECT_TAKEN, &answer) < 0)
		loop_stop(self.loop);
}

static void take_addresses(struct message *m, struct lane *lane)
{
	const struct connect_addresses *a = (const void *)m->body;
	struct endpoint was = {0};

	if (lane->at_count > 0)
		was = lane->at[lane->preferred % lane->at_count];
	for (uint32_t k = 0; k < MIN(a->count, (uint32_t)CONNECT_ADDRESSES_MAX); k++)
		if (k >= lane->at_count || endpoint_compare(&lane->at[k], &a->at[k]) != 0)
			lane->not_before_ms = lane->failures = 0; /* it moved: all is new */
	lane->at_count = MIN(a->count, (uint32_t)CONNECT_ADDRESSES_MAX);
	memcpy(lane->at, a->at, sizeof lane->at);
	lane->preferred = 0;
	for (uint32_t k = 0; k < lane->at_count; k++)
		if (endpoint_compare(&lane->at[k], &was) == 0)
			lane->preferred = k;
	lane_wake(lane);
}

static void take_check(struct message *m, struct lane *lane)
{
	const struct endpoint nobody = {0};

	(void)m;
	link_new(lane, -1, &nobody);
}

static const struct {
	uint32_t type;
	void (*take)(struct message *m, struct lane *lane);
} handlers[] = {
	{CONNECT_LISTENER, take_listener},
	{CONNECT_IDENTITY, take_identity},
	{CONNECT_ADDRESSES, take_addresses},
	{CONNECT_CHECK, take_check},
};

/* Whoever is connected is told in order; what they still had to say is theirs to repeat. */
static void stop(void)
{
	while (self.links)
		link_end(self.links, "this end stops");
	loop_stop(self.loop);
}

/* Its descriptors found no room here. What lives goes on with what it has. */
static bool does_without(const struct message *m)
{
	struct connect_taken answer = {.why = "this process may open no more files (ulimit -n)"};

	if (m->type != CONNECT_IDENTITY)
		return false;
	answer.tunnel = ((const struct connect_identity *)(const void *)m->body)->tunnel;
	return CHANNEL_SEND(&self.starter, CONNECT_TAKEN, &answer) == 0;
}

static void starter_said(struct watch *w, uint32_t ready)
{
	struct message m;
	int r = channel_receive(&self.starter, &m);
	uint32_t tunnel;

	(void)w;
	(void)ready;
	if (r == 0 || (r == -EMFILE && does_without(&m)))
		return;
	if (r < 0 || m.type == CONNECT_STOP) {
		self.status = r == -EPROTO || r == -EMFILE ? 3 : 0;
		stop();
		return;
	}
	tunnel = ((const struct connect_at *)(const void *)m.body)->tunnel;
	for (size_t k = 0; k < ARRAY_LEN(handlers) && tunnel < self.config->count; k++)
		if (handlers[k].type == m.type)
			handlers[k].take(&m, &self.lanes[tunnel]);
	message_close_fds(&m);
}

/* --- the process -------------------------------------------------------------------------- */

static int config_take(void)
{
	static char *bytes;
	size_t len;
	int r = fd_read_all(PROCESS_FD_FIRST + 1, sizeof *self.config, &bytes, &len);

	if (r < 0)
		return r;
	if (len != sizeof *self.config)
		return -EINVAL;
	self.config = (const struct connect_config *)(void *)bytes;
	if (self.config->count > CONNECT_TUNNELS_MAX)
		return -EINVAL;
	for (uint32_t k = 0; k < CONNECT_TUNNELS_MAX; k++) {
		struct lane *lane = &self.lanes[k];

		*lane = (struct lane){.tunnels = &self,
				      .config = &self.config->tunnels[k],
				      .number = k,
				      .signer = {sign, lane},
				      .key.fd = -1};
		for (size_t n = 0; n < CONNECT_LISTENS_MAX; n++)
			lane->listeners[n].watch.fd = -1;
	}
	return 0;
}

/* What OpenSSL reads and makes once, it does before the door closes. */
static int warm_up(void)
{
	const struct tls_settings nobody = {.role = TLS_CLIENT, .flags = TLS_ANY_SERVER};
	struct tls_context *context;
	char why[CONNECT_WHY_SIZE];
	int r = -ENOSYS;

	tzset(); /* times of certificates pass by it */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
				     OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
			     NULL) == 1)
		r = tls_context_make(&nobody, &context, why, sizeof why);
	if (r == 0)
		tls_context_free(context);
	return r;
}

/* Two files for each, and some are left for what the starter sends. */
static size_t links_that_fit(void)
{
	struct rlimit files = {0};

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_max >= FILES_MOST)
		return LINKS_MAX;
	return files.rlim_max > FILES_KEPT + 2 ? (size_t)(files.rlim_max - FILES_KEPT) / 2 : 1;
}

static int prepare(void)
{
	int r;

	if (!process_fds_are(2)) {
		log_error("started with other descriptors than its own: `sallyport connect` "
			  "starts this, nobody else");
		return -EBADF;
	}
	self.links_most = links_that_fit();
	if ((r = warm_up()) < 0 || (r = config_take()) < 0)
		return r;
	return loop_open(&self.loop);
}

static int enter(void)
{
	uint16_t ports[CONNECT_TUNNELS_MAX + 1] = {0};
	const struct sandbox sandbox = {.profile = SANDBOX_CONNECT,
					.folder_fd = -1,
					.connect_ports = ports,
					.memory_limit = MEMORY_LIMIT,
					.files_limit = FILES_MOST};
	struct connect_ready ready = {0};
	int r;

	for (size_t k = 0; k < self.config->count; k++)
		ports[k] = self.config->tunnels[k].port;
	if ((r = sandbox_enter(&sandbox)) < 0)
		return r;
	ready.layers = (uint32_t)r;
	channel_open(&self.starter, PROCESS_FD_FIRST, connect_tunnels_inbox,
		     connect_tunnels_inbox_len);
	self.watch = (struct watch){PROCESS_FD_FIRST, EPOLLIN, starter_said};
	if ((r = loop_watch(self.loop, &self.watch)) < 0)
		return r;
	return CHANNEL_SEND(&self.starter, CONNECT_READY, &ready);
}

int connect_tunnels_main(void)
{
	int r;

	self.starter.fd = -1;
	r = prepare();
	if (r == 0)
		r = enter();
	if (r == 0)
		r = loop_run(self.loop);
	if (r < 0)
		log_error("the process of the tunnels ends: %s", strerror(-r));
	for (size_t k = 0; self.config && k < self.config->count; k++) {
		tls_context_free(self.lanes[k].context);
		channel_close(&self.lanes[k].key);
	}
	channel_close(&self.starter);
	loop_close(self.loop);
	return r < 0 ? 3 : self.status;
}

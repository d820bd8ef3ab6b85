/* `sallyport connect` as it was called: starts the other processes, tells them what they
 * need, and ends when it is told, or with the first of them. It keeps the rights that the
 * identities' files need, and reads nothing from a network. */
#include "gateway/connect/starter.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/notify.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"

#define STOP_MS 5000
#define CAPS \
	(1ull << CAP_SETUID | 1ull << CAP_SETGID | 1ull << CAP_KILL | 1ull << CAP_DAC_READ_SEARCH)

/* --- helpers ------------------------------------------------------------------------------ */

void starter_stop(struct starter *s, int status)
{
	s->status = MAX(s->status, status);
	s->stopping = true;
	loop_stop(s->loop);
}

int helper_start(struct starter *s, struct helper *h, int argument_fd,
		 const struct message_spec *table, size_t table_len)
{
	const bool key = h == &s->key;
	struct child child = {.role = h->role,
			      .program = s->program,
			      .fd_count = argument_fd >= 0 ? 2 : 1,
			      .uid = key ? s->key_uid : s->net_uid,
			      .gid = key ? s->key_gid : s->net_gid,
			      .dies_with_parent = true};
	int ends[2], r;
	pid_t pid;

	if ((r = channel_pair(ends)) < 0)
		return r;
	child.fds[0] = ends[1];
	child.fds[1] = argument_fd;
	pid = child_start(&child, &h->end_watch.fd);
	fd_close(&ends[1]);
	if (pid < 0) {
		fd_close(&ends[0]);
		return pid;
	}
	h->pid = pid;
	channel_open(&h->channel, ends[0], table, table_len);
	h->channel_watch.fd = ends[0];
	h->channel_watch.events = h->end_watch.events = EPOLLIN;
	r = loop_watch(s->loop, &h->channel_watch);
	if (r == 0)
		r = loop_watch(s->loop, &h->end_watch);
	if (r < 0)
		helper_end(s, h);
	return r;
}

void helper_end(struct starter *s, struct helper *h)
{
	if (h->pid == 0)
		return;
	loop_unwatch(s->loop, &h->channel_watch);
	loop_unwatch(s->loop, &h->end_watch);
	channel_close(&h->channel);
	(void)kill(h->pid, SIGKILL); /* our own child, which nobody else has reaped */
	while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
		;
	fd_close(&h->end_watch.fd);
	h->pid = 0;
}

void tunnels_send(struct starter *s, uint32_t type, const void *body, size_t size)
{
	int r = channel_send(&s->tunnels.channel, type, body, size, NULL, 0);

	if (r == 0 || s->stopping)
		return;
	log_error("the process of the tunnels does not take what it is told: %s", strerror(-r));
	starter_stop(s, 3);
}

/* --- what it is told ---------------------------------------------------------------------- */

static void listeners_send(struct starter *s)
{
	for (uint32_t t = 0; t < s->options->config->count; t++)
		for (size_t k = 0; k < CONNECT_LISTENS_MAX; k++) {
			const struct connect_at at = {t};

			if (s->listeners[t][k] >= 0 &&
			    channel_send(&s->tunnels.channel, CONNECT_LISTENER, &at, sizeof at,
					 &s->listeners[t][k], 1) < 0)
				starter_stop(s, 3);
		}
	listeners_close(s);
}

/* Once each tunnel has its identity: names that are not known yet don't keep others waiting. */
static void serve(struct starter *s)
{
	const struct connect_config *c = s->options->config;

	for (size_t t = 0; t < c->count; t++)
		if (!s->taken[t])
			return;
	if (s->serving || s->options->check)
		return;
	s->serving = true;
	listeners_send(s);
	log_notice("%zu tunnel%s: listening", c->count, c->count == 1 ? "" : "s");
	notify_send("READY=1\nSTATUS=listening");
}

void check_begin(struct starter *s, uint32_t tunnel)
{
	const struct connect_at at = {tunnel};

	if (s->options->check && s->taken[tunnel] && s->addresses[tunnel])
		tunnels_send(s, CONNECT_CHECK, &at, sizeof at);
}

static void take_taken(struct starter *s, struct message *m)
{
	struct connect_taken *taken = (void *)m->body;
	const char *name = s->options->config->tunnels[taken->tunnel].name;

	connect_text_settle(taken->why, sizeof taken->why);
	if (!taken->taken) {
		log_error("%s: its identity is not taken: %s", name, taken->why);
		if (!s->taken[taken->tunnel])
			starter_stop(s, 3);
		return;
	}
	s->taken[taken->tunnel] = true;
	serve(s);
	check_begin(s, taken->tunnel);
}

static void take_away(struct starter *s, struct message *m)
{
	lookup_now(s, ((const struct connect_at *)(void *)m->body)->tunnel);
}

void check_over(struct starter *s, const struct connect_checked *c)
{
	bool all = true;

	if (!s->options->check || s->told[c->tunnel])
		return;
	s->told[c->tunnel] = true;
	s->options->checked(s->options->arg, c);
	for (size_t t = 0; t < s->options->config->count; t++)
		all = all && s->told[t];
	if (!c->fine)
		s->status = MAX(s->status, 1);
	if (all)
		starter_stop(s, s->status);
}

static void take_checked(struct starter *s, struct message *m)
{
	struct connect_checked *c = (void *)m->body;

	connect_checked_settle(c);
	check_over(s, c);
}

static void take_ready(struct starter *s, struct message *m)
{
	char missing[128];

	(void)s;
	(void)sandbox_missing((int)((const struct connect_ready *)(void *)m->body)->layers, missing,
			      sizeof missing);
	if (missing[0])
		log_warning("this kernel lacks, for the process of the tunnels: %s", missing);
}

static const struct {
	uint32_t type;
	void (*take)(struct starter *s, struct message *m);
} handlers[] = {
	{CONNECT_READY, take_ready},
	{CONNECT_AWAY, take_away},
	{CONNECT_TAKEN, take_taken},
	{CONNECT_CHECKED, take_checked},
};

/* All but CONNECT_READY begin with the number of a tunnel. */
static bool names_a_tunnel(const struct starter *s, const struct message *m)
{
	return m->type == CONNECT_READY ||
	       ((const struct connect_at *)(const void *)m->body)->tunnel <
		       s->options->config->count;
}

static void broken(struct starter *s, const struct helper *h)
{
	if (!s->stopping)
		log_error("the process %s ended, or broke its protocol; ending too", h->role);
	starter_stop(s, s->stopping ? 0 : 3);
}

static void tunnels_said(struct watch *w, uint32_t ready)
{
	struct starter *s = CONTAINER_OF(w, struct starter, tunnels.channel_watch);
	struct message m;
	int r = channel_receive(&s->tunnels.channel, &m);

	(void)ready;
	if (r < 0 || (r > 0 && !names_a_tunnel(s, &m))) {
		broken(s, &s->tunnels);
		return;
	}
	for (size_t k = 0; r > 0 && k < ARRAY_LEN(handlers); k++)
		if (handlers[k].type == m.type)
			handlers[k].take(s, &m);
}

static void key_said(struct watch *w, uint32_t ready)
{
	struct starter *s = CONTAINER_OF(w, struct starter, key.channel_watch);
	struct message m;
	int r = channel_receive(&s->key.channel, &m);

	(void)ready;
	if (r < 0 || (r > 0 && !names_a_tunnel(s, &m))) {
		broken(s, &s->key);
		return;
	}
	if (r > 0) {
		struct connect_taken *taken = (void *)m.body;

		if (!taken->taken)
			take_taken(s, &m);
		identity_answered(s, taken);
	}
}

static void tunnels_ended(struct watch *w, uint32_t ready)
{
	(void)ready;
	broken(CONTAINER_OF(w, struct starter, tunnels.end_watch),
	       &CONTAINER_OF(w, struct starter, tunnels.end_watch)->tunnels);
}

static void key_ended(struct watch *w, uint32_t ready)
{
	(void)ready;
	broken(CONTAINER_OF(w, struct starter, key.end_watch),
	       &CONTAINER_OF(w, struct starter, key.end_watch)->key);
}

/* --- signals ------------------------------------------------------------------------------ */

static void stop_late(struct timer *t)
{
	struct starter *s = CONTAINER_OF(t, struct starter, stop_timer);

	log_warning("the process of the tunnels did not end in %d s", STOP_MS / 1000);
	starter_stop(s, 0);
}

/* Certificates and addresses anew; what lives goes on with what it has. */
static void read_again(struct starter *s)
{
	for (uint32_t t = 0; t < s->options->config->count; t++) {
		if (identity_read(s, t) < 0)
			log_error("%s: it goes on with the identity that it has",
				  s->options->config->tunnels[t].name);
		lookup_now(s, t);
	}
}

static void signalled(int signal, void *arg)
{
	struct starter *s = arg;

	if (signal == SIGHUP) {
		read_again(s);
		return;
	}
	if (s->stopping)
		return;
	s->stopping = true;
	notify_send("STOPPING=1");
	tunnels_send(s, CONNECT_STOP, NULL, 0);
	loop_timer_set(s->loop, &s->stop_timer, loop_now_ms(s->loop) + STOP_MS);
}

/* --- the process -------------------------------------------------------------------------- */

static int users_find(struct starter *s)
{
	if (geteuid() != 0) {
		s->key_uid = s->net_uid = getuid();
		s->key_gid = s->net_gid = getgid();
		return 0;
	}
	if (user_find("sallyport", &s->key_uid, &s->key_gid) < 0 ||
	    user_find("sallyport-net", &s->net_uid, &s->net_gid) < 0) {
		log_error("started as root it runs its processes as the users sallyport and "
			  "sallyport-net, which do not exist: deploy/install-deps.sh makes them");
		return -ENOENT;
	}
	return 0;
}

static int prepare(struct starter *s)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0};
	int r;

	s->program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (s->program < 0) {
		r = -errno;
		log_error("can't open our own program through /proc/self/exe: %s; is /proc "
			  "mounted?",
			  strerror(-r));
		return r;
	}
	if ((r = users_find(s)) < 0)
		return r;
	if (!s->options->check && (r = listeners_open(s)) < 0)
		return r;
	if ((r = capabilities_limit(CAPS)) < 0 || (r = loop_open(&s->loop)) < 0 ||
	    (r = loop_signals(s->loop, signals, signalled, s)) < 0)
		log_error("this process can't be set up: %s", strerror(-r));
	return r;
}

static int helpers_begin(struct starter *s)
{
	const struct connect_config *c = s->options->config;
	OWNED_FD plan = memfd_sealed("tunnels", c, sizeof *c);
	int r = plan < 0 ? plan
			 : helper_start(s, &s->tunnels, plan, connect_tunnels_outbox,
					connect_tunnels_outbox_len);

	if (r == 0)
		r = helper_start(s, &s->key, -1, connect_key_outbox, connect_key_outbox_len);
	if (r < 0)
		log_error("the processes can't be started: %s", strerror(-r));
	for (uint32_t t = 0; r == 0 && t < c->count; t++)
		r = identity_read(s, t);
	for (uint32_t t = 0; r == 0 && t < c->count; t++)
		lookup_open(s, t);
	return r;
}

static void clear_up(struct starter *s)
{
	for (uint32_t t = 0; t < s->options->config->count; t++) {
		lookup_close(s, t);
		identity_forget(&s->pending[t]);
	}
	helper_end(s, &s->tunnels);
	helper_end(s, &s->key);
	listeners_close(s);
	fd_close(&s->program);
	loop_close(s->loop);
}

static void starter_init(struct starter *s, const struct connect_options *options)
{
	*s = (struct starter){.options = options, .program = -1, .stop_timer.run = stop_late};
	s->tunnels = (struct helper){.role = "connect-tunnels",
				     .channel_watch.run = tunnels_said,
				     .end_watch.run = tunnels_ended,
				     .channel.fd = -1};
	s->key = (struct helper){.role = "connect-key",
				 .channel_watch.run = key_said,
				 .end_watch.run = key_ended,
				 .channel.fd = -1};
	memset(s->listeners, 0xff, sizeof s->listeners); /* -1 each */
	for (size_t t = 0; t < CONNECT_TUNNELS_MAX; t++)
		s->pending[t] = (struct pending){.settings_fd = -1, .channel_fd = -1};
}

int connect_run(const struct connect_options *options)
{
	static struct starter starter;
	int r;

	starter_init(&starter, options);
	notify_open();
	r = prepare(&starter);
	if (r == 0)
		r = helpers_begin(&starter);
	if (r == 0 && !starter.stopping)
		r = loop_run(starter.loop);
	clear_up(&starter);
	return r < 0 ? 3 : starter.status;
}

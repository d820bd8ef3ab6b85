/* The authenticator process: one loop, the monitor's channel, one channel per session
 * that logs in. It holds the secrets, opens nothing, and tells the monitor who somebody
 * is before the session hears of it. Trusts the monitor; sessions are hostile, and
 * whatever one sends ends at most its own connection. */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "auth/exchange.h"
#include "auth/slab.h"
#include "auth/store.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/loop.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"

#define CONNECTIONS_MAX 4096
#define DESCRIPTORS_MAX (CONNECTIONS_MAX + 32)
#define MEMORY_LIMIT	(256ull << 20)
#define STORES		2		      /* the one in use, and room to read the next */
#define SLOTS_FIXED	(1 + ACCOUNT_DUMMIES) /* the key while it is used, the dummies */
#define EXPIRY_MS	60000		      /* secrets whose time is over are wiped by then */
#define SLAB_WANT	((SLOTS_FIXED + STORES * (size_t)STORE_ENTRIES_MAX) * sizeof(struct secret))
#define SLAB_LEAST	16384 /* 30 secrets */

struct connection {
	struct watch watch;
	struct timer timer;
	struct channel channel;
	struct exchange exchange;
	struct exchange_answer answer; /* its verdict waits for the monitor */
	uint32_t number;
	bool waits;
	struct connection *next, *previous;
};

/* The process has one. */
static struct authenticator {
	struct loop *loop;
	struct watch watch;
	struct channel monitor;
	struct slab slab;
	uint8_t *key; /* in the slab; only while a store is unsealed */
	struct store stores[STORES];
	size_t store; /* the one in use */
	bool staged;  /* the other one was read, and waits for its accounts */
	struct accounts accounts;
	struct exchange_common common;
	struct timer expiry;
	struct connection *connections;
	size_t connection_count;
	struct auth_ready ready;
	bool ready_waits;
	char store_why[256]; /* "": the store was read */
	int status;
} self;

static void stop(int status)
{
	self.status = status;
	loop_stop(self.loop);
}

static uint64_t now_s(void)
{
	return exchange_time(&self.common, clock_wall_ns() / 1000000000u);
}

/* --- to the monitor -------------------------------------------------------------------------- */

/* True when it is sent. A monitor that does not read is waited for, one that is gone ends us. */
static bool monitor_send(uint32_t type, const void *body, size_t size)
{
	int r = channel_send(&self.monitor, type, body, size, NULL, 0);

	if (r == -EAGAIN)
		r = loop_change(self.loop, &self.watch, EPOLLIN | EPOLLOUT);
	else if (r == 0)
		return true;
	if (r < 0)
		stop(r == -EPIPE ? 0 : 1);
	return false;
}

static void ready_send(void)
{
	self.ready_waits = !monitor_send(AUTH_READY, &self.ready, sizeof self.ready);
}

/* --- connections ----------------------------------------------------------------------------- */

static void connection_free(struct connection *c)
{
	if (c->previous)
		c->previous->next = c->next;
	else
		self.connections = c->next;
	if (c->next)
		c->next->previous = c->previous;
	self.connection_count--;
	loop_timer_clear(self.loop, &c->timer);
	if (!c->waits)
		loop_unwatch(self.loop, &c->watch);
	channel_close(&c->channel);
	sodium_memzero(c, sizeof *c);
	free(c);
}

static int connection_answer(struct connection *c)
{
	const struct exchange_answer *a = &c->answer;

	if (a->type == AUTH_CHALLENGE)
		return CHANNEL_SEND(&c->channel, AUTH_CHALLENGE, &a->challenge);
	if (a->type == AUTH_RESULT)
		return CHANNEL_SEND(&c->channel, AUTH_RESULT, &a->result);
	return 0;
}

/* The verdict first: whatever the session does with its answer, the monitor knows already. */
static void connection_conclude(struct connection *c)
{
	if (!monitor_send(AUTH_VERDICT, &c->answer.verdict, sizeof c->answer.verdict)) {
		if (!c->waits)
			loop_unwatch(self.loop, &c->watch);
		loop_timer_clear(self.loop, &c->timer);
		c->waits = true;
		return;
	}
	(void)connection_answer(c); /* a session that is gone has no use for it */
	connection_free(c);
}

static void connection_handle(struct connection *c)
{
	c->answer.verdict.connection = c->number;
	if (c->answer.verdict.reason != AUTH_REASON_INVALID)
		connection_conclude(c);
	else if (connection_answer(c) < 0)
		connection_free(c);
}

static void connection_end(struct connection *c, enum auth_reason reason)
{
	c->answer = (struct exchange_answer){0};
	exchange_end(&c->exchange, reason, &c->answer);
	connection_handle(c);
}

static void connection_expired(struct timer *t)
{
	connection_end(CONTAINER_OF(t, struct connection, timer), AUTH_EXPIRED);
}

/* A peer that leaves before its proof leaves no verdict: nothing was tried. */
static void connection_readable(struct watch *w, uint32_t ready)
{
	struct connection *c = CONTAINER_OF(w, struct connection, watch);
	struct message m;
	int r = channel_receive(&c->channel, &m);

	(void)ready;
	if (r == -EPROTO) {
		connection_end(c, AUTH_BROKEN);
	} else if (r < 0) {
		connection_free(c);
	} else if (r > 0) {
		(void)now_s();
		exchange_take(&c->exchange, &self.common, m.type, m.body, &c->answer);
		sodium_memzero(&m, sizeof m);
		connection_handle(c);
	}
}

static struct connection *connection_new(const struct auth_connection *info, int *fd)
{
	struct connection *c = self.connection_count < CONNECTIONS_MAX ? calloc(1, sizeof *c)
								       : NULL;

	if (!c)
		return NULL;
	c->number = info->connection;
	c->watch = (struct watch){*fd, EPOLLIN, connection_readable};
	c->timer.run = connection_expired;
	if (loop_watch(self.loop, &c->watch) < 0) {
		free(c);
		return NULL;
	}
	channel_open(&c->channel, fd_take(fd), auth_session_inbox, auth_session_inbox_len);
	exchange_start(&c->exchange);
	loop_timer_set(self.loop, &c->timer, loop_now_ms(self.loop) + info->deadline_ms);
	c->next = self.connections;
	if (c->next)
		c->next->previous = c;
	self.connections = c;
	self.connection_count++;
	return c;
}

/* --- from the monitor ------------------------------------------------------------------------ */

/* Only read: it is in use once its accounts are there, too. */
static void take_store(struct message *m)
{
	size_t next = (self.store + 1) % STORES;
	char *why = self.store_why;
	const size_t size = sizeof self.store_why;

	why[0] = '\0';
	self.staged = false;
	if (store_key_read(m->fds[1], self.key) < 0) {
		(void)snprintf(why, size, "the key file can't be read, or is not of %d octets",
			       STORE_KEY_SIZE);
	} else {
		self.staged = store_load(&self.stores[next], m->fds[0], self.key, why, size) == 0;
	}
	sodium_memzero(self.key, STORE_KEY_SIZE);
	if (*why)
		log_error("%s", why);
}

/* What a rotation left good for a while is no good any more the moment its time is over, whenever
 * it is wiped here. */
static void expire(struct timer *t)
{
	struct store *s = &self.stores[self.store];
	size_t count = store_expire(s, now_s());

	if (count > 0) {
		(void)accounts_resolve(&self.accounts, s, (char[1]){0}, 1);
		log_notice("secrets of before a rotation: %zu of them are over, and wiped", count);
	}
	loop_timer_set(self.loop, t, loop_now_ms(self.loop) + EXPIRY_MS);
}

static int accounts_read(int fd, const struct auth_count *count)
{
	OWNED_FREE char *bytes = NULL;
	size_t len;
	int r = fd_read_all(fd, ACCOUNTS_MAX * sizeof(struct auth_account), &bytes, &len);

	if (r < 0)
		return r;
	if (len != (size_t)count->count * sizeof(struct auth_account))
		return -EINVAL;
	return accounts_set(&self.accounts, (const struct auth_account *)(void *)bytes,
			    count->count, count->algorithms);
}

/* A store or accounts that can't be read leave both old ones in use: nobody logs in by half of a
 * change. At the start there are none, and accounts without secrets refuse everybody alike. */
static bool both_take(int fd, const struct auth_count *count, char *ret_why, size_t size)
{
	const bool first = self.accounts.list == NULL;
	const size_t old = self.store;
	int r;

	if (*self.store_why && !first) {
		(void)string_copy(ret_why, size, self.store_why);
		return false;
	}
	if ((r = accounts_read(fd, count)) < 0) {
		(void)snprintf(ret_why, size, "the accounts of the policy can't be taken up: %s",
			       strerror(-r));
		return false;
	}
	if (self.staged)
		self.store = (old + 1) % STORES;
	(void)store_expire(&self.stores[self.store], now_s());
	self.ready.missing =
		(uint32_t)accounts_resolve(&self.accounts, &self.stores[self.store], ret_why, size);
	if (self.staged)
		store_clear(&self.stores[old]);
	loop_timer_set(self.loop, &self.expiry, loop_now_ms(self.loop) + EXPIRY_MS);
	if (*self.store_why)
		(void)string_copy(ret_why, size, self.store_why);
	return !*self.store_why;
}

static void take_accounts(struct message *m)
{
	const struct auth_count *count = (const void *)m->body;
	struct auth_ready *ready = &self.ready;

	ready->why[0] = '\0';
	ready->taken = both_take(m->fds[0], count, ready->why, sizeof ready->why);
	ready->accounts = (uint32_t)self.accounts.count;
	ready->secrets = (uint32_t)self.stores[self.store].list.count;
	if (self.staged && !ready->taken)
		store_clear(&self.stores[(self.store + 1) % STORES]);
	self.staged = false;
	self.store_why[0] = '\0';
	ready_send();
}

static void take_connection(struct message *m)
{
	const struct auth_connection *info = (const void *)m->body;
	struct auth_verdict refused = {.connection = info->connection, .reason = AUTH_BROKEN};

	if (connection_new(info, &m->fds[0]))
		return;
	log_error("connection %u is refused: %zu log in already, or there is no memory",
		  info->connection, self.connection_count);
	(void)monitor_send(AUTH_VERDICT, &refused, sizeof refused);
}

static const struct {
	uint32_t type;
	void (*take)(struct message *m);
} handlers[] = {
	{AUTH_STORE, take_store},
	{AUTH_ACCOUNTS, take_accounts},
	{AUTH_CONNECTION, take_connection},
};

/* What could not be sent to the monitor before. */
static void flush(void)
{
	struct connection *c = self.connections, *next;

	if (loop_change(self.loop, &self.watch, EPOLLIN) < 0)
		stop(1);
	if (self.ready_waits)
		ready_send();
	for (; c && !(self.watch.events & EPOLLOUT); c = next) {
		next = c->next;
		if (c->waits)
			connection_conclude(c);
	}
}

static void monitor_ready(struct watch *w, uint32_t ready)
{
	struct message m;
	int r;

	(void)w;
	if (ready & EPOLLOUT)
		flush();
	if (!(ready & ~(uint32_t)EPOLLOUT))
		return;
	r = channel_receive(&self.monitor, &m);
	for (size_t i = 0; r > 0 && i < ARRAY_LEN(handlers); i++)
		if (handlers[i].type == m.type)
			handlers[i].take(&m);
	if (r > 0)
		message_close_fds(&m);
	if (r < 0)
		stop(r == -EPIPE ? 0 : 1);
}

/* --- the process ----------------------------------------------------------------------------- */

static void slab_share_out(void)
{
	struct secret *slots = (struct secret *)(void *)self.slab.memory;
	const size_t room = (self.slab.size / sizeof *slots - SLOTS_FIXED) / STORES;

	self.key = (uint8_t *)&slots[0];
	for (size_t i = 0; i < STORES; i++)
		self.stores[i] = (struct store){.secrets = slots + SLOTS_FIXED + i * room,
						.room = MIN(room, (size_t)STORE_ENTRIES_MAX)};
	accounts_open(&self.accounts, &slots[1], &self.stores[0]);
	exchange_common_open(&self.common, &self.accounts);
}

/* From then on all new memory is locked, too, the stack's as it grows; and what goes beyond the
 * limit ends the process once the sandbox has taken the right to do so. So only where the limit
 * covers all that the process may ever have. */
static bool lock_everything(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return false;
	limit.rlim_cur = MAX(limit.rlim_cur, (rlim_t)MEMORY_LIMIT);
	limit.rlim_max = MAX(limit.rlim_max, limit.rlim_cur);
	return setrlimit(RLIMIT_MEMLOCK, &limit) == 0 && mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
}

/* Whatever needs files or rights, before the sandbox closes. */
static int prepare(void)
{
	char why[512];
	int r;

	if (!process_fds_are(1)) {
		log_error("started with other descriptors than one channel: the monitor starts "
			  "this, nobody else");
		return -EBADF;
	}
	if (sodium_init() < 0 || (r = chap_open()) < 0) {
		log_error("OpenSSL or libsodium lacks what CHAP needs (MD5, SHA-1, SHA-256, "
			  "SHA3-256)");
		return -ENOSYS;
	}
	if ((r = slab_open(&self.slab, SLAB_WANT, SLAB_LEAST, why, sizeof why)) < 0) {
		log_error("%s", why);
		return r;
	}
	slab_share_out();
	self.ready.locked = lock_everything() ? 2 : 1;
	self.expiry.run = expire;
	return loop_open(&self.loop);
}

static int enter(void)
{
	const struct sandbox sandbox = {
		.profile = SANDBOX_AUTHENTICATOR,
		.folder_fd = -1,
		.memory_limit = MEMORY_LIMIT,
		.files_limit = DESCRIPTORS_MAX,
	};
	int r = sandbox_enter(&sandbox);

	if (r < 0)
		return r;
	self.ready.sandbox_layers = (uint32_t)r;
	channel_open(&self.monitor, PROCESS_FD_FIRST, auth_inbox, auth_inbox_len);
	self.watch = (struct watch){PROCESS_FD_FIRST, EPOLLIN, monitor_ready};
	return loop_watch(self.loop, &self.watch);
}

static void clear_up(void)
{
	while (self.connections)
		connection_free(self.connections);
	for (size_t i = 0; i < STORES; i++)
		store_list_free(&self.stores[i].list);
	slab_close(&self.slab);
	accounts_close(&self.accounts);
	channel_close(&self.monitor);
	loop_close(self.loop);
	chap_close();
}

int authenticator_main(void)
{
	int r;

	self.monitor.fd = -1;
	r = prepare();
	if (r == 0)
		r = enter();
	if (r == 0)
		r = loop_run(self.loop);
	if (r < 0)
		log_error("the authenticator ends: %s", strerror(-r));
	clear_up();
	return r < 0 ? 1 : self.status;
}

/* The authenticator process: one loop, the monitor's channel, and what the monitor gives: secrets,
 * accounts, the portals' keys, the CA's. One channel per session that logs in: connections.c. It
 * opens nothing, and tells the monitor who somebody is before the session hears of it. Trusts the
 * monitor. */
#include <stdio.h>
#include "auth/connections.h"
#include "auth/slab.h"
#include "auth/store.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/loop.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"

#define DESCRIPTORS_MAX (CONNECTIONS_MAX + 32)
#define MEMORY_LIMIT	(256ull << 20)
#define STORES		2		      /* the one in use, and room to read the next */
#define SLOTS_FIXED	(1 + ACCOUNT_DUMMIES) /* the key while it is used, the dummies */
#define EXPIRY_MS	60000		      /* secrets whose time is over are wiped by then */
#define SLAB_WANT	((SLOTS_FIXED + STORES * (size_t)STORE_ENTRIES_MAX) * sizeof(struct secret))
#define SLAB_LEAST	16384 /* 30 secrets */

/* The process has one. */
static struct authenticator {
	struct loop *loop;
	struct watch watch;
	struct channel monitor;
	struct slab slab;
	uint8_t *key; /* in the slab; only while a store is unsealed */
	struct store stores[STORES];
	size_t store;			 /* the one in use */
	bool staged;			 /* the other one was read, and waits for its accounts */
	struct identity_sets identities; /* keys of portals */
	struct slab enrolment_slab;
	struct enrolment enrolment;
	struct auth_ca_ready ca_ready;
	bool ca_ready_waits;
	struct accounts accounts;
	struct exchange_common common;
	struct timer expiry;
	struct connections connections;
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

static void ca_ready_send(void)
{
	self.ca_ready_waits = !monitor_send(AUTH_CA_READY, &self.ca_ready, sizeof self.ca_ready);
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

static void take_identity(struct message *m)
{
	const struct identity_source source = {
		.info = *(const struct auth_identity *)(const void *)m->body,
		.key_fd = m->fds[0],
		.certificate_fd = m->fds[1],
		.opens_fd = m->fds[2],
		.store_key = self.key};

	identity_sets_add(&self.identities, &source);
}

static void take_identities(struct message *m)
{
	const struct auth_identities *all = (const void *)m->body;

	identity_sets_end(&self.identities, all->count);
}

/* What a rotation left good for a while is no good any more the moment its time is over, whenever
 * it is wiped here. */
static void expire(struct timer *t)
{
	struct store *s = &self.stores[self.store];
	size_t count = store_expire(s, now_s());

	identities_clear(&self.identities.before);
	if (count > 0) {
		(void)accounts_resolve(&self.accounts, s, (char[1]){0}, 1);
		log_notice("secrets of before a rotation: %zu of them are over, and wiped", count);
	}
	loop_timer_set(self.loop, t, loop_now_ms(self.loop) + EXPIRY_MS);
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
	if (*self.identities.why && !first) {
		(void)string_copy(ret_why, size, self.identities.why);
		return false;
	}
	if ((r = accounts_take(&self.accounts, fd, count)) < 0) {
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
	identity_sets_take_up(&self.identities);
	if (*self.store_why || *self.identities.why)
		(void)string_copy(ret_why, size,
				  *self.store_why ? self.store_why : self.identities.why);
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
	ready->identities = (uint32_t)self.identities.now.count;
	identity_sets_forget(&self.identities);
	self.staged = false;
	self.store_why[0] = '\0';
	ready_send();
}

static void take_connection(struct message *m)
{
	const struct auth_connection *info = (const void *)m->body;
	struct auth_verdict refused = {.connection = info->connection, .reason = AUTH_BROKEN};

	if (connections_add(&self.connections, info, &m->fds[0]))
		return;
	log_error("connection %u is refused: %zu log in already, or there is no memory",
		  info->connection, self.connections.count);
	(void)monitor_send(AUTH_VERDICT, &refused, sizeof refused);
}

static void take_ca(struct message *m)
{
	enrolment_message(&self.enrolment, m->fds, self.key, (int64_t)now_s(), &self.ca_ready);
	ca_ready_send();
}

static void take_ca_close(struct message *m)
{
	(void)m;
	enrolment_close(&self.enrolment);
}

static void take_enrol_go(struct message *m)
{
	connections_enrol(&self.connections, (const void *)m->body, &self.stores[self.store]);
}

static void take_enrol_no(struct message *m)
{
	connections_refuse(&self.connections, (const void *)m->body);
}

static const struct {
	uint32_t type;
	void (*take)(struct message *m);
} handlers[] = {
	{AUTH_STORE, take_store},	    {AUTH_ACCOUNTS, take_accounts},
	{AUTH_CONNECTION, take_connection}, {AUTH_IDENTITY, take_identity},
	{AUTH_IDENTITIES, take_identities}, {AUTH_CA, take_ca},
	{AUTH_CA_CLOSE, take_ca_close},	    {AUTH_ENROL_GO, take_enrol_go},
	{AUTH_ENROL_NO, take_enrol_no},
};

/* What could not be sent to the monitor before. */
static void flush(void)
{
	if (loop_change(self.loop, &self.watch, EPOLLIN) < 0)
		stop(1);
	if (self.ready_waits)
		ready_send();
	if (self.ca_ready_waits)
		ca_ready_send();
	if (!(self.watch.events & EPOLLOUT))
		connections_conclude(&self.connections);
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
	if (!identities_open()) /* it serves portals without TLS; of others it says so */
		log_warning("no memory can be locked for private keys of portals");
	if ((r = slab_open(&self.slab, SLAB_WANT, SLAB_LEAST, why, sizeof why)) < 0) {
		log_error("%s", why);
		return r;
	}
	slab_share_out();
	if (slab_open(&self.enrolment_slab, sizeof(struct enrolment_locked),
		      sizeof(struct enrolment_locked), why, sizeof why) == 0)
		IGNORE_RESULT(/* without it nobody joins, and AUTH_CA says so */
			      enrolment_open(&self.enrolment, (void *)self.enrolment_slab.memory));
	self.ready.locked = slab_lock_all(MEMORY_LIMIT) ? 2 : 1;
	self.expiry.run = expire;
	r = loop_open(&self.loop);
	self.connections = (struct connections){.loop = self.loop,
						.common = &self.common,
						.identities = &self.identities,
						.enrolment = &self.enrolment,
						.tell = monitor_send};
	return r;
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
	connections_close(&self.connections);
	identity_sets_close(&self.identities);
	identities_close();
	take_ca_close(NULL);
	slab_close(&self.enrolment_slab);
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

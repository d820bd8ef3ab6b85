/* The process that holds the clients' private keys, in locked memory, and does nothing but
 * sign "TLS 1.3, client CertificateVerify" over a hash that it is sent: the octets are
 * built here. No network, no files. Trusts the starter; `tunnels`, which asks, is hostile. */
#include <openssl/crypto.h>
#include <stdio.h>
#include "auth/identities.h"
#include "gateway/base/log.h"
#include "gateway/base/loop.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "gateway/connect/messages.h"

#define HOLDERS_MAX  (4 * CONNECT_TUNNELS_MAX) /* keys of before go when nobody asks any more */
#define MEMORY_LIMIT (256ull << 20)

struct holder {
	struct watch watch;
	struct channel channel; /* fd -1: free */
	struct identity identity;
};

/* The process has one. */
static struct keys {
	struct loop *loop;
	struct watch watch;
	struct channel starter;
	struct holder holders[HOLDERS_MAX];
	int status;
} self;

static void holder_close(struct holder *h)
{
	if (h->channel.fd < 0)
		return;
	loop_unwatch(self.loop, &h->watch);
	channel_close(&h->channel);
	identity_drop(&h->identity);
}

static void holder_asked(struct watch *w, uint32_t ready)
{
	struct holder *h = CONTAINER_OF(w, struct holder, watch);
	struct auth_signature answer;
	struct message m;
	int r = channel_receive(&h->channel, &m);

	(void)ready;
	if (r > 0)
		r = identity_sign(&h->identity, (const void *)m.body, &answer);
	else if (r == 0)
		return;
	if (r == 0)
		r = CHANNEL_SEND(&h->channel, AUTH_SIGNATURE, &answer);
	if (r < 0)
		holder_close(h);
}

static struct holder *holder_free(void)
{
	for (size_t k = 0; k < HOLDERS_MAX; k++)
		if (self.holders[k].channel.fd < 0)
			return &self.holders[k];
	return NULL;
}

/* -errno, and why for people. */
static int key_take(struct message *m, const struct why *why)
{
	const struct identity_source source = {
		.info = {.identity = 1, .kind = AUTH_IDENTITY_PEM, .flags = AUTH_IDENTITY_CLIENT},
		.key_fd = m->fds[0],
		.certificate_fd = m->fds[1]};
	static struct identities one;
	struct holder *h = holder_free();
	int r;

	if (!h)
		return why_say(why, -EBUSY, "too many keys of before are still in use");
	if ((r = identities_add(&one, &source, why)) < 0)
		return r;
	h->identity = identities_take(&one, 1);
	identities_clear(&one);
	h->watch = (struct watch){m->fds[2], EPOLLIN, holder_asked};
	if (h->identity.number == 0 || loop_watch(self.loop, &h->watch) < 0) {
		identity_drop(&h->identity);
		return why_say(why, -ENOMEM, "no memory for another key");
	}
	channel_open(&h->channel, fd_take(&m->fds[2]), connect_sign_inbox, connect_sign_inbox_len);
	return 0;
}

static void starter_said(struct watch *w, uint32_t ready)
{
	struct connect_taken answer = {0};
	const struct why why = {answer.why, sizeof answer.why};
	struct message m;
	int r = channel_receive(&self.starter, &m);

	(void)w;
	(void)ready;
	if (r == 0)
		return;
	if (r > 0) {
		answer.tunnel = ((const struct connect_at *)(const void *)m.body)->tunnel;
		answer.taken = key_take(&m, &why) == 0;
		message_close_fds(&m);
		r = CHANNEL_SEND(&self.starter, CONNECT_TAKEN, &answer);
	}
	if (r < 0) {
		self.status = r == -EPIPE ? 0 : 3;
		loop_stop(self.loop);
	}
}

/* --- the process -------------------------------------------------------------------------- */

static int prepare(void)
{
	if (!process_fds_are(1)) {
		log_error("started with other descriptors than one channel: `sallyport connect` "
			  "starts this, nobody else");
		return -EBADF;
	}
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
				NULL) != 1)
		return -ENOSYS;
	if (!identities_open()) {
		log_error("no memory can be locked for the key, and unlocked it could reach the "
			  "swap: raise the limit (ulimit -l, or LimitMEMLOCK= of the unit)");
		return -ENOMEM;
	}
	return loop_open(&self.loop);
}

int connect_key_main(void)
{
	const struct sandbox sandbox = {.profile = SANDBOX_AUTHENTICATOR,
					.folder_fd = -1,
					.memory_limit = MEMORY_LIMIT,
					.files_limit = HOLDERS_MAX + 32};
	int r;

	self.starter.fd = -1;
	for (size_t k = 0; k < HOLDERS_MAX; k++)
		self.holders[k].channel.fd = -1;
	r = prepare();
	if (r == 0)
		r = sandbox_enter(&sandbox);
	if (r >= 0) {
		channel_open(&self.starter, PROCESS_FD_FIRST, connect_key_inbox,
			     connect_key_inbox_len);
		self.watch = (struct watch){PROCESS_FD_FIRST, EPOLLIN, starter_said};
		r = loop_watch(self.loop, &self.watch);
	}
	if (r == 0)
		r = loop_run(self.loop);
	if (r < 0)
		log_error("the process of the keys ends: %s", strerror(-r));
	for (size_t k = 0; k < HOLDERS_MAX; k++)
		holder_close(&self.holders[k]);
	channel_close(&self.starter);
	loop_close(self.loop);
	identities_close();
	return r < 0 ? 3 : self.status;
}

/* The authenticator, seen from the monitor: at its start, at a reload and when an operator changed
 * a secret it is given the store, the users of the policy and its portals' keys, and takes all of
 * it up or nothing. The store is passed on by descriptor: the monitor reads no secret. */
#include <stdio.h>
#include "auth/accounts.h"
#include "auth/auth.h"
#include "auth/store.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/ca.h"
#include "gateway/monitor/monitor.h"

/* Names and times, for status. */
static int secrets_look(struct monitor *m)
{
	struct store_list list = {0};
	char why[512];
	int r = store_list_load(m->state_fd, &list, why, sizeof why);

	if (r < 0) {
		log_error("%s", why);
		return r;
	}
	store_list_free(&m->secrets);
	m->secrets = list;
	return 0;
}

_Static_assert(POLICY_USERS_MAX <= ACCOUNTS_MAX, "the authenticator takes all of a policy");

/* Every CHAP user of the policy with its floor and its mutual name. */
static int send_accounts(struct helper *h, const struct policy *p)
{
	struct auth_count count = {.algorithms = policy_algorithms(p)};
	OWNED_FREE struct auth_account *list = NULL;
	OWNED_FD fd = -1;
	size_t most = 0;

	for (size_t t = 0; t < p->target_count; t++)
		most += p->targets[t].initiator_count;
	list = calloc(most + 1, sizeof *list);
	if (list == NULL)
		return -ENOMEM;
	for (size_t t = 0; t < p->target_count; t++) {
		for (size_t k = 0; k < p->targets[t].initiator_count; k++) {
			const struct policy_initiator *i = &p->targets[t].initiators[k];
			struct auth_account *a = &list[count.count++];

			(void)string_copy(a->user, sizeof a->user, i->user);
			(void)string_copy(a->mutual, sizeof a->mutual, i->mutual);
			a->algorithms = i->algorithms;
		}
	}
	for (uint32_t k = 0; k < count.count; k++)
		list[k].algorithms = policy_floor(list[k].algorithms, count.algorithms);
	fd = memfd_sealed("accounts", list, count.count * sizeof *list);
	if (fd < 0)
		return fd;
	return helper_send(h, AUTH_ACCOUNTS, &count, sizeof count, fd);
}

/* The store as it is now, and its key. */
static int send_store(struct helper *h, char *ret_why, size_t size)
{
	OWNED_FD store = store_open(h->m->state_fd, ret_why, size);
	OWNED_FD key = -1;
	int fds[2], r;

	if (store < 0)
		return store;
	key = key_get(h->m, ret_why, size);
	if (key < 0)
		return key;
	fds[0] = store;
	fds[1] = key;
	r = helper_sent(h, channel_send(&h->channel, AUTH_STORE, NULL, 0, fds, 2));
	if (r < 0)
		(void)snprintf(ret_why, size, "the authenticator does not take the secrets: %s",
			       strerror(-r));
	return r;
}

static int send_all(struct helper *h, const struct setup *s, char *ret_why, size_t size)
{
	int r = portals_tls_send(h, s != NULL ? &s->tls : &h->m->tls, ret_why, size);

	if (r == 0)
		r = send_store(h, ret_why, size);
	if (r < 0)
		return r;
	if ((r = send_accounts(h, s != NULL ? s->policy : h->m->policy)) < 0)
		(void)snprintf(ret_why, size, "the authenticator does not take the users: %s",
			       strerror(-r));
	return r;
}

int authenticator_begin(struct helper *h)
{
	char why[512];
	int r = send_all(h, NULL, why, sizeof why);

	if (r < 0)
		log_error("%s", why);
	else
		ca_begin(h->m);
	return r;
}

/* --- taking up again --- */

const char *secrets_take_up(struct monitor *m, const struct setup *s,
			    void (*done)(struct monitor *m, const struct auth_ready *ready))
{
	struct helper *h = &m->helpers[HELPER_AUTHENTICATOR];
	static char why[512];

	if (m->secrets_done != NULL)
		return "the secrets are being taken up already: again in a moment";
	if (h->pid == 0 || !h->ready)
		return "the authenticator is not running: it takes them up when it is back";
	if (send_all(h, s, why, sizeof why) < 0)
		return why;
	m->secrets_done = done;
	return NULL;
}

static void answered(struct monitor *m, const struct auth_ready *ready)
{
	void (*done)(struct monitor *, const struct auth_ready *) = m->secrets_done;

	m->secrets_done = NULL;
	if (done != NULL)
		done(m, ready);
}

/* Nobody knows what it had taken: the next one begins with the policy in force. */
void authenticator_away(struct monitor *m)
{
	static const struct auth_ready died = {.why = "the authenticator ended meanwhile"};

	answered(m, &died);
	ca_away();
}

static void on_ready(struct helper *h, const struct message *msg)
{
	struct auth_ready ready;

	memcpy(&ready, msg->body, sizeof ready);
	ready.why[sizeof ready.why - 1] = '\0';
	(void)string_copy(h->why, sizeof h->why, ready.why);
	if (ready.why[0] != '\0')
		log_warning("authenticator: %s", ready.why);
	h->layers = ready.sandbox_layers;
	h->ready = true;
	if (ready.taken)
		IGNORE_RESULT(
			secrets_look(h->m)); /* their ages, for status: the old ones do, too */
	answered(h->m, &ready);
	monitor_progress(h->m);
}

void authenticator_message(struct helper *h, const struct message *msg)
{
	struct auth_verdict verdict;
	struct connection *c;

	if (msg->type == AUTH_READY)
		return on_ready(h, msg);
	if (ca_message(h->m, msg))
		return;
	memcpy(&verdict, msg->body, sizeof verdict);
	verdict.user[sizeof verdict.user - 1] = '\0';
	c = connection_find(h->m, verdict.connection);
	if (c != NULL)
		entry_verdict(c, &verdict);
}

/* The sessions' side of the authenticator: of each that logs in, its channel, how far it has come,
 * and what it may be answered. In the authenticator's process. Sessions are hostile: whatever one
 * sends ends at most its own connection. The monitor hears a verdict before the session does. */
#include "auth/connections.h"

#include "gateway/base/clock.h"
#include "gateway/base/fd.h"

struct connection {
	struct connections *all;
	struct watch watch;
	struct timer timer;
	struct channel channel;
	struct exchange exchange;
	struct exchange_answer answer; /* its verdict waits for the monitor */
	struct identity identity;      /* what it may sign with, once */
	struct enrolling *enrolling;   /* it proved a code, and the monitor was asked */
	uint32_t number;
	bool waits;
	struct connection *next, *previous;
};

static uint64_t now_s(const struct connections *all)
{
	return exchange_time(all->common, clock_wall_ns() / 1000000000u);
}

static void connection_free(struct connection *c)
{
	if (c->previous)
		c->previous->next = c->next;
	else
		c->all->list = c->next;
	if (c->next)
		c->next->previous = c->previous;
	c->all->count--;
	loop_timer_clear(c->all->loop, &c->timer);
	if (!c->waits)
		loop_unwatch(c->all->loop, &c->watch);
	channel_close(&c->channel);
	identity_drop(&c->identity);
	if (c->enrolling) {
		enrolment_drop(c->all->enrolment, c->enrolling);
		sodium_memzero(c->enrolling, sizeof *c->enrolling);
		free(TAKE(c->enrolling));
	}
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

/* The verdict first: whatever the session does with its answer, the monitor knows already. False:
 * the monitor does not read, and the verdict waits. */
static bool connection_conclude(struct connection *c)
{
	if (!c->all->tell(AUTH_VERDICT, &c->answer.verdict, sizeof c->answer.verdict)) {
		if (!c->waits)
			loop_unwatch(c->all->loop, &c->watch);
		loop_timer_clear(c->all->loop, &c->timer);
		c->waits = true;
		return false;
	}
	(void)connection_answer(c); /* a session that is gone has no use for it */
	connection_free(c);
	return true;
}

static void connection_handle(struct connection *c)
{
	c->answer.verdict.connection = c->number;
	if (c->answer.verdict.reason != AUTH_REASON_INVALID)
		(void)connection_conclude(c);
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

/* Before its names and its proof: a handshake comes first. Of a key that is away it hears so. */
static void connection_sign(struct connection *c, const struct auth_sign *ask)
{
	struct auth_signature signature;

	if (c->exchange.state != EXCHANGE_NEW || identity_sign(&c->identity, ask, &signature) < 0)
		return connection_end(c, AUTH_BROKEN);
	identity_drop(&c->identity);
	if (CHANNEL_SEND(&c->channel, AUTH_SIGNATURE, &signature) < 0)
		connection_free(c);
}

/* Instead of names and proofs. A monitor that does not read is not waited for. */
static void connection_enrol(struct connection *c, const struct auth_enrol *said)
{
	enum auth_reason reason = AUTH_BROKEN;

	if (c->exchange.state == EXCHANGE_NEW && (c->enrolling = malloc(sizeof *c->enrolling)))
		reason = enrolment_ask(c->all->enrolment, said, (int64_t)now_s(c->all),
				       c->enrolling);
	if (reason == AUTH_OK) {
		c->enrolling->ask.connection = c->number;
		if (c->all->tell(AUTH_ENROL_ASK, &c->enrolling->ask, sizeof c->enrolling->ask))
			return;
		reason = AUTH_JOIN_FAILED;
	}
	c->answer = (struct exchange_answer){0};
	exchange_end(&c->exchange, reason, &c->answer);
	if (c->enrolling)
		(void)string_copy(c->answer.verdict.user, sizeof c->answer.verdict.user,
				  c->enrolling->initiator);
	connection_handle(c);
}

/* A peer that leaves before its proof leaves no verdict: nothing was tried. */
static void connection_readable(struct watch *w, uint32_t ready)
{
	struct connection *c = CONTAINER_OF(w, struct connection, watch);
	struct message m;
	int r = channel_receive(&c->channel, &m);

	(void)ready;
	if (r == -EPROTO || (r > 0 && c->enrolling)) {
		connection_end(c, AUTH_BROKEN);
	} else if (r < 0) {
		connection_free(c);
	} else if (r > 0 && m.type == AUTH_ENROL) {
		connection_enrol(c, (const void *)m.body);
	} else if (r > 0 && m.type == AUTH_SIGN) {
		connection_sign(c, (const void *)m.body);
	} else if (r > 0) {
		(void)now_s(c->all);
		exchange_take(&c->exchange, c->all->common, m.type, m.body, &c->answer);
		sodium_memzero(&m, sizeof m);
		connection_handle(c);
	}
}

/* --- all of them -------------------------------------------------------------------------- */

static void list_add(struct connections *all, struct connection *c)
{
	c->next = all->list;
	if (c->next)
		c->next->previous = c;
	all->list = c;
	all->count++;
}

bool connections_add(struct connections *all, const struct auth_connection *info, int *fd)
{
	struct connection *c = all->count < CONNECTIONS_MAX ? calloc(1, sizeof *c) : NULL;

	if (!c)
		return false;
	c->all = all;
	c->number = info->connection;
	c->identity = identity_sets_find(all->identities, info->identity);
	c->watch = (struct watch){*fd, EPOLLIN, connection_readable};
	c->timer.run = connection_expired;
	if (loop_watch(all->loop, &c->watch) < 0) {
		identity_drop(&c->identity);
		free(c);
		return false;
	}
	channel_open(&c->channel, fd_take(fd), auth_session_inbox, auth_session_inbox_len);
	exchange_start(&c->exchange);
	loop_timer_set(all->loop, &c->timer, loop_now_ms(all->loop) + info->deadline_ms);
	list_add(all, c);
	return true;
}

static struct connection *enrolling_find(const struct connections *all, uint32_t number)
{
	struct connection *c = all->list;

	while (c && (c->number != number || !c->enrolling || c->waits))
		c = c->next;
	return c;
}

void connections_enrol(struct connections *all, const struct auth_enrol_go *go,
		       const struct store *store)
{
	struct connection *c = enrolling_find(all, go->connection);
	struct auth_enrolled answer = {0};

	if (!c)
		return;
	if (enrolment_answer(all->enrolment, c->enrolling, go, store, &answer) < 0)
		return connection_end(c, AUTH_JOIN_FAILED);
	IGNORE_RESULT(CHANNEL_SEND(&c->channel, AUTH_ENROLLED, &answer)); /* it may be gone */
	connection_free(c);
}

void connections_refuse(struct connections *all, const struct auth_enrol_no *no)
{
	struct connection *c = enrolling_find(all, no->connection);

	if (c)
		connection_free(c);
}

void connections_conclude(struct connections *all)
{
	bool reads = true;

	for (struct connection *c = all->list, *next; c && reads; c = next) {
		next = c->next;
		if (c->waits)
			reads = connection_conclude(c);
	}
}

void connections_close(struct connections *all)
{
	while (all->list)
		connection_free(all->list);
}

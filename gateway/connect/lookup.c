/* Whose addresses a gateway's name has: asked by a process of its own, since what answers
 * is a network, at start, at SIGHUP, and when none of those known answers any more. So a
 * gateway that moved is found, and no connection that lives is moved. In the starter. */
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/connect/starter.h"

static const struct connect_tunnel *tunnel_of(const struct lookup *l)
{
	return &l->starter->options->config->tunnels[l->tunnel];
}

static void later(struct lookup *l)
{
	uint64_t wait = (uint64_t)NAMES_AGAIN_MS << MIN(l->failures, 4u);

	loop_timer_set(l->starter->loop, &l->timer,
		       loop_now_ms(l->starter->loop) + MIN(wait, (uint64_t)NAMES_LATER_MS));
}

static void failed(struct lookup *l, const char *why)
{
	struct connect_checked told = {.tunnel = l->tunnel};
	struct starter *s = l->starter;

	helper_end(s, &l->helper);
	log_warning("%s: no address of %s: %s; it is asked again", tunnel_of(l)->name,
		    tunnel_of(l)->host, why);
	l->failures++;
	later(l);
	(void)snprintf(told.why, sizeof told.why, "no address of %.100s: %.100s",
		       tunnel_of(l)->host, why);
	check_over(s, &told);
}

static bool addresses_fine(const struct connect_addresses *a, uint32_t tunnel)
{
	if (a->tunnel != tunnel || a->count > CONNECT_ADDRESSES_MAX)
		return false;
	for (uint32_t k = 0; k < a->count; k++)
		if (a->at[k].ip.version != 4 && a->at[k].ip.version != 6)
			return false;
	return true;
}

static void found(struct lookup *l, const struct connect_addresses *a)
{
	struct connect_addresses told = *a;

	for (uint32_t k = 0; k < told.count; k++)
		told.at[k].port = tunnel_of(l)->port;
	l->failures = 0;
	loop_timer_clear(l->starter->loop, &l->timer);
	l->starter->addresses[l->tunnel] = true;
	tunnels_send(l->starter, CONNECT_ADDRESSES, &told, sizeof told);
	check_begin(l->starter, l->tunnel);
}

static void answered(struct watch *w, uint32_t ready)
{
	struct lookup *l = CONTAINER_OF(w, struct lookup, helper.channel_watch);
	struct connect_addresses a;
	struct message m;
	int r = channel_receive(&l->helper.channel, &m);

	(void)ready;
	if (r == 0)
		return;
	if (r < 0) {
		failed(l, "the process that asks ended");
		return;
	}
	memcpy(&a, m.body, sizeof a);
	connect_text_settle(a.why, sizeof a.why);
	helper_end(l->starter, &l->helper);
	if (!addresses_fine(&a, l->tunnel) || a.count == 0)
		failed(l, a.count == 0 && a.why[0] ? a.why : "the answer makes no sense");
	else
		found(l, &a);
}

static void ended(struct watch *w, uint32_t ready)
{
	struct lookup *l = CONTAINER_OF(w, struct lookup, helper.end_watch);

	answered(&l->helper.channel_watch, ready); /* its last words may be there */
	if (l->helper.pid != 0)
		failed(l, "the process that asks ended");
}

static void ask(struct lookup *l)
{
	struct connect_ask words = {.tunnel = l->tunnel};
	OWNED_FD fd = -1;
	int r;

	memcpy(words.host, tunnel_of(l)->host, sizeof words.host);
	fd = memfd_sealed("ask", &words, sizeof words);
	l->asked_ms = loop_now_ms(l->starter->loop);
	l->helper.role = "connect-names";
	l->helper.channel_watch.run = answered;
	l->helper.end_watch.run = ended;
	r = fd < 0 ? fd
		   : helper_start(l->starter, &l->helper, fd, connect_names_outbox,
				  connect_names_outbox_len);
	if (r < 0)
		failed(l, strerror(-r));
	else
		loop_timer_set(l->starter->loop, &l->timer, l->asked_ms + NAMES_DEADLINE_MS);
}

static void timer_over(struct timer *t)
{
	struct lookup *l = CONTAINER_OF(t, struct lookup, timer);

	if (l->helper.pid != 0)
		failed(l, "no answer in 20 s");
	else
		ask(l);
}

void lookup_open(struct starter *s, uint32_t tunnel)
{
	struct lookup *l = &s->lookups[tunnel];
	struct connect_addresses one = {.tunnel = tunnel, .count = 1};

	*l = (struct lookup){.starter = s, .tunnel = tunnel, .timer.run = timer_over};
	l->helper.channel.fd = -1;
	if (ip_parse(tunnel_of(l)->host, &one.at[0].ip) == 0)
		found(l, &one);
	else
		ask(l);
}

void lookup_now(struct starter *s, uint32_t tunnel)
{
	struct lookup *l = &s->lookups[tunnel];
	struct ip ip;

	if (l->helper.pid != 0 || ip_parse(tunnel_of(l)->host, &ip) == 0 ||
	    loop_now_ms(s->loop) < l->asked_ms + NAMES_AGAIN_MS)
		return;
	ask(l);
}

void lookup_close(struct starter *s, uint32_t tunnel)
{
	loop_timer_clear(s->loop, &s->lookups[tunnel].timer);
	if (s->lookups[tunnel].starter)
		helper_end(s, &s->lookups[tunnel].helper);
}

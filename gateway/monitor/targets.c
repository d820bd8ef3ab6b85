/* The text of SendTargets (RFC 7143, appendix C), made by the monitor for each login: the targets
 * that this initiator may enter, each with the addresses that it may use. Only what the policy says
 * to be told, and the address that this connection reached itself: never what else the host has. */
#include <stdarg.h>
#include <stdio.h>
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/monitor.h"

struct targets_text {
	const struct connection *c;
	struct claim claim;
	char *bytes; /* SESSION_TARGETS_MAX of them */
	size_t len;
	size_t left_out; /* targets for which there was no room */
	bool full;
};

/* One pair, with its NUL. */
PRINTF_LIKE(2, 3)
static void put(struct targets_text *t, const char *fmt, ...)
{
	size_t room = SESSION_TARGETS_MAX - t->len;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(t->bytes + t->len, room, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room)
		t->full = true;
	else
		t->len += (size_t)n + 1;
}

static void put_address(struct targets_text *t, struct endpoint at, size_t portal)
{
	char text[ADDRESS_TEXT];

	/* A zone is a name of ours for one of our links, and must not leave us (RFC 4007 section
	 * 11.2; an address of RFC 3986, which TargetAddress has, has none). Who came by a
	 * link-local address knows its own link to us. */
	at.ip.scope = 0;
	put(t, "TargetAddress=%s,%u", endpoint_format(&at, text), t->c->m->portal_tags[portal]);
}

/* A portal that says no addresses is told of where this connection met it (or its proxy), and
 * nowhere else. */
static void put_portal(struct targets_text *t, const struct policy_target *target, size_t portal)
{
	const struct policy_portal *p;

	if (portal >= t->c->m->policy->portal_count || !policy_may_enter(&t->claim, target, portal))
		return;
	p = &t->c->m->policy->portals[portal];
	/* Who came through a tunnel is led through one again; the near end of a tunnel is known to
	 * those alone who came through it. */
	if ((t->c->tls != NULL && p->tls == NULL) || (p->advertise_near && portal != t->c->portal))
		return;
	for (size_t k = 0; k < p->advertise_count; k++)
		put_address(t, p->advertise[k], portal);
	if (p->advertise_count == 0 && portal == t->c->portal)
		put_address(t, t->c->behind.reached.port ? t->c->behind.reached : t->c->local,
			    portal);
}

/* A target whole or not at all, and none without an address: that would say that it is here (the
 * same appendix). The portal that the connection came by stands first: some take the first. */
static void put_target(void *arg, const struct policy_target *target)
{
	struct targets_text *t = arg;
	size_t before = t->len, named;

	put(t, "TargetName=%s", target->name);
	named = t->len;
	put_portal(t, target, t->c->portal);
	for (size_t k = 0; k < target->portal_count; k++)
		if (target->portals[k] != t->c->portal)
			put_portal(t, target, target->portals[k]);
	if (t->full)
		t->left_out++;
	if (t->full || t->len == named)
		t->len = before;
	t->full = false;
}

/* Portal groups of the target by which this initiator may come, each once, its own first; 0 where
 * there are no more. Beyond the last that there is room for, none is told. */
void target_groups(const struct connection *c, uint16_t ret[SESSION_GROUPS_MAX])
{
	const struct monitor *m = c->m;
	struct claim claim;
	size_t count = 0;

	entry_claim(c, &claim);
	memset(ret, 0, SESSION_GROUPS_MAX * sizeof ret[0]);
	ret[count++] = c->portal_tag;
	for (size_t k = 0; k < c->target->portal_count && count < SESSION_GROUPS_MAX; k++) {
		size_t portal = c->target->portals[k], known = 0;

		while (known < count && ret[known] != m->portal_tags[portal])
			known++;
		if (known == count && policy_may_enter(&claim, c->target, portal))
			ret[count++] = m->portal_tags[portal];
	}
}

/* In a discovery session all that this initiator, from this address, may enter; in a normal one its
 * own target alone. */
static int tell(struct connection *c, bool always)
{
	uint64_t before = c->targets_hash;
	OWNED_FREE char *bytes = malloc(SESSION_TARGETS_MAX);
	struct targets_text t = {.c = c, .bytes = bytes};
	OWNED_FD fd = -1;

	if (t.bytes == NULL)
		return -ENOMEM;
	entry_claim(c, &t.claim);
	t.claim.portal = SIZE_MAX;
	if (c->claim.discovery)
		policy_each_target(c->m->policy, &t.claim, put_target, &t);
	else
		put_target(&t, c->target);
	c->targets_hash = octets_hash(t.bytes, t.len);
	if (!always && c->targets_hash == before)
		return 0;
	if (t.left_out > 0)
		log_warning("%s is told of the targets that %u octets hold; %zu are left out",
			    c->initiator_name, SESSION_TARGETS_MAX, t.left_out);
	fd = memfd_sealed("targets", t.bytes, t.len);
	if (fd < 0)
		return fd;
	connection_send(c, SESSION_TARGETS, NULL, 0, fd);
	return 0;
}

int targets_send(struct connection *c)
{
	return tell(c, true);
}

int targets_renew(struct connection *c)
{
	return tell(c, false);
}

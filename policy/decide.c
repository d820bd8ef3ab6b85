/* May this initiator, from this address, through this portal, enter this target, and do that to a
 * LUN? The one decision of the gateway: the monitor asks before it grants, discovery before it
 * lists, `explain` for people. Runs in the monitor and the command line. The claim's names were
 * normalised; who the user is, the authenticator said. */
#include <stdarg.h>
#include <stdio.h>
#include "gateway/base/when.h"
#include "policy/hours.h"
#include "policy/ranges.h"
#include "policy/shown.h"

#define NS_PER_S UINT64_C(1000000000)

const char *layer_name(enum layer layer)
{
	static const char *const names[LAYERS] = {
		[LAYER_FIREWALL] = "firewall",	 [LAYER_PORTAL] = "portal",
		[LAYER_INITIATOR] = "initiator", [LAYER_ADDRESS] = "address",
		[LAYER_CHAP] = "chap",		 [LAYER_CERTIFICATE] = "certificate",
		[LAYER_TARGET] = "target",	 [LAYER_LUN] = "lun",
		[LAYER_COMMAND] = "command",
	};

	return layer > LAYER_NONE && layer < LAYERS ? names[layer] : "none";
}

uint32_t policy_floor(uint32_t named, uint32_t by_anybody)
{
	uint32_t weakest = named & (0U - named);

	return named | (by_anybody & ~(weakest - 1));
}

uint32_t policy_algorithms(const struct policy *p)
{
	uint32_t bits = p->algorithms;

	for (size_t t = 0; t < p->target_count; t++)
		for (size_t k = 0; k < p->targets[t].initiator_count; k++)
			bits |= p->targets[t].initiators[k].algorithms;
	return bits;
}

void policy_rules(const struct policy_initiator *i, struct scsi_rules *ret_rules)
{
	_Static_assert(POLICY_RANGES_MAX == PROTECTED_RANGES_MAX, "all of them");
	*ret_rules = (struct scsi_rules){
		.denied = i->denied,
		.allowed = i->allowed,
		.denied_line = i->denied_line,
		.allowed_line = i->allowed_line,
		.range_count = (unsigned)i->range_count,
	};
	for (size_t k = 0; k < i->range_count; k++) {
		const struct policy_range *r = &i->ranges[k];

		ret_rules->ranges[k] =
			(struct protected_range){r->first, r->last, r->lun, r->reads, r->line};
	}
}

/* --- what one entry says ------------------------------------------------------------------ */

static bool portal_serves(const struct policy_target *t, size_t portal)
{
	for (size_t i = 0; i < t->portal_count; i++)
		if (t->portals[i] == portal)
			return true;
	return false;
}

/* The network of `from` that holds the address. An entry without `from` is on loopback portals
 * only, and there it means loopback addresses. */
static bool address_fits(const struct policy_initiator *i, const struct ip *ip)
{
	if (i->from_count == 0)
		return ip_is_loopback(ip);
	for (size_t k = 0; k < i->from_count; k++)
		if (network_contains(&i->from[k], ip))
			return true;
	return false;
}

static bool is_open(const struct policy_initiator *i, const struct claim *claim)
{
	uint32_t line;

	return grant_closed(i, claim->now_s, &line) == NULL;
}

static bool user_fits(const struct policy_initiator *i, const char *user)
{
	return !user || strcmp(i->user, user) == 0;
}

static const struct policy_initiator *entry_find(const struct policy_target *t, const char *name)
{
	for (size_t i = 0; i < t->initiator_count; i++)
		if (strcmp(t->initiators[i].name, name) == 0)
			return &t->initiators[i];
	return NULL;
}

static bool entry_fits(const struct policy_target *t, const struct policy_initiator *i,
		       const struct claim *claim)
{
	return portal_serves(t, claim->portal) && address_fits(i, &claim->from) &&
	       user_fits(i, claim->user) && shown_fits(i, claim->certificate) && is_open(i, claim);
}

/* --- what is asked ------------------------------------------------------------------------ */

/* The entry that a claim is measured by: the target's own; else, of the initiator's entries, the
 * first that fits, or the first. */
struct subject {
	const struct policy_target *asked; /* the target of the claim, when there is one */
	const struct policy_target *target;
	const struct policy_initiator *entry;  /* of `target` */
	bool fits;			       /* some entry of the initiator does */
	const struct policy_initiator *user;   /* some entry of the CHAP user */
	const struct policy_initiator *reach;  /* some entry that opens the portal to the address */
	const struct policy_initiator *closed; /* … that would, but not now */
};

/* An entry that makes the firewall let this address through to this portal. */
static bool entry_opens(const struct policy *p, const struct policy_target *t,
			const struct policy_initiator *i, const struct claim *claim)
{
	if (!portal_serves(t, claim->portal))
		return false;
	if (i->from_count == 0 && !p->portals[claim->portal].loopback)
		return false;
	return address_fits(i, &claim->from);
}

bool policy_opens_portal(const struct policy *p, size_t portal, const struct ip *from,
			 int64_t now_s)
{
	struct claim claim = {.from = *from, .portal = portal, .now_s = now_s};

	for (size_t t = 0; t < p->target_count; t++) {
		const struct policy_target *target = &p->targets[t];

		for (size_t k = 0; k < target->initiator_count; k++)
			if (entry_opens(p, target, &target->initiators[k], &claim) &&
			    is_open(&target->initiators[k], &claim))
				return true;
	}
	return false;
}

static void reach_note(struct subject *s, const struct policy_initiator *i,
		       const struct claim *claim)
{
	if (!s->reach && is_open(i, claim))
		s->reach = i;
	if (!s->closed && !is_open(i, claim))
		s->closed = i;
}

static void subject_look(const struct policy *p, const struct claim *claim,
			 const struct policy_target *t, struct subject *s)
{
	for (size_t k = 0; k < t->initiator_count; k++) {
		const struct policy_initiator *i = &t->initiators[k];
		bool named = strcmp(i->name, claim->initiator) == 0;
		bool fits = named && entry_fits(t, i, claim);

		if (entry_opens(p, t, i, claim))
			reach_note(s, i, claim);
		if (!s->user && claim->user && strcmp(i->user, claim->user) == 0)
			s->user = i;
		if (named &&
		    (!s->entry || t == s->asked || (fits && !s->fits && s->target != s->asked))) {
			s->target = t;
			s->entry = i;
		}
		s->fits = s->fits || fits;
	}
}

static struct subject subject_find(const struct policy *p, const struct claim *claim)
{
	struct subject s = {0};

	for (size_t t = 0; t < p->target_count && claim->target; t++)
		if (strcmp(p->targets[t].name, claim->target) == 0)
			s.asked = &p->targets[t];
	for (size_t t = 0; t < p->target_count; t++)
		subject_look(p, claim, &p->targets[t], &s);
	return s;
}

/* --- the layers --------------------------------------------------------------------------- */

struct question {
	const struct policy *policy;
	const struct claim *claim;
	struct subject s;
};

PRINTF_LIKE(4, 5)
static void say(struct verdict *v, uint32_t line, const char *reason, const char *fmt, ...)
{
	va_list args;

	v->asked = true;
	v->allowed = reason == NULL;
	v->line = line;
	(void)string_copy(v->reason, sizeof v->reason, reason ? reason : "allowed");
	va_start(args, fmt);
	(void)vsnprintf(v->text, sizeof v->text, fmt, args);
	va_end(args);
}

/* False: the entry is open now, and nothing is said. */
static bool say_closed(const struct question *q, struct verdict *v,
		       const struct policy_initiator *i)
{
	uint32_t line = 0;
	const char *reason = grant_closed(i, q->claim->now_s, &line);
	char until[WHEN_TEXT];

	if (!reason)
		return false;
	if (strcmp(reason, "grant-ended") == 0)
		say(v, line, reason, "the grant of %s ended at %s", i->user,
		    when_format((uint64_t)i->until_s * NS_PER_S, true, until));
	else
		say(v, line, reason, "it is not within the hours of %s: %.100s", i->user,
		    i->hours.text);
	return true;
}

static void ask_firewall(const struct question *q, struct verdict *v)
{
	const struct policy_portal *portal = &q->policy->portals[q->claim->portal];
	char from[ADDRESS_TEXT], proxy[ADDRESS_TEXT];

	(void)ip_show(&q->claim->from, from);
	if (!policy_comes_right(portal, q->claim))
		say(v, portal->proxies_line ? portal->proxies_line : portal->line, "wrong-address",
		    portal->proxy_count > 0
			    ? "%s is no proxy of the portal %s, and nobody else may reach it"
			    : "%s is no proxy: the portal %s has none",
		    q->claim->proxy.version ? ip_show(&q->claim->proxy, proxy) : from,
		    portal->name);
	else if (q->s.reach && portal->proxy_count > 0)
		say(v, portal->proxies_line, NULL,
		    "packets to the portal %s carry its proxies' addresses: %s is judged at its "
		    "login, "
		    "bans too",
		    portal->name, from);
	else if (q->s.reach)
		say(v, q->s.reach->from_line ? q->s.reach->from_line : portal->line, NULL,
		    "%s may reach the portal %s", from, portal->name);
	else if (q->s.closed)
		say_closed(q, v, q->s.closed);
	else
		say(v, portal->line, "wrong-address", "no target on the portal %s is open to %s",
		    portal->name, from);
}

static void ask_portal(const struct question *q, struct verdict *v)
{
	const struct policy_portal *portal = &q->policy->portals[q->claim->portal];
	const struct policy_target *t = q->s.asked;
	char transport[TRANSPORT_TEXT];

	if (!t)
		return;
	if (portal_serves(t, q->claim->portal))
		say(v, t->line, NULL, "the target is on the portal %s (%s)%s%s", portal->name,
		    policy_transport_text(portal, transport),
		    strcmp(portal->group, portal->name) != 0 ? ", portal group " : "",
		    strcmp(portal->group, portal->name) != 0 ? portal->group : "");
	else
		say(v, t->line, "wrong-portal", "the target is not on the portal %s", portal->name);
}

static void ask_initiator(const struct question *q, struct verdict *v)
{
	const struct policy_initiator *user = q->s.user;

	if (!q->s.entry)
		say(v, 0, "unknown-initiator", "no target names this initiator");
	else if (user && strcmp(user->name, q->claim->initiator) != 0)
		say(v, user->chap_line, "wrong-initiator", "the CHAP user is another initiator's");
	else if (!say_closed(q, v, q->s.entry))
		say(v, q->s.entry->line, NULL, "the policy names this initiator");
}

static void ask_address(const struct question *q, struct verdict *v)
{
	const struct policy_initiator *i = q->s.entry;
	char from[ADDRESS_TEXT];

	if (!i)
		return;
	(void)ip_show(&q->claim->from, from);
	if (address_fits(i, &q->claim->from))
		say(v, i->from_line ? i->from_line : i->line, NULL, "%s is the initiator's", from);
	else
		say(v, i->from_line ? i->from_line : i->line, "wrong-address",
		    "%s is not among the initiator's addresses", from);
}

static void ask_chap(const struct question *q, struct verdict *v)
{
	const struct policy_initiator *i = q->s.entry;
	uint32_t used = q->claim->algorithm;

	if (!i)
		return;
	if (q->claim->user && !user_fits(i, q->claim->user))
		say(v, i->chap_line, "wrong-user", "its user is %.60s, and it proved another",
		    i->user);
	else if (used && used < 32 &&
		 !(policy_floor(i->algorithms, policy_algorithms(q->policy)) & 1U << used))
		say(v, i->chap_line, "weak-algorithm",
		    "the policy does not take this CHAP algorithm from %.60s", i->user);
	else if (q->claim->user)
		say(v, i->chap_line, NULL, "it proved that it is the user %.60s", i->user);
	else
		say(v, i->chap_line, NULL, "it has to prove that it is the user %.60s%s%.60s",
		    i->user, i->mutual[0] ? ", and we prove that we are " : "; we prove nothing",
		    i->mutual);
}

/* Beside CHAP, never instead of it: what its session says of its certificate is the session's. */
static void ask_certificate(const struct question *q, struct verdict *v)
{
	const struct policy_initiator *i = q->s.entry;
	const struct claim *c = q->claim;
	const struct policy_portal *portal = &q->policy->portals[c->portal];
	char text[sizeof v->text];
	const char *fault;
	uint32_t line;

	if (!i || (!c->certificate && portal->transport != PORTAL_TLS))
		return;
	line = i->pinned ? i->pin_line : i->line;
	fault = c->certificate ? shown_fault(portal, i, c->certificate, &line, text) : NULL;
	if (!c->certificate && c->user)
		say(v, line, "tls-no-certificate", "it showed no certificate");
	else if (fault)
		say(v, line, fault, "%s", text);
	else if (c->certificate)
		say(v, line, NULL, "its certificate is %s",
		    i->pinned ? "the one that is pinned" : "in its name");
	else if (i->pinned)
		say(v, line, NULL, "it has to show the certificate that is pinned");
	else
		say(v, line, NULL, "it has to show a certificate with the URI iscsi:%.180s",
		    i->name);
}

static void ask_target(const struct question *q, struct verdict *v)
{
	const struct policy_target *t = q->s.asked;

	if (!q->claim->target)
		return;
	if (!t)
		say(v, 0, "unknown-target", "the policy has no such target");
	else if (!q->s.entry || q->s.target != t)
		say(v, t->line, "not-for-initiator", "the target does not name this initiator");
	else
		say(v, q->s.entry->line, NULL, "the target names this initiator");
}

static const struct policy_access *access_find(const struct question *q)
{
	const struct policy_initiator *i = q->s.entry;

	if (!i || q->s.target != q->s.asked)
		return NULL;
	for (size_t k = 0; k < i->access_count; k++)
		if (i->access[k].lun == q->claim->lun)
			return &i->access[k];
	return NULL;
}

static const struct policy_disk *disk_of(const struct question *q, const struct policy_access *a)
{
	const struct policy_lun *lun = q->s.asked->luns;

	while (lun->lun != a->lun)
		lun++;
	return &q->policy->disks[lun->disk];
}

static void ask_lun(const struct question *q, struct verdict *v)
{
	const struct policy_access *a = access_find(q);

	if (!q->s.asked || !q->s.entry || q->s.target != q->s.asked || q->claim->lun < 0)
		return;
	if (a)
		say(v, a->line, NULL, "it may use LUN %d, %s", q->claim->lun,
		    !a->writable	     ? "read-only"
		    : disk_of(q, a)->cluster ? "read-write"
					     : "read-write, unless another one writes it");
	else
		say(v, q->s.entry->line, "unknown-lun", "it has no LUN %d", q->claim->lun);
}

/* Whose word it is that the LUN is read-only. */
static uint32_t read_only_line(const struct question *q, const struct policy_access *a)
{
	const struct policy_disk *d = disk_of(q, a);

	return d->read_only ? d->line : a->line;
}

static bool is_write(const struct claim *c)
{
	return c->command ? command_writes(c->command->touches) : c->write;
}

/* Of the blocks that are asked for, or of any: are some protected? */
static bool has_protected(const struct question *q, const struct scsi_rules *rules, bool any,
			  uint32_t *ret_line)
{
	const struct claim *c = q->claim;
	struct rules_wanted what = {c->lun, c->lba, c->blocks, is_write(c)};

	if (c->command && !(c->command->touches & (TOUCHES_READ | TOUCHES_WRITE | TOUCHES_DISCARD)))
		return false;
	if (any || (c->command && command_takes_all(c->command))) {
		what.lba = 0;
		what.blocks = UINT64_MAX;
	}
	return rules_protect(rules, &what, ret_line);
}

/* In the order in which the gate asks. */
static void ask_command(const struct question *q, struct verdict *v)
{
	const struct policy_access *a = access_find(q);
	const struct command_name *command = q->claim->command;
	bool for_writers = command ? command_is_for_writers(command->opcode,
							    command->service_action,
							    command->touches)
				   : q->claim->write;
	struct scsi_rules rules;
	uint32_t line = 0;

	if (!a)
		return;
	policy_rules(q->s.entry, &rules);
	if (command && !rules_permit(&rules, command, &line)) {
		bool denied = command_set_has(&rules.denied, command);

		say(v, line, denied ? "denied" : "not-allowed",
		    denied ? "%s is denied" : "%s is off unless it is allowed", command->name);
	} else if (has_protected(q, &rules, false, &line)) {
		say(v, line, "protected", "these blocks are protected from it");
	} else if (for_writers && !a->writable && !(command && command_names_units(command))) {
		say(v, read_only_line(q, a), "read-only",
		    "the command is for who may write, and LUN %d is read-only", q->claim->lun);
	} else {
		say(v, a->line, NULL, "it may use %s%s", command ? command->name : "the LUN",
		    q->claim->blocks == 0 && has_protected(q, &rules, true, &line)
			    ? ", but not on blocks that are protected"
			    : "");
	}
}

static void (*const questions[LAYERS])(const struct question *, struct verdict *) = {
	[LAYER_FIREWALL] = ask_firewall,   [LAYER_PORTAL] = ask_portal,
	[LAYER_INITIATOR] = ask_initiator, [LAYER_ADDRESS] = ask_address,
	[LAYER_CHAP] = ask_chap,	   [LAYER_CERTIFICATE] = ask_certificate,
	[LAYER_TARGET] = ask_target,	   [LAYER_LUN] = ask_lun,
	[LAYER_COMMAND] = ask_command,
};

/* One portal's answer. Everything that is asked must say yes; a claim for which no entry fits as
 * a whole is refused whatever its parts say. */
static void decide_on_portal(const struct policy *p, const struct claim *claim, struct decision *d)
{
	struct question q = {.policy = p, .claim = claim, .s = subject_find(p, claim)};

	*d = (struct decision){
		.identity = q.s.fits && policy_comes_right(&p->portals[claim->portal], claim),
		.target = q.s.asked,
	};
	if (!claim->target || q.s.target == q.s.asked)
		d->initiator = q.s.entry;
	for (size_t layer = LAYER_NONE + 1; layer < LAYERS; layer++) {
		questions[layer](&q, &d->verdicts[layer]);
		if (d->layer == LAYER_NONE && d->verdicts[layer].asked &&
		    !d->verdicts[layer].allowed)
			d->layer = (enum layer)layer;
	}
	d->identity = d->identity && d->layer != LAYER_CERTIFICATE;
	d->allowed = d->layer == LAYER_NONE && d->identity;
	if (d->layer == LAYER_NONE && !d->allowed) {
		d->layer = LAYER_PORTAL;
		say(&d->verdicts[LAYER_PORTAL], q.s.entry->line, "wrong-portal",
		    "no target of this initiator is on the portal");
	}
}

static void decide_nothing(struct decision *d)
{
	*d = (struct decision){.layer = LAYER_PORTAL};
	say(&d->verdicts[LAYER_PORTAL], 0, "wrong-portal", "the policy has no such portal");
}

void policy_decide(const struct policy *p, const struct claim *claim, struct decision *ret_decision)
{
	struct claim one = *claim;

	decide_nothing(ret_decision);
	if (claim->portal < p->portal_count) {
		decide_on_portal(p, claim, ret_decision);
		return;
	}
	if (claim->portal != SIZE_MAX)
		return;
	/* Any portal: the one that allows, or else the one where it gets furthest. */
	for (size_t i = 0; i < p->portal_count && !ret_decision->allowed; i++) {
		struct decision d;

		one.portal = i;
		decide_on_portal(p, &one, &d);
		if (i == 0 || d.allowed || d.layer > ret_decision->layer)
			*ret_decision = d;
	}
}

static bool may_enter_somewhere(const struct claim *claim, const struct policy_target *t)
{
	for (size_t i = 0; i < t->portal_count; i++)
		if (policy_may_enter(claim, t, t->portals[i]))
			return true;
	return false;
}

bool policy_may_enter(const struct claim *claim, const struct policy_target *t, size_t portal)
{
	const struct policy_initiator *i = entry_find(t, claim->initiator);
	struct claim there = *claim;

	there.portal = portal;
	return i && entry_fits(t, i, &there);
}

void policy_each_target(const struct policy *p, const struct claim *claim,
			void (*each)(void *arg, const struct policy_target *t), void *arg)
{
	for (size_t t = 0; t < p->target_count; t++) {
		const struct policy_target *target = &p->targets[t];

		if (claim->portal == SIZE_MAX ? may_enter_somewhere(claim, target)
					      : policy_may_enter(claim, target, claim->portal))
			each(arg, target);
	}
}

bool policy_names_address(const struct policy *p, const struct ip *ip)
{
	return ranges_contain(p->sources, p->source_count, ip);
}

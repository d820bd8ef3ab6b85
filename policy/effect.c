/* What another policy does to one session: nothing, other rules, more LUNs, or its end. One
 * function for `plan` and for the monitor's reload. Without I/O; what a session is, the monitor
 * says. */
#include <stdarg.h>
#include <stdio.h>
#include "policy/diff.h"
#include "policy/facts.h"

const char *effect_name(enum effect e)
{
	static const char *const names[] = {
		[EFFECT_NONE] = "unchanged",  [EFFECT_RULES] = "rules",
		[EFFECT_WIDENED] = "widened", [EFFECT_AGAIN] = "log-in-again",
		[EFFECT_ENDS] = "ends",
	};

	return e > EFFECT_INVALID && e <= EFFECT_ENDS ? names[e] : "";
}

struct judged {
	const struct policy *before, *after;
	const struct effect_session *s;
	const struct policy_portal *old_portal, *portal;
	const struct policy_target *old_target, *target;
	const struct policy_initiator *old_entry, *entry;
	struct effect_result *r;
};

/* True, so that a check can end with it. */
PRINTF_LIKE(5, 6)
static bool say(struct judged *j, enum effect effect, const char *reason, uint32_t line,
		const char *fmt, ...)
{
	va_list args;

	j->r->effect = effect;
	j->r->line = line;
	(void)string_copy(j->r->reason, sizeof j->r->reason, reason);
	va_start(args, fmt);
	(void)vsnprintf(j->r->text, sizeof j->r->text, fmt, args);
	va_end(args);
	return true;
}

/* --- may it enter still? ------------------------------------------------------------------ */

static const struct policy_portal *portal_find(const struct policy *p, const char *name)
{
	for (size_t k = 0; k < p->portal_count; k++)
		if (strcmp(p->portals[k].name, name) == 0)
			return &p->portals[k];
	return NULL;
}

static bool portal_listens(const struct policy_portal *p, const struct endpoint *at)
{
	for (size_t k = 0; k < p->listen_count; k++) {
		const struct endpoint *e = &p->listen[k];

		if (e->port == at->port && e->ip.version == at->ip.version &&
		    (ip_is_any(&e->ip) || ip_equal(&e->ip, &at->ip)))
			return true;
	}
	return false;
}

/* The portal that this connection would reach today: where it came in, or else by its name. */
static const struct policy_portal *portal_reached(const struct policy *p,
						  const struct effect_session *s)
{
	if (s->local.port == 0)
		return portal_find(p, s->portal);
	for (size_t k = 0; k < p->portal_count; k++)
		if (portal_listens(&p->portals[k], &s->local))
			return &p->portals[k];
	return NULL;
}

static struct claim claim_of(const struct judged *j)
{
	return (struct claim){
		.from = j->s->from,
		.proxy = j->s->proxy,
		.portal = (size_t)(j->portal - j->after->portals),
		.user = j->s->user,
		.initiator = j->s->initiator,
		.target = j->s->target,
		.certificate = j->s->certificate,
		.lun = -1,
		.now_s = j->s->now_s,
	};
}

/* The entry under which it is here. */
static void old_find(struct judged *j)
{
	for (size_t t = 0; t < j->before->target_count && j->s->target; t++)
		if (strcmp(j->before->targets[t].name, j->s->target) == 0)
			j->old_target = &j->before->targets[t];
	for (size_t k = 0; j->old_target && k < j->old_target->initiator_count; k++)
		if (strcmp(j->old_target->initiators[k].name, j->s->initiator) == 0)
			j->old_entry = &j->old_target->initiators[k];
}

static bool portal_is_gone(struct judged *j)
{
	char at[ADDRESS_TEXT];

	if (j->portal)
		return false;
	j->r->before_line = j->old_portal ? j->old_portal->line : 0;
	if (j->s->local.port == 0 || !portal_find(j->after, j->s->portal))
		return say(j, EFFECT_ENDS, "portal-removed", 0, "the portal %s is no more",
			   j->s->portal);
	return say(j, EFFECT_ENDS, "portal-removed", portal_find(j->after, j->s->portal)->line,
		   "the portal %s does not listen on %s any more", j->s->portal,
		   endpoint_format(&j->s->local, at));
}

/* The one decision of a login says it. */
static bool is_refused(struct judged *j)
{
	const struct claim claim = claim_of(j);
	const struct verdict *v;
	struct decision d;

	policy_decide(j->after, &claim, &d);
	j->target = d.target;
	j->entry = d.initiator;
	if (d.allowed)
		return false;
	v = &d.verdicts[d.layer];
	if (v->line == 0)
		j->r->before_line = d.layer == LAYER_TARGET && j->old_target ? j->old_target->line
				    : j->old_entry			     ? j->old_entry->line
									     : 0;
	return say(j, EFFECT_ENDS, v->reason, v->line, "%s", v->text);
}

/* --- is it allowed as it is? -------------------------------------------------------------- */

static bool portal_is_another(struct judged *j)
{
	const struct policy_portal *was = j->old_portal, *is = j->portal;

	if (strcmp(is->name, j->s->portal) != 0)
		return say(j, EFFECT_AGAIN, "portal-changed", is->line,
			   "where it came in is the portal %s now, and was %s", is->name,
			   j->s->portal);
	if (was && (was->transport != is->transport || strcmp(was->through, is->through) != 0))
		return say(j, EFFECT_AGAIN, "transport-changed", is->line,
			   "the portal %s has another transport", is->name);
	if (was && (strcmp(was->group, is->group) != 0 || was->group_tag != is->group_tag))
		return say(j, EFFECT_AGAIN, "portal-group-changed", is->line,
			   "the portal %s is in the portal group %s now, and was in %s", is->name,
			   is->group, was->group);
	return false;
}

/* What is stronger than the floor was taken, whoever it is named for today. */
static bool is_too_weak(const struct policy_initiator *i, uint32_t algorithm)
{
	return algorithm > 0 && algorithm < 32 &&
	       !(policy_floor(i->algorithms, UINT32_MAX) & 1U << algorithm);
}

static bool login_is_another(struct judged *j)
{
	if (j->target->redirect[0])
		return say(j, EFFECT_AGAIN, "redirected", j->target->line,
			   "the target moved: its next login is sent to %s", j->target->redirect);
	if (is_too_weak(j->entry, j->s->algorithm))
		return say(j, EFFECT_AGAIN, "weak-algorithm", j->entry->chap_line,
			   "it logged in with a CHAP algorithm that is too weak now");
	if (j->old_entry && !j->old_entry->mutual[0] && j->entry->mutual[0])
		return say(j, EFFECT_AGAIN, "mutual-required", j->entry->chap_line,
			   "we prove who we are now, and it did not ask for it");
	if (j->old_target && !j->old_target->limits.digests_required &&
	    j->target->limits.digests_required)
		return say(j, EFFECT_AGAIN, "digests-required", j->target->line,
			   "digests are required now, and it may have none");
	return false;
}

static const struct policy_access *access_find(const struct policy_initiator *i, uint16_t lun)
{
	for (size_t k = 0; i && k < i->access_count; k++)
		if (i->access[k].lun == lun)
			return &i->access[k];
	return NULL;
}

static const struct policy_disk *disk_find(const struct policy *p, const struct policy_target *t,
					   uint16_t lun)
{
	for (size_t k = 0; t && k < t->lun_count; k++)
		if (t->luns[k].lun == lun)
			return &p->disks[t->luns[k].disk];
	return NULL;
}

static const struct effect_lun *granted_find(const struct effect_session *s, uint16_t lun)
{
	for (size_t k = 0; k < s->lun_count; k++)
		if (s->luns[k].lun == lun)
			return &s->luns[k];
	return NULL;
}

static bool lun_is_narrowed(struct judged *j, const struct effect_lun *has)
{
	const struct policy_access *may = access_find(j->entry, has->lun);
	const struct policy_access *might = access_find(j->old_entry, has->lun);
	const struct policy_disk *is = disk_find(j->after, j->target, has->lun);
	const struct policy_disk *was = disk_find(j->before, j->old_target, has->lun);
	const char *key = NULL;

	if (!may || !is) {
		j->r->before_line = might ? might->line : 0;
		return say(j, EFFECT_AGAIN, "lun-removed", j->entry->line,
			   "LUN %u is taken from it", has->lun);
	}
	if (has->writable && !may->writable)
		return say(j, EFFECT_AGAIN, "lun-read-only", may->line,
			   "LUN %u is read-only for it now", has->lun);
	if (was && disk_is_same(was, is, &key))
		return false;
	if (was && strcmp(was->name, is->name) == 0)
		return say(j, EFFECT_AGAIN, "disk-changed", is->line,
			   "the disk %s of LUN %u has another %s", is->name, has->lun, key);
	return say(j, EFFECT_AGAIN, "disk-replaced", is->line, "LUN %u is the disk %s now%s%s",
		   has->lun, is->name, was ? ", and was " : "", was ? was->name : "");
}

static bool luns_are_narrowed(struct judged *j)
{
	for (size_t k = 0; k < j->s->lun_count; k++)
		if (lun_is_narrowed(j, &j->s->luns[k]))
			return true;
	return false;
}

/* --- what it gets at once ----------------------------------------------------------------- */

/* What it has not got although the old policy gave it (its disk was not well) is no news. */
static bool is_widened(const struct judged *j, const struct policy_access *may)
{
	const struct effect_lun *has = granted_find(j->s, may->lun);
	const struct policy_access *might = access_find(j->old_entry, may->lun);

	if (!has)
		return !might;
	return may->writable && !has->writable && !(might && might->writable);
}

static void widened_find(struct judged *j)
{
	struct effect_result *r = j->r;
	const struct policy_access *may;

	for (size_t k = 0; k < j->entry->access_count; k++) {
		may = &j->entry->access[k];
		if (!is_widened(j, may) || r->widened_count >= ARRAY_LEN(r->widened))
			continue;
		if (r->widened_count == 0)
			(void)say(j, EFFECT_WIDENED,
				  granted_find(j->s, may->lun) ? "lun-writable" : "lun-added",
				  may->line,
				  granted_find(j->s, may->lun) ? "it may write LUN %u from now on"
							       : "it gets LUN %u",
				  may->lun);
		r->widened[r->widened_count++] = (struct effect_lun){may->lun, may->writable};
	}
	if (r->widened_count > 1)
		(void)snprintf(r->text + strlen(r->text), sizeof r->text - strlen(r->text),
			       ", and %zu more", r->widened_count - 1);
}

/* The rule whose text is another, or NULL. */
static const struct fact *rule_find(const struct judged *j)
{
	struct side was = {.policy = j->before, .initiator = j->old_entry};
	struct side is = {.policy = j->after, .initiator = j->entry};
	const struct fact *found = NULL;
	struct text x = {0}, y = {0};

	for (size_t k = 0; k < fact_count && j->old_entry && !found; k++) {
		if (facts[k].of != OF_RULE)
			continue;
		text_clear(&x);
		text_clear(&y);
		fact_write(&facts[k], &x, &was);
		fact_write(&facts[k], &y, &is);
		/* Out of memory: rules that are sent once too often harm nobody. */
		if (x.failed || y.failed || x.len != y.len ||
		    (x.len > 0 && memcmp(x.text, y.text, x.len) != 0))
			found = &facts[k];
	}
	text_free(&x);
	text_free(&y);
	return found;
}

static enum durability durability_of(const struct policy *p, const struct policy_target *t,
				     uint16_t lun)
{
	const struct policy_disk *d = disk_find(p, t, lun);

	return d && d->durability != DURABILITY_INVALID ? d->durability : p->durability;
}

static bool durability_is_another(const struct judged *j)
{
	bool another = j->before->durability != j->after->durability;

	for (size_t k = 0; k < j->s->lun_count && !another; k++) {
		uint16_t lun = j->s->luns[k].lun;

		another = durability_of(j->before, j->old_target, lun) !=
			  durability_of(j->after, j->target, lun);
	}
	return another;
}

/* What is recorded of it, and when: the key, and a sentence. NULL: as before. */
static const char *records_find(const struct judged *j, const char **ret_text)
{
	if (j->before->audit_writes_only != j->after->audit_writes_only) {
		*ret_text = "which of its commands are recorded changes at once";
		return "audit.commands";
	}
	if (j->before->outcomes_all != j->after->outcomes_all) {
		*ret_text = "which of its commands get a second record changes at once";
		return "audit.outcomes";
	}
	if (!durability_is_another(j))
		return NULL;
	*ret_text = "what its commands wait for changes at once";
	return "audit.durability";
}

static void rules_find(struct judged *j)
{
	const struct fact *rule = rule_find(j);
	const struct side is = {.policy = j->after, .initiator = j->entry};
	const char *text = NULL, *records = records_find(j, &text);
	uint32_t line = rule ? rule->line(&is) : 0;

	j->r->rules = rule || records;
	if (!j->r->rules || j->r->effect == EFFECT_WIDENED)
		return;
	if (rule)
		(void)say(j, EFFECT_RULES, rule->key, line ? line : j->entry->line,
			  "what it may do changes at once: %s", rule->key);
	else
		(void)say(j, EFFECT_RULES, records, 0, "%s", text);
}

void policy_effect(const struct policy *before, const struct policy *after,
		   const struct effect_session *session, struct effect_result *ret_result)
{
	struct judged j = {.before = before, .after = after, .s = session, .r = ret_result};

	*ret_result = (struct effect_result){.effect = EFFECT_NONE};
	(void)string_copy(ret_result->reason, sizeof ret_result->reason, "unchanged");
	j.old_portal = portal_find(before, session->portal);
	j.portal = portal_reached(after, session);
	old_find(&j);
	if (portal_is_gone(&j) || is_refused(&j) || portal_is_another(&j) || !session->target)
		return;
	if (login_is_another(&j) || luns_are_narrowed(&j))
		return;
	widened_find(&j);
	rules_find(&j);
}

static bool has_ipsec(const struct policy *p)
{
	for (size_t k = 0; k < p->portal_count; k++)
		if (p->portals[k].transport == PORTAL_IPSEC)
			return true;
	return false;
}

const char *policy_needs_restart(const struct policy *before, const struct policy *after)
{
	if (before->connections != after->connections)
		return "gateway.connections";
	if (before->manage_firewall != after->manage_firewall)
		return "firewall.manage";
	/* Its process is asked about IPsec, too. */
	if (!after->manage_firewall && has_ipsec(before) != has_ipsec(after))
		return "the first or last portal with transport: ipsec, without a managed "
		       "firewall,";
	return NULL;
}

/* A plan as JSON: the same facts as the text, with stable names. */
#include "gateway/cli/plan.h"

static json_t *policy_facts(const struct policy *p, const char *version)
{
	char hash[POLICY_HASH_TEXT];

	if (!p)
		return json_null();
	policy_hash_text(p, hash);
	return json_pack("{s:s, s:s, s:s}", "path", p->path, "sha256", hash, "version", version);
}

static json_t *difference_json(const struct difference *d)
{
	static const char *const kinds[] = {"", "added", "removed", "changed"};

	return json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:o?, s:s?, s:s?, s:s?, s:i, s:i}", "change",
			 kinds[d->kind], "of", difference_of_name(d->of), "target", d->target,
			 "initiator", d->initiator, "name", d->name, "lun",
			 d->lun >= 0 ? json_integer(d->lun) : NULL, "key", d->key, "before",
			 d->before, "after", d->after, "before_line", (int)d->before_line,
			 "after_line", (int)d->after_line);
}

static json_t *firewall_json(const struct firewall_line *l)
{
	return json_pack("{s:s, s:s%, s:s%}", "change", l->added ? "added" : "removed", "block",
			 l->block, l->block_len, "line", l->line, l->len);
}

static json_t *session_json(const struct plan_session *s)
{
	const struct effect_result *r = &s->will;
	json_t *luns = json_array();

	for (size_t k = 0; k < r->widened_count; k++)
		(void)json_array_append_new(luns,
					    json_pack("{s:i, s:b}", "lun", (int)r->widened[k].lun,
						      "writable", (int)r->widened[k].writable));
	return json_pack("{s:I, s:s, s:s, s:s?, s:s, s:s, s:s, s:b, s:i, s:i, s:o}", "session",
			 (json_int_t)s->is.id, "initiator", s->is.s.initiator, "peer", s->is.peer,
			 "target", s->is.s.target, "effect", effect_name(r->effect), "reason",
			 r->reason, "text", r->text, "rules", (int)r->rules, "line", (int)r->line,
			 "before_line", (int)r->before_line, "widened", luns);
}

static json_t *summary_json(const struct plan *p)
{
	json_t *all = json_object();

	for (enum effect e = EFFECT_NONE; e <= EFFECT_ENDS; e++)
		(void)json_object_set_new(all, effect_name(e),
					  json_integer((json_int_t)p->effects[e]));
	return all;
}

json_t *plan_json(const struct plan *p)
{
	json_t *differences = json_array(), *lines = json_array(), *sessions = json_array();

	for (size_t k = 0; k < p->differences.count; k++)
		(void)json_array_append_new(differences, difference_json(&p->differences.list[k]));
	for (size_t k = 0; k < p->lines.count; k++)
		(void)json_array_append_new(lines, firewall_json(&p->lines.list[k]));
	for (size_t k = 0; k < p->session_count; k++)
		(void)json_array_append_new(sessions, session_json(&p->sessions[k]));
	return json_pack("{s:o, s:s?, s:o, s:b, s:o, s:o, s:o, s:o}", "policy",
			 policy_facts(p->after, SALLYPORT_VERSION), "needs_restart",
			 p->before ? policy_needs_restart(p->before, p->after) : NULL, "running",
			 policy_facts(p->before, p->version), "differs", !plan_is_empty(p),
			 "differences", differences, "firewall", lines, "sessions", sessions,
			 "effects", summary_json(p));
}

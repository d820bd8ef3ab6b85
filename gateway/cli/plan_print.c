/* A plan as text: differences with their lines, firewall lines, sessions by name, and a summary.
 * Names and values are the compiler's, which lets no hidden character through. */
#include "gateway/cli/plan.h"

static char sign(enum difference_kind kind)
{
	return kind == DIFFERENCE_ADDED ? '+' : kind == DIFFERENCE_REMOVED ? '-' : '~';
}

static void line_print(FILE *f, const struct difference *d)
{
	uint32_t line = d->after_line ? d->after_line : d->before_line;

	if (line)
		fprintf(f, "  (line %u%s)", line, d->after_line ? "" : " of the running policy");
	fputc('\n', f);
}

static void values_print(FILE *f, const struct difference *d)
{
	if (d->kind == DIFFERENCE_CHANGED)
		fprintf(f, "%s -> %s", d->before ? d->before : "none",
			d->after ? d->after : "none");
	else
		fprintf(f, "%s", d->after ? d->after : d->before ? d->before : "");
	line_print(f, d);
}

static const char *thing_name(const struct difference *d)
{
	return d->name ? d->name : d->key ? d->key : "";
}

/* The indentation says what it is within: a target, an initiator. Its line names what is not named
 * by a line above. */
struct context {
	const char *target, *initiator, *name;
};

static bool is_other(const char *now, const char *shown)
{
	return now && (!shown || strcmp(now, shown) != 0);
}

static void context_print(FILE *f, struct context *at, const struct difference *d)
{
	bool whole = d->key == NULL;

	if (d->of < OF_TARGET) {
		*at = (struct context){.name = at->name};
		return;
	}
	if (is_other(d->target, at->target)) {
		if (!(whole && d->of == OF_TARGET))
			fprintf(f, "~ target %s\n", d->target);
		*at = (struct context){.target = d->target};
	}
	if (is_other(d->initiator, at->initiator)) {
		if (!(whole && d->of == OF_INITIATOR))
			fprintf(f, "    ~ initiator %s\n", d->initiator);
		at->initiator = d->initiator;
	}
}

static void difference_print(FILE *f, struct context *at, const struct difference *d)
{
	char c = sign(d->kind);

	context_print(f, at, d);
	switch (d->of) {
	case OF_SETTING:
		fprintf(f, "~ %s: ", d->key);
		break;
	case OF_PORTAL:
	case OF_DISK:
		if (d->key && is_other(d->name, at->name))
			fprintf(f, "~ %s %s\n", difference_of_name(d->of), d->name);
		at->name = d->name;
		if (d->key)
			fprintf(f, "    ~ %s: ", d->key);
		else
			fprintf(f, "%c %s %s: ", c, difference_of_name(d->of), d->name);
		break;
	case OF_TARGET:
		if (d->key)
			fprintf(f, "    ~ %s: ", d->key);
		else
			fprintf(f, "%c target %s: on ", c, thing_name(d));
		break;
	case OF_LUN:
		fprintf(f, "    %c LUN %d: ", c, d->lun);
		break;
	case OF_INITIATOR:
		if (d->key)
			fprintf(f, "        ~ %s: ", d->key);
		else
			fprintf(f, "    %c initiator %s: ", c, thing_name(d));
		break;
	case OF_ACCESS:
		fprintf(f, "        %c LUN %d: ", c, d->lun);
		break;
	default:
		fprintf(f, "        %c %s: ", c, thing_name(d));
		break;
	}
	values_print(f, d);
}

static void firewall_print(FILE *f, const struct plan *p)
{
	const struct firewall_line *last = NULL;

	if (!p->before) {
		fprintf(f, "+ firewall: what plan --firewall prints, %zu lines\n", p->lines.count);
		return;
	}
	for (size_t k = 0; k < p->lines.count; k++) {
		const struct firewall_line *l = &p->lines.list[k];

		if (!last || last->block_len != l->block_len ||
		    memcmp(last->block, l->block, l->block_len) != 0)
			fprintf(f, "~ firewall%s%.*s\n", l->block_len > 0 ? ", " : "",
				(int)l->block_len, l->block);
		fprintf(f, "    %c %.*s\n", l->added ? '+' : '-', (int)l->len, l->line);
		last = l;
	}
}

static const char *const effects[] = {
	[EFFECT_NONE] = "does not notice",
	[EFFECT_RULES] = "gets other rules",
	[EFFECT_WIDENED] = "is widened",
	[EFFECT_AGAIN] = "is asked to log in again",
	[EFFECT_ENDS] = "ends",
};

static void session_print(FILE *f, const struct plan_session *s)
{
	const struct effect_result *r = &s->will;

	fprintf(f, "! session %lld of %s from %s%s%s %s: %s", s->is.id, s->is.s.initiator,
		s->is.peer, s->is.s.target ? " on " : "", s->is.s.target ? s->is.s.target : "",
		effects[r->effect], r->text);
	if (r->effect == EFFECT_WIDENED && r->rules)
		fprintf(f, "; and its rules change");
	if (r->line)
		fprintf(f, "  (line %u)", r->line);
	else if (r->before_line)
		fprintf(f, "  (line %u of the running policy)", r->before_line);
	fputc('\n', f);
}

static void summary_print(FILE *f, const struct plan *p)
{
	size_t added = 0, removed = 0, changed = 0, in = 0;

	for (size_t k = 0; k < p->differences.count; k++) {
		added += p->differences.list[k].kind == DIFFERENCE_ADDED;
		removed += p->differences.list[k].kind == DIFFERENCE_REMOVED;
		changed += p->differences.list[k].kind == DIFFERENCE_CHANGED;
	}
	for (size_t k = 0; k < p->lines.count; k++)
		in += p->lines.list[k].added;
	fprintf(f, "plan: %zu to add, %zu to change, %zu to remove; firewall lines +%zu -%zu\n",
		added, changed, removed, in, p->lines.count - in);
	if (!p->before)
		return;
	fprintf(f,
		"sessions: %zu; %zu end, %zu are asked to log in again, %zu are widened, %zu get "
		"other rules, %zu do not notice\n",
		p->session_count, p->effects[EFFECT_ENDS], p->effects[EFFECT_AGAIN],
		p->effects[EFFECT_WIDENED], p->effects[EFFECT_RULES], p->effects[EFFECT_NONE]);
}

static void head_print(FILE *f, const struct plan *p)
{
	char hash[POLICY_HASH_TEXT];

	policy_hash_text(p->after, hash);
	fprintf(f, "policy   %s  %s\n", hash, p->path);
	if (!p->before) {
		fprintf(f, "running  no gateway answers: all is new\n");
		return;
	}
	policy_hash_text(p->before, hash);
	fprintf(f, "running  %s  %s\n", hash, p->before->path);
	if (strcmp(p->before->path, p->after->path) != 0)
		fprintf(f, "note     the gateway takes up %s: copy this file there first\n",
			p->before->path);
	if (policy_needs_restart(p->before, p->after))
		fprintf(f,
			"note     %s can't change while the gateway runs: restart it instead of a "
			"reload\n",
			policy_needs_restart(p->before, p->after));
	if (strcmp(p->version, SALLYPORT_VERSION) != 0)
		fprintf(f,
			"note     the gateway is sallyport %s, and this is " SALLYPORT_VERSION "\n",
			p->version);
}

void plan_print(const struct plan *p, FILE *f)
{
	head_print(f, p);
	plan_print_changes(p, f);
}

void plan_print_changes(const struct plan *p, FILE *f)
{
	struct context at = {0};

	for (size_t k = 0; k < p->differences.count; k++)
		difference_print(f, &at, &p->differences.list[k]);
	firewall_print(f, p);
	for (size_t k = 0; k < p->session_count; k++)
		if (p->sessions[k].will.effect != EFFECT_NONE)
			session_print(f, &p->sessions[k]);
	if (plan_is_empty(p) && memcmp(p->before->hash, p->after->hash, POLICY_HASH_SIZE) != 0)
		fprintf(f, "no difference: the files differ in comments or order\n");
	else if (plan_is_empty(p))
		fprintf(f, "no difference: it is the policy that is in force\n");
	else
		summary_print(f, p);
}

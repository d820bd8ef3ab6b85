/* The targets of a policy: on which portals, with which LUNs. Runs in the monitor and the command
 * line, on a tree that the schema has checked. */
#include "policy/compile.h"
#include "policy/types.h"

/* What the entries of a target have in common. */
struct target_portals {
	bool loopback; /* all of them, and no proxy says who comes from elsewhere */
	bool unclear;  /* a mistake was told: who must give an address can't be judged */
};

static struct target_portals portals_compile(struct compiler *c, struct policy_target *t,
					     const struct node *list)
{
	struct target_portals what = {.loopback = true, .unclear = !list};

	t->portals = compile_alloc(c, node_count(list), sizeof *t->portals);
	for (const struct node *n = node_first(list); n && t->portals; n = n->next) {
		struct name_row *row = n->bad ? NULL : names_find(&c->portals, n->text);
		bool twice = false;

		what.unclear = what.unclear || !row || row->bad;
		if (!row && !n->bad)
			names_unknown(c, &c->portals, "portal", n);
		if (!row)
			continue;
		row->used = true;
		for (size_t i = 0; i < t->portal_count; i++)
			twice = twice || t->portals[i] == row->index;
		if (twice) {
			diagnose_error(c->d, n->at, "\"%s\" is here twice", n->text);
			diagnose_hint(c->d, "take one of them out");
			continue;
		}
		t->portals[t->portal_count++] = row->index;
		what.loopback = what.loopback && c->policy->portals[row->index].loopback &&
				c->policy->portals[row->index].proxy_count == 0;
	}
	return what;
}

static int lun_compare(const void *a, const void *b)
{
	const struct policy_lun *x = a, *y = b;

	return x->lun < y->lun ? -1 : x->lun > y->lun;
}

static void lun_gaps(struct compiler *c, const struct policy_target *t, const struct node *luns)
{
	if (t->lun_count == 0 || t->lun_count != luns->count)
		return;
	if (t->luns[0].lun != 0) {
		diagnose_warning(c->d, node_place(luns), "the target has no LUN 0");
		diagnose_hint(c->d,
			      "initiators look for LUN 0 first; some find nothing without it");
		return;
	}
	for (size_t i = 1; i < t->lun_count; i++) {
		if (t->luns[i].lun == t->luns[i - 1].lun + 1)
			continue;
		diagnose_warning(c->d, node_place(luns), "the target has no LUN %d, but a LUN %d",
				 t->luns[i - 1].lun + 1, t->luns[i].lun);
		diagnose_hint(c->d, "some initiators stop looking at a gap");
		return;
	}
}

static void luns_compile(struct compiler *c, struct policy_target *t, const struct node *luns)
{
	t->luns = compile_alloc(c, node_count(luns), sizeof *t->luns);
	for (const struct node *n = node_first(luns); n && t->luns; n = n->next) {
		struct name_row *row = n->bad ? NULL : names_find(&c->disks, n->text);
		uint64_t lun;

		if (!row && !n->bad)
			names_unknown(c, &c->disks, "disk", n);
		if (row)
			row->used = true;
		if (whole_number_parse(n->key->text, &lun) < 0 || lun >= POLICY_LUNS_MAX) {
			diagnose_error(c->d, n->key->at, "\"%s\" is no LUN",
				       shown_text(n->key->text).text);
			diagnose_hint(c->d, "a LUN is a number of 0 to %d", POLICY_LUNS_MAX - 1);
			continue;
		}
		t->luns[t->lun_count++] = (struct policy_lun){
			(uint16_t)lun, row ? row->index : SIZE_MAX, n->key->at.line};
	}
	if (t->lun_count > 0)
		qsort(t->luns, t->lun_count, sizeof *t->luns, lun_compare);
	c->luns_unclear = !luns || t->lun_count != luns->count;
	if (luns && luns->count == 0) {
		diagnose_error(c->d, node_place(luns), "the target has no LUN");
		diagnose_hint(c->d, "add one: luns: {0: DISK}");
	}
	if (luns)
		lun_gaps(c, t, luns);
}

static void target_compile(struct compiler *c, const struct node *n, struct policy_target *t)
{
	const char *alias = node_text(n, "alias");
	struct target_portals portals;

	t->line = node_place(n).line;
	iscsi_name_compile(c, n, "write it like iqn.2026-11.net.example.gw:vault", t->name);
	if (n->kind != NODE_MAP)
		return;
	if (alias)
		t->alias = compile_copy(c, alias);
	portals = portals_compile(c, t, node_list(n, "portals"));
	luns_compile(c, t, node_map(n, "luns"));
	compile_limits(c, n, &t->limits);
	compile_redirect(c, t, n);
	compile_initiators(c, t, n, !portals.loopback && !portals.unclear);
}

static void unused_check(struct compiler *c, const struct names *names, const char *what)
{
	for (size_t i = 0; i < names->count; i++) {
		if (names->rows[i].used || names->rows[i].bad)
			continue;
		diagnose_warning(c->d, node_place(names->rows[i].node),
				 "no target uses the %s \"%s\"", what,
				 shown_text(names->rows[i].name).text);
		diagnose_hint(c->d, "take it out, or name it in a target");
	}
}

static void count_check(struct compiler *c, const struct node *targets)
{
	size_t count = 0;

	for (size_t t = 0; t < c->policy->target_count; t++)
		count += c->policy->targets[t].initiator_count;
	if (count <= POLICY_USERS_MAX)
		return;
	diagnose_error(c->d, node_place(targets), "the policy has %zu initiators; it can have %d",
		       count, POLICY_USERS_MAX);
	diagnose_hint(c->d, "serve the others by another gateway");
}

void compile_targets(struct compiler *c)
{
	const struct node *targets = node_map(c->root, "targets");
	size_t count = node_count(targets);
	struct names names;

	c->policy->targets = compile_alloc(c, count, sizeof *c->policy->targets);
	if (!c->policy->targets || !names_make(c, &names, count))
		return;
	for (const struct node *n = node_first(targets); n; n = n->next) {
		struct policy_target *t = &c->policy->targets[c->policy->target_count++];

		target_compile(c, n, t);
		if (t->name[0])
			names.rows[names.count++] = (struct name_row){.name = t->name, .node = n};
	}
	count_check(c, targets);
	names_sort(&names);
	names_tell_duplicates(c, &names, "target");
	free(names.rows);
	if (diagnostics_errors(c->d) > 0) /* what names it may be what is wrong */
		return;
	unused_check(c, &c->portals, "portal");
	unused_check(c, &c->disks, "disk");
}

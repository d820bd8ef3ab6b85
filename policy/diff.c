/* The differences of two policies: both are walked in the order of names, thing by thing, and the
 * texts of their facts compared. Runs in the monitor and the command line, on what the compiler has
 * checked. */
#include <stdio.h>
#include "policy/diff.h"
#include "policy/facts.h"

const char *difference_of_name(enum difference_of of)
{
	static const char *const names[OF_KINDS] = {
		[OF_SETTING] = "setting", [OF_PORTAL] = "portal", [OF_DISK] = "disk",
		[OF_TARGET] = "target",	  [OF_LUN] = "lun",	  [OF_INITIATOR] = "initiator",
		[OF_ACCESS] = "access",	  [OF_RULE] = "rule",
	};

	return of > OF_INVALID && of < OF_KINDS ? names[of] : "";
}

/* --- the things of a policy --------------------------------------------------------------- */

/* One thing among others of its kind, and by what it is found in the other policy. */
struct item {
	const char *name;
	int lun; /* -1: by its name */
	struct side side;
};

struct comparison {
	struct differences d;
	struct text before, after;
	bool failed;
};

static size_t portal_count(const struct side *s)
{
	return s->policy->portal_count;
}

static void portal_at(struct item *i, size_t k)
{
	i->side.portal = &i->side.policy->portals[k];
	i->name = i->side.portal->name;
}

static size_t disk_count(const struct side *s)
{
	return s->policy->disk_count;
}

static void disk_at(struct item *i, size_t k)
{
	i->side.disk = &i->side.policy->disks[k];
	i->name = i->side.disk->name;
}

static size_t target_count(const struct side *s)
{
	return s->policy->target_count;
}

static void target_at(struct item *i, size_t k)
{
	i->side.target = &i->side.policy->targets[k];
	i->name = i->side.target->name;
}

static size_t lun_count(const struct side *s)
{
	return s->target->lun_count;
}

static void lun_at(struct item *i, size_t k)
{
	i->side.lun = &i->side.target->luns[k];
	i->lun = i->side.lun->lun;
}

static size_t initiator_count(const struct side *s)
{
	return s->target->initiator_count;
}

static void initiator_at(struct item *i, size_t k)
{
	i->side.initiator = &i->side.target->initiators[k];
	i->name = i->side.initiator->name;
}

static size_t access_count(const struct side *s)
{
	return s->initiator->access_count;
}

static void access_at(struct item *i, size_t k)
{
	i->side.access = &i->side.initiator->access[k];
	i->lun = i->side.access->lun;
}

static const struct level {
	enum difference_of of, within;
	size_t (*count)(const struct side *s);
	void (*at)(struct item *ret_item, size_t k);
} levels[] = {
	{OF_PORTAL, OF_SETTING, portal_count, portal_at},
	{OF_DISK, OF_SETTING, disk_count, disk_at},
	{OF_TARGET, OF_SETTING, target_count, target_at},
	{OF_LUN, OF_TARGET, lun_count, lun_at},
	{OF_INITIATOR, OF_TARGET, initiator_count, initiator_at},
	{OF_ACCESS, OF_INITIATOR, access_count, access_at},
};

static int item_compare(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->lun >= 0 ? (x->lun > y->lun) - (x->lun < y->lun) : strcmp(x->name, y->name);
}

/* All of one kind, sorted; `within` NULL: there are none. */
static struct item *items_make(struct comparison *c, const struct level *l,
			       const struct side *within, size_t *ret_count)
{
	size_t count = within ? l->count(within) : 0;
	struct item *items = calloc(count + 1, sizeof *items);

	c->failed = c->failed || !items;
	*ret_count = items ? count : 0;
	for (size_t k = 0; k < *ret_count; k++) {
		items[k] = (struct item){.lun = -1, .side = *within};
		l->at(&items[k], k);
	}
	if (*ret_count > 0)
		qsort(items, *ret_count, sizeof *items, item_compare);
	return items;
}

/* --- what is told ------------------------------------------------------------------------- */

static char *text_take(struct comparison *c, const struct text *t)
{
	char *copy = t->len > 0 ? strdup(t->text) : NULL;

	c->failed = c->failed || t->failed || (t->len > 0 && !copy);
	return copy;
}

static bool is_within(const struct level *l, enum difference_of of)
{
	return l->of == of || (l->of == OF_INITIATOR && of == OF_RULE);
}

static const struct side *either(const struct side *before, const struct side *after)
{
	return after ? after : before;
}

/* The texts in c->before and c->after, of a thing or of one of its facts. */
static void tell(struct comparison *c, struct difference d, const struct side *before,
		 const struct side *after)
{
	const struct side *s = either(before, after);
	struct differences *all = &c->d;

	if (all->count == all->space) {
		size_t space = all->space * 2 + 16;
		struct difference *bigger = realloc(all->list, space * sizeof *bigger);

		c->failed = c->failed || !bigger;
		if (!bigger)
			return;
		all->list = bigger;
		all->space = space;
	}
	d.before = text_take(c, &c->before);
	d.after = text_take(c, &c->after);
	d.lun = s->access ? s->access->lun : s->lun ? s->lun->lun : -1;
	d.target = s->target ? s->target->name : NULL;
	d.initiator = s->initiator ? s->initiator->name : NULL;
	if (d.of == OF_PORTAL)
		d.name = s->portal->name;
	else if (d.of == OF_DISK)
		d.name = s->disk->name;
	else if (d.of == OF_TARGET)
		d.name = d.target;
	else if (d.of == OF_INITIATOR)
		d.name = d.initiator;
	all->list[all->count++] = d;
}

static uint32_t fact_line(const struct fact *f, const struct side *s)
{
	uint32_t line = s && f->line ? f->line(s) : 0;

	return !s ? 0 : line ? line : side_line(s, f->of == OF_RULE ? OF_INITIATOR : f->of);
}

/* One fact of a thing that is in both, or of a rule, which may be on one side alone. */
static void fact_compare(struct comparison *c, const struct fact *f, const struct side *before,
			 const struct side *after)
{
	struct difference d = {.kind = DIFFERENCE_CHANGED,
			       .of = f->of,
			       .key = f->key,
			       .before_line = fact_line(f, before),
			       .after_line = fact_line(f, after)};

	text_clear(&c->before);
	text_clear(&c->after);
	if (before)
		fact_write(f, &c->before, before);
	if (after)
		fact_write(f, &c->after, after);
	if (c->before.len == c->after.len &&
	    (c->before.len == 0 || memcmp(c->before.text, c->after.text, c->before.len) == 0))
		return;
	if (before && after && f->same && f->same(before, after))
		return;
	if (f->of == OF_RULE && (c->before.len == 0 || c->after.len == 0))
		d.kind = c->before.len == 0 ? DIFFERENCE_ADDED : DIFFERENCE_REMOVED;
	tell(c, d, before, after);
}

static void facts_compare(struct comparison *c, const struct level *l, const struct side *before,
			  const struct side *after)
{
	for (size_t k = 0; k < fact_count; k++)
		if (is_within(l, facts[k].of) && ((before && after) || facts[k].of == OF_RULE))
			fact_compare(c, &facts[k], before, after);
}

static void main_write(struct text *t, const struct level *l, const struct side *s)
{
	text_clear(t);
	for (size_t k = 0; k < fact_count && s; k++) {
		size_t end = t->len, begin;

		if (facts[k].of != l->of || !(facts[k].flags & FACT_MAIN))
			continue;
		if (end > 0)
			text_add(t, ", ");
		begin = t->len;
		fact_write(&facts[k], t, s);
		if (t->len > begin || t->failed || !t->text)
			continue;
		t->len = end; /* it has none */
		t->text[end] = '\0';
	}
}

/* A thing that only one of them has. */
static void whole_tell(struct comparison *c, const struct level *l, const struct side *before,
		       const struct side *after)
{
	struct difference d = {.kind = after ? DIFFERENCE_ADDED : DIFFERENCE_REMOVED,
			       .of = l->of,
			       .before_line = before ? side_line(before, l->of) : 0,
			       .after_line = after ? side_line(after, l->of) : 0};

	main_write(&c->before, l, before);
	main_write(&c->after, l, after);
	tell(c, d, before, after);
}

/* --- the walk ----------------------------------------------------------------------------- */

static void level_compare(struct comparison *c, const struct level *l, const struct side *before,
			  const struct side *after);

static void thing_compare(struct comparison *c, const struct level *l, const struct side *before,
			  const struct side *after)
{
	if (!before || !after)
		whole_tell(c, l, before, after);
	facts_compare(c, l, before, after);
	for (size_t k = 0; k < ARRAY_LEN(levels); k++)
		if (levels[k].within == l->of)
			level_compare(c, &levels[k], before, after);
}

/* A disk of the new policy that is one of the old under another name. */
static bool was_called(const struct item *after, const struct item *before)
{
	const struct policy_disk *disk = after->side.disk;

	for (size_t k = 0; disk && k < disk->formerly_count; k++)
		if (strcmp(disk->formerly[k], before->name) == 0)
			return true;
	return false;
}

/* Disks that were renamed get their old names, by which they are found; a name that another disk
 * has is that one's. */
static void renamed_find(const struct item *before, size_t before_count, struct item *after,
			 size_t after_count)
{
	for (size_t i = 0; i < before_count && before[0].side.disk; i++) {
		struct item *found = NULL;

		if (bsearch(&before[i], after, after_count, sizeof *after, item_compare))
			continue;
		for (size_t k = 0; k < after_count && !found; k++)
			if (was_called(&after[k], &before[i]) &&
			    !bsearch(&after[k], before, before_count, sizeof *before, item_compare))
				found = &after[k];
		if (found) {
			found->name = before[i].name;
			qsort(after, after_count, sizeof *after, item_compare);
		}
	}
}

static void level_compare(struct comparison *c, const struct level *l, const struct side *before,
			  const struct side *after)
{
	size_t i = 0, k = 0, before_count, after_count;
	OWNED_FREE struct item *old = items_make(c, l, before, &before_count);
	OWNED_FREE struct item *new = items_make(c, l, after, &after_count);

	if (before_count > 0 && after_count > 0)
		renamed_find(old, before_count, new, after_count);
	while (!c->failed && (i < before_count || k < after_count)) {
		int r = i == before_count  ? 1
			: k == after_count ? -1
					   : item_compare(&old[i], &new[k]);

		thing_compare(c, l, r <= 0 ? &old[i].side : NULL, r >= 0 ? &new[k].side : NULL);
		i += r <= 0;
		k += r >= 0;
	}
}

int policy_differences(const struct policy *before, const struct policy *after,
		       struct differences *ret_differences)
{
	static const struct level all = {.of = OF_SETTING};
	struct side was = {.policy = before}, is = {.policy = after};
	struct comparison c = {0};

	if (before)
		facts_compare(&c, &all, &was, &is);
	for (size_t k = 0; k < ARRAY_LEN(levels); k++)
		if (levels[k].within == OF_SETTING)
			level_compare(&c, &levels[k], before ? &was : NULL, &is);
	c.failed = c.failed || c.before.failed || c.after.failed;
	text_free(&c.before);
	text_free(&c.after);
	if (c.failed) {
		differences_free(&c.d);
		return -ENOMEM;
	}
	*ret_differences = c.d;
	return 0;
}

void differences_free(struct differences *d)
{
	for (size_t k = 0; k < d->count; k++) {
		free(d->list[k].before);
		free(d->list[k].after);
	}
	free(d->list);
	*d = (struct differences){0};
}

/* What an initiator may not do within its LUNs: commands that are denied, those that are off
 * unless allowed, blocks that are protected. Runs in the monitor and the command line, on a
 * tree that the schema has checked. */
#include "policy/compile.h"
#include "policy/nearest.h"
#include "policy/types.h"

/* --- deny, allow -------------------------------------------------------------------------- */

/* What people mean most. */
static const char *const families[] = {
	"read",
	"write",
	"write-same",
	"verify",
	"synchronize-cache",
	"sanitize",
	"persistent-reserve-in",
	"persistent-reserve-out",
	"extended-copy",
};

static void command_unknown(struct compiler *c, const struct node *n)
{
	struct nearest near = nearest_to(n->text);
	size_t count;
	const struct command_name *rows = command_names(&count);

	for (size_t i = 0; i < count; i++)
		nearest_offer(&near, rows[i].policy_name);
	for (const struct command_group *g = command_groups(); g->name; g++)
		nearest_offer(&near, g->name);
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		nearest_offer(&near, families[i]);
	diagnose_error(c->d, n->at, "there is no command \"%s\"", shown_text(n->text).text);
	if (nearest_found(&near))
		diagnose_hint(c->d, "did you mean \"%s\"?", nearest_found(&near));
	else
		diagnose_hint(c->d, "names are like unmap, write-same-16, sanitize; groups are "
				    "discard, format, reservation and copy");
}

/* The first row of the set that it is true of, or NULL. */
static const struct command_name *set_find(const struct command_set *set,
					   bool (*is)(const struct command_name *))
{
	size_t count;
	const struct command_name *rows = command_names(&count);

	for (size_t i = 0; i < count; i++)
		if (command_set_has(set, &rows[i]) && is(&rows[i]))
			return &rows[i];
	return NULL;
}

static void denial_check(struct compiler *c, const struct node *n, const struct command_set *set)
{
	const struct command_name *needed = set_find(set, command_is_needed);

	if (!needed)
		return;
	diagnose_error(c->d, n->at, "%s can't be denied", needed->name);
	diagnose_hint(c->d, "initiators find and identify their disks by it; what one should not "
			    "see, take out of its luns:");
}

static void allowance_check(struct compiler *c, const struct node *n, const struct command_set *set)
{
	if (set_find(set, command_is_off))
		return;
	diagnose_warning(c->d, n->at, "\"%s\" is on anyway", n->text);
	diagnose_hint(c->d, "what is off until it is allowed: sanitize, set-target-port-groups");
}

static void commands_compile(struct compiler *c, const struct node *list, struct command_set *ret,
			     void (*check)(struct compiler *, const struct node *,
					   const struct command_set *))
{
	for (const struct node *n = node_first(list); n; n = n->next) {
		struct command_set one = {0};

		if (n->bad || n->kind != NODE_TEXT)
			continue;
		if (!command_set_add(&one, n->text) || !command_set_add(ret, n->text))
			command_unknown(c, n);
		else
			check(c, n, &one);
	}
}

static void both_check(struct compiler *c, const struct policy_initiator *i,
		       const struct node *allow)
{
	const struct command_name *both = command_set_common(&i->denied, &i->allowed);

	if (!both)
		return;
	diagnose_error(c->d, node_place(allow), "%s is allowed, and denied at line %u", both->name,
		       i->denied_line);
	diagnose_hint(c->d, "take it out of one of them");
}

/* --- protect ------------------------------------------------------------------------------ */

static bool blocks_read(const char *text, struct policy_range *ret)
{
	char first[64];
	const char *dash = strchr(text, '-');
	size_t len = dash ? (size_t)(dash - text) : strlen(text);

	if (len >= sizeof first)
		return false;
	memcpy(first, text, len);
	first[len] = '\0';
	return whole_number_parse(first, &ret->first) == 0 &&
	       whole_number_parse(dash ? dash + 1 : first, &ret->last) == 0 &&
	       ret->first <= ret->last;
}

static const struct policy_disk *lun_disk(const struct compiler *c, const struct policy_target *t,
					  int lun)
{
	for (size_t k = 0; k < t->lun_count; k++)
		if (t->luns[k].lun == lun && t->luns[k].disk != SIZE_MAX)
			return &c->policy->disks[t->luns[k].disk];
	return NULL;
}

static void range_lun(struct compiler *c, const struct policy_target *t, struct policy_range *r,
		      const struct node *n)
{
	const struct node *lun = node_get(n, "lun"), *blocks = node_get(n, "blocks");
	const struct policy_disk *disk;

	r->lun = -1;
	if (!lun || lun->bad)
		return;
	r->lun = (int)lun->value;
	disk = lun_disk(c, t, r->lun);
	if (!disk && !c->luns_unclear) {
		diagnose_error(c->d, lun->at, "the target has no LUN %d", r->lun);
		diagnose_hint(c->d, "name a LUN of its luns:, or leave it out: then all are meant");
	}
	if (!disk || disk->size_bytes == 0 || r->first < disk->size_bytes / disk->block_size)
		return;
	diagnose_warning(c->d, blocks->at, "the disk \"%s\" ends before the blocks %s",
			 shown_text(disk->name).text, blocks->text);
	diagnose_hint(c->d, "its last block is %llu",
		      (unsigned long long)(disk->size_bytes / disk->block_size - 1));
}

static void range_compile(struct compiler *c, const struct policy_target *t,
			  struct policy_initiator *i, const struct node *n)
{
	const struct node *blocks = node_get(n, "blocks");
	struct policy_range r = {.line = n->at.line};

	if (!blocks || blocks->bad)
		return;
	if (!blocks_read(blocks->text, &r)) {
		diagnose_error(c->d, blocks->at, "\"%s\" are no blocks",
			       shown_text(blocks->text).text);
		diagnose_hint(c->d, "write the first and the last of them: 0-2047");
		return;
	}
	r.reads = schema_value(SECTION_PROTECT, n, "from") == 2;
	range_lun(c, t, &r, n);
	if (i->range_count < POLICY_RANGES_MAX)
		i->ranges[i->range_count++] = r;
}

/* --- the entry ---------------------------------------------------------------------------- */

void compile_rules(struct compiler *c, const struct policy_target *t, struct policy_initiator *i,
		   const struct node *n)
{
	const struct node *deny = node_list(n, "deny"), *allow = node_list(n, "allow"),
			  *protect = node_list(n, "protect");

	i->denied_line = deny ? node_place(deny).line : 0;
	i->allowed_line = allow ? node_place(allow).line : i->line;
	commands_compile(c, deny, &i->denied, denial_check);
	commands_compile(c, allow, &i->allowed, allowance_check);
	if (allow)
		both_check(c, i, allow);
	i->ranges =
		compile_alloc(c, MIN(node_count(protect), POLICY_RANGES_MAX), sizeof *i->ranges);
	for (const struct node *r = node_first(protect); r && i->ranges; r = r->next)
		if (!r->bad && r->kind == NODE_MAP)
			range_compile(c, t, i, r);
}

/* `like`: an initiator's entry that takes over another's keys, before anything is compiled. What is
 * written beside it wins; what proves who somebody is (chap) is never taken from another initiator,
 * and what names LUNs (luns, protect) never from another target. Runs in the monitor and the
 * command line, on a tree that the schema has checked. */
#include "policy/compile.h"
#include "policy/iscsi_name.h"
#include "policy/nearest.h"

#define DEPTH_MAX     9
#define NEAREST_AMONG 500

struct like_entry {
	char name[ISCSI_NAME_SIZE];
	const char *target; /* in its normal form, in the list of targets */
	struct node *node;
	unsigned depth; /* entries behind it, each like the next */
	bool done, under_way;
};

struct likes {
	struct compiler *c;
	struct like_entry *list; /* by name, then place */
	size_t count;
	char (*targets)[ISCSI_NAME_SIZE];
};

static void name_normal(const char *text, char ret[ISCSI_NAME_SIZE])
{
	const char *why;

	if (iscsi_name_normalise(text, ret, &why) < 0)
		(void)string_copy(ret, ISCSI_NAME_SIZE, text);
}

static int entry_compare(const void *a, const void *b)
{
	const struct like_entry *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : place_compare(node_place(x->node), node_place(y->node));
}

/* Twice over the tree: first to count, then to gather. */
static bool entries_gather(struct likes *l)
{
	const struct node *targets = node_map(l->c->root, "targets");

	l->targets = compile_alloc(l->c, node_count(targets), sizeof *l->targets);
	for (int gather = 0; gather < 2; gather++) {
		size_t target = 0;

		if (gather && !(l->list = compile_alloc(l->c, l->count, sizeof *l->list)))
			return false;
		l->count = 0;
		for (const struct node *t = node_first(targets); t && l->targets; t = t->next) {
			char *name = l->targets[target++];
			struct node *first = NULL;

			name_normal(t->key->text, name);
			if (node_map(t, "initiators"))
				first = node_map(t, "initiators")->first;
			for (struct node *n = first; n; n = n->next) {
				if (n->kind != NODE_MAP)
					continue;
				if (gather) {
					l->list[l->count] =
						(struct like_entry){.target = name, .node = n};
					name_normal(n->key->text, l->list[l->count].name);
				}
				l->count++;
			}
		}
	}
	if (l->count > 0)
		qsort(l->list, l->count, sizeof *l->list, entry_compare);
	return l->targets != NULL;
}

/* --- the other entry ---------------------------------------------------------------------- */

static size_t first_of(const struct likes *l, const char *name)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(l->list[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void unknown_tell(const struct likes *l, const struct node *like, const char *name)
{
	struct nearest near = nearest_to(name);

	diagnose_error(l->c->d, like->at, "there is no other entry of an initiator \"%s\"",
		       shown_text(like->text).text);
	for (size_t k = 0; k < MIN(l->count, NEAREST_AMONG); k++)
		nearest_offer(&near, l->list[k].name);
	if (nearest_found(&near) && strcmp(nearest_found(&near), name) != 0)
		diagnose_hint(l->c->d, "did you mean \"%s\"?",
			      shown_text(nearest_found(&near)).text);
	else
		diagnose_hint(l->c->d, "name an initiator of this target, or of another: "
				       "TARGET/INITIATOR");
}

/* This target's; else the only one that another has. A name with a '/' says which target's. */
static struct like_entry *other_find(const struct likes *l, const struct like_entry *e,
				     const struct node *like)
{
	char target[ISCSI_NAME_SIZE] = "", name[ISCSI_NAME_SIZE], part[ISCSI_NAME_SIZE];
	const char *slash = strchr(like->text, '/');
	struct like_entry *found = NULL;
	size_t others = 0;

	if (slash && (size_t)(slash - like->text) < sizeof part) {
		memcpy(part, like->text, (size_t)(slash - like->text));
		part[slash - like->text] = '\0';
		name_normal(part, target);
	}
	name_normal(slash ? slash + 1 : like->text, name);
	for (size_t k = first_of(l, name); k < l->count; k++) {
		struct like_entry *other = &l->list[k];
		const char *wanted = slash ? target : e->target;

		if (strcmp(other->name, name) != 0)
			break;
		if (strcmp(other->target, wanted) == 0 && (other != e || slash))
			return other;
		if (!slash && other != e) {
			found = other;
			others++;
		}
	}
	if (others == 1)
		return found;
	if (others == 0) {
		unknown_tell(l, like, name);
	} else {
		diagnose_error(l->c->d, like->at, "\"%s\" has entries in %zu other targets",
			       shown_text(like->text).text, others);
		diagnose_hint(l->c->d, "say which: like: TARGET/INITIATOR");
	}
	return NULL;
}

/* --- taking over -------------------------------------------------------------------------- */

static bool is_taken(const struct like_entry *e, const struct like_entry *other, const char *key)
{
	if (strcmp(key, "like") == 0 || node_get(e->node, key))
		return false;
	if (strcmp(key, "chap") == 0)
		return strcmp(e->name, other->name) == 0;
	if (strcmp(key, "luns") == 0 || strcmp(key, "protect") == 0)
		return strcmp(e->target, other->target) == 0;
	return true;
}

/* What is below a key is shared: it was checked, and is not changed any more. */
static void keys_take(struct likes *l, struct like_entry *e, const struct like_entry *other)
{
	struct node **end = &e->node->first;

	while (*end)
		end = &(*end)->next;
	for (const struct node *n = other->node->first; n; n = n->next) {
		struct node_copy *copy;

		if (!is_taken(e, other, n->key->text))
			continue;
		copy = compile_alloc(l->c, 1, sizeof *copy);
		if (!copy)
			return;
		copy->node = *n;
		copy->node.next = NULL;
		copy->next = l->c->copies;
		l->c->copies = copy;
		*end = &copy->node;
		end = &copy->node.next;
		e->node->count++;
	}
}

static void chap_check(const struct likes *l, const struct like_entry *e)
{
	if (node_get(e->node, "chap"))
		return;
	diagnose_error(l->c->d, e->node->key->at, "\"%s\" has no \"chap\"",
		       shown_text(e->node->key->text).text);
	diagnose_hint(l->c->d, "add chap: {user: alice, mutual: gw-for-alice}; like takes over "
			       "everything but that from another initiator");
}

static void entry_resolve(struct likes *l, struct like_entry *e, unsigned calls)
{
	const struct node *like = node_get(e->node, "like");
	struct like_entry *other;

	if (e->done || !like)
		return;
	e->done = true;
	e->under_way = true;
	other = like->bad || like->kind != NODE_TEXT ? NULL : other_find(l, e, like);
	if (other && !other->under_way && calls < DEPTH_MAX)
		entry_resolve(l, other, calls + 1);
	if (other && other->under_way) {
		diagnose_error(l->c->d, like->at, "what it is like is like it");
		diagnose_hint(l->c->d, "write the keys out in one of them");
	} else if (other && (calls == DEPTH_MAX || other->depth + 1 == DEPTH_MAX)) {
		diagnose_error(l->c->d, like->at, "more than %d entries are like another in turn",
			       DEPTH_MAX - 1);
		diagnose_hint(l->c->d, "name the entry that has the keys");
	} else if (other) {
		e->depth = other->depth + 1;
		keys_take(l, e, other);
		chap_check(l, e);
	}
	e->under_way = false;
}

void compile_likes(struct compiler *c)
{
	struct likes l = {.c = c};

	if (entries_gather(&l))
		for (size_t k = 0; k < l.count; k++)
			entry_resolve(&l, &l.list[k], 1);
	free(l.list);
	free(l.targets);
}

/* Names within a policy: what they may look like, and tables to look them up in. Runs in the
 * monitor and the command line. Tables are sorted, so that ten thousand names are no burden. */
#include "policy/compile.h"
#include "policy/iscsi_name.h"
#include "policy/nearest.h"

#define NEAREST_AMONG 500 /* names: a hint is worth no more */

static int row_compare(const void *a, const void *b)
{
	const struct name_row *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : place_compare(node_place(x->node), node_place(y->node));
}

bool names_make(struct compiler *c, struct names *names, size_t space)
{
	names->count = 0;
	names->rows = compile_alloc(c, space, sizeof *names->rows);
	return names->rows != NULL;
}

void names_sort(struct names *names)
{
	if (names->count > 0)
		qsort(names->rows, names->count, sizeof *names->rows, row_compare);
}

struct name_row *names_find(const struct names *names, const char *name)
{
	size_t low = 0, high = names->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = strcmp(name, names->rows[middle].name);

		if (r == 0)
			return &names->rows[middle];
		if (r < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

void names_unknown(struct compiler *c, const struct names *names, const char *what,
		   const struct node *at)
{
	struct nearest n = nearest_to(at->text);

	diagnose_error(c->d, at->at, "there is no %s \"%s\"", what, shown_text(at->text).text);
	for (size_t i = 0; i < MIN(names->count, NEAREST_AMONG); i++)
		nearest_offer(&n, names->rows[i].name);
	if (nearest_found(&n))
		diagnose_hint(c->d, "did you mean \"%s\"?", shown_text(nearest_found(&n)).text);
	else
		diagnose_hint(c->d, "add it under %ss:, or name one that is there", what);
}

void names_tell_duplicates(struct compiler *c, const struct names *names, const char *what)
{
	for (size_t i = 1; i < names->count; i++) {
		const struct name_row *before = &names->rows[i - 1], *row = &names->rows[i];

		if (strcmp(before->name, row->name) != 0)
			continue;
		diagnose_error(c->d, node_place(row->node),
			       "the %s \"%s\" is here twice; the other is at line %u", what,
			       row->name, node_place(before->node).line);
		diagnose_hint(
			c->d,
			"iSCSI names are compared in their normal form (RFC 3722): take one out");
	}
}

bool name_ok(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t len = strlen(name);

	return len > 0 && len < POLICY_NAME_SIZE && name[0] != '-' && strspn(name, letters) == len;
}

void name_check(struct compiler *c, const struct node *n, const char *what,
		char ret_name[POLICY_NAME_SIZE])
{
	const char *name = n->key->text;

	(void)string_copy(ret_name, POLICY_NAME_SIZE, name);
	if (n->key->bad || name_ok(name))
		return;
	diagnose_error(c->d, n->key->at, "\"%s\" is no name for a %s", shown_text(name).text, what);
	diagnose_hint(c->d, "a name has lower-case letters, digits and '-', at most %d of them",
		      POLICY_NAME_SIZE - 1);
}

/* Is it the same but for capitals? So people write names; nobody misreads that. */
static bool only_case_changed(const char *text, const char *name)
{
	for (; *text && *name; text++, name++)
		if (*name != (*text >= 'A' && *text <= 'Z' ? *text + 0x20 : *text))
			return false;
	return *text == *name;
}

void iscsi_name_compile(struct compiler *c, const struct node *n, const char *hint,
			char ret_name[ISCSI_NAME_SIZE])
{
	const char *text = n->key->text, *why = NULL;

	ret_name[0] = '\0';
	if (n->key->bad)
		return;
	if (iscsi_name_normalise(text, ret_name, &why) < 0) {
		diagnose_error(c->d, n->key->at, "\"%s\" is no iSCSI name: %s",
			       shown_text(text).text, why);
		diagnose_hint(c->d, "%s", hint);
		return;
	}
	/* It is right: initiators that send either form mean this name. But what was reviewed
	 * should be what is compared. */
	if (!only_case_changed(text, ret_name)) {
		diagnose_warning(c->d, n->key->at, "this name is compared as %s", ret_name);
		diagnose_hint(c->d, "copy it from here, also where it looks the same (RFC 3722)");
	}
}

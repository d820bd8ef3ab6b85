/* The initiators of a target: from where, as whom, with which access. Runs in the monitor and the
 * command line, on a tree that the schema has checked. */
#include "policy/compile.h"
#include "policy/tunnels.h"
#include "policy/ranges.h"
#include "policy/types.h"

/* --- from --------------------------------------------------------------------------------- */

struct from_row {
	struct address_range range;
	const struct node *node;
	uint8_t prefix;
};

/* The wider network first, where two begin alike. */
static int from_compare(const void *a, const void *b)
{
	const struct from_row *x = a, *y = b;
	int r;

	if (x->range.version != y->range.version)
		return x->range.version < y->range.version ? -1 : 1;
	if ((r = memcmp(x->range.first, y->range.first, sizeof x->range.first)) != 0)
		return r;
	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return place_compare(x->node->at, y->node->at);
}

/* Two networks are apart, or one lies within the other. */
static void overlap_check(struct compiler *c, struct from_row *rows, size_t count)
{
	const struct from_row *wide = rows;

	if (count < 2)
		return;
	qsort(rows, count, sizeof *rows, from_compare);
	for (size_t i = 1; i < count; i++) {
		if (rows[i].range.version != wide->range.version ||
		    memcmp(rows[i].range.first, wide->range.last, 16) > 0) {
			wide = &rows[i];
			continue;
		}
		diagnose_warning(c->d, rows[i].node->at, "%s lies within %s", rows[i].node->text,
				 wide->node->text);
		diagnose_hint(c->d, "take one of them out");
	}
}

static void from_compile(struct compiler *c, struct policy_initiator *i, const struct node *n,
			 bool required)
{
	const struct node *from = node_list(n, "from");
	OWNED_FREE struct from_row *rows = compile_alloc(c, node_count(from), sizeof *rows);

	if (!from && !node_get(n, "from") && required && n->kind == NODE_MAP) {
		diagnose_error(c->d, node_place(n), "this initiator has no address");
		diagnose_hint(c->d, "add from: [ADDRESS]; only on loopback portals it can be left "
				    "out");
	}
	i->from = compile_alloc(c, node_count(from), sizeof *i->from);
	if (!from || !rows || !i->from)
		return;
	i->from_line = node_place(from).line;
	for (const struct node *e = from->first; e; e = e->next) {
		struct network *to = &i->from[i->from_count];

		if (!network_compile(c, e, to))
			continue;
		rows[i->from_count++] = (struct from_row){range_of(to), e, to->prefix};
		if (to->prefix == 0) {
			diagnose_warning(c->d, e->at, "%s is every address there is", e->text);
			diagnose_hint(c->d, "name the networks that the initiator is in");
		}
	}
	overlap_check(c, rows, i->from_count);
}

/* --- chap --------------------------------------------------------------------------------- */

static bool user_row_add(struct compiler *c, struct user_row row)
{
	if (c->user_count == c->user_space) {
		size_t space = c->user_space ? c->user_space * 2 : 64;
		struct user_row *more = reallocarray(c->users, space, sizeof *more);

		if (!more) {
			c->no_memory = true;
			return false;
		}
		c->users = more;
		c->user_space = space;
	}
	c->users[c->user_count++] = row;
	return true;
}

/* As the secret store spells names. */
static const char *secret_name(struct compiler *c, const struct node *chap, const char *key)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const char *name = node_text(chap, key);

	if (name && tunnel_key_name(name)) {
		diagnose_error(c->d, node_get(chap, key)->at,
			       "\"%s\" is the name of a tunnel's key", name);
		diagnose_hint(c->d,
			      "names that begin with \"ipsec.\" or \"wireguard.\" are theirs");
		return NULL;
	}
	if (!name || !name[strspn(name, letters)])
		return name;
	diagnose_error(c->d, node_get(chap, key)->at, "\"%s\" is no name of the secret store",
		       shown_text(name).text);
	diagnose_hint(c->d, "a name has letters, digits, '.', '_' and '-'");
	return NULL;
}

/* One-way CHAP has to be asked for by name, for initiators such as QEMU that can't ask who we are.
 */
static bool is_one_way(struct compiler *c, const struct node *chap, const char *mutual)
{
	if (!mutual || strcmp(mutual, "none") != 0)
		return false;
	diagnose_warning(c->d, node_get(chap, "mutual")->at,
			 "one-way CHAP: this initiator can't tell us from somebody in our place");
	diagnose_hint(c->d, "name a secret of ours, unless the initiator can't ask for it");
	return true;
}

static void chap_compile(struct compiler *c, struct policy_initiator *i, const struct node *chap)
{
	const char *user = secret_name(c, chap, "user"), *mutual = secret_name(c, chap, "mutual");
	const struct node *mutual_node = mutual ? node_get(chap, "mutual") : NULL;

	if (is_one_way(c, chap, mutual))
		mutual = NULL;

	i->chap_line = chap ? node_place(chap).line : 0;
	i->algorithms = compile_algorithms(c, node_list(chap, "algorithms"), c->policy->algorithms);
	if (user)
		(void)string_copy(i->user, sizeof i->user, user);
	if (mutual)
		(void)string_copy(i->mutual, sizeof i->mutual, mutual);
	if (user && mutual && strcmp(user, mutual) == 0) {
		diagnose_error(
			c->d, node_get(chap, "mutual")->at,
			"\"user\" and \"mutual\" are one secret: each side could answer with "
			"the other's words");
		diagnose_hint(c->d, "name a secret of its own for each direction");
	}
	if (user && i->name[0])
		(void)user_row_add(c,
				   (struct user_row){user, mutual, i->name, node_get(chap, "user"),
						     mutual_node, i->algorithms});
}

/* --- luns --------------------------------------------------------------------------------- */

static const struct policy_lun *lun_find(const struct policy_target *t, uint64_t lun)
{
	for (size_t k = 0; k < t->lun_count; k++)
		if (t->luns[k].lun == lun)
			return &t->luns[k];
	return NULL;
}

static bool lun_read_only(const struct compiler *c, const struct policy_lun *lun)
{
	return lun->disk != SIZE_MAX && c->policy->disks[lun->disk].read_only;
}

static int access_compare(const void *a, const void *b)
{
	const struct policy_access *x = a, *y = b;

	return x->lun < y->lun ? -1 : x->lun > y->lun;
}

static void access_compile(struct compiler *c, const struct policy_target *t,
			   struct policy_initiator *i, const struct node *n)
{
	const struct policy_lun *found = NULL;
	const struct node *word = n->kind == NODE_MAP ? node_get(n, "access") : n;
	struct policy_access access = {.line = n->key->at.line};
	uint64_t lun = 0;

	if (whole_number_parse(n->key->text, &lun) == 0)
		found = lun_find(t, lun);
	if (!found && c->luns_unclear)
		return;
	if (!found) {
		diagnose_error(c->d, n->key->at, "the target has no LUN \"%s\"",
			       shown_text(n->key->text).text);
		diagnose_hint(c->d, "name a LUN of its luns:, or add it there");
		return;
	}
	access.lun = (uint16_t)lun;
	access.writable = word ? !word->bad && word->value == 1 : !lun_read_only(c, found);
	if (access.writable && lun_read_only(c, found)) {
		diagnose_error(c->d, word->at, "read-write, but the disk \"%s\" is read_only",
			       shown_text(c->policy->disks[found->disk].name).text);
		diagnose_hint(c->d, "write read-only, or take read_only from the disk (line %u)",
			      c->policy->disks[found->disk].line);
		return;
	}
	if (n->kind == NODE_MAP)
		compile_rates(c, n, &access.rates);
	i->access[i->access_count++] = access;
}

/* Left out: all LUNs of the target, with what the disk allows. */
static void access_all(struct compiler *c, const struct policy_target *t,
		       struct policy_initiator *i)
{
	i->access = compile_alloc(c, t->lun_count, sizeof *i->access);
	for (size_t k = 0; k < t->lun_count && i->access; k++)
		i->access[i->access_count++] =
			(struct policy_access){.lun = t->luns[k].lun,
					       .writable = !lun_read_only(c, &t->luns[k]),
					       .line = t->luns[k].line};
}

static void accesses_compile(struct compiler *c, const struct policy_target *t,
			     struct policy_initiator *i, const struct node *luns)
{
	i->access = compile_alloc(c, node_count(luns), sizeof *i->access);
	if (!i->access)
		return;
	if (luns->count == 0) {
		diagnose_warning(c->d, node_place(luns), "this initiator may use no LUN");
		diagnose_hint(c->d, "name some: luns: {0: read-write}; left out, it may use all");
	}
	for (const struct node *n = luns->first; n; n = n->next)
		access_compile(c, t, i, n);
	if (i->access_count > 0)
		qsort(i->access, i->access_count, sizeof *i->access, access_compare);
}

/* --- the entry ---------------------------------------------------------------------------- */

static void initiator_compile(struct compiler *c, const struct policy_target *t,
			      struct policy_initiator *i, const struct node *n)
{
	const struct node *luns = node_get(n, "luns");

	i->line = node_place(n).line;
	iscsi_name_compile(c, n,
			   "it is in the initiator's settings, for Linux in "
			   "/etc/iscsi/initiatorname.iscsi",
			   i->name);
	chap_compile(c, i, node_map(n, "chap"));
	compile_rules(c, t, i, n);
	compile_grants(c, i, n);
	compile_pin(c, t, i, n);
	i->rates_line = node_get(n, "limits") ? node_place(node_get(n, "limits")).line : 0;
	compile_rates(c, n, &i->rates);
	if (!luns)
		access_all(c, t, i);
	else if (luns->kind == NODE_MAP)
		accesses_compile(c, t, i, luns);
	compile_lun_rates(c, i, luns);
}

void compile_initiators(struct compiler *c, struct policy_target *t, const struct node *target,
			bool from_required)
{
	const struct node *initiators = node_map(target, "initiators");
	size_t count = node_count(initiators);
	struct names names;

	if (count == 0 && (initiators || !node_get(target, "initiators"))) {
		diagnose_warning(c->d, node_place(target), "nobody may enter this target");
		diagnose_hint(c->d, "add initiators: {IQN: {from: [ADDRESS], chap: {user: NAME, "
				    "mutual: NAME}}}");
	}
	t->initiators = compile_alloc(c, count, sizeof *t->initiators);
	if (!t->initiators || !names_make(c, &names, count))
		return;
	for (const struct node *n = node_first(initiators); n; n = n->next) {
		struct policy_initiator *i = &t->initiators[t->initiator_count++];

		initiator_compile(c, t, i, n);
		from_compile(c, i, n, from_required);
		if (i->name[0])
			names.rows[names.count++] = (struct name_row){.name = i->name, .node = n};
	}
	names_sort(&names);
	names_tell_duplicates(c, &names, "initiator");
	free(names.rows);
}

/* What holds for all CHAP users of a policy together: a user belongs to one initiator name, so
 * that the name follows from the credential; the two directions share no secret; every secret
 * is in the store. Runs in the monitor and the command line. Everything is sorted first. */
#include "policy/compile.h"

static int by_user(const void *a, const void *b)
{
	const struct user_row *x = a, *y = b;
	int r = strcmp(x->user, y->user);

	return r ? r : place_compare(x->user_node->at, y->user_node->at);
}

static int by_initiator(const void *a, const void *b)
{
	const struct user_row *x = a, *y = b;
	int r = strcmp(x->initiator, y->initiator);

	return r ? r : place_compare(x->user_node->at, y->user_node->at);
}

/* As the policy writes it. */
static const char *ours(const struct user_row *row)
{
	return row->mutual ? row->mutual : "none";
}

/* Rows without a mutual name come last. */
static int by_mutual(const void *a, const void *b)
{
	const struct user_row *x = a, *y = b;
	int r;

	if (!x->mutual || !y->mutual)
		return (x->mutual == NULL) - (y->mutual == NULL);
	r = strcmp(x->mutual, y->mutual);
	return r ? r : place_compare(x->mutual_node->at, y->mutual_node->at);
}

static void secret_check(struct compiler *c, const char *name, const struct node *n)
{
	const struct policy_options *o = c->options;

	if (!o->secret_known || o->secret_known(o->arg, name))
		return;
	diagnose_error(c->d, n->at, "the secret \"%s\" is not in the store", name);
	diagnose_hint(c->d, "make it: sallyport secret generate %s", name);
}

static void users_check(struct compiler *c)
{
	const struct user_row *first = NULL;

	for (size_t i = 0; i < c->user_count; i++) {
		const struct user_row *row = &c->users[i];

		if (!first || strcmp(first->user, row->user) != 0) {
			first = row;
			secret_check(c, row->user, row->user_node);
		} else if (strcmp(first->initiator, row->initiator) != 0) {
			diagnose_error(c->d, row->user_node->at,
				       "\"%s\" is the user of another initiator already, at line "
				       "%u",
				       row->user, first->user_node->at.line);
			diagnose_hint(c->d, "give every initiator a user and a secret of its own");
		} else if (first->algorithms != row->algorithms) {
			diagnose_error(c->d, row->user_node->at,
				       "\"%s\" has other algorithms here than at line %u",
				       row->user, first->user_node->at.line);
			diagnose_hint(c->d, "write the same algorithms at both places");
		}
	}
}

/* One initiator, one identity: whichever target it enters. */
static void initiators_check(struct compiler *c)
{
	const struct user_row *first = NULL;

	for (size_t i = 0; i < c->user_count; i++) {
		const struct user_row *row = &c->users[i];

		if (!first || strcmp(first->initiator, row->initiator) != 0) {
			first = row;
		} else if (strcmp(first->user, row->user) != 0) {
			diagnose_error(c->d, row->user_node->at,
				       "this initiator is the user \"%s\" at line %u", first->user,
				       first->user_node->at.line);
			diagnose_hint(c->d, "write user: %s", first->user);
		} else if (first->mutual_node && row->mutual_node &&
			   strcmp(ours(first), ours(row)) != 0) {
			diagnose_error(c->d, row->mutual_node->at,
				       "towards this initiator we are \"%s\" at line %u",
				       ours(first), first->mutual_node->at.line);
			diagnose_hint(c->d, "write mutual: %s", ours(first));
		}
	}
}

static bool is_user(const char *const *users, size_t count, const char *name)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = strcmp(name, users[middle]);

		if (r == 0)
			return true;
		if (r < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

/* Rows `first` to `end` name one mutual secret. */
static void mutual_check(struct compiler *c, size_t first, size_t end, bool user)
{
	const struct user_row *row = &c->users[first];
	const struct user_row *other = NULL;
	size_t more = 0;

	secret_check(c, row->mutual, row->mutual_node);
	if (user && strcmp(row->user, row->mutual) != 0) { /* in one entry it was told there */
		diagnose_error(c->d, row->mutual_node->at,
			       "\"%s\" is an initiator's user as well: a secret has one direction",
			       row->mutual);
		diagnose_hint(c->d, "name a secret of its own for each direction");
	}
	for (size_t i = first + 1; i < end; i++) {
		if (strcmp(c->users[i].initiator, row->initiator) == 0)
			continue;
		other = other ? other : &c->users[i];
		more++;
	}
	if (!other)
		return;
	diagnose_warning(c->d, other->mutual_node->at,
			 "the mutual secret \"%s\" of line %u is shared by %zu more initiator%s",
			 row->mutual, row->mutual_node->at.line, more, more == 1 ? "" : "s");
	diagnose_hint(c->d, "whoever knows it can play the gateway towards the others: give each "
			    "its own");
}

static void mutuals_check(struct compiler *c, const char *const *users, size_t count)
{
	size_t end;

	for (size_t first = 0; first < c->user_count && c->users[first].mutual; first = end) {
		const char *mutual = c->users[first].mutual;

		for (end = first + 1; end < c->user_count && c->users[end].mutual; end++)
			if (strcmp(c->users[end].mutual, mutual) != 0)
				break;
		mutual_check(c, first, end, is_user(users, count, mutual));
	}
}

void compile_users(struct compiler *c)
{
	OWNED_FREE const char **users = compile_alloc(c, c->user_count, sizeof *users);

	if (!users || c->user_count == 0)
		return;
	qsort(c->users, c->user_count, sizeof *c->users, by_user);
	for (size_t i = 0; i < c->user_count; i++)
		users[i] = c->users[i].user;
	users_check(c);
	qsort(c->users, c->user_count, sizeof *c->users, by_initiator);
	initiators_check(c);
	qsort(c->users, c->user_count, sizeof *c->users, by_mutual);
	mutuals_check(c, users, c->user_count);
}

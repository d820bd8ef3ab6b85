/* Accounts of the authenticator. The list comes from the monitor and is trusted to be
 * the policy's; the names that are looked up are strangers'. */
#include "auth/accounts.h"

#include <stdio.h>
#include "gateway/base/fd.h"
#include "gateway/base/log.h"

#define ALGORITHMS                                                      \
	(CHAP_ALGORITHM_BIT(CHAP_MD5) | CHAP_ALGORITHM_BIT(CHAP_SHA1) | \
	 CHAP_ALGORITHM_BIT(CHAP_SHA256) | CHAP_ALGORITHM_BIT(CHAP_SHA3_256))

#define ROLE_BIT(role) (1u << (role))

static const struct account_secrets no_secrets = {{-1, -1}, {-1, -1}};

void accounts_open(struct accounts *a, struct secret dummies[ACCOUNT_DUMMIES],
		   const struct store *store)
{
	*a = (struct accounts){.dummies = dummies, .store = store};
	crypto_shorthash_keygen(a->tag_key);
	for (size_t i = 0; i < ACCOUNT_DUMMIES; i++) {
		secret_wipe(&dummies[i]);
		dummies[i].len = 16;
		randombytes_buf(dummies[i].octets, dummies[i].len);
	}
}

static void accounts_free(struct accounts *a)
{
	free(a->list);
	free(a->secrets);
	free(a->tags);
}

void accounts_close(struct accounts *a)
{
	accounts_free(a);
	*a = (struct accounts){0};
}

/* Over all octets of a name's room, whatever its length. */
static struct tag tag_of(const struct accounts *a, const char name[CHAP_NAME_SIZE])
{
	struct tag t;

	_Static_assert(sizeof t == crypto_shorthash_siphashx24_BYTES, "a tag is one hash");
	(void)crypto_shorthash_siphashx24((uint8_t *)&t, (const uint8_t *)name, CHAP_NAME_SIZE,
					  a->tag_key);
	return t;
}

static bool name_copy(char dst[CHAP_NAME_SIZE], const char src[CHAP_NAME_SIZE])
{
	size_t len = strnlen(src, CHAP_NAME_SIZE);

	memset(dst, 0, CHAP_NAME_SIZE);
	if (len == CHAP_NAME_SIZE)
		return false;
	memcpy(dst, src, len);
	return true;
}

static int account_order(const void *a, const void *b)
{
	return strcmp(((const struct auth_account *)a)->user,
		      ((const struct auth_account *)b)->user);
}

/* An initiator that may enter several targets is in the list as often: one account, with what all
 * of them allow. Mutual names that differ leave none, which is no usable account. */
static size_t accounts_merge(struct auth_account *list, size_t count)
{
	size_t kept = 0;

	qsort(list, count, sizeof *list, account_order);
	for (size_t i = 0; i < count; i++) {
		struct auth_account *last = kept > 0 ? &list[kept - 1] : NULL;

		if (!last || strcmp(last->user, list[i].user) != 0) {
			list[kept++] = list[i];
			continue;
		}
		last->algorithms &= list[i].algorithms;
		if (strcmp(last->mutual, list[i].mutual) != 0)
			last->algorithms = 0;
	}
	return kept;
}

static int accounts_copy(struct accounts *a, const struct auth_account *list, size_t count)
{
	a->list = calloc(count + 1, sizeof *a->list);
	a->secrets = calloc(count + 1, sizeof *a->secrets);
	a->tags = calloc(count + 1, sizeof *a->tags);
	if (!a->list || !a->secrets || !a->tags)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (!name_copy(a->list[i].user, list[i].user) ||
		    !name_copy(a->list[i].mutual, list[i].mutual) || !*list[i].user)
			return -EINVAL;
		a->list[i].algorithms = list[i].algorithms;
	}
	a->count = accounts_merge(a->list, count);
	memset(&a->list[a->count], 0, sizeof a->list[a->count]);
	for (size_t i = 0; i <= a->count; i++) {
		a->secrets[i] = no_secrets;
		a->tags[i] = tag_of(a, a->list[i].user);
	}
	return 0;
}

int accounts_set(struct accounts *a, const struct auth_account *list, size_t count,
		 uint32_t algorithms)
{
	struct accounts fresh = *a;
	int r;

	if (count > ACCOUNTS_MAX || (algorithms & ~ALGORITHMS))
		return -EINVAL;
	fresh.list = NULL;
	fresh.secrets = NULL;
	fresh.tags = NULL;
	fresh.algorithms = algorithms;
	if ((r = accounts_copy(&fresh, list, count)) < 0) {
		accounts_free(&fresh);
		return r;
	}
	accounts_free(a);
	*a = fresh;
	return 0;
}

/* --- secrets --------------------------------------------------------------------------------- */

/* Of each secret of the store, which one of another name is the same; -1: none. By tags under a key
 * of this moment: each with each would be too many, and an order of secrets would tell of them. */
struct twin {
	struct tag tag;
	int32_t at;
};

static int twin_order(const void *a, const void *b)
{
	const struct twin *x = a, *y = b;
	int order = memcmp(&x->tag, &y->tag, sizeof x->tag);

	return order ? order : x->at < y->at ? -1 : x->at > y->at;
}

static void twins_tag(const struct store *s, struct twin *twins)
{
	uint8_t key[crypto_shorthash_siphashx24_KEYBYTES];

	crypto_shorthash_keygen(key);
	for (size_t i = 0; i < s->list.count; i++) {
		twins[i].at = (int32_t)i;
		(void)crypto_shorthash_siphashx24((uint8_t *)&twins[i].tag,
						  (const uint8_t *)&s->secrets[i],
						  sizeof s->secrets[i], key);
	}
	sodium_memzero(key, sizeof key);
	qsort(twins, s->list.count, sizeof *twins, twin_order);
}

static int32_t *twins_find(const struct store *s)
{
	OWNED_FREE struct twin *twins = calloc(s->list.count + 1, sizeof *twins);
	int32_t *found = calloc(s->list.count + 1, sizeof *found);

	if (!twins || !found) {
		free(found);
		return NULL;
	}
	memset(found, 0xff, s->list.count * sizeof *found);
	twins_tag(s, twins);
	for (size_t i = 1; i < s->list.count; i++) {
		const int32_t one = twins[i - 1].at, other = twins[i].at;

		if (!secret_equal(&s->secrets[one], &s->secrets[other]) ||
		    strcmp(s->list.entries[one].name, s->list.entries[other].name) == 0)
			continue;
		found[one] = other;
		found[other] = one;
	}
	sodium_memzero(twins, s->list.count * sizeof *twins);
	return found;
}

/* What is looked at for all accounts. */
struct resolving {
	struct accounts *a;
	int32_t *twins;
	uint8_t *roles; /* of each secret */
	char text[256];
};

static void role_find(const struct accounts *a, const char *name, enum account_role role,
		      struct account_secrets *ret)
{
	ssize_t at = *name ? store_list_find(&a->store->list, name) : -1;

	ret->now[role] = (int32_t)at;
	ret->before[role] = at < 0 ? -1 : (int32_t)store_list_before(&a->store->list, (size_t)at);
}

static bool has_twin(struct resolving *r, int32_t at)
{
	const struct store_entry *entries = r->a->store->list.entries;

	if (at < 0 || r->twins[at] < 0)
		return false;
	(void)snprintf(r->text, sizeof r->text,
		       "%s and %s have the same secret, so that who knows it could be both: "
		       "sallyport secret rotate or set another for one",
		       entries[at].name, entries[r->twins[at]].name);
	return true;
}

static const char *place_find(struct resolving *r, size_t i)
{
	const struct auth_account *one = &r->a->list[i];
	struct account_secrets s;

	role_find(r->a, one->user, ACCOUNT_USER, &s);
	role_find(r->a, one->mutual, ACCOUNT_MUTUAL, &s);
	if (s.now[ACCOUNT_USER] < 0 || (*one->mutual && s.now[ACCOUNT_MUTUAL] < 0))
		return "a secret is missing: sallyport secret generate or set";
	if (one->algorithms == 0)
		return "the policy leaves it no algorithm, or names two mutual names for it";
	if (s.now[ACCOUNT_USER] == s.now[ACCOUNT_MUTUAL])
		return "both directions have the same secret: set another one";
	for (size_t role = 0; role < ACCOUNT_ROLES; role++)
		if (has_twin(r, s.now[role]) || has_twin(r, s.before[role]))
			return r->text;
	r->a->secrets[i] = s;
	for (size_t role = 0; role < ACCOUNT_ROLES; role++)
		if (s.now[role] >= 0)
			r->roles[s.now[role]] |= (uint8_t)ROLE_BIT(role);
	return NULL;
}

/* RFC 7143 section 9.2.1: a secret that authenticates initiators authenticates no target. */
static const char *place_check(struct resolving *r, size_t i)
{
	const int32_t *now = r->a->secrets[i].now;

	if ((now[ACCOUNT_USER] >= 0 && (r->roles[now[ACCOUNT_USER]] & ROLE_BIT(ACCOUNT_MUTUAL))) ||
	    (now[ACCOUNT_MUTUAL] >= 0 && (r->roles[now[ACCOUNT_MUTUAL]] & ROLE_BIT(ACCOUNT_USER))))
		return "its secret is also used in the other direction: give each its own";
	return NULL;
}

static void why_missing(const struct auth_account *one, const char *what, char *ret_why,
			size_t size)
{
	char user[128];

	(void)text_escape(one->user, strlen(one->user), user, sizeof user);
	(void)snprintf(ret_why, size, "CHAP user \"%s\" can't log in: %s", user, what);
}

size_t accounts_resolve(struct accounts *a, const struct store *store, char *ret_why,
			size_t why_size)
{
	static const char *(*const passes[])(struct resolving * r, size_t i) = {place_find,
										place_check};
	OWNED_FREE uint8_t *roles = calloc(store->list.count + 1, 1);
	OWNED_FREE int32_t *twins = twins_find(store);
	struct resolving r = {.a = a, .twins = twins, .roles = roles};
	size_t missing = 0;

	a->store = store;
	for (size_t i = 0; i < a->count; i++)
		a->secrets[i] = no_secrets;
	if (!roles || !twins) {
		(void)snprintf(ret_why, why_size, "no memory to look the secrets up");
		return a->count;
	}
	for (size_t pass = 0; pass < ARRAY_LEN(passes); pass++) {
		for (size_t i = 0; i < a->count; i++) {
			const char *what = passes[pass](&r, i);

			if (what && missing++ == 0)
				why_missing(&a->list[i], what, ret_why, why_size);
			if (what)
				a->secrets[i] = no_secrets;
		}
	}
	return missing;
}

/* --- finding --------------------------------------------------------------------------------- */

/* Looks at every tag, and takes the same steps for each. */
static size_t tag_find(const struct accounts *a, struct tag t)
{
	uint64_t found = a->count;

	for (size_t i = 0; i < a->count; i++) {
		uint64_t differs = (a->tags[i].a ^ t.a) | (a->tags[i].b ^ t.b);
		uint64_t same = ((differs | (0 - differs)) >> 63) - 1; /* all ones or zero */

		found = (found & ~same) | (i & same);
	}
	return (size_t)found;
}

#define CLOCK_MAY_ERR_S 86400

/* Not before the rotation, either: then the clock was set back, and nobody knows what is over. */
static bool overlap_lasts(const struct store_entry *e, const struct store_entry *old,
			  uint64_t now_s)
{
	return old->until_s > now_s && e->created_s <= now_s + CLOCK_MAY_ERR_S;
}

static struct account_key key_of(const struct accounts *a, const struct account_secrets *s,
				 enum account_role role, uint64_t now_s)
{
	const struct store_entry none = {0};
	const struct store_entry *entries = a->store->list.entries;
	const int32_t now = s->now[role], before = s->before[role];
	const struct store_entry *e = now >= 0 ? &entries[now] : &none,
				 *old = before >= 0 ? &entries[before] : &none;

	return (struct account_key){
		.now = now >= 0 ? &a->store->secrets[now] : &a->dummies[role],
		.before = before >= 0 ? &a->store->secrets[before]
				      : &a->dummies[ACCOUNT_ROLES + role],
		.overlap = overlap_lasts(e, old, now_s),
		.since_s = e->created_s,
	};
}

void accounts_find(const struct accounts *a, const char user[CHAP_NAME_SIZE], uint64_t now_s,
		   struct account *ret_account)
{
	static const struct auth_account nobody;
	const struct auth_account *one = &nobody;
	struct account_secrets s = no_secrets;
	char name[CHAP_NAME_SIZE];
	bool same = name_copy(name, user);

	if (a->list) {
		size_t at = tag_find(a, tag_of(a, name));

		one = &a->list[at];
		s = a->secrets[at];
	}
	same = sodium_memcmp(one->user, name, CHAP_NAME_SIZE) == 0 && same;
	*ret_account = (struct account){
		.known = same && s.now[ACCOUNT_USER] >= 0,
		.algorithms = one->algorithms,
		.keys = {key_of(a, &s, ACCOUNT_USER, now_s), key_of(a, &s, ACCOUNT_MUTUAL, now_s)},
		.mutual_name = one->mutual,
	};
}

int accounts_take(struct accounts *a, int fd, const struct auth_count *count)
{
	OWNED_FREE char *bytes = NULL;
	size_t len;
	int r = fd_read_all(fd, ACCOUNTS_MAX * sizeof(struct auth_account), &bytes, &len);

	if (r < 0)
		return r;
	if (len != (size_t)count->count * sizeof(struct auth_account))
		return -EINVAL;
	return accounts_set(a, (const struct auth_account *)(void *)bytes, count->count,
			    count->algorithms);
}

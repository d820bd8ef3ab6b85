/* Accounts of the authenticator. The list comes from the monitor and is trusted to be
 * the policy's; the names that are looked up are strangers'. */
#include "auth/accounts.h"

#include <stdio.h>
#include "gateway/base/log.h"

#define ALGORITHMS                                                      \
	(CHAP_ALGORITHM_BIT(CHAP_MD5) | CHAP_ALGORITHM_BIT(CHAP_SHA1) | \
	 CHAP_ALGORITHM_BIT(CHAP_SHA256) | CHAP_ALGORITHM_BIT(CHAP_SHA3_256))

enum role { ROLE_USER = 1, ROLE_MUTUAL = 2 };

void accounts_open(struct accounts *a, struct secret dummies[2], const struct store *store)
{
	*a = (struct accounts){.dummies = dummies, .store = store};
	crypto_shorthash_keygen(a->tag_key);
	for (size_t i = 0; i < 2; i++) {
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
		a->secrets[i] = (struct account_secrets){-1, -1};
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

static const char *place_find(const struct accounts *a, size_t i, struct account_secrets *ret)
{
	const struct auth_account *one = &a->list[i];
	ssize_t user = store_list_find(&a->store->list, one->user), mutual = -1;

	if (*one->mutual)
		mutual = store_list_find(&a->store->list, one->mutual);
	if (user < 0 || (*one->mutual && mutual < 0))
		return "a secret is missing: sallyport secret generate or set";
	if (one->algorithms == 0)
		return "the policy leaves it no algorithm, or names two mutual names for it";
	if (mutual >= 0 && secret_equal(&a->store->secrets[user], &a->store->secrets[mutual]))
		return "both directions have the same secret: set another one";
	*ret = (struct account_secrets){(int32_t)user, (int32_t)mutual};
	return NULL;
}

/* RFC 7143 section 9.2.1: a secret that authenticates initiators authenticates no target. */
static const char *place_check(const struct account_secrets *s, const uint8_t *roles)
{
	if ((s->user >= 0 && (roles[s->user] & ROLE_MUTUAL)) ||
	    (s->mutual >= 0 && (roles[s->mutual] & ROLE_USER)))
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
	OWNED_FREE uint8_t *roles = calloc(store->list.count + 1, 1);
	size_t missing = 0;

	a->store = store;
	for (size_t i = 0; i < a->count; i++)
		a->secrets[i] = (struct account_secrets){-1, -1};
	if (!roles) {
		(void)snprintf(ret_why, why_size, "no memory to look the secrets up");
		return a->count;
	}
	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < a->count; i++) {
			struct account_secrets *s = &a->secrets[i];
			const char *what = pass == 0 ? place_find(a, i, s) : place_check(s, roles);

			if (what && missing++ == 0)
				why_missing(&a->list[i], what, ret_why, why_size);
			if (what)
				*s = (struct account_secrets){-1, -1};
			if (pass == 0 && s->user >= 0)
				roles[s->user] |= ROLE_USER;
			if (pass == 0 && s->mutual >= 0)
				roles[s->mutual] |= ROLE_MUTUAL;
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

static const struct secret *secret_or_dummy(const struct accounts *a, int32_t at, size_t dummy)
{
	return at >= 0 ? &a->store->secrets[at] : &a->dummies[dummy];
}

void accounts_find(const struct accounts *a, const char user[CHAP_NAME_SIZE],
		   struct account *ret_account)
{
	static const struct auth_account nobody;
	const struct auth_account *one = &nobody;
	struct account_secrets s = {-1, -1};
	char name[CHAP_NAME_SIZE];
	bool same = name_copy(name, user);

	if (a->list) {
		size_t at = tag_find(a, tag_of(a, name));

		one = &a->list[at];
		s = a->secrets[at];
	}
	same = sodium_memcmp(one->user, name, CHAP_NAME_SIZE) == 0 && same;
	*ret_account = (struct account){
		.known = same && s.user >= 0,
		.algorithms = one->algorithms,
		.secret = secret_or_dummy(a, s.user, 0),
		.mutual = secret_or_dummy(a, s.mutual, 1),
		.mutual_name = one->mutual,
	};
}

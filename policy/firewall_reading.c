/* The kernel's answers about our tables as items that can be compared: libnftnl takes the messages
 * apart, what changes by itself (handles, counters, times) is left out. Runs in the firewall
 * process. The kernel is trusted to tell the truth; how much it tells is bounded, and names in it
 * are somebody's. */
#include "policy/firewall_reading.h"

/* The C library's addresses come before the kernel's, which then leave theirs out. */
#include <netinet/in.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/flowtable.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include "policy/firewall_describe.h"

const char *const firewall_tables[FIREWALL_TABLES] = {"sallyport", "sallyport-bans"};

/* One end of an interval, until all have come. */
struct end {
	uint32_t name;
	uint32_t key_type;
	uint8_t table, len;
	bool closes;
	uint8_t key[16];
};

struct firewall_reading {
	struct firewall_item *items;
	size_t count, size;
	struct end *ends;
	size_t end_count, end_size;
	char *text;
	size_t len, text_size;
};

struct firewall_reading *firewall_reading_new(void)
{
	return calloc(1, sizeof(struct firewall_reading));
}

void firewall_reading_free(struct firewall_reading *r)
{
	if (!r)
		return;
	free(r->items);
	free(r->ends);
	free(r->text);
	free(r);
}

size_t firewall_reading_count(const struct firewall_reading *r)
{
	return r->count;
}

const struct firewall_item *firewall_reading_item(const struct firewall_reading *r, size_t i)
{
	return &r->items[i];
}

const char *firewall_reading_text(const struct firewall_reading *r, uint32_t offset)
{
	return r->text + offset;
}

/* --- growing ------------------------------------------------------------------------------ */

/* Room for one more of `each` octets; at most `most`. */
static int room_make(void **list, size_t *size, size_t count, size_t each, size_t most)
{
	size_t want = *size ? *size * 2 : 64;
	void *more;

	if (count < *size)
		return 0;
	if (count >= most)
		return -E2BIG;
	more = reallocarray(*list, want, each);
	if (!more)
		return -ENOMEM;
	*list = more;
	*size = want;
	return 0;
}

static int text_add(struct firewall_reading *r, const char *text, uint32_t *ret_offset)
{
	size_t len = strlen(text) + 1, want = r->text_size ? r->text_size : 4096;
	char *more;

	if (len > FIREWALL_TEXT_MAX - r->len)
		return -E2BIG;
	while (want < r->len + len)
		want *= 2;
	if (want != r->text_size) {
		more = realloc(r->text, want);
		if (!more)
			return -ENOMEM;
		r->text = more;
		r->text_size = want;
	}
	memcpy(r->text + r->len, text, len);
	*ret_offset = (uint32_t)r->len;
	r->len += len;
	return 0;
}

static int item_add(struct firewall_reading *r, struct firewall_item item, const char *body)
{
	int s = room_make((void **)&r->items, &r->size, r->count, sizeof *r->items,
			  FIREWALL_ITEMS_MAX);

	if (s < 0 || (s = text_add(r, body, &item.body)) < 0)
		return s;
	item.place = (uint32_t)r->count;
	r->items[r->count++] = item;
	return 0;
}

/* An item with a name of its own. */
static int named_add(struct firewall_reading *r, struct firewall_item item, const char *name,
		     const char *body)
{
	int s = text_add(r, name, &item.name);

	return s < 0 ? s : item_add(r, item, body);
}

/* Which of ours, or FIREWALL_TABLES. */
static uint8_t table_number(const char *name)
{
	uint8_t i = 0;

	while (i < FIREWALL_TABLES && (!name || strcmp(name, firewall_tables[i]) != 0))
		i++;
	return i;
}

/* --- tables, chains, sets ----------------------------------------------------------------- */

static int table_take(struct firewall_reading *r, const struct nlmsghdr *h)
{
	struct nftnl_table *t = nftnl_table_alloc();
	struct firewall_item item = {.kind = ITEM_TABLE};
	char body[64];
	int s = -ENOMEM;

	if (!t)
		return s;
	s = 0;
	if (nftnl_table_nlmsg_parse(h, t) == 0 &&
	    (item.table = table_number(nftnl_table_get_str(t, NFTNL_TABLE_NAME))) <
		    FIREWALL_TABLES) {
		(void)snprintf(body, sizeof body, "flags %" PRIu32,
			       nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS));
		s = named_add(r, item, "", body);
	}
	nftnl_table_free(t);
	return s;
}

static int chain_take(struct firewall_reading *r, const struct nlmsghdr *h)
{
	struct nftnl_chain *c = nftnl_chain_alloc();
	struct firewall_item item = {.kind = ITEM_CHAIN};
	char body[FIREWALL_BODY_MAX];
	const char *name;
	int s = -ENOMEM;
	bool fine;

	if (!c)
		return s;
	s = 0;
	fine = nftnl_chain_nlmsg_parse(h, c) == 0;
	item.table = table_number(nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE));
	name = nftnl_chain_get_str(c, NFTNL_CHAIN_NAME);
	if (item.table < FIREWALL_TABLES && name) {
		firewall_chain_describe(c, body);
		s = named_add(r, item, name, fine ? body : FIREWALL_NO_READING);
	}
	nftnl_chain_free(c);
	return s;
}

static int set_take(struct firewall_reading *r, const struct nlmsghdr *h)
{
	struct nftnl_set *set = nftnl_set_alloc();
	struct firewall_item item = {.kind = ITEM_SET};
	char body[FIREWALL_BODY_MAX];
	const char *name;
	int s = -ENOMEM;
	bool fine;

	if (!set)
		return s;
	s = 0;
	fine = nftnl_set_nlmsg_parse(h, set) == 0;
	item.table = table_number(nftnl_set_get_str(set, NFTNL_SET_TABLE));
	name = nftnl_set_get_str(set, NFTNL_SET_NAME);
	if (item.table < FIREWALL_TABLES && name) {
		item.dynamic = nftnl_set_get_u32(set, NFTNL_SET_FLAGS) &
			       (NFT_SET_TIMEOUT | NFT_SET_EVAL);
		item.interval = nftnl_set_get_u32(set, NFTNL_SET_FLAGS) & NFT_SET_INTERVAL;
		item.key_type = nftnl_set_get_u32(set, NFTNL_SET_KEY_TYPE);
		firewall_set_describe(set, body);
		s = named_add(r, item, name, fine ? body : FIREWALL_NO_READING);
	}
	nftnl_set_free(set);
	return s;
}

/* --- rules -------------------------------------------------------------------------------- */

static int rule_take(struct firewall_reading *r, const struct nlmsghdr *h)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	struct firewall_item item = {.kind = ITEM_RULE};
	char body[FIREWALL_BODY_MAX];
	const char *chain;
	int s = -ENOMEM;
	bool fine;

	if (!rule)
		return s;
	s = 0;
	fine = nftnl_rule_nlmsg_parse(h, rule) == 0; /* not, when libnftnl is older than a rule */
	item.table = table_number(nftnl_rule_get_str(rule, NFTNL_RULE_TABLE));
	chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN);
	if (item.table < FIREWALL_TABLES && chain) {
		fine = fine && firewall_rule_describe(rule, body);
		s = named_add(r, item, chain, fine ? body : FIREWALL_NO_READING);
	}
	nftnl_rule_free(rule);
	return s;
}

/* --- objects and flowtables --------------------------------------------------------------- */

/* Their names are enough: what one of them does needs a rule, which is seen. */
static int more_take(struct firewall_reading *r, const char *table, const char *name,
		     const char *what)
{
	struct firewall_item item = {.kind = ITEM_MORE, .table = table_number(table)};

	return item.table < FIREWALL_TABLES && name ? named_add(r, item, name, what) : 0;
}

static int object_take(struct firewall_reading *r, const struct nlmsghdr *h)
{
	struct nftnl_obj *o = nftnl_obj_alloc();
	int s = -ENOMEM;

	if (!o)
		return s;
	(void)nftnl_obj_nlmsg_parse(h, o); /* with names, if not with what it can't read */
	s = more_take(r, nftnl_obj_get_str(o, NFTNL_OBJ_TABLE),
		      nftnl_obj_get_str(o, NFTNL_OBJ_NAME), "an object");
	nftnl_obj_free(o);
	return s;
}

static int flowtable_take(struct firewall_reading *r, const struct nlmsghdr *h)
{
	struct nftnl_flowtable *f = nftnl_flowtable_alloc();
	int s = -ENOMEM;

	if (!f)
		return s;
	(void)nftnl_flowtable_nlmsg_parse(h, f);
	s = more_take(r, nftnl_flowtable_get_str(f, NFTNL_FLOWTABLE_TABLE),
		      nftnl_flowtable_get_str(f, NFTNL_FLOWTABLE_NAME), "a flowtable");
	nftnl_flowtable_free(f);
	return s;
}

/* --- elements ----------------------------------------------------------------------------- */

static int end_add(struct firewall_reading *r, const struct firewall_item *set, const uint8_t *key,
		   uint32_t len, bool closes)
{
	int s = room_make((void **)&r->ends, &r->end_size, r->end_count, sizeof *r->ends,
			  FIREWALL_ITEMS_MAX);
	struct end *e;

	if (s < 0)
		return s;
	e = &r->ends[r->end_count++];
	*e = (struct end){set->name, set->key_type, set->table, (uint8_t)len, closes, {0}};
	memcpy(e->key, key, len);
	return 0;
}

/* With what stands beside it: a second key, data, a verdict, an expression. */
static int element_add(struct firewall_reading *r, const struct firewall_item *set,
		       struct nftnl_set_elem *e, const uint8_t *key, uint32_t len)
{
	static const uint16_t beside[] = {NFTNL_SET_ELEM_DATA, NFTNL_SET_ELEM_VERDICT,
					  NFTNL_SET_ELEM_EXPR, NFTNL_SET_ELEM_EXPRESSIONS,
					  NFTNL_SET_ELEM_OBJREF};
	struct firewall_item item = {.kind = ITEM_ELEMENT, .table = set->table, .name = set->name};
	char text[FIREWALL_KEY_TEXT], body[2 * FIREWALL_KEY_TEXT + 64];
	const uint8_t *last;
	uint32_t last_len = 0;
	int n;

	firewall_key_format(key, len, set->key_type, text);
	n = snprintf(body, sizeof body, "%s", text);
	if ((last = nftnl_set_elem_get(e, NFTNL_SET_ELEM_KEY_END, &last_len))) {
		firewall_key_format(last, last_len, set->key_type, text);
		n += snprintf(body + n, sizeof body - (size_t)n, "-%s", text);
	}
	for (size_t i = 0; i < ARRAY_LEN(beside); i++)
		if (nftnl_set_elem_is_set(e, beside[i]))
			n += snprintf(body + n, sizeof body - (size_t)n, " with %u", beside[i]);
	return item_add(r, item, body);
}

static int element_take(struct firewall_reading *r, const struct firewall_item *set,
			struct nftnl_set_elem *e)
{
	uint32_t len = 0, flags = nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_FLAGS)
					  ? nftnl_set_elem_get_u32(e, NFTNL_SET_ELEM_FLAGS)
					  : 0;
	const uint8_t *key = nftnl_set_elem_get(e, NFTNL_SET_ELEM_KEY, &len);
	static const uint8_t none[1];

	if (!key)
		return element_add(r, set, e, none, 0);
	if (set->interval && len <= sizeof r->ends->key)
		return end_add(r, set, key, len, flags & NFT_SET_ELEM_INTERVAL_END);
	return element_add(r, set, e, key, len);
}

/* The set with this name, which was told before; sets are told first. */
static bool set_find(const struct firewall_reading *r, uint8_t table, const char *name,
		     struct firewall_item *ret_set)
{
	for (size_t i = 0; name && i < r->count; i++) {
		const struct firewall_item *item = &r->items[i];

		if (item->kind == ITEM_SET && item->table == table &&
		    strcmp(r->text + item->name, name) == 0) {
			*ret_set = *item;
			return true;
		}
	}
	return false;
}

static int elements_each(struct firewall_reading *r, const struct firewall_item *set,
			 const struct nftnl_set *elements)
{
	struct nftnl_set_elems_iter *iter = nftnl_set_elems_iter_create(elements);
	struct nftnl_set_elem *e;
	int s = iter ? 0 : -ENOMEM;

	while (s == 0 && (e = nftnl_set_elems_iter_next(iter)))
		s = element_take(r, set, e);
	if (iter)
		nftnl_set_elems_iter_destroy(iter);
	return s;
}

static int elements_take(struct firewall_reading *r, const struct nlmsghdr *h)
{
	struct nftnl_set *elements = nftnl_set_alloc();
	struct firewall_item set;
	int s = -ENOMEM, fine;

	if (!elements)
		return s;
	s = 0;
	fine = nftnl_set_elems_nlmsg_parse(h, elements);
	if (set_find(r, table_number(nftnl_set_get_str(elements, NFTNL_SET_TABLE)),
		     nftnl_set_get_str(elements, NFTNL_SET_NAME), &set) &&
	    !set.dynamic) {
		s = elements_each(r, &set, elements);
		set.kind = ITEM_ELEMENT;
		if (s == 0 && fine < 0)
			s = item_add(r, set, FIREWALL_NO_READING);
	}
	nftnl_set_free(elements);
	return s;
}

int firewall_reading_take(struct firewall_reading *r, const struct nlmsghdr *h)
{
	static const struct {
		uint16_t type;
		int (*take)(struct firewall_reading *r, const struct nlmsghdr *h);
	} kinds[] = {
		{NFT_MSG_NEWTABLE, table_take},	     {NFT_MSG_NEWCHAIN, chain_take},
		{NFT_MSG_NEWSET, set_take},	     {NFT_MSG_NEWRULE, rule_take},
		{NFT_MSG_NEWOBJ, object_take},	     {NFT_MSG_NEWFLOWTABLE, flowtable_take},
		{NFT_MSG_NEWSETELEM, elements_take},
	};
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);

	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    mnl_nlmsg_get_payload_len(h) < sizeof *g || g->nfgen_family != NFPROTO_INET)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].type == NFNL_MSG_TYPE(h->nlmsg_type))
			return kinds[i].take(r, h);
	return 0;
}

/* --- the end ------------------------------------------------------------------------------ */

static int end_compare(const void *x, const void *y, void *arg)
{
	const struct firewall_reading *r = arg;
	const struct end *a = x, *b = y;
	int c = a->table - b->table;

	if (c == 0)
		c = strcmp(r->text + a->name, r->text + b->name);
	if (c == 0)
		c = memcmp(a->key, b->key, sizeof a->key);
	return c ? c : b->closes - a->closes; /* what ends where the next begins comes first */
}

static bool ends_meet(const struct firewall_reading *r, size_t i)
{
	const struct end *a = &r->ends[i], *b = a + 1;

	return !a->closes && i + 1 < r->end_count && b->closes && a->table == b->table &&
	       strcmp(r->text + a->name, r->text + b->name) == 0;
}

/* An end is the first address beyond. */
static void key_step_back(uint8_t *key, size_t len)
{
	while (len > 0 && key[--len]-- == 0)
		;
}

/* "10.0.0.1", "10.0.0.1-10.0.0.9", "10.0.0.1-" up to the highest, "-10.0.0.9" where one end is
 * left over. nft opens each set with an end at zero, which says nothing. */
static int interval_add(struct firewall_reading *r, const struct end *first, struct end *last)
{
	const struct end *any = first ? first : last;
	struct firewall_item item = {.kind = ITEM_ELEMENT, .table = any->table, .name = any->name};
	char body[2 * FIREWALL_KEY_TEXT], from[FIREWALL_KEY_TEXT] = "", to[FIREWALL_KEY_TEXT] = "";
	static const uint8_t zero[sizeof any->key];

	if (!first && memcmp(last->key, zero, sizeof zero) == 0)
		return 0;
	if (last)
		key_step_back(last->key, last->len);
	if (first)
		firewall_key_format(first->key, first->len, first->key_type, from);
	if (last)
		firewall_key_format(last->key, last->len, last->key_type, to);
	if (strcmp(from, to) == 0)
		return item_add(r, item, from);
	(void)snprintf(body, sizeof body, "%s-%s", from, to);
	return item_add(r, item, body);
}

int firewall_item_compare(const struct firewall_reading *a, const struct firewall_item *x,
			  const struct firewall_reading *b, const struct firewall_item *y)
{
	int c = x->table - y->table;

	if (c == 0)
		c = x->kind - y->kind;
	return c ? c : strcmp(a->text + x->name, b->text + y->name);
}

static int item_compare(const void *x, const void *y, void *arg)
{
	const struct firewall_reading *r = arg;
	const struct firewall_item *a = x, *b = y;
	int c = firewall_item_compare(r, a, r, b);

	if (c == 0 && a->kind == ITEM_ELEMENT)
		c = strcmp(r->text + a->body, r->text + b->body);
	return c ? c : (a->place > b->place) - (a->place < b->place);
}

int firewall_reading_end(struct firewall_reading *r)
{
	int s = 0;

	if (r->end_count > 0)
		qsort_r(r->ends, r->end_count, sizeof *r->ends, end_compare, r);
	for (size_t i = 0; i < r->end_count && s == 0; i++) {
		struct end *e = &r->ends[i];

		if (ends_meet(r, i)) {
			s = interval_add(r, e, e + 1);
			i++;
		} else {
			s = e->closes ? interval_add(r, NULL, e) : interval_add(r, e, NULL);
		}
	}
	free(r->ends);
	r->ends = NULL;
	r->end_count = r->end_size = 0;
	if (r->count > 0)
		qsort_r(r->items, r->count, sizeof *r->items, item_compare, r);
	return s;
}

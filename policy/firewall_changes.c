/* What became of the rules that were loaded: two readings side by side, and the difference in
 * words for people. Runs in the firewall process; does no I/O. Names and rules may be anybody's:
 * they come escaped and cut. */
#include "policy/firewall_reading.h"

#include <stdarg.h>
#include <stdio.h>
#include "gateway/base/log.h"

#define PIECE_MAX 200 /* of one name or rule in the words */
#define TAIL_MAX  32  /* " … and N more" */

struct side {
	const struct firewall_reading *reading;
	size_t from, to; /* its items of one table, kind and name */
};

struct words {
	struct firewall_changes *changes;
	size_t len, told;
};

static const struct firewall_item *item(const struct side *s, size_t i)
{
	return firewall_reading_item(s->reading, i);
}

static const char *body(const struct side *s, size_t i)
{
	return firewall_reading_text(s->reading, item(s, i)->body);
}

static const char *escape(const char *text, char ret[PIECE_MAX])
{
	return text_escape(text, strlen(text), ret, PIECE_MAX);
}

/* Counts a change, and tells it while there is room. */
static void PRINTF_LIKE(2, 3) tell(struct words *w, const char *fmt, ...)
{
	struct firewall_changes *c = w->changes;
	size_t room = sizeof c->words - TAIL_MAX - w->len;
	va_list args;
	int n, before;

	c->count++;
	if (w->told + 1 < c->count)
		return; /* one did not fit: no gaps */
	before = snprintf(c->words + w->len, room, "%s", w->len ? "; " : "");
	va_start(args, fmt);
	n = vsnprintf(c->words + w->len + before, room - (size_t)before, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)(n + before) >= room) {
		c->words[w->len] = '\0';
		return;
	}
	w->len += (size_t)(n + before);
	w->told++;
}

/* A rule of ours is known by its comment: "policy line 3". */
static const char *rule_name(const char *rule, char ret[PIECE_MAX])
{
	size_t len = strlen(rule);
	const char *comment = strstr(rule, "] (");

	if (!comment || rule[len - 1] != ')')
		return escape(rule, ret);
	return text_escape(comment + 3, len - 1 - (size_t)(comment + 3 - rule), ret, PIECE_MAX);
}

/* "chain input of sallyport" */
static const char *place_name(const struct side *s, char ret[2 * PIECE_MAX])
{
	static const char *const kinds[] = {
		[ITEM_TABLE] = "table", [ITEM_CHAIN] = "chain", [ITEM_SET] = "set",
		[ITEM_MORE] = "object", [ITEM_RULE] = "chain",	[ITEM_ELEMENT] = "set",
	};
	const struct firewall_item *it = item(s, s->from);
	const char *name = firewall_reading_text(s->reading, it->name);
	char safe[PIECE_MAX];

	(void)snprintf(ret, 2 * PIECE_MAX, "%s %s%s%s", kinds[it->kind], escape(name, safe),
		       it->kind == ITEM_TABLE ? "" : " of ", firewall_tables[it->table]);
	return ret;
}

/* --- what holds others: tables, chains, sets ---------------------------------------------- */

/* Is there a thing of this kind with the name of those items? */
static bool holder_is_in(const struct firewall_reading *r, const struct side *of, uint8_t kind)
{
	struct firewall_item sought = *item(of, of->from);
	size_t low = 0, high = firewall_reading_count(r);
	bool named = kind != ITEM_TABLE;

	sought.kind = kind;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct firewall_item *it = firewall_reading_item(r, middle);
		int c = named || it->table != sought.table || it->kind != kind
				? firewall_item_compare(r, it, of->reading, &sought)
				: 0;

		if (c == 0)
			return true;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Of what is gone or new as a whole, the parts are not told. */
static bool holders_are_in_both(const struct side *was, const struct side *is)
{
	const struct side *some = was->from < was->to ? was : is;
	uint8_t kind = item(some, some->from)->kind;
	uint8_t holder = kind == ITEM_RULE ? ITEM_CHAIN : kind == ITEM_ELEMENT ? ITEM_SET : 0;

	if (kind == ITEM_TABLE)
		return true;
	return holder_is_in(was->reading, some, ITEM_TABLE) &&
	       holder_is_in(is->reading, some, ITEM_TABLE) &&
	       (!holder || (holder_is_in(was->reading, some, holder) &&
			    holder_is_in(is->reading, some, holder)));
}

static void things_compare(struct words *w, const struct side *was, const struct side *is)
{
	char name[2 * PIECE_MAX], old[PIECE_MAX], new[PIECE_MAX];

	if (is->from == is->to)
		tell(w, "%s is gone", place_name(was, name));
	else if (was->from == was->to)
		tell(w, "%s was added", place_name(is, name));
	else if (strcmp(body(was, was->from), body(is, is->from)) != 0)
		tell(w, "%s is changed: %s instead of %s", place_name(is, name),
		     escape(body(is, is->from), new), escape(body(was, was->from), old));
}

/* --- elements ----------------------------------------------------------------------------- */

static void elements_compare(struct words *w, const struct side *was, const struct side *is)
{
	size_t i = was->from, k = is->from;
	char name[2 * PIECE_MAX], what[PIECE_MAX];

	while (i < was->to || k < is->to) {
		int c = i == was->to ? 1 : k == is->to ? -1 : strcmp(body(was, i), body(is, k));

		if (c < 0)
			tell(w, "%s is gone from %s", escape(body(was, i), what),
			     place_name(was, name));
		if (c > 0)
			tell(w, "%s was added to %s", escape(body(is, k), what),
			     place_name(is, name));
		i += c <= 0;
		k += c >= 0;
	}
}

/* --- rules -------------------------------------------------------------------------------- */

/* Most is as it was: what both begin and end with is left out. */
static void sides_trim(struct side *was, struct side *is)
{
	while (was->from < was->to && is->from < is->to &&
	       strcmp(body(was, was->from), body(is, is->from)) == 0) {
		was->from++;
		is->from++;
	}
	while (was->from < was->to && is->from < is->to &&
	       strcmp(body(was, was->to - 1), body(is, is->to - 1)) == 0) {
		was->to--;
		is->to--;
	}
}

/* How often it stands there; where the comparing costs too much, as if it were not. */
static size_t times_in(const struct side *s, const char *rule)
{
	size_t count = 0;

	for (size_t i = s->from; i < s->to && s->to - s->from <= 256; i++)
		count += strcmp(body(s, i), rule) == 0;
	return count;
}

static void rules_compare(struct words *w, const struct side *was_all, const struct side *is_all)
{
	struct side was = *was_all, is = *is_all;
	char name[2 * PIECE_MAX], rule[PIECE_MAX];
	size_t before = w->changes->count;

	sides_trim(&was, &is);
	if (was.from == was.to && is.from == is.to)
		return;
	(void)place_name(was_all->from < was_all->to ? was_all : is_all, name);
	if (is_all->from == is_all->to) {
		tell(w, "%s is empty: %zu rules are gone", name, was_all->to - was_all->from);
		return;
	}
	for (size_t i = was.from; i < was.to; i++)
		if (times_in(&is, body(&was, i)) < times_in(&was, body(&was, i)) ||
		    times_in(&is, body(&was, i)) == 0)
			tell(w, "rule %zu is gone from %s: %s", i - was_all->from + 1, name,
			     rule_name(body(&was, i), rule));
	for (size_t i = is.from; i < is.to; i++)
		if (times_in(&was, body(&is, i)) < times_in(&is, body(&is, i)) ||
		    times_in(&was, body(&is, i)) == 0)
			tell(w, "rule %zu was added to %s: %s", i - is_all->from + 1, name,
			     escape(body(&is, i), rule));
	if (w->changes->count == before)
		tell(w, "the rules of %s stand in another order", name);
}

/* --- all of it ---------------------------------------------------------------------------- */

/* The items from `s->to` on that are about one thing become the side's. */
static void side_next(struct side *s)
{
	size_t count = firewall_reading_count(s->reading);

	s->from = s->to;
	while (s->to < count &&
	       firewall_item_compare(s->reading, item(s, s->from), s->reading, item(s, s->to)) == 0)
		s->to++;
}

static void sides_compare(struct words *w, const struct side *was, const struct side *is)
{
	const struct side *some = was->from < was->to ? was : is;
	const struct firewall_item *it = item(some, some->from);
	size_t before = w->changes->count;

	if (!holders_are_in_both(was, is))
		return;
	if (it->kind == ITEM_RULE)
		rules_compare(w, was, is);
	else if (it->kind == ITEM_ELEMENT)
		elements_compare(w, was, is);
	else
		things_compare(w, was, is);
	if (w->changes->count > before && it->table == 1)
		w->changes->bans = true;
}

bool firewall_reading_same(const struct firewall_reading *was, const struct firewall_reading *is,
			   struct firewall_changes *ret_changes)
{
	struct firewall_changes changes = {0};
	struct words w = {&changes, 0, 0};
	struct side a = {.reading = was}, b = {.reading = is};

	side_next(&a);
	side_next(&b);
	while (a.from < a.to || b.from < b.to) {
		int c = a.from == a.to	 ? 1
			: b.from == b.to ? -1
					 : firewall_item_compare(was, item(&a, a.from), is,
								 item(&b, b.from));
		const struct side none_was = {was, 0, 0}, none_is = {is, 0, 0};

		sides_compare(&w, c <= 0 ? &a : &none_was, c >= 0 ? &b : &none_is);
		if (c <= 0)
			side_next(&a);
		if (c >= 0)
			side_next(&b);
	}
	if (changes.count > w.told)
		(void)snprintf(changes.words + w.len, TAIL_MAX, "%s%zu more", w.len ? "; and " : "",
			       changes.count - w.told);
	*ret_changes = changes;
	return changes.count == 0;
}

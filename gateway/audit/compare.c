/* Rows of a comparison: for each kind of entry a table of measures. Names are peers' and raw. */
#include "gateway/audit/compare.h"

#include <stdio.h>

struct comparison {
	const struct statistics *of[2];
	bool all;
	compare_teller tell;
	void *arg;
	/* of the entry that is told */
	const char *what, *name;
};

const char *compare_change_name(enum compare_change change)
{
	static const char *const names[] = {
		[CHANGE_NONE] = "same", [CHANGE_NEW] = "new",	[CHANGE_GONE] = "gone",
		[CHANGE_MORE] = "more", [CHANGE_LESS] = "less",
	};

	return names[change];
}

static uint64_t length_ns(const struct statistics *s)
{
	return s->until_ns - s->since_ns;
}

static enum compare_change change_of(const struct comparison *c, uint64_t before, uint64_t after)
{
	/* by the hour, without a division: before / length before against after / length after */
	unsigned __int128 was = (unsigned __int128)before * length_ns(c->of[1]);
	unsigned __int128 is = (unsigned __int128)after * length_ns(c->of[0]);

	if (before == 0 || after == 0)
		return before == after ? CHANGE_NONE : before ? CHANGE_GONE : CHANGE_NEW;
	if (is / 2 >= was)
		return CHANGE_MORE;
	return was / 2 >= is ? CHANGE_LESS : CHANGE_NONE;
}

static void row(const struct comparison *c, const char *measure, uint64_t before, uint64_t after)
{
	struct compare_row r = {.what = c->what,
				.name = c->name,
				.measure = measure,
				.bytes = strstr(measure, "_bytes") != NULL,
				.before = before,
				.after = after,
				.change = change_of(c, before, after)};

	if (r.change != CHANGE_NONE || (c->all && (before || after)))
		c->tell(c->arg, &r);
}

/* --- measures: of an entry, or of zeroes when a period does not have it
 * ---------------------------- */

static void initiator_rows(const struct comparison *c, const void *before, const void *after)
{
	const struct initiator_count *b = before, *a = after;
	static const char *const measures[FAMILIES_OF_BLOCKS] = {"read_bytes", "written_bytes",
								 "discarded_bytes"};

	row(c, "logins", b->logins, a->logins);
	for (unsigned k = 0; k < FAMILIES_OF_BLOCKS; k++)
		row(c, measures[k], b->amounts[k].bytes, a->amounts[k].bytes);
	row(c, "reserve_commands", b->amounts[FAMILY_RESERVE].commands,
	    a->amounts[FAMILY_RESERVE].commands);
	row(c, "commands_denied", b->verdicts.denied, a->verdicts.denied);
	row(c, "commands_refused", b->verdicts.refused, a->verdicts.refused);
	row(c, "commands_failed", b->verdicts.failed, a->verdicts.failed);
}

static void source_rows(const struct comparison *c, const void *before, const void *after)
{
	const struct source_count *b = before, *a = after;

	row(c, "logins", b->logins, a->logins);
	row(c, "logins_refused", b->refused + b->not_listed, a->refused + a->not_listed);
	row(c, "connections_refused", b->connections, a->connections);
	row(c, "bans", b->bans, a->bans);
}

static void reason_rows(const struct comparison *c, const void *before, const void *after)
{
	const struct reason_count *b = before, *a = after;

	row(c, "times", b->count, a->count);
}

static void access_rows(const struct comparison *c, const void *before, const void *after)
{
	const struct access_count *b = before, *a = after;

	row(c, "read_bytes", b->amounts[FAMILY_READ].bytes, a->amounts[FAMILY_READ].bytes);
	row(c, "written_bytes", b->amounts[FAMILY_WRITE].bytes, a->amounts[FAMILY_WRITE].bytes);
	row(c, "discarded_bytes", b->amounts[FAMILY_DISCARD].bytes,
	    a->amounts[FAMILY_DISCARD].bytes);
}

/* --- names
 * ------------------------------------------------------------------------------------------ */

static void text_name(const void *entry, char ret[COMPARE_NAME_SIZE])
{
	(void)string_copy(ret, COMPARE_NAME_SIZE, entry); /* the key is the name */
}

static void source_name(const void *entry, char ret[COMPARE_NAME_SIZE])
{
	const struct source_count *s = entry;
	char text[ADDRESS_TEXT];

	(void)string_copy(ret, COMPARE_NAME_SIZE, network_format(&s->source, text));
}

static void access_name(const void *entry, char ret[COMPARE_NAME_SIZE])
{
	const struct access_count *a = entry;

	(void)snprintf(ret, COMPARE_NAME_SIZE, "%s to %s LUN %u", a->key.initiator, a->key.target,
		       a->key.lun);
}

/* In the order in which they are told. */
static const struct kind {
	const char *what;
	size_t table; /* offset in struct statistics */
	void (*rows)(const struct comparison *c, const void *before, const void *after);
	void (*name)(const void *entry, char ret[COMPARE_NAME_SIZE]);
} kinds[] = {
	{"refusal", offsetof(struct statistics, reasons), reason_rows, text_name},
	{"address", offsetof(struct statistics, sources), source_rows, source_name},
	{"initiator", offsetof(struct statistics, initiators), initiator_rows, text_name},
	{"access", offsetof(struct statistics, accesses), access_rows, access_name},
};

static const struct table *table_of(const struct statistics *s, const struct kind *kind)
{
	return (const void *)((const char *)s + kind->table);
}

static void compare_entry(struct comparison *c, const struct kind *kind, const void *before,
			  const void *after)
{
	static const uint64_t nothing[32768 / sizeof(uint64_t)];
	char name[COMPARE_NAME_SIZE];

	_Static_assert(sizeof(struct initiator_count) <= sizeof nothing &&
			       sizeof(struct access_count) <= sizeof nothing &&
			       sizeof(struct source_count) <= sizeof nothing,
		       "an entry that is not there is zeroes");
	kind->name(after ? after : before, name);
	c->what = kind->what;
	c->name = name;
	kind->rows(c, before ? before : nothing, after ? after : nothing);
}

static void compare_kind(struct comparison *c, const struct kind *kind)
{
	const struct table *before = table_of(c->of[0], kind), *after = table_of(c->of[1], kind);

	for (size_t k = 0; k < after->count; k++)
		compare_entry(c, kind, table_find(before, after->entries[k]), after->entries[k]);
	for (size_t k = 0; k < before->count; k++) {
		if (!table_find(after, before->entries[k]))
			compare_entry(c, kind, before->entries[k], NULL);
	}
}

static uint64_t listed(const struct statistics *s, enum statistics_list list)
{
	return s->lists[list] ? s->lists[list]->count + s->lists[list]->more : 0;
}

static void compare_gateway(struct comparison *c)
{
	const struct statistics *b = c->of[0], *a = c->of[1];

	c->what = "gateway";
	c->name = "";
	row(c, "logins", b->logins_ok, a->logins_ok);
	row(c, "logins_refused", b->refused + b->refused_not_listed,
	    a->refused + a->refused_not_listed);
	row(c, "denied", b->verdicts.denied, a->verdicts.denied);
	row(c, "failed", b->verdicts.failed, a->verdicts.failed);
	row(c, "read_bytes", b->amounts[FAMILY_READ].bytes, a->amounts[FAMILY_READ].bytes);
	row(c, "written_bytes", b->amounts[FAMILY_WRITE].bytes, a->amounts[FAMILY_WRITE].bytes);
	row(c, "policies_loaded", listed(b, LIST_POLICY), listed(a, LIST_POLICY));
	row(c, "operators_commands", listed(b, LIST_OPERATORS), listed(a, LIST_OPERATORS));
	row(c, "gaps", listed(b, LIST_GAPS), listed(a, LIST_GAPS));
}

void compare(const struct statistics *before, const struct statistics *after, bool all,
	     compare_teller tell, void *arg)
{
	struct comparison c = {.of = {before, after}, .all = all, .tell = tell, .arg = arg};

	compare_gateway(&c);
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
		compare_kind(&c, &kinds[k]);
}

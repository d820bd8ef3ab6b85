/* The JSON document of the statistics. Every text goes through the review's escaper, which makes it
 * harmless within a page's <script>, too; all else is numbers and names of ours. */
#include "gateway/cli/audit_facts.h"

#include "gateway/base/when.h"

#define SERIES_MAX 12 /* initiators with a line over time of their own */

struct doc {
	FILE *f;
	bool utc, some; /* some: the object or list that is open has a member */
};

static void name_put(struct doc *d, const char *name)
{
	(void)fputs(d->some ? "," : "", d->f);
	d->some = true;
	if (name)
		(void)fprintf(d->f, "\"%s\":", name);
}

static void open_with(struct doc *d, const char *name, char bracket)
{
	name_put(d, name);
	(void)fputc(bracket, d->f);
	d->some = false;
}

static void close_with(struct doc *d, char bracket)
{
	(void)fputc(bracket, d->f);
	d->some = true;
}

static void number(struct doc *d, const char *name, uint64_t value)
{
	name_put(d, name);
	(void)fprintf(d->f, "%llu", (unsigned long long)value);
}

static void flag(struct doc *d, const char *name, bool value)
{
	name_put(d, name);
	(void)fputs(value ? "true" : "false", d->f);
}

static void text(struct doc *d, const char *name, const char *value)
{
	name_put(d, name);
	(void)fputc('"', d->f);
	escape_put(d->f, ESCAPE_JSON, value);
	(void)fputc('"', d->f);
}

/* "first": first_time and first_ms; "": time and time_ms. */
static void when(struct doc *d, const char *name, uint64_t ns)
{
	char label[32], form[WHEN_TEXT];

	(void)snprintf(label, sizeof label, "%s%stime", name, name[0] ? "_" : "");
	text(d, label, when_format(ns, d->utc, form));
	(void)snprintf(label, sizeof label, "%s%sms", name, name[0] ? "_" : "time_");
	number(d, label, ns / 1000000);
}

static void amounts(struct doc *d, const struct amounts of[FAMILIES])
{
	char label[40];

	for (size_t k = 0; k < FAMILIES; k++) {
		const char *family = family_name((enum family)k);

		(void)snprintf(label, sizeof label, "%s_commands", family);
		number(d, label, of[k].commands);
		if (k >= FAMILIES_OF_BLOCKS)
			continue;
		(void)snprintf(label, sizeof label, "%s_blocks", family);
		number(d, label, of[k].blocks);
		(void)snprintf(label, sizeof label, "%s_bytes", family);
		number(d, label, of[k].bytes);
	}
}

static void verdicts(struct doc *d, const struct verdicts *v)
{
	number(d, "denied", v->denied);
	number(d, "refused_by_device", v->refused);
	number(d, "failed", v->failed);
	number(d, "not_executed", v->not_executed);
	number(d, "busy", v->busy);
}

/* --- the parts --- */

static void head(struct doc *d, const struct gathering *g)
{
	const struct statistics *s = g->s;
	char command[1024];

	open_with(d, "period", '{');
	text(d, "asked", g->period);
	when(d, "since", s->since_ns);
	when(d, "until", s->until_ns);
	when(d, "made", g->now_ns);
	close_with(d, '}');
	open_with(d, "trail", '{');
	text(d, "state_folder", g->review.cli->state);
	number(d, "records", s->records);
	number(d, "first_seq", s->first_sequence);
	number(d, "last_seq", s->last_sequence);
	number(d, "history_records", s->history_records);
	if (s->history_ns)
		when(d, "history", s->history_ns);
	number(d, "damaged_spots", g->review.damages);
	close_with(d, '}');
	open_with(d, "proof", '{');
	text(d, "state", g->proof.state);
	text(d, "text", g->proof.text);
	open_with(d, "findings", '[');
	for (size_t k = 0; k < g->proof.count; k++)
		text(d, NULL, g->proof.findings[k]);
	close_with(d, ']');
	number(d, "more_findings", g->proof.more);
	close_with(d, '}');
	text(d, "command", gathering_command(g, command, sizeof command));
}

static void totals(struct doc *d, const struct statistics *s)
{
	open_with(d, "totals", '{');
	number(d, "logins", s->logins_ok);
	number(d, "logins_joined", s->logins_joined);
	number(d, "discoveries", s->discoveries);
	number(d, "sessions", s->sessions);
	number(d, "logouts", s->logouts);
	number(d, "logins_refused", s->refused);
	number(d, "connections_refused", s->refused_connections);
	number(d, "refusals_not_listed", s->refused_not_listed);
	number(d, "bans", s->bans);
	number(d, "unbans", s->unbans);
	number(d, "decoys", s->decoys);
	amounts(d, s->amounts);
	verdicts(d, &s->verdicts);
	close_with(d, '}');
}

static void reasons(struct doc *d, const struct table *t)
{
	open_with(d, "refusals", '[');
	for (size_t k = 0; k < t->count; k++) {
		const struct reason_count *one = (const void *)t->entries[k];

		open_with(d, NULL, '{');
		text(d, "reason", one->reason);
		number(d, "count", one->count);
		close_with(d, '}');
	}
	close_with(d, ']');
}

static void source(struct doc *d, const struct source_count *one)
{
	char address[ADDRESS_TEXT];

	open_with(d, NULL, '{');
	text(d, "address", network_format(&one->source, address));
	number(d, "logins_refused", one->refused);
	number(d, "connections_refused", one->connections);
	number(d, "refusals_not_listed", one->not_listed);
	number(d, "of_others_at_most", one->over);
	number(d, "bans", one->bans);
	number(d, "decoys", one->decoys);
	number(d, "logins", one->logins);
	text(d, "last_reason", one->reason);
	text(d, "last_initiator", one->initiator);
	when(d, "first", one->first_ns);
	when(d, "last", one->last_ns);
	close_with(d, '}');
}

static void sources(struct doc *d, const struct table *t)
{
	open_with(d, "sources", '[');
	for (size_t k = 0; k < t->count; k++)
		source(d, (const void *)t->entries[k]);
	close_with(d, ']');
}

static void initiator(struct doc *d, const struct statistics *s, const struct initiator_count *one)
{
	if (!initiator_counts(one))
		return;
	open_with(d, NULL, '{');
	text(d, "initiator", one->name);
	number(d, "logins", one->logins);
	number(d, "discoveries", one->discoveries);
	number(d, "logouts", one->logouts);
	amounts(d, one->amounts);
	verdicts(d, &one->verdicts);
	number(d, "days_of_history", one->days);
	flag(d, "compared_with_history", unusual_compares(s, one));
	close_with(d, '}');
}

static void access_of(struct doc *d, const struct access_count *one)
{
	if (!access_counts(one))
		return;
	open_with(d, NULL, '{');
	text(d, "initiator", one->key.initiator);
	text(d, "target", one->key.target);
	if (one->key.lun != 0xffff)
		number(d, "lun", one->key.lun);
	text(d, "disk", one->on ? one->on->disk : "");
	flag(d, "block_bytes_known", one->on && one->on->block_bytes);
	amounts(d, one->amounts);
	verdicts(d, &one->verdicts);
	if (one->first_ns) {
		when(d, "first", one->first_ns);
		when(d, "last", one->last_ns);
	}
	close_with(d, '}');
}

static void tables(struct doc *d, const struct statistics *s)
{
	reasons(d, &s->reasons);
	sources(d, &s->sources);
	open_with(d, "initiators", '[');
	for (size_t k = 0; k < s->initiators.count; k++)
		initiator(d, s, (const void *)s->initiators.entries[k]);
	close_with(d, ']');
	open_with(d, "accesses", '[');
	for (size_t k = 0; k < s->accesses.count; k++)
		access_of(d, (const void *)s->accesses.entries[k]);
	close_with(d, ']');
}

static void note(struct doc *d, const struct event_note *n)
{
	char peer[ADDRESS_TEXT];

	open_with(d, NULL, '{');
	when(d, "", n->time_ns);
	number(d, "seq", n->sequence);
	text(d, "event", audit_event_name(n->kind));
	text(d, "reason", n->reason);
	if (n->peer.ip.version)
		text(d, "peer_ip", ip_format(&n->peer.ip, peer));
	text(d, "initiator", n->initiator);
	text(d, "target", n->target);
	text(d, "user", n->user);
	text(d, "detail", n->detail);
	close_with(d, '}');
}

static const char *const list_names[LISTS] = {
	[LIST_POLICY] = "policy",
	[LIST_OPERATORS] = "operators",
	[LIST_NOT_ALLOWED] = "operators_not_allowed",
	[LIST_BANS] = "bans",
	[LIST_FIRST_SEEN] = "first_seen",
	[LIST_GAPS] = "gaps",
	[LIST_DISKS] = "disks",
	[LIST_SERVICES] = "services",
};

static void lists(struct doc *d, const struct statistics *s)
{
	for (size_t which = 0; which < LISTS; which++) {
		open_with(d, list_names[which], '[');
		for (size_t k = 0; k < s->lists[which]->count; k++)
			note(d, &s->lists[which]->notes[k]);
		close_with(d, ']');
	}
}

static void unusual(struct doc *d, const struct statistics *s)
{
	char words[256];

	open_with(d, "unusual", '[');
	for (size_t k = 0; k < s->unusual_count; k++) {
		const struct unusual_note *n = &s->unusual[k];

		open_with(d, NULL, '{');
		text(d, "kind", unusual_name(n->kind));
		when(d, "from", n->from_ns);
		when(d, "", n->time_ns);
		number(d, "seq", n->sequence);
		text(d, "initiator", n->initiator);
		text(d, "target", n->target);
		if (n->lun != NO_LUN)
			number(d, "lun", n->lun);
		number(d, "value", n->value);
		number(d, "usual", n->usual);
		text(d, "text", unusual_text(n, words, sizeof words));
		close_with(d, '}');
	}
	close_with(d, ']');
}

/* --- over time --- */

static void series(struct doc *d, const char *name, const uint64_t values[STATISTICS_BUCKETS])
{
	open_with(d, name, '[');
	for (size_t k = 0; k < STATISTICS_BUCKETS; k++)
		number(d, NULL, values[k]);
	close_with(d, ']');
}

static void line_of(struct doc *d, const char *name,
		    uint64_t bytes[FAMILIES_OF_BLOCKS][STATISTICS_BUCKETS])
{
	open_with(d, NULL, '{');
	text(d, "initiator", name);
	series(d, "read_bytes", bytes[FAMILY_READ]);
	series(d, "write_bytes", bytes[FAMILY_WRITE]);
	series(d, "discard_bytes", bytes[FAMILY_DISCARD]);
	close_with(d, '}');
}

/* Those with the most have a line each, the others one together. */
static void lines(struct doc *d, const struct statistics *s)
{
	static uint64_t others[FAMILIES_OF_BLOCKS][STATISTICS_BUCKETS];
	size_t count = 0;

	memset(others, 0, sizeof others);
	open_with(d, "initiators", '[');
	for (size_t k = 0; k < s->initiators.count; k++) {
		struct initiator_count *one = (void *)s->initiators.entries[k];

		if (amounts_bytes(one->amounts) == 0)
			continue;
		if (count++ < SERIES_MAX) {
			line_of(d, one->name, one->bytes);
			continue;
		}
		for (size_t at = 0; at < FAMILIES_OF_BLOCKS * STATISTICS_BUCKETS; at++)
			(&others[0][0])[at] += (&one->bytes[0][0])[at];
	}
	close_with(d, ']');
	number(d, "other_initiators", count > SERIES_MAX ? count - SERIES_MAX : 0);
	if (count > SERIES_MAX) {
		open_with(d, "others", '[');
		line_of(d, "", others);
		close_with(d, ']');
	}
}

static void timeline(struct doc *d, const struct statistics *s)
{
	open_with(d, "timeline", '{');
	number(d, "start_ms", s->since_ns / 1000000);
	number(d, "bucket_ms", MAX(s->bucket_ns / 1000000, 1));
	number(d, "buckets", STATISTICS_BUCKETS);
	series(d, "logins", s->logins_at);
	series(d, "logins_refused", s->refusals_at);
	series(d, "connections_refused", s->connections_at);
	lines(d, s);
	close_with(d, '}');
}

/* Row, bucket, blocks read, written, discarded; of cells that have any. */
static void cells(struct doc *d, const struct lun_map *m)
{
	open_with(d, "cells", '[');
	for (size_t row = 0; row < STATISTICS_ROWS; row++) {
		for (size_t at = 0; at < STATISTICS_BUCKETS; at++) {
			const uint64_t *cell = m->cells[row][at];

			if (!cell[FAMILY_READ] && !cell[FAMILY_WRITE] && !cell[FAMILY_DISCARD])
				continue;
			number(d, NULL, row);
			number(d, NULL, at);
			for (size_t k = 0; k < FAMILIES_OF_BLOCKS; k++)
				number(d, NULL, cell[k]);
		}
	}
	close_with(d, ']');
}

static void maps(struct doc *d, const struct statistics *s)
{
	open_with(d, "maps", '[');
	for (size_t k = 0; k < s->luns.count; k++) {
		const struct lun_count *on = (const void *)s->luns.entries[k];

		if (!on->map)
			continue;
		open_with(d, NULL, '{');
		text(d, "target", on->key.target);
		number(d, "lun", on->key.lun);
		text(d, "disk", on->disk);
		number(d, "block_bytes", on->block_bytes ? on->block_bytes : 512);
		flag(d, "block_bytes_known", on->block_bytes != 0);
		number(d, "blocks", on->blocks);
		number(d, "row_blocks", on->map->row_blocks);
		number(d, "rows", STATISTICS_ROWS);
		cells(d, on->map);
		close_with(d, '}');
	}
	close_with(d, ']');
}

/* What had no room, so that nobody takes a list for the whole. */
static void left_out(struct doc *d, const struct statistics *s)
{
	size_t without_map = 0;

	for (size_t k = 0; k < s->luns.count; k++)
		without_map += ((const struct lun_count *)(const void *)s->luns.entries[k])->full;
	open_with(d, "left_out", '{');
	number(d, "refusals", s->reasons.left_out);
	number(d, "sources", s->sources.left_out);
	number(d, "initiators", s->initiators.left_out);
	number(d, "accesses", s->accesses.left_out);
	number(d, "unusual", s->unusual_more);
	number(d, "maps", without_map + s->luns.left_out);
	for (size_t which = 0; which < LISTS; which++)
		number(d, list_names[which], s->lists[which]->more);
	close_with(d, '}');
}

void facts_write(FILE *f, const struct gathering *g)
{
	struct doc d = {.f = f, .utc = g->review.print.utc};

	open_with(&d, NULL, '{');
	head(&d, g);
	totals(&d, g->s);
	unusual(&d, g->s);
	tables(&d, g->s);
	lists(&d, g->s);
	timeline(&d, g->s);
	maps(&d, g->s);
	left_out(&d, g->s);
	close_with(&d, '}');
	(void)fputc('\n', f);
}

/* `sallyport audit summary`: what happened in a period, failures first, in a page of text. Peers'
 * texts go through the review's escaper. */
#include "gateway/base/when.h"
#include "gateway/cli/audit_facts.h"

#define TOP   10
#define LABEL 12 /* columns of the left margin */

struct page {
	FILE *f;
	enum escape_form form;
	const struct gathering *g;
	const struct statistics *s;
	size_t top;
	const char *label; /* of the part that begins; printed once */
};

static void part(struct page *p, const char *label)
{
	p->label = label;
}

static void line(struct page *p)
{
	(void)fprintf(p->f, "%-*s ", LABEL, p->label);
	p->label = "";
}

static void put(struct page *p, const char *before, const char *text)
{
	if (!text[0])
		return;
	(void)fprintf(p->f, "%s", before);
	escape_put(p->f, p->form, text);
}

static void count(struct page *p, const char *before, uint64_t n, const char *one, const char *many)
{
	(void)fprintf(p->f, "%s%llu %s", before, (unsigned long long)n, n == 1 ? one : many);
}

static void more(struct page *p, uint64_t n)
{
	if (n == 0)
		return;
	line(p);
	(void)fprintf(p->f, "and %llu more\n", (unsigned long long)n);
}

static void head(struct page *p)
{
	char since[WHEN_TEXT], until[WHEN_TEXT];
	const struct statistics *s = p->s;
	bool utc = p->g->review.print.utc;

	(void)fprintf(p->f, "Audit summary, %s to %s: ", when_format(s->since_ns, utc, since),
		      when_format(s->until_ns, utc, until));
	count(p, "", s->records, "record", "records");
	if (s->records)
		(void)fprintf(p->f, ", %llu to %llu", (unsigned long long)s->first_sequence,
			      (unsigned long long)s->last_sequence);
	(void)fprintf(p->f, "\n\n");
	part(p, "PROOF");
	line(p);
	(void)fprintf(p->f, "%s\n", p->g->proof.text);
	for (size_t k = 0; k < p->g->proof.count && k < p->top; k++) {
		line(p);
		put(p, "", p->g->proof.findings[k]);
		(void)fprintf(p->f, "\n");
	}
	if (p->g->review.damages == 0)
		return;
	line(p);
	count(p, "", p->g->review.damages, "damaged or missing spot", "damaged or missing spots");
	(void)fprintf(p->f, ", told above\n");
}

/* A login or discovery is in the list of those that are seen for the first time. */
static void note(struct page *p, const struct event_note *n)
{
	bool first = n->kind == EVENT_LOGIN || n->kind == EVENT_DISCOVERY;
	char time[WHEN_TEXT], peer[ADDRESS_TEXT];

	line(p);
	(void)fprintf(p->f, "%s %s", when_format(n->time_ns, p->g->review.print.utc, time),
		      first ? "new" : audit_event_name(n->kind));
	put(p, " ", n->reason);
	put(p, " ", n->initiator);
	if (n->peer.ip.version)
		(void)fprintf(p->f, " from %s", ip_format(&n->peer.ip, peer));
	if (!first)
		put(p, ": ", n->detail);
	(void)fprintf(p->f, " (record %llu)\n", (unsigned long long)n->sequence);
}

static void list(struct page *p, const char *label, enum statistics_list which)
{
	const struct event_list *l = p->s->lists[which];

	part(p, label);
	for (size_t k = 0; k < l->count && k < p->top; k++)
		note(p, &l->notes[k]);
	more(p, l->more + (l->count > p->top ? l->count - p->top : 0));
}

/* What was not judged is said. */
static void compared(struct page *p)
{
	size_t all = 0, with = 0;

	for (size_t k = 0; k < p->s->initiators.count; k++) {
		const struct initiator_count *one = (const void *)p->s->initiators.entries[k];

		all += amounts_bytes(one->amounts) > 0;
		with += amounts_bytes(one->amounts) > 0 && unusual_compares(p->s, one);
	}
	if (all == with)
		return;
	line(p);
	(void)fprintf(p->f,
		      "hours and volumes of %zu of %zu initiators could not be judged: that takes "
		      "14 days "
		      "of history\n",
		      all - with, all);
}

static void unusual(struct page *p)
{
	const struct statistics *s = p->s;
	char time[WHEN_TEXT], words[256];

	part(p, "ATTENTION");
	for (size_t k = 0; k < s->unusual_count && k < p->top; k++) {
		const struct unusual_note *n = &s->unusual[k];

		line(p);
		(void)fprintf(p->f, "%s", when_format(n->from_ns, p->g->review.print.utc, time));
		put(p, " ", n->initiator);
		if (n->lun != NO_LUN) {
			(void)fprintf(p->f, ", LUN %u of", n->lun);
			put(p, " ", n->target);
		}
		(void)fprintf(p->f, ": %s (record %llu)\n", unusual_text(n, words, sizeof words),
			      (unsigned long long)n->sequence);
	}
	more(p, s->unusual_more + (s->unusual_count > p->top ? s->unusual_count - p->top : 0));
	compared(p);
}

static void refusals(struct page *p)
{
	const struct statistics *s = p->s;

	part(p, "REFUSED");
	line(p);
	count(p, "", s->refused, "login", "logins");
	count(p, ", ", s->refused_connections, "connection", "connections");
	if (s->refused_not_listed)
		count(p, ", and ", s->refused_not_listed, "more that was only counted",
		      "more that were only counted");
	(void)fprintf(p->f, "\n");
	for (size_t k = 0; k < s->reasons.count && k < p->top; k++) {
		const struct reason_count *one = (const void *)s->reasons.entries[k];

		line(p);
		(void)fprintf(p->f, "%9llu", (unsigned long long)one->count);
		put(p, " ", one->reason);
		(void)fprintf(p->f, "\n");
	}
	more(p, s->reasons.left_out + (s->reasons.count > p->top ? s->reasons.count - p->top : 0));
}

static void sources(struct page *p)
{
	const struct table *t = &p->s->sources;
	char address[ADDRESS_TEXT];
	size_t shown = 0, failing = 0;

	part(p, "SOURCES");
	for (size_t k = 0; k < t->count; k++) {
		const struct source_count *one = (const void *)t->entries[k];

		if (source_sum(one) == 0 && one->bans == 0)
			continue;
		failing++;
		if (shown == p->top)
			continue;
		shown++;
		line(p);
		(void)fprintf(p->f, "%9llu refused of %s", (unsigned long long)source_sum(one),
			      network_format(&one->source, address));
		if (one->bans)
			count(p, ", banned ", one->bans, "time", "times");
		put(p, ", last reason ", one->reason);
		put(p, ", as ", one->initiator);
		(void)fprintf(p->f, "\n");
	}
	more(p, failing - shown + t->left_out);
}

static void verdicts(struct page *p)
{
	const struct verdicts *v = &p->s->verdicts;

	part(p, "COMMANDS");
	line(p);
	count(p, "", v->denied, "denied by the policy", "denied by the policy");
	count(p, ", ", v->refused, "refused by the device", "refused by the device");
	count(p, ", ", v->failed, "failed", "failed");
	count(p, ", ", v->not_executed, "not executed", "not executed");
	count(p, ", ", v->busy, "answered BUSY", "answered BUSY");
	(void)fprintf(p->f, "\n");
}

static void logins(struct page *p)
{
	const struct statistics *s = p->s;

	part(p, "LOGINS");
	line(p);
	count(p, "", s->logins_ok, "login", "logins");
	if (s->logins_joined)
		count(p, ", of them ", s->logins_joined, "into a session that was there",
		      "into sessions that were there");
	count(p, ", ", s->discoveries, "discovery", "discoveries");
	count(p, ", ", s->logouts, "session ended", "sessions ended");
	(void)fprintf(p->f, "\n");
}

static void access_line(struct page *p, const struct access_count *a)
{
	static const char *const did[FAMILIES_OF_BLOCKS] = {"read", "wrote", "discarded"};
	const struct amounts *of = a->amounts;
	char bytes[16];

	line(p);
	escape_put(p->f, p->form, a->key.initiator[0] ? a->key.initiator : "unknown");
	if (a->key.lun == 0xffff)
		(void)fprintf(p->f, " to no LUN of ");
	else
		(void)fprintf(p->f, " to LUN %u of ", a->key.lun);
	escape_put(p->f, p->form, a->key.target[0] ? a->key.target : "unknown");
	if (a->on && a->on->disk[0])
		put(p, ", disk ", a->on->disk);
	(void)fprintf(p->f, ":");
	for (size_t k = 0; k < FAMILIES_OF_BLOCKS; k++) {
		if (of[k].commands)
			(void)fprintf(p->f, " %s %s,", did[k], bytes_text(of[k].bytes, bytes));
	}
	count(p, " ", of[FAMILY_RESERVE].commands, "reservation command", "reservation commands");
	count(p, ", ", of[FAMILY_OTHER].commands, "other", "others");
	if (a->verdicts.denied)
		count(p, ", ", a->verdicts.denied, "denied", "denied");
	(void)fprintf(p->f, "%s\n",
		      amounts_bytes(of) && !(a->on && a->on->block_bytes)
			      ? "; block size not told, 512 taken"
			      : "");
}

static void accesses(struct page *p)
{
	const struct table *t = &p->s->accesses;
	size_t all = 0;

	part(p, "ACCESS");
	for (size_t k = 0; k < t->count; k++) {
		const struct access_count *one = (const void *)t->entries[k];

		if (!access_counts(one))
			continue;
		if (all++ < p->top)
			access_line(p, one);
	}
	more(p, (all > p->top ? all - p->top : 0) + t->left_out);
}

void summary_print(FILE *f, enum escape_form form, const struct gathering *g, size_t top)
{
	struct page page = {.f = f, .form = form, .g = g, .s = g->s, .top = top, .label = ""};
	struct page *p = &page;

	head(p);
	list(p, "GAPS", LIST_GAPS);
	unusual(p);
	refusals(p);
	sources(p);
	list(p, "BANS", LIST_BANS);
	list(p, "NOT ALLOWED", LIST_NOT_ALLOWED);
	verdicts(p);
	logins(p);
	list(p, "FIRST SEEN", LIST_FIRST_SEEN);
	accesses(p);
	list(p, "POLICY", LIST_POLICY);
	list(p, "OPERATORS", LIST_OPERATORS);
	list(p, "DISKS", LIST_DISKS);
	list(p, "SERVICES", LIST_SERVICES);
}

static int summary(const struct cli *cli)
{
	OWNED_GATHERING g = {0};
	const char *top = cli_option(cli, "--top");
	uint64_t number = TOP;
	int status;

	if (top && number_parse(top, 1, 10000, &number) < 0)
		return cli_usage(cli, "--top %s: give a number of lines from 1 to 10000", top);
	status = gathering_begin(&g, cli);
	g.verifies = cli_option(cli, "--verify") != NULL;
	if (status == EXIT_DONE)
		status = gathering_read(&g);
	if (status != EXIT_DONE)
		return status;
	if (cli->json)
		facts_write(stdout, &g);
	else
		summary_print(stdout, ESCAPE_TABLE, &g, (size_t)number);
	(void)fflush(stdout);
	return gathering_verdict(&g);
}

static const struct cli_option options[] = {
	{"--verify", NULL, "first the whole trail, as audit verify does; the verdict on top"},
	{"--top", "N", "so many lines of each list (10); --json has all"},
	{NULL, NULL, NULL},
};

const struct subcommand audit_summary = {
	.name = "audit summary",
	.arguments = "[PERIOD]",
	.most = 1,
	.summary = "Tells a period in a page: failures first, then who did how much.",
	.examples = "  sallyport audit summary yesterday\n"
		    "  sallyport audit summary --since -2h --initiator app-3 --json\n",
	.text = "PERIOD: today (the default), yesterday, week, all, or FROM..TO. Hours and volumes "
		"are\ncompared with the 28 days before it. Exit status: as of audit show.",
	.options = options,
	.shared = audit_filter_options,
	.json = true,
	.run = summary,
};

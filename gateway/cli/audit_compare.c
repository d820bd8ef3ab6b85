/* `sallyport audit compare BEFORE AFTER`: what two periods differ in. Peers' names are escaped. */
#include "gateway/audit/compare.h"

#include "gateway/audit/escape.h"
#include "gateway/audit/json_out.h"
#include "gateway/base/clock.h"
#include "gateway/base/when.h"
#include "gateway/cli/audit_period.h"

enum { WHAT = 10, MEASURE = 20, AMOUNT = 12, CHANGE = 7 };

struct comparing {
	struct review review;
	struct statistics *of[2];
	uint64_t since_ns[2], until_ns[2];
	uint64_t rows;
};

static int add(void *arg, const struct trail_record *record)
{
	struct comparing *c = arg;
	uint64_t time_ns = record->frame.stamp.time_ns;

	for (int k = 0; k < 2; k++) {
		if (time_ns >= c->since_ns[k] && time_ns < c->until_ns[k])
			statistics_add(c->of[k], record);
	}
	return 0;
}

static void print_json(const struct audit_print *p, const struct compare_row *row)
{
	char line[8192];
	struct wr w = wr_over(line, sizeof line);
	struct json_out j = {.w = &w};

	json_open(&j, NULL, '{');
	json_text(&j, "what", row->what);
	if (row->name[0])
		json_text(&j, "name", row->name);
	json_text(&j, "measure", row->measure);
	json_number(&j, "before", row->before);
	json_number(&j, "after", row->after);
	json_text(&j, "change", compare_change_name(row->change));
	json_close(&j, '}');
	(void)fwrite(line, 1, wr_len(&w), p->out);
	(void)fputc('\n', p->out);
}

static void print_csv(const struct audit_print *p, const struct compare_row *row)
{
	(void)fprintf(p->out, "%s,", row->what);
	escape_put(p->out, ESCAPE_CSV, row->name);
	(void)fprintf(p->out, ",%s,%llu,%llu,%s\n", row->measure, (unsigned long long)row->before,
		      (unsigned long long)row->after, compare_change_name(row->change));
}

static void amount_cell(const struct audit_print *p, const struct compare_row *row, uint64_t value)
{
	char text[24];

	if (row->bytes)
		(void)bytes_text(value, text);
	else
		(void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	(void)fprintf(p->out, "%*s ", AMOUNT, text);
}

static void print_row(const struct audit_print *p, const struct compare_row *row)
{
	audit_print_cell(p, row->what, WHAT);
	audit_print_cell(p, row->measure, MEASURE);
	amount_cell(p, row, row->before);
	amount_cell(p, row, row->after);
	audit_print_cell(p, compare_change_name(row->change), CHANGE);
	escape_put(p->out, ESCAPE_TABLE, row->name);
	(void)fputc('\n', p->out);
}

static void tell(void *arg, const struct compare_row *row)
{
	struct comparing *c = arg;
	const struct audit_print *p = &c->review.print;

	c->rows++;
	if (p->json)
		print_json(p, row);
	else if (p->csv)
		print_csv(p, row);
	else
		print_row(p, row);
}

static void print_head(const struct comparing *c)
{
	static const char *const names[2] = {"before", "after"};
	const struct audit_print *p = &c->review.print;
	char from[WHEN_TEXT], to[WHEN_TEXT];

	if (p->csv)
		(void)fputs("what,name,measure,before,after,change\n", p->out);
	if (p->csv || p->json)
		return;
	for (int k = 0; k < 2; k++)
		(void)fprintf(p->out, "%-7s %s to %s, %llu records\n", names[k],
			      when_format(c->since_ns[k], p->utc, from),
			      when_format(c->until_ns[k], p->utc, to),
			      (unsigned long long)c->of[k]->records);
	(void)fputc('\n', p->out);
	audit_print_cell(p, "WHAT", WHAT);
	audit_print_cell(p, "MEASURE", MEASURE);
	(void)fprintf(p->out, "%*s %*s ", AMOUNT, "BEFORE", AMOUNT, "AFTER");
	audit_print_cell(p, "CHANGE", CHANGE);
	(void)fprintf(p->out, "NAME\n");
}

static int begin(struct comparing *c, const struct cli *cli)
{
	struct review *r = &c->review;
	int status = review_begin(r, cli);
	uint64_t now_ns = clock_wall_ns();

	if (status == EXIT_DONE && (r->filter.since_ns || r->filter.until_ns))
		return cli_usage(cli, "the two periods say from when to when: no --since, --until");
	for (int k = 0; status == EXIT_DONE && k < 2; k++)
		status = review_period(r, cli->arguments[k], now_ns, &c->since_ns[k],
				       &c->until_ns[k]);
	if (status != EXIT_DONE)
		return status;
	r->filter.since_ns = MIN(c->since_ns[0], c->since_ns[1]);
	r->filter.until_ns = MAX(c->until_ns[0], c->until_ns[1]);
	for (int k = 0; k < 2; k++) {
		c->of[k] = statistics_open(c->since_ns[k], c->until_ns[k], r->print.utc);
		if (!c->of[k])
			return cli_cannot(cli, "there is not enough memory to count");
	}
	r->skips = true;
	return review_open(r);
}

static int run(struct comparing *c, const struct cli *cli)
{
	int e, status = begin(c, cli);

	if (status != EXIT_DONE)
		return status;
	e = review_each(&c->review, add, c);
	if (e == 0 && review_interrupted())
		return cli_cannot(cli, "interrupted");
	if (e == 0) {
		statistics_end(c->of[0]);
		statistics_end(c->of[1]);
		print_head(c);
		compare(c->of[0], c->of[1], cli_option(cli, "--all") != NULL, tell, c);
	}
	status = review_verdict(&c->review, e);
	return status == EXIT_DONE && c->rows ? EXIT_DIFFERENCES : status;
}

static int compare_periods(const struct cli *cli)
{
	struct comparing c = {.review = {.folder_fd = -1}};
	int status = run(&c, cli);

	statistics_close(c.of[0]);
	statistics_close(c.of[1]);
	review_close(&c.review);
	return status;
}

static const struct cli_option options[] = {
	{"--all", NULL, "what did not change, too"},
	AUDIT_CSV,
	{0},
};

const struct subcommand audit_compare = {
	.name = "audit compare",
	.arguments = "BEFORE AFTER",
	.least = 2,
	.most = 2,
	.summary = "What two periods differ in: who came and went, who did much more or less.",
	.examples = "  sallyport audit compare yesterday today\n"
		    "  sallyport audit compare 2026-11-14..2026-11-21 2026-11-21..now\n",
	.text = "A period is today, yesterday, week, all, a day as 2026-11-22, or FROM..TO. More "
		"and\n"
		"less: at least twice as much, or half, by the hour.\n"
		"Exit status: 0 no differences; 10 there are; 2, 3, 21 as of show.",
	.options = options,
	.shared = audit_who_options,
	.json = true,
	.run = compare_periods,
};

/* `sallyport audit last-writer`: who wrote these blocks last, and with -n who before that. Reads
 * the trail from its end in windows that grow, and no further back than it must. */
#include "gateway/audit/escape.h"
#include "gateway/audit/export.h"
#include "gateway/audit/writes.h"
#include "gateway/base/when.h"
#include "gateway/cli/audit_files.h"

#define WINDOW_RECORDS	     1048576
#define WINDOW_RECORDS_LEAST 4096
#define CLOCK_SLACK_NS	     (UINT64_C(600) * 1000000000)

enum { BLOCKS = 25, WHO = 18, FROM = 22, TARGET = 14, WHAT = 24 };

struct last_writer {
	struct review *r;
	struct writes writes;
	uint64_t end; /* sequence where the window ends: all from here on was looked at */
	uint64_t newest, oldest_ns; /* sequence; time of the window's first record */
	uint64_t failed, unknown;   /* rows */
};

/* --- output ------------------------------------------------------------------------------------
 */

static struct trail_record record_of(const struct last_writer *l, const struct write_note *n)
{
	struct trail_record record = {.run = n->run, .session = writes_who(&l->writes, n)};

	record.frame.type = FRAME_COMMAND;
	record.frame.stamp = n->stamp;
	record.frame.connection = n->connection;
	record.frame.command = n->command;
	return record;
}

static void print_json(struct last_writer *l, const struct write_note *n, struct lba_range piece)
{
	const struct audit_print *p = &l->r->print;

	(void)fprintf(p->out, "{\"first_lba\":%llu,\"last_lba\":%llu,\"end\":\"%s\"",
		      (unsigned long long)piece.first, (unsigned long long)piece.last,
		      n ? write_end_name(n->end) : "not-in-the-trail");
	if (n) {
		struct trail_record record = record_of(l, n);
		char line[EXPORT_TEXT_MAX];
		struct wr w = wr_over(line, sizeof line);

		export_jsonl(&w, &record, p->utc);
		(void)fprintf(p->out, ",\"record\":%.*s", (int)wr_len(&w) - 1, line);
	}
	(void)fputs("}\n", p->out);
}

static void print_csv(struct last_writer *l, const struct write_note *n, struct lba_range piece)
{
	const struct audit_print *p = &l->r->print;

	(void)fprintf(p->out, "%llu,%llu,%s,", (unsigned long long)piece.first,
		      (unsigned long long)piece.last,
		      n ? write_end_name(n->end) : "not-in-the-trail");
	if (n) {
		struct trail_record record = record_of(l, n);

		audit_print_csv(p, &record);
	} else {
		for (unsigned k = 1; k < FIELDS; k++)
			(void)fputc(',', p->out);
		(void)fputc('\n', p->out);
	}
}

static void print_who(const struct audit_print *p, const struct auditor_ring_info *who)
{
	char from[ADDRESS_TEXT];

	audit_print_name(p, who ? who->initiator : "", WHO);
	audit_print_cell(p, who ? endpoint_format(&who->peer, from) : "-", FROM);
	audit_print_name(p, who ? who->target : "", TARGET);
}

static void print_end(const struct audit_print *p, const struct write_note *n)
{
	static const char *const words[] = {
		[WRITE_DONE] = "done",
		[WRITE_FAILED] = "failed, perhaps written in part:",
		[WRITE_UNEQUAL] = "compared unequal, wrote nothing:",
		[WRITE_NOT_EXECUTED] = "not executed, wrote nothing:",
	};

	(void)fputs(words[n->end], p->out);
	if (n->end != WRITE_DONE)
		(void)fprintf(p->out, " status %02xh sense %xh/%02xh/%02xh", n->status,
			      n->sense_key, n->asc, n->ascq);
}

static void print_row(struct last_writer *l, const struct write_note *n, struct lba_range piece)
{
	const struct audit_print *p = &l->r->print;
	char blocks[48], time[WHEN_TEXT], what[64];
	bool red = n && n->end != WRITE_DONE;

	if (n && n->reach.whole && piece.last == UINT64_MAX && piece.first == 0)
		string_copy(blocks, sizeof blocks, "all");
	else if (piece.first == piece.last)
		(void)snprintf(blocks, sizeof blocks, "%llu", (unsigned long long)piece.first);
	else
		(void)snprintf(blocks, sizeof blocks, "%llu-%llu", (unsigned long long)piece.first,
			       (unsigned long long)piece.last);
	audit_print_cell(p, blocks, BLOCKS);
	if (!n) {
		(void)fprintf(p->out, "nobody, as far as the trail goes back\n");
		return;
	}
	if (red)
		audit_print_red(p, true);
	(void)fprintf(p->out, "%s %9llu ", when_format(n->stamp.time_ns, p->utc, time),
		      (unsigned long long)n->stamp.sequence);
	print_who(p, writes_who(&l->writes, n));
	audit_print_cell(p, record_command_text(&n->command, what, sizeof what), WHAT);
	print_end(p, n);
	if (red)
		audit_print_red(p, false);
	(void)fputc('\n', p->out);
}

static void print_head(const struct audit_print *p)
{
	if (p->csv) {
		(void)fputs("first_lba,last_lba,end,", p->out);
		audit_print_csv(p, NULL);
	}
	if (p->csv || p->json)
		return;
	audit_print_cell(p, "BLOCKS", BLOCKS);
	(void)fprintf(p->out, "%-*s %9s ", p->utc ? 24 : 29, "TIME", "SEQ");
	audit_print_cell(p, "WHO", WHO);
	audit_print_cell(p, "FROM", FROM);
	audit_print_cell(p, "TARGET", TARGET);
	audit_print_cell(p, "WHAT", WHAT);
	(void)fprintf(p->out, "END\n");
}

static void tell(void *arg, const struct write_note *n, struct lba_range piece)
{
	struct last_writer *l = arg;

	l->unknown += n == NULL;
	if (l->r->print.json)
		print_json(l, n, piece);
	else if (l->r->print.csv)
		print_csv(l, n, piece);
	else
		print_row(l, n, piece);
}

/* --- windows -----------------------------------------------------------------------------------
 */

/* Those `records` that stand before l->end. *ret_first: where they begin. */
static int read_window(struct last_writer *l, uint64_t records, uint64_t *ret_first)
{
	static struct trail_record record;
	uint64_t behind = l->end == UINT64_MAX ? 0 : l->newest + 1 - l->end;
	int e = trail_rewind(l->r->trail, behind + records, ret_first);

	writes_window(&l->writes);
	l->oldest_ns = UINT64_MAX;
	while (e == 0 && !review_interrupted() && (!l->writes.full || l->end == UINT64_MAX)) {
		e = trail_next(l->r->trail, &record);
		if (e <= 0 || record.frame.stamp.sequence >= l->end)
			return MIN(e, 0);
		e = 0;
		if (l->end == UINT64_MAX) /* to be known even if there are too many writes */
			l->newest = MAX(l->newest, record.frame.stamp.sequence);
		if (record.frame.stamp.sequence < *ret_first)
			continue;
		l->oldest_ns = MIN(l->oldest_ns, record.frame.stamp.time_ns);
		writes_add(&l->writes, &record);
	}
	return e;
}

/* Is no record that --since asks for in an older window? Clocks are set back now and then. */
static bool is_all(const struct last_writer *l, uint64_t first)
{
	return first <= 1 || (l->oldest_ns != UINT64_MAX &&
			      l->oldest_ns + CLOCK_SLACK_NS < l->r->filter.since_ns);
}

static int find(struct last_writer *l)
{
	uint64_t records = WINDOW_RECORDS, first;
	int e = 0;

	l->end = UINT64_MAX;
	while (e == 0 && !review_interrupted()) {
		e = read_window(l, records, &first);
		if (e == 0 && l->writes.full && records > WINDOW_RECORDS_LEAST) {
			records /= 4;
			continue;
		}
		if (e == 0)
			e = writes_end_window(&l->writes, tell, l);
		if (e != 0 || is_all(l, first))
			break;
		l->end = MIN(first, l->end);
		records *= 4;
	}
	if (e >= 0)
		writes_end(&l->writes, tell, l);
	(void)fflush(l->r->print.out);
	return MIN(e, 0);
}

static int last_writer(const struct cli *cli)
{
	const char *n = cli_option(cli, "-n");
	OWNED_REVIEW r = {0};
	struct last_writer l = {.r = &r};
	uint64_t history = 0;
	int e, status = review_begin(&r, cli);

	if (status == EXIT_DONE && n && number_parse(n, 1, WRITES_NOTES_MAX, &history) < 0)
		return cli_usage(cli, "-n %s: give a number from 1 to %u", n, WRITES_NOTES_MAX);
	if (status == EXIT_DONE)
		status = audit_file_filter(&r);
	if (status == EXIT_DONE && (!r.filter.has_lun || r.filter.range_count == 0))
		return cli_usage(
			cli,
			"it needs --lun N, --lba LIST or --file PATH and, where several targets "
			"have this LUN, --target NAME");
	if (status == EXIT_DONE) {
		r.skips_deeds = DEED_WRITE | DEED_DISCARD;
		if (!cli_option(cli, "--file")) /* which has told */
			audit_disk_others(cli, r.filter.lun);
	}
	if (status == EXIT_DONE)
		status = review_open(&r);
	if (status != EXIT_DONE)
		return status;
	if (writes_open(&l.writes, &r.filter, history) < 0)
		return cli_cannot(cli, "no memory");
	print_head(&r.print);
	e = find(&l);
	if (l.writes.unsure)
		(void)fprintf(stderr, "sallyport audit last-writer: too many tasks at once; what "
				      "failed may stand there as done\n");
	writes_close(&l.writes);
	if (e == -E2BIG)
		return cli_cannot(cli, "too many pieces: ask for fewer blocks");
	status = review_verdict(&r, e);
	return status == EXIT_DONE && l.unknown ? EXIT_NO : status;
}

static const struct cli_option options[] = {
	{"-n", "N", "the last N writes that reach the blocks, one by one"},
	AUDIT_CSV,
	AUDIT_FILE_OPTIONS,
	{0},
};

const struct subcommand audit_last_writer = {
	.name = "audit last-writer",
	.arguments = "--lun N --lba LIST|--file PATH",
	.summary = "Who wrote these blocks last: write, unmap, copy, format …, and if it failed.",
	.examples =
		"  sallyport audit last-writer --target vault --lun 0 --lba 4096-8191\n"
		"  sallyport audit last-writer --target vault --lun 0 --file /payroll.xlsx -n 5\n",
	.text = "Exit status: 0; 1 some blocks were not written as far as the trail goes back; 2, "
		"3,\n"
		"21 as of show.",
	.options = options,
	.shared = audit_filter_options,
	.json = true,
	.run = last_writer,
};

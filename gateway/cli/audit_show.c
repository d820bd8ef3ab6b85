/* `sallyport audit show`: the records that match, oldest first, or one with all that it says. */
#include "gateway/cli/audit_files.h"

struct one {
	struct audit_print *print;
	uint64_t sequence;
	bool found;
};

static int print(void *arg, const struct trail_record *record)
{
	audit_print(arg, record);
	return 0;
}

static int print_one(void *arg, const struct trail_record *record)
{
	struct one *one = arg;

	if (record->frame.stamp.sequence < one->sequence)
		return 0;
	one->found = record->frame.stamp.sequence == one->sequence;
	if (!one->found)
		return 1;
	if (one->print->json || one->print->csv) {
		audit_print_head(one->print);
		audit_print(one->print, record);
	} else {
		audit_print_explained(one->print, record);
	}
	return 1;
}

/* What is not there, and no damage. */
static void tell_end(const struct review *r)
{
	uint64_t offset;
	const char *torn = trail_torn(r->trail, &offset);

	if (torn)
		(void)fprintf(stderr,
			      "sallyport audit show: %s ends within a record at octet %llu: it is "
			      "being written, or a crash cut it off\n",
			      torn, (unsigned long long)offset);
	if (trail_effort(r->trail).blocks == 0 && !r->damages && !r->filter.since_ns)
		(void)fprintf(stderr, "sallyport audit show: the log in %s/audit is empty\n",
			      r->cli->state);
}

static int show_all(struct review *r)
{
	int e;

	audit_print_head(&r->print);
	e = review_each(r, print, &r->print);
	if (e == 0)
		tell_end(r);
	return review_verdict(r, e);
}

/* To the record, if the trail goes so far. */
static int seek(struct review *r, uint64_t sequence)
{
	uint64_t newest, first;
	int e = trail_rewind(r->trail, 1, &newest);

	if (e == 0 && sequence < newest)
		e = trail_rewind(r->trail, newest - sequence + 1, &first);
	return e;
}

static int show_one(struct review *r, uint64_t sequence)
{
	struct one one = {.print = &r->print, .sequence = sequence};
	int status, e = seek(r, sequence);

	if (e == 0)
		e = review_each(r, print_one, &one);
	status = review_verdict(r, e);
	if (e < 0 || one.found)
		return status;
	(void)cli_cannot(r->cli, "there is no record %llu, or it does not match",
			 (unsigned long long)sequence);
	return status != EXIT_DONE ? status : EXIT_NO;
}

static int show(const struct cli *cli)
{
	const char *which = cli->arguments[0];
	OWNED_REVIEW r = {0};
	uint64_t sequence = 0;
	int status = review_begin(&r, cli);

	if (status == EXIT_DONE && which && number_parse(which, 1, UINT64_MAX, &sequence) < 0)
		return cli_usage(cli, "%s: give the sequence number of a record", which);
	if (status == EXIT_DONE)
		status = audit_file_filter(&r);
	r.skips = true;
	if (status == EXIT_DONE)
		status = review_open(&r);
	if (status != EXIT_DONE)
		return status;
	return which ? show_one(&r, sequence) : show_all(&r);
}

static const struct cli_option options[] = {
	AUDIT_CSV,
	AUDIT_FILE_OPTIONS,
	{0},
};

const struct subcommand audit_show = {
	.name = "audit show",
	.arguments = "[SEQUENCE]",
	.most = 1,
	.summary = "Prints the records that match every option, oldest first; or one, explained.",
	.examples = "  sallyport audit show --since -2h --op write --initiator app-3\n"
		    "  sallyport audit show 61002345\n",
	.text = "Exit status: 0; 1 no such record; 2 wrong usage; 3 no log to read; 21 damage, "
		"told on\n"
		"stderr with file and octet.",
	.options = options,
	.shared = audit_filter_options,
	.json = true,
	.run = show,
};

/* `sallyport audit tail`: the last records, and then those that come. */
#include <time.h>
#include "gateway/cli/audit_review.h"
#include "gateway/base/bytes.h"

#define FOLLOW_NS    200000000
#define TAIL_RECORDS 10

struct tail {
	const struct audit_print *print;
	uint64_t first; /* sequence */
};

static int print(void *arg, const struct trail_record *record)
{
	const struct tail *t = arg;

	if (record->frame.stamp.sequence >= t->first)
		audit_print(t->print, record);
	return 0;
}

static int tail(const struct cli *cli)
{
	const struct timespec pause = {.tv_nsec = FOLLOW_NS};
	const char *n = cli_option(cli, "-n");
	uint64_t records = TAIL_RECORDS;
	OWNED_REVIEW r = {0};
	struct tail t = {.print = &r.print};
	int e, status = review_begin(&r, cli);

	if (status == EXIT_DONE && n && number_parse(n, 0, UINT32_MAX, &records) < 0)
		return cli_usage(cli, "-n %s: give a number of records", n);
	r.live = r.skips = true;
	if (status == EXIT_DONE)
		status = review_open(&r);
	if (status != EXIT_DONE)
		return status;
	e = trail_rewind(r.trail, records, &t.first);
	audit_print_head(&r.print);
	while (e == 0 && !review_interrupted() && !ferror(r.print.out)) {
		bool gone = review_is_gone(&r); /* what came before is still read */

		e = review_each(&r, print, &t);
		if (e == 0 && gone)
			return review_tell_gone(&r);
		if (e == 0 && !review_interrupted())
			(void)nanosleep(&pause, NULL);
	}
	return review_verdict(&r, e);
}

static const struct cli_option options[] = {
	{"-n", "N", "so many records first (10)"},
	AUDIT_CSV,
	{0},
};

const struct subcommand audit_tail = {
	.name = "audit tail",
	.arguments = "",
	.summary = "Prints the last records, then those that come, until Ctrl-C.",
	.examples = "  sallyport audit tail\n"
		    "  sallyport audit tail -n 100 --denied\n",
	.text = "Exit status: 0; 2 wrong usage; 3 no log to read, or it was deleted; 21 a damaged\n"
		"or missing spot, which stderr names with file and octet.",
	.options = options,
	.shared = audit_filter_options,
	.json = true,
	.run = tail,
};

/* The filter's options on the command line of `sallyport audit`: the operator's own words, refused
 * with what may stand there. */
#include "gateway/base/clock.h"
#include "gateway/base/when.h"
#include "gateway/cli/audit_review.h"
#include "gateway/scsi/command_names.h"
#include "gateway/base/bytes.h"

const struct cli_option audit_filter_options[] = {
	{"--since", "TIME", NULL},
	{"--until", "TIME", "from then on; before then (-2h, today, 2026-11-22T10:00)"},
	{"--initiator", "NAME", NULL},
	{"--target", "NAME", "the whole name, or what follows its last colon"},
	{"--address", "NET", NULL},
	{"--session", "N", "an address or a network; a connection"},
	{"--lun", "N", NULL},
	{"--lba", "LIST", "commands to this LUN; that reach blocks of 8,16-31,64+8"},
	{"--op", "LIST", "commands (unmap), families (write), events (login)"},
	{"--group", "LIST", "commands that read, write, discard, reserve, or other ones"},
	{"--verdict", "LIST", NULL},
	{"--denied", NULL, "of commands: denied, failed, …; all who were denied or refused"},
	{"--utc", NULL, "times in UTC, in the output and on the command line"},
	{NULL, NULL, NULL},
};

const struct cli_option audit_who_options[] = {
	{"--since", "TIME", NULL},
	{"--until", "TIME", "from then on; before then (-2h, today, 2026-11-22T10:00)"},
	{"--initiator", "NAME", NULL},
	{"--target", "NAME", "the whole name, or what follows its last colon"},
	{"--address", "NET", "an address or a network"},
	{"--utc", NULL, "times in UTC, in the output and on the command line"},
	{NULL, NULL, NULL},
};

const struct cli_option audit_csv_option[] = {AUDIT_CSV, {NULL, NULL, NULL}};

static int bad_time(const struct cli *cli, const char *option, const char *text, int e)
{
	return cli_usage(cli, "%s %s: %s; give one of: " WHEN_FORMS, option, text,
			 e == -ERANGE ? "there is no such time" : "not a time");
}

int review_time(const struct review *r, const char *option, uint64_t *ret_ns)
{
	const char *text = cli_option(r->cli, option);
	int e = text ? when_parse(text, clock_wall_ns(), r->print.utc, ret_ns) : 0;

	return e < 0 ? bad_time(r->cli, option, text, e) : EXIT_DONE;
}

static int parse_times(struct review *r)
{
	struct audit_filter *f = &r->filter;
	int status = review_time(r, "--since", &f->since_ns);

	if (status == EXIT_DONE)
		status = review_time(r, "--until", &f->until_ns);
	if (status == EXIT_DONE && f->until_ns && f->since_ns >= f->until_ns)
		return cli_usage(r->cli, "--since is not before --until");
	return status;
}

static int bad_op(const struct cli *cli, const char *op)
{
	static const char *const others[] = {"read",
					     "write",
					     "write-same",
					     "verify",
					     "sanitize",
					     "persistent-reserve-in",
					     "persistent-reserve-out",
					     "command",
					     "outcome",
					     "session",
					     "end"};
	const char *names[512];
	size_t count, commands;
	const struct command_name *command = command_names(&commands);
	const char *near;

	for (count = 0; count < commands && count < 400; count++)
		names[count] = command[count].policy_name;
	for (int kind = EVENT_INVALID + 1; kind < EVENT_KINDS; kind++)
		names[count++] = audit_event_name((enum audit_event_kind)kind);
	for (size_t k = 0; k < ARRAY_LEN(others); k++)
		names[count++] = others[k];
	near = cli_nearest(op, names, count);
	return cli_usage(cli,
			 "--op %s: no command and no event; give a command as the policy names it "
			 "(write-10, unmap), a family (write), or a kind of event (login, refusal, "
			 "ban)%s%s%s",
			 op, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int bad_group(const struct cli *cli, const char *group)
{
	return cli_usage(cli, "--group %s: give read, write, discard, reserve or other", group);
}

static int bad_verdict(const struct cli *cli, const char *verdict)
{
	return cli_usage(cli,
			 "--verdict %s: give admitted, denied, refused, failed, not-executed, busy "
			 "or done",
			 verdict);
}

/* Options that take words with commas between them. */
static const struct list {
	const char *option;
	int (*take)(struct audit_filter *f, const char *word);
	int (*bad)(const struct cli *cli, const char *word);
} lists[] = {
	{"--op", audit_filter_op, bad_op},
	{"--group", audit_filter_deed, bad_group},
	{"--verdict", audit_filter_verdict, bad_verdict},
};

static int parse_list(struct review *r, const struct list *list)
{
	const char *text = cli_option(r->cli, list->option), *word;
	OWNED_FREE char *words = text ? strdup(text) : NULL;
	char *rest = words;

	while ((word = strsep(&rest, ",")) != NULL) {
		if (list->take(&r->filter, word) < 0)
			return list->bad(r->cli, word);
	}
	return EXIT_DONE;
}

static int parse_ranges(struct review *r)
{
	const char *text = cli_option(r->cli, "--lba"), *word;
	OWNED_FREE char *words = text ? strdup(text) : NULL;
	char *rest = words;
	size_t count = 0;

	if (words == NULL)
		return EXIT_DONE;
	r->ranges = calloc(strlen(words) / 2 + 1, sizeof *r->ranges);
	if (r->ranges == NULL)
		return cli_cannot(r->cli, "no memory");
	while ((word = strsep(&rest, ",")) != NULL) {
		int e = lba_range_parse(word, &r->ranges[count++]);

		if (e < 0)
			return cli_usage(r->cli, "--lba %s: %s; give 4096, 4096-8191 or 4096+8",
					 word,
					 e == -ERANGE ? "it has no block" : "no range of blocks");
	}
	r->filter.range_count = lba_ranges_sort(r->ranges, count);
	r->filter.ranges = r->ranges;
	return EXIT_DONE;
}

static int parse_number(const struct review *r, const char *option, uint64_t least, uint64_t most,
			uint64_t *ret)
{
	const char *text = cli_option(r->cli, option);

	if (text && number_parse(text, least, most, ret) < 0)
		return cli_usage(r->cli, "%s %s: give a number from %llu to %llu", option, text,
				 (unsigned long long)least, (unsigned long long)most);
	return EXIT_DONE;
}

static int parse_what(struct review *r)
{
	uint64_t lun = 0, session = 0;
	int status;

	r->filter.denied = cli_option(r->cli, "--denied") != NULL;
	if ((status = parse_number(r, "--lun", 0, 0xfffe, &lun)) != EXIT_DONE ||
	    (status = parse_number(r, "--session", 1, UINT32_MAX, &session)) != EXIT_DONE)
		return status;
	r->filter.has_lun = cli_option(r->cli, "--lun") != NULL;
	r->filter.lun = (uint16_t)lun;
	r->filter.connection = (uint32_t)session;
	for (size_t k = 0; status == EXIT_DONE && k < ARRAY_LEN(lists); k++)
		status = parse_list(r, &lists[k]);
	return status == EXIT_DONE ? parse_ranges(r) : status;
}

static int parse_whom(struct review *r)
{
	const char *address = cli_option(r->cli, "--address");

	r->filter.initiator = cli_option(r->cli, "--initiator");
	r->filter.target = cli_option(r->cli, "--target");
	if (address && network_parse(address, &r->filter.network) < 0)
		return cli_usage(r->cli,
				 "--address %s: give an address or a network: 192.0.2.7, "
				 "192.0.2.0/24, 2001:db8::/64",
				 address);
	return EXIT_DONE;
}

int review_filter(struct review *r)
{
	bool all = r->cli->command->shared == audit_filter_options;
	int status;

	r->print.utc = cli_option(r->cli, "--utc") != NULL;
	status = parse_times(r);
	if (status == EXIT_DONE)
		status = parse_whom(r);
	if (status == EXIT_DONE && all)
		status = parse_what(r);
	return status;
}

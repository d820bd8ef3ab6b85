/* Reads a trail into statistics, for `sallyport audit summary` and `audit report`: which period,
 * how much history before it. Trusts the operator's words only; the files are read as
 * audit_review.h says. */
#include <sodium.h>
#include "gateway/audit/hash.h"
#include "gateway/base/clock.h"
#include "gateway/base/when.h"
#include "gateway/cli/audit_facts.h"
#include "gateway/cli/audit_period.h"

#define DAY_NS	   (UINT64_C(86400) * 1000000000)
#define HISTORY_NS (28 * DAY_NS) /* before the period: hours and volumes are compared with it */

static int parse_period(struct gathering *g)
{
	const struct cli *cli = g->review.cli;
	const struct audit_filter *f = &g->review.filter;
	bool options = cli_option(cli, "--since") || cli_option(cli, "--until");

	if (options && cli->argument_count)
		return cli_usage(cli, "give a period or --since and --until, not both");
	g->period = cli->argument_count ? cli->arguments[0] : options ? "" : "today";
	g->until_ns = f->until_ns ? f->until_ns : g->now_ns;
	g->since_ns = f->since_ns;
	if (g->period[0])
		return review_period(&g->review, g->period, g->now_ns, &g->since_ns, &g->until_ns);
	if (g->since_ns >= g->until_ns)
		return cli_usage(cli, "the period has no time in it: it ends before it begins");
	return EXIT_DONE;
}

int gathering_begin(struct gathering *g, const struct cli *cli)
{
	int status;

	*g = (struct gathering){.now_ns = clock_wall_ns()};
	g->now_ns -= g->now_ns % 1000000; /* as the command that tells it again can say it */
	g->proof.state = "not-verified";
	(void)string_copy(g->proof.text, sizeof g->proof.text,
			  "This trail was not verified: nothing proves that it is as it was "
			  "written.");
	status = review_begin(&g->review, cli);
	if (sodium_init() < 0 || hash_start() < 0) /* while its files can be opened */
		return cli_cannot(cli, "the cryptographic libraries don't start");
	return status == EXIT_DONE ? parse_period(g) : status;
}

static int add(void *arg, const struct trail_record *record)
{
	statistics_add(arg, record);
	return 0;
}

static void not_told(void *arg, bool damage, const char *text)
{
	(void)arg;
	(void)damage;
	(void)text;
}

/* The log of events goes back further than the one of commands, and is short: who was here before
 * is asked of all of it, and what its LUNs are. Damage there is told by the reading that follows,
 * or is of a time that is not asked about. */
static int read_before(struct gathering *g)
{
	static struct trail_record record;
	struct audit_filter filter = g->review.filter;
	struct trail_wanted wanted = {
		.until_ns = filter.since_ns,
		.no_commands = true,
		.events = UINT64_C(1) << EVENT_LOGIN | UINT64_C(1) << EVENT_DISCOVERY |
			  UINT64_C(1) << EVENT_DISK,
	};
	struct trail *t = NULL;
	int e;

	filter.until_ns = filter.since_ns;
	filter.since_ns = 0;
	e = trail_open(&t, g->review.folder_fd, &wanted, not_told, NULL);
	while (e >= 0 && !review_interrupted() && (e = trail_next(t, &record)) > 0) {
		if (record.frame.type == FRAME_EVENT && audit_filter_match(&filter, &record))
			statistics_add(g->s, &record);
	}
	trail_close(t);
	return MIN(e, 0);
}

int gathering_read(struct gathering *g)
{
	struct audit_filter *f = &g->review.filter;
	int status, e;

	f->since_ns = g->since_ns > HISTORY_NS ? g->since_ns - HISTORY_NS : 0;
	f->until_ns =
		0; /* the statistics leave out what is later: clocks are set back now and then */
	g->s = statistics_open(g->since_ns, g->until_ns, g->review.print.utc);
	if (!g->s)
		return cli_cannot(g->review.cli, "there is not enough memory to count");
	status = review_open(&g->review);
	if (status != EXIT_DONE)
		return status;
	if (g->verifies && (status = proof_find(g)) != EXIT_DONE)
		return status;
	e = f->since_ns ? read_before(g) : 0;
	if (e == 0)
		e = review_each(&g->review, add, g->s);
	if (e < 0 || review_interrupted())
		return e < 0 ? review_verdict(&g->review, e)
			     : cli_cannot(g->review.cli, "interrupted");
	statistics_end(g->s);
	return EXIT_DONE;
}

int gathering_verdict(const struct gathering *g)
{
	int status = review_verdict(&g->review, 0);

	return status == EXIT_DONE ? g->proof.status : status;
}

void gathering_close(struct gathering *g)
{
	statistics_close(g->s);
	review_close(&g->review);
}

/* --- the same again --- */

/* Within quotes for a shell, if it needs them. */
static bool word_add(char *ret, size_t size, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.:_-/+=@%,";
	bool quotes = word[strspn(word, plain)] != '\0' || word[0] == '\0';
	size_t used = strlen(ret);
	int len;

	if (strchr(word, '\'') != NULL)
		return false;
	len = snprintf(ret + used, size - used, "%s%s%s%s", used ? " " : "", quotes ? "'" : "",
		       word, quotes ? "'" : "");
	return len >= 0 && (size_t)len < size - used;
}

const char *gathering_command(const struct gathering *g, char *ret, size_t size)
{
	const struct cli *cli = g->review.cli;
	const struct cli_option *o;
	char period[2 * WHEN_TEXT + 4], from[WHEN_TEXT], to[WHEN_TEXT];
	bool fine;

	ret[0] = '\0';
	(void)snprintf(period, sizeof period, "%s..%s", when_format(g->s->since_ns, true, from),
		       when_format(g->until_ns, true, to));
	fine = word_add(ret, size, "sallyport") && word_add(ret, size, "audit") &&
	       word_add(ret, size, strrchr(cli->command->name, ' ') + 1) &&
	       word_add(ret, size, period);
	for (size_t k = 0; fine && (o = cli_option_at(cli->command, k)) != NULL; k++) {
		const char *value;

		if (strcmp(o->name, "--since") == 0 || strcmp(o->name, "--until") == 0)
			continue;
		if (!o->value && cli_option(cli, o->name))
			fine = word_add(ret, size, o->name);
		for (size_t i = 0; fine && (value = cli_option_nth(cli, o->name, i)); i++)
			fine = word_add(ret, size, o->name) && word_add(ret, size, value);
	}
	fine = fine && (!cli->json || word_add(ret, size, "--json"));
	fine = fine && word_add(ret, size, "--state") && word_add(ret, size, cli->state);
	return fine ? ret : "";
}

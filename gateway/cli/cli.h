/* The command line: a table of subcommands, and one parser for their options. */
#pragma once

#include <stdio.h>
#include "gateway/base/base.h"

/* Exit statuses, the same for every subcommand. */
enum exit_status {
	EXIT_DONE = 0,
	EXIT_NO = 1, /* the answer is no */
	EXIT_USAGE = 2,
	EXIT_CANNOT = 3, /* it could not be done: the reason is on stderr */
	EXIT_DIFFERENCES = 10,
	EXIT_GAPS = 20,
	EXIT_DAMAGED = 21,
	EXIT_TAIL = 22, /* audit verify */
};

struct cli_option {
	const char *name;  /* "--since" */
	const char *value; /* what it takes, for the help: "TIME"; NULL: a flag */
	const char *help;  /* NULL: the next option's is about both */
};

#define CLI_ARGUMENTS_MAX 8
#define CLI_OPTIONS_MAX	  48
#define CLI_GIVEN_MAX	  64

struct cli {
	const struct subcommand *command;
	const char *arguments[CLI_ARGUMENTS_MAX + 1]; /* what is no option; NULL-ended */
	size_t argument_count;
	const char *state; /* --state DIR, or the default */
	bool json;
	const char *values[CLI_OPTIONS_MAX]; /* by place, see cli_option_at(); "" for a flag */
	struct cli_given {
		const char *const *slot; /* of values */
		const char *value;
	} given[CLI_GIVEN_MAX]; /* in order, each time that one was given */
	size_t given_count;
};

struct subcommand {
	const char *name;		   /* "check" */
	const char *arguments;		   /* for the usage line: "POLICY" */
	size_t least, most;		   /* arguments */
	const char *summary;		   /* one line */
	const char *examples;		   /* two lines, the first thing that --help shows */
	const char *text;		   /* more, or NULL */
	const struct cli_option *options;  /* its own; NULL-name ended, or NULL */
	const struct cli_option *shared;   /* those that it has with others; likewise */
	bool json;			   /* takes --json */
	int (*run)(const struct cli *cli); /* returns an exit status */
	/* NULL-ended: the next word names one of these ("audit show"), and that is run instead. */
	const struct subcommand *const *verbs;
};

/* The options of a subcommand, its own and then the shared ones; NULL: no more. */
const struct cli_option *cli_option_at(const struct subcommand *c, size_t place);
/* The verb that stands among these words, which is taken out of them; `c` itself: help is wanted of
 * all; NULL, said: there is none. */
const struct subcommand *cli_verb_take(const struct subcommand *c, int *argc, char **argv);
void cli_help(const struct subcommand *c);

/* The value of an option of this subcommand ("" for a flag), or NULL when it was not given. */
const char *cli_option(const struct cli *cli, const char *name);
/* The same of one that may be repeated: the value that was given n-th, from 0. */
const char *cli_option_nth(const struct cli *cli, const char *name, size_t n);
/* Was it given? False also for an option that this subcommand does not have. */
bool cli_has(const struct cli *cli, const char *name);
/* Prints "sallyport NAME: …" and how to get help; returns EXIT_USAGE. */
int cli_usage(const struct cli *cli, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Prints "sallyport NAME: …" and returns EXIT_CANNOT. Errors say what failed, on what, why, what to
 * do. */
int cli_cannot(const struct cli *cli, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Colour: only when f is a terminal and NO_COLOR is not set. */
bool cli_colour(FILE *f);
/* The one of `names` that may have been meant (policy/nearest.h), or NULL. */
const char *cli_nearest(const char *word, const char *const *names, size_t count);
/* The row of a table of verbs that the first argument names; each row of `stride` octets begins
 * with its name. NULL, with the usage error said, when there is none. */
const void *cli_verb(const struct cli *cli, const void *rows, size_t stride, size_t count);

extern const struct subcommand cli_run, cli_status, cli_sessions, cli_check, cli_plan, cli_explain,
	cli_secret, cli_audit, cli_disk, cli_bans, cli_reload, cli_client, cli_ipsec, cli_wireguard,
	cli_ca, cli_connect, cli_join;

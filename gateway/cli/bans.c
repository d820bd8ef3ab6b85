/* `sallyport bans`: which addresses are banned, why and until when; an operator's own bans, and the
 * end of one. Asks the running gateway. */
#include <stdio.h>
#include "gateway/cli/ask.h"
#include "gateway/cli/cli.h"
#include "policy/types.h"

struct verb {
	const char *name;
	const char *request; /* of the control socket */
	bool takes_address;
	int (*print)(const struct cli *cli, const json_t *root);
};

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static long long number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static int print_list(const struct cli *cli, const json_t *root)
{
	const json_t *row;
	size_t k;

	(void)cli;
	printf("%-24s %-7s %-34s %-21s %-21s %s\n", "SOURCE", "STATE", "REASON", "SINCE", "UNTIL",
	       "BEFORE");
	json_array_foreach(json_object_get(root, "bans"), k, row)
		printf("%-24s %-7s %-34s %-21s %-21s %lld\n", text_of(row, "source"),
		       text_of(row, "state"), text_of(row, "reason"), text_of(row, "since"),
		       text_of(row, "until"), number_of(row, "repeats"));
	json_array_foreach(json_object_get(root, "suspects"), k, row)
		printf("%-24s %-7s %lld of %lld points\n", text_of(row, "source"), "-",
		       number_of(row, "points"), number_of(root, "after"));
	json_array_foreach(json_object_get(root, "behind_proxies"), k, row) printf(
		"Portal %s: packets carry its proxies' addresses; a ban binds a proxy when it\n"
		"connects, and who is behind it at its login.\n",
		json_string_value(row));
	return EXIT_DONE;
}

static int print_added(const struct cli *cli, const json_t *root)
{
	char lasts[QUANTITY_TEXT];

	printf("%s is banned for %s\n", text_of(root, "banned"),
	       duration_format((uint64_t)number_of(root, "seconds") * 1000, lasts));
	if (number_of(root, "sessions") > 0)
		printf("%lld %s on: sallyport sessions kick ID ends one\n",
		       number_of(root, "sessions"),
		       number_of(root, "sessions") == 1 ? "session from there goes"
							: "sessions from there go");
	(void)cli;
	return EXIT_DONE;
}

static int print_lifted(const struct cli *cli, const json_t *root)
{
	bool lifted = json_is_true(json_object_get(root, "lifted"));

	(void)cli;
	printf(lifted ? "%s is not banned any more\n" : "%s was not banned\n",
	       text_of(root, "source"));
	return lifted ? EXIT_DONE : EXIT_NO;
}

static const struct verb verbs[] = {
	{"list", "bans", false, print_list},
	{"add", "ban", true, print_added},
	{"lift", "unban", true, print_lifted},
};

static int ask(const struct cli *cli, const struct verb *verb, const char *request)
{
	json_t *root;
	int error, r;

	root = gateway_ask(cli->state, request, &error);
	if (root == NULL)
		return cli_cannot(cli, "no gateway answers in %s: %s", cli->state,
				  strerror(-error));
	if (json_object_get(root, "error") != NULL)
		r = cli_cannot(cli, "%s: %s", cli->argument_count > 1 ? cli->arguments[1] : "list",
			       text_of(root, "error"));
	else if (cli->json)
		r = json_dumpf(root, stdout, JSON_INDENT(1)) < 0     ? EXIT_CANNOT
		    : json_is_false(json_object_get(root, "lifted")) ? EXIT_NO
								     : EXIT_DONE;
	else
		r = verb->print(cli, root);
	json_decref(root);
	return r;
}

static int bans(const struct cli *cli)
{
	const char *lasts = cli_option(cli, "--for"), *all = cli_option(cli, "--all");
	const struct verb *verb = &verbs[0];
	char request[256], seconds[24] = "";
	uint64_t ms;

	if (cli->argument_count > 0)
		verb = cli_verb(cli, verbs, sizeof verbs[0], ARRAY_LEN(verbs));
	if (verb == NULL)
		return EXIT_USAGE;
	if (verb->takes_address != (cli->argument_count == 2))
		return cli_usage(cli, verb->takes_address ? "%s needs an ADDRESS" : "%s takes none",
				 verb->name);
	if ((lasts != NULL && strcmp(verb->name, "add") != 0) || (all != NULL && verb != verbs))
		return cli_usage(cli, "--for goes with add, --all with list");
	if (lasts != NULL && (duration_parse(lasts, &ms) < 0 || ms < 1000))
		return cli_usage(cli, "--for takes a time, as 30m, 12h or 7d, not %s", lasts);
	if (lasts != NULL)
		(void)snprintf(seconds, sizeof seconds, " %llu", (unsigned long long)(ms / 1000));
	if (snprintf(request, sizeof request, "%s%s%s%s%s", verb->request,
		     verb->takes_address ? " " : "", verb->takes_address ? cli->arguments[1] : "",
		     seconds, all != NULL ? " all" : "") >= (int)sizeof request)
		return cli_usage(cli, "no address is as long as that");
	return ask(cli, verb, request);
}

static const struct cli_option bans_options[] = {
	{"--all", NULL, "with list: points of those that are not banned yet, too"},
	{"--for", "TIME", "with add: how long (30m, 12h, 7d); else as the policy's first ban"},
	{0},
};

const struct subcommand cli_bans = {
	.name = "bans",
	.arguments = "[list | add ADDRESS | lift ADDRESS]",
	.most = 2,
	.summary = "addresses that failed too often, why and until when; add one, lift one",
	.examples = "  sallyport bans\n  sallyport bans lift 203.0.113.7\n",
	.text = "ADDRESS is an IPv4 address, or an IPv6 one, which means its /64. A ban is for "
		"new\n"
		"connections; live sessions go on.\n"
		"Exit status: 0 done; 1 what was to be lifted was not banned; 3 it could not be "
		"done.",
	.options = bans_options,
	.json = true,
	.run = bans,
};

/* The command `sallyport`: finds the subcommand in the table and parses its options.
 * `sallyport internal ROLE` is how the monitor starts its helpers; it is no interface
 * for people. */
#include "auth/auth.h"
#include "gateway/arbiter/arbiter.h"
#include "gateway/audit/auditor.h"
#include "gateway/base/log.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "gateway/base/state.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/join_line.h"
#include "gateway/connect/connect.h"
#include "gateway/files/files.h"
#include "gateway/monitor/audit.h"
#include "policy/firewall.h"

static const struct subcommand *const commands[] = {
	&cli_run,	&cli_check, &cli_plan, &cli_explain, &cli_reload, &cli_status,
	&cli_sessions,	&cli_bans,  &cli_disk, &cli_secret,  &cli_client, &cli_ipsec,
	&cli_wireguard, &cli_ca,    &cli_join, &cli_connect, &cli_audit,
};

static const struct role {
	const char *name;
	int (*run)(void);
} roles[] = {
	{"authenticator", authenticator_main},
	{"auditor", auditor_main},
	{"arbiter", arbiter_main},
	{"firewall", firewall_main},
	{"firewall-ipsec", firewall_ipsec_main},
	{"files", files_main},
	{"raiser", raiser_main},
	{"scribe", scribe_main},
	{"checkpoint-command", checkpoint_command_main},
	{"connect-tunnels", connect_tunnels_main},
	{"connect-key", connect_key_main},
	{"connect-names", connect_names_main},
	{JOIN_ROLE, join_line_main},
};

static int internal(int argc, char **argv)
{
	if (argc < 3)
		return EXIT_USAGE;
	for (size_t k = 0; k < ARRAY_LEN(roles); k++) {
		if (strcmp(argv[2], roles[k].name) == 0) {
			log_start(roles[k].name);
			return process_harden() < 0 ? EXIT_CANNOT : roles[k].run();
		}
	}
	return EXIT_USAGE;
}

static void usage(FILE *f)
{
	fprintf(f, "sallyport: an iSCSI target that can stand on a WAN\n\n"
		   "  sallyport run /etc/sallyport/policy.yaml\n"
		   "  sallyport status\n\n");
	for (size_t k = 0; k < ARRAY_LEN(commands); k++)
		fprintf(f, "  %-10s %s\n", commands[k]->name, commands[k]->summary);
	fprintf(f, "\nsallyport COMMAND --help tells more. Without a command: status.\n");
}

static int unknown_option(const struct cli *cli, const char *name)
{
	const char *names[CLI_OPTIONS_MAX + 3] = {"--help", "--state", "--json"};
	const struct cli_option *o;
	size_t count = 3;
	const char *near;

	for (size_t k = 0; (o = cli_option_at(cli->command, k)) != NULL; k++)
		names[count++] = o->name;
	near = cli_nearest(name, names, count);
	return cli_usage(cli, near ? "unknown option %s; did you mean %s?" : "unknown option %s",
			 name, near);
}

/* One option: `argv[*at]`, perhaps with its value behind it. Returns -1 to go on. */
static int parse_option(struct cli *cli, int argc, char **argv, int *at)
{
	const char *word = argv[*at], *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	const struct cli_option *o;
	const char **slot = NULL, *takes = NULL;

	if (strncmp(word, "--state", len) == 0 && len == strlen("--state")) {
		slot = &cli->state;
		takes = "DIR";
	}
	for (size_t k = 0; slot == NULL && (o = cli_option_at(cli->command, k)) != NULL; k++) {
		if (strlen(o->name) == len && strncmp(o->name, word, len) == 0) {
			slot = &cli->values[k];
			takes = o->value;
		}
	}
	if (slot == NULL)
		return unknown_option(cli, word);
	if (takes == NULL) {
		*slot = "";
		return equals ? cli_usage(cli, "%s takes no value", word) : -1;
	}
	if (equals == NULL && *at + 1 >= argc)
		return cli_usage(cli, "%s needs a value: %s", word, takes);
	*slot = equals ? equals + 1 : argv[++*at];
	if (cli->given_count == CLI_GIVEN_MAX)
		return cli_usage(cli, "too many options");
	cli->given[cli->given_count++] = (struct cli_given){slot, *slot};
	return -1;
}

/* "-2h..now" is a period. */
static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0' && !(word[1] >= '0' && word[1] <= '9');
}

static int parse(struct cli *cli, int argc, char **argv)
{
	bool options = true;
	int r;

	for (int at = 0; at < argc; at++) {
		if (options && strcmp(argv[at], "--") == 0) {
			options = false;
		} else if (options && (!strcmp(argv[at], "--help") || !strcmp(argv[at], "-h"))) {
			cli_help(cli->command);
			return EXIT_DONE;
		} else if (options && cli->command->json && strcmp(argv[at], "--json") == 0) {
			cli->json = true;
		} else if (options && is_option(argv[at])) {
			if ((r = parse_option(cli, argc, argv, &at)) >= 0)
				return r;
		} else if (cli->argument_count >= cli->command->most) {
			return cli_usage(cli,
					 "too many arguments"); /* it may be a secret: not shown */
		} else {
			cli->arguments[cli->argument_count++] = argv[at];
		}
	}
	if (cli->argument_count < cli->command->least)
		return cli_usage(cli, "it needs %s", cli->command->arguments);
	return -1;
}

static const struct subcommand *command_find(const char *name)
{
	const char *names[ARRAY_LEN(commands)], *near;

	for (size_t k = 0; k < ARRAY_LEN(commands); k++) {
		if (strcmp(commands[k]->name, name) == 0)
			return commands[k];
		names[k] = commands[k]->name;
	}
	near = cli_nearest(name, names, ARRAY_LEN(commands));
	fprintf(stderr, "sallyport: unknown command %s\n", name);
	if (near != NULL)
		fprintf(stderr, "did you mean %s?\n", near);
	return NULL;
}

/* Where the command's name stands: the first word that is no option, nor the value of --state. argc
 * when there is none. */
static int command_place(int argc, char **argv)
{
	int at = 1;

	while (at < argc && argv[at][0] == '-')
		at += strcmp(argv[at], "--state") == 0 ? 2 : 1;
	return MIN(at, argc);
}

int main(int argc, char **argv)
{
	struct cli cli = {.state = STATE_DEFAULT};
	int at, r;

	if (argc > 1 && strcmp(argv[1], "internal") == 0)
		return internal(argc, argv);
	if (argc > 1 &&
	    (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))) {
		usage(stdout);
		return EXIT_DONE;
	}
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("sallyport " SALLYPORT_VERSION "\n");
		return EXIT_DONE;
	}
	at = command_place(argc, argv);
	cli.command = at < argc ? command_find(argv[at]) : &cli_status;
	if (cli.command == NULL) {
		fprintf(stderr, "sallyport --help lists the commands.\n");
		return EXIT_USAGE;
	}
	if (at < argc) { /* what is left are its options and arguments */
		memmove(&argv[at], &argv[at + 1], (size_t)(argc - at - 1) * sizeof *argv);
		argc--;
	}
	if (cli.command->verbs != NULL) {
		argc--;
		cli.command = cli_verb_take(cli.command, &argc, argv + 1);
		argc++;
		if (cli.command == NULL)
			return EXIT_USAGE;
	}
	if ((r = parse(&cli, argc - 1, argv + 1)) >= 0)
		return r;
	return cli.command->run(&cli);
}

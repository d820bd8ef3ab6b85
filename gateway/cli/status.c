/* `sallyport status` and `sallyport sessions`: what is up and what is not. Whatever is
 * not well stands on the first lines. */
#include <stdio.h>
#include "gateway/base/bytes.h"
#include "gateway/base/clock.h"
#include "gateway/base/when.h"
#include "gateway/cli/ask.h"
#include "gateway/cli/cli.h"

#define POLL_US 50000

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static long long number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* "3 d 4 h", "12 min", "5 s" */
static const char *duration(long long s, char ret[32])
{
	if (s >= 86400)
		(void)snprintf(ret, 32, "%lld d %lld h", s / 86400, s % 86400 / 3600);
	else if (s >= 3600)
		(void)snprintf(ret, 32, "%lld h %lld min", s / 3600, s % 3600 / 60);
	else if (s >= 60)
		(void)snprintf(ret, 32, "%lld min", s / 60);
	else
		(void)snprintf(ret, 32, "%lld s", s);
	return ret;
}

static void print_portal(const json_t *row)
{
	const json_t *tls = json_object_get(row, "tls"), *kernel;

	printf("portal   %-12s %-24s %-6s sessions %lld   group %s (tag %lld)\n",
	       text_of(row, "portal"), text_of(row, "listens"), text_of(row, "transport"),
	       number_of(row, "sessions"), text_of(row, "group"), number_of(row, "tag"));
	if (!json_is_object(tls))
		return;
	printf("         %-12s %s, TLS %s, %lld days left, %.23s\n", "", text_of(tls, "name"),
	       json_is_true(json_object_get(tls, "tls12")) ? "1.2 and 1.3" : "1.3",
	       number_of(tls, "days_left"), text_of(tls, "certificate"));
	kernel = json_object_get(tls, "kernel");
	printf("         %-12s the kernel encrypts for %lld of its sessions, decrypts for %lld\n",
	       "", number_of(kernel, "sends"), number_of(kernel, "receives"));
}

static void print_lists(const json_t *root)
{
	const json_t *row;
	size_t k;

	json_array_foreach(json_object_get(root, "portals"), k, row) print_portal(row);
	json_array_foreach(json_object_get(root, "disks"), k, row)
		printf("disk     %-12s %s, %lld MiB%s, writers %lld, %s\n", text_of(row, "disk"),
		       text_of(row, "path"), number_of(row, "size_bytes") >> 20,
		       json_is_true(json_object_get(row, "read_only")) ? ", read-only" : "",
		       number_of(row, "writers"), text_of(row, "state"));
	json_array_foreach(json_object_get(root, "helpers"), k, row) printf(
		"process  %-14s %-5s %s%s%s\n", text_of(row, "helper"), text_of(row, "state"),
		text_of(row, "note"), text_of(row, "missing_layers")[0] ? " without " : "",
		text_of(row, "missing_layers"));
}

/* One that stands is among the problems; one that was mended is told for a while. */
static void print_drift(const json_t *drift)
{
	const char *by = text_of(drift, "by");

	if (strcmp(text_of(drift, "state"), "mended") == 0)
		printf("drift    firewall rules were changed %s by %s, and are as loaded again "
		       "(%lld since the policy was taken): %s\n",
		       text_of(drift, "since"), by[0] ? by : "somebody", number_of(drift, "times"),
		       text_of(drift, "changed"));
}

static void print_audit(const json_t *root)
{
	const json_t *trail = json_object_get(root, "trail");

	printf("audit    %s, segment %lld, epoch %lld, %lld MiB\n", text_of(root, "audit"),
	       number_of(root, "audit_segment"), number_of(trail, "epoch"),
	       number_of(trail, "octets") >> 20);
	if (strcmp(text_of(trail, "room"), "little") == 0)
		printf("WARNING  there is little room for the audit trail: %lld MiB\n",
		       number_of(trail, "free_octets") >> 20);
	if (number_of(trail, "epoch") > 0 && !json_is_true(json_object_get(trail, "key_shown")))
		printf("hint     nobody has a verification key of this epoch of the audit trail: "
		       "`sallyport audit key` shows one, once, for keeping elsewhere\n");
}

static void print_status(const json_t *root)
{
	const json_t *problem;
	char up[32];
	size_t k;

	json_array_foreach(json_object_get(root, "problems"), k, problem)
		printf("NOT WELL %s\n", json_string_value(problem));
	json_array_foreach(json_object_get(root, "alerts"), k, problem)
		printf("ALERT    %s: %s %s\n", text_of(problem, "alert"), text_of(problem, "text"),
		       text_of(problem, "at"));
	json_array_foreach(json_object_get(root, "warnings"), k, problem)
		printf("WARNING  %s\n", json_string_value(problem));
	printf("gateway  %s   up %s   policy %.12s   %s\n", text_of(root, "version"),
	       duration(number_of(root, "up_s"), up), text_of(root, "policy_sha256"),
	       text_of(root, "policy"));
	if (number_of(root, "confirm_within_s") > 0)
		printf("policy   confirm within %lld s or it goes back: sallyport reload "
		       "--confirm\n",
		       number_of(root, "confirm_within_s"));
	printf("sessions %lld   logins in progress %lld   bans %lld\n", number_of(root, "sessions"),
	       number_of(root, "logins_in_progress"), number_of(root, "bans"));
	print_audit(root);
	print_lists(root);
	print_drift(json_object_get(root, "drift"));
	if (text_of(root, "session_missing_layers")[0] != '\0')
		printf("sandbox  sessions run without %s\n",
		       text_of(root, "session_missing_layers"));
}

/* 0 well, 1 something is not, 3 nobody answers; *ret_root is the caller's. */
static int ask_once(const struct cli *cli, json_t **ret_root, int *ret_error)
{
	*ret_root = gateway_ask(cli->state, "status", ret_error);
	if (*ret_root == NULL)
		return EXIT_CANNOT;
	return json_is_true(json_object_get(*ret_root, "well")) ? EXIT_DONE : EXIT_NO;
}

static int status(const struct cli *cli)
{
	const char *wait = cli_option(cli, "--wait");
	uint64_t seconds = 0, until;
	json_t *root = NULL;
	int error, r;

	if (wait != NULL && number_parse(wait, 0, 86400, &seconds) < 0)
		return cli_usage(cli, "--wait takes seconds, 0 to 86400, not %s", wait);
	until = clock_ms() + seconds * 1000;
	while ((r = ask_once(cli, &root, &error)) != EXIT_DONE && clock_ms() < until) {
		json_decref(root);
		(void)usleep(POLL_US);
	}
	if (root == NULL)
		return cli_cannot(cli, "no gateway answers in %s: %s; is `sallyport run` running?",
				  cli->state, strerror(-error));
	if (cli->json)
		(void)json_dumpf(root, stdout, JSON_INDENT(1));
	else
		print_status(root);
	json_decref(root);
	return wait != NULL && r != EXIT_DONE ? EXIT_CANNOT : r;
}

static const struct cli_option status_options[] = {
	{"--wait", "SECONDS", "wait until all is well; 3 when it is not by then"},
	{0},
};

const struct subcommand cli_status = {
	.name = "status",
	.arguments = "",
	.summary = "what is up and what is not",
	.examples = "  sallyport status\n  sallyport status --wait 10 --json\n",
	.text = "Exit status: 0 all is well, 1 something is not (named first), 3 no gateway "
		"answers.",
	.options = status_options,
	.json = true,
	.run = status,
};

/* --- sessions --- */

/* Which direction the kernel encrypts, and whose certificate it is. */
static void print_session_tls(const json_t *tls)
{
	bool sends = json_is_true(json_object_get(tls, "kernel_sends"));
	bool receives = json_is_true(json_object_get(tls, "kernel_receives"));
	const char *name = json_string_value(json_array_get(json_object_get(tls, "names"), 0));
	char until[WHEN_TEXT];

	if (!json_is_object(tls))
		return;
	printf("       %s, %s, %s; in the kernel: %s; certificate of %s until %s, %.23s\n",
	       text_of(tls, "version"), text_of(tls, "cipher"), text_of(tls, "group"),
	       sends && receives ? "both ways"
	       : sends		 ? "what is sent"
	       : receives	 ? "what is received"
				 : "nothing",
	       name ? name : "no initiator",
	       when_format((uint64_t)MAX(number_of(tls, "until_s"), 0) * 1000000000U, true, until),
	       text_of(tls, "certificate"));
}

static void print_sessions(const json_t *root)
{
	const json_t *row;
	char up[32];
	size_t k;

	printf("%-6s %-8s %-44s %-24s %-5s %-12s %s\n", "ID", "STATE", "INITIATOR", "FROM", "CONNS",
	       "UP", "TARGET");
	json_array_foreach(root, k, row)
	{
		printf("%-6lld %-8s %-44s %-24s %-5lld %-12s %s%s%s\n", number_of(row, "session"),
		       text_of(row, "state"), text_of(row, "initiator"), text_of(row, "peer"),
		       number_of(row, "connections"), duration(number_of(row, "up_s"), up),
		       text_of(row, "target"), text_of(row, "proxy")[0] ? " by proxy " : "",
		       text_of(row, "proxy"));
		print_session_tls(json_object_get(row, "tls"));
	}
}

static int sessions(const struct cli *cli)
{
	char request[64] = "sessions";
	json_t *root;
	int error;

	if (cli->argument_count > 0) {
		if (strcmp(cli->arguments[0], "kick") != 0 || cli->argument_count != 2)
			return cli_usage(cli, "it takes nothing, or kick ID");
		(void)snprintf(request, sizeof request, "kick %s", cli->arguments[1]);
	}
	root = gateway_ask(cli->state, request, &error);
	if (root == NULL)
		return cli_cannot(cli, "no gateway answers in %s: %s", cli->state,
				  strerror(-error));
	if (json_object_get(root, "error") != NULL) {
		error = cli_cannot(cli, "%s", text_of(root, "error"));
		json_decref(root);
		return error;
	}
	if (cli->json)
		(void)json_dumpf(root, stdout, JSON_INDENT(1));
	else if (cli->argument_count == 0)
		print_sessions(root);
	else
		printf("session %s was asked to log out\n", cli->arguments[1]);
	json_decref(root);
	return EXIT_DONE;
}

const struct subcommand cli_sessions = {
	.name = "sessions",
	.arguments = "[kick ID]",
	.most = 2,
	.summary = "who is here, from where, on which target; kick asks one to log out",
	.examples = "  sallyport sessions\n  sallyport sessions kick 17\n",
	.json = true,
	.run = sessions,
};

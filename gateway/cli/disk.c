/* `sallyport disk`: what is known about each disk beyond its grants (who holds it, did it fail),
 * and an operator's word that a failed one is well again. */
#include <stdio.h>
#include "gateway/cli/ask.h"
#include "gateway/cli/cli.h"

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void print_size(json_int_t octets)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;

	while (octets >= 1024 && octets % 1024 == 0 && unit + 1 < ARRAY_LEN(units)) {
		octets /= 1024;
		unit++;
	}
	printf("%8lld %-4s", (long long)octets, units[unit]);
}

static void print_reservation(const json_t *row)
{
	json_int_t registrants = json_integer_value(json_object_get(row, "registrants"));

	if (text_of(row, "reservation")[0] != '\0')
		printf("%14s%s%s%s\n", "", text_of(row, "reservation"),
		       text_of(row, "holder")[0] ? ", held by " : "", text_of(row, "holder"));
	if (registrants > 0)
		printf("%14s%lld registered%s\n", "", (long long)registrants,
		       json_is_true(json_object_get(row, "kept_over_power_loss"))
			       ? ", kept over a loss of power"
			       : "");
}

static void print_disks(const json_t *root)
{
	const json_t *row;
	size_t k;

	json_array_foreach(root, k, row)
	{
		printf("%-12s ", text_of(row, "disk"));
		print_size(json_integer_value(json_object_get(row, "size_bytes")));
		printf("  %s\n", text_of(row, "serial"));
		if (json_is_true(json_object_get(row, "failed")))
			printf("%14sFAILED since %s: %s\n", "", text_of(row, "failed_since"),
			       text_of(row, "state"));
		else if (strcmp(text_of(row, "state"), "ok") != 0)
			printf("%14sNOT WELL: %s\n", "", text_of(row, "state"));
		print_reservation(row);
	}
}

static bool all_are_well(const json_t *root)
{
	const json_t *row;
	size_t k;

	json_array_foreach(root, k, row)
	{
		if (strcmp(text_of(row, "state"), "ok") != 0)
			return false;
	}
	return true;
}

static int list(const struct cli *cli, const json_t *root)
{
	if (cli->json)
		(void)json_dumpf(root, stdout, JSON_INDENT(1));
	else
		print_disks(root);
	return all_are_well(root) ? EXIT_DONE : EXIT_NO;
}

static int cleared(const struct cli *cli, bool forget)
{
	if (cli->json)
		printf("{\"cleared\": true, \"forgot_reservations\": %s}\n",
		       forget ? "true" : "false");
	else
		printf("disk %s was cleared%s; its initiators go on, and hear that its content may "
		       "have changed\n",
		       cli->arguments[1],
		       forget ? ", and has no reservations, registrations or saved modes any more"
			      : "");
	return EXIT_DONE;
}

static int disk(const struct cli *cli)
{
	bool forget = cli_option(cli, "--forget-reservations") != NULL;
	bool clears = cli->argument_count > 0;
	char request[256] = "disks";
	json_t *root;
	int error, r;

	if ((clears && strcmp(cli->arguments[0], "clear") != 0) || cli->argument_count == 1)
		return cli_usage(cli, "it takes nothing, or clear NAME");
	if (forget && !clears)
		return cli_usage(cli, "--forget-reservations goes with clear NAME");
	if (clears && snprintf(request, sizeof request, "clear-disk %s%s", cli->arguments[1],
			       forget ? " forget-reservations" : "") >= (int)sizeof request)
		return cli_usage(cli, "no disk has a name as long as that");
	root = gateway_ask(cli->state, request, &error);
	if (root == NULL)
		return cli_cannot(cli, "no gateway answers in %s: %s", cli->state,
				  strerror(-error));
	if (json_object_get(root, "error") != NULL)
		r = cli_cannot(cli, "%s: %s", cli->arguments[1], text_of(root, "error"));
	else
		r = clears ? cleared(cli, forget) : list(cli, root);
	json_decref(root);
	return r;
}

static const struct cli_option disk_options[] = {
	{"--forget-reservations", NULL, "with clear: a disk whose journal is damaged, too"},
	{0},
};

const struct subcommand cli_disk = {
	.name = "disk",
	.arguments = "[clear NAME]",
	.most = 2,
	.summary = "size, identity, reservations and failures of each disk; clear ends a failure",
	.examples = "  sallyport disk\n  sallyport disk clear vault\n",
	.text = "Exit status: 0 all are well, or it was cleared; 1 one is not well; 3 it could not "
		"be done.",
	.options = disk_options,
	.json = true,
	.run = disk,
};

/* `sallyport disk`: what is known about each disk beyond its grants (who holds it, did it fail),
 * and an operator's word that a failed one is well again, or that a lost writer does not come back.
 */
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

static void print_writer(const json_t *row)
{
	const json_t *writer = json_object_get(row, "writer");

	if (!json_is_object(writer))
		return;
	printf("%14swritten by %s", "", text_of(writer, "initiator"));
	if (json_is_true(json_object_get(writer, "lost")))
		printf(", which is lost: for %lld s more nobody else may write it",
		       (long long)json_integer_value(json_object_get(writer, "seconds_left")));
	printf("\n");
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
		print_writer(row);
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

static int freed(const struct cli *cli)
{
	if (cli->json)
		printf("{\"freed\": true}\n");
	else
		printf("the write slot of disk %s is free: who logs in next may write it\n",
		       cli->arguments[1]);
	return EXIT_DONE;
}

static int request_make(const struct cli *cli, char *ret, size_t size)
{
	bool forget = cli_option(cli, "--forget-reservations") != NULL;
	const char *does = cli->argument_count > 0 ? cli->arguments[0] : "";
	bool clears = strcmp(does, "clear") == 0, frees = strcmp(does, "free") == 0;
	int n;

	if ((does[0] != '\0' && !clears && !frees) || cli->argument_count == 1)
		return cli_usage(cli, "it takes nothing, clear NAME, or free NAME");
	if (forget && !clears)
		return cli_usage(cli, "--forget-reservations goes with clear NAME");
	n = snprintf(ret, size, "%s%s%s%s",
		     clears  ? "clear-disk"
		     : frees ? "free-writer"
			     : "disks",
		     does[0] != '\0' ? " " : "", does[0] != '\0' ? cli->arguments[1] : "",
		     forget ? " forget-reservations" : "");
	if (n < 0 || (size_t)n >= size)
		return cli_usage(cli, "no disk has a name as long as that");
	return EXIT_DONE;
}

static int disk(const struct cli *cli)
{
	bool forget = cli_option(cli, "--forget-reservations") != NULL;
	const char *does = cli->argument_count > 0 ? cli->arguments[0] : "";
	char request[256];
	json_t *root;
	int error, r = request_make(cli, request, sizeof request);

	if (r != EXIT_DONE)
		return r;
	root = gateway_ask(cli->state, request, &error);
	if (root == NULL)
		return cli_cannot(cli, "no gateway answers in %s: %s", cli->state,
				  strerror(-error));
	if (json_object_get(root, "error") != NULL)
		r = cli_cannot(cli, "%s: %s", cli->arguments[1], text_of(root, "error"));
	else if (strcmp(does, "free") == 0)
		r = freed(cli);
	else
		r = does[0] != '\0' ? cleared(cli, forget) : list(cli, root);
	json_decref(root);
	return r;
}

static const struct cli_option disk_options[] = {
	{"--forget-reservations", NULL, "with clear: a disk whose journal is damaged, too"},
	{0},
};

const struct subcommand cli_disk = {
	.name = "disk",
	.arguments = "[clear NAME | free NAME]",
	.most = 2,
	.summary = "size, identity, who writes or reserves each disk, and failures; clear ends one",
	.examples = "  sallyport disk\n  sallyport disk clear vault\n",
	.text = "free: who writes the disk and is lost is not waited for any longer "
		"(writer_lease). Make\n"
		"sure first that it is off: two machines that write one file system destroy it.\n"
		"Exit status: 0 all are well, or it was cleared; 1 one is not well; 3 it could not "
		"be done.",
	.options = disk_options,
	.json = true,
	.run = disk,
};

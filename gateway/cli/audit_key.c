/* `sallyport audit key`: has the running gateway begin a new epoch of its trail, and shows the
 * epoch's verification key, once. Asks the running gateway; what it says is believed. The key is in
 * locked memory here, and wiped. */
#include <fcntl.h>
#include <stdio.h>
#include "auth/slab.h"
#include "gateway/base/fd.h"
#include "gateway/cli/ask.h"
#include "gateway/cli/audit_review.h"

#define ANSWER_SIZE 4096
#define ANSWER_S    75 /* longer than the gateway itself waits */

static const char begins[] = "{\"key\":\"", ends[] = "\"}";

static int no_gateway(const struct cli *cli, int error)
{
	return cli_cannot(cli, "no gateway answers in %s: %s; a key is of a gateway that runs",
			  cli->state, strerror(-error));
}

/* The key between its quotes, with a newline behind it; NULL: it is another answer. */
static char *key_find(uint8_t *answer, size_t len)
{
	char *text = (char *)answer;

	if (len < sizeof begins + sizeof ends || memcmp(text, begins, sizeof begins - 1) != 0 ||
	    memcmp(text + len - sizeof ends + 1, ends, sizeof ends - 1) != 0)
		return NULL;
	memcpy(text + len - sizeof ends + 1, "\n", sizeof "\n");
	return text + sizeof begins - 1;
}

static int key_say(const struct cli *cli, const char *line)
{
	fprintf(stderr,
		"This is shown once, and the gateway does not keep it. Keep it where nobody from "
		"this\nmachine can read it: `sallyport audit verify --key FILE` proves with it "
		"that "
		"what was\nrecorded from now on, until the gateway starts again, is what this "
		"gateway recorded.\n");
	return fd_write_all(STDOUT_FILENO, line, strlen(line)) < 0
		       ? cli_cannot(cli,
				    "the key could not be written, and is lost: ask for another")
		       : EXIT_DONE;
}

static int show_key(const struct cli *cli)
{
	OWNED_BY(slab_close) struct slab slab = {0};
	char why[512];
	json_t *root;
	ssize_t len;
	char *line;
	int r;

	if (slab_open(&slab, ANSWER_SIZE, ANSWER_SIZE, why, sizeof why) < 0)
		return cli_cannot(cli, "%s", why);
	len = gateway_ask_secret(cli->state, "audit-key", ANSWER_S, slab.memory, slab.size);
	if (len < 0)
		return no_gateway(cli, (int)len);
	line = key_find(slab.memory, (size_t)len);
	if (line != NULL)
		return key_say(cli, line);
	root = json_loadb((const char *)slab.memory, (size_t)len, 0, NULL);
	line = (char *)(uintptr_t)json_string_value(json_object_get(root, "error"));
	r = cli_cannot(cli, "%s", line ? line : "the gateway ended before it answered");
	json_decref(root);
	return r;
}

/* --- the public half ------------------------------------------------------------------------- */

static int public_of_file(const struct cli *cli)
{
	OWNED_FD folder = open(cli->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWNED_FD fd = folder < 0 ? -1 : openat(folder, "signer.pub", O_RDONLY | O_CLOEXEC);
	OWNED_FREE char *text = NULL;
	size_t len;
	int r = fd < 0 ? -errno : fd_read_all(fd, ANSWER_SIZE, &text, &len);

	if (r < 0)
		return cli_cannot(cli,
				  "no gateway answers in %s, and there is no signer.pub to read: "
				  "%s",
				  cli->state, strerror(-r));
	return fputs(text, stdout) < 0 ? EXIT_CANNOT : EXIT_DONE;
}

static int show_public(const struct cli *cli)
{
	int error, r = EXIT_DONE;
	json_t *root = gateway_ask(cli->state, "signer", &error);
	const char *text = json_string_value(json_object_get(root, "public"));
	const char *why = json_string_value(json_object_get(root, "error"));

	if (root == NULL)
		return public_of_file(cli);
	if (text == NULL)
		r = cli_cannot(cli, "%s", why ? why : "the gateway does not say it");
	else if (fputs(text, stdout) < 0)
		r = EXIT_CANNOT;
	json_decref(root);
	return r;
}

static int key(const struct cli *cli)
{
	return cli_option(cli, "--public") != NULL ? show_public(cli) : show_key(cli);
}

static const struct cli_option options[] = {
	{"--public", NULL, "print the public keys that checkpoints are signed with; no secret"},
	{0},
};

const struct subcommand audit_key = {
	.name = "audit key",
	.arguments = "",
	.summary = "Shows the verification key of the trail, once, from now on.",
	.examples =
		"  sallyport audit key | ssh auditor@elsewhere 'umask 077; cat >> sallyport.keys'\n"
		"  sallyport audit key --public\n",
	.text = "The running gateway begins a new epoch of its audit trail at once, and its key "
		"is\n"
		"the line on stdout: nobody can show it again. With it, verify proves of each "
		"record\n"
		"from there on that this gateway made it then; who takes the machine over later "
		"can't\n"
		"make one anew. What is older is bound to it by hashes. Root and the policy's "
		"operators\n"
		"may ask for it, and the trail says who did.\n"
		"Exit status: 0; 3 it could not be done.",
	.options = options,
	.run = key,
};

/* `sallyport check POLICY`: is the policy right, and is it safe? Reads the policy file, and trusts
 * nothing in it; runs as the user who types it. */
#include <jansson.h>
#include "gateway/cli/running.h"
#include "policy/policy.h"

static size_t initiator_count(const struct policy *p)
{
	size_t n = 0;

	for (size_t t = 0; t < p->target_count; t++)
		n += p->targets[t].initiator_count;
	return n;
}

static void counted(size_t n, const char *what, const char *then)
{
	printf("%zu %s%s%s", n, what, n == 1 ? "" : "s", then);
}

static void facts_print(const char *path, const struct policy *p)
{
	char hash[POLICY_HASH_TEXT];

	policy_hash_text(p, hash);
	printf("%s: ", path);
	counted(p->portal_count, "portal", ", ");
	counted(p->disk_count, "disk", ", ");
	counted(p->target_count, "target", ", ");
	counted(initiator_count(p), "initiator", "; ");
	printf("policy %.16s; ", hash);
	if (p->warnings > 0)
		counted(p->warnings, "warning", "\n");
	else
		printf("SAFE\n");
}

/* The facts as one object; `mistakes` is the array that policy_load() wrote. */
static json_t *facts_json(const char *path, const struct policy *p, json_t *mistakes)
{
	json_t *all = json_pack("{s:s, s:b, s:o}", "policy", path, "valid", p != NULL, "mistakes",
				mistakes);
	char hash[POLICY_HASH_TEXT];

	if (!all || !p)
		return all;
	policy_hash_text(p, hash);
	if (json_object_update_new(all, json_pack("{s:s, s:b, s:i, s:i, s:i, s:i}", "hash", hash,
						  "safe", p->warnings == 0, "portals",
						  (int)p->portal_count, "disks", (int)p->disk_count,
						  "targets", (int)p->target_count, "initiators",
						  (int)initiator_count(p))) < 0) {
		json_decref(all);
		return NULL;
	}
	return all;
}

static int check_json(const struct cli *cli, struct policy_options *options)
{
	OWNED_FREE char *text = NULL;
	size_t len = 0;
	struct policy *p = NULL;
	json_t *mistakes, *all;
	int r;

	options->json = true;
	options->messages = open_memstream(&text, &len);
	if (!options->messages)
		return cli_cannot(cli, "no memory");
	r = policy_load(cli->arguments[0], options, &p);
	if (fclose(options->messages) != 0)
		r = -ENOMEM;
	mistakes = r == -ENOMEM ? NULL : json_loads(text, 0, NULL);
	all = mistakes ? facts_json(cli->arguments[0], p, mistakes) : NULL;
	policy_free(p);
	if (!all || json_dumpf(all, stdout, JSON_INDENT(2)) < 0)
		return cli_cannot(cli, "%s can't be told as JSON: no memory", cli->arguments[0]);
	printf("\n");
	json_decref(all);
	return cli_policy_exit(r);
}

static int check_text(const struct cli *cli, const struct policy_options *options)
{
	struct policy *p = NULL;
	int r = policy_load(cli->arguments[0], options, &p);

	if (r == 0)
		facts_print(cli->arguments[0], p);
	policy_free(p);
	return cli_policy_exit(r);
}

static int check_run(const struct cli *cli)
{
	struct policy_options options = {.messages = stderr,
					 .colour = cli_colour(stderr),
					 .state = cli->state,
					 .keys = true};
	struct store_list secrets = {0};
	int r;

	if (cli_secrets_find(cli, &secrets)) {
		options.secret_known = store_list_knows;
		options.arg = &secrets;
	}
	r = cli->json ? check_json(cli, &options) : check_text(cli, &options);
	store_list_free(&secrets);
	return r;
}

const struct subcommand cli_check = {
	.name = "check",
	.arguments = "POLICY",
	.least = 1,
	.most = 1,
	.summary = "is the policy right, and is it safe?",
	.examples = "  sallyport check /etc/sallyport/policy.yaml\n"
		    "  sallyport check --json policy.yaml\n",
	.text = "Exit status: 0 right (warnings are told), 1 it has mistakes, 3 it can't be read.\n"
		"Needs no gateway. The names of secrets are looked up where the state folder can "
		"be read.",
	.json = true,
	.run = check_run,
};

/* `sallyport plan POLICY`: what a policy would change, before it does. With --firewall, the very
 * script that the gateway would load. Reads the policy file, and trusts nothing in it. */
#include "gateway/cli/cli.h"
#include "policy/firewall.h"
#include "policy/policy.h"

static const struct cli_option options[] = {
	{"--firewall", NULL, "the firewall script alone"},
	{NULL, NULL, NULL},
};

static int plan_run(const struct cli *cli)
{
	struct policy_options how = {.messages = stderr, .colour = cli_colour(stderr)};
	OWNED_FREE char *script = NULL;
	struct policy *p = NULL;
	int r;

	if (!cli_option(cli, "--firewall"))
		return cli_cannot(cli, "the comparison with a running gateway is not built yet; "
				       "--firewall prints the firewall script");
	r = policy_load(cli->arguments[0], &how, &p);
	if (r < 0)
		return r == -EINVAL ? EXIT_NO : EXIT_CANNOT;
	script = firewall_script(p);
	policy_free(p);
	if (!script)
		return cli_cannot(cli, "no memory for the script");
	if (fputs(script, stdout) == EOF || fflush(stdout) == EOF)
		return cli_cannot(cli, "the script can't be written: %s", strerror(errno));
	return EXIT_DONE;
}

const struct subcommand cli_plan = {
	.name = "plan",
	.arguments = "POLICY",
	.least = 1,
	.most = 1,
	.summary = "what would change, before it does",
	.examples = "  sallyport plan --firewall policy.yaml\n"
		    "  sallyport plan --firewall policy.yaml | nft -c -f -\n",
	.text = "The script replaces the table \"inet sallyport\" in one transaction and touches "
		"no "
		"other.",
	.options = options,
	.run = plan_run,
};

/* `sallyport run POLICY`: the gateway, in the foreground. */
#include "gateway/base/log.h"
#include "gateway/base/sandbox.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/passphrase.h"
#include "gateway/monitor/monitor.h"

static ssize_t passphrase(const void *arg, uint8_t *ret, char *ret_why, size_t why_size)
{
	const struct cli *cli = arg;
	char text[512];
	const struct passphrase_ask ask = {
		.fd = cli_option(cli, "--passphrase-fd"), .text = text, .agent = true};

	(void)snprintf(text, sizeof text, "passphrase of the secrets in %s: ", cli->state);
	return passphrase_get(&ask, ret, ret_why, why_size);
}

static int run(const struct cli *cli)
{
	struct monitor_options options = {.policy_path = cli->arguments[0],
					  .state_path = cli->state,
					  .passphrase = passphrase,
					  .arg = cli};
	int r = process_harden();

	if (r < 0)
		return cli_cannot(cli, "this process can't be hardened: %s", strerror(-r));
	log_start("monitor");
	return monitor_run(&options);
}

static const struct cli_option run_options[] = {
	{"--passphrase-fd", "N", "where the key's passphrase is read; else somebody is asked"},
	{0},
};

const struct subcommand cli_run = {
	.name = "run",
	.arguments = "POLICY",
	.least = 1,
	.most = 1,
	.summary = "serve in the foreground, until SIGTERM or Ctrl-C",
	.examples = "  sallyport run /etc/sallyport/policy.yaml\n"
		    "  sallyport run policy.yaml --state ./state\n",
	.text = "Exit status: 0 stopped as asked, 1 the policy is not valid, 3 it could not serve.",
	.options = run_options,
	.run = run,
};

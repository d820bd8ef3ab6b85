/* `sallyport run POLICY`: the gateway, in the foreground. */
#include "gateway/base/log.h"
#include "gateway/base/sandbox.h"
#include "gateway/cli/cli.h"
#include "gateway/monitor/monitor.h"

static int run(const struct cli *cli)
{
	struct monitor_options options = {.policy_path = cli->arguments[0],
					  .state_path = cli->state};
	int r = process_harden();

	if (r < 0)
		return cli_cannot(cli, "this process can't be hardened: %s", strerror(-r));
	log_start("monitor");
	return monitor_run(&options);
}

const struct subcommand cli_run = {
	.name = "run",
	.arguments = "POLICY",
	.least = 1,
	.most = 1,
	.summary = "serve in the foreground, until SIGTERM or Ctrl-C",
	.examples = "  sallyport run /etc/sallyport/policy.yaml\n"
		    "  sallyport run policy.yaml --state ./state\n",
	.text = "Exit status: 0 stopped as asked, 1 the policy is not valid, 3 it could not serve.",
	.run = run,
};

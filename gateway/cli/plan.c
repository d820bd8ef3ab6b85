/* `sallyport plan POLICY`: what a policy would change, before it does: measured by what the running
 * gateway has in force and by its sessions. With --firewall, the very script that the gateway would
 * load. Reads the policy file, and trusts nothing in it. */
#include "gateway/base/clock.h"
#include "gateway/cli/plan.h"
#include "policy/firewall.h"

static const struct cli_option options[] = {
	{"--firewall", NULL, "the firewall script alone"},
	{NULL, NULL, NULL},
};

static char *script_of(const struct policy *p)
{
	return p && p->manage_firewall ? firewall_script(p, clock_wall_s()) : strdup("");
}

static int sessions_make(const struct running *running, struct plan *p)
{
	const json_t *row;
	size_t k;

	p->sessions = calloc(json_array_size(running->sessions) + 1, sizeof *p->sessions);
	if (!p->sessions)
		return -ENOMEM;
	json_array_foreach(running->sessions, k, row)
	{
		struct plan_session *s = &p->sessions[p->session_count];

		if (!running_session_read(row, &s->is))
			continue;
		s->is.s.luns = s->is.luns;
		s->is.s.now_s = clock_wall_s();
		policy_effect(p->before, p->after, &s->is.s, &s->will);
		p->effects[s->will.effect]++;
		p->session_count++;
	}
	return 0;
}

int plan_make(const struct cli *cli, const char *path, const struct running *running,
	      const struct policy *after, struct plan *ret_plan)
{
	struct plan p = {.path = path,
			 .before = running->policy,
			 .after = after,
			 .version = running->version};
	int r = policy_differences(p.before, after, &p.differences);

	p.scripts[0] = script_of(p.before);
	p.scripts[1] = script_of(after);
	if (r == 0)
		r = p.scripts[0] && p.scripts[1]
			    ? firewall_lines_compare(p.scripts[0], p.scripts[1], &p.lines)
			    : -ENOMEM;
	if (r == 0)
		r = sessions_make(running, &p);
	if (r < 0) {
		plan_free(&p);
		return cli_cannot(cli, "the comparison can't be made: %s", strerror(-r));
	}
	*ret_plan = p;
	return EXIT_DONE;
}

void plan_free(struct plan *p)
{
	differences_free(&p->differences);
	firewall_lines_free(&p->lines);
	free(p->scripts[0]);
	free(p->scripts[1]);
	free(p->sessions);
	*p = (struct plan){0};
}

bool plan_is_empty(const struct plan *p)
{
	return p->differences.count == 0 && p->lines.count == 0;
}

static int script_print(const struct cli *cli)
{
	struct policy_options how = {
		.messages = stderr, .colour = cli_colour(stderr), .state = cli->state};
	OWNED_FREE char *script = NULL;
	struct policy *p = NULL;
	int r = policy_load(cli->arguments[0], &how, &p);

	if (r < 0)
		return cli_policy_exit(r);
	script = firewall_script(p, clock_wall_s());
	policy_free(p);
	if (!script)
		return cli_cannot(cli, "no memory for the script");
	if (fputs(script, stdout) == EOF || fflush(stdout) == EOF)
		return cli_cannot(cli, "the script can't be written: %s", strerror(errno));
	return EXIT_DONE;
}

static int plan_tell(const struct cli *cli, const struct plan *p)
{
	json_t *all = cli->json ? plan_json(p) : NULL;

	if (cli->json && (!all || json_dumpf(all, stdout, JSON_INDENT(1)) < 0))
		return cli_cannot(cli, "the plan can't be told as JSON: no memory");
	if (cli->json)
		printf("\n");
	else
		plan_print(p, stdout);
	json_decref(all);
	if (fflush(stdout) == EOF)
		return cli_cannot(cli, "the plan can't be written: %s", strerror(errno));
	return plan_is_empty(p) ? EXIT_DONE : EXIT_DIFFERENCES;
}

static int plan_run(const struct cli *cli)
{
	struct running running = {0};
	struct policy *after = NULL;
	struct plan plan = {0};
	int r;

	if (cli_option(cli, "--firewall"))
		return script_print(cli);
	r = cli_policy_load(cli, cli->arguments[0], &after);
	if (r == EXIT_DONE)
		r = running_ask(cli, &running);
	if (r == EXIT_DONE)
		r = plan_make(cli, cli->arguments[0], &running, after, &plan);
	if (r == EXIT_DONE)
		r = plan_tell(cli, &plan);
	plan_free(&plan);
	running_free(&running);
	policy_free(after);
	return r;
}

const struct subcommand cli_plan = {
	.name = "plan",
	.arguments = "POLICY",
	.least = 1,
	.most = 1,
	.summary = "what would change, before it does",
	.examples = "  sallyport plan /etc/sallyport/policy.yaml\n"
		    "  sallyport plan --firewall policy.yaml | nft -c -f -\n",
	.text = "Compares with the running gateway: portals, disks, targets, initiators, LUNs, "
		"the\n"
		"firewall's lines, and what each session would feel. Without one, all is new.\n"
		"Then: sallyport reload --expect HASH takes up this very file, or nothing.\n"
		"Exit status: 0 nothing would change, 10 something would, 1 the policy is not\n"
		"valid, 3 it can't be compared. With --firewall: 0, and the script, which "
		"replaces\n"
		"the table \"inet sallyport\" in one transaction and touches no other.",
	.options = options,
	.json = true,
	.run = plan_run,
};

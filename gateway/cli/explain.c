/* `sallyport explain POLICY`: would this be allowed, layer by layer, with the policy's line that
 * decides. The decision is the gateway's own (policy_decide()). Reads the policy file and what was
 * typed, and trusts neither. */
#include <jansson.h>
#include "auth/auth.h"
#include "gateway/base/when.h"
#include "gateway/base/bytes.h"
#include "gateway/base/clock.h"
#include "gateway/cli/explain.h"
#include "gateway/scsi/command_names.h"
#include "policy/iscsi_name.h"
#include "policy/policy.h"

static const struct cli_option options[] = {
	{"--from", "ADDRESS", "where the initiator comes from"},
	{"--initiator", "IQN", "its name"},
	{"--target", "IQN", "what it wants to enter"},
	{"--lun", "N", "and use"},
	{"--command", "NAME", "with this command: write-10, unmap, ..."},
	{"--blocks", "FIRST-LAST", "on these blocks of it"},
	{"--portal", "NAME", "through this portal; left out: any"},
	{"--proxy", "ADDRESS", "behind this proxy; left out: any that the portal has"},
	{"--user", "NAME", "as this CHAP user; left out: its own"},
	{"--algorithm", "NAME", "by md5, sha1, sha256 or sha3-256"},
	{"--at", "TIME", "at this time: 2026-12-24T18:00+01:00; left out: now"},
	{NULL, NULL, NULL},
};

/* The question as it was typed, once it makes sense. */
struct question {
	struct claim claim;
	char initiator[ISCSI_NAME_SIZE], target[ISCSI_NAME_SIZE];
	const struct command_name *command;
	struct explain_notes running;
};

static int name_read(const struct cli *cli, const char *option, char ret[ISCSI_NAME_SIZE])
{
	const char *why;

	if (iscsi_name_normalise(cli_option(cli, option), ret, &why) < 0)
		return cli_usage(cli, "%s: %s", option, why);
	return EXIT_DONE;
}

static int command_read(const struct cli *cli, struct question *q)
{
	const char *lun = cli_option(cli, "--lun"), *command = cli_option(cli, "--command");
	uint64_t number;

	q->claim.lun = -1;
	if (lun && number_parse(lun, 0, POLICY_LUNS_MAX - 1, &number) < 0)
		return cli_usage(cli, "--lun takes a number of 0 to %d", POLICY_LUNS_MAX - 1);
	if (lun)
		q->claim.lun = (int)number;
	if (!command)
		return EXIT_DONE;
	if (!lun)
		return cli_usage(cli, "--command needs --lun");
	q->command = command_name_by_policy(command);
	if (!q->command)
		return cli_usage(cli,
				 "there is no command \"%s\"; names are like read-10, "
				 "write-16, unmap",
				 command);
	q->claim.command = q->command;
	return EXIT_DONE;
}

/* "0-2047", as protect: has it. */
static int blocks_read(const struct cli *cli, struct question *q)
{
	const char *blocks = cli_option(cli, "--blocks"), *dash;
	char first[24] = "";
	uint64_t from = 0, to = 0;

	if (!blocks)
		return EXIT_DONE;
	if (!q->command)
		return cli_usage(cli, "--blocks needs --command");
	dash = strchr(blocks, '-');
	if (dash && (size_t)(dash - blocks) < sizeof first)
		memcpy(first, blocks, (size_t)(dash - blocks));
	if (number_parse(dash ? first : blocks, 0, UINT64_MAX - 1, &from) < 0 ||
	    number_parse(dash ? dash + 1 : blocks, from, UINT64_MAX - 1, &to) < 0)
		return cli_usage(cli, "--blocks takes the first and the last of them: 0-2047");
	q->claim.lba = from;
	q->claim.blocks = to - from + 1;
	return EXIT_DONE;
}

static int proof_read(const struct cli *cli, struct question *q)
{
	const char *name = cli_option(cli, "--algorithm");

	q->claim.user = cli_option(cli, "--user");
	for (enum chap_algorithm a = CHAP_MD5; name && a <= CHAP_SHA3_256; a++)
		if (strcmp(chap_algorithm_name(a), name) == 0)
			q->claim.algorithm = a;
	if (name && q->claim.algorithm == 0)
		return cli_usage(cli, "--algorithm takes md5, sha1, sha256 or sha3-256");
	return EXIT_DONE;
}

static int time_read(const struct cli *cli, struct question *q)
{
	const char *at = cli_option(cli, "--at");
	uint64_t ns = clock_wall_ns();

	if (at && when_parse(at, ns, false, &ns) < 0)
		return cli_usage(cli, "--at takes " WHEN_FORMS);
	q->claim.now_s = (int64_t)(ns / 1000000000U);
	return EXIT_DONE;
}

static int question_read(const struct cli *cli, struct question *q)
{
	static const char *const needed[] = {"--from", "--initiator", "--target"};
	int r;

	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (!cli_option(cli, needed[i]))
			return cli_usage(cli, "it needs %s", needed[i]);
	if (ip_parse(cli_option(cli, "--from"), &q->claim.from) < 0)
		return cli_usage(cli, "--from takes an IP address");
	q->claim.any_proxy = !cli_option(cli, "--proxy");
	if (!q->claim.any_proxy && ip_parse(cli_option(cli, "--proxy"), &q->claim.proxy) < 0)
		return cli_usage(cli, "--proxy takes an IP address");
	if ((r = name_read(cli, "--initiator", q->initiator)) != EXIT_DONE ||
	    (r = name_read(cli, "--target", q->target)) != EXIT_DONE ||
	    (r = proof_read(cli, q)) != EXIT_DONE || (r = time_read(cli, q)) != EXIT_DONE ||
	    (r = command_read(cli, q)) != EXIT_DONE)
		return r;
	q->claim.initiator = q->initiator;
	q->claim.target = q->target;
	return blocks_read(cli, q);
}

static int portal_read(const struct cli *cli, const struct policy *p, struct question *q)
{
	const char *name = cli_option(cli, "--portal");

	q->claim.portal = SIZE_MAX;
	if (!name)
		return EXIT_DONE;
	for (size_t i = 0; i < p->portal_count; i++)
		if (strcmp(p->portals[i].name, name) == 0)
			q->claim.portal = i;
	if (q->claim.portal == SIZE_MAX)
		return cli_usage(cli, "the policy has no portal \"%s\"", name);
	return EXIT_DONE;
}

static bool layer_shown(const struct question *q, enum layer layer, const struct verdict *v)
{
	return v->asked && (layer != LAYER_COMMAND || q->command);
}

/* The policy's line, without what indents it. */
static void line_find(const struct policy *p, uint32_t line, const char **ret_text, size_t *ret_len)
{
	const char *at = p->text;

	for (uint32_t k = 1; k < line && *at; k++)
		at = strchrnul(at, '\n') + (*strchrnul(at, '\n') == '\n');
	at += strspn(at, " ");
	*ret_text = at;
	*ret_len = strcspn(at, "\r\n");
}

static void answer_print(const char *path, const struct policy *p, const struct question *q,
			 const struct decision *d)
{
	for (size_t layer = LAYER_NONE + 1; layer < LAYERS; layer++) {
		const struct verdict *v = &d->verdicts[layer];
		const char *text;
		size_t len;

		if (!layer_shown(q, (enum layer)layer, v))
			continue;
		printf("%-4s %-10s %s", v->allowed ? "yes" : "NO", layer_name((enum layer)layer),
		       v->text);
		if (v->line > 0) {
			line_find(p, v->line, &text, &len);
			printf(" (%s:%u)\n                %.*s", path, v->line, (int)len, text);
		}
		printf("\n");
	}
	for (size_t k = 0; k < q->running.note_count; k++)
		printf("note %s\n", q->running.notes[k]);
	if (d->allowed)
		printf("allowed\n");
	else
		printf("refused: %s\n", layer_name(d->layer));
}

static json_t *layers_json(const struct policy *p, const struct question *q,
			   const struct decision *d)
{
	json_t *layers = json_array();

	for (size_t layer = LAYER_NONE + 1; layer < LAYERS; layer++) {
		const struct verdict *v = &d->verdicts[layer];
		const char *text = "";
		size_t len = 0;

		if (!layer_shown(q, (enum layer)layer, v))
			continue;
		if (v->line > 0)
			line_find(p, v->line, &text, &len);
		(void)json_array_append_new(
			layers, json_pack("{s:s, s:b, s:i, s:s%, s:s, s:s}", "layer",
					  layer_name((enum layer)layer), "allowed", v->allowed,
					  "line", (int)v->line, "policy", text, len, "reason",
					  v->reason, "text", v->text));
	}
	return layers;
}

static int answer_json(const struct policy *p, const struct question *q, const struct decision *d)
{
	json_t *notes = json_array(), *all;
	int r;

	for (size_t k = 0; k < q->running.note_count; k++)
		(void)json_array_append_new(notes, json_string(q->running.notes[k]));
	all = json_pack("{s:b, s:o*, s:o, s:o}", "allowed", d->allowed, "layer",
			d->allowed ? NULL : json_string(layer_name(d->layer)), "layers",
			layers_json(p, q, d), "notes", notes);
	r = all && json_dumpf(all, stdout, JSON_INDENT(2)) == 0 ? 0 : -ENOMEM;
	printf("\n");
	json_decref(all);
	return r;
}

static const struct policy_access *access_asked(const struct question *q, const struct decision *d)
{
	for (size_t k = 0; k < d->initiator->access_count; k++)
		if (d->initiator->access[k].lun == q->claim.lun)
			return &d->initiator->access[k];
	return NULL;
}

/* Limits refuse nothing: what is beyond them is later. */
static void limits_note(struct question *q, const struct decision *d)
{
	struct explain_notes *n = &q->running;
	const struct policy_access *access;
	char all[LIMITS_TEXT], lun[LIMITS_TEXT] = "";

	if (!d->allowed || !d->initiator || n->note_count == ARRAY_LEN(n->notes))
		return;
	access = access_asked(q, d);
	(void)policy_limits_text(&d->initiator->rates, all);
	if (access)
		(void)policy_limits_text(&access->rates, lun);
	if (all[0] || lun[0])
		(void)snprintf(n->notes[n->note_count++], sizeof n->notes[0],
			       "its limits: %s%s%s%s", all, all[0] && lun[0] ? "; " : "",
			       lun[0] ? "of this LUN " : "", lun);
}

static int explain_policy(const struct cli *cli, const struct policy *p, struct question *q)
{
	struct decision d;
	int r = portal_read(cli, p, q);

	if (r != EXIT_DONE)
		return r;
	policy_decide(p, &q->claim, &d);
	explain_running(cli, p, &q->claim, &d, &q->running);
	limits_note(q, &d);
	if (!cli->json)
		answer_print(cli->arguments[0], p, q, &d);
	else if (answer_json(p, q, &d) < 0)
		return cli_cannot(cli, "the answer can't be told as JSON: no memory");
	return d.allowed ? EXIT_DONE : EXIT_NO;
}

static int explain_run(const struct cli *cli)
{
	struct policy_options how = {
		.messages = stderr, .colour = cli_colour(stderr), .state = cli->state};
	struct question q = {0};
	struct policy *p = NULL;
	int r = question_read(cli, &q);

	if (r != EXIT_DONE)
		return r;
	/* 1 would say "not allowed"; a policy that can't be asked is another matter. */
	if (policy_load(cli->arguments[0], &how, &p) < 0)
		return cli_cannot(cli, "%s can't be asked", cli->arguments[0]);
	r = explain_policy(cli, p, &q);
	policy_free(p);
	return r;
}

const struct subcommand cli_explain = {
	.name = "explain",
	.arguments = "POLICY",
	.least = 1,
	.most = 1,
	.summary = "allowed or not, layer by layer, with the policy's line",
	.examples = "  sallyport explain policy.yaml --from 203.0.113.7 \\\n"
		    "    --initiator iqn.1994-05.com.redhat:client \\\n"
		    "    --target iqn.2026-11.net.example.gw:vault --lun 1 --command write-10\n",
	.text = "The gateway's own decisions, of login and gate, are asked. Where a gateway runs, "
		"it is\n"
		"asked for bans and for a firewall that drifted.\n"
		"Exit status: 0 allowed, 1 not allowed, 2 wrong usage, 3 the policy is not right.",
	.options = options,
	.json = true,
	.run = explain_run,
};

/* `sallyport reload`: the running gateway takes its policy file up again, all of it or nothing.
 * What changed is told as `plan` tells it: by what was in force before, and by what is now. */
#include "gateway/base/bytes.h"
#include "gateway/cli/ask.h"
#include "gateway/cli/plan.h"
#include "policy/types.h"

#define WAIT_S	   75 /* the gateway waits for nft, the authenticator and the audit log */
#define HASH_LEAST 12

static const struct cli_option options[] = {
	{"--expect", "HASH", "only the file with this hash, which plan showed"},
	{"--confirm-within", "TIME", "goes back by itself, unless it is confirmed by then (60s)"},
	{"--confirm", NULL, "what was taken up stays"},
	{NULL, NULL, NULL},
};

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* The gateway says no: with the mistakes of the file, as `check` has them. */
static int refused(const struct cli *cli, const json_t *answer)
{
	const char *said = text_of(answer, "diagnostics");

	if (cli->json)
		(void)json_dumpf(answer, stdout, JSON_INDENT(1));
	else
		fputs(said, stderr);
	(void)cli_cannot(cli, "%s; the policy before is in force, whole", text_of(answer, "error"));
	return json_is_true(json_object_get(answer, "invalid")) ? EXIT_NO : EXIT_CANNOT;
}

/* NULL: told. An answer that is an error is an answer. */
static json_t *ask(const struct cli *cli, const char *request, int seconds)
{
	int error = 0;
	json_t *answer = gateway_ask_for(cli->state, request, seconds, &error);

	if (!answer)
		(void)cli_cannot(cli, "no gateway answers in %s: %s; is `sallyport run` running?",
				 cli->state, strerror(-error));
	return answer;
}

static int confirm(const struct cli *cli)
{
	json_t *answer = ask(cli, "confirm", 10);
	int r = EXIT_DONE;

	if (!answer)
		return EXIT_CANNOT;
	if (json_object_get(answer, "error"))
		r = cli_cannot(cli, "%s", text_of(answer, "error"));
	else if (cli->json)
		(void)json_dumpf(answer, stdout, JSON_INDENT(1));
	else
		printf("confirmed: the policy stays\n");
	json_decref(answer);
	return r;
}

static long long number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void done_print(const json_t *answer, const struct plan *p)
{
	fputs(text_of(answer, "diagnostics"), stderr);
	printf("the policy %.12s is in force; sessions: %lld kept, %lld changed, %lld asked to log "
	       "out\n",
	       text_of(answer, "sha256"), number_of(answer, "kept"), number_of(answer, "changed"),
	       number_of(answer, "asked_to_log_out"));
	if (p)
		plan_print_changes(p, stdout);
	if (number_of(answer, "confirm_within_s") > 0)
		printf("it goes back to %.12s in %lld s unless: sallyport reload --confirm\n",
		       text_of(answer, "before"), number_of(answer, "confirm_within_s"));
}

static int done_tell(const struct cli *cli, json_t *answer, const struct plan *p)
{
	if (!cli->json) {
		done_print(answer, p);
		return EXIT_DONE;
	}
	if (p)
		(void)json_object_set_new(answer, "plan", plan_json(p));
	if (json_dumpf(answer, stdout, JSON_INDENT(1)) < 0)
		return cli_cannot(cli, "it was taken up; what changed can't be told: no memory");
	printf("\n");
	return EXIT_DONE;
}

/* It is taken up whether what changed can be told or not. */
static int done(const struct cli *cli, json_t *answer, const struct running *before)
{
	struct running now = {0};
	struct plan p = {0};
	bool known = before->policy && running_ask(cli, &now) == EXIT_DONE && now.policy &&
		     plan_make(cli, now.policy->path, before, now.policy, &p) == EXIT_DONE;
	int r = done_tell(cli, answer, known ? &p : NULL);

	plan_free(&p);
	running_free(&now);
	return r;
}

static int request_make(const struct cli *cli, char request[static 256])
{
	const char *expect = cli_option(cli, "--expect");
	const char *within = cli_option(cli, "--confirm-within");
	char seconds[48] = "";
	uint64_t ms = 0;

	if (expect && (strspn(expect, "0123456789abcdef") != strlen(expect) ||
		       strlen(expect) >= POLICY_HASH_TEXT || strlen(expect) < HASH_LEAST))
		return cli_usage(cli,
				 "--expect takes the hash that plan shows: %d to %d digits, 0 "
				 "to 9 and a to f",
				 HASH_LEAST, POLICY_HASH_TEXT - 1);
	if (within && (duration_parse(within, &ms) < 0 || ms < 1000 || ms > 86400000))
		return cli_usage(cli, "--confirm-within takes a time, 1s to 1d");
	if (within)
		(void)snprintf(seconds, sizeof seconds, " confirm-within=%llu",
			       (unsigned long long)(ms / 1000));
	(void)snprintf(request, 256, "reload%s%s%s", expect ? " expect=" : "", expect ? expect : "",
		       seconds);
	return EXIT_DONE;
}

static int reload_run(const struct cli *cli)
{
	struct running before = {0};
	char request[256];
	json_t *answer;
	int r = request_make(cli, request);

	if (r != EXIT_DONE)
		return r;
	if (cli_option(cli, "--confirm")) {
		if (strcmp(request, "reload") != 0)
			return cli_usage(cli, "--confirm stands alone");
		return confirm(cli);
	}
	/* What it runs under, when it can be had: a reload does not fail for want of it. */
	(void)running_ask(cli, &before);
	answer = ask(cli, request, WAIT_S);
	if (!answer)
		r = EXIT_CANNOT;
	else if (json_object_get(answer, "error"))
		r = refused(cli, answer);
	else
		r = done(cli, answer, &before);
	json_decref(answer);
	running_free(&before);
	return r;
}

const struct subcommand cli_reload = {
	.name = "reload",
	.arguments = "",
	.summary = "take the policy file up again, all of it or nothing",
	.examples = "  sallyport reload --expect HASH-THAT-PLAN-SHOWED\n"
		    "  sallyport reload --confirm-within 60s && sallyport reload --confirm\n",
	.text = "Sessions that the new policy allows as they are do not notice. A file with "
		"mistakes\n"
		"changes nothing. SIGHUP does the same as reload without options.\n"
		"Exit status: 0 taken up, 1 the file has mistakes, 3 it could not be taken up.",
	.options = options,
	.json = true,
	.run = reload_run,
};

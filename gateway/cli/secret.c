/* `sallyport secret`: generates, sets, rotates, lists and removes CHAP secrets in the sealed store.
 * Needs neither a policy nor a gateway. Secrets are in locked memory here, too; one
 * comes in from stdin or is shown once, and is never an argument. */
#include <stdio.h>
#include <sys/uio.h>
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "gateway/base/state.h"
#include "gateway/cli/ask.h"
#include "gateway/cli/prompt.h"
#include "gateway/cli/secret_bench.h"
#include "gateway/cli/secret_list.h"
#include "policy/types.h"

#define GENERATED_LEN 16 /* characters of 6 bits: 96, and Windows takes no more */
#define INPUT_MAX     (CHAP_SECRET_MAX + 2) /* a newline, and one octet too many */

/* --- generate -------------------------------------------------------------------------------- */

/* 64 characters that need no quotes in a shell, in YAML, in PowerShell or in an iscsi:// URL, and
 * can't be taken for the start of an option. */
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
_Static_assert(sizeof alphabet - 1 == 64, "6 bits a character");

static void fresh_generate(struct secret *s)
{
	s->len = GENERATED_LEN;
	randombytes_buf(s->octets, GENERATED_LEN);
	for (size_t i = 0; i < GENERATED_LEN; i++)
		s->octets[i] = (uint8_t)alphabet[s->octets[i] & 63];
}

/* Past stdio, whose buffers nobody wipes. */
static bool fresh_show(const struct secret *s)
{
	struct iovec iov[2] = {{(void *)(uintptr_t)s->octets, s->len}, {"\n", 1}};

	return writev(STDOUT_FILENO, iov, 2) == (ssize_t)s->len + 1;
}

static void overlap_say(const struct bench *b)
{
	char until[32];

	if (b->overlap_s == 0)
		fprintf(stderr, "The secret that %s had is no good any more.\n", b->name);
	else
		fprintf(stderr,
			"The secret that %s had is good until %s, too; the audit log says which "
			"one "
			"a login used.\n",
			b->name, secret_time(b->now_s + b->overlap_s, until));
}

/* Shown before it is stored: whenever this is killed, nobody is left with a secret that counts and
 * that he never saw. */
static int fresh_give(struct bench *b)
{
	if (!fresh_show(b->fresh))
		return cli_cannot(b->cli,
				  "the secret of %s can't be shown: %s; nothing was changed",
				  b->name, strerror(errno));
	if (bench_write(b) < 0)
		return cli_cannot(b->cli, "%s; the secret that was shown is none", b->why);
	fprintf(stderr,
		"The secret of %s (%d random bits): on the line of its own, and shown this once.\n",
		b->name, GENERATED_LEN * 6);
	if (strcmp(b->verb, "rotate") == 0)
		overlap_say(b);
	return bench_tell(b);
}

static int run_generate(struct bench *b)
{
	if (bench_fresh(b) < 0 || bench_store(b) < 0)
		return bench_cannot(b);
	if (store_list_find(&b->store.list, b->name) >= 0)
		return cli_cannot(b->cli,
				  "%s has a secret already, which is kept: `sallyport secret "
				  "remove %s` first, or `set` one over it",
				  b->name, b->name);
	fresh_generate(b->fresh);
	return bench_put(b, STORE_GENERATED, 0) < 0 ? bench_cannot(b) : fresh_give(b);
}

/* --- rotate ---------------------------------------------------------------------------------- */

static int rotate_finish(struct bench *b)
{
	if (bench_store(b) < 0)
		return bench_cannot(b);
	if (store_overlap_end(&b->store, b->name) < 0)
		return cli_cannot(b->cli, "%s has no secret of before a rotation", b->name);
	if (bench_write(b) < 0)
		return bench_cannot(b);
	fprintf(stderr, "The secret that %s had before its rotation is no good any more.\n",
		b->name);
	return bench_tell(b);
}

/* The key that seals the secrets, not a secret. */
static int rotate_key(struct bench *b, const char *kind)
{
	const bool passphrase = strcmp(kind, "passphrase") == 0;

	if (bench_rekey(b, passphrase) < 0)
		return bench_cannot(b);
	fprintf(stderr, "All secrets are sealed under a fresh key, which is %s.\n",
		passphrase ? "under the passphrase: without it nobody can open them"
			   : "in the key file: keep a copy of it, apart from the store's");
	return bench_tell(b);
}

static int run_rotate(struct bench *b)
{
	const char *kind = cli_option(b->cli, "--key");

	if (kind != NULL)
		return rotate_key(b, kind);
	if (cli_option(b->cli, "--finish") != NULL)
		return rotate_finish(b);
	if (bench_fresh(b) < 0 || bench_store(b) < 0)
		return bench_cannot(b);
	if (store_list_find(&b->store.list, b->name) < 0)
		return cli_cannot(b->cli,
				  "%s has no secret that could be rotated: `sallyport secret "
				  "generate %s` makes its first",
				  b->name, b->name);
	fresh_generate(b->fresh);
	return bench_put(b, STORE_GENERATED, b->overlap_s) < 0 ? bench_cannot(b) : fresh_give(b);
}

/* --- set ------------------------------------------------------------------------------------- */

static ssize_t fresh_ask(const struct bench *b, uint8_t *bytes)
{
	char text[STORE_NAME_SIZE + 32], repeat[STORE_NAME_SIZE + 32];
	const struct prompt p = {STDIN_FILENO, text, repeat, INPUT_MAX};

	(void)snprintf(text, sizeof text, "secret for %s: ", b->name);
	(void)snprintf(repeat, sizeof repeat, "once more, for %s: ", b->name);
	return prompt_ask(&p, bytes);
}

static int fresh_read(struct bench *b)
{
	uint8_t *bytes = b->octets;
	const bool terminal = isatty(STDIN_FILENO) == 1;
	ssize_t n = terminal ? fresh_ask(b, bytes) : prompt_read(STDIN_FILENO, bytes, INPUT_MAX);

	if (n > 0 && bytes[n - 1] == '\n')
		n--;
	if (n >= CHAP_SECRET_MIN && n <= CHAP_SECRET_MAX) {
		b->fresh->len = (uint8_t)n;
		memcpy(b->fresh->octets, bytes, (size_t)n);
		return 0;
	}
	if (n == -EBADMSG)
		return cli_cannot(b->cli, "the two differ: nothing was changed");
	if (n < 0)
		return cli_cannot(b->cli, "no secret was read (%s): nothing was changed",
				  strerror((int)-n));
	if (n > CHAP_SECRET_MAX)
		return cli_cannot(b->cli, "the secret has more than %d octets: nothing was changed",
				  CHAP_SECRET_MAX);
	return cli_cannot(b->cli,
			  "the secret has %zd octets, and one of fewer than %d can be guessed from "
			  "a recorded login: `sallyport secret generate` makes a good one; nothing "
			  "was changed",
			  n, CHAP_SECRET_MIN);
}

static int run_set(struct bench *b)
{
	bool replaced;
	int r;

	if (bench_fresh(b) < 0)
		return bench_cannot(b);
	if ((r = fresh_read(b)) != 0) /* before the lock: whoever types may take long */
		return r;
	if (bench_store(b) < 0)
		return bench_cannot(b);
	replaced = store_list_find(&b->store.list, b->name) >= 0;
	if (bench_put(b, STORE_SET, b->overlap_s) < 0 || bench_write(b) < 0)
		return bench_cannot(b);
	fprintf(stderr, "The secret of %s is %s.\n", b->name, replaced ? "replaced" : "set");
	if (b->overlap_s > 0)
		overlap_say(b);
	return bench_tell(b);
}

/* --- list, remove ---------------------------------------------------------------------------- */

/* Names are read without the key. */
static int run_list(struct bench *b)
{
	OWNED_BY(store_list_free) struct store_list list = {0};

	b->state_fd = state_open(b->cli->state, true, b->why, sizeof b->why);
	if (b->state_fd < 0 || store_list_load(b->state_fd, &list, b->why, sizeof b->why) < 0 ||
	    (list.count == 0 &&
	     store_key_ensure(b->cli->state, b->state_fd, b->why, sizeof b->why) < 0))
		return bench_cannot(b);
	if (!b->cli->json)
		secret_list_print(&list, b->now_s);
	else if (secret_list_json(&list, b->now_s) < 0)
		return cli_cannot(b->cli, "the list can't be printed: no memory");
	return EXIT_DONE;
}

static int run_remove(struct bench *b)
{
	if (bench_store(b) < 0)
		return bench_cannot(b);
	if (store_remove(&b->store, b->name) < 0)
		return cli_cannot(
			b->cli,
			"there is no secret of the name %s: `sallyport secret list` shows "
			"what there is",
			b->name);
	if (bench_write(b) < 0)
		return bench_cannot(b);
	fprintf(stderr, "The secret of %s is removed.\n", b->name);
	return bench_tell(b);
}

/* --- the command ----------------------------------------------------------------------------- */

/* Only a running gateway may: it is the one that remembers, and audits who said so. */
static int run_accept_weaker(struct bench *b)
{
	const char *error, *before;
	char request[128];
	json_t *root;
	int r;

	(void)snprintf(request, sizeof request, "accept-weaker %s", b->name);
	root = gateway_ask(b->cli->state, request, &r);
	if (root == NULL)
		return cli_cannot(b->cli,
				  "no gateway answers in %s (%s): start it, and say it again; it "
				  "remembers what %s has used",
				  b->cli->state, strerror(-r), b->name);
	error = json_string_value(json_object_get(root, "error"));
	before = json_string_value(json_object_get(root, "before"));
	if (error != NULL)
		r = cli_cannot(b->cli, "%s: %s", b->name, error);
	else
		r = EXIT_DONE;
	if (error == NULL)
		fprintf(stderr,
			"%s has used %s, and may use less at its next login, if the policy allows "
			"it; what that uses is the least from then on.\n",
			b->name, before ? before : "");
	json_decref(root);
	return r;
}

#define OVERLAP_MOST_MS (366 * 86400000ull)

static const struct verb {
	const char *name;
	bool takes_name, json;
	const char *overlap; /* unless it is given; NULL: it takes none */
	int (*run)(struct bench *b);
} verbs[] = {
	{"generate", true, false, NULL, run_generate},
	{"set", true, false, "0s", run_set},
	{"rotate", true, false, "7d", run_rotate},
	{"list", false, true, NULL, run_list},
	{"remove", true, false, NULL, run_remove},
	{"accept-weaker", true, false, NULL, run_accept_weaker},
};

static int usage_check(const struct cli *cli, const struct verb *verb)
{
	const char *name = cli->arguments[1];

	const char *key = cli_option(cli, "--key");
	const bool takes_name = verb->takes_name && !key;

	if (takes_name != (name != NULL))
		return cli_usage(cli, takes_name ? "%s needs a NAME" : "%s takes no NAME%s",
				 verb->name, key ? " with --key" : "");
	if (key && (verb->run != run_rotate ||
		    (strcmp(key, "file") != 0 && strcmp(key, "passphrase") != 0)))
		return cli_usage(cli, "--key is for rotate, and takes file or passphrase");
	if (key && (cli_option(cli, "--overlap") || cli_option(cli, "--finish")))
		return cli_usage(cli, "a key has no overlap: --key goes without the others");
	if (cli->json && !verb->json)
		return cli_usage(cli, "--json is for list");
	if (name && !store_name_valid(name))
		return cli_usage(cli,
				 "a NAME is 1 to %d letters, digits, dots, hyphens and "
				 "underscores",
				 STORE_NAME_MAX);
	if (cli_option(cli, "--finish") && verb->run != run_rotate)
		return cli_usage(cli, "--finish is for rotate");
	if (cli_option(cli, "--overlap") && (!verb->overlap || cli_option(cli, "--finish")))
		return cli_usage(cli, "--overlap is for set and rotate, without --finish");
	return EXIT_DONE;
}

static int overlap_parse(struct bench *b, const struct verb *verb)
{
	const char *given = cli_option(b->cli, "--overlap");
	const char *text = given ? given : verb->overlap;
	uint64_t ms = 0;

	if (text && (duration_parse(text, &ms) < 0 || ms > OVERLAP_MOST_MS))
		return cli_usage(b->cli, "--overlap takes a time such as 12h or 7d, 366d at most");
	b->overlap_s = ms / 1000;
	return EXIT_DONE;
}

static int run_secret(const struct cli *cli)
{
	const struct verb *verb = cli_verb(cli, verbs, sizeof verbs[0], ARRAY_LEN(verbs));
	OWNED_BY(bench_close) struct bench b;
	int r;

	bench_open(&b, cli, verb ? verb->name : "", cli->arguments[1]);
	if (!verb)
		return EXIT_USAGE;
	if ((r = usage_check(cli, verb)) != EXIT_DONE || (r = overlap_parse(&b, verb)) != EXIT_DONE)
		return r;
	if (process_harden() < 0 || sodium_init() < 0)
		return cli_cannot(cli, "this process can't be protected from others, so no secret "
				       "is read");
	return verb->run(&b);
}

static const struct cli_option secret_options[] = {
	{"--overlap", "TIME", "rotate, set: for so long the old secret stays good (7d; set: 0s)"},
	{"--finish", NULL, "rotate: the old secret is no good from now on"},
	{"--key", "KIND", "rotate: the key that seals all secrets; file or passphrase"},
	{"--passphrase-fd", "N", "where the key's passphrase is read; else a terminal is asked"},
	{"--new-passphrase-fd", "N", "rotate --key passphrase: where the new one is read"},
	{0},
};

const struct subcommand cli_secret = {
	.name = "secret",
	.arguments = "generate|set|rotate|accept-weaker|list|remove [NAME]",
	.least = 1,
	.most = 2,
	.summary = "the CHAP secrets, sealed in the state folder",
	.examples = "  sallyport secret generate alice\n"
		    "  sallyport secret rotate alice --overlap 2d",
	.text = "\n"
		"  generate NAME  makes a secret of 16 random characters and prints it, once\n"
		"  set NAME       takes 12 to 255 octets from stdin (without one newline at the\n"
		"                 end), or asks at a terminal; replaces\n"
		"  rotate NAME    generates another; the old one stays good for the overlap\n"
		"  accept-weaker NAME   this user may log in by a weaker algorithm than before\n"
		"  list           names, how they came, their age and rotation; never a secret\n"
		"  remove NAME    forgets it; a user without its secret can't log in\n"
		"\n"
		"The policy names users and mutual names; their secrets are here. Each name has "
		"one\n"
		"of its own: a secret that another name has already is refused. A running gateway\n"
		"takes each change up at once, and no session notices.\n"
		"\n"
		"Rotate both names of an initiator within a day: then what it proves itself with\n"
		"tells which of ours it can check. A mutual secret that is rotated alone is used\n"
		"only when its overlap is over, or --finish was said.\n"
		"\n"
		"The first command makes the key file that seals the secrets; keep a copy of it,\n"
		"apart from the store's. `rotate --key passphrase` puts a fresh key under a\n"
		"passphrase, which `run` asks for; `rotate --key file` takes it away.",
	.options = secret_options,
	.json = true,
	.run = run_secret,
};

/* `sallyport secret`: generates, sets, lists and removes CHAP secrets in the sealed store.
 * Needs neither a policy nor a gateway. Secrets are in locked memory here, too; one
 * comes in from stdin or is shown once, and is never an argument. */
#include <jansson.h>
#include <sys/uio.h>
#include <time.h>
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "gateway/base/state.h"
#include "gateway/cli/prompt.h"
#include "gateway/cli/secret_bench.h"

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
	if (bench_put(b, STORE_GENERATED) < 0 || bench_write(b) < 0)
		return bench_cannot(b);
	if (!fresh_show(b->fresh))
		return cli_cannot(b->cli,
				  "the secret of %s is stored, but could not be shown: %s; remove "
				  "it and generate another",
				  b->name, strerror(errno));
	fprintf(stderr,
		"The secret of %s (%d random bits): on the line of its own, and shown this once.\n",
		b->name, GENERATED_LEN * 6);
	return bench_tell(b);
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
	uint8_t *bytes = b->input.memory + sizeof *b->fresh;
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
	if (bench_put(b, STORE_SET) < 0 || bench_write(b) < 0)
		return bench_cannot(b);
	fprintf(stderr, "The secret of %s is %s.\n", b->name, replaced ? "replaced" : "set");
	return bench_tell(b);
}

/* --- list, remove ---------------------------------------------------------------------------- */

static void age_print(uint64_t seconds)
{
	static const struct {
		uint64_t seconds;
		const char *unit;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(units) && seconds < units[i].seconds)
		i++;
	printf("%llu %s\n", (unsigned long long)(seconds / units[i].seconds), units[i].unit);
}

static void list_print(const struct store_list *list, uint64_t now_s)
{
	if (list->count == 0)
		fprintf(stderr, "There are no secrets yet: sallyport secret generate NAME\n");
	else
		printf("%-24s %-10s %s\n", "NAME", "KIND", "AGE");
	for (size_t i = 0; i < list->count; i++) {
		const struct store_entry *e = &list->entries[i];

		printf("%-24s %-10s ", e->name, store_kind_name(e->kind));
		age_print(now_s - MIN(e->created_s, now_s));
	}
}

static int list_print_json(const struct store_list *list, uint64_t now_s)
{
	json_t *array = json_array();
	int r = array ? 0 : -1;

	for (size_t i = 0; r == 0 && i < list->count; i++) {
		const struct store_entry *e = &list->entries[i];
		const time_t at = (time_t)e->created_s;
		struct tm tm = {0};
		char created[32] = "";

		(void)gmtime_r(&at, &tm);
		(void)strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &tm);
		r = json_array_append_new(
			array, json_pack("{s:s, s:s, s:s, s:I}", "name", e->name, "kind",
					 store_kind_name(e->kind), "created", created, "age_s",
					 (json_int_t)(now_s - MIN(e->created_s, now_s))));
	}
	if (r == 0)
		r = json_dumpf(array, stdout, JSON_INDENT(2));
	json_decref(array);
	printf("\n");
	return r;
}

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
		list_print(&list, b->now_s);
	else if (list_print_json(&list, b->now_s) < 0)
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

static const struct verb {
	const char *name;
	bool takes_name, json;
	int (*run)(struct bench *b);
} verbs[] = {
	{"generate", true, false, run_generate},
	{"set", true, false, run_set},
	{"list", false, true, run_list},
	{"remove", true, false, run_remove},
};

static int run_secret(const struct cli *cli)
{
	const struct verb *verb = cli_verb(cli, verbs, sizeof verbs[0], ARRAY_LEN(verbs));
	OWNED_BY(bench_close) struct bench b;

	bench_open(&b, cli, verb ? verb->name : "", cli->arguments[1]);

	if (!verb)
		return EXIT_USAGE;
	if (verb->takes_name != (b.name != NULL))
		return cli_usage(cli, verb->takes_name ? "%s needs a NAME" : "%s takes no NAME",
				 verb->name);
	if (cli->json && !verb->json)
		return cli_usage(cli, "--json is for list");
	if (b.name && !store_name_valid(b.name))
		return cli_usage(cli,
				 "a NAME is 1 to %d letters, digits, dots, hyphens and "
				 "underscores",
				 STORE_NAME_MAX);
	if (process_harden() < 0 || sodium_init() < 0)
		return cli_cannot(cli, "this process can't be protected from others, so no secret "
				       "is read");
	return verb->run(&b);
}

const struct subcommand cli_secret = {
	.name = "secret",
	.arguments = "generate|set|list|remove [NAME]",
	.least = 1,
	.most = 2,
	.summary = "the CHAP secrets, sealed in the state folder",
	.examples = "  sallyport secret generate alice\n"
		    "  sallyport secret list",
	.text = "\n"
		"  generate NAME  makes a secret of 16 random characters and prints it, once\n"
		"  set NAME       takes 12 to 255 octets from stdin (without one newline at the\n"
		"                 end), or asks at a terminal; replaces\n"
		"  list           names, how they came, and their age; never a secret\n"
		"  remove NAME    forgets it; a user without its secret can't log in\n"
		"\n"
		"The policy names users and mutual names; their secrets are here. Each name has "
		"one\n"
		"of its own: a secret that another name has already is refused. The first command\n"
		"makes the key file that seals them; keep a copy of it, apart from the store's.",
	.json = true,
	.run = run_secret,
};

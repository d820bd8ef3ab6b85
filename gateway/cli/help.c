/* What `--help` prints, and which verb of a subcommand the words name: all of it from the tables of
 * subcommands and their options. The words are the operator's. */
#include <stdio.h>
#include "gateway/base/state.h"
#include "gateway/cli/cli.h"

#define LABEL_SIZE 80

static const struct cli_option common[] = {
	{"--json", NULL, "facts as JSON"},
	{"--state", "DIR", "state folder (" STATE_DEFAULT ")"},
	{"--help", NULL, "this text"},
};

/* "--since TIME", behind what `label` has. */
static void label_add(char label[LABEL_SIZE], const struct cli_option *o)
{
	size_t len = strlen(label);

	(void)snprintf(label + len, LABEL_SIZE - len, "%s%s%s%s", len ? ", " : "", o->name,
		       o->value ? " " : "", o->value ? o->value : "");
}

/* The lines of all options; width 0: only measured. Returns the widest label. */
static int options_print(const struct subcommand *c, int width)
{
	char label[LABEL_SIZE] = "";
	const struct cli_option *o;
	size_t own = 0, count;
	int widest = 0;

	while (cli_option_at(c, own) != NULL)
		own++;
	count = own + ARRAY_LEN(common);
	for (size_t k = 0; k < count; k++) {
		o = k < own ? cli_option_at(c, k) : &common[k - own];
		if (k == own && !c->json)
			continue;
		label_add(label, o);
		if (o->help == NULL)
			continue;
		widest = MAX(widest, (int)strlen(label));
		if (width != 0)
			printf("  %-*s  %s\n", width, label, o->help);
		label[0] = '\0';
	}
	return widest;
}

static void verbs_print(FILE *f, const struct subcommand *c)
{
	for (const struct subcommand *const *v = c->verbs; *v != NULL; v++)
		fprintf(f, "  %-13s %s\n", strrchr((*v)->name, ' ') + 1, (*v)->summary);
}

void cli_help(const struct subcommand *c)
{
	printf("%s\n", c->examples);
	printf("usage: sallyport %s %s%s[options]\n", c->name, c->arguments,
	       c->arguments[0] ? " " : "");
	printf("%s\n", c->summary);
	if (c->text != NULL)
		printf("%s\n", c->text);
	printf("\n");
	if (c->verbs != NULL) {
		verbs_print(stdout, c);
		printf("\nsallyport %s VERB --help tells more.\n", c->name);
		return;
	}
	(void)options_print(c, options_print(c, 0));
}

/* Does some verb have this option, with a value behind it? */
static bool takes_value(const struct subcommand *c, const char *word)
{
	const struct cli_option *o;

	if (strcmp(word, "--state") == 0)
		return true;
	for (const struct subcommand *const *v = c->verbs; *v != NULL; v++) {
		for (size_t k = 0; (o = cli_option_at(*v, k)) != NULL; k++) {
			if (o->value != NULL && strcmp(o->name, word) == 0)
				return true;
		}
	}
	return false;
}

static const struct subcommand *verb_find(const struct subcommand *c, const char *word)
{
	struct cli cli = {.command = c};
	const char *names[32], *near;
	size_t count = 0;

	for (const struct subcommand *const *v = c->verbs; *v != NULL; v++) {
		const char *name = strrchr((*v)->name, ' ') + 1;

		if (strcmp(name, word) == 0)
			return *v;
		if (count < ARRAY_LEN(names))
			names[count++] = name;
	}
	near = cli_nearest(word, names, count);
	(void)cli_usage(&cli, near ? "unknown verb %s; did you mean %s?" : "unknown verb %s", word,
			near);
	return NULL;
}

const struct subcommand *cli_verb_take(const struct subcommand *c, int *argc, char **argv)
{
	const struct subcommand *verb;
	int at = 0;

	while (at < *argc && argv[at][0] == '-') {
		if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0)
			return c;
		at += takes_value(c, argv[at]) ? 2 : 1;
	}
	if (at >= *argc) {
		fprintf(stderr, "sallyport %s: it needs a verb:\n", c->name);
		verbs_print(stderr, c);
		fprintf(stderr, "sallyport %s --help shows how it is used.\n", c->name);
		return NULL;
	}
	verb = verb_find(c, argv[at]);
	if (verb != NULL) {
		memmove(&argv[at], &argv[at + 1], (size_t)(*argc - at - 1) * sizeof *argv);
		(*argc)--;
	}
	return verb;
}

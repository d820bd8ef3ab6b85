/* What the subcommands share: options, verbs, and how a mistake is said. */
#include "gateway/cli/cli.h"

#include <stdarg.h>
#include "policy/nearest.h"

static const struct cli_option none[] = {{0}};

const struct cli_option *cli_option_at(const struct subcommand *c, size_t place)
{
	const struct cli_option *o = c->options ? c->options : none;

	for (; o->name != NULL && place > 0; o++)
		place--;
	if (o->name != NULL)
		return o;
	for (o = c->shared ? c->shared : none; o->name != NULL && place > 0; o++)
		place--;
	return o->name ? o : NULL;
}

const char *cli_option(const struct cli *cli, const char *name)
{
	const struct cli_option *o;

	for (size_t k = 0; (o = cli_option_at(cli->command, k)) != NULL; k++) {
		if (strcmp(o->name, name) == 0)
			return cli->values[k];
	}
	abort(); /* an option that the subcommand does not have */
}

const char *cli_option_nth(const struct cli *cli, const char *name, size_t n)
{
	const struct cli_option *o;

	for (size_t k = 0; (o = cli_option_at(cli->command, k)) != NULL; k++) {
		for (size_t i = 0; strcmp(o->name, name) == 0 && i < cli->given_count; i++)
			if (cli->given[i].slot == &cli->values[k] && n-- == 0)
				return cli->given[i].value;
	}
	return NULL;
}

bool cli_has(const struct cli *cli, const char *name)
{
	const struct cli_option *o;

	for (size_t k = 0; (o = cli_option_at(cli->command, k)) != NULL; k++) {
		if (strcmp(o->name, name) == 0)
			return cli->values[k] != NULL;
	}
	return false;
}

static void __attribute__((format(printf, 2, 0)))
say(const struct cli *cli, const char *fmt, va_list args)
{
	fprintf(stderr, "sallyport %s: ", cli->command->name);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(cli, fmt, args);
	va_end(args);
	fprintf(stderr, "sallyport %s --help shows how it is used.\n", cli->command->name);
	return EXIT_USAGE;
}

int cli_cannot(const struct cli *cli, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(cli, fmt, args);
	va_end(args);
	return EXIT_CANNOT;
}

bool cli_colour(FILE *f)
{
	return getenv("NO_COLOR") == NULL && isatty(fileno(f)) == 1;
}

const char *cli_nearest(const char *word, const char *const *names, size_t count)
{
	struct nearest n = nearest_to(word);

	for (size_t k = 0; k < count; k++)
		nearest_offer(&n, names[k]);
	return nearest_found(&n);
}

const void *cli_verb(const struct cli *cli, const void *rows, size_t stride, size_t count)
{
	const char *word = cli->arguments[0], *near;
	struct nearest n = nearest_to(word);

	for (size_t k = 0; k < count; k++) {
		const void *row = (const char *)rows + k * stride;
		const char *name = *(const char *const *)row;

		if (strcmp(word, name) == 0)
			return row;
		nearest_offer(&n, name);
	}
	near = nearest_found(&n);
	(void)cli_usage(cli, near ? "unknown verb %s; did you mean %s?" : "unknown verb %s", word,
			near);
	return NULL;
}

/* What the subcommands share: options, verbs, and how a mistake is said. */
#include "gateway/cli/cli.h"

#include <stdarg.h>
#include "policy/nearest.h"

const char *cli_option(const struct cli *cli, const char *name)
{
	for (size_t k = 0; cli->command->options[k].name != NULL; k++) {
		if (strcmp(cli->command->options[k].name, name) == 0)
			return cli->values[k];
	}
	abort(); /* an option that the subcommand does not have */
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

/* Verification keys, checkpoints and signers' keys that `audit verify` was given. They come from
 * elsewhere, and checkpoints from anybody: they are read when the process is confined. */
#include <fcntl.h>
#include <sodium.h>
#include "gateway/base/fd.h"
#include "gateway/cli/audit_verify.h"

#define KEYS_SIZE_MAX  (64u << 10)
#define NOTES_SIZE_MAX (64u << 20)

static int open_all(const struct cli *cli, const char *option, int fds[], const char *names[],
		    size_t *ret_count)
{
	const char *path;

	for (size_t i = 0; (path = cli_option_nth(cli, option, i)) != NULL; i++) {
		/* A signer may be given as it is. */
		bool literal = strcmp(option, "--signer") == 0 &&
			       strncmp(path, "sallyport-audit/", 16) == 0;

		if (*ret_count == GIVEN_FILES_MAX)
			return cli_usage(cli, "%s: at most %d of them", option, GIVEN_FILES_MAX);
		fds[*ret_count] = literal ? -1 : open(path, O_RDONLY | O_CLOEXEC);
		if (!literal && fds[*ret_count] < 0)
			return cli_cannot(cli, "%s %s can't be read: %s", option, path,
					  strerror(errno));
		names[(*ret_count)++] = path;
	}
	return EXIT_DONE;
}

int given_open(struct verify_given *g, const struct cli *cli)
{
	int r;

	g->cli = cli;
	r = open_all(cli, "--key", g->key_fds, g->key_names, &g->key_files);
	if (r == EXIT_DONE)
		r = open_all(cli, "--checkpoint", g->note_fds, g->note_names, &g->note_files);
	if (r == EXIT_DONE)
		r = open_all(cli, "--signer", g->signer_fds, g->signer_names, &g->signer_files);
	return r;
}

/* Takes one line of a file; false: it is none of the kind. */
typedef bool (*line_taker)(struct verify_given *g, const char *line, size_t len);

static bool signer_add(struct verify_given *g, const uint8_t key[SIGNER_KEY_SIZE])
{
	for (size_t i = 0; i < g->signer_count; i++)
		if (memcmp(g->signers[i], key, SIGNER_KEY_SIZE) == 0)
			return true;
	if (g->signer_count == GIVEN_KEYS_MAX)
		return false;
	memcpy(g->signers[g->signer_count++], key, SIGNER_KEY_SIZE);
	return true;
}

static bool take_key(struct verify_given *g, const char *line, size_t len)
{
	struct audit_key *k = &g->keys[g->key_count];

	if (g->key_count == GIVEN_KEYS_MAX || audit_key_read(k, line, len) < 0)
		return false;
	g->key_count++;
	return signer_add(g, k->signer);
}

static bool take_signer(struct verify_given *g, const char *line, size_t len)
{
	uint8_t key[SIGNER_KEY_SIZE];
	struct note of;

	return note_verifier_read(line, len, &of, key) == 0 && signer_add(g, key);
}

/* Every line but empty ones. EXIT_DONE or EXIT_CANNOT, said; `what`: what each should be. */
static int take_lines(struct verify_given *g, int fd, const char *name, line_taker take,
		      const char *what)
{
	OWNED_FREE char *text = NULL;
	size_t len, lines = 0, at = 0;
	int e = fd_read_all(fd, KEYS_SIZE_MAX, &text, &len), r = EXIT_DONE;

	if (e < 0)
		return cli_cannot(g->cli, "%s can't be read: %s", name, strerror(-e));
	while (at < len && r == EXIT_DONE) {
		const char *newline = memchr(text + at, '\n', len - at);
		size_t end = newline ? (size_t)(newline - text) : len;

		lines++;
		if (end > at && !take(g, text + at, end - at))
			r = cli_cannot(g->cli, "%s: line %zu is not %s, or was not copied whole",
				       name, lines, what);
		at = end + 1;
	}
	sodium_memzero(text, len);
	return r;
}

static int note_add(struct verify_given *g, const char *text, size_t len)
{
	if (g->note_count == GIVEN_NOTES_MAX)
		return -EFBIG;
	if ((g->note_count & (g->note_count - 1)) == 0) { /* room for powers of two */
		size_t room = g->note_count ? 2 * g->note_count : 1;
		struct note *more = realloc(g->notes, room * sizeof *more);

		if (!more)
			return -ENOMEM;
		g->notes = more;
	}
	if (note_read(&g->notes[g->note_count], text, len) < 0)
		return -EBADMSG;
	g->note_count++;
	return 0;
}

static int take_notes(struct verify_given *g, int fd, const char *name)
{
	OWNED_FREE char *text = NULL;
	size_t len, at = 0, before = g->note_count, span;
	int e = fd_read_all(fd, NOTES_SIZE_MAX, &text, &len);

	while (e == 0 && at < len) {
		if (text[at] == '\n') { /* between notes there may be empty lines */
			at++;
			continue;
		}
		span = note_span(text + at, len - at);
		e = span ? note_add(g, text + at, span) : -EBADMSG;
		at += span;
	}
	if (e == -EBADMSG)
		return cli_cannot(g->cli,
				  "%s: what stands at octet %zu is no checkpoint of an audit trail",
				  name, at);
	if (e < 0)
		return cli_cannot(g->cli, "%s can't be read: %s", name, strerror(-e));
	return g->note_count > before ? EXIT_DONE
				      : cli_cannot(g->cli, "%s has no checkpoint", name);
}

int given_read(struct verify_given *g)
{
	int r = EXIT_DONE;

	for (size_t i = 0; r == EXIT_DONE && i < g->key_files; i++)
		r = take_lines(g, g->key_fds[i], g->key_names[i], take_key,
			       "what `audit key` printed");
	for (size_t i = 0; r == EXIT_DONE && i < g->signer_files; i++) {
		const char *text = g->signer_names[i];

		if (g->signer_fds[i] >= 0)
			r = take_lines(g, g->signer_fds[i], text, take_signer,
				       "what `audit key --public` printed");
		else if (!take_signer(g, text, strlen(text)))
			r = cli_usage(g->cli, "--signer %s: give what `audit key --public` printed",
				      text);
	}
	for (size_t i = 0; r == EXIT_DONE && i < g->note_files; i++)
		r = take_notes(g, g->note_fds[i], g->note_names[i]);
	return r;
}

static void close_all(int fds[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		fd_close(&fds[i]);
}

void given_free(struct verify_given *g)
{
	close_all(g->key_fds, g->key_files);
	close_all(g->note_fds, g->note_files);
	close_all(g->signer_fds, g->signer_files);
	sodium_memzero(g->keys, sizeof g->keys);
	free(g->notes);
	g->notes = NULL;
}

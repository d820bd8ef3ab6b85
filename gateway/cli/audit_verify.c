/* `sallyport audit verify`: can this trail be trusted? Reads every file below the audit folder,
 * confined, and says what is proven, by what, and what is not. */
#include <sodium.h>
#include "gateway/cli/audit_verify.h"

static void found(void *arg, const struct verify_finding *f)
{
	struct verify_told *t = arg;

	if (t->count < TOLD_MAX)
		t->findings[t->count++] = *f;
}

static void progress(void *arg, uint64_t octets, uint64_t of_octets)
{
	struct verify_told *t = arg;

	if (!t->progress || of_octets == 0)
		return;
	t->progress_shown = true;
	fprintf(stderr, "\rverified %llu of %llu MiB", (unsigned long long)(octets >> 20),
		(unsigned long long)(of_octets >> 20));
}

static bool stopped(void *arg)
{
	(void)arg;
	return review_interrupted();
}

static int verify_and_tell(const struct review *review, const struct verify_given *g,
			   struct verify_told *t)
{
	struct verify_result *r = calloc(1, sizeof *r);
	const struct verify_asked asked = {
		.keys = g->keys,
		.key_count = g->key_count,
		.notes = g->notes,
		.note_count = g->note_count,
		.signers = (const uint8_t(*)[SIGNER_KEY_SIZE])g->signers,
		.signer_count = g->signer_count,
		.live_sequence = review->flushed ? review->durable : 0,
		.live = review->flushed && review->said ? &review->now : NULL,
		.found = found,
		.progress = progress,
		.stop = stopped,
		.arg = t,
	};
	int e = r && t->findings ? verify_trail(review->folder_fd, &asked, r) : -ENOMEM, status;

	if (t->progress_shown)
		fputs("\r\033[K", stderr);
	if (e < 0)
		status = review_verdict(review, e);
	else if (r->interrupted)
		status = cli_cannot(t->cli, "interrupted: nothing is proven");
	else
		status = verify_print(t, r);
	free(r);
	return status;
}

static int verify(const struct cli *cli)
{
	static struct verify_given g;
	struct verify_told t = {.cli = cli,
				.out = stdout,
				.utc = cli_option(cli, "--utc") != NULL,
				.progress = isatty(STDERR_FILENO) && !cli->json};
	OWNED_REVIEW r = {0};
	int status = review_begin(&r, cli);

	if (sodium_init() < 0 || hash_start() < 0)
		return cli_cannot(cli, "the cryptographic libraries don't start");
	if (status == EXIT_DONE)
		status = given_open(&g, cli);
	if (status == EXIT_DONE)
		status = review_open_folder(&r);
	if (status == EXIT_DONE)
		status = given_read(&g);
	if (status == EXIT_DONE) {
		t.keys_given = g.key_count > 0;
		t.notes_given = g.note_count > 0;
		t.findings = calloc(TOLD_MAX, sizeof *t.findings);
		status = verify_and_tell(&r, &g, &t);
		free(t.findings);
	}
	given_free(&g);
	return status;
}

static const struct cli_option options[] = {
	{"--key", "FILE", "what `audit key` printed, kept elsewhere; may be repeated"},
	{"--checkpoint", "FILE", "checkpoints that were kept elsewhere; may be repeated"},
	{"--signer", "KEY|FILE", "what `audit key --public` printed; may be repeated"},
	{"--utc", NULL, "times in UTC"},
	{0},
};

const struct subcommand audit_verify = {
	.name = "audit verify",
	.arguments = "",
	.summary = "Proves the trail, or tells what of it is not as it was written.",
	.examples = "  sallyport audit verify\n"
		    "  sallyport audit verify --key sallyport.keys --checkpoint witness.notes\n",
	.text = "Every file below the audit folder is read, and all that it says is computed "
		"again:\n"
		"the chain of blocks and the signatures; with --key the seals, too, and with\n"
		"--checkpoint that nothing is missing since. A running gateway says which signer\n"
		"it has and what it has written: another trail is seen. What could not be proven "
		"is\n"
		"said.\n"
		"Exit status: 0 all of it is proven; 20 something was lost, and the trail says "
		"so;\n"
		"21 damaged or forged; 22 the end is not proven, or a key seals nothing there;\n"
		"2 wrong usage; 3 it could not be read.",
	.options = options,
	.json = true,
	.run = verify,
};

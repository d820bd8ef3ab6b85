/* `sallyport audit report`: one page for a browser that needs nothing but itself. What peers wrote
 * is in it as text, or as JSON that can't end its <script>; and the page's own policy runs no
 * script and takes no style but those whose hashes it has. */
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include "gateway/audit/escape.h"
#include "gateway/base/fd.h"
#include "gateway/base/when.h"
#include "gateway/cli/audit_facts.h"
#include "gateway/cli/report_assets.h"

static const enum report_asset styles[] = {ASSET_STYLE_CHARTS, ASSET_STYLE};
static const enum report_asset scripts[] = {ASSET_CHARTS,     ASSET_PARTS,   ASSET_OUR_TABLES,
					    ASSET_OUR_CHARTS, ASSET_OUR_MAP, ASSET_OUR_PAGE};

struct page {
	FILE *f;
	const struct gathering *g;
};

static void put_assets(FILE *f, const enum report_asset *which, size_t count)
{
	for (size_t k = 0; k < count; k++) {
		struct asset a = report_asset(which[k]);

		(void)fwrite(a.bytes, 1, a.len, f);
	}
}

/* As a Content-Security-Policy names what may be inline. */
static void put_hash(FILE *f, const enum report_asset *which, size_t count)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char text[sodium_base64_ENCODED_LEN(sizeof hash, sodium_base64_VARIANT_ORIGINAL)];
	crypto_hash_sha256_state state;

	(void)crypto_hash_sha256_init(&state);
	for (size_t k = 0; k < count; k++) {
		struct asset a = report_asset(which[k]);

		(void)crypto_hash_sha256_update(&state, (const uint8_t *)a.bytes, a.len);
	}
	(void)crypto_hash_sha256_final(&state, hash);
	(void)fprintf(f, "sha256-%s",
		      sodium_bin2base64(text, sizeof text, hash, sizeof hash,
					sodium_base64_VARIANT_ORIGINAL));
}

static void put_style(const struct page *p)
{
	put_assets(p->f, styles, ARRAY_LEN(styles));
}

static void put_style_hash(const struct page *p)
{
	put_hash(p->f, styles, ARRAY_LEN(styles));
}

static void put_script(const struct page *p)
{
	put_assets(p->f, scripts, ARRAY_LEN(scripts));
}

static void put_script_hash(const struct page *p)
{
	put_hash(p->f, scripts, ARRAY_LEN(scripts));
}

static void put_facts(const struct page *p)
{
	facts_write(p->f, p->g);
}

static void put_period(const struct page *p)
{
	char since[WHEN_TEXT], until[WHEN_TEXT];
	bool utc = p->g->review.print.utc;

	(void)fprintf(p->f, "%s to %s", when_format(p->g->s->since_ns, utc, since),
		      when_format(p->g->until_ns, utc, until));
}

static void put_text(const struct page *p)
{
	summary_print(p->f, ESCAPE_HTML, p->g, 50);
}

static void put_command(const struct page *p)
{
	char command[1024];

	escape_put(p->f, ESCAPE_HTML, gathering_command(p->g, command, sizeof command));
}

/* Which has to go with every copy. */
static void put_licence(const struct page *p)
{
	static const enum report_asset licence = ASSET_CHARTS_LICENCE;

	put_assets(p->f, &licence, 1);
}

static void put_version(const struct page *p)
{
	(void)fputs(SALLYPORT_VERSION, p->f);
}

/* --- the verdict --- */

static const struct look {
	const char *state, *class, *mark, *title;
} looks[] = {
	{"not-verified", "doubt", "?", "Not verified"},
	{"ok", "ok", "\xe2\x9c\x93", "Verified"},
	{"gaps", "doubt", "!", "Verified, with declared gaps"},
	{"damaged", "bad", "\xe2\x9c\x95", "Damaged or forged"},
	{"end-not-proven", "doubt", "!", "End not proven"},
};

static const struct look *look_of(const struct page *p)
{
	for (size_t k = 0; k < ARRAY_LEN(looks); k++) {
		if (strcmp(looks[k].state, p->g->proof.state) == 0)
			return &looks[k];
	}
	return &looks[0];
}

static void put_proof_class(const struct page *p)
{
	(void)fputs(look_of(p)->class, p->f);
}

static void put_proof_mark(const struct page *p)
{
	(void)fputs(look_of(p)->mark, p->f);
}

static void put_proof_title(const struct page *p)
{
	(void)fputs(look_of(p)->title, p->f);
}

static void put_proof_text(const struct page *p)
{
	escape_put(p->f, ESCAPE_HTML, p->g->proof.text);
}

static void put_proof_more(const struct page *p)
{
	const struct proof *proof = &p->g->proof;

	if (proof->count)
		(void)fputs("<ul>", p->f);
	for (size_t k = 0; k < proof->count; k++) {
		(void)fputs("<li>", p->f);
		escape_put(p->f, ESCAPE_HTML, proof->findings[k]);
		(void)fputs("</li>", p->f);
	}
	if (proof->more)
		(void)fprintf(p->f, "<li>and %llu more</li>", (unsigned long long)proof->more);
	if (proof->count)
		(void)fputs("</ul>", p->f);
	if (p->g->review.damages)
		(void)fprintf(p->f,
			      "<p><strong>%llu damaged or missing spots were met while it was "
			      "read.</strong></p>",
			      (unsigned long long)p->g->review.damages);
}

/* What stands as <!--NAME--> in the page. */
static const struct {
	const char *name;
	void (*put)(const struct page *p);
} places[] = {
	{"STYLE-HASH", put_style_hash},
	{"SCRIPT-HASH", put_script_hash},
	{"STYLE", put_style},
	{"SCRIPT", put_script},
	{"PERIOD", put_period},
	{"FACTS", put_facts},
	{"TEXT", put_text},
	{"COMMAND", put_command},
	{"VERSION", put_version},
	{"CHARTS-LICENCE", put_licence},
	{"PROOF-STATE", put_proof_class},
	{"PROOF-MARK", put_proof_mark},
	{"PROOF-TITLE", put_proof_title},
	{"PROOF-TEXT", put_proof_text},
	{"PROOF-MORE", put_proof_more},
};

static void put_place(const struct page *p, const char *name, size_t len)
{
	size_t k = 0;

	while (k < ARRAY_LEN(places) &&
	       (strlen(places[k].name) != len || memcmp(places[k].name, name, len) != 0))
		k++;
	assert(k < ARRAY_LEN(places)); /* the page is ours */
	places[k].put(p);
}

static void put_page(const struct page *p)
{
	const char *at = report_asset(ASSET_PAGE).bytes, *open, *end;

	while ((open = strstr(at, "<!--")) != NULL && (end = strstr(open, "-->")) != NULL) {
		(void)fwrite(at, 1, (size_t)(open - at), p->f);
		put_place(p, open + 4, (size_t)(end - open - 4));
		at = end + 3;
	}
	(void)fputs(at, p->f);
}

/* --- the file --- */

/* It tells who reached what: for its maker alone. What was there is written over when all is known.
 */
static int open_page(const struct cli *cli, const char *path, FILE **ret)
{
	OWNED_FD fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cli_cannot(cli, "can't open %s: %s", path, strerror(errno));
	if (S_ISREG(st.st_mode) && ftruncate(fd, 0) < 0)
		return cli_cannot(cli, "can't empty %s: %s", path, strerror(errno));
	*ret = fdopen(fd, "w");
	if (!*ret)
		return cli_cannot(cli, "can't write %s: %s", path, strerror(errno));
	(void)fd_take(&fd);
	return EXIT_DONE;
}

static int finish(const struct gathering *g, FILE *f, const char *path)
{
	bool failed = fflush(f) != 0 || ferror(f);

	if (failed || (f != stdout && fclose(f) != 0))
		return cli_cannot(g->review.cli,
				  "can't write %s: %s; what is there of it is no report", path,
				  strerror(errno));
	return gathering_verdict(g);
}

/* Into the file, which is open; or stdout. */
static int write_page(struct gathering *g, const char *path)
{
	struct page page = {.f = stdout, .g = g};
	int status = strcmp(path, "-") != 0 ? open_page(g->review.cli, path, &page.f) : EXIT_DONE;

	if (status == EXIT_DONE)
		status = gathering_read(g);
	if (status != EXIT_DONE)
		return status;
	put_page(&page);
	return finish(g, page.f, path);
}

static int report(const struct cli *cli)
{
	static struct verify_given given;
	OWNED_GATHERING g = {0};
	const char *path = cli_option(cli, "--html");
	bool verifies = cli_option(cli, "--no-verify") == NULL;
	int status;

	if (!path)
		return cli_usage(cli, "say where to: --html FILE, or --html - for stdout");
	if (!verifies && (cli_option(cli, "--key") || cli_option(cli, "--checkpoint") ||
			  cli_option(cli, "--signer")))
		return cli_usage(cli, "--key, --checkpoint and --signer are for the verification, "
				      "which --no-verify leaves out");
	status = gathering_begin(&g, cli);
	g.verifies = verifies;
	g.given = &given;
	if (status == EXIT_DONE)
		status = given_open(&given, cli);
	if (status == EXIT_DONE)
		status = write_page(&g, path);
	given_free(&given);
	return status;
}

static const struct cli_option options[] = {
	{"--html", "FILE", "the page; - is stdout"},
	{"--no-verify", NULL, "leave out the verification of the whole trail"},
	{"--key", "FILE", "verify with what `audit key` printed; may be repeated"},
	{"--checkpoint", "FILE", "with checkpoints that were kept elsewhere; may be repeated"},
	{"--signer", "KEY|FILE", "with what `audit key --public` printed; may be repeated"},
	{NULL, NULL, NULL},
};

const struct subcommand audit_report = {
	.name = "audit report",
	.arguments = "[PERIOD]",
	.most = 1,
	.summary = "Writes a page for a browser: summary, charts, a map of blocks, tables.",
	.examples = "  sallyport audit report yesterday --html yesterday.html\n"
		    "  sallyport audit report all --key sallyport.keys --html all.html\n",
	.text = "PERIOD: today (the default), yesterday, week, all, or FROM..TO. The page needs\n"
		"nothing but itself. Exit status: as of audit verify.",
	.options = options,
	.shared = audit_filter_options,
	.run = report,
};

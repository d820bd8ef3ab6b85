/* What the verbs of `sallyport audit` share: they review the trail from its files alone, beside a
 * running gateway or without one. Trusts no octet of the files; what is damaged is told with file
 * and offset, and reading goes on behind it. */
#include "gateway/cli/audit_review.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sodium.h>
#include <sys/stat.h>
#include <time.h>
#include "gateway/base/fd.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "gateway/cli/ask.h"

#define FLUSH_WAIT_S 2

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

bool review_interrupted(void)
{
	return interrupted != 0;
}

static void damaged(void *arg, bool damage, const char *text)
{
	struct review *r = arg;

	(void)fflush(r->print.out); /* the place among the records tells something, too */
	(void)fprintf(stderr, "sallyport %s: %s\n", r->cli->command->name, text);
	r->damages += damage;
}

static int cannot_read(const struct review *r, int e)
{
	if (e == -ENOENT)
		return cli_cannot(r->cli,
				  "there is no audit log in %s/audit: no gateway has run with this "
				  "state folder; name the right one with --state DIR",
				  r->cli->state);
	return cli_cannot(r->cli, "can't read the audit log in %s/audit: %s%s", r->cli->state,
			  strerror(-e),
			  e == -EACCES ? "; try it as root, or as the gateway's user" : "");
}

/* The folder belongs to the gateway's user, and root without its capabilities could not read it. */
static int become_owner(int folder_fd)
{
	struct stat st;

	if (fstat(folder_fd, &st) < 0)
		return -errno;
	if (geteuid() != 0 || st.st_uid == 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) < 0 ||
	    setresuid(st.st_uid, st.st_uid, st.st_uid) < 0)
		return -errno;
	return 0;
}

/* What initiators wrote is in the files: whoever reads them can do nothing else. */
static int lock_down(const struct review *r)
{
	const struct sandbox sandbox = {.profile = SANDBOX_REVIEWER,
					.folder_fd = r->folder_fd,
					.file_size_limit = UINT64_MAX, /* stdout may be a file */
					.files_limit = 64};
	int e = become_owner(r->folder_fd);

	if (e < 0 || (e = process_harden()) < 0)
		return e;
	tzset();
	e = sandbox_enter(&sandbox);
	(void)signal(SIGPIPE, SIG_DFL); /* into head: end quietly */
	return MIN(e, 0);
}

static bool hex_read(const json_t *from, const char *name, uint8_t *ret, size_t size)
{
	const char *text = json_string_value(json_object_get(from, name));
	size_t len;

	return text && sodium_hex2bin(ret, size, text, strlen(text), NULL, &len, NULL) == 0 &&
	       len == size;
}

/* False: it says less than that. */
static bool live_read(const json_t *answer, struct verify_live *ret)
{
	struct verify_live live = {.trail = {0}};
	const json_t *logs = json_object_get(answer, "logs");

	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		const json_t *log = json_object_get(logs, audit_log_name((enum audit_log)(i + 1)));

		if (!hex_read(log, "root", live.roots[i], HASH_SIZE))
			return false;
		live.blocks[i] = (uint64_t)json_integer_value(json_object_get(log, "blocks"));
	}
	if (!hex_read(answer, "trail", live.trail, TRAIL_ID_SIZE) ||
	    !hex_read(answer, "signer", live.signer, SIGNER_KEY_SIZE))
		return false;
	*ret = live;
	return true;
}

/* Rings and memory of a running gateway hold what the files don't have yet. One that does not
 * answer, or in time, hides nothing: what is in the files is read. */
static void flush(struct review *r)
{
	int error;
	json_t *answer = gateway_ask_for(r->cli->state, "flush-audit", FLUSH_WAIT_S, &error);

	if (answer != NULL && json_is_true(json_object_get(answer, "flushed"))) {
		r->flushed = true;
		r->durable = (uint64_t)json_integer_value(json_object_get(answer, "sequence"));
		r->said = live_read(answer, &r->now);
	}
	json_decref(answer);
}

static int folder_open(struct review *r)
{
	OWNED_FD state = open(r->cli->state, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (state < 0)
		return -errno;
	r->folder_fd = openat(state, "audit", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return r->folder_fd < 0 ? -errno : 0;
}

int review_begin(struct review *r, const struct cli *cli)
{
	*r = (struct review){.cli = cli, .folder_fd = -1};
	r->print = (struct audit_print){.out = stdout,
					.json = cli->json,
					.csv = cli_has(cli, "--csv"),
					.colour = !cli->json && cli_colour(stdout)};
	if (cli->json && r->print.csv)
		return cli_usage(cli, "either --json or --csv");
	if (cli->command->shared != audit_filter_options &&
	    cli->command->shared != audit_who_options)
		return EXIT_DONE;
	return review_filter(r);
}

int review_open_folder(struct review *r)
{
	const struct sigaction asked = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
	int e;

	/* Who asks a second time does not want to wait for an end that is in order. */
	(void)sigaction(SIGINT, &asked, NULL);
	(void)sigaction(SIGTERM, &asked, NULL);
	if (!r->live)
		flush(r);
	if ((e = folder_open(r)) < 0)
		return cannot_read(r, e);
	if ((e = lock_down(r)) < 0)
		return cli_cannot(r->cli, "can't confine itself before it reads: %s", strerror(-e));
	return EXIT_DONE;
}

int review_open(struct review *r)
{
	struct trail_wanted wanted = {0};
	int e, status = review_open_folder(r);

	if (status != EXIT_DONE)
		return status;
	if (r->skips)
		audit_filter_wanted(&r->filter, &wanted);
	if (r->skips_deeds)
		audit_deeds_wanted(r->skips_deeds, &wanted);
	wanted.since_ns = r->all ? 0 : r->filter.since_ns;
	e = trail_open(&r->trail, r->folder_fd, &wanted, damaged, r);
	return e < 0 ? cannot_read(r, e) : EXIT_DONE;
}

int review_each(struct review *r, review_visitor visit, void *arg)
{
	static struct trail_record record;
	int e = 0;

	while (!interrupted && (e = trail_next(r->trail, &record)) > 0) {
		r->any = true;
		if (audit_filter_match(&r->filter, &record) && (e = visit(arg, &record)) != 0)
			break;
	}
	(void)fflush(r->print.out);
	return MIN(e, 0);
}

bool review_is_gone(const struct review *r)
{
	struct stat st;

	return fstat(r->folder_fd, &st) == 0 && st.st_nlink == 0;
}

int review_tell_gone(const struct review *r)
{
	return cli_cannot(r->cli,
			  "the audit folder %s/audit was deleted while it was followed: nothing "
			  "comes in it any more; start again when there is one",
			  r->cli->state);
}

int review_verdict(const struct review *r, int error)
{
	if (error < 0)
		return cannot_read(r, error);
	if (ferror(r->print.out))
		return cli_cannot(r->cli, "can't write the output: %s", strerror(errno));
	if (r->damages) {
		(void)fprintf(stderr,
			      "sallyport %s: %llu damaged or missing spots; the other records "
			      "are as they were written\n",
			      r->cli->command->name, (unsigned long long)r->damages);
		return EXIT_DAMAGED;
	}
	return EXIT_DONE;
}

void review_close(struct review *r)
{
	if (r->cli == NULL) /* never begun */
		return;
	trail_close(r->trail);
	free(r->ranges);
	fd_close(&r->folder_fd);
}

/* `sallyport audit show|tail`: reviews the trail from its files alone, beside a running
 * gateway or without one. Trusts no octet of the files; what is damaged is told with file
 * and offset, and reading goes on behind it. */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include "gateway/base/when.h"
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/sandbox.h"
#include "gateway/cli/audit_print.h"
#include "gateway/cli/cli.h"
#include "gateway/scsi/command_names.h"

#define FOLLOW_NS    200000000
#define TAIL_RECORDS 10

struct review {
	const struct cli *cli;
	struct audit_filter filter;
	struct audit_print print;
	struct trail *trail;
	int folder_fd;
	uint64_t damages;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static void damaged(void *arg, bool damage, const char *text)
{
	struct review *r = arg;

	(void)fflush(r->print.out); /* the place among the records tells something, too */
	(void)fprintf(stderr, "sallyport audit: %s\n", text);
	r->damages += damage;
}

static int bad_time(const struct cli *cli, const char *option, const char *text, int e)
{
	return cli_usage(cli, "%s %s: %s; give one of: " WHEN_FORMS, option, text,
			 e == -ERANGE ? "there is no such time" : "not a time");
}

static int parse_times(struct review *r)
{
	const char *since = cli_option(r->cli, "--since"), *until = cli_option(r->cli, "--until");
	struct audit_filter *f = &r->filter;
	uint64_t now = clock_wall_ns();
	int e;

	if (since && (e = when_parse(since, now, r->print.utc, &f->since_ns)) < 0)
		return bad_time(r->cli, "--since", since, e);
	if (until && (e = when_parse(until, now, r->print.utc, &f->until_ns)) < 0)
		return bad_time(r->cli, "--until", until, e);
	if (until && f->since_ns >= f->until_ns)
		return cli_usage(r->cli, "--since is not before --until");
	return 0;
}

static int bad_op(const struct cli *cli, const char *op)
{
	const char *names[512];
	size_t count, commands;
	const struct command_name *command = command_names(&commands);
	const char *near;

	for (count = 0; count < commands && count < 400; count++)
		names[count] = command[count].policy_name;
	for (int kind = EVENT_INVALID + 1; kind < EVENT_KINDS; kind++)
		names[count++] = audit_event_name((enum audit_event_kind)kind);
	near = cli_nearest(op, names, count);
	return cli_usage(cli,
			 "--op %s: no command and no event; give a command as the policy names it "
			 "(write-10, unmap), a family (write), or a kind of event (login, refusal, "
			 "ban)%s%s%s",
			 op, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int parse_what(struct review *r)
{
	const char *address = cli_option(r->cli, "--address"), *lun = cli_option(r->cli, "--lun"),
		   *op = cli_option(r->cli, "--op");
	uint64_t number;

	if (address && network_parse(address, &r->filter.network) < 0)
		return cli_usage(r->cli,
				 "--address %s: give an address or a network: 192.0.2.7, "
				 "192.0.2.0/24, 2001:db8::/64",
				 address);
	if (lun) {
		if (number_parse(lun, 0, 0xfffe, &number) < 0)
			return cli_usage(r->cli, "--lun %s: give a number from 0 to 65534", lun);
		r->filter.has_lun = true;
		r->filter.lun = (uint16_t)number;
	}
	return op && audit_filter_op(&r->filter, op) < 0 ? bad_op(r->cli, op) : 0;
}

static int parse_filter(struct review *r)
{
	int status;

	r->filter.initiator = cli_option(r->cli, "--initiator");
	r->filter.target = cli_option(r->cli, "--target");
	r->filter.denied = cli_option(r->cli, "--denied") != NULL;
	r->print.utc = cli_option(r->cli, "--utc") != NULL;
	status = parse_times(r);
	return status ? status : parse_what(r);
}

static int cannot_read(const struct review *r, int e)
{
	if (e == -ECANCELED) /* was said */
		return EXIT_CANNOT;
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

static int review_open(struct review *r)
{
	OWNED_FD state = open(r->cli->state, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int e;

	if (state < 0)
		return -errno;
	r->folder_fd = openat(state, "audit", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r->folder_fd < 0)
		return -errno;
	e = lock_down(r);
	if (e < 0) {
		(void)cli_cannot(r->cli, "can't confine itself before it reads: %s", strerror(-e));
		return -ECANCELED;
	}
	return trail_open(&r->trail, r->folder_fd, r->filter.since_ns, damaged, r);
}

/* Prints what is there now, from sequence `first` on. *ret_any: there was a record. */
static int print_all(struct review *r, uint64_t first, bool *ret_any)
{
	static struct trail_record record;
	int e = 0;

	while (!interrupted && (e = trail_next(r->trail, &record)) > 0) {
		*ret_any = true;
		if (record.frame.stamp.sequence >= first && audit_filter_match(&r->filter, &record))
			audit_print(&r->print, &record);
	}
	(void)fflush(r->print.out);
	return MIN(e, 0);
}

static int verdict(const struct review *r, int e)
{
	if (e < 0)
		return cannot_read(r, e);
	if (ferror(r->print.out))
		return cli_cannot(r->cli, "can't write the output: %s", strerror(errno));
	if (r->damages) {
		(void)fprintf(stderr,
			      "sallyport audit: %llu damaged or missing spots; the other records "
			      "are as they were written\n",
			      (unsigned long long)r->damages);
		return EXIT_DAMAGED;
	}
	return EXIT_DONE;
}

static int show(struct review *r)
{
	const char *torn;
	uint64_t offset;
	bool any = false;
	int e;

	audit_print_head(&r->print);
	e = print_all(r, 0, &any);
	torn = trail_torn(r->trail, &offset);
	if (torn)
		(void)fprintf(stderr,
			      "sallyport audit: %s ends within a record at octet %llu: it is being "
			      "written, or a crash cut it off\n",
			      torn, (unsigned long long)offset);
	if (e == 0 && !any && !r->damages && !r->filter.since_ns)
		(void)fprintf(stderr, "sallyport audit: the log in %s/audit is empty\n",
			      r->cli->state);
	return verdict(r, e);
}

static int tail(struct review *r)
{
	const char *n = cli_option(r->cli, "-n");
	uint64_t records = TAIL_RECORDS, first;
	bool any;
	int e;

	if (n && number_parse(n, 0, UINT32_MAX, &records) < 0)
		return cli_usage(r->cli, "-n %s: give a number of records", n);
	e = trail_rewind(r->trail, records, &first);
	audit_print_head(&r->print);
	while (e == 0 && !interrupted && !ferror(r->print.out)) {
		struct timespec pause = {.tv_nsec = FOLLOW_NS};

		e = print_all(r, first, &any);
		if (e == 0 && !interrupted)
			(void)nanosleep(&pause, NULL);
	}
	return verdict(r, e);
}

static const struct verb {
	const char *name;
	int (*run)(struct review *r);
} verbs[] = {
	{"show", show},
	{"tail", tail},
};

static int run_audit(const struct cli *cli)
{
	struct review r = {.cli = cli, .folder_fd = -1, .print = {stdout, false, cli->json}};
	const struct verb *verb = cli_verb(cli, verbs, sizeof verbs[0], ARRAY_LEN(verbs));
	int status;

	if (!verb)
		return EXIT_USAGE;
	if (cli_option(cli, "-n") && verb->run != tail)
		return cli_usage(cli, "-n is for tail");
	status = parse_filter(&r);
	if (status)
		return status;
	(void)sigaction(SIGINT, &(struct sigaction){.sa_handler = interrupt}, NULL);
	(void)sigaction(SIGTERM, &(struct sigaction){.sa_handler = interrupt}, NULL);
	status = review_open(&r);
	status = status < 0 ? cannot_read(&r, status) : verb->run(&r);
	trail_close(r.trail);
	fd_close(&r.folder_fd);
	return status;
}

static const struct cli_option options[] = {
	{"--since", "TIME", "from then on"},
	{"--until", "TIME", "before then"},
	{"--initiator", "NAME", "the whole name, or what follows its last colon"},
	{"--address", "NET", "an address or a network"},
	{"--target", "NAME", "like --initiator"},
	{"--lun", "N", "commands to this LUN"},
	{"--denied", NULL, "denied commands, refused logins and connections"},
	{"--op", "NAME", "a command (unmap), a family (write) or an event (login)"},
	{"--utc", NULL, "times in UTC, in the output and on the command line"},
	{"-n", "N", "tail: so many records first (10)"},
	{NULL, NULL, NULL},
};

const struct subcommand cli_audit = {
	.name = "audit",
	.arguments = "show|tail",
	.least = 1,
	.most = 1,
	.summary = "who did what: the trail of every command, login and refusal",
	.examples = "  sallyport audit show --since -2h --op write --initiator app-3\n"
		    "  sallyport audit tail",
	.text = "\n"
		"  show   prints the records that match every option, oldest first\n"
		"  tail   prints the last ones, then those that come, until Ctrl-C\n"
		"\n"
		"TIME is one of " WHEN_FORMS ".\n"
		"Exit status: 0; 2 wrong usage; 3 no log to read; 21 a damaged or missing spot, "
		"which\n"
		"stderr names with file and octet.",
	.options = options,
	.json = true,
	.run = run_audit,
};

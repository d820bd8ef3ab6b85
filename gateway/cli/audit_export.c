/* `sallyport audit export`: the trail for other programs, in their formats; once, from where
 * the last export ended, or live. Takes the options and starts the two processes (export.h). */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "gateway/base/fd.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "gateway/cli/export.h"

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

bool export_stopped(void)
{
	return stopped != 0;
}

int export_confine(const struct export_plan *plan, int folder_fd)
{
	struct sandbox sandbox = {.profile = SANDBOX_EXPORTER,
				  .folder_fd = folder_fd,
				  .file_size_limit = UINT64_MAX,
				  .files_limit = 64};
	const struct sockaddr_in *a4 = (const void *)&plan->address;
	const struct sockaddr_in6 *a6 = (const void *)&plan->address;
	int e;

	if (plan->to)
		sandbox.profile = SANDBOX_SENDER;
	if (plan->tcp)
		sandbox.connect_port =
			ntohs(plan->address.ss_family == AF_INET ? a4->sin_port : a6->sin6_port);
	if ((e = process_harden()) < 0 || (e = sandbox_enter(&sandbox)) < 0)
		return cli_cannot(plan->cli, "can't confine itself before it writes: %s",
				  strerror(-e));
	return EXIT_DONE;
}

/* --- options -------------------------------------------------------------------------------- */

static int format_take(struct export_plan *plan)
{
	const char *name = cli_option(plan->cli, "--format"), *near;
	const char *names[EXPORT_FORMATS];
	size_t count = 0;

	plan->format = name ? export_format_by_name(name) : EXPORT_JSONL;
	if (plan->format != EXPORT_INVALID)
		return EXIT_DONE;
	for (int i = EXPORT_INVALID + 1; i < EXPORT_FORMATS; i++)
		names[count++] = export_format_name((enum export_format)i);
	near = cli_nearest(name, names, count);
	return cli_usage(plan->cli, "--format %s: give jsonl, csv, ecs, ocsf, cef or sqlite%s%s%s",
			 name, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int combination_check(const struct export_plan *plan)
{
	if (plan->to && plan->output)
		return cli_usage(plan->cli, "--to or --output, not both");
	if (plan->to && (plan->format == EXPORT_CSV || plan->format == EXPORT_SQLITE))
		return cli_usage(plan->cli, "--to sends jsonl, ecs, ocsf or cef, not %s",
				 export_format_name(plan->format));
	if (plan->format == EXPORT_SQLITE && !plan->output)
		return cli_usage(plan->cli, "--format sqlite needs --output FILE");
	if (plan->name && !export_name_ok(plan->name))
		return cli_usage(plan->cli,
				 "--since-checkpoint %s: a name has letters, digits, '.', '_' and "
				 "'-', at most %d, and no '.' at its start",
				 plan->name, EXPORT_NAME_MAX);
	return EXIT_DONE;
}

static int options_take(struct export_plan *plan)
{
	int status;

	plan->follow = cli_option(plan->cli, "--follow") != NULL;
	plan->name = cli_option(plan->cli, "--since-checkpoint");
	plan->output = cli_option(plan->cli, "--output");
	plan->to = cli_option(plan->cli, "--to");
	status = format_take(plan);
	return status == EXIT_DONE ? combination_check(plan) : status;
}

/* Opens what the writer will need, while it still can. */
static int outputs_open(struct export_plan *plan)
{
	int status;

	if (plan->format == EXPORT_SQLITE) {
		plan->way = WAY_DATABASE; /* which holds its own checkpoints */
		return export_database_open(plan);
	}
	plan->way = WAY_STREAM;
	status = plan->to ? export_destination(plan) : export_stream_open(plan);
	if (status == EXIT_DONE && plan->name)
		status = export_checkpoint_take(plan);
	return status;
}

/* --- the two processes ---------------------------------------------------------------------- */

static int write_all(struct export_plan *plan, struct export_pipe *p)
{
	if (plan->way == WAY_DATABASE)
		return export_to_database(plan, p);
	return plan->way == WAY_STREAM ? export_to_stream(plan, p) : export_to_socket(plan, p);
}

static int writer(struct export_plan *plan, int fd)
{
	struct export_pipe *p = calloc(1, sizeof *p);
	int status;

	if (!p)
		return cli_cannot(plan->cli, "no memory");
	p->fd = fd;
	(void)sigaction(SIGINT, &(struct sigaction){.sa_handler = stop}, NULL);
	(void)sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL);
	status = write_all(plan, p);
	free(p);
	return status;
}

/* The reader holds nothing but the pipe, the writer nothing of the audit folder. */
static int both(struct export_plan *plan, struct review *r)
{
	int pipe_fds[2], status;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return cli_cannot(plan->cli, "can't start the reader: %s", strerror(errno));
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* what it follows may be silent */
		fd_close(&pipe_fds[0]);
		fd_close(&plan->exports_fd);
		fd_close(&plan->lock_fd);
		if (plan->output)
			fd_close(&plan->output_fd);
		status = export_read(plan, r, pipe_fds[1]);
		review_close(r);
		_exit(status);
	}
	fd_close(&pipe_fds[1]);
	status = writer(plan, pipe_fds[0]);
	fd_close(&pipe_fds[0]); /* ends a reader that is not done */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return status;
}

static int export(const struct cli *cli)
{
	OWNED_REVIEW r = {0};
	struct export_plan plan = {.cli = cli, .output_fd = -1, .exports_fd = -1, .lock_fd = -1};
	int status = review_begin(&r, cli);

	if (status == EXIT_DONE)
		status = options_take(&plan);
	if (status == EXIT_DONE)
		status = outputs_open(&plan);
	if (status == EXIT_DONE)
		status = both(&plan, &r);
	if (plan.output)
		fd_close(&plan.output_fd);
	fd_close(&plan.exports_fd);
	fd_close(&plan.lock_fd);
	return status;
}

static const struct cli_option options[] = {
	{"--format", "NAME", "jsonl (default), csv, ecs, ocsf, cef, sqlite"},
	{"--output", "FILE", "a new file, or the one of the checkpoint; else stdout"},
	{"--since-checkpoint", "NAME", "from where the last export of that name ended"},
	{"--follow", NULL, "go on as records come, until Ctrl-C"},
	{"--to", "WHERE", "syslog:tcp:HOST:PORT, syslog:unix:/PATH, journal"},
	{NULL, NULL, NULL},
};

const struct subcommand audit_export = {
	.name = "audit export",
	.arguments = "",
	.summary = "Writes the records that match every option in another program's format.",
	.examples = "  sallyport audit export --format ecs --output day.json "
		    "--since-checkpoint siem\n"
		    "  sallyport audit export --follow --to syslog:tcp:logs.example:6514 "
		    "--since-checkpoint logs\n",
	.text = "sallyport-audit-export(5) has the formats and what a checkpoint promises.\n"
		"Exit status: 0; 2 wrong usage; 3 it could not be done, or the trail does not go\n"
		"on where the checkpoint stands; 21 a damaged or missing spot.",
	.options = options,
	.shared = audit_filter_options,
	.run = export,
};

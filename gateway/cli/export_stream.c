/* The writer of an export to a file or to stdout. A checkpoint is written after the output is on
 * the disk, and says how long it was: what a crash left behind that is cut off the next time. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include "gateway/base/fd.h"
#include "gateway/cli/export.h"

/* How much is written between two checkpoints, at most. */
#define COMMIT_OCTETS (1u << 20)

static int cannot_write(const struct export_plan *plan, int e)
{
	if (e == -EPIPE) /* into head */
		return EXIT_CANNOT;
	return cli_cannot(plan->cli, "can't write %s: %s", plan->output ? plan->output : "stdout",
			  strerror(-e));
}

/* An output with a control character in its name could not stand in a checkpoint. */
static int name_the_place(struct export_plan *plan)
{
	if (!plan->output) {
		string_copy(plan->place, sizeof plan->place, "-");
		return EXIT_DONE;
	}
	if (!realpath(plan->output, plan->place))
		return cli_cannot(plan->cli, "%s: %s", plan->output, strerror(errno));
	if (strpbrk(plan->place, "\n\r"))
		return cli_usage(plan->cli, "--output: a path without line ends, please");
	return EXIT_DONE;
}

int export_stream_open(struct export_plan *plan)
{
	struct stat st;

	plan->output_fd = STDOUT_FILENO;
	if (plan->output)
		plan->output_fd =
			open(plan->output, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (plan->output_fd < 0 || fstat(plan->output_fd, &st) < 0)
		return cli_cannot(plan->cli, "--output %s: %s", plan->output, strerror(errno));
	if (plan->output && !S_ISREG(st.st_mode))
		return cli_cannot(plan->cli, "--output %s is no file", plan->output);
	return name_the_place(plan);
}

/* Cuts off what came behind the last checkpoint. */
static int resume_output(const struct export_plan *plan)
{
	struct stat st;

	if (!plan->output)
		return EXIT_DONE;
	if (fstat(plan->output_fd, &st) < 0)
		return cannot_write(plan, -errno);
	if (st.st_size > 0 && !plan->resumed)
		return cli_cannot(plan->cli,
				  "%s is there and not empty; nothing is written over. Name "
				  "another file, or the checkpoint that it was exported with",
				  plan->output);
	if ((uint64_t)st.st_size < plan->octets)
		return cli_cannot(
			plan->cli,
			"%s is shorter than the %llu octets that checkpoint %s has of it: "
			"restore it, or name a new file",
			plan->output, (unsigned long long)plan->octets, plan->name);
	if (ftruncate(plan->output_fd, (off_t)plan->octets) < 0 ||
	    lseek(plan->output_fd, 0, SEEK_END) < 0)
		return cannot_write(plan, -errno);
	return EXIT_DONE;
}

struct stream {
	const struct export_plan *plan;
	struct export_position at, noted;
	uint64_t octets, noted_octets;
	uint32_t status; /* of the reader, once it is done */
};

static int commit(struct stream *s)
{
	int e;

	if (s->plan->exports_fd < 0 || memcmp(&s->at, &s->noted, sizeof s->at) == 0)
		return 0;
	/* A pipe or a terminal has nothing to sync. */
	if (fdatasync(s->plan->output_fd) < 0 && errno != EINVAL && errno != EROFS)
		return -errno;
	e = export_checkpoint_put(s->plan, &s->at, s->octets);
	s->noted = s->at;
	s->noted_octets = s->octets;
	return e;
}

/* 1: the reader is done; -errno. */
static int take(void *arg, const struct export_item *item, const uint8_t *text)
{
	struct stream *s = arg;
	bool failed = item->kind == ITEM_END && item->status == EXIT_CANNOT;
	int e = fd_write_all(s->plan->output_fd, text, item->octets);

	if (e < 0)
		return e;
	s->octets += item->octets;
	s->status = item->status;
	if (!failed)
		s->at = item->after;
	if (item->kind == ITEM_RECORDS && s->octets - s->noted_octets < COMMIT_OCTETS)
		return 0;
	e = commit(s);
	return e < 0 ? e : item->kind == ITEM_END;
}

int export_to_stream(struct export_plan *plan, struct export_pipe *p)
{
	struct stream s = {plan, plan->from, plan->from, plan->octets, plan->octets, 0};
	int e, status = resume_output(plan);

	if (status == EXIT_DONE)
		status = export_confine(plan, plan->exports_fd);
	if (status != EXIT_DONE)
		return status;
	/* From here on, what is in the output is what a checkpoint names. */
	e = export_checkpoint_put(plan, &plan->from, plan->octets);
	if (!plan->output)
		(void)signal(SIGPIPE, SIG_DFL); /* into head: end quietly */
	if (e == 0)
		e = export_pipe_run(p, take, &s);
	if (e == 1)
		return (int)s.status;
	if (e == 0)
		e = commit(&s); /* stopped, or the reader is gone */
	if (e < 0)
		return cannot_write(plan, e);
	return export_stopped() ? EXIT_DONE : EXIT_CANNOT;
}

/* Starts a tool, serves its reads, collects what it says. Runs in the process that looks
 * for files, whose sandbox the tool inherits and tightens. The tool reads what an
 * initiator wrote, so it is as hostile as a peer: its time, memory and output are bounded. */
#include "gateway/files/tool.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "gateway/base/channel.h"
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/files/text.h"

#define OUTPUT_MOST (32u << 20)
#define WORDS_MOST  1024 /* of its stderr */
#define WINDOW_FD   3

enum { MSG_WATCH = 1 };

static const struct message_spec watch_table[] = {
	{.type = MSG_WATCH, .name = "watch", .size = 0, .fds = 1, .once = true},
};

static const struct {
	const char *name, *package, *paths[2];
} tools[] = {
	[TOOL_DEBUGFS] = {"debugfs", "e2fsprogs", {"/usr/sbin/debugfs", "/sbin/debugfs"}},
	[TOOL_XFS_DB] = {"xfs_db", "xfsprogs", {"/usr/sbin/xfs_db", "/sbin/xfs_db"}},
	[TOOL_NTFSINFO] = {"ntfsinfo", "ntfs-3g", {"/usr/bin/ntfsinfo", "/bin/ntfsinfo"}},
	[TOOL_NTFSCLUSTER] = {"ntfscluster",
			      "ntfs-3g",
			      {"/usr/bin/ntfscluster", "/bin/ntfscluster"}},
};

const char *const tool_paths[] = {
	"/usr/sbin/debugfs",	"/sbin/debugfs",     "/usr/sbin/xfs_db",
	"/sbin/xfs_db",		"/usr/bin/ntfsinfo", "/bin/ntfsinfo",
	"/usr/bin/ntfscluster", "/bin/ntfscluster",  NULL,
};

struct run {
	struct toolbox *box;
	const char *name;
	pid_t pid;
	int pid_fd, watch, out, words_fd;
	struct tool_output output;
	size_t room;
	char words[WORDS_MOST];
	size_t words_len;
};

static const char *tool_find(enum tool tool)
{
	for (size_t i = 0; i < ARRAY_LEN(tools[tool].paths); i++)
		if (access(tools[tool].paths[i], X_OK) == 0)
			return tools[tool].paths[i];
	return NULL;
}

/* --- the tool's side of the fork ---------------------------------------------------------- */

struct start {
	const char *path;
	char *argv[TOOL_ARGUMENTS + 2];
	int null, out, words, channel;
};

/* It writes to no file; the processor's time and the memory are limited by what we have ourselves.
 */
static int tool_limits(void)
{
	const struct rlimit none = {0, 0};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || setrlimit(RLIMIT_FSIZE, &none) < 0)
		return -errno;
	return 0;
}

static NORETURN void tool_exec(struct toolbox *box, const struct start *s)
{
	char *const environment[] = {(char *)(uintptr_t) "LC_ALL=C.UTF-8",
				     (char *)(uintptr_t) "TZ=UTC0",
				     (char *)(uintptr_t) "DEBUGFS_PAGER=__none__", NULL};
	struct channel channel;
	int watch;

	if (tool_limits() < 0 || dup2(s->null, STDIN_FILENO) < 0 ||
	    dup2(s->out, STDOUT_FILENO) < 0 || dup2(s->words, STDERR_FILENO) < 0)
		_exit(127);
	watch = window_watch(&box->window);
	channel_open(&channel, s->channel, NULL, 0);
	if (watch < 0 || channel_send(&channel, MSG_WATCH, NULL, 0, &watch, 1) < 0 ||
	    dup2(box->window.reader_fd, WINDOW_FD) < 0)
		_exit(127);
	(void)execve(s->path, s->argv, environment);
	_exit(127);
}

/* --- ours --------------------------------------------------------------------------------- */

static int take_output(struct run *r)
{
	ssize_t n;

	if (r->room - r->output.len < 65536) {
		size_t room = r->room ? r->room * 2 : 131072;
		char *text = realloc(r->output.text, room + 1);

		if (!text)
			return -ENOMEM;
		r->output.text = text;
		r->room = room;
	}
	n = read(r->out, r->output.text + r->output.len, 65536);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		fd_close(&r->out);
	r->output.len += (size_t)n;
	r->output.text[r->output.len] = '\0';
	return r->output.len > OUTPUT_MOST ? -E2BIG : 0;
}

static int take_words(struct run *r)
{
	char more[512];
	ssize_t n = read(r->words_fd, more, sizeof more);
	size_t kept;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		fd_close(&r->words_fd);
	kept = MIN((size_t)n, WORDS_MOST - r->words_len);
	memcpy(r->words + r->words_len, more, kept);
	r->words_len += kept;
	return 0;
}

/* One turn: waits until something is to be done, and does it. 1: the tool is over and all that it
 * said is read. */
static int run_turn(struct run *r, bool *over)
{
	uint64_t now = clock_ms();
	struct pollfd p[] = {{.fd = r->watch, .events = POLLIN},
			     {.fd = r->out, .events = POLLIN},
			     {.fd = r->words_fd, .events = POLLIN},
			     {.fd = *over ? -1 : r->pid_fd, .events = POLLIN}};
	int e = 0;

	if (now >= r->box->deadline_ms)
		return -ETIMEDOUT;
	if (r->out < 0 && r->words_fd < 0 && *over)
		return 1;
	if (poll(p, ARRAY_LEN(p), (int)MIN(r->box->deadline_ms - now, (uint64_t)1000)) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[0].revents & POLLIN)
		e = window_serve(&r->box->window, r->watch);
	else if (p[0].revents)
		fd_close(&r->watch);
	if (e < 0 && e != -ENOENT)
		return e;
	e = 0;
	if (p[1].revents)
		e = take_output(r);
	if (e == 0 && p[2].revents)
		e = take_words(r);
	*over |= p[3].revents != 0;
	return e;
}

/* The first line of what it says on stderr, but for debugfs's own name and version. */
static void run_words(struct run *r)
{
	struct text t = text_over(r->words, r->words_len), line;

	r->box->words[0] = '\0';
	while (text_line(&t, &line)) {
		if (text_left(&line) == 0 || text_skip(&line, "debugfs 1."))
			continue;
		(void)text_escape(line.p, text_left(&line), r->box->words, sizeof r->box->words);
		return;
	}
}

static int run_explain(struct run *r, int status)
{
	char *why = r->box->why;

	if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
		(void)snprintf(why, TOOL_WHY,
			       "%s was ended: it used more time or memory than it may have; the "
			       "file system is very large, damaged, or made to cost time",
			       r->name);
	else if (WIFSIGNALED(status))
		(void)snprintf(why, TOOL_WHY,
			       "%s crashed (signal %d): the file system is damaged, or made to "
			       "crash it",
			       r->name, WTERMSIG(status));
	else if (WEXITSTATUS(status) == 127)
		(void)snprintf(why, TOOL_WHY, "%s could not be started in its sandbox", r->name);
	else
		(void)snprintf(why, TOOL_WHY, "%s ended with status %d%s%s", r->name,
			       WEXITSTATUS(status), r->box->words[0] ? ", and says: " : "",
			       r->box->words);
	return -EIO;
}

static int run_failed(struct run *r, int e)
{
	char *why = r->box->why;

	if (e == -ETIMEDOUT)
		(void)snprintf(why, TOOL_WHY,
			       "%s did not end in time: the file system is very large, damaged, or "
			       "made to cost time",
			       r->name);
	else if (e == -E2BIG)
		(void)snprintf(why, TOOL_WHY, "%s says more than %u MiB", r->name,
			       OUTPUT_MOST >> 20);
	else
		(void)snprintf(why, TOOL_WHY, "%s: %s", r->name, strerror(-e));
	return e;
}

/* The descriptor that tells of the tool's reads: its first message. */
static int run_meet(struct run *r, int channel_fd)
{
	struct channel c;
	struct message m;
	struct pollfd p = {.fd = channel_fd, .events = POLLIN};
	int e;

	channel_open(&c, channel_fd, watch_table, ARRAY_LEN(watch_table));
	while ((e = poll(&p, 1, 10000)) < 0 && errno == EINTR)
		;
	e = e == 1 ? channel_receive(&c, &m) : -ETIMEDOUT;
	if (e == 1)
		r->watch = m.fds[0];
	channel_close(&c);
	return e == 1 ? 0 : -EPERM;
}

static int run_serve(struct run *r, int channel_fd)
{
	bool over = false;
	int e, status = 0;

	e = run_meet(r, channel_fd);
	r->pid_fd = pidfd_open(r->pid, 0);
	if (e == 0 && r->pid_fd < 0)
		e = -errno;
	while (e == 0)
		e = run_turn(r, &over);
	if (e == -EPERM) /* it ended before it was one: its status tells */
		over = true;
	if (!over)
		return run_failed(r, e);
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (e < 0 && e != -EPERM)
		return run_failed(r, e);
	run_words(r);
	return status == 0 ? 0 : run_explain(r, status);
}

static int pipes_make(struct run *r, struct start *s, int *ret_channel)
{
	int out[2], words[2], channel[2];

	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	r->out = out[0];
	s->out = out[1];
	if (pipe2(words, O_CLOEXEC) < 0)
		return -errno;
	r->words_fd = words[0];
	s->words = words[1];
	if (channel_pair(channel) < 0)
		return -EMFILE;
	*ret_channel = channel[0];
	s->channel = channel[1];
	return 0;
}

static int run_start(struct run *r, struct start *s)
{
	int channel = -1, e = pipes_make(r, s, &channel);

	if (e == 0 && (r->pid = fork()) < 0)
		e = -errno;
	if (e == 0 && r->pid == 0)
		tool_exec(r->box, s);
	fd_close(&s->out);
	fd_close(&s->words);
	fd_close(&s->channel);
	if (e == 0)
		return run_serve(r, channel);
	fd_close(&channel);
	return run_failed(r, e);
}

int tool_run(struct toolbox *t, enum tool tool, const char *const *arguments,
	     struct tool_output *ret_output)
{
	struct run r = {.box = t,
			.name = tools[tool].name,
			.pid_fd = -1,
			.watch = -1,
			.out = -1,
			.words_fd = -1};
	struct start s = {
		.path = tool_find(tool), .null = t->null_fd, .out = -1, .words = -1, .channel = -1};
	size_t n = 0;
	int e;

	if (!s.path) {
		(void)snprintf(t->why, TOOL_WHY, "%s is missing; install the package %s",
			       tools[tool].name, tools[tool].package);
		return -ENOENT;
	}
	s.argv[n++] = (char *)(uintptr_t)tools[tool].name;
	for (; *arguments; arguments++) {
		assert(n <= TOOL_ARGUMENTS);
		s.argv[n++] = (char *)(uintptr_t)*arguments;
	}
	e = run_start(&r, &s);
	fd_close(&r.pid_fd);
	fd_close(&r.watch);
	fd_close(&r.out);
	fd_close(&r.words_fd);
	if (e < 0) {
		tool_output_free(&r.output);
		return e;
	}
	*ret_output = r.output;
	return 0;
}

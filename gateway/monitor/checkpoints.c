/* Sends each checkpoint of the trail elsewhere: to a file, a program, a syslog, as the policy says.
 * Runs in the monitor, which never waits for any of them: what a destination does not take now is
 * tried again, and the newest checkpoint of each log wins, since it covers all before it. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/monitor/audit.h"

#define AGAIN_FIRST_MS 1000
#define AGAIN_MOST_MS  60000
#define LEAVE_MS       5000		       /* for a program to end when it gets no more */
#define CLOSE_MS       1000		       /* for all of them when the gateway stops */
#define SYSLOG_PREFIX  "<85>sallyport-audit: " /* authpriv, notice */

uint64_t checkpoints_late_ms = 5 * 60 * 1000;

enum where { TO_FILE, TO_COMMAND, TO_SYSLOG, DESTINATIONS };

static const char *const names[] = {
	[TO_FILE] = "file", [TO_COMMAND] = "command", [TO_SYSLOG] = "syslog"};

/* A process that gets them: it may outlive its destination, until it ended. */
struct writer {
	struct monitor *m;
	struct destination *d; /* NULL: it was given up */
	pid_t pid;
	struct watch process;
	struct timer kill;
};

static struct destination {
	struct monitor *m;
	enum where where;
	char *what; /* path, or the words of the command; NULL: there is none */
	size_t len; /* of it, with all its NULs */
	struct writer *writer;
	struct watch pipe; /* fd -1: none; the socket of a syslog is here, too */
	struct timer again;
	uint64_t wait_ms;			    /* before it is started again */
	struct auditor_checkpoint last[AUDIT_LOGS]; /* len 0: none yet */
	bool waits[AUDIT_LOGS];			    /* the last one was not taken yet */
	uint64_t since_ms; /* when the oldest that is not through came; 0 */
	uint64_t skipped;  /* others that never will be */
	char why[256];	   /* "": all is well */
} destinations[DESTINATIONS];

static void destination_start(struct destination *d);

PRINTF_LIKE(2, 3)
static void say(struct destination *d, const char *fmt, ...)
{
	char why[sizeof d->why];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, sizeof why, fmt, args);
	va_end(args);
	if (strcmp(why, d->why) != 0)
		log_warning("checkpoints: %s: %s", names[d->where], why);
	(void)string_copy(d->why, sizeof d->why, why);
}

static void try_again(struct destination *d)
{
	d->wait_ms = MIN(MAX(d->wait_ms * 2, AGAIN_FIRST_MS), AGAIN_MOST_MS);
	loop_timer_set(d->m->loop, &d->again, clock_ms() + d->wait_ms);
}

static void on_again(struct timer *t)
{
	destination_start(CONTAINER_OF(t, struct destination, again));
}

/* --- sending --------------------------------------------------------------------------------- */

/* One line: newlines within as `\n`. */
static ssize_t syslog_send(int fd, const struct auditor_checkpoint *c)
{
	char line[sizeof SYSLOG_PREFIX + 2 * NOTE_SIZE] = SYSLOG_PREFIX;
	size_t at = sizeof SYSLOG_PREFIX - 1;

	for (uint32_t k = 0; k < c->len; k++) {
		if (c->text[k] == '\n')
			line[at++] = '\\';
		line[at++] = c->text[k];
		if (c->text[k] == '\n')
			line[at - 1] = 'n';
	}
	return send(fd, line, at, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int send_one(struct destination *d, const struct auditor_checkpoint *c)
{
	/* Not more than PIPE_BUF: all of it or nothing. */
	ssize_t n = d->where == TO_SYSLOG ? syslog_send(d->pipe.fd, c)
					  : write(d->pipe.fd, c->text, c->len);

	return n < 0 ? -errno : 0;
}

static void pipe_close(struct destination *d)
{
	if (d->pipe.fd >= 0)
		loop_unwatch(d->m->loop, &d->pipe);
	fd_close(&d->pipe.fd);
}

/* What is not through yet. */
static void send_waiting(struct destination *d)
{
	int r = 0;

	for (size_t log = 0; log < AUDIT_LOGS && d->pipe.fd >= 0 && r == 0; log++) {
		if (!d->waits[log])
			continue;
		r = send_one(d, &d->last[log]);
		d->waits[log] = r < 0;
	}
	if (r == 0)
		return;
	if (r == -EAGAIN && d->where != TO_SYSLOG) {
		IGNORE_RESULT(loop_change(d->m->loop, &d->pipe, EPOLLOUT)); /* or the next tick */
		return;
	}
	if (r == -EAGAIN)
		return say(d, "the syslog does not keep up");
	say(d, "%s", strerror(-r));
	pipe_close(d);
	if (d->writer == NULL)
		try_again(d); /* a process: when it ended */
}

static void on_pipe(struct watch *w, uint32_t ready)
{
	struct destination *d = CONTAINER_OF(w, struct destination, pipe);

	if (ready & EPOLLOUT) {
		IGNORE_RESULT(loop_change(d->m->loop, w, 0));
		return send_waiting(d);
	}
	pipe_close(d); /* nobody reads it any more: its process ends, or a syslog is gone */
	if (d->writer == NULL)
		try_again(d);
}

/* --- processes ------------------------------------------------------------------------------- */

static void send_last_again(struct destination *d)
{
	for (size_t log = 0; log < AUDIT_LOGS; log++)
		d->waits[log] = d->last[log].len > 0;
	send_waiting(d);
}

static void on_process(struct watch *w, uint32_t ready)
{
	struct writer *p = CONTAINER_OF(w, struct writer, process);
	struct destination *d = p->d;
	int status = 0;

	(void)ready;
	(void)waitpid(p->pid, &status, 0);
	loop_unwatch(p->m->loop, w);
	loop_timer_clear(p->m->loop, &p->kill);
	fd_close(&w->fd);
	free(p);
	if (d == NULL)
		return;
	d->writer = NULL;
	pipe_close(d);
	if (d->since_ms == 0 && status != 0)
		d->since_ms = clock_ms();
	say(d, "its process ended (%s %d) and is started again",
	    WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	try_again(d);
}

static void on_kill(struct timer *t)
{
	(void)kill(CONTAINER_OF(t, struct writer, kill)->pid, SIGKILL);
}

/* Opened by us: the process that writes it opens nothing. */
static int file_open(struct destination *d)
{
	OWNED_FD fd =
		open(d->what,
		     O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		     0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? fd_take(&fd) : -EINVAL;
}

static int writer_start(struct destination *d, int input)
{
	struct monitor *m = d->m;
	bool file = d->where == TO_FILE;
	OWNED_FD given = file ? file_open(d) : memfd_sealed("command", d->what, d->len);
	struct child child = {.role = file ? "scribe" : "checkpoint-command",
			      .program = m->programs.self,
			      .fds = {input, given},
			      .fd_count = 2,
			      .uid = m->net_uid, /* to whom no file of ours belongs */
			      .gid = m->net_gid};
	struct writer *p;
	pid_t pid;

	if (given < 0)
		return given;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return -ENOMEM;
	*p = (struct writer){.m = m, .d = d, .process = {.events = EPOLLIN, .run = on_process}};
	p->kill.run = on_kill;
	pid = child_start(&child, &p->process.fd);
	if (pid < 0 || loop_watch(m->loop, &p->process) < 0) {
		if (pid > 0)
			(void)kill(pid, SIGKILL);
		free(p);
		return pid < 0 ? (int)pid : -ENOMEM;
	}
	p->pid = pid;
	d->writer = p;
	return 0;
}

static int process_begin(struct destination *d)
{
	int pair[2], r;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	/* A page of them: what is older than that is of no use to anybody. */
	(void)fcntl(pair[1], F_SETPIPE_SZ, 4096);
	r = fcntl(pair[1], F_SETFL, O_NONBLOCK) < 0 ? -errno : writer_start(d, pair[0]);
	fd_close(&pair[0]);
	if (r < 0) {
		fd_close(&pair[1]);
		return r;
	}
	d->pipe = (struct watch){.fd = pair[1], .events = 0, .run = on_pipe};
	return 0;
}

static int syslog_begin(struct destination *d)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	OWNED_FD fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	(void)string_copy(sa.sun_path, sizeof sa.sun_path, d->what);
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
		return -errno;
	d->pipe = (struct watch){.fd = fd_take(&fd), .events = 0, .run = on_pipe};
	return 0;
}

static void destination_start(struct destination *d)
{
	int r = d->where == TO_SYSLOG ? syslog_begin(d) : process_begin(d);

	if (r == 0 && (r = loop_watch(d->m->loop, &d->pipe)) < 0)
		fd_close(&d->pipe.fd);
	if (r < 0) {
		say(d, "%.120s can't be opened: %s", d->what, strerror(-r));
		try_again(d);
		return;
	}
	send_last_again(d);
}

static void destination_end(struct destination *d)
{
	loop_timer_clear(d->m->loop, &d->again);
	pipe_close(d);
	if (d->writer != NULL) {
		d->writer->d = NULL; /* it ends by itself at the end of its input */
		loop_timer_set(d->m->loop, &d->writer->kill, clock_ms() + LEAVE_MS);
	}
	free(d->what);
	*d = (struct destination){.m = d->m, .where = d->where, .pipe = {.fd = -1}};
}

/* --- what the policy says -------------------------------------------------------------------- */

static size_t policy_says(const struct policy_trail *t, enum where where, char ret[])
{
	const char *one = where == TO_FILE ? t->file : t->syslog;
	size_t len = 0;

	if (where != TO_COMMAND) {
		if (one != NULL && strlen(one) < CHECKPOINT_ARGV_MAX)
			len = strlen(one) + 1;
		memcpy(ret, one ? one : "", len);
		return len;
	}
	for (size_t k = 0; k < t->command_count; k++) {
		size_t word = strlen(t->command[k]) + 1;

		if (len + word > CHECKPOINT_ARGV_MAX) {
			log_error("the command for checkpoints is too long: it is not started");
			return 0;
		}
		memcpy(ret + len, t->command[k], word);
		len += word;
	}
	return len;
}

static void warn_of_place(const struct monitor *m, const char *path)
{
	char state[PATH_MAX];
	size_t len;

	if (realpath(m->state_path, state) == NULL)
		return;
	len = strlen(state);
	if (strncmp(path, state, len) == 0 && path[len] == '/')
		log_warning("checkpoints: %s is below the state folder: who takes this machine "
			    "over changes it together with the trail. Keep it elsewhere",
			    path);
}

void checkpoints_reload(struct monitor *m)
{
	static char says[CHECKPOINT_ARGV_MAX];

	for (enum where where = 0; where < DESTINATIONS; where++) {
		struct destination *d = &destinations[where];
		size_t len = policy_says(&m->policy->trail, where, says);

		if (d->m == NULL)
			*d = (struct destination){.m = m, .where = where, .pipe = {.fd = -1}};
		if (len == d->len && (len == 0 || memcmp(says, d->what, len) == 0))
			continue;
		destination_end(d);
		if (len == 0 || (d->what = malloc(len)) == NULL)
			continue;
		memcpy(d->what, says, len);
		d->len = len;
		d->again.run = on_again;
		if (where == TO_FILE)
			warn_of_place(m, d->what);
		destination_start(d);
	}
}

/* --- checkpoints ----------------------------------------------------------------------------- */

void checkpoint_take(struct monitor *m, const struct auditor_checkpoint *c)
{
	(void)m;
	if (c->log != LOG_COMMANDS && c->log != LOG_EVENTS)
		return;
	if (c->len == 0 || c->len > sizeof c->text)
		return;
	for (size_t k = 0; k < DESTINATIONS; k++) {
		struct destination *d = &destinations[k];

		if (d->what == NULL)
			continue;
		d->skipped += d->waits[c->log - 1];
		d->last[c->log - 1] = *c;
		d->waits[c->log - 1] = true;
		if (d->since_ms == 0)
			d->since_ms = clock_ms();
		send_waiting(d);
	}
}

/* Is all through? Of a pipe: read by a process that lives. */
static bool is_through(const struct destination *d)
{
	int left = 0;

	if (d->pipe.fd < 0 || d->waits[0] || d->waits[1])
		return false;
	return d->where == TO_SYSLOG || (ioctl(d->pipe.fd, FIONREAD, &left) == 0 && left == 0);
}

void checkpoints_tick(struct monitor *m)
{
	(void)m;
	for (size_t k = 0; k < DESTINATIONS; k++) {
		struct destination *d = &destinations[k];

		if (d->what == NULL || d->since_ms == 0)
			continue;
		send_waiting(d);
		if (!is_through(d))
			continue;
		d->since_ms = 0;
		d->wait_ms = 0;
		d->why[0] = '\0';
	}
}

json_t *checkpoints_json(const struct monitor *m, json_t *problems)
{
	json_t *list = json_array();
	uint64_t now = clock_ms();

	(void)m;
	for (size_t k = 0; k < DESTINATIONS; k++) {
		const struct destination *d = &destinations[k];
		bool late = d->since_ms != 0 && now - d->since_ms >= checkpoints_late_ms;
		char text[512];

		if (d->what == NULL)
			continue;
		(void)snprintf(text, sizeof text,
			       "%s %.120s: no checkpoint got through for %llu s%s%s", names[k],
			       d->what,
			       (unsigned long long)(d->since_ms ? (now - d->since_ms) / 1000 : 0),
			       d->why[0] ? ": " : "", d->why);
		json_array_append_new(list,
				      json_pack("{s:s,s:s,s:b,s:I,s:s}", "to", names[k], "what",
						d->what, "behind", d->since_ms != 0, "skipped",
						(json_int_t)d->skipped, "note", d->why));
		if (late)
			json_array_append_new(problems, json_sprintf("checkpoints: %s", text));
	}
	return list;
}

/* The last ones are on their way: their readers get a moment, and end by themselves. */
void checkpoints_close(struct monitor *m)
{
	uint64_t until = clock_ms() + CLOSE_MS;

	(void)m;
	for (size_t k = 0; k < DESTINATIONS; k++) {
		struct destination *d = &destinations[k];
		struct pollfd over = {.events = POLLIN};

		if (d->m == NULL)
			continue;
		fd_close(&d->pipe.fd);
		if (d->writer != NULL) {
			over.fd = d->writer->process.fd;
			if (poll(&over, 1, (int)(until - MIN(clock_ms(), until))) == 0)
				(void)kill(d->writer->pid, SIGKILL);
			fd_close(&d->writer->process.fd);
			free(TAKE(d->writer));
		}
		free(TAKE(d->what));
		d->m = NULL;
	}
}

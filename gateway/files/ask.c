/* Asking for files: starts the process that looks, hands it the disk and the question,
 * and reads its answer for a bounded time. Runs in the command line; does not trust the
 * answer, whose sender reads what initiators wrote. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"
#include "gateway/base/process.h"
#include "gateway/files/wire.h"

#define SLACK_MS 5000 /* beyond what it gives itself */
#define USER	 "sallyport"

static int say(char why[FILES_WHY], int error, const char *text)
{
	(void)snprintf(why, FILES_WHY, "%s: %s", text, strerror(-error));
	return error;
}

/* Root's own disk is opened by now: who reads it is somebody else. */
static int user_choose(struct child *c, char why[FILES_WHY])
{
	int r;

	if (geteuid() != 0)
		return 0;
	r = user_find(USER, &c->uid, &c->gid);
	return r < 0 ? say(why, r,
			   "there is no user " USER ", as whom the file system is read; "
			   "deploy/install-deps.sh makes it")
		     : 0;
}

static int question_make(const struct files_question *q, char why[FILES_WHY])
{
	struct files_asked asked = {.lba = q->lba,
				    .block_size = q->block_size,
				    .partition = q->partition,
				    .has_path = q->path != NULL};
	int fd;

	if (q->path &&
	    (q->path[0] != '/' || !string_copy(asked.path, sizeof asked.path, q->path))) {
		(void)snprintf(why, FILES_WHY,
			       "give the path from the root of the file system, as \"/a/b\", of at "
			       "most %d octets",
			       FILES_PATH_MAX - 1);
		return -EINVAL;
	}
	fd = memfd_sealed("question", &asked, sizeof asked);
	return fd < 0 ? say(why, fd, "the question") : fd;
}

/* All that it says, until its end or the time's. */
static int answer_read(int fd, uint8_t *bytes, size_t *ret_len)
{
	uint64_t until = clock_ms() + FILES_SECONDS * 1000 + SLACK_MS, now;
	size_t len = 0;

	while ((now = clock_ms()) < until && len < ANSWER_MOST) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, (int)(until - now)) <= 0)
			continue;
		n = read(fd, bytes + len, ANSWER_MOST - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			*ret_len = len;
			return 0;
		}
		len += (size_t)n;
	}
	return len < ANSWER_MOST ? -ETIMEDOUT : -EPROTO;
}

static void child_end(pid_t pid, int pid_fd, bool now)
{
	if (now)
		(void)pidfd_send_signal(pid_fd, SIGKILL, NULL, 0);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int answer_take(int fd, struct files_answer *ret_answer, char why[FILES_WHY],
		       bool *ret_ended)
{
	OWNED_FREE uint8_t *bytes = malloc(ANSWER_MOST);
	size_t len = 0;
	int r = bytes ? answer_read(fd, bytes, &len) : -ENOMEM;

	*ret_ended = r == 0;
	if (r < 0)
		return say(why, r, "the process that reads the file system gave no answer");
	r = answer_decode(bytes, len, ret_answer, why);
	if (r == -EPROTO && why[0] == '\0')
		(void)snprintf(
			why, FILES_WHY,
			"the process that reads the file system ended without an answer; the "
			"file system may be made to end it");
	return r;
}

int files_ask(const struct files_question *q, struct files_answer *ret_answer,
	      char ret_why[FILES_WHY])
{
	struct child child = {
		.role = "files", .fd_count = FILES_FD_COUNT, .dies_with_parent = true};
	OWNED_FD
	question = -1, answer = -1, answer_in = -1, pid_fd = -1;
	struct programs programs;
	int pipes[2], r;
	pid_t pid;
	bool ended;

	if ((r = user_choose(&child, ret_why)) < 0)
		return r;
	if ((question = question_make(q, ret_why)) < 0)
		return question;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return say(ret_why, -errno, "a pipe");
	answer = pipes[0];
	answer_in = pipes[1];
	if ((r = programs_open(&programs)) < 0)
		return say(ret_why, r, "our own program");
	child.program = programs.self;
	child.fds[0] = q->disk_fd;
	child.fds[1] = question;
	child.fds[2] = answer_in;
	pid = child_start(&child, &pid_fd);
	programs_close(&programs);
	fd_close(&answer_in);
	if (pid < 0)
		return say(ret_why, pid, "the process that reads the file system can't be started");
	r = answer_take(answer, ret_answer, ret_why, &ended);
	child_end(pid, pid_fd, !ended);
	return r;
}

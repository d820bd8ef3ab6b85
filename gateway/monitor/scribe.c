/* Where checkpoints go besides the syslog: two small processes, so that nothing that hangs (a
 * remote file system, a program) keeps the monitor. Each reads checkpoints from its standard input
 * and ends at its end. The scribe appends them to a file; the other one becomes the policy's
 * program, without environment, rights, or a descriptor of ours. */
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include "gateway/base/fd.h"
#include "gateway/base/log.h"
#include "gateway/base/process.h"
#include "gateway/base/sandbox.h"
#include "gateway/monitor/audit.h"

#define INPUT_FD PROCESS_FD_FIRST
#define FILE_FD	 (PROCESS_FD_FIRST + 1) /* the scribe's file; the other one's argv */
#define GROWS_TO (UINT64_C(1) << 50)
#define FAILED	 3

static const struct sandbox sandbox = {
	.profile = SANDBOX_SCRIBE, .folder_fd = -1, .file_size_limit = GROWS_TO, .files_limit = 16};

/* Each piece is whole checkpoints: a pipe takes them whole, or not at all. */
static int copy(void)
{
	char text[4096];
	ssize_t n;
	int r;

	while ((n = read(INPUT_FD, text, sizeof text)) > 0) {
		r = fd_write_all(FILE_FD, text, (size_t)n);
		if (r == 0 && fdatasync(FILE_FD) < 0)
			r = -errno;
		if (r < 0)
			return r;
	}
	return n < 0 ? -errno : 0;
}

int scribe_main(void)
{
	int r;

	if (!process_fds_are(2) || (r = sandbox_enter(&sandbox)) < 0) {
		log_error("it can't lock itself down; it is no command for people");
		return FAILED;
	}
	r = copy();
	if (r < 0)
		log_error("the file for checkpoints can't be written: %s", strerror(-r));
	return r < 0 ? FAILED : 0;
}

/* --- the program ----------------------------------------------------------------------------- */

/* The texts of a sealed memfd, each with its NUL. */
static char **argv_read(void)
{
	static char *argv[CHECKPOINT_WORDS_MAX + 1];
	char *bytes = NULL;
	size_t len, count = 0;

	if (fd_read_all(FILE_FD, CHECKPOINT_ARGV_MAX, &bytes, &len) < 0 || len == 0 ||
	    bytes[len - 1] != '\0')
		return NULL;
	for (char *p = bytes; p < bytes + len && count < CHECKPOINT_WORDS_MAX; p += strlen(p) + 1)
		argv[count++] = p;
	return argv;
}

int checkpoint_command_main(void)
{
	char *const no_environment[] = {NULL};
	char **argv;

	if (!process_fds_are(2) || (argv = argv_read()) == NULL)
		return FAILED;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || chdir("/") < 0 || dup2(INPUT_FD, 0) < 0 ||
	    close_range(INPUT_FD, ~0u, CLOSE_RANGE_CLOEXEC) < 0) {
		log_error("can't lock itself down: %m");
		return FAILED;
	}
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGXFSZ, SIG_DFL);
	execve(argv[0], argv, no_environment);
	log_error("the command for checkpoints, %s, can't be started: %m", argv[0]);
	return FAILED;
}

/* How many instructions a thread runs, for `make bench`: one step at a time, as a debugger does, so
 * that the session is counted as it is, in its sandbox, with its audit. What the kernel does for it
 * is no part of the figure: a system call is one instruction. Started by tests/bench alone, as
 * root; trusts the thread.
 *
 *   steps PID     counts from its first line of output until SIGTERM; then prints them */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include "gateway/base/base.h"
#include "gateway/base/bytes.h"

static volatile sig_atomic_t over;

static void on_end(int number)
{
	(void)number;
	over = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "steps: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Until its next stop; false: told to end before. */
static bool stopped(pid_t pid, int *ret_status)
{
	while (waitpid(pid, ret_status, __WALL) < 0) {
		if (errno != EINTR)
			die("it can't be waited for");
		if (over)
			return false;
	}
	if (!WIFSTOPPED(*ret_status))
		die("it ended");
	return true;
}

/* Steps until told to end: a thread that sleeps makes none. */
static uint64_t count(pid_t pid)
{
	uint64_t steps = 0;
	int status;

	while (!over && stopped(pid, &status)) {
		bool event = status >> 16 != 0, step = !event && WSTOPSIG(status) == SIGTRAP;

		steps += step;
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, event || step ? 0 : WSTOPSIG(status)) < 0)
			die("it can't go on");
	}
	return steps;
}

/* It goes on by itself; left as it was, its next step would be its end. */
static void leave(pid_t pid)
{
	int status;

	over = 0;
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || !stopped(pid, &status) ||
	    ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0)
		die("it can't be left");
}

int main(int argc, char **argv)
{
	struct sigaction end = {.sa_handler = on_end}; /* waits are interrupted */
	uint64_t pid = 0, steps;

	if (argc != 2 || number_parse(argv[1], 1, INT32_MAX, &pid) < 0)
		die("it is started by tests/bench");
	if (sigaction(SIGTERM, &end, NULL) < 0 ||
	    ptrace(PTRACE_SEIZE, (pid_t)pid, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, (pid_t)pid, NULL, NULL) < 0)
		die("it can't be followed");
	printf("begun\n");
	(void)fflush(stdout);
	steps = count((pid_t)pid);
	leave((pid_t)pid);
	printf("%" PRIu64 "\n", steps);
	(void)fflush(stdout);
	return 0;
}

/* Which instructions a thread runs, and how often, for `make bench`: one step at a time, as a
 * debugger does, so that the session is counted as it is, in its sandbox, with its audit. What the
 * kernel does for it is no part of it: a system call is one instruction, and so is a string that is
 * copied or cleared by one. Started by tests/bench alone, as root; trusts the thread.
 *
 *   steps PID     counts from its first line of output until SIGTERM; then prints a line for each
 *                 instruction, its address (hexadecimal) and how often it ran, and for each system
 *                 call, "call", its number and how often; the end is an empty line */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "gateway/base/base.h"
#include "gateway/base/bytes.h"

#define PLACES	   (1u << 16) /* a power of 2; of instructions, most of which are never run */
#define CALLS	   512
#define INSN_CALLS 0x050f /* SYSCALL, as its two octets are read */

static volatile sig_atomic_t over;

static struct place {
	uint64_t at, count;
	bool calls;
} places[PLACES];
static uint64_t calls[CALLS];

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

static struct place *place_of(pid_t pid, uint64_t at)
{
	size_t n = (size_t)(at * 0x9e3779b97f4a7c15u >> 48) & (PLACES - 1), tries = 0;

	for (; places[n].at != at && places[n].count > 0; n = (n + 1) & (PLACES - 1))
		if (++tries == PLACES)
			die("it runs more instructions than there is room for");
	if (places[n].count == 0) {
		errno = 0;
		places[n].at = at;
		places[n].calls = (ptrace(PTRACE_PEEKTEXT, pid, (void *)(uintptr_t)at, NULL) &
				   0xffff) == INSN_CALLS;
		if (errno != 0)
			die("it can't be read");
	}
	return &places[n];
}

/* The instruction that is next. */
static void look(pid_t pid, uint64_t *last)
{
	struct user_regs_struct regs;
	struct place *p;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		die("it can't be looked at");
	if (regs.rip == *last)
		return; /* a string goes on */
	*last = regs.rip;
	p = place_of(pid, regs.rip);
	p->count++;
	if (p->calls && regs.rax < CALLS)
		calls[regs.rax]++;
}

/* Steps until told to end: a thread that sleeps makes none. */
static void count(pid_t pid)
{
	uint64_t last = 0;
	int status;

	while (!over && stopped(pid, &status)) {
		bool event = status >> 16 != 0, step = !event && WSTOPSIG(status) == SIGTRAP;

		if (step)
			look(pid, &last);
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, event || step ? 0 : WSTOPSIG(status)) < 0)
			die("it can't go on");
	}
}

static void print(void)
{
	for (size_t n = 0; n < PLACES; n++)
		if (places[n].count > 0)
			printf("%" PRIx64 " %" PRIu64 "\n", places[n].at, places[n].count);
	for (size_t n = 0; n < CALLS; n++)
		if (calls[n] > 0)
			printf("call %zu %" PRIu64 "\n", n, calls[n]);
	printf("\n");
	(void)fflush(stdout);
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
	uint64_t pid = 0;

	if (argc != 2 || number_parse(argv[1], 1, INT32_MAX, &pid) < 0)
		die("it is started by tests/bench");
	if (sigaction(SIGTERM, &end, NULL) < 0 ||
	    ptrace(PTRACE_SEIZE, (pid_t)pid, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, (pid_t)pid, NULL, NULL) < 0)
		die("it can't be followed");
	printf("begun\n");
	(void)fflush(stdout);
	count((pid_t)pid);
	leave((pid_t)pid);
	print();
	return 0;
}

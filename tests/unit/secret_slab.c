/* The slab: what the kernel says about its pages. */
#include <stdio.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sodium.h>
#include "auth/slab.h"
#include "tests/unit/test.h"

#define SIZE 65536

/* "VmFlags: …" of the mapping that holds p. */
static bool flags_of(const void *p, char *ret_flags, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from = 0, to = 0;
	bool found = false;
	char line[512];

	while (f && !found && fgets(line, sizeof line, f)) {
		(void)sscanf(line, "%lx-%lx ", &from, &to);
		found = strncmp(line, "VmFlags:", 8) == 0 && from <= (uintptr_t)p &&
			(uintptr_t)p < to;
	}
	if (f)
		(void)fclose(f);
	if (found)
		(void)string_copy(ret_flags, size, line);
	return found;
}

static void run_flags(void **state)
{
	char why[256], flags[512] = "";
	struct slab s;

	(void)state;
	if (slab_open(&s, SIZE, SIZE, why, sizeof why) < 0) {
		print_message("no memory can be locked here\n");
		skip();
	}
	assert_true(sodium_is_zero(s.memory, s.size));
	memset(s.memory, 7, s.size);
	assert_true(flags_of(s.memory, flags, sizeof flags));
	assert_non_null(strstr(flags, " lo"));
	assert_non_null(strstr(flags, " dd"));
	assert_non_null(strstr(flags, " dc"));
	slab_close(&s);
	assert_null(s.memory);
	slab_close(&s);
}

/* A forked child is no test: cmocka's handlers would go on with the tests in it. */
static void child_begin(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)signal(signals[i], SIG_DFL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Runs in a child, whose limit can't come back; the child's status is the answer. */
static int child_with_limit(size_t limit, size_t want, size_t least, size_t *ret_size)
{
	int pipe_fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	if (pid == 0) {
		struct rlimit r = {limit, limit};
		struct slab s = {0};
		char why[256] = "";
		int error;

		child_begin();
		if (setrlimit(RLIMIT_MEMLOCK, &r) < 0 ||
		    (geteuid() == 0 && setresuid(65533, 65533, 65533) < 0))
			_exit(99);
		error = slab_open(&s, want, least, why, sizeof why);
		(void)!write(pipe_fds[1], &s.size, sizeof s.size);
		_exit(error == 0 ? 0 : error == -ENOMEM && strstr(why, "LimitMEMLOCK") ? 1 : 2);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(read(pipe_fds[0], ret_size, sizeof *ret_size), sizeof *ret_size);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void run_refused(void **state)
{
	size_t size;

	(void)state;
	assert_int_equal(child_with_limit(0, SIZE, 4096, &size), 1);
	assert_int_equal(size, 0);
}

static void run_smaller(void **state)
{
	size_t size;

	(void)state;
	assert_int_equal(child_with_limit(40 * 1024, SIZE, 4096, &size), 0);
	assert_int_equal(size, SIZE / 2);
}

int main(void)
{
	static struct tests t;

	assert(sodium_init() >= 0);
	tests_add(&t, "P3: secrets are in memory that is locked, not dumped, not inherited",
		  run_flags, NULL);
	tests_add(&t, "P3: no secrets at all where no memory can be locked", run_refused, NULL);
	tests_add(&t, "under a small limit the slab is smaller, and locked", run_smaller, NULL);
	return tests_run(&t, "secret_slab");
}

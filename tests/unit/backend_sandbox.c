/* What an engine still asks of the kernel when the session's sandbox is closed, and what
 * it does where io_uring is not to be had. Each case runs in a process of its own, under
 * a system-call filter that kills. */
#include <seccomp.h>
#include <sys/wait.h>
#include "tests/unit/backend_rig.h"

#if defined(__has_feature)
#define SANITIZED (__has_feature(thread_sanitizer) || __has_feature(address_sanitizer))
#elif defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static struct tests t;

#define ALLOW(name)                            \
	{                                      \
		SCMP_SYS(name), ENGINE_INVALID \
	}

/* backend.h lists the engine's needs; poll, memory and the end are the test's own. */
static const struct {
	int call;
	enum engine_kind only;
} allowed[] = {
	ALLOW(close),
	ALLOW(fstat),
	ALLOW(fstatfs),
	ALLOW(poll),
	ALLOW(brk),
	ALLOW(mmap),
	ALLOW(munmap),
	ALLOW(exit_group),
	ALLOW(fallocate),
	ALLOW(futex),
	ALLOW(read),
	ALLOW(write),
	ALLOW(madvise),
	ALLOW(rt_sigprocmask),
	ALLOW(exit),
	{SCMP_SYS(io_uring_enter), ENGINE_URING},
	{SCMP_SYS(restart_syscall), ENGINE_URING},
	ALLOW(preadv2),
	ALLOW(pwritev2),
	{SCMP_SYS(fdatasync), ENGINE_THREADS},
};

static int filter_close(enum engine_kind kind)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);

	if (!filter || seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) < 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		if ((allowed[i].only == ENGINE_INVALID || allowed[i].only == kind) &&
		    seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i].call, 0) < 0)
			return -EINVAL;
	if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
			     SCMP_A1(SCMP_CMP_EQ, F_GETFL, 0)) < 0)
		return -EINVAL;
	if (kind == ENGINE_URING &&
	    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(io_uring_register), 1,
			     SCMP_A1(SCMP_CMP_EQ, 6, 0)) < 0)
		return -EINVAL;
	return seccomp_load(filter);
}

/* Disks come and go, requests of every kind run. Returns the exit status; 0: all is well. */
static int work(struct rig *rig, int first, int second)
{
	static uint8_t bytes[4096];
	int fds[] = {first, second};

	for (size_t f = 0; f < ARRAY_LEN(fds); f++) {
		struct request q[] = {request_make(IO_WRITE, 0, bytes, sizeof bytes),
				      request_make(IO_READ, 0, bytes, sizeof bytes),
				      request_make(IO_FLUSH, 0, NULL, 0),
				      request_make(IO_DISCARD, 0, NULL, 0)};

		q[0].io.fua = true;
		q[3].io.length = 4096;
		if (backend_open(rig->engine, fds[f], DISK_SIZE, true, &rig->disk) < 0)
			return 2;
		for (size_t i = 0; i < ARRAY_LEN(q); i++)
			if (rig_run(rig, &q[i]) != 0)
				return 3;
		if (backend_check(rig->disk) < 0)
			return 4;
		backend_close(rig->disk);
	}
	engine_close(rig->engine);
	return 0;
}

static const struct row {
	const char *why;
	enum engine_kind kind;
} cases[] = {
	{"P3: behind the filter io_uring needs enter and the table of files alone", ENGINE_URING},
	{"P3: behind the filter threads need to read, write, sync and wait alone", ENGINE_THREADS},
};

static int child_status(pid_t pid)
{
	int status;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		print_error("killed by signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void run_case(void **state)
{
	const struct row *row = *state;
	struct rig rig = {0};
	char name[] = "sandbox-XXXXXX";
	int first, second, r;
	pid_t pid;

	if (SANITIZED) {
		print_message("sanitizers make system calls of their own\n");
		skip();
	}
	first = mkostemp(name, O_CLOEXEC);
	assert_true(first >= 0 && ftruncate(first, DISK_SIZE) == 0);
	second = open(name, O_RDWR | O_CLOEXEC);
	assert_true(second >= 0);
	pid = fork();
	if (pid == 0) {
		if (!rig_engine(&rig, row->kind))
			_exit(77);
		if (filter_close(row->kind) < 0)
			_exit(1);
		_exit(work(&rig, first, second));
	}
	close(first);
	close(second);
	r = child_status(pid);
	assert_int_equal(unlink(name), 0); /* not before: a deleted disk is noticed */
	if (r == 77)
		skip();
	assert_int_equal(r, 0);
}

/* --- where io_uring is switched off --------------------------------------------------------- */

static int without_uring(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	struct rig rig = {0};
	struct engine *e;

	if (!filter ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(io_uring_setup), 0) < 0 ||
	    seccomp_load(filter) < 0)
		return 1;
	if (engine_open(ENGINE_URING, 8, 0, &e) != -EPERM)
		return 2;
	if (!rig_engine(&rig, ENGINE_AUTO) || engine_kind(rig.engine) != ENGINE_THREADS)
		return 3;
	engine_close(rig.engine);
	return 0;
}

static int without_restrictions(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	struct rig rig = {0};
	struct engine *e;

	if (!filter ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(io_uring_register), 1,
			     SCMP_A1(SCMP_CMP_EQ, 11, 0)) < 0 ||
	    seccomp_load(filter) < 0)
		return 1;
	if (engine_open(ENGINE_URING, 8, 0, &e) >= 0)
		return 2;
	if (!rig_engine(&rig, ENGINE_AUTO) || engine_kind(rig.engine) != ENGINE_THREADS)
		return 3;
	engine_close(rig.engine);
	return 0;
}

static const struct {
	const char *why;
	int (*run)(void);
} fallbacks[] = {
	{"without io_uring auto takes threads, and io: uring is an error", without_uring},
	{"P3: a ring that can't be restricted is not used", without_restrictions},
};

static void run_fallback(void **state)
{
	const __typeof__(fallbacks[0]) *row = *state;
	pid_t pid = fork();

	if (pid == 0)
		_exit(row->run());
	assert_int_equal(child_status(pid), 0);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, cases, run_case);
	TESTS_ADD_TABLE(&t, fallbacks, run_fallback);
	return tests_run(&t, "backend_sandbox");
}

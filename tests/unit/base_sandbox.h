/* Trying things in a process whose door is closed. Each attempt is a child of its own: it
 * holds a read-only disk, a read-write disk, a memory disk, a channel and a folder, enters
 * its sandbox, and tries one thing. The calls are raw ones, as an attacker's would be. */
#pragma once

#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "gateway/base/channel.h"
#include "gateway/base/sandbox.h"
#include "tests/unit/test.h"

#define DISK_SIZE 65536

/* What the child holds. */
static struct {
	int disk_ro, disk_rw; /* the same file, two fresh opens */
	int channel, other;   /* a channel, its other end */
	int memory_disk;      /* a memfd: a disk, too */
	int folder;	      /* of the auditor */
	int epoll;
	int ring; /* an io_uring without restrictions, -1: none here */
	char outside[128];
} held;

static char folder_path[] = "/tmp/sallyport-test-XXXXXX";

/* A system call of the attacker: 0 or a count, or a negative errno. */
#define TRY(...) try_result(syscall(__VA_ARGS__))

static inline long try_result(long r)
{
	return r < 0 ? -errno : r;
}

enum want {
	WANT_INVALID,
	ALLOWED,
	KILLED,	 /* by the filter */
	REFUSED, /* with an error, and the process lives */
};

struct attempt {
	const char *why;
	enum sandbox_profile profile;
	long (*run)(void);
	enum want want;
	bool ring; /* needs io_uring to show that the filter stands before it */
	bool landlock;
};

enum { CHILD_DONE = 60, CHILD_REFUSED, CHILD_NO_SANDBOX };

static inline int disk_file(int *ret_again)
{
	char path[160];
	int fd;

	snprintf(path, sizeof path, "%s/disk", folder_path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
	*ret_again = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(*ret_again >= 0);
	return fd;
}

static inline int setup(void **state)
{
	struct io_uring_params p = {0};
	char path[160];
	int pair[2];

	(void)state;
	assert_non_null(mkdtemp(folder_path));
	held.disk_rw = disk_file(&held.disk_ro);
	assert_int_equal(channel_pair(pair), 0);
	held.channel = pair[0];
	held.other = pair[1];
	held.memory_disk = memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(held.memory_disk, DISK_SIZE), 0);
	snprintf(path, sizeof path, "%s/audit", folder_path);
	assert_int_equal(mkdir(path, 0700), 0);
	held.folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(held.outside, sizeof held.outside, "%s/disk", folder_path);
	held.ring = (int)syscall(SYS_io_uring_setup, 4, &p);
	held.epoll = epoll_create1(EPOLL_CLOEXEC);
	return 0;
}

static inline int teardown(void **state)
{
	char path[160];

	(void)state;
	snprintf(path, sizeof path, "%s/audit", folder_path);
	(void)rmdir(path);
	(void)unlink(held.outside);
	return rmdir(folder_path);
}

static inline int enter(enum sandbox_profile profile)
{
	const struct sandbox s = {
		.profile = profile,
		.folder_fd = held.folder,
		.file_size_limit = DISK_SIZE,
		.files_limit = 64,
	};

	return sandbox_enter(&s);
}

static inline NORETURN void child_run(const struct attempt *a)
{
	int layers;
	long r;

	if (process_harden() < 0 || (layers = enter(a->profile)) < 0)
		_exit(CHILD_NO_SANDBOX);
	if (!(layers & SANDBOX_HAS_SECCOMP))
		_exit(CHILD_NO_SANDBOX);
	if (a->landlock && !(layers & SANDBOX_HAS_LANDLOCK_FILES))
		_exit(CHILD_NO_SANDBOX);
	r = a->run();
	_exit(r >= 0 ? CHILD_DONE : CHILD_REFUSED);
}

static inline bool is_sanitized(void)
{
	/* A sanitized build goes without a filter: its layers say so. */
	static int answer = -1;
	int status;
	pid_t pid;

	if (answer >= 0)
		return answer;
	pid = fork();
	if (pid == 0) {
		int layers = enter(SANDBOX_SESSION);

		_exit(layers >= 0 && !(layers & SANDBOX_HAS_SECCOMP) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	answer = WIFEXITED(status) && WEXITSTATUS(status) == 1;
	return answer;
}

static inline bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

static inline void skip_unless_possible(const struct attempt *a)
{
	const char *reason = NULL;

	if (is_sanitized())
		reason = "a build with sanitizers has no system-call filter";
	else if (a->ring && held.ring < 0)
		reason = "no io_uring here";
	else if (a->landlock && !has_landlock())
		reason = "no Landlock in this kernel";
	if (!reason)
		return;
	print_message("%s\n", reason);
	skip();
}

static inline void test_attempt(void **state)
{
	const struct attempt *a = *state;
	int status = 0;
	pid_t pid;

	skip_unless_possible(a);
	pid = fork();
	if (pid == 0)
		child_run(a);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (a->want == KILLED) {
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return;
	}
	if (WIFSIGNALED(status))
		fail_msg("ended by signal %d", WTERMSIG(status));
	assert_int_equal(WEXITSTATUS(status), a->want == ALLOWED ? CHILD_DONE : CHILD_REFUSED);
}

/* Runs check() in a child and asks for its true. */
static inline void in_child(bool (*check)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(check() ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- what more than one kind of process tries ------------------------------------------------ */

static inline long open_a_file(void)
{
	return TRY(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
}

static inline long make_a_socket(void)
{
	return TRY(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static inline long execute(void)
{
	char *const arguments[] = {(char *)(uintptr_t) "true", NULL};

	return TRY(SYS_execve, "/bin/true", arguments, NULL);
}

static inline long make_a_namespace(void)
{
	return TRY(SYS_unshare, CLONE_NEWUSER);
}

static inline long trace_the_parent(void)
{
	return TRY(SYS_ptrace, PTRACE_ATTACH, getppid(), 0, 0);
}

static inline long make_code(void)
{
	return TRY(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static inline long raise_its_limits(void)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	return TRY(SYS_prlimit64, 0, RLIMIT_FSIZE, &limit, NULL);
}

static inline long write_the_disk(void)
{
	char bytes[512] = "x";
	struct iovec iov = {bytes, sizeof bytes};

	if (TRY(SYS_pwritev2, held.disk_rw, &iov, 1, DISK_SIZE - 512, 0, RWF_DSYNC) < 0)
		return -errno;
	return TRY(SYS_fdatasync, held.disk_rw);
}

static inline long use_memory(void)
{
	char *volatile small = malloc(100), *volatile large = malloc(8u << 20);
	bool ok = small && large;

	if (ok)
		memset(large, 1, 8u << 20);
	free(large);
	free(small);
	return ok ? 0 : -ENOMEM;
}

static inline long unlink_a_file(void)
{
	return TRY(SYS_unlinkat, AT_FDCWD, held.outside, 0);
}

static const struct message_spec greetings[] = {{1, "GREETING", 4, 1, false}};

static inline long use_a_channel(void)
{
	struct channel here, there;
	struct message m;
	uint32_t body = 7;
	int r;

	channel_open(&here, held.channel, greetings, ARRAY_LEN(greetings));
	channel_open(&there, held.other, greetings, ARRAY_LEN(greetings));
	if ((r = channel_send(&there, 1, &body, sizeof body, &held.memory_disk, 1)) < 0 ||
	    (r = channel_receive(&here, &m)) != 1)
		return r;
	message_close_fds(&m);
	return 0;
}

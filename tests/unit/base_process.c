/* What a started process has, and what it has not. This program starts itself: with
 * "internal ROLE" it is the child, runs the role's probe and sends the answer, one
 * octet, over descriptor 3. */
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "gateway/base/process.h"
#include "tests/unit/test.h"

#define OTHER_UID 65533
#define OTHER_GID 65532

static const char *probe_argument; /* in the child */
extern char **environ;

/* The probes, in the child. true: as it should be. */

static bool probe_arguments(void)
{
	return probe_argument && strcmp(probe_argument, "an argument") == 0;
}

static bool probe_environment(void)
{
	return environ == NULL || environ[0] == NULL;
}

static bool probe_fds(void)
{
	return process_fds_are(1) && !process_fds_are(2) && !process_fds_are(0);
}

static bool is_null(int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat("/dev/null", &b) == 0 && a.st_rdev == b.st_rdev;
}

static bool probe_null(void)
{
	return is_null(0) && is_null(1) && fcntl(2, F_GETFD) >= 0;
}

static bool probe_signals(void)
{
	struct sigaction a, b, c;
	sigset_t set;

	sigprocmask(SIG_SETMASK, NULL, &set);
	sigaction(SIGPIPE, NULL, &a);
	sigaction(SIGTERM, NULL, &b);
	sigaction(SIGUSR1, NULL, &c);
	return !sigismember(&set, SIGTERM) && !sigismember(&set, SIGUSR2) &&
	       a.sa_handler == SIG_DFL && b.sa_handler == SIG_DFL && c.sa_handler == SIG_DFL;
}

static bool probe_group(void)
{
	return getsid(0) == getpid() && getpgid(0) == getpid();
}

static bool probe_death(void)
{
	int signal = 0;

	return prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) == 0 && signal == SIGKILL;
}

static bool probe_user(void)
{
	gid_t groups[1];
	uid_t r, e, s;

	return getresuid(&r, &e, &s) == 0 && r == OTHER_UID && e == OTHER_UID && s == OTHER_UID &&
	       getgid() == OTHER_GID && getegid() == OTHER_GID && getgroups(1, groups) == 0 &&
	       setresuid(0, 0, 0) < 0 && setgid(0) < 0;
}

static bool probe_no_capability(void)
{
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			return false;
	return setuid(0) < 0;
}

static bool probe_capability(void)
{
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_BIND_SERVICE, 0, 0) == 1 &&
	       prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_ADMIN, 0, 0) == 0 &&
	       setuid(0) < 0;
}

static bool probe_same_user(void)
{
	return getuid() != OTHER_UID;
}

static bool probe_name(void)
{
	return true; /* main() has checked argv[0] */
}

static const struct probe {
	const char *why, *role;
	bool (*run)(void);
	struct child child; /* what is special about it */
	bool root;	    /* only root can try */
} probes[] = {
	{"a child gets its role and its argument", "arguments", probe_arguments, {0}, false},
	{"a child gets the name of its program", "name", probe_name, {0}, false},
	{"P3: a child's environment is empty", "environment", probe_environment, {0}, false},
	{"P3: a child has the descriptors it was given and no others",
	 "fds",
	 probe_fds,
	 {0},
	 false},
	{"a child's input and output are /dev/null", "null", probe_null, {0}, false},
	{"a child starts with no signal blocked, ignored or handled",
	 "signals",
	 probe_signals,
	 {0},
	 false},
	{"Ctrl-C at the terminal does not reach a child", "group", probe_group, {0}, false},
	{"a child asks to die with its parent",
	 "death",
	 probe_death,
	 {.dies_with_parent = true},
	 false},
	{"P3: a child becomes its user for good, without groups",
	 "user",
	 probe_user,
	 {.uid = OTHER_UID, .gid = OTHER_GID},
	 true},
	{"a child still dies with its parent when it changed its user",
	 "death",
	 probe_death,
	 {.uid = OTHER_UID, .gid = OTHER_GID, .dies_with_parent = true},
	 true},
	{"P3: a child of another user keeps no capability",
	 "no-capability",
	 probe_no_capability,
	 {.uid = OTHER_UID, .gid = OTHER_GID},
	 true},
	{"a child keeps the one capability that it was given",
	 "capability",
	 probe_capability,
	 {.uid = OTHER_UID, .gid = OTHER_GID, .keep_caps = 1ull << CAP_NET_BIND_SERVICE},
	 true},
	{"without a user to change to, the user stays", "same-user", probe_same_user, {0}, false},
};

static NORETURN void child_main(int argc, char **argv)
{
	char answer = 'n';

	probe_argument = argc > 3 ? argv[3] : NULL;
	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		if (strcmp(probes[i].role, argv[2]) == 0)
			answer = probes[i].run() ? 'y' : 'n';
	if (strcmp(argv[0], "base_process") != 0)
		answer = 'n';
	if (strcmp(argv[2], "forever") == 0) {
		(void)!write(PROCESS_FD_FIRST, "y", 1);
		for (;;)
			pause();
	}
	(void)!write(PROCESS_FD_FIRST, &answer, 1);
	_exit(answer == 'y' ? 0 : 1);
}

static int program_self(void)
{
	int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static char answer_read(int fd)
{
	char answer = 0;

	assert_int_equal(read(fd, &answer, 1), 1);
	return answer;
}

static void child_over(pid_t pid, int pidfd, int want_status)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int status = 0;

	assert_int_equal(poll(&p, 1, 30000), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, want_status);
	close(pidfd);
}

/* What is ours, and would not be as it was if a child had changed it before its exec. */
struct own {
	uid_t uids[3];
	gid_t gids[3];
	int groups, death, keeps_caps;
	pid_t sid;
	struct __user_cap_data_struct caps[2];
	uintptr_t at_pipe;
	uint64_t blocked;
};

static void own_take(struct own *ret)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct sigaction at_pipe;
	sigset_t blocked;

	memset(ret, 0, sizeof *ret);
	assert_int_equal(getresuid(&ret->uids[0], &ret->uids[1], &ret->uids[2]), 0);
	assert_int_equal(getresgid(&ret->gids[0], &ret->gids[1], &ret->gids[2]), 0);
	ret->groups = getgroups(0, NULL);
	assert_int_equal(prctl(PR_GET_PDEATHSIG, &ret->death, 0, 0, 0), 0);
	ret->keeps_caps = prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0);
	ret->sid = getsid(0);
	assert_int_equal(syscall(SYS_capget, &header, ret->caps), 0);
	assert_int_equal(sigaction(SIGPIPE, NULL, &at_pipe), 0);
	ret->at_pipe = (uintptr_t)at_pipe.sa_handler;
	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &blocked), 0);
	memcpy(&ret->blocked, &blocked, sizeof ret->blocked);
}

static void test_probe(void **state)
{
	const struct probe *row = *state;
	struct child child = row->child;
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct own before, after;
	int pair[2], pidfd = -1;
	sigset_t set;
	pid_t pid;

	if (row->root && geteuid() != 0) {
		print_message("needs root, to become another user\n");
		skip();
	}
	assert_int_equal(sigaction(SIGPIPE, &ignore, NULL), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	assert_int_equal(setenv("LD_PRELOAD_TEST", "1", 1), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0); /* not close-on-exec */
	child.role = row->role;
	child.argument = "an argument";
	child.program = program_self();
	child.fds[0] = pair[1];
	child.fd_count = 1;
	own_take(&before);
	pid = child_start(&child, &pidfd);
	own_take(&after);
	assert_true(pid > 0);
	assert_memory_equal(&before, &after, sizeof before);
	close(pair[1]);
	assert_int_equal(answer_read(pair[0]), 'y');
	child_over(pid, pidfd, 0);
	close(pair[0]);
	close(child.program);
}

/* Whoever has the numbers 3, 4, … already, each descriptor arrives at its own place. */
static void test_fds_in_order(void **state)
{
	struct child child = {.role = "forever",
			      .program = program_self(),
			      .fd_count = 3,
			      .dies_with_parent = true};
	int pair[2], others[2], pidfd = -1;
	char path[64], a[64] = "", b[64] = "";
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(others, O_CLOEXEC), 0);
	child.fds[0] = pair[1];
	child.fds[1] = others[0];
	child.fds[2] = others[1];
	pid = child_start(&child, &pidfd);
	assert_true(pid > 0);
	assert_int_equal(answer_read(pair[0]), 'y');
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, PROCESS_FD_FIRST + i);
		assert_true(readlink(path, a, sizeof a - 1) > 0);
		snprintf(path, sizeof path, "/proc/self/fd/%d", child.fds[i]);
		assert_true(readlink(path, b, sizeof b - 1) > 0);
		assert_string_equal(a, b);
		memset(a, 0, sizeof a);
		memset(b, 0, sizeof b);
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	child_over(pid, pidfd, SIGKILL);
	close(pair[0]);
	close(pair[1]);
	close(others[0]);
	close(others[1]);
	close(child.program);
}

static void test_exec_fails(void **state)
{
	struct child child = {.role = "fds"};
	char text[] = "/tmp/sallyport-test-XXXXXX";
	int fd = mkstemp(text), pidfd = -1;

	(void)state;
	assert_int_equal(write(fd, "no program", 10), 10);
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
	child.program = open(text, O_PATH | O_CLOEXEC);
	assert_int_equal(child_start(&child, &pidfd), -ENOEXEC);
	close(child.program);
	assert_int_equal(unlink(text), 0);
	child.program = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(child_start(&child, &pidfd), -EACCES);
	close(child.program);
	child.program = program_self();
	child.fds[0] = 999;
	child.fd_count = 1;
	assert_int_equal(child_start(&child, &pidfd), -EBADF);
	close(child.program);
	assert_int_equal(pidfd, -1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* none is left behind */
}

static void test_parent_dies(void **state)
{
	struct child child = {.role = "forever",
			      .program = program_self(),
			      .fd_count = 1,
			      .dies_with_parent = true};
	struct pollfd p = {.events = POLLIN};
	int pair[2], pidfd, status;
	pid_t middle;
	char c;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	child.fds[0] = pair[1];
	middle = fork();
	if (middle == 0) {
		close(pair[0]);
		if (child_start(&child, &pidfd) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	close(pair[1]);
	assert_int_equal(answer_read(pair[0]), 'y');
	assert_int_equal(kill(middle, SIGKILL), 0);
	p.fd = pair[0];
	assert_int_equal(poll(&p, 1, 30000), 1); /* the grandchild's end closes with it */
	assert_int_equal(read(pair[0], &c, 1), 0);
	assert_int_equal(waitpid(middle, &status, 0), middle);
	close(pair[0]);
	close(child.program);
}

static void test_user_find(void **state)
{
	uid_t uid = 99;
	gid_t gid = 99;

	(void)state;
	assert_int_equal(user_find("root", &uid, &gid), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(gid, 0);
	uid = 99;
	assert_int_equal(user_find("no such user", &uid, &gid), -ENOENT);
	assert_int_equal(uid, 99);
}

static void file_copy_of_self(const char *path)
{
	char command[512];
	ssize_t len = readlink("/proc/self/exe", command, sizeof command - 1);
	int in, out;
	ssize_t n;

	assert_true(len > 0);
	in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, command, sizeof command)) > 0)
		assert_int_equal(write(out, command, (size_t)n), n);
	close(in);
	close(out);
}

/* Runs `folder`/sallyport, a copy of this program, which tries programs_open(). */
static int programs_in(const char *folder)
{
	char path[256], result[64];
	int status;
	pid_t pid;

	snprintf(path, sizeof path, "%s/bin/sallyport", folder);
	snprintf(result, sizeof result, "programs");
	pid = fork();
	if (pid == 0) {
		execl(path, "sallyport", result, NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_programs(void **state)
{
	static const char *const folders[] = {"bin", "libexec", "libexec/sallyport"};
	static const char *const places[] = {"bin", "libexec/sallyport"};
	static const char *const names[] = {"sallyport-session", "sallyport-session-tls"};
	char root[] = "/tmp/sallyport-test-XXXXXX", path[256];

	(void)state;
	assert_non_null(mkdtemp(root));
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		snprintf(path, sizeof path, "%s/%s", root, folders[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	snprintf(path, sizeof path, "%s/bin/sallyport", root);
	file_copy_of_self(path);
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			assert_int_equal(programs_in(root), ENOENT);
			snprintf(path, sizeof path, "%s/%s/%s", root, places[i], names[k]);
			close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
			assert_int_equal(programs_in(root), EACCES);
			assert_int_equal(chmod(path, 0755), 0);
		}
		assert_int_equal(programs_in(root), 0);
		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			snprintf(path, sizeof path, "%s/%s/%s", root, places[i], names[k]);
			assert_int_equal(unlink(path), 0);
		}
	}
	snprintf(path, sizeof path, "%s/bin/sallyport", root);
	assert_int_equal(unlink(path), 0);
	for (size_t i = ARRAY_LEN(folders); i-- > 0;) {
		snprintf(path, sizeof path, "%s/%s", root, folders[i]);
		assert_int_equal(rmdir(path), 0);
	}
	assert_int_equal(rmdir(root), 0);
}

int main(int argc, char **argv)
{
	static struct tests t;
	struct programs programs;

	if (argc > 2 && strcmp(argv[1], "internal") == 0)
		child_main(argc, argv);
	if (argc > 1 && strcmp(argv[1], "programs") == 0)
		_exit(-programs_open(&programs));
	TESTS_ADD_TABLE(&t, probes, test_probe);
	tests_add(&t, "descriptors arrive in the order they were given", test_fds_in_order, NULL);
	tests_add(&t, "an exec that fails is told by child_start()", test_exec_fails, NULL);
	tests_add(&t, "P4: a child dies with its parent", test_parent_dies, NULL);
	tests_add(&t, "the session program is beside ours or in ../libexec/sallyport",
		  test_programs, NULL);
	tests_add(&t, "users are found in /etc/passwd", test_user_find, NULL);
	return tests_run(&t, "process");
}

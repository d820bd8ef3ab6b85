/* Starting our own processes, afresh: from a descriptor of the program, without an
 * environment, with the descriptors they are given and nothing else. Runs in the
 * monitor; the few steps before the exec run in the child, which has our memory until
 * then: there they make system calls and change nothing but variables of their own.
 * Trusts its callers. */
#include "gateway/base/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "gateway/base/bytes.h"
#include "gateway/base/log.h"

#define FOR_SESSIONS "../libexec/sallyport"
/* Descriptors are parked from here on while 0 to 3 + PROCESS_FDS_MAX - 1 are laid out. */
#define PARKING	    (PROCESS_FD_FIRST + PROCESS_FDS_MAX)
#define CHILD_STACK (64u << 10) /* octets, until its exec */

/* TSan takes each clone() for a fork(), and has to be right. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define OUR_MEMORY 0
#endif
#endif
#ifndef OUR_MEMORY
#define OUR_MEMORY CLONE_VM
#endif

static int program_open(int folder, const char *path)
{
	OWNED_FD fd = openat(folder, path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return -EACCES;
	return fd_take(&fd);
}

/* The text of /proc/self/… links; -ENAMETOOLONG when it does not fit. */
static int link_read(const char *path, char ret[PATH_MAX])
{
	ssize_t len = readlink(path, ret, PATH_MAX);

	if (len < 0)
		return -errno;
	if (len == PATH_MAX)
		return -ENAMETOOLONG;
	ret[len] = '\0';
	return 0;
}

/* Beside our own program, whose folder this is, or where `make install` puts it. */
static int program_find(int folder, const char *folder_path, const char *name)
{
	char path[64];
	int fd = program_open(folder, name);

	(void)snprintf(path, sizeof path, FOR_SESSIONS "/%s", name);
	if (fd == -ENOENT)
		fd = program_open(folder, path);
	if (fd < 0)
		log_error("can't open the program for sessions, neither %s/%s nor %s/" FOR_SESSIONS
			  "/%s: %s; install it beside this one, or run 'make install'",
			  folder_path, name, folder_path, name, strerror(-fd));
	return fd;
}

void programs_close(struct programs *p)
{
	fd_close(&p->self);
	fd_close(&p->session);
	fd_close(&p->session_tls);
}

int programs_open(struct programs *ret_programs)
{
	char path[PATH_MAX];
	OWNED_FD
	self = program_open(AT_FDCWD, "/proc/self/exe");
	OWNED_FD
	folder = -1, session = -1, session_tls = -1;
	char *slash;
	int r;

	r = self < 0 ? self : link_read("/proc/self/exe", path);
	if (r < 0) {
		log_error("can't open our own program through /proc/self/exe: %s; is /proc "
			  "mounted?",
			  strerror(-r));
		return r;
	}
	slash = strrchr(path, '/');
	slash[slash == path] = '\0'; /* of "/sallyport" the folder is "/" */
	folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if ((session = program_find(folder, path, "sallyport-session")) < 0)
		return session;
	if ((session_tls = program_find(folder, path, "sallyport-session-tls")) < 0)
		return session_tls;
	*ret_programs = (struct programs){.self = fd_take(&self),
					  .session = fd_take(&session),
					  .session_tls = fd_take(&session_tls)};
	return 0;
}

/* Moves *fd above those that the child will have, so that laying these out overwrites none. */
static int fd_park(int *fd)
{
	int parked = fcntl(*fd, F_DUPFD_CLOEXEC, PARKING);

	if (parked < 0)
		return -errno;
	*fd = parked;
	return 0;
}

/* 0 and 1: /dev/null. 2: ours, or /dev/null when we have none. 3 and up: those given. All others
 * are closed by the exec. */
static int child_fds(struct child *c, int *report)
{
	int null, r;

	if ((r = fd_park(report)) < 0 || (r = fd_park(&c->program)) < 0)
		return r;
	for (size_t i = 0; i < c->fd_count; i++)
		if ((r = fd_park(&c->fds[i])) < 0)
			return r;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || (r = fd_park(&null)) < 0)
		return null < 0 ? -errno : r;
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0)
		return -errno;
	if (fcntl(2, F_GETFD) < 0 && dup2(null, 2) < 0)
		return -errno;
	for (size_t i = 0; i < c->fd_count; i++)
		if (dup2(c->fds[i], PROCESS_FD_FIRST + (int)i) < 0)
			return -errno;
	if (close_range(PROCESS_FD_FIRST + (unsigned)c->fd_count, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	return 0;
}

static int child_signals(void)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &standard, NULL); /* SIGKILL and SIGSTOP refuse */
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

static int child_user(const struct child *c)
{
	if (geteuid() != 0 || c->uid == 0)
		return 0;
	/* Not libc's: these would change all threads that they find in the memory. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || syscall(SYS_setgroups, 0, NULL) < 0 ||
	    syscall(SYS_setresgid, c->gid, c->gid, c->gid) < 0 ||
	    syscall(SYS_setresuid, c->uid, c->uid, c->uid) < 0)
		return -errno;
	/* The kernel has set what /proc/sys/fs/suid_dumpable says. Nobody else's debugger. */
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

/* Of what we have, exactly `keep` outlives the exec. Under systemd we may have ambient
 * capabilities ourselves: those that are not kept must not get through. */
static int child_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* The exec gives uid 0 all of the bounding set again, and what has more capabilities after
	 * an exec than before loses its parent-death signal. */
	if (geteuid() == 0)
		return 0;
	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	for (unsigned i = 0; i < 2; i++) {
		uint32_t kept = data[i].permitted & (uint32_t)(keep >> 32 * i);

		data[i] = (struct __user_cap_data_struct){kept, kept, kept};
	}
	keep = data[0].permitted | (uint64_t)data[1].permitted << 32;
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	for (unsigned long cap = 0; cap < 64; cap++)
		if ((keep >> cap & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -errno;
	return 0;
}

/* After the change of user, which resets it. */
static int child_death(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	if (getppid() != parent)
		return -ESRCH; /* it died before we asked to be told */
	return 0;
}

static int child_exec(struct child *c, pid_t parent, int *report)
{
	char *const no_environment[] = {NULL};
	char link[64], name[PATH_MAX];
	char *argv[5] = {name, "internal", (char *)(uintptr_t)c->role,
			 (char *)(uintptr_t)c->argument, NULL};
	char *slash;
	int r;

	if (setsid() < 0) /* Ctrl-C at the terminal reaches the monitor alone */
		return -errno;
	if ((r = child_fds(c, report)) < 0 || (r = child_signals()) < 0 ||
	    (r = child_user(c)) < 0 || (r = child_capabilities(c->keep_caps)) < 0)
		return r;
	if (c->dies_with_parent && (r = child_death(parent)) < 0)
		return r;
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", c->program);
	if ((r = link_read(link, name)) < 0)
		return r;
	slash = strrchr(name, '/');
	argv[0] = slash ? slash + 1 : name;
	argv[0][strcspn(argv[0], " ")] = '\0'; /* " (deleted)", after an upgrade of the file */
	execveat(c->program, "", argv, no_environment, AT_EMPTY_PATH);
	return -errno;
}

/* What the child says before its exec: an error, or nothing when the exec closed the pipe. */
static int child_result(int report)
{
	int error;
	ssize_t got;

	do
		got = read(report, &error, sizeof error);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return got == (ssize_t)sizeof error ? error : 0;
}

struct launch {
	struct child child;
	pid_t parent;
	int report;
};

/* The child's half: returns when there was no exec. */
static int child_run(void *arg)
{
	struct launch *l = arg;
	int r = child_exec(&l->child, l->parent, &l->report);

	(void)!write(l->report, &r, sizeof r);
	return 127;
}

/* We wait until its exec. A copy of our memory would be thrown away by that, and takes the longer
 * the more sessions and policy there are. */
static pid_t child_launch(const struct child *child, int report)
{
	struct launch l = {.child = *child, .parent = getpid(), .report = report};
	char *stack = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	sigset_t all, before;
	pid_t pid;

	if (stack == MAP_FAILED)
		return -errno;
	/* No handler of ours runs in the child. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = clone(child_run, stack + CHILD_STACK, OUR_MEMORY | CLONE_VFORK | SIGCHLD, &l);
	if (pid < 0)
		pid = -errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	(void)munmap(stack, CHILD_STACK);
	return pid;
}

pid_t child_start(const struct child *child, int *ret_pidfd)
{
	OWNED_FD
	report_read = -1, report_write = -1, pidfd = -1;
	int fds[2], r;
	pid_t pid;

	assert(child->fd_count <= PROCESS_FDS_MAX);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	report_read = fds[0];
	report_write = fds[1];
	pid = child_launch(child, report_write);
	if (pid < 0)
		return pid;
	fd_close(&report_write);
	r = child_result(report_read);
	pidfd = pidfd_open(pid, 0);
	if (r == 0 && pidfd < 0) {
		r = -errno;
		(void)kill(pid, SIGKILL);
	}
	if (r < 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return r;
	}
	*ret_pidfd = fd_take(&pidfd);
	return pid;
}

bool process_fds_are(size_t n)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	size_t given = 0;
	bool beyond = false;

	if (!folder)
		return false;
	while ((entry = readdir(folder))) {
		uint64_t fd;

		if (number_parse(entry->d_name, 0, INT_MAX, &fd) < 0 || (int)fd == dirfd(folder) ||
		    fd < PROCESS_FD_FIRST)
			continue;
		if (fd < PROCESS_FD_FIRST + n)
			given++;
		else
			beyond = true;
	}
	closedir(folder);
	return given == n && !beyond;
}

int user_find(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
	/* Not getpwnam(): its modules would bring the network into the monitor. */
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *p;
	int r = -ENOENT;

	if (!file)
		return -errno;
	while ((p = fgetpwent(file))) {
		if (strcmp(p->pw_name, name) != 0)
			continue;
		*ret_uid = p->pw_uid;
		*ret_gid = p->pw_gid;
		r = 0;
		break;
	}
	(void)fclose(file);
	return r;
}

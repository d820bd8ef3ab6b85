/* What a session that was taken over can still do once its door is closed, and what an
 * honest one must be able to. */
#include <arpa/inet.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <sys/un.h>
#include "gateway/base/fd.h"
#include "tests/unit/base_sandbox.h"

/* --- what a session can't ----------------------------------------------------------------- */

static long open_the_disk_again(void)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d", held.disk_ro);
	return TRY(SYS_openat, AT_FDCWD, path, O_RDWR, 0);
}

static long make_a_socket_pair(void)
{
	int fds[2];

	return TRY(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds);
}

static long connect_somewhere(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};

	return TRY(SYS_connect, held.channel, &to, sizeof to);
}

static long send_to_an_address(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/run/x"};

	return TRY(SYS_sendto, held.channel, "x", 1, 0, &to, sizeof to);
}

static long listen_for_others(void)
{
	return TRY(SYS_listen, held.channel, 1);
}

static long accept_others(void)
{
	return TRY(SYS_accept4, held.channel, NULL, NULL, 0);
}

static long execute_what_it_holds(void)
{
	char *const arguments[] = {(char *)(uintptr_t) "x", NULL};

	return TRY(SYS_execveat, held.disk_ro, "", arguments, NULL, AT_EMPTY_PATH);
}

static long fork_itself(void)
{
	return TRY(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long read_anothers_memory(void)
{
	char c;
	struct iovec here = {&c, 1}, there = {&held, 1};

	return TRY(SYS_process_vm_readv, syscall(SYS_getpid), &here, 1, &there, 1, 0);
}

static long kill_the_parent(void)
{
	return TRY(SYS_kill, 1, 0);
}

static long signal_another(void)
{
	return TRY(SYS_tgkill, 1, 1, 0);
}

static long grow_by_writing(void)
{
	return TRY(SYS_pwrite64, held.disk_rw, "x", 1, DISK_SIZE);
}

static long grow_a_memory_disk(void)
{
	return TRY(SYS_pwrite64, held.memory_disk, "x", 1, DISK_SIZE);
}

static long grow_by_truncating(void)
{
	return TRY(SYS_ftruncate, held.disk_rw, 2 * DISK_SIZE);
}

static long shrink(void)
{
	return TRY(SYS_ftruncate, held.disk_rw, 0);
}

static long grow_by_allocating(void)
{
	return TRY(SYS_fallocate, held.disk_rw, 0, 0, 2 * DISK_SIZE);
}

static long allocate_behind_the_end(void)
{
	return TRY(SYS_fallocate, held.disk_rw, FALLOC_FL_KEEP_SIZE, 0, 2 * DISK_SIZE);
}

static long collapse(void)
{
	return TRY(SYS_fallocate, held.disk_rw, FALLOC_FL_COLLAPSE_RANGE, 0, 4096);
}

static long write_to_a_read_only_disk(void)
{
	return TRY(SYS_pwrite64, held.disk_ro, "x", 1, 0);
}

static long map_the_disk(void)
{
	return TRY(SYS_mmap, 0, DISK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, held.disk_rw, 0);
}

static long map_a_memory_disk(void)
{
	return TRY(SYS_mmap, 0, DISK_SIZE, PROT_READ, MAP_PRIVATE, held.memory_disk, 0);
}

static long turn_data_into_code(void)
{
	static char page[8192] __attribute__((aligned(4096)));

	return TRY(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
}

static long change_flags(void)
{
	return TRY(SYS_fcntl, held.disk_rw, F_SETFL, O_APPEND);
}

static long lock_the_disk(void)
{
	return TRY(SYS_flock, held.disk_rw, LOCK_EX | LOCK_NB);
}

static long lock_a_range(void)
{
	struct flock lock = {.l_type = F_WRLCK};

	return TRY(SYS_fcntl, held.disk_rw, F_OFD_SETLK, &lock);
}

static long seal_a_memory_disk(void)
{
	return TRY(SYS_fcntl, held.memory_disk, F_ADD_SEALS, F_SEAL_WRITE);
}

static long duplicate(void)
{
	return TRY(SYS_dup, held.disk_rw);
}

static long change_the_mode(void)
{
	return TRY(SYS_fchmod, held.disk_rw, 0777);
}

static long ask_a_device(void)
{
	return TRY(SYS_ioctl, held.disk_rw, 0x127f, 0);
}

static long make_a_ring(void)
{
	struct io_uring_params p = {0};

	return TRY(SYS_io_uring_setup, 4, &p);
}

static long register_buffers(void)
{
	char c;
	struct iovec iov = {&c, 1};

	return TRY(SYS_io_uring_register, held.ring, IORING_REGISTER_BUFFERS, &iov, 1);
}

static long register_files(void)
{
	return TRY(SYS_io_uring_register, held.ring, IORING_REGISTER_FILES, &held.disk_rw, 1);
}

static long be_dumpable(void)
{
	return TRY(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long outlive_the_parent(void)
{
	return TRY(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0);
}

static long become_root(void)
{
	return TRY(SYS_setuid, 0);
}

static long another_filter(void)
{
	return TRY(SYS_seccomp, 0, 0, NULL);
}

static long call_as_x32(void)
{
	return TRY(0x40000000 + SYS_getpid);
}

/* --- what it can ---------------------------------------------------------------------------- */

static long read_the_disk(void)
{
	char bytes[512];
	struct iovec iov = {bytes, sizeof bytes};

	if (TRY(SYS_preadv2, held.disk_ro, &iov, 1, 0, 0, 0) != sizeof bytes)
		return -errno;
	return TRY(SYS_pread64, held.disk_rw, bytes, sizeof bytes, DISK_SIZE - 512);
}

static long punch_a_hole(void)
{
	return TRY(SYS_fallocate, held.memory_disk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		   4096);
}

static long use_the_loop(void)
{
	struct epoll_event e = {.events = EPOLLOUT};

	if (epoll_ctl(held.epoll, EPOLL_CTL_ADD, held.channel, &e) < 0)
		return -errno;
	return epoll_wait(held.epoll, &e, 1, 0) == 1 ? 0 : -EIO;
}

static long get_random(void)
{
	char c[32];

	return TRY(SYS_getrandom, c, sizeof c, 0);
}

static long read_seals(void)
{
	return fd_is_sealed(held.memory_disk) ? -EIO : 0;
}

/* --- the rows --- */

#define CANT(what) "P3: a session can't " what

static const struct attempt attempts[] = {
	{CANT("open a file"), SANDBOX_SESSION, open_a_file, KILLED, 0, 0},
	{CANT("open its read-only disk for writing"), SANDBOX_SESSION, open_the_disk_again, KILLED,
	 0, 0},
	{CANT("make a socket"), SANDBOX_SESSION, make_a_socket, KILLED, 0, 0},
	{CANT("make a socket pair"), SANDBOX_SESSION, make_a_socket_pair, KILLED, 0, 0},
	{CANT("connect"), SANDBOX_SESSION, connect_somewhere, KILLED, 0, 0},
	{CANT("send to an address"), SANDBOX_SESSION, send_to_an_address, KILLED, 0, 0},
	{CANT("listen"), SANDBOX_SESSION, listen_for_others, KILLED, 0, 0},
	{CANT("accept"), SANDBOX_SESSION, accept_others, KILLED, 0, 0},
	{CANT("execute a program"), SANDBOX_SESSION, execute, KILLED, 0, 0},
	{CANT("execute what it holds"), SANDBOX_SESSION, execute_what_it_holds, KILLED, 0, 0},
	{CANT("fork"), SANDBOX_SESSION, fork_itself, KILLED, 0, 0},
	{CANT("make a namespace"), SANDBOX_SESSION, make_a_namespace, KILLED, 0, 0},
	{CANT("trace another process"), SANDBOX_SESSION, trace_the_parent, KILLED, 0, 0},
	{CANT("read another's memory"), SANDBOX_SESSION, read_anothers_memory, KILLED, 0, 0},
	{CANT("kill"), SANDBOX_SESSION, kill_the_parent, KILLED, 0, 0},
	{CANT("signal another process"), SANDBOX_SESSION, signal_another, KILLED, 0, 0},
	{CANT("grow its disk by writing"), SANDBOX_SESSION, grow_by_writing, REFUSED, 0, 0},
	{CANT("grow a memory disk by writing"), SANDBOX_SESSION, grow_a_memory_disk, REFUSED, 0, 0},
	{CANT("grow its disk by truncating"), SANDBOX_SESSION, grow_by_truncating, KILLED, 0, 0},
	{CANT("shrink its disk"), SANDBOX_SESSION, shrink, KILLED, 0, 0},
	{CANT("grow its disk by allocating"), SANDBOX_SESSION, grow_by_allocating, KILLED, 0, 0},
	{CANT("allocate behind its disk's end"), SANDBOX_SESSION, allocate_behind_the_end, KILLED,
	 0, 0},
	{CANT("take a range out of its disk"), SANDBOX_SESSION, collapse, KILLED, 0, 0},
	{CANT("write to a read-only disk"), SANDBOX_SESSION, write_to_a_read_only_disk, REFUSED, 0,
	 0},
	{CANT("map its disk"), SANDBOX_SESSION, map_the_disk, KILLED, 0, 0},
	{CANT("map a memory disk"), SANDBOX_SESSION, map_a_memory_disk, KILLED, 0, 0},
	{CANT("make code"), SANDBOX_SESSION, make_code, KILLED, 0, 0},
	{CANT("turn data into code"), SANDBOX_SESSION, turn_data_into_code, KILLED, 0, 0},
	{CANT("change a disk's flags"), SANDBOX_SESSION, change_flags, KILLED, 0, 0},
	{CANT("lock a disk"), SANDBOX_SESSION, lock_the_disk, KILLED, 0, 0},
	{CANT("lock a range of a disk"), SANDBOX_SESSION, lock_a_range, KILLED, 0, 0},
	{CANT("seal a memory disk"), SANDBOX_SESSION, seal_a_memory_disk, KILLED, 0, 0},
	{CANT("duplicate a descriptor"), SANDBOX_SESSION, duplicate, KILLED, 0, 0},
	{CANT("change a disk's mode"), SANDBOX_SESSION, change_the_mode, KILLED, 0, 0},
	{CANT("talk to a device's driver"), SANDBOX_SESSION, ask_a_device, KILLED, 0, 0},
	{CANT("make another ring"), SANDBOX_SESSION, make_a_ring, KILLED, 0, 0},
	{CANT("register buffers with its ring"), SANDBOX_SESSION, register_buffers, KILLED, 1, 0},
	{CANT("replace its ring's table of files"), SANDBOX_SESSION, register_files, KILLED, 1, 0},
	{CANT("become dumpable"), SANDBOX_SESSION, be_dumpable, KILLED, 0, 0},
	{CANT("outlive the monitor"), SANDBOX_SESSION, outlive_the_parent, KILLED, 0, 0},
	{CANT("become root"), SANDBOX_SESSION, become_root, KILLED, 0, 0},
	{CANT("raise its limits"), SANDBOX_SESSION, raise_its_limits, KILLED, 0, 0},
	{CANT("change its filter"), SANDBOX_SESSION, another_filter, KILLED, 0, 0},
	{CANT("remove a file"), SANDBOX_SESSION, unlink_a_file, KILLED, 0, 0},
#ifdef __x86_64__
	{CANT("pass the filter by another call convention"), SANDBOX_SESSION, call_as_x32, KILLED,
	 0, 0},
#endif
	{"a session reads its disks", SANDBOX_SESSION, read_the_disk, ALLOWED, 0, 0},
	{"a session writes within its disk", SANDBOX_SESSION, write_the_disk, ALLOWED, 0, 0},
	{"a session unmaps within its disk", SANDBOX_SESSION, punch_a_hole, ALLOWED, 0, 0},
	{"a session has memory", SANDBOX_SESSION, use_memory, ALLOWED, 0, 0},
	{"a session gets descriptors through its channel", SANDBOX_SESSION, use_a_channel, ALLOWED,
	 0, 0},
	{"a session waits in its loop", SANDBOX_SESSION, use_the_loop, ALLOWED, 0, 0},
	{"a session has random numbers", SANDBOX_SESSION, get_random, ALLOWED, 0, 0},
	{"a session checks seals", SANDBOX_SESSION, read_seals, ALLOWED, 0, 0},
};

/* --- threads --- */

static void *thread_tries(void *arg)
{
	char c;

	/* after the main thread closed the door */
	if (read(held.channel, &c, 1) == 1)
		(void)open_a_file();
	return arg;
}

static bool filter_in_threads(void)
{
	struct sandbox s = {.profile = SANDBOX_SESSION, .folder_fd = -1, .files_limit = 64};
	pthread_t thread;

	(void)fcntl(held.channel, F_SETFL, 0);
	if (sandbox_confine(&s) < 0 || pthread_create(&thread, NULL, thread_tries, NULL) != 0)
		return false;
	if (sandbox_enter(&s) < 0 || write(held.other, "x", 1) != 1)
		return false;
	(void)pthread_join(thread, NULL);
	return true;
}

static void test_filter_in_threads(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	if (is_sanitized()) {
		print_message("a build with sanitizers has no system-call filter\n");
		skip();
	}
	pid = fork();
	if (pid == 0)
		_exit(filter_in_threads() ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static bool threads_before_confine(void)
{
	struct sandbox s = {.profile = SANDBOX_SESSION, .folder_fd = -1};
	pthread_t thread;

	(void)fcntl(held.channel, F_SETFL, 0);
	if (pthread_create(&thread, NULL, thread_tries, NULL) != 0)
		return false;
	return sandbox_enter(&s) == -EBUSY;
}

static void test_threads_before_confine(void **state)
{
	(void)state;
	if (is_sanitized()) {
		print_message("a sanitizer's runtime has threads of its own\n");
		skip();
	}
	in_child(threads_before_confine);
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, attempts, test_attempt);
	tests_add(&t, "P3: the filter holds for threads that were there before",
		  test_filter_in_threads, NULL);
	tests_add(&t, "P3: a sandbox does not close around threads that are outside of it",
		  test_threads_before_confine, NULL);
	return _cmocka_run_group_tests("sandbox", t.list, t.count, setup, teardown);
}

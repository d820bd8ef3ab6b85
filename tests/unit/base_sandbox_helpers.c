/* What the helper processes can still do once their doors are closed; capabilities, the
 * way back to root, and the layers' names. */
#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <sched.h>
#include "tests/unit/base_sandbox.h"

static long lock_memory(void)
{
	static char page[4096];

	return TRY(SYS_mlock, page, 16);
}

static long make_a_segment(void)
{
	int fd = openat(held.folder, "new", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, "x", 1) != 1 || fdatasync(fd) < 0 || ftruncate(fd, 0) < 0 ||
	    renameat(held.folder, "new", held.folder, "segment") < 0 ||
	    unlinkat(held.folder, "segment", 0) < 0)
		return -errno;
	return TRY(SYS_fsync, held.folder);
}

static long make_a_journal(void)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(held.folder, "new", flags, 0600);

	if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) < 0 ||
	    renameat(held.folder, "new", held.folder, "journal") < 0 ||
	    unlinkat(held.folder, "journal", 0) < 0)
		return -errno;
	return TRY(SYS_fsync, held.folder);
}

static long open_for_writing_outside(void)
{
	return TRY(SYS_openat, AT_FDCWD, held.outside, O_WRONLY, 0);
}

static long leave_the_folder(void)
{
	return TRY(SYS_openat, held.folder, "../../etc/passwd", O_RDONLY, 0);
}

static long map_a_ring(void)
{
	return TRY(SYS_mmap, 0, DISK_SIZE, PROT_READ, MAP_SHARED, held.memory_disk, 0) < 0 ? -EIO
											   : 0;
}

static long run_another_program(void)
{
	char *const arguments[] = {(char *)(uintptr_t) "true", NULL};
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		execve("/usr/bin/true", arguments, NULL);
		_exit(errno == EACCES ? 77 : 78);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -EIO;
	return WEXITSTATUS(status) == 77 ? -EACCES : WEXITSTATUS(status);
}

static long make_a_netlink_socket(void)
{
	return TRY(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
}

static long change_routes(void)
{
	return TRY(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
}

static long fork_into_a_namespace(void)
{
	return TRY(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
}

static long make_a_datagram_socket(void)
{
	return TRY(SYS_socket, AF_INET, SOCK_DGRAM, 0);
}

static long listen_to_others(void)
{
	return TRY(SYS_listen, TRY(SYS_socket, AF_INET, SOCK_STREAM, 0), 1);
}

static long signal_the_parent(void)
{
	return TRY(SYS_kill, 1, 0);
}

static long write_to_the_disk_it_reads(void)
{
	return TRY(SYS_pwrite64, held.disk_ro, "x", 1, 0);
}

static long discard_the_disk(void)
{
	uint64_t range[2] = {0, 512};

	return TRY(SYS_ioctl, held.disk_ro, BLKDISCARD, range);
}

/* --- the rows --- */

#define AUTHENTICATOR(what) "P3: the authenticator can't " what
#define AUDITOR(what)	    "P3: the auditor can't " what
#define ARBITER(what)	    "P3: the arbiter can't " what
#define FILES(what)	    "P3: the process that looks for files can't " what
#define FIREWALL(what)	    "P3: the firewall process can't " what
#define JOINS(what)	    "P3: the process that speaks TLS for who joins can't " what
#define TUNNELS(what)	    "P3: the process of the tunnels can't " what

static const struct attempt attempts[] = {
	{AUTHENTICATOR("open a file"), SANDBOX_AUTHENTICATOR, open_a_file, KILLED, 0, 0},
	{AUTHENTICATOR("make a socket"), SANDBOX_AUTHENTICATOR, make_a_socket, KILLED, 0, 0},
	{AUTHENTICATOR("write a file that it holds"), SANDBOX_AUTHENTICATOR, write_the_disk, KILLED,
	 0, 0},
	{AUTHENTICATOR("execute a program"), SANDBOX_AUTHENTICATOR, execute, KILLED, 0, 0},
	{AUTHENTICATOR("trace another process"), SANDBOX_AUTHENTICATOR, trace_the_parent, KILLED, 0,
	 0},
	{"the authenticator locks memory", SANDBOX_AUTHENTICATOR, lock_memory, ALLOWED, 0, 0},
	{"the authenticator has memory", SANDBOX_AUTHENTICATOR, use_memory, ALLOWED, 0, 0},
	{"the authenticator gets descriptors", SANDBOX_AUTHENTICATOR, use_a_channel, ALLOWED, 0, 0},

	{AUDITOR("open a file outside its folder"), SANDBOX_AUDITOR, open_a_file, REFUSED, 0, 1},
	{AUDITOR("write a file outside its folder"), SANDBOX_AUDITOR, open_for_writing_outside,
	 REFUSED, 0, 1},
	{AUDITOR("leave its folder"), SANDBOX_AUDITOR, leave_the_folder, REFUSED, 0, 1},
	{AUDITOR("remove a file outside its folder"), SANDBOX_AUDITOR, unlink_a_file, REFUSED, 0,
	 1},
	{AUDITOR("make a socket"), SANDBOX_AUDITOR, make_a_socket, KILLED, 0, 0},
	{AUDITOR("execute a program"), SANDBOX_AUDITOR, execute, KILLED, 0, 0},
	{AUDITOR("make code"), SANDBOX_AUDITOR, make_code, KILLED, 0, 0},
	{"the auditor makes, renames and removes segments", SANDBOX_AUDITOR, make_a_segment,
	 ALLOWED, 0, 0},
	{"the auditor maps rings", SANDBOX_AUDITOR, map_a_ring, ALLOWED, 0, 0},

	{ARBITER("open a file outside its folder"), SANDBOX_ARBITER, open_a_file, REFUSED, 0, 1},
	{ARBITER("write a file outside its folder"), SANDBOX_ARBITER, open_for_writing_outside,
	 REFUSED, 0, 1},
	{ARBITER("leave its folder"), SANDBOX_ARBITER, leave_the_folder, REFUSED, 0, 1},
	{ARBITER("remove a file outside its folder"), SANDBOX_ARBITER, unlink_a_file, REFUSED, 0,
	 1},
	{"the arbiter makes, renames and removes files of its journal", SANDBOX_ARBITER,
	 make_a_journal, ALLOWED, 0, 0},
	{ARBITER("make a socket"), SANDBOX_ARBITER, make_a_socket, KILLED, 0, 0},
	{ARBITER("write a file that it holds"), SANDBOX_ARBITER, write_the_disk, KILLED, 0, 0},
	{ARBITER("execute a program"), SANDBOX_ARBITER, execute, KILLED, 0, 0},
	{ARBITER("make code"), SANDBOX_ARBITER, make_code, KILLED, 0, 0},
	{ARBITER("trace another process"), SANDBOX_ARBITER, trace_the_parent, KILLED, 0, 0},
	{"the arbiter maps pages", SANDBOX_ARBITER, map_a_ring, ALLOWED, 0, 0},
	{"the arbiter gets descriptors", SANDBOX_ARBITER, use_a_channel, ALLOWED, 0, 0},

	{FIREWALL("open a file that nft does not need"), SANDBOX_FIREWALL, open_a_file, REFUSED, 0,
	 1},
	{FIREWALL("run another program"), SANDBOX_FIREWALL, run_another_program, REFUSED, 0, 1},
	{FIREWALL("change routes or interfaces"), SANDBOX_FIREWALL, change_routes, REFUSED, 0, 0},
	{FIREWALL("make an internet socket"), SANDBOX_FIREWALL, make_a_socket, REFUSED, 0, 0},
	{FIREWALL("make a namespace"), SANDBOX_FIREWALL, make_a_namespace, KILLED, 0, 0},
	{FIREWALL("fork into a namespace"), SANDBOX_FIREWALL, fork_into_a_namespace, KILLED, 0, 0},
	{FIREWALL("trace another process"), SANDBOX_FIREWALL, trace_the_parent, KILLED, 0, 0},
	{FIREWALL("raise its limits"), SANDBOX_FIREWALL, raise_its_limits, KILLED, 0, 0},
	{"the firewall process makes a netlink socket", SANDBOX_FIREWALL, make_a_netlink_socket,
	 ALLOWED, 0, 0},

	{"P3: a reviewer can't write", SANDBOX_REVIEWER, open_for_writing_outside, KILLED, 0, 0},
	{"P3: a reviewer can't read elsewhere", SANDBOX_REVIEWER, open_a_file, REFUSED, 0, 1},
	{"P3: a reviewer can't make a socket", SANDBOX_REVIEWER, make_a_socket, KILLED, 0, 0},

	{FILES("open a file that its tools do not need"), SANDBOX_FILES, open_a_file, REFUSED, 0,
	 1},
	{FILES("write a file"), SANDBOX_FILES, open_for_writing_outside, REFUSED, 0, 1},
	{FILES("run another program"), SANDBOX_FILES, run_another_program, REFUSED, 0, 1},
	{FILES("make a socket"), SANDBOX_FILES, make_a_socket, REFUSED, 0, 0},
	{FILES("make a namespace"), SANDBOX_FILES, make_a_namespace, KILLED, 0, 0},
	{FILES("fork into a namespace"), SANDBOX_FILES, fork_into_a_namespace, KILLED, 0, 0},
	{FILES("trace another process"), SANDBOX_FILES, trace_the_parent, KILLED, 0, 0},
	{FILES("send a signal to another process"), SANDBOX_FILES, signal_the_parent, KILLED, 0, 0},
	{FILES("raise its limits"), SANDBOX_FILES, raise_its_limits, REFUSED, 0, 0},
	{FILES("write to the disk that it reads"), SANDBOX_FILES, write_to_the_disk_it_reads,
	 REFUSED, 0, 0},
	{FILES("ask a device for more than it is"), SANDBOX_FILES, discard_the_disk, REFUSED, 0, 0},

	{"P3: who writes an export can't make a socket", SANDBOX_EXPORTER, make_a_socket, KILLED, 0,
	 0},
	{"P3: who writes an export can't read elsewhere", SANDBOX_EXPORTER, open_a_file, REFUSED, 0,
	 1},
	{"P3: who writes an export can't write elsewhere", SANDBOX_EXPORTER,
	 open_for_writing_outside, REFUSED, 0, 1},
	{"P3: who writes an export can't execute a program", SANDBOX_EXPORTER, execute, KILLED, 0,
	 0},
	{"who writes an export makes and renames checkpoints", SANDBOX_EXPORTER, make_a_journal,
	 ALLOWED, 0, 0},
	{"P3: who sends an export can't read files", SANDBOX_SENDER, open_a_file, REFUSED, 0, 1},
	{"P3: who sends an export can't change routes", SANDBOX_SENDER, change_routes, KILLED, 0,
	 0},
	{"P3: who sends an export sends no datagrams to hosts", SANDBOX_SENDER,
	 make_a_datagram_socket, KILLED, 0, 0},
	{"P3: who sends an export can't listen", SANDBOX_SENDER, listen_to_others, KILLED, 0, 0},

	{JOINS("open a file"), SANDBOX_JOIN, open_a_file, KILLED, 0, 0},
	{JOINS("write a file that it holds"), SANDBOX_JOIN, write_the_disk, KILLED, 0, 0},
	{JOINS("make a socket"), SANDBOX_JOIN, make_a_socket, KILLED, 0, 0},
	{JOINS("execute a program"), SANDBOX_JOIN, execute, KILLED, 0, 0},
	{JOINS("make code"), SANDBOX_JOIN, make_code, KILLED, 0, 0},
	{JOINS("trace another process"), SANDBOX_JOIN, trace_the_parent, KILLED, 0, 0},
	{"who joins has a channel", SANDBOX_JOIN, use_a_channel, ALLOWED, 0, 0},

	{TUNNELS("open a file"), SANDBOX_CONNECT, open_a_file, KILLED, 0, 0},
	{TUNNELS("write a file that it holds"), SANDBOX_CONNECT, write_the_disk, KILLED, 0, 0},
	{TUNNELS("execute a program"), SANDBOX_CONNECT, execute, KILLED, 0, 0},
	{TUNNELS("make code"), SANDBOX_CONNECT, make_code, KILLED, 0, 0},
	{TUNNELS("listen where it was not told to"), SANDBOX_CONNECT, listen_to_others, KILLED, 0,
	 0},
	{TUNNELS("send datagrams"), SANDBOX_CONNECT, make_a_datagram_socket, KILLED, 0, 0},
	{TUNNELS("change routes"), SANDBOX_CONNECT, change_routes, KILLED, 0, 0},
	{TUNNELS("trace another process"), SANDBOX_CONNECT, trace_the_parent, KILLED, 0, 0},
	{"the process of the tunnels makes sockets", SANDBOX_CONNECT, make_a_socket, ALLOWED, 0, 0},
	{"the process of the tunnels gets descriptors", SANDBOX_CONNECT, use_a_channel, ALLOWED, 0,
	 0},
};

/* --- the rest --- */

/* Behind the filter stands Landlock: what one lets through by mistake, the other refuses. */
static bool landlock_alone(void)
{
	struct sandbox s = {.profile = SANDBOX_SESSION, .folder_fd = -1};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd;

	if (sandbox_confine(&s) < 0 || open_a_file() != -EACCES || unlink_a_file() != -EACCES)
		return false;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 4)
		return true;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return TRY(SYS_connect, fd, &to, sizeof to) == -EACCES &&
	       TRY(SYS_bind, fd, &to, sizeof to) == -EACCES;
}

static void test_landlock_alone(void **state)
{
	(void)state;
	if (is_sanitized() || !has_landlock()) {
		print_message("no Landlock in this kernel, or a build with sanitizers\n");
		skip();
	}
	in_child(landlock_alone);
}

static long connect_to(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	OWNED_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return TRY(SYS_connect, fd, &to, sizeof to);
}

static bool one_port_alone(void)
{
	struct sandbox s = {.profile = SANDBOX_SENDER, .folder_fd = -1, .connect_port = 9};

	return sandbox_confine(&s) == 0 && connect_to(10) == -EACCES && connect_to(9) != -EACCES;
}

static bool its_ports_alone(void)
{
	static const uint16_t ports[] = {9, 11, 0};
	struct sandbox s = {.profile = SANDBOX_CONNECT, .folder_fd = -1, .connect_ports = ports};

	return sandbox_confine(&s) == 0 && connect_to(10) == -EACCES && connect_to(9) != -EACCES &&
	       connect_to(11) != -EACCES;
}

static void test_one_port_alone(void **state)
{
	(void)state;
	if (is_sanitized() || syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 4) {
		print_message("no Landlock for ports in this kernel, or a build with sanitizers\n");
		skip();
	}
	in_child(one_port_alone);
	in_child(its_ports_alone);
}

static bool capabilities_gone(void)
{
	if (capabilities_limit(1ull << CAP_KILL) < 0 || !capability_have(CAP_KILL))
		return false;
	return !capability_have(CAP_NET_ADMIN) && !capability_have(CAP_SETUID) &&
	       prctl(PR_CAPBSET_READ, CAP_NET_ADMIN, 0, 0, 0) == 0 &&
	       prctl(PR_CAPBSET_READ, CAP_KILL, 0, 0, 0) == 1 && syscall(SYS_setuid, 65533) < 0 &&
	       capabilities_limit(0) == 0 && !capability_have(CAP_KILL);
}

static void test_capabilities(void **state)
{
	(void)state;
	if (!capability_have(CAP_KILL) || !capability_have(CAP_SETPCAP)) {
		print_message("needs root, to have capabilities at all\n");
		skip();
	}
	in_child(capabilities_gone);
}

static bool way_back_is_seen(void)
{
	struct sandbox s = {.profile = SANDBOX_AUDITOR, .folder_fd = -1};

	if (setresuid(65533, 65533, 0) < 0)
		return false;
	return sandbox_enter(&s) == -EPERM;
}

static void test_way_back(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("needs root, to keep a way back to it\n");
		skip();
	}
	in_child(way_back_is_seen);
}

static bool hardened(void)
{
	struct rlimit core;

	if (process_harden() < 0 || getrlimit(RLIMIT_CORE, &core) < 0)
		return false;
	return core.rlim_max == 0 && umask(0) == 077 &&
	       (is_sanitized() || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
}

static void test_hardened(void **state)
{
	(void)state;
	in_child(hardened);
}

static void test_missing(void **state)
{
	char text[128], little[8];

	(void)state;
	assert_string_equal(sandbox_missing(0x1f, text, sizeof text), "");
	assert_string_equal(sandbox_missing(0x1f & ~SANDBOX_HAS_LANDLOCK_NET, text, sizeof text),
			    "Landlock network rules");
	assert_string_equal(sandbox_missing(SANDBOX_HAS_SECCOMP | SANDBOX_HAS_NO_NEW_PRIVS |
						    SANDBOX_HAS_NOT_DUMPABLE,
					    text, sizeof text),
			    "Landlock file rules, Landlock network rules");
	assert_string_equal(sandbox_missing(0, little, sizeof little), "system-");
}

int main(void)
{
	static struct tests t;

	TESTS_ADD_TABLE(&t, attempts, test_attempt);
	tests_add(&t, "P3: without its filter a session still reaches no file and no network",
		  test_landlock_alone, NULL);
	tests_add(&t,
		  "P3: who sends an export reaches one port, tunnels theirs, even without filters",
		  test_one_port_alone, NULL);
	tests_add(&t, "P3: capabilities that are given up don't come back", test_capabilities,
		  NULL);
	tests_add(&t, "P3: a way back to root is seen, and the sandbox refuses", test_way_back,
		  NULL);
	tests_add(&t, "a hardened process leaves no core and can't be looked into", test_hardened,
		  NULL);
	tests_add(&t, "missing layers have names", test_missing, NULL);
	return _cmocka_run_group_tests("sandbox", t.list, t.count, setup, teardown);
}

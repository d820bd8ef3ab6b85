/* What each kind of process may ask of the kernel after it closed its door: one table
 * a process, each row with its reason. Whoever adds a row answers: what could a process
 * that was taken over do with it? Everything else kills the process. */
#include "gateway/base/sandbox_profiles.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define EQUAL(n, value)                      \
	{                                    \
		(n), SCMP_CMP_EQ, (value), 0 \
	}
#define NOT(n, value)                        \
	{                                    \
		(n), SCMP_CMP_NE, (value), 0 \
	}
#define BITS(n, mask, value)                             \
	{                                                \
		(n), SCMP_CMP_MASKED_EQ, (mask), (value) \
	}
#define LESS(n, value)                       \
	{                                    \
		(n), SCMP_CMP_LT, (value), 0 \
	}
#define MORE(n, value)                       \
	{                                    \
		(n), SCMP_CMP_GT, (value), 0 \
	}
#define TABLE(rows)                     \
	{                               \
		(rows), ARRAY_LEN(rows) \
	}
#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#define NOTIFY_RECEIVE SECCOMP_IOCTL_NOTIF_RECV
#define NOTIFY_ANSWER  SECCOMP_IOCTL_NOTIF_SEND
#define SOL_OF_TLS     282 /* SOL_TLS, which libc has since 2.37 */
#define PRIVATE_MEMORY (MAP_PRIVATE | MAP_ANONYMOUS)
#define NEW_NAMESPACES                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

/* Every process of ours. */
static const struct sandbox_call common[] = {
	{.name = "read", .why = "what it was given"},
	{.name = "readv", .why = "what it was given"},
	{.name = "pread64", .why = "what it was given"},
	{.name = "lseek", .why = "no offset is shared with anybody"},
	{.name = "write", .why = "the log"},
	{.name = "writev", .why = "libc's last words"},
	{.name = "close", .why = "what is over"},
	{.name = "fstat", .why = "size and kind of what it was given"},
	{.name = "recvmsg", .why = "channels; descriptors come as their table says"},
	{.name = "sendmsg", .why = "channels"},
	{.name = "recvfrom", .why = "sockets that it holds"},
	{.name = "sendto", .why = "connected sockets alone: no address", .checks = {EQUAL(4, 0)}},
	{.name = "shutdown", .why = "sockets that it holds"},
	{.name = "fcntl", .why = "flags are read, never set", .checks = {EQUAL(1, F_GETFL)}},
	{.name = "fcntl", .why = "close-on-exec is read", .checks = {EQUAL(1, F_GETFD)}},
	{.name = "fcntl", .why = "is it sealed?", .checks = {EQUAL(1, F_GET_SEALS)}},
	{.name = "epoll_wait", .why = "the loop"},
	{.name = "epoll_pwait", .why = "the loop"},
	{.name = "epoll_ctl", .why = "the loop"},
	{.name = "futex", .why = "locks between its threads"},
	{.name = "sched_yield", .why = "locks between its threads"},
	{.name = "clock_gettime", .why = "where the vDSO has no clock"},
	{.name = "gettimeofday", .why = "where the vDSO has no clock"},
	{.name = "time", .why = "where the vDSO has no clock"},
	{.name = "getrandom", .why = "salts, challenges, identifiers"},
	{.name = "brk", .why = "malloc"},
	{.name = "mmap",
	 .why = "malloc: memory of its own, never code, never a file",
	 .checks = {BITS(2, PROT_EXEC, 0), BITS(3, MAP_SHARED | PRIVATE_MEMORY, PRIVATE_MEMORY)}},
	{.name = "mprotect", .why = "malloc: never code", .checks = {BITS(2, PROT_EXEC, 0)}},
	{.name = "munmap", .why = "malloc"},
	{.name = "mremap", .why = "malloc"},
	{.name = "madvise", .why = "malloc, stacks of threads that end"},
	{.name = "sysinfo", .why = "qsort asks how much memory there is"},
	{.name = "getpid", .why = "abort"},
	{.name = "gettid", .why = "abort"},
	{.name = "tgkill", .why = "abort: itself alone", .checks = {EQUAL(0, SANDBOX_OWN_PID)}},
	{.name = "rt_sigaction", .why = "abort"},
	{.name = "rt_sigprocmask", .why = "abort, threads that end"},
	{.name = "rt_sigreturn", .why = "the end of a signal handler"},
	{.name = "restart_syscall", .why = "going on after SIGSTOP and SIGCONT"},
	{.name = "set_robust_list", .why = "a thread that was made before has just started"},
	{.name = "rseq", .why = "a thread that was made before has just started"},
	{.name = "exit", .why = "a thread ends"},
	{.name = "exit_group", .why = "the process ends"},
};

static const struct sandbox_call session[] = {
	{.name = "pwrite64", .why = "disks, opened with the access that was granted"},
	{.name = "preadv", .why = "disks"},
	{.name = "pwritev", .why = "disks"},
	{.name = "preadv2", .why = "disks"},
	{.name = "pwritev2", .why = "disks; RLIMIT_FSIZE keeps them from growing"},
	{.name = "fsync", .why = "disks"},
	{.name = "fdatasync", .why = "disks"},
	{.name = "fstatfs", .why = "is a disk memory, or is there another below?"},
	{.name = "fallocate",
	 .why = "UNMAP; the size stays",
	 .checks = {EQUAL(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)}},
	{.name = "fallocate",
	 .why = "WRITE SAME of zeroes; the size stays",
	 .checks = {EQUAL(1, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)}},
	{.name = "io_uring_enter", .why = "disks; the ring is restricted to reads, writes, syncs"},
	{.name = "io_uring_register",
	 .why = "disks that are granted later join the ring",
	 .checks = {EQUAL(1, IORING_REGISTER_FILES_UPDATE)}},
	{.name = "setsockopt",
	 .why = "its connection: what is sent in one piece",
	 .checks = {EQUAL(1, IPPROTO_TCP), EQUAL(2, TCP_NODELAY)}},
	{.name = "setsockopt",
	 .why = "its connection: what is sent in one piece",
	 .checks = {EQUAL(1, IPPROTO_TCP), EQUAL(2, TCP_CORK)}},
	{.name = "setsockopt",
	 .why = "its connection: TLS in the kernel",
	 .checks = {EQUAL(1, IPPROTO_TCP), EQUAL(2, TCP_ULP)}},
	{.name = "setsockopt",
	 .why = "its connection: keys of what is sent, for TLS in the kernel",
	 .checks = {EQUAL(1, SOL_OF_TLS), EQUAL(2, TLS_TX)}},
	{.name = "setsockopt",
	 .why = "its connection: keys of what is received, for TLS in the kernel",
	 .checks = {EQUAL(1, SOL_OF_TLS), EQUAL(2, TLS_RX)}},
	{.name = "poll", .why = "the signature of its handshake is waited for"},
	{.name = "ppoll", .why = "the same, where there is no poll"},
	{.name = "getsockopt",
	 .why = "its connection: what went wrong",
	 .checks = {EQUAL(1, SOL_SOCKET), EQUAL(2, SO_ERROR)}},
};

static const struct sandbox_call own_loop[] = {
	{.name = "epoll_create1", .why = "its loop is made after the door is closed"},
	{.name = "eventfd2", .why = "its loop is made after the door is closed"},
};

static const struct sandbox_call authenticator[] = {
	{.name = "mlock", .why = "secrets never reach the swap"},
	{.name = "munlock", .why = "wiped memory is given back"},
};

static const struct sandbox_call auditor[] = {
	{.name = "openat", .why = "segments; Landlock: below the audit folder alone"},
	{.name = "newfstatat", .why = "segments"},
	{.name = "getdents64", .why = "which segments there are"},
	{.name = "fcntl", .why = "fdopendir", .checks = {EQUAL(1, F_SETFD)}},
	{.name = "renameat", .why = "a segment appears whole or not at all"},
	{.name = "renameat2", .why = "a segment appears whole or not at all"},
	{.name = "unlinkat", .why = "what a crash left half made"},
	{.name = "pwrite64", .why = "segments"},
	{.name = "pwritev", .why = "segments"},
	{.name = "ftruncate", .why = "a segment's torn end"},
	{.name = "fallocate", .why = "room for records before they come"},
	{.name = "fsync", .why = "the folder"},
	{.name = "fdatasync", .why = "segments"},
	{.name = "sync_file_range", .why = "segments"},
	{.name = "fstatfs", .why = "is there room?"},
	{.name = "mmap",
	 .why = "rings, which the monitor sealed; never code",
	 .checks = {BITS(2, PROT_EXEC, 0)}},
};

static const struct sandbox_call arbiter[] = {
	{.name = "openat", .why = "the journal; Landlock: below its folder alone"},
	{.name = "renameat", .why = "a file of the journal appears whole or not at all"},
	{.name = "renameat2", .why = "a file of the journal appears whole or not at all"},
	{.name = "unlinkat", .why = "what a crash left half made; files of an earlier run"},
	{.name = "fsync", .why = "the journal, its folder"},
	{.name = "mmap",
	 .why = "pages, which the monitor sealed; never code",
	 .checks = {BITS(2, PROT_EXEC, 0)}},
};

/* Processes that run programs which are not ours, and those, which inherit the filter through
 * their exec. */
static const struct sandbox_call foreign[] = {
	{.name = "execve", .why = "its programs; Landlock: nothing else"},
	{.name = "clone",
	 .why = "fork and threads, in our namespaces",
	 .checks = {BITS(0, NEW_NAMESPACES, 0)}},
	{.name = "clone3", .why = "its flags can't be seen; libc takes clone", .refuse = ENOSYS},
	{.name = "fork", .why = "fork"},
	{.name = "vfork", .why = "fork"},
	{.name = "wait4", .why = "the end of a program"},
	{.name = "waitid", .why = "the end of a program"},
	{.name = "pipe2", .why = "a program's words"},
	{.name = "dup", .why = "a program's input and output"},
	{.name = "dup2", .why = "a program's input and output"},
	{.name = "dup3", .why = "a program's input and output"},
	{.name = "poll", .why = "a program's words"},
	{.name = "ppoll", .why = "a program's words"},
	{.name = "openat", .why = "libraries and tables; Landlock: nothing else"},
	{.name = "open", .why = "libraries and tables; Landlock: nothing else"},
	{.name = "newfstatat", .why = "programs"},
	{.name = "stat", .why = "programs"},
	{.name = "statx", .why = "programs"},
	{.name = "access", .why = "the dynamic linker"},
	{.name = "faccessat", .why = "the dynamic linker"},
	{.name = "faccessat2", .why = "the dynamic linker"},
	{.name = "readlink", .why = "the dynamic linker"},
	{.name = "readlinkat", .why = "the dynamic linker"},
	{.name = "getcwd", .why = "the dynamic linker"},
	{.name = "getdents64", .why = "folders of tables"},
	{.name = "mmap", .why = "the dynamic linker: code"},
	{.name = "mprotect", .why = "the dynamic linker"},
	{.name = "arch_prctl", .why = "a process starts"},
	{.name = "set_tid_address", .why = "a process starts"},
	{.name = "set_robust_list", .why = "a process starts"},
	{.name = "rseq", .why = "a process starts"},
	{.name = "sigaltstack", .why = "a process starts"},
	{.name = "getrlimit", .why = "a process starts"},
	{.name = "uname", .why = "which kernel?"},
	{.name = "getuid", .why = "a program asks: may it?"},
	{.name = "geteuid", .why = "a program asks: may it?"},
	{.name = "getgid", .why = "a program asks: may it?"},
	{.name = "getegid", .why = "a program asks: may it?"},
	{.name = "getppid", .why = "programs"},
	{.name = "fcntl", .why = "programs, libc"},
};

/* The firewall process, and nft. */
static const struct sandbox_call firewall[] = {
	{.name = "kill",
	 .why = "nft that hangs; Landlock since 6.12: nobody outside; before, others of its user",
	 .checks = {EQUAL(1, SIGKILL)}},
	{.name = "select", .why = "nft waits for the kernel's answer"},
	{.name = "pselect6", .why = "nft waits for the kernel's answer"},
	{.name = "socket",
	 .why = "the packet filter; not routes, interfaces or IPsec, which its right is for too",
	 .checks = {EQUAL(0, AF_NETLINK), EQUAL(2, NETLINK_NETFILTER)}},
	{.name = "socket",
	 .why = "the other kinds of netlink",
	 .checks = {EQUAL(0, AF_NETLINK), NOT(2, NETLINK_NETFILTER)},
	 .refuse = EACCES},
	{.name = "socket",
	 .why = "nft asks for names of services",
	 .checks = {NOT(0, AF_NETLINK)},
	 .refuse = EACCES},
	{.name = "sendto", .why = "netlink", .checks = {NOT(4, 0)}},
	{.name = "bind", .why = "netlink"},
	{.name = "getsockname", .why = "netlink"},
	{.name = "setsockopt", .why = "netlink's buffers"},
	{.name = "getsockopt", .why = "netlink's buffers"},
	{.name = "prlimit64", .why = "limits are read, never set", .checks = {EQUAL(2, 0)}},
	{.name = "ioctl", .why = "is it a terminal?", .checks = {EQUAL(1, TCGETS)}},
	{.name = "ioctl", .why = "terminals", .checks = {NOT(1, TCGETS)}, .refuse = ENOTTY},
	{.name = "clock_nanosleep", .why = "nft waits for the kernel's answer"},
	{.name = "nanosleep", .why = "nft waits for the kernel's answer"},
};

/* The process that looks for files on a disk, and the file systems' tools, which have a narrower
 * filter on top. */
static const struct sandbox_call files[] = {
	{.name = "seccomp", .why = "a tool's own filter on top; more filters only take away"},
	{.name = "ioctl",
	 .why = "a tool's reads are waited for",
	 .checks = {EQUAL(1, NOTIFY_RECEIVE)}},
	{.name = "ioctl",
	 .why = "a tool's reads are answered",
	 .checks = {EQUAL(1, NOTIFY_ANSWER)}},
	{.name = "ioctl",
	 .why = "tools ask what kind of device it is: none",
	 .checks = {LESS(1, NOTIFY_ANSWER)},
	 .refuse = ENOTTY},
	{.name = "ioctl",
	 .why = "tools ask what kind of device it is: none",
	 .checks = {MORE(1, NOTIFY_RECEIVE)},
	 .refuse = ENOTTY},
	{.name = "pwrite64", .why = "the window; the disk was opened to be read"},
	{.name = "ftruncate", .why = "the window; the disk was opened to be read"},
	{.name = "pidfd_open", .why = "the end of a tool; signals can't be sent"},
	{.name = "socketpair", .why = "how a tool's reads are told; it leads nowhere"},
	{.name = "socket", .why = "tools that ask for names", .refuse = EACCES},
	{.name = "fsync", .why = "tools, of what they only read"},
	{.name = "membarrier", .why = "threads of xfs_db"},
	{.name = "prctl",
	 .why = "a tool ends with us",
	 .checks = {EQUAL(0, PR_SET_PDEATHSIG), EQUAL(1, SIGKILL)}},
	{.name = "prctl", .why = "tools ask", .checks = {EQUAL(0, PR_GET_DUMPABLE)}},
	{.name = "prctl", .why = "names of threads", .checks = {EQUAL(0, PR_SET_NAME)}},
	{.name = "prlimit64", .why = "its own limits; upwards, none goes", .checks = {EQUAL(0, 0)}},
	{.name = "setrlimit", .why = "its own limits; upwards, none goes"},
	{.name = "sched_getaffinity", .why = "tools ask how many processors there are"},
	{.name = "clock_nanosleep", .why = "tools"},
};

static const struct sandbox_call reviewer[] = {
	{.name = "openat",
	 .why = "audit files are read; Landlock: below their folder",
	 .checks = {BITS(2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)}},
	{.name = "newfstatat", .why = "audit files"},
	{.name = "getdents64", .why = "which segments there are"},
	{.name = "fcntl", .why = "fdopendir", .checks = {EQUAL(1, F_SETFD)}},
	{.name = "clock_nanosleep", .why = "following a log that grows"},
	{.name = "poll", .why = "following a log that grows"},
	{.name = "ppoll", .why = "following a log that grows"},
	{.name = "ioctl", .why = "is it a terminal?", .checks = {EQUAL(1, TCGETS)}},
	{.name = "ioctl", .why = "how wide is it?", .checks = {EQUAL(1, TIOCGWINSZ)}},
};

static const struct sandbox_call exporter[] = {
	{.name = "openat", .why = "its output; Landlock: below one folder alone"},
	{.name = "newfstatat", .why = "its output"},
	{.name = "pwrite64", .why = "a database"},
	{.name = "ftruncate", .why = "a database's journal"},
	{.name = "fsync", .why = "its output, the folder"},
	{.name = "fdatasync", .why = "its output"},
	{.name = "renameat", .why = "a checkpoint appears whole or not at all"},
	{.name = "renameat2", .why = "a checkpoint appears whole or not at all"},
	{.name = "unlinkat", .why = "what a crash left half made"},
	{.name = "unlink", .why = "a database's journal"},
	{.name = "readlink", .why = "where a database is"},
	{.name = "getcwd", .why = "where a database is"},
	{.name = "access", .why = "is there a journal of a database?"},
	{.name = "geteuid", .why = "a database's journal gets its owner"},
	{.name = "fchown", .why = "a database's journal gets its owner"},
	{.name = "fchmod", .why = "a checkpoint is its owner's alone"},
	{.name = "fcntl", .why = "a database is locked", .checks = {EQUAL(1, F_SETLK)}},
	{.name = "fcntl", .why = "is a database locked?", .checks = {EQUAL(1, F_GETLK)}},
	{.name = "fcntl", .why = "close-on-exec", .checks = {EQUAL(1, F_SETFD)}},
	{.name = "poll", .why = "the reader's pipe"},
	{.name = "wait4", .why = "the end of the reader"},
	{.name = "clock_nanosleep", .why = "a database that somebody else has locked"},
	{.name = "ioctl", .why = "is it a terminal?", .checks = {EQUAL(1, TCGETS)}},
};

static const struct sandbox_call sender[] = {
	{.name = "socket", .why = "to the receiver", .checks = {EQUAL(0, AF_UNIX)}},
	{.name = "socket",
	 .why = "to the receiver: TCP alone",
	 .checks = {EQUAL(0, AF_INET), BITS(1, 0xf, SOCK_STREAM)}},
	{.name = "socket",
	 .why = "to the receiver: TCP alone",
	 .checks = {EQUAL(0, AF_INET6), BITS(1, 0xf, SOCK_STREAM)}},
	{.name = "connect", .why = "to the receiver; Landlock: one port"},
	{.name = "setsockopt",
	 .why = "a receiver that does not acknowledge",
	 .checks = {EQUAL(1, IPPROTO_TCP), EQUAL(2, TCP_USER_TIMEOUT)}},
	{.name = "getsockopt",
	 .why = "why was there no connection?",
	 .checks = {EQUAL(1, SOL_SOCKET), EQUAL(2, SO_ERROR)}},
	{.name = "ioctl", .why = "what is not acknowledged?", .checks = {EQUAL(1, TIOCOUTQ)}},
};

static const struct sandbox_call scribe[] = {
	{.name = "fdatasync", .why = "the file that it was given"},
};

/* The client's end of TLS portals. */
static const struct sandbox_call tunnels[] = {
	{.name = "accept4", .why = "the initiators' connections; listening is not allowed"},
	{.name = "socket",
	 .why = "to the gateway: TCP alone",
	 .checks = {EQUAL(0, AF_INET), BITS(1, 0xf, SOCK_STREAM)}},
	{.name = "socket",
	 .why = "to the gateway: TCP alone",
	 .checks = {EQUAL(0, AF_INET6), BITS(1, 0xf, SOCK_STREAM)}},
	{.name = "connect", .why = "to the gateway; Landlock: the ports of gateways alone"},
	{.name = "poll", .why = "the key's process, which signs"},
	{.name = "getsockopt",
	 .why = "why was there no connection?",
	 .checks = {EQUAL(1, SOL_SOCKET), EQUAL(2, SO_ERROR)}},
	{.name = "setsockopt",
	 .why = "a peer that is gone, and NAT that forgets",
	 .checks = {EQUAL(1, SOL_SOCKET), EQUAL(2, SO_KEEPALIVE)}},
	{.name = "setsockopt",
	 .why = "what was cut off does not look complete",
	 .checks = {EQUAL(1, SOL_SOCKET), EQUAL(2, SO_LINGER)}},
	{.name = "setsockopt",
	 .why = "what is sent in one piece; keep-alive; the kernel's TLS",
	 .checks = {EQUAL(1, IPPROTO_TCP)}},
	{.name = "setsockopt", .why = "the kernel's TLS", .checks = {EQUAL(1, SOL_TLS)}},
};

/* Who joins: TLS with who may be the gateway. */
static const struct sandbox_call joining[] = {
	{.name = "poll", .why = "its socket, and the command that asked for it"},
	{.name = "ppoll", .why = "the same, where there is no poll"},
	{.name = "setsockopt",
	 .why = "TLS in the kernel: not for one answer",
	 .refuse = ENOPROTOOPT},
};

static const char *const firewall_reads[] = {
	"/lib",
	"/lib64",
	"/usr/lib",
	"/usr/lib64",
	"/etc/ld.so.cache",
	"/etc/iproute2",
	"/usr/share/iproute2",
	"/etc/nsswitch.conf",
	"/etc/protocols",
	"/etc/services",
	NULL,
};

static const char *const files_reads[] = {
	"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", NULL,
};

/* What the kernel starts programs with. */
static const char *const linkers[] = {
	"/lib64/ld-linux-x86-64.so.2",
	"/lib/ld-linux-aarch64.so.1",
	NULL,
};

static const char *const reviewer_reads[] = {"/etc/localtime", "/usr/share/zoneinfo", NULL};

#define READ_BELOW (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_BELOW                                                                    \
	(READ_BELOW | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_MAKE_REG | SANDBOX_ACCESS_FS_TRUNCATE)

static const struct sandbox_rules rules[] = {
	[SANDBOX_AUTHENTICATOR] = {.tables = {TABLE(common), TABLE(own_loop),
					      TABLE(authenticator)}},
	[SANDBOX_AUDITOR] = {.tables = {TABLE(common), TABLE(own_loop), TABLE(auditor)},
			     .folder_rights = READ_BELOW | LANDLOCK_ACCESS_FS_WRITE_FILE |
					      LANDLOCK_ACCESS_FS_REMOVE_FILE |
					      LANDLOCK_ACCESS_FS_MAKE_REG |
					      SANDBOX_ACCESS_FS_TRUNCATE},
	[SANDBOX_FIREWALL] = {.tables = {TABLE(common), TABLE(own_loop), TABLE(foreign),
					 TABLE(firewall)},
			      .keep_caps = 1ull << CAP_NET_ADMIN,
			      .read = firewall_reads,
			      .execute = linkers},
	[SANDBOX_ARBITER] = {.tables = {TABLE(common), TABLE(own_loop), TABLE(arbiter)},
			     .folder_rights = READ_BELOW | LANDLOCK_ACCESS_FS_WRITE_FILE |
					      LANDLOCK_ACCESS_FS_REMOVE_FILE |
					      LANDLOCK_ACCESS_FS_MAKE_REG},
	[SANDBOX_SESSION] = {.tables = {TABLE(common), TABLE(session)}, .holds_disks = true},
	[SANDBOX_SCRIBE] = {.tables = {TABLE(common), TABLE(scribe)}},
	[SANDBOX_REVIEWER] = {.tables = {TABLE(common), TABLE(reviewer)},
			      .folder_rights = READ_BELOW,
			      .read = reviewer_reads},
	[SANDBOX_EXPORTER] = {.tables = {TABLE(common), TABLE(exporter)},
			      .folder_rights = WRITE_BELOW},
	[SANDBOX_SENDER] = {.tables = {TABLE(common), TABLE(exporter), TABLE(sender)},
			    .folder_rights = WRITE_BELOW},
	[SANDBOX_CONNECT] = {.tables = {TABLE(common), TABLE(own_loop), TABLE(tunnels)}},
	[SANDBOX_JOIN] = {.tables = {TABLE(common), TABLE(joining)}},
	[SANDBOX_FILES] = {.tables = {TABLE(common), TABLE(foreign), TABLE(files)},
			   .read = files_reads,
			   .execute = linkers},
};

const struct sandbox_rules *sandbox_rules_of(enum sandbox_profile profile)
{
	if (profile <= SANDBOX_INVALID || profile >= ARRAY_LEN(rules))
		return NULL;
	return &rules[profile];
}

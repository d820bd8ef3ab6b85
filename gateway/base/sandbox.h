/* What a process gives up before it reads its first byte from anyone less trusted:
 * descriptors it was not given, core dumps, ptrace, new privileges, capabilities,
 * the file system and the network (Landlock), system calls (seccomp, default: kill).
 * Profiles are tables in sandbox_profiles.c, one a process, each row with its reason. */
#pragma once

#include "gateway/base/base.h"

enum sandbox_profile {
	SANDBOX_INVALID,
	SANDBOX_AUTHENTICATOR, /* compute; channels; locked memory */
	SANDBOX_AUDITOR,       /* the audit folder; no network */
	SANDBOX_FIREWALL,      /* netlink, and executing nft */
	SANDBOX_SESSION,       /* its socket and the descriptors granted to it */
	SANDBOX_ARBITER,       /* its journal's folder; channels; pages that the monitor sealed */
	SANDBOX_REVIEWER,      /* reading audit files of others */
	SANDBOX_EXPORTER,      /* writing a file or a database below one folder */
	SANDBOX_SENDER,	       /* the same, and connecting to one port or to Unix sockets */
	SANDBOX_SCRIBE,	       /* from one descriptor to another */
	SANDBOX_FILES,	       /* reading a disk; executing file systems' tools, which inherit it */
	SANDBOX_CONNECT,       /* accepting where it was told, connecting to gateways' ports */
	SANDBOX_JOIN,	       /* its socket and one channel, until one answer is there */
};

/* Layers that came up, for `status`. Missing ones are the kernel's lack. */
enum sandbox_layer {
	SANDBOX_HAS_SECCOMP = 1 << 0,
	SANDBOX_HAS_LANDLOCK_FILES = 1 << 1,
	SANDBOX_HAS_LANDLOCK_NET = 1 << 2, /* kernel 6.7 and later */
	SANDBOX_HAS_NO_NEW_PRIVS = 1 << 3,
	SANDBOX_HAS_NOT_DUMPABLE = 1 << 4,
	SANDBOX_HAS_URING_RESTRICTED = 1 << 5,
	SANDBOX_URING_IS_SHORT = 1 << 6, /* no memory or descriptor for it: threads instead */
};

struct sandbox {
	enum sandbox_profile profile;
	int folder_fd;		     /* the one folder that may be written below; -1: none */
	const char *const *programs; /* paths that may be read and executed; NULL-ended; or NULL */
	uint64_t file_size_limit;    /* RLIMIT_FSIZE in octets; 0: no file grows at all */
	bool file_size_may_rise; /* who started us may raise it later; we can't: the filter says so
				  */
	uint16_t connect_port;	 /* TCP may be connected to this port; 0: to none */
	const uint16_t *connect_ports; /* and to these; 0-ended, or NULL */
	uint64_t memory_limit;	       /* RLIMIT_AS in octets; 0: none */
	uint32_t files_limit;	       /* RLIMIT_NOFILE */
};

/* The half of sandbox_enter() that the kernel does for the calling thread alone (capabilities,
 * Landlock, no new privileges): a process with threads calls it before it makes the first one, and
 * all have it. No path can be opened afterwards but those of `s`. 0 or -errno. */
int sandbox_confine(const struct sandbox *s) MUST_CHECK;

/* Closes the door, and proves it: a process that was root shows that it can't be again. Returns the
 * layers that are in force (>= 0) or -errno; on an error the caller exits. SANDBOX_HAS_SECCOMP and
 * SANDBOX_HAS_NO_NEW_PRIVS are mandatory. */
int sandbox_enter(const struct sandbox *s) MUST_CHECK;

/* Before any thread or input: umask, no core, not dumpable, sane limits, SIGPIPE ignored. For every
 * process, the monitor too. */
int process_harden(void) MUST_CHECK;

/* Keeps `keep` (mask of 1 << CAP_…) in the bounding, permitted and effective set, drops the rest.
 */
int capabilities_limit(uint64_t keep) MUST_CHECK;
bool capability_have(int cap);

/* Names of the layers missing in `layers`, "" when none: "Landlock network rules". */
const char *sandbox_missing(int layers, char *ret, size_t size);

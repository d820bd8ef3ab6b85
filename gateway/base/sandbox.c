/* Closing the door behind a process: what it gives up for good before it reads its
 * first byte from anyone less trusted. Runs in every process but the monitor, which
 * only hardens itself. Trusts its caller; the kernel refuses or it all holds. */
#include "gateway/base/sandbox.h"

#include <linux/capability.h>
#include <malloc.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "gateway/base/log.h"
#include "gateway/base/sandbox_landlock.h"
#include "gateway/base/sandbox_profiles.h"

/* What the sanitizers' runtimes do (maps of the process, a tracer at its end, terabytes of address
 * space) has no place in a filter: a sanitized build goes without, and says so. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* A process without disks may have its log in a file. */
#define LOG_ROOM (16u << 20)

int process_harden(void)
{
	static const int ignored[] = {SIGPIPE, SIGXFSZ}; /* the call says EPIPE or EFBIG */
	const struct rlimit none = {0, 0};

	(void)umask(077);
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		if (signal(ignored[i], SIG_IGN) == SIG_ERR)
			return -errno;
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	if (!SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

/* --- capabilities ------------------------------------------------------------------------- */

struct capability_sets {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[2];
};

static int capabilities_get(struct capability_sets *ret_sets)
{
	*ret_sets = (struct capability_sets){.header.version = _LINUX_CAPABILITY_VERSION_3};
	return syscall(SYS_capget, &ret_sets->header, ret_sets->data) < 0 ? -errno : 0;
}

bool capability_have(int cap)
{
	struct capability_sets sets;

	assert(cap >= 0 && cap < 64);
	return capabilities_get(&sets) == 0 &&
	       (sets.data[cap / 32].effective >> (cap % 32) & 1) != 0;
}

int capabilities_limit(uint64_t keep)
{
	struct capability_sets sets;
	int r;

	/* The bounding set first, while CAP_SETPCAP is there. Without it the set stays: no new
	 * privileges makes up for that in whoever enters a sandbox. */
	for (unsigned long cap = 0; cap < 64; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			return -errno;
	if ((r = capabilities_get(&sets)) < 0)
		return r;
	for (unsigned i = 0; i < ARRAY_LEN(sets.data); i++) {
		uint32_t mask = (uint32_t)(keep >> 32 * i);

		sets.data[i].permitted &= mask;
		sets.data[i].inheritable &= mask;
		sets.data[i].effective = sets.data[i].permitted;
	}
	return syscall(SYS_capset, &sets.header, sets.data) < 0 ? -errno : 0;
}

/* Whoever changed from root to another user shows that there is no way back. Raw calls: libc's ask
 * every thread, and abort when their answers differ. */
static int root_is_gone(void)
{
	if (geteuid() != 0 &&
	    (syscall(SYS_setresuid, 0, 0, 0) == 0 || syscall(SYS_setuid, 0) == 0)) {
		log_error("the user could become root again; ending instead");
		return -EPERM;
	}
	if (getegid() != 0 &&
	    (syscall(SYS_setresgid, 0, 0, 0) == 0 || syscall(SYS_setgid, 0) == 0)) {
		log_error("the group could become root's again; ending instead");
		return -EPERM;
	}
	return 0;
}

/* --- what holds for one thread ---------------------------------------------------------------- */

static bool confined;
static int confined_layers;

int sandbox_confine(const struct sandbox *s)
{
	const struct sandbox_rules *rules = sandbox_rules_of(s->profile);
	int r;

	assert(rules && !confined);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		r = -errno;
		log_error("no new privileges: %s", strerror(errno));
		return r;
	}
	if ((r = capabilities_limit(rules->keep_caps)) < 0) {
		log_error("capabilities can't be given up: %s", strerror(-r));
		return r;
	}
	if ((r = root_is_gone()) < 0)
		return r;
	confined = true;
	confined_layers = SANDBOX_HAS_NO_NEW_PRIVS;
	if (SANITIZED)
		return 0;
	r = landlock_enter(s, rules);
	if (r < 0) {
		log_error("Landlock: %s", strerror(-r));
		return r;
	}
	confined_layers |= r;
	return 0;
}

/* Threads made before sandbox_confine() would be outside of it: a bug of ours. */
static bool has_threads(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) < 0 || st.st_nlink > 3;
}

/* --- what holds for the process --- */

/* `rises`: its hard limit stays as it is. */
static int limit_set(int which, uint64_t value, bool rises)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)which, &limit) < 0)
		return -errno;
	limit.rlim_cur = MIN((rlim_t)value, limit.rlim_max);
	if (!rises)
		limit.rlim_max = limit.rlim_cur;
	return setrlimit((__rlimit_resource_t)which, &limit) < 0 ? -errno : 0;
}

/* 0 is no write to any file at all. A log that is a file keeps some room beside, where no disk is
 * held that could grow into it. */
static uint64_t file_size_limit(const struct sandbox *s, const struct sandbox_rules *rules)
{
	struct stat st;

	if (rules->holds_disks || fstat(STDERR_FILENO, &st) < 0 || !S_ISREG(st.st_mode))
		return s->file_size_limit;
	return MAX(s->file_size_limit, (uint64_t)st.st_size + LOG_ROOM);
}

static int limits_set(const struct sandbox *s, const struct sandbox_rules *rules)
{
	int r;

	if ((r = limit_set(RLIMIT_CORE, 0, false)) < 0 ||
	    (r = limit_set(RLIMIT_FSIZE, file_size_limit(s, rules), s->file_size_may_rise)) < 0)
		return r;
	if (s->files_limit > 0 && (r = limit_set(RLIMIT_NOFILE, s->files_limit, false)) < 0)
		return r;
	if (s->memory_limit > 0 && !SANITIZED)
		return limit_set(RLIMIT_AS, s->memory_limit, false);
	return 0;
}

static int filter_row(scmp_filter_ctx filter, const struct sandbox_call *call)
{
	struct scmp_arg_cmp checks[SANDBOX_CHECKS];
	int number = seccomp_syscall_resolve_name(call->name);
	uint32_t action = SCMP_ACT_ALLOW;
	unsigned n = 0;

	if (call->refuse)
		action = SCMP_ACT_ERRNO((uint32_t)call->refuse);
	if (number < 0)
		return 0; /* not on this architecture: nobody can call it */
	for (; n < SANDBOX_CHECKS && call->checks[n].op; n++) {
		checks[n] = call->checks[n];
		if (checks[n].op == SCMP_CMP_EQ && checks[n].datum_a == SANDBOX_OWN_PID)
			checks[n].datum_a = (uint64_t)getpid();
	}
	return seccomp_rule_add_array(filter, action, number, n, checks);
}

static int filter_fill(scmp_filter_ctx filter, const struct sandbox_rules *rules)
{
	int r;

	if ((r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) < 0 ||
	    (r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1)) < 0 ||
	    (r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2)) < 0)
		return r;
	for (size_t t = 0; t < SANDBOX_TABLES; t++)
		for (size_t i = 0; i < rules->tables[t].len; i++) {
			const struct sandbox_call *call = &rules->tables[t].calls[i];

			if ((r = filter_row(filter, call)) < 0) {
				log_error("system-call filter, %s: %s", call->name, strerror(-r));
				return r;
			}
		}
	return 0;
}

static int filter_enter(const struct sandbox_rules *rules)
{
	scmp_filter_ctx filter;
	int r;

	if (SANITIZED) {
		log_notice("a build with sanitizers: no system-call filter, no Landlock");
		return 0;
	}
	filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!filter)
		return -ENOMEM;
	r = filter_fill(filter, rules);
	if (r == 0 && (r = seccomp_load(filter)) < 0)
		log_error("the kernel refuses the system-call filter: %s; it needs "
			  "CONFIG_SECCOMP_FILTER",
			  strerror(-r));
	seccomp_release(filter);
	return r < 0 ? r : SANDBOX_HAS_SECCOMP;
}

int sandbox_enter(const struct sandbox *s)
{
	const struct sandbox_rules *rules = sandbox_rules_of(s->profile);
	int layers = 0, r;

	assert(rules);
	if (!confined && !SANITIZED && has_threads()) {
		log_error("sandbox_confine() was not called before the first thread was made");
		return -EBUSY;
	}
	if (!confined && (r = sandbox_confine(s)) < 0)
		return r;
	/* One arena: libc would look into /sys and /proc before it makes more. */
	(void)mallopt(M_ARENA_MAX, 1);
	if ((r = process_harden()) < 0 || (r = limits_set(s, rules)) < 0) {
		log_error("limits can't be set: %s", strerror(-r));
		return r;
	}
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)
		layers |= SANDBOX_HAS_NOT_DUMPABLE;
	if ((r = filter_enter(rules)) < 0)
		return r;
	return layers | confined_layers | r;
}

const char *sandbox_missing(int layers, char *ret, size_t size)
{
	static const struct {
		int layer;
		const char *name;
	} names[] = {
		{SANDBOX_HAS_SECCOMP, "system-call filter"},
		{SANDBOX_HAS_LANDLOCK_FILES, "Landlock file rules"},
		{SANDBOX_HAS_LANDLOCK_NET, "Landlock network rules"},
		{SANDBOX_HAS_NO_NEW_PRIVS, "no new privileges"},
		{SANDBOX_HAS_NOT_DUMPABLE, "not dumpable"},
	};
	size_t len = 0;

	assert(size > 0);
	ret[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names) && len < size; i++)
		if (!(layers & names[i].layer))
			len += (size_t)snprintf(ret + len, size - len, "%s%s", len > 0 ? ", " : "",
						names[i].name);
	return ret;
}

/* Landlock, by its system calls: libc has no functions for them, and the headers of
 * Debian 12 know less than newer kernels do. What the kernel does not have is left out
 * and shows in the layers. Runs in every process that enters a sandbox. */
#include "gateway/base/sandbox_landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "gateway/base/log.h"

/* struct landlock_ruleset_attr as of ABI 6. */
struct ruleset {
	uint64_t files;
	uint64_t net;	 /* since ABI 4 */
	uint64_t scoped; /* since ABI 6 */
};

#define ACCESS_FS_IOCTL_DEV	   (1ull << 15)
#define ACCESS_NET_BIND_TCP	   (1ull << 0)
#define ACCESS_NET_CONNECT_TCP	   (1ull << 1)
#define RULE_NET_PORT		   2
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ull << 0)
#define SCOPE_SIGNAL		   (1ull << 1)
#define READ_BELOW		   (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define EXECUTE			   (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE)

/* struct landlock_net_port_attr. */
struct net_port {
	uint64_t rights;
	uint64_t port;
};

/* What a rule for a file, not a folder, may hold. */
#define FILE_RIGHTS                                                   \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
	 LANDLOCK_ACCESS_FS_READ_FILE | SANDBOX_ACCESS_FS_TRUNCATE)

/* Rights that the kernel's ABI can take away. What it does not know can't be handled. */
static struct ruleset ruleset_of(long abi)
{
	struct ruleset r = {.files = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};

	if (abi >= 2)
		r.files |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		r.files |= SANDBOX_ACCESS_FS_TRUNCATE;
	if (abi >= 4)
		r.net = ACCESS_NET_BIND_TCP | ACCESS_NET_CONNECT_TCP;
	if (abi >= 5)
		r.files |= ACCESS_FS_IOCTL_DEV;
	if (abi >= 6)
		r.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	return r;
}

/* An older kernel refuses a structure that is longer than its own. */
static size_t ruleset_size(long abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset);
	return abi >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, net);
}

static int rule_add(int ruleset_fd, int fd, uint64_t rights, uint64_t handled)
{
	struct landlock_path_beneath_attr rule = {.parent_fd = fd};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	rule.allowed_access = rights & handled & (S_ISDIR(st.st_mode) ? ~0ull : FILE_RIGHTS);
	if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return -errno;
	return 0;
}

/* A path that is not there needs no rule. */
static int rules_add(int ruleset_fd, const char *const *paths, uint64_t rights, uint64_t handled)
{
	for (; paths && *paths; paths++) {
		OWNED_FD fd = open(*paths, O_PATH | O_CLOEXEC);
		int r;

		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
			continue;
		r = fd < 0 ? -errno : rule_add(ruleset_fd, fd, rights, handled);
		if (r < 0) {
			log_error("Landlock, %s: %s", *paths, strerror(-r));
			return r;
		}
	}
	return 0;
}

static int port_add(int ruleset_fd, uint16_t port)
{
	const struct net_port rule = {ACCESS_NET_CONNECT_TCP, port};

	return syscall(SYS_landlock_add_rule, ruleset_fd, RULE_NET_PORT, &rule, 0) < 0 ? -errno : 0;
}

static int ports_add(int ruleset_fd, const struct sandbox *s)
{
	int r = s->connect_port ? port_add(ruleset_fd, s->connect_port) : 0;

	for (const uint16_t *port = s->connect_ports; r == 0 && port && *port; port++)
		r = port_add(ruleset_fd, *port);
	return r;
}

int landlock_enter(const struct sandbox *s, const struct sandbox_rules *rules)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset handled;
	OWNED_FD fd = -1;
	int r;

	if (abi <= 0)
		return 0; /* not built in, or switched off */
	handled = ruleset_of(abi);
	fd = (int)syscall(SYS_landlock_create_ruleset, &handled, ruleset_size(abi), 0);
	if (fd < 0)
		return -errno;
	if (s->folder_fd >= 0 && rules->folder_rights &&
	    (r = rule_add(fd, s->folder_fd, rules->folder_rights, handled.files)) < 0)
		return r;
	if (handled.net && (r = ports_add(fd, s)) < 0)
		return r;
	if ((r = rules_add(fd, rules->read, READ_BELOW, handled.files)) < 0 ||
	    (r = rules_add(fd, rules->execute, EXECUTE, handled.files)) < 0 ||
	    (r = rules_add(fd, s->programs, EXECUTE, handled.files)) < 0)
		return r;
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return -errno;
	return SANDBOX_HAS_LANDLOCK_FILES | (handled.net ? SANDBOX_HAS_LANDLOCK_NET : 0);
}

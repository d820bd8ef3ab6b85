/* The state folder: who may read and write it, its lock, where its key is; and the
 * messages to the service manager. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "gateway/base/notify.h"
#include "gateway/base/state.h"

static char base[200];

static const char *path_of(const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof path, "%s/%s", base, name);
	return path;
}

static const struct mode_case {
	const char *why;
	mode_t before;
	int want; /* 0: opened */
	mode_t after;
} mode_cases[] = {
	{"a folder of 0700 is taken as it is", 0700, 0, 0700},
	{"0710, for the control socket's group, is left", 0710, 0, 0710},
	{"a folder that all may read is closed", 0755, 0, 0700},
	{"a folder that the group may read is closed", 0750, 0, 0700},
	{"a folder that others may enter is closed", 0711, 0, 0700},
	{"P3: a folder that the group may write is refused", 0770, -EPERM, 0770},
	{"P3: a folder that others may write is refused", 0702, -EPERM, 0702},
	{"P3: a sticky folder that others may write is refused", 01777, -EPERM, 01777},
};

static void test_mode(void **state)
{
	const struct mode_case *c = *state;
	const char *path = path_of("state");
	char why[512] = "";
	struct stat st;
	int fd;

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, c->before), 0);
	fd = state_open(path, true, why, sizeof why);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(st.st_mode & 07777, c->after);
	if (c->want < 0) {
		assert_int_equal(fd, c->want);
		assert_non_null(strstr(why, "chmod"));
		return;
	}
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static void test_make(void **state)
{
	const char *path = path_of("made");
	char why[512] = "";
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(state_open(path, false, why, sizeof why), -ENOENT);
	assert_non_null(strstr(why, "does not exist"));
	fd = state_open(path, true, why, sizeof why);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(close(fd), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(state_open(path_of("no/made"), true, why, sizeof why), -ENOENT);
	assert_non_null(strstr(why, "above it"));
}

static void test_no_folder(void **state)
{
	char path[256], why[512] = "";
	int fd;

	(void)state;
	(void)snprintf(path, sizeof path, "%s", path_of("file\x1b[2J"));
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(state_open(path, true, why, sizeof why), -ENOTDIR);
	assert_null(strchr(why, 0x1b));
	assert_non_null(strstr(why, "\\x1b[2J is no folder"));
	assert_int_equal(unlink(path), 0);
}

static void test_owner(void **state)
{
	const char *path = path_of("theirs");
	char why[512] = "";

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can give a folder away\n");
		skip();
	}
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chown(path, 54321, 54321), 0);
	assert_int_equal(state_open(path, true, why, sizeof why), -EPERM);
	assert_non_null(strstr(why, "another user"));
	assert_int_equal(rmdir(path), 0);
}

static void test_subfolder(void **state)
{
	char why[512];
	int fd = state_open(path_of("sub"), true, why, sizeof why), sub;
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	sub = state_subfolder(fd, "audit");
	assert_true(sub >= 0);
	assert_int_equal(fstat(sub, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fchmod(sub, 0777), 0);
	assert_int_equal(close(sub), 0);
	assert_int_equal(state_subfolder(fd, "audit"), -EPERM);
	assert_int_equal(unlinkat(fd, "audit", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("/tmp", fd, "audit"), 0);
	assert_true(state_subfolder(fd, "audit") < 0);
	assert_int_equal(unlinkat(fd, "audit", 0), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(rmdir(path_of("sub")), 0);
}

static void test_lock(void **state)
{
	char why[512];
	int fd = state_open(path_of("locked"), true, why, sizeof why), lock;

	(void)state;
	assert_true(fd >= 0);
	lock = state_lock(fd);
	assert_true(lock >= 0);
	assert_int_equal(state_lock(fd), -EWOULDBLOCK);
	assert_int_equal(close(lock), 0);
	lock = state_lock(fd);
	assert_true(lock >= 0);
	assert_int_equal(close(lock), 0);
	assert_int_equal(unlinkat(fd, "lock", 0), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(rmdir(path_of("locked")), 0);
}

static const struct key_case {
	const char *why, *credentials, *state;
	int want;
	const char *path;
} key_cases[] = {
	{"the default folder's key is in /etc", NULL, "/var/lib/sallyport", 0,
	 "/etc/sallyport/key"},
	{"the default folder, written with a slash", NULL, "/var/lib/sallyport/", 0,
	 "/etc/sallyport/key"},
	{"another folder's key is beside it", NULL, "/srv/x", 0, "/srv/x.key"},
	{"beside, and never in it", NULL, "/srv/x//", 0, "/srv/x.key"},
	{"a relative folder", NULL, "run/state", 0, "run/state.key"},
	{"a credential comes first", "/run/credentials/s", "/var/lib/sallyport", 0,
	 "/run/credentials/s/sallyport.key"},
	{"an empty credential folder is none", "", "/srv/x", 0, "/srv/x.key"},
	{"the current folder has no name to put it beside", NULL, ".", -EINVAL, NULL},
	{"nor has the one above", NULL, "a/..", -EINVAL, NULL},
	{"nor has the root", NULL, "/", -EINVAL, NULL},
	{"nor has an empty name", NULL, "", -EINVAL, NULL},
	{"too long for the buffer", NULL, "/srv/0123456789012345678901234567890123456789",
	 -ENAMETOOLONG, NULL},
};

static void test_key(void **state)
{
	const struct key_case *c = *state;
	char path[40] = "untouched";

	if (c->credentials)
		assert_int_equal(setenv("CREDENTIALS_DIRECTORY", c->credentials, 1), 0);
	else
		assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	assert_int_equal(state_key_path(c->state, path, sizeof path), c->want);
	assert_string_equal(path, c->want == 0 ? c->path : "untouched");
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void test_notify(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char got[64] = "";

	(void)state;
	notify_send("READY=1"); /* not open: nothing happens */
	(void)snprintf(at.sun_path, sizeof at.sun_path, "%.90s/notify", base);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", at.sun_path, 1), 0);
	notify_open();
	assert_int_equal(setenv("NOTIFY_SOCKET", "/elsewhere", 1), 0);
	notify_send("READY=1\nSTATUS=2 portals");
	assert_int_equal(recv(fd, got, sizeof got - 1, MSG_DONTWAIT), 24);
	assert_string_equal(got, "READY=1\nSTATUS=2 portals");
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(at.sun_path), 0);
	notify_send("STATUS=the manager is gone");
	assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
	notify_open();
	notify_send("READY=1");
}

int main(void)
{
	static struct tests t;
	const char *folder = getenv("TMPDIR");
	int r;

	(void)snprintf(base, sizeof base, "%s/state-XXXXXX", folder ? folder : "/tmp");
	if (!mkdtemp(base))
		return 1;
	TESTS_ADD_TABLE(&t, mode_cases, test_mode);
	TESTS_ADD_TABLE(&t, key_cases, test_key);
	tests_add(&t, "a folder is made 0700, and only when asked", test_make, NULL);
	tests_add(&t, "a file is no state folder; its name is escaped", test_no_folder, NULL);
	tests_add(&t, "P3: somebody else's folder is refused", test_owner, NULL);
	tests_add(&t, "a folder below is checked alike, a link refused", test_subfolder, NULL);
	tests_add(&t, "one gateway a state folder", test_lock, NULL);
	tests_add(&t, "the service manager of the start is told, if there is one", test_notify,
		  NULL);
	r = tests_run(&t, "base: state folder");
	(void)rmdir(base);
	return r;
}

/* The files of the store: the key is made once, never beside a store that lacks it, and
 * refused when anybody else could have read it. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include "auth/store.h"
#include "gateway/base/fd.h"
#include "gateway/base/state.h"
#include "tests/unit/test.h"

static char folder[256], state_path[300], key_path[320], why[1024];
static int state_fd = -1;

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)unsetenv("CREDENTIALS_DIRECTORY");
	(void)snprintf(folder, sizeof folder, "%s/sallyport-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(state_path, sizeof state_path, "%s/state", folder);
	(void)snprintf(key_path, sizeof key_path, "%s/state.key", folder);
	state_fd = state_open(state_path, true, why, sizeof why);
	why[0] = '\0';
	return state_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unsetenv("CREDENTIALS_DIRECTORY");
	(void)unlinkat(state_fd, STORE_FILE, 0);
	fd_close(&state_fd);
	(void)unlink(key_path);
	(void)rmdir(state_path);
	return rmdir(folder);
}

static int ensure(void)
{
	return store_key_ensure(state_path, state_fd, why, sizeof why);
}

static void write_file(const char *path, const char *bytes, size_t len, mode_t mode)
{
	OWNED_FD fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(fd_write_all(fd, bytes, len), 0);
}

static void run_made(void **state)
{
	uint8_t key[STORE_KEY_SIZE], again[STORE_KEY_SIZE];
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(ensure(), 0);
	assert_int_equal(stat(key_path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(st.st_size, 32);
	fd = store_key_open(state_path, why, sizeof why);
	assert_int_equal(store_key_read(fd, key), 0);
	fd_close(&fd);
	assert_int_equal(ensure(), 0);
	fd = store_key_open(state_path, why, sizeof why);
	assert_int_equal(store_key_read(fd, again), 0);
	fd_close(&fd);
	assert_memory_equal(key, again, sizeof key);
	assert_false(sodium_is_zero(key, sizeof key));
}

/* As /etc/sallyport is: the key for root alone, the policy beside it for the gateway's user. */
static void run_folder(void **state)
{
	char missing[320], inside[340], key[360];
	mode_t mask = umask(077); /* what every process of ours has */
	struct stat st;
	int r;

	(void)state;
	(void)snprintf(missing, sizeof missing, "%s/etc", folder);
	(void)snprintf(inside, sizeof inside, "%s/state", missing);
	(void)snprintf(key, sizeof key, "%s.key", inside);
	r = store_key_ensure(inside, state_fd, why, sizeof why);
	(void)umask(mask);
	assert_int_equal(r, 0);
	assert_int_equal(stat(missing, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0755);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(unlink(key), 0);
	assert_int_equal(rmdir(missing), 0);
}

static void run_lost(void **state)
{
	(void)state;
	assert_int_equal(store_write(state_fd, (const uint8_t *)"any", 3, why, sizeof why), 0);
	assert_int_equal(ensure(), -ENOKEY);
	assert_non_null(strstr(why, "is missing"));
	assert_non_null(strstr(why, key_path));
	assert_int_equal(access(key_path, F_OK), -1);
}

static void run_credential(void **state)
{
	char path[320];
	int fd;

	(void)state;
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
	(void)snprintf(path, sizeof path, "%s/sallyport.key", folder);
	assert_int_equal(ensure(), -ENOKEY);
	assert_non_null(strstr(why, "LoadCredential"));
	assert_int_equal(access(path, F_OK), -1);
	write_file(path, "01234567890123456789012345678901", 32, 0440);
	assert_int_equal(ensure(), 0);
	fd = store_key_open(state_path, why, sizeof why);
	assert_true(fd >= 0);
	fd_close(&fd);
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(ensure(), -EPERM);
	assert_int_equal(unlink(path), 0);
}

static const struct refused {
	const char *why;
	size_t len;
	mode_t mode;
	int want;
	const char *says;
} refused[] = {
	{"a key file that its group can read is refused", 32, 0640, -EPERM, "chmod 0600"},
	{"a key file that others can read is refused", 32, 0604, -EPERM, "chmod 0600"},
	{"a key file that its group can write is refused", 32, 0620, -EPERM, "chmod 0600"},
	{"a key file of 31 octets is refused", 31, 0600, -EINVAL, "31 octets"},
	{"a key file of 33 octets is refused", 33, 0600, -EINVAL, "33 octets"},
	{"an empty key file is refused, not filled", 0, 0600, -EINVAL, "0 octets"},
	{"a key file of 32 octets, its owner's alone, is taken", 32, 0600, 0, ""},
};

static void run_refused(void **state)
{
	const struct refused *row = *state;
	static const char bytes[33] = "key";

	assert_int_equal(setup(NULL), 0);
	write_file(key_path, bytes, row->len, row->mode);
	assert_int_equal(ensure(), row->want);
	assert_non_null(strstr(why, row->says));
	assert_int_equal(store_key_open(state_path, why, sizeof why) < 0, row->want < 0);
	assert_int_equal(teardown(NULL), 0);
}

static void run_link(void **state)
{
	(void)state;
	assert_int_equal(symlink("/dev/zero", key_path), 0);
	assert_int_equal(ensure(), -ELOOP);
	assert_int_equal(unlink(key_path), 0);
	assert_int_equal(mkdir(key_path, 0700), 0);
	assert_int_equal(ensure(), -EINVAL);
	assert_int_equal(rmdir(key_path), 0);
	assert_int_equal(mkfifo(key_path, 0600), 0); /* and does not hang */
	assert_int_equal(ensure(), -EINVAL);
}

static void run_stranger(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("only root can give a file away\n");
		skip();
	}
	assert_int_equal(ensure(), 0);
	assert_int_equal(chown(key_path, 65533, 65533), 0);
	assert_int_equal(ensure(), -EPERM);
	assert_non_null(strstr(why, "belongs to user 65533"));
}

/* Whoever is killed between the two leaves a store that the gateway can't read. */
static unsigned attributes_set_after_move(int watch)
{
	_Alignas(struct inotify_event) uint8_t bytes[4096];
	ssize_t len = read(watch, bytes, sizeof bytes);
	const struct inotify_event *e;
	unsigned count = 0;
	bool moved = false;

	assert_true(len > 0);
	for (ssize_t at = 0; at < len; at += (ssize_t)(sizeof *e + e->len)) {
		e = (const struct inotify_event *)(const void *)(bytes + at);
		count += moved && (e->mask & IN_ATTRIB);
		moved = moved || (e->mask & IN_MOVED_TO);
	}
	assert_true(moved);
	return count;
}

static void run_owner(void **state)
{
	OWNED_FD watch = -1;
	struct stat st;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can give a file away\n");
		skip();
	}
	assert_int_equal(fchown(state_fd, 65533, 65534), 0);
	watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	assert_true(watch >= 0 &&
		    inotify_add_watch(watch, state_path, IN_ATTRIB | IN_MOVED_TO) >= 0);
	assert_int_equal(store_write(state_fd, (const uint8_t *)"any", 3, why, sizeof why), 0);
	assert_true(attributes_set_after_move(watch) == 0);
	assert_int_equal(fstatat(state_fd, STORE_FILE, &st, 0), 0);
	assert_int_equal(st.st_uid, 65533);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
}

static void run_load(void **state)
{
	static const uint8_t key[STORE_KEY_SIZE] = {9};
	static const struct store_entry alice = {
		.name = "alice", .created_s = 1, .kind = STORE_SET};
	static const struct secret secret = {.len = 12};
	static struct secret slots[2];
	const char *other;
	struct store s = {.secrets = slots, .room = 2};
	struct store_list names = {0};
	OWNED_FREE uint8_t *bytes = NULL;
	size_t len;
	int fd;

	(void)state;
	assert_int_equal(store_list_load(state_fd, &names, why, sizeof why), 0);
	assert_int_equal(names.count, 0);
	store_list_free(&names);
	assert_int_equal(store_put(&s, &alice, &secret, &other), 0);
	assert_int_equal(store_seal(&s, key, &bytes, &len), 0);
	assert_false(store_has(state_fd, "alice"));
	assert_int_equal(store_write(state_fd, bytes, len, why, sizeof why), 0);
	assert_true(store_has(state_fd, "alice") && !store_has(state_fd, "bob"));
	fd = store_open(state_fd, why, sizeof why);
	assert_int_equal(store_load(&s, fd, key, why, sizeof why), 0);
	assert_int_equal(store_load(&s, fd, key, why, sizeof why), 0); /* by offset: again */
	fd_close(&fd);
	assert_int_equal(store_write(state_fd, bytes, len - 1, why, sizeof why), 0);
	assert_int_equal(store_list_load(state_fd, &names, why, sizeof why), -EBADMSG);
	assert_non_null(strstr(why, "damaged"));
	assert_false(store_has(state_fd, "alice"));
	store_clear(&s);
}

static void add(struct tests *t, const char *sentence, CMUnitTestFunction run)
{
	tests_add(t, sentence, run, NULL);
	t->list[t->count - 1].setup_func = setup;
	t->list[t->count - 1].teardown_func = teardown;
}

int main(void)
{
	static struct tests t;

	assert(sodium_init() >= 0);
	add(&t, "the key is made by the first, 0600, 32 random octets, and stays", run_made);
	add(&t, "a folder that is made for the key can be entered by all, the key read by none",
	    run_folder);
	add(&t, "a store without its key is an error, never a new key", run_lost);
	add(&t, "a systemd credential is read and never made", run_credential);
	add(&t, "a key file that is a link, a folder or a pipe is refused", run_link);
	add(&t, "a key file of another user is refused", run_stranger);
	add(&t, "a store that root writes belongs to the folder's owner, 0600", run_owner);
	add(&t, "a store is loaded from its descriptor; a damaged one says so", run_load);
	TESTS_ADD_TABLE(&t, refused, run_refused);
	return tests_run(&t, "secret_file");
}

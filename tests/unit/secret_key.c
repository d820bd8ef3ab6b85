/* The store's key: under a passphrase, and changed for another, wherever somebody is
 * killed in the midst of it. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "auth/key_wrap.h"
#include "gateway/base/fd.h"
#include "gateway/base/state.h"
#include "tests/unit/test.h"

static const struct key_cost cheap = {1, 8192};
static const uint8_t key[STORE_KEY_SIZE] = {1, 2, 3}, other_key[STORE_KEY_SIZE] = {3, 2, 1};
static const char passphrase[] = "a long passphrase";

static char folder[256], state_path[300], key_path[320], next_path[330], why[1024];
static int state_fd = -1;

/* --- under a passphrase ---------------------------------------------------------------------- */

static void wrap(uint8_t bytes[KEY_WRAPPED_SIZE])
{
	assert_int_equal(
		key_wrap(key, &cheap, (const uint8_t *)passphrase, strlen(passphrase), bytes), 0);
}

static int unwrap(const uint8_t *bytes, const char *text, uint8_t *ret_key)
{
	return key_unwrap(bytes, (const uint8_t *)text, strlen(text), ret_key);
}

static void run_round(void **state)
{
	uint8_t bytes[KEY_WRAPPED_SIZE], again[KEY_WRAPPED_SIZE], got[STORE_KEY_SIZE] = {0};

	(void)state;
	wrap(bytes);
	wrap(again);
	assert_memory_not_equal(bytes, again, sizeof bytes); /* salt and nonce are fresh */
	assert_null(memmem(bytes, sizeof bytes, key, 3));
	assert_int_equal(unwrap(bytes, passphrase, got), 0);
	assert_memory_equal(got, key, sizeof key);
	assert_int_equal(unwrap(bytes, "a long passphrasf", got), -EKEYREJECTED);
	assert_int_equal(unwrap(bytes, "a long passphrase ", got), -EKEYREJECTED);
	assert_int_equal(unwrap(bytes, "", got), -EKEYREJECTED);
}

static void run_touched(void **state)
{
	uint8_t bytes[KEY_WRAPPED_SIZE], got[STORE_KEY_SIZE] = {0};
	int r;

	(void)state;
	wrap(bytes);
	for (size_t i = 0; i < sizeof bytes * 8; i++) {
		if (i / 8 >= 12 && i / 8 < 24) /* the cost: some that this would ask for are high */
			continue;
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		r = unwrap(bytes, passphrase, got);
		assert_true(r == -EBADMSG || r == -EKEYREJECTED);
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	bytes[15] = 2; /* one pass more */
	assert_int_equal(unwrap(bytes, passphrase, got), -EKEYREJECTED);
}

static const struct costs {
	const char *why;
	size_t at;
	uint8_t octet;
	int want;
} costs[] = {
	{"a cost that is ours", 15, 1, 0},
	{"no pass at all is refused", 15, 0, -EBADMSG},
	{"64 passes are taken", 15, 64, 0},
	{"65 passes are refused", 15, 65, -EBADMSG},
	{"16 million passes are refused", 12, 1, -EBADMSG},
	{"less than 8 KiB are refused", 22, 0x1f, -EBADMSG},
	{"more than 1 GiB is refused", 20, 0x40, -EBADMSG},
	{"exabytes are refused", 16, 1, -EBADMSG},
	{"another version is refused", 11, 2, -EBADMSG},
	{"another magic is refused", 0, 's', -EBADMSG},
};

static void run_cost(void **state)
{
	const struct costs *row = *state;
	uint8_t bytes[KEY_WRAPPED_SIZE];
	struct key_wrapped k;

	wrap(bytes);
	bytes[row->at] = row->octet;
	assert_int_equal(key_wrapped_parse(bytes, sizeof bytes, &k), row->want);
	for (size_t len = 0; len < sizeof bytes; len++)
		assert_int_equal(key_wrapped_parse(bytes, len, &k), -EBADMSG);
}

/* --- another key ----------------------------------------------------------------------------- */

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
	(void)snprintf(next_path, sizeof next_path, "%s/state.key.new", folder);
	state_fd = state_open(state_path, true, why, sizeof why);
	return state_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlinkat(state_fd, STORE_FILE, 0);
	fd_close(&state_fd);
	(void)unlink(key_path);
	(void)unlink(next_path);
	(void)rmdir(state_path);
	return rmdir(folder);
}

static void key_put(const uint8_t *bytes, size_t len)
{
	OWNED_FD fd = open(key_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, bytes, len), 0);
}

static void store_put_under(const uint8_t *sealing)
{
	static struct secret slot;
	struct store s = {.secrets = &slot, .room = 1};
	uint8_t *bytes;
	size_t len;

	assert_int_equal(store_seal(&s, sealing, &bytes, &len), 0);
	assert_int_equal(store_write(state_fd, bytes, len, why, sizeof why), 0);
	free(bytes);
}

static void key_is(const uint8_t *want)
{
	OWNED_FD fd = store_key_open(state_path, why, sizeof why);
	uint8_t got[STORE_KEY_SIZE];

	assert_true(fd >= 0);
	assert_int_equal(store_key_read(fd, got), 0);
	assert_memory_equal(got, want, sizeof got);
	assert_int_equal(access(next_path, F_OK), -1);
}

static int ensure(void)
{
	return store_key_ensure(state_path, state_fd, why, sizeof why);
}

static int open_with(int fd, const char *text, uint8_t *ret_key)
{
	const struct passphrase p = {(const uint8_t *)text, strlen(text)};

	return store_key_unwrap(fd, &p, ret_key, why, sizeof why);
}

static void run_killed_before(void **state)
{
	(void)state;
	key_put(key, sizeof key);
	store_put_under(key);
	assert_int_equal(store_key_next(state_path, other_key, 32, why, sizeof why), 0);
	assert_int_equal(ensure(), 0); /* the store was not sealed anew */
	key_is(key);
}

static void run_killed_after(void **state)
{
	struct stat st;

	(void)state;
	key_put(key, sizeof key);
	store_put_under(key);
	assert_int_equal(store_key_next(state_path, other_key, 32, why, sizeof why), 0);
	store_put_under(other_key);
	assert_int_equal(ensure(), 0);
	key_is(other_key);
	assert_int_equal(stat(key_path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
}

static void run_killed_wrapped(void **state)
{
	uint8_t bytes[KEY_WRAPPED_SIZE], got[STORE_KEY_SIZE];
	OWNED_FD fd = -1;

	(void)state;
	wrap(bytes);
	key_put(other_key, sizeof other_key);
	store_put_under(other_key);
	assert_int_equal(store_key_next(state_path, bytes, sizeof bytes, why, sizeof why), 0);
	store_put_under(key); /* nobody is asked for the passphrase to tell that this is it */
	assert_int_equal(ensure(), 0);
	fd = store_key_open(state_path, why, sizeof why);
	assert_true(fd >= 0 && store_key_is_wrapped(fd));
	assert_int_equal(store_key_read(fd, got), -EINVAL);
	assert_int_equal(open_with(fd, passphrase, got), 0);
	assert_memory_equal(got, key, sizeof key);
	assert_int_equal(open_with(fd, "another", got), -EKEYREJECTED);
	assert_non_null(strstr(why, "not the passphrase"));
}

/* What is there is no key at all: half written, or somebody else's. */
static void run_rubbish(void **state)
{
	(void)state;
	key_put(key, sizeof key);
	store_put_under(key);
	assert_int_equal(store_key_next(state_path, other_key, 7, why, sizeof why), 0);
	assert_int_equal(ensure(), 0);
	key_is(key);
}

/* The next key is the only one that opens the store, which can't be looked at now. */
static void run_away(void **state)
{
	static const char away[] = "away";

	(void)state;
	key_put(key, sizeof key);
	store_put_under(key);
	assert_int_equal(store_key_next(state_path, other_key, 32, why, sizeof why), 0);
	store_put_under(other_key);
	assert_int_equal(renameat(state_fd, STORE_FILE, state_fd, away), 0);
	assert_int_equal(ensure(), 0); /* not there: its file system may not be mounted */
	assert_int_equal(access(next_path, F_OK), 0);
	assert_int_equal(store_key_next(state_path, key, 32, why, sizeof why), -EEXIST);
	assert_non_null(strstr(why, next_path));
	assert_int_equal(symlinkat(away, state_fd, STORE_FILE), 0);
	assert_int_equal(ensure(), -ELOOP); /* can't be opened */
	assert_non_null(strstr(why, next_path));
	assert_int_equal(access(next_path, F_OK), 0);
	assert_int_equal(unlinkat(state_fd, STORE_FILE, 0), 0);
	assert_int_equal(store_write(state_fd, (const uint8_t *)"any", 3, why, sizeof why), 0);
	assert_int_equal(ensure(), 0); /* damaged: a copy may be put back */
	assert_int_equal(access(next_path, F_OK), 0);
	assert_int_equal(renameat(state_fd, away, state_fd, STORE_FILE), 0);
	assert_int_equal(ensure(), 0);
	key_is(other_key);
}

/* Nor is either taken away when the store is of a third. */
static void run_neither(void **state)
{
	(void)state;
	key_put(key, sizeof key);
	store_put_under((const uint8_t[STORE_KEY_SIZE]){7});
	assert_int_equal(store_key_next(state_path, other_key, 32, why, sizeof why), 0);
	assert_int_equal(ensure(), 0);
	assert_int_equal(access(next_path, F_OK), 0);
	store_put_under(key);
	assert_int_equal(ensure(), 0);
	key_is(key);
}

static void run_credential(void **state)
{
	(void)state;
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
	assert_int_equal(store_key_next(state_path, other_key, 32, why, sizeof why), -EROFS);
	assert_non_null(strstr(why, "credential"));
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
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
	tests_add(&t, "a key comes out by the passphrase that it went in with, and by no other",
		  run_round, NULL);
	tests_add(&t, "a wrapped key with any one bit changed is refused", run_touched, NULL);
	TESTS_ADD_TABLE(&t, costs, run_cost);
	add(&t, "killed before the store is sealed anew: the old key stays", run_killed_before);
	add(&t, "killed after it: the new key takes its place", run_killed_after);
	add(&t, "a key under a passphrase takes its place without being opened",
	    run_killed_wrapped);
	add(&t, "what is no key beside the key is taken away", run_rubbish);
	add(&t, "while the store can't be read, neither key is taken away", run_away);
	add(&t, "nor when it was sealed under a third", run_neither);
	add(&t, "a systemd credential is not changed", run_credential);
	return tests_run(&t, "secret_key");
}

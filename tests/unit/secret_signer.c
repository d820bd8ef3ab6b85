/* The signer of the audit trail: made once, opened by the key of the secrets alone, also while
 * that key changes, and never taken from a file that somebody touched. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "auth/signer.h"
#include "gateway/base/fd.h"
#include "tests/unit/test.h"

static const uint8_t key[STORE_KEY_SIZE] = {1, 2, 3}, other_key[STORE_KEY_SIZE] = {3, 2, 1};
static int folder_fd = -1;
static char folder[64], why[512];
static uint8_t seed[SIGNER_SEED_SIZE], again[SIGNER_SEED_SIZE];

static int setup(void **state)
{
	(void)state;
	(void)string_copy(folder, sizeof folder, "/tmp/signer-XXXXXX");
	assert_non_null(mkdtemp(folder));
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(folder_fd >= 0);
	assert_int_equal(signer_open(folder_fd, key, seed, why, sizeof why), 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlinkat(folder_fd, SIGNER_FILE, 0);
	fd_close(&folder_fd);
	return rmdir(folder);
}

static int opened(const uint8_t *by)
{
	return signer_open(folder_fd, by, again, why, sizeof why);
}

static char *file_bytes(size_t *ret_len)
{
	char *bytes = NULL;
	OWNED_FD fd = openat(folder_fd, SIGNER_FILE, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_read_all(fd, 4096, &bytes, ret_len), 0);
	return bytes;
}

static void run_kept(void **state)
{
	size_t len;
	OWNED_FREE char *bytes = file_bytes(&len);
	struct stat st;

	(void)state;
	assert_int_equal(fstatat(folder_fd, SIGNER_FILE, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_null(memmem(bytes, len, seed, 8)); /* P3 */
	assert_int_equal(opened(key), 0);
	assert_memory_equal(seed, again, sizeof seed);
}

static void run_other_key(void **state)
{
	(void)state;
	assert_int_equal(opened(other_key), -EKEYREJECTED);
	assert_non_null(strstr(why, "put the right key back"));
}

static void run_key_changes(void **state)
{
	(void)state;
	assert_int_equal(signer_seal_under_both(folder_fd, key, other_key, why, sizeof why), 0);
	assert_int_equal(opened(other_key), 0); /* whoever was killed here had got so far */
	assert_memory_equal(seed, again, sizeof seed);
	assert_int_equal(opened(key), -EKEYREJECTED); /* … and it is settled now */
	assert_int_equal(signer_seal_under_both(folder_fd, other_key, key, why, sizeof why), 0);
	assert_int_equal(signer_seal_under_one(folder_fd, key, why, sizeof why), 0);
	assert_int_equal(opened(other_key), -EKEYREJECTED);
	assert_int_equal(opened(key), 0);
	assert_memory_equal(seed, again, sizeof seed);
}

static void run_key_changes_back(void **state)
{
	(void)state;
	assert_int_equal(signer_seal_under_both(folder_fd, key, other_key, why, sizeof why), 0);
	assert_int_equal(opened(key), 0);
	assert_int_equal(opened(other_key), -EKEYREJECTED);
}

static void run_touched(void **state)
{
	size_t len;
	OWNED_FREE char *bytes = file_bytes(&len);

	(void)state;
	for (size_t i = 0; i < len * 8; i++) {
		bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
		assert_int_equal(file_replace(folder_fd, SIGNER_FILE, bytes, len, 0600), 0);
		assert_true(opened(key) < 0);
		bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
	}
	for (size_t cut = 0; cut < len; cut++) {
		assert_int_equal(file_replace(folder_fd, SIGNER_FILE, bytes, cut, 0600), 0);
		assert_int_equal(opened(key), -EBADMSG);
	}
	assert_non_null(strstr(why, "damaged"));
}

static void run_no_signer(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(folder_fd, SIGNER_FILE, 0), 0);
	assert_int_equal(signer_seal_under_both(folder_fd, key, other_key, why, sizeof why), 0);
	assert_int_equal(opened(key), 1);
	assert_memory_not_equal(seed, again, sizeof seed);
}

static struct tests t;

int main(void)
{
	static const struct {
		const char *why;
		void (*run)(void **state);
	} rows[] = {
		{"it is made once, and its seed is nowhere in the clear", run_kept},
		{"the key of the secrets alone opens it", run_other_key},
		{"while that key changes, both open it; then the new one alone", run_key_changes},
		{"a change of the key that was cut: the old one alone", run_key_changes_back},
		{"one flipped bit, or less of it: it is refused", run_touched},
		{"without a signer there is nothing to seal again", run_no_signer},
	};

	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		tests_add(&t, rows[k].why, rows[k].run, NULL);
		t.list[k].setup_func = setup;
		t.list[k].teardown_func = teardown;
	}
	return tests_run(&t, "secret");
}

/* Sealed files: opened by the key of the secrets alone, also while that key changes, for what they
 * were made for alone, and never when somebody touched them. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "auth/sealed.h"
#include "gateway/base/fd.h"
#include "tests/unit/test.h"

#define NAME "x.key"
#define KIND "a test"

static const uint8_t key[STORE_KEY_SIZE] = {1, 2, 3}, other_key[STORE_KEY_SIZE] = {3, 2, 1};
static const uint8_t secret[] = "0123456789abcdef0123456789abcdef", in_clear[] = "who may read it";
static int folder_fd = -1;
static char folder[64];

static int setup(void **state)
{
	const struct sealed s = {KIND, in_clear, secret, sizeof in_clear, sizeof secret};
	const struct sealed_keys keys = {{key}, 1};

	(void)state;
	(void)string_copy(folder, sizeof folder, "/tmp/sealed-XXXXXX");
	assert_non_null(mkdtemp(folder));
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(folder_fd >= 0);
	assert_int_equal(sealed_write(folder_fd, NAME, &s, &keys), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlinkat(folder_fd, NAME, 0);
	fd_close(&folder_fd);
	return rmdir(folder);
}

/* What opening says; when it opens, it is what was sealed. */
static int opened(const uint8_t *by, const char *kind)
{
	uint8_t bytes[SEALED_BYTES_MAX + 1], ret[SEALED_SECRET_MAX];
	OWNED_FD fd = openat(folder_fd, NAME, O_RDONLY | O_CLOEXEC);
	struct sealed_file f;
	int r;

	assert_true(fd >= 0);
	r = sealed_read(fd, bytes, &f);
	if (r == 0)
		r = sealed_open(&f, kind, by, ret, sizeof ret);
	if (r < 0)
		return r;
	assert_int_equal(f.secret_len, sizeof secret);
	assert_memory_equal(ret, secret, sizeof secret);
	assert_int_equal(f.clear_len, sizeof in_clear);
	assert_memory_equal(f.clear, in_clear, sizeof in_clear);
	return 0;
}

static char *file_bytes(size_t *ret_len)
{
	char *bytes = NULL;
	OWNED_FD fd = openat(folder_fd, NAME, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_read_all(fd, SEALED_BYTES_MAX, &bytes, ret_len), 0);
	return bytes;
}

static void run_kept(void **state)
{
	size_t len;
	OWNED_FREE char *bytes = file_bytes(&len);
	struct stat st;

	(void)state;
	assert_int_equal(fstatat(folder_fd, NAME, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_null(memmem(bytes, len, secret, 8));
	assert_int_equal(opened(key, KIND), 0);
}

static void run_other(void **state)
{
	(void)state;
	assert_int_equal(opened(other_key, KIND), -EKEYREJECTED);
	assert_int_equal(opened(key, "another"), -EBADMSG);
}

static int again(const uint8_t *first, const uint8_t *second)
{
	const struct sealed_keys keys = {{first, second}, second ? 2 : 1};
	uint8_t memory[SEALED_SECRET_MAX];

	return sealed_again(folder_fd, NAME, KIND, &keys, memory);
}

static void run_key_changes(void **state)
{
	(void)state;
	assert_int_equal(again(other_key, NULL), -EKEYREJECTED);
	assert_int_equal(again(key, other_key), 0);
	assert_int_equal(opened(key, KIND), 0);
	assert_int_equal(opened(other_key, KIND), 0);
	assert_int_equal(again(other_key, NULL), 0);
	assert_int_equal(opened(other_key, KIND), 0);
	assert_int_equal(opened(key, KIND), -EKEYREJECTED);
}

static void run_touched(void **state)
{
	size_t len;
	OWNED_FREE char *bytes = file_bytes(&len);

	(void)state;
	for (size_t i = 0; i < len * 8; i++) {
		bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
		assert_int_equal(file_replace(folder_fd, NAME, bytes, len, 0600), 0);
		assert_true(opened(key, KIND) < 0);
		bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
	}
	for (size_t cut = 0; cut < len; cut++) {
		assert_int_equal(file_replace(folder_fd, NAME, bytes, cut, 0600), 0);
		assert_int_equal(opened(key, KIND), -EBADMSG);
	}
}

static struct tests t;

int main(void)
{
	static const struct {
		const char *why;
		void (*run)(void **state);
	} rows[] = {
		{"P3: what is sealed is nowhere in the clear, and is the owner's alone", run_kept},
		{"another key, or another kind of file: it is not opened", run_other},
		{"while the key of the secrets changes, both open it; then the new one alone",
		 run_key_changes},
		{"one flipped bit, in clear or not, or less of it: it is refused", run_touched},
	};

	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		tests_add(&t, rows[k].why, rows[k].run, NULL);
		t.list[k].setup_func = setup;
		t.list[k].teardown_func = teardown;
	}
	return tests_run(&t, "ca");
}

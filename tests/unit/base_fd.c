/* Whole reads, sealed and shared memory, replacing a file in one step. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "gateway/base/fd.h"

static int folder; /* of our own, in $TMPDIR */
static char folder_path[256];

static int file_with(const char *name, const char *text)
{
	int fd = openat(folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	return fd;
}

static void assert_file(const char *name, const char *want, mode_t mode)
{
	OWNED_FD fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	OWNED_FREE char *text = NULL;
	struct stat st;
	size_t len;

	assert_true(fd >= 0);
	assert_int_equal(fd_read_all(fd, 4096, &text, &len), 0);
	assert_string_equal(text, want);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
}

static void test_read_limit(void **state)
{
	OWNED_FD fd = file_with("limit", "0123456789");
	OWNED_FREE char *text = NULL;
	size_t len = 77;

	(void)state;
	assert_int_equal(fd_read_all(fd, 9, &text, &len), -EFBIG);
	assert_null(text);
	assert_int_equal(len, 77);
	assert_int_equal(fd_read_all(fd, 10, &text, &len), 0);
	assert_int_equal(len, 10);
	assert_string_equal(text, "0123456789");
}

static void test_read_sizes(void **state)
{
	static char text[20000];
	OWNED_FD fd = -1;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	for (size_t want = 0; want < 20000; want = want < 4 ? want + 1 : want * 2 - 3) {
		OWNED_FREE char *bytes = NULL;
		size_t len = 0;

		fd_close(&fd);
		fd = openat(folder, "sizes", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		assert_int_equal(fd_write_all(fd, text, want), 0);
		assert_int_equal(fd_read_all(fd, want, &bytes, &len), 0);
		assert_int_equal(len, want);
		assert_int_equal(bytes[len], '\0');
	}
}

static void test_read_pipe(void **state)
{
	OWNED_FREE char *text = NULL;
	int fds[2];
	size_t len;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fd_write_all(fds[1], "abc", 3), 0);
	assert_int_equal(close(fds[1]), 0);
	assert_int_equal(fd_read_all(fds[0], 100, &text, &len), 0);
	assert_string_equal(text, "abc");
	assert_int_equal(close(fds[0]), 0);
}

static void test_sealed(void **state)
{
	OWNED_FD fd = memfd_sealed("test", "script", 6);
	OWNED_FD
	again = -1;
	OWNED_FREE char *text = NULL;
	size_t len;

	(void)state;
	assert_true(fd >= 0);
	assert_true(fd_is_sealed(fd));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_true(pwrite(fd, "x", 1, 0) < 0);
	assert_true(ftruncate(fd, 0) < 0);
	assert_true(ftruncate(fd, 100) < 0);
	assert_true(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
	again = fd_reopen(fd, O_RDWR);
	if (again >= 0)
		assert_true(pwrite(again, "x", 1, 0) < 0);
	assert_int_equal(fd_read_all(fd, 100, &text, &len), 0);
	assert_string_equal(text, "script");
}

static void test_shared(void **state)
{
	OWNED_FD fd = memfd_shared("test", 8192);
	OWNED_FD
	file = file_with("plain", "x");
	uint8_t *page;

	(void)state;
	assert_true(fd >= 0);
	assert_false(fd_is_sealed(fd));
	assert_false(fd_is_sealed(file));
	assert_true(ftruncate(fd, 4096) < 0);
	assert_true(ftruncate(fd, 16384) < 0);
	assert_true(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
	page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(page != MAP_FAILED);
	assert_int_equal(page[8191], 0);
	page[0] = 1;
	assert_int_equal(munmap(page, 8192), 0);
}

static void test_reopen(void **state)
{
	OWNED_FD fd = file_with("reopen", "abc");
	OWNED_FD
	fresh = fd_reopen(fd, O_RDONLY);
	char c = 0;

	(void)state;
	assert_true(fresh >= 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 3);
	assert_int_equal(read(fresh, &c, 1), 1);
	assert_int_equal(c, 'a');
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 3);
	assert_true(write(fresh, "x", 1) < 0);
	assert_int_equal(fcntl(fresh, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fd_reopen(-1, O_RDONLY), -ENOENT);
}

static void test_replace(void **state)
{
	OWNED_FD
	old = -1;
	OWNED_FREE char *text = NULL;
	size_t len;
	mode_t mask = umask(077);

	(void)state;
	assert_int_equal(file_replace(folder, "state", "one", 3, 0600), 0);
	assert_file("state", "one", 0600);
	old = openat(folder, "state", O_RDONLY | O_CLOEXEC);
	assert_int_equal(file_replace(folder, "state", "second", 6, 0644), 0);
	assert_file("state", "second", 0644);
	assert_int_equal(fd_read_all(old, 100, &text, &len), 0);
	assert_string_equal(text, "one"); /* whoever had it open keeps a whole file */
	assert_true(faccessat(folder, ".state.new", F_OK, 0) < 0);
	(void)umask(mask);
}

static void test_replace_leftover(void **state)
{
	int victim = file_with("victim", "untouched");

	(void)state;
	assert_int_equal(close(victim), 0);
	assert_int_equal(symlinkat("victim", folder, ".crashed.new"), 0);
	assert_int_equal(file_replace(folder, "crashed", "new", 3, 0600), 0);
	assert_file("crashed", "new", 0600);
	assert_file("victim", "untouched", 0600);
}

static void test_replace_names(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_int_equal(file_replace(folder, "../x", "x", 1, 0600), -EINVAL);
	assert_int_equal(file_replace(folder, "", "x", 1, 0600), -EINVAL);
	assert_int_equal(file_replace(folder, name, "x", 1, 0600), -EINVAL);
	assert_int_equal(mkdirat(folder, "isfolder", 0700), 0);
	assert_true(file_replace(folder, "isfolder", "x", 1, 0600) < 0);
	assert_true(faccessat(folder, ".isfolder.new", F_OK, 0) < 0);
}

static void folder_make(void)
{
	const char *base = getenv("TMPDIR");

	(void)snprintf(folder_path, sizeof folder_path, "%s/fd-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(folder_path));
	folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(folder >= 0);
}

static void folder_remove(void)
{
	static const char *const names[] = {"limit", "sizes",  "plain",	  "reopen",
					    "state", "victim", "crashed", NULL};

	for (size_t i = 0; names[i]; i++)
		(void)unlinkat(folder, names[i], 0);
	(void)unlinkat(folder, "isfolder", AT_REMOVEDIR);
	(void)rmdir(folder_path);
}

int main(void)
{
	static struct tests t;
	int r;

	folder_make();
	tests_add(&t, "P6: a file beyond its limit is refused, not cut", test_read_limit, NULL);
	tests_add(&t, "files of every size are read whole", test_read_sizes, NULL);
	tests_add(&t, "a pipe is read whole", test_read_pipe, NULL);
	tests_add(&t, "P5: a sealed memfd can't be changed by anybody", test_sealed, NULL);
	tests_add(&t, "shared memory keeps its size, and can be written", test_shared, NULL);
	tests_add(&t, "a descriptor opened afresh shares no offset or access", test_reopen, NULL);
	tests_add(&t, "a file is replaced whole, with its mode", test_replace, NULL);
	tests_add(&t, "what a crash left is replaced, a link is not followed",
		  test_replace_leftover, NULL);
	tests_add(&t, "a name that leads out of the folder is refused", test_replace_names, NULL);
	r = tests_run(&t, "base: files");
	folder_remove();
	return r;
}

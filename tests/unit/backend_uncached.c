/* Claiming disks that go around the page cache (cache: none): what is refused, with which
 * sentence, and how what is claimed is opened. Block devices are in backend_device.c. */
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include "backends/disk.h"
#include "tests/unit/test.h"

#define SIZE (1u << 20)

static struct tests t;

/* A folder of the test's own on a file system in memory, or below the one that it runs in. */
static void folder_make(bool in_memory, char ret_folder[PATH_MAX])
{
	char here[PATH_MAX - 32];
	struct statfs fs;

	if (in_memory && (statfs("/dev/shm", &fs) < 0 || fs.f_type != TMPFS_MAGIC)) {
		print_message("no tmpfs at /dev/shm\n");
		skip();
	}
	assert_non_null(getcwd(here, sizeof here));
	(void)snprintf(ret_folder, PATH_MAX, "%s/uncached-XXXXXX", in_memory ? "/dev/shm" : here);
	assert_non_null(mkdtemp(ret_folder));
}

/* As the kernel says it of a file there. */
static bool has_units(const char *folder)
{
	struct statx st;
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	bool has = fd >= 0 && statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == 0 &&
		   (st.stx_mask & STATX_DIOALIGN) != 0 && st.stx_dio_offset_align > 0 &&
		   st.stx_dio_offset_align <= 512;

	close(fd);
	return has;
}

static const struct row {
	const char *why;
	enum disk_kind kind;
	bool in_memory, direct, read_only;
	uint32_t block_size;
	int want;
	const char *text;
} rows[] = {
	{"cache: none: a file is claimed, and opened with O_DIRECT for every grant", DISK_FILE,
	 false, true, false, 512, 0, ""},
	{"so is one with blocks of 4096 octets", DISK_FILE, false, true, false, 4096, 0, ""},
	{"so is one that is only read", DISK_FILE, false, true, true, 512, 0, ""},
	{"cache: page: a file is opened without O_DIRECT", DISK_FILE, false, false, false, 512, 0,
	 ""},
	{"a file on a tmpfs is nothing but page cache", DISK_FILE, true, true, false, 512,
	 -EOPNOTSUPP, "in memory, which is nothing but page cache: move it, or write cache: page"},
	{"on a tmpfs cache: page is taken", DISK_FILE, true, false, false, 512, 0, ""},
	{"a disk in memory has no way around it", DISK_MEMORY, false, true, false, 512, -EINVAL,
	 "no way around the page cache"},
};

static int claim(const struct row *row, const char *folder, const char *path, struct disk *ret_disk,
		 char why[512])
{
	struct disk_spec spec = {.kind = row->kind,
				 .name = "vault",
				 .path = path,
				 .size_bytes = SIZE,
				 .direct = row->direct,
				 .block_size = row->block_size,
				 .roots = &folder,
				 .root_count = 1};
	int r = disk_claim(&spec, ret_disk, why, 512); /* which makes it */

	if (r < 0 || !row->read_only)
		return r;
	disk_release(ret_disk);
	spec.read_only = true;
	return disk_claim(&spec, ret_disk, why, 512);
}

static void check_opened(const struct row *row, const struct disk *d)
{
	for (int writable = 0; writable <= !row->read_only; writable++) {
		int fd = disk_open(d, writable), flags = fcntl(fd, F_GETFL);

		assert_true(fd >= 0 && flags >= 0);
		assert_int_equal(flags & O_ACCMODE, writable ? O_RDWR : O_RDONLY);
		assert_int_equal((flags & O_DIRECT) != 0, row->direct);
		close(fd);
	}
	assert_int_equal(fcntl(d->claim_fd, F_GETFL) & O_DIRECT, 0);
}

static void run_row(void **state)
{
	const struct row *row = *state;
	char folder[PATH_MAX], path[PATH_MAX + 16], why[512] = "";
	struct disk d;
	int r;

	folder_make(row->in_memory, folder);
	(void)snprintf(path, sizeof path, "%s/vault.img", folder);
	if (row->direct && row->want == 0 && !has_units(folder)) {
		(void)rmdir(folder);
		print_message("this file system tells no units of O_DIRECT up to 512 octets\n");
		skip();
	}
	r = claim(row, folder, path, &d, why);
	if (r == 0) {
		check_opened(row, &d);
		disk_release(&d);
	}
	(void)unlink(path);
	(void)rmdir(folder);
	assert_int_equal(r, row->want);
	if (!strstr(why, row->text))
		print_error("\"%s\"\n", why);
	assert_non_null(strstr(why, row->text));
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, run_row);
	return tests_run(&t, "backend uncached");
}

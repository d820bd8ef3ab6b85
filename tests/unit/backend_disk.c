/* Disks as the monitor claims, opens and checks them: what the policy names, what lies
 * there, and what happens to it afterwards. */
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "backends/disk.h"
#include "tests/unit/test.h"

#define SIZE 65536u

static struct tests t;
static char root[PATH_MAX], path[PATH_MAX], outside[PATH_MAX];

static const char *join(char ret[PATH_MAX], const char *a, const char *b)
{
	int n = snprintf(ret, PATH_MAX, "%s%s", a, b);

	assert_true(n > 0 && n < PATH_MAX);
	return ret;
}

/* root/ is the one disk root, outside/ lies beside it. */
static int folders_make(void **state)
{
	char *base = realpath(".", NULL);

	(void)state;
	join(root, base, "/disk-test-XXXXXX");
	free(base);
	assert_non_null(mkdtemp(root));
	join(outside, root, "-outside");
	join(path, root, "/disk.img");
	return mkdir(outside, 0700);
}

static int folders_remove(void **state)
{
	char command[3 * PATH_MAX];

	(void)state;
	(void)snprintf(command, sizeof command, "rm -rf '%s' '%s'", root, outside);
	return system(command);
}

static void file_make(const char *name, off_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void nothing(void)
{
}

static void image(void)
{
	file_make(path, SIZE);
}

static void image_elsewhere(void)
{
	char target[PATH_MAX];

	join(target, outside, "/secret.img");
	file_make(target, SIZE);
	assert_int_equal(symlink(target, path), 0);
}

static void folder_elsewhere(void)
{
	char link[PATH_MAX];

	join(link, root, "/way");
	assert_int_equal(symlink(outside, link), 0);
	join(path, root, "/way/new.img");
}

static void neighbour(void)
{
	join(path, outside, "/disk.img");
	file_make(path, SIZE);
}

static void dots(void)
{
	char up[PATH_MAX], over[PATH_MAX];

	neighbour();
	join(up, root, "/..");
	join(over, up, strrchr(outside, '/'));
	join(path, over, "/disk.img");
}

static void link_inside(void)
{
	char target[PATH_MAX];

	join(target, root, "/real.img");
	file_make(target, SIZE);
	assert_int_equal(symlink(target, path), 0);
}

static void link_to_nothing(void)
{
	assert_int_equal(symlink("gone.img", path), 0);
}

static void folder(void)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

static void fifo(void)
{
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void odd_image(void)
{
	file_make(path, SIZE + 1);
}

static void empty_image(void)
{
	file_make(path, 0);
}

static void no_folder(void)
{
	join(path, root, "/no/such/disk.img");
}

static void slash_at_end(void)
{
	join(path, root, "/new/");
}

static void relative(void)
{
	join(path, "disk", ".img");
}

static void own_image(void)
{
	image();
	assert_int_equal(chmod(path, 0400), 0);
}

static void closed_folder(void)
{
	assert_int_equal(chmod(root, 0500), 0);
}

static const struct row {
	const char *why;
	void (*prepare)(void);
	enum disk_kind kind;
	uint64_t size;
	bool read_only;
	int want;
	const char *text; /* in the sentence */
} cases[] = {
	{"a file that is there is claimed", image, DISK_FILE, SIZE, false, 0, NULL},
	{"a file tells its size when the policy has none", image, DISK_FILE, 0, false, 0, NULL},
	{"a file for reading only is claimed", image, DISK_FILE, 0, true, 0, NULL},
	{"a missing file with a size is made", nothing, DISK_FILE, SIZE, false, 0, NULL},
	{"a symbolic link that stays below a root is followed", link_inside, DISK_FILE, 0, false, 0,
	 NULL},
	{"a missing file without a size is refused", nothing, DISK_FILE, 0, false, -ENOENT,
	 "give it a size"},
	{"a missing file for reading only is refused", nothing, DISK_FILE, SIZE, true, -ENOENT,
	 "never made"},
	{"a missing folder is refused", no_folder, DISK_FILE, SIZE, false, -ENOENT,
	 "make the folder first"},
	{"a path that ends in a slash is refused", slash_at_end, DISK_FILE, SIZE, false, -EINVAL,
	 "names no file"},
	{"a relative path is refused", relative, DISK_FILE, SIZE, false, -EINVAL,
	 "must begin with /"},
	{"a smaller file is refused, and told how to grow", image, DISK_FILE, SIZE * 2, false,
	 -ENODATA, "truncate --size=131072"},
	{"a larger file is refused, and never cut", image, DISK_FILE, SIZE / 2, false, -EFBIG,
	 "never cut"},
	{"a size that is no multiple of 512 is refused", image, DISK_FILE, SIZE + 1, false, -EINVAL,
	 "512"},
	{"a file of broken blocks is refused", odd_image, DISK_FILE, 0, false, -EINVAL,
	 "512-octet blocks"},
	{"an empty file is refused", empty_image, DISK_FILE, 0, false, -EINVAL, "0 octets"},
	{"P1: a link that leaves the roots is refused", image_elsewhere, DISK_FILE, 0, false,
	 -EACCES, "outside disk_roots"},
	{"P1: nothing is made through a folder that leaves the roots", folder_elsewhere, DISK_FILE,
	 SIZE, false, -EACCES, "outside disk_roots"},
	{"P1: a folder that only begins like a root is outside", neighbour, DISK_FILE, 0, false,
	 -EACCES, "outside disk_roots"},
	{"P1: dots don't lead out of a root", dots, DISK_FILE, 0, false, -EACCES,
	 "outside disk_roots"},
	{"a link to nothing is refused", link_to_nothing, DISK_FILE, SIZE, false, -EEXIST,
	 "symbolic link to nothing"},
	{"a folder is no disk", folder, DISK_FILE, 0, false, -EINVAL, "no regular file"},
	{"a FIFO is no disk, and is not waited for", fifo, DISK_FILE, 0, false, -EINVAL,
	 "no regular file"},
	{"a file that we may not write is refused", own_image, DISK_FILE, 0, false, -EACCES,
	 "for writing"},
	{"a file that we may only read is claimed for reading", own_image, DISK_FILE, 0, true, 0,
	 NULL},
	{"a folder that we may not write makes no file", closed_folder, DISK_FILE, SIZE, false,
	 -EACCES, "can't make"},
	{"a file is no device", image, DISK_DEVICE, 0, false, -ENOTBLK, "file: instead of device:"},
	{"a missing device is refused", nothing, DISK_DEVICE, 0, false, -ENOENT, "plugged in"},
	{"a memory disk is made", nothing, DISK_MEMORY, SIZE, false, 0, NULL},
	{"a memory disk without a size is refused", nothing, DISK_MEMORY, 0, false, -EINVAL,
	 "needs a size"},
};

static int claim(const struct row *row, struct disk *ret_disk, char *why, size_t why_size)
{
	const char *roots[] = {"/nowhere/at/all", root};
	struct disk_spec spec = {.kind = row->kind,
				 .name = "vault",
				 .path = path,
				 .size_bytes = row->size,
				 .read_only = row->read_only,
				 .roots = roots,
				 .root_count = ARRAY_LEN(roots)};

	return disk_claim(&spec, ret_disk, why, why_size);
}

/* Root reads and writes everything: without these two capabilities it is like anybody. */
static void act_as_owner(bool on)
{
	static struct __user_cap_data_struct all[2];
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct some[2];

	if (!on) {
		assert_int_equal(syscall(SYS_capset, &header, all), 0);
		return;
	}
	assert_int_equal(syscall(SYS_capget, &header, all), 0);
	memcpy(some, all, sizeof some);
	some[0].effective &= ~(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH);
	assert_int_equal(syscall(SYS_capset, &header, some), 0);
}

static void check_claimed(struct disk *d)
{
	struct stat st;

	assert_int_equal(d->size_bytes, SIZE);
	assert_int_equal(fstat(d->claim_fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_int_equal(disk_check(d), 0);
	disk_release(d);
	assert_int_equal(d->claim_fd, -1);
}

static void run_claim(void **state)
{
	const struct row *row = *state;
	char why[512] = "";
	struct disk d;
	int r;

	(void)folders_make(NULL);
	row->prepare();
	act_as_owner(true);
	r = claim(row, &d, why, sizeof why);
	act_as_owner(false);
	if (r != row->want || (row->text && !strstr(why, row->text)))
		print_error("%d: \"%s\"\n", r, why);
	assert_int_equal(r, row->want);
	if (r == 0)
		check_claimed(&d);
	else
		assert_non_null(strstr(why, row->text));
	(void)chmod(root, 0700);
	(void)folders_remove(NULL);
}

/* --- what happens to a claimed disk --------------------------------------------------------- */

static const struct row claimed = {.kind = DISK_FILE, .size = SIZE};
static const struct row shared = {.kind = DISK_FILE, .read_only = true};

static void second_gateway(void)
{
	struct disk a, b;
	char why[512] = "";

	assert_int_equal(claim(&claimed, &a, why, sizeof why), 0);
	assert_int_equal(claim(&claimed, &b, why, sizeof why), -EBUSY);
	assert_non_null(strstr(why, "claimed by another program"));
	assert_int_equal(claim(&shared, &b, why, sizeof why), -EBUSY);
	disk_release(&a);
	assert_int_equal(claim(&claimed, &a, why, sizeof why), 0);
	disk_release(&a);
}

static void two_readers(void)
{
	struct disk a, b;
	char why[512] = "";

	image();
	assert_int_equal(claim(&shared, &a, why, sizeof why), 0);
	assert_int_equal(claim(&shared, &b, why, sizeof why), 0);
	assert_int_equal(claim(&claimed, &(struct disk){0}, why, sizeof why), -EBUSY);
	assert_int_equal(disk_open(&a, true), -EROFS);
	disk_release(&a);
	disk_release(&b);
}

static void private_and_sparse(void)
{
	static const struct row big = {.kind = DISK_FILE, .size = (uint64_t)1 << 40};
	struct disk d;
	struct stat st;
	char why[512] = "";

	(void)umask(0);
	assert_int_equal(claim(&big, &d, why, sizeof why), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_true(st.st_blocks < 128);
	disk_release(&d);
}

static void fresh_opens(void)
{
	struct disk d;
	char why[512] = "", byte = 'x';
	int w, r;

	assert_int_equal(claim(&claimed, &d, why, sizeof why), 0);
	w = disk_open(&d, true);
	r = disk_open(&d, false);
	assert_true(w >= 0 && r >= 0);
	assert_int_equal(lseek(w, 512, SEEK_SET), 512);
	assert_int_equal(lseek(r, 0, SEEK_CUR), 0);
	assert_int_equal(write(w, &byte, 1), 1);
	assert_int_equal(write(r, &byte, 1), -1);
	assert_int_equal(fcntl(r, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_true(fcntl(r, F_GETFD) & FD_CLOEXEC);
	close(w);
	close(r);
	disk_release(&d);
}

static void replaced(void)
{
	char other[PATH_MAX];
	struct disk d;
	char why[512] = "";

	assert_int_equal(claim(&claimed, &d, why, sizeof why), 0);
	join(other, root, "/other.img");
	file_make(other, SIZE);
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(disk_check(&d), -ESTALE);
	assert_int_equal(disk_open(&d, true), -ESTALE);
	disk_release(&d);
}

static void deleted(void)
{
	struct disk d;
	char why[512] = "";

	assert_int_equal(claim(&claimed, &d, why, sizeof why), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(disk_check(&d), -ESTALE);
	assert_int_equal(disk_open(&d, false), -ESTALE);
	disk_release(&d);
}

static void shrank(void)
{
	struct disk d;
	char why[512] = "";

	assert_int_equal(claim(&claimed, &d, why, sizeof why), 0);
	assert_int_equal(truncate(path, SIZE - 1), 0);
	assert_int_equal(disk_check(&d), -ENODATA);
	disk_release(&d);
}

static void memory(void)
{
	static const struct row ram = {.kind = DISK_MEMORY, .size = SIZE};
	struct disk d;
	char why[512] = "", byte = 'x';
	int w, r;

	assert_int_equal(claim(&ram, &d, why, sizeof why), 0);
	w = disk_open(&d, true);
	r = disk_open(&d, false);
	assert_int_equal(pwrite(w, &byte, 1, SIZE - 1), 1);
	byte = 0;
	assert_int_equal(pread(r, &byte, 1, SIZE - 1), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(pwrite(r, &byte, 1, 0), -1);
	assert_int_equal(ftruncate(w, SIZE * 2), -1);
	assert_int_equal(ftruncate(w, 0), -1);
	close(w);
	close(r);
	disk_release(&d);
}

static const struct {
	const char *why;
	void (*run)(void);
} lives[] = {
	{"a second gateway is refused while the first has the file", second_gateway},
	{"two gateways may read one file, and none may write it", two_readers},
	{"a file that is made is 0600 and sparse", private_and_sparse},
	{"P3: each grant is an open of its own, with the access of the grant", fresh_opens},
	{"a file that was replaced is not opened", replaced},
	{"a file that was deleted is not opened", deleted},
	{"a file that shrank is noticed", shrank},
	{"a memory disk keeps its bytes and its size", memory},
};

static void run_life(void **state)
{
	const __typeof__(lives[0]) *row = *state;

	(void)folders_make(NULL);
	row->run();
	(void)folders_remove(NULL);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, cases, run_claim);
	TESTS_ADD_TABLE(&t, lives, run_life);
	return tests_run(&t, "backend_disk");
}

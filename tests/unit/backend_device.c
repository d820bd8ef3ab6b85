/* Block devices as disks, on a loop device that the test makes (root, and a kernel with
 * loop devices): claimed against mounts and other programs, opened afresh, checked. */
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "backends/disk.h"
#include "tests/unit/test.h"

#define SIZE (1u << 20)

static struct tests t;

struct device {
	char path[32];
	int fd, file;
};

static int loop_attach(int control, struct device *d, uint32_t flags, uint32_t block)
{
	struct loop_config config = {
		.fd = (uint32_t)d->file, .block_size = block, .info.lo_flags = flags};

	for (int tries = 0; tries < 20; tries++) { /* others may take the free one first */
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		if (number < 0)
			return -errno;
		(void)snprintf(d->path, sizeof d->path, "/dev/loop%d", number);
		d->fd = open(d->path, O_RDWR | O_CLOEXEC);
		if (d->fd >= 0 && ioctl(d->fd, LOOP_CONFIGURE, &config) == 0)
			return 0;
		fd_close(&d->fd);
	}
	return -EBUSY;
}

static struct device device_of_blocks(uint32_t flags, uint32_t block)
{
	char name[] = "device-XXXXXX";
	struct device d = {.fd = -1};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), r;

	if (control < 0) {
		print_message("no loop devices for us here: %s\n", strerror(errno));
		skip();
	}
	d.file = mkostemp(name, O_CLOEXEC);
	assert_true(d.file >= 0);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(ftruncate(d.file, SIZE), 0);
	r = loop_attach(control, &d, flags | LO_FLAGS_AUTOCLEAR, block);
	close(control);
	if (r < 0) {
		print_message("no loop device can be made here: %s\n", strerror(-r));
		close(d.file);
		skip();
	}
	return d;
}

static struct device device_make(uint32_t flags)
{
	return device_of_blocks(flags, 512);
}

static void device_end(struct device *d)
{
	close(d->fd);
	close(d->file);
}

static int claim(const char *path, const char *root, bool read_only, struct disk *ret_disk,
		 char why[512])
{
	struct disk_spec spec = {.kind = DISK_DEVICE,
				 .name = "archive",
				 .path = path,
				 .read_only = read_only,
				 .roots = &root,
				 .root_count = 1};

	why[0] = '\0';
	return disk_claim(&spec, ret_disk, why, 512);
}

static void claimed(void)
{
	struct device dev = device_make(0);
	struct disk d;
	char why[512], byte = 'x';
	int w, r;

	assert_int_equal(claim(dev.path, "/dev", false, &d, why), 0);
	assert_int_equal(d.size_bytes, SIZE);
	assert_int_equal(disk_check(&d), 0);
	w = disk_open(&d, true);
	r = disk_open(&d, false);
	assert_true(w >= 0 && r >= 0);
	assert_int_equal(pwrite(w, &byte, 1, 0), 1);
	assert_int_equal(pwrite(r, &byte, 1, 0), -1);
	close(w);
	close(r);
	disk_release(&d);
	device_end(&dev);
}

static void in_use(void)
{
	struct device dev = device_make(0);
	struct disk d;
	char why[512];
	int other = open(dev.path, O_RDONLY | O_EXCL | O_CLOEXEC); /* as a mount does */

	assert_true(other >= 0);
	assert_int_equal(claim(dev.path, "/dev", false, &d, why), -EBUSY);
	assert_non_null(strstr(why, "in use: mounted"));
	close(other);
	assert_int_equal(claim(dev.path, "/dev", false, &d, why), 0);
	assert_int_equal(open(dev.path, O_RDONLY | O_EXCL | O_CLOEXEC), -1);
	assert_int_equal(errno, EBUSY);
	disk_release(&d);
	device_end(&dev);
}

static void fixed(void)
{
	struct device dev = device_make(LO_FLAGS_READ_ONLY);
	struct disk d;
	char why[512];
	int r = claim(dev.path, "/dev", false, &d, why);

	assert_true(r == -EROFS || r == -EACCES);
	assert_int_equal(claim(dev.path, "/dev", true, &d, why), 0);
	assert_int_equal(disk_open(&d, true), -EROFS);
	disk_release(&d);
	device_end(&dev);
}

static void outside(void)
{
	struct device dev = device_make(0);
	struct disk d;
	char why[512];

	assert_int_equal(claim(dev.path, "/srv", false, &d, why), -EACCES);
	assert_non_null(strstr(why, "outside disk_roots"));
	device_end(&dev);
}

static void shrank(void)
{
	struct device dev = device_make(0);
	struct disk d;
	char why[512];

	assert_int_equal(claim(dev.path, "/dev", false, &d, why), 0);
	assert_int_equal(ftruncate(dev.file, SIZE / 2), 0);
	assert_int_equal(ioctl(dev.fd, LOOP_SET_CAPACITY), 0);
	assert_int_equal(disk_check(&d), -ENODATA);
	disk_release(&d);
	device_end(&dev);
}

static void another(void)
{
	struct device a = device_make(0), b = device_make(0);
	char link[] = "link-XXXXXX", where[4096], here[2048], why[512];
	struct disk d;

	assert_non_null(mkdtemp(link));
	assert_non_null(getcwd(here, sizeof here));
	(void)snprintf(where, sizeof where, "%s/%s/disk", here, link);
	assert_int_equal(symlink(a.path, where), 0);
	assert_int_equal(claim(where, "/dev", false, &d, why), 0);
	assert_int_equal(unlink(where), 0);
	assert_int_equal(symlink(b.path, where), 0);
	assert_int_equal(disk_check(&d), -ESTALE);
	assert_int_equal(disk_open(&d, true), -ESTALE);
	disk_release(&d);
	assert_int_equal(unlink(where), 0);
	assert_int_equal(rmdir(link), 0);
	device_end(&a);
	device_end(&b);
}

/* Its own blocks are what O_DIRECT takes; the page cache would have hidden them. */
static void around_the_cache(void)
{
	static const struct {
		uint32_t device, disk;
		int want;
	} rows[] = {{512, 512, 0}, {512, 4096, 0}, {4096, 4096, 0}, {4096, 512, -EOPNOTSUPP}};
	const char *root = "/dev";

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct device dev = device_of_blocks(0, rows[i].device);
		struct disk_spec spec = {.kind = DISK_DEVICE,
					 .name = "archive",
					 .path = dev.path,
					 .direct = true,
					 .block_size = rows[i].disk,
					 .roots = &root,
					 .root_count = 1};
		struct disk d;
		char why[512] = "block_size: 4096";
		int fd;

		assert_int_equal(disk_claim(&spec, &d, why, sizeof why), rows[i].want);
		assert_non_null(strstr(why, "block_size: 4096"));
		if (rows[i].want == 0) {
			fd = disk_open(&d, true);
			assert_true(fd >= 0 && (fcntl(fd, F_GETFL) & O_DIRECT) != 0);
			close(fd);
			disk_release(&d);
		}
		device_end(&dev);
	}
}

static const struct {
	const char *why;
	void (*run)(void);
} cases[] = {
	{"a device is claimed, and each grant is an open of its own", claimed},
	{"a device that is mounted or claimed is refused, and ours keeps others out", in_use},
	{"a device that can only be read is refused for writing", fixed},
	{"P1: a device outside the roots is refused", outside},
	{"a device that shrank is noticed", shrank},
	{"a path that names another device now is not opened", another},
	{"cache: none: a device's blocks may not be larger than the disk's", around_the_cache},
};

static void run_case(void **state)
{
	const __typeof__(cases[0]) *row = *state;

	row->run();
}

int main(void)
{
	TESTS_ADD_TABLE(&t, cases, run_case);
	return tests_run(&t, "backend_device");
}

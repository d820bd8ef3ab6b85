/* Discarding and zeroing ranges of a disk, on both engines: what is read afterwards, what room
 * is taken, and that other requests go on meanwhile. */
#include <sys/mman.h>
#include "tests/unit/backend_rig.h"

static struct tests t;

static const struct row {
	const char *why;
	enum engine_kind kind;
	enum io_op op;
	uint32_t offset, length;
	bool gives_back; /* room on the file system */
} cases[] = {
	{"io_uring: a discarded range reads as zeroes and gives its room back", ENGINE_URING,
	 IO_DISCARD, 65536, 131072, true},
	{"threads: a discarded range reads as zeroes and gives its room back", ENGINE_THREADS,
	 IO_DISCARD, 65536, 131072, true},
	{"io_uring: a zeroed range reads as zeroes and keeps its room", ENGINE_URING, IO_ZERO,
	 65536, 131072, false},
	{"threads: a zeroed range reads as zeroes and keeps its room", ENGINE_THREADS, IO_ZERO,
	 65536, 131072, false},
	{"a discarded block within a page takes its neighbours along in no way", ENGINE_THREADS,
	 IO_DISCARD, 66048, 512, false},
	{"a discard at the end of the disk does not change its size", ENGINE_THREADS, IO_DISCARD,
	 DISK_SIZE - 4096, 4096, true},
};

static blkcnt_t room(const struct rig *rig)
{
	struct stat st;

	assert_int_equal(fsync(rig->fd), 0);
	assert_int_equal(fstat(rig->fd, &st), 0);
	assert_int_equal(st.st_size, DISK_SIZE);
	return st.st_blocks;
}

static void run_case(void **state)
{
	static uint8_t bytes[DISK_SIZE], now[DISK_SIZE];
	const struct row *row = *state;
	struct rig rig = rig_open(row->kind);
	struct request write = request_make(IO_WRITE, 0, bytes, sizeof bytes);
	struct request change = request_make(row->op, row->offset, NULL, 0);
	blkcnt_t before;
	int r;

	fill(bytes, sizeof bytes, 3);
	assert_int_equal(rig_run(&rig, &write), 0);
	before = room(&rig);
	change.io.length = row->length;
	r = rig_run(&rig, &change);
	if (r == -EOPNOTSUPP) {
		print_message("this file system can't\n");
		rig_close(&rig);
		skip();
	}
	assert_int_equal(r, 0);
	memset(bytes + row->offset, 0, row->length);
	assert_int_equal(pread(rig.fd, now, sizeof now, 0), sizeof now);
	assert_true(memcmp(bytes, now, sizeof now) == 0);
	if (row->gives_back)
		assert_true(room(&rig) <= before - row->length / 512);
	else
		assert_true(room(&rig) >= before);
	rig_close(&rig);
}

/* The two ways that io_uring's engine goes are waited for in one place. */
static void mixed(void **state)
{
	static uint8_t bytes[8][4096];
	struct rig rig = rig_open(*(enum engine_kind *)*state);
	struct request q[16];

	for (unsigned i = 0; i < ARRAY_LEN(q); i++) {
		q[i] = i % 2 ? request_make(IO_DISCARD, (uint64_t)i * 4096, NULL, 0)
			     : request_make(IO_WRITE, (uint64_t)i * 4096, bytes[i / 2], 4096);
		q[i].io.length = 4096;
		rig_submit(&rig, &q[i]);
	}
	rig_wait(&rig);
	for (unsigned i = 0; i < ARRAY_LEN(q); i++) {
		assert_int_equal(q[i].done, 1);
		assert_true(q[i].result == 0 || q[i].result == -EOPNOTSUPP);
	}
	rig_close(&rig);
}

static void extents(void **state)
{
	static uint8_t bytes[131072];
	static const struct {
		uint32_t at, end;
		bool data;
	} want[] = {{0, 65536, false},
		    {65536, 196608, true},
		    {131072, 196608, true},
		    {196608, DISK_SIZE, false},
		    {DISK_SIZE - 512, DISK_SIZE, false}};
	struct rig rig = rig_open(*(enum engine_kind *)*state);
	struct request write = request_make(IO_WRITE, 65536, bytes, sizeof bytes);

	assert_int_equal(rig_run(&rig, &write), 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		struct request find = request_make(IO_EXTENT, want[i].at, NULL, 0);

		find.io.length = 512;
		assert_int_equal(rig_run(&rig, &find), 0);
		assert_int_equal(find.io.extent_is_data, want[i].data);
		assert_int_equal(find.io.extent_end, want[i].end);
	}
	rig_close(&rig);
}

/* A memory disk: sealed against every change of its size. */
static void sealed_memory(void **state)
{
	struct rig rig = {.lifeline = -1};
	struct request change = request_make(IO_DISCARD, 4096, NULL, 0);
	int fd = memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL), 0);
	assert_true(rig_engine(&rig, ENGINE_THREADS));
	assert_int_equal(backend_open(rig.engine, fd, DISK_SIZE, true, &rig.disk), 0);
	change.io.length = 8192;
	assert_int_equal(rig_run(&rig, &change), 0);
	backend_close(rig.disk);
	engine_close(rig.engine);
	close(rig.lifeline);
}

int main(void)
{
	static enum engine_kind kinds[] = {ENGINE_URING, ENGINE_THREADS};

	TESTS_ADD_TABLE(&t, cases, run_case);
	tests_add(&t, "io_uring: discards and writes run at once", mixed, &kinds[0]);
	tests_add(&t, "threads: discards and writes run at once", mixed, &kinds[1]);
	tests_add(&t, "io_uring: holes and data are told apart", extents, &kinds[0]);
	tests_add(&t, "threads: holes and data are told apart", extents, &kinds[1]);
	tests_add(&t, "a memory disk discards, for all its seals", sealed_memory, NULL);
	return tests_run(&t, "backend discard");
}

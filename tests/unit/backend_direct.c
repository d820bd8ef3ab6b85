/* Disks around the page cache (O_DIRECT), on both engines: what is read and written, whatever
 * memory it comes from, where the file ends, and that no page of it stays in memory. */
#include <sys/mman.h>
#include "backends/engine.h"
#include "tests/unit/backend_rig.h"

#define BLOCK 512u

static struct tests t;
static _Alignas(IO_ALIGNED) uint8_t bytes[DISK_SIZE], seen[DISK_SIZE];

/* False, with the reason printed. */
static bool rig_direct(struct rig *rig)
{
	int fd = open(rig->path, O_RDWR | O_CLOEXEC | O_DIRECT);

	if (fd < 0) {
		print_message("no O_DIRECT here: %s\n", strerror(errno));
		return false;
	}
	if (pread(fd, seen, BLOCK, BLOCK) != BLOCK) {
		print_message("O_DIRECT has larger blocks here: %s\n", strerror(errno));
		close(fd);
		return false;
	}
	backend_close(rig->disk);
	rig->disk = NULL;
	assert_int_equal(backend_open(rig->engine, fd, DISK_SIZE, true, &rig->disk), 0);
	assert_true(rig->disk->direct);
	return true;
}

/* Pages of the file that are in memory. */
static unsigned pages_cached(const struct rig *rig)
{
	static unsigned char there[DISK_SIZE / 4096];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned count = 0;
	void *m = mmap(NULL, DISK_SIZE, PROT_READ, MAP_SHARED, rig->fd, 0);

	assert_true(m != MAP_FAILED);
	assert_int_equal(mincore(m, DISK_SIZE, there), 0);
	assert_int_equal(munmap(m, DISK_SIZE), 0);
	for (size_t i = 0; i < DISK_SIZE / page; i++)
		count += there[i] & 1;
	return count;
}

/* A file system that tells its units goes around the page cache. */
static bool says_how(const struct rig *rig)
{
	struct statx st;

	return statx(rig->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == 0 &&
	       (st.stx_mask & STATX_DIOALIGN) != 0;
}

static void uncache(const struct rig *rig)
{
	assert_int_equal(fsync(rig->fd), 0);
	assert_int_equal(posix_fadvise(rig->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

/* What another descriptor sees. */
static void check_disk(const struct rig *rig, const uint8_t *want, size_t len, off_t at)
{
	static uint8_t now[DISK_SIZE];

	assert_int_equal(pread(rig->fd, now, len, at), len);
	assert_memory_equal(now, want, len);
}

static void nothing_stays(struct rig *rig)
{
	struct request w = request_make(IO_WRITE, 0, bytes, DISK_SIZE);
	struct request r = request_make(IO_READ, 0, seen, DISK_SIZE);

	if (pages_cached(rig) > 0)
		uncache(rig);
	assert_int_equal(rig_run(rig, &w), 0);
	assert_int_equal(rig_run(rig, &r), 0);
	assert_memory_equal(seen, bytes, DISK_SIZE);
	if (pages_cached(rig) > 0 && !says_how(rig)) {
		print_message("this file system goes through the page cache all the same\n");
		return;
	}
	assert_int_equal(pages_cached(rig), 0);
}

static void as_it_lies(struct rig *rig)
{
	struct request q = request_make(IO_READ, BLOCK, seen, BLOCK);
	struct request two = request_make(IO_WRITE, 0, bytes, 8192);

	rig_submit(rig, &q);
	assert_false(q.io.bounces);
	two.io.iov[0].iov_len = 4096;
	two.io.iov[1] = (struct iovec){bytes + 65536, 4096};
	two.io.iov_count = 2;
	rig_submit(rig, &two);
	assert_false(two.io.bounces);
	rig_wait(rig);
	assert_int_equal(q.result, 0);
	assert_int_equal(two.result, 0);
	check_disk(rig, bytes + 65536, 4096, 4096);
}

/* Longer than the buffer that it goes through, and not at the beginning of a page either. */
static void from_anywhere(struct rig *rig)
{
	struct request w = request_make(IO_WRITE, BLOCK, bytes + 3, 201 * BLOCK);
	struct request r = request_make(IO_READ, BLOCK, seen + 5, 201 * BLOCK);

	w.io.fua = true;
	assert_int_equal(rig_run(rig, &w), 0);
	assert_true(w.io.bounces);
	check_disk(rig, bytes + 3, 201 * BLOCK, BLOCK);
	memset(seen, 0, sizeof seen);
	assert_int_equal(rig_run(rig, &r), 0);
	assert_memory_equal(seen + 5, bytes + 3, 201 * BLOCK);
	assert_int_equal(seen[4] | seen[5 + 201 * BLOCK], 0);
}

/* One block again and again, as WRITE SAME does it, and pieces that make no whole block. */
static void in_pieces(struct rig *rig)
{
	struct request same = request_make(IO_WRITE, 4096, NULL, 0);
	struct request odd = request_make(IO_READ, 4096, NULL, 0);
	size_t at = 0;

	for (same.io.iov_count = 0; same.io.iov_count < IO_SEGMENTS_MAX; same.io.iov_count++) {
		same.io.iov[same.io.iov_count] = (struct iovec){bytes, BLOCK};
		same.io.length += BLOCK;
	}
	assert_int_equal(rig_run(rig, &same), 0);
	for (unsigned i = 0; at < same.io.length; i++) {
		size_t part = MIN(same.io.length - at, i * 33);

		odd.io.iov[odd.io.iov_count++] = (struct iovec){seen + at, part};
		at += part;
	}
	odd.io.length = at;
	assert_int_equal(rig_run(rig, &odd), 0);
	for (unsigned i = 0; i < IO_SEGMENTS_MAX; i++)
		assert_memory_equal(seen + i * BLOCK, bytes, BLOCK);
}

/* Each has a buffer to itself. */
static void many_at_once(struct rig *rig)
{
	struct request q[RIG_DEPTH];

	for (unsigned i = 0; i < RIG_DEPTH; i++) {
		q[i] = request_make(IO_WRITE, i * 16384u, bytes + i * 16384u + i % 3,
				    16384 - BLOCK);
		rig_submit(rig, &q[i]);
	}
	rig_wait(rig);
	for (unsigned i = 0; i < RIG_DEPTH; i++) {
		assert_int_equal(q[i].result, 0);
		check_disk(rig, bytes + i * 16384u + i % 3, 16384 - BLOCK, i * 16384);
	}
}

static void sees_others(struct rig *rig)
{
	struct request r = request_make(IO_READ, 8192, seen, 4096);

	assert_int_equal(pwrite(rig->fd, bytes, 4096, 8192), 4096); /* and not written back */
	assert_int_equal(rig_run(rig, &r), 0);
	assert_memory_equal(seen, bytes, 4096);
}

static void changes(struct rig *rig)
{
	static const enum io_op ops[] = {IO_DISCARD, IO_ZERO};
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		struct request w = request_make(IO_WRITE, 0, bytes, 65536);
		struct request change = request_make(ops[i], 8192 + BLOCK, NULL, 0);
		struct request r = request_make(IO_READ, 0, seen, 65536);
		struct request f = request_make(IO_FLUSH, 0, NULL, 0);
		int result;

		change.io.length = 3 * BLOCK + 8192;
		assert_int_equal(rig_run(rig, &w), 0);
		result = rig_run(rig, &change);
		if (result == -EOPNOTSUPP)
			continue;
		assert_int_equal(result, 0);
		assert_int_equal(rig_run(rig, &r), 0);
		assert_memory_equal(seen, bytes, 8192 + BLOCK);
		for (size_t k = 0; k < change.io.length; k++)
			assert_int_equal(seen[change.io.offset + k], 0);
		assert_memory_equal(seen + 20480 - 1024, bytes + 20480 - 1024,
				    65536 - 20480 + 1024);
		assert_int_equal(rig_run(rig, &f), 0);
	}
}

static void room_is_told(struct rig *rig)
{
	struct request w = request_make(IO_WRITE, 65536, bytes, 65536);
	struct request find = request_make(IO_EXTENT, 65536, NULL, 0);

	assert_int_equal(rig_run(rig, &w), 0);
	find.io.length = BLOCK;
	assert_int_equal(rig_run(rig, &find), 0);
	assert_true(find.io.extent_is_data);
	assert_int_equal(find.io.extent_end, 131072);
}

static void ends_too_soon(struct rig *rig)
{
	static const uint32_t ends[] = {DISK_SIZE - 513, DISK_SIZE - 4096, DISK_SIZE - 8191, 100};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct request r = request_make(IO_READ, 0, seen, DISK_SIZE);
		struct request odd = request_make(IO_READ, 4096, seen + 1, DISK_SIZE - 4096);
		struct request beyond = request_make(IO_READ, DISK_SIZE - BLOCK, seen, BLOCK);

		assert_int_equal(ftruncate(rig->fd, ends[i]), 0);
		assert_int_equal(rig_run(rig, &r), -ENODATA);
		assert_int_equal(rig_run(rig, &odd), -ENODATA);
		assert_int_equal(rig_run(rig, &beyond), -ENODATA);
	}
}

#define BOTH(sentence, function)                                \
	{sentence " (io_uring)", ENGINE_URING, function},       \
	{                                                       \
		sentence " (threads)", ENGINE_THREADS, function \
	}

static const struct {
	const char *why;
	enum engine_kind kind;
	void (*run)(struct rig *rig);
} cases[] = {
	BOTH("cache: none: what is written and read leaves no page in memory", nothing_stays),
	BOTH("whole pages, and a block at the beginning of one, are taken as they lie", as_it_lies),
	BOTH("memory that begins anywhere is taken, too", from_anywhere),
	BOTH("so are segments that are no whole pages, or no whole blocks", in_pieces),
	BOTH("as many such requests as the engine is deep don't mix their octets", many_at_once),
	BOTH("what others wrote through the page cache is read", sees_others),
	BOTH("a range that was discarded or zeroed reads so, its neighbours as before", changes),
	BOTH("what has room is told", room_is_told),
	BOTH("a file that ends in the midst of a read, or of a block, is -ENODATA", ends_too_soon),
};

static void run_case(void **state)
{
	const __typeof__(cases[0]) *row = *state;
	struct rig rig = rig_open(row->kind);

	fill(bytes, sizeof bytes, 9);
	if (!rig_direct(&rig)) {
		rig_close(&rig);
		skip();
	}
	row->run(&rig);
	rig_close(&rig);
}

/* Some kernels look at the unit first, and then at the end of the file. */
static void refused_at_the_end(void **state)
{
	struct backend b = {.direct = true, .size_bytes = DISK_SIZE};
	struct request q = request_make(IO_READ, 0, seen, 8192);

	(void)state;
	q.io.backend = &b;
	assert_true(io_advance(&q.io, -EINVAL));
	assert_int_equal(q.io.result, -EINVAL);
	assert_false(io_advance(&q.io, 1000));
	assert_true(q.io.bounces);
	assert_true(io_advance(&q.io, -EINVAL));
	assert_int_equal(q.io.result, -ENODATA);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, cases, run_case);
	tests_add(&t, "a read that can't go on within a block met the end of its file",
		  refused_at_the_end, NULL);
	return tests_run(&t, "backend direct");
}

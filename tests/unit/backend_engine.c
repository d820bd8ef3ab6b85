/* Both engines behind backend_submit(): transfers, their ends and their errors. Each
 * sentence runs with io_uring and with threads. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "tests/unit/backend_rig.h"

static struct tests t;
static uint8_t bytes[DISK_SIZE], seen[DISK_SIZE];

static void write_lands(struct rig *rig)
{
	struct request q = request_make(IO_WRITE, 4096, bytes, 65536);

	fill(bytes, 65536, 1);
	assert_int_equal(rig_run(rig, &q), 0);
	assert_int_equal(pread(rig->fd, seen, 65536, 4096), 65536);
	assert_memory_equal(seen, bytes, 65536);
	assert_int_equal(pread(rig->fd, seen, 4096, 0), 4096);
	assert_int_equal(seen[4095], 0);
}

static void read_reads(struct rig *rig)
{
	struct request q = request_make(IO_READ, DISK_SIZE - 512, seen, 512);

	fill(bytes, 512, 2);
	assert_int_equal(pwrite(rig->fd, bytes, 512, DISK_SIZE - 512), 512);
	assert_int_equal(rig_run(rig, &q), 0);
	assert_memory_equal(seen, bytes, 512);
}

static void many_segments(struct rig *rig)
{
	struct request w = request_make(IO_WRITE, 1024, NULL, 0), r;
	size_t at = 0;

	fill(bytes, 65536, 3);
	for (unsigned i = 0; i < IO_SEGMENTS_MAX; i++) {
		size_t len = i * 17 % 900; /* some are empty */

		w.io.iov[i] = (struct iovec){bytes + at, len};
		at += len;
	}
	w.io.iov_count = IO_SEGMENTS_MAX;
	w.io.length = at;
	assert_int_equal(rig_run(rig, &w), 0);
	r = request_make(IO_READ, 1024, seen, at);
	assert_int_equal(rig_run(rig, &r), 0);
	assert_memory_equal(seen, bytes, at);
}

static void full_depth(struct rig *rig)
{
	struct request q[RIG_DEPTH], more = request_make(IO_READ, 0, seen, 512);

	fill(bytes, sizeof bytes, 4);
	for (unsigned i = 0; i < RIG_DEPTH; i++) {
		q[i] = request_make(IO_WRITE, i * 8192u, bytes + i * 8192u, 8192);
		rig_submit(rig, &q[i]);
	}
	assert_int_equal(engine_in_flight(rig->engine), RIG_DEPTH);
	assert_int_equal(backend_submit(rig->disk, LEAVE, &more.io), -EAGAIN);
	rig_wait(rig);
	for (unsigned i = 0; i < RIG_DEPTH; i++) {
		assert_int_equal(q[i].done, 1);
		assert_int_equal(q[i].result, 0);
	}
	assert_int_equal(pread(rig->fd, seen, RIG_DEPTH * 8192u, 0), RIG_DEPTH * 8192u);
	assert_memory_equal(seen, bytes, RIG_DEPTH * 8192u);
	assert_int_equal(rig_run(rig, &more), 0);
}

static void each_its_own_result(struct rig *rig)
{
	struct request good = request_make(IO_READ, 0, seen, 512);
	struct request beyond = request_make(IO_READ, DISK_SIZE / 2, seen + 512, 512);
	struct request also = request_make(IO_WRITE, 512, bytes, 512);

	assert_int_equal(ftruncate(rig->fd, DISK_SIZE / 2), 0);
	rig_submit(rig, &beyond);
	rig_submit(rig, &good);
	rig_submit(rig, &also);
	rig_wait(rig);
	assert_int_equal(good.result, 0);
	assert_int_equal(beyond.result, -ENODATA);
	assert_int_equal(also.result, 0);
}

static void shrunk(struct rig *rig)
{
	struct request q = request_make(IO_READ, 0, seen, DISK_SIZE);

	assert_int_equal(ftruncate(rig->fd, DISK_SIZE - 513), 0);
	assert_int_equal(rig_run(rig, &q), -ENODATA);
}

static void durable_write(struct rig *rig)
{
	struct request q = request_make(IO_WRITE, 0, bytes, 4096);

	q.io.fua = true;
	fill(bytes, 4096, 5);
	assert_int_equal(rig_run(rig, &q), 0);
	assert_int_equal(pread(rig->fd, seen, 4096, 0), 4096);
	assert_memory_equal(seen, bytes, 4096);
}

/* How a file was opened, and by whom, is nothing that the session could change. */
static void knows_how(struct rig *rig)
{
	struct backend *b;
	int fd = open(rig->path, O_RDONLY | O_CLOEXEC | O_DIRECT);

	assert_false(rig->disk->direct);
	if (fd < 0) {
		print_message("no O_DIRECT here: %s\n", strerror(errno));
		return;
	}
	assert_int_equal(backend_open(rig->engine, fd, DISK_SIZE, false, &b), 0);
	assert_true(b->direct);
	backend_close(b);
}

/* Of a disk in memory, all is there; of one in the page cache, one or two are looked for. */
static void memory_waits_for_nothing(struct rig *rig)
{
	static struct request q[8];
	unsigned ended;
	struct backend *b;
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
	assert_int_equal(backend_open(rig->engine, fd, DISK_SIZE, true, &b), 0);
	for (size_t i = 0; i < ARRAY_LEN(q); i++) {
		q[i] = request_make(i % 2 ? IO_READ : IO_WRITE, 0, seen, 4096);
		assert_int_equal(backend_submit(b, LEAVE, &q[i].io), 0);
	}
	engine_flush(rig->engine);
	ended = engine_reap(rig->engine);
	if (engine_kind(rig->engine) == ENGINE_URING)
		assert_int_equal(ended, ARRAY_LEN(q));
	rig_wait(rig);
	backend_close(b);
}

static void flush_works(struct rig *rig)
{
	struct request w = request_make(IO_WRITE, 0, bytes, 4096);
	struct request f = request_make(IO_FLUSH, 0, NULL, 0);

	assert_int_equal(rig_run(rig, &w), 0);
	assert_int_equal(rig_run(rig, &f), 0);
}

static void empty_transfer(struct rig *rig)
{
	struct request q = request_make(IO_READ, DISK_SIZE, NULL, 0);

	assert_int_equal(rig_run(rig, &q), 0);
}

static void not_before_flush(struct rig *rig)
{
	struct request q = request_make(IO_WRITE, 0, bytes, 512);
	uint8_t byte;

	memset(bytes, 0x5a, 512);
	rig_submit(rig, &q);
	assert_int_equal(pread(rig->fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 0);
	rig_wait(rig);
	assert_int_equal(pread(rig->fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 0x5a);
}

static void close_waits(struct rig *rig)
{
	struct request q[8];

	for (unsigned i = 0; i < ARRAY_LEN(q); i++) {
		q[i] = request_make(IO_WRITE, i * 65536u, bytes, 65536);
		rig_submit(rig, &q[i]);
	}
	backend_close(rig->disk);
	rig->disk = NULL;
	for (unsigned i = 0; i < ARRAY_LEN(q); i++)
		assert_int_equal(q[i].done, 1);
}

/* The grant's descriptor decides, not our flag: here the session believes that it may write. */
static void read_only_descriptor(struct rig *rig)
{
	struct request w = request_make(IO_WRITE, 0, bytes, 512);
	struct backend *writable = rig->disk, *b;
	int fd = open(rig->path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(backend_open(rig->engine, fd, DISK_SIZE, true, &b), 0);
	rig->disk = b;
	assert_int_equal(rig_run(rig, &w), -EBADF);
	rig->disk = writable;
	backend_close(b);
}

static void check_tells(struct rig *rig)
{
	struct request w = request_make(IO_WRITE, 8192, bytes, 4096);
	struct request f = request_make(IO_FLUSH, 0, NULL, 0);

	assert_int_equal(rig_run(rig, &w), 0);
	assert_int_equal(rig_run(rig, &f), 0);
	assert_int_equal(backend_check(rig->disk), 0);
	assert_true(rig->disk->used_bytes >= 4096 && rig->disk->used_bytes <= DISK_SIZE);
	assert_int_equal(ftruncate(rig->fd, DISK_SIZE * 2), 0);
	assert_int_equal(backend_check(rig->disk), 0);
	assert_int_equal(ftruncate(rig->fd, DISK_SIZE - 1), 0);
	assert_int_equal(backend_check(rig->disk), -ENODATA);
	assert_int_equal(unlink(rig->path), 0);
	assert_int_equal(backend_check(rig->disk), -ESTALE);
}

static void memory_disk(struct rig *rig)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	struct request w = request_make(IO_WRITE, 0, bytes, 4096);
	struct request f = request_make(IO_FLUSH, 0, NULL, 0);
	struct backend *file = rig->disk, *b;

	assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
	assert_int_equal(backend_open(rig->engine, fd, DISK_SIZE, true, &b), 0);
	assert_int_equal(backend_check(b), 0);
	rig->disk = b;
	w.io.fua = true;
	assert_int_equal(rig_run(rig, &w), 0);
	assert_int_equal(rig_run(rig, &f), 0);
	rig->disk = file;
	backend_close(b);
}

/* Each may be replaced by another while it ends its requests. */
#define PLACES (2 * BACKENDS_MAX)

static void all_slots(struct rig *rig)
{
	static struct backend *b[PLACES];
	struct backend *file = rig->disk;
	struct request q = request_make(IO_READ, 0, seen, 512);
	int fd;

	for (unsigned i = 1; i < PLACES; i++) {
		fd = open(rig->path, O_RDWR | O_CLOEXEC);
		assert_int_equal(backend_open(rig->engine, fd, DISK_SIZE, true, &b[i]), 0);
	}
	fd = open(rig->path, O_RDWR | O_CLOEXEC);
	assert_int_equal(backend_open(rig->engine, fd, DISK_SIZE, true, &b[0]), -EMFILE);
	backend_close(b[7]);
	assert_int_equal(backend_open(rig->engine, fd, DISK_SIZE, true, &b[7]), 0);
	rig->disk = b[7];
	assert_int_equal(rig_run(rig, &q), 0);
	rig->disk = file;
	for (unsigned i = 1; i < PLACES; i++)
		backend_close(b[i]);
}

static void lifeline_closes(struct rig *rig)
{
	struct pollfd p = {.fd = rig->lifeline, .events = POLLIN};
	struct rig gone = *rig;

	assert_int_equal(poll(&p, 1, 0), 0);
	backend_close(gone.disk);
	engine_close(gone.engine);
	rig->disk = NULL;
	rig->engine = NULL;
	assert_int_equal(poll(&p, 1, 30000), 1);
	assert_true(p.revents & POLLHUP);
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
	BOTH("a write lands where it belongs, and nowhere else", write_lands),
	BOTH("a read brings the last block of the disk", read_reads),
	BOTH("64 segments of uneven length, some empty, make one transfer", many_segments),
	BOTH("as many requests as the engine is deep run at once, one more is -EAGAIN", full_depth),
	BOTH("each request has its own result, whatever its neighbours have", each_its_own_result),
	BOTH("what a disk in memory has is read and written at once", memory_waits_for_nothing),
	BOTH("a disk that shrank in the midst of a read is -ENODATA", shrunk),
	BOTH("a write with FUA is taken", durable_write),
	BOTH("a flush is taken", flush_works),
	BOTH("a disk knows whether its file was opened with O_DIRECT", knows_how),
	BOTH("a transfer of nothing at the end of the disk is done", empty_transfer),
	BOTH("nothing reaches the disk before the flush of the turn", not_before_flush),
	BOTH("closing a disk waits for its requests, and ends each once", close_waits),
	BOTH("P3: a descriptor that was granted read-only can't be written", read_only_descriptor),
	BOTH("a disk that shrank or was deleted is noticed by its check, and its room",
	     check_tells),
	BOTH("a memory disk reads, writes, flushes, and is not taken for deleted", memory_disk),
	BOTH("256 disks fit twice, one more is refused, and a freed place is used again",
	     all_slots),
	BOTH("the lifeline closes with the engine, and not before", lifeline_closes),
};

static void run_case(void **state)
{
	const __typeof__(cases[0]) *row = *state;
	struct rig rig = rig_open(row->kind);

	row->run(&rig);
	rig_close(&rig);
}

/* --- our own bugs end the process, before the kernel sees anything ------------------------- */

static void submit_bad(struct rig *rig, const struct admission *leave, struct request q)
{
	rig->disk->writable = q.io.op != IO_WRITE || q.io.fua;
	(void)!backend_submit(rig->disk, leave, &q.io);
}

static void no_admission(struct rig *rig)
{
	submit_bad(rig, NULL, request_make(IO_READ, 0, seen, 512));
}

static void beyond_end(struct rig *rig)
{
	submit_bad(rig, LEAVE, request_make(IO_READ, DISK_SIZE - 511, seen, 512));
}

static void offset_wraps(struct rig *rig)
{
	submit_bad(rig, LEAVE, request_make(IO_READ, UINT64_MAX - 255, seen, 512));
}

static void not_writable(struct rig *rig)
{
	submit_bad(rig, LEAVE, request_make(IO_WRITE, 0, seen, 512));
}

static void length_differs(struct rig *rig)
{
	struct request q = request_make(IO_READ, 0, seen, 512);

	q.io.iov[0].iov_len = 1024;
	submit_bad(rig, LEAVE, q);
}

static const struct {
	const char *why;
	void (*run)(struct rig *rig);
} bugs[] = {
	{"P2: a request without an admission never leaves the process", no_admission},
	{"a request beyond the granted size never leaves the process", beyond_end},
	{"a request whose end overflows never leaves the process", offset_wraps},
	{"P3: a write to a disk granted read-only never leaves the process", not_writable},
	{"a request whose segments differ from its length never leaves the process",
	 length_differs},
};

static void run_bug(void **state)
{
	const __typeof__(bugs[0]) *row = *state;
	struct rig rig = rig_open(ENGINE_THREADS);
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)signal(SIGABRT, SIG_DFL);
		(void)!freopen("/dev/null", "w", stderr);
		row->run(&rig);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	rig_close(&rig);
}

static void auto_finds_one(void **state)
{
	struct rig rig = rig_open(ENGINE_AUTO);

	(void)state;
	write_lands(&rig);
	assert_true(engine_kind(rig.engine) == ENGINE_URING ||
		    engine_kind(rig.engine) == ENGINE_THREADS);
	rig_close(&rig);
}

/* One descriptor is left: a ring needs three, a pool one. */
static void short_of_room(void **state)
{
	struct rig rig = {.lifeline = -1, .fd = -1};
	struct engine *e = NULL;
	struct rlimit was, few;
	int ends[2], next, r;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	next = dup(0);
	assert_true(next >= 0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = (struct rlimit){(rlim_t)next + 1, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	r = engine_open(ENGINE_URING, RIG_DEPTH, ends[1], &e);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	if (r == -ENOSYS || r == -EPERM) {
		print_message("io_uring can't be had here: %s\n", strerror(-r));
		close(ends[0]);
		close(ends[1]);
		skip();
	}
	assert_int_equal(r, 0);
	assert_int_equal(engine_kind(e), ENGINE_THREADS);
	assert_int_equal(engine_short_of(e), -EMFILE);
	rig.engine = e;
	rig.lifeline = ends[0];
	rig_disk(&rig, true);
	write_lands(&rig);
	rig_close(&rig);
}

static void bad_engines(void **state)
{
	struct engine *e = NULL;

	(void)state;
	assert_int_equal(engine_open(ENGINE_AUTO, 0, 0, &e), -EINVAL);
	assert_int_equal(engine_open(ENGINE_AUTO, 1u << 20, 0, &e), -EINVAL);
	assert_int_equal(engine_open(ENGINE_AUTO, 1, -1, &e), -EINVAL);
	assert_int_equal(engine_open(ENGINE_INVALID, 1, 0, &e), -EINVAL);
	assert_null(e);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, cases, run_case);
	TESTS_ADD_TABLE(&t, bugs, run_bug);
	tests_add(&t, "auto finds an engine that works", auto_finds_one, NULL);
	tests_add(&t, "P4: where there is no room for a ring, threads do the I/O, and it is known",
		  short_of_room, NULL);
	tests_add(&t, "an engine without depth, lifeline or kind is refused", bad_engines, NULL);
	return tests_run(&t, "backend_engine");
}

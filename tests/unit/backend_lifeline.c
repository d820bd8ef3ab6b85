/* The lifeline tells when the last I/O of a session is over, which a process that was
 * killed can outlive. The disk here is a file of a FUSE file system that this test
 * serves itself, and so can hold a write for as long as it likes. */
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "tests/unit/backend_rig.h"

#define FILE_NODE 2u

static struct tests t;

struct stall {
	int fuse, lifeline;
	pid_t session;
	uint64_t held; /* the write that waits for its answer; 0: none */
	char folder[32];
};

static void answer(const struct stall *s, uint64_t unique, int error, const void *body, size_t len)
{
	struct fuse_out_header head = {
		.len = (uint32_t)(sizeof head + len), .error = error, .unique = unique};
	struct iovec iov[] = {{&head, sizeof head}, {(void *)(uintptr_t)body, len}};

	assert_int_equal(writev(s->fuse, iov, 2), (ssize_t)head.len);
}

static struct fuse_attr node_attr(uint64_t node)
{
	return (struct fuse_attr){.ino = node,
				  .nlink = 1,
				  .size = node == FILE_NODE ? DISK_SIZE : 0,
				  .mode = node == FILE_NODE ? S_IFREG | 0600 : S_IFDIR | 0700};
}

/* As much of a file system as one file needs. A write is kept in s->held. */
static void serve(struct stall *s)
{
	static _Alignas(16) uint8_t bytes[1 << 18];
	struct fuse_in_header in;
	struct fuse_init_out init = {.major = 7, .minor = 31, .max_write = 65536};
	struct fuse_entry_out entry = {.nodeid = FILE_NODE, .attr = node_attr(FILE_NODE)};
	struct fuse_attr_out attr = {0};
	struct fuse_open_out opened = {.fh = 1, .open_flags = FOPEN_DIRECT_IO};
	ssize_t n = read(s->fuse, bytes, sizeof bytes);

	if (n < 0 && (errno == ENOENT || errno == EINTR))
		return; /* it was taken back */
	assert_true(n >= (ssize_t)sizeof in);
	memcpy(&in, bytes, sizeof in);
	attr.attr = node_attr(in.nodeid);
	switch (in.opcode) {
	case FUSE_INIT:
		return answer(s, in.unique, 0, &init, sizeof init);
	case FUSE_LOOKUP:
		return answer(s, in.unique, 0, &entry, sizeof entry);
	case FUSE_GETATTR:
		return answer(s, in.unique, 0, &attr, sizeof attr);
	case FUSE_OPEN:
		return answer(s, in.unique, 0, &opened, sizeof opened);
	case FUSE_RELEASE:
		return answer(s, in.unique, 0, NULL, 0);
	case FUSE_WRITE:
		s->held = in.unique;
		return;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		return answer(s, in.unique, -ENOSYS, NULL, 0);
	}
}

/* Serves until the lifeline closes (true), a write is held, or nothing happens for so long. */
static bool serve_until_closed(struct stall *s, int timeout_ms)
{
	uint64_t held = s->held;

	for (;;) {
		struct pollfd p[] = {{s->lifeline, POLLIN, 0}, {s->fuse, POLLIN, 0}};

		if (poll(p, 2, timeout_ms) == 0)
			return false;
		if (p[0].revents)
			return true;
		serve(s);
		if (s->held != held)
			return false;
	}
}

static void session(const struct stall *s, enum engine_kind kind, int lifeline)
{
	static uint8_t bytes[512];
	static struct request q;
	struct engine *e;
	struct backend *b;
	char path[64];
	int fd;

	close(s->fuse);
	close(s->lifeline);
	(void)snprintf(path, sizeof path, "%s/disk", s->folder);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || engine_open(kind, RIG_DEPTH, lifeline, &e) < 0 ||
	    backend_open(e, fd, DISK_SIZE, true, &b) < 0)
		_exit(1);
	q = request_make(IO_WRITE, 0, bytes, sizeof bytes);
	if (backend_submit(b, LEAVE, &q.io) < 0)
		_exit(2);
	engine_flush(e);
	for (;;)
		(void)pause();
}

/* False, with the reason printed: no FUSE for us here. In a mount namespace of our own. */
static bool stall_mount(struct stall *s)
{
	char options[64];

	s->fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (s->fuse < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		print_message("no FUSE and mounts of our own here: %s\n", strerror(errno));
		fd_close(&s->fuse);
		return false;
	}
	(void)snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0",
		       s->fuse);
	memcpy(s->folder, "lifeline-XXXXXX", sizeof "lifeline-XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	assert_int_equal(mount("stall", s->folder, "fuse", MS_NOSUID | MS_NODEV, options), 0);
	return true;
}

static const struct row {
	const char *why;
	enum engine_kind kind;
} cases[] = {
	{"P4: the lifeline of a killed session closes only after its write is over (io_uring)",
	 ENGINE_URING},
	{"P4: the lifeline of a killed session closes only after its write is over (threads)",
	 ENGINE_THREADS},
};

static void run_case(void **state)
{
	const struct row *row = *state;
	struct fuse_write_out written = {.size = 512};
	struct rig probe = {0};
	struct stall s = {0};
	int ends[2];

	if (!rig_engine(&probe, row->kind))
		skip();
	engine_close(probe.engine);
	close(probe.lifeline);
	if (!stall_mount(&s))
		skip();
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	s.lifeline = ends[0];
	s.session = fork();
	assert_true(s.session >= 0);
	if (s.session == 0)
		session(&s, row->kind, ends[1]);
	close(ends[1]);
	assert_false(serve_until_closed(&s, 30000));
	assert_true(s.held != 0);

	assert_int_equal(kill(s.session, SIGKILL), 0);
	assert_false(serve_until_closed(&s, 200));
	answer(&s, s.held, 0, &written, sizeof written);
	assert_true(serve_until_closed(&s, 30000));

	assert_int_equal(umount2(s.folder, MNT_DETACH), 0);
	close(s.fuse);
	assert_int_equal(waitpid(s.session, NULL, 0), s.session);
	assert_int_equal(rmdir(s.folder), 0);
	close(s.lifeline);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, cases, run_case);
	return tests_run(&t, "backend_lifeline");
}

/* What a session that is taken over can do with its ring: read, write and sync the
 * disks that it holds, and put another disk that it holds into the table. The engine's
 * source is included, for a ring as the session has it. */
#include "backends/engine_uring.c"
#include "tests/unit/backend_rig.h"

static struct tests t;

static struct rig ring_open(void)
{
	return rig_open(ENGINE_URING);
}

/* One operation, whatever it is, on the disk's registered descriptor or on a plain one. */
static int ring_try(struct rig *rig, uint8_t opcode, uint8_t flags, int fd)
{
	struct uring *u = CONTAINER_OF(rig->engine, struct uring, engine);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	struct io_uring_cqe *cqe;
	int result;

	assert_non_null(sqe);
	io_uring_prep_rw(opcode, sqe, fd, NULL, 0, 0);
	io_uring_sqe_set_flags(sqe, flags);
	assert_int_equal(io_uring_submit_and_wait(&u->ring, 1), 1);
	assert_int_equal(io_uring_peek_cqe(&u->ring, &cqe), 0);
	result = cqe->res;
	io_uring_cqe_seen(&u->ring, cqe);
	return result;
}

static void no_other_operation(void **state)
{
	struct rig rig = ring_open();

	(void)state;
	for (unsigned op = 0; op < 64; op++) {
		if (op == IORING_OP_READV || op == IORING_OP_WRITEV || op == IORING_OP_FSYNC)
			continue;
		int r = ring_try(&rig, (uint8_t)op, IOSQE_FIXED_FILE, (int)rig.disk->slot);

		if (r != -EACCES && r != -EINVAL)
			print_error("operation %u: %d\n", op, r);
		assert_true(r == -EACCES || r == -EINVAL); /* EINVAL: this kernel has no such */
	}
	rig_close(&rig);
}

static void dangerous_operations(void **state)
{
	static const uint8_t ops[] = {IORING_OP_NOP,	  IORING_OP_OPENAT,  IORING_OP_OPENAT2,
				      IORING_OP_SENDMSG,  IORING_OP_RECVMSG, IORING_OP_CONNECT,
				      IORING_OP_ACCEPT,	  IORING_OP_SPLICE,  IORING_OP_FALLOCATE,
				      IORING_OP_UNLINKAT, IORING_OP_STATX,   IORING_OP_FADVISE,
				      IORING_OP_URING_CMD};
	struct rig rig = ring_open();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		assert_int_equal(ring_try(&rig, ops[i], IOSQE_FIXED_FILE, (int)rig.disk->slot),
				 -EACCES);
	rig_close(&rig);
}

static void no_plain_descriptor(void **state)
{
	struct rig rig = ring_open();

	(void)state;
	assert_int_equal(ring_try(&rig, IORING_OP_READV, 0, rig.fd), -EACCES);
	assert_int_equal(ring_try(&rig, IORING_OP_WRITEV, 0, rig.fd), -EACCES);
	assert_int_equal(ring_try(&rig, IORING_OP_FSYNC, 0, rig.fd), -EACCES);
	assert_int_equal(ring_try(&rig, IORING_OP_FSYNC, IOSQE_FIXED_FILE, (int)rig.disk->slot), 0);
	rig_close(&rig);
}

static void no_other_flag(void **state)
{
	static const uint8_t flags[] = {IOSQE_IO_DRAIN, IOSQE_IO_LINK, IOSQE_IO_HARDLINK,
					IOSQE_ASYNC};
	struct rig rig = ring_open();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		assert_int_equal(ring_try(&rig, IORING_OP_FSYNC,
					  (uint8_t)(IOSQE_FIXED_FILE | flags[i]),
					  (int)rig.disk->slot),
				 -EACCES);
	rig_close(&rig);
}

static void no_other_registration(void **state)
{
	struct rig rig = ring_open();
	int fd = CONTAINER_OF(rig.engine, struct uring, engine)->ring.ring_fd;
	uint8_t nothing[256] = {0};

	(void)state;
	for (unsigned op = 0; op < 40; op++) {
		long r;

		if (op == IORING_REGISTER_FILES_UPDATE)
			continue;
		r = syscall(SYS_io_uring_register, fd, op, nothing, 1);
		if (r != -1 || (errno != EACCES && errno != EINVAL))
			print_error("registration %u: %ld, %s\n", op, r, strerror(errno));
		assert_int_equal(r, -1);
		/* EINVAL: this kernel has no such */
		assert_true(errno == EACCES ||
			    (errno == EINVAL && op > IORING_REGISTER_IOWQ_MAX_WORKERS));
	}
	assert_int_equal(syscall(SYS_io_uring_register, fd, IORING_REGISTER_RESTRICTIONS,
				 restrictions, ARRAY_LEN(restrictions)),
			 -1);
	assert_int_equal(errno, EACCES);
	rig_close(&rig);
}

static void lifeline_is_the_rings(void **state)
{
	struct rig rig = ring_open();
	struct stat st, other;

	(void)state;
	assert_int_equal(fstat(rig.lifeline, &st), 0);
	for (int fd = 0; fd < 256; fd++)
		if (fd != rig.lifeline && fstat(fd, &other) == 0)
			assert_false(other.st_dev == st.st_dev && other.st_ino == st.st_ino);
	rig_close(&rig);
}

int main(void)
{
	tests_add(&t, "P3: the ring runs reads, writes and syncs, and none of the rest",
		  no_other_operation, NULL);
	tests_add(&t, "P3: the ring opens, connects, sends and allocates nothing",
		  dangerous_operations, NULL);
	tests_add(&t, "P3: the ring touches registered descriptors only", no_plain_descriptor,
		  NULL);
	tests_add(&t, "P3: the ring takes no flag but that of registered descriptors",
		  no_other_flag, NULL);
	tests_add(&t, "P3: the ring registers descriptors and nothing else", no_other_registration,
		  NULL);
	tests_add(&t, "the lifeline is the ring's alone", lifeline_is_the_rings, NULL);
	return tests_run(&t, "backend_restricted");
}

/* A recorder beneath the file operations of a trail: whatever is done to the files of one folder
 * is on a tape, with the moments of every sync, so that the folder can be made again as it was at
 * any of them, or as a power cut may have left it. The wrappers take the place of the C library's
 * functions in the program that includes this. */
#pragma once

#include "tests/unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TAPE_FILES  96
#define TAPE_OPS    6000
#define TAPE_SECTOR 512u
#define TAPE_NAME   40

enum tape_kind {
	TAPE_INVALID,
	TAPE_WRITE,
	TAPE_TRUNCATE,
	TAPE_SYNC_BEGIN,
	TAPE_SYNC_END,
	TAPE_LINK, /* a new name for a file that is new */
	TAPE_RENAME,
	TAPE_UNLINK,
	TAPE_FOLDER_SYNC,
};

struct tape_op {
	enum tape_kind kind;
	size_t file;
	uint64_t offset; /* TAPE_TRUNCATE: the size */
	size_t len;
	uint8_t *bytes;
	bool failed;
	char name[TAPE_NAME], other[TAPE_NAME];
	struct moment *moment; /* just before it */
};

/* A file as it is, or may be. */
struct tape_image {
	uint8_t *bytes;
	size_t len, room;
};

struct tape_name {
	char name[TAPE_NAME];
	size_t file;
};

struct tape_folder {
	struct tape_name names[TAPE_FILES];
	size_t count;
};

struct tape {
	struct tape_image base[TAPE_FILES]; /* on the disk when the tape began */
	uint64_t size[TAPE_FILES];	    /* now */
	size_t files;
	struct tape_folder folder; /* of the base */
	struct tape_op ops[TAPE_OPS];
	size_t count;
	size_t before; /* operations of the auditors before the last one */
};

/* What is to go wrong: counted down by each such operation, at 1 it fails. */
struct tape_faults {
	unsigned sync, write, open, rename;
};

static struct tape *tape; /* NULL: nothing is recorded */
static struct tape_faults tape_faults;
static int tape_folder_fd = -1;
static size_t tape_fds[4096]; /* by descriptor: file + 1; 0: none of ours */
static pthread_t tape_main;

/* The gate of the helper thread's syncs: each waits there until the test lets it go on. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	bool waiting, open;
	unsigned passes, begun, over;
	int job_fd;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER, .job_fd = -1};

/* The test's: what is promised, and what outlives the process. */
static struct moment *moment_now(void);
static struct moment *moment_copy(const struct moment *m);

/* --- images ---------------------------------------------------------------------------------- */

static void image_size(struct tape_image *i, size_t size)
{
	if (size > i->room) {
		i->room = size + size / 2 + 64;
		i->bytes = realloc(i->bytes, i->room);
		assert_non_null(i->bytes);
	}
	if (size > i->len)
		memset(i->bytes + i->len, 0, size - i->len);
	i->len = size;
}

static void image_put(struct tape_image *i, uint64_t offset, const void *bytes, size_t len)
{
	if (offset + len > i->len)
		image_size(i, offset + len);
	if (len > 0)
		memcpy(i->bytes + offset, bytes, len);
}

static void image_do(struct tape_image *i, const struct tape_op *op)
{
	if (op->kind == TAPE_WRITE)
		image_put(i, op->offset, op->bytes, op->len);
	else
		image_size(i, op->offset);
}

static bool is_data(const struct tape_op *op, size_t file)
{
	return (op->kind == TAPE_WRITE || op->kind == TAPE_TRUNCATE) && op->file == file;
}

static bool is_name(const struct tape_op *op)
{
	return op->kind == TAPE_LINK || op->kind == TAPE_RENAME || op->kind == TAPE_UNLINK;
}

/* --- names ----------------------------------------------------------------------------------- */

static struct tape_name *name_find(struct tape_folder *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->names[i].name, name) == 0)
			return &f->names[i];
	return NULL;
}

static void name_drop(struct tape_folder *f, const char *name)
{
	struct tape_name *n = name_find(f, name);

	if (n)
		*n = f->names[--f->count];
}

static void name_put(struct tape_folder *f, const char *name, size_t file)
{
	name_drop(f, name);
	assert_true(f->count < TAPE_FILES);
	string_copy(f->names[f->count].name, TAPE_NAME, name);
	f->names[f->count++].file = file;
}

/* An operation on a name that never came about is none. */
static void folder_do(struct tape_folder *f, const struct tape_op *op)
{
	struct tape_name *n = name_find(f, op->name);

	if (op->kind == TAPE_LINK) {
		name_put(f, op->name, op->file);
	} else if (op->kind == TAPE_UNLINK) {
		name_drop(f, op->name);
	} else if (n) {
		size_t file = n->file;

		name_drop(f, op->name);
		name_put(f, op->other, file);
	}
}

static struct tape_folder folder_at(const struct tape *t, size_t count)
{
	struct tape_folder f = t->folder;

	for (size_t i = 0; i < count; i++)
		if (is_name(&t->ops[i]))
			folder_do(&f, &t->ops[i]);
	return f;
}

/* --- the tape -------------------------------------------------------------------------------- */

static struct tape_op *tape_add(enum tape_kind kind, size_t file)
{
	struct tape_op *op;

	assert_true(tape->count < TAPE_OPS);
	op = &tape->ops[tape->count++];
	*op = (struct tape_op){.kind = kind, .file = file, .moment = moment_now()};
	return op;
}

static void tape_add_data(enum tape_kind kind, size_t file, uint64_t offset, const void *bytes,
			  size_t len)
{
	struct tape_op *op = tape_add(kind, file);

	op->offset = offset;
	op->len = len;
	if (len > 0) {
		op->bytes = malloc(len);
		assert_non_null(op->bytes);
		memcpy(op->bytes, bytes, len);
	}
	tape->size[file] = kind == TAPE_TRUNCATE ? offset : MAX(tape->size[file], offset + len);
}

static void tape_free(struct tape *t)
{
	for (size_t i = 0; i < t->count; i++) {
		free(t->ops[i].bytes);
		free(t->ops[i].moment);
	}
	for (size_t i = 0; i < t->files; i++)
		free(t->base[i].bytes);
	t->count = t->before = t->files = 0;
	t->folder.count = 0;
}

static void tape_copy_base(struct tape *to, const struct tape *from)
{
	to->files = from->files;
	to->folder = from->folder;
	memcpy(to->size, from->size, sizeof to->size);
	for (size_t i = 0; i < from->files; i++) {
		to->base[i] = (struct tape_image){0};
		image_put(&to->base[i], 0, from->base[i].bytes, from->base[i].len);
	}
}

/* The first `count` operations; of the last one, if it writes, `last` octets. */
static void tape_copy(struct tape *to, const struct tape *from, size_t count, size_t last)
{
	tape_copy_base(to, from);
	for (size_t i = 0; i < from->files; i++)
		to->size[i] = from->base[i].len;
	to->count = to->before = count;
	for (size_t i = 0; i < count; i++) {
		struct tape_op *op = &to->ops[i];

		*op = from->ops[i];
		op->moment = moment_copy(op->moment);
		if (op->kind == TAPE_WRITE) {
			op->len = i + 1 == count ? MIN(last, op->len) : op->len;
			op->bytes = malloc(op->len + 1);
			memcpy(op->bytes, from->ops[i].bytes, op->len);
			to->size[op->file] = MAX(to->size[op->file], op->offset + op->len);
		} else if (op->kind == TAPE_TRUNCATE) {
			to->size[op->file] = op->offset;
		}
	}
}

/* --- the C library's functions --------------------------------------------------------------- */

static bool is_main(void)
{
	return pthread_equal(pthread_self(), tape_main) != 0;
}

static bool fault(unsigned *count)
{
	return *count > 0 && --*count == 0;
}

static int failed_with(int error)
{
	errno = error;
	return -1;
}

static size_t file_of(int fd)
{
	return fd >= 0 && (size_t)fd < ARRAY_LEN(tape_fds) && tape ? tape_fds[fd] : 0;
}

static int opened(int fd, const char *path, int flags, bool existed)
{
	struct tape_folder now = folder_at(tape, tape->count);
	size_t file;

	if (!existed) {
		file = tape->files++;
		assert_true(file < TAPE_FILES);
		tape->base[file] = (struct tape_image){0};
		tape->size[file] = 0;
		string_copy(tape_add(TAPE_LINK, file)->name, TAPE_NAME, path);
	} else {
		struct tape_name *n = name_find(&now, path);

		if (!n)
			return fd;
		file = n->file;
		if ((flags & O_TRUNC) && tape->size[file] > 0)
			tape_add_data(TAPE_TRUNCATE, file, 0, NULL, 0);
	}
	assert_true((size_t)fd < ARRAY_LEN(tape_fds));
	tape_fds[fd] = file + 1;
	return fd;
}

int openat(int folder_fd, const char *path, int flags, ...)
{
	bool ours = tape && folder_fd == tape_folder_fd && strcmp(path, ".") != 0, existed;
	struct stat st;
	mode_t mode;
	va_list args;
	int fd;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (ours && (flags & O_CREAT) && fault(&tape_faults.open))
		return failed_with(ENOSPC);
	existed = ours && fstatat(folder_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
	fd = (int)syscall(SYS_openat, folder_fd, path, flags, mode);
	return fd >= 0 && ours ? opened(fd, path, flags, existed) : fd;
}

/* What openat() is with flags that the compiler does not know. */
int __openat_2(int folder_fd, const char *path, int flags);

int __openat_2(int folder_fd, const char *path, int flags)
{
	return openat(folder_fd, path, flags, 0);
}

int close(int fd)
{
	if (fd >= 0 && (size_t)fd < ARRAY_LEN(tape_fds))
		tape_fds[fd] = 0;
	return (int)syscall(SYS_close, fd);
}

static void gate_count(int fd)
{
	(void)pthread_mutex_lock(&gate.lock);
	if (!is_main())
		gate.over++;
	else if (fd == gate.job_fd)
		gate.begun++;
	(void)pthread_cond_broadcast(&gate.moved);
	(void)pthread_mutex_unlock(&gate.lock);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	size_t file = file_of(fd);
	ssize_t n;

	if (file == 0) {
		if (len == 8 && is_main())
			gate_count(fd);
		n = syscall(SYS_write, fd, bytes, len);
		if (len == 8 && !is_main())
			gate_count(fd);
		return n;
	}
	if (tape_faults.write == 1) { /* half of it, then no more */
		if (len <= 1) {
			tape_faults.write = 0;
			return failed_with(ENOSPC);
		}
		len /= 2;
	} else if (tape_faults.write > 1) {
		tape_faults.write--;
	}
	tape_add_data(TAPE_WRITE, file - 1, tape->size[file - 1], bytes, len);
	n = syscall(SYS_write, fd, bytes, len);
	assert_int_equal(n, len);
	return n;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
	size_t file = file_of(fd);

	if (file != 0)
		tape_add_data(TAPE_WRITE, file - 1, (uint64_t)offset, bytes, len);
	return syscall(SYS_pwrite64, fd, bytes, len, offset);
}

int ftruncate(int fd, off_t size)
{
	size_t file = file_of(fd);

	if (file != 0)
		tape_add_data(TAPE_TRUNCATE, file - 1, (uint64_t)size, NULL, 0);
	return (int)syscall(SYS_ftruncate, fd, size);
}

static void gate_wait(void)
{
	(void)pthread_mutex_lock(&gate.lock);
	gate.waiting = true;
	(void)pthread_cond_broadcast(&gate.moved);
	while (!gate.open && gate.passes == 0)
		(void)pthread_cond_wait(&gate.moved, &gate.lock);
	if (!gate.open)
		gate.passes--;
	gate.waiting = false;
	(void)pthread_mutex_unlock(&gate.lock);
}

int fdatasync(int fd)
{
	size_t file = file_of(fd);
	struct tape_op *op;

	if (file == 0)
		return 0;
	(void)tape_add(TAPE_SYNC_BEGIN, file - 1);
	if (!is_main())
		gate_wait();
	if (!tape) /* the tape was over meanwhile */
		return 0;
	op = tape_add(TAPE_SYNC_END, file - 1);
	op->failed = fault(&tape_faults.sync);
	return op->failed ? failed_with(EIO) : 0;
}

int fsync(int fd)
{
	if (tape && fd == tape_folder_fd) {
		(void)tape_add(TAPE_FOLDER_SYNC, 0);
		return 0;
	}
	return fdatasync(fd);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	struct tape_op *op;

	if (tape && from_fd == tape_folder_fd) {
		if (fault(&tape_faults.rename))
			return failed_with(EIO);
		op = tape_add(TAPE_RENAME, 0);
		string_copy(op->name, TAPE_NAME, from);
		string_copy(op->other, TAPE_NAME, to);
	}
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int unlinkat(int folder_fd, const char *path, int flags)
{
	int r = (int)syscall(SYS_unlinkat, folder_fd, path, flags);

	if (r == 0 && tape && folder_fd == tape_folder_fd)
		string_copy(tape_add(TAPE_UNLINK, 0)->name, TAPE_NAME, path);
	return r;
}

/* --- the gate, from the test's side ---------------------------------------------------------- */

/* The helper thread waits at the gate, or has nothing to do. */
static void gate_settle(void)
{
	(void)pthread_mutex_lock(&gate.lock);
	while (gate.begun != gate.over && (gate.open || !gate.waiting || gate.passes > 0))
		(void)pthread_cond_wait(&gate.moved, &gate.lock);
	(void)pthread_mutex_unlock(&gate.lock);
}

static void gate_pass(void)
{
	(void)pthread_mutex_lock(&gate.lock);
	if (gate.waiting)
		gate.passes++;
	(void)pthread_cond_broadcast(&gate.moved);
	(void)pthread_mutex_unlock(&gate.lock);
	gate_settle();
}

static void gate_set(bool open)
{
	(void)pthread_mutex_lock(&gate.lock);
	gate.open = open;
	(void)pthread_cond_broadcast(&gate.moved);
	(void)pthread_mutex_unlock(&gate.lock);
}

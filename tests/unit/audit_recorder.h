/* A recorder under the auditor: every call by which it changes the audit folder passes through here
 * and is kept, in memory that outlives it, so that what a power cut leaves can be made of it, at
 * any moment. The calls are libc's by name; the test's own, of another process, are not kept. */
#pragma once

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "gateway/base/base.h"

#define RECORDER_OPS	(1u << 15)
#define RECORDER_OCTETS (16u << 20)
#define RECORDER_FILES	1024

enum recorder_kind {
	OP_INVALID,
	OP_CREATE, /* name: of a new file */
	OP_WRITE,  /* at the end */
	OP_SYNC,   /* is over; begun: what was before it is on the disk */
	OP_SYNC_FOLDER,
	OP_RENAME, /* from name to other */
	OP_CUT,	   /* len: octets that stay */
	OP_UNLINK,
};

struct recorder_op {
	enum recorder_kind kind;
	uint32_t file, begun;
	size_t at, len; /* of what was written, in octets[] */
	char name[48], other[48];
};

struct recorder {
	pid_t test; /* whose calls are not kept */
	_Atomic uint32_t count, files;
	_Atomic size_t used;
	struct recorder_op ops[RECORDER_OPS];
	uint8_t octets[RECORDER_OCTETS];
	char names[RECORDER_FILES][48]; /* of files, as they are now; "": removed */
};

static struct recorder *recorder;
static uint32_t recorder_fds[4096]; /* file + 1 by descriptor, of the process that has them */

static void recorder_open(void)
{
	recorder = mmap(NULL, sizeof *recorder, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	assert(recorder != MAP_FAILED);
	recorder->test = getpid();
}

static bool recorder_on(void)
{
	return recorder && recorder->test && getpid() != recorder->test;
}

static struct recorder_op *op_add(enum recorder_kind kind, uint32_t file)
{
	uint32_t place = atomic_fetch_add(&recorder->count, 1);

	assert(place < RECORDER_OPS);
	recorder->ops[place].kind = kind;
	recorder->ops[place].file = file;
	return &recorder->ops[place];
}

static uint32_t *fd_of(int fd)
{
	static uint32_t none;

	if (fd >= 0 && (size_t)fd < ARRAY_LEN(recorder_fds))
		return &recorder_fds[fd];
	none = 0;
	return &none;
}

static uint32_t file_of(const char *name)
{
	for (uint32_t i = 0; i < recorder->files; i++)
		if (strcmp(recorder->names[i], name) == 0)
			return i + 1;
	return 0;
}

static void opened(int fd, const char *name, int flags)
{
	uint32_t file = file_of(name);

	*fd_of(fd) = file;
	if (!(flags & O_CREAT))
		return;
	if (file > 0)
		recorder->names[file - 1][0] = '\0';
	file = atomic_fetch_add(&recorder->files, 1);
	assert(file < RECORDER_FILES);
	string_copy(recorder->names[file], sizeof recorder->names[file], name);
	string_copy(op_add(OP_CREATE, file)->name, 48, name);
	*fd_of(fd) = file + 1;
}

int openat(int folder, const char *name, int flags, ...)
{
	int fd = (int)syscall(SYS_openat, folder, name, flags, 0600);

	if (fd >= 0 && recorder_on())
		opened(fd, name, flags);
	return fd;
}

/* What the compiler makes of it where it can't see the flags. */
int __openat_2(int folder, const char *name, int flags);

int __openat_2(int folder, const char *name, int flags)
{
	return openat(folder, name, flags, 0);
}

int close(int fd)
{
	*fd_of(fd) = 0;
	return (int)syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	uint32_t file = recorder_on() ? *fd_of(fd) : 0;
	ssize_t n = syscall(SYS_write, fd, bytes, len);
	size_t at;

	if (file == 0 || n <= 0)
		return n;
	at = atomic_fetch_add(&recorder->used, (size_t)n);
	assert(at + (size_t)n <= RECORDER_OCTETS);
	memcpy(recorder->octets + at, bytes, (size_t)n);
	{
		struct recorder_op *op = op_add(OP_WRITE, file - 1);

		op->at = at;
		op->len = (size_t)n;
	}
	return n;
}

static int sync_of(long number, int fd)
{
	uint32_t begun = recorder ? recorder->count : 0, file = recorder_on() ? *fd_of(fd) : 0;
	int r = (int)syscall(number, fd);

	if (r == 0 && recorder_on())
		op_add(file ? OP_SYNC : OP_SYNC_FOLDER, file - 1)->begun = begun;
	return r;
}

int fdatasync(int fd)
{
	return sync_of(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return sync_of(SYS_fsync, fd);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
	int r = (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);

	if (r == 0 && recorder_on()) {
		uint32_t file = file_of(from);
		struct recorder_op *op;

		assert(file > 0 && file_of(to) == 0);
		op = op_add(OP_RENAME, file - 1);
		string_copy(recorder->names[file - 1], 48, to);
		string_copy(op->name, sizeof op->name, from);
		string_copy(op->other, sizeof op->other, to);
	}
	return r;
}

int ftruncate(int fd, off_t len)
{
	uint32_t file = recorder_on() ? *fd_of(fd) : 0;
	int r = (int)syscall(SYS_ftruncate, fd, len);

	if (r == 0 && file)
		op_add(OP_CUT, file - 1)->len = (size_t)len;
	return r;
}

int unlinkat(int folder, const char *name, int flags)
{
	int r = (int)syscall(SYS_unlinkat, folder, name, flags);

	if (r == 0 && recorder_on() && file_of(name)) {
		uint32_t file = file_of(name) - 1;

		string_copy(op_add(OP_UNLINK, file)->name, 48, name);
		recorder->names[file][0] = '\0';
	}
	return r;
}

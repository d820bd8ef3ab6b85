/* A state folder with a trail in it, written by the auditor's own writer without an auditor: what
 * is put is in the files as soon as its block is cut, at times that the test says. */
#pragma once

#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "gateway/audit/folder.h"
#include "gateway/audit/writer.h"
#include "gateway/base/fd.h"

struct place {
	char state[64], audit[80];
	int fd; /* of the audit folder */
	struct keys *keys;
	struct trail_writer writer;
	struct auditor_ring_info sessions[8]; /* that are open */
	size_t session_count;
};

static inline const struct auditor_ring_info *place_session(void *arg, size_t i)
{
	const struct place *p = arg;

	return i < p->session_count ? &p->sessions[i] : NULL;
}

/* No segment is begun yet. */
static inline void place_open(struct place *p)
{
	const char *tmp = getenv("TMPDIR");
	struct trail_end end = {.run = 7, .next_sequence = 1, .trail = {0xaa}};

	p->session_count = 0;
	(void)snprintf(p->state, sizeof p->state, "%s/place-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(p->state));
	(void)snprintf(p->audit, sizeof p->audit, "%s/audit", p->state);
	assert_int_equal(mkdir(p->audit, 0700), 0);
	p->fd = open(p->audit, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->fd >= 0);
	assert_int_equal(keys_open(-1, -1, &p->keys), 0);
	assert_int_equal(writer_open(&p->writer, p->fd, p->keys, place_session, p), 0);
	assert_int_equal(writer_start(&p->writer, &end), 0);
}

static inline void place_begin(struct place *p, enum audit_log log)
{
	assert_int_equal(writer_begin(&p->writer, log), 0);
}

static inline void place_time(struct place *p, uint64_t wall_ns, uint64_t mono_ns)
{
	p->writer.wall_ns = wall_ns;
	p->writer.mono_ns = MAX(mono_ns, p->writer.mono_ns);
}

/* What was put since the last time is a block of its own, in the file and on the disk. */
static inline void place_block(struct place *p)
{
	struct writer_mark mark;

	writer_cut(&p->writer);
	assert_int_equal(writer_flush(&p->writer), 0);
	mark = writer_mark(&p->writer);
	writer_synced(&p->writer, &mark);
}

static inline void place_attach(struct place *p, const struct auditor_ring_info *info)
{
	p->sessions[p->session_count++] = *info;
	(void)writer_put_session(&p->writer, info);
}

static inline void place_writer_close(struct place *p)
{
	writer_close(&p->writer);
	keys_close(p->keys);
}

static inline void folder_empty(int fd)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(again);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			(void)unlinkat(fd, entry->d_name, 0);
	(void)closedir(dir);
}

static inline void place_close(struct place *p)
{
	folder_empty(p->fd);
	close(p->fd);
	(void)rmdir(p->audit);
	(void)rmdir(p->state);
}

/* The whole file of a segment. Returns its octets. */
static inline size_t place_read(const struct place *p, enum audit_log log, uint64_t number,
				uint8_t *ret, size_t size)
{
	int fd = segment_open(p->fd, log, number);
	ssize_t n = pread(fd, ret, size, 0);

	assert_true(fd >= 0 && n >= 0 && (size_t)n < size);
	close(fd);
	return (size_t)n;
}

static inline void place_write(const struct place *p, enum audit_log log, uint64_t number,
			       const uint8_t *bytes, size_t len)
{
	int fd = segment_open_writable(p->fd, log, number);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, bytes, len, 0), (ssize_t)len);
	close(fd);
}

/* Where the n-th block of a segment begins, and how long it is. */
static inline size_t place_block_at(const uint8_t *bytes, size_t len, unsigned n, size_t *ret_len)
{
	struct segment_header header;
	struct block_header block;
	size_t at = 0;

	assert_int_equal(segment_header_size(bytes, &at), 0);
	assert_true(at < len);
	assert_int_equal(segment_header_read(bytes, at, &header), 0);
	for (;; at += block_size(&block)) {
		assert_true(at + BLOCK_HEADER_SIZE <= len);
		assert_int_equal(block_header_read(bytes + at, header.salt, &block), 0);
		*ret_len = block_size(&block);
		if (n-- == 0)
			return at;
	}
}

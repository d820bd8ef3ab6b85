/* Segments are begun under another name and renamed when they hold their header, the
 * open sessions and the tail: a segment that can be seen is never half begun, and the
 * death of the auditor in between leaves the one before as the last. Runs in the auditor. */
#include "gateway/audit/writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include "gateway/base/clock.h"
#include "gateway/base/fd.h"

#define NEW_NAME     "audit.new"
#define CONTEXT_SIZE (64u << 10)

int writer_open(struct segment_writer *w, int folder_fd, writer_context context, void *arg)
{
	*w = (struct segment_writer){
		.folder_fd = folder_fd, .context = context, .arg = arg, .fd = -1};
	w->next_sequence = w->tail_sequence = 1;
	w->tail = malloc(WRITER_TAIL_SIZE);
	return w->tail ? 0 : -ENOMEM;
}

void writer_close(struct segment_writer *w)
{
	fd_close(&w->fd);
	free(w->tail);
	w->tail = NULL;
}

/* Writes the frames at the end of the file whose size is *size. */
static int frames_append(int fd, uint64_t salt, uint64_t *size, uint8_t *frames, size_t len)
{
	int e;

	frames_seal(frames, len, *size, salt);
	e = fd_write_all(fd, frames, len);
	if (e < 0)
		return e;
	*size += len;
	return 0;
}

static int context_write(const struct segment_writer *w, int fd, uint64_t salt, uint64_t *size)
{
	OWNED_FREE uint8_t *frames = malloc(CONTEXT_SIZE);
	bool more = true;

	if (!frames)
		return -ENOMEM;
	for (size_t i = 0; more;) {
		struct wr some = wr_over(frames, CONTEXT_SIZE);
		int e;

		while ((size_t)(some.end - some.p) >= FRAME_MAX &&
		       (more = w->context(w->arg, i, &some)))
			i++;
		e = frames_append(fd, salt, size, frames, wr_len(&some));
		if (e < 0)
			return e;
	}
	return 0;
}

/* Header, open sessions, tail. *ret_offset: where the tail begins. */
static int segment_fill(struct segment_writer *w, const struct segment_header *h, int fd,
			uint64_t *ret_offset)
{
	uint8_t header[SEGMENT_HEADER_SIZE];
	uint64_t size = sizeof header, offset;
	int e;

	segment_header_write(h, header);
	e = fd_write_all(fd, header, sizeof header);
	if (e < 0)
		return e;
	e = context_write(w, fd, h->salt, &size);
	if (e < 0)
		return e;
	offset = size;
	e = frames_append(fd, h->salt, &size, w->tail, w->tail_len);
	if (e < 0)
		return e;
	*ret_offset = offset;
	return 0;
}

static int header_make(const struct segment_writer *w, struct segment_header *ret)
{
	struct segment_header h = w->header; /* the run stays */

	h.number++;
	h.start_ns = clock_wall_ns();
	h.first_sequence = w->tail_sequence;
	h.last_event = w->tail_event;
	if (getrandom(&h.salt, sizeof h.salt, 0) != (ssize_t)sizeof h.salt)
		return -EIO;
	*ret = h;
	return 0;
}

static int new_file(const struct segment_writer *w)
{
	int fd = openat(w->folder_fd, NEW_NAME,
			O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

int writer_begin(struct segment_writer *w, bool sure)
{
	struct segment_header h;
	char name[SEGMENT_NAME_SIZE];
	uint64_t offset;
	OWNED_FD fd = -1;
	int e;

	fd_close(&w->fd);
	e = header_make(w, &h);
	if (e < 0)
		return e;
	fd = new_file(w);
	if (fd < 0)
		return fd;
	e = segment_fill(w, &h, fd, &offset);
	if (e < 0)
		return e;
	if (sure && fdatasync(fd) < 0)
		return -errno;
	if (renameat(w->folder_fd, NEW_NAME, w->folder_fd, segment_name(h.number, name)) < 0)
		return -errno;
	if (sure && fsync(w->folder_fd) < 0)
		return -errno;
	w->fd = fd_take(&fd);
	w->header = h;
	w->folder_synced = sure;
	w->tail_offset = offset;
	w->written = w->tail_len;
	if (sure) {
		struct writer_mark mark = writer_mark(w);

		writer_synced(w, &mark);
	}
	return 0;
}

size_t writer_room(const struct segment_writer *w)
{
	return WRITER_TAIL_SIZE - w->tail_len;
}

struct wr writer_cursor(const struct segment_writer *w)
{
	return wr_over(w->tail + w->tail_len, writer_room(w));
}

void writer_take(struct segment_writer *w, const struct wr *cursor)
{
	assert(!cursor->failed && cursor->start == w->tail + w->tail_len);
	w->tail_len += wr_len(cursor);
}

struct stamp writer_stamp(struct segment_writer *w, uint64_t now_ns)
{
	return (struct stamp){.sequence = w->next_sequence++, .time_ns = now_ns};
}

int writer_flush(struct segment_writer *w)
{
	uint64_t size = w->tail_offset + w->written;
	int e;

	if (w->written == w->tail_len)
		return 0;
	if (w->fd < 0)
		return -EBADF;
	e = frames_append(w->fd, w->header.salt, &size, w->tail + w->written,
			  w->tail_len - w->written);
	if (e < 0)
		return e;
	w->written = w->tail_len;
	return 0;
}

bool writer_unsynced(const struct segment_writer *w)
{
	return w->tail_len > 0;
}

uint64_t writer_size(const struct segment_writer *w)
{
	return w->tail_offset + w->written;
}

struct writer_mark writer_mark(const struct segment_writer *w)
{
	assert(w->written == w->tail_len);
	return (struct writer_mark){writer_size(w), w->next_sequence, w->last_event};
}

void writer_synced(struct segment_writer *w, const struct writer_mark *mark)
{
	size_t len = (size_t)(mark->offset - w->tail_offset);

	assert(mark->offset >= w->tail_offset && len <= w->written);
	memmove(w->tail, w->tail + len, w->tail_len - len);
	w->tail_len -= len;
	w->written -= len;
	w->tail_offset = mark->offset;
	w->tail_sequence = mark->sequence;
	w->tail_event = mark->event;
}

/* Reads the end of the trail when the auditor starts. The page of a ring says how far it
 * is consumed, and lags behind the file by what was written just before the old auditor
 * died: that is in the last segment that has records of sessions at all, or, when a new one had
 * just been begun, in the last two. Runs in the auditor; trusts no octet of the files. */
#include "gateway/audit/resume.h"

#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include "gateway/audit/folder.h"
#include "gateway/audit/reader.h"
#include "gateway/base/log.h"

#define RUN_BITS 40 /* offsets that every file system takes */

uint64_t resume_run(int lock_fd)
{
	off_t kept = lseek(lock_fd, 0, SEEK_CUR);
	uint64_t run = 0;

	if (kept > 0)
		return (uint64_t)kept;
	while (run == 0) {
		if (getrandom(&run, sizeof run, 0) != (ssize_t)sizeof run)
			continue;
		run &= (UINT64_C(1) << RUN_BITS) - 1;
	}
	if (lseek(lock_fd, (off_t)run, SEEK_SET) < 0)
		log_warning("can't keep the number of this run with the lock of the state folder: "
			    "%s; an auditor that is restarted will not know its own records",
			    strerror(errno));
	return run;
}

static struct resume_ring *place_of(const struct resume *r, uint32_t connection)
{
	size_t at = (size_t)(connection * UINT32_C(2654435761)) & (r->size - 1);

	while (r->rings[at].connection != 0 && r->rings[at].connection != connection)
		at = (at + 1) & (r->size - 1);
	return &r->rings[at];
}

static int table_grow(struct resume *r)
{
	struct resume bigger = *r;

	bigger.size = r->size ? r->size * 2 : 256;
	bigger.rings = calloc(bigger.size, sizeof *bigger.rings);
	if (!bigger.rings)
		return -ENOMEM;
	for (size_t i = 0; i < r->size; i++)
		if (r->rings[i].connection)
			*place_of(&bigger, r->rings[i].connection) = r->rings[i];
	free(r->rings);
	*r = bigger;
	return 0;
}

static int note_ring(struct resume *r, uint32_t connection, uint64_t next_index)
{
	struct resume_ring *ring;
	int e;

	if (connection == 0)
		return 0;
	if (r->used * 2 >= r->size && (e = table_grow(r)) < 0)
		return e;
	ring = place_of(r, connection);
	if (ring->connection == 0)
		r->used++;
	ring->connection = connection;
	ring->next_index = MAX(ring->next_index, next_index);
	return 0;
}

static int note_frame(struct resume *r, const struct frame *f)
{
	switch (f->type) {
	case FRAME_COMMAND:
		return note_ring(r, f->connection, f->command.index + 1);
	case FRAME_SESSION:
		return note_ring(r, f->connection, 0);
	case FRAME_EVENT:
		r->last_event = MAX(r->last_event, f->event.id);
		return 0;
	default:
		return 0;
	}
}

static void note_damage(struct resume *r, const struct segment_reader *reader)
{
	char name[SEGMENT_NAME_SIZE];

	(void)snprintf(r->note, sizeof r->note, "%s is damaged from octet %llu for %llu octets",
		       segment_name(reader->header.number, name),
		       (unsigned long long)reader->damage_offset,
		       (unsigned long long)reader->damage_len);
}

/* Reads the segment to its end. What is damaged there may have held sequences: none of them may be
 * used again, so as many as fit are left out. */
static int scan(struct resume *r, struct segment_reader *reader, bool ours, bool *ret_rings)
{
	uint64_t next = reader->header.first_sequence, lost = 0;
	struct frame f;
	int got;

	if (ours)
		r->last_event = MAX(r->last_event, reader->header.last_event);
	while ((got = reader_next(reader, &f)) == READER_FRAME || got == READER_DAMAGED) {
		if (got == READER_DAMAGED) {
			note_damage(r, reader);
			lost += reader->damage_len / FRAME_LEAST + 1;
			continue;
		}
		if (f.stamp.sequence >= next) {
			next = f.stamp.sequence + 1;
			lost = 0;
		}
		*ret_rings |= f.stamp.sequence &&
			      (f.type == FRAME_COMMAND || f.type == FRAME_SESSION);
		if (ours && (got = note_frame(r, &f)) < 0)
			return got;
	}
	r->next_sequence = MAX(r->next_sequence, next + lost);
	return got < 0 ? got : 0;
}

/* 1: read; 0: no header that can be read; -errno. *ret_ours: it is of this run. *ret_rings: it has
 * records of sessions; auditors that died as soon as they were started leave segments that have
 * none. */
static int segment_scan(struct resume *r, uint64_t number, bool *ret_ours, bool *ret_rings)
{
	OWNED_FREE struct segment_reader *reader = malloc(sizeof *reader);
	OWNED_FD fd = segment_open(r->folder_fd, number);
	int e;

	if (!reader)
		return -ENOMEM;
	if (fd < 0)
		return fd;
	e = reader_open(reader, fd);
	if (e == -ENODATA || e == -EBADMSG || e == -EPROTONOSUPPORT)
		return 0;
	if (e < 0)
		return e;
	*ret_ours = reader->header.run == r->run;
	e = scan(r, reader, *ret_ours, ret_rings);
	if (e < 0)
		return e;
	/* What the old auditor wrote and did not sync yet is told to be durable from here on. */
	return *ret_ours && fdatasync(fd) < 0 ? -errno : 1;
}

static uint64_t size_of(int folder_fd, uint64_t number)
{
	OWNED_FD fd = segment_open(folder_fd, number);
	struct stat st;

	return fd < 0 || fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

int resume_read(struct resume *ret, int folder_fd, uint64_t run)
{
	struct resume r = {.folder_fd = folder_fd, .run = run, .next_sequence = 1};
	struct segment_list list;
	uint64_t unknown = 0;
	unsigned read = 0;
	bool ours = true;
	int e = segment_list_read(folder_fd, &list);

	if (e < 0)
		return e;
	r.last_number = list.count ? list.numbers[list.count - 1] : 0;
	for (size_t i = list.count; i > 0 && read < 2 && ours && e >= 0; i--) {
		char name[SEGMENT_NAME_SIZE];
		bool rings = false;

		e = segment_scan(&r, list.numbers[i - 1], &ours, &rings);
		if (e == 0) {
			unknown += size_of(folder_fd, list.numbers[i - 1]) / FRAME_LEAST;
			(void)snprintf(r.note, sizeof r.note, "%s has no header that can be read",
				       segment_name(list.numbers[i - 1], name));
		}
		read += rings;
	}
	segment_list_free(&list);
	r.next_sequence += unknown;
	if (e < 0) {
		resume_free(&r);
		return e;
	}
	*ret = r;
	return 0;
}

const struct resume_ring *resume_find(const struct resume *r, uint32_t connection)
{
	const struct resume_ring *ring = r->size ? place_of(r, connection) : NULL;

	return ring && ring->connection == connection && connection ? ring : NULL;
}

void resume_free(struct resume *r)
{
	free(r->rings);
	*r = (struct resume){0};
}

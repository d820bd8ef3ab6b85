/* The end of the trail when the auditor starts: both logs (resume_log.c), and what they say
 * together. Runs in the auditor; trusts no octet of the files. */
#include "gateway/audit/resume.h"

#include <stdio.h>
#include <sys/random.h>
#include "gateway/audit/resume_log.h"
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

int resume_ring_put(struct resume *r, uint32_t connection, uint64_t next_index)
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

static void note_missing(struct resume_found *found, uint64_t first, uint64_t behind)
{
	size_t len = strlen(found->lost);

	found->missing += behind - first;
	if (len + 64 < sizeof found->lost)
		(void)snprintf(found->lost + len, sizeof found->lost - len, "%s%llu to %llu",
			       len ? ", " : "", (unsigned long long)first,
			       (unsigned long long)behind - 1);
}

static int by_first(const void *a, const void *b)
{
	const struct resume_span *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* The blocks of both logs in the order of their sequences: what is between them and in neither?
 * Below the sequences with which their segments begin, all was on the disk. */
static int find_missing(struct resume *r, struct resume_log logs[AUDIT_LOGS])
{
	uint64_t expected = MAX(logs[0].first_sequence, logs[1].first_sequence);
	size_t at[AUDIT_LOGS] = {0};

	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		int e = resume_log_before(&logs[i], expected);

		if (e < 0)
			return e;
		if (logs[i].count > 1)
			qsort(logs[i].spans, logs[i].count, sizeof *logs[i].spans, by_first);
	}
	while (at[0] < logs[0].count || at[1] < logs[1].count) {
		size_t next = at[0] == logs[0].count ||
			      (at[1] < logs[1].count &&
			       logs[1].spans[at[1]].first < logs[0].spans[at[0]].first);
		const struct resume_span *span = &logs[next].spans[at[next]++];

		if (span->first > expected)
			note_missing(&r->found, expected, span->first);
		expected = MAX(expected, span->behind);
	}
	return 0;
}

static int end_make(struct resume *r, struct resume_log logs[AUDIT_LOGS])
{
	bool any = logs[0].any || logs[1].any;
	int e = find_missing(r, logs);

	if (e < 0)
		return e;
	r->end.run = r->run;
	r->end.next_sequence = MAX(MAX(logs[0].behind, logs[1].behind), 1);
	r->end.last_event = logs[LOG_EVENTS - 1].place.event;
	r->end.same_run = any && logs[0].same_run == logs[0].any && logs[1].same_run == logs[1].any;
	r->found.any = any;
	r->found.clean = logs[0].ended && logs[1].ended;
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		r->end.logs[i].place = logs[i].place;
		r->end.logs[i].place.event = r->end.last_event;
	}
	if (!any && getrandom(r->end.trail, sizeof r->end.trail, 0) != sizeof r->end.trail)
		return -EIO;
	return 0;
}

int resume_read(struct resume *ret, int folder_fd, uint64_t run, const struct keys *keys)
{
	struct resume_log *logs = calloc(AUDIT_LOGS, sizeof *logs);
	struct resume r = {.folder_fd = folder_fd, .run = run, .keys = keys};
	int e = logs ? 0 : -ENOMEM;

	for (size_t i = 0; i < AUDIT_LOGS && e == 0; i++)
		if ((e = resume_log_start(&logs[i], &r, (enum audit_log)(i + 1))) == 0)
			e = resume_log_read(&logs[i]);
	if (e == 0)
		e = end_make(&r, logs);
	for (size_t i = 0; i < AUDIT_LOGS && logs; i++)
		resume_log_free(&logs[i]);
	free(logs);
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

/* The auditor's tail while nothing can be written: records are taken only as long as the reserve
 * for what the monitor says is left, whatever sessions put. */
#include "tests/unit/audit_place.h"

static struct tests t;

static const struct row {
	const char *why;
	unsigned burst; /* records at once, at most */
	bool events;	/* between the bursts */
} rows[] = {
	{"P4: the reserve is left when records come one by one", 1, false},
	{"P4: the reserve is left when records come in small bursts", 13, false},
	{"P4: the reserve is left when whole rings are full", 4096, false},
	{"P4: the reserve is left when events come between records", 1, true},
};

static uint64_t random_next(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

/* As long a row as a session can make. */
static struct audit_record longest(void)
{
	struct audit_record r = {.index = random_next(),
				 .wall_ns = random_next() % 2 ? UINT64_MAX : 1,
				 .lba = random_next() | UINT64_C(1) << 63,
				 .blocks = (uint32_t)random_next(),
				 .rule_line = UINT32_MAX,
				 .task_tag = (uint32_t)random_next(),
				 .lun = (uint16_t)random_next(),
				 .kind = AUDIT_OUTCOME,
				 .verdict = (uint8_t)random_next(),
				 .cdb_len = 32,
				 .status = 2,
				 .latency_us = UINT32_MAX};

	for (size_t i = 0; i < sizeof r.cdb; i++)
		r.cdb[i] = (uint8_t)random_next();
	return r;
}

static void put_event(struct trail_writer *w)
{
	struct audit_event e = {.id = w->last_event + 1, .kind = EVENT_LOGOUT};

	for (size_t i = 0; i + 1 < sizeof e.detail; i++)
		e.detail[i] = (char)(1 + random_next() % 255);
	(void)writer_put_event(w, &e);
}

static void fill(void **state)
{
	const struct row *row = *state;
	struct trail_writer *w;
	struct place p;
	uint64_t room;

	place_open(&p);
	w = &p.writer;
	while ((room = writer_room(w)) > 0 && writer_has_reserve(w)) {
		for (room = MIN(room, row->burst); room > 0; room--) {
			struct audit_record record = longest();

			writer_clock(w);
			(void)writer_put_command(w, 1 + (uint32_t)(room % 3), &record);
		}
		assert_true(writer_has_reserve(w));
		if (row->events)
			put_event(w);
	}
	put_event(w); /* what the monitor sent last finds room */
	place_begin(&p, AUDIT_LOG_INVALID);
	assert_true(writer_room(w) > 0);
	place_writer_close(&p);
	place_close(&p);
}

int main(void)
{
	TESTS_ADD_TABLE(&t, rows, fill);
	return tests_run(&t, "audit");
}

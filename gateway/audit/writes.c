/* The last writers of blocks. A command's end is known by its outcome, which follows it with the
 * same connection, task tag and CDB; a command with a list has a record for each of its ranges, all
 * put at one moment of the session's clock. A tag is used again as soon as its task is over. */
#include "gateway/audit/writes.h"

#define TASKS_MAX    1048576
#define ENDINGS_MAX  65536
#define WHOS_MAX     65536
#define OPEN_MAX     1048576
#define SAME_TIME_NS 2000 /* the trail keeps microseconds */
#define MISCOMPARE   0x0e

enum { UNMAP = 0x42, COPY_OUT = 0x83, COMPARE_AND_WRITE = 0x89 };

struct task_key {
	uint64_t run;
	uint32_t connection, tag;
};

struct task_entry {
	struct task_key key;
	uint64_t wall_ns;
	size_t note; /* 1 + of its last range that is asked for; 0: none is */
	bool ended;
	uint16_t lun;
	uint8_t cdb[32];
};

struct ending_entry {
	struct task_key key;
	struct audit_record outcome;
};

struct who_entry {
	struct who_key {
		uint64_t run;
		uint64_t connection;
	} key;
	struct auditor_ring_info info;
	uint32_t number;
};

const char *write_end_name(enum write_end end)
{
	static const char *const names[] = {
		[WRITE_DONE] = "done",
		[WRITE_FAILED] = "failed",
		[WRITE_UNEQUAL] = "compared-unequal",
		[WRITE_NOT_EXECUTED] = "not-executed",
	};

	return names[end];
}

static void tables_open(struct writes *w)
{
	table_open(&w->tasks, sizeof(struct task_entry), sizeof(struct task_key), TASKS_MAX);
	table_open(&w->fresh, sizeof(struct ending_entry), sizeof(struct task_key), ENDINGS_MAX);
}

static void tables_close(struct writes *w)
{
	w->unsure |= w->tasks.left_out != 0 || w->fresh.left_out != 0;
	table_close(&w->tasks);
	table_close(&w->fresh);
}

int writes_open(struct writes *w, const struct audit_filter *filter, uint64_t history)
{
	assert(filter->range_count > 0);
	*w = (struct writes){.filter = filter, .history = history};
	w->open_room = filter->range_count + 1024;
	w->open = malloc(w->open_room * sizeof *w->open);
	w->notes = malloc(WRITES_NOTES_MAX * sizeof *w->notes);
	tables_open(w);
	table_open(&w->endings, sizeof(struct ending_entry), sizeof(struct task_key), ENDINGS_MAX);
	table_open(&w->whos, sizeof(struct who_entry), sizeof(struct who_key), WHOS_MAX);
	if (!w->open || !w->notes) {
		writes_close(w);
		return -ENOMEM;
	}
	memcpy(w->open, filter->ranges, filter->range_count * sizeof *w->open);
	w->open_count = filter->range_count;
	return 0;
}

void writes_close(struct writes *w)
{
	free(TAKE(w->open));
	free(TAKE(w->notes));
	tables_close(w);
	table_close(&w->endings);
	table_close(&w->whos);
}

void writes_window(struct writes *w)
{
	tables_close(w);
	tables_open(w);
	w->count = 0;
	w->full = false;
}

/* --- records --------------------------------------------------------------------------------- */

static struct task_key key_of(const struct trail_record *r)
{
	return (struct task_key){r->run, r->frame.connection, r->frame.command.task_tag};
}

static uint32_t who_is(struct writes *w, const struct trail_record *r)
{
	struct who_key key = {r->run, r->frame.connection};
	struct who_entry *who = r->session ? table_get(&w->whos, &key) : NULL;

	if (!who)
		return 0;
	if (who->number == 0) {
		who->info = *r->session;
		who->number = (uint32_t)w->whos.count;
	}
	return who->number;
}

const struct auditor_ring_info *writes_who(const struct writes *w, const struct write_note *n)
{
	const struct who_entry *who;

	if (n->who == 0)
		return NULL;
	who = (const void *)w->whos.entries[n->who - 1];
	return &who->info;
}

static void end_note(struct write_note *n, const struct audit_record *outcome)
{
	if (outcome->verdict == VERDICT_DONE)
		return;
	n->status = outcome->status;
	n->sense_key = outcome->sense_key;
	n->asc = outcome->asc;
	n->ascq = outcome->ascq;
	n->end = WRITE_FAILED;
	if (outcome->verdict == VERDICT_NOT_EXECUTED)
		n->end = WRITE_NOT_EXECUTED;
	else if (n->command.cdb[0] == COMPARE_AND_WRITE && outcome->sense_key == MISCOMPARE)
		n->end = WRITE_UNEQUAL;
}

/* Initiators that mirror send the same CDB to two LUNs. */
static bool is_command(const struct task_entry *task, const struct audit_record *c)
{
	return task->lun == c->lun && memcmp(task->cdb, c->cdb, sizeof task->cdb) == 0;
}

/* The outcome is of the command that had the tag last; of another command it says nothing. */
static void end_task(struct writes *w, struct task_entry *task, const struct audit_record *outcome)
{
	if (task->ended || !is_command(task, outcome))
		return;
	task->ended = true;
	for (size_t at = task->note; at != 0; at = w->notes[at - 1].before)
		end_note(&w->notes[at - 1], outcome);
}

static void add_outcome(struct writes *w, const struct trail_record *r)
{
	struct task_key key = key_of(r);
	struct task_entry *task = table_find(&w->tasks, &key);
	struct ending_entry *ending;

	if (task) {
		end_task(w, task, &r->frame.command);
		return;
	}
	if (table_find(&w->fresh, &key)) /* the first one is of what stands before this window */
		return;
	ending = table_get(&w->fresh, &key);
	if (ending)
		ending->outcome = r->frame.command;
}

/* A CDB of these does not say which blocks. */
static bool has_list(const struct audit_record *c)
{
	return c->cdb[0] == UNMAP || c->cdb[0] == COPY_OUT;
}

static bool is_same_task(const struct task_entry *task, const struct audit_record *c)
{
	uint64_t apart = task->wall_ns > c->wall_ns ? task->wall_ns - c->wall_ns
						    : c->wall_ns - task->wall_ns;

	return apart <= SAME_TIME_NS && is_command(task, c);
}

/* The task of this record: the one that has the tag, or a new one with the same tag. */
static struct task_entry *task_of(struct writes *w, const struct trail_record *r)
{
	const struct audit_record *c = &r->frame.command;
	struct task_key key = key_of(r);
	struct task_entry *task = table_get(&w->tasks, &key);

	if (task && !is_same_task(task, c)) {
		task->note = 0;
		task->ended = false;
		task->wall_ns = c->wall_ns;
		task->lun = c->lun;
		memcpy(task->cdb, c->cdb, sizeof task->cdb);
	}
	return task;
}

static void add_note(struct writes *w, const struct trail_record *r, struct task_entry *task)
{
	struct write_note *n = &w->notes[w->count++];

	*n = (struct write_note){.stamp = r->frame.stamp,
				 .run = r->run,
				 .connection = r->frame.connection,
				 .who = who_is(w, r),
				 .reach = audit_reach(&r->frame.command),
				 .command = r->frame.command,
				 .before = task ? task->note : 0};
	if (task)
		task->note = w->count;
}

void writes_add(struct writes *w, const struct trail_record *r)
{
	const struct audit_record *c = &r->frame.command;
	struct reach reach;
	bool asked;

	if (r->frame.type != FRAME_COMMAND || w->full)
		return;
	if (c->kind == AUDIT_OUTCOME) {
		if (c->verdict != VERDICT_BUSY)
			add_outcome(w, r);
		return;
	}
	reach = audit_reach(c);
	if (c->verdict != VERDICT_ADMITTED || !(reach.deeds & (DEED_WRITE | DEED_DISCARD)))
		return;
	asked = reach.blocks && audit_filter_match(w->filter, r);
	if (!asked && !has_list(c))
		return;
	if (w->count == WRITES_NOTES_MAX) {
		w->full = true;
		return;
	}
	if (asked)
		add_note(w, r, task_of(w, r));
	else
		(void)task_of(w, r);
}

/* --- from the newest to the oldest ------------------------------------------------------------ */

/* Outcomes that newer windows had and this one has the commands of; what is left waits on. */
static void meet_endings(struct writes *w)
{
	struct table left;

	table_open(&left, sizeof(struct ending_entry), sizeof(struct task_key), ENDINGS_MAX);
	for (size_t k = 0; k < w->endings.count; k++) {
		const struct ending_entry *e = (const void *)w->endings.entries[k];
		struct task_entry *task = table_find(&w->tasks, &e->key);
		struct ending_entry *kept;

		if (task)
			end_task(w, task, &e->outcome);
		else if (!table_find(&w->fresh, &e->key) && (kept = table_get(&left, &e->key)))
			kept->outcome = e->outcome;
	}
	for (size_t k = 0; k < w->fresh.count; k++) {
		const struct ending_entry *e = (const void *)w->fresh.entries[k];
		struct ending_entry *kept = table_get(&left, &e->key);

		if (kept)
			kept->outcome = e->outcome;
	}
	w->unsure |= left.left_out != 0;
	table_close(&w->endings);
	w->endings = left;
}

static int open_insert(struct writes *w, size_t at, struct lba_range range)
{
	if (w->open_count == w->open_room) {
		size_t room = MIN(2 * w->open_room, (size_t)OPEN_MAX);
		struct lba_range *more = room > w->open_room ? realloc(w->open, room * sizeof *more)
							     : NULL;

		if (!more)
			return -E2BIG;
		w->open = more;
		w->open_room = room;
	}
	memmove(&w->open[at + 1], &w->open[at], (w->open_count - at) * sizeof range);
	w->open[at] = range;
	w->open_count++;
	return 0;
}

/* Takes `piece` out of the open range at `*at`, of which it is a part; *at: where to go on. */
static int open_take(struct writes *w, size_t *at, struct lba_range piece)
{
	struct lba_range whole = w->open[*at];

	if (whole.first == piece.first && whole.last == piece.last) {
		w->open_count--;
		memmove(&w->open[*at], &w->open[*at + 1], (w->open_count - *at) * sizeof whole);
		return 0;
	}
	if (whole.first == piece.first) {
		w->open[*at].first = piece.last + 1;
		return 0;
	}
	w->open[*at].last = piece.first - 1;
	(*at)++;
	if (whole.last == piece.last)
		return 0;
	return open_insert(w, *at, (struct lba_range){piece.last + 1, whole.last});
}

/* The blocks of `n` that nobody wrote later. Only a write that is done closes them. */
static int tell_open(struct writes *w, const struct write_note *n, writes_teller tell, void *arg)
{
	const struct lba_range *met =
		lba_ranges_meet(w->open, w->open_count, n->reach.first, n->reach.last);
	size_t at = met ? (size_t)(met - w->open) : w->open_count;
	int e = 0;

	while (e == 0 && at < w->open_count && w->open[at].first <= n->reach.last) {
		struct lba_range piece = {MAX(w->open[at].first, n->reach.first),
					  MIN(w->open[at].last, n->reach.last)};

		w->told++;
		tell(arg, n, piece);
		if (n->end == WRITE_DONE)
			e = open_take(w, &at, piece);
		else
			at++;
	}
	return e;
}

static int tell_note(struct writes *w, const struct write_note *n, writes_teller tell, void *arg)
{
	if (w->history) {
		tell(arg, n, (struct lba_range){n->reach.first, n->reach.last});
		return ++w->told == w->history;
	}
	if (n->end == WRITE_DONE || n->end == WRITE_FAILED) {
		int e = tell_open(w, n, tell, arg);

		if (e < 0)
			return e;
	}
	return w->open_count == 0;
}

int writes_end_window(struct writes *w, writes_teller tell, void *arg)
{
	int done = 0;

	meet_endings(w);
	while (done == 0 && w->count > 0)
		done = tell_note(w, &w->notes[--w->count], tell, arg);
	return done;
}

void writes_end(struct writes *w, writes_teller tell, void *arg)
{
	for (size_t k = 0; !w->history && k < w->open_count; k++)
		tell(arg, NULL, w->open[k]);
}

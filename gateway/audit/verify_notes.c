/* Checkpoints, in the audit folder and from elsewhere: each has a signature, and a root that the
 * tree must have when it has that many blocks. Notes are text of anybody's making. */
#include "gateway/audit/verify_parts.h"

static const struct verify_numbers *files(const struct verify_log *l)
{
	return &l->v->folder.notes[l->log - 1];
}

static struct verify_finding at_note(const struct verify_log *l, enum verify_kind kind)
{
	const struct verify_notes *n = &l->stored;
	struct verify_finding f = {.kind = kind, .log = l->log, .has_place = true};

	(void)segment_note_name(l->log, files(l)->list[n->at], f.file);
	f.offset = n->offset;
	f.octets = n->octets;
	return f;
}

static bool file_open(struct verify_log *l)
{
	struct verify_notes *n = &l->stored;
	struct verify_finding f;
	int e;

	n->offset = n->octets = 0;
	f = at_note(l, FOUND_UNREADABLE);
	f.has_place = false;
	e = verify_file_open(&n->file, l->v->folder_fd, f.file);
	if (e == 0)
		return true;
	verify_text(&f, "%s", e == -EINVAL ? "it is no file" : strerror(-e));
	verify_found(l->v, &f);
	return false;
}

/* What follows in the file is no whole note: the rest of it is told. */
static void note_damaged(struct verify_log *l)
{
	struct verify_notes *n = &l->stored;
	struct verify_finding f = at_note(l, FOUND_NOTE_DAMAGED);

	f.octets = n->file.size - n->offset;
	if (f.octets < NOTE_SIZE) /* a crash cuts off the last one at most */
		verify_cut(l->v, 0, &f);
	else
		verify_found(l->v, &f);
}

/* The next one of the file that is open. */
static bool note_parse(struct verify_log *l)
{
	struct verify_notes *n = &l->stored;
	size_t len = (size_t)MIN(n->file.size - n->offset, NOTE_READ_MAX);
	const char *text = (const char *)verify_file_at(&n->file, n->offset, len);
	size_t span = text ? note_span(text, len) : 0;

	if (span == 0 || note_read(&n->note, text, span) < 0)
		return false;
	n->octets = span;
	return true;
}

/* The next note of the log's files, if there is one. */
static void note_next(struct verify_log *l)
{
	struct verify_notes *n = &l->stored;

	n->offset += n->octets;
	n->octets = 0;
	n->have = false;
	while (!n->have && n->at < files(l)->count) {
		if (n->file.fd < 0 && !file_open(l)) {
			n->at++;
		} else if (n->offset < n->file.size && (n->have = note_parse(l))) {
			l->result->notes++;
		} else {
			if (n->offset < n->file.size)
				note_damaged(l);
			verify_file_close(&n->file);
			n->at++;
		}
	}
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = (*(const struct note *const *)a)->size,
		 y = (*(const struct note *const *)b)->size;

	return (x > y) - (x < y);
}

int verify_notes_start(struct verify_log *l)
{
	const struct verify_asked *asked = l->v->asked;
	int e = verify_file_start(&l->stored.file);

	l->outside = calloc(asked->note_count + 1, sizeof(const struct note *));
	if (e < 0 || !l->outside)
		return -ENOMEM;
	for (size_t i = 0; i < asked->note_count; i++)
		if (asked->notes[i].log == l->log)
			l->outside[l->outside_count++] = &asked->notes[i];
	if (l->outside_count > 1)
		qsort(l->outside, l->outside_count, sizeof(const struct note *), by_size);
	note_next(l);
	return 0;
}

/* --- against the tree --------------------------------------------------------------------- */

static bool root_right(const struct verify_log *l, const struct note *n)
{
	uint8_t root[HASH_SIZE];

	tree_root(&l->tree, root);
	return memcmp(root, n->root, sizeof root) == 0;
}

/* FOUND_INVALID: it is right; below: the tree is not at its size. */
static enum verify_kind note_judge(const struct verify_log *l, const struct note *n)
{
	if (l->v->have_trail && memcmp(n->trail, l->v->result->trail, sizeof n->trail) != 0)
		return FOUND_OTHER_TRAIL;
	if (n->log != l->log || !verify_signed(l->v, n))
		return FOUND_NOTE_FALSE;
	if (l->tree_known && n->size == l->tree.size && !root_right(l, n))
		return FOUND_ROOT_FALSE;
	return FOUND_INVALID;
}

static void stored_judge(struct verify_log *l)
{
	struct verify_notes *n = &l->stored;
	enum verify_kind kind = note_judge(l, &n->note);
	struct verify_finding f;

	/* Nobody but the auditor writes there: a line of somebody else's would be unproven. */
	if (kind == FOUND_INVALID && (n->note.others > 0 || n->note.size <= n->last_size))
		kind = FOUND_NOTE_DAMAGED;
	n->last_size = MAX(n->last_size, n->note.size);
	if (kind == FOUND_INVALID) {
		if (l->tree_known && n->note.size == l->tree.size)
			l->result->signed_end = MAX(l->result->signed_end, n->note.size);
		return;
	}
	f = at_note(l, kind == FOUND_OTHER_TRAIL ? FOUND_NOTE_FALSE : kind);
	f.has_block = n->note.size > 0;
	f.block = f.last_block = n->note.size - f.has_block;
	verify_text(&f, "checkpoint of %llu blocks", (unsigned long long)n->note.size);
	verify_found(l->v, &f);
}

static void outside_judge(struct verify_log *l, const struct note *n)
{
	enum verify_kind kind = note_judge(l, n);
	struct verify_finding f = {.kind = kind, .log = l->log, .has_block = n->size > 0};

	f.block = f.last_block = n->size - f.has_block;
	if (kind == FOUND_INVALID && n->size < l->result->blocks.first)
		f.kind = FOUND_OLD_CHECKPOINT;
	if (f.kind != FOUND_INVALID) {
		verify_text(&f, "the checkpoint of %llu blocks that you gave",
			    (unsigned long long)n->size);
		verify_found(l->v, &f);
	} else if (l->tree_known && n->size == l->tree.size) {
		l->result->outside_end = MAX(l->result->outside_end, n->size);
	}
}

/* A crash leaves one whose segment retention has just deleted. */
static bool is_counted(const struct verify_log *l)
{
	return files(l)->list[l->stored.at] >= l->v->folder.segments[l->log - 1].list[0];
}

void verify_notes_begin(struct verify_log *l, uint64_t segment)
{
	struct verify_notes *n = &l->stored;

	if (segment != l->v->folder.segments[l->log - 1].list[0])
		return;
	n->before = l->block.notes; /* none of its own could be written earlier */
	n->before_known = true;
}

/* Each block counts the checkpoints that were written when it was made: those are of fewer blocks.
 * A running gateway may have written some since their file was opened. */
void verify_notes_count(struct verify_log *l)
{
	struct verify_notes *n = &l->stored;
	uint32_t there = n->before + n->taken, missing = l->block.notes - there;
	uint64_t live = l->v->asked->live_sequence;
	struct verify_finding f = {.kind = FOUND_NOTE_MISSING, .log = l->log};

	if (!n->before_known || missing == 0 || missing > INT32_MAX ||
	    (live > 0 && l->block.first_sequence > live))
		return;
	f.has_block = true;
	f.block = f.last_block = l->block.number;
	(void)segment_note_name(l->log, l->v->folder.segments[l->log - 1].list[l->at], f.file);
	verify_text(&f, "%u before that block, in this file or before it", missing);
	verify_cut(l->v, 0, &f); /* a power cut can lose them, which the next run declares */
	n->before += missing;	 /* one cause, one finding */
}

void verify_notes_reach(struct verify_log *l)
{
	while (l->stored.have && l->stored.note.size <= l->next) {
		l->stored.taken += is_counted(l);
		stored_judge(l);
		note_next(l);
	}
	while (l->outside_at < l->outside_count && l->outside[l->outside_at]->size <= l->next)
		outside_judge(l, l->outside[l->outside_at++]);
}

/* A signed checkpoint says that there were more blocks. */
static void cut(struct verify_log *l, const struct note *n, const char *whose)
{
	char name[VERIFY_FILE_SIZE];
	struct verify_finding f = {.kind = l->torn_octets ? FOUND_DAMAGED : FOUND_CUT,
				   .log = l->log,
				   .has_place = true,
				   .has_block = true,
				   .offset = l->torn_at,
				   .octets = l->torn_octets,
				   .block = l->next,
				   .last_block = n->size - 1};

	if (l->cut)
		return;
	l->cut = true;
	string_copy(f.file, sizeof f.file, verify_segment_name(l, name));
	verify_text(&f, "a checkpoint %s is about %llu blocks", whose, (unsigned long long)n->size);
	verify_found(l->v, &f);
}

void verify_notes_finish(struct verify_log *l)
{
	const struct verify *v = l->v;

	for (; l->stored.have; note_next(l)) {
		if (note_judge(l, &l->stored.note) != FOUND_INVALID)
			stored_judge(l);
		else if (v->asked->live_sequence == 0) /* a running gateway has gone on */
			cut(l, &l->stored.note, "in the folder");
	}
	for (; l->outside_at < l->outside_count; l->outside_at++) {
		const struct note *n = l->outside[l->outside_at];

		if (note_judge(l, n) != FOUND_INVALID)
			outside_judge(l, n);
		else if (v->asked->live_sequence == 0 || l->torn_octets == 0)
			cut(l, n, "that you gave");
	}
}

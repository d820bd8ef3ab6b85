/* Walks the blocks of one log, segment by segment: CRCs, numbers, chain, tree, headers and what is
 * beyond a segment's end. Hands on only blocks that are right; what is not is told with its
 * place, and the walk goes on behind it. */
#include "gateway/audit/verify_parts.h"

const char *verify_segment_name(const struct verify_log *l, char ret[VERIFY_FILE_SIZE])
{
	const struct verify_numbers *n = &l->v->folder.segments[l->log - 1];
	char name[SEGMENT_NAME_SIZE] = "";

	if (n->count > 0)
		(void)segment_name(l->log, n->list[MIN(l->at, n->count - 1)], name);
	(void)string_copy(ret, VERIFY_FILE_SIZE, name);
	return ret;
}

static const struct verify_numbers *segments(const struct verify_log *l)
{
	return &l->v->folder.segments[l->log - 1];
}

int verify_log_start(struct verify_log *l)
{
	int e;

	l->past = calloc(1, sizeof *l->past);
	if (!l->past)
		return -ENOMEM;
	if ((e = verify_file_start(&l->next_file)) < 0 || (e = verify_notes_start(l)) < 0)
		return e;
	return verify_seals_start(l);
}

void verify_log_free(struct verify_log *l)
{
	verify_file_free(&l->file);
	verify_file_free(&l->next_file);
	verify_file_free(&l->stored.file);
	names_clear(&l->names);
	free(l->past);
	free(l->outside);
	free(l->seals); /* wiped by verify_seals_finish() */
}

/* --- where the chain is lost -------------------------------------------------------------- */

static void break_begin(struct verify_log *l, enum verify_kind kind, uint64_t offset,
			uint64_t octets)
{
	struct verify_finding *f = &l->broken.finding;

	if (l->broken.is) { /* one spot, as long as no block in between was right */
		if (f->offset + f->octets == offset)
			f->octets += octets;
		return;
	}
	*f = verify_at(l, kind);
	f->has_place = true;
	f->offset = offset;
	f->octets = octets;
	f->has_block = true;
	f->block = f->last_block = l->next;
	l->broken.is = true;
}

/* The block behind it is `number`: what is missing is known now. */
static void break_until(struct verify_log *l, uint64_t number)
{
	struct verify_finding *f = &l->broken.finding;

	if (number <= l->next) {
		if (f->kind == FOUND_DAMAGED)
			f->kind = FOUND_INSERTED;
		f->has_block = false;
		return;
	}
	f->last_block = number - 1;
	l->next = number;
	l->hash_known = l->tree_known = false;
}

/* --- segments ----------------------------------------------------------------------------- */

static void context_push(struct verify_log *l)
{
	struct verify_context *c;

	if (l->context_count == VERIFY_CONTEXTS) {
		struct verify_finding f = verify_at(l, FOUND_CONTEXT_FALSE);

		verify_text(&f, "too many segments without a block of their own");
		verify_found(l->v, &f);
		l->context_count = 0;
	}
	c = &l->contexts[l->context_count++];
	*c = (struct verify_context){.segment = segments(l)->list[l->at],
				     .first_block = l->head.first_block};
	memcpy(c->hash, l->head_hash, sizeof c->hash);
}

/* The first block of the next segment that can be read. */
static uint64_t end_of(struct verify_log *l)
{
	const struct verify_numbers *n = segments(l);
	size_t here = l->at;
	uint64_t end = UINT64_MAX;

	for (size_t i = here + 1; i < n->count && end == UINT64_MAX; i++) {
		struct segment_header h;
		char name[VERIFY_FILE_SIZE];

		l->at = i;
		if (verify_file_open(&l->next_file, l->v->folder_fd,
				     verify_segment_name(l, name)) == 0 &&
		    verify_head_read(&l->next_file, l->log, n->list[i], &h) == 0) {
			end = h.first_block;
			l->next_run = h.run;
			/* Where its blocks begin: what this one's rest is compared with. */
			l->next_file.offset = i == here + 1 ? h.size : 0;
		}
	}
	l->at = here;
	return end;
}

static void unreadable(struct verify_log *l, int e)
{
	struct verify_finding f = verify_at(l, e == -EBADF ? FOUND_HEADER_FALSE
					       : e == -EBADMSG || e == -EPROTONOSUPPORT
						       ? FOUND_HEADER_DAMAGED
						       : FOUND_UNREADABLE);

	f.has_place = e == -EBADMSG;
	f.octets = f.has_place ? l->file.size : 0;
	verify_text(&f, "%s",
		    e == -EPROTONOSUPPORT ? "a newer version of sallyport wrote it"
		    : e == -EBADMSG	  ? ""
		    : e == -EBADF	  ? "it is the header of another file"
		    : e == -EINVAL	  ? "it is no file"
					  : strerror(-e));
	verify_found(l->v, &f);
}

static void check_number(struct verify_log *l)
{
	const struct verify_numbers *n = segments(l);
	struct verify_finding f;

	if (l->at == 0 || n->list[l->at - 1] + 1 == n->list[l->at])
		return;
	f = verify_at(l, FOUND_SEGMENT_MISSING);
	verify_text(&f, "segments %llu to %llu of the %s are not there",
		    (unsigned long long)n->list[l->at - 1] + 1,
		    (unsigned long long)n->list[l->at] - 1, audit_log_name(l->log));
	verify_found(l->v, &f);
}

/* False: it can't be read, which was told. */
static bool segment_enter(struct verify_log *l)
{
	char name[VERIFY_FILE_SIZE];
	int e;

	check_number(l);
	e = verify_file_open(&l->file, l->v->folder_fd, verify_segment_name(l, name));
	if (e == 0) {
		l->result->octets += l->file.size;
		e = verify_head_enter(l);
	}
	if (e < 0) {
		unreadable(l, e);
		verify_file_close(&l->file);
		return false;
	}
	l->result->segments++;
	l->file.offset = l->head.size;
	if (l->any && l->head.first_block > l->next) {
		break_begin(l, FOUND_MISSING, 0, 0);
		break_until(l, l->head.first_block);
	}
	verify_head_check(l);
	context_push(l);
	l->end = end_of(l);
	return true;
}

/* What is behind the first block of the next segment must stand in that one again. */
static void segment_leave(struct verify_log *l)
{
	bool same =
		l->next_file.fd >= 0 && l->next_file.offset > 0 &&
		verify_file_begins(&l->file, l->file.offset, &l->next_file, l->next_file.offset);

	if (l->file.offset < l->file.size && !same) {
		struct verify_finding f = verify_at(l, FOUND_REST_FALSE);

		f.has_place = true;
		f.offset = l->file.offset;
		f.octets = l->file.size - l->file.offset;
		/* The auditor that left it has cut it off; a power cut undoes that, and who came
		 * next says so. */
		verify_cut(l->v, l->next_run == l->head.run ? 0 : l->next_run, &f);
	}
	verify_file_close(&l->file);
	l->at++;
}

/* --- blocks ------------------------------------------------------------------------------- */

/* A header that is right can claim as much as the largest block, at each octet that is its own: so
 * many times the file's size are looked at for nothing, then its rest is damaged as a whole. */
#define WASTED_TIMES 4

enum looked { LOOKED_RIGHT, LOOKED_DAMAGED, LOOKED_NOTHING };

static enum looked block_look(struct verify_log *l)
{
	struct verify_file *f = &l->file;
	const uint8_t *p;

	if (f->offset == f->size)
		return LOOKED_NOTHING;
	p = verify_file_at(f, f->offset, BLOCK_HEADER_SIZE);
	if (!p || block_header_read(p, l->head.salt, &l->block) < 0 || l->block.log != l->log)
		return LOOKED_DAMAGED;
	l->size = block_size(&l->block);
	p = verify_file_at(f, f->offset, l->size);
	if (!p || !block_crc_right(p, l->size, l->head.salt)) {
		f->wasted += l->size;
		return LOOKED_DAMAGED;
	}
	l->bytes = p;
	l->block_offset = f->offset;
	f->offset += l->size;
	return LOOKED_RIGHT;
}

/* Goes on at the next header that is right. False: there is none in this file. */
static bool damage_skip(struct verify_log *l)
{
	struct verify_file *f = &l->file;
	uint64_t found = f->offset + 1;
	struct block_header h;

	if (f->wasted / WASTED_TIMES > f->size + BLOCK_SIZE_MAX) {
		struct verify_finding told = verify_at(l, FOUND_DAMAGED);

		told.has_place = true;
		told.offset = f->offset;
		told.octets = f->size - f->offset;
		verify_text(&told,
			    "too much claims to be blocks and is none: no more is looked for");
		verify_found(l->v, &told);
		return false;
	}
	while (verify_file_scan(f, found, l->head.salt, &found, &h)) {
		if (h.log == l->log) {
			break_begin(l, FOUND_DAMAGED, f->offset, found - f->offset);
			f->offset = found;
			return true;
		}
		found++;
	}
	return false;
}

/* Nothing that is right follows in this file. */
static void segment_end(struct verify_log *l)
{
	struct verify_file *f = &l->file;
	bool last = l->at + 1 == segments(l)->count;

	if (last) {
		l->torn_at = f->offset;
		l->torn_octets = f->size - f->offset;
		l->over = true;
		return;
	}
	if (l->end != UINT64_MAX && l->next < l->end)
		break_begin(l, f->offset < f->size ? FOUND_DAMAGED : FOUND_MISSING, f->offset,
			    f->size - f->offset);
	else if (l->end == UINT64_MAX && f->offset < f->size)
		break_begin(l, FOUND_DAMAGED, f->offset, f->size - f->offset);
	verify_file_close(f);
	l->at++;
}

static void chain_check(struct verify_log *l)
{
	static const uint8_t zeros[HASH_SIZE];
	uint8_t root[HASH_SIZE];
	struct verify_finding f = verify_at_block(l, FOUND_CHAIN_FALSE);

	if (l->block.number == 0)
		memcpy(l->hash, zeros, sizeof l->hash);
	if (l->hash_known && memcmp(l->block.before, l->hash, sizeof l->hash) != 0) {
		verify_found(l->v, &f);
		l->tree_known = false; /* one cause, one finding */
	}
	if (!l->tree_known)
		return;
	tree_root(&l->tree, root);
	if (memcmp(l->block.root, root, sizeof root) != 0) {
		f.kind = FOUND_TREE_FALSE;
		verify_found(l->v, &f);
		l->tree_known = false;
	}
}

static void context_check(struct verify_log *l)
{
	struct verify_finding f;

	if (!(l->block.flags & BLOCK_CONTEXT))
		return;
	for (size_t i = 0; i < l->context_count; i++) {
		struct verify_context *c = &l->contexts[i];

		if (memcmp(c->hash, l->block.context, sizeof c->hash) == 0) {
			verify_notes_begin(l, c->segment);
			*c = l->contexts[--l->context_count];
			return;
		}
	}
	f = verify_at_block(l, FOUND_CONTEXT_FALSE);
	verify_found(l->v, &f);
}

static void past_note(struct verify_log *l)
{
	size_t place = l->block.number % VERIFY_PAST;

	l->past->number[place] = l->block.number + 1;
	memcpy(l->past->hash[place], l->hash, HASH_SIZE);
}

/* The block in hand is the next one. */
static void block_take(struct verify_log *l)
{
	uint8_t leaf[HASH_SIZE];

	if (l->stopped && l->head.run == l->stopped_run) {
		struct verify_finding f = verify_at_block(l, FOUND_BEHIND_END);

		verify_found(l->v, &f);
	}
	chain_check(l);
	context_check(l);
	verify_notes_count(l);
	verify_seals_check(l);
	block_hash(l->bytes, l->size, l->hash);
	l->hash_known = true;
	past_note(l);
	if (l->tree_known) {
		tree_leaf_hash(l->bytes, l->size, leaf);
		tree_add(&l->tree, leaf);
	}
	l->next++;
	l->stopped = (l->block.flags & BLOCK_END) != 0;
	l->stopped_run = l->head.run;
	l->result->records += l->block.records;
	if (l->unsigned_from == 0 && l->block.records > 0)
		l->unsigned_from = l->block.first_sequence;
	verify_notes_reach(l);
	verify_live_reach(l);
	if (l->result->signed_end == l->next)
		l->unsigned_from = 0;
}

static void repeated(struct verify_log *l)
{
	struct verify_finding f = verify_at_block(l, FOUND_REPEATED);

	verify_text(&f, "block %llu is expected there", (unsigned long long)l->next);
	verify_found(l->v, &f);
}

/* One step: true when a block is in hand. */
static bool step(struct verify_log *l)
{
	switch (block_look(l)) {
	case LOOKED_RIGHT:
		break;
	case LOOKED_DAMAGED:
		if (damage_skip(l))
			return false;
		segment_end(l);
		return false;
	case LOOKED_NOTHING:
		segment_end(l);
		return false;
	}
	if (l->block.number < l->next) {
		repeated(l);
		return false;
	}
	if (l->block.number > l->next)
		break_begin(l, FOUND_MISSING, l->block_offset, 0);
	if (l->broken.is)
		break_until(l, l->block.number);
	block_take(l);
	return true;
}

bool verify_log_next(struct verify_log *l)
{
	l->have = false;
	while (!l->have && !l->over) {
		if (l->at >= segments(l)->count)
			l->over = true;
		else if (l->file.fd < 0 && !segment_enter(l))
			l->at++;
		else if (l->file.fd >= 0 && l->next >= l->end)
			segment_leave(l);
		else if (l->file.fd >= 0)
			l->have = step(l);
	}
	return l->have;
}

static void contexts_finish(struct verify_log *l)
{
	for (size_t i = 0; i < l->context_count; i++) {
		const struct verify_context *c = &l->contexts[i];
		struct verify_finding f = verify_at(l, FOUND_CONTEXT_FALSE);

		/* The last segment's may have been cut off with the end. */
		if (c->segment == segments(l)->list[segments(l)->count - 1] &&
		    l->next <= c->first_block)
			f.kind = FOUND_TORN;
		(void)segment_name(l->log, c->segment, f.file);
		verify_text(&f, "no block has its header's hash");
		verify_found(l->v, &f);
	}
}

void verify_log_finish(struct verify_log *l)
{
	verify_seals_finish(l);
	verify_notes_finish(l);
	contexts_finish(l);
	l->result->blocks.end = l->next;
	l->result->stopped = l->stopped;
}

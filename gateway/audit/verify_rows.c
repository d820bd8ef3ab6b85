/* The records of a block: the payload unpacks to what the header says, and the index, by which
 * readers skip the block, tells what is in it. What the records say of the trail itself (gaps, what
 * retention deleted) is noted. */
#include "gateway/audit/retention.h"
#include "gateway/audit/verify_parts.h"

/* The next auditor says how many records it found missing between others: exactly those. */
static void declare(struct verify *v, uint64_t run, uint64_t missing)
{
	uint64_t found = 0;

	v->gap_said = true;
	for (size_t i = 0; i < v->cut_count; i++)
		found += v->cuts[i].declared ? 0 : v->cuts[i].missing;
	for (size_t i = 0; i < v->cut_count; i++)
		if (v->cuts[i].missing ? found == missing : v->cuts[i].run == run)
			v->cuts[i].declared = true;
}

static void note_gap(struct verify_log *l, const struct frame *f)
{
	struct verify_finding found = verify_at_block(l, FOUND_GAP);

	found.sequence = found.last_sequence = f->stamp.sequence;
	verify_text(&found, "%s: %s", f->event.reason, f->event.detail);
	verify_found(l->v, &found);
	if (strcmp(f->event.reason, "unclean-end") == 0)
		declare(l->v, l->head.run, f->event.count);
}

/* What it says was deleted may be gone, and is of this trail: its last block's hash is known. */
static void note_retention(struct verify_log *l, const struct frame *f)
{
	struct verify *v = l->v;
	struct retention r;
	struct verify_log *of;
	uint64_t end;

	if (retention_read(&r, f->event.detail, strlen(f->event.detail)) < 0 ||
	    !ADD_OK(r.first_block, r.blocks, &end))
		return;
	of = &v->logs[r.log - 1];
	if (of->any && of->result->blocks.first == end &&
	    memcmp(of->first_before, r.last_hash, HASH_SIZE) != 0) {
		struct verify_finding found = verify_at_block(l, FOUND_LOGS_DISAGREE);

		found.sequence = found.last_sequence = f->stamp.sequence;
		verify_text(&found, "what it says was deleted is not what the %s went on from",
			    audit_log_name(r.log));
		verify_found(v, &found);
	}
	v->kept_from[r.log - 1] = MAX(v->kept_from[r.log - 1], end);
}

static void note_event(struct verify_log *l, const struct frame *f)
{
	if (f->event.kind == EVENT_GAP)
		note_gap(l, f);
	else if (f->event.kind == EVENT_RETENTION)
		note_retention(l, f);
}

static void false_payload(struct verify_log *l, enum verify_kind kind, const char *what)
{
	struct verify_finding f = verify_at_block(l, kind);

	verify_text(&f, "%s", what);
	verify_found(l->v, &f);
}

static bool index_same(const struct block_index *a, const struct block_index *b)
{
	return a->luns == b->luns && a->connections == b->connections &&
	       a->lba_least == b->lba_least && a->lba_greatest == b->lba_greatest &&
	       a->ops == b->ops && a->verdicts == b->verdicts;
}

/* All rows; false: they are none. */
static bool rows_check(struct verify_log *l, struct rows_reader *r, struct block_index *index,
		       bool *ret_defines)
{
	struct frame *f = &l->v->frame;
	uint32_t names = l->names.count;
	int e;

	while ((e = rows_next(r, f)) > 0) {
		rows_index(index, f);
		*ret_defines |= f->type == FRAME_SESSION;
		if (f->type == FRAME_EVENT && l->log == LOG_EVENTS)
			note_event(l, f);
		if ((f->type == FRAME_EVENT) != (l->log == LOG_EVENTS) && f->type != FRAME_END)
			return false;
	}
	*ret_defines |= l->names.count != names;
	return e == 0;
}

void verify_rows(struct verify_log *l)
{
	struct rows_reader *r = l->v->rows;
	struct block_index index = {.lba_least = UINT64_MAX};
	const uint8_t *payload;
	const struct block_header *h = &l->block;
	bool defines = false;

	if (unpacker_block(&l->v->unpacker, h, l->bytes, &payload) < 0) {
		false_payload(l, FOUND_PAYLOAD_FALSE, "it does not unpack to its size");
		return;
	}
	rows_read_begin(r, h, payload, &l->names);
	if (!rows_check(l, r, &index, &defines))
		false_payload(l, FOUND_PAYLOAD_FALSE, "it holds no records of this log");
	else if (!index_same(&index, &h->index) || (defines && !(h->flags & BLOCK_DEFINES)))
		false_payload(l, FOUND_INDEX_FALSE, "");
	else if (h->records > 0 && r->rows.mono_ns - h->mono_ns != h->span_ns)
		false_payload(l, FOUND_INDEX_FALSE, "its last record is of another time");
}

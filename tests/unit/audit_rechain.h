/* What somebody does who wrote this code: takes the blocks of a trail apart, changes some, and
 * makes all again that others are bound by: numbers, CRCs, chain, tree, headers, references,
 * and, if he has the keys, seals and checkpoints. */
#pragma once

#include "tests/unit/audit_sample.h"

#define CHAIN_BLOCKS 512
#define CHAIN_FILES  8

struct chain_block {
	struct block_header h;
	const uint8_t *payload; /* in the image that was taken apart, or `own` */
	uint8_t *own;
	uint8_t seal[SEAL_SIZE], hash[HASH_SIZE];
	uint8_t *bytes; /* made again */
	size_t size;
	size_t context; /* of this segment + 1, with BLOCK_CONTEXT */
	bool out;	/* taken away */
};

struct chain_segment {
	struct segment_header h;
	uint8_t *context;
	uint8_t *header;
	size_t rest; /* octets of the next one's blocks that stand here, too */
};

struct chain_log {
	struct chain_block blocks[CHAIN_BLOCKS];
	size_t count;
	struct chain_segment segments[CHAIN_FILES];
	size_t segment_count;
	struct tree tree;
	struct tree trees[CHAIN_BLOCKS + 1]; /* by size: of the made ones */
};

struct chain {
	struct chain_log logs[AUDIT_LOGS];
	struct chain_block *order[2 * CHAIN_BLOCKS];
	size_t order_count;
	uint64_t salt;
	uint8_t signer[SIGNER_KEY_SIZE];
	/* What he has. */
	const uint8_t *secret;		   /* the signer's; NULL: the notes stay as they are */
	const struct seal_key *newer;	   /* [AUDIT_LOGS]: he seals with this and what follows */
	const struct chain_block *changed; /* from this one on, in both logs */
	bool resealing;
	uint64_t resealed[AUDIT_LOGS]; /* so many blocks of each */
	uint64_t removed[AUDIT_LOGS];  /* a block's number + 1: checkpoints count one less */
	/* One block, or one segment's header, is made with something that is not so. */
	void (*spoil)(struct block_header *h);
	void (*spoil_header)(struct segment_header *h);
	const struct chain_block *spoiled;
	const struct chain_segment *spoiled_segment;
};

static inline void chain_block_take(struct chain_log *l, const uint8_t *p,
				    const struct block_header *h)
{
	struct chain_block *b = &l->blocks[h->number];

	assert_true(h->number < CHAIN_BLOCKS);
	*b = (struct chain_block){.h = *h, .payload = p + BLOCK_HEADER_SIZE};
	memcpy(b->seal, p + BLOCK_HEADER_SIZE + h->stored, SEAL_SIZE);
	l->count = MAX(l->count, (size_t)h->number + 1);
}

static inline void chain_segment_take(struct chain *c, struct chain_log *l,
				      const struct sample_file *f)
{
	struct chain_segment *s = &l->segments[l->segment_count++];
	struct block_header h;
	uint8_t hash[HASH_SIZE];
	size_t size, at;

	assert_true(l->segment_count <= CHAIN_FILES);
	assert_int_equal(segment_header_size(f->bytes, &size), 0);
	assert_int_equal(segment_header_read(f->bytes, size, &s->h), 0);
	block_hash(f->bytes, size, hash);
	s->context = f->bytes + s->h.context_at;
	c->salt = s->h.salt;
	memcpy(c->signer, s->h.signer, sizeof c->signer);
	if (l->segment_count > 1)
		s[-1].rest = 0;
	for (at = size; at < f->len; at += block_size(&h)) {
		if (f->len - at < BLOCK_SIZE_MIN ||
		    block_header_read(f->bytes + at, s->h.salt, &h) < 0)
			break;
		chain_block_take(l, f->bytes + at, &h);
		if (h.flags & BLOCK_CONTEXT && memcmp(h.context, hash, HASH_SIZE) == 0)
			l->blocks[h.number].context = l->segment_count;
	}
	assert_int_equal(at, f->len);
}

/* The octets of a segment that are beyond the first block of the next one. */
static inline void chain_rest(struct chain_log *l, struct image *m)
{
	for (size_t i = 0; i + 1 < l->segment_count; i++) {
		struct chain_segment *s = &l->segments[i];
		char name[SEGMENT_NAME_SIZE];
		const struct sample_file *f =
			image_find(m, segment_name(s->h.log, s->h.number, name));
		size_t at = s->h.size;

		for (uint64_t n = s->h.first_block; n < s[1].h.first_block; n++)
			at += block_size(&l->blocks[n].h);
		s->rest = f->len - at;
	}
}

static inline int chain_before(const void *a, const void *b)
{
	const struct chain_block *x = *(struct chain_block *const *)a,
				 *y = *(struct chain_block *const *)b;

	if (x->h.log == y->h.log)
		return x->h.number < y->h.number ? -1 : 1;
	if (x->h.first_sequence != y->h.first_sequence)
		return x->h.first_sequence < y->h.first_sequence ? -1 : 1;
	if (x->h.records == 0 && y->h.records == 0)
		return x->h.other_synced <= y->h.number ? -1 : 1;
	return x->h.records == 0 ? -1 : 1;
}

/* The image's octets stay where they are until chain_make(). */
static inline void chain_take(struct chain *c, struct image *m)
{
	memset(c, 0, sizeof *c);
	for (size_t i = 0; i < m->count; i++)
		for (enum audit_log log = LOG_COMMANDS; log <= AUDIT_LOGS; log++)
			if (segment_number(log, m->files[i].name))
				chain_segment_take(c, &c->logs[log - 1], &m->files[i]);
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		chain_rest(&c->logs[i], m);
		for (size_t k = 0; k < c->logs[i].count; k++)
			c->order[c->order_count++] = &c->logs[i].blocks[k];
	}
	qsort(c->order, c->order_count, sizeof c->order[0], chain_before);
}

/* --- again -------------------------------------------------------------------------------- */

static inline void chain_header(struct chain *c, struct chain_log *l, struct chain_segment *s)
{
	const struct chain_block *before = s->h.first_block ? &l->blocks[s->h.first_block - 1]
							    : NULL;

	if (s->header)
		return;
	memset(s->h.before, 0, HASH_SIZE);
	if (before)
		memcpy(s->h.before, before->hash, HASH_SIZE);
	s->h.tree = l->trees[s->h.first_block];
	memcpy(s->h.signer, c->signer, SIGNER_KEY_SIZE);
	if (c->spoiled_segment == s)
		c->spoil_header(&s->h);
	s->header = malloc(s->h.size + TREE_LEVELS * HASH_SIZE);
	segment_header_write(&s->h, s->context, s->h.context_stored, s->h.context_raw, s->header);
}

static inline void chain_seal(struct chain *c, struct chain_block *b)
{
	size_t log = b->h.log - 1;
	struct seal_key k;

	c->resealing |= b == c->changed;
	if (!c->newer || !c->resealing)
		return;
	k = c->newer[log];
	for (uint64_t n = 0; n < c->resealed[log]; n++)
		seal_key_next(&k);
	c->resealed[log]++;
	seal_make(&k, b->bytes, b->size - BLOCK_TRAILER_SIZE, b->seal);
}

static inline void chain_block_make(struct chain *c, struct chain_block *b)
{
	struct chain_log *l = &c->logs[b->h.log - 1], *o = &c->logs[b->h.log == LOG_COMMANDS];
	uint64_t salt = c->salt;
	uint8_t leaf[HASH_SIZE];

	for (size_t i = 0; i < l->segment_count; i++)
		if (l->segments[i].h.first_block <= b->h.number)
			salt = l->segments[i].h.salt;
	memset(b->h.before, 0, HASH_SIZE);
	if (b->h.number > 0)
		memcpy(b->h.before, l->blocks[b->h.number - 1].hash, HASH_SIZE);
	tree_root(&l->tree, b->h.root);
	if (b->context) {
		struct chain_segment *s = &l->segments[b->context - 1];

		chain_header(c, l, s);
		block_hash(s->header, s->h.size, b->h.context);
	}
	memset(b->h.other, 0, HASH_SIZE);
	if (b->h.other_synced > 0)
		memcpy(b->h.other, o->blocks[b->h.other_synced - 1].hash, HASH_SIZE);
	if (c->spoiled == b)
		c->spoil(&b->h);
	b->size = block_size(&b->h);
	b->bytes = malloc(b->size);
	block_header_write(&b->h, salt, b->bytes);
	memcpy(b->bytes + BLOCK_HEADER_SIZE, b->payload, b->h.stored);
	chain_seal(c, b);
	memcpy(b->bytes + b->size - BLOCK_TRAILER_SIZE, b->seal, SEAL_SIZE);
	block_crc_set(b->bytes, b->size, salt);
	block_hash(b->bytes, b->size, b->hash);
	tree_leaf_hash(b->bytes, b->size, leaf);
	tree_add(&l->tree, leaf);
	l->trees[l->tree.size] = l->tree;
}

static inline void chain_put(struct sample_file *f, const void *bytes, size_t len)
{
	f->bytes = realloc(f->bytes, f->len + len + 1);
	assert_non_null(f->bytes);
	memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
}

static inline void chain_segment_make(struct chain *c, struct chain_log *l, size_t i,
				      struct image *m)
{
	struct chain_segment *s = &l->segments[i];
	uint64_t end = i + 1 < l->segment_count ? s[1].h.first_block : l->count;
	char name[SEGMENT_NAME_SIZE];
	struct sample_file *f = image_add(m, segment_name(s->h.log, s->h.number, name), "", 0);
	size_t rest = s->rest;

	chain_header(c, l, s);
	chain_put(f, s->header, s->h.size);
	for (uint64_t n = s->h.first_block; n < end; n++)
		chain_put(f, l->blocks[n].bytes, l->blocks[n].size);
	for (uint64_t n = end; rest > 0 && n < l->count; n++) {
		chain_put(f, l->blocks[n].bytes, MIN(rest, l->blocks[n].size));
		rest -= MIN(rest, l->blocks[n].size);
	}
}

/* The checkpoints of a file, of the blocks as they are now. */
static inline void chain_notes_make(struct chain *c, const struct sample_file *old, struct image *m)
{
	struct sample_file *f = image_add(m, old->name, "", 0);
	char text[NOTE_SIZE];
	struct note note;
	size_t span;

	for (size_t at = 0; at < old->len; at += span) {
		struct chain_log *l;

		span = note_span((char *)old->bytes + at, old->len - at);
		assert_int_equal(note_read(&note, (char *)old->bytes + at, span), 0);
		l = &c->logs[note.log - 1];
		note.size -= c->removed[note.log - 1] && note.size >= c->removed[note.log - 1];
		note.size = MIN(note.size, l->count);
		tree_root(&l->trees[note.size], note.root);
		if (c->secret)
			chain_put(f, text, (size_t)note_write(text, &note, c->secret));
		else
			chain_put(f, old->bytes + at, span);
	}
}

/* Makes the whole folder again, into an image of its own. */
static inline void chain_make(struct chain *c, struct image *old, struct image *m)
{
	m->count = 0;
	for (size_t i = 0; i < c->order_count; i++)
		if (!c->order[i]->out)
			chain_block_make(c, c->order[i]);
	for (size_t i = 0; i < AUDIT_LOGS; i++)
		for (size_t k = 0; k < c->logs[i].segment_count; k++)
			chain_segment_make(c, &c->logs[i], k, m);
	for (size_t i = 0; i < old->count; i++)
		if (strstr(old->files[i].name, ".note"))
			chain_notes_make(c, &old->files[i], m);
}

static inline void chain_free(struct chain *c)
{
	for (size_t i = 0; i < AUDIT_LOGS; i++) {
		for (size_t k = 0; k < CHAIN_BLOCKS; k++) {
			free(c->logs[i].blocks[k].bytes);
			free(c->logs[i].blocks[k].own);
		}
		for (size_t k = 0; k < CHAIN_FILES; k++)
			free(c->logs[i].segments[k].header);
	}
}

/* --- what he changes ---------------------------------------------------------------------- */

/* Takes one block away, and closes the gap in numbers and sequences. */
static inline void chain_remove(struct chain *c, enum audit_log log, uint64_t number)
{
	struct chain_log *l = &c->logs[log - 1], *o = &c->logs[log == LOG_COMMANDS];
	struct chain_block gone = l->blocks[number];
	size_t kept = 0;

	c->removed[log - 1] = number + 1;

	for (size_t i = 0; i < c->order_count; i++)
		if (c->order[i]->h.first_sequence > gone.h.first_sequence)
			c->order[i]->h.first_sequence -= gone.h.records;
	for (size_t i = 0; i < o->count; i++)
		o->blocks[i].h.other_synced -= o->blocks[i].h.other_synced > number;
	for (size_t i = 0; i < l->segment_count; i++) {
		struct chain_segment *s = &l->segments[i];

		s->h.first_block -= s->h.first_block > number;
	}
	for (size_t i = number; i + 1 < l->count; i++) {
		l->blocks[i] = l->blocks[i + 1];
		l->blocks[i].h.number--;
	}
	l->count--;
	for (size_t i = 0; i < c->order_count; i++)
		if (c->order[i] != &l->blocks[l->count])
			c->order[kept++] = c->order[i];
	c->order_count = kept;
	qsort(c->order, c->order_count, sizeof c->order[0], chain_before);
}

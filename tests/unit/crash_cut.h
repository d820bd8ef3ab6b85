/* What a power cut may leave of a folder: of each file what a sync that returned covers, and of
 * what is not synced anything: a part, sectors here and there, zeros, what stood elsewhere before.
 * Names that were not synced with their folder came about, or did not. */
#pragma once

#include "tests/unit/crash_tape.h"

static uint64_t cut_seed;

static uint64_t next_random(void) /* splitmix64 */
{
	uint64_t z = cut_seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static size_t below(size_t limit)
{
	return limit ? (size_t)(next_random() % limit) : 0;
}

static bool one_in(size_t n)
{
	return below(n) == 0;
}

/* What becomes of what is not synced. */
enum cut_way {
	CUT_NONE,    /* nothing of it */
	CUT_ALL,     /* all of it */
	CUT_PREFIX,  /* its first octets, in the order they were written */
	CUT_SECTORS, /* any sectors; zeros or old octets are in the others */
	CUT_ZEROS,   /* the size alone */
	CUT_ANY,     /* for each file another one of these */
};

enum fate { FATE_OPEN, FATE_SYNCED, FATE_LOST };

/* A sync that failed has made clean what it did not write: no later one writes it. */
static void fates(const struct tape *t, size_t count, enum fate *ret)
{
	size_t begun[TAPE_FILES] = {0};

	for (size_t i = 0; i < count; i++) {
		const struct tape_op *op = &t->ops[i];

		ret[i] = FATE_OPEN;
		if (op->kind == TAPE_SYNC_BEGIN)
			begun[op->file] = i;
		if (op->kind != TAPE_SYNC_END)
			continue;
		for (size_t k = 0; k < begun[op->file]; k++)
			if (is_data(&t->ops[k], op->file) && ret[k] == FATE_OPEN)
				ret[k] = op->failed ? FATE_LOST : FATE_SYNCED;
	}
}

/* Octets from somewhere else on the disk, where this file's are now. */
static void put_stale(struct tape_image *i, uint64_t offset, size_t len, const struct tape *t)
{
	const struct tape_op *op = &t->ops[below(t->count)];

	if (op->kind == TAPE_WRITE && op->len >= len)
		image_put(i, offset, op->bytes + below(op->len - len + 1), len);
}

static void do_sectors(struct tape_image *i, const struct tape_op *op, size_t one_of,
		       const struct tape *t)
{
	size_t at = 0;

	if (op->kind == TAPE_TRUNCATE) {
		if (one_in(2))
			image_do(i, op);
		return;
	}
	while (at < op->len) {
		uint64_t offset = op->offset + at;
		size_t len = MIN(op->len - at, TAPE_SECTOR - (size_t)(offset % TAPE_SECTOR));

		if (!one_in(one_of))
			image_put(i, offset, op->bytes + at, len);
		else if (one_in(8) && offset >= i->len)
			put_stale(i, offset, len, t);
		at += len;
	}
}

static size_t octets_open(const struct tape *t, size_t count, size_t file, const enum fate *fate)
{
	size_t octets = 0;

	for (size_t i = 0; i < count; i++)
		if (is_data(&t->ops[i], file) && fate[i] != FATE_SYNCED)
			octets += t->ops[i].len + 1;
	return octets;
}

/* What is not synced of the file that was written to last before that. */
static size_t octets_open_last(const struct tape *t, size_t count)
{
	enum fate fate[TAPE_OPS] = {FATE_OPEN};
	size_t octets;

	assert_in_range(count, 1, TAPE_OPS);
	fates(t, count, fate);
	octets = octets_open(t, count, t->ops[count - 1].file, fate);
	return octets;
}

struct cut {
	const struct tape *tape;
	size_t count; /* operations that were done */
	enum cut_way way;
	size_t octets; /* CUT_PREFIX, of all files: so many; SIZE_MAX: any */
};

static void do_prefix(struct tape_image *i, const struct tape_op *op, size_t *left)
{
	struct tape_op part = *op;

	if (*left == 0)
		return;
	part.len = op->kind == TAPE_WRITE ? MIN(op->len, *left - 1) : 0;
	*left -= MIN(*left, op->len + 1);
	image_do(i, &part);
}

static struct tape_image file_after(const struct cut *c, size_t file, const enum fate *fate)
{
	enum cut_way way = c->way == CUT_ANY ? (enum cut_way)below(CUT_ANY) : c->way;
	size_t left = c->octets, one_of = 1 + below(6);
	struct tape_image image = {0}, all = {0};

	if (c->octets == SIZE_MAX)
		left = below(octets_open(c->tape, c->count, file, fate) + 1);
	image_put(&image, 0, c->tape->base[file].bytes, c->tape->base[file].len);
	image_put(&all, 0, c->tape->base[file].bytes, c->tape->base[file].len);
	for (size_t i = 0; i < c->count; i++) {
		const struct tape_op *op = &c->tape->ops[i];

		if (!is_data(op, file))
			continue;
		image_do(&all, op);
		if (way == CUT_ALL || fate[i] == FATE_SYNCED)
			image_do(&image, op);
		else if (way == CUT_PREFIX)
			do_prefix(&image, op, &left);
		else if (way == CUT_SECTORS)
			do_sectors(&image, op, one_of, c->tape);
	}
	if (all.len > image.len && (way == CUT_ZEROS || (way == CUT_SECTORS && one_in(2))))
		image_size(&image, way == CUT_ZEROS && one_in(2)
					   ? all.len
					   : image.len + below(all.len - image.len + 1));
	free(all.bytes);
	return image;
}

static struct tape_folder names_after(const struct cut *c)
{
	struct tape_folder f = c->tape->folder;
	bool in_order = one_in(2);
	size_t synced = 0, until;

	for (size_t i = 0; i < c->count; i++)
		if (c->tape->ops[i].kind == TAPE_FOLDER_SYNC)
			synced = i;
	until = synced + below(c->count - synced + 1);
	for (size_t i = 0; i < c->count; i++) {
		if (!is_name(&c->tape->ops[i]))
			continue;
		if (i < synced || (in_order ? i < until : one_in(2)))
			folder_do(&f, &c->tape->ops[i]);
	}
	return f;
}

/* The folder after it, as a tape of which nothing is recorded yet. */
static void cut_power(struct tape *to, const struct cut *c)
{
	enum fate *fate = calloc(c->count + 1, sizeof *fate);

	assert_non_null(fate);
	fates(c->tape, c->count, fate);
	*to = (struct tape){.files = c->tape->files, .folder = names_after(c)};
	for (size_t i = 0; i < to->files; i++) {
		to->base[i] = file_after(c, i, fate);
		to->size[i] = to->base[i].len;
	}
	free(fate);
}

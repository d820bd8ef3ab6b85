/* A model of a disk, and a stand-in for the disk itself that moves one block at a time, of any
 * request that it has, in any order. Each block that moves is the moment at which its command takes
 * effect there: the model does then what the CDB says, and both have to be the same. Commands that
 * are alone on their blocks have to be alone. Some requests fail, between two blocks. */
#pragma once

#include "tests/unit/scsi_rig.h"

#define BLOCKS 512u /* of the disk, of which the first are asked for more often */
#define OCTETS (BLOCKS * RIG_BLOCK)

enum kind { READ, VERIFY, WRITE, VERIFIED, SAME, UNMAP, COMPARE, OR, ATOMIC, COPY, KINDS };

static const char *const kind_names[KINDS] = {
	[READ] = "read",
	[VERIFY] = "verify",
	[WRITE] = "write",
	[VERIFIED] = "write and verify",
	[SAME] = "write same",
	[UNMAP] = "unmap",
	[COMPARE] = "compare and write",
	[OR] = "orwrite",
	[ATOMIC] = "write atomic",
	[COPY] = "copy",
};

struct op {
	struct scsi_task task;
	struct iovec iov[2];
	uint8_t cdb[16];
	enum kind kind;
	bool live, cancelled, hurt, alone; /* hurt: a request of it failed */
	uint64_t lba, source;		   /* source: of a copy */
	uint32_t blocks, stepped;	   /* stepped: blocks of its request that moved */
	uint32_t wrote, looked;
	bool differs; /* from what it compares with */
	size_t differs_at;
	uint8_t out[OCTETS], given[OCTETS]; /* data-out, and what the device has of it */
	uint8_t in[OCTETS], seen[OCTETS];   /* data-in, and what was there */
};

static uint8_t model[OCTETS];
static const struct op *owner[BLOCKS];
static uint64_t state_of_chance, stamp;

/* --- chance: xorshift --- */

static inline uint64_t chance(uint64_t below)
{
	state_of_chance ^= state_of_chance << 13;
	state_of_chance ^= state_of_chance >> 7;
	state_of_chance ^= state_of_chance << 17;
	return (state_of_chance >> 11) % below;
}

static inline bool one_in(unsigned n)
{
	return chance(n) == 0;
}

/* --- the model --- */

static inline bool is_alone(const struct op *op)
{
	return op->kind == COMPARE || op->kind == OR || op->kind == ATOMIC;
}

static inline struct op *op_of(struct io *io)
{
	return CONTAINER_OF(CONTAINER_OF(io, struct scsi_task, io), struct op, task);
}

static inline void disown(struct op *op)
{
	for (size_t b = 0; op->alone && b < BLOCKS; b++) {
		if (owner[b] == op)
			owner[b] = NULL;
	}
	op->alone = false;
}

/* From its first block on that moves, nobody else has a request there. */
static inline void own(struct op *op)
{
	uint64_t end = op->lba + op->blocks;

	for (size_t k = 0; k < rig->queued; k++) {
		const struct io *io = rig->queue[k];
		uint64_t first = io->offset / RIG_BLOCK, blocks = io->length / RIG_BLOCK;

		if (op_of(rig->queue[k]) != op && blocks > 0 && first < end &&
		    op->lba < first + blocks)
			fail_msg("%s is not alone on its blocks", kind_names[op->kind]);
	}
	for (uint64_t b = op->lba; b < end; b++)
		owner[b] = op;
	op->alone = true;
}

static inline void compare(struct op *op, uint64_t block, const uint8_t *there)
{
	size_t at = (block - op->lba) * RIG_BLOCK, end = at + RIG_BLOCK;

	while (at < end && op->out[at] == there[at % RIG_BLOCK])
		at++;
	if (at == end || (op->differs && op->differs_at < at))
		return;
	op->differs = true;
	op->differs_at = at;
}

static inline void look(struct op *op, uint64_t block, const uint8_t *there)
{
	uint64_t first = op->kind == COPY ? op->source : op->lba;

	assert_in_range(block, first, first + op->blocks - 1);
	op->looked++;
	memcpy(op->seen + (block - first) * RIG_BLOCK, there, RIG_BLOCK);
	if (op->kind == COMPARE || op->kind == VERIFY || op->kind == VERIFIED)
		compare(op, block, there);
}

static inline void change(struct op *op, uint64_t block, uint8_t *there)
{
	size_t at = (block - op->lba) * RIG_BLOCK;
	const uint8_t *out = op->out + at;

	assert_in_range(block, op->lba, op->lba + op->blocks - 1);
	op->wrote++;
	if (op->kind == COMPARE && memcmp(there, out, RIG_BLOCK) != 0)
		fail_msg("compare and write writes over what it was not compared with");
	if (op->kind == COMPARE)
		out += op->blocks * RIG_BLOCK;
	if (op->kind == SAME)
		out = op->out;
	if (op->kind == COPY || (op->kind == ATOMIC && op->hurt)) /* it is undone */
		out = op->seen + at;
	for (size_t i = 0; op->kind == OR && i < RIG_BLOCK; i++)
		there[i] |= out[i];
	if (op->kind == UNMAP)
		memset(there, 0, RIG_BLOCK);
	else if (op->kind != OR)
		memcpy(there, out, RIG_BLOCK);
}

/* --- the disk --- */

static inline void move(const struct io *io, size_t at, uint8_t *disk)
{
	size_t left = RIG_BLOCK;

	for (unsigned i = 0; i < io->iov_count && left > 0; i++) {
		uint8_t *base = io->iov[i].iov_base;
		size_t part;

		if (at >= io->iov[i].iov_len) {
			at -= io->iov[i].iov_len;
			continue;
		}
		part = MIN(left, io->iov[i].iov_len - at);
		if (io->op == IO_READ)
			memcpy(base + at, disk, part);
		else
			memcpy(disk, base + at, part);
		disk += part;
		left -= part;
		at = 0;
	}
	assert_int_equal(left, 0);
}

static inline void step_block(struct io *io, struct op *op)
{
	size_t at = (size_t)op->stepped++ * RIG_BLOCK, place = io->offset + at;
	uint64_t block = place / RIG_BLOCK;
	uint8_t *disk = rig->disk + place;

	assert_true(place % RIG_BLOCK == 0 && block < BLOCKS);
	if (is_alone(op) && !op->alone)
		own(op);
	if (owner[block] != NULL && owner[block] != op)
		fail_msg("a %s gets into a %s", kind_names[op->kind],
			 kind_names[owner[block]->kind]);
	if (io->op == IO_DISCARD || io->op == IO_ZERO)
		memset(disk, 0, RIG_BLOCK);
	else
		move(io, at, disk);
	if (io->op == IO_READ)
		look(op, block, model + place);
	else
		change(op, block, model + place);
	if (memcmp(disk, model + place, RIG_BLOCK) != 0)
		fail_msg("block %llu after a %s is not what the model has",
			 (unsigned long long)block, kind_names[op->kind]);
}

static inline void io_over(size_t k, int result)
{
	struct io *io = rig->queue[k];
	struct op *op = op_of(io);

	memmove(rig->queue + k, rig->queue + k + 1, (--rig->queued - k) * sizeof rig->queue[0]);
	op->stepped = 0;
	if (io->op == IO_WRITE && result == 0)
		disown(op);
	if (result == -EIO)
		op->hurt = true;
	io->done(io, result);
}

/* Some requests fail, between two blocks; none of which durable data was promised, and not what
 * undoes another. */
static inline bool fails(const struct io *io, const struct op *op)
{
	return !io->fua && !op->hurt && one_in(400);
}

static inline void step_io(void)
{
	size_t k = chance(rig->queued);
	struct io *io = rig->queue[k];
	struct op *op = op_of(io);
	bool fresh = op->stepped == 0;

	if (io->op == IO_FLUSH) {
		io_over(k, 0);
	} else if ((io->op == IO_DISCARD || io->op == IO_ZERO) && fresh && one_in(8)) {
		io_over(k, -EOPNOTSUPP);
	} else if (fails(io, op)) {
		io_over(k, -EIO);
	} else {
		for (uint64_t n = 1 + chance(8); n > 0 && op->stepped < io->length / RIG_BLOCK; n--)
			step_block(io, op);
		if (op->stepped == io->length / RIG_BLOCK)
			io_over(k, 0);
	}
}

/* Parameter lists of EXTENDED COPY for tests, made field by field, and two disks to copy between:
 * LUN 0 and 1, each with octets of its own. */
#pragma once

#include "tests/unit/scsi_rig.h"
#include "gateway/scsi/copier.h"
#include "gateway/scsi/sense.h"

struct copy_target {
	uint8_t lun;		/* whose NAA it is */
	uint8_t type, flags;	/* 0: E4h */
	uint8_t kind, name_len; /* 0: an NAA of a unit; 8 */
	uint8_t spoiled;	/* what is added to the name's last octet */
	uint32_t block;		/* 0: 512 */
};

struct copy_segment {
	uint16_t from, to; /* descriptor indices */
	uint16_t blocks;
	uint64_t from_lba, to_lba;
	uint8_t type, flags; /* 0: 02h */
	uint16_t len;	     /* 0: 18h */
};

struct copy_case {
	struct copy_target targets[3];
	struct copy_segment segments[4];
	uint8_t list_id, flags;
	unsigned target_count, segment_count; /* 0: 2, 1 */
	bool lid4;
};

static inline void copy_put_target(uint8_t *at, const struct copy_target *t)
{
	const struct scsi_lun *unit = &rig->nexus.luns[t->lun];

	memset(at, 0, COPY_TARGET_SIZE);
	at[0] = t->type ? t->type : 0xe4;
	at[1] = t->flags;
	at[4] = 1;
	at[5] = t->kind ? t->kind : 3;
	at[7] = t->name_len ? t->name_len : 8;
	memcpy(at + 8, unit->naa, 8);
	at[15] = (uint8_t)(at[15] + t->spoiled);
	put_be(at + 29, 3, t->block ? t->block : RIG_BLOCK);
}

static inline void copy_put_segment(uint8_t *at, const struct copy_segment *s)
{
	memset(at, 0, COPY_SEGMENT_SIZE);
	at[0] = s->type ? s->type : 2;
	at[1] = s->flags;
	put_be(at + 2, 2, s->len ? s->len : 0x18);
	put_be(at + 4, 2, s->from);
	put_be(at + 6, 2, s->to);
	put_be(at + 10, 2, s->blocks);
	put_be(at + 12, 8, s->from_lba);
	put_be(at + 20, 8, s->to_lba);
}

static inline size_t copy_put_header(const struct copy_case *c, size_t targets, size_t segments)
{
	uint8_t *at = rig->buffer;

	memset(at, 0, 48);
	at[0] = c->lid4 ? 1 : c->list_id;
	at[1] = c->flags;
	put_be(at + 2, 2, c->lid4 ? 0x20 : targets);
	if (!c->lid4) {
		put_be(at + 8, 4, segments);
		return 16;
	}
	at[16] = 0xff;
	at[23] = c->list_id;
	put_be(at + 42, 2, targets);
	put_be(at + 44, 2, segments);
	return 48;
}

/* Into rig->buffer; returns its length. */
static inline size_t copy_put(const struct copy_case *c)
{
	unsigned targets = c->target_count ? c->target_count : 2;
	unsigned segments = c->segment_count ? c->segment_count : 1;
	uint8_t *at = rig->buffer +
		      copy_put_header(c, targets * COPY_TARGET_SIZE, segments * COPY_SEGMENT_SIZE);

	for (unsigned i = 0; i < targets; i++, at += COPY_TARGET_SIZE)
		copy_put_target(at, &c->targets[MIN(i, 2)]);
	for (unsigned i = 0; i < segments; i++, at += COPY_SEGMENT_SIZE)
		copy_put_segment(at, &c->segments[MIN(i, 3)]);
	return (size_t)(at - rig->buffer);
}

static inline struct rig_command copy_command(size_t len)
{
	struct rig_command c = {{0x83}, .edtl = (uint32_t)len, .write = len > 0};

	put_be(c.cdb + 10, 4, len);
	return c;
}

static inline struct scsi_task *copy_run(const struct copy_case *c)
{
	struct rig_command command = copy_command(copy_put(c));

	command.cdb[1] = c->lid4;
	return rig_run(&command);
}

/* Block n of the first disk begins with the octets of n, that of the second with those of n + 1. */
static inline void copy_open(void)
{
	rig_open(NULL);
	rig_add_second(1, true);
	for (uint64_t n = 0; n < RIG_BLOCKS; n++) {
		put_be(rig->disk + n * RIG_BLOCK, 8, n);
		put_be(rig->second_disk + n * RIG_BLOCK, 8, 1000000 + n);
	}
}

static inline uint64_t copy_block(const uint8_t *disk, uint64_t n)
{
	return get_be(disk + n * RIG_BLOCK, 8);
}

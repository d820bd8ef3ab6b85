/* READ CAPACITY(10) and (16), SBC-3. Runs in the session. */
#include "gateway/scsi/commands.h"

#define PAGE	      4096u
#define THRESHOLD_SET (1u << 20)
#define LBPME	      0x8000
#define LBPRZ	      0x4000

static uint64_t last_lba(const struct scsi_task *task)
{
	return task->unit->blocks == 0 ? 0 : task->unit->blocks - 1;
}

uint32_t unit_physical_block(const struct scsi_lun *unit)
{
	uint32_t octets = unit->physical_block_size == 0 ? PAGE : unit->physical_block_size;

	return MAX(octets, unit->block_size);
}

/* Whole physical blocks: the kernel puts no part of one into its page cache. */
uint32_t unit_atomic_granularity(const struct scsi_lun *unit)
{
	return unit_physical_block(unit) / unit->block_size;
}

uint32_t unit_atomic_blocks(const struct scsi_lun *unit)
{
	return WRITE_ATOMIC_MAX_OCTETS / unit->block_size;
}

/* Sets of 1 MiB. */
unsigned unit_threshold_exponent(const struct scsi_lun *unit)
{
	unsigned exponent = 0;

	while ((uint64_t)unit->block_size << exponent < THRESHOLD_SET)
		exponent++;
	return exponent;
}

/* FFFFFFFFh tells the initiator to ask with READ CAPACITY(16). */
bool capacity_10_reply(struct scsi_task *task, struct wr *w)
{
	wr_be(w, 4, MIN(last_lba(task), UINT32_MAX));
	wr_be(w, 4, task->unit->block_size);
	return true;
}

/* No protection. LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT: the size is a power of 2. */
bool capacity_16_reply(struct scsi_task *task, struct wr *w)
{
	unsigned exponent = 0;

	while (task->unit->block_size << exponent < unit_physical_block(task->unit))
		exponent++;
	wr_be(w, 8, last_lba(task));
	wr_be(w, 4, task->unit->block_size);
	wr_be(w, 1, 0);
	wr_be(w, 1, exponent);
	wr_be(w, 2, task->unit->thin ? LBPME | LBPRZ : 0);
	wr_zero(w, 16);
	return true;
}

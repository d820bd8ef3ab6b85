/* Vital product data of block devices, SBC-4: limits (B0h), characteristics (B1h) and logical
 * block provisioning (B2h). Runs in the session. What a command allows and what
 * is told of it come from the same constants; a command that this nexus is not offered has
 * limits of 0. */
#include "gateway/scsi/vpd.h"

#define LENGTH		 60 /* B0h and B1h, after the header */
#define NON_ROTATING	 1
#define UGAVALID	 0x80000000u
#define LBPU		 0x80 /* UNMAP */
#define LBPWS		 0x40 /* WRITE SAME (16) with UNMAP */
#define LBPWS10		 0x20
#define LBPRZ		 0x04 /* zeroes are read where nothing is */
#define PROVISIONED_THIN 0x02
#define WABEREQ_READS	 0x40 /* what SANITIZE erased can be read without being written first */
#define WSNZ		 0x01 /* WRITE SAME of 0 blocks is refused */
#define FUAB		 0x02 /* FUA and SYNCHRONIZE CACHE as in SBC-3 */
#define VBULS		 0x01 /* VERIFY with BYTCHK=01b reads zeroes where nothing is */

enum { OP_UNMAP = 0x42, OP_COMPARE_AND_WRITE = 0x89, OP_WRITE_SAME_16 = 0x93 };
enum { OP_WRITE_SAME_10 = 0x41, OP_WRITE_ATOMIC = 0x9c, OP_SANITIZE = 0x48, BLOCK_ERASE = 0x02 };

static void unmap_limits(const struct scsi_task *task, struct wr *w)
{
	bool offered = command_offers(task, OP_UNMAP, 0);
	uint32_t granularity = unit_physical_block(task->unit) / task->unit->block_size;

	wr_be(w, 4, offered ? UNMAP_MAX_BLOCKS : 0);
	wr_be(w, 4, offered ? UNMAP_MAX_RANGES : 0);
	wr_be(w, 4, offered ? granularity : 0);
	wr_be(w, 4, offered ? UGAVALID : 0);
}

static void atomic_limits(const struct scsi_task *task, struct wr *w)
{
	bool offered = command_offers(task, OP_WRITE_ATOMIC, 0);
	uint32_t most = offered ? unit_atomic_blocks(task->unit) : 0;
	uint32_t granularity = offered ? unit_atomic_granularity(task->unit) : 0;

	wr_be(w, 4, most);
	wr_be(w, 4, granularity); /* ALIGNMENT */
	wr_be(w, 4, granularity);
	wr_be(w, 4, most); /* with a boundary */
	wr_be(w, 4, most); /* … which may be as large */
}

void vpd_block_limits(const struct scsi_task *task, struct wr *w)
{
	uint32_t block = task->unit->block_size;

	wr_be(w, 1, WSNZ);
	wr_be(w, 1,
	      command_offers(task, OP_COMPARE_AND_WRITE, 0) ? COMPARE_AND_WRITE_MAX_BLOCKS : 0);
	wr_be(w, 2, unit_physical_block(task->unit) / block);
	wr_be(w, 4, SCSI_TRANSFER_MAX / block);
	wr_be(w, 4, 0);				/* OPTIMAL TRANSFER LENGTH: none is told */
	wr_be(w, 4, SCSI_TRANSFER_MAX / block); /* MAXIMUM PREFETCH LENGTH */
	unmap_limits(task, w);
	wr_be(w, 8, WRITE_SAME_MAX_BLOCKS);
	atomic_limits(task, w);
}

void vpd_characteristics(const struct scsi_task *task, struct wr *w)
{
	wr_be(w, 2, task->unit->rotational ? 0 : NON_ROTATING);
	wr_be(w, 1, 0); /* PRODUCT TYPE */
	/* NOMINAL FORM FACTOR: not told */
	wr_be(w, 1, command_offers(task, OP_SANITIZE, BLOCK_ERASE) ? WABEREQ_READS : 0);
	wr_be(w, 1, FUAB | VBULS);
	wr_zero(w, LENGTH - 5);
}

/* How room is given back, as far as this nexus may. The UNMAP bit of WRITE SAME goes with UNMAP. */
static unsigned ways_to_unmap(const struct scsi_task *task)
{
	if (!command_offers(task, OP_UNMAP, 0))
		return 0;
	return LBPU | (command_offers(task, OP_WRITE_SAME_16, 0) ? LBPWS : 0) |
	       (command_offers(task, OP_WRITE_SAME_10, 0) ? LBPWS10 : 0);
}

/* No anchor. */
void vpd_provisioning(const struct scsi_task *task, struct wr *w)
{
	bool thin = task->unit->thin;

	wr_be(w, 1, thin ? unit_threshold_exponent(task->unit) : 0);
	wr_be(w, 1, thin ? ways_to_unmap(task) | LBPRZ : 0);
	wr_be(w, 1, thin ? PROVISIONED_THIN : 0);
	wr_be(w, 1, 0);
}

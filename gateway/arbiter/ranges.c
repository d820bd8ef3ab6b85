/* Exclusive ranges of blocks: the one place where a command that reads, thinks and writes is
 * alone (COMPARE AND WRITE and its like). They stand on the page, which outlives the
 * arbiter, so a new one finds them there. Runs in the arbiter; an order is hostile. */
#include "gateway/arbiter/court.h"

#define KEY_ILLEGAL_REQUEST  0x5
#define KEY_DATA_PROTECT     0x7
#define INVALID_FIELD_IN_CDB 0x2400
#define WRITE_PROTECTED	     0x2700

static uint64_t owner_of(const struct member *m, uint32_t id)
{
	return (uint64_t)m->connection << 32 | id;
}

/* Granted to somebody. */
bool ranges_meet(const struct court *c, unsigned d, uint64_t lba, uint64_t blocks)
{
	struct arbiter_disk *disk = &c->page->disks[d];

	for (size_t k = 0; k < ARBITER_RANGES; k++) {
		struct arbiter_range_slot *slot = &disk->ranges[k];

		if (atomic_load(&slot->owner) != 0 &&
		    blocks_meet(lba, blocks, atomic_load(&slot->lba), atomic_load(&slot->blocks)))
			return true;
	}
	return false;
}

static struct arbiter_range_slot *free_slot(struct arbiter_disk *disk)
{
	for (size_t k = 0; k < ARBITER_RANGES; k++) {
		if (atomic_load(&disk->ranges[k].owner) == 0)
			return &disk->ranges[k];
	}
	return NULL;
}

static bool wants(const struct petition *p, unsigned d, const struct arbiter_order *order)
{
	const struct member *m = p->member;

	if (!p->is_order || m->order.kind != ORDER_TAKE_RANGE ||
	    !blocks_meet(order->lba, order->blocks, m->order.lba, m->order.blocks))
		return false;
	for (unsigned k = 0; k < m->lun_count; k++) {
		if (m->luns[k].lun == m->order.lun)
			return m->luns[k].disk == d;
	}
	return false;
}

/* Somebody who asked earlier waits for the same blocks. */
static bool is_wanted(const struct court *c, const struct member *m, unsigned d)
{
	for (const struct petition *p = c->queue; p != NULL && p != &m->ask; p = p->next) {
		if (wants(p, d, &m->order))
			return true;
	}
	return false;
}

/* Asked again, after the arbiter that granted it died. */
static bool is_held(const struct arbiter_disk *disk, uint64_t owner)
{
	for (size_t k = 0; k < ARBITER_RANGES; k++) {
		if (atomic_load(&disk->ranges[k].owner) == owner)
			return true;
	}
	return false;
}

/* P3: who was given the disk for reading keeps nobody from its blocks. */
enum decision order_take_range(struct court *c, struct member *m, unsigned k,
			       struct arbiter_record *draft, struct arbiter_answer *ret)
{
	unsigned d = m->luns[k].disk;
	struct arbiter_disk *disk = &c->page->disks[d];
	struct arbiter_range_slot *slot = free_slot(disk);
	const struct arbiter_order *order = &m->order;

	(void)draft;
	if (!m->luns[k].writable)
		return answer_sense(ret, KEY_DATA_PROTECT, WRITE_PROTECTED);
	if (order->blocks > ORDER_RANGE_BLOCKS_MAX)
		return answer_sense(ret, KEY_ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	if (is_held(disk, owner_of(m, order->id)))
		return DECISION_DRAIN;
	if (slot == NULL || ranges_meet(c, d, order->lba, order->blocks) || is_wanted(c, m, d))
		return DECISION_WAIT;
	tokens_give_way(c, d, order->lba, order->blocks);
	atomic_store(&slot->lba, order->lba);
	atomic_store(&slot->blocks, order->blocks);
	atomic_store(&slot->owner, owner_of(m, order->id));
	atomic_fetch_add(&disk->range_count, 1);
	return DECISION_DRAIN;
}

void court_drop_ranges(struct court *c, const struct member *m, unsigned d, uint32_t id)
{
	struct arbiter_disk *disk = &c->page->disks[d];
	struct disk_set disks = {0};
	bool dropped = false;

	for (size_t k = 0; k < ARBITER_RANGES; k++) {
		struct arbiter_range_slot *slot = &disk->ranges[k];
		uint64_t owner = atomic_load(&slot->owner);

		if (owner == 0 || owner >> 32 != m->connection ||
		    (id != 0 && owner != owner_of(m, id)))
			continue;
		atomic_store(&slot->owner, 0);
		atomic_fetch_sub(&disk->range_count, 1);
		dropped = true;
	}
	disks.bits[d / 64] |= 1ull << d % 64;
	if (dropped)
		tell_changed(c, &disks);
}

/* The count may be wrong when an arbiter died between two stores; the owners are right. */
void court_recount_ranges(struct court *c, unsigned d)
{
	struct arbiter_disk *disk = &c->page->disks[d];
	uint64_t count = 0;

	for (size_t k = 0; k < ARBITER_RANGES; k++) {
		uint64_t owner = atomic_load(&disk->ranges[k].owner);

		if (owner != 0 && c->gone_on && court_find(c, (uint32_t)(owner >> 32)) == NULL)
			atomic_store(&disk->ranges[k].owner, 0);
		else if (owner != 0)
			count++;
	}
	atomic_store(&disk->range_count, count);
}
